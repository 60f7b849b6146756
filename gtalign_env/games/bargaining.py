"""Bargaining: which outcome two players agree on who may also walk away, by four classical solutions.

Feasible are the cells of the game, or with ``hull=True`` every lottery over cells, that leave nobody worse off than the
disagreement point d. In gains x = user − d_user and y = assistant − d_assistant, with x̂ and ŷ the largest feasible gains:

* ``nash``: the largest product x·y (Nash 1950);
* ``kalai_smorodinsky``: the largest min(x/x̂, y/ŷ), on the hull the last feasible point on the way to the ideal point
  (Kalai and Smorodinsky 1975); where a player has nothing to gain, only the other one counts;
* ``egalitarian``: the largest min(x, y) (Kalai 1977);
* ``utilitarian``: the largest x + y.

Ties go to the larger sum (``utilitarian``: to the larger minimum). What is still tied is listed in ``Bargain.ties``, and the
first in reading order is chosen. On the hull nothing is still tied, and the answer lies on the Pareto frontier: one cell, or
a lottery over two.

If no feasible outcome leaves both at d or above, there is no agreement, and the answer is d itself.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gtalign_env.comparing import ROUNDING
from gtalign_env.errors import UnknownNameError, UsageError
from gtalign_env.games.cells import as_bimatrix
from gtalign_env.games.hull import frontier
from gtalign_env.games.maximin import security
from gtalign_env.inputs import finite

__all__ = ["Bargain", "Disagreement", "Solution", "bargain", "disagreement_point"]

Solution = Literal["nash", "kalai_smorodinsky", "egalitarian", "utilitarian"]
"""The solutions by name."""
Disagreement = tuple[float, float] | Literal["zero", "maximin"]
"""What happens without agreement: a point in utils, nothing, or what each player can secure alone by mixing."""

_TOLERANCE = 1e-9
"""Difference that counts as none between outcomes, as a share of the largest feasible gain."""
_ULPS = 4 * float(np.finfo(np.float64).eps)
"""What rounding may cost at a payoff or at the disagreement point, as a share of the larger one."""
_DUST = 1e-13
"""Probability that is a rounding error."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Bargain:
    """What the players agree on.

    Example:
        >>> bargain([[3, 0], [5, 1]], [[3, 5], [0, 1]], "nash", (1, 1)).gains
        (2.0, 2.0)
    """

    solution: Solution
    """By which solution."""
    disagreement: tuple[float, float]
    """What (user, assistant) get without agreement, utils."""
    mixture: tuple[tuple[tuple[int, int], float], ...]
    """The agreed cells as ((row, column), probability), indices from 0; empty without agreement."""
    ties: tuple[tuple[int, int], ...]
    """All cells that are equally good, the chosen one first; empty for a lottery and without agreement."""
    user_payoff: float
    """The user's expected payoff, utils."""
    assistant_payoff: float
    """The assistant's expected payoff, utils."""

    @property
    def agreed(self) -> bool:
        """Whether there is an agreement; else the payoffs are those of the disagreement point."""
        return bool(self.mixture)

    @property
    def gains(self) -> tuple[float, float]:
        """What (user, assistant) gain over the disagreement point, utils."""
        return self.user_payoff - self.disagreement[0], self.assistant_payoff - self.disagreement[1]


