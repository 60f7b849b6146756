"""``gtalign run``: play episodes and record them."""

from __future__ import annotations

import argparse
import contextlib
import copy
import functools
import io
import shlex
import sys
import time
from collections import Counter
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from gtalign_env.cli.chain_options import add_chain, live_steering, seatings
from gtalign_env.cli.common import (
    Parser,
    Progress,
    Sink,
    add_game,
    add_json,
    add_lead,
    add_seed,
    at_least,
    check_fit,
    default_players,
    game_options,
    is_told,
    new_parser,
    open_sink,
    seat_assistant,
)
from gtalign_env.cli.engines import Engines, is_model, model_identity
from gtalign_env.cli.replay import counted
from gtalign_env.cli.run_report import find_optimum, print_report
from gtalign_env.cli.settings import Seat, command_line, differences, player_settings
from gtalign_env.cli.tally import Tally
from gtalign_env.cli.trained_games import other_games
from gtalign_env.env import GameEnv, parallel_env
from gtalign_env.episode import Episode, iter_episodes
from gtalign_env.errors import UsageError
from gtalign_env.play import episode_seeds, play_episode
from gtalign_env.play_batch import is_batched, play_batch
from gtalign_env.protocols import Policy
from gtalign_env.types import ASSISTANT, USER

__all__ = ["add_parser", "run"]

_GAMES = 64
"""Games that are played at once where a model plays."""


def add_parser(subparsers: Any) -> None:
    """Add the verb to the program."""
    parser = new_parser(
        subparsers,
        "run",
        summary="play episodes and record them",
        description="Play episodes of a scenario with a population of users and one or more assistants. Each episode is "
        "written\nas soon as it is finished; Ctrl-C keeps those, and --resume plays the rest. Where a model has a say, many "
        "games are\nplayed at once. Exit code 1 when an episode ended in an error.",
        examples=[
            "gtalign run gtalign/Assist-v0 --episodes 100 --seed 1",
            "gtalign run gtalign/Assist-v0 --users concise=2,detailed=1 --assistant fixed:DA_short --pricing per_token",
            "gtalign run gtalign/Assist-v0 --assistant heuristic --assistant random --out runs/two.jsonl",
            "gtalign run gtalign/Assist-v0 --users concise,expert --assistant heuristic --assistant bayes --optimum",
            "gtalign run gtalign/AssistText-v0 --users mine.toml --assistant heuristic --option questions=2 --json",
            "gtalign run gtalign/AssistText-v0 --tasks questions.parquet --assistant transformers:PATH --episodes 4 \\",
            "    --out run.jsonl",
            "gtalign run gtalign/AssistText-v0 --assistant transformers:PATH --chain solver --criterion welfare:ces:rho=-1",
            "gtalign run gtalign/AssistText-v0 --assistant transformers:PATH --chain solver --steer per_token:rate_out=0.005 \\",
            "    --steer-option margin=0.2 --out steered.jsonl",
            "gtalign run gtalign/AssistText-v0 --assistant transformers:PATH --chain solver --moves paper --payoff paper",
            "gtalign run gtalign/AssistText-v0 --users concise@openai:MODEL --assistant openai:MODEL --episodes 500 \\",
            "    --games 128 --out big.jsonl --resume",
            "gtalign run gtalign/AssistText-v0 --users concise@openai:A --assistant openai:B \\",
            "    --backend-option user.base_url=http://127.0.0.1:8001/v1 --backend-option assistant.base_url=http://127.0.0.1:8002/v1",
        ],
    )
    parser.add_argument(
        "scenario", metavar="ID", help="what to play: an id of 'gtalign list', module:attr or file.py:attr"
    )
    parser.add_argument(
        "--users",
        metavar="SPEC",
        help="a persona, its file, or a mix: concise=2,mine.toml=1 (default); with a model's voice: concise@openai:MODEL",
    )
    parser.add_argument(
        "--assistant", action="append", metavar="SPEC", help="who answers (heuristic); repeat it to compare several"
    )
    parser.add_argument(
        "--episodes", type=at_least(1), default=10, metavar="N", help="episodes for each assistant (10)"
    )
    add_seed(parser)
    parser.add_argument(
        "--optimum",
        action="store_true",
        help="say which share of the exact optimum each assistant has (docs/optimal.md); it is computed once and remembered",
    )
    add_game(parser)
    parser.add_argument(
        "--resume",
        action="store_true",
        help="finish a run that was stopped: play those of its --episodes that the file of --out does not hold, "
        "and again those that ended in an error there",
    )
    model = parser.add_argument_group("models")
    model.add_argument("--max-tokens", type=at_least(1), metavar="N", help="longest reply of a model, in tokens")
    model.add_argument(
        "--temperature", type=float, metavar="T", help="sampling temperature; 0 always takes the likeliest"
    )
    model.add_argument(
        "--games",
        type=at_least(1),
        metavar="N",
        help=f"games played at once; each asks a model in the same call ({_GAMES} with a model, else 1)",
    )
    model.add_argument(
        "--backend-option",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="an option of the engines, e.g. base_url=http://127.0.0.1:8000/v1 or device=cpu; user.KEY=VALUE and "
        "assistant.KEY=VALUE are for one side's alone. Both sides share an engine of equal name and options (repeatable)",
    )
    add_lead(model)
    add_chain(parser)
    add_json(parser)


