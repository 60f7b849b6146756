"""The stage game against a slow enumeration of the same definition."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gtalign_env.errors import UsageError
from gtalign_env.finite import FiniteScenario
from gtalign_env.games import Bimatrix
from gtalign_env.payoffs import Grounded
from gtalign_env.pricing import make_pricing
from gtalign_env.registration import make_scenario
from gtalign_env.scenarios.assist.population import DEFAULT_MIX, TYPES
from gtalign_env.stage import mean_game
from gtalign_env.types import ASSISTANT_MOVES, Outcome

ACTS = ("VQ", "DQ", "LEAVE")


@pytest.fixture(scope="module")
def scenario() -> FiniteScenario:
    """The default session."""
    made = make_scenario("assist")
    assert isinstance(made, FiniteScenario)
    return made


def enumerate_cell(
    scenario: FiniteScenario, state: int, row: str, column: int, theta: str, pricing: str
) -> tuple[float, float]:
    """Add up one cell by the definition: this exchange, then one closing reply to whatever it led to, then the end."""
    tables, model, policy = scenario.tables, Grounded(), make_pricing(pricing)

    def exchange(at: int, user_act: int, act: int) -> list[tuple[float, int, float, float]]:
        branches = []
        for branch in range(tables.next_state.shape[3]):
            place = at, user_act, act, branch
            if (chance := float(tables.probability[place])) > 0.0:
                outcome = Outcome(**{name: float(getattr(tables.outcome, name)[place]) for name in Outcome.__slots__})
                paid = sum(model.user(outcome, TYPES[theta], policy).values())
                earned = sum(model.assistant(outcome, policy).values())
                branches.append((chance, int(tables.next_state[place]), paid, earned))
        return branches

    user = assistant = 0.0
    for chance, following, paid, earned in exchange(state, ACTS.index(row), column):
        user += chance * paid
        assistant += chance * earned
        where = tables.coordinates(following)
        if where:
            length = ASSISTANT_MOVES[column].length or "medium"
            name = "DECLINE" if where["kind"] == "harmful" else f"DA_{length}"
            closing = [move.name for move in ASSISTANT_MOVES].index(name)
            for later, _, after_paid, after_earned in exchange(following, ACTS.index("LEAVE"), closing):
                user += chance * later * after_paid
                assistant += chance * later * after_earned
    return user, assistant + 0.35 * user


@pytest.mark.parametrize("pricing", ["subscription", "per_token", "per_request"])
@pytest.mark.parametrize(
    ("state", "theta"),
    [
        ({"question": "0", "kind": "simple", "clarity": "vague", "exchange": "0"}, "concise"),
        ({"question": "1", "kind": "complex", "clarity": "clear", "exchange": "1"}, "detailed"),
        ({"question": "3", "kind": "complex", "clarity": "muddled", "exchange": "2"}, "hurried"),
        ({"question": "2", "kind": "harmful", "clarity": "vague", "exchange": "0"}, "balanced"),
    ],
)
def test_stage_game__every_cell_is_that_of_the_definition(
    scenario: FiniteScenario, state: dict[str, str], theta: str, pricing: str
) -> None:
    """All 24 cells of both sides, added up branch by branch."""
    game = scenario.stage_game(state, theta, pricing)
    assert (game.user_moves, game.assistant_moves) == (ACTS, tuple(move.name for move in ASSISTANT_MOVES))
    for i, row in enumerate(ACTS):
        for j in range(len(ASSISTANT_MOVES)):
            expected = enumerate_cell(scenario, scenario.tables.index(**state), row, j, theta, pricing)
            assert (game.user[i, j], game.assistant[i, j]) == pytest.approx(expected, abs=1e-5)


def test_stage_game__of_a_population_is_the_mean(scenario: FiniteScenario) -> None:
    """Without a type, the game is averaged with the population's shares."""
    state = {"question": "0", "kind": "complex", "clarity": "vague", "exchange": "0"}
    mean = scenario.stage_game(state)
    for side in ("user", "assistant"):
        by_hand = sum(share * getattr(scenario.stage_game(state, name), side) for name, share in DEFAULT_MIX.items())
        assert np.allclose(getattr(mean, side), by_hand, atol=1e-12)


def test_stage_game__the_provider_sees_theta_through_retention_only(scenario: FiniteScenario) -> None:
    """What two types' games differ by for the provider is β times what they differ by for the user."""
    state = {"question": "0", "kind": "simple", "clarity": "clear", "exchange": "0"}
    one, two = scenario.stage_game(state, "concise"), scenario.stage_game(state, "detailed")
    assert np.allclose(one.assistant - two.assistant, 0.35 * (one.user - two.user), atol=1e-5)
    assert not np.allclose(one.user, two.user)


def test_stage_game__wrong_questions_are_answered_clearly(scenario: FiniteScenario) -> None:
    """Unknown types, states and pricings are named."""
    state = {"question": "0", "kind": "simple", "clarity": "clear", "exchange": "0"}
    with pytest.raises(UsageError, match="unknown user type 'consise': did you mean 'concise'"):
        scenario.stage_game(state, "consise")
    with pytest.raises(UsageError, match="state coordinate"):
        scenario.stage_game({**state, "kind": "odd"})
    with pytest.raises(UsageError, match="unknown pricing"):
        scenario.stage_game(state, "concise", "gold")


@given(st.lists(st.floats(0.01, 1.0), min_size=1, max_size=5))
def test_mean_game__of_equal_games_is_that_game(weights: list[float]) -> None:
    """Shares only spread what is different."""
    game = Bimatrix(np.array([[1.0, -2.0]]), np.array([[0.5, 4.0]]), ("a",), ("b", "c"))
    shares = [weight / sum(weights) for weight in weights]
    mean = mean_game([game] * len(shares), shares)
    assert np.allclose(mean.user, game.user)
    assert np.allclose(mean.assistant, game.assistant)
    assert (mean.user_moves, mean.assistant_moves) == (game.user_moves, game.assistant_moves)
