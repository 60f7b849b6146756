"""Many games of one compiled scenario, stepped in arrays: the state of each is a few numbers, and a step is look-ups.

The engine knows games and tables; who plays, when a game begins anew and what is handed out is the business of ``vector``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from gtalign_env.finite import FiniteScenario, FiniteState
from gtalign_env.protocols import PricingPolicy, Step
from gtalign_env.types import Outcome, Payoffs, Role
from gtalign_env.vector_draws import DRAWS, OneStream, OwnStreams
from gtalign_env.vector_tables import BUCKETS, HIGH, LOW, BatchTables, Book

__all__ = ["Engine", "Pins", "squashed"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Pins = Mapping[Literal["user_type", "pricing", "task"], Any]
"""What a reset pins: a ``UserType``, a ``PricingPolicy``, and a ``task`` as ``FiniteScenario.opening`` takes it."""

_ROLES: tuple[Role, ...] = ("user", "assistant")
_START: Ints = np.array([[0], [BUCKETS]])
"""Where the buckets of ``BatchTables.start`` begin: θ's and the opening's."""
_BELOW, _ABOVE = np.array(1.0 - 2e-15), np.array(1.0 + 2e-15)
"""1, and to both sides more than two ways of computing tanh ever differ by."""
_HALF = np.array(0.5, dtype=np.float32)
_FLOOR = -25.0
"""Further down tanh is -1 on every machine."""
_MOST_BOOKS = 256
"""Types and prices from resets that are remembered; beyond them, those that no game plays under are forgotten."""


class Engine:
    """N games, stepped together.

    Args:
        scenario: The game.
        games: N.
        draws: Where chance comes from.
        roles: Whose observations are needed.
        pricings: Prices of which each episode draws one, all alike likely; the scenario's own when empty.

    Attributes:
        public: (N,) the public state of every game.
        slot: (N,) the book (type and pricing) of every game, as ``tables.books`` numbers them.
        total: (N,) the user's payoffs so far.
        entry: (N,) the table entry of the last exchange.
        kind: (N,) its class (``tables.nothing`` before the first).
        mark: (2, N) which number of the N observations, one after the other, shows the user's, and the assistant's, last move;
            that of ``tables.nowhere`` where it was illegal, and before the first.
        illegal: (2, N) where the user's, and the assistant's, last move was not legal.
        finished: (n,) the games that the last ``advance`` ended.

    Example:
        >>> from gtalign_env.registration import make_scenario
        >>> engine = Engine(make_scenario("matrix"), 2, OneStream(2), ("assistant",))
        >>> engine.draws.seed(np.arange(2), [0])
        >>> engine.begin(np.arange(2))
        >>> payoffs, ended = engine.advance(np.array([0, 1]), np.array([0, 0]))
        >>> payoffs.shape, ended.tolist(), engine.steps.tolist()
        ((2, 2), [False, False], [1, 1])
    """

    def __init__(
        self,
        scenario: FiniteScenario,
        games: int,
        draws: OwnStreams | OneStream,
        roles: Sequence[Role],
        pricings: Sequence[PricingPolicy] = (),
    ) -> None:
        self.scenario = scenario
        self.games = games
        self.draws = draws
        self.tables = BatchTables(scenario, roles)
        self.pricings = tuple(pricings)
        prices = self.pricings or (scenario.pricing,)
        self.public: Ints = np.zeros(games, dtype=np.int64)
        self.slot: Ints = np.zeros(games, dtype=np.int64)
        self.total: Floats = np.zeros(games)
        self._clock = 0  # steps played
        self._began: Ints = np.zeros(games, dtype=np.int64)  # (N,): the clock when the episode began
        self.entry: Ints = np.zeros(games, dtype=np.int64)
        self.kind: Ints = np.zeros(games, dtype=np.int64)
        self._rows: Ints = np.arange(games) * scenario.layout.size
        self._nowhere: Ints = self._rows + self.tables.nowhere
        self.mark: Ints = np.stack([self._nowhere, self._nowhere])
        self.illegal: Bools = np.zeros((2, games), dtype=np.bool_)
        self.finished: Ints = np.zeros(0, dtype=np.int64)
        self._idle: Ints | None = None  # games that took no part in the last ``advance``, and are as it left them
        self._held: list[Ints] = []
        usual = [(user_type, price) for price in prices for user_type in scenario.mix.types]
        self._usual = self.hold(usual)  # (prices · types,)
        self._plain: dict[tuple[Role, int], NDArray[np.int8]] = {}
        self._varies: set[tuple[Role, int]] = set()
        # The same as numbers of the tables, for which see ``HIGH``.
        self._width, self._branches, self._terminal, self._elsewhere = (
            np.array(number)
            for number in (self.tables.width, self.tables.branches, self.tables.terminal, self.tables.nowhere)
        )
        # Work space: at these sizes a step is bound by memory, and the same few pages stay in the cache.
        self._work: Ints = np.zeros((3, games), dtype=np.int64)

    # -- playing ------------------------------------------------------------------------------------------------------

    def begin(self, games: Ints, pins: Pins | None = None, slots: Ints | None = None) -> None:
        """Begin episodes: θ and the opening are drawn as ``FiniteScenario.reset`` draws them.

        Args:
            games: Which, as indices (n,).
            pins: What is not drawn.
            slots: The book of each of these games, (n,); drawn when ``None``.
        """
        pins = pins or {}
        tables = self.tables
        drawn = self.draws.several(games, 3 if self.pricings else 2)
        theta, opening = tables.start(drawn[:2], _START)
        public = tables.openings.take(opening, mode="clip")
        if slots is None:
            if self.pricings:
                theta += (drawn[2] / DRAWS * len(self.pricings)).astype(np.int64) * len(self.scenario.mix.types)
            own = self._usual.take(theta, mode="clip")
        else:
            own = slots
        if slots is None and ("user_type" in pins or "pricing" in pins):
            drawn_books = [self.tables.books[slot] for slot in own.tolist()]
            own = self.slots(
                [(pins.get("user_type", user_type), pins.get("pricing", paid)) for user_type, paid in drawn_books]
            )
        if "task" in pins:
            openings = np.zeros(tables.states, dtype=np.int64)
            for state in np.unique(public).tolist():
                openings[state] = self.scenario.opening(pins["task"], state)
            public = openings[public]
        self.public[games] = public
        self.slot[games] = own
        for row, base, fixed in zip(self._base, tables.bases, tables.fixed, strict=True):
            if fixed is None:  # row by row: thrice as quick as all at once
                row[games] = base.take(own)
        if games is not self._idle:  # those that have just waited look like this already
            nowhere = self._nowhere.take(games)
            for mark in self.mark:
                mark[games] = nowhere
            self.kind[games] = tables.nothing
        self._idle = None
        self.total[games] = 0.0
        self._began[games] = self._clock

    def advance(self, user: Ints, assistant: Ints, idle: Ints | None = None) -> tuple[Floats, Bools]:
        """Play one exchange in every game.

        Args:
            user: (N,) the users' moves, each from 0 to W - 1; those that are not legal are no-ops.
            assistant: (N,) the assistants' moves.
            idle: Games that do not take part, as indices: their state must be written anew, or kept by ``advance_some``.

        Returns:
            Payoffs (N, 2), the user's first, and whether the game is over, (N,); both 0 where idle.
        """
        tables = self.tables
        entry, (first, second, third) = self.entry, self._work
        if idle is not None and idle.size:
            self.public[idle] = tables.terminal  # where whatever they do leads to nothing
        np.multiply(self.public, self._width, out=entry)
        tables.move[0].take(np.add(entry, user, out=third), out=first, mode="clip")
        tables.move[1].take(np.add(entry, assistant, out=third), out=second, mode="clip")
        np.add(first, second, out=entry)
        entry &= LOW  # no more than the last row's number: nothing was carried
        for did, mark, illegal in zip((first, second), self.mark, self.illegal, strict=True):
            np.right_shift(did, HIGH, out=mark)
            np.equal(mark, self._elsewhere, out=illegal)
            mark += self._rows
        drawn = self.draws.one(first)
        if tables.branches > 1:
            tables.lot.take(entry, out=second, mode="clip")
            entry *= self._branches
            entry += tables.branch(drawn, second, third, second)
        link = tables.link.take(entry, out=first, mode="clip")
        kind = np.right_shift(link, HIGH, out=self.kind)
        np.bitwise_and(link, LOW, out=self.public)
        pairs = tables.pairs.take(np.add(self._base[0], kind, out=second), mode="clip")
        payoffs: Floats = pairs.view(np.float64).reshape(-1, 2)
        self.total += payoffs[:, 0]
        self._clock += 1
        ended: Bools = self.public == self._terminal
        if idle is not None and idle.size:
            self.draws.unread(idle)
            ended[idle] = False
        self._idle = idle
        self.finished = ended.nonzero()[0]
        if tables.retains:
            pairs.imag[self.finished] += tables.retention(self.total.take(self.finished))
        return payoffs, ended

    @property
    def steps(self) -> Ints:
        """(N,): steps since the episode began; a new array."""
        return self._clock - self._began

    def advance_some(self, games: Bools, user: Ints, assistant: Ints) -> tuple[Floats, Bools]:
        """Play one exchange in some of the games, and leave the others exactly as they are."""
        idle = np.flatnonzero(~games)
        kept = [array[..., idle] for array in self._state()]
        payoffs, ended = self.advance(user, assistant, idle)
        for array, before in zip(self._state(), kept, strict=True):
            array[..., idle] = before
        self._began[idle] += 1
        return payoffs, ended

    def slots(self, books: Sequence[Book]) -> Ints:
        """Return the slots of types and prices, (n,), which hold until the next call."""
        if len(self.tables.books) > _MOST_BOOKS + sum(held.size for held in self._held):
            self._forget()
        found = self.tables.slots(books)
        self._rebase()
        return found

    def hold(self, books: Sequence[Book]) -> Ints:
        """Return the slots of types and prices, (n,), in an array that stays true for good."""
        held = self.tables.slots(books)
        self._held.append(held)
        self._rebase()
        return held

    # -- looking ------------------------------------------------------------------------------------------------------

    def observe(self, roles: Sequence[Role], width: int, games: Ints | None = None) -> list[dict[str, NDArray[Any]]]:
        """Return what roles see, in fresh arrays.

        Args:
            roles: Whose observations: all that the engine was made for, or one of them.
            width: Moves that the masks are to have.
            games: Some of the games, as indices; all when ``None``.

        Returns:
            For each role ``observation`` (n, F) float32 and ``action_mask`` (n, width) int8, with the rows that
            ``FiniteScenario.observe`` makes.
        """
        tables = self.tables
        public, mark, kind, total, base = self.public, self.mark, self.kind, self.total, self._base
        if games is not None:
            public, kind, total, base = public[games], kind[games], total[games], base[:, games]
            mark = mark[:, games] - self._rows[games] + self._rows[: len(games)]
        found = []
        work = self._work if games is None else np.empty((3, len(games)), dtype=np.int64)
        for role in roles:  # one after the other: what is written stays in the cache
            vectors = np.empty((len(public), self.scenario.layout.size), dtype=np.float32)
            place = 1 + tables.roles.index(role)
            fixed = tables.fixed[place]
            if fixed is None:
                tables.seen.take(np.add(base[place], public, out=work[0]), axis=0, out=vectors, mode="clip")
            else:
                tables.seen[fixed:].take(public, axis=0, out=vectors, mode="clip")
            vectors.reshape(-1)[mark] = 1.0
            if role == "user":
                pair = work[2].view(np.complex64)  # (N,): both numbers, written in one go
                tables.shown_quality.take(kind, out=pair, mode="clip")
                squashed(total, pair.imag, work)
                vectors[:, tables.nowhere : tables.nowhere + 2].view(np.complex64)[:, 0] = pair
            else:
                vectors[:, tables.nowhere] = 0.0
            parts: dict[str, NDArray[Any]] = {"observation": vectors, "action_mask": self._masks(role, width, public)}
            found.append(parts)
        return found

    def state(self, game: int) -> FiniteState:
        """Return the state of one game as ``parallel_env`` holds it."""
        layout = self.scenario.layout
        user, assistant = (
            -1 if spot == self.tables.nowhere else spot - layout[f"last_{role}_move"].start
            for role, spot in zip(_ROLES, (self.mark[:, game] - self._rows[game]).tolist(), strict=True)
        )
        return FiniteState(
            int(self.public[game]),
            self.scenario.ledger(*self.tables.books[int(self.slot[game])]),
            user,
            assistant,
            float(self.tables.quality[self.kind[game]]),
            float(self.total[game]),
        )

    def items(self, games: Ints, ended: Bools) -> tuple[Floats, Floats]:
        """Return the items of both payoffs of the last exchange, (n, user items) and (n, assistant items) from (n,)."""
        names = self.item_names
        rows = np.zeros((len(games), len(names[0]) + len(names[1])))
        slots = self.slot[games]
        for slot in np.unique(slots).tolist():
            chosen = slots == slot
            rows[chosen] = self.scenario.ledger(*self.tables.books[slot]).flat[self.entry[games[chosen]]]
        if "retention" in names[1]:
            column = len(names[0]) + names[1].index("retention")
            rows[ended, column] = self.tables.retention(self.total[games[ended]])
        return rows[:, : len(names[0])], rows[:, len(names[0]) :]

    @property
    def item_names(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Names of both payoffs' items."""
        payoffs = self.scenario.ledger(*self.tables.books[0]).payoffs
        return payoffs.user_items, payoffs.assistant_items

    def last_step(self, game: int) -> Step | None:
        """Return the last exchange of one game as ``FiniteScenario.step`` tells it; ``None`` before the first."""
        if not self.steps[game]:
            return None
        ended = bool(self.public[game] == self.tables.terminal)
        user, assistant = self.items(np.array([game]), np.array([ended]))
        names = self.item_names
        place = np.unravel_index(int(self.entry[game]), self.scenario.tables.next_state.shape)
        table = self.scenario.tables.outcome
        outcome = Outcome(**{name: float(getattr(table, name)[place]) for name in Outcome.__slots__})
        payoffs = Payoffs(
            dict(zip(names[0], user[0].tolist(), strict=True)), dict(zip(names[1], assistant[0].tolist(), strict=True))
        )
        return Step(self.state(game), payoffs, outcome, ended, {"violation": True} if outcome.violation else {})

    # -- inside -------------------------------------------------------------------------------------------------------

    def _state(self) -> tuple[NDArray[Any], ...]:
        return self.public, self.total, self.entry, self.kind, self.mark, self.illegal

    def _masks(self, role: Role, width: int, public: Ints) -> NDArray[np.int8]:
        """Return which moves are legal, (n, width)."""
        masks = self._plain.get((role, width))
        if masks is None:
            mask = self.tables.mask[role][:, :width]
            always = bool((mask == mask[0]).all())  # in every state alike: no need to look
            masks = self._plain[role, width] = np.tile(mask[0], (self.games, 1)) if always else mask
            if not always:
                self._varies.add((role, width))
        if (role, width) in self._varies:
            return np.take(masks, public, axis=0, mode="clip")
        return masks[: len(public)].copy()

    def _forget(self) -> None:
        """Close the books that no game plays under and nobody holds."""
        needed = np.unique(np.concatenate([self.slot, *self._held]))
        number = np.zeros(len(self.tables.books), dtype=np.int64)
        number[needed] = np.arange(len(needed))
        self.tables.keep(needed)
        for array in (self.slot, *self._held):
            array[:] = number[array]

    def _rebase(self) -> None:
        """Find again where every game's payoffs and observations begin: the tables have changed."""
        tables = self.tables
        self._base: Ints = tables.bases.take(self.slot, axis=1)
        self.kind[:] = np.where(self.steps > 0, tables.entry_class.take(self.entry), tables.nothing)


