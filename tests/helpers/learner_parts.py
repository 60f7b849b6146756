"""A learner at its games, for tests of the trainer's parts."""

# ruff: noqa: E402 - without PyTorch there is nothing to import

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

torch = pytest.importorskip("torch")

from gtalign_env.training.strategic import Config
from gtalign_env.training.strategic.ppo import Learner
from gtalign_env.training.strategic.rollout import Arena
from gtalign_env.types import AGENTS, ASSISTANT

SMALL: dict[str, Any] = {
    "options": {"questions": 1},
    "users": "concise,detailed",
    "games": 64,
    "horizon": 4,
    "minibatches": 1,
    "epochs": 1,
    "width": 16,
}


def seated(agent: str = ASSISTANT, **changes: Any) -> tuple[Config, Arena, Learner]:
    """Return a learner at its games, which have begun."""
    torch.manual_seed(0)
    config = Config(**{**SMALL, **changes})
    arena = Arena(config)
    arena.reset(0)
    return config, arena, Learner(config, arena, agent)


def play(arena: Arena, learner: Learner, rng: np.random.Generator) -> None:
    """Play one block."""
    learner.begin()
    for t in range(len(learner.moves)):
        arena.step({learner.agent: learner.act(t, arena, rng)})
        learner.receive(t, arena)
    learner.end(arena)


def played(**changes: Any) -> tuple[Arena, Learner]:
    """Return a learner that has just played a block."""
    _, arena, learner = seated(**changes)
    play(arena, learner, np.random.default_rng(0))
    return arena, learner


def pair(**changes: Any) -> tuple[Arena, dict[str, Learner]]:
    """Return two learners at their games, which have begun."""
    torch.manual_seed(0)
    config = Config(**{**SMALL, "learn": "both", "opponent": "pool", **changes})
    arena = Arena(config)
    arena.reset(0)
    return arena, {agent: Learner(config, arena, agent) for agent in AGENTS}


def rows(learner: Learner, advantages: NDArray[Any], targets: NDArray[Any] | None = None) -> list[Any]:
    """Return a block of play as ``_descend`` takes it, with these advantages; values need no change unless targets are given."""
    wanted = learner.values[:-1].copy() if targets is None else targets
    arrays = [learner.fed, learner.hidden, learner.legal, learner.starts, learner.moves, learner.chances]
    return [torch.from_numpy(array) for array in (*arrays, advantages.astype(np.float32), wanted.astype(np.float32))]


def spread(learner: Learner, seed: int = 1) -> None:
    """Give a new network, whose moves are all about equally likely, clear preferences that depend on what it sees."""
    with torch.no_grad():
        learner.net.policy.weight.normal_(std=1.0, generator=torch.Generator().manual_seed(seed))
