"""Logit quantal response: players who err, and err less the more it costs.

In a logit equilibrium each player chooses a move with probability proportional to exp(λ · its expected payoff), given the
other's probabilities (McKelvey and Palfrey 1995). λ ≥ 0 is the rationality, per util: at 0 play is uniform, and as λ grows
it tends to a Nash equilibrium. A game may have several; this module returns the one on the *principal branch*, the curve
of equilibria that begins at uniform play, where it first reaches λ. The curve is traced by predictor and corrector
along its length (Turocy 2005), so that it may also turn; iterating best responses, as is often done, can jump or cycle.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gtalign_env.errors import SolverError, UsageError
from gtalign_env.games.cells import as_bimatrix

__all__ = ["Quantal", "payoff_spread", "principal_branch", "quantal_response"]

Floats = NDArray[np.float64]

_TOLERANCE = 1e-9
"""By how much a probability may differ from the response to the other's."""
_MOST_STEPS = 20_000
"""Steps along the curve at most."""
_MOST_HALVINGS = 60
"""Of the stretch of curve that holds the wanted point."""
_LARGEST = 1e12
"""Rationality times spread of payoffs beyond which the curve is not followed."""
_WEIGHT = 0.125
"""Spread of payoffs while the curve is traced: so large that its direction is told by log-odds rather than by λ alone."""
_BEND, _STRAIGHT = 0.98, 0.999
"""Cosine between two directions below which a step is too long, and above which the next may be longer."""
_MISS = 0.02
"""How far from its guess a point may be found, in log-odds."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Quantal:
    """A logit quantal response equilibrium.

    Example:
        >>> round(quantal_response([[3, 0], [5, 1]], [[3, 5], [0, 1]], 1.0).user[0], 4)
        0.2268
    """

    rationality: tuple[float, float]
    """λ of (user, assistant), per util."""
    user: tuple[float, ...]
    """The user's probability of each row."""
    assistant: tuple[float, ...]
    """The assistant's probability of each column."""
    user_payoff: float
    """The user's expected payoff, utils."""
    assistant_payoff: float
    """The assistant's expected payoff, utils."""
    residual: float
    """The largest difference between a probability and the response to the other's, ≤ 1e-9."""


def quantal_response(user: ArrayLike, assistant: ArrayLike, rationality: float | tuple[float, float]) -> Quantal:
    """Return the logit equilibrium of the principal branch at one rationality.

    Args:
        user: The user's payoffs, shape (m, n).
        assistant: The assistant's payoffs, shape (m, n).
        rationality: λ ≥ 0 per util: one for both, or (user, assistant).

    Raises:
        UsageError: The arrays are no bimatrix of finite numbers, or the rationality is negative or not finite.
        SolverError: The curve could not be followed to the end, or the answer failed its check.

    Example:
        >>> [round(p, 4) for p in quantal_response([[3, 0], [1, 1]], [[3, 1], [0, 1]], 2.0).user]
        [0.9797, 0.0203]
    """
    pair = _as_pair(rationality)
    largest = max(pair)
    mix = (pair[0] / largest, pair[1] / largest) if largest else (1.0, 1.0)
    return principal_branch(user, assistant, [largest], mix=mix)[0]


def principal_branch(
    user: ArrayLike, assistant: ArrayLike, rationalities: Sequence[float], *, mix: tuple[float, float] = (1.0, 1.0)
) -> list[Quantal]:
    """Return the logit equilibria of the principal branch at several rationalities, tracing it once.

    Args:
        user: The user's payoffs, shape (m, n).
        assistant: The assistant's payoffs, shape (m, n).
        rationalities: λ ≥ 0 per util, in rising order.
        mix: By what λ is multiplied for (user, assistant).

    Raises:
        UsageError: The arrays are no bimatrix of finite numbers, or the rationalities are no rising list of finite numbers.
        SolverError: The curve could not be followed to the end, or an answer failed its check.

    Example:
        >>> [round(found.user[0], 4) for found in principal_branch([[3, 0], [5, 1]], [[3, 5], [0, 1]], [0, 0.5, 2])]
        [0.5, 0.3386, 0.0998]
    """
    rows, columns = as_bimatrix(user, assistant)
    targets = [float(target) for target in rationalities]
    if any(not math.isfinite(t) or t < 0 for t in targets) or sorted(targets) != targets:
        raise UsageError(f"quantal response: expected rising rationalities ≥ 0, got {list(rationalities)!r}")
    spread = payoff_spread(rows, columns)
    if not spread:  # nothing is at stake
        x, y = (np.full(moves, 1.0 / moves) for moves in rows.shape)
        return [_result(rows, columns, x, y, (t * mix[0], t * mix[1]), 0.0) for t in targets]
    field = _Field(_below_best(rows, spread) * (mix[0] / _WEIGHT), _below_best(columns, spread) * (mix[1] / _WEIGHT))
    found = []
    curve = _trace(field)
    before = after = next(curve)
    for target in targets:
        wanted = target * spread * _WEIGHT
        while after[-1] < wanted:
            before, after = after, next(curve)
        before = _polish(field, before, after, wanted)
        x, y = field.strategies(before)
        missed = _missed(field, x, y, wanted)
        found.append(_result(rows, columns, x, y, (target * mix[0], target * mix[1]), missed))
    return found


