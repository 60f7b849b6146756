"""Which of the 144 kinds of 2×2 game is it? Ordinal classes, their names, and indices of dilemma and conflict.

Each player's four payoffs are ranked from 1, worst, to 4, best; equal payoffs share the mean of their ranks. Games that
differ only in the order of rows and columns are of one class: 144 without ties (Robinson and Goforth 2005), 78 if the players
may be exchanged as well (Rapoport and Guyer 1966).

Names follow Bruns (2015, "Names for Games", Games 6(4)): turn the game so that the user's 4 is in the right-hand column and the
assistant's 4 in the upper row; then each player's ranks are those of one of the twelve symmetric games, and the game is named
``user's game/assistant's game``, or by the one name where both are the same.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gtalign_env.errors import UsageError
from gtalign_env.games.cells import as_bimatrix, move_names, pure_nash_cells

__all__ = ["SYMMETRIC_GAMES", "Class2x2", "Dilemma", "all_classes", "classify", "ranks", "subgame_classes"]

Ranks = tuple[float, float, float, float]

SYMMETRIC_GAMES: dict[str, str] = {
    "TRPS": "Prisoner's Dilemma",
    "TRSP": "Chicken",
    "TSRP": "Battle of the Sexes",
    "STRP": "Hero",
    "SRTP": "Compromise",
    "SRPT": "Deadlock",
    "RTPS": "Stag Hunt",
    "RPTS": "Assurance",
    "RPST": "Coordination",
    "RSPT": "Peace",
    "RSTP": "Harmony",
    "RTSP": "Concord",
}
"""The symmetric games without ties, by the order of their payoffs from best to worst: reward R if both make the first move,
punishment P if both make the second (the moves are listed so that R > P), temptation T for the second against the first,
sucker's payoff S for the first against the second."""

_TIE = 1e-9
"""Payoffs this near are equal, as a share of the player's largest absolute payoff."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Dilemma:
    """The payoffs of a symmetric 2×2 game, and what they tempt to.

    Example:
        >>> pd = Dilemma(reward=3, sucker=0, temptation=5, punishment=1)
        >>> pd.greed, pd.fear, pd.cooperation_index, pd.is_social_dilemma
        (2, 1, 0.4, True)
    """

    reward: float
    """R: both make the cooperative move, the one that is better if both make it. Utils, as all of these."""
    sucker: float
    """S: one's own is the cooperative move, the other's is not."""
    temptation: float
    """T: the other's is the cooperative move, one's own is not."""
    punishment: float
    """P: neither makes it."""

    @property
    def greed(self) -> float:
        """T − R: what leaving mutual cooperation brings."""
        return self.temptation - self.reward

    @property
    def fear(self) -> float:
        """P − S: what cooperating against the other move costs."""
        return self.punishment - self.sucker

    @property
    def cooperation_index(self) -> float | None:
        """K = (R − P) / (T − S) (Rapoport and Chammah 1965); ``None`` where T = S."""
        span = self.temptation - self.sucker
        return (self.reward - self.punishment) / span if span else None

    @property
    def is_social_dilemma(self) -> bool:
        """R > P, R > S, 2R > T + S, and greed or fear (Macy and Flache 2002)."""
        cooperation_is_best = self.reward > max(self.punishment, self.sucker, (self.temptation + self.sucker) / 2)
        return cooperation_is_best and (self.greed > 0 or self.fear > 0)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Class2x2:
    """The ordinal class of a 2×2 game.

    Example:
        >>> pd = classify([[3, 0], [5, 1]], [[3, 5], [0, 1]], ("C", "D"), ("C", "D"))
        >>> pd.name, pd.symmetric, pd.pure_nash, pd.dominant, pd.conflict, pd.win_win
        ("Prisoner's Dilemma", True, 1, 2, -0.8, False)
    """

    user_ranks: Ranks
    """The user's ranks, row by row, as the game was given."""
    assistant_ranks: Ranks
    """The assistant's ranks, row by row."""
    id: str
    """The same for games that differ in the order of rows and columns: ranks row by row, the user's before the assistant's, in
    the order that reads largest."""
    unordered_id: str
    """The same also for games in which the players are exchanged."""
    names: tuple[str, ...]
    """The name; several where ties in a symmetric game put it between several; none for another game with ties."""
    symmetric: bool
    """Whether the players may be exchanged, after some reordering of rows and columns."""
    ties: bool
    """Whether a player is indifferent between some cells."""
    pure_nash: int
    """How many cells are pure Nash equilibria."""
    dominant: int
    """How many players have a strictly dominant move."""
    win_win: bool
    """Whether one cell is best for both."""
    conflict: float | None
    """Spearman's rank correlation of both payoffs: 1 common interest, −1 pure conflict; ``None`` if one is always indifferent."""
    dilemma: Dilemma | None
    """R, S, T, P and what follows; ``None`` unless the payoffs themselves are symmetric."""
    risk_dominant: tuple[str, str] | None
    """(row, column) of the risk-dominant one of two strict pure equilibria (Harsanyi and Selten 1988); ``None`` if there
    are no two, or neither dominates."""

    @property
    def name(self) -> str:
        """The name; alternatives joined by ``or``; empty where there is none."""
        return " or ".join(self.names)


