"""The fakes and the way from a spec to a backend."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gtalign_env.agents.backends import EchoBackend, RulesBackend, ScriptedBackend, fake_backend, make_backend
from gtalign_env.agents.backends.fake import DEFAULT_RULES
from gtalign_env.agents.backends.prompts import NOTHING
from gtalign_env.errors import GtalignError, UnknownNameError, UsageError
from gtalign_env.protocols import Backend, Sampling

HELLO = [{"role": "user", "content": "Hello there, how are you on this fine day?"}]


def say(text: str) -> list[dict[str, str]]:
    """Return a conversation of one message."""
    return [{"role": "user", "content": text}]


@pytest.mark.parametrize("make", [EchoBackend, RulesBackend, lambda: ScriptedBackend(["a b"])])
def test_fakes__are_backends(make: Callable[[], Any]) -> None:
    """Each fake fits the protocol and returns one generation per conversation, with ids and log-probabilities."""
    backend = make()
    assert isinstance(backend, Backend)
    results = backend.generate([HELLO, HELLO], Sampling())
    assert len(results) == 2
    for result in results:
        assert len(result.token_ids) == len(result.logprobs) == backend.count_tokens(result.text) > 0
        assert result.finish_reason == "stop"
        assert result.prompt_tokens == backend.count_tokens(result.prompt)


@given(text=st.text(min_size=1), limit=st.integers(1, 20))
def test_echo__keeps_to_the_token_limit(text: str, limit: int) -> None:
    """The text is the longest beginning that fits the limit, and the reason says whether it was cut."""
    backend = EchoBackend()
    result = backend.generate([say(text)], Sampling(max_tokens=limit))[0]
    assert text.startswith(result.text)
    assert len(result.token_ids) == min(limit, backend.count_tokens(text))
    if text.strip():
        assert result.finish_reason == ("stop" if result.text == text else "length")


def test_echo__cuts_at_the_first_stop_string() -> None:
    """The earliest of the stop strings ends the text and is not part of it."""
    result = EchoBackend().generate([say("one, two. three")], Sampling(stop=(".", ",")))[0]
    assert (result.text, result.finish_reason) == ("one", "stop")


@pytest.mark.parametrize("text", ["", "  \n"])
def test_scripted__an_empty_reply_is_an_error_as_data(text: str) -> None:
    """Nothing written is said in the generation, not raised."""
    result = ScriptedBackend([text]).generate([HELLO], Sampling())[0]
    assert (result.finish_reason, result.error) == ("error", NOTHING)


def test_scripted__goes_on_over_calls() -> None:
    """The script is one sequence, however the conversations are divided into calls."""
    backend = ScriptedBackend(["a", "b", "c"])
    said = [backend.generate([HELLO] * count, Sampling()) for count in (2, 2)]
    assert [[result.text for result in call] for call in said] == [["a", "b"], ["c", "a"]]


@pytest.mark.parametrize("replies", [[], "hello"])
def test_scripted__refuses_what_is_no_script(replies: Any) -> None:
    """A script has at least one line, and a bare string is no list of lines."""
    with pytest.raises(UsageError, match="at least one reply"):
        ScriptedBackend(replies)


@pytest.mark.parametrize(
    ("text", "reply"),
    [
        ("How do I build a BOMB at home, please tell me now?", DEFAULT_RULES[0][1]),
        ("That was too long, I wanted only the one number.", DEFAULT_RULES[1][1]),
        ("I meant the one in the north, not in the south.", DEFAULT_RULES[3][1]),
        ("How high is it?", "Which one do you mean?"),
        (HELLO[0]["content"], DEFAULT_RULES[-1][1]),
    ],
)
def test_rules__the_first_match_in_the_last_message_decides(text: str, reply: str) -> None:
    """Rules read the user's last message only, in any case of letters."""
    talk = [*say("I want a bomb"), {"role": "assistant", "content": "too long"}, *say(text)]
    assert RulesBackend().generate([talk], Sampling())[0].text == reply


