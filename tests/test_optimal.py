"""The exact yardstick: against brute force, against itself in other ways, and DESIGN §5's first property.

The other three properties are in ``test_assist_properties.py``.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gtalign_env.agents.users import population_kernels
from gtalign_env.errors import SolverError, UsageError
from gtalign_env.finite import FiniteScenario
from gtalign_env.kernels import UserKernel
from gtalign_env.optimal import Optimum, Problem, cache_folder, optimum, solve
from gtalign_env.optimal.ceiling import welfare_ceiling
from gtalign_env.optimal.frontier import Frontier, Reached, best_mixture, concave
from gtalign_env.optimal.search import Search
from gtalign_env.optimal.sessions import Histories, sessions
from gtalign_env.optimal.simplex import Grid
from gtalign_env.optimal.strategy import Place, Strategy
from gtalign_env.registration import make_scenario
from gtalign_env.types import ASSISTANT_MOVES
from gtalign_env.welfare import make_welfare

Figure = Callable[[str, object], None]


def assist(**rules: Any) -> FiniteScenario:
    """Return a session."""
    scenario = make_scenario("assist", **rules)
    assert isinstance(scenario, FiniteScenario)
    return scenario


@functools.cache
def problem(questions: int = 1, users: str = "default", **rules: Any) -> Problem:
    """Return a small problem."""
    scenario = assist(questions=questions, **rules)
    return Problem(scenario, population_kernels(users, scenario))


# -- brute force, written apart from the solver -----------------------------------------------------------------------------


def brute_force(scenario: FiniteScenario, kernels: tuple[UserKernel, ...], weights: tuple[float, float]) -> float:
    """Return the best weighted payoffs by plain recursion: hypotheses (kind, memory) with weights, move by move.

    The only economy is that equal sets of hypotheses in one state are solved once.
    """
    tables = scenario.tables
    paid = []
    for kernel in kernels:
        items = scenario.payoff_tables(kernel.user_type, scenario.pricing)
        user, own = items.user.sum(axis=-1), items.assistant.sum(axis=-1)
        paid.append(weights[0] * user + weights[1] * (own + 0.35 * user))
    legal = {
        state: [
            index
            for index, move in enumerate(ASSISTANT_MOVES)
            if not (move.answers and tables.coordinates(state)["kind"] == "harmful")
        ]
        for state in range(tables.terminal)
    }
    known: dict[Any, float] = {}

    def best(state: int, hypotheses: dict[tuple[int, int], float]) -> float:
        key = (state, tuple(sorted((h, round(w, 13)) for h, w in hypotheses.items())))
        if key not in known:
            known[key] = max(value(state, hypotheses, move) for move in legal[state])
        return known[key]

    def value(state: int, hypotheses: dict[tuple[int, int], float], move: int) -> float:
        total = 0.0
        for said in range(len(tables.user_moves)):
            heard = {h: w * kernels[h[0]].moves[h[1], state, said] for h, w in hypotheses.items()}
            heard = {h: w for h, w in heard.items() if w > 0.0}
            if not heard:
                continue
            entry = (state, int(tables.user_act[said]), int(tables.assistant_act[move]))
            futures: dict[int, dict[tuple[int, int], float]] = {}
            for branch, chance in enumerate(tables.probability[entry]):
                if chance == 0.0:
                    continue
                to = int(tables.next_state[(*entry, branch)])
                for (kind, memory), weight in heard.items():
                    total += weight * chance * paid[kind][(*entry, branch)]
                    after = (kind, int(kernels[kind].follow[(memory, *entry, branch)]))
                    future = futures.setdefault(to, {})
                    future[after] = future.get(after, 0.0) + weight * chance
            total += sum(best(to, future) for to, future in futures.items() if to != tables.terminal)
        return total

    return sum(
        float(chance) * best(int(state), {(kind, kernel.start): kernel.share for kind, kernel in enumerate(kernels)})
        for state, chance in enumerate(tables.initial)
        if chance > 0.0
    )


@pytest.mark.parametrize(
    ("rules", "users"),
    [
        ({"questions": 1}, "default"),
        ({"questions": 1, "pricing": "per_token"}, "adversarial,expert=2"),
        ({"questions": 2, "max_exchanges": 1}, "default"),
        ({"questions": 2, "max_exchanges": 2}, "concise,detailed"),
        ({"questions": 3, "max_exchanges": 1}, "drifting,hurried"),
    ],
)
def test_optimum__is_what_brute_force_finds(rules: dict[str, Any], users: str) -> None:
    """For linear objectives the search closes on the value of a plain recursion over all moves and answers."""
    scenario = assist(**rules)
    kernels = population_kernels(users, scenario)
    solved = Problem(scenario, kernels)
    for weights in ((1.0, 1.0), (0.9, 0.1)):
        found = solved.reach(weights, 1e-10)
        expected = brute_force(scenario, kernels, weights)
        reached = weights[0] * found.payoffs[0] + weights[1] * found.payoffs[1]
        assert found.upper == pytest.approx(expected, abs=2e-9)
        assert reached == pytest.approx(expected, abs=2e-9)


def test_optimum__no_grid_changes_it() -> None:
    """Coarse and fine grids bound differently and end alike."""
    scenario = assist(questions=2)
    kernels = population_kernels(None, scenario)
    values = [Problem(scenario, kernels, points=points).reach((0.5, 0.5), 1e-9).upper for points in (4, 35, 165)]
    assert max(values) - min(values) < 3e-9


def test_search__bounds_hold_at_every_budget() -> None:
    """With too few beliefs the bracket is wide and still holds the value."""
    solved = problem(2)
    exact = solved.reach((0.5, 0.5), 1e-10).upper
    width = math.inf
    for limit in (10, 300, 1000):
        search = Search(solved.bounds((0.5, 0.5)))
        search.run(tolerance=1e-10, limit=limit)
        upper, payoffs = search.root()
        assert payoffs.mean() <= exact + 1e-9
        assert upper >= exact - 1e-9
        assert upper - payoffs.mean() <= width + 1e-12
        width = upper - payoffs.mean()
    assert width > 1e-6


def test_optimum__says_when_it_is_a_bracket() -> None:
    """A budget that does not suffice is no error: the result is a bracket, and says so."""
    scenario = assist(questions=2)
    kernels = population_kernels(None, scenario)
    short = optimum(scenario, kernels, limit=100, tolerance=1e-9, cache=False)
    whole = solve(problem(2), "cobb_douglas", tolerance=1e-8)
    assert not short.exact
    assert whole.exact
    assert short.lower <= whole.upper
    assert whole.lower <= short.upper


# -- strategies -------------------------------------------------------------------------------------------------------------


def test_strategy__plays_what_it_is_worth() -> None:
    """Sessions against the kernels have the payoffs that were computed, within 4 standard errors."""
    solved = problem(2)
    found = solve(solved, "cobb_douglas")
    totals = sessions(solved, found.policies, 20_000, np.random.default_rng(0))
    error = totals.std(axis=0, ddof=1) / math.sqrt(len(totals))
    assert abs(totals[:, 0].mean() - found.user) < 4 * error[0]
    assert abs(totals[:, 1].mean() - found.assistant) < 4 * error[1]
    strategy = found.policies[0][1]
    assert solved.value(strategy) == pytest.approx((found.user, found.assistant), abs=1e-12)
    assert strategy.payoffs == pytest.approx((found.user, found.assistant), abs=1e-12)


def test_strategy__what_cannot_happen_tells_nothing() -> None:
    """A move that nobody in the population makes, and a state that nothing leads to, leave it with moves to make."""
    solved = problem(2, "expert")
    strategy = solve(solved, "utilitarian").policies[0][1]
    tables = solved.scenario.tables
    opening = tables.index(question="0", kind="simple", clarity="clear", exchange="0")
    leave = tables.user_moves.index("LEAVE")
    place = strategy.begin(opening)
    for state in range(tables.terminal):
        for said in (-1, leave, 3):
            there = strategy.follow(place, said, state)
            harmful = tables.coordinates(state)["kind"] == "harmful"
            if state in solved.game.state:
                assert solved.game.state[there.pair] == state
                assert not (harmful and ASSISTANT_MOVES[strategy.move(there)].answers)
    assert isinstance(strategy.begin(tables.terminal - 1), Place)


# -- concave objectives -----------------------------------------------------------------------------------------------------

CLOUD = st.lists(st.tuples(st.floats(0.1, 5.0), st.floats(0.1, 5.0)), min_size=1, max_size=8)
CONCAVE = [
    "cobb_douglas",
    "cobb_douglas:weight=0.2",
    "ces:rho=-1",
    "egalitarian",
    "alpha_fair:alpha=2",
    "gini",
    "nash_product",
]


@pytest.mark.parametrize("objective", CONCAVE)
@given(points=CLOUD)
def test_frontier__is_the_best_mixture_of_points(objective: str, points: list[tuple[float, float]]) -> None:
    """Over any finite set of points the cutting planes find the best point of the hull, and bound it from above."""

    def oracle(weights: tuple[float, float], tolerance: float) -> Reached:
        best = max(points, key=lambda point: weights[0] * point[0] + weights[1] * point[1])
        return Reached(weights=weights, upper=weights[0] * best[0] + weights[1] * best[1], payoffs=best)

    found = best_mixture(oracle, objective)
    criterion = make_welfare(objective)
    t = np.linspace(0.0, 1.0, 2001)
    dense = max(
        float(np.max(criterion(a[0] + t * (b[0] - a[0]), a[1] + t * (b[1] - a[1])))) for a in points for b in points
    )
    assert found.value >= dense - 1e-5 * max(1.0, dense)
    assert found.upper >= found.value - 1e-12
    assert found.upper - found.value <= 1e-5 * max(1.0, found.value**2)
    assert sum(share for share, _ in found.mixture) == pytest.approx(1.0)
    mixed = np.sum([share * np.array(part.payoffs) for share, part in found.mixture], axis=0)
    assert tuple(mixed) == pytest.approx(found.payoffs)


def test_frontier__everybody_loses() -> None:
    """Where some side loses whatever is done, the criterion is the smaller gain, and so is what is maximised."""
    points = [(-3.0, 1.0), (-1.0, -2.0), (0.5, -4.0)]

    def oracle(weights: tuple[float, float], tolerance: float) -> Reached:
        best = max(points, key=lambda point: weights[0] * point[0] + weights[1] * point[1])
        return Reached(weights=weights, upper=weights[0] * best[0] + weights[1] * best[1], payoffs=best)

    # On the line from (−3, 1) to (0.5, −4), U = L where −3 + 3.5t = 1 − 5t: t = 8/17, both −23/17. The point (−1, −2) lies
    # below that line.
    assert best_mixture(oracle, "cobb_douglas").value == pytest.approx(-23 / 17, abs=1e-6)


EIGHTHS = st.integers(-24, 16).map(lambda n: n / 8)


@pytest.mark.parametrize("objective", [*CONCAVE, "ces:rho=0.5", "nash_product:d_user=1,d_assistant=-0.5"])
@given(points=st.lists(st.tuples(EIGHTHS, EIGHTHS), min_size=1, max_size=6))
def test_frontier__bounds_hold_where_somebody_may_lose(objective: str, points: list[tuple[float, float]]) -> None:
    """No mixture is worth more than the upper bound, whichever side it loses for, and the value is that of the mixture."""

    def oracle(weights: tuple[float, float], tolerance: float) -> Reached:
        best = max(points, key=lambda point: weights[0] * point[0] + weights[1] * point[1])
        return Reached(weights=weights, upper=weights[0] * best[0] + weights[1] * best[1], payoffs=best)

    found = best_mixture(oracle, objective)
    criterion = make_welfare(objective)
    t = np.linspace(0.0, 1.0, 201)
    dense = max(
        float(np.max(criterion(a[0] + t * (b[0] - a[0]), a[1] + t * (b[1] - a[1])))) for a in points for b in points
    )
    mixed = np.sum([share * np.array(part.payoffs) for share, part in found.mixture], axis=0)
    assert found.value == pytest.approx(float(criterion(*mixed)), abs=1e-9)
    assert found.upper >= found.value
    assert found.upper >= dense - 1e-9


def test_frontier__the_product_of_losers_is_the_smaller_gain() -> None:
    """Where somebody loses at the best point, bound and value are smaller gains, not products of them."""
    points = [(-3.0, 1.0), (0.5, -4.0)]

    def oracle(weights: tuple[float, float], tolerance: float) -> Reached:
        best = max(points, key=lambda point: weights[0] * point[0] + weights[1] * point[1])
        return Reached(weights=weights, upper=weights[0] * best[0] + weights[1] * best[1], payoffs=best)

    found = best_mixture(oracle, "nash_product")
    assert found.value == pytest.approx(-23 / 17, abs=1e-6)  # as for cobb_douglas above
    assert found.upper == pytest.approx(-23 / 17, abs=1e-6)
    # Gains (1, 6) and (4.5, 1): (1 + 3.5s)(6 − 5s) is largest at s = 16/35.
    gained = best_mixture(oracle, "nash_product:d_user=-4,d_assistant=-5")
    s = 16 / 35
    assert gained.value == pytest.approx((1 + 3.5 * s) * (6 - 5 * s), abs=1e-6)
    assert gained.upper == pytest.approx(gained.value, abs=1e-5)


def test_frontier__too_few_lines_leave_an_honest_bound() -> None:
    """Where one line does not find the point at which nobody loses, the bound is still one of the criterion's."""
    points = [(4.0, -1.0), (0.3, 2.6)]

    def oracle(weights: tuple[float, float], tolerance: float) -> Reached:
        best = max(points, key=lambda point: weights[0] * point[0] + weights[1] * point[1])
        return Reached(weights=weights, upper=weights[0] * best[0] + weights[1] * best[1], payoffs=best)

    found = best_mixture(oracle, "cobb_douglas:weight=0.2", rounds=1)
    assert found.value == -1.0
    assert found.upper >= 0.3**0.2 * 2.6**0.8


