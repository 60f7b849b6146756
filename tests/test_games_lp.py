"""Maximin, correlated equilibria and commitment: known values, theorems that tie them together, and the checks."""

from __future__ import annotations

import itertools
import types
from collections.abc import Callable
from typing import Any

import game_oracle
import numpy as np
import pytest
import scipy.optimize
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from gtalign_env.errors import SolverError, UnknownNameError, UsageError
from gtalign_env.games import Bimatrix, correlated
from gtalign_env.games.cells import pareto_cells, pure_nash_cells
from gtalign_env.games.linear import best_mixture, unit_spread
from gtalign_env.games.simplex import exact_mixture

MOULIN_VIAL: Any = ([[3, 1, 4], [1, 5, 0], [1, 0, 2]], [[3, 1, 1], [4, 2, 0], [1, 0, 5]])
"""After Moulin and Vial (1978): row 3, column 3, row 2 and column 2 go by strict dominance, one after another."""
AUMANN: Any = ([[6, 2], [7, 0]], [[6, 7], [2, 0]])
"""Chicken as in Aumann (1974)."""


MEASURES: dict[str, Callable[[Any, Any], Any]] = {
    "utilitarian": lambda user, assistant: user + assistant,
    "user": lambda user, assistant: user,
    "assistant": lambda user, assistant: assistant,
    "egalitarian": min,
}
"""What each objective looks at."""


def known(name: str) -> Bimatrix:
    """Return a game of the literature."""
    return Bimatrix(*game_oracle.matrices(name))


@st.composite
def games(draw: st.DrawFn) -> Bimatrix:
    """Draw a game of one to four moves each."""
    m, n = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    cells = st.lists(st.integers(-5, 5), min_size=m * n, max_size=m * n)
    return Bimatrix(np.array(draw(cells)).reshape(m, n), np.array(draw(cells)).reshape(m, n))


def disobedience(game: Bimatrix, p: NDArray[np.float64]) -> float:
    """Return the largest gain from answering one recommendation with another move, by loops."""
    gains = [0.0]
    for i in range(game.shape[0]):
        gains += [float(p[i] @ (game.user[k] - game.user[i])) for k in range(game.shape[0])]
    for j in range(game.shape[1]):
        gains += [float(p[:, j] @ (game.assistant[:, k] - game.assistant[:, j])) for k in range(game.shape[1])]
    return max(gains)


# -- maximin -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "user", "assistant"),
    [
        ("battle_of_sexes", 2 / 3, 2 / 3),
        ("wait_go", 0.0, 0.0),
        ("prisoner_dilemma", 1.0, 1.0),
        ("rock_paper_scissors", 0.0, 0.0),
        ("odd_even", 1 / 12, -1 / 12),
        ("stag_hunt", 1.0, 1.0),
    ],
)
def test_maximin__of_known_games(name: str, user: float, assistant: float) -> None:
    """What each player can be sure of by mixing."""
    game = known(name)
    for role, value in (("user", user), ("assistant", assistant)):
        found = game.maximin(role)  # type: ignore[arg-type]
        assert found.value == pytest.approx(value, abs=1e-9)
        assert found.role == role
        assert sum(found.strategy) == pytest.approx(1.0)


def test_maximin__in_pure_moves_is_the_best_worst_cell() -> None:
    """Odd-even: rows secure −2 and −4, columns −3 and −3; the first best counts."""
    game = known("odd_even")
    assert game.maximin("user", mixed=False).value == -2.0
    found = game.maximin("assistant", mixed=False)
    assert (found.value, found.strategy) == (-3.0, (1.0, 0.0))


@given(games())
def test_maximin__is_the_value_of_the_zero_sum_game(game: Bimatrix) -> None:
    """Von Neumann 1928, against the exact equilibrium of the game in which the other wants the opposite."""
    value = Bimatrix(game.user, -game.user).nash()[0].user_payoff
    found = game.maximin("user")
    assert found.value == pytest.approx(float(value), abs=1e-9)
    assert found.value >= game.maximin("user", mixed=False).value - 1e-9
    assert (np.array(found.strategy) @ game.user).min() >= found.value - 1e-12


# -- correlated equilibria ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [("battle_of_sexes", 4 / 3, 3.0), ("wait_go", 0.0, 2.0), ("prisoner_dilemma", 2.0, 2.0), ("duopoly", 12.0, 12.0)],
)
def test_correlated__welfare_ranges_of_known_games(name: str, low: float, high: float) -> None:
    """Two ranges from the literature; and games that dominance solves have one point."""
    assert known(name).correlated_range() == pytest.approx((low, high), abs=1e-8)


