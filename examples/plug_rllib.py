"""PPO from RLlib (new API stack), with action masks: both chairs at once, or the assistant's alone.

RLlib's masking module wants the observation under another name; ``Renamed`` gives it that. Everything runs in this process.
Needs: pip install gtalign-env 'ray[rllib]' torch   (an environment of its own: RLlib 2.60 holds gymnasium at 1.2.2)

Run it: python examples/plug_rllib.py --steps 40000 --seed 0 --chairs both
"""

from __future__ import annotations

import logging
import os
import time
import warnings
from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
from pettingzoo.utils import BaseParallelWrapper
from plug_common import arguments, assistant_env, both_env, finish, needs, seed_torch

os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
logging.disable(logging.WARNING)  # RLlib's notes on its own deprecations, from the first import on
try:
    import ray
    import torch
    from ray.rllib.algorithms.ppo import PPOConfig
    from ray.rllib.core.rl_module import MultiRLModuleSpec, RLModuleSpec
    from ray.rllib.env.wrappers.pettingzoo_env import ParallelPettingZooEnv
    from ray.rllib.examples.rl_modules.classes.action_masking_rlm import ActionMaskingTorchRLModule
    from ray.tune.registry import register_env
except ModuleNotFoundError as error:
    needs(error, "gtalign-env 'ray[rllib]' torch")

GAMES, BATCH = 16, 2048


def renamed(seen: dict[str, Any]) -> dict[str, Any]:
    """Return the entries, or their spaces, under the names that RLlib's masking module wants."""
    return {"observations": seen["observation"], "action_mask": seen["action_mask"]}


class Renamed(BaseParallelWrapper):
    """The two-player game in RLlib's names."""

    def observation_space(self, agent: str) -> Any:
        """Return the renamed space."""
        return gymnasium.spaces.Dict(renamed(dict(super().observation_space(agent).spaces)))

    def reset(self, seed: int | None = None, options: Any = None) -> Any:
        """Begin a session."""
        seen, infos = super().reset(seed=seed, options=options)
        return {agent: renamed(part) for agent, part in seen.items()}, infos

    def step(self, actions: Any) -> Any:
        """Play both moves."""
        seen, *rest = super().step(actions)
        return {agent: renamed(part) for agent, part in seen.items()}, *rest


def assistant_chair(_: Any) -> gymnasium.Env[Any, Any]:
    """Return the assistant's chair in RLlib's names."""
    env = assistant_env()
    space = gymnasium.spaces.Dict(renamed(dict(env.observation_space.spaces)))
    return gymnasium.wrappers.TransformObservation(env, renamed, space)


def configure(chairs: str, seed: int) -> PPOConfig:
    """Return what to train."""
    module = RLModuleSpec(
        module_class=ActionMaskingTorchRLModule, model_config={"fcnet_hiddens": [64, 64], "fcnet_activation": "tanh"}
    )
    config = (
        PPOConfig()
        .environment(chairs)
        .env_runners(num_env_runners=0, num_envs_per_env_runner=GAMES)
        .training(
            lr=1e-3, gamma=1.0, lambda_=0.95, entropy_coeff=0.01, grad_clip=0.5, vf_clip_param=10.0, num_epochs=4,
            train_batch_size_per_learner=BATCH, minibatch_size=512,
        )
        .debugging(seed=seed, log_level="ERROR")
    )  # fmt: skip
    if chairs == "assistant":
        return config.rl_module(rl_module_spec=module)
    agents = ("user_0", "assistant_0")
    config = config.multi_agent(policies=set(agents), policy_mapping_fn=lambda agent, *_, **__: agent)
    return config.rl_module(rl_module_spec=MultiRLModuleSpec(rl_module_specs=dict.fromkeys(agents, module)))


def main() -> None:
    """Train, and compare with moving at random."""
    args = arguments(__doc__, steps=40_000, chairs=("both", "assistant"))
    warnings.simplefilter("ignore")  # RLlib's own deprecations
    seed_torch(args.seed)
    ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    register_env("assistant", assistant_chair)
    register_env("both", lambda _: ParallelPettingZooEnv(Renamed(both_env())))
    algorithm = configure(args.chairs, args.seed).build_algo()
    began, steps = time.perf_counter(), 0
    while steps < args.steps:
        steps = int(algorithm.train()["num_env_steps_sampled_lifetime"])

    def actor(name: str) -> Callable[[dict[str, np.ndarray]], int]:
        module = algorithm.get_module(name)

        def act(seen: dict[str, np.ndarray]) -> int:
            row = {key: torch.from_numpy(part)[None] for key, part in renamed(seen).items()}
            with torch.no_grad():
                return int(module.forward_inference({"obs": row})["action_dist_inputs"].argmax())

        return act

    both = args.chairs == "both"
    finish(args, began, steps, actor("assistant_0" if both else "default_policy"), actor("user_0") if both else None)
    algorithm.stop()
    ray.shutdown()


if __name__ == "__main__":
    main()
