"""How nano plays unless it is told otherwise."""

from __future__ import annotations

from typing import Final

__all__ = ["BLOCK_TOKENS", "MOVES", "TEMPERATURE", "is_nano"]

MOVES: Final = "VQ,DQ/DA_short,DA_medium,DA_long,CQ,DECLINE"
"""The cells of its matrix, which it was taught; it knows no others."""
BLOCK_TOKENS: Final[dict[str, int]] = {"thinking": 16, "payoff": 64, "analyze": 16, "response": 48}
"""Most tokens of each block: about twice what it needs."""
TEMPERATURE: Final = 1.0
"""What it is trained at: a stated payoff is a draw from what it believes."""


def is_nano(spec: str) -> bool:
    """Return whether a string names nano as an engine: ``nano``, ``nano:FOLDER``, with ``chain:`` in front or not.

    Example:
        >>> [is_nano(spec) for spec in ("nano", "chain:nano", "nano:runs/mine/model", "transformers:nano")]
        [True, True, True, False]
    """
    return spec.removeprefix("chain:").partition(":")[0] == "nano"
