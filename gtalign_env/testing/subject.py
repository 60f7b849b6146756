"""The environment under test: how it is made, stepped and played, the same way for PettingZoo's and Gymnasium's API."""

from __future__ import annotations

import copy
import dataclasses
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NoReturn

import gymnasium
import numpy as np
from gymnasium.spaces import Dict, Discrete
from pettingzoo import AECEnv, ParallelEnv
from pettingzoo.utils.conversions import aec_to_parallel

from gtalign_env.errors import UsageError
from gtalign_env.testing.compare import difference, short
from gtalign_env.testing.report import ConformanceError

__all__ = [
    "Frame",
    "Judge",
    "Skipped",
    "Solo",
    "Subject",
    "choose_action",
    "is_text_space",
    "mask_of",
    "may_move",
    "script_of",
]

MAX_STEPS = 400
"""Steps that the kit plays before it gives up waiting for an episode's end."""
SOLO = "player_0"
"""What the only agent of a Gymnasium environment is called inside the kit."""
_STREAM = 7  # the kit's own draws come from default_rng([seed, _STREAM]), apart from anything an environment may use

_TALKS = 0.6  # elsewhere the environment voices the move itself, where it does that

LINES: tuple[str, ...] = (
    "The capital of Australia is Canberra.",
    "Which one do you mean: the first or the second?",
    "I can't help with that, but I can tell you how to stay safe.",
    "It is 42. Shall I show how to get there?",
    "Too long, please be brief. And what about the other one?",
    "Thanks! I mean the second one, from 1998.",
    "¿Qué? 好的… 🙂",
    "Here is a longer answer. " * 12,
)
"""What the kit says where an action needs words."""


class Skipped(Exception):  # noqa: N818 - it ends a check that does not apply; nothing went wrong
    """The check does not apply to this subject; the text says why."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Frame:
    """What one call of ``reset`` (``index`` 0) or ``step`` returned."""

    index: int
    before: tuple[str, ...]
    """Agents alive before the call (after a reset: all)."""
    after: tuple[str, ...]
    """Agents alive after it."""
    actions: dict[str, Any]
    observations: dict[str, Any]
    infos: dict[str, Any]
    rewards: dict[str, Any] = dataclasses.field(default_factory=dict)
    terminations: dict[str, Any] = dataclasses.field(default_factory=dict)
    truncations: dict[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def where(self) -> str:
        """The call in words."""
        return "reset" if self.index == 0 else f"step {self.index}"

    @property
    def returned(self) -> dict[str, Any]:
        """Everything that came back, by name."""
        parts = {"observations": self.observations, "infos": self.infos}
        if self.index:
            parts |= {"rewards": self.rewards, "terminations": self.terminations, "truncations": self.truncations}
        return parts


class Solo:
    """A Gymnasium environment with the face of a parallel one that has a single agent."""

    def __init__(self, env: gymnasium.Env[Any, Any]) -> None:
        self.env = env
        self.possible_agents = [SOLO]
        self.agents: list[str] = []
        self.metadata = env.metadata
        self.render_mode = env.render_mode

    def observation_space(self, agent: str) -> Any:
        """Return the environment's observation space."""
        return self.env.observation_space

    def action_space(self, agent: str) -> Any:
        """Return the environment's action space."""
        return self.env.action_space

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, Any]:
        """Reset, keyed by the only agent."""
        returned = self.env.reset(seed=seed, options=options)
        self.agents = [SOLO]
        if not isinstance(returned, tuple) or len(returned) != 2:
            return returned
        return {SOLO: returned[0]}, {SOLO: returned[1]}

    def step(self, actions: Mapping[str, Any]) -> tuple[Any, ...]:
        """Step, keyed by the only agent."""
        returned = self.env.step(actions[SOLO])
        if not isinstance(returned, tuple) or len(returned) != 5:
            return returned
        if returned[2] or returned[3]:
            self.agents = []
        return tuple({SOLO: part} for part in returned)

    def render(self) -> Any:
        """Render the environment."""
        return self.env.render()

    def close(self) -> None:
        """Close the environment."""
        self.env.close()


class Judge:
    """Ends checks: what every kind of subject has in common."""

    check = "making the subject"
    """Name of the check that is running."""

    def fail(self, *, expected: str, came: str, cure: str) -> NoReturn:
        """End the running check: the subject breaks the contract."""
        raise ConformanceError(self.check, expected=expected, came=came, cure=cure)

    def skip(self, reason: str) -> NoReturn:
        """End the running check: it does not apply."""
        raise Skipped(reason)

    def same(self, first: Any, second: Any, *, expected: str, cure: str, where: str = "") -> None:
        """Fail unless two values are the same byte for byte."""
        found = difference(first, second)
        if found:
            self.fail(expected=expected, came=f"{where}: {found}" if where else found, cure=cure)


