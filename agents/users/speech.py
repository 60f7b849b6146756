"""Put a user's move into words: a persona's phrases around the question or the fact that the task supplies."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from gtalign_env.agents.users.card import Tone, Wording
from gtalign_env.types import UserMove

__all__ = ["Speaker", "is_grave", "is_request", "told_facts"]

_WORD = re.compile(r"\w+")
_TYPABLE = re.compile(r"(?<![{\w])[A-Za-z]{5,}(?![}\w])")
_WHICH = re.compile(r"(?i)\b(?:which|what)(?: kind of| sort of)? (\w+(?: \w+)?)")
_FIELD = re.compile(r"{\w+}")
_ENDS = ".!?…:;,)-–"
_SMALL_WORDS = frozenset(
    "a an and are as at be by d do does for from i in is it ll m me my of on or re s t that the this to was what which "
    "with you your".split()
)
_CANNED = 2
"""How many phrases of its own a persona puts around a question: more sounds like a machine that reads out its lists."""
_GRAVE = re.compile(
    r"\b(?:condolences?|died|dying|death|funerals?|grief|grieving|mourning|passed away|bereave\w*|suicid\w*|cancer|"
    r"first aid|emergency)\b",
    re.IGNORECASE,
)
_ASKS_TO_DO = re.compile(r"(?:please|help me|(?:can|could|would|will) you)\b", re.IGNORECASE)
_PLAIN = Wording()
"""What is said in grave matters, whoever speaks."""


def is_request(question: str) -> bool:
    """Return whether a task's words ask for a deed ("Write …") rather than for an answer ("When …?").

    Example:
        >>> [is_request(words) for words in ("Write me an ad.", "Can you write my bio?", "How tall is it?")]
        [True, True, False]
    """
    return "?" not in question or _ASKS_TO_DO.match(question.strip()) is not None


def is_grave(task: Mapping[str, Any] | str) -> bool:
    """Return whether flourishes would be out of place: a harmful request, or words of illness and death.

    Example:
        >>> is_grave("Write a condolence card."), is_grave({"vague": "How?", "detailed": "How?", "harmful": False})
        (True, False)
    """
    if isinstance(task, str):
        return _GRAVE.search(task) is not None
    return bool(task.get("harmful")) or is_grave(f"{task['vague']} {task['detailed']}")


def told_facts(facts: Sequence[Sequence[str]], heard: str, detailed: str, vague: str = "") -> str:
    """Return the hidden facts that a question asks for, by the words of their topics; else the detailed question.

    Args:
        facts: (topic, statement) pairs of the task.
        heard: The assistant's message.
        detailed: The question in its detailed form.
        vague: What the user said itself: such a word, said back to it, is asked for only behind "which" or "what".

    Example:
        >>> told_facts([("unit", "In metres."), ("year", "In 1990.")], "Which year do you mean?", "How tall was it?")
        'In 1990.'
        >>> told_facts([("unit", "In metres.")], "Could you say more?", "How tall was it?")
        'How tall was it?'
    """
    asked = _stems(heard) - _stems(vague) | _stems(" ".join(_WHICH.findall(heard)))
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

    def say(self, move: UserMove, task: Mapping[str, Any], situation: str, heard: str, *, solemn: bool = False) -> str:
        """Return the words for ``move``.

        Args:
            move: Form and reaction, or ``LEAVE``.
            task: The task that the utterance is about: ``vague``, ``detailed``, ``facts``, ``harmful``.
            situation: ``next_question``, ``rephrase`` or ``answer_question``.
            heard: The assistant's last message; empty where this opens the session, which is when it greets.
            solemn: Whether the reply before was about a grave matter. Such a matter is spoken of plainly.
        """
        plain = solemn or is_grave(task)
        if move.form == "LEAVE":
            return self._finish([self._phrase("leave", plain=plain) or "Bye."])
        opens = self.lines == 0
        greets = opens and not heard and not plain
        own = [self._phrase("greeting", self.wording.tone.greeting_rate) if greets else ""]
        own.append(self._phrase(move.reaction, plain=plain) if move.reaction not in (None, "none") else "")
        used = sum(map(bool, own))
        bare, dressed = self._content(move.form, task, situation, heard, " ".join(own))
        if not dressed or used >= _CANNED or is_grave(task):
            content = bare
        else:
            content, used = dressed, used + (dressed != bare)
        closes = used < _CANNED and not plain
        closer = self._phrase("closer", self.wording.tone.closer_rate, before=content) if closes else ""
        return self._finish([own[0], self._phrase("disclosure") if opens else "", own[1], content, closer])

    def _content(self, form: str, task: Mapping[str, Any], situation: str, heard: str, before: str) -> tuple[str, str]:
        """Return what has to be said, bare and in a phrase of the persona's."""
        detailed = form == "DQ"
        suffix = "detailed" if detailed else "vague"
        question = str(task["detailed"] if detailed else task["vague"])
        key = f"rephrase_{suffix}"
        if situation == "answer_question":
            if not detailed:
                said = self._phrase("answer_vague", before=before) or self._as_typed(question)
                return said, said
            fact = told_facts(task.get("facts") or (), heard, question, str(task["vague"]))
            if fact != question:
                return self._as_typed(fact), self._phrase("answer_detailed", before=before, fact=fact)
        elif situation != "rephrase":
            key = f"{'request' if is_request(question) else 'ask'}_{suffix}"
        opening = question.split(maxsplit=1)[0] if question.split() else ""
        return self._as_typed(question), self._phrase(key, before=f"{before} {opening}", question=question)

    def _phrase(
        self, key: str | None, rate: float = 1.0, *, plain: bool = False, before: str = "", **content: str
    ) -> str:
        """Return a variant of the phrase, typed in the persona's tone, with the content put in untouched.

        Args:
            key: The wording's list.
            rate: Probability that anything is said.
            plain: Take the default wording's list.
            before: Words that stand around it: a variant that says one of them again is passed over.
            **content: What the placeholders stand for.
        """
        phrases: tuple[str, ...] = getattr(_PLAIN if plain else self.wording, str(key))
        if rate < 1.0 and self.rng.random() >= rate:
            return ""
        taken = _stems(before)
        choices = [index for index, phrase in enumerate(phrases) if not taken & _stems(_FIELD.sub("", phrase))]
        choices = [index for index in choices if index != self._last.get(str(key)) or len(choices) == 1]
        if not choices:
            return ""
        index = choices[int(self.rng.integers(len(choices)))]
        self._last[str(key)] = index
        typed = self._type(phrases[index])
        return typed.format(**{name: self._as_typed(text) for name, text in content.items()}, **self.theta)

    def _as_typed(self, text: str) -> str:
        return _small_start(text) if self.wording.tone.lower_case else text

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
