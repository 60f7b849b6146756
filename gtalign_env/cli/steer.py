"""``gtalign steer``: a price from zero to high over recorded chains, and what is chosen at every point."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gtalign_env.cli.common import add_json, make_console, new_parser, print_json
from gtalign_env.cli.gauges import noted_episodes, number_above_zero
from gtalign_env.cli.settings import command_line
from gtalign_env.cli.tally import number
from gtalign_env.errors import GtalignError, UsageError
from gtalign_env.render import one_line
from gtalign_env.types import ASSISTANT

if TYPE_CHECKING:
    from rich.table import Table

    from gtalign_env.agents.chain.sweep_result import Sweep, SweepPoint
    from gtalign_env.gauges import ChainTurn

__all__ = ["add_parser", "read_rates", "run"]

_CRITERION = "welfare:cobb_douglas"
"""What chooses where a record does not say."""
_WIDE = 90
_MOST_RATES = 10_000
_LARGEST = 1e9
"""Beyond it, payoffs could not be told apart, or would overflow."""
_HEADS = ("rate", "n", "switched", "tokens", "U", "L", "welfare", "real U", "real L", "known", "moves")
_TRENDS = {
    1: "never fewer tokens as the price rises",
    -1: "never more tokens as the price rises",
    0: "no change in tokens",
}


def add_parser(subparsers: Any) -> None:
    """Add the verb to the program."""
    parser = new_parser(
        subparsers,
        "steer",
        summary="sweep a price over recorded chains: what is chosen, and what it is worth",
        description="Steer the matrices that a model has stated to another pricing, at every rate of a sweep, and choose again:\n"
        "expected tokens of each move (the model's own) times what they now cost more, in payoff units. Nothing is played\n"
        "again. Each player's matrices are swept alone, and chosen from by the criterion of its record. With --assistant the\n"
        "model, too, chooses in the edited matrices (the published way), for comparison.\n"
        "Exit code 1 when tokens do not go where theory says (see docs/chain.md), or nothing was chosen at any rate.",
        examples=[
            "gtalign steer runs/chain.jsonl --pricing per_token --rate 0:0.01:11",
            "gtalign steer runs/chain.jsonl --criterion stackelberg:assistant --plot sweep.svg",
            "gtalign steer runs/chain.jsonl --player transformers:m+self --assistant transformers:PATH --rate 0,0.002,0.01",
        ],
    )
    parser.add_argument("file", metavar="FILE", help="episodes of 'gtalign run … --chain … --out FILE'")
    price = parser.add_argument_group("the price")
    price.add_argument("--pricing", metavar="P", default="per_token", help="what is steered to (per_token)")
    price.add_argument(
        "--rate", metavar="A:B:N", default="0:0.01:11", help="N rates from A to B, or a list A,B,… (0:0.01:11 credits)"
    )
    price.add_argument("--setting", metavar="KEY", help="which setting of the pricing is the rate (its usual one)")
    price.add_argument("--from", dest="told", metavar="P", help="what the model was told (what each record says)")
    price.add_argument(
        "--sensitivity", type=_not_negative, default=1.0, metavar="X", help="utils a credit is worth to the user (1)"
    )
    price.add_argument("--scale", type=number_above_zero, default=1.0, metavar="X", help="stated units per util (1)")
    choice = parser.add_argument_group("the choice")
    choice.add_argument("--criterion", metavar="C", help="what picks the cell (what each record was solved by)")
    choice.add_argument(
        "--player", metavar="NAME", help="only the matrices of this assistant, by its name in the record"
    )
    choice.add_argument(
        "--margin",
        type=_not_negative,
        default=0.0,
        metavar="X",
        help="hysteresis: what leaving the last move costs (0)",
    )
    choice.add_argument("--assistant", metavar="SPEC", help="a model that chooses, too, e.g. transformers:PATH")
    choice.add_argument("--mode", choices=("solver", "self", "both"), help="who chooses (both with --assistant)")
    parser.add_argument("--plot", metavar="FILE", help="draw the sweep, to a .png or .svg file")
    add_json(parser)


def read_rates(text: str) -> list[float]:
    """Return the rates that ``--rate`` means: ``A:B:N``, or a list.

    Raises:
        UsageError: The text is neither, a rate is negative or above 1e9, or there are more than 10,000.

    Example:
        >>> read_rates("0:0.01:3"), read_rates("0,0.5")
        ([0.0, 0.005, 0.01], [0.0, 0.5])
    """
    try:
        if ":" in text:
            low, high, points = text.split(":")
            count = int(points)
            if count > _MOST_RATES:
                raise UsageError(f"--rate: expected at most {_MOST_RATES:,} rates, got {text!r}")
            step = (float(high) - float(low)) / max(count - 1, 1)
            rates = [float(low) + step * at for at in range(count - 1)] + [float(high)] * (count > 0)
        else:
            rates = [float(rate) for rate in text.split(",")]
    except UsageError:  # a ValueError, too
        raise
    except ValueError:
        rates = []
    if not rates or not all(0.0 <= rate <= _LARGEST for rate in rates):
        raise UsageError(f"--rate: expected A:B:N or A,B,… with numbers from 0 to {_LARGEST:g}, got {text!r}")
    return rates


def _not_negative(text: str) -> float:
    try:
        found = float(text)
    except ValueError:
        found = -1.0
    if not 0.0 <= found <= _LARGEST:
        raise argparse.ArgumentTypeError(f"expected a number from 0 to {_LARGEST:g}, got {text!r}")
    return found


def run(args: argparse.Namespace) -> int:
    """Sweep and show."""
    if args.plot is not None:
        from gtalign_env.plots import check_suffix

        check_suffix(Path(args.plot))
    mode = args.mode or ("solver" if args.assistant is None else "both")
    if mode != "solver" and args.assistant is None:
        raise UsageError(f"--mode {mode}: a model chooses anew at every price; say which one by --assistant SPEC")
    if mode == "solver" and args.assistant is not None:
        raise UsageError("--mode solver: no model is asked; leave --assistant out")
    rates = read_rates(args.rate)
    groups = _groups(args)
    made = _swept(args, mode, groups, rates)
    if not any(one.turns for one in made):
        raise UsageError(
            f"{args.file}: the records do not say what the user paid; say it by --from, e.g. --from subscription"
        )
    if args.plot is not None:
        from gtalign_env.agents.chain.sweep_figure import sweep_figure
        from gtalign_env.plots import save_figure

        save_figure(sweep_figure(made, title=f"Price steering · {Path(args.file).name}"), args.plot)
    _show(args, made)
    idle = [one for one in made if not any(point.n for point in one.points)]
    for one in idle:
        solved = groups.get((one.player, one.chosen_by))  # of a model's choices it was noted already why there are none
        why = "" if solved is None else _why_nothing(solved, one.chosen_by)
        label = one.label(player=len(groups) > 1)
        print(f"gtalign: {label}: nothing was chosen at any rate{why}", file=sys.stderr)
    return int(bool(idle) or any(one.as_claimed is False for one in made))


def _groups(args: argparse.Namespace) -> dict[tuple[str, str], list[list[ChainTurn]]]:
    """Return the sessions with a stated matrix, by the player that stated it and the criterion that chooses."""
    from gtalign_env.gauges import chain_turns

    found: dict[tuple[str, str], list[list[ChainTurn]]] = {}
    players: dict[str, None] = {}
    for episode in noted_episodes(args.file):
        player = episode.players.get(ASSISTANT, "?")
        turns = list(chain_turns(episode))
        if turns:
            players[player] = None
            solved_by = next((turn.criterion for turn in turns if turn.criterion), _CRITERION)
            found.setdefault((player, args.criterion or solved_by), []).append(turns)
    if args.player is not None and args.player not in players:
        raise UsageError(
            f"--player: expected one of {', '.join(players) or 'none'} in {args.file}, got {args.player!r}"
        )
    stated = {
        key: sessions
        for key, sessions in found.items()
        if args.player in (None, key[0]) and any(turn.matrix is not None for turns in sessions for turn in turns)
    }
    if not stated:
        raise UsageError(
            f"{args.file}: no episode holds a stated matrix; expected a record of an assistant with a chain, e.g. of "
            "'gtalign run … --chain solver'"
        )
    return stated


def _why_nothing(sessions: Sequence[Sequence[ChainTurn]], criterion: str) -> str:
    """Return why a criterion picks nothing, by the first stated matrix; why a model does not is noted already."""
    from gtalign_env.solution.criteria import choose

    matrix = next(turn.matrix for session in sessions for turn in session if turn.matrix is not None)
    try:
        choice = choose(matrix, criterion)
    except GtalignError as error:
        return f": {error}"
    return f": {choice.why}" if not choice.play else ": the criterion does not fit the steered matrices"


def _swept(
    args: argparse.Namespace,
    mode: str,
    groups: Mapping[tuple[str, str], Sequence[Sequence[ChainTurn]]],
    rates: Sequence[float],
) -> list[Sweep]:
    from gtalign_env.agents.chain.sweep import sweep

    settings = {
        "pricing": args.pricing,
        "setting": args.setting,
        "sensitivity": args.sensitivity,
        "scale": args.scale,
        "margin": args.margin,
        "pricing_from": args.told,
    }
    model = None
    if mode != "solver":
        from gtalign_env.agents.chain.resuming import ByModel

        model = ByModel(args.assistant)
    made = []
    for (player, criterion), sessions in groups.items():
        settings |= {"player": player, "criterion": criterion}
        if mode != "self":
            made.append(sweep(sessions, rates, **settings))
        if model is not None:
            made.append(sweep(sessions, rates, decide=model, chosen_by=model.name, **settings))
    for problem, count in model.problems.most_common() if model is not None else ():
        print(f"gtalign: note: {count} choices of the model are missing: {problem}", file=sys.stderr)
    return made


# -- showing ----------------------------------------------------------------------------------------------------------------


def _show(args: argparse.Namespace, made: Sequence[Sweep]) -> None:
    if args.json:
        from gtalign_env.play import versions

        rows = [one.as_dict() for one in made]
        told = {"command": command_line(args.argv), "versions": versions()}
        print_json({"file": args.file, "sweeps": rows, "plot": args.plot, **told})
        return
    from rich.text import Text

    console = make_console()
    several = len({one.player for one in made}) > 1
    for one in made:
        skipped = f", {one.skipped} turns without a matrix or a known price left out" if one.skipped else ""
        whose = f"{one_line(one.player)} · " if several else ""
        head = f"{whose}{one.setting} · chosen by {one.chosen_by} · {one.turns} matrices{skipped}"
        console.print(Text(head, style="bold"))
        wide = console.width >= _WIDE
        console.print(_table(one, wide=wide))
        for line in _notes(one, wide=wide):
            console.print(Text(line))
        console.print()
    if args.plot is not None:
        console.print(Text(f"drawn: {args.plot}"))


def _table(made: Sweep, *, wide: bool) -> Table:
    """Return a row for each rate; a narrow terminal has no room for what was realised."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    shown = [at for at in range(len(_HEADS)) if wide or not 7 <= at < 10]
    for at in shown:
        last = at == len(_HEADS) - 1
        table.add_column(_HEADS[at], justify="left" if last else "right", no_wrap=not last, overflow="fold")
    for point in made.points:
        cells = _cells(point)
        table.add_row(*(Text(cells[at]) for at in shown))
    return table


