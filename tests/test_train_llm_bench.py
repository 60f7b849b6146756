"""The benchmark of learning in words: what it says where TRL is missing, and what it compares where it is not."""

from __future__ import annotations

import importlib.util
from typing import Any

import pytest

from gtalign_env.cli import bench

pytest.importorskip("torch")
pytest.importorskip("transformers")


@pytest.fixture
def module() -> Any:
    """The benchmark."""
    return bench.discover()["llm"]


def test_bench__without_trl_it_says_so(module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ours is measured, and instead of a ratio there is what to install."""
    there = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *a: None if name == "trl" else there(name, *a))
    monkeypatch.setattr(module, "GAMES", {"one reply": module.GAMES["one reply"]})
    rows = module.measure(quick=True, say=lambda line: None)
    assert all(row["value"] > 0 for row in rows[:-1])
    assert rows[-1]["value"] is None
    assert "gtalign-env[trl]" in rows[-1]["note"]


def test_bench__compares_like_with_like(module: Any) -> None:
    """Of single replies episodes per second count, of sessions turns, as TRL learns from one sequence of a game; medians."""
    found = {"ours": [(30.0, 90.0), (40.0, 120.0), (20.0, 60.0)], "TRL": [(10.0, 10.0), (20.0, 20.0), (20.0, 20.0)]}
    one, session = (module._rows(label, found)[-1] for label in ("one reply", "a session"))
    assert (one["value"], one["ok"]) == (2.0, True)
    assert (session["value"], session["ok"]) == (6.0, True)
    slow = {"ours": [(10.0, 10.0)], "TRL": [(10.0, 10.0)]}
    assert module._rows("one reply", slow)[-1]["ok"] is False
