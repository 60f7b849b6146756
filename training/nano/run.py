"""``gtalign train nano``: games, tokenizer, model, figures, all in one folder.

The folder holds ``model/`` (what ``transformers:FOLDER/model`` plays), ``metrics.jsonl`` (a line per step) and ``run.json``
(settings, seed, versions, command). The model appears at once and whole, when it is done.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from gtalign_env.agents.backends.loading import load_model, quiet
from gtalign_env.errors import UsageError, require
from gtalign_env.play import versions
from gtalign_env.training.nano.corpus import Turn, make_drills, make_turns
from gtalign_env.training.nano.fit import FitConfig, fit, make_model, make_rows
from gtalign_env.training.nano.tokens import train_tokenizer
from gtalign_env.training.strategic.log import MetricsFile

__all__ = ["SMALL", "NanoConfig", "save_model", "train_nano"]

_READ_BY_TOKENIZER = 6000
"""Turns from which the vocabulary is learned: more only take longer."""
_DRILLS = 20_000
"""Different drills."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class NanoConfig:
    """Everything that a nano follows from.

    Example:
        >>> NanoConfig(seed=3).fit.steps
        800
    """

    turns: int = 20_000
    """Turns of the teacher."""
    tasks: str = "small"
    """What it is to know; those held out from reinforcement learning are among them."""
    seed: int = 0
    fit: FitConfig = dataclasses.field(default_factory=FitConfig)

    def as_dict(self) -> dict[str, Any]:
        """Return the settings in JSON types."""
        return dataclasses.asdict(self)


SMALL = NanoConfig(turns=60, fit=FitConfig(vocabulary=2500, hidden=32, layers=1, heads=2, drill=2, steps=2, batch=8))
"""For a look at the recipe in seconds; what comes of it cannot play."""


def train_nano(
    config: NanoConfig,
    folder: Path,
    *,
    start: Path | None = None,
    command: Sequence[str] = (),
    tell: Callable[[str, int, int, str], None] = lambda *_: None,
) -> dict[str, Any]:
    """Make a nano from nothing.

    Args:
        config: How.
        folder: Where it goes; new or empty.
        start: A model to go on from, with its tokenizer, in place of a fresh one; its facts are not drilled anew.
        command: What was typed, for the record.
        tell: Told the stage, how far it is and of how much, and a few words.

    Returns:
        ``folder``, ``parameters``, ``vocabulary``, ``loss`` (mean of the last steps) and ``seconds`` of fitting.

    Raises:
        UsageError: The folder holds something.
        MissingExtraError: torch or transformers is not installed.
        TrainingError: The loss is no finite number.
    """
    for module in ("torch", "tokenizers", "transformers"):
        require(module, feature="training nano", extra="hf")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"--out: {folder} holds something already: expected a new or an empty folder")
    folder.mkdir(parents=True, exist_ok=True)
    begun = "" if start is None else str(start)
    record = {"config": config.as_dict(), "start": begun, "versions": versions(), "command": list(command)}
    (folder / "run.json").write_text(json.dumps(record, indent=1), encoding="utf-8")
    turns = make_turns(
        config.turns, seed=config.seed, tasks=config.tasks, progress=lambda done: tell("turns", done, config.turns, "")
    )
    tokenizer, model = _fresh(config, turns) if start is None else _loaded(start)
    if start is not None:
        config = dataclasses.replace(config, fit=dataclasses.replace(config.fit, drill=0))
    rows = make_rows(tokenizer, turns)
    drills = make_rows(tokenizer, make_drills(_DRILLS, seed=config.seed, tasks=config.tasks))
    total = config.fit.drill + config.fit.steps
    metrics = MetricsFile(folder / "metrics.jsonl", record)
    losses: list[float] = []
    last: dict[str, float] = {}

    def note(figures: dict[str, float]) -> None:
        last.update(figures)
        losses.append(figures["loss"])
        metrics.write(figures)
        tell("steps", len(losses), total, f"loss {figures['loss']:.3f}")

    try:
        fit(model, rows, drills, config.fit, seed=config.seed, on_step=note)
    finally:
        metrics.close()
    save_model(model, tokenizer, folder / "model")
    tail = losses[-20:]
    return {
        "folder": str(folder),
        "parameters": sum(part.numel() for part in model.parameters()),
        "vocabulary": len(tokenizer),
        "loss": sum(tail) / max(len(tail), 1),
        "steps": len(losses),
        "seconds": last.get("seconds", 0.0),
    }


def _fresh(config: NanoConfig, turns: Sequence[Turn]) -> tuple[Any, Any]:
    tokenizer = train_tokenizer(turns[:_READ_BY_TOKENIZER], config.fit.vocabulary)
    return tokenizer, make_model(config.fit, tokenizer, seed=config.seed)


def _loaded(folder: Path) -> tuple[Any, Any]:
    loaded = load_model(folder, device="cpu", dtype="float32")
    return loaded.tokenizer, loaded.model


def save_model(model: Any, tokenizer: Any, folder: Path) -> None:
    """Save a model in float16 with its tokenizer; the folder appears whole or not at all.

    Raises:
        UsageError: There is such a folder.
    """
    import torch

    if folder.exists():
        raise UsageError(f"{folder} exists already: expected a new folder")
    making = folder.with_name(f".{folder.name}-in-the-making")
    shutil.rmtree(making, ignore_errors=True)
    with quiet():
        small = type(model)(model.config)
        small.load_state_dict(model.state_dict())
        small.to(torch.float16).save_pretrained(making)
        tokenizer.save_pretrained(making)
    making.rename(folder)
