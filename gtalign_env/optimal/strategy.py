"""A policy of an assistant as a finite automaton: what a search found, in whole numbers, ready to be played.

Where the search went, it follows the nodes of its graph; behind them it follows the plan of a grid point. Both are exact
policies whose payoffs are known, and neither computes with beliefs while it plays.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gtalign_env.optimal.beliefs import BeliefGame
from gtalign_env.optimal.bounds import Bounds, spread
from gtalign_env.optimal.search import Search

__all__ = ["Place", "Step", "Strategy", "assembled", "strategy"]

Floats = NDArray[np.float64]
Ints = NDArray[np.integer[Any]]


@dataclasses.dataclass(frozen=True, slots=True)
class Place:
    """Where an automaton is: at a node, or (``node`` -1) in a pair, following the plan of a grid point."""

    node: int
    pair: int
    point: int


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Strategy:
    """A deterministic policy.

    Shapes: n nodes; P pairs, G grid points and R likelihoods of the ``Lattice``; others as in ``BeliefGame``.
    """

    weights: tuple[float, float]
    """What utils of the user and of the assistant counted when it was found; with ``Histories``, in the plans alone."""
    by_kind: Floats
    """(K, 2): what it is worth against each kind of user, to the user and to the assistant."""
    payoffs: tuple[float, float]
    """The same on average over the population."""
    nodes: dict[str, Ints]
    """``pair``, ``move``, ``point`` (the plan it goes over to, -1 where it stays in the graph), ``near`` (the grid point
    nearest to the belief), ``low`` and ``high`` (its edges): each (n,)."""
    edges: dict[str, Ints]
    """``message`` and ``child``, one per edge."""
    openings: Ints
    """The nodes of the openings."""
    plans: dict[str, Ints]
    """``move`` (P, G), ``row`` (P, J), ``nearest`` (R, G)."""
    rules: dict[str, Ints]
    """``state`` (P,), ``message`` (P, user moves), ``chance`` (P, J, A), ``offset``, ``following``: the game's own."""

    def __deepcopy__(self, memo: dict[int, Any]) -> Strategy:
        """Strategies do not change, so copies share them."""
        return self

    def begin(self, state: int) -> Place:
        """Return the place in which it starts in a public state."""
        pairs = self.nodes["pair"][self.openings]
        at = np.flatnonzero(self.rules["state"][pairs] == state)
        if at.size:
            node = int(self.openings[at[0]])
            return Place(node, int(pairs[at[0]]), int(self.nodes["point"][node]))
        return self._somewhere(state, int(self.nodes["near"][self.openings[0]]))

    def move(self, place: Place) -> int:
        """Return the move to make."""
        if place.node >= 0 and place.point < 0:
            return int(self.nodes["move"][place.node])
        return int(self.plans["move"][place.pair, place.point])

    def follow(self, place: Place, user_move: int, state: int) -> Place:
        """Return the next place, when the user has made a move and a public state has come up.

        What cannot happen against the population tells nothing: the belief stays, and the plan of the nearest grid point goes on.
        """
        message = int(self.rules["message"][place.pair, user_move]) if user_move >= 0 else -1
        if message >= 0 and place.node >= 0 and place.point < 0:
            for edge in range(int(self.nodes["low"][place.node]), int(self.nodes["high"][place.node])):
                child = int(self.edges["child"][edge])
                pair = int(self.nodes["pair"][child])
                if self.edges["message"][edge] == message and self.rules["state"][pair] == state:
                    return Place(child, pair, int(self.nodes["point"][child]))
        point = place.point if place.point >= 0 else int(self.nodes["near"][place.node])
        if message >= 0:
            chance = int(self.rules["chance"][place.pair, message, self.move(place)])
            after = self.rules["following"][int(self.rules["offset"][chance]) : int(self.rules["offset"][chance + 1])]
            for pair in after:
                if self.rules["state"][pair] == state:
                    row = int(self.plans["row"][place.pair, message])
                    return Place(-1, int(pair), int(self.plans["nearest"][row, point]))
        return self._somewhere(state, point)

    def _somewhere(self, state: int, point: int) -> Place:
        """Return a place in a state that nothing leads to: the first context that it has, with the belief as it was."""
        pairs = np.flatnonzero(self.rules["state"] == state)
        if not pairs.size:
            pairs = np.array([int(np.abs(self.rules["state"] - state).argmin())])
        return Place(-1, int(pairs[0]), point)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Step:
    """One way on from a place."""

    chance: float
    message: int
    state: int
    place: Place


def steps(game: BeliefGame, found: Strategy, place: Place, belief: Floats) -> Iterator[tuple[Step, Floats]]:
    """Yield what may follow a place with its chance, and the belief (K,) behind it; the session's end is left out."""
    move = found.move(place)
    for message in range(game.size[1]):
        mass = belief * game.likelihood[place.pair, message]
        total = float(mass.sum())
        if total <= 0.0:
            continue
        user_move = int(np.flatnonzero(game.message[place.pair] == message)[0])
        chance = int(game.chance[place.pair, message, move])
        for at in range(int(game.offset[chance]), int(game.offset[chance + 1])):
            state = int(game.state[game.following[at]])
            there = found.follow(place, user_move, state)
            yield Step(chance=total * float(game.weight[at]), message=message, state=state, place=there), mass / total


