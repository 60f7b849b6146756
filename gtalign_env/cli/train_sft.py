"""``gtalign train sft``: a warm start from the best of a model's own games, or from recorded ones."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
from pathlib import Path
from typing import Any

from gtalign_env.cli.common import (
    Progress,
    add_json,
    add_seed,
    at_least,
    make_console,
    new_parser,
    print_json,
    read_options,
)
from gtalign_env.errors import UsageError, require

__all__ = ["add_kind", "run"]

_TAKEN = (
    "model",
    "best_of",
    "groups",
    "objective",
    "keep",
    "scenario",
    "tasks",
    "users",
    "chain",
    "criterion",
    "moves",
)
_TAKEN_TOO = ("epochs", "batch", "lora_rank")


def add_kind(kinds: Any) -> None:
    """Add what is trained to the verb."""
    parser = new_parser(
        kinds,
        "sft",
        summary="a warm start of a language model: its best games, shown to it again",
        description="Show a language model what it wrote in its best games: of every group of games that differ in nothing\n"
        "but its draws the one of the highest welfare, or of recorded episodes the best of those with equal seeds. Learned is\n"
        "what the model sampled, and nothing else. FOLDER becomes a Hugging Face folder, which transformers:FOLDER plays, with\n"
        "run.json, chosen.jsonl, metrics.jsonl and checkpoints/ beside it; --resume goes on as if nothing had happened.\n"
        "Under torchrun all processes play and learn together: torchrun --nproc-per-node 8 -m gtalign_env train sft ...",
        examples=[
            "gtalign train sft --model nano --best-of 8 --groups 64 --out runs/warm",
            "gtalign train sft --model PATH --files runs/recorded.jsonl --lora-rank 16 --out runs/warm",
            "gtalign train sft --model PATH --best-of 4 --tasks authored --objective ces:rho=-1 --epochs 2 --out runs/warm",
            "gtalign train sft --resume runs/warm",
            "gtalign run gtalign/AssistText-v0 --assistant transformers:runs/warm --chain solver --episodes 100",
        ],
    )
    parser.add_argument("--model", metavar="M", help="nano, or a folder with a Hugging Face model (nano)")
    source = parser.add_argument_group("what is learned from")
    source.add_argument(
        "--files",
        nargs="+",
        metavar="FILE",
        help="recorded episodes with tokens (gtalign run --out); the best of equal seeds",
    )
    source.add_argument(
        "--best-of", type=at_least(1), metavar="N", help="play groups of N games, and keep the best of each"
    )
    source.add_argument("--groups", type=at_least(1), metavar="N", help="groups (64)")
    source.add_argument("--objective", metavar="O", help="the welfare that games are compared by (cobb_douglas)")
    source.add_argument("--keep", type=float, metavar="SHARE", help="share of groups kept, the largest gains first (1)")
    source.add_argument("--scenario", metavar="ID", help="a game in words (gtalign/AssistText-v0)")
    source.add_argument("--tasks", metavar="SPEC", help="where the questions come from (small:train)")
    source.add_argument("--users", metavar="P[,P...]", help="the population (default)")
    source.add_argument("--pricing", metavar="P[,P...]", help="what the user pays; of several, each group draws one")
    source.add_argument(
        "--chain", choices=("solver", "self", "none"), help="how the model reasons (its own way, or solver)"
    )
    source.add_argument("--criterion", metavar="C", help="what picks the cell of a stated matrix")
    source.add_argument("--moves", metavar="M", help="moves of the stated matrix")
    source.add_argument(
        "--option", action="append", default=[], metavar="KEY=VALUE", help="any other option of the scenario"
    )
    learning = parser.add_argument_group("learning")
    learning.add_argument("--epochs", type=at_least(1), metavar="N", help="how often each turn is shown (1)")
    learning.add_argument("--batch", type=at_least(1), metavar="N", help="turns in a step of the optimiser (32)")
    learning.add_argument("--lr", type=float, metavar="X", help="learning rate (1e-4)")
    learning.add_argument(
        "--lora-rank", type=at_least(1), metavar="R", help="train adapters of this rank; all weights without"
    )
    learning.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="any other setting, e.g. weight_decay=0.01"
    )
    add_seed(parser)
    parser.set_defaults(seed=None)  # so that one that was given can be told
    record = parser.add_argument_group("the record")
    record.add_argument(
        "--out", metavar="FOLDER", help="write model and record to this folder, which must be new or empty"
    )
    record.add_argument(
        "--resume", metavar="FOLDER", help="go on with the warm start in this folder, by its own settings"
    )
    record.add_argument(
        "--log", action="append", default=[], metavar="T", help="also to tensorboard, wandb or trackio (repeatable)"
    )
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Choose games, and learn from them."""
    require("torch", feature="training", extra="llm")
    require("transformers", feature="training a language model", extra="llm")
    from gtalign_env.training.llm import distributed
    from gtalign_env.training.llm.sft_run import SFTRun, read_sft_config
    from gtalign_env.training.strategic.log import make_tracker

    if args.resume is not None:
        _refuse(args)
        folder = Path(args.resume)
        config = read_sft_config(folder)
    elif args.out is None:
        raise UsageError("--out: expected a folder for the model, or --resume FOLDER")
    else:
        folder, config = Path(args.out), _config(args)
    try:
        main = distributed.is_main()
        if args.resume is None and main and folder.is_dir() and any(folder.iterdir()):
            raise UsageError(f"--out: {folder} holds files already: go on with --resume {folder}, or take a new folder")
        trackers = [make_tracker(name, folder, config.as_dict()) for name in args.log] if main else []
        options: dict[str, Any] = {"command": ["gtalign", *args.argv], "trackers": trackers}
        made = SFTRun(config, folder, **options) if args.resume is None else SFTRun.resume(folder, **options)
        return _train(args, made, main)
    finally:
        with contextlib.suppress(Exception):
            distributed.leave()


