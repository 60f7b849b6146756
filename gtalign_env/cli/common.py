"""What the verbs share: help texts, option values, consoles, progress."""

from __future__ import annotations

import argparse
import contextlib
import json
import re
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from gtalign_env.errors import UnknownNameError, UsageError

if TYPE_CHECKING:
    from rich.console import Console

__all__ = [
    "PIPE_WIDTH",
    "Progress",
    "add_json",
    "add_seed",
    "at_least",
    "make_console",
    "new_parser",
    "print_json",
    "read_options",
    "read_value",
    "scenario_id",
]

PIPE_WIDTH = 110
"""Columns of tables that no terminal shows."""


def new_parser(
    subparsers: Any, name: str, *, summary: str, description: str, examples: Iterable[str]
) -> argparse.ArgumentParser:
    """Add a verb's parser, with its examples below the options.

    Example:
        >>> verbs = argparse.ArgumentParser(prog="gtalign").add_subparsers()
        >>> parser = new_parser(verbs, "nod", summary="nod", description="Nods.", examples=["gtalign nod"])
        >>> parser.format_help().splitlines()[-2:]
        ['examples:', '  gtalign nod']
    """
    parser: argparse.ArgumentParser = subparsers.add_parser(
        name,
        help=summary,
        description=description,
        epilog="examples:\n" + "\n".join(f"  {example}" for example in examples),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    return parser


def add_seed(parser: argparse.ArgumentParser) -> None:
    """Add ``--seed``."""
    parser.add_argument("--seed", type=at_least(0), default=0, metavar="S", help="everything random follows from it (0)")


def add_json(parser: argparse.ArgumentParser) -> None:
    """Add ``--json``."""
    parser.add_argument("--json", action="store_true", help="print the results as JSON on standard output")


def at_least(minimum: int) -> Any:
    """Return an ``argparse`` type: whole numbers from ``minimum`` on.

    Example:
        >>> at_least(1)("12")
        12
    """

    def whole_number(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = minimum - 1
        if number < minimum:
            raise argparse.ArgumentTypeError(f"expected a whole number >= {minimum}, got {text!r}")
        return number

    return whole_number


def read_value(text: str) -> Any:
    """Return what an option's text means: JSON where it is JSON, else the text itself.

    Example:
        >>> read_value("3"), read_value("true"), read_value("per_token"), read_value('{"concise": 1}')
        (3, True, 'per_token', {'concise': 1})
    """
    try:
        return json.loads(text)
    except ValueError:
        return text


def read_options(pairs: Iterable[str]) -> dict[str, Any]:
    """Return ``--option key=value`` pairs as a dict.

    Raises:
        UsageError: A pair has no ``=``, or its key is no name.

    Example:
        >>> read_options(["questions=2", "users=concise"])
        {'questions': 2, 'users': 'concise'}
    """
    options = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals or not key.isidentifier():
            raise UsageError(f"--option: expected KEY=VALUE, got {pair!r}")
        options[key] = read_value(text)
    return options


def scenario_id(name: str) -> str:
    """Return the id that an id or a short name stands for; ``"module:attr"`` stands for itself.

    Raises:
        UnknownNameError: There is no such scenario.

    Example:
        >>> scenario_id("assist")
        'gtalign/Assist-v0'
    """
    from gtalign_env.registration import SCENARIOS

    for spec in SCENARIOS.values():
        if name in (spec.id, spec.short):
            return spec.id
    if re.fullmatch(r"[\w.]+:[\w.]+", name):
        return name
    raise UnknownNameError("scenario", name, [*SCENARIOS, *(spec.short for spec in SCENARIOS.values())])


def make_console(*, stderr: bool = False) -> Console:
    """Return a rich console: as wide as the terminal, ``PIPE_WIDTH`` columns where there is none."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    return Console(file=stream, width=None if stream.isatty() else PIPE_WIDTH, highlight=False)


def print_json(thing: Any) -> None:
    """Print a thing as indented JSON on standard output; numbers that JSON does not know become ``null``."""
    print(json.dumps(_finite(thing), indent=2, ensure_ascii=False))


def _finite(thing: Any) -> Any:
    if isinstance(thing, float):
        return thing if abs(thing) < float("inf") else None
    if isinstance(thing, Mapping):
        return {str(key): _finite(value) for key, value in thing.items()}
    if isinstance(thing, (list, tuple)):
        return [_finite(item) for item in thing]
    return thing


class Progress:
    """How far a long piece of work has come: a bar on a terminal, now and then a line in a pipe. On standard error.

    A reader of standard error that goes away does not stop the work.

    Args:
        label: What is counted, in the plural.
        total: How many there are.
        every: Seconds between lines in a pipe.

    Example:
        >>> with Progress("episodes", 2) as progress:
        ...     progress.advance()
    """

    def __init__(self, label: str, total: int, *, every: float = 5.0) -> None:
        self.label = label
        self.total = total
        self.done = 0
        self._every = every
        self._spoke = time.monotonic()
        self._bar: Any = None
        self._task: Any = None

    def __enter__(self) -> Progress:
        """Show the bar, where there is a terminal for it."""
        if sys.stderr.isatty():
            from rich import progress as bars

            columns = (bars.TextColumn("{task.description}"), bars.BarColumn(), bars.MofNCompleteColumn())
            self._bar = bars.Progress(
                *columns, bars.TimeRemainingColumn(), console=make_console(stderr=True), transient=True
            )
            self._bar.start()
            self._task = self._bar.add_task(self.label, total=self.total)
        return self

    def __exit__(self, *exc: object) -> None:
        """Take the bar away, and say in a pipe how far the work came."""
        if self._bar is not None:
            self._bar.stop()
        elif self.done:
            self._say("")

    def advance(self, note: str = "") -> None:
        """Count one more; ``note`` is shown beside the count."""
        self.done += 1
        if self._bar is not None:
            self._bar.update(self._task, advance=1, description=f"{self.label} {note}".rstrip())
        elif self.done < self.total and time.monotonic() - self._spoke >= self._every:
            self._say(note)

    def _say(self, note: str) -> None:
        self._spoke = time.monotonic()
        with contextlib.suppress(OSError, ValueError):
            print(f"{self.done}/{self.total} {self.label} {note}".rstrip(), file=sys.stderr, flush=True)


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Hold Ctrl-C back until the block is through, so that a line that is being written gets written."""
    import signal
    import threading

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    held: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, frame: held.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if held:
        raise KeyboardInterrupt
