"""Choosing tokens: each row with its own generator, and a record of what was chosen.

``transformers`` runs the model, its cache and its masks; the choice is made here. ``Picker`` sits where a logits
processor sits, decides for every row, and leaves only the decided token possible. So nothing depends on the sampler, on
the defaults in a model's ``generation_config``, or on torch's global generator.
"""

from __future__ import annotations

import collections
import dataclasses
import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from transformers import LogitsProcessor, StoppingCriteria

from gtalign_env.protocols import Sampling

__all__ = ["Picker", "Row", "Stopper", "row_seeds"]

_SLACK = 4  # tokens read before a possible stop string, because some decoders swallow a leading space

_LIKELIEST = 1024  # sorting a whole vocabulary of 262,144 takes longer than a small model's forward pass


@dataclasses.dataclass(kw_only=True)
class Row:
    """One completion in the making."""

    seed: tuple[int, ...]
    tokens: list[int] = dataclasses.field(default_factory=list)
    logprobs: list[float] = dataclasses.field(default_factory=list)
    reason: str = ""
    """Why it ended; empty while it goes on."""
    error: str = ""

    def __post_init__(self) -> None:
        """Make the row's own generator."""
        self.rng = np.random.default_rng(self.seed)


def row_seeds(prompts: Sequence[Sequence[int]], seed: int) -> list[tuple[int, ...]]:
    """Return a seed for each row that depends on the call's seed, the row's prompt, and how often it came before.

    So a row's result is the same in any company, and equal prompts still get different samples.

    Example:
        >>> one, two, three = row_seeds([[1, 2], [3], [1, 2]], seed=0)
        >>> one == row_seeds([[1, 2]], seed=0)[0], one == three
        (True, False)
    """
    seen: collections.Counter[bytes] = collections.Counter()
    seeds: list[tuple[int, ...]] = []
    for ids in prompts:
        digest = hashlib.blake2b(np.asarray(ids, dtype=np.int64).tobytes(), digest_size=8).digest()
        seeds.append((seed, int.from_bytes(digest, "little"), seen[digest]))
        seen[digest] += 1
    return seeds


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
        chosen = self._choose(scores)  # (B,)
        logprobs = torch.log_softmax(scores, dim=-1).gather(1, chosen[:, None])[:, 0]  # (B,)
        for row, token, logprob in zip(self.rows, chosen.tolist(), logprobs.tolist(), strict=True):
            if not row.reason:
                self._write(row, token, logprob)
        return torch.full_like(scores, -torch.inf).scatter_(1, chosen[:, None], 0.0)

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

    def _write(self, row: Row, token: int, logprob: float) -> None:
        if not np.isfinite(logprob):
            row.reason, row.error = "error", "the model's scores are not finite numbers: its weights may be damaged"
            return
        row.tokens.append(token)
        row.logprobs.append(logprob)
        if token in self.ends or self._stopped(row):
            row.reason = "stop"

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
