"""What engines in this process have in common: from what is asked to token ids, and from tokens to a ``Generation``.

A ``Continuation`` goes on from the very ids of the completion before: its prompt, its tokens, then the new text, which
alone is tokenised. Three things are not carried over, because a reply does not have them in its middle: end tokens at
the end of what was sampled (the model had ended its turn, and is made to go on); the plain dialogue's own stop
strings, which stand for such a token where there is no chat template; and control tokens inside the new text. A stop string that
the caller asked for stays, with whatever came along in its last token.

A completion of another kind of engine, without ids, is continued by its text.
"""

from __future__ import annotations

import abc
import collections
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from gtalign_env.agents.backends.prompts import NOTHING, TOO_LONG, Prompt, Prompter, check_conversation, cut_at_stop
from gtalign_env.errors import ModelError, UsageError
from gtalign_env.protocols import Continuation, Conversation, Generation, Sampling

__all__ = ["InProcessBackend", "Job", "Sampled", "end_tokens", "row_seeds"]

_TURN_ENDS = ("<end_of_turn>", "<|im_end|>", "<|eot_id|>", "<|end|>", "<turn|>")


class Job(NamedTuple):
    """One completion to be made."""

    place: int
    """Where its result belongs."""
    prompt: Prompt
    conversation: tuple[Mapping[str, str], ...]
    limit: int
    """Most tokens to sample."""
    seed: tuple[int, ...] = ()


class Sampled(NamedTuple):
    """What an engine made of a job."""

    tokens: Sequence[int] = ()
    logprobs: Sequence[float] = ()
    reason: str = "length"
    """``"stop"``, ``"length"`` or ``"error"``."""
    error: str = ""
    seconds: float = 0.0
    allowed: Sequence[float] = ()
    """See ``Generation.allowed``."""


class InProcessBackend(abc.ABC):
    """A backend that knows its tokens; a subclass samples them in ``_run``.

    Args:
        tokenizer: A transformers tokenizer.
        name: What the backend is called.
        max_context: Most tokens of prompt and completion together.
        bos: Whether the model wants a BOS token in front of a prompt.
        ends: Ids that end a reply.
    """

    def __init__(self, tokenizer: Any, *, name: str, max_context: int, bos: bool, ends: frozenset[int]) -> None:
        self.tokenizer = tokenizer
        self.name = name
        self.max_context = max_context
        self._prompter = Prompter(tokenizer, bos=bos)
        self._ends = ends

    def generate(
        self,
        conversations: Sequence[Conversation | Continuation],
        sampling: Sampling,
        *,
        seeds: Sequence[int] | None = None,
    ) -> list[Generation]:
        """Continue each conversation with one assistant message, and each continuation where it stands.

        Args:
            conversations: OpenAI ``role``/``content`` messages, of which a last one of the assistant is gone on with; or
                completions of this engine that go on.
            sampling: How to sample, for all of them.
            seeds: One for each row, in place of the sampling's: rows of several games in one call.

        Returns:
            One generation for each, in order.

        Raises:
            UsageError: A conversation is malformed, ``max_tokens`` leaves no room for a prompt, or ``json_schema`` is none.
        """
        if sampling.max_tokens >= self.max_context:
            raise UsageError(
                f"max_tokens={sampling.max_tokens} leaves no room for a prompt: "
                f"{self.name} has a context of {self.max_context} tokens"
            )
        results: list[Generation | None] = [None] * len(conversations)
        jobs: list[Job] = []
        for place, asked in enumerate(conversations):
            try:
                if isinstance(asked, Continuation):
                    jobs.append(self._resumed(place, asked, sampling.max_tokens))
                else:
                    jobs.append(self._begun(place, asked, sampling.max_tokens, reserve=sampling.reserve))
            except ModelError as error:
                results[place] = Generation(text="", finish_reason="error", error=str(error))
        given = sampling.seed if seeds is None else [seeds[job.place] for job in jobs]
        own = row_seeds([job.prompt.ids for job in jobs], given)
        jobs = [job._replace(seed=seed) for job, seed in zip(jobs, own, strict=True)]
        for job, sampled in self._run(jobs, sampling):
            results[job.place] = self._generation(job, sampled, sampling)
        return [result for result in results if result is not None]

    def count_tokens(self, text: str) -> int:
        """Return the number of the model's own tokens in ``text``."""
        return len(self.tokenizer.encode(text, add_special_tokens=False))

    @abc.abstractmethod
    def _run(self, jobs: list[Job], sampling: Sampling) -> Iterable[tuple[Job, Sampled]]:
        """Sample all jobs, in any order. What fails is said in its ``Sampled``."""

    def _begun(self, place: int, conversation: Any, limit: int, *, reserve: int = 0) -> Job:
        """Return the job for a conversation; its oldest turns go where it is too long.

        Raises:
            ModelError: What has to stay of it is too long.
        """
        messages = check_conversation(conversation)
        prompt = self._prompter.prompt(messages, self.max_context - limit, reserve=reserve)
        return Job(place, prompt, tuple(messages), limit)

    def _resumed(self, place: int, continuation: Any, limit: int) -> Job:
        """Return the job for a continuation.

        Raises:
            ModelError: There is nothing to go on with, or no room to go on.
        """
        after: Generation = continuation.after
        if after.finish_reason == "error" and after.error != NOTHING:
            raise ModelError(f"there is nothing to go on with: the completion before failed ({after.error})")
        said = after.conversation[:-1] if continuation.prefill else after.conversation
        messages = [*said, {"role": "assistant", "content": continuation.written}]
        if not after.prompt_ids:
            return self._begun(place, messages, limit)
        kept, text = self._kept(after), self._prompter.defuse(continuation.text)
        ids = [*after.prompt_ids, *kept, *self._prompter.piece(text)]
        room = self.max_context - len(ids)
        if room < 1:
            raise ModelError(
                f"{TOO_LONG}: there is no room to go on; prompt and completion have {len(ids)} tokens, and {self.name} has a "
                f"context of {self.max_context}"
            )
        note = "" if room >= limit else f"at most {room} tokens instead of {limit}: the context is full"
        prompt = Prompt(ids, after.prompt + self._decode(kept) + text, note)
        return Job(place, prompt, tuple(messages), min(limit, room))

    def _kept(self, after: Generation) -> list[int]:
        """Return the sampled ids without the end of the turn."""
        ids = list(after.token_ids)
        while ids and ids[-1] in self._ends:
            ids.pop()
        text, ended = cut_at_stop(self._decode(ids), self._prompter.stops)
        if not ended:
            return ids
        while ids and len(self._decode(ids)) > len(text):
            ids.pop()
        return ids + self._prompter.piece(text[len(self._decode(ids)) :])  # what stood before the end in the same token

    def _generation(self, job: Job, sampled: Sampled, sampling: Sampling) -> Generation:
        written, _ = cut_at_stop(self._decode(sampled.tokens), self._prompter.stops)
        text, _ = cut_at_stop(written, sampling.stop)
        error = sampled.error or ("" if text.strip() else NOTHING)
        return Generation(
            text=text,
            token_ids=tuple(sampled.tokens),
            logprobs=tuple(sampled.logprobs),
            allowed=tuple(sampled.allowed),
            finish_reason="error" if error else sampled.reason,
            prompt_tokens=len(job.prompt.ids),
            prompt=job.prompt.text,
            seconds=sampled.seconds,
            error=error,
            note=job.prompt.note,
            sampled=written,
            prompt_ids=tuple(job.prompt.ids),
            conversation=job.conversation,
        )

    def _ends_for(self, sampling: Sampling) -> frozenset[int]:
        """Return all ids that end a completion: decoding leaves control tokens out, so no stop string ever shows them."""
        return self._ends | _as_tokens(self.tokenizer, sampling.stop)

    def _stops_for(self, sampling: Sampling) -> tuple[str, ...]:
        return tuple(stop for stop in (*sampling.stop, *self._prompter.stops) if stop)

    def _decode(self, ids: Sequence[int]) -> str:
        return str(self.tokenizer.decode(list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False))


