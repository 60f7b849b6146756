"""``gtalign train strategic``: let players learn, watch them do so, and go on after a crash."""

from __future__ import annotations

import argparse
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
from gtalign_env.cli.solve import read_pricings
from gtalign_env.errors import UsageError, require

__all__ = ["add_parser", "run"]

_CHOICES = {
    "learn": ("assistant", "user", "both"),
    "opponent": ("population", "self", "pool"),
    "aggregation": ("ser", "esr"),
    "safety": ("mask", "penalty"),
    "input": ("history", "fading", "recurrent", "none"),
}
_PLAIN = ("objective", "user_objective", "aggregation", "safety", "input", "users", "assistant", "learn", "opponent")


def add_parser(subparsers: Any) -> None:
    """Add the verb to the program."""
    verb = new_parser(
        subparsers,
        "train",
        summary="train players: PPO in the strategic view",
        description="Train players.",
        examples=["gtalign train strategic --out runs/first", "gtalign train strategic --help"],
    )
    kinds = verb.add_subparsers(title="what is trained", metavar="WHAT", dest="what", required=True)
    parser = new_parser(
        kinds,
        "strategic",
        summary="small networks in a compiled game, measured by the exact optimum",
        description="Train a small network by PPO in a compiled game, and measure it by the exact optimum.\n"
        "objectives: user_only, assistant_only, linear:W, utilitarian, cobb_douglas, ces:RHO,\n"
        "nash_bargaining:d_user=X,d_assistant=Y, egalitarian. A run's folder holds config.json, metrics.jsonl,\n"
        "checkpoints/ and policy.pt; a run that was interrupted goes on with --resume as if nothing had happened.\n"
        "Complying with harm is no move of a learner's, whatever the objective (--safety penalty prices it instead).",
        examples=[
            "gtalign train strategic --objective cobb_douglas --seed 0 --out runs/first",
            "gtalign run gtalign/Assist-v0 --assistant trained:runs/first --episodes 100",
            "gtalign train strategic --resume runs/first",
            "gtalign train strategic --users concise,detailed,expert --pricing subscription,per_token,freemium",
            "gtalign train strategic --learn both --opponent pool --steps 500000 --out runs/both",
            "gtalign train strategic --compare cobb_douglas,user_only,assistant_only --seeds 5 --json",
        ],
    )
    _add_game(parser)
    _add_learning(parser)
    _add_record(parser)


def _add_game(parser: argparse.ArgumentParser) -> None:
    game = parser.add_argument_group("the game")
    game.add_argument("--scenario", metavar="ID", help="a strategic game (gtalign/Assist-v0)")
    game.add_argument("--users", metavar="P[,P…]", help="the population opposite a learning assistant (default)")
    game.add_argument("--pricing", metavar="P[,P…]", help="what the user pays; of several, each episode draws one")
    game.add_argument(
        "--option", action="append", default=[], metavar="KEY=VALUE", help="any other option of the scenario"
    )


def _add_learning(parser: argparse.ArgumentParser) -> None:
    learning = parser.add_argument_group("learning")
    learning.add_argument("--objective", metavar="O", help="what the assistant maximises (cobb_douglas)")
    learning.add_argument(
        "--aggregation", choices=_CHOICES["aggregation"], help="welfare of means, or mean of welfare (ser)"
    )
    learning.add_argument("--safety", choices=_CHOICES["safety"], help="how compliance with harm is kept out (mask)")
    learning.add_argument("--learn", choices=_CHOICES["learn"], help="who learns (assistant)")
    learning.add_argument("--opponent", choices=_CHOICES["opponent"], help="with --learn both: self or pool (self)")
    learning.add_argument("--assistant", metavar="A", help="with --learn user: who sits opposite (heuristic)")
    learning.add_argument("--user-objective", metavar="O", help="what a learning user maximises (user_only)")
    learning.add_argument("--input", choices=_CHOICES["input"], help="what the network is fed (history)")
    learning.add_argument("--steps", type=at_least(1), metavar="N", help="steps of the game in all (400,000)")
    learning.add_argument("--games", type=at_least(1), metavar="N", help="games at once (512)")
    learning.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="any other setting, e.g. learning_rate=0.003"
    )
    add_seed(parser)


