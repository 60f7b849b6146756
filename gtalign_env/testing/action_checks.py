"""Checks of what happens when an action is wrong: masked, malformed, missing, too early or too late."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from gymnasium.error import Error as GymnasiumError
from gymnasium.spaces import Discrete

from gtalign_env.errors import GtalignError
from gtalign_env.testing.compare import short
from gtalign_env.testing.subject import Frame, Subject, is_text_space, mask_of, may_move, script_of

__all__ = ["bad_actions", "call_order", "masked_moves", "strict_raises"]

_CLEAR = (GtalignError, ValueError, TypeError, AssertionError, GymnasiumError)
_SAMPLES = 3  # steps of an episode at which wrong actions are tried


def masked_moves(subject: Subject) -> None:
    """A masked move is a defined no-op: no exception, the same effect whichever it is, and reported as illegal."""
    found = False
    for seed in subject.seeds:
        whole = subject.record(subject.make(), seed)
        for frame in whole[1:]:
            _legal_is_not_reported(subject, frame)
        for last in whole[:-1][:_SAMPLES]:
            for agent in last.after:
                masked = _masked_actions(subject.make().action_space(agent), last, agent)
                effects = [_effect(subject, seed, whole, last, agent, action) for action in masked]
                for other in effects[1:]:
                    expected = f"all masked moves of {agent} to have the same effect: none"
                    cure = "turn an illegal move into a no-op before it reaches the rules"
                    subject.same(effects[0].returned, other.returned, expected=expected, cure=cure, where=other.where)
                found = found or bool(masked)
    if not found:
        subject.skip("no move is ever masked")


def _legal_is_not_reported(subject: Subject, frame: Frame) -> None:
    for agent, info in frame.infos.items():
        if info.get("illegal_move", False) is not False:
            came = f"{frame.where}: {short(info['illegal_move'])} for {agent}"
            cure = "report only moves that the last observation's mask forbids"
            subject.fail(expected="infos[agent]['illegal_move'] to be False after a legal move", came=came, cure=cure)


def _effect(subject: Subject, seed: int, whole: list[Frame], last: Frame, agent: str, action: Any) -> Frame:
    env, script = subject.make(), script_of(whole)
    at = subject.reset(env, seed)
    for right in script[: last.index]:
        at = subject.step(env, at, right)
    actions = {**script[last.index], agent: action}
    try:
        done = subject.step(env, at, actions)
    except Exception as error:  # noqa: BLE001 - whatever it raises, it should not have
        cure = "treat it as a no-op and set infos[agent]['illegal_move']; raise only under strict=True"
        came = f"step {last.index + 1}: {type(error).__name__}: {error} for {short(action)} of {agent}"
        subject.fail(expected="a masked move not to raise", came=came, cure=cure)
    if done.infos[agent].get("illegal_move") is not True:
        came = f"{done.where}: {short(done.infos[agent].get('illegal_move'))} for {short(action)} of {agent}"
        expected = "infos[agent]['illegal_move'] to be True after a masked move"
        subject.fail(expected=expected, came=came, cure="say so in the info of the agent that made it")
    for other, info in done.infos.items():
        if other != agent and info.get("illegal_move", False) is not False:
            expected = "infos['illegal_move'] to be False for an agent whose own move was legal"
            came, cure = f"{done.where}: True for {other}", "report it to the agent that made it only"
            subject.fail(expected=expected, came=came, cure=cure)
    return copy.deepcopy(done)


def _masked_actions(space: Any, frame: Frame, agent: str) -> list[Any]:
    mask = mask_of(frame, agent)
    if mask is None or not may_move(frame, agent):
        return []
    moves = [int(index) for index in np.flatnonzero(np.asarray(mask) == 0)]
    chosen = sorted({moves[0], moves[-1]}) if moves else []
    if is_text_space(space):
        return [{"move": move, "text": "hello"} for move in chosen]
    return [int(space.start) + move for move in chosen] if isinstance(space, Discrete) else []


def strict_raises(subject: Subject) -> None:
    """With ``strict=True`` a masked move raises a clear error and changes nothing."""
    env = subject.variant(strict=True)
    whole = subject.record(env, subject.seeds[0])
    found = False
    last = subject.reset(env, subject.seeds[0])
    for right in script_of(whole):
        for agent in last.after:
            for action in _masked_actions(env.action_space(agent), last, agent)[:1]:
                found = True
                _raises(
                    subject, env, {**right, agent: action}, f"a masked move {short(action)} of {agent} under strict"
                )
        last = subject.step(env, last, copy.deepcopy(right))
        _unchanged(subject, whole[last.index], last)
    if not found:
        subject.skip("no move is ever masked")


def bad_actions(subject: Subject) -> None:
    """Actions outside the space, missing and unknown agents raise a clear error, and the state stays as it was."""
    whole = subject.record(subject.make(), subject.seeds[0])
    env = subject.make()
    last = subject.reset(env, subject.seeds[0])
    for right in script_of(whole):
        if last.index < _SAMPLES:
            for wrong, what in _wrong(subject, env, last, right):
                _raises(subject, env, wrong, what)
        last = subject.step(env, last, copy.deepcopy(right))
        _unchanged(subject, whole[last.index], last)


def _wrong(subject: Subject, env: Any, frame: Frame, right: dict[str, Any]) -> Iterator[tuple[Any, str]]:
    for agent in frame.after:
        if may_move(frame, agent):
            for action in _misfits(env.action_space(agent)):
                yield {**right, agent: action}, f"the action {short(action, 60)} of {agent}"
    if subject.kind == "gymnasium":
        return
    agents = list(right)
    for agent in agents:
        yield {other: right[other] for other in agents if other != agent}, f"a step without {agent}"
    yield {**right, "stranger_9": right[agents[0]]}, "a step with the unknown agent 'stranger_9'"
    yield {}, "a step without actions"


def _misfits(space: Any) -> list[Any]:
    """Return values that are no actions of a space."""
    if isinstance(space, Discrete):
        end = int(space.start + space.n)
        return [math.nan, 0.5, "hello", None, [0, 0], {}, end, int(space.start) - 1, 10**12]
    if is_text_space(space):
        moves = [move for move in _misfits(space["move"]) if move is not None]
        wrong: list[Any] = [{"move": move, "text": "hello"} for move in moves]
        wrong += [math.nan, 0.5, None, {"move": 0}, {"move": 0, "text": 3}, {"move": 0, "text": None}]
        longest = getattr(space["text"], "max_length", None)
        return wrong if longest is None else [*wrong, {"move": 0, "text": "x" * (longest + 1)}]
    return [None, object()]


def call_order(subject: Subject) -> None:
    """``step`` before ``reset`` and after the end raises an error that says to reset, and ``reset`` still works."""
    env = subject.make()
    samples = {agent: env.action_space(agent).sample() for agent in env.possible_agents}
    _raises(subject, env, samples, "step() before reset()", mention="reset")
    last = list(subject.episode(env, subject.seeds[0]))[-1]
    if subject.kind != "gymnasium" and not last.after:
        _raises(subject, env, samples, "step() after the end", mention="reset")
    cure = "check before anything is changed"
    first, again = subject.record(subject.make(), subject.seeds[0]), subject.record(env, subject.seeds[0])
    subject.same_play(first, again, expected="a refused step() to leave nothing behind", cure=cure)


def _raises(subject: Subject, env: Any, actions: Any, what: str, *, mention: str = "") -> None:
    cure = "check the actions before anything else: say what was expected, what came, and what to do"
    try:
        env.step(actions)
    except Exception as error:  # noqa: BLE001 - whatever comes is judged here
        text = str(error)
        clear = isinstance(error, _CLEAR) or (bool(mention) and not isinstance(error, (LookupError, AttributeError)))
        if not clear or len(text) < 12 or mention not in text:
            wanted = f" that mentions {mention!r}" if mention else ""
            came = f"{type(error).__name__}: {short(text)}"
            subject.fail(expected=f"{what} to raise a clear ValueError{wanted}", came=came, cure=cure)
        return
    subject.fail(expected=f"{what} to raise an error", came="none", cure=cure)


def _unchanged(subject: Subject, expected: Frame, came: Frame) -> None:
    text = "a refused action to leave the state as it was"
    cure = "check the actions before anything is changed or drawn"
    subject.same(expected.returned, came.returned, expected=text, cure=cure, where=came.where)
