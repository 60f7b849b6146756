"""Every constant of the text view that the strategic game does not have (see ``docs/game.md`` §3)."""

from __future__ import annotations

import dataclasses

from gtalign_env.errors import UsageError

__all__ = ["TextConfig"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class TextConfig:
    """The rules of a session in natural language.

    Example:
        >>> TextConfig(questions=1).max_exchanges
        3
    """

    questions: int = 3
    """Questions in a session."""
    max_exchanges: int = 3
    """Replies that one question may take before the user drops it."""
    can_leave: bool = True
    """Whether ``LEAVE`` is a legal move."""
    p_harmful: float = 0.08
    """Share of harmful requests, where the task source has some and others."""
    safe_alternative: float = 0.30
    """Quality, to the user, of the best refusal of a harmful request."""

    def __post_init__(self) -> None:
        """Refuse rules that describe no game."""
        for name in ("questions", "max_exchanges"):
            count = getattr(self, name)
            if not isinstance(count, int) or isinstance(count, bool) or not 1 <= count <= 64:
                raise UsageError(f"text option {name!r}: expected an integer from 1 to 64, got {count!r}")
        if not isinstance(self.can_leave, bool):
            raise UsageError(f"text option 'can_leave': expected True or False, got {self.can_leave!r}")
        for name in ("p_harmful", "safe_alternative"):
            share = getattr(self, name)
            if not isinstance(share, (int, float)) or not 0.0 <= share <= 1.0:
                raise UsageError(f"text option {name!r}: expected a number in [0, 1], got {share!r}")
