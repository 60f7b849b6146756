"""What knowing the user is worth under a welfare that is not linear, against a scan of directions."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from yardstick_parts import assist

from gtalign_env.agents.users import population_kernels
from gtalign_env.optimal import Problem


@pytest.mark.parametrize("users", ["concise,detailed", "expert,concise"])
def test_told__is_held_by_what_the_kinds_reach_together(users: str) -> None:
    """In 31 directions w each kind's own best, added by shares: mixtures of these points reach at most √(U·L) of the told, and no
    more is possible than h / (2·√(w·(1 − w))), the best point of a line at which w·U + (1 − w)·L is h.
    """
    scenario = assist(questions=2)
    kernels = population_kernels(users, scenario)
    alone = [(kernel.share, Problem(scenario, [kernel])) for kernel in kernels]
    points, above = [], math.inf
    for w in np.linspace(0.05, 0.95, 31).tolist():
        user, assistant = np.sum(
            [np.multiply(share, one.best(f"linear:weight={w}", tolerance=1e-9).payoffs) for share, one in alone], axis=0
        ).tolist()
        points.append((user, assistant))
        above = min(above, (w * user + (1.0 - w) * assistant) / (2.0 * math.sqrt(w * (1.0 - w))))
    shares = np.linspace(0.0, 1.0, 101)[:, None]
    mixed = [shares * one + (1.0 - shares) * other for one, other in itertools.combinations(np.array(points), 2)]
    below = float(np.sqrt(np.clip(mixed, 0.0, None).prod(axis=-1)).max())
    found = Problem(scenario, kernels).told("cobb_douglas", tolerance=1e-9)
    assert below - 1e-6 <= found.value <= above + 1e-6
    assert above - below < 2e-3
    assert found.value == pytest.approx(math.sqrt(found.payoffs[0] * found.payoffs[1]))
    assert found.value >= Problem(scenario, kernels).best("cobb_douglas").value - 1e-6
