"""Bounds on what can be had, for every pair and every belief: from above by interpolation, from below by plans.

Both come out of one backward pass over the grid. The value of a pair is convex in the belief over kinds, so interpolation
between grid points is never below it; and at each grid point a *plan* is kept, a policy that goes on as the nearest grid
point's does, whose payoffs are known exactly for every kind of user and both sides.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from gtalign_env.optimal.beliefs import BeliefGame
from gtalign_env.optimal.simplex import Grid

__all__ = ["Bounds", "Lattice", "bounds"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_CHUNK = 2_000_000
"""Numbers that a step of the backward pass holds at once, about."""


class Lattice:
    """Where the grid's beliefs move to when something is heard; the same for all payoffs and priors.

    Shapes: R distinct likelihoods; G grid points; K kinds. Likelihoods are stored up to scale.

    Args:
        game: The decision problem.
        points: Grid points at most; the corners are always there.
    """

    def __init__(self, game: BeliefGame, points: int) -> None:
        kinds = len(game.prior)
        self.grid = Grid.of_size(kinds, points)
        self.scale: Floats = game.likelihood.max(axis=-1)  # (P, J)
        unit = game.likelihood / np.where(self.scale > 0.0, self.scale, 1.0)[..., None]
        self.rows, inverse = np.unique(np.round(unit.reshape(-1, kinds), 12), axis=0, return_inverse=True)
        self.row: Ints = inverse.reshape(self.scale.shape)  # (P, J)
        self.mass: Floats = self.grid.points * self.rows[:, None]  # (R, G, K): unnormalised posteriors
        self.vertices, weights = self.grid.locate(_normalised(self.mass).reshape(-1, kinds))
        self.vertices = self.vertices.reshape(self.mass.shape)  # (R, G, K corners)
        self.weights: Floats = weights.reshape(self.mass.shape) * self.mass.sum(axis=-1, keepdims=True)
        best = self.weights.argmax(axis=-1)[..., None]
        self.nearest: Ints = np.take_along_axis(self.vertices, best, axis=-1)[..., 0]  # (R, G)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Bounds:
    """What a backward pass found, for one pair of weights."""

    game: BeliefGame
    lattice: Lattice
    weights: tuple[float, float]
    upper: Floats
    """(P, G): at least the weighted value at a grid point; exact in the corners."""
    chance_upper: Floats
    """(C, G): the same after what is heard."""
    move: NDArray[np.int8]
    """(P, G): the move of the plan of a grid point."""
    payoffs: Floats
    """(P, G, K, 2): what it is worth against each kind, to the user and to the assistant."""

    def above(self, pairs: Ints, beliefs: Floats) -> Floats:
        """Return (N,): upper bounds for beliefs (N, K) in pairs (N,)."""
        vertices, weights = self.lattice.grid.locate(beliefs)
        found: Floats = (self.upper[pairs[:, None], vertices] * weights).sum(axis=1)
        return found

    def below(self, pairs: Ints, beliefs: Floats) -> tuple[Ints, Floats]:
        """Return the best plan among those of the grid points around each belief: grid points (N,) and payoffs (N, 2)."""
        vertices, weights = self.lattice.grid.locate(beliefs)
        worth = np.einsum("nvkw,nk->nvw", self.payoffs[pairs[:, None], vertices], beliefs)
        value = np.where(weights > 0.0, worth @ np.array(self.weights), -np.inf)
        best = value.argmax(axis=1)
        rows = np.arange(len(pairs))
        return vertices[rows, best], worth[rows, best]


def bounds(game: BeliefGame, weights: tuple[float, float], lattice: Lattice | None = None) -> Bounds:
    """Run the backward pass.

    Args:
        game: The decision problem; its prior does not matter.
        weights: What a util of the user's and one of the assistant's count.
        lattice: The grid; one of moderate size when ``None``.

    Example:
        >>> from gtalign_env.optimal.beliefs import compile_beliefs
        >>> from gtalign_env.registration import load, make_scenario
        >>> scenario = make_scenario("assist", questions=1)
        >>> kernels = load("gtalign_env.agents.users:population_kernels")("concise,detailed", scenario)
        >>> found = bounds(compile_beliefs(scenario, kernels), (1.0, 1.0))
        >>> even, first = np.array([[0.5, 0.5]]), np.array([0])
        >>> bool(found.above(first, even)[0] >= found.below(first, even)[1].sum())
        True
    """
    lattice = Lattice(game, 200) if lattice is None else lattice
    work = _Backward(game, weights, lattice)
    for rank in range(int(game.rank.max()), -1, -1):
        work.step(np.flatnonzero(game.rank == rank))
    return Bounds(
        game=game,
        lattice=lattice,
        weights=weights,
        upper=work.upper,
        chance_upper=work.chance_upper,
        move=work.move,
        payoffs=work.payoffs,
    )


class _Backward:
    """The arrays that fill up from the last rank to the first."""

    def __init__(self, game: BeliefGame, weights: tuple[float, float], lattice: Lattice) -> None:
        pairs, points, chances = game.size[0], len(lattice.grid.points), len(game.offset) - 1
        self.game, self.lattice, self.weights = game, lattice, np.array(weights)
        self.reward = game.reward(weights)
        self.upper = np.zeros((pairs, points))
        self.chance_upper = np.zeros((chances, points))
        self.done = np.arange(chances) == 0
        self.move = np.zeros((pairs, points), dtype=np.int8)
        self.payoffs = np.zeros((pairs, points, len(game.prior), 2))

    def step(self, pairs: Ints) -> None:
        """Fill in the pairs of one rank; all that may follow them is there."""
        game, lattice = self.game, self.lattice
        used = np.unique(game.chance[pairs])
        new = used[~self.done[used]]
        self.chance_upper[new] = _mixed(game, self.upper, new)
        self.done[new] = True
        after = _mixed(game, self.payoffs, used)  # (used, G, K, 2)
        local = np.zeros(len(self.done), dtype=np.int64)
        local[used] = np.arange(len(used))
        width = max(1, _CHUNK // (len(lattice.grid.points) * game.size[1] * len(game.prior)))
        for at in range(0, len(pairs), width):
            self._fill(pairs[at : at + width], after, local)

    def _fill(self, pairs: Ints, after: Floats, local: Ints) -> None:
        """Fill in some pairs: bounds, and the plans that make the moves which look best from above."""
        game, lattice = self.game, self.lattice
        chance, row, scale = game.chance[pairs], lattice.row[pairs], lattice.scale[pairs]
        value = self.reward[pairs] @ lattice.grid.points.T  # (n, A, G)
        live = (scale > 0.0)[..., None] & (chance > 0) & game.allowed[pairs][:, None]  # (n, J, A)
        key = row[..., None] * len(self.done) + chance
        columns, back = np.unique(key[live], return_inverse=True)
        above = self._above(*np.divmod(columns, len(self.done)))
        n, j, a = np.nonzero(live)
        for message in range(chance.shape[1]):
            of = j == message  # each (pair, move) once: plain indexing will do
            value[n[of], a[of]] += scale[n[of], message, None] * above[back[of]]
        value[~game.allowed[pairs]] = -np.inf
        self.upper[pairs] = value.max(axis=1)
        move = value.argmax(axis=1)  # (n, G)
        self.move[pairs] = move
        self.payoffs[pairs] = self._played(pairs, move, after, local)

    def _above(self, row: Ints, chance: Ints) -> Floats:
        """Return (columns, G): upper bounds after what is heard, for pairs of a likelihood and a chance node."""
        lattice = self.lattice
        found = np.zeros((len(row), len(lattice.grid.points)))
        for corner in range(len(self.game.prior)):
            bound = np.take_along_axis(self.chance_upper[chance], lattice.vertices[row, :, corner], axis=1)
            found += lattice.weights[row, :, corner] * bound
        return found

    def _played(self, pairs: Ints, move: Ints, after: Floats, local: Ints) -> Floats:
        """Return (n, G, K, 2): what the plans of some pairs are worth, where (n, G) moves are made first."""
        game, lattice = self.game, self.lattice
        line = np.arange(len(pairs))[:, None]
        payoffs = np.stack([game.user[pairs], game.assistant[pairs]], axis=-1)[line, move]
        flat = after.reshape(-1, 2 * len(game.prior))
        total = payoffs.reshape(*move.shape, -1)
        for message in range(game.size[1]):
            some = np.flatnonzero(lattice.scale[pairs, message] > 0.0)
            chance = game.chance[pairs, message][line, move][some]  # (m, G)
            nearest = lattice.nearest[lattice.row[pairs[some], message]]
            follows = np.take(flat, local[chance] * len(lattice.grid.points) + nearest, axis=0)
            follows *= np.repeat(game.likelihood[pairs[some], message], 2, axis=1)[:, None]
            follows[chance == 0] = 0.0
            total[some] += follows
        return total.reshape(payoffs.shape)


def _mixed(game: BeliefGame, worth: Floats, chances: Ints) -> Floats:
    """Return (n, …): what pairs are worth (P, …), mixed over the pairs that may follow chance nodes (n,)."""
    mixed = np.zeros((len(chances), *worth.shape[1:]))
    low, high = game.offset[chances], game.offset[chances + 1]
    for nth in range(int((high - low).max(initial=0))):
        some = np.flatnonzero(low + nth < high)
        at = low[some] + nth
        mixed[some] += game.weight[at].reshape(-1, *[1] * (worth.ndim - 1)) * worth[game.following[at]]
    return mixed


def spread(low: Ints, high: Ints) -> tuple[Ints, Ints]:
    """Return the integers of the ranges ``low`` to ``high``, one after the other, with the range each is from.

    Example:
        >>> [part.tolist() for part in spread(np.array([5, 0]), np.array([7, 1]))]
        [[0, 0, 1], [5, 6, 0]]
    """
    count = high - low
    source = np.repeat(np.arange(len(low)), count)
    within = np.arange(len(source)) - np.repeat(np.cumsum(count) - count, count)
    return source, low[source] + within


def _normalised(mass: Floats) -> Floats:
    """Return distributions; where there is no mass, the first corner."""
    total = mass.sum(axis=-1, keepdims=True)
    corner = np.eye(mass.shape[-1])[0]
    normal: Floats = np.where(total > 1e-300, mass / np.where(total > 1e-300, total, 1.0), corner)
    return normal
