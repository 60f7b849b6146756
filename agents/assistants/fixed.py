"""The assistant that always makes the same move: every other one is measured against these eight."""

from __future__ import annotations

from typing import Any

from gtalign_env.agents.assistants.rules import RuleAssistant, Seen, move_index
from gtalign_env.agents.players.fixed import find_move, or_nearest
from gtalign_env.errors import UsageError
from gtalign_env.protocols import Scenario
from gtalign_env.types import ASSISTANT_MOVES, Role

__all__ = ["FixedAssistant"]


class FixedAssistant(RuleAssistant):
    """Makes one move for ever.

    Args:
        move: The name of a move of the game that it sits down to, or its index. Where the move is illegal, it says nothing in
            games with talk, and makes the first legal move in others.
        **options: ``knowledge`` and ``hits`` of ``RuleAssistant``.

    Example:
        >>> FixedAssistant("AQ_long").name, FixedAssistant().name, FixedAssistant("defect").name
        ('fixed:AQ_long', 'fixed:DA_medium', 'fixed:defect')
    """

    def __init__(self, move: str | int = "DA_medium", **options: Any) -> None:
        known = isinstance(move, (str, int)) and not isinstance(move, bool)
        if not known or not str(move) or str(move).startswith("-"):
            raise UsageError(f"fixed assistant: expected a move's name or an index >= 0, got {move!r}")
        self._wanted = str(move)
        self._names: tuple[str, ...] = ()
        self.move: int | None = None
        """Index of the move; ``None`` until it sits down to a game that has a move of this name."""
        if self._wanted.isdecimal():
            self.move = int(self._wanted)
        elif self._wanted in [known.name for known in ASSISTANT_MOVES]:
            self.move = move_index(self._wanted)
        super().__init__(f"fixed:{move}", **options)

    def sit(self, scenario: Scenario, role: Role) -> None:
        """Take a chair.

        Raises:
            UsageError: The game has no such move.
        """
        self.move, self._names = find_move(scenario, role, self._wanted), tuple(scenario.moves(role))

    def decide(self, seen: Seen) -> int:
        """Return the move.

        Raises:
            UsageError: The move is none of the ``assist`` games, and nobody told this player which game it plays.
        """
        if self.move is None:
            raise UsageError(
                f"assistant {self.name!r} has not sat down: call sit(scenario, role) first, as gtalign_env.play does"
            )
        return or_nearest(self.move, seen.legal, self._names)
