"""What is gained and lost: profit, deadweight loss, pass-through, excess words."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from gtalign_env.errors import UsageError
from gtalign_env.pricing import Charge

__all__ = ["deadweight_loss", "pass_through", "provider_profit", "verbosity_excess"]


def provider_profit(bill: Charge, probability: ArrayLike = 1.0) -> float:
    """Return the provider's expected profit, utils: price less cost, before reputation and retention.

    Args:
        bill: Price and cost of what may happen (see ``pricing.charge``), numbers or arrays of one shape.
        probability: The chance of each entry, of the same shape.

    Example:
        >>> from gtalign_env.pricing import PerRequest, charge
        >>> from gtalign_env.types import Outcome
        >>> provider_profit(charge(PerRequest(fee=0.5), Outcome(requests=np.array([0.0, 1.0]))), [0.75, 0.25])
        0.125
    """
    return float((np.asarray(probability, dtype=np.float64) * bill.profit).sum())


def deadweight_loss(welfare: ArrayLike, probability: ArrayLike) -> float:
    """Return ``W* − W``: the best sum of payoffs that any cell offers, less the one that is reached.

    Args:
        welfare: The sum of both payoffs in each cell, utils.
        probability: The chance that play ends in each cell, of the same shape.

    Raises:
        UsageError: The shapes differ, there is no cell, or the chances do not sum to 1.

    Example:
        >>> deadweight_loss([[2.0, 3.0], [1.0, 5.0]], [[1.0, 0.0], [0.0, 0.0]])
        3.0
    """
    cells, chances = np.asarray(welfare, dtype=np.float64), np.asarray(probability, dtype=np.float64)
    if cells.shape != chances.shape or not cells.size or not np.isclose(chances.sum(), 1.0, rtol=0.0, atol=1e-9):
        raise UsageError(
            f"deadweight loss: expected a welfare and a chance for each cell, chances with sum 1; got shapes {cells.shape} and "
            f"{chances.shape}, sum {chances.sum():g}"
        )
    return float(cells.max() - (chances * cells).sum())


def pass_through(before: Charge, after: Charge) -> float:
    """Return the share of a change of cost that reaches the user: ``ΔP / Δc``.

    1 is full pass-through, as under perfect competition; ½ is a monopolist's on a linear demand; 0 a posted price.

    Args:
        before: Price and cost before the change.
        after: The same after it.

    Raises:
        UsageError: The cost did not change.

    Example:
        >>> pass_through(Charge(price=0.5, cost=0.25), Charge(price=0.625, cost=0.5))
        0.5
    """
    change = float(after.cost - before.cost)
    if change == 0.0:
        raise UsageError(f"pass-through: expected two different costs, got {before.cost:g} twice")
    return float(after.price - before.price) / change


def verbosity_excess(tokens: ArrayLike, wanted: ArrayLike, probability: ArrayLike | None = None) -> float:
    """Return the mean of ``n − n*``: how much longer answers are than wanted, tokens; negative where they are too short.

    Args:
        tokens: n: lengths of answers.
        wanted: n*: the length that the reader of each wants.
        probability: Weight of each (>= 0, not all 0); equal ones when ``None``.

    Raises:
        UsageError: There is no answer with a weight.

    Example:
        >>> verbosity_excess([480.0, 60.0], [60.0, 60.0])
        210.0
    """
    excess = np.asarray(tokens, dtype=np.float64) - np.asarray(wanted, dtype=np.float64)
    weights = np.broadcast_to(1.0 if probability is None else np.asarray(probability, dtype=np.float64), excess.shape)
    if not weights.sum() > 0.0:
        raise UsageError("verbosity excess: expected at least one answer with a positive weight")
    return float((weights * excess).sum() / weights.sum())
