"""Figures of several players in one file or run are kept apart: gauges, plots, sweeps, steered payoffs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from chain_records import MATRIX, chain, reply, session, turn_of_user

from gtalign_env.cli import main
from gtalign_env.cli.tally import Tally
from gtalign_env.episode import Episode, EpisodeWriter
from gtalign_env.errors import UsageError
from gtalign_env.gauges import PlayerMeters, chain_turns, gauges, gauges_by_player
from gtalign_env.gauges.figures import reliability_figure
from gtalign_env.types import ASSISTANT, USER

BETA = 0.35
"""The share of the user's gain that comes back to the assistant (docs/game.md)."""


def played(player: str, *moves: str, **fields: Any) -> Episode:
    """Return a session of a player that announces AQ and makes these moves."""
    steps = []
    for number, move in enumerate(moves):
        steps += [reply(move, chain=chain(**fields), announced="AQ", user=1.0 + number, assistant=0.5)]
        steps += [turn_of_user("DQ_none")]
    return session(*steps, players={USER: "persona:concise", ASSISTANT: player})


@pytest.fixture
def episodes() -> list[Episode]:
    """Two ways of reasoning, a plain model, and a script."""
    return [
        played("m+solver", "AQ_long", "AQ_short", "AQ_long"),
        played("m+self/nash", "CQ", "CQ", mode="self", criterion="nash"),
        session(reply("CQ", chain={"mode": "none"}), players={ASSISTANT: "m+none"}),
        session(reply("CQ"), players={ASSISTANT: "heuristic"}),
    ]


@pytest.fixture
def recorded(tmp_path: Path, episodes: list[Episode]) -> Path:
    """The same in a file."""
    with EpisodeWriter(tmp_path / "run.jsonl") as writer:
        for episode in episodes:
            writer.write(episode)
    return tmp_path / "run.jsonl"


def test_gauges_by_player__keep_players_apart(episodes: list[Episode]) -> None:
    """One keeps its word, the other never; a mean of both is the rate of neither. Scripts have no chain."""
    found = gauges_by_player(episodes)
    assert list(found) == ["m+solver", "m+self/nash", "m+none"]
    assert [(one.announced.agree, one.announced.n) for one in found.values()] == [(3, 3), (0, 2), (0, 0)]
    assert [(one.episodes, one.turns, one.plain) for one in found.values()] == [(1, 3, 0), (1, 2, 0), (1, 0, 1)]
    assert found["m+solver"] == gauges(episodes[:1])


def test_player_meters__refuse_what_means_nothing() -> None:
    """Before the first episode comes."""
    with pytest.raises(UsageError, match="scale"):
        PlayerMeters(scale=0.0)


def test_tally__keeps_players_apart(episodes: list[Episode]) -> None:
    """As a file does."""
    tally = Tally()
    for episode in episodes:
        tally.add(episode)
    assert tally.gauges == gauges_by_player(episodes)


