"""``check_env`` passes what is right and fails what is broken, each gap in its own way."""

from __future__ import annotations

import dataclasses
import math
import random  # noqa: TID251 - to show that its misuse is found
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from gtalign_env.errors import UsageError
from gtalign_env.testing import ConformanceError, check_env
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
