"""Running a model token by token, with what it has read kept in memory.

A chain is written in several calls, each of which goes on from the tokens of the one before; and a conversation is read again at
every turn. What a model has worked out about a token (its keys and values) depends on the tokens before it alone, so it is kept
and copied wherever a prompt begins with the same tokens. Only weights that have changed in between make it worthless, and that is
noticed.

This serves models whose layers all look at the whole text; the others go through transformers' own ``generate``.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from transformers.cache_utils import Cache, CacheLayerMixin, DynamicCache, DynamicLayer

from gtalign_env.agents.backends.decoding import Picker, Row

__all__ = ["Memory", "Runner"]

_MOST_BYTES = 2**30
"""What is kept in memory at most."""
_MOST_RUNS = 16
_FEW = 4
"""Rows below which it does not pay to take finished ones out of a batch."""


class _Layer(CacheLayerMixin):  # type: ignore[no-untyped-call]
    """Keys and values of one layer, with room for what is to come."""

    is_sliding = False
    keys: Any
    """(B, heads, room, size)"""
    values: Any

    def __init__(self, room: int, keys: Any = None, values: Any = None, length: int = 0) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.room, self.keys, self.values, self.length = room, keys, values, length
        self.is_initialized = keys is not None

    def lazy_initialization(self, key_states: Any, value_states: Any) -> None:
        """Take the room."""
        rows, heads, _, size = key_states.shape
        self.keys = key_states.new_zeros(rows, heads, self.room, size)
        self.values = value_states.new_zeros(rows, heads, self.room, value_states.shape[-1])
        self.is_initialized = True

    def update(self, key_states: Any, value_states: Any, *_: Any, **__: Any) -> tuple[Any, Any]:
        """Write down what was read, and return all of it."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        start, self.length = self.length, self.length + key_states.shape[-2]
        self.keys[:, :, start : self.length] = key_states
        self.values[:, :, start : self.length] = value_states
        return self.keys[:, :, : self.length], self.values[:, :, : self.length]

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """Return how much is looked at, and where that begins."""
        return self.length + query_length, 0

    def get_seq_length(self) -> int:
        """Return how many tokens were read."""
        return self.length

    def get_max_length(self) -> int:
        """Return that there is no bound."""
        return -1

    def rows(self, chosen: Any) -> _Layer:
        """Return a copy of some rows."""
        return _Layer(self.room, self.keys[chosen], self.values[chosen], self.length)


class _Run(NamedTuple):
    """What was worked out about some texts."""

    ids: NDArray[np.int64]
    """(N, T) tokens, filled up with −1."""
    places: list[tuple[int, int]]
    """The row of each text in the layers, and where it begins there."""
    layers: list[_Layer]
    size: int
    """Bytes."""


class Memory:
    """Keys and values of texts that were read lately.

    Args:
        most: Bytes at most.
    """

    def __init__(self, most: int = _MOST_BYTES) -> None:
        self.most = most
        self._runs: list[_Run] = []
        self._weights: tuple[int, ...] = ()

    def clear(self) -> None:
        """Forget everything."""
        self._runs = []

    def check(self, model: Any) -> None:
        """Forget everything if the model's weights have changed."""
        found = tuple(number for weight in model.parameters() for number in (weight.data_ptr(), weight._version))  # noqa: SLF001
        if found != self._weights:
            self.clear()
        self._weights = found

    def add(self, texts: Sequence[Sequence[int]], places: list[tuple[int, int]], layers: list[_Layer]) -> None:
        """Keep what was worked out about some texts; the oldest goes where there is too much."""
        if not texts:
            return
        ids = np.full((len(texts), max(map(len, texts))), -1, dtype=np.int64)
        for row, text in enumerate(texts):
            ids[row, : len(text)] = text
        size = int(sum(part.nbytes for layer in layers for part in (layer.keys, layer.values)))
        self._runs.append(_Run(ids, places, layers, size))
        while len(self._runs) > _MOST_RUNS or sum(run.size for run in self._runs) > self.most:
            del self._runs[0]

    def find(self, text: Sequence[int]) -> tuple[int, _Run | None, int]:
        """Return how many of the first tokens of a text are known, from which run, and from which of its texts."""
        ids = np.asarray(text, dtype=np.int64)
        best: tuple[int, _Run | None, int] = (0, None, 0)
        for run in reversed(self._runs):
            width = min(len(ids), run.ids.shape[1])
            differ = run.ids[:, :width] != ids[:width]
            known = np.where(differ.any(axis=1), differ.argmax(axis=1), width)
            row = int(known.argmax())
            if known[row] > best[0]:
                best = (int(known[row]), run, row)
        return best


def _different(prompts: Sequence[Sequence[int]]) -> tuple[list[Sequence[int]], list[int]]:
    """Return prompts without repetitions, and which of these each prompt is.

    Example:
        >>> _different([[1, 2], [3], [1, 2]])
        ([[1, 2], [3]], [0, 1, 0])
    """
    places: dict[tuple[int, ...], int] = {}
    which = [places.setdefault(tuple(prompt), len(places)) for prompt in prompts]
    first = {place: number for number, place in reversed(list(enumerate(which)))}
    return [prompts[first[place]] for place in range(len(places))], which


