"""Checks of the rule of the game: nothing that the assistant receives depends on θ, except through the user's moves."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gtalign_env.errors import GtalignError
from gtalign_env.testing.compare import difference, leaves, mutable_parts, short
from gtalign_env.testing.subject import Frame, Subject, script_of
from gtalign_env.types import ASSISTANT, NUMERIC_TYPE_FIELDS, USER, UserType

__all__ = ["PROBE_TYPES", "privacy", "revealed"]

PROBE_TYPES: tuple[dict[str, Any], ...] = (
    {
        "name": "probe_terse",
        "ideal_tokens": 43.17,
        "value": 0.8311,
        "too_long": 0.4133,
        "too_short": 0.0719,
        "reading_cost": 0.000437,
        "effort_cost": 0.01173,
        "patience": 6.371,
        "price_sensitivity": 1.2917,
    },
    {
        "name": "probe_thorough",
        "ideal_tokens": 517.9,
        "value": 1.6271,
        "too_long": 0.0577,
        "too_short": 0.4719,
        "reading_cost": 0.0000713,
        "effort_cost": 0.002917,
        "patience": 41.37,
        "price_sensitivity": 0.3719,
    },
    {"name": "probe_middling", "ideal_tokens": 171.3, "value": 1.1317, "patience": 19.73},
)
"""Types far apart from each other, with numbers that turn up nowhere else."""

_NAMES = {*NUMERIC_TYPE_FIELDS, "theta", "θ", "user_type"} - {"value", "patience"}  # those two are ordinary words
_CURE = "let nothing that the assistant receives depend on θ; pay what does at the end of the session"


def privacy(subject: Subject) -> None:
    """The same seed and actions under different user types give the assistant the same bytes until the end."""
    env = subject.make()
    if subject.kind == "gymnasium":
        subject.skip("the player opposite may act on θ, so a single-agent view cannot tell")
    if USER not in env.possible_agents or ASSISTANT not in env.possible_agents:
        subject.skip(f"the agents are not {USER!r} and {ASSISTANT!r}")
    types = subject.user_types or PROBE_TYPES
    anything = False
    for seed in range(subject.seeds[0], subject.seeds[0] + 2 * len(subject.seeds)):
        base = _pinned(subject, seed, types[0])
        _holds_no_theta(subject, base, types[0])
        for other in types[1:]:
            frames = _pinned(subject, seed, other, script=script_of(base))
            _holds_no_theta(subject, frames, other)
            _same_for_assistant(subject, base, frames)
            anything = anything or _differs(base, frames)
    if not anything:
        subject.skip("nothing in this game depends on the user type, or reset ignores options['user_type']")


def _pinned(subject: Subject, seed: int, user_type: Any, **how: Any) -> list[Frame]:
    try:
        return subject.record(subject.make(), seed, options={"user_type": user_type}, **how)
    except (GtalignError, TypeError, ValueError) as error:
        subject.fail(
            expected=f"reset(options={{'user_type': {short(user_type, 60)}}}) to pin the user's type",
            came=f"{type(error).__name__}: {error}",
            cure="take a name or a dict of θ's fields, or pass user_types=[...] to check_env",
        )


def _same_for_assistant(subject: Subject, base: Sequence[Frame], frames: Sequence[Frame]) -> None:
    expected = "the assistant to receive the same under every user type"
    for a, b in zip(base, frames, strict=False):
        if _illegal(a) != _illegal(b):
            return  # a type that has other moves played something else from here on
        over = not a.after and not b.after
        if bool(a.after) != bool(b.after):
            came = f"{a.where}: the episode ended for one type and goes on for another"
            subject.fail(expected=expected, came=came, cure="let the user leave by a move, not by itself")
        found = difference(_received(a, over=over), _received(b, over=over))
        if found:
            subject.fail(expected=expected, came=f"{a.where}: {found}", cure=_CURE)


def _received(frame: Frame, *, over: bool) -> dict[str, Any]:
    """Return what the assistant got; without its payoff on the last step, where retention is paid."""
    info = dict(frame.infos[ASSISTANT])
    got = {"observation": frame.observations[ASSISTANT], "info": info}
    if over:
        info.pop("payoff", None)
        info.pop("revealed", None)
    elif frame.index:
        got["reward"] = frame.rewards[ASSISTANT]
    if frame.index:
        got["ended"] = (frame.terminations[ASSISTANT], frame.truncations[ASSISTANT])
    return got


def _illegal(frame: Frame) -> bool:
    return bool(frame.infos.get(USER, {}).get("illegal_move", False))


def _differs(base: Sequence[Frame], frames: Sequence[Frame]) -> bool:
    return bool(difference([frame.returned for frame in base], [frame.returned for frame in frames]))


def _holds_no_theta(subject: Subject, frames: Sequence[Frame], user_type: Any) -> None:
    """Fail where the assistant's observation or info names θ, holds it, or holds one of its numbers."""
    fields = user_type if isinstance(user_type, Mapping) else {}
    numbers = [float(x) for x in fields.values() if isinstance(x, (int, float)) and not float(x).is_integer()]
    expected = "nothing of θ in what the assistant receives"
    for frame in frames:
        got = {"observation": frame.observations[ASSISTANT], "info": _without_revealed(frame)}
        if _holds_type(got):
            subject.fail(expected=expected, came=f"{frame.where}: a UserType", cure=_CURE)
        for path, leaf in leaves(got):
            if isinstance(leaf, str) and (leaf in _NAMES or any(repr(number) in leaf for number in numbers)):
                subject.fail(expected=expected, came=f"{frame.where}: {short(leaf)} at {path}", cure=_CURE)
            if isinstance(leaf, (float, np.floating)) and any(math.isclose(leaf, x, rel_tol=1e-6) for x in numbers):
                subject.fail(expected=expected, came=f"{frame.where}: θ's number {leaf} at {path}", cure=_CURE)


