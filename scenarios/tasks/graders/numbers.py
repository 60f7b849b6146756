r"""Numeric answers and mathematics: is the value that the reply concludes with the right one?

1. Only assertions count: a question (``Is it 12?``) answers nothing.
2. Where the reply marks its answer (``\boxed{}``, ``<answer>``, ``the answer is``), only the marked part counts. Otherwise
   the conclusion may stand in the first, the last, or the last summing-up (``so``, ``total``, ``=``) sentence with a number.
3. Values are compared exactly, fractions and percentages included; a rounded decimal counts where it rounds rightly.
   A sum still to be done (``17 * 23``) is no result, and a number that the question names counts only where the reply
   states it as result (``it is 7``).
4. Numbers in words count as figures (``one and a half litres``, ``nine dollars sixty``; see
   :mod:`~gtalign_env.scenarios.tasks.graders.spoken`). Quantities count in any unit that converts to that of the question or
   the reference; a unit that contradicts it makes an answer wrong (see :mod:`~gtalign_env.scenarios.tasks.graders.units`).
5. Further new numbers beside the right one cost quality (``12 or 15`` is worth half), and so does hedging (× 0.7).

Numbers, fractions and roots are read by :mod:`~gtalign_env.scenarios.tasks.graders.expressions`, so their grades do not
depend on what is installed. Answers with variables, intervals or tuples are compared by ``math-verify`` where it is
installed, and otherwise as text.
"""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache

from gtalign_env.protocols import Grade, Task
from gtalign_env.scenarios.tasks.graders.answers import NUMBER, Passage, evaluated, final_answers
from gtalign_env.scenarios.tasks.graders.expressions import Value
from gtalign_env.scenarios.tasks.graders.restate import restate
from gtalign_env.scenarios.tasks.graders.spoken import in_figures
from gtalign_env.scenarios.tasks.graders.symbolic import same_expression
from gtalign_env.scenarios.tasks.graders.text import hedged

__all__ = ["NumbersGrader", "same_value"]

HEDGED = 0.7
"""Factor for a right answer that the reply does not stand by."""
_RELATIVE = 1e-9
_STATED = re.compile(
    r"(?i)(?:^|\b(?:is|are|be|was|equals?|to|get|gives?|makes?|has|have|leaves|contains?|at|of|needs?|costs?|pays?|takes?)"
    r"(?:\s+(?:indeed|exactly|only|just|about|still))?|[:=≈])[\s$€£(*]*(?:\\[(\[]\s*)?$"
)
_CONCLUDES = re.compile(r"(?i)\b(?:so|therefore|thus|hence)\b")

Numbers = frozenset[Fraction | float]


class NumbersGrader:
    """Grades replies by the number or expression they conclude with.

    Example:
        >>> task = Task(id="t", kind="arithmetic", vague="?", detailed="What is 3 / 4 of 16?", answers=("12",))
        >>> NumbersGrader().grade(task, "A quarter is 4, so three quarters are 12.").quality
        1.0
    """

    def grade(self, task: Task, reply: str) -> Grade:
        """Return 1 for the right conclusion, less where it is hedged or one of several, 0 otherwise."""
        if not task.answers:
            return Grade(None, f"task {task.id!r} has no reference answer: expected at least one in 'answers'")
        references = [(answer, evaluated(answer)) for answer in task.answers]
        known = _values(task.detailed) | _values(task.vague)
        best = 0.0
        for passage in final_answers(restate(in_figures(reply), task.detailed, task.answers)):
            worth = max(_worth(passage, answer, value, known) for answer, value in references)
            best = max(best, worth * (HEDGED if hedged(passage.text) else 1.0))
        return Grade(best)


