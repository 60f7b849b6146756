"""Users for many games at once, drawn and played in arrays: what the batched engine seats opposite a learner.

A ``Crowd`` plays ``UserKernel``s exactly: the same chances as the personas that they were compiled from, one move and one memory
per game, and no loop over games.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gtalign_env.errors import UsageError
from gtalign_env.kernels import UserKernel
from gtalign_env.types import UserType

__all__ = ["Crowd"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Games = NDArray[np.bool_] | NDArray[np.integer[Any]]
"""Some of the games: a mask (N,), or indices (n,)."""


class Crowd:
    """One user per game, drawn from kernels by their shares.

    Shapes: N games; K kinds: the kernels of all pricings, one list after the other.

    Args:
        kernels: One sequence of kernels per pricing, as ``population_kernels`` gives them; all for the tables of one game.
        games: N.

    Attributes:
        kernels: (K,) the kernels.
        user_types: (K,) θ of each kind.
        pricing: (K,) the pricing that each kind belongs to, as an index of ``kernels`` as given: payoffs of kind k are those of
            ``scenario.ledger(user_types[k], pricings[pricing[k]])``.
        kind: (N,) the kind of each game's user. To be read only; ``reset`` writes on it in place.

    Raises:
        UsageError: There is no kernel, or the kernels belong to different games.

    Example:
        >>> from gtalign_env.registration import load, make_scenario
        >>> scenario, rng = make_scenario("assist"), np.random.default_rng(0)
        >>> crowd = Crowd([load("gtalign_env.agents.users:population_kernels")("concise=3,detailed", scenario)], games=1000)
        >>> crowd.reset(rng)
        >>> moves = crowd.act(np.zeros(1000, dtype=np.int64), rng)  # 1,000 users speak in the first state
        >>> sorted({scenario.tables.user_moves[move] for move in moves})
        ['DQ_none', 'VQ_none']
        >>> crowd.kind.shape, [user_type.name for user_type in crowd.user_types]
        ((1000,), ['concise', 'detailed'])
    """

    def __init__(self, kernels: Sequence[Sequence[UserKernel]], games: int) -> None:
        self.kernels: tuple[UserKernel, ...] = tuple(itertools.chain.from_iterable(kernels))
        _check(kernels, games)
        self.user_types: tuple[UserType, ...] = tuple(kernel.user_type for kernel in self.kernels)
        counts = [len(group) for group in kernels]
        self.pricing: Ints = np.repeat(np.arange(len(counts)), counts)
        self._states, self._moves = self.kernels[0].moves.shape[1:]
        self._entries = self.kernels[0].follow[0].size
        # Memories are numbered through all kinds, so that a move depends on the memory and the state alone.
        self._base: Ints = np.cumsum([0, *(kernel.memories for kernel in self.kernels)])[:-1]
        self._start: Ints = self._base + np.array([kernel.start for kernel in self.kernels])
        self._draw_kinds = _Draw(*_by_pricing(kernels))
        rows, self._row = _distinct(np.concatenate([kernel.moves for kernel in self.kernels]).reshape(-1, self._moves))
        self._draw_moves = _Draw(rows, np.tile(np.arange(self._moves), (len(rows), 1)))
        self._index_follow()
        self.kind: Ints = np.zeros(games, dtype=np.int64)
        self._memory: Ints = np.full(games, self._start[0])
        self._line: Ints = np.zeros(games, dtype=np.int64)  # (N,): where the entries of each game's kind begin

    @property
    def memory(self) -> Ints:
        """(N,): the memory of each user, as its kernel numbers it; a new array."""
        memory: Ints = self._memory - self._base[self.kind]
        return memory

    def reset(
        self,
        rng: np.random.Generator,
        which: Games | None = None,
        *,
        pricing: NDArray[np.integer[Any]] | int = 0,
        kind: NDArray[np.integer[Any]] | int | None = None,
    ) -> None:
        """Seat new users, each with the memory that it starts with.

        Args:
            rng: Gives one double per game that is reset, in the order of ``which``.
            which: The games, as a mask (N,) or as indices (n,); all when ``None``.
            pricing: The pricing of each of these games: (n,), or one for all.
            kind: The kinds to seat, (n,) or one for all; then nothing is drawn. Drawn by their shares when ``None``.

        Raises:
            UsageError: There is no such pricing or kind.
        """
        games = slice(None) if which is None else np.flatnonzero(which) if which.dtype == bool else which
        count = len(self.kind[games])
        if kind is None:
            _within("pricing", pricing, int(self.pricing[-1]) + 1)
            kind = self._draw_kinds(np.broadcast_to(np.asarray(pricing, dtype=np.int64), (count,)), rng)
        else:
            _within("kind", kind, len(self.kernels))
        self.kind[games] = kind
        self._line[games] = self.kind[games] * self._entries
        self._memory[games] = self._start[self.kind[games]]

    def act(self, public: NDArray[np.integer[Any]], rng: np.random.Generator) -> Ints:
        """Return each user's move in its game's public state.

        Args:
            public: (N,) the public states; where a game is over the move means nothing.
            rng: Gives N doubles.

        Returns:
            (N,) indices of the scenario's user moves, a new array.
        """
        place = self._memory * self._states
        place += public
        return self._draw_moves(np.take(self._row, place, mode="clip"), rng)

    def follow(self, entries: NDArray[np.integer[Any]], which: Games | None = None) -> None:
        """Let each user remember an exchange.

        Args:
            entries: (N,), or (n,) of the games in ``which``: the table entry of the exchange, flat over (state, user act,
                assistant act, branch).
            which: The games that were played, as a mask (N,) or as indices (n,); all when ``None``.
        """
        if which is None:
            felt = np.take(self._felt, self._line + entries, mode="clip")
            np.take(self._step, self._memory * self._feelings + felt, out=self._memory, mode="clip")
            return
        felt = np.take(self._felt, self._line[which] + entries, mode="clip")
        self._memory[which] = self._step[self._memory[which] * self._feelings + felt]

    def _index_follow(self) -> None:
        """Split each kind's ``follow`` into how an entry felt, (K, entries), and what a memory makes of it, (memories, feelings).

        A memory seldom looks at more than a few things, so two small tables replace one of gigabytes.
        """
        felt, steps = zip(*(_feelings(kernel) for kernel in self.kernels), strict=True)
        self._feelings = max(step.shape[1] for step in steps)
        padded = [np.pad(step, ((0, 0), (0, self._feelings - step.shape[1]))) for step in steps]
        numbered = [step + base for step, base in zip(padded, self._base, strict=True)]
        self._felt: NDArray[np.int32] = np.concatenate(felt)
        self._step: Ints = np.concatenate(numbered).reshape(-1)


class _Draw:
    """Draws from one of many distributions per game by the alias method: one double, two reads, whatever their size.

    Args:
        weights: (R, C) distributions, each row >= 0; a row of zeros always gives its first value.
        values: (R, C) what is drawn.

    Source: Walker (1977), "An efficient method for generating discrete random variables with general distributions";
    the tables are built as in Vose (1991).
    """

    def __init__(self, weights: Floats, values: NDArray[np.integer[Any]]) -> None:
        rows, self._width = weights.shape
        aliases = np.empty((rows, self._width), dtype=np.int64)
        upto = np.empty((rows, self._width))
        for row in range(rows):
            upto[row], aliases[row] = _alias(weights[row])
        upto += np.arange(self._width)  # compared with the whole draw, not with its fraction
        self._upto: Floats = upto.reshape(-1)
        own_and_other = np.stack([np.take_along_axis(values, aliases, axis=1), values], axis=-1)  # (R, C, 2)
        self._values: Ints = own_and_other.astype(np.int64).reshape(-1)

    def __call__(self, rows: NDArray[np.integer[Any]], rng: np.random.Generator) -> Ints:
        """Draw one value from each of these rows, (n,)."""
        drawn = rng.random(len(rows))
        drawn *= self._width  # < width: the largest double below 1 rounds down
        place = drawn.astype(np.int64)
        place += rows * self._width
        kept = drawn < np.take(self._upto, place, mode="clip")
        place *= 2
        place += kept
        return np.take(self._values, place, mode="clip")


def _alias(weights: Floats) -> tuple[Floats, Ints]:
    """Return for each column the share of it that is its own, and the column that has the rest."""
    count = len(weights)
    total = weights.sum()
    if total == 0.0:
        return np.zeros(count), np.zeros(count, dtype=np.int64)
    left = weights * (count / total)
    own, other = np.ones(count), np.arange(count)
    small = [i for i in range(count) if left[i] < 1.0]
    large = [i for i in range(count) if left[i] >= 1.0]
    while small and large:
        low, high = small.pop(), large[-1]
        own[low], other[low] = left[low], high
        left[high] -= 1.0 - left[low]
        if left[high] < 1.0:
            small.append(large.pop())
    # Who is left over in either list holds 1 but for rounding, and keeps all of its column: those of weight 0 never are.
    return own, other


def _by_pricing(kernels: Sequence[Sequence[UserKernel]]) -> tuple[Floats, Ints]:
    """Return shares and numbers of the kinds, each (pricings, most kinds of a pricing), padded with shares of 0."""
    width = max(len(group) for group in kernels)
    shares = np.zeros((len(kernels), width))
    kinds = np.zeros((len(kernels), width), dtype=np.int64)
    first = 0
    for row, group in enumerate(kernels):
        shares[row, : len(group)] = [kernel.share for kernel in group]
        kinds[row, : len(group)] = range(first, first + len(group))
        first += len(group)
    return shares, kinds


def _distinct(rows: Floats) -> tuple[Floats, Ints]:
    """Return the distinct rows, and which of them each row is."""
    distinct, inverse = np.unique(rows, axis=0, return_inverse=True)
    return distinct, inverse.reshape(-1).astype(np.int64)


def _feelings(kernel: UserKernel) -> tuple[NDArray[np.int32], Ints]:
    """Return which entries are followed alike by every memory, (entries,), and what each memory makes of these, (M, feelings)."""
    follow = kernel.follow.reshape(kernel.memories, -1)
    felt = np.zeros(follow.shape[1], dtype=np.int64)
    for line in {row.tobytes(): row for row in follow}.values():  # many memories go on alike
        felt = np.unique(felt * kernel.memories + line, return_inverse=True)[1].reshape(-1)
    first = np.unique(felt, return_index=True)[1]
    return felt.astype(np.int32), follow[:, first].astype(np.int64)


def _check(kernels: Sequence[Sequence[UserKernel]], games: int) -> None:
    """Refuse what is no crowd."""
    if not kernels or not all(kernels):
        raise UsageError("crowd: expected at least one user kernel for every pricing")
    if isinstance(games, bool) or not isinstance(games, (int, np.integer)) or games < 1:
        raise UsageError(f"crowd: expected an integer >= 1 of games, got {games!r}")
    shapes = {(kernel.moves.shape[1:], kernel.follow.shape[1:]) for group in kernels for kernel in group}
    if len(shapes) > 1:
        raise UsageError(
            "crowd: the user kernels belong to games of different sizes: compile all for the same scenario"
        )


def _within(name: str, given: NDArray[np.integer[Any]] | int, count: int) -> None:
    """Refuse indices that point at nothing."""
    numbers = np.asarray(given)
    if ((numbers < 0) | (numbers >= count)).any():
        raise UsageError(f"crowd: expected a {name} from 0 to {count - 1}, got {given!r}")
