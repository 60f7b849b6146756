"""A finite scenario, compiled once into arrays with named axes.

The axes, in order:

* ``state``: all public states, the last one absorbing (the session is over);
* ``user_act``: what of the user's move matters to the rules (several moves may share an act);
* ``assistant_act``: the same for the assistant; the no-op that an illegal move counts as has an act of its own, or shares one;
* ``branch``: what chance decides.

Every engine and solver indexes these same arrays, so they cannot disagree.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from gtalign_env.errors import UsageError
from gtalign_env.protocols import PayoffModel, PricingPolicy
from gtalign_env.types import Outcome, UserType

__all__ = ["GameTables", "PayoffTables", "payoff_tables"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int32]


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class GameTables:
    """The rules of a finite game as arrays.

    Shapes: S states, U user acts, A assistant acts, B branches, F features.
    """

    user_moves: tuple[str, ...]
    """Names of the user's moves, without the no-op."""
    assistant_moves: tuple[str, ...]
    """Names of the assistant's moves, without the no-op."""
    user_act: Ints
    """(user moves + 1,): the act of every move; the last entry is the no-op's."""
    assistant_act: Ints
    """(assistant moves + 1,): the act of every move; the last entry is the no-op's."""
    next_state: Ints
    """(S, U, A, B): the state that follows."""
    probability: Floats
    """(S, U, A, B): the chance of each branch; sums to 1 over B."""
    outcome: Outcome
    """Outcome whose fields are arrays of shape (S, U, A, B)."""
    user_mask: NDArray[np.int8]
    """(S, user moves): 1 where a move is legal."""
    assistant_mask: NDArray[np.int8]
    """(S, assistant moves): 1 where a move is legal."""
    features: NDArray[np.float32]
    """(S, F): what of the state both players see, each in [0, 1]."""
    initial: Floats
    """(S,): distribution of the first state."""
    axes: Mapping[str, tuple[str, ...]]
    """The state's coordinates by name, in the order of ``numpy.unravel_index``; the absorbing state stands after them."""

    def __post_init__(self) -> None:
        """Check that the arrays fit together."""
        shape = self.next_state.shape
        if self.probability.shape != shape:
            raise UsageError(f"tables: probability has shape {self.probability.shape}, next_state has {shape}")
        for field in dataclasses.fields(Outcome):
            if np.shape(getattr(self.outcome, field.name)) != shape:
                got = np.shape(getattr(self.outcome, field.name))
                raise UsageError(f"tables: outcome.{field.name} has shape {got}, expected {shape}")
        if not np.allclose(self.probability.sum(axis=-1), 1.0, rtol=0.0, atol=1e-12):
            raise UsageError("tables: the branch probabilities do not sum to 1 everywhere")
        if self.next_state.min() < 0 or self.next_state.max() >= shape[0]:
            raise UsageError("tables: next_state points outside the states")

    @property
    def terminal(self) -> int:
        """Index of the absorbing state."""
        return int(self.next_state.shape[0]) - 1

    def index(self, **coordinates: str) -> int:
        """Return the state with these coordinates.

        Raises:
            UsageError: A coordinate is missing, unknown or has no such value.
        """
        if set(coordinates) != set(self.axes):
            raise UsageError(f"state coordinates: expected {', '.join(self.axes)}; got {', '.join(coordinates)}")
        position = []
        for name, values in self.axes.items():
            if coordinates[name] not in values:
                raise UsageError(f"state coordinate {name!r}: expected one of {values}, got {coordinates[name]!r}")
            position.append(values.index(coordinates[name]))
        return int(np.ravel_multi_index(position, tuple(len(v) for v in self.axes.values())))

    def coordinates(self, state: int) -> dict[str, str]:
        """Return the coordinates of a state by name (empty for the absorbing state)."""
        if state == self.terminal:
            return {}
        position = np.unravel_index(state, tuple(len(v) for v in self.axes.values()))
        return {name: values[int(i)] for (name, values), i in zip(self.axes.items(), position, strict=True)}


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class PayoffTables:
    """Itemised payoffs of a finite game for one type and one pricing policy."""

    user_items: tuple[str, ...]
    assistant_items: tuple[str, ...]
    user: Floats
    """(S, U, A, B, user items), utils."""
    assistant: Floats
    """(S, U, A, B, assistant items), utils; never depends on θ."""


def payoff_tables(tables: GameTables, model: PayoffModel, user_type: UserType, pricing: PricingPolicy) -> PayoffTables:
    """Evaluate a payoff model on every entry of a game's tables.

    Args:
        tables: The game.
        model: The payoff model.
        user_type: θ.
        pricing: The pricing policy.

    Returns:
        Both sides' items, in the order the model names them.
    """
    shape = tables.next_state.shape

    def stack(items: Mapping[str, object], names: tuple[str, ...]) -> Floats:
        columns = [np.broadcast_to(np.asarray(items[name], dtype=np.float64), shape) for name in names]
        stacked = np.ascontiguousarray(np.stack(columns, axis=-1))
        if not np.isfinite(stacked).all():
            bad = names[int(np.argwhere(~np.isfinite(stacked))[0][-1])]
            raise UsageError(f"payoff model {model.name!r}: item {bad!r} is not finite everywhere")
        return stacked

    return PayoffTables(
        user_items=model.user_items,
        assistant_items=model.assistant_items,
        user=stack(model.user(tables.outcome, user_type, pricing), model.user_items),
        assistant=stack(model.assistant(tables.outcome, pricing), model.assistant_items),
    )
