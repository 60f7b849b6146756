"""Stable-Baselines3 in the assistant's chair: MaskablePPO where sb3-contrib is installed, PPO where it is not.

SB3 has a vector API of its own, older than Gymnasium's; ``Sb3Vector`` translates, so that the learner steps the batched engine.
Needs: pip install 'gtalign-env[sb3]' sb3-contrib

Run it: python examples/plug_sb3.py --steps 200000 --seed 0
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from plug_common import ID, arguments, finish, needs, seed_torch

try:
    from stable_baselines3 import PPO
    from stable_baselines3.common.vec_env import VecEnv, VecMonitor
except ModuleNotFoundError as error:
    needs(error, "'gtalign-env[sb3]' sb3-contrib")
try:
    from sb3_contrib import MaskablePPO
except ModuleNotFoundError:
    MaskablePPO = None


class Sb3Vector(VecEnv):
    """A Gymnasium ``VectorEnv`` of the assistant's chair, rewarded with the mean of both payoffs, as SB3 wants it.

    Args:
        envs: Made with ``share_payoffs=True`` and ``AutoresetMode.SAME_STEP``.
    """

    def __init__(self, envs: VectorEnv[Any, Any, Any]) -> None:
        self.envs = envs
        self.render_mode = None
        self._mask = np.empty(0)
        self._actions = np.empty(0)
        super().__init__(envs.num_envs, envs.single_observation_space["observation"], envs.single_action_space)

    def reset(self) -> np.ndarray:
        """Begin all sessions."""
        seen, _ = self.envs.reset(seed=self._seeds[0])  # games get consecutive seeds, as SB3 itself would give them
        self._reset_seeds()
        self._mask = seen["action_mask"]
        return seen["observation"]

    def step_async(self, actions: np.ndarray) -> None:
        """Keep the moves."""
        self._actions = actions

    def step_wait(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[dict[str, Any]]]:
        """Play them; a session that ends begins anew in the same step, and its last observation goes into its info."""
        seen, rewards, ended, cut, infos = self.envs.step(self._actions)
        self._mask, done = seen["action_mask"], ended | cut
        other = np.zeros_like(rewards) + infos.get("other_reward", 0.0)
        told: list[dict[str, Any]] = [{} for _ in rewards]
        for game in np.flatnonzero(done):
            final = infos["final_obs"]
            last = final["observation"][game] if isinstance(final, dict) else final[game]["observation"]
            told[game] = {"terminal_observation": last, "TimeLimit.truncated": bool(cut[game] and not ended[game])}
            other[game] = infos["final_info"]["other_reward"][game]
        return seen["observation"], (rewards + other).astype(np.float32) / 2, done, told

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """Return an attribute of every game; there is but one object, so every game's is the same."""
        return [getattr(self, attr_name)] * self.num_envs

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """Set an attribute of all games."""
        setattr(self, attr_name, value)

    def env_method(self, method_name: str, *method_args: Any, indices: Any = None, **method_kwargs: Any) -> list[Any]:
        """Call a method that returns one result a game: ``action_masks``, which MaskablePPO asks for."""
        return list(getattr(self, method_name)(*method_args, **method_kwargs))

    def env_is_wrapped(self, wrapper_class: Any, indices: Any = None) -> list[bool]:
        """Tell that no game is wrapped."""
        return [False] * self.num_envs

    def action_masks(self) -> Sequence[np.ndarray]:
        """Return every game's legal moves."""
        return list(self._mask.astype(bool))

    def close(self) -> None:
        """Close the games."""
        self.envs.close()


def main() -> None:
    """Train, and compare with moving at random."""
    args = arguments(__doc__, steps=200_000)
    seed_torch(args.seed)
    envs = Sb3Vector(vector(64))
    learner: Any = PPO if MaskablePPO is None else MaskablePPO
    model = learner(
        "MlpPolicy", VecMonitor(envs), n_steps=32, batch_size=512, n_epochs=4, learning_rate=1e-3, gamma=1.0, ent_coef=0.01,
        seed=args.seed, device="cpu",
    )  # fmt: skip

    def act(seen: dict[str, np.ndarray]) -> int:
        masks = {} if MaskablePPO is None else {"action_masks": seen["action_mask"].astype(bool)}
        return int(model.predict(seen["observation"], deterministic=True, **masks)[0])

    began = time.perf_counter()
    model.learn(total_timesteps=args.steps)
    print(f"stable-baselines3, {learner.__name__}")
    finish(args, began, model.num_timesteps, act)


def vector(games: int) -> VectorEnv[Any, Any, Any]:
    """Return a batch of games that begin anew in the step in which they end."""
    return gymnasium.make_vec(
        ID, num_envs=games, users="default", share_payoffs=True, autoreset_mode=AutoresetMode.SAME_STEP
    )


if __name__ == "__main__":
    main()
