"""Bargaining solutions on cells and on their hull, and the plane they live in."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from gtalign_env.comparing import undominated
from gtalign_env.errors import UnknownNameError, UsageError
from gtalign_env.games import Bimatrix
from gtalign_env.games.bargaining import Solution, bargain, disagreement_point
from gtalign_env.games.cells import pareto_cells
from gtalign_env.games.hull import frontier, hull_vertices


def bimatrix(user: Any, assistant: Any, *moves: Any) -> Bimatrix:
    """A game from plain lists."""
    return Bimatrix(user, assistant, *moves)


SOLUTIONS: tuple[Solution, ...] = ("nash", "kalai_smorodinsky", "egalitarian", "utilitarian")
PD = bimatrix([[3, 0], [5, 1]], [[3, 5], [0, 1]])
BATTLE = bimatrix([[2, 0], [0, 1]], [[1, 0], [0, 2]])

_Q = np.arange(6)
_PROFIT = _Q[:, None] * (np.maximum(12 - 2 * (_Q[:, None] + _Q[None, :]), 0) - 1)
DUOPOLY = bimatrix(_PROFIT, _PROFIT.T)


def outcome(game: Bimatrix, solution: Solution, *args: Any, **kwargs: Any) -> tuple[float, float]:
    """The payoffs that a solution picks."""
    found = game.bargaining(solution, *args, **kwargs)
    return found.user_payoff, found.assistant_payoff


def test_bargaining__duopoly_on_cells_has_two_nash_solutions() -> None:
    """The product 50 of (5, 10) and (10, 5) beats the 49 of (7, 7); both are listed, the first is chosen."""
    found = DUOPOLY.bargaining("nash")
    assert (found.user_payoff, found.assistant_payoff) == (5, 10)
    assert found.ties == ((1, 2), (2, 1))
    assert found.mixture == (((1, 2), 1.0),)
    assert found.agreed


@pytest.mark.parametrize("solution", SOLUTIONS)
def test_bargaining__duopoly_on_the_hull_is_shared_equally(solution: Solution) -> None:
    """A coin between (5, 10) and (10, 5) gives 7.5 each: every solution picks it in this symmetric game."""
    found = DUOPOLY.bargaining(solution, hull=True)
    assert (found.user_payoff, found.assistant_payoff) == pytest.approx((7.5, 7.5), abs=1e-9)
    assert sum(weight for _, weight in found.mixture) == pytest.approx(1.0)
    assert found.ties == ()


def test_bargaining__prisoners_cooperate_by_every_solution() -> None:
    """From mutual defection, (3, 3) is the only cell that both gain by."""
    for solution in SOLUTIONS:
        for hull in (False, True):
            assert outcome(PD, solution, (1, 1), hull=hull) == pytest.approx((3, 3))
    assert PD.bargaining("nash", "maximin").gains == pytest.approx((2.0, 2.0))


def test_bargaining__the_solutions_differ_where_they_should() -> None:
    """One segment from (0, 4) to (10, 0) with d = 0: each solution has its own point, by hand."""
    game = bimatrix([[0, 10]], [[4, 0]])
    assert outcome(game, "nash", hull=True) == pytest.approx((5, 2))  # the middle of the segment
    assert outcome(game, "kalai_smorodinsky", hull=True) == pytest.approx((5, 2))  # half of each ideal gain
    assert outcome(game, "egalitarian", hull=True) == pytest.approx((20 / 7, 20 / 7))  # x = 4 − 0.4x
    assert outcome(game, "utilitarian", hull=True) == pytest.approx((10, 0))


def test_bargaining__kalai_smorodinsky_goes_towards_the_ideal_point() -> None:
    """Frontier (0,2)-(1,2)-(2,0): Nash stays at the corner (1, 2), KS goes to x = y = 4/3 (Kalai and Smorodinsky)."""
    game = bimatrix([[0, 1, 2]], [[2, 2, 0]])
    assert outcome(game, "nash", hull=True) == pytest.approx((1, 2))
    assert outcome(game, "kalai_smorodinsky", hull=True) == pytest.approx((4 / 3, 4 / 3))
    assert outcome(game, "nash") == (1, 2)
    assert outcome(game, "kalai_smorodinsky") == (1, 2)  # min(1/2, 2/2) against min(0, 1) and min(1, 0)


def test_bargaining__ties_go_to_the_larger_sum_then_to_reading_order() -> None:
    """Egalitarian: (1, 1) loses to (1, 3); two cells of (1, 3) stay tied."""
    found = bimatrix([[1, 1, 1]], [[1, 3, 3]]).bargaining("egalitarian")
    assert (found.ties, found.mixture) == (((0, 1), (0, 2)), (((0, 1), 1.0),))
    assert bimatrix([[4, 2, 1]], [[0, 2, 3]]).bargaining("utilitarian").ties == ((0, 1),)


def test_bargaining__nobody_gains_means_the_disagreement_point() -> None:
    """Where every outcome hurts someone there is no agreement, and the payoffs are d itself."""
    for hull in (False, True):
        found = PD.bargaining("nash", (4, 4), hull=hull)
        assert (found.agreed, found.mixture, found.ties) == (False, (), ())
        assert (found.user_payoff, found.assistant_payoff, found.gains) == (4, 4, (0, 0))
    losses = bimatrix([[-1, -2]], [[-3, -1]])
    assert not losses.bargaining("nash").agreed, "never the cell with the largest product of two losses"


def test_bargaining__only_one_side_can_gain() -> None:
    """All products are 0: the side that can gain gets its most, by every solution."""
    game = bimatrix([[0, 0, -1]], [[1, 5, 9]])
    for solution in SOLUTIONS:
        for hull in (False, True):
            assert outcome(game, solution, hull=hull) == pytest.approx((0, 5))


def test_bargaining__a_lottery_may_do_what_no_cell_can() -> None:
    """Battle of the sexes from (1.4, 1.4): no cell leaves both there, the even coin does."""
    assert not BATTLE.bargaining("egalitarian", (1.4, 1.4)).agreed
    found = BATTLE.bargaining("egalitarian", (1.4, 1.4), hull=True)
    assert dict(found.mixture) == pytest.approx({(0, 0): 0.5, (1, 1): 0.5})
    assert found.gains == pytest.approx((0.1, 0.1))


def test_bargaining__disagreement_has_three_forms() -> None:
    """A point, nothing, or what each can secure by mixing: 2/3 each in the battle of the sexes."""
    assert disagreement_point([[1]], [[2]], "zero") == (0, 0)
    assert BATTLE.bargaining("nash", "maximin").disagreement == pytest.approx((2 / 3, 2 / 3))
    for wrong in ((1,), (1, 2, 3), (1, math.nan), (math.inf, 0), "status quo", None, ("a", 1)):
        with pytest.raises(UsageError, match="two finite numbers, 'zero' or 'maximin'"):
            PD.bargaining("nash", wrong)  # type: ignore[arg-type]


def test_bargaining__an_unknown_solution_is_named() -> None:
    """The message suggests a near name."""
    with pytest.raises(UnknownNameError, match="did you mean 'egalitarian'"):
        PD.bargaining("egalitarean")  # type: ignore[arg-type]


PAYOFFS = arrays(np.float64, (3, 3), elements=st.integers(-5, 5).map(float))


@given(PAYOFFS, PAYOFFS, st.sampled_from(SOLUTIONS))
def test_bargaining__answers_are_feasible_efficient_and_harmless(
    user: np.ndarray[Any, Any], assistant: np.ndarray[Any, Any], solution: Solution
) -> None:
    """An agreement is what its mixture gives, leaves nobody below d, and no cell dominates it (on the hull: no point)."""
    for hull in (False, True):
        found = bargain(user, assistant, solution, hull=hull)
        feasible = (user >= 0) & (assistant >= 0)
        if not found.agreed:
            assert not feasible.any()
            continue
        assert sum(weight * user[cell] for cell, weight in found.mixture) == pytest.approx(found.user_payoff, abs=1e-9)
        assert min(found.gains) >= -1e-9
        assert all(weight > 0 for _, weight in found.mixture)
        better = (user > found.user_payoff + 1e-9) & (assistant > found.assistant_payoff + 1e-9)
        assert not better.any()
        if not hull:
            assert pareto_cells(np.where(feasible, user, -99), np.where(feasible, assistant, -99))[found.mixture[0][0]]


@given(PAYOFFS, PAYOFFS, st.sampled_from(SOLUTIONS), st.integers(0, 10_000))
def test_bargaining__no_lottery_does_better_than_the_one_on_the_hull(
    user: np.ndarray[Any, Any], assistant: np.ndarray[Any, Any], solution: Solution, seed: int
) -> None:
    """Of many lotteries over the cells none that leaves both at d or above beats the answer by the solution's own measure."""
    found = bargain(user, assistant, solution, hull=True)
    weights = np.random.default_rng(seed).dirichlet(np.full(9, 0.2), 500)
    lotteries = np.stack([weights @ user.ravel(), weights @ assistant.ravel()])
    lotteries = lotteries[:, (lotteries >= 0).all(axis=0)]
    if not found.agreed:
        assert not lotteries.size
        return
    gains = np.array(found.gains)
    if solution == "kalai_smorodinsky":
        most = ideal_gains(user, assistant)
        assume(most.min() > 1e-6)
        lotteries, gains = lotteries / most[:, None], gains / most
    measures: dict[str, Callable[..., Any]] = {"nash": np.prod, "utilitarian": np.sum}
    measure = measures.get(solution, np.min)
    assert (measure(lotteries, axis=0) <= measure(gains) + 1e-9).all()