def classify(
    user: ArrayLike, assistant: ArrayLike, user_moves: Sequence[str] = (), assistant_moves: Sequence[str] = ()
) -> Class2x2:
    """Return the class of a 2×2 game.

    Args:
        user: The user's payoffs, shape (2, 2).
        assistant: The assistant's payoffs, shape (2, 2).
        user_moves: Names of the rows; numbered from 1 when empty.
        assistant_moves: Names of the columns; numbered from 1 when empty.

    Raises:
        UsageError: The game is not 2×2 (``subgame_classes`` takes larger ones) or no bimatrix of finite numbers.

    Example:
        >>> classify([[3, 0], [2, 1]], [[3, 2], [0, 1]]).name
        'Stag Hunt'
    """
    rows, columns = as_bimatrix(user, assistant)
    if rows.shape != (2, 2):
        raise UsageError(
            f"2x2 class: expected a game of two by two moves, got {rows.shape[0]}x{rows.shape[1]}; subgame_classes() "
            "classifies every pair of rows and columns"
        )
    names = move_names(user_moves, "rows", 2), move_names(assistant_moves, "columns", 2)
    mine, theirs = ranks(rows), ranks(columns)
    best = (mine == mine.max()) & (theirs == theirs.max())
    orders = list(_relabelled(mine, theirs))
    symmetric = any(np.array_equal(a, b.T) for a, b in orders)
    ties = len(np.unique(mine)) < 4 or len(np.unique(theirs)) < 4
    return Class2x2(
        user_ranks=_four(mine),
        assistant_ranks=_four(theirs),
        id=_identity(mine, theirs),
        unordered_id=max(_identity(mine, theirs), _identity(theirs.T, mine.T)),
        names=_names(mine, theirs, symmetric=symmetric, ties=ties),
        symmetric=symmetric,
        ties=ties,
        pure_nash=int(pure_nash_cells(mine, theirs).sum()),
        dominant=sum(bool((table[0] > table[1]).all() or (table[0] < table[1]).all()) for table in (mine, theirs.T)),
        win_win=bool(best.any()),
        conflict=_correlation(mine, theirs),
        dilemma=_dilemma(rows, columns),
        risk_dominant=_risk_dominant(rows, columns, mine, theirs, names),
    )


