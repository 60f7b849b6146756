"""Exact values by forward search between bounds.

From the opening on, what looks best from above is tried, as AO* does (Nilsson 1980, "Principles of Artificial Intelligence",
§3.2): each sweep walks down the policy that is greedy in the upper bounds, makes the beliefs that it leads to, and carries their
bounds back. Equal beliefs are met once. Branches whose bounds meet, or that are too rare to matter, are left alone, so the two
bounds of the opening close on the value of an optimal policy, and the moves that were tried are that policy.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gtalign_env.optimal.bounds import Bounds, spread

__all__ = ["Search"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_BLOCK = 10_000
"""Nodes that look ahead at once."""
_NEVER = 1e-14
"""A message less likely than this is not followed; it could change a value by its chance times what a session is worth."""
_KEPT = 1e10
"""Beliefs are merged where they agree to 1 in so many."""
_FLOOR = 1e-4
"""A branch is walked down where its chance times its open question is more than this share of the whole open question."""
_ODD = np.uint64(0x9E3779B97F4A7C15)
_SHIFT = np.uint64(29)


class Search:
    """A growing graph of beliefs.

    Args:
        bounds: Bounds for the weights that count.
        prior: The shares of the kinds; the game's own when ``None``.

    Attributes:
        nodes: How many beliefs it holds.

    Example:
        >>> from gtalign_env.optimal.bounds import bounds
        >>> from gtalign_env.optimal.beliefs import compile_beliefs
        >>> from gtalign_env.registration import load, make_scenario
        >>> scenario = make_scenario("assist", questions=1)
        >>> kernels = load("gtalign_env.agents.users:population_kernels")("concise,detailed", scenario)
        >>> search = Search(bounds(compile_beliefs(scenario, kernels), (1.0, 1.0)))
        >>> search.run()
        True
        >>> upper, payoffs = search.root()
        >>> bool(abs(upper - payoffs.sum()) < 1e-9)
        True
    """

    def __init__(self, bounds: Bounds, prior: Floats | None = None) -> None:
        game = bounds.game
        moves, kinds = game.size[2:]
        self.bounds, self.game = bounds, game
        self.weights = np.array(bounds.weights)
        self.reward = game.reward(bounds.weights)
        self.last_rank = int(game.rank.max())
        self.table = _Table(
            pair=(np.int64, ()),
            belief=(np.float64, (kinds,)),
            upper=(np.float64, ()),
            lower=(np.float64, (2,)),
            move=(np.int8, ()),
            point=(np.int16, ()),
            look=(np.float64, (moves,)),
            trial=(np.int32, (moves,)),
            reach=(np.float64, ()),
        )
        self.trials = _Table(low=(np.int64, ()), high=(np.int64, ()))
        self.edges = _Table(weight=(np.float64, ()), child=(np.int64, ()), message=(np.int8, ()))
        self._index: list[tuple[NDArray[np.uint64], Ints]] = [
            (np.zeros(0, dtype=np.uint64), np.zeros(0, dtype=np.int64)) for _ in range(self.last_rank + 1)
        ]
        first = np.flatnonzero(game.start)
        self.start = game.start[first]
        self.prior = game.prior if prior is None else prior
        self.openings = self.meet(first, np.tile(self.prior, (len(first), 1)))

    @property
    def nodes(self) -> int:
        """How many beliefs the graph holds."""
        return self.table.count

    def root(self) -> tuple[float, Floats]:
        """Return the upper bound of the value, and the payoffs (2,) of a policy: its weighted payoffs are the lower bound."""
        return float(self.start @ self.table.upper[self.openings]), self.start @ self.table.lower[self.openings]

    def run(self, *, tolerance: float = 1e-9, limit: int = 2_000_000, forced: tuple[int, int] | None = None) -> bool:
        """Search until the bounds meet.

        Args:
            tolerance: How far apart the bounds may stay, in weighted utils.
            limit: Nodes at most; where they do not suffice, the bounds stay apart.
            forced: An opening (its place in ``openings``) and a move that is made there, for the value of that move.

        Returns:
            Whether they met.
        """
        gap = self._gap(forced)
        floor = min(gap, 1.0) * _FLOOR
        while gap > tolerance and self.nodes < limit and floor > tolerance * 1e-12:
            self._sweep(floor, forced)
            gap = self._gap(forced)
            floor = min(floor * 0.25, gap * _FLOOR)
        return gap <= tolerance

    def forced_value(self, opening: int, move: int) -> tuple[float, float]:
        """Return bounds of the value of an opening where a move is made first, as far as the search has got."""
        node = int(self.openings[opening])
        trial = int(self.table.trial[node, move])
        if trial < 0:
            return float(self.table.look[node, move]) if np.isfinite(self.table.look[node, move]) else np.inf, -np.inf
        at = slice(int(self.trials.low[trial]), int(self.trials.high[trial]))
        child, weight = self.edges.child[at], self.edges.weight[at]
        now = self.reward[self.table.pair[node], move] @ self.table.belief[node]
        below = float(now + weight @ (self.table.lower[child] @ self.weights))
        return min(float(now + weight @ self.table.upper[child]), float(self.table.look[node, move])), below

    def _gap(self, forced: tuple[int, int] | None) -> float:
        if forced is not None:
            high, low = self.forced_value(*forced)
            return high - low
        upper, payoffs = self.root()
        return upper - float(payoffs @ self.weights)

    # -- a sweep ------------------------------------------------------------------------------------------------------------

    def _sweep(self, floor: float, forced: tuple[int, int] | None) -> None:
        """Walk down what looks best, wherever more than ``floor`` is open, and carry bounds back."""
        table, rank = self.table, self.game.rank
        table.reach[:] = 0.0
        waiting: list[list[Ints]] = [[] for _ in range(self.last_rank + 1)]
        first = self.openings if forced is None else self.openings[forced[0] : forced[0] + 1]
        table.reach[first] = self.start if forced is None else 1.0
        for node in first:
            waiting[rank[table.pair[node]]].append(np.array([node]))
        walked: list[tuple[Ints, Ints]] = []
        for at in range(self.last_rank + 1):
            if not waiting[at]:
                continue
            ids = np.unique(np.concatenate(waiting[at]))
            first_step = forced is not None and not walked
            if not first_step:
                gap = table.upper[ids] - table.lower[ids] @ self.weights
                ids = ids[table.reach[ids] * gap > floor]
            self._look_ahead(ids[np.isnan(table.look[ids, 0])])
            choice = np.array([forced[1]]) if forced is not None and first_step else table.look[ids].argmax(axis=1)
            missing = table.trial[ids, choice] < 0
            self._try(ids[missing], choice[missing])
            source, edge = self._edges(ids, choice)
            child = self.edges.child[edge]
            np.add.at(self.table.reach, child, self.table.reach[ids[source]] * self.edges.weight[edge])
            ranks = rank[self.table.pair[child]]
            for later in np.unique(ranks):
                waiting[later].append(child[ranks == later])
            walked.append((ids, choice))
        for ids, choice in reversed(walked):
            self._back_up(ids, choice)

    def _look_ahead(self, ids: Ints) -> None:
        """Bound every move of nodes that nobody has looked at."""
        table, game, lattice = self.table, self.game, self.bounds.lattice
        _, messages, _, kinds = game.size
        for begin in range(0, len(ids), _BLOCK):
            some = ids[begin : begin + _BLOCK]
            pairs, belief = table.pair[some], table.belief[some]
            mass = belief[:, None] * game.likelihood[pairs]  # (n, J, K)
            total, posterior = _posterior(mass)
            vertices, weights = lattice.grid.locate(posterior.reshape(-1, kinds))
            vertices = vertices.reshape(len(some), messages, kinds)
            weights = weights.reshape(vertices.shape) * total[..., None]
            look = np.einsum("nak,nk->na", self.reward[pairs], belief)
            chance = game.chance[pairs]  # (n, J, A)
            for corner in range(kinds):
                bound = self.bounds.chance_upper[chance, vertices[:, :, corner, None]]
                look += (bound * weights[:, :, corner, None]).sum(axis=1)
            look[~game.allowed[pairs]] = -np.inf
            table.look[some] = look
            table.upper[some] = np.minimum(table.upper[some], look.max(axis=1))

    def _try(self, ids: Ints, moves: Ints) -> None:
        """Make the nodes that follow some nodes' moves."""
        table, game = self.table, self.game
        pairs = table.pair[ids]
        mass = table.belief[ids][:, None] * game.likelihood[pairs]
        total, posterior = _posterior(mass)
        chance = game.chance[pairs[:, None], np.arange(game.size[1]), moves[:, None]]  # (n, J)
        n, j = np.nonzero((total > _NEVER) & (chance > 0))
        source, at = spread(game.offset[chance[n, j]], game.offset[chance[n, j] + 1])
        child = self.meet(game.following[at], posterior[n, j][source])
        counts = np.bincount(n[source], minlength=len(ids))
        high = self.edges.count + np.cumsum(counts)
        self.table.trial[ids, moves] = self.trials.count + np.arange(len(ids))
        self.trials.append(low=high - counts, high=high)
        self.edges.append(weight=game.weight[at] * total[n, j][source], child=child, message=j[source])

    def _edges(self, ids: Ints, moves: Ints) -> tuple[Ints, Ints]:
        trial = self.table.trial[ids, moves]
        return spread(self.trials.low[trial], self.trials.high[trial])

    def _back_up(self, ids: Ints, moves: Ints) -> None:
        """Carry the bounds of what follows back to nodes."""
        table, game = self.table, self.game
        pairs, belief = table.pair[ids], table.belief[ids]
        source, edge = self._edges(ids, moves)
        child, weight = self.edges.child[edge], self.edges.weight[edge]

        def after(values: Floats) -> Floats:
            summed: Floats = np.bincount(source, weight * values, minlength=len(ids)).astype(np.float64)
            return summed

        high = np.einsum("nk,nk->n", self.reward[pairs, moves], belief) + after(table.upper[child])
        table.look[ids, moves] = np.minimum(table.look[ids, moves], high)
        table.upper[ids] = np.minimum(table.upper[ids], table.look[ids].max(axis=1))
        low = np.column_stack(
            [
                np.einsum("nk,nk->n", side[pairs, moves], belief) + after(table.lower[child, column])
                for column, side in enumerate((game.user, game.assistant))
            ]
        )
        same = (table.point[ids] < 0) & (table.move[ids] == moves)
        better = same | (low @ self.weights > table.lower[ids] @ self.weights)
        table.lower[ids[better]] = low[better]
        table.move[ids[better]] = moves[better]
        table.point[ids[better]] = -1

    # -- nodes --------------------------------------------------------------------------------------------------------------

    def meet(self, pairs: Ints, beliefs: Floats) -> Ints:
        """Return the nodes of pairs (N,) with beliefs (N, K); those that are new are made, with their bounds."""
        marks = _marks(pairs, beliefs)
        ranks = self.game.rank[pairs]
        found = np.empty(len(pairs), dtype=np.int64)
        for rank in np.unique(ranks):
            here = np.flatnonzero(ranks == rank)
            mark, first, back = np.unique(marks[here], return_index=True, return_inverse=True)
            known, ids = self._index[rank]
            at = np.searchsorted(known, mark)
            old = np.zeros(len(mark), dtype=bool)
            inside = at < len(known)
            old[inside] = known[at[inside]] == mark[inside]
            out = np.empty(len(mark), dtype=np.int64)
            out[old] = ids[at[old]]
            if not old.all():
                out[~old] = self._make(pairs[here[first[~old]]], beliefs[here[first[~old]]])
                self._index[rank] = (np.insert(known, at[~old], mark[~old]), np.insert(ids, at[~old], out[~old]))
            found[here] = out[back]
        return found

    def _make(self, pairs: Ints, beliefs: Floats) -> Ints:
        count = self.table.count
        point, lower = self.bounds.below(pairs, beliefs)
        upper = np.maximum(self.bounds.above(pairs, beliefs), lower @ self.weights)
        moves = self.game.size[2]
        self.table.append(
            pair=pairs,
            belief=beliefs,
            upper=upper,
            lower=lower,
            move=self.bounds.move[pairs, point],
            point=point,
            look=np.full((len(pairs), moves), np.nan),
            trial=np.full((len(pairs), moves), -1),
            reach=np.zeros(len(pairs)),
        )
        return count + np.arange(len(pairs))


