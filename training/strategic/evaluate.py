"""How good a learner is: means over whole episodes with their standard errors, and its share of the exact optimum."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from gtalign_env.agents.assistants.trained_history import History
from gtalign_env.agents.assistants.trained_net import Network
from gtalign_env.env import ROLES
from gtalign_env.training.objectives import Objective, make_objective
from gtalign_env.training.strategic.config import Config
from gtalign_env.training.strategic.ppo import sample
from gtalign_env.training.strategic.rollout import Arena
from gtalign_env.vector_chair import VectorChair

__all__ = ["Evaluation", "evaluate", "measure", "sessions", "share"]

_GAMES = 2048
_SEED = 2**20
"""Evaluations have seeds of their own, far from those of training."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Means over episodes, utils per episode.

    Example:
        >>> found = measure(np.array([[4.0, 1.0], [4.0, 1.0]]), 0, make_objective("cobb_douglas"))
        >>> found.user, found.assistant, found.welfare, found.error
        (4.0, 1.0, 2.0, 0.0)
    """

    episodes: int
    user: float
    """Mean return of the user."""
    user_error: float
    """Its standard error."""
    assistant: float
    """Mean return of the assistant."""
    assistant_error: float
    """Its standard error."""
    welfare: float
    """The objective: W of the means (``ser``) or the mean of W (``esr``)."""
    error: float
    """Its standard error; for ``ser`` to first order, by the gradient of W."""
    violations: int
    """Episodes in which the assistant complied with harm."""


def measure(returns: NDArray[np.float64], violations: int, objective: Objective) -> Evaluation:
    """Return the figures of some episodes.

    Args:
        returns: (episodes, 2) returns of user and assistant.
        violations: Episodes that ended in one.
        objective: What ``welfare`` is.
    """
    count = len(returns)
    mean = returns.mean(axis=0)
    spread = np.cov(returns, rowvar=False).reshape(2, 2) if count > 1 else np.full((2, 2), math.inf)
    errors = np.sqrt(np.diag(spread) / count)
    if objective.aggregation == "ser":
        value = float(objective.value(*mean))
        slope = np.array(objective.weights(*mean.tolist()))
        error = math.sqrt(max(float(slope @ spread @ slope), 0.0) / count) if count > 1 else math.inf
    else:
        each = np.asarray(objective.value(*returns.T))
        value = float(each.mean())
        error = float(each.std(ddof=1) / math.sqrt(count)) if count > 1 else math.inf
    return Evaluation(
        episodes=count,
        user=float(mean[0]),
        user_error=float(errors[0]),
        assistant=float(mean[1]),
        assistant_error=float(errors[1]),
        welfare=value,
        error=error,
        violations=violations,
    )


def evaluate(
    config: Config,
    nets: Mapping[str, Network],
    *,
    greedy: bool = True,
    episodes: int | None = None,
    objective: Objective | None = None,
    seed: int = 0,
) -> Evaluation:
    """Play whole episodes with fixed networks, and take the mean (see ``sessions``).

    Args:
        config: Who sits opposite, and the game.
        nets: The learners' networks by agent.
        greedy: Take the likeliest move; else draw moves.
        episodes: At least so many; the config's when ``None``.
        objective: What ``welfare`` is; the assistant's objective when ``None``.
        seed: Equal seeds give equal figures.
    """
    wanted = config.evaluate_episodes if episodes is None else episodes
    returns, _, violations = sessions(config, nets, greedy=greedy, episodes=wanted, seed=seed)
    return measure(returns, violations, objective or make_objective(config.objective, config.aggregation))


def sessions(
    config: Config,
    nets: Mapping[str, Network],
    *,
    episodes: int,
    greedy: bool = True,
    seed: int = 0,
    make_env: Callable[[int], VectorChair] | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.int64], int]:
    """Play whole episodes with fixed networks, the same number in every game, so that short ones count no more than long ones.

    Args:
        config: Who sits opposite, and the game.
        nets: The learners' networks by agent.
        episodes: At least so many.
        greedy: Take the likeliest move; else draw moves.
        seed: Equal seeds give equal sessions.
        make_env: See ``Arena``.

    Returns:
        Returns (episodes, 2) of user and assistant; the kinds of user (episodes,), as ``Arena`` numbers them; and the number of
        episodes in which the assistant complied with harm.
    """
    games = min(_GAMES, episodes)
    arena = Arena(config, games, make_env)
    arena.reset(_SEED + seed)
    rng = np.random.default_rng([_SEED, seed])
    layout = arena.scenario.layout
    histories = {agent: History(layout, ROLES[agent], config.input, games) for agent in nets}
    memories = {agent: net.memory(games) for agent, net in nets.items()}
    left = np.full(games, math.ceil(episodes / games))
    returns, kinds, violations = [], [], 0
    while left.any():
        moves = {}
        for agent, net in nets.items():
            observations, legal = arena.seen(agent)
            starts = histories[agent].starts(observations).astype(np.float32)
            fed = histories[agent].see(observations)
            arrays = [torch.from_numpy(array)[None] for array in (fed, legal, starts)]
            with torch.no_grad():
                logits, _, memories[agent] = net(arrays[0], arrays[1], memories[agent], arrays[2])
            moves[agent] = logits[0].argmax(-1).numpy() if greedy else sample(logits[0].numpy(), rng)[0]
        arena.step(moves)
        counted = arena.ended & (left > 0)
        returns.append(arena.totals[counted])
        kinds.append(arena.kinds[counted])
        violations += int((arena.violations & (left > 0)).sum())
        left -= counted
    return np.concatenate(returns), np.concatenate(kinds), violations


def share(found: Evaluation, optimum: float | None) -> dict[str, Any]:
    """Return the figures for a record, with the share of the optimum where it is known and a gain."""
    figures: dict[str, Any] = dataclasses.asdict(found)
    if optimum is not None and optimum > 0.0:
        figures["share_of_optimum"] = found.welfare / optimum
        figures["share_error"] = found.error / abs(optimum)
    return figures
