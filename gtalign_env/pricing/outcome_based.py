"""Pay for success, as a verifier sees it."""

from __future__ import annotations

import dataclasses
from typing import Any

from gtalign_env.pricing.settings import check_settings
from gtalign_env.types import Outcome

__all__ = ["OutcomeBased"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class OutcomeBased:
    """A fee for every reply and a bonus for every answer that a fallible verifier passes.

    ``P = fee·replies + bonus·[(1 − false_negative)·s + false_positive·f]``, with ``s = answered·resolved`` the answers that
    settled their question and ``f = answered·(1 − resolved)·(1 − violation)`` those that failed but did no harm. Success is
    rewarded by ``bonus·(1 − false_positive − false_negative)`` (on pay for performance: Saig, Einav & Talgam-Cohen, arXiv
    2406.11118). The price is the expected one, and every answer costs the provider ``verification``. Typical
    distortion: answers made for the verifier, hard requests refused.

    Example:
        >>> policy = OutcomeBased(fee=0.0, bonus=1.0, false_positive=0.25, false_negative=0.5)
        >>> policy.price(Outcome(answered=1.0, resolved=1.0)), policy.price(Outcome(answered=1.0))
        (0.5, 0.25)
    """

    fee: float = 0.02
    """Credits per reply."""
    bonus: float = 0.18
    """Credits per answer that passes."""
    false_positive: float = 0.1
    """Chance that an answer which did not settle the question passes, in [0, 1]."""
    false_negative: float = 0.1
    """Chance that one which did does not pass, in [0, 1]."""
    verification: float = 0.005
    """Utils that checking an answer costs the provider."""
    name: str = "outcome_based"

    def __post_init__(self) -> None:
        """Refuse settings that are no price or no chance."""
        check_settings(self, shares=("false_positive", "false_negative"))

    def price(self, outcome: Outcome) -> Any:
        """Return the fees and the expected bonus."""
        settled = outcome.answered * outcome.resolved
        failed = outcome.answered * (1.0 - outcome.resolved) * (1.0 - outcome.violation)
        passed = (1.0 - self.false_negative) * settled + self.false_positive * failed
        return self.fee * outcome.requests + self.bonus * passed

    def overhead(self, outcome: Outcome) -> Any:
        """Return what the checks cost the provider, utils."""
        return self.verification * outcome.answered
