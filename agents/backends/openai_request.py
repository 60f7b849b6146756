"""What a server is asked: the body of a request, in one of two dialects.

``"openai"`` keeps to what every compatible server takes. ``"vllm"`` asks for more: the token ids of prompt and
completion, their log-probabilities, the stop string in the text, the prompt as the chat template made it, and sampling
that is not changed by what the model's own configuration says.
"""

from __future__ import annotations

import collections
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from gtalign_env.agents.backends.json_grammar import json_grammar
from gtalign_env.agents.backends.prompts import PLAIN_STOPS, plain_prompt
from gtalign_env.errors import UsageError
from gtalign_env.protocols import Continuation, Sampling

__all__ = [
    "Request",
    "chat_request",
    "check_schema",
    "ids_request",
    "plain_request",
    "row_seeds",
    "sampled_ids",
    "settings",
    "whole",
]

Messages = Sequence[Mapping[str, str]]


class Request(NamedTuple):
    """One row's request."""

    chat: bool
    """Whether it goes to ``/chat/completions``, or else to ``/completions``."""
    what: dict[str, Any]
    """``messages`` or ``prompt``, and what goes with them."""
    conversation: tuple[Mapping[str, str], ...]
    prompt: str
    """The prompt as text, as far as we know it."""
    stops: tuple[str, ...]


def chat_request(messages: Messages, sampling: Sampling, *, resume: bool) -> Request:
    """Ask for the next message; with ``resume``, vLLM is told to go on with an assistant's message that stands last.

    Example:
        >>> chat_request([{"role": "user", "content": "Hi"}], Sampling(), resume=True).what
        {'messages': [{'role': 'user', 'content': 'Hi'}]}
    """
    sent = [{"role": turn["role"], "content": whole(turn["content"])} for turn in messages]
    what: dict[str, Any] = {"messages": sent}
    if resume and sent[-1]["role"] == "assistant":
        what |= {"continue_final_message": True, "add_generation_prompt": False}
    return Request(True, what, tuple(sent), json.dumps(sent, ensure_ascii=False), _filled(sampling.stop))


def plain_request(messages: Messages, sampling: Sampling, *, prompt: str = "") -> Request:
    r"""Ask for the continuation of a dialogue that is written out as text; ``prompt`` is that text where it is known.

    Example:
        >>> plain_request([{"role": "user", "content": "Hi"}], Sampling()).stops
        ('\nUser:', '\nAssistant:')
    """
    prompt = whole(prompt or plain_prompt(messages))
    stops = _filled((*sampling.stop, *PLAIN_STOPS))
    return Request(False, {"prompt": prompt}, tuple(messages), prompt, stops)


def ids_request(
    continuation: Continuation, messages: Messages, text_ids: Sequence[int], stops: Sequence[str]
) -> Request:
    """Ask a server that takes token ids to go on from the very ids of ``continuation.after``, and then ``text_ids``."""
    after = continuation.after
    ids = [*after.prompt_ids, *sampled_ids(continuation), *text_ids]
    prompt = after.prompt + after.sampled + continuation.text
    return Request(False, {"prompt": ids}, tuple(messages), prompt, _filled(stops))


def sampled_ids(continuation: Continuation) -> tuple[int, ...]:
    """Return the sampled ids that are gone on with: all but a token that ended the text.

    A completion that stopped without a stop string was ended by such a token, and it must not stand inside a text.

    Example:
        >>> from gtalign_env.protocols import Generation
        >>> sampled_ids(Continuation(after=Generation(text="4", sampled="4", token_ids=(8, 2))))
        (8,)
        >>> sampled_ids(Continuation(after=Generation(text="4", sampled="4.", token_ids=(8, 9))))
        (8, 9)
    """
    after = continuation.after
    ended = after.finish_reason == "stop" and after.text == after.sampled
    return after.token_ids[:-1] if ended else after.token_ids


