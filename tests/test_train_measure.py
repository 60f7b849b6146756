"""Figures of sessions: what the error of welfare is made of."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from gtalign_env.training.measure import measure
from gtalign_env.training.objectives import FLOOR, make_objective

ON_GAINS = ["cobb_douglas", "cobb_douglas:w=0.7", "nash_bargaining", "ces:rho=-1", "ces:rho=0.5", "ces:rho=-inf"]
ON_GAINS += ["egalitarian"]
some = st.floats(0.01, 20.0)


def sessions(user: float, assistant: float, spread: float = 1.0) -> NDArray[np.float64]:
    """Return 4,000 sessions of exactly these means, of spreads 1 and 3 or a multiple, that vary together."""
    drawn: NDArray[np.float64] = (
        np.random.default_rng(7).standard_normal((4_000, 2)) @ np.array([[1.0, 1.5], [0.0, 2.6]]) * spread
    )
    drawn += np.array([user, assistant]) - drawn.mean(axis=0)
    return drawn


@pytest.mark.parametrize("spec", ON_GAINS)
def test_measure__where_welfare_is_one_side_so_is_its_error(spec: str) -> None:
    """A side that loses: W is its mean, to the digit, and ± W is ± that mean."""
    judge = make_objective(spec)
    found = measure(sessions(-0.3, 1.0), 0, judge)
    assert found.welfare == found.user
    assert found.error == pytest.approx(found.user_error, rel=1e-12)
    found = measure(sessions(1.0, -0.3), 0, judge)
    assert found.welfare == found.assistant
    assert found.error == pytest.approx(found.assistant_error, rel=1e-12)


def test_measure__losses_are_those_on_the_disagreement_point() -> None:
    """A user with less than without an assistant loses, at a payoff above 0 as well."""
    found = measure(sessions(1.0, 5.0), 0, make_objective("nash_bargaining:d_user=1.5,d_assistant=2"))
    assert found.welfare == pytest.approx(-0.5)
    assert found.error == pytest.approx(found.user_error, rel=1e-12)


@pytest.mark.parametrize("spec", ["cobb_douglas", "cobb_douglas:w=0.7", "nash_bargaining", "ces:rho=-1", "egalitarian"])
@pytest.mark.parametrize(("user", "spread"), [(2.0, 1.0), (FLOOR / 5, 0.05)], ids=["gains", "a gain below the floor"])
def test_measure__error_is_that_of_a_bootstrap(spec: str, user: float, spread: float) -> None:
    """The spread of W over 1,000 resamples of the sessions, within 10 %: means are ten errors and more away from a loss."""
    judge, returns = make_objective(spec), sessions(user, 5.0, spread)
    rng, count = np.random.default_rng(11), len(returns)
    again = np.array([judge.value(*returns[rng.integers(count, size=count)].mean(axis=0)) for _ in range(1_000)])
    assert measure(returns, 0, judge).error == pytest.approx(float(again.std(ddof=1)), rel=0.1)


@pytest.mark.parametrize("spec", [*ON_GAINS, "linear:0.3", "utilitarian", "user_only"])
@given(user=some, assistant=some, loss=st.sampled_from([(1, 1), (-1, 1), (1, -1), (-1, -1)]))
def test_objectives__slope_is_that_of_the_value(
    spec: str, user: float, assistant: float, loss: tuple[int, int]
) -> None:
    """Central differences of W at gains however small and at losses, where the smaller gain does not change sides."""
    judge, step = make_objective(spec), 1e-6
    u, a = user * loss[0], assistant * loss[1]
    if abs(u - a) < 1e-3:
        return
    wanted = (
        (judge.value(u + step, a) - judge.value(u - step, a)) / (2 * step),
        (judge.value(u, a + step) - judge.value(u, a - step)) / (2 * step),
    )
    assert judge.slope(u, a) == pytest.approx(wanted, rel=1e-3, abs=1e-6)
