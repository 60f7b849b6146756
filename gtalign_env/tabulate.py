"""From two small functions to a user kernel: what a user does by what it remembers, and what it remembers of an exchange.

Writing ``UserKernel``'s arrays by hand takes knowledge of tables, acts and branches. ``tabulate`` asks the functions about
everything that may come up instead, and finds out for itself how many memories there are.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Hashable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gtalign_env.errors import UsageError
from gtalign_env.kernels import UserKernel, minimal
from gtalign_env.types import UserType

if TYPE_CHECKING:
    from gtalign_env.finite import FiniteScenario
    from gtalign_env.protocols import PricingPolicy

__all__ = ["Exchange", "Situation", "checked_chances", "tabulate"]

Remember = Callable[[Any, "Exchange"], Hashable]
_TOLERANCE = 1e-9
"""By how much chances may miss a sum of 1."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Situation:
    """What a user sees when it is about to speak, but for what has been said before."""

    state: int
    """The public state."""
    public: Mapping[str, str]
    """Its coordinates by name, as in ``GameTables.axes``."""
    legal: tuple[str, ...]
    """The names of the user's legal moves."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Exchange:
    """What a user knows of an exchange when it is about to speak again."""

    before: Situation
    after: Situation
    user: tuple[str, ...]
    """What it said: the moves that the rules treat alike, one of which it was; none where it made no move."""
    assistant: tuple[str, ...]
    """What the assistant did, likewise."""
    assistant_act: int
    """The same as an index of the tables."""
    quality: float
    """Quality of the reply, to the precision of observations."""
    items: Mapping[str, float]
    """The user's own payoff items, utils."""


def tabulate(
    name: str,
    scenario: FiniteScenario,
    chances: Callable[[Any, Situation], Mapping[str, float]],
    remember: Remember = lambda memory, exchange: memory,
    *,
    start: Hashable = None,
    user_type: UserType,
    pricing: PricingPolicy | None = None,
    share: float = 1.0,
    limit: int = 1_000,
) -> UserKernel:
    """Return a user kernel that does what two functions say; memories that make no difference are merged.

    The functions must depend on what they are given alone. What they cannot meet, they are not asked about.

    Args:
        name: What the kind of user is called.
        scenario: The game.
        chances: From a memory and a situation to the chance of each move, by its name; moves that are left out have none.
        remember: From a memory and an exchange to the memory that follows. Memories are numbers, words, tuples: anything that
            hashes. It remembers nothing by default.
        start: The memory before the first exchange.
        user_type: θ.
        pricing: What the user pays; the scenario's own when ``None``.
        share: Its share of the population.
        limit: Memories at most.

    Raises:
        UsageError: Chances are none or those of illegal moves, or there are more memories than ``limit``.

    Example:
        Somebody who does what was done to it, in a repeated game:

        >>> from gtalign_env.registration import make_scenario
        >>> game = make_scenario("gtalign/PrisonersDilemma-v0", rounds=3)
        >>> mirror = tabulate("mirror", game, chances=lambda last, now: {last: 1.0},
        ...     remember=lambda last, exchange: (exchange.assistant or exchange.user)[0],
        ...     start="cooperate", user_type=game.mix.types[0])
        >>> mirror.memories, mirror.moves[mirror.start, 0].tolist()
        (2, [1.0, 0.0])
    """
    made = _Tabulated(name, scenario, user_type, scenario.pricing if pricing is None else pricing, limit)
    made.run(chances, remember, start)
    return minimal(made.kernel(share), scenario.tables)


def checked_chances(who: str, chances: Any, names: tuple[str, ...]) -> NDArray[np.float64]:
    """Return the chance of each move in the order of the names.

    Args:
        who: Whose chances and where, for messages.
        chances: The chance of each move by its name, or by a move that has a ``name``.
        names: The moves that may be made.

    Raises:
        UsageError: They are no chances, do not sum to 1, or belong to other moves.

    Example:
        >>> checked_chances("somebody", {"b": 1.0}, ("a", "b")).tolist()
        [0.0, 1.0]
    """
    if not isinstance(chances, Mapping):
        raise UsageError(f"{who}: expected the chance of each move as a dict, got {chances!r}")
    found = np.zeros(len(names))
    for move, chance in chances.items():
        called = move if isinstance(move, str) else getattr(move, "name", move)
        if called not in names:
            raise UsageError(f"{who}: {called!r} is none of the moves that may be made there: {', '.join(names)}")
        if not isinstance(chance, (int, float, np.number)) or not 0.0 <= float(chance) <= 1.0 + _TOLERANCE:
            raise UsageError(f"{who}: expected a chance from 0 to 1 of {called!r}, got {chance!r}")
        found[names.index(called)] += float(chance)
    if abs(found.sum() - 1.0) > _TOLERANCE:
        raise UsageError(
            f"{who}: expected chances that sum to 1, got {dict(chances)!r}, which sum to {found.sum():.9g}"
        )
    found /= found.sum()
    return found


