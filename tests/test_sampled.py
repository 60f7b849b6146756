"""The sequence that training reads: which tokens a model has sampled, and with which log-probabilities."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from chains import Unruly, blocks, info, payoffs, seated
from hypothesis import given, settings
from hypothesis import strategies as st

from gtalign_env.agents.assistants.llm import LLMAssistant
from gtalign_env.agents.backends import ChainBackend, ScriptedBackend
from gtalign_env.errors import UsageError
from gtalign_env.protocols import Generation
from gtalign_env.sampled import Spans, sampled_spans


def check(record: dict[str, Any]) -> Spans:
    """Check what holds of every sequence: stretches where the stages say, and nothing else."""
    spans = sampled_spans(record)
    assert spans.ids.shape == spans.mask.shape == spans.logprobs.shape
    assert (spans.logprobs[~spans.mask] == 0).all()
    ends = [stage["start"] for stage in record["stages"][1:]] + [len(spans.ids)]
    covered = np.zeros(len(spans.ids), dtype=bool)
    for stage, end in zip(record["stages"], ends, strict=True):
        covered[stage["start"] : end] = True
        here = spans.mask[stage["start"] : end]
        count = int(here.sum())
        assert here[:count].all()  # one stretch, from the beginning on
        assert spans.ids[stage["start"] :][:count].tolist() == stage["token_ids"][:count]
        assert spans.logprobs[stage["start"] :][:count].tolist() == stage["logprobs"][:count]
        if count < len(stage["token_ids"]):  # what follows is something else
            assert spans.ids[stage["start"] + count] != stage["token_ids"][count]
    assert not spans.mask[~covered].any()
    return spans


@pytest.mark.parametrize("options", [{}, {"mode": "self"}, {"constrained": False}, {"mode": "none"}])
def test_sampled_spans__of_fakes_hold_every_token(options: dict[str, Any]) -> None:
    """A fake takes nothing back, so each of its tokens is there."""
    assistant = seated(ChainBackend(blocks()), **options)
    assistant.act({}, info())
    spans = check(assistant.last_call)
    assert spans.mask.sum() == sum(len(stage["token_ids"]) for stage in assistant.last_call["stages"])


@given(st.lists(st.text("ab .\n", min_size=1, max_size=20).filter(str.strip), min_size=3, max_size=3))
def test_sampled_spans__whatever_a_model_writes(texts: list[str]) -> None:
    """Any thought and reply: the sequence agrees with the stages."""
    thinking, _, response = texts
    backend = ScriptedBackend([f"{thinking}</thinking>", payoffs(), f"{response}</response>"])
    assistant = seated(backend)
    assistant.act({}, info())
    check(assistant.last_call)


def test_sampled_spans__of_a_plain_model() -> None:
    """Its record has no stages: the prompt, and the reply behind it."""
    assistant = LLMAssistant("fake:echo")
    assistant.act({}, info("Hi there"))
    spans = sampled_spans(assistant.last_call)
    assert spans.ids[spans.mask].tolist() == assistant.last_call["token_ids"]
    assert len(spans.ids) == assistant.last_call["prompt_tokens"] + 2


def test_sampled_spans__refuse_what_is_not_one_sequence() -> None:
    """No token ids, and calls between which the text was read anew, are said, not made up."""
    with pytest.raises(UsageError, match="as many log-probabilities in every call of the engine, got 1 and 0"):
        sampled_spans({"prompt_ids": [1], "token_ids": [2], "logprobs": []})
    with pytest.raises(UsageError, match="got 0 and 0"):
        sampled_spans({"prompt_ids": [], "token_ids": [], "logprobs": []})
    stage = {"start": 1, "token_ids": [2], "logprobs": [-1.0]}
    with pytest.raises(UsageError, match="not one sequence"):
        sampled_spans({"prompt_ids": [1, 3, 4], "stages": [{**stage, "prompt_ids": [9]}, {**stage, "start": 3}]})


def test_sampled_spans__of_a_chain_that_was_left_to_itself() -> None:
    """Where the payoffs were asked for again, the call that counts is in the record."""
    assistant = seated(Unruly(ChainBackend(blocks())))
    assistant.act({}, info())
    check(assistant.last_call)


@pytest.fixture(scope="module")
def engine() -> Any:
    """A real engine with a model of random weights."""
    pytest.importorskip("torch")
    from tiny_llama import make_model, make_tokenizer

    from gtalign_env.agents.backends.transformers import Loaded, TransformersBackend

    tokenizer = make_tokenizer()
    model = make_model(tokenizer, max_position_embeddings=8192)
    return TransformersBackend(Loaded(model, tokenizer, "tiny", bos=True), device="cpu")


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**20))
def test_sampled_spans__of_a_real_engine(engine: Any, seed: int) -> None:
    """Random weights, sampled hot: ends of a turn in the middle of a chain are left out, and nothing else is."""
    from gtalign_env.agents.chain import ChainBudget
    from gtalign_env.protocols import Sampling

    assistant = seated(
        engine,
        sampling=Sampling(temperature=1.5, seed=seed),
        budget=ChainBudget(thinking=12, payoff=600, response=12),
        retries=0,
        on_failure="plain",
    )
    assistant.act({}, info())
    call = assistant.last_call
    spans = check(call)
    sampled = sum(len(stage["token_ids"]) for stage in call["stages"])
    assert sampled - 2 * len(call["stages"]) <= spans.mask.sum() <= sampled
    assert (spans.logprobs[spans.mask] <= 0).all()


def test_sampled_spans__leave_out_an_end_that_was_taken_back(engine: Any) -> None:
    """The thought ends with the model's own end token: it is in the stage, and not in the sequence."""
    end = engine.tokenizer.eos_token_id
    ids = engine.tokenizer.encode("Hm", add_special_tokens=False)
    first = Generation(
        text="Hm", sampled="Hm", token_ids=(*ids, end), logprobs=(-1.0, -2.0, -3.0), prompt_ids=(1, 2), prompt="p"
    )
    assert engine._kept(first) == ids
    rest = [9, 8, 7]
    record = {
        "prompt_ids": [1, 2, *ids, *rest],
        "stages": [
            {"start": 2, "token_ids": [*ids, end], "logprobs": [-1.0, -2.0, -3.0]},
            {"start": 7, "token_ids": [5], "logprobs": [-0.5]},
        ],
    }
    assert check(record).mask.tolist() == [False, False, True, True, False, False, False, True]
