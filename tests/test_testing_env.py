"""``check_env`` passes what is right and fails what is broken, each gap in its own way."""

from __future__ import annotations

import dataclasses
import math
import random  # noqa: TID251 - to show that its misuse is found
import warnings
from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary
from gymnasium.utils import EzPickle
from pettingzoo import AECEnv
from pettingzoo.utils.conversions import parallel_to_aec

from gtalign_env.errors import GtalignError, UsageError
from gtalign_env.testing import ConformanceError, Report, check_env
from gtalign_env.testing.env_check import CHECKS
from gtalign_env.testing.fakes import GenericEnv
from gtalign_env.types import ASSISTANT, USER, UserType

Factory = Callable[..., Any]
G = GenericEnv


def hooked(**hooks: Any) -> Factory:
    """Return a factory of environments with some hooks replaced."""
    return lambda **options: GenericEnv(**hooks, **options)


def edited(change: Callable[[Any, dict[str, Any], str], None]) -> Factory:
    """Return a factory of environments whose observations are changed before they are returned."""

    def observe(env: G, agent: str) -> dict[str, Any]:
        seen = G.observe(env, agent)
        change(env, seen, agent)
        return seen

    return hooked(observe=observe)


def answering(change: Callable[[Any, list[Any]], None]) -> Factory:
    """Return a factory of environments whose five returned dicts are changed after every step."""

    def after_step(env: G, returned: Any) -> Any:
        parts = [dict(part) for part in returned]
        change(env, parts)
        return tuple(parts)

    return hooked(after_step=after_step)


def informing(**entries: Callable[[G, str], Any]) -> Factory:
    """Return a factory of environments with further entries in every info."""
    return hooked(info=lambda env, agent: {**G.info(env, agent), **{k: f(env, agent) for k, f in entries.items()}})


def paying(items: Callable[[Any, str, dict[str, Any]], dict[str, Any]]) -> Factory:
    """Return a factory of environments with other payoff items."""
    return hooked(payoff=lambda env, agent, before: items(env, agent, G.payoff(env, agent, before)))


# -- broken environments --------------------------------------------------------------------------------------------


def _late(env: G, seen: dict[str, Any], agent: str) -> None:
    if env.state_now.round == 3:
        seen["observation"][3] = 7.0


def _cast(env: G, seen: dict[str, Any], agent: str) -> None:
    seen["observation"] = seen["observation"].astype(np.float64)


def _longer(env: G, seen: dict[str, Any], agent: str) -> None:
    seen["observation"] = np.zeros(9, dtype=np.float32)


def _nan(env: G, seen: dict[str, Any], agent: str) -> None:
    seen["observation"][0] = np.nan


def _below(env: G, seen: dict[str, Any], agent: str) -> None:
    seen["observation"][0] = -0.5


def _listed(env: G, seen: dict[str, Any], agent: str) -> None:
    seen["observation"] = seen["observation"].tolist()


def _no_mask(env: G, seen: dict[str, Any], agent: str) -> None:
    del seen["action_mask"]


def _twos(env: G, seen: dict[str, Any], agent: str) -> None:
    seen["action_mask"] = np.full(3, 2, dtype=np.int8)


def _theta_seen(env: G, seen: dict[str, Any], agent: str) -> None:
    seen["observation"][5] = env.state_now.theta


def _theta_masks(env: G, agent: str) -> Any:
    mask = G.action_mask(env, agent)
    if agent == ASSISTANT and env.state_now.theta > 0.5:
        mask[2] = 0
    return mask


def _one_buffer(env: Any, agent: str) -> dict[str, Any]:
    seen = G.observe(env, agent)
    buffers = env.__dict__.setdefault("buffers", {USER: np.zeros(6, np.float32), ASSISTANT: np.zeros(6, np.float32)})
    buffers[agent][:] = seen["observation"]
    return {**seen, "observation": buffers[agent]}


def _one_buffer_viewed(env: Any, agent: str) -> dict[str, Any]:
    seen = _one_buffer(env, agent)
    return {**seen, "observation": seen["observation"][:]}


def _shared_mask(env: Any, returned: Any) -> Any:
    shared = np.array([1, 1, 0], dtype=np.int8)
    for seen in returned[0].values():
        seen["action_mask"] = shared[:]
    return returned


def _own_list(env: Any, agent: str) -> dict[str, Any]:
    env.__dict__.setdefault("log", [])
    return {"log": env.log}


def _trusted_mask(env: Any, agent: str) -> Any:
    mask = G.action_mask(env, agent)
    env.__dict__.setdefault("masks", {})[agent] = mask
    return mask


