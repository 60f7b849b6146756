"""The loopback server: the official client, other clients, and misbehaviour on demand."""

from __future__ import annotations

import http.client
import json
import socket
import struct
import time
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import urlsplit

import pytest

from gtalign_env.errors import UsageError
from gtalign_env.testing.openai_forms import instance, pieces, token_id
from gtalign_env.testing.openai_server import FAULTS, OpenAIServer

openai = pytest.importorskip("openai")

HI: list[Any] = [{"role": "user", "content": "How far is it?"}]


def client(server: OpenAIServer, **options: Any) -> Any:
    """The official client, as its users make it."""
    return openai.OpenAI(**{"base_url": server.base_url, "api_key": "any", "max_retries": 0, **options})


def post(server: OpenAIServer, path: str, data: bytes) -> tuple[int, Any]:
    """Send raw bytes."""
    place = urlsplit(server.base_url)
    line = http.client.HTTPConnection(place.hostname or "", place.port, timeout=10)
    line.request("POST", path, body=data, headers={"Content-Type": "application/json"})
    response = line.getresponse()
    answer = response.status, json.loads(response.read())
    line.close()
    return answer


def test_openai_server__the_official_client_chats() -> None:
    """Chat and completions, the list of models, and usage, through the official package."""
    with OpenAIServer(models=["tiny", "other"]) as server, client(server) as official:
        assert [model.id for model in official.models.list()] == ["tiny", "other"]
        chat = official.chat.completions.create(model="tiny", messages=HI, max_tokens=50)
        assert chat.choices[0].message.content == "How far is it?"
        assert chat.choices[0].finish_reason == "stop"
        assert chat.usage.completion_tokens == 5
        plain = official.completions.create(model="tiny", prompt="User: Hi\nAssistant:", max_tokens=50)
        assert plain.choices[0].text == "Hi"
        with pytest.raises(openai.NotFoundError, match="does not exist"):
            official.chat.completions.create(model="huge", messages=HI)


def test_openai_server__the_official_client_streams() -> None:
    """Chunks add up to the text; the last one has the usage that was asked for."""
    with OpenAIServer() as server, client(server) as official:
        stream = official.chat.completions.create(
            model="m", messages=HI, max_tokens=50, stream=True, stream_options={"include_usage": True}
        )
        chunks = list(stream)
        assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == "How far is it?"
        assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "stop"
        assert chunks[-1].usage.completion_tokens == 5
        words = official.completions.create(model="m", prompt="Hi there", max_tokens=1, stream=True)
        assert [(c.choices[0].text, c.choices[0].finish_reason) for c in words] == [("Hi", None), ("", "length")]


def test_openai_server__the_official_client_gets_structured_output() -> None:
    """A JSON schema is answered with a value that fits."""
    schema = {"type": "object", "properties": {"a": {"type": "integer", "minimum": 3}, "b": {"type": "string"}}}
    wanted: Any = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    with OpenAIServer() as server, client(server) as official:
        chat = official.chat.completions.create(model="m", messages=HI, max_tokens=99, response_format=wanted)
        assert json.loads(chat.choices[0].message.content) == {"a": 3, "b": ""}


def test_openai_server__the_official_client_meets_faults() -> None:
    """Each status is the official client's own exception; with retries it comes through."""
    with OpenAIServer(faults=["429", "500", "401", "drop"]) as server, client(server) as official:
        for error in (
            openai.RateLimitError,
            openai.InternalServerError,
            openai.AuthenticationError,
            openai.APIConnectionError,
        ):
            with pytest.raises(error):
                official.chat.completions.create(model="m", messages=HI)
    with OpenAIServer(faults=["429:0.01", "500"]) as server, client(server, max_retries=3) as official:
        assert official.chat.completions.create(model="m", messages=HI, max_tokens=9).choices[0].message.content
        assert len(server.asked) == 3


