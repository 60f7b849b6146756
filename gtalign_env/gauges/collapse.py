"""Does what the model states depend on what it was asked? Matrices that are the same for every prompt say nothing about any."""

from __future__ import annotations

import collections
import dataclasses
import math
from collections.abc import Hashable, Iterable, Mapping
from typing import Any

import numpy as np

from gtalign_env.games.bimatrix import Bimatrix

__all__ = ["MatrixCollapse", "matrix_collapse", "matrix_key"]

_DECIMALS = 6


@dataclasses.dataclass(frozen=True, kw_only=True)
class MatrixCollapse:
    """How many different matrices were stated.

    Example:
        >>> matrix_collapse([("a", 1), ("b", 1), ("c", 1), ("d", 2)]).most_common_share
        0.75
    """

    n: int
    """Matrices (turns with one that could be read)."""
    prompts: int
    """Different prompts among them."""
    distinct: int
    """Different matrices."""
    most_common: int
    """How often the most frequent one was stated."""
    entropy: float
    """Of the matrices, in bits: 0 is complete collapse."""
    informed: float
    """I(prompt; matrix), in bits: how much of that entropy comes from the prompt. Without repetition of prompts, all of it."""
    within: float | None
    """Mean number of different matrices of a prompt that came more than once; ``None`` where none did."""

    @property
    def most_common_share(self) -> float:
        """The most frequent one's share of all matrices: 1 is complete collapse."""
        return self.most_common / self.n

    @property
    def per_prompt(self) -> float:
        """Different matrices per different prompt: 1 where each prompt has one of its own, near 0 in collapse."""
        return self.distinct / self.prompts

    @property
    def evenness(self) -> float | None:
        """The entropy as a share of what ``n`` different matrices would have; ``None`` for a single one."""
        return self.entropy / math.log2(self.n) if self.n > 1 else None


def matrix_key(matrix: Bimatrix) -> Hashable:
    """Return what is equal for equal matrices: the same moves, and payoffs equal to 6 decimals.

    Example:
        >>> matrix_key(Bimatrix([[0.1 + 0.2]], [[1]])) == matrix_key(Bimatrix([[0.3]], [[1]]))
        True
    """
    sides = (np.round(side, _DECIMALS) + 0.0 for side in (matrix.user, matrix.assistant))
    return matrix.user_moves, matrix.assistant_moves, *(side.tobytes() for side in sides)


def matrix_collapse(stated: Iterable[tuple[Hashable, Hashable]]) -> MatrixCollapse | None:
    """Count matrices.

    Args:
        stated: (prompt, matrix) for each matrix that was stated, as things that are equal where prompts or matrices are.

    Returns:
        The counts; ``None`` where there is none.

    Example:
        >>> found = matrix_collapse([("a", 1), ("a", 2), ("b", 1), ("b", 2)])
        >>> found.distinct, found.entropy, found.informed, found.within
        (2, 1.0, 0.0, 2.0)
    """
    pairs = collections.Counter(stated)
    n = pairs.total()
    if not n:
        return None
    prompts: collections.Counter[Hashable] = collections.Counter()
    matrices: collections.Counter[Hashable] = collections.Counter()
    kinds: collections.Counter[Hashable] = collections.Counter()
    for (prompt, matrix), count in pairs.items():
        prompts[prompt] += count
        matrices[matrix] += count
        kinds[prompt] += 1
    repeated = [kinds[prompt] for prompt, count in prompts.items() if count > 1]
    informed = _entropy(matrices, n) + _entropy(prompts, n) - _entropy(pairs, n)
    return MatrixCollapse(
        n=n,
        prompts=len(prompts),
        distinct=len(matrices),
        most_common=max(matrices.values()),
        entropy=_entropy(matrices, n),
        informed=max(informed, 0.0),
        within=sum(repeated) / len(repeated) if repeated else None,
    )


def _entropy(counts: Mapping[Any, int], n: int) -> float:
    return 0.0 - sum(count / n * math.log2(count / n) for count in counts.values())