def _add_record(parser: argparse.ArgumentParser) -> None:
    record = parser.add_argument_group("the record")
    record.add_argument("--out", metavar="FOLDER", help="write the run to this folder, which must be new or empty")
    record.add_argument("--resume", metavar="FOLDER", help="go on with the run in this folder, by its own settings")
    record.add_argument(
        "--log", action="append", default=[], metavar="T", help="also to tensorboard, wandb or trackio (repeatable)"
    )
    record.add_argument(
        "--yardstick", choices=("auto", "off"), default="auto", help="compute the exact optimum first (auto)"
    )
    record.add_argument("--compare", metavar="O,O…", help="train once per objective and seed, and compare welfare")
    record.add_argument(
        "--seeds", type=at_least(2), default=5, metavar="N", help="with --compare: seeds per objective (5)"
    )
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Train."""
    require("torch", feature="training", extra="train")
    if args.resume is not None:
        return _resume(args)
    config = _config(args)
    if args.compare is not None:
        return _compare(args, config)
    from gtalign_env.training.strategic import Run
    from gtalign_env.training.strategic.log import make_tracker

    folder = None if args.out is None else Path(args.out)
    if folder is not None and (folder / "config.json").exists():
        raise UsageError(f"--out: {folder} holds a run already: go on with --resume {folder}, or take a new folder")
    if folder is not None and folder.is_dir() and any(folder.iterdir()):
        raise UsageError(f"--out: {folder} holds files already: expected a new or an empty folder")
    if args.log and folder is None:
        raise UsageError("--log: expected --out FOLDER, where the run and its name come from")
    trackers = [] if folder is None else [make_tracker(name, folder, config.as_dict()) for name in args.log]
    made = Run(config, folder, command=["gtalign", *args.argv], trackers=trackers, optimum=_optimum(args, config))
    return _train(args, made)


def _config(args: argparse.Namespace) -> Any:
    from gtalign_env.training.strategic import Config

    known = {field.name for field in dataclasses.fields(Config)}
    given: dict[str, Any] = {name: getattr(args, name) for name in (*_PLAIN, "scenario", "steps", "games", "seed")}
    settings = {name: value for name, value in given.items() if value is not None}
    if args.pricing is not None:
        settings["pricings"] = tuple(read_pricings(args.pricing))
    if settings.get("learn") == "both":
        settings.setdefault("opponent", "self")
    for name, value in read_options(args.set).items():
        if name not in known:
            raise UsageError(f"--set: there is no setting {name!r}; known: {', '.join(sorted(known))}")
        settings[name] = value
    return Config(**settings, options=read_options(args.option))


def _optimum(args: argparse.Namespace, config: Any) -> float | None:
    """Return the yardstick, unless it is switched off or unknown."""
    if args.yardstick == "off":
        return None
    from gtalign_env.training.strategic.yardstick import optimum

    console = make_console(stderr=True)
    if console.is_terminal:
        with console.status("computing the exact optimum") as status:
            return optimum(config, lambda word: status.update(f"computing the exact optimum: {word}"))
    return optimum(config)


def _resume(args: argparse.Namespace) -> int:
    import json

    from gtalign_env.training.strategic import Run
    from gtalign_env.training.strategic.log import make_tracker
    from gtalign_env.training.strategic.run import read_config

    for name in (*_PLAIN, "scenario", "steps", "games", "pricing", "out", "compare"):
        if getattr(args, name) is not None:
            raise UsageError(
                f"--{name.replace('_', '-')}: a run goes on by its own settings: leave it out with --resume"
            )
    folder = Path(args.resume)
    config = read_config(folder)
    trackers = [make_tracker(name, folder, config.as_dict()) for name in args.log]
    best = json.loads((folder / "config.json").read_text(encoding="utf-8")).get("optimum")
    return _train(args, Run.resume(folder, trackers=trackers, optimum=best, command=["gtalign", *args.argv]))


def _train(args: argparse.Namespace, made: Any) -> int:
    """Train with progress, and say how it went."""
    with Progress("updates", made.config.updates) as progress:
        for _ in range(made.update):
            progress.advance()
        found = made.train(lambda figures: progress.advance(_note(figures, made.config)))
    best = made.optimum
    if args.json:
        print_json({**found, "optimum": best, "config": made.config.as_dict(), "folder": args.out or args.resume})
        return 0
    console = make_console()
    console.print(f"{found['steps']:,} steps in {found['seconds']:.1f} s of play and learning")
    for name, label in (("evaluation", "likeliest moves"), ("evaluation_sampled", "drawn moves")):
        console.print(f"{label}: {_words(found[name], made.config)}", soft_wrap=True)
    if best is not None:
        esr = made.config.aggregation == "esr"
        console.print(f"no policy has more than {best:.4f}" if esr else f"the exact optimum: {best:.4f}")
    if made.folder is not None:
        chairs = {"assistant": ("--assistant",), "user": ("--users",)}.get(
            made.config.learn, ("--users", "--assistant")
        )
        seated = " ".join(f"{chair} trained:{made.folder}" for chair in chairs)
        console.print(f"written to {made.folder}; watch it play: gtalign run {made.config.scenario} {seated}")
    return 0


def _note(figures: dict[str, Any], config: Any) -> str:
    shown = f"U {figures['user']:.3f} L {figures['assistant']:.3f}"
    judged = figures.get("evaluation")
    return shown if judged is None else f"{shown} | {_words(judged, config)}"


def _words(judged: dict[str, Any], config: Any) -> str:
    words = (
        f"U {judged['user']:.3f} ± {judged['user_error']:.3f}, L {judged['assistant']:.3f} ± {judged['assistant_error']:.3f}, "
        f"W {judged['welfare']:.4f} ± {judged['error']:.4f}"
    )
    if "share_of_optimum" in judged:
        known = "the optimum" if config.aggregation == "ser" else "what no policy exceeds"
        words += f" ({judged['share_of_optimum']:.1%} of {known})"
    return f"{words}, {judged['violations']} violations in {judged['episodes']:,} episodes"


def _compare(args: argparse.Namespace, config: Any) -> int:
    """Train once per objective and seed, and compare what comes of it by the config's own objective."""
    from gtalign_env.training.strategic.compare import compare, split_objectives

    if args.out is not None or args.log:
        raise UsageError("--compare prints its results: leave out --out and --log, or take --json")
    names = split_objectives(args.compare)
    with Progress("runs", len(names) * args.seeds) as progress:
        rows = compare(config, names, args.seeds, progress.advance)
    best = _optimum(args, config)
    if args.json:
        print_json({"rows": [dataclasses.asdict(row) for row in rows], "optimum": best, "config": config.as_dict()})
        return 0
    from rich.table import Table

    table = Table("objective", "welfare", "95 %", "U", "L", "violations", *(["of the optimum"] if best else []))
    for row in rows:
        share = [f"{row.welfare / best:.1%}"] if best else []
        low, high = row.interval
        cells = (f"{row.welfare:.4f}", f"{low:.4f} to {high:.4f}", f"{row.user:.3f}", f"{row.assistant:.3f}")
        table.add_row(row.objective, *cells, str(row.violations), *share)
    make_console().print(table)
    return 0
