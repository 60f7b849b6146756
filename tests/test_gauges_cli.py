"""``gtalign gauges``: what it shows, prints, draws and refuses; and the gauges below ``run`` and ``replay --summary``."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
from chain_records import MATRIX, chain, reply, session, turn_of_user

from gtalign_env.cli import main
from gtalign_env.cli.tally import Tally
from gtalign_env.episode import EpisodeWriter


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    """A file of one session with chains, one without."""
    path = tmp_path / "chains.jsonl"
    first = reply("CQ", chain=chain(), announced="CQ", user=-0.25, assistant=0.5)
    last = reply(
        "AQ_long", chain=chain(failures=["bad_json"]), announced="DA", clarity="clear", user=1.0, assistant=0.25
    )
    with EpisodeWriter(path) as writer:
        writer.write(session(first, turn_of_user("DQ_none"), last))
        writer.write(session(reply("DA_short")))
    return path


def test_gauges_command__shows_every_gauge(recorded: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One line for each thing that is known."""
    assert main(["gauges", str(recorded)]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    for words in (
        "chains 2 turns in 2 episodes, 2 with a matrix (100%)",
        "matrices 1 different for 1 prompt, 1.0 for a prompt that came again; most common 100%, entropy 0.00 bits",
        "stated against realised, user mean error",
        "announced = made 50% (1 of 2); apart: DA → AQ 1",
        "announced = best by its own matrix 0% (0 of 2); apart: AQ → CQ 1, AQ → DA 1",
        "over-clarification 0% (0 of 1 clear questions asked back)",
        "under-clarification 0% answered in a wrong reading; 0% answered unasked (0 of 1 vague questions)",
        "tokens per turn thinking 20.0, payoff 60.0, response 10.0",
        "failures bad_json 1",
    ):
        assert words in shown


def test_gauges_command__shows_what_steering_changed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where prices edited the matrix, the announced move is held against both: the solved matrix, and the stated one."""
    steered = {**MATRIX, "user": [[1, 4, 1], [0, 3, 4]], "assistant": [[1, 0, 0], [1, 3, 4]]}
    with EpisodeWriter(tmp_path / "runs.jsonl") as writer:
        writer.write(session(reply("CQ", chain=chain(steered=steered), announced="CQ")))
    assert main(["gauges", str(tmp_path / "runs.jsonl")]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "announced = best by its own matrix 100% (1 of 1)" in shown
    assert "announced = best without steering 0% (0 of 1); apart: AQ → CQ 1" in shown


def test_gauges_command__prints_json_and_draws(
    recorded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The JSON has every figure, the plot is a file."""
    plot = tmp_path / "reliability.svg"
    assert main(["gauges", str(recorded), "--json", "--plot", str(plot), "--scale", "2"]) == 0
    told = json.loads(capsys.readouterr().out)["gauges"]["fake:chain"]
    assert (told["turns"], told["scale"], told["collapse"]["distinct"], told["user"]["n"]) == (2, 2.0, 1, 2)
    assert plot.read_text().lstrip().startswith("<?xml")
    assert main(["gauges", str(recorded), "--plot", str(plot)]) == 0
    assert "drawn: " in capsys.readouterr().out


def test_gauges_command__measures_published_outputs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever cannot be read is a failure by name, and the announced move is compared with the response as it is read."""
    path = tmp_path / "rows.jsonl"
    output = "<analyze>VQ_DA is best.</analyze><response>Which of the two do you mean?</response>"
    path.write_text(json.dumps({"question": "Who?", "gts": "multipleQAs###", "output": output}) + "\nnot JSON\n")
    assert main(["gauges", str(path), "--format", "gtalign", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["gauges"]["gtalign"]
    assert told["failures"] == {"no_payoff": 1, "bad_row": 1}
    assert told["announced"]["pairs"] == {"DA → CQ": 1}
    assert (told["clarification"]["vague"], told["clarification"]["under"]) == (1, 0.0)
    path.write_text(json.dumps({"question": "Who?", "output": "<response>...</response>"}))
    assert main(["gauges", str(path), "--format", "gtalign"]) == 0
    assert "chains 1 turn, 0 with a matrix (0%)" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    "arguments",
    [
        "--plot out.txt",
        "--judge-cache x.jsonl",
        "--format gtalign --judge fake:echo",
        "--format gtalign --plot x.svg",
        "--scale 0",
        "--scale x",
        "--scale 1e-320",
        "--criterion best",
        "--judge nobody",
    ],
)
def test_gauges_command__refuses_wrong_usage(
    arguments: str, recorded: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One sentence and exit code 2."""
    assert main(["gauges", str(recorded), *shlex.split(arguments)]) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_gauges_command__has_nothing_to_draw_or_judge_without_chains(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It says so, and what it expected; a torn line is noted."""
    path = tmp_path / "plain.jsonl"
    with EpisodeWriter(path) as writer:
        writer.write(session(reply("DA_short")))
    with path.open("a") as file:
        file.write('{"schema":"gtalign-episode/1", "sc')
    assert main(["gauges", str(path)]) == 0
    out, err = capsys.readouterr()
    assert "0 turns in 1 episode" in out
    assert "incomplete" in err
    assert main(["gauges", str(path), "--plot", str(tmp_path / "x.svg")]) == 2
    assert "0 turns in 1 episode" in capsys.readouterr().out  # what is known is shown first
    assert main(["gauges", str(path), "--judge", "fake:echo"]) == 2
    out, err = capsys.readouterr()
    assert "0 turns in 1 episode" in out
    assert "no reply of the text view" in err
    assert main(["gauges", str(path), "--judge", "fake:echo", "--json"]) == 2
    told = json.loads(capsys.readouterr().out)
    assert (told["episodes"], told["gauges"], "judge" in told) == (1, {}, False)


def test_gauges_command__judges_no_questions_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A record of questions back has nothing to grade; a judge that cannot be made is said before anything is read."""
    path = tmp_path / "questions.jsonl"
    with EpisodeWriter(path) as writer:
        writer.write(session(reply("CQ")))
    assert main(["gauges", str(path), "--judge", "fake:echo"]) == 2
    assert "only questions back, nothing to grade" in capsys.readouterr().err
    assert main(["gauges", str(tmp_path / "missing.jsonl"), "--judge", "nobody"]) == 2
    assert "nobody" in capsys.readouterr().err


def test_replay_summary__shows_gauges_where_there_are_chains(
    recorded: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Below the table of payoffs."""
    assert main(["replay", str(recorded), "--summary"]) == 0
    assert "announced = made" in capsys.readouterr().out
    assert main(["replay", str(recorded), "--summary", "--episode", "2"]) == 0
    assert "announced = made" not in capsys.readouterr().out


def test_run__measures_chains_while_they_are_played(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A model with a chain: gauges below the summary, the same in the JSON, and the same again from the file."""
    out = tmp_path / "run.jsonl"
    base = [
        "run",
        "assist_text",
        "--assistant",
        "fake:chain",
        "--chain",
        "solver",
        "--moves",
        "paper",
        "--episodes",
        "2",
        "--games",
        "1",  # sums of floats depend on the order in which episodes come to their end
    ]
    assert main([*base, "--option", "questions=1", "--out", str(out)]) == 0
    assert "announced = made" in capsys.readouterr().out
    assert main([*base, "--option", "questions=1", "--json"]) == 0
    measured = json.loads(capsys.readouterr().out)["gauges"]
    assert main(["gauges", str(out), "--json"]) == 0
    again = json.loads(capsys.readouterr().out)
    assert again["gauges"] == measured
    assert measured["fake:chain+solver"]["valid"] == 1.0
    assert main(["steer", str(out), "--criterion", "stackelberg:assistant", "--rate", "0,0.01"]) == 0


def test_tally__gauges_a_run_while_it_is_played() -> None:
    """Chains are measured as episodes come; without any there is nothing to tell."""
    tally = Tally()
    tally.add(session(reply("DA_short")))
    assert tally.gauges == {}
    tally.add(session(reply("CQ", chain=chain(), announced="CQ")))
    (measured,) = tally.gauges.values()
    assert (measured.turns, measured.announced.rate) == (1, 1.0)
