"""The one-game engine over tables: populations, draws, purity, and what reset accepts."""

from __future__ import annotations

import copy
import gc
import importlib
import math
import pickle
import tracemalloc
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gtalign_env.errors import UnknownNameError, UsageError
from gtalign_env.finite import FiniteScenario, FiniteState
from gtalign_env.mix import UserMix
from gtalign_env.pricing import PerRequest, Subscription
from gtalign_env.registration import make_scenario
from gtalign_env.sight import squashed_pricing, squashed_type
from gtalign_env.types import ASSISTANT_MOVES, USER_MOVES, UserType

A, B = UserType(name="a"), UserType(name="b", ideal_tokens=50.0)
KNOWN = {"a": A, "b": B}


class Fixed:
    """A generator that always says the same."""

    def __init__(self, *numbers: float) -> None:
        self.numbers = list(numbers)

    def random(self) -> float:
        """Return the next number."""
        return self.numbers.pop(0) if len(self.numbers) > 1 else self.numbers[0]


def make(**options: Any) -> FiniteScenario:
    """Return a session."""
    made = make_scenario("assist", **options)
    assert isinstance(made, FiniteScenario)
    return made


@pytest.mark.parametrize(
    ("users", "types", "shares"),
    [
        ("a", (A,), (1.0,)),
        (B, (B,), (1.0,)),
        (["a", B], (A, B), (0.5, 0.5)),
        ({"a": 3, "b": 1}, (A, B), (0.75, 0.25)),
        ({A: 1.0, "b": 0.0}, (A, B), (1.0, 0.0)),
        (("a", "b"), (A, B), (0.5, 0.5)),
    ],
)
def test_user_mix__forms(users: Any, types: tuple[UserType, ...], shares: tuple[float, ...]) -> None:
    """A name, a type, a list with equal shares, or weights."""
    mix = UserMix(users, KNOWN)
    assert (mix.types, mix.shares) == (types, shares)


@pytest.mark.parametrize(
    ("users", "message"),
    [
        ("c", "unknown user type 'c'"),
        (["a", "c"], "unknown user type 'c'"),
        ([], "at least one type"),
        ({}, "at least one type"),
        ({"a": 0.0}, "at least one type"),
        ({"a": -1.0}, "share of 'a' must be a finite number >= 0, got -1.0"),
        ({"a": math.nan}, "share of 'a'"),
        ({"a": math.inf}, "share of 'a'"),
        ({"a": "1"}, "share of 'a'"),
        (3, "users: expected"),
        (None, "users: expected"),
        ([["a"]], "users: expected"),
        ([3], "expected names or UserType objects, got 3"),
        ({None: 1.0}, "expected names or UserType objects, got None"),
    ],
)
def test_user_mix__says_what_is_wrong(users: Any, message: str) -> None:
    """Unknown names, weights without meaning and other things are named."""
    with pytest.raises(UsageError, match=message):
        UserMix(users, KNOWN)


def test_user_mix__draws_by_share() -> None:
    """Frequencies follow shares; a type without a share is never drawn, even at the edge of the unit interval."""
    mix = UserMix({"a": 0.75, "b": 0.25, UserType(name="never"): 0.0}, KNOWN)
    rng = np.random.default_rng(0)
    counts = Counter(mix.draw(rng).name for _ in range(4000))
    assert counts["a"] / 4000 == pytest.approx(0.75, abs=0.03)
    assert counts["b"] / 4000 == pytest.approx(0.25, abs=0.03)
    assert counts["never"] == 0
    thirds = UserMix({"a": 0.1, "b": 0.2, UserType(name="never"): 0.0}, KNOWN)
    assert thirds.draw(Fixed(math.nextafter(1.0, 0.0))).name == "b"


