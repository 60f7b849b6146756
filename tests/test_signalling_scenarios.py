"""The scenarios of signalling and screening: turns, payoffs, privacy."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

from gtalign_env import make_scenario, parallel_env
from gtalign_env.errors import UsageError
from gtalign_env.finite import FiniteScenario
from gtalign_env.games.signalling import SignallingGame
from gtalign_env.scenarios.signalling.plans import PLANS, screening
from gtalign_env.scenarios.signalling.spence import signalling, signalling_scenario
from gtalign_env.testing import check_env


def play(scenario: FiniteScenario, theta: Any, first: str, second: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Play both moves by name, whoever's they are; return the last rewards and infos."""
    env = parallel_env(scenario)
    env.reset(seed=0, options={"user_type": theta})
    rewards: dict[str, Any] = {}
    infos: dict[str, Any] = {}
    for move in (first, second):
        actions = {}
        for agent, role in (("user_0", "user"), ("assistant_0", "assistant")):
            names = scenario.moves(role)  # type: ignore[arg-type]
            actions[agent] = names.index(move if env_mover(env) == agent else "WAIT")
        _, rewards, _, _, infos = env.step(actions)
    assert not env.agents
    return rewards, infos


def env_mover(env: Any) -> str:
    """Return the agent that is to move."""
    return str(env.scenario.info(env.game_state, "user")["to_move"])


def talk_game() -> SignallingGame:
    """Return two types with common interests."""
    return SignallingGame.cheap_talk([0.5, 0.5], np.eye(2), np.eye(2), ("a", "b"), ("left", "right"))


@pytest.mark.parametrize("make", [signalling, screening, lambda: signalling_scenario(talk_game())])
def test_scenarios__keep_the_contract(make: Any) -> None:
    """The conformance kit, privacy of θ included, on each; games of one's own as well."""
    check_env(lambda **settings: parallel_env(make(), **settings))


def test_ids__make_the_scenarios() -> None:
    """Both are registered, with their options."""
    assert make_scenario("gtalign/Signalling-v0", cost=3.0).config["cost"] == 3.0  # type: ignore[attr-defined]
    assert make_scenario("screening", menu_size=1).moves("assistant") == (*PLANS, "WAIT")


@pytest.mark.parametrize(
    ("theta", "message", "action", "user", "assistant"),
    [
        ("low", "no_degree", "pay_low", {"pay": 1, "degree": 0}, {"match": 4}),
        ("low", "degree", "pay_high", {"pay": 3, "degree": -2.25}, {"match": 0}),
        ("high", "degree", "pay_high", {"pay": 3, "degree": -0.75}, {"match": 4}),
        ("high", "no_degree", "pay_mean", {"pay": 2, "degree": 0}, {"match": 3}),
        ({"value": 1.5}, "degree", "pay_mean", {"pay": 2, "degree": -1.5}, {"match": 3.75}),
    ],
)
def test_signalling__pays_by_the_formula(
    theta: Any, message: str, action: str, user: dict[str, float], assistant: dict[str, float]
) -> None:
    """U = pay − cost/worth and L = 4 − (pay − worth)², also for a type that is pinned by its numbers."""
    rewards, infos = play(signalling(), theta, message, action)
    assert infos["user_0"]["payoff"] == user
    assert infos["assistant_0"]["payoff"] == assistant
    assert rewards == {"user_0": sum(user.values()), "assistant_0": sum(assistant.values())}


def test_signalling__the_game_is_the_one_that_is_played() -> None:
    """What solvers read and what the tables pay are the same numbers, for every type, message and action."""
    scenario = signalling(low=0.5, high=2.0, share=0.25, cost=1.0, match=3.0)
    game: SignallingGame = scenario.game
    assert game.prior.tolist() == [0.75, 0.25]
    for t, theta in enumerate(game.types):
        for m, message in enumerate(game.messages):
            for a, action in enumerate(game.actions):
                rewards, _ = play(scenario, theta, message, action)
                assert rewards["user_0"] == pytest.approx(game.user[t, m, a], abs=1e-6)
                assert rewards["assistant_0"] == pytest.approx(game.assistant[t, m, a], abs=1e-6)


@pytest.mark.parametrize(("cost", "apart"), [(1.9, False), (2.0, True), (6.0, True), (6.1, False)])
def test_signalling__separates_where_the_docstring_says(cost: float, apart: bool) -> None:
    """The high type alone takes the degree exactly where low·(high − low) ≤ cost ≤ high·(high − low), here 2 to 6."""
    found = signalling(cost=cost).game.pure_equilibria()
    assert any(one.sender == ("no_degree", "degree") for one in found) == apart


def test_screening__pays_by_the_formula_and_leaves_by_choice() -> None:
    """U = v·quality − s·price, L = price − quality²/2; who leaves gets nothing, and so does the other."""
    scenario = screening()
    rewards, infos = play(scenario, "keen", "lite+pro", "pro")
    assert infos["user_0"]["payoff"] == {"quality": 4.0, "price": -3.5}
    assert infos["assistant_0"]["payoff"] == {"revenue": 3.5, "cost": -2.0}
    assert rewards == {"user_0": 0.5, "assistant_0": 1.5}
    assert play(scenario, "casual", "lite+pro", "LEAVE")[0] == {"user_0": 0.0, "assistant_0": 0.0}
    assert play(scenario, {"value": 1.0, "price_sensitivity": 2.0}, "basic", "basic")[0]["user_0"] == -1.0


