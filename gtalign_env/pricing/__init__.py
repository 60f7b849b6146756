"""What the user pays and the provider earns, as pure functions of an outcome. Credits, not utils.

One credit is worth one util to the provider and ``price_sensitivity`` utils to the user, so at sensitivity 1 a price is
a pure transfer: it moves utils from one side to the other and leaves their sum as it is. Each policy has a module of its own;
adding one is adding a file with a frozen dataclass that has ``name`` and ``price`` (and ``overhead``, where collecting the
price costs the provider something), and listing it in ``PRICING``. ``docs/pricing.md`` compares them.
"""

from __future__ import annotations

from typing import Any

from gtalign_env.errors import UsageError
from gtalign_env.pricing.charging import Charge, charge
from gtalign_env.pricing.freemium import Freemium
from gtalign_env.pricing.outcome_based import OutcomeBased
from gtalign_env.pricing.per_character import PerCharacter
from gtalign_env.pricing.per_request import PerRequest
from gtalign_env.pricing.per_token import PerToken
from gtalign_env.pricing.subscription import Subscription
from gtalign_env.pricing.two_part import TwoPart
from gtalign_env.protocols import PricingPolicy
from gtalign_env.specs import from_spec, to_spec

__all__ = [
    "PRICING",
    "Charge",
    "Freemium",
    "OutcomeBased",
    "PerCharacter",
    "PerRequest",
    "PerToken",
    "Subscription",
    "TwoPart",
    "charge",
    "make_pricing",
    "pricing_name",
]

PRICING: dict[str, Any] = {
    "subscription": Subscription,
    "per_token": PerToken,
    "per_character": PerCharacter,
    "per_request": PerRequest,
    "freemium": Freemium,
    "two_part": TwoPart,
    "outcome_based": OutcomeBased,
}
"""Registered pricing policies by name."""


def make_pricing(pricing: str | PricingPolicy) -> PricingPolicy:
    """Return a pricing policy from its name, its name with settings, or itself.

    Args:
        pricing: ``"per_token"``, ``"per_token:rate_out=0.002"``, or an object with ``name`` and ``price``.

    Raises:
        UnknownNameError: No policy has this name.
        UsageError: A setting is unknown or out of range.

    Example:
        >>> make_pricing("per_token:rate_out=0.002")
        PerToken(rate_in=0.0005, rate_out=0.002, name='per_token')
    """
    if not isinstance(pricing, str):
        if isinstance(pricing, PricingPolicy) and not isinstance(pricing, type):
            if type(pricing).__hash__ is None:
                raise UsageError(f"pricing {pricing.name!r}: expected a hashable object, e.g. a dataclass(frozen=True)")
            return pricing
        raise UsageError(f"pricing: expected a name or an object with .name and .price(outcome), got {pricing!r}")
    policy: PricingPolicy = from_spec("pricing", pricing, PRICING)
    return policy


def pricing_name(pricing: PricingPolicy) -> str:
    """Return the string from which ``make_pricing`` rebuilds a shipped policy.

    Example:
        >>> pricing_name(PerRequest(fee=0.25)), pricing_name(PerRequest())
        ('per_request:fee=0.25', 'per_request')
    """
    return to_spec(pricing)
