"""Bootstrap intervals: how sure a number is. Every draw comes from the generator that is handed in."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Hashable, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gtalign_env.errors import UsageError
from gtalign_env.metrics.points import groups_of

__all__ = ["Interval", "bootstrap", "interquartile_mean", "paired_difference"]

Floats = NDArray[np.float64]
Method = Literal["bca", "percentile", "basic"]
Statistic = Callable[[Any], Any]
_BLOCKS = 400
"""Blocks that the jackknife leaves out one by one, in samples of more observations: its skewness hardly depends on it."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Interval:
    """An estimate with its bootstrap interval.

    Example:
        >>> str(Interval(estimate=0.5, low=0.25, high=0.75, level=0.95, method="bca", resamples=2000))
        '0.5 [0.25, 0.75]'
    """

    estimate: float
    """The statistic of the sample itself."""
    low: float
    high: float
    level: float
    """The share of intervals like this one that hold the true value, in (0, 1)."""
    method: str
    resamples: int

    def __str__(self) -> str:
        """Return estimate and bounds to four digits."""
        return f"{self.estimate:.4g} [{self.low:.4g}, {self.high:.4g}]"

    def holds(self, value: float) -> bool:
        """Return whether the value lies within the bounds."""
        return self.low <= value <= self.high


def bootstrap(
    values: ArrayLike,
    rng: np.random.Generator,
    *,
    statistic: Statistic = np.mean,
    groups: Sequence[Hashable] | None = None,
    level: float = 0.95,
    resamples: int = 2000,
    method: Method = "bca",
) -> Interval:
    """Return a statistic of a sample with its bootstrap interval (Efron & Tibshirani 1993, ch. 13–14).

    Args:
        values: One row for each observation, shape (n, …), finite.
        rng: Draws the resamples: the same state gives the same interval.
        statistic: A function from rows, shape (k, …), to a finite number.
        groups: A label for each row. Whole groups are then drawn, as they must be where rows of a group are not independent
            (several answers to one prompt, several steps of one episode).
        level: The interval's level, in (0, 1).
        resamples: How many samples are drawn (at least 100).
        method: ``"bca"`` corrects bias and skew (second-order accurate); ``"percentile"`` takes the quantiles of the
            resampled statistic; ``"basic"`` mirrors them at the estimate.

    Raises:
        UsageError: There are fewer than two observations or groups, a value is not finite, or a setting is out of range.

    Example:
        >>> interval = bootstrap([1.0, 2.0, 3.0, 4.0], np.random.default_rng(0), method="percentile")
        >>> interval.estimate, interval.low >= 1.0, interval.high <= 4.0
        (2.5, True, True)
    """
    rows = _rows(values)
    _check_settings(rng, level, resamples, method)
    units = np.arange(len(rows))[:, None] if groups is None else list(groups_of(groups, len(rows)).values())
    count = len(units)
    if count < 2:
        kind = "observations" if groups is None else "groups"
        raise UsageError(f"bootstrap: expected at least two {kind}, got {count}: one says nothing about spread")

    def measured(drawn: NDArray[np.intp]) -> float:
        return _finite(statistic(rows[drawn if groups is None else np.concatenate([units[i] for i in drawn])]))

    estimate = _finite(statistic(rows))
    drawn = np.array([measured(rng.integers(count, size=count)) for _ in range(resamples)])
    tail = (1.0 - level) / 2.0
    shares = np.array([tail, 1.0 - tail])
    if method == "bca" and np.ptp(drawn) > 0.0:
        blocks = np.array_split(np.arange(count), min(count, _BLOCKS))
        left_out = np.array([measured(np.delete(np.arange(count), block)) for block in blocks])
        shares = _corrected(shares, drawn, estimate, left_out)
    low, high = np.quantile(drawn, shares)
    if method == "basic":
        low, high = 2.0 * estimate - high, 2.0 * estimate - low
    return Interval(
        estimate=estimate, low=float(low), high=float(high), level=level, method=method, resamples=resamples
    )


