"""``gtalign rescore``: both payoffs of saved play, under another payoff model or pricing."""

from __future__ import annotations

import argparse
import collections
import dataclasses
import json
import sys
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from gtalign_env.cli.common import add_json, make_console, new_parser, welfare
from gtalign_env.cli.replay import counted
from gtalign_env.cli.settings import command_line
from gtalign_env.cli.solve import read_pricings
from gtalign_env.cli.tally import number
from gtalign_env.errors import FileFormatError, UsageError
from gtalign_env.payoffs import PAPER
from gtalign_env.play import versions
from gtalign_env.pricing import make_pricing
from gtalign_env.replay.style import is_unicode
from gtalign_env.rescore import Rescored, payoff_model, rescore_episode, rescore_published
from gtalign_env.superseded import iter_standing

__all__ = ["add_parser", "run"]

_SAME = 1e-9
"""Payoffs that differ by no more are equal."""
_NOT_SCORED = (
    "bad_row",
    "episode_failed",
    "no_model_output",
    "no_outcomes",
    "no_prices",
    "record_differs",
    "unknown_recorded",
)
"""Failures of the record, which the exit code tells; what a model wrote unreadably is a result."""


def add_parser(subparsers: Any) -> None:
    """Add the verb to the program."""
    parser = new_parser(
        subparsers,
        "rescore",
        summary="score saved play under another payoff model or pricing",
        description="Compute both payoffs of recorded episodes again, under another payoff model or pricing; nothing is played "
        "again.\nOr, with --format gtalign, score the reference system's published outputs (JSON lines with output,\n"
        "answer_reward and source) under its own reward. Exit code 1 when something could not be scored.",
        examples=[
            "gtalign rescore runs/first.jsonl --pricing per_token",
            "gtalign rescore runs/first.jsonl --payoff grounded:wrong=0.5 --json",
            "gtalign rescore runs/llm.jsonl --payoff paper",
            "gtalign rescore outputs.jsonl --format gtalign --payoff paper --json",
        ],
    )
    parser.add_argument("file", metavar="FILE", help="episodes of 'gtalign run --out FILE', or published outputs")
    parser.add_argument(
        "--payoff", metavar="M", help="the payoff model, e.g. grounded:wrong=0.5 or paper (the recorded one)"
    )
    parser.add_argument("--pricing", metavar="P", help="what the user pays (the recorded policy)")
    parser.add_argument(
        "--format", choices=("episodes", "gtalign"), default="episodes", help="what FILE holds (episodes)"
    )
    parser.add_argument(
        "--out", metavar="FILE", help="write the same rows to this .jsonl file, below a line that says how"
    )
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Score, and print rows or a summary."""
    if args.format == "gtalign" and (args.payoff not in (None, PAPER) or args.pricing is not None):
        raise UsageError(
            "--format gtalign: published outputs hold no outcomes, so only --payoff paper fits, and no --pricing"
        )
    if args.payoff not in (None, PAPER):
        payoff_model(args.payoff)
    if args.pricing is not None:
        _check_pricing(args.pricing)
    scored = _written(_scored(args), args)
    if args.json:
        failed = False
        for result in scored:
            print(json.dumps(result.as_dict(), ensure_ascii=not is_unicode(sys.stdout)))
            failed |= result.failure in _NOT_SCORED
        return int(failed)
    return _report(list(scored), args)


def _check_pricing(text: str) -> None:
    pricings = read_pricings(text)
    if len(pricings) > 1:
        raise UsageError(
            f"--pricing: expected one policy, got {len(pricings)} ({', '.join(pricings)}); score the file once under each"
        )
    make_pricing(text)


def _scored(args: argparse.Namespace) -> Iterator[Rescored]:
    if args.format == "gtalign":
        yield from rescore_published(args.file)
        return
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        try:
            for episode in iter_standing(args.file):
                yield rescore_episode(episode, payoff=args.payoff, pricing=args.pricing)
        except FileFormatError:
            if _is_published(Path(args.file)):
                raise UsageError(
                    f"{args.file}: expected episodes, got published outputs (output, answer_reward): add --format gtalign"
                ) from None
            raise
    for warning in caught:
        print(f"gtalign: {warning.message}", file=sys.stderr)


def _is_published(path: Path) -> bool:
    """Return whether a file's first line is a row of published outputs."""
    try:
        with path.open(encoding="utf-8") as file:
            row = json.loads(file.readline())
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(row, dict) and {"output", "answer_reward"} <= row.keys()