def payoff_spread(rows: Floats, columns: Floats) -> float:
    """Return the larger of both players' spreads, utils: the largest payoff less the smallest.

    Raises:
        UsageError: It is too large for a float.

    Example:
        >>> payoff_spread(np.array([[3.0, 0.0]]), np.array([[1.0, 5.0]]))
        4.0
    """
    with np.errstate(over="ignore"):
        spread = float(max(np.ptp(rows), np.ptp(columns)))
    if math.isinf(spread):
        raise UsageError("quantal response: expected payoffs whose difference a float can hold; use a larger unit")
    return spread


def _below_best(payoffs: Floats, spread: float) -> Floats:
    """Return by how much each payoff falls short of the largest, as a share of the spread."""
    short: Floats = (payoffs - payoffs.max()) / spread
    return short


def _as_pair(rationality: float | tuple[float, float]) -> tuple[float, float]:
    try:
        pair = tuple(map(float, rationality)) if isinstance(rationality, Sequence) else (float(rationality),) * 2
    except (TypeError, ValueError):
        pair = ()
    if len(pair) != 2 or not all(math.isfinite(value) and value >= 0 for value in pair):
        raise UsageError(
            f"quantal response: expected a rationality ≥ 0, or one each for user and assistant, got {rationality!r}"
        )
    return pair[0], pair[1]


@dataclasses.dataclass(frozen=True)
class _Field:
    """The equations of a logit equilibrium in log-odds against the first move.

    A point is (user's log-odds m − 1, assistant's log-odds n − 1, λ). The equations say that a move's log-odds equal λ times
    what it pays more than the first move. Unlike probabilities, log-odds lose nothing where play is nearly pure.
    """

    user: Floats
    assistant: Floats

    def strategies(self, point: Floats) -> tuple[Floats, Floats]:
        """Return both mixed strategies."""
        cut = self.user.shape[0] - 1
        return _softmax(point[:cut]), _softmax(point[cut:-1])

    def residual(self, point: Floats) -> Floats:
        """Return by how much the equations are missed, shape (m + n − 2,)."""
        x, y = self.strategies(point)
        mine, theirs = self.user @ y, x @ self.assistant
        pull = np.concatenate([mine[1:] - mine[0], theirs[1:] - theirs[0]])
        missed: Floats = point[:-1] - point[-1] * pull
        return missed

    def jacobian(self, point: Floats) -> Floats:
        """Return the derivatives of the residual, shape (m + n − 2, m + n − 1)."""
        x, y = self.strategies(point)
        mine, theirs = self.user @ y, x @ self.assistant
        lead = self.user[1:] - self.user[0]  # (m − 1, n): what a row pays more than the first
        ahead = (self.assistant[:, 1:] - self.assistant[:, :1]).T  # (n − 1, m)
        cut = len(lead)
        slope = np.eye(point.size - 1, point.size)
        slope[:cut, cut:-1] = -point[-1] * lead @ _softmax_slope(y)
        slope[cut:, :cut] = -point[-1] * ahead @ _softmax_slope(x)
        slope[:, -1] = -np.concatenate([mine[1:] - mine[0], theirs[1:] - theirs[0]])
        return slope


def _softmax(odds: Floats) -> Floats:
    full = np.concatenate([[0.0], odds])
    raised = np.exp(full - full.max())
    found: Floats = raised / raised.sum()
    return found


def _softmax_slope(p: Floats) -> Floats:
    """Return how probabilities change with the log-odds of all moves but the first, shape (moves, moves − 1)."""
    slope: Floats = (np.diag(p) - np.outer(p, p))[:, 1:]
    return slope


