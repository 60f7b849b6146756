"""Resident memory of a process that plays the strategic game for a million steps: it must not grow."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import gtalign_env
from gtalign_env.types import ASSISTANT, USER

NAME = "memory"
ALLOWED = 2.0
"""MiB of growth between the first and the last reading that allocators may account for."""


def description(*, quick: bool) -> str:
    """Return the title, with the number of steps that are played."""
    return f"resident memory over {_steps(quick):,} strategic steps"


def _steps(quick: bool) -> int:
    return 50_000 if quick else 1_000_000


def measure(*, quick: bool, say: Callable[[str], None]) -> list[dict[str, Any]]:
    """Return resident memory after 10 % of the steps and on, and the growth in between."""
    steps = _steps(quick)
    env = gtalign_env.parallel_env("gtalign/Assist-v0")
    rng = np.random.default_rng(0)
    actions = [{USER: int(rng.integers(10)), ASSISTANT: int(rng.integers(8))} for _ in range(4096)]
    env.reset(seed=0)
    points = {round(steps * share) for share in (0.1, 0.25, 0.5, 0.75, 1.0)}
    rows: list[dict[str, Any]] = []
    for done in range(1, steps + 1):
        if not env.agents:
            env.reset()
        env.step(actions[done & 4095])
        if done in points:
            gc.collect()
            rows.append({"name": f"after {done:,} steps", "value": resident_mib(), "unit": "MiB"})
            say(f"memory: {done:,} of {steps:,} steps")
    growth = rows[-1]["value"] - rows[0]["value"]
    rows.append(
        {"name": "growth", "value": growth, "unit": "MiB", "required": f"<= {ALLOWED:g}", "ok": growth <= ALLOWED}
    )
    return rows


def resident_mib() -> float:
    """Return the memory that this process occupies now, in MiB (where only its peak can be had, the peak)."""
    statm = Path("/proc/self/statm")
    if statm.exists():
        return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)
