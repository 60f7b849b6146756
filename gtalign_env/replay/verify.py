"""Prove a record: play its actions again in a fresh environment and compare everything that comes out.

In the text view recorded actions hold the words, so no model is needed.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from gtalign_env.env import GameEnv, parallel_env
from gtalign_env.episode import Episode, SideRecord, StepRecord, digest
from gtalign_env.errors import GtalignError, UsageError
from gtalign_env.play import make_step_record, public_state, versions
from gtalign_env.pricing import make_pricing
from gtalign_env.registration import SCENARIOS
from gtalign_env.render import one_line
from gtalign_env.types import AGENTS, ASSISTANT, USER

__all__ = ["CannotRebuildError", "Difference", "rebuilt_env", "unfinished", "verify_episode", "version_note"]

_NOT_COMPARED = ("seconds", "model", "action")
_STEP_FAILS = (GtalignError, ValueError)
"""What ``play_episode`` takes for a step that failed."""


class CannotRebuildError(UsageError):
    """The game of a record cannot be made again here, so that nothing about the record can be proved.

    Example:
        >>> try:
        ...     verify_episode(Episode(scenario="assist", view="strategic", seed=0, env_options={"pricing": "my own"}))
        ... except CannotRebuildError as error:
        ...     print(str(error).partition(":")[0])
        cannot be rebuilt
    """


@dataclasses.dataclass(frozen=True, kw_only=True)
class Difference:
    """One place where the record and the second play differ."""

    step: int | None
    """0-based; ``None`` where it concerns the whole episode."""
    field: str
    """E.g. ``"user_0.items.value"``."""
    recorded: Any
    replayed: Any

    def __str__(self) -> str:
        """Say it in one line."""
        where = "" if self.step is None else f"step {self.step + 1}, "
        return f"{where}{self.field}: recorded {_shown(self.recorded)}, played again {_shown(self.replayed)}"


def verify_episode(episode: Episode, *, trust: bool = False) -> list[Difference]:
    """Play an episode's recorded actions again and return where the record differs.

    After the first step that differs, the rest would differ for that reason alone and is not played. An episode that broke
    off in an error is compared as far as it goes (see ``unfinished``); where a step itself failed, it has to fail again.

    Args:
        episode: The record, from a file or straight from ``play_episode``.
        trust: Also import a scenario that the record names as ``"module:attr"``; only registered ones otherwise, because
            a file must not be able to run code.

    Returns:
        The differences of the first step that has any, or of the episode as a whole; empty where all is equal.

    Raises:
        UsageError: The scenario is not registered and not trusted.
        CannotRebuildError: The game cannot be made again: its options are unknown here, e.g. a pricing policy of your own.

    Example:
        >>> from gtalign_env.play import play_episode
        >>> from gtalign_env.registration import ASSISTANTS, PERSONAS
        >>> import gtalign_env.agents
        >>> persona, assistant = PERSONAS.get("concise")(), ASSISTANTS.get("fixed")()
        >>> episode = play_episode(parallel_env("assist"), persona, assistant, seed=0)
        >>> verify_episode(episode)
        []
    """
    episode = msgspec.convert(_plain(episode), Episode)
    env = rebuilt_env(episode, trust=trust)
    settings = list(_compare_config(episode, env))
    if settings:
        return settings
    try:
        observations, infos = env.reset(seed=episode.seed, options=dict(episode.reset_options))
    except _STEP_FAILS as error:
        return [Difference(step=None, field="reset", recorded="an episode", replayed=_failure(error))]
    found = list(_compare_start(episode, env))
    for index, recorded in enumerate(episode.steps):
        if found:
            return found
        if not env.agents:
            return [Difference(step=index, field="end", recorded="goes on", replayed="the episode was over before")]
        found = list(_compare_digests(index, recorded, observations))
        actions = {USER: recorded.user.action, ASSISTANT: recorded.assistant.action}
        public = public_state(env)
        to_move = infos[USER].get("to_move", "")
        try:
            observations, _, terminations, truncations, infos = env.step(actions)
        except _STEP_FAILS as error:
            return [*found, Difference(step=index, field="action", recorded=actions, replayed=_failure(error))]
        assert env.last_step is not None
        sides = {agent: SideRecord(digest="", action=actions[agent]) for agent in AGENTS}
        again = make_step_record(env, env.last_step, sides, infos, public, to_move)
        found += _compare_steps(index, recorded, again)
        if not env.agents:
            ended = "terminated" if terminations[USER] else "truncated" if truncations[USER] else ""
            found += _compare_end(episode, ended, violation=bool(again.events.get("violation", False)))
    return found or list(_compare_last(episode, env))


def unfinished(episode: Episode) -> str:
    """Return how far the record of an episode that broke off in an error goes; empty where it was played to its end.

    Example:
        >>> unfinished(Episode(scenario="s", view="strategic", seed=0, ended="error"))
        'as recorded up to step 0; the episode ended in an error'
    """
    if episode.ended != "error":
        return ""
    kind = one_line(episode.error.get("type", ""))
    return f"as recorded up to step {len(episode.steps)}; the episode ended in an error{f' ({kind})' if kind else ''}"


def version_note(episode: Episode) -> str:
    """Return a sentence about library versions that differ from the record's; empty where none does.

    Example:
        >>> version_note(Episode(scenario="s", view="strategic", seed=0, versions={"numpy": "0.1"})).split(":")[0]
        'recorded with other versions'
    """
    here = versions()
    differ = {name: then for name, then in episode.versions.items() if here.get(name) != then}
    other = [f"{name} {then} (here {here.get(name, 'none')})" for name, then in differ.items()]
    return f"recorded with other versions: {one_line(', '.join(other))}" if other else ""


def rebuilt_env(episode: Episode, *, trust: bool = False) -> GameEnv:
    """Return an environment of the game that an episode was played in.

    Args:
        episode: The record.
        trust: As in ``verify_episode``.

    Raises:
        UsageError: The scenario is not registered and not trusted.
        CannotRebuildError: The game cannot be made again.

    Example:
        >>> rebuilt_env(Episode(scenario="matrix", view="strategic", seed=0)).scenario.name
        'matrix'
    """
    registered = any(episode.scenario in (spec.id, spec.short) for spec in SCENARIOS.values())
    if not registered and not trust:
        raise UsageError(
            f"scenario {one_line(episode.scenario)!r} is not registered here: expected {', '.join(SCENARIOS)}; "
            "a 'module:attr' is imported only with --trust, because that runs its code"
        )
    try:
        env = parallel_env(episode.scenario, **episode.env_options)
        if isinstance(episode.reset_options.get("pricing"), str):
            make_pricing(episode.reset_options["pricing"])
    except (GtalignError, TypeError, ValueError, ImportError, AttributeError, OSError) as error:
        raise CannotRebuildError(
            f"cannot be rebuilt: {one_line(episode.scenario)!r} with the recorded options: {one_line(error)}"
        ) from error
    if env.scenario.view != episode.view:
        raise CannotRebuildError(
            f"cannot be rebuilt: recorded in the {one_line(episode.view)} view, and "
            f"{one_line(episode.scenario)!r} here is a game in the {env.scenario.view} view"
        )
    return env


def _compare_config(episode: Episode, env: GameEnv) -> Iterator[Difference]:
    """Compare the game's settings as recorded; records of older versions have none."""
    if episode.config:
        yield from _differences(None, "config", episode.config, _plain(dict(getattr(env.scenario, "config", {}))))


