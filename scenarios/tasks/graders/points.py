"""Key points: which of the things that a reply has to say does it say?

A point is written as alternatives, ``"switch off|cut the power"``; it is met by any of them.

* An alternative is met where all its words (stems) stand in one assertion of the reply and are not denied there. ``Never``,
  ``don't`` and the like deny the rest of their clause (up to ``but``, ``until``, ...), ``avoid`` and ``without`` what comes next;
  ``don't forget to`` denies nothing.
* An alternative with a negative word (``not soap``) is met where its other words stand and are denied, in any wording.
* Keywords are no sentence. Where fewer than one word in five is a function word (``the``, ``it``, ``with``, ``then``), be it in
  a sentence of six words or more or in the reply as a whole, points count in proportion, down to 0.3. Code is not counted.
"""

from __future__ import annotations

import re
from functools import lru_cache

from gtalign_env.protocols import Task
from gtalign_env.scenarios.tasks.graders.text import (
    Term,
    assertions,
    clean,
    negated,
    sentences,
    stem,
    terms,
)

__all__ = ["coverage", "key_points", "prose"]

KEYWORDS = 0.3
"""What a point made among bare keywords is worth at least."""
_ENOUGH = 1 / 5
_FEWEST = 6
_NEGATIVE = frozenset("not never no don't without avoid cannot can't".replace("'", "").split())
_CLAUSE_WIDE = frozenset("never don't cannot can't mustn't shouldn't".replace("'", "").split())
_MODALS = frozenset("do must should may can could".split())
_HARMLESS = frozenset("forget hesitate worry fail skip omit just only".split())
_NEXT = frozenset("avoid avoiding without".split())
_SCOPE_ENDS = frozenset("but until unless because since so if when otherwise then instead before till".split())
_CODE = re.compile(r"`[^`]*`|\S*[\w)][(_=~/\\+][\w(\"'.)]\S*|(?<!\S)--?\w\S*")
_FUNCTION_WORDS = frozenset(
    """a about after all also an and are as at be before but by can do each for from have if in into is it its let more no
    not of off on once one onto or out over own so some that the their them then there these they this to under until up very
    when where which while will with without you your""".split()
)
_WORD = re.compile(r"[^\W\d_]+|\d+")


def key_points(task: Task) -> tuple[str, ...]:
    """Return the points that a good reply to ``task`` makes (``extra`` entries called ``point``).

    Example:
        >>> key_points(Task(id="t", kind="how_to", vague="?", detailed="?", extra=(("point", "turn off|unplug"),)))
        ('turn off|unplug',)
    """
    return tuple(value for key, value in task.extra if key == "point")


def coverage(points: tuple[str, ...], reply: str, *, mentioned: bool = False) -> float:
    """Return the share of ``points`` that ``reply`` asserts, in [0, 1].

    Args:
        points: The points, each as alternatives.
        reply: What was said.
        mentioned: Whether mentioning a point is enough (a text that has to name ``varnish`` may say what it is *not*).

    Example:
        >>> coverage(("unplug|turn off", "dry"), "First turn it off. Do not dry it in the oven.")
        0.5
        >>> coverage(("unplug", "wet cloth", "dry"), "unplug wipe wet cloth dry carefully slowly")
        0.3
    """
    if not points:
        return 0.0
    text = assertions(reply)
    most = 1.0 if mentioned else prose(text)
    said = [_Sentence(sentence, mentioned) for sentence in sentences(text)]
    met = (max((_meets(option, said) for option in _options(point)), default=0.0) for point in points)
    return sum(min(most, worth) for worth in met) / len(points)


def prose(text: str) -> float:
    """Return how far a text is made of sentences rather than of keywords: 1 for language, down to 0.3 for bare keywords.

    Example:
        >>> prose("Hold the button with a pin, and then wait."), prose("hold button pin wait ten seconds")
        (1.0, 0.3)
    """
    words = _WORD.findall(clean(_CODE.sub(" ", text)))
    if len(words) < _FEWEST:
        return 1.0
    share = sum(word in _FUNCTION_WORDS for word in words) / len(words)
    return min(1.0, max(KEYWORDS, share / _ENOUGH))


class _Sentence:
    """The stems of a sentence, each with its places, and what the sentence denies."""

    def __init__(self, text: str, mentioned: bool) -> None:
        self.words = terms(text)
        self.mentioned = mentioned
        self.worth = 1.0 if mentioned else prose(text)
        self.denied = frozenset() if mentioned else _denied(self.words)
        self.places: dict[str, list[int]] = {}
        for at, term in enumerate(self.words):
            self.places.setdefault(stem(term.text), []).append(at)

    def asserts(self, word: str) -> bool:
        """Whether a word stands here undenied."""
        return self.mentioned or any(not self._denies(at) for at in self.places.get(word, ()))

    def denies(self, word: str) -> bool:
        """Whether a word stands here and is denied."""
        return any(self._denies(at) for at in self.places.get(word, ()))

    def _denies(self, at: int) -> bool:
        return at in self.denied or (negated(self.words, at, at + 1) and not self._harmless(at))

    def _harmless(self, at: int) -> bool:
        """Whether the denial before a place is of the sort ``don't forget to``."""
        return any(term.text in _HARMLESS for term in self.words[max(0, at - 4) : at])


def _denied(words: tuple[Term, ...]) -> frozenset[int]:
    """Return the places within the reach of a denial."""
    found: set[int] = set()
    for at, term in enumerate(words):
        following = words[at + 1].text if at + 1 < len(words) else ""
        previous = words[at - 1].text if at else ""
        if term.text in _NEXT:
            found.update(_reach(words, at, 4))
        wide = term.text in _CLAUSE_WIDE or (term.text == "not" and previous in _MODALS)
        if wide and following not in _HARMLESS and not _conditional(words, at):
            found.update(_reach(words, at, len(words)))
    return frozenset(found)


def _reach(words: tuple[Term, ...], start: int, longest: int) -> list[int]:
    """Return the places behind a denial, in its clause and before a word that ends it."""
    reach: list[int] = []
    for at in range(start + 1, min(len(words), start + 1 + longest)):
        if words[at].clause != words[start].clause or words[at].text in _SCOPE_ENDS:
            break
        reach.append(at)
    return reach


def _conditional(words: tuple[Term, ...], at: int) -> bool:
    """Whether a denial is a condition (``if you don't have a pin``)."""
    return any(term.text in ("if", "when") and term.clause == words[at].clause for term in words[max(0, at - 4) : at])


@lru_cache(maxsize=4096)
def _options(point: str) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(stem(term.text) for term in terms(option)) for option in point.split("|") if option.strip())


def _meets(option: tuple[str, ...], said: list[_Sentence]) -> float:
    """Return what the best sentence that meets an alternative is worth, or 0."""
    wanted = [word for word in option if word not in _NEGATIVE]
    negative = len(wanted) < len(option)
    best = 0.0
    for sentence in said:
        if sentence.worth <= best or not all(word in sentence.places for word in wanted):
            continue
        literal = negative and all(word in sentence.places for word in option)
        test = sentence.denies if negative else sentence.asserts
        if literal or (wanted and all(map(test, wanted))):
            best = sentence.worth
    return best
