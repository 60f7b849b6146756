"""Writing: how close is the text to a reference text, and does it say what it had to say?

``overlap`` = chrF2 of the reply against the best reference, both in lower case, scaled so that 0.25 (two unrelated English
texts stay below) is 0 and 0.60 (a close rewording) is 1. A task with key points (names, dates, places that the text must
mention) is graded half by overlap and half by the share of key points that it
mentions, in whatever way. A reply that only asks has no text: 0. A reply
that repeats the request would meet its particulars without writing anything, so from a chrF2 of 0.80 against the request on,
quality falls linearly to 0 at 1.
"""

from __future__ import annotations

from gtalign_env.protocols import Grade, Task
from gtalign_env.scenarios.tasks.graders.overlap import chrf
from gtalign_env.scenarios.tasks.graders.points import coverage, key_points
from gtalign_env.scenarios.tasks.graders.text import asks_only, clean

__all__ = ["WritingGrader"]

UNRELATED = 0.25
"""chrF2 up to which two texts count as unrelated."""
REWORDED = 0.60
"""chrF2 from which a text counts as the reference in other words."""
ECHO = 0.80
"""chrF2 against the request from which a reply counts as repeating it."""


class WritingGrader:
    """Grades a text by its overlap with a reference text and by the key points it mentions.

    Example:
        >>> task = Task(id="t", kind="writing", vague="?", detailed="?", answers=("Happy birthday, dear Ann! Love, Bo",))
        >>> WritingGrader().grade(task, "Happy birthday, dear Ann! Love from Bo").quality
        1.0
    """

    def grade(self, task: Task, reply: str) -> Grade:
        """Return the scaled overlap, or its mean with the coverage of key points, in [0, 1]."""
        if not task.answers:
            return Grade(None, f"task {task.id!r} has no reference text: expected at least one in 'answers'")
        if asks_only(reply):
            return Grade(0.0)
        given = clean(reply)
        best = max(chrf(given, clean(answer)) for answer in task.answers)
        overlap = min(1.0, max(0.0, (best - UNRELATED) / (REWORDED - UNRELATED)))
        points = key_points(task)
        worth = (overlap + coverage(points, reply, mentioned=True)) / 2 if points else overlap
        echo = max(chrf(given, clean(request)) for request in (task.vague, task.detailed))
        return Grade(worth * min(1.0, (1.0 - echo) / (1.0 - ECHO)))
