"""Reading a server's answer: one JSON body, or server-sent events, into one account of what was written.

Servers differ in what they leave out. Nothing is taken for granted but JSON with ``choices``; token ids and
log-probabilities are kept where they are there (vLLM) and belong together.
"""

from __future__ import annotations

import dataclasses
import json
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from gtalign_env.agents.backends.openai_failures import BrokenReplyError, told
from gtalign_env.agents.backends.openai_request import Request, whole
from gtalign_env.agents.backends.prompts import NOTHING, cut_at_stop
from gtalign_env.protocols import Generation, Sampling

__all__ = ["MOST_BYTES", "UNHELD", "Reply", "events", "most_characters", "read_json", "read_stream", "to_generation"]

MOST_BYTES = 32 * 2**20
"""Longest body, and longest line of a stream, that is read."""

UNHELD = "the server did not hold the model to the JSON schema"
"""How the error of a completion begins that should have been JSON and is none."""

_SHOWN = 2000
"""Bytes of an answer that is none, at most, in which to look for what it is."""
_WEB_PAGE = re.compile(r"<(?:!doctype\s+html|html|head|body|title|center|h1)\b", re.IGNORECASE)
_MARKUP = re.compile(r"<(style|script)\b.*?</\1>|<[^>]*>?", re.IGNORECASE | re.DOTALL)
_FIELDS = (b":", b"event:", b"id:", b"retry:")
"""What a line of an event begins with, besides ``data:``."""

_ENDS = {
    "stop": "stop",
    "eos": "stop",
    "eos_token": "stop",
    "end_turn": "stop",
    "stop_sequence": "stop",
    "length": "length",
    "max_tokens": "length",
}


@dataclasses.dataclass(kw_only=True)
class Reply:
    """What a server has written so far, chunk by chunk.

    Example:
        >>> reply = Reply()
        >>> for word in ("Par", "is."):
        ...     reply.add({"choices": [{"delta": {"content": word}}]})
        >>> reply.add({"choices": [{"delta": {}, "finish_reason": "stop"}]})
        >>> reply.text, reply.finish
        ('Paris.', 'stop')
    """

    pieces: list[str] = dataclasses.field(default_factory=list)
    token_ids: list[int] = dataclasses.field(default_factory=list)
    logprobs: list[float] = dataclasses.field(default_factory=list)
    finish: str = ""
    """``"stop"``, ``"length"``, another word of the server's, or empty while it has not ended."""
    stop_reason: str = ""
    """The stop string that ended it, where the server names one."""
    refusal: str = ""
    thought: bool = False
    """Whether the server held back reasoning."""
    prompt_ids: tuple[int, ...] = ()
    prompt_text: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    begun: bool = False
    """Whether there has been a choice at all."""

    @property
    def text(self) -> str:
        """All that was written, as text that can be encoded."""
        return whole("".join(self.pieces))

    def add(self, chunk: Mapping[str, Any]) -> None:
        """Take in a body, or one chunk of a stream.

        Raises:
            BrokenReplyError: It is an error, or not of the agreed form.
        """
        if chunk.get("error"):
            error = chunk["error"]
            said = error.get("message") if isinstance(error, Mapping) else error
            raise BrokenReplyError(f"broke off with an error: {told(str(said))}", again=True)
        choices = chunk.get("choices")
        if not isinstance(choices, list):
            raise BrokenReplyError(f"answered JSON without choices: {told(json.dumps(chunk, default=str))}")
        try:
            self._count(chunk)
            for choice in choices[:1]:
                self._choose(choice)
        except (AttributeError, TypeError, ValueError, KeyError) as error:
            raise BrokenReplyError(f"answered in a form that no server should: {told(str(error))}") from error

    def _count(self, chunk: Mapping[str, Any]) -> None:
        usage = chunk.get("usage") or {}
        self.prompt_tokens = int(usage.get("prompt_tokens") or self.prompt_tokens)
        self.completion_tokens = int(usage.get("completion_tokens") or self.completion_tokens)
        self.prompt_ids = tuple(map(int, chunk.get("prompt_token_ids") or self.prompt_ids))
        self.prompt_text = str(chunk.get("prompt_text") or self.prompt_text)

    def _choose(self, choice: Mapping[str, Any]) -> None:
        self.begun = True
        message = choice.get("message") or choice.get("delta") or {"content": choice.get("text")}
        self.pieces.append(_words(message.get("content")))
        self.refusal += str(message.get("refusal") or "")
        self.thought |= bool(message.get("reasoning") or message.get("reasoning_content"))
        self.token_ids += map(int, choice.get("token_ids") or ())
        self.logprobs += _logprobs(choice.get("logprobs") or {})
        self.prompt_ids = tuple(map(int, choice.get("prompt_token_ids") or self.prompt_ids))
        finish = choice.get("finish_reason")
        if finish:
            self.finish = _ENDS.get(str(finish), str(finish))
        reason = choice.get("stop_reason") or choice.get("matched_stop")
        if isinstance(reason, str):
            self.stop_reason = reason


