"""One price for every reply."""

from __future__ import annotations

import dataclasses
from typing import Any

from gtalign_env.pricing.settings import check_settings
from gtalign_env.types import Outcome

__all__ = ["PerRequest"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class PerRequest:
    """A fixed price for every reply, whatever it holds.

    ``P = fee·replies``. A further reply earns ``fee − c``, a further token costs ``c_out``. Typical distortion: short answers,
    answers in instalments, questions more than are needed.

    Example:
        >>> PerRequest().price(Outcome())
        0.15
    """

    fee: float = 0.15
    """Credits per reply."""
    name: str = "per_request"

    def __post_init__(self) -> None:
        """Refuse rates that are no prices."""
        check_settings(self)

    def price(self, outcome: Outcome) -> Any:
        """Return the fee times the number of billable requests."""
        return self.fee * outcome.requests
