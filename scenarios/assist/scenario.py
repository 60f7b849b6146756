"""The registered scenario ``assist``."""

from __future__ import annotations

import dataclasses
from typing import Any

from gtalign_env.finite import FiniteScenario
from gtalign_env.mix import UserMix
from gtalign_env.payoffs import make_payoff_model
from gtalign_env.pricing import make_pricing
from gtalign_env.protocols import PayoffModel, PricingPolicy
from gtalign_env.scenarios.assist.config import AssistConfig
from gtalign_env.scenarios.assist.population import DEFAULT_MIX, TYPES
from gtalign_env.scenarios.assist.rules import USER_ACTS, closing_replies, compile_assist
from gtalign_env.scenarios.options import refuse_unknown
from gtalign_env.specs import to_spec
from gtalign_env.tables import payoff_tables

__all__ = ["assist"]


def assist(
    *,
    users: Any = None,
    pricing: str | PricingPolicy = "subscription",
    payoff: str | PayoffModel = "grounded",
    **rules: Any,
) -> FiniteScenario:
    """Make the scenario: a session of several questions with one hidden type.

    Args:
        users: The population (see ``UserMix``); the default mix of types when ``None``.
        pricing: What the user pays.
        payoff: The payoff model.
        **rules: Fields of ``AssistConfig``.

    Raises:
        UsageError: An option is unknown or out of range.

    Example:
        >>> assist(users="concise", questions=2).mix.types[0].name
        'concise'
    """
    refuse_unknown("assist", rules, AssistConfig, ["users", "pricing", "payoff"])
    config = AssistConfig(**rules)
    model = make_payoff_model(payoff)
    policy = make_pricing(pricing)
    tables = compile_assist(config)
    return FiniteScenario(
        name="assist",
        description="A user with a latent preference brings several questions; the assistant answers, asks or declines.",
        tables=tables,
        payoffs=lambda user_type, price: payoff_tables(tables, model, user_type, price),
        retention=model.retention,
        mix=UserMix(DEFAULT_MIX if users is None else users, TYPES),
        known_types=TYPES,
        pricing=policy,
        user_acts={name: i for i, name in enumerate(USER_ACTS)},
        continuation=(USER_ACTS.index("LEAVE"), closing_replies(config)),
        pinnable=("kind", "clarity"),
        recipe=(assist, {"users": users, "pricing": policy, "payoff": model, **rules}),
        config={**dataclasses.asdict(config), "payoff": to_spec(model), "pricing": to_spec(policy)},
    )
