"""``gtalign replay``: transcripts, damaged files, pages on narrow screens, and what is said of what is not shown."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest
from rich.cells import cell_len

import gtalign_env.agents  # noqa: F401 - registers the players
from gtalign_env import parallel_env
from gtalign_env.cli import main
from gtalign_env.episode import Episode, EpisodeWriter
from gtalign_env.errors import FileFormatError
from gtalign_env.play import play_episode
from gtalign_env.registration import ASSISTANTS, PERSONAS
from gtalign_env.render import signed
from gtalign_env.replay import Look, frame_lines, tell, transcript_lines
from gtalign_env.replay.export import to_html, to_svg
from gtalign_env.replay.reading import DamagedLineWarning, iter_undamaged
from gtalign_env.replay.stage import stage_matrix, why_no_stage
from gtalign_env.types import ASSISTANT

Capture = pytest.CaptureFixture[str]
CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]")


def played(scenario: str = "assist_text", seed: int = 3) -> Episode:
    """Return a recorded episode as it comes from a file."""
    persona, assistant = PERSONAS.get("concise")(), ASSISTANTS.get("heuristic")()
    if scenario == "matrix":
        persona, assistant = PERSONAS.get("random")(), ASSISTANTS.get("random")()
    episode = play_episode(parallel_env(scenario), persona, assistant, seed=seed)
    return msgspec.json.decode(msgspec.json.encode(episode), type=Episode)


def written(path: Path, *episodes: Episode) -> str:
    """Write episodes to a file and return its name."""
    with EpisodeWriter(path) as writer:
        for episode in episodes:
            writer.write(episode)
    return str(path)


def replay(*arguments: str) -> int:
    """Run ``gtalign replay``."""
    return main(["replay", *arguments])


def shown(episode: Episode, width: int = 80, look: Look | None = None) -> str:
    """Return all frames of an episode as plain text."""
    story = tell(episode)
    return "\n".join(line.plain for step in range(story.frames) for line in frame_lines(story, step, width, look))


# -- transcripts ----------------------------------------------------------------------------------------------------------


def test_transcript__every_word_with_its_speaker_and_its_payoffs() -> None:
    """The opening, every utterance, the payoffs under each reply and the end are there, in order and whole."""
    episode = played()
    lines = list(transcript_lines(tell(episode)))
    text = "\n".join(lines)
    at = text.index(f"USER: {episode.opening}")
    for step in episode.steps:
        speaker, side = ("ASSISTANT", step.assistant) if step.to_move == ASSISTANT else ("USER", step.user)
        at = text.index(f"{speaker}: {side.text.splitlines()[0]}", at)
        for line in side.text.split("\n"):
            assert line.strip() in text
    replies = [step for step in episode.steps if step.to_move == ASSISTANT]
    told = [line for line in lines if line.startswith("  payoffs: ")]
    assert len(told) == len(replies)
    for line, step in zip(told, replies, strict=True):
        assert f"user {signed(step.user.payoff).strip()}, assistant {signed(step.assistant.payoff).strip()}" in line
    assert lines[-2] == "the end: the session is over"
    assert episode.tasks[0]["id"] not in text
    assert "θ" not in text


def test_transcript__reveals_the_task_and_theta() -> None:
    """With reveal each question's task, its meaning and its answers stand before its words, and θ at the start."""
    episode = played()
    text = "\n".join(transcript_lines(tell(episode), reveal=True))
    assert text.index("[θ: concise: ideal tokens 60") < text.index("USER: ")
    asked = {int(step.public["question"]) for step in episode.steps}
    for number, task in enumerate(episode.tasks):
        assert text.count(f"[task {task['id']}]") == (number in asked)
        if number in asked:
            assert " ".join(task["detailed"].split()) in text


def test_transcript__moves_in_words() -> None:
    """A game without words is told by its moves."""
    episode = played("assist")
    lines = list(transcript_lines(tell(episode)))
    assert sum(line.startswith("USER: ") for line in lines) == len(episode.steps)
    assert sum(line.startswith("ASSISTANT: ") for line in lines) == len(episode.steps)
    assert not any(move in "\n".join(lines) for move in ("VQ_", "DQ_", "DA_", "AQ_"))


def test_transcript__wraps_only_where_it_should() -> None:
    """Without a width a line is a line of the text; with one none is longer."""
    episode = played()
    episode.steps[0].assistant.text = "word " * 200
    whole = list(transcript_lines(tell(episode)))
    assert max(map(len, whole)) > 900
    assert max(map(len, transcript_lines(tell(episode), width=60))) <= 60


def test_transcript__notes_what_was_odd_and_hides_nothing_dangerous() -> None:
    """Illegal moves are noted, control characters do not pass, an empty utterance is named, an error ends it."""
    episode = played()
    first, second = episode.steps[0], episode.steps[1]
    first.assistant.text, second.user.text = "\x1b[2J\x07mine \u202e", ""
    first.assistant.illegal = second.user.illegal = True
    episode.ended, episode.error = "error", {"type": "ModelError", "message": "\x1b[1mdown", "where": "assistant_0"}
    text = "\n".join(transcript_lines(tell(episode), reveal=True))
    assert not CONTROL.search(text)
    assert text.count("! illegal move, counted as none") == 2
    assert "USER: (says nothing)" in text
    assert "broken off by assistant_0: ModelError: down" in text


