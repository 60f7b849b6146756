"""Cross-play: the meta-game, its equilibria, how sure they are, and the ranking."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gtalign_env import parallel_env
from gtalign_env.agents.assistants import make_assistant
from gtalign_env.agents.users import load_persona
from gtalign_env.errors import UsageError
from gtalign_env.games import Bimatrix
from gtalign_env.play import episode_seeds
from gtalign_env.tournament import CrossPlay, cross_play, meta_equilibria

USE = ("use", "not")


def crossed(user: Any, assistant: Any, names: tuple[str, ...] = USE) -> CrossPlay:
    """Return cross-play of one episode, or of as many as the last axis has."""
    sides = [np.asarray(side, dtype=float) for side in (user, assistant)]
    sides = [side[..., None] if side.ndim == 2 else side for side in sides]
    return CrossPlay(users=names, assistants=names, payoffs=np.stack(sides, axis=-1))


def test_meta_game__tells_a_conclusion_from_a_slip_of_the_pen() -> None:
    """The published meta-game of one model is a dilemma only by a transposed digit: 5.07 in place of 5.70."""
    user = [[5.93, 4.88], [6.39, 5.55]]
    right = crossed(user, [[6.16, 6.57], [5.70, 5.57]]).meta_game()
    wrong = crossed(user, [[6.16, 6.57], [5.07, 5.57]]).meta_game()
    assert right.pure_nash() == [("not", "use")]
    assert wrong.pure_nash() == [("not", "not")]


def test_stability__counts_how_often_the_conclusion_flips() -> None:
    """Two episodes of which one turns the equilibrium over: the resamples (1, 1), (2, 0), (0, 2) have chances 1/2, 1/4, 1/4."""
    user = np.array([[[0.0, 0.0]], [[3.0, -1.0]]])  # the second player gains 3 or loses 1: by 1 in the mean
    played = CrossPlay(users=USE, assistants=("one",), payoffs=np.stack([user, 0 * user], axis=-1))
    assert played.meta_game().pure_nash() == [("not", "one")]
    assert played.stability(np.random.default_rng(0), resamples=4000) == pytest.approx(0.75, abs=0.03)
    fixed = crossed([[3, 0], [5, 1]], [[3, 5], [0, 1]])
    assert fixed.stability(np.random.default_rng(0)) == 1.0


def test_intervals__hold_the_means() -> None:
    """Percentile intervals lie around the means, are exact where nothing varies, and follow from the generator."""
    rng = np.random.default_rng(5)
    user = np.zeros((2, 2, 30))
    user[0, 0] = rng.normal(2.0, 1.0, 30)
    user[1, 1] = 0.1
    played = crossed(user, user)
    low, high = played.intervals(np.random.default_rng(0))
    assert (low <= played.means + 1e-12).all()
    assert (played.means <= high + 1e-12).all()
    spread = 1.96 * user[0, 0].std() / np.sqrt(30)
    assert high[0, 0, 0] - low[0, 0, 0] == pytest.approx(2 * spread, rel=0.1)
    assert (low[1, 0] == high[1, 0]).all()
    assert np.array_equal(played.intervals(np.random.default_rng(0)), played.intervals(np.random.default_rng(0)))


def test_ranking__is_over_all_opponents_and_both_chairs() -> None:
    """In the prisoner's dilemma D has mean (5 + 1)/2 in either chair, C has 3/2."""
    played = crossed([[3, 0], [5, 1]], [[3, 5], [0, 1]], ("C", "D"))
    first, second = played.ranking(np.random.default_rng(0))
    assert (first.player, first.chair, first.score, first.as_user, first.as_assistant) == ("D", "both", 3.0, 3.0, 3.0)
    assert (second.player, second.score, second.interval) == ("C", 1.5, None)