def test_openai_server__says_what_vllm_says() -> None:
    """In vLLM's dialect: who owns the model, ids, log-probabilities, the stop string, ids as a prompt, ``/tokenize``."""
    with OpenAIServer(lambda asked: "so far STOP", dialect="vllm") as server, client(server) as official:
        assert next(iter(official.models.list())).owned_by == "vllm"
        extra = {"return_token_ids": True, "return_prompt_text": True, "include_stop_str_in_output": True}
        chat = official.chat.completions.create(
            model="m", messages=HI, max_tokens=9, stop=["STOP"], logprobs=True, extra_body=extra
        )
        choice = chat.choices[0].model_dump()
        assert (choice["message"]["content"], choice["stop_reason"]) == ("so far STOP", "STOP")
        assert choice["token_ids"] == [token_id(piece) for piece in pieces("so far STOP")]
        assert [entry["logprob"] for entry in choice["logprobs"]["content"]] == [-1.0] * 3
        found = chat.model_dump()
        assert found["prompt_text"] == "user: How far is it?\nassistant:"
        status, words = post(server, "/tokenize", json.dumps({"prompt": "so far"}).encode())
        assert (status, words["tokens"]) == (200, [token_id("so"), token_id(" far")])
        official.completions.create(model="m", prompt=[*found["prompt_token_ids"], *choice["token_ids"]])
        assert server.asked[-1].prompt == "user: How far is it?\nassistant:so far STOP"


def test_openai_server__refuses_what_a_server_refuses() -> None:
    """No JSON, nothing to say, nowhere, a prompt that is too long, a wrong key."""
    with OpenAIServer(context=30, api_key="right") as server:
        assert post(server, "/v1/chat/completions", b"{")[0] == 400
        assert post(server, "/v1/nowhere", b"{}")[0] == 404
        assert post(server, "/tokenize", b'{"prompt": ""}')[0] == 404  # that is vLLM's
        with pytest.raises(urllib.error.HTTPError, match="404") as caught:
            urllib.request.urlopen(server.base_url + "/nowhere")
        caught.value.close()
        with client(server, api_key="right") as official:
            with pytest.raises(openai.BadRequestError, match="maximum context length is 30"):
                official.completions.create(model="m", prompt="word " * 40)
            with pytest.raises(openai.BadRequestError, match="expected at least one"):
                official.completions.create(model="m", prompt="")
        with client(server, api_key="wrong") as official, pytest.raises(openai.AuthenticationError):
            official.completions.create(model="m", prompt="a")
        assert server.keys == ["right", "right", "wrong"]


@pytest.mark.parametrize("fault", ["hangs", "700", "99", "429:soon", ""])
def test_openai_server__refuses_a_fault_that_it_does_not_know(fault: str) -> None:
    """A typo in a plan of faults would otherwise pass for a test."""
    if not fault:
        with OpenAIServer(faults=[None, "hang:0.1", "503", "429:2", *[name for name in FAULTS if name.isidentifier()]]):
            return
    with pytest.raises(UsageError, match="expected one of 400"):
        OpenAIServer(faults=[fault])


def test_openai_server__says_nothing_of_a_client_that_goes_away(capfd: pytest.CaptureFixture[str]) -> None:
    """A connection that is reset in the middle of a request leaves no traceback; any other error does."""
    with OpenAIServer() as server:
        place = urlsplit(server.base_url)
        with socket.create_connection((place.hostname, place.port)) as gone:
            gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            gone.sendall(b"POST /v1/chat/compl")
            time.sleep(0.1)
        time.sleep(0.2)
        assert capfd.readouterr().err == ""
        try:
            raise ValueError("a fault of the server's own")
        except ValueError:
            server._http.handle_error(None, ("127.0.0.1", 1))
        assert "a fault of the server's own" in capfd.readouterr().err


def test_openai_server__a_hang_may_end() -> None:
    """``hang:0.1`` is an answer after a tenth of a second."""
    with OpenAIServer(faults=["hang:0.1"]) as server, client(server) as official:
        assert official.completions.create(model="m", prompt="a").choices[0].text == "a"


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"const": 4}, 4),
        ({"enum": ["a", "b"]}, "a"),
        ({"type": "array", "items": {"type": "boolean"}, "minItems": 2}, [False, False]),
        ({"type": "string", "minLength": 2}, "xx"),
        ({"type": "number", "maximum": -2}, -2),
        ({"type": "null"}, None),
        ({"properties": {"a": {"type": "integer"}}}, {"a": 0}),
    ],
)
def test_instance__fits_the_schema(schema: dict[str, Any], value: Any) -> None:
    """A small value of each kind."""
    assert instance(schema) == value
