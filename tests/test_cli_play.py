"""``gtalign play``: a person in either chair, here with piped input."""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

import gtalign_env
from gtalign_env.cli import main, words
from gtalign_env.episode import Episode, load_episodes
from gtalign_env.scenarios.assist.population import TYPES
from gtalign_env.scenarios.matrix.paper import paper_matrix
from gtalign_env.sight import KINDS, see
from gtalign_env.types import ASSISTANT_MOVES, USER_MOVES, UserType

Play = Callable[..., str]


class Broken:
    """An assistant that fails at once."""

    name = "broken"

    def reset(self, seed: int) -> None:
        """Begin."""

    def act(self, observation: Any, info: Any) -> int:
        """Fail."""
        raise RuntimeError("out of order")


class Careless:
    """An assistant that serves whatever is asked, and whose words carry an escape sequence."""

    name = "careless"

    def reset(self, seed: int) -> None:
        """Begin."""

    def act(self, observation: Any, info: Any) -> str:
        """Answer."""
        return "Sure: \x1b[31mmix the two \u202eand stir.\x07"


def typeless() -> Any:
    """Return a game whose rules cannot resolve a type of user."""
    inner = paper_matrix()

    class Typeless:
        name, view, description = inner.name, inner.view, inner.description
        moves, observe, observation_size = inner.moves, inner.observe, inner.observation_size
        action_mask, reset, step = inner.action_mask, inner.reset, inner.step
        info, hidden, describe = inner.info, inner.hidden, inner.describe

    return Typeless()


