"""How much better than its likes a turn, or an episode, was: advantages from both parties' returns.

Returns come as one row for each episode or turn and one column for each party (user, assistant); under ``esr`` there is one
column, which holds welfare. ``labels`` say which rows are alike, so that groups may have lost members and turns may be compared
with turns at the same place. The parties' columns stay apart until ``weights`` join them:

* ``grpo``: columns are joined, then centred by their group's mean, and divided by the spread of the group or of the batch (GRPO,
  arXiv 2402.03300; by the batch: Lite PPO, 2508.08221; not at all: Dr. GRPO, 2503.20783);
* ``rloo``: joined, and each compared with the mean of the *others* in its group (2402.14740);
* ``gdpo``: each column is normalised within its group, then joined, then normalised over the batch (2601.05242). Where one party
  gains what the other loses, equally weighted columns cancel to 0: no advantage is left, while a welfare function still ranks;
* ``gae``: each party has values of its own, and advantages over the turns of an episode (``party_gae``).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gtalign_env.errors import UsageError

__all__ = [
    "EPS",
    "ESTIMATORS",
    "SCALES",
    "advantages",
    "party_gae",
    "rescaled",
    "returns_to_go",
    "signal",
    "telescoped",
]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

ESTIMATORS: tuple[str, ...] = ("grpo", "rloo", "gdpo", "gae")
SCALES: tuple[str, ...] = ("group", "batch", "none")
EPS = 1e-4
"""Added to a spread that is divided by, as TRL and GDPO do."""
_ALIKE = 1e-9
"""Returns that differ by less do not differ."""


def advantages(
    returns: ArrayLike,
    labels: Sequence[ArrayLike],
    weights: ArrayLike,
    *,
    estimator: str = "grpo",
    scale: str = "batch",
) -> Floats:
    """Return one advantage for each row, by comparison with rows of the same label.

    Args:
        returns: (N, P) returns of P parties.
        labels: Labellings (N,) of rows that are alike, the finest first. A row that is alone under one is compared by the next;
            one that is alone under all has nothing to be compared with, and an advantage of 0.
        weights: (P,) what a party's return is worth (``Objective.weights``), or (N, P) for each row, as at different prices; 1
            under ``esr``.
        estimator: ``grpo``, ``rloo`` or ``gdpo``.
        scale: What ``grpo`` and ``rloo`` divide by: the spread of the ``group`` (``grpo`` alone), of the ``batch``, or ``none``.
            ``gdpo`` has its own.

    Returns:
        (N,) advantages.

    Raises:
        UsageError: Shapes do not fit, or a name is unknown.

    Example:
        >>> both = [[4, 1], [0, 1], [2, 3], [2, 1]]  # two groups of two: in the first the user's return differs
        >>> advantages(both, [[0, 0, 1, 1]], [0.5, 0.5], scale="none").tolist()
        [1.0, -1.0, 0.5, -0.5]
        >>> advantages(both, [[0, 0, 1, 1]], [0.5, 0.5], estimator="rloo", scale="none").tolist()
        [2.0, -2.0, 1.0, -1.0]
    """
    rows, party = _shaped(returns), np.asarray(weights, dtype=np.float64)
    if party.shape not in ((rows.shape[1],), rows.shape):
        raise UsageError(f"weights: expected one for each of {rows.shape[1]} parties, got shape {party.shape}")
    if estimator not in ("grpo", "rloo", "gdpo") or scale not in SCALES:
        raise UsageError(
            f"expected grpo, rloo or gdpo and a scale of {', '.join(SCALES)}, got {estimator!r}, {scale!r}"
        )
    groups = _labelled([np.asarray(label) for label in labels], len(rows))
    if estimator == "gdpo":
        each = np.stack([_centred(column, groups, by_spread=True) for column in rows.T], axis=1)
        return _normalised((each * party).sum(axis=1))
    joined = (rows * party).sum(axis=1)
    if estimator == "rloo":
        return rescaled(_centred(joined, groups, others=True), "none" if scale == "group" else scale)
    return rescaled(_centred(joined, groups, by_spread=scale == "group"), "none" if scale == "group" else scale)


def rescaled(made: Floats, scale: str = "batch") -> Floats:
    """Return advantages divided by their spread over the batch, or as they are.

    Example:
        >>> np.round(rescaled(np.array([-2.0, 2.0, 0.0]))).tolist()
        [-1.0, 1.0, 0.0]
    """
    if scale != "batch" or len(made) < 2:
        return made
    spread = float(np.sqrt(np.square(made).sum() / (len(made) - 1)))
    return made / (spread + EPS)


def signal(returns: ArrayLike, labels: ArrayLike) -> Floats:
    """Return for each party the share of groups in which its returns differ: where all are alike there is nothing to learn.

    Example:
        >>> signal([[4, 1], [0, 1], [2, 3], [2, 1]], [0, 0, 1, 1]).tolist()
        [0.5, 0.5]
    """
    rows, groups = _shaped(returns), np.asarray(labels)
    if not len(rows):
        return np.zeros(rows.shape[1])
    differ = [np.ptp(rows[groups == label], axis=0) > _ALIKE for label in np.unique(groups)]
    return np.asarray(np.mean(differ, axis=0), dtype=np.float64)


def returns_to_go(payoffs: ArrayLike, gamma: float = 1.0) -> Floats:
    """Return what each party has from a turn on, shape (turns, P).

    Example:
        >>> returns_to_go([[1, 0], [0, 2], [4, 1]], gamma=0.5).tolist()
        [[2.0, 1.25], [2.0, 2.5], [4.0, 1.0]]
    """
    rows = _shaped(payoffs).copy()
    for turn in range(len(rows) - 2, -1, -1):
        rows[turn] += gamma * rows[turn + 1]
    return rows


def telescoped(values: ArrayLike) -> Floats:
    """Return what each turn adds to the welfare of the sums so far, shape (turns, 1): they add up to the last one.

    What came before a turn is no consequence of it, so taking it off leaves the gradient of expected welfare as it is.

    Args:
        values: (turns,) welfare of both sums after each turn; before the first it is that of (0, 0), which is 0.

    Example:
        >>> telescoped([2.0, 3.0, 2.5]).tolist()
        [[2.0], [1.0], [-0.5]]
    """
    made = np.asarray(values, dtype=np.float64)
    return np.diff(made, prepend=0.0)[:, None]


def party_gae(payoffs: ArrayLike, values: ArrayLike, *, gamma: float = 1.0, lam: float = 0.95) -> Floats:
    """Return each party's generalised advantages over the turns of one episode (Schulman et al. 2016), shape (turns, P).

    Args:
        payoffs: (turns, P) what each turn paid.
        values: (turns, P) what was expected from each turn on; after the last one nothing follows.
        gamma: Discount from turn to turn.
        lam: 1 compares the return with the value, 0 looks one turn ahead.

    Example:
        >>> party_gae([[1.0], [3.0]], [[2.0], [2.0]], lam=1.0).tolist()
        [[2.0], [1.0]]
        >>> party_gae([[1.0], [3.0]], [[2.0], [2.0]], lam=0.0).tolist()
        [[1.0], [1.0]]
    """
    paid, expected = _shaped(payoffs), _shaped(values)
    if paid.shape != expected.shape:
        raise UsageError(f"values: expected shape {paid.shape}, as the payoffs, got {expected.shape}")
    following = np.vstack([expected[1:], np.zeros((1, paid.shape[1]))])
    return returns_to_go(paid + gamma * following - expected, gamma * lam)


def _shaped(rows: ArrayLike) -> Floats:
    made = np.asarray(rows, dtype=np.float64)
    if made.ndim != 2:
        raise UsageError(f"expected a row for each episode or turn and a column for each party, got shape {made.shape}")
    return made


def _labelled(labels: Sequence[NDArray[np.generic]], count: int) -> list[Ints]:
    """Return for each row the places of those that it is compared with, itself among them."""
    left = np.arange(count)
    groups: list[Ints] = [np.array([row]) for row in range(count)]
    for label in labels:
        if label.shape != (count,):
            raise UsageError(f"labels: expected one for each of {count} rows, got shape {label.shape}")
        _, which = np.unique(label, return_inverse=True)
        members = [np.flatnonzero(which == number) for number in range(which.max(initial=-1) + 1)]
        for row in left:
            groups[row] = members[which[row]]
        left = np.array([row for row in left if len(groups[row]) < 2], dtype=np.int64)
    return groups


def _centred(column: Floats, groups: Sequence[Ints], *, by_spread: bool = False, others: bool = False) -> Floats:
    """Return each row less its group's mean, or the mean of the others in it; divided by the group's spread on request."""
    made = np.zeros(len(column))
    for row, group in enumerate(groups):
        if len(group) < 2:
            continue
        alike = column[group]
        made[row] = column[row] - alike.mean()
        if others:
            made[row] *= len(group) / (len(group) - 1)
        if by_spread:
            made[row] /= alike.std(ddof=1) + EPS
    return made


def _normalised(made: Floats) -> Floats:
    if len(made) < 2:
        return np.zeros(len(made))
    return (made - float(made.mean())) / (float(made.std(ddof=1)) + EPS)
