"""Payoffs as whole numbers, so that equilibria can be computed without rounding.

Every float is a rational number, and equilibria do not change when a player's payoffs are multiplied by a positive number: so
each matrix is scaled to integers. Payoffs that are whole, or lie on the project's grid of 2⁻²⁰, or have few binary digits, keep
their exact value. Others are read as decimals (0.1 means 1/10), and what is neither is rounded to 2⁻⁴⁰ of the largest payoff:
sums that differ by rounding alone become the ties they were meant to be.
"""

from __future__ import annotations

import dataclasses
import math
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

__all__ = ["Integers", "to_integers"]

_GRID_BITS = 20
"""Payoff items of the project lie on a grid of 2⁻²⁰ (``payoffs.on_grid``)."""
_DECIMALS = 9
"""Decimal places that a payoff typed by a person has at most."""
_BITS = 40
"""Binary digits that are kept of payoffs that are neither on the grid nor decimal."""
_HELD = 2.0**52
"""Below this, floats hold every whole number and every half."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Integers:
    """A player's payoffs as integers: payoff = ``cells`` × ``unit``."""

    cells: list[list[int]]
    """One list per row, divided by their greatest common divisor."""
    unit: Fraction
    """What an integer 1 is worth, utils (> 0)."""
    exact: bool
    """Whether ``cells`` × ``unit`` are the given floats, or what they were taken to mean."""


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
    whole, unit, exact = _whole(payoffs)
    cells = [[int(number) for number in row] for row in whole.tolist()]
    divisor = math.gcd(*(number for row in cells for number in row)) or 1
    if divisor > 1:
        cells = [[number // divisor for number in row] for row in cells]
    return Integers(cells=cells, unit=unit * divisor, exact=exact)


def _whole(payoffs: NDArray[np.float64]) -> tuple[NDArray[np.float64], Fraction, bool]:
    """Return whole floats, the unit, and whether floats times unit are the payoffs themselves."""
    if _is_whole(payoffs):
        return payoffs, Fraction(1), True
    largest = float(np.abs(payoffs).max())
    if largest < math.ldexp(_HELD, -_GRID_BITS):
        on_grid = np.ldexp(payoffs, _GRID_BITS)
        if _is_whole(on_grid):
            return on_grid, Fraction(1, 2**_GRID_BITS), True
        decimal = np.rint(payoffs * 10.0**_DECIMALS)
        if largest < _HELD / 10.0**_DECIMALS and np.array_equal(decimal / 10.0**_DECIMALS, payoffs):
            return decimal, Fraction(1, 10**_DECIMALS), False
    shift = _BITS - math.frexp(largest)[1]
    scaled = np.ldexp(payoffs, shift)
    return np.rint(scaled), 1 / Fraction(2) ** shift, _is_whole(scaled)


def _is_whole(numbers: NDArray[np.float64]) -> bool:
    return bool((np.rint(numbers) == numbers).all())
