"""Our games in verl: an agent loop that plays one game.

It is for the config

    actor_rollout_ref.rollout.agent.agent_loop_config_path: gtalign.yaml
    actor_rollout_ref.rollout.agent.default_agent_loop: gtalign
    algorithm.adv_estimator: gdpo            # or grpo, on reward_score alone
    algorithm.gdpo_reward_keys: [user, assistant]

with ``gtalign.yaml``

    - name: gtalign
      _target_: gtalign_env.training.adapters.verl.GtalignAgentLoop
      tasks: small:train
      chain: none
      objective: cobb_douglas

and a dataset whose rows have ``extra_info: {"seed": …}``: the game's task, user and all that the user does follow from it.

Written against verl 0.9.1, which cannot be installed beside this project's versions of transformers: what is used of it is in
``USED``, and a test holds that against verl's source where it is at hand. What is lost against ``gtalign train llm``: one number
for a game (``reward_score`` is the welfare of this episode; both payoffs are in ``reward_extra_info``), one sequence of tokens
(see ``rows``), and the payoff block is held to no schema.
"""

from __future__ import annotations

import asyncio
import functools
import uuid
from collections.abc import Mapping
from typing import Any

import numpy as np

from gtalign_env.agents.users import population
from gtalign_env.env import parallel_env
from gtalign_env.episode import Episode
from gtalign_env.errors import ModelError, require
from gtalign_env.play import play_episode
from gtalign_env.training.adapters.engine import TokenBackend, Tokens
from gtalign_env.training.adapters.rows import fair_totals, rows_of
from gtalign_env.training.llm.config import LLMConfig
from gtalign_env.training.llm.models import player
from gtalign_env.training.llm.trajectory import turns_of
from gtalign_env.training.objectives import make_objective

__all__ = ["USED", "Game"]

USED: Mapping[str, tuple[str, ...]] = {
    "verl/experimental/agent_loop/agent_loop.py:AgentLoopBase.__init__": (
        "trainer_config",
        "server_manager",
        "tokenizer",
    ),
    "verl/experimental/agent_loop/agent_loop.py:AgentLoopOutput": (
        *("prompt_ids", "response_ids", "response_mask", "response_logprobs", "reward_score", "num_turns", "metrics"),
        "extra_fields",
    ),
    "verl/workers/rollout/llm_server.py:LLMServerClient.generate": ("request_id", "prompt_ids", "sampling_params"),
    "verl/workers/rollout/replica.py:TokenOutput": ("token_ids", "log_probs"),
}
"""What the adapter relies on: arguments of functions and fields of classes, by file and name."""


def __getattr__(name: str) -> Any:
    """Make the agent loop when it is asked for: it needs verl."""
    if name == "GtalignAgentLoop":
        return _agent_loop()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


@functools.cache
def _agent_loop() -> Any:
    """Return the class.

    Raises:
        MissingExtraError: verl is not installed.
    """
    loops: Any = require("verl.experimental.agent_loop.agent_loop", feature="the adapter for verl", extra="verl")

    class GtalignAgentLoop(loops.AgentLoopBase):  # type: ignore[misc]
        """Plays one game, and returns it as verl learns from it."""

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            options = {name: kwargs.pop(name) for name in tuple(kwargs) if name in _OPTIONS}
            super().__init__(*args, **kwargs)
            objective = options.pop("objective", "cobb_douglas")
            self.game = Game(objective=objective, **options)

        async def run(self, sampling_params: dict[str, Any], **kwargs: Any) -> Any:
            """Play the game of a row."""
            seed = int((kwargs.get("extra_info") or {}).get("seed", kwargs.get("index", 0)))

            async def engine(prompt: list[int], asked: Mapping[str, Any]) -> Tokens:
                made = await self.server_manager.generate(
                    request_id=uuid.uuid4().hex, prompt_ids=prompt, sampling_params={**sampling_params, **asked}
                )
                return Tokens(made.token_ids, made.log_probs)

            limits = self.rollout_config
            found = await self.game.play(
                self.tokenizer,
                engine,
                seed=seed,
                context=limits.prompt_length + limits.response_length,
                temperature=float(sampling_params.get("temperature", 1.0)),
            )
            most = limits.response_length
            for name in ("response_ids", "response_mask", "response_logprobs"):
                found[name] = found[name] and found[name][:most]
            return loops.AgentLoopOutput(**found, metrics={})

    GtalignAgentLoop.__module__, GtalignAgentLoop.__qualname__ = __name__, "GtalignAgentLoop"
    return GtalignAgentLoop


_OPTIONS = frozenset(("scenario", "tasks", "users", "chain", "criterion", "moves", "budget", "options", "objective"))


class Game:
    """Plays single games with an engine that goes from token ids to token ids.

    Args:
        objective: What ``reward_score`` is, of this episode's payoffs.
        **settings: Of ``LLMConfig``: what is played, against whom, and how the model reasons.
    """

    def __init__(self, *, objective: str = "cobb_douglas", **settings: Any) -> None:
        plain: dict[str, Any] = {
            name: dict(value) if isinstance(value, Mapping) else value for name, value in settings.items()
        }
        given: dict[str, Any] = {"model": "verl", "chain": "none", **plain}
        self.config = LLMConfig(**given)
        self.welfare = make_objective(objective)

    async def play(
        self, tokenizer: Any, engine: Any, *, seed: int, context: int, temperature: float = 1.0
    ) -> dict[str, Any]:
        """Play a game, and return the fields of ``AgentLoopOutput``.

        Raises:
            ModelError: The game failed: it has no reward, and verl has no word for that. verl then stops the batch.
        """
        backend = TokenBackend(tokenizer, engine, asyncio.get_running_loop(), name="verl", max_context=context)
        episode = await asyncio.to_thread(self._played, backend, seed, temperature)
        totals = fair_totals(episode)
        rows = rows_of(turns_of(episode)) if totals is not None else []
        if totals is None or not rows:
            said = episode.error.get("message", "the model wrote nothing")
            raise ModelError(f"the game with seed {seed} failed, and a failure is no reward: {said}")
        row = rows[int(np.random.default_rng([seed, 5]).integers(len(rows)))]
        user, assistant = totals
        return {
            "prompt_ids": row.prompt_ids,
            "response_ids": row.completion_ids,
            "response_mask": row.mask,
            "response_logprobs": row.logprobs,
            "reward_score": float(self.welfare.value(user, assistant)),
            "num_turns": 2 * sum(bool(step.assistant.model) for step in episode.steps),
            "extra_fields": {
                "reward_extra_info": {"user": user, "assistant": assistant},
                "turn_scores": [],
                "tool_rewards": [],
            },
        }

    def _played(self, backend: TokenBackend, seed: int, temperature: float) -> Episode:
        """Play in a thread: our games wait for their engine."""
        config = self.config
        options = {**({"tasks": config.tasks} if config.tasks else {}), **config.options}
        return play_episode(
            parallel_env(config.scenario, **options),
            population(config.users),
            player(backend, config, temperature=temperature),
            seed=seed,
        )
