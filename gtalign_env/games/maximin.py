"""What a player can secure whatever the other does."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gtalign_env.errors import UnknownNameError
from gtalign_env.games.cells import as_bimatrix
from gtalign_env.games.linear import best_mixture, unit_spread
from gtalign_env.types import Role

__all__ = ["Security", "own_view", "security"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Security:
    """A player's maximin value and a strategy that secures it.

    Example:
        >>> Security(role="user", value=0.5, strategy=(0.5, 0.5)).value
        0.5
    """

    role: Role
    """Whose value it is."""
    value: float
    """The most that the player can be sure of in expectation, utils."""
    strategy: tuple[float, ...]
    """Probability of each of the player's moves."""


def security(user: ArrayLike, assistant: ArrayLike, role: Role, *, mixed: bool = True) -> Security:
    """Return the maximin value of one player (von Neumann 1928), by a linear program where mixing is allowed.

    Args:
        user: The row player's payoffs, shape (m, n).
        assistant: The column player's payoffs, shape (m, n).
        role: ``"user"`` (rows) or ``"assistant"`` (columns).
        mixed: Whether the player may mix; else the first of the best pure moves is returned.

    Raises:
        UsageError: The arrays are no bimatrix of finite numbers, or there is no such role.

    Example:
        >>> security([[2, 0], [0, 1]], [[1, 0], [0, 2]], "user", mixed=False).value
        0.0
        >>> round(security([[2, 0], [0, 1]], [[1, 0], [0, 2]], "user").value, 12)
        0.666666666667
    """
    payoffs, _ = own_view(user, assistant, role)
    moves, others = payoffs.shape
    if mixed:
        limits = np.hstack([-unit_spread(payoffs).T, np.ones((others, 1))])  # value − payoff ≤ 0 against each move
        z = best_mixture(np.array([0.0] * moves + [1.0]), limits, moves)
        assert z is not None  # every distribution secures something
        strategy = z[:moves]
    else:
        strategy = np.eye(moves)[int(payoffs.min(axis=1).argmax())]
    return Security(role=role, value=float((strategy @ payoffs).min()), strategy=tuple(strategy.tolist()))


def own_view(user: ArrayLike, assistant: ArrayLike, role: Role) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return both players' payoffs with the rows being ``role``'s own moves: (own payoffs, the other's payoffs).

    Raises:
        UsageError: The arrays are no bimatrix of finite numbers, or there is no such role.

    Example:
        >>> own_view([[1, 2]], [[3, 4]], "assistant")[0].tolist()
        [[3.0], [4.0]]
    """
    rows, columns = as_bimatrix(user, assistant)
    if role == "user":
        return rows, columns
    if role == "assistant":
        return columns.T, rows.T
    raise UnknownNameError("role", role, ["user", "assistant"])
