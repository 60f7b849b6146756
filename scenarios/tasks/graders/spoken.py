"""Numbers in words: ``one and a half litres`` is ``1.5 litres``, ``nine dollars sixty`` is ``9.60 dollars``.

Read are whole numbers (``eighty-six thousand four hundred``), mixed numbers (``two and three quarters``, ``a litre and a
half``), fractions (``a third``, ``three quarters of a kilo``), decimals (``two point five``), dozens, and sums of money.
A single word such as ``nine`` is rewritten only before a unit, because ``one`` is mostly a pronoun; and where a sentence has
figures anyway, so is every number in words: its author writes results in figures.
"""

from __future__ import annotations

import re
import unicodedata
from fractions import Fraction
from typing import NamedTuple

from gtalign_env.scenarios.tasks.graders.units import CURRENCIES, is_unit_word

__all__ = ["decimal", "in_figures"]

_ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
)
_SMALL = {word: value for value, word in enumerate(_ONES.split())}
_TENS = {word: 10 * (i + 2) for i, word in enumerate("twenty thirty forty fifty sixty seventy eighty ninety".split())}
_SCALES = {"hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9}
_PARTS = {"half": 2, "quarter": 4} | {
    word: i + 3 for i, word in enumerate("third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth".split())
}
_PARTS |= {f"{word}s": value for word, value in _PARTS.items()} | {"halves": 2, "hundredths": 100}
_VULGAR = re.compile(r"(\d?)\s?([\u00bc-\u00be\u2150-\u215e])")
_SENTENCE = re.compile(r"(?:[^.!?\n]|[.](?=\d))+[.!?\n]*")
_WORD = re.compile(r"[A-Za-z]+")
_ANY = re.compile(r"(?i)\b(?:" + "|".join((*_SMALL, *_TENS, *_SCALES, *_PARTS, "dozen", "twenty")) + r")\b")
_GAP = re.compile(r"\s*-\s*|\s+")


class _Word(NamedTuple):
    text: str
    start: int
    end: int
    joined: bool  # nothing but a space or a hyphen before it


class _Read(NamedTuple):
    value: Fraction
    at: int  # the first word that is not part of it


def in_figures(text: str, *, fractions: bool = True) -> str:
    """Return ``text`` with its numbers in words as figures.

    Args:
        text: What to rewrite.
        fractions: Whether to write ``a third`` as ``1/3``; otherwise only what has a decimal form is rewritten.

    Example:
        >>> in_figures("One and a half litres"), in_figures("nine dollars sixty"), in_figures("two thirds")
        ('1.5 litres', '9.60 dollars', '2/3')
        >>> in_figures("One of them is 12.")
        'One of them is 12.'
    """
    if not text.isascii():
        text = _VULGAR.sub(lambda m: f"{m[1]} {unicodedata.normalize('NFKD', m[2])}".replace("\u2044", "/"), text)
    if not _ANY.search(text):
        return text
    return _SENTENCE.sub(lambda match: _sentence(match[0], fractions), text)


def decimal(value: Fraction) -> str | None:
    """Return a number in decimal notation where that is exact within four digits.

    Example:
        >>> decimal(Fraction(3, 4)), decimal(Fraction(1, 3)), decimal(Fraction(12))
        ('0.75', None, '12')
    """
    if value.denominator == 1:
        return str(value.numerator)
    scaled = value * 10000
    return f"{float(value):.4f}".rstrip("0") if scaled.denominator == 1 else None


def _sentence(text: str, fractions: bool) -> str:
    if not _ANY.search(text):
        return text
    figures = any(char.isdigit() for char in text)
    words = _words(text)
    parts: list[str] = []
    done = at = 0
    while at < len(words):
        read = _number(words, at)
        made = None if read is None else _written(words, at, read, fractions=fractions, figures=figures)
        if made is None or read is None:
            at += 1
            continue
        parts += [text[done : words[at].start], made[0]]
        at, done = made[1], words[made[1] - 1].end
    return "".join([*parts, text[done:]])


def _words(text: str) -> list[_Word]:
    found: list[_Word] = []
    for match in _WORD.finditer(text):
        joined = bool(found) and _GAP.fullmatch(text, found[-1].end, match.start()) is not None
        found.append(_Word(match[0].casefold(), match.start(), match.end(), joined))
    return found


def _peek(words: list[_Word], at: int) -> str:
    """Return the word at a place, if it continues the phrase."""
    return words[at].text if at < len(words) and words[at].joined else ""


def _written(words: list[_Word], at: int, read: _Read, *, fractions: bool, figures: bool) -> tuple[str, int] | None:
    """Return how to write the number that was read at ``at``, and how far that reaches, or ``None`` to leave it in words."""
    value, end = read
    if _peek(words, end) in CURRENCIES and (cents := _cardinal(words, end + 1)) and words[end + 1].joined:
        rest = _peek(words, cents.at)
        if 10 <= cents.value < 100 and value.denominator == 1 and not is_unit_word(rest):
            return f"{value}.{cents.value} {words[end].text}", cents.at
    unit, reach = _unit_behind(words, at, end)
    if unit and _peek(words, reach) == "and" and _peek(words, reach + 1) in ("a", "one") and value.denominator == 1:
        part = _PARTS.get(_peek(words, reach + 2))
        if part and not is_unit_word(_peek(words, reach + 3)):
            value, reach = value + Fraction(1, part), reach + 3  # two litres and a half
    single = end - at == 1 and words[at].text != "half"
    if single and (not unit or (figures and words[at].text == "one")):
        return None
    if not unit and figures and fractions:
        return None
    exact = decimal(value)
    if not fractions and (exact is None or (not unit and value < 1)):
        return None
    whole, above = divmod(value.numerator, value.denominator)
    mixed = f"{whole} {above}/{value.denominator}" if whole and end - at > 2 else str(value)
    return (exact or mixed) + (f" {unit}" if unit else ""), reach if unit else end


def _unit_behind(words: list[_Word], at: int, end: int) -> tuple[str, int]:
    """Return the unit that follows a number, and the place behind it; ``of a`` and the ``a`` of ``half a litre`` are skipped."""
    skip = 0
    if words[end - 1].text in _PARTS:
        skip = 2 if _peek(words, end) == "of" and _peek(words, end + 1) in ("a", "an", "one") else 0
        skip = skip or (1 if _peek(words, end) in ("a", "an") and words[at].text == "half" else 0)
    unit = _peek(words, end + skip)
    return (unit, end + skip + 1) if is_unit_word(unit) else ("", end)


def _number(words: list[_Word], at: int) -> _Read | None:
    """Read the longest number that begins at a word."""
    first = words[at].text
    if first == "half":
        if _peek(words, at + 1) in ("a", "one") and _peek(words, at + 2) == "dozen":
            return _Read(Fraction(6), at + 3)
        return None if _peek(words, at + 1) == "past" else _Read(Fraction(1, 2), at + 1)
    after = _peek(words, at + 1)
    if first in ("a", "one") and after in _PARTS and not after.endswith("s"):
        return _Read(Fraction(1, _PARTS[after]), at + 2)
    if first in ("a", "an") and is_unit_word(after) and _peek(words, at + 2) == "and" and _peek(words, at + 3) == "a":
        part = _PARTS.get(_peek(words, at + 4))
        return None if part is None else _Read(Fraction(1), at + 1)  # a litre and a half
    if first == "a" and after == "dozen":
        return _Read(Fraction(12), at + 2)
    read = _cardinal(words, at)
    return None if read is None else _continued(words, read)


def _continued(words: list[_Word], read: _Read) -> _Read:
    """Read what may follow a whole number: ``point five``, ``thirds``, ``dozen``, ``and a half``."""
    value, at = read
    following = _peek(words, at)
    if following == "point" and _peek(words, at + 1) in _SMALL:
        digits = ""
        while _peek(words, at + 1 + len(digits)) in _SMALL and _SMALL[_peek(words, at + 1 + len(digits))] < 10:
            digits += str(_SMALL[_peek(words, at + 1 + len(digits))])
        return _Read(value + Fraction(int(digits or 0), 10 ** len(digits)), at + 1 + len(digits))
    if following in _PARTS and following != "seconds" and (following.endswith("s") == (value != 1)):
        return _Read(value / _PARTS[following], at + 1)
    rest = _cardinal(words, at + 1) if following == "in" and value == 1 and _peek(words, at + 1) else None
    if rest is not None and rest.value > 1 and not is_unit_word(_peek(words, rest.at)):
        return _Read(1 / rest.value, rest.at)  # one in six
    if following == "dozen":
        return _Read(value * 12, at + 1)
    if following == "and":
        if _peek(words, at + 1) in ("a", "one") and (part := _PARTS.get(_peek(words, at + 2))):
            return _Read(value + Fraction(1, part), at + 3)
        above = _SMALL.get(_peek(words, at + 1))
        if above and (part := _PARTS.get(_peek(words, at + 2))):
            return _Read(value + Fraction(above, part), at + 3)
    return read


def _cardinal(words: list[_Word], at: int) -> _Read | None:
    """Read a whole number: groups below a thousand, each with its scale."""
    total = 0
    read = _group(words, at)
    while read is not None:
        scale = _SCALES.get(_peek(words, read.at), 1)
        total += int(read.value) * scale
        at = read.at + (scale > 1)
        if scale == 1:
            return _Read(Fraction(total), at)
        joint = 1 if _peek(words, at) == "and" else 0
        ahead = _group(words, at + joint) if _peek(words, at + joint) else None
        if ahead is None or words[at + joint].text == "a":
            return _Read(Fraction(total), at)
        read = ahead
    return None


def _group(words: list[_Word], at: int) -> _Read | None:
    """Read a number below a thousand; ``a`` counts as one before a scale only."""
    first = words[at].text if at < len(words) else ""
    after = _peek(words, at + 1)
    if first in _TENS:
        ones = _SMALL.get(after, 0)
        return _Read(Fraction(_TENS[first] + ones), at + 2) if 0 < ones < 10 else _Read(Fraction(_TENS[first]), at + 1)
    if first not in _SMALL and not (first == "a" and after in _SCALES):
        return None
    value, at = _SMALL.get(first, 1), at + 1
    if after != "hundred":
        return _Read(Fraction(value), at)
    at += 1
    joint = 1 if _peek(words, at) == "and" else 0
    ahead = _peek(words, at + joint)
    rest = _group(words, at + joint) if ahead in _TENS or ahead in _SMALL else None
    if rest is None or rest.value >= 100 or (joint and _peek(words, rest.at) in _PARTS):
        return _Read(Fraction(100 * value), at)
    return _Read(100 * value + rest.value, rest.at)
