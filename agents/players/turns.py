"""Rules of play for trees of moves: chances at every decision, computed from the ends."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import numpy as np

from gtalign_env.agents.players.seat import Floats, best, other_role, uniform
from gtalign_env.errors import UsageError
from gtalign_env.finite import FiniteScenario
from gtalign_env.games import Decision, GameTree
from gtalign_env.types import Role

__all__ = ["Behaviour", "Rule", "by_level", "decisions_by_state", "roll_back", "selfish", "unit"]

Behaviour: TypeAlias = "dict[int, Floats]"
"""From ``id`` of a decision to the chance of each of its moves, in their order."""
Rule: TypeAlias = "Callable[[Decision, Floats, Floats], Floats]"
"""From a decision and the expected payoffs (user's, assistant's) behind each of its moves to the chance of each move."""


def roll_back(tree: GameTree, rule: Rule) -> Behaviour:
    """Return what a rule chooses at every decision of a tree, given that it also chooses at those behind it.

    A subtree that several moves lead to is visited once, and nothing recurses.

    Args:
        tree: The game.
        rule: Chooses at one decision, for either player.

    Example:
        >>> from gtalign_env.games import Leaf
        >>> tree = GameTree(Decision("user", {"stop": Leaf(0, 2), "go": Leaf(1, 1)}))
        >>> selfish = lambda at, user, assistant: unit(best(user if at.player == "user" else assistant), len(user))
        >>> roll_back(tree, selfish)[id(tree.root)].tolist()
        [0.0, 1.0]
    """
    values = np.empty((len(tree.nodes.items), 2))  # utils of the user and of the assistant, node by node
    behaviour: Behaviour = {}
    for index, (node, children) in enumerate(zip(tree.nodes.items, tree.nodes.children, strict=True)):
        if isinstance(node, Decision):
            behind = values[list(children)]  # (moves, 2)
            chances = behaviour[id(node)] = rule(node, behind[:, 0], behind[:, 1])
            values[index] = chances @ behind
        else:
            values[index] = node.user, node.assistant
    return behaviour


def by_level(tree: GameTree, role: Role, level: int, reply: Callable[[Floats], Floats]) -> Behaviour:
    """Return how a player of a level plays a tree: it replies to the level below in the other chair; level 0 is uniform.

    Args:
        tree: The game.
        role: Whose chances at its own decisions are wanted; those at the other's are of the level below.
        level: How many steps it thinks (>= 0).
        reply: From the expected payoffs of one's own moves to their chances.
    """
    below: Behaviour = roll_back(tree, lambda at, user, assistant: uniform(len(user)))
    for step in range(1, level + 1):
        thinker = role if (level - step) % 2 == 0 else other_role(role)
        below = roll_back(tree, _replying(thinker, below, reply))
    return below


@functools.lru_cache(maxsize=16)
def decisions_by_state(scenario: FiniteScenario) -> dict[int, Decision]:
    """Return the decision of its tree at which a compiled game of turns stands, for every state that legal moves lead to.

    The tables and the tree are walked side by side. What is no move of the tree, such as a word before it, leaves the tree where
    it is.

    Args:
        scenario: A scenario whose ``game`` is a ``GameTree``.

    Raises:
        UsageError: One state stands for several decisions.

    Example:
        >>> from gtalign_env.registration import make_scenario
        >>> list(decisions_by_state(make_scenario("monopoly"))[0].moves)
        ['stay_out', 'enter']
    """
    tables = scenario.tables
    first = int(np.argmax(tables.initial))
    found: dict[int, Decision] = {first: scenario.game.root}
    ahead = [first]
    while ahead:
        state = ahead.pop()
        for role, move, following in _legal_steps(scenario, state):
            node = found[state]
            behind = node.moves.get(move, node) if node.player == role else node
            if not isinstance(behind, Decision) or following == tables.terminal:
                continue
            if following not in found:
                found[following] = behind
                ahead.append(following)
            elif found[following] is not behind:
                raise UsageError(
                    f"scenario {scenario.name!r}: expected states that tell where in the tree the game stands"
                )
    return found


def _legal_steps(scenario: FiniteScenario, state: int) -> Iterator[tuple[Role, str, int]]:
    """Yield who may do what in a state of a game of turns, and the state that follows."""
    tables = scenario.tables
    sides: tuple[tuple[Role, Any, Any, Any], ...] = (
        ("user", tables.user_mask, tables.user_act, tables.assistant_act),
        ("assistant", tables.assistant_mask, tables.assistant_act, tables.user_act),
    )
    for role, mask, acts, waits in sides:
        names = scenario.moves(role)
        waiting = waits[scenario.moves(other_role(role)).index("WAIT")]
        for index in np.flatnonzero(mask[state]):
            if names[index] != "WAIT":
                pair = (acts[index], waiting) if role == "user" else (waiting, acts[index])
                yield role, names[index], int(tables.next_state[state, pair[0], pair[1], 0])


def _replying(role: Role, others: Behaviour, reply: Callable[[Floats], Floats]) -> Rule:
    def rule(at: Decision, user: Floats, assistant: Floats) -> Floats:
        if at.player != role:
            return others[id(at)]
        return reply(user if role == "user" else assistant)

    return rule


def unit(place: int, count: int) -> Floats:
    """Return the chances of one move for certain.

    Example:
        >>> unit(1, 3).tolist()
        [0.0, 1.0, 0.0]
    """
    chances: Floats = np.eye(count)[place]
    return chances


def selfish(at: Decision, user: Floats, assistant: Floats) -> Floats:
    """Choose what is best for whoever moves; ties go to the move listed first.

    Example:
        >>> from gtalign_env.games import Leaf
        >>> node = Decision("assistant", {"share": Leaf(2, 1), "fight": Leaf(-1, -1)})
        >>> selfish(node, np.array([2.0, -1.0]), np.array([1.0, -1.0])).tolist()
        [1.0, 0.0]
    """
    return unit(best(user if at.player == "user" else assistant), len(user))
