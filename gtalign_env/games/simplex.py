"""The linear program of ``games.linear`` solved exactly, for when floating point is not up to it.

A two-phase simplex method in integers over one common denominator (Edmonds 1967). Ties in the ratio test are broken
lexicographically, so that it ends.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from gtalign_env.errors import SolverError

__all__ = ["Exact", "exact_mixture", "leaving_line", "pivoted"]

_BITS = 40
"""Binary digits that are kept of the coefficients of each line."""

Exact = NDArray[np.object_]
"""Python's integers in an array."""


def exact_mixture(objective: NDArray[np.float64], limits: NDArray[np.float64], size: int) -> NDArray[np.float64] | None:
    """Return the best z = (distribution, free numbers) with limits · z ≤ 0, or ``None`` where there is none.

    Args:
        objective: Coefficients, shape (size + free numbers,), finite.
        limits: One limit per row, shape (limits, size + free numbers), finite.
        size: How many entries of z are probabilities.

    Raises:
        SolverError: The objective has no bound.

    Example:
        >>> exact_mixture(np.array([3.0, 1.0]), np.array([[1.0, -1.0]]), 2)
        array([0.5, 0.5])
    """
    table, basis = _start(objective, limits, size)
    order = (-1, *basis)
    denominator = 1
    for goal, first in ((-1, 0), (-2, 1)):  # bring the artificial variable, column 0, to 0; then maximise without it
        while table[goal, entering := first + int(np.argmin(table[goal, first:-1]))] < 0:
            if not (table[:-2, entering] > 0).any():
                raise SolverError("linear program: the objective has no bound")
            line = leaving_line(table[:-2], entering, order)
            table, denominator = pivoted(table, denominator, line, entering), table[line, entering]
            basis[line] = entering
        if table[-1, -1] != 0:
            return None
    values = dict(zip(basis, (Fraction(number, denominator) for number in table[:-2, -1]), strict=True))
    found = [values.get(1 + k, Fraction(0)) for k in range(size)]
    free = range(1 + size, 1 + size + 2 * (objective.size - size), 2)
    found += [values.get(k, Fraction(0)) - values.get(k + 1, Fraction(0)) for k in free]
    return np.array(found, dtype=np.float64)


def pivoted(table: Exact, denominator: int, line: int, column: int) -> Exact:
    """Return an integer tableau after one pivot; the pivot element is its new common denominator.

    Example:
        >>> pivoted(np.array([[2, 1, 4], [1, 3, 7]], dtype=object), 1, 0, 0).tolist()
        [[2, 1, 4], [0, 5, 10]]
    """
    row = table[line].copy()
    changed: Exact = (table * row[column] - np.outer(table[:, column], row)) // denominator  # leaves no remainder
    changed[line] = row
    return changed


def leaving_line(table: Exact, entering: int, order: Sequence[int]) -> int:
    """Return the line whose variable leaves: the lexicographically least in ``order``, divided by the entering column.

    When ``order`` is the right-hand side and then the columns of the first basis, no basis comes twice (Dantzig, Orden and Wolfe
    1955). Some line must be positive in the entering column.

    Example:
        >>> leaving_line(np.array([[1, 1, 0, 2], [2, 0, 1, 4]], dtype=object), 0, (-1, 1, 2))
        1
    """
    lines = [line for line in range(len(table)) if table[line, entering] > 0]
    for place in order:
        if len(lines) == 1:
            break
        ratios = [Fraction(table[line, place], table[line, entering]) for line in lines]
        least = min(ratios)
        lines = [line for line, ratio in zip(lines, ratios, strict=True) if ratio == least]
    return lines[0]


def _start(objective: NDArray[np.float64], limits: NDArray[np.float64], size: int) -> tuple[Exact, list[int]]:
    """Return the first tableau and its basis.

    Columns: artificial, the distribution, each free number as a difference of two, slacks, right-hand side. Lines: the limits,
    the sum of the distribution, minus the objective, minus the goal of the first phase.
    """
    count, free = limits.shape[0], objective.size - size
    width = 1 + size + 2 * free
    table: Exact = np.zeros((count + 3, width + count + 1), dtype=object)
    for line, coefficients in (*enumerate(limits), (count + 1, -objective)):
        whole = _whole(coefficients)
        table[line, 1 : 1 + size] = whole[:size]
        table[line, 1 + size : width : 2] = whole[size:]
        table[line, 2 + size : width : 2] = [-number for number in whole[size:]]
    table[range(count), range(width, width + count)] = 1
    table[count, [*range(1 + size), -1]] = 1
    table[count + 2, [*range(1, 1 + size), -1]] = -1
    return table, [*range(width, width + count), 0]


def _whole(coefficients: NDArray[np.float64]) -> list[int]:
    """Return a line of floats as integers: times a power of two, rounded to ``_BITS`` binary digits of the largest."""
    shift = _BITS - math.frexp(float(np.abs(coefficients).max()))[1]
    return [int(number) for number in np.rint(np.ldexp(coefficients, shift)).tolist()]
