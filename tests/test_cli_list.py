"""``gtalign list``."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import gymnasium
import pytest

from gtalign_env.cli import choices, main
from gtalign_env.cli.list import MORE, SECTIONS, rows
from gtalign_env.errors import UsageError
from gtalign_env.finite import FiniteScenario
from gtalign_env.payoffs import PAPER, PAYOFF_MODELS, make_payoff_model
from gtalign_env.pricing import PRICING, make_pricing
from gtalign_env.registration import ASSISTANTS, BACKENDS, PERSONAS, SCENARIOS, make_scenario
from gtalign_env.scenarios.matrix.paper import paper_matrix
from gtalign_env.scenarios.tasks import load_tasks


def test_list__json_has_every_id_with_its_fields(capsys: pytest.CaptureFixture[str]) -> None:
    """The contract of ``gtalign list --json``: id, api, kind, views, description, for every registered id."""
    assert main(["list", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert all(set(row) == {"id", "api", "kind", "views", "description"} for row in listed)
    assert all(row["api"] in ("parallel", "gymnasium") and row["views"] and row["description"] for row in listed)
    single = {id for id, spec in gymnasium.registry.items() if spec.namespace == "gtalign"}
    assert {row["id"] for row in listed} == set(SCENARIOS) | single
    assert {"gtalign/Assistant-v0", "gtalign/User-v0"} <= single


@pytest.mark.parametrize(
    ("section", "registry"), [("personas", PERSONAS), ("assistants", ASSISTANTS), ("backends", BACKENDS)]
)
def test_list__sections_name_what_is_registered(
    section: str, registry: object, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each section lists its registry, with descriptions."""
    assert main(["list", section, "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [row["id"] for row in listed] == list(registry)  # type: ignore[call-overload]
    assert all(row["description"] for row in listed)


def test_list__for_people_shows_all_sections(capsys: pytest.CaptureFixture[str]) -> None:
    """Without arguments every section comes, with every id in it."""
    assert main(["list"]) == 0
    text = capsys.readouterr().out
    assert all(section in text for section in SECTIONS)
    assert all(row["id"] in text for section in SECTIONS for row in rows(section))
    assert all(section in text.splitlines()[-1] for section in MORE)


def test_list__says_how_a_view_gets_its_game() -> None:
    """A view of both kinds of game names the option that chooses the game."""
    for row in rows("scenarios"):
        if row["api"] == "gymnasium":
            assert row["views"] == ["strategic", "text"]
            assert 'scenario="gtalign/AssistText-v0"' in row["description"]


def test_list__tasks_have_their_counts() -> None:
    """The counts are those of what the names load, and the kinds add up."""
    listed = {row["id"]: row["tasks"] for row in rows("tasks")}
    known = {spec: count for spec, count in listed.items() if count is not None}
    assert {spec: len(load_tasks(spec)) for spec in known} == known
    for whole in ("authored", "small"):
        assert sum(count for spec, count in known.items() if spec.startswith(f"{whole}:")) == known[whole]
    assert {"reasoning_gym:DATASET", "FILE"} <= set(listed)


def test_list__settings_can_be_passed() -> None:
    """Every setting listed is taken by the option that the section is for, with the default that is listed."""
    for section, make in (("pricing", make_pricing), ("payoffs", make_payoff_model)):
        for row in rows(section):
            if row["id"] == PAPER:
                continue
            made = make(row["id"])
            assert row["settings"] == {name: getattr(made, name) for name in row["settings"]}
            typed = ",".join(f"{name}={value}" for name, value in row["settings"].items())
            assert make(f"{row['id']}:{typed}") == made
            assert all(f"{name}: " in row["description"] for name in row["settings"])
    assert {row["id"] for row in rows("pricing")} == set(PRICING)
    assert {row["id"] for row in rows("payoffs")} == {*PAYOFF_MODELS, PAPER}


def test_list__says_that_the_published_reward_is_for_rescoring() -> None:
    """It is listed with where it applies, and a game refuses it with the same words."""
    (told,) = (row["description"] for row in rows("payoffs") if row["id"] == PAPER)
    with pytest.raises(UsageError, match="gtalign rescore FILE --payoff paper") as refused:
        make_scenario("assist", payoff=PAPER)
    assert "gtalign rescore FILE --payoff paper" in told
    assert "grounded" in str(refused.value)


@pytest.mark.parametrize("id", list(SCENARIOS))
def test_list__options_are_those_that_a_scenario_takes(id: str) -> None:
    """Each option is taken as listed, documented in one line, and no option is missing."""
    listed = rows("options", id)
    given = {row["id"]: row["default"] for row in listed if row["default"] is not None}
    config = make_scenario(id, **given).config  # type: ignore[attr-defined]
    assert config == make_scenario(id).config  # type: ignore[attr-defined]
    assert set(config) <= {row["id"] for row in listed}
    for row in listed:
        assert row["description"]
        assert "``" not in row["description"]
        assert "\n" not in row["description"]


def undocumented(*, need, size=(1, [2]), kind: type = int, **rest):  # type: ignore[no-untyped-def] # noqa: ANN003, ANN001, ANN201, D103
    return paper_matrix(**rest)


def test_list__options_of_a_game_of_ones_own() -> None:
    """Where nothing is documented the options are listed all the same, as far as the game tells them."""
    listed = rows("options", f"{__file__}:paper_matrix")
    assert [row["id"] for row in listed] == ["rounds", "talk", "first_speaker", "personality", "caution"]
    found = {row["id"]: row["default"] for row in choices.option_rows(f"{__file__}:paper_matrix_without_words")}
    assert found == {"rounds": 10}


def paper_matrix_without_words(**rules: Any) -> FiniteScenario:  # noqa: D103
    return paper_matrix(**rules)


def test_choices__read_what_is_written_and_nothing_else() -> None:
    """Defaults that JSON does not know come in words; classes without source or fields have no documentation."""

    @dataclasses.dataclass
    class Rules:
        plain: int = 1
        told: int = 2
        """What it is, in two
        lines."""
        made: list[int] = dataclasses.field(default_factory=list)

    assert choices.field_docs(Rules) == {"told": "What it is, in two lines."}
    assert choices.field_docs(int) == {}
    assert choices.field_docs(undocumented) == {}
    with pytest.raises(UsageError, match=r"expected a scenario, a game .* or a function that makes one"):
        rows("options", "math:pi")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["options"], "expected gtalign list options ID"),
        (["personas", "concise"], "only options have an ID"),
        (["options", "asist"], "did you mean 'assist'"),
    ],
)
def test_list__options_need_one_scenario(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Which scenario's, has to be said; the other sections take no id."""
    assert main(["list", *arguments]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("width", [40, 50, 60, 80, 200])
@pytest.mark.parametrize("section", ["scenarios", "personas", "tasks", "pricing", "payoffs", "options"])
def test_list__fits_the_width(
    section: str, width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In a pipe ``COLUMNS`` counts; names stay whole, lines are no longer than that and end in no spaces."""
    monkeypatch.setenv("COLUMNS", str(width))
    id = ["assist"] if section == "options" else []
    assert main(["list", section, *id]) == 0
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= width
    assert not [line for line in text.splitlines() if line != line.rstrip()]
    assert all(row["id"] in text for row in rows(section, *id))


def test_list__shows_the_usage_of_the_verb_that_was_used(capsys: pytest.CaptureFixture[str]) -> None:
    """An unknown option is answered with the options that there are."""
    assert main(["list", "--frobnicate"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("usage: gtalign list ")
    assert "unrecognized arguments: --frobnicate" in said
    assert main(["persona", "check", "x.toml", "--frobnicate"]) == 2
    assert capsys.readouterr().err.startswith("usage: gtalign persona check ")


def test_list__one_section_alone(capsys: pytest.CaptureFixture[str]) -> None:
    """A named section comes alone."""
    assert main(["list", "assistants"]) == 0
    text = capsys.readouterr().out
    assert "heuristic" in text
    assert "gtalign/Assist-v0" not in text


def test_list__says_when_nothing_is_registered(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An empty section is said to be empty."""
    monkeypatch.setattr(BACKENDS, "_entries", {})
    assert main(["list", "backends"]) == 0
    assert "none are registered" in capsys.readouterr().out


def test_list__refuses_an_unknown_section(capsys: pytest.CaptureFixture[str]) -> None:
    """A section that does not exist is wrong usage; the message names the others."""
    assert main(["list", "engines"]) == 2
    assert "personas" in capsys.readouterr().err
