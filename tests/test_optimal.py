"""The exact yardstick: against brute force, against itself in other ways, and DESIGN §5's first property.

The other three properties are in ``test_assist_properties.py``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from yardstick_parts import assist, problem

from gtalign_env.agents.users import population_kernels
from gtalign_env.errors import UsageError
from gtalign_env.finite import FiniteScenario
from gtalign_env.kernels import UserKernel
from gtalign_env.optimal import Optimum, Problem, cache_folder, optimum, solve
from gtalign_env.optimal.search import Search
from gtalign_env.optimal.sessions import sessions
from gtalign_env.optimal.simplex import Grid
from gtalign_env.optimal.strategy import Place
from gtalign_env.types import ASSISTANT_MOVES
from gtalign_env.welfare import make_welfare

Figure = Callable[[str, object], None]


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
        ({"questions": 2, "max_exchanges": 2, "p_harmful": 0.0}, "concise,detailed"),
        ({"questions": 2, "max_exchanges": 1}, "drifting,hurried"),
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


# -- optima of several objectives ---------------------------------------------------------------------------------------------


def test_optimum__objectives_order_each_others_optima() -> None:
    """Each objective's optimum is at least as good by it as the optima of the others are."""
    solved = problem(2)
    found = {name: solve(solved, name) for name in ("utilitarian", "cobb_douglas", "egalitarian", "linear:weight=1")}
    for name, best in found.items():
        criterion = make_welfare(name)
        for other in found.values():
            assert best.value >= float(criterion(other.user, other.assistant)) - 2e-6
    assert found["linear:weight=1"].user >= max(one.user for one in found.values()) - 1e-6


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
    assert again.as_dict() == {**first.as_dict(), "remembered": True}
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
