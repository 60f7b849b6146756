"""Compile a game tree into a finite scenario.

The states are the tree's decisions. Whoever decides there is to move, the other waits; payoffs are paid on reaching a leaf, and
that is the end. An illegal move ends the game: its player gets the worst, and the other the best, that any leaf which could
still be reached would have paid, so that whoever makes it never profits, and the other never loses by it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gtalign_env.errors import UsageError
from gtalign_env.finite import FiniteScenario
from gtalign_env.games import Decision, GameTree, Leaf
from gtalign_env.payoffs import on_grid
from gtalign_env.scenarios.talk.compiled import WAIT, Compiled, Mover, check_size, nothing_happens
from gtalign_env.scenarios.talk.config import Talk
from gtalign_env.scenarios.talk.game import open_game
from gtalign_env.tables import GameTables, PayoffTables
from gtalign_env.types import Role

__all__ = ["tree_scenario"]


def tree_scenario(
    tree: GameTree,
    *,
    name: str,
    description: str = "",
    talk: Talk | None = None,
    config: Mapping[str, Any] | None = None,
    recipe: tuple[Callable[..., FiniteScenario], Mapping[str, Any]] | None = None,
) -> FiniteScenario:
    """Return the scenario in which a game tree is played once.

    A player's moves are the names of all moves that the tree gives it, in the order in which a reader of the tree meets them, and
    ``WAIT``. The state's one coordinate, ``node``, is the path of moves that led there (``""`` at the root).

    Args:
        tree: The game.
        name: The scenario's name.
        description: One sentence for lists.
        talk: How the players talk before every move; not at all when ``None``.
        config: What ``describe`` and records show as the game's settings; the options of talk when ``None``.
        recipe: A factory and its keyword arguments from which the scenario is rebuilt when unpickled.

    Raises:
        UsageError: A move is called ``WAIT``, or the tables would not fit.

    Example:
        >>> from gtalign_env.games import Decision, GameTree, Leaf
        >>> tree = GameTree(Decision("user", {"keep": Leaf(1, 0), "trust": Decision("assistant", {
        ...     "share": Leaf(2, 2), "take": Leaf(0, 4)})}))
        >>> game = tree_scenario(tree, name="trust")
        >>> game.moves("user"), game.moves("assistant"), game.tables.axes["node"]
        (('keep', 'trust', 'WAIT'), ('share', 'take', 'WAIT'), ('', 'trust'))
    """
    decisions = tree.decisions()
    plan = _Plan.of(decisions)
    for role in ("user", "assistant"):
        if WAIT in plan.moves(role):
            raise UsageError(
                f"scenario {name!r}: a move of the {role} is called {WAIT!r}, which means something; rename it"
            )
    check_size(name, plan.shape)
    movers: list[Mover] = [*(decision.player for decision in decisions.values()), ""]
    given = {"tree": tree, "name": name, "description": description, "talk": talk}
    return open_game(
        name=name,
        description=description,
        game=tree,
        compiled=Compiled(_tables(plan), _payoff_tables(plan), movers),
        talk=talk or Talk(),
        rounds=1,
        config=(talk.options() if talk else {}) if config is None else config,
        recipe=recipe or (tree_scenario, given),
    )


class _Plan(NamedTuple):
    """What the tables are made from."""

    decisions: dict[str, Decision]
    """By path, in the order of the states."""
    places: Mapping[str, int]
    """Index of the state, by path."""
    user_moves: tuple[str, ...]
    assistant_moves: tuple[str, ...]

    @classmethod
    def of(cls, decisions: dict[str, Decision]) -> _Plan:
        found: dict[Role, dict[str, None]] = {"user": {}, "assistant": {}}
        for decision in decisions.values():
            found[decision.player].update(dict.fromkeys(decision.moves))
        places = {path: state for state, path in enumerate(decisions)}
        return cls(decisions, places, tuple(found["user"]), tuple(found["assistant"]))

    def moves(self, role: Role) -> tuple[str, ...]:
        """Return a player's moves, ``WAIT`` not among them."""
        return self.user_moves if role == "user" else self.assistant_moves

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(states, user acts, assistant acts, branches): a player's acts are its moves, and one for all else."""
        return len(self.decisions) + 1, len(self.user_moves) + 1, len(self.assistant_moves) + 1, 1

    def entries(self, path: str, move: str) -> tuple[int, Any, Any]:
        """Return where the tables hold what a move leads to, whatever the one who waits does."""
        role = self.decisions[path].player
        act = self.moves(role).index(move)
        return (self.places[path], act, slice(None)) if role == "user" else (self.places[path], slice(None), act)