def test_replay_transcript__of_files_and_of_one_episode(tmp_path: Path, capsys: Capture) -> None:
    """Episodes follow each other; --episode chooses one; --step makes no sense with it."""
    path = written(tmp_path / "run.jsonl", played(), played("assist"), played("matrix"))
    assert replay(path, "--transcript") == 0
    out = capsys.readouterr().out
    assert re.findall(r"^episode (\d) of 3: ", out, re.MULTILINE) == ["1", "2", "3"]
    assert out.count("the end: ") == 3
    assert replay(path, "--transcript", "--episode", "2", "--reveal", "--width", "70") == 0
    out = capsys.readouterr().out
    assert out.startswith("episode 2 of 3: ")
    assert out.count("the end: ") == 1
    assert max(map(cell_len, out.splitlines())) <= 70
    assert replay(path, "--transcript", "--step", "1") == 2
    assert "leave --step out" in capsys.readouterr().err


# -- frames ---------------------------------------------------------------------------------------------------------------


def test_frame__full_does_not_repeat_the_message_before() -> None:
    """Shown whole, a long message comes once: the frame after it only recalls how it began."""
    episode = played()
    episode.steps[0].assistant.text = " ".join(f"word{i}" for i in range(300))
    text = shown(episode, look=Look(full=True))
    assert text.count("word0 ") == 2
    assert text.count("word299") == 1


def test_frame__moves_in_plain_words_first() -> None:
    """How a text was read is said in words, its code stands behind in brackets."""
    episode = played()
    text = shown(episode)
    assert re.search(r"answers directly, \w+ \[DA_\w+\]|asks a clarifying question \[CQ\]", text)
    assert re.search(r"put (in detail|vaguely)[^\n]* \[[DV]Q_\w+\]", text)
    assert not re.search(r"[A-Z]{2}_\w+: ", text)
    episode.steps[0].assistant.move = "raise"
    assert "raise [" not in shown(episode)


@pytest.mark.parametrize("width", [60, 80, 100, 140, 160])
def test_frame__says_what_the_cells_of_the_matrix_hold(width: int) -> None:
    """The matrix's title says that a cell is more than this step: this exchange and one more reply; a round is a round."""
    text = shown(played("assist"), width)
    assert re.search(r"stage game: this exchange (and one more|\+ one) reply .*population", text)
    if width >= 80:
        assert "this exchange and one more reply" in text
    assert "stage game: this round ─" in shown(played("matrix"), width)


