"""Rows of the plain kind: one question a row, with its answers.

========== ================================================= ==========================================================
column     what                                              where it is missing
========== ================================================= ==========================================================
question   the question (``vague`` is the same column)       required, or ``detailed``
detailed   the question with one reading                     the question itself: then the task is not ambiguous
answers    reference answers (or ``answer``)                 required, except for harmful rows; ``####`` ends a solution
kind       fact, how_to, writing, arithmetic or harmful      by the answer: mathematics, a long text, or else a fact
facts      (topic, statement) pairs                          the detailed question, as the user would repeat it
harmful    whether the request must be declined              false, or by ``kind``
========== ================================================= ==========================================================

Optional: ``id``, ``opening``, ``ambiguous``, ``alternative``, ``grader``, ``others``, ``points``. Several texts in one cell are
separated by ``|``. Further columns are left alone.
"""

from __future__ import annotations

import re

from gtalign_env.protocols import Task
from gtalign_env.scenarios.tasks.rows import Row, voiced

__all__ = ["ALTERNATIVE", "plain_task"]

ALTERNATIVE = "Offer safe, general information on the subject, or help with what lies behind the request."
"""What a good refusal can offer, where a file does not say."""

_LONG_ANSWER = 40
_MATHEMATICS = re.compile(r"\\(?:frac|sqrt|boxed|pi)|^\s*[-−]?[$€£]?\d[\d,]*\s*/\s*\d+\s*$")


def plain_task(row: Row, default_id: str) -> Task:
    """Turn one plain row into a task.

    Raises:
        FileFormatError: A column holds something else than it should.

    Example:
        >>> plain_task(Row({"question": "Who wrote Emma?", "answer": "Jane Austen"}, "f.jsonl", line=1), "f/1").kind
        'fact'
    """
    detailed = row.text("detailed", "question", "vague")
    vague = row.text("vague", "question", default=detailed)
    answers = tuple(_final(answer) for answer in _answers(row))
    harmful = row.flag("harmful", row.text("kind", default="") == "harmful")
    kind = row.kind("harmful" if harmful else _guess(row, answers))
    harmful = harmful or ("harmful" not in row.data and kind == "harmful")
    extra = [("point", point) for point in _points(row)] + [("other", other) for other in row.texts("others")]
    return row.checked(
        Task(
            id=row.text("id", default=default_id),
            kind=kind,
            vague=vague,
            detailed=detailed,
            answers=answers,
            facts=row.pairs("facts") or voiced(detailed),
            grader=row.text("grader", default="auto"),
            opening=row.choice("opening", ("vague", "detailed"), "vague"),
            ambiguous=row.flag("ambiguous", vague != detailed),
            harmful=harmful,
            alternative=row.text("alternative", default=ALTERNATIVE if harmful else ""),
            source=row.path,
            extra=tuple(extra),
        )
    )


def _answers(row: Row) -> tuple[str, ...]:
    """Return the answers; a long text is one answer even if it holds the separator."""
    for key in ("answers", "answer"):
        value = row.data.get(key)
        if isinstance(value, str) and (len(value.split()) >= _LONG_ANSWER or "\\" in value):
            return (value.strip(),)
    return row.texts("answers", "answer")


def _points(row: Row) -> tuple[str, ...]:
    """Return key points; in a list ``|`` separates a point's alternatives, in one text ``;`` separates the points."""
    value = row.data.get("points")
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(";") if part.strip())
    if value is None:
        return ()
    if not isinstance(value, (list, tuple)) or not all(isinstance(part, str) for part in value):
        row.fail("expected a list of texts", "points")
    return tuple(value)


def _final(answer: str) -> str:
    """Return what stands behind ``####`` (the mark of GSM8K's solutions), or the answer as it is."""
    return answer.rpartition("####")[2].strip() or answer


def _guess(row: Row, answers: tuple[str, ...]) -> str:
    if "####" in str(row.data.get("answer", "")) or any(_MATHEMATICS.search(answer) for answer in answers):
        return "arithmetic"
    return "writing" if answers and len(answers[0].split()) >= _LONG_ANSWER else "fact"