def end_tokens(tokenizer: Any, named: Any) -> frozenset[int]:
    """Return the ids that end a reply.

    Args:
        tokenizer: Its own end token counts, and the end of a turn in its chat template.
        named: What the model's configuration names: an id, several, or ``None``.
    """
    ids = {tokenizer.eos_token_id, *(named if isinstance(named, (list, tuple)) else (named,))}
    turns = [end for end in _TURN_ENDS if end in str(tokenizer.chat_template or "")]
    return frozenset(id for id in ids if id is not None) | _as_tokens(tokenizer, turns)


def row_seeds(prompts: Sequence[Sequence[int]], seed: int | Sequence[int]) -> list[tuple[int, ...]]:
    """Return a seed for each row that depends on the call's seed (or the row's), its prompt, and how often both came before.

    So a row's result is the same in any company, and equal prompts still get different samples.

    Example:
        >>> one, two, three = row_seeds([[1, 2], [3], [1, 2]], seed=0)
        >>> one == row_seeds([[1, 2]], seed=0)[0], one == three
        (True, False)
    """
    given = [seed] * len(prompts) if isinstance(seed, int) else seed
    seen: collections.Counter[tuple[int, int]] = collections.Counter()
    seeds: list[tuple[int, ...]] = []
    for ids, first in zip(prompts, given, strict=True):
        digest = hashlib.blake2b(np.asarray(ids, dtype=np.int64).tobytes(), digest_size=8).digest()
        row = (first, int.from_bytes(digest, "little"))
        seeds.append((*row, seen[row]))
        seen[row] += 1
    return seeds


def _as_tokens(tokenizer: Any, stops: Sequence[str]) -> frozenset[int]:
    """Return the ids of those strings that are control tokens."""
    added = tokenizer.added_tokens_encoder
    return frozenset(added[stop] for stop in stops if stop in added)
