"""What a player gains by committing first, in the sight of the other."""

from __future__ import annotations

import dataclasses
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gtalign_env.errors import UnknownNameError, UsageError
from gtalign_env.games.linear import best_mixture, unit_spread
from gtalign_env.games.maximin import own_view
from gtalign_env.types import Role

__all__ = ["Stackelberg", "Ties", "commitment"]

Ties = Literal["optimistic", "pessimistic"]
"""For whom an indifferent follower decides: ``optimistic`` for the leader (strong), ``pessimistic`` against (weak)."""

_TOLERANCE = 1e-9
"""Gain that does not count, as a share of the spread of the player's payoffs."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stackelberg:
    """The best commitment of a leader, and the follower's answer to it.

    Example:
        >>> Stackelberg(leader="user", commitment=(1.0, 0.0), response=1, user_payoff=2.0, assistant_payoff=1.0).response
        1
    """

    leader: Role
    """Who commits."""
    commitment: tuple[float, ...]
    """The leader's probability of each own move."""
    response: int
    """Index of the follower's move: a best response to the commitment."""
    user_payoff: float
    """The user's expected payoff, utils."""
    assistant_payoff: float
    """The assistant's expected payoff, utils."""


def commitment(
    user: ArrayLike, assistant: ArrayLike, leader: Role, *, mixed: bool = False, ties: Ties = "optimistic"
) -> Stackelberg:
    """Return a Stackelberg equilibrium: the leader's best commitment and the follower's best response.

    A mixed commitment is found by one linear program per move of the follower (Conitzer and Sandholm 2006, "Computing the
    optimal strategy to commit to", section 4). Of equally good commitments the first found is returned.

    Args:
        user: The row player's payoffs, shape (m, n).
        assistant: The column player's payoffs, shape (m, n).
        leader: Who commits, ``"user"`` or ``"assistant"``.
        mixed: Whether the leader may commit to a lottery over moves.
        ties: How an indifferent follower decides. A mixed commitment knows ``"optimistic"`` only: under
            ``"pessimistic"`` the best may be approached but not reached.

    Raises:
        UsageError: The arrays are no bimatrix of finite numbers, a name is unknown, or ``mixed`` with ``"pessimistic"``.

    Example:
        >>> found = commitment([[2, 4], [1, 3]], [[1, 0], [0, 1]], "user", mixed=True)
        >>> [round(share, 9) for share in found.commitment], found.response, round(found.user_payoff, 9)
        ([0.5, 0.5], 1, 3.5)
    """
    own, other = own_view(user, assistant, leader)
    if ties not in ("optimistic", "pessimistic"):
        raise UnknownNameError("rule for ties", ties, ["optimistic", "pessimistic"])
    if mixed and ties == "pessimistic":
        raise UsageError(
            "stackelberg: expected ties='optimistic' with mixed=True, got 'pessimistic': a mixed commitment against an "
            "unkind follower may have no best one; pass mixed=False or leave out ties"
        )
    lottery, response = _lottery(own, other) if mixed else _move(own, other, ties)
    payoffs = float(lottery @ own[:, response]), float(lottery @ other[:, response])
    if leader == "assistant":
        payoffs = payoffs[1], payoffs[0]
    return Stackelberg(
        leader=leader,
        commitment=tuple(lottery.tolist()),
        response=response,
        user_payoff=payoffs[0],
        assistant_payoff=payoffs[1],
    )


def _move(own: NDArray[np.float64], other: NDArray[np.float64], ties: Ties) -> tuple[NDArray[np.float64], int]:
    """Return the best pure commitment, as a lottery, and the answer to it."""
    follower = unit_spread(other)
    best = follower >= follower.max(axis=1, keepdims=True) - _TOLERANCE
    sign = 1.0 if ties == "optimistic" else -1.0
    answers = np.where(best, sign * own, -np.inf).argmax(axis=1)  # (own moves,)
    move = int(own[np.arange(own.shape[0]), answers].argmax())
    return np.eye(own.shape[0])[move], int(answers[move])


def _lottery(own: NDArray[np.float64], other: NDArray[np.float64]) -> tuple[NDArray[np.float64], int]:
    """Return the best mixed commitment and the answer to it."""
    leader, follower = unit_spread(own), unit_spread(other)
    found: list[tuple[float, int, NDArray[np.float64]]] = []
    for response in range(own.shape[1]):
        limits = (follower - follower[:, [response]]).T  # no other answer pays the follower more
        lottery = best_mixture(leader[:, response], limits, own.shape[0])
        if lottery is not None:
            found.append((float(lottery @ leader[:, response]), response, lottery))
    best = max(value for value, _, _ in found)  # some move is always a best response
    return next((lottery, response) for value, response, lottery in found if value >= best - _TOLERANCE)
