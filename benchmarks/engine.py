"""Steps per second of the strategic ``parallel_env``, beside PettingZoo's own rock-paper-scissors and a bare Python loop.

All three run in one process, in turns, so that whatever else the machine is doing hits all of them alike; what counts are
the ratios. The bare loop builds the dicts and arrays that a step has to return and nothing else: the ceiling of any
environment that is written in Python and returns them.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import gtalign_env
from gtalign_env.types import AGENTS, ASSISTANT, USER

NAME = "engine"
DESCRIPTION = "strategic steps per second against PettingZoo's rps and a bare Python loop"
REQUIRED = 4.0
"""Times as fast as rps that the engine has to be."""

Runner = Callable[[int], None]


def measure(*, quick: bool, say: Callable[[str], None]) -> list[dict[str, Any]]:
    """Return the three rates and their ratios."""
    repeats, steps = (3, 4_000) if quick else (9, 20_000)
    contenders: dict[str, Runner] = {"gtalign": _gtalign(), "bare": _bare()}
    problem = ""
    try:
        contenders["rps"] = _rps()
    except ImportError:
        problem = "skipped (needs pygame: pip install 'gtalign-env[dev]')"
    rates: dict[str, list[float]] = {name: [] for name in contenders}
    for runner in contenders.values():
        runner(steps // 10)
    for repeat in range(repeats):
        for name, runner in contenders.items():
            started = time.perf_counter()
            runner(steps)
            rates[name].append(steps / (time.perf_counter() - started))
        say(f"engine: repeat {repeat + 1} of {repeats}")
    return _rows(rates, problem)


def _rows(rates: dict[str, list[float]], problem: str) -> list[dict[str, Any]]:
    labels = {"gtalign": "gtalign/Assist-v0", "rps": "PettingZoo classic/rps-v2", "bare": "bare Python loop"}
    rows: list[dict[str, Any]] = [
        {"name": labels[name], "value": statistics.median(found), "unit": "steps/s", "repeats": found}
        for name, found in rates.items()
    ]
    speed_up = _ratio(rates["gtalign"], rates.get("rps"))
    row = {"name": "gtalign / rps", "value": speed_up, "unit": "x"}
    if speed_up is None:
        rows.append({**row, "note": problem})
    else:
        rows.append({**row, "required": f">= {REQUIRED:g}", "ok": speed_up >= REQUIRED})
    rows.append({"name": "gtalign / bare", "value": _ratio(rates["gtalign"], rates["bare"]), "unit": "x"})
    return rows


def _ratio(ours: list[float], theirs: list[float] | None) -> float | None:
    """Return the median of the ratios of neighbouring measurements."""
    return None if theirs is None else statistics.median(a / b for a, b in zip(ours, theirs, strict=True))


def _gtalign() -> Runner:
    env = gtalign_env.parallel_env("gtalign/Assist-v0")
    rng = np.random.default_rng(0)
    actions = [{USER: int(rng.integers(10)), ASSISTANT: int(rng.integers(8))} for _ in range(4096)]
    return _parallel(env, actions)


def _rps() -> Runner:
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
    import pygame  # noqa: F401 - rps needs it, and says so less clearly
    from pettingzoo import make

    env: Any = make("parallel", "classic/rps-v2")
    rng = np.random.default_rng(0)
    agents = list(env.possible_agents)
    actions = [{agent: int(rng.integers(3)) for agent in agents} for _ in range(4096)]
    return _parallel(env, actions)


def _parallel(env: Any, actions: list[dict[str, int]]) -> Runner:
    """Return a runner that steps any parallel environment and begins anew when an episode is over."""
    env.reset(seed=0)

    def run(steps: int) -> None:
        for i in range(steps):
            if not env.agents:
                env.reset()
            env.step(actions[i & 4095])

    return run


def _bare() -> Runner:
    env = gtalign_env.parallel_env("gtalign/Assist-v0")
    observations, _ = env.reset(seed=0)
    env.step({USER: 0, ASSISTANT: 0})
    assert env.last_step is not None
    items = {USER: env.last_step.payoffs.user, ASSISTANT: env.last_step.payoffs.assistant}

    def run(steps: int) -> None:
        for _ in range(steps):
            _bare_step(observations, items)

    return run


def _bare_step(observations: dict[str, dict[str, Any]], items: dict[str, dict[str, float]]) -> tuple[Any, ...]:
    return (
        {agent: {key: array.copy() for key, array in observations[agent].items()} for agent in AGENTS},
        dict.fromkeys(AGENTS, 0.0),
        dict.fromkeys(AGENTS, False),
        dict.fromkeys(AGENTS, False),
        {agent: {"payoff": dict(items[agent]), "illegal_move": False} for agent in AGENTS},
    )
