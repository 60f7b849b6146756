"""Where the figures of a run go: always to ``metrics.jsonl``; to a tracker of experiments on request."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from gtalign_env.errors import UnknownNameError, require
from gtalign_env.training.errors import CheckpointError
from gtalign_env.training.strategic.checkpoint import write_whole

__all__ = ["TRACKERS", "MetricsFile", "Tracker", "make_tracker"]


class Tracker(Protocol):
    """A tracker of experiments."""

    def log(self, step: int, figures: Mapping[str, float]) -> None:
        """Take in figures of a step."""

    def close(self) -> None:
        """Write what is left."""


class MetricsFile:
    """One line of JSON per update, the settings first.

    A run that goes on from a checkpoint drops the lines after it, so that a file tells one story. The shorter file takes the
    old one's place as a whole.

    Args:
        path: The file.
        header: The first line: the run's settings, which may have become those of a longer run.
        update: Lines of later updates are dropped; ``None`` begins a new file.

    Raises:
        CheckpointError: The disk is full, or the folder cannot be written; a file that was there is as it was.
    """

    def __init__(self, path: Path, header: Mapping[str, Any], *, update: int | None = None) -> None:
        kept = [] if update is None or not path.exists() else _until(path, update)
        write_whole(path, "".join(f"{line}\n" for line in [_line(header), *kept]).encode())
        self._path, self._file = path, path.open("a", encoding="utf-8")

    def write(self, figures: Mapping[str, Any]) -> None:
        """Append a line.

        Raises:
            CheckpointError: The disk is full; the lines before are as they were.
        """
        try:
            self._file.write(_line(figures) + "\n")
            self._file.flush()
        except OSError as error:
            why = error.strerror or error
            raise CheckpointError(
                f"{self._path}: no line could be added ({why}); those before are as they were"
            ) from error

    def close(self) -> None:
        """Close the file."""
        with contextlib.suppress(OSError):  # of a line that could not be written, ``write`` has told
            self._file.close()


def _until(path: Path, update: int) -> list[str]:
    """Return the lines of updates up to this one."""
    kept = []
    for line in path.read_text(encoding="utf-8", errors="replace").split("\n"):
        try:
            found = json.loads(line)
        except ValueError:  # a line that a crash cut short
            continue
        if found.get("update", update + 1) <= update:
            kept.append(line)
    return kept


def _line(figures: Mapping[str, Any]) -> str:
    return json.dumps(_plain(figures), ensure_ascii=False, allow_nan=False)


def _plain(thing: Any) -> Any:
    """Return the same as JSON knows it: numbers that are none become null."""
    if isinstance(thing, Mapping):
        return {str(key): _plain(value) for key, value in thing.items()}
    if isinstance(thing, (list, tuple)):
        return [_plain(value) for value in thing]
    return None if isinstance(thing, float) and not math.isfinite(thing) else thing


class _TensorBoard:
    def __init__(self, folder: Path, config: Mapping[str, Any]) -> None:
        require("tensorboard", feature="logging to TensorBoard", extra="tensorboard")
        from torch.utils.tensorboard import SummaryWriter

        self._writer: Any = SummaryWriter(str(folder / "tensorboard"))
        self._writer.add_text("config", json.dumps(_plain(config)))

    def log(self, step: int, figures: Mapping[str, float]) -> None:
        for name, value in figures.items():
            self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        self._writer.close()


class _Module:
    """W&B, and trackio, which has the same three functions."""

    def __init__(self, module: str, folder: Path, config: Mapping[str, Any]) -> None:
        self._module: Any = require(module, feature=f"logging to {module}", extra=module)
        self._module.init(project="gtalign", name=folder.name, config=_plain(config))

    def log(self, step: int, figures: Mapping[str, float]) -> None:
        self._module.log(dict(figures), step=step)

    def close(self) -> None:
        self._module.finish()


TRACKERS: Mapping[str, Callable[[Path, Mapping[str, Any]], Tracker]] = {
    "tensorboard": _TensorBoard,
    "trackio": lambda folder, config: _Module("trackio", folder, config),
    "wandb": lambda folder, config: _Module("wandb", folder, config),
}


def make_tracker(name: str, folder: Path, config: Mapping[str, Any]) -> Tracker:
    """Return a tracker by name.

    Raises:
        UnknownNameError: There is no such tracker.
        MissingExtraError: Its package is not installed.
    """
    if name not in TRACKERS:
        raise UnknownNameError("tracker", name, TRACKERS)
    return TRACKERS[name](folder, config)
