"""What an assistant is measured by: the exact optimum at every price, a proven ceiling of it, or why there is neither."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Any

from gtalign_env.agents.users import population_kernels
from gtalign_env.errors import SolverError, UnknownNameError, UsageError
from gtalign_env.finite import FiniteScenario
from gtalign_env.optimal import Optimum
from gtalign_env.optimal import optimum as solve
from gtalign_env.training.objectives import Objective

__all__ = ["LOOSE", "Unknown", "Yardstick", "yardstick"]

LOOSE = 1.25
"""A ceiling so many times above the best policy known measures nothing."""


class Unknown(StrEnum):
    """Why an optimum is not known.

    Example:
        >>> Unknown.PENALTY.value, Unknown("penalty").words
        ('penalty', 'with --safety penalty the learner may comply with harm, and the optimum is that of a game where nobody may')
    """

    OFF = "off"
    LEARNING_USER = "learning_user"
    PENALTY = "penalty"
    MAX_CYCLES = "max_cycles"
    OWN_GAMES = "own_games"
    NOT_SOLVED = "not_solved"
    TOO_LARGE = "too_large"
    LOOSE_CEILING = "loose_ceiling"

    @property
    def words(self) -> str:
        """The reason as the end of a sentence."""
        return _WORDS[self]


_WORDS: Mapping[Unknown, str] = {
    Unknown.OFF: "it was not asked for",
    Unknown.LEARNING_USER: "it is that of an assistant among people who stay as they are, and here the user learns",
    Unknown.PENALTY: "with --safety penalty the learner may comply with harm, and the optimum is that of a game where nobody may",
    Unknown.MAX_CYCLES: "max_cycles cuts sessions off, and the optimum is that of whole ones",
    Unknown.OWN_GAMES: "the games are of the caller's own making (make_env)",
    Unknown.NOT_SOLVED: "this game or these people cannot be solved",
    Unknown.TOO_LARGE: "the game or the population is too large",
    Unknown.LOOSE_CEILING: "all that is proved lies far above the best policy that is known",
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Yardstick:
    """The most that an assistant can have, as far as it is known.

    Example:
        >>> print(Yardstick(value=1.0592831))
        the exact optimum: 1.0593
        >>> print(Yardstick(value=1.0713, ceiling=True, known=1.0241, known_error=0.0033))
        the optimum is at most 1.0713 (proved), and at least 1.0241 ± 0.0065 (the best policy known)
        >>> print(Yardstick(value=-0.25))
        the exact optimum: -0.2500 (no share of it is told: it is no gain)
        >>> print(Yardstick(unknown=Unknown.MAX_CYCLES))
        the optimum is unknown: max_cycles cuts sessions off, and the optimum is that of whole ones
        >>> Yardstick.from_dict(Yardstick(value=2.0).as_dict()) == Yardstick(value=2.0)
        True
    """

    value: float | None = None
    """Welfare; of several prices, the mean over them. ``None`` where it is unknown."""
    ceiling: bool = False
    """Whether ``value`` is only what no policy exceeds."""
    known: float | None = None
    """With a ceiling: what the best policy known has."""
    known_error: float = 0.0
    """Its standard error, where it was played and not computed."""
    by_price: Mapping[str, Yardstick] = dataclasses.field(default_factory=dict)
    """The same at each price, where there are several."""
    unknown: Unknown | None = None
    """Why there is no value."""
    why: str = ""
    """The same in words."""

    def at(self, price: str) -> Yardstick:
        """Return the yardstick at one of several prices; unknown for a price that is none of them."""
        missing = Yardstick(unknown=self.unknown or Unknown.OFF, why=self.why)
        return self.by_price.get(price, missing)

    def __str__(self) -> str:
        """Return it in a sentence."""
        if self.value is None:
            return f"the optimum is unknown: {self.why or (self.unknown or Unknown.OFF).words}"
        mean = f", mean over {len(self.by_price)} prices" if self.by_price else ""
        unshared = "" if self.value > 0.0 else " (no share of it is told: it is no gain)"
        if not self.ceiling:
            return f"the exact optimum{mean}: {self.value:.4f}{unshared}"
        spread = f" ± {1.96 * self.known_error:.4f}" if self.known_error else ""
        known = "" if self.known is None else f", and at least {self.known:.4f}{spread} (the best policy known)"
        return f"the optimum{mean} is at most {self.value:.4f} (proved){known}{unshared}"

    def as_dict(self) -> dict[str, Any]:
        """Return it for a record: ``optimum``, or ``at_most`` and ``best_known``, or ``unknown`` and ``why``."""
        if self.value is None:
            reason = self.unknown or Unknown.OFF
            found: dict[str, Any] = {"unknown": reason.value, "why": self.why or reason.words}
        elif self.ceiling:
            found = {"at_most": self.value, "best_known": self.known, "best_known_error": self.known_error}
        else:
            found = {"optimum": self.value}
        if self.by_price:
            found["by_price"] = {price: one.as_dict() for price, one in self.by_price.items()}
        return found

    @classmethod
    def from_dict(cls, found: Mapping[str, Any]) -> Yardstick:
        """Return what ``as_dict`` wrote.

        Raises:
            ValueError: The reason is none.
        """
        by_price = {price: cls.from_dict(one) for price, one in found.get("by_price", {}).items()}
        if "optimum" in found:
            return cls(value=found["optimum"], by_price=by_price)
        if "at_most" in found:
            error = found.get("best_known_error", 0.0)
            return cls(
                value=found["at_most"],
                ceiling=True,
                known=found.get("best_known"),
                known_error=error,
                by_price=by_price,
            )
        return cls(unknown=Unknown(found.get("unknown", "off")), why=found.get("why", ""), by_price=by_price)


def yardstick(
    scenario: Any,
    users: Any,
    objective: Objective,
    pricings: Sequence[str] = (),
    progress: Callable[[str], None] | None = None,
) -> Yardstick:
    """Return the most that an assistant can have against a population; of several prices, the mean of their optima.

    It is computed once for every price and remembered on disk.

    Args:
        scenario: The game.
        users: Anything that ``population`` takes.
        objective: What is to be high.
        pricings: What users pay; the scenario's own price when empty.
        progress: Told in a few words what is going on.

    Raises:
        UnknownNameError: A persona or a price has no such name.

    Example:
        >>> from gtalign_env.registration import make_scenario
        >>> from gtalign_env.training.objectives import make_objective
        >>> game, judge = make_scenario("assist", questions=1), make_objective("cobb_douglas")
        >>> print(yardstick(game, "concise,detailed", judge, ["per_token"]))
        the exact optimum: 0.2363
    """
    found: dict[str, Yardstick] = {}
    for price in pricings or (None,):
        name = price or ""
        one = _at_price(scenario, users, objective, price, progress)
        if one.value is None:
            return dataclasses.replace(one, why=f"{one.why} (at the price {price})" if len(pricings) > 1 else one.why)
        found[name] = one
    if len(found) == 1:
        return next(iter(found.values()))
    return _mean(found)


def _at_price(
    scenario: Any, users: Any, objective: Objective, pricing: str | None, progress: Callable[[str], None] | None
) -> Yardstick:
    """Return the yardstick at one price."""
    if not isinstance(scenario, FiniteScenario):
        return Yardstick(unknown=Unknown.NOT_SOLVED, why=Unknown.NOT_SOLVED.words)
    aggregation: Any = objective.aggregation
    try:
        kernels = population_kernels(users, scenario, pricing)
        best = solve(
            scenario,
            kernels,
            objective=objective.criterion(),
            aggregation=aggregation,
            pricing=pricing,
            progress=progress,
        )
    except UnknownNameError:
        raise
    except UsageError as error:
        return Yardstick(unknown=Unknown.NOT_SOLVED, why=str(error))
    except SolverError as error:
        return Yardstick(unknown=Unknown.TOO_LARGE, why=str(error))
    return _of(best)


def _of(best: Optimum) -> Yardstick:
    """Return a solution as a yardstick; a ceiling far above what is known is none."""
    if best.exact:
        return Yardstick(value=best.value)
    if best.upper > 0.0 and best.upper > LOOSE * best.value:
        why = f"only a ceiling of {best.upper:.4f} is proved, and the best policy known has {best.value:.4f}: too far apart"
        return Yardstick(unknown=Unknown.LOOSE_CEILING, why=why)
    return Yardstick(value=best.upper, ceiling=True, known=best.value, known_error=best.error)


def _mean(found: Mapping[str, Yardstick]) -> Yardstick:
    """Return the mean over prices, all of the same weight."""
    parts, count = list(found.values()), len(found)
    ceiling = any(one.ceiling for one in parts)
    known = [one.value if one.known is None else one.known for one in parts]
    return Yardstick(
        value=sum(one.value or 0.0 for one in parts) / count,
        ceiling=ceiling,
        known=sum(one or 0.0 for one in known) / count if ceiling else None,
        known_error=sum(one.known_error**2 for one in parts) ** 0.5 / count,
        by_price=dict(found),
    )
