"""The page on welfare and metrics says what is so."""

from __future__ import annotations

import doctest
import re
from pathlib import Path
from types import ModuleType

import pytest

from gtalign_env import metrics, welfare

PAGE = Path(__file__).resolve().parents[1] / "docs" / "metrics.md"


def test_page__its_examples_run() -> None:
    """Every figure on the page is printed by the code next to it."""
    found = doctest.testfile(str(PAGE), module_relative=False, optionflags=doctest.IGNORE_EXCEPTION_DETAIL)
    assert found.attempted >= 10
    assert found.failed == 0


@pytest.mark.parametrize("package", [welfare, metrics])
def test_page__names_every_public_function(package: ModuleType) -> None:
    """Whoever looks a number up finds it."""
    text = PAGE.read_text(encoding="utf-8")
    functions = [name for name in package.__all__ if name.islower()]
    assert [name for name in functions if not re.search(rf"\b{name}\b", text)] == []
