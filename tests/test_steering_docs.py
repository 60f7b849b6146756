"""The page on chains: its examples run, and it names every public gauge."""

from __future__ import annotations

import doctest
from pathlib import Path

PAGE = Path(__file__).resolve().parents[1] / "docs/chain.md"


def test_docs__examples_of_the_page_on_chains_run() -> None:
    """Every example gives what the page says."""
    found = doctest.testfile(str(PAGE), module_relative=False)
    assert found.attempted > 10
    assert found.failed == 0


def test_docs__define_every_column_of_a_sweep() -> None:
    """No figure is shown that the page does not define."""
    page = PAGE.read_text(encoding="utf-8")
    for column in ("`n`", "`switched`", "`tokens`", "`U`, `L`, `welfare`", "`real U`, `real L`, `known`", "`moves`"):
        assert column in page
