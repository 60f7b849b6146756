r"""Where a reply states its result: the marked answer, or the sentences that conclude, and the expressions in them."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from gtalign_env.scenarios.tasks.graders.expressions import Value, evaluate
from gtalign_env.scenarios.tasks.graders.text import assertions, courtesy, sentences, terms

__all__ = ["NUMBER", "Passage", "evaluated", "final_answers"]

NUMBER = re.compile(
    r"(?<![\w.])[-−+]?\s?[$€£]?\d+(?:,\d{3})*(?:\.\d+)?(?:\s?[×x]\s?10\^\{?-?\d+\}?)?"
    r"(?:\s+\d+\s*/\s*\d+|\s*/\s*\d+)?(?:\s?%|\s?per\s?cent\b|\s?(?:\\?pi\b|π|√\d+))?"
    r"|\\d?frac\s*\{[^{}]*\}\s*\{[^{}]*\}|√\d+"
)
"""A number as people write it in a sentence."""
_BOXED = re.compile(r"\\(?:boxed|fbox)\s*\{")
_TAGGED = re.compile(r"(?is)<answer>(.*?)</answer>")
_MARKED = re.compile(r"(?i)(?:\banswer\b[^\n.:=?]{0,40}?(?:\bis\b|:|=)|####)\s*(?:\*\*)?\s*(.+)")
_SUMMING_UP = re.compile(
    r"(?i)=|\b(so|therefore|thus|hence|total|altogether|in all|result|comes? to|gives?|you get|leaves|equals?|makes)\b"
)
_EQUALS = re.compile(r"=|\\approx|≈")
_MATH = re.compile(r"\$\$?(.+?)\$\$?|\\\((.+?)\\\)|\\\[(.+?)\\\]", re.DOTALL)
_WITH_UNIT = re.compile(r"\s*([-−]?[$€£]?\d[\d.,/ ]*)\s*(%?)\s+[A-Za-z]{2}[A-Za-z .]*")
_DENIED = re.compile(r"(?i)(\bnot|n't|\bnever|\brather than|\binstead of)\s+(?:\w+\s+){0,2}[$€£(]?$")


class Passage(NamedTuple):
    """A part of a reply that states a result.

    Example:
        >>> final_answers("Half of 24 is 12. The answer is 12.")
        [Passage(text='12.', expressions=['12'], marked=True, lead=False)]
    """

    text: str
    expressions: list[str]
    """What in it may be the result."""
    marked: bool = False
    """Whether the reply itself calls it the answer."""
    lead: bool = False
    """Whether more follows, so that a number here may be a step on the way."""


@lru_cache(maxsize=4096)
def evaluated(text: str) -> Value | None:
    """Return ``evaluate(text)`` from a cache, also for a number with a unit behind it.

    Example:
        >>> evaluated("12 apples").number
        Fraction(12, 1)
    """
    value = evaluate(text)
    if value is None and (match := _WITH_UNIT.fullmatch(text)):
        value = evaluate(match[1] + match[2])
    return value


def final_answers(reply: str) -> list[Passage]:
    r"""Return what a reply offers as its result: the last marked answer, or else its concluding sentences.

    Example:
        >>> final_answers("\\boxed{7/2}")
        [Passage(text='7/2', expressions=['7/2'], marked=True, lead=False)]
    """
    marked = _boxed(reply) or [match[1].strip() for match in _TAGGED.finditer(reply)]
    if marked:
        return [Passage(marked[-1], list(dict.fromkeys((marked[-1], *_expressions(marked[-1])))), marked=True)]
    said = "\n".join(sentence for sentence in sentences(assertions(reply)) if not courtesy(sentence))
    explicit = _MARKED.findall(said)
    if explicit:
        text = sentences(explicit[-1])[0]
        return [Passage(text, _expressions(text), marked=True)]
    found = [Passage(sentence, _expressions(sentence)) for sentence in sentences(said)]
    found = [passage for passage in found if passage.expressions]
    summing = [passage for passage in found if _SUMMING_UP.search(passage.text)]
    opening = [found[0]._replace(lead=True)] if len(found) > 1 else []
    chosen = [*opening, *summing[-1:], *found[-1:]]
    return [passage for i, passage in enumerate(chosen) if passage not in chosen[:i]]


def _boxed(reply: str) -> list[str]:
    r"""Return the contents of all ``\boxed{…}``, braces balanced."""
    found = []
    for match in _BOXED.finditer(reply):
        depth, at = 1, match.end()
        while at < len(reply) and depth:
            depth += {"{": 1, "}": -1}.get(reply[at], 0)
            at += 1
        if not depth:
            found.append(reply[match.end() : at - 1].strip())
    return found


def _expressions(passage: str) -> list[str]:
    """Return the expressions of a sentence, those on the left of an equation left out."""
    if (whole := _bare(passage)) is not None:
        return [whole]
    found: list[str] = []

    def take(match: re.Match[str]) -> str:
        body = next(group for group in match.groups() if group is not None)
        found.extend(part.strip() for part in dict.fromkeys((body, _EQUALS.split(body)[-1])))
        return " "

    plain = _MATH.sub(take, passage) if "\\" in passage or passage.count("$") > 1 else passage
    plain = _EQUALS.split(plain.replace("**", "").replace("__", ""))[-1]
    if plain != passage and (whole := _bare(plain)) is not None:
        return [*found, whole]
    found += [
        match[0].replace("per cent", "%").replace("percent", "%").replace("x", "×").strip()
        for match in NUMBER.finditer(plain)
        if not _DENIED.search(plain[: match.start()])
    ]
    if not found and not any(char.isdigit() for char in plain):
        found = [term.text for term in terms(plain) if term.text.isdigit()]
    return found


def _bare(text: str) -> str | None:
    """Return a text that is one expression and nothing else, without the marks around it."""
    text = text.strip().strip("*").rstrip(".").strip()
    return text if evaluated(text) is not None else None
