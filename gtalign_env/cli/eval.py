"""``gtalign eval``: what assistants get with people and prices, trained on or held out, as shares of *their* exact optimum."""

from __future__ import annotations

import argparse
import dataclasses
import functools
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.text import Text

from gtalign_env.cli.common import (
    Progress,
    add_json,
    add_seed,
    make_console,
    new_parser,
    print_json,
    read_options,
)
from gtalign_env.cli.solve import read_pricings
from gtalign_env.cli.train import step_count
from gtalign_env.cli.train_run import measured, say
from gtalign_env.cli.trained_games import other_games
from gtalign_env.errors import UsageError
from gtalign_env.replay.bars import fold_name

if TYPE_CHECKING:
    from rich.table import Table

    from gtalign_env.protocols import Policy
    from gtalign_env.training.measure import Evaluation
    from gtalign_env.training.objectives import Objective
    from gtalign_env.training.yardstick import Yardstick

__all__ = ["add_parser", "run"]

_NORMAL = 1.96
"""Standard errors of a normal interval of 95 %."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Place:
    """One population that pays one price, and what came of it."""

    users: str
    pricing: str
    """What users pay; empty for the scenario's own price."""
    yardstick: Yardstick
    found: Mapping[str, Evaluation]
    """What each player got."""


def add_parser(subparsers: Any) -> None:
    """Add the verb to the program."""
    parser = new_parser(
        subparsers,
        "eval",
        summary="measure assistants against people and prices, as shares of the exact optimum",
        description="Measure assistants: whole sessions in games of moves, with every population at every price. The optimum is\n"
        "that of an assistant who is told which population it serves and what they pay, so a policy that was trained on\n"
        "others is measured by what was there to be had.",
        examples=[
            "gtalign eval heuristic bayes",
            "gtalign eval trained:runs/first heuristic --users default --users expert --pricing subscription,freemium",
            "gtalign eval trained:runs/first --users chatty --pricing per_token:rate_out=0.0015 --json",
        ],
    )
    parser.add_argument(
        "players",
        nargs="+",
        metavar="PLAYER",
        help="assistants: trained:RUN, heuristic, bayes, fixed:MOVE, FILE.py:Class",
    )
    parser.add_argument(
        "--scenario", default="gtalign/Assist-v0", metavar="ID", help="a strategic game (gtalign/Assist-v0)"
    )
    parser.add_argument(
        "--users",
        action="append",
        metavar="SPEC",
        help="a persona or a mix: concise=2,expert (default); repeat it for several",
    )
    parser.add_argument("--pricing", metavar="P[,P…]", help="what users pay; each price is measured by itself")
    parser.add_argument(
        "--option",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="any other option of the scenario (repeatable)",
    )
    parser.add_argument("--objective", default="cobb_douglas", metavar="O", help="the welfare (cobb_douglas)")
    parser.add_argument(
        "--aggregation", choices=("ser", "esr"), default="ser", help="welfare of means, or mean of welfare (ser)"
    )
    parser.add_argument(
        "--episodes",
        type=functools.partial(step_count, least=2),
        default=20_000,
        metavar="N",
        help="sessions of each player, at least (20k)",
    )
    parser.add_argument("--yardstick", choices=("auto", "off"), default="auto", help="compute the exact optimum (auto)")
    add_seed(parser)
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Measure."""
    from gtalign_env.cli.engines import is_model
    from gtalign_env.finite import FiniteScenario
    from gtalign_env.registration import make_scenario
    from gtalign_env.training.objectives import make_objective

    players = list(dict.fromkeys(args.players))
    for spec in players:
        if is_model(spec):
            raise UsageError(f"{spec}: expected an assistant that plays moves; for models take 'gtalign run'")
    judge = make_objective(args.objective, args.aggregation)
    options = read_options(args.option)
    rules = {name: value for name, value in options.items() if name != "max_cycles"}
    scenario = make_scenario(args.scenario, **rules)
    if not isinstance(scenario, FiniteScenario):
        raise UsageError(f"--scenario {args.scenario}: expected a game of moves (gtalign list shows them as strategic)")
    prices = read_pricings(args.pricing) if args.pricing else [""]
    everybody = [(users, price) for users in args.users or ["default"] for price in prices]
    _check(args, [spec for spec in players if not _is_solved(spec)], everybody, judge)
    for line in other_games(players, scenario):
        say(f"note: {line}")
    best = [_yardstick(args, scenario, place, judge, of=_named(place, everybody)) for place in everybody]
    _check(args, filter(_is_solved, players), everybody, judge)  # after the optima, which are most of their work
    played: list[dict[str, Evaluation]] = []
    with Progress("measured", len(everybody) * len(players)) as progress:
        for place in everybody:
            played.append({})
            for spec in players:
                played[-1][spec] = _measured(args, spec, place, judge)
                progress.advance(" ".join(["by", spec, *filter(None, ["with", _named(place, everybody)])]))
    own = str(scenario.config.get("pricing", ""))
    places = [
        _Place(users=users, pricing=price or own, yardstick=one, found=found)
        for (users, price), one, found in zip(everybody, best, played, strict=True)
    ]
    if args.json:
        rows = [row for one in places for row in _rows(one)]
        print_json(
            {"scenario": args.scenario, "objective": args.objective, "aggregation": args.aggregation, "rows": rows}
        )
        return 0
    console = make_console()
    console.print(f"{args.objective} ({args.aggregation}), {args.episodes:,} sessions at least; ± is the 95 % interval")
    for one in places:
        console.print()
        console.print(Text(f"{one.users}, {one.pricing}" if one.pricing else one.users, style="bold"))
        console.print(str(one.yardstick), soft_wrap=True, style="dim")
        console.print(_table(one, console.width))
    return 0


def _named(place: tuple[str, str], everybody: Sequence[tuple[str, str]]) -> str:
    """Return a place in words, where there are several."""
    users, price = place
    return "" if len(everybody) == 1 else f"{users} at {price}" if price else users


def _is_solved(spec: str) -> bool:
    return spec.partition(":")[0] == "bayes"


def _made(spec: str, place: tuple[str, str], judge: Objective) -> Policy:
    """Return a player; what ``bayes`` does not name itself is as it is here: the best there is for whom it meets."""
    from gtalign_env.agents.assistants import make_assistant

    told: dict[str, Any] = {}
    if _is_solved(spec):
        told = {"users": place[0], "pricing": place[1] or None, "objective": judge.criterion(), "tolerance": 1e-6}
        told["aggregation"] = judge.aggregation
    return make_assistant(spec, **told)


def _check(
    args: argparse.Namespace, players: Iterable[str], everybody: Sequence[tuple[str, str]], judge: Objective
) -> None:
    """Make players, people and prices once, so that wrong ones are refused before anything is measured."""
    from gtalign_env.training.sessions import check_sessions

    players = list(players)
    for users, price in everybody:
        made = [_made(spec, (users, price), judge) for spec in players]
        check_sessions(made, args.scenario, options=read_options(args.option), users=users, pricing=price or None)


def _measured(args: argparse.Namespace, spec: str, place: tuple[str, str], judge: Objective) -> Evaluation:
    """Let one player play."""
    from gtalign_env.training.measure import measure
    from gtalign_env.training.sessions import play_sessions

    returns, violations = play_sessions(
        _made(spec, place, judge),
        args.scenario,
        options=read_options(args.option),
        users=place[0],
        pricing=place[1] or None,
        episodes=args.episodes,
        seed=args.seed,
    )
    return measure(returns, int(violations.sum()), judge)


def _yardstick(
    args: argparse.Namespace, scenario: Any, place: tuple[str, str], judge: Objective, *, of: str
) -> Yardstick:
    """Return the optimum of who is told whom it serves."""
    from gtalign_env.training.yardstick import Unknown, Yardstick, yardstick

    off = Unknown.OFF if args.yardstick == "off" else None
    cut = Unknown.MAX_CYCLES if "max_cycles" in read_options(args.option) else None
    unknown = off or cut
    if unknown is not None:
        return Yardstick(unknown=unknown, why=unknown.words)
    users, price = place
    return measured(lambda tell: yardstick(scenario, users, judge, [price] if price else [], tell), of)


def _rows(place: _Place) -> list[dict[str, Any]]:
    """Return one row per player, as JSON has it."""
    from gtalign_env.training.measure import share

    rows = []
    for spec, found in place.found.items():
        figures = share(found, place.yardstick)
        half = _NORMAL * found.error
        figures["interval"] = [found.welfare - half, found.welfare + half]
        rows.append({"player": spec, "users": place.users, "pricing": place.pricing, **figures})
    return [{**row, "yardstick": place.yardstick.as_dict()} for row in rows]


def _table(place: _Place, width: int) -> Table:
    """Return one line per player, whose name is folded where the other columns leave too little room."""
    from rich.table import Table

    best = place.yardstick
    shared = best.value is not None and best.value > 0.0
    of = ["at least" if best.ceiling else "of the optimum"]
    heads = ["welfare", *(of if shared else []), "U", "L", "viol."]
    lines = []
    for row in _rows(place):
        cells = [f"{row['welfare']:.4f} ± {_NORMAL * row['error']:.4f}"]
        if shared:
            part = row["share_at_least" if best.ceiling else "share_of_optimum"]
            cells.append(f"{part:.1%} ± {_NORMAL * row['share_error']:.1%}")
        lines.append([*cells, f"{row['user']:.3f}", f"{row['assistant']:.3f}", str(row["violations"])])
    taken = sum(2 + max(map(len, column)) for column in zip(heads, *lines, strict=True))
    left = max(width - taken, len("player"))
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("player", style="cyan", overflow="fold")
    for head in heads:
        table.add_column(head, justify="right", no_wrap=True)
    for player, cells in zip(place.found, lines, strict=True):
        table.add_row(Text("\n").join(fold_name(Text(player), left)), *map(Text, cells))
    return table
