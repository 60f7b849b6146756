"""What one side of a division may believe about the other's values, and the fair offers that follow from it.

After the negotiation workflow of Hua et al. (2024, arXiv 2411.05990, Algorithm 1). A player knows the items and its own values;
of the other side it knows what all items together are worth to it. Its belief is a weight for each valuation that fits, or
a mask of those that are still possible. It looks for the best share that it can keep without anybody envying anybody.
All functions are pure; shares and valuations are named by their index.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gtalign_env.errors import UsageError
from gtalign_env.games.division import Division, all_shares
from gtalign_env.games.division_space import valuations
from gtalign_env.types import Role

__all__ = [
    "Chair",
    "accepts",
    "after_offer",
    "after_rejection",
    "belief_coverage",
    "belief_reduction",
    "belief_sharpness",
    "best_offer",
    "chance_of_no_envy",
]

Belief = NDArray[Any]
"""(valuations,): a weight >= 0 for each valuation of the other side, or a mask."""


@dataclasses.dataclass(frozen=True)
class Chair:
    """What one side of a division knows before anything is said, worked out for every share and every valuation.

    Args:
        counts: Items of each kind.
        values: Worth of one item of each kind to whoever sits here.

    Example:
        >>> chair = Chair((1, 1, 3), (1, 3, 2))
        >>> len(chair.valuations), len(chair.shares), chair.shares[chair.worth.argmax()].tolist()
        (26, 16, [1, 1, 3])
    """

    counts: tuple[int, ...]
    """(kinds,)"""
    values: tuple[int, ...]
    """(kinds,): utils per item."""

    @classmethod
    def of(cls, division: Division, role: Role) -> Chair:
        """Return the role's chair at a division."""
        return cls(division.counts, division.values(role))

    @functools.cached_property
    def shares(self) -> NDArray[np.int64]:
        """(shares, kinds): what may be kept, in lexicographic order; the last is everything."""
        return all_shares(self.counts)

    @functools.cached_property
    def worth(self) -> NDArray[np.int64]:
        """(shares,): worth of each share to whoever sits here, utils."""
        worth: NDArray[np.int64] = self.shares @ np.array(self.values)
        return worth

    @functools.cached_property
    def fair(self) -> NDArray[np.bool_]:
        """(shares,): where whoever sits here does not envy the other side."""
        fair: NDArray[np.bool_] = 2 * self.worth >= self.worth[-1]
        return fair

    @functools.cached_property
    def valuations(self) -> NDArray[np.int64]:
        """(valuations, kinds): what the other side's values may be."""
        return valuations(self.counts, int(self.worth[-1]))

    @functools.cached_property
    def left(self) -> NDArray[np.int64]:
        """(valuations, shares): worth to the other side of what is left to it, utils."""
        left: NDArray[np.int64] = self.valuations @ (np.array(self.counts) - self.shares).T
        return left

    @functools.cached_property
    def content(self) -> NDArray[np.bool_]:
        """(valuations, shares): where the other side does not envy whoever sits here."""
        content: NDArray[np.bool_] = 2 * self.left >= self.worth[-1]
        return content

    def index(self, share: Sequence[int]) -> int:
        """Return which share it is; what it leaves to the other side stands as far from the end of ``shares``."""
        return int(np.ravel_multi_index(tuple(share), tuple(count + 1 for count in self.counts)))

    def prior(self) -> NDArray[np.bool_]:
        """Return the belief before anything is said: every valuation is possible."""
        return np.ones(len(self.valuations), dtype=np.bool_)

    def where(self, values: tuple[int, ...]) -> NDArray[np.bool_]:
        """Return the mask of one valuation of the other side.

        Raises:
            UsageError: The other side cannot have these values.
        """
        found: NDArray[np.bool_] = (self.valuations == np.array(values)).all(axis=1)
        if not found.any():
            raise UsageError(f"chair: all items are worth {self.worth[-1]} to either side; they are not at {values}")
        return found

    def indistinguishable(self, values: tuple[int, ...]) -> NDArray[np.bool_]:
        """Return the mask of the valuations that would make no difference if the other side's were ``values``.

        Those whose best fair deals (envy-free, of the largest total) are best fair deals under ``values`` too. A valuation
        without any envy-free deal is among them: it would mislead nobody.

        Example:
            >>> chair = Chair((1, 1, 3), (1, 3, 2))
            >>> bool((chair.indistinguishable((1, 0, 3)) >= chair.where((1, 0, 3))).all())
            True
        """
        totals = np.where(self.content & self.fair, self.left + self.worth, -1)  # (valuations, shares)
        best = (totals == totals.max(axis=1, keepdims=True)) & (totals >= 0)
        (true,) = best[self.where(values)]
        misleads: NDArray[np.bool_] = (best & ~true).any(axis=1)
        return ~misleads


# -- beliefs ------------------------------------------------------------------------------------------------------------


def after_offer(chair: Chair, belief: Belief, offered: int, *, proposed: int | None = None) -> NDArray[np.bool_]:
    """Return the valuations that explain why the other side turned a proposal down and offered something else.

    The rule of the study's code. Before a proposal: the other side does not envy at its own offer. After one: either it
    envied there, and does not now (P1), or it did not, and now gets more (P2). Where nothing possible explains the offer,
    all valuations are looked at again; where none does, the belief stays, as it does when the offer is the proposal itself.

    Args:
        chair: Who hears the offer.
        belief: What was possible before.
        offered: The share that the offer leaves to the hearer.
        proposed: The share that the hearer proposed to keep in the turn before, if it did.

    Example:
        >>> chair = Chair((1, 1, 3), (1, 3, 2))
        >>> at = {tuple(share): index for index, share in enumerate(chair.shares.tolist())}
        >>> int(after_offer(chair, chair.prior(), at[0, 1, 0], proposed=at[0, 1, 3]).sum())
        13
    """
    possible = np.asarray(belief) > 0
    if offered == proposed:
        return possible
    explains = chair.content[:, offered]
    if proposed is not None:
        gains = chair.left[:, offered] > chair.left[:, proposed]
        explains = np.where(chair.content[:, proposed], gains, explains)
    for candidates in (possible & explains, explains):
        if candidates.any():
            return candidates
    return possible


