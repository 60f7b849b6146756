"""What selfish play costs: the price of anarchy and of stability, and what to report where those ratios mean nothing.

Welfare of a mixed outcome is the expected welfare of its cells. It is linear in the distribution, so the best and the worst
equilibrium of each kind can be found exactly: among the extreme equilibria (Nash), or by a linear program (correlated).
"""

from __future__ import annotations

import dataclasses
from fractions import Fraction
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gtalign_env.errors import UnknownNameError, UsageError
from gtalign_env.games.cells import as_bimatrix
from gtalign_env.games.correlated import value_range
from gtalign_env.games.equilibrium import Equilibrium
from gtalign_env.games.nash import extreme_equilibria
from gtalign_env.welfare import Criterion, make_welfare

__all__ = ["Concept", "Efficiency", "compare_welfare", "price_of_anarchy"]

Concept = Literal["nash", "correlated", "coarse"]
"""Which outcomes count as equilibria: Nash, correlated or coarse correlated."""

_ROUNDED, _SOLVED = 16 * float(np.finfo(np.float64).eps), 1e-9
"""By how much welfare may be off, as a share of the largest absolute welfare: by rounding, and from a linear program."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Efficiency:
    """How far equilibria fall short of the best outcome.

    Example:
        >>> price_of_anarchy([[3, 0], [5, 1]], [[3, 5], [0, 1]]).gap_worst
        4.0
    """

    welfare: str
    """Name of the welfare function."""
    concept: str
    """Which outcomes count as equilibria: a ``Concept``; in games of other forms ``subgame-perfect``, ``perfect Bayesian``."""
    best: float
    """The largest welfare of a cell, or of another outcome, W*."""
    least: float
    """The smallest one."""
    worst_equilibrium: float
    """The smallest expected welfare of an equilibrium."""
    best_equilibrium: float
    """The largest expected welfare of an equilibrium."""
    anarchy: float | None
    """W* over the worst equilibrium's welfare, ≥ 1 (Koutsoupias and Papadimitriou 1999); ``None`` where that is not
    positive."""
    stability: float | None
    """W* over the best equilibrium's welfare, ≥ 1 (Anshelevich et al. 2004); ``None`` where that is not positive."""
    reason: str
    """Why a ratio is ``None``; empty where both are defined."""

    @property
    def gap_worst(self) -> float:
        """W* minus the worst equilibrium's welfare, ≥ 0: defined for any payoffs."""
        return self.best - self.worst_equilibrium

    @property
    def gap_best(self) -> float:
        """W* minus the best equilibrium's welfare, ≥ 0."""
        return self.best - self.best_equilibrium

    @property
    def efficiency_worst(self) -> float:
        """Where the worst equilibrium lies between the worst cell, 0, and the best, 1; 1 where all cells are equal."""
        return self._normalised(self.worst_equilibrium)

    @property
    def efficiency_best(self) -> float:
        """Where the best equilibrium lies between the worst cell, 0, and the best, 1; 1 where all cells are equal."""
        return self._normalised(self.best_equilibrium)

    def _normalised(self, welfare: float) -> float:
        span = self.best - self.least
        return (welfare - self.least) / span if span > 0 else 1.0