def test_frontier__what_is_not_concave_is_refused() -> None:
    """Jain's index is not concave, so no optimum can be certified."""
    with pytest.raises(UsageError, match="concave in both payoffs"):
        concave("jain")


@pytest.mark.parametrize(
    ("trained", "name"),
    [
        ("user_only", "linear:weight=1"),
        ("assistant_only", "linear:weight=0"),
        ("nash_bargaining", "nash_product"),
        ("nash_bargaining:d_user=1", "nash_product:d_user=1"),
    ],
)
def test_frontier__knows_what_training_calls_criteria(trained: str, name: str) -> None:
    """A run of training can be looked up under the objective's own name."""
    assert concave(trained)[0] == make_welfare(name)


def test_optimum__objectives_order_each_others_optima() -> None:
    """Each objective's optimum is at least as good by it as the optima of the others are."""
    solved = problem(2)
    found = {name: solve(solved, name) for name in ("utilitarian", "cobb_douglas", "egalitarian", "linear:weight=1")}
    for name, best in found.items():
        criterion = make_welfare(name)
        for other in found.values():
            assert best.value >= float(criterion(other.user, other.assistant)) - 2e-6
    assert found["linear:weight=1"].user >= max(one.user for one in found.values()) - 1e-6


# -- single sessions --------------------------------------------------------------------------------------------------------


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


