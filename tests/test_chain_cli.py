"""Chains on the command line and in replays."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest

from gtalign_env.cli import main
from gtalign_env.cli.chain_options import seatings
from gtalign_env.episode import load_episodes
from gtalign_env.replay.chain import chain_lines

TEXT = ["run", "gtalign/AssistText-v0", "--option", "questions=1", "--episodes", "1"]


def test_run__plays_every_way_of_reasoning_with_one_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--chain is repeatable: the same episodes with our solver, with the model's own analysis, and without a chain."""
    out = tmp_path / "run.jsonl"
    options = ["--chain", "solver", "--chain", "none", "--criterion", "nash", "--moves", "paper", "--max-tokens", "5"]
    assert main([*TEXT, "--assistant", "fake:chain", *options, "--out", str(out)]) == 0
    assert "fake:chain+solver/nash" in capsys.readouterr().out
    solved, plain = load_episodes(out)
    assert [episode.players["assistant_0"] for episode in (solved, plain)] == [
        "fake:chain+solver/nash",
        "fake:chain+none",
    ]
    assert solved.seed == plain.seed
    call = solved.steps[0].assistant.model
    assert call["chain"]["matrix"]["assistant_moves"] == ["DA", "AQ", "CQ"]
    assert call["chain"]["tokens"]["response"] == 5


def test_run__takes_every_setting(tmp_path: Path) -> None:
    """--chain-option reaches the settings and the budget; chain: in front of a spec is --chain solver."""
    out = tmp_path / "run.jsonl"
    options = ["--chain-option", "on_failure=plain", "--chain-option", "retries=0", "--chain-option", "thinking=3"]
    assert main([*TEXT, "--assistant", "chain:fake:chain", *options, "--out", str(out)]) == 0
    (episode,) = load_episodes(out)
    assert episode.players["assistant_0"] == "fake:chain+solver"
    assert episode.steps[0].assistant.model["chain"]["tokens"]["thinking"] == 3


def test_run__plays_matrix_games_with_a_chain(tmp_path: Path) -> None:
    """A model with a chain plays the paper's game; without one it is sent to the text view."""
    out = tmp_path / "run.jsonl"
    game = ["run", "gtalign/Matrix-v0", "--episodes", "1", "--assistant", "fake:chain"]
    assert main([*game, "--chain", "solver", "--out", str(out)]) == 0
    (episode,) = load_episodes(out)
    assert episode.ended != "error"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--chain", "solver"], "--chain is for models: expected e.g. --assistant transformers:PATH --chain solver"),
        (["--criterion", "nash"], "--criterion, --moves and --chain-option go with --chain"),
        (["--assistant", "fake:chain", "--moves", "paper"], "go with --chain"),
        (["--assistant", "fake:chain", "--chain", "self", "--criterion", "nosh"], "did you mean 'nash'"),
        (["--assistant", "transformers:none", "--chain", "self", "--criterion", "nosh"], "did you mean 'nash'"),
        (
            ["--assistant", "fake:chain", "--chain", "self", "--chain-option", "x=1"],
            "expected some of constrained, strict,",
        ),
        (["--assistant", "fake:chain", "--chain-option", "thinkin=3"], "got 'thinkin'; did you mean 'thinking'?"),
        (
            ["--assistant", "fake:chain", "--chain-option", "moves=paper"],
            "--chain-option moves: expected --moves for that",
        ),
        (["--assistant", "fake:chain", "--chain", "self", "--chain-option", "thinking=0"], "chain budget thinking"),
    ],
)
def test_run__refuses_in_a_sentence(options: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What makes no sense is refused before a model is loaded."""
    assert main([*TEXT, *options]) == 2
    assert message in capsys.readouterr().err


def test_seatings__seats_a_model_once_for_every_way() -> None:
    """A script among the assistants has no chain; a way that was named twice counts once."""
    args = argparse.Namespace(chain=["self", "self", "none"], criterion=None, moves=None, chain_option=[])
    assert seatings(["heuristic", "fake:chain"], args) == [
        ("heuristic", None),
        ("fake:chain", {"mode": "self"}),
        ("fake:chain", {"mode": "none"}),
    ]


CHAIN = {
    "mode": "solver",
    "criterion": "nash",
    "blocks": {"thinking": "long \x1b[31mthought " * 30},
    "matrix": {"user": [[1, 2]], "assistant": [[3, -4.5]], "user_moves": ["VQ"], "assistant_moves": ["DA", "CQ"]},
    "announced": "DA",
}


def test_chain_lines__are_folded_and_safe() -> None:
    """Reasons are cut, cells counted; escape codes of a model never reach the terminal."""
    thinks, states, announces = (line.plain for line in chain_lines(CHAIN))
    assert thinks.startswith("thinks: long thought long thought")
    assert thinks.endswith("…")
    assert len(thinks) < 180
    assert "\x1b" not in thinks
    assert (states, announces) == ("states 1×2 payoffs", "announces DA by nash")


def test_chain_lines__in_full_show_every_cell() -> None:
    """With --full, reasons and payoffs stand there whole; steering, failures and a fallback are said."""
    chain = {
        **CHAIN,
        "steered": CHAIN["matrix"],
        "failures": [{"kind": "bad_json", "message": "no JSON"}],
        "fallback": "plain",
    }
    lines = [line.plain for line in chain_lines(chain, full=True)]
    assert len(lines[0]) > 300
    assert lines[1:] == [
        "states (user/assistant): VQ|DA 1/3, VQ|CQ 2/-4.5, then priced in",
        "announces DA by nash",
        "! chain: no JSON",
        "! no chain could be used: a plain reply",
    ]
    assert chain_lines({**CHAIN, "mode": "self"})[-1].plain == "announces DA by itself"
    assert chain_lines({"mode": "none"}) == []
    assert chain_lines(None) == []
    assert chain_lines({"mode": "self", "failures": ["odd"], "blocks": 3}) == []


def test_replay__shows_the_chain(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A recorded chain stands under the reply that it led to."""
    out = tmp_path / "run.jsonl"
    main([*TEXT, "--assistant", "chain:fake:chain", "--moves", "paper", "--out", str(out)])
    capsys.readouterr()
    assert main(["replay", str(out), "--step", "1", "--no-color"]) == 0
    shown = capsys.readouterr().out
    assert "thinks: The question has several readings" in shown
    assert "states 2×3 payoffs" in shown
    assert json.loads(out.read_text(encoding="utf-8").splitlines()[0])["steps"][0]["assistant"]["model"]["chain"]
