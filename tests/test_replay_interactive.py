"""The replay on a terminal: keys, places, the screen, and a real pseudo-terminal."""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import gtalign_env.agents  # noqa: F401 - registers the players
from gtalign_env import parallel_env
from gtalign_env.episode import Episode, EpisodeWriter, load_episodes
from gtalign_env.play import play_episode
from gtalign_env.registration import ASSISTANTS, PERSONAS
from gtalign_env.replay.interactive import Screen, can_interact, watch
from gtalign_env.replay.keys import KeyReader, decode_keys
from gtalign_env.replay.player import HELP, SPEEDS, Stand, advance, press

ALL_KEYS = [*"nbgprfs?hqjk[]+-= 0123456789xé", "right", "left", "up", "down", "home", "end", "pgup", "pgdn", "enter"]
ALL_KEYS += ["escape", "backspace"]


def stand(*keys: str, **fields: Any) -> Stand:
    """Return where keys lead from the start of a file with episodes of 3, 1 and 5 frames."""
    here = Stand(frames=(3, 1, 5), **fields)
    for key in keys:
        here = press(here, key)
    return here


# -- where a key leads ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keys", "place"),
    [
        (["right"], (0, 1)),
        ([" ", "n"], (0, 2)),
        (["right", "right", "left"], (0, 1)),
        (["n", "n", "b", "b", "b"], (0, 0)),
        (["right"] * 9, (0, 2)),
        (["end"], (0, 2)),
        (["end", "home"], (0, 0)),
        (["]"], (1, 0)),
        (["]", "]", "]", "]"], (2, 0)),
        (["]", "]", "["], (1, 0)),
        (["["], (0, 0)),
        (["g", "3", "enter"], (0, 2)),
        (["]", "]", "g", "1", "7", "backspace", "backspace", "5", "enter"], (2, 4)),
        (["g", "9", "enter"], (0, 0)),
        (["g", "0", "enter"], (0, 0)),
        (["g", "2", "escape", "right"], (0, 1)),
        (["g", "enter", "right"], (0, 1)),
    ],
)
def test_press__walks_and_jumps(keys: list[str], place: tuple[int, int]) -> None:
    """Steps stop at both ends, episodes too, and a jump goes to the step that was named."""
    here = stand(*keys)
    assert (here.episode, here.step) == place
    assert here.prompt is None


def test_press__says_why_it_does_not_go_on() -> None:
    """At an end, and for a step that is not there, the status line says so until the next key."""
    assert "] goes on" in stand("end", "right").note
    assert stand("]", "]", "end", "right").note == "the end"
    assert "no other episode" in stand("[").note
    assert stand("g", "9", "enter").note == "there is no step 9: 1 to 3"
    assert stand("g", "9", "enter", "r").note == ""
    assert press(Stand(frames=(3,)), "]").note == "only this episode was opened"


@pytest.mark.parametrize("keys", [["x"], ["s", "x"], ["escape"], ["\x01"]])
def test_press__hints_at_the_help_for_a_key_without_meaning(keys: list[str]) -> None:
    """A key that does nothing says so, on every page, and names the way to the keys."""
    here = stand(*keys)
    assert "does nothing here: ? shows the keys" in here.note
    assert here.note.isprintable()
    assert dataclasses.replace(here, note="") == stand(*keys[:-1])
    assert "home goes back" in stand("]", "]", "end", "p").note


def test_press__switches() -> None:
    """Reveal, full text, play and speed switch, and switch back."""
    assert stand("r").reveal
    assert not stand("r", "r").reveal
    assert stand("f").full
    assert stand("p").playing
    assert not stand("p", "p").playing
    assert not stand("p", "right").playing
    assert stand("+").speed > 1.0 > stand("-").speed
    assert stand("+", "-").speed == 1.0
    assert stand(*"+" * 50).speed == SPEEDS[-1]
    assert stand(*"-" * 50).speed == SPEEDS[0]


def test_press__pages() -> None:
    """Help and summary open and close; what closes them takes no step; q closes the help and leaves from the others."""
    assert stand("?").page == "help"
    assert stand("s").page == "summary"
    for key in ("escape", " ", "right", "?"):
        here = stand("?", key)
        assert (here.page, here.step) == ("frame", 0)
    assert stand("s", "p").playing
    for keys in (["q"], ["s", "q"], ["?", "q", "q"]):
        assert stand(*keys).done
    assert not stand("?", "q").done
    assert stand("?", "down").page == "help"
    assert stand("s", "?").page == "help"
    for key in ("?", "q", "escape", " "):
        assert stand("s", "?", key).page == "summary"
    assert not stand("g", "q").done


