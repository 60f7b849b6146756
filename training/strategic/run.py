"""A run: play, learn, evaluate, write down, and go on after a crash as if nothing had happened.

A run's folder holds ``config.json`` (settings, seed, versions, command), ``metrics.jsonl``, ``checkpoints/`` and ``policy.pt``,
which ``gtalign run … --assistant trained:FOLDER`` plays.
"""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gtalign_env.errors import FileFormatError, UsageError
from gtalign_env.play import versions
from gtalign_env.training.errors import TrainingError
from gtalign_env.training.strategic import checkpoint
from gtalign_env.training.strategic.config import Config
from gtalign_env.training.strategic.evaluate import Evaluation, evaluate, share
from gtalign_env.training.strategic.log import MetricsFile, Tracker
from gtalign_env.training.strategic.ppo import Learner
from gtalign_env.training.strategic.rollout import Arena
from gtalign_env.training.strategic.selfplay import Pool
from gtalign_env.vector_chair import VectorChair

__all__ = ["Run", "read_config"]

Tell = Callable[[dict[str, Any]], None]


class Run:
    """A strategic run, from the first step to the last.

    Args:
        config: The settings.
        folder: Where it is written down; nowhere when ``None``.
        command: The command that started it, for the record.
        trackers: Further places for the figures.

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
        optimum: float | None = None,
        make_env: Callable[[int], VectorChair] | None = None,
    ) -> None:
        self.config, self.folder, self.command = config, folder, list(command)
        self.trackers = list(trackers)
        self.optimum = optimum
        """The exact optimum of the objective, where it is known: evaluations then tell their share."""
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

    def train(self, tell: Tell | None = None, *, until: int | None = None) -> dict[str, Any]:
        """Train to the end, or to an update.

        Args:
            tell: Called with every update's figures.
            until: Stop after this update.

        Returns:
            The figures of the last update, with an evaluation.

        Raises:
            TrainingError: A payoff, a loss or a gradient is not finite.
            CheckpointError: A checkpoint could not be written.
        """
        config = self.config
        last = config.updates if until is None else min(until, config.updates)
        metrics = self._open_record()
        figures: dict[str, Any] = {"update": self.update, "steps": self.steps, "seconds": self.seconds}
        try:
            while self.update < last:
                figures = self.advance()
                final = self.update == config.updates
                if final or (config.evaluate_every and self.update % config.evaluate_every == 0):
                    figures.update(self._evaluations())
                self._note(figures, metrics, tell)
                if self.folder is not None and (
                    final or (config.checkpoint_every and self.update % config.checkpoint_every == 0)
                ):
                    self.save()
        finally:
            if metrics is not None:
                metrics.close()
            for tracker in self.trackers:
                tracker.close()
        if "evaluation" not in figures:
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
        for learner in self.learners.values():
            learner.begin()
        for t in range(config.horizon):
            moves = {agent: learner.act(t, arena, self.rng) for agent, learner in self.learners.items()}
            if self.pool is not None:
                self.pool.replace(t, moves, self.rng)
            arena.step(moves)
            if not np.isfinite(arena.payoffs).all():
                raise TrainingError("a payoff of the game is not finite", step=self.steps, seed=config.seed)
            self.violations += int(arena.violations.sum())
            for learner in self.learners.values():
                learner.receive(t, arena)
        progress = self.update / config.updates
        figures: dict[str, Any] = {}
        for agent, learner in self.learners.items():
            learner.end(arena)
            own = None if self.pool is None else self.pool.own[agent]
            figures[agent] = learner.learn(progress, self.rng, step=self.steps, games=own)
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
        """Return how good the learners are now (see ``evaluate.evaluate``)."""
        return evaluate(self.config, self.nets, greedy=greedy, **options)

    def _evaluations(self) -> dict[str, Any]:
        return {
            "evaluation": share(self.evaluate(), self.optimum),
            "evaluation_sampled": share(self.evaluate(greedy=False), self.optimum),
        }

    # -- the record ---------------------------------------------------------------------------------------------------

    def _open_record(self) -> MetricsFile | None:
        if self.folder is None:
            return None
        header = {
            "config": self.config.as_dict(),
            "seed": self.config.seed,
            "optimum": self.optimum,
            "versions": {**versions(), "torch": str(torch.__version__)},
            "command": self.command,
        }
        if self.update == 0:
            text = json.dumps(header, indent=2, ensure_ascii=False)
            checkpoint.write_whole(self.folder / "config.json", text.encode())
        return MetricsFile(self.folder / "metrics.jsonl", header, update=self.update or None)

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
    def resume(cls, folder: Path, **options: Any) -> Run:
        """Return the run in a folder as its newest readable checkpoint has it, or at its start where there is none yet.

        Args:
            folder: A run's folder.
            **options: ``trackers``, ``optimum`` and ``command`` of the constructor.

        Raises:
            FileFormatError: The folder holds no run.
            CheckpointError: There are checkpoints, and none is readable.
        """
        run = cls(read_config(folder), folder, **options)
        if any((folder / "checkpoints").glob("*.ckpt")):
            run.restore(checkpoint.load(checkpoint.latest(folder / "checkpoints")))
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


def read_config(folder: Path) -> Config:
    """Return the settings of the run in a folder.

    Raises:
        FileFormatError: The folder holds no run.
    """
    path = folder / "config.json"
    try:
        found = json.loads(path.read_text(encoding="utf-8"))["config"]
        return Config(**found)
    except FileNotFoundError:
        raise FileFormatError(path, "is missing: expected the folder of a run of 'gtalign train strategic'") from None
    except (KeyError, TypeError, ValueError) as error:
        raise FileFormatError(path, f"is no record of a run: {error}") from None


def _flat(figures: Mapping[str, Any], prefix: str = "") -> Any:
    """Yield numbers by path: ``("evaluation/welfare", 1.05)``."""
    for name, value in figures.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}/")
        elif isinstance(value, (int, float)):
            yield f"{prefix}{name}", float(value)