def test_correlated__beats_every_equilibrium_in_chicken() -> None:
    """Both are told to yield half of the time, each alone a quarter: 5.25 each (Aumann 1974)."""
    found = Bimatrix(*AUMANN).correlated()
    assert found.distribution == pytest.approx(np.array([[0.5, 0.25], [0.25, 0.0]]), abs=1e-9)
    assert found.user_payoff == pytest.approx(5.25) == found.assistant_payoff
    assert not found.distribution.flags.writeable


def test_correlated__coarse_allows_what_dominance_forbids() -> None:
    """The diagonal by a fair die yields 10/3 each; deviating beforehand yields at most 8/3. CE: (3, 3)."""
    game = Bimatrix(*MOULIN_VIAL)
    assert game.correlated().user_payoff == pytest.approx(3.0) == game.correlated().assistant_payoff
    coarse = game.correlated(coarse=True)
    assert coarse.user_payoff + coarse.assistant_payoff >= 20 / 3 - 1e-9


def test_correlated__objectives_choose_and_leave_nothing_on_the_table() -> None:
    """The user's best is Opera; the fairest gives 1.5 each; among equally good ones the larger sum wins."""
    game = known("battle_of_sexes")
    assert game.correlated("user").user_payoff == pytest.approx(2.0)
    assert game.correlated("assistant").user_payoff == pytest.approx(1.0)
    fair = game.correlated("egalitarian")
    assert (fair.user_payoff, fair.assistant_payoff) == pytest.approx((1.5, 1.5))
    indifferent = Bimatrix(np.array([[1, 1]]), np.array([[2, 2]]))
    assert indifferent.correlated("egalitarian").assistant_payoff == pytest.approx(2.0)
    generous = Bimatrix(np.ones((2, 2)), np.array([[0, 0], [5, 5]])).correlated("user")
    assert (generous.user_payoff, generous.assistant_payoff) == pytest.approx((1.0, 5.0))


@given(games())
def test_correlated__obeys_and_spans_all_equilibria(game: Bimatrix) -> None:
    """Nobody gains by disobeying, and the Nash equilibria lie between the ends of every range; coarse ranges are wider."""
    for objective, measure in MEASURES.items():
        found = game.correlated(objective)  # type: ignore[arg-type]
        assert disobedience(game, found.distribution) <= 1e-8
        assert found.distribution.sum() == pytest.approx(1.0)
        assert found.distribution.min() >= 0.0
        low, high = game.correlated_range(objective)  # type: ignore[arg-type]
        wide_low, wide_high = game.correlated_range(objective, coarse=True)  # type: ignore[arg-type]
        assert measure(found.user_payoff, found.assistant_payoff) == pytest.approx(high, abs=1e-8)
        assert wide_low - 1e-8 <= low <= high + 1e-8 <= wide_high + 2e-8
        for each in game.nash():
            assert low - 1e-8 <= measure(each.user_payoff, each.assistant_payoff) <= high + 1e-8


@given(games())
def test_correlated__coarse_ones_resist_deviations_made_beforehand(game: Bimatrix) -> None:
    """No fixed move beats following the mediator."""
    found = game.correlated("egalitarian", coarse=True)
    rows, columns = found.distribution.sum(axis=1), found.distribution.sum(axis=0)
    assert (game.user @ columns).max() <= found.user_payoff + 1e-8
    assert (rows @ game.assistant).max() <= found.assistant_payoff + 1e-8


# -- commitment --------------------------------------------------------------------------------------------------------


def test_stackelberg__mixed_commitment_beats_pure_and_equilibrium() -> None:
    """Conitzer and Sandholm (2006), figure 1: dominance says 2, a pure commitment yields 3, a fair coin 3.5."""
    game = Bimatrix(np.array([[2, 4], [1, 3]]), np.eye(2))
    pure, mixed = game.stackelberg("user"), game.stackelberg("user", mixed=True)
    assert float(game.nash()[0].user_payoff) == 2.0
    assert (pure.commitment, pure.response, pure.user_payoff, pure.assistant_payoff) == ((0.0, 1.0), 1, 3.0, 1.0)
    assert mixed.commitment == pytest.approx((0.5, 0.5))
    assert mixed.response == 1
    assert mixed.user_payoff == pytest.approx(3.5)


