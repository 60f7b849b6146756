"""How rational were these players? The quantal-response rationality that fits observed plays best."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gtalign_env.errors import UnknownNameError, UsageError
from gtalign_env.games.cells import as_bimatrix
from gtalign_env.games.quantal import payoff_spread, principal_branch
from gtalign_env.games.regret import as_plays
from gtalign_env.types import Role

__all__ = ["RationalityFit", "fit_rationality"]

Floats = NDArray[np.float64]

_GRID = np.concatenate([[0.0], np.geomspace(1e-2, 1e3, 76)])
"""Rationality times spread of payoffs at which the likelihood is looked at first; the last stands for infinity."""
_LEAST_SPREAD = 1e-300
"""Spread of payoffs below which λ per util, and the distance between two of them, are too large for a float."""
_ZOOMS, _POINTS = 7, 17
"""How often a stretch of λ is divided, and into how many points; rounding leaves the peak uncertain by some 1e-7."""
_FLAT, _SAME = 1e-9, 1e-12
"""Log-likelihoods this near to the largest are equal to it: at the far end of the grid, and at uniform play."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class RationalityFit:
    """A maximum-likelihood estimate of rationality.

    Example:
        >>> fit_rationality([[3, 0], [5, 1]], [[3, 5], [0, 1]], [(0, 0), (1, 1)]).rationality
        0.0
    """

    rationality: float
    """λ̂ ≥ 0 per util; infinite where no play was an error that any finite λ would explain better."""
    interval: tuple[float, float]
    """The λ around the estimate that the plays do not reject; the upper end may be infinite."""
    level: float
    """Confidence of the interval, in (0, 1)."""
    log_likelihood: float
    """Of the counted moves at the estimate, nats."""
    uniform_log_likelihood: float
    """Of the same moves under uniform play (λ = 0), nats."""
    moves: int
    """How many moves were counted: one per play and counted player."""


def fit_rationality(
    user: ArrayLike, assistant: ArrayLike, plays: ArrayLike, *, role: Role | None = None, level: float = 0.95
) -> RationalityFit:
    """Estimate λ of the logit equilibrium by maximum likelihood (McKelvey and Palfrey 1995, section 3).

    The plays are taken as independent draws from the equilibrium on the principal branch. The interval holds the λ next to the
    estimate that a likelihood-ratio test with one degree of freedom does not reject.

    Args:
        user: The user's payoffs, shape (m, n).
        assistant: The assistant's payoffs, shape (m, n).
        plays: The cells played, shape (plays, 2): row and column, from 0.
        role: Whose moves count; both players' by default. The other one is assumed to be as rational.
        level: Confidence of the interval, in (0, 1).

    Raises:
        UsageError: The arrays are no bimatrix of finite numbers, a play lies outside, or role or level is wrong.
        SolverError: The branch of equilibria could not be followed.

    Example:
        >>> plays = [(0, 0)] * 2 + [(0, 1)] * 3 + [(1, 0)] * 3 + [(1, 1)] * 8
        >>> round(fit_rationality([[3, 0], [5, 1]], [[3, 5], [0, 1]], plays).rationality, 3)
        0.601
    """
    rows, columns = as_bimatrix(user, assistant)
    cells = as_plays(plays, rows.shape)
    if role not in (None, "user", "assistant"):
        raise UnknownNameError("role", role, ("assistant", "user"))
    if not 0.0 < level < 1.0:
        raise UsageError(f"rationality: expected a confidence level between 0 and 1, got {level!r}")
    counts = tuple(
        np.bincount(cells[:, side], minlength=rows.shape[side]) * (role in (None, name))
        for side, name in enumerate(("user", "assistant"))
    )

    def likelihood(rationalities: Floats) -> Floats:
        found = principal_branch(rows, columns, rationalities.tolist())
        return np.array([_log(counts[0], one.user) + _log(counts[1], one.assistant) for one in found])

    spread = payoff_spread(rows, columns) or 1.0
    if spread < _LEAST_SPREAD:
        raise UsageError(
            f"rationality: expected payoffs that differ by at least {_LEAST_SPREAD:g} utils, or not at all, got {spread:g}: λ "
            "per util would be too large for a float; use a smaller unit"
        )
    grid = _GRID / spread
    values = likelihood(grid)
    best, most = _peak(grid, values, likelihood)
    floor = most - NormalDist().inv_cdf((1.0 + level) / 2.0) ** 2 / 2.0
    return RationalityFit(
        rationality=best,
        interval=(
            _crossing(grid, values, best, floor, likelihood, upward=False),
            _crossing(grid, values, best, floor, likelihood, upward=True),
        ),
        level=level,
        log_likelihood=most,
        uniform_log_likelihood=float(values[0]),
        moves=int(counts[0].sum() + counts[1].sum()),
    )


def _log(counts: NDArray[np.int64], probabilities: tuple[float, ...]) -> float:
    """Return the log-likelihood of counts; moves never made count nothing, even with probability 0."""
    made = counts > 0
    with np.errstate(divide="ignore"):
        return float(counts[made] @ np.log(np.array(probabilities)[made]))


def _peak(grid: Floats, values: Floats, likelihood: Callable[[Floats], Floats]) -> tuple[float, float]:
    """Return where the likelihood is largest and how large: infinity if it is so to the end, 0 if everywhere."""
    most = float(values.max())
    if values[-1] >= most - _FLAT:
        return (0.0 if values[0] >= most - _FLAT else math.inf), most
    uniform, place = float(values[0]), int(values.argmax())
    for _ in range(_ZOOMS):
        low, high = float(grid[max(place - 1, 0)]), float(grid[place + 1])
        grid = np.linspace(low, high, _POINTS)
        values = likelihood(grid)
        place = min(int(values.argmax()), _POINTS - 2)
    found = float(values[place])
    return (float(grid[place]), found) if found > uniform + _SAME else (0.0, uniform)


def _crossing(
    grid: Floats, values: Floats, best: float, floor: float, likelihood: Callable[[Floats], Floats], *, upward: bool
) -> float:
    """Return where, on the way from the estimate up or down, the likelihood first falls below ``floor``; else the end."""
    below = grid[(values < floor) & ((grid > best) if upward else (grid < best))]
    if not below.size:
        return math.inf if upward else 0.0
    inside, outside = min(best, float(grid[-1])), float(below.min() if upward else below.max())
    for _ in range(_ZOOMS):
        stretch = np.linspace(inside, outside, _POINTS)  # falling on the way down
        kept = likelihood(stretch if upward else stretch[::-1]) >= floor
        first = max(1, int((~(kept if upward else kept[::-1])).argmax()))
        inside, outside = float(stretch[first - 1]), float(stretch[first])
    return inside