def test_ranking__keeps_the_chairs_apart_where_not_all_sat_in_both() -> None:
    """Users come first, each chair by its own score, with intervals where there are episodes for them."""
    payoffs = np.zeros((1, 2, 3, 2))
    payoffs[0, :, :, 0] = [[1, 2, 3], [3, 4, 5]]
    payoffs[0, 1, :, 1] = 7.0
    played = CrossPlay(users=("u",), assistants=("a", "b"), payoffs=payoffs)
    standings = played.ranking(np.random.default_rng(0))
    assert [(s.player, s.chair, s.score) for s in standings] == [
        ("u", "user", 3.0),
        ("b", "assistant", 7.0),
        ("a", "assistant", 0.0),
    ]
    assert standings[0].interval is not None
    assert standings[0].interval.low < 3.0 < standings[0].interval.high
    assert (standings[0].as_user, standings[0].as_assistant) == (3.0, None)
    assert played.ranking()[0].interval is None


@pytest.mark.parametrize(
    "payoffs",
    [
        np.zeros((2, 2, 1, 3)),
        np.zeros((2, 1, 1, 2)),
        np.zeros((2, 2, 0, 2)),
        np.full((2, 2, 1, 2), np.nan),
        np.zeros(3),
    ],
)
def test_cross_play__refuses_payoffs_that_do_not_fit(payoffs: Any) -> None:
    """Wrong shapes, no episodes and missing numbers are refused."""
    with pytest.raises(UsageError, match="expected finite payoffs of shape"):
        CrossPlay(users=USE, assistants=USE, payoffs=payoffs)


@pytest.mark.parametrize(("users", "assistants", "chair"), [(("a", "a"), USE, "user"), (USE, ("b", "b"), "assistant")])
def test_cross_play__refuses_two_of_one_name(users: Any, assistants: Any, chair: str) -> None:
    """A ranking by name would lose one of them."""
    with pytest.raises(UsageError, match=f"in the {chair}'s chair twice: give each player a name of its own"):
        CrossPlay(users=users, assistants=assistants, payoffs=np.zeros((2, 2, 1, 2)))


def test_meta_equilibria__of_large_games() -> None:
    """Of games too large to search the pure equilibria are listed, or one that mixes where there is none."""
    diagonal = np.eye(40)
    found, complete = meta_equilibria(Bimatrix(diagonal, diagonal))
    assert (len(found), complete) == (40, False)
    assert all(one.is_pure and one.user == one.assistant and one.user_payoff == 1.0 for one in found)
    (mixed,), complete = meta_equilibria(Bimatrix(diagonal, -diagonal))
    assert not complete
    assert [float(p) for p in mixed.user] == pytest.approx([1 / 40] * 40)
    assert len(meta_equilibria(Bimatrix(np.eye(2), np.eye(2)))[0]) == 3


def test_cross_play__uses_the_same_seeds_for_every_pair() -> None:
    """Every pair plays the episodes of the run seed, in order."""
    env = parallel_env("prisoners_dilemma", rounds=2)
    players = ["all_c", "random"]
    places = list(
        cross_play(env, [load_persona(p) for p in players], [make_assistant(p) for p in players], episodes=2, seed=4)
    )
    assert [place[:2] for place in places] == [(i, j) for i in (0, 1) for j in (0, 1) for _ in range(2)]
    assert [episode.seed for _, _, episode in places] == episode_seeds(4, 2) * 4


def test_meta_equilibria__of_many_players_that_are_hard_to_tell_apart() -> None:
    """23 players of whom most play alike: pure equilibria at once, not after minutes in a search for all of them."""
    rng = np.random.default_rng(0)
    user = np.full((23, 23), 3.0) + rng.normal(0.0, 0.1, (23, 23)).round(2)
    found, complete = meta_equilibria(Bimatrix(user, user.T))
    assert not complete
    assert all(one.is_pure for one in found) or len(found) == 1


def test_meta_equilibria__leaves_out_whom_nobody_sends() -> None:
    """Of 30 players 28 are dominated; the equilibria of the two that are left are all there, as those of the whole game."""
    payoffs = np.full((30, 30), -1.0)
    payoffs[:2] = 0.0
    payoffs[0, 0] = payoffs[1, 1] = 1.0
    found, complete = meta_equilibria(Bimatrix(payoffs, payoffs.T))
    assert complete
    assert [[float(p) for p in one.user[:2]] for one in found] == [[1, 0], [0, 1], [0.5, 0.5]]
    assert all(len(one.user) == len(one.assistant) == 30 for one in found)