def same_value(reference: Value, given: Value) -> bool:
    """Whether two values are one number, up to the rounding with which either is written.

    Example:
        >>> same_value(evaluated("2/3"), evaluated("0.667")), same_value(evaluated("2/3"), evaluated("0.6"))
        (True, False)
        >>> same_value(evaluated("75%"), evaluated("3/4")), same_value(evaluated("12"), evaluated("12.4"))
        (True, False)
    """
    if reference.percent and given.percent:
        return _close(reference.number, given.number, reference.decimals, given.decimals)
    pairs = ((a, b) for a in _readings(reference) for b in _readings(given))
    return any(_close(a, b, a_decimals, b_decimals) for (a, a_decimals), (b, b_decimals) in pairs)


def _readings(value: Value) -> list[tuple[Fraction | float, int | None]]:
    """Return the numbers a value may stand for, with their decimals: 75 % is 75 and also 0.75."""
    readings = [(value.number, value.decimals)]
    if value.percent:
        readings.append((value.number / 100, None if value.decimals is None else value.decimals + 2))
    return readings


def _close(a: Fraction | float, b: Fraction | float, a_decimals: int | None, b_decimals: int | None) -> bool:
    """Whether ``b`` is ``a``, exactly or up to the rounding of whichever is a decimal number."""
    tolerance = _RELATIVE * max(1.0, abs(float(a))) if isinstance(a, float) or isinstance(b, float) else 0.0
    if b_decimals and b_decimals >= 2 and a_decimals is None:
        tolerance = 0.5 * 10.0**-b_decimals  # 0.67 for 2/3
    elif a_decimals and (b_decimals is None or b_decimals >= a_decimals):
        tolerance = 0.5 * 10.0**-a_decimals  # 3.3333 for 3.33
    return a == b or abs(float(a - b)) <= tolerance * (1 + _RELATIVE)


def _worth(passage: Passage, answer: str, value: Value | None, known: Numbers) -> float:
    """Return what a passage is worth as a statement of one reference answer."""
    if value is None:
        options = [*passage.expressions, *_phrases(passage.text)]
        return float(any(same_expression(answer, option) for option in options))
    hits = [text for text in passage.expressions if _is_result(text, value)]
    if passage.lead or (value.number in known and not passage.marked):
        hits = [text for text in hits if _is_stated(text, passage.text)]
    return _discount(passage, hits, known) if hits else 0.0


def _is_result(text: str, reference: Value) -> bool:
    given = evaluated(text)
    return given is not None and (given.plain or not reference.plain) and same_value(reference, given)


def _is_stated(text: str, passage: str) -> bool:
    """Whether an expression stands where a result stands: at the beginning, or behind ``is``, ``=`` and the like."""
    at = passage.rfind(text)
    return at < 0 or _STATED.search(passage[:at]) is not None


@lru_cache(maxsize=4096)
def _values(text: str) -> Numbers:
    """Return the numbers that stand in a text (a question's own numbers are no candidates of its answer)."""
    values = (evaluated(match[0].strip()) for match in NUMBER.finditer(text))
    return frozenset(value.number for value in values if value is not None)


def _phrases(passage: str) -> list[str]:
    """Return what may be an expression without being a number: the passage, and what it ends on behind ``is`` or ``=``."""
    whole = passage.strip().strip("*$").rstrip(".").strip()
    parts = dict.fromkeys((whole, re.split(r"\bis\b|=", whole)[-1].strip()))
    return [part for part in parts if part and len(re.findall(r"(?<!\\)\b[A-Za-z]{4,}", part)) <= 2]


def _discount(passage: Passage, hits: list[str], known: Numbers) -> float:
    """Return the worth of a right answer, given what else stands beside it."""
    if passage.text.strip().rstrip(".") in hits:
        return 1.0
    tail = _CONCLUDES.split(passage.text)[-1]
    counted = [text for text in passage.expressions if text in tail] if any(text in tail for text in hits) else []
    values = {text: value.number for text in counted or passage.expressions if (value := evaluated(text)) is not None}
    right = {values[text] for text in hits if text in values}
    others = set(values.values()) - right - known
    either = re.search(r"(?i)\b(or|either)\b", passage.text) is not None
    extra = len(others) if either else max(0, len(others) - 1)
    return 1.0 / (1.0 + extra * (1.0 if either else 0.5))
