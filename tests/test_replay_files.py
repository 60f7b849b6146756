"""``gtalign replay`` on files: verification, pages, and what it says of files that are none."""

from __future__ import annotations

import functools
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import msgspec
import pytest
from rich.cells import cell_len

import gtalign_env.agents  # noqa: F401 - registers the players
from gtalign_env import parallel_env
from gtalign_env.cli import main
from gtalign_env.episode import Episode, EpisodeWriter
from gtalign_env.errors import UsageError
from gtalign_env.play import play_episode
from gtalign_env.registration import ASSISTANTS, PERSONAS
from gtalign_env.replay import Look, tell, verify_episode
from gtalign_env.replay.export import Run, episode_title, export, page_title, runs, to_html, to_svg
from gtalign_env.replay.frame import frame_lines
from gtalign_env.replay.verify import version_note

PLAYS = [
    ("assist", "concise", "heuristic", 3),
    ("assist", "hurried", "random", 4),
    ("assist_text", "detailed", "heuristic", 5),
    ("matrix", "random", "random", 6),
]
Capture = pytest.CaptureFixture[str]


@functools.cache
def _played(scenario: str, persona: str, assistant: str, seed: int) -> bytes:
    env = parallel_env(scenario)
    return msgspec.json.encode(play_episode(env, PERSONAS.get(persona)(), ASSISTANTS.get(assistant)(), seed=seed))


def played(number: int = 0) -> Episode:
    """Return a recorded episode as it comes from a file."""
    return msgspec.json.decode(_played(*PLAYS[number]), type=Episode)


def written(path: Path, *episodes: Episode) -> str:
    """Write episodes to a file and return its name."""
    with EpisodeWriter(path) as writer:
        for episode in episodes:
            writer.write(episode)
    return str(path)


@pytest.fixture
def run_file(tmp_path: Path) -> str:
    """A file with one episode of every scenario."""
    return written(tmp_path / "run.jsonl", *(played(number) for number in range(len(PLAYS))))


def replay(*arguments: str) -> int:
    """Run ``gtalign replay``."""
    return main(["replay", *arguments])


def test_replay_summary__only_the_table(run_file: str, capsys: Capture) -> None:
    """With --summary there is the table and no frame."""
    assert replay(run_file, "--summary", "--width", "80") == 0
    out = capsys.readouterr().out
    assert f"{len(PLAYS)} episodes" in out
    assert "step 1" not in out
    assert "\x1b" not in out


# -- verification ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", range(len(PLAYS)))
def test_verify__recorded_episodes_hold(number: int) -> None:
    """Every record that play writes is what playing it again gives, in both views."""
    assert verify_episode(played(number)) == []


def test_verify__rebuilds_options_and_time_limits() -> None:
    """Options of the environment and of the reset are part of what is played again."""
    options: dict[str, Any] = {"questions": 2, "pricing": "per_token", "max_cycles": 2}
    env = parallel_env("assist", **options)
    persona, assistant = PERSONAS.get("concise")(), ASSISTANTS.get("fixed")()
    episode = play_episode(env, persona, assistant, seed=8, reset_options={"task": "complex"})
    episode = msgspec.json.decode(msgspec.json.encode(episode), type=Episode)
    assert episode.env_options == options
    assert verify_episode(episode) == []
    episode.env_options = {}
    assert verify_episode(episode) != []


def _payoff(episode: Episode) -> None:
    episode.steps[1].user.items["value"] += 0.25


def _sum(episode: Episode) -> None:
    episode.steps[1].assistant.payoff = 7.0


def _digest(episode: Episode) -> None:
    episode.steps[1].user.digest = "0" * 16


def _move(episode: Episode) -> None:
    episode.steps[1].user.move = "LEAVE"


def _outcome(episode: Episode) -> None:
    assert episode.steps[1].outcome is not None
    episode.steps[1].outcome["quality"] = 0.123


def _public(episode: Episode) -> None:
    episode.steps[1].public["kind"] = "other"


def _event(episode: Episode) -> None:
    episode.steps[1].events["violation"] = True


def _item(episode: Episode) -> None:
    del episode.steps[1].assistant.items["revenue"]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (_payoff, "user_0.items.value"),
        (_sum, "assistant_0.payoff"),
        (_digest, "user_0.observation"),
        (_move, "user_0.move"),
        (_outcome, "outcome.quality"),
        (_public, "public.kind"),
        (_event, "events.violation"),
        (_item, "assistant_0.items.revenue"),
    ],
)
def test_verify__names_the_place(change: Callable[[Episode], None], field: str) -> None:
    """One altered field gives one difference, with its step and its name."""
    episode = played()
    change(episode)
    (found,) = verify_episode(episode)
    assert (found.step, found.field) == (1, field)
    assert str(found).startswith(f"step 2, {field}: recorded ")


