"""Welfare functions and criteria: known values, and what they do with losses."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable
from decimal import Decimal, localcontext
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gtalign_env import welfare
from gtalign_env.errors import UnknownNameError, UsageError
from gtalign_env.specs import to_spec
from gtalign_env.welfare import WELFARE, Criterion, make_welfare, optimal_cells
from gtalign_env.welfare.criteria import AlphaFair, Atkinson, Ces, CobbDouglas, Linear, NashProduct

CRITERIA = [make_welfare(name) for name in WELFARE]
names = pytest.mark.parametrize("criterion", CRITERIA, ids=lambda criterion: criterion.name)
utils = st.floats(-100, 100).map(lambda x: round(x, 3))
gain = st.floats(0.01, 100).map(lambda x: round(x, 3))

GAINS_ONLY: list[Callable[..., Any]] = [
    welfare.nash_product,
    welfare.cobb_douglas,
    lambda u, a, **rest: welfare.ces(u, a, rho=-1.0, **rest),
    lambda u, a, **rest: welfare.ces(u, a, rho=0.5, **rest),
    welfare.alpha_fair,
]
INDICES: list[Callable[..., Any]] = [
    welfare.gini,
    welfare.equality,
    welfare.jain,
    welfare.atkinson,
    welfare.surplus_share,
]


@pytest.mark.parametrize(("rho", "expected"), [(1, 3), (0, math.sqrt(5)), (-1, 5 / 3), (-math.inf, 1)])
def test_ces__has_the_known_values_for_five_and_one(rho: float, expected: float) -> None:
    """Mean, geometric mean, harmonic mean and minimum of (5, 1), in either order."""
    assert welfare.ces(5, 1, rho=rho) == pytest.approx(expected, abs=1e-12)
    assert welfare.ces(1, 5, rho=rho) == pytest.approx(expected, abs=1e-12)


def test_ces__uses_the_weight_of_the_side_it_belongs_to() -> None:
    """(0.8·5^0.5 + 0.2·1)^2 and (0.8/5 + 0.2/1)^-1 by the formula, whichever side is worse off."""
    for user, assistant, weight in ((5, 1, 0.8), (1, 5, 0.2)):
        assert welfare.ces(user, assistant, rho=0.5, weight=weight) == pytest.approx((0.8 * 5**0.5 + 0.2) ** 2)
        assert welfare.ces(user, assistant, rho=-1, weight=weight) == pytest.approx(1 / (0.8 / 5 + 0.2))
        assert welfare.cobb_douglas(user, assistant, weight=weight) == pytest.approx(5**0.8)


@given(gain, gain, st.floats(-20, 0.99), st.floats(0.05, 0.95))
def test_ces__agrees_with_its_formula(user: float, assistant: float, rho: float, weight: float) -> None:
    """The stable way of computing it gives what the textbook's formula gives."""
    if abs(rho) < 1e-3:
        rho = 0.5
    expected = (weight * user**rho + (1 - weight) * assistant**rho) ** (1 / rho)
    assert welfare.ces(user, assistant, rho=rho, weight=weight) == pytest.approx(expected, rel=1e-6)


def test_ces__does_not_overflow() -> None:
    """Large gains with a large |ρ| stay finite: powers are taken of ratios."""
    assert welfare.ces(1e6, 1.0, rho=-300) == pytest.approx(1.0, rel=0.01)
    assert welfare.ces(1e-200, 1e200, rho=-2) == pytest.approx(math.sqrt(2) * 1e-200)


@given(gain, gain)
def test_ces__rises_with_rho_from_the_minimum_to_the_mean(user: float, assistant: float) -> None:
    """Power means are ordered by their exponent."""
    values = [welfare.ces(user, assistant, rho=rho) for rho in (-math.inf, -5, -1, 0, 0.5, 1)]
    assert all(low <= high * (1 + 1e-12) for low, high in itertools.pairwise(values))
    assert values[0] == min(user, assistant)


def test_sums__are_defined_everywhere() -> None:
    """Utilitarian, linear and egalitarian welfare read losses as they are."""
    assert welfare.utilitarian(-5, 1) == -4
    assert welfare.linear(-5, 1, weight=0.25) == -0.5
    assert welfare.egalitarian(-5, 1) == -5
    assert welfare.egalitarian(-5, 1, disagreement=(-7, 0)) == 1


