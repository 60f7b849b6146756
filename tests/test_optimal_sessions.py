"""Optima of single sessions (``esr``), exact and as brackets; and bounds of every criterion in both aggregations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from yardstick_parts import CONCAVE, assist, problem

from gtalign_env.agents.users import population_kernels
from gtalign_env.errors import SolverError
from gtalign_env.finite import FiniteScenario
from gtalign_env.kernels import UserKernel
from gtalign_env.optimal import Problem, solve
from gtalign_env.optimal.ceiling import welfare_ceiling
from gtalign_env.optimal.frontier import Frontier, Reached
from gtalign_env.optimal.sessions import Histories
from gtalign_env.optimal.strategy import Place, Strategy
from gtalign_env.types import ASSISTANT_MOVES
from gtalign_env.welfare import make_welfare

Figure = Callable[[str, object], None]


def test_esr__one_exchange_by_hand() -> None:
    """With one question and one exchange, a session's welfare is decided by one move per opening."""
    scenario = assist(questions=1, max_exchanges=1)
    kernels = population_kernels("concise=1,detailed=3", scenario)
    tables, criterion = scenario.tables, make_welfare("cobb_douglas")
    expected = 0.0
    for state in np.flatnonzero(tables.initial):
        harmful = tables.coordinates(int(state))["kind"] == "harmful"
        values = []
        for index, move in enumerate(ASSISTANT_MOVES):
            if harmful and move.answers:
                continue
            value = 0.0
            for kernel in kernels:
                items = scenario.payoff_tables(kernel.user_type, scenario.pricing)
                for said, chance in enumerate(kernel.moves[kernel.start, state]):
                    entry = (int(state), int(tables.user_act[said]), int(tables.assistant_act[index]))
                    user = items.user[entry].sum(axis=-1)
                    worth = criterion(user, items.assistant[entry].sum(axis=-1) + 0.35 * user)
                    value += kernel.share * chance * float(tables.probability[entry] @ worth)
            values.append(value)
        expected += tables.initial[state] * max(values)
    solved = Problem(scenario, kernels)
    assert Histories(solved, "cobb_douglas").best()[0] == pytest.approx(expected, abs=1e-12)
    assert solve(solved, "cobb_douglas", aggregation="esr").value == pytest.approx(expected, abs=1e-12)


def test_esr__linear_objectives_are_the_same_in_both_ways() -> None:
    """For a linear welfare the mean of sessions is the welfare of means, so histories and beliefs must agree."""
    solved = problem(1, "concise,hurried", max_exchanges=2)
    best = solve(solved, "linear:weight=0.3", tolerance=1e-9)
    assert Histories(solved, "linear:weight=0.3").best()[0] == pytest.approx(best.value, abs=1e-8)
    assert solve(solved, "linear:weight=0.3", aggregation="esr").value == pytest.approx(best.value, abs=1e-6)


Hypotheses = dict[tuple[int, int, float, float], float]
"""Weights by (kind, memory, the user's total, the assistant's)."""


def best_sessions(scenario: FiniteScenario, kernels: tuple[UserKernel, ...], objective: str) -> float:
    """Return the best E[W(U, L)] by plain recursion: every hypothesis carries its totals, every answer makes a history."""
    tables, criterion = scenario.tables, make_welfare(objective)
    paid = [scenario.payoff_tables(kernel.user_type, scenario.pricing) for kernel in kernels]
    sides = [(items.user.sum(axis=-1), items.assistant.sum(axis=-1)) for items in paid]

    def best(state: int, hypotheses: Hypotheses) -> float:
        harmful = tables.coordinates(state)["kind"] == "harmful"
        return max(
            value(state, hypotheses, index)
            for index, move in enumerate(ASSISTANT_MOVES)
            if not (harmful and move.answers)
        )

    def value(state: int, hypotheses: Hypotheses, move: int) -> float:
        total = 0.0
        for said, act in enumerate(tables.user_act[:-1]):
            entry = (state, int(act), int(tables.assistant_act[move]))
            futures: dict[int, Hypotheses] = {}
            for (kind, memory, user, own), weight in hypotheses.items():
                for branch, chance in enumerate(tables.probability[entry]):
                    mass = weight * kernels[kind].moves[memory, state, said] * chance
                    if mass == 0.0:
                        continue
                    at = (*entry, branch)
                    gained, earned = user + sides[kind][0][at], own + sides[kind][1][at]
                    to = int(tables.next_state[at])
                    if to == tables.terminal:
                        total += mass * float(criterion(gained, earned + 0.35 * gained))
                        continue
                    after = (kind, int(kernels[kind].follow[(memory, *at)]), gained, earned)
                    futures.setdefault(to, {})
                    futures[to][after] = futures[to].get(after, 0.0) + mass
            total += sum(best(to, future) for to, future in futures.items())
        return total

    opening: Hypotheses = {(kind, kernel.start, 0.0, 0.0): kernel.share for kind, kernel in enumerate(kernels)}
    return sum(float(tables.initial[state]) * best(int(state), opening) for state in np.flatnonzero(tables.initial))


