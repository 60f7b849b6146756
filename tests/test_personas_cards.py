"""Cards: every way to get one wrong ends in file, line, key and what was expected."""

from __future__ import annotations

import dataclasses
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gtalign_env.agents.users import CARDS, Card, Character, Wording, parse_card, read_card
from gtalign_env.agents.users._lines import Lines, error_line
from gtalign_env.agents.users.card import Check, placeholders_of
from gtalign_env.cli.persona_templates import CARD
from gtalign_env.errors import FileFormatError

BASE = """\
name = "me"
description = "just me"

[[types]]
ideal_tokens = 90

[[types]]
weight = 2
ideal_tokens = 200
spread = { ideal_tokens = 0.2 }

[character]
honesty = 0.9

[character.p_detailed]
next = 0.5

[wording]
thanks = [
  "Ta.",
  "Thanks.",
]
ask_vague = ["{question}"]

[wording.tone]
typos = 0.1
"""


def test_parse_card__reads_what_is_there_and_keeps_defaults() -> None:
    """Keys that are given count, all others keep their defaults."""
    card = parse_card(BASE)
    assert (card.name, card.description, card.discloses) == ("me", "just me", False)
    assert [entry.weight for entry in card.types] == [1.0, 2.0]
    assert card.types[1].spread == {"ideal_tokens": 0.2}
    assert {entry.user_type.name for entry in card.types} == {"me"}
    assert card.character == dataclasses.replace(
        Character(), honesty=0.9, p_detailed=dataclasses.replace(Character().p_detailed, next=0.5)
    )
    assert card.wording.thanks == ("Ta.", "Thanks.")
    assert card.wording.tone.typos == 0.1
    assert card.wording.leave == Wording().leave


@pytest.mark.parametrize(
    ("find", "put", "line", "key", "problem"),
    [
        ("honesty", "honestly", 13, "character.honestly", "did you mean 'honesty'?"),
        ("honesty = 0.9", "honesty = 1.9", 13, "character.honesty", "expected a number from 0 to 1, got 1.9"),
        ("honesty = 0.9", 'honesty = "much"', 13, "character.honesty", "expected a number from 0 to 1, got 'much'"),
        ("honesty = 0.9", "honesty = true", 13, "character.honesty", "got True"),
        ("honesty = 0.9", "honesty = nan", 13, "character.honesty", "got nan"),
        ("weight = 2", "weight = 0", 8, "types[2].weight", "expected a number > 0, got 0"),
        ("weight = 2", "weight = -1", 8, "types[2].weight", "expected a number > 0, got -1"),
        ("ideal_tokens = 90", "ideal_tokens = 0", 5, "types[1].ideal_tokens", "expected 0.001 to 1e+06, got 0"),
        ("ideal_tokens = 90", 'ideal_tokens = "90"', 5, "types[1].ideal_tokens", "expected a finite number, got '90'"),
        ("ideal_tokens = 90", "ideal_token = 90", 5, "types[1].ideal_token", "did you mean 'ideal_tokens'?"),
        ("ideal_tokens = 90", "name = 3", 5, "types[1].name", "expected a text in quotes"),
        ("ideal_tokens = 0.2", "ideal_tokens = 2", 10, "types[2].spread.ideal_tokens", "from 0 to 0.9, got 2"),
        ("{ ideal_tokens = 0.2 }", "{ tokens = 0.2 }", 10, "types[2].spread.tokens", "did you mean 'ideal_tokens'?"),
        ("{ ideal_tokens = 0.2 }", "0.2", 10, "types[2].spread", "expected a table"),
        ("[[types]]\nideal_tokens = 90\n\n[[types]]", "[types]", 4, "types", "at least one [[types]] section"),
        ("next = 0.5", "nxt = 0.5", 16, "character.p_detailed.nxt", "did you mean 'next'?"),
        ('"Ta.",', '"Ta.", 3,', 19, "wording.thanks", "expected a list of texts in quotes"),
        ('["{question}"]', '["Hello"]', 23, "wording.ask_vague", "each with {question}"),
        ('["{question}"]', '["{question"]', 23, "wording.ask_vague", "each with {question}"),
        ('["{question}"]', '["{question} {answer}"]', 23, "wording.ask_vague", "each with {question}"),
        ('["{question}"]', '["{question:>9}"]', 23, "wording.ask_vague", "each with {question}"),
        ('["{question}"]', '"{question}"', 23, "wording.ask_vague", "each with {question}"),
        ('["{question}"]', '["{question} in {ideal_tokens}"]', 23, "wording.ask_vague", "discloses = true"),
        ('"Thanks."', '""', 19, "wording.thanks", "expected a list of texts in quotes"),
        ("typos = 0.1", "lower_case = 1", 26, "wording.tone.lower_case", "expected true or false, got 1"),
        ("[wording.tone]\ntypos = 0.1", "tone = 3", 25, "wording.tone", "expected a section [wording.tone]"),
        ("[character.p_detailed]", "[characters.p_detailed]", 15, "characters", "did you mean 'character'?"),
        ('name = "me"\n', "", 1, "name", 'missing: expected a name = "…"'),
        ('"just me"', '""', 2, "description", "expected a text in quotes, not empty"),
        ('"just me"', '"just me"\ndiscloses = "no"', 3, "discloses", "expected true or false"),
    ],
)
def test_parse_card__mistakes_are_located(find: str, put: str, line: int, key: str, problem: str) -> None:
    """One changed line in a good card is named with its line, its key and what was expected."""
    assert find in BASE
    with pytest.raises(FileFormatError) as caught:
        parse_card(BASE.replace(find, put, 1), "me.toml")
    error = caught.value
    assert (error.path, error.line, error.key) == ("me.toml", line, key)
    assert problem in str(error)


