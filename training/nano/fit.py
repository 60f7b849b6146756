"""Fitting the model: next-token prediction of what the teacher wrote, AdamW, one thread's work of minutes."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from gtalign_env.errors import UsageError
from gtalign_env.training.errors import TrainingError
from gtalign_env.training.nano.corpus import Turn
from gtalign_env.training.nano.tokens import encode_turn

__all__ = ["FitConfig", "Row", "fit", "make_model", "make_rows"]

WEIGHTS = {"thinking": 2.0, "payoff": 0.5, "response": 4.0, "plain": 2.0}
"""What a token of each block counts in the loss; what was put in counts nothing. Payoffs are many, and noisy."""
_BUCKET = 16
"""Batches whose rows are sorted by length among themselves, so that little is padded."""
_IGNORED = 0
_LOWERING, _LEAST = 0.35, 0.01
"""In which last part of the steps the learning rate is brought down, and to which share of it."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class FitConfig:
    """Size of the model, and how it is fitted.

    Example:
        >>> FitConfig().hidden
        128
    """

    vocabulary: int = 4096
    hidden: int = 128
    layers: int = 4
    heads: int = 4
    widening: int = 3
    """Width of the inner layers, in widths of the model."""
    context: int = 2048
    """Most tokens of prompt and completion."""
    drill: int = 350
    """Steps in which nothing but questions and answers is learned, at the beginning."""
    steps: int = 800
    """Steps with whole turns, after these."""
    batch: int = 64
    """Turns in a step."""
    drills: int = 128
    """Drills in a step; a quarter of them beside whole turns."""
    rate: float = 3e-3
    """Highest learning rate."""
    warmup: int = 40
    decay: float = 0.01
    """Weight decay."""
    clip: float = 1.0
    minutes: float = 0.0
    """Stop after so long at the latest, with the learning rate brought down in time; 0 for no limit."""

    def __post_init__(self) -> None:
        """Refuse what makes no model."""
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            least = (
                0 if field.name in ("minutes", "decay", "warmup", "drill") else 1 if isinstance(value, int) else 1e-9
            )
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not least <= value < math.inf:
                raise UsageError(f"nano {field.name}: expected a number >= {least:g}, got {value!r}")
        if self.hidden % (2 * self.heads):
            raise UsageError(
                f"nano hidden: expected a multiple of twice the heads ({2 * self.heads}), got {self.hidden}"
            )


@dataclasses.dataclass(frozen=True, slots=True)
class Row:
    """One turn as numbers."""

    ids: tuple[int, ...]
    weights: tuple[float, ...]
    """What each token counts in the loss."""


def make_rows(tokenizer: Any, turns: Sequence[Turn]) -> list[Row]:
    """Return turns as token ids with their weights in the loss. Payoffs that were made up count nothing."""
    rows = []
    for turn in turns:
        ids, blocks = encode_turn(tokenizer, turn)
        weights = [0.0 if block == "payoff" and not turn.sound else WEIGHTS.get(block, 0.0) for block in blocks]
        rows.append(Row(tuple(ids), tuple(weights)))
    return rows


def make_model(config: FitConfig, tokenizer: Any, *, seed: int = 0) -> Any:
    """Return a model with fresh weights: a Llama with untied embeddings."""
    import torch
    import transformers

    library: Any = transformers  # not annotated
    random: Any = torch.random
    with random.fork_rng(devices=[]):
        random.default_generator.manual_seed(seed)
        return library.LlamaForCausalLM(
            library.LlamaConfig(
                vocab_size=len(tokenizer),
                hidden_size=config.hidden,
                intermediate_size=config.widening * config.hidden,
                num_hidden_layers=config.layers,
                num_attention_heads=config.heads,
                num_key_value_heads=config.heads,
                max_position_embeddings=config.context,
                tie_word_embeddings=False,
                bos_token_id=None,
                eos_token_id=tokenizer.eos_token_id,
                pad_token_id=tokenizer.pad_token_id,
            )
        )


