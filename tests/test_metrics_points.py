"""Measures of points in payoff space: fronts, hypervolume, coverage, regret, dominance."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from gtalign_env import metrics
from gtalign_env.errors import UsageError
from gtalign_env.games import Bimatrix

DILEMMA = [[3, 3], [0, 5], [5, 0], [1, 1]]
clouds = st.integers(1, 12).flatmap(lambda n: arrays(np.float64, (n, 2), elements=st.integers(-3, 4).map(float)))


def dominates(p: Any, q: Any, *, weak: bool = False, eps: float = 0.0) -> bool:
    """Return whether p dominates q, by the definition."""
    if weak:
        return bool((p > q + eps).all())
    return bool((p >= q - eps).all() and (p > q + eps).any())


@pytest.mark.parametrize("weak", [False, True])
@pytest.mark.parametrize("eps", [0.0, 0.5, 1.0, 2.0])
@given(points=clouds)
def test_pareto_front__is_the_definition(weak: bool, eps: float, points: Any) -> None:
    """A point is on the front exactly when no other dominates it; the front is never empty."""
    mask = metrics.pareto_front(points, weak=weak, eps=eps)
    expected = [not any(dominates(p, q, weak=weak, eps=eps) for p in points) for q in points]
    assert mask.tolist() == expected
    assert mask.any()


@given(points=clouds)
def test_pareto_front__agrees_with_the_cells_of_a_game_and_with_moocore(points: Any) -> None:
    """Two other implementations find the same points."""
    moocore = pytest.importorskip("moocore")
    mask = metrics.pareto_front(points)
    game = Bimatrix(points[:, :1], points[:, 1:])
    on_front = [(row, "1") for row, on in zip(game.user_moves, mask, strict=True) if on]
    assert game.pareto() == on_front
    assert mask.tolist() == moocore.is_nondominated(points, maximise=True, keep_weakly=True).tolist()


def test_pareto_front__keeps_duplicates_and_compares_within_prompts() -> None:
    """Equal points stand together; an easy prompt does not dominate a hard one."""
    assert metrics.pareto_front([[1, 1], [1, 1], [0, 1]]).tolist() == [True, True, False]
    points, prompts = [[9, 9], [8, 9], [1, 1], [0, 2]], ["easy", "easy", "hard", "hard"]
    assert metrics.pareto_front(points).tolist() == [True, False, False, False]
    assert metrics.pareto_front(points, prompts=prompts).tolist() == [True, False, True, True]


def test_hypervolume__has_the_known_values() -> None:
    """0.52 for the three points (the published code gives 0.20), 9 for the prisoner's dilemma."""
    assert metrics.hypervolume([(1, 0.2), (0.6, 0.6), (0.2, 1)]) == pytest.approx(0.52, abs=1e-12)
    assert metrics.hypervolume(DILEMMA) == 9.0
    assert metrics.hypervolume(DILEMMA, reference=(1, 1)) == 4.0


def test_hypervolume__points_that_do_not_beat_the_reference_add_nothing() -> None:
    """Negative, boundary and dominated points have no area; no points have none."""
    assert metrics.hypervolume([[-1, 5], [5, 0], [0, 0]]) == 0.0
    assert metrics.hypervolume([]) == 0.0
    assert metrics.hypervolume([[2, 2], [-1, 9], [1, 1], [2, 2]]) == 4.0


@given(points=clouds, reference=st.tuples(st.integers(-3, 3), st.integers(-3, 3)))
def test_hypervolume__agrees_with_moocore(points: Any, reference: tuple[int, int]) -> None:
    """The same area as an independent implementation, to 1e-12."""
    moocore = pytest.importorskip("moocore")
    expected = moocore.hypervolume(points, ref=reference, maximise=True)
    assert metrics.hypervolume(points, reference=reference) == pytest.approx(expected, abs=1e-12)


def test_hypervolume__agrees_with_moocore_on_many_points() -> None:
    """A thousand real-valued points."""
    moocore = pytest.importorskip("moocore")
    points = np.random.default_rng(0).normal(size=(1000, 2))
    expected = moocore.hypervolume(points, ref=(-1.0, -1.0), maximise=True)
    assert metrics.hypervolume(points, reference=(-1, -1)) == pytest.approx(expected, abs=1e-12)


