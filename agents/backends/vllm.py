"""The backend on vLLM, in this process: continuous batching, shared prefixes, LoRA adapters, structured output.

What holds, beside what ``in_process`` says of continuations:

* A conversation's result depends on the call's seed, on the conversation, and on how many equal ones stood before it in the
  call: each row samples with a seed of its own. Exact as far as the engine's arithmetic is, which may round differently
  in batches of different shape.
* Log-probabilities are those of the free model. Under a JSON schema vLLM's own are not, so such rows are read once more. They
  end with an end token, which vLLM samples behind the last bracket.
* Failures are data: a row that fails comes back with ``finish_reason="error"``, and the others come back whole.

vLLM is set up by environment variables. Those of ``SETTINGS`` are set where they are unset, when the first engine starts.
Starting an engine seeds the global generators of Python, numpy and torch; nothing of ours reads them.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import time
import warnings
import weakref
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self

from gtalign_env.agents.backends.in_process import InProcessBackend, Job, Sampled, end_tokens
from gtalign_env.agents.backends.json_grammar import json_grammar
from gtalign_env.agents.backends.loading import Source, first_line, locate, wants_bos
from gtalign_env.agents.backends.unpacking import unpacked
from gtalign_env.errors import MissingExtraError, ModelError, UsageError, require
from gtalign_env.protocols import Sampling

__all__ = ["SETTINGS", "VllmBackend"]

SETTINGS: Mapping[str, str] = {
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_LOGGING_LEVEL": "ERROR",
    "VLLM_NO_USAGE_STATS": "1",
}
"""What vLLM is told where the environment says nothing: the engine in this process, 1 GiB for its cache on a CPU, only
errors on the terminal, no statistics sent home."""

_DTYPES = ("auto", "float32", "bfloat16", "float16")
_RANKS = (8, 16, 32, 64, 128, 256, 320, 512)
_CPU_CONTEXT = 8192
"""Most tokens of a context on a CPU, unless asked for: room for a chain of 24 cells and a long talk. vLLM reserves work space
for prompts of the whole context, and of its cache of 1 GiB a context of 32,768 tokens would leave nothing for a second game."""


class VllmBackend(InProcessBackend):
    """Continues conversations with a model that vLLM can load.

    Args:
        path: A folder with a Hugging Face model; a ``.gguf`` file, a folder with one, or the name of a module that has
            ``assemble()``, which are unpacked once (``unpacking.unpacked``); with ``hub=True``, or where it is in the hub's
            local cache, a model's name.
        dtype: ``"auto"`` (float32 on a CPU, bfloat16 elsewhere), ``"float32"``, ``"bfloat16"`` or ``"float16"``.
        max_context: Most tokens of prompt and completion together; ``None`` takes what the model was made for, or what
            fits the cache; on a CPU 8,192 at most. (vLLM's ``max_model_len``.)
        gpu_memory_utilization: Share of a GPU's memory that the engine may take, in (0, 1].
        enforce_eager: Whether to run without compiled graphs; ``None`` does on a CPU, where compiling takes minutes.
        adapter: A folder with a LoRA adapter (an ``adapter_config.json``) that is applied to the model.
        prefix_caching: Whether prompts share what they have in common.
        hub: Whether the Hugging Face hub may be asked. By default nothing leaves this machine.
        bos: Whether the model wants a BOS token in front of a prompt; ``None`` finds out.
        seed: The engine's own seed; completions go by the seed of the call.
        engine: Anything else that ``vllm.LLM`` takes, e.g. ``tensor_parallel_size=2``.

    ``llm`` (the ``vllm.LLM``, ``None`` once closed), ``tokenizer`` and ``max_context`` may be read. ``close()``, or leaving a
    ``with`` block, gives the memory back; so does the end of the program.

    Raises:
        MissingExtraError: vLLM is not installed; or, for a ``.gguf`` file, gguf.
        ModelError: There is no model there, it cannot be unpacked, it does not fit the memory, or vLLM cannot run it.
        UsageError: An argument is out of range.

    Example:
        >>> VllmBackend("no/such/model")
        Traceback (most recent call last):
        ...
        gtalign_env.errors.ModelError: there is no model at 'no/such/model': expected a folder with a config.json, a
        .gguf file, or a module with assemble(); a model of the Hugging Face hub has to be downloaded first, or allowed
        with hub=True
    """

    def __init__(
        self,
        path: str | Path,
        *,
        dtype: str = "auto",
        max_context: int | None = None,
        gpu_memory_utilization: float = 0.9,
        enforce_eager: bool | None = None,
        adapter: str | Path | None = None,
        prefix_caching: bool = True,
        hub: bool = False,
        bos: bool | None = None,
        seed: int = 0,
        **engine: Any,
    ) -> None:
        _check(dtype, max_context, gpu_memory_utilization)
        source = _source(path, hub)
        rank = _rank(adapter)
        vllm, on_cpu = _vllm()
        if dtype == "auto":
            dtype = "float32" if on_cpu else "bfloat16"
        folder = source.folder
        if source.gguf:
            folder = str(unpacked(Path(folder) / source.gguf, dtype=dtype))
        if max_context is None:
            max_context = _cpu_context(folder) if on_cpu else -1  # -1: what the model was made for, or what fits
        options: dict[str, Any] = {
            "dtype": dtype,
            "max_model_len": max_context,
            "gpu_memory_utilization": gpu_memory_utilization,
            "enforce_eager": on_cpu if enforce_eager is None else enforce_eager,
            "enable_prefix_caching": prefix_caching,
            "seed": seed,
            "structured_outputs_config": {"backend": "guidance"},  # llguidance: what reads our grammars
            # vLLM 0.32 cannot rewind a CPU generator: a row with a seed whose prompt is read in two parts would kill the engine.
            **({"enable_chunked_prefill": False} if on_cpu else {}),
            **({"enable_lora": True, "max_lora_rank": rank} if rank else {}),
        }
        self.llm: Any = _started(vllm, folder, {**options, **engine})
        config = self.llm.llm_engine.model_config
        tokenizer = self.llm.get_tokenizer()
        if bos is None:
            bos = wants_bos(tokenizer, SimpleNamespace(config=config.hf_text_config), source)
        super().__init__(
            tokenizer,
            name=f"vllm:{source.name}",
            max_context=config.max_model_len - 1,  # one token is kept free: reading a full context again takes one more
            bos=bos,
            ends=end_tokens(tokenizer, getattr(config.hf_text_config, "eos_token_id", None)),
        )
        self._adapter = _lora(adapter)
        self._finalizer = weakref.finalize(self, _stop, self.llm)

    def close(self) -> None:
        """Stop the engine and give its memory back; a second time does nothing."""
        self.llm = None
        self._finalizer()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _run(self, jobs: list[Job], sampling: Sampling) -> list[tuple[Job, Sampled]]:
        if self.llm is None:
            raise UsageError(f"{self.name} is closed: make another backend")
        grammar = json_grammar(sampling.json_schema) if sampling.json_schema else ""
        started = time.perf_counter()
        done = self._attempt(jobs, sampling, grammar) if jobs else []
        seconds = time.perf_counter() - started
        return [(job, sampled._replace(seconds=seconds)) for job, sampled in zip(jobs, done, strict=True)]

    def _attempt(self, jobs: list[Job], sampling: Sampling, grammar: str) -> list[Sampled]:
        """Run all jobs in one call of the engine; where that fails each by itself, so that one cannot fail the others."""
        try:
            return self._sampled(jobs, sampling, grammar)
        except Exception as error:  # noqa: BLE001 - a failure of the engine is data
            self._abort()
            if len(jobs) == 1:
                return [Sampled(reason="error", error=first_line(error))]
        except BaseException:  # an interrupt must not leave requests behind that the next call would be handed
            self._abort()
            raise
        return [self._attempt([job], sampling, grammar)[0] for job in jobs]

    def _sampled(self, jobs: list[Job], sampling: Sampling, grammar: str) -> list[Sampled]:
        outputs = self._engine([job.prompt.ids for job in jobs], [self._params(job, sampling, grammar) for job in jobs])
        done = [_read(output.outputs[0]) for output in outputs]
        if grammar:
            return self._scored(jobs, done)
        for place, output in enumerate(outputs):
            stop = output.outputs[0].stop_reason
            if isinstance(stop, str) and stop not in self._decode(done[place].tokens):
                done[place] = self._unstopped(jobs[place], done[place], sampling)
        return done

    def _unstopped(self, job: Job, sampled: Sampled, sampling: Sampling) -> Sampled:
        """Go on with a row that was stopped by a stop string in its prompt.

        vLLM's detokeniser reads prompt and completion as one text. Where the prompt ends inside a character, as a continuation's
        may, the end of the prompt comes out with the completion.
        """
        left = job.limit - len(sampled.tokens)
        if not left:
            return sampled._replace(reason="length")
        prompt = job.prompt._replace(ids=[*job.prompt.ids, *sampled.tokens])
        rest = self._sampled([job._replace(prompt=prompt, limit=left, seed=(*job.seed, left))], sampling, "")[0]
        return rest._replace(tokens=[*sampled.tokens, *rest.tokens], logprobs=[*sampled.logprobs, *rest.logprobs])

    def _scored(self, jobs: list[Job], done: list[Sampled]) -> list[Sampled]:
        """Return the same with the free model's log-probabilities."""
        from vllm import SamplingParams

        whole = [[*job.prompt.ids, *sampled.tokens] for job, sampled in zip(jobs, done, strict=True)]
        outputs = self._engine(whole, [SamplingParams(max_tokens=1, temperature=0.0, prompt_logprobs=0)] * len(jobs))
        scored = []
        for job, sampled, output in zip(jobs, done, outputs, strict=True):
            rows = output.prompt_logprobs[len(job.prompt.ids) :]
            scored.append(sampled._replace(logprobs=_logprobs(sampled.tokens, rows)))
        return scored

    def _engine(self, prompts: list[list[int]], params: list[Any]) -> list[Any]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            made: list[Any] = self.llm.generate(
                [{"prompt_token_ids": ids} for ids in prompts], params, use_tqdm=False, lora_request=self._adapter
            )
        return made

    def _params(self, job: Job, sampling: Sampling, grammar: str) -> Any:
        from vllm import SamplingParams
        from vllm.sampling_params import StructuredOutputsParams

        stops = list(self._stops_for(sampling))
        return SamplingParams(
            max_tokens=job.limit,
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            seed=_seed(job.seed) if sampling.temperature else None,
            stop=stops,
            stop_token_ids=sorted(self._ends_for(sampling)),
            logprobs=0,  # of the sampled token, and no others
            detokenize=bool(stops),
            structured_outputs=StructuredOutputsParams(grammar=grammar) if grammar else None,
        )

    def _abort(self) -> None:
        """Take back all requests; an engine that is dead has none."""
        with contextlib.suppress(Exception):
            engine = self.llm.llm_engine
            engine.abort_request(list(engine.output_processor.request_states), internal=True)


def _check(dtype: str, max_context: int | None, share: float) -> None:
    for option, fits, expected, got in (
        ("dtype", dtype in _DTYPES, f"one of {', '.join(_DTYPES)}", dtype),
        (
            "max_context",
            max_context is None or (isinstance(max_context, int) and max_context >= 3),
            "an integer >= 3, or None",
            max_context,
        ),
        ("gpu_memory_utilization", 0 < share <= 1, "a number in (0, 1]", share),
    ):
        if not fits:
            raise UsageError(f"{option}: expected {expected}, got {got!r}")


def _source(path: str | Path, hub: bool) -> Source:
    """Find the model; one in the hub's cache is named by its folder, so that vLLM asks nobody."""
    source = locate(path, hub=hub)
    if not hub and not Path(source.folder).is_dir():
        from huggingface_hub import snapshot_download

        return source._replace(folder=snapshot_download(source.folder, local_files_only=True))
    return source


def _vllm() -> tuple[Any, bool]:
    """Import vLLM and say whether it runs on a CPU."""
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            vllm = require("vllm", feature="the vllm backend", extra="vllm")
            platforms: Any = require("vllm.platforms", feature="the vllm backend", extra="vllm")
            vllm.LLM, vllm.SamplingParams  # noqa: B018 - it imports them when asked
            return vllm, bool(platforms.current_platform.is_cpu())
    except MissingExtraError:
        raise
    except Exception as error:  # a build that does not match the machine, or torch, raises anything
        raise ModelError(f"vLLM is installed but cannot be imported: {first_line(error)}") from error


def _cpu_context(folder: str) -> int:
    """Return the context for a CPU: what the model was made for, up to a bound; -1 where only vLLM knows."""
    try:
        config = json.loads((Path(folder) / "config.json").read_text(encoding="utf-8"))
        made_for = (config.get("text_config") or config)["max_position_embeddings"]
        return min(int(made_for), _CPU_CONTEXT)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):  # vLLM has a sentence for it, or a default
        return -1


