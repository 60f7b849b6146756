"""Which cells of a bimatrix are pure Nash equilibria, and which are Pareto-optimal among the cells."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gtalign_env.comparing import levelled, undominated
from gtalign_env.errors import UsageError
from gtalign_env.inputs import different_names, finite, floats

__all__ = ["as_bimatrix", "move_names", "pareto_cells", "pure_nash_cells"]


def pure_nash_cells(user: ArrayLike, assistant: ArrayLike, *, tolerance: float | None = None) -> NDArray[np.bool_]:
    """Return the mask of pure Nash equilibria: nobody gains by deviating alone.

    Without a tolerance, payoffs of a player that differ by rounding alone are a tie (``comparing.levelled``). These are then the
    pure ones among ``nash.extreme_equilibria``. Many games of one shape are answered at once when the arrays have leading axes.

    Args:
        user: The row player's payoffs, shape (..., m, n).
        assistant: The column player's payoffs, the same shape.
        tolerance: Gain that does not count, utils; for payoffs that were measured.

    Returns:
        Booleans of the same shape.

    Raises:
        UsageError: The arrays are no bimatrix of finite numbers, nor many.

    Example:
        >>> pure_nash_cells([[1, 4, 1], [0, 3, 2]], [[1, 0, 0], [1, 3, 1]]).tolist()
        [[True, False, False], [False, False, False]]
        >>> pure_nash_cells(np.zeros((10_000, 2, 3)), np.zeros((10_000, 2, 3))).shape
        (10000, 2, 3)
    """
    rows, columns = as_bimatrix(user, assistant, many=True)
    if tolerance is None:
        rows, columns, tolerance = levelled(rows, axes=2), levelled(columns, axes=2), 0.0
    best_row = rows >= rows.max(axis=-2, keepdims=True) - tolerance
    best_column = columns >= columns.max(axis=-1, keepdims=True) - tolerance
    found: NDArray[np.bool_] = best_row & best_column
    return found


def pareto_cells(user: ArrayLike, assistant: ArrayLike, *, tolerance: float | None = None) -> NDArray[np.bool_]:
    """Return the mask of cells that no other cell dominates: at least as good for both, and better for one.

    Args:
        user: The row player's payoffs, shape (..., m, n).
        assistant: The column player's payoffs, the same shape.
        tolerance: Difference that counts as none, utils; by default rounding alone (``comparing.levelled``).

    Returns:
        Booleans of the same shape.

    Raises:
        UsageError: The arrays are no bimatrix of finite numbers, nor many.

    Example:
        >>> pareto_cells([[1, 4, 1], [0, 3, 2]], [[1, 0, 0], [1, 3, 1]]).tolist()
        [[False, True, False], [False, True, False]]
    """
    rows, columns = as_bimatrix(user, assistant, many=True)
    flat = (*rows.shape[:-2], -1)
    return undominated(rows.reshape(flat), columns.reshape(flat), tolerance=tolerance).reshape(rows.shape)


def as_bimatrix(
    user: ArrayLike, assistant: ArrayLike, *, many: bool = False
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return two payoff matrices as fresh float arrays of one shape.

    Args:
        user: The user's payoffs, shape (m, n).
        assistant: The assistant's payoffs, shape (m, n).
        many: Whether leading axes are allowed: many games of one shape.

    Raises:
        UsageError: They are empty, ragged, of different shapes, or hold what is no finite number.

    Example:
        >>> as_bimatrix([[1, 2]], [[3, 4]])[1]
        array([[3., 4.]])
    """
    rows, columns = (
        floats(matrix, f"bimatrix: expected the {side}'s payoffs as rows of numbers of one length")
        for side, matrix in (("user", user), ("assistant", assistant))
    )
    flat = rows.ndim >= 2 if many else rows.ndim == 2
    if not flat or rows.shape != columns.shape or not rows.size:
        raise UsageError(
            f"bimatrix: expected two matrices of one shape with at least one cell, got shapes {rows.shape} and {columns.shape}"
        )
    return finite(rows, "bimatrix: expected finite payoffs"), finite(columns, "bimatrix: expected finite payoffs")


def move_names(names: Sequence[Any], label: str, count: int) -> tuple[str, ...]:
    """Return the names of ``count`` moves as strings: those given, or numbers from 1.

    Args:
        names: The names, or nothing.
        label: What they name, for the message: ``"rows"`` or ``"columns"``.
        count: How many there must be.

    Raises:
        UsageError: The names are not ``count`` different ones.

    Example:
        >>> move_names((), "rows", 2), move_names(("VQ", "DQ"), "rows", 2)
        (('1', '2'), ('VQ', 'DQ'))
    """
    return different_names(names, count, "bimatrix", label)
