"""``gtalign solve --optimal``: the Bayes-optimal assistant against a population, its policy in words, what others lose to it."""

from __future__ import annotations

import argparse
import dataclasses
import math
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from gtalign_env.cli.common import at_least, print_json, read_options
from gtalign_env.cli.solve_words import Fact, fact_lines, pair, utils
from gtalign_env.errors import UsageError
from gtalign_env.registration import make_scenario, scenario_id

if TYPE_CHECKING:
    from rich.text import Text

    from gtalign_env.finite import FiniteScenario
    from gtalign_env.optimal import Optimum, Problem
    from gtalign_env.optimal.problem import Asking
    from gtalign_env.optimal.strategy import Strategy

__all__ = ["add_options", "asking_groups", "policy_in_words", "refuse", "run"]

_CLASHES = ("state", "type", "criterion", "plot")
_ROUGH = 1e-5
"""How exact the optima beside the main one are."""
_SHOWN = 0.005
"""Shares of a mixture of moves below which none is named."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``--optimal``."""
    best = parser.add_argument_group("the best assistant against a population (--optimal)")
    best.add_argument("--optimal", action="store_true", help="solve the whole session for the assistant's chair")
    best.add_argument(
        "--objective",
        metavar="W",
        help="the welfare to maximise, e.g. utilitarian, user_only or ces:rho=-1 (cobb_douglas)",
    )
    best.add_argument(
        "--aggregation",
        choices=("ser", "esr"),
        help="ser: welfare of mean payoffs; esr: mean welfare of sessions (ser)",
    )
    best.add_argument(
        "--users", metavar="SPEC", help="who comes: personas with weights, e.g. concise=2,expert (the default mix)"
    )
    best.add_argument("--tolerance", type=float, metavar="T", help="how far apart both bounds may stay (1e-5)")
    best.add_argument("--sessions", type=at_least(2), metavar="N", help="sessions that the heuristic plays (2000)")
    best.add_argument("--no-cache", action="store_true", help="solve anew, and remember nothing on disk")


def refuse(args: argparse.Namespace) -> None:
    """Refuse options that mean nothing without ``--optimal``.

    Raises:
        UsageError: There is one.
    """
    for name in ("objective", "aggregation", "users", "tolerance", "sessions"):
        if getattr(args, name) is not None:
            raise UsageError(f"--{name}: for the best assistant against a population only; add --optimal")


def run(args: argparse.Namespace) -> int:
    """Solve and show."""
    for name in _CLASHES:
        if getattr(args, name) is not None:
            raise UsageError(f"--{name}: --optimal solves the whole session; leave it out, or leave --optimal out")
    if args.pricing is not None:
        from gtalign_env.cli.solve import read_pricings

        if len(read_pricings(args.pricing)) > 1:
            raise UsageError(f"--pricing: expected one with --optimal, got {args.pricing!r}")
    found = _Report(args).made()
    if args.json:
        print_json(found)
    else:
        _show(found)
    return 0


