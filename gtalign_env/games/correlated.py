"""Correlated equilibria: what a mediator can recommend so that nobody gains by disobeying."""

from __future__ import annotations

import dataclasses
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gtalign_env.errors import UnknownNameError
from gtalign_env.games.cells import as_bimatrix
from gtalign_env.games.linear import best_mixture, unit_spread

__all__ = ["Correlated", "Objective", "correlated_equilibrium", "correlated_range", "value_range"]

Objective = Literal["utilitarian", "user", "assistant", "egalitarian"]
"""What a correlated equilibrium may be best at: the sum, one player's payoff, or the smaller of the two."""

_SLACK = 1e-12
"""What the first goal gives up so that the second can be pursued, as a share of the spread of payoffs."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Correlated:
    """A correlated equilibrium, or a coarse one.

    Example:
        >>> correlated_equilibrium([[2, 0], [0, 1]], [[1, 0], [0, 2]], "user").user_payoff
        2.0
    """

    distribution: NDArray[np.float64]
    """(rows, columns): probability of each recommendation. Read-only."""
    user_payoff: float
    """The user's expected payoff, utils."""
    assistant_payoff: float
    """The assistant's expected payoff, utils."""


def correlated_equilibrium(
    user: ArrayLike, assistant: ArrayLike, objective: Objective = "utilitarian", *, coarse: bool = False
) -> Correlated:
    """Return the correlated equilibrium that is best by an objective (Aumann 1974), by linear programs.

    Among those that are best, one with the largest sum of payoffs is returned.

    Args:
        user: The row player's payoffs, shape (m, n).
        assistant: The column player's payoffs, shape (m, n).
        objective: ``"utilitarian"``, ``"user"``, ``"assistant"`` or ``"egalitarian"``.
        coarse: Whether players must decide to obey before they see the recommendation (Moulin and Vial 1978).

    Raises:
        UsageError: The arrays are no bimatrix of finite numbers, or there is no such objective.

    Example:
        >>> found = correlated_equilibrium([[2, 0], [0, 1]], [[1, 0], [0, 2]], "egalitarian")
        >>> found.distribution.round(9).tolist(), round(found.user_payoff, 9), round(found.assistant_payoff, 9)
        ([[0.5, 0.0], [0.0, 0.5]], 1.5, 1.5)
    """
    rows, columns = as_bimatrix(user, assistant)
    if objective not in get_args(Objective):
        raise UnknownNameError("objective", objective, get_args(Objective))
    size = rows.size
    limits = _with_column(_obedience(rows, columns, coarse=coarse), 0.0)
    mine, theirs = unit_spread(np.stack([rows.ravel(), columns.ravel()]))  # of one scale
    total = np.append(unit_spread(mine + theirs), 0.0)
    # z is the distribution and one free number, which the egalitarian goal keeps below both payoffs, and others at 0.
    below = np.stack([-mine, -theirs]) if objective == "egalitarian" else np.zeros((2, size))
    limits = np.vstack([limits, _with_column(below, 1.0)])
    goals = {
        "utilitarian": total,
        "user": np.append(unit_spread(mine), 0.0),
        "assistant": np.append(unit_spread(theirs), 0.0),
        "egalitarian": np.append(np.zeros(size), 1.0),
    }
    z = _best(goals[objective], limits, size)
    if objective != "utilitarian":
        reached = np.append(np.full(size, float(goals[objective] @ z) - _SLACK), 0.0) - goals[objective]
        refined = best_mixture(total, np.vstack([limits, reached]), size)
        z = z if refined is None else refined  # rounding may have moved the first goal out of reach
    distribution = z[:size].reshape(rows.shape)
    distribution.setflags(write=False)
    return Correlated(
        distribution=distribution,
        user_payoff=float((distribution * rows).sum()),
        assistant_payoff=float((distribution * columns).sum()),
    )


