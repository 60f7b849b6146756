"""Kernels from functions: memories are found, what cannot be met is not asked about, and mistakes are told."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from gtalign_env.errors import UsageError
from gtalign_env.finite import FiniteScenario
from gtalign_env.kernels import memoryless
from gtalign_env.optimal import optimum
from gtalign_env.registration import make_scenario
from gtalign_env.tabulate import Exchange, Situation, checked_chances, tabulate
from gtalign_env.types import UserType


def dilemma(rounds: int) -> FiniteScenario:
    """Return a repeated prisoners' dilemma."""
    made = make_scenario("gtalign/PrisonersDilemma-v0", rounds=rounds)
    assert isinstance(made, FiniteScenario)
    return made


def even(memory: Any, now: Situation) -> dict[str, float]:
    """Return the same chance for all legal moves."""
    return {move: 1.0 / len(now.legal) for move in now.legal}


def test_tabulate__without_memory_is_the_memoryless_kernel() -> None:
    """Even chances, in every state of a game with several types: what ``memoryless`` makes for one of them."""
    scenario = make_scenario("assist")
    assert isinstance(scenario, FiniteScenario)
    legal = scenario.tables.user_mask
    plain = memoryless("even", scenario, legal / np.maximum(legal.sum(axis=1, keepdims=True), 1))[0]
    made = tabulate("even", scenario, even, user_type=plain.user_type, share=0.25)
    np.testing.assert_allclose(made.moves[:, :-1], plain.moves[:, :-1])
    assert (made.memories, made.share, made.user_type, made.name) == (1, 0.25, plain.user_type, "even")


def test_tabulate__grim_trigger_by_hand() -> None:
    """Cooperates until it is let down once: two memories, and the transitions of the textbook."""
    scenario = dilemma(3)
    tables, moves = scenario.tables, scenario.tables.assistant_moves
    kernel = tabulate(
        "grim",
        scenario,
        lambda angry, _: {"defect" if angry else "cooperate": 1.0},
        lambda angry, exchange: angry or "defect" in exchange.assistant,
        start=False,
        user_type=UserType(),
    )
    assert kernel.memories == 2
    angry = 1 - kernel.start
    act = {move: int(tables.assistant_act[moves.index(move)]) for move in moves}
    said = int(tables.user_act[tables.user_moves.index("cooperate")])
    first, second = 0, int(tables.next_state[0, said, act["cooperate"], 0])
    assert kernel.follow[kernel.start, first, said, act["cooperate"], 0] == kernel.start
    assert kernel.follow[kernel.start, first, said, act["defect"], 0] == angry
    sorry = int(tables.user_act[tables.user_moves.index("defect")])
    assert (kernel.follow[angry, second, sorry, [act["cooperate"], act["defect"]], 0] == angry).all()
    assert kernel.moves[angry, second, tables.user_moves.index("defect")] == 1.0


def test_tabulate__a_kernel_can_be_solved_against() -> None:
    """Against grim trigger over three rounds of T=…: cooperating to the last round, where defecting pays; by enumeration."""
    scenario = dilemma(3)
    stage = scenario.game
    kernel = tabulate(
        "grim",
        scenario,
        lambda angry, _: {"defect" if angry else "cooperate": 1.0},
        lambda angry, exchange: angry or "defect" in exchange.assistant,
        start=False,
        user_type=UserType(),
    )
    rows, columns = stage.user_moves, stage.assistant_moves
    totals = []
    for plan in np.ndindex(2, 2, 2):
        angry, total = False, 0.0
        for move in plan:
            total += stage.assistant[rows.index("defect" if angry else "cooperate"), move]
            angry = angry or columns[move] == "defect"
        totals.append(total)
    found = optimum(scenario, [kernel], objective="assistant_only", cache=False)
    assert found.value == pytest.approx(max(totals), abs=1e-6)


