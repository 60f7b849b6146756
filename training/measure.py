"""What sessions say about players: means with their standard errors, welfare at every price, and shares of the optimum."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gtalign_env.training.objectives import Objective
from gtalign_env.training.yardstick import Yardstick

__all__ = ["Evaluation", "mean_of_prices", "measure", "share"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Means over episodes, utils per episode; of several prices, means over prices.

    Example:
        >>> from gtalign_env.training.objectives import make_objective
        >>> found = measure(np.array([[4.0, 1.0], [4.0, 1.0]]), 0, make_objective("cobb_douglas"))
        >>> found.user, found.assistant, found.welfare, found.error
        (4.0, 1.0, 2.0, 0.0)
    """

    episodes: int
    user: float
    """Mean return of the user."""
    user_error: float
    """Its standard error."""
    assistant: float
    """Mean return of the assistant."""
    assistant_error: float
    """Its standard error."""
    welfare: float
    """The objective: W of the means (``ser``) or the mean of W (``esr``); of several prices, the mean of each price's W."""
    error: float
    """Its standard error; for ``ser`` to first order, by the slope of W: where W is one side's gain, that side's error."""
    violations: int
    """Episodes in which the assistant complied with harm."""
    by_price: Mapping[str, Evaluation] = dataclasses.field(default_factory=dict)
    """The same for each price, where there are several."""


def measure(returns: NDArray[np.float64], violations: int, objective: Objective) -> Evaluation:
    """Return the figures of some episodes, all at one price.

    Args:
        returns: (episodes, 2) returns of user and assistant.
        violations: Episodes that ended in one.
        objective: What ``welfare`` is.
    """
    count = len(returns)
    mean = returns.mean(axis=0)
    spread = np.cov(returns, rowvar=False).reshape(2, 2) if count > 1 else np.full((2, 2), math.inf)
    errors = np.sqrt(np.diag(spread) / count)
    if objective.aggregation == "ser":
        value = float(objective.value(*mean))
        slope = np.array(objective.slope(*mean.tolist()))
        error = math.sqrt(max(float(slope @ spread @ slope), 0.0) / count) if count > 1 else math.inf
    else:
        each = np.asarray(objective.value(*returns.T))
        value = float(each.mean())
        error = float(each.std(ddof=1) / math.sqrt(count)) if count > 1 else math.inf
    return Evaluation(
        episodes=count,
        user=float(mean[0]),
        user_error=float(errors[0]),
        assistant=float(mean[1]),
        assistant_error=float(errors[1]),
        welfare=value,
        error=error,
        violations=violations,
    )


def mean_of_prices(found: Mapping[str, Evaluation]) -> Evaluation:
    """Return the means over prices, all of the same weight; of one price alone, its own figures.

    Args:
        found: The figures by price; their sessions are independent.

    Example:
        >>> from gtalign_env.training.objectives import make_objective
        >>> sessions = {"dear": np.array([[1.0, 1.0]] * 2), "cheap": np.array([[9.0, 1.0]] * 2)}
        >>> judge = make_objective("cobb_douglas")
        >>> both = mean_of_prices({price: measure(returns, 0, judge) for price, returns in sessions.items()})
        >>> both.welfare, both.user, both.episodes  # √(1·1) and √(9·1)
        (2.0, 5.0, 4)
    """
    parts = list(found.values())
    if len(parts) == 1:
        return parts[0]
    figures: dict[str, Any] = {}
    for name in ("user", "assistant", "welfare"):
        figures[name] = float(np.mean([getattr(part, name) for part in parts]))
    for name in ("user_error", "assistant_error", "error"):
        figures[name] = math.sqrt(sum(getattr(part, name) ** 2 for part in parts)) / len(parts)
    for name in ("episodes", "violations"):
        figures[name] = sum(getattr(part, name) for part in parts)
    return Evaluation(**figures, by_price=dict(found))


def share(found: Evaluation, yardstick: Yardstick) -> dict[str, Any]:
    """Return the figures for a record, with the share of the optimum where it is known and a gain.

    It is ``share_of_optimum`` where the optimum is exact, and ``share_at_least`` where only a ceiling of it is proved.

    Example:
        >>> found = Evaluation(
        ...     episodes=2, user=1, user_error=0, assistant=1, assistant_error=0, welfare=1, error=0.1, violations=0
        ... )
        >>> made = share(found, Yardstick(value=2.0))
        >>> made["share_of_optimum"], made["share_error"]
        (0.5, 0.05)
    """
    figures: dict[str, Any] = {
        field.name: getattr(found, field.name) for field in dataclasses.fields(found) if field.name != "by_price"
    }
    if found.by_price:
        figures["by_price"] = {price: share(one, yardstick.at(price)) for price, one in found.by_price.items()}
    if yardstick.value is not None and yardstick.value > 0.0:
        figures["share_at_least" if yardstick.ceiling else "share_of_optimum"] = found.welfare / yardstick.value
        figures["share_error"] = found.error / yardstick.value
    return figures
