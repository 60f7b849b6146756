"""What counts as a tie, and which points no other one dominates."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gtalign_env.comparing import ROUNDING, levelled, undominated

NUMBERS = st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=8)
POINTS = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=9)


@given(NUMBERS)
def test_levelled__moves_little_and_leaves_no_near_ones(numbers: list[float]) -> None:
    """Different levels are further apart than rounding, no number moved more than that, and the order stays."""
    level = levelled(numbers).tolist()
    exact = [Fraction(number) for number in numbers]
    slack = max((max(exact) - min(exact)) * Fraction(ROUNDING), max(map(abs, exact)) / 2**52)
    leeway = slack * (1 + Fraction(1, 2**50)) + Fraction(5e-324)  # slack itself is a float
    assert all(0 <= before - Fraction(after) <= leeway for before, after in zip(exact, level, strict=True))
    different = sorted({Fraction(number) for number in level})
    assert all(high - low > slack - leeway + slack for low, high in itertools.pairwise(different))
    assert sorted(range(len(level)), key=level.__getitem__) == sorted(range(len(level)), key=lambda k: (level[k], k))
    assert levelled(level).tolist() == level


@pytest.mark.parametrize("unit", [1e-300, 1e-10, 1.0, 1e300])
def test_levelled__does_not_depend_on_the_unit(unit: float) -> None:
    """A billionth of the spread is a difference, a trillionth of it is not."""
    level = levelled(np.array([0.0, 1e-12 / 2, 1e-9, 1.0]) * unit)
    assert level.tolist() == [0.0, 0.0, 1e-9 * unit, unit]


def test_levelled__of_many_games_takes_each_by_itself() -> None:
    """The spread is that of a game, not of the batch."""
    games = np.array([[[0.0, 1e-13], [0.0, 1.0]], [[0.0, 1e-13], [0.0, 1e-13]]])
    assert levelled(games, axes=2).tolist() == [[[0, 0], [0, 1]], games[1].tolist()]


@given(NUMBERS)
def test_levelled__is_the_same_for_few_and_in_a_batch(numbers: list[float]) -> None:
    """Two ways to look, one answer."""
    assert levelled([numbers] * 2).tolist() == [levelled(numbers).tolist()] * 2


def test_levelled__runs_end_where_rounding_ends() -> None:
    """A long run of near numbers does not drag the last one to the first."""
    step = ROUNDING * 0.75
    assert levelled([0.0, step, 2 * step, 3 * step, 1.0]).tolist() == [0.0, 0.0, 2 * step, 2 * step, 1.0]


@given(POINTS, st.booleans(), st.sampled_from([None, 0.0, 1.0, 1.5]))
def test_undominated__is_the_definition(points: list[tuple[int, int]], weak: bool, tolerance: float | None) -> None:
    """One list by the sweep, and the same among several by pairs."""
    slack = tolerance or 0.0

    def beats(other: tuple[int, int], one: tuple[int, int]) -> bool:
        gains = [b - a for a, b in zip(one, other, strict=True)]
        if weak:
            return min(gains) > slack
        return min(gains) >= -slack and max(gains) > slack

    expected = [not any(beats(other, one) for other in points) for one in points]
    user, assistant = np.array(points, dtype=np.float64).T
    assert undominated(user, assistant, tolerance=tolerance, weak=weak).tolist() == expected
    assert undominated([user] * 2, [assistant] * 2, tolerance=tolerance, weak=weak).tolist() == [expected] * 2


def test_undominated__of_a_hundred_thousand_points_is_quick() -> None:
    """All pairs would be ten billion."""
    angles = np.linspace(0.0, np.pi / 2.0, 100_000)
    assert undominated(np.cos(angles), np.sin(angles), tolerance=0.0).sum() >= 99_990
    assert undominated(np.cos(angles) / 2.0, np.append(np.sin(angles[1:]) / 2.0, 1.0)).sum() >= 1
