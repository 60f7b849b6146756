"""What the verbs share: help texts, option values, consoles, progress."""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from gtalign_env.cli.screen import PIPE_WIDTH, make_console
from gtalign_env.episode import Episode, EpisodeWriter, iter_episodes
from gtalign_env.errors import UsageError

if TYPE_CHECKING:
    from gtalign_env.agents.chain.steering import PriceSteering
    from gtalign_env.cli.engines import Engines
    from gtalign_env.env import GameEnv
    from gtalign_env.protocols import Persona, Policy

__all__ = [
    "PIPE_WIDTH",
    "Parser",
    "Progress",
    "Sink",
    "add_game",
    "add_json",
    "add_lead",
    "add_seed",
    "at_least",
    "check_fit",
    "default_players",
    "game_options",
    "is_told",
    "make_console",
    "new_parser",
    "open_sink",
    "print_json",
    "read_options",
    "read_value",
    "seat_assistant",
    "uninterrupted",
    "welfare",
]

_SUFFIXES = (".jsonl", ".jsonl.zst")


class Parser(argparse.ArgumentParser):
    """A parser whose verbs complain about unknown options themselves, with their own usage.

    Example:
        >>> Parser(prog="gtalign").parse_args([])
        Namespace()
    """

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse; an argument that is left over is an error here, before it gets to the program's own parser."""
        found, left = super().parse_known_args(args, namespace)
        if left:
            self.error(f"unrecognized arguments: {' '.join(left)}")
        return found, left


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
    parser.add_argument(
        "--seed", type=at_least(0), default=0, metavar="S", help="everything random follows from it (0)"
    )


def add_json(parser: Any) -> None:
    """Add ``--json``."""
    parser.add_argument("--json", action="store_true", help="print the results as JSON on standard output")


def add_lead(parser: Any) -> None:
    """Add ``--lead``."""
    parser.add_argument(
        "--lead",
        choices=("script", "model"),
        help="who decides what a persona with a model's voice does: the script, or the model (script)",
    )


def add_game(parser: argparse.ArgumentParser) -> None:
    """Add the options that say which game is played, and where its record goes."""
    game = parser.add_argument_group("the game")
    game.add_argument("--pricing", metavar="P", help="what the user pays, e.g. per_token or per_token:rate_out=0.002")
    game.add_argument("--payoff", metavar="M", help="the payoff model (grounded); paper: text view")
    game.add_argument("--tasks", metavar="SPEC", help="text view: where the questions come from (a name or a file)")
    game.add_argument("--max-cycles", type=at_least(1), metavar="N", help="time limit of an episode, in steps")
    game.add_argument(
        "--option",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="any other option of the scenario (repeatable)",
    )
    record = parser.add_argument_group("the record")
    record.add_argument("--out", metavar="FILE", help="write finished episodes to this .jsonl (or .jsonl.zst) file")
    record.add_argument("--append", action="store_true", help="go on with a file that exists")


def game_options(args: argparse.Namespace) -> dict[str, Any]:
    """Return what ``parallel_env`` needs besides the scenario, from the options of ``add_game``."""
    options = read_options(args.option)
    for name in ("pricing", "payoff", "tasks", "max_cycles"):
        if getattr(args, name) is not None:
            options[name] = getattr(args, name)
    return options


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