# -- information ------------------------------------------------------------------------------------------------------------


def test_told__is_the_mean_over_kinds_solved_alone() -> None:
    """For a linear objective, knowing who comes is worth the shares' mean of each kind's own optimum."""
    scenario = assist(questions=1)
    kernels = population_kernels(None, scenario)
    alone = [Problem(scenario, [kernel]).best("utilitarian", tolerance=1e-9).value for kernel in kernels]
    expected = sum(kernel.share * value for kernel, value in zip(kernels, alone, strict=True))
    assert Problem(scenario, kernels).told("utilitarian").value == pytest.approx(expected, abs=1e-8)


def test_asking__values_of_first_moves_are_consistent() -> None:
    """The best group's value in each opening, averaged, is the optimum; taking a move away costs what it should."""
    solved = problem(2)
    groups = {move.name: [move.name] for move in ASSISTANT_MOVES}
    rows = solved.asking((0.5, 0.5), groups, tolerance=1e-8)
    value = solved.reach((0.5, 0.5), 1e-9).upper
    assert sum(row.chance * max(row.best.values()) for row in rows) == pytest.approx(value, abs=1e-7)
    assert all("DA_short" not in row.best for row in rows if row.opening["kind"] == "harmful")
    one = problem(1, "default", max_exchanges=1)
    quiet = one.without(["CQ"])
    assert quiet.best("utilitarian").value == pytest.approx(one.best("utilitarian").value, abs=1e-6)  # no time to ask
    assert solved.without(["CQ"]).best("utilitarian").value < solved.best("utilitarian").value - 0.01


