"""Replay frames: cells, matrices, drawings, words, widths, colours, hostile records."""

from __future__ import annotations

import copy
import functools
import io
import json
import re
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

import gtalign_env.agents  # noqa: F401 - registers the players
from gtalign_env import parallel_env
from gtalign_env.episode import Episode, SideRecord, StepRecord
from gtalign_env.errors import UsageError
from gtalign_env.games.cells import pareto_cells, pure_nash_cells
from gtalign_env.play import play_episode
from gtalign_env.registration import ASSISTANTS, PERSONAS
from gtalign_env.replay import Look, StageMatrix, frame_lines, make_console, print_story, stage_matrix, tell
from gtalign_env.replay.bars import beside, pad, signed_bar, sparkline
from gtalign_env.replay.matrix import legend, matrix_lines
from gtalign_env.replay.speech import Folding, fold
from gtalign_env.replay.style import PALETTES, PAPER, ROLES, ascii_text, pick_scheme, theme
from gtalign_env.scenarios.text.scenario import assist_text
from gtalign_env.types import ASSISTANT

WIDTHS = (60, 61, 79, 80, 99, 100, 139, 140, 160, 240)
HOSTILE = (
    "\x1b[2J\x1b]0;owned\x07[bold red]markup[/] :smile: \u202e\u200b\x9b31m\r\x08 "
    + "漢字" * 30 + "e\u0301\u0302" * 9 + "\t|" + "x" * 400 + "\n" * 3 + "\U0001f468\u200d\U0001f469 end"
)  # fmt: skip
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e]")


@functools.cache
def _recorded(scenario: str, persona: str, assistant: str, seed: int) -> Episode:
    env = parallel_env(scenario)
    return play_episode(env, PERSONAS.get(persona)(), ASSISTANTS.get(assistant)(), seed=seed)


def recorded(
    scenario: str = "assist", persona: str = "concise", assistant: str = "heuristic", seed: int = 3
) -> Episode:
    """Return a fresh copy of a recorded episode, as it comes from a file."""
    return msgspec.json.decode(msgspec.json.encode(_recorded(scenario, persona, assistant, seed)), type=Episode)


def shown(episode: Episode, width: int = 80, look: Look | None = None) -> str:
    """Return all frames of an episode as plain text."""
    story = tell(episode)
    return "\n".join(line.plain for step in range(story.frames) for line in frame_lines(story, step, width, look))


# -- cells ----------------------------------------------------------------------------------------------------------------


def brute_force(user: Any, assistant: Any) -> tuple[list[list[bool]], list[list[bool]]]:
    """Return pure Nash and Pareto cells by their definitions, cell by cell."""
    rows, columns = range(len(user)), range(len(user[0]))
    nash = [
        [
            all(user[k][j] <= user[i][j] for k in rows) and all(assistant[i][k] <= assistant[i][j] for k in columns)
            for j in columns
        ]
        for i in rows
    ]
    pareto = [
        [
            not any(
                user[k][m] >= user[i][j] and assistant[k][m] >= assistant[i][j]
                and (user[k][m] > user[i][j] or assistant[k][m] > assistant[i][j])
                for k in rows for m in columns
            )
            for j in columns
        ]
        for i in rows
    ]  # fmt: skip
    return nash, pareto


@given(st.data())
def test_cells__agree_with_the_definitions(data: st.DataObject) -> None:
    """On any small integer game both masks are what the definitions say."""
    rows, columns = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 4))
    matrix = st.lists(st.lists(st.integers(-3, 3), min_size=columns, max_size=columns), min_size=rows, max_size=rows)
    user, assistant = data.draw(matrix), data.draw(matrix)
    nash, pareto = brute_force(user, assistant)
    assert pure_nash_cells(user, assistant).tolist() == nash
    assert pareto_cells(user, assistant).tolist() == pareto
    assert np.any(pareto)


