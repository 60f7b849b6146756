"""The replay on a terminal: step, jump, play, reveal."""

from __future__ import annotations

import dataclasses
import io
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

from rich.text import Text

from gtalign_env.episode import Episode
from gtalign_env.render import one_line
from gtalign_env.replay.bars import pad
from gtalign_env.replay.frame import MIN_WIDTH, Look, frame_lines
from gtalign_env.replay.keys import KeyReader, raw_screen
from gtalign_env.replay.player import HELP, Stand, advance, press
from gtalign_env.replay.story import Story, tell
from gtalign_env.replay.style import Scheme, ascii_text, is_unicode, make_console
from gtalign_env.replay.summary import summarise, summary_lines
from gtalign_env.superseded import Superseded

__all__ = ["Screen", "can_interact", "watch"]

_HINTS = (
    "→ next  ← back  [ ] episode  g go to  p play  + − speed  r reveal  f full text  s summary  ? help  q quit",
    "→ next  ← back  p play  r reveal  f full  s summary  ? help  q quit",
    "→ next  ← back  p play  r reveal  ? help  q quit",
    "→ ← step  ? help  q quit",
)
_POLL = 0.2
"""Seconds between looks at the terminal's size."""


def can_interact(stdin: IO[Any], stdout: IO[Any]) -> bool:
    """Return whether keys can be read and frames drawn: both ends are terminals, and the system has termios.

    Example:
        >>> import io
        >>> can_interact(io.StringIO(), io.StringIO())
        False
    """
    try:
        import termios  # noqa: F401 - only whether it is there
    except ImportError:
        return False
    return stdin.isatty() and stdout.isatty()


class Screen:
    """Turns a stand into the lines of a terminal.

    Args:
        path: The file's name, for the summary.
        episodes: Its episodes.
        only: Index of the only one to show; all when ``None``.
        trust: Also import a scenario that a record names as ``"module:attr"``.
    """

    def __init__(
        self, path: str | Path, episodes: Sequence[Episode], *, only: int | None = None, trust: bool = False
    ) -> None:
        self.path = str(path)
        self.first, self.count, self.trust = only or 0, len(episodes), trust
        self.episodes = episodes if only is None else [episodes[only]]
        self._rows: Any = None
        self._story: Story | None = None

    def stand(self) -> Stand:
        """Return where a viewer starts: before the summary where there are several episodes."""
        frames = tuple(max(len(episode.steps), 1) for episode in self.episodes)
        return Stand(frames=frames, page="summary" if len(frames) > 1 else "frame")

    def story(self, index: int) -> Story:
        """Return the story of one of the episodes that are shown."""
        place = self.first + index
        if self._story is None or self._story.index != place:
            self._story = tell(self.episodes[index], index=place, count=self.count, trust=self.trust)
        return self._story

    def lines(self, stand: Stand, width: int, height: int) -> list[Text]:
        """Return exactly ``height`` lines of at most ``width`` cells, the last one the status line."""
        if width < MIN_WIDTH:
            words = f"{width} columns are too few: the replay needs {MIN_WIDTH}. Widen the terminal, or press q."
            body = [Text(words[i : i + width]) for i in range(0, len(words), width)]
            return (body + [Text("")] * height)[:height]
        room = height - 1
        body = self._page(stand, width, room)
        last = max(len(body) - room, 0)
        top = min(max(last + stand.scroll if stand.bottom else stand.scroll, 0), last)
        shown = body[top : top + room]
        shown += [Text("")] * (room - len(shown))
        return [*shown, self._status(stand, width, above=top, below=max(len(body) - room - top, 0))]

    def seconds(self, stand: Stand) -> float:
        """Return how long a frame stays while playing: as long as it takes to read, at the chosen speed."""
        if stand.page == "summary":
            return 4.0 / stand.speed
        steps = self.episodes[stand.episode].steps
        words = 0
        if stand.step < len(steps):
            step = steps[stand.step]
            words = len((step.user.text + " " + step.assistant.text).split())
        return min(1.5 + min(words, 400 if stand.full else 90) / 5.0, 20.0) / stand.speed

    def _page(self, stand: Stand, width: int, room: int) -> list[Text]:
        if stand.page == "help":
            lines = [Text("keys", style="strong"), Text("")]
            return lines + [Text.assemble((f"  {keys:<16}", "user"), what) for keys, what in HELP]
        if stand.page == "summary":
            if self._rows is None:
                again = Superseded(self.episodes)
                self._rows = summarise(episode for episode in self.episodes if not again.drops(episode))
            many = f"{self.count} episode{'s' * (self.count != 1)}"
            shown = f"episode {self.first + 1} of {self.count}" if len(self.episodes) < self.count else many
            title = f"{one_line(self.path)}: {shown}"
            return summary_lines(self._rows, width, title=title)
        story = self.story(stand.episode)
        look = Look(reveal=stand.reveal, full=stand.full, interactive=True)
        history = (6, 4, 2, 1) if story.episode.view == "text" else (1,)
        looks = [dataclasses.replace(look, history=earlier) for earlier in history]
        tight = dataclasses.replace(look, tight=True)
        folded = dataclasses.replace(look, tight=True, folded=True)
        looks += [tight] if stand.full else [tight, folded]
        for fitting in looks[:-1]:
            lines = frame_lines(story, stand.step, width, fitting)
            if len(lines) <= room:
                return lines
        least = frame_lines(story, stand.step, width, looks[-1])
        return least if len(least) <= room or stand.bottom else frame_lines(story, stand.step, width, tight)

    def _status(self, stand: Stand, width: int, *, above: int, below: int) -> Text:
        if stand.prompt is not None:
            return pad(Text(f"go to step (1 to {stand.last_step + 1}): {stand.prompt}█"), width)
        more = [f"↑{above}"] * bool(above) + [f"↓{below} more"] * bool(below)
        right = Text.assemble(" " * bool(more), (" ".join(more), "strong"))
        left = Text("")
        if stand.page == "frame":
            left = Text.assemble((f" {'playing' if stand.playing else 'paused'} {stand.speed:g}× ", "made"), " ")
        hints = {"frame": _HINTS, "summary": ("space goes on  ? help  q quit",), "help": ("any key closes the help",)}[
            stand.page
        ]
        room = width - right.cell_len
        fitting = [hint for hint in hints if left.cell_len + len(hint) <= room]
        left.append_text(
            Text(stand.note, style="strong") if stand.note else Text(fitting[0] if fitting else "", style="muted")
        )
        return Text.assemble(pad(left, room), right)