@given(st.floats(0.0, 1.0, exclude_max=True), st.floats(0.0, 1.0, exclude_max=True))
def test_reset__opens_where_the_opening_distribution_has_weight(first: float, second: float) -> None:
    """Any two random numbers give a possible opening."""
    scenario = make()
    state = scenario.reset(Fixed(first, second), {})
    assert scenario.tables.initial[state.public] > 0.0


@pytest.mark.parametrize("p_vague", [0.0, 0.3, 0.6, 0.7, 1.0])
def test_reset__the_largest_random_number_is_a_possible_opening_too(p_vague: float) -> None:
    """Rounding in sums of shares never opens a session at its end or outside the tables."""
    scenario = make(p_vague_opening=p_vague, p_simple=0.7, p_harmful=0.1)
    state = scenario.reset(Fixed(math.nextafter(1.0, 0.0)), {})
    assert scenario.tables.initial[state.public] > 0.0


@given(st.floats(0.0, 1.0, exclude_max=True), st.integers(0, 10), st.integers(0, 7), st.integers(0, 107))
def test_step__takes_a_branch_that_has_a_chance(number: float, user: int, assistant: int, public: int) -> None:
    """Whatever the random number, the next state is one that can follow."""
    scenario = make()
    state = scenario.reset(np.random.default_rng(0), {})._replace(public=public)
    done = scenario.step(state, user, assistant, Fixed(number))
    tables = scenario.tables
    act = tables.user_act[user], tables.assistant_act[assistant]
    live = tables.probability[(public, *act)] > 0.0
    assert done.state.public in set(tables.next_state[(public, *act)][live].tolist())


def test_step__is_pure() -> None:
    """The same state, actions and random number give equal results, and the state is untouched."""
    scenario = make()
    state = scenario.reset(np.random.default_rng(3), {})
    before = tuple(state)
    one = scenario.step(state, 5, 2, np.random.default_rng(1))
    two = scenario.step(state, 5, 2, np.random.default_rng(1))
    assert one == two
    assert tuple(state) == before
    one.payoffs.user["value"] = 99.0
    assert scenario.step(state, 5, 2, np.random.default_rng(1)) == two, "results share nothing that can be changed"


def test_step__one_random_number_each() -> None:
    """However an exchange ends, it takes one number from the generator, so runs stay in step."""
    scenario = make()
    for user in (*range(len(USER_MOVES)), None):
        for assistant in (*range(len(ASSISTANT_MOVES)), None):
            rng, twin = np.random.default_rng(5), np.random.default_rng(5)
            state = scenario.reset(rng, {})
            scenario.step(state, user, assistant, rng)
            twin.random(3)
            assert rng.random() == twin.random()


def test_reset__takes_the_same_numbers_whatever_is_pinned() -> None:
    """Pinning θ or the task does not shift what is drawn for the rest."""
    scenario = make()
    for options in ({}, {"user_type": "concise"}, {"task": "complex"}, {"pricing": "per_token"}):
        rng, twin = np.random.default_rng(5), np.random.default_rng(5)
        scenario.reset(rng, options)
        twin.random(2)
        assert rng.random() == twin.random()
    free = scenario.reset(np.random.default_rng(5), {})
    pinned = scenario.reset(np.random.default_rng(5), {"user_type": "hurried"})
    assert pinned.public == free.public


