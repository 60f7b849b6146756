"""The matrix games: payoffs and solutions as published (arXiv 2411.05990 and its code; typed again), and their options."""

from __future__ import annotations

import pickle
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import gtalign_env
from gtalign_env.errors import UnknownNameError, UsageError
from gtalign_env.registration import SCENARIOS, make_scenario, origin_of
from gtalign_env.scenarios.matrix import catalogue
from gtalign_env.scenarios.matrix.games import MATRICES
from gtalign_env.scenarios.matrix.repeated import repeated_matrix

F = Fraction
GAMES = {
    "prisoners_dilemma": "3,3 0,5 / 5,0 1,1",
    "stag_hunt": "3,3 0,1 / 1,0 1,1",
    "battle_of_sexes": "2,1 0,0 / 0,0 1,2",
    "wait_go": "0,0 0,2 / 2,0 -4,-4",
    "rock_paper_scissors": "0,0 -1,1 1,-1 / 1,-1 0,0 -1,1 / -1,1 1,-1 0,0",
    "iesds": "13,3 1,4 7,3 / 4,1 3,3 6,2 / -1,9 2,8 8,-1",
    "imbalanced_actions": "1,1 -1,2 5,0 1,1 / 2,3 1,2 3,0 5,1 / 1,1 0,5 1,7 0,1",
    "weakly_dominated": "5,1 4,0 / 6,0 3,1 / 6,4 4,4",
    "radio_station": "25,25 50,30 50,20 / 30,50 15,15 30,20 / 20,50 20,30 10,10",
    "chicken": "-10,-10 1,-1 / -1,1 0,0",
    "odd_even": "-2,2 3,-3 / 3,-3 -4,4",
    "golden_balls": "500,500 0,1000 / 1000,0 0,0",
}
VARIANTS = {
    ("prisoners_dilemma", "large"): "300,300 0,301 / 301,0 1,1",
    ("prisoners_dilemma", "very_large"): "1000,1000 0,1001 / 1001,0 1,1",
    ("prisoners_dilemma", "small"): "3,3 -300,5 / 5,-300 -299,-299",
    ("prisoners_dilemma", "very_small"): "3,3 -1000,5 / 5,-1000 -999,-999",
    ("stag_hunt", "large"): "300,300 0,1 / 1,0 1,1",
    ("stag_hunt", "very_large"): "1000,1000 0,1 / 1,0 1,1",
    ("stag_hunt", "small"): "3,3 -100,-99 / -99,-100 -99,-99",
    ("stag_hunt", "very_small"): "3,3 -1000,-999 / -999,-1000 -999,-999",
    ("stag_hunt", "hare_risk_dominant"): "4,4 0,3 / 3,0 3,3",
}
DUOPOLY = [
    [0, 0, 0, 0, 0, 0],
    [9, 7, 5, 3, 1, -1],
    [14, 10, 6, 2, -2, -2],
    [15, 9, 3, -3, -3, -3],
    [12, 4, -4, -4, -4, -4],
    [5, -5, -5, -5, -5, -5],
]
PURE = {
    "prisoners_dilemma": [(1, 1)],
    "stag_hunt": [(0, 0), (1, 1)],
    "battle_of_sexes": [(0, 0), (1, 1)],
    "wait_go": [(0, 1), (1, 0)],
    "duopoly": [(2, 2)],
    "rock_paper_scissors": [],
    "iesds": [(1, 1)],
    "imbalanced_actions": [(1, 0)],
    "weakly_dominated": [(2, 0), (2, 1)],
    "radio_station": [(0, 1), (1, 0)],
    "chicken": [(0, 1), (1, 0)],
    "odd_even": [],
    "golden_balls": [(0, 1), (1, 0), (1, 1)],
}
MIXED: dict[str, tuple[tuple[Fraction, ...], tuple[Fraction, ...], Fraction, Fraction]] = {
    "stag_hunt": ((F(1, 3), F(2, 3)), (F(1, 3), F(2, 3)), F(1), F(1)),
    "battle_of_sexes": ((F(2, 3), F(1, 3)), (F(1, 3), F(2, 3)), F(2, 3), F(2, 3)),
    "wait_go": ((F(2, 3), F(1, 3)), (F(2, 3), F(1, 3)), F(0), F(0)),
    "rock_paper_scissors": ((F(1, 3),) * 3, (F(1, 3),) * 3, F(0), F(0)),
    "radio_station": ((F(7, 8), F(1, 8), F(0)), (F(7, 8), F(1, 8), F(0)), F(225, 8), F(225, 8)),
    "chicken": ((F(1, 10), F(9, 10)), (F(1, 10), F(9, 10)), F(-1, 10), F(-1, 10)),
    "odd_even": ((F(7, 12), F(5, 12)), (F(7, 12), F(5, 12)), F(1, 12), F(-1, 12)),
}


