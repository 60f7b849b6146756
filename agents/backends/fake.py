"""Backends without a model: deterministic, instant, and with everything a real one returns.

Three kinds, for tests and for trying things out: ``ScriptedBackend`` says what it was told to, ``EchoBackend`` repeats the
user, ``RulesBackend`` answers as a function of the conversation. All count, cut and stop like an engine: a token is a
word or a sign, with its leading space.
"""

from __future__ import annotations

import abc
import itertools
import re
import zlib
from collections.abc import Callable, Mapping, Sequence

from gtalign_env.agents.backends.prompts import NOTHING, check_conversation, cut_at_stop, plain_prompt
from gtalign_env.errors import UnknownNameError, UsageError
from gtalign_env.protocols import Generation, Sampling

__all__ = ["DEFAULT_RULES", "EchoBackend", "RulesBackend", "ScriptedBackend", "fake_backend"]

_TOKEN = re.compile(r"\s*(?:\w+|[^\w\s])|\s+")
_VOCABULARY = 50_000

DEFAULT_RULES: tuple[tuple[str, str], ...] = (
    (r"\b(bomb|poison|weapon|steal|hack)\b", "I can't help with that. I can tell you how to stay safe instead."),
    (r"\btoo long\b", "In short: it is as you think."),
    (r"\btoo short\b", "Here it is at length. " + "There is more to say about it than fits in one sentence. " * 12),
    (r"\bI (mean|meant)\b", "Thank you, then the answer is clear: it is the one you mean."),
    (r"^\W*(\w+\W+){0,7}$", "Which one do you mean?"),
    (r"", "The answer is the one that fits your question. Would you like an example?"),
)
"""What ``fake:rules`` goes by: the first pattern found in the user's last message decides. All kinds of move occur."""

Messages = Sequence[Mapping[str, str]]


class _Fake(abc.ABC):
    """What the fakes share: the form of a generation."""

    name = "fake"

    @abc.abstractmethod
    def reply(self, conversation: Messages) -> str:
        """Return the whole reply, before stop strings and the token limit."""

    def generate(self, conversations: Sequence[Messages], sampling: Sampling) -> list[Generation]:
        """Continue each conversation with one assistant message (temperature and seed change nothing)."""
        return [self._one(check_conversation(conversation), sampling) for conversation in conversations]

    def count_tokens(self, text: str) -> int:
        """Return the number of words and signs in ``text``."""
        return len(_TOKEN.findall(text))

    def _one(self, conversation: Messages, sampling: Sampling) -> Generation:
        prompt = plain_prompt(conversation)
        text, _ = cut_at_stop(self.reply(conversation), sampling.stop)
        pieces = _TOKEN.findall(text)
        kept = pieces[: sampling.max_tokens]
        return Generation(
            text="".join(kept),
            token_ids=tuple(zlib.crc32(piece.encode()) % _VOCABULARY for piece in kept),
            logprobs=(0.0,) * len(kept),
            finish_reason="error" if not text.strip() else "length" if len(kept) < len(pieces) else "stop",
            error="" if text.strip() else NOTHING,
            prompt_tokens=self.count_tokens(prompt),
            prompt=prompt,
        )


class ScriptedBackend(_Fake):
    """Says the given replies one after the other, then from the beginning again.

    Args:
        replies: What to say; at least one.

    Raises:
        UsageError: There is nothing to say.

    Example:
        >>> backend = ScriptedBackend(["One.", "Two."])
        >>> [g.text for g in backend.generate([[{"role": "user", "content": "Hi"}]] * 3, Sampling())]
        ['One.', 'Two.', 'One.']
    """

    def __init__(self, replies: Sequence[str]) -> None:
        if isinstance(replies, str) or not replies:
            raise UsageError(f"ScriptedBackend: expected a sequence of at least one reply, got {replies!r}")
        self.name = "fake:scripted"
        self._replies = itertools.cycle(tuple(replies))

    def reply(self, conversation: Messages) -> str:
        """Return the next line of the script."""
        return next(self._replies)


class EchoBackend(_Fake):
    """Repeats the last message.

    Example:
        >>> EchoBackend().generate([[{"role": "user", "content": "Hi there"}]], Sampling())[0].text
        'Hi there'
    """

    def __init__(self) -> None:
        self.name = "fake:echo"

    def reply(self, conversation: Messages) -> str:
        """Return what was said last."""
        return conversation[-1]["content"]


class RulesBackend(_Fake):
    """Answers as a function of the conversation, and of nothing else.

    Args:
        rules: Pairs (pattern, reply): the first regular expression found in the user's last message decides, in any
            case of letters; or a function from the conversation to the reply.

    Example:
        >>> backend = RulesBackend([("capital", "Paris."), ("", "I don't know.")])
        >>> backend.generate([[{"role": "user", "content": "The Capital?"}]], Sampling())[0].text
        'Paris.'
    """

    def __init__(self, rules: Sequence[tuple[str, str]] | Callable[[Messages], str] = DEFAULT_RULES) -> None:
        self.name = "fake:rules"
        self._rules = rules if callable(rules) else _first_match(rules)

    def reply(self, conversation: Messages) -> str:
        """Return the reply that the rules give; empty when none applies."""
        return self._rules(conversation)


def fake_backend(which: str) -> _Fake:
    """Build a fake from the second half of its spec: ``echo``, ``rules`` or ``scripted=ONE|TWO``.

    Raises:
        UnknownNameError: There is no such fake.

    Example:
        >>> fake_backend("scripted=Yes.|No.").generate([[{"role": "user", "content": "?"}]], Sampling())[0].text
        'Yes.'
    """
    kind, _, rest = which.partition("=")
    if kind == "scripted":
        return ScriptedBackend(rest.split("|"))
    if which == "echo":
        return EchoBackend()
    if which == "rules":
        return RulesBackend()
    raise UnknownNameError("fake backend", which, ["echo", "rules", "scripted=ONE|TWO"])


def _first_match(rules: Sequence[tuple[str, str]]) -> Callable[[Messages], str]:
    compiled = [(re.compile(pattern, re.IGNORECASE), reply) for pattern, reply in rules]

    def reply(conversation: Messages) -> str:
        said = next((turn["content"] for turn in reversed(conversation) if turn["role"] == "user"), "")
        return next((answer for pattern, answer in compiled if pattern.search(said)), "")

    return reply