class _Tabulated:
    """The arrays of a kernel as they fill up, from the start on."""

    def __init__(
        self, name: str, scenario: FiniteScenario, user_type: UserType, pricing: PricingPolicy, limit: int
    ) -> None:
        tables = scenario.tables
        self.name, self.tables, self.user_type, self.limit = name, tables, user_type, limit
        self.utils = scenario.payoff_tables(user_type, pricing)
        self.quality = np.asarray(tables.outcome.quality, dtype=np.float32)  # as observations have it
        self.situations = [
            Situation(
                state=state,
                public=tables.coordinates(state),
                legal=tuple(move for move, ok in zip(tables.user_moves, tables.user_mask[state], strict=True) if ok),
            )
            for state in range(tables.terminal)
        ]
        self.goes_on = (tables.probability > 0.0) & (tables.next_state != tables.terminal)
        self.goes_on[tables.terminal] = False
        self._named = tuple(
            [tuple(move for move, its in zip(moves, acts, strict=False) if its == act) for act in range(count)]
            for moves, acts, count in (
                (tables.user_moves, tables.user_act, tables.next_state.shape[1]),
                (tables.assistant_moves, tables.assistant_act, tables.next_state.shape[2]),
            )
        )
        self._exchanges: dict[tuple[int, int], list[tuple[Exchange, list[tuple[int, int]]]]] = {}
        self.memories: dict[Hashable, int] = {}
        self.rows: dict[tuple[int, int], NDArray[np.float64]] = {}
        """The chances of the moves by memory and state."""
        self.after: dict[tuple[int, int, int], list[tuple[int, int, int]]] = {}
        """By memory, state and user act: assistant act, branch, and the memory that follows."""

    def run(
        self, chances: Callable[[Any, Situation], Mapping[str, float]], remember: Remember, start: Hashable
    ) -> None:
        """Ask about all that may come up."""
        tables = self.tables
        opening = tables.initial > 0.0
        led_to = tables.next_state[self.goes_on]
        opening[np.setdiff1d(np.arange(tables.terminal), led_to)] = True  # a task may be pinned there
        first = self._number(start)
        waiting = [(start, first, int(state)) for state in np.flatnonzero(opening[: tables.terminal])]
        met = {(first, state) for _, _, state in waiting}
        while waiting:
            memory, number, state = waiting.pop()
            where = f"user kernel {self.name!r}: chances with the memory {memory!r} in {dict(self.situations[state].public)}"
            legal = self.situations[state].legal
            row = np.zeros(len(tables.user_moves))
            row[tables.user_mask[state] == 1] = checked_chances(where, chances(memory, self.situations[state]), legal)
            self.rows[number, state] = row
            for act in np.unique(tables.user_act[:-1][row > 0.0]).tolist():
                cells = self.after[number, state, act] = []
                for exchange, entries in self._of(state, act):
                    following = remember(memory, exchange)
                    to = self._number(following)
                    cells += [(a, b, to) for a, b in entries]
                    if (to, exchange.after.state) not in met:
                        met.add((to, exchange.after.state))
                        waiting.append((following, to, exchange.after.state))

    def _number(self, memory: Hashable) -> int:
        try:
            number = self.memories.setdefault(memory, len(self.memories))
        except TypeError:
            raise UsageError(
                f"user kernel {self.name!r}: expected a memory that can be compared, such as a number, a word or a tuple, got "
                f"{memory!r}"
            ) from None
        if number >= self.limit:
            raise UsageError(
                f"user kernel {self.name!r}: more than {self.limit:,} memories (the last one is {memory!r}): let it remember "
                "less, count up to a limit only, and round numbers; or raise 'limit'"
            )
        return number

    def _of(self, state: int, act: int) -> list[tuple[Exchange, list[tuple[int, int]]]]:
        """Return what may happen after a user's act, as the user knows it, each with its entries (assistant act, branch)."""
        if (state, act) not in self._exchanges:
            found: dict[tuple[Any, ...], tuple[Exchange, list[tuple[int, int]]]] = {}
            for a, b, exchange in self._possible(state, act):
                key = (a, exchange.after.state, exchange.quality, *exchange.items.values())
                found.setdefault(key, (exchange, []))[1].append((a, b))
            self._exchanges[state, act] = list(found.values())
        return self._exchanges[state, act]

    def _possible(self, state: int, act: int) -> Iterator[tuple[int, int, Exchange]]:
        for a, b in np.argwhere(self.goes_on[state, act]).tolist():
            at = (state, act, a, b)
            yield (
                a,
                b,
                Exchange(
                    before=self.situations[state],
                    after=self.situations[int(self.tables.next_state[at])],
                    user=self._named[0][act],
                    assistant=self._named[1][a],
                    assistant_act=a,
                    quality=float(self.quality[at]),
                    items=dict(zip(self.utils.user_items, self.utils.user[at].tolist(), strict=True)),
                ),
            )

    def kernel(self, share: float) -> UserKernel:
        """Return the kernel; where it can never be, anything legal is as likely."""
        tables = self.tables
        any_legal = tables.user_mask / np.maximum(tables.user_mask.sum(axis=1, keepdims=True), 1)
        moves = np.repeat(any_legal[None], len(self.memories), axis=0)
        follow = np.zeros((len(self.memories), *tables.next_state.shape), dtype=np.int16)
        for at, row in self.rows.items():
            moves[at] = row
        for (memory, state, act), cells in self.after.items():
            for a, b, to in cells:
                follow[memory, state, act, a, b] = to
        return UserKernel(name=self.name, user_type=self.user_type, share=share, moves=moves, follow=follow)
