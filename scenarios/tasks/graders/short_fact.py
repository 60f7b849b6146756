"""Short facts: does the reply assert a reference answer, and stand by it?

A reference counts where its words stand side by side in an assertion (not a question), in any of the usual spellings of
numbers, dates, units and accents; for names of three or more words, two thirds of them in one sentence count in part.
Then quality is taken away for what makes a right answer useless:

* denied (``It is not Rome``), or there only to place something else (``a friend of Picasso``, see
  :mod:`~gtalign_env.scenarios.tasks.graders.claims`): that mention does not count;
* another name in the answer's place (``by Goya, whom Picasso admired``): the sentence answers with that name, 0;
* hedged (``maybe Rome``): × 0.7;
* scattershot: with *k* answers of the same sort beside it (other readings' answers named by the task as ``other``, or a
  bare list of alternatives), × 1 / (1 + k / 2).

Where the answer is a number, numbers in words count as figures, and a quantity counts in any unit that converts to that of the
reference or of the question, but not with a unit that contradicts it (``343 km/h`` for 343 m/s; see
:mod:`~gtalign_env.scenarios.tasks.graders.units`).
"""

from __future__ import annotations

from functools import lru_cache

from gtalign_env.protocols import Grade, Task
from gtalign_env.scenarios.tasks.graders.claims import displaced, only_placed_by
from gtalign_env.scenarios.tasks.graders.restate import restate
from gtalign_env.scenarios.tasks.graders.spoken import in_figures
from gtalign_env.scenarios.tasks.graders.text import (
    UNITS,
    Term,
    assertions,
    content,
    courtesy,
    hedged,
    negated,
    sentences,
    terms,
)

__all__ = ["ShortFactGrader"]

HEDGED = 0.7
"""Factor for a right answer that the reply does not stand by."""
_PARTIAL = 2 / 3
_UNITS = frozenset(UNITS.values())
_LEAD_INS = frozenset(("about", "approximately", "around", "c", "ca", "circa", "roughly", "nearly", "almost"))
_JOINTS = frozenset(("or", "and", "either"))

Words = tuple[Term, ...]


class ShortFactGrader:
    """Grades a reply by whether it asserts one of the reference answers.

    Example:
        >>> task = Task(id="t", kind="fact", vague="Which one?", detailed="What is Italy's capital?", answers=("Rome",))
        >>> [ShortFactGrader().grade(task, text).quality for text in ("It's Rome.", "Is it Rome?", "Milan or Rome.")]
        [1.0, 0.0, 0.6666666666666666]
    """

    def grade(self, task: Task, reply: str) -> Grade:
        """Return 1 for a reference answer stated plainly, less where it is partial, hedged or one of several."""
        if not task.answers:
            return Grade(None, f"task {task.id!r} has no reference answer: expected at least one in 'answers'")
        references = [_reference(answer) for answer in task.answers]
        if any(reference[:1] and reference[0][0].isdigit() for reference in references):
            reply = restate(in_figures(reply, fractions=False), task.detailed, task.answers)
        said = [(sentence, terms(sentence)) for sentence in sentences(assertions(reply))]
        known = frozenset().union(content(task.detailed), *map(content, task.answers))
        best = 0.0
        for reference in references:
            for sentence, words in said:
                worth = _worth(reference, words, task.detailed)
                if worth > best and not displaced(sentence, reference, known):
                    spread = _alternatives(task, reference, references, words, said)
                    worth *= (HEDGED if hedged(sentence) else 1.0) / (1.0 + spread / 2)
                    best = max(best, worth)
        return Grade(best)


@lru_cache(maxsize=8192)
def _reference(answer: str) -> tuple[str, ...]:
    words = tuple(term.text for term in terms(in_figures(answer, fractions=False)))
    return words[1:] if len(words) > 1 and words[0] in _LEAD_INS else words


def _worth(reference: tuple[str, ...], words: Words, question: str) -> float:
    """Return how well one sentence states one reference: 1 in full, the share of its words where that is enough."""
    if _find(reference, words, question.casefold()) is not None:
        return 1.0
    if len(reference) < 3:
        return 0.0
    placed = question.casefold()
    present = {
        term.text
        for i, term in enumerate(words)
        if term.text in reference and not negated(words, i, i + 1) and not only_placed_by(words, i, i + 1, placed)
    }
    wanted = [word for word in reference if word not in ("and", "of", "in", "on", "at", "to", "from", "is", "was")]
    if len(wanted) < 3 or any(word[0].isdigit() and word not in present for word in wanted):
        return 0.0
    share = sum(word in present for word in wanted) / len(wanted)
    return share if share >= _PARTIAL - 1e-9 else 0.0


