"""Checks of form: names, spaces, keys, types, bounds, sums, time limits."""

from __future__ import annotations

import copy
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from gymnasium.spaces import Box, Dict, Discrete, Space, Tuple

from gtalign_env.testing.compare import is_finite_float, leaves, short
from gtalign_env.testing.subject import MAX_STEPS, Frame, Subject, is_text_space, mask_of

__all__ = [
    "action_masks",
    "containment",
    "dones",
    "max_cycles",
    "metadata",
    "outside",
    "payoff_items",
    "reset_infos",
    "reset_options",
    "reset_returns",
    "rewards",
    "spaces",
    "step_returns",
]

_AGENT_NAME = re.compile(r"[a-z]+(_[a-z]+)*_[0-9]+")
_RENDER_MODES = {"human", "ansi", "rgb_array", "rgb_array_list", "ansi_list", "depth_array"}


def metadata(subject: Subject) -> None:
    """Name, render modes and agents are declared, and stay what they are."""
    env = subject.make()
    declared = copy.deepcopy(env.metadata)
    modes = declared.get("render_modes")
    if not isinstance(modes, (list, tuple)) or not set(modes) <= _RENDER_MODES:
        known = ", ".join(sorted(_RENDER_MODES))
        cure = "set it on the class"
        subject.fail(expected=f"metadata['render_modes'] to list some of {known}", came=short(modes), cure=cure)
    if subject.kind != "gymnasium":
        _parallel_metadata(subject, env, declared)
    if not hasattr(env, "render_mode"):
        cure = "keep the constructor's render_mode as an attribute"
        subject.fail(expected="an attribute render_mode", came="none", cure=cure)
    for mode in modes if subject.accepts("render_mode") else ():
        subject.variant(render_mode=mode).close()
    subject.same(
        declared,
        subject.make().metadata,
        expected="metadata to stay the same whatever environments are made",
        cure="do not change the class's dict; copy it",
    )


def _parallel_metadata(subject: Subject, env: Any, declared: Mapping[str, Any]) -> None:
    if not isinstance(declared.get("name"), str) or not declared["name"]:
        cure = "name the environment, e.g. 'chat_v0'"
        subject.fail(expected="metadata['name'] to be a non-empty string", came=short(declared.get("name")), cure=cure)
    if declared.get("is_parallelizable") is not True:
        came, cure = short(declared.get("is_parallelizable")), "AEC forms cannot be converted back without it"
        subject.fail(expected="metadata['is_parallelizable'] to be True", came=came, cure=cure)
    for agent in env.possible_agents:
        if not isinstance(agent, str) or not _AGENT_NAME.fullmatch(agent):
            cure = "rename the agent; libraries group agents by the part before the number"
            subject.fail(expected="agents named <word>_<number>, like 'user_0'", came=short(agent), cure=cure)
    if env.agents:
        cure = "fill env.agents in reset()"
        subject.fail(expected="env.agents to be empty before reset()", came=short(env.agents), cure=cure)


def spaces(subject: Subject) -> None:
    """``observation_space`` and ``action_space`` return the same object at every call, before and after a reset."""
    env = subject.make()
    agents = tuple(env.possible_agents)
    kept = {
        (agent, kind): getattr(env, kind)(agent) for agent in agents for kind in ("observation_space", "action_space")
    }
    for _ in subject.episode(env, subject.seeds[0]):
        for (agent, kind), space in kept.items():
            if not isinstance(space, Space):
                cure = "return a gymnasium space"
                subject.fail(expected=f"{kind}({agent!r}) to be a gymnasium Space", came=short(space), cure=cure)
            if getattr(env, kind)(agent) is not space:
                came, cure = "another object", "make the spaces once, in __init__, and return those"
                subject.fail(
                    expected=f"{kind}({agent!r}) to return the same object at every call", came=came, cure=cure
                )


