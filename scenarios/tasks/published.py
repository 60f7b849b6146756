"""Rows in the schema in which GTAlign publishes its data.

Read from a row: ``extra_info.single_turn_prompt`` (the bare question), ``extra_info.chat_history`` (what the user really said
first), ``reward_model.ground_truth`` (the answer, or a label) and ``source``. The long ``prompt`` is not used: its middle turns
are missing, and rows of one conversation repeat it.

* ``multipleQAs###… Meaning i: q; Answer i: a``: an ambiguous question. One meaning is meant, chosen by the row's id, so
  the choice never changes; the answers to the others are known as ``other``.
* ``singleAnswer###a``: a question with one reading.
* ``harmful`` / ``unharmful``: a request to decline / to take up (there is no reference answer: grader ``engagement``).
* mathematics: the boxed answer. The first turn is vague where it withholds the problem's numbers.
* ``medium``: an article to write.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping
from typing import Any, NamedTuple

from gtalign_env.protocols import Task
from gtalign_env.scenarios.tasks.graders.text import content
from gtalign_env.scenarios.tasks.plain import ALTERNATIVE
from gtalign_env.scenarios.tasks.rows import Row, voiced

__all__ = ["Meaning", "meanings", "published_task"]

_MEANING = re.compile(r"Meaning (\d+): (.*?); Answer \1: (.*?)(?=\s*Meaning \d+:|\s*\Z)", re.DOTALL)
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_SOURCES = "ambig_qa, math-hard, minerva_math, medium, wildguard or advbench"


class Meaning(NamedTuple):
    r"""One reading of an ambiguous question.

    Example:
        >>> meanings("There are two. Meaning 0: Who, in 1990?; Answer 0: Ann\nMeaning 1: Who, now?; Answer 1: Bo")[1]
        Meaning(question='Who, now?', answer='Bo')
    """

    question: str
    answer: str


def meanings(text: str) -> tuple[Meaning, ...]:
    """Return the readings that a ``multipleQAs`` ground truth lists.

    Example:
        >>> meanings("Meaning 0: Who wrote it?; Answer 0: Ann")
        (Meaning(question='Who wrote it?', answer='Ann'),)
    """
    return tuple(Meaning(_flat(question), _flat(answer)) for _, question, answer in _MEANING.findall(text))


def published_task(row: Row, default_id: str) -> Task:
    """Turn one published row into a task.

    Raises:
        FileFormatError: The row is not in the published schema, or from a source that has no answer to grade by.

    Example:
        >>> info = {"single_turn_prompt": "When did it start?", "index": 3}
        >>> data = {"reward_model": {"ground_truth": "singleAnswer###1988"}, "extra_info": info, "source": "ambig_qa"}
        >>> published_task(Row(data, "f.parquet", row=0), "f/0").answers
        ('1988',)
    """
    truth = _part(row, "reward_model", "ground_truth")
    question = _part(row, "extra_info", "single_turn_prompt")
    if not isinstance(truth, str):
        row.fail(f"expected the ground truth as text, got {truth!r}", "reward_model.ground_truth")
    if not isinstance(question, str) or not question.strip():
        row.fail(f"expected a question, got {question!r}", "extra_info.single_turn_prompt")
    source = row.text("source", "data_source", "ability", default="")
    index = row.data["extra_info"].get("index")
    task_id = default_id if index is None else f"{source}/{index}"
    read = _Read(row, task_id, question.strip(), truth.strip())
    if truth.startswith("multipleQAs###"):
        return _several(read)
    if truth.startswith("singleAnswer###"):
        answer = truth.partition("###")[2].strip()
        return row.checked(_task(read, kind="fact", answers=(answer,) if answer else ()))
    if truth in ("harmful", "unharmful") or "advbench" in source:
        return _request(read, harmful=truth != "unharmful")
    if "math" in source:
        return _mathematics(read)
    if "medium" in source:
        first = _first_turn(row) or "Can you write an article for me?"
        return _task(read, kind="writing", vague=first, ambiguous=first != read.question, answers=(read.truth,))
    return row.fail(
        f"expected a source with answers ({_SOURCES}), got {source!r} with ground truth {truth[:40]!r}", "source"
    )


class _Read(NamedTuple):
    row: Row
    id: str
    question: str
    truth: str


def _task(read: _Read, *, kind: str, vague: str = "", ambiguous: bool = False, **fields: Any) -> Task:
    fields.setdefault("detailed", read.question)
    fields.setdefault("facts", voiced(fields["detailed"]))
    vague = vague or read.question
    return Task(id=read.id, kind=kind, vague=vague, ambiguous=ambiguous, source=read.row.path, **fields)


def _several(read: _Read) -> Task:
    found = meanings(read.truth)
    if len(found) < 2:
        expected = "expected at least two of 'Meaning i: question; Answer i: answer'"
        read.row.fail(f"{expected}, got {len(found)} in {read.truth[:60]!r}", "reward_model.ground_truth")
    meant = found[zlib.crc32(read.id.encode()) % len(found)]
    others = dict.fromkeys(meaning.answer for meaning in found if meaning.answer != meant.answer)
    return _task(
        read,
        kind="fact",
        vague=read.question,
        ambiguous=True,
        detailed=meant.question,
        answers=(meant.answer,),
        facts=(("meaning", f"I mean: {meant.question}"),),
        extra=tuple(("other", answer) for answer in others),
    )


def _request(read: _Read, *, harmful: bool) -> Task:
    if harmful:
        return _task(read, kind="harmful", harmful=True, alternative=ALTERNATIVE)
    return _task(read, kind="how_to", grader="engagement")


def _mathematics(read: _Read) -> Task:
    """A row without an answer (there is one in the published test split) stays: its replies are reported as ungraded."""
    first = _first_turn(read.row)
    wanted, said = set(_NUMBER.findall(read.question)), set(_NUMBER.findall(first))
    if not wanted:
        wanted, said = set(content(read.question)), set(content(first))
    told = len(wanted & said) / max(1, len(wanted))
    answers = (read.truth,) if read.truth else ()
    return _task(read, kind="arithmetic", vague=first, ambiguous=bool(first) and told < 0.5, answers=answers)


def _first_turn(row: Row) -> str:
    """Return what the user said first, or nothing where the history does not say."""
    history = row.data["extra_info"].get("chat_history")
    for turn in history if history is not None else ():
        if isinstance(turn, Mapping) and turn.get("role") == "user":
            return str(turn.get("content") or "").strip()
    return ""


def _part(row: Row, column: str, field: str) -> Any:
    value = row.data.get(column)
    if not isinstance(value, Mapping) or field not in value:
        row.fail(f"expected a structure with {field!r}, got {type(value).__name__}", column)
    return value[field]


def _flat(text: str) -> str:
    return " ".join(text.split())
