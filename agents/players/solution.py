"""Players that play a solution of the game: what they do does not depend on what has been done."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Iterable
from typing import Any, ClassVar

import numpy as np

from gtalign_env.agents.players.base import Player
from gtalign_env.agents.players.seat import TOLERANCE, Floats, Seat, best, logit, uniform
from gtalign_env.agents.players.turns import Behaviour, by_level, decisions_by_state, roll_back, selfish, unit
from gtalign_env.comparing import undominated
from gtalign_env.errors import UnknownNameError, UsageError
from gtalign_env.games import Bimatrix, Decision, Equilibrium, GameTree
from gtalign_env.games.quantal import quantal_response
from gtalign_env.protocols import Info, Observation
from gtalign_env.types import Role
from gtalign_env.welfare import make_welfare, optimal_cells

__all__ = [
    "LevelK",
    "Maximin",
    "Nash",
    "Quantal",
    "Sequential",
    "Simultaneous",
    "SolutionPlayer",
    "StackelbergPlayer",
    "WelfarePlayer",
    "select_equilibrium",
]


@dataclasses.dataclass(kw_only=True, eq=False)
class SolutionPlayer(Player):
    """A player whose chances at every point are fixed by the game alone.

    Subclasses define ``mixture`` for bimatrix games, ``behaviour`` for trees, or both, and list the forms in ``plays``.
    """

    plays: ClassVar[tuple[type, ...]] = (Bimatrix, GameTree)

    def study(self, game: Any, role: Role) -> None:
        """Solve the game."""
        self._node: Decision | None = None
        if isinstance(game, GameTree):
            self._moves: tuple[str, ...] = ()
            self._behaviour = self.behaviour(game, role)
        else:
            self._moves = game.user_moves if role == "user" else game.assistant_moves
            self._chances = self.mixture(game, role)

    def mixture(self, game: Bimatrix, role: Role) -> Floats:
        """Return the chance of each of the role's moves in a bimatrix game."""
        raise UsageError(f"{type(self).__name__} says that it plays matrices, and has no mixture(game, role)")

    def behaviour(self, tree: GameTree, role: Role) -> Behaviour:
        """Return the chance of each move at each of the role's decisions in a tree."""
        raise UsageError(f"{type(self).__name__} says that it plays trees, and has no behaviour(tree, role)")

    def may_decide(self) -> bool:
        """Return whether the decision at hand is this player's."""
        return self._node is None or self._node.player == self._role

    def decide(self) -> str:
        """Draw a move."""
        chances = self._chances if self._node is None else self._behaviour[id(self._node)]
        return self._moves[int(self.rng.choice(len(chances), p=chances))]

    def feint(self, meant: str) -> str | None:
        """Return the first other move."""
        return next((move for move in self._moves if move != meant), None)

    def watch(self, observation: Observation, info: Info) -> None:
        """Look where in the tree the game stands."""
        super().watch(observation, info)
        if isinstance(self._scenario.game, GameTree):
            state = self._scenario.locate(np.asarray(observation["observation"]))
            self._node = decisions_by_state(self._scenario)[state]
            self._moves = tuple(self._node.moves)


@dataclasses.dataclass(kw_only=True, eq=False)
class Nash(SolutionPlayer):
    """Plays its part of a Nash equilibrium: of those that no other one dominates, the one with the greatest sum of payoffs.

    Ties go to the one in which the payoffs differ least, then to the first of ``Bimatrix.nash()``. Games too large to list all
    equilibria are played by ``find_nash``. Trees are played by backward induction.
    """

    kind: ClassVar[str] = "nash"

    def mixture(self, game: Bimatrix, role: Role) -> Floats:
        """Return the role's part of the equilibrium."""
        return _part(_equilibrium(game), role)

    def behaviour(self, tree: GameTree, role: Role) -> Behaviour:
        """Return the subgame-perfect play."""
        return roll_back(tree, selfish)


@dataclasses.dataclass(kw_only=True, eq=False)
class Simultaneous(SolutionPlayer):
    """The workflow for simultaneous games: the best replies of both to each move, the cells in which they meet, one of these.

    Selected as ``nash`` does. Where no cell is left it plays ``nash`` in mixed strategies.

    Source: Hua et al. (2024), arXiv 2411.05990, section 4, with best replies computed in place of asked for.
    """

    kind: ClassVar[str] = "simultaneous"
    plays = (Bimatrix,)

    def mixture(self, game: Bimatrix, role: Role) -> Floats:
        """Return the role's part of the selected cell."""
        met = conditional_replies(Seat.of(game, "user")) & conditional_replies(Seat.of(game, "assistant")).T
        cells = [(int(row), int(column)) for row, column in np.argwhere(met)]
        if not cells:
            return _part(_equilibrium(game), role)
        row, column = cells[_select([(float(game.user[cell]), float(game.assistant[cell])) for cell in cells])]
        return unit(row, game.shape[0]) if role == "user" else unit(column, game.shape[1])