@pytest.mark.parametrize(("epsilon", "expected"), [(0.5, 0.1273), (1.0, 0.2546), (2.0, 0.4444), (0.0, 0.0)])
def test_atkinson__has_the_known_values(epsilon: float, expected: float) -> None:
    """Atkinson's index of (5, 1), to four places."""
    assert welfare.atkinson(5, 1, epsilon=epsilon) == pytest.approx(expected, abs=5e-5)


def test_indices__have_the_known_values() -> None:
    """Gini, equality and Jain of (5, 1), (10, 5) and (4, 10)."""
    assert welfare.gini([5, 10], [1, 5]) == pytest.approx([1 / 3, 1 / 6])
    assert welfare.equality(5, 1) == pytest.approx(1 - 1 / 3 * 2)
    assert welfare.jain([5, 10, 4], [1, 5, 10]) == pytest.approx([36 / 52, 0.9, 196 / 232])
    assert welfare.surplus_share(7, 3, disagreement=(5, 1)) == 0.5
    assert welfare.gini(3, 0) == 0.5
    assert welfare.atkinson(3, 0) == 1.0
    assert welfare.jain(1e-300, 1e-300) == 1.0


@pytest.mark.parametrize(("alpha", "expected"), [(0.0, 6.0), (1.0, math.log(5)), (2.0, -1.2), (0.5, 2 * 5**0.5 + 2)])
def test_alpha_fair__has_the_known_values(alpha: float, expected: float) -> None:
    """α = 0 is the sum, 1 the sum of logarithms, 2 minus the sum of reciprocals."""
    assert welfare.alpha_fair(5, 1, alpha=alpha) == pytest.approx(expected)


def test_alpha_fair__a_gain_of_zero_and_a_loss() -> None:
    """A gain of 0 is worth −∞ from α = 1 on; below α = 1 a loss is worth less than any gain."""
    assert welfare.alpha_fair(5, 0) == -math.inf
    assert welfare.alpha_fair(5, 0, alpha=0.5) == pytest.approx(2 * 5**0.5)
    assert welfare.alpha_fair([5, -1], [1, 1], alpha=2.0, below="negative").tolist() == [-1.2, -math.inf]
    assert welfare.alpha_fair(5, -1, alpha=0.5, below="negative") == -1.0


def test_envy__is_what_the_other_bundle_is_worth_more() -> None:
    """Nobody envies a bundle worth less."""
    assert welfare.envy([5, 2], [3, 6]).tolist() == [0.0, 4.0]


@pytest.mark.parametrize("function", GAINS_ONLY)
def test_losses__raise_become_nan_or_negative_by_the_stated_rule(function: Callable[..., Any]) -> None:
    """Two losses and one loss are errors by default, NaN or something negative on request; never a positive product."""
    for losses in ((-3.0, -3.0), (4.0, -1.0), (-1.0, 4.0)):
        with pytest.raises(UsageError, match=r"not defined for gains.*\(-?\d.*'below'"):
            function(*losses)
        assert math.isnan(function(*losses, below="nan"))
        assert function(*losses, below="negative") < 0
    with pytest.raises(UsageError, match="'error', 'nan' or 'negative', got 'zero'"):
        function(1.0, 1.0, below="zero")


@pytest.mark.parametrize("function", INDICES)
def test_indices__are_undefined_where_somebody_loses_or_nobody_gains(function: Callable[..., Any]) -> None:
    """Ratios need gains: anything else is an error or NaN, and there is no 'negative' for an index."""
    for losses in ((-3.0, -3.0), (4.0, -1.0), (0.0, 0.0)):
        with pytest.raises(UsageError, match="not defined for gains"):
            function(*losses)
        assert math.isnan(function(*losses, below="nan"))
    with pytest.raises(UsageError, match="'error' or 'nan', got 'negative'"):
        function(1.0, 1.0, below="negative")


