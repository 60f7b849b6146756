"""The backend on an OpenAI-compatible server: what it asks, what it makes of the answers, over the loopback server."""

from __future__ import annotations

import copy
import json
import re
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gtalign_env.agents.assistants import make_assistant
from gtalign_env.agents.backends import make_backend
from gtalign_env.agents.backends.json_grammar import json_grammar
from gtalign_env.agents.backends.openai import OpenAIBackend
from gtalign_env.cli import main
from gtalign_env.errors import ModelError, UsageError
from gtalign_env.protocols import Backend, Continuation, Generation, Sampling
from gtalign_env.testing.openai_forms import Asked, error, pieces, token_id
from gtalign_env.testing.openai_server import OpenAIServer

pytest.importorskip("openai")

HI = [{"role": "user", "content": "Hi there"}]
CHAIN = "<payoff>{}</payoff> and more"
SCHEMA = json.dumps({"type": "object", "properties": {"user": {"type": "number", "minimum": 1}}, "required": ["user"]})


def chain(asked: Asked) -> str:
    """A reply with a stop string in it; a continuation says how far it had come."""
    written = asked.prompt.rpartition("assistant:")[2]
    return CHAIN if "</payoff>" not in written else f" after {len(pieces(written))} tokens."


def ids_of(text: str) -> tuple[int, ...]:
    """The loopback server's token ids."""
    return tuple(map(token_id, pieces(text)))


class Refusing(OpenAIServer):
    """A server that refuses requests with a field, in its own words."""

    def __init__(self, words: str, field: str, **options: Any) -> None:
        super().__init__(**options)
        self.refusal = words, field

    def problem(self, asked: Asked, key: str) -> tuple[int, dict[str, Any]] | None:
        """Refuse."""
        words, field = self.refusal
        return (400, error(words)) if field in asked.body else super().problem(asked, key)


@pytest.fixture
def plain() -> Iterator[OpenAIServer]:
    """A server that knows nothing beyond OpenAI's API."""
    with OpenAIServer(chain) as server:
        yield server


@pytest.fixture
def vllm() -> Iterator[OpenAIServer]:
    """A server with vLLM's additions."""
    with OpenAIServer(chain, dialect="vllm") as server:
        yield server


# -- what is asked ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("api", ["chat", "completions"])
@pytest.mark.parametrize("dialect", ["openai", "vllm"])
def test_openai__returns_what_the_server_wrote(dialect: str, api: str, stream: bool) -> None:
    """Either API, streamed or not, in both dialects: the same text, and where it ended."""
    with OpenAIServer(lambda asked: "It is far.", dialect=dialect) as server:
        backend = OpenAIBackend("m", base_url=server.base_url, api=api, stream=stream)
        (done,) = backend.generate([HI], Sampling(max_tokens=9))
        assert (done.text, done.sampled, done.finish_reason, done.error) == ("It is far.", "It is far.", "stop", "")
        assert backend.dialect == dialect
        assert done.conversation == tuple(HI)
        assert done.prompt_tokens == len(server.asked[0].prompt_ids)
        assert server.asked[0].path == ("/v1/chat/completions" if api == "chat" else "/v1/completions")
        assert done.note.startswith("first token after ") if stream else not done.note
        assert 0 < done.seconds < 5
        (short,) = backend.generate([HI], Sampling(max_tokens=2))
        assert (short.text, short.finish_reason) == ("It is", "length")
        expected = ids_of("It is far.") if dialect == "vllm" else ()
        assert done.token_ids == expected
        assert done.logprobs == (-1.0,) * len(expected)
        assert done.prompt_ids == (server.asked[0].prompt_ids if dialect == "vllm" else ())
        if dialect == "vllm" or api == "completions":
            assert done.prompt == server.asked[0].prompt
        else:
            assert json.loads(done.prompt) == HI


