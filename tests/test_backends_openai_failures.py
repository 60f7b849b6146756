"""What can go wrong between us and a server: one sentence each, retried where that may help, and no key in any of them."""

from __future__ import annotations

import dataclasses
import json
import socket
import time
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest

from gtalign_env.agents.backends import openai
from gtalign_env.agents.backends.openai import OpenAIBackend
from gtalign_env.agents.backends.openai_failures import (
    BrokenReplyError,
    Endpoint,
    backoff,
    explain,
    retry_after,
    told,
)
from gtalign_env.agents.backends.openai_reply import Reply, events, read_json
from gtalign_env.agents.backends.prompts import NOTHING
from gtalign_env.protocols import Generation, Sampling
from gtalign_env.testing.openai_server import OpenAIServer

pytest.importorskip("openai")

HI = [{"role": "user", "content": "Hi there"}]
KEY = "sk-very-secret-key-1234567890"
PLACE = Endpoint(url="http://localhost:1/v1", model="m", timeout=2.0, secrets=(KEY,))


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The waits between attempts, none of which is waited here."""
    waited: list[float] = []
    monkeypatch.setattr(openai, "_wait", waited.append)
    return waited


def ask(server: OpenAIServer, sampling: Sampling | None = None, **options: Any) -> Generation:
    """Ask once."""
    backend = OpenAIBackend("m", base_url=server.base_url, **{"dialect": "openai", **options})
    (done,) = backend.generate([HI], sampling or Sampling())
    backend.close()
    return done


def failed(done: Generation, reason: str) -> bool:
    """Whether it is a typed failure for this reason, in one sentence that is safe to print."""
    assert reason in done.error, done.error
    assert (done.text, done.finish_reason) == ("", "error")
    assert done.error.isprintable()
    return KEY not in repr(done)


# -- what passes ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("fault", ["429", "500", "502", "503", "408", "drop", "error_event", "cut"])
def test_openai__asks_again_after_what_may_pass(fault: str, stream: bool, waits: list[float]) -> None:
    """A busy server, a failure of its own, a broken connection, a stream that breaks off: the next attempt brings the reply."""
    with OpenAIServer(faults=[fault, fault, None]) as server:
        assert ask(server, stream=stream).text == "Hi there"
        assert len(server.asked) == 3
    assert 0.25 <= waits[0] <= 0.5 <= waits[1] <= 1.0


def test_openai__waits_as_long_as_the_server_asks(waits: list[float]) -> None:
    """``Retry-After`` is the least that is waited."""
    with OpenAIServer(faults=["429:3.5"]) as server:
        assert ask(server).text == "Hi there"
    assert 3.5 <= waits[0] <= 3.6


def test_openai__does_not_wait_for_an_hour(waits: list[float]) -> None:
    """A server that asks for more than a minute is not waited for, and the reason says so."""
    with OpenAIServer(faults=["429:3600"]) as server:
        assert failed(ask(server), "is too busy (429): status 429, as planned; it asks to wait 3600 seconds")
    assert not waits


def test_openai__gives_up_after_so_many_attempts(waits: list[float]) -> None:
    """A server that goes on failing is an error that says how often it was asked."""
    with OpenAIServer(faults=["503"] * 9) as server:
        assert failed(ask(server, max_retries=2), "failed (503): status 503, as planned (tried 3 times)")
        assert len(server.asked) == 3
    assert len(waits) == 2


def test_openai__the_jitter_follows_from_the_seed(waits: list[float]) -> None:
    """Equal seeds wait equally, others otherwise; nothing global is drawn from."""
    for seed in (1, 1, 2):
        with OpenAIServer(faults=["500"]) as server:
            ask(server, Sampling(seed=seed))
    assert waits[0] == waits[1] != waits[2]


def test_openai__a_slow_server_is_left(waits: list[float]) -> None:
    """No answer within the time-out, streamed or not: asked again, then an error."""
    with OpenAIServer(faults=lambda asked: "hang") as server:
        assert failed(ask(server, timeout=0.2, max_retries=1), "within 0.2 seconds (tried 2 times)")
        assert len(server.asked) == 2


@pytest.mark.parametrize("stream", [False, True])
def test_openai__an_answer_that_drips_is_left(stream: bool) -> None:
    """A byte now and then keeps a connection alive, but not longer than the time-out."""
    with OpenAIServer(faults=["drip"]) as server:
        done = ask(server, Sampling(max_tokens=10**5), timeout=0.3, max_retries=0, stream=stream)
        assert failed(done, "no answer from http://127.0.0.1")
        assert done.seconds < 2


def test_openai__a_stream_is_read_as_it_comes() -> None:
    """What is there is seen at once, though the rest takes for ever."""
    with OpenAIServer(lambda asked: "one STOP two", faults=["drip"]) as server:
        done = ask(server, Sampling(stop=("STOP",)), timeout=20.0)
        assert (done.text, done.sampled, done.finish_reason) == ("one ", "one STOP", "stop")
        assert done.note.startswith("first token after 0.")
        assert done.seconds < 5


def test_openai__an_endpoint_that_is_down_is_said() -> None:
    """Nobody listens there: a sentence with the address, for every row."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    backend = OpenAIBackend("m", base_url=f"http://127.0.0.1:{port}/v1", max_retries=1)
    done = backend.generate([HI, HI], Sampling())
    for one in done:
        assert failed(one, f"no connection to http://127.0.0.1:{port}/v1: ")
        assert one.error.endswith("is the server running? (tried 2 times)")
        assert one.conversation == tuple(HI)


