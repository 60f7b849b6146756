"""Backends without a model: deterministic, instant, and with everything a real one returns.

Four kinds, for tests and for trying things out: ``ScriptedBackend`` says what it was told to, ``EchoBackend`` repeats the
user, ``RulesBackend`` answers as a function of the conversation, ``ChainBackend`` writes a reasoning chain, block by block. All
count, cut and stop like an engine: a token is a word or a sign, with its leading space.

A continuation goes on from the tokens of the completion before, and the fake sees its text as the assistant's last message.
Asked for JSON, a fake writes a text that fits where the schema is made of objects and numbers, and else returns an error as data;
the scripted one says its line all the same.
"""

from __future__ import annotations

import abc
import functools
import itertools
import json
import re
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from gtalign_env.agents.backends.prompts import NOTHING, check_conversation, cut_at_stop, plain_prompt
from gtalign_env.errors import ModelError, UnknownNameError, UsageError
from gtalign_env.protocols import Continuation, Conversation, Generation, Sampling

__all__ = [
    "CHAIN",
    "DEFAULT_RULES",
    "REPLIES",
    "ChainBackend",
    "EchoBackend",
    "RulesBackend",
    "ScriptedBackend",
    "fake_backend",
]

_TOKEN = re.compile(r"\s*(?:\w+|[^\w\s])|\s+")
_SEAM = re.compile(r"(?<=\S)(?=\n)")
"""Where lines can be parted: no token goes over it, so a prompt's lines are read one by one, and those of old known again."""
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

CHAIN: tuple[tuple[str, str], ...] = (
    ("thinking", "The question has several readings, and I do not know which one is meant."),
    ("payoff", "{}"),
    ("analyze", "Asking costs little and saves a wrong answer."),
    ("response", "Which one do you mean?"),
)
"""The blocks that ``fake:chain`` writes, in order. Asked for JSON, it writes its payoffs by the schema instead, and by the
cells' keys where it is told these; where it has written payoffs, its analysis ends with the cell that it chooses."""

_ANSWER = "The answer is the one that fits your question."
_PADDING = (
    "Most people who look into this come to the same result after a little while. "
    "Two things matter here: where you begin, and how far you would like to go from there. "
    "A careful reader checks both of them against an old book or a good map. "
    "Whoever is in a hurry can leave the details for another day, since none of them changes what was said first. "
    "Numbers, names and dates differ between sources, yet never by much. "
    "If something should look odd to you later on, come back with it and we go through every step once more."
)
REPLIES: dict[str, str] = {
    "CQ": "Which one do you mean?",
    "DECLINE": "I can't help with that. I can tell you how to stay safe instead.",
    "DA_short": _ANSWER,
    "DA_medium": f"{_ANSWER} {_PADDING}",
    "DA_long": f"{_ANSWER} {_PADDING}\n\n{_PADDING}\n\n{_PADDING}",
}
"""What ``fake:chain`` says for a move that its chain has announced; behind an ``AQ`` comes a question."""
REPLIES |= {
    f"AQ{name[2:]}": f"{text} Would you like an example?" for name, text in REPLIES.items() if name[:3] == "DA_"
}

_CHOICE = re.compile(r"\bchoice: [^|\n]+\|(\w+)")
_KEY = re.compile(r'"([^"|\n]+\|[^"\n]+)"(?=[,.])')
"""A cell's key in a list of them."""
_CELL = {"properties": {side: {"type": "number", "minimum": -5, "maximum": 5} for side in ("user", "assistant")}}

Messages = Sequence[Mapping[str, str]]


class _Fake(abc.ABC):
    """What the fakes share: the form of a generation."""

    name = "fake"

    @abc.abstractmethod
    def reply(self, conversation: Messages) -> str:
        """Return the whole reply, before stop strings and the token limit."""

    def generate(self, conversations: Sequence[Conversation | Continuation], sampling: Sampling) -> list[Generation]:
        """Continue each conversation with one assistant message (temperature and seed change nothing)."""
        return [self._one(conversation, sampling) for conversation in conversations]

    def count_tokens(self, text: str) -> int:
        """Return the number of words and signs in ``text``."""
        return len(_pieces(text))

    def written(self, conversation: Messages, sampling: Sampling) -> str:
        """Return the whole reply, or JSON where JSON is asked for.

        Raises:
            ModelError: The schema is more than a fake can do.
        """
        return _example(sampling.json_schema, conversation) if sampling.json_schema else self.reply(conversation)

    def _one(self, asked: Any, sampling: Sampling) -> Generation:
        conversation, prompt, prompt_ids = _begun(asked)
        try:
            text, stopped = cut_at_stop(reply := self.written(conversation, sampling), sampling.stop)
            error = "" if text.strip() else NOTHING
        except ModelError as failure:
            text, stopped, reply, error = "", False, "", str(failure)
        if stopped:
            behind = reply[len(text) :]
            reply = text + max((stop for stop in sampling.stop if behind.startswith(stop)), key=len)
        pieces = _pieces(reply)
        kept = pieces[: sampling.max_tokens]
        sampled = "".join(kept)
        return Generation(
            text=cut_at_stop(sampled, sampling.stop)[0],
            token_ids=_ids(kept),
            logprobs=(0.0,) * len(kept),
            finish_reason="error" if error else "length" if len(kept) < len(pieces) else "stop",
            error=error,
            prompt_tokens=len(prompt_ids),
            prompt=prompt,
            sampled=sampled,
            prompt_ids=prompt_ids,
            conversation=tuple(conversation),
        )


