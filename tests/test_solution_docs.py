"""docs/solving.md: what it shows is what the commands print and the code returns."""

from __future__ import annotations

import doctest
import re
import shlex
from pathlib import Path

import pytest

from gtalign_env.cli import main

PAGE = Path(__file__).resolve().parents[1] / "docs" / "solving.md"
BLOCKS = re.findall(r"```console\n\$ gtalign (.*)\n((?:.*\n)*?)```", PAGE.read_text(encoding="utf-8"))


@pytest.mark.parametrize(("command", "shown"), BLOCKS, ids=[command for command, _ in BLOCKS])
def test_solving_page__shows_what_the_command_prints(
    command: str, shown: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every block is the output in 100 columns, with … where lines are left out at the beginning or the end."""
    monkeypatch.setenv("COLUMNS", "100")
    assert main(shlex.split(command)) == 0
    lines = shown.splitlines()
    part = "\n".join(line for line in lines if line != "…")
    printed = capsys.readouterr().out
    assert part in printed
    assert printed.startswith(part) or lines[0] == "…"
    assert printed.rstrip().endswith(part.rstrip()) or lines[-1] == "…"


def test_solving_page__code_returns_what_it_says() -> None:
    """The examples in Python are doctests."""
    found = doctest.testfile(str(PAGE), module_relative=False)
    assert found.attempted > 8
    assert found.failed == 0


def test_solving_page__has_blocks() -> None:
    """The pattern above finds them: as many as there are fences."""
    assert len(BLOCKS) == PAGE.read_text(encoding="utf-8").count("```console") >= 8
