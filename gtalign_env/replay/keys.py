"""The terminal, raw: key presses as names, and a screen that is always given back as it was."""

from __future__ import annotations

import contextlib
import os
import select
import signal
from collections.abc import Iterator
from types import FrameType
from typing import IO, Any

__all__ = ["KeyReader", "decode_keys", "raw_screen"]

_NAMES = {
    "\x1b[A": "up", "\x1b[B": "down", "\x1b[C": "right", "\x1b[D": "left", "\x1b[H": "home", "\x1b[F": "end",
    "\x1bOA": "up", "\x1bOB": "down", "\x1bOC": "right", "\x1bOD": "left", "\x1bOH": "home", "\x1bOF": "end",
    "\x1b[1~": "home", "\x1b[4~": "end", "\x1b[7~": "home", "\x1b[8~": "end", "\x1b[5~": "pgup", "\x1b[6~": "pgdn",
    "\r": "enter", "\n": "enter", "\x7f": "backspace", "\x08": "backspace",
}  # fmt: skip
_ENTER = "\x1b[?1049h\x1b[?25l"
_LEAVE = "\x1b[?25h\x1b[?1049l"


def decode_keys(data: str, *, complete: bool = True) -> tuple[list[str], str]:
    r"""Return the keys in what a terminal sent, and what is not yet a whole key.

    Args:
        data: Characters as they came.
        complete: Whether nothing more is on its way, so that a lone escape is the escape key.

    Example:
        >>> decode_keys("n\x1b[Cq"), decode_keys("\x1b[", complete=False)
        ((['n', 'right', 'q'], ''), ([], '\x1b['))
    """
    keys: list[str] = []
    while data:
        if data[0] != "\x1b":
            keys.append(_NAMES.get(data[0], data[0]))
            data = data[1:]
            continue
        end = _sequence_end(data)
        if end is None:
            if complete:
                keys.append("escape")
                data = data[1:] if len(data) == 1 else ""
            return keys, data
        name = _NAMES.get(data[:end], "escape" if end == 1 else "")
        if name:
            keys.append(name)
        data = data[end:]
    return keys, data


def _sequence_end(data: str) -> int | None:
    """Return the length of the escape sequence at the start of ``data``; ``None`` where it is not yet whole."""
    if len(data) == 1:
        return None
    if data[1] == "O":
        return 3 if len(data) >= 3 else None
    if data[1] != "[":
        return 1
    for index in range(2, len(data)):
        if "@" <= data[index] <= "~":
            return index + 1
    return None


class KeyReader:
    """Reads keys from a terminal's descriptor without blocking for longer than asked.

    Args:
        descriptor: Where keys come from.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._rest = ""

    def read(self, seconds: float) -> list[str] | None:
        """Return the keys pressed within ``seconds``; ``None`` when the terminal has gone."""
        if not self._ready(seconds):
            return []
        data = os.read(self._descriptor, 4096)
        if not data:
            return None
        keys, self._rest = decode_keys(self._rest + data.decode("utf-8", "ignore"), complete=False)
        if self._rest and not self._ready(0.05):
            more, self._rest = decode_keys(self._rest)
            keys += more
        return keys

    def _ready(self, seconds: float) -> bool:
        return bool(select.select([self._descriptor], [], [], max(seconds, 0.0))[0])


@contextlib.contextmanager
def raw_screen(stdin: IO[Any], stdout: IO[str]) -> Iterator[None]:
    """Take the terminal over: keys one by one, no echo, a screen of its own; and give it back whatever happens.

    Ctrl-C raises ``KeyboardInterrupt`` as usual, Ctrl-Z gives the terminal back while the program sleeps.
    """
    import termios
    import tty

    descriptor = stdin.fileno()
    before = termios.tcgetattr(descriptor)

    def enter() -> None:
        tty.setcbreak(descriptor, termios.TCSADRAIN)
        stdout.write(_ENTER)
        stdout.flush()

    def leave() -> None:
        with contextlib.suppress(OSError, ValueError):
            stdout.write(_LEAVE)
            stdout.flush()
        with contextlib.suppress(termios.error):
            termios.tcsetattr(descriptor, termios.TCSADRAIN, before)

    def sleep(_number: int, _frame: FrameType | None) -> None:
        leave()
        os.kill(os.getpid(), signal.SIGSTOP)
        enter()

    def stop(number: int, _frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    handlers = {signal.SIGTSTP: sleep, signal.SIGTERM: stop, signal.SIGHUP: stop}
    kept = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        enter()
        yield
    finally:
        leave()
        for number, handler in kept.items():
            signal.signal(number, handler)
