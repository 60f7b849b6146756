"""Welfare: a scalar made of both payoffs by a named function. It is an objective, never a reward of the environment.

* functions of both payoffs: ``utilitarian``, ``linear``, ``egalitarian`` (defined everywhere), ``nash_product``,
  ``cobb_douglas``, ``ces``, ``alpha_fair`` (for gains over a disagreement point);
* indices of equality: ``gini``, ``equality``, ``jain``, ``atkinson``, ``surplus_share``, and ``envy``;
* criteria with settings, by name, that order every cell of a game: ``WELFARE``, ``make_welfare``, ``optimal_cells``; other names
  for some of them: ``ALIASES``.

What each does with losses is stated in ``gtalign_env.welfare.gains``: never a silent product of two negatives.
"""

from __future__ import annotations

from gtalign_env.welfare.criteria import WELFARE, Criterion, make_welfare, optimal_cells
from gtalign_env.welfare.functions import (
    alpha_fair,
    ces,
    cobb_douglas,
    egalitarian,
    linear,
    nash_product,
    utilitarian,
)
from gtalign_env.welfare.inequality import atkinson, envy, equality, gini, jain, surplus_share
from gtalign_env.welfare.names import ALIASES

__all__ = [
    "ALIASES",
    "WELFARE",
    "Criterion",
    "alpha_fair",
    "atkinson",
    "ces",
    "cobb_douglas",
    "egalitarian",
    "envy",
    "equality",
    "gini",
    "jain",
    "linear",
    "make_welfare",
    "nash_product",
    "optimal_cells",
    "surplus_share",
    "utilitarian",
]