# -- the default session ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def default() -> tuple[Problem, Optimum]:
    """Return the registered game, and its optimum."""
    solved = problem(4)
    return solved, solve(solved, "cobb_douglas", tolerance=1e-4)


def test_yardstick__every_fixed_policy_loses_15_percent(default: tuple[Problem, Optimum], figure: Figure) -> None:
    """DESIGN §5, property 1: against the exact optimum, on the default mix, and also where harm is declined."""
    solved, best = default
    criterion = make_welfare("cobb_douglas")
    tables = solved.scenario.tables
    harmful = np.array([tables.coordinates(state).get("kind") == "harmful" for state in range(tables.terminal + 1)])
    figure("optimum, cobb_douglas (ser)", round(best.value, 4))
    for index, move in enumerate(ASSISTANT_MOVES):
        careful = np.where(harmful, 7, index)
        for name, payoffs in (
            (move.name, solved.fixed(move.name)),
            (f"{move.name}, harm declined", solved.stationary(careful)),
        ):
            lost = 1.0 - max(float(criterion(*payoffs)), 0.0) / best.value
            figure(f"{name} loses", f"{lost:.1%}")
            assert lost >= 0.15


def test_yardstick__is_certified_and_needs_its_questions(default: tuple[Problem, Optimum], figure: Figure) -> None:
    """The bounds meet; knowing the user would help, and an assistant that may not ask has less."""
    solved, best = default
    assert best.exact
    assert best.upper - best.lower <= 1e-4 * best.value * 1.01
    told = solved.told("cobb_douglas", tolerance=1e-4)
    mute = solved.without([move.name for move in ASSISTANT_MOVES if move.asks]).best("cobb_douglas", tolerance=1e-3)
    figure("value of knowing the user", round(told.value - best.value, 4))
    figure("value of asking", round(best.value - mute.value, 4))
    assert told.value > best.upper
    assert mute.upper < best.value


