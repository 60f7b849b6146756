"""``gtalign`` on terminals and in pipes that do not take all of Unicode."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gtalign_env.cli import VERBS, main

ENCODINGS = ("ascii", "latin-1", "cp1252")
SAYS: dict[str, list[str]] = {
    "list": ["list"],
    "list scenarios": ["list", "scenarios"],
    "list payoffs": ["list", "payoffs"],
    "list options": ["list", "options", "gtalign/Assist-v0"],
    "persona list": ["persona", "list"],
    "persona try": ["persona", "try", "concise"],
    "solve": ["solve", "gtalign/Matrix-v0"],
    "solve --pricing": ["solve", "gtalign/Assist-v0", "--pricing", "subscription,per_token"],
    "tournament": ["tournament", "gtalign/Matrix-v0", "--players", "random,tit_for_tat", "--episodes", "2"],
    "replay": ["replay", "RECORD", "--print"],
    "rescore": ["rescore", "RECORD", "--payoff", "paper"],
    "run": ["run", "gtalign/Assist-v0", "--episodes", "2"],
}
"""What people read, by verb; ``RECORD`` stands for a file of episodes."""

Say = Callable[..., tuple[int, str, str]]


@pytest.fixture
def say(monkeypatch: pytest.MonkeyPatch) -> Say:
    """Return a function that runs the program on streams of an encoding; it gives the exit code and what was written."""

    def run(encoding: str, *arguments: str) -> tuple[int, str, str]:
        raw = io.BytesIO(), io.BytesIO()
        streams = [io.TextIOWrapper(one, encoding=encoding, write_through=True) for one in raw]
        with monkeypatch.context() as patched:
            patched.setattr(sys, "stdout", streams[0])
            patched.setattr(sys, "stderr", streams[1])
            code = main(list(arguments))
        out, err = (one.getvalue().decode(encoding) for one in raw)
        return code, out, err

    return run


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the path of a file with two recorded sessions."""
    path = tmp_path_factory.mktemp("record") / "two.jsonl"
    assert main(["run", "gtalign/Assist-v0", "--episodes", "2", "--out", str(path)]) == 0
    return str(path)


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("verb", VERBS)
def test_help__of_every_verb_fits_any_encoding(verb: str, encoding: str, say: Say) -> None:
    """A sign that the stream lacks has a stand-in."""
    code, out, _ = say(encoding, verb, "--help")
    assert code == 0
    assert f"gtalign {verb}" in out


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("arguments", SAYS.values(), ids=SAYS)
def test_output__of_every_verb_fits_any_encoding(arguments: list[str], encoding: str, record: str, say: Say) -> None:
    """Tables and sentences come out, and no sign of ours comes out as a question mark."""
    command = [record if one == "RECORD" else one for one in arguments]
    code, out, err = say(encoding, *command)
    assert code == (1 if "paper" in arguments else 0), err
    assert out.strip()
    assert "Traceback" not in err
    assert out.count("?") == say("utf-8", *command)[1].count("?")


def test_output__keeps_the_signs_that_an_encoding_has(say: Say) -> None:
    """Only what cp1252 lacks is replaced: an ellipsis stays, a root becomes an ASCII letter."""
    _, out, _ = say("cp1252", "tournament", "--help")
    assert "A,B,…" in out
    _, out, _ = say("ascii", "tournament", "--help")
    assert "A,B,." in out


def test_error__fits_any_encoding(say: Say) -> None:
    """A sentence on standard error is written with the same stand-ins."""
    code, _, err = say("ascii", "run", "no “such”", "--episodes", "2")
    assert code == 2
    assert 'no "such"' in err


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_json__loses_nothing_in_any_encoding(encoding: str, tmp_path: Path, record: str, say: Say) -> None:
    """What a program reads is escaped, never replaced."""
    listed: dict[str, list[dict[str, Any]]] = {}
    for name in ("utf-8", encoding):
        code, out, _ = say(name, "list", "pricing", "--json")
        assert code == 0
        listed[name] = json.loads(out)
    assert listed[encoding] == listed["utf-8"]
    row = {"output": "é 好", "answer_reward": "好", "source": "ambig_qa"}
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(row), encoding="utf-8")
    _, out, _ = say(encoding, "rescore", str(path), "--format", "gtalign", "--json")
    assert "?" not in json.loads(out)["failure"]["message"]
