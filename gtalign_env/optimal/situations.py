"""What two players remember of a session together: a finite graph of situations.

Both see the public states and both moves. A *situation* is a public state and what is remembered on the way to it: everything,
or the last exchange, or nothing. Strategies are distributions over moves by situation, so whoever knows the other side's
strategy faces a decision problem on this graph.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Hashable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gtalign_env.errors import SolverError, UsageError
from gtalign_env.types import UserType

if TYPE_CHECKING:
    from gtalign_env.finite import FiniteScenario
    from gtalign_env.protocols import PricingPolicy

__all__ = ["END", "RECALLS", "Exchanges", "Memory", "Situations", "exchanges", "situations", "walked"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

END = -1
"""Stands for the end of the session, and for what never happens, where a situation is named."""
RECALLS = ("all", "two", "last", "none")
"""What may be remembered: every exchange; the last one and what the user did in the one before; the last one; or nothing."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Situations:
    """A graph of situations that moves forward only.

    Shapes: X situations; R rows, the sets of situations that go on alike; S public states; N and A moves of the user and of
    the assistant; B branches. The situations of a row stand together, and rows stand in an order in which the game moves on.
    """

    recall: str
    """What is remembered, as people read it."""
    row_state: Ints
    """(R,): the public state of a row's situations."""
    span: Ints
    """(R + 1,): where each row's situations begin."""
    follow: NDArray[np.int32]
    """(R, N, A, B): the situation that follows two moves and a branch; ``END`` at the end, and after what cannot happen."""
    first: Ints
    """(S,): the situation in which each opening finds both; ``END`` for other states."""

    @property
    def state(self) -> Ints:
        """(X,): the public state of every situation."""
        return np.repeat(self.row_state, np.diff(self.span))

    @property
    def size(self) -> int:
        """X."""
        return int(self.span[-1])

    def of(self, row: int) -> slice:
        """Return the situations of a row."""
        return slice(int(self.span[row]), int(self.span[row + 1]))


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Exchanges:
    """A scenario by moves, for given types: what an exchange leads to and what it pays.

    Shapes: S public states, N and A moves, B branches, K types.
    """

    types: tuple[UserType, ...]
    probability: Floats
    """(S, N, A, B)."""
    following: Ints
    """(S, N, A, B): the public state that follows; ``END`` where the session ends or the branch has no chance."""
    user_legal: NDArray[np.bool_]
    """(S, N)."""
    assistant_legal: NDArray[np.bool_]
    """(S, A)."""
    safe: NDArray[np.bool_]
    """(S, A): legal moves that do not comply with harm."""
    pay: Floats
    """(2, K, S, N, A): expected payoffs of an exchange, the user's and the assistant's, retention with it."""
    initial: Floats
    """(S,)."""


def exchanges(scenario: FiniteScenario, types: Sequence[UserType], pricing: PricingPolicy | None = None) -> Exchanges:
    """Return a scenario by moves.

    Args:
        scenario: The game.
        types: The users' types.
        pricing: What they pay; the scenario's own when ``None``.

    Example:
        >>> from gtalign_env.registration import make_scenario
        >>> scenario = make_scenario("assist", questions=1)
        >>> exchanges(scenario, scenario.mix.types).pay.shape  # sides, types, states, moves of either
        (2, 4, 27, 11, 8)
    """
    tables = scenario.tables
    place = np.ix_(np.arange(tables.terminal), tables.user_act[:-1], tables.assistant_act[:-1])
    probability = tables.probability[place]
    following = tables.next_state[place].astype(np.int64)
    following = np.where((probability > 0.0) & (following != tables.terminal), following, END)
    harm = ((np.asarray(tables.outcome.violation)[place] > 0.0) & (probability > 0.0)).any(axis=(1, 3))
    pay = np.empty((2, len(types), *probability.shape[:3]))
    for k, theta in enumerate(types):
        paid = scenario.payoff_tables(theta, scenario.pricing if pricing is None else pricing)
        for side, items in enumerate((paid.user, paid.assistant)):
            pay[side, k] = (items.sum(axis=-1)[place] * probability).sum(axis=-1)
        if "retention" in paid.assistant_items:
            pay[1, k] += scenario.retention_rate * pay[0, k]
    legal = tables.assistant_mask[:-1] == 1
    return Exchanges(
        types=tuple(types),
        probability=probability,
        following=following,
        user_legal=tables.user_mask[:-1] == 1,
        assistant_legal=legal,
        safe=legal & ~harm,
        pay=pay,
        initial=tables.initial[:-1],
    )


