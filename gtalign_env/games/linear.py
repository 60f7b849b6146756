"""The one kind of linear program that this package needs: solved by SciPy and checked, and where that fails solved exactly.

Maximise objective · z over z = (a probability distribution, then free numbers) subject to limits · z ≤ 0. The distribution
sums to one, so constants on the right-hand side are written as multiples of it. Payoffs are brought to the size of 1 before.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gtalign_env.games.simplex import exact_mixture

__all__ = ["best_mixture", "unit_spread"]

_TOLERANCE = 1e-9
"""By how much a limit or the optimum may be missed, where payoffs differ by at most 1."""
_OPTIONS = {"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10}


def best_mixture(objective: NDArray[np.float64], limits: NDArray[np.float64], size: int) -> NDArray[np.float64] | None:
    """Return the best z, or ``None`` where no distribution keeps the limits.

    SciPy's answer is checked: the limits hold, and a bound from the dual program shows that nothing better exists. Where the
    check fails, or SciPy finds no answer, ``games.simplex`` decides.

    Args:
        objective: Coefficients, shape (size + free numbers,).
        limits: One limit per row, shape (limits, size + free numbers).
        size: How many entries of z are probabilities.

    Raises:
        SolverError: The objective has no bound.

    Example:
        >>> best_mixture(np.array([3.0, 1.0]), np.array([[1.0, -1.0]]), 2)  # the first at most as likely as the second
        array([0.5, 0.5])
    """
    from scipy.optimize import linprog

    free = objective.size - size
    largest = np.abs(limits).max(axis=1, initial=0.0, keepdims=True)
    scaled = limits / np.where(largest > 0.0, largest, 1.0)
    found: Any = linprog(
        -objective,
        A_ub=scaled,
        b_ub=np.zeros(limits.shape[0]),
        A_eq=np.array([[1.0] * size + [0.0] * free]),
        b_eq=[1.0],
        bounds=[(0.0, None)] * size + [(None, None)] * free,
        method="highs",
        options=_OPTIONS,
    )
    if found.status == 0:
        z: NDArray[np.float64] = np.array(found.x)
        z[:size] = np.clip(z[:size], 0.0, None)
        z[:size] /= z[:size].sum()
        if _passes(z, objective, scaled, -np.asarray(found.ineqlin.marginals), size):
            return z
    return exact_mixture(objective, limits, size)


def _passes(
    z: NDArray[np.float64],
    objective: NDArray[np.float64],
    limits: NDArray[np.float64],
    prices: NDArray[np.float64],
    size: int,
) -> bool:
    """Say whether an answer keeps the limits and meets the bound that weak duality puts on what is better."""
    reduced = objective - np.clip(prices, 0.0, None) @ limits
    gap = reduced[:size].max() - objective @ z + np.abs(reduced[size:] * z[size:]).sum()
    return bool((limits @ z).max(initial=0.0) <= _TOLERANCE and gap <= _TOLERANCE)


def unit_spread(payoffs: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return payoffs moved and scaled into [0, 1], which changes no best response.

    Example:
        >>> unit_spread(np.array([[1.0, 2.0, 5.0]]))
        array([[0.  , 0.25, 1.  ]])
    """
    scaled = payoffs / (float(np.abs(payoffs).max()) or 1.0)  # first, so that no difference overflows
    moved: NDArray[np.float64] = scaled - scaled.min()
    return moved / (float(moved.max()) or 1.0)