def _started(vllm: Any, folder: str, options: dict[str, Any]) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return vllm.LLM(folder, trust_remote_code=False, **options)
    except Exception as error:  # whatever its parts raise; the reader needs the model and the reason
        raise ModelError(f"{folder}: vLLM could not start with this model: {first_line(error)}") from error


def _stop(llm: Any) -> None:
    from vllm.distributed.parallel_state import cleanup_dist_env_and_memory

    llm.llm_engine.engine_core.shutdown()
    cleanup_dist_env_and_memory()


def _rank(adapter: str | Path | None) -> int:
    """Return the rank that the engine must reserve for an adapter; 0 for none."""
    if adapter is None:
        return 0
    file = Path(adapter).expanduser() / "adapter_config.json"
    try:
        rank = int(json.loads(file.read_text(encoding="utf-8"))["r"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(
            f"there is no LoRA adapter at {str(adapter)!r}: expected a folder with an adapter_config.json that gives its rank "
            f"'r' ({type(error).__name__})"
        ) from error
    reserved = next((size for size in _RANKS if size >= rank), 0)
    if not reserved:
        raise ModelError(f"the adapter {str(adapter)!r} has rank {rank}: vLLM takes up to {_RANKS[-1]}")
    return reserved


def _lora(adapter: str | Path | None) -> Any:
    if adapter is None:
        return None
    from vllm.lora.request import LoRARequest

    folder = Path(adapter).expanduser().resolve()
    return LoRARequest(folder.name, 1, str(folder))


def _read(completion: Any) -> Sampled:
    tokens = [int(token) for token in completion.token_ids]
    if completion.finish_reason not in ("stop", "length"):
        return Sampled(tokens, (), "error", f"vLLM gave up on this row: {completion.finish_reason}")
    logprobs = _logprobs(tokens, completion.logprobs)
    if not all(map(math.isfinite, logprobs)):
        return Sampled((), (), "error", "the model's scores are not finite numbers: its weights may be damaged")
    return Sampled(tokens, logprobs, completion.finish_reason)


def _logprobs(tokens: Any, rows: Any) -> list[float]:
    """Return the log-probability of each token; ``rows`` map token ids to ``vllm.logprobs.Logprob``."""
    return [float(row[token].logprob) for token, row in zip(tokens, rows, strict=True)]


def _seed(parts: tuple[int, ...]) -> int:
    """Fold a row's seed into the 63 bits that vLLM takes."""
    digest = hashlib.blake2b(repr(parts).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1
