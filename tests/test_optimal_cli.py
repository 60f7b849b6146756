"""``gtalign solve --optimal``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gtalign_env.cli import main
from gtalign_env.cli.solve_report import asking_groups
from gtalign_env.cli.solve_words import fact_lines
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
        ", if the same question is simple, muddled",
        "first, by the user's reaction to it: none: then ",
        " of W: so much less is the optimum without it",
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
    """The second run reads what the first one wrote, and says so; ``--no-cache`` leaves nothing."""
    first = json.loads(solved(capsys, *SMALL, "--json"))
    assert sorted(path.suffix for path in own_cache.rglob("*.*")) == [".json", ".npz"]
    again = json.loads(solved(capsys, *SMALL, "--json"))
    now = {"remembered": True, "optimum_remembered": True, "seconds_in_all": again["seconds_in_all"]}
    assert again == {**first, **now}
    assert "remembered: it took" in solved(capsys, *SMALL)
    assert "to solve (remembered)" in " ".join(solved(capsys, *SMALL[:-1], "21").split())
    assert "remembered" not in solved(capsys, *SMALL, "--no-cache", "--objective", "egalitarian")
    assert len(list(own_cache.rglob("*.npz"))) == 1


def test_solve_optimal__says_once_off_a_terminal_that_it_takes_long(capsys: pytest.CaptureFixture[str]) -> None:
    """On standard error, where it is computed; what is remembered comes without a word."""
    for told in ("the exact optimum: being computed …\n", ""):
        assert main(["solve", "gtalign/Assist-v0", "--optimal", *SMALL]) == 0
        assert capsys.readouterr().err == told


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


@pytest.mark.parametrize(
    ("objective", "words"),
    [
        ("user_only", "W: user_only, which is linear:weight=1.0, of the mean payoffs (ser)"),
        ("nash_bargaining", "W: nash_bargaining, which is nash_product, of the mean payoffs (ser)"),
        ("linear:0.25", "W: linear:weight=0.25 of the mean payoffs (ser)"),
        ("cobb_douglas", "W: cobb_douglas of the mean payoffs (ser)"),
    ],
)
def test_solve_optimal__takes_the_names_of_training(
    objective: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """An objective of ``gtalign train`` is looked up by its own name, and the page says which welfare that is."""
    out = solved(capsys, *SMALL, "--option", "max_exchanges=1", "--objective", objective)
    assert words in " ".join(out.split())


@pytest.mark.parametrize("width", [70, 50])
def test_fact_lines__what_is_wrapped_looks_like_one_entry(width: int) -> None:
    """What goes on from an indented line stands two columns further in; no word is lost; plain lines go on where they began."""
    said = " ".join(f"word{number}" for number in range(20))
    lines = [line.plain for line in fact_lines([("label", said), ("", f"   {said}")], width)]
    assert all(len(line) <= width for line in lines)
    assert " ".join(" ".join(lines).split()) == f"label {said} {said}"
    left = 17 if width >= 60 else 2  # narrow ones have their labels above
    starts = [len(line) - len(line.lstrip()) for line in lines if not line.startswith("label")]
    assert set(starts) == {left, left + 3, left + 5}
    assert starts.count(left + 3) == 1


def test_solve_optimal__a_game_without_scripted_people_says_who_can_come(capsys: pytest.CaptureFixture[str]) -> None:
    """The default population does not play a matrix; the message ends in what to write."""
    assert main(["solve", "gtalign/Matrix-v0", "--optimal"]) == 2
    assert capsys.readouterr().err.rstrip().endswith("take the persona 'random' here (--users random)")


def test_solve_optimal__lists_forms_behind_the_names(capsys: pytest.CaptureFixture[str]) -> None:
    """A persona that there is not: all names, then what else may be written."""
    assert main(["solve", "gtalign/Assist-v0", "--optimal", "--users", "nobody"]) == 2
    err = capsys.readouterr().err.rstrip()
    assert err.endswith(", or PATH.toml, trained:RUN, FILE.py:Class, module:Class")
    names = err.partition("Known: ")[2].partition(", or ")[0].split(", ")
    assert names == sorted(names)
