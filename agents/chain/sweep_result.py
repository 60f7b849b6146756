"""What a sweep of a price comes to: one point for each rate, and where tokens went."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping
from typing import Any

__all__ = ["Sweep", "SweepPoint"]

_SLACK = 1e-9
"""Tokens that differ by no more are equal."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class SweepPoint:
    """What is chosen at one rate. Means are over the turns in which a choice came; payoffs are in utils.

    Example:
        >>> SweepPoint(rate=0.0, n=0).tokens is None
        True
    """

    rate: float
    n: int
    """Turns with a choice."""
    undecided: int = 0
    """Turns without one: no agreement, no reading, a failed model."""
    switched: float | None = None
    """Share of turns whose choice differs from the one in the unsteered matrix (chances: by total variation)."""
    tokens: float | None = None
    """Expected tokens of the chosen move, by the statistics."""
    user: float | None = None
    """The user's payoff as stated and steered, in the chosen cell."""
    assistant: float | None = None
    welfare: float | None = None
    """Mean welfare of the chosen cells."""
    shares: Mapping[str, float] = dataclasses.field(default_factory=dict)
    """Share of each of the assistant's moves."""
    realised: float = 0.0
    """Turns whose choice is the move that was made, so that it is known what it came to."""
    realised_user: float | None = None
    """What those turns came to for the user, at this price."""
    realised_assistant: float | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sweep:
    """A whole sweep.

    Example:
        >>> made = Sweep(setting="per_token:rate_out", chosen_by="nash", welfare="cobb_douglas", turns=0, skipped=0, points=())
        >>> made.as_claimed is None
        True
    """

    setting: str
    """What moves, as ``pricing:setting``."""
    chosen_by: str
    """The criterion, or who chose."""
    welfare: str
    turns: int
    """Stated matrices that were chosen from."""
    skipped: int
    """Turns without one, or whose pricing is not known."""
    points: tuple[SweepPoint, ...]
    tokens_by_move: Mapping[str, float] = dataclasses.field(default_factory=dict)
    """The expected tokens that were multiplied by the price."""
    claim: int | None = None
    """What theory says about tokens as the price rises (see ``steering.direction``)."""
    player: str = ""
    """Whose matrices they are, where that is said."""
    against: tuple[str, ...] = ()
    """Under which pricings they were stated, as specs: what the choices at every rate are compared with."""

    @property
    def trend(self) -> int | None:
        """Which way tokens went: 1 never down, −1 never up, 0 no change at all, ``None`` up and down (or no tokens)."""
        tokens = [point.tokens for point in self.points if point.tokens is not None]
        steps = [after - before for before, after in itertools.pairwise(tokens)]
        up, down = any(step > _SLACK for step in steps), any(step < -_SLACK for step in steps)
        return None if not tokens or (up and down) else 1 if up else -1 if down else 0

    @property
    def as_claimed(self) -> bool | None:
        """Whether tokens went where theory says; ``None`` where it says nothing."""
        return None if self.claim is None or not self.points else self.trend in (0, self.claim)

    def label(self, *, player: bool) -> str:
        """Return who chose, and with ``player`` also in whose matrices.

        Example:
            >>> made = Sweep(setting="", chosen_by="nash", welfare="", turns=0, skipped=0, points=(), player="fake:chain+solver")
            >>> made.label(player=True)
            'fake:chain+solver · nash'
        """
        return f"{self.player} · {self.chosen_by}" if player and self.player else self.chosen_by

    def as_dict(self) -> dict[str, Any]:
        """Return everything as JSON has it."""
        return {**dataclasses.asdict(self), "trend": self.trend, "as_claimed": self.as_claimed}
