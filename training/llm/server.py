"""Playing on a vLLM server (or several behind one address), and getting the trained weights there.

Three ways, by what is at hand:

* ``checkpoint``: the model is written to a folder that both see, and ``/collective_rpc reload_weights`` reads it. The server is
  started with ``VLLM_SERVER_DEV_MODE=1``.
* ``adapter``: the LoRA adapter is written to such a folder, and loaded in place. The server is started with
  ``VLLM_ALLOW_RUNTIME_LORA_UPDATING=1`` and ``--enable-lora``.
* ``nccl``: weights go from GPU to GPU (``vllm.distributed.weight_transfer``). The server is started with
  ``VLLM_SERVER_DEV_MODE=1`` and ``--weight-transfer-config '{"backend": "nccl"}'``.

Whatever way, what stands in the server's cache of prefixes was computed with the old weights, so it is emptied. That the new
weights are those that play is for ``sync.Canary`` to see: the server scores the probe as a prompt.
"""

from __future__ import annotations

import json
import shutil
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gtalign_env.agents.backends.openai import OpenAIBackend
from gtalign_env.errors import ModelError, UsageError, require
from gtalign_env.training.llm.distributed import meet, unwrapped, world
from gtalign_env.training.llm.sampler import load_whole, refuse_tied, save_model, whole_model

__all__ = ["WAYS", "ServerSampler"]

WAYS: tuple[str, ...] = ("adapter", "checkpoint", "nccl")
_KEPT = 2
"""Versions that stay on the disk: the one that plays, and the one before it."""


