"""Put a user's move into words: a persona's phrases around the question or the fact that the task supplies."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from gtalign_env.agents.users.card import Tone, Wording
from gtalign_env.types import UserMove

__all__ = ["Speaker", "told_facts"]

_WORD = re.compile(r"\w+")
_TYPABLE = re.compile(r"(?<![{\w])[A-Za-z]{5,}(?![}\w])")
_ENDS = ".!?…:;,)-–"
_SMALL_WORDS = frozenset(
    "a an and are as at be by do does for from in is it of on or the to what which with you your".split()
)


def told_facts(facts: Sequence[Sequence[str]], heard: str, detailed: str) -> str:
    """Return the hidden facts that a question asks for, by the words of their topics; else the detailed question.

    Args:
        facts: (topic, statement) pairs of the task.
        heard: The assistant's message.
        detailed: The question in its detailed form.

    Example:
        >>> told_facts([("unit", "In metres."), ("year", "In 1990.")], "Which year do you mean?", "How tall was it?")
        'In 1990.'
        >>> told_facts([("unit", "In metres.")], "Could you say more?", "How tall was it?")
        'How tall was it?'
    """
    asked = _stems(heard)
    hits = [(len(asked & _stems(topic)), statement) for topic, statement in facts]
    best = max((count for count, _ in hits), default=0)
    if best == 0:
        return detailed
    return " ".join(statement for count, statement in hits if count == best)


def _stems(text: str) -> set[str]:
    words = (word for word in _WORD.findall(text.casefold()) if word not in _SMALL_WORDS)
    return {word[:-1] if word.endswith("s") and len(word) > 3 else word for word in words}


class Speaker:
    """A voice: wording, and memory of what was said last so that no phrase comes twice in a row.

    Args:
        wording: The card's phrases.
        rng: Generator of all choices.
        theta: Values for the placeholders that state the type; empty where the persona keeps them to itself.

    Example:
        >>> import numpy as np
        >>> speaker = Speaker(Wording(greeting=()), np.random.default_rng(0))
        >>> task = {"vague": "How tall is it?", "detailed": "How tall is K2?", "facts": []}
        >>> speaker.say(UserMove("DQ", "none"), task, "next_question", "")
        'How tall is K2?'
    """

    def __init__(self, wording: Wording, rng: Any, theta: Mapping[str, int] | None = None) -> None:
        self.wording = wording
        self.rng = rng
        self.theta = dict(theta or {})
        self.lines = 0
        self._last: dict[str, int] = {}

    def say(self, move: UserMove, task: Mapping[str, Any], situation: str, heard: str) -> str:
        """Return the words for ``move``.

        Args:
            move: Form and reaction, or ``LEAVE``.
            task: The task that the utterance is about: ``vague``, ``detailed``, ``facts``.
            situation: ``next_question``, ``rephrase`` or ``answer_question``.
            heard: The assistant's last message.
        """
        if move.form == "LEAVE":
            return self._finish([self._phrase("leave") or "Bye."])
        parts = []
        if self.lines == 0:
            parts = [self._phrase("greeting", self.wording.tone.greeting_rate), self._phrase("disclosure")]
        parts.append(self._phrase(move.reaction) if move.reaction not in (None, "none") else "")
        parts.append(self._content(move.form, task, situation, heard))
        parts.append(self._phrase("closer", self.wording.tone.closer_rate))
        return self._finish(parts)

    def _content(self, form: str, task: Mapping[str, Any], situation: str, heard: str) -> str:
        detailed = form == "DQ"
        suffix = "detailed" if detailed else "vague"
        question = str(task["detailed"] if detailed else task["vague"])
        if situation == "answer_question":
            if not detailed:
                return self._phrase("answer_vague") or question
            fact = told_facts(task.get("facts") or (), heard, str(task["detailed"]))
            return self._phrase("answer_detailed", fact=fact) or fact
        verb = "rephrase" if situation == "rephrase" else "ask"
        return self._phrase(f"{verb}_{suffix}", question=question) or question

    def _phrase(self, key: str | None, rate: float = 1.0, **content: str) -> str:
        """Return a variant of the phrase, typed in the persona's tone, with the content put in untouched."""
        phrases: tuple[str, ...] = getattr(self.wording, str(key))
        if not phrases or (rate < 1.0 and self.rng.random() >= rate):
            return ""
        choices = [index for index in range(len(phrases)) if index != self._last.get(str(key)) or len(phrases) == 1]
        index = choices[int(self.rng.integers(len(choices)))]
        self._last[str(key)] = index
        typed = self._type(phrases[index])
        if self.wording.tone.lower_case:
            content = {name: _small_start(text) for name, text in content.items()}
        return typed.format(**content, **self.theta)

    def _type(self, phrase: str) -> str:
        tone: Tone = self.wording.tone
        if tone.lower_case:
            phrase = phrase.lower()
        return _TYPABLE.sub(self._slip, phrase) if tone.typos > 0.0 else phrase

    def _slip(self, match: re.Match[str]) -> str:
        word = match[0]
        if self.rng.random() >= self.wording.tone.typos:
            return word
        at = 1 + int(self.rng.integers(len(word) - 2))
        return word[:at] + word[at + 1] + word[at] + word[at + 2 :]

    def _finish(self, parts: Sequence[str]) -> str:
        self.lines += 1
        said = [part.strip() for part in parts if part.strip()]
        text = " ".join([*(part if part[-1] in _ENDS else f"{part}." for part in said[:-1]), *said[-1:]])
        if not self.wording.tone.final_stop and text.endswith(".") and not text.endswith(".."):
            text = text[:-1]
        return text


def _small_start(text: str) -> str:
    """Return the text with a small first letter, unless its first word is ``I``, an abbreviation or a name like ``McAdam``."""
    first = text.split(maxsplit=1)[0] if text.split() else ""
    keeps = first in ("I", "I'm", "I'd", "I've", "I'll") or any(letter.isupper() for letter in first[1:])
    return text if keeps else text[:1].lower() + text[1:]
