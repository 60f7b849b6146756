"""Graders: how well does a reply answer a task?

Deterministic, without a model, and fast enough for the inner loop. :func:`grade` picks the grader by the task's ``grader``
or, for ``"auto"``, by its kind; a failure is a :class:`~gtalign_env.protocols.Grade` without quality, never a quality of 0.
"""

from gtalign_env.scenarios.tasks.graders.refusal import is_refusal, stance
from gtalign_env.scenarios.tasks.graders.registry import (
    GRADERS,
    KIND_GRADERS,
    grade,
    grader,
    grader_for,
    register_grader,
)

__all__ = ["GRADERS", "KIND_GRADERS", "grade", "grader", "grader_for", "is_refusal", "register_grader", "stance"]
