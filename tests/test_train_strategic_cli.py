"""``gtalign train strategic``: a run, its record, going on, comparing, and errors for people."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

from gtalign_env.cli import main
from gtalign_env.errors import MissingExtraError, UnknownNameError
from gtalign_env.training.strategic.compare import split_objectives
from gtalign_env.training.strategic.log import MetricsFile, make_tracker

QUICK = [
    "--option",
    "questions=1",
    "--users",
    "concise,detailed",
    "--pricing",
    "per_token",
    "--games",
    "64",
    "--steps",
    "1024",
]
QUICK += ["--set", "evaluate_episodes=64"]


def train(*arguments: str) -> int:
    """Run the verb."""
    return main(["train", "strategic", *arguments])


def test_train__writes_a_run_that_plays(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A run's folder has its four parts, and ``gtalign run`` plays the policy."""
    folder = tmp_path / "run"
    assert train(*QUICK, "--out", str(folder), "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["steps"] == 1024
    assert 0.0 < found["yardstick"]["optimum"] < 1.0
    config = json.loads((folder / "config.json").read_text())
    assert config["command"][:3] == ["gtalign", "train", "strategic"]
    assert config["config"]["games"] == 64
    assert config["yardstick"] == found["yardstick"]
    assert "torch" in config["versions"]
    assert {path.name for path in folder.iterdir()} == {"config.json", "metrics.jsonl", "checkpoints", "policy.pt"}
    assert (
        main(
            [
                "run",
                "gtalign/Assist-v0",
                "--option",
                "questions=1",
                "--assistant",
                f"trained:{folder}",
                "--episodes",
                "2",
            ]
        )
        == 0
    )
    capsys.readouterr()
    assert train(*QUICK, "--out", str(folder)) == 2
    assert "holds a run already" in capsys.readouterr().err


def test_train__resumes_by_its_own_settings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A finished run that is resumed says its figures again; other settings are refused."""
    assert train(*QUICK, "--out", str(tmp_path), "--yardstick", "off") == 0
    capsys.readouterr()
    assert train("--resume", str(tmp_path)) == 0
    assert "likeliest moves" in capsys.readouterr().out
    assert train("--resume", str(tmp_path), "--steps", "5") == 2
    assert "expected more than the run's 1,024" in capsys.readouterr().err


def test_train__a_finished_run_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And both figures of time are of the call itself: nothing was played, so no seconds of play are told."""
    assert train(*QUICK, "--out", str(tmp_path), "--yardstick", "off") == 0
    assert "1,024 steps in " in capsys.readouterr().out
    assert train("--resume", str(tmp_path)) == 0
    told = capsys.readouterr()
    assert "finished already (2 of 2 updates): measured again" in told.err
    assert told.out.startswith("1,024 steps, none of them now; ")
    assert told.out.splitlines()[0].endswith(" s in all, with evaluations")


def test_train__ends_with_commands_that_play_its_own_game(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Both are taken as they stand, and neither finds that the game is another one."""
    folder = tmp_path / "a run"
    assert train(*QUICK, "--out", str(folder), "--yardstick", "off") == 0
    lines = capsys.readouterr().out.splitlines()
    play, judge = (next(line for line in lines if f"gtalign {verb}" in line) for verb in ("run", "eval"))
    for line, more in ((play, ["--episodes", "2"]), (judge, ["--episodes", "20", "--yardstick", "off"])):
        words = shlex.split(line.partition(": gtalign ")[2])
        assert {"questions=1", "concise,detailed", "per_token", f"trained:{folder}"} <= set(words)
        assert main([*words, *more]) == 0
        assert "was trained on" not in capsys.readouterr().err
    spec = f"trained:{folder}"
    assert main(["run", "gtalign/Assist-v0", "--assistant", spec, "--episodes", "1"]) == 0
    assert f"{spec} was trained on questions=1, and here it plays questions=4" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"learn": "user", "assistant": "fixed:CQ"}, ["--users", "trained:a", "--assistant", "fixed:CQ"]),
        ({"learn": "both", "opponent": "self"}, ["--users", "trained:a", "--assistant", "trained:a"]),
        ({"options": {"payoff": "3", "can_leave": False}}, ["--option", 'payoff="3"', "--option", "can_leave=false"]),
    ],
    ids=str,
)
def test_run_command__seats_who_learned(settings: dict[str, Any], words: list[str]) -> None:
    """In their own chair, opposite whom they learned with; options come back as the values that they were."""
    from gtalign_env.cli.trained_games import run_command
    from gtalign_env.training.strategic import Config

    made = shlex.split(run_command(Config(**settings), "trained:a"))
    assert made[-len(words) :] == words


def test_eval_command__names_the_scenario_where_it_is_another() -> None:
    """``gtalign eval`` takes it as an option."""
    from gtalign_env.cli.trained_games import eval_command
    from gtalign_env.training.strategic import Config

    made = eval_command(Config(scenario="mine.py:game"), "trained:a")
    assert made == "gtalign eval trained:a --scenario mine.py:game"


def test_train__refuses_a_folder_before_the_optimum(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder that cannot be made is known before anything is computed; nothing was there, and nothing else is said."""
    from gtalign_env.training.strategic import yardstick

    asked: list[Any] = []
    monkeypatch.setattr(yardstick, "yardstick", lambda *given: asked.append(given))
    (tmp_path / "file").write_text("")
    assert train(*QUICK, "--out", str(tmp_path / "file" / "run")) == 2
    told = capsys.readouterr().err
    assert f"--out {tmp_path}/file/run: the run cannot be written there (" in told
    assert "as it was" not in told
    assert asked == []


def test_train__compares_objectives(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """One row per objective with its interval; the JSON, and the same rows as a table."""
    from gtalign_env.training.strategic import compare

    made: list[Any] = []
    rows_of = compare.compare

    def kept(*given: Any) -> Any:
        made.append(rows_of(*given))
        return made[-1]

    monkeypatch.setattr(compare, "compare", kept)
    quick = [*QUICK, "--compare", "user_only,assistant_only", "--seeds", "2"]
    assert train(*quick, "--yardstick", "off", "--json") == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert [row["objective"] for row in rows] == ["user_only", "assistant_only"]
    assert all(row["interval"][0] <= row["welfare"] <= row["interval"][1] for row in rows)
    monkeypatch.setattr(compare, "compare", lambda *_: made[0])
    assert train(*quick) == 0
    shown = capsys.readouterr().out
    assert all(f"{row['welfare']:.4f}" in shown for row in rows)
    assert "of optimum" in shown


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--objective", "cob_douglas"], "did you mean 'cobb_douglas'"),
        (["--objective", "cobb"], "did you mean 'cobb_douglas'"),
        (["--set", "nonsense=1"], "no setting 'nonsense'"),
        (["--learn", "both", "--opponent", "population"], "self or pool"),
        (["--scenario", "gtalign/Asist-v0"], "gtalign/Assist-v0"),
        (["--scenario", "gtalign/AssistText-v0"], "game of moves"),
        (["--users", "concize"], "concise"),
        (["--log", "tensorboard"], "--out"),
        (["--compare", "cobb_douglas,cobb_douglas"], "different objectives"),
        (["--resume", "no/such/run"], "is missing"),
        (["--resume", "no/such/run", "--seed", "3"], "--seed: a run goes on by its own settings"),
        (["--resume", "no/such/run", "--set", "width=4"], "--set: a run goes on by its own settings"),
        (["--seeds", "3"], "--compare"),
        (["--compare", "user_only", "--seed", "3"], "--seeds N"),
        (["--compare", "user_only", "--learn", "user"], "does not learn"),
        (["--learn", "both", "--users", "concise"], "--option users"),
        (["--learn", "user", "--users", "concise"], "--option users"),
        (["--learn", "both", "--assistant", "heuristic"], "both chairs learn"),
        (["--assistant", "heuristic"], "--learn user"),
        (["--user-objective", "user_only"], "--learn user"),
        (["--learn", "user", "--safety", "penalty"], "does not learn"),
    ],
    ids=str,
)
def test_train__errors_are_sentences(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Wrong usage ends with 2 and one sentence."""
    assert train(*([] if "--resume" in arguments else ["--steps", "64"]), *arguments) == 2
    assert words in capsys.readouterr().err


def test_split_objectives__keeps_settings_together() -> None:
    """A comma before ``key=value`` belongs to the objective before it."""
    assert split_objectives("linear:0.2,nash_bargaining:d_user=1,d_assistant=2") == [
        "linear:0.2",
        "nash_bargaining:d_user=1,d_assistant=2",
    ]


def test_metrics_file__drops_what_a_checkpoint_does_not_know(tmp_path: Path) -> None:
    """Lines of later updates and a line that was cut short go; the header is the run's. Numbers that are none become null."""
    path = tmp_path / "metrics.jsonl"
    file = MetricsFile(path, {"config": {}})
    for update in (1, 2, 3):
        file.write({"update": update, "loss": float("nan")})
    file.close()
    path.write_text(path.read_text() + '{"upd')
    MetricsFile(path, {"config": "new"}, update=2).close()
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert lines == [{"config": "new"}, {"update": 1, "loss": None}, {"update": 2, "loss": None}]


def on_a_full_disk(body: str, path: Path) -> str:
    """Run a few lines in a process whose files may not grow beyond 100 bytes; return the class and the words of the error."""
    code = f"""
import resource, signal, sys
from pathlib import Path
from gtalign_env.training.strategic.log import MetricsFile
path = Path(sys.argv[1])
def fill():
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
try:
{textwrap.indent(body, "    ")}
except Exception as error:
    print(type(error).__name__, error)
"""
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout.strip()


def test_metrics_file__a_full_disk_leaves_the_old_one(tmp_path: Path) -> None:
    """Whoever goes on where the disk is full is told so, by the file's name, and the file is as it was."""
    pytest.importorskip("resource")
    path = tmp_path / "metrics.jsonl"
    file = MetricsFile(path, {"config": "x" * 80})
    for update in (1, 2, 3):
        file.write({"update": update})
    file.close()
    before = path.read_bytes()
    told = on_a_full_disk("fill(); MetricsFile(path, {'config': 'y' * 120}, update=2)", path)
    assert told.startswith(f"CheckpointError {path}: could not be written (")
    assert told.endswith("what was there before is as it was")
    assert path.read_bytes() == before
    assert [one.name for one in tmp_path.iterdir()] == [path.name]


def test_metrics_file__a_line_too_many_names_the_file(tmp_path: Path) -> None:
    """A disk that fills up during a run: the lines before can be read, and going on drops what was cut short."""
    pytest.importorskip("resource")
    path = tmp_path / "metrics.jsonl"
    body = """
file = MetricsFile(path, {"config": {}})
file.write({"update": 1})
fill()
try:
    file.write({"update": 2, "words": "é" * 80})
finally:
    file.close()
"""
    told = on_a_full_disk(body, path)
    assert told.startswith(f"CheckpointError {path}: no line could be added (")
    assert path.stat().st_size == 100
    MetricsFile(path, {"config": {}}, update=2).close()
    assert [json.loads(line) for line in path.read_text().splitlines()] == [{"config": {}}, {"update": 1}]


def test_make_tracker__says_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tracker that is not installed names its extra; an unknown one is refused."""
    from gtalign_env.training.strategic import log

    def missing(module: str, *, feature: str, extra: str) -> Any:
        raise MissingExtraError(feature, module, extra)

    monkeypatch.setattr(log, "require", missing)
    for name in ("tensorboard", "wandb", "trackio"):
        with pytest.raises(MissingExtraError, match=name):
            make_tracker(name, tmp_path, {})
    with pytest.raises(UnknownNameError, match="tensorboard"):
        make_tracker("tensorbord", tmp_path, {})


def test_make_tracker__hands_figures_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tracker with W&B's three functions gets settings, figures by step, and its end."""
    import types

    from gtalign_env.training.strategic import log

    heard: list[Any] = []
    fake = types.SimpleNamespace(
        init=lambda **settings: heard.append(settings["config"]),
        log=lambda figures, step: heard.append((step, figures)),
        finish=lambda: heard.append("end"),
    )
    monkeypatch.setattr(log, "require", lambda *_, **__: fake)
    tracker = make_tracker("wandb", tmp_path, {"seed": 1})
    tracker.log(5, {"user": 1.0})
    tracker.close()
    assert heard == [{"seed": 1}, (5, {"user": 1.0}), "end"]


def test_run__sends_its_figures_to_tensorboard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings as text, then every update's figures by path and step; the writer is closed at the end."""
    import sys
    import types

    from gtalign_env.training.strategic import Config, Run, log

    heard: list[Any] = []

    class Writer:
        def __init__(self, folder: str) -> None:
            assert folder == str(tmp_path / "tensorboard")

        def add_text(self, name: str, text: str) -> None:
            heard.append((name, json.loads(text)["seed"]))

        def add_scalar(self, name: str, value: float, step: int) -> None:
            heard.append((name, step))

        def close(self) -> None:
            heard.append("end")

    monkeypatch.setattr(log, "require", lambda *_, **__: None)
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", types.SimpleNamespace(SummaryWriter=Writer))
    settings: dict[str, Any] = {"options": {"questions": 1}, "games": 16, "horizon": 2, "steps": 64}
    config = Config(**settings, evaluate_episodes=16, seed=9)
    Run(config, trackers=[make_tracker("tensorboard", tmp_path, config.as_dict())]).train()
    assert heard[0] == ("config", 9)
    assert heard[-1] == "end"
    assert [step for name, step in heard[1:-1] if name == "learning/assistant_0/entropy"] == [32, 64]


def test_run__without_a_folder_saves_nothing() -> None:
    """That is said."""
    from gtalign_env.errors import UsageError
    from gtalign_env.training.strategic import Config, Run

    with pytest.raises(UsageError, match="no folder"):
        Run(Config(options={"questions": 1}, games=16, horizon=2, steps=64)).save()
