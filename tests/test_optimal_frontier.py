"""Cutting planes over a cloud of points: the best mixture under a concave welfare, and its bound."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from yardstick_parts import CONCAVE, best_of

from gtalign_env.errors import UsageError
from gtalign_env.optimal.frontier import Reached, best_mixture, concave
from gtalign_env.welfare import make_welfare

CLOUD = st.lists(st.tuples(st.floats(0.1, 5.0), st.floats(0.1, 5.0)), min_size=1, max_size=8)


@pytest.mark.parametrize("objective", CONCAVE)
@settings(max_examples=25)
@given(points=CLOUD)
def test_frontier__is_the_best_mixture_of_points(objective: str, points: list[tuple[float, float]]) -> None:
    """Over any finite set of points the cutting planes find the best point of the hull, and bound it from above."""
    found = best_mixture(best_of(points), objective)
    criterion = make_welfare(objective)
    t = np.linspace(0.0, 1.0, 2001)
    dense = max(
        float(np.max(criterion(a[0] + t * (b[0] - a[0]), a[1] + t * (b[1] - a[1])))) for a in points for b in points
    )
    assert found.value >= dense - 1e-5 * max(1.0, dense)
    assert found.upper >= found.value - 1e-12
    assert found.upper - found.value <= 1e-5 * max(1.0, found.value**2)
    assert sum(share for share, _ in found.mixture) == pytest.approx(1.0)
    mixed = np.sum([share * np.array(part.payoffs) for share, part in found.mixture], axis=0)
    assert tuple(mixed) == pytest.approx(found.payoffs)


def test_frontier__everybody_loses() -> None:
    """Where some side loses whatever is done, the criterion is the smaller gain, and so is what is maximised."""
    points = [(-3.0, 1.0), (-1.0, -2.0), (0.5, -4.0)]
    # On the line from (−3, 1) to (0.5, −4), U = L where −3 + 3.5t = 1 − 5t: t = 8/17, both −23/17. The point (−1, −2) lies
    # below that line.
    assert best_mixture(best_of(points), "cobb_douglas").value == pytest.approx(-23 / 17, abs=1e-6)


EIGHTHS = st.integers(-24, 16).map(lambda n: n / 8)


@pytest.mark.parametrize("objective", [*CONCAVE, "ces:rho=0.5", "nash_product:d_user=1,d_assistant=-0.5"])
@settings(max_examples=25)
@given(points=st.lists(st.tuples(EIGHTHS, EIGHTHS), min_size=1, max_size=6))
def test_frontier__bounds_hold_where_somebody_may_lose(objective: str, points: list[tuple[float, float]]) -> None:
    """No mixture is worth more than the upper bound, whichever side it loses for, and the value is that of the mixture."""
    found = best_mixture(best_of(points), objective)
    criterion = make_welfare(objective)
    t = np.linspace(0.0, 1.0, 201)
    dense = max(
        float(np.max(criterion(a[0] + t * (b[0] - a[0]), a[1] + t * (b[1] - a[1])))) for a in points for b in points
    )
    mixed = np.sum([share * np.array(part.payoffs) for share, part in found.mixture], axis=0)
    assert found.value == pytest.approx(float(criterion(*mixed)), abs=1e-9)
    assert found.upper >= found.value
    assert found.upper >= dense - 1e-9


def test_frontier__the_product_of_losers_is_the_smaller_gain() -> None:
    """Where somebody loses at the best point, bound and value are smaller gains, not products of them."""
    points = [(-3.0, 1.0), (0.5, -4.0)]
    found = best_mixture(best_of(points), "nash_product")
    assert found.value == pytest.approx(-23 / 17, abs=1e-6)  # as for cobb_douglas above
    assert found.upper == pytest.approx(-23 / 17, abs=1e-6)
    # Gains (1, 6) and (4.5, 1): (1 + 3.5s)(6 − 5s) is largest at s = 16/35.
    gained = best_mixture(best_of(points), "nash_product:d_user=-4,d_assistant=-5")
    s = 16 / 35
    assert gained.value == pytest.approx((1 + 3.5 * s) * (6 - 5 * s), abs=1e-6)
    assert gained.upper == pytest.approx(gained.value, abs=1e-5)


def test_frontier__too_few_lines_leave_an_honest_bound() -> None:
    """Where one line does not find the point at which nobody loses, the bound is still one of the criterion's."""
    points = [(4.0, -1.0), (0.3, 2.6)]
    found = best_mixture(best_of(points), "cobb_douglas:weight=0.2", rounds=1)
    assert found.value == -1.0
    assert found.upper >= 0.3**0.2 * 2.6**0.8


def test_frontier__what_is_not_concave_is_refused() -> None:
    """Jain's index is not concave, so no optimum can be certified."""
    with pytest.raises(UsageError, match="concave in both payoffs"):
        concave("jain")


@pytest.mark.parametrize(
    ("trained", "name"),
    [
        ("user_only", "linear:weight=1"),
        ("assistant_only", "linear:weight=0"),
        ("nash_bargaining", "nash_product"),
        ("nash_bargaining:d_user=1", "nash_product:d_user=1"),
    ],
)
def test_frontier__knows_what_training_calls_criteria(trained: str, name: str) -> None:
    """A run of training can be looked up under the objective's own name."""
    assert concave(trained)[0] == make_welfare(name)


@pytest.mark.parametrize("near", [(0.9, 0.1), (0.02, 0.98)])
def test_frontier__where_it_begins_does_not_matter(near: tuple[float, float]) -> None:
    """The first line asked about is the one given; the value is that of the four points' best mixture all the same."""
    points = [(4.0, 0.0), (3.0, 2.0), (1.0, 2.9), (0.0, 3.0)]
    asked = []

    def oracle(weights: tuple[float, float], tolerance: float) -> Reached:
        asked.append(weights)
        best = max(points, key=lambda point: weights[0] * point[0] + weights[1] * point[1])
        return Reached(weights=weights, upper=weights[0] * best[0] + weights[1] * best[1], payoffs=best)

    found = best_mixture(oracle, "cobb_douglas", near=near, tolerance=1e-9)
    assert asked[0] == near
    # At (3, 2), U·L falls along both edges: towards (1, 2.9) by (−2)·2 + 0.9·3 < 0, towards (4, 0) by 1·2 − 2·3 < 0.
    assert found.value == pytest.approx(math.sqrt(6.0))
    assert found.upper == pytest.approx(math.sqrt(6.0), abs=1e-8)
