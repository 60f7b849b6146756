"""``gtalign train nano``: make the small model anew."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path
from typing import Any

from gtalign_env.cli.common import Progress, add_json, add_seed, at_least, make_console, new_parser, print_json
from gtalign_env.errors import require

__all__ = ["add_kind", "run"]


def add_kind(kinds: Any) -> None:
    """Add what is trained to the verb."""
    parser = new_parser(
        kinds,
        "nano",
        summary="the small language model that comes with the package, from nothing",
        description="Make a small language model from nothing: a teacher that knows the small tasks plays thousands of turns, "
        "a tokenizer\nis learned from them, and a Llama of about two million weights learns to write as the teacher did "
        "(docs/nano.md).\nThe folder then holds model/, metrics.jsonl and run.json.",
        examples=[
            "gtalign train nano --out runs/nano",
            "gtalign run gtalign/AssistText-v0 --tasks small --assistant nano:runs/nano/model --episodes 100",
            "gtalign train nano --small --out runs/look --json",
        ],
    )
    parser.add_argument("--out", metavar="FOLDER", required=True, help="where it goes: a new or an empty folder")
    parser.add_argument("--from", dest="start", metavar="FOLDER", help="go on from this model, with its tokenizer")
    parser.add_argument("--turns", type=at_least(1), metavar="N", help="turns that the teacher plays (20,000)")
    parser.add_argument("--steps", type=at_least(1), metavar="N", help="steps of fitting with whole turns (800)")
    parser.add_argument("--rate", type=float, metavar="R", help="highest learning rate (0.003)")
    parser.add_argument("--minutes", type=float, metavar="M", help="fit for so long at most (no limit)")
    parser.add_argument("--threads", type=at_least(1), metavar="N", help="threads of torch (its own choice)")
    parser.add_argument("--small", action="store_true", help="a look at the recipe in seconds: no model that can play")
    add_seed(parser)
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Train nano."""
    torch = require("torch", feature="training nano", extra="hf")
    from gtalign_env.training.nano.run import SMALL, NanoConfig, train_nano

    if args.threads:
        torch.set_num_threads(args.threads)
    config = SMALL if args.small else NanoConfig()
    sizes = {"steps": args.steps, "minutes": args.minutes, "rate": args.rate}
    if args.start is not None:
        sizes["drill"] = 0
    fitted = dataclasses.replace(config.fit, **{name: value for name, value in sizes.items() if value is not None})
    config = dataclasses.replace(config, fit=fitted, seed=args.seed, turns=args.turns or config.turns)
    with Progress("turns and steps", config.turns + config.fit.drill + config.fit.steps) as progress:
        found = train_nano(
            config,
            Path(args.out),
            start=None if args.start is None else Path(args.start),
            command=["gtalign", *args.argv],
            tell=lambda stage, done, of, words: progress.advance(f"{stage} {done:,}/{of:,} {words}"),
        )
    if args.json:
        print_json({**found, "config": config.as_dict()})
        return 0
    console = make_console()
    console.print(
        f"{found['parameters']:,} weights, {found['vocabulary']:,} tokens, {found['steps']:,} steps in "
        f"{found['seconds']:.0f} s, loss {found['loss']:.3f}"
    )
    console.print(
        f"written to {args.out}; watch it play: gtalign run gtalign/AssistText-v0 --tasks small "
        f"--assistant nano:{args.out}/model",
        soft_wrap=True,
    )
    return 0
