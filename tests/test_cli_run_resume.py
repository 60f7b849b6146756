"""``gtalign run``: many games at once, and going on where a run was stopped."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from gtalign_env.cli import main
from gtalign_env.episode import Episode, SideRecord, StepRecord, load_episodes
from gtalign_env.play import episode_seeds

SLOW = f"{__file__}:Slow"


class Slow:
    """A model that takes its time, so that a run can be stopped in its middle; the time is in the environment."""

    name = "slow"

    def __init__(self) -> None:
        self.backend: Any = _SlowEngine()

    def reset(self, seed: int) -> None:
        """Begin."""

    def act(self, observation: Any, info: Any) -> str:
        """Say what the engine says."""
        from gtalign_env.protocols import Sampling

        return str(self.backend.generate([info["messages"]], Sampling())[0].text)


class _SlowEngine:
    """An engine that sleeps, and is interrupted in one of its calls."""

    name = "slow"

    def __init__(self) -> None:
        self.calls = 0

    def generate(self, conversations: Any, sampling: Any) -> Any:
        """Answer, late."""
        from gtalign_env.protocols import Generation

        self.calls += 1
        if self.calls == int(os.environ.get("INTERRUPTED_CALL", "0")):
            raise KeyboardInterrupt
        time.sleep(float(os.environ.get("SECONDS_PER_CALL", "0")))
        return [Generation(text="It is as you think.") for _ in conversations]

    def count_tokens(self, text: str) -> int:
        """Count words."""
        return len(text.split())


def run(*arguments: str) -> int:
    """Run short games in words."""
    return main(["run", "assist_text", "--option", "questions=1", *arguments])


def content(path: Path) -> dict[tuple[str, int], Any]:
    """Return what was played, by assistant and seed; twice the same is an error."""
    found = {}
    for episode in load_episodes(path):
        key = (episode.players["assistant_0"], episode.seed)
        assert key not in found
        found[key] = (
            episode.id,
            [(step.user.action, step.assistant.action) for step in episode.steps],
            episode.totals(),
        )
    return found


def test_run__many_games_at_once_are_the_same_games(tmp_path: Path) -> None:
    """However many are on the table, the file holds the same episodes under the same names."""
    files = {}
    for games in ("1", "3", "64"):
        out = files[games] = tmp_path / f"{games}.jsonl"
        assert run("--assistant", "fake:rules", "--episodes", "7", "--games", games, "--out", str(out)) == 0
    assert content(files["1"]) == content(files["3"]) == content(files["64"])
    assert [seed for _, seed in content(files["1"])] == episode_seeds(0, 7)


def test_run__plays_a_model_in_batches_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    """Models are played at once; scripts one by one, because nothing is gained."""
    sizes: list[int] = []

    def noting(*arguments: Any, games: int, **options: Any) -> Any:
        sizes.append(games)
        return itertools.chain()

    monkeypatch.setattr("gtalign_env.cli.run.play_batch", lambda *a, **o: (x for x in noting(*a, **o)))
    assert run("--assistant", "fake:rules", "--episodes", "2") == 0
    assert run("--assistant", "fake:rules", "--episodes", "2", "--games", "5") == 0
    assert run("--assistant", "heuristic", "--episodes", "2") == 0
    assert run("--assistant", "heuristic", "--users", "concise@fake:voice", "--episodes", "2") == 0
    assert sizes == [64, 5, 64]


@pytest.mark.parametrize("games", ["1", "4"])
def test_run__killed_in_its_middle_is_finished_by_resume(games: str, tmp_path: Path) -> None:
    """After ``kill -9`` nothing that was finished is lost, and nothing is played twice; the torn line is mended."""
    out = tmp_path / "run.jsonl"
    arguments = ["run", "assist_text", "--option", "questions=1", "--assistant", SLOW, "--episodes", "24"]
    arguments += ["--games", games, "--out", str(out), "--resume"]
    process = subprocess.Popen(
        [sys.executable, "-m", "gtalign_env", *arguments],
        env={**os.environ, "SECONDS_PER_CALL": "0.02"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 60.0
    while (not out.exists() or out.read_bytes().count(b"\n") < 3) and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept = out.read_bytes()
    finished = kept.count(b"\n")
    assert 3 <= finished < 24
    out.write_bytes(kept[: kept.rfind(b"\n") + 1] + kept[:40])  # as a kill in the middle of a line leaves it
    assert main(arguments) == 0
    assert out.read_bytes().startswith(kept[: kept.rfind(b"\n") + 1])
    whole = tmp_path / "whole.jsonl"
    assert main([*arguments[:-3], "--out", str(whole)]) == 0
    assert content(out) == content(whole)
    assert {seed for _, seed in content(out)} == set(episode_seeds(0, 24))


def test_run__resume_begins_and_ends_quietly(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a file the run begins; with all of it there is nothing to do, which is no failure."""
    out = tmp_path / "run.jsonl"
    assert run("--episodes", "3", "--out", str(out), "--resume") == 0
    before = out.read_bytes()
    capsys.readouterr()
    assert run("--episodes", "3", "--out", str(out), "--resume") == 0
    assert "nothing left to play" in capsys.readouterr().out
    assert out.read_bytes() == before
    assert run("--episodes", "5", "--out", str(out), "--resume") == 0
    assert [episode.seed for episode in load_episodes(out)] == episode_seeds(0, 5)


