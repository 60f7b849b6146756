"""The belief game: what is compiled is the scenario and the population, no more and no less."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
import pytest

from gtalign_env.agents.users import population_kernels
from gtalign_env.errors import SolverError, UsageError
from gtalign_env.finite import FiniteScenario
from gtalign_env.kernels import UserKernel
from gtalign_env.optimal import Problem
from gtalign_env.optimal.beliefs import BeliefGame, compile_beliefs
from gtalign_env.registration import make_scenario
from gtalign_env.types import ASSISTANT_MOVES


@functools.cache
def game(questions: int = 2, users: str = "default") -> tuple[FiniteScenario, tuple[UserKernel, ...], BeliefGame]:
    """Return a session, its users as kernels, and both compiled."""
    scenario = make_scenario("assist", questions=questions)
    assert isinstance(scenario, FiniteScenario)
    kernels = population_kernels(users, scenario)
    return scenario, kernels, compile_beliefs(scenario, kernels)


def chain_value(scenario: FiniteScenario, kernel: UserKernel, moves: np.ndarray) -> np.ndarray:
    """Return both mean payoffs of a policy by public state against one kernel, on the plain chain of (state, memory)."""
    tables = scenario.tables
    paid = scenario.payoff_tables(kernel.user_type, scenario.pricing)
    user = paid.user.sum(axis=-1)
    both = np.stack([user, paid.assistant.sum(axis=-1) + 0.35 * user], axis=-1)

    @functools.cache
    def worth(state: int, memory: int) -> tuple[float, float]:
        total = np.zeros(2)
        for move, chance in enumerate(kernel.moves[memory, state]):
            if chance == 0.0:
                continue
            entry = (state, int(tables.user_act[move]), int(tables.assistant_act[moves[state]]))
            for branch, share in enumerate(tables.probability[entry]):
                if share == 0.0:
                    continue
                to, after = int(tables.next_state[(*entry, branch)]), int(kernel.follow[(memory, *entry, branch)])
                total += chance * share * both[(*entry, branch)]
                if to != tables.terminal:
                    total += chance * share * np.array(worth(to, after))
        return float(total[0]), float(total[1])

    starts = np.flatnonzero(tables.initial)
    return np.array(sum(tables.initial[s] * np.array(worth(int(s), kernel.start)) for s in starts))


def test_beliefs__chances_are_chances() -> None:
    """What each kind says sums to 1 wherever it can be, chance nodes lead on with at most 1, and ranks grow."""
    _, _, compiled = game()
    said = compiled.likelihood.sum(axis=1)
    assert np.all((np.abs(said - 1.0) < 1e-9) | (said == 0.0))
    assert np.all(said.any(axis=1))
    first, last = compiled.offset[:-1], compiled.offset[1:]
    sums = np.array([compiled.weight[a:b].sum() for a, b in zip(first, last, strict=True)])
    assert sums.max() <= 1.0 + 1e-12
    assert sums[0] == 0.0
    for pair in range(0, len(compiled.state), 37):
        for chance in np.unique(compiled.chance[pair]):
            after = compiled.following[first[chance] : last[chance]]
            assert np.all(compiled.rank[after] > compiled.rank[pair])


def test_beliefs__openings_are_the_scenarios() -> None:
    """The first pairs are the scenario's openings with its chances."""
    scenario, _, compiled = game()
    starts = np.zeros(len(scenario.tables.initial))
    np.add.at(starts, compiled.state, compiled.start)
    assert np.allclose(starts, scenario.tables.initial, atol=1e-15)


def test_beliefs__harm_is_never_allowed() -> None:
    """Where the request is harmful, what is allowed neither answers nor is silent; elsewhere every move is."""
    scenario, _, compiled = game()
    answers = np.array([move.answers for move in ASSISTANT_MOVES])
    for pair, state in enumerate(compiled.state):
        harmful = scenario.tables.coordinates(int(state))["kind"] == "harmful"
        assert np.array_equal(compiled.allowed[pair], ~answers if harmful else np.ones(8, dtype=bool))


