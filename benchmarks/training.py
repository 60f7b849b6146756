"""Time to learn: the strategic trainer against Stable-Baselines3's PPO, in one process, on the same games and inputs.

    python benchmarks/training.py [--seeds 5] [--optimum W]

Ours learns mutual welfare √(E[U]·E[L]). SB3 learns, on the same batched games with the same history features, one reward per
step: the mean of both payoffs (``linear``), or √(U·L) of the episode at its end (``esr``); harm is declined for it, as ours has
it masked. Both are judged by the same play of whole sessions with the likeliest moves. Seconds are those of the
processor, on one thread, evaluations left out.
"""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

import numpy as np
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import VecEnv

from gtalign_env.agents.assistants.trained_history import History
from gtalign_env.training.objectives import make_objective
from gtalign_env.training.strategic import Config, Run, evaluate
from gtalign_env.training.strategic.rollout import Arena
from gtalign_env.training.strategic.yardstick import optimum
from gtalign_env.types import ASSISTANT

SHARES = (0.90, 0.97)
JUDGED = 6_000
DECLINE = 7


class Games(VecEnv):
    """The same games as SB3 wants them: inputs with the counts of ``History``, one reward, harm declined."""

    def __init__(self, config: Config, reward: str) -> None:
        import gymnasium

        self.arena = Arena(config)
        self.history = History(self.arena.scenario.layout, "assistant", config.input, config.games)
        self.reward, self.welfare = reward, make_objective("cobb_douglas", "esr")
        box = gymnasium.spaces.Box(0.0, np.inf, (self.history.size,), np.float32)
        super().__init__(config.games, box, gymnasium.spaces.Discrete(self.arena.moves(ASSISTANT)))
        self.first = config.seed

    def reset(self) -> Any:
        """Begin."""
        self.arena.reset(self.first)
        return self._seen()

    def _seen(self) -> Any:
        observations, self.legal = self.arena.seen(ASSISTANT)
        return self.history.see(observations)

    def step_async(self, actions: Any) -> None:
        """Take the moves, with harm declined."""
        allowed = self.legal[np.arange(self.num_envs), actions]
        self.moves = np.where(allowed, actions, DECLINE)

    def step_wait(self) -> Any:
        """Play them."""
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
        """Do nothing."""

    def get_attr(self, attr_name: str, indices: Any = None) -> Any:
        """Know nothing of single games."""
        return [None] * self.num_envs

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """Do nothing."""

    def env_method(self, method_name: str, *args: Any, indices: Any = None, **kwargs: Any) -> Any:
        """Know nothing of single games."""
        return [None] * self.num_envs

    def env_is_wrapped(self, wrapper_class: Any, indices: Any = None) -> Any:
        """Say no."""
        return [False] * self.num_envs


class Judge:
    """Notes when a share of the optimum is first reached, in seconds of the processor."""

    def __init__(self, config: Config, best: float) -> None:
        self.config, self.best, self.left, self.reached = config, best, list(SHARES), {}
        self.share = 0.0

    def look(self, net: Any, seconds: float) -> bool:
        """Judge; return whether there is more to reach."""
        self.share = evaluate(self.config, {ASSISTANT: net}, episodes=JUDGED).welfare / self.best
        while self.left and self.share >= self.left[0]:
            self.reached[f"{self.left.pop(0):.0%}"] = round(seconds, 3)
        return bool(self.left)


class AsNetwork(torch.nn.Module):
    """SB3's policy, called as ours is."""

    def __init__(self, policy: Any) -> None:
        super().__init__()
        self.inner = policy

    def memory(self, games: int) -> torch.Tensor:
        """Return an empty memory."""
        return torch.zeros(games, 0)

    def forward(self, fed: Any, legal: Any, memory: Any, starts: Any) -> Any:
        """Return logits."""
        logits = self.inner.get_distribution(fed[0]).distribution.logits
        return logits.masked_fill(~legal[0], -1e9)[None], None, memory


class Watch(BaseCallback):
    """Judges after every update, off the clock."""

    def __init__(self, judge: Judge) -> None:
        super().__init__()
        self.judge, self.off = judge, 0.0

    def _on_training_start(self) -> None:
        self.began = time.process_time()

    def _on_rollout_start(self) -> None:
        now = time.process_time()
        self.goes_on = self.judge.look(AsNetwork(self.model.policy), now - self.began - self.off)
        self.off += time.process_time() - now

    def _on_step(self) -> bool:
        return self.goes_on


def ours(config: Config, best: float) -> Judge:
    """Train ours."""
    run, judge, spent = Run(config), Judge(config, best), 0.0
    while run.update < config.updates:
        began = time.process_time()
        run._update()  # noqa: SLF001 - the clock is ours
        spent += time.process_time() - began
        if not judge.look(run.nets[ASSISTANT], spent):
            break
    return judge


def sb3(config: Config, best: float, reward: str, settings: dict[str, Any]) -> Judge:
    """Train theirs."""
    judge = Judge(config, best)
    games = Games(config, reward)
    settings = dict(settings)
    width = settings.pop("width", 64)
    network = {"net_arch": {"pi": [width, width], "vf": [width, width]}}
    steps = config.games * config.horizon
    model = PPO(
        "MlpPolicy",
        games,
        n_steps=config.horizon,
        gamma=1.0,
        seed=config.seed,
        policy_kwargs=network,
        device="cpu",
        **{"batch_size": steps // 4, "n_epochs": 4, "gae_lambda": 0.95, "ent_coef": 0.005, **settings},
    )
    model.learn(config.steps, callback=Watch(judge))
    return judge


SETTINGS: dict[str, dict[str, Any]] = {
    "as ours": {"learning_rate": 1e-2, "n_epochs": 3, "gae_lambda": 0.9, "ent_coef": 0.01, "vf_coef": 1.0, "width": 48},
    "lr 5e-3": {"learning_rate": 5e-3},
    "lr 2.5e-3": {"learning_rate": 2.5e-3},
    "lr 2.5e-3, 8 parts": {"learning_rate": 2.5e-3, "parts": 8},
    "its defaults": {"learning_rate": 3e-4, "batch_size": 64, "n_epochs": 10, "ent_coef": 0.0},
}


def main() -> None:
    """Compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=400_000)
    parser.add_argument("--optimum", type=float, help="the optimum, where it has been computed before")
    parser.add_argument("--sb3", default="as ours,lr 5e-3,lr 2.5e-3", help="settings of SB3 to try")
    parser.add_argument("--rewards", default="linear,esr")
    args = parser.parse_args()
    torch.set_num_threads(1)
    config = Config(steps=args.steps)
    best = args.optimum or optimum(config)
    print(f"optimum {best:.4f}; seconds of the processor to 90 % and 97 % of it")
    rows: list[dict[str, Any]] = []
    for seed in range(args.seeds):
        config = Config(steps=args.steps, seed=seed)
        judge = ours(config, best)
        rows.append({"who": "gtalign", "seed": seed, "share": round(judge.share, 4), **judge.reached})
        print(json.dumps(rows[-1]), flush=True)
        for reward in args.rewards.split(","):
            for name in filter(None, (part.strip() for part in args.sb3.split(","))):
                settings = dict(SETTINGS[name])
                if "parts" in settings:
                    settings["batch_size"] = config.games * config.horizon // settings.pop("parts")
                judge = sb3(config, best, reward, settings)
                rows.append(
                    {"who": f"sb3 {reward}, {name}", "seed": seed, "share": round(judge.share, 4), **judge.reached}
                )
                print(json.dumps(rows[-1]), flush=True)


if __name__ == "__main__":
    main()