class _Table:
    """Columns that grow together."""

    def __init__(self, **columns: tuple[Any, tuple[int, ...]]) -> None:
        self.count = 0
        self._columns = {name: np.empty((1024, *shape), dtype=kind) for name, (kind, shape) in columns.items()}

    def __getattr__(self, name: str) -> NDArray[Any]:
        columns = self.__dict__.get("_columns", {})
        if name not in columns:
            raise AttributeError(name)
        return columns[name][: self.count]  # type: ignore[no-any-return]

    def append(self, **rows: NDArray[Any]) -> None:
        """Add rows at the end of every column."""
        more = len(next(iter(rows.values())))
        for name, column in self._columns.items():
            if self.count + more > len(column):
                grown = np.empty((max(2 * len(column), self.count + more), *column.shape[1:]), dtype=column.dtype)
                grown[: self.count] = column[: self.count]
                self._columns[name] = column = grown
            column[self.count : self.count + more] = rows[name]
        self.count += more


def _posterior(mass: Floats) -> tuple[Floats, Floats]:
    """Return the chance (n, J) and the posterior (n, J, K) of messages; the first corner where there is no chance."""
    total = mass.sum(axis=-1)
    heard = total > _NEVER
    posterior = np.where(heard[..., None], mass / np.where(heard, total, 1.0)[..., None], np.eye(mass.shape[-1])[0])
    return np.where(heard, total, 0.0), posterior


def _marks(pairs: Ints, beliefs: Floats) -> NDArray[np.uint64]:
    """Return 64 bits that tell pairs with beliefs apart."""
    mark: NDArray[np.uint64] = (pairs.astype(np.uint64) + np.uint64(1)) * _ODD
    for share in np.rint(beliefs * _KEPT).astype(np.int64).astype(np.uint64).T:
        mark = (mark ^ (mark >> _SHIFT) ^ share) * _ODD
    return mark ^ (mark >> _SHIFT)
