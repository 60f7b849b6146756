"""Welfare of single sessions (``esr``): E[W(U, L)], which no linear objective finds.

Small games are solved exactly, by walking through all histories with the totals of either side; in others sessions are played.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gtalign_env.errors import SolverError
from gtalign_env.optimal.bounds import Bounds
from gtalign_env.optimal.problem import Problem
from gtalign_env.optimal.strategy import Strategy, assembled
from gtalign_env.welfare import Criterion, make_welfare

__all__ = ["Histories", "expected_welfare", "sessions"]

Floats = NDArray[np.float64]


class Histories:
    """The best E[W(U, L)], by walking through every history of a small game.

    Args:
        problem: The decision problem.
        objective: W.
        limit: Histories at most.

    Example:
        >>> from gtalign_env.registration import load, make_scenario
        >>> scenario = make_scenario("assist", questions=1, max_exchanges=1)
        >>> kernels = load("gtalign_env.agents.users:population_kernels")("concise,detailed", scenario)
        >>> problem = Problem(scenario, kernels)
        >>> linear, strategy = Histories(problem, "utilitarian").best()
        >>> bool(abs(linear - problem.best("utilitarian").value) < 1e-9), bool(abs(linear - sum(strategy.payoffs)) < 1e-9)
        (True, True)
    """

    def __init__(self, problem: Problem, objective: str | Criterion, *, limit: int = 100_000) -> None:
        self.problem, self.criterion, self.limit = problem, make_welfare(objective), limit
        self.tables, self.game, kernels = problem.scenario.tables, problem.game, problem.kernels
        self.base = np.cumsum([0, *(kernel.memories for kernel in kernels)])
        self.moves = np.concatenate([kernel.moves for kernel in kernels])
        self.follow = np.concatenate(
            [kernel.follow + first for kernel, first in zip(kernels, self.base[:-1], strict=True)]
        )
        self.kind = np.repeat(np.arange(len(kernels)), [kernel.memories for kernel in kernels])
        paid = [problem.scenario.payoff_tables(kernel.user_type, problem.pricing) for kernel in kernels]
        self.paid = np.stack(
            [np.stack([one.user.sum(-1), one.assistant.sum(-1)], axis=-1) for one in paid]
        )  # (K, S, U, A, B, 2)
        self.retention = problem.scenario.retention_rate if "retention" in paid[0].assistant_items else 0.0
        self.walked = 0

    def best(self, weights: tuple[float, float] = (0.5, 0.5)) -> tuple[float, Strategy]:
        """Return the best mean welfare of a session, and the policy that has it.

        Args:
            weights: The line whose plans the policy goes over to where somebody does what the population never does.

        Raises:
            SolverError: There are more histories than the limit.
        """
        kernels, game = self.problem.kernels, self.game
        start = self.base[:-1] + [kernel.start for kernel in kernels]
        roots = np.flatnonzero(game.start)
        trees = [self._best(int(pair), game.prior, start, np.zeros((len(kernels), 2))) for pair in roots]
        worth = game.start[roots] @ np.array([tree.worth for tree in trees])
        by_kind = worth[1:].reshape(2, -1).T / game.prior[:, None]
        return float(worth[0]), _planted(trees, self.problem.bounds(weights), by_kind)

    def _best(self, pair: int, weight: Floats, memory: Any, totals: Floats) -> _Tree:
        """Return the best that can be done with hypotheses (memory, totals) of some weights, in a pair."""
        self.walked += 1
        if self.walked > self.limit:
            raise SolverError(
                f"esr: more than {self.limit:,} histories: the welfare of single sessions is solved exactly in small games only; "
                "take a bracket, 'ser', or a shorter session"
            )
        said = self.moves[memory, self.game.state[pair]]  # (H, N)
        message = self.game.message[pair]
        heard = [(j, weight * said[:, message == j].sum(axis=1)) for j in range(message.max() + 1)]
        heard = [(j, joint) for j, joint in heard if joint.any()]
        moves = np.flatnonzero(self.game.allowed[pair])
        tried = [self._tried(pair, int(move), heard, memory, totals) for move in moves]
        made = max(tried, key=lambda tree: float(tree.worth[0]))
        made.belief = np.bincount(self.kind[memory], weight, len(self.game.prior)) / weight.sum()
        return made

    def _tried(self, pair: int, move: int, heard: list[tuple[int, Floats]], memory: Any, totals: Floats) -> _Tree:
        """Return what a move leads to, whatever is heard."""
        made = _Tree(pair=pair, move=move, worth=np.zeros(1 + 2 * len(self.game.prior)))
        for message, weight in heard:
            self._after(made, message, weight, memory, totals)
        return made

    def _after(self, tree: _Tree, message: int, weight: Floats, memory: Any, totals: Floats) -> None:
        """Add to a tree what follows a message."""
        game = self.game
        user = int(np.flatnonzero(game.message[tree.pair] == message)[0])  # moves of one message follow the same rules
        entry = (int(game.state[tree.pair]), int(self.tables.user_act[user]), int(self.tables.assistant_act[tree.move]))
        held = weight > 0.0
        weight, memory, totals = weight[held], memory[held], totals[held]
        node = int(game.chance[tree.pair, message, tree.move])
        pairs = {int(game.state[pair]): int(pair) for pair in game.following[game.offset[node] : game.offset[node + 1]]}
        following, chance = self.tables.next_state[entry], self.tables.probability[entry]
        for to in np.unique(following[chance > 0.0]):
            branches = np.flatnonzero((following == to) & (chance > 0.0))
            share = (weight[:, None] * chance[branches]).reshape(-1)
            gained = self.paid[(slice(None), *entry)][self.kind[memory]][:, branches]  # (H, branches, 2)
            sums = (totals[:, None] + gained).reshape(-1, 2)
            if to == self.tables.terminal:
                sums[:, 1] += self.retention * sums[:, 0]
                tree.worth += self._ended(share, np.repeat(self.kind[memory], len(branches)), sums)
            else:
                after = self.follow[(memory, *entry)][:, branches].reshape(-1)
                child = self._best(pairs[int(to)], *_merged(share, after, sums))
                tree.children.append((message, child))
                tree.worth += child.worth

    def _ended(self, share: Floats, kind: Any, totals: Floats) -> Floats:
        """Return (1 + 2 K,): the welfare of sessions that are over, and what the user and the assistant have of each kind."""
        sides = [np.bincount(kind, share * side, len(self.game.prior)) for side in totals.T]
        return np.concatenate([[share @ self.criterion(*totals.T)], *sides])


@dataclasses.dataclass(kw_only=True, eq=False)
class _Tree:
    """A move in a pair, and what is done after it; all that is counted is weighted by the chance of getting there."""

    pair: int
    move: int
    worth: Floats
    """(1 + 2 K,): the welfare, and by kind of user what the user and the assistant have."""
    belief: Floats = dataclasses.field(default_factory=lambda: np.zeros(0))
    """(K,): of the kinds."""
    children: list[tuple[int, _Tree]] = dataclasses.field(default_factory=list)
    """What follows which message."""


def _planted(trees: Sequence[_Tree], bounds: Bounds, by_kind: Floats) -> Strategy:
    """Return trees of histories as a strategy."""
    nodes = list(trees)
    edges: list[tuple[int, int]] = []
    ends = [0]
    for tree in nodes:  # which grow as they are walked through
        for message, child in tree.children:
            edges.append((message, len(nodes)))
            nodes.append(child)
        ends.append(len(edges))
    messages, children = np.array(edges, dtype=np.int64).reshape(-1, 2).T
    return assembled(
        bounds,
        nodes={
            "pair": np.array([tree.pair for tree in nodes]),
            "move": np.array([tree.move for tree in nodes]),
            "point": np.full(len(nodes), -1),
            "low": np.array(ends[:-1]),
            "high": np.array(ends[1:]),
        },
        beliefs=np.array([tree.belief for tree in nodes]),
        edges={"message": messages, "child": children},
        openings=np.arange(len(trees)),
        by_kind=by_kind,
        prior=bounds.game.prior,
    )


def _merged(weight: Floats, memory: Any, totals: Floats) -> tuple[Floats, Any, Floats]:
    """Join hypotheses that are the same."""
    rows, first, back = np.unique(
        np.column_stack([memory, np.round(totals, 9)]), axis=0, return_index=True, return_inverse=True
    )
    joined: Floats = np.bincount(back.reshape(-1), weight, minlength=len(rows)).astype(np.float64)
    return joined, memory[first], totals[first]


def sessions(
    problem: Problem, policies: Sequence[tuple[float, Strategy]], count: int, rng: np.random.Generator
) -> Floats:
    """Play sessions of a mixture of strategies against the kernels, outside any environment.

    Returns:
        (count, 2): what the user and the assistant had in each.
    """
    tables, kernels = problem.scenario.tables, problem.kernels
    kinds = rng.choice(len(kernels), size=count, p=[kernel.share for kernel in kernels])
    drawn = rng.choice(len(policies), size=count, p=np.array([share for share, _ in policies]))
    opening = rng.choice(len(tables.initial), size=count, p=tables.initial)
    paid = [problem.scenario.payoff_tables(kernel.user_type, problem.pricing) for kernel in kernels]
    sides = [(one.user.sum(axis=-1), one.assistant.sum(axis=-1)) for one in paid]
    retention = problem.scenario.retention_rate if "retention" in paid[0].assistant_items else 0.0
    speak = [kernel.moves.cumsum(axis=-1) for kernel in kernels]
    branch = tables.probability.cumsum(axis=-1)
    totals = np.zeros((count, 2))
    for game in range(count):
        kind, state, played = int(kinds[game]), int(opening[game]), policies[int(drawn[game])][1]
        memory, place = kernels[kind].start, played.begin(state)
        while True:
            user = min(
                int(np.searchsorted(speak[kind][memory, state], rng.random(), side="right")), speak[kind].shape[2] - 1
            )
            first = (state, int(tables.user_act[user]), int(tables.assistant_act[played.move(place)]))
            chance = min(int(np.searchsorted(branch[first], rng.random(), side="right")), branch.shape[-1] - 1)
            entry = (*first, chance)
            totals[game] += sides[kind][0][entry], sides[kind][1][entry]
            state = int(tables.next_state[entry])
            if state == tables.terminal:
                break
            memory = int(kernels[kind].follow[(memory, *entry)])
            place = played.follow(place, user, state)
    totals[:, 1] += retention * totals[:, 0]
    return totals


@dataclasses.dataclass(frozen=True, kw_only=True)
class Played:
    """A mean over sessions with its standard error."""

    mean: float
    error: float


def expected_welfare(
    problem: Problem, policies: Sequence[tuple[float, Strategy]], objective: str | Criterion, count: int, rng: Any
) -> Played:
    """Return the mean welfare of sessions that are played."""
    totals = sessions(problem, policies, count, rng)
    worth = np.asarray(make_welfare(objective)(totals[:, 0], totals[:, 1]))
    return Played(mean=float(worth.mean()), error=float(worth.std(ddof=1) / np.sqrt(count)))
