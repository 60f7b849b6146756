"""The page on training and the benchmarks behind it: examples run, commands are commands, rows say what was measured."""

from __future__ import annotations

import doctest
import importlib.util
import re
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

from gtalign_env.cli import bench, train
from gtalign_env.cli import eval as eval_verb
from gtalign_env.cli.common import Parser
from gtalign_env.training.objectives import OBJECTIVES
from gtalign_env.training.strategic import Config
from gtalign_env.training.yardstick import Unknown

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs/training.md"


def test_docs__examples_of_the_page_on_training_run() -> None:
    """Every example gives what the page says."""
    found = doctest.testfile(str(PAGE), module_relative=False)
    assert found.attempted > 5
    assert found.failed == 0


def test_docs__commands_of_the_page_on_training_are_commands() -> None:
    """Each can be read by the program: no option is named that there is not."""
    commands = re.findall(r"gtalign (train|eval) ([^`\n]*)", PAGE.read_text(encoding="utf-8"))
    assert {verb for verb, _ in commands} == {"train", "eval"}
    assert len(commands) > 4
    for verb, command in commands:
        parser = Parser(prog="gtalign")
        verbs = parser.add_subparsers()
        for module in (train, eval_verb):
            module.add_parser(verbs)
        parser.parse_args([verb, *shlex.split(command)])  # ends the program where it cannot be read


def test_docs__the_page_on_training_names_every_reason_for_no_optimum() -> None:
    """In its table."""
    page = PAGE.read_text(encoding="utf-8")
    assert {reason.value for reason in Unknown if f"| `{reason.value}` |" not in page} == set()


def test_docs__the_page_on_training_names_every_objective() -> None:
    """In its table."""
    page = PAGE.read_text(encoding="utf-8")
    assert {name for name in OBJECTIVES if f"`{name}" not in page} == set()


def heldout() -> Any:
    """Return the script as a module."""
    spec = importlib.util.spec_from_file_location("gtalign_heldout", ROOT / "benchmarks/heldout.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # its dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def test_heldout__nothing_that_is_held_out_is_trained_on() -> None:
    """No price of the grid is one of those measured but ``subscription``, and the settings name no persona."""
    script = heldout()
    measured = {pricing for _, pricing in (*script.HELD_OUT, *script.FURTHER)}
    assert set(script.PRICES) & measured == {"subscription"}
    assert not [price for price in script.PRICES if price.startswith("freemium") or "0.0015" in price]
    assert "users" not in script.SETTINGS
    assert Config(**script.SETTINGS).learn == "assistant"


def test_heldout__intervals_over_seeds_are_students() -> None:
    """Two seeds at 0.9 and 1.0: mean 0.95, and t(0.975; 1) = 12.706 times 0.05 (their standard error); else over sessions."""
    script = heldout()
    known = {"users": "me", "pricing": "free", "optimum": 1.0, "knowing_the_mix": None, "violations": 0}
    two = script.Row(**known, shares=(0.9, 1.0), errors=(0.01, 0.01))
    assert (two.share, two.half) == pytest.approx((0.95, 12.706 * 0.05), abs=1e-3)
    one = script.Row(**known, shares=(0.9,), errors=(0.01,))
    assert one.half == pytest.approx(0.0196)
    assert "90.0% ± 2.0%" in script.show([one])


def rows(monkeypatch: pytest.MonkeyPatch, ours: Any, theirs: Any) -> list[dict[str, Any]]:
    """Return the rows of the benchmark where runs take these seconds."""
    module = bench.discover()["training"]
    monkeypatch.setattr(module, "_rivals", lambda config: {"SB3's defaults, linear": ("linear", {})})
    monkeypatch.setattr(module, "_ours", lambda config, best: ours)
    monkeypatch.setattr(module, "_theirs", lambda *given: theirs)
    found: list[dict[str, Any]] = module.measure(quick=True, say=lambda line: None)
    return found


@pytest.mark.parametrize(
    ("ours", "theirs", "verdicts"),
    [(1.0, 4.0, [True, True]), (1.0, 0.5, [True, False]), (None, 4.0, [False, False]), (1.0, None, [True, True])],
)
def test_training_bench__requires_that_ours_is_there_first(
    monkeypatch: pytest.MonkeyPatch, ours: Any, theirs: Any, verdicts: list[bool]
) -> None:
    """Ours has to reach its share, and before SB3 with its defaults reaches the smaller one; SB3 may never get there."""
    monkeypatch.setattr("gtalign_env.training.strategic.yardstick.optimum", lambda config: 1.0)
    found = rows(monkeypatch, ours, theirs)
    assert [row["ok"] for row in found if "required" in row] == verdicts
    if ours and theirs:
        assert [row["value"] for row in found if row["unit"] == "x" and "required" in row] == [theirs / ours]


def test_training_bench__says_when_sb3_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the cure; what can be measured is."""
    module = bench.discover()["training"]

    def missing(config: Any) -> Any:
        raise ImportError("stable_baselines3")

    monkeypatch.setattr("gtalign_env.training.strategic.yardstick.optimum", lambda config: 1.0)
    monkeypatch.setattr(module, "_rivals", missing)
    monkeypatch.setattr(module, "_ours", lambda config, best: 1.0)
    found = module.measure(quick=True, say=lambda line: None)
    assert [row["value"] for row in found] == [1.0, None]
    assert "gtalign-env[sb3]" in found[-1]["note"]
