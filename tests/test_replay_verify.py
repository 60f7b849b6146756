"""Verification of records that broke off, were altered, or cannot be played again; ``gtalign replay --verify`` on them."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

import gtalign_env.agents  # noqa: F401 - registers the players
from gtalign_env import parallel_env
from gtalign_env.cli import main
from gtalign_env.episode import Episode, EpisodeWriter
from gtalign_env.play import play_episode
from gtalign_env.pricing import PerToken
from gtalign_env.registration import ASSISTANTS, PERSONAS
from gtalign_env.replay import CannotRebuildError, unfinished, verify_episode
from gtalign_env.replay.verify import Difference
from gtalign_env.types import Outcome

Capture = pytest.CaptureFixture[str]


def played(scenario: str = "assist", *, seed: int = 3, **options: Any) -> Episode:
    """Return an episode straight from ``play_episode``."""
    persona, assistant = PERSONAS.get("concise")(), ASSISTANTS.get("heuristic")()
    return play_episode(parallel_env(scenario, **options), persona, assistant, seed=seed)


def from_file(episode: Episode) -> Episode:
    """Return an episode as it comes back from a file."""
    return msgspec.json.decode(msgspec.json.encode(episode), type=Episode)


def written(path: Path, *episodes: Episode) -> str:
    """Write episodes to a file and return its name."""
    with EpisodeWriter(path) as writer:
        for episode in episodes:
            writer.write(episode)
    return str(path)


def broken(where: str, *, steps: int = 2) -> Episode:
    """Return an episode that stops after some steps because something failed."""
    episode = from_file(played())
    del episode.steps[steps:]
    episode.ended, episode.error = "error", {"type": "RuntimeError", "message": "down", "where": where}
    return episode


class Wild:
    """An assistant that makes an impossible move at its third turn."""

    name = "wild"
    last_call: dict[str, Any] | None = None

    def __init__(self, move: Any) -> None:
        self.move, self.turn = move, 0

    def reset(self, seed: int) -> None:
        """Start anew."""
        self.turn = 0

    def act(self, observation: Any, info: Any) -> Any:
        """Answer, and then go wild."""
        self.turn += 1
        return self.move if self.turn == 3 else 1


# -- records in memory and on file ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("scenario", ["assist", "assist_text"])
def test_verify__holds_before_it_was_ever_written(scenario: str) -> None:
    """A record in memory is compared as its file would be: tuples are lists, numpy's numbers are numbers."""
    episode = played(scenario)
    assert verify_episode(episode) == verify_episode(from_file(episode)) == []
    episode.steps[0].events["seen"] = np.int64(3)
    (found,) = verify_episode(episode)
    assert (found.field, found.recorded) == ("events.seen", 3)


def test_verify__half_a_character_is_no_crash() -> None:
    """A broken tokenizer's half character in a record does not stop the comparison."""
    episode = played("assist_text")
    episode.players["assistant_0"] = "\ud83d"
    assert verify_episode(episode) == []


# -- records that stop early ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ended", ["", "terminated", "truncated"])
def test_verify__cut_short_is_a_difference(ended: str) -> None:
    """Fewer steps than the game has are a difference, whatever the record says of its end."""
    episode = from_file(played())
    episode.steps.pop()
    episode.ended = ended
    assert [difference.field for difference in verify_episode(episode)] == ["ended"]


def test_verify__no_word_about_the_end_is_a_difference() -> None:
    """A record with all steps that does not say how it ended differs."""
    episode = from_file(played())
    episode.ended = ""
    (found,) = verify_episode(episode)
    assert (found.field, found.recorded, found.replayed) == ("ended", "", "terminated")


def test_verify__an_error_that_is_not_told_is_a_difference() -> None:
    """A cut record cannot pass as broken off without the error."""
    episode = broken("user_0")
    episode.error = {}
    assert [difference.field for difference in verify_episode(episode)] == ["error"]


@pytest.mark.parametrize("steps", [0, 2])
def test_unfinished__says_how_far_a_record_goes(steps: int) -> None:
    """A record that broke off holds as far as it goes, and is told apart from one that was played to its end."""
    episode = broken("user_0", steps=steps)
    assert verify_episode(episode) == []
    words = f"as recorded up to step {steps}; the episode ended in an error (RuntimeError)"
    assert unfinished(episode) == words
    assert unfinished(played()) == ""


@pytest.mark.parametrize(("move", "strict"), [(99, False), ("no number", False), (None, False), (99, True)])
def test_verify__a_step_that_failed_fails_again(move: Any, strict: bool) -> None:
    """What was sent when a step failed is sent again and fails in the same way; otherwise that is a difference."""
    env = parallel_env("assist", strict=strict)
    episode = play_episode(env, PERSONAS.get("concise")(), Wild(move), seed=3)
    assert (len(episode.steps), episode.error["where"]) == (2, "env.step")
    assert verify_episode(episode) == verify_episode(from_file(episode)) == []
    episode.error["message"] = "something else"
    (found,) = verify_episode(episode)
    assert (found.step, found.field) == (2, "error")
    episode.failed_call["assistant_0"]["action"] = 1
    (found,) = verify_episode(episode)
    assert found.replayed == "the step does not fail"
    episode.failed_call = {}
    (found,) = verify_episode(episode)
    assert found.field == "failed_call"


