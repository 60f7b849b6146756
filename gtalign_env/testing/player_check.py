"""``check_policy`` and ``check_persona``: do a user's own players keep the rules?"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import functools
import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from gtalign_env.env import GameEnv, parallel_env
from gtalign_env.errors import UsageError
from gtalign_env.play import sit_down
from gtalign_env.protocols import BatchPolicy, Persona, Policy, Watcher
from gtalign_env.testing.compare import difference, leaves, short
from gtalign_env.testing.env_check import run_checks
from gtalign_env.testing.global_state import preserved, snapshot
from gtalign_env.testing.report import Report
from gtalign_env.testing.subject import MAX_STEPS, Judge, Subject, is_text_space, mask_of, may_move
from gtalign_env.types import AGENTS, ASSISTANT, NUMERIC_TYPE_FIELDS, USER, UserType

__all__ = ["check_persona", "check_policy"]

_VIEWS = ("gtalign/Assist-v0", "gtalign/AssistText-v0")
_STREAM = 8  # the kit's own draws, apart from the environment's and the player's
_NUMBER = re.compile(r"\d+(?:\.\d+)?")


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Seat:
    """A game, and who sits down at it."""

    game: Subject
    enter: Callable[[int], tuple[Any, dict[str, Any]]]
    """From an episode's seed: a fresh player, and the reset options that go with it."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Turn:
    """One question to the player, and its answer; what it was shown is kept as it was."""

    where: str
    seen: tuple[Any, Any]
    after: tuple[Any, Any]
    mask: Any
    space: Any
    action: Any


class _Table(Judge):
    """A player under test in one chair; whoever sits opposite plays any legal move.

    Args:
        seats: The games to play.
        agent: The player's chair.
        seeds: One episode each.
        persona: The persona under test, where there is one.
    """

    def __init__(self, seats: Sequence[_Seat], agent: str, seeds: Sequence[int], persona: Any = None) -> None:
        self.seats = tuple(seats)
        self.agent = agent
        self.seeds = tuple(seeds)
        self.persona = persona

    def sittings(self) -> Iterator[tuple[_Seat, int]]:
        """Yield every game with every seed."""
        for seat in self.seats:
            for seed in self.seeds:
                yield seat, seed

    def turns(self, seat: _Seat, seed: int, *, player: Any = None, batched: bool = False) -> Iterator[_Turn]:
        """Play an episode, yielding every turn of the player under test before its action is carried out."""
        entered, options = seat.enter(seed)
        player = entered if player is None else player
        game, env = seat.game, seat.game.make()
        rng = np.random.default_rng([seed, _STREAM])
        frame = game.reset(env, seed, options)
        if isinstance(env, GameEnv):
            sit_down(player, env, self.agent)
        player.reset(seed)
        while env.agents and frame.index < MAX_STEPS:
            actions = game.choose(env, frame, rng)
            if may_move(frame, self.agent):
                seen = frame.observations[self.agent], frame.infos[self.agent]
                kept = copy.deepcopy(seen)
                action = player.act_batch([seen[0]], [seen[1]])[0] if batched else player.act(*seen)
                yield _Turn(
                    where=f"{game.name}, seed {seed}, step {frame.index + 1}",
                    seen=kept,
                    after=seen,
                    mask=mask_of(frame, self.agent),
                    space=env.action_space(self.agent),
                    action=copy.deepcopy(action),
                )
                actions[self.agent] = action
            elif isinstance(player, Watcher):
                player.watch(*copy.deepcopy((frame.observations[self.agent], frame.infos[self.agent])))
            frame = game.step(env, frame, actions)

    def played(self, seat: _Seat, seed: int, **how: Any) -> list[Any]:
        """Play an episode and return the player's actions."""
        return [turn.action for turn in self.turns(seat, seed, **how)]


def check_policy(
    policy_fn: Callable[[], Policy],
    env_fn: Callable[..., Any],
    *,
    agent: str = ASSISTANT,
    episodes: int = 3,
    seed: int = 0,
    collect: bool = False,
) -> Report:
    """Check a player: legal actions, the same ones for the same seed, nothing changed that it was shown.

    Args:
        policy_fn: Makes a fresh player.
        env_fn: Makes the parallel environment that it is to play; the other chair plays any legal move.
        agent: The player's chair.
        episodes: How many episodes each check plays.
        seed: Everything random in the kit follows from it.
        collect: Run all checks and return a report of every failure, instead of raising at the first.

    Raises:
        ConformanceError: A check failed (not with ``collect=True``).
        UsageError: ``policy_fn`` is no function, or there is no such agent.

    Example:
        >>> from gtalign_env.testing.fakes import GenericEnv, ScriptedPolicy
        >>> check_policy(lambda: ScriptedPolicy([0, 1]), GenericEnv).ok
        True
    """
    if not callable(policy_fn):
        raise UsageError(f"check_policy: expected a function that makes a policy, got {short(policy_fn)}")
    if agent not in AGENTS:
        raise UsageError(f"check_policy agent: expected {USER!r} or {ASSISTANT!r}, got {agent!r}")
    game = Subject(env_fn, seed=seed, episodes=episodes)
    table = _Table([_Seat(game=game, enter=lambda _: (policy_fn(), {}))], agent, game.seeds)
    name = str(getattr(policy_fn(), "name", "policy"))
    return run_checks(table, (player_protocol, *_PLAYING, batches), name=name, collect=collect)


