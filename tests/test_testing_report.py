"""Reports and errors of the conformance kit say what happened, for people and for programs."""

from __future__ import annotations

import io
import pickle

import pytest
from rich.console import Console

import gtalign_env.testing
from gtalign_env.errors import GtalignError
from gtalign_env.testing import CheckResult, ConformanceError, Report

REPORT = Report(
    subject="toy_v0",
    results=(
        CheckResult(name="rewards", status="passed", seconds=0.5),
        CheckResult(name="dones", status="failed", seconds=0.25, detail="dones: expected [bool], came 1; convert"),
        CheckResult(name="render", status="skipped", seconds=0.0, detail="no modes"),
    ),
    errors=(ConformanceError("dones", expected="[bool]", came="1", cure="convert"),),
)


def test_report__sorts_its_results() -> None:
    """Names, states and times are there to be read by programs."""
    assert REPORT.checks == ("rewards", "dones", "render")
    assert not REPORT.ok
    assert [r.name for r in REPORT.passed + REPORT.failed + REPORT.skipped] == ["rewards", "dones", "render"]
    assert REPORT.seconds == 0.75
    assert Report(subject="x", results=REPORT.passed).ok


def test_report__prints_as_lines_and_as_a_table() -> None:
    """Both forms show every check, its state and the reason, and take brackets in messages literally."""
    console = Console(file=io.StringIO(), width=100)
    console.print(REPORT)
    assert isinstance(console.file, io.StringIO)
    for text in (str(REPORT), console.file.getvalue()):
        assert "toy_v0: 1 passed, 1 failed, 1 skipped in 0.8 s" in text
        assert "dones: expected [bool], came 1; convert" in text
        assert "no modes" in text


def test_conformance_error__is_an_assertion_and_one_of_ours() -> None:
    """Test runners show it as a failed assertion, and it can be caught with the library's own errors."""
    error = REPORT.errors[0]
    assert isinstance(error, AssertionError)
    assert isinstance(error, GtalignError)
    assert str(error) == "dones: expected [bool], came 1; convert"


def test_conformance_error__survives_pickling() -> None:
    """It travels between the processes of a parallel test run."""
    again = pickle.loads(pickle.dumps(REPORT.errors[0]))
    assert str(again) == str(REPORT.errors[0])
    assert again.cure == "convert"


@pytest.mark.parametrize("module", ["gtalign_env.testing", "gtalign_env.testing.fakes"])
def test_testing__exports_what_it_says(module: str) -> None:
    """``__all__`` is sorted and everything in it exists."""
    loaded = __import__(module, fromlist=["__all__"])
    assert list(loaded.__all__) == sorted(loaded.__all__)
    assert all(hasattr(loaded, name) for name in loaded.__all__)
    assert gtalign_env.testing.check_env.__doc__