def _compare_start(episode: Episode, env: GameEnv) -> Iterator[Difference]:
    yield from _differences(None, "hidden", episode.hidden, _plain(env.hidden()))
    describe = getattr(env.scenario, "record", None)
    if describe is not None:
        for key, value in describe(env.game_state).items():
            yield from _differences(None, key, getattr(episode, key), _plain(value))


def _compare_digests(index: int, recorded: StepRecord, observations: Mapping[str, Any]) -> Iterator[Difference]:
    for agent, side in ((USER, recorded.user), (ASSISTANT, recorded.assistant)):
        yield from _differences(index, f"{agent}.observation", side.digest, digest(observations[agent]))


def _compare_steps(index: int, recorded: StepRecord, again: StepRecord) -> Iterator[Difference]:
    for agent, before, after in ((USER, recorded.user, again.user), (ASSISTANT, recorded.assistant, again.assistant)):
        for name in SideRecord.__struct_fields__:
            if name not in (*_NOT_COMPARED, "digest"):
                yield from _differences(index, f"{agent}.{name}", getattr(before, name), _plain(getattr(after, name)))
    for name in ("to_move", "public", "events"):
        yield from _differences(index, name, getattr(recorded, name), _plain(getattr(again, name)))
    yield from _differences(index, "outcome", recorded.outcome, _as_told(_plain(again.outcome), recorded.outcome))


