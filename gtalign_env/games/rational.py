"""Payoffs as whole numbers, so that equilibria can be computed without rounding.

Every float is a rational number, and equilibria do not change when a player's payoffs are multiplied by a positive number: so
each matrix is scaled to integers, and nothing is rounded. Only payoffs that differ by rounding alone are made equal before
(``comparing.levelled``): they become the ties they were meant to be.
"""

from __future__ import annotations

import dataclasses
import math
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from gtalign_env.comparing import levelled

__all__ = ["Integers", "to_integers"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Integers:
    """A player's payoffs as integers: payoff = ``cells`` × ``unit``."""

    cells: list[list[int]]
    """One list per row, divided by their greatest common divisor."""
    unit: Fraction
    """What an integer 1 is worth, utils (> 0)."""
    exact: bool
    """Whether ``cells`` × ``unit`` are the given floats; else some that were a tie but for rounding are made equal."""


def to_integers(payoffs: NDArray[np.float64]) -> Integers:
    """Return a matrix of finite payoffs as integers times a unit.

    Args:
        payoffs: Shape (m, n), finite.

    Example:
        >>> to_integers(np.array([[1.5, -3.0], [0.0, 6.0]]))
        Integers(cells=[[1, -2], [0, 4]], unit=Fraction(3, 2), exact=True)
        >>> to_integers(np.array([[0.1 + 0.2, 0.3, 0.0]])).cells  # 0.1 + 0.2 is not quite 0.3
        [[1, 1, 0]]
    """
    level = levelled(payoffs, axes=2)
    ratios = [[number.as_integer_ratio() for number in row] for row in level.tolist()]
    finest = max(below for row in ratios for _, below in row)  # powers of two: each divides the greatest
    cells = [[above * (finest // below) for above, below in row] for row in ratios]
    divisor = math.gcd(*(number for row in cells for number in row)) or 1
    if divisor > 1:
        cells = [[number // divisor for number in row] for row in cells]
    return Integers(
        cells=cells, unit=Fraction(divisor, finest), exact=level is payoffs or bool((level == payoffs).all())
    )
