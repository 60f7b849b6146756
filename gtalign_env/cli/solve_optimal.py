"""``gtalign solve --optimal``: the Bayes-optimal assistant against a population, its policy in words, what others lose to it."""

from __future__ import annotations

import argparse
import contextlib
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from gtalign_env.cli.common import at_least, print_json, read_options
from gtalign_env.cli.solve_report import Asked, report, situation_words
from gtalign_env.cli.solve_words import Fact, fact_lines, pair, utils
from gtalign_env.errors import UsageError
from gtalign_env.registration import make_scenario, scenario_id

if TYPE_CHECKING:
    from rich.text import Text

    from gtalign_env.finite import FiniteScenario

__all__ = ["add_options", "refuse", "run"]

_CLASHES = ("state", "type", "criterion", "plot")
_SHOWN = 0.005
"""Shares of a mixture of moves below which none is named."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``--optimal``."""
    best = parser.add_argument_group("the best assistant against a population (--optimal)")
    best.add_argument("--optimal", action="store_true", help="solve the whole session for the assistant's chair")
    best.add_argument(
        "--objective",
        metavar="W",
        help="the welfare to maximise, by the names of gtalign train as well, e.g. utilitarian, user_only or ces:rho=-1 "
        "(cobb_douglas)",
    )
    best.add_argument(
        "--aggregation",
        choices=("ser", "esr"),
        help="ser: welfare of mean payoffs; esr: mean welfare of sessions (ser)",
    )
    best.add_argument(
        "--users", metavar="SPEC", help="who comes: personas with weights, e.g. concise=2,expert (the default mix)"
    )
    best.add_argument("--tolerance", type=float, metavar="T", help="how far apart both bounds may stay (1e-5)")
    best.add_argument("--sessions", type=at_least(2), metavar="N", help="sessions that the heuristic plays (2000)")
    best.add_argument("--no-cache", action="store_true", help="solve anew, and remember nothing on disk")


def refuse(args: argparse.Namespace) -> None:
    """Refuse options that mean nothing without ``--optimal``.

    Raises:
        UsageError: There is one.
    """
    for name in ("objective", "aggregation", "users", "tolerance", "sessions"):
        if getattr(args, name) is not None:
            raise UsageError(f"--{name}: for the best assistant against a population only; add --optimal")


def run(args: argparse.Namespace) -> int:
    """Solve and show."""
    for name in _CLASHES:
        if getattr(args, name) is not None:
            raise UsageError(f"--{name}: --optimal solves the whole session; leave it out, or leave --optimal out")
    if args.pricing is not None:
        from gtalign_env.cli.solve import read_pricings

        if len(read_pricings(args.pricing)) > 1:
            raise UsageError(f"--pricing: expected one with --optimal, got {args.pricing!r}")
    found = _found(args)
    if args.json:
        print_json(found)
    else:
        _show(found)
    return 0


def _found(args: argparse.Namespace) -> dict[str, Any]:
    """Return the report with what it is about."""
    from gtalign_env.agents.users import population
    from gtalign_env.play import versions

    began, scenario = time.perf_counter(), _scenario(args)
    given = {name: getattr(args, name) for name in ("objective", "aggregation", "tolerance", "sessions")}
    asked = Asked(
        scenario=scenario, users=args.users, **{name: value for name, value in given.items() if value is not None}
    )
    alive = sys.stderr.isatty()
    try:
        made = report(asked, cache=not args.no_cache, progress=_told if alive else _told_once())
    finally:
        if alive:
            _told("")
    return {
        "scenario": scenario_id(args.scenario),
        "users": population(args.users).name,
        "pricing": str(scenario.config.get("pricing", "")),
        "asked": asked.objective,
        **made,
        "seconds_in_all": time.perf_counter() - began,
        "versions": versions(),
    }


def _scenario(args: argparse.Namespace) -> FiniteScenario:
    from gtalign_env.finite import FiniteScenario

    options = read_options(args.option)
    for name in ("payoff", "pricing"):
        if getattr(args, name) is not None:
            options[name] = getattr(args, name)
    scenario = make_scenario(args.scenario, **options)
    if not isinstance(scenario, FiniteScenario):
        raise UsageError(
            f"{args.scenario}: expected a game of moves with --optimal (gtalign list shows them as strategic)"
        )
    return scenario


# -- showing ----------------------------------------------------------------------------------------------------------------


def _told(words: str) -> None:
    """Say what is going on, on one line of the terminal."""
    sys.stderr.write(f"\r\x1b[K{words}")
    sys.stderr.flush()


def _told_once() -> Callable[[str], None]:
    """Return what says once, where there is no terminal, that something takes long."""
    told: list[str] = []

    def tell(words: str) -> None:
        if not told:
            with contextlib.suppress(OSError, ValueError):
                print("the exact optimum: being computed …", file=sys.stderr, flush=True)
        told.append(words)

    return tell


def _show(found: Mapping[str, Any]) -> None:
    from rich.text import Text

    from gtalign_env.cli.screen import Trimmed, output_width
    from gtalign_env.replay.speech import wrapped
    from gtalign_env.replay.style import make_console, pick_scheme

    width = output_width()
    stream: Any = Trimmed(sys.stdout)
    console = make_console(stream, width=width, scheme=pick_scheme("auto"))
    title = f"{found['scenario']} · the best assistant · {found['users']} · {found['pricing']}"
    lines: list[Text] = [*wrapped(Text(title, style="strong"), width), Text("")]
    for number, block in enumerate(_blocks(found)):
        lines += [Text("")] if number else []
        lines += fact_lines(block, width)
    for line in lines:
        console.print(line)


