"""The assistant that is a language model, on fakes; and on the real one where it is installed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from real_model import REAL, require_real

from gtalign_env import parallel_env
from gtalign_env.agents.assistants.llm import SYSTEM_PROMPT, LLMAssistant, make_llm_assistant
from gtalign_env.agents.backends import EchoBackend, RulesBackend, ScriptedBackend
from gtalign_env.agents.backends.prompts import NOTHING
from gtalign_env.errors import ModelError, UsageError
from gtalign_env.play import play_episode
from gtalign_env.protocols import BatchPolicy, Generation, Sampling
from gtalign_env.registration import PERSONAS
from gtalign_env.types import ASSISTANT, USER

TALK = [
    {"role": "user", "content": "How far is it?"},
    {"role": "assistant", "content": "How far is what?"},
    {"role": "user", "content": "The sea."},
]


class Listening:
    """A backend that remembers what it was asked, and says what it was told to."""

    def __init__(self, *replies: Generation) -> None:
        self.name = "listening"
        self.replies = replies or (Generation(text="Yes."),)
        self.calls: list[tuple[list[Any], Sampling]] = []

    def generate(self, conversations: Sequence[Any], sampling: Sampling) -> list[Generation]:
        """Return the replies in turn."""
        self.calls.append((list(conversations), sampling))
        return [self.replies[place % len(self.replies)] for place in range(len(conversations))]

    def count_tokens(self, text: str) -> int:
        """Count words."""
        return len(text.split())


def info(*lines: Mapping[str, str], to_move: str = ASSISTANT) -> dict[str, Any]:
    """Return what the environment tells the assistant."""
    return {"to_move": to_move, "messages": list(lines) or TALK}


def test_act__sends_system_prompt_and_conversation_and_returns_the_reply() -> None:
    """The model sees the system prompt and the messages as they stand; the action is a bare string."""
    backend = Listening()
    assistant = LLMAssistant(backend)
    assert isinstance(assistant, BatchPolicy)
    assert assistant.name == "listening"
    assert assistant.act({}, info()) == "Yes."
    ((conversations, _),) = backend.calls
    assert conversations == [[{"role": "system", "content": SYSTEM_PROMPT}, *TALK]]


def test_act__without_a_system_prompt() -> None:
    """An empty system prompt is left out."""
    backend = Listening()
    LLMAssistant(backend, system_prompt="").act({}, info())
    assert backend.calls[0][0] == [TALK]


def test_act_batch__is_one_call_in_order() -> None:
    """Many games are one call, and a game whose turn it is not costs nothing."""
    backend = Listening(Generation(text="a"), Generation(text="b"))
    assistant = LLMAssistant(backend)
    infos = [info(), info(to_move=USER), info(TALK[0])]
    assert assistant.act_batch([{}] * 3, infos) == ["a", "", "b"]
    assert [len(conversations) for conversations, _ in backend.calls] == [2]
    assert [bool(call) for call in assistant.last_calls] == [True, False, True]
    assert assistant.act_batch([], []) == []


def test_act_batch__waiting_games_call_no_model() -> None:
    """When it is nobody's turn the backend is left alone."""
    backend = Listening()
    assistant = LLMAssistant(backend)
    assert assistant.act({}, info(to_move=USER)) == ""
    assert backend.calls == []
    assert assistant.last_call == {}


def test_act_batch__refuses_lists_that_differ_in_length() -> None:
    """Observations and infos belong together."""
    with pytest.raises(UsageError, match="got 2 and 1"):
        LLMAssistant("fake:echo").act_batch([{}], [info(), info()])


@given(name=st.sampled_from(["Assistant:", "assistant :", "**Assistant:** ", "ASSISTANT: Assistant:"]), text=st.text())
def test_act__takes_off_role_prefixes(name: str, text: str) -> None:
    """The speaker's name in front goes, in any spelling; the reply itself stays."""
    said = LLMAssistant(Listening(Generation(text=f"\n {name} {text}"))).act({}, info())
    plain = LLMAssistant(Listening(Generation(text=text))).act({}, info())
    assert said == plain


