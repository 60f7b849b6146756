"""Price steering: the matrix that a model has stated, edited by the arithmetic of a change of prices.

A model states its payoffs under one pricing; the provider changes to another. What that does to each cell is no matter of
opinion: expected tokens of the assistant's move, times what a token now costs either side more than before. Nothing else is
added. An edit that is the same in every cell can change no choice of a criterion that looks at sums or at best replies.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gtalign_env.agents.chain.context import ChainContext
from gtalign_env.agents.chain.prompt import price_words
from gtalign_env.agents.chain.tokens import TokenStatistics
from gtalign_env.errors import UsageError
from gtalign_env.games.bimatrix import Bimatrix
from gtalign_env.payoffs import Grounded
from gtalign_env.pricing import charge, make_pricing
from gtalign_env.protocols import PricingPolicy
from gtalign_env.sight import squashed_pricing
from gtalign_env.solution.criteria import welfare_of
from gtalign_env.specs import to_spec
from gtalign_env.types import CHARACTERS_PER_TOKEN, Outcome
from gtalign_env.welfare import make_welfare
from gtalign_env.welfare.criteria import Linear, Utilitarian

__all__ = ["PriceSteering", "direction", "expected_outcome", "hold", "steer"]

Floats = NDArray[np.float64]
_QUESTION_TOKENS = 10.0
"""Tokens of a short question: the same for every move, so they matter to no choice among moves."""


def steer(
    matrix: Bimatrix,
    *,
    pricing_from: str | PricingPolicy,
    pricing_to: str | PricingPolicy,
    tokens: ArrayLike,
    sensitivity: float = 1.0,
    scale: float = 1.0,
    tokens_in: float = _QUESTION_TOKENS,
    opens_session: bool = False,
    costs_from: Grounded | None = None,
    costs_to: Grounded | None = None,
) -> Bimatrix:
    """Return the matrix as it would stand under another pricing.

    With Δ for "under ``pricing_to`` less under ``pricing_from``", at the expected outcome of the column's move:
    ``user += scale · (−sensitivity · Δprice)`` and ``assistant += scale · (Δprice − Δcost)``. The cost is what the provider
    spends on tokens and on collecting the price (``pricing.charge``); it changes where the policy's own overhead or the rates do.

    Args:
        matrix: The stated payoffs, in the model's units.
        pricing_from: What the model was told when it stated them.
        pricing_to: What the user is to pay now.
        tokens: Expected tokens of each column's move, shape (columns,) (see ``TokenStatistics``).
        sensitivity: Utils that a credit is worth to the user (>= 0). The provider does not know θ: this is its estimate.
        scale: Stated units per util (> 0).
        tokens_in: Tokens of the user's message, the same for every move.
        opens_session: Whether this reply opens the session, so that a flat fee is due.
        costs_from: The provider's rates per token before; the default payoff model's when ``None``.
        costs_to: And after.

    Raises:
        UsageError: There are not as many tokens as columns, or a number is out of range.

    Example:
        >>> stated = Bimatrix([[2.0, 2.0]], [[1.0, 1.2]], ["VQ"], ["DA_long", "DA_short"])
        >>> steered = steer(stated, pricing_from="per_token:rate_out=0,rate_in=0", pricing_to="per_token:rate_out=0.01,rate_in=0",
        ...                 tokens=[480, 60], sensitivity=0.5)
        >>> steered.user.round(2).tolist(), steered.assistant.round(2).tolist()
        ([[-0.4, 1.7]], [[5.8, 1.8]])
    """
    _at_least(sensitivity, "sensitivity")
    _at_least(scale, "scale", above=True)
    outcome = expected_outcome(matrix.assistant_moves, tokens, tokens_in=tokens_in, opens_session=float(opens_session))
    before = charge(make_pricing(pricing_from), outcome, model=costs_from)
    after = charge(make_pricing(pricing_to), outcome, model=costs_to)
    columns = np.zeros(len(matrix.assistant_moves))
    price, cost = columns + (after.price - before.price), columns + (after.cost - before.cost)
    return Bimatrix(
        matrix.user - scale * sensitivity * price,
        matrix.assistant + scale * (price - cost),
        matrix.user_moves,
        matrix.assistant_moves,
    )


def expected_outcome(
    moves: Sequence[str], tokens: ArrayLike, *, tokens_in: float = _QUESTION_TOKENS, opens_session: float = 0.0
) -> Outcome:
    """Return what the moves are expected to lead to, as far as prices read it: arrays of shape (moves,).

    An answer is expected to be given where the move is one (``DA``, ``AQ``), and to be right: a model that expected to be
    wrong would not state its payoffs for giving it. Quality is left at 0; no shipped price reads it alone.

    Raises:
        UsageError: There are not as many tokens as moves, or some are negative or not finite.

    Example:
        >>> expected_outcome(["DA_short", "CQ"], [60, 25]).answered.tolist()
        [1.0, 0.0]
    """
    counts = np.asarray(tokens, dtype=np.float64)
    if counts.shape != (len(moves),) or not (np.isfinite(counts) & (counts >= 0.0)).all():
        raise UsageError(
            f"tokens: expected {len(moves)} finite numbers >= 0, one for each move, got {counts.tolist()!r}"
        )
    answers = np.array([float(move.partition("_")[0] in ("DA", "AQ")) for move in moves])
    return Outcome(
        tokens_out=counts,
        characters=CHARACTERS_PER_TOKEN * counts,
        tokens_in=_at_least(tokens_in, "tokens_in"),
        opens_session=opens_session,
        answered=answers,
        resolved=answers,
    )


def hold(matrix: Bimatrix, move: str, margin: float) -> Bimatrix:
    """Return the matrix with a switching cost: leaving the assistant's last move costs each side ``margin`` (hysteresis).

    It stands as a bonus on that move's column, so it works with every criterion: another move is chosen only where it gains
    more than the margin (twice the margin in a sum of both payoffs). A move that the matrix does not have changes nothing.

    Args:
        matrix: The matrix.
        move: The assistant's move of the turn before.
        margin: In the matrix's units (>= 0).

    Raises:
        UsageError: The margin is negative or not finite.

    Example:
        >>> hold(Bimatrix([[0, 0]], [[0, 1]], ["VQ"], ["DA", "CQ"]), "DA", 0.5).assistant.tolist()
        [[0.5, 1.0]]
    """
    bonus = _at_least(margin, "margin") * np.array([float(name == move) for name in matrix.assistant_moves])
    return Bimatrix(matrix.user + bonus, matrix.assistant + bonus, matrix.user_moves, matrix.assistant_moves)


def direction(criterion: str, *, sensitivity: float = 1.0) -> Literal[-1, 0, 1] | None:
    """Return where a rising price per token must move the expected tokens of the choice, where theory says so.

    A price adds a multiple of the tokens to every cell of a column and leaves the user's best replies as they are. So

    * ``stackelberg:assistant``: the leader's own payoff counts: never fewer tokens;
    * ``welfare:utilitarian`` and ``welfare:linear``: with user's weight w, the sum changes by ``(1 − w) − w·sensitivity`` per
      credit: more tokens where that is positive, fewer where it is negative, and no change where it is 0, as it is for a plain
      sum at sensitivity 1: there a price is a pure transfer, at any height.

    Returns:
        1 (never fewer), −1 (never more), 0 (no change), or ``None`` for every other criterion, of which nothing is claimed.

    Example:
        >>> direction("stackelberg:assistant"), direction("welfare:utilitarian"), direction("welfare:linear:weight=0.8")
        (1, 0, -1)
    """
    if criterion in ("stackelberg", "stackelberg:assistant"):
        return 1
    name, _, argument = criterion.partition(":")
    if name != "welfare" or not argument:
        return None
    welfare = make_welfare(welfare_of(criterion))
    if isinstance(welfare, Utilitarian):
        pull = 1.0 - sensitivity
    elif isinstance(welfare, Linear):
        pull = (1.0 - welfare.weight) - welfare.weight * sensitivity
    else:
        return None
    return 0 if abs(pull) < 1e-12 else 1 if pull > 0.0 else -1


@dataclasses.dataclass(frozen=True, kw_only=True)
class PriceSteering:
    """Steering with its settings: what a chain calls between reading the matrix and solving it (a ``context.Steer``).

    Example:
        >>> steering = PriceSteering(pricing_from="subscription", pricing_to="per_token:rate_out=0.01,rate_in=0")
        >>> steering.apply(Bimatrix([[1, 1]], [[1, 1]], ["VQ"], ["DA_long", "CQ"]), TokenStatistics()).user.round(2).tolist()
        [[-3.8, 0.75]]
    """

    pricing_from: str | PricingPolicy
    """What the model is told."""
    pricing_to: str | PricingPolicy
    """What the user is to pay."""
    sensitivity: float = 1.0
    """Utils that a credit is worth to the user."""
    scale: float = 1.0
    """Stated units per util."""
    margin: float = 0.0
    """Switching cost against the move of the turn before, in stated units; 0 for none."""

    def __post_init__(self) -> None:
        """Refuse settings that mean nothing."""
        make_pricing(self.pricing_from)
        make_pricing(self.pricing_to)
        _at_least(self.sensitivity, "sensitivity")
        _at_least(self.scale, "scale", above=True)
        _at_least(self.margin, "margin")

    @property
    def name(self) -> str:
        """What a player that is steered is called besides, e.g. ``steer:per_token``."""
        return f"steer:{to_spec(make_pricing(self.pricing_to))}"

    @functools.cached_property
    def told(self) -> str:
        """What the model is told of prices, in the words of a game under ``pricing_from``."""
        shown = squashed_pricing(make_pricing(self.pricing_from))  # as an observation has it
        session, per_1000, per_request = (float(x) / (1.0 - float(x)) if x < 1.0 else math.inf for x in shown)
        return price_words(per_1000, per_request, session)

    def as_dict(self) -> dict[str, Any]:
        """Return the settings as a record holds them: prices as specs.

        Example:
            >>> PriceSteering(pricing_from="subscription", pricing_to="per_token").as_dict()["pricing_to"]
            'per_token'
        """
        prices = {field: to_spec(make_pricing(getattr(self, field))) for field in ("pricing_from", "pricing_to")}
        return {**prices, "sensitivity": self.sensitivity, "scale": self.scale, "margin": self.margin}

    def __call__(self, matrix: Bimatrix, context: ChainContext) -> Bimatrix:
        """Return the matrix to be solved, by what is known of this turn."""
        return self.apply(matrix, context.tokens, last=context.last, first=context.first)

    def apply(self, matrix: Bimatrix, tokens: TokenStatistics, *, last: str = "", first: bool = False) -> Bimatrix:
        """Return the matrix to be solved.

        Args:
            matrix: The stated matrix.
            tokens: The model's own statistics.
            last: The assistant's move of the turn before, as the matrix names it; empty for none.
            first: Whether this is the first reply of the session.
        """
        steered = steer(
            matrix,
            pricing_from=self.pricing_from,
            pricing_to=self.pricing_to,
            tokens=tokens.vector(matrix.assistant_moves),
            sensitivity=self.sensitivity,
            scale=self.scale,
            opens_session=first,
        )
        return hold(steered, last, self.margin) if last and self.margin else steered


def _at_least(number: float, label: str, *, above: bool = False) -> float:
    fits = isinstance(number, (int, float)) and not isinstance(number, bool) and math.isfinite(number)
    if not fits or number < 0.0 or (above and number == 0.0):
        raise UsageError(f"{label}: expected a finite number {'>' if above else '>='} 0, got {number!r}")
    return float(number)
