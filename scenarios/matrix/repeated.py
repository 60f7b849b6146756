"""Compile a bimatrix into a finite scenario that is played for a number of rounds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gtalign_env.errors import UsageError
from gtalign_env.finite import FiniteScenario
from gtalign_env.games import Bimatrix
from gtalign_env.payoffs import on_grid
from gtalign_env.scenarios.talk.compiled import Compiled, check_size, nothing_happens
from gtalign_env.scenarios.talk.config import Talk
from gtalign_env.scenarios.talk.game import open_game
from gtalign_env.tables import GameTables, PayoffTables

__all__ = ["matrix_scenario", "repeated_matrix"]


def repeated_matrix(
    *,
    name: str,
    description: str,
    user_moves: Sequence[str],
    assistant_moves: Sequence[str],
    user: Any,
    assistant: Any,
    rounds: int = 1,
    talk: Talk | None = None,
    config: Mapping[str, Any] | None = None,
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
        talk: How the players talk before every round; not at all when ``None``.
        config: What ``describe`` and records show as the game's settings; the rounds, and the options of talk, when ``None``.
        recipe: A factory and its keyword arguments from which the scenario is rebuilt when unpickled.

    Raises:
        UsageError: The shapes do not fit, a payoff is not finite, ``rounds`` is out of range, or the tables would not fit.

    Example:
        >>> game = repeated_matrix(name="pd", description="", user_moves=["C", "D"], assistant_moves=["C", "D"],
        ...                        user=[[3, 0], [5, 1]], assistant=[[3, 5], [0, 1]])
        >>> game.moves("user")
        ('C', 'D')
    """
    if isinstance(rounds, bool) or not isinstance(rounds, int) or not 1 <= rounds <= 1000:
        raise UsageError(f"rounds: expected an integer from 1 to 1000, got {rounds!r}")
    shape = (len(user_moves), len(assistant_moves))
    own, other = (_payoffs(side, matrix, shape) for side, matrix in (("user", user), ("assistant", assistant)))
    game = Bimatrix(own, other, tuple(user_moves), tuple(assistant_moves))
    check_size(name, (rounds + 1, shape[0] + 1, shape[1] + 1, 1))
    given = {
        "name": name,
        "description": description,
        "user_moves": game.user_moves,
        "assistant_moves": game.assistant_moves,
        "user": own.tolist(),
        "assistant": other.tolist(),
        "rounds": rounds,
        "talk": talk,
    }
    return open_game(
        name=name,
        description=description,
        game=game,
        compiled=Compiled(_tables(game, rounds), _payoff_tables(own, other, rounds)),
        talk=talk or Talk(),
        rounds=rounds,
        config={"rounds": rounds, **(talk.options() if talk else {})} if config is None else config,
        recipe=recipe or (repeated_matrix, given),
    )


def matrix_scenario(
    game: Bimatrix, *, name: str, description: str = "", rounds: int = 1, talk: Talk | None = None
) -> FiniteScenario:
    """Return the scenario in which a bimatrix of one's own is played ``rounds`` times.

    Args:
        game: The game, with the names of its moves.
        name: The scenario's name.
        description: One sentence for lists.
        rounds: How often the game is played (1 to 1,000).
        talk: How the players talk before every round; not at all when ``None``.

    Raises:
        UsageError: ``rounds`` is out of range, or the tables would not fit.

    Example:
        >>> dilemma = Bimatrix([[3, 0], [5, 1]], [[3, 5], [0, 1]], ("stay", "go"), ("stay", "go"))
        >>> matrix_scenario(dilemma, name="mine", rounds=5).moves("user")
        ('stay', 'go')
    """
    return repeated_matrix(
        name=name,
        description=description or "A game of one matrix that both know.",
        user_moves=game.user_moves,
        assistant_moves=game.assistant_moves,
        user=game.user,
        assistant=game.assistant,
        rounds=rounds,
        talk=talk,
        recipe=(
            matrix_scenario,
            {"game": game, "name": name, "description": description, "rounds": rounds, "talk": talk},
        ),
    )


def _payoffs(side: str, matrix: Any, shape: tuple[int, int]) -> NDArray[np.float64]:
    """Return one side's payoffs on the grid, having checked them."""
    try:
        array = np.asarray(matrix, dtype=np.float64)
    except (TypeError, ValueError):
        raise UsageError(f"{side} payoffs: expected finite numbers of shape {shape}, got {matrix!r}") from None
    if array.shape != shape or not np.isfinite(array).all():
        got = f"shape {array.shape}" if array.shape != shape else repr(array.tolist())
        raise UsageError(f"{side} payoffs: expected finite numbers of shape {shape}, got {got}")
    gridded: NDArray[np.float64] = on_grid(array)
    return gridded


def _tables(game: Bimatrix, rounds: int) -> GameTables:
    rows, columns = game.shape
    shape = (rounds + 1, rows + 1, columns + 1, 1)
    following = np.minimum(np.arange(rounds + 1) + 1, rounds).astype(np.int32)
    features = (np.arange(rounds + 1) / rounds).astype(np.float32)[:, None]  # (S, 1): the share of rounds played
    initial = np.zeros(rounds + 1)
    initial[0] = 1.0
    return GameTables(
        user_moves=game.user_moves,
        assistant_moves=game.assistant_moves,
        user_act=np.arange(shape[1], dtype=np.int32),
        assistant_act=np.arange(shape[2], dtype=np.int32),
        next_state=np.broadcast_to(following[:, None, None, None], shape),
        probability=np.broadcast_to(1.0, shape),
        outcome=nothing_happens(shape),
        user_mask=np.ones((rounds + 1, rows), dtype=np.int8),
        assistant_mask=np.ones((rounds + 1, columns), dtype=np.int8),
        features=features,
        initial=initial,
        axes={"round": tuple(str(i) for i in range(rounds))},
    )


def _payoff_tables(user: NDArray[np.float64], assistant: NDArray[np.float64], rounds: int) -> PayoffTables:
    def widened(own: NDArray[np.float64]) -> NDArray[np.float64]:
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