def after_rejection(
    chair: Chair, belief: Belief, rejected: int, *, rate: float = 1.0, greed: float = 1.0
) -> NDArray[np.float64]:
    """Return the belief after a proposal was turned down: Algorithm 1 as printed, with its learning rate.

    The likelihood of a refusal is 1 where the other side envies, ``greed`` where it does not but would get more under another
    proposal that may be envy-free, and 0 elsewhere. Where that excludes everything the belief stays.

    Args:
        chair: Who proposed.
        belief: Weights or a mask.
        rejected: The share that was to be kept.
        rate: λ in [0, 1]: how much of the old belief gives way to Bayes' rule.
        greed: γ >= 0: how likely greed is as a reason, compared with envy.

    Returns:
        Weights that sum to 1.

    Example:
        >>> chair = Chair((1, 1, 3), (1, 3, 2))
        >>> softly = after_rejection(chair, chair.prior(), 7, rate=0.5)
        >>> round(float(softly.sum()), 12), bool((softly > 0).all())
        (1.0, True)
    """
    before: NDArray[np.float64] = np.asarray(belief, dtype=np.float64) / np.sum(belief)
    open_to = chance_of_no_envy(chair, before) > 0  # (shares,)
    more = ((chair.left > chair.left[:, [rejected]]) & open_to).any(axis=1)
    likelihood = np.where(chair.content[:, rejected], np.where(more, greed, 0.0), 1.0)
    joint = before * likelihood
    if joint.sum() <= 0.0:
        return before
    after: NDArray[np.float64] = (1.0 - rate) * before + rate * joint / joint.sum()
    return after


# -- offers -------------------------------------------------------------------------------------------------------------


def chance_of_no_envy(chair: Chair, belief: Belief) -> NDArray[np.float64]:
    """Return for each share how likely nobody envies anybody when it is kept; 0 where whoever keeps it would.

    Example:
        >>> chair = Chair((1, 1, 3), (1, 3, 2))
        >>> float(chance_of_no_envy(chair, chair.prior()).max()) < 1.0
        True
    """
    weights = np.asarray(belief, dtype=np.float64)
    return np.where(chair.fair, weights @ chair.content / weights.sum(), 0.0)


def best_offer(chair: Chair, chances: NDArray[np.float64], rejected: NDArray[np.bool_]) -> int | None:
    """Return the share to propose: the one worth most among those that may be envy-free and were not turned down.

    Of several that are worth as much the likeliest to be envy-free, then the first in lexicographic order.

    Args:
        chair: Who proposes.
        chances: From ``chance_of_no_envy``, (shares,).
        rejected: Shares that are out of the question, (shares,).

    Returns:
        Its index, or ``None`` when nothing is left to propose.

    Example:
        >>> chair = Chair((1, 1, 3), (1, 3, 2))
        >>> chances = chance_of_no_envy(chair, chair.prior())
        >>> chair.shares[best_offer(chair, chances, chances > 1.0)].tolist()
        [0, 1, 3]
    """
    possible = np.flatnonzero((chances > 0) & ~rejected)
    if not len(possible):
        return None
    return int(possible[np.lexsort((possible, -chances[possible], -chair.worth[possible]))[0]])


def accepts(chair: Chair, offered: int, proposal: int | None) -> bool:
    """Whether an offered share should be taken: it causes no envy here, and proposing would not bring more.

    Args:
        chair: Who is offered something.
        offered: The share.
        proposal: What would be proposed otherwise, from ``best_offer``.

    Example:
        >>> accepts(Chair((1, 1, 3), (1, 3, 2)), 15, 7)
        True
    """
    return bool(chair.fair[offered] and (proposal is None or chair.worth[offered] >= chair.worth[proposal]))


# -- how good a belief is -------------------------------------------------------------------------------------------------


def belief_coverage(belief: Belief, truth: NDArray[np.bool_]) -> float:
    """Return 1 if the belief still holds the truth possible, else 0 (the study calls it precision).

    Args:
        belief: Weights or a mask, (valuations,).
        truth: Mask of the true valuation (``Chair.where``), or of those that do as well (``Chair.indistinguishable``).

    Example:
        >>> belief_coverage(np.array([True, True, False]), np.array([False, True, False]))
        1.0
    """
    return float(((belief > 0) & truth).any())


def belief_sharpness(belief: Belief, truth: NDArray[np.bool_]) -> float:
    """Return the share of what is held possible that is true, in [0, 1] (the study calls it recall).

    Args:
        belief: Weights or a mask, (valuations,); something must be possible.
        truth: As in ``belief_coverage``.

    Example:
        >>> belief_sharpness(np.array([True, True, False]), np.array([False, True, False]))
        0.5
    """
    possible = belief > 0
    return float((possible & truth).sum() / possible.sum())


def belief_reduction(belief: Belief) -> float:
    """Return the share of all valuations that has been ruled out, in [0, 1).

    Example:
        >>> belief_reduction(np.array([True, False, False, False]))
        0.75
    """
    return float(1.0 - (belief > 0).mean())