# -- on disk ----------------------------------------------------------------------------------------------------------------


def test_cache__a_solution_is_read_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second time nothing is solved; a damaged file is solved anew; other settings are other files."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    scenario = assist(questions=1)
    kernels = population_kernels("concise,detailed", scenario)
    first = optimum(scenario, kernels)
    (file,) = cache_folder().iterdir()
    assert file.parent == tmp_path / "gtalign" / "optima"
    monkeypatch.setattr("gtalign_env.optimal.yardstick.solve", None)
    again = optimum(scenario, kernels)
    assert again.as_dict() == first.as_dict()
    opening = scenario.tables.index(question="0", kind="complex", clarity="vague", exchange="0")
    played = [one.policies[0][1] for one in (first, again)]
    assert played[0].move(played[0].begin(opening)) == played[1].move(played[1].begin(opening))
    assert np.array_equal(played[0].by_kind, played[1].by_kind)
    monkeypatch.undo()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    file.write_bytes(file.read_bytes()[:100])
    assert optimum(scenario, kernels).value == first.value
    optimum(scenario, kernels, objective="egalitarian")
    optimum(scenario, kernels, pricing="per_token")
    assert len(list(cache_folder().iterdir())) == 3


def test_cache__a_folder_that_cannot_be_written_is_no_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing can be remembered the result is the same."""
    (tmp_path / "gtalign").write_text("a file, not a folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    scenario = assist(questions=1)
    assert optimum(scenario, population_kernels("concise", scenario)).exact
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder().parts[-3:] == (".cache", "gtalign", "optima")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"aggregation": "mean"}, "expected 'ser' or 'esr'"),
        ({"tolerance": 0.0}, "expected a tolerance > 0"),
        ({"limit": 0}, "limit >= 1"),
        ({"objective": "jain"}, "concave"),
    ],
)
def test_optimum__nonsense_is_refused(options: dict[str, Any], message: str) -> None:
    """Options that make no sense are refused before anything is solved."""
    scenario = assist(questions=1)
    with pytest.raises(UsageError, match=message):
        optimum(scenario, population_kernels("concise", scenario), cache=False, **options)


# -- the grid ---------------------------------------------------------------------------------------------------------------


@given(
    kinds=st.integers(1, 6),
    resolution=st.integers(1, 6),
    seed=st.integers(0, 2**32 - 1),
)
def test_grid__weights_mix_points_to_the_belief(kinds: int, resolution: int, seed: int) -> None:
    """Every belief is a mixture of the grid points around it; grid points are themselves."""
    grid = Grid(kinds, resolution)
    beliefs = np.random.default_rng(seed).dirichlet(np.full(kinds, 0.5), size=50)
    beliefs = np.vstack([beliefs, np.eye(kinds), grid.points])
    vertices, weights = grid.locate(beliefs)
    assert weights.min() >= 0.0
    assert np.allclose((weights[..., None] * grid.points[vertices]).sum(axis=1), beliefs, atol=1e-9)
    assert np.array_equal(
        grid.points[vertices[-len(grid.points) :, 0]][weights[-len(grid.points) :, 0] > 0.5],
        grid.points[weights[-len(grid.points) :, 0] > 0.5],
    )
    assert len(np.unique(grid.points, axis=0)) == math.comb(resolution + kinds - 1, kinds - 1)
