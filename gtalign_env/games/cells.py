"""Which cells of a bimatrix are pure Nash equilibria, and which are Pareto-optimal among the cells."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gtalign_env.errors import UsageError

__all__ = ["as_bimatrix", "move_names", "pareto_cells", "pure_nash_cells"]


def pure_nash_cells(user: ArrayLike, assistant: ArrayLike, *, tolerance: float = 1e-9) -> NDArray[np.bool_]:
    """Return the mask of pure Nash equilibria: no player gains more than ``tolerance`` by deviating alone.

    Many games of one shape are answered at once when the arrays have leading axes.

    Args:
        user: The row player's payoffs, shape (..., m, n).
        assistant: The column player's payoffs, the same shape.
        tolerance: Gain that does not count, utils.

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
    best_row = rows >= rows.max(axis=-2, keepdims=True) - tolerance
    best_column = columns >= columns.max(axis=-1, keepdims=True) - tolerance
    found: NDArray[np.bool_] = best_row & best_column
    return found


def pareto_cells(user: ArrayLike, assistant: ArrayLike, *, tolerance: float = 1e-9) -> NDArray[np.bool_]:
    """Return the mask of cells that no other cell dominates: at least as good for both, and better for one.

    Args:
        user: The row player's payoffs, shape (..., m, n).
        assistant: The column player's payoffs, the same shape.
        tolerance: Difference that counts as none, utils.

    Returns:
        Booleans of the same shape.

    Raises:
        UsageError: The arrays are no bimatrix of finite numbers, nor many.

    Example:
        >>> pareto_cells([[1, 4, 1], [0, 3, 2]], [[1, 0, 0], [1, 3, 1]]).tolist()
        [[False, True, False], [False, True, False]]
    """
    rows, columns = as_bimatrix(user, assistant, many=True)
    flat_user, flat_assistant = (array.reshape(*array.shape[:-2], -1) for array in (rows, columns))
    gain_user = (
        flat_user[..., None, :] - flat_user[..., :, None]
    )  # (..., from, to): what moving to the other cell brings
    gain_assistant = flat_assistant[..., None, :] - flat_assistant[..., :, None]
    no_loss = (gain_user >= -tolerance) & (gain_assistant >= -tolerance)
    dominated = (no_loss & ((gain_user > tolerance) | (gain_assistant > tolerance))).any(axis=-1)
    found: NDArray[np.bool_] = np.logical_not(dominated).reshape(rows.shape)
    return found


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
    rows, columns = (_as_floats(side, matrix) for side, matrix in (("user", user), ("assistant", assistant)))
    flat = rows.ndim >= 2 if many else rows.ndim == 2
    if not flat or rows.shape != columns.shape or not rows.size:
        raise UsageError(
            f"bimatrix: expected two matrices of one shape with at least one cell, got shapes {rows.shape} and {columns.shape}"
        )
    if not (np.isfinite(rows).all() and np.isfinite(columns).all()):
        raise UsageError("bimatrix: expected finite payoffs, got NaN or infinity")
    return rows, columns


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
    found = tuple(str(name) for name in names) or tuple(str(i + 1) for i in range(count))
    if len(found) != count or len(set(found)) != count:
        raise UsageError(f"bimatrix: expected {count} different names of {label}, got {list(names)!r}")
    return found


def _as_floats(side: str, matrix: ArrayLike) -> NDArray[np.float64]:
    try:
        return np.array(matrix, dtype=np.float64)
    except (TypeError, ValueError):
        raise UsageError(
            f"bimatrix: expected the {side}'s payoffs as rows of numbers of one length, got {matrix!r}"
        ) from None