def reset_returns(subject: Subject) -> None:
    """``reset`` returns observations and infos of exactly the live agents, with and without a seed."""
    env = subject.make()
    for seed in (subject.seeds[0], None):
        frame = subject.reset(env, seed)
        if list(frame.after) != list(env.possible_agents):
            came, cure = short(list(frame.after)), "set env.agents in reset()"
            subject.fail(expected=f"env.agents to be {env.possible_agents} after reset()", came=came, cure=cure)
        for name, part in frame.returned.items():
            _keys(subject, frame, name, part)
        for agent, info in frame.infos.items():
            if not isinstance(info, dict):
                cure = "return {} where there is nothing to tell"
                subject.fail(expected=f"infos[{agent!r}] to be a dict", came=short(info), cure=cure)


def step_returns(subject: Subject) -> None:
    """All five dicts hold exactly the agents that were alive before the step, the last step included; all end together."""
    for seed in subject.seeds:
        env = subject.make()
        frame = None
        for frame in subject.episode(env, seed):
            for name, part in frame.returned.items():
                _keys(subject, frame, name, part)
            _alive(subject, frame)
        assert frame is not None
        if frame.after:
            came, cure = f"no end in {MAX_STEPS} steps", "let env_fn set a time limit, e.g. max_cycles=100"
            subject.fail(expected="episodes to end, so that the last step can be checked", came=came, cure=cure)
        if subject.kind != "gymnasium":
            returned = env.step({})
            if not isinstance(returned, tuple) or len(returned) != 5 or any(part != {} for part in returned):
                cure = "return them where there is no live agent and no action"
                subject.fail(
                    expected="step({}) after the end to return five empty dicts", came=short(returned), cure=cure
                )


def _keys(subject: Subject, frame: Frame, name: str, part: Mapping[str, Any]) -> None:
    if set(part) != set(frame.before):
        subject.fail(
            expected=f"{name} to hold exactly the agents alive before the call, {sorted(frame.before)}",
            came=f"{frame.where}: {sorted(map(str, part))}",
            cure="give each of them an entry, on the last step too, and put shared facts into each agent's own info",
        )


def _alive(subject: Subject, frame: Frame) -> None:
    if not frame.index:
        return
    over = {agent: bool(frame.terminations[agent] or frame.truncations[agent]) for agent in frame.before}
    if len(set(over.values())) > 1:
        cure = "end the game for all agents at once"
        subject.fail(expected="all agents to end on the same step", came=f"{frame.where}: {over}", cure=cure)
    living = [agent for agent in frame.before if not over[agent]]
    if sorted(frame.after) != sorted(living):
        came = f"{frame.where}: {sorted(frame.after)}"
        cure = "drop agents that ended from env.agents in the same step, and let none return"
        subject.fail(expected=f"env.agents to hold who goes on, {sorted(living)}", came=came, cure=cure)


def containment(subject: Subject) -> None:
    """Every observation lies in its space, at every step: shape, dtype and bounds."""
    for frame, env in _all_frames(subject):
        for agent, observation in frame.observations.items():
            problem = outside(env.observation_space(agent), observation, f"observations[{agent!r}]")
            if problem:
                came, cure = f"{frame.where}: {problem}", "return it as declared, or declare the space as it is"
                subject.fail(expected="observations inside their space at every step", came=came, cure=cure)


def outside(space: Any, value: Any, path: str = "value") -> str:
    """Return why a value does not belong to a space; the empty string when it does.

    Example:
        >>> outside(Box(0.0, 1.0, (1,), np.float32), np.array([7.0], dtype=np.float32))
        'value[0] is 7.0, the space ends at 1.0'
    """
    if isinstance(space, Dict):
        if not isinstance(value, Mapping) or set(value) != set(space.spaces):
            return f"{path} is {short(value)}, the space has the keys {sorted(space.spaces)}"
        return next(
            filter(None, (outside(part, value[key], f"{path}[{key!r}]") for key, part in space.spaces.items())), ""
        )
    if isinstance(space, Tuple):
        if not isinstance(value, tuple) or len(value) != len(space.spaces):
            return f"{path} is {short(value)}, the space is a tuple of {len(space.spaces)}"
        parts = enumerate(zip(space.spaces, value, strict=True))
        return next(filter(None, (outside(part, item, f"{path}[{i}]") for i, (part, item) in parts)), "")
    if space.shape and not isinstance(space, Discrete):
        return _array_outside(space, value, path)
    return "" if space.contains(value) else f"{path} is {short(value)}, which is not in {space}"


