"""Which cells of a bimatrix are pure Nash equilibria, and which are Pareto-optimal among the cells."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gtalign_env.errors import UsageError

__all__ = ["as_bimatrix", "pareto_cells", "pure_nash_cells"]


def pure_nash_cells(user: ArrayLike, assistant: ArrayLike, *, tolerance: float = 1e-9) -> NDArray[np.bool_]:
    """Return the mask of pure Nash equilibria: no player gains more than ``tolerance`` by deviating alone.

    Args:
        user: The row player's payoffs, shape (m, n).
        assistant: The column player's payoffs, shape (m, n).
        tolerance: Gain that does not count.

    Raises:
        UsageError: The arrays are no bimatrix of finite numbers.

    Example:
        >>> pure_nash_cells([[1, 4, 1], [0, 3, 2]], [[1, 0, 0], [1, 3, 1]]).tolist()
        [[True, False, False], [False, False, False]]
    """
    rows, columns = as_bimatrix(user, assistant)
    best_row = rows >= rows.max(axis=0, keepdims=True) - tolerance
    best_column = columns >= columns.max(axis=1, keepdims=True) - tolerance
    found: NDArray[np.bool_] = best_row & best_column
    return found


def pareto_cells(user: ArrayLike, assistant: ArrayLike, *, tolerance: float = 1e-9) -> NDArray[np.bool_]:
    """Return the mask of cells that no other cell dominates: at least as good for both, and better for one.

    Differences of at most ``tolerance`` count as none.

    Raises:
        UsageError: The arrays are no bimatrix of finite numbers.

    Example:
        >>> pareto_cells([[1, 4, 1], [0, 3, 2]], [[1, 0, 0], [1, 3, 1]]).tolist()
        [[False, True, False], [False, True, False]]
    """
    rows, columns = as_bimatrix(user, assistant)
    gain_user = rows.reshape(1, -1) - rows.reshape(-1, 1)  # (cells, cells): what moving to the other cell brings
    gain_assistant = columns.reshape(1, -1) - columns.reshape(-1, 1)
    no_loss = (gain_user >= -tolerance) & (gain_assistant >= -tolerance)
    dominated = (no_loss & ((gain_user > tolerance) | (gain_assistant > tolerance))).any(axis=1)
    found: NDArray[np.bool_] = np.logical_not(dominated).reshape(rows.shape)
    return found


def as_bimatrix(user: ArrayLike, assistant: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return two payoff matrices as fresh float arrays of one shape.

    Raises:
        UsageError: They are empty, ragged, of different shapes, or hold what is no finite number.

    Example:
        >>> as_bimatrix([[1, 2]], [[3, 4]])[1]
        array([[3., 4.]])
    """
    matrices = []
    for side, matrix in (("user", user), ("assistant", assistant)):
        try:
            array = np.array(matrix, dtype=np.float64)
        except (TypeError, ValueError):
            raise UsageError(
                f"bimatrix: expected the {side}'s payoffs as rows of numbers of one length, got {matrix!r}"
            ) from None
        matrices.append(array)
    rows, columns = matrices
    if rows.ndim != 2 or rows.shape != columns.shape or not rows.size:
        raise UsageError(
            f"bimatrix: expected two matrices of one shape with at least one cell, got shapes {rows.shape} and {columns.shape}"
        )
    if not (np.isfinite(rows).all() and np.isfinite(columns).all()):
        raise UsageError("bimatrix: expected finite payoffs, got NaN or infinity")
    return rows, columns