def test_press__scrolls() -> None:
    """The page moves down and never above its top; another step starts at the top."""
    assert stand("down", "j", "up").scroll == 1
    assert stand("up", "pgup").scroll == 0
    assert stand("pgdn", "right").scroll == 0


def test_press__shows_the_end_of_what_was_just_revealed() -> None:
    """Revealing and the last step look at the page's end, from which one scrolls up; whole words start at the top."""
    assert stand("r").bottom
    assert not stand("r", "r").bottom
    assert not stand("right").bottom
    for keys in (["end"], ["g", "3", "enter"], ["end", "r", "r"], ["]"]):
        assert stand(*keys).bottom
    assert not stand("f", "end").bottom
    assert not stand("end", "f").bottom
    assert stand("end", "up", "pgup").scroll == -11
    assert stand("end", "up", "down", "down").scroll == 0


@given(st.lists(st.sampled_from(ALL_KEYS), max_size=40))
def test_press__never_leaves_the_file(keys: list[str]) -> None:
    """Whatever is pressed, the viewer stands on a frame that exists."""
    here = stand(*keys)
    assert 0 <= here.episode < 3
    assert 0 <= here.step <= here.last_step
    assert here.scroll <= 0 if here.bottom else here.scroll >= 0


def test_advance__plays_through_the_file_and_stops() -> None:
    """A play visits every frame once and stops on the last one."""
    here, visited = stand("p"), [(0, 0)]
    while here.playing:
        here = advance(here)
        visited.append((here.episode, here.step))
    assert visited[:-1] == [(0, 0), (0, 1), (0, 2), (1, 0), (2, 0), (2, 1), (2, 2), (2, 3), (2, 4)]
    assert here.at_end


def test_help__names_every_key_that_does_something() -> None:
    """What the help names has an effect."""
    named = {key for keys, _ in HELP for key in re.split(r"\s+", keys)} - {
        "N",
        "enter",
        "↑",
        "↓",
        "→",
        "←",
        "space",
        "−",
    }
    here = dataclasses.replace(stand("right"), scroll=5)
    for key in named:
        assert press(here, key) != dataclasses.replace(here, note=""), key


# -- keys as bytes --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "keys"),
    [
        ("n \r\x7f", ["n", " ", "enter", "backspace"]),
        ("\x1b[A\x1b[B\x1b[C\x1b[D", ["up", "down", "right", "left"]),
        ("\x1bOC\x1b[H\x1b[4~\x1b[5~\x1b[6~", ["right", "home", "end", "pgup", "pgdn"]),
        ("\x1b[1;5C", []),
        ("\x1b", ["escape"]),
        ("\x1b[", ["escape"]),
        ("\x1bx", ["escape", "x"]),
        ("é→", ["é", "→"]),
    ],
)
def test_decode_keys__names(data: str, keys: list[str]) -> None:
    """Characters stand for themselves, sequences have names, unknown sequences are nothing."""
    assert decode_keys(data) == (keys, "")


def test_decode_keys__waits_for_the_rest() -> None:
    """A sequence that is cut in two is one key."""
    keys, rest = decode_keys("n\x1b[", complete=False)
    assert (keys, rest) == (["n"], "\x1b[")
    assert decode_keys(rest + "C") == (["right"], "")


@given(st.text(alphabet="\x1b[O;~ACHn1é"), st.integers(0, 10))
def test_decode_keys__cut_anywhere(data: str, cut: int) -> None:
    """Where a stream is cut makes no difference, and everything is used up in the end."""
    first, rest = decode_keys(data[:cut], complete=False)
    second, left = decode_keys(rest + data[cut:])
    assert left == ""
    assert first + second == decode_keys(data)[0]


def test_key_reader__reads_what_is_there() -> None:
    """Keys come as they are typed, a lone escape after a moment, and the end of input is told."""
    read, write = os.pipe()
    reader = KeyReader(read)
    assert reader.read(0.0) == []
    os.write(write, b"n\x1b[")
    assert reader.read(0.1) == ["n", "escape"]
    os.write(write, b"\x1b")
    assert reader.read(0.1) == ["escape"]
    os.close(write)
    assert reader.read(0.1) is None
    os.close(read)


# -- the screen -----------------------------------------------------------------------------------------------------------


def episodes() -> list[Episode]:
    """Return a told and a written episode."""
    persona, assistant = PERSONAS.get("detailed")(), ASSISTANTS.get("heuristic")
    return [play_episode(parallel_env(name), persona, assistant(), seed=5) for name in ("assist", "assist_text")]