def _words(content: Any) -> str:
    """Return a message's text, also where it comes in parts."""
    if isinstance(content, list):
        return "".join(str(part.get("text") or "") for part in content)
    if content is not None and not isinstance(content, str):
        raise TypeError(f"expected text, got {content!r}")
    return content or ""


def _logprobs(given: Mapping[str, Any]) -> list[float]:
    """Return the sampled tokens' log-probabilities, in the form of chat or that of completions."""
    content = given.get("content")
    numbers = [entry["logprob"] for entry in content] if content else given.get("token_logprobs") or []
    return [float(number) for number in numbers]


def read_json(data: bytes) -> dict[str, Any]:
    """Return a body as JSON.

    Raises:
        BrokenReplyError: It is something else.

    Example:
        >>> read_json(b'{"choices": []}')
        {'choices': []}
    """
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise BrokenReplyError(f"answered {_what(data, 'something that is not a JSON object')}")
    return found


def _what(data: bytes, otherwise: str) -> str:
    """Say what came instead of what was agreed, with its beginning: a web page is what proxies and wrong addresses send."""
    text = data[:_SHOWN].decode("utf-8", "replace").strip()
    if not _WEB_PAGE.match(text):
        return f"{otherwise}: {told(text[:80])!r}"
    shown = told(" ".join(_MARKUP.sub(" ", text).split())[:80])
    return (
        f"a web page{f' ({shown!r})' if shown else ''}, as a proxy or a wrong address does: is this where the API is?"
    )


def events(chunks: Iterable[bytes]) -> Iterator[dict[str, Any]]:
    r"""Yield the JSON objects of server-sent events, up to ``[DONE]``, whatever way the bytes are cut.

    Raises:
        BrokenReplyError: An event is no JSON object, a line never ends, or what came is no stream of events at all.

    Example:
        >>> list(events([b': hello\n\nda', b'ta: {"a": 1}\r\n\r\n', b'data: [DONE]\n\n']))
        [{'a': 1}]
    """
    stray: list[bytes] = []  # what belongs to no stream of events; it matters where nothing else comes
    begun = False
    for line in _lines(chunks):
        if not line.startswith(b"data:"):
            if not begun and line.strip() and not line.startswith(_FIELDS) and sum(map(len, stray)) < _SHOWN:
                stray.append(line)
            continue
        begun = True
        data = line[5:].strip()
        if data == b"[DONE]":
            return
        if data:
            yield read_json(data)
    if stray and not begun:
        raise BrokenReplyError(f"answered {_what(b' '.join(stray), 'something that is no stream of events')}")


def _lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        yield from lines
        if len(rest) > MOST_BYTES:
            raise BrokenReplyError("sent a line that does not end")
    yield rest


