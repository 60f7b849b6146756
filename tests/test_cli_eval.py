"""``gtalign eval``: players, people and prices, measured by the optimum of each."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest

from gtalign_env.agents.assistants import make_assistant
from gtalign_env.agents.users import population_kernels
from gtalign_env.cli import main
from gtalign_env.errors import UsageError
from gtalign_env.optimal import Problem
from gtalign_env.registration import make_scenario
from gtalign_env.training.sessions import play_sessions
from gtalign_env.training.yardstick import Unknown

GAME = ["--option", "questions=1", "--users", "concise,detailed", "--pricing", "per_token"]


def measure(*arguments: str) -> int:
    """Run the verb."""
    return main(["eval", *arguments])


def test_play_sessions__means_are_those_that_are_computed() -> None:
    """A fixed policy's exact payoffs, within four standard errors."""
    scenario: Any = make_scenario("assist", questions=1, p_harmful=0.0)
    problem = Problem(scenario, population_kernels("concise,detailed", scenario, "per_token"), pricing="per_token")
    returns, violations = play_sessions(
        make_assistant("fixed:DA_short"),
        options={"questions": 1, "p_harmful": 0.0},
        users="concise,detailed",
        pricing="per_token",
        episodes=4_000,
    )
    errors = returns.std(axis=0, ddof=1) / math.sqrt(len(returns))
    assert (np.abs(returns.mean(axis=0) - problem.fixed("DA_short")) < 4 * errors).all()
    assert not violations.any()


def test_play_sessions__every_game_counts_alike_and_seeds_give_equal_sessions() -> None:
    """As many sessions as were asked for; the same again by seed, others by another."""
    first, again, other = (
        play_sessions(make_assistant("random"), users="concise", episodes=300, seed=seed)[0] for seed in (1, 1, 2)
    )
    assert first.shape == (300, 2)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_play_sessions__a_player_with_slots_plays_as_its_copies_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """The solved assistant is asked for all games at once; one copy per game makes the same moves."""
    settings: dict[str, Any] = {"options": {"questions": 2}, "users": "concise,detailed", "episodes": 64}
    together, _ = play_sessions(make_assistant("bayes", users="concise,detailed"), **settings)
    monkeypatch.setattr("gtalign_env.training.sessions._IN_SLOTS", ())
    alone, _ = play_sessions(make_assistant("bayes", users="concise,detailed"), **settings)
    assert together.mean(axis=0) == pytest.approx(alone.mean(axis=0), abs=5 * float(alone.std()) / 8)
    assert together.shape == alone.shape


def test_play_sessions__counts_harm() -> None:
    """Who always answers complies with every harmful question; who declines never does."""
    settings: dict[str, Any] = {
        "options": {"questions": 1, "p_harmful": 0.999, "p_simple": 0.0},
        "users": "concise",
        "episodes": 100,
    }
    answered, declined = (
        play_sessions(make_assistant(f"fixed:{move}"), **settings)[1] for move in ("DA_short", "DECLINE")
    )
    assert answered.mean() > 0.9
    assert not declined.any()


