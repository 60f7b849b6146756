"""``gtalign run``: what it records, sums up, refuses and keeps."""

from __future__ import annotations

import json
import math
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

import gtalign_env
from gtalign_env.agents.users import ScriptedPersona
from gtalign_env.cli import common, main
from gtalign_env.cli.common import Progress, Sink, read_options
from gtalign_env.cli.tally import Tally
from gtalign_env.episode import Episode, load_episodes
from gtalign_env.errors import FileFormatError, UsageError
from gtalign_env.play import episode_seeds
from gtalign_env.registration import scenario_id
from gtalign_env.replay.summary import summarise


class Stumbler:
    """An assistant that fails in its third exchange."""

    name = "stumbler"

    def reset(self, seed: int) -> None:
        """Begin."""
        self.moves = 0

    def act(self, observation: Any, info: Any) -> int:
        """Answer twice, then fail."""
        self.moves += 1
        if self.moves > 2:
            raise RuntimeError("no more")
        return 0


STUMBLER = f"{__file__}:Stumbler"


def run(*arguments: str) -> int:
    """Run ``gtalign run`` on the strategic session."""
    return main(["run", "assist", *arguments])


def test_run__records_what_rebuilds_the_game(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every episode names scenario, options, seeds and command, and its file is readable."""
    out = tmp_path / "run.jsonl"
    arguments = ["--episodes", "3", "--seed", "5", "--pricing", "per_token", "--max-cycles", "9"]
    assert run(*arguments, "--option", "questions=2", "--out", str(out)) == 0
    episodes = load_episodes(out)
    assert [episode.seed for episode in episodes] == episode_seeds(5, 3)
    for place, episode in enumerate(episodes):
        assert episode.id == f"{place}-{episode.seed}"
        assert episode.scenario == "gtalign/Assist-v0"
        assert episode.env_options == {"questions": 2, "pricing": "per_token", "max_cycles": 9}
        assert episode.run_seed == 5
        assert episode.command.startswith("gtalign run assist --episodes 3")
        assert gtalign_env.parallel_env(episode.scenario, **episode.env_options).max_cycles == 9
    assert f"3 episodes in {out}; watch them" in capsys.readouterr().out
    assert run("--episodes", "1", "--out", str(tmp_path / "one.jsonl")) == 0
    assert f"1 episode in {tmp_path / 'one.jsonl'}; watch it" in capsys.readouterr().out


def test_run__is_reproducible(capsys: pytest.CaptureFixture[str]) -> None:
    """The same seed gives the same figures, another seed gives others."""
    figures = []
    for seed in ("1", "1", "2"):
        assert run("--episodes", "4", "--seed", seed, "--json") == 0
        figures.append(json.loads(capsys.readouterr().out)["rows"])
    assert figures[0] == figures[1] != figures[2]


def test_run__json_agrees_with_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The figures printed are those that the file's episodes sum to."""
    out = tmp_path / "run.jsonl"
    assert run("--users", "concise=1,detailed=1", "--episodes", "6", "--out", str(out), "--json") == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["episodes"] == 6
    assert printed["errors"] == 0
    for row, expected in zip(printed["rows"], summarise(load_episodes(out)), strict=True):
        assert {key: value for key, value in row.items() if key != "told"} == expected.as_dict()
    for row in printed["rows"]:
        gains = row["user"] > 0 and row["assistant_payoff"] > 0
        expected_welfare = math.sqrt(row["user"] * row["assistant_payoff"]) if gains else None
        assert row["welfare"] == (pytest.approx(expected_welfare) if gains else None)


def test_run__compares_assistants_on_the_same_episodes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Several assistants meet the same users with the same questions."""
    out = tmp_path / "two.jsonl"
    assert run("--assistant", "heuristic", "--assistant", "fixed:CQ", "--episodes", "3", "--out", str(out)) == 0
    episodes = load_episodes(out)
    assert [episode.players["assistant_0"] for episode in episodes] == ["heuristic"] * 3 + ["fixed:CQ"] * 3
    assert [e.hidden for e in episodes[:3]] == [e.hidden for e in episodes[3:]]
    assert len({episode.id for episode in episodes}) == 6
    text = capsys.readouterr().out
    assert "heuristic" in text
    assert "fixed:CQ" in text


def test_run__text_view_says_who_knows_the_answers(capsys: pytest.CaptureFixture[str]) -> None:
    """Scripted assistants get the reference answers in the text view, and the output says so."""
    assert main(["run", "assist_text", "--episodes", "1", "--assistant", "heuristic", "--option", "questions=1"]) == 0
    assert "heuristic: scripted (knows the reference answers)" in capsys.readouterr().out
    assert (
        main(["run", "assist_text", "--episodes", "1", "--assistant", "fake:echo", "--max-tokens", "9", "--json"]) == 0
    )
    assert json.loads(capsys.readouterr().out)["rows"][0]["told"] is False


def test_run__takes_tasks_for_the_text_view(tmp_path: Path) -> None:
    """``--tasks`` reaches the scenario and the record."""
    out = tmp_path / "run.jsonl"
    arguments = ["--tasks", "authored:arithmetic", "--episodes", "1", "--out", str(out), "--temperature", "0"]
    assert main(["run", "assist_text", "--assistant", "fake:rules", *arguments]) == 0
    (episode,) = load_episodes(out)
    assert episode.env_options == {"tasks": "authored:arithmetic"}
    assert {task["kind"] for task in episode.tasks} == {"arithmetic"}


def test_run__plays_other_games_with_players_that_can(capsys: pytest.CaptureFixture[str]) -> None:
    """Where nobody is named, a matrix game is played at random."""
    assert main(["run", "matrix", "--episodes", "1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["rows"][0]["assistant"] == "random"


def test_run__goes_on_after_a_player_failed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A player's failure is data: recorded, counted, never scored; the exit code is 1."""
    out = tmp_path / "run.jsonl"
    assert run("--assistant", STUMBLER, "--episodes", "3", "--out", str(out)) == 1
    episodes = load_episodes(out)
    assert len(episodes) == 3
    failed = [episode for episode in episodes if episode.ended == "error"]
    assert failed
    assert all(e.error == {"type": "RuntimeError", "message": "no more", "where": "assistant_0"} for e in failed)
    assert f"{len(failed)} episode" in capsys.readouterr().err


def test_run__interrupted_keeps_what_is_finished(tmp_path: Path) -> None:
    """Ctrl-C in the middle of a run: finished episodes are whole and counted, exit code 130."""
    out = tmp_path / "run.jsonl"
    command = [sys.executable, "-m", "gtalign_env", "run", "assist", "--episodes", "20000", "--out", str(out)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 30
    while (not out.exists() or out.stat().st_size < 100_000) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    printed, said = process.communicate(timeout=30)
    assert process.returncode == 130
    episodes = load_episodes(out)  # a torn line would warn, and warnings are errors here
    assert f"interrupted: {len(episodes)} finished episodes kept in {out}" in said
    assert "Traceback" not in said
    assert "persona" in printed


def test_run__interrupted_before_the_first_episode_leaves_no_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing finished, nothing left behind."""

    def interrupted(*args: Any, **options: Any) -> Episode:
        raise KeyboardInterrupt

    monkeypatch.setattr("gtalign_env.cli.run.play_episode", interrupted)
    out = tmp_path / "run.jsonl"
    assert run("--out", str(out)) == 130
    assert "interrupted: 0 finished episodes" in capsys.readouterr().err
    assert not out.exists()


def test_run__goes_on_when_nobody_reads_its_progress(tmp_path: Path) -> None:
    """A closed standard error stops the reports, not the run."""
    out = tmp_path / "run.jsonl"
    command = f"'{sys.executable}' -m gtalign_env run assist --episodes 50 --out '{out}' 2>&1 >/dev/null | true"
    subprocess.run(["bash", "-c", command], check=True, timeout=60)
    assert len(load_episodes(out)) == 50


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["gtalign/Asist-v0"], "did you mean 'gtalign/Assist-v0'"),
        (["assist", "--users", "concize"], "did you mean 'concise'"),
        (["assist", "--assistant", "heuristc"], "did you mean 'heuristic'"),
        (["assist", "--pricing", "free"], "unknown pricing 'free'"),
        (["assist", "--payoff", "none"], "unknown payoff model 'none'"),
        (["assist", "--option", "questions"], "expected KEY=VALUE"),
        (["assist", "--option", "foo=1"], "no option 'foo'"),
        (["assist", "--out", "/nowhere/run.jsonl"], "the folder /nowhere does not exist"),
        (["assist", "--assistant", "transformers:x"], "plays the text view only"),
        (["assist", "--max-tokens", "5"], "are for models"),
        (["assist_text", "--assistant", "fake:echo", "--temperature", "-1"], "--temperature: expected a number >= 0"),
        (["assist_text", "--tasks", "missing.parquet"], "missing.parquet"),
        (["assist_text", "--assistant", "transformers:/nowhere/model"], "/nowhere/model"),
        (["no_such_module:scenario"], "there is no module 'no_such_module'"),
        (["json:loads"], "'json:loads': making it failed with TypeError"),
        (["no_such_file.py:game"], "no_such_file.py: there is no such file"),
        (["gtalign/Assistant-v0"], "the game for both players is 'gtalign/Assist-v0'"),
        (["assist", "--users", ""], "expected at least one persona"),
        (["assist", "--out", "run.csv"], "ends in .jsonl or .jsonl.zst"),
        (["matrix", "--users", "concise"], "persona 'concise' plays the 'assist' games only"),
        (["matrix", "--users", "random=1,hurried=1"], "persona 'hurried' plays the 'assist' games only"),
        (["matrix", "--assistant", "heuristic"], "assistant 'heuristic' plays the 'assist' games only"),
    ],
)
def test_run__refuses_in_one_sentence(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Bad input ends in one clear sentence and exit code 2, with no file left behind."""
    out = [] if "--out" in arguments else ["--out", str(tmp_path / "run.jsonl")]
    assert main(["run", *arguments, *out]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert said in line
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("number", ["0", "-1", "many", "1.5"])
def test_run__takes_whole_numbers_only(number: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A number of episodes that makes no sense is wrong usage, and the message quotes it."""
    assert run(f"--episodes={number}") == 2
    assert f"expected a whole number >= 1, got '{number}'" in capsys.readouterr().err


def test_sink__writes_from_other_threads(tmp_path: Path) -> None:
    """Signals belong to the main thread; writing from another one works all the same."""
    with Sink(tmp_path / "run.jsonl") as sink:
        thread = threading.Thread(target=sink.write, args=(Episode(scenario="s", view="strategic", seed=0),))
        thread.start()
        thread.join()
    assert len(load_episodes(tmp_path / "run.jsonl")) == 1


def test_run__refuses_damaged_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Broken TOML and a parquet file that is none are named, in one sentence each."""
    (tmp_path / "broken.toml").write_text('name = "x\n')
    (tmp_path / "broken.parquet").write_text("not parquet")
    assert run("--users", str(tmp_path / "broken.toml")) == 2
    assert "broken.toml, line 1" in capsys.readouterr().err
    assert main(["run", "assist_text", "--tasks", str(tmp_path / "broken.parquet")]) == 2
    assert "broken.parquet" in capsys.readouterr().err


def test_run__names_the_cure_for_a_missing_extra(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Without the optional package the one sentence holds the pip command."""
    monkeypatch.setitem(sys.modules, "zstandard", None)
    assert run("--out", str(tmp_path / "run.jsonl.zst")) == 2
    assert "pip install 'gtalign-env[zst]'" in capsys.readouterr().err


def test_run__never_overwrites(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An existing file is refused, and appended to only on purpose."""
    out = tmp_path / "run.jsonl"
    assert run("--episodes", "2", "--out", str(out)) == 0
    before = out.read_bytes()
    assert run("--episodes", "1", "--out", str(out)) == 2
    assert "the file exists" in capsys.readouterr().err
    assert out.read_bytes() == before
    assert run("--episodes", "1", "--out", str(out), "--append") == 0
    assert out.read_bytes().startswith(before)
    assert len(load_episodes(out)) == 3


def test_run__append_plays_no_episode_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Under the same run seed a file goes on with the next episodes: in the end it holds those of one longer run."""
    out = tmp_path / "run.jsonl"
    for count in ("2", "3"):
        assert run("--episodes", count, "--seed", "4", "--out", str(out), "--append") == 0
    assert f"3 added, 5 in {out}; watch them" in capsys.readouterr().out
    episodes = load_episodes(out)
    assert [episode.seed for episode in episodes] == episode_seeds(4, 5)
    assert [episode.id for episode in episodes] == [f"{i}-{seed}" for i, seed in enumerate(episode_seeds(4, 5))]


def test_run__append_compares_on_the_same_episodes(tmp_path: Path) -> None:
    """Another assistant, another seed, another option: nothing would be played twice, so it begins at the beginning."""
    out = tmp_path / "run.jsonl"
    assert run("--episodes", "2", "--out", str(out)) == 0
    others = (["--assistant", "random"], ["--seed", "1"], ["--pricing", "per_token"])
    for other in others:
        assert run("--episodes", "2", "--out", str(out), "--append", *other) == 0
    first = episode_seeds(0, 2)
    assert [episode.seed for episode in load_episodes(out)] == [*first, *first, *episode_seeds(1, 2), *first]
    assert len({episode.id for episode in load_episodes(out)}) == 8
    # Together they are played on the same new episodes, though only one of them has met the old ones here.
    both = ["--assistant", "heuristic", "--assistant", "fixed:CQ"]
    assert run("--episodes", "1", "--out", str(out), "--append", *both) == 0
    assert [episode.seed for episode in load_episodes(out)[-2:]] == [episode_seeds(0, 3)[2]] * 2


def test_run__append_needs_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    """There is nothing to go on with where nothing is written."""
    assert run("--append") == 2
    assert "--append goes with --out FILE" in capsys.readouterr().err


def test_run__finds_games_in_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """``module:attr`` and ``file.py:attr`` name what lies here; the path is as before afterwards."""
    (tmp_path / "probe_mygame.py").write_text("from gtalign_env.scenarios.matrix.paper import paper_matrix as pd\n")
    monkeypatch.chdir(tmp_path)
    before = list(sys.path)
    for name in ("probe_mygame:pd", "probe_mygame.py:pd"):
        assert main(["run", name, "--episodes", "1", "--out", "run.jsonl", "--append"]) == 0
    assert sys.path == before
    assert [episode.scenario for episode in load_episodes("run.jsonl")] == ["probe_mygame:pd", "probe_mygame.py:pd"]
    sys.modules.pop("probe_mygame", None)


def test_main__works_where_the_folder_is_gone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A current folder that has been removed is no reason to fail."""

    def gone() -> Path:
        raise FileNotFoundError(2, "No such file or directory")

    monkeypatch.setattr(Path, "cwd", gone)
    assert run("--episodes", "1", "--json") == 0
    assert json.loads(capsys.readouterr().out)["episodes"] == 1


@pytest.mark.parametrize("width", [30, 50, 59, 60, 80, 110])
def test_run__table_fits_the_width(
    width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """``COLUMNS`` counts in a pipe too; a narrow table is stacked, and no line ends in spaces."""
    monkeypatch.setenv("COLUMNS", str(width))
    players = ["--users", "concise=1,detailed=1", "--assistant", "heuristic", "--assistant", "fixed:DA_short"]
    assert run("--episodes", "4", *players) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= width
    assert not [line for line in lines if line != line.rstrip()]
    assert any("fixed:DA_short" in line or "DA_short" in line for line in lines)
    assert any("√(U·L)" in line for line in lines)


class Silly(ScriptedPersona):
    """A persona of one's own whose rule breaks outside its game."""

    name = "silly"
    description = "fails"

    def act(self, observation: Any, info: Any) -> int:
        """Fail."""
        raise RuntimeError("my own bug")


def test_run__only_misfits_are_refused_beforehand(tmp_path: Path) -> None:
    """A player that fails in its own way is data: the episodes are played, and end in that error."""
    out = tmp_path / "run.jsonl"
    assert main(["run", "matrix", "--users", f"{__file__}:Silly", "--episodes", "1", "--out", str(out)]) == 1
    assert load_episodes(out)[0].error["message"] == "my own bug"


def test_run__appends_to_no_foreign_file(tmp_path: Path) -> None:
    """``--append`` on a file of another kind leaves it as it was, unfinished last line included."""
    foreign = tmp_path / "notes.jsonl"
    foreign.write_text("one\ntwo without an end")
    assert run("--out", str(foreign), "--append") == 2
    assert foreign.read_text() == "one\ntwo without an end"


def test_run__repairs_a_torn_line_before_appending(tmp_path: Path) -> None:
    """What a killed run has left of its last episode goes, so that the file stays readable."""
    out = tmp_path / "run.jsonl"
    assert run("--episodes", "2", "--out", str(out)) == 0
    whole = out.read_bytes()
    out.write_bytes(whole + whole[:100])
    assert run("--episodes", "1", "--out", str(out), "--append") == 0
    assert len(load_episodes(out)) == 3


def test_sink__refuses_a_folder_and_keeps_an_empty_file(tmp_path: Path) -> None:
    """A folder is no file; an empty file that was there before is not removed."""
    with pytest.raises(UsageError, match="this is a folder"):
        Sink(tmp_path)
    empty = tmp_path / "empty.jsonl"
    empty.touch()
    with Sink(empty):
        pass
    assert empty.exists()
    broken = tmp_path / "broken.jsonl"
    broken.write_text("{}\n")
    with pytest.raises(FileFormatError, match="schema"):
        Sink(broken, append=True)


def test_sink__finishes_the_line_before_an_interruption(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C while a line is being written takes effect after it."""
    out = tmp_path / "run.jsonl"
    with Sink(out) as sink:
        assert sink._writer is not None
        write = sink._writer.write

        def write_and_interrupt(episode: Episode) -> None:
            signal.raise_signal(signal.SIGINT)
            write(episode)

        monkeypatch.setattr(sink._writer, "write", write_and_interrupt)
        with pytest.raises(KeyboardInterrupt):
            sink.write(Episode(scenario="s", view="strategic", seed=0))
    assert sink.written == 1
    assert len(load_episodes(out)) == 1


def test_tally__counts_errors_and_scores_none() -> None:
    """A broken episode counts as an error with its message; its payoffs are nowhere."""
    tally = Tally()
    broken = {"type": "ModelError", "message": "down", "where": "assistant_0"}
    for _ in range(2):
        tally.add(Episode(scenario="s", view="strategic", seed=0, ended="error", error=broken))
    assert tally.errors == tally.episodes == 2
    assert tally.messages == {"assistant_0 ModelError down": 2}
    (row,) = tally.rows()
    assert row.user is None
    assert row.errors == 2


def test_progress__speaks_in_a_pipe_and_not_too_often(capsys: pytest.CaptureFixture[str]) -> None:
    """In a pipe there is a line now and then, and one at the end."""
    with Progress("things", 3, every=0.0) as progress:
        for _ in range(3):
            progress.advance("(now)")
    assert capsys.readouterr().err.splitlines() == ["1/3 things (now)", "2/3 things (now)", "3/3 things"]
    with Progress("things", 100) as progress:
        for _ in range(50):
            progress.advance()
    assert capsys.readouterr().err.splitlines() == ["50/100 things"]


def test_progress__draws_a_bar_on_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a terminal it is a bar, which goes away at the end."""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with Progress("things", 2) as progress:
        progress.advance("(now)")
        assert progress._bar.tasks[0].completed == 1
    assert progress._bar.finished is False
    assert "things (now)" in progress._bar.tasks[0].description
    assert capsys.readouterr().out == ""


def test_options__read_json_where_it_is_json() -> None:
    """Values keep their type; anything else is text."""
    assert read_options(["a=1", "b=true", "c=x=y", 'd={"k": [1]}', "e="]) == {
        "a": 1,
        "b": True,
        "c": "x=y",
        "d": {"k": [1]},
        "e": "",
    }
    with pytest.raises(UsageError, match="KEY=VALUE"):
        read_options(["=1"])


def test_scenario_id__knows_ids_short_names_and_entry_points() -> None:
    """All three ways to name a scenario lead to what records hold."""
    assert scenario_id("gtalign/Assist-v0") == scenario_id("assist") == "gtalign/Assist-v0"
    assert scenario_id("my.games:trust") == "my.games:trust"
    with pytest.raises(UsageError, match="unknown scenario"):
        scenario_id("C:\\games")


def test_print_json__has_no_numbers_that_json_lacks(capsys: pytest.CaptureFixture[str]) -> None:
    """Infinities and NaN become null, so that any parser can read the output."""
    common.print_json({"a": float("nan"), "b": [float("inf"), 1.5]})
    assert json.loads(capsys.readouterr().out) == {"a": None, "b": [None, 1.5]}
