"""What an OpenAI-compatible server answers, as data: completions, chunks of a stream, errors; with and without vLLM's additions.

A token is a word or a sign, with the space before it; its id is a checksum of its text. ``openai_server`` serves this.
"""

from __future__ import annotations

import dataclasses
import json
import re
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

from gtalign_env.testing.grammar_forms import grammar_instance

__all__ = ["Answer", "Asked", "body", "chunks", "error", "instance", "minimal_json", "pieces", "token_id"]

_TOKEN = re.compile(r"\s*\w+|\s*[^\w\s]|\s+")
_VOCABULARY = 2**31


@dataclasses.dataclass(frozen=True, kw_only=True)
class Asked:
    """One request.

    Example:
        >>> Asked(number=0, path="/v1/completions", body={}, prompt="User: Hi", prompt_ids=()).chat
        False
    """

    number: int
    """How many came before it."""
    path: str
    body: Mapping[str, Any]
    """The JSON that was sent."""
    prompt: str
    """The prompt as text: the conversation written out, or what the ids stand for."""
    prompt_ids: tuple[int, ...]

    @property
    def chat(self) -> bool:
        """Whether it is a conversation."""
        return self.path.endswith("/chat/completions")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Answer:
    """One completion."""

    tokens: tuple[str, ...]
    """What was sampled, the stop string included."""
    text: str
    """What is shown of it."""
    finish: str = "stop"
    stop_reason: str | None = None


def pieces(text: str) -> tuple[str, ...]:
    """Return the tokens of a text.

    Example:
        >>> pieces("How far, then?")
        ('How', ' far', ',', ' then', '?')
    """
    return tuple(_TOKEN.findall(text))


def token_id(piece: str) -> int:
    """Return the id of a token.

    Example:
        >>> token_id("far") == token_id("far"), token_id("far") == token_id(" far")
        (True, False)
    """
    return zlib.crc32(piece.encode("utf-8", "surrogatepass")) % _VOCABULARY


def body(asked: Asked, answer: Answer, *, vllm: bool) -> dict[str, Any]:
    """Return the whole answer in one body, as ``/chat/completions`` or ``/completions`` has it."""
    choice: dict[str, Any] = {"index": 0, "finish_reason": answer.finish, "logprobs": None}
    if asked.chat:
        choice["message"] = {"role": "assistant", "content": answer.text}
    else:
        choice["text"] = answer.text
    made = _frame(asked, stream=False) | {"choices": [choice], "usage": _usage(asked, answer)}
    if vllm:
        choice |= {"stop_reason": answer.stop_reason} | _tokens(asked, answer.tokens)
        if asked.body.get("return_token_ids"):
            (made if asked.chat else choice)["prompt_token_ids"] = list(asked.prompt_ids)
        if asked.chat and asked.body.get("return_prompt_text"):
            made["prompt_text"] = asked.prompt
    return made


def chunks(asked: Asked, answer: Answer, *, vllm: bool) -> Iterator[dict[str, Any]]:
    """Yield the chunks of a stream: one for each token, one with the finish reason, and the usage where it was asked for."""
    frame = _frame(asked, stream=True)
    shown = list(pieces(answer.text)) or [""]
    for place, piece in enumerate(shown):
        choice: dict[str, Any] = {"index": 0, "finish_reason": None, "logprobs": None}
        choice |= _delta(asked, piece)
        made = frame | {"choices": [choice]}
        if vllm:
            last = place == len(shown) - 1
            choice |= _tokens(asked, answer.tokens[place:] if last else answer.tokens[place : place + 1])
            if not place and asked.body.get("return_token_ids"):
                (made if asked.chat else choice)["prompt_token_ids"] = list(asked.prompt_ids)
            if not place and asked.chat and asked.body.get("return_prompt_text"):
                made["prompt_text"] = asked.prompt
        yield made
    end: dict[str, Any] = {"index": 0, "finish_reason": answer.finish, "logprobs": None}
    end |= _delta(asked, "")
    if vllm:
        end["stop_reason"] = answer.stop_reason
    yield frame | {"choices": [end]}
    if (asked.body.get("stream_options") or {}).get("include_usage"):
        yield frame | {"choices": [], "usage": _usage(asked, answer)}


def error(message: str, *, kind: str = "invalid_request_error", code: str | None = None) -> dict[str, Any]:
    """Return the body of an error.

    Example:
        >>> error("No.")["error"]["message"]
        'No.'
    """
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def instance(schema: Mapping[str, Any]) -> Any:
    """Return a small value that fits a JSON schema of objects, arrays, numbers, strings, booleans and listed values.

    Example:
        >>> instance({"type": "object", "properties": {"a": {"type": "number", "minimum": 2}, "b": {"enum": ["x"]}}})
        {'a': 2, 'b': 'x'}
    """
    if "const" in schema or schema.get("enum"):
        return schema.get("const", next(iter(schema.get("enum", ())), None))
    kind = schema.get("type", "object")
    if kind == "object":
        return {name: instance(part) for name, part in schema.get("properties", {}).items()}
    if kind == "array":
        return [instance(schema.get("items", {}))] * int(schema.get("minItems", 0))
    if kind in ("number", "integer"):
        return schema.get("minimum", schema.get("maximum", 0))
    if kind == "string":
        return "x" * int(schema.get("minLength", 0))
    return False if kind == "boolean" else None


def minimal_json(request: Mapping[str, Any]) -> str | None:
    """Return a text that fits the JSON schema of a request, or its grammar; ``None`` where there is none.

    Example:
        >>> minimal_json({"response_format": {"type": "json_schema", "json_schema": {"schema": {"type": "integer"}}}})
        '0'
    """
    grammar = (request.get("structured_outputs") or {}).get("grammar")
    if grammar is not None:
        return grammar_instance(grammar)
    wanted = (request.get("response_format") or {}).get("json_schema")
    return None if wanted is None else json.dumps(instance(wanted.get("schema") or {}))


def _frame(asked: Asked, *, stream: bool) -> dict[str, Any]:
    kind = ("chat.completion.chunk" if stream else "chat.completion") if asked.chat else "text_completion"
    return {"id": f"loopback-{asked.number}", "object": kind, "created": 0, "model": asked.body.get("model", "")}


def _delta(asked: Asked, piece: str) -> dict[str, Any]:
    return {"delta": {"content": piece}} if asked.chat else {"text": piece}


def _usage(asked: Asked, answer: Answer) -> dict[str, int]:
    prompt, completion = len(asked.prompt_ids), len(answer.tokens)
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def _tokens(asked: Asked, tokens: tuple[str, ...]) -> dict[str, Any]:
    """Return ids and log-probabilities (-1 each) where they were asked for."""
    made: dict[str, Any] = {}
    if asked.body.get("return_token_ids"):
        made["token_ids"] = [token_id(token) for token in tokens]
    wanted = asked.body.get("logprobs")
    if wanted is None or wanted is False:
        return made
    if asked.chat:
        made["logprobs"] = {"content": [{"token": token, "logprob": -1.0, "top_logprobs": []} for token in tokens]}
    else:
        made["logprobs"] = {"tokens": list(tokens), "token_logprobs": [-1.0] * len(tokens)}
    return made