def read_options(pairs: Iterable[str], *, flag: str = "--option") -> dict[str, Any]:
    """Return ``--option key=value`` pairs as a dict.

    Args:
        pairs: What was given.
        flag: The option that took them, for complaints.

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
            raise UsageError(f"{flag}: expected KEY=VALUE, got {key + equals!r}")  # a value may be a secret
        options[key] = read_value(text)
    return options


def seat_assistant(
    spec: str,
    env: GameEnv,
    *,
    max_tokens: int | None = None,
    temperature: float | None = None,
    chain: Mapping[str, Any] | None = None,
    engines: Engines | None = None,
    steer: PriceSteering | None = None,
) -> Policy:
    """Return the assistant that a string names, ready to play in ``env``.

    In the text view the scripted ones get the reference answers of the tasks to speak with (``is_told``). What cannot work
    is refused before any model is loaded.

    Args:
        spec: See ``gtalign_env.agents.assistants.make_assistant``.
        env: The game.
        max_tokens: Longest reply, for a model.
        temperature: Sampling temperature, for a model.
        chain: How a model reasons before it replies (``cli.chain_options``); ``None`` for not at all.
        engines: Makes and keeps the models; with the usual options when ``None``.
        steer: Steers the matrices of a model with a chain.

    Raises:
        UsageError: The assistant does not exist, or does not fit the game or the options.

    Example:
        >>> import gtalign_env
        >>> seat_assistant("fixed:DA_short", gtalign_env.parallel_env("assist")).name
        'fixed:DA_short'
    """
    from gtalign_env.agents.assistants import Knowledge, make_assistant
    from gtalign_env.cli.chain_options import seat_model, usual_chain
    from gtalign_env.cli.engines import Engines, is_model

    name, _, rest = spec.partition(":")
    if is_model(spec):
        chain = usual_chain(spec) if chain is None else chain
        if env.scenario.view != "text" and chain is None:
            raise UsageError(
                f"--assistant {spec}: without --chain a model plays the text view only; take gtalign/AssistText-v0"
            )
        if temperature is not None and not 0.0 <= temperature < math.inf:
            raise UsageError(f"--temperature: expected a number >= 0, got {temperature}")
        engine = rest if name == "chain" else spec
        return seat_model(engine, max_tokens, temperature, chain, Engines() if engines is None else engines, steer)
    if max_tokens is not None or temperature is not None:
        raise UsageError(f"--max-tokens and --temperature are for models; {spec!r} is none")
    if is_told(spec, env):
        return make_assistant(spec, knowledge=Knowledge(env.scenario.source))  # type: ignore[attr-defined]
    return make_assistant(spec)


def check_fit(env: GameEnv, users: Iterable[Persona], assistants: Iterable[Policy]) -> None:
    """Refuse players that cannot play the game, before it begins.

    Players that want to know the rules sit down, trained ones too; those that are written for ``assist`` games are asked for a
    move. A model, or a class of one's own, is not called for a test.

    Raises:
        UsageError: One of them cannot play this game.

    Example:
        >>> import gtalign_env
        >>> from gtalign_env.agents.users import load_persona
        >>> check_fit(gtalign_env.parallel_env("assist"), [load_persona("concise")], [])
    """
    from gtalign_env.agents.assistants import RuleAssistant
    from gtalign_env.agents.players import PlayerPersona
    from gtalign_env.agents.users import ScriptedPersona, VoicedPersona
    from gtalign_env.agents.users.trained_user import TrainedPersona
    from gtalign_env.play import sit_down
    from gtalign_env.spaces import ASSIST_LAYOUT
    from gtalign_env.types import ASSISTANT, USER, UserType

    users = list(users)
    assistants = list(assistants)
    for agent, policy in (
        *((USER, user.policy(None)) for user in users if isinstance(user, (PlayerPersona, TrainedPersona))),
        *((USER, user.policy(UserType())) for user in users if isinstance(user, VoicedPersona)),
        *((ASSISTANT, assistant) for assistant in assistants),
    ):
        sit_down(policy, env, agent)
    if env.scenario.observation_size() == ASSIST_LAYOUT.size:
        return
    seats: list[tuple[str, Policy]] = [(USER, u.policy(UserType())) for u in users if isinstance(u, ScriptedPersona)]
    seats += [(ASSISTANT, assistant) for assistant in assistants if isinstance(assistant, RuleAssistant)]
    observations, infos = env.reset(seed=0)
    for agent, player in seats:
        try:
            player.act(observations[agent], infos[agent])
        except UsageError:
            raise
        except Exception:  # noqa: BLE001, S112 - what fails while it plays is data, not wrong usage
            continue


def default_players(env: GameEnv) -> tuple[str, str]:
    """Return who plays where nobody is named (users, assistant): in games of other kinds, anybody can move at random.

    Example:
        >>> import gtalign_env
        >>> default_players(gtalign_env.parallel_env("assist")), default_players(gtalign_env.parallel_env("matrix"))
        (('default', 'heuristic'), ('random', 'random'))
    """
    from gtalign_env.spaces import ASSIST_LAYOUT

    return ("default", "heuristic") if env.layout == ASSIST_LAYOUT else ("random", "random")


def is_told(spec: str, env: GameEnv) -> bool:
    """Return whether an assistant speaks with the reference answers: a script has to get its words from somewhere.

    Example:
        >>> import gtalign_env
        >>> is_told("heuristic", gtalign_env.parallel_env("assist"))
        False
    """
    scripted = spec.partition(":")[0] in ("fixed", "heuristic", "oracle")
    return scripted and env.scenario.view == "text" and hasattr(env.scenario, "source")


def welfare(user: float, assistant: float) -> float | None:
    """Return √(U·L) where both gain, else ``None``: the mutual welfare is not defined for losses.

    Example:
        >>> welfare(4.0, 1.0), welfare(-1.0, -4.0)
        (2.0, None)
    """
    return math.sqrt(user * assistant) if user > 0.0 and assistant > 0.0 else None


def open_sink(args: argparse.Namespace) -> Sink:
    """Return where the options of ``add_game`` send the record.

    Raises:
        UsageError: ``--append`` has nothing to append to, or the file cannot be written to.

    Example:
        >>> open_sink(argparse.Namespace(out=None, append=False)).written
        0
    """
    if args.append and args.out is None:
        raise UsageError("--append goes with --out FILE: it says which file to go on with")
    return Sink(args.out, append=args.append)


class Sink:
    """Where finished episodes go: a file that gets whole lines only, or nowhere.

    Args:
        path: The file; ``None`` for nowhere.
        append: Go on with an existing file.

    Raises:
        UsageError: The name is not that of a file of episodes, or it cannot be written to (see ``EpisodeWriter``).
        FileFormatError: With ``append``: the file holds something else.

    Example:
        >>> with Sink(None) as sink:
        ...     sink.write(Episode(scenario="s", view="strategic", seed=0))
        >>> sink.written
        1
    """

    def __init__(self, path: str | Path | None, *, append: bool = False) -> None:
        self.written = 0
        self._path = None if path is None else Path(path)
        if self._path is not None and not self._path.is_dir() and not self._path.name.endswith(_SUFFIXES):
            raise UsageError(f"{self._path}: episodes go to a file whose name ends in {' or '.join(_SUFFIXES)}")
        self._existed = self._path is not None and self._path.exists()
        if append and self._path is not None and self._existed and self._path.is_file() and self._path.stat().st_size:
            next(iter_episodes(self._path))  # refuses a file of another kind, before anything is cut off or added
        self._writer = None if self._path is None else EpisodeWriter(self._path, append=append)

    def write(self, episode: Episode) -> None:
        """Write a finished episode; an interruption waits until its line is complete."""
        with uninterrupted():
            if self._writer is not None:
                self._writer.write(episode)
            self.written += 1

    def __enter__(self) -> Self:
        """Return the sink."""
        return self

    def __exit__(self, *exc: object) -> None:
        """Close the file, and leave none behind that would be empty."""
        if self._writer is not None and self._path is not None:
            self._writer.close()
            if not self.written and not self._existed:
                self._path.unlink(missing_ok=True)


def print_json(thing: Any) -> None:
    """Print a thing as indented JSON on standard output; numbers that JSON does not know become ``null``.

    What standard output cannot encode is escaped.
    """
    from gtalign_env.replay.style import is_unicode

    print(json.dumps(_finite(thing), indent=2, ensure_ascii=not is_unicode(sys.stdout)))


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

    def __enter__(self) -> Self:
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

    def say(self, line: str) -> None:
        """Say something in a line of its own, above the bar."""
        with contextlib.suppress(OSError, ValueError):
            if self._bar is not None:
                self._bar.console.print(line, soft_wrap=True)
            else:
                print(line, file=sys.stderr, flush=True)

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
