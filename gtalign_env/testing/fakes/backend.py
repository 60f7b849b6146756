"""A language-model engine without a model: scripted, computed or echoing, and always the same."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from gtalign_env.errors import UsageError
from gtalign_env.protocols import Generation, Sampling

__all__ = ["FakeBackend"]

_TOKEN = re.compile(r"\s?\w+|\s?[^\w\s]|\s")
_VOCABULARY = 50_000

Conversation = Sequence[Mapping[str, str]]
Reply = str | Exception | Generation


class FakeBackend:
    """Implements ``gtalign_env.protocols.Backend`` deterministically and at once.

    A token is a word or a sign, with the space before it; its id is a checksum of its text. Replies are cut at
    ``sampling.max_tokens`` (finish reason ``"length"``) and before the first stop string, as an engine would.

    Args:
        replies: ``"echo"`` (repeat the last message), a list of replies that is gone through again and again in the order of
            the conversations, or a function of the conversation. A reply that is an exception becomes an error.
        name: What records call this backend.
        fail_at: Numbers of generated messages (counted from 0) that fail with finish reason ``"error"``.

    Raises:
        UsageError: The list of replies is empty, or ``replies`` is something else.

    Example:
        >>> backend = FakeBackend(["Canberra.", RuntimeError("out of memory")])
        >>> done = backend.generate([[{"role": "user", "content": "Capital?"}]] * 2, Sampling())
        >>> [(reply.text, reply.finish_reason, reply.error) for reply in done]
        [('Canberra.', 'stop', ''), ('', 'error', 'RuntimeError: out of memory')]
        >>> backend.count_tokens("Canberra."), len(done[0].token_ids)
        (2, 2)
    """

    def __init__(
        self,
        replies: str | Sequence[Reply] | Callable[[Conversation], Reply] = "echo",
        *,
        name: str = "fake",
        fail_at: Collection[int] = (),
    ) -> None:
        if isinstance(replies, str):
            if replies != "echo":
                raise UsageError(f"FakeBackend replies: expected 'echo', a list or a function, got {replies!r}")
        elif not callable(replies) and not (isinstance(replies, Sequence) and len(replies)):
            raise UsageError(f"FakeBackend replies: expected 'echo', a non-empty list or a function, got {replies!r}")
        self.name = name
        self.replies = replies
        self.fail_at = frozenset(fail_at)
        self.calls: list[tuple[list[list[dict[str, str]]], Sampling]] = []
        """What every call of ``generate`` was given, for assertions."""
        self.generated = 0
        """How many messages have been generated."""

    def generate(self, conversations: Sequence[Conversation], sampling: Sampling) -> list[Generation]:
        """Continue each conversation with one message."""
        self.calls.append(([[dict(message) for message in talk] for talk in conversations], sampling))
        return [self._continue(talk, sampling) for talk in conversations]

    def count_tokens(self, text: str) -> int:
        """Return the number of tokens in ``text``."""
        return len(self.tokenize(text))

    def tokenize(self, text: str) -> list[int]:
        """Return the ids of the tokens in ``text``."""
        return [zlib.crc32(token.encode("utf-8", "surrogatepass")) % _VOCABULARY for token in _TOKEN.findall(text)]

    def render(self, conversation: Conversation) -> str:
        """Return the prompt text of a conversation."""
        return "".join(f"{message['role']}: {message['content']}\n" for message in conversation) + "assistant:"

    # -- inside ---------------------------------------------------------------------------------------------------

    def _continue(self, talk: Conversation, sampling: Sampling) -> Generation:
        number = self.generated
        self.generated += 1
        prompt = self.render(talk)
        frame: dict[str, Any] = {"prompt": prompt, "prompt_tokens": self.count_tokens(prompt)}
        if number in self.fail_at:
            return Generation(
                text="", finish_reason="error", error=f"FakeBackend: message {number} was to fail", **frame
            )
        reply = self._reply(talk, number)
        if isinstance(reply, Generation):
            return reply
        if isinstance(reply, Exception):
            return Generation(text="", finish_reason="error", error=f"{type(reply).__name__}: {reply}", **frame)
        text, reason = self._cut(reply, sampling)
        ids = tuple(self.tokenize(text))
        return Generation(text=text, token_ids=ids, logprobs=(-1.0,) * len(ids), finish_reason=reason, **frame)

    def _reply(self, talk: Conversation, number: int) -> Reply:
        if isinstance(self.replies, str):
            return talk[-1]["content"] if talk else ""
        if callable(self.replies):
            try:
                return self.replies(talk)
            except Exception as error:  # noqa: BLE001 - a failing engine is what this stands for
                return error
        return self.replies[number % len(self.replies)]

    @staticmethod
    def _cut(reply: str, sampling: Sampling) -> tuple[str, str]:
        ends = [reply.index(stop) for stop in sampling.stop if stop in reply]
        stopped = reply[: min(ends)] if ends else reply
        tokens = _TOKEN.findall(stopped)
        if len(tokens) > sampling.max_tokens:
            return "".join(tokens[: sampling.max_tokens]), "length"
        return stopped, "stop"
