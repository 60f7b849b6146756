"""What ``gtalign solve --optimal`` finds out, as plain data, remembered on disk as a whole."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from gtalign_env.errors import UsageError

if TYPE_CHECKING:
    from gtalign_env.finite import FiniteScenario
    from gtalign_env.optimal import Optimum, Problem
    from gtalign_env.optimal.problem import Asking
    from gtalign_env.optimal.strategy import Strategy

__all__ = ["Asked", "asking_groups", "policy_in_words", "report", "situation_words"]

_ROUGH = 1e-5
"""How exact the optima beside the main one are."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Asked:
    """What a report is about."""

    scenario: FiniteScenario
    users: Any = None
    """Who comes, as ``population`` takes it."""
    objective: str = "cobb_douglas"
    aggregation: Literal["ser", "esr"] = "ser"
    tolerance: float = _ROUGH
    sessions: int = 2000
    """Sessions that the heuristic plays."""


def report(asked: Asked, *, cache: bool = True, progress: Callable[[str], None] | None = None) -> dict[str, Any]:
    """Return the optimum, its policies in words, what others lose to it, and what questions and knowledge are worth.

    Args:
        asked: What it is about.
        cache: Whether to look on disk first, and to remember there.
        progress: Told in a few words what is going on.

    Returns:
        Plain data. ``remembered`` says whether all of it was read from disk, ``optimum_remembered`` whether the optimum was.

    Example:
        >>> from gtalign_env.registration import make_scenario
        >>> found = report(Asked(scenario=make_scenario("assist", questions=1), users="concise", sessions=2), cache=False)
        >>> found["value"] <= found["upper"], found["remembered"], [row["policy"] for row in found["others"]][-1]
        (True, False, 'heuristic')
    """
    from gtalign_env.agents.users import population_kernels
    from gtalign_env.optimal import Problem, optimum
    from gtalign_env.optimal.disk import written
    from gtalign_env.optimal.frontier import concave
    from gtalign_env.specs import to_spec

    objective = str(to_spec(concave(asked.objective)[0]))  # refused at once, where it is none
    asked = dataclasses.replace(asked, objective=objective)
    kernels = population_kernels(asked.users, asked.scenario)
    place = _place(asked, kernels) if cache else None
    found = None if place is None else _read(place)
    if found is not None:
        return {**found, "remembered": True, "optimum_remembered": True}
    problem = Problem(asked.scenario, kernels, progress=progress)
    best = optimum(
        asked.scenario,
        kernels,
        objective=asked.objective,
        aggregation=asked.aggregation,
        tolerance=asked.tolerance,
        cache=cache,
        progress=progress,
        problem=problem,
    )
    made = {
        **best.as_dict(),
        "by_kind": _by_kind(best),
        "policies": [{"share": share, **policy_in_words(problem, strategy)} for share, strategy in best.policies],
        "others": _others(asked, problem, best),
    }
    if best.aggregation == "ser":
        made |= _information(problem, best)
    data = json.dumps({**made, "remembered": False, "optimum_remembered": best.remembered})
    if place is not None:
        written(place, lambda file: file.write(data.encode()))
    plain: dict[str, Any] = json.loads(data)  # as it will be read, the first time as well
    return plain


# -- on disk ----------------------------------------------------------------------------------------------------------------


def _place(asked: Asked, kernels: Sequence[Any]) -> Path:
    """Return the file of a report.

    It depends on the optimum's settings, on what moves and states are called, and on who plays the heuristic's sessions, and how.
    """
    from gtalign_env import play
    from gtalign_env.agents.assistants import heuristic
    from gtalign_env.agents.users import population
    from gtalign_env.kernels import normalised
    from gtalign_env.optimal.disk import cache_folder, digest

    code = hashlib.sha256()
    for file in (__file__, heuristic.__file__, play.__file__):
        code.update(Path(str(file)).read_bytes())
    mix, scenario, tables = population(asked.users), asked.scenario, asked.scenario.tables
    settings = {
        "report": code.hexdigest(),
        "names": [scenario.name, tables.user_moves, tables.assistant_moves, list(tables.axes.items())],
        "layout": list(scenario.layout.slots.items()),
        "personas": [[persona.name, share] for persona, share in zip(mix.personas, mix.shares, strict=True)],
        "objective": asked.objective,
        "aggregation": asked.aggregation,
        "tolerance": asked.tolerance,
        "sessions": asked.sessions,
    }
    name = digest(scenario, normalised(kernels), scenario.pricing, settings)
    return cache_folder() / f"{name}.json"


def _read(place: Path) -> dict[str, Any] | None:
    """Return what a file holds; ``None`` where there is none or it cannot be read."""
    try:
        found: dict[str, Any] = json.loads(place.read_bytes())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and "value" in found else None


# -- its parts --------------------------------------------------------------------------------------------------------------


def _others(asked: Asked, problem: Problem, best: Optimum) -> list[dict[str, Any]]:
    """Return what other policies have, and the share of the optimum that they lose."""
    rows = []
    worth = _objective(best)
    if best.aggregation == "ser":
        for move in asked.scenario.tables.assistant_moves:
            try:
                user, assistant = problem.fixed(move)
            except UsageError:  # not always legal, so nobody can play it for ever
                continue
            value = _lost(worth(user, assistant), best)
            rows.append({"policy": f"fixed:{move}", **value, "user": user, "assistant": assistant})
    played = _heuristic(asked, problem, best)
    return rows if played is None else [*rows, played]


def _heuristic(asked: Asked, problem: Problem, best: Optimum) -> dict[str, Any] | None:
    """Let the heuristic play; ``None`` in games that it does not know."""
    import numpy as np

    import gtalign_env
    from gtalign_env.agents.assistants import make_assistant
    from gtalign_env.agents.users import population
    from gtalign_env.play import play_many
    from gtalign_env.spaces import ASSIST_LAYOUT

    env = gtalign_env.parallel_env(asked.scenario)
    if env.layout != ASSIST_LAYOUT:
        return None
    count = asked.sessions
    problem.progress("the heuristic plays")
    users, assistant = population(asked.users), make_assistant("heuristic")
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
            rows[name] = best.value - _without(problem, moves, best)
    asked = [move for name, moves in groups.items() if name != "answer" for move in moves]
    if len(rows) > 1:
        rows["any question"] = best.value - _without(problem, asked, best)
    openings: Sequence[Asking] = problem.asking(best.weights, groups) if rows else ()
    told = problem.told(best.objective, tolerance=_ROUGH)
    return {
        "value_of_questions": rows,
        "openings": [dataclasses.asdict(one) for one in openings],
        "told": {"value": told.value, "user": told.payoffs[0], "assistant": told.payoffs[1]},
        "value_of_knowing": told.value - best.value,
    }


def _without(problem: Problem, moves: Sequence[str], best: Optimum) -> float:
    """Return the optimum of the game without some moves."""
    return problem.without(moves).best(best.objective, tolerance=_ROUGH, near=best.weights).value


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
        where = situation_words(tables.coordinates(state))
        _count(opening.setdefault(where, {}), first_move, chance)
        for step, belief in steps(game, strategy, place, game.prior):
            move = game.moves[strategy.move(step.place)]
            then = situation_words(tables.coordinates(step.state), tables.coordinates(state))
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


def situation_words(coordinates: Mapping[str, str], before: Mapping[str, str] | None = None) -> str:
    """Return a public state in few words: the question, whether it is the one before, and how it stands.

    Example:
        >>> situation_words({"question": "1", "kind": "simple", "clarity": "vague", "exchange": "0"}, {"question": "0"})
        'next question, simple, vague'
    """
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
