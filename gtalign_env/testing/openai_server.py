"""An OpenAI-compatible server on this machine, for tests: deterministic, quick, and able to misbehave.

It needs nothing but the standard library, answers each request in a thread of its own, and listens on the loopback
interface only. The official ``openai`` client speaks with it, streaming and not; so does any other.

    with OpenAIServer(lambda asked: "Paris.", faults=["429:0.1", None]) as server:
        client = openai.OpenAI(base_url=server.base_url, api_key="any")
        …

What it has: ``/v1/models``, ``/v1/chat/completions``, ``/v1/completions`` and, as ``dialect="vllm"``, what vLLM adds to
them: token ids, log-probabilities, ``stop_reason``, messages that are left open, prompts of token ids, and ``/tokenize``.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, Self

from gtalign_env.errors import UsageError
from gtalign_env.testing import openai_forms as forms
from gtalign_env.testing.openai_forms import Answer, Asked
from gtalign_env.testing.openai_http import HttpServer

__all__ = ["FAULTS", "OpenAIServer", "echo"]

FAULTS: dict[str, str] = {
    "400 … 599": "that status, with an error as OpenAI words it; '429:2' asks to come again after 2 seconds",
    "ansi": "an answer full of terminal escapes",
    "cut": "half an answer, then the connection breaks",
    "drip": "an answer that takes for ever: a byte now and then",
    "drop": "the connection breaks without an answer",
    "empty": "an answer without choices",
    "error_event": "in a stream, an error after half of it; else an error with status 200",
    "filter": "stopped by a content filter",
    "garbage": "HTML with status 200",
    "hang": "no answer until the server is closed, or 'hang:2' for 2 seconds and then one",
    "huge": "100,000 characters",
    "silent": "an answer without a word",
}
"""What a request may meet instead of an answer."""

_HUGE = 100_000
_ESCAPES = "\x1b[2J\x1b[31mred\x1b[0m\x07 \x1b]0;title\x07done\u202e"


def echo(asked: Asked) -> str:
    r"""Return what was said last; for a JSON schema, a small value that fits.

    Example:
        >>> echo(Asked(number=0, path="/v1/completions", body={}, prompt="User: Hi\nAssistant:", prompt_ids=()))
        'Hi'
    """
    wanted = forms.minimal_json(asked.body)
    if wanted is not None:
        return wanted
    if asked.chat:
        return str(asked.body["messages"][-1]["content"])
    lines = [line for line in asked.prompt.splitlines() if line.strip() and line.strip() != "Assistant:"]
    return lines[-1].removeprefix("User: ") if lines else ""


class OpenAIServer:
    """A server that is there between ``with`` and its end.

    Args:
        reply: What to say to a request (``openai_forms.Asked``): the whole reply, before stop strings and ``max_tokens``.
        models: The names it knows; empty for any.
        api_key: The key it wants; empty for none.
        dialect: ``"openai"``, or ``"vllm"`` with vLLM's additions.
        context: Most tokens of prompt and completion together; ``None`` for no limit.
        faults: What completions meet, one after the other (a key of ``FAULTS``, or ``None`` for an answer; after the
            last, all are answered), or a function of the request.
        delay: Seconds before each answer.

    Raises:
        UsageError: A fault has no such name.

    Example:
        >>> import json, urllib.request
        >>> with OpenAIServer(models=["tiny"]) as server:
        ...     json.load(urllib.request.urlopen(server.base_url + "/models"))["data"][0]["id"]
        'tiny'
    """

    def __init__(
        self,
        reply: Callable[[Asked], str] = echo,
        *,
        models: Sequence[str] = (),
        api_key: str = "",
        dialect: str = "openai",
        context: int | None = None,
        faults: Sequence[str | None] | Callable[[Asked], str | None] = (),
        delay: float = 0.0,
    ) -> None:
        if not callable(faults):
            for fault in faults:
                _check_fault(fault)
        self.reply = reply
        self.models = tuple(models)
        self.api_key = api_key
        self.vllm = dialect == "vllm"
        self.context = context
        self.faults = faults
        self.delay = delay
        self.asked: list[Asked] = []
        """Every request for a completion, in the order in which they came."""
        self.keys: list[str] = []
        """The keys that came with them."""
        self.busiest = 0
        """Most requests that were being answered at one time."""
        self._busy = 0
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._words: dict[int, str] = {}
        self._http = HttpServer(self)
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    @property
    def base_url(self) -> str:
        """The address for clients, with ``/v1``."""
        return f"http://127.0.0.1:{self._http.server_address[1]}/v1"

    def __enter__(self) -> Self:
        """Begin to answer."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Answer no more; requests that hang are let go."""
        self._closing.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    # -- for the wire (``openai_http``) -------------------------------------------------------------------------------

    def take(self, path: str, body: dict[str, Any], key: str) -> Asked:
        """Note a request down."""
        if isinstance(body.get("messages"), list):
            talk = [f"{turn['role']}: {turn['content']}" for turn in body["messages"]]
            open_end = body.get("continue_final_message")
            prompt = "\n".join(talk) if open_end else "\n".join([*talk, "assistant:"])
        elif isinstance(body.get("prompt"), list):
            prompt = "".join(self._words.get(id, "?") for id in body["prompt"])
        else:
            prompt = str(body.get("prompt", ""))
        given = body.get("prompt")
        ids = tuple(given) if isinstance(given, list) else self.encode(prompt)
        with self._lock:
            asked = Asked(number=len(self.asked), path=path, body=body, prompt=prompt, prompt_ids=ids)
            self.asked.append(asked)
            self.keys.append(key)
        return asked

    def encode(self, text: str) -> tuple[int, ...]:
        """Return a text's token ids, and remember what they stand for."""
        words = forms.pieces(text)
        ids = tuple(map(forms.token_id, words))
        self._words.update(zip(ids, words, strict=True))
        return ids

    def fault(self, asked: Asked) -> str:
        """Return what a request meets; empty for an answer."""
        if callable(self.faults):
            fault = self.faults(asked)
            _check_fault(fault)
        else:
            fault = self.faults[asked.number] if asked.number < len(self.faults) else None
        return fault or ""

    def answer(self, asked: Asked, fault: str) -> Answer:
        """Return the completion: what ``reply`` says, up to a stop string and the limit."""
        if fault in _TEXTS:
            return Answer(tokens=forms.pieces(_TEXTS[fault]), text=_TEXTS[fault])
        said = self.reply(asked)
        limit = asked.body.get("max_tokens") or asked.body.get("max_completion_tokens") or 16
        stops = asked.body.get("stop") or []
        found = [(said.index(stop), stop) for stop in ([stops] if isinstance(stops, str) else stops) if stop in said]
        place, stop = min(found, default=(len(said), None))
        sampled = said[: place + len(stop or "")]
        tokens = forms.pieces(sampled)
        self.encode(sampled)
        if len(tokens) > limit:
            tokens = tokens[:limit]
            return Answer(tokens=tokens, text="".join(tokens), finish="length")
        shown = sampled if asked.body.get("include_stop_str_in_output") and self.vllm else said[:place]
        finish = "content_filter" if fault == "filter" else "stop"
        return Answer(tokens=tokens, text=shown, finish=finish, stop_reason=stop)

    def problem(self, asked: Asked, key: str) -> tuple[int, dict[str, Any]] | None:
        """Return status and body of what is wrong with a request; ``None`` where nothing is."""
        model, limit = asked.body.get("model"), asked.body.get("max_tokens") or 16
        if self.api_key and key != self.api_key:
            return 401, forms.error(f"Incorrect API key provided: {key}.", code="invalid_api_key")
        if self.models and model not in self.models:
            return 404, forms.error(f"The model `{model}` does not exist.", code="model_not_found")
        if not (asked.body.get("messages") if asked.chat else asked.body.get("prompt")):
            return 400, forms.error("messages or prompt: expected at least one")
        if self.context is not None and len(asked.prompt_ids) + limit > self.context:
            message = f"This model's maximum context length is {self.context} tokens."
            return 400, forms.error(message, code="context_length_exceeded")
        return None

    def enter(self) -> None:
        """Count a request that is being answered."""
        with self._lock:
            self._busy += 1
            self.busiest = max(self.busiest, self._busy)

    def leave(self) -> None:
        """Count it no more."""
        with self._lock:
            self._busy -= 1

    def pause(self, seconds: float | None) -> bool:
        """Wait; return whether the server is being closed meanwhile."""
        return self._closing.wait(seconds)


_TEXTS = {"huge": "lorem ipsum " * (_HUGE // 12) + "lorem"[: _HUGE % 12], "ansi": _ESCAPES, "silent": ""}


def _check_fault(fault: str | None) -> None:
    name, _, argument = (fault or "hang").partition(":")
    known = name in FAULTS or (name.isdigit() and 400 <= int(name) <= 599)
    if not known or (argument and not argument.replace(".", "", 1).isdigit()):
        raise UsageError(f"fault {fault!r}: expected one of {', '.join(FAULTS)}, or None")
