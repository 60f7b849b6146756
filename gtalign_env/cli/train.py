"""``gtalign train strategic``: let players learn, watch them do so, and go on after a crash."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path
from typing import Any

from gtalign_env.cli import train_llm, train_nano, train_sft
from gtalign_env.cli.common import add_json, add_seed, at_least, new_parser, read_options
from gtalign_env.cli.solve import read_pricings
from gtalign_env.errors import UsageError, require

__all__ = ["add_parser", "run", "step_count"]

_CHOICES = {
    "learn": ("assistant", "user", "both"),
    "opponent": ("population", "self", "pool"),
    "aggregation": ("ser", "esr"),
    "safety": ("mask", "penalty"),
    "input": ("history", "fading", "recurrent", "none"),
}
_PLAIN = ("objective", "user_objective", "aggregation", "safety", "input", "users", "assistant", "learn", "opponent")
_SUFFIXES = {"k": 1_000, "m": 1_000_000}
_OTHERS: dict[str, Any] = {"llm": train_llm, "nano": train_nano, "sft": train_sft}
"""What else is trained, each by a module of its own with ``add_kind`` and ``run``."""


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
        "checkpoints/ and policy.pt; Ctrl-C writes a checkpoint, and --resume goes on as if nothing had happened.\n"
        "Complying with harm is no move of a learner's, whatever the objective (--safety penalty prices it instead).",
        examples=[
            "gtalign train strategic --objective cobb_douglas --seed 0 --out runs/first",
            "gtalign run gtalign/Assist-v0 --assistant trained:runs/first --episodes 100",
            "gtalign eval trained:runs/first heuristic --users expert --pricing freemium",
            "gtalign train strategic --resume runs/first",
            "gtalign train strategic --set schedule=constant --steps 200k --out runs/long",
            "gtalign train strategic --resume runs/long --steps 400k",
            "gtalign train strategic --users concise,detailed,expert --pricing subscription,per_token,freemium",
            "gtalign train strategic --learn both --opponent pool --steps 500000 --out runs/both",
            "gtalign train strategic --compare cobb_douglas,user_only,assistant_only --seeds 5 --json",
        ],
    )
    _add_game(parser)
    _add_learning(parser)
    _add_record(parser)
    for other in _OTHERS.values():
        other.add_kind(kinds)


def step_count(text: str, least: int = 1) -> int:
    """Return a number of steps, or of other things, as people write it.

    Args:
        text: What they wrote.
        least: The smallest that is taken.

    Example:
        >>> [step_count(text) for text in ("400k", "1.5m", "400,000", "400_000", "64")]
        [400000, 1500000, 400000, 400000, 64]
    """
    plain = text.strip().lower().replace(",", "").replace("_", "")
    scale = _SUFFIXES.get(plain[-1:], 1)
    try:
        steps = float(plain[:-1] if scale > 1 else plain) * scale
        whole = int(steps)
    except (ValueError, OverflowError):
        steps, whole = 0.0, 0
    if whole != steps or whole < least:
        raise argparse.ArgumentTypeError(f"expected a whole number >= {least} such as 400000 or 400k, got {text!r}")
    return whole


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
    learning.add_argument("--steps", type=step_count, metavar="N", help="steps of the game in all (400k)")
    learning.add_argument("--games", type=at_least(1), metavar="N", help="games at once (512)")
    learning.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="any other setting, e.g. learning_rate=0.003"
    )
    add_seed(parser)
    parser.set_defaults(seed=None)  # so that one that was given can be told


def _add_record(parser: argparse.ArgumentParser) -> None:
    record = parser.add_argument_group("the record")
    record.add_argument("--out", metavar="FOLDER", help="write the run to this folder, which must be new or empty")
    record.add_argument(
        "--resume",
        metavar="FOLDER",
        help="go on with the run in this folder, by its own settings; with --steps N to more steps than it had",
    )
    record.add_argument(
        "--log", action="append", default=[], metavar="T", help="also to tensorboard, wandb or trackio (repeatable)"
    )
    record.add_argument("--yardstick", choices=("auto", "off"), help="compute the exact optimum first (auto)")
    record.add_argument("--compare", metavar="O,O…", help="train once per objective and seed, and compare welfare")
    record.add_argument("--seeds", type=at_least(2), metavar="N", help="with --compare: seeds per objective (5)")
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Train."""
    if args.what in _OTHERS:
        return int(_OTHERS[args.what].run(args))
    require("torch", feature="training", extra="train")
    from gtalign_env.cli import train_run

    if args.resume is not None:
        _refuse_on_resume(args)
        return train_run.resume(args)
    _refuse_idle(args)
    config = _config(args)
    if args.compare is not None:
        return train_run.compare(args, config)
    folder = None if args.out is None else Path(args.out)
    if folder is not None and (folder / "config.json").exists():
        raise UsageError(f"--out: {folder} holds a run already: go on with --resume {folder}, or take a new folder")
    if folder is not None and folder.is_dir() and any(folder.iterdir()):
        raise UsageError(f"--out: {folder} holds files already: expected a new or an empty folder")
    if args.log and folder is None:
        raise UsageError("--log: expected --out FOLDER, where the run and its name come from")
    return train_run.begin(args, config, folder)


