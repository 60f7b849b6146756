"""Compile a game of two moves: one side moves, the other sees it and answers, and that is the end.

Everything is paid with the last move, also what may depend on θ: by then nobody can use it any more.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gtalign_env.errors import UsageError
from gtalign_env.finite import FiniteScenario
from gtalign_env.mix import UserMix
from gtalign_env.payoffs import on_grid
from gtalign_env.pricing import Subscription
from gtalign_env.scenarios.talk.compiled import WAIT, check_size, nothing_happens
from gtalign_env.tables import GameTables, PayoffTables
from gtalign_env.types import Role, UserType

__all__ = ["UNMOVED", "Items", "TwoMoves", "two_move_scenario"]

UNMOVED = "none"
"""The state's coordinate before the first move."""

Items = Mapping[str, NDArray[np.float64]]
"""A side's payoff items by name, each of shape (first moves, second moves), utils."""


class TwoMoves(NamedTuple):
    """The frame of the game."""

    first: Role
    """Who moves first."""
    axis: str
    """What the first move is called as a coordinate of the state."""
    first_moves: tuple[str, ...]
    """An illegal first move counts as the first of them."""
    second_moves: tuple[str, ...]
    legal: NDArray[np.int8]
    """(first moves, second moves): which answers are legal."""
    fallback: int
    """The answer that an illegal one counts as: legal after every first move."""

    @property
    def second(self) -> Role:
        """Who answers."""
        return "assistant" if self.first == "user" else "user"

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(states, user acts, assistant acts, branches): the opening, one state for each first move, the end."""
        acts = len(self.first_moves), len(self.second_moves)
        return (len(self.first_moves) + 2, *(acts if self.first == "user" else acts[::-1]), 1)

    def tables(self) -> GameTables:
        """Return the rules as arrays."""
        shape = self.shape
        states, count = shape[0], len(self.first_moves)
        following = np.full(shape, states - 1, dtype=np.int32)
        after = np.arange(1, count + 1)
        following[0, :, :, 0] = after[:, None] if self.first == "user" else after[None, :]
        opening = np.zeros((states, count + 1), dtype=np.int8)
        opening[0, :-1], opening[1:, -1] = 1, 1
        answer = np.zeros((states, len(self.second_moves) + 1), dtype=np.int8)
        answer[1:-1, :-1], answer[[0, -1], -1] = self.legal, 1
        own = ((*self.first_moves, WAIT), [*range(count), 0, 0], opening)
        others = (
            (*self.second_moves, WAIT),
            [*range(len(self.second_moves)), self.fallback, self.fallback],
            answer,
        )
        user, assistant = (own, others) if self.first == "user" else (others, own)
        return GameTables(
            user_moves=user[0],
            assistant_moves=assistant[0],
            user_act=np.array(user[1], dtype=np.int32),
            assistant_act=np.array(assistant[1], dtype=np.int32),
            next_state=following,
            probability=np.broadcast_to(1.0, shape),
            outcome=nothing_happens(shape),
            user_mask=user[2],
            assistant_mask=assistant[2],
            features=np.eye(states, states - 1, dtype=np.float32),
            initial=np.eye(states)[0],
            axes={self.axis: (UNMOVED, *self.first_moves)},
        )

    def payoffs(self, user: Items, assistant: Items) -> PayoffTables:
        """Return the tables that pay these items with the second move, and nothing before."""

        def spread(items: Items) -> NDArray[np.float64]:
            full = np.zeros((*self.shape, len(items)))
            for place, item in enumerate(items.values()):
                paid = on_grid(np.asarray(item, dtype=np.float64))  # (first moves, second moves)
                full[1:-1, :, :, 0, place] = paid[:, None, :] if self.first == "user" else paid[:, :, None]
            return full

        return PayoffTables(
            user_items=tuple(user), assistant_items=tuple(assistant), user=spread(user), assistant=spread(assistant)
        )


def two_move_scenario(
    frame: TwoMoves,
    *,
    name: str,
    description: str,
    items: Callable[[UserType], tuple[Items, Items]],
    shares: Mapping[UserType, float],
    game: Any,
    rules: str,
    type_words: Callable[[UserType], str],
    config: Mapping[str, Any],
    recipe: tuple[Callable[..., FiniteScenario], Mapping[str, Any]],
) -> FiniteScenario:
    """Return the scenario in which a game of two moves is played once, by a user of a private type.

    Args:
        frame: Who moves first, and the moves.
        name: The scenario's name.
        description: One sentence for lists.
        items: The user's and the assistant's payoff items for a type θ.
        shares: The population.
        game: The game in its own form.
        rules: The rules in words, for the briefing.
        type_words: What a type means, in a few words.
        config: What ``describe`` and records show as the game's settings.
        recipe: A factory and its keyword arguments from which the scenario is rebuilt when unpickled.

    Raises:
        UsageError: A move is called ``WAIT``, or the tables would not fit.
    """
    if WAIT in (*frame.first_moves, *frame.second_moves) or UNMOVED in frame.first_moves:
        raise UsageError(
            f"scenario {name!r}: a move is called {WAIT!r} or {UNMOVED!r}, which mean something; rename it"
        )
    check_size(name, frame.shape)
    tables = frame.tables()
    movers: list[Any] = [frame.first, *[frame.second] * len(frame.first_moves), ""]
    return FiniteScenario(
        name=name,
        description=description,
        tables=tables,
        payoffs=lambda user_type, pricing: frame.payoffs(*items(user_type)),
        retention=lambda total: 0.0,
        mix=UserMix(shares, {}),
        known_types={user_type.name: user_type for user_type in shares},
        pricing=Subscription(),
        own_types=True,
        type_words=type_words,
        config=config,
        pinnable=(),
        recipe=recipe,
        game=game,
        movers=movers,
        state_words=functools.partial(_words, frame),
        briefing=functools.partial(_brief, frame, description, rules),
    )


def _words(frame: TwoMoves, state: int) -> str:
    if state == 0:
        return f"the {frame.first} is to move"
    return f"{frame.axis} {frame.first_moves[state - 1]}, the {frame.second} is to move"


def _brief(frame: TwoMoves, description: str, rules: str, role: Role) -> str:
    known = "Your type is your secret." if role == "user" else "The user's type is its secret."
    moves, when = (frame.first_moves, "first") if role == frame.first else (frame.second_moves, "second, and last")
    return f"{description}\n{rules}\nYou are the {role}, and move {when}. {known}\nYour moves: {', '.join(moves)}."
