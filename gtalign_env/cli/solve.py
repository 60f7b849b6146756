"""``gtalign solve``: what is known of a game, for people, as JSON, and as a figure."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gtalign_env.cli import solve_equilibrium, solve_optimal
from gtalign_env.cli.common import add_json, new_parser, print_json, read_options, read_value
from gtalign_env.errors import UsageError
from gtalign_env.registration import load, make_scenario, scenario_id
from gtalign_env.specs import listed_specs

if TYPE_CHECKING:
    from rich.text import Text

    from gtalign_env.protocols import Scenario
    from gtalign_env.solution import Posed, Solution

__all__ = ["VIEWS", "add_parser", "read_pricings", "read_state", "run"]

VIEWS: dict[str, str] = {
    "division": "gtalign_env.cli.solve_division:division_lines",
    "matrix": "gtalign_env.cli.solve_matrix:matrix_solution_lines",
    "screening": "gtalign_env.cli.solve_screening:screening_lines",
    "signalling": "gtalign_env.cli.solve_signalling:signalling_lines",
    "tree": "gtalign_env.cli.solve_tree:tree_lines",
}
"""What shows a solution to people, by its kind: a function of the solution and the width that returns lines."""

_FEE_FIRST = ("subscription", "two_part")
"""Pricing policies whose fee for a session is due with its first reply."""


def add_parser(subparsers: Any) -> None:
    """Add the verb to the program."""
    parser = new_parser(
        subparsers,
        "solve",
        summary="solve a game: equilibria, optimum, bargaining, prices",
        description="Solve a game exactly. Matrix games and sessions are solved as the bimatrix of one exchange, trees by\n"
        "backward induction, signalling games for their perfect Bayesian equilibria, divisions over all allocations.\n\n"
        "criteria: welfare[:FUNCTION], nash, stackelberg[:user|assistant[:mixed]], bargaining:SOLUTION, maximin,\n"
        "correlated[:OBJECTIVE], dominance, quantal:RATIONALITY",
        examples=[
            "gtalign solve gtalign/Matrix-v0",
            "gtalign solve gtalign/Matrix-v0 --criterion bargaining:egalitarian --plot matrix.svg",
            "gtalign solve gtalign/Assist-v0 --state kind=complex,clarity=clear --type concise",
            "gtalign solve gtalign/Assist-v0 --pricing subscription,per_token,per_request",
            "gtalign solve gtalign/Duopoly-v0 --criterion welfare:ces:rho=-1 --json",
            "gtalign solve gtalign/Assist-v0 --optimal --objective egalitarian --users concise=2,expert",
            "gtalign solve gtalign/Assist-v0 --equilibrium --objective assistant_only",
            "gtalign solve gtalign/Trigame-v0 --state node=left/right",
            "gtalign solve gtalign/DealOrNoDeal-v0 --state counts=1/1/3,user_values=1/3/2,assistant_values=1/0/3",
        ],
    )
    parser.add_argument("scenario", metavar="ID", help="the game: an id of 'gtalign list', module:attr or file.py:attr")
    part = parser.add_argument_group("which part of the game")
    part.add_argument(
        "--state",
        metavar="S",
        help="coordinates (round=0), a tree's node (node=left/right) or a task; the opening if left out",
    )
    part.add_argument("--type", metavar="T", help="θ, by name or as JSON; the average over the population if left out")
    rules = parser.add_argument_group("the rules")
    rules.add_argument("--pricing", metavar="P[,P…]", help="what the user pays; several are compared in one table")
    rules.add_argument("--payoff", metavar="M", help="the payoff model (grounded)")
    rules.add_argument(
        "--option",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="any other option of the scenario (repeatable)",
    )
    parser.add_argument("--criterion", metavar="C", help="what picks the outcome (welfare:cobb_douglas in a matrix)")
    parser.add_argument("--plot", metavar="FILE", help="draw the game in payoff space, to a .png or .svg file")
    add_json(parser)
    solve_optimal.add_options(parser)
    solve_equilibrium.add_options(parser)


def run(args: argparse.Namespace) -> int:
    """Solve and show."""
    if args.optimal and not args.equilibrium:
        return solve_optimal.run(args)
    if args.equilibrium:
        return solve_equilibrium.run(args, _scenario(args))
    solve_optimal.refuse(args)
    solve_equilibrium.refuse(args)
    from gtalign_env.solution import pose, solve

    if args.plot is not None:
        from gtalign_env.plots import check_suffix

        check_suffix(Path(args.plot))
    pricings: list[str] = [] if args.pricing is None else read_pricings(args.pricing)
    if args.plot is not None and len(pricings) > 1:
        raise UsageError(f"--plot: expected one --pricing, got {len(pricings)}: a figure shows the game at one price")
    scenario = _scenario(args)
    state = None if args.state is None else read_state(args.state)
    theta = None if args.type is None else read_value(args.type)
    posed = [pose(scenario, state=state, user_type=theta, pricing=pricing) for pricing in (pricings or (None,))]
    solutions = [solve(one.game, criterion=args.criterion) for one in posed]
    if args.plot is not None:
        _plot(args, posed[0], solutions[0])
    rows = [] if len(pricings) < 2 else _compared(scenario, args, posed, theta)
    if args.json:
        print_json(_object(args, posed, solutions, rows))
    else:
        _show(args, posed, solutions, rows)
    return 0


def read_state(text: str) -> Any:
    """Return what ``--state`` means: ``KEY=VALUE`` pairs as a dict, JSON as what it is.

    Raises:
        UsageError: The text is neither.

    Example:
        >>> read_state("kind=complex,exchange=1"), read_state("17"), read_state('{"counts": [1, 1, 3]}')
        ({'kind': 'complex', 'exchange': '1'}, 17, {'counts': [1, 1, 3]})
    """
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if isinstance(found, dict) or (isinstance(found, int) and not isinstance(found, bool)):
        return found
    pairs: dict[str, str] = {}
    for pair in text.split(","):
        key, equals, value = (part.strip() for part in pair.partition("="))
        if not equals or not key or key in pairs:
            raise UsageError(f"--state: expected KEY=VALUE,KEY=VALUE with different keys, got {text!r}")
        pairs[key] = value
    return pairs


def read_pricings(text: str) -> list[str]:
    """Return the pricing policies that ``--pricing`` names; a comma before ``key=value`` belongs to the policy before it.

    Raises:
        UsageError: A name is empty or comes twice.

    Example:
        >>> read_pricings("per_token:rate_in=0.001,rate_out=0.002,subscription")
        ['per_token:rate_in=0.001,rate_out=0.002', 'subscription']
    """
    found = listed_specs(text)
    if not all(found) or len(set(found)) < len(found):
        raise UsageError(f"--pricing: expected different policies, P or P,P, got {text!r}")
    return found


# -- the work ---------------------------------------------------------------------------------------------------------------


def _scenario(args: argparse.Namespace) -> Scenario:
    """Return the scenario as its options make it; prices are told to ``pose``, which knows whether the game has any."""
    options = read_options(args.option)
    if args.payoff is not None:
        options["payoff"] = args.payoff
    return make_scenario(args.scenario, **options)


def _compared(scenario: Any, args: argparse.Namespace, posed: Sequence[Posed], theta: Any) -> list[Any]:
    """Return a row for each pricing: of the state that was asked for, else of all openings."""
    from gtalign_env.mechanism import pricing_report

    users = None if theta is None else scenario.resolve_type(theta)
    states = None if args.state is None else posed[0].state
    return list(pricing_report(scenario, states=states, users=users, pricings=[str(one.pricing) for one in posed]))


def _plot(args: argparse.Namespace, posed: Posed, solution: Solution) -> None:
    from gtalign_env.plots import payoff_figure, save_figure

    save_figure(payoff_figure(solution.payoff_space(), title=_title(args, posed)), args.plot)


def _object(
    args: argparse.Namespace, posed: Sequence[Posed], solutions: Sequence[Solution], rows: Sequence[Any]
) -> dict[str, Any]:
    import dataclasses

    from gtalign_env.play import versions

    first = posed[0]
    made = {
        "scenario": scenario_id(args.scenario),
        "kind": solutions[0].kind,
        "state": first.state,
        "type": first.user_type,
        "pricing": first.pricing,
        **solutions[0].as_dict(),
    }
    if rows:
        made["pricing_report"] = [dataclasses.asdict(row) for row in rows]
        made["by_pricing"] = {str(one.pricing): solved.as_dict() for one, solved in zip(posed, solutions, strict=True)}
    return {**made, "plot": args.plot, "versions": versions()}


# -- showing ----------------------------------------------------------------------------------------------------------------


def _show(args: argparse.Namespace, posed: Sequence[Posed], solutions: Sequence[Solution], rows: Sequence[Any]) -> None:
    from rich.text import Text

    from gtalign_env.cli.screen import Trimmed, output_width
    from gtalign_env.replay.speech import wrapped
    from gtalign_env.replay.style import make_console, pick_scheme

    width = output_width()
    stream: Any = Trimmed(sys.stdout)
    console = make_console(stream, width=width, scheme=pick_scheme("auto"))
    lines: list[Text] = [*wrapped(Text(_title(args, posed[0], priced=not rows), style="strong"), width), Text("")]
    if rows:
        from gtalign_env.cli.solve_prices import price_lines

        lines += price_lines(rows, width, one_state=args.state is not None)
        if args.criterion is not None:
            lines += _picked(posed, solutions, width)
    else:
        view = load(VIEWS[solutions[0].kind])
        lines += view(solutions[0], width)
        lines += [
            line for said in _remarks(posed[0]) for line in (Text(""), *wrapped(Text(said, style="muted"), width))
        ]
    if args.plot is not None:
        lines += [Text(""), *wrapped(Text(f"drawn in payoff space: {args.plot}", style="muted"), width)]
    for line in lines:
        console.print(line)


def _remarks(posed: Posed) -> Iterator[str]:
    """Yield what a reader of one exchange should know."""
    opening = all(posed.state.get(name) in (0, "0") for name in ("question", "exchange"))
    if opening and posed.pricing is not None and posed.pricing.partition(":")[0] in _FEE_FIRST:
        yield (
            "the fee of the whole session falls into this exchange, its first; --state exchange=1 shows one without it, "
            "--pricing per_request a price for each"
        )


def _picked(posed: Sequence[Posed], solutions: Sequence[Any], width: int) -> list[Text]:
    """Return what the criterion picks at each price, in the one state that it looks at."""
    from rich.text import Text

    from gtalign_env.cli.solve_words import choice_fact, fact_lines
    from gtalign_env.replay.speech import wrapped

    where = ", ".join(f"{name} {value}" for name, value in posed[0].state.items() if value != "")
    facts = [(str(one.pricing), choice_fact(solved.choice)[1]) for one, solved in zip(posed, solutions, strict=True)]
    label = max(len(name) for name, _ in facts) + 2
    return [
        Text(""),
        *wrapped(Text(f"what the criterion picks in the state {where}", style="muted"), width),
        *fact_lines(facts, width, label=label),
    ]


def _title(args: argparse.Namespace, posed: Posed, *, priced: bool = True) -> str:
    """Return what was solved, in one line."""
    parts = [scenario_id(args.scenario)]
    if priced or args.state is not None:
        parts += [", ".join(f"{name} {value}" for name, value in posed.state.items() if value != "")]
    if isinstance(posed.user_type, str):
        parts.append(f"type {posed.user_type}")
    elif posed.user_type is not None:
        parts.append("averaged over the population")
    if priced and posed.pricing is not None:
        parts.append(posed.pricing)
    return " · ".join(filter(None, parts))
