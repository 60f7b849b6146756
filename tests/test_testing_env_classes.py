"""``check_env`` names what a class breaks that no replaced part of the fake could break."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary
from gymnasium.utils import EzPickle

from gtalign_env.testing import ConformanceError, check_env
from gtalign_env.testing.fakes import GenericEnv
from gtalign_env.types import USER

Factory = Callable[..., Any]
G = GenericEnv


class EzEnv(GenericEnv, EzPickle):
    """Copies its constructor arguments only."""

    def __init__(self, **options: Any) -> None:
        EzPickle.__init__(self, **options)
        super().__init__(**options)


class EzPickledEnv(EzEnv):
    """Deep-copies well, pickles its constructor arguments only."""

    def __deepcopy__(self, memo: dict[int, Any]) -> EzPickledEnv:
        twin = object.__new__(EzPickledEnv)
        twin.__dict__.update(copy.deepcopy(vars(self), memo))
        return twin


class Unpicklable(GenericEnv):
    """Cannot be copied at all."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.stuck = (number for number in range(3))


class FreshSpaces(GenericEnv):
    """Makes a space at every call."""

    def action_space(self, agent: str) -> Discrete:
        """Return a new space."""
        return Discrete(3)


class NoSpaces(GenericEnv):
    """Has no spaces after a reset."""

    def observation_space(self, agent: str) -> Any:
        """Return something else."""
        return [0, 1]


class Crowd(GenericEnv):
    """Instances share the round."""

    shared: dict[str, int] = {}  # noqa: RUF012 - the defect

    def reset(self, seed: int | None = None, options: Any = None) -> Any:
        """Begin."""
        self.shared["steps"] = 0
        return super().reset(seed, options)

    def ended(self) -> bool:
        """Count everybody's steps."""
        return self.shared["steps"] >= 5

    def step(self, actions: Any) -> Any:
        """Play."""
        if actions:
            self.shared["steps"] += 1
        return super().step(actions)


class Unnamed(GenericEnv):
    """Has no name."""

    metadata = {k: v for k, v in G.metadata.items() if k != "name"}  # noqa: RUF012


class Serial(GenericEnv):
    """Does not say that it can be converted."""

    metadata = {**G.metadata, "is_parallelizable": False}  # noqa: RUF012


class Modeless(GenericEnv):
    """Declares a mode that nobody knows."""

    metadata = {**G.metadata, "render_modes": ["smell"]}  # noqa: RUF012


class Mutant(GenericEnv):
    """Changes the class's metadata."""

    metadata = {**G.metadata, "render_modes": ["human"]}  # noqa: RUF012

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        if self.render_mode:
            self.metadata["render_modes"].append("ansi")


class Renamed(GenericEnv):
    """Its agents have no number."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.possible_agents = ["user", "assistant"]
        self._action_spaces = dict.fromkeys(self.possible_agents, Discrete(3))


class Early(GenericEnv):
    """Has agents before the reset."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.agents = list(self.possible_agents)


