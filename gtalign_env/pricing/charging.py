"""Both sides of a bill: what the user pays, and what serving cost the provider."""

from __future__ import annotations

from typing import Any, NamedTuple

from gtalign_env.payoffs import Grounded, overhead
from gtalign_env.protocols import PricingPolicy
from gtalign_env.types import Outcome

__all__ = ["Charge", "charge"]


class Charge(NamedTuple):
    """A bill and its cost: scalars, or arrays shaped like the outcome's fields.

    Example:
        >>> Charge(price=0.75, cost=0.25).profit
        0.5
    """

    price: Any
    """What the user pays, credits (>= 0)."""
    cost: Any
    """What the provider spends, utils (>= 0): tokens read and written, and what the policy itself costs."""

    @property
    def profit(self) -> Any:
        """What is left to the provider, utils; before reputation and retention, which are no money."""
        return self.price - self.cost


def charge(pricing: PricingPolicy, outcome: Outcome, *, model: Grounded | None = None) -> Charge:
    """Return what an outcome costs the user and the provider.

    A pure function of the outcome: a free tier has a cost and no price, a flat fee a price that does not follow the cost.

    Args:
        pricing: The pricing policy.
        outcome: What happened; fields may be arrays of one shape.
        model: Where the provider's rates per token come from; the default payoff model when ``None``.

    Example:
        >>> from gtalign_env.pricing import PerToken
        >>> bill = charge(PerToken(), Outcome(tokens_in=100.0, tokens_out=1000.0))
        >>> round(bill.price, 4), round(bill.cost, 4)
        (1.25, 0.255)
    """
    rates = Grounded() if model is None else model
    return Charge(pricing.price(outcome), rates.token_cost(outcome) + overhead(pricing, outcome))
