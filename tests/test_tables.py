"""Compiled games: shapes, chances, coordinates, and what is refused."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from gtalign_env.errors import UsageError
from gtalign_env.finite import FiniteScenario
from gtalign_env.payoffs import Grounded
from gtalign_env.pricing import PerToken, Subscription
from gtalign_env.registration import make_scenario
from gtalign_env.scenarios.assist.config import AssistConfig
from gtalign_env.scenarios.assist.rules import compile_assist
from gtalign_env.tables import GameTables, payoff_tables
from gtalign_env.types import Outcome, UserType

CONFIGS = [
    AssistConfig(),
    AssistConfig(questions=1, max_exchanges=1),
    AssistConfig(questions=2, max_exchanges=5, p_harmful=0.0, p_simple=1.0, hit_vague=0.0, hit_clear=1.0),
    AssistConfig(questions=2, p_simple=0.9, p_harmful=0.1, p_vague_opening=0.0, can_leave=False),
]


def games() -> list[GameTables]:
    """Several sessions, and the paper's matrix."""
    matrix = make_scenario("matrix")
    assert isinstance(matrix, FiniteScenario)
    return [*map(compile_assist, CONFIGS), matrix.tables]


@pytest.mark.parametrize("tables", games())
def test_tables__chances_are_chances(tables: GameTables) -> None:
    """Branches are non-negative and sum to 1 everywhere; so does the opening distribution, and it never opens at the end."""
    assert tables.probability.min() >= 0.0
    assert np.abs(tables.probability.sum(axis=-1) - 1.0).max() < 1e-12
    assert tables.initial.min() >= 0.0
    assert tables.initial.sum() == pytest.approx(1.0, abs=1e-12)
    assert tables.initial[tables.terminal] == 0.0


@pytest.mark.parametrize("tables", games())
def test_tables__features_and_masks_fit_the_spaces(tables: GameTables) -> None:
    """Features lie in [0, 1] and tell all states apart; masks are 0 or 1 and leave both sides a move."""
    assert tables.features.min() >= 0.0
    assert tables.features.max() <= 1.0
    assert len(np.unique(tables.features, axis=0)) == len(tables.features)
    for mask in (tables.user_mask, tables.assistant_mask):
        assert set(np.unique(mask)) <= {0, 1}
        assert mask.sum(axis=1).min() >= 1


@pytest.mark.parametrize("tables", games())
def test_tables__the_end_is_absorbing_and_pays_nothing(tables: GameTables) -> None:
    """Whatever is done there, nothing follows and nothing has happened."""
    assert (tables.next_state[tables.terminal] == tables.terminal).all()
    for field in dataclasses.fields(Outcome):
        assert not getattr(tables.outcome, field.name)[tables.terminal].any()


@pytest.mark.parametrize("tables", games())
def test_tables__every_session_ends(tables: GameTables) -> None:
    """Under every pair of acts, from every state, the end is reached: no cycle among live states."""
    clock = ("round",) if "round" in tables.axes else ("question", "exchange")

    def time(state: int) -> tuple[int, ...]:
        where = tables.coordinates(state)
        return tuple(int(where[axis]) for axis in clock) if where else (10**6,)

    live = tables.probability > 0.0
    for state in range(tables.terminal):
        following = set(tables.next_state[state][live[state]].tolist())
        assert all(time(after) > time(state) for after in following)


@pytest.mark.parametrize("tables", games())
def test_tables__coordinates_round_trip(tables: GameTables) -> None:
    """Every state has its own coordinates, and is found by them; the end has none."""
    for state in range(tables.terminal):
        assert tables.index(**tables.coordinates(state)) == state
    assert tables.coordinates(tables.terminal) == {}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "trivial"}, r"'kind'.*'simple', 'complex', 'harmful'.*'trivial'"),
        ({"question": "4"}, "'question'"),
        ({"mood": "good"}, "expected question, kind, clarity, exchange; got .*mood"),
    ],
)
def test_tables__index_says_what_is_wrong(change: dict[str, str], message: str) -> None:
    """A coordinate that is unknown or has no such value is named."""
    where = {"question": "0", "kind": "simple", "clarity": "vague", "exchange": "0"}
    with pytest.raises(UsageError, match=message):
        compile_assist(AssistConfig()).index(**{**where, **change})
    with pytest.raises(UsageError, match="state coordinates"):
        compile_assist(AssistConfig()).index(kind="simple")


def test_tables__refuse_arrays_that_do_not_fit() -> None:
    """Shapes, chances and targets are checked when tables are made."""
    good = compile_assist(AssistConfig(questions=1))

    def broken(**changes: Any) -> None:
        dataclasses.replace(good, **changes)

    with pytest.raises(UsageError, match="probability has shape"):
        broken(probability=good.probability[..., :2])
    with pytest.raises(UsageError, match=r"outcome\.quality has shape"):
        broken(outcome=dataclasses.replace(good.outcome, quality=np.zeros(3)))
    with pytest.raises(UsageError, match="sum to 1"):
        broken(probability=good.probability * 0.5)
    for bad in (-1, good.terminal + 1):
        target = good.next_state.copy()
        target[0, 0, 0, 0] = bad
        with pytest.raises(UsageError, match="outside the states"):
            broken(next_state=target)


def test_payoff_tables__hold_the_model_s_items_entry_by_entry() -> None:
    """Any entry, recomputed from its outcome alone, is the same to the bit."""
    tables = compile_assist(AssistConfig())
    theta, pricing, model = UserType(ideal_tokens=90.0), PerToken(), Grounded()
    made = payoff_tables(tables, model, theta, pricing)
    rng = np.random.default_rng(0)
    names = [field.name for field in dataclasses.fields(Outcome)]
    for _ in range(300):
        place = tuple(int(rng.integers(n)) for n in tables.next_state.shape)
        outcome = Outcome(**{name: float(getattr(tables.outcome, name)[place]) for name in names})
        assert made.user[place].tolist() == list(model.user(outcome, theta, pricing).values())
        assert made.assistant[place].tolist() == list(model.assistant(outcome, pricing).values())


def test_payoff_tables__of_the_provider_are_the_same_for_every_type() -> None:
    """Not one number of the assistant's table depends on θ."""
    tables = compile_assist(AssistConfig())
    one = payoff_tables(tables, Grounded(), UserType(), Subscription())
    two = payoff_tables(tables, Grounded(), UserType(ideal_tokens=900.0, value=3.0, patience=2.0), Subscription())
    assert np.array_equal(one.assistant, two.assistant)
    assert not np.array_equal(one.user, two.user)


def test_payoff_tables__refuse_a_model_that_is_not_finite() -> None:
    """A model of somebody's own that divides by zero is named, with its item."""

    class Broken(Grounded):
        def user(self, outcome: Any, user_type: Any, pricing: Any) -> dict[str, Any]:
            return {**super().user(outcome, user_type, pricing), "time": np.nan}

    with pytest.raises(UsageError, match="payoff model 'grounded': item 'time' is not finite"):
        payoff_tables(compile_assist(AssistConfig(questions=1)), Broken(), UserType(), Subscription())
