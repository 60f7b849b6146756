"""Signalling games: all pure perfect Bayesian equilibria, and what messages tell."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linprog

from gtalign_env.errors import UsageError
from gtalign_env.games.signalling import SignallingGame
from gtalign_env.games.signalling_equilibria import SignallingEquilibrium

EYE = np.eye(2)
make: Any = SignallingGame  # takes lists and integers as well


def spence() -> SignallingGame:
    """Return types worth 1 and 3, a degree at 2.25 or 0.75, pay of 1, 2 or 3."""
    pay, worth, cost = np.array([1.0, 2, 3]), np.array([1.0, 3]), np.array([[0, 2.25], [0, 0.75]])
    user = pay - cost[:, :, None]
    assistant = np.stack([-((pay - worth[:, None]) ** 2)] * 2, axis=1)
    game: SignallingGame = make([0.5, 0.5], user, assistant, ("low", "high"), ("none", "degree"), ("1", "2", "3"))
    return game


def beer_and_quiche() -> SignallingGame:
    """Return the game of Cho & Kreps: 1 for the breakfast one likes, 2 for not having to fight; nine in ten are strong."""
    breakfast = np.array([[1.0, 0.0], [0.0, 1.0]])  # (strong, weak) x (beer, quiche)
    user = breakfast[:, :, None] + np.array([0.0, 2.0])
    assistant = np.repeat(np.array([[0.0, 1.0], [1.0, 0.0]])[:, None, :], 2, axis=1)  # fight the weak, not the strong
    game: SignallingGame = make(
        np.array([0.9, 0.1]), user, assistant, ("strong", "weak"), ("beer", "quiche"), ("fight", "walk")
    )
    return game


def plans(found: tuple[SignallingEquilibrium, ...]) -> set[tuple[tuple[str, ...], tuple[str, ...]]]:
    """Return both strategies of each equilibrium."""
    return {(one.sender, one.receiver) for one in found}


def test_spence__has_one_separating_and_two_pooling_equilibria() -> None:
    """By hand: low stays away as 3 − 2.25 < 1, high goes as 3 − .75 > 1; nobody goes if a degree is paid 1 or 2."""
    found = spence().pure_equilibria()
    assert plans(found) == {
        (("none", "degree"), ("1", "3")),
        (("none", "none"), ("2", "1")),
        (("none", "none"), ("2", "2")),
    }
    apart = next(one for one in found if one.kind == "separating")
    assert apart.beliefs == ((1.0, 0.0), (0.0, 1.0))
    assert apart.on_path == (True, True)
    assert apart.user_by_type == (1.0, 2.25)
    assert (apart.user_payoff, apart.assistant_payoff) == (1.625, 0.0)
    assert (apart.informativeness, apart.truthfulness, apart.intuitive) == (1.0, None, True)
    pooled = [one for one in found if one.kind == "pooling"]
    assert {one.receiver[1]: one.beliefs[1] for one in pooled} == {"1": (1.0, 0.0), "2": (0.5, 0.5)}
    assert [(one.on_path, one.informativeness, one.intuitive) for one in pooled] == [((True, False), 0.0, False)] * 2


def test_beer_and_quiche__only_beer_is_intuitive() -> None:
    """Two pooling equilibria; the one on quiche falls to the intuitive criterion, as in the paper."""
    found = beer_and_quiche().pure_equilibria()
    assert plans(found) == {(("beer", "beer"), ("walk", "fight")), (("quiche", "quiche"), ("fight", "walk"))}
    assert {one.sender[0]: one.intuitive for one in found} == {"beer": True, "quiche": False}


def test_equilibria__may_not_exist_in_pure_strategies() -> None:
    """The first type wants to hide behind the second only where it is not expected to: no pure plan is stable."""
    user = [[[-1, 1], [0, 0]], [[5, 5], [0, 0]]]
    assistant = [[[3, 0], [0, 0]], [[0, 1], [0, 0]]]
    assert make([0.5, 0.5], user, assistant).pure_equilibria() == ()


def test_off_path__beliefs_may_be_inside_the_simplex() -> None:
    """The compromise is best near even odds only: neither the prior nor a sure belief supports it, yet some belief does."""
    worth = np.repeat(np.array([[1.0, 0, 0.6], [0, 1.0, 0.6]])[:, None, :], 2, axis=1)
    user = np.zeros((2, 2, 3))
    user[:, 0] = 5.0  # everybody sends the first message
    game = make(np.array([0.9, 0.1]), user, worth, (), (), ("left", "right", "middle"))
    found = {one.receiver[1]: one.beliefs[1] for one in game.pure_equilibria()}
    assert set(found) == {"left", "right", "middle"}
    low, high = 0.4, 0.6  # middle is best where p <= .6 and 1 - p <= .6
    assert low - 1e-9 <= found["middle"][0] <= high + 1e-9


def supported(game: SignallingGame, message: int, action: int) -> bool:
    """Return whether a belief supports an action, by SciPy's LP with free slack: the oracle."""
    gains = (game.assistant[:, message] - game.assistant[:, message, [action]]).T
    count = len(game.types)
    found = linprog(
        [0.0] * count + [1.0],
        A_ub=np.column_stack([gains, -np.ones(len(gains))]),
        b_ub=np.zeros(len(gains)),
        A_eq=[[1.0] * count + [0.0]],
        b_eq=[1.0],
        bounds=[(0, 1)] * count + [(None, None)],
    )
    return bool(found.fun <= 1e-7)


