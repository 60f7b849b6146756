"""A finite game's tables laid flat, for many games that are looked up at once.

Everything is read with one index per game. Entries that pay alike share a class (``assist`` has 17,658 entries and 305 classes),
so that payoffs under hundreds of types and prices stay small enough for a processor's cache.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gtalign_env.errors import UsageError
from gtalign_env.finite import FiniteScenario
from gtalign_env.protocols import PricingPolicy
from gtalign_env.types import Outcome, Role, UserType
from gtalign_env.vector_draws import DRAWS

__all__ = ["BUCKETS", "HIGH", "LOW", "BatchTables", "Book", "Lots", "compiled"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Book = tuple[UserType, PricingPolicy]
"""What a payoff depends on beside the entry: a type and a pricing."""

_RULES = ("reset", "step", "observe", "action_mask", "padded_mask", "is_legal", "info")
_RETENTION = "retention"
# Numbers that every step uses are arrays of no dimension: NumPy looks longer, some 0.4 µs, at a number of Python's.
HIGH: Ints = np.array(32)
"""Bits of the lower half of a packed number: two small numbers are looked up in one go."""
LOW: Ints = np.array(2**32 - 1)
"""Masks the lower half."""
BUCKETS = 64
"""Parts into which draws are sorted."""
_LOWER: Ints = np.array(47)
"""Bits of a draw below those that tell its bucket."""
_COUNT: Ints = np.array(48)
"""Where the count begins in the sum of a draw and a code: draw and bound, of one bucket, differ by less than 2**47."""


def compiled(scenario: Any) -> FiniteScenario:
    """Return a scenario that the batched engine can play, as it is.

    Raises:
        UsageError: It is not a compiled game, or a subclass that plays by other rules than its tables.

    Example:
        >>> from gtalign_env.registration import make_scenario
        >>> compiled(make_scenario("matrix")).name
        'matrix'
    """
    if not isinstance(scenario, FiniteScenario):
        raise UsageError(
            f"scenario {scenario.name!r} is not compiled into tables, so it cannot be played in batches: take parallel_env, or "
            "for one chair gymnasium.make_vec(…, vectorization_mode='sync')"
        )
    own = [rule for rule in _RULES if getattr(type(scenario), rule) is not getattr(FiniteScenario, rule)]
    if own:
        raise UsageError(
            f"scenario {scenario.name!r}: {type(scenario).__name__} has a {', '.join(own)} of its own, which the batched engine "
            "does not know: put the rule into the tables, or take parallel_env"
        )
    return scenario


class Lots:
    """Distributions, each drawn from by an integer below 2**53: the outcome is the number of bounds at or below it.

    Draws are sorted into 64 buckets by their highest bits. The bounds in earlier buckets are counted beforehand; only those in
    the draw's own bucket, seldom more than one, are compared.

    Args:
        bounds: (D, B - 1) the chance of each outcome and those before it, without the last; ascending. At most 32,767.

    Example:
        >>> lots = Lots(np.array([[0.25, 0.75], [0.5, 1.0]]))
        >>> draws = np.array([2**53 // 4 - 1, 2**53 // 4, 2**53 - 1])
        >>> lots(draws, np.array([0, 0, BUCKETS])).tolist()
        [0, 1, 1]
    """

    def __init__(self, bounds: Floats) -> None:
        least = np.ceil(np.minimum(bounds, 1.0) * DRAWS).astype(
            np.int64
        )  # the lowest draw at or above the bound: exact
        buckets = least >> _LOWER  # 64 is never reached
        every = np.arange(BUCKETS)
        inside = buckets[..., None] == every  # (D, B - 1, 64)
        rank = np.cumsum(inside, axis=1) - 1
        most = max(1, int(inside.sum(axis=1).max(initial=0)))
        compared = np.tile((every + 1) << _LOWER, (most, len(bounds), 1))  # beyond any draw of the bucket
        for row, column, bucket in np.argwhere(inside):
            compared[rank[row, column, bucket], row, bucket] = least[row, column]
        codes = (1 << _COUNT) - compared
        codes[0] += (buckets[..., None] < every).sum(axis=1) << _COUNT
        self.codes: Ints = codes.reshape(most, len(bounds) * BUCKETS)
        """(most in a bucket, D · 64): with a draw of the bucket added, the bits from 48 up count the bound; in the first row
        those in earlier buckets too."""

    def __call__(self, draws: Ints, first: Ints | int = 0, work: Ints | None = None, out: Ints | None = None) -> Ints:
        """Return outcomes, in the shape of the draws.

        Args:
            draws: Integers from 0 to 2**53 - 1.
            first: Where the buckets of each draw's distribution begin: 64 times its number.
            work: Room for as many numbers.
            out: Where the outcomes are to go; ``first`` will do.
        """
        part = np.right_shift(draws, _LOWER, out=work)
        part += first
        found: Ints = self.codes[0].take(part, out=out, mode="clip")
        found += draws
        found >>= _COUNT
        for codes in self.codes[1:]:
            found += codes.take(part, mode="clip") + draws >> _COUNT
        return found


class BatchTables:
    """Flat tables of one game, for the types and prices in play (``books``).

    Shapes: S public states, W moves of the wider side, U, A, B as in ``GameTables``, C classes of entries, K books, F the length
    of an observation.

    Args:
        scenario: The game.
        roles: Whose observations are needed.

    Example:
        >>> from gtalign_env.registration import make_scenario
        >>> scenario = make_scenario("assist")
        >>> tables = BatchTables(scenario, ("assistant",))
        >>> tables.slots([(theta, scenario.pricing) for theta in scenario.mix.types]).tolist()
        [0, 1, 2, 3]
        >>> tables.classes, tables.payoffs.shape
        (305, (1224, 2))
    """

    def __init__(self, scenario: FiniteScenario, roles: Sequence[Role]) -> None:
        tables = scenario.tables
        self.scenario = scenario
        self.roles = tuple(roles)
        self.moves: dict[Role, int] = {"user": len(tables.user_moves), "assistant": len(tables.assistant_moves)}
        self.width = max(self.moves.values())
        self.states, users, assistants, self.branches = tables.next_state.shape
        self.terminal = tables.terminal
        self._next: Ints = tables.next_state.reshape(-1).astype(np.int64)
        self._live = self._next.size // self.states * self.terminal  # so many entries stand before those of the end
        acts = self._acts("user", tables.user_mask, tables.user_act)  # (S·W,)
        first = np.repeat(np.arange(self.states) * users, self.width)
        self.mask: dict[Role, NDArray[np.int8]] = {
            "user": self._padded(tables.user_mask),
            "assistant": self._padded(tables.assistant_mask),
        }
        """(S, W) each: which moves are legal."""
        self.nowhere = scenario.layout["private"].start
        """Where an observation takes the 1 of a move that was not made: what belongs there is written afterwards."""
        replies = self._acts("assistant", tables.assistant_mask, tables.assistant_act)
        by_user, by_assistant = self._spots()
        self.move: tuple[Ints, Ints] = ((first + acts) * assistants | by_user << HIGH, replies | by_assistant << HIGH)
        """(S·W,) each: what the user's, and the assistant's, move does, by (state, move). The lower half of the number is what it
        adds to the number of the row (state, user act, assistant act), an illegal move being a no-op; the upper half is which
        number of an observation shows it afterwards, ``nowhere`` where it is illegal, and where the game is over."""
        summed = np.cumsum(tables.probability, axis=-1).reshape(-1, self.branches)
        distinct, lot = np.unique(summed, axis=0, return_inverse=True)  # most games have a handful of distributions
        self.lot: Ints = lot.reshape(-1).astype(np.int64) * BUCKETS
        """(rows,): where the buckets of a row's distribution over branches begin, in ``branch``."""
        self.branch = Lots(distinct[:, : self.branches - 1])
        summed = np.cumsum(tables.initial)
        self.openings: Ints = np.flatnonzero(np.diff(summed, prepend=0.0) > 0.0)
        """Public states in which a game may begin."""
        theta, opening = np.cumsum(scenario.mix.shares)[:-1], summed[self.openings[:-1]]
        self.start = Lots(np.array([_lengthened(bounds, max(len(theta), len(opening))) for bounds in (theta, opening)]))
        """Draws one of the mix's types (distribution 0) and one of the openings (1)."""
        self.movers = np.array([mover or None for mover in scenario.to_move] or [None] * self.states, dtype=object)
        """(S,): the agent that is to move, ``None`` where both are."""
        self.turns = any(scenario.to_move)
        self.retains = False
        """Whether the provider gains by retention at the end."""
        self._elementwise: bool | None = None
        self._books: dict[Book, int] = {}
        self._lines: list[Floats] = []
        self._shown: dict[Role, dict[Any, int]] = {"user": {}, "assistant": {}}
        self._looks: dict[Role, list[NDArray[np.float32]]] = {"user": [], "assistant": []}
        self._classify([getattr(tables.outcome, field.name) for field in dataclasses.fields(Outcome)])

    # -- books: types and prices --------------------------------------------------------------------------------------

    @property
    def books(self) -> tuple[Book, ...]:
        """The types and prices in play, in the order of their slots."""
        return tuple(self._books)

    def slots(self, books: Iterable[Book]) -> Ints:
        """Return the slot of each book; new ones are opened.

        ``classes`` may have grown afterwards, where a payoff does not follow from the outcome alone.
        """
        wanted = list(books)
        new = [book for book in dict.fromkeys(wanted) if book not in self._books]
        for book in new:
            self._open(book)
        if new:
            self._bind()
        return np.array([self._books[book] for book in wanted], dtype=np.int64)

    def keep(self, slots: Ints) -> None:
        """Forget all books but these, which become slots 0, 1, … in this order."""
        books = self.books
        self._books, self._lines = {}, []
        self._shown = {"user": {}, "assistant": {}}
        self._looks = {"user": [], "assistant": []}
        self.slots([books[slot] for slot in slots])

    def retention(self, totals: Floats) -> Floats:
        """Return what the provider gains at the end for each of the users' totals, (n,) from (n,)."""
        gain: Callable[[Any], Any] = self.scenario.retention
        if self._elementwise is None:
            self._elementwise = _takes_arrays(gain)
        if self._elementwise:
            gained: Floats = gain(totals)
            return gained
        return np.array([gain(total) for total in totals.tolist()], dtype=np.float64)

    # -- inside -------------------------------------------------------------------------------------------------------

    def _acts(self, role: Role, mask: NDArray[np.int8], acts: NDArray[np.int32]) -> Ints:
        """Return the act of every move in every state, (S·W,): an illegal move is a no-op."""
        found = np.full((self.states, self.width), int(acts[-1]), dtype=np.int64)
        found[:, : self.moves[role]] = np.where(mask == 1, acts[:-1], acts[-1])
        return found.reshape(-1)

    def _padded(self, mask: NDArray[np.int8]) -> NDArray[np.int8]:
        return np.pad(mask, ((0, 0), (0, self.width - mask.shape[1]))).astype(np.int8)

    def _spots(self) -> list[Ints]:
        """Return which number of an observation shows a move, (S·W,), for both players."""
        found = []
        for role, mask in self.mask.items():
            first = self.scenario.layout[f"last_{role}_move"].start
            spots = np.where(mask == 1, np.arange(first, first + self.width), self.nowhere)
            spots[self.terminal] = self.nowhere
            found.append(spots.reshape(-1).astype(np.int64))
        return found

    def _classify(self, columns: Sequence[Any]) -> None:
        """Number the entries so that those with the same outcome and the same way of ending share a class."""
        codes = (self._next[: self._live] == self.terminal).astype(np.int64)
        for column in columns:
            values = np.asarray(column, dtype=np.float64).reshape(-1)[: self._live]
            fresh = np.unique(values, return_inverse=True)[1].reshape(-1)
            codes = np.unique(codes * (fresh.max() + 1) + fresh, return_inverse=True)[1].reshape(-1)
        self._number(codes)

    def _number(self, codes: Ints) -> None:
        """Number the classes anew: those with a violation first, and last that of whatever is done after the end."""
        outcome = self.scenario.tables.outcome
        first = np.unique(codes, return_index=True)[1]
        safe = np.asarray(outcome.violation).reshape(-1)[first] == 0.0
        order = np.argsort(safe, kind="stable")
        self._first: Ints = first[order]
        self.classes = self.nothing = len(first)
        """C, and the number of one more class: that of no exchange, which pays nothing."""
        self.unsafe = int(np.count_nonzero(~safe))
        """So many classes, the first ones, are those of a harmful request that was complied with."""
        self.entry_class: Ints = np.full(len(self._next), self.nothing, dtype=np.int64)
        """(entries,): the class of an entry."""
        self.entry_class[: self._live] = np.argsort(order)[codes]
        following = np.append(self._next[: self._live], np.full(len(self._next) - self._live, self.terminal))
        self.link: Ints = following | self.entry_class << HIGH
        """(entries,): the public state that follows in the lower half, the class in the upper half."""
        self._ends = self._next[self._first] == self.terminal
        self.quality: Floats = np.append(np.asarray(outcome.quality, dtype=np.float64).reshape(-1)[self._first], 0.0)
        """(C + 1,): quality of the reply."""
        self.shown_quality: NDArray[np.complex64] = self.quality.astype(np.complex64)
        """(C + 1,): the same as it is shown, and room for the number beside it."""

    def _open(self, book: Book) -> None:
        ledger = self.scenario.ledger(*book)
        items, codes = ledger.flat[: self._live], self.entry_class[: self._live]
        if not np.array_equal(items[self._first][codes], items):  # payoffs tell more than outcomes
            self._number(np.arange(self._live))
            self._lines = [self._totals(*known) for known in self._books]
        self._books[book] = len(self._lines)
        self._lines.append(self._totals(*book))
        for role, key in (("user", book), ("assistant", book[1])):  # what the assistant sees does not depend on θ
            if role in self.roles and key not in self._shown[role]:
                self._shown[role][key] = len(self._looks[role])
                self._looks[role].append(np.stack(ledger.rows[role]))

    def _totals(self, user_type: UserType, pricing: PricingPolicy) -> Floats:
        """Return both payoffs by class, (C + 1, 2), as a step sums them; where the game ends, without retention."""
        ledger = self.scenario.ledger(user_type, pricing)
        count = len(ledger.payoffs.user_items)
        names = ledger.payoffs.assistant_items
        items = ledger.flat[self._first]
        if _RETENTION in names:
            self.retains = True
            items[self._ends, count + names.index(_RETENTION)] = 0.0
        rows = items.tolist()
        return np.array([*((sum(row[:count]), sum(row[count:])) for row in rows), (0.0, 0.0)], dtype=np.float64)

    def _bind(self) -> None:
        self.payoffs: Floats = np.concatenate(self._lines)
        """(K·(C + 1), 2): the user's payoff and the assistant's."""
        self.pairs: NDArray[np.complex128] = self.payoffs.view(np.complex128).reshape(-1)
        """(K·(C + 1),): the same two as one number, which is looked up in one go."""
        self.seen: NDArray[np.float32] = np.concatenate([look for role in self.roles for look in self._looks[role]])
        """(n·S, F): observations before anything has happened, of one role after the other; ``bases`` tells where."""
        places = []
        first = 0
        for role in self.roles:
            keys = [book if role == "user" else book[1] for book in self._books]
            places.append([(first + self._shown[role][key]) * self.states for key in keys])
            first += len(self._looks[role])
        self.bases: Ints = np.array([[slot * (self.classes + 1) for slot in range(len(self._books))], *places])
        """(1 + roles, K): where in ``payoffs``, and for each role in ``seen``, the rows of each book begin."""
        self.fixed: list[int | None] = [int(row[0]) if (row == row[0]).all() else None for row in self.bases]
        """(1 + roles,): where they begin for all books alike; ``None`` where it depends."""


def _lengthened(bounds: Floats, count: int) -> Floats:
    """Return bounds and, up to a count, others that are never reached."""
    return np.append(bounds, np.ones(count - len(bounds)))


def _takes_arrays(retention: Callable[[Any], Any]) -> bool:
    """Return whether a function that was written for one total gives the same for an array of them."""
    probe = np.array([0.0, 1.0, -1.7, 0.3, 123.456])
    try:
        together = retention(probe.copy())
    except (TypeError, ValueError):
        return False
    return isinstance(together, np.ndarray) and together.tolist() == [retention(total) for total in probe.tolist()]
