"""Indices of (in)equality between the two sides, and what one side envies the other for.

They compare gains by ratios, so they are defined where no side loses on the disagreement point and at least one gains.
Elsewhere they are undefined: ``below="error"`` (the default) raises, ``below="nan"`` marks it.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from gtalign_env.errors import UsageError
from gtalign_env.welfare.functions import ZERO, Point, ces, check_aversion
from gtalign_env.welfare.gains import Floats, Gains, gains, plain, with_losses

__all__ = ["atkinson", "envy", "equality", "gini", "jain", "surplus_share"]

Undefined = Literal["error", "nan"]


def gini(user: ArrayLike, assistant: ArrayLike, *, disagreement: Point = ZERO, below: Undefined = "error") -> Any:
    """Return the Gini index of the two gains: 0 when they are equal, 1/2 when one side has all.

    Raises:
        UsageError: A side loses, or nobody gains, and ``below`` is ``"error"``.

    Example:
        >>> round(gini(5, 1), 4), round(gini(10, 5), 4)
        (0.3333, 0.1667)
    """
    found = gains(user, assistant, disagreement)
    return _index(found, np.abs(found.user - found.assistant) / 2.0, below, "gini")


def equality(user: ArrayLike, assistant: ArrayLike, *, disagreement: Point = ZERO, below: Undefined = "error") -> Any:
    """Return ``1 − 2·Gini``: 1 when the gains are equal, 0 when one side has all.

    Raises:
        UsageError: A side loses, or nobody gains, and ``below`` is ``"error"``.

    Example:
        >>> round(equality(5, 1), 4), equality(3, 0)
        (0.3333, 0.0)
    """
    return 1.0 - 2.0 * gini(user, assistant, disagreement=disagreement, below=below)


def jain(user: ArrayLike, assistant: ArrayLike, *, disagreement: Point = ZERO, below: Undefined = "error") -> Any:
    """Return Jain's index ``(ΣG)² / (2·ΣG²)`` of the two gains (Jain, Chiu & Hawe 1984), from 1/2 to 1 (equal).

    Raises:
        UsageError: A side loses, or nobody gains, and ``below`` is ``"error"``.

    Example:
        >>> round(jain(5, 1), 4), round(jain(10, 5), 4), round(jain(4, 10), 4)
        (0.6923, 0.9, 0.8448)
    """
    found = gains(user, assistant, disagreement)
    top = np.maximum(found.user, found.assistant)
    scaled = [np.divide(gain, top, out=np.ones_like(top), where=top > 0.0) for gain in found]  # squares of any size fit
    value = (scaled[0] + scaled[1]) ** 2 / (2.0 * (scaled[0] ** 2 + scaled[1] ** 2))
    return _undefined_where_lost(found, value, below, "jain")


def atkinson(
    user: ArrayLike,
    assistant: ArrayLike,
    *,
    epsilon: float = 1.0,
    disagreement: Point = ZERO,
    below: Undefined = "error",
) -> Any:
    """Return Atkinson's index (1970): the share of the mean gain that equality at the same welfare would save.

    ``1 − M/μ`` with μ the mean gain and M the CES mean at ρ = 1 − ε: 0 when the gains are equal, and 1 where a gain is 0 and
    ε ≥ 1.

    Args:
        user: The user's payoffs.
        assistant: The assistant's payoffs.
        epsilon: Aversion to inequality ε ≥ 0.
        disagreement: What both get without each other.
        below: What it is where a side loses or nobody gains: ``"error"`` or ``"nan"``.

    Raises:
        UsageError: It is undefined somewhere and ``below`` is ``"error"``, or ε is negative or not finite.

    Example:
        >>> [round(atkinson(5, 1, epsilon=e), 4) for e in (0.5, 1.0, 2.0)]
        [0.1273, 0.2546, 0.4444]
    """
    check_aversion("epsilon", epsilon)
    found = gains(user, assistant, disagreement)
    equal = np.asarray(ces(*found, rho=1.0 - epsilon, below="negative"))
    mean = (found.user + found.assistant) / 2.0
    return _index(found, mean - equal, below, "atkinson", per=mean)


def surplus_share(
    user: ArrayLike, assistant: ArrayLike, *, disagreement: Point = ZERO, below: Undefined = "error"
) -> Any:
    """Return the user's share of both gains, from 0 to 1; the assistant has the rest.

    Raises:
        UsageError: A side loses, or nobody gains, and ``below`` is ``"error"``.

    Example:
        >>> surplus_share(3, 1), surplus_share(3, 1, disagreement=(2, 0))
        (0.75, 0.5)
    """
    found = gains(user, assistant, disagreement)
    return _index(found, found.user, below, "surplus_share")


def envy(own: ArrayLike, others: ArrayLike) -> Any:
    """Return by how much one would rather have the other's bundle, in one's own utils; 0 where there is no envy.

    Args:
        own: What one's own bundle is worth to one.
        others: What the other's bundle would be worth to one (not what it is worth to the other).

    Example:
        >>> envy([5, 2], [3, 6]).tolist()
        [0.0, 4.0]
    """
    found = gains(own, others)
    return plain(np.maximum(found.assistant - found.user, 0.0))


def _index(found: Gains, part: Floats, below: Undefined, who: str, *, per: Floats | None = None) -> Any:
    whole = found.user + found.assistant if per is None else per
    value = np.divide(part, whole, out=np.zeros_like(whole), where=whole > 0.0)
    return _undefined_where_lost(found, value, below, who)


def _undefined_where_lost(found: Gains, value: Floats, below: Undefined, who: str) -> Any:
    if below not in ("error", "nan"):
        raise UsageError(f"{who}: below: expected 'error' or 'nan', got {below!r}")
    defined = (found.least >= 0.0) & (found.user + found.assistant > 0.0)
    return with_losses(found, value, below, defined=defined, who=who)