def most_characters(sampling: Sampling) -> int:
    """Return how many characters are read of a completion whose tokens nobody counts.

    Example:
        >>> most_characters(Sampling(max_tokens=100))
        10496
    """
    return 4096 + 64 * sampling.max_tokens


def read_stream(
    reply: Reply, chunks: Iterable[Mapping[str, Any]], request: Request, sampling: Sampling
) -> float | None:
    """Take in a stream up to its end, to a stop string, or to more than can be true.

    Args:
        reply: Filled.
        chunks: The events.
        request: Whose stop strings end it.
        sampling: Says how much may come.

    Returns:
        When the first text or token came, on the clock of ``time.perf_counter``; ``None`` where none did.
    """
    first = None
    written = ""
    most = most_characters(sampling)
    for chunk in chunks:
        seen = len(reply.pieces), len(reply.token_ids)
        reply.add(chunk)
        new = "".join(reply.pieces[seen[0] :])
        if first is None and (new or len(reply.token_ids) > seen[1]):
            first = time.perf_counter()
        start = max(0, len(written) - max(map(len, request.stops), default=1) + 1)
        written += new
        if not reply.finish and any(stop in written[start:] for stop in request.stops):
            reply.finish = "stop"
            break
        if not reply.token_ids and len(written) > most:
            reply.finish = "length"
            break
    return first


def to_generation(
    reply: Reply, request: Request, sampling: Sampling, *, notes: Iterable[str], seconds: float
) -> Generation:
    """Return what a reply amounts to.

    Args:
        reply: All that the server has said.
        request: What it was asked.
        sampling: How it should have sampled.
        notes: What the reader of a record should know already.
        seconds: How long it took.

    Raises:
        BrokenReplyError: There is no completion in it.
    """
    if not reply.begun:
        raise BrokenReplyError("answered without a completion: its list of choices is empty")
    if not reply.finish:
        raise BrokenReplyError("broke off in the middle of its answer", again=True)
    notes = list(notes)
    sampled = reply.text
    text, stopped = cut_at_stop(sampled, request.stops)
    if not stopped and reply.stop_reason in request.stops:
        sampled += reply.stop_reason
    finish = "stop" if stopped else reply.finish
    if not reply.token_ids and len(text) > (most := most_characters(sampling)):
        notes.append(f"the server wrote {len(text)} characters for max_tokens={sampling.max_tokens}: cut at {most}")
        text = sampled = text[:most]
        finish = "length"
    logprobs = tuple(reply.logprobs) if reply.token_ids else ()
    if logprobs and len(logprobs) != len(reply.token_ids):
        notes.append(f"left out {len(logprobs)} log-probabilities that came for {len(reply.token_ids)} tokens")
        logprobs = ()
    if reply.thought and not text.strip():
        notes.append("the server held back what the model reasoned")
    error = _error(reply, finish, text, sampling)
    return Generation(
        text="" if error else text,
        token_ids=tuple(reply.token_ids),
        logprobs=logprobs,
        finish_reason="error" if error else finish,
        prompt_tokens=reply.prompt_tokens or len(reply.prompt_ids),
        prompt=reply.prompt_text or request.prompt,
        seconds=seconds,
        error=error,
        note="; ".join(notes),
        sampled=sampled,
        prompt_ids=reply.prompt_ids,
        conversation=request.conversation,
    )


def _error(reply: Reply, finish: str, text: str, sampling: Sampling) -> str:
    if finish == "content_filter":
        return "the server's content filter stopped the completion"
    if reply.refusal:
        return f"the model refused: {told(reply.refusal)}"
    if finish not in ("stop", "length"):
        return f"the server ended the completion with {told(finish)!r}, which is no reply"
    if not text.strip():
        return NOTHING
    if sampling.json_schema and finish == "stop" and not _is_json(text):
        return f"{UNHELD}: {told(text[:80])!r} is not JSON"
    return ""


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
