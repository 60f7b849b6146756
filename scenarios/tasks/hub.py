"""Tasks from Hugging Face data sets, by name or from a local folder, through the ``datasets`` package.

``hf:NAME`` or ``hf:NAME:SPLIT``; NAME is what ``datasets.load_dataset`` takes: a name on the hub, or a folder with data
files. The rows are read as those of a file are. Without a split the test split is taken, or else validation, train, or the
first.
"""

from __future__ import annotations

import re
from typing import Any

from gtalign_env.errors import FileFormatError, require
from gtalign_env.protocols import TaskSource
from gtalign_env.scenarios.tasks.files import tasks_from_rows
from gtalign_env.scenarios.tasks.rows import Row

__all__ = ["hub_tasks", "split_name"]

_SPLIT = re.compile(r"[A-Za-z_][\w.]*(?:\[[^\]]*\])?")
_PREFERRED = ("test", "validation", "train")


def split_name(name: str) -> tuple[str, str | None]:
    """Split ``NAME[:SPLIT]``.

    Example:
        >>> split_name("openai/gsm8k:test"), split_name("/data/mine"), split_name("x:train[:10]")
        (('openai/gsm8k', 'test'), ('/data/mine', None), ('x', 'train[:10]'))
    """
    path, colon, split = name.partition(":")
    if colon and _SPLIT.fullmatch(split):
        return path, split
    return name, None


def hub_tasks(name: str) -> TaskSource:
    """Return the tasks of a Hugging Face data set.

    Args:
        name: ``NAME`` or ``NAME:SPLIT``, without the leading ``hf:``.

    Raises:
        MissingExtraError: The package ``datasets`` is not installed.
        FileFormatError: The data set cannot be loaded (offline, misspelled, damaged), or its rows are in no known schema.

    Example:
        >>> hub_tasks("openai/gsm8k:test")  # doctest: +SKIP
        TaskList('hf:openai/gsm8k:test', 1319 tasks)
    """
    path, split = split_name(name)
    label = f"hf:{name}"
    library = require("datasets", feature=f"the task source {label!r}", extra="text")
    table = _load(library, label, path, split)
    if hasattr(table, "keys"):  # all splits, by name
        chosen = next((option for option in _PREFERRED if option in table), next(iter(table), None))
        if chosen is None:
            raise FileFormatError(label, "expected a data set with at least one split, got none")
        table = table[chosen]
    rows = [Row(record, label, row=number) for number, record in enumerate(table)]
    return tasks_from_rows(rows, name=label, stem=path.rstrip("/").rpartition("/")[2])


def _load(library: Any, label: str, path: str, split: str | None) -> Any:
    """Load without progress bars; whatever goes wrong inside the library ends in one sentence."""
    noisy = not library.are_progress_bars_disabled()
    library.disable_progress_bars()
    try:
        return library.load_dataset(path, split=split)
    except Exception as error:  # the hub, the network, the cache and the parsers each raise their own
        problem = next((line for line in str(error).splitlines() if line.strip()), "no message")
        expected = (
            "expected a data set that the package 'datasets' can load (by name online, or a folder of data files)"
        )
        raise FileFormatError(label, f"{expected}, got {type(error).__name__}: {problem}") from error
    finally:
        if noisy:
            library.enable_progress_bars()
