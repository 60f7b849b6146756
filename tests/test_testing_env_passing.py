"""``check_env`` passes what is right, skips what does not apply, and takes its arguments seriously."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Box, Dict, Discrete
from pettingzoo import AECEnv
from pettingzoo.utils.conversions import parallel_to_aec

from gtalign_env.errors import GtalignError, UsageError
from gtalign_env.testing import ConformanceError, Report, check_env
from gtalign_env.testing.env_check import CHECKS
from gtalign_env.testing.fakes import GenericEnv
from gtalign_env.types import USER

Factory = Callable[..., Any]
G = GenericEnv


def hooked(**hooks: Any) -> Factory:
    """Return a factory of environments with some hooks replaced."""
    return lambda **options: GenericEnv(**hooks, **options)


def _theta_seen(env: G, agent: str) -> dict[str, Any]:
    seen = G.observe(env, agent)
    seen["observation"][5] = env.state_now.theta
    return seen


def _noisy(env: G, moves: Any) -> Any:
    made = G.advance(env, moves)
    return made._replace(theta=float(np.random.default_rng().random()))


def _warns(env: G, moves: Any) -> Any:
    warnings.warn("slow", stacklevel=1)
    return G.advance(env, moves)


def _names(report: Report, status: str) -> set[str]:
    return {result.name for result in report.results if result.status == status}


def test_check_env__passes_a_conforming_environment() -> None:
    """The good environment passes every check that applies to it."""
    report = check_env(GenericEnv)
    assert report.ok
    assert report.checks == tuple(check.__name__ for check in CHECKS)
    assert _names(report, "skipped") == {"gymnasium_check_env"}


@pytest.mark.parametrize("seed", [0, 1, 7])
@pytest.mark.parametrize("rounds", [1, 2, 9])
def test_check_env__passes_whatever_the_seed_and_length(seed: int, rounds: int) -> None:
    """A conforming environment passes with any seed, and whatever its length."""
    assert check_env(lambda **options: GenericEnv(rounds=rounds, **options), seed=seed, episodes=1).ok


def test_check_env__passes_the_aec_form() -> None:
    """The AEC form of a conforming environment passes; the parallel one inside is checked too."""
    report = check_env(lambda **options: parallel_to_aec(GenericEnv(**options)), episodes=1)
    assert report.ok
    assert {"no_aliasing", "pettingzoo_api_test"} <= _names(report, "passed")


def test_check_env__converts_an_aec_environment_without_a_parallel_one_inside() -> None:
    """An environment that is AEC by nature is checked through PettingZoo's conversion."""

    def make() -> AECEnv[Any, Any, Any]:
        from pettingzoo.test.example_envs import generated_agents_env_v0

        made: AECEnv[Any, Any, Any] = generated_agents_env_v0.raw_env(max_cycles=10)  # type: ignore[no-untyped-call]
        return made

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        report = check_env(make, episodes=1, collect=True)
    assert "metadata" in report.checks
    assert not report.ok


def test_check_env__asks_only_for_what_the_factory_takes() -> None:
    """A factory without keywords is checked without the variants, and the report says why."""
    report = check_env(lambda: GenericEnv(rounds=3), episodes=1)
    assert report.ok
    reasons = {result.name: result.detail for result in report.skipped}
    assert reasons["strict_raises"] == "env_fn takes no 'strict'"
    assert {"max_cycles", "rendering", "revealed", "pettingzoo_render_test"} <= set(reasons)


def test_check_env__takes_a_refused_keyword_for_one_that_is_not_there() -> None:
    """A factory that passes keywords on to a class without them is not to blame."""

    def make(**options: Any) -> GenericEnv:
        if "strict" in options:
            raise TypeError("unexpected keyword argument 'strict'")
        return GenericEnv(**options)

    report = check_env(make, episodes=1)
    assert "refuses strict" in {result.name: result.detail for result in report.skipped}["strict_raises"]


