"""What objectives lead to: one run per objective and seed, all judged by one welfare function."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence

import numpy as np

from gtalign_env.errors import UsageError
from gtalign_env.specs import listed_specs
from gtalign_env.training.objectives import make_objective
from gtalign_env.training.strategic.config import Config
from gtalign_env.training.strategic.run import Run

__all__ = ["Row", "compare", "split_objectives"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
    """What one objective has led to, over seeds."""

    objective: str
    welfare: float
    """Mean over seeds of the welfare that all are judged by."""
    interval: tuple[float, float]
    """95 % interval of that mean: Student's, over seeds."""
    user: float
    assistant: float
    violations: int
    by_seed: tuple[float, ...]


def compare(
    config: Config, objectives: Sequence[str], seeds: int, tell: Callable[[str], None] | None = None
) -> tuple[Row, ...]:
    """Train for each objective with seeds 0, 1, …, and judge by the config's own objective.

    Args:
        config: All other settings; its objective is the judge.
        objectives: What to train for.
        seeds: Runs per objective (at least 2).
        tell: Told after every run which one it was.
    """
    from scipy.stats import t

    judge = make_objective(config.objective, config.aggregation)
    rows = []
    for objective in objectives:
        found = []
        for seed in range(seeds):
            run = Run(dataclasses.replace(config, objective=objective, seed=seed, evaluate_every=0))
            run.train()
            found.append(run.evaluate(objective=judge))
            if tell is not None:
                tell(objective)
        welfare = np.array([one.welfare for one in found])
        half = float(t.ppf(0.975, seeds - 1) * welfare.std(ddof=1) / math.sqrt(seeds))
        mean = float(welfare.mean())
        rows.append(
            Row(
                objective=objective,
                welfare=mean,
                interval=(mean - half, mean + half),
                user=float(np.mean([one.user for one in found])),
                assistant=float(np.mean([one.assistant for one in found])),
                violations=sum(one.violations for one in found),
                by_seed=tuple(welfare.tolist()),
            )
        )
    return tuple(rows)


def split_objectives(text: str) -> list[str]:
    """Return the objectives of a comma list; a comma before ``key=value`` belongs to the one before it.

    Raises:
        UsageError: One is unknown, or comes twice.

    Example:
        >>> split_objectives("cobb_douglas,nash_bargaining:d_user=1,d_assistant=0.5,linear:0.9")
        ['cobb_douglas', 'nash_bargaining:d_user=1,d_assistant=0.5', 'linear:0.9']
    """
    found = listed_specs(text)
    if len(set(found)) < len(found):
        raise UsageError(f"--compare: expected different objectives, got {text!r}")
    for one in found:
        make_objective(one)
    return found
