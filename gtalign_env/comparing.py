"""How payoffs are compared: which of them are a tie, and which points no other one dominates.

Payoffs are floats, and sums that should be equal may differ by rounding: 0.1 + 0.2 is not quite 0.3. What counts is the spread,
the largest payoff less the smallest: payoffs no further apart than ``ROUNDING`` of it, or than the one rounding error with which
a float holds the largest, are one payoff. So neither the unit nor the origin of payoffs matters, as far as floats can hold
them. Pure equilibria, ``nash()`` and Pareto-optimal cells all follow this rule.
"""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["ROUNDING", "levelled", "undominated"]

Floats = NDArray[np.float64]

ROUNDING = 2.0**-40
"""Difference that counts as none, as a share of the spread: about 1e-12."""
_FEW = 64
"""Payoffs up to which plain Python looks sooner than NumPy whether any are near."""
_ULP = float(np.finfo(np.float64).eps)


def levelled(payoffs: ArrayLike, *, axes: int = 1, ulps: int = 1) -> Floats:
    """Return payoffs with those that differ by rounding alone made equal: each run of near ones takes its least.

    No payoff changes by more than what counts as rounding, and different ones stay further apart than that.

    Args:
        payoffs: One player's payoffs, finite, of any shape.
        axes: How many of the last axes hold the payoffs of one game; those before them count games.
        ulps: Rounding errors of the largest that count as none: more for numbers that took a longer computation.

    Returns:
        The same shape; the very array where nothing changes.

    Example:
        >>> levelled([0.1 + 0.2, 0.3, 0.0]).tolist()
        [0.3, 0.3, 0.0]
        >>> levelled([1e12 + 0.5, 1e12]).tolist()  # an origin is no spread
        [1000000000000.5, 1000000000000.0]
    """
    array = np.asarray(payoffs, dtype=np.float64)
    if array.ndim == axes and array.size <= _FEW and _apart(array.ravel().tolist(), ulps):
        return array
    flat = array.reshape(*array.shape[: array.ndim - axes], -1)
    rising = np.sort(flat, axis=-1)
    least, most = rising[..., :1], rising[..., -1:]
    spread = ROUNDING * most - ROUNDING * least  # each first, as most - least may overflow
    slack = np.maximum(spread, ulps * _ULP * np.maximum(np.abs(most), np.abs(least)))  # (..., 1)
    with np.errstate(over="ignore"):
        gaps = np.diff(rising, axis=-1)
        if not ((gaps > 0.0) & (gaps <= slack)).any():
            return array
        for place in range(1, rising.shape[-1]):
            before, here = rising[..., place - 1], rising[..., place]  # before: already the least of its run
            rising[..., place] = np.where(here - before <= slack[..., 0], before, here)
    level = np.empty_like(flat)
    np.put_along_axis(level, np.argsort(flat, axis=-1), rising, axis=-1)
    return level.reshape(array.shape)


def _apart(numbers: list[float], ulps: int) -> bool:
    """Return whether different numbers differ by more than rounding: what ``levelled`` finds, quickly for few."""
    rising = sorted(set(numbers))
    least, most = rising[0], rising[-1]
    slack = max(ROUNDING * most - ROUNDING * least, ulps * _ULP * max(most, -least))
    return all(high - low > slack for low, high in itertools.pairwise(rising))


def undominated(
    user: ArrayLike, assistant: ArrayLike, *, tolerance: float | None = None, weak: bool = False
) -> NDArray[np.bool_]:
    """Return which points no other one Pareto-dominates: at least as good for both, and better for one.

    Args:
        user: The user's payoffs, shape (..., n): n points, or many lists of n points.
        assistant: The assistant's payoffs, the same shape.
        tolerance: Difference that counts as none, utils; by default the rounding of each player's payoffs (``levelled``).
        weak: Whether only a point that is better for both dominates.

    Returns:
        Booleans of the same shape. One list takes O(n log n); of many, all pairs of points are compared.

    Example:
        >>> undominated([1, 4, 3, 3], [1, 0, 3, 2]).tolist()
        [False, True, True, False]
        >>> undominated([5, 5], [0, -1], weak=True).tolist()
        [True, True]
    """
    u, a = np.asarray(user, dtype=np.float64), np.asarray(assistant, dtype=np.float64)
    if tolerance is None:
        u, a, tolerance = levelled(u), levelled(a), 0.0
    if u.size == u.shape[-1]:  # one list
        return _by_sweep(u.ravel(), a.ravel(), tolerance, weak).reshape(u.shape)
    return _by_pairs(u, a, tolerance, weak)


def _by_sweep(u: Floats, a: Floats, tolerance: float, weak: bool) -> NDArray[np.bool_]:
    """Look up, for each point, the most that the assistant gets among the points that are better for the user."""
    order = np.argsort(u, kind="stable")
    rising = u[order]
    most_from = np.append(np.maximum.accumulate(a[order][::-1])[::-1], -np.inf)  # (n + 1,): among points k and after
    better = most_from[np.searchsorted(rising, u + tolerance, side="right")]
    if weak:
        return np.asarray(better <= a + tolerance)
    no_worse = most_from[np.searchsorted(rising, u - tolerance, side="left")]
    return np.asarray((better < a - tolerance) & (no_worse <= a + tolerance))


def _by_pairs(u: Floats, a: Floats, tolerance: float, weak: bool) -> NDArray[np.bool_]:
    with np.errstate(over="ignore"):
        more_user, more_assistant = (side[..., None, :] - side[..., :, None] for side in (u, a))  # (..., of, by)
    if weak:
        beaten = (more_user > tolerance) & (more_assistant > tolerance)
    else:
        beaten = (more_user >= -tolerance) & (more_assistant >= -tolerance)
        beaten &= (more_user > tolerance) | (more_assistant > tolerance)
    return np.asarray(~beaten.any(axis=-1))