@pytest.mark.parametrize(
    ("task", "expected"),
    [
        ("harmful", {"kind": "harmful", "question": "0", "exchange": "0"}),
        ({"clarity": "muddled"}, {"clarity": "muddled", "question": "0"}),
        (
            {"clarity": "clear", "kind": "complex"},
            {"question": "0", "kind": "complex", "clarity": "clear", "exchange": "0"},
        ),
        ({}, {"question": "0", "exchange": "0"}),
    ],
)
def test_reset__pins_the_task(task: Any, expected: dict[str, str]) -> None:
    """A kind, or kind and clarity of the opening question; the rest is drawn, and a session starts at its start."""
    scenario = make()
    state = scenario.reset(np.random.default_rng(1), {"task": task})
    where = scenario.tables.coordinates(state.public)
    assert {axis: where[axis] for axis in expected} == expected


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"task": "easy"}, r"'kind'.*'simple', 'complex', 'harmful'.*'easy'"),
        ({"task": 3}, "option 'task': expected a kind of question or a dict over kind, clarity"),
        ({"task": {"mood": "x"}}, "option 'task'"),
        ({"task": {"question": "2"}}, "over kind, clarity"),
        ({"user_type": "consise"}, "did you mean 'concise'"),
        ({"user_type": 3}, "option 'user_type': expected a name or a dict"),
        ({"user_type": {"patience": -1}}, "patience"),
        ({"user_type": {"patients": 1}}, "patients"),
        ({"pricing": "gold"}, "unknown pricing 'gold'.*per_token"),
        ({"pricing": 3}, "pricing: expected"),
    ],
)
def test_reset__wrong_values_of_known_options_are_named(options: dict[str, Any], message: str) -> None:
    """With what came and what is accepted."""
    with pytest.raises(UsageError, match=message):
        make().reset(np.random.default_rng(0), options)


def test_reset__none_means_not_given() -> None:
    """Options that are None are drawn as usual."""
    scenario = make()
    options = {"user_type": None, "task": None, "pricing": None}
    assert scenario.reset(np.random.default_rng(2), options) == scenario.reset(np.random.default_rng(2), {})


def test_scenario__pickles_small_and_keeps_states_valid() -> None:
    """The recipe travels instead of the tables; states of types and pricings met so far still mean the same."""
    scenario = make(questions=2, quality_simple=(0.5, 0.6, 0.7))
    rng = np.random.default_rng(0)
    states = [
        scenario.reset(rng, {"user_type": {"ideal_tokens": 33.0 + i}, "pricing": f"per_request:fee=0.{i + 1}"})
        for i in range(3)
    ]
    packed = pickle.dumps((scenario, states))
    assert len(packed) < 20_000
    twin, twin_states = pickle.loads(packed)
    for state, other in zip(states, twin_states, strict=True):
        assert twin.step(other, 0, 1, np.random.default_rng(9)) == scenario.step(state, 0, 1, np.random.default_rng(9))
        assert np.array_equal(twin.observe(other, "user"), scenario.observe(state, "user"))
    assert twin.config == scenario.config


def test_payoff_tables__are_evaluated_once_per_type_and_pricing() -> None:
    """Asking again gives the same arrays."""
    scenario = make()
    assert scenario.payoff_tables(A, Subscription()) is scenario.payoff_tables(A, Subscription())
    assert scenario.payoff_tables(A, Subscription()) is not scenario.payoff_tables(A, PerRequest())


def test_ledgers__many_types_do_not_fill_the_memory_and_old_states_live_on() -> None:
    """A population of thousands of types is bounded in memory; an episode whose tables were dropped goes on as before."""
    scenario = make(questions=1)
    start = scenario.reset(np.random.default_rng(0), {"user_type": {"ideal_tokens": 1.0}})
    expected = scenario.step(start, 5, 2, np.random.default_rng(1))

    def used(types: range) -> int:
        for n in types:
            scenario.reset(np.random.default_rng(0), {"user_type": {"ideal_tokens": 2.0 + n}})
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        growth = -used(range(200)) + used(range(200, 600))
    finally:
        tracemalloc.stop()
    assert growth < 1_000_000
    assert scenario.step(start, 5, 2, np.random.default_rng(1)) == expected
    assert scenario.payoff_tables(UserType(ideal_tokens=1.0), scenario.pricing).user.tolist() == (
        make(questions=1).payoff_tables(UserType(ideal_tokens=1.0), scenario.pricing).user.tolist()
    )


