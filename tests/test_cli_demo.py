"""``gtalign demo``."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from gtalign_env.cli import demo, main
from gtalign_env.cli.screen import first_steps
from gtalign_env.cli.tally import number
from gtalign_env.episode import Episode, SideRecord, StepRecord, load_episodes
from gtalign_env.registration import PERSONAS
from gtalign_env.replay.summary import Row, summarise


def row(persona: str, assistant: str, welfare: float | None, *, violations: int = 0, broken: bool = False) -> Row:
    """Return a row of a comparison."""
    return Row(
        persona=persona,
        assistant=assistant,
        episodes=1,
        user=None if broken else (-1.0 if welfare is None else welfare),
        assistant_payoff=None if broken else welfare or 0.5,
        welfare=welfare,
        both_gain=0.0,
        exchanges=1.0,
        clarification_rate=0.0,
        violations=violations,
        errors=int(broken),
    )


def talk(*moves: str, resolved: bool = True, ended: str = "terminated") -> Episode:
    """Return a session in which the assistant made these moves and both sides gained."""
    steps = [
        StepRecord(
            user=SideRecord(digest="", payoff=1.0),
            assistant=SideRecord(digest="", move=move, payoff=1.0),
            outcome={"resolved": float(resolved)},
        )
        for move in moves
    ]
    return Episode(scenario="s", view="text", seed=0, steps=steps, ended=ended)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Play one round only, in an empty folder; returns the record's path."""
    monkeypatch.setattr(demo, "ROUNDS", 1)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "runs" / "demo.jsonl"


