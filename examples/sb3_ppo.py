"""PPO from Stable-Baselines3 learns to be the assistant, opposite the default population of users.

The learner is rewarded with the provider's payoff alone; the last lines show what that means for either side.
Needs: pip install 'gtalign-env[sb3]'

Run it: python examples/sb3_ppo.py [STEPS]
"""

from __future__ import annotations

import sys
from typing import Any

import gymnasium
import numpy as np

try:
    import torch
    from stable_baselines3 import PPO
    from stable_baselines3.common.env_util import make_vec_env
except ModuleNotFoundError as error:
    sys.exit(f"this example needs {error.name}: pip install 'gtalign-env[sb3]'")

ID = "gtalign_env:gtalign/Assistant-v0"


def make(**options: Any) -> gymnasium.Env[Any, Any]:
    """Return the assistant's view of the game; all moves are legal here, so the mask can stay inside the observation."""
    return gymnasium.make(ID, users="default", **options)


def evaluate(model: PPO | None, episodes: int = 100) -> tuple[float, float]:
    """Return the mean payoff of a session for the user and for the assistant; random moves where there is no model."""
    env = make(share_payoffs=True)  # both sides' payoffs, for the evaluation only
    rng = np.random.default_rng(0)
    user = assistant = 0.0
    for episode in range(episodes):
        observation, _ = env.reset(seed=10_000 + episode)
        over = False
        while not over:
            action = rng.integers(8) if model is None else model.predict(observation, deterministic=True)[0]
            observation, reward, terminated, truncated, info = env.step(int(action))
            assistant += float(reward)
            user += info["other_reward"]
            over = terminated or truncated
    return user / episodes, assistant / episodes


def main() -> None:
    """Train, and compare with moving at random."""
    steps = int(sys.argv[1]) if len(sys.argv) > 1 else 15_000
    torch.set_num_threads(1)  # networks as small as these gain nothing from more
    envs = make_vec_env(make, n_envs=8, seed=0)
    model = PPO(
        "MultiInputPolicy", envs, n_steps=128, batch_size=256, learning_rate=1e-3, gamma=1.0, seed=0, device="cpu"
    )
    print("before:  user {:+.2f}, assistant {:+.2f} utils per session".format(*evaluate(None)))
    model.learn(total_timesteps=steps)
    print("after:   user {:+.2f}, assistant {:+.2f} utils per session".format(*evaluate(model)))


if __name__ == "__main__":
    main()
