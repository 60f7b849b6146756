"""What a run's folder says about it: ``config.json``, and how a run is made longer."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from gtalign_env.errors import FileFormatError, UsageError
from gtalign_env.play import versions
from gtalign_env.training.strategic import checkpoint
from gtalign_env.training.strategic.config import Config
from gtalign_env.training.yardstick import Yardstick

__all__ = ["Record", "longer", "read_config", "read_record", "write_record"]

_NAME = "config.json"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Record:
    """The head of a run's record: the first line of ``metrics.jsonl``, and ``config.json``."""

    config: Config
    yardstick: Yardstick
    games: str = ""
    """Who made the games, where they are the caller's own (``make_env``); empty where ``config`` says all."""
    command: Sequence[str] = ()
    versions: Mapping[str, Any] = dataclasses.field(
        default_factory=lambda: {**versions(), "torch": str(torch.__version__)}
    )

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON holds it."""
        return {
            "config": self.config.as_dict(),
            "seed": self.config.seed,
            "yardstick": self.yardstick.as_dict(),
            "games": self.games or None,
            "versions": dict(self.versions),
            "command": list(self.command),
        }


def write_record(folder: Path, record: Record) -> None:
    """Write ``config.json``, whole or not at all.

    Raises:
        CheckpointError: It could not be written.
    """
    text = json.dumps(record.as_dict(), indent=2, ensure_ascii=False)
    checkpoint.write_whole(folder / _NAME, text.encode())


def read_record(folder: Path) -> Record:
    """Return what ``config.json`` says.

    Raises:
        FileFormatError: The folder holds no run.
    """
    path = folder / _NAME
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return Record(
            config=Config(**found["config"]),
            yardstick=Yardstick.from_dict(found.get("yardstick") or {}),
            games=found.get("games") or "",
            command=tuple(found.get("command", ())),
            versions=found.get("versions", {}),
        )
    except FileNotFoundError:
        raise FileFormatError(path, "is missing: expected the folder of a run of 'gtalign train strategic'") from None
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise FileFormatError(path, f"is no record of a run: {error}") from None


def read_config(folder: Path) -> Config:
    """Return the settings of the run in a folder.

    Raises:
        FileFormatError: The folder holds no run.
    """
    return read_record(folder).config


def longer(config: Config, steps: int) -> Config:
    """Return the settings of a run that goes on to more steps as if it had been so long from the start.

    Raises:
        UsageError: It has as many steps already, or a schedule depends on its length.

    Example:
        >>> longer(Config(steps=100_000, schedule="constant"), 200_000).steps
        200000
    """
    if steps <= config.steps:
        raise UsageError(f"steps: expected more than the run's {config.steps:,} to make it longer, got {steps:,}")
    if config.schedule != "constant":
        raise UsageError(
            "steps: this run cannot be made longer: its learning rate and its bonus for entropy fall to 0 at its end "
            f"(schedule={config.schedule}), so a run of {steps:,} steps differs from its first update on; start one with "
            f"{steps:,} steps, or one with the setting schedule=constant, which can be made longer"
        )
    return dataclasses.replace(config, steps=steps)
