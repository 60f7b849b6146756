"""Every constant of the text view that the strategic game does not have (see ``docs/game.md`` §3)."""

from __future__ import annotations

import dataclasses

from gtalign_env.errors import UsageError
from gtalign_env.scenarios.options import check_sizes, is_number

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
        check_sizes("text", self)
        for name in ("p_harmful", "safe_alternative"):
            share = getattr(self, name)
            if not is_number(share, 1.0):
                raise UsageError(f"text option {name!r}: expected a number in [0, 1], got {share!r}")
