"""The solution of a division of items: every allocation, which are fair and efficient, and which bargaining picks."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from gtalign_env.errors import UsageError
from gtalign_env.games.bargaining import Bargain
from gtalign_env.games.bimatrix import Bimatrix
from gtalign_env.games.division import Division, offer_name
from gtalign_env.solution.criteria import Choice, agreements, choose, of_outcomes, welfare_best, welfare_of
from gtalign_env.solution.normal import cell_points, efficiency_facts, off_cells, outcome_facts
from gtalign_env.solution.space import PayoffSpace

__all__ = ["DivisionSolution", "solve_division"]

_NO_EQUILIBRIA = (
    "there are no moves, so there is no equilibrium; 'best' and 'bargaining' compare with 'welfare_optimum'"
)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class DivisionSolution:
    """What is known of a division of items.

    Example:
        >>> solve_division(Division((1, 1, 3), (1, 3, 2), (1, 0, 3))).best
        'KEEP_0_1_1'
    """

    kind: ClassVar[str] = "division"

    game: Division
    outcomes: Bimatrix
    """The allocations, named by what the user keeps, as the cells of one column."""
    best: str | None
    """The envy-free, Pareto-optimal allocation of the largest total, by what the user keeps."""
    welfare: str
    """The welfare function of ``optimum``."""
    optimum: tuple[tuple[str, str], ...]
    """The allocations of highest welfare."""
    choice: Choice
    """What the criterion picks."""
    bargaining: Mapping[str, Bargain]
    """Bargaining solutions on the allocations; no deal is worth (0, 0)."""
    hull: Mapping[str, Bargain]
    """The same where agreements may be left to chance."""

    def as_dict(self) -> dict[str, Any]:
        """Return the solution as JSON has it; there are no moves, so there is no equilibrium in pure or mixed ones."""
        game, none = self.game, ("moves", "payoffs", "pure_nash", "nash", "dominance_log")
        return {
            **dict.fromkeys(none),
            **outcome_facts(self),
            **efficiency_facts(None, unknown=_NO_EQUILIBRIA),
            "counts": list(game.counts),
            "values": {"user": list(game.user_values), "assistant": list(game.assistant_values)},
            "difficulty": game.difficulty,
            "best": self.best,
            "allocations": [
                {
                    "keeps": name,
                    "user": int(user),
                    "assistant": int(assistant),
                    "envy_free": bool(fair),
                    "pareto": bool(efficient),
                }
                for name, (user, assistant), fair, efficient in zip(
                    self.outcomes.user_moves, game.utilities, game.envy_free, game.pareto, strict=True
                )
            ],
        }

    def payoff_space(self) -> PayoffSpace:
        """Return the allocations as points in payoff space, named by what the user keeps."""
        names = {(name, ""): name.removeprefix("KEEP_").replace("_", " ") for name in self.outcomes.user_moves}
        return PayoffSpace(
            cells=cell_points(self, names=names),
            others=off_cells(self),
            welfare=self.welfare,
            outcomes="allocation (the user's share)",
        )


def solve_division(game: Division, *, criterion: str = "bargaining:nash") -> DivisionSolution:
    """Solve a division.

    Args:
        game: The division.
        criterion: What picks an allocation: one of the criteria that look at outcomes alone, see ``solution.criteria``.

    Raises:
        UsageError: The criterion is unknown, or needs the moves of a bimatrix.

    Example:
        >>> solve_division(Division((2,), (5,), (5,))).choice.cell
        ('KEEP_1', '')
    """
    if not of_outcomes(criterion):
        raise UsageError(f"criterion {criterion!r} needs a game of moves; a division takes welfare:… or bargaining:…")
    names = tuple(offer_name(share) for share in game.allocations.tolist())
    utilities = game.utilities.astype(np.float64)
    outcomes = Bimatrix(utilities[:, :1], utilities[:, 1:], names, ("",))
    best = game.best()
    return DivisionSolution(
        game=game,
        outcomes=outcomes,
        best=None if best is None else offer_name(best),
        welfare=welfare_of(criterion),
        optimum=tuple(welfare_best(outcomes, welfare_of(criterion))),
        choice=choose(outcomes, criterion),
        bargaining=agreements(outcomes),
        hull=agreements(outcomes, hull=True),
    )