class _Held(NamedTuple):
    """What a file that is gone on with holds already."""

    episodes: int = 0
    played: Counter[tuple[str, int]] = Counter()  # noqa: RUF012 - never written to
    """Episodes of this run by assistant and seed, without those that ended in an error."""
    failed: Counter[tuple[str, int]] = Counter()  # noqa: RUF012 - never written to
    """Those that ended in an error."""

    def seeds(self) -> set[int]:
        """Return the seeds that any of the assistants has played."""
        return {seed for _, seed in {*self.played, *self.failed}}


def run(args: argparse.Namespace) -> int:
    """Play, record and sum up."""
    from gtalign_env.agents.assistants.bayes import expecting
    from gtalign_env.agents.users import VoicedPersona, population

    env = parallel_env(args.scenario, **game_options(args))
    usual = default_players(env)
    if args.resume:
        _check_resume(args)
    coming = usual[0] if args.users is None else args.users
    seats = seatings([expecting(spec, coming) for spec in args.assistant or [usual[1]]], args)
    steer = live_steering(args, env, seats)
    if steer is not None:  # the user pays the new price, whatever the model is told
        env = parallel_env(args.scenario, **{**game_options(args), "pricing": args.steer})
    engines = Engines(args.backend_option)
    lead = {"lead": args.lead} if args.lead else {}
    users = population(coming, make_engine=engines.user, **lead)
    voiced = any(isinstance(user, VoicedPersona) for user in users.personas)
    if args.lead and not voiced:
        raise UsageError("--lead is for personas with a model's voice: expected --users such as concise@openai:MODEL")
    _check_options(args, user=voiced, assistant=any(is_model(spec) for spec, _ in seats))
    tally = Tally(lambda _: copy.deepcopy(env))
    interrupted = False
    with open_sink(args) as sink:
        making: dict[str, Any] = {"max_tokens": args.max_tokens, "temperature": args.temperature}
        making |= {"engines": engines, "steer": steer}
        assistants = [seat_assistant(spec, env, chain=chain, **making) for spec, chain in seats]
        check_fit(env, users.personas, assistants)
        for line in other_games([user.name for user in users.personas] + [spec for spec, _ in seats], env.scenario):
            print(f"gtalign: note: {line}", file=sys.stderr, flush=True)
        held = _held(args, env, users, _kinds(seats, assistants))
        try:
            _play(env, users, assistants, args, sink=sink, tally=tally, held=held)
        except KeyboardInterrupt:
            interrupted = True
    told = [assistant.name for (spec, _), assistant in zip(seats, assistants, strict=True) if is_told(spec, env)]
    find = functools.partial(find_optimum, env, users) if args.optimum and not interrupted else None
    print_report(tally, args, told=told, held=held.episodes, interrupted=interrupted, find=find)
    if interrupted:
        where = f" kept in {args.out}" if args.out and sink.written else ""
        with contextlib.suppress(OSError, ValueError):
            kept = counted(sink.written, "finished episode")
            print(f"gtalign: interrupted: {kept}{where}", file=sys.stderr, flush=True)
        return 130
    return 1 if tally.errors else 0