@dataclasses.dataclass(kw_only=True, eq=False)
class Sequential(SolutionPlayer):
    """The workflow for games of turns: backward induction from whatever decision is reached. Ties: the move listed first.

    Source: Hua et al. (2024), arXiv 2411.05990, section 4, with the choice at each decision computed in place of asked for.
    """

    kind: ClassVar[str] = "sequential"
    plays = (GameTree,)

    def behaviour(self, tree: GameTree, role: Role) -> Behaviour:
        """Return the subgame-perfect play."""
        return roll_back(tree, selfish)


@dataclasses.dataclass(kw_only=True, eq=False)
class Maximin(SolutionPlayer):
    """Secures as much as it can whatever the other one does, by mixing where that helps."""

    kind: ClassVar[str] = "maximin"

    def mixture(self, game: Bimatrix, role: Role) -> Floats:
        """Return the securing strategy."""
        return _secured(game, role)

    def behaviour(self, tree: GameTree, role: Role) -> Behaviour:
        """Return the play that is best against an enemy."""

        def rule(at: Decision, user: Floats, assistant: Floats) -> Floats:
            own = user if role == "user" else assistant
            return unit(best(own if at.player == role else -own), len(own))

        return roll_back(tree, rule)


@dataclasses.dataclass(kw_only=True, eq=False)
class StackelbergPlayer(SolutionPlayer):
    """Plays as if one of the two committed first in the sight of the other, who decides ties in the leader's favour."""

    kind: ClassVar[str] = "stackelberg"
    plays = (Bimatrix,)
    leader: str = "user"
    """Who commits: ``user`` or ``assistant``."""

    def __post_init__(self) -> None:
        """Check who leads."""
        if self.leader not in ("user", "assistant"):
            raise UnknownNameError(f"leader of player {self.kind!r}:", self.leader, ["user", "assistant"])
        super().__post_init__()

    def mixture(self, game: Bimatrix, role: Role) -> Floats:
        """Return the commitment, or the answer to it."""
        leader: Role = "user" if self.leader == "user" else "assistant"
        found = game.stackelberg(leader)
        if role == leader:
            return np.asarray(found.commitment)
        return unit(found.response, game.shape[0 if role == "user" else 1])


@dataclasses.dataclass(kw_only=True, eq=False)
class WelfarePlayer(SolutionPlayer):
    """Plays its part of what is best for both by a welfare criterion.

    Ties go to where the smaller of both payoffs is greatest, then to the first cell; in trees to the first move.
    """

    kind: ClassVar[str] = "welfare"
    criterion: str = "utilitarian"
    """A criterion of ``gtalign_env.welfare``: ``utilitarian``, ``egalitarian``, ``nash_product``, ``ces:rho=-1``, …"""

    def __post_init__(self) -> None:
        """Check the criterion."""
        self._welfare = make_welfare(self.criterion)
        super().__post_init__()

    def mixture(self, game: Bimatrix, role: Role) -> Floats:
        """Return the role's part of the best cell."""
        optimal = optimal_cells(game.user, game.assistant, self._welfare)
        row, column = divmod(_fairest(game.user.ravel(), game.assistant.ravel(), optimal.ravel()), game.shape[1])
        return unit(row, game.shape[0]) if role == "user" else unit(column, game.shape[1])

    def behaviour(self, tree: GameTree, role: Role) -> Behaviour:
        """Return the play that leads to the best leaf."""

        def rule(at: Decision, user: Floats, assistant: Floats) -> Floats:
            welfare = self._welfare(user, assistant)
            return unit(_fairest(user, assistant, welfare >= welfare.max() - TOLERANCE), len(at.moves))

        return roll_back(tree, rule)


@dataclasses.dataclass(kw_only=True, eq=False)
class LevelK(SolutionPlayer):
    """Replies best to level k − 1; level 0 moves at random. Ties: the first move.

    Source: Stahl and Wilson (1995), "On players' models of other players"; Nagel (1995).
    """

    kind: ClassVar[str] = "level_k"
    k: int = 1
    """How many steps it thinks, 0 to 100."""

    def __post_init__(self) -> None:
        """Check the level."""
        _check_level(self.kind, "k", self.k)
        super().__post_init__()

    def mixture(self, game: Bimatrix, role: Role) -> Floats:
        """Return the level's move."""
        return thinking(Seat.of(game, role), self.k, _sharp)

    def behaviour(self, tree: GameTree, role: Role) -> Behaviour:
        """Return the level's play."""
        return by_level(tree, role, self.k, _sharp)


