"""A flat fee, with an allowance where there is one."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from gtalign_env.payoffs import positive_part
from gtalign_env.pricing.settings import check_settings
from gtalign_env.types import Outcome

__all__ = ["Subscription"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Subscription:
    """A flat fee for the session, due with its first reply; tokens of a reply beyond a quota are metered.

    ``P = fee·[first reply] + overage·max(0, n − quota)``. The provider earns nothing by one more token within the quota, so what
    it does for the user must pay through retention. Typical distortion: shirking and terseness.

    Example:
        >>> Subscription().price(Outcome(opens_session=1.0)), Subscription().price(Outcome())
        (0.8, 0.0)
        >>> Subscription(quota=100.0, overage=0.01).price(Outcome(tokens_out=150.0))
        0.5
    """

    fee: float = 0.8
    """Credits per session."""
    quota: float = math.inf
    """Tokens of each reply that the fee includes."""
    overage: float = 0.0012
    """Credits per token of a reply beyond the quota."""
    name: str = "subscription"

    def __post_init__(self) -> None:
        """Refuse rates that are no prices."""
        check_settings(self, unlimited=("quota",))

    def price(self, outcome: Outcome) -> Any:
        """Return the fee on the first reply of a session, and what the reply runs over the quota."""
        return self.fee * outcome.opens_session + self.overage * positive_part(outcome.tokens_out - self.quota)
