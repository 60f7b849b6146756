"""Saved play under other payoffs and prices, and the published outputs under their own reward."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

import gtalign_env.agents  # noqa: F401 - players register themselves
from gtalign_env import parallel_env
from gtalign_env.cli import main
from gtalign_env.episode import Episode, EpisodeWriter
from gtalign_env.errors import FileFormatError, UsageError
from gtalign_env.play import play_episode
from gtalign_env.registration import ASSISTANTS, PERSONAS
from gtalign_env.rescore import rescore_episode, rescore_published, rescore_row


def played(scenario: str = "assist", assistant: Any = None, *, seed: int = 3, **options: Any) -> Episode:
    """Return an episode of the concise persona with an assistant that looks at no price."""
    seated = assistant or ASSISTANTS.get("fixed")("AQ_medium")
    persona = PERSONAS.get("random" if scenario == "matrix" else "concise")()
    return play_episode(parallel_env(scenario, **options), persona, seated, seed=seed)


@pytest.fixture(scope="module")
def episodes() -> list[Episode]:
    """The same session in both views."""
    return [played(), played("assist_text")]


def test_rescore_episode__under_its_own_rules_gives_the_recorded_payoffs(episodes: list[Episode]) -> None:
    """Both views: the record's own payoffs come out, to the last digit."""
    for episode in episodes:
        again = rescore_episode(episode)
        assert again.failure == ""
        assert (again.user, again.assistant) == again.recorded == episode.totals()


@pytest.mark.parametrize("scenario", ["assist", "assist_text"])
@pytest.mark.parametrize("pricing", ["per_token", "per_request", "subscription:fee=1.5"])
def test_rescore_episode__equals_playing_the_same_moves_at_that_price(scenario: str, pricing: str) -> None:
    """Neither of these players looks at the price, so play under another one is the same play."""
    cheap, dear = played(scenario), played(scenario, pricing=pricing)
    assert [step.assistant.move for step in cheap.steps] == [step.assistant.move for step in dear.steps]
    again = rescore_episode(cheap, pricing=pricing)
    assert (again.user, again.assistant) == dear.totals()


def test_rescore_episode__takes_another_payoff_model(episodes: list[Episode]) -> None:
    """Reputation lost by wrong answers doubles with its constant, and nothing else moves."""
    for episode in episodes:
        before, after = rescore_episode(episode), rescore_episode(episode, payoff="grounded:wrong=0.4")
        wrong = sum(step.outcome["wrong"] for step in episode.steps if step.outcome)
        assert after.assistant_items["reputation"] - before.assistant_items["reputation"] == pytest.approx(
            -0.2 * wrong, abs=1e-5
        )
        assert after.user_items == before.user_items


def test_rescore_episode__knows_a_price_that_was_pinned_at_reset() -> None:
    """A price that was pinned at reset is the recorded one."""
    episode = play_episode(
        parallel_env("assist"),
        PERSONAS.get("concise")(),
        ASSISTANTS.get("heuristic")(),
        seed=3,
        reset_options={"pricing": "per_request"},
    )
    assert rescore_episode(episode).failure == ""
    price = rescore_episode(episode).user_items["price"]
    assert price == pytest.approx(-0.15 * len(episode.steps), abs=1e-5)


class Spoken:
    """An assistant that says what it is told, as a language model's raw output."""

    def __init__(self, text: str) -> None:
        self.name = "spoken"
        self.last_call: dict[str, Any] = {"text": text}
        self._text = text

    def reset(self, seed: int) -> None:
        """Nothing to forget."""

    def act(self, observation: Any, info: Any) -> str:
        """Say it."""
        return self._text


def test_rescore_episode__scores_raw_outputs_under_the_paper_model() -> None:
    """The sum over replies of what the published formula gives each; one that cannot be read pays 0 and is a typed failure."""
    stated = json.dumps({f"{u}_{a}": {"LLM": 1, "user": 2} for u in ("DQ", "VQ") for a in ("AQ", "CQ", "DA")})
    text = f"<payoff>{stated}</payoff><response>The answer is four.</response>"
    episode = played("assist_text", Spoken(text), questions=1)
    score = rescore_episode(episode, payoff="paper")
    quality = [step.outcome["quality"] for step in episode.steps if step.outcome]
    assert score.user_items["quality"] == pytest.approx(0.5 * sum(quality), abs=1e-5)
    assert score.assistant_items["payoff"] == pytest.approx(0.2 * len(quality), abs=1e-5)
    unread = rescore_episode(played("assist_text", Spoken("Four."), questions=1), payoff="paper")
    assert (unread.failure, unread.user, unread.assistant) == ("no_response", 0.0, 0.0)


