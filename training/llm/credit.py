"""From groups of games to one advantage for each turn: whose returns count how much, and against what.

* ``ser``: both parties' returns stay apart; what a util is worth follows from the objective's gradient at the running means of
  both returns (of each price for itself), so the weighted advantages are the gradient of W(E[U], E[L]);
* ``esr``: each game pays W(U, L), and a turn what it adds to the welfare of the sums so far.

Safety is no part of either. A game in which the assistant complied with harm is taken out of all means and baselines, as if it
had not been played; the turn that complied is pushed down by a fixed amount, whatever was paid for it, and those of the same
group that stood at the same place and did not comply are pushed up, the more so the more of them did.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gtalign_env.training.llm.config import LLMConfig
from gtalign_env.training.llm.estimators import (
    advantages,
    party_gae,
    rescaled,
    returns_to_go,
    signal,
    telescoped,
)
from gtalign_env.training.llm.rollout import Game, Group
from gtalign_env.training.llm.trajectory import Turn
from gtalign_env.training.objectives import Objective, make_objective

__all__ = ["Credit", "Means", "assign"]

Floats = NDArray[np.float64]
Values = Callable[[Sequence[Turn], Floats], Floats]
"""From turns and their returns-to-go (N, P) to what was expected of them (N, P)."""


class Means:
    """Running means of both returns, one pair for each price.

    Args:
        forget: How much stays after an iteration.

    Example:
        >>> means = Means(0.5)
        >>> means.add("", np.array([[4.0, 2.0]]))
        >>> means.add("", np.array([[0.0, 0.0]]))
        >>> means.of("").tolist()
        [2.0, 1.0]
    """

    def __init__(self, forget: float) -> None:
        self.forget = forget
        self.known: dict[str, Floats] = {}

    def add(self, pricing: str, returns: Floats) -> None:
        """Take in the returns (n, 2) of some games at a price."""
        if len(returns):
            mean = returns.mean(axis=0)
            old = self.known.get(pricing, mean)
            self.known[pricing] = self.forget * old + (1.0 - self.forget) * mean

    def of(self, pricing: str) -> Floats:
        """Return the mean returns of user and assistant at a price; 0 where nothing is known yet."""
        return self.known.get(pricing, np.zeros(2))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Credit:
    """What each turn was worth, and what is to be known about how that was found."""

    turns: list[Turn]
    gains: Floats
    """One advantage for each turn."""
    figures: Mapping[str, Any]
    """``signal``: the share of groups in which a party's returns, or welfare, differ at all. ``weights``: dW/dU, dW/dL."""


def assign(groups: Sequence[Group], means: Means, config: LLMConfig, *, values: Values | None = None) -> Credit:
    """Return the advantage of every turn of some groups; the means take in the groups' returns first.

    Args:
        groups: Those that were dropped count for nothing.
        means: Running means.
        config: Objective, estimator, scale and credit.
        values: What is expected of turns, for ``estimator="gae"``.
    """
    objective = make_objective(config.objective, config.aggregation)
    games = [(number, group, game) for number, group in enumerate(groups) for game in group.games]
    sound = [(number, group, game) for number, group, game in games if not game.violation]
    for pricing in sorted({group.pricing for _, group, _ in sound}):
        means.add(pricing, np.array([game.returns for _, group, game in sound if group.pricing == pricing]))
    gains = dict.fromkeys((turn for _, _, game in games for turn in game.turns), 0.0)
    if sound:
        gains |= _compared(sound, means, objective, config, values)
    spread = float(np.sqrt(np.mean(np.square([gain for gain in gains.values() if gain] or [1.0]))))
    for turn, push in _pushes(groups).items():
        gains[turn] = -config.violation * spread if turn.violation else gains[turn] + config.violation * spread * push
    returns = np.array([game.returns for _, _, game in sound]).reshape(-1, 2)
    welfare = np.asarray(objective.value(*returns.T), dtype=np.float64).reshape(-1, 1)
    differ = signal(np.hstack([returns, welfare]), np.array([number for number, _, _ in sound]))
    figures = {
        "signal": dict(zip(("user", "assistant", "welfare"), differ.tolist(), strict=True)),
        "weights": {name: objective.weights(*means.of(name).tolist()) for name in sorted(means.known)},
    }
    return Credit(turns=list(gains), gains=np.array(list(gains.values())), figures=figures)


def _pushes(groups: Sequence[Group]) -> dict[Turn, float]:
    """Return the turns that complied with harm, and those that stood at the same place and did not, with the share that did."""
    made: dict[Turn, float] = {}
    for group in groups:
        places: dict[tuple[str, ...], list[Turn]] = {}
        for turn in (turn for game in group.games for turn in game.turns):
            places.setdefault(turn.place, []).append(turn)
        for alike in places.values():
            if share := sum(turn.violation for turn in alike) / len(alike):
                made |= dict.fromkeys(alike, share)
    return made


def _compared(
    games: Sequence[tuple[int, Group, Game]],
    means: Means,
    objective: Objective,
    config: LLMConfig,
    values: Values | None,
) -> dict[Turn, float]:
    """Return the advantages of the turns of games without a violation."""
    esr = objective.aggregation == "esr"
    paid = [_paid(game, objective, esr=esr) for _, _, game in games]
    weights = [
        np.ones(1) if esr else np.array(objective.weights(*means.of(group.pricing).tolist())) for _, group, _ in games
    ]
    if config.credit == "episode":
        returns = np.array([part.sum(axis=0) for part in paid])
        labels = [np.array([number for number, _, _ in games])]
        each = advantages(returns, labels, np.array(weights), estimator=config.estimator, scale=config.scale)
        return {turn: float(gain) for (_, _, game), gain in zip(games, each, strict=True) for turn in game.turns}
    turns = [turn for _, _, game in games for turn in game.turns]
    to_go = np.concatenate([returns_to_go(part, config.gamma) for part in paid])
    worth = np.repeat(np.array(weights), [len(game.turns) for _, _, game in games], axis=0)
    if config.estimator == "gae":
        assert values is not None
        expected = values(turns, to_go)
        cuts = np.cumsum([len(part) for part in paid])[:-1]
        parts = [
            party_gae(part, own, gamma=config.gamma, lam=config.lam)
            for part, own in zip(paid, np.split(expected, cuts), strict=True)
        ]
        made = rescaled((np.concatenate(parts) * worth).sum(axis=1), config.scale)
    else:
        alike = [_places(games, by_group=True), _places(games, by_group=False)]
        made = advantages(to_go, alike, worth, estimator=config.estimator, scale=config.scale)
    return dict(zip(turns, made.tolist(), strict=True))


def _paid(game: Game, objective: Objective, *, esr: bool) -> Floats:
    """Return what each turn paid, (turns, 2), or what it added to welfare, (turns, 1)."""
    own = np.array([turn.payoffs for turn in game.turns]).reshape(-1, 2)
    if not esr:
        return own
    sums = own.cumsum(axis=0)
    return telescoped(objective.value(sums[:, 0], sums[:, 1]))


def _places(games: Sequence[tuple[int, Group, Game]], *, by_group: bool) -> NDArray[np.int64]:
    """Return a label for each turn: turns at the same place of a session, in the same group or at the same price."""
    names = [
        (number if by_group else group.pricing, *turn.place) for number, group, game in games for turn in game.turns
    ]
    known = {name: label for label, name in enumerate(dict.fromkeys(names))}
    return np.array([known[name] for name in names], dtype=np.int64)
