"""Users as finite automata over a compiled game: what the batched engine plays against and the exact solver solves against.

A scripted user that forgets all but finitely much is a *kernel*: a memory, a distribution over moves by memory and public
state, and the memory that follows each exchange. Nothing of what it will do is lost, so whatever is computed on kernels holds of
the personas that they were compiled from.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from gtalign_env.errors import UsageError
from gtalign_env.types import UserType

if TYPE_CHECKING:
    from gtalign_env.finite import FiniteScenario
    from gtalign_env.protocols import PricingPolicy
    from gtalign_env.tables import GameTables

__all__ = ["Tabular", "UserKernel", "memoryless", "minimal", "normalised"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int16]


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class UserKernel:
    """One kind of user (one θ) as a finite automaton.

    Shapes: M memories; S, U, A, B as in ``GameTables``; N the user's moves (without the no-op).

    Args:
        name: What it is called, e.g. ``"concise"``.
        user_type: θ; its payoffs are ``scenario.payoff_tables(user_type, pricing)``.
        share: Its share of the population (> 0).
        moves: (M, S, N): the chance of each move. Each row sums to 1 where the game goes on; only legal moves have any.
        follow: (M, S, U, A, B): the memory after an exchange, by table entry.
        start: The memory before the first exchange.

    Example:
        >>> from gtalign_env.registration import make_scenario
        >>> tables = make_scenario("matrix").tables
        >>> S, U, A, B = tables.next_state.shape
        >>> always_detailed = UserKernel(name="clear", user_type=UserType(), share=1.0,
        ...     moves=np.tile([0.0, 1.0], (1, S, 1)), follow=np.zeros((1, S, U, A, B), dtype=np.int16))
        >>> always_detailed.memories
        1
    """

    name: str
    user_type: UserType
    share: float
    moves: Floats
    follow: Ints
    start: int = 0

    def __post_init__(self) -> None:
        """Refuse arrays that are no automaton."""
        if self.moves.ndim != 3 or self.follow.ndim != 5 or self.moves.shape[:2] != self.follow.shape[:2]:
            raise UsageError(
                f"user kernel {self.name!r}: expected moves (memories, states, moves) and follow (memories, states, user acts, "
                f"assistant acts, branches), got shapes {self.moves.shape} and {self.follow.shape}"
            )
        if not self.share > 0.0 or not np.isfinite(self.share):
            raise UsageError(f"user kernel {self.name!r}: expected a share > 0, got {self.share!r}")
        if (self.moves < 0.0).any() or not np.allclose(self.moves[:, :-1].sum(axis=-1), 1.0, rtol=0.0, atol=1e-9):
            raise UsageError(f"user kernel {self.name!r}: the chances of the moves do not sum to 1 everywhere")
        if self.follow.min() < 0 or self.follow.max() >= self.memories or not 0 <= self.start < self.memories:
            raise UsageError(f"user kernel {self.name!r}: a memory lies outside 0 to {self.memories - 1}")

    @property
    def memories(self) -> int:
        """Number of memories."""
        return int(self.moves.shape[0])


@runtime_checkable
class Tabular(Protocol):
    """A persona that can say exactly what it will do in a compiled game."""

    def kernels(self, scenario: FiniteScenario, pricing: PricingPolicy) -> Sequence[UserKernel]:
        """Return its kinds of user with their shares.

        Raises:
            UsageError: What it does depends on more than a finite memory, or it does not play this game.
        """
        ...


def normalised(kernels: Sequence[UserKernel]) -> tuple[UserKernel, ...]:
    """Return the kernels with shares that sum to 1.

    Raises:
        UsageError: There is none.
    """
    if not kernels:
        raise UsageError("user kernels: expected at least one")
    total = sum(kernel.share for kernel in kernels)
    return tuple(dataclasses.replace(kernel, share=kernel.share / total) for kernel in kernels)


def memoryless(name: str, scenario: FiniteScenario, moves: Floats) -> tuple[UserKernel, ...]:
    """Return a user that remembers nothing and leaves θ to the scenario: one kernel per type that the scenario draws.

    Args:
        name: What it is called.
        scenario: The game.
        moves: (S, N): the chance of each move in each public state.

    Example:
        >>> from gtalign_env.registration import make_scenario
        >>> scenario = make_scenario("assist")
        >>> mask = scenario.tables.user_mask
        >>> [kernel.share for kernel in memoryless("random", scenario, mask / mask.sum(axis=1, keepdims=True))]
        [0.35, 0.35, 0.15, 0.15]
    """
    drawn = [
        (theta, share) for theta, share in zip(scenario.mix.types, scenario.mix.shares, strict=True) if share > 0.0
    ]
    follow = np.zeros((1, *scenario.tables.next_state.shape), dtype=np.int16)
    return tuple(
        UserKernel(
            name=name if len(drawn) == 1 else f"{name}/{theta.name}",
            user_type=theta,
            share=share,
            moves=moves[None],
            follow=follow,
        )
        for theta, share in drawn
    )


def minimal(kernel: UserKernel, tables: GameTables) -> UserKernel:
    """Return a kernel that plays alike with as few memories as tell its moves apart.

    Memories that are never reached are dropped, and those that do the same in every state, now and ever after, become one.
    What follows entries that cannot happen with a memory counts for nothing.

    Source: Moore (1956), "Gedanken-experiments on sequential machines": partitions are refined until none splits.

    Example:
        >>> from gtalign_env.registration import make_scenario
        >>> tables = make_scenario("matrix").tables
        >>> to_and_fro = np.stack([np.full(tables.next_state.shape, memory, dtype=np.int16) for memory in (1, 0)])
        >>> kernel = UserKernel(name="same", user_type=UserType(), share=1.0, follow=to_and_fro,
        ...     moves=np.tile([0.0, 1.0], (2, tables.terminal + 1, 1)))
        >>> minimal(kernel, tables).memories
        1
    """
    while True:
        smaller = _met(_merged(kernel, tables), tables)
        if smaller.memories == kernel.memories:
            return smaller
        kernel = smaller  # what is never met may have kept others apart


def _merged(kernel: UserKernel, tables: GameTables) -> UserKernel:
    """Return the kernel with memories that are alike in all states, now and ever after, made one."""
    follow = np.where(_goes_on(tables), kernel.follow, kernel.start).reshape(kernel.memories, -1)
    block = _alike(kernel.moves.reshape(kernel.memories, -1))
    while True:
        finer = _alike(np.column_stack([block, block[follow]]))
        if finer.max() == block.max():
            break
        block = finer
    return _kept(kernel, np.unique(block, return_index=True)[1], block, follow)


def _met(kernel: UserKernel, tables: GameTables) -> UserKernel:
    """Return the kernel without memories that are never met; where one cannot be, it is followed by the start."""
    reached = _reached(kernel, tables)
    kept = np.flatnonzero(reached.any(axis=1))
    number = np.zeros(kernel.memories, dtype=np.int16)
    number[kept] = np.arange(len(kept))
    follow = np.where(reached[..., None, None, None], kernel.follow, kernel.start)
    return _kept(kernel, kept, number, follow)


def _kept(kernel: UserKernel, kept: NDArray[np.intp], number: Ints, follow: Ints) -> UserKernel:
    """Return the kernel with only these memories, under their new numbers."""
    return dataclasses.replace(
        kernel,
        moves=kernel.moves[kept],
        follow=number[follow[kept]].reshape(len(kept), *kernel.follow.shape[1:]),
        start=int(number[kernel.start]),
    )


def _goes_on(tables: GameTables) -> NDArray[np.bool_]:
    """Return the entries that can happen and do not end the game, (S, U, A, B)."""
    goes_on: NDArray[np.bool_] = (tables.probability > 0.0) & (tables.next_state != tables.terminal)
    goes_on[tables.terminal] = False
    return goes_on


def _reached(kernel: UserKernel, tables: GameTables) -> NDArray[np.bool_]:
    """Return which memories are met in which states, (M, S), from any state that nothing leads to or that opens the game."""
    goes_on = _goes_on(tables).reshape(tables.terminal + 1, -1)
    follow = kernel.follow.reshape(kernel.memories, *goes_on.shape)
    following = tables.next_state.reshape(goes_on.shape)
    reached = np.zeros((kernel.memories, len(goes_on)), dtype=bool)
    new = reached.copy()
    new[kernel.start] = tables.initial > 0.0
    new[kernel.start, np.setdiff1d(np.arange(tables.terminal), following[goes_on])] = True  # a task may be pinned there
    while new.any():
        reached |= new
        memory, state = np.nonzero(new)
        possible = goes_on[state]
        new = np.zeros_like(reached)
        new[follow[memory, state][possible], following[state][possible]] = True
        new &= ~reached
    return reached


def _alike(rows: NDArray[np.generic]) -> Ints:
    """Return the number of each row's block of equal rows, in the order in which blocks first appear."""
    numbers: dict[bytes, int] = {}
    blocks = [numbers.setdefault(row.tobytes(), len(numbers)) for row in np.ascontiguousarray(rows)]
    return np.array(blocks, dtype=np.int16)
