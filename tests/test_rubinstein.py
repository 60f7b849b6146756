"""Alternating offers: the tree is solved exactly, and the compiled game is the same game."""

from __future__ import annotations

import functools
import math
import pickle
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import gtalign_env
from gtalign_env.cli import main
from gtalign_env.env import GameEnv
from gtalign_env.errors import UsageError
from gtalign_env.games import Decision, Leaf
from gtalign_env.payoffs import on_grid
from gtalign_env.play import play_episode
from gtalign_env.registration import ASSISTANTS, PERSONAS, make_scenario
from gtalign_env.replay.verify import verify_episode
from gtalign_env.scenarios.negotiation.rubinstein import limit_share, rubinstein, rubinstein_tree
from gtalign_env.testing import check_env
from gtalign_env.types import AGENTS, ASSISTANT, USER, Role

ID = "gtalign/Rubinstein-v0"
deltas = st.floats(0.05, 1.0)


def finite_share(rounds: int, first: float, second: float) -> float:
    """Return what the first side gets of a pie that can be cut anywhere, by backward induction (Ståhl 1972)."""
    share = 1.0  # the last proposer takes all
    for turn in reversed(range(rounds - 1)):
        responder = second if turn % 2 == 0 else first
        share = 1.0 - responder * share
    return share


def act(env: GameEnv, move: str, mover: int) -> Any:
    """Make a move for the user (0) or the assistant (1) while the other one waits."""
    moves = env.scenario.moves("user")
    return env.step({agent: moves.index(move if i == mover else "WAIT") for i, agent in enumerate(AGENTS)})


# -- the tree -------------------------------------------------------------------------------------------------------------


def test_tree__one_round_is_the_ultimatum_game() -> None:
    """The proposer takes all but nothing, or all but one slice: with a whole pie to keep the other side is indifferent."""
    tree = rubinstein_tree(rounds=1, slices=10)
    assert sorted((path.user, path.assistant) for path in tree.subgame_perfect()) == [(0.9, 0.1), (1.0, 0.0)]
    assert tree.backward_induction().path().moves == ("KEEP_10", "ACCEPT")


@pytest.mark.parametrize(("first", "second"), [(0.9, 0.9), (0.5, 0.8), (1.0, 0.7)])
def test_tree__tends_to_rubinsteins_division(first: float, second: float) -> None:
    """As rounds are added and the grid refined, the first side's share tends to (1 - δ₂) / (1 - δ₁δ₂)."""
    expected = (1.0 - second) / (1.0 - first * second)
    assert limit_share(first, second) == pytest.approx(expected)
    errors = []
    for rounds, slices in ((9, 20), (21, 60), (41, 200)):
        tree = rubinstein_tree(rounds=rounds, slices=slices, delta_user=first, delta_assistant=second)
        value = tree.backward_induction().value
        errors.append(abs(value.user - expected))
        assert value.user + value.assistant == pytest.approx(1.0)  # agreed at once
    assert errors[2] <= errors[0]
    assert errors[2] < 0.02


@pytest.mark.parametrize("rounds", [1, 2, 3, 4, 7, 9])
def test_tree__finite_games_agree_with_the_closed_recursion(rounds: int) -> None:
    """With δ = 1/2 for both and 2⁸ slices every continuation value lies on the grid, so the solution is exact."""
    solved = rubinstein_tree(rounds=rounds, slices=256, delta_user=0.5, delta_assistant=0.5).backward_induction()
    assert solved.value.user == pytest.approx(finite_share(rounds, 0.5, 0.5), abs=1e-9)
    assert solved.path().moves[1] == "ACCEPT"


@pytest.mark.parametrize("rounds", [8, 9, 10, 25])
def test_tree__by_default_one_division_is_perfect(rounds: int) -> None:
    """Seven slices of twelve, at once, whoever proposes last: five are what the other side's seven tomorrow are worth."""
    assert 12 - math.ceil(Fraction(7, 10) * 7) == 7
    solved = rubinstein_tree(rounds=rounds).backward_induction()
    assert [(leaf.user, leaf.assistant) for leaf in solved.outcomes] == [(7 / 12, 5 / 12)]
    assert solved.path().moves == ("KEEP_7", "ACCEPT")
    assert limit_share(0.7, 0.7) == pytest.approx(0.5882, abs=1e-4)