def test_openai__a_server_that_comes_up_is_found_out_then() -> None:
    """A server that was busy when it was asked what it is, is asked again."""
    with OpenAIServer(dialect="vllm") as server:
        backend = OpenAIBackend("m", base_url=server.base_url, max_retries=0)
        place = backend._place
        backend._client = backend._client.with_options(base_url="http://127.0.0.1:1/v1")
        assert backend.generate([HI], Sampling())[0].error
        assert (backend.dialect, backend._place) == ("auto", place)
        backend._client = backend._client.with_options(base_url=server.base_url)
        assert backend.generate([HI], Sampling())[0].token_ids
        assert backend.dialect == "vllm"


# -- what does not ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("garbage", "answered a web page ('Bad gateway'), as a proxy or a wrong address does"),
        ("empty", "answered without a completion: its list of choices is empty"),
        ("filter", "the server's content filter stopped the completion"),
        ("400", "refused the request (400): status 400, as planned"),
        ("403", "does not let this API key in (403)"),
        ("501", "failed (501)"),
    ],
)
def test_openai__does_not_ask_again_in_vain(fault: str, reason: str, stream: bool, waits: list[float]) -> None:
    """What will not change is said at once."""
    with OpenAIServer(faults=[fault]) as server:
        done = ask(server, stream=stream)
        assert failed(done, reason)
        assert len(server.asked) == 1
    assert not waits


def test_openai__a_wrong_key_is_final_and_stays_secret(waits: list[float]) -> None:
    """401 is not asked again; the key, which the server repeats, is in no error, record or repr."""
    with OpenAIServer(api_key="right") as server:
        backend = OpenAIBackend("m", base_url=server.base_url, api_key=KEY)
        (done,) = backend.generate([HI], Sampling())
        assert failed(done, "refused the API key (401): set OPENAI_API_KEY or api_key to a key that it takes")
        assert server.keys == [KEY]
        assert KEY not in repr(backend) + repr(backend._place) + str(vars(done) if hasattr(done, "__dict__") else done)
        assert KEY not in json.dumps(dataclasses.asdict(done))
    assert not waits


def test_openai__a_key_that_a_server_repeats_is_taken_out() -> None:
    """Whatever else a server says, the key in it is replaced."""
    with OpenAIServer(models=[KEY]) as server:
        backend = OpenAIBackend(f"{KEY}x", base_url=server.base_url, api_key=KEY)
        (done,) = backend.generate([HI], Sampling())
    assert failed(done, "knows no model '[key]x' (404): The model `[key]x` does not exist.")


def test_openai__an_unknown_model_is_named() -> None:
    """404 with the model's name, and what the server says."""
    with OpenAIServer(models=["other"]) as server:
        assert failed(ask(server), "knows no model 'm' (404): The model `m` does not exist.")


def test_openai__a_wrong_address_is_said() -> None:
    """A server without this API at this address."""
    with OpenAIServer() as server:
        done = OpenAIBackend("m", base_url=server.base_url.removesuffix("/v1")).generate([HI], Sampling())[0]
        assert failed(
            done, "has nothing at this address for the model 'm' (404): there is nothing at /chat/completions"
        )


