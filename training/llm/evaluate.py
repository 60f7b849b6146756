"""How good a model is now: games that it does not learn from, the same ones every time, with intervals."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from gtalign_env.episode import Episode
from gtalign_env.gauges import gauges
from gtalign_env.training.llm.rollout import Job, Room
from gtalign_env.training.llm.trajectory import user_of
from gtalign_env.training.measure import Evaluation, mean_of_prices, measure
from gtalign_env.training.objectives import Objective

__all__ = ["chain_gauges", "evaluation", "habits", "jobs", "play_evaluation"]

_SEED = 2**20
"""Evaluations have seeds of their own, far from those of training."""


def jobs(episodes: int, pricings: Sequence[str], seed: int) -> list[Job]:
    """Return the games of an evaluation: as many at every price, each of its own.

    Example:
        >>> made = jobs(4, ["subscription", "per_token"], seed=0)
        >>> [job.options["pricing"] for job in made]
        ['subscription', 'per_token', 'subscription', 'per_token']
    """
    prices = list(pricings) or [""]
    count = -(-episodes // len(prices)) * len(prices)
    seeds = np.random.SeedSequence([_SEED, seed]).generate_state(count).tolist()
    chosen = [prices[place % len(prices)] for place in range(count)]
    return [
        Job(seed=own, options={"pricing": price} if price else {}) for own, price in zip(seeds, chosen, strict=True)
    ]


def play_evaluation(room: Room, wanted: Sequence[Job]) -> list[tuple[str, Episode]]:
    """Play an evaluation, and return each game with its price."""
    episodes = room.play(wanted)
    return [(str(job.options.get("pricing", "")), episode) for job, episode in zip(wanted, episodes, strict=True)]


def evaluation(played: Sequence[tuple[str, Episode]], objective: Objective) -> dict[str, Any]:
    """Return the figures of an evaluation; games that failed are counted, and are in no mean.

    Args:
        played: Games with their prices.
        objective: What ``welfare`` is.

    Returns:
        The fields of ``Evaluation``, ``low`` and ``high`` of welfare's 95 % interval, ``failed``, ``habits`` and ``gauges``.
    """
    sound = [(price, episode) for price, episode in played if episode.ended != "error"]
    errors = collections.Counter(e.error.get("type", "unknown") for _, e in played if e.ended == "error")
    figures: dict[str, Any] = {"failed": dict(errors), "habits": habits(episode for _, episode in sound)}
    by_price = collections.defaultdict(list)
    for price, episode in sound:
        by_price[price].append(episode)
    measured: dict[str, Evaluation] = {
        price: measure(
            np.array([episode.totals() for episode in own]), sum(episode.violation for episode in own), objective
        )
        for price, own in by_price.items()
    }
    if measured:
        found = next(iter(measured.values())) if len(measured) == 1 else mean_of_prices(measured)
        figures |= dataclasses.asdict(found)
        figures |= {"low": found.welfare - 1.96 * found.error, "high": found.welfare + 1.96 * found.error}
    figures["gauges"] = chain_gauges([episode for _, episode in sound])
    return figures


def habits(episodes: Iterable[Episode]) -> dict[str, Any]:
    """Return what the assistant does, by persona: returns, shares of moves, tokens of replies.

    Example:
        >>> habits([Episode(scenario="s", view="text", seed=0, players={"user_0": "persona:concise"})])["concise"]["episodes"]
        1
    """
    by_user: dict[str, list[Episode]] = collections.defaultdict(list)
    for episode in episodes:
        by_user[user_of(episode)].append(episode)
    return {user: _habits(own) for user, own in sorted(by_user.items())}


def _habits(episodes: Sequence[Episode]) -> dict[str, Any]:
    steps = [step for episode in episodes for step in episode.steps if step.assistant.model]
    moves = collections.Counter(step.assistant.move for step in steps)
    tokens = [step.outcome["tokens_out"] for step in steps if step.outcome and "tokens_out" in step.outcome]
    user, assistant = np.mean([episode.totals() for episode in episodes], axis=0)
    return {
        "episodes": len(episodes),
        "user": float(user),
        "assistant": float(assistant),
        "turns": len(steps) / len(episodes),
        "tokens": float(np.mean(tokens)) if tokens else None,
        "moves": {move: count / len(steps) for move, count in sorted(moves.items())},
    }


def chain_gauges(episodes: Sequence[Episode]) -> Mapping[str, Any]:
    """Return the gauges of chains that a run watches: validity, announced against made, collapse, calibration."""
    found = gauges(episodes)
    known: dict[str, Any] = {
        "turns": found.turns or found.plain,
        "valid": found.valid,
        "kept": found.announced.rate,
        "over_clarification": found.clarification.over,
        "under_clarification": found.clarification.under,
        "violations": found.violations,
        "failures": dict(found.failures),
        "tokens": {block: count.mean for block, count in found.tokens.items()},
    }
    if found.collapse is not None:
        known |= {"matrices": found.collapse.n, "distinct": found.collapse.distinct, "bits": found.collapse.entropy}
    for side, calibration in (("user", found.user), ("assistant", found.assistant)):
        if calibration is not None:
            known[f"{side}_calibration"] = {"n": calibration.n, "rank": calibration.spearman}
    return known
