"""Indivisible items to be shared by two: every allocation, what it is worth, and which ones are fair.

The vocabulary is that of fair division: an allocation is *envy-free* when nobody prefers the other's share, and
*Pareto-optimal* when no other allocation is at least as good for both and better for one.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gtalign_env.errors import UsageError
from gtalign_env.games.bimatrix import Bimatrix
from gtalign_env.games.cells import pareto_cells
from gtalign_env.types import Role

__all__ = ["ITEMS", "Division", "Settlement", "all_shares", "offer_name", "offer_words", "read_offer", "share_words"]

Share = tuple[int, ...]
"""How many items of each kind somebody gets."""

ITEMS: tuple[str, ...] = ("book", "hat", "ball")
"""What the kinds of items are called in deal-or-no-deal."""

_MOST = 100_000
"""Allocations of a division at most: everything is enumerated."""
_OFFER = re.compile(r"KEEP((?:_\d+)+)")


class Settlement(NamedTuple):
    """What a division ended in. No deal is worth 0 to both; it is neither envy-free nor Pareto-optimal."""

    user: int
    assistant: int
    agreed: bool
    envy_free: bool
    pareto: bool


@dataclasses.dataclass(frozen=True)
class Division:
    """Items of a few kinds and what one of each is worth to either side.

    Args:
        counts: Items of each kind (>= 1).
        user_values: Worth of one item of each kind to the user, whole numbers >= 0.
        assistant_values: The same for the assistant. All items together are worth equally much to both, and not nothing:
            that much each side knows about the other.

    Raises:
        UsageError: The lengths differ, a number is not whole or out of range, the totals differ, or there are too many
            allocations to list.

    Example:
        >>> game = Division((1, 1, 3), (1, 3, 2), (1, 0, 3))
        >>> len(game.allocations), game.best(), game.difficulty
        (16, (0, 1, 1), -4)
        >>> game.allocations[game.envy_free].tolist(), game.utilities[game.envy_free].tolist()
        ([[0, 1, 1], [1, 1, 1]], [[5, 7], [6, 6]])
    """

    counts: Share
    """(kinds,)"""
    user_values: tuple[int, ...]
    """(kinds,): utils per item. Private to the user."""
    assistant_values: tuple[int, ...]
    """(kinds,): utils per item. Private to the assistant."""

    def __post_init__(self) -> None:
        """Check that the numbers make a division."""
        for field, least in (("counts", 1), ("user_values", 0), ("assistant_values", 0)):
            object.__setattr__(self, field, _whole(field, getattr(self, field), least))
        if not len(self.counts) == len(self.user_values) == len(self.assistant_values):
            raise UsageError(
                f"division: expected counts and both sides' values for the same kinds of items, got {self.counts}, "
                f"{self.user_values} and {self.assistant_values}"
            )
        worth = [sum(np.multiply(self.counts, values).tolist()) for values in (self.user_values, self.assistant_values)]
        if worth[0] != worth[1] or worth[0] == 0:
            raise UsageError(
                "division: expected all items together to be worth equally much to both, and more than 0, got "
                f"{worth[0]} to the user and {worth[1]} to the assistant"
            )
        if math.prod(count + 1 for count in self.counts) > _MOST:
            raise UsageError(f"division: expected at most {_MOST:,} allocations, got more with counts {self.counts}")

    @property
    def total(self) -> int:
        """What all items together are worth to either side, utils."""
        return sum(count * value for count, value in zip(self.counts, self.user_values, strict=True))

    @property
    def difficulty(self) -> int:
        """Minus the L1 distance of both sides' values: 0 is hardest, because nobody can be paid in what costs little."""
        return -sum(abs(own - other) for own, other in zip(self.user_values, self.assistant_values, strict=True))

    def values(self, role: Role) -> tuple[int, ...]:
        """Return the role's values."""
        return self.user_values if role == "user" else self.assistant_values

    # -- all allocations at once ----------------------------------------------------------------------------------

    @functools.cached_property
    def allocations(self) -> NDArray[np.int64]:
        """(allocations, kinds): the user's share in every complete partition, in lexicographic order. Read-only."""
        return _frozen(all_shares(self.counts))

    @functools.cached_property
    def utilities(self) -> NDArray[np.int64]:
        """(allocations, 2): what each is worth to the user and to the assistant, utils. Read-only."""
        user = self.allocations @ np.array(self.user_values)
        assistant = (np.array(self.counts) - self.allocations) @ np.array(self.assistant_values)
        return _frozen(np.stack([user, assistant], axis=1))

    @functools.cached_property
    def envy_free(self) -> NDArray[np.bool_]:
        """(allocations,): where neither side would rather have the other's share. Read-only."""
        fair: NDArray[np.bool_] = 2 * self.utilities.min(axis=1) >= self.total  # half of everything is enough
        return _frozen(fair)

    @functools.cached_property
    def pareto(self) -> NDArray[np.bool_]:
        """(allocations,): where no other complete partition is weakly better for both and better for one. Read-only."""
        return _frozen(pareto_cells(self.utilities[None, :, 0], self.utilities[None, :, 1])[0])

    def best(self) -> Share | None:
        """Return the user's share in the envy-free, Pareto-optimal allocation of the largest total.

        Of several the first in lexicographic order; ``None`` where no allocation is both.
        """
        fair = self.envy_free & self.pareto
        if not fair.any():
            return None
        totals = np.where(fair, self.utilities.sum(axis=1), -1)  # (allocations,)
        return self.share(int(totals.argmax()))

    def share(self, index: int) -> Share:
        """Return the user's share in an allocation, as a tuple."""
        return tuple(self.allocations[index].tolist())

    def index(self, share: Sequence[int]) -> int:
        """Return which allocation gives the user this share.

        Raises:
            UsageError: It is no share of these items.
        """
        given = _whole("share", share, 0)
        if len(given) != len(self.counts) or any(own > count for own, count in zip(given, self.counts, strict=True)):
            raise UsageError(f"division: expected a share of {self.counts}, got {given}")
        return int(np.ravel_multi_index(given, tuple(count + 1 for count in self.counts)))

    def rest(self, share: Sequence[int]) -> Share:
        """Return what is left for the other side.

        Example:
            >>> Division((1, 1, 3), (1, 3, 2), (1, 0, 3)).rest((0, 1, 1))
            (1, 0, 2)
        """
        return self.share(len(self.allocations) - 1 - self.index(share))

    # -- outcomes -------------------------------------------------------------------------------------------------

    def settle(self, user_share: Sequence[int], assistant_share: Sequence[int]) -> Settlement:
        """Judge what both say the deal is: they agree when the two shares fit into the items, leftovers allowed.

        Fairness is judged against complete partitions: a deal with leftovers counts as neither envy-free nor Pareto-optimal.

        Raises:
            UsageError: One of them is no share of these items.

        Example:
            >>> game = Division((1, 1, 3), (1, 3, 2), (1, 0, 3))
            >>> game.settle((1, 1, 1), (0, 0, 2))
            Settlement(user=6, assistant=6, agreed=True, envy_free=True, pareto=True)
            >>> game.settle((1, 1, 1), (0, 0, 3)).agreed
            False
        """
        at, other = self.index(user_share), self.index(assistant_share)
        taken = self.allocations[at] + self.allocations[other]
        if (taken > self.counts).any():
            return Settlement(0, 0, agreed=False, envy_free=False, pareto=False)
        complete = bool((taken == self.counts).all())
        return Settlement(
            user=int(self.utilities[at, 0]),
            assistant=int(self.utilities[len(self.allocations) - 1 - other, 1]),
            agreed=True,
            envy_free=complete and bool(self.envy_free[at]),
            pareto=complete and bool(self.pareto[at]),
        )

    def as_bimatrix(self) -> Bimatrix:
        """Return the allocations as the cells of one row, so that whatever is asked of cells can be asked of them.

        Example:
            >>> Division((2,), (5,), (5,)).as_bimatrix().assistant_moves
            ('KEEP_0', 'KEEP_1', 'KEEP_2')
        """
        user, assistant = self.utilities.T.astype(np.float64)
        names = tuple(offer_name(share) for share in self.allocations.tolist())
        return Bimatrix(user[None, :], assistant[None, :], ("divide",), names)


