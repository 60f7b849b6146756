"""IPPO from BenchMARL in both chairs.

A task of BenchMARL's is a class that makes TorchRL environments; ours is a dozen lines, and every algorithm for discrete moves
takes it.
Needs: pip install gtalign-env benchmarl   (an environment of its own: it holds TorchRL at 0.11)

Run it: python examples/plug_benchmarl.py --steps 20000 --seed 0
"""

from __future__ import annotations

import itertools
import logging
import tempfile
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from plug_common import arguments, both_env, finish, needs, seed_torch

try:
    import torch
    from benchmarl.algorithms import IppoConfig
    from benchmarl.environments.pettingzoo.common import PettingZooClass
    from benchmarl.experiment import Experiment, ExperimentConfig
    from benchmarl.models.mlp import MlpConfig
    from tensordict import TensorDict
    from torchrl.envs import EnvBase
    from torchrl.envs.libs.pettingzoo import PettingZooWrapper
    from torchrl.envs.utils import ExplorationType, set_exploration_type
except ModuleNotFoundError as error:
    needs(error, "gtalign-env benchmarl")

BATCH = 2000


class AssistTask(PettingZooClass):
    """``gtalign/Assist-v0`` as a task of BenchMARL's."""

    def get_env_fun(
        self, num_envs: int, continuous_actions: bool, seed: int | None, device: Any
    ) -> Callable[[], EnvBase]:
        """Return what makes one game; every game it makes has a seed of its own, where BenchMARL would give all the same."""
        seeds = itertools.count(seed or 0)
        return lambda: PettingZooWrapper(both_env(), seed=next(seeds), device=device, categorical_actions=True)

    def supports_discrete_actions(self) -> bool:
        """Say yes."""
        return True

    def max_steps(self, env: EnvBase) -> int:
        """Return the most exchanges of an evaluation's session."""
        return 100

    @staticmethod
    def env_name() -> str:
        """Return what it is called."""
        return "gtalign"


def settings(steps: int, folder: str) -> ExperimentConfig:
    """Return BenchMARL's defaults, but for what a small game on one core wants."""
    config = ExperimentConfig.get_from_yaml()
    config.max_n_iters, config.max_n_frames = max(1, steps // BATCH), None
    config.on_policy_collected_frames_per_batch, config.on_policy_n_envs_per_worker = BATCH, 10
    config.on_policy_minibatch_size, config.on_policy_n_minibatch_iters = 500, 4
    config.lr, config.gamma, config.prefer_continuous_actions = 1e-3, 1.0, False
    config.evaluation, config.render, config.loggers, config.create_json = False, False, [], False
    config.save_folder = folder
    return config


def main() -> None:
    """Train, and compare with moving at random."""
    args = arguments(__doc__, steps=20_000, chairs=("both",))
    warnings.simplefilter("ignore")  # TorchRL names the PettingZoo that it was tested with, and deprecations of its own
    logging.disable(logging.INFO)
    seed_torch(args.seed)
    algorithm, model = IppoConfig.get_from_yaml(), MlpConfig.get_from_yaml()
    algorithm.entropy_coef = 0.01
    model.num_cells = [64, 64]
    with tempfile.TemporaryDirectory() as folder:
        experiment = Experiment(
            task=AssistTask("assist", {}),
            algorithm_config=algorithm,
            model_config=model,
            seed=args.seed,
            config=settings(args.steps, folder),
        )
        began = time.perf_counter()
        experiment.run()

    def actor(group: str) -> Callable[[dict[str, np.ndarray]], int]:
        def act(seen: dict[str, np.ndarray]) -> int:
            row = {
                "observation": {"observation": torch.from_numpy(seen["observation"])[None]},
                "action_mask": torch.from_numpy(seen["action_mask"]).bool()[None],
            }
            with torch.no_grad(), set_exploration_type(ExplorationType.DETERMINISTIC):
                return int(experiment.group_policies[group](TensorDict({group: row}))[group, "action"])

        return act

    finish(args, began, experiment.total_frames, actor("assistant"), actor("user"))


if __name__ == "__main__":
    main()
