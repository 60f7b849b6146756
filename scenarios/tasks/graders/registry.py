"""Which grader judges which task."""

from __future__ import annotations

import importlib
import math
from functools import lru_cache

from gtalign_env.errors import UnknownNameError, UsageError
from gtalign_env.protocols import Grade, Grader, Task

__all__ = ["GRADERS", "KIND_GRADERS", "grade", "grader", "grader_for", "register_grader"]

_HERE = "gtalign_env.scenarios.tasks.graders"

GRADERS: dict[str, str] = {
    "engagement": f"{_HERE}.engagement:EngagementGrader",
    "how_to": f"{_HERE}.how_to:HowToGrader",
    "numbers": f"{_HERE}.numbers:NumbersGrader",
    "reasoning_gym": f"{_HERE}.generated:ReasoningGymGrader",
    "refusal": f"{_HERE}.refusal:RefusalGrader",
    "short_fact": f"{_HERE}.short_fact:ShortFactGrader",
    "writing": f"{_HERE}.writing:WritingGrader",
}
"""Grader names and where they live, as ``"module:attr"``; the attribute is a class or function that makes a grader."""

KIND_GRADERS: dict[str, str] = {
    "arithmetic": "numbers",
    "fact": "short_fact",
    "harmful": "refusal",
    "how_to": "how_to",
    "writing": "writing",
}
"""The grader of each kind of task, for tasks whose grader is ``"auto"``."""


def register_grader(name: str, target: str) -> None:
    """Make a grader known under a name, so that tasks can ask for it.

    Args:
        name: What a task's ``grader`` says.
        target: ``"module:attr"``, called without arguments to make the grader.

    Raises:
        UsageError: The name is taken by another grader, or the target is not of that form.

    Example:
        >>> register_grader("how_to", GRADERS["how_to"])
    """
    module, _, attribute = target.partition(":")
    if not module or not attribute:
        raise UsageError(f"grader {name!r}: expected 'module:attr', got {target!r}")
    if name == "auto" or GRADERS.get(name, target) != target:
        raise UsageError(f"grader name {name!r} is taken by {GRADERS.get(name, 'the choice by kind')}: choose another")
    GRADERS[name] = target


def grader(name: str) -> Grader:
    """Return the grader called ``name``; the same one each time.

    Raises:
        UnknownNameError: No grader has that name.
        UsageError: What it names cannot be imported, or is no grader.

    Example:
        >>> type(grader("numbers")).__name__
        'NumbersGrader'
    """
    if name not in GRADERS:
        raise UnknownNameError("grader", name, GRADERS)
    return _load(GRADERS[name])


@lru_cache(maxsize=64)
def _load(target: str) -> Grader:
    module, _, attribute = target.partition(":")
    try:
        made = getattr(importlib.import_module(module), attribute)()
    except (ImportError, AttributeError) as error:
        raise UsageError(f"grader {target!r} cannot be loaded: {error}") from error
    if not isinstance(made, Grader):
        raise UsageError(f"grader {target!r}: expected something with a method grade(task, reply), got {made!r}")
    return made


def grader_for(task: Task) -> str:
    """Return the name of the grader that judges a task.

    Raises:
        UnknownNameError: The task's kind is not one that has a grader.

    Example:
        >>> grader_for(Task(id="t", kind="fact", vague="?", detailed="?"))
        'short_fact'
    """
    if task.grader != "auto":
        return task.grader
    if task.harmful:
        return KIND_GRADERS["harmful"]
    if task.kind not in KIND_GRADERS:
        raise UnknownNameError("kind of task", task.kind, KIND_GRADERS)
    return KIND_GRADERS[task.kind]


def grade(task: Task, reply: str) -> Grade:
    """Return how well ``reply`` answers ``task``.

    A grader that fails, or returns something other than a number in [0, 1], gives a grade without quality whose ``problem``
    says why: the caller decides what an ungraded reply means.

    Example:
        >>> grade(Task(id="t", kind="fact", vague="?", detailed="Capital of Italy?", answers=("Rome",)), "It is Rome.")
        Grade(quality=1.0, problem='')
    """
    try:
        found = grader(grader_for(task)).grade(task, reply)
    except Exception as error:  # noqa: BLE001 - graders may be anybody's code, and one bad task must not end a run
        return Grade(None, f"grading task {task.id!r} failed: {type(error).__name__}: {error}")
    if found.quality is not None and not (math.isfinite(found.quality) and 0.0 <= found.quality <= 1.0):
        return Grade(None, f"grading task {task.id!r} failed: expected a quality in [0, 1], got {found.quality!r}")
    return found