class ServerSampler:
    """Plays on a vLLM server.

    Args:
        model: The served model's name.
        base_url: Where the server is, e.g. ``"http://127.0.0.1:8000/v1"``.
        how: How weights get there (``WAYS``).
        folder: Where ``checkpoint`` and ``adapter`` write; server and trainer have to see it under this name.
        tokenizer: Saved beside a checkpoint, and what tokens are counted with.
        timeout: Most seconds for one request of a sync.
        transfer: For ``nccl``: ``master_address``, ``master_port`` and ``world_size`` (processes of the server and one).
        **options: Of ``OpenAIBackend``, e.g. ``api_key`` and ``concurrency``.

    Raises:
        UsageError: There is no such way, or what it needs is missing.
    """

    copies = True

    def __init__(
        self,
        model: str,
        *,
        base_url: str,
        how: str = "checkpoint",
        folder: str | Path | None = None,
        tokenizer: Any = None,
        timeout: float = 600.0,
        transfer: dict[str, Any] | None = None,
        **options: Any,
    ) -> None:
        if how not in WAYS:
            raise UsageError(f"ServerSampler how: expected one of {', '.join(WAYS)}, got {how!r}")
        if how != "nccl" and folder is None:
            raise UsageError(f"ServerSampler: expected a folder that trainer and server see, for how={how!r}")
        if how == "nccl" and not {"master_address", "master_port", "world_size"} <= set(transfer or ()):
            raise UsageError(
                "ServerSampler: expected transfer=dict(master_address=…, master_port=…, world_size=…) for NCCL"
            )
        if not base_url.startswith(("http://", "https://")):
            raise UsageError(f"ServerSampler base_url: expected http://…/v1, got {base_url!r}")
        self.how, self.folder, self.timeout = how, None if folder is None else Path(folder), timeout
        self.backend: Any = OpenAIBackend(
            model,
            base_url=base_url,
            dialect="vllm",
            **({"tokenizer": tokenizer} if tokenizer is not None else {}),
            **options,
        )
        self.name = f"{self.backend.name} at {base_url}"
        self.version = 0
        self._url, self._key, self._tokenizer = base_url.rstrip("/"), options.get("api_key") or "", tokenizer
        self._model, self._transfer = model, transfer or {}
        self._whole: Any = None
        self._engine: Any = None

    def sync(self, model: Any) -> None:
        """Get the weights to the server; all processes have to call it together, and the first one speaks.

        Raises:
            ModelError: The server did not take them.
            UsageError: This model cannot go this way.
        """
        {"adapter": self._adapter, "checkpoint": self._checkpoint, "nccl": self._send}[self.how](model)
        self.version += 1
        meet()

    def score(self, ids: Sequence[int]) -> Sequence[float]:
        """Return the log-probabilities of tokens, as the server reads them in a prompt."""
        body = {"model": self._model, "prompt": list(ids), "max_tokens": 1, "temperature": 0.0, "prompt_logprobs": 0}
        found = self._post(f"{self._url}/completions", body)
        try:
            rows = found["choices"][0]["prompt_logprobs"][1:]
            return [float(row[str(token)]["logprob"]) for token, row in zip(ids[1:], rows, strict=True)]
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise ModelError(
                f"{self.name}: does not tell the log-probabilities of a prompt (prompt_logprobs), so nobody could see whether it "
                "plays with the new weights: expected a vLLM server"
            ) from error

    def close(self) -> None:
        """Part from the server."""
        if self._engine is not None:
            self._engine.shutdown()
        self._engine = None

    # -- the ways -----------------------------------------------------------------------------------------------------

    def _checkpoint(self, model: Any) -> None:
        refuse_tied(unwrapped(model).config, self.name)
        if self._whole is None:
            self._whole = whole_model(model, device="cpu")
        else:
            load_whole(self._whole, model)
        if not world().is_main:
            return
        path = self._place()
        save_model(self._whole, self._tokenizer, path)
        self._ask("collective_rpc", {"method": "reload_weights", "kwargs": {"weights_path": str(path)}})
        self._ask("reset_prefix_cache", {})

    def _adapter(self, model: Any) -> None:
        if not hasattr(model, "peft_config"):
            raise UsageError(
                "ServerSampler: how='adapter' sends an adapter: expected a model that learns with one (lora_rank)"
            )
        if world().size > 1:
            raise UsageError("ServerSampler: adapters of several processes: take how='checkpoint' or 'nccl'")
        path = self._place()
        model.save_pretrained(str(path))
        self._post(
            f"{self._url}/load_lora_adapter", {"lora_name": "gtalign", "lora_path": str(path), "load_inplace": True}
        )
        self._model = self.backend.model = "gtalign"
        self._ask("reset_prefix_cache", {})

    def _send(self, model: Any) -> None:
        if self._engine is None:
            self._engine = self._rendezvous(model)
        self._engine.send_weights()
        if world().is_main:
            self._ask("reset_prefix_cache", {})

    def _rendezvous(self, model: Any) -> Any:
        """Join the server's processes (vLLM 0.32; see docs.vllm.ai/en/v0.32.0/training/weight_transfer)."""
        refuse_tied(unwrapped(model).config, self.name)
        if hasattr(model, "peft_config"):
            raise UsageError(
                "ServerSampler: how='nccl' sends whole weights: expected a model without adapters, or how='adapter'"
            )
        base: Any = require("vllm.distributed.weight_transfer.base", feature="weight transfer by NCCL", extra="vllm")
        clients: Any = require(
            "vllm.distributed.weight_transfer.clients", feature="weight transfer by NCCL", extra="vllm"
        )
        factory: Any = require(
            "vllm.distributed.weight_transfer.factory", feature="weight transfer by NCCL", extra="vllm"
        )
        nccl: Any = require(
            "vllm.distributed.weight_transfer.nccl_engine", feature="weight transfer by NCCL", extra="vllm"
        )
        return factory.WeightTransferTrainerFactory.trainer_init(
            nccl.NCCLTrainerInitInfo(rank=world().rank, **self._transfer),
            client=clients.HTTPVLLMWeightSyncClient(self._root, timeout=self.timeout),
            source=base.ModuleSource(unwrapped(model)),
        )

    # -- the server ---------------------------------------------------------------------------------------------------

    @property
    def _root(self) -> str:
        return self._url.removesuffix("/v1")

    def _place(self) -> Path:
        """Return the folder of the next version; older ones than the last go."""
        assert self.folder is not None
        self.folder.mkdir(parents=True, exist_ok=True)
        for old in sorted(self.folder.glob("version-*"))[: -_KEPT + 1]:
            shutil.rmtree(old, ignore_errors=True)
        path = self.folder.resolve() / f"version-{self.version + 1:08d}"
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir()
        return path

    def _ask(self, route: str, body: dict[str, Any]) -> Any:
        return self._post(f"{self._root}/{route}", body)

    def _post(self, url: str, body: dict[str, Any]) -> Any:
        """Send JSON, and return what comes back.

        Raises:
            ModelError: The server refuses, or is not there; the key is in no message.
        """
        headers = {
            "Content-Type": "application/json",
            **({"Authorization": f"Bearer {self._key}"} if self._key else {}),
        }
        request = urllib.request.Request(url, json.dumps(body).encode(), headers)  # noqa: S310 - checked to be http
        try:
            with urllib.request.urlopen(request, timeout=self.timeout) as answer:  # noqa: S310
                content = answer.read()
        except urllib.error.HTTPError as error:
            hint = _HINTS.get(error.code, "")
            with error:
                said = error.read(300).decode(errors="replace").strip()
            raise ModelError(f"{url}: the server says {error.code}{hint}: {said}") from error
        except OSError as error:
            raise ModelError(f"{url}: the server cannot be reached ({error})") from error
        try:
            return json.loads(content) if content.strip().startswith((b"{", b"[")) else {}
        except ValueError as error:
            raise ModelError(f"{url}: the server's answer is no JSON") from error


_HINTS = {404: " (is it started with VLLM_SERVER_DEV_MODE=1, or with VLLM_ALLOW_RUNTIME_LORA_UPDATING=1 for adapters?)"}
