"""The words of the game: names, order and validation."""

from __future__ import annotations

import copy
import dataclasses
import math
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gtalign_env.errors import UsageError
from gtalign_env.types import (
    ASSISTANT_MOVES,
    LENGTH_TOKENS,
    LENGTHS,
    NUMERIC_TYPE_FIELDS,
    REACTIONS,
    USER_MOVES,
    AssistantMove,
    Outcome,
    Payoffs,
    UserMove,
    UserType,
)

POSITIVE = ("ideal_tokens", "value", "patience")


@pytest.mark.parametrize("move", ASSISTANT_MOVES)
def test_assistant_move__name_round_trip(move: AssistantMove) -> None:
    """Every move is found again under its name, and survives a pickle."""
    assert AssistantMove.parse(move.name) == move
    assert pickle.loads(pickle.dumps(move)) == move


@pytest.mark.parametrize("move", USER_MOVES)
def test_user_move__name_round_trip(move: UserMove) -> None:
    """Every move is found again under its name, and survives a pickle."""
    assert UserMove.parse(move.name) == move
    assert pickle.loads(pickle.dumps(move)) == move


def test_moves__are_those_of_the_design() -> None:
    """Eight moves of the assistant and eleven of the user, with distinct names; LEAVE comes last."""
    names = {move.name for move in ASSISTANT_MOVES}
    assert names == {*(f"{act}_{length}" for act in ("DA", "AQ") for length in LENGTHS), "CQ", "DECLINE"}
    assert len(ASSISTANT_MOVES) == 8
    assert {move.name for move in USER_MOVES} == {
        *(f"{form}_{reaction}" for form in ("VQ", "DQ") for reaction in REACTIONS),
        "LEAVE",
    }
    assert len(USER_MOVES) == 11
    assert USER_MOVES[-1].name == "LEAVE"


@pytest.mark.parametrize("move", ASSISTANT_MOVES)
def test_assistant_move__says_whether_it_answers_and_asks(move: AssistantMove) -> None:
    """DA answers, CQ asks, AQ does both, DECLINE neither; only answers have a length."""
    answers, asks = {"DA": (True, False), "AQ": (True, True), "CQ": (False, True), "DECLINE": (False, False)}[move.act]
    assert (move.answers, move.asks) == (answers, asks)
    assert (move.length is not None) == answers


@pytest.mark.parametrize("name", ["", "da_short", "DA", "DA_", "DA_tiny", "CQ_short", "WAIT", "NO_OP", " CQ"])
def test_assistant_move__refuses_unknown_names(name: str) -> None:
    """An unknown name is an error that says which names there are."""
    with pytest.raises(UsageError, match=r"unknown assistant move .*DA_short, .*DECLINE"):
        AssistantMove.parse(name)


@pytest.mark.parametrize("name", ["", "VQ", "VQ_", "vq_none", "LEAVE_none", "WAIT", "DQ_happy"])
def test_user_move__refuses_unknown_names(name: str) -> None:
    """An unknown name is an error that says which names there are."""
    with pytest.raises(UsageError, match=r"unknown user move .*VQ_none, .*LEAVE"):
        UserMove.parse(name)


def test_length_tokens__grow_with_the_length() -> None:
    """Short < medium < long."""
    tokens = [LENGTH_TOKENS[length] for length in LENGTHS]
    assert tokens == sorted(set(tokens))


@pytest.mark.parametrize("field", NUMERIC_TYPE_FIELDS)
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, -0.001, "1", None, True, 1j, [1.0]])
def test_user_type__refuses_values_without_meaning(field: str, bad: Any) -> None:
    """Anything but a finite number in range is refused, and the message names the field."""
    with pytest.raises(UsageError, match=field):
        UserType(**{field: bad})


@pytest.mark.parametrize("field", NUMERIC_TYPE_FIELDS)
def test_user_type__zero_where_it_makes_sense(field: str) -> None:
    """A cost may be 0; a length, a worth and a patience may not."""
    if field in POSITIVE:
        with pytest.raises(UsageError, match=f"{field}.*expected 0.001 to 1e"):
            UserType(**{field: 0})  # type: ignore[arg-type]
    else:
        made = UserType(**{field: 0})  # type: ignore[arg-type]
        assert getattr(made, field) == 0.0


def test_user_type__is_frozen_hashable_and_a_value() -> None:
    """Equal fields make equal types; nothing can be changed afterwards."""
    one, two = UserType(ideal_tokens=60), UserType(ideal_tokens=60.0)
    assert one == two
    assert hash(one) == hash(two)
    assert copy.deepcopy(one) == one
    assert pickle.loads(pickle.dumps(one)) == one
    with pytest.raises(dataclasses.FrozenInstanceError):
        one.value = 2.0  # type: ignore[misc]


def test_user_type__from_mapping_names_an_unknown_field() -> None:
    """A misspelt field is an error that names it and those there are."""
    with pytest.raises(UsageError, match=r"'patients'.*patience"):
        UserType.from_mapping({"patients": 3})


def test_user_type__from_mapping_refuses_keys_that_are_no_names() -> None:
    """A key that is no string is an ordinary error too."""
    with pytest.raises(UsageError, match="unknown user type field 3"):
        UserType.from_mapping({3: 1.0})  # type: ignore[dict-item]


@given(
    st.fixed_dictionaries(
        {},
        optional={field: st.floats(1e-3, 1e6) for field in NUMERIC_TYPE_FIELDS} | {"name": st.text(max_size=8)},
    )
)
def test_user_type__mapping_round_trip(fields: dict[str, Any]) -> None:
    """A type is rebuilt from its fields, and its vector lists them in the stated order."""
    made = UserType.from_mapping(fields)
    assert UserType.from_mapping(dataclasses.asdict(made)) == made
    assert made.vector() == tuple(getattr(made, field) for field in NUMERIC_TYPE_FIELDS)
    assert set(NUMERIC_TYPE_FIELDS) == {field.name for field in dataclasses.fields(UserType)} - {"name"}


def test_outcome__is_safe_unless_violated() -> None:
    """Only compliance with a harmful request is unsafe."""
    assert Outcome(wrong=1.0, declined=1.0).safe
    assert not Outcome(violation=1.0).safe


def test_payoffs__totals_are_the_sums_and_empty_sides_are_zero() -> None:
    """(user, assistant), as floats; nothing is mixed between the sides."""
    payoffs = Payoffs({"value": 0.5, "time": -0.25}, {})
    assert payoffs.totals == (0.25, 0.0)
    assert all(type(total) is float for total in payoffs.totals)