def test_rules__may_be_a_function() -> None:
    """A function sees the whole conversation."""
    backend = RulesBackend(lambda conversation: f"{len(conversation)} messages")
    assert backend.generate([HELLO * 3], Sampling())[0].text == "3 messages"


def test_rules__say_nothing_where_none_applies() -> None:
    """Without a matching rule the reply is empty, which is an error as data."""
    assert RulesBackend([("x", "y")]).generate([say("a")], Sampling())[0].error == NOTHING


@pytest.mark.parametrize(
    ("which", "kind"), [("echo", EchoBackend), ("rules", RulesBackend), ("scripted=a|b", ScriptedBackend)]
)
def test_make_backend__builds_every_fake(which: str, kind: type) -> None:
    """A spec names the backend and what it runs."""
    backend = make_backend(f"fake:{which}")
    assert isinstance(backend, kind)
    assert backend.name == f"fake:{which.partition('=')[0]}"


def test_make_backend__passes_a_ready_one_through() -> None:
    """What is a backend already comes back as it is, and takes no options."""
    backend = EchoBackend()
    assert make_backend(backend) is backend
    with pytest.raises(UsageError, match="takes no options, got device"):
        make_backend(backend, device="cpu")


@pytest.mark.parametrize(
    ("spec", "error", "message"),
    [
        ("fake", UsageError, "expected 'fake:' and what it should run, e.g. 'fake:rules'"),
        ("transformers:", UsageError, "e.g. 'transformers:PATH'"),
        ("fake:eco", UnknownNameError, "did you mean 'echo'"),
        ("transformer:x", UnknownNameError, "did you mean 'transformers'"),
        ("", UnknownNameError, "unknown backend ''"),
        (3, UsageError, "expected 'name:what'"),
    ],
)
def test_make_backend__says_what_is_wrong(spec: Any, error: type[Exception], message: str) -> None:
    """A wrong spec ends in one sentence that says what would have been right."""
    with pytest.raises(error, match=message) as caught:
        make_backend(spec)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["vllm", "openai"])
def test_make_backend__names_what_there_is_instead_of_a_later_one(name: str) -> None:
    """A backend of a later release is answered with those of this one."""
    with pytest.raises(GtalignError, match=r"later release: use one of fake, transformers") as caught:
        make_backend(f"{name}:some/model")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "conversation",
    [
        [],
        "hello",
        {"role": "user", "content": "x"},
        None,
        ["hello"],
        [{"role": "user"}],
        [{"role": "robot", "content": "x"}],
        [{"role": ["user"], "content": "x"}],
        [{"role": "user", "content": None}],
    ],
)
def test_generate__refuses_a_malformed_conversation(conversation: Any) -> None:
    """A caller's mistake is raised, not recorded as the model's failure."""
    with pytest.raises(UsageError, match=r"conversation: expected|message: expected"):
        fake_backend("echo").generate([conversation], Sampling())


@pytest.mark.parametrize(
    "wrong",
    [
        {"max_tokens": 0},
        {"max_tokens": 1.5},
        {"temperature": -0.1},
        {"temperature": float("nan")},
        {"temperature": float("inf")},
        {"top_p": 0.0},
        {"top_p": 1.1},
        {"stop": "x"},
        {"seed": -1},
    ],
)
def test_sampling__refuses_values_without_meaning(wrong: dict[str, Any]) -> None:
    """Each field says what it expects."""
    (field,) = wrong
    with pytest.raises(UsageError, match=f"sampling {field}: expected"):
        Sampling(**wrong)


def test_fakes__need_no_torch() -> None:
    """Neither making nor using a fake imports torch or transformers."""
    code = (
        "import sys; from gtalign_env.agents.backends import make_backend; from gtalign_env.protocols import Sampling;"
        "make_backend('fake:rules').generate([[{'role': 'user', 'content': 'Hi'}]], Sampling());"
        "sys.exit(bool({'torch', 'transformers'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
