"""Stable-Baselines3's PPO on the games and inputs of the strategic trainer, for ``training.py``; needs SB3.

SB3 learns one reward per step: the mean of both payoffs (``linear``), or √(U·L) of the episode at its end (``esr``). It has no
masks, so harm is declined for it. What has not been learned is the same: judged by the same play of whole sessions.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import VecEnv

from gtalign_env.agents.assistants.trained_history import History
from gtalign_env.training.objectives import make_objective
from gtalign_env.training.strategic import Config
from gtalign_env.training.strategic.rollout import Arena
from gtalign_env.types import ASSISTANT, ASSISTANT_MOVES

__all__ = ["train"]

Look = Callable[[Any, float], bool]
"""Takes a network and the seconds of the processor that it has cost, and says whether to go on."""
_DECLINE = [move.name for move in ASSISTANT_MOVES].index("DECLINE")


class _Games(VecEnv):
    """The trainer's games as SB3 wants them: inputs with the counts of ``History``, one reward, harm declined."""

    def __init__(self, config: Config, reward: str) -> None:
        self.arena = Arena(config)
        self.history = History(self.arena.scenario.layout, "assistant", config.input, config.games)
        self.reward, self.welfare = reward, make_objective("cobb_douglas", "esr")
        self.first = config.seed
        box = gymnasium.spaces.Box(0.0, np.inf, (self.history.size,), np.float32)
        super().__init__(config.games, box, gymnasium.spaces.Discrete(self.arena.moves(ASSISTANT)))

    def reset(self) -> Any:
        self.arena.reset(self.first)
        return self._seen()

    def _seen(self) -> Any:
        observations, self.legal = self.arena.seen(ASSISTANT)
        return self.history.see(observations)

    def step_async(self, actions: Any) -> None:
        allowed = self.legal[np.arange(self.num_envs), actions]
        self.moves = np.where(allowed, actions, _DECLINE)

    def step_wait(self) -> Any:
        self.arena.step({ASSISTANT: self.moves})
        ended = self.arena.ended
        if self.reward == "linear":
            rewards = self.arena.payoffs.mean(axis=1)
        else:
            rewards = np.zeros(self.num_envs)
            rewards[ended] = self.welfare.value(*self.arena.totals[ended].T)
        seen = self._seen()
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        for game in np.flatnonzero(ended):
            infos[game] = {"terminal_observation": seen[game], "TimeLimit.truncated": False}
        return seen, rewards.astype(np.float32), ended.copy(), infos

    def close(self) -> None:
        return None

    def get_attr(self, attr_name: str, indices: Any = None) -> Any:
        return [None] * self.num_envs

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        return None

    def env_method(self, method_name: str, *args: Any, indices: Any = None, **kwargs: Any) -> Any:
        return [None] * self.num_envs

    def env_is_wrapped(self, wrapper_class: Any, indices: Any = None) -> Any:
        return [False] * self.num_envs


class _AsNetwork(torch.nn.Module):
    """SB3's policy, called as ours is."""

    def __init__(self, policy: Any) -> None:
        super().__init__()
        self.inner = policy

    def memory(self, games: int) -> torch.Tensor:
        return torch.zeros(games, 0)

    def forward(self, fed: Any, legal: Any, memory: Any, starts: Any) -> Any:
        logits = self.inner.get_distribution(fed[0]).distribution.logits
        return logits.masked_fill(~legal[0], -1e9)[None], None, memory


class _Watch(BaseCallback):
    """Looks after every update, off the clock."""

    def __init__(self, look: Look) -> None:
        super().__init__()
        self.look, self.off = look, 0.0

    def _on_training_start(self) -> None:
        self.began = time.process_time()

    def _on_rollout_start(self) -> None:
        now = time.process_time()
        self.goes_on = self.look(_AsNetwork(self.model.policy), now - self.began - self.off)
        self.off += time.process_time() - now

    def _on_step(self) -> bool:
        return self.goes_on


def train(config: Config, reward: str, settings: dict[str, Any], look: Look) -> None:
    """Train until ``look`` says stop.

    Args:
        config: Games, inputs, seed and the most steps.
        reward: ``linear`` or ``esr``.
        settings: SB3's own; what is left out is as SB3 has it.
        look: Called after every update.
    """
    model = PPO("MlpPolicy", _Games(config, reward), seed=config.seed, device="cpu", **settings)
    model.learn(config.steps, callback=_Watch(look))
