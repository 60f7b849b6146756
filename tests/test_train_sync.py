"""Samplers and the probe: whoever plays has the weights that are trained, or the run stops."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from tiny_llama import make_model, make_tokenizer  # noqa: E402

from gtalign_env.agents.backends.transformers import Loaded  # noqa: E402
from gtalign_env.errors import UsageError  # noqa: E402
from gtalign_env.protocols import Sampling  # noqa: E402
from gtalign_env.training.errors import TrainingError  # noqa: E402
from gtalign_env.training.llm.distributed import World, computed_in  # noqa: E402
from gtalign_env.training.llm.sampler import (  # noqa: E402
    CopySampler,
    InProcessSampler,
    Sampler,
    load_whole,
    refuse_tied,
    whole_model,
)
from gtalign_env.training.llm.sync import TOLERANCES, Canary, make_probe, score  # noqa: E402

TALK = [[{"role": "user", "content": "How far is it?"}]]


@pytest.fixture
def loaded() -> Loaded:
    """A tiny model of random weights."""
    tokenizer = make_tokenizer()
    return Loaded(make_model(tokenizer), tokenizer, "tiny", bos=False)


@pytest.fixture
def adapted(loaded: Loaded) -> Loaded:
    """The same with LoRA adapters that do something."""
    peft = pytest.importorskip("peft")
    config = peft.LoraConfig(r=2, target_modules=["q_proj", "down_proj"], init_lora_weights=False)
    with torch.random.fork_rng():
        torch.random.default_generator.manual_seed(1)
        return loaded._replace(model=peft.get_peft_model(loaded.model, config))


def nudge(model: Any, amount: float = 1e-2) -> None:
    """Change every weight that is trained a little, as an update does."""
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.requires_grad:
                weight += amount * torch.randn(weight.shape, generator=generator)


def test_score__is_the_model_s_own_log_probability(loaded: Loaded) -> None:
    """Each token's score is the log-softmax of the logits before it, and the model's mode stays as it was."""
    loaded.model.train()
    ids = (5, 9, 200, 3)
    found = score(loaded.model, ids)
    with torch.no_grad():
        logits = loaded.model(torch.tensor([ids])).logits[0].double()
    expected = [
        float(logits[place, token] - torch.logsumexp(logits[place], dim=-1)) for place, token in enumerate(ids[1:])
    ]
    assert found == pytest.approx(expected, abs=1e-5)
    assert loaded.model.training


def test_samplers__fit_the_protocol(loaded: Loaded) -> None:
    """Both kinds in this process are samplers, and only the copy can go stale."""
    own, copied = InProcessSampler(loaded), CopySampler(loaded)
    assert isinstance(own, Sampler)
    assert isinstance(copied, Sampler)
    assert (own.copies, copied.copies) == (False, True)
    assert own.backend.model is loaded.model is not copied.backend.model


@pytest.mark.parametrize("kind", [InProcessSampler, CopySampler])
def test_samplers__play_with_the_weights_of_the_last_sync(loaded: Loaded, kind: Any) -> None:
    """After an update and a sync a sampler writes what a fresh engine on the trained weights writes."""
    sampler = kind(loaded)
    nudge(loaded.model, 0.1)
    sampler.sync(loaded.model)
    fresh = InProcessSampler(loaded._replace(model=whole_model(loaded.model)))
    sampling = Sampling(max_tokens=8)
    assert sampler.backend.generate(TALK, sampling)[0].token_ids == fresh.backend.generate(TALK, sampling)[0].token_ids
    assert sampler.version == 1
    assert sampler.score((1, 2, 3)) == pytest.approx(score(loaded.model, (1, 2, 3)).tolist(), abs=1e-6)


def test_in_process_sampler__refuses_another_model(loaded: Loaded) -> None:
    """A sync with a model that does not play would be a lie."""
    sampler = InProcessSampler(loaded)
    with pytest.raises(UsageError, match="the very model that plays"):
        sampler.sync(make_model(loaded.tokenizer))


def test_whole_model__merges_adapters(adapted: Loaded) -> None:
    """The plain copy of a model with adapters scores as the model with its adapters does, not as the one below them."""
    ids = make_probe(256, length=12).ids
    ours = score(adapted.model, ids)
    assert score(whole_model(adapted.model), ids) == pytest.approx(ours, abs=1e-4)
    with adapted.model.disable_adapter():
        assert np.abs(score(adapted.model, ids) - ours).max() > 0.01


def test_copy_sampler__follows_adapters(adapted: Loaded) -> None:
    """Training adapters moves the copy as well."""
    sampler, canary = CopySampler(adapted), Canary(make_probe(256))
    canary.look(sampler, adapted.model, step=0)
    nudge(adapted.model)
    sampler.sync(adapted.model)
    assert canary.look(sampler, adapted.model, step=1).moved > 1e-3


def test_whole_model__keeps_tied_embeddings_tied() -> None:
    """Tied weights come once, and are tied in the copy."""
    tied = make_model(make_tokenizer(), tie_word_embeddings=True)
    nudge(tied)
    copied = whole_model(tied)
    assert copied.lm_head.weight is copied.model.embed_tokens.weight
    assert score(copied, (1, 2, 3)) == pytest.approx(score(tied, (1, 2, 3)))


def test_load_whole__refuses_another_kind_of_model(loaded: Loaded) -> None:
    """Weights that do not fit, or are missing, are named."""
    with pytest.raises(UsageError, match=r"embed_tokens\.weight.*no such weight"):
        load_whole(make_model(loaded.tokenizer, hidden_size=32), loaded.model)
    tied = make_model(loaded.tokenizer, tie_word_embeddings=True)
    with pytest.raises(UsageError, match=r"got none for lm_head\.weight"):
        load_whole(loaded.model, tied)


class _Stale(CopySampler):
    """A copy that is passed over: it counts versions and takes no weights."""

    def sync(self, model: Any) -> None:
        self.version += 1


class _HalfStale(CopySampler):
    """A copy that keeps its old input embeddings, as an engine with tied ones was seen to do."""

    def sync(self, model: Any) -> None:
        kept = self.backend.model.model.embed_tokens.weight.clone()
        super().sync(model)
        with torch.no_grad():
            self.backend.model.model.embed_tokens.weight.copy_(kept)


def test_canary__a_good_sampler_passes(loaded: Loaded) -> None:
    """Many small updates pass, and the figures say how far the model has moved."""
    sampler, canary = CopySampler(loaded), Canary(make_probe(256))
    assert canary.look(sampler, loaded.model, step=0).moved == 0.0
    for step in range(1, 4):
        nudge(loaded.model)
        sampler.sync(loaded.model)
        found = canary.look(sampler, loaded.model, step=step)
        assert found.difference < 1e-4 < found.moved


def test_canary__a_stale_sampler_stops_the_run(loaded: Loaded) -> None:
    """The complaint names the engine, its version, the largest difference and that it has not moved."""
    sampler, canary = _Stale(loaded), Canary(make_probe(256), seed=7)
    canary.look(sampler, loaded.model, step=0)
    nudge(loaded.model)
    sampler.sync(loaded.model)
    with pytest.raises(
        TrainingError, match=r"step 12 \(seed 7\).*\(copy\) to version 1.*not at all.*weights of before"
    ):
        canary.look(sampler, loaded.model, step=12)


def test_canary__a_stale_sampler_is_caught_below_the_tolerance(loaded: Loaded) -> None:
    """One update may change less than the tolerance: an engine that answers to the last bit as before is caught all the same."""
    sampler, canary = _Stale(loaded), Canary(make_probe(256))
    canary.look(sampler, loaded.model, step=0)
    nudge(loaded.model, 1e-6)
    sampler.sync(loaded.model)
    gap = np.abs(score(loaded.model, canary.probe.ids) - np.array(sampler.score(canary.probe.ids))).max()
    assert 0 < gap < canary.probe.tolerance
    with pytest.raises(TrainingError, match="not at all"):
        canary.look(sampler, loaded.model, step=1)


def test_canary__stale_embeddings_stop_the_run(loaded: Loaded) -> None:
    """An engine that takes some weights and leaves others is caught by the difference, which is named with its token."""
    sampler, canary = _HalfStale(loaded), Canary(make_probe(256))
    canary.look(sampler, loaded.model, step=0)
    nudge(loaded.model)
    sampler.sync(loaded.model)
    with pytest.raises(
        TrainingError, match=r"disagree on the probe by up to [\d.]+ nats \(token \d+: .*tied embeddings"
    ):
        canary.look(sampler, loaded.model, step=1)


def test_canary__says_that_it_disagrees_from_the_start(loaded: Loaded) -> None:
    """An engine with another model is caught at the first look."""
    sampler = CopySampler(loaded)
    nudge(loaded.model)
    with pytest.raises(TrainingError, match="disagrees from the start"):
        Canary(make_probe(256)).look(sampler, loaded.model, step=0)


def test_canary__damaged_weights_stop_the_run(loaded: Loaded) -> None:
    """Scores that are no numbers are no agreement."""
    sampler, canary = CopySampler(loaded), Canary(make_probe(256))
    with torch.no_grad():
        loaded.model.lm_head.weight[0, 0] = float("nan")
    sampler.sync(loaded.model)
    with pytest.raises(TrainingError, match="damaged"):
        canary.look(sampler, loaded.model, step=1)


def test_refuse_tied__names_ways_out(loaded: Loaded) -> None:
    """A model with tied embeddings is refused for engines that take weights in place; an untied one is not."""
    refuse_tied(loaded.model.config, "vllm:tiny")
    tied = make_model(loaded.tokenizer, tie_word_embeddings=True)
    with pytest.raises(UsageError, match=r"vllm:tiny: .*tie_word_embeddings.*play in process"):
        refuse_tied(tied.config, "vllm:tiny")


@pytest.mark.parametrize("precision", sorted(TOLERANCES))
def test_make_probe__draws_tokens_of_the_vocabulary(precision: str) -> None:
    """Ids stay in their range, and the tolerance is that of the engine's precision."""
    probe = make_probe(300, length=500, low=4, precision=precision)
    assert min(probe.ids) >= 4
    assert max(probe.ids) < 300
    assert probe.tolerance == TOLERANCES[precision]


def test_computed_in__is_the_weights_own_unless_several_gpus_share(loaded: Loaded) -> None:
    """One process computes in what the weights are; several on CPUs too, unless told otherwise; others are refused."""
    assert computed_in(loaded.model, World(), "bfloat16") == "float32"
    assert computed_in(loaded.model, World(size=2)) == ("bfloat16" if torch.cuda.is_available() else "float32")
    assert computed_in(loaded.model, World(size=2), "bfloat16") == "bfloat16"
    assert computed_in(loaded.model.to(torch.bfloat16), World()) == "bfloat16"
    with pytest.raises(UsageError, match="expected auto, float32 or bfloat16, got 'int8'"):
        computed_in(loaded.model, World(), "int8")
