"""Nash equilibria of bimatrix games: all extreme ones, or one.

An extreme equilibrium is a pair of vertices of the two best-response polyhedra that together carry every label: each move is
either not played or a best response (Vorob'ev 1958, Kuhn 1961, Mangasarian 1964; von Stengel 2002, section 2). In a degenerate
game the equilibria form components; each is a union of convex sets, and the extreme equilibria are the corners of those sets.
Everything is computed in integers (``games.rational``).
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gtalign_env.games.cells import as_bimatrix
from gtalign_env.games.equilibrium import Equilibrium, checked_equilibrium
from gtalign_env.games.lemke_howson import complementary_pair
from gtalign_env.games.rational import Integers, to_integers
from gtalign_env.games.vertices import Vertex, envelope_vertices

__all__ = ["extreme_equilibria", "find_equilibrium"]

Weights = tuple[tuple[int, ...], tuple[int, ...]]


def extreme_equilibria(user: ArrayLike, assistant: ArrayLike) -> tuple[Equilibrium, ...]:
    """Return all extreme Nash equilibria, the pure ones first, each checked.

    Pure equilibria come row by row; mixed ones by falling probability of the first row, then of the next, then of the columns.

    Args:
        user: The row player's payoffs, shape (m, n).
        assistant: The column player's payoffs, shape (m, n).

    Raises:
        UsageError: The arrays are no bimatrix of finite numbers, or the game is too large to list all its equilibria (about
            12 moves for each player; more where one of them has few).

    Example:
        >>> for found in extreme_equilibria([[2, 0], [0, 1]], [[1, 0], [0, 2]]):
        ...     print(*found.user, "|", *found.assistant, "|", found.user_payoff, found.assistant_payoff)
        1 0 | 1 0 | 2 1
        0 1 | 0 1 | 1 2
        2/3 1/3 | 1/3 2/3 | 2/3 2/3
    """
    rows, columns = as_bimatrix(user, assistant)
    integers = to_integers(rows), to_integers(columns)
    found = [checked_equilibrium(rows, columns, integers, weights) for weights in _labelled_pairs(*integers)]
    return tuple(sorted(found, key=_order))


def find_equilibrium(user: ArrayLike, assistant: ArrayLike) -> Equilibrium:
    """Return one Nash equilibrium, checked: a pure one where there is any, else one found by Lemke and Howson's path.

    Strictly dominated moves are removed before the path is followed. The path is exact and lexicographic, so that it ends in
    degenerate games too. It is usually short, but there are games in which its length grows exponentially with their size
    (Savani and von Stengel 2006): rock-paper-scissors with n moves takes about 2^(n/2) steps.

    Args:
        user: The row player's payoffs, shape (m, n), of any size.
        assistant: The column player's payoffs, shape (m, n).

    Raises:
        UsageError: The arrays are no bimatrix of finite numbers.

    Example:
        >>> found = find_equilibrium([[1, -1], [-1, 1]], [[-1, 1], [1, -1]])
        >>> print(*found.user, *found.assistant, found.user_payoff)
        1/2 1/2 1/2 1/2 0
    """
    rows, columns = as_bimatrix(user, assistant)
    integers = to_integers(rows), to_integers(columns)
    weights = _first_pure(*integers) or _by_path(*integers)
    return checked_equilibrium(rows, columns, integers, weights)


def _order(found: Equilibrium) -> tuple[bool, list[Fraction | float], list[Fraction | float]]:
    return not found.is_pure, [-p for p in found.user], [-p for p in found.assistant]


def _labelled_pairs(user: Integers, assistant: Integers) -> list[Weights]:
    """Return the weights of all pairs of vertices that carry every label between them."""
    m, n = len(user.cells), len(user.cells[0])
    lines = list(zip(*assistant.cells, strict=True))
    candidates: list[list[tuple[Vertex, int]]] = [[] for _ in range(m + n)]
    for vertex in envelope_vertices(user.cells):  # the assistant's strategies; columns come first in their labels
        labels = vertex.labels >> n | (vertex.labels & ((1 << n) - 1)) << m
        for label in _bits(labels):
            candidates[label].append((vertex, labels))
    everything = (1 << (m + n)) - 1
    found = []
    for row in envelope_vertices(lines):
        missing = everything & ~row.labels
        rarest = min((candidates[label] for label in _bits(missing)), key=len)
        found += [(row.weights, column.weights) for column, labels in rarest if labels & missing == missing]
    return found


def _bits(mask: int) -> list[int]:
    return [place for place in range(mask.bit_length()) if mask >> place & 1]


def _first_pure(user: Integers, assistant: Integers) -> Weights | None:
    best_rows = [max(column) for column in zip(*user.cells, strict=True)]
    for i, (mine, theirs) in enumerate(zip(user.cells, assistant.cells, strict=True)):
        best = max(theirs)
        for j, (own, other) in enumerate(zip(mine, theirs, strict=True)):
            if own == best_rows[j] and other == best:
                return _unit(i, len(user.cells)), _unit(j, len(mine))
    return None


def _by_path(user: Integers, assistant: Integers) -> Weights:
    """Follow the path in the game that iterated strict dominance leaves, and put the removed moves back with weight 0."""
    mine, theirs = _exact_array(user.cells), _exact_array(assistant.cells)
    rows, columns = np.arange(mine.shape[0]), np.arange(mine.shape[1])
    while True:
        left = mine[np.ix_(rows, columns)], theirs[np.ix_(rows, columns)]
        keep_rows, keep_columns = _undominated(left[0]), _undominated(left[1].T)
        if keep_rows.all() and keep_columns.all():
            break
        rows, columns = rows[keep_rows], columns[keep_columns]
    x, y = complementary_pair(*left)
    return _spread(x, rows, mine.shape[0]), _spread(y, columns, mine.shape[1])


def _exact_array(cells: list[list[int]]) -> NDArray[np.object_]:
    array = np.empty((len(cells), len(cells[0])), dtype=object)
    array[:] = cells
    return array


def _undominated(payoffs: NDArray[np.object_]) -> NDArray[np.bool_]:
    """Return which rows no other row beats against every column."""
    beaten = [bool((payoffs > row).all(axis=1).any()) for row in payoffs]
    return ~np.array(beaten)


def _spread(weights: Sequence[int], places: NDArray[np.int64], count: int) -> tuple[int, ...]:
    spread = [0] * count
    for place, weight in zip(places.tolist(), weights, strict=True):
        spread[place] = weight
    return tuple(spread)


def _unit(place: int, count: int) -> tuple[int, ...]:
    return tuple(int(k == place) for k in range(count))