def subgame_classes(
    user: ArrayLike, assistant: ArrayLike, user_moves: Sequence[str] = (), assistant_moves: Sequence[str] = ()
) -> dict[tuple[tuple[str, str], tuple[str, str]], Class2x2]:
    """Return the class of every 2×2 game that two rows and two columns of a game make, by the names of its moves.

    Args:
        user: The user's payoffs, shape (m, n).
        assistant: The assistant's payoffs, shape (m, n).
        user_moves: Names of the rows; numbered from 1 when empty.
        assistant_moves: Names of the columns; numbered from 1 when empty.

    Raises:
        UsageError: The arrays are no bimatrix of finite numbers, or the names do not fit.

    Example:
        >>> found = subgame_classes([[1, 4, 1], [0, 3, 2]], [[1, 0, 0], [1, 3, 1]], ("VQ", "DQ"), ("DA", "AQ", "CQ"))
        >>> len(found), found[("VQ", "DQ"), ("DA", "AQ")].pure_nash
        (3, 1)
    """
    rows, columns = as_bimatrix(user, assistant)
    mine = move_names(user_moves, "rows", rows.shape[0])
    theirs = move_names(assistant_moves, "columns", rows.shape[1])
    found = {}
    for i in itertools.combinations(range(rows.shape[0]), 2):
        for j in itertools.combinations(range(rows.shape[1]), 2):
            pair = (mine[i[0]], mine[i[1]]), (theirs[j[0]], theirs[j[1]])
            found[pair] = classify(rows[np.ix_(i, j)], columns[np.ix_(i, j)], *pair)
    return found


def all_classes(*, exchange: bool = False) -> tuple[Class2x2, ...]:
    """Return all ordinal 2×2 games without ties, one per class, in the order of their ids.

    Args:
        exchange: Whether games that exchange the players are one class: 78 instead of 144.

    Example:
        >>> len(all_classes()), len(all_classes(exchange=True))
        (144, 78)
    """
    found: dict[str, Class2x2] = {}
    orders = [np.array(order, dtype=np.float64).reshape(2, 2) for order in itertools.permutations((4, 3, 2, 1))]
    for mine, theirs in itertools.product(orders, orders):
        identity = _identity(mine, theirs)
        if exchange:
            identity = max(identity, _identity(theirs.T, mine.T))
        if identity not in found:
            found[identity] = classify(mine, theirs)
    return tuple(found[identity] for identity in sorted(found, reverse=True))


def ranks(payoffs: ArrayLike) -> NDArray[np.float64]:
    """Return the ranks of payoffs from 1, the worst; equal ones share the mean of their ranks.

    Payoffs that differ by at most 1e-9 of the largest absolute one are equal.

    Example:
        >>> ranks([[3, 0], [1, 1]]).tolist()
        [[4.0, 1.0], [2.5, 2.5]]
    """
    table = np.asarray(payoffs, dtype=np.float64)
    order = np.argsort(table, axis=None, kind="stable")
    steps = np.diff(table.ravel()[order]) > _TIE * float(np.abs(table).max())
    group = np.concatenate([[0], np.cumsum(steps)])
    places = np.arange(1.0, table.size + 1.0)
    means = np.bincount(group, places) / np.bincount(group)
    found = np.empty(table.size)
    found[order] = means[group]
    return found.reshape(table.shape)