def strategy(search: Search) -> Strategy:
    """Take the policy of a search's lower bounds out of its graph, and say what it is worth.

    Example:
        >>> from gtalign_env.optimal.beliefs import compile_beliefs
        >>> from gtalign_env.optimal.bounds import bounds
        >>> from gtalign_env.registration import load, make_scenario
        >>> scenario = make_scenario("assist", questions=1)
        >>> kernels = load("gtalign_env.agents.users:population_kernels")("concise,detailed", scenario)
        >>> search = Search(bounds(compile_beliefs(scenario, kernels), (1.0, 1.0)))
        >>> search.run()
        True
        >>> found = strategy(search)
        >>> opening = scenario.tables.index(question="0", kind="harmful", clarity="clear", exchange="0")
        >>> scenario.tables.assistant_moves[found.move(found.begin(opening))]
        'DECLINE'
    """
    game, table = search.game, search.table
    ids, source, edges = _reached(search)
    place = np.full(search.nodes, -1)
    place[ids] = np.arange(len(ids))
    pair, move, point = table.pair[ids], table.move[ids].astype(np.int64), table.point[ids]
    child = place[search.edges.child[edges]]
    message = search.edges.message[edges].astype(np.int64)
    total = np.einsum("ek,ek->e", table.belief[ids][source], game.likelihood[pair[source], message])
    chance = search.edges.weight[edges] / total
    worth = search.bounds.payoffs[pair, np.maximum(point, 0)].copy()  # (n, K, 2)
    inside = point < 0
    worth[inside] = np.stack([game.user, game.assistant], axis=-1)[pair[inside], move[inside]]
    share = chance[:, None] * game.likelihood[pair[source], message]  # (edges, K)
    ranks = game.rank[pair[source]]
    for rank in range(search.last_rank, -1, -1):
        some = np.flatnonzero(ranks == rank)
        np.add.at(worth, source[some], share[some, :, None] * worth[child[some]])
    counts = np.bincount(source, minlength=len(ids))
    high = np.cumsum(counts)
    openings = place[search.openings]
    by_kind = np.einsum("o,okw->kw", search.start, worth[openings])
    return assembled(
        search.bounds,
        nodes={"pair": pair, "move": move, "point": point, "low": high - counts, "high": high},
        beliefs=table.belief[ids],
        edges={"message": message, "child": child},
        openings=openings,
        by_kind=by_kind,
        prior=search.prior,
    )


def assembled(
    bounds: Bounds,
    *,
    nodes: Mapping[str, Ints],
    beliefs: Floats,
    edges: Mapping[str, Ints],
    openings: Ints,
    by_kind: Floats,
    prior: Floats,
) -> Strategy:
    """Return a graph of nodes as a strategy, which goes on by the plans of some bounds where the graph ends.

    Args:
        bounds: Where the plans come from.
        nodes: ``Strategy.nodes`` but for ``near``.
        beliefs: (n, K): the belief at each node.
        edges: ``Strategy.edges``.
        openings: ``Strategy.openings``.
        by_kind: ``Strategy.by_kind``.
        prior: (K,): the shares of the kinds.
    """
    game, lattice = bounds.game, bounds.lattice
    vertices, weights = lattice.grid.locate(beliefs)
    near = np.take_along_axis(vertices, weights.argmax(axis=1)[:, None], axis=1)[:, 0]
    user, assistant = (prior @ by_kind).tolist()
    return Strategy(
        weights=bounds.weights,
        by_kind=by_kind,
        payoffs=(user, assistant),
        nodes=_small(**nodes, near=near),
        edges=_small(**edges),
        openings=openings.astype(np.int32),
        plans=_small(move=bounds.move, row=lattice.row, nearest=lattice.nearest),
        rules=_small(
            state=game.state, message=game.message, chance=game.chance, offset=game.offset, following=game.following
        ),
    )


def _reached(search: Search) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return the nodes that the policy reaches, and their edges: places among the nodes, and indices of the search's edges."""
    table, rank = search.table, search.game.rank
    waiting: list[list[NDArray[np.int64]]] = [[] for _ in range(search.last_rank + 1)]

    def wait(nodes: NDArray[np.int64]) -> None:
        ranks = rank[table.pair[nodes]]
        for at in np.unique(ranks):
            waiting[at].append(nodes[ranks == at])

    wait(search.openings)
    reached = []
    for queue in waiting:
        if queue:
            here = np.unique(np.concatenate(queue))
            reached.append(here)
            wait(search.edges.child[_edges(search, here)[1]])
    ids = np.concatenate(reached)
    return (ids, *_edges(search, ids))


def _edges(search: Search, ids: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    inside = np.flatnonzero(search.table.point[ids] < 0)
    trial = search.table.trial[ids[inside], search.table.move[ids[inside]]]
    source, edge = spread(search.trials.low[trial], search.trials.high[trial])
    return inside[source], edge


def _small(**arrays: NDArray[Any]) -> dict[str, Ints]:
    """Return whole numbers in as few bytes as they need."""
    return {
        name: array.astype(np.min_scalar_type(min(-1, -int(array.max(initial=0)) - 1)))
        for name, array in arrays.items()
    }
