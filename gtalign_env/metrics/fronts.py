"""Pareto fronts of points in payoff space, and what they enclose. Both payoffs are better when larger."""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gtalign_env.comparing import undominated
from gtalign_env.errors import UsageError
from gtalign_env.metrics.points import Floats, as_points, check_eps, groups_of

__all__ = ["DominanceCounts", "Spread", "dominance_counts", "hypervolume", "pareto_front", "spread"]


def pareto_front(
    points: ArrayLike,
    *,
    weak: bool = False,
    eps: float = 0.0,
    prompts: Sequence[Hashable] | None = None,
) -> NDArray[np.bool_]:
    """Return the mask of points that no other point dominates. Equal points stand or fall together.

    Args:
        points: Pairs (user, assistant), shape (n, 2).
        weak: Whether only a point that is better for both dominates (the weak front, which is larger). By default a point
            that is at least as good for both and better for one does.
        eps: Differences of at most this count as none.
        prompts: The prompt of each point. Points are then compared within their prompt only; pooled when ``None``.

    Returns:
        Mask of shape (n,); its mean is the nondominated rate.

    Raises:
        UsageError: The points are no finite pairs, or there is not one prompt for each.

    Example:
        >>> pareto_front([[3, 3], [0, 5], [5, 0], [1, 1], [5, -1]]).tolist()
        [True, True, True, False, False]
        >>> pareto_front([[5, 0], [5, -1]], weak=True).tolist()
        [True, True]
    """
    array = as_points(points)
    check_eps(eps)
    if prompts is None:
        return undominated(*array.T, tolerance=eps, weak=weak)
    mask = np.zeros(len(array), dtype=np.bool_)
    for rows in groups_of(prompts, len(array)).values():
        mask[rows] = undominated(*array[rows].T, tolerance=eps, weak=weak)
    return mask


def hypervolume(points: ArrayLike, *, reference: tuple[float, float] = (0.0, 0.0)) -> float:
    """Return the area that points dominate above a reference point, exactly.

    It is the area of the union of the rectangles between the reference and each point, in utils² (Zitzler & Thiele 1998). A
    point that is not better than the reference for both adds nothing; no points have an area of 0.

    Args:
        points: Pairs (user, assistant), shape (n, 2).
        reference: A declared point; fronts compare only under the same one. (0, 0) is the disagreement point.

    Raises:
        UsageError: The points or the reference are no finite pairs.

    Example:
        >>> round(hypervolume([[1, 0.2], [0.6, 0.6], [0.2, 1]]), 12)
        0.52
    """
    array = as_points(points, empty=True)
    origin = as_points([reference], label="reference")[0]
    above = array[(array > origin).all(axis=1)] - origin
    if not len(above):
        return 0.0
    user, assistant = above[np.argsort(-above[:, 0], kind="stable")].T  # from right to left
    height = np.maximum.accumulate(assistant)  # how high the union reaches left of each point
    width = user - np.append(user[1:], 0.0)
    return float((width * height).sum())


@dataclasses.dataclass(frozen=True, kw_only=True)
class DominanceCounts:
    """How often one method's outcome dominates another's on the same prompt.

    Example:
        >>> DominanceCounts(first=3, second=1, equal=0, incomparable=4).advantage
        0.25
    """

    first: int
    """Pairs in which the first method's point dominates the second's."""
    second: int
    """Pairs in which the second's dominates the first's."""
    equal: int
    """Pairs that do not differ (by more than ``eps``)."""
    incomparable: int
    """Pairs in which each is better for one side."""

    @property
    def total(self) -> int:
        """Number of pairs."""
        return self.first + self.second + self.equal + self.incomparable

    @property
    def advantage(self) -> float:
        """Share of pairs that the first wins, less the share that the second wins; in [−1, 1], and 0 where there is no pair."""
        return (self.first - self.second) / max(self.total, 1)


def dominance_counts(first: ArrayLike, second: ArrayLike, *, eps: float = 0.0) -> DominanceCounts:
    """Count, pair by pair, which of two methods' points dominates the other.

    Row i of both belongs to the same prompt. A point dominates when it is at least as good for both and better for one;
    differences of at most ``eps`` count as none, so a point never dominates its equal.

    Args:
        first: Pairs (user, assistant) of one method, shape (n, 2).
        second: Those of the other, same shape.
        eps: Difference that does not count.

    Raises:
        UsageError: The points are no finite pairs, or not as many.

    Example:
        >>> dominance_counts([[1, 1], [2, 0], [0, 0]], [[0, 1], [0, 2], [0, 0]])
        DominanceCounts(first=1, second=0, equal=1, incomparable=1)
    """
    ours, theirs = as_points(first, label="first"), as_points(second, label="second")
    check_eps(eps)
    if ours.shape != theirs.shape:
        raise UsageError(f"dominance_counts: expected one pair of points per prompt, got {len(ours)} and {len(theirs)}")
    difference = ours - theirs
    better, worse = (difference > eps).any(axis=1), (difference < -eps).any(axis=1)
    return DominanceCounts(
        first=int((better & ~worse).sum()),
        second=int((worse & ~better).sum()),
        equal=int((~better & ~worse).sum()),
        incomparable=int((better & worse).sum()),
    )


class Spread(NamedTuple):
    """How far points reach along each axis."""

    user: float
    assistant: float


def spread(points: ArrayLike, *, scale: tuple[float, float] | None = None) -> Spread:
    """Return the range of the points along each axis.

    Args:
        points: Pairs (user, assistant), shape (n, 2).
        scale: What a range of 1 is on each axis, e.g. the range over all methods; utils when ``None``.

    Raises:
        UsageError: The points are no finite pairs, or the scale is not positive.

    Example:
        >>> spread([[1, 0], [3, 5]], scale=(4, 10))
        Spread(user=0.5, assistant=0.5)
    """
    reach = np.ptp(as_points(points), axis=0)
    if scale is not None:
        reach = reach / check_scale(scale)
    return Spread(float(reach[0]), float(reach[1]))


def check_scale(scale: tuple[float, float]) -> Floats:
    """Return a scale as an array of shape (2,).

    Raises:
        UsageError: It is not a pair of positive numbers.
    """
    units: Floats = as_points([scale], label="scale")[0]
    if not (units > 0).all():
        raise UsageError(f"scale: expected two positive numbers (user, assistant), got {scale!r}")
    return units
