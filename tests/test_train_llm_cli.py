"""``gtalign train llm`` on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from tiny_llama import save_tiny

from gtalign_env.cli import main
from gtalign_env.cli.train_screen import line, screen

TINY = [
    *("--chain", "none", "--tasks", "authored", "--eval-tasks", "authored", "--option", "questions=1"),
    *("--groups", "1", "--group-size", "2", "--set", "eval_episodes=2", "--set", "response=6", "--set", "games=2"),
]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny model."""
    return save_tiny(tmp_path_factory.mktemp("models") / "tiny", max_position_embeddings=4096)


def test_train_llm__writes_a_run_and_goes_on_with_it(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A run in a pipe says each iteration in a line, ends with the command that plays its model, and may become longer."""
    out = tmp_path / "run"
    command = ["train", "llm", "--model", str(model), *TINY, "--iterations", "1", "--out", str(out)]
    assert main(command) == 0
    said = capsys.readouterr()
    assert "1/1 iterations  U " in said.err
    assert f"--assistant transformers:{out}/model --chain none --temperature 1" in said.out
    assert main(["train", "llm", "--resume", str(out), "--iterations", "2", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["update"] == found["config"]["iterations"] == 2
    assert main(["replay", str(out / "samples" / "000000.jsonl"), "--verify"]) == 0
    capsys.readouterr()
    assert main(command) == 2
    assert "holds a run already: go on with --resume" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--set", "speed=9"], "there is no setting 'speed'"),
        (["--resume", "x", "--groups", "2"], "--groups: a run goes on by its own settings"),
        (["--log", "tensorboard"], "--log: expected --out FOLDER"),
        (["--resume", "no/such/run"], "expected the folder of a run of 'gtalign train llm'"),
        (["--model", "no/such/model"], "there is no model at 'no/such/model'"),
        (["--objective", "happiness"], "happiness"),
    ],
)
def test_train_llm__refuses(words: list[str], complaint: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Wrong usage is said in words."""
    assert main(["train", "llm", *words]) in (1, 2)
    assert complaint in capsys.readouterr().err


def test_line__says_what_went_wrong() -> None:
    """Dropped groups with their causes, violations, and groups without a signal, by party."""
    figures = {
        "update": 3,
        "user": 1.0,
        "assistant": 0.5,
        "welfare": 0.7,
        "games": 8,
        "seconds": 30.0,
        "dropped": 1,
        "errors": {"ModelError": 2},
        "violations": 4,
        "signal": {"user": 0.25, "assistant": 1.0},
    }
    said = line(figures, 10)
    assert "1 groups dropped (2 × ModelError)" in said
    assert "4 violations" in said
    assert "returns differ for user in 25% of the groups only" in said


def test_screen__shows_both_payoffs_and_habits(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal the screen has both sides' curves, the moves by persona and the health of the chains."""
    import io

    from rich.console import Console

    from gtalign_env.cli import train_screen
    from gtalign_env.training.llm.config import LLMConfig

    stream = io.StringIO()
    console = Console(file=stream, width=120, force_terminal=True, color_system=None)
    monkeypatch.setattr(train_screen, "make_console", lambda stderr: console)
    monkeypatch.setattr("sys.stderr", type("Terminal", (io.StringIO,), {"isatty": lambda self: True})())
    habits = {
        "concise": {"episodes": 4, "user": 1.0, "assistant": 0.5, "turns": 2.0, "tokens": 31.0, "moves": {"CQ": 1.0}}
    }
    with screen(LLMConfig(iterations=2)) as show:
        for number in (1, 2):
            show(
                {
                    "update": number,
                    "user": float(number),
                    "assistant": 0.5,
                    "welfare": 0.7,
                    "seconds": 9.0,
                    "habits": habits,
                    "gauges": {"valid": 1.0, "kept": 0.9, "distinct": 7, "matrices": 8, "tokens": {"thinking": 4.0}},
                }
            )
    shown = stream.getvalue()
    for word in (
        "user U",
        "▁█",
        "assistant L",
        "concise",
        "CQ",
        "100%",
        "chains valid 100%",
        "7 different matrices of 8",
    ):
        assert word in shown