class ScriptedBackend(_Fake):
    """Says the given replies one after the other, then from the beginning again.

    Every call takes the next line for each conversation, a continuation as well: the script of a chain that is halted and
    resumed has a line for each part.

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

    def written(self, conversation: Messages, sampling: Sampling) -> str:
        """Return the next line; whether it fits a schema is up to who wrote it."""
        return self.reply(conversation)


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


class ChainBackend(_Fake):
    """Writes a reasoning chain: what is missing of it, given what the assistant has written so far.

    It depends on the conversation alone, so it fits any order of calls: one that writes the whole chain, one that halts at a
    closing tag, is given the next block and goes on, one that asks for the payoffs as JSON.

    Args:
        blocks: Pairs (name, text), in order, ``CHAIN`` where left out; or a function from the conversation to them. Inside the
            chain the conversation is the one before it.
        good: Whether it writes payoffs by the keys that the system message lists, chooses a cell, and says what the chosen move
            is (``REPLIES``), where the blocks are left out. Else it writes them as they stand: a model that gets its matrix right
            only when it is held to the form, and asks whatever it has announced.

    Example:
        >>> backend = ChainBackend([("payoff", "[]"), ("response", "Yes.")])
        >>> first = backend.generate([[{"role": "user", "content": "Well?"}]], Sampling(stop=("</payoff>",)))[0]
        >>> first.text
        '<payoff>[]'
        >>> backend.generate([Continuation(after=first, text="<response>")], Sampling())[0].text
        'Yes.</response>'
    """

    def __init__(
        self,
        blocks: Sequence[tuple[str, str]] | Callable[[Messages], Sequence[tuple[str, str]]] = CHAIN,
        *,
        good: bool = True,
    ) -> None:
        self.name = "fake:chain" if good else "fake:chain=bad"
        self._blocks = blocks if callable(blocks) else lambda _: blocks
        self._own = blocks is CHAIN
        self._good = good

    def reply(self, conversation: Messages) -> str:
        """Return the rest of the chain."""
        return "\n".join(self._rest(conversation))

    def written(self, conversation: Messages, sampling: Sampling) -> str:
        """Return the rest of the chain as far as it is asked for.

        Asked for JSON, it is the payoffs that were given if there are any, or else some that fit.
        """
        if sampling.json_schema:
            given = dict(self._chain(conversation)[0]).get("payoff", "{}")
            return given if given != "{}" else super().written(conversation, sampling)
        if self._own and _asked_plainly(conversation):
            return CHAIN[-1][1]
        pieces: list[str] = []
        for piece in self._rest(conversation):
            pieces.append(piece)
            if any(stop in piece for stop in sampling.stop):
                break
        return "\n".join(pieces)

    def _rest(self, conversation: Messages) -> Iterator[str]:
        """Yield what is missing of the blocks: one that is open is finished, one that is closed is left out."""
        blocks, so_far = self._chain(conversation)
        stated = so_far
        for name, text in blocks:
            opening, closing = f"<{name}>", f"</{name}>"
            _, opened, inside = so_far.rpartition(opening)
            if opened and closing in inside:
                continue
            if self._own and name == "payoff" and self._good:
                text = _by_keys(conversation) or text
            if self._own and name == "response" and self._good:
                text = _announced(stated) or text
            if self._own and name == "analyze" and (cell := _best_cell(stated, asks=not self._good)):
                text = f"{text}\nchoice: {cell}"
            begun = inside.lstrip() if opened else ""
            piece = f"{text[len(begun) :] if text.startswith(begun) else ''}{closing}"
            yield piece if opened else f"{opening}{piece}"
            stated += f"{opening}{text}{closing}"

    def _chain(self, conversation: Messages) -> tuple[Sequence[tuple[str, str]], str]:
        """Return the blocks, and what is written of them."""
        resumed = conversation[-1]["role"] == "assistant"
        return self._blocks(conversation[:-1] if resumed else conversation), conversation[-1]["content"] * resumed


def fake_backend(which: str) -> _Fake:
    """Build a fake from the second half of its spec: ``echo``, ``rules``, ``chain``, ``chain=bad`` or ``scripted=ONE|TWO``.

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
    if which in ("chain", "chain=bad"):
        return ChainBackend(good=which == "chain")
    raise UnknownNameError("fake backend", which, ["chain", "chain=bad", "echo", "rules", "scripted=ONE|TWO"])


