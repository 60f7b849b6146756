"""Frames and summaries on any rich console, one below the other: what pipes get, and what other commands show."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from gtalign_env.replay.frame import Look, frame_lines
from gtalign_env.replay.story import Story
from gtalign_env.replay.style import Scheme, pick_scheme, theme
from gtalign_env.replay.summary import Row, summary_lines

__all__ = ["print_story", "print_summary"]


def print_story(
    console: Console,
    story: Story,
    *,
    look: Look | None = None,
    steps: Sequence[int] | None = None,
    scheme: Scheme = "auto",
) -> None:
    """Print the frames of an episode, separated by blank lines.

    Args:
        console: Any console of at least 60 columns; its own theme does not matter.
        story: The episode, as ``tell`` worked it out.
        look: What is shown.
        steps: Which steps; all of them when ``None``.
        scheme: Colours.

    Example:
        >>> import io
        >>> from gtalign_env.episode import Episode
        >>> from gtalign_env.replay.story import tell
        >>> console = Console(file=io.StringIO(), width=60)
        >>> print_story(console, tell(Episode(scenario="matrix", view="strategic", seed=0)))
        >>> console.file.getvalue().split()[0]
        'gtalign/Matrix-v0'
    """
    hintless = dataclasses.replace(look or Look(), hints=False)  # once is enough
    for number, step in enumerate(range(story.frames) if steps is None else steps):
        lines = frame_lines(story, step, console.width, look if number == 0 else hintless)
        _print(console, lines if number == 0 else [Text(""), *lines], scheme)


def print_summary(console: Console, rows: Sequence[Row], *, title: str = "", scheme: Scheme = "auto") -> None:
    """Print the table of a summary (see ``summarise``)."""
    _print(console, summary_lines(rows, console.width, title=title), scheme)


def _print(console: Console, lines: Sequence[Text], scheme: Scheme) -> None:
    with console.use_theme(theme(pick_scheme(scheme))):
        for line in lines:
            line.rstrip()
            console.print(
                line, no_wrap=True, overflow="crop", markup=False, highlight=False, emoji=False, soft_wrap=False
            )