def test_rescore_episode__types_what_it_cannot_score(episodes: list[Episode]) -> None:
    """No outcomes, a broken episode, a doctored record, unknown rules, no model: each has its own word, and no payoffs."""
    broken = copy.deepcopy(episodes[0])
    broken.error = {"message": "the model went down"}
    doctored = copy.deepcopy(episodes[0])
    doctored.steps[0].user.items["value"] += 1.0
    strange = copy.deepcopy(episodes[0])
    strange.config["pricing"] = "barter"
    odd = copy.deepcopy(episodes[0])
    odd.hidden["user_type"] = {"patience": -1}
    matrix = played("matrix", ASSISTANTS.get("random")())
    kinds = [
        (broken, None, "episode_failed"),
        (doctored, None, "record_differs"),
        (odd, None, "record_differs"),
        (strange, None, "unknown_recorded"),
        (matrix, None, "no_outcomes"),
        (episodes[1], "paper", "no_model_output"),
    ]
    for episode, payoff, kind in kinds:
        result = rescore_episode(episode, payoff=payoff)
        assert (result.failure, result.user, result.assistant, result.welfare) == (kind, None, None, None)
        assert result.message


def test_rescore_episode__refuses_wrong_arguments(episodes: list[Episode]) -> None:
    """Unknown names and a price for the paper model."""
    with pytest.raises(UsageError, match="barter"):
        rescore_episode(episodes[0], pricing="barter")
    with pytest.raises(UsageError, match="paper model knows no prices"):
        rescore_episode(episodes[0], payoff="paper", pricing="per_token")


# -- published outputs ---------------------------------------------------------------------------------------------------


@pytest.mark.shared_data
@pytest.mark.parametrize(
    ("name", "rows", "apart"),
    [("ambig_qa_step0", 300, []), ("ambig_qa_step65", 300, []), ("math_step10", 353, [4, 283])],
)
def test_rescore_row__reproduces_the_published_payoffs(
    shared_dir: Path, name: str, rows: int, apart: list[int]
) -> None:
    """All rows to 1e-9, but for two whose published scoring failed: every published number of theirs is 0."""
    text = (shared_dir / "data" / "gtalign" / f"outputs_{name}.jsonl").read_text(encoding="utf-8")
    found = [json.loads(line) for line in text.splitlines()]
    assert len(found) == rows
    for index, row in enumerate(found):
        result = rescore_row(row)
        if index in apart:
            assert {row[key] for key in ("user_reward", "llm_reward", "format_reward", "answer_reward", "utility")} == {
                0
            }
            assert result.failure == ""
            continue
        assert result.user == pytest.approx(row["user_reward"], abs=1e-9)
        assert result.assistant == pytest.approx(row["llm_reward"], abs=1e-9)
        assert result.welfare == pytest.approx(row["utility"], abs=1e-9)


@pytest.mark.parametrize(
    ("row", "word"),
    [
        ({}, "output, answer_reward, source"),
        ({"output": 3, "answer_reward": 1, "source": "ambig_qa"}, "no text"),
        ({"output": "", "answer_reward": "much", "source": "ambig_qa"}, "answer_reward"),
        ({"output": "", "answer_reward": 1, "source": ["ambig_qa"]}, "unhashable"),
        ({"output": "", "answer_reward": 1, "source": "poetry"}, "source"),
    ],
)
def test_rescore_row__types_rows_that_lack_something(row: dict[str, Any], word: str) -> None:
    """Such a row has no payoffs at all, and says what it lacks."""
    result = rescore_row(row)
    assert (result.failure, result.user) == ("bad_row", None)
    assert word in result.message


def test_rescore_published__goes_on_after_a_line_that_is_wrong(tmp_path: Path) -> None:
    """A torn line and a list are typed failures that name their line, in their place among the others."""
    good = json.dumps({"output": "", "answer_reward": 0, "source": "ambig_qa"})
    place = tmp_path / "rows.jsonl"
    place.write_text(f'{good}\n\n{{"b"\n[1]\n{good}\n{good[:20]}')
    results = list(rescore_published(place))
    assert [result.failure for result in results] == ["no_response", "bad_row", "bad_row", "no_response", "bad_row"]
    assert [result.message.partition(":")[0] for result in results if result.failure == "bad_row"] == [
        "line 3",
        "line 4",
        "line 6",
    ]
    assert main(["rescore", str(place), "--format", "gtalign", "--json"]) == 1


def test_rescore_published__refuses_what_is_no_such_file(tmp_path: Path) -> None:
    """A missing file, or one whose first line is no JSON object."""
    with pytest.raises(FileFormatError, match="no such file"):
        list(rescore_published(tmp_path / "none.jsonl"))
    for text, word in (('{"b"', "line 1"), ("[1]", "got list")):
        (tmp_path / "bad.jsonl").write_text(text)
        with pytest.raises(FileFormatError, match=word):
            list(rescore_published(tmp_path / "bad.jsonl"))


# -- the command ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def recorded(tmp_path: Path, episodes: list[Episode]) -> str:
    """A file with both episodes."""
    place = tmp_path / "run.jsonl"
    with EpisodeWriter(place) as writer:
        for episode in episodes:
            writer.write(episode)
    return str(place)


