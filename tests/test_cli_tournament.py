"""``gtalign tournament``: what it plays, reports, records and refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gtalign_env.cli import main
from gtalign_env.cli.tournament_tables import tournament_lines
from gtalign_env.episode import load_episodes
from gtalign_env.errors import UsageError
from gtalign_env.games import Bimatrix
from gtalign_env.tournament import CrossPlay

Capture = pytest.CaptureFixture[str]


class Fainter:
    """An assistant that fails in every second episode, or always."""

    name = "fainter"
    always = False
    begun = 0

    def reset(self, seed: int) -> None:
        """Begin."""
        type(self).begun += 1

    def act(self, observation: Any, info: Any) -> int:
        """Faint, or play."""
        if self.always or type(self).begun % 2 == 0:
            raise RuntimeError("down")
        return 0


class Dead(Fainter):
    """An assistant that always fails."""

    always = True


def tournament(*arguments: str, game: str = "prisoners_dilemma") -> int:
    """Run the verb."""
    return main(["tournament", game, *arguments])


def results(capsys: Capture, *arguments: str, game: str = "prisoners_dilemma") -> dict[str, Any]:
    """Run the verb and return what it prints as JSON."""
    assert tournament(*arguments, "--json", game=game) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_tournament__of_strategies_has_the_payoffs_of_the_textbook(capsys: Capture) -> None:
    """Ten rounds of T, R, P, S = 5, 3, 1, 0: all_c, all_d and tit_for_tat in both chairs, by hand."""
    found = results(capsys, "--players", "all_c,all_d,tit_for_tat", "--option", "rounds=10", "--episodes", "2")
    assert found["payoffs"]["user"]["mean"] == [[30, 0, 30], [50, 10, 14], [30, 9, 30]]
    assert found["payoffs"]["assistant"]["mean"] == [[30, 50, 30], [0, 10, 9], [30, 14, 30]]
    assert found["payoffs"]["user"]["low"] == found["payoffs"]["user"]["high"] == found["payoffs"]["user"]["mean"]
    meta = found["meta_game"]
    assert sorted(map(tuple, meta["pure_nash"])) == [("all_d", "all_d"), ("tit_for_tat", "tit_for_tat")]
    assert meta["stability"] == 1.0
    assert meta["nash_complete"]
    assert {
        "user": {"all_d": 1.0},
        "assistant": {"all_d": 1.0},
        "payoffs": {"user": 10.0, "assistant": 10.0},
        "exact": True,
    } in meta["nash"]
    assert meta["dominance_log"] == []
    means = {row["player"]: row["score"] for row in found["ranking"]}
    assert means == pytest.approx({"all_d": 74 / 3, "tit_for_tat": 69 / 3, "all_c": 60 / 3})
    assert [row["player"] for row in found["ranking"]] == ["all_d", "tit_for_tat", "all_c"]
    assert (found["scenario"], found["options"]["rounds"], found["errors"]) == ("gtalign/PrisonersDilemma-v0", 10, 0)


def test_tournament__is_reproducible(capsys: Capture) -> None:
    """The same seed gives the same results, another one others."""
    arguments = ["--players", "random,regret_matching", "--option", "rounds=5", "--episodes", "4", "--resamples", "200"]
    first, again, other = (results(capsys, *arguments, "--seed", seed) for seed in ("1", "1", "2"))
    assert first == again
    assert first["payoffs"] != other["payoffs"]


def test_tournament__shows_pairs_ranking_and_the_meta_game(capsys: Capture) -> None:
    """The table for people names everybody, marks the equilibria and says how sure they are."""
    assert tournament("--players", "all_c,all_d,generous_tft", "--option", "rounds=5", "--episodes", "5") == 0
    shown = capsys.readouterr().out
    for words in (
        "mean payoff per episode: user, assistant",
        "◆ 15.00, 15.00",
        "● 5.00, 5.00",
        "5 episodes a pair\n95% intervals of these means reach at most",
        "ranking: mean over all opponents",
        "equilibrium  all_d  with  all_d  (5.00, 5.00)",
        "% of 2,000 resamples of the episodes",
    ):
        assert words in shown
    assert tournament("--players", "all_c,all_d", "--episodes", "1") == 0
    shown = capsys.readouterr().out
    assert "dominance    round 1: the user's all_c, by all_d" in shown
    assert "1 episode a pair\n" in shown
    assert "stability    unknown: one episode a pair" in shown


def test_tournament__cuts_wide_tables_and_long_lists(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    """Columns that do not fit go below, and of many equilibria the first are listed."""
    monkeypatch.setenv("COLUMNS", "60")
    names = "tit_for_tat,grim,grim_n,all_c,contrite_tft,tit_for_two_tats,win_stay_lose_shift"
    assert tournament("--players", names, "--option", "rounds=3", "--episodes", "1") == 0
    shown = capsys.readouterr().out
    assert shown.count("\ntit_for_tat ") == 5  # four parts of the table, and the ranking
    assert max(len(line) for line in shown.splitlines() if ", " in line and "●" in line and "pure" not in line) <= 60
    assert "more: see --json" in shown


def test_tournament__of_personas_and_assistants(capsys: Capture, tmp_path: Path) -> None:
    """Users and assistants may differ; every episode is recorded with its pair, and the chairs are ranked apart."""
    out = tmp_path / "cross.jsonl"
    arguments = [
        "--users",
        "concise,hurried",
        "--assistants",
        "heuristic,fixed:CQ",
        "--episodes",
        "2",
        "--out",
        str(out),
    ]
    found = results(capsys, *arguments, game="assist")
    episodes = load_episodes(out)
    assert [tuple(episode.players.values()) for episode in episodes[::2]] == [
        ("persona:concise", "heuristic"),
        ("persona:concise", "fixed:CQ"),
        ("persona:hurried", "heuristic"),
        ("persona:hurried", "fixed:CQ"),
    ]
    assert len({episode.id for episode in episodes}) == 8
    first = [episode.totals() for episode in episodes[:2]]
    assert found["payoffs"]["user"]["mean"][0][0] == pytest.approx(sum(user for user, _ in first) / 2)
    assert {row["chair"] for row in found["ranking"]} == {"user", "assistant"}
    assert tournament(*arguments[:-1], str(tmp_path / "again.jsonl"), game="assist") == 0
    shown = capsys.readouterr().out
    assert "chair" in shown
    assert f"8 episodes in {tmp_path / 'again.jsonl'}" in shown


def test_tournament__leaves_out_seeds_that_failed_and_says_so(capsys: Capture) -> None:
    """A failure is no payoff of 0: its seed counts for nobody, and the exit code is 1."""
    spec = f"random,{__file__}:Fainter"
    Fainter.begun = 0
    assert tournament("--users", "all_c", "--assistants", spec, "--episodes", "4", "--json") == 1
    found = json.loads(capsys.readouterr().out)
    assert (found["errors"], found["episodes"]) == (2, 2)
    assert tournament("--users", "all_c", "--assistants", f"{__file__}:Dead", "--episodes", "2") == 1
    told = capsys.readouterr()
    assert "2 episodes ended in an error: assistant_0 RuntimeError down" in told.err
    assert "there is nothing to compare" in told.err
    assert tournament("--users", "all_c", "--assistants", f"{__file__}:Dead", "--json") == 1
    assert json.loads(capsys.readouterr().out)["episodes"] == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "expected --players A,B,… or both --users A,B,… and --assistants A,B,…"),
        ([], "for instance --players random,nash,simultaneous,maximin,stackelberg,welfare,level_k,quantal"),
        (["--users", "all_c"], "nobody would play"),
        (["--players", ","], "nobody would play"),
        (["--players", "all_c", "--users", "all_d"], "--players fills both chairs"),
        (["--players", "all_c,grim,all_c"], "'all_c' would sit in the user's chair twice"),
        (["--players", "all_c,nobody"], "unknown persona or player 'nobody'"),
        (["--players", "all_c,sequential"], "player 'sequential' cannot play 'prisoners_dilemma'"),
        (["--players", "all_c,grim_n:m=2"], "setting 'm' is unknown"),
        (["--players", "all_c", "--resamples", "5"], "expected a whole number >= 100"),
        (["--players", "all_c", "--out", "here.txt"], ".jsonl"),
    ],
)
def test_tournament__refuses_what_cannot_be_played(arguments: list[str], words: str, capsys: Capture) -> None:
    """Wrong usage is refused in words before anything is played."""
    assert tournament(*arguments) == 2
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--players", "bayes,heuristic"], "'bayes' sits in the assistant's only: name it in --assistants"),
        (["--players", "random,concise"], "'concise' sits in the user's only: name it in --users"),
        (["--players", "random,mine.toml"], "'mine.toml' sits in the user's only: name it in --users"),
        (["--players", "fake:chain,random"], "'fake:chain' sits in the assistant's only: name it in --assistants"),
        (["--players", "trained:nowhere"], "nowhere/policy.pt: is missing"),  # it may have learned both chairs
        ([], "for instance --users concise,hurried --assistants heuristic,random"),
    ],
)
def test_tournament__says_which_chair_is_whose(arguments: list[str], words: str, capsys: Capture) -> None:
    """Who can sit in one chair only is sent there."""
    assert tournament(*arguments, game="assist") == 2
    assert words in capsys.readouterr().err


def test_tournament__bayes_expects_everybody_who_comes(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is solved for the tournament's users; its long name is folded above its column and nowhere cut."""
    rules = ["--users", "concise,detailed,expert", "--assistants", "bayes,heuristic", "--option", "questions=1"]
    name = "bayes:users=concise,detailed,expert"
    assert results(capsys, *rules, "--episodes", "2", game="assist")["assistants"] == [name, "heuristic"]
    monkeypatch.setenv("COLUMNS", "60")
    assert tournament(*rules, "--episodes", "2", game="assist") == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 60
    assert lines[1].split() == ["bayes:users=concise,"]
    assert lines[2].split() == ["detailed,expert", "heuristic"]


