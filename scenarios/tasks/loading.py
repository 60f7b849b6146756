"""From the name of a task source to its tasks."""

from __future__ import annotations

from pathlib import Path

from gtalign_env.errors import UnknownNameError, UsageError
from gtalign_env.protocols import TaskSource
from gtalign_env.scenarios.tasks.authored import authored
from gtalign_env.scenarios.tasks.files import SUFFIXES, file_tasks
from gtalign_env.scenarios.tasks.hub import hub_tasks
from gtalign_env.scenarios.tasks.reasoning_gym import parse_spec
from gtalign_env.scenarios.tasks.rows import KIND_NAMES
from gtalign_env.scenarios.tasks.small import SPLITS, small
from gtalign_env.scenarios.tasks.source import joined

__all__ = ["load_tasks"]

_FORMS = (
    "authored",
    "authored:KIND,KIND",
    "reasoning_gym:DATASET",
    "small",
    *(f"small:{split}" for split in SPLITS),
    "hf:NAME:SPLIT",
    "FILE" + "|".join(sorted(SUFFIXES)),
)


def load_tasks(spec: str | Path | TaskSource | None = None) -> TaskSource:
    """Return the task source that ``spec`` names.

    Args:
        spec: ``None`` or ``"authored"`` (the tasks of the package), ``"authored:facts,writing"`` (some kinds),
            ``"reasoning_gym:DATASET"`` (also with ``,size=20,seed=3``), ``"small"``, ``"small:train"`` or ``"small:test"``
            (generated, with exact answers), a file (parquet, JSON lines, JSON, CSV, TOML),
            ``"hf:NAME"`` or ``"hf:NAME:SPLIT"``; several of these joined with ``+``; or a source, returned as it is.

    Raises:
        UsageError: The spec names nothing that exists; the message says what is possible.
        FileFormatError: A file cannot be read as tasks.
        MissingExtraError: The source needs a package that is not installed.

    Example:
        >>> load_tasks("authored:facts+authored:arithmetic").name
        'authored:fact+authored:arithmetic'
    """
    if spec is None:
        return authored()
    if isinstance(spec, Path):
        return file_tasks(spec)
    if not isinstance(spec, str):
        if isinstance(spec, TaskSource):
            return spec
        raise UsageError(f"task source: expected a name, a path or a source of tasks, got {spec!r}")
    if _exists(spec):
        return file_tasks(spec)
    parts = [part.strip() for part in spec.split("+")]
    return joined([_single(part) for part in parts])


def _single(spec: str) -> TaskSource:
    head, colon, rest = spec.partition(":")
    if head == "authored":
        return _authored(spec, rest) if colon else authored()
    if head == "small":
        return small(rest)
    if head in ("reasoning_gym", "hf"):
        if not rest:
            raise UsageError(f"task source {spec!r}: expected a name behind the colon, e.g. {_example(head)!r}")
        return parse_spec(rest) if head == "reasoning_gym" else hub_tasks(rest)
    if Path(spec).suffix.casefold() in SUFFIXES or _exists(spec):
        return file_tasks(spec)
    raise UnknownNameError("task source", spec, _FORMS)


def _authored(spec: str, kinds: str) -> TaskSource:
    names = [name for name in kinds.split(",") if name.strip()]
    if not names:
        raise UsageError(f"task source {spec!r}: expected kinds behind the colon, some of {', '.join(KIND_NAMES)}")
    return authored(names)


def _example(head: str) -> str:
    return {"reasoning_gym": "reasoning_gym:chain_sum", "hf": "hf:openai/gsm8k:test"}[head]


def _exists(spec: str) -> bool:
    try:
        return bool(spec) and Path(spec).exists()
    except (OSError, ValueError):  # a name that no file can have
        return False
