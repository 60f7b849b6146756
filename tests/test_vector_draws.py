"""Streams of random numbers for many games, and drawing from distributions by integers."""

import bisect
import copy
import pickle
from typing import Any

import numpy as np
import pytest
from gymnasium.utils import seeding
from hypothesis import given, settings
from hypothesis import strategies as st

from gtalign_env import vector_draws
from gtalign_env.vector_draws import DRAWS, OneStream, OwnStreams
from gtalign_env.vector_tables import BUCKETS, Lots

GAMES = 5


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Columns of 24 draws, so that games need new ones all the time, made for three games at a time."""
    monkeypatch.setattr(vector_draws, "_SHORTEST", 24)
    monkeypatch.setattr(vector_draws, "_LONGEST", 24)
    monkeypatch.setattr(vector_draws, "_AT_ONCE", 3)


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize(
    "twin", [lambda streams: streams, copy.deepcopy, lambda streams: pickle.loads(pickle.dumps(streams))]
)
def test_own_streams__give_what_lone_generators_give(twin: Any) -> None:
    """Whichever games draw, one or several at a time, with draws taken back: every game's numbers are its generator's own."""
    streams = OwnStreams(GAMES)
    streams.seed(np.arange(GAMES), list(range(GAMES)))
    alone = [seeding.np_random(seed)[0] for seed in range(GAMES)]
    rng = np.random.default_rng(0)
    for turn in range(300):
        games = np.flatnonzero(rng.random(GAMES) < 0.4)
        drawn = streams.one().copy()
        streams.unread(games)
        assert drawn[games].tolist() == [int(copy.deepcopy(alone[game]).random() * DRAWS) for game in games]
        others = np.setdiff1d(np.arange(GAMES), games)
        assert (drawn[others] / DRAWS).tolist() == [alone[game].random() for game in others]
        count = int(rng.integers(1, 4))
        several = streams.several(games, count) / DRAWS
        assert several.T.tolist() == [alone[game].random(count).tolist() for game in games]
        if turn == 100:
            streams = twin(streams)
        if turn == 200:
            streams.seed(np.array([1, 2]), [77, None])
            alone[1] = seeding.np_random(77)[0]
    assert [one.random() for one in streams.generator] == [one.random() for one in alone]


@pytest.mark.usefixtures("short")
def test_own_streams__keep_what_slow_games_have_not_read() -> None:
    """One game may draw hundreds of times while the others wait: theirs are their next draws, whenever they ask."""
    streams = OwnStreams(GAMES)
    streams.seed(np.arange(GAMES), list(range(GAMES)))
    alone = [seeding.np_random(seed)[0] for seed in range(GAMES)]
    for _ in range(200):
        assert (streams.several(np.array([2]), 3)[:, 0] / DRAWS).tolist() == alone[2].random(3).tolist()
    assert (streams.one() / DRAWS).tolist() == [generator.random() for generator in alone]


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("games", [[1], [0, 4], [0, 1, 2, 3, 4]])
@pytest.mark.parametrize("before", range(26))
def test_own_streams__take_a_new_seed_at_any_moment(before: int, games: list[int]) -> None:
    """A game that is seeded anew, wherever the others are, draws from its new generator, and the others go on."""
    streams = OwnStreams(GAMES)
    streams.seed(np.arange(GAMES), list(range(GAMES)))
    alone = [seeding.np_random(seed)[0] for seed in range(GAMES)]
    for _ in range(before):
        assert (streams.one() / DRAWS).tolist() == [generator.random() for generator in alone]
    streams.seed(np.array(games), [70 + game for game in games])
    for game in games:
        alone[game] = seeding.np_random(70 + game)[0]
    twins = [generator.random() for generator in streams.generator]
    assert twins == [copy.deepcopy(generator).random() for generator in alone]
    for _ in range(60):
        assert (streams.one() / DRAWS).tolist() == [generator.random() for generator in alone]


@pytest.mark.usefixtures("short")
def test_own_streams__leave_games_alone_that_were_never_seeded() -> None:
    """Games that nobody has begun cost nothing and break nothing; their generator is a fresh one."""
    streams = OwnStreams(GAMES)
    streams.seed(np.array([3]), [8])
    lone = seeding.np_random(8)[0]
    for _ in range(60):
        drawn = streams.one()
        assert drawn[3] / DRAWS == lone.random()
        assert drawn.min() >= 0
        assert drawn.max() < DRAWS
    assert streams.generator[0].bit_generator.state != streams.generator[1].bit_generator.state


def test_own_streams__keep_to_their_share_of_memory() -> None:
    """A few games draw far ahead, very many about 2 KiB each."""
    assert OwnStreams(1)._block.nbytes == OwnStreams(4096)._block.nbytes // 4096 == 129 * 64
    assert OwnStreams(65_536)._block.nbytes // 65_536 == 33 * 64
    assert OwnStreams(10_000)._block.nbytes < 33 * 2**20


def test_one_stream__gives_the_doubles_of_its_generator() -> None:
    """The integers are the generator's doubles, in their order."""
    stream = OneStream(4)
    stream.seed(np.arange(4), [3, 3, None, 3])
    lone = seeding.np_random(3)[0]
    assert (stream.one() / DRAWS).tolist() == lone.random(4).tolist()
    assert (stream.several(np.array([1, 2]), 3) / DRAWS).tolist() == lone.random((3, 2)).tolist()


bounds = st.one_of(
    st.floats(0.0, 1.0),
    st.integers(0, 64).map(lambda bucket: bucket / 64),
    st.floats(0.5, 0.5 + 2.0**-20),  # many in one bucket
    st.just(1.0 + 2.0**-52),  # as sums of chances come out
)
near = st.integers(-2, 2)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.lists(bounds, min_size=3, max_size=3).map(sorted), min_size=1, max_size=3),
    near,
    st.integers(0, DRAWS - 1),
)
def test_lots__count_the_bounds_at_or_below_a_draw(rows: list[list[float]], off: int, drawn: int) -> None:
    """Exactly as ``bisect_right`` counts them, at the bounds, at the edges of buckets and anywhere else."""
    lots = Lots(np.array(rows))
    for number, row in enumerate(rows):
        edges = [int(bound * DRAWS) + off for bound in row] + [drawn, drawn >> 47 << 47, 0, DRAWS - 1]
        draws = np.clip(np.array(edges), 0, DRAWS - 1)
        found = lots(draws, np.full(len(draws), number * BUCKETS))
        assert found.tolist() == [bisect.bisect_right(row, draw / DRAWS) for draw in draws.tolist()]


def test_lots__of_one_outcome_need_no_bounds() -> None:
    """Where nothing is left to chance every draw gives outcome 0."""
    lots = Lots(np.zeros((2, 0)))
    draws = np.array([0, DRAWS - 1])
    assert lots(draws).tolist() == lots(draws, np.array([BUCKETS, BUCKETS])).tolist() == [0, 0]
