"""How the solution of a game moves with its pricing: one row per policy."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from gtalign_env.errors import UsageError
from gtalign_env.finite import FiniteScenario
from gtalign_env.mechanism.asking import AskingRates, asking_rates
from gtalign_env.mechanism.participation import consumer_surplus, participation
from gtalign_env.mechanism.stage import Cells, SolvedStage, solve_stage, type_names
from gtalign_env.mechanism.surplus import deadweight_loss, provider_profit, verbosity_excess
from gtalign_env.mix import UserMix
from gtalign_env.pricing import PRICING, make_pricing, pricing_name
from gtalign_env.protocols import PricingPolicy

__all__ = ["Cell", "Point", "PricingRow", "pricing_report"]

Stages: TypeAlias = Sequence[tuple[SolvedStage, float]]
"""States, solved, with their weights."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cell:
    """A pair of moves that solves some of the states."""

    user_move: str
    assistant_move: str
    share: float
    """Share of the states that it solves, in (0, 1]; 1 where the report is about one state."""
    user: float
    """The user's payoff there, utils, averaged over these states."""
    assistant: float
    """The same of the provider's."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Point:
    """Both payoffs, utils."""

    user: float
    assistant: float
    total: float
    """Their sum."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class PricingRow:
    """What one pricing makes of the stage games: plain numbers and strings, averaged over the states.

    Payoffs are those of the stage game: of the exchange and of what follows it. ``price``, ``cost`` and ``tokens`` are of the
    exchange alone; a session's fee falls due in its first exchange as a whole. The equilibrium is the one of ``solve_stage``:
    pure where there is one, of several the one with the greatest sum. ``dataclasses.asdict`` makes a row ready for JSON.
    """

    pricing: str
    """The policy, as ``make_pricing`` takes it."""
    states: int
    """How many states the row averages over."""
    pure_nash: tuple[Cell, ...]
    """All pure equilibria, those of most states first."""
    optimum: tuple[Cell, ...]
    """The cells with the greatest sum of payoffs, those of most states first."""
    at_equilibrium: Point
    """Payoffs in equilibrium."""
    at_optimum: Point
    """Payoffs in the cell with the greatest sum."""
    price: float
    """What the user pays in equilibrium, credits."""
    cost: float
    """What serving costs the provider in equilibrium, utils."""
    profit: float
    """Price less cost, utils: the provider's payoff without reputation and retention."""
    consumer_surplus: float
    """What users gain over their outside option in equilibrium, utils."""
    deadweight_loss: float
    """``W* − W``: the sum at the optimum less the sum in equilibrium, utils (>= 0)."""
    asking: AskingRates | None
    """The ask-or-answer wedge, over the states in which the assistant has a question to ask; ``None`` where there are none."""
    exclusion: Mapping[str, float]
    """For each type the share of states in which it would rather stay away."""
    exclusion_rate: float
    """The same over the population."""
    provider_takes_part: float
    """Share of states in which the provider gains at least nothing."""
    tokens: float
    """Tokens of the reply in equilibrium."""
    optimum_tokens: float
    """Tokens of the reply at the optimum."""
    verbosity_excess: float | None
    """``n − n*``: tokens of an answer in equilibrium beyond what its reader wants; ``None`` where nothing is answered."""


def pricing_report(
    scenario: Any,
    *,
    states: Mapping[str, str] | Sequence[Mapping[str, str]] | None = None,
    users: Any = None,
    pricings: Iterable[str | PricingPolicy] | None = None,
    outside: float | Mapping[str, float] = 0.0,
) -> tuple[PricingRow, ...]:
    """Solve a scenario's stage games under several pricing policies.

    In each state the assistant knows the population and the user is its average; what each type then has is in ``exclusion``.

    Args:
        scenario: A finite scenario whose payoffs have prices, or one with such a ``twin`` (the text view).
        states: Coordinates of one state, or of several that count alike; all opening states by their chance when ``None``.
        users: The population, as ``UserMix`` takes it; the scenario's own when ``None``.
        pricings: The policies; all registered ones when ``None``.
        outside: The users' outside option, utils: one number, or one for each type.

    Returns:
        One row per policy, in order.

    Raises:
        UsageError: The scenario has no prices, there is no such state, or a policy is unknown.

    Example:
        >>> from gtalign_env.registration import make_scenario
        >>> where = {"question": "0", "kind": "complex", "clarity": "clear", "exchange": "0"}
        >>> rows = pricing_report(make_scenario("assist"), states=where, users="concise", pricings=["subscription", "per_token"])
        >>> [(row.pricing, row.pure_nash[0].assistant_move) for row in rows]
        [('subscription', 'DA_short'), ('per_token', 'AQ_long')]
    """
    game = scenario if isinstance(scenario, FiniteScenario) else getattr(scenario, "twin", None)
    if not isinstance(game, FiniteScenario):
        raise UsageError(f"pricing report: expected a finite scenario, or one with such a twin, got {scenario!r}")
    population = game.mix if users is None else UserMix(users, game.known_types)
    weighted = _states(game, states)
    wanted = PRICING if pricings is None else [pricings] if isinstance(pricings, str) else pricings
    policies = [make_pricing(pricing) for pricing in wanted]
    rows = []
    for policy in policies:
        stages = [(solve_stage(game, where, population, policy), share) for where, share in weighted]
        rows.append(_row(policy, stages, population, outside))
    return tuple(rows)


