"""``gtalign bench``: the runner, and each benchmark in its quick form."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from gtalign_env.cli import bench, main

ROWS = [{"name": "speed", "value": 1234.5, "unit": "steps/s"}]


def write_benchmark(folder: Path, rows: list[dict[str, Any]]) -> None:
    """Write a benchmark that returns these rows, and a script beside it that is none."""
    source = (
        f"NAME = 'toy'\nDESCRIPTION = 'a toy'\ndef measure(*, quick, say):\n    say('measuring')\n    return {rows!r}\n"
    )
    (folder / "toy.py").write_text(source)
    (folder / "script.py").write_text("raise RuntimeError('this is no benchmark')\n")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of benchmarks with one toy in it, in place of the checkout's."""
    place = tmp_path / "benchmarks"
    place.mkdir()
    monkeypatch.setattr(bench, "BENCHMARKS", place)
    write_benchmark(place, ROWS)
    return place


def test_bench__finds_the_benchmarks_of_the_checkout() -> None:
    """The claims of the project each have a benchmark."""
    assert {"engine", "import", "memory", "text"} <= set(bench.discover())


@pytest.mark.parametrize("name", ["engine", "import", "memory", "text"])
def test_bench__every_benchmark_runs(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Each one measures something: finite figures with units, requirements with a verdict."""
    assert main(["bench", "--only", name, "--quick", "--json"]) in (0, 1)  # figures are for quiet machines
    report = json.loads(capsys.readouterr().out)
    (result,) = report["results"]
    assert result["name"] == name
    assert result["rows"]
    for row in result["rows"]:
        assert row["value"] is not None or row["note"], row
        assert ("required" in row) == ("ok" in row)
    assert report["versions"]["gtalign-env"]
    assert report["machine"]["cores"] >= 1
    assert report["command"] == f"gtalign bench --only {name} --quick --json"


def test_bench__overhead_of_models_runs_on_fakes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every way to reason has a rate and a verdict; an engine that is not installed is named, and nothing is required of it."""
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.setitem(sys.modules, "vllm", None)
    assert main(["bench", "--only", "llm_overhead", "--quick", "--json"]) in (0, 1)  # figures are for quiet machines
    (result,) = json.loads(capsys.readouterr().out)["results"]
    fakes = [row for row in result["rows"] if row["name"].startswith("fake engine")]
    assert len(fakes) >= 3
    for row in fakes:
        assert row["unit"] == "exchanges/s/core"
        assert row["ok"] == (row["value"] >= 300)
    real = [row for row in result["rows"] if row not in fakes]
    assert [row["note"] for row in real] == ["torch is not installed", "vllm is not installed"]
    assert not [row for row in real if "required" in row]


def test_bench__takes_no_script_for_a_benchmark(folder: Path) -> None:
    """A script that happens to measure something is none: a benchmark has a name."""
    (folder / "other.py").write_text("def measure(engine):\n    raise RuntimeError\nraise RuntimeError\n")
    assert list(bench.discover(folder)) == ["toy"]


def test_bench__engine_says_when_the_yardstick_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without pygame there is no rps to compare with: that is said with the cure, and nothing is required of it."""
    monkeypatch.setitem(sys.modules, "pygame", None)
    rows = bench.discover()["engine"].measure(quick=True, say=lambda line: None)
    (skipped,) = [row for row in rows if row["value"] is None]
    assert skipped["note"] == "skipped (needs pygame: pip install 'gtalign-env[dev]')"
    assert not [row for row in rows if "ok" in row or "required" in row]


def test_bench__solver_fails_when_what_is_required_cannot_be_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without nashpy there is nothing to be faster than: the required ratios are failed, with the cure, not passed in silence."""
    monkeypatch.setitem(sys.modules, "nashpy", None)
    rows = bench.discover()["solver"].measure(quick=True, say=lambda line: None)
    required = [row for row in rows if "required" in row]
    assert [row["name"] for row in required] == ["support / pure", "support / nash", "vertex / nash"]
    for row in required:
        assert (row["value"], row["ok"]) == (None, False)
        assert row["note"] == "not measured: needs nashpy: pip install 'gtalign-env[dev]'"


def test_bench__skipped_is_no_failure(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A row that could not be measured says why; the code is that of the others."""
    write_benchmark(folder, [{"name": "ratio", "value": None, "unit": "x", "note": "skipped (needs a toy)"}, *ROWS])
    assert main(["bench"]) == 0
    assert "skipped (needs a toy)" in capsys.readouterr().out


def test_bench__titles_may_depend_on_how_much_is_done(capsys: pytest.CaptureFixture[str]) -> None:
    """The title of the memory benchmark tells the steps that are really played."""
    assert main(["bench", "--only", "memory", "--quick", "--json"]) in (0, 1)
    (result,) = json.loads(capsys.readouterr().out)["results"]
    last = [row["name"] for row in result["rows"]][-2]
    steps = last.removeprefix("after ").removesuffix(" steps")
    assert steps in result["about"]
    assert "1,000,000" in bench.discover()["memory"].description(quick=False)


def test_bench__without_requirements_passes(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Figures without requirements are shown, and the code is 0."""
    assert main(["bench"]) == 0
    captured = capsys.readouterr()
    assert "toy: a toy" in captured.out
    assert "1,234" in captured.out
    assert captured.err == "measuring\n"


def test_bench__fails_when_something_required_does_not_hold(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One requirement that fails makes the code 1; each has its verdict."""
    required = {"unit": "x", "required": ">= 4"}
    write_benchmark(
        folder,
        [
            {"name": "good", "value": 5.0, "ok": True, **required},
            {"name": "bad", "value": None, "ok": False, "note": "not measured", **required},
        ],
    )
    assert main(["bench"]) == 1
    shown = capsys.readouterr().out
    assert "ok" in shown
    assert "FAILED (not measured)" in shown
    assert "—" in shown


def test_bench__writes_its_report(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The report in the file is the one printed, and no half of one stays behind."""
    out = tmp_path / "report.json"
    assert main(["bench", "--out", str(out), "--json"]) == 0
    assert json.loads(out.read_text()) == json.loads(capsys.readouterr().out)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["benchmarks", "report.json"]


def test_bench__refuses_bad_arguments_before_measuring(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An unknown benchmark or an impossible file ends before anything is measured."""
    assert main(["bench", "--only", "tyo"]) == 2
    assert "did you mean 'toy'" in capsys.readouterr().err
    assert main(["bench", "--out", str(tmp_path / "no" / "report.json")]) == 2
    assert "measuring" not in capsys.readouterr().err


def test_bench__says_that_a_wheel_has_no_benchmarks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Installed from a wheel there is no folder of benchmarks: one sentence says where they are."""
    monkeypatch.setattr(bench, "BENCHMARKS", tmp_path / "nothing")
    assert main(["bench"]) == 2
    assert "belong to a checkout" in capsys.readouterr().err


def test_machine__has_a_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    """The processor is named, also where /proc has no word of it."""
    assert bench.machine()["processor"]
    monkeypatch.setattr(Path, "read_text", lambda *args, **options: "nothing known\n")
    assert bench.machine()["processor"]
