"""The player that moves at random: the floor, in every game."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from gtalign_env.finite import FiniteScenario
from gtalign_env.protocols import Info, Observation
from gtalign_env.types import Role

__all__ = ["UniformPlayer"]


@dataclasses.dataclass(kw_only=True, eq=False)
class UniformPlayer:
    """Uniform over the legal moves and words; reads nothing but the action mask, so that it plays every strategic game.

    Example:
        >>> import gtalign_env
        >>> observations, infos = gtalign_env.parallel_env("matrix").reset(seed=0)
        >>> UniformPlayer().act(observations["user_0"], infos["user_0"]) in (0, 1)
        True
    """

    kind: ClassVar[str] = "random"
    name: str = dataclasses.field(init=False, default="random")
    """What records call it."""

    def __post_init__(self) -> None:
        """Be ready to play."""
        self.reset(0)

    def chances(self, scenario: FiniteScenario, role: Role) -> NDArray[np.float64]:
        """Return the chance of each move in each public state of a compiled game, (S, moves)."""
        legal = scenario.tables.user_mask if role == "user" else scenario.tables.assistant_mask
        chances: NDArray[np.float64] = legal / legal.sum(axis=1, keepdims=True).clip(min=1)
        return chances

    def reset(self, seed: int) -> None:
        """Begin a new episode."""
        self._rng = np.random.default_rng(seed)

    def act(self, observation: Observation, info: Info) -> int:
        """Return a legal move."""
        legal = np.flatnonzero(observation["action_mask"])
        return int(self._rng.choice(legal))