@dataclasses.dataclass(kw_only=True, eq=False)
class Quantal(SolutionPlayer):
    """Errs, but less where errors cost more: its part of the logit quantal response equilibrium, or a quantal level.

    Sources: McKelvey and Palfrey (1995; 1998 for trees, in agent form); Stahl and Wilson (1994) for the levels.
    """

    kind: ClassVar[str] = "quantal"
    rationality: float = 1.0
    """λ, per util (>= 0): 0 moves at random."""
    level: int = 0
    """0 for the equilibrium; from 1 on, the logit reply to the level below, of which level 0 moves at random."""

    def __post_init__(self) -> None:
        """Check the rationality and the level."""
        if not 0.0 <= self.rationality < math.inf:
            raise UsageError(
                f"player {self.kind!r}: rationality must be a finite number >= 0, got {self.rationality!r}"
            )
        _check_level(self.kind, "level", self.level)
        super().__post_init__()

    def mixture(self, game: Bimatrix, role: Role) -> Floats:
        """Return the chances of the equilibrium, or of the level."""
        if self.level:
            return thinking(Seat.of(game, role), self.level, self._soft)
        return _part(_quantal(game, self.rationality), role)

    def behaviour(self, tree: GameTree, role: Role) -> Behaviour:
        """Return the chances at every decision."""
        if self.level:
            return by_level(tree, role, self.level, self._soft)
        return roll_back(tree, lambda at, user, assistant: self._soft(user if at.player == "user" else assistant))

    def _soft(self, values: Floats) -> Floats:
        return logit(values, self.rationality)


def conditional_replies(seat: Seat) -> Any:
    """Return which own moves are best against each of the other's, shape (own moves, other's moves).

    Example:
        >>> conditional_replies(Seat.of(Bimatrix([[3, 0], [5, 1]], [[3, 5], [0, 1]]), "user")).tolist()
        [[False, False], [True, True]]
    """
    return seat.own >= seat.own.max(axis=0, keepdims=True) - TOLERANCE


def thinking(seat: Seat, level: int, reply: Any) -> Floats:
    """Return the chances of a player that replies to the level below it; level 0 is uniform.

    Args:
        seat: The player's view of the game.
        level: How many steps it thinks (>= 0).
        reply: From expected payoffs of the own moves to their chances.

    Example:
        >>> thinking(Seat.of(Bimatrix([[3, 0], [5, 1]], [[3, 5], [0, 1]]), "user"), 1, _sharp).tolist()
        [0.0, 1.0]
    """
    if level == 0:
        return uniform(len(seat.own))
    chances: Floats = reply(seat.own @ thinking(seat.opposite, level - 1, reply))
    return chances


def select_equilibrium(found: Iterable[Equilibrium]) -> Equilibrium:
    """Return the equilibrium that ``nash`` plays, by the rule that stands there.

    Example:
        >>> hare_or_stag = Bimatrix([[3, 0], [1, 1]], [[3, 1], [0, 1]]).nash()
        >>> select_equilibrium(hare_or_stag).user_payoff
        Fraction(3, 1)
    """
    listed = list(found)
    return listed[_select([(float(one.user_payoff), float(one.assistant_payoff)) for one in listed])]


def _select(payoffs: list[tuple[float, float]]) -> int:
    """Return which pair of payoffs is undominated with the greatest sum; then the evenest, then the first."""
    pairs = np.array(payoffs)
    total = np.where(undominated(*pairs.T, tolerance=TOLERANCE), pairs.sum(axis=1), -np.inf)
    evenness = np.where(total >= total.max() - TOLERANCE, -np.abs(pairs[:, 0] - pairs[:, 1]), -np.inf)
    return best(evenness)


def _fairest(user: Floats, assistant: Floats, among: Any) -> int:
    """Return the index of the pair of payoffs, of those in a mask, whose smaller one is greatest; of equals the first."""
    return best(np.where(among, np.minimum(user, assistant), -np.inf))


@functools.lru_cache(maxsize=64)
def _equilibrium(game: Bimatrix) -> Equilibrium:
    try:
        return select_equilibrium(game.nash())
    except UsageError:  # too large to list them all
        return game.find_nash()


@functools.lru_cache(maxsize=64)
def _quantal(game: Bimatrix, rationality: float) -> Any:
    return quantal_response(game.user, game.assistant, rationality)


@functools.lru_cache(maxsize=64)
def _secured(game: Bimatrix, role: Role) -> Floats:
    return np.asarray(game.maximin(role).strategy)


def _part(found: Any, role: Role) -> Floats:
    chances = np.array([float(chance) for chance in (found.user if role == "user" else found.assistant)])
    whole: Floats = chances / chances.sum()
    return whole


def _sharp(values: Floats) -> Floats:
    return unit(best(values), len(values))


def _check_level(kind: str, name: str, level: int) -> None:
    if not 0 <= level <= 100:
        raise UsageError(f"player {kind!r}: {name} must be a whole number from 0 to 100, got {level!r}")
