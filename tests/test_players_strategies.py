"""Strategies for repeated dilemmas and learners: every sequence is worked out by hand or from a published formula."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gtalign_env import parallel_env
from gtalign_env.agents.assistants import make_assistant
from gtalign_env.agents.players import Dilemma, find_dilemma, make_player
from gtalign_env.agents.players.learning import regret_strategy
from gtalign_env.agents.players.seat import Seat
from gtalign_env.agents.players.strategies import ContriteTitForTat, zd_extortion
from gtalign_env.agents.users import load_persona
from gtalign_env.games import Bimatrix
from gtalign_env.play import play_episode
from gtalign_env.registration import make_scenario

SCRIPT = "CDDCCDC"


class Scripted:
    """Plays a script of C and D, or of move indices, again and again."""

    name = "scripted"

    def __init__(self, script: str) -> None:
        self.script = script

    def reset(self, seed: int) -> None:
        """Begin."""
        self.turn = 0

    def act(self, observation: Any, info: Any) -> int:
        """Play on."""
        self.turn += 1
        letter = self.script[(self.turn - 1) % len(self.script)]
        return int(letter) if letter.isdecimal() else "CD".index(letter)


def answers(spec: str, script: str = SCRIPT, *, seed: int = 0) -> str:
    """Return what a strategy in the assistant's chair plays against a script, as C and D."""
    env = parallel_env("prisoners_dilemma", rounds=len(script))
    observations, infos = env.reset(seed=seed)
    other, player = Scripted(script), make_assistant(spec)
    other.reset(0)
    player.sit(env.scenario, "assistant")  # type: ignore[attr-defined]
    player.reset(seed)
    played = ""
    while env.agents:
        moves = {
            agent: p.act(observations[agent], infos[agent]) for agent, p in (("user_0", other), ("assistant_0", player))
        }
        played += "CD"[moves["assistant_0"]]
        observations, _, _, _, infos = env.step(moves)
    return played


@pytest.mark.parametrize(
    ("spec", "played"),
    [
        ("all_c", "CCCCCCC"),
        ("all_d", "DDDDDDD"),
        ("alternator", "CDCDCDC"),
        ("tit_for_tat", "CCDDCCD"),
        ("suspicious_tft", "DCDDCCD"),
        ("generous_tft:generosity=0", "CCDDCCD"),
        ("generous_tft:generosity=1", "CCCCCCC"),
        ("tit_for_two_tats", "CCCDCCC"),
        ("win_stay_lose_shift", "CCDCCCD"),
        ("grim", "CCDDDDD"),
        ("grim_n", "CCCDDDD"),
        ("grim_n:n=1", "CCDDDDD"),
        ("grim_n:n=3", "CCCCCCC"),
        ("contrite_tft", "CCDDCCD"),
    ],
)
def test_strategies__answer_a_script(spec: str, played: str) -> None:
    """Against C D D C C D C every strategy plays what its definition says, worked out by hand."""
    assert answers(spec) == played


def test_generous_tft__forgives_one_defection_in_three() -> None:
    """Against all-out defection the default forgives with chance 1/3 (999 rounds: 3 standard errors are 0.045)."""
    forgiven = answers("generous_tft", "D" * 1000)[1:].count("C") / 999
    assert abs(forgiven - 1 / 3) < 0.045
    assert answers("generous_tft", "D" * 50, seed=1) != answers("generous_tft", "D" * 50, seed=2)


def test_contrite_tft__takes_punishment_for_its_own_fault() -> None:
    """Who defected without cause cooperates until it is forgiven, also while it is punished."""
    player = ContriteTitForTat()
    player.after_round(own=False, other=True)  # a slip: bad standing
    assert player.cooperates()
    player.after_round(own=True, other=False)  # the punishment was provoked, so the other one keeps its standing
    assert player.cooperates()
    player.after_round(own=True, other=False)  # a second one was not
    assert not player.cooperates()


# -- extortion --------------------------------------------------------------------------------------------------------


def test_zd_extortion__gives_the_published_strategy() -> None:
    """Press and Dyson's example for T, R, P, S = 5, 3, 1, 0 and χ = 3, φ = 1/26: 11/13, 1/2, 7/26, 0."""
    assert zd_extortion((5, 3, 1, 0), 3) == pytest.approx((11 / 13, 1 / 2, 7 / 26, 0))