@given(points=clouds, reference=clouds)
def test_epsilon_indicator__agrees_with_moocore(points: Any, reference: Any) -> None:
    """The same additive epsilon as an independent implementation."""
    moocore = pytest.importorskip("moocore")
    expected = moocore.epsilon_additive(points, ref=reference, maximise=True)
    assert metrics.epsilon_indicator(points, reference) == pytest.approx(expected, abs=1e-12)


@given(points=clouds)
def test_epsilon_indicator__is_zero_against_itself_and_moves_with_a_shift(points: Any) -> None:
    """Lowering every point by 2 costs 2; raising it by 2 gives −2."""
    assert metrics.epsilon_indicator(points, points) == 0.0
    assert metrics.epsilon_indicator(points - 2, points) == 2.0
    assert metrics.epsilon_indicator(points + 2, points) == -2.0


def test_regret_to_front__is_the_chebyshev_shortfall_from_the_nearest_front_point() -> None:
    """By hand: (1, 1) lacks (2, 2) to (3, 3) and (0, 3) to (1, 4); beyond the front it is 0."""
    points, front = [[1, 1], [3, 2], [3, 3], [9, 9]], [[3, 3], [1, 4]]
    assert metrics.regret_to_front(points, front, scale=(1, 1)).tolist() == [2.0, 1.0, 0.0, 0.0]
    assert metrics.regret_to_front(points, front, scale=(4, 2)).tolist() == [1.0, 0.5, 0.0, 0.0]


def test_regret_to_front__scales_by_the_range_of_both_and_ignores_dominated_reference_points() -> None:
    """Ranges here are 4 and 2; the dominated (0, 0) would make every regret 0; an axis without range is left alone."""
    assert metrics.regret_to_front([[0, 2], [2, 0]], [[4, 2], [0, 0]]).tolist() == [1.0, 1.0]
    assert metrics.regret_to_front([[0, 1]], [[2, 1]]).tolist() == [1.0]


def test_regret_to_front__holds_each_point_against_its_own_prompt() -> None:
    """Pooled, the hard prompt's best answer has regret; by prompt it has none."""
    points, prompts = [[9, 9], [1, 1]], ["easy", "hard"]
    front, owners = [[1, 1], [9, 9]], ["hard", "easy"]
    assert metrics.regret_to_front(points, front).tolist() == [0.0, 1.0]
    assert metrics.regret_to_front(points, front, prompts=prompts, reference_prompts=owners).tolist() == [0.0, 0.0]
    with pytest.raises(UsageError, match="prompt 'hard' has no point of reference"):
        metrics.regret_to_front(points, front, prompts=prompts, reference_prompts=["easy", "easy"])
    with pytest.raises(UsageError, match="for both the points and the reference, or for neither"):
        metrics.regret_to_front(points, front, prompts=prompts)


@given(points=clouds, reference=clouds)
def test_epsilon_coverage__rises_with_eps_and_is_full_against_itself(points: Any, reference: Any) -> None:
    """The share within eps is monotone in eps, 1 at the largest regret, and counts front points at eps = 0."""
    shares = [metrics.epsilon_coverage(points, reference, eps=eps) for eps in (0.0, 0.1, 0.5, 1.0)]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert metrics.epsilon_coverage(reference[metrics.pareto_front(reference)], reference, eps=0.0) == 1.0


def test_epsilon_coverage__counts_a_shortfall_of_exactly_eps() -> None:
    """0.3 − 0.2 is 0.1 for people, and 0.09999999999999998 or 0.10000000000000003 for floats."""
    assert metrics.epsilon_coverage([[0.2, 1], [0.1, 1]], [[0.3, 1]], eps=0.1, scale=(1, 1)) == 0.5


