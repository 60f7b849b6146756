"""The batched users: the chances and memories of their kernels, game by game, whoever is reset when."""

from __future__ import annotations

import dataclasses
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from gtalign_env import parallel_env
from gtalign_env.agents.assistants import make_assistant
from gtalign_env.agents.users import population, population_kernels
from gtalign_env.crowd import Crowd
from gtalign_env.errors import UsageError
from gtalign_env.finite import FiniteScenario
from gtalign_env.kernels import UserKernel
from gtalign_env.play import play_many
from gtalign_env.pricing import make_pricing
from gtalign_env.registration import make_scenario
from gtalign_env.types import ASSISTANT_MOVES, AssistantMove, UserType


def game(**options: Any) -> FiniteScenario:
    """Return an ``assist`` game."""
    made = make_scenario("assist", **options)
    assert isinstance(made, FiniteScenario)
    return made


class Grid:
    """A generator whose ``random(n)`` gives n numbers spread evenly over [0, 1), instead of random ones."""

    def random(self, size: int) -> NDArray[np.float64]:
        """Return the middles of n equal parts."""
        grid: NDArray[np.float64] = (np.arange(size) + 0.5) / size
        return grid


class Edges:
    """A generator that gives the least and the greatest number that a real one can give."""

    def random(self, size: int) -> NDArray[np.float64]:
        """Return 0 and the largest double below 1 by turns."""
        edges: NDArray[np.float64] = np.resize([0.0, 1.0 - 2.0**-53], size)
        return edges


def speaker(row: Any) -> UserKernel:
    """Return a kernel that always speaks by one distribution, in a game of two states."""
    moves = np.tile(np.asarray(row, dtype=float), (1, 2, 1))
    return UserKernel(
        name="speaker", user_type=UserType(), share=1.0, moves=moves, follow=np.zeros((1, 2, 1, 1, 1), dtype=np.int16)
    )


# -- moves ------------------------------------------------------------------------------------------------------------


@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=12).filter(lambda weights: sum(weights) > 1e-3))
def test_act__gives_each_move_its_share_of_the_unit_interval(weights: list[float]) -> None:
    """Over an even grid of draws every move comes as often as its chance says, to within a point of the grid per part."""
    row, count = np.array(weights) / sum(weights), 24_000
    crowd = Crowd([[speaker(row)]], count)
    moves = crowd.act(np.zeros(count, dtype=np.int64), Grid())  # type: ignore[arg-type]
    found = np.bincount(moves, minlength=len(row)) / count
    np.testing.assert_allclose(found, row, rtol=0.0, atol=2.0 * len(row) / count)
    assert not found[row == 0.0].any()


