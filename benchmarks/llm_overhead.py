"""What batched play costs beside the engine: exchanges per second with a fake one, share of the speed of real ones.

The fake engine answers at once, so what is measured is all ours: the game, reading and grading, records, gathering. With a
real engine the same prompts are then given to it directly, in the same batches, for the same numbers of tokens.
"""

from __future__ import annotations

import copy
import functools
import importlib.util
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import gtalign_env
from gtalign_env.agents.assistants.llm import LLMAssistant
from gtalign_env.agents.chain.player import ChainAssistant
from gtalign_env.agents.users import population
from gtalign_env.play import episode_seeds
from gtalign_env.play_batch import play_batch
from gtalign_env.protocols import Backend, Generation, Policy, Sampling

NAME = "llm_overhead"
DESCRIPTION = (
    "batched play of the text view: exchanges per second and core with a fake engine, and tokens per second as a share of "
    "what a real engine reaches on the same prompts without us"
)

EXCHANGES = 300
SHARE = 0.9
_TINY = Path(__file__).resolve().parents[1] / "tests" / "helpers" / "tiny_llama.py"
_SIZE = {
    "hidden_size": 384,
    "intermediate_size": 768,
    "num_hidden_layers": 4,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "max_position_embeddings": 4096,
}
"""Some five million random weights: small enough for a minute, large enough that the engine has something to do."""

Row = dict[str, Any]
Batch = list[Generation]


def measure(*, quick: bool, say: Callable[[str], None]) -> list[Row]:
    """Return exchanges per second and core for each mode, and the share of each engine that is installed."""
    modes: dict[str, Callable[[], Policy]] = {
        "no chain": lambda: LLMAssistant("fake:rules"),
        "chain, solver": lambda: ChainAssistant("fake:chain", mode="solver"),
        "chain, solver, six cells": lambda: ChainAssistant("fake:chain", mode="solver", moves="paper"),
    }
    rows = [_exchanges(name, make(), quick=quick, say=say) for name, make in modes.items()]
    return [*rows, _transformers(quick=quick, say=say), _vllm(quick=quick, say=say)]


def _exchanges(name: str, assistant: Policy, *, quick: bool, say: Callable[[str], None]) -> Row:
    """Return exchanges per second of processor time: what one core does, whatever else the machine is busy with."""
    repeats, episodes = (2, 8) if quick else (5, 64)
    found = []
    for repeat in range(repeats):
        started = time.process_time()
        replies = _replies(assistant, episodes, seed=repeat)
        found.append(replies / (time.process_time() - started))
        say(f"llm_overhead: {name}, repeat {repeat + 1} of {repeats}")
    value = statistics.median(found)
    required = {"required": f">= {EXCHANGES}", "ok": value >= EXCHANGES}
    return {"name": f"fake engine, {name}", "value": value, "unit": "exchanges/s/core", "repeats": found, **required}


def _replies(assistant: Policy, episodes: int, *, seed: int, **options: Any) -> int:
    """Play episodes at once and return the number of replies in them."""
    env = gtalign_env.parallel_env("gtalign/AssistText-v0", **options)
    make_env = functools.partial(copy.deepcopy, env)
    replies = 0
    for episode in play_batch(make_env, population(), assistant, episode_seeds(seed, episodes), games=64):
        if episode.ended == "error":
            raise RuntimeError(f"an episode failed: {episode.error}")
        replies += sum(step.to_move == "assistant_0" for step in episode.steps)
    return replies


class _Noting:
    """An engine that remembers what it made in each call."""

    def __init__(self, backend: Backend) -> None:
        self.name = backend.name
        self.calls: list[Batch] = []
        self._backend = backend

    def generate(self, conversations: Sequence[Any], sampling: Sampling) -> list[Generation]:
        """Ask the engine."""
        self.calls.append(self._backend.generate(conversations, sampling))
        return self.calls[-1]

    def count_tokens(self, text: str) -> int:
        """Return the engine's count."""
        return self._backend.count_tokens(text)