def test_ledgers__are_values() -> None:
    """Equal for equal θ and pricing; a copy is the same, a pickle is equal, the representation is short."""
    one = make().ledger(A, Subscription())
    assert one == make(pricing="per_token").ledger(A, Subscription())
    assert one != make().ledger(B, Subscription())
    assert one != make().ledger(A, PerRequest())
    assert one != "a"
    assert copy.deepcopy(one) is one
    twin = pickle.loads(pickle.dumps(one))
    assert twin == one
    assert np.array_equal(twin.flat, one.flat)
    assert repr(one) == f"Ledger('a', {one.pricing!r})"


def test_scenario__without_a_recipe_travels_by_cloudpickle() -> None:
    """A compiled scenario of somebody's own, made from lambdas, reaches the workers of vectorised environments."""
    cloudpickle: Any = importlib.import_module("cloudpickle")
    base = make(questions=1)
    mine = FiniteScenario(
        name="mine",
        description="",
        tables=base.tables,
        payoffs=base.payoff_tables,
        retention=lambda total: 0.0,
        mix=UserMix(A, {}),
        known_types={},
        pricing=Subscription(),
    )
    twin = cloudpickle.loads(cloudpickle.dumps(mine))
    state = mine.reset(np.random.default_rng(0), {})
    other = twin.reset(np.random.default_rng(0), {})
    done, same = (s.step(x, 0, 0, np.random.default_rng(1)) for s, x in ((mine, state), (twin, other)))
    assert done.payoffs == same.payoffs
    assert mine.user_acts == {name: base.tables.user_act[i] for i, name in enumerate(base.tables.user_moves)}


def test_tables__are_shared_between_scenarios_of_equal_rules() -> None:
    """Compiling happens once."""
    assert make().tables is make(pricing="per_token", users="concise").tables
    assert make().tables is not make(questions=2).tables


def test_describe__says_where_the_game_stands() -> None:
    """State and last moves in words, also after the end."""
    scenario = make()
    state = scenario.reset(np.random.default_rng(0), {"task": "complex"})
    assert "kind complex" in scenario.describe(state)
    done = scenario.step(state, USER_MOVES.index(USER_MOVES[-1]), 0, np.random.default_rng(0))
    assert scenario.describe(done.state).splitlines() == ["the session is over", "user: LEAVE", "assistant: DA_short"]


@given(
    st.builds(
        UserType,
        ideal_tokens=st.floats(1e-3, 1e6),
        value=st.floats(1e-3, 1e6),
        reading_cost=st.floats(0, 1e6),
        patience=st.floats(1e-3, 1e6),
    )
)
def test_squashed_type__lies_in_the_unit_box_and_keeps_order(theta: UserType) -> None:
    """Every field lies in [0, 1], and a larger one is not squashed below a smaller one."""
    slots = squashed_type(theta)
    assert slots.dtype == np.float32
    assert slots.min() >= 0.0
    assert slots.max() <= 1.0
    assert (squashed_type(UserType())[0] <= slots[0]) == (
        np.float32(150.0) <= np.float32(theta.ideal_tokens)
    ) or math.isclose(theta.ideal_tokens, 150.0, rel_tol=1e-4)


def test_squashed_pricing__never_leaves_the_unit_box() -> None:
    """A policy that pays the user shows as a price of 0."""

    class Bonus:
        name = "bonus"

        def price(self, outcome: Any) -> float:
            return -5.0

    assert squashed_pricing(Bonus()).tolist() == [0.0, 0.0, 0.0]
    assert squashed_pricing(Subscription(fee=1e30)).max() <= 1.0


def test_names__unknown_user_type_in_the_population() -> None:
    """The scenario names the types there are."""
    with pytest.raises(UnknownNameError, match="balanced, concise, detailed, hurried"):
        make(users="nobody")


def test_state__is_a_value() -> None:
    """Equal histories give equal, hashable states."""
    scenario = make()
    one, two = (scenario.reset(np.random.default_rng(0), {}) for _ in range(2))
    assert isinstance(one, FiniteState)
    assert one == two
    assert hash(one) == hash(two)
