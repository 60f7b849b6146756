"""Ask or answer: the private threshold of asking a question against the social one.

A question is worth its expected value of sample information (EVSI; Raiffa & Schlaifer 1961) to each side, gross of what
asking costs. Society counts both sides' worth and cost; each side counts its own, and what the pricing moves between them.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Literal

from gtalign_env.errors import UsageError

__all__ = ["Asking", "AskingRates", "ask_or_answer", "asking_rates"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Asking:
    """Whether to ask, as society and each side see it. Thresholds are in utils of EVSI.

    Example:
        >>> ask_or_answer(evsi_user=1.0, evsi_assistant=0.0, cost_user=0.5, cost_assistant=0.25).verdict
        'under_asking'
    """

    social: bool
    """Whether both sides' worth together covers both sides' cost."""
    assistant: bool
    """Whether the assistant asks when it counts its own side only."""
    user: bool
    """Whether the user would want to be asked, counting its own side only."""
    social_threshold: float
    """Least EVSI of both sides together at which asking pays society."""
    assistant_threshold: float
    """Least EVSI of the assistant's at which it asks."""
    user_threshold: float
    """Least EVSI of the user's at which it wants to be asked."""
    wedge: float
    """The assistant's threshold less the one at which it *should* ask, given the user's EVSI. Above 0 it asks too seldom,
    below 0 too readily; the verdict changes only where its EVSI lies between the two."""
    user_wedge: float
    """The same for the user, given the assistant's EVSI."""

    @property
    def verdict(self) -> Literal["aligned", "over_asking", "under_asking"]:
        """What the assistant does, measured by the social rule."""
        if self.assistant == self.social:
            return "aligned"
        return "over_asking" if self.assistant else "under_asking"


def ask_or_answer(
    *,
    evsi_user: float,
    evsi_assistant: float,
    cost_user: float,
    cost_assistant: float,
    tokens: float = 0.0,
    price: float = 0.0,
    unit_cost: float = 0.0,
    price_sensitivity: float = 1.0,
) -> Asking:
    """Return when to ask, socially and privately.

    * social: ask iff ``EVSI_u + EVSI_a >= k_u + k_a``
    * the assistant: ask iff ``EVSI_a + (p − c)·n_q >= k_a``
    * the user: ask iff ``EVSI_u >= k_u + s·p·n_q``

    The social rule leaves out ``c·n_q``: where the question's tokens are a cost to count, put it into ``cost_assistant`` and
    leave ``unit_cost`` at 0. The assistant's rule is the same either way.

    Args:
        evsi_user: EVSI_u, utils: what the user gains by the answer to the question.
        evsi_assistant: EVSI_a, utils.
        cost_user: k_u, utils: the user's effort and time.
        cost_assistant: k_a, utils: what a question costs the provider beside ``c·n_q``.
        tokens: n_q: tokens of the question.
        price: p: credits per token of it.
        unit_cost: c: utils per token of it.
        price_sensitivity: s: the user's utils per credit.

    Raises:
        UsageError: An argument is not finite, or one of the last four is negative.

    Example:
        >>> metered = ask_or_answer(evsi_user=0.25, evsi_assistant=0.0, cost_user=0.5, cost_assistant=0.0, tokens=25, price=0.01)
        >>> metered.social, metered.assistant, metered.verdict, metered.wedge
        (False, True, 'over_asking', -0.5)
    """
    numbers = dict(locals())
    for name, number in numbers.items():
        least = 0.0 if name in ("tokens", "price", "unit_cost", "price_sensitivity") else -math.inf
        if not math.isfinite(number) or number < least:
            expected = "a finite number" + (" >= 0" if least == 0.0 else "")
            raise UsageError(f"ask or answer: {name} must be {expected}, got {number!r}")
    margin = (price - unit_cost) * tokens
    bill = price_sensitivity * price * tokens
    assistant_threshold = cost_assistant - margin
    user_threshold = cost_user + bill
    social_threshold = cost_user + cost_assistant
    return Asking(
        social=evsi_user + evsi_assistant >= social_threshold,
        assistant=evsi_assistant + margin >= cost_assistant,
        user=evsi_user >= user_threshold,
        social_threshold=social_threshold,
        assistant_threshold=assistant_threshold,
        user_threshold=user_threshold,
        wedge=assistant_threshold - (social_threshold - evsi_user),
        user_wedge=user_threshold - (social_threshold - evsi_assistant),
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class AskingRates:
    """How often a question is asked, and how often it should be, over a set of states."""

    should_ask: float
    """Share of states in which asking pays society."""
    asks: float
    """Share in which it pays the assistant."""
    over_asking: float
    """Share in which it pays the assistant and not society."""
    under_asking: float
    """Share in which it pays society and not the assistant."""
    wedge: float
    """Mean wedge of the assistant, utils."""


def asking_rates(askings: Sequence[Asking], shares: Sequence[float] | None = None) -> AskingRates:
    """Return the rates of over-asking and under-asking, measured by the social rule.

    Args:
        askings: One per state.
        shares: Weights of the states (>= 0, not all 0); equal ones when ``None``.

    Raises:
        UsageError: There are no states, or the weights do not fit.

    Example:
        >>> costs = {"evsi_assistant": 0.0, "cost_user": 0.5, "cost_assistant": 0.25}
        >>> rates = asking_rates([ask_or_answer(evsi_user=worth, **costs) for worth in (0.0, 1.0)])
        >>> rates.under_asking, rates.over_asking
        (0.5, 0.0)
    """
    weights = [1.0] * len(askings) if shares is None else [float(share) for share in shares]
    total = sum(weights)
    if len(weights) != len(askings) or not 0.0 < total < math.inf or min(weights) < 0.0:
        raise UsageError(f"asking rates: expected a weight >= 0 for each of {len(askings)} states, got {weights}")

    def mean(values: Sequence[float]) -> float:
        return sum(weight * value for weight, value in zip(weights, values, strict=True)) / total

    return AskingRates(
        should_ask=mean([asking.social for asking in askings]),
        asks=mean([asking.assistant for asking in askings]),
        over_asking=mean([asking.verdict == "over_asking" for asking in askings]),
        under_asking=mean([asking.verdict == "under_asking" for asking in askings]),
        wedge=mean([asking.wedge for asking in askings]),
    )
