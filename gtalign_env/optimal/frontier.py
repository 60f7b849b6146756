"""The best mean payoffs under a concave welfare, by cutting planes over what linear objectives reach.

The pairs (E U, E L) that policies reach, mixed at random before the session, form a convex set. For a concave welfare W its best
point lies where a line touches it, and a linear objective finds the points on lines. Inside, the best mixture of two known
points; outside, the best point of a half-plane that holds the set; where both are worth the same, that is the optimum
(Kelley 1960, "The cutting-plane method for solving convex programs").
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any

from gtalign_env.errors import UsageError
from gtalign_env.welfare import Criterion, make_welfare
from gtalign_env.welfare import criteria as known

__all__ = ["Frontier", "Reached", "best_mixture", "concave", "line_weights", "touching"]

Pair = tuple[float, float]
_CONCAVE = (known.AlphaFair, known.Atkinson, known.Ces, known.CobbDouglas, known.Egalitarian, known.Gini)
"""Concave for gains, and as many times larger as the gains are."""
_STEPS = 120
_GOLDEN = (math.sqrt(5.0) - 1.0) / 2.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Reached:
    """What a linear objective reached."""

    weights: Pair
    upper: float
    """No policy's weighted payoffs are more."""
    payoffs: Pair
    """What a policy gets that comes close to it."""
    handle: Any = None
    """Whatever makes the policy."""


Oracle = Callable[[Pair, float], Reached]
"""Maximises ``weights · payoffs`` up to a tolerance."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Frontier:
    """The best point, between its bounds."""

    payoffs: Pair
    value: float
    """The criterion's value there; reached by the mixture."""
    upper: float
    """No mixture of policies is worth more."""
    mixture: tuple[tuple[float, Reached], ...]
    """At most two policies with their shares."""
    weights: Pair
    """The weights of the line that touches the set there."""
    cuts: tuple[Reached, ...]
    """All that was asked."""


def concave(welfare: str | Criterion) -> tuple[Criterion, Criterion]:
    """Return a criterion, and a concave one of degree 1 that has the same best point.

    Raises:
        UsageError: The criterion is not concave, so cutting planes would not find its best mixture.

    Example:
        >>> [one.name for one in concave("nash_product")], concave("user_only")[0](5, 1)
        (['nash_product', 'cobb_douglas'], 5.0)
    """
    criterion = make_welfare(welfare)
    if isinstance(criterion, known.NashProduct):
        return criterion, known.CobbDouglas(d_user=criterion.d_user, d_assistant=criterion.d_assistant)
    if isinstance(criterion, (*_CONCAVE, known.Utilitarian, known.Linear)):
        return criterion, criterion
    names = sorted(name for name, made in known.WELFARE.items() if made in (*_CONCAVE, known.NashProduct))
    raise UsageError(
        f"objective {criterion.name!r}: expected a criterion that is concave in both payoffs ({', '.join(names)}) or linear "
        "(linear, utilitarian): of others no optimum can be certified"
    )


def line_weights(criterion: Criterion) -> Pair | None:
    """Return the weights of a linear criterion, ``None`` for others.

    Example:
        >>> line_weights(make_welfare("linear:weight=0.25")), line_weights(make_welfare("egalitarian"))
        ((0.25, 0.75), None)
    """
    if isinstance(criterion, known.Utilitarian):
        return 1.0, 1.0
    if isinstance(criterion, known.Linear):
        return criterion.weight, 1.0 - criterion.weight
    return None


