"""Social welfare functions: larger is better for both sides together.

All take the two payoffs as numbers or arrays of one shape, and return a float or an array of that shape. What each does with
losses is said in ``gtalign_env.welfare.gains``; ``utilitarian``, ``linear`` and ``egalitarian`` are defined everywhere.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from gtalign_env.errors import UsageError
from gtalign_env.welfare.gains import Below, Floats, Gains, check_below, check_weight, gains, plain, with_losses

__all__ = ["alpha_fair", "ces", "cobb_douglas", "egalitarian", "linear", "nash_product", "utilitarian"]

Point = tuple[float, float]
ZERO: Point = (0.0, 0.0)

_NEAR_ZERO, _AS_ZERO = 0.0625, 1e-30
"""A ρ from which on a power mean is computed by logarithms, and one that cannot be told from 0."""
_SMALLEST = float(np.finfo(np.float64).tiny)
"""Below this, floats lose digits."""


def utilitarian(user: ArrayLike, assistant: ArrayLike) -> Any:
    """Return the sum of both payoffs, in utils. Prices between the two cancel. Defined everywhere.

    Example:
        >>> utilitarian(5, 1), utilitarian([3, -1], [3, -4]).tolist()
        (6.0, [6.0, -5.0])
    """
    found = gains(user, assistant)
    return plain(found.user + found.assistant)


def linear(user: ArrayLike, assistant: ArrayLike, *, weight: float = 0.5) -> Any:
    """Return ``weight·U + (1 − weight)·L``, in utils. Defined everywhere.

    Args:
        user: The user's payoffs U.
        assistant: The assistant's payoffs L.
        weight: The user's weight, from 0 (assistant only) to 1 (user only).

    Raises:
        UsageError: The weight or the payoffs are no such numbers.

    Example:
        >>> linear(5, 1), linear(5, 1, weight=1.0)
        (3.0, 5.0)
    """
    check_weight(weight)
    found = gains(user, assistant)
    return plain(weight * found.user + (1.0 - weight) * found.assistant)


def egalitarian(user: ArrayLike, assistant: ArrayLike, *, disagreement: Point = ZERO) -> Any:
    """Return the smaller of both gains, in utils (Rawls; Kalai 1977). Defined everywhere.

    Example:
        >>> egalitarian(5, 1), egalitarian(5, 1, disagreement=(4.5, 0.0))
        (1.0, 0.5)
    """
    return plain(gains(user, assistant, disagreement).least)


def nash_product(user: ArrayLike, assistant: ArrayLike, *, disagreement: Point = ZERO, below: Below = "error") -> Any:
    """Return the product of both gains (Nash 1950), in utils². It needs gains ≥ 0.

    Args:
        user: The user's payoffs.
        assistant: The assistant's payoffs.
        disagreement: What both get without each other.
        below: What a cell with a loss is worth: ``"error"``, ``"nan"`` or ``"negative"`` (the smaller gain).

    Raises:
        UsageError: A side loses and ``below`` is ``"error"``, or a product is too large for a float.

    Example:
        Two losses never make a gain:

        >>> nash_product([2, -3], [3, -3], below="negative").tolist()
        [6.0, -3.0]
    """
    found = gains(user, assistant, disagreement)
    with np.errstate(over="ignore"):
        product = found.user * found.assistant
    if np.isinf(product).any():
        raise UsageError(
            "nash_product: the product of the gains is too large for a float: use a larger unit, or cobb_douglas, which "
            "orders alike"
        )
    return with_losses(found, product, below, defined=found.least >= 0.0, who="nash_product")


def cobb_douglas(
    user: ArrayLike,
    assistant: ArrayLike,
    *,
    weight: float = 0.5,
    disagreement: Point = ZERO,
    below: Below = "error",
) -> Any:
    """Return ``gain_U^weight · gain_L^(1 − weight)``, in utils; at 1/2 the mutual welfare √(U·L). It needs gains ≥ 0.

    With ``below="negative"`` it is continuous: it falls to 0 as either gain does, and the smaller gain takes over there.

    Args:
        user: The user's payoffs.
        assistant: The assistant's payoffs.
        weight: The user's weight, strictly between 0 and 1.
        disagreement: What both get without each other.
        below: What a cell with a loss is worth: ``"error"``, ``"nan"`` or ``"negative"`` (the smaller gain).

    Raises:
        UsageError: A side loses and ``below`` is ``"error"``, or the weight is out of range.

    Example:
        >>> cobb_douglas(4, 1), cobb_douglas(-4, -1, below="negative")
        (2.0, -4.0)
    """
    check_weight(weight, inside=True)
    found = gains(user, assistant, disagreement)
    return with_losses(found, _power_mean(found, 0.0, weight), below, defined=found.least >= 0.0, who="cobb_douglas")


def ces(
    user: ArrayLike,
    assistant: ArrayLike,
    *,
    rho: float,
    weight: float = 0.5,
    disagreement: Point = ZERO,
    below: Below = "error",
) -> Any:
    """Return the CES mean ``(weight·gain_U^ρ + (1 − weight)·gain_L^ρ)^(1/ρ)``, in utils. It needs gains ≥ 0.

    ρ = 1 is the weighted mean, ρ → 0 Cobb–Douglas, ρ → −∞ the smaller gain (Arrow, Chenery, Minhas & Solow 1961).
    At ρ ≤ 0 it is 0 where a gain is 0, and there ``below="negative"`` continues it without a jump.

    Args:
        user: The user's payoffs.
        assistant: The assistant's payoffs.
        rho: ρ ≤ 1, or ``-math.inf``: the smaller, the more the worse-off side counts.
        weight: The user's weight, strictly between 0 and 1.
        disagreement: What both get without each other.
        below: What a cell with a loss is worth: ``"error"``, ``"nan"`` or ``"negative"`` (the smaller gain).

    Raises:
        UsageError: A side loses and ``below`` is ``"error"``, or ρ or the weight is out of range.

    Example:
        >>> [round(ces(5, 1, rho=rho), 4) for rho in (1, 0, -1, -math.inf)]
        [3.0, 2.2361, 1.6667, 1.0]
    """
    check_weight(weight, inside=True)
    if isinstance(rho, bool) or not isinstance(rho, (int, float)) or not rho <= 1.0:
        raise UsageError(f"ces: expected rho <= 1 (1 is the mean, 0 Cobb-Douglas, -inf the minimum), got {rho!r}")
    found = gains(user, assistant, disagreement)
    return with_losses(found, _power_mean(found, float(rho), weight), below, defined=found.least >= 0.0, who="ces")


def _power_mean(found: Gains, rho: float, weight: float) -> Floats:
    """Return the weighted power mean of both gains; cells with a loss hold anything."""
    low = np.maximum(found.least, 0.0)
    high = np.maximum(np.maximum(found.user, found.assistant), 0.0)
    of_low = np.where(found.user <= found.assistant, weight, 1.0 - weight)  # the weight of the worse-off side
    ratio = np.divide(low, high, out=np.zeros_like(low), where=high > 0.0)  # in [0, 1]: no power overflows
    if rho == -math.inf:
        return low
    if abs(rho) < _NEAR_ZERO:
        return _near_geometric(low, high, ratio, of_low, rho)
    if rho > 0.0:
        return np.asarray((of_low * ratio**rho + (1.0 - of_low)) ** (1.0 / rho) * high)
    # The smaller gain is taken out instead, so that ratio^(-rho) stays in [0, 1].
    return np.asarray((of_low + (1.0 - of_low) * ratio ** (-rho)) ** (1.0 / rho) * low)


def _near_geometric(low: Floats, high: Floats, ratio: Floats, of_low: Floats, rho: float) -> Floats:
    """Return the power mean for a ρ near 0, where powers are near 1 and the root would multiply their rounding by 1/ρ.

    ln(mean/high) = ln(1 + w·(r^ρ − 1))/ρ with r = low/high and w the weight of the lower; its limit at ρ → 0 is w·ln r. Half
    of it is raised at a time: where gains differ by hundreds of orders, all of it would be too small for a float.
    """
    with np.errstate(divide="ignore", over="ignore"):
        apart = np.log(low) - np.log(np.where(high > 0.0, high, 1.0))  # where the ratio is too small for a float
        fall = np.where(ratio > _SMALLEST, np.log(ratio), apart)
        if abs(rho) < _AS_ZERO:
            half = np.exp(of_low * fall / 2.0)
            return np.asarray(np.where(ratio > _SMALLEST, ratio**of_low * high, half * high * half))
        half = np.exp(np.log1p(of_low * np.expm1(rho * fall)) / rho / 2.0)
    return np.asarray(half * high * half)


def alpha_fair(
    user: ArrayLike, assistant: ArrayLike, *, alpha: float = 1.0, disagreement: Point = ZERO, below: Below = "error"
) -> Any:
    """Return the α-fair sum ``Σ gain^(1−α) / (1−α)``, at α = 1 ``Σ ln gain`` (Mo & Walrand 2000).

    It needs gains > 0, or ≥ 0 where α < 1; at α ≥ 1 a gain of 0 is worth −∞, and so is one whose worth no float can hold. Near
    α = 1 the sum is of the size 2/(1 − α), and differences drown in it; the criterion ``AlphaFair`` keeps them. For α ≥ 1 its
    values reach down to −∞, so there is no room below them: ``below="negative"`` then gives −∞ for every loss, and the criterion
    ``AlphaFair`` of ``gtalign_env.welfare`` uses the equal gain of the same worth instead, which orders alike.

    Args:
        user: The user's payoffs.
        assistant: The assistant's payoffs.
        alpha: α ≥ 0: 0 is the sum, 1 proportional fairness; the larger, the nearer to the smaller gain.
        disagreement: What both get without each other.
        below: What a cell with a loss is worth: ``"error"``, ``"nan"`` or ``"negative"``.

    Raises:
        UsageError: A side loses and ``below`` is ``"error"``, or α is negative or not finite.

    Example:
        >>> alpha_fair(5, 1, alpha=2.0)
        -1.2
    """
    check_below(below)
    check_aversion("alpha", alpha)
    found = gains(user, assistant, disagreement)
    defined = found.least >= 0.0
    value = sum((_isoelastic(np.where(defined, gain, 1.0), alpha) for gain in found), np.zeros(found.user.shape))
    if below == "negative" and alpha >= 1.0:
        return plain(np.where(defined, value, -math.inf))
    return with_losses(found, value, below, defined=defined, who="alpha_fair")


def _isoelastic(gain: Floats, alpha: float) -> Floats:
    with np.errstate(divide="ignore", over="ignore"):  # at alpha >= 1 a gain of 0 is worth minus infinity
        worth: Floats = np.log(gain) if alpha == 1.0 else gain ** (1.0 - alpha) / (1.0 - alpha)
    return worth


def check_aversion(label: str, aversion: float) -> None:
    """Refuse an aversion to inequality that is negative or not finite.

    Raises:
        UsageError: It is out of range.
    """
    if isinstance(aversion, bool) or not isinstance(aversion, (int, float)) or not 0.0 <= aversion < math.inf:
        raise UsageError(f"{label}: expected a finite number >= 0, got {aversion!r}")
