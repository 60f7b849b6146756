"""What the user pays and the provider earns, as pure functions of an outcome. Credits, not utils.

One credit is worth one util to the provider and ``price_sensitivity`` utils to the user, so at sensitivity 1 a price is
a pure transfer. Adding a policy is adding a frozen dataclass with ``name`` and ``price`` and registering it.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from gtalign_env.errors import UsageError
from gtalign_env.protocols import PricingPolicy
from gtalign_env.specs import from_spec, to_spec
from gtalign_env.types import Outcome

__all__ = ["PRICING", "PerRequest", "PerToken", "Subscription", "make_pricing", "pricing_name"]


def _check_rates(policy: Any) -> None:
    for field in dataclasses.fields(policy):
        rate = getattr(policy, field.name)
        if field.name != "name" and (not isinstance(rate, (int, float)) or not math.isfinite(rate) or rate < 0):
            raise UsageError(f"pricing {policy.name!r}: {field.name} must be a finite number >= 0, got {rate!r}")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Subscription:
    """A flat fee for the session, due with its first reply.

    Example:
        >>> Subscription().price(Outcome(opens_session=1.0)), Subscription().price(Outcome())
        (0.8, 0.0)
    """

    fee: float = 0.8
    """Credits per session."""
    name: str = "subscription"

    def __post_init__(self) -> None:
        """Refuse rates that are no prices."""
        _check_rates(self)

    def price(self, outcome: Outcome) -> Any:
        """Return the fee on the first reply of a session, else 0."""
        return self.fee * outcome.opens_session


@dataclasses.dataclass(frozen=True, kw_only=True)
class PerToken:
    """Metered use: tokens that the provider reads and tokens that it writes have each their rate.

    Example:
        >>> round(PerToken().price(Outcome(tokens_in=100.0, tokens_out=1000.0)), 4)
        1.25
    """

    rate_in: float = 0.0005
    """Credits per token of the user's utterance."""
    rate_out: float = 0.0012
    """Credits per token of the reply."""
    name: str = "per_token"

    def __post_init__(self) -> None:
        """Refuse rates that are no prices."""
        _check_rates(self)

    def price(self, outcome: Outcome) -> Any:
        """Return both meters' sum."""
        return self.rate_in * outcome.tokens_in + self.rate_out * outcome.tokens_out


@dataclasses.dataclass(frozen=True, kw_only=True)
class PerRequest:
    """A fixed price for every reply, whatever it holds.

    Example:
        >>> PerRequest().price(Outcome())
        0.15
    """

    fee: float = 0.15
    """Credits per reply."""
    name: str = "per_request"

    def __post_init__(self) -> None:
        """Refuse rates that are no prices."""
        _check_rates(self)

    def price(self, outcome: Outcome) -> Any:
        """Return the fee times the number of billable requests."""
        return self.fee * outcome.requests


PRICING: dict[str, Any] = {"subscription": Subscription, "per_token": PerToken, "per_request": PerRequest}
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
