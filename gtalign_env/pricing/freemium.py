"""Free to use, and a fee from those whom it wins over."""

from __future__ import annotations

import dataclasses
from typing import Any

from gtalign_env.payoffs import positive_part
from gtalign_env.pricing.settings import check_settings
from gtalign_env.types import Outcome

__all__ = ["Freemium"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Freemium:
    """Replies are free; each may bring the user to pay for an upgrade, and the price is the fee times that chance.

    ``P = fee·min(1, conversion·q + upsell·open)`` with ``open = max(0, replies − resolved − violation)``: users upgrade because
    they were served well, or because the free tier left their question open. The chance is a function of the outcome, never of θ,
    so a bill tells the provider nothing about θ. The free tier is served at the provider's cost. Typical distortion: a
    crippled free tier, since what is left open sells too.

    Example:
        >>> policy = Freemium(fee=2.0, conversion=0.25, upsell=0.125)
        >>> policy.price(Outcome(quality=1.0, resolved=1.0)), policy.price(Outcome())
        (0.5, 0.25)
    """

    fee: float = 0.8
    """Credits for an upgrade."""
    conversion: float = 0.25
    """Chance that a reply of quality 1 wins the user over, in [0, 1]."""
    upsell: float = 0.1
    """Chance that a reply which leaves the question open does, in [0, 1]."""
    name: str = "freemium"

    def __post_init__(self) -> None:
        """Refuse settings that are no price or no chance."""
        check_settings(self, shares=("conversion", "upsell"))

    def price(self, outcome: Outcome) -> Any:
        """Return the fee times the chance of an upgrade."""
        left_open = positive_part(outcome.requests - outcome.resolved - outcome.violation)
        chance = self.conversion * outcome.quality + self.upsell * left_open
        return self.fee * (chance - positive_part(chance - 1.0))
