"""The optimum for an objective, solved once and remembered on disk."""

from __future__ import annotations

import dataclasses
import io
import json
import time
import zipfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from gtalign_env.errors import SolverError, UsageError
from gtalign_env.kernels import UserKernel, normalised
from gtalign_env.optimal.ceiling import welfare_ceiling
from gtalign_env.optimal.disk import cache_folder, digest, written
from gtalign_env.optimal.frontier import Frontier, concave, line_weights
from gtalign_env.optimal.problem import Problem
from gtalign_env.optimal.sessions import Histories, expected_welfare
from gtalign_env.optimal.strategy import Strategy
from gtalign_env.pricing import make_pricing
from gtalign_env.specs import to_spec
from gtalign_env.welfare import Criterion

if TYPE_CHECKING:
    from gtalign_env.finite import FiniteScenario
    from gtalign_env.protocols import PricingPolicy

__all__ = ["Optimum", "optimum", "solve"]

Aggregation = Literal["ser", "esr"]
Policies = tuple[tuple[float, Strategy], ...]
_HISTORIES = 4_000
"""Histories up to which ``esr`` is solved exactly."""
_SESSIONS = 20_000
_FIELDS = (
    "objective",
    "aggregation",
    "value",
    "lower",
    "upper",
    "exact",
    "error",
    "user",
    "assistant",
    "weights",
    "kinds",
)
_COUNTS = ("pairs", "contexts", "searched", "seconds")


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Optimum:
    """The most that an assistant can have for an objective, and how."""

    objective: str
    aggregation: Aggregation
    """``ser``: welfare of the mean payoffs; ``esr``: mean of the sessions' welfare."""
    value: float
    """The welfare that ``policies`` reach; with ``esr`` in games too large to walk through, their mean in sessions played."""
    lower: float
    """What ``policies`` reach at least; where ``value`` was played, the lower end of its interval of 95 %."""
    upper: float
    """No policy reaches more. With ``esr`` in large games it may lie well above, most of all for ``nash_product``."""
    exact: bool
    """Whether the bounds meet within the tolerance."""
    error: float = 0.0
    """The standard error of ``value``, where it was played and not computed."""
    user: float
    """E U of ``policies``."""
    assistant: float
    """E L of ``policies``, with retention."""
    weights: tuple[float, float]
    """What a util of either side is worth at the best mean payoffs (``ser``), summing to 1 where the objective is not linear."""
    kinds: tuple[str, ...]
    """Names of the kinds of user, in the order of ``Strategy.by_kind``."""
    policies: Policies
    """Shares and strategies; one is drawn per session."""
    pairs: int
    contexts: int
    searched: int
    """The most beliefs that a search held."""
    seconds: float
    """What solving took, the first time."""
    remembered: bool = False
    """Whether it was read from disk."""

    def as_dict(self) -> dict[str, Any]:
        """Return everything but the strategies."""
        made = {name: getattr(self, name) for name in (*_FIELDS, *_COUNTS, "remembered")}
        return {**made, "shares": [share for share, _ in self.policies]}


def optimum(
    scenario: FiniteScenario,
    kernels: Sequence[UserKernel],
    *,
    objective: str | Criterion = "cobb_douglas",
    aggregation: Aggregation = "ser",
    pricing: str | PricingPolicy | None = None,
    tolerance: float = 1e-6,
    limit: int = 2_000_000,
    cache: bool = True,
    progress: Callable[[str], None] | None = None,
    problem: Problem | None = None,
) -> Optimum:
    """Return the Bayes-optimal assistant against a population.

    Args:
        scenario: A finite game that always moves forward.
        kernels: The kinds of user, for the same scenario and pricing.
        objective: A welfare criterion: linear, or concave in both payoffs.
        aggregation: ``"ser"``, W(E U, E L); or ``"esr"``, E[W(U, L)], which is exact in small games. In others it is a bracket:
            from below the best known policy's mean in sessions played, from above a ceiling (see ``welfare_ceiling``).
        pricing: What the user pays; the scenario's own when ``None``.
        tolerance: How far apart the bounds may stay, as a share of the value (of 1 where the value is less).
        limit: Beliefs that a search may hold; where they do not suffice, the result is a bracket.
        cache: Whether to look on disk first, and to remember the result there (see ``cache_folder``).
        progress: Told in a few words what is going on.
        problem: The same scenario, kernels and pricing, where they are compiled already; its ``limit`` counts then.

    Raises:
        UsageError: The objective is not concave, or an option makes no sense.
        SolverError: The game or the population is too large.

    Example:
        >>> from gtalign_env.registration import load, make_scenario
        >>> scenario = make_scenario("assist", questions=1)
        >>> kernels = load("gtalign_env.agents.users:population_kernels")("concise,detailed", scenario)
        >>> found = optimum(scenario, kernels, cache=False)
        >>> found.exact, found.lower <= found.value <= found.upper
        (True, True)
    """
    if aggregation not in ("ser", "esr"):
        raise UsageError(f"aggregation: expected 'ser' or 'esr', got {aggregation!r}")
    if not tolerance > 0.0 or limit < 1:
        raise UsageError(f"optimum: expected a tolerance > 0 and a limit >= 1, got {tolerance!r} and {limit!r}")
    criterion, _ = concave(objective)
    policy = scenario.pricing if pricing is None else make_pricing(pricing)
    limit = limit if problem is None else problem.limit
    settings = {"objective": to_spec(criterion), "aggregation": aggregation, "tolerance": tolerance, "limit": limit}
    place = cache_folder() / f"{digest(scenario, normalised(kernels), policy, settings)}.npz" if cache else None
    found = None if place is None else _read(place)
    if found is None:
        problem = problem or Problem(scenario, kernels, pricing=policy, limit=limit, progress=progress)
        found = solve(problem, criterion, aggregation=aggregation, tolerance=tolerance)
        if place is not None:
            _write(place, found)
    return found