def pairs(table: str) -> np.ndarray[Any, Any]:
    """Return a table of ``user,assistant`` cells as an array of shape (rows, columns, 2)."""
    return np.array([[[float(x) for x in cell.split(",")] for cell in row.split()] for row in table.split("/")])


def game_of(name: str, **options: Any) -> Any:
    """Return the bimatrix of a scenario."""
    return make_scenario(name, **options).game  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("name", "variant", "table"),
    [*((name, None, table) for name, table in GAMES.items()), *((*key, table) for key, table in VARIANTS.items())],
)
def test_catalogue__pays_what_is_published(name: str, variant: str | None, table: str) -> None:
    """Every cell, by the bimatrix and by playing it."""
    options: dict[str, Any] = {} if variant is None else {"variant": variant}
    expected = pairs(table)
    game = game_of(name, **options)
    assert (np.stack([game.user, game.assistant], axis=-1) == expected).all()
    env = gtalign_env.parallel_env(name, **options)
    for i, j in np.ndindex(expected.shape[:2]):
        env.reset(seed=0)
        _, rewards, ended, *_ = env.step({"user_0": i, "assistant_0": j})
        assert [rewards["user_0"], rewards["assistant_0"]] == expected[i, j].tolist()
        assert ended["user_0"]


def test_catalogue__duopoly_follows_from_its_formula() -> None:
    """The table as published, symmetric: the assistant's payoffs are the user's, transposed."""
    game = game_of("duopoly")
    assert game.user.tolist() == DUOPOLY
    assert (game.assistant == game.user.T).all()
    assert game.user_moves == game.assistant_moves == ("q0", "q1", "q2", "q3", "q4", "q5")


@pytest.mark.parametrize("name", PURE)
def test_catalogue__pure_equilibria_are_those_that_are_known(name: str) -> None:
    """As published, by name."""
    game = game_of(name)
    assert game.pure_nash() == [(game.user_moves[i], game.assistant_moves[j]) for i, j in PURE[name]]


@pytest.mark.parametrize("name", PURE)
def test_catalogue__mixed_equilibria_are_those_that_are_known(name: str) -> None:
    """As published, exactly; there are no others."""
    found = [(e.user, e.assistant, e.user_payoff, e.assistant_payoff) for e in game_of(name).nash() if not e.is_pure]
    assert found == ([MIXED[name]] if name in MIXED else [])


@pytest.mark.parametrize(
    ("variant", "chance"),
    [("large", F(1, 300)), ("very_large", F(1, 1000)), ("small", F(1, 103)), ("very_small", F(1, 1003))],
)
def test_catalogue__stag_hunt_variants_move_the_mixed_equilibrium(variant: str, chance: Fraction) -> None:
    """The chance of the stag as published."""
    assert [e.user[0] for e in game_of("stag_hunt", variant=variant).nash() if not e.is_pure] == [chance]


def test_catalogue__hare_is_the_safer_bet_in_its_own_variant_only() -> None:
    """Harsanyi and Selten: the equilibrium with the larger product of losses from deviating alone."""
    for variant in MATRICES["stag_hunt"].variants:
        payoffs = game_of("stag_hunt", variant=variant).user
        stag, hare = (payoffs[0, 0] - payoffs[1, 0]) ** 2, (payoffs[1, 1] - payoffs[0, 1]) ** 2
        assert (hare > stag) == (variant == "hare_risk_dominant")


