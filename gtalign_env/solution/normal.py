"""The solution of a bimatrix game, assembled from everything that ``gtalign_env.games`` knows about it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any, ClassVar, Protocol, get_args

from gtalign_env.errors import UsageError
from gtalign_env.games.bargaining import Bargain
from gtalign_env.games.bimatrix import Bimatrix
from gtalign_env.games.correlated import Correlated
from gtalign_env.games.dominance import Dominance, Removal
from gtalign_env.games.efficiency import Efficiency
from gtalign_env.games.equilibrium import Equilibrium
from gtalign_env.games.maximin import Security
from gtalign_env.games.stackelberg import Stackelberg
from gtalign_env.games.taxonomy import Class2x2
from gtalign_env.solution.criteria import (
    Choice,
    agreement,
    agreements,
    cell_label,
    cell_name,
    choose,
    play_dicts,
    welfare_best,
    welfare_of,
)
from gtalign_env.solution.space import PayoffSpace, Point
from gtalign_env.types import Role

__all__ = [
    "MOST_CORRELATED",
    "MOST_MIXING",
    "MatrixSolution",
    "Outcomes",
    "agreed_cells",
    "cell_points",
    "efficiency_facts",
    "off_cells",
    "outcome_facts",
    "solve_bimatrix",
]

ROLES: tuple[Role, ...] = get_args(Role)
MOST_CORRELATED = 900
"""Cells of a game whose correlated equilibria are looked for: the linear program has a limit for each pair of moves."""
MOST_MIXING = 60
"""Moves of a side up to which dominance by mixtures and commitment to chances are looked for: a linear program for each."""


class Outcomes(Protocol):
    """What solutions of all kinds have: outcomes as the cells of a bimatrix, and what is marked among them."""

    @property
    def outcomes(self) -> Bimatrix:
        """The outcomes as cells; in games that are no bimatrix, those of one column."""
        ...

    @property
    def welfare(self) -> str:
        """The welfare function of ``optimum``."""
        ...

    @property
    def optimum(self) -> tuple[tuple[str, str], ...]:
        """The cells of highest welfare."""
        ...

    @property
    def choice(self) -> Choice:
        """What the criterion picks."""
        ...

    @property
    def bargaining(self) -> Mapping[str, Bargain]:
        """Bargaining solutions on the cells."""
        ...

    @property
    def hull(self) -> Mapping[str, Bargain]:
        """Bargaining solutions on the convex hull."""
        ...


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class MatrixSolution:
    """What is known of a bimatrix game.

    Example:
        >>> game = Bimatrix([[1, 4, 1], [0, 3, 2]], [[1, 0, 0], [1, 3, 1]], ("VQ", "DQ"), ("DA", "AQ", "CQ"))
        >>> solve_bimatrix(game).optimum
        (('DQ', 'AQ'),)
    """

    kind: ClassVar[str] = "matrix"

    game: Bimatrix
    nash: tuple[Equilibrium, ...]
    """All extreme equilibria; one of them where ``complete`` is false."""
    complete: bool
    """Whether ``nash`` holds all extreme equilibria; large games have too many to list."""
    welfare: str
    """The welfare function of ``optimum``."""
    optimum: tuple[tuple[str, str], ...]
    """The cells of highest welfare."""
    choice: Choice
    """What the criterion picks."""
    strict: Dominance
    """Iterated removal of strictly dominated moves; also by mixed strategies, up to ``MOST_MIXING`` moves."""
    weak: Dominance
    """Iterated removal of weakly dominated moves; the order matters to what is left."""
    maximin: Mapping[Role, Security]
    """What each player can make sure of, in mixed strategies."""
    stackelberg: Mapping[Role, Stackelberg]
    """Play where this role commits to a move first."""
    commitment: Mapping[Role, Stackelberg] | None
    """The same where it may commit to chances; ``None`` where a side has more than ``MOST_MIXING`` moves."""
    correlated: Correlated | None
    """The correlated equilibrium with the highest sum of payoffs; ``None`` in more than ``MOST_CORRELATED`` cells."""
    welfare_range: tuple[float, float] | None
    """Lowest and highest sum of payoffs of the correlated equilibria; ``None`` as before."""
    bargaining: Mapping[str, Bargain]
    """Bargaining solutions on the cells, with the outside option (0, 0)."""
    hull: Mapping[str, Bargain]
    """The same where agreements may be left to chance."""
    efficiency: Efficiency | None
    """Price of anarchy and of stability, by the sum of payoffs; ``None`` where not all equilibria are listed."""
    taxonomy: Class2x2 | None
    """The class of a 2×2 game."""

    @property
    def outcomes(self) -> Bimatrix:
        """The game's own cells."""
        return self.game

    def as_dict(self) -> dict[str, Any]:
        """Return the solution as JSON has it."""
        game = self.game
        return {
            "moves": {"user": list(game.user_moves), "assistant": list(game.assistant_moves)},
            "payoffs": {"user": game.user.tolist(), "assistant": game.assistant.tolist()},
            **outcome_facts(self),
            "pure_nash": [list(cell) for cell in game.pure_nash()],
            "nash": [_equilibrium(game, found) for found in self.nash],
            "nash_complete": self.complete,
            "dominance_log": [_removal(removal) for removal in self.strict.log],
            "dominance_left": {"user": list(self.strict.user_moves), "assistant": list(self.strict.assistant_moves)},
            "weak_dominance_log": [_removal(removal) for removal in self.weak.log],
            "weak_dominance_left": {"user": list(self.weak.user_moves), "assistant": list(self.weak.assistant_moves)},
            "maximin": {
                role: {"value": float(found.value), "strategy": _weights(_moves(game, role), found.strategy)}
                for role, found in self.maximin.items()
            },
            "stackelberg": {
                role: {
                    "pure": _played(game, self.stackelberg[role]),
                    "mixed": None if self.commitment is None else _played(game, self.commitment[role]),
                }
                for role in ROLES
            },
            "correlated": self._correlated(),
            **efficiency_facts(self.efficiency, unknown="not all equilibria are listed"),
            "class_2x2": None
            if self.taxonomy is None
            else {"name": self.taxonomy.name, **dataclasses.asdict(self.taxonomy)},
        }

    def _correlated(self) -> dict[str, Any] | None:
        found = self.correlated
        if found is None or self.welfare_range is None:
            return None
        return {
            "distribution": [list(map(float, row)) for row in found.distribution],
            "payoffs": _pair(found.user_payoff, found.assistant_payoff),
            "welfare_range": list(self.welfare_range),
        }

    def payoff_space(self) -> PayoffSpace:
        """Return the game as points in payoff space."""
        mixed = [
            Point(name="", user=float(found.user_payoff), assistant=float(found.assistant_payoff), marks=("nash",))
            for found in self.nash
            if not found.is_pure
        ]
        return PayoffSpace(
            cells=cell_points(self, nash=self.game.pure_nash()),
            others=(*mixed, *off_cells(self)),
            welfare=self.welfare,
        )