def by_definition(game: SignallingGame) -> set[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Return all pure perfect Bayesian equilibria by checking every profile against the definition."""
    count, messages, actions = game.shape
    ok = {(m, a): supported(game, m, a) for m in range(messages) for a in range(actions)}
    found = set()
    for sent in itertools.product(range(messages), repeat=count):
        for done in itertools.product(range(actions), repeat=messages):
            selfish = all(
                game.user[t, sent[t], done[sent[t]]] >= max(game.user[t, m, done[m]] for m in range(messages)) - 1e-9
                for t in range(count)
            )
            best = True
            for m in range(messages):
                weight = [game.prior[t] * (sent[t] == m) for t in range(count)]
                if any(weight):
                    worth = [sum(w * game.assistant[t, m, a] for t, w in enumerate(weight)) for a in range(actions)]
                    best &= worth[done[m]] >= max(worth) - 1e-9
                else:
                    best &= ok[m, done[m]]
            if selfish and best:
                found.add((sent, done))
    return found


@st.composite
def games(draw: st.DrawFn) -> SignallingGame:
    """Return a random game with small integer payoffs, ties included."""
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    count, messages, actions = (draw(st.integers(1, 3)) for _ in range(3))
    shape = (count, messages, actions)
    prior = rng.integers(1, 4, size=count)
    game: SignallingGame = make(prior / prior.sum(), rng.integers(0, 4, size=shape), rng.integers(0, 4, size=shape))
    return game


@given(games())
def test_equilibria__are_those_of_the_definition(game: SignallingGame) -> None:
    """Enumeration by strategies and by every profile find the same, and supporting beliefs do support."""
    found = game.pure_equilibria()
    index = {name: i for i, name in enumerate(game.messages)}, {name: i for i, name in enumerate(game.actions)}
    assert {
        (tuple(index[0][m] for m in one.sender), tuple(index[1][a] for a in one.receiver)) for one in found
    } == by_definition(game)
    for one in found:
        for m, belief in enumerate(one.beliefs):
            worth = np.array(belief) @ game.assistant[:, m]
            assert math.isclose(sum(belief), 1.0)
            assert worth[index[1][one.receiver[m]]] >= worth.max() - 1e-7


@given(games())
def test_equilibria__are_nash_equilibria_of_the_plans(game: SignallingGame) -> None:
    """Every one is a pure equilibrium of the normal form, with the same expected payoffs."""
    form = game.normal_form()
    pure = set(form.pure_nash())
    for one in game.pure_equilibria():
        cell = "|".join(one.sender), "|".join(one.receiver)
        assert cell in pure
        at = form.user_moves.index(cell[0]), form.assistant_moves.index(cell[1])
        assert form.user[at] == pytest.approx(one.user_payoff)
        assert form.assistant[at] == pytest.approx(one.assistant_payoff)


def test_cheap_talk__tells_all_where_interests_agree_and_nothing_where_they_oppose() -> None:
    """With common interests talk separates in either language; with opposed ones only babbling is stable."""
    common = SignallingGame.cheap_talk([0.5, 0.5], EYE, EYE, ("a", "b"))
    apart = [one for one in common.pure_equilibria() if one.kind == "separating"]
    assert {(one.sender, one.truthfulness) for one in apart} == {(("a", "b"), 1.0), (("b", "a"), 0.0)}
    opposed = SignallingGame.cheap_talk([0.5, 0.5], 1 - EYE, EYE, ("a", "b"))
    assert {one.kind for one in opposed.pure_equilibria()} == {"pooling"}
    assert common.is_cheap_talk
    assert not spence().is_cheap_talk


def test_cheap_talk__may_tell_a_part() -> None:
    """Of three types two are served alike: telling them from the third removes H(1/3) of log₂ 3 bits."""
    worth = [[1, 0], [0, 1], [0, 1]]
    game = SignallingGame.cheap_talk([1 / 3] * 3, worth, worth, messages=("first", "other"))
    partial = [one for one in game.pure_equilibria() if one.sender == ("first", "other", "other")]
    assert [one.kind for one in partial] == ["partial"]
    assert partial[0].informativeness == pytest.approx(0.9182958340544896 / math.log2(3))


def test_single_crossing__needs_costs_that_fall_with_the_type() -> None:
    """Spence's market has it, equal or rising costs do not, and neither does a market whose types are named backwards."""
    game = spence()
    assert game.single_crossing()
    assert not make(game.prior, game.user[::-1], game.assistant).single_crossing()
    equal = np.array([1.0, 2, 3]) - np.array([[0, 1.0], [0, 1.0]])[:, :, None]  # a step of pay is worth just the degree
    assert not make(game.prior, equal, game.assistant).single_crossing()


def test_informativeness_and_truthfulness__of_strategies_counted_from_play() -> None:
    """Telling the truth four times of five: the worked figure of .2677 bits of .9710."""
    game = SignallingGame.cheap_talk([0.6, 0.4], EYE, EYE, ("a", "b"))
    counted = [[0.8, 0.2], [0.2, 0.8]]
    assert game.informativeness(counted) == pytest.approx(0.2677 / 0.9710, abs=1e-4)
    assert game.truthfulness(counted) == pytest.approx(0.8)
    assert SignallingGame.cheap_talk([1.0], [[1]], [[1]]).informativeness([[1.0]]) == 0.0
    with pytest.raises(UsageError, match=r"strategy: expected shape \(2, 2\)"):
        game.informativeness([[1.0], [1.0]])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"prior": [0.5, 0.6]}, "prior: expected probabilities"),
        ({"prior": [1.0, 0.0]}, "chance > 0 for each type"),
        ({"prior": [1.0]}, "1 types, messages, actions"),
        ({"user": [[1, 2], [3]]}, "the user's payoffs as numbers in rows of one length"),
        ({"user": EYE}, "user's payoffs in 3 dimensions, got shape"),
        ({"user": np.zeros((2, 2, 0))}, "3 dimensions"),
        ({"assistant": np.full((2, 2, 2), np.nan)}, "finite payoffs of the assistant"),
        ({"assistant": np.zeros((2, 3, 2))}, "payoffs of one shape"),
        ({"types": ("a",)}, "types: expected 2 different names"),
        ({"messages": ("a", "a")}, "messages: expected 2 different names"),
    ],
)
def test_games__that_are_none_are_refused(change: dict[str, Any], message: str) -> None:
    """Prior, payoffs and names are checked."""
    whole: dict[str, Any] = {"prior": [0.5, 0.5], "user": np.zeros((2, 2, 2)), "assistant": np.zeros((2, 2, 2))}
    with pytest.raises(UsageError, match=message):
        make(**{**whole, **change})


def test_games__too_large_to_enumerate_say_so() -> None:
    """Ten messages and ten actions make 10^12 pairs of strategies for two types."""
    game = make([0.5, 0.5], np.zeros((2, 10, 10)), np.zeros((2, 10, 10)))
    for ask in (game.pure_equilibria, game.normal_form):
        with pytest.raises(UsageError, match=r"1,000,000,000,000 pairs of pure strategies, at most 1,000,000"):
            ask()
    assert repr(game).startswith("SignallingGame(types=('1', '2')")
    with pytest.raises(ValueError, match="read-only"):
        game.user[0, 0, 0] = 1.0
