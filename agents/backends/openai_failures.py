"""What can go wrong between us and a server, in one sentence each, and whether it is worth asking again.

A status of 408, 409, 429 or 5xx, a time-out and a broken connection may pass: they are retried, after the wait that the
server asks for, or else after a wait that doubles each time, with jitter from a generator that was passed in. All else is
final: a wrong key, an unknown model, a prompt that is too long, an answer that is not what was agreed.

Nothing here imports ``openai``: errors are told apart by their status and by the names of their classes, which the
package and the HTTP client below it (httpx, later httpx2) have in common.
"""

from __future__ import annotations

import dataclasses
import email.utils
import math
import re
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from gtalign_env.agents.backends.prompts import TOO_LONG
from gtalign_env.sanitize import clean_text

__all__ = ["MAX_WAIT", "BrokenReplyError", "Endpoint", "Failure", "backoff", "explain", "retry_after", "told"]

MAX_WAIT = 60.0
"""Longest wait between two attempts, in seconds: a server that asks for more is not waited for."""

_FIRST_WAIT = 0.5
_SLOWEST = 8.0
_QUOTED = 200
_TOO_LONG = re.compile(
    r"context[ _](length|window|size)|maximum context|max_model_len|prompt is too long|too many tokens", re.IGNORECASE
)
_NO_TEMPLATE = re.compile(r"chat[ _]template", re.IGNORECASE)
_AGAIN = (408, 409, 425, 429)


class BrokenReplyError(Exception):
    """A server's answer that cannot be used; ``again`` says whether another attempt may do better."""

    def __init__(self, sentence: str, *, again: bool = False) -> None:
        super().__init__(sentence)
        self.again = again


@dataclasses.dataclass(frozen=True, kw_only=True)
class Failure:
    """Why there is no completion.

    Example:
        >>> Failure(sentence="no answer").again
        False
    """

    sentence: str
    again: bool = False
    """Whether asking again may help."""
    wait: float | None = None
    """Seconds that the server asks to wait; ``None`` where it says nothing."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Endpoint:
    """Whom we ask for what, and what must never be said aloud.

    Example:
        >>> place = Endpoint(url="http://me:pw@localhost:8000/v1", model="m", timeout=2.0, secrets=("key-1",))
        >>> place.shown, place.redacted("wrong key-1"), place
        ('http://localhost:8000/v1', 'wrong [key]', Endpoint(url='http://localhost:8000/v1', model='m', timeout=2.0))
    """

    url: str = dataclasses.field(repr=False)
    model: str
    timeout: float
    secrets: tuple[str, ...] = dataclasses.field(default=(), repr=False)

    def __repr__(self) -> str:
        """Show the address without user and password, and no secret."""
        return f"Endpoint(url={self.shown!r}, model={self.model!r}, timeout={self.timeout!r})"

    @property
    def shown(self) -> str:
        """The address as it may be shown."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}".rstrip("/")

    def redacted(self, text: str) -> str:
        """Return ``text`` without secrets."""
        parts = urlsplit(self.url)
        for secret in (*self.secrets, parts.password or "", parts.query):
            if secret:
                text = text.replace(secret, "[key]")
        return text


def told(text: str) -> str:
    r"""Return what a server said as part of a sentence: one line, safe to print, and not too long.

    Example:
        >>> told("\x1b[31mno\nroom"), len(told("x" * 1000))
        ('no room', 201)
    """
    line = " ".join(clean_text(text[: 4 * _QUOTED]).split())
    return line if len(line) <= _QUOTED else line[:_QUOTED] + "…"


def explain(error: Exception, place: Endpoint) -> Failure:
    """Say what an exception means.

    Args:
        error: What the client raised, or reading its answer.
        place: Whom it had asked.

    Example:
        >>> place = Endpoint(url="http://localhost:1/v1", model="m", timeout=2.0)
        >>> explain(TimeoutError(), place)
        Failure(sentence='no answer from http://localhost:1/v1 within 2 seconds', again=True, wait=None)
    """
    status = getattr(error, "status_code", None)
    kinds = {kind.__name__ for kind in type(error).__mro__}
    if isinstance(error, BrokenReplyError):
        failure = Failure(sentence=f"{place.shown} {error}", again=error.again)
    elif isinstance(status, int):
        failure = _by_status(error, status, place)
    elif kinds & {"APITimeoutError", "TimeoutException", "TimeoutError"}:
        failure = Failure(sentence=f"no answer from {place.shown} within {place.timeout:g} seconds", again=True)
    elif kinds & {"APIConnectionError", "TransportError", "OSError"}:
        cause = error.__cause__ or error
        why = told(str(cause)) or type(cause).__name__
        failure = Failure(sentence=f"no connection to {place.shown}: {why}; is the server running?", again=True)
    else:
        failure = Failure(sentence=f"asking {place.shown} failed: {type(error).__name__}: {told(str(error))}")
    return dataclasses.replace(failure, sentence=place.redacted(failure.sentence))


