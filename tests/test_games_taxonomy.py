"""Kinds of 2×2 games: how many there are, what they are called, and what tempts in them."""

from __future__ import annotations

import collections
import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gtalign_env.errors import UsageError
from gtalign_env.games import Bimatrix
from gtalign_env.games.cells import pareto_cells, pure_nash_cells
from gtalign_env.games.taxonomy import SYMMETRIC_GAMES, Class2x2, Dilemma, all_classes, classify, ranks


def bimatrix(user: Any, assistant: Any, *moves: Any) -> Bimatrix:
    """A game from plain lists."""
    return Bimatrix(user, assistant, *moves)


PD = ([[3, 0], [5, 1]], [[3, 5], [0, 1]])
STAG_HUNT = ([[3, 0], [1, 1]], [[3, 1], [0, 1]])
HARE = ([[4, 0], [3, 3]], [[4, 3], [0, 3]])
BATTLE = ([[2, 0], [0, 1]], [[1, 0], [0, 2]])
WAIT_GO = ([[0, 0], [2, -4]], [[0, 2], [0, -4]])
PENNIES = ([[1, -1], [-1, 1]], [[-1, 1], [1, -1]])


def payoffs(found: Class2x2) -> tuple[np.ndarray, np.ndarray]:
    """The ranks of a class as two matrices."""
    return np.reshape(found.user_ranks, (2, 2)), np.reshape(found.assistant_ranks, (2, 2))


def test_taxonomy__there_are_144_classes_and_78_without_order_of_players() -> None:
    """576 strict ordinal games fall into 144 classes (Robinson and Goforth) or 78 (Rapoport and Guyer), all named apart."""
    assert len({found.id for found in all_classes()}) == len(all_classes()) == 144
    assert len({found.unordered_id for found in all_classes(exchange=True)}) == len(all_classes(exchange=True)) == 78
    assert {found.unordered_id for found in all_classes()} == {
        found.unordered_id for found in all_classes(exchange=True)
    }
    assert len({found.name for found in all_classes()}) == 144
    assert not any(found.ties for found in all_classes())


def test_taxonomy__the_six_structural_counts_hold() -> None:
    """Equilibria, dominant moves, win-win cells and inefficient games among the 144 are as the literature counts them."""
    classes = all_classes()
    assert collections.Counter(found.pure_nash for found in classes) == {1: 108, 2: 18, 0: 18}
    assert collections.Counter(found.dominant for found in classes) == {2: 36, 1: 72, 0: 36}
    assert sum(found.win_win for found in classes) == 36
    inefficient = []
    for found in classes:
        nash, pareto = pure_nash_cells(*payoffs(found)), pareto_cells(*payoffs(found))
        if nash.any() and not (nash & pareto).any():
            inefficient.append(found)
    assert len(inefficient) == 7
    assert [found.name for found in inefficient if found.dominant == 2] == ["Prisoner's Dilemma"]
    assert sum(found.symmetric for found in classes) == 12


@pytest.mark.parametrize(("order", "name"), SYMMETRIC_GAMES.items())
def test_taxonomy__the_twelve_symmetric_games_have_their_names(order: str, name: str) -> None:
    """R, S, T, P in the named order make the named game, also with the moves listed the other way round."""
    value = dict(zip(order, (4, 3, 2, 1), strict=True))
    table = np.array([[value["R"], value["S"]], [value["T"], value["P"]]])
    for own, other in ((table, table.T), (table[::-1, ::-1], table.T[::-1, ::-1]), (table[::-1], table.T[::-1])):
        found = classify(own, other)
        assert (found.name, found.symmetric, found.ties) == (name, True, False)


def test_taxonomy__only_symmetric_games_have_a_single_name() -> None:
    """A game of two patterns is named by both, the user's first; exchanging the players exchanges the names."""
    for found in all_classes():
        assert found.symmetric == ("/" not in found.name)
        own, other = payoffs(found)
        swapped = classify(other.T, own.T)
        assert swapped.names == ("/".join(reversed(found.name.split("/"))),)
        assert swapped.unordered_id == found.unordered_id


@given(st.permutations([1, 2, 3, 4]), st.permutations([1, 2, 3, 4]), st.booleans(), st.booleans())
def test_taxonomy__order_of_moves_and_units_do_not_matter(
    first: list[int], second: list[int], rows: bool, columns: bool
) -> None:
    """Relabelling and positive affine payoffs keep id, name and all counts."""
    own, other = np.reshape(first, (2, 2)), np.reshape(second, (2, 2))
    turn = np.ix_([1, 0] if rows else [0, 1], [1, 0] if columns else [0, 1])
    one, two = classify(own, other), classify(own[turn] * 0.1 - 7.0, other[turn] * 3e5)
    for field in ("id", "unordered_id", "names", "symmetric", "ties", "pure_nash", "dominant", "win_win"):
        assert getattr(one, field) == getattr(two, field)
    assert one.conflict == pytest.approx(two.conflict)


