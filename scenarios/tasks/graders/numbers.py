r"""Numeric answers and mathematics: is the value that the reply concludes with the right one?

1. Only assertions count: a question (``Is it 12?``) answers nothing.
2. Where the reply marks its answer (``\boxed{}``, ``<answer>``, ``the answer is``), only the marked part counts. Otherwise
   the conclusion may stand in the first, the last, or the last summing-up (``so``, ``total``, ``=``) sentence with a number.
3. Values are compared exactly, fractions and percentages included; a rounded decimal counts where it rounds rightly.
4. Further new numbers beside the right one cost quality (``12 or 15`` is worth half), and so does hedging (× 0.7).

Numbers, fractions and roots are read by :mod:`~gtalign_env.scenarios.tasks.graders.expressions`, so their grades do not
depend on what is installed. Answers with variables, intervals or tuples are compared by ``math-verify`` where it is
installed, and otherwise as text.
"""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache

from gtalign_env.protocols import Grade, Task
from gtalign_env.scenarios.tasks.graders.expressions import Value, evaluate
from gtalign_env.scenarios.tasks.graders.symbolic import same_expression
from gtalign_env.scenarios.tasks.graders.text import assertions, courtesy, hedged, sentences, terms

__all__ = ["NumbersGrader", "final_answers", "same_value"]

HEDGED = 0.7
"""Factor for a right answer that the reply does not stand by."""
_RELATIVE = 1e-9
_BOXED = re.compile(r"\\(?:boxed|fbox)\s*\{")
_TAGGED = re.compile(r"(?is)<answer>(.*?)</answer>")
_MARKED = re.compile(r"(?i)(?:\banswer\b[^\n.:=?]{0,40}?(?:\bis\b|:|=)|####)\s*(?:\*\*)?\s*(.+)")
_SUMMING_UP = re.compile(
    r"(?i)=|\b(so|therefore|thus|hence|total|altogether|in all|result|comes? to|gives?|you get|leaves|equals?|makes)\b"
)
_MATH = re.compile(r"\$\$?(.+?)\$\$?|\\\((.+?)\\\)|\\\[(.+?)\\\]", re.DOTALL)
_NUMBER = re.compile(
    r"(?<![\w.])[-−+]?\s?[$€£]?\d+(?:,\d{3})*(?:\.\d+)?(?:\s?[×x]\s?10\^\{?-?\d+\}?)?"  # noqa: RUF001
    r"(?:\s+\d+\s*/\s*\d+|\s*/\s*\d+)?(?:\s?%|\s?per\s?cent\b)?"
    r"|\\d?frac\s*\{[^{}]*\}\s*\{[^{}]*\}"
)
_WITH_UNIT = re.compile(r"\s*([-−]?[$€£]?\d[\d.,/ ]*)\s*(%?)\s+[A-Za-z]{2}[A-Za-z .]*")  # noqa: RUF001
_DENIED = re.compile(r"(?i)(\bnot|n't|\bnever|\brather than|\binstead of)\s+(?:\w+\s+){0,2}[$€£(]?$")


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
        for passage, candidates in final_answers(reply):
            for answer, value in references:
                hits = [text for text in candidates if _matches(answer, value, text)]
                if hits:
                    best = max(best, _discount(passage, hits, candidates, known))
        return Grade(best)


@lru_cache(maxsize=4096)
def evaluated(text: str) -> Value | None:
    """Return ``evaluate(text)`` from a cache, also for an answer with a unit behind it.

    Example:
        >>> evaluated("12 apples").number
        Fraction(12, 1)
    """
    value = evaluate(text)
    if value is None and (match := _WITH_UNIT.fullmatch(text)):
        value = evaluate(match[1] + match[2])
    return value


def same_value(reference: Value, given: Value) -> bool:
    """Whether two values are one number, up to the rounding with which either is written.

    Example:
        >>> same_value(evaluate("2/3"), evaluate("0.667")), same_value(evaluate("2/3"), evaluate("0.67"))
        (True, True)
        >>> same_value(evaluate("75%"), evaluate("3/4")), same_value(evaluate("12"), evaluate("12.4"))
        (True, False)
    """
    if reference.percent and given.percent:
        pairs = [(reference.number, given.number)]
    else:
        pairs = [(a, b) for a in reference.readings() for b in given.readings()]
    return any(_close(a, b, reference, given) for a, b in pairs)