@pytest.mark.parametrize("section", ["types", "name", "description"])
def test_parse_card__missing_parts_say_what_is_expected(section: str) -> None:
    """Name, description and types are required, and the message shows how they look."""
    parts = {"name": 'name = "a"', "description": 'description = "b"', "types": "[[types]]\nvalue = 1"}
    text = "\n".join(part for name, part in parts.items() if name != section)
    with pytest.raises(FileFormatError, match="missing: expected") as caught:
        parse_card(text)
    assert caught.value.key == section


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a = 1\nb = ", 2),
        ('a = "x\nb = 1', 1),
        ("[a\n", 1),
        ('name = "x"\nname = "y"', 2),
        ('a = """never closed\n\n', 2),
    ],
)
def test_parse_card__broken_toml_names_the_line(text: str, line: int) -> None:
    """Syntax errors carry the line at which the parser gave up."""
    with pytest.raises(FileFormatError, match="not valid TOML") as caught:
        parse_card(text)
    assert caught.value.line == line


def test_read_card__files_that_cannot_be_read(tmp_path: Path) -> None:
    """Missing files, folders and bytes that are no text are told apart."""
    with pytest.raises(FileFormatError, match="no such file"):
        read_card(tmp_path / "none.toml")
    with pytest.raises(FileFormatError, match="cannot be read"):
        read_card(tmp_path)
    (tmp_path / "bytes.toml").write_bytes(b"name = \xff\xfe")
    with pytest.raises(FileFormatError, match="expected UTF-8"):
        read_card(tmp_path / "bytes.toml")


def test_parse_card__discloses_allows_placeholders_of_the_type() -> None:
    """With the flag, the wording may name the length that the persona wants."""
    text = (
        'name = "a"\ndescription = "b"\ndiscloses = true\n[[types]]\n[wording]\ndisclosure = ["{ideal_words} words!"]'
    )
    assert parse_card(text).wording.disclosure == ("{ideal_words} words!",)


