"""A game of two players who choose at once: two matrices with names."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gtalign_env.errors import UnknownNameError, UsageError
from gtalign_env.games.bargaining import Bargain, Disagreement, Solution, bargain
from gtalign_env.games.cells import as_bimatrix, move_names, pareto_cells, pure_nash_cells
from gtalign_env.games.correlated import Correlated, Objective, correlated_equilibrium, correlated_range
from gtalign_env.games.dominance import Dominance, Kind, iterated_dominance
from gtalign_env.games.efficiency import Concept, Efficiency, price_of_anarchy
from gtalign_env.games.equilibrium import Equilibrium
from gtalign_env.games.maximin import Security, security
from gtalign_env.games.nash import extreme_equilibria, find_equilibrium
from gtalign_env.games.quantal import Quantal, quantal_response
from gtalign_env.games.quantal_fit import RationalityFit, fit_rationality
from gtalign_env.games.regret import Regret, external_regret, nash_conv, swap_regret, welfare_regret
from gtalign_env.games.stackelberg import Stackelberg, Ties, commitment
from gtalign_env.games.taxonomy import Class2x2, classify, subgame_classes
from gtalign_env.types import Role
from gtalign_env.welfare import Criterion

__all__ = ["Bimatrix"]


@dataclasses.dataclass(frozen=True, eq=False, init=False)
class Bimatrix:
    """A two-player game in normal form: the user chooses a row, the assistant a column.

    Args:
        user: The user's payoffs, shape (rows, columns), finite.
        assistant: The assistant's payoffs, the same shape.
        user_moves: Names of the rows; numbered when empty.
        assistant_moves: Names of the columns; numbered when empty.

    Raises:
        UsageError: The matrices are empty, ragged, of different shapes or not finite, or the names do not fit.

    Example:
        >>> game = Bimatrix([[1, 4, 1], [0, 3, 2]], [[1, 0, 0], [1, 3, 1]], ("VQ", "DQ"), ("DA", "AQ", "CQ"))
        >>> game.pure_nash(), game.pareto()
        ([('VQ', 'DA')], [('VQ', 'AQ'), ('DQ', 'AQ')])
    """

    user: NDArray[np.float64]
    """(rows, columns): the user's payoffs, utils. Read-only."""
    assistant: NDArray[np.float64]
    """(rows, columns): the assistant's payoffs, utils. Read-only."""
    user_moves: tuple[str, ...]
    """Names of the rows."""
    assistant_moves: tuple[str, ...]
    """Names of the columns."""

    def __init__(
        self,
        user: ArrayLike,
        assistant: ArrayLike,
        user_moves: Sequence[str] = (),
        assistant_moves: Sequence[str] = (),
    ) -> None:
        rows, columns = as_bimatrix(user, assistant)
        for field, array in (("user", rows), ("assistant", columns)):
            array.setflags(write=False)
            object.__setattr__(self, field, array)
        object.__setattr__(self, "user_moves", move_names(user_moves, "rows", rows.shape[0]))
        object.__setattr__(self, "assistant_moves", move_names(assistant_moves, "columns", rows.shape[1]))

    @property
    def shape(self) -> tuple[int, int]:
        """Number of rows and of columns."""
        return len(self.user_moves), len(self.assistant_moves)

    def __repr__(self) -> str:
        """Return the game as code that makes it."""
        return f"Bimatrix({self.user.tolist()}, {self.assistant.tolist()}, {self.user_moves}, {self.assistant_moves})"

    def pure_nash(self, *, tolerance: float | None = None) -> list[tuple[str, str]]:
        """Return the pure Nash equilibria as (row, column) names, row by row; by default the pure ones of ``nash()``."""
        return self._named(pure_nash_cells(self.user, self.assistant, tolerance=tolerance))

    def pareto(self, *, tolerance: float | None = None) -> list[tuple[str, str]]:
        """Return the cells that no other cell Pareto-dominates, as (row, column) names, row by row."""
        return self._named(pareto_cells(self.user, self.assistant, tolerance=tolerance))

    def nash(self) -> tuple[Equilibrium, ...]:
        """Return all extreme Nash equilibria, the pure ones first (see ``games.nash.extreme_equilibria``).

        Raises:
            UsageError: The game is too large to list them all; ``find_nash`` finds one.

        Example:
            >>> [found.is_pure for found in Bimatrix([[2, 0], [0, 1]], [[1, 0], [0, 2]]).nash()]
            [True, True, False]
        """
        return extreme_equilibria(self.user, self.assistant)

    def find_nash(self) -> Equilibrium:
        """Return one Nash equilibrium of a game of any size (see ``games.nash.find_equilibrium``).

        Example:
            >>> print(*Bimatrix([[1, -1], [-1, 1]], [[-1, 1], [1, -1]]).find_nash().user)
            1/2 1/2
        """
        return find_equilibrium(self.user, self.assistant)

    def dominance(self, kind: Kind = "strict", *, mixed: bool = False) -> Dominance:
        """Remove dominated moves until there are none (see ``games.dominance.iterated_dominance``).

        Example:
            >>> Bimatrix([[3, 0], [5, 1]], [[3, 5], [0, 1]], ("C", "D"), ("C", "D")).dominance().user_moves
            ('D',)
        """
        return iterated_dominance(
            self.user, self.assistant, self.user_moves, self.assistant_moves, kind=kind, mixed=mixed
        )

    def maximin(self, role: Role, *, mixed: bool = True) -> Security:
        """Return what one player can secure whatever the other does (see ``games.maximin.security``).

        Example:
            >>> Bimatrix([[3, 0], [5, 1]], [[3, 5], [0, 1]]).maximin("user", mixed=False).value
            1.0
        """
        return security(self.user, self.assistant, role, mixed=mixed)

    def correlated(self, objective: Objective = "utilitarian", *, coarse: bool = False) -> Correlated:
        """Return the correlated equilibrium that is best by an objective (see ``games.correlated``).

        Example:
            >>> Bimatrix([[2, 0], [0, 1]], [[1, 0], [0, 2]]).correlated("assistant").assistant_payoff
            2.0
        """
        return correlated_equilibrium(self.user, self.assistant, objective, coarse=coarse)

    def correlated_range(self, objective: Objective = "utilitarian", *, coarse: bool = False) -> tuple[float, float]:
        """Return the lowest and highest value of an objective over all correlated equilibria, utils.

        Example:
            >>> [round(value, 9) for value in Bimatrix([[2, 0], [0, 1]], [[1, 0], [0, 2]]).correlated_range()]
            [1.333333333, 3.0]
        """
        return correlated_range(self.user, self.assistant, objective, coarse=coarse)

    def stackelberg(self, leader: Role, *, mixed: bool = False, ties: Ties = "optimistic") -> Stackelberg:
        """Return the best commitment of a leader and the answer to it (see ``games.stackelberg.commitment``).

        Example:
            >>> Bimatrix([[2, 4], [1, 3]], [[1, 0], [0, 1]]).stackelberg("user").user_payoff
            3.0
        """
        return commitment(self.user, self.assistant, leader, mixed=mixed, ties=ties)

    def quantal_response(self, rationality: float | tuple[float, float]) -> Quantal:
        """Return the logit equilibrium of players who err (see ``games.quantal``).

        Example:
            >>> round(Bimatrix([[3, 0], [5, 1]], [[3, 5], [0, 1]]).quantal_response(2.0).user[0], 4)
            0.0998
        """
        return quantal_response(self.user, self.assistant, rationality)

    def fit_rationality(
        self, plays: Sequence[tuple[str, str]], *, role: Role | None = None, level: float = 0.95
    ) -> RationalityFit:
        """Estimate how rational the players of these (row, column) names were (see ``games.quantal_fit``).

        Raises:
            UsageError: There is no play, or one with a move that the game does not have.

        Example:
            >>> game = Bimatrix([[3, 0], [5, 1]], [[3, 5], [0, 1]], ("C", "D"), ("C", "D"))
            >>> game.fit_rationality([("D", "D")] * 9).rationality
            inf
        """
        return fit_rationality(self.user, self.assistant, self.cells(plays), role=role, level=level)

    def bargaining(
        self, solution: Solution = "nash", disagreement: Disagreement = (0.0, 0.0), *, hull: bool = False
    ) -> Bargain:
        """Return what the players agree on by a bargaining solution (see ``games.bargaining``).

        Example:
            >>> Bimatrix([[3, 0], [5, 1]], [[3, 5], [0, 1]]).bargaining("nash", "maximin").mixture
            (((0, 0), 1.0),)
        """
        return bargain(self.user, self.assistant, solution, disagreement, hull=hull)

    def price_of_anarchy(self, welfare: str | Criterion = "utilitarian", *, concept: Concept = "nash") -> Efficiency:
        """Return how far equilibria fall short of the best cell (see ``games.efficiency``).

        Example:
            >>> Bimatrix([[3, 0], [1, 1]], [[3, 1], [0, 1]]).price_of_anarchy().anarchy
            3.0
        """
        return price_of_anarchy(self.user, self.assistant, welfare, concept=concept)

    def nash_conv(self, user: Sequence[float], assistant: Sequence[float]) -> float:
        """Return what both together gain by best responses to a pair of mixed strategies (see ``games.regret``), utils.

        Example:
            >>> Bimatrix([[5, 0], [10, 1]], [[5, 10], [0, 1]]).nash_conv((0.5, 0.5), (0.5, 0.5))
            3.0
        """
        return nash_conv(self.user, self.assistant, user, assistant)

    def regret(self, plays: Sequence[tuple[str, str]], *, swap: bool = False) -> Regret:
        """Return what each player would have gained in total over these (row, column) names (see ``games.regret``), utils.

        Args:
            plays: The cells played, by the names of their moves.
            swap: Replace each move by the best one for it (swap regret), not all moves by a single one (external regret).

        Raises:
            UsageError: There is no play, or one with a move that the game does not have.

        Example:
            >>> game = Bimatrix([[3, 0], [5, 1]], [[3, 5], [0, 1]], ("C", "D"), ("C", "D"))
            >>> game.regret([("C", "C"), ("C", "D")])
            Regret(user=3.0, assistant=2.0)
        """
        return (swap_regret if swap else external_regret)(self.user, self.assistant, self.cells(plays))

    def welfare_regret(self, plays: Sequence[tuple[str, str]], welfare: str | Criterion = "utilitarian") -> float:
        """Return how much welfare these (row, column) names left on the table, summed over them (see ``games.regret``).

        Example:
            >>> game = Bimatrix([[3, 0], [5, 1]], [[3, 5], [0, 1]], ("C", "D"), ("C", "D"))
            >>> game.welfare_regret([("C", "C"), ("D", "D")])
            4.0
        """
        return welfare_regret(self.user, self.assistant, self.cells(plays), welfare)

    def classify(self) -> Class2x2:
        """Return which kind of 2×2 game this is (see ``games.taxonomy``).

        Raises:
            UsageError: The game is not 2×2.

        Example:
            >>> Bimatrix([[3, 0], [5, 1]], [[3, 5], [0, 1]]).classify().name
            "Prisoner's Dilemma"
        """
        return classify(self.user, self.assistant, self.user_moves, self.assistant_moves)

    def subgame_classes(self) -> dict[tuple[tuple[str, str], tuple[str, str]], Class2x2]:
        """Return the class of every 2×2 game that two rows and two columns make, by their names.

        Example:
            >>> game = Bimatrix([[1, 4, 1], [0, 3, 2]], [[1, 0, 0], [1, 3, 1]])
            >>> {columns: found.pure_nash for (_, columns), found in game.subgame_classes().items()}
            {('1', '2'): 1, ('1', '3'): 2, ('2', '3'): 1}
        """
        return subgame_classes(self.user, self.assistant, self.user_moves, self.assistant_moves)

    def cells(self, plays: Sequence[tuple[str, str]]) -> list[tuple[int, int]]:
        """Return the indices of cells given by the names of their row and column.

        Raises:
            UsageError: The game has no such move, or a play is no pair of names.

        Example:
            >>> Bimatrix([[3, 0], [5, 1]], [[3, 5], [0, 1]], ("C", "D"), ("C", "D")).cells([("D", "C")])
            [(1, 0)]
        """
        rows = {name: i for i, name in enumerate(self.user_moves)}
        columns = {name: j for j, name in enumerate(self.assistant_moves)}
        try:
            pairs = [(row, column, row in rows, column in columns) for row, column in plays]
        except (TypeError, ValueError):
            raise UsageError(f"bimatrix: expected plays as (row, column) names, got {plays!r}") from None
        for row, column, is_row, is_column in pairs:
            if not is_row:
                raise UnknownNameError("row", row, rows)
            if not is_column:
                raise UnknownNameError("column", column, columns)
        return [(rows[row], columns[column]) for row, column, _, _ in pairs]

    def _named(self, mask: NDArray[np.bool_]) -> list[tuple[str, str]]:
        return [(self.user_moves[int(i)], self.assistant_moves[int(j)]) for i, j in np.argwhere(mask)]