def test_openai__a_prompt_longer_than_the_context_is_said() -> None:
    """The model's context, in the server's words."""
    with OpenAIServer(context=10) as server:
        assert failed(ask(server), "the prompt is longer than the context of 'm' (400): This model's maximum context")


# -- odd output -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True])
def test_openai__a_hundred_thousand_characters_are_cut(stream: bool) -> None:
    """A server that ignores the limit does not fill the records: 4096 + 64 characters per token are kept."""
    with OpenAIServer(faults=["huge"]) as server:
        done = ask(server, Sampling(max_tokens=100), stream=stream)
        assert (len(done.text), done.finish_reason, done.error) == (4096 + 6400, "length", "")
        assert "for max_tokens=100: cut at 10496" in done.note


def test_openai__a_hundred_thousand_characters_that_were_asked_for_are_kept() -> None:
    """With room for it, a long text comes back whole."""
    with OpenAIServer(faults=["huge"]) as server:
        assert len(ask(server, Sampling(max_tokens=30_000)).text) == 100_000


@pytest.mark.parametrize("stream", [False, True])
def test_openai__a_stop_string_that_never_comes_ends_at_the_limit(stream: bool) -> None:
    """The completion ends with its tokens, and says so."""
    with OpenAIServer(lambda asked: "on and on " * 500) as server:
        done = ask(server, Sampling(max_tokens=20, stop=("</payoff>",)), stream=stream)
        assert (done.text, done.finish_reason) == (("on and on " * 500)[: len(done.text)], "length")
        assert done.text.split() == ("on and on " * 7).split()[:20]


def test_openai__escapes_stay_in_the_text_and_out_of_errors() -> None:
    """Model text is data, kept as it is; what comes into an error is safe to print."""
    with OpenAIServer(faults=["ansi"]) as server:
        assert ask(server).text.startswith("\x1b[2J\x1b[31mred")
    with OpenAIServer(faults=["ansi"]) as server:
        done = ask(server, Sampling(json_schema="{}"))
        assert failed(done, "'red done' is not JSON")


@pytest.mark.parametrize("stream", [False, True])
def test_openai__a_silent_model_is_told_from_a_broken_one(stream: bool) -> None:
    """Nothing written is the failure that every backend calls by the same name."""
    with OpenAIServer(faults=["silent"]) as server:
        assert ask(server, stream=stream).error == NOTHING


def reply_of(choice: dict[str, Any], **rest: Any) -> Reply:
    """A reply of one body."""
    reply = Reply()
    reply.add({"choices": [choice], **rest})
    return reply


@pytest.mark.parametrize(
    ("choice", "error"),
    [
        ({"message": {"content": None, "refusal": "I won't."}}, "the model refused: I won't."),
        ({"message": {"content": "x"}, "finish_reason": "abort"}, "the server ended the completion with 'abort'"),
        ({"message": {"content": None, "tool_calls": [{}]}, "finish_reason": "tool_calls"}, "'tool_calls'"),
        ({"message": {"content": None, "reasoning": "hm"}}, NOTHING),
    ],
)
def test_openai__an_answer_that_is_no_reply_is_an_error(choice: dict[str, Any], error: str) -> None:
    """Refusals, tool calls, aborted completions, and reasoning with nothing after it."""
    done = generation({"finish_reason": "stop", **choice})
    assert error in done.error
    assert done.text == ""
    assert done.note == ("the server held back what the model reasoned" if error == NOTHING else "")


def generation(choice: dict[str, Any], **rest: Any) -> Generation:
    """What becomes of one choice."""
    from gtalign_env.agents.backends.openai_reply import to_generation
    from gtalign_env.agents.backends.openai_request import chat_request

    request = chat_request(HI, Sampling(stop=("END",)), resume=False)
    return to_generation(reply_of(choice, **rest), request, Sampling(), notes=(), seconds=0.0)