def test_verify__altered_action() -> None:
    """Another action shows in the step in which it was taken."""
    episode = played()
    episode.steps[1].assistant.action = (episode.steps[1].assistant.action + 1) % 8
    found = verify_episode(episode)
    assert found
    assert {difference.step for difference in found} == {1}
    assert "assistant_0.move" in {difference.field for difference in found}


def test_verify__altered_words() -> None:
    """In the text view the words are the action: others show."""
    episode = played(2)
    episode.steps[0].assistant.action["text"] += " And more."
    assert "assistant_0.text" in {difference.field for difference in verify_episode(episode)}


def test_verify__altered_seed_and_theta() -> None:
    """Another seed or another θ shows before the first step or in it."""
    episode = played()
    episode.seed += 1
    found = verify_episode(episode)
    assert found
    assert {difference.step for difference in found} <= {None, 0, 1, 2}
    episode = played()
    episode.hidden["user_type"]["patience"] = 99.0
    (difference,) = verify_episode(episode)
    assert (difference.step, difference.field) == (None, "hidden.user_type.patience")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (lambda e: e.steps.append(e.steps[-1]), "end"),
        (lambda e: e.steps.pop(), "ended"),
        (lambda e: setattr(e, "ended", "truncated"), "ended"),
        (lambda e: setattr(e, "violation", True), "violation"),
        (lambda e: setattr(e, "seed", -1), "reset"),
        (lambda e: setattr(e.steps[0].user, "action", 99), "action"),
        (lambda e: setattr(e.steps[0].user, "action", None), "action"),
        (lambda e: setattr(e, "reset_options", {"user_type": {"patience": -1}}), "reset"),
    ],
)
def test_verify__ends_and_impossible_actions(change: Callable[[Episode], Any], field: str) -> None:
    """Steps too many or too few, another end, impossible seeds and actions are differences, not crashes."""
    episode = played()
    change(episode)
    assert field in {difference.field for difference in verify_episode(episode)}


def test_verify__an_episode_that_broke_off_holds() -> None:
    """What was played before a player failed is proved; that it failed cannot be played again."""
    episode = played()
    del episode.steps[2:]
    episode.ended, episode.error = "error", {"type": "RuntimeError", "message": "", "where": "user_0"}
    assert verify_episode(episode) == []


