"""Equilibria between a population and an assistant: everybody responds to everybody until nobody gains.

Each type of user maximises its own payoff, the assistant its objective. Both choose by situation (``situations``), by what they
may remember. Responses are smoothed (logit, of rising rationality) and damped, and the assistant's belief in a situation is
Bayes' from how often each type comes to it: the path of agent quantal response equilibria, whose limit points are sequential
equilibria (McKelvey & Palfrey 1998, "Quantal response equilibria for extensive form games").

Whether it converged is not taken on trust: the *residual* is the most that anyone would gain by an exact best response, whatever
that remembers.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from gtalign_env.errors import UsageError
from gtalign_env.kernels import UserKernel, normalised
from gtalign_env.optimal.assistants import AssistantKernel
from gtalign_env.optimal.deviating import Judged, judge
from gtalign_env.optimal.frontier import concave, line_weights
from gtalign_env.optimal.passes import Passes, even, played
from gtalign_env.optimal.responses import acts_of, response_kernel
from gtalign_env.optimal.situations import exchanges, situations
from gtalign_env.pricing import make_pricing
from gtalign_env.specs import to_spec
from gtalign_env.types import UserType
from gtalign_env.welfare import Criterion
from gtalign_env.welfare.criteria import Linear

if TYPE_CHECKING:
    from gtalign_env.finite import FiniteScenario
    from gtalign_env.protocols import PricingPolicy

__all__ = ["PopulationEquilibrium", "Settings", "equilibrium", "make_objective"]

Floats = NDArray[np.float64]
Pair = tuple[float, float]

_SELFISH = {"assistant_only": 0.0, "user_only": 1.0}
_TREMBLE = 1e-9
"""Chance with which any legal move is made while strategies settle, so that beliefs are Bayes' everywhere."""
_TRIM = 1e-3
"""Chances below this are taken for what smoothing left."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """How responses settle."""

    rounds: int = 120
    """Times that everybody responds while rationality rises."""
    averaged: int = 100
    """Times that everybody responds after that where somebody would still gain, in ever smaller steps: 1/2, 1/3, … That is
    smoothed fictitious play, and finds mixed strategies that responses alone run around."""
    rationality: tuple[float, float] = (20.0, 6000.0)
    """The first and the last precision of logit responses, per span of the payoffs of one exchange."""
    rise: float = 1.06
    """What rationality is multiplied by from round to round."""
    damping: float = 0.5
    """How far strategies move towards responses in a round, in (0, 1]."""
    tolerance: float = 1e-4
    """Utils per session: a residual up to this is an equilibrium."""

    def __post_init__(self) -> None:
        """Refuse settings that make no sense."""
        low, high = self.rationality
        counts = self.rounds >= 1 and self.averaged >= 0
        if not (
            counts and 0.0 < self.damping <= 1.0 and 0.0 < low <= high and self.rise >= 1.0 and self.tolerance >= 0.0
        ):
            raise UsageError(
                "equilibrium: expected rounds >= 1, averaged >= 0, damping in (0, 1], a rationality > 0 that does not fall, and "
                f"a tolerance >= 0, got {self}"
            )


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class PopulationEquilibrium:
    """Strategies of a population and an assistant, and how far they are from an equilibrium.

    Shapes: K types, X situations, N the user's moves.
    """

    objective: str
    types: tuple[UserType, ...]
    shares: tuple[float, ...]
    users: Floats
    """(K, X, N): what each type does in each situation."""
    assistant: AssistantKernel
    by_type: tuple[Pair, ...]
    """E U and E L by type."""
    user: float
    """E U over the population."""
    reply: float
    """E L, with retention."""
    value: float
    """What the assistant has of its objective."""
    user_gains: tuple[float, ...]
    """What each type would gain by an exact best response, utils per session."""
    assistant_gain: float
    """The most that the assistant would gain of its objective by an exact best response."""
    exact: bool
    """Whether the assistant's gain is that number, and not just at most that."""
    tolerance: float
    recall: str
    """What both sides remember."""
    rounds: int
    scenario: FiniteScenario

    @property
    def residual(self) -> float:
        """The largest gain of anyone."""
        return max(*self.user_gains, self.assistant_gain)

    @property
    def converged(self) -> bool:
        """Whether nobody gains more than the tolerance."""
        return self.residual <= self.tolerance

    @property
    def pure(self) -> bool:
        """Whether nobody draws."""
        return bool(((self.users == 0.0) | (self.users == 1.0)).all()) and bool(
            ((self.assistant.moves == 0.0) | (self.assistant.moves == 1.0)).all()
        )

    def kernels(self) -> tuple[UserKernel, ...]:
        """Return the users as kernels.

        Raises:
            UsageError: They draw, so what they remember of their own words is no function of what kernels see.
        """
        if not self.pure:
            raise UsageError(
                "equilibrium: its users draw their moves, and a user kernel does not remember what it drew"
            )
        return tuple(
            response_kernel(
                self.scenario,
                self.assistant,
                theta,
                self.users[k].argmax(axis=-1),
                name=theta.name,
                share=self.shares[k],
            )
            for k, theta in enumerate(self.types)
        )

    def as_dict(self) -> dict[str, Any]:
        """Return everything but the strategies."""
        kinds = zip(self.types, self.shares, self.by_type, self.user_gains, strict=True)
        return {
            "objective": self.objective,
            "value": self.value,
            "user": self.user,
            "assistant": self.reply,
            "types": [
                {"type": theta.name, "share": share, "user": both[0], "assistant": both[1], "gain": gain}
                for theta, share, both, gain in kinds
            ],
            "assistant_gain": self.assistant_gain,
            "assistant_gain_exact": self.exact,
            "residual": self.residual,
            "tolerance": self.tolerance,
            "converged": self.converged,
            "pure": self.pure,
            "recall": self.recall,
            "situations": self.assistant.graph.size,
            "rounds": self.rounds,
        }