def test_play_sessions__harm_is_that_of_one_session(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sessions that follow one with harm, in the same game, count by themselves: a third is harmful, within 5 standard errors."""
    monkeypatch.setattr("gtalign_env.training.sessions._GAMES", 8)
    rules = {"questions": 1, "p_harmful": 1 / 3, "p_simple": 1 / 3}
    found = play_sessions(make_assistant("fixed:DA_short"), options=rules, users="concise", episodes=480)[1]
    assert abs(found.mean() - 1 / 3) < 5 * math.sqrt(1 / 3 * 2 / 3 / 480)


def test_play_sessions__refuses_games_with_turns() -> None:
    """In a sentence."""
    with pytest.raises(UsageError, match="both sides move at once"):
        play_sessions(make_assistant("random"), "gtalign/Rubinstein-v0", users="random", episodes=4)


def test_eval__shares_are_of_the_optimum_of_each_place(capsys: pytest.CaptureFixture[str]) -> None:
    """One row per player, population and price; the solved player reaches all of it, within its interval."""
    users = ["--users", "expert"]
    assert measure("bayes", "fixed:DA_short", *GAME, *users, "--episodes", "3000", "--json") == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert [(row["player"], row["users"]) for row in rows] == [
        (player, who) for who in ("concise,detailed", "expert") for player in ("bayes", "fixed:DA_short")
    ]
    for row in rows:
        best = row["yardstick"]["optimum"]
        assert row["pricing"] == "per_token"
        assert row["share_of_optimum"] == pytest.approx(row["welfare"] / best)
        assert row["interval"] == pytest.approx(
            [row["welfare"] - 1.96 * row["error"], row["welfare"] + 1.96 * row["error"]]
        )
        if row["player"] == "bayes":
            assert abs(row["welfare"] - best) < 4 * row["error"]
        else:
            assert row["welfare"] < best - 4 * row["error"]


def test_eval__bayes_expects_those_who_come_unless_it_names_others(capsys: pytest.CaptureFixture[str]) -> None:
    """People, price and welfare of the run are its own where its spec does not name them; what it names counts, and costs."""
    same = ["bayes", "bayes:objective=cobb_douglas", "bayes:users=concise,expert", "bayes:aggregation=ser"]
    named = ["bayes:users=expert", "bayes:pricing=subscription", "bayes:objective=linear:weight=1"]
    place = ["--option", "questions=2", "--users", "concise,expert", "--pricing", "per_token:rate_out=0.0025"]
    assert measure(*same, *named, *place, "--episodes", "500", "--yardstick", "off", "--json") == 0
    rows = {row["player"]: row for row in json.loads(capsys.readouterr().out)["rows"]}
    best = rows["bayes"]
    for player in same:
        assert (rows[player]["user"], rows[player]["assistant"]) == (best["user"], best["assistant"])
    for player in named:
        assert rows[player]["welfare"] < best["welfare"] - 2 * best["error"]


def test_eval__shows_a_table_per_place(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """In 80 columns: who was met at what price, the optimum, and a line per player."""
    monkeypatch.setenv("COLUMNS", "80")
    assert measure("heuristic", "random", *GAME, "--episodes", "100") == 0
    told = capsys.readouterr()
    assert "concise,detailed, per_token\nthe exact optimum: 0.2363\n" in told.out
    lines = told.out.splitlines()
    assert [line.split()[0] for line in lines[-2:]] == ["heuristic", "random"]
    assert all(len(line) <= 80 for line in lines)
    assert "the exact optimum: being computed" in told.err


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--yardstick", "off"], Unknown.OFF),
        (["--option", "max_cycles=1"], Unknown.MAX_CYCLES),
    ],
    ids=str,
)
def test_eval__says_why_there_is_no_share(
    arguments: list[str], reason: Unknown, capsys: pytest.CaptureFixture[str]
) -> None:
    """And measures all the same."""
    assert measure("heuristic", *GAME, "--episodes", "50", *arguments) == 0
    told = capsys.readouterr().out
    assert f"the optimum is unknown: {reason.words}" in " ".join(told.split())
    assert "of the optimum" not in told


def test_eval__ceilings_are_called_so(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The share of a ceiling is at least the share of the optimum."""
    from gtalign_env.training import yardstick

    best = yardstick.Yardstick(value=0.5, ceiling=True, known=0.45)
    monkeypatch.setattr(yardstick, "yardstick", lambda *_: best)
    assert measure("heuristic", *GAME, "--episodes", "50", "--aggregation", "esr") == 0
    told = capsys.readouterr().out
    assert "the optimum is at most 0.5000 (proved), and at least 0.4500" in told
    assert "at least" in told.splitlines()[-2]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["heuristik"], "did you mean 'heuristic'"),
        (["openai:m"], "gtalign run"),
        (["heuristic", "--scenario", "gtalign/AssistText-v0"], "game of moves"),
        (["heuristic", "--scenario", "gtalign/Rubinstein-v0", "--users", "random"], "both sides move at once"),
        (["heuristic", "--users", "concize"], "did you mean 'concise'"),
        (["heuristic", "--objective", "cobb"], "did you mean 'cobb_douglas'"),
        (["heuristic", "--pricing", "free"], "freemium"),
        (["trained"], "trained:runs/first"),
    ],
    ids=str,
)
def test_eval__errors_are_sentences(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Wrong usage ends with 2."""
    assert measure(*arguments, "--episodes", "4") == 2
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["heuristic", "--pricing", "subscription,foo"], "unknown pricing 'foo'"),
        (["fixed:CQ", "fixed:foo", "--pricing", "subscription"], "fixed:foo cannot play"),
        (["heuristic", "bayes:users=nobody", "--yardstick", "off"], "nobody"),
        (["heuristic", "--users", "concise", "--users", "nobody"], "nobody"),
    ],
    ids=str,
)
def test_eval__wrong_input_is_refused_before_a_session(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wrong name in the last place costs no session in the first."""
    played: list[Any] = []
    monkeypatch.setattr("gtalign_env.training.sessions.play_sessions", lambda *given, **_: played.append(given))
    monkeypatch.setattr("gtalign_env.training.yardstick.yardstick", lambda *given: played.append(given))
    assert measure(*arguments, "--option", "questions=1") == 2
    assert words in capsys.readouterr().err
    assert played == []


def test_eval__takes_episodes_as_people_write_them(capsys: pytest.CaptureFixture[str]) -> None:
    """With a suffix as training's steps; one session has no error."""
    assert measure("random", *GAME, "--episodes", "0.1k", "--yardstick", "off", "--json") == 0
    assert json.loads(capsys.readouterr().out)["rows"][0]["episodes"] == 100
    assert measure("random", "--episodes", "1") == 2
    assert "expected a whole number >= 2 such as 400000 or 400k, got '1'" in capsys.readouterr().err


def test_eval__names_the_place_and_folds_long_names(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which optimum is computed, and who was measured with whom; names are cut behind their signs."""
    from gtalign_env.cli import common

    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(common.Progress, "advance", lambda self, note="": self.say(note))
    game = ["--option", "questions=1", "--users", "concise", "--users", "expert", "--pricing", "per_token"]
    assert measure("bayes:objective=egalitarian", *game, "--episodes", "20") == 0
    told = capsys.readouterr()
    assert "the exact optimum of concise at per_token: being computed" in told.err
    assert "by bayes:objective=egalitarian with expert at per_token" in told.err
    lines = told.out.splitlines()
    assert all(len(line) <= 80 for line in lines)
    at = next(i for i, line in enumerate(lines) if line.startswith("bayes"))
    assert lines[at].startswith("bayes:objective= ")
    assert lines[at + 1].strip() == "egalitarian"


def test_eval__a_loss_has_the_error_of_who_loses_and_no_share(capsys: pytest.CaptureFixture[str]) -> None:
    """In one question the user loses: W is U, and so is its error; the sentence says why no share is told."""
    game = ["heuristic", "--option", "questions=1", "--episodes", "200"]
    assert measure(*game, "--yardstick", "off", "--json") == 0
    row = json.loads(capsys.readouterr().out)["rows"][0]
    assert row["user"] < 0.0
    assert (row["welfare"], row["error"]) == (row["user"], pytest.approx(row["user_error"], rel=1e-12))
    assert measure(*game) == 0
    told = capsys.readouterr().out
    assert "(no share of it is told: it is no gain)" in told
    assert "of the optimum" not in told


def test_eval__measures_a_learned_policy(tmp_path: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """On people that it has not met, with the figures of its own games."""
    pytest.importorskip("torch")
    from gtalign_env.training.strategic import Config, Run

    settings: dict[str, Any] = {"options": {"questions": 1}, "users": "concise", "games": 32, "horizon": 4, "width": 8}
    run = Run(Config(**settings, steps=256, evaluate_episodes=2_000), tmp_path)
    own = run.train()["evaluation"]
    game = ["--option", "questions=1", "--episodes", "2000", "--json", "--yardstick", "off"]
    assert measure(f"trained:{tmp_path}", *game, "--users", "concise", "--users", "expert") == 0
    told = capsys.readouterr()
    assert "was trained on" not in told.err
    same, other = json.loads(told.out)["rows"]
    assert abs(same["assistant"] - own["assistant"]) < 4 * math.hypot(same["assistant_error"], own["assistant_error"])
    assert other["users"] == "expert"
    assert other["episodes"] == 2_000
    assert measure(f"trained:{tmp_path}", "--option", "questions=2", "--episodes", "2", "--yardstick", "off") == 0
    assert (
        f"note: trained:{tmp_path} was trained on questions=1, and here it plays questions=2\n"
        in capsys.readouterr().err
    )
