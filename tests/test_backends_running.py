"""The runner of the transformers backend: as ``generate`` would, and nothing is read twice."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from tiny_llama import make_model, make_tokenizer  # noqa: E402

from gtalign_env.agents.backends.running import Memory, Runner  # noqa: E402
from gtalign_env.agents.backends.transformers import Loaded, TransformersBackend  # noqa: E402
from gtalign_env.protocols import Continuation, Sampling  # noqa: E402

TALKS = [
    [{"role": "user", "content": "How far is it?"}],
    [{"role": "user", "content": "How far is it from here to the harbour, and is there a train?"}],
    [{"role": "user", "content": "Hi"}],
    [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "How far is it?"}],
    [{"role": "user", "content": "How far is the moon?"}],
    [{"role": "user", "content": "Why?"}],
]


def make_backend(*, own: bool = True, **options: Any) -> TransformersBackend:
    """Return a tiny backend; ``own=False`` leaves generation to transformers."""
    tokenizer = make_tokenizer()
    made = TransformersBackend(Loaded(make_model(tokenizer), tokenizer, "tiny", bos=False), device="cpu", **options)
    if not own:
        made._runner = None
    return made


def read(backend: TransformersBackend, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that the numbers of tokens the model reads are written to."""
    found: list[int] = []
    forward = backend.model.forward

    def counting(*args: Any, **rest: Any) -> Any:
        found.append(rest["input_ids"].numel())
        return forward(*args, **rest)

    monkeypatch.setattr(backend.model, "forward", counting)
    return found


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_runner__writes_what_generate_would(temperature: float) -> None:
    """Same tokens, and log-probabilities to rounding; also where rows end early and leave the batch."""
    sampling = Sampling(max_tokens=24, temperature=temperature, seed=3, stop=tuple("abcdefghijklmnopqrstuvwxyz"))
    own, theirs = (make_backend(own=own).generate(TALKS, sampling) for own in (True, False))
    assert [one.token_ids for one in own] == [one.token_ids for one in theirs]
    for one, other in zip(own, theirs, strict=True):
        assert one.logprobs == pytest.approx(other.logprobs, abs=1e-4)
    assert len({len(one.token_ids) for one in own}) > 1


def test_runner__goes_on_without_reading_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """A continuation has the model read what was put in and the last token, and nothing else; the result is the same."""
    backend, plain = make_backend(), make_backend(own=False)
    sampling = Sampling(max_tokens=6)
    halves, theirs = backend.generate(TALKS[:1], sampling), plain.generate(TALKS[:1], sampling)
    counts = read(backend, monkeypatch)
    rests = backend.generate([Continuation(after=one, text="ab") for one in halves], sampling)
    assert counts == [3, 1, 1, 1, 1, 1]  # the last sampled token and two letters, then token by token
    wanted = plain.generate([Continuation(after=one, text="ab") for one in theirs], sampling)
    assert [one.token_ids for one in rests] == [one.token_ids for one in wanted]
    assert rests[0].logprobs == pytest.approx(wanted[0].logprobs, abs=1e-4)


def test_runner__knows_common_beginnings_of_several_rows() -> None:
    """A conversation that goes on, in a batch with one that is new, comes out as if nothing were remembered."""
    backend, plain = make_backend(), make_backend(own=False)
    sampling = Sampling(max_tokens=5, temperature=1.0, seed=1)
    backend.generate(TALKS, sampling)
    longer = [
        [*talk, {"role": "assistant", "content": "It is."}, {"role": "user", "content": "So?"}] for talk in TALKS[:3]
    ]
    own, theirs = (engine.generate([*longer, TALKS[5]], sampling) for engine in (backend, plain))
    assert [one.token_ids for one in own] == [one.token_ids for one in theirs]


def test_runner__forgets_when_weights_change(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a step of an optimiser the model reads everything anew: what it knew is another model's."""
    backend = make_backend()
    backend.generate(TALKS[:1], Sampling(max_tokens=2))
    optimizer = torch.optim.AdamW(backend.model.parameters(), lr=0.01)
    for weight in backend.model.parameters():
        weight.grad = torch.ones_like(weight)
    optimizer.step()
    counts = read(backend, monkeypatch)
    (again,) = backend.generate(TALKS[:1], Sampling(max_tokens=2))
    assert counts[0] == len(again.prompt_ids)


def test_runner__forgets_on_request(monkeypatch: pytest.MonkeyPatch) -> None:
    """``forget`` makes the next call independent of those before."""
    backend = make_backend()
    (first,) = backend.generate(TALKS[:1], Sampling(max_tokens=2))
    counts = read(backend, monkeypatch)
    backend.generate(TALKS[:1], Sampling(max_tokens=2))
    backend.forget()
    backend.generate(TALKS[:1], Sampling(max_tokens=2))
    assert counts == [1, 1, len(first.prompt_ids), 1]


def test_memory__is_bounded() -> None:
    """What is kept stays below the bound: the oldest goes first, and what is too large by itself is not kept."""
    backend = make_backend()
    assert backend._runner is not None
    memory = backend._runner.memory = Memory(most=1)
    backend.generate(TALKS[:1], Sampling(max_tokens=2))
    assert memory.find([1, 2, 3]) == (0, None, 0)


def test_fits__leaves_windows_to_transformers() -> None:
    """Layers that look at a window only are run by ``generate``."""
    from transformers import MistralConfig, MistralForCausalLM

    tokenizer = make_tokenizer()
    small: dict[str, Any] = {
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
    }
    model: Any = MistralForCausalLM
    config = MistralConfig(vocab_size=len(tokenizer), num_key_value_heads=1, sliding_window=8, **small)
    assert not Runner.fits(model(config))
    assert Runner.fits(make_model(tokenizer))


def test_runner__equal_prompts_are_read_once() -> None:
    """Several rows of one prompt among others: what they write is what they write alone, and the prompt is read once."""
    tokenizer = make_tokenizer()
    model = make_model(tokenizer)
    talks = [[{"role": "user", "content": text}] for text in ("Hi there", "Hi there", "What?", "Hi there")]
    sampling = Sampling(max_tokens=6, temperature=1.0, seed=3)
    read: list[int] = []
    forward = model.forward

    def counted(*args: Any, **kwargs: Any) -> Any:
        read.append(len(kwargs["input_ids"]))
        return forward(*args, **kwargs)

    alone = [TransformersBackend(Loaded(model, tokenizer, "tiny", bos=False)) for _ in talks]
    expected = alone[0].generate(
        talks[:1] * 3, sampling
    )  # equal prompts sample differently, by how often they came before
    other = alone[1].generate(talks[2:3], sampling)[0]
    model.forward = counted
    found = TransformersBackend(Loaded(model, tokenizer, "tiny", bos=False)).generate(talks, sampling)
    assert [result.token_ids for result in found] == [
        expected[0].token_ids,
        expected[1].token_ids,
        other.token_ids,
        expected[2].token_ids,
    ]
    assert read[0] == 2
    assert max(read[1:]) == 4
