"""A game of turns with perfect information: a tree of decisions."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from gtalign_env.comparing import undominated
from gtalign_env.errors import UsageError
from gtalign_env.games import tree_forms, tree_nodes, tree_solve
from gtalign_env.games.bimatrix import Bimatrix
from gtalign_env.games.tree_nodes import SEPARATOR, Decision, Leaf, Node, Nodes, Path, flatten
from gtalign_env.games.tree_solve import BackwardInduction, Continuation

__all__ = ["BackwardInduction", "Continuation", "Decision", "GameTree", "Leaf", "Node", "Path"]


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class GameTree:
    """A two-player game of perfect information.

    A node is named by the path of moves that leads to it from the root, joined by ``/``; the root is ``""``. The same
    ``Decision`` or ``Leaf`` may stand behind several moves: a shared subtree is solved once, so a tree of many rounds
    with the same continuation stays small. Nothing recurses; depth is no limit. The tree must not be changed afterwards.

    Args:
        root: Where the game begins.

    Raises:
        UsageError: The tree is no tree of decisions: a missing or wrong node, a decision without moves, an unknown player,
            a move without a proper name, a payoff that is not finite, a path that leads back to itself, or no decision at
            all. The message names the path.

    Example:
        >>> entry = Decision("assistant", {"share": Leaf(2, 1), "fight": Leaf(-1, -1)})
        >>> game = GameTree(Decision("user", {"stay out": Leaf(0, 2), "enter": entry}))
        >>> [(path.name, path.user, path.assistant) for path in game.subgame_perfect()]
        [('enter/share', 2, 1)]
        >>> [path.name for path in game.nash_outcomes()]
        ['stay out', 'enter/share']
    """

    root: Node
    """Where the game begins."""
    nodes: Nodes = dataclasses.field(init=False)
    """The distinct nodes as a list, for algorithms."""

    def __post_init__(self) -> None:
        """Check the tree."""
        if isinstance(self.root, Leaf):
            raise UsageError(
                f"game tree: expected a Decision at the root, got {self.root!r}: nobody would choose anything"
            )
        object.__setattr__(self, "nodes", flatten(self.root))

    @classmethod
    def from_nested(cls, nested: Mapping[str, Any]) -> GameTree:
        """Return the tree that plain data describe, as read from JSON or TOML.

        Args:
            nested: A decision as ``{"player": "user" | "assistant", "moves": {name: nested, …}}``, a leaf as the pair
                ``[user payoff, assistant payoff]``. The same object met twice becomes one shared subtree.

        Raises:
            UsageError: Some part has another form, or the tree is none; the message names the path.

        Example:
            >>> GameTree.from_nested({"player": "user", "moves": {"stop": [0, 0], "go": [1, 1]}})
            GameTree(1 decision, 2 leaves)
        """
        return cls(tree_nodes.from_nested(nested))

    def at(self, name: str) -> Node:
        """Return the node of that name.

        Raises:
            UsageError: The path leaves the tree.
        """
        return self.nodes.items[tree_solve.find(self.nodes, name)]

    def decisions(self, *, shared: bool = False) -> dict[str, Decision]:
        """Return the decisions by name, in reading order: the root, then all behind its first move, and so on.

        Args:
            shared: List a subtree that several paths lead to once, under the first of them.

        Raises:
            UsageError: Without ``shared``: there are more than 100,000 paths to list.
        """
        return {name: node for name, node in self._named(shared=shared) if isinstance(node, Decision)}

    def leaves(self, *, shared: bool = False) -> dict[str, Leaf]:
        """Return the leaves by name, in reading order; arguments and errors as for ``decisions``."""
        return {name: node for name, node in self._named(shared=shared) if isinstance(node, Leaf)}

    def backward_induction(self, *, tolerance: float = 1e-9) -> BackwardInduction:
        """Solve the tree from its ends.

        Args:
            tolerance: Payoffs of the mover this near are a tie.

        Returns:
            For every node (``.at(name)``) one reference equilibrium, in which ties go to the move listed first, and the
            set of all moves and outcomes of pure subgame-perfect equilibria.
        """
        return tree_solve.solve(self.nodes, tolerance=tolerance)

    def subgame_perfect(self, *, limit: int = 10_000, tolerance: float = 1e-9) -> tuple[Path, ...]:
        """Return every path that some pure subgame-perfect equilibrium plays, in reading order; never empty.

        Args:
            limit: Paths at most.
            tolerance: Payoffs of the mover this near are a tie.

        Raises:
            UsageError: There are more than ``limit``.
        """
        return tree_solve.subgame_perfect_paths(self.backward_induction(tolerance=tolerance), limit=limit)

    def nash_outcomes(self, *, tolerance: float = 1e-9) -> tuple[Path, ...]:
        """Return every path that some pure Nash equilibrium of the normal form plays: threats need not be credible.

        Raises:
            UsageError: The tree has more than 100,000 paths.
        """
        return tree_solve.nash_paths(self.nodes, tolerance=tolerance)

    def pareto(self, *, tolerance: float = 1e-9) -> dict[str, Leaf]:
        """Return the leaves that no other leaf Pareto-dominates, by name; a shared leaf under its first path."""
        leaves = {i: node for i, node in enumerate(self.nodes.items) if isinstance(node, Leaf)}
        payoffs = sorted({(float(leaf.user), float(leaf.assistant)) for leaf in leaves.values()})
        mask = undominated(*zip(*payoffs, strict=True), tolerance=tolerance)
        best = {pair for pair, stays in zip(payoffs, mask, strict=True) if stays}
        kept = {i: leaf for i, leaf in leaves.items() if (float(leaf.user), float(leaf.assistant)) in best}
        return {SEPARATOR.join(path): kept[i] for path, i in self.nodes.histories(shared=True) if i in kept}

    def normal_form(self) -> Bimatrix:
        """Return the game in which each player fixes, once and for all, a move for each of its decisions.

        Rows and columns are named by their choices at the player's decisions, in the order of ``decisions()``, joined by
        ``|``; the only strategy of a player who never moves is named ``none``.

        Raises:
            UsageError: The matrix would have more than 1,000,000 cells.
        """
        return tree_forms.normal_form(self.nodes)

    def to_efg(self, title: str = "") -> str:
        """Return the tree in Gambit's text format for extensive games (``.efg``).

        Raises:
            UsageError: The tree has more than 100,000 paths.
        """
        return tree_forms.to_efg(self.nodes, title)

    def __repr__(self) -> str:
        """Name the size only: the tree may be deep, and shared subtrees have many paths."""
        leaves = sum(isinstance(node, Leaf) for node in self.nodes.items)
        decisions = len(self.nodes.items) - leaves
        return f"GameTree({decisions} decision{'s' * (decisions != 1)}, {leaves} {'leaf' if leaves == 1 else 'leaves'})"

    def __deepcopy__(self, memo: dict[int, Any]) -> GameTree:
        """Return the tree itself: it does not change, and copying would recurse to its depth."""
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the list of nodes instead of nested ones, for the same reason."""
        return _rebuild, (
            [_flat(node, children) for node, children in zip(self.nodes.items, self.nodes.children, strict=True)],
        )

    def _named(self, *, shared: bool) -> Sequence[tuple[str, Node]]:
        return [(SEPARATOR.join(path), self.nodes.items[index]) for path, index in self.nodes.histories(shared=shared)]


def _flat(node: Node, children: tuple[int, ...]) -> Any:
    return (node.player, dict(zip(node.moves, children, strict=True))) if isinstance(node, Decision) else node


def _rebuild(flat: list[Any]) -> GameTree:
    made: list[Node] = []
    for entry in flat:
        if isinstance(entry, Leaf):
            made.append(entry)
        else:
            player, moves = entry
            made.append(Decision(player, {move: made[child] for move, child in moves.items()}))
    return GameTree(made[-1])
