"""The fakes and the way from a spec to a backend."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gtalign_env.agents.backends import (
    ChainBackend,
    EchoBackend,
    RulesBackend,
    ScriptedBackend,
    fake_backend,
    make_backend,
)
from gtalign_env.agents.backends.fake import CHAIN, DEFAULT_RULES, REPLIES
from gtalign_env.agents.backends.prompts import NOTHING
from gtalign_env.errors import UnknownNameError, UsageError
from gtalign_env.protocols import Backend, Continuation, Sampling
from gtalign_env.registration import make_scenario

HELLO = [{"role": "user", "content": "Hello there, how are you on this fine day?"}]


def say(text: str) -> list[dict[str, str]]:
    """Return a conversation of one message."""
    return [{"role": "user", "content": text}]


@pytest.mark.parametrize("make", [ChainBackend, EchoBackend, RulesBackend, lambda: ScriptedBackend(["a b"])])
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


# -- going on, chains, JSON --------------------------------------------------------------------------------------------

PAIR = {"type": "object", "properties": {side: {"type": "number"} for side in ("assistant", "user")}}
SCHEMA = json.dumps({"type": "object", "properties": {"VQ|DA": PAIR, "VQ|CQ": PAIR}})


def blocks_of(text: str) -> dict[str, str]:
    """Return the blocks of a chain, in order."""
    return dict(re.findall(r"<(\w+)>(.*?)</\1>", text))


@pytest.mark.parametrize("make", [ChainBackend, EchoBackend, RulesBackend, lambda: ScriptedBackend(["a. b.", "c. d."])])
def test_continue__the_tokens_line_up(make: Callable[[], Any]) -> None:
    """A continuation's prompt is the tokens before, those sampled (stop string included), and those of the new text."""
    backend = make()
    first = backend.generate([HELLO], Sampling(stop=(".", ",")))[0]
    assert first.sampled in (first.text + ".", first.text + ",")
    assert len(first.token_ids) == len(first.logprobs) == backend.count_tokens(first.sampled)
    after = backend.generate([Continuation(after=first, text=" So then")], Sampling(max_tokens=3))[0]
    assert after.prompt_ids[: -backend.count_tokens(" So then")] == first.prompt_ids + first.token_ids
    assert after.prompt == first.prompt + first.sampled + " So then"
    assert after.prompt_tokens == len(after.prompt_ids)
    assert list(after.conversation) == [*HELLO, {"role": "assistant", "content": first.sampled + " So then"}]
    again = backend.generate([Continuation(after=after, text="!")], Sampling(max_tokens=3))[0]
    assert again.conversation[1:] == ({"role": "assistant", "content": f"{first.sampled} So then{after.sampled}!"},)


def test_stop__the_longest_of_several_that_begin_together_is_sampled() -> None:
    """Of two stop strings at one place the text that was sampled holds the longer one."""
    result = EchoBackend().generate([say("one</a>two")], Sampling(stop=("<", "</a>")))[0]
    assert (result.text, result.sampled) == ("one", "one</a>")


def test_scripted__has_a_line_for_each_part_of_a_chain() -> None:
    """A continuation takes the next line, also where JSON is asked for."""
    backend = ScriptedBackend(["<payoff>", "no json", "the end"])
    first = backend.generate([HELLO], Sampling())[0]
    second = backend.generate([Continuation(after=first)], Sampling(json_schema=SCHEMA))[0]
    assert (first.text, second.text) == ("<payoff>", "no json")


def test_chain__is_written_whole_or_in_parts() -> None:
    """Whether it is written in one go or halted at each closing tag and resumed, it is the same chain."""
    backend = ChainBackend()
    whole = backend.generate([HELLO], Sampling())[0].text
    assert list(blocks_of(whole).items()) == list(CHAIN)
    assert whole == backend.reply(HELLO)
    part = backend.generate([HELLO], Sampling(stop=("</thinking>",)))[0]
    for name in ("payoff", "analyze", "response"):
        part = backend.generate([Continuation(after=part)], Sampling(stop=(f"</{name}>",)))[0]
    assert part.conversation[-1]["content"] + part.sampled == whole.replace("</thinking>\n", "</thinking>").replace(
        "</payoff>\n", "</payoff>"
    ).replace("</analyze>\n", "</analyze>")


KEYS = 'The payoff block has exactly these keys: "VQ|DA", "VQ|CQ". As in {"USER|YOURS": {"user": NUMBER}}.'


def test_chain__writes_payoffs_by_the_keys_that_it_is_told() -> None:
    """Told which cells there are, it states them unasked, whole numbers in [-5, 5], and chooses one; a bad one does not."""
    told = [{"role": "system", "content": KEYS}, *HELLO]
    made = blocks_of(make_backend("fake:chain").generate([told], Sampling())[0].text.replace("\n", " "))
    stated = json.loads(made["payoff"])
    assert {key: sorted(cell) for key, cell in stated.items()} == {
        "VQ|DA": ["assistant", "user"],
        "VQ|CQ": ["assistant", "user"],
    }
    assert all(number in range(-5, 6) for cell in stated.values() for number in cell.values())
    assert made["analyze"].endswith("choice: VQ|CQ")
    bad = make_backend("fake:chain=bad")
    assert bad.name == "fake:chain=bad"
    assert blocks_of(bad.generate([told], Sampling())[0].text)["payoff"] == "{}"
    held = bad.generate([told], Sampling(json_schema=SCHEMA))[0].text
    assert set(json.loads(held)) == {"VQ|DA", "VQ|CQ"}