def test_openai__sends_the_sampling() -> None:
    """Length, temperature, nucleus and a seed of the row's own."""
    with OpenAIServer() as server:
        OpenAIBackend("m", base_url=server.base_url).generate(
            [HI, HI], Sampling(max_tokens=7, temperature=0.5, top_p=0.9)
        )
        one, two = (asked.body for asked in server.asked)
        assert (one["model"], one["max_tokens"], one["temperature"], one["top_p"]) == ("m", 7, 0.5, 0.9)
        assert "stop" not in one
        assert "stream" not in one
        assert one["seed"] != two["seed"]  # equal prompts get different samples


def test_openai__row_seeds_do_not_depend_on_company() -> None:
    """A conversation's seed is the same alone and among others, and differs between calls of different seed."""
    other = [{"role": "user", "content": "Else"}]
    with OpenAIServer() as server:
        backend = OpenAIBackend("m", base_url=server.base_url, concurrency=1)
        backend.generate([HI], Sampling(seed=3))
        backend.generate([other, HI], Sampling(seed=3))
        backend.generate([HI], Sampling(seed=4))
        alone, _, among, changed = (asked.body["seed"] for asked in server.asked)
        assert alone == among != changed


def test_openai__extra_body_adds_and_takes_out() -> None:
    """A provider's own fields go along; ``None`` takes a field out that it does not like."""
    with OpenAIServer() as server:
        extra = {"seed": None, "reasoning_effort": "low"}
        OpenAIBackend("m", base_url=server.base_url, extra_body=extra).generate([HI], Sampling())
        assert "seed" not in server.asked[0].body
        assert server.asked[0].body["reasoning_effort"] == "low"


def test_openai__text_that_cannot_be_encoded_is_mended() -> None:
    """A lone half of a surrogate pair neither stops the request nor gets into the record."""
    with OpenAIServer() as server:
        (done,) = OpenAIBackend("m", base_url=server.base_url).generate(
            [[{"role": "user", "content": "odd \ud83d"}]], Sampling()
        )
        assert done.text == "odd \ufffd"


# -- many at once -----------------------------------------------------------------------------------------------------


def test_openai__rows_run_side_by_side_in_order() -> None:
    """Results come in order; no more than ``concurrency`` requests are on the way at once."""
    talks = [[{"role": "user", "content": f"number {n}"}] for n in range(24)]
    with OpenAIServer(delay=0.05) as server:
        backend = OpenAIBackend("m", base_url=server.base_url, concurrency=6, dialect="openai")
        started = time.perf_counter()
        done = backend.generate(talks, Sampling())
        assert [one.text for one in done] == [f"number {n}" for n in range(24)]
        assert 2 <= server.busiest <= 6
        assert time.perf_counter() - started < 24 * 0.05


def test_openai__a_failing_row_stops_no_other() -> None:
    """Every third request meets something; the others come back whole."""
    met = iter(["garbage", "empty", "400", "cut", "filter"] * 2)
    with OpenAIServer(faults=lambda asked: next(met) if "bad" in asked.prompt else None) as server:
        backend = OpenAIBackend("m", base_url=server.base_url, max_retries=0)
        talks = [[{"role": "user", "content": "bad" if n % 3 == 2 else f"good {n}"}] for n in range(15)]
        done = backend.generate(talks, Sampling())
        assert [one.text for n, one in enumerate(done) if n % 3 != 2] == [f"good {n}" for n in range(15) if n % 3 != 2]
        assert [one.finish_reason for n, one in enumerate(done) if n % 3 == 2] == ["error"] * 5


