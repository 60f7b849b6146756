"""Two meters: tokens read and tokens written."""

from __future__ import annotations

import dataclasses
from typing import Any

from gtalign_env.pricing.settings import check_settings
from gtalign_env.types import Outcome

__all__ = ["PerToken"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class PerToken:
    """Metered use: tokens that the provider reads and tokens that it writes have each their rate.

    ``P = rate_out·n + rate_in·n_in``. The provider earns ``rate_out − c_out`` by every further token. Typical distortion:
    verbosity; and since only the provider sees how its text was cut into tokens, it can also bill more of them than it
    needed (Velasco et al., arXiv 2505.21627).

    Example:
        >>> round(PerToken().price(Outcome(tokens_in=100.0, tokens_out=1000.0)), 4)
        1.25
    """

    rate_in: float = 0.0005
    """Credits per token of the user's utterance."""
    rate_out: float = 0.0012
    """Credits per token of the reply."""
    name: str = "per_token"

    def __post_init__(self) -> None:
        """Refuse rates that are no prices."""
        check_settings(self)

    def price(self, outcome: Outcome) -> Any:
        """Return both meters' sum."""
        return self.rate_in * outcome.tokens_in + self.rate_out * outcome.tokens_out
