"""What a model has sampled, token by token, from a record: what training learns from, without a tokenizer.

A record of a model's turn holds the prompt of its last call and the tokens of every call, with the place where each began. A
chain that was halted and resumed is one sequence, in which stretches that the model sampled alternate with what stood there
before it or was put in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gtalign_env.errors import UsageError

__all__ = ["Spans", "sampled_spans"]


class Spans(NamedTuple):
    """One sequence of T tokens, and which of them the model sampled."""

    ids: NDArray[np.int64]
    """Token ids, shape (T,)."""
    mask: NDArray[np.bool_]
    """Whether the model sampled this token at this place, shape (T,)."""
    logprobs: NDArray[np.float64]
    """Where it did, the token's log-probability in nats under the model itself (temperature 1); 0 elsewhere, shape (T,)."""


def sampled_spans(record: Mapping[str, Any]) -> Spans:
    """Return the sequence of a recorded turn.

    A token counts where it stands in the sequence as it was sampled. One that the model sampled and that was taken back, as
    an end of its turn in the middle of a chain is, does not stand there, and is left out.

    Args:
        record: What a model player leaves in ``last_call``, and a record in ``steps[…].assistant.model``; for a voiced user that
            of the user. A reply that was given in place of a chain has a record of its own in it, ``record["plain"]``.

    Raises:
        UsageError: The record holds no token ids, or no log-probabilities for them, as of engines that do not tell them; or its
            calls are not one sequence, because the engine has read the text anew in between.

    Example:
        >>> made = {"prompt_ids": [5, 6, 8, 9, 4], "stages": [
        ...     {"start": 2, "token_ids": [8, 2], "logprobs": [-0.5, -0.1]},  # 2 ended the turn, and was taken back
        ...     {"start": 5, "token_ids": [7, 2], "logprobs": [-1.5, -0.25]}]}
        >>> spans = sampled_spans(made)
        >>> spans.ids.tolist(), spans.mask.astype(int).tolist()
        ([5, 6, 8, 9, 4, 7, 2], [0, 0, 1, 0, 0, 1, 1])
        >>> spans.logprobs[spans.mask].tolist()
        [-0.5, -1.5, -0.25]
    """
    stages = _stages(record)
    prompt = [int(token) for token in record.get("prompt_ids") or ()]
    ids = prompt + [int(token) for token in stages[-1]["token_ids"]]
    mask = np.zeros(len(ids), dtype=np.bool_)
    logprobs = np.zeros(len(ids), dtype=np.float64)
    ends = [int(stage["start"]) for stage in stages[1:]] + [len(ids)]
    for stage, end in zip(stages, ends, strict=True):
        start, sampled = int(stage["start"]), stage["token_ids"]
        count = _agreeing(ids[start:end], sampled)
        mask[start : start + count] = True
        logprobs[start : start + count] = stage["logprobs"][:count]
    return Spans(np.array(ids, dtype=np.int64), mask, logprobs)


def _stages(record: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """Return the engine's calls; that of a plain reply may stand in the record itself."""
    stages: Sequence[Mapping[str, Any]] = record.get("stages") or [
        {**record, "start": len(record.get("prompt_ids") or ())}
    ]
    for stage in stages:
        sampled, known = stage.get("token_ids") or (), stage.get("logprobs") or ()
        if len(sampled) != len(known) or not record.get("prompt_ids"):
            raise UsageError(
                f"sampled_spans: expected token ids and as many log-probabilities in every call of the engine, got "
                f"{len(sampled)} and {len(known)}; transformers, vllm and vLLM's server tell them"
            )
        if record.get("stages") and "prompt_ids" in stage:
            raise UsageError(
                "sampled_spans: the engine has read the chain anew between two calls, so their tokens are not one sequence; an "
                "engine that goes on from token ids keeps them"
            )
    return stages


def _agreeing(here: Sequence[int], sampled: Sequence[int]) -> int:
    """Return how many tokens from the beginning on are the same."""
    pairs = zip(here, sampled, strict=False)
    return next((n for n, (one, other) in enumerate(pairs) if one != other), min(len(here), len(sampled)))