def solve(
    problem: Problem, objective: str | Criterion, *, aggregation: Aggregation = "ser", tolerance: float = 1e-6
) -> Optimum:
    """Return the optimum of a problem that is compiled already; nothing is looked up or remembered on disk."""
    criterion, _ = concave(objective)
    began = time.perf_counter()
    best = problem.best(criterion, tolerance=tolerance)
    policies = tuple((share, reached.handle) for share, reached in best.mixture)
    value, lower, upper, error = best.value, best.value, best.upper, 0.0
    if aggregation == "esr" and line_weights(criterion) is None:
        policies, value, lower, upper, error = _of_sessions(problem, criterion, best, policies)
    return Optimum(
        objective=str(to_spec(criterion)),
        aggregation=aggregation,
        value=value,
        lower=lower,
        upper=upper,
        exact=error == 0.0 and upper - lower <= tolerance * max(1.0, abs(value)) * 1.000001,
        error=error,
        user=sum(share * one.payoffs[0] for share, one in policies),
        assistant=sum(share * one.payoffs[1] for share, one in policies),
        weights=best.weights,
        kinds=problem.game.names,
        policies=policies,
        pairs=problem.game.size[0],
        contexts=problem.game.contexts,
        searched=problem.searched,
        seconds=time.perf_counter() - began,
    )


def _of_sessions(
    problem: Problem, criterion: Criterion, best: Frontier, policies: Policies
) -> tuple[Policies, float, float, float, float]:
    """Return policies, and value, bounds and standard error of the mean welfare that they have in a session."""
    try:
        value, found = Histories(problem, criterion, limit=_HISTORIES).best(best.weights)
    except SolverError:
        pass
    else:
        return ((1.0, found),), value, value, value, 0.0
    known: list[Policies] = [policies, *(((1.0, cut.handle),) for cut in best.cuts)]
    tried = [expected_welfare(problem, one, criterion, _SESSIONS // 10, np.random.default_rng(0)).mean for one in known]
    top = known[int(np.argmax(tried))]
    played = expected_welfare(problem, top, criterion, _SESSIONS, np.random.default_rng(1))
    upper = max(welfare_ceiling(problem, best, criterion), played.mean)
    return top, played.mean, played.mean - 1.96 * played.error, upper, played.error


# -- on disk ----------------------------------------------------------------------------------------------------------------


def _write(place: Path, found: Optimum) -> None:
    """Write an optimum down, if the disk lets it."""
    arrays: dict[str, Any] = {}
    parts = []
    for number, (share, one) in enumerate(found.policies):
        parts.append({"share": share, "weights": one.weights, "payoffs": one.payoffs})
        arrays[f"{number}/by_kind"], arrays[f"{number}/openings"] = one.by_kind, one.openings
        for group in ("nodes", "edges", "plans", "rules"):
            arrays.update({f"{number}/{group}/{name}": array for name, array in getattr(one, group).items()})
    meta = {name: getattr(found, name) for name in (*_FIELDS, *_COUNTS)}
    arrays["meta"] = np.frombuffer(json.dumps({**meta, "policies": parts}).encode(), dtype=np.uint8)
    written(place, lambda file: np.savez_compressed(file, **arrays))


def _read(place: Path) -> Optimum | None:
    """Return what a file holds; ``None`` where there is none or it cannot be read."""
    try:
        with np.load(io.BytesIO(place.read_bytes()), allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        meta = json.loads(arrays.pop("meta").tobytes())
        policies = []
        for number, part in enumerate(meta.pop("policies")):
            groups: dict[str, dict[str, Any]] = {name: {} for name in ("nodes", "edges", "plans", "rules")}
            for key, array in arrays.items():
                of, _, name = key.partition("/")
                group, slash, name = name.partition("/")
                if of == str(number) and slash:
                    groups[group][name] = array
            policies.append(
                (
                    float(part["share"]),
                    Strategy(
                        weights=tuple(part["weights"]),
                        payoffs=tuple(part["payoffs"]),
                        by_kind=arrays[f"{number}/by_kind"],
                        openings=arrays[f"{number}/openings"],
                        **groups,
                    ),
                )
            )
        meta["weights"], meta["kinds"] = tuple(meta["weights"]), tuple(meta["kinds"])
        return Optimum(policies=tuple(policies), remembered=True, **meta)
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, zlib.error):
        return None
