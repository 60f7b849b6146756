"""The adapter for verl: what it relies on, held against verl's source where it is at hand, and games with a stand-in."""

from __future__ import annotations

import ast
import asyncio
import importlib
import importlib.util
import sys
import types
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from tiny_llama import make_model, make_tokenizer  # noqa: E402

from gtalign_env.agents.backends.loading import Loaded  # noqa: E402
from gtalign_env.agents.backends.transformers import TransformersBackend  # noqa: E402
from gtalign_env.errors import MissingExtraError, ModelError  # noqa: E402
from gtalign_env.protocols import Sampling  # noqa: E402
from gtalign_env.training.adapters import verl as adapter  # noqa: E402
from gtalign_env.training.adapters.engine import TokenBackend, Tokens  # noqa: E402

SETTINGS: dict[str, Any] = {"tasks": "authored:facts", "budget": {"response": 8}, "options": {"questions": 1}}


def greedy(model: Any, tokenizer: Any) -> Any:
    """Return an asynchronous engine that takes the likeliest token each time."""

    async def engine(prompt: list[int], asked: Mapping[str, Any]) -> Tokens:
        await asyncio.sleep(0)
        ids, logprobs = list(prompt), []
        for _ in range(int(asked["max_tokens"])):
            with torch.no_grad():
                scores = torch.log_softmax(model(torch.tensor([ids])).logits[0, -1], dim=-1)
            ids.append(int(scores.argmax()))
            logprobs.append(float(scores.max()))
            if ids[-1] in asked["stop_token_ids"]:
                break
        return Tokens(ids[len(prompt) :], logprobs)

    return engine


@pytest.fixture(scope="module")
def tiny() -> tuple[Any, Any]:
    """A tiny model and its tokenizer."""
    tokenizer = make_tokenizer()
    return make_model(tokenizer, max_position_embeddings=4096), tokenizer


def test_token_backend__continues_as_transformers_does(tiny: tuple[Any, Any]) -> None:
    """An engine of token ids in an event loop writes what our own engine writes, several conversations at once."""
    model, tokenizer = tiny
    talks = [[{"role": "user", "content": text}] for text in ("Hi", "How far is it?")]

    async def ask() -> Any:
        backend = TokenBackend(
            tokenizer, greedy(model, tokenizer), asyncio.get_running_loop(), name="e", max_context=1024
        )
        return await asyncio.to_thread(backend.generate, talks, Sampling(max_tokens=6))

    own = TransformersBackend(Loaded(model, tokenizer, "tiny", bos=False))
    for ours, theirs in zip(asyncio.run(ask()), own.generate(talks, Sampling(max_tokens=6)), strict=True):
        assert (ours.token_ids, ours.prompt_ids, ours.text) == (theirs.token_ids, theirs.prompt_ids, theirs.text)
        assert ours.logprobs == pytest.approx(theirs.logprobs, abs=1e-4)


def test_token_backend__failures_are_data(tiny: tuple[Any, Any]) -> None:
    """An engine that raises, or that would have to hold the model to a form, says so in the row."""

    async def broken(prompt: list[int], asked: Mapping[str, Any]) -> Tokens:
        raise RuntimeError("out of memory")

    async def ask(sampling: Sampling) -> Any:
        backend = TokenBackend(tiny[1], broken, asyncio.get_running_loop(), name="e", max_context=1024)
        return (await asyncio.to_thread(backend.generate, [[{"role": "user", "content": "Hi"}]], sampling))[0]

    assert "out of memory" in asyncio.run(ask(Sampling(max_tokens=8))).error
    assert "JSON schema" in asyncio.run(ask(Sampling(json_schema='{"type": "object"}'))).error


def test_game__returns_what_verl_learns_from(tiny: tuple[Any, Any]) -> None:
    """A game in an event loop: tokens, mask and log-probabilities of one length, welfare as the score, both payoffs beside it."""
    model, tokenizer = tiny
    game = adapter.Game(objective="linear:0.25", **SETTINGS)
    found = asyncio.run(game.play(tokenizer, greedy(model, tokenizer), seed=3, context=4096))
    fields = adapter.USED["verl/experimental/agent_loop/agent_loop.py:AgentLoopOutput"]
    assert set(found) == set(fields) - {"metrics"}
    assert len(found["response_ids"]) == len(found["response_mask"]) == len(found["response_logprobs"])
    assert any(found["response_mask"])
    paid = found["extra_fields"]["reward_extra_info"]
    assert found["reward_score"] == pytest.approx(0.25 * paid["user"] + 0.75 * paid["assistant"])
    whole = torch.tensor([[*found["prompt_ids"], *found["response_ids"]]])
    with torch.no_grad():
        scores = torch.log_softmax(model(whole).logits[0], dim=-1)
    start = len(found["prompt_ids"])
    for place, (mask, logprob) in enumerate(
        zip(found["response_mask"], found["response_logprobs"], strict=True), start
    ):
        assert logprob == pytest.approx(float(scores[place - 1, whole[0, place]]) if mask else 0.0, abs=1e-4)


