"""The backend on a server that speaks OpenAI's API: OpenAI's own, vLLM's (``gtalign serve``), llama.cpp's, and many more.

What holds:

* Requests run side by side, at most ``concurrency`` at once; results come in order. One that fails comes back with
  ``finish_reason="error"`` and one sentence, and never stops the others.
* What may pass (a busy server, a time-out, a broken connection; ``openai_failures``) is asked again, with waits that
  double, or as long as ``Retry-After`` says. A wrong key, an unknown model and a prompt that is too long are final.
* A row's seed follows from the call's seed and the conversation; whether a server heeds it is the server's business.
* Keys are in no record, no error and no ``repr``.

Servers differ in what they tell. With vLLM (found out by asking ``/models``, or said with ``dialect="vllm"``) a
generation has token ids and log-probabilities (under a JSON schema, those of the choices that it leaves), and a
``Continuation`` goes on from the very ids, through ``/completions``. With others both are empty, and a continuation
prefills the assistant's message: the conversation ends with it, and it is up to the server to go on with it (many do;
OpenAI's own begins a new message).

Where stop strings are asked for, others than vLLM do not say which one ended a text, or whether it just ended. So the
answer is read as a stream there, and the stream closed at the stop string; ``sampled`` then shows it.

What players write is sent as it is: a server that reads control tokens in the text of a message has to see to that.
"""

from __future__ import annotations

import math
import os
import re
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import numpy as np

from gtalign_env.agents.backends.openai_failures import MAX_WAIT, BrokenReplyError, Endpoint, Failure, backoff, explain
from gtalign_env.agents.backends.openai_reply import (
    MOST_BYTES,
    UNHELD,
    Reply,
    events,
    read_json,
    read_stream,
    to_generation,
)
from gtalign_env.agents.backends.openai_request import (
    Request,
    chat_request,
    check_schema,
    ids_request,
    plain_request,
    row_seeds,
    settings,
)
from gtalign_env.agents.backends.prompts import PLAIN_STOPS, check_conversation
from gtalign_env.errors import ModelError, UsageError, require
from gtalign_env.protocols import Continuation, Conversation, Generation, Sampling

__all__ = ["OpenAIBackend"]

_OFFICIAL = "https://api.openai.com/v1"
_FEATURE = "the openai backend"
_CONNECT_SECONDS = 10.0
_BYTES_PER_TOKEN = 4
_ABOUT_FORM = re.compile(r"grammar|structured|guided|response_format|json_schema", re.IGNORECASE)
"""How a server says that it takes no schema, or none in this form."""
_wait = time.sleep  # a name of its own: tests need not wait, and nobody else's sleep is theirs


