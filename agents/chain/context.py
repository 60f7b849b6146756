"""What is known when a matrix has been stated and is about to be solved: what a steering hook may go by."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from gtalign_env.agents.chain.tokens import TokenStatistics
from gtalign_env.games.bimatrix import Bimatrix

__all__ = ["ChainContext", "Steer"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class ChainContext:
    """One turn of one game, as the assistant knows it."""

    observation: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """What the environment handed over."""
    info: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    tokens: TokenStatistics = dataclasses.field(default_factory=TokenStatistics)
    """Tokens of the model's own replies by move, in this episode so far, from what the player was given on."""
    last: str = ""
    """The assistant's move of the turn before, as the matrix names it; empty for none."""
    first: bool = True
    """Whether this is the first reply of the session."""


Steer: TypeAlias = Callable[[Bimatrix, ChainContext], Bimatrix]
"""Edits a stated matrix before it is solved; moves and shape stay."""
