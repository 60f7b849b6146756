"""What is written down about a run: an iteration's figures, the seconds that it took, and its settings."""

from __future__ import annotations

import collections
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gtalign_env.errors import FileFormatError
from gtalign_env.training.llm.config import LLMConfig
from gtalign_env.training.llm.evaluate import chain_gauges, habits
from gtalign_env.training.llm.rollout import Group
from gtalign_env.training.measure import measure
from gtalign_env.training.objectives import Objective

__all__ = ["Clock", "figures_of", "flat", "read_config"]


class Clock:
    """Seconds by what they were spent on.

    Example:
        >>> clock = Clock()
        >>> clock.lap("play")
        >>> clock.total == clock.laps["play"] >= 0.0
        True
    """

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        """Note the time since the last lap."""
        now = time.perf_counter()
        self.laps[name] = now - self._last
        self._last = now

    @property
    def total(self) -> float:
        """All of it."""
        return sum(self.laps.values())


def figures_of(groups: Sequence[Group], objective: Objective) -> dict[str, Any]:
    """Return what is to be known about an iteration's games.

    Args:
        groups: Of all processes; those that were dropped are counted, and are in no mean.
        objective: What ``welfare`` is.

    Example:
        >>> from gtalign_env.training.objectives import make_objective
        >>> found = figures_of([Group(seed=0, errors={"ModelError": 2})], make_objective("cobb_douglas"))
        >>> found["dropped"], found["errors"], found["welfare"]
        (1, {'ModelError': 2}, None)
    """
    games = [game for group in groups for game in group.games]
    sound = np.array([game.returns for game in games if not game.violation]).reshape(-1, 2)
    violations = sum(game.violation for game in games)
    known: dict[str, float | None] = dict.fromkeys(("user", "assistant", "welfare"))
    if len(sound):
        found = measure(sound, violations, objective)
        known = {name: getattr(found, name) for name in known}
    errors = sum((collections.Counter(group.errors) for group in groups), collections.Counter[str]())
    episodes = [episode for group in groups for episode in group.episodes]
    return {
        **known,
        "games": len(games),
        "dropped": sum(group.dropped for group in groups),
        "errors": dict(errors),
        "mended": dict(collections.Counter(kind for game in games for kind in game.failures)),
        "violations": violations,
        "habits": habits(episodes),
        "gauges": chain_gauges(episodes),
    }


def flat(figures: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    """Yield numbers by path.

    Example:
        >>> list(flat({"evaluation": {"welfare": 1.05, "failed": {}}, "update": 3}))
        [('evaluation/welfare', 1.05), ('update', 3.0)]
    """
    for name, value in figures.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{prefix}{name}/")
        elif isinstance(value, (int, float)):
            yield f"{prefix}{name}", float(value)


def read_config(folder: Path) -> LLMConfig:
    """Return the settings of the run in a folder.

    Raises:
        FileFormatError: The folder holds no run.
    """
    path = folder / "config.json"
    try:
        return LLMConfig(**json.loads(path.read_text(encoding="utf-8"))["config"])
    except FileNotFoundError:
        raise FileFormatError(path, "is missing: expected the folder of a run of 'gtalign train llm'") from None
    except (KeyError, TypeError, ValueError) as error:
        raise FileFormatError(path, f"is no record of a run of 'gtalign train llm': {error}") from None
