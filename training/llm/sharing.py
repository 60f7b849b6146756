"""Rows with a common beginning go through the model together: what they share is read once.

All turns begin with the same instructions, and the games of a group with the same question. So rows are packed: the common trunk,
then every row's own rest, each rest seeing the trunk and itself alone, and standing at the places that it has in its row. What
comes out is what each row by itself would give, up to rounding; for short replies behind long prompts in a fraction of the time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gtalign_env.training.llm.trajectory import Turn, bunches

__all__ = ["Packed", "bunched", "clusters", "fits", "pack"]

_MOST = 2048
"""Tokens of a pack, unless a single row has more: a mask has as many entries squared."""


class Packed(NamedTuple):
    """Some rows as B packs of at most T tokens."""

    ids: NDArray[np.int64]
    """(B, T), filled up with 0."""
    positions: NDArray[np.int64]
    """(B, T): the place of each token in its row."""
    seen: NDArray[np.bool_]
    """(B, T, T): which tokens each token sees. Fillers see themselves."""
    packs: NDArray[np.int64]
    """(R,): the pack of each row."""
    trunks: NDArray[np.int64]
    """(R,): how many of its first tokens are in the trunk."""
    offsets: NDArray[np.int64]
    """(R,): how much further on the tokens after the trunk stand in the pack than in the row."""

    def find(self, rows: NDArray[np.int64], places: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return where tokens are: from row and place to pack and place in it."""
        shift = np.where(places >= self.trunks[rows], self.offsets[rows], 0)
        return self.packs[rows], places + shift


def fits(model: Any) -> bool:
    """Return whether a model can be told what each token sees: every layer sees the whole text, by plain attention."""
    from gtalign_env.agents.backends.running import Runner
    from gtalign_env.training.llm.distributed import unwrapped

    base = unwrapped(model)
    return Runner.fits(base) and getattr(base.config, "_attn_implementation", "") in ("sdpa", "eager")


def clusters(turns: Sequence[Turn], width: int) -> list[list[int]]:
    """Return rows in clusters that are cheaper to read together than alone, in the order of their first rows.

    Args:
        turns: Rows.
        width: Of the model (its hidden size): the wider it is, the more a token costs beside what it sees.

    Example:
        >>> def turn(*ids):
        ...     zeros = np.zeros(len(ids))
        ...     return Turn(ids=np.array(ids), mask=np.arange(len(ids)) == len(ids) - 1, logprobs=zeros, free=zeros)
        >>> clusters([turn(1, 1, 1, 2), turn(5, 6), turn(1, 1, 1, 3)], width=64)
        [[0, 2], [1]]
    """
    order = sorted(range(len(turns)), key=lambda row: turns[row].ids.tolist())
    made: list[list[int]] = []
    trunk = length = 0
    for row in order:
        turn = turns[row]
        own = int(np.argmax(turn.mask))
        if made:
            shared = min(trunk, own, _common(turns[made[-1][-1]].ids, turn.ids))
            rests = length + (len(made[-1]) - 1) * trunk - len(made[-1]) * shared  # of the rows so far
            joined = rests + len(turn)
            cap = max(_MOST, len(turn), length)
            if joined <= cap and _cost(joined, width) < _cost(length, width) + _cost(len(turn), width):
                made[-1].append(row)
                trunk, length = shared, joined
                continue
        made.append([row])
        trunk, length = own, len(turn)
    return sorted((sorted(cluster) for cluster in made), key=lambda cluster: cluster[0])


def bunched(turns: Sequence[Turn], most: int, width: int) -> list[list[int]]:
    """Return rows in bunches of at most so many tokens, padding included and what is shared counted once; clusters stay whole.

    Args:
        turns: Rows.
        most: Tokens of a bunch; a cluster that has more is one by itself.
        width: Of the model.
    """
    found = clusters(turns, width)
    sizes = [_size([turns[row] for row in cluster]) for cluster in found]
    return [[row for place in bunch for row in found[place]] for bunch in bunches(sizes, most)]


def pack(turns: Sequence[Turn], width: int) -> Packed:
    """Return rows as packs.

    Args:
        turns: Rows.
        width: Of the model.
    """
    found = clusters(turns, width)
    sizes = [_size([turns[row] for row in cluster]) for cluster in found]
    longest = max(sizes)
    ids = np.zeros((len(found), longest), dtype=np.int64)
    positions = np.zeros_like(ids)
    seen = np.zeros((len(found), longest, longest), dtype=np.bool_)
    seen[:, np.arange(longest), np.arange(longest)] = True
    packs, trunks, offsets = (np.zeros(len(turns), dtype=np.int64) for _ in range(3))
    for number, cluster in enumerate(found):
        trunk = _trunk([turns[row] for row in cluster])
        ids[number, :trunk] = turns[cluster[0]].ids[:trunk]
        positions[number, :trunk] = np.arange(trunk)
        seen[number, :trunk, :trunk] = np.tri(trunk, dtype=np.bool_)
        start = trunk
        for row in cluster:
            rest = turns[row].ids[trunk:]
            end = start + len(rest)
            ids[number, start:end] = rest
            positions[number, start:end] = np.arange(trunk, trunk + len(rest))
            seen[number, start:end, :trunk] = True
            seen[number, start:end, start:end] = np.tri(len(rest), dtype=np.bool_)
            packs[row], trunks[row], offsets[row] = number, trunk, start - trunk
            start = end
    return Packed(ids, positions, seen, packs, trunks, offsets)


def _cost(length: int, width: int) -> float:
    """Return the work of reading so many tokens, in some unit: for each token itself, and for all that it sees."""
    return length * (3.0 * width + length)


def _common(one: NDArray[np.int64], other: NDArray[np.int64]) -> int:
    shorter = min(len(one), len(other))
    differ = one[:shorter] != other[:shorter]
    return int(np.argmax(differ)) if differ.any() else shorter


def _trunk(turns: Sequence[Turn]) -> int:
    """Return how many tokens all rows begin with, up to the first that any of them sampled."""
    first = turns[0].ids
    return min(min(_common(first, turn.ids), int(np.argmax(turn.mask))) for turn in turns)


def _size(turns: Sequence[Turn]) -> int:
    trunk = _trunk(turns)
    return trunk + sum(len(turn) - trunk for turn in turns)