def watch(
    path: str | Path,
    episodes: Sequence[Episode],
    *,
    only: int | None = None,
    scheme: Scheme = "auto",
    color: bool = True,
    reveal: bool = False,
    full: bool = False,
    speed: float | None = None,
    trust: bool = False,
    stdin: IO[Any] | None = None,
    stdout: IO[str] | None = None,
) -> None:
    """Let a viewer walk through episodes until ``q``.

    Args:
        path: The file's name, for its summary.
        episodes: Its episodes.
        only: Index of the only one to show; all of them, and first their summary, when ``None``.
        scheme: Colours.
        color: Whether to use any.
        reveal: Start with θ revealed.
        full: Start with long texts whole.
        speed: Start playing at this speed; ``None`` starts paused.
        trust: Also import a scenario that a record names as ``"module:attr"``.
        stdin: The terminal's keys; the process's own when ``None``.
        stdout: The terminal's screen.

    Raises:
        KeyboardInterrupt: Ctrl-C; the terminal is as it was.
    """
    keyboard, screen_file = stdin or sys.stdin, stdout or sys.stdout
    screen = Screen(path, episodes, only=only, trust=trust)
    stand = dataclasses.replace(screen.stand(), reveal=reveal, full=full)
    if speed is not None:
        stand = dataclasses.replace(stand, page="frame", speed=speed, playing=True)
    with raw_screen(keyboard, screen_file):
        _loop(screen, stand, KeyReader(keyboard.fileno()), screen_file, scheme, color)


def _loop(screen: Screen, stand: Stand, keys: KeyReader, file: IO[str], scheme: Scheme, color: bool) -> None:
    drawn: tuple[Stand, Any] | None = None
    due = time.monotonic() + screen.seconds(stand)
    while not stand.done:
        size = os.get_terminal_size(file.fileno())
        if drawn != (stand, size):
            _draw(screen, stand, size, file, scheme, color)
            drawn = (stand, size)
        wait = min(due - time.monotonic(), _POLL) if stand.playing else _POLL
        pressed = keys.read(wait)
        if pressed is None:
            return
        before = stand
        for key in pressed:
            stand = press(stand, key)
        if stand.playing and before == stand and time.monotonic() >= due:
            stand = advance(stand)
        if stand != before:
            due = time.monotonic() + screen.seconds(stand)


def _draw(screen: Screen, stand: Stand, size: Any, file: IO[str], scheme: Scheme, color: bool) -> None:
    width, height = size.columns, max(size.lines, 2)
    buffer = io.StringIO()
    console = make_console(buffer, width=width, scheme=scheme, color=color, force_terminal=True)
    out: list[str] = []
    for line in screen.lines(stand, width, height):
        buffer.seek(0)
        buffer.truncate()
        console.print(line, end="", no_wrap=True, overflow="crop")
        out.append(buffer.getvalue() if is_unicode(file) else ascii_text(buffer.getvalue()))
    file.write("\x1b[?2026h\x1b[H" + "\x1b[K\r\n".join(out) + "\x1b[K\x1b[J\x1b[?2026l")
    file.flush()