def _find(reference: tuple[str, ...], words: Words, question: str | None = None) -> tuple[int, int] | None:
    """Return where ``reference`` stands in ``words`` undenied and, given a question, not only to place something else."""
    if not reference:
        return None
    if len(reference) == 2 and reference[0][0].isdigit() and reference[1] in _UNITS:
        return _find_quantity(reference[0], reference[1], words)
    size = len(reference)
    for start in range(len(words) - size + 1):
        if _same_word(reference[0], words[start].text):
            window = tuple(term.text for term in words[start + 1 : start + size])
            if window != reference[1:] or negated(words, start, start + size):
                continue
            if question is None or not only_placed_by(words, start, start + size, question):
                return start, start + size
    return None


def _find_quantity(number: str, unit: str, words: Words) -> tuple[int, int] | None:
    """Return where a number stands with its unit, or without any."""
    for at, term in enumerate(words):
        following = words[at + 1].text if at + 1 < len(words) else ""
        other_unit = following in _UNITS and following != unit
        if not other_unit and _same_word(number, term.text) and not negated(words, at, at + 1):
            return at, at + (2 if following == unit else 1)
    return None


def _same_word(reference: str, word: str) -> bool:
    """Whether two words are equal, or one is a decimal number that rounds to the other."""
    if reference == word:
        return True
    if "." not in reference or not word[0].isdigit() or word.count(".") != 1:
        return False
    digits = len(word.partition(".")[2])
    return abs(float(reference) - float(word)) <= 0.5 * 10.0**-digits + 1e-12


def _alternatives(
    task: Task,
    reference: tuple[str, ...],
    references: list[tuple[str, ...]],
    words: Words,
    said: list[tuple[str, Words]],
) -> int:
    """Return how many answers of the same sort the reply offers beside the right one."""
    others = {_reference(value) for key, value in task.extra if key == "other"}
    right = {word for ref in references for word in ref}
    known = sum(any(_find(other, text) for _, text in said) for other in others if not right.issuperset(other))
    return max(known, _listed(task, reference, right, words), _bare_items(reference, right, said))


def _listed(task: Task, reference: tuple[str, ...], right: set[str], words: Words) -> int:
    """Return how many alternatives stand beside the answer in its own sentence."""
    span = _find(reference, words)
    if span is None:
        return 0
    before, after = words[: span[0]], words[span[1] :]
    segments = [*_segments(before, open_end=words[span[0]]), *_segments(after[::-1], open_end=words[span[1] - 1])]
    named = content(task.detailed)
    count = sum(_rivals(segment, reference, right) and not named.issuperset(segment) for segment in segments)
    if any(term.text in ("or", "either") for term in (*before, *after)):
        return count
    return count if count >= 3 else 0


def _segments(words: Words, *, open_end: Term) -> list[list[str]]:
    """Split words at commas and joints; what is attached to the answer at the open end is no segment of its own."""
    segments: list[list[str]] = [[]]
    clause = words[0].clause if words else open_end.clause
    for term in words:
        if term.clause != clause or term.text in _JOINTS:
            segments.append([])
            clause = term.clause
        if term.text not in _JOINTS:
            segments[-1].append(term.text)
    return segments[:-1] if clause == open_end.clause else segments


def _bare_items(reference: tuple[str, ...], right: set[str], said: list[tuple[str, Words]]) -> int:
    """Return how many other lines of the reply are bare items of the same sort, where they make a list (three or more)."""
    items = [[term.text for term in words] for sentence, words in said if not courtesy(sentence)]
    count = sum(_rivals(item, reference, right) for item in items)
    return count if count >= 3 else 0


def _rivals(segment: list[str], reference: tuple[str, ...], right: set[str]) -> bool:
    """Whether a stretch of words could stand where the answer stands: as short, and of its sort."""
    if not 1 <= len(segment) <= len(reference) + 2 or right.issuperset(segment):
        return False
    if any(segment[i : i + len(reference)] == list(reference) for i in range(len(segment))):
        return False
    numbers = [word for word in segment if word[0].isdigit()]
    if not reference[0][0].isdigit():
        return not numbers and len(segment) <= len(reference) + 1
    unit = reference[1] if len(reference) == 2 and reference[1] in _UNITS else ""
    units = [word for word in segment if word in _UNITS]
    same_length = any(len(word) == len(reference[0]) for word in numbers)
    return bool(numbers) and (not units or unit in units) and (same_length or bool(unit))
