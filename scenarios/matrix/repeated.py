"""Compile a bimatrix into a finite scenario that is played for a number of rounds."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from gtalign_env.errors import UsageError
from gtalign_env.finite import FiniteScenario
from gtalign_env.mix import UserMix
from gtalign_env.payoffs import on_grid
from gtalign_env.pricing import Subscription
from gtalign_env.tables import GameTables, PayoffTables
from gtalign_env.types import Outcome, UserType

__all__ = ["repeated_matrix"]

_NOBODY = UserType(name="none")


def repeated_matrix(
    *,
    name: str,
    description: str,
    user_moves: Sequence[str],
    assistant_moves: Sequence[str],
    user: Any,
    assistant: Any,
    rounds: int = 1,
    recipe: tuple[Callable[..., FiniteScenario], Mapping[str, Any]] | None = None,
) -> FiniteScenario:
    """Return the scenario in which a bimatrix game is played ``rounds`` times.

    Both players see the round and both last moves. An illegal move earns the player that made it its worst payoff of the
    matrix against the other's move; the other player loses nothing by it and gets its best.

    Args:
        name: The scenario's name.
        description: One sentence for lists.
        user_moves: Names of the rows.
        assistant_moves: Names of the columns.
        user: The user's payoffs, shape (rows, columns), utils.
        assistant: The assistant's payoffs, the same shape.
        rounds: How often the game is played (1 to 1,000).
        recipe: A factory and its keyword arguments from which the scenario is rebuilt when unpickled.

    Raises:
        UsageError: The shapes do not fit, a payoff is not finite, or ``rounds`` is out of range.

    Example:
        >>> game = repeated_matrix(name="pd", description="", user_moves=["C", "D"], assistant_moves=["C", "D"],
        ...                        user=[[3, 0], [5, 1]], assistant=[[3, 5], [0, 1]])
        >>> game.moves("user")
        ('C', 'D')
    """
    if isinstance(rounds, bool) or not isinstance(rounds, int) or not 1 <= rounds <= 1000:
        raise UsageError(f"rounds: expected an integer from 1 to 1000, got {rounds!r}")
    shape = (len(user_moves), len(assistant_moves))
    payoffs = []
    for side, matrix in (("user", user), ("assistant", assistant)):
        try:
            array = np.asarray(matrix, dtype=np.float64)
        except (TypeError, ValueError):
            raise UsageError(f"{side} payoffs: expected finite numbers of shape {shape}, got {matrix!r}") from None
        if array.shape != shape or not np.isfinite(array).all():
            got = f"shape {array.shape}" if array.shape != shape else repr(array.tolist())
            raise UsageError(f"{side} payoffs: expected finite numbers of shape {shape}, got {got}")
        payoffs.append(on_grid(array))
    tables = _compile(tuple(user_moves), tuple(assistant_moves), rounds)
    cells = _payoff_tables(payoffs[0], payoffs[1], rounds)
    return FiniteScenario(
        name=name,
        description=description,
        tables=tables,
        payoffs=lambda user_type, pricing: cells,
        retention=lambda total: 0.0,
        mix=UserMix(_NOBODY, {}),
        known_types={},
        pricing=Subscription(),
        has_types=False,
        config={"rounds": rounds},
        recipe=recipe
        or (
            repeated_matrix,
            {
                "name": name,
                "description": description,
                "user_moves": tuple(user_moves),
                "assistant_moves": tuple(assistant_moves),
                "user": payoffs[0].tolist(),
                "assistant": payoffs[1].tolist(),
                "rounds": rounds,
            },
        ),
    )


def _compile(user_moves: tuple[str, ...], assistant_moves: tuple[str, ...], rounds: int) -> GameTables:
    shape = (rounds + 1, len(user_moves) + 1, len(assistant_moves) + 1, 1)
    following = np.minimum(np.arange(rounds + 1) + 1, rounds).astype(np.int32)
    features = (np.arange(rounds + 1) / rounds).astype(np.float32)[:, None]  # (S, 1): the share of rounds played
    initial = np.zeros(rounds + 1)
    initial[0] = 1.0
    return GameTables(
        user_moves=user_moves,
        assistant_moves=assistant_moves,
        user_act=np.arange(shape[1], dtype=np.int32),
        assistant_act=np.arange(shape[2], dtype=np.int32),
        next_state=np.ascontiguousarray(np.broadcast_to(following[:, None, None, None], shape)),
        probability=np.ones(shape),
        outcome=Outcome(**{field.name: np.zeros(shape) for field in dataclasses.fields(Outcome)}),
        user_mask=np.ones((rounds + 1, len(user_moves)), dtype=np.int8),
        assistant_mask=np.ones((rounds + 1, len(assistant_moves)), dtype=np.int8),
        features=features,
        initial=initial,
        axes={"round": tuple(str(i) for i in range(rounds))},
    )


def _payoff_tables(user: np.ndarray[Any, Any], assistant: np.ndarray[Any, Any], rounds: int) -> PayoffTables:
    def widened(own: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Add the no-op row and column: worst for whoever makes it, best for the other."""
        is_user = own is user
        column = (own.max(axis=1) if is_user else own.min(axis=1))[:, None]
        wide = np.concatenate([own, column], axis=1)
        row = (wide.min(axis=0) if is_user else wide.max(axis=0))[None, :]
        wide = np.concatenate([wide, row], axis=0)
        full = np.zeros((rounds + 1, *wide.shape, 1, 1))
        full[:rounds, :, :, 0, 0] = wide
        return full

    return PayoffTables(
        user_items=("cell",), assistant_items=("cell",), user=widened(user), assistant=widened(assistant)
    )
