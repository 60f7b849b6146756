"""Engines of both sides of ``gtalign run``: options, sharing, names that are equal, and voices that are none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gtalign_env.agents.backends import EchoBackend
from gtalign_env.agents.users import load_persona
from gtalign_env.cli import main
from gtalign_env.cli.engines import Engines, engine_options, model_identity
from gtalign_env.episode import load_episodes
from gtalign_env.errors import UsageError
from gtalign_env.registration import BACKENDS
from gtalign_env.testing.openai_server import OpenAIServer

GAME = ["run", "assist_text", "--option", "questions=1", "--option", "max_exchanges=2", "--episodes", "2"]


class Folder(EchoBackend):
    """An engine that is named by the last part of its path, as those that load models are."""

    made = 0

    def __init__(self, path: str, *, tone: str = "") -> None:
        super().__init__()
        type(self).made += 1
        self.name = f"folder:{Path(path).resolve().name}"
        self.tone = tone


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch) -> None:
    """Register the engine for a test."""
    monkeypatch.setattr(BACKENDS, "_entries", {**BACKENDS._entries, "folder": (Folder, "")})
    monkeypatch.setattr(Folder, "made", 0)


def options(*pairs: str) -> list[str]:
    """Return pairs as arguments."""
    return [word for pair in pairs for word in ("--backend-option", pair)]


def test_engine_options__of_one_side_go_before_those_of_both() -> None:
    """A key without a side is for both; the order does not matter."""
    pairs = ["user.seed=1", "seed=2", "assistant.api=chat"]
    assert engine_options(pairs, "user") == {"seed": 1}
    assert engine_options(pairs, "assistant") == {"seed": 2, "api": "chat"}


@pytest.mark.parametrize("pair", ["seed", "judge.seed=1", "user.=1", "user.a.b=1", "=1", "a b=1"])
def test_engine_options__refuse_other_forms(pair: str) -> None:
    """What was expected is said; a value is never repeated."""
    with pytest.raises(UsageError, match=r"--backend-option: expected KEY=VALUE, or user\.KEY=VALUE"):
        engine_options([pair], "user")


def test_engines__share_what_is_equal() -> None:
    """One engine for both sides where spec and options are the same, else two."""
    same = Engines(["tone=warm"])
    assert same.user("folder:x") is same.assistant("folder:x") is same.user("folder:x")
    other = Engines(["tone=warm", "user.tone=cold"])
    assert (other.user("folder:x").tone, other.assistant("folder:x").tone) == ("cold", "warm")  # type: ignore[attr-defined]
    assert Folder.made == 3
    assert Engines().user("fake:voice").name == "fake:voice"


def test_run__shares_one_engine_between_both_sides(tmp_path: Path) -> None:
    """A voice and an assistant of the same spec load one model; an option for one side makes it two."""
    seats = ["--users", "concise@folder:m", "--assistant", "folder:m"]
    assert main([*GAME, *seats, *options("tone=warm")]) in (0, 1)
    assert Folder.made == 1
    assert main([*GAME, *seats, *options("user.tone=warm")]) in (0, 1)
    assert Folder.made == 3


def test_run__gives_each_side_its_server(tmp_path: Path) -> None:
    """Two addresses: the voice asks one, the assistant the other; keys are in no record."""
    pytest.importorskip("openai")
    out = tmp_path / "run.jsonl"
    with OpenAIServer(api_key="k-user") as theirs, OpenAIServer(api_key="k-secret") as ours:
        sides = options(
            f"user.base_url={theirs.base_url}", "user.api_key=k-user", f"assistant.base_url={ours.base_url}",
            "assistant.api_key=k-secret", "max_retries=0",
        )  # fmt: skip
        seats = ["--users", "concise@openai:echo", "--lead", "script", "--assistant", "openai:echo"]
        assert main([*GAME, *seats, *sides, "--out", str(out)]) in (0, 1)
        assert theirs.asked
        assert set(theirs.keys) == {"k-user"}
        assert ours.asked
    text = out.read_text(encoding="utf-8")
    assert "k-user" not in text
    assert "k-secret" not in text
    assert "user.api_key=***" in load_episodes(out)[0].command


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--assistant", "folder:m", *options("user.tone=x")], "user.KEY=VALUE: the user is no model here"),
        (["--users", "concise@folder:m", *options("assistant.tone=x")], "the assistant is no model here"),
        (options("tone=x"), "--backend-option is for models"),
        (
            ["--users", "concise@fake:voice", "--assistant", "folder:m", *options("tone=x")],
            "--backend-option tone: fake engines take no options; for one side's engine alone write user.KEY=VALUE or",
        ),
        (
            ["--assistant", "heuristic", "--assistant", "transformers:no/model", *options("divice=cpu")],
            "--backend-option divice: transformers engines take batch_size, bos, device, dtype, hub, max_context; for one",
        ),
    ],
)
def test_run__says_whose_option_it_is(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """An option that nobody takes, or that one side does not know, is refused."""
    assert main([*GAME, *arguments]) == 2
    assert said in capsys.readouterr().err


def test_run__resume_knows_the_options_of_voices(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A voice with other options says other things, whoever answers."""
    out = str(tmp_path / "run.jsonl")
    game = [*GAME, "--users", "concise@folder:m", "--assistant", "heuristic", "--out", out]
    assert main([*game, *options("user.tone=warm")]) in (0, 1)
    assert main([*game, *options("tone=warm"), "--resume"]) in (0, 1)
    assert main([*game, *options("tone=cold"), "--resume"]) == 2
    assert "--backend-option tone (users) warm there and cold here" in capsys.readouterr().err


