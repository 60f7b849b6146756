"""The options of talk."""

from __future__ import annotations

import dataclasses
from typing import Any, get_args

from gtalign_env.errors import UnknownNameError, UsageError
from gtalign_env.scenarios.talk.manners import CAUTIONS, PERSONALITIES
from gtalign_env.types import Role

__all__ = ["MOST_ROUNDS", "Talk"]

MOST_ROUNDS = 16
"""Rounds of talk before a move, at most."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Talk:
    """How players talk before they move, and how they are asked to behave.

    Raises:
        UsageError: A value makes no sense.

    Example:
        >>> [Talk(rounds=2, first_speaker="assistant").speaker(turn) for turn in range(4)]
        ['assistant', 'user', 'assistant', 'user']
    """

    rounds: int = 0
    """Rounds of talk before every move, 0 to 16. In a round each player speaks once, one after the other."""
    first_speaker: Role = "user"
    """Who speaks first in every round."""
    personality: str = "rational"
    """A name from ``PERSONALITIES``: what the briefing tells a player about itself."""
    caution: int = 0
    """A number of ``CAUTIONS``, 0 to 6: what the briefing says about trusting words. Without talk it says nothing."""

    def __post_init__(self) -> None:
        """Refuse values that have no meaning."""
        for option, value, most in (("talk", self.rounds, MOST_ROUNDS), ("caution", self.caution, len(CAUTIONS) - 1)):
            if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
                raise UsageError(f"option {option!r}: expected an integer from 0 to {most}, got {value!r}")
        if self.first_speaker not in get_args(Role):
            raise UsageError(f"option 'first_speaker': expected 'user' or 'assistant', got {self.first_speaker!r}")
        if not isinstance(self.personality, str) or self.personality not in PERSONALITIES:
            raise UnknownNameError("personality", self.personality, PERSONALITIES)

    @property
    def turns(self) -> int:
        """Steps that the talk before a move takes, if nobody ends it."""
        return 2 * self.rounds

    def speaker(self, turn: int) -> Role:
        """Return who speaks in a turn of the talk (from 0)."""
        second: Role = "assistant" if self.first_speaker == "user" else "user"
        return self.first_speaker if turn % 2 == 0 else second

    def options(self) -> dict[str, Any]:
        """Return the options as scenarios take and record them.

        Example:
            >>> Talk().options()
            {'talk': 0, 'first_speaker': 'user', 'personality': 'rational', 'caution': 0}
        """
        return {
            "talk": self.rounds,
            "first_speaker": self.first_speaker,
            "personality": self.personality,
            "caution": self.caution,
        }