def solve_bimatrix(game: Bimatrix, *, criterion: str = "welfare") -> MatrixSolution:
    """Solve a bimatrix game; of a large one, what is known within seconds (see ``MOST_CORRELATED``, ``MOST_MIXING``).

    Args:
        game: The game.
        criterion: What picks a cell, see ``solution.criteria``.

    Raises:
        UsageError: The criterion is unknown or does not fit the game.

    Example:
        >>> [(e.user, e.assistant) for e in solve_bimatrix(Bimatrix([[3, 0], [5, 1]], [[3, 5], [0, 1]])).nash]
        [((Fraction(0, 1), Fraction(1, 1)), (Fraction(0, 1), Fraction(1, 1)))]
    """
    choice = choose(game, criterion)
    try:
        nash, complete = game.nash(), True
    except UsageError:  # too many to list
        nash, complete = (game.find_nash(),), False
    mixing = max(game.shape) <= MOST_MIXING
    correlated = game.user.size <= MOST_CORRELATED
    return MatrixSolution(
        game=game,
        nash=nash,
        complete=complete,
        welfare=welfare_of(criterion),
        optimum=tuple(welfare_best(game, welfare_of(criterion))),
        choice=choice,
        strict=game.dominance("strict", mixed=mixing),
        weak=game.dominance("weak"),
        maximin={role: game.maximin(role) for role in ROLES},
        stackelberg={role: game.stackelberg(role) for role in ROLES},
        commitment={role: game.stackelberg(role, mixed=True) for role in ROLES} if mixing else None,
        correlated=game.correlated("utilitarian") if correlated else None,
        welfare_range=game.correlated_range() if correlated else None,
        bargaining=agreements(game),
        hull=agreements(game, hull=True),
        efficiency=game.price_of_anarchy() if complete else None,
        taxonomy=game.classify() if game.shape == (2, 2) else None,
    )


# -- what solutions of all kinds share ----------------------------------------------------------------------------------------


def agreed_cells(game: Bimatrix, found: Bargain) -> list[tuple[str, str]]:
    """Return the cells that a bargaining solution agrees on: all that are equally good, or those of a lottery.

    Example:
        >>> game = Bimatrix([[2, 0], [0, 1]], [[1, 0], [0, 2]], ("opera", "football"), ("opera", "football"))
        >>> agreed_cells(game, game.bargaining("nash"))
        [('opera', 'opera'), ('football', 'football')]
    """
    places = found.ties or [cell for cell, _ in found.mixture]
    return [(game.user_moves[i], game.assistant_moves[j]) for i, j in places]


