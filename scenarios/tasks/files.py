"""Tasks from files: parquet, JSON lines, JSON, CSV and TOML.

A table is read in the schema in which GTAlign publishes its data (:mod:`~gtalign_env.scenarios.tasks.published`) where it
has a column ``reward_model``, and otherwise as plain rows (:mod:`~gtalign_env.scenarios.tasks.plain`). Rows that make the same
task are taken once: the published files repeat conversations, and a repeated question would count double in every mean.

Whatever is wrong with a file ends in one ``FileFormatError`` that names the file, the row and what was expected.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from gtalign_env.errors import FileFormatError, require
from gtalign_env.protocols import Task, TaskSource
from gtalign_env.scenarios.tasks.authored import read_toml
from gtalign_env.scenarios.tasks.plain import plain_task
from gtalign_env.scenarios.tasks.published import published_task
from gtalign_env.scenarios.tasks.rows import Row
from gtalign_env.scenarios.tasks.source import TaskList

__all__ = ["SUFFIXES", "file_tasks", "tasks_from_rows"]

_EXPECTED = "'question' or 'vague' (plain rows), or 'reward_model' and 'extra_info' (GTAlign's published data)"


def file_tasks(path: str | Path) -> TaskSource:
    """Return the tasks of a file.

    Args:
        path: A file whose name ends in one of ``SUFFIXES``.

    Raises:
        FileFormatError: The file is missing, damaged, empty, or not in a known schema.
        MissingExtraError: Reading it needs a package that is not installed (parquet needs pyarrow).

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder, "mine.jsonl")
        ...     _ = path.write_text('{"question": "Who wrote Emma?", "answer": "Jane Austen"}')
        ...     file_tasks(path)[0].id
        'mine/1'
    """
    path = Path(path)
    if path.is_dir():
        raise FileFormatError(path, "expected a file, got a folder: a folder of data files is read as 'hf:FOLDER'")
    if path.suffix.casefold() not in SUFFIXES:
        raise FileFormatError(path, f"expected a file ending in {', '.join(sorted(SUFFIXES))}, got {path.suffix!r}")
    if not path.exists():
        raise FileFormatError(path, "expected a task file, got none: there is no such file")
    if path.suffix.casefold() == ".toml":
        return TaskList(str(path), read_toml(path))
    try:
        rows = list(SUFFIXES[path.suffix.casefold()](path))
    except UnicodeDecodeError as error:
        raise FileFormatError(path, f"expected text in UTF-8, got bytes that are not: {error.reason}") from error
    except OSError as error:
        raise FileFormatError(path, f"expected a readable file, got {error.strerror or error}") from error
    return tasks_from_rows(rows, name=str(path), stem=path.stem)


def tasks_from_rows(rows: list[Row], *, name: str, stem: str) -> TaskList:
    """Return the tasks that rows make, equal ones once.

    Raises:
        FileFormatError: There is no row, a row has no known schema, or two different tasks have one id.

    Example:
        >>> rows = [Row({"question": "2 + 2?", "answer": 4}, "f", row=i) for i in range(2)]
        >>> tasks_from_rows(rows, name="f", stem="f")
        TaskList('f', 1 task)
    """
    if not rows:
        raise FileFormatError(name, "expected at least one row, got an empty file")
    tasks: dict[str, Task] = {}
    seen: set[tuple[Any, ...]] = set()
    for number, row in enumerate(rows):
        task = _converter(row)(row, f"{stem}/{number if row.line is None else row.line}")
        content = (task.kind, task.vague, task.detailed, task.answers)
        if content in seen:
            continue
        seen.add(content)
        if task.id in tasks:
            row.fail(f"expected unique ids, got {task.id!r} for a second, different task", "id")
        tasks[task.id] = task
    return TaskList(name, tuple(tasks.values()))


def _converter(row: Row) -> Callable[[Row, str], Task]:
    if "reward_model" in row.data:
        return published_task
    if row.data.keys() & {"question", "vague", "detailed"}:
        return plain_task
    columns = ", ".join(map(str, list(row.data)[:12])) or "none"
    return row.fail(f"expected columns {_EXPECTED}, got {columns}")


def _parquet(path: Path) -> Iterator[Row]:
    library = require("pyarrow", feature=f"reading {path.name}", extra="text")
    parquet = require("pyarrow.parquet", feature=f"reading {path.name}", extra="text")
    try:
        table = parquet.read_table(path)
        records = table.to_pylist()
    except (library.ArrowException, OSError) as error:
        problem = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise FileFormatError(path, f"expected a parquet file, got one that cannot be read: {problem}") from error
    if not records:
        raise FileFormatError(path, f"expected at least one row, got none (columns: {', '.join(table.column_names)})")
    for number, record in enumerate(records):
        yield Row(record, str(path), row=number)


def _json_lines(path: Path) -> Iterator[Row]:
    with path.open(encoding="utf-8-sig") as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                yield Row(_object(path, line, number), str(path), line=number)


def _object(path: Path, line: str, number: int) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except (json.JSONDecodeError, RecursionError) as error:
        raise FileFormatError(
            path, f"expected one JSON object a line, got text that is none ({error})", line=number
        ) from error
    if not isinstance(value, dict):
        raise FileFormatError(path, f"expected one JSON object a line, got {type(value).__name__}", line=number)
    return value


def _json(path: Path) -> Iterator[Row]:
    try:
        records = json.loads(path.read_text(encoding="utf-8-sig"))
    except (json.JSONDecodeError, RecursionError) as error:
        raise FileFormatError(path, f"expected a JSON list of objects, got text that is none ({error})") from error
    if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
        raise FileFormatError(path, f"expected a JSON list of objects, got {type(records).__name__}")
    for number, record in enumerate(records):
        yield Row(record, str(path), row=number)


def _csv(path: Path) -> Iterator[Row]:
    with path.open(encoding="utf-8-sig", newline="") as lines:
        reader = csv.DictReader(lines, delimiter="\t" if path.suffix.casefold() == ".tsv" else ",", strict=True)
        try:
            for record in reader:
                row = Row(record, str(path), line=reader.line_num)
                if None in record or None in record.values():
                    row.fail(f"expected {len(reader.fieldnames or ())} cells as in the heading, got more or fewer")
                yield row
        except csv.Error as error:
            raise FileFormatError(
                path, f"expected CSV, got text that is none: {error}", line=reader.line_num
            ) from error


SUFFIXES: dict[str, Callable[[Path], Iterator[Row]]] = {
    ".csv": _csv,
    ".json": _json,
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
    ".parquet": _parquet,
    ".toml": lambda path: iter(()),  # read by authored.read_toml, which checks more
    ".tsv": _csv,
}
"""File endings that can be read."""
