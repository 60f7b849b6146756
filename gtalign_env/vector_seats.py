"""Who sits opposite a learner in many games at once.

Users whose personas are kernels are a ``Crowd``, played in arrays. Everybody else is one policy object per game, asked one after
the other: the same play, much slower.
"""

from __future__ import annotations

import abc
import copy
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gtalign_env.crowd import Crowd
from gtalign_env.errors import UsageError
from gtalign_env.finite import FiniteScenario
from gtalign_env.kernels import UserKernel
from gtalign_env.play import type_brought
from gtalign_env.protocols import Persona, Policy, PricingPolicy, Sitter
from gtalign_env.registration import load
from gtalign_env.types import ASSISTANT, USER, Role
from gtalign_env.vector_draws import OneStream
from gtalign_env.vector_engine import Engine, Ints, Pins

__all__ = ["AssistantSeat", "CrowdSeat", "PersonaSeat", "Seat", "seat_assistant", "seat_users"]

_KERNELS = "gtalign_env.agents.users:population_kernels"
_MAKE_POPULATION = "gtalign_env.agents.users:population"
_MAKE_ASSISTANT = "gtalign_env.agents.assistants:make_assistant"


class Seat(abc.ABC):
    """The other chair of every game.

    Args:
        engine: The games.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def check(self, pins: Pins) -> None:  # noqa: B027 - most seats can serve whatever is pinned
        """Raise where what a reset pins cannot be played."""

    @abc.abstractmethod
    def begin(self, games: Ints, rng: np.random.Generator, pins: Pins) -> Ints | None:
        """Seat players for new episodes; return the books (see ``Engine``) that they bring, (n,), ``None`` to have them drawn."""

    @abc.abstractmethod
    def act(self, games: Ints, rng: np.random.Generator) -> Ints:
        """Return moves, (N,); those of other games than ``games`` mean nothing."""

    def follow(self, games: Ints | None) -> None:  # noqa: B027 - most players look for themselves
        """Be told that an exchange was played, in all games or in some."""


class CrowdSeat(Seat):
    """Users drawn from kernels and played in arrays.

    Args:
        engine: The games.
        kernels: One sequence per pricing.
        prices: The pricings, in the same order.
    """

    def __init__(
        self, engine: Engine, kernels: Sequence[Sequence[UserKernel]], prices: Sequence[PricingPolicy]
    ) -> None:
        super().__init__(engine)
        self.crowd = Crowd(kernels, engine.games)
        self._prices = tuple(prices)
        paid = [self._prices[index] for index in self.crowd.pricing]
        self._slots = engine.hold(list(zip(self.crowd.user_types, paid, strict=True)))  # (kinds,)
        self._shares = np.array([kernel.share for kernel in self.crowd.kernels])

    def check(self, pins: Pins) -> None:
        """Raise where no user of the population has the type, or where it was not compiled for the pricing."""
        self._kinds(pins)
        self._price(pins)

    def begin(self, games: Ints, rng: np.random.Generator, pins: Pins) -> Ints:
        """Draw users."""
        pinned = self._price(pins)
        prices = np.full(len(games), pinned) if pinned is not None else rng.integers(len(self._prices), size=len(games))
        kinds = self._kinds(pins)
        if kinds is None:
            self.crowd.reset(rng, games, pricing=prices)
        else:
            self.crowd.reset(rng, games, kind=self._among(kinds, prices, rng))
        slots: Ints = self._slots[self.crowd.kind[games]]
        return slots

    def act(self, games: Ints, rng: np.random.Generator) -> Ints:
        """Let everybody speak."""
        return self.crowd.act(self.engine.public, rng)

    def follow(self, games: Ints | None) -> None:
        """Let users remember."""
        entries = self.engine.entry
        self.crowd.follow(entries if games is None else entries[games], games)

    def _kinds(self, pins: Pins) -> Ints | None:
        """Return the kinds of the pinned type; ``None`` where none is pinned."""
        if "user_type" not in pins:
            return None
        wanted = pins["user_type"]
        found = [index for index, theta in enumerate(self.crowd.user_types) if theta == wanted]
        found = found or [index for index, theta in enumerate(self.crowd.user_types) if theta.name == wanted.name]
        if not found:
            names = ", ".join(dict.fromkeys(theta.name for theta in self.crowd.user_types))
            raise UsageError(
                f"option 'user_type': the population has nobody of the type {wanted.name!r}; it has {names}: "
                "pass users=… when making the env"
            )
        return np.array(found)

    def _price(self, pins: Pins) -> int | None:
        if "pricing" not in pins:
            return None
        if pins["pricing"] not in self._prices:
            names = ", ".join(price.name for price in self._prices)
            raise UsageError(
                f"option 'pricing': this env was made for {names}, got {pins['pricing']!r}: pass pricings=[…] when making it"
            )
        return self._prices.index(pins["pricing"])

    def _among(self, kinds: Ints, prices: Ints, rng: np.random.Generator) -> Ints:
        """Draw one of some kinds for each price, by their shares."""
        drawn = np.empty(len(prices), dtype=np.int64)
        for price in np.unique(prices).tolist():
            there = kinds[self.crowd.pricing[kinds] == price]
            bounds = np.cumsum(self._shares[there])
            at = np.searchsorted(bounds, rng.random(int((prices == price).sum())) * bounds[-1], side="right")
            drawn[prices == price] = there[np.minimum(at, len(there) - 1)]
        return drawn


class _Policies(Seat):
    """One policy object per game.

    Args:
        engine: The games.
        role: Their chair.
    """

    def __init__(self, engine: Engine, role: Role) -> None:
        super().__init__(engine)
        self.role: Role = role
        self.policies: list[Policy | None] = [None] * engine.games
        moves = engine.scenario.moves(role)
        self._wait = moves.index("WAIT") if "WAIT" in moves else 0

    def act(self, games: Ints, rng: np.random.Generator) -> Ints:
        """Ask the players of some games, and show the table to those of them that wait."""
        seen, infos = self._table(games)
        agent = USER if self.role == "user" else ASSISTANT
        moves = np.full(self.engine.games, self._wait, dtype=np.int64)
        for game, observation, info in zip(games.tolist(), seen, infos, strict=True):
            policy = self.policies[game]
            assert policy is not None
            if info.get("to_move", agent) == agent:
                moves[game] = self._checked(policy, policy.act(observation, info))
            elif hasattr(policy, "watch"):
                policy.watch(observation, info)
        return moves

    def _table(self, games: Ints) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """Return observations and infos of some games, as ``GameEnv`` hands them to one player."""
        engine, tables = self.engine, self.engine.tables
        batch = engine.observe((self.role,), tables.width, games)[0]
        pairs = zip(batch["observation"], batch["action_mask"], strict=True)
        seen = [{"observation": vector, "action_mask": mask} for vector, mask in pairs]
        side = 0 if self.role == "user" else 1
        items = engine.items(games, np.zeros(len(games), dtype=np.bool_))[side].tolist()
        names = engine.item_names[side]
        illegal, steps = engine.illegal[side].tolist(), engine.steps.tolist()
        infos: list[dict[str, Any]] = []
        for place, game in enumerate(games.tolist()):
            info: dict[str, Any] = {}
            if steps[game]:
                info = {
                    "payoff": dict(zip(names, items[place], strict=True)),
                    "illegal_move": illegal[game],
                }
            mover = tables.movers[engine.public[game]]
            infos.append(info if mover is None else {"to_move": mover, **info})
        return seen, infos

    def _checked(self, policy: Policy, move: Any) -> int:
        if isinstance(move, np.ndarray) and move.size == 1:
            move = move.reshape(())[()]
        whole = isinstance(move, (int, np.integer)) and not isinstance(move, (bool, np.bool_))
        if not whole or not 0 <= move < self.engine.tables.width:
            raise UsageError(
                f"player {policy.name!r}: expected a move from 0 to {self.engine.tables.width - 1}, got {move!r}"
            )
        return int(move)

    def _sit(self, game: int, policy: Policy, rng: np.random.Generator) -> None:
        if isinstance(policy, Sitter):
            policy.sit(self.engine.scenario, self.role)
        policy.reset(int(rng.integers(2**31)))
        self.policies[game] = policy


class PersonaSeat(_Policies):
    """Personas that are no kernels, one policy object per game.

    Args:
        engine: The games.
        population: Draws a persona.
    """

    def __init__(self, engine: Engine, population: Callable[[np.random.Generator], Persona]) -> None:
        super().__init__(engine, "user")
        self._population = population
        self._prices = engine.pricings or (engine.scenario.pricing,)

    def begin(self, games: Ints, rng: np.random.Generator, pins: Pins) -> Ints:
        """Draw a persona and a type for every game."""
        scenario, books = self.engine.scenario, []
        for game in games.tolist():
            persona = self._population(rng)
            drawn = persona.sample_type(rng)
            brought = type_brought(scenario, drawn)
            own = pins.get("user_type", drawn)
            self._sit(game, persona.policy(own), rng)
            theta = pins.get("user_type", brought)
            price = pins["pricing"] if "pricing" in pins else self._prices[int(rng.integers(len(self._prices)))]
            books.append((scenario.mix.draw(rng) if theta is None else theta, price))
        return self.engine.slots(books)


class AssistantSeat(_Policies):
    """Assistants: one for all games where it needs no memory of single games and says so (``stateless``), else copies.

    Args:
        engine: The games.
        assistant: The policy.
    """

    def __init__(self, engine: Engine, assistant: Policy) -> None:
        super().__init__(engine, "assistant")
        self._shared = getattr(assistant, "stateless", False) is True and hasattr(assistant, "act_batch")
        self._assistant: Any = assistant
        if isinstance(assistant, Sitter):  # before it is copied: what it works out in its chair is worked out once
            assistant.sit(engine.scenario, "assistant")

    def begin(self, games: Ints, rng: np.random.Generator, pins: Pins) -> None:
        """Give every game a policy of its own, and begin."""
        for game in games.tolist():
            policy = self._assistant if self._shared else self.policies[game] or _twin(self._assistant)
            self._sit(game, policy, rng)

    def act(self, games: Ints, rng: np.random.Generator) -> Ints:
        """Ask: in one call where one policy serves all games."""
        if not self._shared or self.engine.tables.turns:
            return super().act(games, rng)
        moves = np.zeros(self.engine.games, dtype=np.int64)
        found = self._assistant.act_batch(*self._table(games))
        moves[games] = [self._checked(self._assistant, move) for move in found]
        return moves


def seat_users(scenario: FiniteScenario, users: Any, games: int, prices: Sequence[PricingPolicy]) -> Seat:
    """Return the users' chair: a crowd where every persona is a kernel, else one policy object per game.

    Args:
        scenario: The game.
        users: Anything that ``population`` takes.
        games: N.
        prices: Prices of which each episode draws one; the scenario's own when empty.

    Raises:
        UsageError: There is no such population, or a persona cannot play this game.
    """
    population = load(_MAKE_POPULATION)(users)
    paid = prices or (scenario.pricing,)
    try:
        kernels = [load(_KERNELS)(population, scenario, price) for price in paid]
    except UsageError:
        return PersonaSeat(Engine(scenario, games, OneStream(games), ("user", "assistant"), prices), population)
    return CrowdSeat(Engine(scenario, games, OneStream(games), ("assistant",), prices), kernels, paid)


def seat_assistant(
    scenario: FiniteScenario, assistant: Any, games: int, prices: Sequence[PricingPolicy]
) -> AssistantSeat:
    """Return the assistants' chair (see ``seat_users``).

    Raises:
        UsageError: There is no such assistant.
    """
    if not isinstance(assistant, Policy) or isinstance(assistant, type):
        assistant = load(_MAKE_ASSISTANT)("heuristic" if assistant is None else assistant)
    return AssistantSeat(Engine(scenario, games, OneStream(games), ("user", "assistant"), prices), assistant)


def _twin(policy: Policy) -> Policy:
    backend = getattr(policy, "backend", None)
    memo: dict[int, Any] = {} if backend is None else {id(backend): backend}  # an engine is never copied
    try:
        return copy.deepcopy(policy, memo)
    except Exception as error:
        raise UsageError(
            f"player {policy.name!r} cannot be copied for games that are played at once ({type(error).__name__}: {error}): give "
            "the class a __deepcopy__"
        ) from error
