"""``gtalign bench``: the measurements behind what this project claims about speed, memory and imports.

A benchmark is a module in ``benchmarks/`` with ``NAME``, ``DESCRIPTION`` (or ``description(quick)``) and
``measure(*, quick, say)``, which returns rows: ``name``, ``value`` and ``unit``, and where something is required ``required``
(in words) and ``ok``. A row without a value has a ``note`` that says why.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import importlib.util
import os
import platform
import re
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

from gtalign_env.cli.common import add_json, make_console, new_parser, print_json
from gtalign_env.cli.settings import command_line
from gtalign_env.errors import UnknownNameError, UsageError
from gtalign_env.play import versions

__all__ = ["BENCHMARKS", "add_parser", "discover", "machine", "run"]

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
"""Where the benchmarks of a checkout are."""


def add_parser(subparsers: Any) -> None:
    """Add the verb to the program."""
    parser = new_parser(
        subparsers,
        "bench",
        summary="measure speed, memory and import time",
        description="Run the benchmarks of a checkout. Exit code 1 when something required does not hold.",
        examples=[
            "gtalign bench",
            "gtalign bench --only engine",
            "gtalign bench --quick --json",
            "gtalign bench --out runs/bench.json",
        ],
    )
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="only this one (may be repeated)")
    parser.add_argument(
        "--quick", action="store_true", help="few repeats: shows that everything runs; figures are rough"
    )
    parser.add_argument("--out", metavar="FILE", help="also write the results to this file, as JSON")
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Measure, show, and say whether all that is required holds."""
    found = discover()
    for name in args.only:
        if name not in found:
            raise UnknownNameError("benchmark", name, found)
    _check_out(args.out)
    chosen = {name: module for name, module in found.items() if not args.only or name in args.only}
    report: dict[str, Any] = {
        "command": command_line(args.argv),
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "quick": args.quick,
        "machine": machine(),
        "versions": versions(),
        "results": [],
    }
    for name, module in chosen.items():
        started = time.perf_counter()
        rows = module.measure(quick=args.quick, say=_say)
        seconds = time.perf_counter() - started
        about = module.description(quick=args.quick) if hasattr(module, "description") else module.DESCRIPTION
        report["results"].append({"name": name, "about": about, "seconds": seconds, "rows": rows})
    report["ok"] = all(row.get("ok", True) for result in report["results"] for row in result["rows"])
    if args.out:
        _write(Path(args.out), report)
    if args.json:
        print_json(report)
    else:
        _show(report)
    return 0 if report["ok"] else 1


def discover(folder: Path | None = None) -> dict[str, ModuleType]:
    """Return the benchmark modules of a folder by name.

    Args:
        folder: The folder; ``benchmarks/`` of the checkout when ``None``.

    Raises:
        UsageError: The folder does not exist, as in an installation from a wheel.

    Example:
        >>> "engine" in discover() if BENCHMARKS.is_dir() else True
        True
    """
    folder = BENCHMARKS if folder is None else folder
    if not folder.is_dir():
        raise UsageError(
            f"bench: there is no folder {folder}; benchmarks belong to a checkout of the repository and are not part of "
            "an installed wheel: clone it, and run 'gtalign bench' from there"
        )
    found = {}
    for path in sorted(folder.glob("*.py")):
        text = path.read_text(encoding="utf-8")
        if not all(re.search(line, text, re.MULTILINE) for line in (r"^NAME = ", r"^def measure\(")):
            continue
        spec = importlib.util.spec_from_file_location(f"gtalign_benchmark_{path.stem}", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        found[module.NAME] = module
    return found


def machine() -> dict[str, Any]:
    """Return what a figure depends on besides the code.

    Example:
        >>> machine()["cores"] >= 1
        True
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    return {"system": platform.platform(), "processor": _processor(), "cores": cores, "load_before": load}


def _processor() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _check_out(out: str | None) -> None:
    if out and (Path(out).is_dir() or not Path(out).resolve().parent.is_dir()):
        raise UsageError(f"--out {out}: expected a file in a folder that exists")


def _write(path: Path, report: dict[str, Any]) -> None:
    import json

    partial = path.with_name(path.name + ".part")
    partial.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    partial.replace(path)


def _say(line: str) -> None:
    with contextlib.suppress(OSError, ValueError):
        print(line, file=sys.stderr, flush=True)


def _show(report: dict[str, Any]) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    console = make_console()
    for result in report["results"]:
        table = Table(title=f"{result['name']}: {result['about']}", title_justify="left", box=box.SIMPLE_HEAD)
        for column, justify in (
            ("what", "left"),
            ("median", "right"),
            ("unit", "left"),
            ("required", "left"),
            ("", "left"),
        ):
            table.add_column(column, justify=justify)  # type: ignore[arg-type]
        for row in result["rows"]:
            table.add_row(
                *map(Text, (row["name"], _number(row["value"]), row["unit"], row.get("required", ""))), _verdict(row)
            )
        console.print(table)
    place = report["machine"]
    console.print(
        Text(f"{place['cores']} cores, {place['processor']}, Python {report['versions']['python']}"), style="dim"
    )


def _number(value: float | None) -> str:
    if value is None:
        return "—"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _verdict(row: dict[str, Any]) -> Any:
    from rich.text import Text

    if "ok" not in row:
        return Text(row.get("note", ""))
    note = f" ({row['note']})" if row.get("note") else ""
    return Text("ok" + note, style="green") if row["ok"] else Text("FAILED" + note, style="bold red")