def test_demo__compares_records_and_replays(quick: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The demo ends with a comparison of every shipped persona, a record, a replay and commands to try."""
    assert main(["demo"]) == 0
    shown = capsys.readouterr().out
    episodes = load_episodes(quick)
    personas = [name for name in PERSONAS if name != "random"]
    assert len(episodes) == len(demo.TALKS) + len(personas) * len(demo.ASSISTANTS)
    assert all(name in shown for name in personas)
    assert "served harm" in shown
    assert "A session to watch" in shown
    assert "hidden from the assistant" in shown
    assert "gtalign replay runs/demo.jsonl" in shown
    assert "gtalign solve gtalign/Matrix-v0" in shown
    for episode in episodes:
        assert episode.command == "gtalign demo"
        assert episode.run_seed == 0
        assert episode.scenario in (demo.STRATEGIC, demo.TEXT)


def test_demo__table_shows_the_figures_of_the_record(quick: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The figures in the table are those that the recorded sessions sum to."""
    assert main(["demo", "--no-replay", "--seed", "4"]) == 0
    shown = capsys.readouterr().out
    assert "A session to watch" not in shown
    strategic = [episode for episode in load_episodes(quick) if episode.view == "strategic"]
    for found in summarise(strategic):
        assert f"{number(found.user, digits=1)}|{number(found.assistant_payoff, digits=1)}" in shown


def test_demo__replaces_its_own_older_record(quick: Path) -> None:
    """A second demo in the same folder does not pile up."""
    assert main(["demo", "--no-replay"]) == 0
    size = len(load_episodes(quick))
    assert main(["demo", "--no-replay"]) == 0
    assert len(load_episodes(quick)) == size


def test_demo__stops_in_time(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """However long the sessions take, the demo does not go on for ever: one round is always played, then time counts."""
    monkeypatch.setattr(demo, "ROUNDS", 100_000)
    monkeypatch.chdir(tmp_path)
    started = time.monotonic()
    assert main(["demo", "--no-replay", "--seconds", "1"]) == 0
    assert time.monotonic() - started < 30
    assert len(load_episodes(tmp_path / "runs" / "demo.jsonl")) >= len(demo.ASSISTANTS)


@pytest.mark.parametrize("width", [60, 75, 110])
def test_demo__fits_the_width(
    width: int, quick: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """At 60 columns and more nothing is cut off: the comparison is split, figures stay whole, no line ends in spaces."""
    monkeypatch.setenv("COLUMNS", str(width))
    assert main(["demo", "--no-replay"]) == 0
    shown = capsys.readouterr().out
    lines = [line for line in shown.splitlines() if not line.startswith("  gtalign ")]  # commands stay in one piece
    assert max(map(len, lines)) <= width
    assert not [line for line in lines if line != line.rstrip()]
    for found in summarise(episode for episode in load_episodes(quick) if episode.view == "strategic"):
        assert f"{number(found.user, digits=1)}|{number(found.assistant_payoff, digits=1)}" in shown
    assert all(name.removeprefix("fixed:") in shown for name in demo.ASSISTANTS)


def test_demo__says_when_it_has_no_room(
    quick: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Below 60 columns it does not begin, and leaves an older record alone."""
    monkeypatch.setenv("COLUMNS", "59")
    quick.parent.mkdir()
    quick.write_text("older")
    assert main(["demo"]) == 2
    captured = capsys.readouterr()
    assert captured.err == "gtalign: the demo needs at least 60 columns and has 59: widen the terminal\n"
    assert captured.out == ""
    assert quick.read_text() == "older"


def test_demo__explains_its_codes_and_ends_with_commands_that_work(
    quick: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Moves are explained once; what is to be typed works as it stands, from a shell that does not know us yet."""
    monkeypatch.setenv("PATH", "/nowhere")
    assert main(["demo", "--no-replay"]) == 0
    shown = capsys.readouterr().out
    assert " ".join(shown.split()).count("CQ asks a clarifying question instead") == 1
    assert "gtalign run gtalign/AssistText-v0 --assistant transformers:PATH --episodes 4 --out run.jsonl" in shown
    (first,) = first_steps()
    assert shown.index(first) < shown.index("gtalign replay runs/demo.jsonl")


def test_first_steps__lead_to_the_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing where the shell finds this gtalign; else the activation beside it, else its folder for the PATH."""
    scripts = tmp_path / "my env" / "bin"
    scripts.mkdir(parents=True)
    monkeypatch.setattr("sysconfig.get_path", lambda name: str(scripts))
    monkeypatch.setattr("shutil.which", lambda name: None)
    monkeypatch.chdir(tmp_path)
    assert first_steps() == [f"export PATH='{scripts}':\"$PATH\""]
    (scripts / "activate").touch()
    assert first_steps() == ["source 'my env/bin/activate'"]
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert first_steps() == [f"source '{scripts}/activate'"]
    monkeypatch.setattr("shutil.which", lambda name: "/usr/bin/gtalign")  # somebody else's
    assert first_steps() == [f"source '{scripts}/activate'"]
    monkeypatch.setattr("shutil.which", lambda name: f"{scripts}/gtalign")
    assert first_steps() == []


def test_demo__needs_no_torch(quick: Path) -> None:
    """The demo runs on the core package: nothing of the extras is imported."""
    code = (
        "import sys; from gtalign_env.cli import demo, main; demo.ROUNDS = 1; code = main(['demo', '--no-replay']); "
        "print(sorted({'torch', 'transformers', 'pyarrow', 'datasets'} & set(sys.modules))); sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip().splitlines()[-1] == "[]"


def test_comparison__marks_the_best_of_each_row() -> None:
    """The best welfare of a row is starred; a row without any has no star; a broken cell says error."""
    from rich.console import Console

    rows = [row("p", "a", 1.0), row("p", "b", 2.0), row("q", "a", None), row("q", "b", None, violations=3, broken=True)]
    console = Console(width=80)
    with console.capture() as captured:
        console.print(demo.comparison_table(rows))
    text = captured.get()
    assert "* 2.00" in text
    assert text.count("*") == 2  # and once in the caption
    assert "error" in text
    assert "served harm" in text


def test_sentence__counts_wins_and_names_the_best_habit() -> None:
    """What the table shows in words: wins, the best habit's share, and users with whom nobody gets on."""
    rows = [
        *(row("p", "heuristic", 2.0), row("p", "fixed:CQ", 1.0), row("p", "fixed:DA_long", None)),
        *(row("q", "heuristic", 2.0), row("q", "fixed:CQ", 3.0), row("q", "fixed:DA_long", None)),
        *(row("r", "heuristic", None), row("r", "fixed:CQ", None), row("r", "fixed:DA_long", None)),
    ]
    said = demo.in_a_sentence(rows)
    assert "best for 1 of 3 users" in said
    assert "The best fixed habit, CQ, brings 100 %" in said
    assert "With r none of these assistants" in said
    assert "With" not in demo.in_a_sentence(rows[:3])


def test_most_telling__prefers_a_question_that_paid_off() -> None:
    """A question back with a good end shows most; broken sessions are never shown."""
    plain, asked, vain = talk("DA_short", "DA_short", "DA_short"), talk("CQ", "DA_short"), talk("CQ", resolved=False)
    assert demo.most_telling([plain, vain, asked]) is asked
    assert demo.most_telling([vain, plain]) is plain
    assert demo.most_telling([talk("CQ", ended="error")]) is None