def _as_told(outcome: dict[str, float] | None, recorded: Mapping[str, float] | None) -> dict[str, float] | None:
    """Return an outcome without the fields that are younger than the record."""
    if outcome is None or recorded is None:
        return outcome
    return {name: amount for name, amount in outcome.items() if name in recorded or name not in _ADDED_LATER}


def _compare_end(episode: Episode, ended: str, *, violation: bool) -> Iterator[Difference]:
    yield from _differences(None, "ended", episode.ended, ended)
    yield from _differences(None, "violation", episode.violation, violation)


def _compare_last(episode: Episode, env: GameEnv) -> Iterator[Difference]:
    """Compare how the record stops: only an episode that broke off in an error may stop before its end."""
    if not env.agents and episode.steps:
        return  # the last step was the game's last, too; _compare_end has seen to it
    if episode.ended != "error":
        yield Difference(step=None, field="ended", recorded=episode.ended or "stops", replayed="the episode goes on")
    elif not episode.error:
        yield Difference(step=None, field="error", recorded=_MISSING, replayed="the episode goes on")
    elif episode.error.get("where") == "env.step":
        yield from _compare_failed_step(episode, env)


def _compare_failed_step(episode: Episode, env: GameEnv) -> Iterator[Difference]:
    """Send what was sent in the step that failed: it has to fail in the same way."""
    step = len(episode.steps)
    calls = [episode.failed_call.get(agent) for agent in (USER, ASSISTANT)]
    if not all(isinstance(call, Mapping) and "action" in call for call in calls):
        yield Difference(
            step=step, field="failed_call", recorded=episode.failed_call, replayed="needs both sides' action"
        )
        return
    recorded = f"{episode.error.get('type')}: {one_line(episode.error.get('message', ''))}"
    try:
        env.step({USER: episode.failed_call[USER]["action"], ASSISTANT: episode.failed_call[ASSISTANT]["action"]})
    except _STEP_FAILS as error:
        if _failure(error) != recorded:
            yield Difference(step=step, field="error", recorded=recorded, replayed=_failure(error))
    else:
        yield Difference(step=step, field="error", recorded=recorded, replayed="the step does not fail")


def _differences(step: int | None, field: str, recorded: Any, replayed: Any) -> Iterator[Difference]:
    """Yield the innermost places where two JSON values differ."""
    if isinstance(recorded, Mapping) and isinstance(replayed, Mapping):
        for key in [*recorded, *(key for key in replayed if key not in recorded)]:
            yield from _differences(step, f"{field}.{key}", recorded.get(key, _MISSING), replayed.get(key, _MISSING))
    elif isinstance(recorded, list) and isinstance(replayed, list) and len(recorded) == len(replayed):
        for index, (before, after) in enumerate(zip(recorded, replayed, strict=True)):
            yield from _differences(step, f"{field}[{index}]", before, after)
    elif recorded != replayed or isinstance(recorded, bool) != isinstance(replayed, bool):
        yield Difference(step=step, field=one_line(field), recorded=recorded, replayed=replayed)


_MISSING = "nothing"
_ADDED_LATER = frozenset({"characters"})
"""Fields of an outcome that the first records were made without."""


def _plain(value: Any) -> Any:
    """Return a value as it comes back from a file."""
    try:
        return msgspec.json.decode(msgspec.json.encode(value, enc_hook=_known))
    except UnicodeEncodeError:  # half a character, from a broken tokenizer
        return json.loads(json.dumps(msgspec.to_builtins(value, enc_hook=_known)))


def _known(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value.tolist() if hasattr(value, "tolist") else str(value)


def _failure(error: Exception) -> str:
    return f"{type(error).__name__}: {one_line(error)}"


def _shown(value: Any) -> str:
    text = one_line(value if isinstance(value, str) else repr(value))
    return text if len(text) <= 160 else f"{text[:157]}…"
