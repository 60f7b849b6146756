"""Where a viewer stands in a file and what a key does: pure functions, without a terminal."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, Literal

__all__ = ["HELP", "SPEEDS", "Stand", "advance", "press"]

Page = Literal["summary", "frame", "help"]

SPEEDS: tuple[float, ...] = (0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0, 8.0, 16.0)
"""How fast ``play`` runs; at 1 a frame stays about as long as it takes to read."""

HELP: tuple[tuple[str, str], ...] = (
    ("→  space  n", "next step"),
    ("←  b", "step back"),
    ("home  end", "first, last step"),
    ("g N enter", "go to step N"),
    ("]  [", "next, previous episode"),
    ("p", "play, pause"),
    ("+  −", "faster, slower"),
    ("r", "reveal or hide θ and what the user means"),
    ("f", "long texts in full, or folded"),
    ("s", "summary of the file"),
    ("↑ ↓  pgup pgdn", "scroll"),
    ("?", "this help"),
    ("q", "quit; closes this help"),
)
"""Keys and what they do."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Stand:
    """Where a viewer stands. Immutable: a key makes a new one."""

    frames: tuple[int, ...]
    """Frames of every episode of the file."""
    page: Page = "frame"
    episode: int = 0
    step: int = 0
    scroll: int = 0
    """Lines scrolled down (from the end, negative, with ``bottom``); the screen caps it."""
    bottom: bool = False
    """Whether a page that is too tall shows its end: what was just revealed, and how it all came out."""
    under_help: Page = "frame"
    """The page that comes back when the help is closed."""
    playing: bool = False
    speed: float = 1.0
    reveal: bool = False
    full: bool = False
    prompt: str | None = None
    """Digits typed after ``g``; ``None`` when nothing is asked."""
    note: str = ""
    """A remark for the status line, until the next key."""
    done: bool = False

    @property
    def last_step(self) -> int:
        """Index of the episode's last frame."""
        return self.frames[self.episode] - 1

    @property
    def at_end(self) -> bool:
        """Whether this is the last frame of the last episode."""
        return self.episode == len(self.frames) - 1 and self.step == self.last_step


def press(stand: Stand, key: str) -> Stand:
    """Return where a key leads.

    Args:
        stand: Where the viewer stands.
        key: A character, or ``right left up down home end pgup pgdn enter escape backspace``.

    Example:
        >>> press(Stand(frames=(3,)), "right").step, press(Stand(frames=(3,)), "q").done
        (1, True)
    """
    stand = dataclasses.replace(stand, note="")
    if stand.prompt is not None:
        return _typed(stand, key)
    if stand.page == "help" and key not in _SCROLL:
        return dataclasses.replace(stand, page=stand.under_help, scroll=0)
    if key == "q":
        return dataclasses.replace(stand, done=True)
    if stand.page == "summary" and key in (" ", "right", "n", "enter", "escape", "s", "]", "p"):
        return _at(stand, stand.episode, stand.step, playing=key == "p")
    for moves in (_walk, _scroll, _switch):
        moved = moves(stand, key)
        if moved is not None:
            return moved
    name = key if key.isprintable() else "this key"
    return dataclasses.replace(stand, note=f"{name} does nothing here: ? shows the keys, q quits")


def advance(stand: Stand) -> Stand:
    """Return the next frame of a play: on to the next episode, and a stop at the end of the last one.

    Example:
        >>> advance(Stand(frames=(1, 2), playing=True)).episode
        1
    """
    if stand.at_end:
        return dataclasses.replace(stand, playing=False)
    if stand.step < stand.last_step:
        return _at(stand, stand.episode, stand.step + 1, playing=stand.playing)
    return _at(stand, stand.episode + 1, 0, playing=stand.playing)


def _at(stand: Stand, episode: int, step: int, *, playing: bool = False, note: str = "") -> Stand:
    """Return the stand on a frame; a last one shows its end, unless its words are wanted whole."""
    ends = step == stand.frames[episode] - 1 and not stand.full
    return dataclasses.replace(
        stand, page="frame", episode=episode, step=step, scroll=0, bottom=ends, playing=playing, note=note
    )


def _walk(stand: Stand, key: str) -> Stand | None:
    """Move between steps and episodes; moving by hand pauses a play."""
    step, last = stand.step, stand.last_step
    targets = {"right": step + 1, " ": step + 1, "n": step + 1, "enter": step + 1, "left": step - 1, "b": step - 1}
    targets |= {"home": 0, "end": last}
    if key in targets:
        to = targets[key]
        note = ""
        if to > last:
            more = stand.episode + 1 < len(stand.frames)
            note = "the end of this episode: ] goes on to the next" if more else "the end"
        return _at(stand, stand.episode, min(max(to, 0), last), note=note)
    if key in ("]", "["):
        to = stand.episode + (1 if key == "]" else -1)
        if not 0 <= to < len(stand.frames):
            only = len(stand.frames) == 1
            note = "only this episode was opened" if only else "there is no other episode that way"
            return dataclasses.replace(stand, note=note)
        return _at(stand, to, 0)
    return None


_SCROLL = {"up": -1, "k": -1, "down": 1, "j": 1, "pgup": -10, "pgdn": 10}


def _scroll(stand: Stand, key: str) -> Stand | None:
    if key not in _SCROLL:
        return None
    to = stand.scroll + _SCROLL[key]
    return dataclasses.replace(stand, scroll=min(to, 0) if stand.bottom else max(to, 0))


def _switch(stand: Stand, key: str) -> Stand | None:
    if key == "p":
        if stand.at_end and not stand.playing:
            return dataclasses.replace(stand, note="the end: home goes back to the start")
        return dataclasses.replace(stand, playing=not stand.playing)
    if key in ("+", "=", "-", "_", "−"):
        speed = _next_speed(stand.speed, SPEEDS if key in "+=" else SPEEDS[::-1], faster=key in "+=")
        return dataclasses.replace(stand, speed=speed, note=f"speed {speed:g}×")
    ends = stand.step == stand.last_step and not stand.full
    changes: dict[str, dict[str, Any]] = {
        "r": {"reveal": not stand.reveal, "scroll": 0, "bottom": stand.page == "frame" and (not stand.reveal or ends)},
        "f": {"full": not stand.full, "scroll": 0, "bottom": False},
        "g": {"prompt": "", "playing": False},
        "?": {"page": "help", "under_help": stand.page, "scroll": 0, "bottom": False, "playing": False},
        "s": {"page": "summary", "scroll": 0, "bottom": False, "playing": False},
    }
    return dataclasses.replace(stand, **changes[key]) if key in changes else None


def _next_speed(speed: float, ordered: Sequence[float], *, faster: bool) -> float:
    for candidate in ordered:
        if (candidate > speed) if faster else (candidate < speed):
            return candidate
    return speed


def _typed(stand: Stand, key: str) -> Stand:
    """Take a key while a step number is asked for."""
    prompt = stand.prompt or ""
    if key.isdecimal() and key.isascii() and len(prompt) < 6:
        return dataclasses.replace(stand, prompt=prompt + key)
    if key == "backspace":
        return dataclasses.replace(stand, prompt=prompt[:-1])
    if key == "enter" and prompt:
        number = int(prompt)
        if not 1 <= number <= stand.last_step + 1:
            return dataclasses.replace(
                stand, prompt=None, note=f"there is no step {number}: 1 to {stand.last_step + 1}"
            )
        return _at(dataclasses.replace(stand, prompt=None), stand.episode, number - 1)
    if key in ("enter", "escape", "q", "g"):
        return dataclasses.replace(stand, prompt=None)
    return stand