def test_lines__finds_keys_behind_long_values() -> None:
    """Arrays and strings over several lines, inline tables, dotted keys and comments do not mislead it."""
    text = '''\
# name = "no"
title = """
name = "not this one"
"""
list = [
  "a = 1",  # ] b = 2
  { inner = 3 },
]
dotted.key = 1
"quoted key" = 2
[one.two]
x = 1
[[many]]
x = 2
[many.sub]
x = 3
[[many]]
[many.sub]
x = 4'''
    table = tomllib.loads(text)
    assert table["many"][1]["sub"]["x"] == 4
    lines = Lines(text)
    at = {
        ("title",): 2,
        ("list",): 5,
        ("list", "inner"): 7,
        ("dotted",): 9,
        ("dotted", "key"): 9,
        ("quoted key",): 10,
        ("one", "two", "x"): 12,
        ("many", 0, "x"): 14,
        ("many", 0, "sub", "x"): 16,
        ("many", 1): 17,
        ("many", 1, "sub", "x"): 19,
        ("many", 1, "sub", "y"): 18,
        ("name",): 1,
    }
    assert {path: lines.of(*path) for path in at} == at


@given(keys=st.lists(st.sampled_from("abcdefgh"), unique=True, min_size=1), blanks=st.integers(0, 3))
def test_lines__every_plain_key_is_on_its_line(keys: list[str], blanks: int) -> None:
    """For flat tables the line found is the line written."""
    gap = "\n" * blanks
    text = "[s]\n" + "".join(f"{gap}{key} = 1\n" for key in keys)
    lines = Lines(text)
    for number, key in enumerate(keys):
        assert lines.of("s", key) == 2 + number * (blanks + 1) + blanks


def test_error_line__last_line_where_the_text_just_ends() -> None:
    """A parser that reaches the end without a place is given the last line."""
    assert error_line(tomllib.TOMLDecodeError("oops (at end of document)"), "a\nb\nc") == 3


@pytest.mark.parametrize(
    "path",
    sorted([*CARDS.glob("*.toml"), *(Path(__file__).resolve().parents[1] / "examples" / "personas").glob("*.toml")]),
    ids=lambda p: p.stem,
)
def test_cards__those_in_the_repository_are_good(path: Path) -> None:
    """Every card in the repository is read, is named like its file, and has something to say for every reaction."""
    card = read_card(path)
    assert card.name == path.stem
    assert card.description.endswith(".")
    for name in ("thanks", "too_long", "too_short", "off_target", "leave", "greeting"):
        assert getattr(card.wording, name)


def test_template__states_every_key_with_its_default() -> None:
    """The template holds each key of the format, with the value that leaving it out would mean."""
    text = CARD.format(name="me", path="me.toml")
    table = tomllib.loads(text)
    card = parse_card(text)
    assert card.character == Character()
    for field in dataclasses.fields(Card):
        assert field.name in table
    _same_keys(Character, table["character"])
    _same_keys(Wording, table["wording"])
    tone = table["wording"]["tone"]
    assert tone == {field.name: getattr(Wording().tone, field.name) for field in dataclasses.fields(Wording().tone)}


def _same_keys(section: Any, table: dict[str, Any]) -> None:
    fields = {field.name: field for field in dataclasses.fields(section)}
    assert set(table) == set(fields)
    for name, field in fields.items():
        if "section" in field.metadata:
            _same_keys(field.metadata["section"], table[name])


def test_docs__name_every_key() -> None:
    """The table in docs/personas.md names every key of a card."""
    page = (Path(__file__).resolve().parents[1] / "docs" / "personas.md").read_text()
    named = set(re.findall(r"`([a-z_]+)`", page))
    for key in _keys(Character) | _keys(Wording) | {"name", "description", "discloses", "weight", "spread"}:
        assert key in named, key


def _keys(section: Any) -> set[str]:
    found = set()
    for field in dataclasses.fields(section):
        nested = field.metadata.get("section")
        found |= _keys(nested) if nested else {field.name}
    return found


def test_check__texts_and_placeholders() -> None:
    """Placeholders are found; braces that do not match are noticed; choices list their names."""
    assert placeholders_of("{a} and {b}") == {"a", "b"}
    assert placeholders_of("{{a}}") == set()
    assert placeholders_of("{a!r}") is None
    assert Check.one_of("x", "y").expected == "one of 'x', 'y'"
    assert Check.number(0, 3, whole=True).accepts(2)
    assert not Check.number(0, 3, whole=True).accepts(2.0)
    assert "{fact}" in Check.phrases("fact").expected