def test_cells__known_games() -> None:
    """Prisoner's dilemma: one equilibrium, the only cell that is not Pareto-optimal. Matching pennies: none, all."""
    row, column = [[3, 0], [5, 1]], [[3, 5], [0, 1]]
    assert pure_nash_cells(row, column).tolist() == [[False, False], [False, True]]
    assert pareto_cells(row, column).tolist() == [[True, True], [True, False]]
    pennies = np.array([[1, -1], [-1, 1]])
    assert not pure_nash_cells(pennies, -pennies).any()
    assert pareto_cells(pennies, -pennies).all()


def test_cells__rounding_makes_no_difference() -> None:
    """Gains by rounding alone count as none, and so do gains below a tolerance."""
    assert pure_nash_cells([[0.3], [0.1 + 0.2]], [[0.0], [0.0]]).all()
    assert pareto_cells([[0.3], [0.1 + 0.2]], [[0.0], [0.0]]).all()
    assert pure_nash_cells([[1.0], [1.0 + 1e-12]], [[0.0], [0.0]]).tolist() == [[False], [True]]
    assert pure_nash_cells([[1.0], [1.0 + 1e-12]], [[0.0], [0.0]], tolerance=1e-9).all()
    assert pareto_cells([[1.0], [1.0 + 1e-12]], [[0.0], [0.0]], tolerance=1e-9).all()


@pytest.mark.parametrize(
    ("user", "assistant"), [([1, 2], [1, 2]), ([[1, 2]], [[1], [2]]), ([[]], [[]]), ([[float("nan")]], [[1.0]])]
)
def test_cells__refuse_what_is_no_bimatrix(user: Any, assistant: Any) -> None:
    """Wrong shapes and numbers that are none end in one sentence."""
    with pytest.raises(UsageError, match="bimatrix: expected"):
        pure_nash_cells(user, assistant)


# -- the stage game -------------------------------------------------------------------------------------------------------


def test_stage_matrix__is_the_scenario_s_own() -> None:
    """The matrix is what the scenario's stage game says for the recorded state, with θ only when revealed."""
    episode = recorded()
    scenario = parallel_env("assist").scenario
    public = episode.steps[0].public
    hidden, open_ = stage_matrix(episode, 0), stage_matrix(episode, 0, reveal=True)
    assert hidden is not None
    assert open_ is not None
    theta = episode.hidden["user_type"]
    for stage, game in ((hidden, scenario.stage_game(public)), (open_, scenario.stage_game(public, theta))):  # type: ignore[attr-defined]
        assert stage.user.tolist() == game.user.tolist()
        assert stage.assistant.tolist() == game.assistant.tolist()
    assert "population" in hidden.whose
    assert "true θ" in open_.whose
    assert hidden.user.tolist() != open_.user.tolist()
    assert hidden.made is not None
    made = (hidden.user_moves[hidden.made[0]], hidden.assistant_moves[hidden.made[1]])
    assert made == (episode.steps[0].user.move.split("_")[0], episode.steps[0].assistant.move)


def test_stage_matrix__follows_the_recorded_pricing() -> None:
    """A price pinned at reset is the price of the matrix."""
    episode = recorded()
    before = stage_matrix(episode, 0, reveal=True)
    episode.reset_options["pricing"] = "per_request:fee=0.9"
    after = stage_matrix(episode, 0, reveal=True)
    assert before is not None
    assert after is not None
    assert before.assistant.tolist() != after.assistant.tolist()


def test_stage_matrix__of_a_talk_is_that_of_its_strategic_twin() -> None:
    """It stands at the reply; the row is the user's turn after it; the last reply has no row."""
    episode = recorded(scenario="assist_text")
    replies = [step for step, record in enumerate(episode.steps) if record.to_move == ASSISTANT]
    for step in replies:
        stage = stage_matrix(episode, step, reveal=True)
        assert stage is not None
        if step + 1 == len(episode.steps):
            assert stage.made is None
            continue
        assert stage.made is not None
        row, column = stage.made
        assert episode.steps[step + 1].user.move.startswith(stage.user_moves[row])
        assert stage.assistant_moves[column] == episode.steps[step].assistant.move
        twin = assist_text().twin.stage_game(episode.steps[step].public, episode.hidden["user_type"])
        assert twin.user.tolist() == stage.user.tolist()
    assert all(stage_matrix(episode, step) is None for step in range(len(episode.steps)) if step not in replies)


