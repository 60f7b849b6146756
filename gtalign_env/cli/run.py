"""``gtalign run``: play episodes and record them."""

from __future__ import annotations

import argparse
import contextlib
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from gtalign_env.cli.common import (
    Progress,
    Sink,
    add_game,
    add_json,
    add_seed,
    at_least,
    check_fit,
    default_players,
    game_options,
    is_told,
    make_console,
    new_parser,
    open_sink,
    print_json,
    seat_assistant,
)
from gtalign_env.cli.replay import counted
from gtalign_env.cli.tally import Tally, print_rows
from gtalign_env.env import GameEnv, parallel_env
from gtalign_env.episode import iter_episodes
from gtalign_env.play import episode_seeds, play_episode
from gtalign_env.protocols import Policy
from gtalign_env.types import ASSISTANT

__all__ = ["add_parser", "run"]


def add_parser(subparsers: Any) -> None:
    """Add the verb to the program."""
    parser = new_parser(
        subparsers,
        "run",
        summary="play episodes and record them",
        description="Play episodes of a scenario with a population of users and one or more assistants. Each episode is "
        "written\nas soon as it is finished; Ctrl-C keeps those. Exit code 1 when an episode ended in an error.",
        examples=[
            "gtalign run gtalign/Assist-v0 --episodes 100 --seed 1",
            "gtalign run gtalign/Assist-v0 --users concise=2,detailed=1 --assistant fixed:DA_short --pricing per_token",
            "gtalign run gtalign/Assist-v0 --assistant heuristic --assistant random --out runs/two.jsonl",
            "gtalign run gtalign/AssistText-v0 --users mine.toml --assistant heuristic --option questions=2 --json",
            "gtalign run gtalign/AssistText-v0 --tasks questions.parquet --assistant transformers:PATH --episodes 4 \\",
            "    --out run.jsonl",
        ],
    )
    parser.add_argument(
        "scenario", metavar="ID", help="what to play: an id of 'gtalign list', module:attr or file.py:attr"
    )
    parser.add_argument(
        "--users", metavar="SPEC", help="a persona, its file, or a mix: concise=2,mine.toml=1 (default)"
    )
    parser.add_argument(
        "--assistant", action="append", metavar="SPEC", help="who answers (heuristic); repeat it to compare several"
    )
    parser.add_argument(
        "--episodes", type=at_least(1), default=10, metavar="N", help="episodes for each assistant (10)"
    )
    add_seed(parser)
    add_game(parser)
    model = parser.add_argument_group("models")
    model.add_argument("--max-tokens", type=at_least(1), metavar="N", help="longest reply of a model, in tokens")
    model.add_argument(
        "--temperature", type=float, metavar="T", help="sampling temperature; 0 always takes the likeliest"
    )
    add_json(parser)


class _Held(NamedTuple):
    """What a file that is appended to holds already."""

    episodes: int
    seeds: frozenset[int]
    """Of those that this run would play again."""


def run(args: argparse.Namespace) -> int:
    """Play, record and sum up."""
    from gtalign_env.agents.users import population

    env = parallel_env(args.scenario, **game_options(args))
    usual = default_players(env)
    users = population(usual[0] if args.users is None else args.users)
    specs = args.assistant or [usual[1]]
    tally = Tally()
    interrupted = False
    with open_sink(args) as sink:
        sampling = {"max_tokens": args.max_tokens, "temperature": args.temperature}
        assistants = [seat_assistant(spec, env, **sampling) for spec in specs]
        check_fit(env, users.personas, assistants)
        held = _held(args, env, assistants)
        try:
            _play(env, users, assistants, args, sink=sink, tally=tally, held=held)
        except KeyboardInterrupt:
            interrupted = True
    told = [assistant.name for spec, assistant in zip(specs, assistants, strict=True) if is_told(spec, env)]
    _report(tally, args, told=told, held=held.episodes)
    if interrupted:
        where = f" kept in {args.out}" if args.out and sink.written else ""
        with contextlib.suppress(OSError, ValueError):
            kept = counted(sink.written, "finished episode")
            print(f"gtalign: interrupted: {kept}{where}", file=sys.stderr, flush=True)
        return 130
    return 1 if tally.errors else 0


def _held(args: argparse.Namespace, env: GameEnv, assistants: Sequence[Policy]) -> _Held:
    """Read what ``--append`` goes on with: those episodes are not played again under the same run seed."""
    if not args.append or not Path(args.out).stat().st_size:
        return _Held(0, frozenset())
    names = {assistant.name for assistant in assistants}
    count, seeds = 0, set()
    for episode in iter_episodes(args.out):
        count += 1
        same = (episode.run_seed, episode.scenario, episode.env_options) == (args.seed, *env.origin)
        if same and episode.players.get(ASSISTANT) in names:
            seeds.add(episode.seed)
    return _Held(count, frozenset(seeds))


def _play(
    env: GameEnv,
    users: Any,
    assistants: Sequence[Policy],
    args: argparse.Namespace,
    *,
    sink: Sink,
    tally: Tally,
    held: _Held,
) -> None:
    """Play every assistant on the same episodes: same seeds, so the same users with the same questions."""
    seeds = [seed for seed in episode_seeds(args.seed, args.episodes + len(held.seeds)) if seed not in held.seeds]
    with Progress("episodes", args.episodes * len(assistants)) as progress:
        for assistant in assistants:
            for seed in seeds[: args.episodes]:
                episode = play_episode(env, users, assistant, seed=seed)
                episode.id = f"{held.episodes + sink.written}-{seed}"
                episode.command = shlex.join(["gtalign", *args.argv])
                episode.run_seed = args.seed
                sink.write(episode)
                tally.add(episode)
                progress.advance(f"({assistant.name})")


def _report(tally: Tally, args: argparse.Namespace, *, told: list[str], held: int) -> None:
    if args.json:
        rows = [{**row.as_dict(), "told": row.assistant in told} for row in tally.rows()]
        print_json({"rows": rows, "episodes": tally.episodes, "errors": tally.errors, "out": args.out})
        return
    for message, count in tally.messages.items():
        print(f"gtalign: {counted(count, 'episode')} ended in an error: {message}", file=sys.stderr)
    if not tally.episodes:
        return
    notes = [f"{name}: scripted (knows the reference answers)" for name in told]
    if args.out:
        there = (
            f"{tally.episodes} added, {held + tally.episodes}" if args.append else counted(tally.episodes, "episode")
        )
        watch = "it" if held + tally.episodes == 1 else "them"
        notes.append(f"{there} in {args.out}; watch {watch}: gtalign replay {shlex.quote(args.out)}")
    print_rows(tally.rows(), min(make_console().width, 140), notes)
