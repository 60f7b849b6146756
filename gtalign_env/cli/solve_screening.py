"""How ``gtalign solve`` shows a screening game: the menus that are posted, and what every type makes of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.text import Text

from gtalign_env.cli.solve_matrix import bargaining_facts
from gtalign_env.cli.solve_words import Fact, choice_fact, fact_lines, pair, utils

if TYPE_CHECKING:
    from gtalign_env.games.screening import MenuOutcome
    from gtalign_env.solution.screening import ScreeningSolution

__all__ = ["screening_lines"]


def screening_lines(solved: ScreeningSolution, width: int) -> list[Text]:
    """Return a solved screening game for people.

    Example:
        >>> from gtalign_env.games.screening import ScreeningGame
        >>> from gtalign_env.solution import solve
        >>> game = ScreeningGame([0.5, 0.5], [[1, -1], [1, 2]], [[1, 2], [1, 2]], ("low", "high"), ("basic", "pro"))
        >>> print(screening_lines(solve(game), 80)[3].plain)
                         high takes pro (rent 2)
    """
    return fact_lines(_facts(solved), width)


def _facts(solved: ScreeningSolution) -> Iterator[Fact]:
    game, audit = solved.game, solved.audit
    yield "types", ", ".join(f"{name} {utils(share)}" for name, share in zip(game.types, game.prior, strict=True))
    yield from _menu(solved, "best menu", "for the provider", solved.best)
    envy, loss = utils(audit.ic_violation), utils(audit.ir_violation)
    yield "", f"incentives: gain by another type's contract {envy}, loss by taking part {loss}"
    yield from _competition(solved)
    yield choice_fact(solved.choice)
    yield "optimum", f"{', '.join(menu for menu, _ in solved.optimum)}: highest {solved.welfare} welfare"
    yield "Pareto", ", ".join(menu for menu, _ in solved.outcomes.pareto())
    yield from bargaining_facts(solved)


def _competition(solved: ScreeningSolution) -> Iterator[Fact]:
    if solved.competitive is None:
        yield (
            "competition",
            "leaves no menu in this order of types: one would rather have what is meant for an earlier one",
        )
        return
    holds = solved.upset_by is None
    yield from _menu(solved, "competition", "no entrant breaks it" if holds else "", solved.competitive)
    if not holds:
        yield "", f"no equilibrium: an entrant with {solved.upset_by} would break it"


def _menu(solved: ScreeningSolution, label: str, note: str, found: MenuOutcome) -> Iterator[Fact]:
    payoffs = pair(found.user_payoff, found.assistant_payoff)
    yield label, payoffs + (f"; {note}" if note else "")
    for name, contract, rent in zip(solved.game.types, found.choices, found.user_by_type, strict=True):
        took = "walks away" if contract is None else f"takes {contract}"
        yield "", f"{name} {took} (rent {utils(rent)})"