def test_game__a_failure_is_no_reward(tiny: tuple[Any, Any]) -> None:
    """Verl has no word for a game without a reward, so a failed one raises; it is never a score of 0."""

    async def broken(prompt: list[int], asked: Mapping[str, Any]) -> Tokens:
        raise RuntimeError("out of memory")

    with pytest.raises(ModelError, match=r"seed 3 failed.*out of memory"):
        asyncio.run(adapter.Game(**SETTINGS).play(tiny[1], broken, seed=3, context=4096))


def test_agent_loop__is_made_when_it_is_asked_for(tiny: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """The class that verl's config names subclasses verl's own, takes our options, and cuts a response to verl's length."""
    model, tokenizer = tiny

    class Base:
        def __init__(self, trainer_config: Any, server_manager: Any, tokenizer: Any, **_: Any) -> None:
            self.rollout_config = trainer_config
            self.server_manager, self.tokenizer = server_manager, tokenizer

    class Server:
        async def generate(self, request_id: str, *, prompt_ids: list[int], sampling_params: dict[str, Any]) -> Any:
            made = await greedy(model, tokenizer)(prompt_ids, sampling_params)
            return SimpleNamespace(token_ids=made.ids, log_probs=made.logprobs)

    stand_in: Any = types.ModuleType("verl.experimental.agent_loop.agent_loop")
    stand_in.AgentLoopBase, stand_in.AgentLoopOutput = Base, SimpleNamespace
    for name in ("verl", "verl.experimental", "verl.experimental.agent_loop"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    monkeypatch.setitem(sys.modules, stand_in.__name__, stand_in)
    adapter._agent_loop.cache_clear()
    try:
        made = adapter.GtalignAgentLoop
        assert issubclass(made, Base)
        assert (made.__module__, made.__qualname__) == (adapter.__name__, "GtalignAgentLoop")
        limits = SimpleNamespace(prompt_length=4000, response_length=5)
        loop = made(trainer_config=limits, server_manager=Server(), tokenizer=tokenizer, processor=None, **SETTINGS)
        found = asyncio.run(loop.run({"temperature": 0.0}, extra_info={"seed": 3}, raw_prompt=[]))
        assert len(found.response_ids) == len(found.response_mask) == 5
    finally:
        adapter._agent_loop.cache_clear()


def test_agent_loop__says_that_verl_is_missing() -> None:
    """Without verl the module can be imported, and the class says what is missing."""
    if importlib.util.find_spec("verl") is not None:
        pytest.skip("verl is installed")
    with pytest.raises(MissingExtraError, match="verl"):
        importlib.import_module("gtalign_env.training.adapters.verl").GtalignAgentLoop  # noqa: B018
    with pytest.raises(AttributeError, match="no attribute 'Fame'"):
        adapter.Fame  # noqa: B018


@pytest.mark.plugs
@pytest.mark.parametrize("place", sorted(adapter.USED))
def test_verl__has_what_the_adapter_uses(place: str) -> None:
    """Read only: the arguments and fields that the adapter names are in verl's source (pip install --no-deps verl==0.9.1)."""
    spec = importlib.util.find_spec("verl")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("verl is not installed: pip install --no-deps verl==0.9.1")
    file, _, name = place.partition(":")
    path = Path(spec.submodule_search_locations[0]).parent / file
    assert set(adapter.USED[place]) <= names_in(path, name)


def names_in(path: Path, name: str) -> set[str]:
    """Return the arguments of a function, or the annotated fields of a class, read from source."""
    owner, _, method = name.partition(".")
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.ClassDef) or node.name != owner:
            continue
        for part in node.body:
            if method and isinstance(part, (ast.FunctionDef, ast.AsyncFunctionDef)) and part.name == method:
                found |= {argument.arg for argument in (*part.args.args, *part.args.kwonlyargs)}
            if not method and isinstance(part, ast.AnnAssign) and isinstance(part.target, ast.Name):
                found.add(part.target.id)
    return found
