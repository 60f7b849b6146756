"""``gtalign gauges``: what a model's chains state, announce and do, measured on records."""

from __future__ import annotations

import argparse
import dataclasses
import sys
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gtalign_env.cli.common import add_json, new_parser, print_json
from gtalign_env.episode import Episode
from gtalign_env.errors import GtalignError, UsageError
from gtalign_env.render import one_line
from gtalign_env.superseded import iter_standing

if TYPE_CHECKING:
    from gtalign_env.agents.judges import JudgeAgreement, ModelJudge
    from gtalign_env.cli.voices import Voices
    from gtalign_env.gauges import Gauges, PlayerMeters

__all__ = ["add_parser", "number_above_zero", "run"]


_PUBLISHED = "gtalign"
"""Whose gauges those of published outputs are."""


def add_parser(subparsers: Any) -> None:
    """Add the verb to the program."""
    parser = new_parser(
        subparsers,
        "gauges",
        summary="measure the chains of recorded play: matrices, announcements, clarification",
        description="Measure what a model's chains state, announce and do: do matrices depend on the prompt, do stated payoffs\n"
        "come true, is the announced move made, is the user asked when (and only when) it is needed; each assistant alone.\n"
        "Where a model speaks for the user: how faithful it is to the script. With --judge, a model grades the recorded\n"
        "replies, too, and its agreement with the rule graders is told. Exit code 1 when the judge failed on some.\n"
        "docs/chain.md and docs/personas.md define every number.",
        examples=[
            "gtalign gauges runs/chain.jsonl",
            "gtalign gauges runs/chain.jsonl --plot reliability.svg --scale 2.5",
            "gtalign gauges runs/chain.jsonl --judge transformers:PATH --judge-cache verdicts.jsonl --json",
            "gtalign gauges outputs.jsonl --format gtalign",
        ],
    )
    parser.add_argument("file", metavar="FILE", help="episodes of 'gtalign run --out FILE', or published outputs")
    parser.add_argument(
        "--format", choices=("episodes", "gtalign"), default="episodes", help="what FILE holds (episodes)"
    )
    parser.add_argument(
        "--criterion",
        metavar="C",
        default="welfare:cobb_douglas",
        help="what a matrix leads to, where a record says nothing",
    )
    parser.add_argument("--scale", type=number_above_zero, default=1.0, metavar="X", help="stated units per util (1)")
    parser.add_argument("--plot", metavar="FILE", help="draw the reliability plot, to a .png or .svg file")
    judge = parser.add_argument_group("a judge")
    judge.add_argument("--judge", metavar="SPEC", help="a model that grades the replies, e.g. openai:MODEL")
    judge.add_argument("--judge-cache", metavar="FILE", help="keep its verdicts in this .jsonl file")
    add_json(parser)


def number_above_zero(text: str) -> float:
    """Read a number above 0 with which one can calculate, for ``argparse``: from 1e-9 to 1e9.

    Example:
        >>> number_above_zero("2.5")
        2.5
    """
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 1e-9 <= number <= 1e9:
        raise argparse.ArgumentTypeError(f"expected a number above 0, from 1e-9 to 1e9, got {text!r}")
    return number


def run(args: argparse.Namespace) -> int:
    """Measure and show."""
    from gtalign_env.cli.voices import Voices
    from gtalign_env.gauges import PlayerMeters

    _check(args)
    judge = None if args.judge is None else _judge(args)
    meters, voices = PlayerMeters(criterion=args.criterion, scale=args.scale), Voices()
    if args.format == "gtalign":
        _measure_published(args, meters)
    else:
        for episode in noted_episodes(args.file):
            meters.add(episode)
            voices.add(episode)
    if args.json:
        return _told_as_json(args, meters, voices, judge)
    _show(meters, voices)
    if args.plot is not None:
        _plot(args, meters.results())
        print(f"drawn: {args.plot}")
    if judge is None:
        return 0
    sys.stdout.flush()  # a judge takes its time, and may find nothing to grade
    judged = _judged(args, judge)
    print(_judge_line(judged))
    return int(bool(judged.judge_failures))


