"""Our games in TRL's ``GRPOTrainer``: a ``rollout_func``, a dataset of seeds, and reward functions for both sides.

    games = TrlGames(tasks="authored", chain="none")
    trainer = GRPOTrainer(
        model=model, processing_class=tokenizer, train_dataset=games.dataset(64),
        reward_funcs=[user_reward, assistant_reward, welfare_reward("cobb_douglas")],
        rollout_func=games,
        args=GRPOConfig(num_generations=8, temperature=1.0, reward_weights=[0.0, 0.0, 1.0], …),
    )

Written for TRL 1.16, whose ``rollout_func`` is experimental. What is lost against ``gtalign train llm``:

* rewards are joined by a weighted sum, so a welfare that is not linear has to be one reward function (the others are logged
  with weight 0), and it is the expected welfare of an episode (``esr``), never the welfare of expectations;
* all tokens of a game share one advantage, and a game is one sequence: of a game whose turns do not continue one another one
  sequence is drawn, and the others are not learned from (``left_out`` counts their turns);
* TRL hands over prompts and nothing else, so the seed of a game is written in its prompt.

A game that fails has no reward (``None``), which TRL leaves out of baselines; one that complied with harm has ``rows.HARM``.
"""

from __future__ import annotations

import collections
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from gtalign_env.agents.backends.loading import Loaded, Source, wants_bos
from gtalign_env.agents.backends.transformers import TransformersBackend
from gtalign_env.agents.users import population
from gtalign_env.env import parallel_env
from gtalign_env.episode import Episode
from gtalign_env.errors import UsageError, require
from gtalign_env.play import episode_seeds
from gtalign_env.training.adapters.rows import Row, fair_totals, rows_of
from gtalign_env.training.llm.config import LLMConfig
from gtalign_env.training.llm.models import held_to, player
from gtalign_env.training.llm.rollout import Job, Room
from gtalign_env.training.llm.trajectory import turns_of
from gtalign_env.training.objectives import Objective, make_objective

__all__ = ["TrlGames", "assistant_reward", "user_reward", "welfare_reward"]

_PROMPT = re.compile(r"game (\d+)")