def best_mixture(
    oracle: Oracle,
    welfare: str | Criterion,
    *,
    tolerance: float = 1e-7,
    rounds: int = 40,
    near: Pair = (0.5, 0.5),
) -> Frontier:
    """Find the best mean payoffs.

    Args:
        oracle: Solves for linear objectives.
        welfare: The criterion.
        tolerance: How far apart both bounds may stay, as a share of the value (of 1 where the value is less).
        rounds: Linear objectives at most.
        near: The weights to begin with, such as those of a frontier that is not far off; the result does not depend on them
            but within the tolerance.

    Example:
        >>> points = [(4.0, 0.0), (3.0, 2.0), (0.0, 3.0)]
        >>> def oracle(weights, tolerance):
        ...     best = max(points, key=lambda point: weights[0] * point[0] + weights[1] * point[1])
        ...     return Reached(weights=weights, upper=weights[0] * best[0] + weights[1] * best[1], payoffs=best)
        >>> found = best_mixture(oracle, "cobb_douglas")
        >>> found.payoffs, round(found.value**2, 9), round(found.upper**2, 6)
        ((3.0, 2.0), 6.0, 6.0)
        >>> found = best_mixture(oracle, "egalitarian")  # on the line between (3, 2) and (0, 3)
        >>> round(found.value, 6), [round(share, 3) for share, _ in found.mixture]
        (2.25, [0.75, 0.25])
    """
    criterion, core = concave(welfare)
    fixed = line_weights(core)
    if fixed is not None:
        found = oracle(fixed, tolerance * 0.5)
        value = float(core(*found.payoffs))
        return Frontier(
            payoffs=found.payoffs,
            value=value,
            upper=max(value, found.upper * value_scale(core)),
            mixture=((1.0, found),),
            weights=fixed,
            cuts=(found,),
        )
    product = isinstance(criterion, known.NashProduct)
    made = _cut(
        oracle, core, tolerance * (0.49 if product else 1.0), rounds, near
    )  # of a square, gaps are twice as wide
    if made.value <= 0.0 and not isinstance(core, known.Egalitarian):
        made = _spared(oracle, core, made, tolerance, rounds)
    if not product:
        return made
    value = float(criterion(*made.payoffs))
    upper = made.upper**2 if made.upper > 0.0 else made.upper  # below 0 both are the smaller gain
    return dataclasses.replace(made, value=value, upper=max(value, upper))


def _spared(oracle: Oracle, core: Criterion, made: Frontier, tolerance: float, rounds: int) -> Frontier:
    """Return the best point where it seems that somebody loses whatever is done: there the criterion is the smaller gain.

    A bound of the smaller gain bounds the criterion while it is no gain; above 0 the criterion is worth more than the smaller
    gain, and its own bound counts.
    """
    user, assistant = _origin(core)
    least = _cut(oracle, known.Egalitarian(d_user=user, d_assistant=assistant), tolerance, rounds)
    best = max(made, least, key=lambda one: float(core(*one.payoffs)))
    value = float(core(*best.payoffs))
    upper = min(made.upper, least.upper) if least.upper <= 0.0 else made.upper
    return dataclasses.replace(best, value=value, upper=max(value, upper), cuts=(*made.cuts, *least.cuts))


def value_scale(criterion: Criterion) -> float:
    """Return what a linear criterion's value is, per unit of its weighted payoffs."""
    weights = line_weights(criterion)
    return 1.0 if weights is None else float(criterion(1.0, 1.0)) / (weights[0] + weights[1])


def _cut(oracle: Oracle, criterion: Criterion, tolerance: float, rounds: int, near: Pair = (0.5, 0.5)) -> Frontier:
    origin = _origin(criterion)
    cuts: list[Reached] = []
    upper, fine = math.inf, max(tolerance * 10.0, 1e-4)
    weights = near
    while True:
        cuts.append(oracle(weights, fine))
        upper = min(upper, _outer(criterion, cuts[-1], origin))
        mixture, payoffs, value = _inner(criterion, cuts)
        gap, scale = upper - value, max(1.0, abs(value))
        if gap <= tolerance * scale or len(cuts) >= rounds or _stuck(cuts):
            return Frontier(
                payoffs=payoffs,
                value=value,
                upper=max(upper, value),
                mixture=mixture,
                weights=weights,
                cuts=tuple(cuts),
            )
        nearest = max(_dot(weights, cut.payoffs) for cut in cuts)  # the line cannot lie below a point that is reached
        if _outer(criterion, dataclasses.replace(cuts[-1], upper=nearest), origin) - value > 0.2 * gap:
            weights = _supporting(
                criterion, mixture, payoffs, origin
            )  # else only the line's place has to be found better
        fine = max(min(fine, 0.1 * gap), 0.05 * tolerance)


def _stuck(cuts: Sequence[Reached]) -> bool:
    """Return whether asking again about the same line has brought nothing: the search has come to its limit."""
    if len(cuts) < 2 or cuts[-1].weights != cuts[-2].weights:
        return False
    return cuts[-1].upper >= cuts[-2].upper and _dot(cuts[-1].weights, cuts[-1].payoffs) <= _dot(
        cuts[-2].weights, cuts[-2].payoffs
    )


