"""What ``gtalign run`` says in the end: a row for each pair, one over everybody, and shares of the exact optimum."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from gtalign_env.cli.common import make_console, print_json
from gtalign_env.cli.gauge_lines import print_gauges
from gtalign_env.cli.replay import counted
from gtalign_env.cli.tally import Tally, print_rows
from gtalign_env.cli.voices import print_voices
from gtalign_env.replay.summary import Row

if TYPE_CHECKING:
    from gtalign_env.env import GameEnv
    from gtalign_env.training.yardstick import Yardstick

__all__ = ["as_dict", "find_optimum", "optimum_lines", "print_report", "share_of"]


def print_report(
    tally: Tally,
    args: argparse.Namespace,
    *,
    told: list[str],
    held: int,
    interrupted: bool,
    find: Callable[[], Yardstick] | None,
) -> None:
    """Print what a run came to, for people or as JSON.

    Args:
        tally: What was counted.
        args: The options of ``gtalign run``.
        told: Names of assistants that know the reference answers.
        held: How many episodes the file of ``--out`` held before.
        interrupted: Whether somebody pressed Ctrl-C.
        find: Finds the optimum, where that was asked for; that may take a while.
    """
    if args.json:
        best = None if find is None else find()
        rows = [{**row.as_dict(), "told": row.assistant in told} for row in tally.rows()]
        everybody: dict[str, Any] = {"all": [as_dict(row, best) for row in tally.overall()]}
        everybody |= {} if best is None else {"optimum": best.as_dict()}
        measured = {
            kind: {name: one.as_dict() for name, one in found.items()}
            for kind, found in (("gauges", tally.gauges), ("fidelity", tally.fidelity))
            if found
        }
        counts = {"episodes": tally.episodes, "errors": tally.errors, "out": args.out}
        print_json({"rows": rows, **everybody, **counts, **measured})
        return
    for message, count in tally.messages.items():
        print(f"gtalign: {counted(count, 'episode')} ended in an error: {message}", file=sys.stderr)
    if not tally.episodes:
        if args.resume and not interrupted:
            print(f"nothing left to play: {args.out} holds all of this run")
        return
    notes = [f"{name}: scripted (knows the reference answers)" for name in told]
    if args.out:
        there = (
            f"{tally.episodes} added, {held + tally.episodes}" if args.append else counted(tally.episodes, "episode")
        )
        watch = "it" if held + tally.episodes == 1 else "them"
        notes.append(f"{there} in {args.out}; watch {watch}: gtalign replay {shlex.quote(args.out)}")
    everyone = [row for row in tally.overall() if row.personas > 1]
    print_rows([*tally.rows(), *everyone], min(make_console().width, 140), notes)
    if find is not None:
        sys.stdout.flush()
        print("\n".join(["", *optimum_lines(tally.overall(), find())]))
    print_gauges(tally.gauges)
    print_voices(tally.fidelity, tally.unheard)


def find_optimum(env: GameEnv, users: Any) -> Yardstick:
    """Return the most √(U·L) that an assistant can have in a game with a population, or why that is not known.

    Solutions are remembered on disk; where one is looked for, a line on standard error says so.

    Args:
        env: The game; its price is what the users pay.
        users: Who comes, as ``population`` takes it.

    Example:
        >>> import gtalign_env
        >>> print(find_optimum(gtalign_env.parallel_env("assist_text"), "concise"))
        the optimum is unknown: it is that of games of moves ('strategic' in gtalign list), and here people speak
    """
    from gtalign_env.finite import FiniteScenario
    from gtalign_env.training.objectives import make_objective
    from gtalign_env.training.yardstick import Unknown, Yardstick, yardstick

    if not isinstance(env.scenario, FiniteScenario):
        why = "it is that of games of moves ('strategic' in gtalign list), and here people speak"
        return Yardstick(unknown=Unknown.NOT_SOLVED, why=why)
    if env.max_cycles is not None:
        return Yardstick(unknown=Unknown.MAX_CYCLES, why="--max-cycles cuts sessions off, and it is that of whole ones")
    return yardstick(env.scenario, users, make_objective("cobb_douglas"), progress=_Teller())


class _Teller:
    """Says once what takes so long."""

    def __init__(self) -> None:
        self._told = False

    def __call__(self, words: str) -> None:
        """Take what the solver says it is doing."""
        if not self._told:
            print("gtalign: the exact optimum: being computed (and remembered) …", file=sys.stderr, flush=True)
        self._told = True


def share_of(row: Row, best: Yardstick) -> tuple[float | None, tuple[float, float] | None]:
    """Return which share of the optimum an assistant had, and the 95 % interval of it.

    Example:
        >>> from gtalign_env.training.yardstick import Yardstick
        >>> figures = {"persona": "all", "assistant": "heuristic", "episodes": 9, "errors": 0, "violations": 0}
        >>> means = {"user": 1.0, "assistant_payoff": 0.81, "welfare": 0.9, "interval": (0.8, 1.0)}
        >>> rates = {"both_gain": 1.0, "exchanges": 4.0, "clarification_rate": 0.0}
        >>> row = Row(**figures, **means, **rates)
        >>> share_of(row, Yardstick(value=2.0))
        (0.45, (0.4, 0.5))
    """
    if best.value is None or not best.value > 0.0 or row.welfare is None:
        return None, None
    interval = None if row.interval is None else (row.interval[0] / best.value, row.interval[1] / best.value)
    return row.welfare / best.value, interval


def as_dict(row: Row, best: Yardstick | None) -> dict[str, Any]:
    """Return a row for JSON, with its share of the optimum where that was asked for.

    It is ``share_of_optimum`` where the optimum is exact, and ``share_at_least`` where only a ceiling of it is proved.
    """
    told = row.as_dict()
    if best is not None:
        name = "share_at_least" if best.ceiling else "share_of_optimum"
        told[name], told["share_interval"] = share_of(row, best)
    return told


def optimum_lines(rows: Sequence[Row], best: Yardstick) -> list[str]:
    """Return what people should know of the optimum: its value and each assistant's share, or why it is unknown.

    Args:
        rows: Those of ``Tally.overall``.
        best: The optimum.

    Example:
        >>> from gtalign_env.training.yardstick import Yardstick
        >>> figures = {"persona": "all", "assistant": "heuristic", "episodes": 9, "errors": 0, "violations": 0}
        >>> means = {"user": 1.0, "assistant_payoff": 0.81, "welfare": 0.9, "interval": (0.8, 1.0)}
        >>> rates = {"both_gain": 1.0, "exchanges": 4.0, "clarification_rate": 0.0}
        >>> row = Row(**figures, **means, **rates)
        >>> for line in optimum_lines([row], Yardstick(value=1.0)):
        ...     print(line)
        the exact optimum with those who come: √(U·L) 1.0000
          heuristic: 90.0 % of it (95 %: 80.0 to 100.0 %)
    """
    if best.value is None:
        return [str(best)]
    most = "at most " if best.ceiling else ""
    head = f"the exact optimum with those who come: {most}√(U·L) {best.value:.4f}"
    return [head, *(f"  {row.assistant}: {_share(row, best)}" for row in rows)]


def _share(row: Row, best: Yardstick) -> str:
    share, interval = share_of(row, best)
    if share is None:
        return "no episode was played to an end" if row.user is None else "no share of it: not both sides gain"
    spread = "" if interval is None else f" (95 %: {100 * interval[0]:.1f} to {100 * interval[1]:.1f} %)"
    unsafe = f"; in {row.violations} of {row.episodes} episodes it complied with harm, which the optimum may not"
    return f"{100 * share:.1f} % of it{spread}{unsafe if row.violations else ''}"
