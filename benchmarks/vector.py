"""The batched engine beside what it replaces: ``parallel_env``, PettingZoo's own rock-paper-scissors, and bare NumPy look-ups.

All run in one process and thread, in short turns, so that whatever else the machine is doing hits all of them alike; what counts
are the ratios, and time is the process's own.
A step of a batch is one step of each of its games, both observations and masks included. The bare loop does what no engine over
these tables can do without: index, chance, next state, both payoffs, and a game that is over starts again; it makes no
observations, checks no actions, keeps no totals, has one generator and tells nobody anything.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import gtalign_env
from gtalign_env.registration import make_scenario
from gtalign_env.types import AGENTS, ASSISTANT, USER

NAME = "vector"
DESCRIPTION = "strategic steps per second of vector_env, alone and against its peers; memory by games"
GAMES = 4096
OVER_PARALLEL, OVER_RPS, BARE_OVER = 100.0, 500.0, 3.0
"""Required: times the steps of ``parallel_env`` and of rps, and how much of a bare loop's time a step may take."""

ROUND, SHORT_ROUND = 880, 220
"""Steps in which 4,096 games, and very many, are given new random numbers once: a fair share of that work."""

Runner = Callable[[int], float]
"""Plays about so many steps and returns how many it played per second."""


def measure(*, quick: bool, say: Callable[[str], None]) -> list[dict[str, Any]]:
    """Return rates, ratios, growth curves and memory."""
    repeats, steps, alone = (3, 40, 4000) if quick else (15, ROUND, 10_000)
    contenders: dict[str, tuple[Runner, int]] = {
        "batch": (_game(GAMES), steps),
        "chair": (_chair(GAMES), steps),
        "bare": (_bare(GAMES), steps),
        "parallel": (_parallel(gtalign_env.parallel_env("gtalign/Assist-v0"), (10, 8)), alone),
    }
    problem = ""
    try:
        contenders["rps"] = (_rps(), alone // 5)
    except ImportError:
        problem = "skipped (needs pygame: pip install 'gtalign-env[dev]')"
    rates: dict[str, list[float]] = {name: [] for name in contenders}
    for runner, count in contenders.values():
        runner(count)
    for repeat in range(repeats):
        for name, (runner, count) in contenders.items():
            rates[name].append(runner(count))
        say(f"vector: repeat {repeat + 1} of {repeats}")
    return [*_rows(rates, problem), *_growth(quick=quick, say=say), *_memory(quick=quick, say=say)]


def _rows(rates: dict[str, list[float]], problem: str) -> list[dict[str, Any]]:
    labels = {
        "batch": f"vector_env, both players, {GAMES:,} games",
        "chair": f"vector_env, assistant's chair, {GAMES:,} games",
        "bare": f"bare NumPy look-ups, {GAMES:,} games",
        "parallel": "parallel_env",
        "rps": "PettingZoo classic/rps-v2",
    }
    rows: list[dict[str, Any]] = [
        {"name": labels[name], "value": statistics.median(found), "unit": "steps/s", "repeats": found}
        for name, found in rates.items()
    ]
    for name, peer, least in (("parallel_env", "parallel", OVER_PARALLEL), ("rps", "rps", OVER_RPS)):
        row: dict[str, Any] = {"name": f"both players / {name}", "unit": "x", "value": None}
        if peer in rates:
            times = _ratio(rates["batch"], rates[peer])
            row |= {"value": times, "required": f">= {least:g}", "ok": times >= least}
        else:
            row["note"] = problem
        rows.append(row)
    slower = _ratio(rates["bare"], rates["batch"])
    required = {"required": f"<= {BARE_OVER:g}", "ok": slower <= BARE_OVER}
    rows.append({"name": "bare look-ups / both players", "value": slower, "unit": "x", **required})
    return rows


def _ratio(ours: list[float], theirs: list[float]) -> float:
    """Return the median of the ratios of neighbouring measurements."""
    return statistics.median(a / b for a, b in zip(ours, theirs, strict=True))


def _growth(*, quick: bool, say: Callable[[str], None]) -> list[dict[str, Any]]:
    """Return steps per second over games per batch, types in the population and questions per session."""
    rows: list[dict[str, Any]] = []

    def add(name: str, games: int, **options: Any) -> None:
        runner = _game(games, **options)
        count = max(4, 40_000 // games) if quick else min(max(ROUND * GAMES // games, SHORT_ROUND), ROUND)
        runner(count)
        found = statistics.median(runner(count) for _ in range(3))
        rows.append({"name": f"growth: {name}", "value": found, "unit": "steps/s"})
        say(f"vector: {name}")

    for games in (64, 256, 1024, 4096, 16_384, 65_536):
        add(f"{games:,} games", games)
    known = make_scenario("gtalign/Assist-v0").known_types  # type: ignore[attr-defined]
    base = next(iter(known.values()))
    for count in (1, 16, 128):
        add(f"{count} types", GAMES, users=[replace(base, name=f"t{i}", value=1.0 + i / 64) for i in range(count)])
    for questions in (1, 4, 16):
        add(f"{questions} questions", GAMES, questions=questions)
    return rows


def _memory(*, quick: bool, say: Callable[[str], None]) -> list[dict[str, Any]]:
    """Return what a batch adds to the process, each size in a process of its own, after 150 steps."""
    rows, per_game = [], []
    for games in (1024, 4096) if quick else (1024, 4096, 16_384, 65_536):
        code = f"import runpy; print(runpy.run_path({__file__!r})['resident']({games}))"
        done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
        grown = float(done.stdout)
        per_game.append(grown / games * 1024)
        rows.append({"name": f"memory: {games:,} games", "value": grown, "unit": "MiB"})
        say(f"vector: memory of {games:,} games")
    rows.append({"name": "memory: per game, at the most games", "value": per_game[-1], "unit": "KiB"})
    return rows


def resident(games: int) -> float:
    """Return by how many MiB the resident memory of this process grows when a batch is made, and played for 150 steps."""
    _game(1)(10)
    before = _resident()
    runner = _game(games)
    runner(150)
    return (_resident() - before) / 1024


def _resident() -> float:
    """Return the resident memory in KiB."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return float(next(line for line in lines if line.startswith("VmRSS")).split()[1])


def _game(games: int, **options: Any) -> Runner:
    batch = gtalign_env.vector_env("gtalign/Assist-v0", games, **options)
    rng = np.random.default_rng(0)
    actions = [{USER: rng.integers(10, size=games), ASSISTANT: rng.integers(8, size=games)} for _ in range(4)]
    batch.reset(seed=0)
    return _timed(lambda i: batch.step(actions[i & 3]), games)


def _chair(games: int) -> Runner:
    batch = gtalign_env.vector_env("gtalign/Assist-v0", games, agent=ASSISTANT)
    rng = np.random.default_rng(0)
    actions = [rng.integers(8, size=games) for _ in range(4)]
    batch.reset(seed=0)
    return _timed(lambda i: batch.step(actions[i & 3]), games)


def _timed(step: Callable[[int], Any], games: int) -> Runner:
    def run(steps: int) -> float:
        started = time.process_time()
        for i in range(steps):
            step(i)
        return games * steps / (time.process_time() - started)

    return run


def _bare(games: int) -> Runner:
    scenario: Any = make_scenario("gtalign/Assist-v0")
    tables = scenario.tables
    rng = np.random.default_rng(0)
    _, users, assistants, branches = tables.next_state.shape
    following = tables.next_state.reshape(-1).astype(np.int64)
    summed = np.cumsum(tables.probability, axis=-1).reshape(-1, branches)
    payoffs = scenario.payoff_tables(scenario.mix.types[0], scenario.pricing)
    user, assistant = (items.sum(axis=-1).reshape(-1) for items in (payoffs.user, payoffs.assistant))
    opening = int(tables.initial.argmax())
    moves = [(rng.integers(users, size=games), rng.integers(assistants, size=games)) for _ in range(4)]
    state = np.full(games, opening)

    def step(i: int) -> tuple[Any, Any]:
        nonlocal state
        asks, replies = moves[i & 3]
        row = (state * users + asks) * assistants + replies
        branch = (summed[row] <= rng.random(games)[:, None]).sum(axis=1)
        entry = row * branches + np.minimum(branch, branches - 1)
        state = following[entry]
        state = np.where(state == tables.terminal, opening, state)
        return user[entry], assistant[entry]

    return _timed(step, games)


def _rps() -> Runner:
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
    import pygame  # noqa: F401 - rps needs it, and says so less clearly
    from pettingzoo import make

    return _parallel(make("parallel", "classic/rps-v2"), (3, 3))


def _parallel(env: Any, moves: tuple[int, int]) -> Runner:
    """Return a runner of any parallel environment of two agents; it begins anew when an episode is over."""
    rng = np.random.default_rng(0)
    agents = list(env.possible_agents)
    assert len(agents) == len(AGENTS)
    actions = [
        {agent: int(rng.integers(count)) for agent, count in zip(agents, moves, strict=True)} for _ in range(4096)
    ]
    env.reset(seed=0)

    def step(i: int) -> None:
        if not env.agents:
            env.reset()
        env.step(actions[i & 4095])

    return _timed(step, 1)