class OpenAIBackend:
    """Continues conversations on a server.

    Args:
        model: The model's name, as the server knows it.
        base_url: Where the server is, e.g. ``"http://127.0.0.1:8000/v1"``; else ``OPENAI_BASE_URL``, else OpenAI's own.
        api_key: The key; else ``OPENAI_API_KEY``. Other servers than OpenAI's may need none.
        api: ``"chat"``, or ``"completions"``: the conversation is written out as a dialogue, for models without a
            chat template.
        dialect: ``"openai"``, ``"vllm"``, or ``"auto"``: asks the server's ``/models`` once.
        prefill: How a ``Continuation`` is put to the server: ``"message"`` (the conversation ends with the assistant's
            message), ``"vllm"`` (the same, and vLLM is told to leave it open), ``"ids"`` (from the very token ids, on a
            server that takes these; where they are not known, as ``"vllm"``). ``None``: ``"ids"`` with vLLM, else
            ``"message"``. With ``api="completions"``, both of the former mean the raw text.
        stream: Whether to read answers as they are written; ``None``: only where it takes that to see stop strings.
        timeout: Most seconds for one attempt (> 0).
        max_retries: Most further attempts after one that failed (>= 0).
        concurrency: Most requests at once (>= 1).
        tokenizer: A folder with a Hugging Face tokenizer, or an object with ``encode``, to count and encode with.
            Without one, a token is taken for four bytes of UTF-8, which is about right for English.
        extra_body: Further fields of every request; ``None`` as a value takes a field out, e.g. ``{"top_p": None}``.

    Raises:
        MissingExtraError: The package ``openai`` is not installed.
        UsageError: An argument is not what it should be, or there is no key for OpenAI's own server.

    Example:
        >>> from gtalign_env.testing.openai_server import OpenAIServer
        >>> with OpenAIServer() as server:
        ...     backend = OpenAIBackend("echo", base_url=server.base_url)
        ...     backend.generate([[{"role": "user", "content": "Hi there"}]], Sampling())[0].text
        'Hi there'
    """

    def __init__(
        self,
        model: str,
        *,
        base_url: str | None = None,
        api_key: str | None = None,
        api: str = "chat",
        dialect: str = "auto",
        prefill: str | None = None,
        stream: bool | None = None,
        timeout: float = 300.0,
        max_retries: int = 4,
        concurrency: int = 16,
        tokenizer: Any = None,
        extra_body: Mapping[str, Any] | None = None,
    ) -> None:
        _check(
            model=(isinstance(model, str) and model.strip() != "", "a name", model),
            api=(api in ("chat", "completions"), "'chat' or 'completions'", api),
            dialect=(dialect in ("auto", "openai", "vllm"), "'auto', 'openai' or 'vllm'", dialect),
            prefill=(prefill in (None, "message", "vllm", "ids"), "'message', 'vllm', 'ids' or None", prefill),
            stream=(stream is None or isinstance(stream, bool), "True, False or None", stream),
            timeout=(_is_number(timeout) and 0 < timeout < math.inf, "a number of seconds > 0", timeout),
            max_retries=(_is_whole(max_retries) and max_retries >= 0, "an integer >= 0", max_retries),
            concurrency=(_is_whole(concurrency) and concurrency >= 1, "an integer >= 1", concurrency),
            extra_body=(extra_body is None or isinstance(extra_body, Mapping), "a mapping", extra_body),
        )
        url = _address(base_url or os.environ.get("OPENAI_BASE_URL") or _OFFICIAL)
        key = api_key or os.environ.get("OPENAI_API_KEY") or ""
        official = urlsplit(url).hostname == urlsplit(_OFFICIAL).hostname
        if official and not key:
            raise UsageError(
                f"openai:{model} needs a key or another server: set OPENAI_API_KEY, or OPENAI_BASE_URL to the server's "
                "address, e.g. http://127.0.0.1:8000/v1 ('gtalign serve' starts one)"
            )
        self.name = f"openai:{model}"
        self.model = model
        self.api = api
        self.dialect = "openai" if official and dialect == "auto" else dialect
        self.prefill = prefill
        self.stream = stream
        self.max_retries = max_retries
        self.concurrency = concurrency
        self.tokenizer = _tokenizer(tokenizer)
        self.extra_body = dict(extra_body or {})
        self._limit = "max_completion_tokens" if official and api == "chat" else "max_tokens"
        self._holds: bool | None = None  # whether it has held a model to a JSON schema; unknown until it was asked to
        self._grammars = True  # whether a vLLM server is sent our grammars
        self._place = Endpoint(url=url, model=model, timeout=float(timeout), secrets=(key,) if key else ())
        self._client = _client(url, key, float(timeout))
        self._end = weakref.finalize(self, self._client.close)

    def __repr__(self) -> str:
        """Say which model and where, and no key."""
        return f"OpenAIBackend({self.model!r}, base_url={self._place.shown!r})"

    def __deepcopy__(self, memo: dict[int, Any]) -> OpenAIBackend:
        """A copy would share the connections anyhow."""
        return self

    def close(self) -> None:
        """Close the connections; the backend cannot be used afterwards."""
        self._end()

    def generate(
        self,
        conversations: Sequence[Conversation | Continuation],
        sampling: Sampling,
        *,
        seeds: Sequence[int] | None = None,
    ) -> list[Generation]:
        """Continue each conversation with one assistant message, and each ``Continuation`` where it stands.

        Args:
            conversations: OpenAI ``role``/``content`` messages, or completions that go on.
            sampling: How to sample, for all of them.
            seeds: One for each row, in place of the sampling's: rows of several games in one call.

        Returns:
            One generation for each, in order.

        Raises:
            UsageError: A conversation or the JSON schema is malformed.
            ModelError: The backend is closed.
        """
        if not self._end.alive:
            raise ModelError(f"{self.name} is closed: make a new backend")
        asked = [(item, _messages(item)) for item in conversations]
        if not asked:
            return []
        check_schema(sampling)
        vllm = self._speaks_vllm()
        own = row_seeds([messages for _, messages in asked], sampling.seed if seeds is None else seeds)
        rows = [_Row(place, *pair, seed) for place, (pair, seed) in enumerate(zip(asked, own, strict=True))]
        return self._side_by_side(rows, lambda row: self._answer(row, sampling, vllm=vllm))

    def count_tokens(self, text: str) -> int:
        """Return the number of tokens in ``text``, by ``tokenizer``, or estimated: a quarter of its bytes, rounded up.

        Example:
            >>> OpenAIBackend("m", base_url="http://127.0.0.1:1/v1").count_tokens("What is it?")
            3
        """
        if self.tokenizer is not None:
            return len(self._encode(text))
        return -(-len(text.encode("utf-8", "replace")) // _BYTES_PER_TOKEN)

    # -- one row ------------------------------------------------------------------------------------------------------

    def _answer(self, row: _Row, sampling: Sampling, *, vllm: bool) -> Generation:
        """Ask until there is an answer, it is hopeless, or the attempts are used up."""
        started = time.perf_counter()
        rng = np.random.default_rng((sampling.seed, row.place))
        attempts = 0
        while True:
            try:
                return self._ask(self._request(row, sampling, vllm=vllm), row, sampling, vllm=vllm)
            except Exception as error:  # noqa: BLE001 - a failure of the server is data
                failure = explain(error, self._place)
            if sampling.json_schema and self._refuses(failure, vllm=vllm):
                continue
            attempts += 1
            if not failure.again or attempts > self.max_retries or (failure.wait or 0.0) > MAX_WAIT:
                break
            _wait(backoff(attempts - 1, rng, failure.wait))
        asked = f"; it asks to wait {failure.wait:g} seconds" if (failure.wait or 0.0) > MAX_WAIT else ""
        tried = f" (tried {attempts} times)" if attempts > 1 else ""
        return Generation(
            text="",
            finish_reason="error",
            error=failure.sentence + asked + tried,
            seconds=time.perf_counter() - started,
            conversation=tuple(row.messages),
        )

    def _refuses(self, failure: Failure, *, vllm: bool) -> bool:
        """Learn from a refusal what a server cannot be asked for; return whether it is worth asking in another way."""
        if failure.again or not _ABOUT_FORM.search(failure.sentence):
            return False
        if vllm and self._grammars:
            self._grammars = False
            return True
        self._holds = self._holds or False
        return False

    def _request(self, row: _Row, sampling: Sampling, *, vllm: bool) -> Request:
        item, messages = row.item, row.messages
        prefill = self.prefill or ("ids" if vllm else "message")
        if isinstance(item, Continuation) and prefill == "ids" and item.after.prompt_ids and item.after.token_ids:
            stops = sampling.stop if self.api == "chat" else (*sampling.stop, *PLAIN_STOPS)
            return ids_request(item, messages, self._text_ids(item.text), stops)
        if self.api == "chat":
            return chat_request(messages, sampling, resume=prefill != "message")
        prompt = ""
        if isinstance(item, Continuation) and item.after.prompt:
            prompt = item.after.prompt + item.after.sampled + item.text
        return plain_request(messages, sampling, prompt=prompt)

    def _ask(self, request: Request, row: _Row, sampling: Sampling, *, vllm: bool) -> Generation:
        """Ask once, and read the answer as it comes."""
        if sampling.json_schema and self._holds is False:
            raise BrokenReplyError("does not hold a model to a JSON schema, as an answer before has shown")
        if sampling.json_schema and not vllm and not request.chat:
            raise BrokenReplyError(
                "may not hold a model to a JSON schema through /completions: take api='chat', or dialect='vllm' if it can"
            )
        stream = self.stream if self.stream is not None else bool(request.stops) and not vllm
        limit = self._limit if request.chat else "max_tokens"
        fields = settings(
            sampling, request, vllm=vllm, stream=stream, seed=row.seed, limit=limit, grammar=vllm and self._grammars
        )
        body = {**request.what, **fields, **self.extra_body}
        started = time.perf_counter()
        deadline = started + self._place.timeout
        resource = self._client.chat.completions if request.chat else self._client.completions
        key = "messages" if request.chat else "prompt"
        rest = {name: value for name, value in body.items() if name != key and value is not None}
        reply, notes = Reply(), []
        with resource.with_streaming_response.create(**{key: body[key]}, model=self.model, extra_body=rest) as response:
            chunks = _chunks(response, deadline)
            if stream and "json" not in response.headers.get("content-type", ""):
                first = read_stream(reply, events(chunks), request, sampling)
                if first is not None:
                    notes.append(f"first token after {first - started:.3f} s")
            else:
                reply.add(read_json(b"".join(chunks)))
                reply.finish = reply.finish or "stop"  # some servers never say why
                if sampling.stop and not vllm and reply.finish == "stop" and not reply.stop_reason:
                    notes.append("the server does not say whether a stop string ended it")
        if vllm and sampling.json_schema:
            notes.append("log-probabilities are those under the JSON schema")
        made = to_generation(reply, request, sampling, notes=notes, seconds=time.perf_counter() - started)
        if sampling.json_schema and made.error.startswith(UNHELD):
            self._holds = self._holds or False
        elif sampling.json_schema and not made.error:
            self._holds = True
        return made

    # -- the server ---------------------------------------------------------------------------------------------------

    def _speaks_vllm(self) -> bool:
        """Find out once whether the server is vLLM's; one that does not answer is asked again next time."""
        if self.dialect == "auto":
            client = self._client.with_options(timeout=min(_CONNECT_SECONDS, self._place.timeout))
            try:
                with client.models.with_streaming_response.list() as response:
                    found = read_json(b"".join(_chunks(response, time.perf_counter() + _CONNECT_SECONDS)))
                owners = [model.get("owned_by") for model in found.get("data") or ()]
            except Exception as error:  # noqa: BLE001 - whatever it is, the rows will meet it and say so
                if explain(error, self._place).again:
                    return False
                owners = []
            self.dialect = "vllm" if "vllm" in owners else "openai"
        return self.dialect == "vllm"

    def _text_ids(self, text: str) -> list[int]:
        """Return the token ids of what is put behind a completion: by the tokenizer here, else by vLLM's ``/tokenize``."""
        if not text:
            return []
        if self.tokenizer is not None:
            return self._encode(text)
        url = f"{self._place.url.rstrip('/').removesuffix('/v1')}/tokenize"
        body = {"model": self.model, "prompt": text, "add_special_tokens": False}
        try:
            found = self._client.post(url, cast_to=object, body=body)
        except Exception as error:
            if getattr(error, "status_code", None) != 404:
                raise
            found = None
        tokens = found.get("tokens") if isinstance(found, dict) else None
        if not isinstance(tokens, list):
            raise BrokenReplyError("does not tell the ids of a text: give the backend a tokenizer, or another prefill")
        return [int(token) for token in tokens]

    def _encode(self, text: str) -> list[int]:
        return list(self.tokenizer.encode(text, add_special_tokens=False))

    def _side_by_side(self, items: Sequence[_Row], work: Callable[[_Row], Generation]) -> list[Generation]:
        """Do the work for all rows, in as many threads as there may be requests; Ctrl-C does not wait for them."""
        results: dict[int, Generation] = {}
        problems: list[BaseException] = []
        waiting = iter(items)
        lock = threading.Lock()

        def run() -> None:
            while not problems:
                with lock:
                    row = next(waiting, None)
                if row is None:
                    return
                try:
                    results[row.place] = work(row)
                except BaseException as problem:  # noqa: BLE001 - raised again below, where the caller is
                    problems.append(problem)

        threads = [threading.Thread(target=run, daemon=True) for _ in range(min(self.concurrency, len(items)))]
        try:
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        except BaseException as problem:
            problems.append(problem)  # no further requests
            raise
        if problems:
            raise problems[0]
        return [results[row.place] for row in items]


class _Row(NamedTuple):
    place: int
    item: Conversation | Continuation
    messages: list[dict[str, str]]
    seed: int


def _messages(item: Conversation | Continuation) -> list[dict[str, str]]:
    """Return the conversation; a completion that goes on is its last message, from the assistant."""
    if not isinstance(item, Continuation):
        return check_conversation(item)
    before = item.after.conversation
    if before and before[-1]["role"] == "assistant":
        before = before[:-1]
    return check_conversation([*before, {"role": "assistant", "content": item.written}])


def _chunks(response: Any, deadline: float) -> Iterator[bytes]:
    """Yield the body as it comes, for as long as there is time and as much as is sane."""
    size = 0
    for chunk in response.iter_bytes():
        size += len(chunk)
        if size > MOST_BYTES:
            raise BrokenReplyError(f"sent more than {MOST_BYTES >> 20} MiB")
        yield chunk
        if time.perf_counter() > deadline:
            raise TimeoutError


def _client(url: str, key: str, timeout: float) -> Any:
    """Make the official client. Retries are ours; a proxy is not asked for what is on this machine."""
    openai = require("openai", feature=_FEATURE, extra="openai")
    limits = openai.Timeout(timeout, connect=min(_CONNECT_SECONDS, timeout))
    local = urlsplit(url).hostname in ("localhost", "127.0.0.1", "::1")
    http = openai.DefaultHttpxClient(trust_env=not local, timeout=limits)
    return openai.OpenAI(api_key=key or "none", base_url=url, max_retries=0, timeout=limits, http_client=http)


def _address(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageError(
            f"base_url: expected an address such as http://127.0.0.1:8000/v1, got {url.rpartition('@')[2]!r}"
        )
    return url


def _tokenizer(given: Any) -> Any:
    """Return what counts and encodes: an object is taken as it is, a path is read with transformers."""
    if given is None or (hasattr(given, "encode") and not isinstance(given, str)):
        return given
    if not isinstance(given, (str, Path)):
        raise UsageError(f"tokenizer: expected a folder, or an object with encode, got {given!r}")
    transformers = require("transformers", feature="counting tokens with a tokenizer", extra="hf")
    try:
        return transformers.AutoTokenizer.from_pretrained(str(given), local_files_only=True)
    except Exception as error:
        raise ModelError(f"there is no tokenizer at {str(given)!r}: expected a folder with a tokenizer.json") from error


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _check(**arguments: tuple[bool, str, Any]) -> None:
    for name, (fits, expected, value) in arguments.items():
        if not fits:
            raise UsageError(f"{name}: expected {expected}, got {value!r}")
