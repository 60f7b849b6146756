"""How ``gtalign solve`` shows a game tree: subgame-perfect play, decision by decision."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.text import Text

from gtalign_env.cli.solve_matrix import bargaining_facts, matrix_block, refined_efficiency
from gtalign_env.cli.solve_words import Fact, choice_fact, fact_lines, pair
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
    if len(shown) > _MOST_NODES or len(shown) < len(solved.nodes) or not shown:
        told = "not all decisions are listed here: --json has up to 200; --state node=PATH solves from there on"
        lines += wrapped(Text(told, style="muted"), width)
    lines += [Text(""), *fact_lines(_facts(solved), width)]
    if solved.normal is not None and solved.normal.game.user.size <= _MOST_CELLS:
        lines += [Text(""), Text("normal form", style="strong"), *matrix_block(solved.normal, width)]
    return lines


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
    leaves = [leaf for leaf, _ in solved.outcomes.pareto()]
    more = f" … ({len(leaves)} in all)" if len(leaves) > _MOST_PATHS else ""
    yield "Pareto", ", ".join(leaves[:_MOST_PATHS]) + more
    yield "optimum", f"{', '.join(leaf for leaf, _ in solved.optimum[:_MOST_PATHS])}: highest {solved.welfare} welfare"
    yield from bargaining_facts(solved)
    yield from refined_efficiency(
        solved.efficiency, solved.normal, among="in subgame-perfect play", unknown="not all such paths are listed"
    )


def _paths(paths: Sequence[Path]) -> Iterator[Fact]:
    for path in paths[:_MOST_PATHS]:
        yield "", f"{path.name} ({pair(path.user, path.assistant)})"
    if len(paths) > _MOST_PATHS:
        yield "", f"… and {len(paths) - _MOST_PATHS} more: --json"
