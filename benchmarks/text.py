"""Turns per second of the text view with scripted players, and of the strategic view with the same ones."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import gtalign_env
from gtalign_env.agents.assistants import make_assistant
from gtalign_env.agents.users import load_persona
from gtalign_env.play import play_many

NAME = "text"
DESCRIPTION = (
    "whole recorded episodes with scripted players: turns per second in the text view, exchanges in the strategic one"
)


def measure(*, quick: bool, say: Callable[[str], None]) -> list[dict[str, Any]]:
    """Return both views' rates, with players, grading and records included."""
    repeats, episodes = (2, 3) if quick else (5, 15)
    views = {"gtalign/AssistText-v0": "turns/s", "gtalign/Assist-v0": "exchanges/s"}
    rates: dict[str, list[float]] = {scenario: [] for scenario in views}
    envs = {scenario: gtalign_env.parallel_env(scenario) for scenario in views}
    for repeat in range(repeats):
        for scenario, found in rates.items():
            assistant, persona = make_assistant("heuristic"), load_persona("concise")
            started = time.perf_counter()
            played = list(play_many(envs[scenario], persona, assistant, episodes=episodes, seed=repeat))
            found.append(sum(len(episode.steps) for episode in played) / (time.perf_counter() - started))
        say(f"text: repeat {repeat + 1} of {repeats}")
    return [
        {"name": scenario, "value": statistics.median(found), "unit": views[scenario], "repeats": found}
        for scenario, found in rates.items()
    ]
