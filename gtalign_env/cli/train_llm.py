"""``gtalign train llm``: let a language model learn by play, watch it do so, and go on after a crash."""

from __future__ import annotations

import argparse
import dataclasses
import shlex
from pathlib import Path
from typing import Any

from gtalign_env.cli.common import add_json, at_least, make_console, new_parser, print_json, read_options
from gtalign_env.cli.solve import read_pricings
from gtalign_env.errors import UsageError, require

__all__ = ["add_kind", "run"]

_CHOICES = {
    "aggregation": ("ser", "esr"),
    "estimator": ("grpo", "rloo", "gdpo", "gae"),
    "scale": ("group", "batch", "none"),
    "credit": ("turn", "episode"),
    "loss": ("dapo", "dr_grpo", "gspo", "ppo"),
    "chain": ("solver", "self", "none"),
    "sampler": ("model", "copy", "vllm", "server"),
}
_PLAIN = (
    *(
        "model",
        "device",
        "lora_rank",
        "sampler",
        "server",
        "chain",
        "criterion",
        "moves",
        "scenario",
        "tasks",
        "eval_tasks",
    ),
    *("users", "eval_users", "objective", "aggregation", "estimator", "scale", "credit", "loss", "kl", "learning_rate"),
    *("iterations", "groups", "group_size", "seed"),
)
"""Options that are settings of the same name."""


def add_kind(kinds: Any) -> None:
    """Add what is trained to the verb."""
    parser = new_parser(
        kinds,
        "llm",
        summary="a language model, by play: groups of games, both sides' payoffs, a welfare objective",
        description="Train a language model on the games that it plays itself: groups of games with the same user and task, both "
        "sides'\npayoffs kept apart until the objective joins them, a clipped policy loss on its own tokens (docs/llm.md).\n"
        "objectives: user_only, assistant_only, linear:W, utilitarian, cobb_douglas, ces:RHO, nash_bargaining, egalitarian.\n"
        "A run's folder holds config.json, metrics.jsonl, checkpoints/, samples/ (for 'gtalign replay') and at the end model/.\n"
        "Ctrl-C writes a checkpoint, and --resume goes on as if nothing had happened. Under torchrun, processes share the work.",
        examples=[
            "gtalign train llm --objective cobb_douglas --iterations 40 --out runs/mutual",
            "gtalign train llm --resume runs/mutual",
            "gtalign replay runs/mutual/samples/000000.jsonl",
            "gtalign train llm --model PATH --lora-rank 16 --learning-rate 1e-5 --tasks authored --out runs/big",
            "gtalign train llm --objective ces:-1 --estimator rloo --pricing subscription,per_token --out runs/two",
            "gtalign train llm --chain none --out runs/no_chain",
        ],
    )
    model = parser.add_argument_group("the model")
    model.add_argument("--model", metavar="M", help="nano, nano:FOLDER, or a folder with a Hugging Face model (nano)")
    model.add_argument("--device", metavar="D", help="auto, cpu, cuda, … (auto)")
    model.add_argument(
        "--lora-rank", type=at_least(0), metavar="R", help="train adapters of this rank; 0 trains all weights (0)"
    )
    model.add_argument(
        "--sampler",
        choices=_CHOICES["sampler"],
        help="who plays: the model itself, a copy, or vLLM, here or on a server (model)",
    )
    model.add_argument("--server", metavar="URL", help="with --sampler server: where it is")
    model.add_argument("--chain", choices=_CHOICES["chain"], help="how it reasons before it replies (the model's own)")
    model.add_argument("--criterion", metavar="C", help="what picks the cell of its stated matrix (the model's own)")
    model.add_argument("--moves", metavar="M", help="moves of its stated matrix (the model's own)")
    _add_game(parser)
    _add_learning(parser)
    record = parser.add_argument_group("the record")
    record.add_argument("--out", metavar="FOLDER", help="write the run to this folder, which must be new or empty")
    record.add_argument(
        "--resume",
        metavar="FOLDER",
        help="go on with the run in this folder, by its own settings; with --iterations N to more than it had",
    )
    record.add_argument(
        "--log", action="append", default=[], metavar="T", help="also to tensorboard, wandb or trackio (repeatable)"
    )
    add_json(parser)


def _add_game(parser: argparse.ArgumentParser) -> None:
    game = parser.add_argument_group("the games")
    game.add_argument("--scenario", metavar="ID", help="a game in words (gtalign/AssistText-v0)")
    game.add_argument("--tasks", metavar="T", help="tasks to learn from (small:train)")
    game.add_argument("--eval-tasks", metavar="T", help="tasks of evaluations (small:test)")
    game.add_argument("--users", metavar="P[,P…]", help="users to learn from (default)")
    game.add_argument("--eval-users", metavar="P[,P…]", help="users of evaluations (those of training)")
    game.add_argument("--pricing", metavar="P[,P…]", help="what the user pays; of several, each group draws one")
    game.add_argument("--eval-pricing", metavar="P[,P…]", help="prices of evaluations (those of training)")
    game.add_argument(
        "--option", action="append", default=[], metavar="KEY=VALUE", help="any other option of the scenario"
    )