def ideal_gains(user: np.ndarray[Any, Any], assistant: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The most that each player gets in a lottery in which the other loses nothing: by pairs of cells, as in a linear program."""
    most = []
    for own, other in ((user.ravel(), assistant.ravel()), (assistant.ravel(), user.ravel())):
        best = own[other >= 0].max(initial=-np.inf)
        for i, j in np.ndindex(9, 9):
            if other[i] > 0 > other[j]:
                share = other[i] / (other[i] - other[j])  # of j, at which the other gets exactly 0
                best = max(best, (1 - share) * own[i] + share * own[j])
        most.append(best)
    return np.array(most)


@given(PAYOFFS, PAYOFFS)
def test_bargaining__nash_on_the_hull_meets_its_optimality_condition(
    user: np.ndarray[Any, Any], assistant: np.ndarray[Any, Any]
) -> None:
    """No cell lies beyond the tangent of the product at the solution: x'/x + y'/y ≤ 2 (first-order condition)."""
    found = bargain(user, assistant, "nash", hull=True)
    x, y = found.gains
    assume(found.agreed and min(x, y) > 1e-6)
    assert (user / x + assistant / y).max() <= 2 + 1e-9


@given(PAYOFFS, PAYOFFS)
def test_bargaining__nash_and_ks_do_not_depend_on_units(
    user: np.ndarray[Any, Any], assistant: np.ndarray[Any, Any]
) -> None:
    """Other units and zero points of either player, moved with d, change nothing."""
    for solution in ("nash", "kalai_smorodinsky"):
        for hull in (False, True):
            one = bargain(user, assistant, solution, hull=hull)
            two = bargain(user * 3 + 1, assistant * 0.5 - 2, solution, (1, -2), hull=hull)
            assert two.gains == pytest.approx((one.gains[0] * 3, one.gains[1] * 0.5), abs=1e-8)


@given(st.lists(st.tuples(st.integers(-4, 4), st.integers(-4, 4)), min_size=1, max_size=12))
def test_hull__corners_and_frontier_are_right(points: list[tuple[int, int]]) -> None:
    """Corners turn left and hold all points; the frontier falls and nothing lies above it."""
    u, a = np.transpose(points)
    corners = hull_vertices(u, a)
    for one, two in zip(corners, corners[1:] + corners[:1], strict=True):
        side = (u[two] - u[one]) * (a - a[one]) - (a[two] - a[one]) * (u - u[one])
        assert (side >= 0).all() or len(corners) <= 2
    edge = frontier(u, a)
    assert (np.diff(u[edge]) > 0).all()
    assert (np.diff(a[edge]) < 0).all()
    assert u[edge[-1]] == u.max()
    assert a[edge[0]] == a.max()


@given(
    st.lists(st.tuples(st.integers(-3, 3), st.integers(-3, 3)), min_size=1, max_size=15),
    st.sampled_from([0.0, 1e-9, 0.5, 1.0]),
)
def test_hull__undominated_agrees_with_the_comparison_of_all_pairs(
    points: list[tuple[int, int]], tolerance: float
) -> None:
    """The sorted sweep finds what pareto_cells finds."""
    u, a = np.transpose(points)
    expected = pareto_cells(u[None], a[None], tolerance=tolerance)[0]
    assert undominated(u, a, tolerance=tolerance).tolist() == expected.tolist()


# --- sizes ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("solution", ["nash", "kalai_smorodinsky", "egalitarian", "utilitarian"])
@pytest.mark.parametrize("hull", [False, True])
def test_bargaining__one_side_s_size_excuses_no_loss_of_the_other(solution: Solution, hull: bool) -> None:
    """A billion for the user does not make the assistant's loss of a half a rounding error, nor one of a billionth."""
    for loss in (0.5, 1e-9):
        found = bargain([[1e9, 5]], [[-loss, 3]], solution, hull=hull)
        assert found.assistant_payoff >= 0.0
        assert hull or found.mixture == (((0, 1), 1.0),)
    assert not bargain([[1e9, -1e-6]], [[-1, 3]], solution).agreed


def test_bargaining__rounding_at_the_disagreement_point_is_no_loss() -> None:
    """0.3 is as good as 0.1 + 0.2, and what mixing secures in matching pennies, 0 but for rounding, is no more than 0."""
    assert bargain([[0.3]], [[1.0]], "nash", (0.1 + 0.2, 0.0)).agreed
    assert bargain([[0.3]], [[1.0]], "nash", (0.1 + 0.2, 0.0), hull=True).agreed
    user = [[1e6, -1e6, 0.0], [-1e6, 1e6, 0.0], [0.0, 0.0, 0.0]]
    assert bargain(user, (-np.array(user)).tolist(), "egalitarian", "maximin").gains == pytest.approx(
        (0.0, 0.0), abs=1e-6
    )


@pytest.mark.parametrize("unit", [1e-160, 1e160])
@pytest.mark.parametrize("solution", ["nash", "kalai_smorodinsky", "egalitarian"])
def test_bargaining__on_the_hull_in_any_unit(solution: Solution, unit: float) -> None:
    """The even lottery over (4, 1) and (1, 4), by symmetry; products of such payoffs are beyond floats."""
    found = bargain(np.array([[4, 0], [0, 1]]) * unit, np.array([[1, 0], [0, 4]]) * unit, solution, hull=True)
    assert (found.user_payoff / unit, found.assistant_payoff / unit) == pytest.approx((2.5, 2.5))


def test_bargaining__gains_beyond_floats_are_refused() -> None:
    """The difference of the largest float and its opposite is no float."""
    with pytest.raises(UsageError, match="gains over the disagreement point that a float can hold"):
        bargain([[1.7e308]], [[1.0]], "nash", (-1.7e308, 0.0))
    with pytest.raises(UsageError, match="expected the disagreement as two finite numbers"):
        bargain([[1.0]], [[1.0]], "nash", (10**400, 0.0))