def check_persona(
    persona: Persona,
    *,
    env_fns: Sequence[Callable[..., Any]] = (),
    episodes: int = 3,
    seed: int = 0,
    collect: bool = False,
) -> Report:
    """Check a persona: its types, and that its players make legal moves and keep θ to themselves.

    Args:
        persona: The persona.
        env_fns: Make the environments that it is to play in; both views of ``assist`` when empty.
        episodes: How many episodes each check plays in each environment.
        seed: Everything random in the kit follows from it.
        collect: Run all checks and return a report of every failure, instead of raising at the first.

    Raises:
        ConformanceError: A check failed (not with ``collect=True``).

    Example:
        >>> from gtalign_env.testing.fakes import GenericEnv, ScriptedPolicy
        >>> class Steady:
        ...     name, description = "steady", "Always orders the same."
        ...     def sample_type(self, rng):
        ...         return UserType(ideal_tokens=float(rng.integers(50, 90)))
        ...     def policy(self, user_type):
        ...         return ScriptedPolicy([0])
        >>> check_persona(Steady(), env_fns=[GenericEnv]).ok
        True
    """

    def enter(episode: int) -> tuple[Any, dict[str, Any]]:
        user_type = persona.sample_type(np.random.default_rng(episode))
        return persona.policy(user_type), {"user_type": None if user_type is None else dataclasses.asdict(user_type)}

    games = [Subject(fn, seed=seed, episodes=episodes) for fn in env_fns or map(_view, _VIEWS)]
    table = _Table([_Seat(game=game, enter=enter) for game in games], USER, games[0].seeds, persona)
    checks = (persona_protocol, user_types, player_protocol, *_PLAYING, keeps_theta)
    return run_checks(table, checks, name=str(getattr(persona, "name", "persona")), collect=collect)


def _view(id: str) -> Callable[..., Any]:
    return functools.partial(parallel_env, id)


# -- the checks ---------------------------------------------------------------------------------------------------


def persona_protocol(table: _Table) -> None:
    """The persona has what ``gtalign_env.protocols.Persona`` asks for."""
    if not isinstance(table.persona, Persona):
        expected = "name, description, sample_type(rng) and policy(user_type)"
        came = f"{type(table.persona).__name__} without {_missing(table.persona, Persona)}"
        table.fail(expected=expected, came=came, cure="add what is missing")
    for word in ("name", "description"):
        if not isinstance(getattr(table.persona, word), str) or not getattr(table.persona, word).strip():
            cure = "lists and records show it"
            table.fail(expected=f"{word} to be some text", came=short(getattr(table.persona, word)), cure=cure)


def user_types(table: _Table) -> None:
    """``sample_type`` returns valid types or ``None``, and draws from the generator it is given and nothing else."""
    with _untouched(table, "sample_type()"):
        for seed in range(20):
            first, again = (table.persona.sample_type(np.random.default_rng(seed)) for _ in range(2))
            if not isinstance(first, UserType | None):
                table.fail(
                    expected="sample_type() to return a UserType, or None to leave the draw to the scenario",
                    came=short(first),
                    cure="build one from θ's fields",
                )
            expected = "sample_type() to give equal types for equal generators"
            table.same(first, again, expected=expected, cure="draw from the generator that is passed in")


def player_protocol(table: _Table) -> None:
    """The player has a name, ``reset(seed)`` and ``act(observation, info)``."""
    player, _ = table.seats[0].enter(table.seeds[0])
    if not isinstance(player, Policy) or not isinstance(player.name, str) or not player.name:
        came = f"{type(player).__name__} without {_missing(player, Policy) or 'a name that is some text'}"
        table.fail(expected="a player with name, reset(seed) and act(observation, info)", came=came, cure="add it")


def legal_actions(table: _Table) -> None:
    """Every action lies in the action space, and the mask allows it."""
    for seat, seed in table.sittings():
        for turn in table.turns(seat, seed):
            move, text_view = turn.action, is_text_space(turn.space)
            if text_view and isinstance(move, str):
                continue
            if not turn.space.contains(move):
                kind = "{'move': int, 'text': str} or a string" if text_view else f"an action in {turn.space}"
                came = f"{turn.where}: {short(move)} ({type(move).__name__})"
                table.fail(expected=kind, came=came, cure="return a plain int that indexes the player's moves")
            index = int(move["move"] if text_view else move) if text_view or turn.mask is not None else 0
            if turn.mask is not None and not turn.mask[index]:
                came = f"{turn.where}: move {index}, mask {np.asarray(turn.mask).tolist()}"
                cure = "choose among np.flatnonzero(observation['action_mask'])"
                table.fail(expected="a move that the action mask allows", came=came, cure=cure)


