"""What selfish play costs."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from gtalign_env.errors import UnknownNameError, UsageError
from gtalign_env.games import Bimatrix
from gtalign_env.games.efficiency import Concept, price_of_anarchy


def bimatrix(user: Any, assistant: Any, *moves: Any) -> Bimatrix:
    """A game from plain lists."""
    return Bimatrix(user, assistant, *moves)


PD = bimatrix([[3, 0], [5, 1]], [[3, 5], [0, 1]])
STAG_HUNT = bimatrix([[3, 0], [1, 1]], [[3, 1], [0, 1]])
BATTLE = bimatrix([[2, 0], [0, 1]], [[1, 0], [0, 2]])
WAIT_GO = bimatrix([[0, 0], [2, -4]], [[0, 2], [0, -4]])

_Q = np.arange(6)
_PROFIT = _Q[:, None] * (np.maximum(12 - 2 * (_Q[:, None] + _Q[None, :]), 0) - 1)
DUOPOLY = bimatrix(_PROFIT, _PROFIT.T)


@pytest.mark.parametrize(
    ("game", "anarchy", "stability"), [(PD, 3.0, 3.0), (STAG_HUNT, 3.0, 1.0), (DUOPOLY, 1.25, 1.25)]
)
def test_efficiency__published_prices_are_reached(game: Bimatrix, anarchy: float, stability: float) -> None:
    """Prisoner's dilemma 3 and 3, stag hunt 3 and 1, duopoly 15/12."""
    found = game.price_of_anarchy()
    assert (found.anarchy, found.stability, found.reason) == (anarchy, stability, "")


def test_efficiency__correlated_equilibria_span_their_known_range() -> None:
    """Battle of the sexes: [4/3, 3]; wait-go: [0, 2], so its price of anarchy is undefined."""
    battle = BATTLE.price_of_anarchy(concept="correlated")
    assert (battle.worst_equilibrium, battle.best_equilibrium) == pytest.approx((4 / 3, 3), abs=1e-9)
    assert (battle.anarchy, battle.stability) == pytest.approx((2.25, 1.0))
    wait = WAIT_GO.price_of_anarchy(concept="correlated")
    assert (wait.worst_equilibrium, wait.best_equilibrium) == pytest.approx((0, 2), abs=1e-9)
    assert wait.anarchy is None
    assert wait.stability == pytest.approx(1.0)
    assert wait.reason == "the worst equilibrium's welfare is 0 but for rounding, not positive"


def test_efficiency__losses_are_told_by_gaps() -> None:
    """With all payoffs 6 lower the dilemma has no ratio, but the same gap and the same place on the scale."""
    found = bimatrix(PD.user - 6, PD.assistant - 6).price_of_anarchy()
    assert (found.anarchy, found.stability) == (None, None)
    assert found.reason == (
        "the worst equilibrium's welfare is -10, not positive; the best equilibrium's welfare is -10, not positive"
    )
    for one in (found, PD.price_of_anarchy()):
        assert (one.gap_worst, one.gap_best) == (4, 4)  # 6 at best, 2 in equilibrium
        assert (one.efficiency_worst, one.efficiency_best) == (0, 0)  # no cell is worse than the equilibrium


def test_efficiency__a_game_of_equal_cells_is_efficient() -> None:
    """Nothing can be lost: both efficiencies are 1, and 0/0 is no ratio."""
    found = bimatrix([[0, 0]], [[0, 0]]).price_of_anarchy()
    assert (found.efficiency_worst, found.efficiency_best, found.gap_worst, found.anarchy) == (1, 1, 0, None)


def test_efficiency__other_welfare_is_averaged_over_cells() -> None:
    """Egalitarian welfare of the mixed equilibrium of the battle of the sexes: 4/9 chance of a cell worth 1."""
    found = BATTLE.price_of_anarchy("egalitarian")
    assert (found.welfare, found.best, found.least) == ("egalitarian", 1.0, 0.0)
    assert (found.worst_equilibrium, found.best_equilibrium) == pytest.approx((4 / 9, 1.0))
    assert found.anarchy == pytest.approx(9 / 4)


GAMES = arrays(np.float64, (2, 2, 3), elements=st.integers(-4, 4).map(float))


@given(GAMES)
def test_efficiency__wider_concepts_span_wider_ranges(
    payoffs: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
) -> None:
    """Every Nash equilibrium is a correlated one, and every correlated one is coarse."""
    concepts: tuple[Concept, ...] = ("nash", "correlated", "coarse")
    spans = [price_of_anarchy(*payoffs, concept=concept) for concept in concepts]
    for inner, outer in itertools.pairwise(spans):
        assert outer.worst_equilibrium <= inner.worst_equilibrium + 1e-8
        assert outer.best_equilibrium >= inner.best_equilibrium - 1e-8
    for found in spans:
        assert found.least <= found.worst_equilibrium <= found.best_equilibrium + 1e-8 <= found.best + 2e-8
        assert 0 <= found.efficiency_worst <= found.efficiency_best + 1e-8 <= 1 + 2e-8


def test_efficiency__wrong_input_is_refused() -> None:
    """An unknown concept, an unknown welfare, and welfare that is not a number."""
    with pytest.raises(UnknownNameError, match="unknown equilibrium concept 'nahs': did you mean 'nash'"):
        PD.price_of_anarchy(concept="nahs")  # type: ignore[arg-type]
    with pytest.raises(UnknownNameError, match="unknown welfare"):
        PD.price_of_anarchy("utopian")

    class Broken:
        name = "broken"

        def __call__(self, user: object, assistant: object) -> object:
            return np.full((2, 2), np.nan)

    with pytest.raises(UsageError, match="expected the welfare 'broken' to be a finite number"):
        PD.price_of_anarchy(Broken())


def test_efficiency__a_large_cell_makes_no_small_welfare_nothing() -> None:
    """By hand: the only equilibrium pays 1, beside a cell of 6 billion; the ratio is defined, and it is 6 billion."""
    found = price_of_anarchy([[0.0, 0.0], [1.0, 1.0]], [[6e9, 6e9 + 1], [0.0, -1.0]])
    assert (found.worst_equilibrium, found.reason) == (1.0, "")
    assert found.anarchy == 6e9 + 1
