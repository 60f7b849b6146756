"""vLLM in this process takes the weights that are trained: untied models exactly, tied ones not, and staleness is caught."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from real_model import require_real
from tiny_llama import save_tiny

from gtalign_env.agents.backends.loading import load_model
from gtalign_env.errors import UsageError
from gtalign_env.protocols import Sampling
from gtalign_env.training.errors import TrainingError
from gtalign_env.training.llm.sampler import InProcessSampler, VLLMSampler
from gtalign_env.training.llm.sync import Canary, make_probe

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.vllm

TALK = [[{"role": "user", "content": "How far is it?"}]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved model with untied embeddings."""
    return save_tiny(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def sampler(folder: Path) -> Iterator[VLLMSampler]:
    """An engine on it."""
    require_real("vllm")
    made = VLLMSampler(folder)
    yield made
    made.close()


def nudge(model: Any) -> None:
    """Change every weight."""
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for weight in model.parameters():
            weight += 0.02 * torch.randn(weight.shape, generator=generator)


def test_vllm_sampler__plays_with_the_trained_weights(folder: Path, sampler: VLLMSampler) -> None:
    """After each update and sync the probe agrees, and what vLLM writes is what transformers writes with the trained weights."""
    loaded = load_model(folder, device="cpu")
    own, canary = InProcessSampler(loaded), Canary(make_probe(256))
    canary.look(sampler, loaded.model, step=0)
    before = sampler.backend.generate(TALK, Sampling(max_tokens=16))[0].token_ids
    for step in range(1, 3):
        nudge(loaded.model)
        sampler.sync(loaded.model)
        found = canary.look(sampler, loaded.model, step=step)
        assert found.difference < 1e-3 < found.moved
    after = sampler.backend.generate(TALK, Sampling(max_tokens=16))[0].token_ids
    assert after == own.backend.generate(TALK, Sampling(max_tokens=16))[0].token_ids != before
    nudge(loaded.model)
    sampler.version += 1  # as an engine does that says yes and takes nothing
    with pytest.raises(TrainingError, match="still plays with the weights of before"):
        canary.look(sampler, loaded.model, step=3)


def test_vllm_sampler__takes_merged_adapters(folder: Path, sampler: VLLMSampler) -> None:
    """A model that learns with adapters is sent with them merged in."""
    peft = pytest.importorskip("peft")
    loaded = load_model(folder, device="cpu")
    config = peft.LoraConfig(r=2, target_modules=["q_proj", "down_proj"], init_lora_weights=False)
    model = peft.get_peft_model(loaded.model, config)
    sampler.sync(model)
    assert Canary(make_probe(256)).look(sampler, model, step=1).difference < 1e-3


def test_vllm_sampler__refuses_tied_embeddings(tmp_path: Path) -> None:
    """The engine would keep the old output embeddings without a word."""
    require_real("vllm")
    with pytest.raises(UsageError, match="tie_word_embeddings"):
        VLLMSampler(save_tiny(tmp_path, tie_word_embeddings=True))


def test_vllm__has_the_names_that_weight_transfer_uses() -> None:
    """Read only: what ``ServerSampler(how="nccl")`` asks of vLLM is there, with these arguments. To run it takes GPUs."""
    require_real("vllm")
    import inspect

    from vllm.distributed.weight_transfer import base, clients, factory, nccl_engine

    begin = inspect.signature(factory.WeightTransferTrainerFactory.trainer_init).parameters
    assert {"init_info", "client", "source"} <= set(begin)
    info = inspect.signature(nccl_engine.NCCLTrainerInitInfo).parameters
    assert {"rank", "master_address", "master_port", "world_size"} <= set(info)
    assert {"base_url", "timeout"} <= set(inspect.signature(clients.HTTPVLLMWeightSyncClient).parameters)
    assert len(inspect.signature(base.ModuleSource).parameters) == 1
    assert {"send_weights", "shutdown"} <= set(dir(base.TrainerWeightTransferEngine))