@given(
    st.tuples(*[st.floats(0.05, 0.95)] * 4),
    st.floats(1.0, 20.0),
    st.sampled_from([(5.0, 3.0, 1.0, 0.0), (10.0, 4.0, 2.0, -3.0), (2.0, 1.5, 1.0, -8.0)]),
)
def test_zd_extortion__takes_its_share_from_anybody(
    other: tuple[float, ...], factor: float, payoffs: tuple[float, float, float, float]
) -> None:
    """Against any strategy of memory one, the surplus over P is χ times the other one's, in the long run."""
    t, r, p, s = payoffs
    own = zd_extortion(payoffs, factor)
    assert all(0.0 <= chance <= 1.0 for chance in own)
    replies = [other[0], other[2], other[1], other[3]]  # the other one sees the pair the other way round
    step = np.array([[a * b, a * (1 - b), (1 - a) * b, (1 - a) * (1 - b)] for a, b in zip(own, replies, strict=True)])
    system = np.vstack([step.T - np.eye(4), np.ones(4)])
    stationary = np.linalg.lstsq(system, np.array([0, 0, 0, 0, 1.0]), rcond=None)[0]
    mine, theirs = stationary @ np.array([r, s, t, p]), stationary @ np.array([r, t, s, p])
    assert mine - p == pytest.approx(factor * (theirs - p), abs=1e-7)


def test_zd_extort__plays_by_chance_and_cooperates_first() -> None:
    """It begins with cooperation, and after mutual defection it defects for certain."""
    played = answers("zd_extort", "C" * 400)
    assert played[0] == "C"
    after_cc = [now for before, now in itertools.pairwise(played) if before == "C"]
    assert abs(after_cc.count("C") / len(after_cc) - 11 / 13) < 0.08
    against_d = answers("zd_extort", "D" * 60)
    assert "D" * 40 in against_d


# -- what cooperation means ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("game", "cooperate", "defect"),
    [
        ("prisoners_dilemma", ("cooperate", "cooperate"), ("defect", "defect")),
        ("stag_hunt", ("stag", "stag"), ("hare", "hare")),
        ("battle_of_sexes", ("opera", "opera"), ("football", "football")),
        ("wait_go", ("wait", "wait"), ("go", "go")),
        ("duopoly", ("q1", "q1"), ("q2", "q2")),
        ("golden_balls", ("split", "split"), ("steal", "steal")),
        ("matrix", ("DQ", "AQ"), ("VQ", "DA")),
    ],
)
def test_find_dilemma__names_the_moves(game: str, cooperate: tuple[str, str], defect: tuple[str, str]) -> None:
    """The textbook moves where there are any; in the duopoly the best joint quantity is q1, and the best reply to it q2."""
    bimatrix = make_scenario(game).game  # type: ignore[attr-defined]
    found = find_dilemma(Seat.of(bimatrix, "user"))
    named = bimatrix.user_moves, bimatrix.assistant_moves
    assert (named[0][found.cooperate], named[1][found.other_cooperates]) == cooperate
    assert (named[0][found.defect], named[1][found.other_defects]) == defect


def test_find_dilemma__of_a_game_without_choice() -> None:
    """Where a player has one move it cooperates and defects by it."""
    game = Bimatrix(np.array([[1.0, 2.0]]), np.array([[3.0, 4.0]]))
    assert find_dilemma(Seat.of(game, "user")) == Dilemma(0, 0, 1, 0)


@given(
    st.integers(1, 4),
    st.integers(1, 4),
    st.lists(st.integers(-3, 3), min_size=32, max_size=32),
    st.sampled_from(["user", "assistant"]),
)
def test_find_dilemma__cooperation_is_jointly_best(m: int, n: int, numbers: list[int], role: Any) -> None:
    """Unless the game is symmetric the sum at mutual cooperation is greatest; defection is another move if there is one."""
    game = Bimatrix(np.reshape(numbers[: m * n], (m, n)), np.reshape(numbers[16 : 16 + m * n], (m, n)))
    seat = Seat.of(game, role)
    found = find_dilemma(seat)
    total = seat.own + seat.other
    if not seat.symmetric:
        assert total[found.cooperate, found.other_cooperates] == total.max()
    assert (found.defect != found.cooperate) == (len(seat.own) > 1)
    assert (found.other_defects != found.other_cooperates) == (seat.own.shape[1] > 1)


