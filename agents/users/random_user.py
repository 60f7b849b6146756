"""The user that knows nothing: a legal move at random, in any scenario."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from gtalign_env.agents.players.uniform import UniformPlayer
from gtalign_env.finite import FiniteScenario
from gtalign_env.kernels import UserKernel, memoryless
from gtalign_env.protocols import PricingPolicy
from gtalign_env.types import UserType

__all__ = ["RandomPersona"]


class RandomPersona:
    """Uniform over the legal moves. Reads nothing but the action mask, so it plays every scenario, in both views.

    Example:
        >>> import gtalign_env
        >>> observations, infos = gtalign_env.parallel_env("matrix").reset(seed=0)
        >>> RandomPersona().policy(UserType()).act(observations["user_0"], infos["user_0"]) in (0, 1)
        True
    """

    name = "random"
    description = "Uniform legal moves in any scenario: the baseline that listens to nothing."

    def __init__(self) -> None:
        self.reset(0)

    def sample_type(self, rng: Any) -> None:
        """Leave θ to the scenario: a random user has no taste of its own."""

    def policy(self, user_type: UserType | None) -> RandomPersona:
        """Return a fresh player."""
        return type(self)()

    def kernels(self, scenario: FiniteScenario, pricing: PricingPolicy) -> tuple[UserKernel, ...]:
        """Return what it does in a compiled game: one user kernel per θ that the scenario draws."""
        return memoryless(self.name, scenario, UniformPlayer().chances(scenario, "user"))

    def reset(self, seed: int) -> None:
        """Begin a new episode."""
        self._rng = np.random.default_rng(seed)

    def act(self, observation: Mapping[str, Any], info: Mapping[str, Any]) -> Any:
        """Return a legal move; in the text view without words, so that the environment voices it."""
        legal = np.flatnonzero(observation["action_mask"])
        move = int(legal[int(self._rng.integers(len(legal)))])
        return {"move": move, "text": ""} if "text" in observation else move