def test_tournament__helps_with_examples(capsys: Capture) -> None:
    """``--help`` says what is shown, with examples."""
    assert main(["tournament", "--help"]) == 0
    told = capsys.readouterr().out
    assert "gtalign tournament gtalign/PrisonersDilemma-v0 --players all_c,all_d,tit_for_tat,grim" in told
    assert "meta-game" in told


def test_tournament__says_where_it_did_not_list_all_equilibria(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the meta-game is too large to search, the table says that mixed equilibria are left out."""

    def refuse(game: Bimatrix) -> None:
        raise UsageError("too large")

    monkeypatch.setattr(Bimatrix, "nash", refuse)
    arguments = ["--players", "random,all_d", "--episodes", "2"]
    assert tournament(*arguments) == 0
    assert "those that mix are not listed" in capsys.readouterr().out
    assert not results(capsys, *arguments)["meta_game"]["nash_complete"]


def test_tournament__tells_removals_by_mixtures_and_cuts_long_logs() -> None:
    """A player that only a mixture dominates is told with the mixture; of many removals the first are shown."""
    removal = {"role": "user", "move": "c", "by": {"a": 0.5, "b": 0.5}, "round": 1}
    meta = {"nash": [], "nash_complete": True, "dominance_log": [removal] * 14, "stability": 0.5, "resamples": 100}
    played = CrossPlay(users=("a",), assistants=("b",), payoffs=np.zeros((1, 1, 2, 2)))
    report = {"ranking": [], "episodes": 2, "level": 0.95, "meta_game": meta}
    told = [str(line) for line in tournament_lines(played, report, 80)]
    assert told.count("dominance    round 1: the user's c, by 0.5 a + 0.5 b") == 12
    assert "… and 2 more: see --json" in told[-2]
    assert "the same in 50 % of 100 resamples" in told[-1]


def test_tournament__says_that_one_episode_tells_nothing_of_chance(capsys: Capture) -> None:
    """No interval and no stability, and the reason, in the shape of ``solve --json``."""
    found = results(capsys, "--players", "all_c,all_d", "--episodes", "1")
    assert found["payoffs"]["user"] == {"mean": [[3.0, 0.0], [5.0, 1.0]], "low": None, "high": None}
    meta = found["meta_game"]
    assert (meta["stability"], meta["stability_reason"]) == (None, "one episode a pair")
    assert meta["nash"][0]["payoffs"] == {"user": 1.0, "assistant": 1.0}
    assert meta["dominance_left"] == {"user": ["all_d"], "assistant": ["all_d"]}
    assert "versions" in found
