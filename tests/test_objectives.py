"""Objectives: values, gradients and what they do where a side loses."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gtalign_env.errors import UnknownNameError, UsageError
from gtalign_env.optimal.frontier import concave
from gtalign_env.training.objectives import AGGREGATIONS, FLOOR, OBJECTIVES, Egalitarian, make_objective
from gtalign_env.welfare import WELFARE, make_welfare

SMOOTH = [
    "user_only",
    "assistant_only",
    "linear:0.3",
    "utilitarian",
    "cobb_douglas",
    "cobb_douglas:w=0.7",
    "ces:rho=-2",
    "ces:0.5",
]
SMOOTH += ["nash_bargaining:d_user=0.25,d_assistant=-0.5", "ces:rho=0"]
gains = st.floats(0.5, 20.0)
anything = st.floats(-1e6, 1e6)


@pytest.mark.parametrize("spec", SMOOTH)
@given(user=gains, assistant=gains)
def test_objectives__weights_are_the_gradient(spec: str, user: float, assistant: float) -> None:
    """Where both sides gain, weights agree with central differences of the value."""
    objective, step = make_objective(spec), 1e-5
    wanted = (
        (objective.value(user + step, assistant) - objective.value(user - step, assistant)) / (2 * step),
        (objective.value(user, assistant + step) - objective.value(user, assistant - step)) / (2 * step),
    )
    assert objective.weights(user, assistant) == pytest.approx(wanted, rel=1e-3, abs=1e-5)


@pytest.mark.parametrize("spec", [*OBJECTIVES, "ces:rho=-inf", "ces:rho=-60"])
@given(user=anything, assistant=anything)
def test_objectives__weights_are_finite_and_never_all_zero(spec: str, user: float, assistant: float) -> None:
    """Everywhere, far below 0 too: finite, not negative, and something is worth learning."""
    weights = make_objective(spec).weights(user, assistant)
    assert all(math.isfinite(weight) and weight >= 0.0 for weight in weights)
    assert sum(weights) > 0.0


@pytest.mark.parametrize("spec", ["cobb_douglas", "ces:rho=-1", "nash_bargaining", "egalitarian"])
def test_objectives__the_losing_side_weighs_most(spec: str) -> None:
    """Where one side loses and the other gains, the loser's payoff is what is learned first."""
    user, assistant = make_objective(spec).weights(-1.0, 2.0)
    assert user > assistant


def test_objectives__gradients_go_on_smoothly_below_the_floor() -> None:
    """At the floor and below it the gradient is that at the floor."""
    objective = make_objective("cobb_douglas")
    assert objective.weights(FLOOR / 2, 1.0) == objective.weights(FLOOR, 1.0)
    assert objective.weights(0.0, 0.0) == pytest.approx((0.5, 0.5))


def test_objectives__egalitarian_changes_sides_within_the_floor() -> None:
    """Equal gains weigh equally; a clear difference puts all weight on the smaller one."""
    assert Egalitarian().weights(1.0, 1.0) == (0.5, 0.5)
    assert Egalitarian().weights(1.0, 2.0)[0] == pytest.approx(1.0, abs=1e-6)


def test_objectives__values_are_those_of_welfare() -> None:
    """Values by hand: √(4·9), 2·4·9/13, (4 − 1)(9 − 2)."""
    assert make_objective("cobb_douglas").value(4.0, 9.0) == pytest.approx(6.0)
    assert make_objective("ces:rho=-1").value(4.0, 9.0) == pytest.approx(72 / 13)
    assert make_objective("nash_bargaining:d_user=1,d_assistant=2").value(4.0, 9.0) == pytest.approx(21.0)
    assert np.asarray(make_objective("egalitarian").value([1.0, 3.0], [2.0, -1.0])).tolist() == [1.0, -1.0]


def test_objectives__ser_and_esr_differ() -> None:
    """Sessions (4, 0) and (0, 4): welfare of the means is 2, the mean of welfare 0."""
    returns = np.array([[4.0, 0.0], [0.0, 4.0]])
    objective = make_objective("cobb_douglas")
    assert objective.value(*returns.mean(axis=0)) == pytest.approx(2.0)
    assert np.mean(objective.value(*returns.T)) == 0.0


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
def test_make_objective__takes_names_and_objects(aggregation: str) -> None:
    """A name, a setting and an object lead to the same objective."""
    made = make_objective("linear:w=0.25", aggregation)
    assert made.aggregation == aggregation
    assert make_objective(f"linear:w=0.25,aggregation={aggregation}") == make_objective(made) == made


@pytest.mark.parametrize(
    "bad", ["linear:2", "ces:rho=3", "cobb_douglas:w=0", "utilitarian:aggregation=mean", "linear:x", 3]
)
def test_make_objective__refuses_what_makes_no_sense(bad: object) -> None:
    """Settings out of range and things that are no objective are refused in words."""
    with pytest.raises(UsageError):
        make_objective(bad)  # type: ignore[arg-type]


def test_make_objective__suggests_a_name() -> None:
    """A misspelt name gets the near one."""
    with pytest.raises(UnknownNameError, match="cobb_douglas"):
        make_objective("cob_douglas")


# -- one list of names ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "spec",
    [
        *OBJECTIVES,
        "linear:0.7",
        "linear:w=0.25",
        "linear:weight=0.25",
        "ces:-2",
        "ces:rho=-2,w=0.3",
        "cobb_douglas:w=0.3,d_user=0.5",
        "nash_bargaining:d_user=1,d_assistant=-0.5",
    ],
)
def test_names__what_train_takes_solve_takes(spec: str) -> None:
    """The same string means the same welfare to ``train --objective`` and to ``solve --optimal --objective``."""
    assert make_welfare(spec) == make_objective(spec).criterion()
    assert concave(spec)[0] == make_objective(spec).criterion()


@pytest.mark.parametrize("name", sorted(set(WELFARE) - set(OBJECTIVES)))
def test_names__what_is_not_trained_is_said(name: str) -> None:
    """Of welfare that is only looked at, the message says so; of other names for what is trained, it gives that name."""
    means = {"nash_product": "nash_bargaining", "alpha_fair": "ces:rho=1-alpha", "atkinson": "ces:rho=1-epsilon"}
    words = (
        f"take {means[name]},"
        if name in means
        else f"welfare to look at .*welfare:{name}\\), not one to train; expected one of"
    )
    with pytest.raises(UsageError, match=f"objective '{name}': .*{words}"):
        make_objective(name)


@pytest.mark.parametrize(
    ("other", "train"),
    [("alpha_fair:3", "ces:rho=-2"), ("atkinson:2", "ces:rho=-1"), ("nash_product", "nash_bargaining")],
)
@given(user=st.floats(0.1, 9.0), assistant=st.floats(0.1, 9.0))
def test_names__the_name_that_is_given_instead_is_the_same_welfare(
    other: str, train: str, user: float, assistant: float
) -> None:
    """ρ is 1 − α, and 1 − ε; the product of gains has two names."""
    assert make_objective(train).value(user, assistant) == pytest.approx(make_welfare(other)(user, assistant))