def test_check_env__reports_an_error_of_the_factory_as_one() -> None:
    """An error of the factory that has nothing to do with the keyword fails the check."""

    def make(**options: Any) -> GenericEnv:
        if options:
            raise TypeError("out of order")
        return GenericEnv()

    with pytest.raises(ConformanceError, match="out of order"):
        check_env(make, episodes=1)


def test_check_env__says_when_chance_or_types_play_no_part() -> None:
    """Without chance and types the two checks that need them are skipped, not passed."""
    fixed = GenericEnv.draw

    def draw(env: G, options: Any) -> Any:
        return fixed(env, {"user_type": 0.5})._replace(arrived=True)

    def advance(env: G, moves: Any) -> Any:
        made = env.state_now._replace(round=env.state_now.round + 1, last_user=moves[USER])
        return made._replace(user_total=env.state_now.user_total + sum(env.user_items(made).values()))

    report = check_env(hooked(draw=draw, advance=advance), episodes=1)
    assert report.ok
    assert {"seeds_matter", "privacy"} <= _names(report, "skipped")


def test_check_env__compares_the_types_it_is_given() -> None:
    """With ``user_types`` the privacy check pins those, names included."""
    assert "privacy" in _names(check_env(GenericEnv, user_types=["little", "much"], episodes=1), "passed")
    with pytest.raises(ConformanceError, match="privacy"):
        check_env(hooked(observe=_theta_seen), user_types=["little", "much"], episodes=1)


def test_check_env__fails_an_environment_that_warns() -> None:
    """A warning from a legal episode is a failure of its own, where warnings are no errors."""
    with warnings.catch_warnings(record=True):
        warnings.simplefilter("always")
        report = check_env(hooked(advance=_warns), episodes=1, collect=True)
    assert "UserWarning: slow" in {result.name: result.detail for result in report.failed}["quiet"]


def test_check_env__leaves_privacy_out_when_asked() -> None:
    """``privacy=False`` is for games in which the assistant may know θ."""
    report = check_env(hooked(observe=_theta_seen), privacy=False, episodes=1)
    assert report.ok
    assert "privacy" not in report.checks


def test_check_env__stops_comparing_where_a_type_has_other_moves() -> None:
    """Where the user's own mask depends on θ, the same actions are not the same play any more."""

    def mask(env: G, agent: str) -> Any:
        made = G.action_mask(env, agent)
        if agent == USER and env.state_now.theta > 0.5:
            made[1] = 0
        return made

    assert "privacy" in _names(check_env(hooked(action_mask=mask), episodes=3), "passed")


def test_check_env__collects_every_failure() -> None:
    """``collect=True`` runs everything and reports all failures, as errors too."""
    report = check_env(hooked(advance=_noisy, info=lambda *_: {"word": "x"}), episodes=2, collect=True)
    assert not report.ok
    expected = {"determinism", "reset_infos", "pettingzoo_seed_test", "pettingzoo_parallel_seed_test"}
    assert expected <= _names(report, "failed")
    assert [error.check for error in report.errors] == [result.name for result in report.failed]
    assert all(isinstance(error, AssertionError) and isinstance(error, GtalignError) for error in report.errors)


def test_check_env__blames_a_mask_of_another_dtype() -> None:
    """A mask that stands in the info is checked as one in the observation is."""

    class Told(GenericEnv):
        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            part: dict[str, Any] = {"observation": Box(0.0, 1.0, (6,), np.float32)}
            self._observation_spaces = {agent: Dict(part) for agent in self.possible_agents}

        def observe(self, agent: str) -> dict[str, Any]:
            return {"observation": super().observe(agent)["observation"]}

        def info(self, agent: str) -> dict[str, Any]:
            return {"action_mask": self.mask.copy()}

        mask = np.ones(3, dtype=bool)

    with pytest.raises(ConformanceError, match="action_masks: expected action masks to be arrays of dtype int8"):
        check_env(Told, episodes=1)
    Told.mask = np.ones(4, dtype=np.int8)
    with pytest.raises(ConformanceError, match=r"of shape \(3,\)"):
        check_env(Told, episodes=1)
    Told.mask = np.full(3, 2, dtype=np.int8)
    with pytest.raises(ConformanceError, match="zeros and ones"):
        check_env(Told, episodes=1)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"env_fn": 3}, "a function that makes an environment"),
        ({"env_fn": lambda: 3}, "to return a pettingzoo.ParallelEnv"),
        ({"env_fn": GenericEnv, "episodes": 0}, "episodes"),
        ({"env_fn": GenericEnv, "seed": -1}, "seed"),
        ({"env_fn": GenericEnv, "user_types": ["much"]}, "at least two"),
    ],
)
def test_check_env__refuses_wrong_arguments(arguments: dict[str, Any], words: str) -> None:
    """A wrong argument is a usage error that says what was expected."""
    with pytest.raises(UsageError, match=words):
        check_env(**arguments)


