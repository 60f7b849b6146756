"""Rows that share a beginning, read together: the same log-probabilities and gradients as alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from tiny_llama import make_model, make_tokenizer  # noqa: E402

from gtalign_env.agents.backends.constraints import Grammars  # noqa: E402
from gtalign_env.training.llm.scoring import Scorer  # noqa: E402
from gtalign_env.training.llm.sharing import bunched, clusters, fits, pack  # noqa: E402
from gtalign_env.training.llm.trajectory import Turn  # noqa: E402

WIDTH = 64


def turn(prompt: list[int], reply: list[int]) -> Turn:
    """Return a turn in which a reply was sampled behind a prompt."""
    ids = np.array([*prompt, *reply], dtype=np.int64)
    mask = np.arange(len(ids)) >= len(prompt)
    return Turn(ids=ids, mask=mask, logprobs=np.zeros(len(ids)), free=np.zeros(len(ids)))


def some_turns(seed: int = 0) -> list[Turn]:
    """Return turns of three groups with long instructions in common, replies of different length, and one that stands alone."""
    rng = np.random.default_rng(seed)
    system = rng.integers(4, 250, 60).tolist()
    groups = [system + rng.integers(4, 250, size).tolist() for size in (10, 11, 30)]
    made = [turn(prompt, rng.integers(4, 250, rng.integers(1, 9)).tolist()) for prompt in groups for _ in range(4)]
    return [*made, turn([7, 8], [9])]


def scorer(model: Any) -> Scorer:
    """Return a scorer on a tiny model."""
    tokenizer = make_tokenizer()
    return Scorer(model, Grammars(tokenizer, size=len(tokenizer), ends=frozenset()), size=len(tokenizer), pad=0)


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_sharing__scores_and_gradients_are_those_of_rows_alone(attention: str) -> None:
    """All turns in one pass of packs, against every turn in a pass of its own."""
    model = make_model(make_tokenizer(), attn_implementation=attention)
    turns = some_turns()
    together, alone = scorer(model), scorer(model)
    alone.width = 0
    assert len(pack(turns, together.width).ids) < len(turns)
    found = []
    for passes in ([(together, turns)], [(alone, [one]) for one in turns]):
        model.zero_grad()
        scored = [by.score(rows, entropy=True) for by, rows in passes]
        logprobs = torch.cat([one.logprobs for one in scored])
        (logprobs.double() ** 2).sum().backward()
        gradient = torch.cat([weight.grad.flatten() for weight in model.parameters()])
        found.append((logprobs.detach(), torch.cat([one.entropy for one in scored]).detach(), gradient))
    for one, other in zip(*found, strict=True):
        assert torch.allclose(one, other, rtol=1e-3, atol=1e-4 * float(other.abs().max()))


def test_sharing__of_adapters(figure: Any) -> None:
    """A model with adapters of peft may share as well."""
    peft = pytest.importorskip("peft")
    model = peft.get_peft_model(make_model(make_tokenizer()), peft.LoraConfig(r=2, target_modules=["q_proj"]))
    by = scorer(model)
    assert by.width == WIDTH
    turns = some_turns()
    together = by.score(turns).logprobs
    by.width = 0
    assert torch.allclose(together, by.score(turns).logprobs, atol=1e-4)


def test_sharing__is_not_for_every_model() -> None:
    """A model whose layers see a window of the text is left alone."""
    from transformers import Gemma3ForCausalLM, Gemma3TextConfig

    assert fits(make_model(make_tokenizer()))
    small: dict[str, Any] = {
        "hidden_size": 32,
        "intermediate_size": 32,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "head_dim": 16,
    }
    window = Gemma3ForCausalLM(Gemma3TextConfig(vocab_size=64, num_hidden_layers=2, sliding_window=8, **small))
    assert not fits(window)


tokens = st.lists(st.integers(0, 2), min_size=1, max_size=6)


@given(st.lists(st.tuples(tokens, tokens), min_size=1, max_size=8), st.integers(1, 64), st.integers(5, 40))
def test_pack__every_token_sees_its_own_row(rows: list[tuple[list[int], list[int]]], width: int, most: int) -> None:
    """Whatever is packed: each token of a row stands at its place and sees the tokens of its row up to itself, and no others."""
    turns = [turn(prompt, reply) for prompt, reply in rows]
    packed = pack(turns, width)
    for row, one in enumerate(turns):
        places = np.arange(len(one))
        packs, found = packed.find(np.full(len(one), row), places)
        assert len(set(packs.tolist())) == 1
        assert packed.ids[packs, found].tolist() == one.ids.tolist()
        assert packed.positions[packs, found].tolist() == places.tolist()
        for place in places:
            assert np.flatnonzero(packed.seen[packs[0], found[place]]).tolist() == sorted(found[: place + 1].tolist())
    dealt = bunched(turns, most, width)
    assert sorted(row for bunch in dealt for row in bunch) == list(range(len(turns)))
    whole = {tuple(cluster) for cluster in clusters(turns, width)}
    assert all(any(set(cluster) <= set(bunch) for bunch in dealt) for cluster in whole)