class Subject(Judge):
    """What is under test, and the state of the check that is running.

    Args:
        env_fn: Makes the environment.
        seed: Everything random in the kit follows from it.
        episodes: How many episodes a check plays.
        user_types: What the privacy check pins with ``options={"user_type": …}``.
    """

    def __init__(self, env_fn: Callable[..., Any], *, seed: int, episodes: int, user_types: Sequence[Any] = ()) -> None:
        if not callable(env_fn):
            raise UsageError(f"check_env: expected a function that makes an environment, got {short(env_fn)}")
        if isinstance(episodes, bool) or not isinstance(episodes, int) or episodes < 1:
            raise UsageError(f"check_env episodes: expected an integer >= 1, got {episodes!r}")
        if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
            raise UsageError(f"check_env seed: expected an integer >= 0, got {seed!r}")
        if len(user_types) == 1:
            raise UsageError("check_env user_types: expected at least two types to compare, got one")
        self.env_fn = env_fn
        self.user_types = tuple(user_types)
        self.seeds = tuple(seed + offset for offset in range(episodes))
        first = env_fn()
        if isinstance(first, gymnasium.Env):
            self.kind = "gymnasium"
        elif isinstance(first, AECEnv):
            self.kind = "aec"
        elif isinstance(first, ParallelEnv):
            self.kind = "parallel"
        else:
            raise UsageError(
                "check_env: expected env_fn to return a pettingzoo.ParallelEnv, a pettingzoo.AECEnv or a gymnasium.Env, "
                f"got {short(first)}; pass a function such as lambda: parallel_env('assist')"
            )
        self.name = str(first.metadata.get("name") or getattr(getattr(first, "spec", None), "id", None) or first)
        first.close()

    # -- making ---------------------------------------------------------------------------------------------------

    def make(self, **options: Any) -> Any:
        """Make an environment with the parallel face, its action spaces seeded."""
        made = self.env_fn(**options)
        env: Any = made
        if isinstance(made, gymnasium.Env):
            env = Solo(made)
        elif isinstance(made, AECEnv):
            env = _parallel_inside(made)
        for index, agent in enumerate(env.possible_agents):
            env.action_space(agent).seed(self.seeds[0] + index)
        return env

    def variant(self, **options: Any) -> Any:
        """Make an environment with further options; skip the check where ``env_fn`` does not take them."""
        self.needs(*options)
        try:
            return self.make(**options)
        except (TypeError, UsageError) as error:
            if any(name in str(error) for name in options):
                self.skip(f"env_fn refuses {', '.join(options)}: {error}")
            raise

    def needs(self, *names: str) -> None:
        """Skip the check where ``env_fn`` does not take these keywords."""
        for name in names:
            if not self.accepts(name):
                self.skip(f"env_fn takes no {name!r}")

    def accepts(self, name: str) -> bool:
        """Return whether ``env_fn`` can be called with this keyword."""
        try:
            parameters = inspect.signature(self.env_fn).parameters
        except (TypeError, ValueError):
            return False
        return name in parameters or any(p.kind is p.VAR_KEYWORD for p in parameters.values())

    # -- playing --------------------------------------------------------------------------------------------------

    def reset(self, env: Any, seed: int | None = None, options: Any = None) -> Frame:
        """Call ``reset`` and check the form of what comes back."""
        returned = env.reset(seed=seed, options=options)
        if not isinstance(returned, tuple) or len(returned) != 2 or not all(isinstance(x, dict) for x in returned):
            self.fail(
                expected="reset() to return two dicts (observations, infos)",
                came=short(returned),
                cure="return both dicts, keyed by agent",
            )
        agents = tuple(env.agents)
        return Frame(index=0, before=agents, after=agents, actions={}, observations=returned[0], infos=returned[1])

    def step(self, env: Any, last: Frame, actions: dict[str, Any]) -> Frame:
        """Call ``step`` and check the form of what comes back."""
        before = tuple(env.agents)
        returned = env.step(actions)
        if not isinstance(returned, tuple) or len(returned) != 5 or not all(isinstance(x, dict) for x in returned):
            self.fail(
                expected="step() to return five dicts (observations, rewards, terminations, truncations, infos)",
                came=f"step {last.index + 1}: {short(returned)}",
                cure="return all five, keyed by agent",
            )
        observations, rewards, terminations, truncations, infos = returned
        return Frame(
            index=last.index + 1,
            before=before,
            after=tuple(env.agents),
            actions=actions,
            observations=observations,
            rewards=rewards,
            terminations=terminations,
            truncations=truncations,
            infos=infos,
        )

    def choose(self, env: Any, frame: Frame, rng: np.random.Generator) -> dict[str, Any]:
        """Draw a legal action for every live agent."""
        return {agent: choose_action(env.action_space(agent), mask_of(frame, agent), rng) for agent in frame.after}

    def episode(
        self, env: Any, seed: int | None, *, script: Sequence[dict[str, Any]] | None = None, options: Any = None
    ) -> Iterator[Frame]:
        """Play one episode and yield every frame as it came from the environment.

        Args:
            env: From ``make``.
            seed: Passed to ``reset``; without a script it also seeds the kit's choice of actions.
            script: The actions of every step; drawn among the legal ones when ``None``.
            options: Passed to ``reset``.
        """
        rng = np.random.default_rng([seed or 0, _STREAM])
        frame = self.reset(env, seed, options)
        yield frame
        while env.agents and frame.index < MAX_STEPS:
            if script is None:
                actions = self.choose(env, frame, rng)
            elif frame.index < len(script):
                actions = copy.deepcopy(script[frame.index])
            else:
                return
            frame = self.step(env, frame, actions)
            yield frame

    def record(self, env: Any, seed: int | None, **how: Any) -> list[Frame]:
        """Play one episode and return copies of all frames."""
        return [copy.deepcopy(frame) for frame in self.episode(env, seed, **how)]

    def same_play(self, first: Sequence[Frame], second: Sequence[Frame], *, expected: str, cure: str) -> None:
        """Fail unless two records are the same byte for byte."""
        for a, b in zip(first, second, strict=False):
            self.same(a.returned, b.returned, expected=expected, cure=cure, where=a.where)
            self.same(a.after, b.after, expected=expected, cure=cure, where=f"{a.where}, env.agents")
        if len(first) != len(second):
            came = f"an episode of {len(first) - 1} steps and one of {len(second) - 1}"
            self.fail(expected=expected, came=came, cure=cure)