def price_of_anarchy(
    user: ArrayLike, assistant: ArrayLike, welfare: str | Criterion = "utilitarian", *, concept: Concept = "nash"
) -> Efficiency:
    """Compare the best and the worst equilibrium with the best cell.

    A ratio is defined where the equilibrium's welfare is positive; else it is ``None``, ``reason`` says why, and the gaps and
    the normalised efficiencies tell the same story.

    Args:
        user: The user's payoffs, shape (m, n).
        assistant: The assistant's payoffs, shape (m, n).
        welfare: Welfare of a cell: a name as for ``make_welfare``, or a criterion.
        concept: Which outcomes count as equilibria.

    Raises:
        UsageError: The arrays are no bimatrix of finite numbers, welfare or concept is unknown, welfare is not finite in
            some cell, or the game has too many moves to list its Nash equilibria.
        SolverError: A linear program failed its check.

    Example:
        >>> found = price_of_anarchy([[3, 0], [5, 1]], [[3, 5], [0, 1]])
        >>> found.anarchy, found.stability
        (3.0, 3.0)
    """
    rows, columns = as_bimatrix(user, assistant)
    criterion = make_welfare(welfare)
    if concept not in get_args(Concept):
        raise UnknownNameError("equilibrium concept", concept, get_args(Concept))
    values = np.asarray(criterion(rows, columns), dtype=np.float64)
    if values.shape != rows.shape or not np.isfinite(values).all():
        raise UsageError(
            f"price of anarchy: expected the welfare {criterion.name!r} to be a finite number in every cell, "
            f"got {values.tolist()}"
        )
    reached = _span(rows, columns, values, concept)
    error = _ROUNDED if concept == "nash" else _SOLVED
    return compare_welfare(values, reached, welfare=criterion.name, concept=concept, error=error)


def compare_welfare(
    outcomes: ArrayLike, equilibria: ArrayLike, *, welfare: str, concept: str, error: float = _ROUNDED
) -> Efficiency:
    """Compare equilibria with the best outcome, both given by their welfare: the price of anarchy of a game of any form.

    Args:
        outcomes: Welfare of all outcomes, of any shape, finite.
        equilibria: Welfare of the equilibria, at least one of them.
        welfare: Name of the welfare function.
        concept: Which outcomes count as equilibria.
        error: By how much the equilibria's welfare may be off, as a share of the largest absolute welfare.

    Example:
        >>> compare_welfare([2, 6, 3], [2, 3], welfare="utilitarian", concept="subgame-perfect").anarchy
        3.0
    """
    values, reached = np.asarray(outcomes, dtype=np.float64), np.asarray(equilibria, dtype=np.float64)
    worst, best = float(reached.min()), float(reached.max())
    noise = error * float(np.abs(values).max())
    ratios, reasons = [], []
    for which, value in (("worst", worst), ("best", best)):
        defined = value > noise
        ratios.append(float(values.max()) / value if defined else None)
        if not defined:
            reasons.append(f"the {which} equilibrium's welfare is {_not_positive(value, noise)}")
    return Efficiency(
        welfare=welfare,
        concept=concept,
        best=float(values.max()),
        least=float(values.min()),
        worst_equilibrium=worst,
        best_equilibrium=best,
        anarchy=ratios[0],
        stability=ratios[1],
        reason="; ".join(reasons),
    )


def _not_positive(value: float, noise: float) -> str:
    if value and abs(value) <= noise:
        return "0 but for rounding, not positive"
    return f"{value:g}, not positive"


def _span(
    rows: NDArray[np.float64], columns: NDArray[np.float64], values: NDArray[np.float64], concept: Concept
) -> tuple[float, float]:
    """Return the least and the largest expected welfare of an equilibrium, kept within what cells can have."""
    if concept == "nash":
        # Nash equilibria form products of polytopes with extreme equilibria as corners, and welfare is bilinear there.
        found = [_expected(one, values) for one in extreme_equilibria(rows, columns)]
        lowest, highest = min(found), max(found)
    else:
        lowest, highest = value_range(rows, columns, values, coarse=concept == "coarse")
    least, most = float(values.min()), float(values.max())
    return min(max(lowest, least), most), min(max(highest, least), most)


def _expected(equilibrium: Equilibrium, values: NDArray[np.float64]) -> float:
    """Return the expected value of a number per cell, rounded once where probabilities are exact."""
    kind = Fraction if equilibrium.exact else float
    terms = (
        p * q * kind(value)
        for p, line in zip(equilibrium.user, values.tolist(), strict=True)
        for q, value in zip(equilibrium.assistant, line, strict=True)
        if p and q
    )
    return float(sum(terms))