def test_losses__are_measured_from_the_disagreement_point() -> None:
    """What both get without each other decides what a loss is; the message names the first cell."""
    assert welfare.nash_product(-1, -2, disagreement=(-3, -3)) == 2.0
    with pytest.raises(UsageError, match=r"nash_product.*\(-1, 2\) at \(1, 0\)"):
        welfare.nash_product([[3, 3], [1, 3]], [[4, 4], [4, 4]], disagreement=(2, 2))


@pytest.mark.parametrize("zero", [(0.0, 5.0), (5.0, 0.0), (0.0, 0.0)])
def test_zero_gains__are_no_losses(zero: tuple[float, float]) -> None:
    """A gain of 0 makes products and CES at ρ ≤ 0 zero, without an error."""
    assert welfare.nash_product(*zero) == 0.0
    assert welfare.cobb_douglas(*zero) == 0.0
    assert welfare.ces(*zero, rho=-2) == 0.0
    assert welfare.ces(*zero, rho=0.5) == pytest.approx(sum(zero) / 4)


@pytest.mark.parametrize("bad", ["x", [1, math.nan], [[1], [2, 3]], None, math.inf])
def test_payoffs__must_be_finite_numbers(bad: Any) -> None:
    """NaN, infinity, text and ragged rows are refused in words."""
    with pytest.raises(UsageError, match=r"expected (finite )?numbers for 'user'"):
        welfare.utilitarian(bad, 1.0)


def test_arguments__that_make_no_sense_are_refused() -> None:
    """Shapes, points, weights and exponents are checked."""
    with pytest.raises(UsageError, match=r"payoffs of one shape, got \(2,\).*\(3,\)"):
        welfare.utilitarian([1, 2], [1, 2, 3])
    with pytest.raises(UsageError, match="disagreement point"):
        welfare.egalitarian(1, 1, disagreement=(1.0,))  # type: ignore[arg-type]
    for weight in (-0.1, 1.1, math.nan, "x", True):
        with pytest.raises(UsageError, match="weight of the user"):
            welfare.linear(1, 1, weight=weight)  # type: ignore[arg-type]
    for weight in (0.0, 1.0):
        assert welfare.linear(5, 1, weight=weight) == (5 if weight else 1)
        with pytest.raises(UsageError, match="both excluded"):
            welfare.cobb_douglas(1, 1, weight=weight)
    for rho in (1.5, math.nan, "x", True):
        with pytest.raises(UsageError, match="rho <= 1"):
            welfare.ces(1, 1, rho=rho)  # type: ignore[arg-type]
    for aversion in (-1.0, math.inf, math.nan, "x", False):
        with pytest.raises(UsageError, match="alpha: expected a finite number >= 0"):
            welfare.alpha_fair(1, 1, alpha=aversion)  # type: ignore[arg-type]
        with pytest.raises(UsageError, match="epsilon"):
            welfare.atkinson(1, 1, epsilon=aversion)  # type: ignore[arg-type]


def test_numbers__give_numbers_and_arrays_arrays() -> None:
    """A plain float for two numbers, an array of the common shape otherwise."""
    assert type(welfare.cobb_douglas(4, 1)) is float
    assert welfare.cobb_douglas(np.full((2, 3), 4.0), 1.0).shape == (2, 3)
    assert json.dumps(make_welfare("jain")(2, 1)) == json.dumps(1.5 * 0.9)


@names
@given(user=utils, assistant=utils)
def test_criterion__every_cell_has_a_finite_value(criterion: Criterion, user: float, assistant: float) -> None:
    """Criteria are total: the solver may ask about any cell."""
    assert math.isfinite(criterion(user, assistant))


@names
@given(user=utils, assistant=utils, more=st.tuples(gain, gain))
def test_criterion__prefers_what_is_better_for_both(
    criterion: Criterion, user: float, assistant: float, more: tuple[float, float]
) -> None:
    """Raising both payoffs raises the value, over gains and over losses alike."""
    assert criterion(user + more[0], assistant + more[1]) > criterion(user, assistant)


@names
@given(wins=st.tuples(gain, gain), loss=gain, other=utils)
def test_criterion__puts_every_loss_below_every_gain(
    criterion: Criterion, wins: tuple[float, float], loss: float, other: float
) -> None:
    """A cell in which a side loses never beats one in which both gain (but for criteria that only add up)."""
    if criterion.name in ("utilitarian", "linear"):
        assert criterion(-loss, -loss) < criterion(*wins)
    else:
        assert criterion(-loss, other) < criterion(*wins)
        assert criterion(other, -loss) < criterion(*wins)


