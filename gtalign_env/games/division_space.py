"""All games of deal-or-no-deal: the space is small enough to be listed, so no data file is needed.

Two sides share five to seven items of three kinds, one to four of each. One item is worth a whole number of utils, and all
items together 10 to either side. Every kind is worth something to somebody, and some kind to both: 5,295 games in all
(the constraints are those of Lewis et al. 2017, arXiv 1706.05125).
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from gtalign_env.errors import UsageError
from gtalign_env.games.division import Division, Share, all_shares

__all__ = ["TOTAL", "all_divisions", "count_vectors", "is_regular", "select_divisions", "valuations"]

TOTAL = 10
"""What all items together are worth to either side, utils."""

_MOST_OF_A_KIND = 4
_ITEMS_IN_ALL = (5, 6, 7)


def count_vectors() -> tuple[Share, ...]:
    """Return the 28 ways in which the items can lie on the table, in lexicographic order.

    Example:
        >>> len(count_vectors()), count_vectors()[0]
        (28, (1, 1, 3))
    """
    several = range(1, _MOST_OF_A_KIND + 1)
    return tuple(counts for counts in itertools.product(several, repeat=3) if sum(counts) in _ITEMS_IN_ALL)


def valuations(counts: Sequence[int], total: int = TOTAL) -> NDArray[np.int64]:
    """Return Ω: all whole, non-negative values under which the items together are worth ``total``.

    Args:
        counts: Items of each kind (>= 1).
        total: What all of them are worth, utils (>= 0).

    Returns:
        Values per item in lexicographic order, shape (valuations, kinds). Read-only, and shared between calls.

    Raises:
        UsageError: A count or the total is out of range.

    Example:
        >>> valuations((1, 1, 3)).shape, valuations((2, 5)).tolist()
        ((26, 3), [[0, 2], [5, 0]])
    """
    if not len(counts) or min(counts) < 1 or total < 0:
        raise UsageError(f"valuations: expected counts >= 1 and a total >= 0, got {counts!r} and {total!r}")
    return _valuations(tuple(int(count) for count in counts), int(total))


@functools.lru_cache(maxsize=256)
def _valuations(counts: tuple[int, ...], total: int) -> NDArray[np.int64]:
    every = all_shares([total // count for count in counts])  # (points, kinds): no value can be larger
    found: NDArray[np.int64] = every[every @ np.array(counts) == total]
    found.setflags(write=False)
    return found


def is_regular(division: Division) -> bool:
    """Whether every kind of item is worth something to somebody, and some kind to both.

    Example:
        >>> is_regular(Division((1, 1, 3), (1, 3, 2), (1, 0, 3))), is_regular(Division((2, 2, 1), (5, 0, 0), (0, 5, 0)))
        (True, False)
    """
    user, assistant = np.array(division.user_values) > 0, np.array(division.assistant_values) > 0
    return bool((user | assistant).all() and (user & assistant).any())


@functools.cache
def all_divisions() -> tuple[Division, ...]:
    """Return the 5,295 games: by counts, then the user's values, then the assistant's, each in lexicographic order.

    Example:
        >>> len(all_divisions())
        5295
    """
    games = (
        Division(counts, tuple(user), tuple(assistant))
        for counts in count_vectors()
        for user, assistant in itertools.product(valuations(counts).tolist(), repeat=2)
    )
    return tuple(game for game in games if is_regular(game))


def select_divisions(divisions: Iterable[Division], *, distance: int = 4) -> tuple[Division, ...]:
    """Return the hard ones among some games, in their order, each once.

    The rule by which the negotiation study of Hua et al. (2024, arXiv 2411.05990) picks its games. Left out are games

    * in which all counts are even: halving everything is fair;
    * in which both like the same kind best, and the other kinds together are worth at least one item of it to both: whoever
      gets one such item can pay for it with the others;
    * whose two valuations lie farther apart than ``distance`` (L1): the farther, the easier.

    The study then takes the first 50 in the order of its data file and plays those that have an envy-free allocation.

    Args:
        divisions: Games in some order.
        distance: Largest L1 distance of the two sides' values.

    Example:
        >>> hard = select_divisions(all_divisions())
        >>> len(hard), sum(bool(game.envy_free.any()) for game in hard)
        (989, 788)
    """
    return tuple(game for game in dict.fromkeys(divisions) if -game.difficulty <= distance and not _is_easy(game))


def _is_easy(game: Division) -> bool:
    if all(count % 2 == 0 for count in game.counts):
        return True
    favourites = [values.index(max(values)) for values in (game.user_values, game.assistant_values)]
    if favourites[0] != favourites[1]:
        return False
    kind = favourites[0]
    return all(
        game.total - game.counts[kind] * values[kind] >= values[kind]
        for values in (game.user_values, game.assistant_values)
    )