def _path_after(path: str, move: str) -> str:
    return f"{path}/{move}" if path else move


def _tables(plan: _Plan) -> GameTables:
    shape = plan.shape
    states = shape[0]
    following = np.full(shape, states - 1, dtype=np.int32)
    masks = {role: np.zeros((states, len(plan.moves(role)) + 1), dtype=np.int8) for role in ("user", "assistant")}
    for state, (path, decision) in enumerate(plan.decisions.items()):
        for move, node in decision.moves.items():
            masks[decision.player][state, plan.moves(decision.player).index(move)] = 1
            if not isinstance(node, Leaf):
                following[plan.entries(path, move)] = plan.places[_path_after(path, move)]
        masks["assistant" if decision.player == "user" else "user"][state, -1] = 1
    for mask in masks.values():
        mask[-1] = 1  # after the end nothing is refused
    initial = np.zeros(states)
    initial[0] = 1.0
    return GameTables(
        user_moves=(*plan.user_moves, WAIT),
        assistant_moves=(*plan.assistant_moves, WAIT),
        user_act=_acts(plan.user_moves),
        assistant_act=_acts(plan.assistant_moves),
        next_state=following,
        probability=np.broadcast_to(1.0, shape),
        outcome=nothing_happens(shape),
        user_mask=masks["user"],
        assistant_mask=masks["assistant"],
        features=np.eye(states, states - 1, dtype=np.float32),
        initial=initial,
        axes={"node": tuple(plan.decisions)},
    )


def _acts(moves: tuple[str, ...]) -> NDArray[np.int32]:
    """Return the act of every move, of ``WAIT`` and of an illegal one; the last two only ever meet where it is the same."""
    return np.array([*range(len(moves)), len(moves), len(moves)], dtype=np.int32)


def _payoff_tables(plan: _Plan) -> PayoffTables:
    paid = {role: np.zeros((*plan.shape, 1)) for role in ("user", "assistant")}  # (S, U, A, 1, 1)
    within = _bounds(plan)
    for path, decision in plan.decisions.items():
        at, other = plan.places[path], "assistant" if decision.player == "user" else "user"
        worst, best = within[path]
        paid[decision.player][at] = worst[decision.player]  # for acts that are no move of this decision
        paid[other][at] = best[other]
        for move, node in decision.moves.items():
            for role, table in paid.items():
                table[plan.entries(path, move)] = on_grid(getattr(node, role)) if isinstance(node, Leaf) else 0.0
    return PayoffTables(user_items=("leaf",), assistant_items=("leaf",), user=paid["user"], assistant=paid["assistant"])


def _bounds(plan: _Plan) -> dict[str, tuple[dict[str, float], dict[str, float]]]:
    """Return for every decision the least and the most that each player may get at the leaves below it."""
    found: dict[str, tuple[dict[str, float], dict[str, float]]] = {}
    for path in reversed(plan.decisions):  # in reading order, what comes later stands behind
        ends = []
        for move, node in plan.decisions[path].moves.items():
            if isinstance(node, Leaf):
                pair = {"user": on_grid(node.user), "assistant": on_grid(node.assistant)}
                ends.append((pair, pair))
            else:
                ends.append(found[_path_after(path, move)])
        found[path] = (
            {role: min(least[role] for least, _ in ends) for role in ("user", "assistant")},
            {role: max(most[role] for _, most in ends) for role in ("user", "assistant")},
        )
    return found
