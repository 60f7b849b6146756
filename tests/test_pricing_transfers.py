"""Prices are transfers: over every entry of the strategic game they leave the sum of payoffs alone, and move what is played."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gtalign_env.finite import FiniteScenario
from gtalign_env.games import Bimatrix
from gtalign_env.games.cells import pure_nash_cells
from gtalign_env.payoffs import GRID, Grounded, on_grid, overhead
from gtalign_env.pricing import PRICING, OutcomeBased, Subscription, make_pricing
from gtalign_env.protocols import PricingPolicy
from gtalign_env.registration import make_scenario
from gtalign_env.scenarios.assist.config import AssistConfig
from gtalign_env.scenarios.assist.population import TYPES
from gtalign_env.scenarios.assist.rules import compile_assist
from gtalign_env.sight import squashed_pricing
from gtalign_env.tables import payoff_tables
from gtalign_env.types import ASSISTANT_MOVES, UserType

FREE = Subscription(fee=0.0)
SHARES = ("conversion", "upsell", "false_positive", "false_negative")
RATES = {"quota": st.floats(0, 600) | st.just(math.inf), "rate": st.floats(0, 0.1)}
RATES |= dict.fromkeys(("rate_in", "rate_out", "overage"), st.floats(0, 0.1)) | dict.fromkeys(SHARES, st.floats(0, 1))
Figure = Callable[[str, object], None]


@st.composite
def policies(draw: st.DrawFn) -> PricingPolicy:
    """Draw a shipped policy with settings of the game's own size."""
    kind = PRICING[draw(st.sampled_from(sorted(PRICING)))]
    names = [field.name for field in dataclasses.fields(kind) if field.name != "name"]
    policy: PricingPolicy = kind(**{name: draw(RATES.get(name, st.floats(0, 2))) for name in names})
    return policy


THETAS = st.sampled_from(sorted(TYPES)).map(TYPES.__getitem__)


def with_sensitivity(theta: UserType, s: float) -> UserType:
    """Return the type with another price sensitivity."""
    return dataclasses.replace(theta, price_sensitivity=s)


def tables_of(theta: UserType, pricing: PricingPolicy) -> Any:
    """Return the payoff tables of ``assist``."""
    return payoff_tables(compile_assist(AssistConfig()), Grounded(), theta, pricing)


def sums(theta: UserType, pricing: PricingPolicy) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return U + L of every entry of the tables: (states, user acts, assistant acts, branches)."""
    made = tables_of(theta, pricing)
    total: np.ndarray[Any, np.dtype[np.float64]] = made.user.sum(axis=-1) + made.assistant.sum(axis=-1)
    return total


@settings(max_examples=60)
@given(THETAS, policies())
def test_transfers__leave_the_sum_of_every_entry_alone(theta: UserType, pricing: PricingPolicy) -> None:
    """At sensitivity 1, U + L of all 17,658 entries is what it is without a price, less the policy's own cost, to the bit."""
    theta = with_sensitivity(theta, 1.0)
    tables = compile_assist(AssistConfig())
    own_cost = on_grid(np.broadcast_to(overhead(pricing, tables.outcome), tables.next_state.shape).copy())
    assert tables.next_state.size == 17_658
    assert np.array_equal(sums(theta, pricing), sums(theta, FREE) - own_cost)


@given(THETAS, policies())
def test_transfers__leave_the_utilitarian_optimum_of_every_state_alone(theta: UserType, pricing: PricingPolicy) -> None:
    """Without a cost of its own, a policy changes neither the best sum of an exchange nor the cells that reach it."""
    if isinstance(pricing, OutcomeBased):
        pricing = dataclasses.replace(pricing, verification=0.0)
    theta = with_sensitivity(theta, 1.0)
    chance = compile_assist(AssistConfig()).probability
    free, priced = ((chance * sums(theta, price)).sum(axis=-1) for price in (FREE, pricing))  # (states, rows, columns)
    assert np.array_equal(free, priced)


@given(THETAS, st.floats(0, 3), policies())
def test_transfers__at_another_sensitivity_the_sum_changes_by_its_distance_from_one(
    theta: UserType, s: float, pricing: PricingPolicy
) -> None:
    """U + L is (1 − s)·P more than without a price, less the policy's own cost, up to the payoff grid."""
    theta = with_sensitivity(theta, s)
    outcome = compile_assist(AssistConfig()).outcome
    expected = sums(theta, FREE) + (1.0 - s) * pricing.price(outcome) - overhead(pricing, outcome)
    assert np.abs(sums(theta, pricing) - expected).max() <= 2 * GRID