def test_openai__an_interrupt_does_not_wait_for_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C while a server hangs comes through at once, and no further request is made."""
    with OpenAIServer(faults=lambda asked: "hang") as server:
        backend = OpenAIBackend("m", base_url=server.base_url, concurrency=1, dialect="openai")

        def interrupted(thread: threading.Thread) -> None:
            while not server.asked:
                time.sleep(0.005)
            raise KeyboardInterrupt

        monkeypatch.setattr(threading.Thread, "join", interrupted)
        with pytest.raises(KeyboardInterrupt):
            backend.generate([HI] * 5, Sampling())
        monkeypatch.undo()
        assert len(server.asked) == 1


# -- stop strings -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [None, True])
@pytest.mark.parametrize("dialect", ["openai", "vllm"])
def test_openai__sampled_shows_the_stop_string(dialect: str, stream: bool | None) -> None:
    """The text ends before the stop string and ``sampled`` behind it, also where the server would not say."""
    with OpenAIServer(chain, dialect=dialect) as server:
        backend = OpenAIBackend("m", base_url=server.base_url, stream=stream)
        (done,) = backend.generate([HI], Sampling(stop=("</payoff>", "never")))
        assert (done.text, done.finish_reason) == ("<payoff>{}", "stop")
        assert done.sampled.startswith("<payoff>{}</payoff>")
        assert "more" not in done.sampled
        assert done.token_ids == (ids_of("<payoff>{}</payoff>") if dialect == "vllm" else ())


def test_openai__a_stream_is_closed_at_the_stop_string() -> None:
    """A model that never comes to an end is left as soon as the stop string is there."""
    with OpenAIServer(lambda asked: "one STOP " + "word " * 20_000) as server:
        backend = OpenAIBackend("m", base_url=server.base_url)
        (done,) = backend.generate([HI], Sampling(stop=("STOP",), max_tokens=10**6))
        assert (done.text, done.sampled) == ("one ", "one STOP")
        assert done.seconds < 5


def test_openai__without_a_stream_an_unsaid_ending_is_noted(plain: OpenAIServer) -> None:
    """A server that does not name the stop string leaves a doubt, and the record says so."""
    backend = OpenAIBackend("m", base_url=plain.base_url, stream=False)
    (done,) = backend.generate([HI], Sampling(stop=("</payoff>",)))
    assert (done.text, done.sampled) == ("<payoff>{}", "<payoff>{}")
    assert done.note == "the server does not say whether a stop string ended it"


def test_openai__a_stop_string_across_chunks_is_found() -> None:
    """A stop string that comes in pieces, a sign at a time, is one."""
    with OpenAIServer(lambda asked: "a<<<b>>>c") as server:
        (done,) = OpenAIBackend("m", base_url=server.base_url).generate([HI], Sampling(stop=("<<b>",)))
        assert (done.text, done.sampled) == ("a<", "a<<<b>")


# -- continuations ----------------------------------------------------------------------------------------------------


def test_openai__vllm_goes_on_from_the_very_ids(vllm: OpenAIServer) -> None:
    """The prompt of a continuation is the ids of prompt and completion, then those of the text; nothing is read again."""
    backend = OpenAIBackend("m", base_url=vllm.base_url)
    (first,) = backend.generate([HI], Sampling(stop=("</payoff>",)))
    (then,) = backend.generate([Continuation(after=first, text="\n<analyze>")], Sampling(stop=("</analyze>",)))
    assert then.prompt_ids == first.prompt_ids + first.token_ids + ids_of("\n<analyze>")
    assert tuple(vllm.asked[1].body["prompt"]) == then.prompt_ids
    assert then.prompt == first.prompt + first.sampled + "\n<analyze>"
    assert then.conversation == (*HI, {"role": "assistant", "content": "<payoff>{}</payoff>\n<analyze>"})
    assert then.text == f" after {len(pieces('<payoff>{}</payoff>') + pieces(chr(10) + '<analyze>'))} tokens."


def test_openai__a_continuation_goes_on_twice(vllm: OpenAIServer) -> None:
    """A continuation of a continuation keeps all that was written, once."""
    backend = OpenAIBackend("m", base_url=vllm.base_url)
    (first,) = backend.generate([HI], Sampling(stop=("</payoff>",)))
    (then,) = backend.generate([Continuation(after=first, text=" A")], Sampling(stop=(" tokens",)))
    (last,) = backend.generate([Continuation(after=then, text=" B")], Sampling())
    assert last.conversation[-1]["content"] == first.sampled + " A" + then.sampled + " B"
    assert last.prompt_ids == then.prompt_ids + then.token_ids + ids_of(" B")


def test_openai__an_end_of_text_token_is_not_kept_inside(vllm: OpenAIServer) -> None:
    """A completion that ended by itself goes on without the token that ended it."""
    backend = OpenAIBackend("m", base_url=vllm.base_url)
    ended = Generation(text="4", sampled="4", token_ids=(8, 2), prompt_ids=(5,), conversation=tuple(HI))
    (then,) = backend.generate([Continuation(after=ended)], Sampling())
    assert then.prompt_ids == (5, 8)


def test_openai__a_tokenizer_of_ones_own_reads_the_text(vllm: OpenAIServer) -> None:
    """With a local tokenizer neither counting nor encoding asks the server."""

    class Letters:
        def encode(self, text: str, add_special_tokens: bool = True) -> list[int]:
            return [ord(letter) for letter in text]

    backend = OpenAIBackend("m", base_url=vllm.base_url, tokenizer=Letters())
    after = Generation(text="4", sampled="4.", token_ids=(8,), prompt_ids=(5,), conversation=tuple(HI))
    (then,) = backend.generate([Continuation(after=after, text="ab")], Sampling())
    assert then.prompt_ids == (5, 8, 97, 98)
    assert backend.count_tokens("abcd") == 4


def test_openai__a_server_that_does_not_tell_ids_is_said(plain: OpenAIServer) -> None:
    """Going on from ids takes the ids of the text: without ``/tokenize`` and a tokenizer that is an error of the row."""
    after = Generation(text="4", sampled="4.", token_ids=(8,), prompt_ids=(5,), conversation=tuple(HI))
    other = OpenAIBackend("m", base_url=plain.base_url, prefill="ids", dialect="vllm")
    (then,) = other.generate([Continuation(after=after, text="ab")], Sampling())
    assert then.error.endswith("does not tell the ids of a text: give the backend a tokenizer, or another prefill")
    down = OpenAIBackend("m", base_url="http://127.0.0.1:1/v1", prefill="ids", dialect="vllm", max_retries=0)
    (then,) = down.generate([Continuation(after=after, text="ab")], Sampling())
    assert "is the server running?" in then.error


def test_openai__completions_go_on_from_ids_as_dialogues(vllm: OpenAIServer) -> None:
    """A dialogue that is written out ends where the next turn would begin, in a continuation too."""
    backend = OpenAIBackend("m", base_url=vllm.base_url, api="completions")
    (first,) = backend.generate([HI], Sampling(stop=("</payoff>",)))
    backend.generate([Continuation(after=first)], Sampling())
    assert vllm.asked[1].body["stop"] == ["\nUser:", "\nAssistant:"]
    assert tuple(vllm.asked[1].body["prompt"]) == first.prompt_ids + first.token_ids


def test_openai__what_is_no_failure_of_a_server_is_raised(plain: OpenAIServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """An end of the program that comes up in a worker is not taken for a result."""

    def leave(*_: Any, **__: Any) -> None:
        raise SystemExit(3)

    monkeypatch.setattr(OpenAIBackend, "_ask", leave)
    with pytest.raises(SystemExit):
        OpenAIBackend("m", base_url=plain.base_url).generate([HI] * 3, Sampling())


def test_openai__prefill_vllm_leaves_the_message_open(vllm: OpenAIServer) -> None:
    """With ``prefill="vllm"`` the conversation ends with the assistant's message, and vLLM is told to go on with it."""
    backend = OpenAIBackend("m", base_url=vllm.base_url, prefill="vllm")
    (first,) = backend.generate([HI], Sampling(stop=("</payoff>",)))
    (then,) = backend.generate([Continuation(after=first, text="\n")], Sampling())
    asked = vllm.asked[1].body
    assert asked["messages"] == [*HI, {"role": "assistant", "content": "<payoff>{}</payoff>\n"}]
    assert (asked["continue_final_message"], asked["add_generation_prompt"]) == (True, False)
    assert then.conversation == tuple(asked["messages"])


