"""A meter that the user can check: characters."""

from __future__ import annotations

import dataclasses
from typing import Any

from gtalign_env.pricing.settings import check_settings
from gtalign_env.types import Outcome

__all__ = ["PerCharacter"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class PerCharacter:
    """Metered by the characters of the reply, which both sides can count.

    ``P = rate·characters``. A text has one length in characters, however it is cut into tokens, so nothing is gained by reporting
    another cut: among prices that add up over the parts of a text, only a linear one per character has this property
    (Velasco et al., arXiv 2505.21627). Typical distortion: verbosity, as by the token.

    Example:
        >>> whole, cut_finer = Outcome(characters=40.0, tokens_out=10.0), Outcome(characters=40.0, tokens_out=12.0)
        >>> PerCharacter(rate=0.25).price(whole), PerCharacter(rate=0.25).price(cut_finer)
        (10.0, 10.0)
    """

    rate: float = 0.00033
    """Credits per character of the reply."""
    name: str = "per_character"

    def __post_init__(self) -> None:
        """Refuse rates that are no prices."""
        check_settings(self)

    def price(self, outcome: Outcome) -> Any:
        """Return the rate times the reply's characters."""
        return self.rate * outcome.characters