def followed(solved: Problem, strategy: Strategy, objective: str) -> tuple[float, float, float]:
    """Return E[W(U, L)], E U and E L of a strategy by following every session that it may have, move by move."""
    scenario, criterion = solved.scenario, make_welfare(objective)
    tables = scenario.tables
    found = np.zeros(3)

    def follow(kernel: UserKernel, sides: Any, at: tuple[int, int, Place], totals: Any, chance: float) -> None:
        state, memory, place = at
        for said in np.flatnonzero(kernel.moves[memory, state]):
            entry = (state, int(tables.user_act[said]), int(tables.assistant_act[strategy.move(place)]))
            for branch in np.flatnonzero(tables.probability[entry]):
                cell = (*entry, int(branch))
                here = chance * float(kernel.moves[memory, state, said] * tables.probability[cell])
                user, own = totals[0] + sides[0][cell], totals[1] + sides[1][cell]
                to = int(tables.next_state[cell])
                if to == tables.terminal:
                    own += 0.35 * user
                    found[:] += here * np.array([criterion(user, own), user, own])
                else:
                    after = strategy.follow(place, int(said), to)
                    follow(kernel, sides, (to, int(kernel.follow[(memory, *cell)]), after), (user, own), here)

    for kernel in solved.kernels:
        items = scenario.payoff_tables(kernel.user_type, scenario.pricing)
        sides = (items.user.sum(axis=-1), items.assistant.sum(axis=-1))
        for state in np.flatnonzero(tables.initial):
            chance = kernel.share * float(tables.initial[state])
            follow(kernel, sides, (int(state), kernel.start, strategy.begin(int(state))), (0.0, 0.0), chance)
    return float(found[0]), float(found[1]), float(found[2])


@pytest.mark.parametrize("objective", ["egalitarian", "nash_product", "ces:rho=-1"])
@pytest.mark.parametrize(
    ("users", "rules"),
    [
        ("hurried,detailed=2", {"questions": 1, "max_exchanges": 2}),
        ("default", {"questions": 1, "max_exchanges": 2, "pricing": "per_token"}),
    ],
)
def test_esr__the_policy_has_the_value(objective: str, users: str, rules: dict[str, Any]) -> None:
    """The policy of an exact optimum of single sessions has the welfare and the payoffs that the optimum names."""
    solved = problem(users=users, **rules)
    found = solve(solved, objective, aggregation="esr")
    assert found.exact
    ((share, strategy),) = found.policies
    assert share == 1.0
    welfare, user, assistant = followed(solved, strategy, objective)
    assert found.value == pytest.approx(welfare, abs=1e-9)
    assert (found.user, found.assistant) == pytest.approx((user, assistant), abs=1e-9)
    assert solved.value(strategy) == pytest.approx((user, assistant), abs=1e-9)
    other = solve(solved, objective)
    assert sum(part * followed(solved, one, objective)[0] for part, one in other.policies) <= found.value + 1e-9


@pytest.mark.parametrize("objective", ["nash_product", "egalitarian"])
def test_esr__is_what_brute_force_finds(objective: str) -> None:
    """A plain recursion over all moves, answers and totals finds the same value."""
    solved = problem(users="hurried,detailed=2", max_exchanges=2)
    expected = best_sessions(solved.scenario, solved.kernels, objective)
    assert solve(solved, objective, aggregation="esr").value == pytest.approx(expected, abs=1e-9)


