"""Backward induction with ties: every subgame-perfect outcome of a tree, and every outcome of a pure Nash equilibrium.

A set of outcomes is kept for every node. Below a decision the players may go on by any subgame-perfect equilibrium of each
subtree, and by another one in each; so an outcome survives at a decision if its mover gets at least what every other
move secures *at worst*: the greatest, over the moves, of the least the mover gets in the set behind the move. Without
ties each set holds one outcome, and this is textbook backward induction (Zermelo 1913; Selten 1965).

Equilibria in pure strategies only: at a tie a player may also mix, which adds averages of the outcomes.
"""

from __future__ import annotations

import dataclasses

from gtalign_env.errors import UsageError
from gtalign_env.games.tree_nodes import SEPARATOR, Decision, Leaf, Nodes, Path
from gtalign_env.types import Role

__all__ = ["BackwardInduction", "Continuation", "nash_paths", "solve", "subgame_perfect_paths"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Continuation:
    """How play goes on from one node when everybody is rational from there on.

    Example:
        >>> from gtalign_env.games.tree_nodes import flatten
        >>> solve(flatten(Decision("user", {"stop": Leaf(0, 0), "go": Leaf(1, 1)}))).at("").move
        'go'
    """

    player: Role | None
    """Who moves here; ``None`` at a leaf."""
    move: str | None
    """The move of the reference equilibrium: at a tie, the move listed first. ``None`` at a leaf."""
    value: Leaf
    """Where the reference equilibrium ends."""
    moves: tuple[str, ...]
    """All moves that some subgame-perfect equilibrium makes here."""
    outcomes: tuple[Leaf, ...]
    """All payoffs in which some subgame-perfect equilibrium of the subtree ends, each once."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class BackwardInduction:
    """A solved tree.

    Example:
        >>> from gtalign_env.games import GameTree
        >>> entry = Decision("assistant", {"share": Leaf(2, 1), "fight": Leaf(-1, -1)})
        >>> solved = GameTree(Decision("user", {"stay out": Leaf(0, 2), "enter": entry})).backward_induction()
        >>> solved.value, solved.at("enter").move
        (Leaf(user=2, assistant=1), 'share')
    """

    nodes: Nodes
    """The tree's distinct nodes."""
    continuations: tuple[Continuation, ...]
    """For each of them, how play goes on."""

    @property
    def value(self) -> Leaf:
        """Where the reference equilibrium ends."""
        return self.continuations[-1].value

    @property
    def outcomes(self) -> tuple[Leaf, ...]:
        """All payoffs in which some subgame-perfect equilibrium ends, each once."""
        return self.continuations[-1].outcomes

    def at(self, name: str) -> Continuation:
        """Return how play goes on from the node of that name (moves from the root, joined by ``/``; the root is ``""``).

        Raises:
            UsageError: The path leaves the tree.
        """
        return self.continuations[find(self.nodes, name)]

    def path(self) -> Path:
        """Return the play of the reference equilibrium, in which ties go to the move listed first."""
        index = self.nodes.root
        moves: list[str] = []
        players: list[Role] = []
        while (move := self.continuations[index].move) is not None:
            node = self.nodes.items[index]
            assert isinstance(node, Decision)
            moves.append(move)
            players.append(node.player)
            index = dict(self.nodes.steps(index))[move]
        return Path(moves=tuple(moves), players=tuple(players), user=self.value.user, assistant=self.value.assistant)

    def strategy(self, role: Role) -> dict[str, str]:
        """Return what a player does at each of its decisions in the reference equilibrium, by name, also off the path.

        Raises:
            UsageError: The tree has too many paths to list; ``at`` answers for one.
        """
        found = {}
        for path, index in self.nodes.histories():
            here = self.continuations[index]
            if here.player == role and here.move is not None:
                found[SEPARATOR.join(path)] = here.move
        return found


def find(nodes: Nodes, name: str) -> int:
    """Return the index of the node of that name.

    Raises:
        UsageError: There is none; the message says where the path leaves the tree.

    Example:
        >>> from gtalign_env.games.tree_nodes import flatten
        >>> find(flatten(Decision("user", {"stop": Leaf(0, 0), "go": Leaf(1, 1)})), "go")
        1
    """
    index = nodes.root
    for move in name.split(SEPARATOR) if name else ():
        moves = dict(nodes.steps(index))
        if move not in moves:
            raise UsageError(
                f"game tree: expected the path of a node, got {name!r}: {move!r} is none of {list(moves)} there"
            )
        index = moves[move]
    return index


def solve(nodes: Nodes, *, tolerance: float = 1e-9) -> BackwardInduction:
    """Solve a tree from its ends, keeping ties.

    Args:
        nodes: The tree.
        tolerance: Gain that does not count: payoffs of the mover this near are a tie. Where all payoffs of the mover
            below a decision are smaller than 1, as in late rounds under discounting, the tolerance shrinks with them.

    Example:
        >>> from gtalign_env.games.tree_nodes import flatten
        >>> tie = Decision("assistant", {"left": Leaf(3, 1), "right": Leaf(0, 1)})
        >>> solve(flatten(Decision("user", {"ask": tie, "leave": Leaf(1, 0)}))).outcomes
        (Leaf(user=3, assistant=1), Leaf(user=1, assistant=0))
    """
    solved: list[Continuation] = []
    ends: list[_Ends] = []  # of every node so far; nodes with the same outcomes share one
    margins = {role: _margins(nodes, role, tolerance) for role in _ROLES}
    for index, node in enumerate(nodes.items):
        if isinstance(node, Leaf):
            ends.append(_Ends((node,)))
            solved.append(Continuation(player=None, move=None, value=node, moves=(), outcomes=(node,)))
            continue
        mover, margin = node.player, margins[node.player][index]
        children = list(nodes.steps(index))
        best = max(payoff(solved[child].value, mover) for _, child in children)
        move, next_up = next((m, c) for m, c in children if payoff(solved[c].value, mover) >= best - margin)
        secured = max(ends[child].least[mover] for _, child in children)
        kept = {name: ends[child].at_least(secured - margin, mover) for name, child in children}
        ends.append(_union([found for found in kept.values() if found is not None]))
        solved.append(
            Continuation(
                player=mover,
                move=move,
                value=solved[next_up].value,
                moves=tuple(name for name, found in kept.items() if found is not None),
                outcomes=ends[-1].items,
            )
        )
    return BackwardInduction(nodes=nodes, continuations=tuple(solved))


def subgame_perfect_paths(solved: BackwardInduction, *, limit: int) -> tuple[Path, ...]:
    """Return every path that some pure subgame-perfect equilibrium plays, in reading order.

    Raises:
        UsageError: There are more than ``limit``.

    Example:
        >>> from gtalign_env.games.tree_nodes import flatten
        >>> tie = solve(flatten(Decision("user", {"left": Leaf(1, 0), "right": Leaf(1, 5)})))
        >>> [path.name for path in subgame_perfect_paths(tie, limit=10)]
        ['left', 'right']
    """
    nodes = solved.nodes
    found: list[Path] = []
    stack: list[_Branch] = [_Branch((), (), nodes.root, frozenset(solved.outcomes))]
    while stack:
        branch = stack.pop()
        node = nodes.items[branch.index]
        if isinstance(node, Leaf):
            found.append(branch.ending(node))
            if len(found) > limit:
                raise UsageError(
                    f"game tree: expected at most {limit:,} subgame-perfect paths, and there are more; pass a greater limit, "
                    "or ask backward_induction() for the payoffs alone"
                )
            continue
        reached = []
        for move, child in nodes.steps(branch.index):
            ends = branch.ends.intersection(solved.continuations[child].outcomes)
            if ends:  # so at least one path below ends in each of these
                reached.append(_Branch((*branch.moves, move), (*branch.players, node.player), child, ends))
        stack.extend(reversed(reached))
    return tuple(found)


def nash_paths(nodes: Nodes, *, tolerance: float = 1e-9) -> tuple[Path, ...]:
    """Return every path that some pure Nash equilibrium of the tree's normal form plays, in reading order.

    A path is one exactly if at each of its decisions the mover gets, at the end, at least what it could still get behind
    every other move against an opponent who does nothing but keep it low. Threats need not be credible here.

    Args:
        nodes: The tree.
        tolerance: Gain that does not count, as for ``solve``.

    Raises:
        UsageError: The tree has more than 100,000 paths.

    Example:
        >>> from gtalign_env.games.tree_nodes import flatten
        >>> entry = Decision("assistant", {"share": Leaf(2, 1), "fight": Leaf(-1, -1)})
        >>> [path.name for path in nash_paths(flatten(Decision("user", {"stay out": Leaf(0, 2), "enter": entry})))]
        ['stay out', 'enter/share']
    """
    held = {role: _held_down(nodes, role) for role in _ROLES}
    margins = {role: _margins(nodes, role, tolerance) for role in _ROLES}
    found: list[Path] = []
    for path, index in nodes.histories():
        leaf = nodes.items[index]
        if isinstance(leaf, Leaf):
            players, could = _temptations(nodes, path, held, margins)
            if all(payoff(leaf, role) >= could[role] for role in _ROLES):
                found.append(Path(moves=path, players=players, user=leaf.user, assistant=leaf.assistant))
    return tuple(found)


_ROLES: tuple[Role, Role] = ("user", "assistant")


def payoff(end: Leaf | Path, role: Role) -> float:
    """Return what a player gets at an end.

    Example:
        >>> payoff(Leaf(2, 1), "assistant")
        1
    """
    return end.user if role == "user" else end.assistant


@dataclasses.dataclass(frozen=True)
class _Branch:
    """A path so far, and the ends that it may lead to."""

    moves: tuple[str, ...]
    players: tuple[Role, ...]
    index: int
    ends: frozenset[Leaf]

    def ending(self, leaf: Leaf) -> Path:
        return Path(moves=self.moves, players=self.players, user=leaf.user, assistant=leaf.assistant)


class _Ends:
    """A set of ends, and the least and the most that each player gets in it."""

    def __init__(self, items: tuple[Leaf, ...]) -> None:
        self.items = items
        self.least = {role: min(payoff(end, role) for end in items) for role in _ROLES}
        self.most = {role: max(payoff(end, role) for end in items) for role in _ROLES}

    def at_least(self, floor: float, role: Role) -> _Ends | None:
        """Return the ends that give a player at least ``floor``: the set itself if all do, ``None`` if none does."""
        if self.least[role] >= floor:
            return self
        if self.most[role] < floor:
            return None
        return _Ends(tuple(end for end in self.items if payoff(end, role) >= floor))


def _union(parts: list[_Ends]) -> _Ends:
    """Return all ends of some sets, each once; the set itself if there is only one."""
    different = list({id(part): part for part in parts}.values())
    if len(different) == 1:
        return different[0]
    return _Ends(tuple(dict.fromkeys(end for part in different for end in part.items)))


def _margins(nodes: Nodes, role: Role, tolerance: float) -> list[float]:
    """Return, for every node, the gain that does not count there: relative where all payoffs below are small."""
    largest: list[float] = []
    for node, children in zip(nodes.items, nodes.children, strict=True):
        below = (largest[child] for child in children)
        largest.append(abs(float(payoff(node, role))) if isinstance(node, Leaf) else max(below))
    return [tolerance * min(1.0, size) for size in largest]


def _held_down(nodes: Nodes, role: Role) -> list[float]:
    """Return, for every node, what a player gets from there if the other one only works against it."""
    value: list[float] = []
    for node, children in zip(nodes.items, nodes.children, strict=True):
        if isinstance(node, Leaf):
            value.append(payoff(node, role))
        else:
            choose = max if node.player == role else min
            value.append(choose(value[child] for child in children))
    return value


def _temptations(
    nodes: Nodes, path: tuple[str, ...], held: dict[Role, list[float]], margins: dict[Role, list[float]]
) -> tuple[tuple[Role, ...], dict[Role, float]]:
    """Return who moves along a path, and the most each of them can be sure of by leaving it, less what does not count."""
    players: list[Role] = []
    could: dict[Role, float] = dict.fromkeys(_ROLES, float("-inf"))
    index = nodes.root
    for move in path:
        node = nodes.items[index]
        assert isinstance(node, Decision)
        players.append(node.player)
        margin = margins[node.player][index]
        aside = [held[node.player][child] - margin for name, child in nodes.steps(index) if name != move]
        could[node.player] = max([could[node.player], *aside])
        index = dict(nodes.steps(index))[move]
    return tuple(players), could