@pytest.mark.parametrize("text", ["The assistant: a job.", "AI: short for artificial intelligence.", "Model: T-34"])
def test_act__leaves_other_colons_alone(text: str) -> None:
    """Only the speaker's own name counts as a prefix."""
    assert LLMAssistant(Listening(Generation(text=text))).act({}, info()) == text


def test_last_call__records_what_went_in_and_out() -> None:
    """The record is plain JSON and complete: prompt, raw text, tokens, log-probabilities, reason, time, error, note."""
    generation = Generation(
        text=" Assistant: Yes. ",
        token_ids=(4, 5),
        logprobs=(-0.12345678, -1.0),
        finish_reason="length",
        prompt_tokens=9,
        prompt="P",
        seconds=0.5,
        note="n",
    )
    assistant = LLMAssistant(Listening(generation), sampling=Sampling(seed=3))
    assistant.reset(1)
    assistant.act({}, info())
    call = assistant.last_call
    assert json.loads(json.dumps(call)) == call
    assert call["logprobs"] == pytest.approx([-0.12345678, -1.0], abs=1e-6)
    expected = {"backend": "listening", "text": " Assistant: Yes. ", "tokens": 2, "token_ids": [4, 5], "prompt": "P"}
    expected |= {"prompt_tokens": 9, "finish_reason": "length", "seconds": 0.5, "error": "", "note": "n"}
    assert {key: call[key] for key in expected} == expected
    assistant.reset(2)
    assert assistant.last_call == {}


def test_last_call__counts_tokens_where_the_engine_gives_no_ids() -> None:
    """An engine that tells no token ids counts the tokens of what it wrote; nothing written is no token."""
    counted = []
    for text in ("Four of them.", ""):
        backend = Listening(Generation(text=text))
        assistant = LLMAssistant(backend)
        assistant.act({}, info())
        counted.append((assistant.last_call["tokens"], backend.count_tokens(text)))
    assert counted == [(3, 3), (0, 0)]


def test_reset__the_seed_decides_with_that_of_the_sampling() -> None:
    """Equal seeds sample equally, and both seeds matter."""
    seeds = []
    for own, episode in ((0, 1), (0, 1), (0, 2), (1, 1)):
        backend = Listening()
        assistant = LLMAssistant(backend, sampling=Sampling(seed=own, temperature=0.5))
        assistant.reset(episode)
        assistant.act({}, info())
        seeds.append(backend.calls[0][1].seed)
        assert backend.calls[0][1].temperature == 0.5
    assert seeds[0] == seeds[1]
    assert len(set(seeds)) == 3


def test_act__silence_is_said_and_recorded() -> None:
    """A model that writes nothing is silent in the game, and the record says so."""
    assistant = LLMAssistant(ScriptedBackend([""]))
    assert assistant.act({}, info()) == ""
    assert assistant.last_call["error"] == NOTHING


def test_act__a_failure_raises_and_the_others_are_kept() -> None:
    """A model that fails raises a typed error; what it wrote in other games is not lost."""
    failed = Generation(text="", finish_reason="error", error="out of memory")
    with pytest.raises(ModelError, match=r"^listening failed: out of memory$"):
        LLMAssistant(Listening(failed)).act({}, info())
    assistant = LLMAssistant(Listening(Generation(text="a"), failed))
    with pytest.raises(ModelError, match="failed in 1 of 2 games"):
        assistant.act_batch([{}] * 2, [info(), info()])
    assert [call["text"] for call in assistant.last_calls] == ["a", ""]


def test_act__a_reply_that_cannot_be_said_is_the_models_failure() -> None:
    """The environment takes 20,000 characters and no more; the record keeps what was written."""
    long = Generation(text="x" * 20_001)
    assistant = LLMAssistant(Listening(Generation(text="y" * 20_000), long))
    with pytest.raises(ModelError, match="failed in 1 of 2 games: the model wrote too much: 20,001 characters"):
        assistant.act_batch([{}] * 2, [info(), info()])
    assert [len(call["text"]) for call in assistant.last_calls] == [20_000, 20_001]
    assert [bool(call["error"]) for call in assistant.last_calls] == [False, True]


def test_act__a_failure_without_a_word_is_one() -> None:
    """An engine that does not say why has failed all the same."""
    with pytest.raises(ModelError, match="does not say why"):
        LLMAssistant(Listening(Generation(text="", finish_reason="error"))).act({}, info())


