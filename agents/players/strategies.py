"""Strategies for repeated dilemmas. Each says in one line what it does; ``find_dilemma`` says what it means in other games.

Symbols: T, R, P, S are a player's payoffs in a prisoner's dilemma: for defecting against a cooperator, for both cooperating,
for both defecting, and for cooperating against a defector (T > R > P > S).
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any, ClassVar, NamedTuple

from gtalign_env.agents.players.dilemma import DilemmaPlayer
from gtalign_env.agents.players.seat import TOLERANCE, Seat
from gtalign_env.errors import UsageError
from gtalign_env.types import Role

__all__ = [
    "AllC",
    "AllD",
    "Alternator",
    "ContriteTitForTat",
    "GenerousTitForTat",
    "Grim",
    "GrimN",
    "SuspiciousTitForTat",
    "TitForTat",
    "TitForTwoTats",
    "WinStayLoseShift",
    "ZdExtort",
    "zd_extortion",
]


@dataclasses.dataclass(kw_only=True, eq=False)
class AllC(DilemmaPlayer):
    """Always cooperates."""

    kind: ClassVar[str] = "all_c"

    def cooperates(self) -> bool:
        """Return true."""
        return True


@dataclasses.dataclass(kw_only=True, eq=False)
class AllD(DilemmaPlayer):
    """Always defects."""

    kind: ClassVar[str] = "all_d"

    def cooperates(self) -> bool:
        """Return false."""
        return False


@dataclasses.dataclass(kw_only=True, eq=False)
class Alternator(DilemmaPlayer):
    """Cooperates and defects in turns, whatever the other one does."""

    kind: ClassVar[str] = "alternator"

    def cooperates(self) -> bool:
        """Return whether the number of this round is odd, counted from 1."""
        return len(self.own) % 2 == 0


@dataclasses.dataclass(kw_only=True, eq=False)
class TitForTat(DilemmaPlayer):
    """Cooperates first, then does what the other one did last (Axelrod and Hamilton 1981)."""

    kind: ClassVar[str] = "tit_for_tat"

    def cooperates(self) -> bool:
        """Return whether the other one did."""
        return not self.other or self.other[-1]


@dataclasses.dataclass(kw_only=True, eq=False)
class SuspiciousTitForTat(DilemmaPlayer):
    """Tit for tat that defects first."""

    kind: ClassVar[str] = "suspicious_tft"

    def cooperates(self) -> bool:
        """Return whether the other one did."""
        return bool(self.other) and self.other[-1]


@dataclasses.dataclass(kw_only=True, eq=False)
class GenerousTitForTat(DilemmaPlayer):
    """Tit for tat that forgives a defection now and then (Nowak and Sigmund 1992)."""

    kind: ClassVar[str] = "generous_tft"
    generosity: float = 1.0 / 3.0
    """Chance of cooperating after a defection, 0 to 1; min(1 − (T−R)/(R−S), (R−P)/(T−P)) is 1/3 where T, R, P, S = 5, 3, 1, 0."""

    def __post_init__(self) -> None:
        """Check the chance."""
        if not 0.0 <= self.generosity <= 1.0:
            raise UsageError(f"player {self.kind!r}: generosity must be a number from 0 to 1, got {self.generosity!r}")
        super().__post_init__()

    def cooperates(self) -> bool:
        """Return whether the other one did, or is forgiven."""
        return not self.other or self.other[-1] or bool(self.rng.random() < self.generosity)


@dataclasses.dataclass(kw_only=True, eq=False)
class TitForTwoTats(DilemmaPlayer):
    """Defects only after two defections in a row."""

    kind: ClassVar[str] = "tit_for_two_tats"

    def cooperates(self) -> bool:
        """Return whether one of the last two moves was cooperation, or there were fewer."""
        return len(self.other) < 2 or any(self.other[-2:])


@dataclasses.dataclass(kw_only=True, eq=False)
class WinStayLoseShift(DilemmaPlayer):
    """Cooperates first, then whenever both did the same in the last round (Pavlov; Nowak and Sigmund 1993)."""

    kind: ClassVar[str] = "win_stay_lose_shift"

    def cooperates(self) -> bool:
        """Return whether both did the same."""
        return not self.own or self.own[-1] == self.other[-1]


@dataclasses.dataclass(kw_only=True, eq=False)
class Grim(DilemmaPlayer):
    """Cooperates until the other one defects, then defects for ever (Friedman 1971)."""

    kind: ClassVar[str] = "grim"

    def cooperates(self) -> bool:
        """Return whether the other one never defected."""
        return all(self.other)


@dataclasses.dataclass(kw_only=True, eq=False)
class GrimN(DilemmaPlayer):
    """Grim that lets single defections pass: defects for ever after ``n`` rounds in a row in which anybody defected.

    Source: the lenient strategies Grim2 and Grim3 of Fudenberg, Rand and Dreber (2012), "Slow to anger and fast to forgive".
    """

    kind: ClassVar[str] = "grim_n"
    n: int = 2
    """Rounds in a row with a defection that end all patience (>= 1)."""

    def __post_init__(self) -> None:
        """Check the number."""
        if self.n < 1:
            raise UsageError(f"player {self.kind!r}: n must be a whole number >= 1, got {self.n!r}")
        super().__post_init__()

    def reset(self, seed: int) -> None:
        """Begin a new episode with all patience."""
        super().reset(seed)
        self._bad, self._angry = 0, False

    def after_round(self, own: bool, other: bool) -> None:
        """Count the rounds in a row in which anybody defected."""
        self._bad = 0 if own and other else self._bad + 1
        self._angry = self._angry or self._bad >= self.n

    def cooperates(self) -> bool:
        """Return whether there is patience left."""
        return not self._angry


@dataclasses.dataclass(kw_only=True, eq=False)
class ContriteTitForTat(DilemmaPlayer):
    """Tit for tat that answers only defections of one who has lost its good standing, and takes punishment for its own.

    A player is in good standing if in the last round it cooperated, or defected while it was in good standing itself and the
    other one was not. Both begin in good standing.

    Source: Boerlijst, Nowak and Sigmund (1997), "The logic of contrition".
    """

    kind: ClassVar[str] = "contrite_tft"

    def reset(self, seed: int) -> None:
        """Begin a new episode in good standing."""
        super().reset(seed)
        self._standing = (True, True)

    def after_round(self, own: bool, other: bool) -> None:
        """Judge both anew."""
        mine, theirs = self._standing
        self._standing = (own or (mine and not theirs), other or (theirs and not mine))

    def cooperates(self) -> bool:
        """Return false only where it is provoked."""
        mine, theirs = self._standing
        return not mine or theirs


class Reactions(NamedTuple):
    """Chances of cooperating after each pair of (own, other's) moves."""

    cc: float
    cd: float
    dc: float
    dd: float


def zd_extortion(payoffs: tuple[float, float, float, float], factor: float) -> Reactions:
    """Return an extortionate zero-determinant strategy: it earns ``factor`` times what the other one earns, each above P.

    Args:
        payoffs: T, R, P, S with T > R > P > S.
        factor: χ ≥ 1.

    φ is half of the greatest value for which all four are chances.

    Source: Press and Dyson (2012), "Iterated prisoner's dilemma contains strategies that dominate any evolutionary opponent".

    Example:
        >>> [round(26 * chance, 9) for chance in zd_extortion((5, 3, 1, 0), 3)]
        [22.0, 13.0, 7.0, 0.0]
    """
    t, r, p, s = payoffs
    ratio = (t - p) / (p - s)
    phi = 0.5 / max(1.0 + factor * ratio, factor + ratio)
    return Reactions(
        1.0 - phi * (factor - 1.0) * (r - p) / (p - s), 1.0 - phi * (1.0 + factor * ratio), phi * (factor + ratio), 0.0
    )


@dataclasses.dataclass(kw_only=True, eq=False)
class ZdExtort(DilemmaPlayer):
    """Extortion: answers so that its surplus over mutual defection is ``factor`` times the other one's. Cooperates first.

    It needs a symmetric prisoner's dilemma, or a larger game whose cooperation and defection make one.
    """

    kind: ClassVar[str] = "zd_extort"
    factor: float = 3.0
    """χ: how many times the other one's surplus it takes (>= 1)."""

    def __post_init__(self) -> None:
        """Check the factor."""
        if not 1.0 <= self.factor < math.inf:
            raise UsageError(f"player {self.kind!r}: factor must be a finite number >= 1, got {self.factor!r}")
        super().__post_init__()

    def study(self, game: Any, role: Role) -> None:
        """Work out the reactions.

        Raises:
            UsageError: The game holds no symmetric prisoner's dilemma.
        """
        super().study(game, role)
        payoffs = _dilemma_payoffs(Seat.of(game, role), self.dilemma)
        if payoffs is None:
            raise UsageError(
                f"player {self.name!r} needs a symmetric prisoner's dilemma, as in gtalign/PrisonersDilemma-v0: payoffs "
                "T > R > P > S, the same for both"
            )
        self.reactions = zd_extortion(payoffs, self.factor)

    def cooperates(self) -> bool:
        """Return what the reactions say, by chance."""
        if not self.own:
            return True
        chance = self.reactions[2 * (not self.own[-1]) + (not self.other[-1])]
        return bool(self.rng.random() < chance)


def _dilemma_payoffs(seat: Seat, dilemma: Any) -> tuple[float, float, float, float] | None:
    """Return T, R, P, S of both players; ``None`` where they have no prisoner's dilemma in common."""
    c, d, other_c, other_d = dilemma
    own = [float(seat.own[cell]) for cell in ((d, other_c), (c, other_c), (d, other_d), (c, other_d))]
    other = [float(seat.other[cell]) for cell in ((c, other_d), (c, other_c), (d, other_d), (d, other_c))]
    alike = all(abs(x - y) <= TOLERANCE for x, y in zip(own, other, strict=True))
    t, r, p, s = own
    return (t, r, p, s) if alike and t > r > p > s else None
