"""The backend on Hugging Face transformers: any causal language model, in this process, on a CPU or a GPU.

What holds:

* A conversation's result depends on the call's seed, on the conversation, and on how many equal ones stood before it in
  the call; not on its place, its neighbours or ``batch_size``.
* That is exact as far as the model's own arithmetic is. A matrix product may round differently in batches of
  different shape: about 1e-6 in float32, 1e-2 in bfloat16. A row can then differ where two tokens are closer than that.
* torch's global generator is neither read nor written.
* Failures are data: a row that fails comes back with ``finish_reason="error"``, and the others come back whole.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from gtalign_env.agents.backends.loading import Loaded, load_model, quiet
from gtalign_env.agents.backends.prompts import NOTHING, Prompt, Prompter, check_conversation, cut_at_stop
from gtalign_env.errors import ModelError, UsageError
from gtalign_env.protocols import Generation, Sampling

__all__ = ["Loaded", "TransformersBackend"]

_DEFAULT_CONTEXT = 2048
_TURN_ENDS = ("<end_of_turn>", "<|im_end|>", "<|eot_id|>", "<|end|>", "<turn|>")
_NO_MEMORY = ("out of memory", "can't allocate memory", "not enough memory")


class TransformersBackend:
    """Continues conversations with a model that transformers can load.

    Args:
        path: A folder with a Hugging Face model; a ``.gguf`` file, or a folder with one; the name of a module that has
            ``assemble()``; with ``hub=True``, the name of a model on the hub. Or a model that is already in memory, as
            ``Loaded(model=…, tokenizer=…, name=…, bos=…)``: it is not changed, so one that is being trained can play.
        device: ``"auto"`` (a GPU where there is one), ``"cpu"``, ``"cuda"``, …
        dtype: ``"auto"`` (float32 on a CPU, bfloat16 elsewhere), ``"float32"``, ``"bfloat16"`` or ``"float16"``.
        batch_size: Most conversations in one forward pass (>= 1); halved by itself when memory does not suffice.
        max_context: Most tokens of prompt and completion together; ``None`` takes what the model was made for.
        hub: Whether the Hugging Face hub may be asked. By default nothing leaves this machine.
        bos: Whether the model wants a BOS token in front of a prompt; ``None`` finds out.

    ``model``, ``tokenizer``, ``max_context`` and ``batch_size`` may be read; the others are for the constructor.

    Raises:
        MissingExtraError: torch, transformers or (for a ``.gguf`` file) gguf is not installed.
        ModelError: There is no model there, or it cannot be loaded.
        UsageError: An argument is out of range.

    Example:
        >>> TransformersBackend("no/such/model", device="cpu")
        Traceback (most recent call last):
        ...
        gtalign_env.errors.ModelError: there is no model at 'no/such/model': expected a folder with a config.json, a
        .gguf file, or a module with assemble(); a model of the Hugging Face hub has to be downloaded first, or allowed
        with hub=True
    """

    def __init__(
        self,
        path: str | Path | Loaded,
        *,
        device: str = "auto",
        dtype: str = "auto",
        batch_size: int = 16,
        max_context: int | None = None,
        hub: bool = False,
        bos: bool | None = None,
    ) -> None:
        if not isinstance(batch_size, int) or batch_size < 1:
            raise UsageError(f"batch_size: expected an integer >= 1, got {batch_size!r}")
        if max_context is not None and (not isinstance(max_context, int) or max_context < 2):
            raise UsageError(f"max_context: expected an integer >= 2, or None, got {max_context!r}")
        loaded = path if isinstance(path, Loaded) else load_model(path, device=device, dtype=dtype, hub=hub, bos=bos)
        from transformers import GenerationConfig

        self.model, self.tokenizer = loaded.model, loaded.tokenizer
        self.name = f"transformers:{loaded.name}"
        self.batch_size = batch_size
        made_for = getattr(self.model.config, "max_position_embeddings", None) or _DEFAULT_CONTEXT
        self.max_context: int = min(max_context or made_for, made_for)
        self._prompter = Prompter(self.tokenizer, bos=loaded.bos)
        self._ends = _ends(self.model, self.tokenizer)
        pad = self.tokenizer.pad_token_id
        self._pad: int = pad if pad is not None else min(self._ends, default=0)
        settings: Any = GenerationConfig  # not annotated in transformers
        self._greedy = settings(do_sample=False, num_beams=1, use_cache=True, pad_token_id=self._pad)

    def generate(self, conversations: Sequence[Sequence[Mapping[str, str]]], sampling: Sampling) -> list[Generation]:
        """Continue each conversation with one assistant message; a last message of the assistant is gone on with.

        Args:
            conversations: OpenAI ``role``/``content`` messages.
            sampling: How to sample, for all of them.

        Returns:
            One generation for each, in order.

        Raises:
            UsageError: A conversation is malformed, or ``max_tokens`` leaves no room for a prompt.
        """
        room = self.max_context - sampling.max_tokens
        if room < 1:
            raise UsageError(
                f"max_tokens={sampling.max_tokens} leaves no room for a prompt: "
                f"{self.name} has a context of {self.max_context} tokens"
            )
        results: list[Generation | None] = [None] * len(conversations)
        jobs: list[_Job] = []
        for place, conversation in enumerate(conversations):
            messages = check_conversation(conversation)
            try:
                jobs.append(_Job(place, self._prompter.prompt(messages, room), ()))
            except ModelError as error:
                results[place] = Generation(text="", finish_reason="error", error=str(error))
        for job, result in self._run(_seeded(jobs, sampling.seed), sampling):
            results[job.place] = result
        return [result for result in results if result is not None]

    def count_tokens(self, text: str) -> int:
        """Return the number of the model's own tokens in ``text``."""
        return len(self.tokenizer.encode(text, add_special_tokens=False))

    def _run(self, jobs: list[_Job], sampling: Sampling) -> list[tuple[_Job, Generation]]:
        """Run all jobs in batches of similar length; where memory does not suffice, go on with half a batch."""
        waiting = sorted(jobs, key=lambda job: len(job.prompt.ids))
        done: list[tuple[_Job, Generation]] = []
        while waiting:
            batch = waiting[: self.batch_size]
            results, failure = self._attempt(batch, sampling)
            if failure is not None and len(batch) > 1 and _no_memory(failure):
                self.batch_size = len(batch) // 2
                _free()
                continue
            if failure is not None:
                reason = f"{type(failure).__name__}: {failure}"
                results = [_failed(job.prompt, reason) for job in batch]
            done += zip(batch, results, strict=True)
            waiting = waiting[len(batch) :]
        return done

    def _attempt(self, batch: list[_Job], sampling: Sampling) -> tuple[list[Generation], Exception | None]:
        """Run one batch; an exception is returned without its traceback, which would keep the batch's memory."""
        try:
            return self._batch(batch, sampling), None
        except Exception as error:  # noqa: BLE001 - a failure of the model is data
            return [], error.with_traceback(None)

    def _batch(self, batch: list[_Job], sampling: Sampling) -> list[Generation]:
        import torch

        from gtalign_env.agents.backends.decoding import Picker, Row, Stopper

        started = time.perf_counter()
        stops = (*sampling.stop, *self._prompter.stops)
        rows = [Row(seed=job.seed) for job in batch]
        ends = self._ends | _as_tokens(self.tokenizer, sampling.stop)
        ids, mask = self._padded([job.prompt.ids for job in batch])
        picker = Picker(rows, sampling, ends=ends, stops=stops, decode=self._decode)
        saved, training = self.model.generation_config, self.model.training
        self.model.generation_config = self._greedy  # what the model's own config says would be added to ours
        self.model.eval()
        try:
            with torch.inference_mode(), quiet():
                self.model.generate(
                    input_ids=ids,
                    attention_mask=mask,
                    max_new_tokens=sampling.max_tokens,
                    logits_processor=[picker],
                    stopping_criteria=[Stopper(rows)],
                )
        finally:
            self.model.generation_config = saved
            self.model.train(training)
        seconds = time.perf_counter() - started
        return [self._finished(job.prompt, row, stops, seconds) for job, row in zip(batch, rows, strict=True)]

    def _padded(self, prompts: list[list[int]]) -> tuple[Any, Any]:
        """Return ids and mask, both (B, T), padded on the left: a model goes on from the last place."""
        import torch

        width = max(map(len, prompts))
        ids = [[self._pad] * (width - len(prompt)) + prompt for prompt in prompts]
        mask = [[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts]
        return torch.tensor(ids, device=self.model.device), torch.tensor(mask, device=self.model.device)

    def _finished(self, prompt: Prompt, row: Any, stops: tuple[str, ...], seconds: float) -> Generation:
        text, _ = cut_at_stop(self._decode(row.tokens), stops)
        error = row.error or ("" if text.strip() else NOTHING)
        return Generation(
            text=text,
            token_ids=tuple(row.tokens),
            logprobs=tuple(row.logprobs),
            finish_reason="error" if error else row.reason or "length",
            prompt_tokens=len(prompt.ids),
            prompt=prompt.text,
            seconds=seconds,
            error=error,
            note=prompt.note,
        )

    def _decode(self, ids: list[int]) -> str:
        return str(self.tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False))


