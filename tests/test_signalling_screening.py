"""Screening: menus, incentives, rents, and the best menu."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linprog

from gtalign_env.errors import UsageError
from gtalign_env.games.menus import best_menu, highest_prices
from gtalign_env.games.screening import ScreeningGame, audit_menu

QUALITY = np.arange(0, 2.51, 0.25)
make: Any = ScreeningGame  # takes lists and integers as well


def best_prices_by_lp(worth: Any, shares: Any) -> Any:
    """Return the prices that maximise expected revenue under IC and IR, by SciPy's LP; ``None`` if there are none."""
    count = len(worth)
    rows, limits = [], []
    for i in range(count):
        rows.append(np.eye(count)[i])
        limits.append(worth[i, i])
        for j in range(count):
            rows.append(np.eye(count)[i] - np.eye(count)[j])
            limits.append(worth[i, i] - worth[i, j])
    found = linprog(-np.asarray(shares), A_ub=rows, b_ub=limits, bounds=[(None, None)] * count)
    return found.x if found.status == 0 else None


@given(st.integers(0, 10**6), st.integers(1, 4))
def test_highest_prices__are_those_of_the_linear_program(seed: int, count: int) -> None:
    """Shortest paths and an LP agree on whether prices exist and on what they are."""
    rng = np.random.default_rng(seed)
    worth = rng.integers(0, 6, size=(count, count)).astype(float)
    if seed % 2:
        worth = np.outer(np.arange(1, count + 1), np.sort(rng.random(count)))  # single crossing: prices exist
    ours, theirs = highest_prices(worth), best_prices_by_lp(worth, np.full(count, 1 / count))
    assert (ours is None) == (theirs is None)
    if ours is not None:
        assert ours == pytest.approx(theirs, abs=1e-7)
        assert audit_menu(worth, ours).works


@pytest.mark.parametrize(("keen", "qualities"), [(1 / 3, (0.5, 2.0)), (1 / 2, (0.0, 2.0)), (1 / 5, (0.75, 2.0))])
def test_best_menu__is_mussa_and_rosens(keen: float, qualities: tuple[float, float]) -> None:
    """q_H = v_H and q_L = max(0, v_L − (p_H/p_L)(v_H − v_L)); P_L = v_L·q_L, P_H = v_H·q_H − (v_H − v_L)·q_L."""
    menu = best_menu([1 - keen, keen], np.outer([1, 2], QUALITY), QUALITY**2 / 2)
    low, high = qualities
    assert low == max(0.0, 1 - keen / (1 - keen))
    assert tuple(QUALITY[list(menu.qualities)]) == qualities
    assert menu.prices == (low, 2 * high - low)
    assert menu.rents == (0.0, low)
    assert menu.profit == pytest.approx((1 - keen) * (low - low**2 / 2) + keen * (2 * high - low - high**2 / 2))
    assert tuple(QUALITY[list(menu.efficient)]) == (1.0, 2.0)
    assert menu.lost_surplus == pytest.approx((1 - keen) * (0.5 - (low - low**2 / 2)))
    assert menu.audit.works


@given(st.integers(0, 10**6))
def test_best_menu__no_assignment_with_lp_prices_is_more_profitable(seed: int) -> None:
    """Three types, three qualities, any worths: the profit is the best over all assignments priced by the LP."""
    rng = np.random.default_rng(seed)
    shares = rng.dirichlet(np.ones(3))
    worth = np.column_stack([np.zeros(3), rng.random((3, 2)) * 3])
    cost = np.array([0.0, 0.5, 1.0])
    best = 0.0
    for given_ in itertools.product(range(3), repeat=3):
        prices = best_prices_by_lp(worth[:, given_], shares)
        if prices is not None:
            best = max(best, float(shares @ (prices - cost[list(given_)])))
    assert best_menu(shares, worth, cost).profit == pytest.approx(best, abs=1e-7)


@st.composite
def screenings(draw: st.DrawFn) -> ScreeningGame:
    """Return a random screening game with small integer payoffs."""
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    shape = draw(st.integers(1, 3)), draw(st.integers(1, 4))
    prior = rng.integers(1, 4, size=shape[0])
    game: ScreeningGame = make(prior / prior.sum(), rng.integers(-2, 4, size=shape), rng.integers(-2, 4, size=shape))
    return game


@given(screenings())
def test_optimal_menu__is_the_best_of_all_menus(game: ScreeningGame) -> None:
    """Posting each subset of contracts and letting types choose finds nothing more profitable; the optimum holds IC and IR."""
    best = game.optimal_menu()
    menus = [m for size in range(len(game.contracts) + 1) for m in itertools.combinations(game.contracts, size)]
    outcomes = [game.outcome(menu) for menu in menus]
    assert best.assistant_payoff == pytest.approx(max(one.assistant_payoff for one in outcomes))
    assert game.audit(best.choices).works
    assert game.outcome(best.menu).assistant_payoff == pytest.approx(best.assistant_payoff)
    for one in outcomes:
        assert game.audit(one.choices).works
        assert one.user_payoff == pytest.approx(game.prior @ np.array(one.user_by_type))


def test_optimal_menu__prefers_what_users_like_among_equals() -> None:
    """Both contracts bring the provider 1; the second is better for the user. A losing contract is not posted at all."""
    assert make([1.0], [[0, 2]], [[1, 1]]).optimal_menu().choices == ("2",)
    nothing = make([1.0], [[3]], [[-1]]).optimal_menu()
    assert (nothing.choices, nothing.menu, nothing.excluded) == ((None,), (), 1)


