"""What ``gtalign train strategic`` does and says: the yardstick, the run, where it stopped, and comparing objectives."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import shlex
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gtalign_env.cli.common import Progress, make_console, print_json
from gtalign_env.cli.trained_games import eval_command, run_command
from gtalign_env.errors import UsageError

if TYPE_CHECKING:
    from rich.table import Table

    from gtalign_env.training.strategic import Config, Run
    from gtalign_env.training.strategic.compare import Row
    from gtalign_env.training.yardstick import Yardstick

__all__ = ["begin", "compare", "measured", "resume", "say", "stoppable"]


def begin(args: argparse.Namespace, config: Config, folder: Path | None) -> int:
    """Start a run."""
    from gtalign_env.training.strategic import Run
    from gtalign_env.training.strategic.log import make_tracker

    if folder is not None:
        _make(folder)
    trackers = [] if folder is None else [make_tracker(name, folder, config.as_dict()) for name in args.log]
    began = time.monotonic()
    made = Run(config, folder, command=["gtalign", *args.argv], trackers=trackers)
    whole = config.updates * config.games * config.horizon
    if whole != config.steps:
        block = f"{config.games} games × {config.horizon} steps"
        say(f"{config.steps:,} steps are played as {whole:,}: whole updates of {block}")
    made.record = dataclasses.replace(made.record, yardstick=_yardstick(args, config))
    return _train(args, made, began)


def _make(folder: Path) -> None:
    """Make a run's folder, before anything that takes long.

    Raises:
        UsageError: That cannot be done.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise UsageError(
            f"--out {folder}: the run cannot be written there ({error.strerror or error}): expected a folder that can be made"
        ) from error


def resume(args: argparse.Namespace) -> int:
    """Go on with a run."""
    from gtalign_env.training.strategic import Run
    from gtalign_env.training.strategic.log import make_tracker
    from gtalign_env.training.strategic.record import read_config

    folder, began = Path(args.resume), time.monotonic()
    config = read_config(folder)
    trackers = [make_tracker(name, folder, config.as_dict()) for name in args.log]
    made = Run.resume(folder, steps=args.steps, trackers=trackers)
    say(str(made.record.yardstick))
    if made.update == made.config.updates:
        say(f"finished already ({made.update} of {made.config.updates} updates): measured again")
    return _train(args, made, began)


def say(words: str) -> None:
    """Say something beside the results, on standard error; a reader that goes away does not stop the work."""
    with contextlib.suppress(OSError, ValueError):
        print(words, file=sys.stderr, flush=True)


def measured(find: Callable[[Callable[[str], None] | None], Yardstick], of: str = "") -> Yardstick:
    """Return a yardstick, and say that it is being worked out: with a spinner on a terminal, in a line elsewhere.

    Args:
        find: Finds it, and tells what is going on.
        of: For whom it is, where there are several.
    """
    console = make_console(stderr=True)
    words = f"the exact optimum{of and f' of {of}'}: being computed (it is remembered for the next time)"
    if not console.is_terminal:
        say(f"{words} …")
        return find(None)
    with console.status(words) as status:
        return find(lambda word: status.update(f"{words}: {word}"))


def _yardstick(args: argparse.Namespace, config: Config) -> Yardstick:
    """Return the yardstick, and say what it is or why it is unknown."""
    from gtalign_env.training.strategic.yardstick import Unknown, Yardstick, reason, yardstick

    if args.yardstick == "off":
        return Yardstick(unknown=Unknown.OFF, why=Unknown.OFF.words)
    known = reason(config) is None
    found = measured(lambda tell: yardstick(config, tell)) if known else yardstick(config)
    say(str(found))
    for price, one in found.by_price.items():
        say(f"  {price}: {one}")
    return found