def test_rescore_command__prints_one_object_per_row_in_order(
    recorded: str, episodes: list[Episode], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """``--json`` is JSON lines; ``--out`` writes the same below a line that says how they were made."""
    out = tmp_path / "again.jsonl"
    assert main(["rescore", recorded, "--pricing", "per_token", "--json", "--out", str(out)]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    wanted = [json.loads(json.dumps(rescore_episode(e, pricing="per_token").as_dict())) for e in episodes]
    assert lines == wanted
    head, *rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert rows == lines
    assert (head["schema"], head["pricing"]) == ("gtalign-rescore/1", "per_token")
    assert head["command"].startswith("gtalign rescore")
    assert "python" in head["versions"]
    assert main(["rescore", recorded, "--out", str(out)]) == 2
    assert "exists already" in capsys.readouterr().err


def test_rescore_command__sums_up_for_people(recorded: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Means of both, and what was not counted; the exit code tells of records that could not be scored."""
    assert main(["rescore", recorded]) == 0
    shown = capsys.readouterr().out
    assert "recorded" in shown
    assert "rescored" in shown
    assert main(["rescore", recorded, "--payoff", "paper"]) == 1
    assert "not counted: 2 of 2, no_model_output" in capsys.readouterr().out
    assert main(["rescore", recorded, "--payoff", "paper", "--json"]) == 1


def test_rescore_command__says_what_it_wrote_and_shows_losses_with_a_minus(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A person reads where the rows went, and negative means with the sign that all other tables have."""
    place, out = tmp_path / "one.jsonl", tmp_path / "again.jsonl"
    with EpisodeWriter(place) as writer:
        writer.write(played(assistant=ASSISTANTS.get("fixed")("CQ")))
    assert main(["rescore", str(place), "--out", str(out)]) == 0
    shown = capsys.readouterr().out
    assert f"1 row written to {out}" in shown.replace("\n", " ")
    assert "−" in shown
    assert " -" not in shown


def test_rescore_command__explains_published_rows_one_by_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A row that the publication counts as failed is named, with both numbers."""
    stated = json.dumps({f"{u}_{a}": {"LLM": 1, "user": 2} for u in ("DQ", "VQ") for a in ("AQ", "CQ", "DA")})
    text = f"<payoff>{stated}</payoff><response>Four.</response>"
    rows = [
        {"output": text, "answer_reward": 0, "source": "math-hard", "user_reward": 0.0, "llm_reward": 0.0},
        {"output": text, "answer_reward": 0, "source": "math-hard", "user_reward": 0.9, "llm_reward": 0.9},
        {"output": "", "answer_reward": 0, "source": "math-hard", "user_reward": 0.0, "llm_reward": 0.0},
    ]
    place = tmp_path / "rows.jsonl"
    place.write_text("\n".join(json.dumps(row) for row in rows))
    assert main(["rescore", str(place), "--format", "gtalign", "--payoff", "paper"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "as published: 1 of 3 rows" in shown
    assert "row 1: published 0.0000, 0.0000" in shown
    assert "the published scoring of this row failed" in shown
    assert "row 2: published 0.9000, 0.9000" in shown
    assert "unexplained" in shown
    place.write_text("\n".join([json.dumps(rows[1])] * 25))
    assert main(["rescore", str(place), "--format", "gtalign"]) == 0
    assert "… and 5 more" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["none.jsonl"], "none.jsonl"),
        (["FILE", "--pricing", "barter"], "barter"),
        (["FILE", "--payoff", "kind"], "kind"),
        (["FILE", "--format", "gtalign", "--pricing", "per_token"], "no outcomes"),
        (["FILE", "--format", "gtalign", "--payoff", "grounded"], "no outcomes"),
        (["EMPTY"], "no episode"),
        (["EMPTY", "--format", "gtalign"], "nothing to score"),
        (["FILE", "--out", "page.html"], "ends in .jsonl"),
        (["FILE", "--out", "no/such/rows.jsonl"], "--out: there is no folder no/such"),
        (["FILE", "--payoff", "kind"], "Known: grounded, paper"),
        (["FILE", "--payoff", "paper:x=1"], "--payoff paper"),
        (["FILE", "--pricing", "subscription,per_token:rate_in=0.1,rate_out=0.2"], "expected one policy, got 2"),
        (["PUBLISHED"], "add --format gtalign"),
        (["FOLDER"], "this is a folder"),
        (["FOLDER", "--format", "gtalign"], "this is a folder"),
    ],
)
def test_rescore_command__refuses_wrong_input_in_one_sentence(
    recorded: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], word: str
) -> None:
    """Exit code 2 and one line on standard error."""
    empty = tmp_path / "empty.jsonl"
    empty.touch()
    published = tmp_path / "published.jsonl"
    published.write_text('{"output": "Four.", "answer_reward": 1, "source": "math-hard"}\n')
    places = {"FILE": recorded, "EMPTY": str(empty), "PUBLISHED": str(published), "FOLDER": str(tmp_path)}
    assert main(["rescore", *(places.get(argument, argument) for argument in arguments)]) == 2
    said = capsys.readouterr().err
    assert word in said
    assert said.count("\n") == 1
