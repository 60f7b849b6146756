"""A ceiling of the welfare of single sessions: what no policy's E[W(U, L)] exceeds, for games too large to walk through."""

from __future__ import annotations

import numpy as np

from gtalign_env.optimal.frontier import Frontier, concave, line_weights, touching
from gtalign_env.optimal.problem import Problem
from gtalign_env.welfare import Criterion
from gtalign_env.welfare.criteria import Egalitarian, NashProduct

__all__ = ["welfare_ceiling"]

Range = tuple[float, float]


def welfare_ceiling(problem: Problem, frontier: Frontier, objective: str | Criterion) -> float:
    """Return what no policy's E[W(U, L)] exceeds.

    No session is worth more than both sides' most. Where both sides gain, W lies below the lines that touch it; the product of
    both gains is its root times itself, so it lies below the root times the most that the root can be. Where a side loses, W is
    the smaller gain, which may lie above such a line; the most by which it does, over all totals of a session, is added.

    Args:
        problem: The decision problem.
        frontier: The best mean payoffs under the same objective, with the lines that were asked.
        objective: A criterion that is linear, or concave but for losses, or the product.

    Example:
        >>> from gtalign_env.registration import load, make_scenario
        >>> scenario = make_scenario("assist", questions=1)
        >>> problem = Problem(scenario, load("gtalign_env.agents.users:population_kernels")("expert", scenario))
        >>> best = problem.best("egalitarian")
        >>> welfare_ceiling(problem, best, "egalitarian") == best.upper  # concave everywhere
        True
    """
    criterion, core = concave(objective)
    if line_weights(criterion) is not None or isinstance(criterion, Egalitarian):
        return frontier.upper  # Jensen's inequality
    origin = getattr(criterion, "disagreement", (0.0, 0.0))
    user, assistant = ((low - zero, high - zero) for (low, high), zero in zip(_extremes(problem), origin, strict=True))
    best = float(criterion(origin[0] + user[1], origin[1] + assistant[1]))
    gain = min(user[1], assistant[1]) >= 0.0  # else somebody loses in every session
    root = float(core(origin[0] + user[1], origin[1] + assistant[1])) if isinstance(criterion, NashProduct) else 1.0
    for cut in frontier.cuts:
        if gain and min(cut.weights) <= 0.0:
            continue
        steepness = touching(core, cut.weights) * root * (1.0 + 1e-7) if gain else 1.0 / sum(cut.weights)
        slope = (steepness * cut.weights[0], steepness * cut.weights[1])
        above = max((min(x, y) - slope[0] * x - slope[1] * y for x, y in _corners(user, assistant)), default=0.0)
        room = cut.upper - cut.weights[0] * origin[0] - cut.weights[1] * origin[1]
        best = min(best, steepness * room + max(above, 0.0))
    return best


def _corners(user: Range, assistant: Range) -> list[tuple[float, float]]:
    """Return the corners of the part of a box where a side loses, cut where both gain or lose the same."""
    (a, b), (c, d) = user, assistant
    corners = [(x, y) for x in (a, b, 0.0) for y in (c, d, 0.0)] + [(z, z) for z in (a, b, c, d)]
    return [(x, y) for x, y in corners if min(x, y) <= 0.0 and a <= x <= b and c <= y <= d]


def _extremes(problem: Problem) -> tuple[Range, Range]:
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
