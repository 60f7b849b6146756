"""Groups of games: same task, same user, same seed; only the model's own draws differ (common random numbers).

So what differs between the returns of a group is what the model did. Every game is played by ``play.play_episode`` in a thread
of its own, and all of them ask the engine together (``gather.Desk``). A game that fails is played again with other draws; where
it fails for good its whole group is dropped: a failure is no return of 0, and the rest of the group no fair sample of what is
left.
"""

from __future__ import annotations

import collections
import copy
import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from gtalign_env.agents.chain import ChainAssistant
from gtalign_env.env import GameEnv
from gtalign_env.episode import Episode
from gtalign_env.errors import UsageError
from gtalign_env.gather import Desk
from gtalign_env.play import episode_seeds, play_episode
from gtalign_env.play_batch import SeatedPersona, seated
from gtalign_env.protocols import Persona
from gtalign_env.training.llm.trajectory import Turn, chain_failures, turns_of, user_of

__all__ = ["Game", "Group", "Job", "Room", "play_groups", "seeds_of"]

Users = Persona | Callable[[np.random.Generator], Persona]

_PATIENCE = 60.0
"""Seconds of silence after which the engine is asked without the slowest games: long, as a row's last digits depend on its
company, and a run that is repeated should have the same."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Job:
    """One game to be played."""

    seed: int
    """Of the episode: task, user and all that the user does follow from it."""
    draw: int = 0
    """Of the model's own draws."""
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """For ``reset``."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Game:
    """What is learned from one game."""

    turns: list[Turn]
    returns: tuple[float, float]
    """Of user and assistant over the whole episode, utils."""
    user: str
    """The persona."""
    violation: bool = False
    failures: tuple[str, ...] = ()
    """Kinds of failure of its chains, mended ones among them."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Group:
    """Games that differ in nothing but the model's draws."""

    seed: int
    pricing: str = ""
    games: list[Game] = dataclasses.field(default_factory=list)
    """Empty where the group was dropped."""
    errors: Mapping[str, int] = dataclasses.field(default_factory=dict)
    """Games that failed, by the type of failure; those that were played again among them."""
    episodes: list[Episode] = dataclasses.field(default_factory=list)
    """The records, where they were played."""
    failed: list[Episode] = dataclasses.field(default_factory=list)
    """The records of games that failed."""

    @property
    def dropped(self) -> bool:
        """Whether a game of it failed for good."""
        return not self.games


class Room:
    """Tables at which games are played side by side.

    Args:
        make_env: Makes an environment.
        users: A persona, or a function that draws one.
        assistant: Who answers; each game has a copy with draws of its own. Copies share the engine.
        games: Games at once, at most.

    Example:
        >>> from gtalign_env import parallel_env
        >>> from gtalign_env.agents.users import population
        >>> room = Room(lambda: parallel_env("assist_text"), population(), ChainAssistant("fake:chain"), games=2)
        >>> one, other = room.play([Job(seed=5), Job(seed=5, draw=1)])
        >>> one.opening == other.opening, one.players == other.players
        (True, True)
    """

    def __init__(
        self, make_env: Callable[[], GameEnv], users: Users, assistant: ChainAssistant, *, games: int = 128
    ) -> None:
        self.users = users
        self.assistant = assistant
        self.games = games
        self._envs = [make_env()]

    def play(self, jobs: Sequence[Job]) -> list[Episode]:
        """Play games, and return their records in order."""
        count = min(self.games, len(jobs))
        if callable(forget := getattr(self.assistant.backend, "forget", None)):
            forget()  # what an engine remembers from games before would change the last digits
        while len(self._envs) < count:
            self._envs.append(copy.deepcopy(self._envs[0]))
        desk: Desk[tuple[int, Episode]] = Desk(patience=_PATIENCE)
        places = range(len(jobs))
        sittings = [functools.partial(self._sitting, desk, jobs, places[table::count], table) for table in range(count)]
        played = dict(desk.run(sittings))
        return [played[place] for place in places]

    def _sitting(
        self, desk: Desk[tuple[int, Episode]], jobs: Sequence[Job], places: Sequence[int], table: int
    ) -> Iterator[tuple[int, Episode]]:
        """Play the games of one table one after the other."""
        for place in places:
            job = jobs[place]
            assistant = copy.deepcopy(self.assistant)
            assistant.sampling = dataclasses.replace(assistant.sampling, seed=job.draw)
            yield (
                place,
                play_episode(
                    self._envs[table],
                    functools.partial(self._draw, desk, table),
                    seated(assistant, desk, table),
                    seed=job.seed,
                    reset_options=job.options,
                ),
            )

    def _draw(self, desk: Desk[Any], table: int, rng: np.random.Generator) -> Persona:
        persona = self.users if isinstance(self.users, Persona) else self.users(rng)
        return SeatedPersona(persona, functools.partial(seated, desk=desk, number=table))