def _relabelled(
    mine: NDArray[np.float64], theirs: NDArray[np.float64]
) -> Iterator[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Yield the game in its four orders of rows and columns, as it is first."""
    for rows, columns in itertools.product((slice(None), slice(None, None, -1)), repeat=2):
        yield mine[rows, columns], theirs[rows, columns]


def _identity(mine: NDArray[np.float64], theirs: NDArray[np.float64]) -> str:
    most = max((_four(a), _four(b)) for a, b in _relabelled(mine, theirs))
    return "|".join(" ".join(f"{rank:g}" for rank in side) for side in most)


def _four(table: NDArray[np.float64]) -> Ranks:
    a, b, c, d = table.ravel().tolist()
    return a, b, c, d


def _names(mine: NDArray[np.float64], theirs: NDArray[np.float64], *, symmetric: bool, ties: bool) -> tuple[str, ...]:
    if not ties:
        own, other = _pattern_name(mine, theirs)
        return (own if own == other else f"{own}/{other}",)
    if not symmetric:
        return ()
    table = next(a for a, b in _relabelled(mine, theirs) if np.array_equal(a, b.T))
    found: dict[str, None] = {}
    for strict in _without_ties(table):
        own, _ = _pattern_name(strict, strict.T)
        found[own] = None
    return tuple(name for name in SYMMETRIC_GAMES.values() if name in found)


def _pattern_name(mine: NDArray[np.float64], theirs: NDArray[np.float64]) -> tuple[str, str]:
    """Return the symmetric games that have the user's and the assistant's ranks, after Bruns' turn."""
    for a, b in _relabelled(mine, theirs):
        if 4 in a[:, 1] and 4 in b[0]:
            return _turned()[_four(a)], _turned()[_four(b[::-1, ::-1].T)]
    raise AssertionError("some order of rows and columns puts the user's 4 to the right and the assistant's 4 up")


@functools.cache
def _turned() -> dict[Ranks, str]:
    """Return the user's ranks in each symmetric game, turned so that its 4 is to the right."""
    found = {}
    for order, name in SYMMETRIC_GAMES.items():
        rank = dict(zip(order, (4.0, 3.0, 2.0, 1.0), strict=True))
        table = np.array([[rank["R"], rank["S"]], [rank["T"], rank["P"]]])
        # The turned game is its own mirror image, so of the two orders with the 4 to the right only one is meant.
        turned = next(a for a, b in _relabelled(table, table.T) if 4 in a[:, 1] and 4 in b[0])
        found[_four(turned)] = name
    return found


def _without_ties(table: NDArray[np.float64]) -> Iterator[NDArray[np.float64]]:
    """Yield every strict order that breaks the ties of a table of ranks."""
    flat = table.ravel()
    for order in itertools.permutations((1.0, 2.0, 3.0, 4.0)):
        strict = np.array(order)
        if all(strict[i] < strict[j] for i in range(4) for j in range(4) if flat[i] < flat[j]):
            yield strict.reshape(2, 2)


def _correlation(mine: NDArray[np.float64], theirs: NDArray[np.float64]) -> float | None:
    a, b = mine.ravel() - 2.5, theirs.ravel() - 2.5
    size = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / size if size else None


def _dilemma(rows: NDArray[np.float64], columns: NDArray[np.float64]) -> Dilemma | None:
    margin = _TIE * float(max(np.abs(rows).max(), np.abs(columns).max()))
    for a, b in _relabelled(rows, columns):
        if np.abs(a - b.T).max() <= margin and a[0, 0] >= a[1, 1]:
            r, s, t, p = _four(a)
            return Dilemma(reward=r, sucker=s, temptation=t, punishment=p)
    return None


def _risk_dominant(
    rows: NDArray[np.float64],
    columns: NDArray[np.float64],
    mine: NDArray[np.float64],
    theirs: NDArray[np.float64],
    names: tuple[tuple[str, ...], tuple[str, ...]],
) -> tuple[str, str] | None:
    """Compare what both lose by leaving either equilibrium alone: the larger product is risk-dominant."""
    for j in (0, 1):  # the equilibria are (0, j) and (1, 1 − j)
        first, second = (0, j), (1, 1 - j)
        strict = all(
            mine[cell] > mine[1 - cell[0], cell[1]] and theirs[cell] > theirs[cell[0], 1 - cell[1]]
            for cell in (first, second)
        )
        if strict:
            losses = [(rows[i, k] - rows[1 - i, k]) * (columns[i, k] - columns[i, 1 - k]) for i, k in (first, second)]
            if abs(losses[0] - losses[1]) <= _TIE * max(losses):
                return None
            i, k = first if losses[0] > losses[1] else second
            return names[0][i], names[1][k]
    return None