def _check_resume(args: argparse.Namespace) -> None:
    if args.append:
        raise UsageError("--resume finishes a run and --append adds to one: expected only one of them")
    if args.out is None:
        raise UsageError("--resume goes with --out FILE: it says which run to finish")
    args.append = True  # whether the file exists or not: then the run begins


def _check_options(args: argparse.Namespace, **models: bool) -> None:
    """Refuse options of engines that nobody plays with; ``models`` says by side whether there are any."""
    if args.backend_option and not any(models.values()):
        raise UsageError("--backend-option is for models: expected e.g. --assistant openai:MODEL")
    for side, there in models.items():
        if not there and any(option.startswith(f"{side}.") for option in args.backend_option):
            raise UsageError(f"--backend-option {side}.KEY=VALUE: the {side} is no model here")


def _kinds(seats: Sequence[tuple[str, Any]], assistants: Sequence[Policy]) -> dict[str, Seat]:
    """Return by name who the assistants are.

    Raises:
        UsageError: Two models have the same name, because the last parts of their paths are equal.
    """
    kinds: dict[str, Seat] = {}
    for (spec, chain), assistant in zip(seats, assistants, strict=True):
        other = kinds.setdefault(assistant.name, Seat(spec, chain is not None)).spec
        if other != spec and is_model(spec) and model_identity(other) != model_identity(spec):
            raise UsageError(
                f"--assistant: {other} and {spec} would both be called {assistant.name}: rename one of the folders, or play "
                "them in two runs with a file each"
            )
    return kinds


def _held(args: argparse.Namespace, env: GameEnv, users: Any, kinds: Mapping[str, Seat]) -> _Held:
    """Read what is gone on with: those episodes are not played again under the same run seed.

    An episode is the same where run seed, game, assistant and the persona that its seed draws are the same.
    ``kinds`` says who the assistants are (see ``player_settings``).

    Raises:
        UsageError: The players had other settings there.
    """
    if not args.append or not Path(args.out).stat().st_size:
        return _Held()
    from gtalign_env.agents.users import VoicedPersona

    recorded = functools.cache(_recorded)
    count, played, failed = 0, Counter[tuple[str, int]](), Counter[tuple[str, int]]()
    for episode in iter_episodes(args.out):
        count += 1
        name = episode.players.get(ASSISTANT, "")
        same = (episode.run_seed, episode.scenario, episode.env_options) == (args.seed, *env.origin)
        if same and name in kinds:
            drawn = users(np.random.default_rng([episode.seed, 1]))  # as play_episode draws
            if episode.players.get(USER) != f"persona:{drawn.name}":
                continue
            if (there := recorded(episode.command)) is not None:
                voice = str(drawn.backend.name) if isinstance(drawn, VoicedPersona) else ""
                _check_settings(args, there, name, kinds[name]._replace(voice=voice))
            (failed if episode.ended == "error" else played)[name, episode.seed] += 1
    return _Held(count, played, failed)


def _recorded(command: str) -> argparse.Namespace | None:
    """Return the options of a ``gtalign run`` of which the command was recorded; ``None`` for any other command."""
    try:
        words = shlex.split(command)
    except ValueError:
        return None
    if words[:2] != ["gtalign", "run"]:
        return None
    parser = Parser(prog="gtalign")
    add_parser(parser.add_subparsers())
    with contextlib.suppress(SystemExit), contextlib.redirect_stderr(io.StringIO()):
        found: argparse.Namespace = parser.parse_args(words[1:])
        return found
    return None


