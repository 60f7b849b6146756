"""A fee to come in, and a meter."""

from __future__ import annotations

import dataclasses
from typing import Any

from gtalign_env.pricing.settings import check_settings
from gtalign_env.types import Outcome

__all__ = ["TwoPart"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class TwoPart:
    """A two-part tariff: a flat fee for the session and a rate per token written.

    ``P = fee·[first reply] + rate_out·n``. The meter can be set near cost and the fee take the rest, so that the provider need
    not write more to earn more; menus of such tariffs are optimal for a seller of model access (Bergemann, Bonatti & Smolin,
    arXiv 2502.07736). Typical distortion: verbosity, by ``rate_out − c_out``; a fee that keeps out those who would use little.

    Example:
        >>> TwoPart(fee=0.5, rate_out=0.25).price(Outcome(opens_session=1.0, tokens_out=2.0))
        1.0
    """

    fee: float = 0.4
    """Credits per session."""
    rate_out: float = 0.0006
    """Credits per token of the reply."""
    name: str = "two_part"

    def __post_init__(self) -> None:
        """Refuse rates that are no prices."""
        check_settings(self)

    def price(self, outcome: Outcome) -> Any:
        """Return the fee on the first reply of a session, and the meter."""
        return self.fee * outcome.opens_session + self.rate_out * outcome.tokens_out