def test_openai__others_get_a_prefilled_message(plain: OpenAIServer) -> None:
    """A server without such a switch gets the assistant's message as the last one, and nothing else."""
    backend = OpenAIBackend("m", base_url=plain.base_url)
    (first,) = backend.generate([HI], Sampling(stop=("</payoff>",)))
    backend.generate([Continuation(after=first, text="\n<analyze>")], Sampling())
    asked = plain.asked[1].body
    assert asked["messages"][-1] == {"role": "assistant", "content": "<payoff>{}</payoff>\n<analyze>"}
    assert "continue_final_message" not in asked


def test_openai__completions_go_on_by_raw_text(plain: OpenAIServer) -> None:
    """The prompt of a continuation is the earlier prompt and all that stands behind it, to the letter."""
    backend = OpenAIBackend("m", base_url=plain.base_url, api="completions")
    (first,) = backend.generate([HI], Sampling(stop=("</payoff>",)))
    (then,) = backend.generate([Continuation(after=first, text="\n<analyze>\n")], Sampling())
    assert first.prompt.endswith("User: Hi there\nAssistant:")
    assert plain.asked[1].body["prompt"] == then.prompt == first.prompt + first.sampled + "\n<analyze>\n"


def test_openai__completions_write_out_a_continuation_of_unknown_prompt(plain: OpenAIServer) -> None:
    """A completion from elsewhere, with no prompt kept, is written out as a dialogue that ends with it."""
    backend = OpenAIBackend("m", base_url=plain.base_url, api="completions")
    after = Generation(text="Four", sampled="Four.", conversation=tuple(HI))
    (then,) = backend.generate([Continuation(after=after, text=" So")], Sampling())
    assert then.prompt.endswith("User: Hi there\nAssistant: Four. So")