def bargain(
    user: ArrayLike,
    assistant: ArrayLike,
    solution: Solution = "nash",
    disagreement: Disagreement = (0.0, 0.0),
    *,
    hull: bool = False,
) -> Bargain:
    """Return the outcome that a bargaining solution picks (see the module for the rules).

    Args:
        user: The user's payoffs, shape (m, n).
        assistant: The assistant's payoffs, shape (m, n).
        solution: Which solution.
        disagreement: A point (user, assistant) in utils, ``"zero"``, or ``"maximin"``.
        hull: Whether lotteries over cells are feasible.

    Raises:
        UsageError: The arrays are no bimatrix of finite numbers, there is no such solution, the disagreement is neither a pair
            of finite numbers nor one of the names, or gains over it are too large for a float.

    Example:
        >>> found = bargain([[4, 0], [0, 1]], [[1, 0], [0, 4]], hull=True)
        >>> found.mixture, found.user_payoff, found.assistant_payoff
        ((((1, 1), 0.5), ((0, 0), 0.5)), 2.5, 2.5)
    """
    rows, columns = as_bimatrix(user, assistant)
    if solution not in get_args(Solution):
        raise UnknownNameError("bargaining solution", solution, get_args(Solution))
    point = disagreement_point(rows, columns, disagreement)
    payoffs = np.stack([rows.ravel(), columns.ravel()])  # (2, cells)
    gains = _gains(payoffs, point)
    slack = _slack(payoffs, point, computed=disagreement == "maximin")
    candidates = _lotteries(gains, slack, solution) if hull else _cells(gains, slack)
    if not len(candidates.weights):
        return Bargain(
            solution=solution, disagreement=point, mixture=(), ties=(), user_payoff=point[0], assistant_payoff=point[1]
        )
    best = _best(candidates.gains, solution, exact=hull and solution != "utilitarian")
    weights = candidates.weights[best[0]]
    places = [divmod(cell, rows.shape[1]) for cell, _ in weights]
    return Bargain(
        solution=solution,
        disagreement=point,
        mixture=tuple(zip(places, (weight for _, weight in weights), strict=True)),
        ties=() if hull else tuple(divmod(candidates.weights[i][0][0], rows.shape[1]) for i in best),
        user_payoff=float(sum(weight * rows[cell] for cell, (_, weight) in zip(places, weights, strict=True))),
        assistant_payoff=float(sum(weight * columns[cell] for cell, (_, weight) in zip(places, weights, strict=True))),
    )


def disagreement_point(user: ArrayLike, assistant: ArrayLike, disagreement: Disagreement) -> tuple[float, float]:
    """Return the disagreement point as two numbers, utils.

    Raises:
        UsageError: It is neither a pair of finite numbers nor ``"zero"`` or ``"maximin"``.

    Example:
        >>> disagreement_point([[3, 0], [5, 1]], [[3, 5], [0, 1]], "maximin")
        (1.0, 1.0)
    """
    if disagreement == "zero":
        return 0.0, 0.0
    if disagreement == "maximin":
        return security(user, assistant, "user").value, security(user, assistant, "assistant").value
    try:
        mine, theirs = (float(value) for value in disagreement)
    except (TypeError, ValueError, OverflowError):
        mine = theirs = float("nan")
    if not np.isfinite([mine, theirs]).all():
        raise UsageError(
            f"bargaining: expected the disagreement as two finite numbers, 'zero' or 'maximin', got {disagreement!r}"
        )
    return mine, theirs


@dataclasses.dataclass(frozen=True)
class _Candidates:
    """Feasible outcomes: gains (2, k), none below 0, and for each its cells with their probabilities."""

    gains: NDArray[np.float64]
    weights: Sequence[tuple[tuple[int, float], ...]]


def _gains(payoffs: NDArray[np.float64], point: tuple[float, float]) -> NDArray[np.float64]:
    with np.errstate(over="ignore"):
        found: NDArray[np.float64] = payoffs - np.array(point)[:, None]
    return finite(found, "bargaining: expected gains over the disagreement point that a float can hold")


def _slack(payoffs: NDArray[np.float64], point: tuple[float, float], *, computed: bool) -> NDArray[np.float64]:
    """Return which loss each side may have made by rounding alone, shape (2, cells); a computed point is less precise."""
    slack: NDArray[np.float64] = _ULPS * np.maximum(np.abs(payoffs), np.abs(point)[:, None])
    if computed:
        spread = ROUNDING * payoffs.max(axis=1, keepdims=True) - ROUNDING * payoffs.min(axis=1, keepdims=True)
        slack = np.maximum(slack, spread)
    return slack


def _cells(gains: NDArray[np.float64], slack: NDArray[np.float64]) -> _Candidates:
    feasible = np.flatnonzero((gains >= -slack).all(axis=0))
    return _Candidates(np.clip(gains[:, feasible], 0.0, None), [((int(cell), 1.0),) for cell in feasible])