def paired_difference(
    first: ArrayLike, second: ArrayLike, rng: np.random.Generator, *, statistic: Statistic = np.mean, **settings: Any
) -> Interval:
    """Return by how much the first of two methods is better, with its interval, over pairs on the same prompts or seeds.

    Pairs are drawn whole, so that what both methods share (an easy prompt) cancels.

    Args:
        first: Scores of one method, shape (n,).
        second: Scores of the other on the same n prompts.
        rng: Draws the resamples.
        statistic: Of the differences; their mean by default.
        settings: The other settings of ``bootstrap``.

    Raises:
        UsageError: The scores are not paired, or as in ``bootstrap``.

    Example:
        >>> paired_difference([2, 3, 4], [1, 2, 3], np.random.default_rng(0)).low
        1.0
    """
    ours, theirs = _rows(first), _rows(second)
    if ours.shape != theirs.shape:
        raise UsageError(f"paired_difference: expected scores in pairs, got shapes {ours.shape} and {theirs.shape}")
    return bootstrap(ours - theirs, rng, statistic=statistic, **settings)


def interquartile_mean(values: ArrayLike) -> float:
    """Return the mean of the middle half: robust to outliers, and less wasteful than the median (Agarwal et al. 2021).

    Observations at the edges of the middle half count by the share of them that lies within.

    Example:
        >>> interquartile_mean([0, 1, 2, 3, 1000])
        2.0
    """
    rows = np.sort(_rows(values), axis=None)
    edges = np.arange(len(rows) + 1) / len(rows)
    inside = np.clip(np.minimum(edges[1:], 0.75) - np.maximum(edges[:-1], 0.25), 0.0, None)
    return float(inside @ rows / inside.sum())


def _corrected(shares: Floats, drawn: Floats, estimate: float, left_out: Floats) -> Floats:
    """Return the quantiles that correct for bias (z₀) and acceleration (a), Efron 1987."""
    from scipy.special import ndtr, ndtri

    below = (np.sum(drawn < estimate) + np.sum(drawn <= estimate)) / (2.0 * len(drawn))
    bias = ndtri(np.clip(below, 0.5 / len(drawn), 1.0 - 0.5 / len(drawn)))
    off = left_out.mean() - left_out
    spread = np.sum(off**2) ** 1.5
    acceleration = np.sum(off**3) / (6.0 * spread) if spread > 0.0 else 0.0
    shifted = bias + ndtri(shares)
    corrected: Floats = ndtr(
        bias + shifted / np.maximum(1.0 - acceleration * shifted, 1e-6)
    )  # far tails: the end itself
    return corrected


def _rows(values: ArrayLike) -> Floats:
    try:
        rows = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise UsageError(f"bootstrap: expected numbers, one row per observation, got {values!r}") from None
    if rows.ndim == 0 or not len(rows) or not np.isfinite(rows).all():
        raise UsageError(f"bootstrap: expected finite numbers, one row per observation, got {values!r}")
    return rows


def _finite(value: Any) -> float:
    number = float(value)
    if not np.isfinite(number):
        raise UsageError(
            f"bootstrap: the statistic of a resample is {number}: expected a finite number of every sample"
        )
    return number


def _check_settings(rng: object, level: float, resamples: int, method: str) -> None:
    if not isinstance(rng, np.random.Generator):
        raise UsageError(f"bootstrap: expected a numpy Generator, as in numpy.random.default_rng(0), got {rng!r}")
    if not isinstance(level, float) or not 0.0 < level < 1.0:
        raise UsageError(f"bootstrap: level: expected a number between 0 and 1, got {level!r}")
    if isinstance(resamples, bool) or not isinstance(resamples, int) or resamples < 100:
        raise UsageError(f"bootstrap: resamples: expected an integer >= 100, got {resamples!r}")
    if method not in ("bca", "percentile", "basic"):
        raise UsageError(f"bootstrap: method: expected 'bca', 'percentile' or 'basic', got {method!r}")
