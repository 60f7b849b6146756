"""The explicit state of a negotiation over items, and what a player sees of it."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from gtalign_env.errors import UsageError
from gtalign_env.games.division import ITEMS, Division
from gtalign_env.games.division_space import TOTAL
from gtalign_env.spaces import Layout
from gtalign_env.types import Role

__all__ = ["LAYOUT", "MOST_OF_A_KIND", "DealState", "TalkSight", "observation", "other_role", "read_observation"]

Share = tuple[int, ...]
Ending = Literal["", "deal", "halted", "out_of_rounds"]

MOST_OF_A_KIND = 4
"""Items of one kind at most: what the moves ``KEEP_0_0_0`` to ``KEEP_4_4_4`` can name."""

LAYOUT = Layout(
    {
        "role": 1,
        "progress": 1,
        "to_move": 1,
        "on_table": 1,
        "counts": len(ITEMS),
        "own_values": len(ITEMS),
        "own_offer": 1 + len(ITEMS),
        "other_offer": 1 + len(ITEMS),
    }
)
"""Observation slots: 1 for the assistant; share of the turns that are over; whether it is one's turn; whether the other side's
offer may be accepted; items of each kind / 4; own values / 10; both sides' last offers (whether there was one, and what it
keeps, / 4)."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class DealState:
    """Everything that a negotiation needs to go on."""

    division: Division
    """Each side's values are private to it."""
    first: Role
    """Who speaks first."""
    rounds: int
    """How often each side may speak."""
    turn: int = 0
    """Turns that are over; two make a round."""
    user_offer: Share | None = None
    """What the user last proposed to keep."""
    assistant_offer: Share | None = None
    """What the assistant last proposed to keep."""
    on_table: bool = False
    """Whether the turn before was an offer, so that it may be accepted now."""
    ending: Ending = ""
    """How the game ended; empty while it goes on."""

    @property
    def over(self) -> bool:
        """Whether the game has ended."""
        return bool(self.ending)

    @property
    def mover(self) -> Role:
        """Whose turn it is."""
        return self.first if self.turn % 2 == 0 else other_role(self.first)

    def offer(self, role: Role) -> Share | None:
        """Return what the role last proposed to keep."""
        return self.user_offer if role == "user" else self.assistant_offer


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class TalkSight:
    """One observation of a negotiation, decoded."""

    role: Role
    """Who sees it."""
    progress: float
    """Share of the turns that are over, in [0, 1]."""
    to_move: bool
    """Whether it is the role's turn."""
    counts: Share
    """Items of each kind."""
    values: Share
    """Their worth to the role, utils per item."""
    own_offer: Share | None
    """What the role last proposed to keep."""
    other_offer: Share | None
    """What the other side last proposed to keep."""
    on_table: bool
    """Whether that was just now, so that it may be accepted."""


def other_role(role: Role) -> Role:
    """Return who sits opposite.

    Example:
        >>> other_role("user")
        'assistant'
    """
    return "assistant" if role == "user" else "user"


def observation(state: DealState, role: Role) -> NDArray[np.float32]:
    """Return what the role sees, in ``LAYOUT``: nothing of the other side's values."""
    vector = np.zeros(LAYOUT.size, dtype=np.float32)
    to_move = state.mover == role and not state.over
    vector[LAYOUT["role"]] = role == "assistant"
    vector[LAYOUT["progress"]] = state.turn / (2 * state.rounds)
    vector[LAYOUT["to_move"]] = to_move
    vector[LAYOUT["on_table"]] = to_move and state.on_table
    vector[LAYOUT["counts"]] = np.array(state.division.counts) / MOST_OF_A_KIND
    vector[LAYOUT["own_values"]] = np.array(state.division.values(role)) / TOTAL
    for slot, offer in (("own_offer", state.offer(role)), ("other_offer", state.offer(other_role(role)))):
        if offer is not None:
            vector[LAYOUT[slot]] = np.array([MOST_OF_A_KIND, *offer]) / MOST_OF_A_KIND
    return vector


def read_observation(vector: NDArray[Any]) -> TalkSight:
    """Decode what ``observation`` made.

    Raises:
        UsageError: The vector has another length.

    Example:
        >>> game = Division((1, 1, 3), (1, 3, 2), (1, 0, 3))
        >>> state = DealState(division=game, first="user", rounds=20, user_offer=(0, 1, 3), turn=1, on_table=True)
        >>> sight = read_observation(observation(state, "assistant"))
        >>> sight.counts, sight.values, sight.other_offer, sight.on_table
        ((1, 1, 3), (1, 0, 3), (0, 1, 3), True)
    """
    if np.shape(vector) != (LAYOUT.size,):
        raise UsageError(f"expected an observation of deal_or_no_deal, shape ({LAYOUT.size},), got {np.shape(vector)}")
    seen = LAYOUT.read(vector)
    offers = [
        _whole(seen[slot][1:], MOST_OF_A_KIND) if seen[slot][0] > 0.5 else None for slot in ("own_offer", "other_offer")
    ]
    return TalkSight(
        role="assistant" if seen["role"][0] > 0.5 else "user",
        progress=float(seen["progress"][0]),
        to_move=bool(seen["to_move"][0] > 0.5),
        counts=_whole(seen["counts"], MOST_OF_A_KIND),
        values=_whole(seen["own_values"], TOTAL),
        own_offer=offers[0],
        other_offer=offers[1],
        on_table=bool(seen["on_table"][0] > 0.5),
    )


def _whole(part: NDArray[Any], scale: int) -> Share:
    return tuple(round(float(number) * scale) for number in part)