def test_run__resume_tells_folders_of_one_name_apart(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two folders that end alike are two models: as assistants, as voices, and in one run."""
    one, two = (tmp_path / part / "m" for part in ("a", "b"))
    for place in (one, two):
        place.mkdir(parents=True)
    out = str(tmp_path / "run.jsonl")
    assert main([*GAME, "--assistant", f"folder:{one}", "--out", out]) in (0, 1)
    assert main([*GAME, "--assistant", f"folder:{one}", "--out", out, "--resume"]) in (0, 1)
    capsys.readouterr()
    assert main([*GAME, "--assistant", f"folder:{two}", "--out", out, "--resume"]) == 2
    assert f"--assistant folder:{one} there and folder:{two} here" in capsys.readouterr().err
    assert main([*GAME, "--assistant", f"folder:{one}", "--assistant", f"folder:{two}"]) == 2
    assert f"folder:{one} and folder:{two} would both be called folder:m" in capsys.readouterr().err
    voices = str(tmp_path / "voices.jsonl")
    assert main([*GAME, "--users", f"concise@folder:{one}", "--out", voices]) in (0, 1)
    assert main([*GAME, "--users", f"concise@folder:{two}", "--out", voices, "--resume"]) == 2
    assert f"--users folder:{one} there and folder:{two} here" in capsys.readouterr().err


def test_run__resume_takes_another_way_to_write_the_same_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A path is what it leads to."""
    (tmp_path / "m").mkdir()
    monkeypatch.chdir(tmp_path)
    assert main([*GAME, "--assistant", "folder:m", "--out", "run.jsonl"]) in (0, 1)
    assert main([*GAME, "--assistant", f"folder:{tmp_path}/m", "--out", "run.jsonl", "--resume"]) in (0, 1)
    assert model_identity("folder:m") == model_identity(f"chain:folder:{tmp_path}/m")


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("concise@nobackend:x", "there is no engine 'nobackend'"),
        ("@fake:rules", "expected who speaks in front of the @, e.g. concise@fake:rules"),
        ("concise@", "e.g. concise@openai:MODEL; there is none"),
        ("concise@fake", "expected ':' and a model behind the engine, e.g. concise@fake:MODEL"),
        ("concise@fake:", "expected 'fake:' and what it should run"),
    ],
)
def test_load_persona__says_what_a_voice_is(spec: str, said: str) -> None:
    """What looks like a persona with a voice and is none is refused in a sentence about voices."""
    with pytest.raises(UsageError) as refused:
        load_persona(spec)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "arguments",
    [
        ["tournament", "assist", "--users", "concise", "--assistants", "heuristic", "--episodes", "1", "--out", "OUT"],
        ["run", "assist", "--episodes", "1", "--out", "OUT"],
        ["rescore", "RECORD", "--out", "OUT"],
    ],
)
def test_command__is_recorded_without_secrets(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every verb that writes down its command takes keys and logins out of it, wherever they stand."""
    record, out = tmp_path / "record.jsonl", tmp_path / "api_key=k-secret" / "out.jsonl"
    out.parent.mkdir()
    assert main(["run", "assist", "--episodes", "1", "--out", str(record)]) == 0
    words = {"OUT": str(out), "RECORD": str(record)}
    assert main([words.get(argument, argument) for argument in arguments]) == 0
    command = json.loads(out.read_text(encoding="utf-8").splitlines()[0])["command"]
    assert "secret" not in command
    assert "api_key=***" in command
    capsys.readouterr()


def test_steer__says_what_no_file_is(capsys: pytest.CaptureFixture[str]) -> None:
    """A device exists, and is no file of episodes."""
    assert main(["steer", "/dev/null"]) == 2
    assert "/dev/null: this is no ordinary file; expected episodes" in capsys.readouterr().err