def _check_settings(args: argparse.Namespace, there: argparse.Namespace, name: str, seat: Seat) -> None:
    if other := differences(player_settings(there, seat), player_settings(args, seat)):
        raise UsageError(
            f"{args.out} holds episodes of {name} with other settings: {'; '.join(other)}; expected the same settings, or "
            "another file for --out"
        )


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
    work = _work(args, assistants, held)
    again = sum((assistant.name, seed) in held.failed for assistant, places in work for seed in places)
    if again:
        print(f"gtalign: {counted(again, 'episode')} that ended in an error: played again", file=sys.stderr, flush=True)
    pace = _Pace()
    unread: Counter[str] = Counter()
    with Progress("episodes", sum(len(places) for _, places in work)) as progress:
        for assistant, places in work:
            with contextlib.closing(_episodes(env, users, assistant, args.games, list(places))) as episodes:
                for episode in episodes:
                    failed = held.failed[assistant.name, episode.seed]
                    episode.id = f"{places[episode.seed]}-{episode.seed}" + f".{failed + 1}" * bool(failed)
                    episode.command = command_line(args.argv)
                    episode.run_seed = args.seed
                    sink.write(episode)
                    tally.add(episode)
                    unread.update(str(step.events["unread"]) for step in episode.steps if step.events.get("unread"))
                    pace.add(episode)
                    progress.advance(f"({assistant.name}) {pace}")
    if unread:
        kinds = ", ".join(f"{kind} {count}" for kind, count in unread.most_common())
        paid = "the paper model could not read what was sent, and paid 0 on both sides, as published"
        print(f"gtalign: note: {counted(unread.total(), 'time')} {paid}: {kinds}", file=sys.stderr, flush=True)


def _work(args: argparse.Namespace, assistants: Sequence[Policy], held: _Held) -> list[tuple[Policy, dict[int, int]]]:
    """Return what each assistant has to play: seeds with their places in the run."""
    if args.resume:
        others = held.episodes - held.played.total() - held.failed.total()
        seeds, base = episode_seeds(args.seed, args.episodes), others  # an episode that is played again keeps its place
    else:
        new = held.seeds()
        seeds = [seed for seed in episode_seeds(args.seed, args.episodes + len(new)) if seed not in new]
        seeds, base = seeds[: args.episodes], held.episodes
    left = held.played.copy() if args.resume else Counter[tuple[str, int]]()
    work = []
    for number, assistant in enumerate(assistants):
        places = {}
        for place, seed in enumerate(seeds, start=base + number * args.episodes):
            if left[assistant.name, seed] > 0:
                left[assistant.name, seed] -= 1
            else:
                places[seed] = place
        work.append((assistant, places))
    return work


def _episodes(
    env: GameEnv, users: Any, assistant: Policy, games: int | None, seeds: Sequence[int]
) -> Generator[Episode]:
    """Play one assistant's episodes: many at once where a model has a say."""
    if games is None:
        games = _GAMES if any(map(is_batched, (assistant, *users.personas))) else 1
    if games > 1:
        yield from play_batch(functools.partial(copy.deepcopy, env), users, assistant, seeds, games=games)
        return
    for seed in seeds:
        yield play_episode(env, users, assistant, seed=seed)


class _Pace:
    """How quickly a run goes, in words."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._games = self._tokens = self._errors = 0

    def add(self, episode: Episode) -> None:
        """Count an episode and the tokens that models wrote in it."""
        self._games += 1
        self._errors += episode.ended == "error"
        sides = (side for step in episode.steps for side in (step.user, step.assistant))
        self._tokens += sum(int(side.model.get("tokens") or 0) for side in sides)

    def __str__(self) -> str:
        """Return games and tokens per second, and errors where there are any."""
        seconds = max(time.monotonic() - self._started, 1e-3)
        parts = [f"{self._games / seconds:.3g} games/s"]
        parts += [f"{self._tokens / seconds:,.0f} tokens/s"] if self._tokens else []
        parts += [counted(self._errors, "error")] if self._errors else []
        return ", ".join(parts)
