"""A warm start from beginning to end: choose games, show them, write checkpoints, and go on after a crash.

A run's folder is a Hugging Face folder when it is done (``--assistant transformers:FOLDER`` plays it), and holds beside it
``run.json`` (settings, seed, versions, command, figures of the choice), ``chosen.jsonl`` (the games that are learned from),
``metrics.jsonl``, ``checkpoints/`` and, of adapters, ``adapter/``. Under ``torchrun`` all processes play and learn together.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gtalign_env.agents.backends.constraints import Grammars
from gtalign_env.agents.backends.in_process import end_tokens
from gtalign_env.agents.backends.loading import Loaded, quiet
from gtalign_env.agents.backends.transformers import TransformersBackend
from gtalign_env.agents.users import population
from gtalign_env.env import parallel_env
from gtalign_env.episode import EpisodeWriter, load_episodes
from gtalign_env.errors import FileFormatError, UsageError
from gtalign_env.play import versions
from gtalign_env.training.errors import TrainingError
from gtalign_env.training.llm import distributed, models
from gtalign_env.training.llm.rollout import Room, play_groups, seeds_of
from gtalign_env.training.llm.sampler import save_model, whole_model
from gtalign_env.training.llm.scoring import Scorer
from gtalign_env.training.llm.sft import Choice, SFTConfig, best_of, check_tokens, learnable, read_groups
from gtalign_env.training.llm.trajectory import Turn, tokens_of
from gtalign_env.training.strategic import checkpoint
from gtalign_env.training.strategic.log import MetricsFile, Tracker

__all__ = ["SFTRun", "read_sft_config"]

Tell = Callable[[dict[str, Any]], None]
_LEAST = 0.1
"""The learning rate ends at this share of its height."""


class SFTRun:
    """A warm start.

    Args:
        config: The settings.
        folder: Where it is written down; nowhere when ``None``.
        loaded: The model, where it is in memory already; it is trained in place.
        command: The command that started it, for the record.
        trackers: Further places for the figures.
    """

    def __init__(
        self,
        config: SFTConfig,
        folder: Path | None = None,
        *,
        loaded: Loaded | None = None,
        command: Sequence[str] = (),
        trackers: Sequence[Tracker] = (),
    ) -> None:
        self.config, self.folder, self.command, self.trackers = config, folder, list(command), list(trackers)
        torch.set_num_threads(config.threads)
        self.world = distributed.world()
        self.loaded = models.load(config.as_llm()) if loaded is None else loaded
        self.choice = Choice(episodes=[], figures={})
        self.turns: list[Turn] = []
        self.step = 0
        self.seconds = 0.0
        """Spent on learning so far."""
        self._model: Any = None
        self._optimizer: Any = None

    # -- what is learned from -----------------------------------------------------------------------------------------

    def choose(self, tell: Callable[[str], None] = lambda line: None) -> Choice:
        """Play or read games, keep the best of each group, and write them down.

        Raises:
            UsageError: None of them may be learned from, or they are of another model.
        """
        config = self.config
        kept = None if self.folder is None else self.folder / "chosen.jsonl"
        if kept is not None and kept.exists() and self._record():
            self.choice = Choice(episodes=load_episodes(kept), figures=self._record()["choice"])
        else:
            groups = read_groups(config.files) if config.files else self._played(tell)
            self.choice = best_of(groups, config.objective, keep=config.keep)
            self.turns = learnable(self.choice.episodes)
            self._write_choice(kept)
        self.turns = learnable(self.choice.episodes)
        if not self.turns:
            raise UsageError("sft: the model has written nothing in these games")
        check_tokens(self.turns, self.choice.episodes, self.loaded.tokenizer, _size(self.loaded))
        return self.choice

    def _played(self, tell: Callable[[str], None]) -> list[Any]:
        config = self.config
        assistant = models.player(TransformersBackend(self.loaded, batch_size=config.batch_size), config.as_llm())
        options = {**({"tasks": config.tasks} if config.tasks else {}), **config.options}
        env = parallel_env(config.scenario, **options)
        room = Room(lambda: env, population(config.users), assistant, games=config.games)
        seeds = self.world.share(seeds_of(config.seed, 0, config.groups))
        tell(f"playing {len(seeds)} groups of {config.best_of}")
        played = play_groups(room, seeds, config.best_of, pricings=config.pricings, retries=config.retries)
        return distributed.gather_rows([group.episodes for group in played], self.world)

    def _write_choice(self, kept: Path | None) -> None:
        if kept is None or self.folder is None or not self.world.is_main:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        part = kept.with_name(".part.chosen.jsonl")
        part.unlink(missing_ok=True)
        with EpisodeWriter(part) as writer:
            for episode in self.choice.episodes:
                writer.write(episode)
        record = {
            "kind": "sft",
            "config": self.config.as_dict(),
            "choice": self.choice.figures,
            "processes": self.world.size,
            "versions": versions(),
            "command": self.command,
        }
        text = json.dumps(record, indent=2, ensure_ascii=False)
        part.replace(kept)
        checkpoint.write_whole(self.folder / "run.json", text.encode())

    def _record(self) -> dict[str, Any]:
        if self.folder is None or not (self.folder / "run.json").exists():
            return {}
        found: dict[str, Any] = json.loads((self.folder / "run.json").read_text(encoding="utf-8"))
        return found

    # -- learning -----------------------------------------------------------------------------------------------------

    @property
    def steps(self) -> int:
        """Steps of the optimiser in all."""
        return self.config.epochs * self._per_epoch

    @property
    def _per_epoch(self) -> int:
        return -(-len(self.turns) // self.config.batch)

    def train(self, tell: Tell | None = None, *, until: int | None = None) -> dict[str, Any]:
        """Learn to the end, or to a step, and save the model.

        Args:
            tell: Called with every step's figures.
            until: Stop after this step; then nothing but a checkpoint is saved.

        Raises:
            TrainingError: A loss or a gradient is not finite.
            CheckpointError: Something could not be written.
        """
        if not self.turns:
            self.choose()
        self._start()
        last = self.steps if until is None else min(until, self.steps)
        metrics = self._metrics()
        figures: dict[str, Any] = {"update": self.step}
        try:
            while self.step < last:
                figures = self.advance()
                if metrics is not None:
                    metrics.write(figures)
                for tracker in self.trackers:
                    tracker.log(self.step, figures)
                if tell is not None:
                    tell(figures)
                every = self.config.checkpoint_every
                if self.step == last or (every and self.step % every == 0):
                    self.save()
        finally:
            if metrics is not None:
                metrics.close()
            for tracker in self.trackers:
                tracker.close()
        if self.step == self.steps:
            self.export()
        return {**figures, "steps": self.steps, "turns": len(self.turns), **self.choice.figures}

    def advance(self) -> dict[str, Any]:
        """Take one step of the optimiser. Returns its figures."""
        began = time.perf_counter()
        model, optimizer, found = self._model, self._optimizer, self.world
        batch = self._batch(self.step)
        total = tokens_of(batch)
        passes = [self._passes(batch[rank :: found.size]) for rank in range(found.size)]
        most = max(map(len, passes))
        rate = self._rate(self.step)
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.zero_grad(set_to_none=True)
        spent = 0.0
        for place in range(most):
            own = passes[found.rank]
            rows = own[place] if place < len(own) else batch[:1]  # a meeting of all processes, with nothing to say
            weight = 1.0 if place < len(own) else 0.0
            loss = -weight * self._scorer.score(rows).logprobs.sum() / total
            (loss * found.size).backward()  # gradients are averaged over processes, and the loss is a share of a sum
            spent += float(loss.detach())
        norm = distributed.clip_gradients(model, self.config.max_gradient)
        loss_of_all = sum(distributed.gather_rows([spent], found))
        if not (math.isfinite(loss_of_all) and math.isfinite(norm)):
            what = "the loss" if not math.isfinite(loss_of_all) else "the gradient"
            raise TrainingError(f"{what} is not finite", step=self.step, seed=self.config.seed)
        optimizer.step()
        self.step += 1
        self.seconds += time.perf_counter() - began
        return {
            "update": self.step,
            "epoch": (self.step - 1) // self._per_epoch,
            "loss": loss_of_all,
            "gradient": norm,
            "learning_rate": rate,
            "tokens": total,
            "seconds": self.seconds,
        }

    def _start(self) -> None:
        """Shard the model and make the optimiser; on a second call nothing is done."""
        if self._optimizer is not None:
            return
        config = self.config
        made = models.adapted(self.loaded.model.to(_place(self.loaded, self.world)), config.as_llm())
        model = distributed.wrap(made, self.world, precision=config.precision)
        self._model = model
        tokenizer = self.loaded.tokenizer
        size = _size(self.loaded)
        ends = end_tokens(tokenizer, distributed.unwrapped(model).config.eos_token_id)
        pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else min(ends, default=0)
        self._scorer = Scorer(model, Grammars(tokenizer, size=size, ends=ends), size=size, pad=pad)
        self._optimizer = torch.optim.AdamW(
            [weight for weight in model.parameters() if weight.requires_grad],
            lr=config.learning_rate,
            betas=config.betas,
            weight_decay=config.weight_decay,
        )

    def _batch(self, step: int) -> list[Turn]:
        """Return the turns of a step: every epoch has an order of its own, which follows from the seed."""
        epoch, place = divmod(step, self._per_epoch)
        order = np.random.default_rng([self.config.seed, 3, epoch]).permutation(len(self.turns))
        chosen = order[place * self.config.batch : (place + 1) * self.config.batch]
        return [self.turns[number] for number in chosen]

    def _passes(self, turns: Sequence[Turn]) -> list[list[Turn]]:
        return [[turns[row] for row in bunch] for bunch in self._scorer.bunches(turns, self.config.tokens)]

    def _rate(self, step: int) -> float:
        """Return the learning rate of a step: a rise, then a cosine down to a tenth."""
        rise = self.config.warmup * self.steps
        if step < rise:
            return self.config.learning_rate * (step + 1) / (rise + 1)
        share = (step - rise) / max(self.steps - rise, 1)
        return self.config.learning_rate * (_LEAST + (1 - _LEAST) * 0.5 * (1 + math.cos(math.pi * share)))

    # -- the record ---------------------------------------------------------------------------------------------------

    def _metrics(self) -> MetricsFile | None:
        if self.folder is None or not self.world.is_main:
            return None
        header = {"config": self.config.as_dict(), "choice": self.choice.figures, "versions": versions()}
        return MetricsFile(self.folder / "metrics.jsonl", header, update=self.step or None)

    def save(self) -> None:
        """Write a checkpoint, if there is a folder."""
        state = distributed.snapshot(self._model, self._optimizer)  # a meeting of all processes
        if self.folder is not None and self.world.is_main:
            state |= {"step": self.step, "seconds": self.seconds, "config": self.config.as_dict()}
            checkpoint.save(self.folder / "checkpoints", self.step, state)

    def export(self) -> None:
        """Write the model as a Hugging Face folder, whole and with adapters merged, if there is a folder."""
        made = whole_model(self._model, device="cpu")  # a meeting of all processes
        if self.folder is None or not self.world.is_main:
            return
        if hasattr(self._model, "peft_config") and self.world.size == 1:
            with quiet():
                self._model.save_pretrained(str(self.folder / "adapter"))
        save_model(made, self.loaded.tokenizer, self.folder)

    @classmethod
    def resume(cls, folder: Path, **options: Any) -> SFTRun:
        """Return the run in a folder as its newest readable checkpoint has it, or at its start where there is none yet.

        Args:
            folder: A run's folder.
            **options: ``loaded``, ``command`` and ``trackers`` of the constructor.

        Raises:
            FileFormatError: The folder holds no run.
            CheckpointError: There are checkpoints, and none is readable.
        """
        run = cls(read_sft_config(folder), folder, **options)
        run.choose()
        if any((folder / "checkpoints").glob("*.ckpt")):
            run.restore(checkpoint.load(checkpoint.latest(folder / "checkpoints")))
        return run

    def restore(self, state: dict[str, Any]) -> None:
        """Go on where ``save`` was called."""
        self._start()
        distributed.restore(self._model, self._optimizer, state)
        self.step, self.seconds = state["step"], state["seconds"]


def read_sft_config(folder: Path) -> SFTConfig:
    """Return the settings of the warm start in a folder.

    Raises:
        FileFormatError: The folder holds none.
    """
    path = folder / "run.json"
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if found["kind"] != "sft":
            raise ValueError(f"its kind is {found['kind']!r}")
        return SFTConfig(**found["config"])
    except FileNotFoundError:
        raise FileFormatError(
            path, "is missing: expected the folder of 'gtalign train sft', after its games were chosen"
        ) from None
    except (KeyError, TypeError, ValueError) as error:
        raise FileFormatError(path, f"is no record of a warm start: {error}") from None


def _size(loaded: Loaded) -> int:
    return int(distributed.unwrapped(loaded.model).config.vocab_size)


def _place(loaded: Loaded, found: distributed.World) -> torch.device:
    """Return where the model belongs: with several processes each on its own GPU."""
    if found.size > 1:
        return found.device
    device: torch.device = next(loaded.model.parameters()).device
    return device
