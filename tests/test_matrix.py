"""The paper's 2x3 example and repeated matrix games in general."""

from __future__ import annotations

import itertools
import math
import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import gtalign_env
from gtalign_env.errors import UsageError
from gtalign_env.games import Bimatrix
from gtalign_env.payoffs import on_grid
from gtalign_env.registration import make_scenario
from gtalign_env.scenarios.matrix.paper import paper_matrix
from gtalign_env.scenarios.matrix.repeated import matrix_scenario, repeated_matrix
from gtalign_env.scenarios.talk.config import Talk

# arXiv 2510.08872, Table 1: (user, LLM) by user's row and LLM's column
PAPER = {
    ("VQ", "DA"): (1, 1), ("VQ", "AQ"): (4, 0), ("VQ", "CQ"): (1, 0),
    ("DQ", "DA"): (0, 1), ("DQ", "AQ"): (3, 3), ("DQ", "CQ"): (2, 1),
}  # fmt: skip


def pure_nash(user: np.ndarray[Any, Any], assistant: np.ndarray[Any, Any]) -> list[tuple[int, int]]:
    """Return the cells from which nobody gains by moving alone."""
    return [
        (i, j)
        for i, j in np.ndindex(*user.shape)
        if user[i, j] >= user[:, j].max() and assistant[i, j] >= assistant[i].max()
    ]


def test_paper__payoffs_are_those_of_the_table() -> None:
    """Played once each, all six cells pay what the paper prints."""
    env = gtalign_env.parallel_env("matrix", rounds=1)
    for (row, column), payoffs in PAPER.items():
        env.reset(seed=0)
        user, assistant = (env.scenario.moves(role).index(m) for role, m in (("user", row), ("assistant", column)))  # type: ignore[arg-type]
        _, rewards, terminations, _, infos = env.step({"user_0": user, "assistant_0": assistant})
        assert (rewards["user_0"], rewards["assistant_0"]) == payoffs
        assert all(terminations.values())
        assert infos["user_0"]["payoff"] == {"cell": payoffs[0]}


def test_paper__vague_direct_is_the_only_pure_equilibrium_and_detailed_ask_the_joint_optimum() -> None:
    """The known solution, found by looking at every cell."""
    game = paper_matrix().stage_game({"round": "0"})
    names = [(game.user_moves[i], game.assistant_moves[j]) for i, j in pure_nash(game.user, game.assistant)]
    assert names == [("VQ", "DA")]
    total = game.user + game.assistant
    best = np.argwhere(total == total.max()).tolist()
    assert [(game.user_moves[i], game.assistant_moves[j]) for i, j in best] == [("DQ", "AQ")]
    product = game.user * game.assistant
    assert np.argwhere(product == product.max()).tolist() == best


def test_matrix__takes_the_stated_number_of_rounds() -> None:
    """Terminates (is not truncated) after the last round; the clock in the observation counts up from 0."""
    env = gtalign_env.parallel_env("matrix", rounds=4)
    observations, _ = env.reset(seed=0)
    assert env.layout is not None
    clocks: list[float] = []
    endings: list[dict[str, bool]] = []
    while env.agents:
        clocks.append(float(observations["user_0"]["observation"][env.layout["public"]][0]))
        observations, _, *endings, _ = env.step({"user_0": 0, "assistant_0": 0})
    assert clocks == [0.0, 0.25, 0.5, 0.75]
    assert all(endings[0].values())
    assert not any(endings[1].values())


@given(st.integers(1, 3), st.integers(1, 4), st.data())
def test_matrix__pays_the_cell_and_punishes_a_no_op(rows: int, columns: int, data: st.DataObject) -> None:
    """Any matrix: legal pairs pay their cell; an illegal move gets its player's worst, and the other's best."""
    cells = arrays(np.float64, (rows, columns), elements=st.integers(-50, 50))
    user, assistant = data.draw(cells), data.draw(cells)
    scenario = repeated_matrix(
        name="any",
        description="",
        user_moves=[f"u{i}" for i in range(rows)],
        assistant_moves=[f"a{j}" for j in range(columns)],
        user=user,
        assistant=assistant,
    )
    rng = np.random.default_rng(0)
    start = scenario.reset(rng, {})
    for i, j in itertools.product([*range(rows), None], [*range(columns), None]):
        totals = scenario.step(start, i, j, rng).payoffs.totals
        if i is not None and j is not None:
            expected = user[i, j], assistant[i, j]
        elif i is None and j is not None:
            expected = user[:, j].min(), assistant[:, j].max()
        elif i is not None and j is None:
            expected = user[i].max(), assistant[i].min()
        else:
            continue  # both at fault: finite, and nobody's business
        assert totals == (float(expected[0]), float(expected[1]))
    both = scenario.step(start, None, None, rng).payoffs.totals
    assert all(math.isfinite(total) for total in both)