# -- JSON -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dialect", ["openai", "vllm"])
def test_openai__asks_for_a_json_schema(dialect: str) -> None:
    """The schema goes along as ``response_format``; vLLM is sent our grammar, in which white space has no place."""
    with OpenAIServer(dialect=dialect) as server:
        (done,) = OpenAIBackend("m", base_url=server.base_url).generate([HI], Sampling(json_schema=SCHEMA))
        assert json.loads(done.text) == {"user": 1}
        assert ("log-probabilities are those under the JSON schema" in done.note) == (dialect == "vllm")
        if dialect == "vllm":
            assert server.asked[0].body["structured_outputs"] == {"grammar": json_grammar(SCHEMA)}
            assert "response_format" not in server.asked[0].body
            return
        wanted = server.asked[0].body["response_format"]
        assert wanted["type"] == "json_schema"
        assert wanted["json_schema"]["schema"] == json.loads(SCHEMA)


def test_openai__a_server_that_ignores_the_schema_is_found_out() -> None:
    """Text that is no JSON is an error, not a reply."""
    with OpenAIServer(lambda asked: "Sure, here it is") as server:
        (done,) = OpenAIBackend("m", base_url=server.base_url).generate([HI], Sampling(json_schema=SCHEMA))
        assert (done.text, done.finish_reason) == ("", "error")
        assert done.error == "the server did not hold the model to the JSON schema: 'Sure, here it is' is not JSON"
        assert done.sampled == "Sure, here it is"


def test_openai__a_server_that_holds_no_schema_is_asked_for_it_once() -> None:
    """Asked again, the backend says so by itself; one that has held a model once is asked every time."""
    said = iter(['{"user": 1}', "Sure", '{"user": 2}', "Well"])
    with OpenAIServer(lambda asked: next(said)) as server:
        backend = OpenAIBackend("m", base_url=server.base_url)
        texts = [backend.generate([HI], Sampling(json_schema=SCHEMA))[0].text for _ in range(3)]
        assert texts == ['{"user": 1}', "", '{"user": 2}']
        other = OpenAIBackend("m", base_url=server.base_url)
        assert "did not hold" in other.generate([HI], Sampling(json_schema=SCHEMA))[0].error
        assert "does not hold a model to a JSON schema" in other.generate([HI], Sampling(json_schema=SCHEMA))[0].error
        assert len(server.asked) == 4