def test_verify__runs_no_code_that_a_file_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A scenario given as module:attr is imported only when the reader says so."""
    module = tmp_path / "their_game.py"
    module.write_text(
        "from gtalign_env.scenarios.matrix.paper import paper_matrix as game\n"
        "import pathlib\npathlib.Path('loaded').touch()\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    episode = played(3)
    episode.scenario = "their_game:game"
    with pytest.raises(UsageError, match=r"not registered here.*--trust"):
        verify_episode(episode)
    assert tell(episode).frames == len(episode.steps)
    assert not Path("loaded").exists()
    assert verify_episode(episode, trust=True) == []
    assert Path("loaded").exists()


def test_verify__options_that_do_not_fit() -> None:
    """Options that the scenario does not have are one clear sentence."""
    episode = played()
    episode.env_options = {"nonsense": 1}
    with pytest.raises(UsageError, match="nonsense"):
        verify_episode(episode)


def test_version_note__only_where_versions_differ() -> None:
    """Other library versions are noted, with both numbers."""
    episode = played()
    assert version_note(episode) == ""
    episode.versions["numpy"] = "0.0.1"
    episode.versions["a\x1b[2J"] = "1"
    assert "numpy 0.0.1 (here " in version_note(episode)
    assert "\x1b" not in version_note(episode)


def test_replay_verify__exit_codes_and_words(run_file: str, tmp_path: Path, capsys: Capture) -> None:
    """0 and one sentence when all holds; 1 and the place when not; a note about versions is no failure."""
    assert replay(run_file, "--verify") == 0
    assert capsys.readouterr().out == "4 episodes: played again, every step is as recorded\n"
    good, bad = played(), played(1)
    good.versions["numpy"] = "0.0.1"
    bad.steps[0].user.payoff += 1.0
    path = written(tmp_path / "bad.jsonl", good, bad)
    assert replay(path, "--verify") == 1
    printed = capsys.readouterr()
    assert "episode 2, step 1, user_0.payoff: recorded " in printed.out
    assert "1 of 2 episodes differ" in printed.out
    assert "note: 1 episode recorded with other versions: numpy 0.0.1" in printed.err
    assert replay(path, "--verify", "--episode", "1") == 0
    capsys.readouterr()
    assert replay(path, "--verify", "--json") == 1
    report = json.loads(capsys.readouterr().out)
    assert (report["episodes"], report["equal"]) == (2, False)
    assert report["differences"][0]["episode"] == 2
    assert report["differences"][0]["field"] == "user_0.payoff"


# -- pages ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["txt", "svg", "html"])
def test_export__same_bytes_every_time(ending: str, tmp_path: Path) -> None:
    """An export is written, holds every frame, and depends on nothing but the episode."""
    story = tell(played(2))
    for name in ("a", "b"):
        export(tmp_path / f"{name}.{ending}", [story], width=90, look=Look())
    first = (tmp_path / f"a.{ending}").read_bytes()
    assert first == (tmp_path / f"b.{ending}").read_bytes()
    text = first.decode()
    for step in range(story.frames):
        assert f"step {step + 1} of {story.frames}" in text
    assert b"\r" not in first


def test_export_svg__is_a_picture_with_a_title() -> None:
    """The SVG parses, names itself, loads nothing, and its text is that of the frames."""
    story = tell(played())
    picture = to_svg(story, width=80, scheme="auto", look=Look())
    root = ElementTree.fromstring(picture)
    space = "{http://www.w3.org/2000/svg}"
    title = root.find(f"{space}title")
    assert title is not None
    assert title.text == episode_title(story) == "concise and heuristic in gtalign/Assist-v0"
    assert "http" not in picture.replace('xmlns="http://www.w3.org/2000/svg"', "")
    assert "prefers-color-scheme: dark" in picture
    drawn = "".join("".join(node.itertext()) for node in root.iter(f"{space}text"))
    looks = [Look(), *[Look(hints=False)] * (story.frames - 1)]  # hints stand there once
    expected = "".join(line.plain for step, look in enumerate(looks) for line in frame_lines(story, step, 80, look))
    assert re.sub(r"\s", "", drawn) == re.sub(r"\s", "", episode_title(story) + expected)
    edge = float(root.attrib["width"])
    for node in root.iter(f"{space}text"):
        assert float(node.attrib["x"]) + float(node.attrib.get("textLength", 0)) <= edge


@pytest.mark.parametrize("scheme", ["auto", "dark", "light"])
def test_export_html__is_one_closed_page(scheme: Any) -> None:
    """The page has a title, a policy that forbids loading anything, one section per frame, and the wanted colours."""
    stories = [tell(played(number), index=number, count=4) for number in range(4)]
    page = to_html(stories, width=100, scheme=scheme, look=Look(reveal=True))
    assert "<title>4 episodes of gtalign/Assist-v0</title>" in page
    assert page_title(stories[:1]) == episode_title(stories[0])
    assert "default-src 'none'" in page
    assert not re.search(r"(src|href)=", page)
    assert page.count("<section ") == sum(story.frames for story in stories)
    assert ("prefers-color-scheme" in page) == (scheme == "auto")


@pytest.mark.parametrize("ending", [".svg", ".html"])
def test_export__hostile_text_stays_text(ending: str, tmp_path: Path) -> None:
    """Markup, scripts and characters that XML cannot hold come out as text or not at all."""
    episode = played(2)
    episode.players["user_0"] = "</title><script>alert(1)</script>"
    for step in episode.steps:
        step.assistant.text = step.assistant.text and "</pre><script>alert(2)</script> & <b> ]]> \ufffe\x1b[1m \ud800"
    path = tmp_path / f"x{ending}"
    export(path, [tell(episode)], look=Look(full=True))
    text = path.read_text(encoding="utf-8")
    assert "<script>alert" not in text
    assert "alert(2)" in text.replace("&lt;", "<")
    if ending == ".svg":
        ElementTree.fromstring(text)


def test_runs__later_styles_win() -> None:
    """A piece of text has one colour, the last one; bold comes on top."""
    from rich.text import Text

    line = Text("abc", style="muted")
    line.stylize("user", 1, 2)
    line.stylize("strong", 1, 3)
    assert runs(line) == [Run("a", ("muted",)), Run("b", ("user", "strong")), Run("c", ("muted", "strong"))]


@pytest.mark.parametrize(
    ("name", "chosen", "words"),
    [
        ("x.pdf", ["--episode", "1"], "ends in .txt, .svg, .html"),
        ("nowhere/x.svg", ["--episode", "1"], "does not exist; create it"),
        ("x.svg", [], "pick one with --episode N"),
    ],
)
def test_replay_export__refusals(
    name: str, chosen: list[str], words: str, run_file: str, tmp_path: Path, capsys: Capture
) -> None:
    """Other endings, missing folders and several episodes in one picture are refused in a sentence."""
    assert replay(run_file, *chosen, "--export", str(tmp_path / name)) == 2
    assert words in capsys.readouterr().err


def test_replay_export__says_what_it_wrote(run_file: str, tmp_path: Path, capsys: Capture) -> None:
    """One line names the file and what is in it."""
    page = tmp_path / "page.html"
    assert replay(run_file, "--export", str(page), "--theme", "light") == 0
    assert capsys.readouterr().out.endswith("frames of 4 episodes\n")
    assert page.stat().st_size > 1000


# -- printing -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [60, 80, 160])
def test_replay__prints_summary_and_frames_in_a_pipe(width: int, run_file: str, capsys: Capture) -> None:
    """Without a terminal everything comes below each other, within the width, without escape codes."""
    assert replay(run_file, "--width", str(width)) == 0
    out = capsys.readouterr().out
    assert max(map(cell_len, out.splitlines())) <= width
    assert "\x1b" not in out
    assert out.index("√(U·L)") < out.index("episode 1 of 4") < out.index("episode 4 of 4")


def test_replay__one_episode_one_step(run_file: str, capsys: Capture) -> None:
    """--episode and --step choose; the place in the file is still told; speed makes no difference in a pipe."""
    assert replay(run_file, "--episode", "2", "--step", "1", "--speed", "3") == 0
    out = capsys.readouterr().out
    assert "episode 2 of 4 · step 1 of" in out
    assert "step 2 of" not in out
    assert "persona  " not in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--episode", "9"], "holds 4 episodes"),
        (["--episode", "1", "--step", "99"], "episode 1 has"),
        (["--width", "40"], "needs at least 60 columns"),
        (["--summary", "--width", "40"], "needs at least 60 columns"),
        (["--json"], "--json goes with --summary or --verify"),
    ],
)
def test_replay__wrong_usage(arguments: list[str], words: str, run_file: str, capsys: Capture) -> None:
    """Each wrong wish is one sentence and exit code 2."""
    assert replay(run_file, *arguments) == 2
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments", [["--speed", "fast"], ["--speed", "0"], ["--episode", "0"], ["--verify", "--summary"]]
)
def test_replay__impossible_options(arguments: list[str], run_file: str, capsys: Capture) -> None:
    """Values out of range and options that exclude each other are refused by the parser."""
    assert replay(run_file, *arguments) == 2
    assert "error: argument" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "holds no episode"),
        (b"just some notes\n", "expected an episode"),
        (b'{"name": "something else"}\n', "expected an episode"),
        (b'[1, 2]\n{"a": 1}\n', "expected an episode"),
        (b"\xff\xfe\x00\x01\n\x00", "expected an episode"),
        (b'{"schema":"gtalign-episode/99","scenario":"s","view":"strategic","seed":0}\n', "expected schema"),
    ],
)
@pytest.mark.parametrize("how", [[], ["--summary"], ["--verify"], ["--export", "x.html"]])
def test_replay__foreign_files(
    content: bytes, words: str, how: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    """A file that holds no episodes ends in one sentence that names it, and nothing is written."""
    monkeypatch.chdir(tmp_path)
    Path("other.jsonl").write_bytes(content)
    assert replay("other.jsonl", *how) == 2
    error = capsys.readouterr().err
    assert words in error
    assert "other.jsonl" in error
    assert len(error.splitlines()) == 1
    assert not Path("x.html").exists()


def test_replay__missing_file(tmp_path: Path, capsys: Capture) -> None:
    """A file that is not there is named."""
    assert replay(str(tmp_path / "none.jsonl")) == 2
    assert "there is no such file" in capsys.readouterr().err


@pytest.mark.parametrize("how", [[], ["--summary"], ["--verify"]])
def test_replay__torn_last_line(how: list[str], tmp_path: Path, capsys: Capture) -> None:
    """What a killed run left is skipped with a note; the rest is shown."""
    path = tmp_path / "torn.jsonl"
    written(path, played())
    path.write_bytes(path.read_bytes() + msgspec.json.encode(played(1))[:900])
    assert replay(str(path), *how) == 0
    printed = capsys.readouterr()
    assert "the last line is incomplete and was skipped" in printed.err
    assert printed.out


def _shell(command: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command}"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHON": sys.executable, **environ},
        check=False,
        timeout=120,
    )


def test_replay__closed_pipe(run_file: str) -> None:
    """A reader that has seen enough is no error."""
    done = _shell(f'"$PYTHON" -m gtalign_env replay {run_file} | head -n 1')
    assert (done.returncode, done.stderr) == (0, "")
    assert "4 episodes" in done.stdout


def test_replay__ascii_pipe(run_file: str) -> None:
    """A pipe that takes no Unicode gets stand-ins, not an error."""
    done = _shell(f'"$PYTHON" -m gtalign_env replay {run_file} --episode 1', PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, "")
    assert "USER" in done.stdout
    assert done.stdout.isascii()
