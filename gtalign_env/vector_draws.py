"""Where a batch of games gets its random numbers from: a stream of its own for every game, or one for all.

Every draw of a compiled game is one double, ``Generator.random()``. Streams of their own are drawn ahead in blocks, and a game
that is replayed alone with the same seed gets the same numbers.

Such a double is a whole number of 2**-53ths: the upper 53 bits of what the bit generator gives. Streams give that number, an
integer below 2**53, as comparing and shifting integers takes fewer passes over an array than sorting doubles into buckets.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from gymnasium.utils import seeding
from numpy.typing import NDArray

__all__ = ["DRAWS", "OneStream", "OwnStreams"]

Ints = NDArray[np.int64]
Raw = NDArray[np.uint64]
DRAWS = 2**53
"""So many values a draw can have."""
_SPARE: Raw = np.array(11, dtype=np.uint64)
"""Bits of a 64-bit number that a double has no room for."""
_MOST = 3
"""Draws that are taken at a time, at most."""
_SHORTEST, _LONGEST, _ALL = 264, 1032, 1032 * 2**12
"""Draws that a game has ahead, and that all games together should have at most (32 MiB). Long columns save time, as a generator
that is taken up again has left the cache."""
_AT_ONCE = 64
"""Games whose draws are made together: what they are made in stays in the cache."""
_BOUND = ("_flat", "_row", "_down", "_fresh", "_sources")


class OwnStreams:
    """One generator per game, as ``parallel_env`` has one.

    All games' draws stand in one block, a row for each draw and a column for each game. Games read down their columns at nearly
    the same pace, so that those read in one step lie close together. When the first game is through, all begin at the top again,
    with what they have not read and new draws below it.

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
        self._games = games
        self._rows = min(max(_ALL // games, _SHORTEST), _LONGEST)
        self._block: Ints = np.zeros((self._rows, games), dtype=np.int64)
        self._at: Ints = np.arange(games)  # (N,): the next draw, as an index of the flat block
        self._new: set[int] = set()  # games whose generators nothing was drawn from
        self._safe = 0  # so many draws every game has at least
        self._bind()

    def _bind(self) -> None:
        self._flat = self._block.reshape(-1)
        self._row: Ints = np.array(self._games)  # NumPy is quicker with such an array than with a Python number
        self._down: Ints = np.arange(_MOST)[:, None] * self._games  # to the next draws of a column
        self._fresh: Raw = np.zeros((min(_AT_ONCE, self._games), self._rows), dtype=np.uint64)
        self._sources = [_source(generator) for generator in self._generators]

    def seed(self, games: Ints, seeds: Sequence[int | None]) -> None:
        """Give games new generators; ``None`` lets a game's own go on, or makes one from the system's entropy."""
        for game, seed in zip(games.tolist(), seeds, strict=True):
            if seed is None and self._generators[game] is not None:
                continue
            self._generators[game], self.seeds[game] = seeding.np_random(seed)
            self._sources[game] = _source(self._generators[game])
            self._new.add(game)
            self._safe = 0

    @property
    def generator(self) -> tuple[np.random.Generator, ...]:
        """Every game's generator as it stands: copies, set back by what was drawn ahead."""
        made = []
        for game, row in enumerate((self._at // self._games).tolist()):
            twin = copy.deepcopy(self._generators[game])
            if twin is None:
                twin = seeding.np_random()[0]
            elif game not in self._new:
                bits: Any = twin.bit_generator  # a PCG64, which can go back
                bits.advance(row - self._rows)
            made.append(twin)
        return tuple(made)

    def one(self, out: Ints | None = None) -> Ints:
        """Return the next draw of every game, (N,), in ``out`` if it is given."""
        self._need(1)
        drawn = self._flat.take(self._at, out=out, mode="clip")
        self._at += self._row
        return drawn

    def unread(self, games: Ints) -> None:
        """Take back the draw that ``one`` has just given to some games."""
        self._at[games] -= self._row

    def several(self, games: Ints, count: int) -> Ints:
        """Return the next draws of some games, (count, n) from (n,); ``count`` is at most 3."""
        self._need(count)
        at = self._at.take(games)
        self._at[games] = at + count * self._games
        return self._flat.take(at + self._down[:count], mode="clip")

    def _need(self, count: int) -> None:
        """See to it that every game has so many draws left."""
        if self._safe < count:
            if self._new:
                self._begin()
            if self._rows - self._front() < _MOST:
                self._go_on()
            self._safe = self._rows - self._front()
        self._safe -= count

    def _front(self) -> int:
        """Return the row of the game that is ahead of all others."""
        return int(self._at.max()) // self._games

    def _begin(self) -> None:
        """Give new games their draws, beside those that the others are at."""
        row = self._front() if len(self._new) < self._games else 0
        games = np.array(sorted(self._new))
        self._new.clear()
        self._at[games] = row * self._games + games
        for first in range(0, games.size, _AT_ONCE):
            some = games[first : first + _AT_ONCE]
            fresh = self._fresh[: some.size, row:]
            for game, line in zip(some.tolist(), fresh, strict=True):
                np.right_shift(self._sources[game](self._rows - row), _SPARE, line)
            self._block[row:, some] = fresh.T

    def _go_on(self) -> None:
        """Move every game's draws to the top of its column, and draw new ones below them."""
        starts = (self._at // self._games).tolist()
        least = min(starts)
        for first in range(0, self._games, _AT_ONCE):
            some = slice(first, first + _AT_ONCE)
            old = self._block[least:, some].copy().view(np.uint64)
            fresh = self._fresh[: old.shape[1]]
            for place, (start, source) in enumerate(zip(starts[some], self._sources[some], strict=True)):
                line = fresh[place]
                line[: self._rows - start] = old[start - least :, place]
                np.right_shift(source(start), _SPARE, line[self._rows - start :])
            self._block[:, some] = fresh.T
        self._at[:] = np.arange(self._games)

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

    def one(self, out: Ints | None = None) -> Ints:
        """Return a draw for every game, (N,); ``out`` is not needed."""
        return self._whole(self._games)

    def unread(self, games: Ints) -> None:
        """Do nothing: no game has numbers of its own."""

    def several(self, games: Ints, count: int) -> Ints:
        """Return draws for some games, (count, n) from (n,)."""
        return self._whole((count, len(games)))

    def _whole(self, size: int | tuple[int, int]) -> Ints:
        """Return draws in this shape."""
        drawn = self.generator.bit_generator.random_raw(size)
        drawn >>= _SPARE
        return drawn.view(np.int64)


def _source(generator: np.random.Generator | None) -> Callable[[int], Raw]:
    """Return what gives so many numbers of 64 bits; zeros where nobody plays the game, as it was never seeded."""
    return _zeros if generator is None else generator.bit_generator.random_raw


def _zeros(count: int) -> Raw:
    return np.zeros(count, dtype=np.uint64)
