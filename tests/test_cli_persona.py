"""``gtalign persona``: what it refuses and warns of (``test_personas_cli`` has the rest)."""

from __future__ import annotations

from pathlib import Path

import pytest

from gtalign_env.cli import main


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_persona_check__says_what_kind_of_file_it_wants(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A record is no persona, whether it is there or not."""
    (here / "hello.jsonl").write_text("{}")
    assert main(["persona", "check", "hello.jsonl"]) == 2
    assert capsys.readouterr().err == "gtalign: hello.jsonl: expected a persona's card (.toml) or class (.py)\n"


def test_persona_new__warns_of_a_name_that_is_taken(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The file is written, with a note that the name alone will go on to mean the shipped persona."""
    assert main(["persona", "new", "concise"]) == 0
    assert "note: 'concise' is also a shipped persona" in capsys.readouterr().err
    assert (here / "concise.toml").is_file()
    assert main(["persona", "new", "curt"]) == 0
    assert capsys.readouterr().err == ""