@pytest.mark.parametrize("size", [(60, 10), (80, 24), (160, 50), (30, 5), (12, 3)])
def test_screen__is_exactly_as_large_as_the_terminal(size: tuple[int, int]) -> None:
    """Every page of every stand has the terminal's lines, none wider than its columns."""
    screen = Screen("run.jsonl", episodes())
    for keys in ([], [" "], [" ", "end", "r", "f"], ["?"], ["]"], ["]", "n", "f", "pgdn"], [" ", "g", "2"], [" ", "["]):
        here = screen.stand()
        for key in keys:
            here = press(here, key)
        lines = screen.lines(here, *size)
        assert len(lines) == size[1]
        assert max(line.cell_len for line in lines) <= size[0]


def test_screen__starts_with_the_summary_of_several_episodes() -> None:
    """Several episodes are summed up first; a single one is shown at once."""
    several, single = Screen("run.jsonl", episodes()), Screen("run.jsonl", episodes()[:1])
    assert several.stand().page == "summary"
    assert "√(U·L)" in "\n".join(line.plain for line in several.lines(several.stand(), 80, 24))
    assert single.stand().page == "frame"


def test_screen__whole_strategic_frame_on_80_by_24() -> None:
    """Moves, payoffs and the whole matrix of an ordinary step fit on a terminal of the usual size."""
    screen = Screen("run.jsonl", episodes()[:1])
    here = press(screen.stand(), "right")
    lines = [line.plain for line in screen.lines(here, 80, 24)]
    text = "\n".join(lines)
    for words in ("USER", "ASSISTANT", "so far", "stage game", "LEAVE", "? help"):
        assert words in text
    assert "more" not in lines[-1]


def test_screen__scrolls_what_does_not_fit() -> None:
    """A frame that is too tall says how much is below, and shows it when scrolled."""
    screen = Screen("run.jsonl", episodes()[:1])
    here = screen.stand()
    assert "more" in screen.lines(here, 80, 12)[-1].plain
    bottom = screen.lines(dataclasses.replace(here, scroll=999), 80, 12)
    assert "↑" in bottom[-1].plain
    assert "more" not in bottom[-1].plain


@pytest.mark.parametrize("number", [0, 1])
def test_screen__end_and_reveal_in_view_on_80_by_24(number: int) -> None:
    """On a terminal of the usual size, θ is in view where it was just revealed, and the result on the last step."""
    screen = Screen("run.jsonl", episodes(), only=number)
    here = press(screen.stand(), "r")
    text = "\n".join(line.plain for line in screen.lines(here, 80, 24))
    assert "hidden from the assistant" in text
    assert "θ         detailed: ideal tokens" in text
    for keys in (["end"], ["r", "end"], ["end", "r"], ["end", "r", "r"]):
        here = screen.stand()
        for key in keys:
            here = press(here, key)
        text = "\n".join(line.plain for line in screen.lines(here, 80, 24))
        assert "the end: the session is over" in text
        assert "mutual welfare" in text
        assert ("hidden from the assistant" in text) == here.reveal
    top = screen.lines(dataclasses.replace(here, scroll=-99), 80, 24)
    assert "↑" not in top[-1].plain


def test_screen__only_one_episode() -> None:
    """With one episode chosen, no other one can be reached, and its place in the file is told."""
    screen = Screen("run.jsonl", episodes(), only=1)
    here = screen.stand()
    assert here.page == "frame"
    assert len(here.frames) == 1
    assert "episode 2 of 2 · step 1 of" in screen.lines(here, 80, 24)[0].plain
    for key in ("]", "["):
        assert press(here, key).episode == 0
    last = press(press(here, "p"), "end")
    assert last.at_end
    assert not advance(dataclasses.replace(last, playing=True)).playing
    summary = "\n".join(line.plain for line in screen.lines(press(here, "s"), 80, 24))
    assert "run.jsonl: episode 2 of 2" in summary


def test_screen__names_the_way_out_of_the_help() -> None:
    """Opened from the summary, the help is shown and its last line says how to close it."""
    screen = Screen("run.jsonl", episodes())
    lines = [line.plain for line in screen.lines(press(screen.stand(), "?"), 80, 24)]
    assert "play, pause" in "\n".join(lines)
    assert "any key closes the help" in lines[-1]


def test_screen__long_words_take_longer() -> None:
    """While playing, a frame stays longer the more there is to read, and shorter at a higher speed."""
    told, text = episodes()
    screen = Screen("run.jsonl", [told, text])
    frame = Stand(frames=(len(told.steps), len(text.steps)))
    assert screen.seconds(dataclasses.replace(frame, episode=1)) > screen.seconds(frame)
    assert screen.seconds(dataclasses.replace(frame, speed=4.0)) == screen.seconds(frame) / 4
    assert screen.seconds(dataclasses.replace(frame, page="summary")) == 4.0


