"""Who takes part under a pricing, and what users gain by it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping

from gtalign_env.errors import UsageError

__all__ = ["Participation", "consumer_surplus", "participation"]

_TOLERANCE = 1e-9
"""A loss that does not count, utils."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Participation:
    """Which side would rather stay away."""

    excluded: tuple[str, ...]
    """Types of user that are worse off than with their outside option."""
    exclusion_rate: float
    """Their share of the population."""
    provider: bool
    """Whether the provider gains at least its outside option."""


def participation(
    user: Mapping[str, float],
    assistant: float,
    *,
    shares: Mapping[str, float] | None = None,
    outside: float | Mapping[str, float] = 0.0,
    outside_assistant: float = 0.0,
) -> Participation:
    """Return who takes part: types with ``U_θ >= ū_θ``, and the provider where ``L`` is at least its outside option.

    Args:
        user: Payoff of each type, utils.
        assistant: The provider's payoff, utils.
        shares: Weight of each type (>= 0, not all 0); equal ones when ``None``.
        outside: ū: what a type has without the service, one number for all or one each. 0 in this project's games.
        outside_assistant: The same for the provider.

    Raises:
        UsageError: There are no types, or a weight or an outside option is missing.

    Example:
        >>> participation({"concise": 0.5, "hurried": -0.25}, 0.75, shares={"concise": 3, "hurried": 1})
        Participation(excluded=('hurried',), exclusion_rate=0.25, provider=True)
    """
    weights = _weights(user, shares)
    gains = _gains(user, outside)
    excluded = tuple(name for name, gain in gains.items() if gain < -_TOLERANCE)
    return Participation(
        excluded=excluded,
        exclusion_rate=sum((weights[name] for name in excluded), 0.0),
        provider=assistant >= outside_assistant - _TOLERANCE,
    )


def consumer_surplus(
    user: Mapping[str, float],
    *,
    shares: Mapping[str, float] | None = None,
    outside: float | Mapping[str, float] = 0.0,
) -> float:
    """Return what users gain over their outside options, utils per user; those who lose by taking part count, too.

    Arguments and errors are those of ``participation``.

    Example:
        >>> consumer_surplus({"concise": 0.5, "hurried": -0.25}, shares={"concise": 3, "hurried": 1})
        0.3125
    """
    weights = _weights(user, shares)
    return sum(weights[name] * gain for name, gain in _gains(user, outside).items())


def _weights(user: Mapping[str, float], shares: Mapping[str, float] | None) -> dict[str, float]:
    weights = dict.fromkeys(user, 1.0) if shares is None else shares
    total = sum(weights.values())
    if set(weights) != set(user) or not 0.0 < total < math.inf or min(weights.values()) < 0.0:
        raise UsageError(f"shares: expected a weight >= 0 for each of {sorted(user)}, got {dict(weights)}")
    return {name: weight / total for name, weight in weights.items()}


def _gains(user: Mapping[str, float], outside: float | Mapping[str, float]) -> dict[str, float]:
    if not isinstance(outside, Mapping):
        return {name: payoff - outside for name, payoff in user.items()}
    if not set(user) <= set(outside):
        raise UsageError(f"outside: expected a number for each of {sorted(user)}, got {dict(outside)}")
    return {name: payoff - outside[name] for name, payoff in user.items()}
