"""One iteration's update: mini-batches of turns, clipped losses, AdamW. What is not a finite number stops it before it harms."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from gtalign_env.training.errors import TrainingError
from gtalign_env.training.llm.config import LLMConfig
from gtalign_env.training.llm.distributed import World, clip_gradients
from gtalign_env.training.llm.losses import k3, make_loss, policy_loss, token_shares
from gtalign_env.training.llm.scoring import Scored, Scorer, with_logprobs
from gtalign_env.training.llm.trajectory import Turn, bunches

__all__ = ["Learner"]

Floats = NDArray[np.float64]


class Learner:
    """A model that learns from turns and their advantages.

    Args:
        model: A causal language model; with adapters these learn alone.
        scorer: Scores turns with it.
        config: The settings.
        reference: What the KL penalty keeps it near; ``None`` for the model without its adapters.
        found: The processes that learn together.
    """

    def __init__(self, model: Any, scorer: Scorer, config: LLMConfig, *, reference: Any = None, found: World) -> None:
        self.model, self.scorer, self.config, self.reference, self.world = model, scorer, config, reference, found
        self.loss = make_loss(config.loss, config.clip_low, config.clip_high)
        self.optimizer = torch.optim.AdamW(
            [weight for weight in model.parameters() if weight.requires_grad],
            lr=config.rate,
            betas=config.betas,
            weight_decay=config.weight_decay,
        )

    def learn(self, turns: Sequence[Turn], gains: Floats, *, iteration: int) -> dict[str, float]:
        """Make the update of an iteration, and return its figures.

        Args:
            turns: Of all processes.
            gains: One advantage for each.
            iteration: Says how the turns are shuffled, and how large steps are.

        Raises:
            TrainingError: A loss or a gradient is not finite; the weights are those of before the step.
        """
        config = self.config
        for group in self.optimizer.param_groups:
            group["lr"] = config.rate * self._pace(iteration)
        rows = [row for row in range(len(turns)) if turns[row].mask.any() and self._counts(float(gains[row]))]
        turns, gains = self._known([turns[row] for row in rows]), gains[rows]
        rng = np.random.default_rng([config.seed, iteration, 1])
        book = _Book()
        for epoch in range(config.epochs):
            parts = np.array_split(rng.permutation(len(turns)), min(config.minibatches, len(turns)) or 1)
            for number, part in enumerate(parts):
                if len(part):
                    fresh = epoch == 0 and number == 0
                    self._step([turns[row] for row in part], gains[part], book, iteration=iteration, fresh=fresh)
        self.scorer.forget()
        return {**book.figures(), "rows": float(len(turns)), "rate": self.optimizer.param_groups[0]["lr"]}

    def hidden(self, turns: Sequence[Turn]) -> Floats:
        """Return the model's last layer at the end of each turn's prompt, (N, D)."""
        made: list[Any] = [None] * len(turns)
        firsts = [int(np.argmax(turn.mask)) for turn in turns]
        with torch.no_grad():
            for bunch in bunches(firsts, self.config.tokens):
                found = self.scorer.features([turns[row].ids[: firsts[row]] for row in bunch])
                for row, features in zip(bunch, found, strict=True):
                    made[row] = features
        return np.asarray(made, dtype=np.float64)

    # -- one step ---------------------------------------------------------------------------------------------------------

    def _step(self, turns: Sequence[Turn], gains: Floats, book: _Book, *, iteration: int, fresh: bool) -> None:
        """Take one step of the optimiser; ``fresh``: the weights are still those that the turns were sampled with."""
        lengths = torch.tensor([int(turn.mask.sum()) for turn in turns])
        counts = token_shares(lengths, self.loss.mean, constant=self.config.constant)
        each = torch.stack([torch.as_tensor(gains, dtype=torch.float32), counts])  # (2, R)
        total = 0.0
        self.optimizer.zero_grad(set_to_none=True)
        for bunch, counted in self._dealt(turns):
            own = [turns[row] for row in bunch]
            scored = self.scorer.score(own, free=fresh, entropy=self.config.entropy > 0.0)
            if counted:
                loss = self._loss(scored, own, each[:, bunch], book, fresh=fresh)
            else:  # another process has more rows: all of them have to go through the model equally often
                loss = scored.logprobs.sum() * 0.0
            total += float(loss.detach())
            (loss * self.world.size).backward()
        norm = clip_gradients(self.model, self.config.max_gradient)
        if not (math.isfinite(total) and math.isfinite(norm)):
            self.optimizer.zero_grad(set_to_none=True)
            what = "the loss" if not math.isfinite(total) else "a gradient"
            raise TrainingError(
                f"{what} is not finite in iteration {iteration + 1}, step {book.steps + 1} of its update (log-probabilities from "
                f"{book.least:.3g} nats, advantages up to {float(np.abs(gains).max()):.3g})",
                step=iteration,
                seed=self.config.seed,
            )
        self.optimizer.step()
        book.step(total, norm)

    def _loss(self, scored: Scored, turns: Sequence[Turn], each: Any, book: _Book, *, fresh: bool) -> Any:
        """Return what some rows of a mini-batch contribute to its loss; ``each``: advantage and share of their tokens."""
        device = scored.rows.device
        gains, shares = each.to(device)[:, scored.rows]  # (N,) both
        old = _line([turn.logprobs[turn.mask] for turn in turns], device)
        made = policy_loss(scored.logprobs, old, gains, scored.rows, shares, self.loss)
        loss = made.loss
        if self.config.kl > 0.0:
            apart = k3(scored.logprobs, self._reference(turns))
            loss = loss + self.config.kl * (apart * shares).sum()
            book.reference += float(apart.detach().sum())
        if self.config.entropy > 0.0:
            loss = loss - self.config.entropy * (scored.entropy * shares).sum()
        book.add(scored, made.kl, made.clipped)
        if fresh:
            book.compare(_line([turn.free[turn.mask] for turn in turns], device), scored.free)
        return loss

    def _reference(self, turns: Sequence[Turn]) -> Any:
        off = contextlib.nullcontext() if self.reference is not None else self.model.disable_adapter()
        with torch.no_grad(), off:
            return self.scorer.score(turns, model=self.reference).logprobs

    def _dealt(self, turns: Sequence[Turn]) -> Iterator[tuple[list[int], bool]]:
        """Yield this process's bunches of rows, as many in every process; those beyond its share do not count."""
        all_of_them = self.scorer.bunches(turns, self.config.tokens)
        own = self.world.share(all_of_them)
        for number in range(-(-len(all_of_them) // self.world.size)):
            yield (own[number], True) if number < len(own) else (all_of_them[-1], False)

    def _known(self, turns: list[Turn]) -> list[Turn]:
        """Have the model say what it gave the tokens before the update, where the engine does not tell."""
        unknown = [row for row, turn in enumerate(turns) if not turn.known]
        made = list(turns)
        for bunch in self.scorer.bunches([turns[row] for row in unknown], self.config.tokens):
            rows = [unknown[place] for place in bunch]
            with torch.no_grad():
                scored = self.scorer.score([turns[row] for row in rows])
            found, which = scored.logprobs.double().cpu().numpy(), scored.rows.cpu().numpy()
            for place, row in enumerate(rows):
                made[row] = with_logprobs(turns[row], found[which == place])
        return made

    def _counts(self, gain: float) -> bool:
        return gain != 0.0 or self.config.kl > 0.0 or self.config.entropy > 0.0

    def _pace(self, iteration: int) -> float:
        config = self.config
        rise = min(1.0, (iteration + 1) / config.warmup) if config.warmup else 1.0
        return rise * (1.0 - iteration / config.iterations if config.decay else 1.0)


class _Book:
    """Sums over the tokens of an update."""

    def __init__(self) -> None:
        self.steps = 0
        self.least = 0.0
        self.reference = 0.0
        self._tokens = 0
        self._loss = self._norm = self._kl = self._clipped = self._entropy = 0.0
        self._compared = 0
        self._apart = self._most = 0.0

    def add(self, scored: Scored, kl: float, clipped: float) -> None:
        """Take in what a pass found."""
        self._tokens += len(scored.rows)
        self._kl += kl
        self._clipped += clipped
        # over draws of the model, −log p is the entropy on average
        self._entropy -= float(scored.logprobs.detach().sum())
        self.least = min(self.least, float(scored.logprobs.detach().min()))

    def compare(self, engine: Any, own: Any) -> None:
        """Compare the engine's log-probabilities with the learner's, by the same weights."""
        self._compared += len(own)
        self._apart += float(k3(own, engine).sum())
        self._most = max(self._most, float((own - engine).abs().max()))

    def step(self, loss: float, norm: float) -> None:
        """Count a step of the optimiser."""
        self.steps += 1
        self._loss += loss
        self._norm += norm

    def figures(self) -> dict[str, float]:
        """Return means."""
        tokens, steps = max(self._tokens, 1), max(self.steps, 1)
        return {
            "loss": self._loss / steps,
            "gradient": self._norm / steps,
            "entropy": self._entropy / tokens,
            "kl": self._kl / tokens,
            "clipped": self._clipped / tokens,
            "reference_kl": self.reference / tokens,
            "mismatch_kl": self._apart / max(self._compared, 1),
            "mismatch_most": self._most,
            "steps": float(self.steps),
            "tokens": float(self._tokens),
        }


def _line(parts: Sequence[NDArray[Any]], device: Any) -> Any:
    return torch.from_numpy(np.concatenate(parts)).to(device, torch.float32)
