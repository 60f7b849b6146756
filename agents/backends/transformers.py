"""The backend on Hugging Face transformers: any causal language model, in this process, on a CPU or a GPU.

What holds:

* A conversation's result depends on the call's seed, on the conversation, and on how many equal ones stood before it in
  the call; not on its place, its neighbours or ``batch_size``.
* That is exact as far as the model's own arithmetic is. A matrix product may round differently in batches of
  different shape: about 1e-6 in float32, 1e-2 in bfloat16. A row can then differ where two tokens are closer than that.
* What was read is kept in memory, so that a chain goes on, and a conversation comes again, without being read anew (``running``).
* torch's global generator is neither read nor written.
* Held to a JSON schema, a row's text fits it, in the short form of ``json_grammar``; its log-probabilities are those of the
  free model, and how likely all that was allowed was stands beside them. It ends with the last bracket, without an end token.
* Failures are data: a row that fails comes back with ``finish_reason="error"``, and the others come back whole.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gtalign_env.agents.backends.constraints import Grammars, Guide
from gtalign_env.agents.backends.in_process import InProcessBackend, Job, Sampled, end_tokens
from gtalign_env.agents.backends.loading import Loaded, load_model, quiet
from gtalign_env.errors import MissingExtraError, ModelError, UsageError
from gtalign_env.protocols import Sampling

if TYPE_CHECKING:
    from gtalign_env.agents.backends.decoding import Picker, Row

__all__ = ["Loaded", "TransformersBackend"]

_DEFAULT_CONTEXT = 2048
_NO_MEMORY = ("out of memory", "can't allocate memory", "not enough memory")


class TransformersBackend(InProcessBackend):
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

        self.model = loaded.model
        made_for = getattr(self.model.config, "max_position_embeddings", None) or _DEFAULT_CONTEXT
        named = getattr(self.model.generation_config, "eos_token_id", None)
        super().__init__(
            loaded.tokenizer,
            name=f"transformers:{loaded.name}",
            max_context=min(max_context or made_for, made_for),
            bos=loaded.bos,
            ends=end_tokens(loaded.tokenizer, self.model.config.eos_token_id if named is None else named),
        )
        self.batch_size = batch_size
        self._grammars = Grammars(self.tokenizer, size=self.model.config.vocab_size, ends=self._ends)
        pad = self.tokenizer.pad_token_id
        self._pad: int = pad if pad is not None else min(self._ends, default=0)
        settings: Any = GenerationConfig  # not annotated in transformers
        from gtalign_env.agents.backends.running import Runner

        self._runner = Runner(self.model, pad=self._pad) if Runner.fits(self.model) else None
        self._greedy = settings(do_sample=False, num_beams=1, use_cache=True, pad_token_id=self._pad)

    def _run(self, jobs: list[Job], sampling: Sampling) -> list[tuple[Job, Sampled]]:
        """Run all jobs in batches of similar length; where memory does not suffice, go on with half a batch."""
        try:
            self._guide(sampling)
        except (MissingExtraError, ModelError) as error:
            return [(job, Sampled(reason="error", error=str(error))) for job in jobs]
        waiting = sorted(jobs, key=lambda job: len(job.prompt.ids))
        done: list[tuple[Job, Sampled]] = []
        while waiting:
            batch = waiting[: self.batch_size]
            results, failure = self._attempt(batch, sampling)
            if failure is not None and len(batch) > 1 and _no_memory(failure):
                self.batch_size = len(batch) // 2
                _free()
                continue
            if failure is not None:
                reason = f"{type(failure).__name__}: {failure}"
                results = [Sampled(reason="error", error=reason)] * len(batch)
            done += zip(batch, results, strict=True)
            waiting = waiting[len(batch) :]
        return done

    def _attempt(self, batch: list[Job], sampling: Sampling) -> tuple[list[Sampled], Exception | None]:
        """Run one batch; an exception is returned without its traceback, which would keep the batch's memory."""
        try:
            return self._batch(batch, sampling), None
        except Exception as error:  # noqa: BLE001 - a failure of the model is data
            self.forget()
            return [], error.with_traceback(None)

    def _batch(self, batch: list[Job], sampling: Sampling) -> list[Sampled]:
        import torch

        from gtalign_env.agents.backends.decoding import Picker, Row

        started = time.perf_counter()
        rows = [Row(seed=job.seed, limit=job.limit, guide=self._guide(sampling)) for job in batch]
        ends, stops = self._ends_for(sampling), self._stops_for(sampling)
        picker = Picker(rows, sampling, ends=ends, stops=stops, decode=self._decode)
        saved, training = self.model.generation_config, [part for part in self.model.modules() if part.training]
        self.model.generation_config = self._greedy  # what the model's own config says would be added to ours
        self.model.eval()
        try:
            with torch.inference_mode(), quiet():
                self._write(batch, rows, picker)
        finally:
            self.model.generation_config = saved
            for part in training:  # each by itself: parts of a model that is trained may be frozen
                part.training = True
        seconds = time.perf_counter() - started
        return [
            Sampled(row.tokens, row.logprobs, row.reason or "length", row.error, seconds, row.allowed) for row in rows
        ]

    def _write(self, batch: list[Job], rows: list[Row], picker: Picker) -> None:
        """Run the model until every row has ended."""
        limit = max(job.limit for job in batch)
        if self._runner is not None:
            self._runner.run([job.prompt.ids for job in batch], rows, picker, limit)
            return
        from gtalign_env.agents.backends.decoding import Stopper

        ids, mask = self._padded([job.prompt.ids for job in batch])
        self.model.generate(
            input_ids=ids,
            attention_mask=mask,
            max_new_tokens=limit,
            logits_processor=[picker],
            stopping_criteria=[Stopper(rows)],
        )

    def forget(self) -> None:
        """Forget what was read: results then follow from what is asked from now on alone, to the last digit."""
        if self._runner is not None:
            self._runner.memory.clear()

    def _guide(self, sampling: Sampling) -> Guide | None:
        return self._grammars.guide(sampling.json_schema) if sampling.json_schema else None

    def _padded(self, prompts: list[list[int]]) -> tuple[Any, Any]:
        """Return ids and mask, both (B, T), padded on the left: a model goes on from the last place."""
        import torch

        width = max(map(len, prompts))
        ids = [[self._pad] * (width - len(prompt)) + prompt for prompt in prompts]
        mask = [[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts]
        return torch.tensor(ids, device=self.model.device), torch.tensor(mask, device=self.model.device)


def _no_memory(error: Exception) -> bool:
    return isinstance(error, MemoryError) or any(sign in str(error).lower() for sign in _NO_MEMORY)


def _free() -> None:
    import torch

    if torch.cuda.is_available():
        torch.cuda.empty_cache()
