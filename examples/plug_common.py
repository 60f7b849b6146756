"""What the plug examples share: the game, the reward that they learn from, and how the result is judged.

Every ``plug_*.py`` trains one library's own learner on ``gtalign/Assist-v0`` and calls ``finish``. The reward is the mean of both
payoffs, which any learner can add up. What is printed is mutual welfare, the square root of E[U]·E[L] over whole sessions, and 0
where a side does not gain; and the share of sessions in which the assistant answered what it must not. (Other objectives, and
safety as a constraint, are the business of ``gtalign train strategic``.)
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from pettingzoo import ParallelEnv
from pettingzoo.utils import BaseParallelWrapper

import gtalign_env

GAME = "gtalign/Assist-v0"
ID = "gtalign_env:gtalign/Assistant-v0"  # one chair of it, for Gymnasium
Act = Callable[[dict[str, np.ndarray]], int]
"""From one player's observation (keys ``observation`` and ``action_mask``) to its move."""


class MeanPayoff(gymnasium.Wrapper[Any, Any, Any, Any]):
    """The assistant's view, rewarded with the mean of both players' payoffs."""

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Play a move."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        return observation, (float(reward) + info["other_reward"]) / 2, terminated, truncated, info


class SharedPayoff(BaseParallelWrapper):
    """The two-player game, either player rewarded with the mean of both payoffs."""

    def step(self, actions: Any) -> Any:
        """Play both moves."""
        observations, rewards, ended, cut, infos = super().step(actions)
        return observations, dict.fromkeys(rewards, sum(rewards.values()) / 2), ended, cut, infos

    def reset(self, seed: int | None = None, options: Any = None) -> Any:
        """Begin a session, with empty infos: TorchRL makes a spec of whatever they hold."""
        observations, infos = super().reset(seed=seed, options=options)
        return observations, {agent: {} for agent in infos}


def assistant_env() -> gymnasium.Env[Any, Any]:
    """Return the assistant's chair opposite the default personas."""
    return MeanPayoff(gymnasium.make(ID, users="default", share_payoffs=True))


def both_env() -> ParallelEnv[str, Any, Any]:
    """Return the game with both chairs open."""
    return SharedPayoff(gtalign_env.parallel_env(GAME))


def arguments(description: str | None, steps: int, *, chairs: tuple[str, ...] = ("assistant",)) -> argparse.Namespace:
    """Read ``--steps``, ``--seed``, ``--chairs`` and ``--json``."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=steps, help="exchanges to learn from (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="seed of everything (default: %(default)s)")
    parser.add_argument("--chairs", choices=chairs, default=chairs[0], help="who learns (default: %(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result there as well")
    return parser.parse_args()


def seed_torch(seed: int) -> None:
    """Seed PyTorch's and NumPy's global generators, from which the libraries draw, and use one thread."""
    import torch

    torch.manual_seed(seed)  # noqa: TID251 - libraries leave us no other way
    np.random.seed(seed)  # noqa: NPY002 - the same
    torch.set_num_threads(1)  # networks as small as these gain nothing from more


def play(assistant: Act, user: Act | None = None, *, sessions: int = 500, seed: int = 10_000) -> dict[str, float]:
    """Return the mean payoff of a session for either player, and the share of sessions that end as a violation.

    Args:
        assistant: Plays the assistant.
        user: Plays the user; the default personas where ``None``.
        sessions: Number of sessions.
        seed: The sessions' seeds start here.
    """
    totals = np.zeros(3)  # the user's payoff, the assistant's, violations
    env: Any = (
        gymnasium.make(ID, users="default", share_payoffs=True) if user is None else gtalign_env.parallel_env(GAME)
    )
    for session in range(sessions):
        seen, _ = env.reset(seed=seed + session)
        over = False
        while not over:
            if user is None:
                seen, reward, ended, cut, info = env.step(assistant(seen))
                totals += info["other_reward"], reward, info.get("violation", False)
                over = ended or cut
            else:
                seen, rewards, _, _, infos = env.step(
                    {"user_0": user(seen["user_0"]), "assistant_0": assistant(seen["assistant_0"])}
                )
                unsafe = infos["assistant_0"].get("violation", False)
                totals += rewards["user_0"], rewards["assistant_0"], unsafe
                over = not env.agents
    return dict(zip(("user", "assistant", "violations"), (totals / sessions).tolist(), strict=True))


def finish(args: argparse.Namespace, began: float, steps: int, assistant: Act, user: Act | None = None) -> None:
    """Judge what was learned against moving at random, print both, and write ``--json``."""
    seconds = time.perf_counter() - began
    rng = np.random.default_rng(args.seed)
    at_random: Act = lambda seen: int(rng.choice(np.flatnonzero(seen["action_mask"])))  # noqa: E731
    result: dict[str, Any] = {"chairs": args.chairs, "seed": args.seed, "steps": steps, "seconds": seconds}
    players = {"random": (at_random, user and at_random), "trained": (assistant, user)}
    for name, (one, other) in players.items():
        found = result[name] = play(one, other)
        found["welfare"] = math.sqrt(max(found["user"], 0.0) * max(found["assistant"], 0.0))
        payoffs = "user {user:+.2f}, assistant {assistant:+.2f}, welfare {welfare:.2f} per session".format(**found)
        print(f"{name + ':':8} {payoffs}; violations in {found['violations']:.1%} of them")
    print(
        "violations: the assistant answered what it must not; nothing forbids that here (gtalign train strategic does)"
    )
    print(f"{steps:,} steps in {seconds:.1f} s, {steps / seconds:,.0f} steps/s")
    if args.json is not None:
        args.json.write_text(json.dumps(result) + "\n", encoding="utf-8")


def needs(error: ModuleNotFoundError, install: str) -> None:
    """End with one sentence that says what is missing."""
    sys.exit(f"this example needs {error.name}: pip install {install}")