def _close(a: Fraction | float, b: Fraction | float, reference: Value, given: Value) -> bool:
    gap = abs(a - b)
    if gap <= _RELATIVE * max(1, abs(a)):
        return True
    tolerance = Fraction(0)
    if given.decimals and given.decimals >= 2 and reference.decimals is None:
        tolerance = Fraction(1, 2 * 10**given.decimals)  # 0.67 for 2/3
    elif reference.decimals and (given.decimals is None or given.decimals >= reference.decimals):
        tolerance = Fraction(1, 2 * 10**reference.decimals)  # 3.3333 for 3.33
    return gap <= tolerance


def _matches(answer: str, value: Value | None, text: str) -> bool:
    if value is not None:
        given = evaluated(text)
        return given is not None and same_value(value, given)
    return same_expression(answer, text)


def final_answers(reply: str) -> list[tuple[str, list[str]]]:
    r"""Return what a reply offers as its answer: passages, each with the expressions it holds, the best marked first.

    Example:
        >>> final_answers("Half of 24 is 12. The answer is 12.")
        [('12.', ['12'])]
        >>> final_answers("\\boxed{7/2}")
        [('7/2', ['7/2'])]
    """
    marked = _boxed(reply) or [match[1].strip() for match in _TAGGED.finditer(reply)]
    if marked:
        return [(marked[-1], list(dict.fromkeys((marked[-1], *_expressions(marked[-1])))))]
    said = "\n".join(sentence for sentence in sentences(assertions(reply)) if not courtesy(sentence))
    explicit = _MARKED.findall(said)
    if explicit:
        passage = _sentence_of(explicit[-1])
        return [(passage, _expressions(passage))]
    found = [(sentence, _expressions(sentence)) for sentence in sentences(said)]
    found = [(sentence, values) for sentence, values in found if values]
    summing = [pair for pair in found if _SUMMING_UP.search(pair[0])]
    chosen = [*found[:1], *summing[-1:], *found[-1:]]
    return [pair for i, pair in enumerate(chosen) if pair not in chosen[:i]]


def _sentence_of(text: str) -> str:
    parts = sentences(text)
    return parts[0] if parts else ""


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
    found: list[str] = []

    def take(match: re.Match[str]) -> str:
        body = next(group for group in match.groups() if group is not None)
        found.extend(part.strip() for part in dict.fromkeys((body, re.split(r"=|\\approx|≈", body)[-1])))
        return " "

    plain = _MATH.sub(take, passage) if "\\" in passage or passage.count("$") > 1 else passage
    plain = plain.replace("**", "").replace("__", "")
    if "=" in plain or "≈" in plain:
        plain = re.split(r"[=≈]", plain)[-1]
    for match in _NUMBER.finditer(plain):
        if not _DENIED.search(plain[: match.start()]):
            found.append(match[0].replace("per cent", "%").replace("percent", "%").replace("x", "×").strip())  # noqa: RUF001
    if not found and not any(char.isdigit() for char in plain):
        found = [term.text for term in terms(plain) if term.text.isdigit()]
    return found


@lru_cache(maxsize=4096)
def _values(text: str) -> frozenset[Fraction | float]:
    """Return the numbers that stand in a text (a question's own numbers are no candidates of its answer)."""
    values = (evaluated(match[0].strip()) for match in _NUMBER.finditer(text))
    return frozenset(value.number for value in values if value is not None)


def _discount(passage: str, hits: list[str], candidates: list[str], known: frozenset[Fraction | float]) -> float:
    """Return the worth of a right answer, given what else stands beside it."""
    if passage.strip().rstrip(".") in hits:
        return 1.0
    right = {value.number for text in hits if (value := evaluated(text)) is not None}
    others = {value.number for text in candidates if (value := evaluated(text)) is not None} - right - known
    either = bool(re.search(r"(?i)\b(or|either)\b", passage))
    extra = len(others) if either else max(0, len(others) - 1)
    worth = 1.0 / (1.0 + extra * (1.0 if either else 0.5))
    return worth * (HEDGED if hedged(passage) else 1.0)