def test_openai__a_vllm_without_our_grammars_is_sent_the_schema() -> None:
    """A server whose engine reads another kind of grammar refuses ours: the schema goes along instead, then and later."""
    with Refusing("Invalid grammar specification.", "structured_outputs", dialect="vllm") as server:
        backend = OpenAIBackend("m", base_url=server.base_url, max_retries=0)
        made = [backend.generate([HI], Sampling(json_schema=SCHEMA))[0] for _ in range(2)]
        assert [json.loads(one.text) for one in made] == [{"user": 1}] * 2
        assert ["response_format" in asked.body for asked in server.asked] == [False, True, True]


def test_openai__a_model_without_a_chat_template_is_helped_on() -> None:
    """The server's 400 says what is missing; we say what to do."""
    with Refusing("you must provide a chat template", "messages") as server:
        (done,) = OpenAIBackend("m", base_url=server.base_url).generate([HI], Sampling())
        assert done.error.endswith("a model without a chat template needs --backend-option api=completions")


def test_openai__completions_cannot_hold_a_schema_unless_vllm() -> None:
    """OpenAI's completions have no such field: said without asking."""
    with OpenAIServer() as server:
        backend = OpenAIBackend("m", base_url=server.base_url, api="completions")
        (done,) = backend.generate([HI], Sampling(json_schema=SCHEMA))
        assert "may not hold a model to a JSON schema through /completions" in done.error
        assert not server.asked
    with OpenAIServer(dialect="vllm") as server:
        backend = OpenAIBackend("m", base_url=server.base_url, api="completions")
        (done,) = backend.generate([HI], Sampling(json_schema=SCHEMA))
        assert json.loads(done.text) == {"user": 1}


@pytest.mark.parametrize("schema", ["{", "[1]", "null"])
def test_openai__a_schema_that_is_none_is_refused(plain: OpenAIServer, schema: str) -> None:
    """What is no JSON object is the caller's mistake."""
    with pytest.raises(UsageError, match="json_schema: expected the JSON text of a schema"):
        OpenAIBackend("m", base_url=plain.base_url).generate([HI], Sampling(json_schema=schema))


# -- making one -------------------------------------------------------------------------------------------------------


def test_openai__is_found_by_its_spec(plain: OpenAIServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """``openai:MODEL`` makes a backend and an assistant; address and key come from the environment."""
    monkeypatch.setenv("OPENAI_BASE_URL", plain.base_url)
    monkeypatch.setenv("OPENAI_API_KEY", "key-of-mine")
    backend = make_backend("openai:org/m")
    assert isinstance(backend, Backend)
    assert backend.name == "openai:org/m"
    backend.generate([HI], Sampling())
    assert plain.keys == ["key-of-mine"]
    assistant = make_assistant("openai:org/m")
    assistant.reset(seed=0)
    assert assistant.act({}, {"messages": HI}) == CHAIN


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"base_url": "localhost:8000"}, "base_url: expected an address such as http"),
        ({"base_url": ""}, "needs a key or another server: set OPENAI_API_KEY, or OPENAI_BASE_URL"),
        ({"api": "responses"}, "api: expected 'chat' or 'completions', got 'responses'"),
        ({"dialect": "tgi"}, "dialect: expected"),
        ({"prefill": "yes"}, "prefill: expected"),
        ({"stream": 1}, "stream: expected True, False or None, got 1"),
        ({"timeout": 0}, "timeout: expected a number of seconds > 0, got 0"),
        ({"timeout": "long"}, "timeout: expected"),
        ({"max_retries": -1}, "max_retries: expected an integer >= 0"),
        ({"concurrency": 0}, "concurrency: expected an integer >= 1"),
        ({"extra_body": 3}, "extra_body: expected a mapping"),
        ({"tokenizer": 3}, "tokenizer: expected a folder, or an object with encode, got 3"),
    ],
)
def test_openai__says_what_is_wrong_with_an_option(options: dict[str, Any], message: str) -> None:
    """A wrong option ends in one sentence, before anything is asked."""
    with pytest.raises(UsageError, match=re.escape(message)) as caught:
        make_backend("openai:m", **{"base_url": "http://127.0.0.1:1/v1", **options})
    assert "\n" not in str(caught.value)


