"""The tasks that come with the package, and other task files in the same TOML format.

A file has a ``kind`` and a list of ``[[task]]`` tables::

    kind = "fact"

    [[task]]
    id = "georgia-capital"
    vague = "What's the capital of Georgia?"
    detailed = "What is the capital of Georgia, the country in the Caucasus?"
    answers = ["Tbilisi"]
    others = ["Atlanta"]                  # right answers to other readings; optional
    facts = [["place", "I mean the country, not the American state."]]

Optional keys: ``opening`` (``"vague"`` or ``"detailed"``), ``ambiguous`` (default true), ``grader``, ``points`` (key points of
a how-to or a text), ``alternative`` (required in harmful tasks).
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from gtalign_env.errors import FileFormatError
from gtalign_env.protocols import Task, TaskSource
from gtalign_env.scenarios.tasks.rows import Row, known_kind
from gtalign_env.scenarios.tasks.source import TaskList

__all__ = ["authored", "read_toml"]

DATA = Path(__file__).parent / "data"
"""The folder of the authored tasks: one file per kind."""

_REQUIRED = ("id", "vague", "detailed", "facts")
_KEYS = (*_REQUIRED, "alternative", "ambiguous", "answers", "grader", "opening", "others", "points")


def authored(kinds: Iterable[str] | None = None) -> TaskSource:
    """Return the authored tasks.

    Args:
        kinds: Which kinds to take, e.g. ``("facts", "writing")``; all by default.

    Raises:
        UnknownNameError: A kind does not exist.

    Example:
        >>> tasks = authored(["facts"])
        >>> tasks.name, tasks[0].id
        ('authored:fact', 'facts/georgia-capital')
    """
    wanted = None if kinds is None else tuple(dict.fromkeys(known_kind(kind) for kind in kinds))
    return _authored(wanted)


@lru_cache(maxsize=32)
def _authored(kinds: tuple[str, ...] | None) -> TaskList:
    tasks = tuple(task for path in sorted(DATA.glob("*.toml")) for task in _read(path))
    if kinds is None:
        return TaskList("authored", tasks)
    return TaskList(f"authored:{','.join(kinds)}", tuple(task for task in tasks if task.kind in kinds))


@lru_cache(maxsize=32)
def _read(path: Path) -> tuple[Task, ...]:
    return read_toml(path, source="authored")


def read_toml(path: str | Path, *, source: str | None = None) -> tuple[Task, ...]:
    """Read a task file in TOML.

    Args:
        path: The file; its name without the ending begins the ids of its tasks.
        source: What the tasks say they come from; by default the file.

    Raises:
        FileFormatError: The file cannot be read as task file; the message names the key and what was expected.

    Example:
        >>> read_toml(DATA / "facts.toml")[0].answers[0]
        'Tbilisi'
    """
    path = Path(path)
    content = _parsed(path)
    kind, tables = content.get("kind"), content.get("task")
    if not isinstance(kind, str):
        raise FileFormatError(path, f"expected the kind of the tasks as text, got {kind!r}", key="kind")
    if not isinstance(tables, list) or not tables or not all(isinstance(table, dict) for table in tables):
        raise FileFormatError(path, "expected at least one [[task]] table, got none", key="task")
    tasks = tuple(
        _task(Row(table, str(path)), at, {"kind": kind, **table}, path.stem, source) for at, table in enumerate(tables)
    )
    seen: set[str] = set()
    for task in tasks:
        if task.id in seen:
            raise FileFormatError(path, f"expected unique ids, got {task.id!r} more than once", key="id")
        seen.add(task.id)
    return tasks


def _parsed(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise FileFormatError(path, f"expected TOML in UTF-8, got a file that is not: {error}") from error
    except OSError as error:
        raise FileFormatError(path, f"expected a readable task file, got {error.strerror or error}") from error


def _task(row: Row, at: int, table: Mapping[str, Any], stem: str, source: str | None) -> Task:
    """Turn one ``[[task]]`` table into a task."""
    name = table.get("id", f"number {at + 1}")
    row = Row(table, f"{row.path}, task {name!r}")
    for key in table:
        if key not in ("kind", *_KEYS):
            row.fail(f"expected one of {', '.join(_KEYS)}, got an unknown key", key)
    for key in _REQUIRED:
        if key not in table:
            row.fail("expected this key, got none", key)
    kind = row.kind("")
    harmful = kind == "harmful"
    if harmful:
        row.text("alternative")
    extra = [("point", point) for point in _listed(row, "points")]
    extra += [("other", other) for other in _listed(row, "others")]
    return row.checked(
        Task(
            id=f"{stem}/{row.text('id')}",
            kind=kind,
            vague=_flat(row.text("vague")),
            detailed=_flat(row.text("detailed")),
            answers=tuple(_flat(answer) for answer in _listed(row, "answers")),
            facts=row.pairs("facts"),
            grader=row.text("grader", default="auto"),
            opening=row.choice("opening", ("vague", "detailed"), "vague"),
            ambiguous=row.flag("ambiguous", True),
            harmful=harmful,
            alternative=_flat(row.text("alternative", default="")),
            source=source or str(row.path),
            extra=tuple(extra),
        )
    )


def _listed(row: Row, key: str) -> tuple[str, ...]:
    """Return a list of texts as it stands: ``|`` separates the alternatives of a key point here, not the points."""
    value = row.data.get(key, [])
    if not isinstance(value, list) or not all(isinstance(part, str) and part.strip() for part in value):
        row.fail(f"expected a list of texts, got {value!r}", key)
    return tuple(value)


def _flat(text: str) -> str:
    return " ".join(text.split())