@pytest.mark.parametrize("jackpot", [100, 250, 100_150, 0.5])
def test_golden_balls__pays_the_jackpot(jackpot: float) -> None:
    """One thief takes all, two take nothing; the pure equilibria do not depend on the stakes."""
    game = game_of("golden_balls", jackpot=jackpot)
    assert game.user.tolist() == [[jackpot / 2, 0], [jackpot, 0]]
    assert game.assistant.tolist() == [[jackpot / 2, jackpot], [0, 0]]
    assert game.pure_nash() == game_of("golden_balls").pure_nash()


@pytest.mark.parametrize("jackpot", [0, -5, float("nan"), float("inf"), "1000", True, None, 1e10])
def test_golden_balls__refuses_what_is_no_jackpot(jackpot: Any) -> None:
    """The message says what is accepted."""
    with pytest.raises(UsageError, match="'jackpot': expected a number above 0 and at most 1,000,000,000"):
        make_scenario("golden_balls", jackpot=jackpot)


def test_catalogue__unknown_variant_is_named() -> None:
    """With what there is, and what may have been meant."""
    with pytest.raises(
        UnknownNameError, match=r"'stag_hunt' 'hare_dominant': did you mean 'hare_risk_dominant'.*classic"
    ):
        make_scenario("stag_hunt", variant="hare_dominant")
    with pytest.raises(UnknownNameError, match=r"variant of 'chicken' 'large'.*Known: classic"):
        make_scenario("chicken", variant="large")
    with pytest.raises(UnknownNameError, match="variant"):
        make_scenario("chicken", variant=["classic"])


def test_catalogue__unknown_option_is_named_with_the_game() -> None:
    """Although one function makes all the factories."""
    with pytest.raises(UsageError, match=r"gtalign/WaitGo-v0.*'jackpot'"):
        make_scenario("wait_go", jackpot=3)


@pytest.mark.parametrize("name", catalogue.__all__)
def test_catalogue__factories_travel_and_say_where_they_come_from(name: str) -> None:
    """A pickled scenario is made anew by its own factory, and an environment knows its id and options."""
    options = {"rounds": 3, "talk": 1, "caution": 2}
    scenario = getattr(catalogue, name)(**options)
    twin = pickle.loads(pickle.dumps(scenario))
    assert (twin.name, twin.config) == (name, scenario.config)
    assert (twin.tables.next_state == scenario.tables.next_state).all()
    id, made_with = origin_of(scenario)
    assert SCENARIOS[id].short == name
    assert options.items() <= made_with.items()
    assert make_scenario(id, **made_with).config == scenario.config  # type: ignore[attr-defined]


def test_repeated_matrix__refuses_what_would_not_fit() -> None:
    """The bound is named."""
    zeros = np.zeros((40, 40))
    with pytest.raises(UsageError, match=r"'big': its tables would have 1,682,681 entries .* at most 1,000,000 fit"):
        repeated_matrix(
            name="big",
            description="",
            user_moves=[f"u{i}" for i in range(40)],
            assistant_moves=[f"a{i}" for i in range(40)],
            user=zeros,
            assistant=zeros,
            rounds=1000,
        )


def test_repeated_matrix__constant_tables_take_no_memory() -> None:
    """Chances and outcomes are views of one number."""
    tables = make_scenario("matrix", rounds=1000).tables  # type: ignore[attr-defined]
    assert not any(tables.probability.strides)
    assert not any(tables.outcome.quality.strides)


def test_repeated_matrix__holds_the_game_that_it_plays() -> None:
    """``game`` is the bimatrix, whichever the round."""
    scenario: Any = make_scenario("duopoly", rounds=3)
    for number in "012":
        stage = scenario.stage_game({"round": number})
        assert stage.user.tolist() == scenario.game.user.tolist() == DUOPOLY
        assert (stage.user_moves, stage.assistant_moves) == (scenario.game.user_moves, scenario.game.assistant_moves)