def test_openai__takes_what_servers_say_in_their_own_ways() -> None:
    """Content in parts, other words for an end, a stop string that is named, odd numbers of log-probabilities."""
    parts = generation({"message": {"content": [{"type": "text", "text": "a"}, {"text": "b"}]}, "finish_reason": "eos"})
    assert (parts.text, parts.finish_reason) == ("ab", "stop")
    named = generation({"message": {"content": "a "}, "finish_reason": "stop", "matched_stop": "END"})
    assert (named.text, named.sampled) == ("a ", "a END")
    logprobs = {"content": [{"token": "a", "logprob": -0.5}]}
    odd = generation({"text": "a b", "finish_reason": "length", "token_ids": [1, 2], "logprobs": logprobs})
    assert (odd.token_ids, odd.logprobs, odd.finish_reason) == ((1, 2), (), "length")
    assert odd.note == "left out 1 log-probabilities that came for 2 tokens"
    counted = generation({"text": "a", "finish_reason": "stop"}, usage={"prompt_tokens": 7, "completion_tokens": 1})
    assert counted.prompt_tokens == 7


@pytest.mark.parametrize(
    "chunk",
    [
        {},
        {"choices": None},
        {"choices": ["text"]},
        {"choices": [{"message": {"content": 3}}]},
        {"choices": [{"text": "a", "token_ids": ["x"]}]},
        {"choices": [{"text": "a", "logprobs": {"content": [{}]}}]},
        {"choices": [{"text": "a"}], "usage": 5},
        {"error": "died"},
        {"error": {"message": "died"}},
    ],
)
def test_reply__refuses_what_is_not_of_the_agreed_form(chunk: dict[str, Any]) -> None:
    """JSON of any other form is one kind of error."""
    with pytest.raises(BrokenReplyError):
        Reply().add(chunk)


@pytest.mark.parametrize("data", [b"", b"[]", b"3", b"\xff\xfe", b"[" * 100_000, b'{"a": '])
def test_read_json__refuses_what_is_no_object(data: bytes) -> None:
    """Bytes that are anything else."""
    with pytest.raises(BrokenReplyError, match="not a JSON object"):
        read_json(data)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_events__do_not_depend_on_how_bytes_are_cut(size: int) -> None:
    """The same events from chunks of any size, with comments, other fields, both kinds of line end, and no last newline."""
    data = b': ping\r\nevent: x\r\ndata: {"a": "\xc3\xa4"}\r\n\r\ndata:{"b": 2}\n\ndata:\n\ndata: {"c": 3}'
    cut: Iterable[bytes] = [data[start : start + size] for start in range(0, len(data), size)]
    assert list(events(cut)) == [{"a": "ä"}, {"b": 2}, {"c": 3}]


PAGE = b"<!DOCTYPE html>\n<html><head><title>502 Bad gateway</title></head>\n<body>\x1b[31mnginx</body></html>"


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (PAGE, "a web page ('502 Bad gateway nginx'), as a proxy or a wrong address does"),
        (b"data: " + PAGE.replace(b"\n", b" ") + b"\n\n", "a web page ('502 Bad gateway nginx'), as a proxy"),
        (b"<html><style>body {}</style></html>", "a web page, as a proxy or a wrong address does"),
        (b"busy, come back later\n" * 500, "something that is no stream of events: 'busy, come back later busy"),
        (b"data: busy\n\n", "something that is not a JSON object: 'busy'"),
        (b"data: {1: 2}\n\n", "something that is not a JSON object: '{1: 2}'"),
    ],
)
@pytest.mark.parametrize("size", [5, 100_000])
def test_events__what_is_no_stream_of_events_is_said(data: bytes, said: str, size: int) -> None:
    """A proxy's page and other garbage is called what it is, in a sentence that can be printed, and not asked for again."""
    cut = [data[start : start + size] for start in range(0, len(data), size)]
    with pytest.raises(BrokenReplyError) as caught:
        list(events(cut))
    assert str(caught.value).startswith(f"answered {said}")
    assert str(caught.value).isprintable()
    assert not caught.value.again


def test_events__stray_lines_beside_events_are_overlooked() -> None:
    """What is no event does no harm where there are events, or comments alone; there it is just no completion."""
    assert list(events([b"hello\n", b'data: {"a": 1}\n\n', b"<html>"])) == [{"a": 1}]
    assert list(events([b": ping\n\n: ping\nid: 3\n\n"])) == []