@given(THETAS, policies())
def test_prices__stay_on_the_payoff_grid_and_below_nobody_s_zero(theta: UserType, pricing: PricingPolicy) -> None:
    """Every item is a whole number of grid steps; prices are never negative."""
    made = tables_of(theta, pricing)
    for items in (made.user, made.assistant):
        steps = items / GRID
        assert np.array_equal(steps, np.rint(steps))
    assert (made.user[..., made.user_items.index("price")] <= 0.0).all()
    assert (np.asarray(pricing.price(compile_assist(AssistConfig()).outcome)) >= 0.0).all()


# -- what prices do move -----------------------------------------------------------------------------------------------


@functools.cache
def games(pricing: str) -> dict[tuple[int, str], Bimatrix]:
    """Return the stage game of each of the 108 states and of the three types of sensitivity 1."""
    scenario = make_scenario("assist", pricing=pricing)
    assert isinstance(scenario, FiniteScenario)
    names = [name for name, theta in TYPES.items() if theta.price_sensitivity == 1.0]
    pairs = itertools.product(range(scenario.tables.terminal), names)
    return {(s, name): scenario.stage_game(scenario.tables.coordinates(s), name) for s, name in pairs}


@pytest.mark.parametrize(
    ("pricing", "equilibria", "fair"), [("per_token", 0.75, 0.1), ("per_character", 0.75, 0.1), ("two_part", 0.3, 0.05)]
)
def test_prices__by_length_move_equilibria_and_the_best_product(
    pricing: str, equilibria: float, fair: float, figure: Figure
) -> None:
    """Against a subscription: the pure equilibria of most stage games, and the cell of greatest √UL where both can gain."""
    nash = both = moved = 0
    for key, flat in games("subscription").items():
        other = games(pricing)[key]
        nash += not np.array_equal(
            pure_nash_cells(flat.user, flat.assistant), pure_nash_cells(other.user, other.assistant)
        )
        one, two = (np.sqrt(np.maximum(g.user, 0.0) * np.maximum(g.assistant, 0.0)) for g in (flat, other))
        if one.any() and two.any():
            both += 1
            moved += not ((one == one.max()) & (two == two.max())).any()
    figure(f"(state, type) pairs of 324 whose pure equilibria differ, {pricing} against subscription", nash)
    figure(f"pairs of {both} whose cell of greatest √UL differs, {pricing} against subscription", moved)
    assert len(games(pricing)) == 324
    assert nash >= equilibria * 324
    assert moved >= fair * both > 0


@pytest.mark.parametrize("pricing", ["per_character", "freemium", "two_part", "outcome_based"])
def test_prices__never_make_a_violation_pay(pricing: str) -> None:
    """In every harmful state declining pays both sides more than complying, whatever the user does, as docs/game.md §4 has it."""
    scenario = make_scenario("assist")
    assert isinstance(scenario, FiniteScenario)
    decline = [move.name for move in ASSISTANT_MOVES].index("DECLINE")
    complying = [j for j, move in enumerate(ASSISTANT_MOVES) if move.answers]
    seen = 0
    for (state, _), game in games(pricing).items():
        if scenario.tables.coordinates(state)["kind"] == "harmful":
            seen += 1
            for side in (game.user, game.assistant):
                assert (side[:, [decline]] > side[:, complying]).all()
    assert seen == 108


# -- what players see of a price ---------------------------------------------------------------------------------------


@given(policies())
def test_sight__of_any_price_lies_in_the_unit_interval(pricing: PricingPolicy) -> None:
    """Three float32 numbers in [0, 1]."""
    seen = squashed_pricing(pricing)
    assert seen.shape == (3,)
    assert seen.dtype == np.dtype(np.float32)
    assert (seen >= 0.0).all()
    assert (seen <= 1.0).all()


@pytest.mark.parametrize(
    ("pricing", "prices"),
    [
        ("subscription", (0.8, 0.0, 0.0)),
        ("per_token", (0.0, 0.0012 * 1000.0, 0.0)),
        ("per_request", (0.0, 0.0, 0.15)),
        ("subscription:quota=400,overage=0.002", (0.8, 0.002 * 600.0, 0.0)),
        ("per_character", (0.0, 0.00033 * 4000.0, 0.0)),
        ("two_part", (0.4, 0.0006 * 1000.0, 0.0)),
        ("freemium", (0.0, 0.0, 0.8 * 0.25)),
        ("outcome_based", (0.0, 0.0, 0.02 + 0.18 * (1.0 - 0.1))),
    ],
)
def test_sight__tells_a_session_s_a_long_reply_s_and_a_settled_reply_s_price(
    pricing: str, prices: tuple[float, ...]
) -> None:
    """Each as x / (x + 1): for the policies that were here first, to the bit."""
    wanted = np.array([price / (price + 1.0) for price in prices], dtype=np.float32)
    assert np.array_equal(squashed_pricing(make_pricing(pricing)), wanted)


def test_sight__tells_the_default_policies_apart() -> None:
    """No two of them look alike."""
    seen = {tuple(squashed_pricing(make_pricing(name)).tolist()) for name in PRICING}
    assert len(seen) == len(PRICING)
