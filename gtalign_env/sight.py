"""What a player of the ``assist`` family sees, with names instead of vector slots.

Scripted players read their observation through ``see``; learning players use the vector as it is.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gtalign_env.protocols import PricingPolicy
from gtalign_env.spaces import ASSIST_LAYOUT
from gtalign_env.types import (
    ASSISTANT_MOVES,
    CHARACTERS_PER_TOKEN,
    USER_MOVES,
    AssistantMove,
    Outcome,
    UserMove,
    UserType,
)

__all__ = ["CLARITIES", "KINDS", "Sight", "see", "squashed_pricing", "squashed_type"]

KINDS: tuple[str, ...] = ("simple", "complex", "harmful")
"""Sorts of question: a few words answer it, it takes an explanation, it must be declined."""
CLARITIES: tuple[str, ...] = ("vague", "muddled", "clear")
"""How clearly the question stands on the table; ``muddled`` is a vague answer to a clarifying question."""

_EDGE = 2.0**-24
"""The float32 numbers next to 1 lie this far apart; a total beyond what they can tell apart is read as the last one."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Sight:
    """One observation of the ``assist`` family, decoded."""

    is_assistant: bool
    progress: float
    """Share of the session's questions that are done, in [0, 1]."""
    exchange: float
    """Share of the exchanges that this question may take and has taken, in [0, 1); 0 for a new question."""
    kind: str | None
    """One of ``KINDS``; ``None`` after the end."""
    clarity: str | None
    """One of ``CLARITIES``; ``None`` after the end."""
    last_reply: AssistantMove | None
    """The assistant's move in the last exchange."""
    last_user: UserMove | None
    """The user's move in the last exchange."""
    session_price: float
    """Credits due when a session starts."""
    price_per_1000_tokens: float
    """Credits for a reply of 1,000 tokens, beyond what any reply costs."""
    price_per_request: float
    """Credits for a reply that settles its question with a perfect answer, beyond its length."""
    last_quality: float
    """Quality of the last reply (0 for the assistant, who cannot see it)."""
    own_total: float
    """The user's payoffs so far, utils (0 for the assistant); beyond ±8 the observation saturates."""


def see(observation: Mapping[str, Any]) -> Sight:
    """Decode an observation of the ``assist`` family.

    Args:
        observation: What ``reset`` or ``step`` returned for one agent.

    Example:
        >>> import gtalign_env
        >>> observations, _ = gtalign_env.parallel_env("assist").reset(seed=0, options={"task": "simple"})
        >>> see(observations["assistant_0"]).kind
        'simple'
    """
    slots = ASSIST_LAYOUT.read(np.asarray(observation["observation"]))
    public = slots["public"]
    prices = [float(x) / (1.0 - float(x)) if x < 1.0 else math.inf for x in slots["pricing"]]
    is_assistant = bool(slots["role"][0] > 0.5)
    squashed = min(max(float(slots["private"][1]), _EDGE), 1.0 - _EDGE)
    total = 0.0 if is_assistant else math.atanh(2.0 * squashed - 1.0)
    return Sight(
        is_assistant=is_assistant,
        progress=float(public[0]),
        exchange=float(public[1]),
        kind=_chosen(public[2:5], KINDS),
        clarity=_chosen(public[5:8], CLARITIES),
        last_reply=_chosen(slots["last_assistant_move"], ASSISTANT_MOVES),
        last_user=_chosen(slots["last_user_move"], USER_MOVES),
        session_price=prices[0],
        price_per_1000_tokens=prices[1],
        price_per_request=prices[2],
        last_quality=float(slots["private"][0]),
        own_total=total,
    )


def _chosen(one_hot: Any, names: tuple[Any, ...]) -> Any:
    return names[int(np.argmax(one_hot))] if one_hot.any() else None


_TYPE_SCALES = (200.0, 1.0, 0.25, 0.25, 0.0003, 0.008, 20.0, 1.0)


def squashed_type(user_type: UserType) -> NDArray[np.float32]:
    """Return θ with every field x mapped to x / (x + scale), so that it lies in [0, 1)."""
    fields = zip(user_type.vector(), _TYPE_SCALES, strict=True)
    return np.array([field / (field + scale) for field, scale in fields], dtype=np.float32)


def squashed_pricing(pricing: PricingPolicy) -> NDArray[np.float32]:
    """Return what a session's start, 1,000 written tokens and a settled request cost, each mapped to x / (x + 1).

    Three numbers do not tell all policies apart: what a price depends on beside these shows in play only.

    Example:
        >>> from gtalign_env.pricing import PerRequest
        >>> squashed_pricing(PerRequest(fee=1.0)).tolist()
        [0.0, 0.0, 0.5]
    """
    probes = (
        Outcome(opens_session=1.0, requests=0.0),
        Outcome(tokens_out=1000.0, characters=1000.0 * CHARACTERS_PER_TOKEN, requests=0.0),
        Outcome(requests=1.0, quality=1.0, answered=1.0, resolved=1.0),
    )
    prices = [max(float(pricing.price(probe)), 0.0) for probe in probes]
    return np.array([price / (price + 1.0) for price in prices], dtype=np.float32)
