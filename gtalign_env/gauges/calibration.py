"""Do the payoffs that a model states come true? Stated numbers against realised ones, by side."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gtalign_env.errors import UsageError

__all__ = ["PayoffCalibration", "ReliabilityBin", "payoff_calibration", "rank_correlation"]

Floats = NDArray[np.float64]


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReliabilityBin:
    """The turns whose stated payoff lies in one interval.

    Example:
        >>> ReliabilityBin(low=0.0, high=1.0, n=2, stated=0.5, realised=0.75).n
        2
    """

    low: float
    """Where the interval begins, utils."""
    high: float
    """Where it ends; the last one holds its end."""
    n: int
    stated: float
    """Mean stated payoff, utils."""
    realised: float
    """Mean realised payoff, utils."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class PayoffCalibration:
    """How far one side's stated payoffs are from what came.

    Example:
        >>> payoff_calibration([1.0, 2.0, 3.0], [0.0, 1.0, 2.0]).bias
        1.0
    """

    n: int
    mae: float
    """Mean of ``|stated − realised|``, utils."""
    bias: float
    """Mean of ``stated − realised``, utils: above 0 where more was promised than came."""
    spearman: float | None
    """Rank correlation, free of any scale; ``None`` for fewer than 3 turns, or where one of both never changes."""
    slope: float | None
    """Utils realised per util stated, by least squares; ``None`` where the stated payoff never changes. 1 is calibrated."""
    intercept: float | None
    """Utils realised where 0 is stated, by the same line."""
    bins: tuple[ReliabilityBin, ...]
    """The reliability plot's points, from low to high; intervals without a turn are left out."""


def payoff_calibration(stated: ArrayLike, realised: ArrayLike, *, bins: int = 10) -> PayoffCalibration | None:
    """Compare stated with realised payoffs.

    Args:
        stated: Shape (n,), in utils.
        realised: Of the same exchanges, shape (n,), utils.
        bins: Into how many intervals of equal width the range of the stated payoffs is cut.

    Returns:
        The comparison; ``None`` for nothing.

    Raises:
        UsageError: The lengths differ, a payoff is not finite, or there is no bin.

    Example:
        >>> found = payoff_calibration([0, 0, 2, 2], [1, 3, 5, 7], bins=2)
        >>> found.mae, found.slope, found.intercept, [(point.stated, point.realised) for point in found.bins]
        (3.0, 2.0, 2.0, [(0.0, 2.0), (2.0, 6.0)])
    """
    said, came = _numbers(stated, "stated"), _numbers(realised, "realised")
    if said.shape != came.shape:
        raise UsageError(
            f"calibration: expected as many realised payoffs as stated ones, got {len(came)} and {len(said)}"
        )
    if isinstance(bins, bool) or not isinstance(bins, int) or bins < 1:
        raise UsageError(f"bins: expected an integer >= 1, got {bins!r}")
    if not said.size:
        return None
    slope, intercept = _line(said, came)
    return PayoffCalibration(
        n=len(said),
        mae=float(np.abs(said - came).mean()),
        bias=float((said - came).mean()),
        spearman=rank_correlation(said, came),
        slope=slope,
        intercept=intercept,
        bins=_bins(said, came, bins),
    )


def rank_correlation(first: ArrayLike, second: ArrayLike) -> float | None:
    """Return Spearman's rank correlation, ties sharing their mean rank.

    Returns:
        From −1 to 1; ``None`` for fewer than 3 pairs, or where one of both never changes.

    Example:
        >>> rank_correlation([1, 2, 3, 4], [10, 20, 20, 40])
        0.9486832980505138
    """
    ranks = [_ranks(np.asarray(values, dtype=np.float64)) for values in (first, second)]
    if len(ranks[0]) < 3 or not all(np.ptp(rank) for rank in ranks):
        return None
    one, other = (rank - rank.mean() for rank in ranks)
    return float(one @ other / np.sqrt((one @ one) * (other @ other)))


def _ranks(values: Floats) -> Floats:
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(count)
    ranks: Floats = ((2 * last - count + 1) / 2.0)[place]
    return ranks


def _line(said: Floats, came: Floats) -> tuple[float | None, float | None]:
    off = said - said.mean()
    spread = float(off @ off)
    if np.ptp(said) == 0.0 or spread == 0.0:
        return None, None
    slope = float(off @ came) / spread
    return slope, float(came.mean() - slope * said.mean())


def _bins(said: Floats, came: Floats, bins: int) -> tuple[ReliabilityBin, ...]:
    edges = np.linspace(said.min(), said.max(), bins + 1)
    place = np.clip(np.searchsorted(edges, said, side="right") - 1, 0, bins - 1)
    found: Sequence[int] = np.unique(place).tolist()
    return tuple(
        ReliabilityBin(
            low=float(edges[b]),
            high=float(edges[b + 1]),
            n=int((place == b).sum()),
            stated=float(said[place == b].mean()),
            realised=float(came[place == b].mean()),
        )
        for b in found
    )


def _numbers(values: ArrayLike, label: str) -> Floats:
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise UsageError(f"{label} payoffs: expected numbers, got {values!r}") from None
    if array.ndim != 1 or not np.isfinite(array).all():
        raise UsageError(f"{label} payoffs: expected finite numbers in a row, got {values!r}")
    return array