def test_dilemma_players__agree_on_ties_from_both_chairs() -> None:
    """In the battle of the sexes both cooperators meet at the same place, whichever chair they sit in."""
    env = parallel_env("battle_of_sexes", rounds=3)
    episode = play_episode(env, load_persona("tit_for_tat"), make_assistant("tit_for_tat"), seed=0)
    assert {(step.user.move, step.assistant.move) for step in episode.steps} == {("opera", "opera")}


def test_dilemma_players__take_an_illegal_move_for_defection() -> None:
    """A move that the rules do not allow is no cooperation."""
    env = parallel_env("matrix", rounds=4)
    observations, infos = env.reset(seed=0)
    player: Any = make_player("tit_for_tat")
    player.sit(env.scenario, "assistant")
    player.reset(0)
    played = []
    for theirs in (1, 2, 1, 1):  # DQ cooperates; 2 is no move of the user's
        move = player.act(observations["assistant_0"], infos["assistant_0"])
        played.append(env.scenario.moves("assistant")[move])
        observations, _, _, _, infos = env.step({"user_0": theirs, "assistant_0": move})
    assert played == ["AQ", "AQ", "DA", "AQ"]


# -- learners ---------------------------------------------------------------------------------------------------------


def learned(spec: str, game: str, script: str) -> list[str]:
    """Return what a learner in the user's chair plays against a script of the assistant's move indices."""
    env = parallel_env(game, rounds=len(script))
    episode = play_episode(env, load_persona(spec), Scripted(script), seed=0)
    assert not episode.error
    return [step.user.move for step in episode.steps]


def test_best_response__replies_to_the_last_moves() -> None:
    """In the duopoly the best replies to q0, q1, … are q3, q2, q2, q1, q1, q0; a longer memory replies to a mix."""
    assert learned("best_response", "duopoly", "0123450")[1:] == ["q3", "q2", "q2", "q1", "q1", "q0"]
    rock_then_paper = learned("best_response:memory=2", "rock_paper_scissors", "001110")
    assert [rock_then_paper[i] for i in (1, 2, 4, 5)] == ["paper", "paper", "scissors", "scissors"]


def test_fictitious_play__replies_to_the_whole_past() -> None:
    """With one imagined round of each move: after rock twice and paper once rock is likeliest, so paper is played."""
    assert learned("fictitious_play", "rock_paper_scissors", "0011")[1:] == ["paper", "paper", "paper"]


def test_fictitious_play__finds_the_mix_of_a_zero_sum_game() -> None:
    """Two of them play the odd-even game as often as its solution says: 7/12 and 5/12 (Robinson 1951)."""
    env = parallel_env("odd_even", rounds=1000)
    episode = play_episode(env, load_persona("fictitious_play"), make_assistant("fictitious_play"), seed=0)
    first = env.scenario.moves("user")[0]
    share = sum(step.user.move == first for step in episode.steps) / 1000
    assert abs(share - 7 / 12) < 0.05


def test_regret_strategy__follows_its_definition() -> None:
    """After C against C and D against D the regret of D is 5 + 1 − (3 + 1) = 2, that of C is −1; for the cycle see below.

    Rock against rock and paper earned −1; paper would have earned 1, scissors 0: regrets 0 (rock), 2 and 1.
    """
    own = np.array([[3.0, 0.0], [5.0, 1.0]])
    assert regret_strategy(own, [], []).tolist() == [0.5, 0.5]
    assert regret_strategy(own, [0, 1], [0, 1]).tolist() == [0.0, 1.0]
    assert regret_strategy(own, [1, 1], [0, None]).tolist() == [0.5, 0.5]
    cycle = np.array([[0.0, -1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]])
    assert regret_strategy(cycle, [0, 0], [0, 1]).tolist() == [0.0, 2 / 3, 1 / 3]


def test_regret_matching__regrets_little_in_the_end() -> None:
    """Against itself at rock, paper, scissors no fixed move would have done better by more than 0.1 a round."""
    env = parallel_env("rock_paper_scissors", rounds=1000)
    episode = play_episode(env, load_persona("regret_matching"), make_assistant("regret_matching"), seed=0)
    names = env.scenario.moves("user")
    mine = [names.index(step.user.move) for step in episode.steps]
    theirs = [names.index(step.assistant.move) for step in episode.steps]
    own = make_scenario("rock_paper_scissors").game.user  # type: ignore[attr-defined]
    assert (own[:, theirs].mean(axis=1).max() - own[mine, theirs].mean()) < 0.1