def _trusting(env: Any, agent: str, move: int) -> bool:
    return not env.masks[agent][move]


def _noisy_later(env: G, moves: Any) -> Any:
    made = G.advance(env, moves)
    return made._replace(theta=float(np.random.default_rng().random())) if made.round >= 2 else made


def _remembers(env: Any, options: Any) -> Any:
    env.games = getattr(env, "games", -1) + 1
    return G.draw(env, options)._replace(last_user=env.games % 3)


def _reseeds_unseeded(env: G, seed: int | None) -> None:
    G.begin(env, seed)
    if seed is None:
        env.np_random = np.random.default_rng()


def _ignores_seeds(env: G, seed: int | None) -> None:
    if seed is not None:
        env.np_random = np.random.default_rng(0)


def _np_random(env: G, moves: Any) -> Any:
    np.random.random()  # noqa: NPY002, TID251 - the defect
    return G.advance(env, moves)


def _py_random(env: G, moves: Any) -> Any:
    random.random()
    return G.advance(env, moves)


def _prints(env: G, moves: Any) -> Any:
    print("a step")
    return G.advance(env, moves)


def _warns(env: G, moves: Any) -> Any:
    warnings.warn("slow", stacklevel=1)
    return G.advance(env, moves)


def _strict_options(env: G, options: Any) -> Any:
    if set(options) - {"user_type"}:
        raise UsageError("unknown option")
    return G.draw(env, options)


def _eats_options(env: G, options: Any) -> Any:
    options.clear()
    return G.draw(env, options)


def _raises_masked(env: G, agent: str, move: int) -> bool:
    if G.illegal(env, agent, move):
        raise ValueError("this move is masked")
    return False


def _obeys_masked(env: G, actions: Any) -> Any:
    _, illegal = G.read_actions(env, actions)
    return {agent: int(move) for agent, move in actions.items()}, illegal


def _narrow_mask(env: G, agent: str) -> Any:
    return np.array([1, 0, 0], dtype=np.int8)


def _unreported(env: G, actions: Any) -> Any:
    moves, illegal = G.read_actions(env, actions)
    return moves, dict.fromkeys(illegal, False)


def _all_reported(env: G, actions: Any) -> Any:
    moves, illegal = G.read_actions(env, actions)
    return moves, dict.fromkeys(illegal, True)


def _blamed_together(env: G, actions: Any) -> Any:
    moves, illegal = G.read_actions(env, actions)
    return moves, dict.fromkeys(illegal, any(illegal.values()))


def _draws_first(env: G, actions: Any) -> Any:
    env.np_random.random()
    return G.read_actions(env, actions)


def _rounds_down(env: G, actions: Any) -> Any:
    return G.read_actions(
        env, {agent: int(m) if isinstance(m, float) and math.isfinite(m) else m for agent, m in actions.items()}
    )


def _key_error(env: G, actions: Any) -> Any:
    return G.read_actions(env, {agent: actions[agent] for agent in env.possible_agents})


def _lenient(env: G, agent: str, move: int) -> bool:
    return not env.call("action_mask", agent)[move]


def _strict_draws(env: G, agent: str, move: int) -> bool:
    if env.strict:
        env.np_random.random()
    return G.illegal(env, agent, move)


def _both_ends(env: Any, parts: list[Any]) -> None:
    if not env.agents:
        parts[3] = dict.fromkeys(parts[3], True)


def _nothing_last(env: Any, parts: list[Any]) -> None:
    if not env.agents:
        parts[:] = [{}, {}, {}, {}, {}]


def _one_ends(env: Any, parts: list[Any]) -> None:
    if not env.agents:
        parts[2][USER] = False


def _bonus(env: Any, parts: list[Any]) -> None:
    parts[1][ASSISTANT] += 0.25


def _numpy_rewards(env: Any, parts: list[Any]) -> None:
    parts[1] = {agent: np.float64(reward) for agent, reward in parts[1].items()}


def _numpy_dones(env: Any, parts: list[Any]) -> None:
    parts[2] = {agent: np.bool_(done) for agent, done in parts[2].items()}


def _common(env: Any, parts: list[Any]) -> None:
    parts[4]["common"] = {}


def _reveals(env: Any, parts: list[Any]) -> None:
    parts[4][USER]["nested"] = {"revealed": {}}


def _reveals_nothing(env: Any, parts: list[Any]) -> None:
    for info in parts[4].values():
        info.pop("revealed", None)


def _reveals_early(env: Any, parts: list[Any]) -> None:
    if env.reveal:
        parts[4][USER]["revealed"] = {"theta": 1.0}


