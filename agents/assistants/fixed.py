"""The assistant that always makes the same move: every other one is measured against these eight."""

from __future__ import annotations

from typing import Any

from gtalign_env.agents.assistants.rules import RuleAssistant, Seen, move_index
from gtalign_env.errors import UsageError

__all__ = ["FixedAssistant"]


class FixedAssistant(RuleAssistant):
    """Makes one move for ever.

    Args:
        move: A move's name, or its index, which also works in games with other moves. Where the move is illegal, the first
            legal one is made.
        **options: ``knowledge`` and ``hits`` of ``RuleAssistant``.

    Example:
        >>> FixedAssistant("AQ_long").name, FixedAssistant().name, FixedAssistant("2").name
        ('fixed:AQ_long', 'fixed:DA_medium', 'fixed:2')
    """

    def __init__(self, move: str | int = "DA_medium", **options: Any) -> None:
        if isinstance(move, str) and not move.isdecimal():
            self.move = move_index(move)
        else:
            if isinstance(move, bool) or not isinstance(move, (str, int)) or int(move) < 0:
                raise UsageError(f"fixed assistant: expected a move's name or an index >= 0, got {move!r}")
            self.move = int(move)
        super().__init__(f"fixed:{move}", **options)

    def decide(self, seen: Seen) -> int:
        """Return the move."""
        return self.move