def test_taxonomy__ties_share_ranks() -> None:
    """Equal payoffs get half ranks; differences of rounding are equal."""
    assert ranks([[3, 0], [1, 1]]).tolist() == [[4, 1], [2.5, 2.5]]
    assert ranks([[0.1 + 0.2, 0.3], [0.3, 0.3]]).tolist() == [[2.5, 2.5], [2.5, 2.5]]
    assert ranks([[0, 0], [0, 0]]).tolist() == [[2.5, 2.5], [2.5, 2.5]]


def test_taxonomy__games_with_ties_stand_between_named_ones() -> None:
    """A symmetric game with ties has the names that breaking them the same way for both can give."""
    assert classify(*STAG_HUNT).names == ("Stag Hunt", "Assurance")
    assert classify(*STAG_HUNT).name == "Stag Hunt or Assurance"
    assert classify(*WAIT_GO).names == ("Chicken", "Battle of the Sexes")
    assert "Hero" in classify(*BATTLE).names
    assert classify(*PENNIES).names == ()
    assert classify(*PENNIES).name == ""
    assert classify([[1, 1], [1, 1]], [[1, 1], [1, 1]]).names == tuple(SYMMETRIC_GAMES.values())


def test_taxonomy__counts_and_conflict_of_known_games() -> None:
    """Equilibria, dominant moves and correlation of the textbook games."""
    pd, pennies = classify(*PD), classify(*PENNIES)
    assert (pd.pure_nash, pd.dominant, pd.win_win, pd.ties) == (1, 2, False, False)
    assert pd.conflict == pytest.approx(-0.8)  # ranks 3 1 4 2 against 3 4 1 2: 1 - 6·18/60
    assert (pennies.pure_nash, pennies.dominant, pennies.conflict, pennies.symmetric) == (0, 0, -1.0, False)
    assert classify([[1, 2], [3, 4]], [[1, 2], [3, 4]]).conflict == 1.0
    assert classify([[1, 1], [1, 1]], [[1, 2], [3, 4]]).conflict is None


def test_taxonomy__dilemma_indices_are_the_textbook_ones() -> None:
    """Prisoner's dilemma: greed 2, fear 1, K 0.4; stag hunt: greed -2, fear 1; both are social dilemmas."""
    pd, hunt = classify(*PD).dilemma, classify(*STAG_HUNT).dilemma
    assert pd is not None
    assert hunt is not None
    assert (pd.greed, pd.fear, pd.cooperation_index, pd.is_social_dilemma) == (2, 1, 0.4, True)
    assert (hunt.greed, hunt.fear, hunt.is_social_dilemma) == (-2, 1, True)
    assert hunt.cooperation_index == 2.0


def test_taxonomy__dilemma_is_found_in_any_order_of_moves() -> None:
    """R > P decides which move cooperates; a game that is symmetric only in ranks has no indices."""
    own, other = (np.array(side) for side in PD)
    for turn in itertools.product((slice(None), slice(None, None, -1)), repeat=2):
        assert classify(own[turn], other[turn]).dilemma == Dilemma(reward=3, sucker=0, temptation=5, punishment=1)
    assert classify(own, other * 2).dilemma is None
    assert classify(own, other * 2).symmetric
    assert Dilemma(reward=1, sucker=0, temptation=0, punishment=0).cooperation_index is None
    assert not Dilemma(reward=1, sucker=0, temptation=0, punishment=0).is_social_dilemma
    assert not Dilemma(reward=3, sucker=0, temptation=7, punishment=1).is_social_dilemma, "taking turns would be better"


def test_taxonomy__risk_dominance_compares_what_leaving_costs() -> None:
    """Stag dominates at 4 > 1; in the other variant hare does at 9 > 1; battle of the sexes is a draw."""
    names = (("Stag", "Hare"), ("Stag", "Hare"))
    assert classify(*STAG_HUNT, *names).risk_dominant == ("Stag", "Stag")
    assert classify(*HARE, *names).risk_dominant == ("Hare", "Hare")
    assert classify(*BATTLE).risk_dominant is None
    assert classify(*PD).risk_dominant is None
    assert classify([[0, 2], [1, 0]], [[0, 5], [1, 0]]).risk_dominant == ("1", "2")  # 2·5 > 1·1


def test_taxonomy__larger_games_are_classified_by_their_subgames() -> None:
    """The paper's 2×3 game has three 2×2 subgames, named by their moves."""
    game = bimatrix([[1, 4, 1], [0, 3, 2]], [[1, 0, 0], [1, 3, 1]], ("VQ", "DQ"), ("DA", "AQ", "CQ"))
    found = game.subgame_classes()
    assert [columns for _, columns in found] == [("DA", "AQ"), ("DA", "CQ"), ("AQ", "CQ")]
    assert [one.pure_nash for one in found.values()] == [1, 2, 1]
    with pytest.raises(UsageError, match=r"two by two moves, got 2x3; subgame_classes\(\)"):
        game.classify()


def test_taxonomy__a_bimatrix_passes_its_names_on() -> None:
    """The risk-dominant cell is named by the game's own moves."""
    assert bimatrix(*HARE, ("S", "H"), ("s", "h")).classify().risk_dominant == ("H", "h")
