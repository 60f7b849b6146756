"""The solver in the loop: from a stated matrix to the move, and to the words that announce it."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from gtalign_env.agents.chain.failures import ChainFailure
from gtalign_env.agents.chain.moves import ChainMoves
from gtalign_env.errors import SolverError, UsageError
from gtalign_env.games.bimatrix import Bimatrix
from gtalign_env.solution.criteria import Choice, choose

__all__ = ["Solved", "check_criterion", "solve_stated"]


class Solved(NamedTuple):
    """What the criterion makes of a matrix."""

    choice: Choice
    cell: tuple[str, str]
    """The cell to be played: the choice, or one that was drawn from it."""
    words: str
    """The analysis, ready for its block."""

    def as_dict(self) -> dict[str, Any]:
        """Return the solution as records hold it."""
        return {**self.choice.as_dict(), "drawn": list(self.cell)}


def check_criterion(criterion: str) -> str:
    """Return a criterion that exists and whose argument fits.

    Raises:
        UsageError: It does not.

    Example:
        >>> check_criterion("welfare:ces:rho=-1")
        'welfare:ces:rho=-1'
    """
    choose(Bimatrix([[1.0]], [[1.0]]), criterion)
    return criterion


def solve_stated(
    game: Bimatrix, criterion: str, moves: ChainMoves, *, seed: int = 0, steered: bool = False
) -> Solved | ChainFailure:
    """Solve a stated matrix and say so in words.

    Args:
        game: The matrix.
        criterion: See ``gtalign_env.solution.CRITERIA``.
        moves: What the moves are called.
        seed: Draws the cell, where the criterion leaves it to chance.
        steered: Whether the payoffs were edited after they were stated.

    Returns:
        The solution; a failure where the criterion finds none.

    Example:
        >>> from gtalign_env.agents.chain.moves import with_names
        >>> names = with_names(["VQ", "DQ"], ["DA", "AQ", "CQ"])
        >>> game = Bimatrix([[1, 4, 1], [0, 3, 2]], [[1, 0, 0], [1, 3, 1]], names.rows, names.columns)
        >>> solved = solve_stated(game, "welfare:cobb_douglas", names)
        >>> solved.cell, solved.words.splitlines()[-1]
        (('DQ', 'AQ'), 'choice: DQ|AQ')
        >>> solve_stated(Bimatrix([[-1]], [[-1]]), "bargaining:nash", with_names(["0"], ["0"])).kind
        'no_solution'
    """
    try:
        choice = choose(game, criterion)
    except (SolverError, UsageError) as error:  # the criterion itself was checked: it does not fit this matrix
        return ChainFailure(kind="no_solution", block="analyze", message=str(error))
    if not choice.play:
        return ChainFailure(kind="no_solution", block="analyze", message=choice.why)
    row, column = cell = _drawn(choice, seed)
    words = [
        f"After the payoffs were adjusted to the price, by {choice.criterion}:"
        if steered
        else f"By {choice.criterion}:"
    ]
    if choice.cell is None:
        mixture = ", ".join(f"{user}|{assistant} {chance:.0%}" for user, assistant, chance in choice.play)
        words.append(f"{mixture}; {choice.why}. Drawn for this turn: {row}|{column}.")
    else:
        gains = f"which gives the user {choice.user:.3g} and the assistant {choice.assistant:.3g}"
        words.append(f"{row}|{column}, {gains}; {choice.why}.")
    meaning = moves.assistant.get(column, "")
    words.append(f"The move to make now is {column}{': ' if meaning else ''}{meaning}.")
    return Solved(choice, cell, f"{' '.join(words)}\nchoice: {row}|{column}")


def _drawn(choice: Choice, seed: int) -> tuple[str, str]:
    if choice.cell is not None:
        return choice.cell
    chances = np.array([chance for *_, chance in choice.play])
    place = np.random.default_rng(seed).choice(len(chances), p=chances / chances.sum())
    return choice.play[int(place)][:2]