def test_tree__the_second_speaker_mirrors_the_first() -> None:
    """Exchanging chairs and factors exchanges payoffs."""
    one = rubinstein_tree(rounds=6, slices=64, delta_user=0.9, delta_assistant=0.6).backward_induction().value
    other = rubinstein_tree(
        rounds=6, slices=64, delta_user=0.6, delta_assistant=0.9, first_speaker="assistant"
    ).backward_induction()
    assert (one.user, one.assistant) == (other.value.assistant, other.value.user)


@pytest.mark.parametrize("rounds", [9, 10, 11, 12, 200])
def test_tree__a_coarse_grid_leaves_the_last_proposer_nine_slices_of_ten(rounds: int) -> None:
    """With much patience the division need not come near the limit: it follows the recursion over whole slices."""
    tree = rubinstein_tree(rounds=rounds, slices=10, delta_user=0.9, delta_assistant=0.9)
    assert len(tree.nodes.items) <= rounds * (1 + 2 * 11) + 1  # what follows a refusal is shared
    kept = 10
    for _ in range(rounds - 1):
        kept = 10 - math.ceil(Fraction(9, 10) * kept)  # the least that is worth the other side's continuation
    assert tree.backward_induction().value.user == pytest.approx(kept / 10)
    assert kept == (9 if rounds % 2 else 1)


# -- the compiled game ----------------------------------------------------------------------------------------------------


@given(
    st.integers(1, 5), st.integers(1, 5), deltas, deltas, st.sampled_from(["user", "assistant"]), st.integers(0, 2**16)
)
def test_scenario__plays_the_tree(rounds: int, slices: int, one: float, two: float, first: Role, seed: int) -> None:
    """Random play walks down the tree: the same mover, the same legal moves, the same payoffs at the end."""
    env = gtalign_env.parallel_env(
        rubinstein(rounds=rounds, slices=slices, delta_user=one, delta_assistant=two, first_speaker=first)
    )
    rng = np.random.default_rng(seed)
    observations, infos = env.reset(seed=seed)
    scenario: Any = env.scenario
    node = scenario.game.root
    names = env.scenario.moves("user")
    totals = np.zeros(2)
    while env.agents:
        assert isinstance(node, Decision)
        mover, waiter = (USER, ASSISTANT) if node.player == "user" else (ASSISTANT, USER)
        assert infos[USER]["to_move"] == infos[ASSISTANT]["to_move"] == mover
        legal = {agent: np.flatnonzero(observations[agent]["action_mask"]) for agent in AGENTS}
        assert [names[i] for i in legal[mover]] == list(node.moves)
        assert [names[i] for i in legal[waiter]] == ["WAIT"]
        assert scenario.locate(observations[USER]["observation"]) == env.game_state.public
        actions = {agent: int(rng.choice(moves)) for agent, moves in legal.items()}
        observations, rewards, *_, infos = env.step(actions)
        node = node.moves[names[actions[mover]]]
        totals += [rewards[agent] for agent in AGENTS]
    assert isinstance(node, Leaf)
    assert tuple(totals) == (on_grid(node.user), on_grid(node.assistant))


def test_scenario__discounts_each_side_by_its_own_factor() -> None:
    """A deal in round 2 (from 0) pays the shares times δ²."""
    env = gtalign_env.parallel_env(ID, slices=4, delta_user=0.9, delta_assistant=0.5)
    env.reset(seed=0)
    for move, mover in (("KEEP_4", 0), ("REJECT", 1), ("KEEP_4", 1), ("REJECT", 0), ("KEEP_3", 0)):
        assert not any(act(env, move, mover)[1].values())
    _, rewards, ended, _, infos = act(env, "ACCEPT", 1)
    assert rewards == {USER: on_grid(0.75 * 0.81), ASSISTANT: on_grid(0.25 * 0.25)}
    assert all(ended.values())
    assert infos[USER]["payoff"] == {"deal": rewards[USER]}


