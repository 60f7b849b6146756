"""What people pass, checked in one place: arrays of finite numbers, and names that must differ."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gtalign_env.errors import UsageError

__all__ = ["different_names", "finite", "floats"]


def floats(numbers: Any, expected: str) -> NDArray[np.float64]:
    """Return numbers as a fresh array of floats.

    Args:
        numbers: Numbers, nested as deep as the array has axes.
        expected: What was expected, for the message: ``"bimatrix: expected rows of numbers"``.

    Raises:
        UsageError: They are ragged, too large, or no numbers.

    Example:
        >>> floats([[1, 2]], "game: expected rows of numbers")
        array([[1., 2.]])
    """
    try:
        return np.array(numbers, dtype=np.float64)
    except (TypeError, ValueError):
        raise UsageError(f"{expected}, got {numbers!r}") from None
    except OverflowError:
        raise UsageError(f"{expected}, got a number beyond the largest float (about 1.8e308)") from None


def finite(array: NDArray[np.float64], expected: str) -> NDArray[np.float64]:
    """Return an array, having checked that it holds no NaN and no infinity.

    Raises:
        UsageError: It does.

    Example:
        >>> finite(np.array([np.inf]), "game: expected finite payoffs")
        Traceback (most recent call last):
        gtalign_env.errors.UsageError: game: expected finite payoffs, got NaN or infinity
    """
    if not np.isfinite(array).all():
        raise UsageError(f"{expected}, got NaN or infinity")
    return array


def different_names(names: Iterable[Any], count: int, label: str, of: str = "") -> tuple[str, ...]:
    """Return the names of ``count`` things as strings: those given, or numbers from 1.

    Args:
        names: The names, or nothing.
        count: How many there must be.
        label: What is being made, for the message.
        of: What the names denote, where the label does not say it.

    Raises:
        UsageError: The names are not ``count`` different ones.

    Example:
        >>> different_names((), 2, "types"), different_names(("low", "high"), 2, "types")
        (('1', '2'), ('low', 'high'))
    """
    expected = f"{label}: expected {count} different names{of and f' of {of}'}"
    try:
        found = tuple(str(name) for name in names)
    except TypeError:
        raise UsageError(f"{expected}, got {names!r}") from None
    made = found or tuple(str(i + 1) for i in range(count))
    if len(made) != count or len(set(made)) != count:
        raise UsageError(f"{expected}, got {list(found)!r}")
    return made
