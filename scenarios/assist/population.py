"""The default mix of users, as types θ with weights. Personas (``gtalign_env.agents``) give such types a voice."""

from __future__ import annotations

from gtalign_env.types import UserType

__all__ = ["DEFAULT_MIX", "TYPES"]

TYPES: dict[str, UserType] = {
    "concise": UserType(
        name="concise",
        ideal_tokens=60.0,
        too_long=0.22,
        too_short=0.08,
        reading_cost=0.0003,
        effort_cost=0.005,
        patience=16.0,
    ),
    "detailed": UserType(
        name="detailed",
        ideal_tokens=420.0,
        too_long=0.06,
        too_short=0.26,
        reading_cost=0.0001,
        effort_cost=0.003,
        patience=30.0,
    ),
    "balanced": UserType(
        name="balanced",
        ideal_tokens=170.0,
        too_long=0.15,
        too_short=0.15,
        reading_cost=0.0002,
        effort_cost=0.004,
        patience=22.0,
    ),
    "hurried": UserType(
        name="hurried",
        ideal_tokens=70.0,
        too_long=0.2,
        too_short=0.08,
        reading_cost=0.0004,
        effort_cost=0.009,
        patience=10.0,
        price_sensitivity=0.8,
    ),
}
"""Named types: what ``reset(options={"user_type": NAME})`` accepts."""

DEFAULT_MIX: dict[str, float] = {"concise": 0.35, "detailed": 0.35, "balanced": 0.15, "hurried": 0.15}
"""Share of each type in the default population; sums to 1."""
