"""``benchmarks/chain_validity.py``: what it counts, its intervals, and when it is content."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gtalign_env.agents.chain import make_moves
from gtalign_env.episode import load_episodes
from gtalign_env.games import Bimatrix

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def script() -> Any:
    """The benchmark's module."""
    spec = importlib.util.spec_from_file_location("chain_validity", ROOT / "benchmarks" / "chain_validity.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("hits", "n", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718), (0, 0, 0, 1)],
)
def test_wilson__is_the_published_interval(script: Any, hits: int, n: int, low: float, high: float) -> None:
    """Newcombe (1998), table I, method 3; and its mirror image."""
    assert script.wilson(hits, n) == pytest.approx((low, high), abs=5e-5)
    assert script.wilson(n - hits, n) == pytest.approx((1 - high, 1 - low), abs=5e-5)


@pytest.mark.parametrize("number", [5.01, -6.0, np.nan, np.inf])
def test_is_valid__wants_six_finite_payoffs_in_range(script: Any, number: float) -> None:
    """One number out of range is enough, and so are other moves, or no matrix."""
    moves = make_moves("paper")
    good = np.zeros((2, 3))
    assert script.is_valid(Bimatrix(good, good, moves.rows, moves.columns), moves)
    assert not script.is_valid(Bimatrix(good, good, moves.rows, moves.columns), make_moves("acts"))
    assert not script.is_valid(None, moves)
    if np.isfinite(number):  # a Bimatrix takes no other
        bad = good.copy()
        bad[1, 2] = number
        assert not script.is_valid(Bimatrix(good, bad, moves.rows, moves.columns), moves)


def test_chain_validity__plays_every_condition(script: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A model that is always in form is valid in all turns of all four conditions; records and figures are kept."""
    files = ["--json", str(tmp_path / "f.json"), "--records", str(tmp_path / "records")]
    assert script.main(["--assistant", "fake:chain", "--episodes", "2", "--questions", "1", *files]) == 0
    rows = json.loads((tmp_path / "f.json").read_text())["rows"]
    assert [row["condition"] for row in rows] == ["solver-held", "solver-free", "self-held", "self-free"]
    for row in rows:
        episodes = load_episodes(tmp_path / "records" / f"{row['condition']}.jsonl")
        replies = sum(step.to_move == "assistant_0" for episode in episodes for step in episode.steps)
        assert (row["finished"], row["turns"], row["valid"], row["used"]) == (2, replies, replies, replies)
        assert (row["rate"], row["failures"], row["wilson"][1]) == (1.0, {}, 1.0)
        assert row["tokens"] > 0
    assert "100.0%" in capsys.readouterr().out


def test_chain_validity__counts_failures_and_goes_on(script: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """A model that writes no blocks is invalid in every turn, by kind; its sessions end all the same, and the exit code tells."""
    asked = ["--assistant", "fake:scripted=Four.", "--episodes", "2", "--questions", "1", "--mode", "solver"]
    assert script.main(asked) == 1
    out = capsys.readouterr().out
    assert "0.0%" in out
    assert "2/2" in out
    assert "missing_block" in out or "bad_json" in out
    assert script.main([*asked, "--form", "free"]) == 0  # nothing is required of a model that is left alone
