"""Points in payoff space: what every measure here takes, checked in one place."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gtalign_env.errors import UsageError
from gtalign_env.inputs import finite, floats

__all__ = ["as_points", "check_eps", "groups_of", "per_prompt"]

Floats = NDArray[np.float64]
Measured = TypeVar("Measured")


def as_points(points: ArrayLike, *, label: str = "points", empty: bool = False) -> Floats:
    """Return points as an array of shape (n, 2): the user's payoff and the assistant's, larger is better.

    Args:
        points: What should be points.
        label: What they are called in messages.
        empty: Whether there may be none.

    Raises:
        UsageError: They are no finite pairs, or there is none.

    Example:
        >>> as_points([[1, 2], [3, 4]]).shape
        (2, 2)
    """
    array = floats(points, f"{label}: expected pairs (user's payoff, assistant's payoff)")
    if array.size == 0 and empty:
        return np.zeros((0, 2))
    if array.ndim != 2 or array.shape[1] != 2 or not len(array):
        raise UsageError(
            f"{label}: expected at least one pair (user's payoff, assistant's payoff), got shape {array.shape}"
        )
    return finite(array, f"{label}: expected finite payoffs")


def check_eps(eps: float) -> None:
    """Refuse a tolerance that is negative or not finite.

    Raises:
        UsageError: It is out of range.
    """
    if isinstance(eps, bool) or not isinstance(eps, (int, float)) or not 0.0 <= eps < np.inf:
        raise UsageError(f"eps: expected a finite number >= 0, got {eps!r}")


def groups_of(prompts: Sequence[Hashable], count: int) -> dict[Hashable, NDArray[np.intp]]:
    """Return the rows of each prompt, prompts in the order in which they first come.

    Args:
        prompts: One label for each row: which prompt it belongs to.
        count: How many rows there are.

    Raises:
        UsageError: There is not one label for each row.

    Example:
        >>> {prompt: rows.tolist() for prompt, rows in groups_of(["a", "b", "a"], 3).items()}
        {'a': [0, 2], 'b': [1]}
    """
    labels = list(prompts)
    if len(labels) != count:
        raise UsageError(f"prompts: expected one label for each of the {count} rows, got {len(labels)}")
    found: dict[Hashable, list[int]] = {}
    for row, label in enumerate(labels):
        found.setdefault(label, []).append(row)
    return {label: np.array(rows, dtype=np.intp) for label, rows in found.items()}


def per_prompt(
    measure: Callable[..., Measured], points: ArrayLike, prompts: Sequence[Hashable], **settings: Any
) -> dict[Hashable, Measured]:
    """Return a measure of each prompt's own points, by prompt.

    A front pooled over prompts compares answers to different questions: an easy prompt then dominates a hard one. Take
    the measure prompt by prompt, and average what comes out.

    Args:
        measure: A function of points, e.g. ``hypervolume``.
        points: Pairs (user, assistant), shape (n, 2).
        prompts: The prompt of each point, n labels.
        settings: Keyword arguments of the measure.

    Example:
        >>> from gtalign_env.metrics import hypervolume
        >>> per_prompt(hypervolume, [[1, 1], [2, 1], [3, 3]], ["easy", "easy", "hard"])
        {'easy': 2.0, 'hard': 9.0}
    """
    array = as_points(points)
    return {prompt: measure(array[rows], **settings) for prompt, rows in groups_of(prompts, len(array)).items()}