class _Job(NamedTuple):
    place: int
    prompt: Prompt
    seed: tuple[int, ...]


def _seeded(jobs: list[_Job], seed: int) -> list[_Job]:
    from gtalign_env.agents.backends.decoding import row_seeds

    seeds = row_seeds([job.prompt.ids for job in jobs], seed)
    return [job._replace(seed=own) for job, own in zip(jobs, seeds, strict=True)]


def _ends(model: Any, tokenizer: Any) -> frozenset[int]:
    """Return the ids that end a reply: those the model names, and the end of a turn in its chat template."""
    named = getattr(model.generation_config, "eos_token_id", None)
    if named is None:
        named = model.config.eos_token_id
    ids = {tokenizer.eos_token_id, *(named if isinstance(named, (list, tuple)) else (named,))}
    turns = [end for end in _TURN_ENDS if end in str(tokenizer.chat_template or "")]
    return frozenset(id for id in ids if id is not None) | _as_tokens(tokenizer, turns)


def _as_tokens(tokenizer: Any, stops: Sequence[str]) -> frozenset[int]:
    """Return the ids of the stop strings that are control tokens: decoding leaves these out, so text never shows them."""
    added = tokenizer.added_tokens_encoder
    return frozenset(added[stop] for stop in stops if stop in added)


def _failed(prompt: Prompt, reason: str) -> Generation:
    return Generation(
        text="",
        finish_reason="error",
        error=reason,
        prompt=prompt.text,
        prompt_tokens=len(prompt.ids),
        note=prompt.note,
    )


def _no_memory(error: Exception) -> bool:
    return isinstance(error, MemoryError) or any(sign in str(error).lower() for sign in _NO_MEMORY)


def _free() -> None:
    import torch

    if torch.cuda.is_available():
        torch.cuda.empty_cache()
