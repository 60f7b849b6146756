"""What a tree of moves is made of, and the one walk over it that everything else builds on."""

from __future__ import annotations

import dataclasses
import math
import numbers
import reprlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias, TypeVar

from gtalign_env.errors import UsageError
from gtalign_env.types import Role

__all__ = [
    "SEPARATOR",
    "Decision",
    "Leaf",
    "Node",
    "Nodes",
    "Path",
    "flatten",
    "from_nested",
    "magnitude",
    "postorder",
    "where",
]

SEPARATOR = "/"
"""Between the moves in the name of a decision; no move may hold it."""

MOST_HISTORIES = 100_000
"""Paths that are listed at most; shared subtrees make trees of a few hundred nodes with more paths than atoms."""

Thing = TypeVar("Thing")


@dataclasses.dataclass(frozen=True)
class Leaf:
    """An end of the game.

    Example:
        >>> Leaf(2, 1).user
        2
    """

    user: float
    """The user's payoff, utils."""
    assistant: float
    """The assistant's payoff, utils."""


@dataclasses.dataclass(frozen=True, eq=False)
class Decision:
    """A point at which one player chooses.

    Example:
        >>> list(Decision("user", {"stop": Leaf(0, 0), "go": Leaf(1, 1)}).moves)
        ['stop', 'go']
    """

    player: Role
    """Who chooses."""
    moves: Mapping[str, Node]
    """What may be chosen, and where it leads."""

    def __repr__(self) -> str:
        """Name player and moves only: what lies below may be deep, and met by many paths."""
        return f"Decision({self.player!r}, moves {list(self.moves)})"


Node: TypeAlias = "Leaf | Decision"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Path:
    """One way through the tree, from the root to a leaf.

    Example:
        >>> Path(moves=("go", "stop"), players=("user", "assistant"), user=2, assistant=1).name
        'go/stop'
    """

    moves: tuple[str, ...]
    """What is chosen, from the root on."""
    players: tuple[Role, ...]
    """Who chooses it."""
    user: float
    """The user's payoff at the end, utils."""
    assistant: float
    """The assistant's payoff at the end, utils."""

    @property
    def name(self) -> str:
        """The moves, joined: the name of the leaf in ``GameTree.leaves()``."""
        return SEPARATOR.join(self.moves)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Nodes:
    """The distinct nodes of a tree as a list, each behind everything that can follow it; the root is the last.

    Example:
        >>> flatten(Decision("user", {"stop": Leaf(0, 0), "go": Leaf(1, 1)})).children
        ((), (), (0, 1))
    """

    items: tuple[Node, ...]
    """The nodes themselves."""
    children: tuple[tuple[int, ...], ...]
    """For every node, where its moves lead, as indices, in the order of the moves; empty for a leaf."""

    @property
    def root(self) -> int:
        """The index of the root."""
        return len(self.items) - 1

    def steps(self, index: int) -> Iterator[tuple[str, int]]:
        """Yield the moves at a node and the indices of the nodes they lead to; nothing at a leaf."""
        node = self.items[index]
        if isinstance(node, Decision):
            yield from zip(node.moves, self.children[index], strict=True)

    def histories(self, *, shared: bool = False) -> Iterator[tuple[tuple[str, ...], int]]:
        """Yield every path of moves from the root and the index of the node it leads to, in reading order.

        Args:
            shared: Enter a subtree that several paths lead to only by the first of them.

        Raises:
            UsageError: Without ``shared``: there are more than 100,000 paths.
        """
        if not shared:
            self._refuse_too_many()
        seen: set[int] = set()
        stack: list[tuple[tuple[str, ...], int]] = [((), self.root)]
        while stack:
            path, index = stack.pop()
            if shared and index in seen:
                continue
            seen.add(index)
            yield path, index
            stack.extend(reversed([((*path, move), child) for move, child in self.steps(index)]))

    def _refuse_too_many(self) -> None:
        count: list[int] = []
        for children in self.children:
            count.append(1 + sum(count[child] for child in children))
        if count[-1] > MOST_HISTORIES:
            raise UsageError(
                f"game tree: expected at most {MOST_HISTORIES:,} paths to list, got {magnitude(count[-1])}; ask for "
                "shared=True, where offered, or for backward_induction(), which visit a shared subtree once"
            )


def flatten(root: Node) -> Nodes:
    """Check a tree and list its nodes; a subtree that several moves lead to is listed once.

    Raises:
        UsageError: A node is no ``Leaf`` or ``Decision``, a payoff is no finite number, a player is unknown, a
            decision has no moves or a move without a proper name, or play can come back to where it was. The
            message names the path.

    Example:
        >>> flatten(Decision("user", {"go": Leaf(1, float("nan"))}))
        Traceback (most recent call last):
        gtalign_env.errors.UsageError: game tree: expected finite payoffs at 'go', got nan for the assistant
    """
    walk = postorder(root, _moves_of)
    return Nodes(items=tuple(node for node, _ in walk), children=tuple(children for _, children in walk))