def fit(
    model: Any,
    rows: Sequence[Row],
    drills: Sequence[Row],
    config: FitConfig,
    *,
    seed: int = 0,
    on_step: Callable[[dict[str, float]], None] = lambda _: None,
) -> None:
    """Fit a model to rows, in place.

    Args:
        model: What ``make_model`` makes.
        rows: Whole turns.
        drills: Questions and answers.
        config: How.
        seed: Order of the rows.
        on_step: Told the figures of each step.

    Raises:
        TrainingError: The loss is no finite number.
    """
    import torch

    started = time.perf_counter()
    optimiser = torch.optim.AdamW(model.parameters(), lr=config.rate, betas=(0.9, 0.95), weight_decay=config.decay)
    model.train()
    turns = _batches(rows, config.batch, np.random.default_rng([seed, 1]))
    questions = _batches(drills, config.drills, np.random.default_rng([seed, 3]))
    few = _batches(drills, max(config.drills // 4, 1), np.random.default_rng([seed, 4]))
    total = config.drill + config.steps
    for step in range(total):
        share = max(step / total, _share_of_time(started, config.minutes))
        if share >= 1.0:
            break
        rate = config.rate * min(1.0, (step + 1) / max(config.warmup, 1)) * _lowered(share)
        for group in optimiser.param_groups:
            group["lr"] = rate
        loss = _loss(model, next(questions) if step < config.drill else next(turns))
        figure = float(loss.detach())
        if not math.isfinite(figure):
            raise TrainingError(f"nano's loss is {figure} at a learning rate of {rate:g}", step=step, seed=seed)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        if step >= config.drill:
            _loss(model, next(few)).backward()
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), config.clip)
        optimiser.step()
        on_step(
            {
                "step": step + 1,
                "loss": figure,
                "rate": rate,
                "gradient_norm": float(norm),
                "seconds": time.perf_counter() - started,
            }
        )
    model.eval()


def _lowered(share: float) -> float:
    """Return the share of the learning rate that is left: all of it, and towards the end less and less."""
    return min(1.0, max((1.0 - share) / _LOWERING, _LEAST))


def _share_of_time(started: float, minutes: float) -> float:
    return (time.perf_counter() - started) / (60.0 * minutes) if minutes else 0.0


def _batches(rows: Sequence[Row], size: int, rng: np.random.Generator) -> Iterator[list[Row]]:
    """Yield batches for ever: all rows in a new order each time, those of about the same length together."""
    while True:
        order = rng.permutation(len(rows))
        for start in range(0, len(order), _BUCKET * size):
            bucket = sorted(order[start : start + _BUCKET * size].tolist(), key=lambda place: len(rows[place].ids))
            cuts = [bucket[at : at + size] for at in range(0, len(bucket), size)]
            for at in rng.permutation(len(cuts)).tolist():
                yield [rows[place] for place in cuts[at]]


def _loss(model: Any, batch: Sequence[Row]) -> Any:
    """Return the weighted mean of the negative log-likelihoods. Rows are padded behind, where nothing looks."""
    import torch

    width = max(len(row.ids) for row in batch)
    ids = torch.tensor([[*row.ids, *[_IGNORED] * (width - len(row.ids))] for row in batch])  # (B, T)
    weights = torch.tensor([[*row.weights, *[0.0] * (width - len(row.weights))] for row in batch])
    hidden = model.model(input_ids=ids[:, :-1], use_cache=False).last_hidden_state  # (B, T - 1, D)
    counted = weights[:, 1:] > 0
    logits = model.lm_head(hidden[counted])  # (N, V)
    each = torch.nn.functional.cross_entropy(logits, ids[:, 1:][counted], reduction="none")
    mass = weights[:, 1:][counted]
    return (each * mass).sum() / mass.sum().clamp(min=1.0)
