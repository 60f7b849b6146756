"""``gtalign tournament``: everybody against everybody, and the meta-game that comes of it."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

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
    make_console,
    new_parser,
    open_sink,
    print_json,
    seat_assistant,
)
from gtalign_env.cli.replay import counted
from gtalign_env.cli.settings import command_line
from gtalign_env.env import GameEnv, parallel_env
from gtalign_env.errors import UsageError
from gtalign_env.render import one_line

if TYPE_CHECKING:
    from gtalign_env.tournament import CrossPlay

__all__ = ["add_parser", "run"]

_STREAM = 9  # the resamples' own draws, apart from those of the episodes
_LEVEL = 0.95
_SUGGESTED = 8
"""Players that are named where none were."""


def add_parser(subparsers: Any) -> None:
    """Add the verb to the program."""
    parser = new_parser(
        subparsers,
        "tournament",
        summary="let everybody play everybody, and solve the game of whom to send",
        description="Cross-play: every player in the user's chair meets every player in the assistant's, itself included, on\n"
        "the same episode seeds. Shown are mean payoffs per episode with bootstrap intervals, a ranking, and the meta-game in\n"
        "which each side chooses whom to send: its equilibria, what dominance leaves, and in how many resamples of the\n"
        "episodes the pure equilibria stay the same. Exit code 1 when an episode ended in an error.",
        examples=[
            "gtalign tournament gtalign/PrisonersDilemma-v0 --players all_c,all_d,tit_for_tat,grim --option rounds=50",
            "gtalign tournament gtalign/StagHunt-v0 --players nash,maximin,quantal:rationality=2,level_k:k=2 --json",
            "gtalign tournament gtalign/Trigame-v0 --players sequential,welfare,random --episodes 200 --seed 1",
            "gtalign tournament gtalign/Assist-v0 --users concise,hurried,expert \\",
            "    --assistants heuristic,fixed:DA_short,fixed:CQ --pricing per_token --out runs/cross.jsonl",
        ],
    )
    parser.add_argument(
        "scenario", metavar="ID", help="what to play: an id of 'gtalign list', module:attr or file.py:attr"
    )
    parser.add_argument("--players", metavar="A,B,…", help="who sits in both chairs: names of 'gtalign list players'")
    parser.add_argument("--users", metavar="A,B,…", help="who sits in the user's chair: personas or players")
    parser.add_argument(
        "--assistants", metavar="A,B,…", help="who sits in the assistant's chair: assistants or players"
    )
    parser.add_argument("--episodes", type=at_least(1), default=10, metavar="N", help="episodes for each pair (10)")
    parser.add_argument("--resamples", type=at_least(100), default=2000, metavar="N", help="bootstrap resamples (2000)")
    add_seed(parser)
    add_game(parser)
    add_json(parser)


class _Results(NamedTuple):
    """What was played."""

    payoffs: Any
    """(users, assistants, episodes, 2), utils; NaN where an episode ended in an error."""
    errors: dict[str, int]
    """What went wrong, and how often."""


def run(args: argparse.Namespace) -> int:
    """Play, sum up and solve."""
    from gtalign_env.play import versions
    from gtalign_env.tournament import CrossPlay

    env = parallel_env(args.scenario, **game_options(args))
    users, assistants = _seated(args, env)
    names = [_names("user", users), _names("assistant", assistants)]
    with open_sink(args) as sink:
        results = _play(env, users, assistants, args, sink)
    whole = np.isfinite(results.payoffs).all(axis=(0, 1, 3))  # (episodes,): a seed that failed anywhere counts nowhere
    played = None
    if whole.any():
        played = CrossPlay(users=names[0], assistants=names[1], payoffs=results.payoffs[:, :, whole])
    report = None if played is None else _report(played, args)
    if args.json:
        told = {
            "scenario": env.origin[0],
            "options": env.origin[1],
            "seed": args.seed,
            "errors": sum(results.errors.values()),
        }
        print_json({**told, **(report or {"episodes": 0}), "out": args.out, "versions": versions()})
    else:
        _show(played, report, results, args)
    return 1 if results.errors else 0


def _seated(args: argparse.Namespace, env: GameEnv) -> tuple[list[Any], list[Any]]:
    """Return who sits where, having refused what cannot be played."""
    from gtalign_env.agents.assistants.bayes import expecting
    from gtalign_env.agents.players import split_specs
    from gtalign_env.agents.users import load_persona

    if args.players is not None and (args.users is not None or args.assistants is not None):
        raise UsageError("tournament: --players fills both chairs: leave out --users and --assistants")
    lists = {"--users": args.users, "--assistants": args.assistants}
    if args.players is not None:
        lists = dict.fromkeys(lists, args.players)
    specs = {option: split_specs(text or "") for option, text in lists.items()}
    if not all(specs.values()):
        example = _example(env)
        raise UsageError(
            "tournament: expected --players A,B,… or both --users A,B,… and --assistants A,B,…: nobody would play"
            + (f"; for instance {example}" if example else "")
        )
    if args.players is not None:
        _check_chairs(specs["--users"])
    users = [load_persona(spec) for spec in specs["--users"]]
    coming = ",".join(specs["--users"])  # each meets everybody equally often
    assistants = [seat_assistant(expecting(spec, coming), env) for spec in specs["--assistants"]]
    check_fit(env, users, assistants)
    return users, assistants


def _check_chairs(specs: Sequence[str]) -> None:
    """Refuse in ``--players`` those who can sit in one chair only.

    Raises:
        UsageError: There is one.
    """
    from gtalign_env.agents.players import is_player
    from gtalign_env.agents.users.trained_user import is_trained
    from gtalign_env.cli.engines import is_model
    from gtalign_env.registration import ASSISTANTS, PERSONAS

    for spec in specs:
        if is_player(spec) or is_trained(spec):
            continue
        if spec.partition(":")[0] in ASSISTANTS or is_model(spec):
            chair, option = "assistant", "--assistants"
        elif spec in PERSONAS or spec.endswith(".toml"):
            chair, option = "user", "--users"
        else:
            continue
        raise UsageError(
            f"tournament: --players fills both chairs, and {spec!r} sits in the {chair}'s only: name it in {option}, and who "
            f"sits opposite in {'--users' if chair == 'assistant' else '--assistants'}, as in --users concise,hurried "
            "--assistants heuristic,random"
        )


def _example(env: GameEnv) -> str:
    """Return how a small tournament of this game could be asked for; empty where nobody is known to play it."""
    if default_players(env)[0] == "default":
        return "--users concise,hurried --assistants heuristic,random"
    able = _able(env)
    return f"--players {','.join(able)}" if able else ""


def _able(env: GameEnv) -> list[str]:
    """Return players that can sit in both chairs of this game, as many as make a small tournament."""
    from gtalign_env.agents.users import load_persona
    from gtalign_env.registration import PLAYERS

    able: list[str] = []
    for name in PLAYERS:
        try:
            check_fit(env, [load_persona(name)], [seat_assistant(name, env)])
        except UsageError:  # made for other games
            continue
        able.append(name)
        if len(able) == _SUGGESTED:
            break
    return able


def _names(chair: str, players: Sequence[Any]) -> tuple[str, ...]:
    names = tuple(player.name for player in players)
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UsageError(f"tournament: {twice!r} would sit in the {chair}'s chair twice: name it once")
    return names


def _play(env: GameEnv, users: list[Any], assistants: list[Any], args: argparse.Namespace, sink: Sink) -> _Results:
    from gtalign_env.tournament import cross_play

    payoffs = np.full((len(users), len(assistants), args.episodes, 2), np.nan)
    errors: dict[str, int] = {}
    done = np.zeros(payoffs.shape[:2], dtype=int)
    with Progress("episodes", done.size * args.episodes) as progress:
        for row, column, episode in cross_play(env, users, assistants, episodes=args.episodes, seed=args.seed):
            episode.id = f"{sink.written}-{episode.seed}"
            episode.command = command_line(args.argv)
            episode.run_seed = args.seed
            sink.write(episode)
            if episode.ended == "error":
                message = one_line(" ".join(filter(None, map(episode.error.get, ("where", "type", "message")))))
                errors[message] = errors.get(message, 0) + 1
            else:
                payoffs[row, column, done[row, column]] = episode.totals()
            done[row, column] += 1
            progress.advance(f"({users[row].name} with {assistants[column].name})")
    return _Results(payoffs, errors)


def _report(played: CrossPlay, args: argparse.Namespace) -> dict[str, Any]:
    """Return the results as plain data."""
    import dataclasses

    from gtalign_env.tournament import meta_equilibria

    game = played.meta_game()
    sure = played.payoffs.shape[2] > 1
    low, high = played.intervals(_rng(args, 0), level=_LEVEL, resamples=args.resamples)
    found, complete = meta_equilibria(game)
    left = game.dominance("strict")
    ranking = played.ranking(_rng(args, 1), level=_LEVEL)
    cells = {
        side: {
            "mean": played.means[..., i].tolist(),
            "low": low[..., i].tolist() if sure else None,
            "high": high[..., i].tolist() if sure else None,
        }
        for i, side in enumerate(("user", "assistant"))
    }
    return {
        "episodes": played.payoffs.shape[2],
        "users": played.users,
        "assistants": played.assistants,
        "payoffs": cells,
        "level": _LEVEL,
        "ranking": [
            {
                **{key: value for key, value in vars(standing).items() if key != "interval"},
                "low": None if standing.interval is None else standing.interval.low,
                "high": None if standing.interval is None else standing.interval.high,
            }
            for standing in ranking
        ],
        "meta_game": {
            "pure_nash": game.pure_nash(),
            "nash": [
                {
                    "user": _mixture(played.users, one.user),
                    "assistant": _mixture(played.assistants, one.assistant),
                    "payoffs": {"user": float(one.user_payoff), "assistant": float(one.assistant_payoff)},
                    "exact": one.exact,
                }
                for one in found
            ],
            "nash_complete": complete,
            "pareto": game.pareto(),
            "dominance_log": [dataclasses.asdict(removal) for removal in left.log],
            "dominance_left": {"user": left.user_moves, "assistant": left.assistant_moves},
            "stability": played.stability(_rng(args, 2), resamples=args.resamples) if sure else None,
            "stability_reason": "" if sure else "one episode a pair",
            "resamples": args.resamples,
        },
    }


def _rng(args: argparse.Namespace, use: int) -> np.random.Generator:
    return np.random.default_rng([args.seed, _STREAM, use])


def _mixture(names: Sequence[str], chances: Sequence[Any]) -> dict[str, float]:
    return {name: float(chance) for name, chance in zip(names, chances, strict=True) if chance > 0}


def _show(played: CrossPlay | None, report: dict[str, Any] | None, results: _Results, args: argparse.Namespace) -> None:
    """Print the results for people."""
    import sys

    from gtalign_env.cli.tournament_tables import tournament_lines

    for message, count in results.errors.items():
        print(f"gtalign: {counted(count, 'episode')} ended in an error: {message}", file=sys.stderr)
    if played is None or report is None:
        print("gtalign: no seed was played to the end by every pair: there is nothing to compare", file=sys.stderr)
        return
    console = make_console()
    for line in tournament_lines(played, report, console.width):
        console.print(line)
    if args.out:
        print(f"{counted(results.payoffs[..., 0].size, 'episode')} in {args.out}")