def correlated_range(
    user: ArrayLike, assistant: ArrayLike, objective: Objective = "utilitarian", *, coarse: bool = False
) -> tuple[float, float]:
    """Return the lowest and the highest value of an objective over all correlated equilibria, utils.

    Args:
        user: The row player's payoffs, shape (m, n).
        assistant: The column player's payoffs, shape (m, n).
        objective: As in ``correlated_equilibrium``.
        coarse: As in ``correlated_equilibrium``.

    Raises:
        UsageError: The arrays are no bimatrix of finite numbers, or there is no such objective.

    Example:
        >>> [round(value, 9) for value in correlated_range([[2, 0], [0, 1]], [[1, 0], [0, 2]])]
        [1.333333333, 3.0]
    """
    best = correlated_equilibrium(user, assistant, objective, coarse=coarse)
    rows, columns = as_bimatrix(user, assistant)
    u, a = best.user_payoff, best.assistant_payoff
    highest = {"utilitarian": u + a, "user": u, "assistant": a, "egalitarian": min(u, a)}[objective]
    measured = {
        "utilitarian": (rows + columns,),
        "user": (rows,),
        "assistant": (columns,),
        "egalitarian": (rows, columns),  # the smaller of two is least where one of them is
    }[objective]
    return min(value_range(rows, columns, values, coarse=coarse)[0] for values in measured), highest


def value_range(
    user: ArrayLike, assistant: ArrayLike, values: ArrayLike, *, coarse: bool = False
) -> tuple[float, float]:
    """Return the lowest and the highest expected value of any number per cell over all correlated equilibria.

    Args:
        user: The row player's payoffs, shape (m, n).
        assistant: The column player's payoffs, shape (m, n).
        values: Finite numbers, shape (m, n).
        coarse: As in ``correlated_equilibrium``.

    Raises:
        UsageError: The payoffs are no bimatrix of finite numbers.

    Example:
        >>> [round(value, 9) for value in value_range([[2, 0], [0, 1]], [[1, 0], [0, 2]], [[1, 0], [0, 0]])]
        [0.0, 1.0]
    """
    rows, columns = as_bimatrix(user, assistant)
    numbers = np.asarray(values, dtype=np.float64)
    limits = _obedience(rows, columns, coarse=coarse)
    lowest, highest = (_best(unit_spread(sign * numbers).ravel(), limits, rows.size) for sign in (-1.0, 1.0))
    return float(lowest @ numbers.ravel()), float(highest @ numbers.ravel())


def _obedience(rows: NDArray[np.float64], columns: NDArray[np.float64], *, coarse: bool) -> NDArray[np.float64]:
    """Return the limits (incentives, cells): the gain from playing another move is not positive."""
    own, other = unit_spread(rows), unit_spread(columns)
    # gains[k, i, j]: what playing k brings the user where (i, j) is recommended; the same for columns.
    gains = own[:, None, :] - own[None, :, :]  # (m, m, n)
    others = other.T[:, None, :] - other.T[None, :, :]  # (n, n, m), of the transposed game
    if coarse:
        return np.vstack([gains.reshape(len(own), -1), others.transpose(0, 2, 1).reshape(other.shape[1], -1)])
    lines = []
    for k, i in _pairs(rows.shape[0]):
        table = np.zeros_like(rows)
        table[i] = gains[k, i]
        lines.append(table.ravel())
    for k, j in _pairs(rows.shape[1]):
        table = np.zeros_like(rows)
        table[:, j] = others[k, j]
        lines.append(table.ravel())
    return np.array(lines).reshape(-1, rows.size)


def _pairs(count: int) -> list[tuple[int, int]]:
    return [(k, i) for k in range(count) for i in range(count) if k != i]


def _with_column(limits: NDArray[np.float64], value: float) -> NDArray[np.float64]:
    return np.hstack([limits, np.full((limits.shape[0], 1), value)])


def _best(objective: NDArray[np.float64], limits: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    z = best_mixture(objective, limits, size)
    assert z is not None  # every Nash equilibrium keeps the limits
    return z