def make_objective(objective: str | Criterion) -> Criterion:
    """Return what the assistant maximises: a welfare criterion, or ``assistant_only`` or ``user_only``.

    Example:
        >>> make_objective("assistant_only")(5, 1), make_objective("utilitarian")(5, 1)
        (1.0, 6.0)
    """
    if isinstance(objective, str) and objective in _SELFISH:
        return Linear(weight=_SELFISH[objective], name=objective)
    return concave(objective)[0]


def equilibrium(
    scenario: FiniteScenario,
    kernels: Sequence[UserKernel] | None = None,
    *,
    objective: str | Criterion = "assistant_only",
    pricing: str | PricingPolicy | None = None,
    recall: str = "last",
    start: Literal["users", "even"] = "users",
    settings: Settings | None = None,
) -> PopulationEquilibrium:
    """Let a population and an assistant respond to each other until nobody gains.

    A game with cheap talk has several equilibria; which one comes out depends on where it starts. From people who mean what they
    say, words keep a meaning where that serves both. From even chances nothing said means anything, and it stays so.

    Args:
        scenario: A finite game that always moves forward.
        kernels: The population: its types and shares, and what it does at the start. The scenario's own types, which start
            with even chances, when ``None``.
        objective: What the assistant maximises, of mean payoffs: its own (``assistant_only``), or a welfare criterion that is
            linear or concave, which makes it a planner whom people still respond to. Complying with harm is never allowed to it.
        pricing: What the user pays; the scenario's own when ``None``.
        recall: What strategies depend on besides the public state: ``all`` that was seen (small games), the last exchange and the
            user's move before it (``two``), the ``last`` exchange, or ``none``. Deviations depend on whatever they like.
        start: Where people start: as the ``users`` are, or with ``even`` chances.
        settings: How responses settle.

    Raises:
        UsageError: An option makes no sense, or in some state every legal move complies with harm.
        SolverError: There are too many situations.

    Example:
        >>> from gtalign_env.registration import make_scenario
        >>> found = equilibrium(make_scenario("gtalign/PrisonersDilemma-v0", rounds=1))
        >>> found.converged, found.pure
        (True, True)
    """
    settings = Settings() if settings is None else settings
    if start not in ("users", "even"):
        raise UsageError(f"start: expected 'users' or 'even', got {start!r}")
    policy = scenario.pricing if pricing is None else make_pricing(pricing)
    shares = _shares(scenario, kernels)
    graph = situations(scenario, recall)
    walk = Passes(graph, exchanges(scenario, tuple(shares), policy))
    if not walk.game.safe[graph.row_state].any(axis=1).all():
        raise UsageError(f"scenario {scenario.name!r}: in some state every legal move complies with harm")
    settling = _Settling(walk, np.array(list(shares.values())), make_objective(objective))
    settling.begin(scenario, kernels if start == "users" else None)
    found, rounds = settling.settled(settings)
    return PopulationEquilibrium(
        objective=objective if isinstance(objective, str) else str(to_spec(objective)),
        types=tuple(shares),
        shares=tuple(shares.values()),
        users=found.users,
        assistant=AssistantKernel(name=f"equilibrium of {scenario.name}", graph=graph, moves=found.assistant),
        by_type=tuple((float(user), float(reply)) for user, reply in found.mean.T),
        user=float(found.total[0]),
        reply=float(found.total[1]),
        value=found.value,
        user_gains=tuple(found.user_gains.tolist()),
        assistant_gain=found.assistant_gain,
        exact=found.exact,
        tolerance=settings.tolerance,
        recall=recall,
        rounds=rounds,
        scenario=scenario,
    )


def _shares(scenario: FiniteScenario, kernels: Sequence[UserKernel] | None) -> dict[UserType, float]:
    """Return the share of each type."""
    if kernels is None:
        pairs = list(zip(scenario.mix.types, scenario.mix.shares, strict=True))
    else:
        pairs = [(kernel.user_type, kernel.share) for kernel in normalised(kernels)]
    shares: dict[UserType, float] = {}
    for theta, share in pairs:
        if share > 0.0:
            shares[theta] = shares.get(theta, 0.0) + float(share)
    return shares