@pytest.mark.parametrize(
    "change",
    [
        {"scenario": "os:system"},
        {"scenario": "nobody/Knows-v0"},
        {"env_options": {"questions": "many"}},
        {"env_options": {"no_such_option": 1}},
    ],
)
def test_stage_matrix__none_where_it_cannot_be_made(change: dict[str, Any]) -> None:
    """Unknown scenarios are never imported, wrong options never fatal: the frame goes without a matrix."""
    episode = recorded()
    for name, value in change.items():
        setattr(episode, name, value)
    assert stage_matrix(episode, 0) is None
    assert "stage game:" in shown(episode)
    assert shown(episode).count("no stage game: ") == len(episode.steps)


def test_stage_matrix__strange_states_and_moves() -> None:
    """A state that does not exist has no matrix; a move that does not exist has no cell."""
    episode = recorded()
    episode.steps[0].public = {"question": ["0"], "self": "1"}
    episode.steps[1].user.move = "NO_OP"
    assert stage_matrix(episode, 0) is None
    stage = stage_matrix(episode, 1)
    assert stage is not None
    assert stage.made is None


def matrix(rows: int, columns: int, *, scale: float = 1.0, made: tuple[int, int] | None = (0, 0)) -> StageMatrix:
    """Return a matrix with two-part names."""
    user = scale * np.arange(rows * columns, dtype=float).reshape(rows, columns) / 7 - scale
    return StageMatrix(
        user_moves=tuple(f"ask_{i}" for i in range(rows)),
        assistant_moves=tuple(f"answer_{j}" for j in range(columns)),
        user=user,
        assistant=-user,
        made=made,
        nash=np.zeros((rows, columns), dtype=bool),
        pareto=np.ones((rows, columns), dtype=bool),
        whose="",
        holds="this round",
    )


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (3, 8), (8, 3), (11, 8), (40, 30)])
@pytest.mark.parametrize("width", [30, 60, 78, 160])
@pytest.mark.parametrize("scale", [1.0, 500.0, 1e9])
def test_matrix_lines__fit_and_show_the_made_move(size: tuple[int, int], width: int, scale: float) -> None:
    """Whatever the game and the width, no line is longer, and the made move stands in brackets."""
    made = (size[0] - 1, size[1] // 2)
    stage = matrix(*size, scale=scale, made=made)
    lines = matrix_lines(stage, width)
    assert max(line.cell_len for line in lines) <= width
    plain = "\n".join(line.plain for line in lines[:-1])
    assert plain.count("[") == plain.count("]") >= 1
    assert f"ask_{made[0]}" in plain


def test_matrix_lines__mark_nash_and_pareto() -> None:
    """The paper's example: one equilibrium, two Pareto cells, integers as integers, and the legend explains the signs."""
    stage = stage_matrix(recorded("matrix", "random", "random"), 0)
    assert stage is not None
    *lines, last = [line.plain for line in matrix_lines(stage, 80)]
    assert sum(line.count("●") for line in lines) == 1
    assert sum(line.count("◆") for line in lines) == 2
    assert any("4, 0" in line for line in lines)
    assert "." not in "".join(lines)
    assert all(word in last for word in ("made", "Nash", "Pareto"))
    assert len(matrix_lines(stage, 80, explained=False)) == len(lines)
    assert legend(12).cell_len <= 12


# -- drawings -------------------------------------------------------------------------------------------------------------


@given(st.floats(allow_nan=True, allow_infinity=True), st.floats(0.01, 10), st.integers(1, 30))
def test_signed_bar__has_its_width_and_its_side(value: float, scale: float, half: int) -> None:
    """A bar is as wide as it should be; gains lie right of the axis, losses left of it."""
    bar = signed_bar(value, scale, half).plain
    assert cell_len(bar) == 2 * half + 1
    left, right = bar[:half], bar[half + 1 :]
    assert bool(left.strip()) == (value < 0)
    assert bool(right.strip()) == (value > 0)


def test_signed_bar__full_at_its_scale() -> None:
    """The scale fills one half, more does not overflow."""
    assert signed_bar(2.0, 2.0, 3).plain == "   │███"
    assert signed_bar(-9.0, 2.0, 3).plain == "███│   "
    assert signed_bar(1e-9, 2.0, 3).plain == "   │▏  "


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=40), st.integers(0, 20))
def test_sparkline__never_wider_than_asked(values: list[float], width: int) -> None:
    """Any series is drawn in at most the cells there are."""
    assert len(sparkline(values, width)) == min(len(values), width)