def seeds_of(seed: int, iteration: int, count: int) -> list[int]:
    """Return the seeds of an iteration's groups.

    Example:
        >>> seeds_of(0, 3, 2) == seeds_of(0, 3, 4)[:2], seeds_of(0, 3, 1) == seeds_of(0, 4, 1)
        (True, False)
    """
    return episode_seeds(int(np.random.SeedSequence([seed, iteration]).generate_state(1)[0]), count)


def play_groups(
    room: Room,
    seeds: Sequence[int],
    size: int,
    *,
    pricings: Sequence[str] = (),
    schema: str = "",
    retries: int = 1,
    version: int = 0,
) -> list[Group]:
    """Play groups of games.

    Args:
        room: Where.
        seeds: One for each group.
        size: Games of a group.
        pricings: Prices of which every group draws one; the game's own when empty.
        schema: What payoff blocks are held to.
        retries: How often a game that failed is played again.
        version: Of the weights.
    """
    made: dict[tuple[int, int], tuple[Game, Episode]] = {}
    errors = [collections.Counter[str]() for _ in seeds]
    failed: list[list[Episode]] = [[] for _ in seeds]
    prices = [_price(seed, pricings) for seed in seeds]
    left = [(group, member) for group in range(len(seeds)) for member in range(size)]
    for attempt in range(retries + 1):
        jobs = [
            Job(seed=seeds[g], draw=m + size * attempt, options={"pricing": prices[g]} if prices[g] else {})
            for g, m in left
        ]
        for (group, member), episode in zip(left, room.play(jobs), strict=True):
            episode.id = f"{group}-{member}-{episode.seed}"
            game = _game(episode, schema, version)
            if isinstance(game, Game):
                made[group, member] = game, episode
            else:
                errors[group][game] += 1
                failed[group].append(episode)
        left = [place for place in left if place not in made]
        if not left:
            break
    lost = {group for group, _ in left}
    groups = []
    for group, seed in enumerate(seeds):
        own = [made[group, member] for member in range(size)] if group not in lost else []
        games, episodes = [game for game, _ in own], [episode for _, episode in own]
        groups.append(
            Group(
                seed=seed,
                pricing=prices[group],
                games=games,
                errors=dict(errors[group]),
                episodes=episodes,
                failed=failed[group],
            )
        )
    return groups


def _price(seed: int, pricings: Sequence[str]) -> str:
    return pricings[int(np.random.default_rng([seed, 2]).integers(len(pricings)))] if pricings else ""


def _game(episode: Episode, schema: str, version: int) -> Game | str:
    """Return what is learned from an episode, or the type of its failure."""
    if episode.ended == "error":
        return episode.error.get("type", "unknown")
    returns = episode.totals()
    if not np.isfinite(returns).all():
        return "not_finite"
    try:
        turns = turns_of(episode, schema=schema, version=version)
    except UsageError:
        return "no_tokens"
    return Game(
        turns=turns,
        returns=returns,
        user=user_of(episode),
        violation=episode.violation,
        failures=tuple(chain_failures(episode)),
    )
