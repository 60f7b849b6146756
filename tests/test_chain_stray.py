"""Reasoning never reaches the user: servers that begin a new message, and models that forget which block they are in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from chains import BOTH, MOVES, blocks, info, payoffs, seated
from hypothesis import given
from hypothesis import strategies as st

from gtalign_env import parallel_env
from gtalign_env.agents.backends import ChainBackend, ScriptedBackend
from gtalign_env.agents.chain import ChainAssistant, ChainFailure, parse_chain
from gtalign_env.agents.chain.stray import own_text
from gtalign_env.errors import ModelError
from gtalign_env.play import play_episode
from gtalign_env.protocols import Backend, Generation, Sampling
from gtalign_env.registration import PERSONAS
from gtalign_env.testing.openai_forms import Asked
from gtalign_env.testing.openai_server import OpenAIServer

SECRET = "They will pay more if I write at length."
TAGS = [f"<{slash}{name}>" for slash in ("", "/") for name in ("thinking", "payoff", "analyze", "response")]


def anew(_: Asked) -> str:
    """Write the whole chain, whatever the conversation ends with: a server that takes no prefill."""
    return "\n".join(f"<{name}>{text}</{name}>" for name, text in blocks(thinking=SECRET))


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"mode": "self"},
        {"constrained": False},
        {"mode": "self", "constrained": False},
        {"mode": "none"},
    ],
)
def test_server__that_begins_a_new_message_shows_the_user_the_response_alone(settings: dict[str, Any]) -> None:
    """In every mode: what the user reads is the response block of the new message, and the record says where it was from."""
    pytest.importorskip("openai")
    from gtalign_env.agents.backends.openai import OpenAIBackend

    with OpenAIServer(anew) as server:
        assistant = seated(OpenAIBackend("m", base_url=server.base_url, max_retries=0), **settings)
        action = assistant.act({}, info())
        assert (action if isinstance(action, str) else action["text"]) == BOTH
        chain = assistant.last_call["chain"]
        if settings.get("constrained", True) and "mode" not in settings:
            assert chain["blocks"]["thinking"] == SECRET
            assert [note.partition(":")[0] for note in chain["notes"]].count(
                "restarted"
            ) == 3  # all but the analysis, ours
            assert chain["matrix"]["assistant_moves"] == ["DA", "AQ", "CQ"]


@pytest.mark.parametrize("view", ["grounded", "paper"])
def test_episode__on_such_a_server_holds_no_reasoning_in_what_was_said(view: str) -> None:
    """The conversation, which later turns read, is free of it, whether the game wants words or the whole message."""
    pytest.importorskip("openai")
    from gtalign_env.agents.backends.openai import OpenAIBackend

    with OpenAIServer(anew) as server:
        env = parallel_env("gtalign/AssistText-v0", questions=1, payoff=view)
        backend = OpenAIBackend("m", base_url=server.base_url, max_retries=0)
        episode = play_episode(env, PERSONAS.get("concise")(), ChainAssistant(backend, moves=MOVES), seed=0)
    assert episode.ended != "error", episode.error
    later = [step.assistant.model["conversation"] for step in episode.steps if step.assistant.model]
    assert later
    assert all(SECRET not in message["content"] for talk in later for message in talk)
    assert all(message["content"] == BOTH for talk in later for message in talk if message["role"] == "assistant")


class Babbling(ChainBackend):
    """A model that goes on reasoning inside its response."""

    def __init__(self, response: str) -> None:
        super().__init__(blocks(response=response))


@pytest.mark.parametrize(
    "response",
    [
        f"Yes. <thinking>{SECRET}",
        f"Yes. <Thinking>{SECRET}</Thinking>",
        f"<thinking>{SECRET}</thinking> Yes.",
        f"Yes. <payoff>{payoffs()}</payoff>",
        "Yes. </analyze>",
        f"<response>Yes. <analyze>{SECRET}</analyze>",
    ],
)
@pytest.mark.parametrize("settings", [{}, {"mode": "self"}, {"mode": "self", "constrained": False}])
def test_response__with_a_tag_in_it_is_a_failure(response: str, settings: dict[str, Any]) -> None:
    """Nobody can tell where the reply ends: a typed failure, begun anew, and then an error of that game."""
    assistant = seated(Babbling(response), **settings)
    with pytest.raises(ModelError, match="failed: stray_tag: <"):
        assistant.act({}, info())
    failures = assistant.last_call["chain"]["failures"]
    assert [(failure["kind"], failure["block"], failure["attempt"]) for failure in failures] == [
        ("stray_tag", "response", 0),
        ("stray_tag", "response", 1),
    ]
    text = assistant.last_call["text"]
    assert text[failures[1]["position"]] == "<"


def test_response__in_place_of_a_chain_is_looked_through_as_well() -> None:
    """A plain reply with a chain in it: the response block is said; with a tag and no response it is an error."""
    said = seated(ScriptedBackend([f"<thinking>{SECRET}</thinking><response>Yes.</response>"]), mode="none")
    assert said.act({}, info()) == "Yes."
    broken = seated(ScriptedBackend([f"Yes. <thinking>{SECRET}"]), mode="none")
    with pytest.raises(ModelError, match="stray_tag"):
        broken.act({}, info())


def test_blocks__before_the_response_end_at_a_stray_tag() -> None:
    """Thinking that runs on into an answer is cut there, with a note; strictly it is a failure."""
    ran_on = blocks(thinking="It may be either. <response>It is Paris.")
    assistant = seated(ChainBackend(ran_on))
    assert assistant.act({}, info())["text"] == BOTH
    chain = assistant.last_call["chain"]
    assert chain["blocks"]["thinking"] == "It may be either."
    assert chain["notes"] == ["stray_tag: the thinking block was ended at <response>"]
    with pytest.raises(ModelError, match="stray_tag"):
        seated(ChainBackend(ran_on), strict=True).act({}, info())


@given(st.lists(st.sampled_from([*TAGS, "a", " ", "\n", "<", "< Response >", SECRET]), max_size=12).map("".join))
def test_own_text__of_a_response_never_holds_a_tag(text: str) -> None:
    """Whatever was written, what is said has no tag of a chain in it, and comes from behind the last opening one."""
    own = own_text("response", text)
    if isinstance(own, ChainFailure):
        assert own.kind == "stray_tag"
        assert text[own.position] == "<"
        return
    assert not any(tag in own[0] for tag in TAGS)
    assert own[0] in text


@given(st.lists(st.sampled_from([*TAGS, "a", payoffs()]), max_size=14).map("".join))
def test_parse_chain__lets_no_tag_through(text: str) -> None:
    """A whole chain, read leniently: its response holds no tag."""
    chain = parse_chain(text, MOVES.rows, MOVES.columns, strict=False)
    if not isinstance(chain, ChainFailure):
        assert not any(tag in chain.response for tag in TAGS)


class Short:
    """A backend that returns a row too few."""

    name = "short"

    def __init__(self, backend: Backend) -> None:
        self.backend = backend

    def generate(self, conversations: Sequence[Any], sampling: Sampling) -> list[Generation]:
        """Lose the last row."""
        return self.backend.generate(conversations, sampling)[:-1]

    def count_tokens(self, text: str) -> int:
        """Count."""
        return self.backend.count_tokens(text)


@pytest.mark.parametrize("mode", ["solver", "none"])
def test_backend__that_returns_too_few_rows_is_named(mode: str) -> None:
    """It is the engine's failure, in one sentence."""
    assistant = seated(Short(ChainBackend(blocks())), mode=mode)
    with pytest.raises(ModelError, match="short: expected 1 answers to 1 prompts, got 0"):
        assistant.act({}, info())
