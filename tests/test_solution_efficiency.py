"""The price of anarchy of games of every form: over which equilibria, and why there is none."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from gtalign_env.cli.solve_signalling import signalling_lines
from gtalign_env.cli.solve_tree import tree_lines
from gtalign_env.games import Bimatrix, Decision, Division, GameTree, Leaf
from gtalign_env.games.efficiency import Efficiency, compare_welfare
from gtalign_env.games.screening import ScreeningGame
from gtalign_env.games.signalling import SignallingGame
from gtalign_env.registration import make_scenario
from gtalign_env.solution import pose, solve
from gtalign_env.solution.signalling import solve_signalling
from gtalign_env.solution.tree import solve_tree

KEYS = {field.name for field in dataclasses.fields(Efficiency)} | {
    "gap_worst",
    "gap_best",
    "efficiency_worst",
    "efficiency_best",
}


def tree(name: str) -> GameTree:
    """Return a registered tree."""
    game: GameTree = pose(make_scenario(name)).game
    return game


def entry() -> SignallingGame:
    """One type enters or stays out; fighting is a threat that hurts both. Entry is shared (2, 1), staying out is (0, 2)."""
    return SignallingGame(
        np.ones(1),
        np.array([[[0, 0], [2, -1]]]),
        np.array([[[2, 2], [1, -1]]]),
        ("rival",),
        ("stay_out", "enter"),
        ("share", "fight"),
    )


@pytest.mark.parametrize(
    ("name", "perfect", "every"), [("trigame", 23 / 14, 23 / 7), ("monopoly", 1.0, 1.5), ("draco", 1.0, 10 / 9)]
)
def test_efficiency__of_a_tree_counts_no_empty_threats(name: str, perfect: float, every: float) -> None:
    """The published trees: best sums 23, 3 and 10; perfect play reaches 14, 3 and 10, threats hold 7, 2 and 9."""
    solved = solve_tree(tree(name))
    found = solved.as_dict()
    assert found["price_of_anarchy"] == pytest.approx(perfect) == found["price_of_stability"]
    assert found["efficiency"]["concept"] == "subgame-perfect"
    assert found["efficiency"]["gap_worst"] == found["efficiency"]["best"] * (1 - 1 / perfect)
    assert found["normal_form"]["price_of_anarchy"] == pytest.approx(every)
    assert found["normal_form"]["efficiency"]["concept"] == "nash"
    text = " ".join(" ".join(line.plain for line in tree_lines(solved, 100)).split())
    assert "in subgame-perfect play) empty threats included: price of anarchy" in text


def test_efficiency__of_a_tree_is_said_once_where_threats_change_nothing() -> None:
    """A single decision has no threats in it."""
    solved = solve_tree(GameTree(Decision("user", {"stop": Leaf(1, 1), "go": Leaf(0, 5)})))
    assert solved.as_dict()["price_of_anarchy"] == 2.5
    assert not any("threats included" in line.plain for line in tree_lines(solved, 100))


def test_efficiency__of_a_tree_looks_at_all_perfect_paths() -> None:
    """An indifferent mover makes two paths perfect, of sums 1 and 6."""
    found = solve(GameTree(Decision("assistant", {"left": Leaf(0, 1), "right": Leaf(5, 1)}))).as_dict()
    assert (found["price_of_anarchy"], found["price_of_stability"]) == (6.0, 1.0)


def test_efficiency__is_unknown_where_not_all_paths_are_listed() -> None:
    """Too many ties: nothing is made up from the one path that is listed, and the reason is told."""
    node: Any = Leaf(1, 1)
    for k in range(300):
        node = Decision("user" if k % 2 else "assistant", {"stop": Leaf(0, 0), "go": node, "wait": node})
    solved = solve_tree(GameTree(node))
    found = solved.as_dict()
    assert found["price_of_anarchy"] is None
    assert found["efficiency"] == {**dict.fromkeys(KEYS), "reason": "not all subgame-perfect paths are listed"}
    assert any("unknown: not all such paths are listed" in line.plain for line in tree_lines(solved, 100))


def test_efficiency__of_a_signalling_game_counts_no_empty_threats() -> None:
    """Entry deterrence: only entry (sum 3, the best) is perfect; the threat to fight keeps the rival out (sum 2)."""
    solved = solve_signalling(entry())
    found = solved.as_dict()
    assert (found["price_of_anarchy"], found["price_of_stability"]) == (1.0, 1.0)
    assert found["efficiency"]["concept"] == "perfect Bayesian"
    assert found["normal_form"]["price_of_anarchy"] == 1.5
    text = " ".join(" ".join(line.plain for line in signalling_lines(solved, 100)).split())
    assert "price of anarchy 1, of stability 1 (U + L 3 at best, 3 in perfect Bayesian equilibrium)" in text
    assert "empty threats included: price of anarchy 1.5" in text


def test_efficiency__of_talk_about_a_common_interest() -> None:
    """Babbling is right half of the time (sum 1), telling always (sum 2)."""
    found = solve(SignallingGame.cheap_talk([0.5, 0.5], np.eye(2), np.eye(2))).as_dict()
    assert (found["price_of_anarchy"], found["price_of_stability"]) == (2.0, 1.0)


def test_efficiency__of_a_signalling_game_without_pure_equilibria() -> None:
    """The first message is answered by the second action, whoever sent it. Were the second answered by the first action, type 1
    would send it, and the second action be better; else only type 2 would, and the first be better.
    """
    user = [[[1, 1], [2, 0]], [[2, 0], [0, 2]]]
    assistant = [[[0, 1], [0, 2]], [[1, 2], [1, 0]]]
    solved = solve_signalling(SignallingGame(np.array([0.5, 0.5]), np.array(user), np.array(assistant)))
    found = solved.as_dict()
    assert solved.equilibria == ()
    assert found["price_of_anarchy"] is None
    assert found["efficiency"]["reason"] == "there is no perfect Bayesian equilibrium in pure plans"
    assert any("unknown: there is no such equilibrium" in line.plain for line in signalling_lines(solved, 100))


@pytest.mark.parametrize(
    ("game", "reason"),
    [
        (Division((1, 1, 3), (1, 3, 2), (1, 0, 3)), "no moves"),
        (ScreeningGame([0.5, 0.5], [[1, -1], [1, 2]], [[1, 2], [1, 2]]), "only one side moves first"),
        (Bimatrix(np.eye(25), np.eye(25)), "not all equilibria are listed"),
        (Bimatrix([[0]], [[0]]), "not positive"),
        (Bimatrix([[1]], [[1]]), ""),
        (GameTree(Decision("user", {"stop": Leaf(1, 1)})), ""),
        (entry(), ""),
    ],
    ids=["division", "screening", "large", "zero", "matrix", "tree", "signalling"],
)
def test_efficiency__has_the_same_keys_in_every_game(game: Any, reason: str) -> None:
    """Numbers, or nulls and the reason for them."""
    found = solve(game).as_dict()
    assert set(found["efficiency"]) == KEYS
    assert found["price_of_anarchy"] == found["efficiency"]["anarchy"]
    assert found["price_of_stability"] == found["efficiency"]["stability"]
    assert (found["price_of_anarchy"] is None) == bool(reason)
    assert reason in found["efficiency"]["reason"]


def test_compare_welfare__without_a_positive_equilibrium() -> None:
    """The worst of two equilibria is worth nothing: no price of anarchy, the gap instead."""
    found = compare_welfare([-1.0, 0.0, 4.0], [0.0, 2.0], welfare="utilitarian", concept="subgame-perfect")
    assert (found.anarchy, found.stability, found.gap_worst, found.efficiency_worst) == (None, 2.0, 4.0, 0.2)
    assert "worst" in found.reason
