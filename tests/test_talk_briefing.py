"""What players are told before they play: the rules in plain words, and how they are asked to behave."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from gtalign_env.games import Bimatrix, Decision, GameTree, Leaf
from gtalign_env.registration import SCENARIOS, make_scenario
from gtalign_env.scenarios.talk import CAUTIONS, PERSONALITIES, Talk
from gtalign_env.scenarios.talk.briefing import brief
from gtalign_env.types import Role

FAMILY = [id for id, spec in SCENARIOS.items() if spec.kind in ("matrix", "tree")]


def briefing(name: str, role: Role, **options: Any) -> str:
    """Return what a player is told."""
    scenario: Any = make_scenario(name, **options)
    return str(scenario.briefing(role))


@pytest.mark.parametrize("id", FAMILY)
@pytest.mark.parametrize("role", ["user", "assistant"])
def test_briefing__tells_every_payoff_from_the_players_side(id: str, role: Role) -> None:
    """Each cell or leaf stands in a line of its own, with the player's own payoff first."""
    game = make_scenario(id).game  # type: ignore[attr-defined]
    other = "assistant" if role == "user" else "user"
    told = briefing(id, role)
    if isinstance(game, Bimatrix):
        ends = [
            (game.user[i, j], game.assistant[i, j]) for i, j in itertools.product(*(range(size) for size in game.shape))
        ]
    else:
        ends = [(leaf.user, leaf.assistant) for leaf in game.leaves().values()]
    for pair in set(ends):
        own, its = pair if role == "user" else pair[::-1]
        line = f"you get {own:.0f}, the {other} gets {its:.0f}\n"
        assert told.count(line) == ends.count(pair)


@pytest.mark.parametrize("id", FAMILY)
def test_briefing__names_every_move_and_the_chair(id: str) -> None:
    """Whoever reads it knows who it is and what it may do."""
    scenario: Any = make_scenario(id)
    told = scenario.briefing("assistant")
    assert told.startswith(f"{SCENARIOS[id].description}\nYou are the assistant; the other player is the user.")
    assert all(move in told for move in scenario.moves("assistant"))


def test_briefing__says_how_often_a_matrix_is_played() -> None:
    """Payoffs of several rounds add up."""
    assert "The game is played once." in briefing("chicken", "user")
    assert "The game is played 7 times, and payoffs add up." in briefing("chicken", "user", rounds=7)


def test_briefing__explains_talk_where_there_is_some() -> None:
    """How many rounds, who begins, and how one speaks."""
    assert "talk" not in briefing("chicken", "user").lower()
    told = briefing("chicken", "user", talk=3, first_speaker="assistant")
    assert "there are 3 rounds of talk" in told
    assert "the assistant speaks first" in told
    assert all(word in told for word in ("SAY_<move>", "SILENT", "HALT", "WAIT"))
    assert "there is one round of talk. In a round each of you speaks once, you speak first" in briefing(
        "chicken", "user", talk=1
    )


def test_manners__are_six_personalities_and_six_cautions() -> None:
    """By the names and numbers of the published experiment; 0 is no caution."""
    assert list(PERSONALITIES) == ["compassionate", "friendly", "helpful", "pragmatic", "rational", "witty"]
    assert len(CAUTIONS) == 7
    assert CAUTIONS[0].sentence == ""
    sentences = [*PERSONALITIES.values(), *(caution.sentence for caution in CAUTIONS[1:])]
    assert len(set(sentences)) == 12
    assert all(sentence.endswith(".") for sentence in sentences)
    assert [next(w for w in ("may", "should", "must") if w in CAUTIONS[i].sentence) for i in (3, 4, 5)] == [
        "may", "should", "must",
    ]  # fmt: skip
    assert ["trust" in caution.sentence for caution in CAUTIONS] == [False, True, False, False, False, False, True]


@pytest.mark.parametrize("personality", PERSONALITIES)
def test_briefing__adds_the_personality(personality: str) -> None:
    """That one and no other."""
    told = briefing("draco", "assistant", personality=personality)
    assert [name for name, sentence in PERSONALITIES.items() if sentence in told] == [personality]


@pytest.mark.parametrize("caution", range(7))
def test_briefing__adds_the_caution_where_there_is_talk(caution: int) -> None:
    """Without talk there is nothing to be cautious about."""
    told = briefing("draco", "user", caution=caution, talk=1)
    assert [i for i in range(1, 7) if CAUTIONS[i].sentence in told] == ([caution] if caution else [])
    assert CAUTIONS[caution].sentence in told
    assert not any(CAUTIONS[i].sentence in briefing("draco", "user", caution=caution) for i in range(1, 7))


def test_talk__options_stand_in_the_config() -> None:
    """As scenarios take them, so that a record says how the game was played."""
    options = {"talk": 2, "first_speaker": "assistant", "personality": "witty", "caution": 5}
    for name in ("stag_hunt", "trigame"):
        assert options.items() <= make_scenario(name, **options).config.items()  # type: ignore[attr-defined]
    assert Talk(rounds=2, first_speaker="assistant", personality="witty", caution=5).options() == options


def test_brief__of_a_large_game_stops_somewhere() -> None:
    """Nobody reads thousands of cells; fractions are rounded."""
    wide = Decision("assistant", {f"a{i}": Leaf(0.125 / 3, i) for i in range(500)})
    told = brief(GameTree(wide), "Wide.", Talk(), 1, "user")
    assert "you get 0.0416667, the assistant gets 7" in told
    assert "… and so on" in told
    assert len(told.splitlines()) < 410


def test_briefing__of_other_games_names_the_moves() -> None:
    """A scenario without words of its own has its description and its moves."""
    told = briefing("assist", "user")
    assert told.startswith("A user with a latent preference")
    assert told.endswith("LEAVE.")