def all_shares(counts: Sequence[int]) -> NDArray[np.int64]:
    """Return every share of the items in lexicographic order, shape (shares, kinds).

    Example:
        >>> all_shares((1, 2)).tolist()
        [[0, 0], [0, 1], [0, 2], [1, 0], [1, 1], [1, 2]]
    """
    return np.indices([count + 1 for count in counts]).reshape(len(counts), -1).T.copy()


def offer_name(share: Sequence[int]) -> str:
    """Return the move that proposes to keep a share and to leave the rest to the other side.

    Example:
        >>> offer_name((1, 2, 0))
        'KEEP_1_2_0'
    """
    return "_".join(["KEEP", *(str(count) for count in share)])


def read_offer(move: str) -> Share | None:
    """Return the share that an offer's name keeps; ``None`` where the move is no offer.

    Example:
        >>> read_offer("KEEP_1_2_0"), read_offer("ACCEPT")
        ((1, 2, 0), None)
    """
    found = _OFFER.fullmatch(move)
    return None if found is None else tuple(int(count) for count in found[1][1:].split("_"))


def offer_words(move: str) -> str:
    """Return what an offer keeps, in words; empty where the move is no offer.

    Example:
        >>> offer_words("KEEP_1_2_0"), offer_words("KEEP_3"), offer_words("ACCEPT")
        ('1 book and 2 hats', '3 slices', '')
    """
    share = read_offer(move)
    if share is None:
        return ""
    named = {len(ITEMS): ITEMS, 1: ("slice",)}.get(len(share))
    return ", ".join(map(str, share)) if named is None else share_words(share, named)


def share_words(share: Sequence[int], items: Sequence[str] = ITEMS) -> str:
    """Return a share in words.

    Example:
        >>> share_words((1, 2, 0)), share_words((0, 0, 1)), share_words((0, 0, 0)), share_words((4,), ["slice"])
        ('1 book and 2 hats', '1 ball', 'nothing', '4 slices')
    """
    parts = [f"{count} {item}{'' if count == 1 else 's'}" for count, item in zip(share, items, strict=True) if count]
    return " and ".join(filter(None, [", ".join(parts[:-1]), *parts[-1:]])) or "nothing"


def _whole(field: str, numbers: Any, least: int) -> tuple[int, ...]:
    """Return whole numbers from ``least`` on as a tuple."""
    try:
        found = tuple(numbers)
    except TypeError:
        found = ()
    fits = all(isinstance(x, (int, np.integer)) and not isinstance(x, bool) and x >= least for x in found)
    if not found or not fits or isinstance(numbers, (str, bytes)):
        raise UsageError(
            f"division: expected {field} to be whole numbers >= {least}, one for each kind, got {numbers!r}"
        )
    return tuple(int(x) for x in found)


def _frozen(array: NDArray[Any]) -> NDArray[Any]:
    array.setflags(write=False)
    return array