@contextlib.contextmanager
def stoppable() -> Iterator[Callable[[], bool]]:
    """Let Ctrl-C and SIGTERM ask for an end, which the block looks for itself; the second one does not wait for it.

    Example:
        >>> with stoppable() as asked:
        ...     asked()
        False
    """
    heard: list[int] = []

    def note(number: int, _frame: object) -> None:
        if heard:
            raise KeyboardInterrupt
        heard.append(number)
        say("stopping after this update; once more stops at once")

    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(heard)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _train(args: argparse.Namespace, made: Run, began: float) -> int:
    """Train with progress, and say how it went."""
    with stoppable() as asked, Progress("updates", made.config.updates) as progress:
        steps, seconds = made.steps, made.seconds
        for _ in range(made.update):
            progress.advance()
        found = made.train(lambda figures: _tell(progress, figures), stop=asked)
    if made.update < made.config.updates:
        say(f"gtalign: {_stopped(made)}")
        return 130
    wall = time.monotonic() - began
    if args.json:
        record = {name: value for name, value in made.record.as_dict().items() if name in ("config", "yardstick")}
        print_json({**found, **record, "wall_seconds": wall, "folder": args.out or args.resume})
        return 0
    console = make_console()
    spent = f"{found['steps'] - steps:,} steps in {found['seconds'] - seconds:.1f} s of play and learning"
    if steps:  # both figures are of this call, and say so
        spent = f"{found['steps']:,} steps, " + (f"now {spent}" if found["steps"] > steps else "none of them now")
    with_what = "evaluations" if args.resume else "the optimum and evaluations"
    console.print(f"{spent}; {wall:.1f} s in all, with {with_what}", soft_wrap=True)
    for name, label in (("evaluation", "likeliest moves, ± standard error"), ("evaluation_sampled", "drawn moves")):
        console.print(f"{label}: {_words(found[name])}", soft_wrap=True)
        for price, one in found[name].get("by_price", {}).items():
            console.print(f"  {price}: {_words(one)}", soft_wrap=True)
    console.print(str(made.record.yardstick), soft_wrap=True)
    if made.folder is not None:
        spec = f"trained:{made.folder}"
        console.print(f"written to {made.folder}; watch it play: {run_command(made.config, spec)}", soft_wrap=True)
        if made.config.learn != "user":
            console.print(f"measure it, here or elsewhere: {eval_command(made.config, spec)}", soft_wrap=True)
    return 0


def _stopped(made: Run) -> str:
    """Return where a run was stopped, and how it goes on."""
    where = f"stopped after update {made.update} of {made.config.updates}"
    if made.folder is None:
        return f"{where}; nothing is kept without --out FOLDER"
    return f"{where}; go on with: gtalign train strategic --resume {shlex.quote(str(made.folder))}"


def _tell(progress: Progress, figures: Mapping[str, Any]) -> None:
    """Show an update: how the games go, and how it was judged where it was."""
    shown = f"U {figures['user']:.3f} L {figures['assistant']:.3f}"
    judged = figures.get("evaluation")
    if judged is not None:
        progress.say(f"update {figures['update']}: {_words(judged)}")
    progress.advance(shown)


def _words(judged: Mapping[str, Any]) -> str:
    words = (
        f"U {judged['user']:.3f} ± {judged['user_error']:.3f}, L {judged['assistant']:.3f} ± {judged['assistant_error']:.3f}, "
        f"W {judged['welfare']:.4f} ± {judged['error']:.4f}"
    )
    if "share_of_optimum" in judged:
        words += f" ({judged['share_of_optimum']:.1%} of the optimum)"
    if "share_at_least" in judged:
        words += f" (at least {judged['share_at_least']:.1%} of the optimum)"
    return f"{words}, {judged['violations']} violations in {judged['episodes']:,} episodes"


# -- comparing ------------------------------------------------------------------------------------------------------------


def compare(args: argparse.Namespace, config: Config) -> int:
    """Train once per objective and seed, and compare what comes of it by the config's own objective."""
    from gtalign_env.training.strategic.compare import compare as train_all
    from gtalign_env.training.strategic.compare import split_objectives

    names, seeds = split_objectives(args.compare), args.seeds or 5
    best = _yardstick(args, config)
    with Progress("runs", len(names) * seeds) as progress:
        rows = train_all(config, names, seeds, progress.advance)
    if args.json:
        found = [dataclasses.asdict(row) for row in rows]
        print_json({"rows": found, "yardstick": best.as_dict(), "config": config.as_dict()})
        return 0
    console = make_console()
    judge = f"{config.objective} ({config.aggregation})"
    console.print(
        f"welfare: {judge}, whatever was trained for; {seeds} seeds, ± is their 95 % interval", soft_wrap=True
    )
    console.print(str(best), soft_wrap=True)
    console.print()
    console.print(_table(rows, best))
    return 0


def _table(rows: Sequence[Row], best: Yardstick) -> Table:
    """Return one line per objective."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("trained for", style="cyan", overflow="fold")
    shared = best.value is not None and best.value > 0.0
    of = ["at least"] if best.ceiling else ["of optimum"]
    for column in ("welfare, 95 %", *(of if shared else []), "U", "L", "viol."):
        table.add_column(column, justify="right", no_wrap=True)
    for row in rows:
        half = row.interval[1] - row.welfare
        share = [f"{row.welfare / best.value:.1%}"] if shared and best.value else []
        cells = [f"{row.welfare:.4f} ± {half:.4f}", *share, f"{row.user:.3f}", f"{row.assistant:.3f}"]
        table.add_row(*map(Text, [row.objective, *cells, str(row.violations)]))
    return table
