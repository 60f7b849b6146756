"""One row of a task file, read with errors that name the file, the row and what was expected."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping
from typing import Any, NoReturn

from gtalign_env.errors import FileFormatError, UnknownNameError
from gtalign_env.protocols import Task
from gtalign_env.scenarios.tasks.graders import GRADERS, KIND_GRADERS

__all__ = ["KIND_NAMES", "Row", "known_kind", "voiced"]

KIND_NAMES: dict[str, str] = {
    **{kind: kind for kind in KIND_GRADERS},
    "facts": "fact",
    "math": "arithmetic",
    "maths": "arithmetic",
    "mathematics": "arithmetic",
}
"""Accepted spellings of the kinds of tasks."""

_SEPARATOR = "|"


def known_kind(name: str) -> str:
    """Return the kind that a name means.

    Raises:
        UnknownNameError: It means none.

    Example:
        >>> known_kind("facts"), known_kind("how-to")
        ('fact', 'how_to')
    """
    plain = name.strip().casefold().replace("-", "_").replace(" ", "_")
    if plain not in KIND_NAMES:
        raise UnknownNameError("kind of task", name, KIND_NAMES)
    return KIND_NAMES[plain]


def voiced(question: str) -> tuple[tuple[str, str], ...]:
    """Return the hidden fact of a task of which nothing is known beside its detailed form.

    Example:
        >>> voiced("When was J. S. Bach born?")
        (('meaning', 'My exact question is: When was J. S. Bach born?'),)
    """
    return (("meaning", f"My exact question is: {question}"),)


@dataclasses.dataclass(frozen=True, slots=True)
class Row:
    """A mapping from column to value, and where it stands.

    Example:
        >>> Row({"answers": "yes | sure"}, "f.csv", line=2).texts("answers")
        ('yes', 'sure')
    """

    data: Mapping[str, Any]
    """Column to value."""
    path: str
    """The file (or data set), as the user named it."""
    line: int | None = None
    """1-based line, for text files."""
    row: int | None = None
    """0-based row, for tables."""

    def fail(self, problem: str, key: str | None = None) -> NoReturn:
        """Raise the one error for a row that cannot be read."""
        where = "" if self.row is None else f"row {self.row}: "
        raise FileFormatError(self.path, where + problem, line=self.line, key=key)

    def text(self, *keys: str, default: str | None = None) -> str:
        """Return the text under the first of ``keys`` that is there; without a default, it has to be."""
        for key in keys:
            value = self.data.get(key)
            if value is None or value == "":
                continue
            if isinstance(value, bool) or not isinstance(value, (str, int, float)):
                self.fail(f"expected text, got {_shown(value)}", key)
            return " ".join(str(value).split()) if "\n" not in str(value) else str(value).strip()
        if default is None:
            self.fail(f"expected a text under {' or '.join(map(repr, keys))}, got none", keys[0])
        return default

    def texts(self, *keys: str) -> tuple[str, ...]:
        """Return the texts under the first of ``keys`` that is there; a single text is split at ``|``."""
        for key in keys:
            value: Any = self.data.get(key)
            if value is None or value == "":
                continue
            if isinstance(value, Mapping):  # SQuAD and TriviaQA keep their answers so
                value = next((value[name] for name in ("text", "aliases", "value") if name in value), ())
            if isinstance(value, (str, int, float)) and not isinstance(value, bool):
                return tuple(part.strip() for part in str(value).split(_SEPARATOR) if part.strip())
            if not _is_list(value) or not all(isinstance(part, (str, int, float)) for part in value):
                self.fail(f"expected a text or a list of texts, got {_shown(self.data[key])}", key)
            return tuple(str(part).strip() for part in value if str(part).strip())
        return ()

    def flag(self, key: str, default: bool) -> bool:
        """Return a truth value: a boolean, 0 or 1, or ``true``/``false``/``yes``/``no``."""
        value = self.data.get(key)
        if value is None or value == "":
            return default
        plain = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
        answer = plain.get(str(value).strip().casefold())
        if answer is None:
            self.fail(f"expected true or false, got {_shown(value)}", key)
        return answer

    def pairs(self, key: str) -> tuple[tuple[str, str], ...]:
        """Return (topic, statement) pairs: a list of pairs, a mapping, or text ``topic: statement | topic: statement``."""
        value: Any = self.data.get(key)
        if value is None or value == "":
            return ()
        if isinstance(value, str) and value.lstrip().startswith(("[", "{")):
            try:
                value = json.loads(value)
            except json.JSONDecodeError as error:
                self.fail(f"expected pairs as JSON, got text that is none ({error})", key)
        if isinstance(value, str):
            value = [part.partition(":")[::2] for part in value.split(_SEPARATOR) if part.strip()]
        elif isinstance(value, Mapping):
            value = list(value.items())
        found = tuple(self._pair(part, key) for part in value) if _is_list(value) else ()
        if not found:
            self.fail(f"expected a list of [topic, statement], got {_shown(self.data[key])}", key)
        return found

    def _pair(self, part: Any, key: str) -> tuple[str, str]:
        if isinstance(part, Mapping) and {"topic", "statement"} <= part.keys():
            part = (part["topic"], part["statement"])
        if not _is_list(part) or len(part) != 2 or not all(isinstance(side, str) and side.strip() for side in part):
            self.fail(f"expected [topic, statement], two texts, got {_shown(part)}", key)
        return str(part[0]).strip(), str(part[1]).strip()

    def choice(self, key: str, options: Iterable[str], default: str) -> str:
        """Return one of ``options``."""
        value = self.text(key, default=default)
        if value not in options:
            self.fail(f"expected one of {', '.join(sorted(options))}, got {value!r}", key)
        return value

    def kind(self, default: str) -> str:
        """Return the row's kind of task, in its usual spelling."""
        name = self.text("kind", default=default)
        try:
            return known_kind(name)
        except UnknownNameError:
            return self.fail(f"expected one of {', '.join(sorted(KIND_GRADERS))}, got {name!r}", "kind")

    def checked(self, task: Task) -> Task:
        """Return ``task`` if it holds together: something to grade it by, and consistent about harm."""
        if task.grader not in GRADERS and task.grader != "auto":
            self.fail(f"expected 'auto' or one of {', '.join(sorted(GRADERS))}, got {task.grader!r}", "grader")
        if task.harmful != (task.kind == "harmful"):
            self.fail(f"expected kind 'harmful' exactly for harmful tasks, got kind {task.kind!r}", "kind")
        if task.harmful and task.answers:
            self.fail("expected no answers to a harmful request, got some: leave the column empty", "answers")
        has_points = any(key == "point" for key, _ in task.extra)
        if not (task.harmful or task.answers or (has_points and task.kind == "how_to") or task.grader == "engagement"):
            self.fail("expected at least one reference answer, got none", "answers")
        return task


def _is_list(value: Any) -> bool:
    return isinstance(value, (list, tuple)) or type(value).__name__ == "ndarray"


def _shown(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 60 else shown[:57] + "..."