def test_frame__an_unregistered_game_says_why_it_has_no_matrix(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    """A module:attr game has one muted line instead of a matrix, and its matrix where the file is trusted."""
    (tmp_path / "replay_words_game.py").write_text(
        "from gtalign_env.scenarios.matrix.paper import paper_matrix as game\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    episode = played("matrix")
    episode.scenario = "replay_words_game:game"
    why = "no stage game: replay_words_game:game is not a registered scenario; --trust imports it"
    assert why_no_stage(episode) == why
    assert why in shown(episode)
    assert stage_matrix(episode, 0, trust=True) is not None
    path = written(tmp_path / "run.jsonl", episode)
    assert replay(path) == 0
    assert capsys.readouterr().out.count("no stage game: ") == 1
    assert replay(path, "--trust") == 0
    out = capsys.readouterr().out
    assert "no stage game" not in out
    assert "stage game: this round" in out


def test_frame__says_when_a_game_cannot_be_rebuilt() -> None:
    """Unknown options of a registered game are the reason for having no matrix."""
    episode = played("assist")
    episode.env_options = {"pricing": "my_price"}
    assert "no stage game: the game cannot be rebuilt: unknown pricing 'my_price'" in shown(episode, 160)


def test_pages__say_once_that_theta_is_hidden(tmp_path: Path, capsys: Capture) -> None:
    """However many cards there are, the hint at --reveal stands there once; with --reveal not at all."""
    story = tell(played())
    assert to_svg(story, width=80, scheme="auto", look=Look()).count("θ hidden") == 1
    page = to_html([story, tell(played(seed=4), index=1, count=2)], width=80, scheme="auto", look=Look())
    assert page.count("θ hidden") == 2  # once in either layout
    assert replay(written(tmp_path / "x.jsonl", played())) == 0
    assert capsys.readouterr().out.count("θ hidden") == 1
    assert "θ hidden" not in to_svg(story, width=80, scheme="auto", look=Look(reveal=True))


@pytest.mark.parametrize("scenario", ["assist", "assist_text", "matrix"])
@pytest.mark.parametrize("width", [40, 46])
def test_frame__stacked_for_narrow_pages(scenario: str, width: int) -> None:
    """A narrow layout fits, keeps both sides' payoffs and the matrix, and says everything the wide one says."""
    story = tell(played(scenario))
    for step in range(story.frames):
        lines = [line.plain for line in frame_lines(story, step, width, Look(stacked=True, reveal=True))]
        assert max(map(cell_len, lines)) <= width
        assert sum(line.startswith("so far") for line in lines) == 2
        assert ("[ ] made" in "\n".join(lines)) == (stage_matrix(story.episode, step) is not None)


def test_export_html__has_a_layout_for_narrow_screens() -> None:
    """Every frame comes in both layouts, of which one is shown by the screen's width."""
    story = tell(played())
    page = to_html([story], width=100, scheme="auto", look=Look())
    assert page.count('<pre class="wide">') == page.count('<pre class="narrow">') == story.frames
    assert "@media (max-width:" in page
    for block in re.findall(r'<pre class="narrow">(.*?)</pre>', page, re.DOTALL):
        assert max(cell_len(re.sub(r"<[^>]+>|&\w+;", "", line)) for line in block.splitlines()) <= 46


# -- files ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", [".jsonl", ".jsonl.zst"])
def test_iter_undamaged__reads_around_foreign_lines(ending: str, tmp_path: Path) -> None:
    """Lines that are no episodes are told and skipped, wherever they stand; all others come."""
    good = msgspec.json.encode(played("matrix")) + b"\n"
    other = b'{"schema":"gtalign-episode/99","scenario":"s","view":"strategic","seed":0}\n'
    content = good + b"some words\n\n" + good + other + b"\xff\xfe\n" + good[:90]
    if ending.endswith(".zst"):
        zstandard = pytest.importorskip("zstandard")
        content = zstandard.ZstdCompressor().compress(content) + zstandard.ZstdCompressor().compress(good)
    path = tmp_path / f"run{ending}"
    path.write_bytes(content)
    with pytest.warns(DamagedLineWarning, match=r"line \d is no episode and was skipped") as told:
        found = list(iter_undamaged(path))
    assert len(found) == 2
    assert [re.findall(r"line (\d)", str(note.message)) for note in told] == [["2"], ["5"], ["6"], ["7"]]


def test_iter_undamaged__torn_compression(tmp_path: Path) -> None:
    """What cannot be decompressed any more is told; what came before is there."""
    zstandard = pytest.importorskip("zstandard")
    path = tmp_path / "run.jsonl.zst"
    whole = zstandard.ZstdCompressor().compress(msgspec.json.encode(played("matrix")) + b"\n")
    path.write_bytes(whole + b"not compressed at all")
    with pytest.warns(DamagedLineWarning, match="cannot be decompressed"):
        assert len(list(iter_undamaged(path))) == 1


def test_iter_undamaged__nothing_to_read(tmp_path: Path) -> None:
    """A file without any episode is still refused, and so is one that is not there."""
    path = tmp_path / "notes.jsonl"
    path.write_text("a\nb\n")
    with pytest.warns(DamagedLineWarning), pytest.raises(FileFormatError, match="no line of the file is an episode"):
        list(iter_undamaged(path))
    with pytest.raises(FileFormatError, match="there is no such file"):
        list(iter_undamaged(tmp_path / "none"))


def test_replay__a_foreign_line_in_the_middle(tmp_path: Path, capsys: Capture) -> None:
    """It is an error that names the way round it; on that way it is noted, and the rest is read."""
    line = msgspec.json.encode(played("matrix")) + b"\n"
    path = tmp_path / "run.jsonl"
    path.write_bytes(line + b"oops\n" + line)
    assert replay(str(path), "--summary") == 2
    error = capsys.readouterr().err
    assert "line 2" in error
    assert "--skip-damaged" in error
    assert len(error.splitlines()) == 1
    for how in (["--summary"], ["--verify"], ["--transcript"]):
        assert replay(str(path), "--skip-damaged", *how) == 0
        printed = capsys.readouterr()
        assert "note: " in printed.err
        assert "line 2 is no episode and was skipped" in printed.err
        assert printed.out


def test_replay__a_folder_is_no_file(tmp_path: Path, capsys: Capture) -> None:
    """A folder is called a folder, and the files in it that may be meant are named."""
    assert replay(str(tmp_path)) == 2
    assert "this is a folder; expected a file of episodes, and there is none in it" in capsys.readouterr().err
    for number in range(7):
        (tmp_path / f"run{number}.jsonl").touch()
    assert replay(str(tmp_path), "--verify") == 2
    assert "run0.jsonl, run1.jsonl, run2.jsonl, run3.jsonl, run4.jsonl, …" in capsys.readouterr().err


def test_replay_export__overwrites_only_when_told_to(tmp_path: Path, capsys: Capture) -> None:
    """A file that is there stays as it is unless --force is given; --force goes with nothing else."""
    path, page = written(tmp_path / "run.jsonl", played("matrix")), tmp_path / "page.txt"
    page.write_text("mine")
    assert replay(path, "--export", str(page)) == 2
    assert "the file exists; choose another name, or overwrite it with --force" in capsys.readouterr().err
    assert page.read_text() == "mine"
    assert replay(path, "--export", str(page), "--force") == 0
    assert "step 1 of" in page.read_text()
    assert replay(path, "--force") == 2
    assert "--force goes with --export" in capsys.readouterr().err
