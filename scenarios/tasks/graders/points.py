"""Key points: which of the things that a reply has to say does it say?

A point is written as alternatives, ``"switch off|cut the power"``. An alternative is met where all its words (stems)
stand in one assertion of the reply and are not denied there; a point is met by any of its alternatives.
"""

from __future__ import annotations

from functools import lru_cache

from gtalign_env.protocols import Task
from gtalign_env.scenarios.tasks.graders.text import Term, assertions, negated, sentences, stem, terms

__all__ = ["coverage", "key_points"]

_NEGATIVE = frozenset("not never no don't without avoid cannot can't".replace("'", "").split())


def key_points(task: Task) -> tuple[str, ...]:
    """Return the points that a good reply to ``task`` makes (``extra`` entries called ``point``).

    Example:
        >>> key_points(Task(id="t", kind="how_to", vague="?", detailed="?", extra=(("point", "turn off|unplug"),)))
        ('turn off|unplug',)
    """
    return tuple(value for key, value in task.extra if key == "point")


def coverage(points: tuple[str, ...], reply: str) -> float:
    """Return the share of ``points`` that ``reply`` asserts, in [0, 1].

    Example:
        >>> coverage(("unplug|turn off", "dry"), "First turn it off. Do not dry it in the oven.")
        0.5
    """
    if not points:
        return 0.0
    said = [_Sentence(terms(sentence)) for sentence in sentences(assertions(reply))]
    return sum(any(_meets(option, said) for option in _options(point)) for point in points) / len(points)


class _Sentence:
    """The stems of a sentence, each with its places."""

    def __init__(self, words: tuple[Term, ...]) -> None:
        self.words = words
        self.places: dict[str, list[int]] = {}
        for at, term in enumerate(words):
            self.places.setdefault(stem(term.text), []).append(at)

    def asserts(self, word: str) -> bool:
        return any(not negated(self.words, at, at + 1) for at in self.places.get(word, ()))


@lru_cache(maxsize=4096)
def _options(point: str) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(stem(term.text) for term in terms(option)) for option in point.split("|") if option.strip())


def _meets(option: tuple[str, ...], said: list[_Sentence]) -> bool:
    for sentence in said:
        present = all(word in sentence.places for word in option)
        if present and (_NEGATIVE.intersection(option) or all(sentence.asserts(word) for word in option)):
            return True
    return False