def _cells(point: SweepPoint) -> list[str]:
    shares = ", ".join(f"{move} {share:.0%}" for move, share in point.shares.items())
    return [
        f"{point.rate:g}",
        str(point.n),
        "—" if point.switched is None else f"{point.switched:.0%}",
        number(point.tokens, digits=1),
        *(number(value) for value in (point.user, point.assistant, point.welfare)),
        *(number(value) for value in (point.realised_user, point.realised_assistant)),
        f"{point.realised:g}",
        shares or "—",
    ]


def _notes(made: Sweep, *, wide: bool) -> list[str]:
    """Return what the columns that are shown mean, and what theory says."""
    tokens = ", ".join(f"{move} {count:.0f}" for move, count in made.tokens_by_move.items())
    stated = f"U, L: stated payoffs of the chosen cells at that price; welfare: {made.welfare}"
    real = "real: what the chosen move came to where it was the one that was made; known: how often it was"
    notes = [f"expected tokens: {tokens}", f"{stated}; {real}" if wide else stated]
    if made.against:
        notes.append(f"switched: against the matrices as they were stated, under {', '.join(made.against)}")
    if not any(point.n for point in made.points):
        return [*notes, "seen: nothing was chosen at any rate"]
    trend = "tokens go up and down" if made.trend is None else _TRENDS[made.trend]
    if made.claim is None:
        return [*notes, f"seen: {trend}; theory claims nothing here"]
    verdict = "as it must be" if made.as_claimed else "NOT as it must be"
    return [*notes, f"theory: {_TRENDS[made.claim]}; seen: {trend}: {verdict}"]