def _lotteries(gains: NDArray[np.float64], slack: NDArray[np.float64], solution: Solution) -> _Candidates:
    """Return what may be best on the frontier: the ends of its pieces, and on each piece the best point inside.

    A piece of the frontier is gains[a] + t·(gains[b] − gains[a]), cut to where nobody loses.
    """
    pieces = _pieces(gains, gains) or _pieces(gains, gains + slack)  # rounding may put the point beyond the frontier
    if not pieces:
        return _Candidates(np.empty((2, 0)), [])
    ends = [_between(gains, a, b, t) for a, b, span in pieces for t in span]
    ideal = np.max(ends, axis=0)
    points, weights = [], []
    for a, b, (low, high) in pieces:
        start, step = gains[:, a], gains[:, b] - gains[:, a]
        for inside in (low, _turning_point(start, step, ideal, solution), high):
            t = _rounded(float(np.clip(inside, low, high)))
            points.append(_between(gains, a, b, t))
            weights.append(tuple((cell, weight) for cell, weight in ((a, 1.0 - t), (b, t)) if weight > 0.0))
    return _Candidates(np.clip(np.transpose(points), 0.0, None), weights)


def _pieces(gains: NDArray[np.float64], lenient: NDArray[np.float64]) -> list[tuple[int, int, tuple[float, float]]]:
    """Return the pieces of the frontier on which nobody loses, leniently: both corners and the range of t."""
    corners = frontier(*gains)
    found = []
    for a, b in zip(corners, corners[1:] or corners, strict=False):
        span = _no_loss(lenient[:, a], lenient[:, b])
        if span is not None:
            found.append((a, b, span))
    return found


def _between(gains: NDArray[np.float64], a: int, b: int, t: float) -> NDArray[np.float64]:
    point: NDArray[np.float64] = (1.0 - t) * gains[:, a] + t * gains[:, b]
    return point


def _rounded(t: float) -> float:
    """Return a share without the dust of rounding next to 0 and 1."""
    return round(t) if min(abs(t), abs(1.0 - t)) < _DUST else t


def _no_loss(start: NDArray[np.float64], end: NDArray[np.float64]) -> tuple[float, float] | None:
    """Return for which t in [0, 1] both coordinates of start + t·(end − start) are ≥ 0; x rises and y falls along it."""
    low = 0.0 if start[0] >= 0 else (-start[0] / (end[0] - start[0]) if end[0] >= 0 else 2.0)
    high = 1.0 if end[1] >= 0 else (start[1] / (start[1] - end[1]) if start[1] >= 0 else -1.0)
    return (float(low), float(high)) if low <= high else None


def _turning_point(
    start: NDArray[np.float64], step: NDArray[np.float64], ideal: NDArray[np.float64], solution: Solution
) -> float:
    """Return the t at which the product is largest, or the (relative) gains are equal; 0 on a piece of no length."""
    (x, y), (dx, dy) = start, step
    if solution == "nash":
        return float(-(x / dx + y / dy) / 2.0) if dx and dy else 0.0  # of the product (x + t dx)(y + t dy)
    across, along = ideal / (ideal.max() or 1.0) if solution == "kalai_smorodinsky" else (1.0, 1.0)
    slope = dx * along - dy * across  # of x/across − y/along, positive
    return float((y * across - x * along) / slope) if slope else 0.0


def _best(gains: NDArray[np.float64], solution: Solution, *, exact: bool) -> list[int]:
    """Return which candidates are best, in order."""
    largest = gains.max(axis=1)
    if solution in ("nash", "kalai_smorodinsky"):  # these do not depend on either player's unit
        scale = np.where(largest > 0, largest, 1.0)
    else:
        scale = np.full(2, float(largest.max()) or 1.0)
    x, y = gains / scale[:, None]
    least, total = np.minimum(x, y), x + y
    if solution == "kalai_smorodinsky" and not largest.all():
        least = np.maximum(x, y)
    criteria = {
        "nash": (x * y, total),
        "kalai_smorodinsky": (least, total),
        "egalitarian": (least, total),
        "utilitarian": (total, least),
    }[solution]
    best = np.arange(gains.shape[1])
    for criterion in criteria:
        values = criterion[best]
        best = best[values >= values.max() - (0.0 if exact else _TOLERANCE)]
    return [int(i) for i in best]
