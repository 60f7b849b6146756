"""How ``gtalign solve`` shows a game tree: subgame-perfect play, decision by decision."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.text import Text

from gtalign_env.cli.solve_matrix import bargaining_facts, matrix_block, refined_efficiency
from gtalign_env.cli.solve_words import Fact, choice_fact, fact_lines, pair
from gtalign_env.games.tree_nodes import Decision
from gtalign_env.replay.speech import wrapped

if TYPE_CHECKING:
    from gtalign_env.games.tree import Path
    from gtalign_env.solution.tree import Node, TreeSolution

__all__ = ["tree_lines"]

_MOST_NODES = 24
"""Decisions that are all listed; of more, the first on a subgame-perfect path."""
_MOST_PATHS = 12
"""Paths and leaves that are listed."""
_MOST_MOVES = 5
"""Moves that are named."""
_MOST_CELLS = 64
"""Cells of a normal form that is drawn."""


def tree_lines(solved: TreeSolution, width: int) -> list[Text]:
    """Return a solved game tree for people.

    Example:
        >>> from gtalign_env.games import Decision, GameTree, Leaf
        >>> from gtalign_env.solution import solve
        >>> for line in tree_lines(solve(GameTree(Decision("user", {"stop": Leaf(0, 0), "go": Leaf(1, 1)}))), 80)[:2]:
        ...     print(line.plain)
        ▶ start         user chooses go, not stop (U 1, L 1)
        ▶ marks decisions on a subgame-perfect path; payoffs are what follows from there
    """
    shown = solved.nodes if len(solved.nodes) <= _MOST_NODES else tuple(node for node in solved.nodes if node.on_path)
    lines = _decisions(shown[:_MOST_NODES], width)
    count = sum(isinstance(node, Decision) for node in solved.game.nodes.items)
    if len(shown[:_MOST_NODES]) < count:
        told = "not all decisions are listed here: --json has up to 200; --state node=PATH solves from there on"
        lines += wrapped(Text(told, style="muted"), width)
    lines += [Text(""), *fact_lines(_facts(solved), width)]
    if solved.normal is not None and solved.normal.game.user.size <= _MOST_CELLS:
        lines += [Text(""), Text("normal form", style="strong"), *matrix_block(solved.normal, width)]
        lines += wrapped(Text(_plans(solved), style="muted"), width)
    return lines


def _plans(solved: TreeSolution) -> str:
    """Return which decision each part of a plan answers."""
    told = "; ".join(f"the {role}'s: {_order(names)}" for role, names in solved.plans().items())
    return f"a plan has a move for each of its side's decisions, in this order. {told}"


def _order(names: Sequence[str]) -> str:
    return " | ".join(name or "start" for name in names) or "no decision"


def _decisions(nodes: Sequence[Node], width: int) -> list[Text]:
    label = min(max((cell_len(_name(node)) for node in nodes), default=0) + 4, max(width // 2, 8))
    facts = []
    for node in nodes:
        others = [move for move in node.moves if move not in node.best]
        said = f"{node.player} chooses {_either(node.best)}" + (f", not {_either(others)}" if others else "")
        sign = "▶" if node.on_path else " "
        facts.append((f"{sign} {_name(node)}", f"{said} ({pair(node.user, node.assistant)})"))
    if not facts:
        return []
    told = "▶ marks decisions on a subgame-perfect path; payoffs are what follows from there"
    return [*fact_lines(facts, width, label=label), *wrapped(Text(told, style="muted"), width)]


def _either(moves: Sequence[str]) -> str:
    more = len(moves) - _MOST_MOVES
    return " or ".join([*moves[:_MOST_MOVES], *([f"{more} more"] if more > 0 else [])])


def _name(node: Node) -> str:
    return node.name or "start"


def _facts(solved: TreeSolution) -> Iterator[Fact]:
    yield choice_fact(solved.choice)
    count = "all of them" if solved.complete else "one of too many to list"
    yield "subgame-perfect", f"{len(solved.paths)} path{'s' * (len(solved.paths) != 1)} ({count})"
    yield from _paths(solved.paths)
    if solved.nash_outcomes is not None:
        perfect = {path.name for path in solved.paths}
        empty = [path for path in solved.nash_outcomes if path.name not in perfect]
        yield (
            "other Nash",
            "pure equilibria also end here, by threats that nobody would carry out:" if empty else "none",
        )
        yield from _paths(empty)
    yield "Pareto", _leaves(solved, solved.outcomes.pareto())
    yield "optimum", f"{_leaves(solved, solved.optimum)}: highest {solved.welfare} welfare"
    yield from bargaining_facts(solved)
    yield from refined_efficiency(
        solved.efficiency, solved.normal, among="in subgame-perfect play", unknown="not all such paths are listed"
    )


def _paths(paths: Sequence[Path]) -> Iterator[Fact]:
    """Yield the shortest path to each pair of payoffs, and how many others lead there."""
    groups: dict[tuple[float, float], list[Path]] = {}
    for path in paths:
        groups.setdefault((path.user, path.assistant), []).append(path)
    for same in list(groups.values())[:_MOST_PATHS]:
        shortest = min(same, key=lambda path: len(path.moves))
        more = len(same) - 1
        also = f"; {more} more {'pays' if more == 1 else 'pay'} the same" if more else ""
        yield "", f"{shortest.name} ({pair(shortest.user, shortest.assistant)}){also}"
    if len(groups) > _MOST_PATHS:
        yield "", f"… and {len(groups) - _MOST_PATHS} more pairs of payoffs: --json"


def _leaves(solved: TreeSolution, cells: Sequence[tuple[str, str]]) -> str:
    """Return the names of leaves; of those that pay the same, the one that is reached first."""
    game = solved.outcomes
    groups: dict[tuple[float, float], list[str]] = {}
    for cell, (row, _) in zip(cells, game.cells(cells), strict=True):
        groups.setdefault((float(game.user[row, 0]), float(game.assistant[row, 0])), []).append(cell[0])
    names = [
        same[0] + (f" (and {len(same) - 1} that pay the same)" if len(same) > 1 else "") for same in groups.values()
    ]
    more = f" … ({len(names)} in all)" if len(names) > _MOST_PATHS else ""
    return ", ".join(names[:_MOST_PATHS]) + more
