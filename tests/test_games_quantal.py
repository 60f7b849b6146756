"""Logit quantal response, and the rationality that fits plays."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from gtalign_env.errors import SolverError, UnknownNameError, UsageError
from gtalign_env.games import Bimatrix
from gtalign_env.games import quantal as module
from gtalign_env.games.quantal import principal_branch, quantal_response
from gtalign_env.games.quantal_fit import fit_rationality
from gtalign_env.types import Role


def bimatrix(user: Any, assistant: Any, *moves: Any) -> Bimatrix:
    """A game from plain lists."""
    return Bimatrix(user, assistant, *moves)


PD = bimatrix([[3, 0], [5, 1]], [[3, 5], [0, 1]], ("C", "D"), ("C", "D"))
STAG_HUNT = bimatrix([[3, 0], [1, 1]], [[3, 1], [0, 1]])


def response(payoffs: np.ndarray[Any, Any], rationality: float) -> np.ndarray[Any, Any]:
    """Logit probabilities, from the definition."""
    raised = np.exp(rationality * (payoffs - payoffs.max()))
    return np.asarray(raised / raised.sum())


@pytest.mark.parametrize(("rationality", "expected"), [(0, 0.5), (0.5, 0.3386), (1, 0.2268), (2, 0.0998), (5, 0.0065)])
def test_quantal__prisoners_dilemma(rationality: float, expected: float) -> None:
    """Probability of cooperation at the published rationalities."""
    found = PD.quantal_response(rationality)
    assert found.user[0] == pytest.approx(expected, abs=5e-5)
    assert found.assistant == pytest.approx(found.user)


@pytest.mark.parametrize(("rationality", "expected"), [(1, 0.8042), (2, 0.9797)])
def test_quantal__stag_hunt_on_the_branch_from_uniform_play(rationality: float, expected: float) -> None:
    """Probability of the stag at the published rationalities."""
    assert STAG_HUNT.quantal_response(rationality).user[0] == pytest.approx(expected, abs=5e-5)


@settings(max_examples=25)
@given(
    arrays(np.float64, (2, 3, 4), elements=st.integers(-5, 5).map(float)),
    st.sampled_from([0.0, 0.3, 1.0, 4.0, 20.0, 300.0]),
)
def test_quantal__both_sides_respond_to_each_other(payoffs: np.ndarray[Any, Any], rationality: float) -> None:
    """Every answer meets the definition of a logit equilibrium to 1e-9."""
    user, assistant = payoffs
    found = quantal_response(user, assistant, rationality)
    x, y = np.array(found.user), np.array(found.assistant)
    assert x == pytest.approx(response(user @ y, rationality), abs=1e-9)
    assert y == pytest.approx(response(x @ assistant, rationality), abs=1e-9)
    assert found.residual <= 1e-9
    assert found.user_payoff == pytest.approx(x @ user @ y)
    assert found.assistant_payoff == pytest.approx(x @ assistant @ y)


def test_quantal__a_branch_that_turns_is_followed_to_its_end() -> None:
    """On these payoffs λ first rises, then falls, then rises again along the branch; every answer is still checked."""
    rng = np.random.default_rng(0)
    games = (rng.normal(size=(2, 5, 5)) * 3 for _ in range(40))
    user, assistant = next(game for game in games if (np.diff(heights(*game)) < 0).any())
    for rationality in (1.0, 5.0, 50.0):
        assert quantal_response(user, assistant, rationality).residual <= 1e-9


def heights(user: np.ndarray[Any, Any], assistant: np.ndarray[Any, Any]) -> list[float]:
    """The λ of the points of the principal branch up to 50, in its order."""
    curve = module._trace(module._Field(user, assistant))
    return [float(point[-1]) for point in itertools.takewhile(lambda point: point[-1] < 50, curve)]


def test_quantal__symmetric_play_stays_symmetric() -> None:
    """In a symmetric coordination game and in matching pennies uniform play is an equilibrium at every rationality."""
    for user, assistant in (([[1, 0], [0, 1]], [[1, 0], [0, 1]]), ([[1, -1], [-1, 1]], [[-1, 1], [1, -1]])):
        for rationality in (1.0, 2.0, 3.0, 1e4):
            assert quantal_response(user, assistant, rationality).user == pytest.approx((0.5, 0.5))


def test_quantal__approaches_a_nash_equilibrium() -> None:
    """At a very large rationality nobody gains by deviating."""
    game = bimatrix([[1, 4, 1], [0, 3, 2]], [[1, 0, 0], [1, 3, 1]], ("VQ", "DQ"), ("DA", "AQ", "CQ"))
    found = game.quantal_response(1e6)
    assert (found.user[0], found.assistant[0]) == pytest.approx((1.0, 1.0))


def test_quantal__units_and_zero_points_only_rescale_rationality() -> None:
    """Payoffs times 1000 at a thousandth of the rationality are the same game; a constant changes nothing."""
    one = PD.quantal_response(1.5)
    two = quantal_response(PD.user * 1000 + 7e4, PD.assistant * 1000 - 3, 0.0015)
    assert two.user == pytest.approx(one.user, abs=1e-9)


def test_quantal__players_may_differ_in_rationality() -> None:
    """An irrational user plays uniformly; the assistant responds to that."""
    found = PD.quantal_response((0.0, 2.0))
    assert found.user == (0.5, 0.5)
    assert found.assistant[0] == pytest.approx(1 / (1 + math.exp(2.0 * 1.5)))  # defecting pays 1.5 more on average
    assert found.rationality == (0.0, 2.0)


def test_quantal__one_move_each_is_no_obstacle() -> None:
    """Games in which a player, or both, cannot choose."""
    assert quantal_response([[1]], [[2]], 3.0).user == (1.0,)
    assert quantal_response([[1, 2]], [[0, 1]], 1.0).assistant[1] == pytest.approx(1 / (1 + math.exp(-1)))


@pytest.mark.parametrize("rationality", [-1, math.nan, math.inf, "high", None, (1, 2, 3), (1, -1)])
def test_quantal__rationality_is_a_number_from_zero_on(rationality: Any) -> None:
    """What is none is refused."""
    with pytest.raises(UsageError, match="expected a rationality ≥ 0"):
        PD.quantal_response(rationality)


def test_quantal__the_branch_takes_rising_rationalities() -> None:
    """A list out of order is refused; repeated values are fine."""
    assert len(principal_branch(PD.user, PD.assistant, [0, 1, 1])) == 3
    with pytest.raises(UsageError, match="rising rationalities"):
        principal_branch(PD.user, PD.assistant, [1, 0])


def test_quantal__gives_up_in_words_where_rounding_rules() -> None:
    """A rationality beyond what floats can tell apart is an error, and no answer."""
    with pytest.raises(SolverError, match="could not be followed beyond"):
        PD.quantal_response(1e15)


@pytest.mark.parametrize(
    ("limit", "value", "message"),
    [
        ("_TOLERANCE", -1.0, "misses its equations by"),
        ("_MOST_STEPS", 1, "could not be followed beyond"),
        ("_MISS", 0.0, "could not be followed beyond"),
    ],
)
def test_quantal__returns_nothing_unchecked(
    monkeypatch: pytest.MonkeyPatch, limit: str, value: float, message: str
) -> None:
    """An answer that fails its check, too long a curve and steps that never fit are errors."""
    monkeypatch.setattr(module, limit, value)
    with pytest.raises(SolverError, match=message):
        STAG_HUNT.quantal_response(5.0)


@pytest.mark.parametrize("rationality", [0.0, 1.0, 1e13, 1e300])
def test_quantal__of_a_game_without_stakes_is_uniform(rationality: float) -> None:
    """At any rationality, and at once."""
    found = quantal_response(np.full((2, 4), 7.0), np.zeros((2, 4)), rationality)
    assert (found.user, found.assistant, found.residual) == ((0.5,) * 2, (0.25,) * 4, 0.0)
    assert (found.user_payoff, found.rationality) == (7.0, (rationality, rationality))


@pytest.mark.parametrize("unit", [5e-324, 1e-310, 1e-200, 1e200, 1e307])
def test_quantal__holds_in_any_unit(unit: float) -> None:
    """λ counts per util; where the payoffs are so small that λ·spread is 0, play is uniform."""
    stag_hunt = np.array([[3.0, 0.0], [1.0, 1.0]])
    found = quantal_response(stag_hunt * unit, stag_hunt.T * unit, min(2.0 / unit, 1e300))
    if unit > 1e-300:
        expected = quantal_response(stag_hunt, stag_hunt.T, 2.0)
        assert found.user == pytest.approx(expected.user)
        assert found.assistant == pytest.approx(expected.assistant)
    else:
        assert found.user == pytest.approx((0.5, 0.5), abs=1e-6)


def test_quantal__a_spread_beyond_floats_is_refused() -> None:
    """Differences of payoffs are what it is computed from; a fit of tiny payoffs would need λ beyond floats."""
    with pytest.raises(UsageError, match="whose difference a float can hold"):
        quantal_response([[1e308, -1e308]], [[0, 0]], 1.0)
    with pytest.raises(UsageError, match="λ per util would be too large"):
        fit_rationality([[1e-310, 0]], [[0, 0]], [(0, 0)])


# --- the fit ------------------------------------------------------------------------------------------------------------


def test_fit__prisoners_dilemma_by_hand() -> None:
    """5 of 16 cooperate: ln(11/5) = λ(1 + 5/16), for in equilibrium defecting pays 1 + p more."""
    plays = [("C", "C")] * 2 + [("C", "D")] * 3 + [("D", "C")] * 3 + [("D", "D")] * 8
    found = PD.fit_rationality(plays)
    assert found.rationality == pytest.approx(math.log(11 / 5) / (1 + 5 / 16), abs=1e-6)
    assert found.log_likelihood == pytest.approx(2 * (5 * math.log(5 / 16) + 11 * math.log(11 / 16)))
    assert found.uniform_log_likelihood == pytest.approx(32 * math.log(0.5))
    assert found.moves == 32


def test_fit__the_interval_is_that_of_the_likelihood_ratio_test() -> None:
    """At its ends twice the log-likelihood is 3.841 below the peak; a wider level gives a wider interval."""
    plays = [(0, 0)] * 2 + [(0, 1)] * 9 + [(1, 0)] * 9 + [(1, 1)] * 30
    found = fit_rationality(PD.user, PD.assistant, plays)
    low, high = found.interval
    assert low < found.rationality < high
    for end in (low, high):
        p = PD.quantal_response(end).user[0]
        likelihood = 22 * math.log(p) + 78 * math.log(1 - p)  # 11 + 11 cooperate among 100 moves
        assert 2 * (found.log_likelihood - likelihood) == pytest.approx(3.8414588, abs=1e-4)
    wide = fit_rationality(PD.user, PD.assistant, plays, level=0.99)
    assert wide.interval[0] < low < high < wide.interval[1]


def test_fit__recovers_the_rationality_of_simulated_players() -> None:
    """2,000 plays drawn at λ = 1.2: the interval holds it and is short."""
    truth = PD.quantal_response(1.2)
    rng = np.random.default_rng(3)
    plays = np.stack([rng.choice(2, 2000, p=truth.user), rng.choice(2, 2000, p=truth.assistant)], axis=1)
    roles: tuple[Role | None, ...] = (None, "user", "assistant")
    for role in roles:
        found = fit_rationality(PD.user, PD.assistant, plays, role=role)
        assert found.interval[0] < 1.2 < found.interval[1]
        assert found.interval[1] - found.interval[0] < 0.4
        assert found.moves == (4000 if role is None else 2000)


def test_fit__players_who_never_err_have_no_finite_estimate() -> None:
    """Always defecting: the likelihood rises without end, and only a lower bound is left."""
    found = PD.fit_rationality([("D", "D")] * 9)
    assert found.rationality == math.inf
    assert found.interval[1] == math.inf
    p = PD.quantal_response(found.interval[0]).user[1]
    assert -2 * 18 * math.log(p) == pytest.approx(3.8414588, abs=1e-4)


def test_fit__uniform_and_indifferent_plays_are_zero() -> None:
    """As many cooperate as defect, or payoffs say nothing: λ = 0, in the second case with nothing excluded."""
    assert PD.fit_rationality([("C", "C"), ("D", "D")]).rationality == 0.0
    found = fit_rationality([[1, 1]], [[1, 1]], [(0, 0)])
    assert (found.rationality, found.interval) == (0.0, (0.0, math.inf))


def test_fit__worse_than_random_is_zero_too() -> None:
    """Players who mostly cooperate do not get a negative rationality."""
    found = PD.fit_rationality([("C", "C")] * 5 + [("D", "C")])
    assert found.rationality == 0.0
    assert found.interval[0] == 0.0


def test_fit__wrong_input_is_refused() -> None:
    """Unknown moves, no plays, unknown roles and impossible levels."""
    with pytest.raises(UnknownNameError, match="unknown row 'X'"):
        PD.fit_rationality([("X", "C")])
    with pytest.raises(UnknownNameError, match="unknown column 'X'"):
        PD.fit_rationality([("C", "X")])
    with pytest.raises(UsageError, match="at least one"):
        PD.fit_rationality([])
    with pytest.raises(UnknownNameError, match="unknown role"):
        PD.fit_rationality([("C", "C")], role="both")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="between 0 and 1"):
        PD.fit_rationality([("C", "C")], level=95)