def settings(
    sampling: Sampling,
    request: Request,
    *,
    vllm: bool,
    stream: bool,
    seed: int,
    limit: str = "max_tokens",
    grammar: bool = False,
) -> dict[str, Any]:
    """Return all other fields of the body.

    Args:
        sampling: How to sample.
        request: What is asked.
        vllm: Whether the server speaks vLLM's dialect.
        stream: Whether the answer comes in events. Without vLLM, stop strings are then left to the reader of the stream.
        seed: The row's own seed.
        limit: The name of the field for ``max_tokens``.
        grammar: Whether a JSON schema is sent as our own grammar for short texts (``json_grammar``): a schema leaves white space
            free, and a small model uses it. vLLM's servers read it.

    Example:
        >>> ask = chat_request([{"role": "user", "content": "Hi"}], Sampling(), resume=False)
        >>> settings(Sampling(max_tokens=9), ask, vllm=False, stream=False, seed=1)
        {'max_tokens': 9, 'temperature': 0.0, 'top_p': 1.0, 'seed': 1}
    """
    body: dict[str, Any] = {
        limit: sampling.max_tokens,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "seed": seed,
    }
    if request.stops and (vllm or not stream):
        body["stop"] = list(request.stops)
    if stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    if sampling.json_schema and grammar:
        body["structured_outputs"] = {"grammar": json_grammar(sampling.json_schema)}
    elif sampling.json_schema:
        schema = {"name": "reply", "schema": json.loads(sampling.json_schema), "strict": True}
        body["response_format"] = {"type": "json_schema", "json_schema": schema}
    if vllm:
        body |= {"top_k": 0, "min_p": 0.0, "repetition_penalty": 1.0, "return_token_ids": True}
        body["logprobs"] = True if request.chat else 0
        if request.chat:
            body["return_prompt_text"] = True
        if request.stops:
            body["include_stop_str_in_output"] = True
    return body


def check_schema(sampling: Sampling) -> None:
    """Make sure that the JSON schema, where there is one, is a JSON object.

    Raises:
        UsageError: It is not.

    Example:
        >>> check_schema(Sampling(json_schema='{"type": "object"}'))
    """
    try:
        fits = not sampling.json_schema or isinstance(json.loads(sampling.json_schema), dict)
    except ValueError:
        fits = False
    if not fits:
        raise UsageError(f"json_schema: expected the JSON text of a schema, got {sampling.json_schema[:80]!r}")


def _filled(stops: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(stop for stop in stops if stop))


def row_seeds(conversations: Sequence[Messages], seed: int | Sequence[int]) -> list[int]:
    """Return a seed in [0, 2^31) for each row: from the call's seed (or the row's), the conversation, and how often both came.

    So a row is sampled the same in any company, and equal prompts still get different samples.

    Example:
        >>> hi, ho = ([{"role": "user", "content": said}] for said in ("hi", "ho"))
        >>> one, two, three = row_seeds([hi, ho, hi], seed=0)
        >>> one == row_seeds([hi], seed=0)[0], one == three
        (True, False)
    """
    given = [seed] * len(conversations) if isinstance(seed, int) else seed
    seen: collections.Counter[tuple[int, str]] = collections.Counter()
    seeds = []
    for conversation, first in zip(conversations, given, strict=True):
        key = json.dumps([(turn["role"], turn["content"]) for turn in conversation])
        digest = hashlib.blake2b(f"{first}/{seen[first, key]}/{key}".encode(), digest_size=4).digest()
        seeds.append(int.from_bytes(digest, "little") >> 1)
        seen[first, key] += 1
    return seeds


def whole(text: str) -> str:
    r"""Return text that can be encoded: halves of a surrogate pair are joined, single ones become ``\ufffd``.

    Example:
        >>> whole("\ud83d\ude00 \ud83d!") == "\U0001f600 \ufffd!"
        True
    """
    if text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
