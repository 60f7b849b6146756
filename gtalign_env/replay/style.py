"""Colours and consoles of the replay.

Frames speak in roles (``user``, ``gain``, ``nash`` …). What a role looks like depends on where it is shown: three palettes for
terminals and for exported pages. Nothing is told by colour alone.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import IO, Any, Literal

from rich.console import Console
from rich.theme import Theme

__all__ = [
    "PALETTES",
    "PAPER",
    "ROLES",
    "AsciiWriter",
    "Scheme",
    "ascii_text",
    "is_unicode",
    "make_console",
    "pick_scheme",
    "theme",
]

Scheme = Literal["auto", "dark", "light"]

ROLES: tuple[str, ...] = ("user", "assistant", "gain", "loss", "muted", "nash", "pareto", "alert")
"""What can be coloured. ``strong`` (bold) and ``made`` (bold, in reverse) come on top."""

PALETTES: Mapping[str, Mapping[str, str]] = {
    "auto": {
        "user": "#0077cc",
        "assistant": "#a855c9",
        "gain": "#00875f",
        "loss": "#c75000",
        "muted": "#767676",
        "nash": "#927000",
        "pareto": "#0e8390",
        "alert": "#d63b45",
    },
    "dark": {
        "user": "#6cb6ff",
        "assistant": "#d2a8ff",
        "gain": "#56d4a0",
        "loss": "#ff9e64",
        "muted": "#8b949e",
        "nash": "#e3b341",
        "pareto": "#4fd1d9",
        "alert": "#ff7b72",
    },
    "light": {
        "user": "#0550ae",
        "assistant": "#7b2fb5",
        "gain": "#016648",
        "loss": "#a63f00",
        "muted": "#5b636d",
        "nash": "#7a5800",
        "pareto": "#00616b",
        "alert": "#b3141f",
    },
}
"""Colours by scheme and role. Those of ``auto`` are of middle luminance: at least 4.3 : 1 against black and against white."""

PAPER: Mapping[str, Mapping[str, str]] = {
    "dark": {"paper": "#0d1117", "card": "#161b22", "ink": "#e6edf3"},
    "light": {"paper": "#ffffff", "card": "#f6f8fa", "ink": "#1f2328"},
}
"""Background, frames and text of exported pages."""

_ASCII = str.maketrans(
    "─━│┃┼╭╮╰╯├┤▌▐█▏▕▁▂▃▄▅▆▇●○◆◇★✓✗×·…−–—“”‘’«»→←↑↓▶■□≥≤±√αβγδελρθΔΣ§²₂ⱼᵢ",
    '--||++++++||##||_..::=#*o+o^/xx..---""\'\'""><^v>#-><~VabgdelrtDSS22ji',
)


def theme(scheme: Scheme) -> Theme:
    """Return the rich theme of a scheme.

    Example:
        >>> theme("dark").styles["user"].color.name
        '#6cb6ff'
    """
    styles = dict(PALETTES[scheme])
    return Theme({**styles, "strong": "bold", "made": "bold reverse"}, inherit=False)


def pick_scheme(wanted: Scheme, environ: Mapping[str, str] | None = None) -> Scheme:
    """Return the scheme for a terminal: what was asked for, what the terminal says of its background, else ``auto``.

    Args:
        wanted: ``"auto"`` looks at ``COLORFGBG``, which some terminals set to ``"<text>;<background>"``.
        environ: The environment; the process's own when ``None``.

    Example:
        >>> pick_scheme("auto", {"COLORFGBG": "0;15"}), pick_scheme("auto", {}), pick_scheme("dark", {})
        ('light', 'auto', 'dark')
    """
    if wanted != "auto":
        return wanted
    background = (os.environ if environ is None else environ).get("COLORFGBG", "").rpartition(";")[2]
    if not background.isdecimal():
        return "auto"
    return "light" if int(background) in (7, *range(9, 16)) else "dark"


def make_console(
    file: IO[str], *, width: int, scheme: Scheme = "auto", color: bool = True, force_terminal: bool | None = None
) -> Console:
    """Return a console for frames: exactly ``width`` columns, no markup, no highlighting, no emoji codes.

    Args:
        file: Where it writes. A file that cannot take Unicode gets ASCII stand-ins.
        width: Columns.
        scheme: The palette.
        color: Whether any escape code may be written. ``NO_COLOR`` and ``TERM=dumb`` say no as well.
        force_terminal: Take the file for a terminal, or not; ``None`` asks it.

    Example:
        >>> import io
        >>> make_console(io.StringIO(), width=60).width
        60
    """
    plain = not color or bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"
    options: dict[str, Any] = {"color_system": None} if plain else {}
    return Console(
        file=file if is_unicode(file) else AsciiWriter(file),  # type: ignore[arg-type]
        width=width,
        theme=theme(scheme),
        force_terminal=force_terminal,
        markup=False,
        highlight=False,
        emoji=False,
        soft_wrap=False,
        legacy_windows=False,
        **options,
    )


def is_unicode(file: IO[str]) -> bool:
    """Return whether a file takes all of Unicode.

    Example:
        >>> import io
        >>> is_unicode(io.StringIO()), is_unicode(io.TextIOWrapper(io.BytesIO(), encoding="ascii"))
        (True, False)
    """
    return (getattr(file, "encoding", None) or "utf-8").lower().startswith("utf")


def ascii_text(text: str) -> str:
    """Return ``text`` with every character beyond ASCII replaced, one for one.

    Example:
        >>> ascii_text("│ +1 ▐█ é")
        '| +1 ## ?'
    """
    return text.translate(_ASCII).encode("ascii", "replace").decode("ascii")


class AsciiWriter:
    """A text file that gets every character it cannot encode replaced, one for one.

    Example:
        >>> import io
        >>> file = io.StringIO()
        >>> AsciiWriter(file).write("│ +1 ▐█ é")
        9
        >>> file.getvalue()
        '| +1 ## ?'
    """

    encoding = "ascii"

    def __init__(self, file: IO[str]) -> None:
        self._file = file

    def write(self, text: str) -> int:
        """Write ``text``."""
        return self._file.write(ascii_text(text))

    def flush(self) -> None:
        """Flush the file."""
        self._file.flush()

    def isatty(self) -> bool:
        """Return whether the file is a terminal."""
        return self._file.isatty()

    def fileno(self) -> int:
        """Return the file's descriptor."""
        return self._file.fileno()
