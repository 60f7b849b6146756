"""Made-up people to train on: cards drawn at random over all that a card can say, so that nobody who comes later is quite new.

A policy that has met a few personas learns their names by heart; one that has met hundreds learns to listen. ``MadeUp`` seats
them: every price gets people of its own, all compiled to user kernels, which are played in arrays.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode

from gtalign_env.agents.users.card import Card, Character, Drift, Leave, PDetailed, Reactions, TypeEntry
from gtalign_env.agents.users.kernel import population_kernels
from gtalign_env.agents.users.scripted import ScriptedPersona
from gtalign_env.errors import UsageError
from gtalign_env.finite import FiniteScenario
from gtalign_env.kernels import UserKernel
from gtalign_env.pricing import make_pricing
from gtalign_env.registration import make_scenario
from gtalign_env.types import ASSISTANT, UserType
from gtalign_env.vector_chair import VectorChair
from gtalign_env.vector_draws import OneStream
from gtalign_env.vector_engine import Engine
from gtalign_env.vector_seats import CrowdSeat

__all__ = ["MadeUp", "made_up"]


def made_up(count: int, seed: int) -> tuple[ScriptedPersona, ...]:
    """Return people whose cards are drawn at random.

    What they want (θ) is log-uniform over about an order of magnitude. Some are always clear or never, some drift, some lie now
    and then, some walk off after a few bad exchanges.

    Args:
        count: How many.
        seed: Equal seeds give equal people.

    Example:
        >>> one, other = made_up(2, seed=0)
        >>> one.name, one.user_type == made_up(1, seed=0)[0].user_type, one.user_type == other.user_type
        ('made_up_0', True, False)
    """
    rngs = np.random.default_rng(seed).spawn(count)
    return tuple(ScriptedPersona(_card(f"made_up_{number}", rng)) for number, rng in enumerate(rngs))


def _card(name: str, rng: np.random.Generator) -> Card:
    def between(low: float, high: float) -> float:
        return round(float(np.exp(rng.uniform(math.log(low), math.log(high)))), 5)

    theta = UserType(
        name=name,
        ideal_tokens=between(40, 500),
        too_long=between(0.05, 0.28),
        too_short=between(0.05, 0.28),
        reading_cost=between(0.0001, 0.0004),
        effort_cost=between(0.002, 0.009),
        patience=between(10, 40),
        price_sensitivity=between(0.7, 1.6),
    )
    return Card(
        name=name, description="made up", types=(TypeEntry(user_type=theta),), character=_character(rng, between)
    )


def _character(rng: np.random.Generator, between: Any) -> Character:
    def mostly(usual: float, share: float, other: float) -> float:
        return usual if rng.random() < share else other

    clear = mostly(float(rng.random()), 0.75, float(rng.random() < 0.5))
    clearer = 1.0 - (1.0 - clear) * float(rng.uniform(0.1, 0.6)) if clear > 0.0 else 0.05
    return Character(
        expressiveness=float(rng.uniform(0.5, 1.0)),
        honesty=mostly(1.0, 0.85, float(rng.uniform(0.7, 1.0))),
        p_detailed=PDetailed(first=clear, next=clear, rephrase=clearer, answer=min(1.0, 1.2 * clearer)),
        reactions=Reactions(
            off_target_below=float(rng.uniform(0.1, 0.5)),
            too_long_above=between(0.05, 0.25),
            too_short_above=between(0.05, 0.25),
            too_dear_above=mostly(1000.0, 0.8, float(rng.uniform(0.15, 0.3))),
            thanks_above=float(rng.uniform(0.0, 0.7)),
            dislikes_questions=mostly(0.0, 0.6, float(rng.uniform(0.0, 0.4))),
        ),
        leave=Leave(bad_in_a_row=0 if rng.random() < 0.75 else int(rng.integers(4, 6))),
        drift=Drift(ideal_tokens=mostly(1.0, 0.7, between(0.45, 2.2)), limit=480.0),
    )


class MadeUp:
    """Games with made-up people: what ``Run`` takes in place of a population's name.

    Args:
        scenario: A game of the ``assist`` family.
        options: The scenario's own options.
        prices: Prices; each is paid by people of its own, and every episode draws one.
        people: People for each price.
        seed: Equal seeds give equal people.

    Attributes:
        kernels: One sequence of user kernels per price.
        pricings: The prices, as they were given.

    Raises:
        UsageError: The game is not of the ``assist`` family.

    Example:
        >>> games = MadeUp(options={"questions": 1}, prices=["subscription", "per_token"], people=3)
        >>> [len(group) for group in games.kernels], games(8).num_envs
        ([3, 3], 8)
    """

    def __init__(
        self,
        scenario: str = "gtalign/Assist-v0",
        *,
        options: dict[str, Any] | None = None,
        prices: Sequence[str] = ("subscription",),
        people: int = 100,
        seed: int = 0,
    ) -> None:
        given = f"options={options or {}!r}, prices={list(prices)!r}, people={people}, seed={seed}"
        self._call = f"MadeUp({scenario!r}, {given})"
        made = make_scenario(scenario, **(options or {}))
        if not isinstance(made, FiniteScenario):
            raise UsageError(f"made-up people play compiled games, and {made.name!r} is none")
        self.scenario: FiniteScenario = made
        self.pricings = tuple(prices)
        self._prices = tuple(make_pricing(price) for price in prices)
        everybody = made_up(people * len(self._prices), seed)
        self.kernels: tuple[tuple[UserKernel, ...], ...] = tuple(
            population_kernels(everybody[number :: len(self._prices)], made, price)
            for number, price in enumerate(self._prices)
        )

    def __repr__(self) -> str:
        """Return the call that makes equal people."""
        return self._call

    def __call__(self, games: int) -> VectorChair:
        """Return so many games from the assistant's chair, for a learner."""
        engine = Engine(self.scenario, games, OneStream(games), ("assistant",), self._prices)
        seat = CrowdSeat(engine, self.kernels, self._prices)
        return VectorChair(seat, ASSISTANT, autoreset_mode=AutoresetMode.SAME_STEP, batch_final=True)
