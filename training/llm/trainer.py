"""The loop: play groups of games, find out which turns were good for both sides, learn from them, and hand the weights over.

A run's folder holds ``config.json`` (settings, seed, versions, command), ``metrics.jsonl``, ``checkpoints/``, ``samples/`` (games
for ``gtalign replay``) and at the end ``model/``, a Hugging Face folder.

Every draw follows from the run's seed and the iteration, and a checkpoint is written between iterations; so a run that goes
on after a crash is the same, to the last bit on a CPU, as one that never stopped.
"""

from __future__ import annotations

import collections
import copy
import dataclasses
import json
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from gtalign_env.agents.backends.constraints import Grammars
from gtalign_env.agents.backends.in_process import end_tokens
from gtalign_env.agents.backends.loading import Loaded, quiet
from gtalign_env.agents.users import population
from gtalign_env.env import GameEnv, parallel_env
from gtalign_env.episode import EpisodeWriter
from gtalign_env.errors import UsageError
from gtalign_env.play import versions
from gtalign_env.training.errors import TrainingError
from gtalign_env.training.llm import models
from gtalign_env.training.llm.config import LLMConfig
from gtalign_env.training.llm.credit import Means, assign
from gtalign_env.training.llm.distributed import computed_in, gather_rows, restore, snapshot, world, wrap
from gtalign_env.training.llm.evaluate import evaluation, jobs, play_evaluation
from gtalign_env.training.llm.learner import Learner
from gtalign_env.training.llm.log import Clock, figures_of, flat, read_config
from gtalign_env.training.llm.rollout import Group, Room, play_groups, seeds_of
from gtalign_env.training.llm.sampler import CopySampler, InProcessSampler, Sampler, VLLMSampler, whole_model
from gtalign_env.training.llm.scoring import Scorer
from gtalign_env.training.llm.server import ServerSampler
from gtalign_env.training.llm.sync import Canary, make_probe
from gtalign_env.training.llm.trajectory import Turn
from gtalign_env.training.llm.values import Reading
from gtalign_env.training.objectives import make_objective
from gtalign_env.training.strategic import checkpoint
from gtalign_env.training.strategic.log import MetricsFile, Tracker

__all__ = ["Run", "read_config"]

Tell = Callable[[dict[str, Any]], None]


