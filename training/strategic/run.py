"""A run: play, learn, evaluate, write down, and go on after a crash as if nothing had happened.

A run's folder holds ``config.json`` (settings, seed, versions, command), ``metrics.jsonl``, ``checkpoints/`` and ``policy.pt``,
which ``gtalign run … --assistant trained:FOLDER`` plays.
"""

from __future__ import annotations

import dataclasses
import io
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gtalign_env.errors import UsageError
from gtalign_env.play import versions
from gtalign_env.training.errors import TrainingError
from gtalign_env.training.measure import Evaluation, share
from gtalign_env.training.strategic import checkpoint
from gtalign_env.training.strategic.config import Config
from gtalign_env.training.strategic.evaluate import MakeEnv, evaluate
from gtalign_env.training.strategic.log import MetricsFile, Tracker
from gtalign_env.training.strategic.ppo import Learner
from gtalign_env.training.strategic.record import Record, longer, read_record, write_record
from gtalign_env.training.strategic.rollout import Arena
from gtalign_env.training.strategic.selfplay import Pool
from gtalign_env.training.yardstick import Unknown, Yardstick

__all__ = ["Run"]

Tell = Callable[[dict[str, Any]], None]


class Run:
    """A strategic run, from the first step to the last.

    Args:
        config: The settings.
        folder: Where it is written down; nowhere when ``None``.
        command: The command that started it, for the record.
        trackers: Further places for the figures.
        yardstick: What evaluations are measured by (``yardstick.yardstick``).
        make_env: Makes the games of a learning assistant, given their number, in place of the config's scenario, users and prices
            (see ``people.MadeUp``).

    Attributes:
        record: What the folder says about the run.

    Example:
        >>> run = Run(Config(options={"questions": 1}, games=64, steps=1024, evaluate_episodes=100))
        >>> figures = run.train()
        >>> figures["steps"], figures["evaluation"]["episodes"]
        (1024, 100)
    """

    def __init__(
        self,
        config: Config,
        folder: Path | None = None,
        *,
        command: Sequence[str] = (),
        trackers: Sequence[Tracker] = (),
        yardstick: Yardstick | None = None,
        make_env: MakeEnv | None = None,
    ) -> None:
        self.config, self.folder, self.make_env = config, folder, make_env
        self.trackers = list(trackers)
        unknown = Unknown.OFF if make_env is None else Unknown.OWN_GAMES
        self.record = Record(
            config=config,
            yardstick=yardstick or Yardstick(unknown=unknown, why=unknown.words),
            games="" if make_env is None else repr(make_env),
            command=tuple(command),
        )
        torch.set_num_threads(config.threads)
        self.rng = np.random.default_rng(config.seed)
        self.arena = Arena(config, make_env=make_env)
        with torch.random.fork_rng():  # only the first weights come from PyTorch's generator
            torch.default_generator.manual_seed(config.seed)
            self.learners = {agent: Learner(config, self.arena, agent) for agent in config.chairs}
        self.arena.reset(config.seed)
        self.pool = Pool(self.learners, config.games) if config.opponent == "pool" else None
        self.update = 0
        self.seconds = 0.0
        """Spent on play and learning so far, evaluations and checkpoints aside."""
        self.violations = 0

    @property
    def steps(self) -> int:
        """Steps of the game played so far."""
        return self.update * self.config.games * self.config.horizon

    @property
    def nets(self) -> dict[str, Any]:
        """The networks by agent."""
        return {agent: learner.net for agent, learner in self.learners.items()}

    # -- training -----------------------------------------------------------------------------------------------------

    def train(
        self, tell: Tell | None = None, *, until: int | None = None, stop: Callable[[], bool] | None = None
    ) -> dict[str, Any]:
        """Train to the end, or to an update.

        Args:
            tell: Called with every update's figures.
            until: Stop after this update.
            stop: Asked after every update: whether to write a checkpoint and stop there.

        Returns:
            The figures of the last update, with an evaluation unless ``stop`` said so.

        Raises:
            TrainingError: A payoff, a loss or a gradient is not finite.
            CheckpointError: A checkpoint could not be written.
        """
        config = self.config
        last = config.updates if until is None else min(until, config.updates)
        metrics = self._open_record()
        figures: dict[str, Any] = {"update": self.update, "steps": self.steps, "seconds": self.seconds}
        stopped = False
        try:
            while self.update < last and not stopped:
                figures = self.advance()
                final = self.update == config.updates
                if final or (config.evaluate_every and self.update % config.evaluate_every == 0):
                    figures.update(self._evaluations())
                self._note(figures, metrics, tell)
                stopped = stop is not None and stop()
                due = final or (config.checkpoint_every and self.update % config.checkpoint_every == 0)
                if self.folder is not None and (due or stopped):
                    self.save()
        finally:
            if metrics is not None:
                metrics.close()
            for tracker in self.trackers:
                tracker.close()
        if "evaluation" not in figures and not stopped:
            figures.update(self._evaluations())
        return figures

    def advance(self) -> dict[str, Any]:
        """Play a block and learn from it: one update. Returns its figures."""
        began = time.perf_counter()
        config, arena = self.config, self.arena
        if self.pool is not None:
            if self.update % config.snapshot_every == 0:
                self.pool.keep()
            self.pool.draw(self.rng)
        for agent, learner in self.learners.items():
            learner.begin(None if self.pool is None else self.pool.own[agent])
        for t in range(config.horizon):
            moves = {agent: learner.act(t, arena, self.rng) for agent, learner in self.learners.items()}
            if self.pool is not None:
                self.pool.replace(t, moves, self.rng)
            arena.step(moves)
            if not np.isfinite(arena.payoffs).all():
                raise TrainingError(
                    "a payoff of the game is not finite", step=self.steps + t * config.games, seed=config.seed
                )
            self.violations += int(arena.violations.sum())
            for learner in self.learners.values():
                learner.receive(t, arena)
        progress = 0.0 if config.schedule == "constant" else self.update / config.updates
        played = self.steps + config.horizon * config.games
        figures: dict[str, Any] = {}
        for agent, learner in self.learners.items():
            learner.end(arena)
            figures[agent] = learner.learn(progress, self.rng, step=played)
        self.update += 1
        self.seconds += time.perf_counter() - began
        user, assistant = next(iter(self.learners.values())).returns.mean(axis=0).tolist()
        return {
            "update": self.update,
            "steps": self.steps,
            "seconds": self.seconds,
            "user": user,
            "assistant": assistant,
            "violations": self.violations,
            "learning": figures,
        }

    def evaluate(self, *, greedy: bool = True, **options: Any) -> Evaluation:
        """Return how good the learners are now, in the games that they learn from (see ``evaluate.evaluate``)."""
        return evaluate(self.config, self.nets, greedy=greedy, make_env=self.make_env, **options)

    def _evaluations(self) -> dict[str, Any]:
        yardstick = self.record.yardstick
        return {
            "evaluation": share(self.evaluate(), yardstick),
            "evaluation_sampled": share(self.evaluate(greedy=False), yardstick),
        }

    # -- the record ---------------------------------------------------------------------------------------------------

    def _open_record(self) -> MetricsFile | None:
        if self.folder is None:
            return None
        if self.update == 0:
            write_record(self.folder, self.record)
        return MetricsFile(self.folder / "metrics.jsonl", self.record.as_dict(), update=self.update or None)

    def _note(self, figures: dict[str, Any], metrics: MetricsFile | None, tell: Tell | None) -> None:
        if metrics is not None:
            metrics.write(figures)
        flat = dict(_flat(figures))
        for tracker in self.trackers:
            tracker.log(self.steps, flat)
        if tell is not None:
            tell(figures)

    # -- checkpoints --------------------------------------------------------------------------------------------------

    def save(self) -> Path:
        """Write a checkpoint and ``policy.pt``.

        Raises:
            CheckpointError: They could not be written; older ones are as they were.
        """
        if self.folder is None:
            raise UsageError("this run has no folder to write checkpoints to")
        state = {
            "config": self.config.as_dict(),
            "versions": versions(),
            "update": self.update,
            "seconds": self.seconds,
            "violations": self.violations,
            "rng": self.rng,
            "arena": self.arena.state(),
            "learners": {agent: learner.state() for agent, learner in self.learners.items()},
            "pool": None if self.pool is None else self.pool.kept,
        }
        path = checkpoint.save(self.folder / "checkpoints", self.update, state)
        buffer = io.BytesIO()
        torch.save(self.policy(), buffer)
        checkpoint.write_whole(self.folder / "policy.pt", buffer.getvalue())
        return path

    def policy(self) -> dict[str, Any]:
        """Return what a player needs: plain values and weights, which ``torch.load(weights_only=True)`` reads."""
        return {
            "format": 1,
            "scenario": self.arena.scenario.name,
            "input": self.config.input,
            "safety": self.config.safety,
            "players": {
                agent: {"shape": dict(learner.net.shape), "weights": learner.net.state_dict()}
                for agent, learner in self.learners.items()
            },
        }

    @classmethod
    def resume(cls, folder: Path, *, steps: int | None = None, make_env: MakeEnv | None = None, **options: Any) -> Run:
        """Return the run in a folder as its newest readable checkpoint has it, or at its start where there is none yet.

        Args:
            folder: A run's folder.
            steps: Make the run longer: so many steps in all (see ``record.longer``).
            make_env: The games again, where the run was made with games of its own.
            **options: ``trackers`` of the constructor.

        Raises:
            FileFormatError: The folder holds no run.
            CheckpointError: There are checkpoints, and none is readable.
            UsageError: The run cannot be made longer, or its games are not given.
        """
        record = read_record(folder)
        if record.games and make_env is None:
            raise UsageError(
                f"{folder}: this run plays games of its own ({record.games}), which its folder does not hold: go on with it from "
                "Python, by Run.resume(folder, make_env=…) with the same games"
            )
        if steps is not None:
            record = dataclasses.replace(record, config=longer(record.config, steps))
        run = cls(record.config, folder, make_env=make_env, yardstick=record.yardstick, **options)
        run.record = dataclasses.replace(record, games=run.record.games)
        if any((folder / "checkpoints").glob("*.ckpt")):
            run.restore(checkpoint.load(checkpoint.latest(folder / "checkpoints")))
        if steps is not None:
            write_record(folder, run.record)
        return run

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on where ``save`` was called."""
        self.update, self.seconds, self.violations = state["update"], state["seconds"], state["violations"]
        self.rng = state["rng"]
        self.arena.restore(state["arena"])
        for agent, learner in self.learners.items():
            learner.restore(state["learners"][agent])
        if self.pool is not None:
            self.pool.kept = state["pool"]


def _flat(figures: Mapping[str, Any], prefix: str = "") -> Any:
    """Yield numbers by path: ``("evaluation/welfare", 1.05)``."""
    for name, value in figures.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}/")
        elif isinstance(value, (int, float)):
            yield f"{prefix}{name}", float(value)
