"""An equilibrium of a bimatrix game, and how it is checked before it is handed out."""

from __future__ import annotations

import dataclasses
import operator
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from gtalign_env.errors import SolverError
from gtalign_env.games.rational import Integers

__all__ = ["TOLERANCE", "Equilibrium", "checked_equilibrium", "deviation_gains"]

TOLERANCE = 1e-9
"""What a player may gain by deviating from a returned equilibrium, as a share of the spread of the player's payoffs."""
_ROUNDED = 64 * float(np.finfo(np.float64).eps)
"""What rounding may add to it, as a share of the largest absolute payoff."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Equilibrium:
    """A Nash equilibrium: two mixed strategies, each a best response to the other.

    Numbers are fractions, and then nobody gains anything at all by deviating; but floats in a game with payoffs that differ by
    rounding alone, which are taken for ties (see ``games.rational``).

    Example:
        >>> Equilibrium(user=(1, 0), assistant=(0, 1), user_payoff=0, assistant_payoff=2, exact=True).is_pure
        True
    """

    user: tuple[Fraction | float, ...]
    """The user's probability of each row."""
    assistant: tuple[Fraction | float, ...]
    """The assistant's probability of each column."""
    user_payoff: Fraction | float
    """The user's expected payoff, utils."""
    assistant_payoff: Fraction | float
    """The assistant's expected payoff, utils."""
    exact: bool
    """Whether nobody gains anything at all by deviating; else at most ``TOLERANCE`` of the spread."""

    @property
    def is_pure(self) -> bool:
        """Whether both players choose one move for certain."""
        return max(self.user) == 1 == max(self.assistant)


def deviation_gains(
    user: NDArray[np.float64], assistant: NDArray[np.float64], row: Sequence[float], column: Sequence[float]
) -> tuple[float, float]:
    """Return what each player could gain by deviating alone from a pair of mixed strategies, utils (≥ 0 but for rounding).

    Args:
        user: The user's payoffs, shape (m, n).
        assistant: The assistant's payoffs, shape (m, n).
        row: The user's probabilities, m of them.
        column: The assistant's probabilities, n of them.

    Example:
        >>> deviation_gains(np.array([[5, 0], [10, 1]]), np.array([[5, 10], [0, 1]]), (0.5, 0.5), (0.5, 0.5))
        (1.5, 1.5)
    """
    x, y = np.asarray(row, dtype=np.float64), np.asarray(column, dtype=np.float64)
    rows, columns = user @ y, x @ assistant
    return float(rows.max() - x @ rows), float(columns.max() - columns @ y)


def checked_equilibrium(
    user: NDArray[np.float64],
    assistant: NDArray[np.float64],
    integers: tuple[Integers, Integers],
    weights: tuple[Sequence[int], Sequence[int]],
) -> Equilibrium:
    """Make an equilibrium of integer weights, after checking that it is one.

    Args:
        user: The user's payoffs, shape (m, n).
        assistant: The assistant's payoffs, shape (m, n).
        integers: The same payoffs as integers.
        weights: The two strategies, not normalised: whole numbers ≥ 0.

    Raises:
        SolverError: It is no equilibrium.
    """
    x, y = weights
    total_x, total_y = sum(x), sum(y)
    mine, theirs = integers
    rows = [sum(map(operator.mul, line, y)) for line in mine.cells]  # user's payoff per row, times total_y
    columns = [sum(map(operator.mul, line, x)) for line in zip(*theirs.cells, strict=True)]
    value, other = sum(map(operator.mul, rows, x)), sum(map(operator.mul, columns, y))
    if value != max(rows) * total_x or other != max(columns) * total_y:
        raise SolverError("nash: a solution failed its check (a player gains by deviating); please report the game")
    row, column = tuple(Fraction(k, total_x) for k in x), tuple(Fraction(k, total_y) for k in y)
    if mine.exact and theirs.exact:
        return Equilibrium(
            user=row,
            assistant=column,
            user_payoff=mine.unit * Fraction(value, total_x * total_y),
            assistant_payoff=theirs.unit * Fraction(other, total_x * total_y),
            exact=True,
        )
    return _rounded(user, assistant, tuple(map(float, row)), tuple(map(float, column)))


def _rounded(
    user: NDArray[np.float64], assistant: NDArray[np.float64], row: tuple[float, ...], column: tuple[float, ...]
) -> Equilibrium:
    """Make an equilibrium of floats, checked against the payoffs as they were given."""
    sizes = [float(np.abs(payoffs).max()) or 1.0 for payoffs in (user, assistant)]
    scaled = user / sizes[0], assistant / sizes[1]  # no difference of these overflows
    for gain, payoffs, size in zip(deviation_gains(*scaled, row, column), scaled, sizes, strict=True):
        allowed = TOLERANCE * float(np.ptp(payoffs)) + _ROUNDED
        if gain > allowed:
            raise SolverError(
                f"nash: a solution failed its check: a player gains {gain * size:g} by deviating, where at most "
                f"{allowed * size:g} is allowed; please report the game"
            )
    x, y = np.array(row), np.array(column)
    return Equilibrium(
        user=row,
        assistant=column,
        user_payoff=float(x @ user @ y),
        assistant_payoff=float(x @ assistant @ y),
        exact=False,
    )
