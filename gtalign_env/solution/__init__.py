"""Solving a game: everything that is known about it, assembled as plain data.

``pose`` gets the game out of a scenario, ``solve`` solves it, whatever its form. A solution has ``kind``, ``as_dict()`` (what
``gtalign solve --json`` prints) and ``payoff_space()`` (what ``gtalign_env.plots`` draws).
"""

from __future__ import annotations

from typing import Any, Protocol

from gtalign_env.errors import UsageError
from gtalign_env.registration import load
from gtalign_env.solution.criteria import CRITERIA, Choice
from gtalign_env.solution.posing import Posed, pose
from gtalign_env.solution.space import PayoffSpace, Point

__all__ = ["CRITERIA", "SOLVERS", "Choice", "PayoffSpace", "Point", "Posed", "Solution", "pose", "solve"]

SOLVERS: dict[str, str] = {
    "Bimatrix": "gtalign_env.solution.normal:solve_bimatrix",
    "Division": "gtalign_env.solution.division:solve_division",
    "GameTree": "gtalign_env.solution.tree:solve_tree",
    "ScreeningGame": "gtalign_env.solution.screening:solve_screening",
    "SignallingGame": "gtalign_env.solution.signalling:solve_signalling",
}
"""What solves a game, by the name of its class: a function of the game and, where it is given, a ``criterion``."""


class Solution(Protocol):
    """What a solver returns."""

    @property
    def kind(self) -> str:
        """What sort of solution it is, e.g. ``"matrix"``."""
        ...

    def as_dict(self) -> dict[str, Any]:
        """Return the solution as JSON has it."""
        ...

    def payoff_space(self) -> PayoffSpace:
        """Return the game as points in payoff space."""
        ...


def solve(game: Any, *, criterion: str | None = None) -> Solution:
    """Solve a game of any kind.

    Args:
        game: A ``Bimatrix``, ``GameTree``, ``Division``, ``ScreeningGame``, ``SignallingGame`` or an instance of a subclass.
        criterion: What picks an outcome, see ``CRITERIA``; what is usual for this kind of game when ``None``.

    Raises:
        UsageError: There is no solver for this kind of game, or the criterion is unknown or does not fit it.

    Example:
        >>> from gtalign_env.games import Bimatrix
        >>> solve(Bimatrix([[3, 0], [5, 1]], [[3, 5], [0, 1]], "CD", "CD")).as_dict()["pure_nash"]
        [['D', 'D']]
    """
    for base in type(game).__mro__:
        if base.__name__ in SOLVERS:
            found: Solution = load(SOLVERS[base.__name__])(
                game, **({} if criterion is None else {"criterion": criterion})
            )
            return found
    raise UsageError(f"a game of class {type(game).__name__!r} cannot be solved: expected one of {', '.join(SOLVERS)}")