# -- Gymnasium --------------------------------------------------------------------------------------------------------


class Walk(gymnasium.Env[Any, Any]):
    """A random walk on a line of nine places, behind Gymnasium's API."""

    metadata: dict[str, Any] = {"render_modes": ["ansi"]}  # noqa: RUF012

    def __init__(self, render_mode: str | None = None) -> None:
        self.render_mode = render_mode
        self.observation_space = Box(0.0, 8.0, (1,), np.float32)
        self.action_space = Discrete(2)
        self.place: int | None = None

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        """Begin somewhere in the middle."""
        super().reset(seed=seed)
        self.place = int(self.np_random.integers(3, 6))
        return self.seen(), {}

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Go left or right, or slip."""
        if self.place is None:
            raise ValueError("step() came before reset(): call reset() first")
        if isinstance(action, bool) or not isinstance(action, (int, np.integer)) or not 0 <= action < 2:
            raise ValueError(f"action: expected 0 or 1, got {action!r}")
        self.place += 2 * int(action) - 1 if self.np_random.random() < 0.8 else 0
        return self.seen(), float(self.place == 8), not 0 < self.place < 8, False, {}

    def seen(self) -> Any:
        """Return the place."""
        return np.array([self.place], dtype=np.float32)

    def render(self) -> str:
        """Return the place."""
        return str(self.place)


class Scored(Walk):
    """Rewards are NumPy's."""

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Play."""
        seen, reward, *rest = super().step(action)
        return seen, np.float64(reward), *rest


class Unseeded(Walk):
    """Draws from a generator that Gymnasium does not know."""

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        """Begin."""
        if seed is not None or not hasattr(self, "own"):
            self.own = np.random.default_rng(seed)
        self.place = int(self.own.integers(3, 6))
        return self.seen(), {}

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Play."""
        self._np_random = getattr(self, "own", None)
        played = super().step(action)
        self._np_random = None
        return played


class Clipped(Walk):
    """Returns four things."""

    def step(self, action: Any) -> Any:
        """Play."""
        return super().step(action)[:4]


class Bare(Walk):
    """Returns no info."""

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        """Begin."""
        return super().reset(seed=seed)[0]


def test_check_env__passes_a_gymnasium_environment() -> None:
    """A single-agent environment goes through Gymnasium's checker and everything that applies to one agent."""
    report = check_env(Walk)
    assert report.ok
    assert {"gymnasium_check_env", "bad_actions", "deepcopy_continues", "rendering"} <= _names(report, "passed")
    assert {"privacy", "payoff_items", "action_masks", "pettingzoo_api_test"} <= _names(report, "skipped")


@pytest.mark.parametrize(
    ("broken", "check"),
    [(Scored, "rewards"), (Unseeded, "gymnasium_check_env"), (Clipped, "step_returns"), (Bare, "reset_returns")],
)
def test_check_env__names_what_a_gymnasium_environment_breaks(broken: type, check: str) -> None:
    """A single-agent environment that is broken in one way fails the check for it."""
    with pytest.raises(ConformanceError) as caught:
        check_env(broken, episodes=2)
    assert caught.value.check == check
