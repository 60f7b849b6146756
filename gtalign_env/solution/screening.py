"""The solution of a screening game: what every menu leads to, and which one a monopolist or competition posts."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from gtalign_env.errors import UsageError
from gtalign_env.games.bargaining import Bargain
from gtalign_env.games.bimatrix import Bimatrix
from gtalign_env.games.screening import MenuAudit, MenuOutcome, ScreeningGame
from gtalign_env.solution.criteria import Choice, agreements, choose, of_outcomes, welfare_best, welfare_of
from gtalign_env.solution.normal import cell_points, efficiency_facts, off_cells, outcome_facts
from gtalign_env.solution.space import PayoffSpace

__all__ = ["ScreeningSolution", "menu_name", "solve_screening"]

MOST_MENUS = 2_000
"""Menus that are all looked at."""
_NO_EQUILIBRIA = "only one side moves first; 'optimal_menu' and 'competitive_menu' compare with 'welfare_optimum'"


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class ScreeningSolution:
    """What is known of a screening game.

    Example:
        >>> game = ScreeningGame([0.5, 0.5], [[1, -1], [1, 2]], [[1, 2], [1, 2]], ("low", "high"), ("basic", "pro"))
        >>> solve_screening(game).choice.cell
        ('basic+pro', '')
    """

    kind: ClassVar[str] = "screening"

    game: ScreeningGame
    best: MenuOutcome
    """The menu that brings the provider most."""
    audit: MenuAudit
    """Its incentives: what types envy each other for, and their rents."""
    competitive: MenuOutcome | None
    """The menu that competition leaves; ``None`` where no incentive-compatible one comes of it (see ``ScreeningGame``)."""
    upset_by: str | None
    """A contract with which an entrant would break the competitive menu; ``None`` where none would, or there is no such menu."""
    menus: tuple[MenuOutcome, ...]
    """What comes of each menu in ``outcomes``."""
    outcomes: Bimatrix
    """The menus as cells of one column: contracts joined by ``+``, no more of them than there are types."""
    welfare: str
    """The welfare function of ``optimum``."""
    optimum: tuple[tuple[str, str], ...]
    """The menus of highest welfare."""
    choice: Choice
    """What the criterion picks."""
    bargaining: Mapping[str, Bargain]
    """Bargaining solutions on the menus."""
    hull: Mapping[str, Bargain]
    """The same where agreements may be left to chance."""

    def as_dict(self) -> dict[str, Any]:
        """Return the solution as JSON has it; there is no bimatrix of moves."""
        game, none = self.game, ("moves", "payoffs", "pure_nash", "nash", "dominance_log")
        return {
            **dict.fromkeys(none),
            **outcome_facts(self),
            **efficiency_facts(None, unknown=_NO_EQUILIBRIA),
            "types": dict(zip(game.types, game.prior.tolist(), strict=True)),
            "contracts": list(game.contracts),
            "optimal_menu": {**self._menu(self.best), "audit": dataclasses.asdict(self.audit)},
            "competitive_menu": None
            if self.competitive is None
            else {**self._menu(self.competitive), "upset_by": self.upset_by},
            "menus": {
                name: self._menu(found) for name, found in zip(self.outcomes.user_moves, self.menus, strict=True)
            },
        }

    def payoff_space(self) -> PayoffSpace:
        """Return the menus as points in payoff space."""
        names = {(menu, ""): menu for menu in self.outcomes.user_moves}
        return PayoffSpace(
            cells=cell_points(self, names=names, nash=[(menu_name(self.best.menu), "")]),
            others=off_cells(self),
            welfare=self.welfare,
            outcomes="menu",
            nash="what the provider posts",
        )

    def _menu(self, found: MenuOutcome) -> dict[str, Any]:
        return {
            "choices": dict(zip(self.game.types, found.choices, strict=True)),
            "payoffs": {"user": found.user_payoff, "assistant": found.assistant_payoff},
            "user_by_type": dict(zip(self.game.types, found.user_by_type, strict=True)),
        }


def solve_screening(game: ScreeningGame, *, criterion: str = "nash") -> ScreeningSolution:
    """Solve a screening game.

    Args:
        game: The game.
        criterion: What picks a menu: ``nash`` (the provider posts what brings it most), or one of the criteria that look at
            outcomes alone, see ``solution.criteria``.

    Raises:
        UsageError: The criterion is unknown or needs the moves of a bimatrix, or the game is too large.

    Example:
        >>> game = ScreeningGame([0.5, 0.5], [[1, -1], [1, 2]], [[1, 2], [1, 2]], ("low", "high"), ("basic", "pro"))
        >>> solve_screening(game).choice.assistant
        1.5
    """
    if criterion != "nash" and not of_outcomes(criterion):
        raise UsageError(f"criterion {criterion!r} needs a game of moves; a menu takes nash, welfare:… or bargaining:…")
    best, competitive = game.optimal_menu(), game.competitive_menu()
    menus = _menus(game, best, *([] if competitive is None else [competitive]))
    outcomes = Bimatrix(
        np.array([[found.user_payoff] for found in menus.values()]),
        np.array([[found.assistant_payoff] for found in menus.values()]),
        tuple(menus),
        ("",),
    )
    return ScreeningSolution(
        game=game,
        best=best,
        audit=game.audit(best.choices),
        competitive=competitive,
        upset_by=None if competitive is None else game.upset_by(competitive),
        menus=tuple(menus.values()),
        outcomes=outcomes,
        welfare=welfare_of(criterion),
        optimum=tuple(welfare_best(outcomes, welfare_of(criterion))),
        choice=choose(outcomes, criterion) if of_outcomes(criterion) else _posted(best),
        bargaining=agreements(outcomes),
        hull=agreements(outcomes, hull=True),
    )


def menu_name(contracts: tuple[str, ...]) -> str:
    """Return what a menu is called.

    Example:
        >>> menu_name(("basic", "pro")), menu_name(())
        ('basic+pro', 'nothing')
    """
    return "+".join(sorted(contracts)) or "nothing"


def _menus(game: ScreeningGame, *known: MenuOutcome) -> dict[str, MenuOutcome]:
    """Return what comes of every menu with as many contracts as types at most; of too many only the known ones."""
    found = {menu_name(()): game.outcome(()), **{menu_name(one.menu): one for one in known}}
    sizes = range(1, len(game.types) + 1)
    all_menus = itertools.chain.from_iterable(itertools.combinations(game.contracts, size) for size in sizes)
    listed = list(itertools.islice(all_menus, MOST_MENUS + 1))
    if len(listed) <= MOST_MENUS:
        for menu in listed:
            found.setdefault(menu_name(menu), game.outcome(menu))
    return found


def _posted(best: MenuOutcome) -> Choice:
    return Choice(
        criterion="nash",
        play=((menu_name(best.menu), "", 1.0),),
        user=best.user_payoff,
        assistant=best.assistant_payoff,
        why="the provider posts what brings it most, and every type picks what is best for itself",
    )
