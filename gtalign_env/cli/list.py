"""``gtalign list``: what there is to play, and who plays it."""

from __future__ import annotations

import argparse
import importlib
import inspect
from typing import Any

from gtalign_env.cli.common import add_json, make_console, new_parser, print_json
from gtalign_env.registration import ASSISTANTS, BACKENDS, PERSONAS, SCENARIOS, Registry, load

__all__ = ["SECTIONS", "add_parser", "rows", "run"]

SECTIONS: tuple[str, ...] = ("scenarios", "personas", "assistants", "backends")


def add_parser(subparsers: Any) -> None:
    """Add the verb to the program."""
    parser = new_parser(
        subparsers,
        "list",
        summary="list scenarios, personas, assistants and backends",
        description="List what is registered: games to play, people and assistants to play them with, engines for models.",
        examples=["gtalign list", "gtalign list personas", "gtalign list --json", "gtalign list --json assistants"],
    )
    parser.add_argument("section", nargs="?", choices=SECTIONS, help="only this section (with --json: scenarios)")
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """List one section, or all of them."""
    if args.json:
        print_json(rows(args.section or "scenarios"))
        return 0
    for section in SECTIONS if args.section is None else (args.section,):
        _show(section, rows(section))
    return 0


def rows(section: str) -> list[dict[str, Any]]:
    """Return what is registered, one dict each.

    Scenarios have ``id``, ``api`` (``"parallel"`` or ``"gymnasium"``), ``kind``, ``views`` and ``description``; the others
    ``id`` and ``description``.

    Example:
        >>> rows("scenarios")[0]["id"], rows("scenarios")[0]["api"]
        ('gtalign/Assist-v0', 'parallel')
    """
    if section == "scenarios":
        return _scenarios() + _single_agent_views()
    return [
        {"id": name, "description": registry.description(name)}
        for registry in (_registry(section),)
        for name in registry
    ]


def _registry(section: str) -> Registry:
    importlib.import_module("gtalign_env.agents")  # players register themselves where they live
    return {"personas": PERSONAS, "assistants": ASSISTANTS, "backends": BACKENDS}[section]


def _scenarios() -> list[dict[str, Any]]:
    return [
        {"id": spec.id, "api": "parallel", "kind": spec.kind, "views": [spec.view], "description": spec.description}
        for spec in SCENARIOS.values()
    ]


def _single_agent_views() -> list[dict[str, Any]]:
    import gymnasium

    views = sorted({spec.view for spec in SCENARIOS.values()})
    return [
        {
            "id": id,
            "api": "gymnasium",
            "kind": "single-agent",
            "views": views,
            "description": _first_sentence(spec.entry_point),
        }
        for id, spec in gymnasium.registry.items()
        if spec.namespace == "gtalign"
    ]


def _first_sentence(entry_point: Any) -> str:
    return (inspect.getdoc(load(entry_point)) or "").partition("\n")[0].strip()


def _show(section: str, found: list[dict[str, Any]]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(
        title=section, title_justify="left", title_style="bold", box=None, pad_edge=False, padding=(0, 2, 0, 0)
    )
    extra = ("api", "kind", "views") if section == "scenarios" else ()
    for name in ("id", *extra, "description"):
        table.add_column(name, no_wrap=name in ("id", "api"), overflow="fold", style="cyan" if name == "id" else "")
    for row in found:
        cells = [", ".join(row[name]) if name == "views" else str(row[name]) for name in ("id", *extra, "description")]
        table.add_row(*map(Text, cells))
    console = make_console()
    console.print(table if found else Text(f"{section}: none are registered"))
    console.print()
