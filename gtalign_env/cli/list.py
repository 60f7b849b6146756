"""``gtalign list``: what there is to play, who plays it, and what may be chosen besides."""

from __future__ import annotations

import argparse
import importlib
import inspect
from collections.abc import Sequence
from typing import Any

from gtalign_env.cli.choices import option_rows, payoff_rows, pricing_rows, task_rows
from gtalign_env.cli.common import add_json, make_console, new_parser, print_json
from gtalign_env.errors import UsageError
from gtalign_env.registration import ASSISTANTS, BACKENDS, PERSONAS, PLAYERS, SCENARIOS, Registry, load

__all__ = ["MORE", "SECTIONS", "add_parser", "rows", "run"]

SECTIONS: tuple[str, ...] = ("scenarios", "personas", "assistants", "players", "backends")
"""What ``gtalign list`` shows."""
MORE: tuple[str, ...] = ("tasks", "pricing", "payoffs", "options")
"""What it shows on demand."""
_STACKED = 80
"""Columns below which descriptions go under their names."""


def add_parser(subparsers: Any) -> None:
    """Add the verb to the program."""
    parser = new_parser(
        subparsers,
        "list",
        summary="list scenarios, personas, assistants, players and backends",
        description="List what is registered: games to play, people and assistants to play them with, players for either chair\n"
        "that need no model, engines for models.\n"
        "On demand also what may be chosen: sources of tasks, pricing policies, payoff models, a scenario's options.",
        examples=[
            "gtalign list",
            "gtalign list personas",
            "gtalign list players                        for --users and --assistant, and for gtalign tournament",
            "gtalign list pricing                        for --pricing",
            "gtalign list options gtalign/Assist-v0      for --option KEY=VALUE",
            "gtalign list --json",
            "gtalign list --json assistants",
        ],
    )
    parser.add_argument(
        "section", nargs="?", choices=(*SECTIONS, *MORE), help="only this section (with --json: scenarios)"
    )
    parser.add_argument("id", nargs="?", metavar="ID", help="with 'options': the scenario")
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """List one section, or all of them."""
    if (args.section == "options") != (args.id is not None):
        what = "gtalign list options ID, with an id of 'gtalign list'"
        raise UsageError(f"list: expected {what}" if args.id is None else f"list: only options have an ID: {what}")
    if args.json:
        print_json(rows(args.section or "scenarios", args.id))
        return 0
    for section in SECTIONS if args.section is None else (args.section,):
        _show(section, rows(section, args.id))
    if args.section is None:
        from rich.text import Text

        make_console().print(Text(f"more: gtalign list {' | '.join(MORE)} ID", style="dim"))
    return 0


def rows(section: str, id: str | None = None) -> list[dict[str, Any]]:
    """Return what is registered, one dict each.

    Scenarios have ``id``, ``api`` (``"parallel"`` or ``"gymnasium"``), ``kind``, ``views`` and ``description``; the others
    ``id`` and ``description``. Besides, sources of tasks have ``tasks`` (how many, where that is known), pricing policies and
    payoff models ``settings``, and options ``default``.

    Args:
        section: One of ``SECTIONS`` and ``MORE``.
        id: The scenario whose options are wanted.

    Example:
        >>> rows("scenarios")[0]["id"], rows("scenarios")[0]["api"]
        ('gtalign/Assist-v0', 'parallel')
    """
    if section == "scenarios":
        return _scenarios() + _single_agent_views()
    if section == "options":
        return option_rows(id or "")
    if section in MORE:
        return {"tasks": task_rows, "pricing": pricing_rows, "payoffs": payoff_rows}[section]()
    return [
        {"id": name, "description": registry.description(name)}
        for registry in (_registry(section),)
        for name in registry
    ]


def _registry(section: str) -> Registry:
    importlib.import_module("gtalign_env.agents")  # players register themselves where they live
    return {"personas": PERSONAS, "assistants": ASSISTANTS, "players": PLAYERS, "backends": BACKENDS}[section]


def _scenarios() -> list[dict[str, Any]]:
    return [
        {"id": spec.id, "api": "parallel", "kind": spec.kind, "views": [spec.view], "description": spec.description}
        for spec in SCENARIOS.values()
    ]


def _single_agent_views() -> list[dict[str, Any]]:
    import gymnasium

    from gtalign_env._ids import SINGLE_AGENT

    views = sorted({spec.view for spec in SCENARIOS.values()})
    return [
        {
            "id": id,
            "api": "gymnasium",
            "kind": "single-agent",
            "views": views,
            "description": SINGLE_AGENT[id][1] if id in SINGLE_AGENT else _first_sentence(spec.entry_point),
        }
        for id, spec in gymnasium.registry.items()
        if spec.namespace == "gtalign"
    ]


def _first_sentence(entry_point: Any) -> str:
    return (inspect.getdoc(load(entry_point)) or "").partition("\n")[0].strip()


# -- showing --------------------------------------------------------------------------------------------------------------


def _show(section: str, found: list[dict[str, Any]]) -> None:
    from rich.text import Text

    console = make_console()
    if not found:
        console.print(Text(f"{section}: none are registered" if section in SECTIONS else f"{section}: there are none"))
    else:
        columns = [name for name in found[0] if name not in ("id", "description")]
        show = _stack if console.width < _STACKED else _tabulate
        show(console, section, columns, found)
    console.print()


def _tabulate(console: Any, section: str, columns: Sequence[str], found: list[dict[str, Any]]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(
        title=section, title_justify="left", title_style="bold", box=None, pad_edge=False, padding=(0, 2, 0, 0)
    )
    for name in ("id", *columns, "description"):
        whole = name in ("id", "api")
        table.add_column(name, no_wrap=whole, overflow="fold", style="cyan" if name == "id" else "")
    for row in found:
        table.add_row(*(Text(_in_words(row[name])) for name in ("id", *columns, "description")))
    console.print(table)


def _stack(console: Any, section: str, columns: Sequence[str], found: list[dict[str, Any]]) -> None:
    """Show each row as a name with its description below it: a narrow terminal has no room for columns."""
    from rich.padding import Padding
    from rich.text import Text

    console.print(Text(section, style="bold"))
    for row in found:
        console.print(Text(row["id"], style="cyan"))
        facts = [_in_words(row[name]) for name in columns]
        labelled = [f"{name} {fact}" if section in MORE else fact for name, fact in zip(columns, facts, strict=True)]
        for line, style in ((" · ".join(filter(None, labelled)), "dim"), (str(row["description"]), "")):
            if line:
                console.print(Padding(Text(line, style=style), (0, 0, 0, 2)))


def _in_words(value: Any) -> str:
    """Return a cell as it would be typed."""
    import json

    if value is None:
        return "—"
    if isinstance(value, dict):
        return ", ".join(f"{name}={amount}" for name, amount in value.items())
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return ", ".join(value)
    return json.dumps(value)
