"""How-to answers: how many of the key points does the reply make?

Quality is the share of the task's key points that the reply asserts. A task without key points is graded by the share of
the content words of its best reference that the reply uses. A reply that only asks makes no point, a denied point
(``Never press the button``) is none, and points among bare keywords count in small part (see
:mod:`~gtalign_env.scenarios.tasks.graders.points`, which has the rules).
"""

from __future__ import annotations

from gtalign_env.protocols import Grade, Task
from gtalign_env.scenarios.tasks.graders.points import coverage, key_points, prose
from gtalign_env.scenarios.tasks.graders.text import asks_only, assertions, content

__all__ = ["HowToGrader"]


class HowToGrader:
    """Grades a reply by the key points it covers.

    Example:
        >>> points = (("point", "boil"), ("point", "pasta"), ("point", "salt"), ("point", "drain"))
        >>> task = Task(id="t", kind="how_to", vague="?", detailed="How do I cook pasta?", extra=points)
        >>> HowToGrader().grade(task, "Boil water with salt, cook the pasta, then drain it.").quality
        1.0
    """

    def grade(self, task: Task, reply: str) -> Grade:
        """Return the share of key points covered, in [0, 1]."""
        points = key_points(task)
        if not points and not task.answers:
            return Grade(None, f"task {task.id!r} has neither key points nor a reference answer: expected one of them")
        if asks_only(reply):
            return Grade(0.0)
        if points:
            return Grade(coverage(points, reply))
        text = assertions(reply)
        said = content(text)
        return Grade(prose(text) * max(_recall(content(answer), said) for answer in task.answers))


def _recall(wanted: frozenset[str], said: frozenset[str]) -> float:
    return len(wanted & said) / len(wanted) if wanted else 0.0