def test_verify__a_masked_move_in_a_strict_game_fails_again() -> None:
    """A move that only a strict game refuses is refused again: the record says that the game was strict."""
    env = parallel_env("assist", strict=True, can_leave=False)
    episode = from_file(played(can_leave=False))
    del episode.steps[1:]
    actions = {"user_0": 10, "assistant_0": 0}  # LEAVE
    env.reset(seed=episode.seed, options=dict(episode.reset_options))
    env.step({"user_0": episode.steps[0].user.action, "assistant_0": episode.steps[0].assistant.action})
    with pytest.raises(Exception, match="LEAVE") as caught:
        env.step(actions)
    episode.ended = "error"
    episode.error = {"type": type(caught.value).__name__, "message": str(caught.value), "where": "env.step"}
    episode.failed_call = {agent: {"action": action} for agent, action in actions.items()}
    assert env.origin[1] == {"strict": True, "can_leave": False}
    episode.env_options = dict(env.origin[1])
    assert verify_episode(episode) == []


# -- games that cannot be made again --------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, kw_only=True)
class MyPrice:
    """A pricing policy that nobody has registered."""

    name: str = "my_price"

    def price(self, outcome: Outcome) -> float:
        """Return a flat price."""
        return 0.25


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda e: e.env_options.update(pricing="my_price"), "my_price"),
        (lambda e: e.reset_options.update(pricing="my_price"), "my_price"),
        (lambda e: e.env_options.update(payoff="my_payoff"), "my_payoff"),
        (lambda e: e.env_options.update(nonsense=1), "nonsense"),
        (lambda e: setattr(e, "view", "text"), "strategic view"),
    ],
)
def test_verify__a_game_that_cannot_be_rebuilt_is_one_sentence(change: Callable[[Episode], Any], words: str) -> None:
    """Options that nobody knows here end in one sentence that names them, not in differences that mislead."""
    episode = from_file(played())
    change(episode)
    with pytest.raises(CannotRebuildError, match=f"^cannot be rebuilt: .*{words}"):
        verify_episode(episode)


def test_verify__a_policy_of_one_s_own_cannot_be_rebuilt() -> None:
    """The record of a game with an unregistered pricing object says so when it is verified."""
    episode = from_file(played(pricing=MyPrice()))
    with pytest.raises(CannotRebuildError, match="my_price"):
        verify_episode(episode)
    assert verify_episode(from_file(played(pricing=PerToken()))) == []


def test_verify__other_settings_are_named_first() -> None:
    """Where the rebuilt game has other settings than the record says, those are the difference."""
    episode = from_file(played(questions=2))
    assert episode.config["questions"] == 2
    episode.env_options = {}
    found = verify_episode(episode)
    assert [(d.field, d.recorded, d.replayed) for d in found] == [("config.questions", 2, 4)]
    episode.config = {}  # a record of an older version
    assert found != verify_episode(episode) != []


# -- on the command line --------------------------------------------------------------------------------------------------


def test_replay_verify__unfinished_is_told_and_no_failure(tmp_path: Path, capsys: Capture) -> None:
    """Broken-off records that hold give exit code 0, a line each, and their own list in the JSON."""
    path = written(tmp_path / "run.jsonl", played(), broken("user_0"))
    assert main(["replay", path, "--verify"]) == 0
    out = capsys.readouterr().out
    assert "episode 2 as recorded up to step 2; the episode ended in an error" in out
    assert "1 of 2 episodes is unfinished" in out
    assert main(["replay", path, "--verify", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["equal"]
    assert report["unfinished"] == [{"episode": 2, "steps": 2}]


def test_replay_verify__cannot_be_rebuilt_is_told_and_the_rest_is_checked(tmp_path: Path, capsys: Capture) -> None:
    """A game that is unknown here gives exit code 1 and one line; other episodes are still verified."""
    lost, wrong = from_file(played()), from_file(played())
    lost.env_options = {"pricing": "my_price"}
    wrong.steps[0].user.payoff += 1.0
    path = written(tmp_path / "run.jsonl", lost, played())
    assert main(["replay", path, "--verify"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("episode 1 cannot be rebuilt: ")
    assert lines[1] == "1 of 2 episodes cannot be rebuilt, so nothing is proved of it"
    path = written(tmp_path / "two.jsonl", lost, wrong)
    assert main(["replay", path, "--verify", "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert [entry["episode"] for entry in report["cannot_be_rebuilt"]] == [1]
    assert [entry["episode"] for entry in report["differences"]] == [2]
    assert not report["equal"]


def test_replay_verify__one_of_one_differs(tmp_path: Path, capsys: Capture) -> None:
    """The verdict on a single record is grammatical."""
    episode = from_file(played())
    episode.steps[0].user.payoff += 1.0
    assert main(["replay", written(tmp_path / "x.jsonl", episode), "--verify"]) == 1
    assert "1 of 1 episode differs from what playing it again gives" in capsys.readouterr().out


def test_difference__is_one_line() -> None:
    """A difference as long as a book is told in a line of bounded length."""
    told = str(Difference(step=None, field="opening", recorded="word\n" * 999, replayed={"a": 1}))
    assert len(told) < 400
    assert "\n" not in told
