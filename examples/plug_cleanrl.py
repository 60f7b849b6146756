"""PPO in one file, in the manner of CleanRL, in the assistant's chair: a loop to read, change and copy; no library but PyTorch.

It steps Gymnasium's vector API and needs nothing else of the environment. All draws come from generators of its own.
Needs: pip install 'gtalign-env[train]'

Run it: python examples/plug_cleanrl.py --steps 400000 --seed 0
"""

from __future__ import annotations

import time
from typing import Any

import gymnasium
import numpy as np
from plug_common import ID, arguments, finish, needs

try:
    import torch
    from torch import nn
except ModuleNotFoundError as error:
    needs(error, "'gtalign-env[train]'")

GAMES, LENGTH = 64, 32  # one batch: 64 games, 32 exchanges of each
EPOCHS, MINIBATCHES = 4, 4
LEARNING_RATE, GAMMA, GAE_LAMBDA, CLIP, ENTROPY, VALUE, MAX_NORM = 1e-3, 1.0, 0.95, 0.2, 0.01, 0.5, 0.5


def layer(inputs: int, outputs: int, gain: float, generator: torch.Generator) -> nn.Linear:
    """Return a linear layer with orthogonal weights."""
    linear = nn.utils.skip_init(nn.Linear, inputs, outputs)
    nn.init.orthogonal_(linear.weight, gain, generator=generator)
    nn.init.zeros_(linear.bias)
    return linear


class Agent(nn.Module):
    """Two small networks: which move, and what the rest of the session is worth."""

    def __init__(self, inputs: int, moves: int, generator: torch.Generator) -> None:
        super().__init__()
        self.actor = self._network(inputs, moves, 0.01, generator)
        self.critic = self._network(inputs, 1, 1.0, generator)

    @staticmethod
    def _network(inputs: int, outputs: int, gain: float, generator: torch.Generator) -> nn.Sequential:
        sizes = [
            layer(inputs, 64, 2**0.5, generator),
            layer(64, 64, 2**0.5, generator),
            layer(64, outputs, gain, generator),
        ]
        return nn.Sequential(sizes[0], nn.Tanh(), sizes[1], nn.Tanh(), sizes[2])

    def log_chances(self, seen: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Return the logarithms of the chances of all moves; an illegal one has practically none."""
        return torch.log_softmax(self.actor(seen).masked_fill(mask == 0, -1e9), dim=-1)

    def value(self, seen: torch.Tensor) -> torch.Tensor:
        """Return what the rest of the session is worth."""
        return self.critic(seen).squeeze(-1)


def collect(agent: Agent, envs: Any, now: dict[str, Any], generator: torch.Generator) -> dict[str, torch.Tensor]:
    """Play one batch; ``now`` holds where the games stand, and is left where they stand after it."""
    rows: dict[str, list[torch.Tensor]] = {}
    for _ in range(LENGTH):
        seen, mask = torch.from_numpy(now["observation"]), torch.from_numpy(now["action_mask"])
        with torch.no_grad():
            chances, value = agent.log_chances(seen, mask), agent.value(seen)
        move = torch.multinomial(chances.exp(), 1, generator=generator)
        after, reward, ended, cut, infos = envs.step(move.squeeze(-1).numpy())
        over = ended | cut
        # Gymnasium's next-step autoreset: the step after an end only begins the next session, and is no experience.
        row = {"seen": seen, "mask": mask, "move": move, "log_chance": chances.gather(-1, move), "value": value}
        row["reward"] = torch.from_numpy((reward + infos.get("other_reward", 0.0)) / 2).float()
        row["real"], row["over"] = torch.from_numpy(~now["over"]), torch.from_numpy(over)
        for name, column in row.items():
            rows.setdefault(name, []).append(column)
        now.update(observation=after["observation"].copy(), action_mask=after["action_mask"].copy(), over=over)
    return {name: torch.stack(columns) for name, columns in rows.items()}


def add_advantages(agent: Agent, batch: dict[str, torch.Tensor], now: dict[str, Any]) -> None:
    """Add generalised advantage estimates and returns."""
    with torch.no_grad():
        after = agent.value(torch.from_numpy(now["observation"]))
    advantages, running = torch.zeros_like(batch["reward"]), torch.zeros(GAMES)
    for step in reversed(range(LENGTH)):
        goes_on = (~batch["over"][step]).float()
        delta = batch["reward"][step] + GAMMA * goes_on * after - batch["value"][step]
        running = delta + GAMMA * GAE_LAMBDA * goes_on * running
        advantages[step], after = running, batch["value"][step]
    batch["advantage"], batch["return"] = advantages, advantages + batch["value"]


def update(
    agent: Agent, optimiser: torch.optim.Optimizer, batch: dict[str, torch.Tensor], generator: torch.Generator
) -> None:
    """Improve the networks by PPO's clipped objective."""
    rows = {name: column[batch["real"]] for name, column in batch.items()}
    for _ in range(EPOCHS):
        for chosen in torch.randperm(len(rows["move"]), generator=generator).chunk(MINIBATCHES):
            part = {name: column[chosen] for name, column in rows.items()}
            chances = agent.log_chances(part["seen"], part["mask"])
            ratio = (chances.gather(-1, part["move"]) - part["log_chance"]).exp().squeeze(-1)
            gain = (part["advantage"] - part["advantage"].mean()) / (part["advantage"].std() + 1e-8)
            policy_loss = -torch.min(ratio * gain, ratio.clamp(1 - CLIP, 1 + CLIP) * gain).mean()
            value_loss = (agent.value(part["seen"]) - part["return"]).pow(2).mean() / 2
            entropy = -(chances.exp() * chances).sum(-1).mean()
            optimiser.zero_grad()
            (policy_loss + VALUE * value_loss - ENTROPY * entropy).backward()
            nn.utils.clip_grad_norm_(agent.parameters(), MAX_NORM)
            optimiser.step()


def train(steps: int, seed: int) -> tuple[Agent, int]:
    """Return what was learned, and from how many exchanges: whole batches."""
    generator = torch.Generator().manual_seed(seed)
    envs = gymnasium.make_vec(ID, num_envs=GAMES, users="default", share_payoffs=True)
    agent = Agent(envs.single_observation_space["observation"].shape[0], int(envs.single_action_space.n), generator)
    optimiser = torch.optim.Adam(agent.parameters(), lr=LEARNING_RATE, eps=1e-5)
    seen, _ = envs.reset(seed=seed)
    now = {**seen, "over": np.zeros(GAMES, dtype=bool)}
    batches = max(1, steps // (GAMES * LENGTH))
    for done in range(batches):
        optimiser.param_groups[0]["lr"] = LEARNING_RATE * (1 - done / batches)
        batch = collect(agent, envs, now, generator)
        add_advantages(agent, batch, now)
        update(agent, optimiser, batch, generator)
    return agent, batches * GAMES * LENGTH


def main() -> None:
    """Train, and compare with moving at random."""
    args = arguments(__doc__, steps=400_000)
    torch.set_num_threads(1)  # networks as small as these gain nothing from more
    began = time.perf_counter()
    agent, steps = train(args.steps, args.seed)

    def act(seen: dict[str, np.ndarray]) -> int:
        with torch.no_grad():
            return int(
                agent.log_chances(*(torch.from_numpy(seen[name]) for name in ("observation", "action_mask"))).argmax()
            )

    finish(args, began, steps, act)


if __name__ == "__main__":
    main()