@names
def test_criterion__never_picks_the_worst_cell_of_an_all_negative_matrix(criterion: Criterion) -> None:
    """The product of payoffs would pick (−5, −5); every criterion picks (−1, −1)."""
    user, assistant = [[-1.0, -3.0], [-2.0, -5.0]], [[-1.0, -2.0], [-3.0, -5.0]]
    product = np.multiply(user, assistant)
    assert np.unravel_index(product.argmax(), (2, 2)) == (1, 1)
    assert optimal_cells(user, assistant, criterion).tolist() == [[True, False], [False, False]]


@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0, 2.0, 4.0])
@given(first=st.tuples(gain, gain), second=st.tuples(gain, gain))
def test_criterion__alpha_fair_and_atkinson_order_gains_as_their_functions_do(
    alpha: float, first: tuple[float, float], second: tuple[float, float]
) -> None:
    """On gains the criterion is an increasing transform of the function it is named after."""
    raw = [welfare.alpha_fair(*cell, alpha=alpha) for cell in (first, second)]
    fair, even = AlphaFair(alpha=alpha), Atkinson(epsilon=alpha)
    if raw[0] > raw[1] + 1e-9:
        assert fair(*first) >= fair(*second)
    mean = sum(first) / 2
    assert even(*first) == pytest.approx(mean * (1 - welfare.atkinson(*first, epsilon=alpha)))


def test_criterion__gini_and_jain_discount_the_mean() -> None:
    """μ·(1 − G) and μ·J of (5, 1); nobody gaining is worth 0."""
    assert make_welfare("gini")(5, 1) == pytest.approx(3 * (1 - 1 / 3))
    assert make_welfare("jain")(5, 1) == pytest.approx(3 * 36 / 52)
    assert make_welfare("gini")(0, 0) == make_welfare("jain")(0, 0) == 0.0


def test_make_welfare__reads_names_settings_and_objects() -> None:
    """A spec makes the criterion it names, and that names itself again."""
    assert make_welfare("ces:rho=-1") == Ces(rho=-1.0)
    assert make_welfare("nash_product:d_user=1,d_assistant=0.5")(3, 1.5) == 2.0
    assert make_welfare("ces:rho=-inf")(5, 1) == 1.0
    mine = CobbDouglas(weight=0.3, d_user=-1.0)
    assert make_welfare(mine) is mine
    for criterion in (mine, *CRITERIA, Linear(weight=1.0), NashProduct(d_assistant=2.0)):
        assert make_welfare(to_spec(criterion)) == criterion


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("cobb-douglas", "did you mean 'cobb_douglas'"),
        ("ces:sigma=2", "setting 'sigma' is unknown"),
        ("ces:rho=2", "rho <= 1"),
        ("linear:weight=2", "weight of the user"),
        ("cobb_douglas:weight=1", "both excluded"),
        ("alpha_fair:alpha=-1", "alpha"),
        ("atkinson:epsilon=-1", "epsilon"),
        ("egalitarian:d_user=nan", "finite numbers for 'disagreement'"),
        (3, "expected a name as in 'ces:rho=-1' or a criterion"),
        (Ces, "expected a name"),
    ],
)
def test_make_welfare__refuses_what_is_no_criterion(spec: Any, message: str) -> None:
    """A wrong name, setting, value or object: one sentence each."""
    with pytest.raises(UsageError, match=message):
        make_welfare(spec)
    with pytest.raises(UnknownNameError):
        make_welfare("nothing like it")


def test_optimal_cells__drops_ties_that_another_best_cell_dominates() -> None:
    """All products are 0 here, yet (4, 0) is better than (1, 0) and (0, 0); incomparable ties stay."""
    assert optimal_cells([[1, 4, 0]], [[0, 0, 0]]).tolist() == [[False, True, False]]
    assert optimal_cells([[4, 0, 1]], [[0, 4, 0]]).tolist() == [[True, True, False]]
    with pytest.raises(UsageError, match="at least one cell"):
        optimal_cells([], [])