def _config(args: argparse.Namespace) -> Any:
    from gtalign_env.finite import FiniteScenario
    from gtalign_env.registration import make_scenario
    from gtalign_env.training.strategic import Config

    known = {field.name for field in dataclasses.fields(Config)}
    given: dict[str, Any] = {name: getattr(args, name) for name in (*_PLAIN, "scenario", "steps", "games", "seed")}
    settings = {name: value for name, value in given.items() if value is not None}
    if args.pricing is not None:
        settings["pricings"] = tuple(read_pricings(args.pricing))
    if settings.get("learn") == "both":
        settings.setdefault("opponent", "self")
    for name, value in read_options(args.set, flag="--set").items():
        if name not in known:
            raise UsageError(f"--set: there is no setting {name!r}; known: {', '.join(sorted(known))}")
        settings[name] = value
    config = Config(**settings, options=read_options(args.option))
    rules = {name: value for name, value in config.options.items() if name != "max_cycles"}
    if not isinstance(make_scenario(config.scenario, **rules), FiniteScenario):
        raise UsageError(
            f"--scenario {config.scenario}: expected a game of moves (gtalign list shows them as strategic), where nobody speaks "
            "in words"
        )
    return config


def _refuse_on_resume(args: argparse.Namespace) -> None:
    """Refuse what a run that goes on cannot take.

    Raises:
        UsageError: There is such an option.
    """
    names = (*_PLAIN, "scenario", "games", "pricing", "out", "compare", "seeds", "seed", "yardstick", "option", "set")
    for name in names:
        if getattr(args, name) not in (None, []):
            raise UsageError(
                f"--{name.replace('_', '-')}: a run goes on by its own settings: leave it out with --resume"
            )


def _refuse_idle(args: argparse.Namespace) -> None:
    """Refuse options that would change nothing.

    Raises:
        UsageError: There is one.
    """
    learn = args.learn or "assistant"
    if args.compare is None and args.seeds is not None:
        raise UsageError("--seeds: says how many runs --compare makes per objective; for one run take --seed S")
    if args.compare is not None:
        if args.out is not None or args.log:
            raise UsageError("--compare prints its results: leave out --out and --log, or take --json")
        if args.seed is not None:
            raise UsageError("--seed: --compare takes the seeds 0, 1, … itself; --seeds N says how many")
        if learn == "user":
            raise UsageError("--compare: compares objectives of the assistant, and with --learn user it does not learn")
    if learn != "assistant" and args.users is not None:
        raise UsageError(
            f"--users: sits opposite a learning assistant, and with --learn {learn} the user's chair learns itself; which "
            "types θ it is dealt is the scenario's own option: --option users=…"
        )
    if learn != "user" and args.assistant is not None:
        who = "both chairs learn" if learn == "both" else "the assistant learns itself"
        raise UsageError(f"--assistant: sits opposite a learning user; here {who}: leave it out, or take --learn user")
    if learn == "assistant" and args.user_objective is not None:
        raise UsageError("--user-objective: is what a learning user maximises: add --learn user or --learn both")
    if learn == "user" and args.safety is not None:
        raise UsageError("--safety: is about a learning assistant, and with --learn user it does not learn")
