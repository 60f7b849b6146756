"""The best menu of qualities and prices when prices are free: quality discrimination (Mussa & Rosen 1978).

For given qualities the highest prices that keep IC and IR are a shortest-path problem (Rochet 1987): ``P_i ≤ v_i(q_i)`` and
``P_i ≤ v_i(q_i) − v_i(q_j) + P_j``. Where no price fits, there is a negative cycle. All prices are highest at once, so the
most profitable menu follows by trying every assignment of qualities to types, exactly, for any finite number of types.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gtalign_env.errors import UsageError
from gtalign_env.games.screening import MOST_ASSIGNMENTS, MenuAudit, audit_menu
from gtalign_env.games.signalling import Floats, as_prior, game_array

__all__ = ["PricedMenu", "best_menu", "highest_prices"]

_GAIN = 1e-9


@dataclasses.dataclass(frozen=True, kw_only=True)
class PricedMenu:
    """A menu with one quality and price per type."""

    qualities: tuple[int, ...]
    """(T,): index of the quality that each type gets."""
    prices: tuple[float, ...]
    """(T,): what each type pays, utils."""
    profit: float
    """The provider's expected profit, utils."""
    rents: tuple[float, ...]
    """(T,): each type's information rent, utils."""
    efficient: tuple[int, ...]
    """(T,): index of the quality of highest surplus for each type, the first of several."""
    lost_surplus: float
    """Expected surplus that the efficient qualities would have had beyond these, utils: the price of not knowing types."""
    audit: MenuAudit
    """IC and IR of the menu."""


def highest_prices(worth: ArrayLike) -> Floats | None:
    """Return the highest prices at which every type takes its own quality.

    Args:
        worth: What the quality of type j (column) is worth to type i (row), shape (T, T), utils.

    Returns:
        Shape (T,), utils; ``None`` where no prices make these qualities incentive compatible.

    Raises:
        UsageError: The array is not square, or not finite.

    Example:
        >>> highest_prices([[0.5, 2.0], [1.0, 4.0]]).tolist()
        [0.5, 3.5]
        >>> highest_prices([[2.0, 0.5], [4.0, 1.0]]) is None  # the keener type must get more, not less
        True
    """
    gross = game_array("menu", "user", worth, dimensions=2)
    if gross.shape[0] != gross.shape[1]:
        raise UsageError(f"menu: expected one quality per type, got worths of shape {gross.shape}")
    prices, fits = _prices(gross[None])
    return np.asarray(prices[0]) if fits[0] else None


def best_menu(prior: ArrayLike, worth: ArrayLike, cost: ArrayLike) -> PricedMenu:
    """Return the most profitable menu, by enumeration of qualities and shortest paths for prices.

    Leaving a type out is giving it a quality that is worth 0 and costs 0: include one.

    Args:
        prior: How likely each type is, shape (T,), all > 0.
        worth: What each quality is worth to each type, shape (T, Q), utils.
        cost: What each quality costs the provider, shape (Q,), utils.

    Returns:
        Of equally profitable menus, the first in the order of the types' qualities.

    Raises:
        UsageError: The shapes do not fit, something is not finite, or there are too many assignments.

    Example:
        Two types that value quality at 1 and 2 a unit, a third of them keen, cost q²/2. The textbook's answer: the keen one gets
        the efficient 2, the other 1/2 where 1 would be efficient.

        >>> quality = np.arange(0, 2.51, 0.25)
        >>> menu = best_menu([2 / 3, 1 / 3], np.outer([1, 2], quality), quality**2 / 2)
        >>> [float(quality[q]) for q in menu.qualities], menu.prices, menu.rents, round(menu.profit, 12)
        ([0.5, 2.0], (0.5, 3.5), (0.0, 0.5), 0.75)
    """
    shares = as_prior(prior)
    gross, costs = game_array("menu", "user", worth, dimensions=2), game_array("menu", "assistant", cost, dimensions=1)
    if len(gross) != len(shares) or gross.shape[1] != len(costs):
        raise UsageError(
            f"menu: expected worths of shape ({len(shares)} types, qualities) and a cost for each quality, got {gross.shape} and "
            f"{costs.shape}"
        )
    count, options = gross.shape
    if options**count > MOST_ASSIGNMENTS:
        raise UsageError(
            f"menu: {options} qualities for {count} types make {options**count:,} assignments, at most {MOST_ASSIGNMENTS:,} are "
            "enumerated: take fewer qualities"
        )
    given = np.indices((options,) * count).reshape(count, -1).T  # (N, T)
    prices, fits = _prices(gross.T[given].transpose(0, 2, 1))  # (N, types, contracts)
    profit = np.where(fits, (prices - costs[given]) @ shares, -np.inf)
    best = int(np.argmax(profit >= profit.max() - _GAIN))
    chosen, paid = given[best], prices[best]
    surplus = gross - costs  # (T, Q)
    efficient = np.argmax(surplus >= surplus.max(axis=1, keepdims=True) - _GAIN, axis=1)
    types = np.arange(count)
    audit = audit_menu(gross[:, chosen], paid)
    return PricedMenu(
        qualities=tuple(chosen.tolist()),
        prices=tuple(paid.tolist()),
        profit=float(profit[best]),
        rents=audit.rent,
        efficient=tuple(efficient.tolist()),
        lost_surplus=float(shares @ (surplus[types, efficient] - surplus[types, chosen])),
        audit=audit,
    )


def _prices(worth: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """Return the highest prices (N, T) of many menus (N, T, T), and which of them have any (N,)."""
    own = np.diagonal(worth, axis1=1, axis2=2)  # (N, T)
    step = own[:, :, None] - worth  # (N, i, j): by how much i's price may exceed j's
    prices: Floats = own.copy()
    for _ in range(worth.shape[1] - 1):
        prices = _shorter(prices, step)
    return prices, np.asarray((_shorter(prices, step) >= prices - _GAIN).all(axis=1))


def _shorter(prices: Floats, step: Floats) -> Floats:
    return np.asarray(np.minimum(prices, (step + prices[:, None, :]).min(axis=2)))