def _written(scored: Iterable[Rescored], args: argparse.Namespace) -> Iterator[Rescored]:
    """Pass results on, writing them to ``--out`` as they come."""
    if args.out is None:
        yield from scored
        return
    path = Path(args.out)
    if path.suffix != ".jsonl":
        raise UsageError(f"--out: expected a name that ends in .jsonl, got {args.out!r}")
    if not path.parent.is_dir():
        raise UsageError(f"--out: there is no folder {path.parent}: make it first, or choose another place")
    if path.exists():
        raise UsageError(f"--out: {args.out} exists already; choose another name")
    head = {
        "schema": "gtalign-rescore/1",
        "file": str(args.file),
        "format": args.format,
        "payoff": args.payoff,
        "pricing": args.pricing,
        "command": command_line(args.argv),
        "versions": versions(),
    }
    scored = iter(scored)
    first = next(scored, None)  # a file that cannot be read leaves none behind
    with path.open("x", encoding="utf-8") as file:
        for line in (head, *(() if first is None else (first,))):
            file.write(json.dumps(line if isinstance(line, dict) else line.as_dict(), ensure_ascii=False) + "\n")
        if first is not None:
            yield first
        for result in scored:
            file.write(json.dumps(result.as_dict(), ensure_ascii=False) + "\n")
            yield result


# -- the summary --------------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Means:
    rows: int
    user: float
    assistant: float


def _means(pairs: list[tuple[float, float]]) -> _Means:
    return _Means(
        rows=len(pairs),
        user=sum(user for user, _ in pairs) / max(len(pairs), 1),
        assistant=sum(assistant for _, assistant in pairs) / max(len(pairs), 1),
    )


def _report(results: list[Rescored], args: argparse.Namespace) -> int:
    from rich.table import Table
    from rich.text import Text

    if not results:
        raise FileFormatError(args.file, "there is nothing to score: expected at least one episode or row")
    good = [r for r in results if not r.failure]
    failures = collections.Counter(result.failure for result in results if result.failure)
    console = make_console()
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), title_justify="left")
    for name in ("", "rows", "mean U", "mean L", "√(mean U · mean L)"):
        table.add_column(name, justify="left" if not name else "right")
    recorded = _means([result.recorded for result in good if result.recorded is not None])
    rescored = _means([(result.user or 0.0, result.assistant or 0.0) for result in good])
    for label, means in (("recorded", recorded), ("rescored", rescored)):
        both = welfare(means.user, means.assistant)
        cells = [number(value, digits=3) for value in (means.user, means.assistant, both)]
        table.add_row(label, str(means.rows), *(cells if means.rows else ("—",) * 3))
    console.print(table)
    written = [f"{counted(len(results), 'row')} written to {args.out}"] if args.out else []
    differing = _differing(results) if args.format == "gtalign" else ()
    for line in (*_failure_lines(results, failures), *differing, *written):
        console.print(Text(line))
    return int(any(kind in _NOT_SCORED for kind in failures))


def _failure_lines(results: list[Rescored], failures: collections.Counter[str]) -> Iterator[str]:
    for kind, count in failures.most_common():
        first = next(result for result in results if result.failure == kind)
        example = " ".join(first.message.split())
        yield f"not counted: {count} of {len(results)}, {kind}: {example}"


def _differing(results: list[Rescored]) -> Iterator[str]:
    """Say which rows do not come out as published, one by one."""
    compared = [(place, r) for place, r in enumerate(results, start=1) if r.recorded is not None and r.user is not None]
    differing = [(place, r) for place, r in compared if _apart(r) > _SAME]
    yield f"as published: {len(compared) - len(differing)} of {len(compared)} rows, to {_SAME:g}"
    for place, result in differing[:20]:
        user, assistant = result.recorded or (0.0, 0.0)
        why = (
            "the published scoring of this row failed, which it counts as 0"
            if user == assistant == 0.0
            else "unexplained"
        )
        published, here = (
            ", ".join(number(value, digits=4) for value in pair)
            for pair in ((user, assistant), (result.user, result.assistant))
        )
        yield f"row {place}: published {published}; here {here}: {why}"
    if len(differing) > 20:
        yield f"… and {len(differing) - 20} more"


def _apart(result: Rescored) -> float:
    user, assistant = result.recorded or (0.0, 0.0)
    return max(abs((result.user or 0.0) - user), abs((result.assistant or 0.0) - assistant))