def _ends_by_theta(env: G) -> bool:
    return env.state_now.round >= (2 if env.state_now.theta > 0.5 else env.rounds)


def _theta_pays(env: G, agent: str, items: dict[str, Any]) -> dict[str, Any]:
    return {**items, "tip": 0.5 if env.state_now.theta > 0.5 and not env.call("ended") else 0.0}


def _only_names(env: G, options: Any) -> Any:
    if isinstance(options.get("user_type"), dict):
        raise UsageError("user_type: expected a name")
    return G.draw(env, options)


@dataclasses.dataclass(frozen=True)
class _Card:
    user: UserType

    def __deepcopy__(self, memo: dict[int, Any]) -> _Card:
        return self


BROKEN: dict[str, tuple[str, str, Factory]] = {
    "late_out_of_bounds": ("containment", "step 3: observations['user_0']['observation'][3] is 7.0", edited(_late)),
    "wrong_dtype": ("containment", "dtype float64", edited(_cast)),
    "wrong_shape": ("containment", "shape (9,)", edited(_longer)),
    "nan_seen": ("containment", "NaN", edited(_nan)),
    "below_bounds": ("containment", "starts at 0.0", edited(_below)),
    "list_for_array": ("containment", "holds arrays", edited(_listed)),
    "missing_part": ("containment", "has the keys", edited(_no_mask)),
    "mask_of_twos": ("containment", "action_mask", edited(_twos)),
    "no_legal_move": ("action_masks", "at least one legal", hooked(action_mask=lambda *_: np.zeros(3, dtype=np.int8))),
    "nan_reward": ("rewards", "nan", paying(lambda env, agent, items: {"all": float("nan")})),
    "numpy_reward": ("rewards", "float64", answering(_numpy_rewards)),
    "numpy_bools": ("dones", "bool", answering(_numpy_dones)),
    "terminated_and_truncated": ("dones", "not by both", answering(_both_ends)),
    "reward_off": ("payoff_items", "exactly", answering(_bonus)),
    "order_matters": ("payoff_items", "any order", paying(lambda *_: {"a": 0.1, "b": 0.2, "c": 0.3, "d": -0.6})),
    "no_items": ("payoff_items", "{}", paying(lambda *_: {})),
    "integer_items": ("payoff_items", "plain finite floats", paying(lambda *_: {"all": 1})),
    "empty_last_step": ("step_returns", "exactly the agents", answering(_nothing_last)),
    "shared_info_key": ("step_returns", "common", answering(_common)),
    "one_ends_first": ("step_returns", "same step", answering(_one_ends)),
    "endless": ("step_returns", "no end in", hooked(ended=lambda env: False)),
    "noise_from_step_2": ("determinism", "step 2", hooked(advance=_noisy_later)),
    "state_survives_reset": ("determinism", "same instance", hooked(draw=_remembers)),
    "unseeded_reset_reseeds": ("determinism", "unseeded episode", hooked(begin=_reseeds_unseeded)),
    "seed_ignored": ("seeds_matter", "different seeds", hooked(begin=_ignores_seeds)),
    "numpy_global_state": ("global_random_state", "step 1", hooked(advance=_np_random)),
    "python_global_state": ("global_random_state", "step 1", hooked(advance=_py_random)),
    "prints": ("quiet", "a step", hooked(advance=_prints)),
    "refuses_unknown_options": ("reset_options", "unknown option", hooked(draw=_strict_options)),
    "changes_options": ("reset_options", "as they are", hooked(draw=_eats_options)),
    "same_observation_object": ("no_aliasing", "already returned", hooked(observe=_one_buffer)),
    "view_of_a_buffer": ("no_aliasing", "memory|stay as it was", hooked(observe=_one_buffer_viewed)),
    "shared_between_agents": ("no_aliasing", "memory", hooked(after_reset=_shared_mask)),
    "same_info_object": ("no_aliasing", "['log']", hooked(info=_own_list)),
    "mask_used_afterwards": ("no_aliasing", "overwrites", hooked(action_mask=_trusted_mask, illegal=_trusting)),
    "raises_on_masked": ("masked_moves", "not to raise", hooked(illegal=_raises_masked)),
    "masked_has_effect": ("masked_moves", "same effect", hooked(action_mask=_narrow_mask, read_actions=_obeys_masked)),
    "masked_not_reported": ("masked_moves", "True after a masked move", hooked(read_actions=_unreported)),
    "legal_reported": ("masked_moves", "False after a legal move", hooked(read_actions=_all_reported)),
    "other_blamed": ("masked_moves", "own move was legal", hooked(read_actions=_blamed_together)),
    "bad_action_draws": ("bad_actions", "leave the state", hooked(read_actions=_draws_first)),
    "float_accepted": ("bad_actions", "0.5", hooked(read_actions=_rounds_down)),
    "key_error": ("bad_actions", "KeyError", hooked(read_actions=_key_error)),
    "strict_is_lenient": ("strict_raises", "came none", hooked(illegal=_lenient)),
    "strict_draws": ("bad_actions|strict_raises", "leave the state", hooked(illegal=_strict_draws)),
    "theta_in_observation": ("privacy", "observation", edited(_theta_seen)),
    "theta_in_info": ("privacy", "['deep']", informing(deep=lambda env, agent: {"x": [env.state_now.theta > 0.5]})),
    "theta_in_mask": ("privacy", "action_mask", hooked(action_mask=_theta_masks)),
    "theta_in_reward": ("privacy", "tip", paying(_theta_pays)),
    "theta_ends_it": ("privacy", "ended", hooked(ended=_ends_by_theta)),
    "theta_type_in_info": ("privacy", "a UserType", informing(who=lambda env, agent: env.steps and _Card(UserType()))),
    "theta_named_in_info": ("privacy", "ideal_tokens", informing(who=lambda *_: {"ideal_tokens": 1})),
    "theta_number_in_info": ("privacy", "43.17", informing(hint=lambda *_: 43.17)),
    "types_refused": ("privacy", "expected a name", hooked(draw=_only_names)),
    "always_revealed": ("revealed", "['nested']['revealed']", answering(_reveals)),
    "never_revealed": ("revealed", "the last", answering(_reveals_nothing)),
    "revealed_early": ("revealed", "step 1", answering(_reveals_early)),
    "words_in_reset_infos": ("reset_infos", "'mood'", informing(mood=lambda *_: ["fine"])),
    "info_is_no_dict": ("reset_returns", "to be a dict", hooked(info=lambda *_: [])),
    "reset_returns_one": ("reset_returns", "two dicts", hooked(after_reset=lambda env, returned: returned[0])),
    "reset_misses_agent": (
        "reset_returns",
        "exactly the agents",
        hooked(after_reset=lambda env, returned: ({USER: returned[0][USER]}, returned[1])),
    ),
    "step_returns_four": ("step_returns", "five dicts", hooked(after_step=lambda env, returned: returned[:4])),
    "crashes": ("step_returns", "ZeroDivisionError", hooked(advance=lambda *_: 1 / 0)),
}


