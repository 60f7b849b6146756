"""Weights on their way to a vLLM server: what is asked of it, against a stand-in that loads what it is told to."""

from __future__ import annotations

import http.server
import json
import sys
import threading
import types
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("openai")

from tiny_llama import make_model, make_tokenizer  # noqa: E402

from gtalign_env.errors import ModelError, UsageError  # noqa: E402
from gtalign_env.training.errors import TrainingError  # noqa: E402
from gtalign_env.training.llm.sampler import Sampler  # noqa: E402
from gtalign_env.training.llm.server import ServerSampler  # noqa: E402
from gtalign_env.training.llm.sync import Canary, make_probe, score  # noqa: E402


class Server:
    """What the sampler asks of a vLLM server: it scores with the weights that it was last told to load."""

    def __init__(self) -> None:
        self.model = make_model(make_tokenizer())
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.keys: list[str | None] = []
        self.deaf: set[str] = set()
        """Routes that answer well and do nothing."""
        self.missing: set[str] = set()
        served = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                served.asked.append((self.path, body))
                served.keys.append(self.headers.get("Authorization"))
                found = json.dumps(served.answer(self.path, body)).encode()
                self.send_response(404 if self.path in served.missing else 200)
                self.end_headers()
                self.wfile.write(found)

            def log_message(self, *_: object) -> None:
                pass

        self._http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.base_url = f"http://127.0.0.1:{self._http.server_port}/v1"
        threading.Thread(target=self._http.serve_forever, daemon=True).start()

    def answer(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Do what is asked, and return what vLLM returns."""
        from transformers import AutoModelForCausalLM

        if path == "/collective_rpc" and path not in self.deaf:
            assert body["method"] == "reload_weights"
            self.model = AutoModelForCausalLM.from_pretrained(body["kwargs"]["weights_path"])
        if path == "/v1/load_lora_adapter" and path not in self.deaf:
            from peft import PeftModel

            self.model = PeftModel.from_pretrained(make_model(make_tokenizer()), body["lora_path"])
        if path == "/v1/completions":
            found = score(self.model, tuple(body["prompt"]))
            pairs = zip(body["prompt"][1:], found.tolist(), strict=True)
            return {"choices": [{"prompt_logprobs": [None, *({str(t): {"logprob": p}} for t, p in pairs)]}]}
        return {}

    def close(self) -> None:
        """Stop."""
        self._http.shutdown()
        self._http.server_close()


@pytest.fixture
def server() -> Iterator[Server]:
    """A server on this machine."""
    made = Server()
    yield made
    made.close()


def trained() -> Any:
    """Return the model that the server begins with, to be trained."""
    return make_model(make_tokenizer())


def nudge(model: Any) -> None:
    """Change what is trained."""
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.requires_grad:
                weight += 0.01 * torch.randn(weight.shape, generator=generator)


def test_server__takes_checkpoints(server: Server, tmp_path: Path) -> None:
    """The model is written out, loaded by the server, and its cache of prefixes emptied; the probe agrees each time."""
    model = trained()
    sampler = ServerSampler(
        "m", base_url=server.base_url, folder=tmp_path, tokenizer=make_tokenizer(), api_key="secret"
    )
    assert isinstance(sampler, Sampler)
    canary = Canary(make_probe(256))
    canary.look(sampler, model, step=0)
    for step in range(1, 5):
        nudge(model)
        sampler.sync(model)
        assert canary.look(sampler, model, step=step).moved > 1e-3
    routes = [path for path, _ in server.asked if path != "/v1/completions"]
    assert routes == ["/collective_rpc", "/reset_prefix_cache"] * 4
    assert sorted(path.name for path in tmp_path.iterdir()) == ["version-00000003", "version-00000004"]
    assert sampler.version == 4
    assert set(server.keys) == {"Bearer secret"}


def test_server__that_does_nothing_is_caught(server: Server, tmp_path: Path) -> None:
    """A server that says yes and keeps its weights stops the run."""
    model = trained()
    sampler, canary = ServerSampler("m", base_url=server.base_url, folder=tmp_path), Canary(make_probe(256))
    canary.look(sampler, model, step=0)
    server.deaf.add("/collective_rpc")
    nudge(model)
    sampler.sync(model)
    with pytest.raises(TrainingError, match="still plays with the weights of before"):
        canary.look(sampler, model, step=1)


def test_server__takes_adapters(server: Server, tmp_path: Path) -> None:
    """An adapter is written out and loaded in place; from then on it is the adapter that plays."""
    peft = pytest.importorskip("peft")
    model = peft.get_peft_model(trained(), peft.LoraConfig(r=2, target_modules=["q_proj", "down_proj"]))
    sampler = ServerSampler("m", base_url=server.base_url, how="adapter", folder=tmp_path)
    nudge(model)
    sampler.sync(model)
    assert Canary(make_probe(256)).look(sampler, model, step=1).difference < 1e-4
    path, body = server.asked[0]
    assert (path, body["load_inplace"]) == ("/v1/load_lora_adapter", True)
    assert sampler.backend.model == body["lora_name"]
    assert server.asked[-1][1]["model"] == body["lora_name"]


def test_server__says_what_it_is_not_started_with(server: Server, tmp_path: Path) -> None:
    """A server without the routes of training, or that is gone, is named with what to do."""
    sampler = ServerSampler("m", base_url=server.base_url, folder=tmp_path, api_key="secret")
    server.missing.add("/collective_rpc")
    with pytest.raises(ModelError, match=r"404 \(is it started with VLLM_SERVER_DEV_MODE=1") as caught:
        sampler.sync(trained())
    assert "secret" not in str(caught.value)
    assert sampler.version == 0
    server.close()
    with pytest.raises(ModelError, match="cannot be reached"):
        sampler.score((1, 2))


def test_server__sends_weights_by_nccl_through_vllm_s_own_trainer_side(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The trainer's end is made once, with this process's rank, the server's root address and the model; each sync sends."""
    called: list[tuple[str, Any]] = []

    class Engine:
        def send_weights(self) -> None:
            called.append(("send", None))

        def shutdown(self) -> None:
            called.append(("shutdown", None))

    def begin(info: Any, *, client: Any, source: Any) -> Engine:
        called.append(("begin", (info, client, source)))
        return Engine()

    stand_ins: dict[str, dict[str, Any]] = {
        "base": {"ModuleSource": lambda model: ("source", model)},
        "clients": {"HTTPVLLMWeightSyncClient": lambda url, timeout: ("client", url)},
        "factory": {"WeightTransferTrainerFactory": SimpleNamespace(trainer_init=begin)},
        "nccl_engine": {"NCCLTrainerInitInfo": lambda **given: given},
    }
    for name in ("vllm", "vllm.distributed", "vllm.distributed.weight_transfer"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    for name, members in stand_ins.items():
        module = types.ModuleType(f"vllm.distributed.weight_transfer.{name}")
        module.__dict__.update(members)
        monkeypatch.setitem(sys.modules, module.__name__, module)
    model = trained()
    place = {"master_address": "10.0.0.1", "master_port": 29501, "world_size": 3}
    sampler = ServerSampler("m", base_url=server.base_url, how="nccl", transfer=place)
    sampler.sync(model)
    sampler.sync(model)
    sampler.close()
    root = server.base_url.removesuffix("/v1")
    assert called[0] == ("begin", ({"rank": 0, **place}, ("client", root), ("source", model)))
    assert [name for name, _ in called[1:]] == ["send", "send", "shutdown"]
    assert [path for path, _ in server.asked] == ["/reset_prefix_cache"] * 2
    assert sampler.version == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"how": "pigeon"}, "expected one of adapter, checkpoint, nccl"),
        ({}, "a folder that trainer and server see"),
        ({"how": "nccl"}, "master_address"),
        ({"folder": "x", "base_url": "ftp://a"}, "expected http"),
    ],
)
def test_server__refuses_what_makes_no_sense(options: dict[str, Any], message: str) -> None:
    """Settings are checked when it is made."""
    with pytest.raises(UsageError, match=message):
        ServerSampler("m", **{"base_url": "http://127.0.0.1:1/v1", **options})


def test_server__refuses_models_that_cannot_go_this_way(server: Server, tmp_path: Path) -> None:
    """Tied embeddings go stale in a reload, and a model without adapters has none to send."""
    checkpoint = ServerSampler("m", base_url=server.base_url, folder=tmp_path)
    with pytest.raises(UsageError, match="tie_word_embeddings"):
        checkpoint.sync(make_model(make_tokenizer(), tie_word_embeddings=True))
    adapter = ServerSampler("m", base_url=server.base_url, how="adapter", folder=tmp_path)
    with pytest.raises(UsageError, match="a model that learns with one"):
        adapter.sync(trained())
    assert not server.asked