@pytest.mark.parametrize("unit", [1e-150, 1e-5, 1.0, 1e150])
def test_optimal_cells__do_not_depend_on_the_unit(unit: float) -> None:
    """3·1 beats 1·2 in any currency, and 4·9 ties with 6·6."""
    user, assistant = np.array([[3.0, 1.0]]) * unit, np.array([[1.0, 2.0]]) * unit
    assert optimal_cells(user, assistant, "nash_product").tolist() == [[True, False]]
    assert optimal_cells(np.array([[4.0, 6.0]]) * unit, np.array([[9.0, 6.0]]) * unit).tolist() == [[True, True]]


def test_optimal_cells__take_a_tolerance() -> None:
    """For payoffs that were measured."""
    assert optimal_cells([[3.0, 3.1]], [[3.0, 2.8]], "utilitarian").tolist() == [[True, False]]
    assert optimal_cells([[3.0, 3.1]], [[3.0, 2.8]], "utilitarian", tolerance=0.5).tolist() == [[True, True]]


@pytest.mark.parametrize(
    "rho", [0.1, 0.05, 1e-3, 1e-6, 1e-12, 1e-17, 1e-320, -1e-320, -1e-17, -1e-12, -1e-6, -1e-3, -0.05, -0.1]
)
@pytest.mark.parametrize("pair", [(5.0, 1.0), (1e300, 1e-300), (1e-300, 1e10), (2.0, 2.0), (3.0, 0.0), (0.0, 0.0)])
def test_ces__keeps_its_digits_near_zero(rho: float, pair: tuple[float, float]) -> None:
    """Against the formula in 400 decimal digits."""
    user, assistant = map(Decimal, pair)
    with localcontext() as context:
        context.prec, context.Emin, context.Emax = 400, -(10**9), 10**9
        power = Decimal(rho)
        if min(pair) > 0:
            expected = (((user.ln() * power).exp() + (assistant.ln() * power).exp()) / 2).ln() / power
            value = float(expected.exp())
        else:
            value = 0.0 if rho < 1e-2 else float(max(user, assistant) * (Decimal("0.5").ln() / power).exp())
    assert welfare.ces(*pair, rho=rho) == pytest.approx(value, rel=1e-11, abs=1e-290)


def test_atkinson__is_continuous_at_one() -> None:
    """1 − √5/3 for (5, 1), and next to it no noise."""
    for epsilon in (1.0, 1.0 + 1e-12, 1.0 - 1e-12, 1.0 + 2.0**-52):
        assert welfare.atkinson(5, 1, epsilon=epsilon) == pytest.approx(1.0 - math.sqrt(5.0) / 3.0, abs=1e-11)
        assert AlphaFair(alpha=epsilon)(5, 1) == pytest.approx(math.sqrt(5.0), rel=1e-11)


@pytest.mark.parametrize("criterion", [make_welfare(name) for name in WELFARE if name != "nash_product"])
def test_criterion__of_large_gains_is_finite(criterion: Criterion) -> None:
    """Between the smaller and the sum at 1e300, and a sentence, no warning, where floats end."""
    assert 1e300 <= criterion(1e300, 3e300) <= 4e300
    for payoffs in ((1e308, 1.0), (1.0, -1.7e308)):
        with pytest.raises(UsageError, match="welfare: expected gains of at most 4e\\+307 utils"):
            criterion(*payoffs)


def test_nash_product__beyond_floats_is_refused() -> None:
    """The message names the way out, which orders alike."""
    with pytest.raises(UsageError, match="use a larger unit, or cobb_douglas"):
        welfare.nash_product(1e200, 1e200)
    assert welfare.cobb_douglas(1e200, 1e200) == pytest.approx(1e200)
    with pytest.raises(UsageError, match="welfare: expected gains"):
        welfare.egalitarian(1e308, 1.0, disagreement=(-1e308, 0.0))


def test_alpha_fair__of_gains_whose_worth_no_float_holds() -> None:
    """1e-200 to the power −4 is 1e800: worth minus infinity, without a warning."""
    assert welfare.alpha_fair(1e-200, 1.0, alpha=5.0) == -math.inf
