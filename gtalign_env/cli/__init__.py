"""The command line: ``gtalign <verb>``.

Every verb is a module with ``add_parser(subparsers)`` and ``run(args) -> int``, imported only when it is asked for, so that
``gtalign --help`` stays quick. Exit codes: 0 ok, 1 a check failed (or an episode ended in an error), 2 wrong usage or
unusable input, 130 interrupted. An error of ours is one sentence on standard error; ``GTALIGN_DEBUG=1`` adds the traceback.
"""

from __future__ import annotations

import argparse
import codecs
import contextlib
import importlib
import io
import os
import sys
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType

from gtalign_env.errors import GtalignError, UnknownNameError, UsageError

__all__ = ["VERBS", "main"]

VERBS: dict[str, str] = {
    "demo": "watch scripted people and assistants play, compare them, replay the most telling episode",
    "list": "list scenarios, personas, assistants, players and backends",
    "run": "play episodes and record them",
    "play": "sit in either chair yourself",
    "replay": "show recorded episodes, verify and export them",
    "rescore": "score saved play under another payoff model or pricing",
    "gauges": "measure the chains of recorded play: matrices, announcements, clarification",
    "steer": "sweep a price over recorded chains: what is chosen, and what it is worth",
    "solve": "solve a game: equilibria, optimum, bargaining, prices",
    "train": "train players: PPO in the strategic view, measured by the exact optimum",
    "eval": "measure assistants against people and prices, as shares of the exact optimum",
    "tournament": "let everybody play everybody, and solve the game of whom to send",
    "persona": "make, check and try personas",
    "serve": "start vLLM's OpenAI-compatible server for a model",
    "bench": "measure speed, memory and import time",
}
"""Verbs and what they do, in the order of ``gtalign --help``; verb ``x`` is the module ``gtalign_env.cli.x``."""

_EPILOG = """\
examples:
  gtalign demo                                    a minute that shows what this is
  gtalign list                                    what there is to play, and with whom
  gtalign run gtalign/Assist-v0 --episodes 20 --out runs/first.jsonl
  gtalign replay runs/first.jsonl                 watch what happened
  gtalign solve gtalign/Matrix-v0                 equilibria and optimum, exactly
  gtalign play gtalign/AssistText-v0 --as user    talk to an assistant

'gtalign VERB --help' explains a verb. Exit codes: 0 ok, 1 failed check, 2 wrong usage or input, 130 interrupted.
GTALIGN_DEBUG=1 shows the traceback of an error."""

_WRONG_INPUT = (
    GtalignError,
    FileNotFoundError,
    FileExistsError,
    IsADirectoryError,
    NotADirectoryError,
    PermissionError,
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program and return its exit code.

    Args:
        argv: The arguments after the program's name; those of the process when ``None``.

    Example:
        >>> main(["list", "--json", "nonsense"])
        2
    """
    _open_missing_streams()
    _write_any_text()
    arguments = [str(argument) for argument in (sys.argv[1:] if argv is None else argv)]
    try:
        with _current_folder():
            code = _dispatch(arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        return _after_closed_pipe()
    except KeyboardInterrupt:
        return _complain("interrupted", 130)
    except SystemExit as stop:
        if isinstance(stop.__context__, BrokenPipeError):  # how rich ends when its reader has gone
            return _after_closed_pipe()
        return _exit_code(stop)
    except (GtalignError, OSError) as error:
        if os.environ.get("GTALIGN_DEBUG", "") not in ("", "0"):
            traceback.print_exc()
        return _complain(_sentence(error), 2 if isinstance(error, _WRONG_INPUT) else 1)
    return code


@contextlib.contextmanager
def _current_folder() -> Iterator[None]:
    """Let ``module:attr`` name what lies in the current folder; last on the path, so that nothing installed is hidden."""
    here = ""
    with contextlib.suppress(OSError):  # a folder that has been removed
        here = str(Path.cwd())
    missing = bool(here) and here not in sys.path
    if missing:
        sys.path.append(here)
    try:
        yield
    finally:
        if missing:
            with contextlib.suppress(ValueError):
                sys.path.remove(here)


def _dispatch(arguments: list[str]) -> int:
    from gtalign_env.cli.common import Parser

    verb = next((argument for argument in arguments if not argument.startswith("-")), None)
    if verb is not None and verb not in VERBS:
        raise UnknownNameError("command", verb, VERBS)
    parser = Parser(
        prog="gtalign",
        description="A person and a language-model assistant play a game with two payoffs.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=_version())
    subparsers = parser.add_subparsers(title="verbs", metavar="VERB", dest="verb")
    if verb is None:
        for name, summary in VERBS.items():
            subparsers.add_parser(name, help=summary)
        parser.parse_args(arguments)
        parser.print_help(sys.stderr)
        return 2
    module = _module(verb)
    module.add_parser(subparsers)
    args = parser.parse_args(arguments)
    args.argv = arguments
    return int(module.run(args))


def _module(verb: str) -> ModuleType:
    name = f"gtalign_env.cli.{verb}"
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        raise UsageError(f"the command {verb!r} is not part of this installation: install gtalign-env again") from None


def _version() -> str:
    import gtalign_env

    return f"gtalign {gtalign_env.__version__}"


def _open_missing_streams() -> None:
    """Python starts without a stream that its parent has closed; writing to nothing is better than failing."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115 - open to the end


def _write_any_text() -> None:
    """Let the streams write what their encoding lacks as ASCII stand-ins, one sign for one: no output is worth a traceback."""
    codecs.register_error("gtalign", _stand_in)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="gtalign")


def _stand_in(error: UnicodeError) -> tuple[str, int]:
    """Return what to write in place of signs that cannot be encoded, and where to go on."""
    from gtalign_env.replay.style import ascii_text  # imports rich, which a stream that takes all signs does not need

    if not isinstance(error, UnicodeEncodeError):
        raise error
    return ascii_text(error.object[error.start : error.end]), error.end


def _sentence(error: BaseException) -> str:
    """Return what to tell a person about an error, in one line."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename or 'output'}: {error.strerror}"
    return " ".join(str(error).split()) or type(error).__name__


def _complain(sentence: str, code: int) -> int:
    with contextlib.suppress(OSError, ValueError):
        print(f"gtalign: {sentence}", file=sys.stderr, flush=True)
    return code


def _exit_code(stop: SystemExit) -> int:
    if stop.code is None or isinstance(stop.code, int):
        return stop.code or 0
    return _complain(str(stop.code), 1)


def _after_closed_pipe() -> int:
    """Whoever read our output has seen enough: point it at nothing, so that nothing complains at shutdown."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            with contextlib.suppress(OSError, ValueError):
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, stream.fileno())
                os.close(nowhere)
    return 0
