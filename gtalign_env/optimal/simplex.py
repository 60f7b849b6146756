"""A regular grid on the simplex of beliefs, and interpolation on it.

Freudenthal's triangulation, as Lovejoy (1991, "Computationally feasible bounds for partially observed Markov decision
processes", §4) uses it: every belief is a mixture of at most K grid points, so a convex function is nowhere above its
interpolation.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
from numpy.typing import NDArray

from gtalign_env.errors import SolverError

__all__ = ["Grid"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class Grid:
    """All beliefs over K kinds whose shares are multiples of 1/n.

    Args:
        kinds: K.
        resolution: n.

    Attributes:
        points: (G, K): the beliefs.

    Example:
        >>> grid = Grid(3, 4)
        >>> grid.points.shape
        (15, 3)
        >>> vertices, weights = grid.locate(np.array([[0.5, 0.3, 0.2]]))
        >>> (weights[..., None] * grid.points[vertices]).sum(axis=1).round(12).tolist()
        [[0.5, 0.3, 0.2]]
    """

    def __init__(self, kinds: int, resolution: int) -> None:
        self.kinds, self.resolution = kinds, resolution
        bars = itertools.combinations(range(resolution + kinds - 1), kinds - 1)
        edges = np.array([(-1, *at, resolution + kinds - 1) for at in bars], dtype=np.int64)
        if (resolution + 2) ** kinds >= 2**62:
            raise SolverError(f"grid of beliefs: {kinds} kinds are too many; take fewer, or personas without 'spread'")
        counts = np.diff(edges, axis=1) - 1  # (G, K), in lexicographic order
        self.points: Floats = counts / resolution
        self._base: Ints = np.array([(resolution + 2) ** (kinds - 1 - k) for k in range(kinds)], dtype=np.int64)
        self._keys: Ints = counts @ self._base

    @classmethod
    def of_size(cls, kinds: int, points: int) -> Grid:
        """Return the finest grid with at most so many points, and with the corners at least.

        Example:
            >>> len(Grid.of_size(4, 500).points)
            455
        """
        n = 1
        while kinds > 1 and math.comb(n + kinds, kinds - 1) <= points and (n + 3) ** kinds < 2**62:
            n += 1
        return cls(kinds, n)

    def locate(self, beliefs: Floats) -> tuple[Ints, Floats]:
        """Return the grid points around beliefs, and the weights with which they mix to them.

        Args:
            beliefs: (N, K), each summing to 1.

        Returns:
            Indices (N, K) of grid points and weights (N, K).
        """
        n, kinds = self.resolution, self.kinds
        tails = n * beliefs[:, ::-1].cumsum(axis=1)[:, ::-1]  # (N, K): how much lies at or behind each kind
        tails[:, 0] = n
        floor = np.floor(tails + 1e-12)
        rest = np.maximum(tails - floor, 0.0)
        order = np.argsort(-rest[:, 1:], axis=1, kind="stable") + 1  # (N, K - 1)
        sorted_rest = np.take_along_axis(rest, order, axis=1)
        bounds = np.concatenate([np.ones((len(beliefs), 1)), sorted_rest, np.zeros((len(beliefs), 1))], axis=1)
        weights = bounds[:, :-1] - bounds[:, 1:]  # (N, K)
        steps = np.concatenate(
            [np.zeros((len(beliefs), 1, kinds)), (order[:, :, None] == np.arange(kinds)).cumsum(axis=1)], axis=1
        )
        corners = np.pad((floor[:, None] + steps).astype(np.int64), ((0, 0), (0, 0), (0, 1)))
        counts = corners[..., :-1] - corners[..., 1:]  # (N, K corners, K)
        outside = (weights <= 1e-15) | (counts < 0).any(axis=-1)
        keys = np.where(outside, self._keys[0], counts @ self._base)
        return np.searchsorted(self._keys, keys), np.where(outside, 0.0, weights)