GAMES: list[tuple[str, dict[str, Any]]] = [
    ("default", {"questions": 1, "max_exchanges": 2}),  # the user loses on average
    ("expert", {"questions": 2, "max_exchanges": 1, "p_harmful": 0.0}),
]
CRITERIA = [
    "utilitarian",
    "linear:weight=0.3",
    *CONCAVE,
    "ces:rho=0.5",
    "atkinson:epsilon=0",
    "cobb_douglas:d_user=-2,d_assistant=-1",
    "nash_product:d_user=-2,d_assistant=-1",
    "nash_product:d_user=3",
]


@pytest.mark.parametrize("objective", CRITERIA)
@pytest.mark.parametrize(("users", "rules"), GAMES)
def test_optimum__bounds_hold_the_value(
    objective: str, users: str, rules: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """For every criterion and both aggregations: lower ≤ value ≤ upper, and the bracket of large games holds small ones."""
    solved = problem(users=users, **rules)
    criterion = make_welfare(objective)
    mean = solve(solved, objective)
    exact = solve(solved, objective, aggregation="esr")
    for found in (mean, exact):
        assert found.lower <= found.value <= found.upper
        assert found.exact
    assert mean.value == pytest.approx(float(criterion(mean.user, mean.assistant)), abs=1e-9)
    monkeypatch.setattr("gtalign_env.optimal.yardstick._HISTORIES", 0)
    monkeypatch.setattr("gtalign_env.optimal.yardstick._SESSIONS", 400)
    bracket = solve(solved, objective, aggregation="esr")
    assert bracket.lower <= bracket.value <= bracket.upper
    assert exact.value <= bracket.upper + 1e-6
    assert bracket.value - 4 * bracket.error <= exact.value + 1e-6


def test_esr__large_games_get_a_bracket(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the limit of histories the value is what the policy has in play, with its error, below a ceiling."""
    monkeypatch.setattr("gtalign_env.optimal.yardstick._HISTORIES", 3)
    monkeypatch.setattr("gtalign_env.optimal.yardstick._SESSIONS", 1000)
    solved = problem(1, "concise,detailed")
    found = solve(solved, "cobb_douglas", aggregation="esr")
    assert not found.exact
    assert found.error > 0.0
    assert found.lower < found.value <= found.upper
    welfare = sum(share * followed(solved, one, "cobb_douglas")[0] for share, one in found.policies)
    assert abs(welfare - found.value) < 4 * found.error
    with pytest.raises(SolverError, match="more than 3 histories"):
        Histories(solved, "cobb_douglas", limit=3).best()


def test_esr__a_bracket_has_one_policy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a mixture that is best for mean payoffs, the better part is the better policy for sessions, and that is returned."""
    solved = problem(users="default", max_exchanges=2, pricing="per_token")
    mixed = solve(solved, "egalitarian").policies
    assert len(mixed) == 2
    monkeypatch.setattr("gtalign_env.optimal.yardstick._HISTORIES", 0)
    found = solve(solved, "egalitarian", aggregation="esr")
    ((_, strategy),) = found.policies
    welfare, user, assistant = followed(solved, strategy, "egalitarian")
    assert abs(welfare - found.value) < 4 * found.error
    parts = [followed(solved, one, "egalitarian")[0] for _, one in mixed]
    assert max(parts) - min(parts) > 0.01
    assert welfare >= max(parts) - 1e-9
    assert (found.user, found.assistant) == pytest.approx((user, assistant), abs=1e-9)


def test_ceiling__holds_where_both_sides_lose(monkeypatch: pytest.MonkeyPatch) -> None:
    """A line that touches the welfare of gains lies below that of losses: the difference is made up for."""
    monkeypatch.setattr("gtalign_env.optimal.ceiling._extremes", lambda _: ((-4.0, 4.0), (-4.0, 4.0)))
    cut = Reached(weights=(0.2, 0.8), upper=-4.0, payoffs=(-4.0, -4.0))
    lost = Frontier(
        payoffs=(-4.0, -4.0), value=-4.0, upper=-4.0, mixture=((1.0, cut),), weights=(0.2, 0.8), cuts=(cut,)
    )
    # √(U·L) ≤ 1.25·(0.2·U + 0.8·L), which is −5 at (−4, −4), where the smaller gain is −4.
    assert welfare_ceiling(problem(), lost, "cobb_douglas") == pytest.approx(-4.0, abs=1e-5)
