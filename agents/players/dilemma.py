"""What it means to cooperate and to defect in a bimatrix game, so that strategies for the prisoner's dilemma play any."""

from __future__ import annotations

import abc
import dataclasses
from typing import Any, NamedTuple

import numpy as np

from gtalign_env.agents.players.base import MatrixPlayer
from gtalign_env.agents.players.seat import TOLERANCE, Seat, best
from gtalign_env.types import Role

__all__ = ["Dilemma", "DilemmaPlayer", "find_dilemma"]


class Dilemma(NamedTuple):
    """The moves by which both players cooperate and defect, as one of them sees them."""

    cooperate: int
    """Own move."""
    defect: int
    """Own move; the same one where there is no other."""
    other_cooperates: int
    """The other player's move by which it cooperates; by any other one it defects."""
    other_defects: int
    """The move that it would defect by."""


def find_dilemma(seat: Seat) -> Dilemma:
    """Return how to cooperate and to defect in a game.

    To cooperate is to play one's part of the cell with the greatest sum of payoffs. Ties go to the cell in which the
    payoffs differ least, then to the first row and its first column. In a symmetric game only cells in which both make the same
    move count: neither side has a reason to take the lesser part.

    To defect is the best reply to the other's cooperation. Where that is to cooperate, defection is the safest of the other
    moves: the one whose worst payoff is greatest.

    Example:
        >>> from gtalign_env.games import Bimatrix
        >>> find_dilemma(Seat.of(Bimatrix([[3, 0], [5, 1]], [[3, 5], [0, 1]]), "user"))
        Dilemma(cooperate=0, defect=1, other_cooperates=0, other_defects=1)
    """
    mine, theirs = _joint_best(seat)
    return Dilemma(mine, _defection(seat.own, mine, theirs), theirs, _defection(seat.other.T, theirs, mine))


def _joint_best(seat: Seat) -> tuple[int, int]:
    total, gap = seat.own + seat.other, np.abs(seat.own - seat.other)
    allowed = np.eye(len(total), dtype=bool) if seat.symmetric else np.ones(total.shape, dtype=bool)
    top = allowed & (total >= total[allowed].max() - TOLERANCE)
    top &= gap <= gap[top].min() + TOLERANCE
    row, column = np.argwhere(top)[0]
    return int(row), int(column)


def _defection(own: Any, cooperate: int, other_cooperates: int) -> int:
    reply = best(own[:, other_cooperates])
    if reply != cooperate or len(own) == 1:
        return reply
    safe = own.min(axis=1)
    safe[cooperate] = -np.inf
    return best(safe)


@dataclasses.dataclass(kw_only=True, eq=False)
class DilemmaPlayer(MatrixPlayer):
    """A strategy that is written in terms of cooperation and defection.

    Subclasses define ``cooperates``, and read what has happened from ``own`` and ``other``. An illegal move of the other player
    counts as defection.
    """

    def reset(self, seed: int) -> None:
        """Begin a new episode."""
        super().reset(seed)
        self.own: list[bool] = []
        """Whether this player cooperated, round by round."""
        self.other: list[bool] = []
        """Whether the other player did."""

    def study(self, game: Any, role: Role) -> None:
        """Find out what cooperation is in this game; both chairs agree on it."""
        from_user = find_dilemma(Seat.of(game, "user"))
        self.dilemma = from_user if role == "user" else Dilemma(*from_user[2:], *from_user[:2])

    def look(self, mine: int | None, theirs: int | None) -> None:
        """Remember the round, in the words of the dilemma."""
        super().look(mine, theirs)
        for index in range(len(self.own), len(self.mine)):
            self.own.append(self.mine[index] == self.dilemma.cooperate)
            self.other.append(self.theirs[index] == self.dilemma.other_cooperates)
            self.after_round(self.own[-1], self.other[-1])

    def choose(self) -> int:
        """Return the row that stands for what the strategy wants."""
        return self.dilemma.cooperate if self.cooperates() else self.dilemma.defect

    def feint(self, meant: str) -> str | None:
        """Return the other of the two moves."""
        own = [self._own[self.dilemma.cooperate], self._own[self.dilemma.defect]]
        return next((name for name in own if name != meant), None)

    @abc.abstractmethod
    def cooperates(self) -> bool:
        """Return whether to cooperate now."""

    def after_round(self, own: bool, other: bool) -> None:
        """Take note of a round; called once for each."""
