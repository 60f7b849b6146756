"""What people pass is read in one place."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gtalign_env.errors import UsageError
from gtalign_env.games import Bimatrix
from gtalign_env.inputs import different_names, finite, floats


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ([[1, 2], [3]], "x: expected rows, got"),
        ("ab", "x: expected rows, got 'ab'"),
        ([[10**400]], "x: expected rows, got a number beyond the largest float"),
        ([[10**5000]], "x: expected rows, got a number beyond the largest float"),
    ],
)
def test_floats__refuse_what_is_none(numbers: Any, message: str) -> None:
    """Ragged, words, and whole numbers too large for a float, or for a message."""
    with pytest.raises(UsageError, match=message):
        floats(numbers, "x: expected rows")


def test_floats__are_a_copy() -> None:
    """What is passed stays the caller's."""
    given = np.array([1.0])
    floats(given, "x")[0] = 2.0
    assert given.tolist() == [1.0]


def test_finite__refuses_nan_and_infinity() -> None:
    """And returns what is finite."""
    array = np.array([1.0])
    assert finite(array, "x") is array
    for bad in (np.nan, np.inf):
        with pytest.raises(UsageError, match="x: expected finite, got NaN or infinity"):
            finite(np.array([bad]), "x: expected finite")


@pytest.mark.parametrize("names", [None, 3, ("a",), ("a", "a"), "abc"])
def test_different_names__refuse_what_does_not_fit(names: Any) -> None:
    """No names at all, too few, twice the same, too many."""
    with pytest.raises(UsageError, match="bimatrix: expected 2 different names of rows, got"):
        different_names(names, 2, "bimatrix", "rows")


@pytest.mark.parametrize("plays", [None, 5, "ab", [("1",)], [1], [([], "1")]])
def test_cells__refuse_plays_that_are_no_pairs_of_names(plays: Any) -> None:
    """One sentence, not a traceback of Python's."""
    with pytest.raises(UsageError, match="bimatrix: expected plays as"):
        Bimatrix([[1, 2]], [[3, 4]]).cells(plays)


def test_bimatrix__refuses_numbers_beyond_floats_and_names_that_are_none() -> None:
    """The game says which side is wrong."""
    with pytest.raises(UsageError, match="the user's payoffs as rows of numbers of one length, got a number beyond"):
        Bimatrix([[10**400]], [[1]])
    with pytest.raises(UsageError, match="expected 1 different names of rows, got None"):
        Bimatrix([[1]], [[1]], None)  # type: ignore[arg-type]
