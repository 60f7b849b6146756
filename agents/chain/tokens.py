"""How many tokens a move takes: what this model needed for it so far, from a declared prior on."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from gtalign_env.errors import UsageError
from gtalign_env.types import LENGTH_TOKENS

__all__ = ["PRIOR_TOKENS", "TokenStatistics"]

_FOLLOW_UP = 20
PRIOR_TOKENS: Mapping[str, float] = {
    **{f"DA_{length}": float(tokens) for length, tokens in LENGTH_TOKENS.items()},
    **{f"AQ_{length}": float(tokens + _FOLLOW_UP) for length, tokens in LENGTH_TOKENS.items()},
    "DA": float(LENGTH_TOKENS["medium"]),
    "AQ": float(LENGTH_TOKENS["medium"] + _FOLLOW_UP),
    "CQ": 25.0,
    "DECLINE": 50.0,
}
"""Tokens of each move before anything was seen: those of the strategic view; an act without a length counts as medium."""


class TokenStatistics:
    """Running means of reply lengths by move, shrunk towards a prior.

    ``expected(move) = (w·prior + Σ tokens) / (w + n)`` over the n replies that made the move. A matrix whose moves are acts
    (``DA``) is served by the replies of all lengths.

    Args:
        prior: Tokens of each move before anything was seen.
        weight: w: how many replies the prior is worth (>= 0). With 0, a move that was never made keeps its prior.

    Raises:
        UsageError: A number is negative or not finite.

    Example:
        >>> seen = TokenStatistics(weight=1.0)
        >>> seen.add("DA_short", 40)
        >>> seen.expected("DA_short"), seen.expected("DA_long"), seen.expected("DA")
        (50.0, 480.0, 110.0)
    """

    def __init__(self, prior: Mapping[str, float] = PRIOR_TOKENS, *, weight: float = 2.0) -> None:
        for name, tokens in (*prior.items(), ("weight", weight)):
            _check(tokens, f"tokens: {name}")
        self.prior = dict(prior)
        self.weight = float(weight)
        self._seen: dict[str, tuple[int, float]] = {}  # replies, tokens

    def add(self, move: str, tokens: float) -> None:
        """Count a reply that made a move.

        Raises:
            UsageError: The tokens are negative or not finite.
        """
        _check(tokens, "tokens of a reply")
        replies, total = self._seen.get(move, (0, 0.0))
        self._seen[move] = (replies + 1, total + tokens)

    def expected(self, move: str) -> float:
        """Return the tokens that a move is expected to take.

        Raises:
            UsageError: The move was never made, and the prior does not name it either.
        """
        found = [counts for name, counts in self._seen.items() if move in (name, name.partition("_")[0])]
        replies, tokens = sum(count for count, _ in found), sum(total for _, total in found)
        if move not in self.prior:
            if replies:
                return tokens / replies
            raise UsageError(
                f"tokens of move {move!r}: no reply made it, and there is no prior for it; give one, as in "
                f"TokenStatistics({{{move!r}: 100.0}})"
            )
        weight = self.weight if replies else 1.0
        return (weight * self.prior[move] + tokens) / (weight + replies)

    def vector(self, moves: Sequence[str]) -> NDArray[np.float64]:
        """Return the expected tokens of several moves, shape (moves,).

        Example:
            >>> TokenStatistics().vector(["DA_short", "CQ"]).tolist()
            [60.0, 25.0]
        """
        return np.array([self.expected(move) for move in moves], dtype=np.float64)


def _check(number: float, label: str) -> None:
    if isinstance(number, bool) or not isinstance(number, (int, float)) or not 0.0 <= number < math.inf:
        raise UsageError(f"{label}: expected a finite number >= 0, got {number!r}")