def test_sparkline__shows_the_course() -> None:
    """Zero is in range, the highest value is a full block, and a shared scale is kept."""
    assert sparkline([1.0, 2.0], 5) == "▅█"
    assert sparkline([0.0, -1.0], 5) == "█▁"
    assert sparkline([1.0], 5, low=0.0, high=2.0) == "▅"


@given(st.text(max_size=30), st.integers(1, 20))
def test_pad__is_exact(text: str, width: int) -> None:
    """A padded line has exactly its width, also with wide characters."""
    line = Text("".join(char for char in text if char.isprintable()))
    assert pad(line, width).cell_len == width


def test_beside__keeps_columns() -> None:
    """The right block starts in the same column on every line."""
    lines = beside([Text("漢"), Text("b")], [Text("x"), Text("y"), Text("z")], 4, Text("|"))
    assert [line.plain for line in lines] == ["漢  |x", "b   |y", "    |z"]


@pytest.mark.parametrize(
    ("text", "folding", "tokens", "last"),
    [
        ("a b c d e f g h", Folding(lines=2), 0, "… +4 words"),
        ("a b c d e f g h", Folding(lines=2), 80, "… +37 tokens"),
        ("a b c d e f g h", Folding(lines=2, full=True), 0, "g h"),
        ("a b c d e", Folding(lines=2), 0, "e"),
        (" \n\x1b[2J ", Folding(), 0, "(says nothing)"),
    ],
)
def test_fold__says_what_it_left_out(text: str, folding: Folding, tokens: int, last: str) -> None:
    """Long texts end in what is missing, in tokens where they were counted; one line more is not worth a fold."""
    assert fold(text, 4, folding, tokens=tokens)[-1].plain == last


# -- frames ---------------------------------------------------------------------------------------------------------------

SCENARIOS = [("assist", "hurried"), ("assist_text", "detailed"), ("matrix", "random")]


@pytest.mark.parametrize(("scenario", "persona"), SCENARIOS)
@pytest.mark.parametrize("width", WIDTHS)
def test_frame__never_wider_than_the_terminal(scenario: str, persona: str, width: int) -> None:
    """Every line of every frame fits, whatever is shown."""
    story = tell(recorded(scenario, persona, "random" if scenario == "matrix" else "heuristic"), index=1, count=12)
    for look in (Look(), Look(reveal=True, full=True), Look(tight=True, interactive=True, history=5)):
        for step in range(story.frames):
            assert max(line.cell_len for line in frame_lines(story, step, width, look)) <= width


def test_frame__too_narrow() -> None:
    """Under 60 columns there is one clear sentence."""
    with pytest.raises(UsageError, match="needs at least 60 columns and has 59: widen the terminal, or"):
        frame_lines(tell(recorded()), 0, 59)


