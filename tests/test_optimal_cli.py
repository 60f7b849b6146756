"""``gtalign solve --optimal``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gtalign_env.cli import main
from gtalign_env.cli.solve_optimal import asking_groups
from gtalign_env.types import ASSISTANT_MOVES

SMALL = ["--option", "questions=1", "--users", "concise,detailed", "--sessions", "20"]


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Remember solutions in the test's own folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def solved(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Return what the verb prints for ``assist``."""
    assert main(["solve", "gtalign/Assist-v0", "--optimal", *arguments]) == 0
    return capsys.readouterr().out


def test_solve_optimal__prints_the_whole_answer(capsys: pytest.CaptureFixture[str]) -> None:
    """Value with its bound, payoffs, the policy, what others lose, what asking and knowing are worth, and the work."""
    out = solved(capsys, *SMALL)
    for words in (
        "the best assistant · concise=0.5,detailed=0.5 · subscription",
        "no policy has more than",
        "in the opening:",
        "harmful, clear: DECLINE",
        "fixed:AQ_medium",
        "heuristic",
        "asking is worth",
        "told at the start who comes",
        "beliefs",
    ):
        assert words in " ".join(out.split())


def test_solve_optimal__json_is_consistent(capsys: pytest.CaptureFixture[str]) -> None:
    """Bounds hold the value, shares sum to 1, kinds average to the payoffs, and taking questions away never helps."""
    found = json.loads(solved(capsys, *SMALL, "--json", "--objective", "utilitarian", "--no-cache"))
    assert found["lower"] <= found["value"] <= found["upper"]
    assert found["value"] == pytest.approx(found["user"] + found["assistant"])
    assert found["user"] == pytest.approx(sum(row["user"] for row in found["by_kind"].values()) / 2)
    for policy in found["policies"]:
        for moves in policy["opening"].values():
            assert sum(moves.values()) == pytest.approx(1.0)
    assert found["value_of_knowing"] >= -1e-9
    assert all(value >= -2e-5 for value in found["value_of_questions"].values())
    assert {row["policy"] for row in found["others"]} == {f"fixed:{move.name}" for move in ASSISTANT_MOVES} | {
        "heuristic"
    }
    assert all(row["value"] <= found["upper"] for row in found["others"] if row["policy"] != "heuristic")


def test_solve_optimal__remembers(capsys: pytest.CaptureFixture[str], own_cache: Path) -> None:
    """The second run reads the first one's file; ``--no-cache`` leaves none."""
    first = json.loads(solved(capsys, *SMALL, "--json"))
    assert len(list(own_cache.rglob("*.npz"))) == 1
    again = json.loads(solved(capsys, *SMALL, "--json"))
    assert (again["value"], again["seconds"]) == (first["value"], first["seconds"])
    solved(capsys, *SMALL, "--no-cache", "--objective", "egalitarian")
    assert len(list(own_cache.rglob("*.npz"))) == 1


def test_solve_optimal__single_sessions(capsys: pytest.CaptureFixture[str]) -> None:
    """``--aggregation esr`` says what it is the mean of."""
    out = solved(capsys, *SMALL, "--option", "max_exchanges=1", "--aggregation", "esr")
    assert "single sessions, on average (esr)" in out


def test_solve_optimal__games_without_questions(capsys: pytest.CaptureFixture[str]) -> None:
    """A matrix game has a best assistant too, and nothing to ask."""
    arguments = [
        "solve",
        "gtalign/PrisonersDilemma-v0",
        "--optimal",
        "--users",
        "random",
        "--objective",
        "linear:weight=0",
    ]
    assert main(arguments) == 0
    out = capsys.readouterr().out
    assert "round 0: defect" in out
    assert "asking" not in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["gtalign/Assist-v0", "--optimal", "--criterion", "nash"], "--criterion: --optimal solves the whole session"),
        (["gtalign/Assist-v0", "--optimal", "--state", "kind=simple"], "--state: --optimal solves"),
        (["gtalign/Assist-v0", "--users", "concise"], "--users: for the best assistant"),
        (["gtalign/Assist-v0", "--optimal", "--pricing", "per_token,subscription"], "--pricing: expected one"),
        (["gtalign/AssistText-v0", "--optimal"], "expected a game of moves"),
        (["gtalign/Assist-v0", "--optimal", "--objective", "jain", "--option", "questions=1"], "concave"),
        (["gtalign/Assist-v0", "--optimal", "--tolerance", "0", "--option", "questions=1"], "tolerance > 0"),
    ],
)
def test_solve_optimal__clashes_are_refused(
    capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    """What makes no sense together ends with one sentence and code 2."""
    assert main(["solve", *arguments]) == 2
    assert message in " ".join(capsys.readouterr().err.split())


def test_asking_groups__other_games_have_none() -> None:
    """Moves that are none of the ``assist`` family's do not ask."""
    assert asking_groups(["cooperate", "defect"]) == {"answer": ["cooperate", "defect"]}
