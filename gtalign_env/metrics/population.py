"""How welfare is spread over the types of a population: the mean hides who is served badly."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from gtalign_env.errors import UsageError

__all__ = ["TypeWelfare", "by_type", "gini_index"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class TypeWelfare:
    """Welfare by type.

    Example:
        >>> by_type({"concise": 2.0, "detailed": 1.0}).worst_type
        'detailed'
    """

    mean: float
    """Over the population, by shares; utils of whatever was measured."""
    worst: float
    """Of the type that fares worst."""
    worst_type: str
    """Its name; the first of several."""
    gini: float | None
    """Between-type Gini index; ``None`` where a type's welfare is negative or all are 0: a ratio has no meaning there."""


def by_type(welfare: Mapping[str, float], shares: Mapping[str, float] | None = None) -> TypeWelfare:
    """Return how welfare is spread over types.

    Args:
        welfare: The welfare (or the payoff of one side) of each type.
        shares: The population's shares by type; equal when ``None``. They need not sum to 1.

    Raises:
        UsageError: There is no type, a value is not finite, or the shares do not fit the types.

    Example:
        >>> by_type({"concise": 2.0, "detailed": 1.0}, {"concise": 0.5, "detailed": 0.5})
        TypeWelfare(mean=1.5, worst=1.0, worst_type='detailed', gini=0.16666666666666666)
    """
    names = list(welfare)
    if shares is not None and set(shares) != set(names):
        raise UsageError(f"shares: expected one for each of {', '.join(names)}, got {', '.join(shares)}")
    values, weights = _checked(
        [welfare[name] for name in names], None if shares is None else [shares[n] for n in names]
    )
    defined = bool((values >= 0.0).all() and weights @ values > 0.0)
    return TypeWelfare(
        mean=float(weights @ values),
        worst=float(values.min()),
        worst_type=names[int(values.argmin())],
        gini=gini_index(values, weights) if defined else None,
    )


def gini_index(values: ArrayLike, shares: ArrayLike | None = None) -> float:
    """Return the Gini index of values over a population: the mean absolute difference over twice the mean.

    ``Σᵢⱼ sᵢ·sⱼ·|xᵢ − xⱼ| / (2·Σ sᵢ·xᵢ)``; with n equal shares ``Σ(2i − n − 1)·x₍ᵢ₎ / (n·Σx)``, from 0 to (n − 1)/n.

    Args:
        values: Shape (n,), all ≥ 0 and not all 0.
        shares: Shape (n,), ≥ 0; equal when ``None``.

    Raises:
        UsageError: A value is negative or not finite, all are 0, or the shares do not fit.

    Example:
        >>> gini_index([0, 0, 0, 1])
        0.75
    """
    numbers, weights = _checked(values, shares)
    mean = float(weights @ numbers)
    if (numbers < 0.0).any() or not mean > 0.0:
        raise UsageError(f"gini: expected values >= 0 that are not all 0, got {numbers.tolist()}")
    gaps = np.abs(numbers[:, None] - numbers)  # (n, n)
    return float(weights @ gaps @ weights) / (2.0 * mean)


def _checked(values: Any, shares: Any) -> tuple[Any, Any]:
    try:
        numbers = np.asarray(values, dtype=np.float64)
        weights = np.ones(len(numbers)) if shares is None else np.asarray(shares, dtype=np.float64)
    except (TypeError, ValueError):
        raise UsageError(f"population: expected numbers by type, got {values!r} and shares {shares!r}") from None
    if numbers.ndim != 1 or not numbers.size or not np.isfinite(numbers).all():
        raise UsageError(f"population: expected finite values of at least one type, got {values!r}")
    if weights.shape != numbers.shape or not np.isfinite(weights).all() or (weights < 0).any() or not weights.sum() > 0:
        raise UsageError(f"shares: expected {len(numbers)} finite numbers >= 0 that are not all 0, got {shares!r}")
    return numbers, weights / weights.sum()