def test_frame__tells_both_payoffs_and_their_course() -> None:
    """Items, sums and running totals of both sides are there; welfare only where both have gained."""
    episode = recorded()
    story = tell(episode)
    user = assistant = 0.0
    for step, record in enumerate(episode.steps):
        text = "\n".join(line.plain for line in frame_lines(story, step, 80))
        user, assistant = user + record.user.payoff, assistant + record.assistant.payoff
        for name in (*record.user.items, *record.assistant.items, "this step", "so far"):
            assert name in text
        assert f"{abs(user):.2f}" in text
        assert f"{abs(assistant):.2f}" in text
        assert ("√(U·L)" in text) == (user > 0 and assistant > 0)
        assert f"step {step + 1} of {len(episode.steps)}" in text
    assert "the session is over" in shown(episode)


def test_frame__theta_only_when_revealed() -> None:
    """Without reveal nothing of θ, of the meaning or of the answers is shown; with it everything is."""
    told, written = recorded(), recorded("assist_text", "detailed")
    assert "ideal tokens" not in shown(told)
    assert "θ hidden" in shown(told)
    assert "ideal tokens" in shown(told, look=Look(reveal=True))
    assert "θ hidden" not in shown(told, look=Look(reveal=True))
    assert "means" not in shown(written)
    revealed = shown(written, 160, Look(reveal=True))
    assert "means" in revealed
    assert written.tasks[0]["detailed"][:40] in revealed


def test_frame__strategic_moves_in_words() -> None:
    """Both sides' moves are told in words, the user's reaction as what it says."""
    side = functools.partial(SideRecord, digest="")
    step = StepRecord(
        user=side(move="DQ_too_long"),
        assistant=side(move="AQ_short"),
        public={"question": "1", "kind": "simple", "clarity": "vague", "exchange": "0"},
        outcome={"answered": 1.0, "wrong": 1.0, "tokens_out": 80.0},
    )
    text = shown(Episode(scenario="assist", view="strategic", seed=0, steps=[step], ended="terminated"), 100)
    for words in ("“That was too long.”", "asks a simple question, vaguely", "will put the next one in detail"):
        assert words in text
    assert "answers and asks one follow-up question, short" in text
    assert "✗ not what was meant, quality 0.00" in text
    assert "80 tokens" in text
    assert "question 2 of 4" in text


def test_frame__text_view_shows_the_words() -> None:
    """The opening, the reply and how it was read are shown; a long reply is folded unless it is wanted whole."""
    episode = recorded("assist_text", "concise")
    episode.steps[0].assistant.text = " ".join(f"word{i}" for i in range(300))
    assert "… +" in shown(episode)
    assert "word299" not in shown(episode)
    assert "word299" in shown(episode, look=Look(full=True))
    assert episode.opening.split()[0] in shown(episode)
    assert episode.steps[0].assistant.move in shown(episode)


def test_frame__notes_what_was_odd() -> None:
    """Illegal moves, broken announcements, failing models and violations are named."""
    episode = recorded()
    step = episode.steps[-1]
    step.user.illegal, step.assistant.announced, step.assistant.model = True, "CQ", {"error": "out of \x1b[1mmemory"}
    step.assistant.move = "DA_long"
    step.events["violation"] = True
    episode.violation = True
    text = shown(episode, 120)
    assert "illegal move, counted as none" in text
    assert "announced CQ, made DA_long" in text
    assert "model: out of memory" in text
    assert "ended by a violation" in text
    assert "[!]" in text


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"ended": "truncated"}, "the time limit was reached"),
        ({"ended": ""}, "the record stops here"),
        (
            {"ended": "error", "error": {"type": "ModelError", "message": "down", "where": "assistant_0"}, "steps": []},
            "broken off by assistant_0: ModelError: down",
        ),
    ],
)
def test_frame__says_how_it_ended(change: dict[str, Any], words: str) -> None:
    """The last frame says why it is the last, also where an episode broke before its first step."""
    episode = recorded()
    for name, value in change.items():
        setattr(episode, name, value)
    assert words in shown(episode)