def _add_learning(parser: argparse.ArgumentParser) -> None:
    learning = parser.add_argument_group("learning")
    learning.add_argument("--objective", metavar="O", help="what is maximised (cobb_douglas)")
    for name, about in (
        ("aggregation", "welfare of means, or mean of welfare (ser)"),
        ("estimator", "how returns become advantages (grpo)"),
        ("scale", "the spread that advantages are divided by (batch)"),
        ("credit", "judge turns by what comes from them on, or by the whole game (turn)"),
        ("loss", "the variant of the policy loss (dapo)"),
    ):
        learning.add_argument(f"--{name}", choices=_CHOICES[name], help=about)
    learning.add_argument("--kl", type=float, metavar="B", help="weight of the KL penalty to the model as it began (0)")
    learning.add_argument(
        "--learning-rate",
        "--lr",
        type=float,
        metavar="R",
        help="of AdamW (nano 5e-4, adapters 1e-5, else 1e-6)",
    )
    learning.add_argument("--iterations", type=at_least(1), metavar="N", help="rounds of play and learning (100)")
    learning.add_argument("--groups", type=at_least(1), metavar="G", help="groups in an iteration (8)")
    learning.add_argument("--group-size", type=at_least(1), metavar="K", help="games in a group (8)")
    learning.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="any other setting, e.g. minibatches=2, or a block's most tokens: thinking=32",
    )
    learning.add_argument("--seed", type=at_least(0), metavar="S", help="everything random follows from it (0)")


def run(args: argparse.Namespace) -> int:
    """Train."""
    require("torch", feature="training a language model", extra="llm")
    require("transformers", feature="training a language model", extra="llm")
    if args.resume is not None:
        return _resume(args)
    config = _config(args)
    folder = None if args.out is None else Path(args.out)
    if folder is not None and (folder / "config.json").exists():
        raise UsageError(f"--out: {folder} holds a run already: go on with --resume {folder}, or take a new folder")
    if folder is not None and folder.is_dir() and any(folder.iterdir()):
        raise UsageError(f"--out: {folder} holds files already: expected a new or an empty folder")
    if args.log and folder is None:
        raise UsageError("--log: expected --out FOLDER, where the run and its name come from")
    from gtalign_env.training.llm.trainer import Run

    return _train(args, Run(config, folder, command=["gtalign", *args.argv], trackers=_trackers(args, config, folder)))


def _config(args: argparse.Namespace) -> Any:
    from gtalign_env.training.llm.config import LLMConfig

    settings: dict[str, Any] = {name: value for name in _PLAIN if (value := getattr(args, name)) is not None}
    for name, flag in (("pricings", args.pricing), ("eval_pricings", args.eval_pricing)):
        if flag is not None:
            settings[name] = tuple(read_pricings(flag))
    known = {field.name for field in dataclasses.fields(LLMConfig)}
    blocks = ("thinking", "payoff", "analyze", "response")
    for name, value in read_options(args.set, flag="--set").items():
        if name in blocks:
            settings.setdefault("budget", {})[name] = value
        elif name in known:
            settings[name] = value
        else:
            raise UsageError(f"--set: there is no setting {name!r}; known: {', '.join(sorted({*known, *blocks}))}")
    return LLMConfig(**settings, options=read_options(args.option))


def _resume(args: argparse.Namespace) -> int:
    for name in (*_PLAIN, "pricing", "eval_pricing", "out", "option", "set"):
        if name != "iterations" and getattr(args, name) not in (None, []):
            raise UsageError(
                f"--{name.replace('_', '-')}: a run goes on by its own settings: leave it out with --resume"
            )
    from gtalign_env.training.llm.trainer import Run, read_config

    folder = Path(args.resume)
    config = read_config(folder)
    trackers = _trackers(args, config, folder)
    made = Run.resume(folder, iterations=args.iterations, command=["gtalign", *args.argv], trackers=trackers)
    return _train(args, made)


def _trackers(args: argparse.Namespace, config: Any, folder: Path | None) -> list[Any]:
    from gtalign_env.training.llm.distributed import is_main
    from gtalign_env.training.strategic.log import make_tracker

    return (
        [] if folder is None or not is_main() else [make_tracker(name, folder, config.as_dict()) for name in args.log]
    )


def _train(args: argparse.Namespace, made: Any) -> int:
    """Train with progress, and say how it went."""
    from gtalign_env.cli.train_run import say, stoppable
    from gtalign_env.cli.train_screen import in_words, screen

    with stoppable() as asked, screen(made.config) as show:
        found = made.train(show, stop=asked)
    if not made.world.is_main:
        return 0
    if made.iteration < made.config.iterations:
        where = f"; go on with: gtalign train llm --resume {shlex.quote(str(made.folder))}" if made.folder else ""
        say(f"gtalign: stopped after iteration {made.iteration}{where}")
        return 130
    if args.json:
        print_json(
            {**found, "config": made.config.as_dict(), "folder": None if made.folder is None else str(made.folder)}
        )
        return 0
    console = make_console()
    judged = found.get("evaluation")
    if judged is not None:
        console.print(f"held out: {in_words(judged)}", soft_wrap=True)
    if made.folder is not None and made.iteration == made.config.iterations:
        console.print(f"written to {made.folder}; watch it play: {_play(made)}", soft_wrap=True, highlight=False)
    return 0


def _play(made: Any) -> str:
    """Return the command that plays the model as it was trained."""
    from gtalign_env.agents.nano.settings import is_nano

    config, settings = made.config, made.assistant.settings
    spec = f"nano:{made.folder}/model" if is_nano(config.model) else f"transformers:{made.folder}/model"
    words = f"gtalign run {config.scenario} --tasks {config.eval_tasks or config.tasks} --assistant {spec}"
    if is_nano(config.model) and not (config.chain or config.moves):
        return words
    moves = settings.moves
    cells = f" --moves {','.join(moves.rows)}/{','.join(moves.columns)}" if settings.mode != "none" else ""
    return f"{words} --chain {settings.mode}{cells} --temperature 1"