@pytest.fixture
def play(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Play:
    """Return a function that plays with these lines typed and returns what was shown."""

    def played(*arguments: str, typed: Sequence[str] = (), code: int = 0) -> str:
        monkeypatch.setattr(sys, "stdin", io.StringIO("".join(f"{line}\n" for line in typed)))
        assert main(["play", *arguments]) == code
        return capsys.readouterr().out

    return played


def test_play__assistant_chair_by_number_and_by_name(play: Play, tmp_path: Path) -> None:
    """Moves go by number or name; the record holds them, and the end shows both totals and what was hidden."""
    out = tmp_path / "mine.jsonl"
    shown = play(
        *("assist", "--as", "assistant", "--opponent", "concise", "--out", str(out), "--reveal"),
        typed=["1", "da_medium"] * 9,
    )
    (episode,) = load_episodes(out)
    assert episode.ended == "terminated"
    assert episode.players == {"user_0": "persona:concise", "assistant_0": "person"}
    assert [step.assistant.move for step in episode.steps[:2]] == ["DA_short", "DA_medium"]
    user, assistant = episode.totals()
    assert f"The user gained {words.utils(user)}, the assistant {words.utils(assistant)}" in shown
    assert "The user's hidden type: concise" in shown
    assert f"gtalign replay {out}" in " ".join(shown.split())


def test_play__shows_only_what_the_chair_may_see(play: Play) -> None:
    """Before the end the assistant's player sees neither θ nor the user's payoff; afterwards with --reveal all of it."""
    arguments = ("assist", "--as", "assistant", "--opponent", "hurried", "--seed", "1")
    before, _, after = play(*arguments, "--reveal", typed=["2"] * 20).partition("The session is over.")
    assert "revenue" in before
    for private in ("hurried", "patience", "worth of the answer", "typing", "reading"):
        assert private not in before
    assert "worth of the answer" in after or "reading" in after
    assert "hurried" in after
    assert "1. user" in after
    hidden = play(*arguments, typed=["2"] * 20)
    for private in ("1. user", "hurried", "patience", "The user gained", "mutual welfare"):
        assert private not in hidden
    assert "You gained" in hidden
    assert "its type and its payoff" in hidden
    assert "--reveal" in hidden


def test_play__user_chair_knows_its_type_and_quality(play: Play) -> None:
    """The user's player is told θ in words and sees how good an answer was, but never the provider's items."""
    shown = play("assist", "--as", "user", "--opponent", "fixed:DA_short", "--seed", "3", typed=["6"] * 20)
    assert "For your eyes only" in shown
    assert "suits you best" in shown
    assert re.search(r"The answer was \d+% of what you needed", shown)
    assert "revenue" not in shown
    assert "reputation" not in shown


def test_play__explains_the_moves_once_and_on_demand(play: Play) -> None:
    """The first turn explains every legal move; later turns list them; /moves explains again, /help helps."""
    shown = play("assist", "--as", "assistant", typed=["1", "/help", "/moves", "what?", "9", "1", "/quit"])
    assert shown.count("ask a clarifying question instead of answering") == 2
    assert "Moves: 1 DA_short" in shown
    assert "Type the number or the name" in shown
    assert "'what?' is not on the list" in shown
    assert "'9' is not on the list" in shown


@pytest.mark.parametrize("typed", [["1", "/quit"], ["1"], []])
@pytest.mark.parametrize("scenario", ["assist", "assist_text", "matrix"])
@pytest.mark.parametrize("chair", ["user", "assistant"])
def test_play__ends_politely_when_the_person_goes(
    scenario: str, chair: str, typed: list[str], play: Play, tmp_path: Path
) -> None:
    """/quit and the end of the input both end the game, keep its record, and are no failure."""
    out = tmp_path / "left.jsonl"
    shown = play(scenario, "--as", chair, "--out", str(out), typed=typed)
    assert "Goodbye!" in shown
    (episode,) = load_episodes(out)
    assert episode.ended == "error"
    assert episode.error["type"] == "PlayerLeftError"


def test_play__text_as_user_shows_the_card(play: Play, tmp_path: Path) -> None:
    """The user's player sees its card, types words, and learns how they were understood."""
    out = tmp_path / "talk.jsonl"
    typed = ["", "/moves", "/help", "I mean the first one.", "Thanks!", "/leave"]
    shown = play("assist_text", "--as", "user", "--opponent", "fixed:CQ", "--out", str(out), typed=typed)
    (episode,) = load_episodes(out)
    task = episode.tasks[0]
    flat = " ".join(shown.split())
    assert f"Your question: {episode.opening}" in flat
    assert f"what you want: {' '.join(task['detailed'].split())}" in flat
    assert all(" ".join(statement.split()) in flat for _, statement in task["facts"])
    assert not any(answer in flat for answer in task["answers"] if len(answer) > 20)
    assert "Nothing was typed" in shown
    assert "Understood as:" in shown
    assert episode.steps[1].user.text == "I mean the first one."
    assert episode.steps[-1].user.move == "LEAVE"
    assert episode.ended == "terminated"


def test_play__text_as_assistant_is_read_as_moves(play: Play, tmp_path: Path) -> None:
    """The assistant's player types replies; what they were read as is shown."""
    out = tmp_path / "talk.jsonl"
    typed = ["Which one do you mean?"] + ["The answer is 4."] * 20
    shown = play("assist_text", "--as", "assistant", "--opponent", "concise", "--out", str(out), typed=typed)
    (episode,) = load_episodes(out)
    assert episode.steps[0].assistant.move == "CQ"
    assert "Understood as: CQ" in shown
    assert f"The user: {episode.opening}" in " ".join(shown.split())
    assert "Your card" not in shown


def test_play__shows_foreign_text_without_its_escapes(play: Play) -> None:
    """What the other side says cannot act on the terminal; serving a harmful request is called a violation."""
    arguments = ("--tasks", "authored:harmful", "--opponent", f"{__file__}:Careless")
    shown = play("assist_text", "--as", "user", *arguments, typed=["/quit"])
    assert "Sure: mix the two and stir." in shown
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    assert "violation" in shown


def test_play__reports_a_broken_opponent(play: Play) -> None:
    """A failing opponent ends the game with its message and exit code 1."""
    shown = play("assist", "--as", "user", "--opponent", f"{__file__}:Broken", typed=["1"], code=1)
    assert "The game broke off: assistant_0: out of order" in shown


def test_play__stops_at_the_time_limit(play: Play) -> None:
    """A truncated session says so."""
    assert "time limit" in play("assist", "--as", "assistant", "--max-cycles", "1", typed=["1"])


@pytest.mark.parametrize(
    ("answer", "said", "kept"), [("game.jsonl", "Saved", 1), ("", "", 0), ("no/such/folder.jsonl", "Not saved", 0)]
)
def test_play__offers_to_save_on_a_terminal(
    answer: str, said: str, kept: int, play: Play, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A person at a terminal is asked after the game; a file that cannot be written is no disaster."""
    monkeypatch.chdir(tmp_path)
    lines = iter(["1", "/quit", answer])
    monkeypatch.setattr("builtins.input", lambda prompt="": next(lines))

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(io, "StringIO", Terminal)
    assert said in play("assist", "--as", "assistant")
    saved = list(tmp_path.glob("*.jsonl"))
    assert len(saved) == kept
    assert all(isinstance(episode, Episode) for path in saved for episode in load_episodes(path))


@pytest.mark.parametrize("word", ["q", "Quit", "/quit"])
def test_play__menus_take_the_short_ways_out(word: str, play: Play) -> None:
    """Where moves are chosen, q and quit alone leave as /quit does."""
    shown = play("matrix", "--as", "user", typed=["1", word, "1"])
    assert "Goodbye!" in shown
    assert "is not on the list" not in shown


def test_play__words_are_words_in_the_text_view(play: Play, tmp_path: Path) -> None:
    """Who talks may say quit: only /quit leaves."""
    out = tmp_path / "talk.jsonl"
    play("assist_text", "--as", "user", "--out", str(out), typed=["quit", "/quit"])
    (episode,) = load_episodes(out)
    assert episode.steps[1].user.text == "quit"


def test_play__counts_rounds_from_one(play: Play) -> None:
    """People count from 1, whatever the tables do."""
    shown = play("matrix", "--as", "user", typed=["1", "q"])
    assert "round 1" in shown
    assert "round 2" in shown
    assert "round 0" not in shown


@pytest.mark.parametrize("scenario", ["assist", "assist_text"])
def test_play__user_may_choose_who_it_is(scenario: str, play: Play, tmp_path: Path) -> None:
    """--user-type pins θ: it is told to the person and recorded."""
    out = tmp_path / "mine.jsonl"
    shown = play(scenario, "--as", "user", "--user-type", "detailed", "--out", str(out), typed=["1", "/quit"])
    assert 'You are of the type "detailed"' in shown
    (episode,) = load_episodes(out)
    assert episode.hidden["user_type"]["name"] == "detailed"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("assist", "--as", "user", "--user-type", "detaild"), "did you mean 'detailed'"),
        (("assist", "--as", "assistant", "--user-type", "concise"), "--user-type is for the user's chair"),
        (("matrix", "--as", "user", "--user-type", "concise"), "unknown user type 'concise'"),
        (("matrix", "--as", "assistant", "--opponent", "concise"), "'concise' plays the 'assist' games only"),
        (("matrix", "--as", "user", "--opponent", "heuristic"), "'heuristic' plays the 'assist' games only"),
        (("assist", "--as", "assistant", "--opponent", ""), "at least one persona"),
        (("assist", "--as", "user", "--append"), "--append goes with --out"),
        (("gtalign/Assistant-v0", "--as", "user"), "is a Gymnasium view"),
    ],
)
def test_play__refuses_in_one_sentence(
    arguments: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """What cannot be played is refused before anybody sits down."""
    assert main(["play", *arguments]) == 2
    captured = capsys.readouterr()
    (line,) = captured.err.strip().splitlines()
    assert said in line
    assert captured.out == ""


def test_play__types_need_a_game_that_has_them(play: Play, capsys: pytest.CaptureFixture[str]) -> None:
    """A game that knows nothing of types says so."""
    assert main(["play", f"{__file__}:typeless", "--as", "user", "--user-type", "concise"]) == 2
    assert "has no types of users" in capsys.readouterr().err


def test_play__needs_a_chair(capsys: pytest.CaptureFixture[str]) -> None:
    """Without ``--as`` there is nothing to play."""
    assert main(["play", "assist"]) == 2
    assert "--as" in capsys.readouterr().err


def test_words__name_every_move() -> None:
    """Every move of the session has words of its own, all different."""
    for moves in (USER_MOVES, ASSISTANT_MOVES):
        said = [words.move_in_words(move.name) for move in moves]
        assert len(set(said)) == len(moves)
        assert not {move.name for move in moves} & set(said)


def test_words__describe_every_kind_of_question() -> None:
    """What lies on the table can be said for each kind of question, and after the end."""
    env = gtalign_env.parallel_env("assist")
    for kind in KINDS:
        observations, _ = env.reset(seed=0, options={"task": kind})
        said = words.place_in_words(see(observations["user_0"]))
        assert ("must be declined" if kind == "harmful" else kind) in said
    observations, _ = env.reset(seed=0)
    while env.agents:
        observations, *_ = env.step({"user_0": 10, "assistant_0": 0})
    assert words.place_in_words(see(observations["user_0"])) == "The session is over."


def test_words__say_which_length_bothers_a_type() -> None:
    """Too long for the concise one, too short for the detailed one, neither where both cost the same."""
    concise, detailed = (" ".join(words.theta_in_words(TYPES[name])) for name in ("concise", "detailed"))
    assert "bothers you more is a reply that is too long" in concise
    assert "bothers you more is a reply that is too short" in detailed
    even = words.theta_in_words({"too_long": 0.2, "too_short": 0.2})
    assert "of the wrong length either way" in " ".join(even)
    assert words.theta_in_words(UserType())[0].startswith('You are of the type "custom"')


def test_words__leave_out_items_of_nothing() -> None:
    """A payoff of nothing is just its total."""
    assert words.payoff_in_words({"value": 0.0, "odd": -0.001}) == "0.00"
    assert words.payoff_in_words({"odd": -1.0}) == "−1.00  (odd −1.00)"


def test_play__known_games_show_their_rules_and_who_sits_opposite(play: Play) -> None:
    """Payoffs stand on the welcome and behind /help; the type is told in the words of the game."""
    shown = play("stag_hunt", "--as", "assistant", "--opponent", "tit_for_tat", typed=["/help", "1"])
    assert "Opposite sits tit_for_tat." in shown
    assert shown.count("- you stag, the user hare: you get 0, the user gets 1") == 2
    shown = play("signalling", "--as", "user", "--user-type", "high", "--reveal", typed=["degree"])
    assert "Opposite sits random." in shown
    told = "high: worth 3 to the assistant, and a degree costs 0.75."
    assert f"You are of the type {told}" in shown
    assert f"The user's hidden type: {told}" in shown
    assert "may take a degree for 2.25 divided by its worth" in " ".join(shown.split())
    assert "tokens" not in shown


def test_play__numbers_legal_moves_from_one(play: Play, tmp_path: Path) -> None:
    """Whatever their places in the game are: an announcement before a move is number 1, too."""
    out = tmp_path / "talk.jsonl"
    shown = play(
        *("stag_hunt", "--as", "user", "--opponent", "all_c", "--option", "talk=1", "--out", str(out)),
        typed=["5", "1", "2"],
    )
    assert "your move (1-4): " in shown
    assert "'5' is not on the list" in shown
    (episode,) = load_episodes(out)
    assert [step.user.move for step in episode.steps if step.to_move != "assistant_0"] == ["SAY_stag", "hare"]