def _origin(criterion: Criterion) -> Pair:
    """Return the disagreement point from which a criterion measures gains."""
    point: Pair = getattr(criterion, "disagreement", (0.0, 0.0))
    return point


def _inner(criterion: Criterion, cuts: Sequence[Reached]) -> tuple[tuple[tuple[float, Reached], ...], Pair, float]:
    """Return the best mixture of two known points, its payoffs and its value."""
    best = max(cuts, key=lambda cut: float(criterion(*cut.payoffs)))
    found: tuple[tuple[tuple[float, Reached], ...], Pair, float]
    found = ((1.0, best),), best.payoffs, float(criterion(*best.payoffs))
    for i, one in enumerate(cuts):
        for other in cuts[:i]:
            share = _peak(lambda t, a=one.payoffs, b=other.payoffs: float(criterion(*_mix(a, b, t))))  # type: ignore[misc]
            payoffs = _mix(one.payoffs, other.payoffs, share)
            value = float(criterion(*payoffs))
            if value > found[2] + 1e-13 * max(1.0, abs(found[2])) and 1e-9 < share < 1.0 - 1e-9:
                parts = sorted([(1.0 - share, one), (share, other)], key=lambda part: -part[0])
                found = (parts[0], parts[1]), payoffs, value
    return found


def _supporting(criterion: Criterion, mixture: Sequence[tuple[float, Reached]], at: Pair, origin: Pair) -> Pair:
    """Return the weights, summing to 1, under which nothing near a point is better by the criterion."""
    if len(mixture) == 2:
        (a, b), (c, d) = mixture[0][1].payoffs, mixture[1][1].payoffs
        normal = (abs(b - d), abs(a - c))
    else:
        size = 1e-6 * max(1e-3, abs(at[0] - origin[0]), abs(at[1] - origin[1]))
        normal = (
            max(float(criterion(at[0] + size, at[1])) - float(criterion(at[0] - size, at[1])), 0.0),
            max(float(criterion(at[0], at[1] + size)) - float(criterion(at[0], at[1] - size)), 0.0),
        )
    total = normal[0] + normal[1]
    return (normal[0] / total, normal[1] / total) if total > 0.0 else (0.5, 0.5)


def _outer(criterion: Criterion, cut: Reached, origin: Pair) -> float:
    """Return the best value of all points that a cut allows: gains (g, h) with ``w · (g, h) <= room``."""
    (first, second), room = cut.weights, cut.upper - cut.weights[0] * origin[0] - cut.weights[1] * origin[1]
    if room <= 0.0:
        return room / (first + second)  # somebody loses at every point, and equal losses are the smallest

    return room * touching(criterion, cut.weights)


def touching(criterion: Criterion, weights: Pair) -> float:
    """Return the most that gains of weighted sum 1 are worth, by a criterion of degree 1.

    Example:
        >>> round(touching(make_welfare("cobb_douglas"), (0.5, 0.5)), 6), round(touching(make_welfare("gini"), (0.2, 0.8)), 6)
        (1.0, 1.25)
    """
    made: Any = criterion
    bare = dataclasses.replace(made, d_user=0.0, d_assistant=0.0)

    def worth(t: float) -> float:
        cost = weights[0] * t + weights[1] * (1.0 - t)
        return float(bare(t, 1.0 - t)) / cost if cost > 0.0 else 0.0

    return max(worth(t) for t in (0.0, 1.0, _peak(worth)))


def _peak(value: Callable[[float], float]) -> float:
    """Return where in [0, 1] a function that rises and then falls is highest, by golden section."""
    low, high = 0.0, 1.0
    left, right = 1.0 - _GOLDEN, _GOLDEN
    at_left, at_right = value(left), value(right)
    for _ in range(_STEPS):
        if at_left < at_right:
            low, left, at_left = left, right, at_right
            right = low + _GOLDEN * (high - low)
            at_right = value(right)
        else:
            high, right, at_right = right, left, at_left
            left = high - _GOLDEN * (high - low)
            at_left = value(left)
        if high - low < 1e-15:
            break
    return max((low + high) / 2.0, 0.0)


def _dot(weights: Pair, payoffs: Pair) -> float:
    return weights[0] * payoffs[0] + weights[1] * payoffs[1]


def _mix(one: Pair, other: Pair, share: float) -> Pair:
    return (1.0 - share) * one[0] + share * other[0], (1.0 - share) * one[1] + share * other[1]