# -- a real terminal ------------------------------------------------------------------------------------------------------


class Terminal:
    """A pseudo-terminal with the program in it."""

    def __init__(self, command: list[str], *, columns: int = 80, lines: int = 24, **environ: str) -> None:
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self.before = termios.tcgetattr(slave)
        self.slave = slave
        env = {key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "COLUMNS", "LINES")}
        self.process = subprocess.Popen(
            command,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env={**env, "TERM": "xterm-256color", **environ},
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509 - so that Ctrl-C reaches the program
        )
        self.output = ""

    def wait_for(self, words: str, seconds: float = 30.0) -> str:
        """Read until ``words`` have come; return everything since the last wait."""
        start, until = len(self.output), time.monotonic() + seconds
        while words not in plain(self.output[start:]):
            if time.monotonic() > until or not select.select([self.master], [], [], 0.5)[0]:
                assert time.monotonic() <= until, f"{words!r} did not come; got {plain(self.output[start:])[-2000:]!r}"
                continue
            try:
                data = os.read(self.master, 65536)
            except OSError:  # the program has gone
                data = b""
            assert data, f"{words!r} did not come before the end; got {plain(self.output[start:])[-2000:]!r}"
            self.output += data.decode("utf-8", "replace")
        return self.output[start:]

    def type(self, keys: str) -> None:
        """Press keys."""
        os.write(self.master, keys.encode())

    def end(self) -> int:
        """Wait for the program's end and return its exit code."""
        until = time.monotonic() + 20
        while self.process.poll() is None and time.monotonic() < until:
            if select.select([self.master], [], [], 0.1)[0]:
                self.output += os.read(self.master, 65536).decode("utf-8", "replace")
        return self.process.wait(timeout=1)

    def close(self) -> None:
        """Give everything back."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.master)
        os.close(self.slave)


def plain(text: str) -> str:
    """Return what a terminal would show of ``text``."""
    return re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", text)


@pytest.fixture(scope="module")
def run_file(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A file of two episodes."""
    path = tmp_path_factory.mktemp("replay") / "run.jsonl"
    with EpisodeWriter(path) as writer:
        for episode in episodes():
            writer.write(episode)
    return str(path)


@contextlib.contextmanager
def opened(*arguments: str, **options: Any) -> Iterator[Terminal]:
    """Run ``gtalign replay`` on a pseudo-terminal."""
    terminal = Terminal([sys.executable, "-m", "gtalign_env", "replay", *arguments], **options)
    try:
        yield terminal
    finally:
        terminal.close()


def test_terminal__a_walk_through_a_file(run_file: str) -> None:
    """Summary, steps, jumps, reveal and quit, as a person does it; the terminal is as before."""
    with opened(run_file) as terminal:
        terminal.wait_for("space goes on")
        terminal.type(" ")
        terminal.wait_for("episode 1 of 2 · step 1 of")
        terminal.type("\x1b[C")
        terminal.wait_for("step 2 of")
        terminal.type("r")
        terminal.wait_for("for the user's true θ")
        terminal.type("g1\r")
        terminal.wait_for("step 1 of")
        terminal.type("]")
        shown = terminal.wait_for("episode 2 of 2 · step 1 of")
        assert "\x1b[" in shown
        terminal.type("?")
        terminal.wait_for("play, pause")
        terminal.type("\x1b")
        terminal.wait_for("text view")
        terminal.type("q")
        assert terminal.end() == 0
        assert terminal.output.count("\x1b[?1049h") == terminal.output.count("\x1b[?1049l") == 1
        assert terminal.output.rstrip().endswith("\x1b[?25h\x1b[?1049l")
        assert termios.tcgetattr(terminal.slave) == terminal.before


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 128 + signal.SIGTERM)])
def test_terminal__given_back_when_interrupted(number: int, code: int, run_file: str) -> None:
    """Ctrl-C and a kill leave the terminal as it was, with the usual exit codes."""
    with opened(run_file, "--episode", "1") as terminal:
        terminal.wait_for("? help")
        if number == signal.SIGINT:
            terminal.type("\x03")
        else:
            terminal.process.send_signal(number)
        assert terminal.end() == code
        assert "\x1b[?1049l" in terminal.output
        assert termios.tcgetattr(terminal.slave) == terminal.before


