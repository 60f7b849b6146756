"""What can go wrong with a chain, as data: never an exception, and never a payoff of 0."""

from __future__ import annotations

import dataclasses
from typing import Any

from gtalign_env.sanitize import clean_text

__all__ = ["FAILURES", "ChainFailure"]

FAILURES: dict[str, str] = {
    "bad_json": "the payoff block is no JSON object of cells",
    "duplicate_block": "a block stands there twice",
    "empty_response": "the response says nothing",
    "engine": "the engine failed",
    "leading_text": "something stands before the first block",
    "missing_block": "a block is not there",
    "move_mismatch": "the reply makes another move than the one that was announced",
    "no_solution": "the criterion finds no solution in the stated matrix",
    "not_a_number": "a payoff is no finite number",
    "out_of_order": "the blocks stand in another order",
    "out_of_range": "a payoff is beyond the range that was asked for",
    "prompt_too_long": "instructions and last message are longer than the model's context",
    "silent": "a plain reply says nothing",
    "stray_tag": "a tag of another block stands in a block",
    "stray_text": "something stands between two blocks",
    "too_long": "the reply is longer than the game takes",
    "trailing_text": "something stands behind the last block",
    "unannounced": "the analysis names no cell",
    "unclosed_block": "a block is opened and never closed",
    "wrong_keys": "the payoff block has other cells or sides than those asked for",
}
"""All kinds of failure, with what each means."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ChainFailure:
    """Why a chain could not be used.

    Example:
        >>> ChainFailure(kind="missing_block", block="payoff", message="there is no <payoff> block").as_dict()["kind"]
        'missing_block'
    """

    kind: str
    """One of ``FAILURES``."""
    message: str
    """What was expected and what came, for a person; safe to print, whatever a model wrote."""
    position: int = 0
    """Where in the text, in characters from its beginning."""
    block: str = ""
    """The block that it is about; empty for none in particular."""

    def __post_init__(self) -> None:
        """Keep to the declared kinds, and take out what could act on a terminal."""
        assert self.kind in FAILURES, self.kind
        object.__setattr__(self, "message", clean_text(self.message))

    def as_dict(self) -> dict[str, Any]:
        """Return the failure as JSON has it."""
        return dataclasses.asdict(self)