def _trace(field: _Field) -> Iterator[Floats]:
    """Yield points along the principal branch, from uniform play on."""
    point = np.zeros(sum(field.user.shape) - 1)
    yield point
    tangent = np.zeros_like(point)
    tangent[-1] = 1.0
    tangent = _direction(field, point, tangent)
    length = 0.1
    for _ in range(_MOST_STEPS):
        guess = point + length * tangent
        ahead = _correct(field, guess, tangent)
        turned = None if ahead is None else _direction(field, ahead, tangent)
        if ahead is None or turned is None or not _goes_on(guess, ahead, float(turned @ tangent)):
            length /= 2.0
            if length < 1e-12 * max(1.0, float(np.abs(point).max())):
                break
            continue
        length *= 2.0 if turned @ tangent > _STRAIGHT else 1.0
        point, tangent = ahead, turned
        if point[-1] > _LARGEST:
            break
        yield point
    raise SolverError(
        f"quantal response: the branch of equilibria could not be followed beyond λ·spread = {point[-1] / _WEIGHT:g} (the "
        "spread is the largest payoff less the smallest); ask for a smaller rationality, or for nash()"
    )


def _goes_on(guess: Floats, found: Floats, cosine: float) -> bool:
    """Return whether a point is the next one of the curve; after a sharp bend or far from the guess it may be another's."""
    missed = float(np.abs(found - guess)[:-1].max(initial=0.0))
    return found[-1] > 0.0 and cosine > _BEND and missed < _MISS


def _direction(field: _Field, point: Floats, before: Floats) -> Floats:
    """Return the unit direction of the curve at a point, the way that goes on from the direction before."""
    system = np.vstack([field.jacobian(point), before])
    goal = np.zeros(point.size)
    goal[-1] = 1.0
    along = np.linalg.lstsq(system, goal, rcond=None)[0]
    direction: Floats = along / np.linalg.norm(along)
    return direction


def _correct(field: _Field, guess: Floats, tangent: Floats | None) -> Floats | None:
    """Return the point of the curve next to a guess, by Newton's method; ``None`` where that does not settle.

    It is sought at a right angle to the tangent, or without one at the λ of the guess.
    """
    across = np.zeros(guess.size)
    across[-1] = 1.0
    if tangent is not None:
        across = tangent
    best, point, least = guess, guess, math.inf
    for _ in range(15):
        missed = field.residual(point)
        size = float(np.abs(missed).max(initial=0.0))
        if not size < least:  # no better than rounding allows, or getting worse
            break
        best, least = point, size
        try:
            step = np.linalg.solve(np.vstack([field.jacobian(point), across]), np.append(-missed, 0.0))
        except np.linalg.LinAlgError:
            break
        point = point + step
    return best if least <= 1e-10 * max(1.0, float(np.abs(best).max())) else None


def _polish(field: _Field, before: Floats, after: Floats, wanted: float) -> Floats:
    """Return the point of the curve at exactly λ = ``wanted``, between two neighbouring points of it.

    The stretch is halved until its ends are near: from afar, Newton's method may find a point of another curve.
    """
    for _ in range(_MOST_HALVINGS):
        if after[-1] <= before[-1] or np.abs(after - before)[:-1].max(initial=0.0) < _MISS:
            break
        chord = (after - before) / float(np.linalg.norm(after - before))
        middle = _correct(field, (before + after) / 2.0, chord)
        if middle is None:
            break
        before, after = (before, middle) if middle[-1] >= wanted else (middle, after)
    span = after[-1] - before[-1]
    guess = before + ((wanted - before[-1]) / span if span else 0.0) * (after - before)
    guess[-1] = wanted
    found = _correct(field, guess, None)
    if found is None:
        raise SolverError("quantal response: the equilibrium could not be computed precisely; please report the game")
    return found


def _missed(field: _Field, x: Floats, y: Floats, rationality: float) -> float:
    """Return by how much each side's chances miss the response to the other's, having checked that it is little."""
    mine, theirs = rationality * (field.user @ y), rationality * (x @ field.assistant)
    missed = max(
        float(np.abs(x - _softmax(mine[1:] - mine[0])).max()), float(np.abs(y - _softmax(theirs[1:] - theirs[0])).max())
    )
    if not missed <= _TOLERANCE:
        raise SolverError(f"quantal response: a solution misses its equations by {missed:g}; please report the game")
    return missed


def _result(
    rows: Floats, columns: Floats, x: Floats, y: Floats, rationality: tuple[float, float], missed: float
) -> Quantal:
    return Quantal(
        rationality=rationality,
        user=tuple(x.tolist()),
        assistant=tuple(y.tolist()),
        user_payoff=float(x @ rows @ y),
        assistant_payoff=float(x @ columns @ y),
        residual=missed,
    )
