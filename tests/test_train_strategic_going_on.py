"""Runs that stop and go on: Ctrl-C, more steps than were asked for at first, games of one's own, and games that are cut off."""

# ruff: noqa: E402 - without PyTorch there is nothing to import

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from gtalign_env.agents.assistants.trained_history import History
from gtalign_env.cli import main
from gtalign_env.cli.train import step_count
from gtalign_env.cli.train_run import stoppable
from gtalign_env.errors import UsageError
from gtalign_env.training.strategic import Config, Run
from gtalign_env.training.strategic.people import MadeUp
from gtalign_env.training.strategic.ppo import Learner
from gtalign_env.training.strategic.rollout import Arena
from gtalign_env.types import ASSISTANT

GAME = ["--option", "questions=1", "--users", "concise,detailed", "--games", "32", "--yardstick", "off"]
QUICK = [*GAME, "--set", "width=8", "--set", "epochs=1", "--set", "minibatches=1", "--set", "evaluate_episodes=32"]


def small(**changes: Any) -> Config:
    """Return the settings of a run of four updates, which can be made longer."""
    settings: dict[str, Any] = {
        "options": {"questions": 1},
        "users": "concise,detailed",
        "games": 32,
        "horizon": 4,
        "minibatches": 2,
        "epochs": 1,
        "width": 8,
        "steps": 32 * 4 * 4,
        "evaluate_episodes": 32,
        "evaluate_every": 2,
        "schedule": "constant",
    }
    return Config(**{**settings, **changes})


def saved(folder: Path) -> dict[str, bytes]:
    """Return the weights in a run's ``policy.pt`` as bytes."""
    players = torch.load(folder / "policy.pt", weights_only=True)["players"]
    return {
        f"{agent}.{name}": weights.numpy().tobytes()
        for agent, player in players.items()
        for name, weights in player["weights"].items()
    }


def train(*arguments: str) -> int:
    """Run the verb."""
    return main(["train", "strategic", *arguments])


