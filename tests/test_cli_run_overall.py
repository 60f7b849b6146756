"""``gtalign run`` over everybody: pooled rows, shares of the exact optimum, and the optimum for those who come."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gtalign_env.agents.users import population_kernels
from gtalign_env.cli import main
from gtalign_env.cli.run_report import as_dict, find_optimum, optimum_lines, share_of
from gtalign_env.env import parallel_env
from gtalign_env.episode import load_episodes
from gtalign_env.optimal import optimum
from gtalign_env.registration import make_scenario
from gtalign_env.replay.summary import Row
from gtalign_env.training.yardstick import Unknown, Yardstick

Capture = pytest.CaptureFixture[str]
MIX = "balanced=2,detailed"
RULES = ("--option", "questions=2", "--users", MIX)


def run(*arguments: str) -> int:
    """Run ``gtalign run`` on a short game."""
    return main(["run", "assist", *RULES, *arguments])


def told(capsys: Capture, *arguments: str) -> dict[str, Any]:
    """Return what the verb prints as JSON."""
    assert run(*arguments, "--json") == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def compiled(**rules: Any) -> Any:
    """Return the game, for the solver."""
    return make_scenario("assist", **rules)


def row(**fields: Any) -> Row:
    """Return a row over everybody."""
    usual: dict[str, Any] = {"persona": "all", "assistant": "one", "episodes": 8, "errors": 0, "violations": 0}
    usual |= {"user": 1.0, "assistant_payoff": 0.25, "welfare": 0.5, "interval": (0.25, 0.75)}
    return Row(**{**usual, "both_gain": 1.0, "exchanges": 2.0, "clarification_rate": 0.0, **fields})


def test_run__pools_everybody_who_came(tmp_path: Path, capsys: Capture) -> None:
    """The row over everybody has the means of all episodes of an assistant, not the mean of the personas' rows."""
    out = tmp_path / "run.jsonl"
    found = told(capsys, "--assistant", "heuristic", "--assistant", "random", "--episodes", "7", "--out", str(out))
    for one in found["all"]:
        totals = [e.totals() for e in load_episodes(out) if e.players["assistant_0"] == one["assistant"]]
        user, assistant = np.mean(totals, axis=0)
        assert (one["personas"], one["episodes"]) == (2, 7)
        assert (one["user"], one["assistant_payoff"]) == pytest.approx((user, assistant))
        assert one["welfare"] == (pytest.approx(np.sqrt(user * assistant)) if min(user, assistant) > 0 else None)
        assert "share_of_optimum" not in one
    assert [one["assistant"] for one in found["all"]] == ["heuristic", "random"]
    assert "optimum" not in found


def test_run__shows_everybody_only_where_several_came(capsys: Capture) -> None:
    """One persona is everybody already."""
    assert run("--episodes", "6") == 0
    assert "\nall " in (several := capsys.readouterr().out)
    assert "all: everybody who came" in several
    assert run("--episodes", "6", "--users", "balanced") == 0
    assert "everybody" not in capsys.readouterr().out


def test_run__tells_shares_of_the_optimum(capsys: Capture) -> None:
    """The share is √(U·L) over the optimum for the run's own users and price, in JSON and in words."""
    price = ("--pricing", "per_token", "--episodes", "9", "--optimum")
    found = told(capsys, *price)
    scenario = compiled(questions=2, pricing="per_token")
    best = optimum(scenario, population_kernels(MIX, scenario)).value
    assert found["optimum"] == {"optimum": pytest.approx(best)}
    (one,) = found["all"]
    assert one["share_of_optimum"] == pytest.approx(one["welfare"] / best)
    assert one["share_interval"] == pytest.approx([bound / best for bound in one["interval"]])
    assert run(*price) == 0
    lines = capsys.readouterr().out.splitlines()
    at = lines.index(f"the exact optimum with those who come: √(U·L) {best:.4f}")
    assert lines[at + 1].startswith(f"  heuristic: {100 * one['welfare'] / best:.1f} % of it (95 %: ")


def test_run__says_once_that_the_optimum_takes_a_while(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The first time a line says so; the second time it is remembered."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    asked = ("--episodes", "1", "--option", "questions=1", "--optimum")
    assert run(*asked) == 0
    assert capsys.readouterr().err.count("the exact optimum: being computed (and remembered)") == 1
    assert run(*asked) == 0
    assert "being computed" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["assist", "--max-cycles", "3"], "--max-cycles cuts sessions off"),
        (["assist_text", "--option", "questions=1"], "games of moves"),
        (["assist", "--users", "concise,detailed", "--option", "questions=1"], ""),
        (["matrix", "--users", "tit_for_tat"], "player 'tit_for_tat' goes by more than the public state"),
    ],
)
def test_run__says_why_the_optimum_is_unknown(arguments: list[str], why: str, capsys: Capture) -> None:
    """One line with the reason, where there is one; the run itself is as it was."""
    assert main(["run", *arguments, "--episodes", "2", "--optimum"]) == 0
    told = [line for line in capsys.readouterr().out.splitlines() if line.startswith("the optimum is unknown: ")]
    assert len(told) == bool(why)
    assert all(why in line for line in told)


