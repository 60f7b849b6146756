"""Fidelity of voiced users below ``gtalign run``, ``gauges`` and ``replay --summary``, and scripted voices in a mix."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gtalign_env.agents.users import FidelityMeter, fidelity, population
from gtalign_env.agents.users.population import shares
from gtalign_env.cli import main
from gtalign_env.cli.voices import Voices
from gtalign_env.env import parallel_env
from gtalign_env.episode import EpisodeWriter, load_episodes
from gtalign_env.errors import UsageError

GAME = ["run", "assist_text", "--option", "questions=2", "--assistant", "fake:rules"]
MIX = "concise@fake:voice,detailed@fake:scripted=No, thanks."


@pytest.fixture
def recorded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """A run of two voices, the one perfect, the other always the same."""
    out = tmp_path / "run.jsonl"
    assert main([*GAME, "--users", MIX, "--episodes", "6", "--out", str(out)]) in (0, 1)
    capsys.readouterr()
    return out


def test_run__tells_how_faithful_voices_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each voice alone, below the summary; the same in the JSON, and again from the file."""
    out = tmp_path / "run.jsonl"
    assert main([*GAME, "--users", "concise@fake:voice", "--episodes", "3", "--out", str(out)]) == 0
    shown = capsys.readouterr().out
    assert "concise@fake:voice against the script · " in shown
    assert "reads as the script's very move" in shown
    assert main([*GAME, "--users", "concise@fake:voice", "--episodes", "3", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["fidelity"]["concise@fake:voice"]
    assert told["same_move"]["share"] == 1.0
    assert told == fidelity(load_episodes(out), parallel_env("assist_text", questions=2)).as_dict()
    assert main(["gauges", str(out), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["fidelity"] == {"concise@fake:voice": told}
    assert main(["replay", str(out), "--summary"]) == 0
    assert "concise@fake:voice against the script · " in capsys.readouterr().out


def test_run__tells_nothing_of_voices_where_nobody_has_one(capsys: pytest.CaptureFixture[str]) -> None:
    """Scripted users are their own script."""
    assert main([*GAME, "--episodes", "2"]) == 0
    assert "against the script" not in capsys.readouterr().out
    assert main([*GAME, "--episodes", "2", "--json"]) == 0
    assert "fidelity" not in json.loads(capsys.readouterr().out)


def test_gauges_command__keeps_voices_apart(recorded: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A voice that always leaves reads as the script nowhere near as often as one that says what it is told to."""
    assert main(["gauges", str(recorded), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["fidelity"]
    assert set(found) == {"concise@fake:voice", "detailed@fake:scripted"}
    assert found["concise@fake:voice"]["same_move"]["share"] == 1.0
    assert found["detailed@fake:scripted"]["same_move"]["share"] < 0.5
    assert main(["gauges", str(recorded)]) == 0
    shown = capsys.readouterr().out
    assert [line.partition(" ")[0] for line in shown.splitlines() if "against the script" in line] == list(found)
    assert "chains" not in shown


def test_voices__say_why_some_are_not_known(recorded: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A game that is not registered is not imported; a record that lacks what has to be there is no crash."""
    first, second, *others = load_episodes(recorded)
    first.scenario = "my.module:game"
    for step in second.steps:
        step.user.model.get("voice", {}).pop("twin_move", None)
    file = recorded.with_name("odd.jsonl")
    with EpisodeWriter(file) as writer:
        for episode in (first, second, *others):
            writer.write(episode)
    assert main(["gauges", str(file)]) == 0
    told = capsys.readouterr().err
    assert "the voices of 1 episode could not be held against the script: scenario 'my.module:game'" in told
    assert "could not be held against the script: KeyError: 'twin_move'" in told


def test_voices__rebuild_each_game_once(recorded: Path) -> None:
    """However many episodes there are of it."""
    env, asked = parallel_env("assist_text", questions=2), list[int]()
    voices = Voices(lambda episode: asked.append(episode.seed) or env)  # type: ignore[func-returns-value]
    for episode in load_episodes(recorded):
        voices.add(episode)
    assert (len(asked), len(voices.results())) == (1, 2)


def test_fidelity_meter__refuses_a_game_by_moves(recorded: Path) -> None:
    """Nobody speaks in it."""
    with pytest.raises(UsageError, match="text view"):
        FidelityMeter().add(load_episodes(recorded)[0], parallel_env("assist"))


@pytest.mark.parametrize(
    ("spec", "parts"),
    [
        (MIX, {"concise@fake:voice": 1.0, "detailed@fake:scripted=No, thanks.": 1.0}),
        ("concise@fake:scripted=Hi, there,detailed=2", {"concise@fake:scripted=Hi, there": 1.0, "detailed": 2.0}),
        (
            "concise@fake:scripted=A, b|C, d,hurried@fake:voice",
            ["concise@fake:scripted=A, b|C, d", "hurried@fake:voice"],
        ),
        ("concise@fake:scripted=Hi,random", ["concise@fake:scripted=Hi", "random"]),
    ],
)
def test_shares__leave_commas_to_a_scripted_voice(spec: str, parts: dict[str, float] | list[str]) -> None:
    """What it says ends where a persona is named."""
    found = shares(spec)
    assert (found if isinstance(parts, dict) else list(found)) == parts


def test_population__still_says_which_persona_is_unknown() -> None:
    """Behind any other persona a wrong name is a wrong name."""
    with pytest.raises(UsageError, match="'there'"):
        population("concise@fake:voice,there")
