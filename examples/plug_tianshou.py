"""PPO from Tianshou 2 in the assistant's chair.

Tianshou reads a Dict observation as a Batch; two modules of a few lines take it apart and hold the actor to legal moves. Its
multi-agent wrapper is for games with turns (docs/plugs.md says what it does to this one), so here one chair learns.
Needs: pip install gtalign-env tianshou

Run it: python examples/plug_tianshou.py --steps 100000 --seed 0
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from plug_common import arguments, assistant_env, finish, needs, seed_torch

try:
    import torch
    from tianshou.algorithm import PPO
    from tianshou.algorithm.modelfree.reinforce import DiscreteActorPolicy
    from tianshou.algorithm.optim import AdamOptimizerFactory
    from tianshou.data import Batch, Collector, VectorReplayBuffer
    from tianshou.env import DummyVectorEnv
    from tianshou.trainer import OnPolicyTrainerParams
    from tianshou.utils.net.common import MLP
    from torch import nn
except ModuleNotFoundError as error:
    needs(error, "gtalign-env tianshou")

GAMES, BATCH = 16, 2048


class Actor(nn.Module):
    """Logits of the moves; an illegal one has practically no chance."""

    def __init__(self, inputs: int, moves: int) -> None:
        super().__init__()
        self.network = MLP(input_dim=inputs, output_dim=moves, hidden_sizes=(64, 64), activation=nn.Tanh)

    def forward(self, obs: Any, state: Any = None, info: Any = None) -> tuple[torch.Tensor, Any]:
        """Return the logits, and the state as it was."""
        legal = torch.as_tensor(np.asarray(obs.action_mask), dtype=torch.bool)
        return self.network(torch.as_tensor(obs.observation)).masked_fill(~legal, -1e9), state


class Critic(nn.Module):
    """What the rest of the session is worth."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.network = MLP(input_dim=inputs, output_dim=1, hidden_sizes=(64, 64), activation=nn.Tanh)

    def forward(self, obs: Any, **_: Any) -> torch.Tensor:
        """Return the value."""
        return self.network(torch.as_tensor(obs.observation))


def main() -> None:
    """Train, and compare with moving at random."""
    args = arguments(__doc__, steps=100_000)
    seed_torch(args.seed)
    envs = DummyVectorEnv([assistant_env for _ in range(GAMES)])
    envs.seed([args.seed + game for game in range(GAMES)])
    inputs, moves = envs.observation_space[0]["observation"].shape[0], envs.action_space[0]
    policy = DiscreteActorPolicy(actor=Actor(inputs, int(moves.n)), action_space=moves, deterministic_eval=True)
    learner = PPO(
        policy=policy,
        critic=Critic(inputs),
        optim=AdamOptimizerFactory(lr=1e-3),
        gamma=1.0,
        ent_coef=0.01,
        max_grad_norm=0.5,
    )
    collector = Collector(learner, envs, VectorReplayBuffer(BATCH + GAMES, GAMES))
    began = time.perf_counter()
    learner.run_training(
        OnPolicyTrainerParams(
            training_collector=collector,
            max_epochs=1,
            epoch_num_steps=args.steps,
            collection_step_num_env_steps=BATCH,
            update_step_num_repetitions=4,
            batch_size=512,
            show_progress=False,
            verbose=False,
        )
    )
    policy.eval()

    def act(seen: dict[str, np.ndarray]) -> int:
        with torch.no_grad():
            return int(policy(Batch(obs=Batch(**{name: part[None] for name, part in seen.items()}), info={})).act[0])

    finish(args, began, collector.collect_step, act)


if __name__ == "__main__":
    main()
