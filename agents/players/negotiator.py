"""The negotiator: divides items by fair offers and learns from what the other side offers, without any model.

The symbolic form of the negotiation workflow of Hua et al. (2024, arXiv 2411.05990, Algorithm 1), with the rule that the
printed algorithm lacks and needs to come to an end: what was turned down once is not proposed again.
"""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from gtalign_env.errors import UsageError
from gtalign_env.games.division import offer_name
from gtalign_env.games.fair_beliefs import (
    Chair,
    accepts,
    after_offer,
    after_rejection,
    best_offer,
    chance_of_no_envy,
)
from gtalign_env.protocols import Info, Observation, Scenario
from gtalign_env.specs import to_spec
from gtalign_env.types import Role

__all__ = ["Negotiator"]

_ACCEPT, _HALT, _WAIT = "ACCEPT", "HALT", "WAIT"


@dataclasses.dataclass(kw_only=True, eq=False)
class Negotiator:
    """A player of games of division, in either chair. It proposes what is best for it and may be envy-free.

    It proposes the share that is worth most to it among those that it has not proposed yet and under which, as far as it can
    tell, nobody envies anybody (``best_offer``). It accepts an offer that causes it no envy and is worth at least what it
    would propose. With nothing left to propose it stands by its last proposal, and walks away when the other side does the same.

    Raises:
        UsageError: A setting is out of range.

    Example:
        >>> Negotiator().name, Negotiator(repeat=1, rate=0.5).name
        ('negotiator', 'negotiator:repeat=1,rate=0.5')
    """

    repeat: int = 0
    """1 to propose again what was turned down. Two such players hardly ever agree: each insists on its first offer."""
    rate: float | None = None
    """How it learns. ``None``: its belief is a set, narrowed down by what the other side offers (``after_offer``). λ in (0, 1]:
    its belief is a distribution, and every refusal moves it so far towards Bayes' rule (``after_rejection``)."""
    greed: float = 1.0
    """γ >= 0, with ``rate``: how likely the other side is to refuse out of greed, compared with envy."""
    name: str = dataclasses.field(init=False, default="negotiator")
    """What records call it: the string from which it is made."""
    kind: ClassVar[str] = "negotiator"
    """The name it is registered by."""

    def __post_init__(self) -> None:
        """Check the settings."""
        for setting, fits, expected in (
            ("repeat", self.repeat in (0, 1), "0 or 1"),
            ("rate", self.rate is None or 0.0 < self.rate <= 1.0, "a number in (0, 1], or none at all"),
            ("greed", 0.0 <= self.greed < np.inf, "a finite number >= 0"),
        ):
            if not fits:
                raise UsageError(f"player 'negotiator': {setting} must be {expected}, got {getattr(self, setting)!r}")
        self.repeat = int(self.repeat)
        self.name = to_spec(self)
        self._scenario: Any = None
        self._moves: dict[str, int] = {}
        self.reset(0)

    # -- the protocols Sitter and Policy ------------------------------------------------------------------------------

    def sit(self, scenario: Scenario, role: Role) -> None:
        """Take a chair.

        Raises:
            UsageError: Nothing is divided in this game.
        """
        if not hasattr(scenario, "division_of") or not hasattr(scenario, "sight"):
            raise UsageError(
                f"player {self.name!r} cannot play {scenario.name!r}: it needs items to be divided by offers, as in "
                "gtalign/DealOrNoDeal-v0"
            )
        self._scenario = scenario
        self._moves = {name: index for index, name in enumerate(scenario.moves(role))}

    def reset(self, seed: int) -> None:
        """Begin a new episode; nothing is left to chance."""
        self.chair: Chair | None = None
        """What it knows of the game; ``None`` before its first turn."""
        self.belief: NDArray[Any] = np.ones(0, dtype=np.bool_)
        """(valuations of ``chair``,): a mask of those that are still possible, or weights."""
        self._rejected: NDArray[np.bool_] = np.zeros(0, dtype=np.bool_)  # (shares,)
        self._heard: int | None = None

    def act(self, observation: Observation, info: Info) -> int:
        """Return the index of a move.

        Raises:
            UsageError: Nobody told this player which game it plays.
        """
        if self._scenario is None:
            raise UsageError(
                f"player {self.name!r} has not sat down: call sit(scenario, role) first, as gtalign_env.play does"
            )
        sight = self._scenario.sight(np.asarray(observation["observation"]))
        if not sight.to_move:
            return self._moves[_WAIT]
        if self.chair is None:
            self._begin(Chair(sight.counts, sight.values))
        assert self.chair is not None
        last = len(self.chair.shares) - 1
        proposed = None if sight.own_offer is None else self.chair.index(sight.own_offer)
        offered = last - self.chair.index(sight.other_offer) if sight.on_table else None
        return self._moves[self._decide(self.chair, proposed, offered)]

    # -- inside -------------------------------------------------------------------------------------------------------

    def _begin(self, chair: Chair) -> None:
        self.chair = chair
        self.belief = chair.prior()
        self._rejected = np.zeros(len(chair.shares), dtype=np.bool_)

    def _decide(self, chair: Chair, proposed: int | None, offered: int | None) -> str:
        """Return the move, from one's own last proposal and what the other side has just offered (nothing: ``None``)."""
        self._learn(chair, proposed, offered)
        if proposed is not None and not self.repeat:
            self._rejected[proposed] = True
        proposal = best_offer(chair, chance_of_no_envy(chair, self.belief), self._rejected)
        if offered is not None and accepts(chair, offered, proposal):
            return _ACCEPT
        stuck = offered is None or offered == self._heard
        self._heard = offered
        if proposal is None:
            proposal = None if stuck else proposed
        return _HALT if proposal is None else offer_name(chair.shares[proposal].tolist())

    def _learn(self, chair: Chair, proposed: int | None, offered: int | None) -> None:
        if self.rate is not None:
            if proposed is not None:
                self.belief = after_rejection(chair, self.belief, proposed, rate=self.rate, greed=self.greed)
        elif offered is not None:
            self.belief = after_offer(chair, self.belief, offered, proposed=proposed)