class _Report:
    """All that is found out, as plain data."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        self.scenario = _scenario(args)
        self.began = time.perf_counter()

    def made(self) -> dict[str, Any]:
        """Return the results."""
        from gtalign_env.agents.users import population, population_kernels
        from gtalign_env.optimal import Problem, optimum
        from gtalign_env.play import versions

        args, scenario = self.args, self.scenario
        tell = _told if sys.stderr.isatty() else None
        kernels = population_kernels(args.users, scenario)
        best = optimum(
            scenario,
            kernels,
            objective=args.objective or "cobb_douglas",
            aggregation=args.aggregation or "ser",
            tolerance=_ROUGH if args.tolerance is None else args.tolerance,
            cache=not args.no_cache,
            progress=tell,
        )
        problem = Problem(scenario, kernels, progress=tell)
        made = {
            "scenario": scenario_id(args.scenario),
            "users": population(args.users).name,
            "pricing": str(scenario.config.get("pricing", "")),
            **best.as_dict(),
            "by_kind": _by_kind(best),
            "policies": [{"share": share, **policy_in_words(problem, strategy)} for share, strategy in best.policies],
            "others": self._others(problem, best),
        }
        if best.aggregation == "ser":
            made |= _information(problem, best)
        if tell is not None:
            tell("")
        return {**made, "seconds_in_all": time.perf_counter() - self.began, "versions": versions()}

    def _others(self, problem: Problem, best: Optimum) -> list[dict[str, Any]]:
        """Return what other policies have, and the share of the optimum that they lose."""
        rows = []
        worth = _objective(best)
        if best.aggregation == "ser":
            for move in self.scenario.tables.assistant_moves:
                try:
                    user, assistant = problem.fixed(move)
                except UsageError:  # not always legal, so nobody can play it for ever
                    continue
                rows.append(
                    {
                        "policy": f"fixed:{move}",
                        **_lost(worth(user, assistant), best),
                        "user": user,
                        "assistant": assistant,
                    }
                )
        played = self._heuristic(best)
        return rows if played is None else [*rows, played]

    def _heuristic(self, best: Optimum) -> dict[str, Any] | None:
        """Let the heuristic play; ``None`` in games that it does not know."""
        import numpy as np

        import gtalign_env
        from gtalign_env.agents.assistants import make_assistant
        from gtalign_env.agents.users import population
        from gtalign_env.play import play_many
        from gtalign_env.spaces import ASSIST_LAYOUT

        env = gtalign_env.parallel_env(self.scenario)
        if env.layout != ASSIST_LAYOUT:
            return None
        count = self.args.sessions or 2000
        users, assistant = population(self.args.users), make_assistant("heuristic")
        totals = np.array(
            [
                [sum(step.user.payoff for step in episode.steps), sum(step.assistant.payoff for step in episode.steps)]
                for episode in play_many(env, users, assistant, episodes=count)
            ]
        )
        worth = _objective(best)
        mean = totals.mean(axis=0)
        if best.aggregation == "esr":
            each = np.asarray(worth(totals[:, 0], totals[:, 1]))
            value, error = float(each.mean()), float(each.std(ddof=1) / math.sqrt(count))
        else:
            value = float(worth(*mean))
            slope = np.array([worth(mean[0] + 1e-5, mean[1]) - value, worth(mean[0], mean[1] + 1e-5) - value]) / 1e-5
            error = math.sqrt(max(float(slope @ np.cov(totals.T) @ slope), 0.0) / count)
        low, high = value - 1.96 * error, value + 1.96 * error
        return {
            "policy": "heuristic",
            **_lost(value, best),
            "interval": [low, high],
            "sessions": count,
            "user": float(mean[0]),
            "assistant": float(mean[1]),
        }


def _scenario(args: argparse.Namespace) -> FiniteScenario:
    from gtalign_env.finite import FiniteScenario

    options = read_options(args.option)
    for name in ("payoff", "pricing"):
        if getattr(args, name) is not None:
            options[name] = getattr(args, name)
    scenario = make_scenario(args.scenario, **options)
    if not isinstance(scenario, FiniteScenario):
        raise UsageError(
            f"{args.scenario}: expected a game of moves with --optimal (gtalign list shows them as strategic)"
        )
    return scenario


def _objective(best: Optimum) -> Any:
    from gtalign_env.welfare import make_welfare

    return make_welfare(best.objective)


def _lost(value: float, best: Optimum) -> dict[str, float | None]:
    """Return a value and the share of the optimum that it falls short of; one without any gain loses all there is."""
    lost = 1.0 - max(float(value), 0.0) / best.value if best.value > 0.0 else None
    return {"value": float(value), "lost": lost}


def _by_kind(best: Optimum) -> dict[str, dict[str, float]]:
    """Return what each kind of user, and the assistant with it, has of the optimum."""
    mixed = sum(share * strategy.by_kind for share, strategy in best.policies)
    return {
        kind: {"user": float(user), "assistant": float(assistant)}
        for kind, (user, assistant) in zip(best.kinds, mixed, strict=True)  # type: ignore[arg-type]
    }


def _information(problem: Problem, best: Optimum) -> dict[str, Any]:
    """Return what asking is worth, and what it would be worth to know the kind of user."""
    groups = asking_groups(problem.game.moves)
    rows = {}
    for name, moves in groups.items():
        if name != "answer":
            rows[name] = best.value - problem.without(moves).best(best.objective, tolerance=_ROUGH).value
    asked = [move for name, moves in groups.items() if name != "answer" for move in moves]
    if len(rows) > 1:
        rows["any question"] = best.value - problem.without(asked).best(best.objective, tolerance=_ROUGH).value
    openings: Sequence[Asking] = problem.asking(best.weights, groups) if rows else ()
    told = problem.told(best.objective, tolerance=_ROUGH)
    return {
        "value_of_questions": rows,
        "openings": [dataclasses.asdict(one) for one in openings],
        "told": {"value": told.value, "user": told.payoffs[0], "assistant": told.payoffs[1]},
        "value_of_knowing": told.value - best.value,
    }


def asking_groups(moves: Sequence[str]) -> dict[str, list[str]]:
    """Return the moves that ask, by their act, and all others under ``answer``.

    Example:
        >>> asking_groups(["DA_short", "AQ_short", "AQ_long", "CQ", "DECLINE"])
        {'answer': ['DA_short', 'DECLINE'], 'AQ': ['AQ_short', 'AQ_long'], 'CQ': ['CQ']}
    """
    from gtalign_env.types import ASSISTANT_MOVES

    asks = {move.name: move.act for move in ASSISTANT_MOVES if move.asks}
    groups: dict[str, list[str]] = {"answer": []}
    for move in moves:
        groups.setdefault(asks.get(move, "answer"), []).append(move)
    return groups


# -- a policy in words ------------------------------------------------------------------------------------------------------


def policy_in_words(problem: Problem, strategy: Strategy) -> dict[str, Any]:
    """Return what a strategy does in the opening, next, and after each reaction: shares of moves by situation."""
    from gtalign_env.optimal.strategy import steps

    game, tables = problem.game, problem.scenario.tables
    opening: dict[str, dict[str, float]] = {}
    second: dict[str, dict[str, dict[str, float]]] = {}
    third: dict[str, dict[str, dict[str, float]]] = {}
    for at in game.start.nonzero()[0]:
        state, chance = int(game.state[at]), float(game.start[at])
        place = strategy.begin(state)
        first_move = game.moves[strategy.move(place)]
        where = _situation(tables.coordinates(state))
        _count(opening.setdefault(where, {}), first_move, chance)
        for step, belief in steps(game, strategy, place, game.prior):
            move = game.moves[strategy.move(step.place)]
            then = _situation(tables.coordinates(step.state), tables.coordinates(state))
            _count(second.setdefault(f"{where}: {first_move}", {}).setdefault(then, {}), move, chance * step.chance)
            for after, _ in steps(game, strategy, step.place, belief):
                heard = _heard(problem, step.place.pair, after.message)
                following = game.moves[strategy.move(after.place)]
                _count(
                    third.setdefault(first_move, {}).setdefault(heard, {}),
                    following,
                    chance * step.chance * after.chance,
                )
    return {
        "opening": {where: _shares(moves) for where, moves in opening.items()},
        "next": {first: {then: _shares(moves) for then, moves in rows.items()} for first, rows in second.items()},
        "after_reactions": {
            first: {heard: _shares(moves) for heard, moves in rows.items()} for first, rows in third.items()
        },
    }


def _situation(coordinates: Mapping[str, str], before: Mapping[str, str] | None = None) -> str:
    """Return a public state in few words: the question, whether it is the one before, and how it stands."""
    named = [(name, value) for name, value in coordinates.items() if name not in ("question", "exchange")]
    words = [value if name in ("kind", "clarity") else f"{name} {value}" for name, value in named]
    if before is not None and "question" in coordinates:
        words.insert(0, "same question" if coordinates["question"] == before["question"] else "next question")
    return ", ".join(words) or "opening"


def _heard(problem: Problem, pair_: int, message: int) -> str:
    """Return what the user has said: the reaction, where its moves have one."""
    from gtalign_env.types import USER_MOVES

    names = problem.scenario.tables.user_moves
    reactions = {move.name: "leaves" if move.reaction is None else move.reaction for move in USER_MOVES}
    said = [names[int(u)] for u in (problem.game.message[pair_] == message).nonzero()[0]]
    return "/".join(dict.fromkeys(reactions.get(name, name) for name in said))


def _count(shares: dict[str, float], move: str, chance: float) -> None:
    shares[move] = shares.get(move, 0.0) + chance


def _shares(moves: Mapping[str, float]) -> dict[str, float]:
    total = sum(moves.values())
    return {move: share / total for move, share in sorted(moves.items(), key=lambda item: -item[1])}


# -- showing ----------------------------------------------------------------------------------------------------------------


def _told(words: str) -> None:
    """Say what is going on, on one line of the terminal."""
    sys.stderr.write(f"\r\x1b[K{words}")
    sys.stderr.flush()


def _show(found: Mapping[str, Any]) -> None:
    from rich.text import Text

    from gtalign_env.cli.screen import Trimmed, output_width
    from gtalign_env.replay.speech import wrapped
    from gtalign_env.replay.style import make_console, pick_scheme

    width = output_width()
    stream: Any = Trimmed(sys.stdout)
    console = make_console(stream, width=width, scheme=pick_scheme("auto"))
    title = f"{found['scenario']} · the best assistant · {found['users']} · {found['pricing']}"
    lines: list[Text] = [*wrapped(Text(title, style="strong"), width), Text("")]
    for number, block in enumerate(_blocks(found)):
        lines += [Text("")] if number else []
        lines += fact_lines(block, width)
    for line in lines:
        console.print(line)


def _blocks(found: Mapping[str, Any]) -> Iterator[list[Fact]]:
    yield list(_value_facts(found))
    for policy in found["policies"]:
        yield list(_policy_facts(policy, alone=len(found["policies"]) == 1))
    yield list(_other_facts(found))
    if found.get("value_of_questions"):
        yield list(_question_facts(found))
    if "told" in found:
        told = found["told"]
        has = f"{_number(told['value'])} ({pair(told['user'], told['assistant'])})"
        more = _number(found["value_of_knowing"])
        yield [("knowing", f"told at the start who comes, an assistant has {has}: {more} more")]
    places = f"{found['pairs']:,} pairs of state and context ({found['contexts']:,} contexts)"
    times = f"{found['seconds']:.1f} s to solve, {found['seconds_in_all']:.1f} s in all"
    yield [("work", f"{places}, {found['searched']:,} beliefs; {times}")]


def _value_facts(found: Mapping[str, Any]) -> Iterator[Fact]:
    of = "the mean payoffs" if found["aggregation"] == "ser" else "single sessions, on average"
    yield "objective", f"{found['objective']} of {of} ({found['aggregation']})"
    if found["error"]:
        played = f"{found['value']:.4f} ± {1.96 * found['error']:.4f}"
        yield (
            "value",
            f"{played}, what the policy below has in sessions played; no policy has more than {found['upper']:.4f}",
        )
    elif found["exact"]:
        yield "value", f"{found['value']:.6f}; proved: no policy has more than {found['upper']:.6f}"
    else:
        yield "value", f"{found['value']:.6f}, a policy that was found; none has more than {found['upper']:.6f}"
    yield "payoffs", pair(found["user"], found["assistant"])
    yield "", "; ".join(f"{kind} {pair(row['user'], row['assistant'])}" for kind, row in found["by_kind"].items())


def _policy_facts(policy: Mapping[str, Any], *, alone: bool) -> Iterator[Fact]:
    yield "policy" if alone else f"with {policy['share']:.1%}", "in the opening:"
    for where, moves in policy["opening"].items():
        yield "", f"{where}: {_mixed(moves)}"
        first = next(iter(moves))
        for said, where_to in _grouped(policy["next"].get(f"{where}: {first}", {})):
            yield "", f"   {said}: {where_to}"
    for first, rows in policy["after_reactions"].items():
        yield "", f"{first} was met with"
        for heard, moves in rows.items():
            yield "", f"   {heard}: {_mixed(moves)}"


def _other_facts(found: Mapping[str, Any]) -> Iterator[Fact]:
    label = "others lose" if found["value"] > 0.0 else "others"
    for row in sorted(found["others"], key=lambda row: -row["value"]):
        lost = "" if row["lost"] is None else f" {row['lost']:.1%}"
        said = f"{row['policy']}{lost} ({_number(row['value'])}; {pair(row['user'], row['assistant'])})"
        if "interval" in row:
            low, high = row["interval"]
            said += f", played {row['sessions']:,} times, 95 % of {_number(low)} to {_number(high)}"
        yield label, said
        label = ""


def _question_facts(found: Mapping[str, Any]) -> Iterator[Fact]:
    rows = found["value_of_questions"]
    yield "asking is worth", ", ".join(f"{name} {_number(value)}" for name, value in rows.items())
    weights = found["weights"]
    yield "", f"first move of a session, at {utils(weights[0])}·U + {utils(weights[1])}·L, against the best answer:"
    for row in found["openings"]:
        best = row["best"]
        gains = [f"{name} {best[name] - best['answer']:+.3f}".replace("-", "−") for name in best if name != "answer"]
        yield "", f"{_situation(row['opening'])}: {', '.join(gains)}"


def _grouped(rows: Mapping[str, Mapping[str, float]]) -> Iterator[tuple[str, str]]:
    """Yield moves with the situations in which they follow."""
    groups: dict[str, list[str]] = {}
    for then, moves in rows.items():
        groups.setdefault(_mixed(moves), []).append(then)
    for said, situations in groups.items():
        yield said, "; ".join(situations)


def _mixed(moves: Mapping[str, float]) -> str:
    kept = [(move, share) for move, share in moves.items() if share >= _SHOWN]
    if len(kept) == 1:
        return kept[0][0]
    return ", ".join(f"{move} {share:.0%}" for move, share in kept)


def _number(value: float) -> str:
    return f"{value:.4f}".replace("-", "−")
