"""From a conversation to the token ids that a model is given.

With a chat template the tokenizer says how. Without one the conversation is written out as a plain dialogue, and the
model is stopped where the next turn would begin. Either way: exactly one BOS where the model wants one, nothing that a
player writes is taken for a control token, and a conversation that is too long loses its oldest turns, with a note.

Nothing here needs torch.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from gtalign_env.errors import ModelError, UsageError

__all__ = [
    "NOTHING",
    "PLAIN_STOPS",
    "TOO_LONG",
    "Prompt",
    "Prompter",
    "check_conversation",
    "cut_at_stop",
    "plain_prompt",
]

Message = Mapping[str, str]

PLAIN_STOPS: tuple[str, ...] = ("\nUser:", "\nAssistant:")
"""Where a reply ends when there is no chat template: at the next turn of either speaker."""

NOTHING = "the model wrote nothing before it stopped"
"""What the error of an empty completion says."""

TOO_LONG = "the prompt is longer than the context"
"""How the error of a prompt begins that no engine can take: what is left when old turns are left out does not fit."""

_ROLES = ("system", "user", "assistant")
_NAMES = {"user": "User", "assistant": "Assistant"}
_SETTING = "This is a chat between a User and an Assistant."
_MANNER = "The Assistant is friendly, knows a lot, and gives short and accurate replies."
_EXAMPLES = """
User: Which planet is the largest?
Assistant: Jupiter. It is about eleven times as wide as the Earth.

