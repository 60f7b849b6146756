"""``gtalign solve --equilibrium``: what a population and an assistant do when both respond to each other."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from gtalign_env.cli.common import print_json
from gtalign_env.cli.solve_words import Fact, fact_lines, mixture, pair
from gtalign_env.errors import UsageError
from gtalign_env.registration import load, scenario_id

if TYPE_CHECKING:
    from rich.text import Text

    from gtalign_env.finite import FiniteScenario
    from gtalign_env.optimal.equilibrium import PopulationEquilibrium
    from gtalign_env.protocols import Scenario

__all__ = ["add_options", "equilibrium_facts", "refuse", "run"]

_CLASHES = ("optimal", "state", "type", "criterion", "plot", "aggregation", "sessions", "no_cache")

_SEEN = 0.005
"""Chances below this are not spelled out."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``--equilibrium``; ``--objective``, ``--users`` and ``--tolerance`` are those of ``--optimal``."""
    both = parser.add_argument_group("users and assistant who respond to each other (--equilibrium)")
    both.add_argument(
        "--equilibrium",
        action="store_true",
        help="let people and the assistant respond to each other until nobody gains; takes --objective (assistant_only), "
        "--users and --tolerance (1e-4) as well; exit code 1 where somebody still gains more than that",
    )
    both.add_argument(
        "--recall",
        choices=("all", "two", "last", "none"),
        help="what both remember: all, the last two exchanges, the last one, nothing (last)",
    )
    both.add_argument("--start", choices=("users", "even"), help="where people start: as they are, or anyhow (users)")


def refuse(args: argparse.Namespace) -> None:
    """Refuse options that mean nothing without ``--equilibrium``.

    Raises:
        UsageError: There is one.
    """
    for name in ("recall", "start"):
        if getattr(args, name) is not None:
            raise UsageError(f"--{name}: for users and assistant who respond to each other only; add --equilibrium")


def run(args: argparse.Namespace, scenario: Scenario) -> int:
    """Find an equilibrium and show it; 1 where somebody gains more than the tolerance by playing otherwise.

    Raises:
        UsageError: The scenario is not a compiled one, or an option does not go with ``--equilibrium``.
    """
    from gtalign_env.finite import FiniteScenario
    from gtalign_env.optimal.equilibrium import Settings, equilibrium

    for name in _CLASHES:
        if getattr(args, name) not in (None, False):
            raise UsageError(f"--{name.replace('_', '-')} does not go with --equilibrium: leave one of them out")
    if not isinstance(scenario, FiniteScenario):
        raise UsageError(
            f"--equilibrium: expected a game of moves (such as gtalign/Assist-v0), got "
            f"{scenario_id(args.scenario)}, which is not compiled into tables"
        )
    began = time.perf_counter()
    found = equilibrium(
        scenario,
        _population(args, scenario),
        objective=args.objective or "assistant_only",
        pricing=args.pricing,
        recall=args.recall or "last",
        start=args.start or "users",
        settings=Settings() if args.tolerance is None else Settings(tolerance=args.tolerance),
    )
    seconds = time.perf_counter() - began
    if args.json:
        from gtalign_env.play import versions

        head = {"scenario": scenario_id(args.scenario), "pricing": args.pricing or scenario.pricing.name}
        print_json(
            {**head, "start": args.start or "users", **found.as_dict(), "seconds": seconds, "versions": versions()}
        )
    else:
        _show(args, found, seconds)
    if found.converged:
        return 0
    sys.stdout.flush()
    more = f"; {_MORE}" if _forgets(found) else ""
    said = f"an equilibrium only to {_gain(found.residual)}, and {found.tolerance:g} was asked for (--tolerance){more}"
    print(f"gtalign: {said}", file=sys.stderr)
    return 1


def _population(args: argparse.Namespace, scenario: FiniteScenario) -> Any:
    """Return the kernels of the population; ``None`` where the game's types are no persona's."""
    if args.users is None and (scenario.own_types or not scenario.has_types):
        return None
    return load("gtalign_env.agents.users:population_kernels")(args.users, scenario, args.pricing)


