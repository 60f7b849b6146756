"""What the kit compares, walks through and overwrites."""

from __future__ import annotations

import copy
import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gtalign_env.testing.compare import difference, leaves, mutable_parts, scramble, short

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(max_size=3), inner, max_size=3)
        | st.lists(st.floats(width=32), max_size=4).map(lambda row: np.array(row, dtype=np.float32))
    ),
    max_leaves=8,
)


@dataclasses.dataclass
class Point:
    """Compares by value."""

    x: float
    y: Any = None


class Plain:
    """Compares by identity."""

    def __init__(self, x: Any) -> None:
        self.x = x


@given(VALUES)
def test_difference__finds_none_between_a_value_and_its_copy(value: Any) -> None:
    """A deep copy is the same byte for byte, NaN included."""
    assert difference(value, copy.deepcopy(value)) == ""


@given(VALUES, VALUES)
def test_difference__is_symmetric_in_whether_there_is_one(first: Any, second: Any) -> None:
    """Which of two values comes first does not decide whether they differ."""
    assert bool(difference(first, second)) == bool(difference(second, first))


@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        (1, 1.0, "int"),
        (True, 1, "bool"),
        (0.0, -0.0, "-0.0"),
        ({"a": 1}, {"b": 1}, "keys"),
        ([1], [1, 2], "1 entries against 2"),
        ({"a": [0, {"b": 1}]}, {"a": [0, {"b": 2}]}, "['a'][1]['b']: 1 against 2"),
        (np.zeros(2), np.zeros(2, dtype=np.float32), "dtype"),
        (np.zeros(2), np.zeros(3), "shape"),
        (np.zeros(3), np.array([0.0, 0.0, 1.0]), "entry 2"),
        (np.float32(1.0), np.float32(2.0), "np.float32(1.0)"),
        (Point(1.0), Point(2.0), "['x']"),
        (Plain([1]), Plain([2]), "['x'][0]"),
        ("a", "b", "'a' against 'b'"),
    ],
)
def test_difference__says_where_and_how(first: Any, second: Any, words: str) -> None:
    """The text has the path and both values."""
    assert words in difference(first, second)


def test_difference__takes_objects_that_compare_by_identity_by_their_attributes() -> None:
    """Two objects with the same attributes are the same to the kit; functions are compared as they are."""
    assert difference(Plain(1), Plain(1)) == ""
    assert difference(len, len) == ""
    assert difference(len, abs) != ""


@given(VALUES)
def test_scramble__leaves_nothing_mutable_as_it_was(value: Any) -> None:
    """Every dict, list and non-constant array inside is changed."""
    kept = copy.deepcopy(value)
    parts = [part for _, part in mutable_parts(value) if not isinstance(part, np.ndarray) and len(part)]
    scramble(value)
    assert all(part in ([], {"scrambled": True}) for part in parts)
    if isinstance(value, dict):
        assert difference(kept, value)


@pytest.mark.parametrize(
    "array",
    [
        np.zeros(2, dtype=np.int8),
        np.ones(2, dtype=np.float32),
        np.array([True, False]),
        np.array(["word"]),
        np.array([{}, {}], dtype=object),
    ],
    ids=lambda array: str(array.dtype),
)
def test_scramble__overwrites_arrays_of_every_kind(array: np.ndarray[Any, Any]) -> None:
    """Numbers, bools, strings and objects in arrays are overwritten in place; frozen arrays are left alone."""
    kept = array.copy()
    frozen = array.copy()
    frozen.flags.writeable = False
    scramble([array, frozen])
    assert difference(kept.tolist(), array.tolist())
    assert difference(kept, frozen) == ""


def test_scramble__empties_sets() -> None:
    """Sets are emptied too."""
    names = {1, 2}
    scramble((names,))
    assert names == set()


def test_leaves__goes_through_everything() -> None:
    """Containers, arrays, dataclasses and plain objects are opened; keys count unless they are left out."""
    value = {"a": (Point(1.0, {2}), np.array([3]), Plain("b")), "f": len}
    assert [leaf for _, leaf in leaves(value, keys=False)] == [1.0, 2, 3, "b", len]
    assert {"a", "f", "x", "y"} <= {leaf for _, leaf in leaves(value)}


def test_short__keeps_to_one_line_and_its_limit() -> None:
    """Long values are cut, line breaks are taken out."""
    assert short(np.zeros((2, 2))) == "array([[0., 0.], [0., 0.]])"
    assert len(short("x" * 1000)) == 120
