"""The plane of both payoffs: the convex hull of points, and the frontier of what mixing can reach."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["frontier", "hull_vertices"]


def hull_vertices(user: ArrayLike, assistant: ArrayLike) -> list[int]:
    """Return the corners of the convex hull of points, counter-clockwise from the leftmost (Andrew 1979).

    Points on an edge between two corners, and all but the first of equal points, are left out.

    Example:
        >>> hull_vertices([0, 2, 1, 1, 0], [0, 0, 1, 0, 2])
        [0, 1, 4]
    """
    u, a = np.asarray(user, dtype=np.float64), np.asarray(assistant, dtype=np.float64)
    _, first = np.unique(np.stack([u, a]), axis=1, return_index=True)
    ordered = sorted((int(i) for i in first), key=lambda i: (u[i], a[i]))
    if len(ordered) == 1:
        return ordered
    points = list(zip(_near_one(u).tolist(), _near_one(a).tolist(), strict=True))
    lower, upper = _chain(ordered, points), _chain(ordered[::-1], points)
    return lower[:-1] + upper[:-1]


def frontier(user: ArrayLike, assistant: ArrayLike) -> list[int]:
    """Return the corners of the Pareto frontier of the convex hull, from the assistant's best to the user's best.

    Along it the user's payoff rises and the assistant's falls, strictly.

    Example:
        >>> frontier([0, 4, 3, 3], [5, 0, 3, 2])
        [0, 2, 1]

        A corner that no other corner dominates may still lie below a mixture of two:

        >>> frontier([4, 6, 10], [9, 1, 0])
        [0, 2]
    """
    u, a = np.asarray(user, dtype=np.float64), np.asarray(assistant, dtype=np.float64)
    corners = hull_vertices(u, a)
    last = max(range(len(corners)), key=lambda k: (u[corners[k]], a[corners[k]]))  # the user's best
    first = max(range(len(corners)), key=lambda k: (a[corners[k]], u[corners[k]]))  # the assistant's best
    way = (first - last) % len(corners)  # counter-clockwise from the user's best to the assistant's
    return [corners[(last + k) % len(corners)] for k in range(way, -1, -1)]


def _near_one(numbers: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return numbers divided by a power of two, so that products of them neither overflow nor vanish."""
    scaled: NDArray[np.float64] = np.ldexp(numbers, -np.frexp(np.abs(numbers).max())[1])
    return scaled


def _chain(ordered: list[int], points: list[tuple[float, float]]) -> list[int]:
    """Return the corners on the right-hand side of the way along ``ordered``."""
    chain: list[int] = []
    for index in ordered:
        while len(chain) > 1 and _turn(points[chain[-2]], points[chain[-1]], points[index]) <= 0:
            chain.pop()
        chain.append(index)
    return chain


def _turn(start: tuple[float, float], middle: tuple[float, float], end: tuple[float, float]) -> float:
    """Return twice the area of the triangle: positive for a turn to the left."""
    return (middle[0] - start[0]) * (end[1] - start[1]) - (middle[1] - start[1]) * (end[0] - start[0])
