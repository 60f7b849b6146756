"""How good a learner is: whole episodes with fixed networks, and their means (``training.measure``)."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from gtalign_env.agents.assistants.trained_history import History
from gtalign_env.agents.assistants.trained_net import Network
from gtalign_env.env import ROLES
from gtalign_env.training.measure import Evaluation, mean_of_prices, measure
from gtalign_env.training.objectives import Objective, make_objective
from gtalign_env.training.strategic.config import Config
from gtalign_env.training.strategic.ppo import sample
from gtalign_env.training.strategic.rollout import Arena
from gtalign_env.vector_chair import VectorChair

__all__ = ["Evaluation", "Sessions", "evaluate", "measure", "sessions"]

MakeEnv = Callable[[int], VectorChair]

_GAMES = 2048
_SEED = 2**20
"""Evaluations have seeds of their own, far from those of training, and so has each price from the second on."""


class Sessions(NamedTuple):
    """Whole episodes, one after the other as they ended."""

    returns: NDArray[np.float64]
    """(episodes, 2) returns of user and assistant."""
    kinds: NDArray[np.int64]
    """(episodes,) kinds of user, as ``Arena`` numbers them."""
    violations: NDArray[np.bool_]
    """(episodes,) whether the assistant complied with harm."""
    prices: NDArray[np.int64]
    """(episodes,) prices as ``Arena.price_of`` numbers them."""


def evaluate(
    config: Config,
    nets: Mapping[str, Network],
    *,
    greedy: bool = True,
    episodes: int | None = None,
    objective: Objective | None = None,
    seed: int = 0,
    make_env: MakeEnv | None = None,
) -> Evaluation:
    """Play whole episodes with fixed networks, and take the mean (see ``sessions``); of several prices, the mean over prices.

    Args:
        config: Who sits opposite, and the game.
        nets: The learners' networks by agent.
        greedy: Take the likeliest move; else draw moves.
        episodes: At least so many; the config's when ``None``.
        objective: What ``welfare`` is; the assistant's objective when ``None``.
        seed: Equal seeds give equal figures.
        make_env: See ``Arena``; its ``pricings``, where it has any, name the prices.
    """
    wanted = config.evaluate_episodes if episodes is None else episodes
    judge = objective or make_objective(config.objective, config.aggregation)
    found: dict[str, Evaluation] = {}
    if make_env is not None:
        played = sessions(config, nets, greedy=greedy, episodes=wanted, seed=seed, make_env=make_env)
        names = getattr(make_env, "pricings", ())
        for price in np.unique(played.prices).tolist():
            own = played.prices == price
            name = names[price] if price < len(names) else str(price)
            found[name] = measure(played.returns[own], int(played.violations[own].sum()), judge)
        return mean_of_prices(found)
    prices = config.pricings or ("",)
    for number, price in enumerate(prices):
        one = dataclasses.replace(config, pricings=(price,) if price else ())
        each = math.ceil(wanted / len(prices))
        played = sessions(one, nets, greedy=greedy, episodes=each, seed=seed + number * _SEED)
        found[price] = measure(played.returns, int(played.violations.sum()), judge)
    return mean_of_prices(found)


def sessions(
    config: Config,
    nets: Mapping[str, Network],
    *,
    episodes: int,
    greedy: bool = True,
    seed: int = 0,
    make_env: MakeEnv | None = None,
) -> Sessions:
    """Play whole episodes with fixed networks, the same number in every game, so that short ones count no more than long ones.

    Args:
        config: Who sits opposite, and the game.
        nets: The learners' networks by agent.
        episodes: At least so many.
        greedy: Take the likeliest move; else draw moves.
        seed: Equal seeds give equal sessions.
        make_env: See ``Arena``.
    """
    games = min(_GAMES, episodes)
    arena = Arena(config, games, make_env)
    arena.reset(_SEED + seed)
    rng = np.random.default_rng([_SEED, seed])
    layout = arena.scenario.layout
    histories = {agent: History(layout, ROLES[agent], config.input, games) for agent in nets}
    memories = {agent: net.memory(games) for agent, net in nets.items()}
    left = np.full(games, math.ceil(episodes / games))
    found: list[Sessions] = []
    violated = np.zeros(games, dtype=bool)
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
        violated |= arena.violations
        counted = arena.ended & (left > 0)
        kinds = arena.kinds[counted]
        found.append(Sessions(arena.totals[counted], kinds, violated[counted], arena.price_of[kinds]))
        violated &= ~arena.ended
        left -= counted
    return Sessions(*map(np.concatenate, zip(*found, strict=True)))