class _Settling:
    """Strategies that respond to each other."""

    def __init__(self, walk: Passes, shares: Floats, criterion: Criterion) -> None:
        self.walk, self.shares, self.criterion = walk, shares, criterion
        self.core = concave(criterion)[1]
        game = walk.game
        self.user_legal, self.safe = game.user_legal, game.safe
        spans = [float(np.ptp(side)) for side in game.pay]
        self.span = [span if span > 0.0 else 1.0 for span in spans]
        state = walk.graph.state
        self.users: Floats = np.repeat(even(game.user_legal[state])[None], len(shares), axis=0)
        self.assistant: Floats = even(game.safe[state])

    def begin(self, scenario: FiniteScenario, kernels: Sequence[UserKernel] | None) -> None:
        """Take over what kernels do in each situation, against an assistant that does anything."""
        types = self.walk.game.types
        if kernels is not None:
            habits = np.zeros_like(self.users)
            for kernel in normalised(kernels):
                kind = types.index(kernel.user_type)
                does = self.walk.habits(kernel, acts_of(scenario), self.assistant)
                habits[kind] += kernel.share / self.shares[kind] * does
            self.users = (1.0 - _TREMBLE) * habits + _TREMBLE * self.users
        self.mean = self.walk.mean(self.walk.worth(self.users, self.assistant))

    def settled(self, settings: Settings) -> tuple[Judged, int]:
        """Return the strategies of the smallest residual that came up, and how many rounds it took."""
        low, high = settings.rationality
        for nth in range(settings.rounds):
            self.respond(min(low * settings.rise**nth, high), settings.damping)
        found = self.best(settings.tolerance)
        if found.residual <= settings.tolerance or not settings.averaged:
            return found, settings.rounds
        for nth in range(settings.averaged):
            self.respond(high, 1.0 / (nth + 2))
        found = min(found, self.best(settings.tolerance), key=lambda one: one.residual)
        return found, settings.rounds + settings.averaged

    def best(self, tolerance: float) -> Judged:
        """Return the best of the candidates, the first that will do."""
        judged: list[Judged] = []
        for users, assistant in self.candidates():
            judged.append(judge(self.walk, users, assistant, self.shares, self.criterion))
            if judged[-1].residual <= tolerance:
                return judged[-1]
        return min(judged, key=lambda one: one.residual)

    def respond(self, rationality: float, damping: float) -> None:
        """Move everybody towards a logit response to everybody, from the last situations to the first."""
        walk, weights = self.walk, _weights(self.core, self.mean @ self.shares)
        belief = walk.reach(self.users, self.assistant, self.shares)
        belief /= belief.sum(axis=0)
        span = weights[0] * self.span[0] + weights[1] * self.span[1]
        worth = walk.nothing()
        for row, state, here in walk.rows(backward=True):
            ahead = walk.ahead(row, worth)
            value = np.einsum("kna,xa->kxn", ahead[0], self.assistant[here])
            response = _logit(value * (rationality / self.span[0]), self.user_legal[state])
            self.users[:, here] += damping * (response - self.users[:, here])
            said = (
                belief[:, here, None] * self.users[:, here]
            )  # the assistant's turn: two who move at once may chase each other
            value = np.einsum("kxn,kna->xa", said, weights[0] * ahead[0] + weights[1] * ahead[1])
            response = _logit(value * (rationality / span), self.safe[state])
            self.assistant[here] += damping * (response - self.assistant[here])
            worth[:, :, here] = played(ahead, self.users[:, here], self.assistant[here])
        self.mean = walk.mean(worth)

    def candidates(self) -> list[tuple[Floats, Floats]]:
        """Return the strategies without draws, without what smoothing left, and as they are."""
        pure = [np.eye(side.shape[-1])[side.argmax(axis=-1)] for side in (self.users, self.assistant)]
        trimmed = [np.where(side < _TRIM, 0.0, side) for side in (self.users, self.assistant)]
        trimmed = [side / side.sum(axis=-1, keepdims=True) for side in trimmed]
        return [(pure[0], pure[1]), (trimmed[0], trimmed[1]), (self.users, self.assistant)]


def _logit(value: Floats, legal: NDArray[np.bool_]) -> Floats:
    """Return logit responses to values (…, moves), with a tremble on every legal move."""
    value = np.where(legal, value, -np.inf)
    chance = np.exp(value - value.max(axis=-1, keepdims=True))
    chance /= chance.sum(axis=-1, keepdims=True)
    found: Floats = (1.0 - _TREMBLE) * chance + _TREMBLE * even(legal)
    return found


def _weights(core: Criterion, at: Floats) -> Pair:
    """Return what a util of either side counts near a pair of mean payoffs."""
    fixed = line_weights(core)
    if fixed is not None:
        return fixed
    step = 1e-6 * max(1.0, float(np.abs(at).max()))
    user, reply = at.tolist()
    slope = (
        max(float(core(user + step, reply)) - float(core(user - step, reply)), 0.0),
        max(float(core(user, reply + step)) - float(core(user, reply - step)), 0.0),
    )
    total = slope[0] + slope[1]
    return (slope[0] / total, slope[1] / total) if total > 0.0 else (0.5, 0.5)