def test_terminal__plays_by_itself(run_file: str) -> None:
    """With --speed the frames follow each other, and p stops them."""
    with opened(run_file, "--speed", "16", columns=100, lines=40) as terminal:
        terminal.wait_for("step 1 of")
        terminal.wait_for("step 2 of")
        terminal.type("p")
        terminal.wait_for("paused")
        terminal.type("q")
        assert terminal.end() == 0


def test_terminal__follows_its_size(run_file: str) -> None:
    """A terminal that is made narrower gets a narrower frame, and one sentence when it is too narrow."""
    with opened(run_file, "--episode", "1", columns=160) as terminal:
        terminal.wait_for("[ ] episode")
        for columns, words in ((70, "? help"), (40, "40 columns are too few")):
            fcntl.ioctl(terminal.slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
            frame = terminal.wait_for(words)
            lines = plain(frame.rpartition("\x1b[?2026h")[2]).splitlines()
            assert max(map(len, lines)) <= columns
        terminal.type("q")
        assert terminal.end() == 0


def test_terminal__no_colour(run_file: str) -> None:
    """Without colour the screen moves the cursor and does nothing else to the terminal."""
    with opened(run_file, "--no-color", "--episode", "1") as terminal:
        frame = terminal.wait_for("? help")
        assert not re.search(r"\x1b\[[\d;]*m", frame)
        terminal.type("q")
        assert terminal.end() == 0


def test_terminal__too_narrow_from_the_start(run_file: str) -> None:
    """Under 60 columns there is one sentence and exit code 2, and the screen is left alone."""
    with opened(run_file, columns=59) as terminal:
        assert terminal.end() == 2
        assert "needs at least 60 columns and has 59" in " ".join(terminal.output.split())
        assert "\x1b[?1049h" not in terminal.output


def test_terminal__prints_when_asked(run_file: str) -> None:
    """--print prints all frames on a terminal too, in colour."""
    with opened(run_file, "--print", "--episode", "1") as terminal:
        assert terminal.end() == 0
        assert "the session is over" in plain(terminal.output)
        assert "\x1b[?1049h" not in terminal.output
        assert re.search(r"\x1b\[[\d;]+m", terminal.output)


def watched(path: str, script: list[tuple[str, str]], **options: Any) -> str:
    """Run ``watch`` in this process on a pseudo-terminal: whenever certain words have come, press the next keys."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
    before, output, pending = termios.tcgetattr(slave), [""], list(script)

    def person() -> None:
        seen = ""
        while pending or not finished.is_set():
            if not select.select([master], [], [], 0.05)[0]:
                continue
            seen += os.read(master, 65536).decode("utf-8", "replace")
            output[0] += seen[-65536:]
            if pending and pending[0][0] in plain(seen):
                keys = pending.pop(0)[1]
                if keys == "\x03":  # not this process's own terminal, so the signal has to be sent
                    os.kill(os.getpid(), signal.SIGINT)
                else:
                    os.write(master, keys.encode())
                seen = ""

    finished = threading.Event()
    thread = threading.Thread(target=person, daemon=True)
    thread.start()
    try:
        with open(slave, "rb", buffering=0, closefd=False) as keys, open(slave, "w", closefd=False) as screen:
            assert can_interact(keys, screen)
            watch(path, load_episodes(path), stdin=keys, stdout=screen, **options)
        assert termios.tcgetattr(slave) == before
    finally:
        finished.set()
        thread.join(timeout=5)
        os.close(master)
        os.close(slave)
    return output[0]


def test_watch__from_the_summary_to_the_end(run_file: str) -> None:
    """Keys lead where they should, and the terminal is given back."""
    script = [("space goes on", " "), ("step 1 of", "n"), ("step 2 of", "r"), ("true θ", "]"), ("episode 2 of 2", "q")]
    shown = watched(run_file, script)
    assert "ideal" in plain(shown)


def test_watch__starts_where_it_is_told_to(run_file: str) -> None:
    """The episode, the reveal and the speed of the start are options; a play goes on by itself."""
    script = [("step 1 of", ""), ("step 2 of", "q")]
    shown = watched(run_file, script, only=1, reveal=True, full=True, speed=16.0, color=False)
    assert "episode 2 of 2" in shown
    assert "means" in shown
    assert "playing" in shown
    assert not re.search(r"\x1b\[[\d;]*m", shown)


def test_watch__interrupted(run_file: str) -> None:
    """Ctrl-C goes through, after the terminal has been given back."""
    with pytest.raises(KeyboardInterrupt):
        watched(run_file, [("? help", "\x03")], only=0)


def test_can_interact__needs_both_ends(tmp_path: Path) -> None:
    """A file or a pipe on either side means plain frames."""
    with (tmp_path / "x").open("w+") as file:
        assert not can_interact(file, file)
