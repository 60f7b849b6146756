"""Iterated removal of dominated moves, with a log of what went and why.

Order of removal: in each round every move of either player that is dominated in the game as it stood when the round began goes,
the user's first, each player's in their order. Under strict dominance any other order leaves the same moves (Gilboa, Kalai and
Zemel 1990). Under weak dominance other orders may leave other moves; removing all at once is the convention that depends on no
order.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gtalign_env.errors import UnknownNameError
from gtalign_env.games.cells import as_bimatrix, move_names
from gtalign_env.games.linear import best_mixture, unit_spread
from gtalign_env.games.rational import to_integers
from gtalign_env.types import Role

__all__ = ["Dominance", "Kind", "Removal", "iterated_dominance"]

Kind = Literal["strict", "weak"]
"""``strict``: better against every move of the other. ``weak``: never worse, and better against one."""

_TOLERANCE = 1e-9
"""Advantage of a mixture that does not count, as a share of the spread of the player's payoffs."""

Mixture = dict[int, float]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Removal:
    """One move that was removed.

    Example:
        >>> Removal(role="user", move="C", by="D", kind="strict", round=1).by
        'D'
    """

    role: Role
    """Whose move it was."""
    move: str
    """The move."""
    by: str | dict[str, float]
    """The move that dominates it, or the probabilities of the mixture that does. These moves are left after the round."""
    kind: Kind
    """How: strictly or weakly."""
    round: int
    """In which round, from 1."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Dominance:
    """What iterated dominance leaves of a game.

    Example:
        >>> iterated_dominance([[3, 0], [5, 1]], [[3, 5], [0, 1]]).user_moves
        ('2',)
    """

    log: tuple[Removal, ...]
    """The removals in order."""
    user_moves: tuple[str, ...]
    """The user's moves that are left."""
    assistant_moves: tuple[str, ...]
    """The assistant's moves that are left."""


def iterated_dominance(
    user: ArrayLike,
    assistant: ArrayLike,
    user_moves: Sequence[str] = (),
    assistant_moves: Sequence[str] = (),
    *,
    kind: Kind = "strict",
    mixed: bool = False,
) -> Dominance:
    """Remove dominated moves until there are none.

    Moves are compared with each other exactly (see ``games.rational``); with mixtures by linear programs, where an advantage
    of at most 1e-9 of the spread of the player's payoffs does not count. A move that dominates by itself is named in
    preference to a mixture.

    Args:
        user: The row player's payoffs, shape (m, n).
        assistant: The column player's payoffs, shape (m, n).
        user_moves: Names of the rows; numbered from 1 when empty.
        assistant_moves: Names of the columns; numbered from 1 when empty.
        kind: ``"strict"`` or ``"weak"``.
        mixed: Whether mixtures of moves may dominate as well.

    Raises:
        UsageError: The arrays are no bimatrix of finite numbers, the names do not fit, or there is no such kind.

    Example:
        >>> found = iterated_dominance([[3, 0], [0, 3], [1, 1]], [[0, 1], [1, 0], [5, 0]], ("T", "M", "B"), mixed=True)
        >>> [(removal.move, removal.by, removal.round) for removal in found.log]
        [('B', {'T': 0.5, 'M': 0.5}, 1)]
    """
    if kind not in ("strict", "weak"):
        raise UnknownNameError("kind of dominance", kind, ["strict", "weak"])
    rows, columns = as_bimatrix(user, assistant)
    names = move_names(user_moves, "rows", rows.shape[0]), move_names(assistant_moves, "columns", rows.shape[1])
    left = list(range(rows.shape[0])), list(range(rows.shape[1]))
    sides = _Side(rows, kind=kind, mixed=mixed), _Side(columns.T, kind=kind, mixed=mixed)
    roles: tuple[Role, Role] = ("user", "assistant")
    log: list[Removal] = []
    while True:
        gone = [sides[k].dominated(left[k], left[1 - k]) for k in (0, 1)]
        if not any(gone):
            break
        turn = log[-1].round + 1 if log else 1
        for k in (0, 1):
            log += [
                Removal(role=roles[k], move=names[k][move], by=_named(by, names[k]), kind=kind, round=turn)
                for move, by in gone[k].items()
            ]
        left = [m for m in left[0] if m not in gone[0]], [m for m in left[1] if m not in gone[1]]
    kept = [tuple(names[k][move] for move in left[k]) for k in (0, 1)]
    return Dominance(log=tuple(log), user_moves=kept[0], assistant_moves=kept[1])


class _Side:
    """One player's payoffs, rows being the player's own moves, and what dominates what in them."""

    def __init__(self, payoffs: NDArray[np.float64], *, kind: Kind, mixed: bool) -> None:
        self.cells = to_integers(payoffs).cells
        self.payoffs = unit_spread(payoffs)
        self.kind = kind
        self.mixed = mixed

    def dominated(self, own: Sequence[int], others: Sequence[int]) -> dict[int, Mixture]:
        """Return the dominated moves among ``own``, each with what dominates it and is itself not dominated."""
        alive, gone = list(own), dict[int, Mixture]()
        for move in own:
            # What is gone already is itself dominated by a mixture of what is alive, so leaving it out loses nothing.
            found = self._dominator(move, [m for m in alive if m != move], others)
            if found is not None:
                alive.remove(move)
                gone[move] = found
        return {move: self._dominator(move, alive, others) or found for move, found in gone.items()}

    def _dominator(self, move: int, candidates: Sequence[int], others: Sequence[int]) -> Mixture | None:
        for other in candidates:
            if self._beats(other, move, others):
                return {other: 1.0}
        return self._mixture(move, candidates, others) if self.mixed and len(candidates) > 1 else None

    def _beats(self, one: int, other: int, columns: Sequence[int]) -> bool:
        mine, theirs = self.cells[one], self.cells[other]
        if self.kind == "strict":
            return all(mine[j] > theirs[j] for j in columns)
        return all(mine[j] >= theirs[j] for j in columns) and any(mine[j] > theirs[j] for j in columns)

    def _mixture(self, move: int, candidates: Sequence[int], others: Sequence[int]) -> Mixture | None:
        """Look for a mixture that dominates: by the largest smallest advantage (strict), or the largest sum (weak)."""
        gains = self.payoffs[np.ix_(candidates, others)] - self.payoffs[move, others]  # (candidates, others)
        if self.kind == "strict":
            limits = np.hstack([-gains.T, np.ones((len(others), 1))])
            z = best_mixture(np.array([0.0] * len(candidates) + [1.0]), limits, len(candidates))
        else:
            z = best_mixture(gains.mean(axis=1), -gains.T, len(candidates))
        if z is None:
            return None
        shares = z[: len(candidates)]
        advantage = shares @ gains
        if (advantage.min() if self.kind == "strict" else advantage.max()) <= _TOLERANCE:
            return None
        return {candidate: float(share) for candidate, share in zip(candidates, shares, strict=True) if share > 0.0}


def _named(by: Mixture, names: Sequence[str]) -> str | dict[str, float]:
    if len(by) == 1:
        return names[next(iter(by))]
    return {names[move]: share for move, share in by.items()}
