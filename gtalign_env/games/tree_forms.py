"""A tree in other forms: as a bimatrix of complete strategies, and as text for Gambit."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from gtalign_env.errors import UsageError
from gtalign_env.games.bimatrix import Bimatrix
from gtalign_env.games.tree_nodes import SEPARATOR, Decision, Leaf, Nodes, magnitude
from gtalign_env.types import Role

__all__ = ["normal_form", "to_efg"]

PLAN_SEPARATOR = "|"
"""What joins the choices of a plan, one per decision; ``/`` joins the moves of a path, one after the other."""
MOST_CELLS = 1_000_000
"""Cells of a normal form at most: 16 MB of payoffs."""


def normal_form(nodes: Nodes) -> Bimatrix:
    """Return the game in which each player fixes, once and for all, a move for each of its decisions.

    Rows and columns are named by their choices at the player's decisions, in the order of ``GameTree.decisions()``,
    joined by ``|``; the only strategy of a player who never moves is named ``none``.

    Raises:
        UsageError: The matrix would have more than 1,000,000 cells.

    Example:
        >>> from gtalign_env.games.tree_nodes import flatten
        >>> reply = Decision("assistant", {"share": Leaf(2, 1), "fight": Leaf(-1, -1)})
        >>> normal_form(flatten(Decision("user", {"out": Leaf(0, 2), "in": reply})))
        Bimatrix([[0.0, 0.0], [2.0, -1.0]], [[2.0, 2.0], [1.0, -1.0]], ('out', 'in'), ('share', 'fight'))
    """
    histories = list(nodes.histories())
    decisions = {path: node for path, index in histories if isinstance(node := nodes.items[index], Decision)}
    own: dict[Role, list[tuple[str, ...]]] = {
        role: [path for path, node in decisions.items() if node.player == role] for role in ("user", "assistant")
    }
    counts = {role: math.prod(len(decisions[path].moves) for path in paths) for role, paths in own.items()}
    if counts["user"] * counts["assistant"] > MOST_CELLS:
        raise UsageError(
            f"game tree: expected a normal form of at most {MOST_CELLS:,} cells, got {magnitude(counts['user'])} × "
            f"{magnitude(counts['assistant'])} strategies; backward_induction() and nash_outcomes() need no normal form"
        )
    table = {role: _choices([len(decisions[path].moves) for path in paths]) for role, paths in own.items()}
    user = np.empty((counts["user"], counts["assistant"]))
    assistant = np.empty_like(user)
    for path, index in histories:
        leaf = nodes.items[index]
        if isinstance(leaf, Leaf):
            rows, columns = (_leading_to(path, decisions, own[role], table[role]) for role in ("user", "assistant"))
            cells = np.ix_(rows, columns)
            user[cells] = float(leaf.user)
            assistant[cells] = float(leaf.assistant)
    names = {role: _names([list(decisions[path].moves) for path in own[role]], table[role]) for role in own}
    return Bimatrix(user, assistant, names["user"], names["assistant"])


def _choices(sizes: list[int]) -> NDArray[np.intp]:
    """Return all combinations of one choice per decision, shape (strategies, decisions); the first varies slowest."""
    return np.indices(sizes).reshape(len(sizes), math.prod(sizes)).T


def _names(moves: list[list[str]], table: NDArray[np.intp]) -> tuple[str, ...]:
    rows = (
        PLAN_SEPARATOR.join(names[choice] for names, choice in zip(moves, row, strict=True)) for row in table.tolist()
    )
    return tuple(rows) if moves else ("none",)


def _leading_to(
    path: tuple[str, ...],
    decisions: dict[tuple[str, ...], Decision],
    own: list[tuple[str, ...]],
    table: NDArray[np.intp],
) -> NDArray[np.bool_]:
    """Return which of a player's strategies make its moves along a path."""
    mask = np.ones(len(table), dtype=np.bool_)
    for column, here in enumerate(own):
        if path[: len(here)] == here:
            mask &= table[:, column] == list(decisions[here].moves).index(path[len(here)])
    return mask


def to_efg(nodes: Nodes, title: str) -> str:
    """Return the tree in Gambit's text format for extensive games (``.efg``): the unfolded tree in reading order.

    Every decision is an information set of its own, named by its path; players are 1, the user, and 2, the assistant.

    Raises:
        UsageError: The tree has more than 100,000 paths.

    Example:
        >>> from gtalign_env.games.tree_nodes import flatten
        >>> print(to_efg(flatten(Decision("user", {"stop": Leaf(0, 0), "go": Leaf(1, 2.5)})), "tiny"))
        EFG 2 R "tiny" { "user" "assistant" }
        ""
        p "" 1 1 "" { "stop" "go" } 0
        t "stop" 1 "" { 0, 0 }
        t "go" 2 "" { 1, 2.5 }
    """
    lines = [f'EFG 2 R {_quoted(title)} {{ "user" "assistant" }}', '""']
    sets: dict[Role, int] = {"user": 0, "assistant": 0}
    ends = 0
    for path, index in nodes.histories():
        node = nodes.items[index]
        name = _quoted(SEPARATOR.join(path))
        if isinstance(node, Decision):
            sets[node.player] += 1
            player = 1 if node.player == "user" else 2
            moves = " ".join(_quoted(move) for move in node.moves)
            lines.append(f"p {name} {player} {sets[node.player]} {name} {{ {moves} }} 0")
        else:
            ends += 1
            lines.append(f't {name} {ends} "" {{ {_number(node.user)}, {_number(node.assistant)} }}')
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _number(value: float) -> str:
    """Write a number without exponent: not every reader of the format knows exponents."""
    return np.format_float_positional(float(value), trim="-")