@pytest.mark.parametrize("leader", ["user", "assistant"])
def test_stackelberg__leader_of_the_duopoly_floods_the_market(leader: Any) -> None:
    """Best responses 4, 3, 3, 2, 2, 1 leave the leader 0, 5, 6, 9, 4, 5: it takes action 4, and the follower earns 3."""
    found = known("duopoly").stackelberg(leader)
    assert (found.commitment.index(1.0), found.response) == (3, 1)
    payoffs = (found.user_payoff, found.assistant_payoff)
    assert payoffs == ((9.0, 3.0) if leader == "user" else (3.0, 9.0))


def test_stackelberg__ties_are_broken_for_or_against_the_leader() -> None:
    """Against row 3 the follower is indifferent between 6 and 4 for the leader; row 1 secures 5."""
    game = known("weakly_dominated")
    kind, unkind = game.stackelberg("user"), game.stackelberg("user", ties="pessimistic")
    assert (kind.commitment, kind.response, kind.user_payoff) == ((0.0, 0.0, 1.0), 0, 6.0)
    assert (unkind.commitment, unkind.response, unkind.user_payoff) == ((1.0, 0.0, 0.0), 0, 5.0)


@given(games())
def test_stackelberg__orders_the_values_of_commitment(game: Bimatrix) -> None:
    """Maximin ≤ pessimistic ≤ optimistic ≤ mixed, and mixed ≥ every correlated equilibrium (von Stengel and Zamir 2010)."""
    mixed = game.stackelberg("user", mixed=True)
    values = [
        game.maximin("user", mixed=False).value,
        game.stackelberg("user", ties="pessimistic").user_payoff,
        game.stackelberg("user").user_payoff,
        mixed.user_payoff,
    ]
    assert all(low <= high + 1e-9 for low, high in itertools.pairwise(values))
    assert mixed.user_payoff >= game.correlated("user").user_payoff - 1e-8
    replies = np.array(mixed.commitment) @ game.assistant
    assert replies[mixed.response] >= replies.max() - 1e-8


def test_stackelberg__refuses_a_mixed_commitment_to_an_unkind_follower() -> None:
    """Its best is a supremum that no commitment reaches."""
    with pytest.raises(UsageError, match="may have no best one"):
        known("stag_hunt").stackelberg("user", mixed=True, ties="pessimistic")


# -- names, extremes, checks -------------------------------------------------------------------------------------------


def test_questions__list_the_names_they_know() -> None:
    """A misspelt role, objective or rule is answered with what there is."""
    game = known("stag_hunt")
    with pytest.raises(UnknownNameError, match="unknown role 'usr': did you mean 'user'"):
        game.maximin("usr")  # type: ignore[arg-type]
    with pytest.raises(UnknownNameError, match="unknown objective 'utilitarain': did you mean 'utilitarian'"):
        game.correlated("utilitarain")  # type: ignore[arg-type]
    with pytest.raises(UnknownNameError, match="unknown objective 'sum'"):
        game.correlated_range("sum")  # type: ignore[arg-type]
    with pytest.raises(UnknownNameError, match="unknown rule for ties 'strong'"):
        game.stackelberg("user", ties="strong")  # type: ignore[arg-type]
    with pytest.raises(UnknownNameError, match="unknown role"):
        game.stackelberg("leader")  # type: ignore[arg-type]


@pytest.mark.parametrize("scale", [1e-200, 1e-6, 1e6, 1e200])
def test_linear_programs__hold_at_every_scale(scale: float) -> None:
    """Battle of the sexes in any currency."""
    user, assistant = (np.array(side) * scale for side in game_oracle.matrices("battle_of_sexes"))
    game = Bimatrix(user, assistant)
    assert game.maximin("user").value == pytest.approx(2 / 3 * scale)
    assert game.correlated_range() == pytest.approx((4 / 3 * scale, 3 * scale))
    assert game.stackelberg("assistant", mixed=True).assistant_payoff == pytest.approx(2 * scale)


def test_unit_spread__survives_the_largest_floats() -> None:
    """The difference of the extremes is no float, and is never formed."""
    assert unit_spread(np.array([[-1.7e308, 1.7e308]])).tolist() == [[0.0, 1.0]]
    assert unit_spread(np.array([[3.0, 3.0]])).tolist() == [[0.0, 0.0]]


def test_best_mixture__says_when_nothing_fits() -> None:
    """Every share would have to be negative."""
    assert best_mixture(np.ones(2), np.array([[1.0, 1.0]]), 2) is None


