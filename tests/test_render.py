"""The game in words, and ``env.render()``."""

from __future__ import annotations

import itertools
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

import gtalign_env
from gtalign_env.render import (
    WIDTH,
    assistant_words,
    one_line,
    question_words,
    render_state,
    reply_words,
    signed,
    user_words,
)
from gtalign_env.types import ASSISTANT_MOVES, NO_OP, USER_MOVES


def test_words__tell_all_moves_apart() -> None:
    """Every move of either side has words of its own, and none of them is the bare name."""
    told = [assistant_words(move.name) for move in ASSISTANT_MOVES] + [assistant_words(NO_OP), assistant_words("WAIT")]
    assert len(set(told)) == len(told)
    said = [user_words(move.name) for move in USER_MOVES] + [user_words(NO_OP), user_words("WAIT")]
    assert len(set(said)) == len(said)
    assert not {"DA_short", "LEAVE"} & {*told, *itertools.chain(*said)}


def test_words__leave_moves_of_other_games_alone() -> None:
    """A move that is not of this game is shown by its name, made safe."""
    assert assistant_words("DA_sideways\x1b[2J") == "DA_sideways"
    assert user_words("bid_7") == ("", "bid_7")
    assert user_words("VQ_shrug") == ("", "VQ_shrug")


@pytest.mark.parametrize(
    ("public", "words"),
    [
        ({"kind": "harmful", "clarity": "vague", "exchange": "0"}, "makes a harmful request, vaguely"),
        ({"kind": "harmful", "clarity": "clear", "exchange": "2"}, "repeats the harmful request, clearly"),
        ({"kind": "simple", "clarity": "muddled", "exchange": "1"}, "repeats the simple question, muddled"),
        ({"round": "3"}, ""),
    ],
)
def test_question_words__say_what_is_on_the_table(public: dict[str, str], words: str) -> None:
    """Kind, clarity and repetition are told; other games have no question."""
    assert question_words(public) == words


@pytest.mark.parametrize(
    ("outcome", "mark"),
    [
        (None, ""),
        ({}, ""),
        ({"clarified": 1.0}, "?"),
        ({"answered": 1.0, "wrong": 1.0}, "✗"),
        ({"answered": 1.0, "resolved": 1.0, "quality": 0.5}, "✓"),
        ({"declined": 1.0}, "✗"),
        ({"resolved": 1.0, "quality": 0.3}, "✓"),
        ({"answered": 1.0, "violation": 1.0}, "!"),
    ],
)
def test_reply_words__mark_the_result(outcome: dict[str, float] | None, mark: str) -> None:
    """Right, wrong, asked and unsafe have a mark each, and words beside it."""
    found, words = reply_words(outcome)
    assert found == mark
    assert bool(words) == bool(mark)


@given(st.floats(allow_nan=False))
def test_signed__stays_narrow(utils: float) -> None:
    """A payoff takes six cells at most, and its sign comes first."""
    text = signed(utils)
    assert len(text) <= 6
    assert text[0] == ("+" if utils > 0 else "−" if utils < 0 else " ")


@given(st.text())
def test_one_line__is_one_safe_line(text: str) -> None:
    """Whatever comes, one line without control characters goes out."""
    line = one_line(text)
    assert line == line.strip()
    assert line.isprintable() or not any(ord(char) < 32 or 127 <= ord(char) < 160 for char in line)


@pytest.mark.parametrize("scenario", ["assist", "matrix", "assist_text"])
def test_render_state__fits_and_is_plain(scenario: str) -> None:
    """Before, during and after an episode the text fits its width and holds no escape codes."""
    env = gtalign_env.parallel_env(scenario, render_mode="ansi")
    texts = [env.render()]
    env.reset(seed=4)
    texts.append(env.render())
    text = "A very [bold]long[/bold] \x1b[31mreply " * 40
    while env.agents:
        env.step({"user_0": "", "assistant_0": text} if scenario == "assist_text" else {"user_0": 0, "assistant_0": 0})
        texts.append(env.render())
    assert "not started" in str(texts[0])
    assert "the end" in str(texts[-1])
    for shown in map(str, texts):
        assert "\x1b" not in shown
        assert max(cell_len(line) for line in shown.splitlines()) <= WIDTH


def test_render_state__shows_both_payoffs_and_never_theta() -> None:
    """The last step's payoffs stand there with their items; nothing names the user's type."""
    env = gtalign_env.parallel_env("assist", render_mode="ansi")
    env.reset(seed=1, options={"user_type": "hurried", "task": "simple"})
    _, rewards, *_ = env.step({"user_0": 5, "assistant_0": 1})
    shown = render_state(env)
    for agent, reward in rewards.items():
        assert any(agent in line and signed(reward) in line for line in shown.splitlines())
    assert "hurried" not in shown
    assert "ideal" not in shown


def test_render_module__does_not_import_rich() -> None:
    """Importing the words costs no import of rich."""
    code = "import sys, gtalign_env.render; sys.exit('rich' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