def test_audit__says_who_gains_by_what() -> None:
    """Meant for the wrong types: the keen one would gain 1 by the other's contract, the casual one loses 2 by taking part."""
    audit = audit_menu([[2, 1], [4, 3]], [4, 2])
    assert audit.envy == ((0.0, 1.0), (-1.0, 0.0))
    assert audit.rent == (-2.0, 1.0)
    assert (audit.ic_violation, audit.ir_violation, audit.works) == (1.0, 2.0, False)
    assert audit_menu([[2]], outside=3.0).ir_violation == 1.0
    game = make([0.5, 0.5], [[1, -1], [1, 2]], [[1, 2], [1, 2]])
    assert game.audit(["1", None]).ic_violation == 1.0


def insurance(risky: float) -> ScreeningGame:
    """Return an insurance market: losses of 1 with chance .5 or .2, utility √wealth, premiums fair to either or pooled."""
    cover = np.arange(1, 101) / 100
    rates = (0.5, 0.22, 0.2)
    contracts = [(q, rate * q) for rate in rates for q in cover]
    names = [f"{q:.2f}@{rate}" for rate in rates for q in cover]
    q, premium = np.array(contracts).T
    chance = np.array([[0.5], [0.2]])
    user = (1 - chance) * np.sqrt(1 - premium) + chance * np.sqrt(q - premium) - (1 - chance)
    return ScreeningGame(np.array([risky, 1 - risky]), user, premium - chance * q, ("risky", "safe"), tuple(names))


def test_competitive_menu__is_rothschild_and_stiglitzs() -> None:
    """The risky are insured in full at .5; the safe at .2 up to where the risky would follow: √.5 ≥ ½√(1−.2q) + ½√(.8q)."""
    game = insurance(0.5)
    found = game.competitive_menu()
    assert found is not None
    largest = max(
        q for q in np.arange(1, 101) / 100 if (0.5 * np.sqrt(1 - 0.2 * q) + 0.5 * np.sqrt(0.8 * q)) <= 0.5**0.5
    )
    assert found.choices == ("1.00@0.5", f"{largest:.2f}@0.2")
    assert found.assistant_by_type == pytest.approx((0.0, 0.0))
    assert game.audit(found.choices).works
    assert game.upset_by(found) is None


def test_competitive_menu__is_none_where_a_type_would_rather_have_an_earlier_ones() -> None:
    """The first takes "2", worth 3 to both; on the second it loses, so that this one is meant to take "3", worth 2 to it."""
    game = make([0.5, 0.5], [[1, 3, -2], [0, 3, 2]], [[0, 0, 0], [1, -1, 2]])
    assert game.audit(["2", "3"]).envy[1][0] == 1.0
    assert game.competitive_menu() is None


@given(screenings())
def test_competitive_menu__holds_ic_and_ir_and_loses_on_nobody(game: ScreeningGame) -> None:
    """Whatever the game, what is returned is a menu that works, and every type pays for itself."""
    found = game.competitive_menu()
    if found is not None:
        assert game.audit(found.choices).works
        assert min(found.assistant_by_type) >= -1e-9
        assert game.outcome(found.menu).user_by_type == pytest.approx(found.user_by_type)


def test_competitive_menu__of_types_in_the_wrong_order() -> None:
    """Were the safe served first, in full, the risky would want the same: the order matters, and None says so."""
    game = insurance(0.5)
    turned: ScreeningGame = make(game.prior, game.user[::-1], game.assistant[::-1], ("safe", "risky"), game.contracts)
    assert turned.competitive_menu() is None


def test_competitive_menu__may_be_upset_where_few_are_risky() -> None:
    """With one risky in twenty, full cover at .22 draws both types and earns .22 − .215: no equilibrium."""
    game = insurance(0.05)
    found = game.competitive_menu()
    assert found is not None
    assert game.upset_by(found) == "1.00@0.22"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: make([0.5, 0.5], [[1]], [[1]]), "2 types, contracts"),
        (lambda: make([1.0], [[np.inf]], [[1]]), "finite payoffs of the user"),
        (lambda: insurance(0.5).outcome(["free"]), "no contract is called 'free'"),
        (lambda: insurance(0.5).audit(["1.00@0.5"]), "a contract for each of risky, safe"),
        (lambda: insurance(0.5).audit(["1.00@0.5", "free"]), "a contract for each"),
        (lambda: audit_menu([[1, 2]]), "one contract and one price per type"),
        (lambda: audit_menu([[1]], [1, 2]), "one contract and one price per type"),
        (lambda: highest_prices([[1, 2]]), "one quality per type"),
        (lambda: best_menu([0.5, 0.5], [[1, 2]], [0, 1]), "a cost for each quality"),
        (lambda: best_menu([0.5, 0.5], np.ones((2, 2000)), np.ones(2000)), "2000 qualities .* 4,000,000 assignments"),
        (
            lambda: make([0.5, 0.5], np.ones((2, 2000)), np.ones((2, 2000))).optimal_menu(),
            "leave out contracts",
        ),
    ],
)
def test_menus__that_make_no_sense_are_refused(call: Any, message: str) -> None:
    """Shapes, names and sizes, each in words."""
    with pytest.raises(UsageError, match=message):
        call()


def test_screening_game__shows_its_names() -> None:
    """The arrays are long; names and prior are what one wants to see."""
    assert repr(make([1.0], [[1]], [[1]])).startswith("ScreeningGame(types=('1',), contracts=('1',)")
