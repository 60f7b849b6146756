"""The solution of a game tree: subgame-perfect play, and what the leaves are as outcomes."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar, get_args

import numpy as np

from gtalign_env.errors import UsageError
from gtalign_env.games.bargaining import Bargain
from gtalign_env.games.bimatrix import Bimatrix
from gtalign_env.games.efficiency import Efficiency, compare_welfare
from gtalign_env.games.tree import BackwardInduction, Decision, GameTree, Path
from gtalign_env.games.tree_nodes import SEPARATOR
from gtalign_env.solution.criteria import Choice, agreements, choose, of_outcomes, welfare_best, welfare_of
from gtalign_env.solution.normal import (
    MatrixSolution,
    cell_points,
    efficiency_facts,
    off_cells,
    outcome_facts,
    solve_bimatrix,
)
from gtalign_env.solution.space import PayoffSpace, Point
from gtalign_env.types import Role

__all__ = ["MOST_NODES", "Node", "TreeSolution", "solve_tree"]

MOST_CELLS = 400
"""Cells of a normal form that is still solved as a bimatrix."""
MOST_LEAVES = 1_000
"""Leaves that all stand for themselves."""
MOST_NODES = 200
"""Decisions that are all listed; of more, those on subgame-perfect paths."""
MOST_PATHS = 1_000
"""Subgame-perfect paths that are listed; of more, the reference one."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Node:
    """A decision of a solved tree."""

    name: str
    """The moves that lead to it, joined by ``/``; the root is ``""``."""
    player: str
    """Who decides."""
    moves: tuple[str, ...]
    """What may be chosen."""
    best: tuple[str, ...]
    """What some subgame-perfect equilibrium chooses."""
    user: float
    """The user's payoff from here on, in the reference equilibrium, utils."""
    assistant: float
    """The assistant's."""
    on_path: bool
    """Whether some subgame-perfect path comes by."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class TreeSolution:
    """What is known of a game of turns.

    Example:
        >>> from gtalign_env.games import Decision, GameTree, Leaf
        >>> enter = Decision("assistant", {"share": Leaf(2, 1), "fight": Leaf(-1, -1)})
        >>> solve_tree(GameTree(Decision("user", {"stay_out": Leaf(0, 2), "enter": enter}))).paths[0].name
        'enter/share'
    """

    kind: ClassVar[str] = "tree"

    game: GameTree
    paths: tuple[Path, ...]
    """All subgame-perfect paths; the reference one where ``complete`` is false."""
    complete: bool
    """Whether ``paths`` holds all of them."""
    nodes: tuple[Node, ...]
    """The decisions in reading order; a shared one once, by the name that it has on ``paths`` if it is there. Where there are
    more than ``MOST_NODES``, those on ``paths``."""
    nash_outcomes: tuple[Path, ...] | None
    """What pure equilibria of the normal form lead to: threats need not be credible. ``None`` where the tree is too large."""
    efficiency: Efficiency | None
    """Price of anarchy and of stability of ``paths``, by the sum of payoffs: no empty threats. Those of all equilibria of the
    normal form, mixed ones and empty threats included, are in ``normal``. ``None`` where not all paths are listed."""
    outcomes: Bimatrix
    """The leaves, named by their paths, as the cells of one column; the shortest paths first."""
    welfare: str
    """The welfare function of ``optimum``."""
    optimum: tuple[tuple[str, str], ...]
    """The leaves of highest welfare."""
    choice: Choice
    """What the criterion picks."""
    bargaining: Mapping[str, Bargain]
    """Bargaining solutions on the leaves."""
    hull: Mapping[str, Bargain]
    """The same where agreements may be left to chance."""
    normal: MatrixSolution | None
    """The normal form, solved, where it is small."""

    def as_dict(self) -> dict[str, Any]:
        """Return the solution as JSON has it."""
        made: dict[str, Any] = {
            "subgame_perfect": [_path(path) for path in self.paths],
            "subgame_perfect_complete": self.complete,
            "nodes": [dataclasses.asdict(node) for node in self.nodes],
            "nash_outcomes": None if self.nash_outcomes is None else [_path(path) for path in self.nash_outcomes],
            "leaves": {
                name: {"user": float(self.outcomes.user[i, 0]), "assistant": float(self.outcomes.assistant[i, 0])}
                for i, name in enumerate(self.outcomes.user_moves)
            },
        }
        normal = {} if self.normal is None else self.normal.as_dict()
        shared = ("moves", "payoffs", "pure_nash", "nash", "dominance_log")
        return {
            **{name: normal.get(name) for name in shared},
            **outcome_facts(self),
            **efficiency_facts(self.efficiency, unknown="not all subgame-perfect paths are listed"),
            **made,
            "normal_form": {**normal, "plans": self.plans()} if normal else None,
        }

    def plans(self) -> dict[Role, list[str]]:
        """Return the decisions that a plan of the normal form answers, in its order."""
        decisions = self.game.decisions()
        return {role: [name for name, node in decisions.items() if node.player == role] for role in get_args(Role)}

    def payoff_space(self) -> PayoffSpace:
        """Return the leaves as points in payoff space."""
        names = {(leaf, ""): leaf for leaf in self.outcomes.user_moves}
        elsewhere = [  # shared leaves are listed under the first of their paths
            Point(name=path.name, user=float(path.user), assistant=float(path.assistant), marks=("nash",))
            for path in self.paths
            if (path.name, "") not in names
        ]
        return PayoffSpace(
            cells=(*cell_points(self, names=names, nash=[(path.name, "") for path in self.paths]), *elsewhere),
            others=off_cells(self),
            welfare=self.welfare,
            outcomes="leaf",
            nash="subgame-perfect",
        )


def solve_tree(game: GameTree, *, criterion: str = "nash") -> TreeSolution:
    """Solve a game tree.

    Args:
        game: The tree.
        criterion: What picks an outcome, see ``solution.criteria``; ``nash`` is the subgame-perfect one. Those that need the
            moves of a bimatrix look at the normal form.

    Raises:
        UsageError: The criterion is unknown or does not fit, or needs a normal form that is too large.

    Example:
        >>> from gtalign_env.games import Decision, GameTree, Leaf
        >>> solve_tree(GameTree(Decision("user", {"stop": Leaf(0, 0), "go": Leaf(1, 1)}))).choice.cell
        ('go', '')
    """
    solved = game.backward_induction()
    try:
        paths, complete = game.subgame_perfect(limit=MOST_PATHS), True
    except UsageError:  # too many to list
        paths, complete = (solved.path(),), False
    outcomes = _outcomes(game)
    normal = _normal_form(game, criterion)
    return TreeSolution(
        game=game,
        paths=paths,
        complete=complete,
        nodes=_nodes(game, solved, paths),
        nash_outcomes=_nash_outcomes(game),
        efficiency=_efficiency(outcomes, paths) if complete else None,
        outcomes=outcomes,
        welfare=welfare_of(criterion),
        optimum=tuple(welfare_best(outcomes, welfare_of(criterion))),
        choice=_choice(outcomes, paths, normal, criterion),
        bargaining=agreements(outcomes),
        hull=agreements(outcomes, hull=True),
        normal=normal,
    )


def _outcomes(game: GameTree) -> Bimatrix:
    """Return the leaves as cells of one column, the quickest first; where there are many, those of equal payoffs as one."""
    found = game.leaves(shared=True)
    leaves = {name: found[name] for name in sorted(found, key=_depth)}
    if len(leaves) > MOST_LEAVES:
        first = {(leaf.user, leaf.assistant): name for name, leaf in reversed(leaves.items())}
        kept = set(first.values())
        leaves = {name: leaf for name, leaf in leaves.items() if name in kept}
    user, assistant = ([[getattr(leaf, role)] for leaf in leaves.values()] for role in get_args(Role))
    return Bimatrix(np.array(user), np.array(assistant), tuple(leaves), ("",))


def _depth(name: str) -> int:
    return name.count(SEPARATOR)


def _efficiency(outcomes: Bimatrix, paths: tuple[Path, ...]) -> Efficiency:
    reached = [float(path.user) + float(path.assistant) for path in paths]
    return compare_welfare(
        outcomes.user + outcomes.assistant, reached, welfare="utilitarian", concept="subgame-perfect"
    )


def _choice(outcomes: Bimatrix, paths: tuple[Path, ...], normal: MatrixSolution | None, criterion: str) -> Choice:
    if of_outcomes(criterion):
        return choose(outcomes, criterion)
    if criterion != "nash":
        if normal is None:
            raise UsageError(
                f"criterion {criterion!r}: the normal form of this tree is too large; choose nash or welfare"
            )
        return normal.choice
    best = max(paths, key=lambda path: (*_worth(path), -len(path.moves)))
    among = "" if len(paths) == 1 else f"; of {len(paths)} such paths it has the highest sum of payoffs"
    if sum(_worth(path) == _worth(best) for path in paths) > 1:
        among += ", and of those that pay as much it is the shortest"
    return Choice(
        criterion=criterion,
        play=((best.name, "", 1.0),),
        user=float(best.user),
        assistant=float(best.assistant),
        why=f"it is subgame-perfect: at every decision, also off the path, the mover does best for itself{among}",
    )


def _worth(path: Path) -> tuple[float, float]:
    """Return the sum of both payoffs and the smaller one, without the dust of rounding."""
    return round(path.user + path.assistant, 9), round(min(path.user, path.assistant), 9)


def _normal_form(game: GameTree, criterion: str) -> MatrixSolution | None:
    try:
        form = game.normal_form()
    except UsageError:
        return None
    if form.user.size > MOST_CELLS:
        return None
    return solve_bimatrix(form, criterion="nash" if of_outcomes(criterion) else criterion)


def _nash_outcomes(game: GameTree) -> tuple[Path, ...] | None:
    try:
        return game.nash_outcomes()
    except UsageError:
        return None


def _nodes(game: GameTree, solved: BackwardInduction, paths: tuple[Path, ...]) -> tuple[Node, ...]:
    passed = _passed(game, paths)
    names = passed
    if sum(isinstance(node, Decision) for node in game.nodes.items) <= MOST_NODES:
        listed = game.decisions(shared=True).items()
        names = {id(node): passed.get(id(node), name) for name, node in listed}
    kept = sorted(list(names.items())[:MOST_NODES], key=lambda named: _place(game, named[1]))
    return tuple(_node(game, solved, name, on_path=node in passed) for node, name in kept)


def _place(game: GameTree, name: str) -> list[int]:
    """Return where a node stands in reading order."""
    node, place = game.root, []
    for move in name.split(SEPARATOR) if name else ():
        assert isinstance(node, Decision)
        place.append(list(node.moves).index(move))
        node = node.moves[move]
    return place


def _passed(game: GameTree, paths: tuple[Path, ...]) -> dict[int, str]:
    """Return the decisions that the paths come by, by identity, each with its name on the shortest such path."""
    passed: dict[int, str] = {}
    for path in sorted(paths, key=lambda path: len(path.moves)):
        node = game.root
        for depth, move in enumerate(path.moves):
            assert isinstance(node, Decision)
            if id(node) not in passed:
                passed[id(node)] = SEPARATOR.join(path.moves[:depth])
            node = node.moves[move]
    return passed


def _node(game: GameTree, solved: BackwardInduction, name: str, *, on_path: bool) -> Node:
    decision, here = game.at(name), solved.at(name)
    assert isinstance(decision, Decision)
    return Node(
        name=name,
        player=decision.player,
        moves=tuple(decision.moves),
        best=here.moves,
        user=float(here.value.user),
        assistant=float(here.value.assistant),
        on_path=on_path,
    )


def _path(path: Path) -> dict[str, Any]:
    return {
        "path": path.name,
        "moves": [{"player": player, "move": move} for player, move in zip(path.players, path.moves, strict=True)],
        "payoffs": {"user": float(path.user), "assistant": float(path.assistant)},
    }