def test_openai__a_model_has_a_name() -> None:
    """An empty name is refused."""
    with pytest.raises(UsageError, match="model: expected a name"):
        OpenAIBackend(" ", base_url="http://127.0.0.1:1/v1")


def test_openai__reads_a_tokenizer_from_a_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    """A path is read with transformers, from this machine only; one that cannot be read ends in one sentence."""

    class AutoTokenizer:
        @staticmethod
        def from_pretrained(path: str, *, local_files_only: bool) -> Any:
            if path != "some/folder" or not local_files_only:
                raise OSError(f"{path} is not a folder\nand more")
            return AutoTokenizer

        @staticmethod
        def encode(text: str, *, add_special_tokens: bool) -> list[int]:
            return [0] * len(text.split()) + [1] * add_special_tokens

    monkeypatch.setitem(sys.modules, "transformers", SimpleNamespace(AutoTokenizer=AutoTokenizer))
    assert OpenAIBackend("m", base_url="http://127.0.0.1:1/v1", tokenizer=Path("some/folder")).count_tokens("a b") == 2
    with pytest.raises(ModelError, match=r"there is no tokenizer at 'no/such'") as caught:
        OpenAIBackend("m", base_url="http://127.0.0.1:1/v1", tokenizer="no/such")
    assert "\n" not in str(caught.value)


def test_openai__openais_own_server_is_not_asked_what_it_is() -> None:
    """Its dialect is known, and it takes its own name for the limit."""
    backend = OpenAIBackend("gpt-x", api_key="k")
    assert backend.dialect == "openai"
    assert repr(backend) == "OpenAIBackend('gpt-x', base_url='https://api.openai.com/v1')"
    assert backend._limit == "max_completion_tokens"


def test_openai__nothing_to_do_asks_nothing(plain: OpenAIServer) -> None:
    """No conversations, no requests; a malformed one is refused before any."""
    backend = OpenAIBackend("m", base_url=plain.base_url)
    assert backend.generate([], Sampling()) == []
    with pytest.raises(UsageError, match="conversation: expected"):
        backend.generate([HI, []], Sampling())
    assert not plain.asked


def test_openai__a_closed_backend_says_so(plain: OpenAIServer) -> None:
    """After ``close`` there is one sentence, as often as it is asked; copies are the same object."""
    backend = OpenAIBackend("m", base_url=plain.base_url)
    assert copy.deepcopy(backend) is backend
    backend.close()
    backend.close()
    with pytest.raises(ModelError, match="openai:m is closed"):
        backend.generate([HI], Sampling())


@pytest.mark.parametrize(("text", "tokens"), [("", 0), ("What is it?", 3), ("ää", 1), ("\ud800", 1)])
def test_openai__tokens_are_estimated_without_a_tokenizer(text: str, tokens: int) -> None:
    """Four bytes of UTF-8 are a token, rounded up."""
    assert OpenAIBackend("m", base_url="http://127.0.0.1:1/v1").count_tokens(text) == tokens


# -- whole runs -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("right", [True, False])
def test_openai__a_run_goes_on_whatever_happens(
    right: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """``gtalign run`` against a server: the exit code tells whether the key was taken; the key is nowhere."""
    secret, out = "sk-never-to-be-seen-1234", tmp_path / "run.jsonl"
    monkeypatch.setenv("OPENAI_API_KEY", secret)
    with OpenAIServer(lambda asked: "\x1b[2JWhich one do you mean?", api_key=secret if right else "other") as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        arguments = ["gtalign/AssistText-v0", "--assistant", "openai:m", "--episodes", "2", "--option", "questions=1"]
        assert main(["run", *arguments, "--out", str(out)]) == (0 if right else 1)
        assert server.asked
    shown = "".join(capsys.readouterr())
    assert secret not in shown + out.read_text()
    assert "\x1b[2J" not in shown
    assert ("refused the API key (401)" in shown) != right
    if right:
        assert main(["replay", str(out)]) == 0
        assert "\x1b[2J" not in capsys.readouterr().out
