"""Where a batch of games gets its random numbers from: a stream of its own for every game, or one for all.

Every draw of a compiled game is one double, ``Generator.random()``. Streams of their own are drawn ahead in blocks, and a game
that is replayed alone with the same seed gets the same numbers.

Such a double is a whole number of 2**-53ths. Streams give that number, an integer below 2**53, as comparing and shifting integers
takes fewer passes over an array than sorting doubles into buckets.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from gymnasium.utils import seeding
from numpy.typing import NDArray

__all__ = ["DRAWS", "OneStream", "OwnStreams"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
DRAWS = 2**53
"""So many values a draw can have."""
_BOUND = ("_flat", "_drawn", "_fresh", "_rows", "_fills")
_KEPT = 16
"""Most draws that are left of a block when a new one is drawn; for as many, nobody has to look who needs one."""
_LINE = 8
"""Draws in a cache line."""
_SHORTEST, _LONGEST, _LINES = 33, 129, 2**19
"""Cache lines of draws that a game has, and that all games together should have at most (32 MiB). Long rows save time, as a
generator that is taken up again has left the cache. An odd number, as then neighbouring games do not compete for the same ones.
"""
_AT_ONCE = 16
"""Blocks drawn together: what they are drawn into stays in the cache."""
_COUNTS: Ints = np.arange(3)[:, None]


class OwnStreams:
    """One generator per game, as ``parallel_env`` has one.

    Args:
        games: N.

    Example:
        >>> streams = OwnStreams(2)
        >>> streams.seed(np.arange(2), [7, 8])
        >>> lone = seeding.np_random(8)[0]
        >>> bool(streams.one()[1] / DRAWS == lone.random())
        True
        >>> bool((streams.several(np.array([1]), 2)[:, 0] / DRAWS == lone.random(2)).all())
        True
        >>> streams.generator[1].random() == lone.random()
        True
    """

    def __init__(self, games: int) -> None:
        self.seeds: list[int | None] = [None] * games
        self._generators: list[np.random.Generator | None] = [None] * games
        self._row = _LINE * (min(max(_LINES // games, _SHORTEST), _LONGEST) | 1)
        self._block: Ints = np.zeros((games, self._row), dtype=np.int64)
        self._start: Ints = np.arange(games) * self._row
        self._due: Ints = self._start + self._row - _KEPT
        self._at: Ints = self._start + self._row  # (N,): the next draw, as an index of the flat block
        self._safe = 0  # so many draws every game has at least
        self._bind()

    def _bind(self) -> None:
        self._flat = self._block.reshape(-1)
        self._drawn: Ints = np.zeros(len(self.seeds), dtype=np.int64)
        self._fresh: Floats = np.empty((_AT_ONCE, self._row - _KEPT))
        self._rows = list(self._fresh)
        self._fills = [_filler(generator) for generator in self._generators]

    def seed(self, games: Ints, seeds: Sequence[int | None]) -> None:
        """Give games new generators; ``None`` lets a game's own go on, or makes one from the system's entropy."""
        for game, seed in zip(games.tolist(), seeds, strict=True):
            if seed is None and self._generators[game] is not None:
                continue
            self._generators[game], self.seeds[game] = seeding.np_random(seed)
            self._at[game] = self._start[game] + self._row
            self._safe = 0
            self._fills[game] = _filler(self._generators[game])

    @property
    def generator(self) -> tuple[np.random.Generator, ...]:
        """Every game's generator as it stands: copies, set back by what was drawn ahead."""
        made = []
        for generator, left in zip(self._generators, (self._start + self._row - self._at).tolist(), strict=True):
            twin = copy.deepcopy(generator)
            if twin is None:
                twin = seeding.np_random()[0]
            elif left:
                bits: Any = twin.bit_generator  # a PCG64, which can go back
                bits.advance(-left)
            made.append(twin)
        return tuple(made)

    def one(self) -> Ints:
        """Return the next draw of every game, (N,), in an array that the next call writes on."""
        self._need(1)
        self._flat.take(self._at, out=self._drawn, mode="clip")
        self._at += 1
        return self._drawn

    def unread(self, games: Ints) -> None:
        """Take back the draw that ``one`` has just given to some games."""
        self._at[games] -= 1

    def several(self, games: Ints, count: int) -> Ints:
        """Return the next draws of some games, (count, n) from (n,); ``count`` is at most 3."""
        self._need(count)
        at = self._at[games]
        self._at[games] = at + count
        return self._flat.take(at + _COUNTS[:count], mode="clip")

    def _need(self, count: int) -> None:
        """See to it that every game that is played has so many draws left."""
        if self._safe < count:
            due = np.flatnonzero(self._at >= self._due)
            if due.size:
                self._refill(due)
            self._safe = _KEPT
        self._safe -= count

    def _refill(self, games: Ints) -> None:
        """Move what is left of a block to its front, and draw the rest anew."""
        self._block[games, :_KEPT] = self._block[games, -_KEPT:]
        self._at[games] -= self._row - _KEPT
        fills, fresh, rows = self._fills, self._fresh, self._rows
        for first in range(0, games.size, _AT_ONCE):
            some = games[first : first + _AT_ONCE]
            for game, row in zip(some.tolist(), rows, strict=False):
                fills[game](out=row)
            self._block[some, _KEPT:] = _whole(fresh[: some.size])

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what ``_bind`` makes."""
        return {name: value for name, value in self.__dict__.items() if name not in _BOUND}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Make it again."""
        self.__dict__.update(state)
        self._bind()


class OneStream:
    """One generator for all games: quicker, and a game's numbers depend on its neighbours.

    Args:
        games: N.

    Example:
        >>> stream = OneStream(3)
        >>> stream.seed(np.arange(3), [5])
        >>> stream.one().shape, stream.several(np.array([0, 2]), 2).shape
        ((3,), (2, 2))
    """

    def __init__(self, games: int) -> None:
        self._games = games
        self.seeds: int | None = None
        self._generator: np.random.Generator | None = None

    @property
    def generator(self) -> np.random.Generator:
        """The generator itself."""
        if self._generator is None:
            self._generator, self.seeds = seeding.np_random()
        return self._generator

    def seed(self, games: Ints, seeds: Sequence[int | None]) -> None:
        """Make a new generator from the seeds that are given; go on with the old one where none is."""
        given = [seed for seed in seeds if seed is not None]
        if len(set(given)) == 1:
            self._generator, self.seeds = seeding.np_random(given[0])
        elif given:
            self._generator, self.seeds = np.random.Generator(np.random.PCG64(np.random.SeedSequence(given))), -1

    def one(self) -> Ints:
        """Return a draw for every game, (N,)."""
        return _whole(self.generator.random(self._games))

    def unread(self, games: Ints) -> None:
        """Do nothing: no game has numbers of its own."""

    def several(self, games: Ints, count: int) -> Ints:
        """Return draws for some games, (count, n) from (n,)."""
        return _whole(self.generator.random((count, len(games))))


def _whole(doubles: Floats) -> Ints:
    """Return doubles as whole numbers of 2**-53ths, in their place."""
    doubles *= DRAWS
    return doubles.astype(np.int64)


def _filler(generator: np.random.Generator | None) -> Callable[..., Any]:
    """Return what draws a game's next block into an array; nothing where the game was never seeded."""
    return _unseeded if generator is None else generator.random


def _unseeded(out: Floats) -> None:
    """Draw nothing: nobody plays this game."""
    out[:] = 0.0
