"""``gtalign list``."""

from __future__ import annotations

import json

import gymnasium
import pytest

from gtalign_env.cli import main
from gtalign_env.cli.list import SECTIONS, rows
from gtalign_env.registration import ASSISTANTS, BACKENDS, PERSONAS, SCENARIOS


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
