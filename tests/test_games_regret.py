"""Regret and distance from equilibrium."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gtalign_env.errors import UsageError
from gtalign_env.games import Bimatrix
from gtalign_env.games.regret import (
    as_plays,
    exploitability,
    external_regret,
    nash_conv,
    swap_regret,
    welfare_regret,
)


def bimatrix(user: Any, assistant: Any, *moves: Any) -> Bimatrix:
    """A game from plain lists."""
    return Bimatrix(user, assistant, *moves)


MATRIX_PD = ([[5, 0], [10, 1]], [[5, 10], [0, 1]])
PD = ([[3, 0], [5, 1]], [[3, 5], [0, 1]])


def test_regret__uniform_play_of_matrix_pd() -> None:
    """OpenSpiel's matrix_pd (payoffs 5, 0, 10, 1): NashConv 3.0, exploitability half of it."""
    assert nash_conv(*MATRIX_PD, (0.5, 0.5), (0.5, 0.5)) == 3.0
    assert exploitability(*MATRIX_PD, (0.5, 0.5), (0.5, 0.5)) == 1.5


def test_regret__equilibria_cannot_be_exploited() -> None:
    """NashConv is 0 at every equilibrium of every corner case."""
    for game in (
        bimatrix(*PD),
        bimatrix([[2, 0], [0, 1]], [[1, 0], [0, 2]]),
        bimatrix([[1, -1], [-1, 1]], [[-1, 1], [1, -1]]),
    ):
        for found in game.nash():
            row, column = [float(p) for p in found.user], [float(p) for p in found.assistant]
            assert nash_conv(game.user, game.assistant, row, column) == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("row", [(1,), (0.5, 0.6), (1.5, -0.5), "ab", (float("nan"), 1), None])
def test_regret__a_strategy_is_a_distribution(row: Any) -> None:
    """The message says whose strategy is wrong and what it should be."""
    with pytest.raises(UsageError, match="expected the user's as 2 probabilities that sum to 1"):
        nash_conv(*PD, row, (0.5, 0.5))


def test_regret__of_mutual_cooperation() -> None:
    """Three times (3, 3): defecting would have brought 2 more each time; welfare lost nothing."""
    plays = [(0, 0)] * 3
    assert external_regret(*PD, plays) == (6, 6)
    assert swap_regret(*PD, plays) == (6, 6)
    assert welfare_regret(*PD, plays) == 0
    assert welfare_regret(*PD, [(1, 1), (0, 1)], "egalitarian") == (3 - 1) + (3 - 0)


def test_regret__swapping_finds_more_than_a_fixed_move() -> None:
    """Always mismatched in a matching game: no fixed move helps, swapping each move does."""
    match = ([[1, 0], [0, 1]], [[0, 1], [1, 0]])
    plays = [(0, 1), (1, 0)]
    assert external_regret(*match, plays) == (1, -1)
    assert swap_regret(*match, plays) == (2, 0)


PLAYS = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 2)), min_size=1, max_size=8)
TABLE = st.lists(st.integers(-3, 3), min_size=6, max_size=6)


@given(TABLE, TABLE, PLAYS)
def test_regret__equals_its_definition(
    mine: Sequence[int], theirs: Sequence[int], plays: list[tuple[int, int]]
) -> None:
    """Totals equal the sums over rounds, maximised over fixed moves and over all maps from moves to moves."""
    user, assistant = np.reshape(mine, (2, 3)), np.reshape(theirs, (2, 3))
    got = [sum(side[play] for play in plays) for side in (user, assistant)]
    fixed = (
        max(sum(user[k, j] for _, j in plays) for k in range(2)) - got[0],
        max(sum(assistant[i, k] for i, _ in plays) for k in range(3)) - got[1],
    )
    swapped = (
        max(sum(user[m[i], j] for i, j in plays) for m in itertools.product(range(2), repeat=2)) - got[0],
        max(sum(assistant[i, m[j]] for i, j in plays) for m in itertools.product(range(3), repeat=3)) - got[1],
    )
    assert external_regret(user, assistant, plays) == fixed
    assert swap_regret(user, assistant, plays) == swapped
    assert min(swapped) >= 0
    assert welfare_regret(user, assistant, plays) == len(plays) * (user + assistant).max() - sum(got)


@pytest.mark.parametrize(
    "plays", [[], [(0,)], [(0, 2)], [(-1, 0)], [(0.5, 0)], "ab", [("C", "D")], [(0, float("nan"))], [(0, 1, 1)]]
)
def test_regret__plays_are_cells_of_the_game(plays: Any) -> None:
    """What is no list of cells is refused."""
    with pytest.raises(UsageError, match="plays: expected"):
        external_regret(*PD, plays)


def test_regret__plays_may_be_an_array() -> None:
    """Any array of pairs will do."""
    assert as_plays(np.array([[1, 0]]), (2, 2)).dtype == np.int64


def test_bimatrix__regret_by_the_names_of_moves() -> None:
    """Prisoner's dilemma, played C C, C D, D D: defecting always would have brought 5, 1, 1 instead of 3, 0, 1 and 5, 5, 1
    instead of 3, 5, 1. The sums of payoffs are 6, 5 and 2 of 6.
    """
    game = bimatrix(*PD, ("C", "D"), ("C", "D"))
    plays = [("C", "C"), ("C", "D"), ("D", "D")]
    assert game.regret(plays) == (3.0, 2.0)
    assert game.regret(plays, swap=True) == (3.0, 2.0)
    assert game.welfare_regret(plays) == 5.0
    assert game.welfare_regret(plays, "egalitarian") == 5.0  # 3 − 3, 3 − 0, 3 − 1
    assert game.nash_conv((0.0, 1.0), (0.0, 1.0)) == 0.0
    assert game.nash_conv((1.0, 0.0), (1.0, 0.0)) == 4.0
    with pytest.raises(UsageError, match="unknown row 'X'"):
        game.regret([("X", "C")])


def test_bimatrix__swap_regret_is_more_than_external_regret() -> None:
    """Always the wrong side of the road: no fixed side would have been better than half, the other side each time would."""
    road = bimatrix([[1, 0], [0, 1]], [[1, 0], [0, 1]], ("left", "right"), ("left", "right"))
    plays = [("left", "right"), ("right", "left")]
    assert road.regret(plays) == (1.0, 1.0)
    assert road.regret(plays, swap=True) == (2.0, 2.0)