def outcome_facts(solved: Outcomes) -> dict[str, Any]:
    """Return what is said of outcomes alone, as JSON has it: Pareto, optimum, bargaining, the criterion's choice."""
    return {
        "pareto": [cell_name(cell) for cell in solved.outcomes.pareto()],
        "welfare": solved.welfare,
        "welfare_optimum": cell_name(solved.optimum[0]),
        "welfare_optima": [cell_name(cell) for cell in solved.optimum],
        "bargaining": {
            name: {"cells": _bargain(solved.outcomes, found), "hull": _bargain(solved.outcomes, solved.hull[name])}
            for name, found in solved.bargaining.items()
        },
        "criterion": solved.choice.as_dict(),
    }


def efficiency_facts(found: Efficiency | None, *, unknown: str) -> dict[str, Any]:
    """Return what equilibria cost, as JSON has it: the same keys for every game.

    Args:
        found: The comparison; ``None`` where there is none.
        unknown: The reason for that.
    """
    names = [field.name for field in dataclasses.fields(Efficiency)]
    names[-1:-1] = ["gap_worst", "gap_best", "efficiency_worst", "efficiency_best"]  # the reason stays last
    told = {name: None if found is None else getattr(found, name) for name in names}
    if found is None:
        told["reason"] = unknown
    return {"price_of_anarchy": told["anarchy"], "price_of_stability": told["stability"], "efficiency": told}


def cell_points(
    solved: Outcomes,
    *,
    names: Mapping[tuple[str, str], str] | None = None,
    nash: Iterable[tuple[str, str]] = (),
) -> tuple[Point, ...]:
    """Return the outcomes as points with their marks.

    Args:
        solved: The solution.
        names: What the cells are called; by their moves when ``None``.
        nash: The cells that are equilibria.
    """
    game = solved.outcomes
    marks: dict[tuple[str, str], list[str]] = {}
    for mark, cells in (("pareto", game.pareto()), ("nash", nash), ("optimum", solved.optimum)):
        for cell in cells:
            marks.setdefault(cell, []).append(mark)
    for name, found in solved.bargaining.items():
        for cell in agreed_cells(game, found):
            marks.setdefault(cell, []).append(f"bargaining: {name}")
    if solved.choice.cell is not None:
        marks.setdefault(solved.choice.cell, []).append("choice")
    return tuple(
        Point(
            name=cell_label((row, column)) if names is None else names[row, column],
            user=float(game.user[i, j]),
            assistant=float(game.assistant[i, j]),
            marks=tuple(marks.get((row, column), ())),
        )
        for i, row in enumerate(game.user_moves)
        for j, column in enumerate(game.assistant_moves)
    )


def off_cells(solved: Outcomes) -> tuple[Point, ...]:
    """Return the points that are no single outcome: bargaining solutions left to chance, and such a choice."""
    found = [
        Point(name="", user=bargain.user_payoff, assistant=bargain.assistant_payoff, marks=(f"bargaining: {name}",))
        for name, bargain in solved.hull.items()
        if len(bargain.mixture) > 1
    ]
    choice = solved.choice
    if len(choice.play) > 1:
        found.append(Point(name="", user=choice.user, assistant=choice.assistant, marks=("choice",)))
    return tuple(found)


# -- as JSON has it -----------------------------------------------------------------------------------------------------------


def _pair(user: Any, assistant: Any) -> dict[str, float]:
    return {"user": float(user), "assistant": float(assistant)}


def _moves(game: Bimatrix, role: Role) -> tuple[str, ...]:
    return game.user_moves if role == "user" else game.assistant_moves


def _weights(moves: Sequence[str], strategy: Sequence[Any]) -> dict[str, float]:
    return {move: float(weight) for move, weight in zip(moves, strategy, strict=True)}


def _equilibrium(game: Bimatrix, found: Equilibrium) -> dict[str, Any]:
    strategies = {"user": found.user, "assistant": found.assistant}
    made: dict[str, Any] = {role: _weights(_moves(game, role), strategies[role]) for role in ROLES}
    made |= {"payoffs": _pair(found.user_payoff, found.assistant_payoff), "exact": found.exact}
    if found.exact:
        made["fractions"] = {
            **{role: dict(zip(_moves(game, role), map(_ratio, strategies[role]), strict=True)) for role in ROLES},
            "payoffs": {"user": _ratio(found.user_payoff), "assistant": _ratio(found.assistant_payoff)},
        }
    return made


def _ratio(number: Fraction | float) -> str:
    return str(Fraction(number))


def _removal(removal: Removal) -> dict[str, Any]:
    return dataclasses.asdict(removal)


def _played(game: Bimatrix, found: Stackelberg) -> dict[str, Any]:
    follower: Role = "assistant" if found.leader == "user" else "user"
    return {
        "commitment": _weights(_moves(game, found.leader), found.commitment),
        "response": _moves(game, follower)[found.response],
        "payoffs": _pair(found.user_payoff, found.assistant_payoff),
    }


def _bargain(game: Bimatrix, found: Bargain) -> dict[str, Any]:
    return {
        "play": play_dicts(agreement(game, found)),
        "payoffs": _pair(found.user_payoff, found.assistant_payoff),
        "ties": [cell_name(cell) for cell in agreed_cells(game, found)] if len(found.ties) > 1 else [],
    }
