"""The solution of a signalling game: its perfect Bayesian equilibria, and its normal form as a bimatrix."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

from gtalign_env.errors import UsageError
from gtalign_env.games.bimatrix import Bimatrix
from gtalign_env.games.efficiency import Efficiency, compare_welfare
from gtalign_env.games.signalling import SignallingGame
from gtalign_env.games.signalling_equilibria import SignallingEquilibrium
from gtalign_env.solution.criteria import Choice
from gtalign_env.solution.normal import MatrixSolution, efficiency_facts, solve_bimatrix
from gtalign_env.solution.space import PayoffSpace, Point

__all__ = ["MOST_CELLS", "SignallingSolution", "solve_signalling"]

MOST_CELLS = 1_000
"""Cells of a normal form that can still be solved as a bimatrix."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class SignallingSolution:
    """What is known of a signalling game.

    Example:
        >>> game = SignallingGame.cheap_talk([0.5, 0.5], [[1, 0], [0, 1]], [[1, 0], [0, 1]], ("a", "b"))
        >>> solve_signalling(game).choice.why.partition(":")[0]
        'of 6 pure perfect Bayesian equilibria it has the highest sum of payoffs (separating)'
    """

    kind: ClassVar[str] = "signalling"

    game: SignallingGame
    equilibria: tuple[SignallingEquilibrium, ...]
    """All pure perfect Bayesian equilibria."""
    efficiency: Efficiency | None
    """Price of anarchy and of stability of ``equilibria``, by the sum of payoffs before types are drawn; those of all equilibria
    of the normal form are in ``normal``. ``None`` where there are no pure ones."""
    choice: Choice
    """What the criterion picks."""
    normal: MatrixSolution
    """The game before types are drawn, plans against plans, solved as a bimatrix."""

    def as_dict(self) -> dict[str, Any]:
        """Return the solution as JSON has it; ``moves``, ``payoffs`` and so on are those of the normal form."""
        game, normal = self.game, self.normal.as_dict()
        return {
            **normal,
            **efficiency_facts(self.efficiency, unknown="there is no perfect Bayesian equilibrium in pure plans"),
            "criterion": self.choice.as_dict(),
            "types": dict(zip(game.types, game.prior.tolist(), strict=True)),
            "messages": list(game.messages),
            "actions": list(game.actions),
            "single_crossing": game.single_crossing(),
            "cheap_talk": game.is_cheap_talk,
            "perfect_bayesian": [self._equilibrium(found) for found in self.equilibria],
            "normal_form": normal,
        }

    def payoff_space(self) -> PayoffSpace:
        """Return the pairs of plans as points in payoff space, with the equilibria among them."""
        space = self.normal.payoff_space()
        perfect = {self.plans(found) for found in self.equilibria}
        names = [(row, column) for row in self.normal.game.user_moves for column in self.normal.game.assistant_moves]
        cells = [
            dataclasses.replace(point, marks=_marks(point, perfect=name in perfect))
            for name, point in zip(names, space.cells, strict=True)
        ]
        return dataclasses.replace(
            space,
            cells=tuple(cells),
            others=tuple(point for point in space.others if "nash" not in point.marks),
            outcomes="pair of plans",
            nash="perfect Bayesian equilibrium",
        )

    def plans(self, found: SignallingEquilibrium) -> tuple[str, str]:
        """Return an equilibrium as the row and the column of the normal form."""
        return _plans(found)

    def _equilibrium(self, found: SignallingEquilibrium) -> dict[str, Any]:
        game = self.game
        return {
            "kind": found.kind,
            "sender": dict(zip(game.types, found.sender, strict=True)),
            "receiver": dict(zip(game.messages, found.receiver, strict=True)),
            "beliefs": {
                message: dict(zip(game.types, belief, strict=True))
                for message, belief in zip(game.messages, found.beliefs, strict=True)
            },
            "on_path": dict(zip(game.messages, found.on_path, strict=True)),
            "payoffs": {"user": found.user_payoff, "assistant": found.assistant_payoff},
            "user_by_type": dict(zip(game.types, found.user_by_type, strict=True)),
            "informativeness": found.informativeness,
            "truthfulness": found.truthfulness,
            "intuitive": found.intuitive,
        }


def solve_signalling(game: SignallingGame, *, criterion: str = "nash") -> SignallingSolution:
    """Solve a signalling game.

    Args:
        game: The game.
        criterion: What picks an outcome, see ``solution.criteria``; ``nash`` is the perfect Bayesian equilibrium with the highest
            sum of payoffs. The others look at the normal form.

    Raises:
        UsageError: The criterion is unknown or does not fit, or the game is too large.

    Example:
        >>> game = SignallingGame.cheap_talk([0.5, 0.5], [[1, 0], [0, 1]], [[1, 0], [0, 1]], ("a", "b"))
        >>> solve_signalling(game).choice.user
        1.0
    """
    form = game.normal_form()
    if form.user.size > MOST_CELLS:
        raise UsageError(
            f"signalling game: its normal form has {form.user.size:,} cells, at most {MOST_CELLS:,} are solved; "
            "leave out messages or actions"
        )
    equilibria = game.pure_equilibria()
    normal = solve_bimatrix(form, criterion=criterion)
    choice = normal.choice
    if criterion == "nash" and equilibria:
        choice = _choice(equilibria)
        normal = dataclasses.replace(normal, choice=choice)
    return SignallingSolution(
        game=game,
        equilibria=equilibria,
        efficiency=_efficiency(form, equilibria) if equilibria else None,
        choice=choice,
        normal=normal,
    )


def _plans(found: SignallingEquilibrium) -> tuple[str, str]:
    return "|".join(found.sender), "|".join(found.receiver)


def _efficiency(form: Bimatrix, equilibria: tuple[SignallingEquilibrium, ...]) -> Efficiency:
    sums = form.user + form.assistant
    reached = [sums[cell] for cell in form.cells([_plans(found) for found in equilibria])]
    return compare_welfare(sums, reached, welfare="utilitarian", concept="perfect Bayesian")


def _choice(equilibria: tuple[SignallingEquilibrium, ...]) -> Choice:
    best = max(equilibria, key=lambda found: round(found.user_payoff + found.assistant_payoff, 9))
    count = len(equilibria)
    which = f"of {count} pure perfect Bayesian equilibria it has the highest sum of payoffs" if count > 1 else ""
    return Choice(
        criterion="nash",
        play=((*_plans(best), 1.0),),
        user=best.user_payoff,
        assistant=best.assistant_payoff,
        why=f"{which or 'it is the only pure perfect Bayesian equilibrium'} ({best.kind}): "
        "each plan is best against the other, and beliefs follow Bayes' rule",
    )


def _marks(point: Point, *, perfect: bool) -> tuple[str, ...]:
    others = tuple(mark for mark in point.marks if mark != "nash")
    return (*others, "nash") if perfect else others