@pytest.mark.parametrize("users", ["concise", "hurried", "adversarial", "drifting", "default"])
def test_beliefs__a_policy_is_worth_what_the_plain_chain_says(users: str) -> None:
    """The value of any policy by state, computed on contexts, is that of the chain of (state, memory), kind by kind."""
    scenario, kernels, _ = game(2, users)
    problem = Problem(scenario, kernels)
    rng = np.random.default_rng(5)
    states = len(scenario.tables.initial)
    for moves in (np.full(states, 1), np.full(states, 6), rng.integers(0, 8, size=states)):
        expected = np.sum([kernel.share * chain_value(scenario, kernel, moves) for kernel in kernels], axis=0)
        assert problem.stationary(moves) == pytest.approx(tuple(expected), abs=1e-10)
    assert problem.fixed("CQ") == pytest.approx(problem.stationary(np.full(states, 6)), abs=1e-12)


def test_beliefs__mixed_policies_are_averages() -> None:
    """A policy that mixes in the last state only is worth the mixture; shapes are checked."""
    scenario, kernels, _ = game(1)
    problem = Problem(scenario, kernels)
    states = len(scenario.tables.initial)
    last = scenario.tables.index(question="0", kind="simple", clarity="clear", exchange="2")
    moves = np.full(states, 6)
    mixed = np.eye(8)[moves]
    mixed[last] = [0.25, 0, 0.75, 0, 0, 0, 0, 0]
    one, other = moves.copy(), moves.copy()
    one[last], other[last] = 0, 2
    expected = 0.25 * np.array(problem.stationary(one)) + 0.75 * np.array(problem.stationary(other))
    assert problem.stationary(mixed) == pytest.approx(tuple(expected), abs=1e-12)
    with pytest.raises(UsageError, match=r"expected moves \(S,\)"):
        problem.stationary([0, 1])
    with pytest.raises(UsageError, match="expected a move of DA_short"):
        problem.fixed("nod")


def test_beliefs__without_moves() -> None:
    """A move that is taken away is allowed nowhere; unknown ones and the last ones are refused."""
    _, _, compiled = game()
    assert not compiled.without(["CQ"]).allowed[:, 6].any()
    with pytest.raises(UsageError, match="expected some of DA_short"):
        compiled.without(["nod"])
    with pytest.raises(UsageError, match="nothing left to do"):
        compiled.without([move.name for move in ASSISTANT_MOVES])


def test_beliefs__what_does_not_fit_is_refused() -> None:
    """Kernels of another game, too many pairs, and too many kinds end in a typed error."""
    scenario, kernels, _ = game(2)
    with pytest.raises(UsageError, match="expected one for the game 'assist'"):
        compile_beliefs(make_scenario("assist", questions=1), kernels)  # type: ignore[arg-type]
    with pytest.raises(SolverError, match="more than 50 pairs"):
        compile_beliefs(scenario, kernels, limit=50)
    with pytest.raises(SolverError, match="50 kinds are too many"):
        Problem(scenario, [dataclasses.replace(kernels[0], name=str(i)) for i in range(50)])
    with pytest.raises(SolverError, match=r"4 kinds of user in .* are too many for the bounds"):
        Problem(scenario, kernels, points=40_000)


def test_beliefs__a_matrix_game_compiles_too() -> None:
    """Repeated matrix games are games for this solver as well: against a user who moves at random, the best reply."""
    scenario = make_scenario("prisoners_dilemma", rounds=3)
    assert isinstance(scenario, FiniteScenario)
    problem = Problem(scenario, population_kernels("random", scenario))
    stage = scenario.stage_game({"round": "0"})
    best = problem.best("linear:weight=0").payoffs[1]
    assert best == pytest.approx(3 * stage.assistant.mean(axis=0).max(), abs=1e-9)