def test_frame__the_user_left() -> None:
    """A user who leaves is told apart from a session that is done."""
    episode = recorded()
    episode.steps[-1].user.move = "LEAVE"
    assert "the user left" in shown(episode)


def test_frame__long_episodes_stay_in_shape() -> None:
    """A thousand steps fit in the strip and in the sparklines."""
    step = recorded("matrix", "random", "random").steps[0]
    episode = Episode(scenario="matrix", view="strategic", seed=0, steps=[copy.copy(step) for _ in range(1000)])
    for number in (0, 1, 499, 998, 999):
        lines = frame_lines(tell(episode), number, 80)
        assert max(line.cell_len for line in lines) <= 80
        assert sum(line.plain.count("[–]") for line in lines[:3]) == 1


# -- what cannot be trusted -----------------------------------------------------------------------------------------------


def poisoned(view: str) -> Episode:
    """Return an episode in which every string that a file may hold is hostile."""
    episode = recorded("assist_text" if view == "text" else "assist", "detailed")
    for step in episode.steps:
        for side in (step.user, step.assistant):
            side.text = side.text and HOSTILE
            side.announced = HOSTILE
            side.items = {HOSTILE: 1e308, "b": -1e308, **side.items}
            side.payoff = 1e308
        step.events[HOSTILE] = HOSTILE
        step.user.move = HOSTILE
        step.public = {**step.public, HOSTILE: HOSTILE}
    episode.players = {"user_0": HOSTILE, "assistant_0": HOSTILE}
    episode.hidden = {"user_type": {"name": HOSTILE, HOSTILE: HOSTILE}, HOSTILE: [HOSTILE]}
    episode.tasks = [{"detailed": HOSTILE, "answers": [HOSTILE]} for _ in episode.tasks]
    episode.opening = episode.opening and HOSTILE
    episode.reset_options["pricing"] = HOSTILE
    episode.view = view
    episode.ended, episode.error = "error", {"type": HOSTILE, "message": HOSTILE, "where": HOSTILE}
    return episode


@pytest.mark.parametrize("view", ["text", "strategic"])
@pytest.mark.parametrize("width", [60, 80, 160])
def test_frame__hostile_text_is_harmless(view: str, width: int) -> None:
    """No control character leaves a record, markup is shown as it stands, and lines still fit."""
    story = tell(poisoned(view))
    for look in (Look(), Look(reveal=True, full=True)):
        for step in range(story.frames):
            lines = frame_lines(story, step, width, look)
            text = "\n".join(line.plain for line in lines)
            assert not CONTROL.search(text)
            assert "[bold red]markup[/]" in text or "[bold" in text
            assert max(line.cell_len for line in lines) <= width


def test_frame__hostile_scenario_name() -> None:
    """A scenario's name is text like any other."""
    episode = poisoned("strategic")
    episode.scenario = HOSTILE
    assert not CONTROL.search(shown(episode).replace("\n", ""))


def test_print_story__writes_only_its_own_escape_codes() -> None:
    """On a colour terminal the only escape codes are colours and attributes; a model's own never arrive."""
    stream = io.StringIO()
    print_story(make_console(stream, width=80, force_terminal=True), tell(poisoned("text")), look=Look(full=True))
    rest = re.sub(r"\x1b\[[\d;]*m", "", stream.getvalue())
    assert stream.getvalue() != rest
    assert not CONTROL.search(rest)


# -- colours --------------------------------------------------------------------------------------------------------------


def contrast(first: str, second: str) -> float:
    """Return the contrast ratio of two colours (WCAG 2)."""

    def luminance(color: str) -> float:
        parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    low, high = sorted((luminance(first), luminance(second)))
    return (high + 0.05) / (low + 0.05)


