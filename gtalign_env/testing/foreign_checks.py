"""PettingZoo's and Gymnasium's own test functions, run with their warnings as errors.

Some of their warnings are comments on a choice that this library makes on purpose (an observation that is a ``Dict`` with
an action mask); those are ignored by name.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import warnings
from collections.abc import Callable, Iterator
from typing import Any

from gymnasium.utils.env_checker import check_env as gymnasium_checker
from pettingzoo import AECEnv
from pettingzoo.utils.conversions import parallel_to_aec

from gtalign_env.testing.global_state import preserved
from gtalign_env.testing.subject import Skipped, Subject

__all__ = [
    "IGNORED_WARNINGS",
    "gymnasium_check_env",
    "pettingzoo_api_test",
    "pettingzoo_parallel_api_test",
    "pettingzoo_parallel_seed_test",
    "pettingzoo_render_test",
    "pettingzoo_seed_test",
]

IGNORED_WARNINGS: tuple[str, ...] = (
    "Observation is not a NumPy array",
    "Observation space for each agent probably should be gymnasium.spaces.box or gymnasium.spaces.discrete",
    "Action space for each agent probably should be gymnasium.spaces.box or gymnasium.spaces.discrete",
    # Roles share one padded observation, which may well be all zeros on the first step.
    "Observation numpy array is all zeros",
    # Checked here by `pettingzoo_render_test` and `rendering`: a gymnasium.Env without a spec cannot be made again.
    "Not able to test alternative render modes due to the environment not having a spec",
)
"""Beginnings of the third-party warnings that the kit ignores; any other warning is a failure."""
_CYCLES = 120


def pettingzoo_parallel_api_test(subject: Subject) -> None:
    """``pettingzoo.test.parallel_api_test``."""
    _pettingzoo(subject, "parallel_api_test", lambda test: test(subject.make(), num_cycles=_CYCLES))


def pettingzoo_parallel_seed_test(subject: Subject) -> None:
    """``pettingzoo.test.parallel_seed_test``."""
    _pettingzoo(subject, "parallel_seed_test", lambda test: test(subject.make, num_cycles=_CYCLES))


def pettingzoo_api_test(subject: Subject) -> None:
    """``pettingzoo.test.api_test`` on the AEC form."""
    _pettingzoo(subject, "api_test", lambda test: test(_aec(subject), num_cycles=_CYCLES))


def pettingzoo_seed_test(subject: Subject) -> None:
    """``pettingzoo.test.seed_test`` on the AEC form."""
    _pettingzoo(subject, "seed_test", lambda test: test(lambda: _aec(subject), num_cycles=_CYCLES))


def pettingzoo_render_test(subject: Subject) -> None:
    """``pettingzoo.test.render_test`` on the AEC form, in every declared mode."""
    modes = subject.make().metadata.get("render_modes")
    if "human" not in (modes or ()):
        subject.skip("no render mode 'human', which PettingZoo's test needs")
    subject.needs("render_mode")
    _pettingzoo(subject, "render_test", lambda test: test(lambda **options: _aec(subject, **options)))


def gymnasium_check_env(subject: Subject) -> None:
    """``gymnasium.utils.env_checker.check_env``."""
    if subject.kind != "gymnasium":
        subject.skip("not a gymnasium.Env")
    _foreign(subject, "Gymnasium's check_env", lambda: gymnasium_checker(subject.env_fn().unwrapped))


def _pettingzoo(subject: Subject, name: str, run: Callable[[Any], None]) -> None:
    if subject.kind == "gymnasium":
        subject.skip("not a PettingZoo environment")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the package imports games of its own, and warns of doing so
        test = getattr(importlib.import_module("pettingzoo.test"), name)
    _foreign(subject, f"PettingZoo's {name}", lambda: run(test))


def _foreign(subject: Subject, name: str, run: Callable[[], None]) -> None:
    with _guarded():
        try:
            run()
        except Skipped:
            raise
        except Exception as error:  # noqa: BLE001 - somebody else's test: whatever it raises is its verdict
            kind = "a warning" if isinstance(error, Warning) else type(error).__name__
            cure = "see its documentation for the rule behind it"
            text = str(error).strip().rstrip(".")
            subject.fail(expected=f"{name} to pass without warnings", came=f"{kind}: {text}", cure=cure)


@contextlib.contextmanager
def _guarded() -> Iterator[None]:
    """Silence what the tests print, turn warnings into errors, and put the global random state back."""
    silence = contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO())
    with preserved(), silence[0], silence[1], warnings.catch_warnings():
        warnings.simplefilter("error")
        for beginning in IGNORED_WARNINGS:
            warnings.filterwarnings("ignore", message=rf"(\x1b\[\d+m)?(WARN: )?{beginning}")
        yield


def _aec(subject: Subject, **options: Any) -> Any:
    """Return the AEC form, its action spaces seeded."""
    if subject.kind == "aec":
        made = subject.env_fn(**options)
        assert isinstance(made, AECEnv)
        for index, agent in enumerate(made.possible_agents):
            made.action_space(agent).seed(subject.seeds[0] + index)
        return made
    return parallel_to_aec(subject.make(**options))