def test_matrix__equal_matrices_of_the_same_object_are_told_apart() -> None:
    """A zero-sum or symmetric game may hand the same array over twice; each side's no-op is still its own worst."""
    shared = np.array([[3.0, 0.0], [5.0, 1.0]])
    scenario = repeated_matrix(
        name="twice", description="", user_moves="ab", assistant_moves="cd", user=shared, assistant=shared
    )
    rng = np.random.default_rng(0)
    start = scenario.reset(rng, {})
    assert scenario.step(start, None, 0, rng).payoffs.totals == (3.0, 5.0)
    assert scenario.step(start, 0, None, rng).payoffs.totals == (3.0, 0.0)


def test_matrix__payoffs_land_on_the_grid() -> None:
    """Fractions too sum exactly."""
    scenario = repeated_matrix(
        name="thirds", description="", user_moves="a", assistant_moves="b", user=[[1 / 3]], assistant=[[0.1]]
    )
    rng = np.random.default_rng(0)
    totals = scenario.step(scenario.reset(rng, {}), 0, 0, rng).payoffs.totals
    assert totals == (on_grid(1 / 3), on_grid(0.1))


@pytest.mark.parametrize("rounds", [0, -1, 1001, 2.0, "3", True, None])
def test_matrix__refuses_other_numbers_of_rounds(rounds: Any) -> None:
    """The message says what is accepted."""
    with pytest.raises(UsageError, match="rounds: expected an integer from 1 to 1000"):
        make_scenario("matrix", rounds=rounds)


@pytest.mark.parametrize(
    "user",
    [[[1, 2]], [[1, 2], [3, math.nan]], [[1, 2], [3, math.inf]], [1, 2, 3, 4], [["x", 1], [1, 1]], [[1], [2, 3]]],
)
def test_matrix__refuses_payoffs_that_do_not_fit(user: Any) -> None:
    """Wrong shapes, ragged rows, words and numbers that are not finite are named as the user's."""
    with pytest.raises(UsageError, match="user payoffs: expected finite numbers of shape"):
        repeated_matrix(
            name="x", description="", user_moves="ab", assistant_moves="cd", user=user, assistant=[[0, 0], [0, 0]]
        )


def test_matrix__takes_no_unknown_option() -> None:
    """An option that the scenario does not have is named."""
    with pytest.raises(UsageError, match=r"gtalign/Matrix-v0.*users"):
        make_scenario("matrix", users="concise")


def test_matrix__survives_a_pickle_in_mid_game() -> None:
    """A recipe is enough for a matrix of one's own too."""
    scenario = repeated_matrix(
        name="pd",
        description="dilemma",
        user_moves=["C", "D"],
        assistant_moves=["C", "D"],
        user=[[3, 0], [5, 1]],
        assistant=[[3, 5], [0, 1]],
        rounds=3,
    )
    env = gtalign_env.parallel_env(scenario)
    env.reset(seed=0)
    env.step({"user_0": 1, "assistant_0": 0})
    twin = pickle.loads(pickle.dumps(env))
    for actions in ({"user_0": 0, "assistant_0": 1}, {"user_0": 1, "assistant_0": 1}):
        assert twin.step(actions)[1] == env.step(actions)[1]
    assert twin.agents == env.agents == []


def test_matrix__theta_has_no_slot_and_is_not_revealed() -> None:
    """Nobody has a type here: equal observation sizes without θ, and nothing hidden."""
    env = gtalign_env.parallel_env("matrix")
    env.reset(seed=0)
    assert env.layout is not None
    assert "theta" not in env.layout.slots
    assert env.hidden() == {}


def test_paper__talks_where_it_is_asked_to_and_is_the_same_game_where_not() -> None:
    """Options of talk are recorded with talk only, and the matrix underneath stays."""
    assert paper_matrix(rounds=2).config == {"rounds": 2}
    talking = paper_matrix(rounds=2, talk=1, first_speaker="assistant")
    assert talking.config["talk"] == 1
    assert "SAY_VQ" in talking.moves("user")
    assert talking.game.user.tolist() == paper_matrix().game.user.tolist()
    assert pickle.loads(pickle.dumps(talking)).config == talking.config


def test_matrix_scenario__plays_a_game_of_ones_own() -> None:
    """With the names and payoffs of the game, again and again, also after a pickle."""
    game = Bimatrix([[3, 0], [5, 1]], [[3, 5], [0, 1]], ("stay", "go"), ("stop", "run"))
    scenario = matrix_scenario(game, name="mine", rounds=2, talk=Talk(rounds=1))
    again = pickle.loads(pickle.dumps(scenario))
    for one in (scenario, again):
        assert one.name == "mine"
        assert (one.game.user_moves, one.game.assistant_moves) == (("stay", "go"), ("stop", "run"))
        assert one.game.assistant.tolist() == [[3.0, 5.0], [0.0, 1.0]]
        assert one.config["rounds"] == 2
    with pytest.raises(UsageError, match="rounds: expected an integer"):
        matrix_scenario(game, name="mine", rounds=0)
