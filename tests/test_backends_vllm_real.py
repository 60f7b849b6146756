"""The vllm backend on a real engine, with a model of a hundred thousand weights: what it writes, against transformers."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from real_model import REAL, require_real
from tiny_llama import save_tiny

from gtalign_env.agents.backends import make_backend
from gtalign_env.agents.backends.transformers import TransformersBackend
from gtalign_env.agents.backends.vllm import VllmBackend
from gtalign_env.errors import ModelError, UsageError
from gtalign_env.protocols import Continuation, Sampling

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.vllm

TALKS = [
    [{"role": "user", "content": "Hi"}],
    [{"role": "user", "content": "What is the capital of the country that I told you about?"}],
    [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "How far is it?"}],
]
CELL = {
    "type": "object",
    "properties": {side: {"type": "number", "minimum": -5, "maximum": 5} for side in ("assistant", "user")},
}
KEYS = [f"{user}|{assistant}" for user in ("VQ", "DQ") for assistant in ("DA", "AQ", "CQ")]
PAYOFFS = json.dumps({"type": "object", "properties": dict.fromkeys(KEYS, CELL)})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved model."""
    return save_tiny(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A LoRA adapter of rank 2 on the first layer's queries."""
    from safetensors.torch import save_file

    folder = tmp_path_factory.mktemp("models") / "adapter"
    folder.mkdir()
    generator = torch.Generator().manual_seed(0)
    name = "base_model.model.model.layers.0.self_attn.q_proj.lora_{}.weight"
    save_file(
        {
            name.format("A"): torch.randn(2, 64, generator=generator),
            name.format("B"): torch.randn(64, 2, generator=generator),
        },
        folder / "adapter_model.safetensors",
    )
    config = {"peft_type": "LORA", "r": 2, "lora_alpha": 2, "target_modules": ["q_proj"], "bias": "none"}
    (folder / "adapter_config.json").write_text(json.dumps(config))
    return folder


@pytest.fixture(scope="module")
def backend(folder: Path) -> Iterator[Any]:
    """One engine for all tests of this file."""
    require_real("vllm")
    with make_backend(f"vllm:{folder}") as made:  # type: ignore[attr-defined]
        yield made


@pytest.fixture(scope="module")
def peer(folder: Path) -> TransformersBackend:
    """The same model through transformers."""
    return TransformersBackend(folder, device="cpu")


def test_vllm__agrees_with_transformers(backend: Any, peer: TransformersBackend) -> None:
    """Greedy tokens, texts and log-probabilities are those of the other engine."""
    sampling = Sampling(max_tokens=24)
    for ours, theirs in zip(backend.generate(TALKS, sampling), peer.generate(TALKS, sampling), strict=True):
        assert ours.error == theirs.error == ""
        assert (ours.prompt, ours.prompt_ids, ours.token_ids) == (theirs.prompt, theirs.prompt_ids, theirs.token_ids)
        assert (ours.text, ours.sampled, ours.finish_reason) == (theirs.text, theirs.sampled, theirs.finish_reason)
        assert ours.logprobs == pytest.approx(theirs.logprobs, abs=1e-3)


def test_vllm__samples_follow_from_the_seed(backend: Any) -> None:
    """Equal calls give equal samples in any order and company; equal conversations and other seeds sample afresh."""
    sampling = Sampling(max_tokens=16, temperature=0.8, top_p=0.9, seed=7)
    alone = [backend.generate([talk], sampling)[0].token_ids for talk in TALKS]
    together = backend.generate(TALKS[::-1], sampling)
    assert [g.token_ids for g in together] == alone[::-1]
    first, second = backend.generate([TALKS[0]] * 2, sampling)
    assert first.token_ids == alone[0] != second.token_ids
    other = Sampling(max_tokens=16, temperature=0.8, top_p=0.9, seed=8)
    assert backend.generate([TALKS[0]], other)[0].token_ids != alone[0]


def test_vllm__samples_more_prompts_than_one_step_takes(backend: Any) -> None:
    """Sixteen prompts of 300 tokens are more than the 4,096 of a step: seeded rows stay whole, and what they would be alone."""
    sampling = Sampling(max_tokens=6, temperature=1.0, seed=1)
    talks = [
        [{"role": "system", "content": f"{number}"}, {"role": "user", "content": "x" * 200}] for number in range(16)
    ]
    together = backend.generate(talks, sampling)
    assert sum(result.prompt_tokens for result in together) > 4096
    assert [result.error for result in together] == [""] * 16
    assert together[15].token_ids == backend.generate(talks[15:], sampling)[0].token_ids


def test_vllm__logprobs_are_those_of_temperature_one(backend: Any, peer: TransformersBackend) -> None:
    """A sampled token's log-probability is the free model's own, whatever the temperature and the nucleus."""
    for result in backend.generate(TALKS, Sampling(max_tokens=12, temperature=0.7, top_p=0.8, seed=3)):
        assert result.logprobs == pytest.approx(teacher_forced(peer, result), abs=1e-3)


def test_vllm__cuts_at_stop_strings(backend: Any, peer: TransformersBackend) -> None:
    """A stop string that transformers finds is found, and is in the tokens but not in the text."""
    whole = peer.generate([TALKS[0]], Sampling(max_tokens=24))[0]
    stop = next(char for char in whole.text[4:] if char.isascii())
    ours, theirs = (each.generate([TALKS[0]], Sampling(max_tokens=24, stop=(stop,)))[0] for each in (backend, peer))
    assert (ours.text, ours.sampled, ours.token_ids) == (theirs.text, theirs.sampled, theirs.token_ids)
    assert ours.finish_reason == "stop"
    assert ours.sampled == ours.text + stop


def test_vllm__goes_on_from_the_very_tokens(backend: Any) -> None:
    """Two halves are the whole, and new text stands between the old tokens and the new ones."""
    whole = backend.generate(TALKS, Sampling(max_tokens=20))
    halves = backend.generate(TALKS, Sampling(max_tokens=9))
    resumed = backend.generate([Continuation(after=half) for half in halves], Sampling(max_tokens=11))
    assert [half.token_ids + rest.token_ids for half, rest in zip(halves, resumed, strict=True)] == [
        one.token_ids for one in whole
    ]
    given = backend.generate([Continuation(after=halves[0], text=" So:")], Sampling(max_tokens=4))[0]
    new = tuple(backend.tokenizer.encode(" So:", add_special_tokens=False))
    assert given.prompt_ids == halves[0].prompt_ids + halves[0].token_ids + new


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_vllm__keeps_to_a_schema(backend: Any, peer: TransformersBackend, temperature: float) -> None:
    """A model of random weights writes valid payoffs every time, and ends; log-probabilities are the free model's."""
    results = backend.generate([TALKS[0]] * 4, Sampling(max_tokens=600, temperature=temperature, json_schema=PAYOFFS))
    for result in results:
        cells = json.loads(result.text)
        assert list(cells) == KEYS
        assert all(-5 <= value <= 5 for cell in cells.values() for value in cell.values())
        assert result.finish_reason == "stop"
    assert results[0].logprobs == pytest.approx(teacher_forced(peer, results[0]), abs=1e-3)
    after = backend.generate([Continuation(after=results[0], text="</payoff>")], Sampling(max_tokens=4))[0]
    assert after.prompt.endswith("}}</payoff>")
    assert backend.tokenizer.eos_token_id not in after.prompt_ids[len(results[0].prompt_ids) :]


def test_vllm__a_failing_row_fails_alone(backend: Any) -> None:
    """What vLLM refuses is said in the row; the others come back whole, and the engine goes on."""
    good = backend.generate([TALKS[0]], Sampling(max_tokens=4))[0]
    refused = backend.generate([TALKS[0]], Sampling(max_tokens=4, temperature=3.0))[0]
    assert refused.finish_reason == "error"
    assert "temperature" in refused.error
    lost = Continuation(after=refused)
    results = backend.generate([TALKS[0], lost], Sampling(max_tokens=4))
    assert (results[0].token_ids, results[1].finish_reason) == (good.token_ids, "error")


def test_vllm__an_adapter_changes_what_the_model_writes(folder: Path, adapter: Path, backend: Any) -> None:
    """With a LoRA adapter the engine says what transformers says with the adapter merged into the weights."""
    from safetensors.torch import load_file

    backend.close()  # one engine at a time
    parts = load_file(adapter / "adapter_model.safetensors")
    a, b = (next(part for name, part in parts.items() if f"lora_{which}" in name) for which in "AB")
    merged = TransformersBackend(folder, device="cpu")
    plain = merged.generate(TALKS, Sampling(max_tokens=16))
    with torch.no_grad():
        merged.model.model.layers[0].self_attn.q_proj.weight += b @ a
    with VllmBackend(folder, adapter=adapter) as adapted:
        ours = adapted.generate(TALKS[:1], Sampling(max_tokens=16))
    theirs = merged.generate(TALKS[:1], Sampling(max_tokens=16))
    assert ours[0].token_ids == theirs[0].token_ids != plain[0].token_ids
    with pytest.raises(UsageError, match="is closed: make another backend"):
        adapted.generate(TALKS, Sampling())


def test_vllm__says_why_it_cannot_start(tmp_path: Path, backend: Any) -> None:
    """A model that vLLM does not know, or that does not fit, ends in one sentence."""
    backend.close()
    (tmp_path / "config.json").write_text('{"model_type": "llama", "architectures": ["NoSuchModel"]}')
    with pytest.raises(ModelError, match="vLLM could not start with this model: ") as caught:
        VllmBackend(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.model
def test_real_model__keeps_to_the_payoff_schema(backend: Any, figure: Callable[[str, object], None]) -> None:
    """The GGUF file of 270 million weights is named as it is, and runs on vLLM; it writes a valid matrix every time."""
    require_real(REAL)
    backend.close()
    with VllmBackend(REAL, dtype="bfloat16", max_context=1024) as real:
        fact = real.generate(
            [[{"role": "user", "content": "What is the capital of France?"}]], Sampling(max_tokens=16)
        )[0]
        results = real.generate(TALKS, Sampling(max_tokens=260, temperature=1.0, json_schema=PAYOFFS))
    assert fact.prompt.startswith("<bos>This is a chat")
    assert "Paris" in fact.text
    matrices = [json.loads(result.text) for result in results]
    assert [list(cells) for cells in matrices] == [KEYS] * len(TALKS)
    assert all(-5 <= value <= 5 for cells in matrices for cell in cells.values() for value in cell.values())
    figure("270M on vLLM, payoffs held to the schema", f"{len(matrices)} of {len(results)}")
    figure("270M on vLLM, tokens per second", sum(len(g.token_ids) for g in results) / results[0].seconds)


def teacher_forced(peer: TransformersBackend, result: Any) -> list[float]:
    """Return what the model gives each sampled token in one pass over all of them."""
    ids = torch.tensor([[*result.prompt_ids, *result.token_ids]])
    with torch.no_grad():
        scores = torch.log_softmax(peer.model(ids).logits[0].float(), dim=-1)
    start = len(result.prompt_ids) - 1
    return [float(scores[start + place, token]) for place, token in enumerate(result.token_ids)]
