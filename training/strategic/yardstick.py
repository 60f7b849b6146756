"""The exact optimum that a learning assistant is measured by (``gtalign_env.optimal``), where there is one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gtalign_env.agents.users import population_kernels
from gtalign_env.errors import SolverError, UsageError
from gtalign_env.finite import FiniteScenario
from gtalign_env.optimal import optimum as solve
from gtalign_env.registration import make_scenario
from gtalign_env.training.objectives import make_objective
from gtalign_env.training.strategic.config import Config

__all__ = ["optimum"]


def optimum(config: Config, progress: Callable[[str], None] | None = None) -> float | None:
    """Return the most that an assistant can reach for the config's objective, or ``None`` where that is not known.

    It is computed once and remembered on disk. For ``esr`` it is an upper bound unless the game is small. Known where the
    assistant alone learns, at one price, against personas that are finite automata.

    Args:
        config: The settings.
        progress: Told in a few words what is going on.

    Example:
        >>> round(optimum(Config(options={"questions": 1}, users="concise,detailed", pricings=["per_token"])), 4)
        0.2363
    """
    if config.learn != "assistant" or len(config.pricings) > 1 or config.safety != "mask":
        return None
    objective = make_objective(config.objective, config.aggregation)
    aggregation: Any = objective.aggregation
    try:
        scenario = make_scenario(config.scenario, **config.options)
        if not isinstance(scenario, FiniteScenario):
            return None
        pricing = config.pricings[0] if config.pricings else None
        kernels = population_kernels(config.users, scenario, pricing)
        found = solve(
            scenario,
            kernels,
            objective=objective.criterion(),
            aggregation=aggregation,
            pricing=pricing,
            progress=progress,
        )
    except (SolverError, UsageError):  # too large, no finite automata, or an objective that is not concave
        return None
    return found.upper if aggregation == "esr" else found.value
