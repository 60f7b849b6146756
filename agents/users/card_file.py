"""Read a card from TOML. Whatever is wrong is said with file, line, key and what was expected."""

from __future__ import annotations

import dataclasses
import difflib
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gtalign_env.agents.users._lines import Lines, error_line
from gtalign_env.agents.users.card import DISCLOSING, Card, Character, Check, TypeEntry, Wording, placeholders_of
from gtalign_env.errors import FileFormatError, UsageError
from gtalign_env.types import NUMERIC_TYPE_FIELDS, UserType

__all__ = ["parse_card", "read_card"]

Keys = tuple[str | int, ...]
_TOP = ("name", "description", "discloses", "types", "character", "wording")
_TYPE_KEYS = ("name", "weight", "spread", *NUMERIC_TYPE_FIELDS)


def read_card(path: str | Path) -> Card:
    """Read the card in a file.

    Raises:
        FileFormatError: The file is missing, is not TOML, or is not a card.

    Example:
        >>> read_card(Path(__file__).parent / "cards" / "concise.toml").name
        'concise'
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise FileFormatError(path, "there is no such file: expected a persona card (TOML)") from None
    except UnicodeDecodeError as error:
        raise FileFormatError(path, f"expected UTF-8 text: {error.reason} at byte {error.start}") from None
    except OSError as error:
        raise FileFormatError(path, f"cannot be read: {error.strerror or error}") from None
    return parse_card(text, path)


def parse_card(text: str, path: str | Path = "card") -> Card:
    r"""Read a card from TOML text; ``path`` is what errors call it.

    Raises:
        FileFormatError: The text is not TOML, or not a card.

    Example:
        >>> parse_card('name = "me"\ndescription = "just me"\n[[types]]\nideal_tokens = 90').types[0].user_type.ideal_tokens
        90.0
    """
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        problem = str(error).partition(" (at ")[0]
        raise FileFormatError(path, f"not valid TOML: {problem}", line=error_line(error, text)) from None
    return _Reader(path, Lines(text)).card(table)


class _Reader:
    """Walks the parsed table along the dataclasses of ``card``."""

    def __init__(self, path: str | Path, lines: Lines) -> None:
        self.path = path
        self.lines = lines

    def card(self, table: Mapping[str, Any]) -> Card:
        self._known(table, _TOP, ())
        for name in ("name", "description", "types"):
            if name not in table:
                how = (
                    "[[types]] section with at least one key, e.g. ideal_tokens = 120"
                    if name == "types"
                    else f'{name} = "…"'
                )
                raise self._error(f"missing: expected a {how}", (name,))
        for name in ("name", "description"):
            self._check(Check.text(), table[name], (name,))
        discloses = table.get("discloses", False)
        self._check(Check.flag(), discloses, ("discloses",))
        character = self._section(Character, table.get("character", {}), ("character",))
        wording = self._section(Wording, table.get("wording", {}), ("wording",))
        if not discloses:
            self._keeps_quiet(wording)
        return Card(
            name=table["name"].strip(),
            description=table["description"].strip(),
            discloses=discloses,
            types=self._types(table["types"], table["name"].strip()),
            character=character,
            wording=wording,
        )

    def _types(self, entries: Any, name: str) -> tuple[TypeEntry, ...]:
        if not isinstance(entries, list) or not entries or not all(isinstance(entry, dict) for entry in entries):
            raise self._error("expected at least one [[types]] section", ("types",))
        return tuple(self._type(entry, name, ("types", index)) for index, entry in enumerate(entries))

    def _type(self, entry: Mapping[str, Any], name: str, where: Keys) -> TypeEntry:
        self._known(entry, _TYPE_KEYS, where)
        weight = entry.get("weight", 1.0)
        if not Check.number(0).accepts(weight) or weight == 0:
            raise self._error(f"expected a number > 0, got {weight!r}", (*where, "weight"))
        label = entry.get("name", name)
        self._check(Check.text(), label, (*where, "name"))
        fields: dict[str, Any] = {"name": label}
        for key in NUMERIC_TYPE_FIELDS:
            if key in entry:
                fields[key] = self._field(key, entry[key], (*where, key))
        spread = entry.get("spread", {})
        if not isinstance(spread, Mapping):
            raise self._error(f"expected a table, e.g. {{ ideal_tokens = 0.2 }}, got {spread!r}", (*where, "spread"))
        self._known(spread, NUMERIC_TYPE_FIELDS, (*where, "spread"))
        for key, change in spread.items():
            self._check(Check.number(0, 0.9), change, (*where, "spread", key))
        return TypeEntry(user_type=UserType(**fields), weight=float(weight), spread=dict(spread))

    def _field(self, key: str, value: Any, where: Keys) -> float:
        try:
            UserType(**{key: value})
        except UsageError as error:
            raise self._error(str(error).partition(": ")[2], where) from None
        return float(value)

    def _section(self, cls: Any, table: Any, where: Keys) -> Any:
        if not isinstance(table, Mapping):
            dotted = ".".join(map(str, where))
            raise self._error(f"expected a section [{dotted}], got {table!r}", where)
        fields = {field.name: field for field in dataclasses.fields(cls)}
        self._known(table, tuple(fields), where)
        values = {}
        for key, value in table.items():
            metadata = fields[key].metadata
            if "section" in metadata:
                values[key] = self._section(metadata["section"], value, (*where, key))
                continue
            self._check(metadata["check"], value, (*where, key))
            values[key] = tuple(value) if isinstance(value, list) else value
        return cls(**values)

    def _keeps_quiet(self, wording: Wording) -> None:
        for field in dataclasses.fields(wording):
            phrases = getattr(wording, field.name)
            if not isinstance(phrases, tuple):
                continue
            for phrase in phrases:
                told = sorted((placeholders_of(phrase) or set()) & set(DISCLOSING))
                if told:
                    problem = (
                        f"{{{told[0]}}} states the persona's type: allowed only with 'discloses = true', got {phrase!r}"
                    )
                    raise self._error(problem, ("wording", field.name))

    def _known(self, table: Mapping[str, Any], known: Sequence[str], where: Keys) -> None:
        for key in table:
            if key not in known:
                near = difflib.get_close_matches(key, known, n=1)
                hint = f"did you mean {near[0]!r}? " if near else ""
                raise self._error(f"unknown key: {hint}Expected some of {', '.join(known)}", (*where, key))

    def _check(self, check: Check, value: Any, where: Keys) -> None:
        if not check.accepts(value):
            raise self._error(f"expected {check.expected}, got {value!r}", where)

    def _error(self, problem: str, where: Keys) -> FileFormatError:
        return FileFormatError(self.path, problem, line=self.lines.of(*where), key=_dotted(where))


def _dotted(where: Keys) -> str:
    """Return ``types[1].weight`` for ``("types", 0, "weight")``: people count from one."""
    text = ""
    for part in where:
        text += f"[{part + 1}]" if isinstance(part, int) else f".{part}"
    return text.lstrip(".")