@pytest.mark.parametrize(
    "answer",
    [
        {"status": 4},
        {"status": 2},
        {"status": 0, "x": [1.0, 0.0]},
        {"status": 0, "x": [0.0, 1.0]},
    ],
)
def test_best_mixture__returns_no_junk(monkeypatch: pytest.MonkeyPatch, answer: dict[str, Any]) -> None:
    """A solver that fails, denies a solution, breaks a limit, or stops short of the optimum is found out and corrected."""
    prices = types.SimpleNamespace(marginals=[0.0])
    monkeypatch.setattr(scipy.optimize, "linprog", lambda *_, **__: types.SimpleNamespace(ineqlin=prices, **answer))
    assert best_mixture(np.array([1.0, 0.0]), np.array([[1.0, -1.0]]), 2) == pytest.approx(np.array([0.5, 0.5]))


def test_exact_mixture__says_when_there_is_no_bound() -> None:
    """A free number that nothing limits."""
    with pytest.raises(SolverError, match="no bound"):
        exact_mixture(np.array([0.0, 1.0]), np.zeros((0, 2)), 1)


@given(games())
def test_exact_mixture__agrees_with_floating_point(game: Bimatrix) -> None:
    """The value of the zero-sum game, and the best correlated equilibrium, come out the same without SciPy."""
    maximin, fair = game.maximin("user"), game.correlated("egalitarian")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scipy.optimize, "linprog", lambda *_, **__: types.SimpleNamespace(status=4))
        assert game.maximin("user").value == pytest.approx(maximin.value, abs=1e-8)
        exact = game.correlated("egalitarian")
    assert disobedience(game, exact.distribution) <= 1e-8
    assert min(exact.user_payoff, exact.assistant_payoff) == pytest.approx(
        min(fair.user_payoff, fair.assistant_payoff), abs=1e-7
    )
    assert exact.user_payoff + exact.assistant_payoff == pytest.approx(
        fair.user_payoff + fair.assistant_payoff, abs=1e-6
    )


def test_linear_programs__survive_payoffs_of_many_magnitudes() -> None:
    """Sixteen powers of ten in one game are more than floating point can take; the answers still obey and contain Nash."""
    rng = np.random.default_rng(5)
    for _ in range(12):
        game = Bimatrix(*np.exp(rng.normal(0.0, 6.0, (2, *rng.integers(2, 5, 2)))))
        low, high = game.correlated_range()
        scale = max(game.user.max(), game.assistant.max())
        for each in game.nash():
            assert low - 1e-8 * scale <= each.user_payoff + each.assistant_payoff <= high + 1e-8 * scale
        found = game.stackelberg("assistant", mixed=True)
        replies = game.user @ np.array(found.commitment)
        assert replies[found.response] >= replies.max() - 1e-8 * scale


def test_correlated__keeps_the_first_goal_where_the_second_is_out_of_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    """Should rounding make the refinement impossible, what was found before stands."""
    answers = iter([np.array([0.0, 0.0, 0.0, 1.0, 0.0]), None])
    monkeypatch.setattr(correlated, "best_mixture", lambda *_: next(answers))
    assert known("stag_hunt").correlated("user").user_payoff == 1.0


# -- many games at once ------------------------------------------------------------------------------------------------


def test_cells__answer_many_games_at_once() -> None:
    """The masks of a batch are those of its games, whatever the leading axes."""
    users, assistants = np.random.default_rng(3).integers(0, 4, (2, 5, 7, 2, 3))
    for question in (pure_nash_cells, pareto_cells):
        masks = question(users, assistants)
        assert masks.shape == (5, 7, 2, 3)
        for place in np.ndindex(5, 7):
            assert (masks[place] == question(users[place], assistants[place])).all()


def test_cells__pure_equilibria_by_the_definition() -> None:
    """Nobody can do better alone, cell by cell, in 300 games."""
    users, assistants = np.random.default_rng(4).integers(0, 4, (2, 300, 3, 2))
    masks = pure_nash_cells(users, assistants)
    for mask, a, b in zip(masks, users, assistants, strict=True):
        for i, j in np.ndindex(3, 2):
            assert mask[i, j] == (a[i, j] == max(a[:, j]) and b[i, j] == max(b[i]))


def test_cells__refuse_a_batch_that_is_none() -> None:
    """One axis is no game, and no cell is none either."""
    for shape in ((3,), (4, 0, 2), ()):
        with pytest.raises(UsageError, match="bimatrix: expected"):
            pure_nash_cells(np.zeros(shape), np.zeros(shape))
