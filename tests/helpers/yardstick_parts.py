"""What the tests of the yardstick share: small problems, and the welfares that they are solved for."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from gtalign_env.agents.users import population_kernels
from gtalign_env.finite import FiniteScenario
from gtalign_env.optimal import Problem
from gtalign_env.optimal.frontier import Reached
from gtalign_env.registration import make_scenario

CONCAVE = [
    "cobb_douglas",
    "cobb_douglas:weight=0.2",
    "ces:rho=-1",
    "egalitarian",
    "alpha_fair:alpha=2",
    "gini",
    "nash_product",
]
"""Welfares for which cutting planes work."""


@functools.cache
def assist(**rules: Any) -> FiniteScenario:
    """Return a session."""
    scenario = make_scenario("assist", **rules)
    assert isinstance(scenario, FiniteScenario)
    return scenario


@functools.cache
def problem(questions: int = 1, users: str = "default", **rules: Any) -> Problem:
    """Return a small problem."""
    scenario = assist(questions=questions, **rules)
    return Problem(scenario, population_kernels(users, scenario))


def best_of(points: Sequence[tuple[float, float]]) -> Callable[[tuple[float, float], float], Reached]:
    """Return what solves the linear problem over a cloud of points."""

    def oracle(weights: tuple[float, float], tolerance: float) -> Reached:
        best = max(points, key=lambda point: weights[0] * point[0] + weights[1] * point[1])
        return Reached(weights=weights, upper=weights[0] * best[0] + weights[1] * best[1], payoffs=best)

    return oracle