def test_gauges_command__shows_a_block_for_each_player(
    recorded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each under its name, in the order of the file; the plot has a row for each; the summary of replay has them, too."""
    assert main(["gauges", str(recorded), "--plot", str(tmp_path / "x.svg")]) == 0
    shown = capsys.readouterr().out
    names = [line for line in shown.splitlines() if line.startswith("m+")]
    assert names == ["m+solver", "m+self/nash", "m+none"]
    blocks = shown.split("\n\n")
    assert "announced = made                    100% (3 of 3)" in blocks[0]
    assert "announced = made                    0% (0 of 2)" in blocks[1]
    assert "chains" in blocks[2]
    assert main(["gauges", str(recorded), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert {name: one["announced"]["n"] for name, one in told["gauges"].items()} == {
        "m+solver": 3,
        "m+self/nash": 2,
        "m+none": 0,
    }
    assert main(["replay", str(recorded), "--summary"]) == 0
    assert "\n\nm+self/nash\n" in capsys.readouterr().out


def test_reliability_figure__has_a_row_for_each_player(episodes: list[Episode]) -> None:
    """Each panel says whose it is; players without a known payoff have none."""
    figure = reliability_figure(gauges_by_player(episodes))
    titles = [axes.get_title(loc="left").partition(":")[0] for axes in figure.axes]
    assert titles == [f"{name}\n{side}" for name in ("m+solver", "m+self/nash") for side in ("user", "assistant")]


# -- steered payoffs ---------------------------------------------------------------------------------------------------------


def test_gauges__compare_what_was_stated_at_the_price_that_was_paid() -> None:
    """A price of 1 in every cell was worked in: DQ and AQ were stated as (3, 3), and are (2, 4) now."""
    steered = {**MATRIX, "user": [[0, 3, 0], [-1, 2, 1]], "assistant": [[2, 1, 1], [2, 4, 2]]}
    found = gauges([played("m", "AQ_long", steered=steered)])
    assert found.user is not None
    assert found.assistant is not None
    assert (found.user.bias, found.assistant.n) == (2.0 - 1.0, 1)
    assert found.assistant.bias == pytest.approx(4.0 - 0.5 - BETA, abs=1e-5)


def test_gauges__leave_a_switching_cost_out_of_the_calibration() -> None:
    """Hysteresis gives the held column a bonus that nobody is paid: in the second turn it is taken off again."""
    held = {**MATRIX, "user": [[1, 4.5, 1], [0, 3.5, 2]], "assistant": [[1, 0.5, 0], [1, 3.5, 1]]}
    steering = {"pricing_from": "subscription", "pricing_to": "subscription", "margin": 0.5}
    episode = session(
        reply("AQ_long", chain=chain(steered=MATRIX, steering=steering, announced="AQ"), user=3.0),
        turn_of_user("DQ_none"),
        reply("AQ_long", chain=chain(steered=held, steering=steering, announced="AQ"), user=3.0),
        turn_of_user("DQ_none"),
    )
    first, second = chain_turns(episode)
    assert (first.held, second.held, second.margin) == ("", "AQ", 0.5)
    assert second.priced is not None
    assert second.priced.user.tolist() == MATRIX["user"]
    assert second.priced.assistant.tolist() == MATRIX["assistant"]
    found = gauges([episode]).user
    assert found is not None
    assert (found.n, found.mae) == (2, 0.0)


def test_chain_turns__hold_no_move_that_a_plain_reply_made() -> None:
    """What was announced before stays, as the player has it."""
    steps = [
        reply("AQ_long", chain=chain(announced="AQ")),
        reply("CQ", chain=chain(announced="CQ", fallback="plain")),
        reply("CQ", chain=chain(announced="CQ")),
        reply("CQ", chain={"mode": "none"}),
    ]
    assert [turn.held for turn in chain_turns(session(*steps))] == ["", "AQ", "AQ", "CQ"]


# -- sweeps ------------------------------------------------------------------------------------------------------------------


def test_steer_command__sweeps_each_player_by_the_criterion_of_its_record(
    recorded: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of its own turns alone, with its own tokens; a criterion that is asked for goes before the record's."""
    assert main(["steer", str(recorded), "--rate", "0,0.01", "--json"]) == 0
    sweeps = json.loads(capsys.readouterr().out)["sweeps"]
    assert [(one["player"], one["chosen_by"], one["turns"]) for one in sweeps] == [
        ("m+solver", "welfare:cobb_douglas", 3),
        ("m+self/nash", "nash", 2),
    ]
    assert [one["against"] for one in sweeps] == [["subscription"]] * 2
    assert main(["steer", str(recorded), "--rate", "0", "--criterion", "maximin", "--json"]) == 0
    assert [one["chosen_by"] for one in json.loads(capsys.readouterr().out)["sweeps"]] == ["maximin"] * 2


def test_steer_command__names_the_players_and_the_price_it_compares_with(
    recorded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where there are several; one can be asked for."""
    assert main(["steer", str(recorded), "--rate", "0", "--plot", str(tmp_path / "x.svg")]) == 0
    shown = capsys.readouterr().out
    assert "m+solver · per_token:rate_out · chosen by welfare:cobb_douglas · 3 matrices" in shown
    assert "m+self/nash · per_token:rate_out · chosen by nash · 2 matrices" in shown
    assert "switched: against the matrices as they were stated, under subscription" in shown
    assert main(["steer", str(recorded), "--rate", "0", "--player", "m+self/nash"]) == 0
    assert capsys.readouterr().out.startswith("per_token:rate_out · chosen by nash")


@pytest.mark.parametrize(
    ("player", "said"),
    [("nobody", "--player: expected one of m+solver, m+self/nash, m+none in"), ("m+none", "no episode holds a stated")],
)
def test_steer_command__says_which_players_there_are(
    player: str, said: str, recorded: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One sentence, exit code 2."""
    assert main(["steer", str(recorded), "--player", player]) == 2
    assert said in capsys.readouterr().err


def test_steer_command__says_whose_choices_are_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A criterion that picks nothing is told with the player that was solved by it."""
    empty = {**MATRIX, "user": [[-1, -1, -1]] * 2, "assistant": [[-1, -1, -1]] * 2}
    with EpisodeWriter(tmp_path / "run.jsonl") as writer:
        writer.write(played("one", "CQ"))
        writer.write(played("two", "CQ", matrix=empty, criterion="bargaining:nash"))
    assert main(["steer", str(tmp_path / "run.jsonl"), "--rate", "0"]) == 1
    assert "gtalign: two · bargaining:nash: nothing was chosen at any rate: " in capsys.readouterr().err