class TrlGames:
    """Plays the games of a batch with the model that TRL trains: what ``GRPOTrainer(rollout_func=…)`` takes.

    Args:
        scenario: A game in words.
        tasks: Where the questions come from.
        users: The population.
        games: Games at once, at most.
        batch_size: Rows in one forward pass of sampling.
        options: Further options of the scenario.
        **settings: ``chain``, ``criterion``, ``moves`` and ``budget`` of ``LLMConfig``.

    Example:
        >>> TrlGames(chain="none").prompts(2, seed=0)[0].startswith("game ")
        True
    """

    def __init__(
        self,
        scenario: str = "gtalign/AssistText-v0",
        *,
        tasks: str = "small:train",
        users: str = "default",
        games: int = 128,
        batch_size: int = 128,
        options: Mapping[str, Any] | None = None,
        **settings: Any,
    ) -> None:
        self.config = LLMConfig(
            **{"model": "trl", **settings},
            scenario=scenario,
            tasks=tasks,
            users=users,
            games=games,
            batch_size=batch_size,
        )
        self._options = {**({"tasks": tasks} if tasks else {}), **(options or {})}
        self._room: Room | None = None
        self._model: Any = None
        self.left_out = 0
        """Turns so far that no sequence could hold together with the one that was drawn."""
        self.episodes: list[Episode] = []
        """The games of the last call."""

    def prompts(self, count: int, *, seed: int = 0) -> list[str]:
        """Return prompts that stand for games."""
        return [f"game {episode}" for episode in episode_seeds(seed, count)]

    def dataset(self, count: int, *, seed: int = 0) -> Any:
        """Return a ``datasets.Dataset`` of so many games.

        Raises:
            MissingExtraError: ``datasets`` is not installed.
        """
        datasets: Any = require("datasets", feature="a dataset for TRL", extra="trl")
        return datasets.Dataset.from_dict({"prompt": self.prompts(count, seed=seed)})

    def __call__(self, prompts: Sequence[Any], trainer: Any) -> dict[str, list[Any]]:
        """Play one game for each prompt; equal prompts (TRL repeats them) differ in nothing but the model's draws.

        Args:
            prompts: Those of ``prompts``, each as often as a group has members.
            trainer: TRL's.

        Raises:
            UsageError: A prompt is no game of ours, or the trainer samples otherwise than by the model's own distribution.
        """
        room = self._seated(trainer)
        draws: collections.Counter[int] = collections.Counter()
        step = int(trainer.state.global_step)
        jobs = []
        for seed in map(_seed, prompts):
            jobs.append(Job(seed=seed, draw=step * 100_003 + draws[seed]))
            draws[seed] += 1
        self.episodes = room.play(jobs)
        schema = held_to(room.assistant)
        rows = [self._row(episode, schema, trainer) for episode in self.episodes]
        totals = [fair_totals(episode) or (None, None) for episode in self.episodes]
        return {
            "prompt_ids": [row.prompt_ids for row in rows],
            "completion_ids": [row.completion_ids for row in rows],
            "logprobs": [row.logprobs for row in rows],
            "env_mask": [row.mask for row in rows],
            "user_payoff": [user for user, _ in totals],
            "assistant_payoff": [assistant for _, assistant in totals],
            "turns": [row.turns for row in rows],
        }

    def _row(self, episode: Episode, schema: str, trainer: Any) -> Row:
        rows = rows_of(turns_of(episode, schema=schema)) if fair_totals(episode) else []
        if not rows:
            end = trainer.processing_class.eos_token_id
            return Row(prompt_ids=[end], completion_ids=[end], mask=[0], logprobs=[0.0], turns=0)
        row = rows[int(np.random.default_rng([episode.seed, 5]).integers(len(rows)))]
        self.left_out += sum(other.turns for other in rows) - row.turns
        return row

    def _seated(self, trainer: Any) -> Room:
        """Return the room, with the trainer's model as the assistant."""
        args = trainer.args
        if args.temperature != 1.0 or args.top_p != 1.0 or args.top_k or getattr(args, "min_p", None):
            raise UsageError(
                "TrlGames: expected GRPOConfig(temperature=1.0, top_p=1.0, top_k=0): the model plays with draws of its own "
                "distribution, and others would be learned from as if they were"
            )
        if trainer.use_vllm:
            raise UsageError("TrlGames: plays with transformers: expected GRPOConfig(use_vllm=False)")
        model = trainer.accelerator.unwrap_model(trainer.model)
        if self._room is None or model is not self._model:
            self._model = model
            base = model.get_base_model() if hasattr(model, "get_base_model") else model
            tokenizer = trainer.processing_class
            loaded = Loaded(base, tokenizer, "trl", bos=wants_bos(tokenizer, base, Source("")))
            backend = TransformersBackend(loaded, batch_size=self.config.batch_size)
            assistant = player(backend, self.config)
            self._room = Room(
                lambda: parallel_env(self.config.scenario, **self._options),
                population(self.config.users),
                assistant,
                games=self.config.games,
            )
        return self._room


def user_reward(user_payoff: Sequence[float | None], **_: Any) -> list[float | None]:
    """Return the users' payoffs, a reward function of TRL.

    Example:
        >>> user_reward([1.0, None], completions=["a", "b"])
        [1.0, None]
    """
    return list(user_payoff)


def assistant_reward(assistant_payoff: Sequence[float | None], **_: Any) -> list[float | None]:
    """Return the assistant's payoffs, a reward function of TRL.

    Example:
        >>> assistant_reward([1.0, None])
        [1.0, None]
    """
    return list(assistant_payoff)


def welfare_reward(objective: str | Objective = "cobb_douglas") -> Callable[..., list[float | None]]:
    """Return a reward function of TRL: the welfare W(U, L) of each game.

    Args:
        objective: See ``training.objectives``.

    Example:
        >>> welfare_reward()([4.0, None], [1.0, None])
        [2.0, None]
    """
    welfare = make_objective(objective)

    def reward(
        user_payoff: Sequence[float | None], assistant_payoff: Sequence[float | None], **_: Any
    ) -> list[float | None]:
        pairs = zip(user_payoff, assistant_payoff, strict=True)
        return [None if u is None or a is None else float(welfare.value(u, a)) for u, a in pairs]

    reward.__name__ = f"welfare_{getattr(welfare, 'name', 'of_both')}"
    return reward


def _seed(prompt: Any) -> int:
    text = prompt if isinstance(prompt, str) else str(prompt[-1]["content"]) if prompt else ""
    found = _PROMPT.fullmatch(text.strip())
    if found is None:
        raise UsageError(f"TrlGames: expected a prompt such as 'game 123' (see TrlGames.dataset), got {text[:40]!r}")
    return int(found[1])
