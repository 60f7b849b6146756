"""A bimatrix as one of its players sees it: own moves are rows, whichever chair it is."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gtalign_env.games import Bimatrix
from gtalign_env.types import Role

__all__ = ["TOLERANCE", "Seat", "best", "logit", "other_role", "uniform"]

Floats = NDArray[np.float64]
TOLERANCE = 1e-9
"""Utils that make no difference."""


class Seat(NamedTuple):
    """One player's view of a bimatrix.

    Example:
        >>> game = Bimatrix([[1, 4, 1], [0, 3, 2]], [[1, 0, 0], [1, 3, 1]])
        >>> Seat.of(game, "assistant").own.shape
        (3, 2)
    """

    own: Floats
    """(own moves, other's moves): this player's payoffs, utils."""
    other: Floats
    """The same shape: the other player's."""

    @classmethod
    def of(cls, game: Bimatrix, role: Role) -> Seat:
        """Return the view of the player in this chair."""
        return cls(game.user, game.assistant) if role == "user" else cls(game.assistant.T, game.user.T)

    @property
    def opposite(self) -> Seat:
        """The same game as the other player sees it."""
        return Seat(self.other.T, self.own.T)

    @property
    def symmetric(self) -> bool:
        """Whether both players face the same game."""
        rows, columns = self.own.shape
        return rows == columns and bool(np.allclose(self.own, self.other.T, rtol=0.0, atol=TOLERANCE))


def other_role(role: Role) -> Role:
    """Return the other chair.

    Example:
        >>> other_role("user")
        'assistant'
    """
    return "assistant" if role == "user" else "user"


def best(values: ArrayLike) -> int:
    """Return the index of the greatest value; of equals the first.

    Example:
        >>> best([1.0, 3.0, 3.0])
        1
    """
    array = np.asarray(values, dtype=np.float64)
    return int(np.argmax(array >= array.max() - TOLERANCE))


def logit(values: ArrayLike, rationality: float) -> Floats:
    """Return the logit response: chances in proportion to exp(rationality · value).

    Args:
        values: Expected payoffs, shape (moves,), utils.
        rationality: λ ≥ 0, per util: 0 is a coin, infinity would be the best reply.

    Source: McKelvey and Palfrey (1995), "Quantal response equilibria for normal form games".

    Example:
        >>> logit([0.0, 0.0], 5.0).tolist()
        [0.5, 0.5]
    """
    array = np.asarray(values, dtype=np.float64)
    weights = np.exp(rationality * (array - array.max()))
    chances: Floats = weights / weights.sum()
    return chances


def uniform(count: int) -> Floats:
    """Return equal chances.

    Example:
        >>> uniform(2).tolist()
        [0.5, 0.5]
    """
    return np.full(count, 1.0 / count)
