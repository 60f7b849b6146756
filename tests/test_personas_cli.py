"""``gtalign persona`` and ``docs/personas.md``, run as a user would."""

from __future__ import annotations

import json
import re
import runpy
import shlex
from pathlib import Path

import pytest

from gtalign_env.agents.users import load_persona
from gtalign_env.cli import main
from gtalign_env.registration import PERSONAS

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "personas.md").read_text()


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_list__shows_every_persona(capsys: pytest.CaptureFixture[str]) -> None:
    """The table has a row for each persona; --json prints the same as data."""
    assert main(["persona", "list"]) == 0
    shown = capsys.readouterr().out
    assert main(["persona", "list", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {row["id"] for row in rows} == set(PERSONAS)
    assert sum(row["default_share"] for row in rows) == pytest.approx(1.0)
    assert all(name in shown for name in PERSONAS)


@pytest.mark.parametrize("python", [False, True])
def test_new__writes_what_passes_check_and_plays(python: bool, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Both templates pass check as they are, and try shows a game of both views."""
    out = here / "people" / ("night_owl.py" if python else "night_owl.toml")
    assert main(["persona", "new", "night_owl", "-o", str(out), *(["--python"] if python else [])]) == 0
    spec = f"{out}:NightOwl" if python else str(out)
    assert spec in capsys.readouterr().out
    assert main(["persona", "check", spec]) == 0
    assert ": ok (night_owl:" in capsys.readouterr().out
    assert main(["persona", "try", spec, "--seed", "2"]) == 0
    shown = capsys.readouterr().out
    assert "By moves" in shown
    assert "In words" in shown


def test_new__overwrites_nothing_unasked(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that exists stays, unless --force says otherwise."""
    (here / "me.toml").write_text("mine")
    assert main(["persona", "new", "me"]) == 2
    assert "--force" in capsys.readouterr().err
    assert (here / "me.toml").read_text() == "mine"
    assert main(["persona", "new", "me", "--force"]) == 0
    assert load_persona("me.toml").name == "me"


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["new", "3x"], "beginning with a letter"),
        (["new", "me", "-o", "me.py"], "ending in .toml"),
        (["check", "none.toml"], "no such file"),
        (["try", "concize"], "did you mean 'concise'"),
        (["try", "none.toml"], "no such file"),
        (["try", "concise", "--questions", "0"], "whole number >= 1"),
        ([], "ACTION"),
    ],
)
def test_wrong_usage__one_sentence_and_exit_code_two(
    arguments: list[str], problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Wrong arguments end with exit code 2 and say what was expected."""
    assert main(["persona", *arguments]) == 2
    assert problem in capsys.readouterr().err


def test_check__prints_file_and_line(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong card is named as file:line with its key, a good one beside it is still reported; the exit code is 1."""
    (here / "bad.toml").write_text('name = "b"\ndescription = "b"\n[[types]]\npatiense = 3\n')
    (here / "worse.toml").write_text("name = \n")
    (here / "short.toml").write_text("x = 1\n")
    main(["persona", "new", "good"])
    capsys.readouterr()
    assert main(["persona", "check", "bad.toml", "good.toml", "worse.toml", "short.toml"]) == 1
    shown = capsys.readouterr()
    assert "good.toml: ok" in shown.out
    lines = shown.err.splitlines()
    assert lines[0].startswith("bad.toml:4: types[1].patiense: unknown key: did you mean 'patience'?")
    assert lines[1].startswith("worse.toml:1: not valid TOML")
    assert lines[2].startswith("short.toml:1: x: unknown key")


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("def choose(self, sight, info):\n        return 1 / 0", "failed with ZeroDivisionError"),
        ("def say(self, move, info):\n        return None", "failed with"),
        ("def sample_type(self, rng):\n        return 7", "must return a UserType"),
        ("types = ()", "types must be"),
    ],
)
def test_check__runs_what_a_class_overrides(
    body: str, problem: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A class that fails only while playing does not pass."""
    head = "from gtalign_env.agents.users import ScriptedPersona\n\nclass Mine(ScriptedPersona):\n    "
    (here / "mine.py").write_text(head + body + "\n")
    assert main(["persona", "check", "mine.py:Mine"]) == 1
    assert problem in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flag", "shown", "hidden"), [("--text", "In words", "By moves"), ("--strategic", "By moves", "In words")]
)
def test_try__one_view_only(flag: str, shown: str, hidden: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Either view can be shown alone, and the same seed shows the same."""
    outputs = []
    for _ in range(2):
        assert main(["persona", "try", "thrifty", flag, "--seed", "4", "--questions", "2"]) == 0
        outputs.append(capsys.readouterr().out)
    assert shown in outputs[0]
    assert hidden not in outputs[0]
    assert outputs[0] == outputs[1]


def test_try__a_failing_persona_is_reported(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An error while playing is shown with its place, and the exit code is 1."""
    (here / "bad.py").write_text(
        "from gtalign_env.agents.users import ScriptedPersona\n\nclass Bad(ScriptedPersona):\n"
        "    def choose(self, sight, info):\n        raise RuntimeError('no idea')\n"
    )
    assert main(["persona", "try", "bad.py"]) == 1
    assert "RuntimeError: no idea" in capsys.readouterr().out


def test_help__has_examples(capsys: pytest.CaptureFixture[str]) -> None:
    """Every action explains itself with an example."""
    for action in ([], ["list"], ["new"], ["check"], ["try"]):
        assert main(["persona", *action, "--help"]) == 0
        assert "gtalign persona" in capsys.readouterr().out.partition("examples:")[2]


# -- docs/personas.md, exactly as written -----------------------------------------------------------------------------


def _blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, flags=re.DOTALL)


def test_docs__the_five_minutes_work_as_written(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The page's commands run in order with its card in place of the template; its Python runs after them."""
    (card,) = _blocks("toml")
    commands = [line.removeprefix("$ ") for block in _blocks("console") for line in block.splitlines()]
    assert len(commands) >= 5
    for command in commands:
        arguments = shlex.split(command)
        assert arguments[0] == "gtalign"
        assert main(arguments[1:]) == 0, (command, capsys.readouterr())
        if arguments[1:3] == ["persona", "new"]:
            (here / "grandpa.toml").write_text(card)
    use, grudge, kernels, sulky = _blocks("python")
    (here / "grudge.py").write_text(grudge)
    (here / "sulky.py").write_text(sulky)
    assert main(["persona", "check", "grudge.py:Grudge"]) == main(["persona", "check", "sulky.py:Sulky"]) == 0
    (here / "use.py").write_text(use)
    played = runpy.run_path("use.py")
    assert played["episode"].ended == "terminated"
    assert {persona.name for persona in played["mix"].personas} == {"grandpa", "hurried"}
    (here / "kernels.py").write_text(kernels)
    capsys.readouterr()
    runpy.run_path("kernels.py")
    assert capsys.readouterr().out.startswith("hurried 0.333 ")


def test_docs__the_mistake_it_shows_reads_as_it_says(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The error message on the page is the one that comes."""
    (card,) = _blocks("toml")
    (here / "grandpa.toml").write_text(card.replace("patience", "patiense"))
    assert main(["persona", "check", "grandpa.toml"]) == 1
    promised = _blocks("text")[0].strip().removesuffix(" …")
    assert capsys.readouterr().err.startswith(promised)


def test_docs__links_lead_somewhere() -> None:
    """Files that the page names exist."""
    for target in ("examples/custom_persona.py", "agents/users/cards/"):
        assert target in PAGE
        assert (ROOT / target).exists()


def test_example__custom_persona_runs(capsys: pytest.CaptureFixture[str]) -> None:
    """The example plays both views to the end."""
    runpy.run_path(str(ROOT / "examples" / "custom_persona.py"), run_name="__main__")
    shown = capsys.readouterr().out
    assert "By moves (terminated)" in shown
    assert "In words (terminated)" in shown