def test_dominance_counts__sorts_pairs_and_never_lets_a_point_dominate_its_equal() -> None:
    """Wins, losses, ties within eps, and trade-offs; near-equal pairs are equal, not incomparable."""
    first = np.array([[1, 1], [0, 0], [1, 0], [0.04, 0], [1, 1]])
    second = np.array([[0, 1], [1, 1], [0, 1], [0, 0.04], [1, 1]])
    exact = metrics.dominance_counts(first, second)
    assert (exact.first, exact.second, exact.equal, exact.incomparable) == (1, 1, 1, 2)
    near = metrics.dominance_counts(first, second, eps=0.05)
    assert (near.first, near.second, near.equal, near.incomparable) == (1, 1, 2, 1)
    assert near.total == 5
    assert metrics.dominance_counts([[2, 2], [2, 2]], [[1, 1], [2, 2]]).advantage == 0.5
    assert metrics.DominanceCounts(first=0, second=0, equal=0, incomparable=0).advantage == 0.0  # no pair, no advantage
    with pytest.raises(UsageError, match="one pair of points per prompt, got 1 and 2"):
        metrics.dominance_counts([[1, 1]], [[1, 1], [2, 2]])


def test_spread__is_the_range_on_each_axis() -> None:
    """In utils, or in shares of a given range."""
    assert metrics.spread(DILEMMA) == (5.0, 5.0)
    assert metrics.spread(DILEMMA, scale=(10, 5)) == (0.5, 1.0)
    with pytest.raises(UsageError, match="two positive numbers"):
        metrics.spread(DILEMMA, scale=(0, 1))


def test_per_prompt__measures_each_prompt_alone_in_their_order() -> None:
    """Settings are handed on; a label may be anything that can be a key."""
    found = metrics.per_prompt(metrics.hypervolume, [[2, 2], [3, 1], [2, 1]], [7, ("a", 1), 7], reference=(1, 0))
    assert found == {7: 2.0, ("a", 1): 2.0}
    pairs = metrics.per_prompt(metrics.hypervolume, [[2, 2], [3, 1]], [("a", 1), ("a", 2)])
    assert pairs == {("a", 1): 4.0, ("a", 2): 3.0}
    with pytest.raises(UsageError, match="one label for each of the 2 rows, got 1"):
        metrics.per_prompt(metrics.spread, [[1, 1], [2, 2]], ["a"])


@pytest.mark.parametrize(
    ("points", "message"),
    [
        ([], "at least one pair"),
        ([[1, 2, 3]], r"got shape \(1, 3\)"),
        ([1, 2], r"got shape \(2,\)"),
        ([[1, float("nan")]], "NaN or infinity"),
        ([[1, float("inf")]], "NaN or infinity"),
        ([[1, "x"]], "expected pairs"),
        ([[1, 2], [3]], "expected pairs"),
    ],
)
def test_points__that_are_none_are_refused(points: Any, message: str) -> None:
    """Every measure says what it expected."""
    with pytest.raises(UsageError, match=message):
        metrics.pareto_front(points)
    with pytest.raises(UsageError, match="reference"):
        metrics.regret_to_front([[0, 0]], points)


@pytest.mark.parametrize("eps", [-1.0, float("nan"), float("inf"), "x", True])
def test_eps__must_be_a_number_not_below_zero(eps: Any) -> None:
    """A negative tolerance would let a point dominate itself."""
    with pytest.raises(UsageError, match="eps: expected a finite number >= 0"):
        metrics.pareto_front(DILEMMA, eps=eps)


def test_large_sets__need_no_table_of_all_pairs() -> None:
    """Twenty thousand points against three hundred, in blocks, give what one block gives."""
    rng = np.random.default_rng(1)
    points = rng.random((20_000, 2))
    angle = np.linspace(0, np.pi / 2, 300)
    arc = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    regret = metrics.regret_to_front(points, arc, scale=(1, 1))
    some = [0, 7_000, 19_999]
    assert regret[some].tolist() == metrics.regret_to_front(points[some], arc, scale=(1, 1)).tolist()
    far = np.concatenate([points / 2, [[0.9, 0.9]]])  # the arc at 45 degrees lacks 0.9 - sqrt(1/2) for both
    assert metrics.epsilon_indicator(arc, far) == pytest.approx(0.9 - math.sqrt(0.5), abs=3e-3)
