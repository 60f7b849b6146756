"""The stage game: the bimatrix of one exchange, cut out of a finite game's tables.

Cheap talk does not matter to it, so moves that share an act share a row. What comes after the exchange is closed off by a
stated continuation (``docs/game.md`` §5): the utterance that it produces gets one more reply, and then the session ends.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gtalign_env.games.bimatrix import Bimatrix
from gtalign_env.tables import GameTables, PayoffTables

__all__ = ["mean_game", "stage_game"]


def stage_game(
    tables: GameTables,
    payoffs: PayoffTables,
    state: int,
    *,
    user_acts: Mapping[str, int],
    assistant_acts: Mapping[str, int],
    continuation: tuple[int, NDArray[np.int32]] | None = None,
    retention_rate: float = 0.0,
) -> Bimatrix:
    """Return the bimatrix of the exchange that starts in ``state``.

    Args:
        tables: The game.
        payoffs: Its payoff tables for θ and a pricing policy.
        state: Index of the state.
        user_acts: Name and act of every row.
        assistant_acts: Name and act of every column.
        continuation: The user's act in the exchange after this one, and the assistant's act in it by (state, act of this
            exchange), shape (S, A); ``None`` leaves nothing after this exchange.
        retention_rate: What the assistant gains per util of the user's.

    Returns:
        Expected payoffs of every pair of moves.

    Example:
        >>> from gtalign_env.registration import make_scenario
        >>> game = make_scenario("matrix").stage_game({"round": "0"})
        >>> game.user.tolist()
        [[1.0, 4.0, 1.0], [0.0, 3.0, 2.0]]
    """
    rows = np.array(list(user_acts.values()))
    columns = np.array(list(assistant_acts.values()))
    sides = []
    for items in (payoffs.user, payoffs.assistant):
        utils = items.sum(axis=-1)  # (S, U, A, B)
        value = utils[state][np.ix_(rows, columns)]  # (rows, columns, B)
        if continuation is not None:
            value = value + _after(tables, utils, continuation)[state][np.ix_(rows, columns)]
        sides.append((tables.probability[state][np.ix_(rows, columns)] * value).sum(axis=-1))
    user, assistant = sides
    return Bimatrix(user, assistant + retention_rate * user, tuple(user_acts), tuple(assistant_acts))


def _after(tables: GameTables, utils: NDArray[Any], continuation: tuple[int, NDArray[np.int32]]) -> NDArray[Any]:
    """Return (S, U, A, B): the expected payoff of the one exchange that follows each entry of the tables."""
    user_act, reply = continuation
    expected = (tables.probability * utils).sum(axis=-1)[:, user_act]  # (S, A)
    following = tables.next_state  # (S, U, A, B)
    acts = np.arange(following.shape[2])[None, None, :, None]
    worth: NDArray[Any] = expected[following, reply[following, acts]]
    return np.where(following == tables.terminal, 0.0, worth)


def mean_game(games: Sequence[Bimatrix], shares: Sequence[float]) -> Bimatrix:
    """Return the stage game averaged over types, as someone sees it who knows only the population.

    Example:
        >>> from gtalign_env.registration import make_scenario
        >>> game = make_scenario("matrix").stage_game({"round": "0"})
        >>> mean_game([game, game], [0.5, 0.5]).user.tolist() == game.user.tolist()
        True
    """
    user = np.einsum("k,kij->ij", np.asarray(shares), np.stack([game.user for game in games]))
    assistant = np.einsum("k,kij->ij", np.asarray(shares), np.stack([game.assistant for game in games]))
    return Bimatrix(user, assistant, games[0].user_moves, games[0].assistant_moves)
