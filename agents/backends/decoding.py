"""Choosing tokens: each row with its own generator, and a record of what was chosen.

``transformers`` runs the model, its cache and its masks; the choice is made here. ``Picker`` sits where a logits
processor sits, decides for every row, and leaves only the decided token possible. So nothing depends on the sampler, on
the defaults in a model's ``generation_config``, or on torch's global generator.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from transformers import LogitsProcessor, StoppingCriteria

from gtalign_env.agents.backends.constraints import Guide
from gtalign_env.protocols import Sampling

__all__ = ["Picker", "Row", "Stopper"]

_SLACK = 4  # tokens read before a possible stop string, because some decoders swallow a leading space

_LIKELIEST = 1024  # sorting a whole vocabulary of 262,144 takes longer than a small model's forward pass


@dataclasses.dataclass(kw_only=True)
class Row:
    """One completion in the making."""

    seed: tuple[int, ...]
    limit: int | None = None
    """Most tokens of it; ``None`` for no end."""
    guide: Guide | None = None
    """The grammar that it is held to."""
    tokens: list[int] = dataclasses.field(default_factory=list)
    logprobs: list[float] = dataclasses.field(default_factory=list)
    allowed: list[float] = dataclasses.field(default_factory=list)
    """See ``Generation.allowed``."""
    reason: str = ""
    """Why it ended; empty while it goes on."""
    error: str = ""

    def __post_init__(self) -> None:
        """Make the row's own generator."""
        self.rng = np.random.default_rng(self.seed)


class Picker(LogitsProcessor):  # type: ignore[misc, unused-ignore]
    """Chooses a token for each row and writes it down.

    Args:
        rows: The rows of the batch, in order.
        sampling: Temperature, top_p; the stop strings as they stand there.
        ends: Ids of the tokens that end a text.
        stops: All stop strings.
        decode: From token ids to text, control tokens left out.
    """

    def __init__(
        self,
        rows: list[Row],
        sampling: Sampling,
        *,
        ends: frozenset[int],
        stops: tuple[str, ...],
        decode: Callable[[list[int]], str],
    ) -> None:
        self.rows = rows
        self.sampling = sampling
        self.ends = ends
        self.stops = tuple(stop for stop in stops if stop)
        self.decode = decode
        self._window = max((len(stop.encode()) for stop in self.stops), default=0) + _SLACK  # a token has >= 1 byte

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        """Return scores that leave one token possible in each row; ``scores`` is (B, V), float32."""
        chosen = self.pick(scores)
        return torch.full_like(scores, -torch.inf).scatter_(1, chosen[:, None], 0.0)

    def pick(self, scores: Any) -> Any:
        """Choose a token for each row, write it down, and return all of them, (B,); ``scores`` is (B, V), float32."""
        guided = self._guided(scores)
        chosen = self._choose(guided)  # (B,)
        whole = scores.logsumexp(dim=-1)  # (B,)
        logprobs = scores.gather(1, chosen[:, None])[:, 0] - whole  # (B,)
        allowed = [0.0] * len(self.rows) if guided is scores else (guided.logsumexp(dim=-1) - whole).tolist()
        for row, token, logprob, left in zip(self.rows, chosen.tolist(), logprobs.tolist(), allowed, strict=True):
            if not row.reason:
                self._write(row, token, logprob, left)
        return chosen

    def _guided(self, scores: Any) -> Any:
        """Leave only what a row's grammar allows; the log-probabilities stay those of the free model."""
        guides = [None if row.reason else row.guide for row in self.rows]
        if not any(guides):
            return scores
        allowed = np.ones(tuple(scores.shape), dtype=np.bool_)  # (B, V)
        for place, guide in enumerate(guides):
            if guide is not None:
                allowed[place] = guide.allowed(allowed.shape[1])
        return scores.masked_fill(~torch.from_numpy(allowed).to(scores.device), -torch.inf)

    def _choose(self, scores: Any) -> Any:
        if self.sampling.temperature == 0:
            return scores.argmax(dim=-1)
        weights = torch.softmax(scores.double() / self.sampling.temperature, dim=-1)  # (B, V)
        if self.sampling.top_p < 1:
            weights = _nucleus(weights, self.sampling.top_p)
        total = weights.cumsum(dim=-1)
        # One number per row and step: with a common generator, a row's draw would depend on its neighbours.
        draws = [0.0 if row.reason else row.rng.random() for row in self.rows]
        target = torch.tensor(draws, dtype=total.dtype, device=total.device)[:, None] * total[:, -1:]
        return torch.searchsorted(total, target, right=True).clamp_(max=total.shape[-1] - 1)[:, 0]

    def _write(self, row: Row, token: int, logprob: float, allowed: float) -> None:
        if not np.isfinite(logprob):
            row.reason, row.error = "error", "the model's scores are not finite numbers: its weights may be damaged"
            return
        row.tokens.append(token)
        row.logprobs.append(logprob)
        if row.guide is not None:
            row.allowed.append(min(allowed, 0.0))
            row.guide.accept(token)
        if row.guide is not None and row.guide.error:
            row.reason, row.error = "error", f"the grammar engine gave up: {row.guide.error}"
        elif token in self.ends or (row.guide is not None and row.guide.done) or self._stopped(row):
            row.reason = "stop"
        elif len(row.tokens) == row.limit:
            row.reason = "length"

    def _stopped(self, row: Row) -> bool:
        if not self.stops:
            return False
        tail = self.decode(row.tokens[-self._window :])
        return any(stop in tail for stop in self.stops) and any(stop in self.decode(row.tokens) for stop in self.stops)


def _nucleus(weights: Any, top_p: float) -> Any:
    """Keep the likeliest tokens that together have at least ``top_p``, and those as likely as the last of them."""
    likeliest = weights.topk(min(_LIKELIEST, weights.shape[-1]), dim=-1).values
    if bool((likeliest.sum(dim=-1) < top_p).any()):
        likeliest = weights.sort(dim=-1, descending=True).values
    before = likeliest.cumsum(dim=-1) - likeliest
    last = likeliest.masked_fill(before >= top_p, torch.inf).amin(dim=-1, keepdim=True)  # (B, 1)
    return weights.masked_fill(weights < last, 0.0)


class Stopper(StoppingCriteria):  # type: ignore[misc, unused-ignore]
    """Tells ``generate`` which rows have ended."""

    def __init__(self, rows: list[Row]) -> None:
        self.rows = rows

    def __call__(self, input_ids: Any, scores: Any, **_: Any) -> Any:
        """Return a mask (B,): true where a row has ended."""
        return torch.tensor([bool(row.reason) for row in self.rows], device=input_ids.device)
