"""What anyone would gain by a deviation, where users and an assistant choose by situation: how far they are from an equilibrium.

Against the assistant, every type of user faces a decision problem on the situations (``Passes.best_user``). Against the users,
the type is all that is hidden, since what they do depends on it and on the situation. Where situations tell the whole past,
beliefs are fixed by them and one backward pass does it. Else beliefs go on top of situations, and the yardstick's own solver
(``bounds``, ``search``) closes in on the value from both sides.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from gtalign_env.optimal.beliefs import BeliefGame
from gtalign_env.optimal.bounds import Lattice, bounds
from gtalign_env.optimal.frontier import Oracle, Reached, best_mixture
from gtalign_env.optimal.passes import Passes
from gtalign_env.optimal.search import Search
from gtalign_env.optimal.situations import END
from gtalign_env.welfare import Criterion

__all__ = ["BestWelfare", "Judged", "belief_game", "best_welfare", "judge", "tree_response"]

Floats = NDArray[np.float64]
Pair = tuple[float, float]

_POINTS = 40
_LIMIT = 200_000
"""Beliefs that a search may hold; where they do not suffice, what is had stays a bound."""
_TOLERANCE = 1e-7


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Judged:
    """Strategies, with what everybody has and would gain."""

    users: Floats
    """(K, X, N)."""
    assistant: Floats
    """(X, A)."""
    mean: Floats
    """(2, K): E U and E L by type."""
    total: Floats
    """(2,): the same over the population."""
    value: float
    """What the assistant has of its objective."""
    user_gains: Floats
    """(K,): what each type would gain."""
    assistant_gain: float
    """The most that the assistant would gain of its objective."""
    exact: bool
    """Whether it is that number, and not just at most that."""

    @property
    def residual(self) -> float:
        """The largest gain of anyone."""
        return max(float(self.user_gains.max()), self.assistant_gain)


def judge(walk: Passes, users: Floats, assistant: Floats, shares: Floats, criterion: Criterion) -> Judged:
    """Return what everybody would gain by an exact best response, whatever that remembers.

    Args:
        walk: The situations.
        users: (K, X, N) what each type does in them.
        assistant: (X, A) what the assistant does.
        shares: (K,).
        criterion: What the assistant maximises, linear or concave.

    Example:
        >>> from gtalign_env.optimal.passes import even
        >>> from gtalign_env.optimal.situations import exchanges, situations
        >>> from gtalign_env.registration import make_scenario
        >>> from gtalign_env.welfare import make_welfare
        >>> scenario = make_scenario("gtalign/RockPaperScissors-v0", rounds=1)
        >>> graph, game = situations(scenario), exchanges(scenario, scenario.mix.types)
        >>> users, assistant = even(game.user_legal[graph.state])[None], even(game.assistant_legal[graph.state])
        >>> judge(Passes(graph, game), users, assistant, np.ones(1), make_welfare("linear:weight=0.0")).residual < 1e-12
        True
    """
    mean = walk.mean(walk.worth(users, assistant))
    total = mean @ shares
    value = float(criterion(*total))
    best = best_welfare(walk, users, shares, criterion)
    return Judged(
        users=users,
        assistant=assistant,
        mean=mean,
        total=total,
        value=value,
        user_gains=np.maximum(walk.mean(walk.best_user(assistant)[0]) - mean[0], 0.0),
        assistant_gain=max(best.upper - value, 0.0),
        exact=best.exact,
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class BestWelfare:
    """What an assistant could have of an objective."""

    value: float
    """Had by a policy that is known."""
    upper: float
    """No policy has more."""

    @property
    def exact(self) -> bool:
        """Whether both are the same but for a millionth."""
        return self.upper - self.value <= 1e-6 * max(1.0, abs(self.value))


def best_welfare(walk: Passes, users: Floats, shares: Floats, criterion: Criterion) -> BestWelfare:
    """Return the most that an assistant could have against users, of the welfare of mean payoffs.

    Args:
        walk: The situations.
        users: (K, X, N) what each type does in them.
        shares: (K,).
        criterion: What it maximises, linear or concave.
    """
    oracle = _tree_oracle(walk, users, shares) if walk.graph.recall == "all" else _belief_oracle(walk, users, shares)
    found = best_mixture(oracle, criterion, tolerance=_TOLERANCE)
    return BestWelfare(value=found.value, upper=found.upper)


def _tree_oracle(walk: Passes, users: Floats, shares: Floats) -> Oracle:
    def reach(weights: Pair, _: float) -> Reached:
        moves = tree_response(walk, users, shares, weights)
        mean = walk.mean(walk.worth(users, np.eye(walk.game.pay.shape[-1])[moves])) @ shares
        payoffs = float(mean[0]), float(mean[1])
        return Reached(weights=weights, upper=weights[0] * payoffs[0] + weights[1] * payoffs[1], payoffs=payoffs)

    return reach


def tree_response(walk: Passes, users: Floats, shares: Floats, weights: Pair) -> NDArray[np.int64]:
    """Return the best move in each situation (X,), where situations tell the whole past.

    Args:
        walk: The situations, with recall ``all``.
        users: (K, X, N).
        shares: (K,).
        weights: What a util of either side counts.
    """
    mass = walk.reach(
        users, None, shares
    )  # (K, X): by what users and chance do; what the assistant does is its own choice
    worth = walk.nothing()
    moves = np.zeros(walk.graph.size, dtype=np.int64)
    for row, state, here in walk.rows(backward=True):
        ahead = walk.ahead(row, worth)
        by_move = np.einsum("kxn,skna->skxa", users[:, here], ahead)  # (2, K, x, A)
        value = np.einsum("kx,kxa->xa", mass[:, here], weights[0] * by_move[0] + weights[1] * by_move[1])
        value[:, ~walk.game.safe[state]] = -np.inf
        best = value.argmax(axis=1)
        moves[here] = best
        worth[:, :, here] = np.take_along_axis(by_move, best[None, None, :, None], axis=-1)[..., 0]
    return moves


def _belief_oracle(walk: Passes, users: Floats, shares: Floats) -> Oracle:
    game = belief_game(walk, users, shares)
    lattice = Lattice(game, max(_POINTS, len(shares)))

    def reach(weights: Pair, tolerance: float) -> Reached:
        search = Search(bounds(game, weights, lattice))
        search.run(tolerance=tolerance, limit=_LIMIT)
        upper, payoffs = search.root()
        return Reached(weights=weights, upper=upper, payoffs=(float(payoffs[0]), float(payoffs[1])))

    return reach


def belief_game(walk: Passes, users: Floats, shares: Floats) -> BeliefGame:
    """Return the decision problem of an assistant whose users choose by type and situation.

    Every situation is a pair of its own, and every move of the user's a message.
    """
    graph, game = walk.graph, walk.game
    rows, moves, replies, branches = graph.follow.shape
    cells = graph.follow.reshape(-1, branches)
    chance = game.probability[graph.row_state].reshape(-1, branches)
    on = (cells != END) & (chance > 0.0)
    cell, _ = np.nonzero(on)
    edges, inverse = np.unique(cell * graph.size + cells[on], return_inverse=True)
    weight: Floats = np.bincount(inverse, chance[on], minlength=len(edges)).astype(np.float64)
    source, following = np.divmod(edges, graph.size)
    live, first = np.unique(source, return_index=True)
    node = np.zeros(len(cells), dtype=np.int64)  # chance node 0 is the end
    node[live] = 1 + np.arange(len(live))
    row = np.repeat(np.arange(rows), np.diff(graph.span))
    state = graph.state
    pay = np.einsum("kxn,skxna->sxak", users, game.pay[:, :, state], optimize=True)
    start = np.zeros(graph.size)
    start[graph.first[walk.openings]] = game.initial[walk.openings]
    return BeliefGame(
        names=tuple(theta.name for theta in game.types),
        moves=tuple(map(str, range(replies))),
        prior=shares,
        state=state,
        rank=_ranks(walk)[row],
        start=start,
        allowed=game.safe[state],
        message=np.tile(np.arange(moves), (graph.size, 1)),
        likelihood=np.moveaxis(users, 0, -1),
        chance=node.reshape(rows, moves, replies)[row],
        offset=np.concatenate([[0], first, [len(edges)]]).astype(np.int64),
        following=following,
        weight=weight,
        user=pay[0],
        assistant=pay[1],
        contexts=1,
    )


def _ranks(walk: Passes) -> NDArray[np.int64]:
    """Return (R,): the longest way to each row."""
    graph = walk.graph
    row = np.repeat(np.arange(len(graph.row_state)), np.diff(graph.span))
    rank = np.zeros(len(graph.row_state), dtype=np.int64)
    for at, follow in enumerate(graph.follow):  # rows stand in the order of play
        after = np.unique(row[follow[follow != END]])
        rank[after] = np.maximum(rank[after], rank[at] + 1)
    return rank
