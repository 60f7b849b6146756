"""A game of two players who choose at once: two matrices with names."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gtalign_env.errors import UsageError
from gtalign_env.games.cells import as_bimatrix, pareto_cells, pure_nash_cells

__all__ = ["Bimatrix"]


@dataclasses.dataclass(frozen=True, eq=False)
class Bimatrix:
    """A two-player game in normal form: the user chooses a row, the assistant a column.

    Args:
        user: The user's payoffs, shape (rows, columns), finite.
        assistant: The assistant's payoffs, the same shape.
        user_moves: Names of the rows; numbered when empty.
        assistant_moves: Names of the columns; numbered when empty.

    Raises:
        UsageError: The matrices are empty, ragged, of different shapes or not finite, or the names do not fit.

    Example:
        >>> game = Bimatrix([[1, 4, 1], [0, 3, 2]], [[1, 0, 0], [1, 3, 1]], ("VQ", "DQ"), ("DA", "AQ", "CQ"))
        >>> game.pure_nash(), game.pareto()
        ([('VQ', 'DA')], [('VQ', 'AQ'), ('DQ', 'AQ')])
    """

    user: NDArray[np.float64]
    """(rows, columns): the user's payoffs, utils. Read-only."""
    assistant: NDArray[np.float64]
    """(rows, columns): the assistant's payoffs, utils. Read-only."""
    user_moves: tuple[str, ...] = ()
    """Names of the rows."""
    assistant_moves: tuple[str, ...] = ()
    """Names of the columns."""

    def __post_init__(self) -> None:
        """Check the matrices and name what has no name."""
        user, assistant = as_bimatrix(self.user, self.assistant)
        for array in (user, assistant):
            array.setflags(write=False)
        object.__setattr__(self, "user", user)
        object.__setattr__(self, "assistant", assistant)
        for field, label, count in (
            ("user_moves", "rows", user.shape[0]),
            ("assistant_moves", "columns", user.shape[1]),
        ):
            object.__setattr__(self, field, _names(getattr(self, field), label, count))

    @property
    def shape(self) -> tuple[int, int]:
        """Number of rows and of columns."""
        return len(self.user_moves), len(self.assistant_moves)

    def __repr__(self) -> str:
        """Return the game as code that makes it."""
        return f"Bimatrix({self.user.tolist()}, {self.assistant.tolist()}, {self.user_moves}, {self.assistant_moves})"

    def pure_nash(self, *, tolerance: float = 1e-9) -> list[tuple[str, str]]:
        """Return the pure Nash equilibria as (row, column) names, row by row."""
        return self._named(pure_nash_cells(self.user, self.assistant, tolerance=tolerance))

    def pareto(self, *, tolerance: float = 1e-9) -> list[tuple[str, str]]:
        """Return the cells that no other cell Pareto-dominates, as (row, column) names, row by row."""
        return self._named(pareto_cells(self.user, self.assistant, tolerance=tolerance))

    def _named(self, mask: NDArray[np.bool_]) -> list[tuple[str, str]]:
        return [(self.user_moves[int(i)], self.assistant_moves[int(j)]) for i, j in np.argwhere(mask)]


def _names(names: Sequence[Any], label: str, count: int) -> tuple[str, ...]:
    found = tuple(str(name) for name in names) or tuple(str(i + 1) for i in range(count))
    if len(found) != count or len(set(found)) != count:
        raise UsageError(f"bimatrix: expected {count} different names of {label}, got {list(names)!r}")
    return found
