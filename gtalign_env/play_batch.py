"""Many games at once: what all of them want from a model goes to it in one call.

Every game is played by ``play.play_episode`` itself, in a thread and with players of its own; only the calls of engines are
gathered (``gather.Desk``). So an episode is the same as when it is played alone, whatever its players are: a reply, a
reasoning chain with several stages and retries, a user with a model's voice.
"""

from __future__ import annotations

import copy
import functools
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from gtalign_env.env import GameEnv
from gtalign_env.episode import Episode
from gtalign_env.errors import UsageError
from gtalign_env.gather import Desk, GatheredBackend, GatheredPolicy
from gtalign_env.play import play_episode
from gtalign_env.protocols import Backend, BatchPolicy, Persona, Policy
from gtalign_env.types import UserType

__all__ = ["SeatedPersona", "is_batched", "play_batch", "seated"]

Users = Persona | Callable[[np.random.Generator], Persona]


def is_batched(player: Any) -> bool:
    """Return whether playing many games at once makes a player quicker.

    So it is with players (and personas) that have a ``backend``, and with those whose ``act_batch`` needs no memory of
    single games, which say so by ``stateless = True``.

    Example:
        >>> from gtalign_env.agents.assistants import make_assistant
        >>> is_batched(make_assistant("fake:rules")), is_batched(make_assistant("heuristic"))
        (True, False)
    """
    return isinstance(getattr(player, "backend", None), Backend) or _is_shared(player)


def _is_shared(player: Any) -> bool:
    return getattr(player, "stateless", False) is True and isinstance(player, BatchPolicy)


def play_batch(
    make_env: Callable[[], GameEnv],
    users: Users,
    assistant: Policy,
    seeds: Iterable[int],
    *,
    games: int = 64,
    patience: float = 0.25,
    reset_options: Mapping[str, Any] | None = None,
) -> Generator[Episode]:
    """Play episodes many at a time, and yield each record as it is finished.

    A game that fails ends in its own typed error, and one that is slow is waited for no longer than ``patience``; neither
    stops the others. Closing the iterator, or Ctrl-C, abandons the games that are not finished.

    Args:
        make_env: Makes an environment; called once for each game on the table.
        users: A persona, or a function that draws one from a generator.
        assistant: The policy in the assistant's chair. Each game has a copy of it; copies share its ``backend``.
        seeds: One for each episode, read as games become free. Equal seeds make the episodes of ``play_episode``.
        games: How many are played at once, at most (>= 1); as many records are in memory.
        patience: Seconds for which nothing has to happen before the engine is asked without the games that still think.
        reset_options: Passed to every ``reset``.

    Yields:
        The records in the order in which they are finished.

    Raises:
        UsageError: ``games`` is no number >= 1, or the assistant cannot be copied.

    Example:
        >>> from gtalign_env import parallel_env
        >>> from gtalign_env.agents.assistants import make_assistant
        >>> from gtalign_env.agents.users import population
        >>> played = play_batch(lambda: parallel_env("assist_text"), population(), make_assistant("fake:rules"), range(3))
        >>> sorted(episode.seed for episode in played)
        [0, 1, 2]
    """
    if isinstance(games, bool) or not isinstance(games, int) or games < 1:
        raise UsageError(f"games: expected an integer >= 1, got {games!r}")
    left = iter(seeds)
    first = [seed for _, seed in zip(range(games), left, strict=False)]
    desk: Desk[Episode] = Desk(patience=patience)
    options = dict(reset_options or {})
    tables = [_Table(make_env(), users, assistant, desk, number, options) for number in range(len(first))]
    shared = _Shared(left)
    return desk.run([_sitting(table, seed, shared) for table, seed in zip(tables, first, strict=True)])


class _Table:
    """One game's place: an environment and an assistant of its own."""

    def __init__(
        self, env: GameEnv, users: Users, assistant: Policy, desk: Desk[Episode], number: int, options: dict[str, Any]
    ) -> None:
        self.env = env
        self.options = options
        self._users = users
        self._seat = functools.partial(seated, desk=desk, number=number)
        self.assistant = self._seat(_copied(assistant) if not _is_shared(assistant) else assistant)

    def play(self, seed: int) -> Episode:
        """Play one episode."""
        return play_episode(self.env, self._draw, self.assistant, seed=seed, reset_options=self.options)

    def _draw(self, rng: np.random.Generator) -> Persona:
        persona = self._users if isinstance(self._users, Persona) else self._users(rng)
        return SeatedPersona(persona, self._seat)


def seated(player: Policy, desk: Desk[Any], number: int) -> Policy:
    """Return a player with its calls of an engine going over the desk; one that asks none as it is.

    Args:
        player: A copy for this game alone, unless it is shared by all of them.
        desk: Where the games meet.
        number: Of the game.
    """
    if _is_shared(player):
        return GatheredPolicy(player, desk, number)  # type: ignore[arg-type]
    backend = getattr(player, "backend", None)
    if isinstance(backend, Backend):
        player.backend = GatheredBackend(backend, desk, number)  # type: ignore[attr-defined]
    return player


class SeatedPersona:
    """A persona whose players ask their engine over the desk."""

    def __init__(self, persona: Persona, seat: Callable[[Policy], Policy]) -> None:
        self.name = persona.name
        self.description = persona.description
        self._persona = persona
        self._seat = seat

    def sample_type(self, rng: Any) -> UserType | None:
        """Draw a type."""
        return self._persona.sample_type(rng)

    def policy(self, user_type: Any) -> Policy:
        """Return a fresh player."""
        return self._seat(self._persona.policy(user_type))


class _Shared:
    """The seeds that are left, for whichever game is free; iterators do not like two threads at once."""

    def __init__(self, seeds: Iterator[int]) -> None:
        self._seeds = seeds
        self._lock = threading.Lock()

    def next(self) -> int | None:
        """Return the next seed; ``None`` when there is none."""
        with self._lock:
            return next(self._seeds, None)


def _sitting(table: _Table, seed: int, left: _Shared) -> Callable[[], Iterator[Episode]]:
    """Return the game at one table: its first episode, then others as long as there are any."""

    def episodes() -> Iterator[Episode]:
        following: int | None = seed
        while following is not None:
            yield table.play(following)
            following = left.next()

    return episodes


def _copied(assistant: Policy) -> Policy:
    """Return a copy for one game; an engine is never copied."""
    backend = getattr(assistant, "backend", None)
    try:
        twin = copy.deepcopy(assistant, {} if backend is None else {id(backend): backend})
    except Exception as error:
        raise UsageError(
            f"assistant {assistant.name!r} cannot be copied for games that are played at once "
            f"({type(error).__name__}: {error}): play one game at a time, or give the class a __deepcopy__"
        ) from error
    return twin
