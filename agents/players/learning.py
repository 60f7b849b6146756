"""Players that learn from what the other one has played."""

from __future__ import annotations

import abc
import dataclasses
import math
from typing import Any, ClassVar

import numpy as np

from gtalign_env.agents.players.base import MatrixPlayer
from gtalign_env.agents.players.seat import Floats, Seat, best, uniform
from gtalign_env.errors import UsageError
from gtalign_env.types import Role

__all__ = ["BestResponse", "FictitiousPlay", "RegretMatching"]


@dataclasses.dataclass(kw_only=True, eq=False)
class _Learner(MatrixPlayer):
    """A player of bimatrix games that chooses by what has happened so far."""

    def study(self, game: Any, role: Role) -> None:
        """Take the game's point of view from this chair."""
        self.seat = Seat.of(game, role)

    @abc.abstractmethod
    def choose(self) -> int:
        """Return the row to play now."""

    def counts(self, rounds: int = 0) -> Floats:
        """Return how often the other player made each move in the last ``rounds`` rounds, all when 0."""
        recent = [move for move in self.theirs[-rounds:] if move is not None]
        return np.bincount(recent, minlength=self.seat.own.shape[1]).astype(np.float64)


@dataclasses.dataclass(kw_only=True, eq=False)
class BestResponse(_Learner):
    """Best reply to the mix of the other player's last moves; to a uniform one before the first. Ties: the first move.

    Example:
        >>> BestResponse(memory=3).name
        'best_response:memory=3'
    """

    kind: ClassVar[str] = "best_response"
    memory: int = 1
    """How many of the other player's last moves count (>= 1)."""

    def __post_init__(self) -> None:
        """Check the memory."""
        if self.memory < 1:
            raise UsageError(f"player {self.kind!r}: memory must be a whole number >= 1, got {self.memory!r}")
        super().__post_init__()

    def choose(self) -> int:
        """Return the best reply."""
        counts = self.counts(self.memory)
        belief = counts / counts.sum() if counts.any() else uniform(len(counts))
        return best(self.seat.own @ belief)


@dataclasses.dataclass(kw_only=True, eq=False)
class FictitiousPlay(_Learner):
    """Best reply to everything that the other player has done so far, as if it were drawn from one mix. Ties: the first move.

    Source: Brown (1951), "Iterative solution of games by fictitious play".

    Example:
        >>> FictitiousPlay().name
        'fictitious_play'
    """

    kind: ClassVar[str] = "fictitious_play"
    prior: float = 1.0
    """How often each move counts as seen before the first round (> 0)."""

    def __post_init__(self) -> None:
        """Check the prior."""
        if not 0.0 < self.prior < math.inf:
            raise UsageError(f"player {self.kind!r}: prior must be a finite number > 0, got {self.prior!r}")
        super().__post_init__()

    def choose(self) -> int:
        """Return the best reply."""
        counts = self.counts() + self.prior
        return best(self.seat.own @ (counts / counts.sum()))


@dataclasses.dataclass(kw_only=True, eq=False)
class RegretMatching(_Learner):
    """Makes each move in proportion to how much it would have gained to have made it all along; uniform without regret.

    Source: Hart and Mas-Colell (2000), "A simple adaptive procedure leading to correlated equilibrium", section 4c.

    Example:
        >>> RegretMatching().name
        'regret_matching'
    """

    kind: ClassVar[str] = "regret_matching"

    def choose(self) -> int:
        """Return a move drawn by its regret."""
        chances = regret_strategy(self.seat.own, self.mine, self.theirs)
        return int(self.rng.choice(len(chances), p=chances))


def regret_strategy(own: Floats, mine: list[int], theirs: list[int | None]) -> Floats:
    """Return the chance of each move under unconditional regret matching.

    Args:
        own: The player's payoffs, shape (own moves, other's moves), utils.
        mine: Its moves so far.
        theirs: The other player's moves in the same rounds; ``None`` is left out.

    Example:
        >>> regret_strategy(np.array([[3.0, 0.0], [5.0, 1.0]]), [0, 0], [0, 1]).tolist()
        [0.0, 1.0]
    """
    seen = [(row, column) for row, column in zip(mine, theirs, strict=True) if column is not None]
    rows, columns = [row for row, _ in seen], [column for _, column in seen]
    regret = np.maximum(own[:, columns].sum(axis=1) - own[rows, columns].sum(), 0.0)
    total = regret.sum()
    return regret / total if total > 0.0 else uniform(len(own))