@pytest.mark.parametrize("opening", [["ACCEPT"], ["KEEP_1", "KEEP_1"]])
def test_scenario__an_illegal_move_passes_the_round_or_rejects(opening: list[str]) -> None:
    """Silence in the proposer's turn loses the round; silence in the answer is a refusal. Then the other side proposes."""
    env = gtalign_env.parallel_env(ID, rounds=2, slices=2)
    env.reset(seed=0)
    infos = [act(env, move, mover)[-1] for mover, move in enumerate(opening)]
    assert [infos[-1][agent]["illegal_move"] for agent in AGENTS] == [len(opening) == 1, len(opening) == 2]
    state = env.scenario.tables.coordinates(env.game_state.public)  # type: ignore[attr-defined]
    assert state == {"round": "1", "offer": "none"}
    _, rewards, ended, _, last = act(env, "WAIT", 1)  # it is the assistant's turn, and it says nothing either
    assert last[ASSISTANT]["illegal_move"]
    assert (rewards, all(ended.values())) == ({USER: 0.0, ASSISTANT: 0.0}, True)


def test_scenario__tells_its_state_and_rules_in_words() -> None:
    """Rounds are counted from 1, and each side is told its own discount first."""
    scenario = rubinstein(rounds=3, slices=4, delta_user=0.9, delta_assistant=0.5)
    assert scenario.state_words is not None
    assert scenario.state_words(0) == "round 1 of 3, a pie of 4 slices: the user proposes"
    assert scenario.state_words(10) == (
        "round 2 of 3, a pie of 4 slices: the assistant keeps 3 slices; the user answers"
    )
    assert "First you propose" in scenario.briefing("user")
    assert "to 0.5 of it for you, to 0.9 for the other side" in scenario.briefing("assistant")
    assert pickle.loads(pickle.dumps(scenario)).config == scenario.config


def test_scenario__keeps_the_contract() -> None:
    """The kit has nothing to say, at other settings either."""
    make = functools.partial(gtalign_env.parallel_env, ID, rounds=3, slices=3, first_speaker="assistant")
    assert check_env(make, episodes=1).ok


def test_cli__runs_and_replays(tmp_path: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """A recorded negotiation plays again to the same bytes and is told in words."""
    episode = play_episode(gtalign_env.parallel_env(ID), PERSONAS.get("random")(), ASSISTANTS.get("random")(), seed=1)
    assert not verify_episode(episode)
    path = str(tmp_path / "run.jsonl")
    assert main(["run", ID, "--episodes", "2", "--out", path]) == 0
    assert main(["replay", path, "--transcript"]) == 0
    assert "slice" in capsys.readouterr().out


# -- errors ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"delta_user": 0.0}, r"'delta_user': expected a discount factor in \(0, 1\], got 0.0"),
        ({"delta_user": 1.2}, "delta_user"),
        ({"delta_assistant": float("nan")}, "'delta_assistant': expected a discount factor"),
        ({"delta_assistant": True}, "delta_assistant"),
        ({"delta_assistant": "0.9"}, "delta_assistant"),
        ({"rounds": 0}, "'rounds': expected an integer >= 1, got 0"),
        ({"rounds": 2.0}, "rounds"),
        ({"slices": False}, "'slices': expected an integer >= 1"),
        ({"first_speaker": "Bob"}, "'first_speaker': expected 'user' or 'assistant', got 'Bob'"),
        ({"rounds": 100, "slices": 100}, "more than the 500,000 that fit: take fewer slices, or solve the tree alone"),
    ],
)
def test_options__wrong_ones_are_refused(options: dict[str, Any], message: str) -> None:
    """A clear error for each."""
    with pytest.raises(UsageError, match=message):
        make_scenario(ID, **options)


def test_tree__refuses_what_is_too_large() -> None:
    """The tree has a bound of its own."""
    with pytest.raises(UsageError, match="at most 1,000,000 nodes"):
        rubinstein_tree(rounds=1000, slices=1000)


@pytest.mark.parametrize(
    ("first", "second", "message"), [(1.0, 1.0, "below 1"), (0.0, 0.5, "delta_first"), (0.5, 2, "delta_second")]
)
def test_limit_share__refuses_what_has_no_limit(first: float, second: float, message: str) -> None:
    """Two patient sides may divide in any way."""
    with pytest.raises(UsageError, match=message):
        limit_share(first, second)