def test_act__refuses_the_strategic_view() -> None:
    """Without messages there is nothing to say, and the error names a view that has them."""
    env = parallel_env("assist")
    observations, infos = env.reset(seed=0)
    with pytest.raises(UsageError, match="plays the text view only"):
        LLMAssistant("fake:echo").act(observations[ASSISTANT], infos[ASSISTANT])
    with pytest.raises(UsageError, match="got an empty one"):
        LLMAssistant("fake:echo").act({}, {})


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"system_prompt": None}, "system_prompt: expected a string"),
        ({"sampling": {"max_tokens": 3}}, "sampling: expected"),
    ],
)
def test_assistant__refuses_arguments_without_meaning(wrong: dict[str, Any], message: str) -> None:
    """Each argument says what it expects."""
    with pytest.raises(UsageError, match=message):
        LLMAssistant("fake:echo", **wrong)


def test_make_llm_assistant__passes_options_on() -> None:
    """A spec builds the backend, the rest goes where it belongs."""
    assistant = make_llm_assistant("fake:rules", sampling=Sampling(max_tokens=3), system_prompt="Hi.")
    assert isinstance(assistant.backend, RulesBackend)
    assert (assistant.sampling.max_tokens, assistant.system_prompt) == (3, "Hi.")
    with pytest.raises(UsageError, match="takes no options, got device"):
        make_llm_assistant(EchoBackend(), device="cpu")


def test_assistant__plays_the_text_view() -> None:
    """A whole episode with a fake model: every reply is recorded as it was sent, and equal seeds give equal games."""
    env = parallel_env("assist_text")
    records = []
    for _ in range(2):
        assistant = make_llm_assistant("fake:rules")
        records.append(play_episode(env, PERSONAS.get("concise")(), assistant, seed=5))
    first, second = records
    assert first.ended == "terminated", first.error
    turns = [step.assistant for step in first.steps if step.to_move == ASSISTANT]
    assert turns
    assert all(turn.text == turn.model["text"].strip() for turn in turns)
    assert [step.assistant.text for step in first.steps] == [step.assistant.text for step in second.steps]
    assert first.totals() == second.totals()


def test_assistant__a_failing_model_ends_the_episode_as_data() -> None:
    """The play loop records a typed error, and no payoff of 0 for the missing reply."""
    assistant = LLMAssistant(Listening(Generation(text="", finish_reason="error", error="it is down")))
    episode = play_episode(parallel_env("assist_text"), PERSONAS.get("concise")(), assistant, seed=0)
    assert episode.ended == "error"
    assert episode.error == {"type": "ModelError", "message": "listening failed: it is down", "where": ASSISTANT}


# -- the real model ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def real() -> LLMAssistant:
    """The assistant on a real model of 270 million weights."""
    require_real(REAL, "gguf", "accelerate", "torch", "transformers")
    return make_llm_assistant(f"transformers:{REAL}", device="cpu", sampling=Sampling(max_tokens=32))


@pytest.mark.model
def test_real_model__knows_the_capital_of_france(real: LLMAssistant) -> None:
    """With its BOS in front the model talks sense, in a batch as alone."""
    talks = [[{"role": "user", "content": "What is the capital of France?"}], TALK]
    together = real.backend.generate(talks, Sampling(max_tokens=16))
    alone = [real.backend.generate([talk], Sampling(max_tokens=16))[0] for talk in talks]
    assert "Paris" in together[0].text
    assert together[0].prompt.startswith("<bos>This is a chat")
    assert [g.text for g in together] == [g.text for g in alone]


@pytest.mark.model
def test_real_model__plays_an_episode(real: LLMAssistant) -> None:
    """One short episode of the text view runs to its end, with every call recorded."""
    episode = play_episode(parallel_env("assist_text", questions=1), PERSONAS.get("concise")(), real, seed=1)
    assert episode.ended == "terminated", episode.error
    calls = [step.assistant.model for step in episode.steps if step.to_move == ASSISTANT]
    assert calls
    assert all(call["tokens"] > 0 and call["prompt"].startswith("<bos>") for call in calls)