def noted_episodes(path: str) -> Iterator[Episode]:
    """Yield the episodes of a file; what was skipped in it is noted on standard error."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        yield from iter_standing(path)
    for warning in caught:
        print(f"gtalign: note: {warning.message}", file=sys.stderr)


def _check(args: argparse.Namespace) -> None:
    if args.plot is not None:
        from gtalign_env.plots import check_suffix

        check_suffix(Path(args.plot))
    if args.judge_cache is not None and args.judge is None:
        raise UsageError("--judge-cache goes with --judge SPEC")
    if args.format == "gtalign" and args.judge is not None:
        raise UsageError("--format gtalign: published outputs hold no tasks for a judge; leave --judge out")
    if args.format == "gtalign" and args.plot is not None:
        raise UsageError("--format gtalign: published outputs hold no realised payoffs to draw; leave --plot out")


def _measure_published(args: argparse.Namespace, meters: PlayerMeters) -> None:
    from gtalign_env.gauges import read_published
    from gtalign_env.scenarios.text.reader import read_reply

    def read(response: str) -> str:
        move = read_reply(response).move
        return "" if move is None else move.name

    for turn in read_published(args.file, read=read):
        meters.of(_PUBLISHED).add_turn(turn)


def _judge(args: argparse.Namespace) -> ModelJudge:
    from gtalign_env.agents.judges import ModelJudge, VerdictCache

    return ModelJudge(args.judge, cache=VerdictCache(args.judge_cache))


def _judged(args: argparse.Namespace, judge: ModelJudge) -> JudgeAgreement:
    from gtalign_env.agents.judges import agreement, recorded_replies
    from gtalign_env.protocols import Grade, Task
    from gtalign_env.scenarios.tasks import grade
    from gtalign_env.scenarios.text.reader import read_reply

    class _Rules:
        """The rule graders, on what they are shown in play: the answer without its questions."""

        def grade(self, task: Task, reply: str) -> Grade:
            return grade(task, reply if task.harmful else read_reply(reply).answer_text or reply)

    replies = list(recorded_replies(noted_episodes(args.file)))
    if not replies:
        steps = [step for episode in noted_episodes(args.file) for step in episode.steps]
        if any(step.assistant.text and step.assistant.move.startswith("CQ") for step in steps):
            raise UsageError(f"--judge: {args.file} holds only questions back, nothing to grade")
        raise UsageError(f"--judge: {args.file} holds no reply of the text view to judge")
    return agreement(replies, judge, _Rules())


def _plot(args: argparse.Namespace, found: Mapping[str, Gauges]) -> None:
    from gtalign_env.gauges.figures import reliability_figure
    from gtalign_env.plots import save_figure

    save_figure(reliability_figure(found, title=f"Stated and realised payoffs · {Path(args.file).name}"), args.plot)


def _told_as_json(args: argparse.Namespace, meters: PlayerMeters, voices: Voices, judge: ModelJudge | None) -> int:
    """Print everything as one object; where there is nothing to draw or to judge, what was measured without that."""
    from gtalign_env.play import versions

    found = meters.results()
    told: dict[str, Any] = {
        "file": args.file,
        "episodes": meters.episodes,
        "gauges": {player: one.as_dict() for player, one in found.items()},
        "fidelity": {name: one.as_dict() for name, one in voices.results().items()},
        "plot": args.plot,
        "versions": versions(),
    }
    try:
        if args.plot is not None:
            _plot(args, found)
        judged = None if judge is None else _judged(args, judge)
    except GtalignError:
        print_json(told)
        raise
    print_json(told if judged is None else {**told, "judge": judged.as_dict()})
    return int(judged is not None and bool(judged.judge_failures))


def _show(meters: PlayerMeters, voices: Voices) -> None:
    """Print a block for each player and each voice."""
    from gtalign_env.cli.gauge_lines import print_gauges
    from gtalign_env.cli.voices import print_voices
    from gtalign_env.gauges import gauges

    heard = voices.results()
    found = meters.results()
    if not found and not heard:
        found = {"": dataclasses.replace(gauges([]), episodes=meters.episodes)}
    print_gauges(found, below=False)
    print_voices(heard, voices.problems, below=bool(found))


def _judge_line(judged: JudgeAgreement) -> str:
    def told(value: float | None) -> str:
        return "—" if value is None else f"{value:.2f}"

    line = (
        f"{judged.judge} against the rules: accuracy {told(judged.accuracy)}, kappa {told(judged.kappa)}, mean distance "
        f"{told(judged.distance)}, bias {told(judged.bias)} (n {judged.n} of {judged.replies})"
    )
    for problem, count in judged.judge_failures.items():
        line += f"\nnot judged: {count}, {one_line(problem)}"
    return line