def _share(
    name: str, backend: Backend, directly: Callable[[Batch], None], *, quick: bool, say: Callable[[str], None]
) -> Row:
    """Return how quick play is beside the engine alone on the same prompts, in turns, so that both have the same machine."""
    repeats, episodes, tokens = (1, 2, 8) if quick else (3, 24, 32)
    shares, speeds = [], []
    for repeat in range(-1, repeats):  # the first one warms up
        engine = _Noting(backend)
        assistant = LLMAssistant(engine, sampling=Sampling(max_tokens=tokens), system_prompt="")
        started = time.perf_counter()
        _replies(assistant, episodes, seed=repeat + 1, questions=1)
        ours = time.perf_counter() - started
        started = time.perf_counter()
        for call in engine.calls:
            directly(call)
        alone = time.perf_counter() - started
        written = sum(len(made.token_ids) for call in engine.calls for made in call)
        say(f"llm_overhead: {name}, {written / ours:,.0f} tokens/s in play, {written / alone:,.0f} alone")
        if repeat >= 0:
            shares.append(alone / ours)
            speeds.append(written / ours)
    value = statistics.median(shares)
    return {
        "name": f"{name}: tokens/s in play / alone",
        "value": value,
        "unit": "share",
        "repeats": shares,
        "tokens_per_second": statistics.median(speeds),
        "required": f">= {SHARE}",
        "ok": value >= SHARE,
    }


def _missing(name: str, package: str) -> Row:
    note = f"{package} is not installed"
    return {"name": f"{name}: tokens/s in play / alone", "value": None, "unit": "share", "note": note}


def _tiny() -> tuple[Any, Any]:
    """Return a model and a tokenizer, made here."""
    spec = importlib.util.spec_from_file_location("gtalign_tiny_llama", _TINY)
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    tokenizer = made.make_tokenizer()
    return made.make_model(tokenizer, **_SIZE), tokenizer


def _installed(*packages: str) -> str:
    """Return the first package that is missing; empty where all are there."""
    return next((package for package in packages if importlib.util.find_spec(package) is None), "")


def _transformers(*, quick: bool, say: Callable[[str], None]) -> Row:
    if missing := _installed("torch", "transformers", "pytest"):
        return _missing("transformers", missing)
    import torch
    from transformers import GenerationConfig

    from gtalign_env.agents.backends.loading import Loaded
    from gtalign_env.agents.backends.transformers import TransformersBackend

    model, tokenizer = _tiny()
    backend = TransformersBackend(Loaded(model, tokenizer, "tiny", bos=False))
    settings: Any = functools.partial(GenerationConfig, do_sample=False, pad_token_id=tokenizer.pad_token_id)

    def directly(call: Batch) -> None:
        """Give the engine the same batches for as many steps as they took."""
        made = sorted(call, key=lambda one: len(one.prompt_ids))
        for first in range(0, len(made), backend.batch_size):
            batch = made[first : first + backend.batch_size]
            width = max(len(one.prompt_ids) for one in batch)
            ids = [[tokenizer.pad_token_id] * (width - len(one.prompt_ids)) + list(one.prompt_ids) for one in batch]
            mask = [[0] * (width - len(one.prompt_ids)) + [1] * len(one.prompt_ids) for one in batch]
            with torch.inference_mode():
                model.generate(
                    input_ids=torch.tensor(ids),
                    attention_mask=torch.tensor(mask),
                    generation_config=settings(max_new_tokens=max(len(one.token_ids) for one in batch)),
                )

    return _share("transformers", backend, directly, quick=quick, say=say)


def _vllm(*, quick: bool, say: Callable[[str], None]) -> Row:
    if missing := _installed("vllm", "torch", "transformers", "pytest"):
        return _missing("vllm", missing)
    from gtalign_env.agents.backends.vllm import VllmBackend

    with tempfile.TemporaryDirectory() as folder:
        model, tokenizer = _tiny()
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        with VllmBackend(folder, prefix_caching=False) as backend:  # else the second to ask finds all prompts read
            import vllm

            def directly(call: Batch) -> None:
                """Give the engine the same prompts at once, for as many tokens as each took."""
                backend.llm.generate(
                    [{"prompt_token_ids": list(one.prompt_ids)} for one in call],
                    [
                        vllm.SamplingParams(
                            temperature=0.0, max_tokens=len(one.token_ids), ignore_eos=True, detokenize=False
                        )
                        for one in call
                    ],
                    use_tqdm=False,
                )

            return _share("vllm", backend, directly, quick=quick, say=say)
