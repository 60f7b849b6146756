"""A failure that was played again counts once: which records stand, and who reads a file so."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from chain_records import chain, reply, session

from gtalign_env.cli import main
from gtalign_env.episode import Episode, EpisodeWriter, load_episodes
from gtalign_env.superseded import PlayedAgainWarning, Superseded, iter_standing
from gtalign_env.types import ASSISTANT, USER

Write = Callable[..., Path]


def record(seed: int, *, failed: bool = False, run_seed: int | None = 0, player: str = "m") -> Episode:
    """Return a record of one reply with a chain."""
    ended = {"ended": "error", "error": {"type": "ModelError", "message": "busy", "where": ASSISTANT}} if failed else {}
    players = {USER: "persona:concise", ASSISTANT: player}
    step = reply("AQ_long", chain=chain(announced="AQ"), user=1.0, assistant=1.0)
    return session(step, seed=seed, run_seed=run_seed, players=players, **ended)


@pytest.fixture(params=["run.jsonl", "run.jsonl.zst"])
def write(tmp_path: Path, request: pytest.FixtureRequest) -> Write:
    """Return what writes records to a file."""

    def written(*episodes: Episode) -> Path:
        path = tmp_path / str(request.param)
        with EpisodeWriter(path) as writer:
            for episode in episodes:
                writer.write(episode)
        return path

    return written


@pytest.mark.parametrize(
    ("records", "standing"),
    [
        ([record(1, failed=True), record(2), record(1)], [1, 2]),
        ([record(1, failed=True), record(1, failed=True)], [1]),
        ([record(1, failed=True), record(1, failed=True), record(1)], [2]),
        ([record(1, failed=True)], [0]),
        ([record(1), record(1)], [0, 1]),
        ([record(1), record(1, failed=True)], [0, 1]),
        ([record(1), record(1, failed=True), record(1)], [0, 2]),
        ([record(1, failed=True, run_seed=None), record(1, run_seed=None)], [0, 1]),
        ([record(1, failed=True), record(1, run_seed=7)], [0, 1]),
        ([record(1, failed=True), record(1, player="n")], [0, 1]),
    ],
)
@pytest.mark.filterwarnings("ignore::gtalign_env.superseded.PlayedAgainWarning")
def test_iter_standing__leaves_out_failures_that_a_later_record_replaces(
    records: list[Episode], standing: list[int], write: Write
) -> None:
    """Run seed, game, players and seed have to be the same; what succeeded always stands, and so does the last failure."""
    for number, episode in enumerate(records):
        episode.id = str(number)
    path = write(*records)
    assert [int(episode.id) for episode in iter_standing(path)] == standing
    again = Superseded(records)
    assert [place for place, episode in enumerate(records) if not again.drops(episode)] == standing
    assert again.dropped == len(records) - len(standing)


def test_iter_standing__says_how_many(write: Write) -> None:
    """A warning with the number, and none where nothing was left out."""
    path = write(record(1, failed=True), record(2, failed=True), record(1), record(2))
    with pytest.warns(PlayedAgainWarning, match="2 episodes were played again"):
        assert len(list(iter_standing(path))) == 2
    assert Superseded([]).note() == ""


def test_superseded__reads_over_what_is_damaged(tmp_path: Path) -> None:
    """Lines that are no records count nowhere, and a torn frame ends the reading."""
    path = tmp_path / "run.jsonl"
    with EpisodeWriter(path) as writer:
        writer.write(record(1, failed=True))
    with path.open("ab") as file:
        file.write(b"{}\nno JSON\n\xff\n")
    with EpisodeWriter(path, append=True) as writer:
        writer.write(record(1))
    again = Superseded.of_file(path)
    assert again.drops(record(1, failed=True))
    torn = tmp_path / "torn.jsonl.zst"
    torn.write_bytes(b"no frame")
    assert not Superseded.of_file(torn).drops(record(1, failed=True))


def test_readers__count_an_episode_once(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    """Summary, gauges, sweeps and scores; watching shows every record, and the summary above it counts like the others."""
    path = str(write(record(1, failed=True), record(2), record(1)))
    assert main(["replay", path, "--summary", "--json"]) == 0
    told = capsys.readouterr()
    assert [(row["episodes"], row["errors"]) for row in json.loads(told.out)] == [(2, 0)]
    assert "note: 1 episode was played again after an error" in told.err
    assert main(["gauges", path, "--json"]) == 0
    measured = json.loads(capsys.readouterr().out)["gauges"]["m"]
    assert (measured["episodes"], measured["turns"], measured["errors"]) == (2, 2, {})
    assert main(["steer", path, "--rate", "0", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["sweeps"][0]["turns"] == 2
    assert main(["rescore", path, "--json"]) == 1  # these payoffs were made up, and it says so
    assert len(capsys.readouterr().out.splitlines()) == 2
    assert main(["replay", path, "--summary", "--json", "--episode", "1"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["errors"] == 1
    assert main(["replay", path, "--print"]) == 0
    told = capsys.readouterr()
    assert "2 episodes" in told.out
    assert "played again" in told.err
    assert len(load_episodes(path)) == 3