def _array_outside(space: Any, value: Any, path: str) -> str:
    if not isinstance(value, np.ndarray):
        return f"{path} is {short(value)} ({type(value).__name__}), the space holds arrays"
    if value.dtype != space.dtype:
        return f"{path} has dtype {value.dtype}, the space has {space.dtype}"
    if value.shape != space.shape:
        return f"{path} has shape {value.shape}, the space has {space.shape}"
    if isinstance(space, Box):
        for word, bad, bound in (("ends", value > space.high, space.high), ("starts", value < space.low, space.low)):
            if bad.any():
                at = tuple(int(i) for i in np.argwhere(bad)[0])
                index = at[0] if len(at) == 1 else at
                return f"{path}[{index}] is {value[at]}, the space {word} at {bound[at]}"
        if np.isnan(value).any():
            return f"{path} holds NaN"
    return "" if space.contains(value) else f"{path} is {short(value)}, which is not in {space}"


def action_masks(subject: Subject) -> None:
    """Masks are int8 arrays of zeros and ones, one entry per move, with at least one legal move for each live agent."""
    found = False
    for frame, env in _all_frames(subject):
        for agent in frame.before:
            mask = mask_of(frame, agent)
            if mask is None:
                continue
            found = True
            space = env.action_space(agent)
            count = space["move"].n if is_text_space(space) else getattr(space, "n", None)
            at, cure = (
                f"{frame.where}: mask of {agent} is {short(mask)}",
                "make it np.zeros(n, dtype=np.int8) and set ones",
            )
            if not isinstance(mask, np.ndarray) or mask.dtype != np.int8:
                came = f"{at} of {getattr(mask, 'dtype', type(mask).__name__)}"
                subject.fail(expected="action masks to be arrays of dtype int8", came=came, cure=cure)
            if count is not None and mask.shape != (count,):
                subject.fail(
                    expected=f"action masks of shape ({count},)", came=f"{at} of shape {mask.shape}", cure=cure
                )
            if not np.isin(mask, (0, 1)).all():
                subject.fail(expected="action masks of zeros and ones", came=at, cure=cure)
            if frame.after and not mask.any():
                cure = "give a player that waits a WAIT move"
                subject.fail(expected="at least one legal move for every live agent", came=at, cure=cure)
    if not found:
        subject.skip("neither observations nor infos hold an action_mask")


def rewards(subject: Subject) -> None:
    """Every reward is a plain, finite float."""
    for frame, _ in _all_frames(subject):
        for agent, reward in frame.rewards.items():
            if not is_finite_float(reward):
                came = f"{frame.where}: {reward!r} ({type(reward).__name__}) for {agent}"
                cure = "convert with float() and look for divisions by 0"
                subject.fail(expected="rewards to be plain finite floats", came=came, cure=cure)


def dones(subject: Subject) -> None:
    """Terminations and truncations are plain bools, and never both true at once."""
    for frame, _ in _all_frames(subject):
        for name, part in (("terminations", frame.terminations), ("truncations", frame.truncations)):
            for agent, done in part.items():
                if type(done) is not bool:
                    came, cure = f"{frame.where}: {done!r} ({type(done).__name__}) for {agent}", "convert with bool()"
                    subject.fail(expected=f"{name} to be plain bools", came=came, cure=cure)
        both = [agent for agent in frame.terminations if frame.terminations[agent] and frame.truncations.get(agent)]
        if both:
            cure = "report a time limit only where the game has not ended of itself"
            came = f"{frame.where}: both for {both[0]}"
            subject.fail(expected="a step to end by termination or by truncation, not by both", came=came, cure=cure)


