"""Checks of what an environment remembers: determinism, copies, aliasing, global state."""

from __future__ import annotations

import contextlib
import copy
import io
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import cloudpickle  # type: ignore[import-untyped]
import numpy as np

from gtalign_env.testing.compare import difference, mutable_parts, scramble, short
from gtalign_env.testing.global_state import preserved, snapshot
from gtalign_env.testing.subject import Frame, Subject, script_of

__all__ = [
    "closing",
    "deepcopy_continues",
    "determinism",
    "global_random_state",
    "independent_instances",
    "no_aliasing",
    "pickle_continues",
    "quiet",
    "rendering",
    "seeds_matter",
]

_ONE_GENERATOR = "draw everything random from self.np_random, and seed that in reset(seed=...)"


def determinism(subject: Subject) -> None:
    """Same seed and same actions give the same bytes, at every step, on another instance and on the same one."""
    expected = "the same seed and the same actions to give the same bytes"
    for seed in subject.seeds:
        env = subject.make()
        first = subject.record(env, seed)
        script = script_of(first)
        for other, how in ((subject.make(), "on another instance"), (env, "again on the same instance")):
            again = subject.record(other, seed, script=script)
            subject.same_play(first, again, expected=f"{expected}, {how}", cure=_ONE_GENERATOR)
        half = subject.reset(env, seed)
        for actions in script[: len(script) // 2]:
            half = subject.step(env, half, copy.deepcopy(actions))
        again = subject.record(env, seed, script=script)
        cure = "begin every episode from nothing in reset()"
        subject.same_play(first, again, expected=f"{expected}, after a reset in mid-episode", cure=cure)
        other = subject.make()
        for _ in subject.episode(other, seed, script=script):
            pass
        went_on = subject.record(env, None, script=script), subject.record(other, None, script=script)
        cure = "reset(seed=None) goes on with the current stream"
        subject.same_play(*went_on, expected=f"{expected}, in the unseeded episode that follows", cure=cure)


def seeds_matter(subject: Subject) -> None:
    """Where the game has chance, different seeds give different episodes."""
    seed = subject.seeds[0]
    script = script_of(subject.record(subject.make(), seed))
    env = subject.make()
    seeded = [subject.record(env, seed + offset, script=script) for offset in range(8)]
    if not _alike(seeded):
        return
    unseeded = [subject.record(env, None, script=script) for _ in range(4)]
    unseeded += [subject.record(subject.make(), None, script=script) for _ in range(4)]
    if _alike(unseeded):
        subject.skip("chance plays no part in this game")
    expected, came = "different seeds to give different episodes", f"8 equal ones from seeds {seed} to {seed + 7}"
    subject.fail(expected=expected, came=came, cure=_ONE_GENERATOR)


def _alike(records: Sequence[Sequence[Frame]]) -> bool:
    first = [frame.returned for frame in records[0]]
    return all(not difference(first, [frame.returned for frame in record]) for record in records[1:])


def independent_instances(subject: Subject) -> None:
    """Two environments that are stepped in turns do not disturb each other."""
    seeds = (subject.seeds[0], subject.seeds[0] + 1)
    alone = [subject.record(subject.make(), seed) for seed in seeds]
    games = [subject.episode(subject.make(), seed, script=script_of(r)) for seed, r in zip(seeds, alone, strict=True)]
    together: list[list[Frame]] = [[], []]
    for _ in range(max(map(len, alone))):
        for game, frames in zip(games, together, strict=True):
            frames.extend(copy.deepcopy(frame) for frame in [next(game, None)] if frame is not None)
    for first, second in zip(alone, together, strict=True):
        expected = "an environment to play the same when another one is stepped in between"
        subject.same_play(first, second, expected=expected, cure="keep state on the instance, not on class or module")


def deepcopy_continues(subject: Subject) -> None:
    """``copy.deepcopy`` in mid-episode continues identically, and apart from the original."""
    _copy_continues(subject, copy.deepcopy, "copy.deepcopy")


def pickle_continues(subject: Subject) -> None:
    """A cloudpickle round trip in mid-episode continues identically."""
    _copy_continues(subject, lambda env: cloudpickle.loads(cloudpickle.dumps(env)), "a cloudpickle round trip")


def _copy_continues(subject: Subject, copier: Callable[[Any], Any], how: str) -> None:
    cure = "keep the state in plain attributes; EzPickle copies constructor arguments only"
    for seed in subject.seeds:
        whole = subject.record(subject.make(), seed)
        script = script_of(whole)
        for at in sorted({0, 1, len(script) // 2}):
            env = subject.make()
            last = subject.reset(env, seed)
            for actions in script[:at]:
                last = subject.step(env, last, copy.deepcopy(actions))
            try:
                twin = copier(env)
            except Exception as error:  # noqa: BLE001 - whatever it raises, it should not have
                subject.fail(expected=f"{how} to work", came=f"{type(error).__name__}: {error}", cure=cure)
            for one, name in ((twin, "continue identically"), (env, "leave the original as it was")):
                expected = f"{how} after step {at} to {name}"
                subject.same(list(last.after), list(one.agents), expected=expected, cure=cure, where="env.agents")
                subject.same_play(whole[at + 1 :], _rest(subject, one, last, script), expected=expected, cure=cure)
            after = subject.record(env, None), subject.record(twin, None)
            expected = f"{how} to carry the random stream on into the next episode"
            subject.same_play(*after, expected=expected, cure=cure)


def _rest(subject: Subject, env: Any, last: Frame, script: Sequence[dict[str, Any]]) -> list[Frame]:
    frames = []
    for actions in script[last.index :]:
        if not env.agents:
            break
        last = subject.step(env, last, copy.deepcopy(actions))
        frames.append(copy.deepcopy(last))
    return frames


def no_aliasing(subject: Subject) -> None:
    """What is returned belongs to the caller: never returned twice, never changed later, and free to be overwritten."""
    for seed in subject.seeds:
        env = subject.make()
        held: list[tuple[Frame, Frame]] = []
        owners: dict[int, tuple[str, Any]] = {}  # keeps every object alive, so that ids stay unique
        for frame in subject.episode(env, seed):
            _not_returned_before(subject, frame, owners)
            held.append((frame, copy.deepcopy(frame)))
        for live, kept in held:
            expected = "returned data to stay as it was returned"
            cure = "return copies, not the buffers that the environment goes on writing to"
            subject.same(kept.returned, live.returned, expected=expected, cure=cure, where=live.where)
        plain = [kept for _, kept in held]
        overwritten: list[Frame] = []
        env = subject.make()
        for frame in subject.episode(env, seed, script=script_of(plain)):
            overwritten.append(copy.deepcopy(frame))
            scramble([*frame.returned.values(), frame.actions])
        expected = "an environment to play the same when the caller overwrites everything it was given"
        cure = "return copies of observations, masks, infos and what is nested in them"
        subject.same_play(plain, overwritten, expected=expected, cure=cure)


def _not_returned_before(subject: Subject, frame: Frame, owners: dict[int, tuple[str, Any]]) -> None:
    cure = "return fresh objects at every call and to every agent"
    arrays: list[tuple[str, np.ndarray[Any, Any]]] = []
    for name, part in frame.returned.items():
        for path, value in mutable_parts(part, f"{frame.where}: {name}"):
            if id(value) in owners:
                came = f"{path} is the object already returned as {owners[id(value)][0]}"
                subject.fail(expected="every returned object to be a new one", came=came, cure=cure)
            owners[id(value)] = (path, value)
            if isinstance(value, np.ndarray):
                arrays.append((path, value))
    for index, (path, array) in enumerate(arrays):
        for other_path, other in arrays[:index]:
            if np.shares_memory(array, other):
                came = f"{path} shares memory with {other_path}"
                subject.fail(expected="returned arrays to have memory of their own", came=came, cure=cure)


def global_random_state(subject: Subject) -> None:
    """Neither NumPy's nor Python's global random state is read or written."""
    with preserved():
        before = snapshot()
        env = subject.make()
        for seed in (*subject.seeds, None):
            for frame in subject.episode(env, seed):
                if difference(before, snapshot()):
                    came = f"np.random or random changed in {frame.where}"
                    cure = "draw from self.np_random; a space's sample() is the caller's"
                    subject.fail(expected="the global random state to be left alone", came=came, cure=cure)


def quiet(subject: Subject) -> None:
    """Making, resetting, stepping and closing print nothing and warn of nothing."""
    out, err = io.StringIO(), io.StringIO()
    with (
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        warnings.catch_warnings(record=True) as caught,
    ):
        warnings.simplefilter("always")
        env = subject.make()
        for _ in subject.episode(env, subject.seeds[0]):
            pass
        env.close()
    for name, text in (("standard output", out.getvalue()), ("standard error", err.getvalue())):
        if text:
            came, cure = f"{short(text)} on {name}", "use the logging module, or render()"
            subject.fail(expected="a quiet environment", came=came, cure=cure)
    if caught:
        came = f"{caught[0].category.__name__}: {caught[0].message}"
        subject.fail(expected="no warnings from a legal episode", came=came, cure="remove what is warned of")


def rendering(subject: Subject) -> None:
    """Rendering at every step changes nothing; ``ansi`` returns text and ``human`` returns ``None``."""
    modes = [mode for mode in subject.make().metadata.get("render_modes", ()) if mode in ("ansi", "human")]
    if not modes:
        subject.skip("no text render modes")
    subject.needs("render_mode")
    plain = subject.record(subject.make(), subject.seeds[0])
    for mode in modes:
        env = subject.variant(render_mode=mode)
        shown: list[Frame] = []
        with contextlib.redirect_stdout(io.StringIO()):
            for frame in subject.episode(env, subject.seeds[0], script=script_of(plain)):
                shown.append(copy.deepcopy(frame))
                picture = env.render()
                if not isinstance(picture, str if mode == "ansi" else type(None)):
                    expected = f"render() to return {'a string' if mode == 'ansi' else 'None'} in mode {mode!r}"
                    cure = "print in mode 'human' only, return text in mode 'ansi'"
                    subject.fail(expected=expected, came=f"{frame.where}: {short(picture)}", cure=cure)
        expected = f"render_mode={mode!r} and render() to change nothing in the game"
        subject.same_play(plain, shown, expected=expected, cure="only read the state in render()")


def closing(subject: Subject) -> None:
    """``close`` may be called in mid-episode, and twice."""
    env = subject.make()
    subject.reset(env, subject.seeds[0])
    for _ in range(2):
        try:
            env.close()
        except Exception as error:  # noqa: BLE001 - whatever it raises, it should not have
            came, cure = f"{type(error).__name__}: {error}", "let a second close() do nothing"
            subject.fail(expected="close() to work at any time, twice as well", came=came, cure=cure)