class Timeless(GenericEnv):
    """Forgets the render mode."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        del self.render_mode


class Halved(GenericEnv):
    """Leaves an agent out after a reset."""

    def reset(self, seed: int | None = None, options: Any = None) -> Any:
        """Begin with one."""
        returned = super().reset(seed, options)
        self.agents = self.agents[:1]
        return returned


class Undead(GenericEnv):
    """Keeps its agents after the end."""

    def step(self, actions: Any) -> Any:
        """Play on."""
        agents = list(self.agents)
        returned = super().step(actions)
        self.agents = agents
        return returned


class Sulking(GenericEnv):
    """Refuses an empty step after the end."""

    def step(self, actions: Any) -> Any:
        """Play."""
        return super().step(actions) if self.agents or actions else None


class Patient(GenericEnv):
    """Ignores the time limit."""

    def __init__(self, *, max_cycles: int | None = None, **options: Any) -> None:
        super().__init__(**options)


class Hasty(GenericEnv):
    """Cuts one step early."""

    def __init__(self, *, max_cycles: int | None = None, **options: Any) -> None:
        super().__init__(max_cycles=max_cycles and max(max_cycles - 1, 1), **options)


class Silent(GenericEnv):
    """Renders nothing."""

    def render(self) -> None:
        """Show nothing."""


class Meddling(GenericEnv):
    """Draws while it renders."""

    def render(self) -> str | None:
        """Show the state."""
        self.np_random.random()
        return super().render()


class Once(GenericEnv):
    """Closes once."""

    def close(self) -> None:
        """Close."""
        del self.metadata_copy

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.metadata_copy = 1


class Unready(GenericEnv):
    """Fails in its own way when it is stepped too early."""

    def step(self, actions: Any) -> Any:
        """Play."""
        if self.game is None:
            raise AttributeError("'NoneType' object has no attribute 'round', call reset")
        return super().step(actions)


class Untold(GenericEnv):
    """Does not say what to do."""

    def step(self, actions: Any) -> Any:
        """Play."""
        if self.game is None:
            raise ValueError("something went wrong here")
        return super().step(actions)


class Deaf(GenericEnv):
    """Steps on after the end."""

    def step(self, actions: Any) -> Any:
        """Play."""
        return super().step(actions if self.agents or self.game is None else {})


class FixedLimit(GenericEnv):
    """PettingZoo's test sets the limit, and cannot."""

    @property
    def max_cycles(self) -> int | None:
        """The limit."""
        return self.limit

    @max_cycles.setter
    def max_cycles(self, limit: int | None) -> None:
        if hasattr(self, "limit"):
            raise AttributeError("the property max_cycles has no setter")
        self.limit = limit


class Uneven(GenericEnv):
    """One agent's observations are longer."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        part = {"observation": Box(0.0, 1.0, (7,), np.float32), "action_mask": MultiBinary(3)}
        self._observation_spaces[USER] = Dict(part)

    def observe(self, agent: str) -> dict[str, Any]:
        """Pad for one."""
        seen = super().observe(agent)
        if agent == USER:
            seen["observation"] = np.append(seen["observation"], np.float32(0.0))
        return seen


class Blank(GenericEnv):
    """Its pictures are no pictures."""

    metadata = {**G.metadata, "render_modes": ["human", "rgb_array"]}  # noqa: RUF012


CLASSES: dict[type, tuple[str, str]] = {
    EzEnv: ("deepcopy_continues", "copy.deepcopy"),
    EzPickledEnv: ("pickle_continues", "cloudpickle"),
    Unpicklable: ("deepcopy_continues", "to work"),
    FreshSpaces: ("spaces", "same object"),
    NoSpaces: ("spaces", "gymnasium Space"),
    Crowd: ("independent_instances", "stepped in between"),
    Unnamed: ("metadata", "metadata['name']"),
    Serial: ("metadata", "is_parallelizable"),
    Modeless: ("metadata", "smell"),
    Mutant: ("metadata", "stay the same"),
    Renamed: ("metadata", "<word>_<number>"),
    Early: ("metadata", "before reset"),
    Timeless: ("metadata", "render_mode"),
    Halved: ("reset_returns", "env.agents"),
    Undead: ("step_returns", "who goes on"),
    Sulking: ("step_returns", "five empty dicts"),
    Patient: ("max_cycles", "at most 1"),
    Hasty: ("max_cycles", "before step 3"),
    Silent: ("rendering", "a string"),
    Meddling: ("rendering", "change nothing"),
    Once: ("closing", "AttributeError"),
    Unready: ("call_order", "AttributeError"),
    Untold: ("call_order", "mentions 'reset'"),
    Deaf: ("call_order", "after the end"),
    FixedLimit: ("pettingzoo_parallel_api_test", "no setter"),
    Uneven: ("pettingzoo_api_test", "different observation space sizes"),
    Blank: ("pettingzoo_render_test", "rgb_array"),
}


@pytest.mark.parametrize("broken", CLASSES, ids=lambda made: made.__name__)
def test_check_env__names_what_a_class_breaks(broken: type) -> None:
    """A class that is broken in one way fails the check for it, and the message says what came."""
    check, words = CLASSES[broken]
    with pytest.raises(ConformanceError) as caught:
        check_env(broken, episodes=2)
    assert caught.value.check == check
    assert words in str(caught.value)