def _train(args: argparse.Namespace, made: Any, main: bool) -> int:
    from gtalign_env.agents.nano.settings import is_nano
    from gtalign_env.cli.train_run import say

    choice = made.choice if made.turns else made.choose(say if main else lambda line: None)
    if not main:
        made.train()
        return 0
    say(_chosen(choice.figures, len(made.turns)))
    with Progress("steps", made.steps) as progress:
        for _ in range(made.step):
            progress.advance()
        found = made.train(lambda figures: progress.advance(f"loss {figures['loss']:.4f}"))
    folder = made.folder
    if args.json:
        print_json({**found, "config": made.config.as_dict(), "folder": str(folder)})
        return 0
    console = make_console()
    loss = f", loss {found['loss']:.4f} per sampled token" if "loss" in found else ""
    console.print(f"{found['steps']} steps on {found['turns']} turns{loss}", soft_wrap=True)
    chain = f" --chain {made.config.chain or 'solver'}"
    who = f"nano:{folder}" if is_nano(made.config.model) else f"transformers:{folder}{chain}"
    console.print(
        f"written to {folder}; watch it play: gtalign run {made.config.scenario} --assistant {who}", soft_wrap=True
    )
    return 0


def _chosen(figures: dict[str, float], turns: int) -> str:
    words = (
        f"kept the best of {figures['groups']:.0f} groups: welfare {figures['kept']:.3f}, of all games {figures['welfare']:.3f}; "
        f"{figures['spread']:.0%} of the groups had better and worse games; {turns} turns to learn from"
    )
    for name, label in (("dropped", "groups dropped"), ("violations", "games left out that complied with harm")):
        words += f"; {figures[name]:.0f} {label}" if figures[name] else ""
    return words


def _config(args: argparse.Namespace) -> Any:
    from gtalign_env.cli.solve import read_pricings
    from gtalign_env.training.llm.sft import SFTConfig

    known = {field.name for field in dataclasses.fields(SFTConfig)}
    given: dict[str, Any] = {name: getattr(args, name) for name in (*_TAKEN, *_TAKEN_TOO, "seed")}
    settings = {name: value for name, value in given.items() if value is not None}
    if args.files:
        settings["files"] = tuple(args.files)
    if args.lr is not None:
        settings["learning_rate"] = args.lr
    if args.pricing is not None:
        settings["pricings"] = tuple(read_pricings(args.pricing))
    for name, value in read_options(args.set, flag="--set").items():
        if name not in known:
            raise UsageError(f"--set: there is no setting {name!r}; known: {', '.join(sorted(known))}")
        settings[name] = value
    if not args.files and args.best_of is None:
        raise UsageError("sft: expected --best-of N to play, or --files FILE ... to read recorded episodes")
    return SFTConfig(**settings, options=read_options(args.option))


def _refuse(args: argparse.Namespace) -> None:
    """Refuse settings beside ``--resume``.

    Raises:
        UsageError: There are some.
    """
    for name in (*_TAKEN, *_TAKEN_TOO, "files", "pricing", "lr", "seed", "out", "option", "set"):
        if getattr(args, name) not in (None, []):
            raise UsageError(
                f"--{name.replace('_', '-')}: a run goes on by its own settings: leave it out with --resume"
            )
