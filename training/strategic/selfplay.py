"""Opponents for two chairs that learn at once: each other as they are, or a pool of what they were.

With a pool, half of the games are played by both learners as they are; in a quarter each, one of them meets a past version of the
other, drawn anew for every block of play. A learner learns from the games that it has played itself.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from gtalign_env.agents.assistants.trained_net import Network
from gtalign_env.training.strategic.ppo import Learner, sample
from gtalign_env.types import AGENTS

__all__ = ["KEPT", "Pool"]

KEPT = 8
"""Past versions that a pool keeps of each learner."""


class Pool:
    """Past versions of both learners.

    Args:
        learners: The learners by agent.
        games: N.

    Attributes:
        own: By agent, the games that a learner plays itself.
    """

    def __init__(self, learners: Mapping[str, Learner], games: int) -> None:
        self.learners = learners
        half, quarter = games // 2, games // 4
        everything = np.arange(games)
        user, assistant = AGENTS
        self.past = {assistant: everything[half : half + quarter], user: everything[half + quarter :]}
        self.own = {agent: np.setdiff1d(everything, self.past[agent]) for agent in AGENTS}
        self.kept: dict[str, list[dict[str, Any]]] = {agent: [] for agent in AGENTS}
        self._playing: dict[str, tuple[Network, torch.Tensor]] = {}

    def keep(self) -> None:
        """Take a snapshot of both learners."""
        for agent, learner in self.learners.items():
            self.kept[agent] = [*self.kept[agent], copy.deepcopy(learner.net.state_dict())][-KEPT:]

    def draw(self, rng: np.random.Generator) -> None:
        """Draw who plays the next block."""
        self._playing = {}
        for agent in AGENTS:
            weights = self.kept[agent][int(rng.integers(len(self.kept[agent])))]
            learner = self.learners[agent]
            net = copy.deepcopy(learner.net)
            net.load_state_dict(weights)
            self._playing[agent] = net, learner.memory[torch.from_numpy(self.past[agent])]

    def replace(self, t: int, moves: Mapping[str, NDArray[np.int64]], rng: np.random.Generator) -> None:
        """Put the moves of past versions into (N,) moves of step t, in place."""
        for agent, games in self.past.items():
            learner = self.learners[agent]
            net, memory = self._playing[agent]
            arrays = (torch.from_numpy(array[t][games])[None] for array in (learner.fed, learner.legal))
            with torch.no_grad():
                logits, _, memory = net(*arrays, memory, torch.from_numpy(learner.starts[t][games])[None])
            self._playing[agent] = net, memory
            moves[agent][games], _ = sample(logits[0].numpy(), rng)