def payoff_items(subject: Subject) -> None:
    """``infos[agent]["payoff"]`` itemises the reward: plain finite floats that sum to it exactly, in any order."""
    rng = np.random.default_rng(subject.seeds[0])
    found = False
    for frame, _ in _all_frames(subject):
        for agent, reward in frame.rewards.items():
            items = frame.infos[agent].get("payoff") if frame.index else None
            if items is None and subject.kind == "gymnasium" and not found:
                continue
            found = True
            at = f"{frame.where}: {short(items)} for {agent}"
            if not isinstance(items, dict) or not items or not all(map(is_finite_float, items.values())):
                cure = "put the items of the step's payoff there"
                expected = "infos[agent]['payoff'] to be a dict from names to plain finite floats"
                subject.fail(expected=expected, came=at, cure=cure)
            for total in _sums(list(items.values()), rng):
                if total != reward:
                    cure = "keep items on a grid of powers of two (gtalign_env.payoffs.on_grid)"
                    expected = f"the payoff's items to sum to the reward {reward!r} exactly, in any order"
                    subject.fail(expected=expected, came=f"{at}, a sum of {total!r}", cure=cure)
    if not found:
        subject.skip("infos hold no payoff items")


def _sums(items: list[float], rng: np.random.Generator) -> Iterator[float]:
    """Yield the sum in several orders, and the exact one."""
    yield math.fsum(items)
    for order in (items, items[::-1], sorted(items), rng.permutation(items).tolist(), rng.permutation(items).tolist()):
        total = 0.0
        for item in order:
            total += item
        yield total


def max_cycles(subject: Subject) -> None:
    """``max_cycles=k`` cuts an episode after k steps: truncated, not terminated, unless the game ended before."""
    for limit in (1, 3):
        env = subject.variant(max_cycles=limit)
        frame = list(subject.episode(env, subject.seeds[0]))[-1]
        ended, cut = any(frame.terminations.values()), any(frame.truncations.values())
        came = f"an episode of {frame.index} steps, terminated {ended}, truncated {cut}"
        if frame.after or frame.index > limit:
            expected = f"an episode of at most {limit} steps with max_cycles={limit}"
            subject.fail(expected=expected, came=came, cure="count the steps and truncate all agents at the limit")
        if cut and frame.index < limit and subject.kind != "gymnasium":  # there a step may hold several cycles
            cure = "truncation is for the time limit; a game's own end is a termination"
            subject.fail(expected=f"no truncation before step {limit} with max_cycles={limit}", came=came, cure=cure)


def reset_infos(subject: Subject) -> None:
    """In the strategic view the infos of ``reset`` hold no strings (TorchRL turns them into tensors)."""
    env = subject.make()
    if any(is_text_space(env.action_space(agent)) for agent in env.possible_agents):
        subject.skip("the text view needs words")
    for seed in subject.seeds:
        for agent, info in subject.reset(env, seed).infos.items():
            for key, value in info.items():
                words = [leaf for _, leaf in leaves(value, keys=False) if isinstance(leaf, str)]
                if words and key != "to_move":  # whose turn it is has to be said, and agents are named by strings
                    came, cure = f"{key!r}: {short(value)} for {agent}", "keep words out of infos, or use a text view"
                    subject.fail(expected="no strings in the infos of reset()", came=came, cure=cure)


def reset_options(subject: Subject) -> None:
    """Unknown reset options are ignored, and the caller's dict is left as it was."""
    cure = "read the options you know, ignore the others, and change nothing in the dict"
    plain = subject.record(subject.make(), subject.seeds[0])
    for options in ({"no_such_option": object()}, {"options": 1}, {}):
        given = dict(options)
        expected = f"reset(options={short(options)}) to play like reset()"
        try:
            played = subject.record(subject.make(), subject.seeds[0], options=given)
        except Exception as error:  # noqa: BLE001 - whatever it raises, it should not have
            subject.fail(expected=expected, came=f"{type(error).__name__}: {error}", cure=cure)
        subject.same_play(plain, played, expected=expected, cure=cure)
        subject.same(options, given, expected="reset() to leave the options as they are", cure=cure)


def _all_frames(subject: Subject) -> Iterator[tuple[Frame, Any]]:
    for seed in subject.seeds:
        env = subject.make()
        for frame in subject.episode(env, seed):
            yield frame, env