def situations(scenario: FiniteScenario, recall: str = "last", *, limit: int = 50_000) -> Situations:
    """Return the situations that a session can come to, with some recall.

    Args:
        scenario: A finite game that always moves forward.
        recall: One of ``RECALLS``.
        limit: Situations at most.

    Raises:
        UsageError: There is no such recall, or a public state can come back.
        SolverError: There are more than ``limit``.

    Example:
        >>> from gtalign_env.registration import make_scenario
        >>> scenario = make_scenario("assist", questions=1)
        >>> [situations(scenario, recall).size for recall in RECALLS]
        [20106, 1656, 306, 22]
    """
    if recall not in RECALLS:
        raise UsageError(f"recall: expected one of {', '.join(RECALLS)}, got {recall!r}")
    game = exchanges(scenario, scenario.mix.types[:1])
    goes_on = (game.following != END).any(axis=(1, 2, 3))
    memory: dict[str, Memory] = {
        "all": Memory(
            line=lambda state, past: (state, past if goes_on[state] else ()),
            after=lambda state, past, user, assistant, following: (past, state, user, assistant),
        ),
        "two": Memory(
            first=lambda state: ((), (), ()),
            line=lambda state, past: (state, past[1] if goes_on[state] else ()),
            after=lambda state, past, user, assistant, following: (past[1], user, assistant),
        ),
        "last": Memory(after=lambda state, past, user, assistant, following: (user, assistant)),
        "none": Memory(after=lambda state, past, user, assistant, following: ()),
    }
    return walked(game, memory[recall], recall, limit)[0]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Memory:
    """Rules of what is remembered."""

    after: Callable[[int, Any, int, int, int], Hashable]
    """From a public state, what was remembered in it, both moves, and the public state that follows."""
    line: Callable[[int, Any], Hashable] = lambda state, past: state
    """What of a state and what is remembered matters for what will be remembered; the state is part of it."""
    first: Callable[[int], Hashable] = lambda state: ()
    """What is remembered in an opening."""
    moves: Callable[[int, Any], Sequence[int]] | None = None
    """The assistant's moves that may be made; all that are legal when ``None``."""


def walked(game: Exchanges, memory: Memory, name: str, limit: int) -> tuple[Situations, list[tuple[int, Any]]]:
    """Follow all that legal moves may lead to.

    Args:
        game: The scenario by moves.
        memory: What is remembered.
        name: What that is called.
        limit: Situations at most.

    Returns:
        The situations, and for each its public state and what is remembered there.

    Raises:
        UsageError: A public state can come back.
        SolverError: There are more than ``limit``.
    """
    return _Walk(game, memory, name, limit).run()


class _Walk:
    """A walk in progress: situations by number, and the rows that they stand in, both in the order in which they come up."""

    def __init__(self, game: Exchanges, memory: Memory, name: str, limit: int) -> None:
        self.game, self.memory, self.name, self.limit = game, memory, name, limit
        self.rank = _ranks(game)
        self.met: dict[tuple[int, Hashable], int] = {}
        self.rows: dict[Hashable, int] = {}
        self.like: list[tuple[int, Any]] = []  # of each row, its first situation
        self.members: list[list[int]] = []

    def run(self) -> tuple[Situations, list[tuple[int, Any]]]:
        first = np.full(len(self.game.initial), END, dtype=np.int64)
        for state in np.flatnonzero(self.game.initial > 0.0):
            first[state] = self.meet(int(state), self.memory.first(int(state)))
        follow: list[Ints] = []
        while len(follow) < len(self.like):
            follow.append(self.row(*self.like[len(follow)]))
        return self.sorted(first, follow)

    def meet(self, state: int, past: Hashable) -> int:
        number = self.met.get((state, past))
        if number is not None:
            return number
        number = self.met[state, past] = len(self.met)
        if number >= self.limit:
            raise SolverError(
                f"situations: more than {self.limit:,} where {self.name} is remembered: shorten the session, remember less, or "
                "raise 'limit'"
            )
        row = self.rows.setdefault(self.memory.line(state, past), len(self.rows))
        if row == len(self.like):
            self.like.append((state, past))
            self.members.append([])
        self.members[row].append(number)
        return number

    def row(self, state: int, past: Any) -> Ints:
        """Return (N, A, B): what follows in a row."""
        game = self.game
        found = np.full(game.following.shape[1:], END, dtype=np.int64)
        made = (
            np.flatnonzero(game.assistant_legal[state]) if self.memory.moves is None else self.memory.moves(state, past)
        )
        for user in np.flatnonzero(game.user_legal[state]).tolist():
            for assistant in made:
                for branch, following in enumerate(game.following[state, user, assistant].tolist()):
                    if following != END:
                        after = self.memory.after(state, past, user, int(assistant), following)
                        found[user, assistant, branch] = self.meet(following, after)
        return found

    def sorted(self, first: Ints, follow: list[Ints]) -> tuple[Situations, list[tuple[int, Any]]]:
        """Return the graph with rows in the order of play, and their situations together."""
        states = np.array([state for state, _ in self.like], dtype=np.int64)
        order = np.argsort(self.rank[states], kind="stable")
        old = np.concatenate([self.members[row] for row in order])
        new = np.empty(len(old) + 1, dtype=np.int64)
        new[old], new[END] = np.arange(len(old)), END
        keys = list(self.met)
        graph = Situations(
            recall=self.name,
            row_state=states[order],
            span=np.cumsum([0, *(len(self.members[row]) for row in order)]),
            follow=new[np.stack([follow[row] for row in order])].astype(np.int32),
            first=new[first],
        )
        return graph, [keys[number] for number in old]


def _ranks(game: Exchanges) -> Ints:
    """Return (S,): the longest way from any state to each public state, in exchanges."""
    tails = np.broadcast_to(np.arange(len(game.initial))[:, None, None, None], game.following.shape)
    live = game.following != END
    edges = np.unique(np.column_stack([tails[live], game.following[live]]), axis=0).reshape(-1, 2)
    depth = np.zeros(len(game.initial), dtype=np.int64)
    for _ in range(len(depth) + 1):
        longer = depth.copy()
        np.maximum.at(longer, edges[:, 1], depth[edges[:, 0]] + 1)
        if (longer == depth).all():
            return depth
        depth = longer
    raise UsageError("situations: expected a game that moves forward only, but a public state can come back")
