"""Games with types of their own: θ follows their prior, whoever sits in the user's chair."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest

from gtalign_env import make_scenario, parallel_env
from gtalign_env.agents.assistants import make_assistant
from gtalign_env.agents.users import load_persona
from gtalign_env.cli import main
from gtalign_env.episode import Episode
from gtalign_env.play import play_episode, play_many, type_brought
from gtalign_env.replay.story import tell
from gtalign_env.replay.transcript import transcript_lines
from gtalign_env.tournament import cross_play
from gtalign_env.types import UserType


class Stranger:
    """A persona of a class of one's own that plays any game and has a type of its own."""

    name = "stranger"
    description = "somebody with a taste from elsewhere"

    def __init__(self, user_type: UserType | None = None) -> None:
        self.user_type = user_type or UserType(name="stranger", value=7.0)

    def sample_type(self, rng: Any) -> UserType:
        """Return the type."""
        return self.user_type

    def policy(self, user_type: Any) -> Any:
        """Move at random."""
        return load_persona("random").policy(user_type)


def types_seen(episodes: list[Episode]) -> Counter[str]:
    """Count the hidden types."""
    assert all(episode.ended == "terminated" for episode in episodes)
    return Counter(episode.hidden["user_type"]["name"] for episode in episodes)


@pytest.mark.parametrize("users", ["random", Stranger()])
@pytest.mark.parametrize(("scenario", "rare"), [("signalling", "high"), ("screening", "keen")])
def test_type__follows_the_prior_in_play(users: Any, scenario: str, rare: str) -> None:
    """A share of 0.25 is found again within four standard errors; a persona's own taste changes nothing."""
    env = parallel_env(scenario, share=0.25)
    episodes = list(play_many(env, load_persona(users), make_assistant("random"), episodes=400))
    seen = types_seen(episodes)
    assert set(seen) == set(env.scenario.known_types)  # type: ignore[attr-defined]
    assert abs(seen[rare] / 400 - 0.25) < 4 * (0.25 * 0.75 / 400) ** 0.5
    assert all("user_type" not in episode.reset_options for episode in episodes)


def test_type__follows_the_prior_in_gym_views_and_tournaments() -> None:
    """The same through both other doors."""
    env: Any = gymnasium.make("gtalign_env:gtalign/Assistant-v0", scenario="signalling", users=[Stranger()], share=0.25)
    names: Counter[str] = Counter()
    for seed in range(400):
        env.reset(seed=seed)
        names[env.unwrapped.game.hidden()["user_type"].name] += 1
    assert set(names) == {"low", "high"}
    assert abs(names["high"] / 400 - 0.25) < 4 * (0.25 * 0.75 / 400) ** 0.5
    people = [load_persona("random"), Stranger()]
    played = cross_play(parallel_env("signalling"), people, [make_assistant("random")], episodes=40)
    by_row: dict[int, list[Episode]] = {0: [], 1: []}
    for row, _, episode in played:
        by_row[row].append(episode)
    assert types_seen(by_row[0]) == types_seen(by_row[1])  # the same seeds draw the same types
    assert len(types_seen(by_row[0])) == 2


def test_type__a_persona_may_bring_a_type_of_the_game() -> None:
    """By its name, as the game knows it; and what a reset pins is taken as it is."""
    market = make_scenario("signalling")
    assert type_brought(market, UserType(name="high", value=9.0)) == UserType(name="high", value=3.0)
    assert type_brought(market, None) is None
    assert type_brought(make_scenario("assist"), UserType(name="mine")) == UserType(name="mine")
    env, assistant = parallel_env(market), make_assistant("random")
    high = Stranger(UserType(name="high"))
    assert play_episode(env, high, assistant, seed=0).hidden["user_type"]["value"] == 3.0
    pinned = play_episode(env, high, assistant, seed=0, reset_options={"user_type": {"name": "odd", "value": 2.0}})
    assert pinned.hidden["user_type"]["value"] == 2.0


def test_type__of_a_division_is_a_taste_or_nothing() -> None:
    """What a random user is worth elsewhere is not written into the record of a division."""
    env, assistant = parallel_env("deal_or_no_deal"), make_assistant("random")
    for users in ("random", Stranger()):
        assert "user_type" not in play_episode(env, load_persona(users), assistant, seed=0).reset_options
    fond = play_episode(env, Stranger(UserType(name="hats")), assistant, seed=0)
    assert fond.reset_options["user_type"]["name"] == "hats"


def test_type__recorded_play_is_verified(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A draw that is left to the scenario is the same when it is played again."""
    for scenario in ("signalling", "screening", "deal_or_no_deal", "assist"):
        out = str(tmp_path / f"{scenario}.jsonl")
        assert (
            main(["run", scenario, "--users", "random", "--assistant", "random", "--episodes", "5", "--out", out]) == 0
        )
        assert main(["replay", out, "--verify"]) == 0
        assert "5 episodes" in capsys.readouterr().out


def test_replay__tells_the_type_in_the_words_of_the_game() -> None:
    """No word of tokens, and nothing is sold."""
    episode = play_episode(
        parallel_env("signalling"), Stranger(UserType(name="high")), make_assistant("random"), seed=0
    )
    story = tell(episode)
    assert story.pricing == ""
    assert story.theta == "high: worth 3 to the assistant, and a degree costs 0.75"
    shown = "\n".join(transcript_lines(story, reveal=True))
    assert f"[θ: {story.theta}]" in shown
    assert "tokens" not in shown
    assert (
        tell(play_episode(parallel_env("assist"), load_persona("concise"), make_assistant("random"), seed=0)).theta
        == ""
    )


def test_type_in_words__of_a_game_without_words_names_what_differs() -> None:
    """The fields in which the types of the population differ; the name alone where there is one type."""
    scenario: Any = make_scenario("assist", users=[UserType(name="a", value=1.0), UserType(name="b", value=2.5)])
    assert scenario.type_in_words(scenario.mix.types[1]) == "b: value 2.5"
    alone: Any = make_scenario("assist", users="concise")
    assert alone.type_in_words(alone.mix.draw(np.random.default_rng(0))) == "concise"