def test_chain__takes_a_block_that_somebody_else_has_written() -> None:
    """After a solver's analysis comes the response, and an open block is finished, not begun again."""
    backend = ChainBackend()
    first = backend.generate([HELLO], Sampling(stop=("</payoff>",)))[0]
    solved = backend.generate([Continuation(after=first, text="<analyze>Solved.</analyze>")], Sampling())[0]
    assert solved.text == f"<response>{CHAIN[3][1]}</response>"
    opened = backend.generate([Continuation(after=solved, text="<response>Which one ")], Sampling())[0]
    assert opened.text == "do you mean?</response>"
    other = backend.generate([Continuation(after=first, text="<analyze>Mine")], Sampling(stop=("</analyze>",)))[0]
    assert other.sampled == "</analyze>"


@pytest.mark.parametrize(
    ("payoff", "choice"),
    [
        ('{"C|C": {"user": 3, "assistant": 3}, "D|C": {"user": 5, "assistant": 0}}', "\nchoice: C|C"),
        ('{"VQ|DA": {"user": 9, "assistant": 9}, "VQ|CQ": {"user": 1, "assistant": 1}}', "\nchoice: VQ|DA"),
        ("nonsense", ""),
        ("[]", ""),
    ],
)
def test_chain__chooses_a_cell_of_what_it_has_stated(payoff: str, choice: str) -> None:
    """The highest sum; nothing where there is no matrix."""
    backend = ChainBackend()
    first = backend.generate([HELLO], Sampling(stop=("<payoff>",)))[0]
    asked = Continuation(after=first, text=f"{payoff}</payoff><analyze>")
    made = backend.generate([asked], Sampling(stop=("</analyze>",)))[0]
    assert made.text == CHAIN[2][1] + choice


def test_chain__may_depend_on_the_conversation() -> None:
    """The blocks may be a function of what was said before the chain, halted or not."""
    backend = ChainBackend(lambda talk: [("payoff", '{"n": 1}'), ("response", f"{len(talk)} messages")])
    first = backend.generate([HELLO * 3], Sampling(stop=("<payoff>",)))[0]
    assert first.sampled == "<payoff>"
    payoff = backend.generate([Continuation(after=first)], Sampling(json_schema=SCHEMA))[0]
    assert payoff.text == '{"n": 1}'
    rest = backend.generate([Continuation(after=payoff, text="</payoff>")], Sampling())[0]
    assert rest.text == "<response>3 messages</response>"


@pytest.mark.parametrize("make", [ChainBackend, EchoBackend, RulesBackend])
def test_json__fits_a_schema_of_objects_and_numbers(make: Callable[[], Any]) -> None:
    """Keys in the schema's order, numbers in its bounds, the same for the same conversation, others for others."""
    texts = [make().generate([talk], Sampling(json_schema=SCHEMA))[0].text for talk in (HELLO, HELLO, say("Hi"))]
    assert texts[0] == texts[1] != texts[2]
    cells = json.loads(texts[0])
    assert list(cells) == ["VQ|DA", "VQ|CQ"]
    assert all(list(cell) == ["assistant", "user"] for cell in cells.values())
    assert all(-5 <= value <= 5 for cell in cells.values() for value in cell.values())


@given(low=st.integers(-9, 9), width=st.integers(0, 9))
def test_json__keeps_to_the_bounds(low: int, width: int) -> None:
    """A bounded number is in its bounds."""
    schema = json.dumps({"type": "integer", "minimum": low, "maximum": low + width})
    assert low <= json.loads(EchoBackend().generate([HELLO], Sampling(json_schema=schema))[0].text) <= low + width


@pytest.mark.parametrize("schema", ['{"type": "string"}', "{}", "[]", "no json", '{"properties": {"a": 1}}'])
def test_json__more_than_that_is_an_error_as_data(schema: str) -> None:
    """A schema with something else is refused in the generation, not filled with anything."""
    result = EchoBackend().generate([HELLO], Sampling(json_schema=schema))[0]
    assert (result.text, result.finish_reason) == ("", "error")
    assert result.error.startswith("a fake writes JSON for objects with properties and for numbers only")


# -- specs -------------------------------------------------------------------------------------------------------------


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
    ("which", "kind"),
    [("chain", ChainBackend), ("echo", EchoBackend), ("rules", RulesBackend), ("scripted=a|b", ScriptedBackend)],
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
        ("openai", UsageError, "expected 'openai:' and what it should run, e.g. 'openai:MODEL'"),
        ("transformers:", UsageError, "e.g. 'transformers:PATH'"),
        ("vllm", UsageError, "e.g. 'vllm:PATH'"),
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
        {"json_schema": {}},
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


@pytest.mark.parametrize("move", sorted(REPLIES))
def test_chain__says_what_it_has_announced(move: str) -> None:
    """The text view reads each reply as the move that stands in the inserted choice; an act alone is made in a few words."""
    scenario: Any = make_scenario("assist_text")
    read = scenario.read_move
    backend = ChainBackend()
    first = backend.generate([HELLO], Sampling(stop=("</payoff>",)))[0]
    for chosen in (move, move.partition("_")[0]):
        asked = Continuation(after=first, text=f"<analyze>choice: VQ|{chosen}\n</analyze><response>")
        made = backend.generate([asked], Sampling(max_tokens=600, stop=("</response>",)))[0]
        assert read(made.text) == (move if chosen == move else f"{chosen}_short" if chosen in ("DA", "AQ") else chosen)
    bad = ChainBackend(good=False)
    asked = Continuation(after=first, text=f"<analyze>choice: VQ|{move}\n</analyze><response>")
    assert bad.generate([asked], Sampling(stop=("</response>",)))[0].text == CHAIN[3][1]