def test_tabulate__tells_what_a_user_knows_of_an_exchange() -> None:
    """Situations before and after, moves by name, items that sum to the payoff; silence is no move at all."""
    scenario = dilemma(2)
    met: list[Exchange] = []

    def remember(memory: None, exchange: Exchange) -> None:
        met.append(exchange)

    tabulate("watcher", scenario, even, remember, user_type=UserType())
    assert {(exchange.user, exchange.assistant) for exchange in met} == {
        ((said,), (done,) if done else ()) for said in ("cooperate", "defect") for done in ("cooperate", "defect", "")
    }
    paid = scenario.payoff_tables(UserType(), scenario.pricing)
    for exchange in met:
        assert (exchange.before.public, exchange.after.public) == ({"round": "0"}, {"round": "1"})
        assert exchange.after.legal == ("cooperate", "defect")
        said = scenario.tables.user_act[scenario.tables.user_moves.index(exchange.user[0])]
        expected = paid.user[exchange.before.state, said, exchange.assistant_act, 0].sum()
        assert sum(exchange.items.values()) == pytest.approx(expected)


def test_tabulate__tells_by_quality_what_pays_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing is worth anything, a user still knows whether the answer was right."""
    scenario = make_scenario("assist", questions=2)
    assert isinstance(scenario, FiniteScenario)
    theta = scenario.mix.types[0]
    paid = scenario.payoff_tables(theta, scenario.pricing)
    nothing = dataclasses.replace(paid, user=np.zeros_like(paid.user))
    monkeypatch.setattr(scenario, "payoff_tables", lambda *_: nothing)
    heard: set[tuple[int, int, int, float]] = set()

    def remember(memory: None, exchange: Exchange) -> None:
        heard.add((exchange.before.state, exchange.assistant_act, exchange.after.state, exchange.quality))

    tabulate("examiner", scenario, even, remember, user_type=theta)
    tables = scenario.tables
    quality = np.asarray(tables.outcome.quality, dtype=np.float32)
    possible = (tables.probability > 0.0) & (tables.next_state != tables.terminal)
    met = {before for before, *_ in heard}
    expected = {
        (s, a, int(tables.next_state[s, u, a, b]), float(quality[s, u, a, b]))
        for s, u, a, b in np.argwhere(possible).tolist()
        if s in met and u in set(tables.user_act[:-1][tables.user_mask[s] == 1].tolist())
    }
    assert heard == expected
    assert len({key[:3] for key in heard}) < len(heard)


def test_tabulate__asks_only_about_what_can_come_up() -> None:
    """A count of the rounds is finite because the game is; where it never cooperates it is not asked what follows that."""
    asked: set[tuple[int, str]] = set()

    def chances(count: int, now: Situation) -> Mapping[str, float]:
        asked.add((count, now.public["round"]))
        return {"defect": 1.0}

    def remember(count: int, exchange: Exchange) -> int:
        assert exchange.user == ("defect",)
        return count + 1

    kernel = tabulate("counting", dilemma(4), chances, remember, start=0, user_type=UserType(), limit=4)
    assert asked == {(number, str(number)) for number in range(4)}
    assert (kernel.moves[kernel.start, 0] == [0.0, 1.0]).all()


def test_tabulate__refuses_what_is_no_finite_user() -> None:
    """Too many memories, memories that do not hash, illegal moves."""
    count = {"start": 0, "user_type": UserType(), "limit": 3}
    with pytest.raises(UsageError, match=r"user kernel 'long': more than 3 memories \(the last one is 3\)"):
        tabulate("long", dilemma(9), even, lambda memory, _: memory + 1, **count)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"expected a memory that can be compared, .* got \{\}"):
        tabulate("open", dilemma(2), even, lambda memory, _: {}, user_type=UserType())  # type: ignore[arg-type,return-value]
    with pytest.raises(
        UsageError, match=r"'odd': chances with the memory None in \{'round': '0'\}: 'wait' is none of the moves"
    ):
        tabulate("odd", dilemma(2), lambda *_: {"wait": 1.0}, user_type=UserType())


def test_checked_chances__forgives_rounding_only() -> None:
    """A tenth ten times is 1; what is left after rounding is spread, so that rows sum to 1 exactly."""
    row = checked_chances("somebody", dict.fromkeys("abcdefghij", 0.1), tuple("abcdefghij"))
    assert row.sum() == pytest.approx(1.0, abs=1e-15)
    with pytest.raises(UsageError, match="somebody: expected chances that sum to 1"):
        checked_chances("somebody", {"a": 0.999}, ("a",))
