"""All vertices of a best-response polyhedron, by the double description method in integers.

The upper envelope of a player's payoffs is the set of pairs (mixed strategy of the other, value) with the value at least every
payoff against that strategy. Its vertices, paired across the two players by complementary labels, are the extreme equilibria of
the game (von Stengel 2002, "Computing equilibria for two-person games", section 2). Half-spaces are added one at a time (Motzkin
et al. 1953; Fukuda and Prodon 1996, "Double description method revisited"), in whole numbers: degenerate games, in
which many half-spaces meet in one vertex, need no special care.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gtalign_env.errors import UsageError

__all__ = ["MOST_VERTICES", "MOST_WORK", "Vertex", "envelope_vertices"]

MOST_VERTICES = 20_000
"""Corners that the enumeration holds at a time before it gives up."""
MOST_WORK = 1_000_000_000
"""Comparisons of corners that the enumeration makes before it gives up: a few seconds."""
_PLAIN = 16
"""How many comparisons of arrays take as long as one of Python's integers."""
_WORD = 63
"""Labels that fit into one machine integer; more are compared as Python's integers."""
_BATCH = 64
"""Corners from which on comparing them all at once pays."""
_CHUNK = 1_000_000
"""Comparisons that are made at once."""


class Vertex(NamedTuple):
    """A vertex of the envelope: a mixed strategy, and what the other's best answers to it yield."""

    weights: tuple[int, ...]
    """The strategy, not normalised: one number ≥ 0 per own move."""
    value: int
    """The other's best payoff against it, times the sum of the weights."""
    labels: int
    """Bit k: own move k has weight 0; bit (own moves + k): the other's move k is a best answer."""


def envelope_vertices(payoffs: Sequence[Sequence[int]]) -> list[Vertex]:
    """Return the vertices of the upper envelope of integer payoffs.

    Args:
        payoffs: The other's payoffs: one row per move of the other, one column per own move.

    Raises:
        UsageError: There are more than ``MOST_VERTICES``, or finding them takes more than ``MOST_WORK``.

    Example:
        >>> [(vertex.weights, vertex.value) for vertex in envelope_vertices([[2, 0], [0, 1]])]
        [((1, 0), 2), ((1, 2), 2), ((0, 1), 1)]
    """
    first = payoffs[0]
    own, others = len(first), len(payoffs)
    # A ray lists its distance from every half-space: weights, then value − payoff of each move of the other.
    rays = [
        [int(k == i) for k in range(own)] + [first[i] - row[i] for row in payoffs] for i in range(own)
    ]  # (own, own + others)
    rays.append([0] * own + [1] * others)  # upwards, the one direction without end
    done, work = (1 << (own + 1)) - 1, _Work()
    for place in range(own + 1, own + others):
        rays = _cut(rays, place, done, own + 1, work)
        done |= 1 << place
    return [
        Vertex(tuple(ray[:own]), ray[own] + sum(map(int.__mul__, first, ray)), _zeros(ray))
        for ray in rays
        if any(ray[:own])
    ]


class _Work:
    """What the enumeration has done so far."""

    def __init__(self) -> None:
        self.done = 0

    def spend(self, comparisons: int) -> None:
        """Count comparisons that are about to be made.

        Raises:
            UsageError: They are too many.
        """
        self.done += comparisons
        if self.done > MOST_WORK:
            raise _too_large(f"its best responses take more than {MOST_WORK:,} comparisons")


def _too_large(why: str) -> UsageError:
    return UsageError(
        f"nash: this game is too large for a list of all equilibria ({why}); find_nash() finds one equilibrium at any size"
    )


def _cut(rays: list[list[int]], place: int, done: int, dimension: int, work: _Work) -> list[list[int]]:
    """Keep what lies on the good side of one more half-space, and add where its boundary cuts an edge."""
    above = [k for k, ray in enumerate(rays) if ray[place] > 0]
    below = [k for k, ray in enumerate(rays) if ray[place] < 0]
    if not below:
        return rays
    masks = [_zeros(ray) & done for ray in rays]
    pairs = _edges(masks, above, below, dimension - 2, work)
    kept = [ray for ray in rays if ray[place] >= 0]
    if len(kept) + len(pairs) > MOST_VERTICES:
        raise _too_large(f"its best responses meet in more than {MOST_VERTICES:,} corners")
    work.spend(_PLAIN * len(pairs) * len(rays[0]))
    return kept + [_between(rays[high], rays[low], place) for high, low in pairs]


def _between(high: list[int], low: list[int], place: int) -> list[int]:
    """Return the ray on the edge from ``high`` to ``low`` that lies on the boundary ``place``, in lowest terms."""
    up, down = high[place], -low[place]
    ray = [down * a + up * b for a, b in zip(high, low, strict=True)]
    divisor = math.gcd(*ray)
    return ray if divisor == 1 else [number // divisor for number in ray]


def _edges(masks: list[int], above: list[int], below: list[int], needed: int, work: _Work) -> list[tuple[int, int]]:
    """Return the pairs (above, below) of neighbours: no third ray lies on every half-space that the two share."""
    if len(masks) >= _BATCH and max(masks).bit_length() <= _WORD:
        return _edges_batched(np.array(masks, dtype=np.int64), above, below, needed, work)
    found = []
    for high in above:
        work.spend(_PLAIN * len(below))
        for low in below:
            common = masks[high] & masks[low]
            if common.bit_count() < needed:
                continue
            work.spend(_PLAIN * len(masks))
            if sum(common & mask == common for mask in masks) == 2:
                found.append((high, low))
    return found


def _edges_batched(
    masks: NDArray[np.int64], above: list[int], below: list[int], needed: int, work: _Work
) -> list[tuple[int, int]]:
    found = []
    lows = np.array(below)
    rows = _CHUNK // len(masks) + 1
    for high in above:
        common = masks[high] & masks[lows]  # (below,)
        likely = np.flatnonzero(np.bitwise_count(common) >= needed)
        work.spend(len(below) + len(likely) * len(masks))
        for first in range(0, len(likely), rows):
            some = likely[first : first + rows]
            shared = common[some, None]
            alone = ((shared & masks) == shared).sum(axis=1) == 2
            found += [(high, int(low)) for low in lows[some][alone]]
    return found


def _zeros(ray: list[int]) -> int:
    mask = 0
    for place, number in enumerate(ray):
        if not number:
            mask |= 1 << place
    return mask
