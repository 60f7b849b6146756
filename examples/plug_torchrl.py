"""PPO from TorchRL: both chairs at once through ``PettingZooWrapper``, or the assistant's alone through ``GymWrapper``.

Every chair has its own actor, critic, loss and optimiser; what differs is only where its entries lie in the tensordict.
Needs: pip install gtalign-env torchrl

Run it: python examples/plug_torchrl.py --steps 40000 --seed 0 --chairs both
"""

from __future__ import annotations

import time
import warnings
from functools import partial
from typing import Any

import numpy as np
from plug_common import arguments, assistant_env, both_env, finish, needs, seed_torch

try:
    import torch
    from tensordict.nn import TensorDictModule, TensorDictSequential
    from torch import nn
    from torchrl.collectors import Collector
    from torchrl.envs import GymWrapper, SerialEnv
    from torchrl.envs.libs.pettingzoo import PettingZooWrapper
    from torchrl.modules import MLP, MaskedCategorical, ProbabilisticActor, ValueOperator
    from torchrl.objectives import ClipPPOLoss
    from torchrl.objectives.value import GAE
except ModuleNotFoundError as error:
    needs(error, "gtalign-env torchrl")

GAMES, BATCH = 16, 2048
EPOCHS, MINIBATCH = 4, 512


class Chair:
    """One learner.

    Args:
        group: Its group in the tensordict: ``"user"``, ``"assistant"``, or ``""`` where there is but one learner.
        moves: Number of its moves.
    """

    def __init__(self, group: str, moves: int) -> None:
        seen = (group, "observation", "observation") if group else "observation"
        key = partial(_key, group)
        network = partial(MLP, in_features=41, num_cells=[64, 64], activation_class=nn.Tanh)
        self.actor = ProbabilisticActor(
            TensorDictSequential(
                TensorDictModule(lambda mask: mask.bool(), in_keys=[key("action_mask")], out_keys=[key("mask")]),
                TensorDictModule(network(out_features=moves), in_keys=[seen], out_keys=[key("logits")]),
            ),
            in_keys={"logits": key("logits"), "mask": key("mask")},
            out_keys=[key("action")],
            distribution_class=MaskedCategorical,
            return_log_prob=True,
            log_prob_key=key("log_prob"),
        )
        critic = ValueOperator(network(out_features=1), in_keys=[seen], out_keys=[key("state_value")])
        self.loss = ClipPPOLoss(self.actor, critic, clip_epsilon=0.2, entropy_coeff=0.01, critic_coeff=0.5)
        names = {"reward": key("reward"), "done": key("done"), "terminated": key("terminated")}
        made = {"advantage": key("advantage"), "value_target": key("value_target"), "value": key("state_value")}
        self.loss.set_keys(**names, **made, action=key("action"), sample_log_prob=key("log_prob"))
        self.gae = GAE(gamma=1.0, lmbda=0.95, value_network=critic, average_gae=True)
        self.gae.set_keys(**names, **made)
        self.optimiser = torch.optim.Adam(self.loss.parameters(), lr=1e-3)

    def learn(self, batch: Any) -> None:
        """Improve by PPO on what was played."""
        with torch.no_grad():
            self.gae(batch)
        rows = batch.reshape(-1)
        for _ in range(EPOCHS):
            for chosen in torch.randperm(len(rows)).split(MINIBATCH):
                losses = self.loss(rows[chosen])
                self.optimiser.zero_grad()
                sum(loss for name, loss in losses.items() if name.startswith("loss_")).backward()
                nn.utils.clip_grad_norm_(self.loss.parameters(), 0.5)
                self.optimiser.step()

    def act(self, seen: dict[str, np.ndarray]) -> int:
        """Play the likeliest legal move."""
        network = self.actor[0][1].module
        with torch.no_grad():
            logits = network(torch.from_numpy(seen["observation"]))
        return int(logits.masked_fill(torch.from_numpy(seen["action_mask"]) == 0, -torch.inf).argmax())


def _key(group: str, name: str) -> Any:
    return (group, name) if group else name


def make(chairs: str) -> Any:
    """Return TorchRL's view of one game."""
    if chairs == "assistant":
        return GymWrapper(assistant_env(), categorical_action_encoding=True)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "PettingZoo in TorchRL is tested using")  # 1.24.3; ours is newer, and works
        return PettingZooWrapper(both_env(), categorical_actions=True)


def main() -> None:
    """Train, and compare with moving at random."""
    args = arguments(__doc__, steps=40_000, chairs=("both", "assistant"))
    seed_torch(args.seed)
    envs = SerialEnv(GAMES, partial(make, args.chairs))
    envs.set_seed(args.seed)
    chairs = {"user": Chair("user", 11), "assistant": Chair("assistant", 11)}
    if args.chairs == "assistant":
        chairs = {"assistant": Chair("", 8)}
    policy = TensorDictSequential(*(chair.actor for chair in chairs.values()))
    total = max(1, args.steps // BATCH) * BATCH
    options = {"frames_per_batch": BATCH, "total_frames": total, "auto_register_policy_transforms": False}
    collector = Collector(envs, policy, **options)
    began, steps = time.perf_counter(), 0
    for batch in collector:
        steps += batch.numel()
        for chair in chairs.values():
            chair.learn(batch)
    collector.shutdown()
    finish(args, began, steps, chairs["assistant"].act, chairs["user"].act if "user" in chairs else None)


if __name__ == "__main__":
    main()