def _blocks(found: Mapping[str, Any]) -> Iterator[list[Fact]]:
    yield list(_value_facts(found))
    for policy in found["policies"]:
        yield list(_policy_facts(policy, alone=len(found["policies"]) == 1))
    yield list(_other_facts(found))
    if found.get("value_of_questions"):
        yield list(_question_facts(found))
    if "told" in found:
        told = found["told"]
        has = f"{_number(told['value'])} ({pair(told['user'], told['assistant'])})"
        more = _number(found["value_of_knowing"])
        yield [("knowing", f"told at the start who comes, an assistant has {has}: {more} of W more")]
    places = f"{found['pairs']:,} pairs of state and context ({found['contexts']:,} contexts)"
    times = f"{found['seconds']:.1f} s to solve, {found['seconds_in_all']:.1f} s in all"
    if found["remembered"]:
        times = f"remembered: it took {found['seconds']:.1f} s to solve, and {found['seconds_in_all']:.1f} s now"
    elif found["optimum_remembered"]:
        times = f"{found['seconds']:.1f} s to solve (remembered), {found['seconds_in_all']:.1f} s in all"
    yield [("work", f"{places}, {found['searched']:,} beliefs; {times}")]


def _value_facts(found: Mapping[str, Any]) -> Iterator[Fact]:
    of = "the mean payoffs" if found["aggregation"] == "ser" else "single sessions, on average"
    named = found["asked"].partition(":")[0] == found["objective"].partition(":")[0]
    welfare = found["objective"] if named else f"{found['asked']}, which is {found['objective']},"
    yield "objective", f"W: {welfare} of {of} ({found['aggregation']})"
    if found["error"]:
        played = f"{found['value']:.4f} ± {1.96 * found['error']:.4f}"
        yield (
            "value",
            f"{played}, what the policy below has in sessions played; no policy has more than {found['upper']:.4f}",
        )
    elif found["exact"]:
        yield "value", f"{found['value']:.6f}; proved: no policy has more than {found['upper']:.6f}"
    else:
        yield "value", f"{found['value']:.6f}, a policy that was found; none has more than {found['upper']:.6f}"
    yield "payoffs", pair(found["user"], found["assistant"])
    yield "", "; ".join(f"{kind} {pair(row['user'], row['assistant'])}" for kind, row in found["by_kind"].items())


def _policy_facts(policy: Mapping[str, Any], *, alone: bool) -> Iterator[Fact]:
    yield "policy" if alone else f"with {policy['share']:.1%}", "in the opening:"
    for where, moves in policy["opening"].items():
        yield "", f"{where}: {_mixed(moves)}"
        first = next(iter(moves))
        for said, where_to in _grouped(policy["next"].get(f"{where}: {first}", {})):
            yield "", f"   then {said}, if {where_to}"
    for first, rows in policy["after_reactions"].items():
        yield "", f"after {first} first, by the user's reaction to it:"
        for heard, moves in rows.items():
            yield "", f"   {heard}: then {_mixed(moves)}"


def _other_facts(found: Mapping[str, Any]) -> Iterator[Fact]:
    label = "others lose" if found["value"] > 0.0 else "others"
    for row in sorted(found["others"], key=lambda row: -row["value"]):
        lost = "" if row["lost"] is None else f" {row['lost']:.1%}"
        said = f"{row['policy']}{lost} ({_number(row['value'])}; {pair(row['user'], row['assistant'])})"
        if "interval" in row:
            low, high = row["interval"]
            said += f", played {row['sessions']:,} times, 95 % of {_number(low)} to {_number(high)}"
        yield label, said
        label = ""


def _question_facts(found: Mapping[str, Any]) -> Iterator[Fact]:
    rows = found["value_of_questions"]
    worth = ", ".join(f"{name} {_number(value)}" for name, value in rows.items())
    yield "asking is worth", f"{worth} of W: so much less is the optimum without it"
    weights = found["weights"]
    line = f"{utils(weights[0])}·U + {utils(weights[1])}·L"
    yield "", f"as the first move of a session, in utils of {line} more than the best answer:"
    for row in found["openings"]:
        best = row["best"]
        gains = [f"{name} {best[name] - best['answer']:+.3f}".replace("-", "−") for name in best if name != "answer"]
        yield "", f"{situation_words(row['opening'])}: {', '.join(gains)}"


def _grouped(rows: Mapping[str, Mapping[str, float]]) -> Iterator[tuple[str, str]]:
    """Yield moves with the situations in which they follow."""
    groups: dict[str, list[str]] = {}
    for then, moves in rows.items():
        groups.setdefault(_mixed(moves), []).append(_when(then))
    for said, situations in groups.items():
        yield said, "; or ".join(situations)


def _when(then: str) -> str:
    """Return a situation as the end of "if".

    Example:
        >>> _when("next question, simple, vague"), _when("round 1")
        ('the next question is simple, vague', 'round 1')
    """
    which, comma, words = then.partition(", ")
    return f"the {which} is {words}" if comma and which in ("same question", "next question") else then


def _mixed(moves: Mapping[str, float]) -> str:
    kept = [(move, share) for move, share in moves.items() if share >= _SHOWN]
    if len(kept) == 1:
        return kept[0][0]
    return ", ".join(f"{move} {share:.0%}" for move, share in kept)


def _number(value: float) -> str:
    return f"{value:.4f}".replace("-", "−")
