"""Where output goes: how wide it may be, and how a person gets to type ``gtalign``."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import sys
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["PIPE_WIDTH", "Trimmed", "first_steps", "make_console", "output_width"]

PIPE_WIDTH = 110
"""Columns of tables that no terminal shows, where ``COLUMNS`` does not say otherwise."""


class Trimmed:
    r"""A text stream that gets no spaces at the ends of lines: tables fill theirs up, and a pipe has no use for it.

    Args:
        stream: Where the text goes. A terminal gets it as it is.

    Example:
        >>> Trimmed(sys.stdout).write("a  \nb \n") and None
        a
        b
    """

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        """Everything else is the stream's."""
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write a text, without the spaces before its line ends."""
        return int(self._stream.write(text if self._stream.isatty() else re.sub(r" +(?=\n)", "", text)))


def output_width(stream: Any = None) -> int:
    """Return how wide what goes to a stream may be: its terminal's width; elsewhere ``COLUMNS``, else ``PIPE_WIDTH``.

    Example:
        >>> output_width() > 0
        True
    """
    stream = sys.stdout if stream is None else stream
    if stream.isatty():
        from rich.console import Console

        return Console(file=stream).width
    columns = os.environ.get("COLUMNS", "")
    return int(columns) if columns.isdecimal() and int(columns) else PIPE_WIDTH


def make_console(*, stderr: bool = False) -> Console:
    """Return a rich console, ``output_width`` columns wide."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    return Console(file=Trimmed(stream), width=output_width(stream), highlight=False)  # type: ignore[arg-type]


def first_steps() -> list[str]:
    """Return what has to be typed before a plain ``gtalign`` starts this program: nothing, where the shell finds it.

    Example:
        >>> len(first_steps()) <= 1
        True
    """
    scripts = Path(sysconfig.get_path("scripts"))
    found = shutil.which("gtalign")
    if found is not None and Path(found).parent.resolve() == scripts.resolve():
        return []
    if os.name == "nt":
        return [str(scripts / "activate")]
    activate = scripts / "activate"
    if not activate.is_file():
        return [f'export PATH={shlex.quote(str(scripts))}:"$PATH"']
    with contextlib.suppress(OSError, ValueError):  # shorter, where the environment lies in the current folder
        activate = activate.relative_to(Path.cwd())
    return [f"source {shlex.quote(str(activate))}"]