def test_run__resume_minds_who_plays(tmp_path: Path) -> None:
    """Each assistant's own missing episodes are played; other users, seeds and options make other episodes."""
    out = tmp_path / "run.jsonl"
    both = ["--assistant", "heuristic", "--assistant", "fixed:CQ", "--out", str(out), "--resume"]
    assert run("--assistant", "heuristic", "--episodes", "2", "--out", str(out)) == 0
    assert run(*both, "--episodes", "3") == 0
    seeds = episode_seeds(0, 3)
    assert set(content(out)) == {(name, seed) for name in ("heuristic", "fixed:CQ") for seed in seeds}
    held = len(load_episodes(out))
    assert run(*both, "--episodes", "3", "--users", "over_vague") == 0
    counts = Counter(episode.players["user_0"] for episode in load_episodes(out)[held:])
    assert counts == {"persona:over_vague": 6}
    assert len({episode.id for episode in load_episodes(out)}) == held + 6


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--resume"], "--resume goes with --out FILE"),
        (["--resume", "--append", "--out", "x.jsonl"], "expected only one of them"),
        (["--games", "0"], "expected a whole number >= 1"),
    ],
)
def test_run__resume_refuses_what_makes_no_sense(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One sentence, exit code 2, no file."""
    monkeypatch.chdir(tmp_path)
    assert run(*arguments) == 2
    assert said in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_run__ctrl_c_keeps_what_a_batch_has_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Finished episodes are in the file, the others are gone, and resume plays them."""
    out = tmp_path / "run.jsonl"
    arguments = ["--assistant", SLOW, "--episodes", "12", "--games", "3", "--out", str(out), "--resume"]
    monkeypatch.setenv("INTERRUPTED_CALL", "7")
    assert run(*arguments) == 130
    kept = len(load_episodes(out))
    assert 0 < kept < 12
    assert f"interrupted: {kept} finished episode" in capsys.readouterr().err
    monkeypatch.delenv("INTERRUPTED_CALL")
    assert run(*arguments) == 0
    assert len(content(out)) == 12


def test_run__progress_says_how_quickly_it_goes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Games and tokens per second, and errors once there are any."""
    from gtalign_env.cli.run import _Pace

    pace = _Pace()
    step = StepRecord(user=SideRecord(digest=""), assistant=SideRecord(digest="", model={"tokens": 500}))
    pace._started = time.monotonic() - 10.0
    pace.add(Episode(scenario="s", view="text", seed=0, steps=[step, step]))
    assert str(pace) == "0.1 games/s, 100 tokens/s"
    pace.add(Episode(scenario="s", view="text", seed=0, ended="error"))
    assert str(pace).endswith("tokens/s, 1 error")
    assert run("--assistant", "fake:rules", "--episodes", "2", "--json") == 0
    assert json.loads(capsys.readouterr().out)["episodes"] == 2
