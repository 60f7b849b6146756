"""Watch what happened: recorded episodes as frames, on a terminal, in a pipe, or as a page; and proof that a record is true.

* ``story``: what an episode tells, worked out once; ``frame``: one step of it as lines of text;
* ``stage``, ``cells``, ``matrix``: the stage game with its Nash and Pareto cells;
* ``speech``, ``bars``, ``style``: how things are said, drawn and coloured;
* ``summary``: a file at a glance; ``verify``: play a record again and compare; ``export``: pages;
* ``transcript``: whole episodes as plain text; ``reading``: files that something else has written into;
* ``player``, ``keys``, ``interactive``: stepping through episodes on a terminal.
"""

from __future__ import annotations

from gtalign_env.replay.export import export
from gtalign_env.replay.frame import MIN_WIDTH, Look, frame_lines
from gtalign_env.replay.printing import print_story, print_summary
from gtalign_env.replay.stage import StageMatrix, stage_matrix
from gtalign_env.replay.story import Story, tell
from gtalign_env.replay.style import make_console
from gtalign_env.replay.summary import summarise, summary_lines
from gtalign_env.replay.transcript import transcript_lines
from gtalign_env.replay.verify import CannotRebuildError, Difference, unfinished, verify_episode

__all__ = [
    "MIN_WIDTH",
    "CannotRebuildError",
    "Difference",
    "Look",
    "StageMatrix",
    "Story",
    "export",
    "frame_lines",
    "make_console",
    "print_story",
    "print_summary",
    "stage_matrix",
    "summarise",
    "summary_lines",
    "tell",
    "transcript_lines",
    "unfinished",
    "verify_episode",
]
