"""How near points come to a front of reference: regret, coverage and the additive epsilon indicator."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import ArrayLike

from gtalign_env.errors import UsageError
from gtalign_env.metrics.fronts import check_scale, pareto_front
from gtalign_env.metrics.points import Floats, as_points, check_eps, groups_of

__all__ = ["epsilon_coverage", "epsilon_indicator", "regret_to_front"]


def regret_to_front(
    points: ArrayLike,
    reference: ArrayLike,
    *,
    scale: tuple[float, float] | None = None,
    prompts: Sequence[Hashable] | None = None,
    reference_prompts: Sequence[Hashable] | None = None,
) -> Floats:
    """Return how far each point falls short of the nearest point of the front (Chebyshev distance, shortfalls only).

    ``regret(p) = min over front points f of max(0, (f_U − p_U)/R_U, (f_L − p_L)/R_L)``. It is 0 for a point on the front or
    beyond it.

    Args:
        points: Pairs (user, assistant), shape (n, 2).
        reference: Points whose Pareto front is the yardstick, shape (m, 2); dominated ones are dropped, for falling short
            of them would look cheap.
        scale: R, what counts as 1 on each axis. When ``None``, the range of points and reference together, prompt by prompt
            where prompts are given; an axis without range is not scaled.
        prompts: The prompt of each point. Each is then held against the front of its own prompt.
        reference_prompts: The prompt of each reference point; needed with ``prompts``.

    Returns:
        Shape (n,), in shares of R.

    Raises:
        UsageError: Points are no finite pairs, the scale is not positive, or a prompt has no reference.

    Example:
        >>> regret_to_front([[1, 1], [3, 2], [0, 4]], [[3, 3], [1, 4]], scale=(1, 1)).tolist()
        [2.0, 1.0, 1.0]
    """
    array, yardstick = as_points(points), as_points(reference, label="reference")
    if (prompts is None) != (reference_prompts is None):
        raise UsageError("regret_to_front: expected prompts for both the points and the reference, or for neither")
    if prompts is None or reference_prompts is None:
        return _regret(array, yardstick, scale)
    rows_of = groups_of(reference_prompts, len(yardstick))
    regret = np.empty(len(array))
    for prompt, rows in groups_of(prompts, len(array)).items():
        if prompt not in rows_of:
            raise UsageError(f"regret_to_front: prompt {prompt!r} has no point of reference")
        regret[rows] = _regret(array[rows], yardstick[rows_of[prompt]], scale)
    return regret


def _regret(points: Floats, reference: Floats, scale: tuple[float, float] | None) -> Floats:
    if scale is None:
        reach = np.ptp(np.concatenate([points, reference]), axis=0)
        units = np.where(reach > 0.0, reach, 1.0)
    else:
        units = check_scale(scale)
    front = np.unique(reference[pareto_front(reference)], axis=0)
    regret = np.empty(len(points))
    rows = max(1, 1_000_000 // len(front))  # points at a time: the table of all pairs need not fit into memory
    for start in range(0, len(points), rows):
        short = (front - points[start : start + rows, None]) / units  # (rows, front, 2)
        regret[start : start + rows] = np.maximum(short.max(axis=2), 0.0).min(axis=1)
    return regret


def epsilon_coverage(
    points: ArrayLike,
    reference: ArrayLike,
    *,
    eps: float = 0.05,
    scale: tuple[float, float] | None = None,
    prompts: Sequence[Hashable] | None = None,
    reference_prompts: Sequence[Hashable] | None = None,
) -> float:
    """Return the share of points that come within ``eps`` of the front: whose ``regret_to_front`` is at most ``eps``.

    Args:
        points: Pairs (user, assistant), shape (n, 2).
        reference: Points whose Pareto front is the yardstick, shape (m, 2).
        eps: Shortfall that is forgiven, in shares of the scale; at 0 only points on the front or beyond it count.
        scale: As in ``regret_to_front``.
        prompts: As in ``regret_to_front``.
        reference_prompts: As in ``regret_to_front``.

    Raises:
        UsageError: As in ``regret_to_front``, or ``eps`` is negative.

    Example:
        >>> epsilon_coverage([[1, 1], [3, 2.9]], [[3, 3]], eps=0.1, scale=(1, 1))
        0.5
    """
    check_eps(eps)
    regret = regret_to_front(points, reference, scale=scale, prompts=prompts, reference_prompts=reference_prompts)
    return float((regret <= eps + 1e-12).mean())  # a shortfall of exactly eps, up to rounding, is forgiven


def epsilon_indicator(points: ArrayLike, reference: ArrayLike) -> float:
    """Return the additive epsilon indicator: by how much all points must rise so that every reference point is matched.

    ``max over reference r of min over points p of max(r_U − p_U, r_L − p_L)``, in utils (Zitzler et al. 2003). Negative where
    the points are better throughout.

    Args:
        points: Pairs (user, assistant), shape (n, 2).
        reference: The set to match, shape (m, 2).

    Raises:
        UsageError: Points are no finite pairs.

    Example:
        >>> epsilon_indicator([[2, 2]], [[3, 1], [1, 2.5]])
        1.0
    """
    array, yardstick = as_points(points), as_points(reference, label="reference")
    front = np.unique(array[pareto_front(array)], axis=0)
    least = -np.inf
    rows = max(1, 1_000_000 // len(front))
    for start in range(0, len(yardstick), rows):
        short = (yardstick[start : start + rows, None] - front).max(axis=2)  # (rows, front)
        least = max(least, float(short.min(axis=1).max()))
    return least