def test_palettes__are_legible_on_their_backgrounds() -> None:
    """Colours for one background reach 4.5 : 1 on it; those for either reach 4.3 : 1 on black and on white."""
    for scheme, colors in PALETTES.items():
        assert set(colors) == set(ROLES)
        assert len(set(colors.values())) == len(ROLES)
        for color in colors.values():
            if scheme == "auto":
                assert min(contrast(color, "#000000"), contrast(color, "#ffffff")) >= 4.3
            else:
                assert min(contrast(color, PAPER[scheme][back]) for back in ("paper", "card")) >= 4.5


@pytest.mark.parametrize(
    ("value", "scheme"), [("15;0", "dark"), ("0;15", "light"), ("0;default;7", "light"), ("0;8", "dark"), ("x", "auto")]
)
def test_pick_scheme__believes_the_terminal(value: str, scheme: str) -> None:
    """Where the terminal says what its background is, that decides; otherwise the colours fit both."""
    assert pick_scheme("auto", {"COLORFGBG": value}) == scheme
    assert pick_scheme("light", {"COLORFGBG": value}) == "light"


@pytest.mark.parametrize("how", ["argument", "NO_COLOR", "TERM"])
def test_make_console__without_colour_without_escape_codes(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each way of asking for no colour gives text without any escape code, even on a terminal."""
    monkeypatch.setenv("TERM", "dumb" if how == "TERM" else "xterm-256color")
    if how == "NO_COLOR":
        monkeypatch.setenv("NO_COLOR", "1")
    stream = io.StringIO()
    console = make_console(stream, width=80, color=how != "argument", force_terminal=True)
    print_story(console, tell(recorded()), look=Look(reveal=True))
    assert "\x1b" not in stream.getvalue()
    assert "[ " in stream.getvalue() or "[−" in stream.getvalue()


def test_make_console__colours_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """A colour terminal gets colours."""
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLORTERM", "truecolor")
    stream = io.StringIO()
    print_story(make_console(stream, width=80, force_terminal=True), tell(recorded()))
    assert re.search(r"\x1b\[[\d;]+mUSER", stream.getvalue())


def test_make_console__ascii_where_unicode_cannot_go() -> None:
    """A terminal without Unicode gets a legible frame of the same width, without an error."""
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    print_story(make_console(stream, width=80), tell(recorded("assist_text", "detailed")))
    stream.flush()
    text = raw.getvalue().decode("ascii")
    assert max(len(line) for line in text.splitlines()) <= 80
    assert "USER" in text
    assert "so far" in text


@given(st.text())
def test_ascii_text__one_for_one(text: str) -> None:
    """Every character has exactly one stand-in."""
    assert len(ascii_text(text)) == len(text)
    assert ascii_text(text).isascii()


def test_print_story__on_any_console() -> None:
    """Other commands can print a story on their own console, single steps too."""
    console = Console(file=io.StringIO(), width=70, theme=theme("dark"))
    print_story(console, tell(recorded()), steps=[1], scheme="light")
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "step 2 of" in text
    assert "step 1 of" not in text


def test_tell__survives_json_of_any_kind() -> None:
    """Free-form fields of a record may hold anything that JSON holds."""
    odd: list[Any] = [None, 1, "x", [1], {"a": {"b": []}}]
    build: Callable[..., Any] = functools.partial(Episode, view="strategic", seed=0)
    for value in odd:
        step = StepRecord(
            user=SideRecord(digest="", model={"error": value}),
            assistant=SideRecord(digest=""),
            public={"question": value, "kind": value, "clarity": value, "exchange": value},
            events={"violation": value},
        )
        for view in ("strategic", "text"):
            episode = build(
                scenario="assist",
                steps=[step],
                hidden={"user_type": value},
                env_options={"users": value, "pricing": value},
                reset_options={"pricing": value},
                tasks=[{"answers": value, "detailed": value}],
            )
            episode.view = view
            assert json.dumps(shown(episode, look=Look(reveal=True)))
