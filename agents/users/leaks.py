"""What a user must not say: its own parameters, and that it is a part somebody plays."""

from __future__ import annotations

import re
from collections.abc import Iterable

from gtalign_env.types import NUMERIC_TYPE_FIELDS, UserType

__all__ = ["find_leaks"]

_NEAR = 0.1
"""A wanted length is told when the number that is said comes as near as this to it, relative to it."""
_WORDS_PER_TOKEN = 1.0 / 1.3
_LENGTH = re.compile(r"(?<![\d.,])(\d{1,6})(?:\s|-)*(?:tokens?|words?)\b", re.IGNORECASE)
_FIELDS = re.compile(rf"\b(?:{'|'.join(name for name in NUMERIC_TYPE_FIELDS if '_' in name)})\b|θ")
_KIND = r"\b(?:user|type|persona|person|kind of user|customer)\b"
_OUT_OF_PART = re.compile(
    r"\b(?:as an ai\b|language model\b|my persona\b|the persona\b|role-?play|stay(?:ing)? in character|for you alone\b|"
    r"(?:my|the) (?:utility|payoffs?|reward function)\b)",
    re.IGNORECASE,
)


def find_leaks(text: str, user_type: UserType, *, told: Iterable[str] = ()) -> tuple[str, ...]:
    """Return what an utterance gives away, sorted: ``label``, ``length``, ``parameter``, ``part``.

    * ``length``: a number of words or tokens near the one that θ wants;
    * ``label``: the name of the type, as what one is ("I am a concise user");
    * ``parameter``: a field of θ by its name;
    * ``part``: that it is a part somebody plays, or payoffs in so many words.

    Args:
        text: The utterance.
        user_type: θ.
        told: What is on the table anyway (the task's own words); what stands there counts as no leak.

    Example:
        >>> theta = UserType(name="concise", ideal_tokens=65.0)
        >>> find_leaks("I'm a concise person: 50 words at most!", theta), find_leaks("Shorter, please.", theta)
        (('label', 'length'), ())
    """
    known = " ".join(told).lower()
    found = set()
    for match in _LENGTH.finditer(text):
        said = float(match[1])
        near = any(abs(said - ideal) <= _NEAR * ideal for ideal in _lengths(user_type))
        if near and match[0].lower() not in known:
            found.add("length")
    name = re.escape(user_type.name.replace("_", " "))
    if name and re.search(rf"\b{name}\b[\s-]+{_KIND}", text.replace("_", " "), re.IGNORECASE) is not None:
        found.add("label")
    if _FIELDS.search(text) is not None:
        found.add("parameter")
    part = _OUT_OF_PART.search(text)
    if part is not None and part[0].lower() not in known:
        found.add("part")
    return tuple(sorted(found))


def _lengths(user_type: UserType) -> tuple[float, float]:
    return user_type.ideal_tokens, user_type.ideal_tokens * _WORDS_PER_TOKEN
