"""Welfare of single sessions (``esr``): E[W(U, L)], which no linear objective finds.

Small games are solved exactly, by walking through all histories with the totals of either side. For others there is a bracket.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gtalign_env.errors import SolverError
from gtalign_env.optimal.frontier import Frontier, line_weights
from gtalign_env.optimal.problem import Problem
from gtalign_env.optimal.strategy import Strategy
from gtalign_env.welfare import Criterion, make_welfare
from gtalign_env.welfare.criteria import Egalitarian

__all__ = ["Histories", "expected_welfare", "sessions", "welfare_ceiling"]

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
        >>> linear = Histories(problem, "utilitarian").value()
        >>> bool(abs(linear - problem.best("utilitarian").value) < 1e-9)
        True
    """

    def __init__(self, problem: Problem, objective: str | Criterion, *, limit: int = 100_000) -> None:
        self.problem, self.criterion, self.limit = problem, make_welfare(objective), limit
        tables, kernels = problem.scenario.tables, problem.kernels
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
        first_pair = {int(state): pair for pair, state in reversed(list(enumerate(problem.game.state)))}
        self.allowed = {state: np.flatnonzero(problem.game.allowed[pair]) for state, pair in first_pair.items()}
        self.tables = tables
        self.walked = 0

    def value(self) -> float:
        """Return the best mean welfare of a session.

        Raises:
            SolverError: There are more histories than the limit.
        """
        kernels = self.problem.kernels
        start = self.base[:-1] + [kernel.start for kernel in kernels]
        weight = np.array([kernel.share for kernel in kernels])
        total = 0.0
        for state in np.flatnonzero(self.tables.initial[:-1]):
            total += float(self.tables.initial[state]) * self._best(
                int(state), weight, start, np.zeros((len(kernels), 2))
            )
        return total

    def _best(self, state: int, weight: Floats, memory: Any, totals: Floats) -> float:
        """Return the best value of hypotheses (memory, totals) with weights, in a public state."""
        self.walked += 1
        if self.walked > self.limit:
            raise SolverError(
                f"esr: more than {self.limit:,} histories: the welfare of single sessions is solved exactly in small games only; "
                "take a bracket, 'ser', or a shorter session"
            )
        joint = weight[:, None] * self.moves[memory, state]  # (H, N)
        heard = np.flatnonzero(joint.any(axis=0))
        return max(
            sum(self._after(state, int(u), int(a), joint[:, u], memory, totals) for u in heard)
            for a in self.allowed[state]
        )

    def _after(self, state: int, user: int, move: int, weight: Floats, memory: Any, totals: Floats) -> float:
        entry = (state, int(self.tables.user_act[user]), int(self.tables.assistant_act[move]))
        held = weight > 0.0
        weight, memory, totals = weight[held], memory[held], totals[held]
        following, chance = self.tables.next_state[entry], self.tables.probability[entry]
        worth = 0.0
        for to in np.unique(following[chance > 0.0]):
            branches = np.flatnonzero((following == to) & (chance > 0.0))
            share = (weight[:, None] * chance[branches]).reshape(-1)
            gained = self.paid[(slice(None), *entry)][self.kind[memory]][:, branches]  # (H, branches, 2)
            sums = (totals[:, None] + gained).reshape(-1, 2)
            if to == self.tables.terminal:
                worth += float(share @ self.criterion(sums[:, 0], sums[:, 1] + self.retention * sums[:, 0]))
            else:
                worth += self._best(
                    int(to), *_merged(share, self.follow[(memory, *entry)][:, branches].reshape(-1), sums)
                )
        return worth


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


def welfare_ceiling(problem: Problem, frontier: Frontier, objective: str | Criterion) -> float:
    """Return what no policy's E[W(U, L)] exceeds.

    Where both sides gain, W lies below the lines that touch it. Where a side loses, W is the smaller gain, which may lie above
    such a line; the most by which it does, over all totals that a session can have, is added.
    """
    criterion = make_welfare(objective)
    if line_weights(criterion) is not None or isinstance(criterion, Egalitarian):
        return frontier.upper  # concave everywhere: Jensen's inequality
    origin = getattr(criterion, "disagreement", (0.0, 0.0))
    (low_user, high_user), (low_assistant, high_assistant) = _extremes(problem)
    ranges = np.array(
        [[low_user - origin[0], high_user - origin[0]], [low_assistant - origin[1], high_assistant - origin[1]]]
    )
    shares = np.linspace(0.0, 1.0, 20_001)[1:-1]
    best = np.inf
    for cut in frontier.cuts:
        if min(cut.weights) <= 0.0:
            continue
        ratio = np.asarray(criterion(origin[0] + shares, origin[1] + 1.0 - shares)) / (
            cut.weights[0] * shares + cut.weights[1] * (1.0 - shares)
        )
        slope = float(ratio.max()) * (1.0 + 1e-7) * np.array(cut.weights)
        room = cut.upper - cut.weights[0] * origin[0] - cut.weights[1] * origin[1]
        above = max((min(point) - float(slope @ point) for point in _corners(ranges)), default=0.0)
        best = min(best, room * float(ratio.max()) * (1.0 + 1e-7) + max(above, 0.0))
    return float(best)


def _corners(ranges: Floats) -> list[Floats]:
    """Return the corners of the part of a box where a side loses, cut where both lose the same."""
    (a, b), (c, d) = ranges
    values = [(x, y) for x in (a, b, 0.0) for y in (c, d, 0.0)] + [(z, z) for z in (a, c)]
    return [np.array(p) for p in values if min(p) <= 0.0 and a <= p[0] <= b and c <= p[1] <= d]


def _extremes(problem: Problem) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return the least and the most that the user and the assistant can have of a session."""
    tables, game = problem.scenario.tables, problem.game
    acts = tables.assistant_act[:-1]
    allowed = np.zeros((len(tables.next_state), tables.next_state.shape[2]), dtype=bool)
    for state, moves in zip(game.state, game.allowed, strict=True):
        allowed[state, acts[moves]] = True
    live = allowed[:, None, :, None] & (tables.probability > 0.0)
    found = []
    paid = [problem.scenario.payoff_tables(kernel.user_type, problem.pricing) for kernel in problem.kernels]
    rate = problem.scenario.retention_rate if "retention" in paid[0].assistant_items else 0.0
    for side in (0, 1):
        ends = []
        for sign in (1.0, -1.0):
            least = np.inf
            for one in paid:
                gain = sign * (one.user.sum(-1) if side == 0 else one.assistant.sum(-1) + rate * one.user.sum(-1))
                low = np.zeros(len(gain))
                for _ in range(int(game.rank.max()) + 1):
                    step = np.where(live, gain + low[tables.next_state], np.inf).min(axis=(1, 2, 3))
                    low = np.where(np.isfinite(step), step, 0.0)
                    low[tables.terminal] = 0.0
                least = min(least, float(low[np.flatnonzero(tables.initial)].min()))
            ends.append(sign * least)
        found.append((ends[0], ends[1]))
    return found[0], found[1]