def script_of(frames: Sequence[Frame]) -> list[dict[str, Any]]:
    """Return the actions of a record, to play them again."""
    return [copy.deepcopy(frame.actions) for frame in frames[1:]]


def mask_of(frame: Frame, agent: str) -> Any:
    """Return the agent's action mask from its observation or its info, or ``None``."""
    observation, info = frame.observations.get(agent), frame.infos.get(agent)
    for place in (observation, info):
        if isinstance(place, Mapping) and "action_mask" in place:
            return place["action_mask"]
    return None


def may_move(frame: Frame, agent: str) -> bool:
    """Return whether it is the agent's turn (always, in games without turns and in single-agent views)."""
    if agent == SOLO:
        return True
    info = frame.infos.get(agent)
    return not isinstance(info, Mapping) or info.get("to_move", agent) == agent


def is_text_space(space: Any) -> bool:
    """Return whether an action is a move together with words.

    Example:
        >>> is_text_space(Discrete(2))
        False
    """
    return isinstance(space, Dict) and set(space.spaces) == {"move", "text"}


def choose_action(space: Any, mask: Any, rng: np.random.Generator) -> Any:
    """Draw an action from a space, among those that the mask allows.

    Example:
        >>> choose_action(Discrete(3), np.array([0, 1, 0], dtype=np.int8), np.random.default_rng(0))
        1
    """
    if isinstance(space, Discrete):
        legal = np.arange(space.n) if mask is None else np.flatnonzero(np.asarray(mask)[: space.n])
        return int(space.start) + (int(rng.choice(legal)) if len(legal) else 0)
    if is_text_space(space):
        line = LINES[int(rng.integers(len(LINES)))] if rng.random() < _TALKS else ""
        return {"move": choose_action(space["move"], mask, rng), "text": line}
    own = copy.deepcopy(space)  # the environment's own space keeps its stream
    own.seed(int(rng.integers(2**31)))
    return own.sample()


def _parallel_inside(env: Any) -> Any:
    """Return the parallel environment that an AEC form was made from, or a conversion of it."""
    inner = env
    while inner is not None:
        if isinstance(inner, ParallelEnv):
            return inner
        inner = getattr(inner, "env", None)
    return aec_to_parallel(env)