def _show(args: argparse.Namespace, found: PopulationEquilibrium, seconds: float) -> None:
    from rich.text import Text

    from gtalign_env.cli.screen import Trimmed, output_width
    from gtalign_env.replay.speech import wrapped
    from gtalign_env.replay.style import make_console, pick_scheme

    width = output_width()
    stream: Any = Trimmed(sys.stdout)
    console = make_console(stream, width=width, scheme=pick_scheme("auto"))
    title = f"{scenario_id(args.scenario)} · equilibrium of a population and an assistant"
    lines: list[Text] = [*wrapped(Text(title, style="strong"), width), Text("")]
    lines += fact_lines(equilibrium_facts(found), width)
    about = f"{found.assistant.graph.size:,} situations, {found.rounds} rounds, {seconds:.1f} s"
    for line in [*lines, Text(""), *wrapped(Text(about, style="muted"), width)]:
        console.print(line)


def equilibrium_facts(found: PopulationEquilibrium) -> Iterator[Fact]:
    """Yield what people should know of an equilibrium.

    Example:
        >>> from gtalign_env.optimal.equilibrium import equilibrium
        >>> from gtalign_env.registration import make_scenario
        >>> facts = list(equilibrium_facts(equilibrium(make_scenario("gtalign/PrisonersDilemma-v0", rounds=1))))
        >>> facts[1]
        ('payoffs', 'U 1, L 1')
    """
    yield "assistant", f"maximises {found.objective}: {found.value:.4f}".replace("-", "−")
    yield "payoffs", pair(found.user, found.reply)
    kinds = zip(found.types, found.shares, found.by_type, found.user_gains, strict=True)
    for label, (theta, share, both, gain) in zip(["types"] + [""] * len(found.types), kinds, strict=False):
        yield label, f"{theta.name} {share:.0%}: {pair(*both)}; would gain {_gain(gain)}"
    most = "" if found.exact else "at most "
    yield "assistant's gain", f"{most}{_gain(found.assistant_gain)}"
    verdict = "an equilibrium" if found.converged else "an equilibrium only to so much"
    yield "residual", f"{_gain(found.residual)}: {verdict} (asked for: {found.tolerance:g})"
    if not found.converged and _forgets(found):
        yield "", _MORE
    yield "strategies", f"{'pure' if found.pure else 'mixed'}; {_RECALLED[found.recall]}"
    yield from _openings(found)


_MORE = "the assistant may gain by remembering more than this: --recall two"


def _forgets(found: PopulationEquilibrium) -> bool:
    """Return whether it is the assistant who would gain most, and who remembers little."""
    return found.assistant_gain == found.residual and found.recall in ("last", "none")


_RECALLED = {
    "all": "they may depend on all that was seen",
    "two": "they depend on the last exchange and on the user's move in the one before",
    "last": "they depend on the last exchange",
    "none": "they depend on the public state alone",
}


def _gain(gain: float) -> str:
    return "nothing" if gain < 1e-9 else f"{gain:.2g}"


def _openings(found: PopulationEquilibrium) -> Iterator[Fact]:
    """Yield what everybody does first."""
    graph, tables = found.assistant.graph, found.scenario.tables
    label = "openings"
    for state, situation in enumerate(graph.first):
        if situation < 0:
            continue
        where = ", ".join(
            value for name, value in tables.coordinates(state).items() if name not in ("question", "exchange", "round")
        )
        reply = _likely(tables.assistant_moves, found.assistant.moves[situation])
        said = "; ".join(
            f"{theta.name} {_likely(tables.user_moves, found.users[k, situation])}"
            for k, theta in enumerate(found.types)
        )
        yield label, f"{where}: {reply} — {said}" if where else f"{reply} — {said}"
        label = ""


def _likely(names: tuple[str, ...], chances: Any) -> str:
    """Return a strategy in words, without what hardly ever happens."""
    return mixture(names, [round(float(chance), 2) if chance > _SEEN else 0.0 for chance in chances])