def _begun(asked: Any) -> tuple[list[dict[str, str]], str, tuple[int, ...]]:
    """Return the conversation, the prompt and its token ids; those of a continuation are those before, and the new ones."""
    if not isinstance(asked, Continuation):
        conversation = check_conversation(asked)
        prompt = plain_prompt(conversation)
        return conversation, prompt, tuple(itertools.chain.from_iterable(map(_line_ids, _SEAM.split(prompt))))
    before = asked.after.conversation[:-1] if asked.prefill else asked.after.conversation
    conversation = check_conversation([*before, {"role": "assistant", "content": asked.written}])
    prompt = asked.after.prompt + asked.after.sampled + asked.text
    return conversation, prompt, asked.after.prompt_ids + asked.after.token_ids + _ids(_TOKEN.findall(asked.text))


@functools.lru_cache(maxsize=1024)
def _pieces(text: str) -> tuple[str, ...]:
    return tuple(_TOKEN.findall(text))


def _ids(pieces: Sequence[str]) -> tuple[int, ...]:
    return tuple(map(_id, pieces))


@functools.lru_cache(maxsize=4096)
def _line_ids(line: str) -> tuple[int, ...]:
    return _ids(_TOKEN.findall(line))


@functools.lru_cache(maxsize=_VOCABULARY)
def _id(piece: str) -> int:
    return zlib.crc32(piece.encode()) % _VOCABULARY


def _asked_plainly(conversation: Messages) -> bool:
    """Whether somebody says how to reply, and asks for no chain; one that is begun goes on."""
    if conversation[-1]["role"] == "assistant":
        return False
    told = [turn["content"] for turn in conversation if turn["role"] == "system"]
    return bool(told) and not any("payoff" in text or _KEY.search(text) for text in told)


def _announced(so_far: str) -> str:
    """Return words for the move that a chain has chosen; empty where it has chosen none, or one that is no reply."""
    chosen = _CHOICE.findall(so_far)
    move = chosen[-1] if chosen else ""
    return REPLIES.get(move) or REPLIES.get(f"{move}_short", "")


def _best_cell(so_far: str, *, asks: bool) -> str:
    """Return the key of the stated cell to choose: that with the highest sum; ``asks``: of those in which it asks, if any."""
    payoff = so_far.rpartition("<payoff>")[2].partition("</payoff>")[0]
    try:
        sums = {key: sum(map(float, sides.values())) for key, sides in json.loads(payoff).items()}
    except (ValueError, TypeError, AttributeError):
        return ""
    return max(sums, key=lambda key: (asks and key.endswith("|CQ"), sums[key]), default="")


def _example(schema: str, conversation: Messages) -> str:
    """Return JSON text that fits a schema of objects and numbers; the numbers follow from the conversation."""
    try:
        made = _value(_read_schema(schema), _mark(conversation))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(
            f"a fake writes JSON for objects with properties and for numbers only; this schema has something else ({error})"
        ) from None
    return json.dumps(made)


def _by_keys(conversation: Messages) -> str:
    """Return payoffs for the cells that a system message lists; empty where it lists none."""
    keys = [key for turn in conversation if turn["role"] == "system" for key in _KEY.findall(turn["content"])]
    return json.dumps(_value({"properties": dict.fromkeys(keys, _CELL)}, _mark(conversation))) if keys else ""


def _mark(conversation: Messages) -> int:
    return zlib.crc32(json.dumps([dict(turn) for turn in conversation]).encode())


_read_schema = functools.lru_cache(maxsize=64)(json.loads)


def _value(schema: Mapping[str, Any], mark: int) -> Any:
    """Return an object or number; ``mark`` is the checksum of the conversation and of the names down to here."""
    if "properties" in schema:
        return {
            name: _value(inner, zlib.crc32(f"/{name}".encode(), mark)) for name, inner in schema["properties"].items()
        }
    if schema["type"] not in ("number", "integer"):
        raise ValueError(f"type {schema['type']!r}")
    low = int(schema.get("minimum", -5))
    return low + mark % (int(schema.get("maximum", max(5, low))) - low + 1)


def _first_match(rules: Sequence[tuple[str, str]]) -> Callable[[Messages], str]:
    compiled = [(re.compile(pattern, re.IGNORECASE), reply) for pattern, reply in rules]

    def reply(conversation: Messages) -> str:
        said = next((turn["content"] for turn in reversed(conversation) if turn["role"] == "user"), "")
        return next((answer for pattern, answer in compiled if pattern.search(said)), "")

    return reply