def test_optimum_lines__of_losses_ceilings_and_harm() -> None:
    """No share where a side loses; a ceiling is called one; an assistant that complied with harm was not bound as the optimum."""
    best = Yardstick(value=0.625, ceiling=True)
    rows = [
        row(user=-1.0, welfare=None, interval=None),
        row(user=None, welfare=None, interval=None),
        row(violations=2),
        row(interval=None),
    ]
    head, loss, nobody, unsafe, single = optimum_lines(rows, best)
    assert head.endswith("at most √(U·L) 0.6250")
    assert loss == "  one: no share of it: not both sides gain"
    assert nobody == "  one: no episode was played to an end"
    assert unsafe.startswith("  one: 80.0 % of it (95 %: 40.0 to 120.0 %); in 2 of 8 episodes it complied with harm")
    assert single == "  one: 80.0 % of it"
    assert share_of(row(), Yardstick(unknown=Unknown.OFF)) == (None, None)
    assert share_of(row(), Yardstick(value=0.0)) == (None, None)


def test_as_dict__a_share_of_a_ceiling_is_called_so() -> None:
    """By the keys of ``gtalign eval`` and of training: a share of the optimum, or at least so much of it."""
    assert as_dict(row(), Yardstick(value=0.625))["share_of_optimum"] == 0.8
    ceiling = as_dict(row(), Yardstick(value=0.625, ceiling=True))
    assert (ceiling["share_at_least"], ceiling["share_interval"]) == (0.8, (0.4, 1.2))
    assert "share_of_optimum" not in ceiling


def test_find_optimum__is_that_of_the_games_price() -> None:
    """The price is the game's, as are its rules."""
    values = [
        find_optimum(parallel_env("assist", questions=1, pricing=price), "expert").value
        for price in ("subscription", "per_token")
    ]
    scenarios = [compiled(questions=1, pricing=price) for price in ("subscription", "per_token")]
    expected = [optimum(scenario, population_kernels("expert", scenario)).value for scenario in scenarios]
    assert values == pytest.approx(expected)
    assert values[0] != values[1]


# -- bayes ----------------------------------------------------------------------------------------------------------------


def test_run__bayes_expects_those_who_come(tmp_path: Path) -> None:
    """It is recorded with its users, and plays as that very spec does."""
    out = tmp_path / "run.jsonl"
    asked = ("--episodes", "4", "--out", str(out))
    assert run("--assistant", "bayes", "--assistant", "bayes:users=default", *asked) == 0
    mine, others = load_episodes(out)[:4], load_episodes(out)[4:]
    assert {e.players["assistant_0"] for e in mine} == {f"bayes:users={MIX}"}
    assert {e.players["assistant_0"] for e in others} == {"bayes:users=default"}
    again = tmp_path / "again.jsonl"
    assert run("--assistant", f"bayes:users={MIX}", "--episodes", "4", "--out", str(again)) == 0
    moves = [[[step.assistant.move for step in e.steps] for e in some] for some in (mine, load_episodes(again), others)]
    assert moves[0] == moves[1] != moves[2]


def test_run__bayes_expects_a_persona_from_a_file(tmp_path: Path) -> None:
    """A card is read by the same loader."""
    card = tmp_path / "mine.toml"
    assert main(["persona", "new", "mine", "--out", str(card)]) == 0
    out = tmp_path / "run.jsonl"
    assert run("--users", str(card), "--assistant", "bayes", "--episodes", "1", "--out", str(out)) == 0
    (episode,) = load_episodes(out)
    assert episode.players["assistant_0"] == f"bayes:users={card}"


def test_run__bayes_refuses_users_it_cannot_expect(tmp_path: Path, capsys: Capture) -> None:
    """What is wrong, and how to play the optimum for the default mix all the same."""
    module = tmp_path / "mine.py"
    module.write_text(
        "from gtalign_env.agents.users import load_persona\n"
        "class Mine:\n"
        "    name, description = 'mine', 'mine'\n"
        "    def sample_type(self, rng): return load_persona('concise').sample_type(rng)\n"
        "    def policy(self, theta): return load_persona('concise').policy(theta)\n"
    )
    users = f"{module}:Mine"
    assert run("--users", users, "--assistant", "bayes", "--episodes", "1") == 2
    error = capsys.readouterr().err
    assert "has to know what its users do: persona 'mine' does not tell what it will do" in error
    assert "whoever comes: bayes:users=default" in error
    assert run("--users", users, "--assistant", "bayes:users=default", "--episodes", "1") == 0
