"""Games with turns and talk on the command line: run, replay, verify, play."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gtalign_env.cli import main
from gtalign_env.episode import Episode, SideRecord, StepRecord, load_episodes
from gtalign_env.replay import Look, frame_lines, stage_matrix, tell
from gtalign_env.types import NO_OP


def recorded(path: Path, name: str, *options: str, seed: int = 0) -> Episode:
    """Return one episode of players that move at random, played and saved by the program."""
    out = path / f"{name}.jsonl"
    given = [word for option in options for word in ("--option", option)]
    arguments = ["run", name, *given, "--users", "random", "--assistant", "random", "--seed", str(seed)]
    assert main([*arguments, "--episodes", "1", "--out", str(out)]) == 0
    assert main(["replay", "--verify", str(out)]) == 0
    (episode,) = load_episodes(out)
    return episode


def frame(episode: Episode, step: int) -> str:
    """Return one frame as text."""
    return "\n".join(line.plain for line in frame_lines(tell(episode), step, 100, Look()))


@pytest.mark.parametrize("name", ["prisoners_dilemma", "rock_paper_scissors", "monopoly", "trigame"])
@pytest.mark.parametrize("talk", [0, 2])
def test_records__of_the_family_verify_and_replay(name: str, talk: int, tmp_path: Path) -> None:
    """Every step has both moves; whoever waits is recorded as waiting; each frame is drawn."""
    episode = recorded(tmp_path, name, f"talk={talk}")
    assert episode.ended == "terminated"
    for number, step in enumerate(episode.steps):
        waiting = [
            side.move
            for agent, side in (("user_0", step.user), ("assistant_0", step.assistant))
            if agent != step.to_move
        ]
        assert waiting == ["WAIT"] or (not step.to_move and "WAIT" not in waiting)
        assert f"step {number + 1} of {len(episode.steps)}" in frame(episode, number)


def test_replay__shows_talk_in_words_and_the_matrix_where_moves_are_made(tmp_path: Path) -> None:
    """Announcements while there is talk; the cell that was made, and what had been said, at the moves."""
    episode = recorded(tmp_path, "stag_hunt", "talk=1", "rounds=3", seed=1)
    for number, step in enumerate(episode.steps):
        shown = frame(episode, number)
        assert (stage_matrix(episode, number) is not None) == (step.to_move == "") == ("stage game" in shown)
        assert ("talk, turn" in shown) == (step.to_move != "")
        for side in (step.user, step.assistant):
            if side.move.startswith("SAY_"):
                assert f"announces {side.move.removeprefix('SAY_')}" in shown
        said = [step.public["user_said"], step.public["assistant_said"]]
        assert shown.count("before: ") == sum(word != "none" for word in said)


def test_replay__says_where_in_a_tree_a_move_was_made(tmp_path: Path) -> None:
    """By the moves that led there; there is no matrix, and no apology for it."""
    episode = recorded(tmp_path, "trigame")
    assert "at the start" in frame(episode, 0)
    first = episode.steps[0].user.move
    assert f"after {first}" in frame(episode, 1)
    assert all("stage game" not in frame(episode, number) for number in range(len(episode.steps)))


@pytest.mark.parametrize("name", ["chicken", "monopoly"])
def test_replay__calls_an_illegal_move_what_it_is(name: str) -> None:
    """In a game that is no conversation, nobody 'speaks vaguely'."""
    illegal: Any = {"digest": "", "move": NO_OP, "illegal": True}
    step = StepRecord(user=SideRecord(**illegal), assistant=SideRecord(**illegal))
    shown = frame(Episode(scenario=name, view="strategic", seed=0, steps=[step]), 0)
    assert shown.count("makes no legal move") == 2


def test_play__a_person_moves_in_a_tree(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The person is asked when it is its turn only, and told what the other did."""
    shown, typed = "", iter([""])
    monkeypatch.setattr("builtins.input", lambda prompt: next(typed))
    for seed in range(20):  # until the random assistant escalates
        typed = iter(["threaten", "fight"])
        assert main(["play", "escalation", "--as", "user", "--opponent", "random", "--seed", str(seed)]) == 0
        shown = capsys.readouterr().out
        if "escalate." in shown:
            break
    assert "after threaten, escalate, the user moves" in shown
    assert "You gained −1.00" in shown


def test_play__a_person_talks(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Messages are moves with words of their own."""
    typed = iter(["SAY_stag", "stag"])
    monkeypatch.setattr("builtins.input", lambda prompt: next(typed))
    assert main(["play", "stag_hunt", "--as", "user", "--opponent", "random", "--option", "talk=1", "--seed", "1"]) == 0
    shown = capsys.readouterr().out
    assert "announce stag" in shown
    assert "say nothing" in shown
    assert "end the talk" in shown
    assert "round 1 of 1, talk, turn 1 of 2, the user speaks" in shown
    assert "the user's last words: announces stag" in shown
