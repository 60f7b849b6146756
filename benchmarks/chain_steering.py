"""Who can be steered by a price: the solver, or the model that solves its own matrix. On recorded chains, of one real model.

    python benchmarks/chain_validity.py --assistant vllm:PATH --option dtype=bfloat16 --mode solver --form held --records runs/
    python benchmarks/chain_steering.py runs/solver-held.jsonl --assistant vllm:PATH --option dtype=bfloat16

The same stated matrices, steered to a price per token from 0 to high. Rows: what each criterion chooses; and what the model
chooses when it goes on from the steered payoffs with its own analysis. A small model names no cell in most of these; so it is
also *pressed*: behind its analysis it has to write one of the keys. ``switched`` is the share of matrices in which the choice is
another than at the price that the model was told. Exit code 1 when a solver's tokens do not go where theory says.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from gtalign_env.agents.backends import make_backend
from gtalign_env.agents.chain.resuming import ByModel
from gtalign_env.agents.chain.sweep import sweep
from gtalign_env.agents.chain.sweep_result import Sweep
from gtalign_env.cli.common import read_options
from gtalign_env.cli.steer import read_rates
from gtalign_env.episode import iter_episodes
from gtalign_env.gauges import chain_turns
from gtalign_env.play import versions
from gtalign_env.protocols import Sampling

CRITERIA = ("stackelberg:assistant", "welfare:linear:weight=0.8")
"""A leader, whose tokens can never fall as they are paid better; a planner who minds the user, whose tokens can never rise."""


def sweeps(args: argparse.Namespace) -> Iterator[Sweep]:
    """Yield the sweep of each criterion; and, where there is a model, its own free and pressed choices."""
    episodes = sorted(iter_episodes(args.file), key=lambda episode: episode.seed)
    sessions = [list(chain_turns(episode)) for episode in episodes][: args.sessions]
    rates = read_rates(args.rate)
    for criterion in args.criterion or CRITERIA:
        yield sweep(sessions, rates, criterion=criterion)
    if args.assistant:
        backend = make_backend(args.assistant, **read_options(args.option, flag="--option"))
        for press in (False, True):
            model = ByModel(backend, sampling=Sampling(max_tokens=args.analyze), press=press)
            yield sweep(sessions, rates, decide=model, chosen_by="self, pressed" if press else "self, free")


def table(made: Sequence[Sweep]) -> Table:
    """Return the table that is printed."""
    shown = Table(box=None, pad_edge=False)
    shown.add_column("chosen by")
    for head in ("rate", "n", "switched", "tokens", "U", "L"):
        shown.add_column(head, justify="right")
    shown.add_column("moves")
    for one in made:
        for point in one.points:
            cells = [
                "—" if value is None else form.format(value)
                for value, form in (
                    (point.switched, "{:.0%}"),
                    (point.tokens, "{:.1f}"),
                    (point.user, "{:.2f}"),
                    (point.assistant, "{:.2f}"),
                )
            ]
            moves = ", ".join(f"{move} {share:.0%}" for move, share in point.shares.items())
            shown.add_row(one.chosen_by, f"{point.rate:g}", f"{point.n}/{one.turns}", *cells, moves or "—")
    return shown


def main(argv: Sequence[str] | None = None) -> int:
    """Sweep, print, and say whether theory holds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", metavar="FILE", help="episodes with stated matrices")
    parser.add_argument("--assistant", metavar="SPEC", help="the model that stated them, e.g. vllm:PATH")
    parser.add_argument(
        "--option", action="append", default=[], metavar="K=V", help="of the engine, e.g. dtype=bfloat16"
    )
    parser.add_argument("--criterion", action="append", metavar="C", help=f"what solves ({', '.join(CRITERIA)})")
    parser.add_argument("--rate", default="0,0.005,0.01,0.02,0.05", metavar="A:B:N", help="credits a token, or a list")
    parser.add_argument("--sessions", type=int, metavar="N", help="only the first N by seed")
    parser.add_argument("--analyze", type=int, default=160, metavar="N", help="most tokens of an analysis (160)")
    parser.add_argument("--json", metavar="FILE", help="write the figures there")
    args = parser.parse_args(argv)
    made = list(sweeps(args))
    console = Console(width=max(Console().width, 110))
    console.print(table(made))
    for one in made[:1]:
        console.print("expected tokens: " + ", ".join(f"{m} {tokens:.0f}" for m, tokens in one.tokens_by_move.items()))
    if args.json:
        report = {"args": vars(args), "sweeps": [one.as_dict() for one in made], "versions": versions()}
        Path(args.json).write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return int(any(one.as_claimed is False for one in made))


if __name__ == "__main__":
    raise SystemExit(main())