class Runner:
    """Runs a model.

    Args:
        model: A causal language model of transformers (see ``fits``).
        pad: Id that fills rows up on the left.
    """

    def __init__(self, model: Any, *, pad: int) -> None:
        self.model = model
        self.pad = pad
        self.memory = Memory()

    @staticmethod
    def fits(model: Any) -> bool:
        """Return whether every layer of a model looks at the whole text, and it can be told where in it a token stands."""
        config = model.config
        if config.get_text_config(decoder=True) is not config or getattr(config, "is_encoder_decoder", False):
            return False
        taken = inspect.signature(type(model).forward).parameters
        known = all(name in taken for name in ("position_ids", "past_key_values", "logits_to_keep"))
        return known and all(type(layer) is DynamicLayer for layer in DynamicCache(config=config).layers)

    def run(self, prompts: Sequence[Sequence[int]], rows: list[Row], picker: Picker, limit: int) -> None:
        """Continue prompts until every row has ended; ``picker`` chooses the tokens and writes them down.

        Args:
            prompts: (B) token ids.
            rows: (B) completions in the making.
            picker: Has these rows.
            limit: Most tokens of any of them.
        """
        self.memory.check(self.model)
        width = max(map(len, prompts))
        device = self.model.device
        different, which = _different(prompts)
        layers, unread = self._begun(different, width, width + limit)
        ids = torch.full((len(different), width), self.pad)
        seen = torch.zeros((len(different), width + limit), dtype=torch.long)
        for row, prompt in enumerate(different):
            ids[row, width - len(prompt) :] = torch.tensor(prompt)
            seen[row, width - len(prompt) :] = 1
        starts = torch.tensor([width - len(prompt) for prompt in different], device=device)
        ids, seen = ids[:, width - unread :].to(device), seen.to(device)
        scores = self._read(ids, seen, starts, layers)
        if len(different) < len(prompts):  # equal prompts, as of a group's first turns, are read once
            layers = [layer.rows(which) for layer in layers]
            scores, seen, starts = scores[which], seen[which], starts[which]
        active = list(range(len(prompts)))
        while True:
            chosen = picker.pick(scores)
            going = [place for place, row in enumerate(active) if not rows[row].reason]
            if not going or layers[0].length == width + limit:
                self._keep(prompts, rows, active, starts, layers)
                return
            if len(going) <= len(active) // 2 and len(active) > _FEW:
                gone = [place for place, row in enumerate(active) if rows[row].reason]
                self._keep(prompts, rows, [active[place] for place in gone], starts[gone], layers, gone)
                layers = [layer.rows(going) for layer in layers]
                chosen, seen, starts = chosen[going], seen[going], starts[going]
                active = [active[place] for place in going]
                picker.rows = [rows[row] for row in active]
            scores = self._read(chosen[:, None], seen, starts, layers)

    def _read(self, ids: Any, seen: Any, starts: Any, layers: list[_Layer]) -> Any:
        """Have the model read tokens (B, n), and return the scores of what comes next, (B, V)."""
        length = layers[0].length
        places = torch.arange(length, length + ids.shape[1], device=ids.device)[None] - starts[:, None]
        found = self.model(
            input_ids=ids,
            attention_mask=seen[:, : length + ids.shape[1]],
            position_ids=places.clamp(min=0),
            past_key_values=Cache(layers=list(layers)),
            use_cache=True,
            logits_to_keep=1,
        )
        return found.logits[:, -1].float()

    def _begun(self, prompts: Sequence[Sequence[int]], width: int, room: int) -> tuple[list[_Layer], int]:
        """Return layers that hold what is known of the prompts, and how many of their last tokens are to be read.

        That is the same number in all rows: the fewest that will do.
        """
        found = [self.memory.find(prompt[:-1]) for prompt in prompts]
        unread = max(len(prompt) - known for prompt, (known, _, _) in zip(prompts, found, strict=True))
        count = len(DynamicCache(config=self.model.config).layers)
        if unread == width:
            return [_Layer(room) for _ in range(count)], unread
        like = next(run for _, run, _ in found if run is not None)
        layers = []
        for number in range(count):
            keys, values = (
                part.new_zeros(len(prompts), part.shape[1], room, part.shape[3])
                for part in (like.layers[number].keys, like.layers[number].values)
            )
            layers.append(_Layer(room, keys, values, width - unread))
        for row, (prompt, (_, run, text)) in enumerate(zip(prompts, found, strict=True)):
            size = len(prompt) - unread
            if run is not None and size > 0:
                place, start = run.places[text]
                end = width - unread
                for layer, known in zip(layers, run.layers, strict=True):
                    layer.keys[row, :, end - size : end] = known.keys[place, :, start : start + size]
                    layer.values[row, :, end - size : end] = known.values[place, :, start : start + size]
        return layers, unread

    def _keep(
        self,
        prompts: Sequence[Sequence[int]],
        rows: Sequence[Row],
        done: Sequence[int],
        starts: Any,
        layers: list[_Layer],
        places: Sequence[int] | None = None,
    ) -> None:
        """Remember rows; the last token of each has not been read."""
        texts = [[*prompts[row], *rows[row].tokens[:-1]] for row in done]
        within = range(len(done)) if places is None else places
        self.memory.add(texts, list(zip(within, starts.tolist(), strict=True)), layers)
