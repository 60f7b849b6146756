"""The learner's own log-probabilities of what was sampled: in a forward pass over whole turns, cut down to what was allowed.

Where a turn was held to a grammar, its way through the grammar is walked again, so that the learner chooses among the same
tokens as the sampler did.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from gtalign_env.agents.backends.constraints import Grammars
from gtalign_env.errors import ModelError
from gtalign_env.training.llm import distributed, sharing
from gtalign_env.training.llm.trajectory import Held, Turn, bunches

__all__ = ["Scored", "Scorer", "Walk", "with_logprobs"]


class Scored(NamedTuple):
    """N sampled tokens of some turns, one after the other."""

    logprobs: Any
    """(N,) under the learner, of what was allowed."""
    rows: Any
    """(N,) the turn of each, by its place in the call."""
    free: Any = None
    """(N,) under the learner without a grammar, no gradient; where it was asked for."""
    entropy: Any = None
    """(N,) nats, of what was allowed; where it was asked for."""


class Walk(NamedTuple):
    """The tokens that a grammar allowed along a turn."""

    places: NDArray[np.int64]
    """(K,) places in the row."""
    allowed: NDArray[np.uint8]
    """(K, ⌈V/8⌉) packed bits, little end first."""


class Scorer:
    """Scores turns with a model.

    Args:
        model: A causal language model of transformers, or one with adapters.
        grammars: What walks through grammars.
        size: Number of tokens that the model chooses among.
        pad: Id that fills rows up.
    """

    def __init__(self, model: Any, grammars: Grammars, *, size: int, pad: int) -> None:
        self.model = model
        self.grammars = grammars
        self.size = size
        self.pad = pad
        self.width: int = distributed.unwrapped(model).config.hidden_size if sharing.fits(model) else 0
        """The model's hidden size, where rows may share what they begin with; else 0."""
        self._walks: dict[Turn, Walk] = {}

    def forget(self) -> None:
        """Forget walks through grammars: turns that are gone do not come back."""
        self._walks = {}

    def score(self, turns: Sequence[Turn], *, free: bool = False, entropy: bool = False, model: Any = None) -> Scored:
        """Return log-probabilities of everything that was sampled in some turns, in one forward pass.

        Args:
            turns: Rows; they are padded on the right.
            free: Whether to tell what they are without a grammar, too.
            entropy: Whether to tell the entropy.
            model: Another one than the learner, such as the reference.
        """
        device = next((model or self.model).parameters()).device
        rows, places = _sampled_places(turns)
        ids, inputs, (which, place) = self._inputs(turns, rows, places)
        keep, where = np.unique(place, return_inverse=True)
        found = (model or self.model)(
            **{name: part.to(device) for name, part in inputs.items()},
            logits_to_keep=torch.from_numpy(keep).to(device),
            use_cache=False,
        )
        picked = found.logits[torch.from_numpy(which).to(device), torch.from_numpy(where).to(device)].float()  # (N, V)
        chosen = torch.from_numpy(ids).to(device)[:, None]
        own = picked.gather(1, chosen)[:, 0]
        with torch.no_grad():
            alone = own - picked.logsumexp(dim=-1) if free else None
        forbidden = self._forbidden(turns, rows, places)
        if forbidden is not None:
            picked = picked.masked_fill(torch.from_numpy(forbidden).to(device), -torch.inf)
        whole = picked.logsumexp(dim=-1)
        spread = _entropy(picked, whole) if entropy else None
        return Scored(own - whole, torch.from_numpy(rows).to(device), alone, spread)

    def bunches(self, turns: Sequence[Turn], most: int) -> list[list[int]]:
        """Return rows in bunches of at most so many tokens in a pass, padding included; what rows share is read once."""
        if self.width:
            return sharing.bunched(turns, most, self.width)
        return bunches([len(turn) for turn in turns], most)

    def _inputs(
        self, turns: Sequence[Turn], rows: NDArray[np.int64], places: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], dict[str, Any], tuple[NDArray[np.int64], NDArray[np.int64]]]:
        """Return the sampled tokens (N), what the model reads, and where in it each of them is foretold: one place before."""
        chosen = np.concatenate([turn.ids[turn.mask] for turn in turns])
        if self.width:
            packed = sharing.pack(turns, self.width)
            if len(packed.ids) < len(turns):
                inputs = {"input_ids": torch.from_numpy(packed.ids), "position_ids": torch.from_numpy(packed.positions)}
                return chosen, {**inputs, "attention_mask": self._mask(packed.seen)}, packed.find(rows, places - 1)
        ids = torch.full((len(turns), max(map(len, turns))), self.pad, dtype=torch.long)
        seen = torch.zeros_like(ids)
        for row, turn in enumerate(turns):
            ids[row, : len(turn)] = torch.from_numpy(turn.ids)
            seen[row, : len(turn)] = 1
        return chosen, {"input_ids": ids, "attention_mask": seen}, (rows, places - 1)

    def _mask(self, seen: NDArray[np.bool_]) -> Any:
        """Return what each token sees as the model's attention takes it, (B, 1, T, T)."""
        mask = torch.from_numpy(seen)[:, None]
        if distributed.unwrapped(self.model).config._attn_implementation == "sdpa":  # noqa: SLF001 - it has no other name
            return mask
        dtype = next(self.model.parameters()).dtype
        return torch.zeros(mask.shape, dtype=dtype).masked_fill_(~mask, torch.finfo(dtype).min)

    def features(self, prompts: Sequence[NDArray[np.int64]]) -> NDArray[np.float64]:
        """Return the last layer at the last token of some prompts, (N, D), in one forward pass."""
        device = next(self.model.parameters()).device
        ids = torch.full((len(prompts), max(map(len, prompts))), self.pad, dtype=torch.long)
        seen = torch.zeros_like(ids)
        for row, prompt in enumerate(prompts):
            ids[row, : len(prompt)] = torch.from_numpy(prompt)
            seen[row, : len(prompt)] = 1
        found = self.model(
            input_ids=ids.to(device),
            attention_mask=seen.to(device),
            output_hidden_states=True,
            logits_to_keep=1,
            use_cache=False,
        )
        last = seen.sum(dim=1).to(device) - 1
        picked = found.hidden_states[-1][torch.arange(len(prompts), device=device), last]
        return np.asarray(picked.double().cpu().numpy(), dtype=np.float64)

    def _forbidden(
        self, turns: Sequence[Turn], rows: NDArray[np.int64], places: NDArray[np.int64]
    ) -> NDArray[np.bool_] | None:
        """Return what was forbidden at each of the sampled tokens, (N, V); ``None`` where nothing was."""
        walks = [self._walk(turn) for turn in turns]
        if not any(len(walk.places) for walk in walks):
            return None
        starts = np.searchsorted(rows, np.arange(len(turns) + 1))
        made = np.zeros((len(rows), self.size), dtype=np.bool_)
        for start, end, walk in zip(starts, starts[1:], walks, strict=False):
            which = start + np.searchsorted(places[start:end], walk.places)
            allowed = np.unpackbits(walk.allowed, axis=1, count=self.size, bitorder="little")
            made[which] = allowed == 0
        return made

    def _walk(self, turn: Turn) -> Walk:
        if turn not in self._walks:
            walks = [self._through(turn, held) for held in turn.held]
            none = Walk(np.zeros(0, np.int64), np.zeros((0, -(-self.size // 8)), np.uint8))
            self._walks[turn] = Walk(*map(np.concatenate, zip(*walks, strict=True))) if walks else none
        return self._walks[turn]

    def _through(self, turn: Turn, held: Held) -> Walk:
        guide = self.grammars.guide(held.schema)
        allowed = np.zeros((held.end - held.start, -(-self.size // 8)), dtype=np.uint8)
        for step, token in enumerate(turn.ids[held.start : held.end].tolist()):
            allowed[step] = np.packbits(guide.allowed(self.size), bitorder="little")
            guide.accept(token)
            if guide.error:
                raise ModelError(f"a recorded payoff block does not fit the form that it was held to: {guide.error}")
        return Walk(np.arange(held.start, held.end), allowed)


def with_logprobs(turn: Turn, logprobs: NDArray[np.float64]) -> Turn:
    """Return a turn whose sampled tokens have these log-probabilities."""
    whole = np.zeros(len(turn))
    whole[turn.mask] = logprobs
    return dataclasses.replace(turn, logprobs=whole, known=True)


def _sampled_places(turns: Sequence[Turn]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    places = [np.flatnonzero(turn.mask) for turn in turns]
    rows = np.repeat(np.arange(len(turns)), [len(found) for found in places])
    return rows, np.concatenate(places)


def _entropy(logits: Any, whole: Any) -> Any:
    """Return the entropy of distributions given by logits, some of them −∞, and their log-sum."""
    likely = logits - whole[:, None]
    return -(likely.exp() * likely.masked_fill(likely == -torch.inf, 0.0)).sum(dim=-1)
