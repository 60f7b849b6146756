"""The page on real models: its examples run, its commands are commands, and it names every option of an engine."""

from __future__ import annotations

import doctest
import importlib
import inspect
import re
import shlex
from pathlib import Path

import pytest

from gtalign_env.cli.chain_options import add_chain
from gtalign_env.cli.common import Parser
from gtalign_env.registration import BACKENDS

PAGE = Path(__file__).resolve().parents[1] / "docs/models.md"


def test_docs__examples_of_the_page_on_models_run() -> None:
    """Every example gives what the page says."""
    found = doctest.testfile(str(PAGE), module_relative=False)
    assert found.attempted > 8
    assert found.failed == 0


@pytest.mark.parametrize("name", ["transformers", "vllm", "openai"])
def test_docs__name_every_option_of_an_engine(name: str) -> None:
    """In the row of that engine."""
    row = next(line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith(f"| `{name}` |"))
    _, *options = inspect.signature(BACKENDS.get(name)).parameters.values()
    wanted = {option.name for option in options if option.kind is not inspect.Parameter.VAR_KEYWORD}
    assert {option for option in wanted if f"`{option}`" not in row} == set()


def test_docs__name_every_option_of_a_chain() -> None:
    """In the table of options."""
    page = PAGE.read_text(encoding="utf-8")
    parser = Parser(prog="x")
    add_chain(parser)
    flags = {flag for action in parser._actions for flag in action.option_strings if flag.startswith("--")} - {"--help"}
    assert {flag for flag in flags if f"`{flag} " not in page} == set()


def test_docs__commands_of_the_page_are_commands() -> None:
    """Each can be read by the program: no option is named that there is not."""
    page = PAGE.read_text(encoding="utf-8").replace("\\\n", " ")
    commands = re.findall(r"^gtalign (.*)$", page, flags=re.MULTILINE)
    assert len(commands) > 10
    for command in commands:
        words = shlex.split(command, comments=True)
        parser = Parser(prog="gtalign")
        importlib.import_module(f"gtalign_env.cli.{words[0]}").add_parser(parser.add_subparsers())
        parser.parse_args(words)  # ends the program where it cannot be read