def test_screening__the_textbook_menu_is_best_and_another_is_better_for_both_together() -> None:
    """Mussa and Rosen's menu with its rents; basic+pro_sale has the higher sum, as the docstring says."""
    game = screening().game
    best = game.optimal_menu()
    assert best.choices == ("lite", "pro")
    assert best.user_by_type == (0.0, 0.5)
    assert best.assistant_payoff == pytest.approx(0.75)
    other = game.outcome(["basic", "pro_sale"])
    assert game.competitive_menu().choices == (
        "basic",
        "pro_sale",
    )  # keen would take basic as gladly: ties go to the provider
    assert other.user_payoff + other.assistant_payoff > best.user_payoff + best.assistant_payoff + 0.05


def test_turns__whoever_waits_has_one_move_and_menus_are_what_is_posted() -> None:
    """Masks and ``to_move`` by state: the user may take what was posted, or leave."""
    env = parallel_env("screening")
    observations, infos = env.reset(seed=0)
    moves = {role: env.scenario.moves(role) for role in ("user", "assistant")}

    def legal(role: str) -> list[str]:
        mask = observations[f"{role}_0"]["action_mask"]
        return [name for name, allowed in zip(moves[role], mask, strict=False) if allowed]

    assert infos["user_0"]["to_move"] == infos["assistant_0"]["to_move"] == "assistant_0"
    assert legal("user") == ["WAIT"]
    assert len(legal("assistant")) == 5 + 10
    post = moves["assistant"].index("basic+pro")
    observations, _, _, _, infos = env.step({"user_0": moves["user"].index("WAIT"), "assistant_0": post})
    assert infos["user_0"]["to_move"] == "user_0"
    assert legal("user") == ["basic", "pro", "LEAVE"]
    assert legal("assistant") == ["WAIT"]
    assert env.scenario.describe(env.game_state).splitlines()[0] == "menu basic+pro, the user is to move"


def test_illegal_moves__count_as_stated() -> None:
    """An illegal message is the first, an illegal answer the first action; an illegal choice leaves."""
    env = parallel_env("signalling")
    env.reset(seed=0, options={"user_type": "high"})
    wait = {role: env.scenario.moves(role).index("WAIT") for role in ("user", "assistant")}
    env.step({"user_0": wait["user"], "assistant_0": wait["assistant"]})
    _, rewards, _, _, infos = env.step({"user_0": wait["user"], "assistant_0": wait["assistant"]})
    assert infos["assistant_0"]["illegal_move"]
    assert rewards == {"user_0": 1.0, "assistant_0": 0.0}
    rewards, _ = play(screening(), "keen", "lite", "pro")
    assert rewards == {"user_0": 0.0, "assistant_0": 0.0}


def test_own_game__types_are_numbered_and_others_play_as_the_nearest() -> None:
    """A game of one's own is played by its arrays; a pinned θ counts as the type with the nearest number."""
    scenario = signalling_scenario(talk_game(), name="talk", description="Say which.")
    assert {name: theta.value for name, theta in scenario.known_types.items()} == {"a": 1.0, "b": 2.0}
    assert play(scenario, "b", "b", "right")[0] == {"user_0": 1.0, "assistant_0": 1.0}
    assert play(scenario, {"value": 1.7}, "a", "left")[0] == {"user_0": 0.0, "assistant_0": 0.0}
    assert pickle.loads(pickle.dumps(scenario)).config == scenario.config


def test_briefing__tells_rules_and_keeps_the_secret() -> None:
    """Both sides hear the rules, their own moves and whose secret the type is."""
    scenario = signalling()
    user, assistant = scenario.briefing("user"), scenario.briefing("assistant")
    assert "worth 1 or 3" in user
    assert user.endswith("Your moves: no_degree, degree.")
    assert "The user's type is its secret." in assistant
    assert "second, and last" in assistant
    assert scenario.describe(parallel_env(scenario).scenario.reset(np.random.default_rng(0), {})).startswith(
        "the user is"
    )


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: signalling(low=3.0, high=1.0), "expected low < high, got low=3.0 and high=1.0"),
        (lambda: signalling(share=1.0), "strictly between 0 and 1"),
        (lambda: signalling(share=1.5), "'share': expected a number from 0 to 1"),
        (lambda: signalling(cost=-1.0), "'cost': expected a number from 0 to 1000"),
        (lambda: signalling(match=float("nan")), "'match'"),
        (lambda: signalling(low="x"), "'low'"),  # type: ignore[arg-type]
        (lambda: screening(casual=2.0, keen=2.0), "expected casual < keen"),
        (lambda: screening(menu_size=4), "expected 1, 2 or 3"),
        (lambda: screening(plans={}), "1 to 12 plans"),
        (lambda: screening(plans=[1]), "1 to 12 plans"),  # type: ignore[arg-type]
        (lambda: screening(plans={"a+b": (1, 1)}), "without '\\+'"),
        (lambda: screening(plans={"LEAVE": (1, 1)}), "not 'LEAVE'"),
        (lambda: screening(plans={"a": (1,)}), r"expected \(quality, price\)"),
        (lambda: screening(plans={"a": "xy"}), r"expected \(quality, price\)"),  # type: ignore[dict-item]
        (lambda: screening(plans={"a": (1, -1)}), "price of plan a"),
        (lambda: screening(plans={"WAIT": (1, 1)}), "rename it"),
        (lambda: signalling_scenario(SignallingGame.cheap_talk([1.0], [[1]], [[1]], messages=("none",))), "rename it"),
    ],
)
def test_options__that_make_no_sense_are_refused(call: Any, message: str) -> None:
    """Ranges, orders and names, each in words."""
    with pytest.raises(UsageError, match=message):
        call()