def _by_status(error: Exception, status: int, place: Endpoint) -> Failure:
    body = getattr(error, "body", None)
    said, code = _message(body), str(body.get("code") or "") if isinstance(body, Mapping) else ""
    quoted = f": {said}" if said else ""
    if status in (401, 403):  # what the server says here may quote the key
        what = "refused the API key" if status == 401 else "does not let this API key in"
        return Failure(
            sentence=f"{place.shown} {what} ({status}): set OPENAI_API_KEY or api_key to a key that it takes"
        )
    if status == 404:
        what = "knows no model" if "model" in (said + code).lower() else "has nothing at this address for the model"
        return Failure(sentence=f"{place.shown} {what} {place.model!r} (404){quoted}")
    if code == "insufficient_quota":
        return Failure(sentence=f"{place.shown} says that the quota is used up ({status}){quoted}")
    if status in (400, 413, 422) and (code == "context_length_exceeded" or _TOO_LONG.search(said)):
        return Failure(sentence=f"{TOO_LONG} of {place.model!r} ({status}){quoted}")
    if code == "content_filter":
        return Failure(sentence=f"the content filter of {place.shown} refused the prompt ({status}){quoted}")
    if status == 400 and _NO_TEMPLATE.search(said):
        quoted += "; a model without a chat template needs --backend-option api=completions"
    again = status in _AGAIN or (status >= 500 and status != 501)
    what = "is too busy" if status == 429 else "failed" if status >= 500 else "refused the request"
    wait = retry_after(getattr(getattr(error, "response", None), "headers", {})) if again else None
    return Failure(sentence=f"{place.shown} {what} ({status}){quoted}", again=again, wait=wait)


def _message(body: Any) -> str:
    """Return a server's own words about an error, in whichever of the usual places they are."""
    if isinstance(body, Mapping):
        found = next((body[key] for key in ("message", "detail", "error") if body.get(key)), "")
        return _message(found)
    return told(body) if isinstance(body, str) and not body.lstrip().startswith("<") else ""


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return how many seconds a server asks to wait (>= 0), from its headers (RFC 9110, 10.2.3); ``None`` if it does not say.

    Example:
        >>> retry_after({"retry-after": "1.5"}), retry_after({"retry-after-ms": "250"}), retry_after({"retry-after": "soon"})
        (1.5, 0.25, None)
        >>> retry_after({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"})
        0.0
    """
    for name, scale in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        text = headers.get(name)
        if text is None:
            continue
        try:
            seconds = float(text) / scale
        except ValueError:
            try:
                seconds = email.utils.parsedate_to_datetime(text).timestamp() - time.time()
            except ValueError:
                continue
        if math.isfinite(seconds):
            return max(0.0, seconds)
    return None


def backoff(attempt: int, rng: Any, asked: float | None = None) -> float:
    """Return how many seconds to wait after a failed attempt.

    Args:
        attempt: How many attempts had failed before this one (>= 0).
        rng: A numpy generator, for the jitter: so that many clients do not come back together.
        asked: What the server asks for; it is never waited less.

    Returns:
        Between half and the whole of 0.5 · 2^attempt seconds, 8 at most; on top of ``asked`` a tenth of that.

    Example:
        >>> import numpy as np
        >>> wait = backoff(2, np.random.default_rng(0))
        >>> 1.0 <= wait <= 2.0, 3.0 <= backoff(2, np.random.default_rng(0), asked=3.0) <= 3.2
        (True, True)
    """
    own = min(_SLOWEST, _FIRST_WAIT * 2.0 ** min(attempt, 10)) * (0.5 + 0.5 * float(rng.random()))
    return own if asked is None else asked + own / 10