@pytest.mark.parametrize("case", BROKEN)
def test_check_env__names_what_is_broken(case: str) -> None:
    """An environment that is broken in one way fails the check for it, and the message says what came."""
    check, words, env_fn = BROKEN[case]
    with pytest.raises(ConformanceError) as caught:
        check_env(env_fn, episodes=2)
    assert caught.value.check in check.split("|")
    assert any(word in str(caught.value) for word in words.split("|")), str(caught.value)


# -- broken classes ---------------------------------------------------------------------------------------------------


class EzEnv(GenericEnv, EzPickle):
    """Copies its constructor arguments only."""

    def __init__(self, **options: Any) -> None:
        EzPickle.__init__(self, **options)
        super().__init__(**options)


class EzPickledEnv(EzEnv):
    """Deep-copies well, pickles its constructor arguments only."""

    def __deepcopy__(self, memo: dict[int, Any]) -> EzPickledEnv:
        import copy

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


# -- what passes ----------------------------------------------------------------------------------------------------


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
        check_env(edited(_theta_seen), user_types=["little", "much"], episodes=1)


def test_check_env__fails_an_environment_that_warns() -> None:
    """A warning from a legal episode is a failure of its own, where warnings are no errors."""
    with warnings.catch_warnings(record=True):
        warnings.simplefilter("always")
        report = check_env(hooked(advance=_warns), episodes=1, collect=True)
    assert "UserWarning: slow" in {result.name: result.detail for result in report.failed}["quiet"]


def test_check_env__leaves_privacy_out_when_asked() -> None:
    """``privacy=False`` is for games in which the assistant may know θ."""
    report = check_env(edited(_theta_seen), privacy=False, episodes=1)
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
    report = check_env(hooked(advance=_noisy_later, info=lambda *_: {"word": "x"}), episodes=2, collect=True)
    assert not report.ok
    assert {"determinism", "reset_infos", "pettingzoo_seed_test"} <= _names(report, "failed")
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