@given(st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_act__never_draws_what_has_no_chance(width: int, seed: int) -> None:
    """Neither at the ends of the interval nor through rounding, however many moves have none."""
    rng = np.random.default_rng(seed)
    weights = rng.random(width) * (rng.random(width) < 0.3)
    weights[int(rng.integers(width))] = 1.0 / 3.0
    crowd = Crowd([[speaker(weights / weights.sum())]], 512)
    for draws in (Grid(), Edges(), rng):
        moves = crowd.act(np.zeros(512, dtype=np.int64), draws)  # type: ignore[arg-type]
        assert (weights[moves] > 0.0).all()


def test_act__goes_by_kind_memory_and_state() -> None:
    """In any mixture of kinds, memories and states: the frequencies of 200,000 moves, row by row, within five standard errors."""
    scenario, rng = game(questions=2), np.random.default_rng(5)
    kernels = population_kernels("hurried,adversarial", scenario)
    count = 200_000
    crowd = Crowd([kernels], count)
    crowd.reset(rng)
    crowd.follow(rng.integers(0, scenario.tables.next_state.size, count))
    public = rng.choice([0, 3, 20, 33], count)
    moves, memory = crowd.act(public, rng), crowd.memory
    cells, which = np.unique(np.stack([crowd.kind, memory, public]), axis=1, return_inverse=True)
    for index, (kind, remembered, state) in enumerate(cells.T.tolist()):
        drawn, row = moves[which.reshape(-1) == index], kernels[kind].moves[remembered, state]
        found = np.bincount(drawn, minlength=len(row))
        assert not found[row == 0.0].any()
        if len(drawn) >= 500:
            assert (np.abs(found / len(drawn) - row) <= 5.0 * np.sqrt(row * (1.0 - row) / len(drawn)) + 1e-12).all()
    assert len(set(crowd.kind.tolist())) == len(kernels) == 6


def test_act__in_an_ended_game_is_harmless() -> None:
    """Where the session is over there is a move all the same."""
    scenario, rng = game(questions=1), np.random.default_rng(0)
    crowd = Crowd([population_kernels("concise", scenario)], 3)
    assert crowd.act(np.full(3, scenario.tables.terminal), rng).tolist() == [0, 0, 0]


# -- memories ---------------------------------------------------------------------------------------------------------


def test_follow__is_that_of_each_game_s_kernel() -> None:
    """Three exchanges of 3,000 games by random entries, against the kernels' own tables, looked up one by one."""
    scenario, rng = game(), np.random.default_rng(2)
    kernels = population_kernels("hurried,detailed,thrifty", scenario)
    crowd = Crowd([kernels], 3000)
    crowd.reset(rng)
    expected = np.array([kernels[kind].start for kind in crowd.kind])
    for _ in range(3):
        entries = rng.integers(0, scenario.tables.next_state.size, 3000)
        crowd.follow(entries)
        expected = np.array(
            [kernels[k].follow[m].flat[e] for k, m, e in zip(crowd.kind, expected, entries, strict=True)],
            dtype=np.int64,
        )
        assert crowd.memory.tolist() == expected.tolist()
    assert len(set(crowd.memory.tolist())) > 10


@pytest.mark.parametrize("by_mask", [True, False])
def test_follow__and_reset_touch_the_named_games_only(by_mask: bool) -> None:
    """A mask and indices mean the same games; the others keep their user and its memory."""
    scenario, rng = game(), np.random.default_rng(4)
    crowd = Crowd([population_kernels("default", scenario)], 64)
    crowd.reset(rng)
    crowd.follow(rng.integers(0, scenario.tables.next_state.size, 64))
    mask = np.arange(64) % 3 == 0
    which = mask if by_mask else np.flatnonzero(mask)
    for reseat in (False, True):
        kind, memory = crowd.kind.copy(), crowd.memory
        if reseat:
            crowd.reset(rng, which)
        else:
            crowd.follow(rng.integers(0, scenario.tables.next_state.size, int(mask.sum())), which)
        assert (crowd.kind[~mask].tolist(), crowd.memory[~mask].tolist()) == (
            kind[~mask].tolist(),
            memory[~mask].tolist(),
        )
        assert crowd.memory[mask].tolist() != memory[mask].tolist()
    assert not crowd.memory[mask].any()


def test_reset__of_no_games_draws_nothing() -> None:
    """An empty mask leaves users and generator as they are."""
    crowd, rng = Crowd([population_kernels("default", game())], 8), np.random.default_rng(0)
    crowd.reset(rng)
    kind, state = crowd.kind.copy(), rng.bit_generator.state
    crowd.reset(rng, np.zeros(8, dtype=bool))
    assert (crowd.kind.tolist(), rng.bit_generator.state) == (kind.tolist(), state)


# -- who comes --------------------------------------------------------------------------------------------------------


def test_reset__draws_kinds_by_their_shares_under_each_price() -> None:
    """Kinds of one price are never seated under another; over an even grid of draws each comes as often as its share says."""
    scenario, prices = game(), [make_pricing(name) for name in ("subscription", "per_token")]
    groups = [population_kernels("default", scenario), population_kernels("chatty", scenario, prices[1])]
    crowd, pricing = Crowd(groups, 60_000), np.repeat([0, 1], 30_000)
    assert crowd.pricing.tolist() == [0, 0, 0, 0, 1, 1]
    assert [theta.name for theta in crowd.user_types] == [
        "concise",
        "detailed",
        "balanced",
        "hurried",
        "chatty",
        "chatty_brief",
    ]
    for half in (0, 1):
        crowd.reset(Grid(), pricing == half, pricing=half)  # type: ignore[arg-type]
    found = np.bincount(crowd.kind, minlength=6) / 30_000
    np.testing.assert_allclose(found, [0.35, 0.35, 0.15, 0.15, 2 / 3, 1 / 3], atol=1e-3)
    crowd.reset(np.random.default_rng(0), pricing=pricing)
    assert (crowd.pricing[crowd.kind] == pricing).all()
    assert not crowd.memory.any()


def test_reset__seats_the_kinds_that_it_is_told() -> None:
    """Named kinds are seated without a draw, one for all or one each."""
    crowd, rng = Crowd([population_kernels("default", game())], 4), np.random.default_rng(0)
    before = rng.bit_generator.state
    crowd.reset(rng, kind=3)
    assert crowd.kind.tolist() == [3, 3, 3, 3]
    crowd.reset(rng, np.array([2, 0]), kind=np.array([1, 2]))
    assert crowd.kind.tolist() == [2, 3, 1, 3]
    assert rng.bit_generator.state == before


def test_crowd__is_the_same_for_the_same_seed() -> None:
    """Equal seeds give equal users and moves, other seeds others."""

    def play(seed: int) -> list[Any]:
        crowd, rng = Crowd([population_kernels("default", game())], 50), np.random.default_rng(seed)
        crowd.reset(rng)
        return [crowd.kind.tolist(), crowd.act(np.zeros(50, dtype=np.int64), rng).tolist()]

    assert play(1) == play(1) != play(2)


def test_crowd__starts_with_the_memory_that_kernels_start_with() -> None:
    """A kernel may start with any of its memories."""
    (kernel,) = population_kernels("concise", game())
    crowd = Crowd([[dataclasses.replace(kernel, start=3), kernel]], 2)
    crowd.reset(np.random.default_rng(0), kind=np.array([1, 0]))
    assert crowd.memory.tolist() == [0, 3]


# -- whole sessions ---------------------------------------------------------------------------------------------------


def test_crowd__fares_as_the_personas_do() -> None:
    """Against medium answers, nothing harmful asked: the user's payoff of 20,000 sessions in arrays and of 1,000
    of the real personas, within four standard errors of the difference.
    """
    scenario = game(p_harmful=0.0)
    answer = ASSISTANT_MOVES.index(AssistantMove("AQ", "medium"))
    batched = in_arrays(scenario, answer, games=20_000)
    played = play_many(
        parallel_env(scenario), population("default"), make_assistant("fixed:AQ_medium"), episodes=1000, seed=1
    )
    real = np.array([sum(step.user.payoff for step in episode.steps) for episode in played])
    error = np.sqrt(batched.var() / len(batched) + real.var() / len(real))
    assert batched.mean() == pytest.approx(real.mean(), abs=4.0 * error)
    assert error < 0.04


def in_arrays(scenario: FiniteScenario, answer: int, *, games: int) -> NDArray[np.float64]:
    """Return the user's payoff of whole sessions against one move: the bare tables, and a crowd."""
    tables, rng = scenario.tables, np.random.default_rng(0)
    crowd = Crowd([population_kernels("default", scenario)], games)
    crowd.reset(rng)
    payoffs = np.stack(
        [scenario.payoff_tables(theta, scenario.pricing).user.sum(axis=-1) for theta in crowd.user_types]
    )
    state = rng.choice(len(tables.initial), games, p=tables.initial)
    total = np.zeros(games)
    cumulative = tables.probability.cumsum(axis=-1)
    while (state != tables.terminal).any():
        act = tables.user_act[crowd.act(state, rng)]
        branch = (
            (cumulative[state, act, answer] <= rng.random(games)[:, None])
            .sum(axis=1)
            .clip(max=cumulative.shape[-1] - 1)
        )
        entry = np.ravel_multi_index((state, act, np.full(games, answer), branch), tables.next_state.shape)
        total += np.where(state == tables.terminal, 0.0, payoffs.reshape(len(payoffs), -1)[crowd.kind, entry])
        crowd.follow(entry)
        state = tables.next_state.reshape(-1)[entry].astype(np.int64)
    return total


# -- errors -----------------------------------------------------------------------------------------------------------


def test_crowd__refuses_what_is_no_crowd() -> None:
    """No kernels, a pricing without any, games of different sizes, and numbers of games that mean nothing."""
    concise = population_kernels("concise", game())
    for kernels, games, message in (
        ([], 1, "at least one user kernel"),
        ([concise, []], 1, "at least one user kernel for every pricing"),
        ([concise, population_kernels("concise", game(questions=2))], 1, "games of different sizes"),
        ([concise], 0, "an integer >= 1 of games, got 0"),
        ([concise], True, "an integer >= 1 of games, got True"),
        ([concise], 1.0, "an integer >= 1 of games, got 1.0"),
    ):
        with pytest.raises(UsageError, match=message):
            Crowd(kernels, games)  # type: ignore[arg-type]


def test_reset__refuses_kinds_and_prices_that_there_are_not() -> None:
    """The message names the range."""
    crowd, rng = Crowd([population_kernels("default", game())], 2), np.random.default_rng(0)
    with pytest.raises(UsageError, match="expected a pricing from 0 to 0, got 1"):
        crowd.reset(rng, pricing=1)
    with pytest.raises(UsageError, match=r"expected a kind from 0 to 3, got array\(\[ 0, -1\]\)"):
        crowd.reset(rng, kind=np.array([0, -1]))
    assert Counter(crowd.kind.tolist()) == {0: 2}