def _states(
    scenario: FiniteScenario, states: Mapping[str, str] | Sequence[Mapping[str, str]] | None
) -> list[tuple[Mapping[str, str], float]]:
    if states is None:
        initial = scenario.tables.initial
        return [(scenario.tables.coordinates(int(s)), float(initial[s])) for s in np.flatnonzero(initial)]
    chosen = [states] if isinstance(states, Mapping) else list(states)
    if not chosen:
        raise UsageError("pricing report: expected at least one state, got none")
    return [(where, 1.0 / len(chosen)) for where in chosen]


def _row(
    policy: PricingPolicy, stages: Stages, population: UserMix, outside: float | Mapping[str, float]
) -> PricingRow:
    weights = [share for _, share in stages]
    return PricingRow(
        pricing=pricing_name(policy),
        states=len(stages),
        pure_nash=_cells([(stage, share, stage.pure_nash) for stage, share in stages]),
        optimum=_cells([(stage, share, (stage.optimum,)) for stage, share in stages]),
        at_equilibrium=_point(stages, lambda stage: stage.play),
        at_optimum=_point(stages, lambda stage: stage.best),
        price=_average(stages, lambda stage: stage.play * stage.exchange.bill.price),
        cost=_average(stages, lambda stage: stage.play * stage.exchange.bill.cost),
        profit=_dot(weights, [provider_profit(stage.exchange.bill, stage.play) for stage, _ in stages]),
        deadweight_loss=_dot(
            weights, [deadweight_loss(stage.game.user + stage.game.assistant, stage.play) for stage, _ in stages]
        ),
        asking=_asking(stages),
        tokens=_average(stages, lambda stage: stage.play * stage.exchange.tokens),
        optimum_tokens=_average(stages, lambda stage: stage.best * stage.exchange.tokens),
        verbosity_excess=_excess(stages, population),
        **_by_type(stages, population, outside),
    )


def _asking(stages: Stages) -> AskingRates | None:
    """Return the rates over the states in which there is a question to ask."""
    asked = [(stage.asking, share) for stage, share in stages if stage.asking is not None]
    return asking_rates([asking for asking, _ in asked], [share for _, share in asked]) if asked else None


def _excess(stages: Stages, population: UserMix) -> float | None:
    answered = np.stack([share * stage.play * stage.exchange.answered for stage, share in stages])
    if not answered.any():
        return None
    tokens = np.stack([stage.exchange.tokens for stage, _ in stages])
    wanted = _dot(population.shares, [theta.ideal_tokens for theta in population.types])
    return verbosity_excess(tokens, wanted, answered)


def _by_type(stages: Stages, population: UserMix, outside: float | Mapping[str, float]) -> dict[str, Any]:
    """Return the fields of a row that look at each type by itself."""
    shares = dict(zip(type_names(population.types), population.shares, strict=True))
    weights = [share for _, share in stages]
    surplus, found = [], []
    for stage, _ in stages:
        user = {name: float((stage.play * stage.user[name]).sum()) for name in shares}
        provider = float((stage.play * stage.game.assistant).sum())
        surplus.append(consumer_surplus(user, shares=shares, outside=outside))
        found.append(participation(user, provider, shares=shares, outside=outside))
    return {
        "consumer_surplus": _dot(weights, surplus),
        "exclusion": {name: _dot(weights, [name in state.excluded for state in found]) for name in shares},
        "exclusion_rate": _dot(weights, [state.exclusion_rate for state in found]),
        "provider_takes_part": _dot(weights, [state.provider for state in found]),
    }


def _average(stages: Stages, cells: Callable[[SolvedStage], Cells]) -> float:
    """Return the sum of the cells of a state, averaged over the states."""
    return float(sum(share * cells(stage).sum() for stage, share in stages))


def _point(stages: Stages, chance: Callable[[SolvedStage], Cells]) -> Point:
    user = _average(stages, lambda stage: chance(stage) * stage.game.user)
    assistant = _average(stages, lambda stage: chance(stage) * stage.game.assistant)
    return Point(user=user, assistant=assistant, total=user + assistant)


def _dot(weights: Sequence[float], values: Sequence[float]) -> float:
    return float(sum(weight * value for weight, value in zip(weights, values, strict=True)))


def _cells(solved: Sequence[tuple[SolvedStage, float, Sequence[tuple[int, int]]]]) -> tuple[Cell, ...]:
    """Return the pairs of moves that solve some states, with the share of these."""
    sums: dict[tuple[str, str], Any] = {}
    for stage, share, cells in solved:
        game = stage.game
        for cell in cells:
            names = game.user_moves[cell[0]], game.assistant_moves[cell[1]]
            found = sums.setdefault(names, np.zeros(3))
            found += share * np.array([1.0, game.user[cell], game.assistant[cell]])
    ordered = sorted(sums.items(), key=lambda item: -item[1][0])
    return tuple(
        Cell(user_move=user, assistant_move=assistant, share=float(s), user=float(u / s), assistant=float(a / s))
        for (user, assistant), (s, u, a) in ordered
    )
