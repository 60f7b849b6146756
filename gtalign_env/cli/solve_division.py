"""How ``gtalign solve`` shows a division of items: every allocation, with what is fair and efficient about it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.text import Text

from gtalign_env.cli.solve_matrix import bargaining_facts
from gtalign_env.cli.solve_words import Fact, choice_fact, fact_lines
from gtalign_env.games.division import ITEMS, Division, share_words
from gtalign_env.replay.speech import wrapped
from gtalign_env.solution.normal import agreed_cells

if TYPE_CHECKING:
    from gtalign_env.solution.division import DivisionSolution

__all__ = ["division_lines"]

_SIGNS = (
    ("◆", "pareto", "Pareto-optimal"),
    ("●", "nash", "envy-free"),
    ("★", "gain", "best"),
    ("■", "loss", "bargaining"),
)
_MOST_ROWS = 60
"""Allocations that are listed; of more, only those that are marked."""


def division_lines(solved: DivisionSolution, width: int) -> list[Text]:
    """Return a solved division for people.

    Example:
        >>> from gtalign_env.games import Division
        >>> from gtalign_env.solution import solve
        >>> lines = division_lines(solve(Division((1, 1, 3), (1, 3, 2), (1, 0, 3))), 80)
        >>> next(line.plain.split() for line in lines if "★" in line.plain)[:2]
        ['KEEP_0_1_1', '5']
    """
    return [*_table(solved, width), Text(""), *fact_lines(_facts(solved), width)]


def _table(solved: DivisionSolution, width: int) -> list[Text]:
    game = solved.game
    agreed = {name for found in solved.bargaining.values() for name, _ in agreed_cells(solved.outcomes, found)}
    names = solved.outcomes.user_moves
    label = max(len(name) for name in names) + 2
    lines = [Text.assemble(("offer".ljust(label), "muted"), ("user", "user"), " ", ("assistant", "assistant"))]
    for row, name in enumerate(names):
        held = (game.pareto[row], game.envy_free[row], name == solved.best, name in agreed)
        if len(names) > _MOST_ROWS and not any(held):
            continue
        user, assistant = game.utilities[row].tolist()
        signs = [(sign, role) if holds else " " for holds, (sign, role, _) in zip(held, _SIGNS, strict=True)]
        picked = "  ← criterion" if (name, "") == solved.choice.cell else ""
        line = Text.assemble(
            name.ljust(label), (f"{user:4d}", "user"), (f"{assistant:10d}", "assistant"), "  ", *signs, picked
        )
        line.truncate(width, overflow="ellipsis")
        lines.append(line)
    legend = Text("   ").join([Text.assemble((sign, role), (f" {name}", "muted")) for sign, role, name in _SIGNS])
    return [*lines, *wrapped(legend, width)]


def _facts(solved: DivisionSolution) -> Iterator[Fact]:
    game = solved.game
    yield "items", _worth(game)
    yield choice_fact(solved.choice)
    fair, efficient = int(game.envy_free.sum()), int(game.pareto.sum())
    both = int((game.envy_free & game.pareto).sum())
    yield "allocations", f"{len(game.allocations)}: {fair} envy-free, {efficient} Pareto-optimal, {both} both"
    yield (
        "best",
        "none is envy-free and Pareto-optimal"
        if solved.best is None
        else f"{solved.best}: fair, efficient, largest sum",
    )
    yield "optimum", f"{', '.join(name for name, _ in solved.optimum)}: highest {solved.welfare} welfare"
    yield from bargaining_facts(solved)
    yield "difficulty", f"{game.difficulty} (0 is hardest: both want the same)"


def _worth(game: Division) -> str:
    """Return the items and what one of each is worth to either side."""
    known = len(game.counts) == len(ITEMS)
    counts = share_words(game.counts) if known else " and ".join(map(str, game.counts))
    values = [", ".join(map(str, values)) for values in (game.user_values, game.assistant_values)]
    return f"{counts}; one of each is worth {values[0]} to the user and {values[1]} to the assistant"
