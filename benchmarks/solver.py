"""Time per game of the equilibrium solver on random 2×3 games, the shape of the paper, beside nashpy's algorithms.

All run in one process, in turns, on the same games: payoffs 0 to 5, whole numbers, so that many games are degenerate. What
counts are the ratios. nashpy's answers are not always complete there (its support enumeration needs supports of equal size); ours
are all extreme equilibria, exact. Lemke and Howson's path finds one equilibrium only, and is shown for information.
"""

from __future__ import annotations

import importlib
import statistics
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gtalign_env.games.cells import pure_nash_cells
from gtalign_env.games.nash import extreme_equilibria

NAME = "solver"
DESCRIPTION = "microseconds per random 2x3 game: pure equilibria in a batch, all mixed ones, against nashpy"
GAMES = 10_000
"""Games whose pure equilibria are found in one call."""
REQUIRED_PURE = 50.0
"""Times as fast per game as nashpy's support enumeration that the batch has to be."""
REQUIRED_MIXED = 1.0
"""Times as fast per game as each of nashpy's enumerations that the list of all extreme equilibria has to be."""

Solver = Callable[[NDArray[np.float64], NDArray[np.float64]], object]


def measure(*, quick: bool, say: Callable[[str], None]) -> list[dict[str, Any]]:
    """Return the times per game and their ratios."""
    repeats, looped = (3, 20) if quick else (7, 200)
    users, assistants = np.random.default_rng(0).integers(0, 6, (2, GAMES, 2, 3)).astype(np.float64)
    solvers: dict[str, Solver] = {"nash": extreme_equilibria}
    problem = ""
    try:
        solvers |= _nashpy()
    except ImportError:
        problem = "not measured: needs nashpy: pip install 'gtalign-env[dev]'"
    times: dict[str, list[float]] = {name: [] for name in ("pure", *solvers)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # nashpy warns of each degenerate game
        for repeat in range(repeats):
            started = time.perf_counter()
            pure_nash_cells(users, assistants)
            times["pure"].append((time.perf_counter() - started) / GAMES * 1e6)
            part = slice(repeat * looped, (repeat + 1) * looped)
            for name, solve in solvers.items():
                times[name].append(_per_game(solve, users[part], assistants[part]))
            say(f"solver: repeat {repeat + 1} of {repeats}")
    return _rows(times, problem)


def _nashpy() -> dict[str, Solver]:
    nashpy: Any = importlib.import_module("nashpy")
    return {
        "support": lambda user, assistant: list(nashpy.Game(user, assistant).support_enumeration()),
        "vertex": lambda user, assistant: list(nashpy.Game(user, assistant).vertex_enumeration()),
        "path": lambda user, assistant: nashpy.Game(user, assistant).lemke_howson(initial_dropped_label=0),
    }


def _per_game(solve: Solver, users: NDArray[np.float64], assistants: NDArray[np.float64]) -> float:
    """Return microseconds per game."""
    started = time.perf_counter()
    for user, assistant in zip(users, assistants, strict=True):
        solve(user, assistant)
    return (time.perf_counter() - started) / len(users) * 1e6


def _rows(times: dict[str, list[float]], problem: str) -> list[dict[str, Any]]:
    labels = {
        "pure": f"pure equilibria, {GAMES:,} at once",
        "nash": "all extreme equilibria, exact",
        "support": "nashpy support enumeration",
        "vertex": "nashpy vertex enumeration",
        "path": "nashpy Lemke-Howson (one equilibrium)",
    }
    rows: list[dict[str, Any]] = [
        {"name": labels[name], "value": statistics.median(found), "unit": "us/game", "repeats": found}
        for name, found in times.items()
    ]
    for name, slow, fast, required in (
        ("support / pure", "support", "pure", REQUIRED_PURE),
        ("support / nash", "support", "nash", REQUIRED_MIXED),
        ("vertex / nash", "vertex", "nash", REQUIRED_MIXED),
        ("Lemke-Howson / nash", "path", "nash", None),
    ):
        rows.append(_ratio(name, times.get(slow), times[fast], required, problem))
    return rows


def _ratio(
    name: str, slow: list[float] | None, fast: list[float], required: float | None, problem: str
) -> dict[str, Any]:
    """Return the row with the median of the ratios of neighbouring measurements; what is required and not measured fails."""
    row: dict[str, Any] = {"name": name, "value": None, "unit": "x"}
    if slow is None:
        row["note"] = problem
    else:
        row["value"] = statistics.median(theirs / ours for theirs, ours in zip(slow, fast, strict=True))
    if required is not None:
        row |= {"required": f">= {required:g}", "ok": row["value"] is not None and row["value"] >= required}
    return row
