"""What players could have gained: distance of a strategy pair from equilibrium, and regret over a history of plays.

Regrets over plays are totals; divided by the number of plays, vanishing external regret leads to coarse correlated, and
vanishing swap regret to correlated equilibria (Hart and Mas-Colell 2000).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gtalign_env.errors import UsageError
from gtalign_env.games.cells import as_bimatrix
from gtalign_env.games.equilibrium import deviation_gains
from gtalign_env.welfare import Criterion, make_welfare

__all__ = [
    "Regret",
    "as_plays",
    "as_strategy",
    "exploitability",
    "external_regret",
    "nash_conv",
    "swap_regret",
    "welfare_regret",
]

_TOLERANCE = 1e-9
"""By how much probabilities may miss 0 and a sum of 1."""


class Regret(NamedTuple):
    """What each player could have gained in total, utils.

    Example:
        >>> external_regret([[3, 0], [5, 1]], [[3, 5], [0, 1]], [(0, 0), (0, 0)])
        Regret(user=4.0, assistant=4.0)
    """

    user: float
    assistant: float


def nash_conv(user: ArrayLike, assistant: ArrayLike, row: Sequence[float], column: Sequence[float]) -> float:
    """Return what both players together gain by best responses to a pair of mixed strategies (Lanctot et al. 2017), utils.

    Zero exactly at Nash equilibria.

    Args:
        user: The user's payoffs, shape (m, n).
        assistant: The assistant's payoffs, shape (m, n).
        row: The user's probabilities, m of them.
        column: The assistant's probabilities, n of them.

    Raises:
        UsageError: The arrays are no bimatrix of finite numbers, or a strategy is no distribution over the moves.

    Example:
        >>> nash_conv([[5, 0], [10, 1]], [[5, 10], [0, 1]], (0.5, 0.5), (0.5, 0.5))
        3.0
    """
    rows, columns = as_bimatrix(user, assistant)
    x, y = as_strategy(row, rows.shape[0], "the user's"), as_strategy(column, rows.shape[1], "the assistant's")
    return sum(max(0.0, gain) for gain in deviation_gains(rows, columns, x.tolist(), y.tolist()))


def exploitability(user: ArrayLike, assistant: ArrayLike, row: Sequence[float], column: Sequence[float]) -> float:
    """Return NashConv per player; arguments and errors as for ``nash_conv``.

    Example:
        >>> exploitability([[5, 0], [10, 1]], [[5, 10], [0, 1]], (0.5, 0.5), (0.5, 0.5))
        1.5
    """
    return nash_conv(user, assistant, row, column) / 2.0


def external_regret(user: ArrayLike, assistant: ArrayLike, plays: ArrayLike) -> Regret:
    """Return what each player would have gained by one fixed move throughout: the best one in hindsight.

    Args:
        user: The user's payoffs, shape (m, n).
        assistant: The assistant's payoffs, shape (m, n).
        plays: The cells played, shape (plays, 2): row and column, from 0.

    Returns:
        The totals, utils; negative where no fixed move would have done as well as the moves made.

    Raises:
        UsageError: The arrays are no bimatrix of finite numbers, or there is no play, or one outside the matrix.

    Example:
        >>> external_regret([[3, 0], [5, 1]], [[3, 5], [0, 1]], [(0, 0), (0, 1)]).user
        3.0
    """
    rows, columns = as_bimatrix(user, assistant)
    counts = _counts(plays, rows.shape)
    return Regret(
        user=float((rows @ counts.sum(axis=0)).max() - (rows * counts).sum()),
        assistant=float((counts.sum(axis=1) @ columns).max() - (columns * counts).sum()),
    )


def swap_regret(user: ArrayLike, assistant: ArrayLike, plays: ArrayLike) -> Regret:
    """Return what each player would have gained by replacing each of its moves throughout by the best one for it.

    Args:
        user: The user's payoffs, shape (m, n).
        assistant: The assistant's payoffs, shape (m, n).
        plays: The cells played, shape (plays, 2): row and column, from 0.

    Returns:
        The totals, utils: ≥ 0, and at least the external regret.

    Raises:
        UsageError: As for ``external_regret``.

    Example:
        >>> swap_regret([[1, 0], [0, 1]], [[0, 0], [0, 0]], [(0, 1), (1, 0)]).user
        2.0
    """
    rows, columns = as_bimatrix(user, assistant)
    counts = _counts(plays, rows.shape)
    # others[k, i]: what the user would have got in the rounds of move i by playing k instead
    return Regret(
        user=float((rows @ counts.T).max(axis=0).sum() - (rows * counts).sum()),
        assistant=float((columns.T @ counts).max(axis=0).sum() - (columns * counts).sum()),
    )


def welfare_regret(
    user: ArrayLike, assistant: ArrayLike, plays: ArrayLike, welfare: str | Criterion = "utilitarian"
) -> float:
    """Return how much welfare the plays left on the table: the sum of W* − W over the plays, ≥ 0.

    Args:
        user: The user's payoffs, shape (m, n).
        assistant: The assistant's payoffs, shape (m, n).
        plays: The cells played, shape (plays, 2): row and column, from 0.
        welfare: Welfare of a cell: a name as for ``make_welfare``, or a criterion.

    Raises:
        UsageError: As for ``external_regret``, or the welfare is unknown.

    Example:
        >>> welfare_regret([[3, 0], [5, 1]], [[3, 5], [0, 1]], [(0, 0), (1, 1)])
        4.0
    """
    rows, columns = as_bimatrix(user, assistant)
    values = np.asarray(make_welfare(welfare)(rows, columns), dtype=np.float64)
    return float(((values.max() - values) * _counts(plays, rows.shape)).sum())


def as_plays(plays: ArrayLike, shape: tuple[int, ...]) -> NDArray[np.int64]:
    """Return cells that were played as whole numbers, shape (plays, 2).

    Raises:
        UsageError: There is none, or one outside a matrix of ``shape``.

    Example:
        >>> as_plays([(0, 1), (1, 1)], (2, 2)).tolist()
        [[0, 1], [1, 1]]
    """
    try:
        cells = np.array(plays, dtype=np.float64)
    except (TypeError, ValueError):
        cells = np.empty(0)
    if cells.ndim != 2 or cells.shape[1] != 2 or not cells.size:
        raise UsageError(f"plays: expected at least one (row, column) pair of indices, got {plays!r}")
    inside = (cells >= 0) & (cells < np.array(shape)) & (cells == np.floor(cells))
    if not inside.all():
        wrong = cells[~inside.all(axis=1)][0].tolist()
        raise UsageError(f"plays: expected whole numbers from 0 inside a matrix of shape {shape}, got the pair {wrong}")
    return cells.astype(np.int64)


def as_strategy(weights: Sequence[float], moves: int, whose: str) -> NDArray[np.float64]:
    """Return a mixed strategy as an array of probabilities.

    Raises:
        UsageError: It is no distribution over ``moves`` moves.

    Example:
        >>> as_strategy((0.25, 0.75), 2, "the user's")
        array([0.25, 0.75])
    """
    try:
        found = np.array([float(weight) for weight in weights])
    except (TypeError, ValueError):
        found = np.empty(0)
    if found.shape != (moves,) or not (found >= -_TOLERANCE).all() or abs(found.sum() - 1.0) > _TOLERANCE:
        raise UsageError(f"strategy: expected {whose} as {moves} probabilities that sum to 1, got {weights!r}")
    return found


def _counts(plays: ArrayLike, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Return how often each cell was played."""
    counts = np.zeros(shape)
    cells = as_plays(plays, shape)
    np.add.at(counts, (cells[:, 0], cells[:, 1]), 1.0)
    return counts