def squashed(totals: Floats, out: NDArray[np.float32], work: NDArray[Any]) -> None:
    """Write ``0.5 + 0.5 * math.tanh(total)`` of each total, (n,), as float32: the very numbers that ``parallel_env`` shows.

    NumPy's ``tanh`` may differ from the C library's in the last bits of a double. Where that could change the float32, the
    number is computed once more.

    Args:
        totals: (n,).
        out: (n,) where the numbers go.
        work: Room for two rows of n numbers of 64 bits.

    Example:
        >>> shown = np.empty(2, dtype=np.float32)
        >>> squashed(np.array([0.0, 1.0]), shown, np.empty((2, 2)))
        >>> shown.tolist() == [0.5, float(np.float32(0.5 + 0.5 * math.tanh(1.0)))]
        True
    """
    high = np.tanh(totals, out=work[0].view(np.float64))
    below, above = work[1].view(np.float32).reshape(2, -1)
    np.add(high, _BELOW, out=below)
    np.add(high, _ABOVE, out=above)
    np.multiply(above, _HALF, out=out)  # halves are exact
    unsure = below != above
    if unsure.any():
        out[totals <= _FLOOR] = 0.0
        for place in np.flatnonzero(unsure & (totals > _FLOOR)).tolist():
            out[place] = 0.5 + 0.5 * math.tanh(totals[place])
