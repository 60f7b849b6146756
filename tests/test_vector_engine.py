"""The engine by itself: games that wait, counted steps, and the number that shows a total."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gtalign_env.finite import FiniteScenario
from gtalign_env.payoffs import GRID
from gtalign_env.registration import make_scenario
from gtalign_env.vector_draws import OwnStreams
from gtalign_env.vector_engine import Engine, squashed

GAMES = 6


def begun(name: str = "assist", **options: Any) -> Engine:
    """Return games that have just begun."""
    scenario = make_scenario(name, **options)
    assert isinstance(scenario, FiniteScenario)
    engine = Engine(scenario, GAMES, OwnStreams(GAMES), ("user", "assistant"))
    engine.draws.seed(np.arange(GAMES), list(range(GAMES)))
    engine.begin(np.arange(GAMES))
    return engine


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.floats(-40.0, 40.0),
            st.integers(-(2**24), 2**24).map(lambda steps: steps * GRID),
            # next to where one float32 turns into the next
            st.integers(1, 2**24 - 1).map(lambda place: math.atanh((place + 0.5) / 2**24 * 2.0 - 1.0)),
            st.sampled_from([0.0, -0.0, -19.5, -25.0, 1e300, -1e300]),
        ),
        min_size=1,
        max_size=40,
    )
)
def test_squashed__is_what_single_games_show(totals: list[float]) -> None:
    """Whatever the total: the float32 of ``0.5 + 0.5 * math.tanh(total)``."""
    shown = np.empty(len(totals), dtype=np.float32)
    squashed(np.array(totals), shown, np.empty((2, len(totals))))
    assert shown.tolist() == [float(np.float32(0.5 + 0.5 * math.tanh(total))) for total in totals]


@pytest.mark.parametrize("name", ["assist", "prisoners_dilemma", "monopoly"])
def test_engine__pays_nothing_to_games_that_wait(name: str) -> None:
    """Whatever games that are to begin anew do in the step before, they are not paid, do not end, and draw nothing."""
    engine, other = begun(name), begun(name)
    idle, moves = np.array([0, 3]), np.arange(GAMES) % 2
    payoffs, ended = engine.advance(moves, moves, idle)
    whole, _ = other.advance(moves, moves)
    playing = np.setdiff1d(np.arange(GAMES), idle)
    assert not payoffs[idle].any()
    assert not ended[idle].any()
    assert payoffs[playing].tolist() == whole[playing].tolist()
    assert engine.illegal[:, idle].all()
    lone = begun(name)
    engine.begin(idle)
    lone.begin(idle)
    for game in idle.tolist():
        assert engine.state(game) == lone.state(game)
    ours, theirs = (one.observe(("user", "assistant"), one.tables.width, idle) for one in (engine, lone))
    for mine, fresh in zip(ours, theirs, strict=True):
        assert mine["observation"].tobytes() == fresh["observation"].tobytes()


def test_engine__leaves_games_alone_that_do_not_take_part() -> None:
    """``advance_some`` keeps states, last moves, steps and the place in every stream of the others."""
    engine, other = begun(), begun()
    moves = np.zeros(GAMES, dtype=np.int64)
    some = np.array([True, False, True, False, False, True])
    for one in (engine, other):
        one.advance(moves + 9, moves + 7)
    before = [engine.state(game) for game in range(GAMES)]
    payoffs, ended = engine.advance_some(some, moves, moves)
    assert not payoffs[~some].any()
    assert not ended[~some].any()
    assert [engine.state(game) == before[game] for game in range(GAMES)] == (~some).tolist()
    assert engine.steps.tolist() == [2 if played else 1 for played in some]
    assert engine.illegal[:, ~some].tolist() == other.illegal[:, ~some].tolist()
    engine.advance_some(~some, moves, moves)
    other.advance(moves, moves)
    assert [engine.state(game) for game in range(GAMES)] == [other.state(game) for game in range(GAMES)]


def test_engine__tells_which_games_it_has_ended() -> None:
    """``finished`` are the indices of what ``advance`` returns as a mask."""
    engine = begun("prisoners_dilemma", rounds=1)
    moves = np.zeros(GAMES, dtype=np.int64)
    ended = engine.advance(moves, moves, np.array([4]))[1]
    assert engine.finished.tolist() == [0, 1, 2, 3, 5] == np.flatnonzero(ended).tolist()