def _without_revealed(frame: Frame) -> dict[str, Any]:
    return {key: value for key, value in frame.infos[ASSISTANT].items() if key != "revealed"}


def _holds_type(value: Any) -> bool:
    if isinstance(value, UserType):
        return True
    if isinstance(value, Mapping):
        return any(map(_holds_type, value.values()))
    if isinstance(value, (list, tuple, set)):
        return any(map(_holds_type, value))
    return dataclasses.is_dataclass(value) and any(
        _holds_type(getattr(value, f.name)) for f in dataclasses.fields(value)
    )


def revealed(subject: Subject) -> None:
    """θ and the other side's items come after the end only, and only with ``reveal=True``."""
    expected = "infos[agent]['revealed'] only on the last step, and only with reveal=True"
    cure = "add it to the infos of the step that ends the episode when the environment was made with reveal=True"
    for frame in subject.episode(subject.make(), subject.seeds[0]):
        _nothing_revealed(subject, frame, expected=expected, cure=cure)
    for frame in subject.episode(subject.variant(reveal=True), subject.seeds[0]):
        if frame.after:
            _nothing_revealed(subject, frame, expected=expected, cure=cure)
            continue
        for agent in frame.before:
            what = frame.infos[agent].get("revealed")
            if not isinstance(what, Mapping) or not what:
                came = f"{frame.where}, the last: {short(what)} for {agent}"
                subject.fail(expected="infos[agent]['revealed'] to be a dict on the last step", came=came, cure=cure)


def _nothing_revealed(subject: Subject, frame: Frame, *, expected: str, cure: str) -> None:
    for agent, info in frame.infos.items():
        for path, part in mutable_parts(info, f"infos[{agent!r}]"):
            if isinstance(part, Mapping) and "revealed" in part:
                came = f"{frame.where}: {path}['revealed']"
                subject.fail(expected=expected, came=came, cure=cure)