def postorder(
    root: Thing, successors: Callable[[Thing, Sequence[str]], Iterable[tuple[str, Thing]]]
) -> list[tuple[Thing, tuple[int, ...]]]:
    """List what can be reached from ``root``, each thing once and behind its successors, without recursion.

    Args:
        root: Where to begin.
        successors: Gives the (move, thing) pairs of a thing, reached by the given path of moves; it may refuse.

    Returns:
        For each thing the thing itself and the places of its successors in this very list.

    Raises:
        UsageError: A thing follows itself.

    Example:
        >>> postorder("ab", lambda text, path: [(text[0], text[1:])] if text else [])
        [('', ()), ('b', (0,)), ('ab', (1,))]
    """
    order: list[tuple[Thing, tuple[int, ...]]] = []
    place: dict[int, int] = {}  # by identity: `order` keeps alive what is in here, `stack` what is in `above`
    above = {id(root)}
    path: list[str] = []
    stack: list[tuple[Thing, Iterator[tuple[str, Thing]], list[int]]] = [(root, iter(successors(root, path)), [])]
    while stack:
        thing, rest, found = stack[-1]
        step = next(rest, None)
        if step is None:
            stack.pop()
            above.discard(id(thing))
            place[id(thing)] = len(order)
            order.append((thing, tuple(found)))
            if stack:
                path.pop()
                stack[-1][2].append(place[id(thing)])
            continue
        move, child = step
        if id(child) in place:
            found.append(place[id(child)])
            continue
        path.append(move)
        if id(child) in above:
            raise UsageError(
                f"game tree: expected every path to end, but {where(path)} leads back to a node on its way"
            )
        above.add(id(child))
        stack.append((child, iter(successors(child, path)), []))
    return order


def where(path: Sequence[str]) -> str:
    """Return a path in words for a message.

    Example:
        >>> where([]), where(["go", "stop"])
        ('the root', "'go/stop'")
    """
    if not path:
        return "the root"
    name = SEPARATOR.join(map(str, path))  # a move may turn out to be no string
    return repr(name if len(name) <= 200 else f"{name[:90]} … {name[-90:]}")


def magnitude(count: int) -> str:
    """Return a count for a message: counts of paths and strategies can be too large for a float.

    Example:
        >>> magnitude(1024), magnitude(3**1000)
        ('1,024', 'about 10^477')
    """
    return f"{count:,}" if count < 10**9 else f"about 10^{math.log10(count):.0f}"


def from_nested(nested: Mapping[str, Any] | Sequence[float]) -> Node:
    """Return the tree that plain data describe.

    Args:
        nested: A decision as ``{"player": "user" | "assistant", "moves": {name: nested, …}}``, a leaf as the pair
            ``[user payoff, assistant payoff]``. The same object met twice becomes one shared subtree.

    Raises:
        UsageError: Some part has another form; the message names its path.

    Example:
        >>> from_nested({"player": "user", "moves": {"stop": [0, 0], "go": [1, 1]}}).moves["go"]
        Leaf(user=1, assistant=1)
    """
    made: list[Node] = []
    for part, children in postorder(nested, _nested_moves):
        if isinstance(part, Mapping):
            moves = {move: made[child] for move, child in zip(part["moves"], children, strict=True)}
            made.append(Decision(part["player"], moves))
        else:
            made.append(Leaf(*part))
    return made[-1]


def _moves_of(node: Node, path: Sequence[str]) -> Iterable[tuple[str, Node]]:
    """Return a node's moves, having checked the node."""
    if isinstance(node, Leaf):
        for role in ("user", "assistant"):
            payoff = getattr(node, role)
            if not _is_payoff(payoff):
                raise UsageError(
                    f"game tree: expected finite payoffs at {where(path)}, got {reprlib.repr(payoff)} for the {role}"
                )
        return ()
    if not isinstance(node, Decision):
        raise UsageError(f"game tree: expected a Leaf or a Decision at {where(path)}, got {reprlib.repr(node)}")
    if node.player not in ("user", "assistant"):
        raise UsageError(f"game tree: expected the player 'user' or 'assistant' at {where(path)}, got {node.player!r}")
    if not isinstance(node.moves, Mapping) or not node.moves:
        raise UsageError(f"game tree: expected at least one move at {where(path)}, got {reprlib.repr(node.moves)}")
    for move in node.moves:
        if not isinstance(move, str) or not move or SEPARATOR in move:
            raise UsageError(f"game tree: expected names of moves without '/' at {where(path)}, got {move!r}")
    return node.moves.items()


def _is_payoff(payoff: object) -> bool:
    try:
        return isinstance(payoff, numbers.Real) and not isinstance(payoff, bool) and math.isfinite(payoff)
    except OverflowError:  # a whole number beyond the largest float
        return False


def _nested_moves(part: Any, path: Sequence[str]) -> Iterable[tuple[str, Any]]:
    """Return the moves of a decision in plain data, having checked its form; what it holds is checked by the tree."""
    if isinstance(part, Mapping):
        if set(part) == {"player", "moves"} and isinstance(part["moves"], Mapping):
            return part["moves"].items()
    elif isinstance(part, Sequence) and not isinstance(part, str) and len(part) == 2:
        return ()
    raise UsageError(
        "game tree: expected {'player': …, 'moves': {…}} or the pair [user's payoff, assistant's payoff] at "
        f"{where(path)}, got {reprlib.repr(part)}"
    )