# -- stopping -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)], ids=lambda number: number.name
)
def test_train__stopped_by_a_signal_it_goes_on_to_equal_weights(
    tmp_path: Path, number: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """A checkpoint at the next update, how to go on, code 130; and then the same bits as a run that nobody stopped."""
    stopped, whole = tmp_path / "stopped", tmp_path / "whole"
    command = [*QUICK, "--steps", "60k", "--set", "checkpoint_every=0", "--set", "evaluate_every=0"]
    child = subprocess.Popen(
        [sys.executable, "-m", "gtalign_env", "train", "strategic", *command, "--out", str(stopped)],
        stderr=subprocess.PIPE,
        text=True,
    )
    metrics = stopped / "metrics.jsonl"
    while child.poll() is None and not (metrics.exists() and len(metrics.read_text().splitlines()) > 3):
        time.sleep(0.01)
    os.kill(child.pid, number)
    _, told = child.communicate(timeout=60)
    assert child.returncode == 130, told
    done = json.loads(metrics.read_text().splitlines()[-1])["update"]
    assert f"stopped after update {done} of 235; go on with: gtalign train strategic --resume {stopped}" in told
    assert [path.name for path in (stopped / "checkpoints").iterdir()] == [f"{done:08d}.ckpt"]
    assert train("--resume", str(stopped)) == 0
    assert train(*command, "--out", str(whole)) == 0
    assert saved(stopped) == saved(whole)
    updates = [json.loads(line)["update"] for line in metrics.read_text().splitlines()[1:]]
    assert updates == list(range(1, 236))


def test_stoppable__the_second_signal_does_not_wait() -> None:
    """The first is noted, the second ends the block; handlers are as before."""
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), stoppable() as asked:  # noqa: PT012 - the block is what is tested
        assert not asked()
        signal.raise_signal(signal.SIGTERM)
        assert asked()
        signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_train__without_a_folder_says_that_nothing_is_kept(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Code 130, and no results on standard output."""
    advance = Run.advance

    def interrupted(run: Run) -> dict[str, Any]:
        signal.raise_signal(signal.SIGINT)
        return advance(run)

    monkeypatch.setattr(Run, "advance", interrupted)
    assert train(*QUICK, "--steps", "10k") == 130
    told = capsys.readouterr()
    assert told.out == ""
    assert "stopped after update 1 of 40; nothing is kept without --out" in told.err


# -- longer -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("changes", [{}, {"learn": "both", "opponent": "pool", "snapshot_every": 2}], ids=str)
def test_resume__a_longer_run_is_as_if_it_had_been_long_from_the_start(tmp_path: Path, changes: dict[str, Any]) -> None:
    """Bit-equal weights, and a record of one long run."""
    Run(small(**changes), tmp_path / "run").train()
    more = Run.resume(tmp_path / "run", steps=32 * 4 * 7)
    assert more.update == 4
    more.train()
    Run(small(**changes, steps=32 * 4 * 7), tmp_path / "whole").train()
    assert saved(tmp_path / "run") == saved(tmp_path / "whole")
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [line["update"] for line in lines[1:]] == [1, 2, 3, 4, 5, 6, 7]
    kept = json.loads((tmp_path / "run" / "config.json").read_text())["config"]
    assert kept["steps"] == lines[0]["config"]["steps"] == 32 * 4 * 7
    assert Run.resume(tmp_path / "run").update == 7


def test_resume__refuses_what_would_not_be_exact(tmp_path: Path) -> None:
    """Schedules that end with the run, and fewer steps; the record stays as it was."""
    Run(small(schedule="linear"), tmp_path).train(until=1)
    before = (tmp_path / "config.json").read_bytes()
    with pytest.raises(UsageError, match=r"learning rate and its bonus for entropy fall to 0.*schedule=constant"):
        Run.resume(tmp_path, steps=10_000)
    with pytest.raises(UsageError, match="more than the run's 512"):
        Run.resume(tmp_path, steps=512)
    assert (tmp_path / "config.json").read_bytes() == before


def test_schedule__constant_keeps_the_learning_rate(tmp_path: Path) -> None:
    """Linear ones fall: after three of four updates a quarter is left."""
    found = {}
    for schedule in ("constant", "linear"):
        run = Run(small(schedule=schedule, learning_rate=0.01))
        for _ in range(4):
            run.advance()
        found[schedule] = run.learners[ASSISTANT].optimizer.param_groups[0]["lr"]
    assert found == {"constant": 0.01, "linear": pytest.approx(0.0025)}


def test_train__makes_a_run_longer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """From the command line, with the number written as people do."""
    assert train(*QUICK, "--steps", "512", "--set", "schedule=constant", "--out", str(tmp_path)) == 0
    capsys.readouterr()
    assert train("--resume", str(tmp_path), "--steps", "1k", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["steps"], found["config"]["steps"]) == (1024, 1000)
    assert found["wall_seconds"] >= 0.0


@pytest.mark.parametrize("text", ["", "k", "-3", "0", "1.5", "two", "1e400", "nan"])
def test_step_count__refuses_what_is_no_number_of_steps(text: str) -> None:
    """In a sentence."""
    import argparse

    with pytest.raises(argparse.ArgumentTypeError, match="400k"):
        step_count(text)


# -- games of one's own -------------------------------------------------------------------------------------------------


def test_resume__wants_the_games_that_the_folder_does_not_hold(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The record names them; without them a sentence, with them the same bits."""
    people = MadeUp(options={"questions": 1}, people=3, seed=1)
    Run(small(), tmp_path / "run", make_env=people).train(until=2)
    record = json.loads((tmp_path / "run" / "config.json").read_text())
    assert record["games"].startswith("MadeUp('gtalign/Assist-v0', options={'questions': 1}")
    assert record["yardstick"]["unknown"] == "own_games"
    assert train("--resume", str(tmp_path / "run")) == 2
    assert "this run plays games of its own (MadeUp(" in capsys.readouterr().err
    Run.resume(tmp_path / "run", make_env=people).train()
    Run(small(), tmp_path / "whole", make_env=people).train()
    assert saved(tmp_path / "run") == saved(tmp_path / "whole")


# -- games that are cut off ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["history", "recurrent"])
def test_receive__a_game_that_is_cut_off_goes_on_in_value(form: str) -> None:
    """What was to come is the value of what was seen last, as a twin without a time limit goes on to see it."""
    settings: dict[str, Any] = {"games": 64, "input": form}
    cut, whole = (Arena(small(**settings, options={"questions": 2, **limit})) for limit in ({"max_cycles": 1}, {}))
    for arena in (cut, whole):
        arena.reset(0)
    learner = Learner(small(**settings), cut, ASSISTANT)
    learner.begin()
    moves = learner.act(0, cut, np.random.default_rng(0))
    first, memory = cut.seen(ASSISTANT)[0], learner.memory
    for arena in (cut, whole):
        arena.step({ASSISTANT: moves})
    learner.receive(0, cut)
    assert cut.cut.any()
    assert np.array_equal(cut.cut, ~whole.ended)
    history = History(cut.scenario.layout, "assistant", form, 64)
    history.see(first)
    seen, legal = whole.seen(ASSISTANT)
    fed, starts = torch.from_numpy(history.see(seen))[None], torch.zeros(1, 64)
    with torch.no_grad():
        _, shown, _ = learner.net(fed, torch.from_numpy(legal)[None], memory, starts)
        values = learner.net.values(shown, torch.from_numpy(whole.hidden(ASSISTANT))[None])[0].numpy()
    assert learner.beyond[0, cut.cut] == pytest.approx(values[cut.cut], abs=1e-6)
    assert not learner.beyond[0, ~cut.cut].any()
    learner.values[1] = 1e6  # of the next episode
    gained = learner.rewards[0] + learner.beyond[0] - learner.values[0]
    assert learner.advantages()[0, cut.cut] == pytest.approx(gained[cut.cut])


def test_receive__esr_pays_for_whole_sessions_only() -> None:
    """The welfare of a session that is cut off is not known yet."""
    settings = small(aggregation="esr", options={"questions": 2, "max_cycles": 1})
    arena = Arena(settings)
    arena.reset(0)
    learner = Learner(settings, arena, ASSISTANT)
    learner.begin()
    arena.step({ASSISTANT: learner.act(0, arena, np.random.default_rng(0))})
    learner.receive(0, arena)
    assert arena.cut.any()
    assert not learner.rewards[0, arena.cut].any()
    assert learner.beyond[0, arena.cut].any()


def test_run__with_a_time_limit_trains_both_chairs() -> None:
    """Where both learn, each is told what it saw last."""
    run = Run(small(learn="both", opponent="self", options={"questions": 2, "max_cycles": 2}))
    found = run.train()
    assert all(np.isfinite(value) for value in found["evaluation"].values())