class Run:
    """A run with a language model, from the first game to the last.

    Args:
        config: The settings.
        folder: Where it is written down; nowhere when ``None``.
        command: The command that started it, for the record.
        trackers: Further places for the figures.
        loaded: The model, where it is in memory already; it is changed.
    """

    def __init__(
        self,
        config: LLMConfig,
        folder: Path | None = None,
        *,
        command: Sequence[str] = (),
        trackers: Sequence[Tracker] = (),
        loaded: Loaded | None = None,
    ) -> None:
        self.config, self.folder, self.command = config, folder, list(command)
        self.trackers = list(trackers)
        torch.set_num_threads(config.threads)
        self.world = world()
        self.objective = make_objective(config.objective, config.aggregation)
        self.loaded = models.load(config) if loaded is None else loaded
        reference = None
        if config.kl > 0.0 and not config.lora_rank:
            reference = copy.deepcopy(self.loaded.model).requires_grad_(requires_grad=False)
        self.model = wrap(models.adapted(self.loaded.model, config), self.world, precision=config.precision)
        self.sampler = self._sampler()
        self.assistant = models.player(self.sampler.backend, config)
        self.learner = Learner(self.model, self._scorer(), config, reference=reference, found=self.world)
        self.rooms = {"training": self._room(evaluating=False)}
        if config.eval_episodes:
            self.rooms["evaluation"] = self._room(evaluating=True)
        self.canary = Canary(make_probe(len(self.loaded.tokenizer), precision=self._precision()), seed=config.seed)
        self.canary.look(self.sampler, self.model, step=0)
        self.means = Means(config.forget)
        self.reading = Reading()
        self.iteration = 0
        self.seconds = 0.0
        """Spent on play and learning so far, evaluations and checkpoints aside."""
        self.violations = 0

    # -- the loop -------------------------------------------------------------------------------------------------------

    def train(
        self, tell: Tell | None = None, *, until: int | None = None, stop: Callable[[], bool] | None = None
    ) -> dict[str, Any]:
        """Train to the end, or to an iteration.

        Args:
            tell: Called with every iteration's figures; the first time, before anything is learned, with an evaluation.
            until: Stop after this iteration.
            stop: Asked after every iteration; where it says so, a checkpoint is written and the rest is left.

        Returns:
            The figures of the last iteration, at the end with an evaluation.

        Raises:
            TrainingError: Something is not finite, the engine has not taken the weights over, or all games failed.
            CheckpointError: A checkpoint could not be written.
        """
        config = self.config
        last = config.iterations if until is None else min(until, config.iterations)
        metrics = self._open_record()
        figures: dict[str, Any] = {"update": self.iteration, "seconds": self.seconds}
        try:
            if self.iteration == 0 and config.eval_episodes:
                figures["evaluation"] = self.evaluate()
                self._note(figures, metrics, tell)
            while self.iteration < last:
                figures = self.advance()
                final = self.iteration == config.iterations
                stopped = not final and any(gather_rows([stop is not None and stop()], self.world))
                if config.eval_episodes and (final or _due(self.iteration, config.eval_every)):
                    figures["evaluation"] = self.evaluate()
                self._note(figures, metrics, tell)
                if self.folder is not None and (final or stopped or _due(self.iteration, config.checkpoint_every)):
                    self.save()
                if stopped:
                    break
            if self.folder is not None and self.iteration == config.iterations:
                self.export(self.folder / "model")
        finally:
            if metrics is not None:
                metrics.close()
            for tracker in self.trackers:
                tracker.close()
        return figures

    def advance(self) -> dict[str, Any]:
        """Play, learn, hand the weights over: one iteration. Returns its figures."""
        clock = Clock()
        groups = self.play()
        clock.lap("play")
        credit = assign(groups, self.means, self.config, values=self._expected)
        figures = self.learner.learn(credit.turns, credit.gains, iteration=self.iteration)
        clock.lap("learn")
        self.sampler.sync(self.model)
        check = self.canary.look(self.sampler, self.model, step=self.iteration)
        clock.lap("sync")
        self.iteration += 1
        self.seconds += clock.total
        told = figures_of(groups, self.objective)
        self.violations += told["violations"]
        return {
            "update": self.iteration,
            "seconds": self.seconds,
            "took": clock.laps,
            **told,
            "violations_in_all": self.violations,
            **credit.figures,
            "learning": figures,
            "probe": {"difference": check.difference, "moved": check.moved, "version": self.sampler.version},
        }

    def play(self) -> list[Group]:
        """Play this iteration's groups.

        Raises:
            TrainingError: Every group lost a game for good: there is nothing to learn from.
        """
        config = self.config
        seeds = seeds_of(config.seed, self.iteration, config.groups)
        own = play_groups(
            self.rooms["training"],
            self.world.share(seeds),
            config.group_size,
            pricings=config.pricings,
            schema=models.held_to(self.assistant),
            retries=config.retries,
            version=self.sampler.version,
        )
        self._keep_samples(own)
        groups = gather_rows(own, self.world)
        if all(group.dropped for group in groups):
            errors = sum((collections.Counter(group.errors) for group in groups), collections.Counter[str]())
            raise TrainingError(
                f"every group of iteration {self.iteration + 1} lost a game for good: "
                + ", ".join(f"{count} × {kind}" for kind, count in errors.most_common())
                + (f" ({self._complaint})" if self._complaint else ""),
                step=self.iteration,
                seed=config.seed,
            )
        return groups

    def evaluate(self) -> dict[str, Any]:
        """Return how good the model is now, on the games of evaluations."""
        config = self.config
        wanted = jobs(config.eval_episodes, config.eval_pricings or config.pricings, 0)
        began = time.perf_counter()
        played = gather_rows(play_evaluation(self.rooms["evaluation"], self.world.share(wanted)), self.world)
        return {**evaluation(played, self.objective), "seconds": time.perf_counter() - began}

    # -- parts ----------------------------------------------------------------------------------------------------------

    def _sampler(self) -> Sampler:
        config = self.config
        loaded = self.loaded._replace(model=self.model)
        if config.sampler == "vllm":
            return VLLMSampler(models.place_of(config.model))
        if config.sampler == "server":
            folder = config.server_folder or (None if self.folder is None else self.folder / "served")
            return ServerSampler(
                config.server_model or config.model,
                base_url=config.server,
                how=config.server_how,
                folder=folder,
                tokenizer=self.loaded.tokenizer,
            )
        if config.sampler == "copy" or self.world.size > 1:
            return CopySampler(loaded, batch_size=config.batch_size)
        return InProcessSampler(loaded, batch_size=config.batch_size)

    def _scorer(self) -> Scorer:
        tokenizer, size = self.loaded.tokenizer, self.loaded.model.config.vocab_size
        ends = end_tokens(tokenizer, getattr(self.loaded.model.generation_config, "eos_token_id", None))
        pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else 0
        return Scorer(self.model, Grammars(tokenizer, size=size, ends=ends), size=size, pad=pad)

    def _room(self, *, evaluating: bool) -> Room:
        config = self.config
        users = (config.eval_users or config.users) if evaluating else config.users
        tasks = (config.eval_tasks or config.tasks) if evaluating else config.tasks
        assistant = self.assistant
        if evaluating:
            assistant = models.player(self.sampler.backend, config, temperature=config.eval_temperature)

        def make_env() -> GameEnv:
            options = {**({"tasks": tasks} if tasks else {}), **config.options}
            return parallel_env(config.scenario, **options)

        return Room(make_env, population(users), assistant, games=config.games)

    def _precision(self) -> str:
        return computed_in(self.model, self.world, self.config.precision)

    def _expected(self, turns: Sequence[Turn], to_go: Any) -> Any:
        """Return what was expected of turns, by what is known from the iterations before."""
        features = self.learner.hidden(turns)
        if not self.reading.known:
            self.reading.fit(features, to_go)
            return self.reading.of(features)
        expected = self.reading.of(features)
        self.reading.fit(features, to_go)
        return expected

    _complaint = ""

    def _keep_samples(self, groups: Sequence[Group]) -> None:
        """Write some games down, now and then."""
        config = self.config
        failed = next((episode for group in groups for episode in group.failed), None)
        self._complaint = "" if failed is None else failed.error.get("message", "")
        if self.folder is None or not self.world.is_main or not _due(self.iteration, config.samples_every):
            return
        episodes = [episode for group in groups for episode in group.episodes][: config.samples]
        folder = self.folder / "samples"
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{self.iteration:06d}.jsonl"
        path.unlink(missing_ok=True)
        with EpisodeWriter(path) as writer:
            for episode in episodes:
                writer.write(episode)

    # -- the record -----------------------------------------------------------------------------------------------------

    def _open_record(self) -> MetricsFile | None:
        if self.folder is None or not self.world.is_main:
            return None
        header = {
            "kind": "llm",
            "config": self.config.as_dict(),
            "seed": self.config.seed,
            "versions": {**versions(), "torch": str(torch.__version__)},
            "command": self.command,
        }
        path = self.folder / "config.json"
        if not path.exists() or read_config(self.folder) != self.config:
            checkpoint.write_whole(path, json.dumps(header, indent=2, ensure_ascii=False).encode())
        return MetricsFile(self.folder / "metrics.jsonl", header, update=self.iteration or None)

    def _note(self, figures: dict[str, Any], metrics: MetricsFile | None, tell: Tell | None) -> None:
        if not self.world.is_main:
            return
        if metrics is not None:
            metrics.write(figures)
        for tracker in self.trackers:
            tracker.log(self.iteration, dict(flat(figures)))
        if tell is not None:
            tell(figures)

    # -- checkpoints ----------------------------------------------------------------------------------------------------

    def save(self) -> None:
        """Write a checkpoint; all processes have to.

        Raises:
            CheckpointError: It could not be written; older ones are as they were.
        """
        if self.folder is None:
            raise UsageError("this run has no folder to write checkpoints to")
        learned = snapshot(self.model, self.learner.optimizer)
        if not self.world.is_main:
            return
        state = {
            "kind": "llm",
            "config": self.config.as_dict(),
            "versions": versions(),
            "iteration": self.iteration,
            "seconds": self.seconds,
            "violations": self.violations,
            "means": self.means.known,
            "reading": self.reading.state(),
            "sampler": self.sampler.version,
            "generator": torch.get_rng_state(),
            **learned,
        }
        checkpoint.save(self.folder / "checkpoints", self.iteration, state)

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on where ``save`` was called."""
        restore(self.model, self.learner.optimizer, state)
        self.iteration, self.seconds, self.violations = state["iteration"], state["seconds"], state["violations"]
        self.means.known = dict(state["means"])
        self.reading.restore(state["reading"])
        torch.set_rng_state(state["generator"])
        self.sampler.sync(self.model)
        self.sampler.version = state["sampler"]
        self.canary.look(self.sampler, self.model, step=self.iteration)

    @classmethod
    def resume(cls, folder: Path, *, iterations: int | None = None, **options: Any) -> Run:
        """Return the run in a folder as its newest readable checkpoint has it, or at its start where there is none yet.

        Args:
            folder: A run's folder.
            iterations: How many there are now in all, where there were fewer.
            **options: ``command``, ``trackers`` and ``loaded`` of the constructor; ``loaded`` as the run began with it.

        Raises:
            FileFormatError: The folder holds no run.
            CheckpointError: There are checkpoints, and none is readable.
        """
        config = read_config(folder)
        if iterations is not None:
            if iterations < config.iterations or (config.decay and iterations > config.iterations):
                why = "its learning rate falls to 0 by then" if config.decay else "a run does not get shorter"
                raise UsageError(f"iterations: this run has {config.iterations}, and {why}: got {iterations}")
            config = dataclasses.replace(config, iterations=iterations)
        run = cls(config, folder, **options)
        if any((folder / "checkpoints").glob("*.ckpt")):
            run.restore(checkpoint.load(checkpoint.latest(folder / "checkpoints")))
        return run

    def export(self, folder: Path) -> None:
        """Write the model as a Hugging Face folder, adapters merged; what was there is replaced at once."""
        made = whole_model(self.model, device="cpu")
        if not self.world.is_main:
            return
        beside = folder.with_name(f".{folder.name}.part")
        shutil.rmtree(beside, ignore_errors=True)
        with quiet():
            made.save_pretrained(beside)
            self.loaded.tokenizer.save_pretrained(beside)
        shutil.rmtree(folder, ignore_errors=True)
        beside.rename(folder)


def _due(iteration: int, every: int) -> bool:
    return every > 0 and iteration % every == 0