def deterministic(table: _Table) -> None:
    """The same seed and the same game give the same actions, from a fresh player and from one that is reset."""
    cure = "draw from a generator made in reset(seed), and forget everything there"
    for seat, seed in table.sittings():
        player, _ = seat.enter(seed)
        first = table.played(seat, seed, player=player)
        for other, how in ((None, "a fresh player"), (player, "the same player after reset()")):
            again = table.played(seat, seed, player=other)
            table.same(first, again, expected=f"the same actions for the same seed from {how}", cure=cure)


def reads_only(table: _Table) -> None:
    """What the player is shown stays as it was."""
    for seat, seed in table.sittings():
        for turn in table.turns(seat, seed):
            expected, cure = "observation and info to be left as they are", "copy what you want to change"
            table.same(turn.seen, turn.after, expected=expected, cure=cure, where=turn.where)


def global_state(table: _Table) -> None:
    """Playing prints nothing and leaves the global random state alone."""
    with _untouched(table, "playing"):
        for seat, seed in table.sittings():
            table.played(seat, seed)


def batches(table: _Table) -> None:
    """``act_batch`` agrees with ``act`` on one game, and answers for each of several."""
    seat = table.seats[0]
    if not isinstance(seat.enter(table.seeds[0])[0], BatchPolicy):
        table.skip("the player has no act_batch")
    for seat, seed in table.sittings():
        one, many = table.played(seat, seed), table.played(seat, seed, batched=True)
        cure = "let act() call act_batch() with one game, or the other way round"
        table.same(one, many, expected="act_batch([observation], [info]) to agree with act()", cure=cure)
        player, _ = seat.enter(seed)
        env = seat.game.make()
        if isinstance(env, GameEnv):
            sit_down(player, env, table.agent)
        turn = next(table.turns(seat, seed))
        player.reset(seed)
        actions = player.act_batch(
            [copy.deepcopy(turn.seen[0]) for _ in range(3)], [dict(turn.seen[1]) for _ in range(3)]
        )
        if not isinstance(actions, list) or len(actions) != 3:
            table.fail(expected="act_batch() of 3 games to return a list of 3 actions", came=short(actions), cure=cure)


def keeps_theta(table: _Table) -> None:
    """In the text view no utterance names a field of θ or tells one of its numbers."""
    spoken = False
    for seat, seed in table.sittings():
        user_type = table.persona.sample_type(np.random.default_rng(seed))
        if user_type is None:
            table.skip("the persona has no θ of its own")
        numbers = {name: getattr(user_type, name) for name in NUMERIC_TYPE_FIELDS}
        for turn in table.turns(seat, seed):
            text = turn.action.get("text", "") if isinstance(turn.action, Mapping) else turn.action
            if not isinstance(text, str):
                continue
            spoken = True
            leak = _leak(text, numbers, turn.seen)
            if leak:
                came, cure = f"{turn.where}: {leak} in {short(text)}", "say what a person would say, not the parameter"
                table.fail(expected="utterances that keep θ private", came=came, cure=cure)
    if not spoken:
        table.skip("the persona says nothing in these games")


def _leak(text: str, numbers: Mapping[str, float], seen: Any) -> str:
    """Return which of θ's fields a text gives away; numbers that the game itself put on the table do not count."""
    for name in numbers:
        if "_" in name and re.search(rf"\b{name}\b", text):
            return f"the field name {name!r}"
    known = {number for _, leaf in leaves(seen) for number in _NUMBER.findall(str(leaf))}
    for said in set(_NUMBER.findall(text)) - known:
        for name, number in numbers.items():
            if float(said) == number and number not in range(11):
                return f"the value {said} of {name!r}"
    return ""


_PLAYING = (legal_actions, deterministic, reads_only, global_state)


@contextlib.contextmanager
def _untouched(table: _Table, what: str) -> Iterator[None]:
    out = io.StringIO()
    with preserved(), contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        before = snapshot()
        yield
        changed = difference(before, snapshot())
    if changed:
        cure = "draw from a generator of your own"
        table.fail(expected=f"{what} to leave the global random state alone", came="a change", cure=cure)
    if out.getvalue():
        table.fail(expected=f"{what} to print nothing", came=short(out.getvalue()), cure="use the logging module")


def _missing(thing: Any, protocol: type) -> str:
    names = sorted(name for name in (*protocol.__annotations__, *vars(protocol)) if not name.startswith("_"))
    return ", ".join(name for name in names if not hasattr(thing, name))
