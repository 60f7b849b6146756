"""``check_env``: does an environment keep the whole contract?"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from gtalign_env.testing import action_checks, api_checks, foreign_checks, privacy_checks, state_checks
from gtalign_env.testing.report import CheckResult, ConformanceError, Report
from gtalign_env.testing.subject import Skipped, Subject

__all__ = ["CHECKS", "check_env"]

Check = Callable[[Any], None]

CHECKS: tuple[Check, ...] = (
    api_checks.metadata,
    api_checks.reset_returns,
    api_checks.step_returns,
    api_checks.spaces,
    api_checks.containment,
    api_checks.action_masks,
    api_checks.rewards,
    api_checks.dones,
    api_checks.payoff_items,
    api_checks.max_cycles,
    api_checks.reset_infos,
    state_checks.global_random_state,
    state_checks.determinism,
    api_checks.reset_options,
    state_checks.seeds_matter,
    state_checks.no_aliasing,
    state_checks.independent_instances,
    state_checks.deepcopy_continues,
    state_checks.pickle_continues,
    state_checks.quiet,
    state_checks.rendering,
    state_checks.closing,
    action_checks.call_order,
    action_checks.bad_actions,
    action_checks.masked_moves,
    action_checks.strict_raises,
    privacy_checks.privacy,
    privacy_checks.revealed,
    foreign_checks.pettingzoo_parallel_api_test,
    foreign_checks.pettingzoo_parallel_seed_test,
    foreign_checks.pettingzoo_api_test,
    foreign_checks.pettingzoo_seed_test,
    foreign_checks.pettingzoo_render_test,
    foreign_checks.gymnasium_check_env,
)
"""Every check, in the order they run: form first, so that the first failure names the cause and not a consequence."""


def check_env(
    env_fn: Callable[..., Any],
    *,
    episodes: int = 3,
    seed: int = 0,
    privacy: bool = True,
    user_types: Sequence[Any] = (),
    collect: bool = False,
) -> Report:
    """Check an environment against the whole contract: PettingZoo's and Gymnasium's own tests, and what they miss.

    Args:
        env_fn: Makes a fresh environment: a ``pettingzoo.ParallelEnv``, an ``AECEnv`` or a ``gymnasium.Env``. Where it takes
            the keywords ``max_cycles``, ``render_mode``, ``strict`` and ``reveal``, these are checked as well.
        episodes: How many episodes most checks play.
        seed: Everything random in the kit follows from it.
        privacy: Whether to check that nothing the assistant receives depends on θ.
        user_types: What that check pins with ``reset(options={"user_type": …})``, at least two; a set of its own when empty.
        collect: Run all checks and return a report of every failure, instead of raising at the first.

    Returns:
        Which checks ran, how they ended, how long they took.

    Raises:
        ConformanceError: A check failed (not with ``collect=True``).
        UsageError: ``env_fn`` makes no environment, or an argument is out of range.

    Example:
        >>> from gtalign_env.testing.fakes import GenericEnv
        >>> report = check_env(GenericEnv, episodes=1)
        >>> report.ok, "no_aliasing" in report.checks
        (True, True)
    """
    subject = Subject(env_fn, seed=seed, episodes=episodes, user_types=user_types)
    checks = [check for check in CHECKS if privacy or check is not privacy_checks.privacy]
    return run_checks(subject, checks, name=subject.name, collect=collect)


def run_checks(subject: Any, checks: Sequence[Check], *, name: str, collect: bool) -> Report:
    """Run checks one after the other on something that has an attribute ``check``, and report."""
    results: list[CheckResult] = []
    errors: list[ConformanceError] = []
    for check in checks:
        subject.check = check.__name__
        started = time.perf_counter()
        result, error = _run(check, subject)
        seconds = time.perf_counter() - started
        if error is not None:
            if not collect:
                raise error
            errors.append(error)
            results.append(CheckResult(name=check.__name__, status="failed", seconds=seconds, detail=str(error)))
        else:
            results.append(
                CheckResult(
                    name=check.__name__, status="skipped" if result else "passed", seconds=seconds, detail=result
                )
            )
    return Report(subject=name, results=tuple(results), errors=tuple(errors))


def _run(check: Check, subject: Any) -> tuple[str, ConformanceError | None]:
    """Return why the check was skipped (empty when it was not), and the failure."""
    try:
        check(subject)
    except Skipped as reason:
        return str(reason), None
    except ConformanceError as error:
        return "", error
    except Exception as error:  # noqa: BLE001 - an environment that raises where it should not has failed the check
        failure = ConformanceError(
            check.__name__,
            expected="legal calls not to raise",
            came=f"{type(error).__name__}: {error}",
            cure="see the traceback of the error that this one was raised from",
        )
        failure.__cause__ = error
        return "", failure
    return "", None