User: How tall is the tower?
Assistant: Which tower do you mean?
"""  # a model that was never tuned to chat falls silent, or talks to itself, about half the time without them
_FORGED_TURN = re.compile(r"^(?=(?:User|Assistant):)", re.MULTILINE)


class Prompt(NamedTuple):
    """What a model is given."""

    ids: list[int]
    text: str
    """The same as text, control tokens included."""
    note: str
    """What had to be left out; empty when nothing was."""


def check_conversation(conversation: Any) -> list[dict[str, str]]:
    """Return the conversation as fresh messages, or say what is wrong with it.

    Raises:
        UsageError: It is empty, or something in it is not ``{"role": …, "content": str}`` with a known role.

    Example:
        >>> check_conversation([{"role": "user", "content": "Hi", "name": "x"}])
        [{'role': 'user', 'content': 'Hi'}]
    """
    if isinstance(conversation, (str, Mapping)) or not isinstance(conversation, Sequence) or not conversation:
        raise UsageError(f"conversation: expected a list of at least one message, got {conversation!r}")
    for message in conversation:
        role, content = (
            (message.get("role"), message.get("content")) if isinstance(message, (dict, Mapping)) else (None, None)
        )
        if role not in _ROLES or not isinstance(content, str):
            raise UsageError(
                f"message: expected {{'role': one of {', '.join(_ROLES)}, 'content': a string}}, got {message!r}"
            )
    return [{"role": message["role"], "content": message["content"]} for message in conversation]


def plain_prompt(conversation: Sequence[Message]) -> str:
    """Write a conversation out as a dialogue that a model without a chat template can go on with.

    System messages become part of the preamble, which shows two exchanges: one question answered, one asked back. A
    last message of the assistant is left open, to be continued.

    Example:
        >>> lines = plain_prompt([{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hi"}]).splitlines()
        >>> lines[:2], lines[-2:]
        (['This is a chat between a User and an Assistant.', 'Be kind.'], ['User: Hi', 'Assistant:'])
    """
    system = [turn["content"].strip() for turn in conversation if turn["role"] == "system"]
    lines = [_SETTING, *(system or [_MANNER]), _EXAMPLES]
    turns = [turn for turn in conversation if turn["role"] != "system"]
    lines += [f"{_NAMES[turn['role']]}: {_FORGED_TURN.sub(' ', turn['content'].strip())}" for turn in turns]
    if not turns or turns[-1]["role"] != "assistant":
        lines.append("Assistant:")
    return "\n".join(lines)


def cut_at_stop(text: str, stops: Sequence[str]) -> tuple[str, bool]:
    r"""Return ``text`` up to the first stop string, and whether there was one.

    Example:
        >>> cut_at_stop("Paris.\nUser: thanks", PLAIN_STOPS)
        ('Paris.', True)
    """
    found = [index for index in (text.find(stop) for stop in stops if stop) if index >= 0]
    return (text[: min(found)], True) if found else (text, False)


class Prompter:
    r"""Writes prompts the way one tokenizer wants them.

    Args:
        tokenizer: A transformers tokenizer.
        bos: Whether the model wants a BOS token in front; the tokenizer must have one.

    Example:
        >>> class Letters:
        ...     chat_template, bos_token, bos_token_id, all_special_tokens = None, "^", 0, ["^"]
        ...     def encode(self, text, add_special_tokens):
        ...         return [0 if char == "^" else ord(char) for char in text]
        >>> prompt = Prompter(Letters(), bos=True).prompt([{"role": "user", "content": "Hi ^"}], room=500)
        >>> prompt.ids.count(0), prompt.text[-12:]
        (1, 'i\nAssistant:')
    """

    def __init__(self, tokenizer: Any, *, bos: bool) -> None:
        self.tokenizer = tokenizer
        self.bos = bos and tokenizer.bos_token_id is not None
        self.chat = bool(tokenizer.chat_template)
        self.stops = () if self.chat else PLAIN_STOPS
        self._control = _control_tokens(tokenizer)
        self._adds_space = self._ids("\na")[len(self._ids("\n")) :] != self._ids("a")

    def prompt(self, conversation: Sequence[Message], room: int, *, reserve: int = 0) -> Prompt:
        """Return the prompt for a conversation, in at most ``room`` tokens (> 0).

        Args:
            conversation: The messages.
            room: Most tokens.
            reserve: How many of these should be left free, as far as leaving out old turns can do it.

        Raises:
            ModelError: The chat template refuses the conversation, or there is no room for what has to stay of it: system
                messages and the last one.
        """
        turns = [{"role": turn["role"], "content": self.defuse(turn["content"])} for turn in conversation]
        text, ids = self._encode(turns)
        dropped = 0
        while len(ids) > room - reserve and (shorter := _without_oldest(turns)) is not None:
            dropped += len(turns) - len(shorter)
            turns = shorter
            text, ids = self._encode(turns)
        if len(ids) > room:
            raise ModelError(
                f"{TOO_LONG}: system messages and the last one have {len(ids)} tokens, and there is room for {room}"
            )
        most = max(room - reserve, 0)
        note = f"left out the {dropped} oldest messages: the prompt may have {most} tokens" if dropped else ""
        return Prompt(ids, text, note)

    def piece(self, text: str) -> list[int]:
        """Return the token ids of text that stands behind other text.

        Some tokenizers put a space in front of whatever they are given; here it is left out.
        """
        for lead in ("\n", "a", ".") if self._adds_space else ():
            before, ids = self._ids(lead), self._ids(lead + text)
            if ids[: len(before)] == before:
                return ids[len(before) :]
        return self._ids(text)

    def defuse(self, content: str) -> str:
        """Break up control tokens that somebody has written, so that they are read as ordinary text."""
        if self._control is None:
            return content
        return self._control.sub(lambda match: match[0][0] + " " + match[0][1:] if len(match[0]) > 1 else "", content)

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self.tokenizer.encode(text, add_special_tokens=False)
        return ids

    def _encode(self, turns: list[dict[str, str]]) -> tuple[str, list[int]]:
        """Return text and ids with exactly one BOS in front, or none where the model wants none."""
        text = self._from_template(turns) if self.chat else plain_prompt(turns)
        ids = self._ids(text)
        if self.bos:
            bos = self.tokenizer.bos_token_id
            start = next((place for place, token in enumerate(ids) if token != bos), len(ids))
            ids = [bos, *ids[start:]]
            if not start:
                text = self.tokenizer.bos_token + text
        return text, ids

    def _from_template(self, turns: list[dict[str, str]]) -> str:
        """Apply the chat template; where it knows no system role or wants strict alternation, fold the turns first."""
        from jinja2 import TemplateError

        resume = turns[-1]["role"] == "assistant"
        options = {"tokenize": False, "add_generation_prompt": not resume, "continue_final_message": resume}
        try:
            return str(self.tokenizer.apply_chat_template(turns, **options))
        except TemplateError:
            pass
        try:
            return str(self.tokenizer.apply_chat_template(_folded(turns), **options))
        except TemplateError as error:
            raise ModelError(f"the model's chat template refuses this conversation: {error}") from error


def _control_tokens(tokenizer: Any) -> re.Pattern[str] | None:
    added = getattr(tokenizer, "added_tokens_decoder", {}).values()
    names = {*tokenizer.all_special_tokens, *(token.content for token in added if token.special)} - {""}
    return re.compile("|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))) if names else None


def _without_oldest(turns: list[dict[str, str]]) -> list[dict[str, str]] | None:
    """Drop the oldest turn, and the replies right after it; ``None`` when only the last one is left."""
    places = [place for place, turn in enumerate(turns) if turn["role"] != "system"]
    if len(places) < 2:
        return None
    first_kept = next((place for place in places[1:] if turns[place]["role"] == "user"), places[-1])
    return [turn for place, turn in enumerate(turns) if turn["role"] == "system" or place >= first_kept]


def _folded(turns: list[dict[str, str]]) -> list[dict[str, str]]:
    """Put system messages into the turn that follows, and join turns of the same speaker."""
    folded: list[dict[str, str]] = []
    for turn in turns:
        role = "user" if turn["role"] == "system" else turn["role"]
        if folded and folded[-1]["role"] == role:
            folded[-1]["content"] += "\n\n" + turn["content"]
        else:
            folded.append({"role": role, "content": turn["content"]})
    return folded