def test_events__a_line_without_an_end_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream that never breaks a line does not fill the memory."""
    monkeypatch.setattr("gtalign_env.agents.backends.openai_reply.MOST_BYTES", 100)
    with pytest.raises(BrokenReplyError, match="a line that does not end"):
        list(events([b"x" * 60] * 1000))


def test_openai__a_body_without_an_end_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """A body larger than any sane completion is not read to its end."""
    monkeypatch.setattr("gtalign_env.agents.backends.openai.MOST_BYTES", 1 << 10)
    with OpenAIServer(faults=["huge"]) as server:
        assert failed(ask(server, stream=False), "sent more than 0 MiB")


# -- explaining -------------------------------------------------------------------------------------------------------


class StatusError(Exception):
    """An error as the official client raises it, by its attributes."""

    def __init__(self, status: int, body: object, **headers: str) -> None:
        self.status_code, self.body = status, body
        self.response = type("Response", (), {"headers": headers})()


@pytest.mark.parametrize(
    ("error", "sentence", "again"),
    [
        (
            StatusError(429, {"code": "insufficient_quota", "message": "Pay."}),
            "says that the quota is used up (429): Pay.",
            False,
        ),
        (StatusError(400, {"code": "content_filter", "message": "No."}), "refused the prompt (400): No.", False),
        (StatusError(400, {"message": "maximum context length is 8"}), "longer than the context of 'm' (400)", False),
        (StatusError(413, {"detail": "prompt is too long"}), "longer than the context of 'm' (413)", False),
        (StatusError(422, {"error": {"message": "bad field"}}), "refused the request (422): bad field", False),
        (StatusError(500, "<html>oops</html>"), "http://localhost:1/v1 failed (500)", True),
        (StatusError(500, "oops\x1b[31m\nhere"), "failed (500): oops here", True),
        (StatusError(502, None), "failed (502)", True),
        (ConnectionResetError("reset by peer"), "no connection to http://localhost:1/v1: reset by peer", True),
        (RuntimeError("odd"), "asking http://localhost:1/v1 failed: RuntimeError: odd", False),
        (RuntimeError(f"key {KEY}"), "RuntimeError: key [key]", False),
    ],
)
def test_explain__says_what_it_was(error: Exception, sentence: str, again: bool) -> None:
    """Each kind of failure has its sentence, and is retried or not."""
    failure = explain(error, PLACE)
    assert sentence in failure.sentence
    assert failure.again is again
    assert "<html" not in failure.sentence


def test_explain__hands_on_what_the_server_asks_for() -> None:
    """The wait comes from the headers, for what is asked again only."""
    assert explain(StatusError(429, None, **{"retry-after": "7"}), PLACE).wait == 7.0
    assert explain(StatusError(400, None, **{"retry-after": "7"}), PLACE).wait is None


def test_endpoint__hides_what_is_secret_in_an_address() -> None:
    """A user's name and password in the address are never shown; the password is taken out of texts."""
    place = Endpoint(url="https://me:hunter2@host/v1?token=abc", model="m", timeout=1.0)
    assert place.shown == "https://host/v1"
    assert "hunter2" not in repr(place)
    assert place.redacted("hunter2 and token=abc") == "[key] and [key]"


@pytest.mark.parametrize(("text", "seconds"), [("2", 2.0), ("-1", 0.0), ("nan", None), ("inf", None), ("", None)])
def test_retry_after__reads_seconds(text: str, seconds: float | None) -> None:
    """Only finite numbers count; a negative one means now."""
    assert retry_after({"retry-after": text}) == seconds


def test_retry_after__reads_dates_and_prefers_milliseconds() -> None:
    """A date is counted from now; ``retry-after-ms`` is finer and comes first, if it can be read."""
    import email.utils

    later = email.utils.formatdate(time.time() + 30, usegmt=True)
    found = retry_after({"retry-after": later})
    assert found is not None
    assert 27 <= found <= 30
    assert retry_after({"retry-after-ms": "1500", "retry-after": "9"}) == 1.5
    assert retry_after({"retry-after-ms": "soon", "retry-after": "9"}) == 9.0
    assert retry_after({}) is None


def test_backoff__doubles_up_to_eight_seconds() -> None:
    """0.5, 1, 2, 4, 8, 8, …: between half and the whole of each."""
    rng = np.random.default_rng(0)
    for attempt, most in enumerate([0.5, 1, 2, 4, 8, 8, 8]):
        waits = [backoff(attempt, rng) for _ in range(50)]
        assert most / 2 <= min(waits) < max(waits) <= most


def test_told__is_one_short_line() -> None:
    """What servers say is cut and cleaned."""
    assert told("a\x1b[2J\nb\x00") == "a b"
    assert len(told("word " * 10_000)) <= 201
