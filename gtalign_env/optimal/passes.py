"""Passes over a graph of situations: how often each is met, and what it is worth to either side."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gtalign_env.kernels import UserKernel
from gtalign_env.optimal.situations import END, Exchanges, Situations

__all__ = ["Passes", "even"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_TIE = 1e-12
"""Utils by which a move has to be better before it is preferred to one that stands before it."""


class Passes:
    """A graph of situations, and a scenario by moves, ready to be walked.

    Shapes: X situations, R rows, K types, N and A moves of the user and of the assistant; sides are the user's and the
    assistant's. Strategies are ``users`` (K, X, N) and ``assistant`` (X, A).

    Args:
        graph: The situations.
        game: The scenario by moves.

    Example:
        >>> from gtalign_env.registration import make_scenario
        >>> from gtalign_env.optimal.situations import exchanges, situations
        >>> scenario = make_scenario("matrix", rounds=1)
        >>> game, graph = exchanges(scenario, scenario.mix.types), situations(scenario)
        >>> walk = Passes(graph, game)
        >>> users, assistant = even(game.user_legal[graph.state])[None], even(game.assistant_legal[graph.state])
        >>> mean = walk.mean(walk.worth(users, assistant))
        >>> bool(np.allclose(mean[:, 0], [scenario.game.user.mean(), scenario.game.assistant.mean()], atol=1e-6))
        True
    """

    def __init__(self, graph: Situations, game: Exchanges) -> None:
        self.graph, self.game = graph, game
        self.goes_on = (graph.follow != END).any(axis=(1, 2, 3))
        self.openings: Ints = np.flatnonzero(graph.first != END)

    def rows(self, *, backward: bool = False) -> list[tuple[int, int, slice]]:
        """Return every row with its public state and its situations, in the order of play."""
        graph = self.graph
        found = [(row, int(state), graph.of(row)) for row, state in enumerate(graph.row_state)]
        return found[::-1] if backward else found

    def ahead(self, row: int, worth: Floats) -> Floats:
        """Return (2, K, N, A): what two moves in a row pay now and later.

        Args:
            row: The row.
            worth: (2, K, X + 1) what situations are worth, filled in for all that may follow; 0 in the last place.
        """
        pay = self.game.pay[:, :, self.graph.row_state[row]]
        if not self.goes_on[row]:
            return pay
        chance = self.game.probability[self.graph.row_state[row]]
        return pay + (chance * worth[:, :, self.graph.follow[row]]).sum(axis=-1)  # type: ignore[no-any-return]

    def nothing(self) -> Floats:
        """Return (2, K, X + 1) zeros."""
        return np.zeros((*self.game.pay.shape[:2], self.graph.size + 1))

    def worth(self, users: Floats, assistant: Floats) -> Floats:
        """Return (2, K, X + 1): what situations are worth to either side, by type."""
        worth = self.nothing()
        for row, _, here in self.rows(backward=True):
            worth[:, :, here] = played(self.ahead(row, worth), users[:, here], assistant[here])
        return worth

    def mean(self, worth: Floats) -> Floats:
        """Return what the openings are worth, over their chances; the last axis (X + 1,) goes."""
        found: Floats = worth[..., self.graph.first[self.openings]] @ self.game.initial[self.openings]
        return found

    def best_user(self, assistant: Floats) -> tuple[Floats, Ints]:
        """Return what situations are worth to users who respond as well as they can, (K, X + 1), and their moves (K, X)."""
        worth = self.nothing()
        moves = np.zeros((worth.shape[1], self.graph.size), dtype=np.int64)
        for row, state, here in self.rows(backward=True):
            value = np.einsum("kna,xa->kxn", self.ahead(row, worth)[0], assistant[here])
            value[..., ~self.game.user_legal[state]] = -np.inf
            best = value.max(axis=-1)
            worth[0, :, here] = best
            moves[:, here] = (value >= best[..., None] - _TIE).argmax(axis=-1)
        return worth[0], moves

    def reach(self, users: Floats, assistant: Floats | None, shares: Floats) -> Floats:
        """Return (K, X): how often situations are met by each type.

        Args:
            users: (K, X, N).
            assistant: (X, A); ``None`` counts every move of the assistant's as made, which weighs situations by what the users
                and chance do alone.
            shares: (K,).
        """
        size = self.graph.size
        reach = np.zeros((len(shares), size + 1))
        reach[:, self.graph.first[self.openings]] = np.outer(shares, self.game.initial[self.openings])
        for row, state, here in self.rows():
            if not self.goes_on[row]:
                continue
            said = reach[:, here, None] * users[:, here]  # (K, x, N)
            if assistant is None:
                made = np.repeat(said.sum(axis=1)[..., None], self.game.pay.shape[-1], axis=-1)
            else:
                made = np.einsum("kxn,xa->kna", said, assistant[here])
            follow = self.graph.follow[row]
            on = follow != END
            flow = (made[..., None] * self.game.probability[state])[:, on]
            for kind in range(len(shares)):
                reach[kind] += np.bincount(follow[on], flow[kind], minlength=size + 1)
        return reach[:, :-1]

    def accompany(self, kernel: UserKernel, acts: tuple[Ints, Ints], assistant: Floats) -> Floats:
        """Return (M, X): how often situations are met with each memory of an automaton's, against an assistant.

        Args:
            kernel: The automaton.
            acts: The acts of the user's moves (N,) and of the assistant's (A,).
            assistant: (X, A).
        """
        met = np.zeros((kernel.memories, self.graph.size + 1))
        met[kernel.start, self.graph.first[self.openings]] = self.game.initial[self.openings]
        for row, state, here in self.rows():
            if not self.goes_on[row]:
                continue
            follow = self.graph.follow[row]
            on = follow != END
            flow = (met[:, here] @ assistant[here])[:, None] * kernel.moves[:, state, :, None]  # (M, N, A)
            flow = (flow[..., None] * self.game.probability[state])[:, on]
            memory = kernel.follow[:, state][np.ix_(np.arange(kernel.memories), *acts)][:, on]
            np.add.at(met, (memory, np.broadcast_to(follow[on], memory.shape)), flow)
        return met[:, :-1]

    def habits(self, kernel: UserKernel, acts: tuple[Ints, Ints], assistant: Floats) -> Floats:
        """Return (X, N): what an automaton does in each situation, on average over its memories; anything where it never is."""
        met = self.accompany(kernel, acts, assistant)
        total = met.sum(axis=0)
        state = self.graph.state
        found = even(self.game.user_legal[state])
        for row, at, here in self.rows():
            some = total[here] > 0.0
            mean = (met[:, here].T @ kernel.moves[:, at])[some] / total[here][some, None]
            found[self.graph.span[row] + np.flatnonzero(some)] = mean
        return found


def played(ahead: Floats, users: Floats, assistant: Floats) -> Floats:
    """Return (2, K, x): what is had where both mix; ``ahead`` is (2, K, N, A), strategies are (K, x, N) and (x, A)."""
    by_user = np.einsum("skna,xa->skxn", ahead, assistant)
    found: Floats = (by_user * users).sum(axis=-1)
    return found


def even(legal: NDArray[np.bool_]) -> Floats:
    """Return the same chance for each legal move.

    Example:
        >>> even(np.array([[True, False, True]])).tolist()
        [[0.5, 0.0, 0.5]]
    """
    found: Floats = legal / legal.sum(axis=-1, keepdims=True)
    return found
