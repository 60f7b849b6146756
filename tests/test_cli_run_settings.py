"""``gtalign run``: settings of players that a file holds, options of engines, and episodes that failed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gtalign_env.agents.backends import make_backend
from gtalign_env.cli import main
from gtalign_env.cli.settings import command_line, redacted
from gtalign_env.episode import load_episodes
from gtalign_env.errors import UsageError
from gtalign_env.play import episode_seeds
from gtalign_env.testing.openai_server import OpenAIServer

FRAGILE = f"{__file__}:Fragile"


class Fragile:
    """Fails as often as the file ``broken`` of the current folder has letters."""

    name = "fragile"

    def reset(self, seed: int) -> None:
        """Fail where it was asked for."""
        marker = Path("broken")
        if marker.exists():
            marker.write_text(marker.read_text(encoding="utf-8")[1:], encoding="utf-8")
            if not marker.read_text(encoding="utf-8"):
                marker.unlink()
            raise RuntimeError("the server is down")

    def act(self, observation: Any, info: Any) -> str:
        """Say something."""
        return "It is as you think."


def run(*arguments: str) -> int:
    """Run two short games in words."""
    return main(["run", "assist_text", "--option", "questions=1", "--episodes", "2", *arguments])


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (["--chain", "solver", "--moves", "paper"], ["--chain", "solver"], "--moves paper there and unset here"),
        (["--temperature", "0.5"], ["--temperature", "0"], "--temperature 0.5 there and 0.0 here"),
        ([], ["--max-tokens", "5"], "--max-tokens unset there and 5 here"),
        (
            ["--chain", "solver", "--chain-option", "thinking=3"],
            ["--chain", "solver", "--chain-option", "thinking=4"],
            "--chain-option thinking 3 there and 4 here",
        ),
        (
            ["--users", "concise@fake:voice"],
            ["--users", "concise@fake:voice", "--lead", "model"],
            "--lead script there and model here",
        ),
    ],
)
@pytest.mark.parametrize("way", ["--resume", "--append"])
def test_run__goes_on_with_the_same_settings_only(
    way: str, before: list[str], after: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Episodes of one name with two settings are refused: nothing would tell them apart."""
    out = tmp_path / "run.jsonl"
    model = ["--assistant", "fake:chain", "--out", str(out)]
    assert run(*model, *before) in (0, 1)
    kept = out.read_bytes()
    assert run(*model, *after, way) == 2
    assert said in capsys.readouterr().err
    assert out.read_bytes() == kept


def test_run__another_assistant_minds_no_settings_of_a_chain(tmp_path: Path) -> None:
    """A script's episodes are the same whatever the model beside it is told."""
    out = tmp_path / "run.jsonl"
    assert run("--assistant", "heuristic", "--out", str(out)) == 0
    both = ["--assistant", "heuristic", "--assistant", "fake:chain", "--chain", "solver", "--moves", "paper"]
    assert run(*both, "--out", str(out), "--resume") == 0
    assert [e.players["assistant_0"] for e in load_episodes(out)] == ["heuristic"] * 2 + ["fake:chain+solver"] * 2


@pytest.mark.parametrize("command", ["", "gtalign tournament", "gtalign run 'torn", "gtalign run x --gone"])
def test_run__resume_takes_episodes_of_other_commands_by_name(command: str, tmp_path: Path) -> None:
    """What was not recorded by this program's run has no settings to compare."""
    from gtalign_env.episode import EpisodeWriter

    out, other = tmp_path / "run.jsonl", tmp_path / "other.jsonl"
    assert run("--assistant", "fake:rules", "--out", str(out)) == 0
    with EpisodeWriter(other) as writer:
        for episode in load_episodes(out):
            episode.command = command
            writer.write(episode)
    assert run("--assistant", "fake:rules", "--temperature", "0", "--out", str(other), "--resume") == 0
    assert len(load_episodes(other)) == 2


def test_run__resume_plays_what_failed_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The line with the error stays; a new one with the same seed and a name of its own is added, and then all is done."""
    monkeypatch.chdir(tmp_path)
    Path("broken").write_text("x", encoding="utf-8")
    arguments = ["--assistant", FRAGILE, "--games", "1", "--out", "run.jsonl"]
    assert run(*arguments) == 1
    capsys.readouterr()
    assert run(*arguments, "--resume") == 0
    assert "1 episode that ended in an error: played again" in capsys.readouterr().err
    episodes = load_episodes("run.jsonl")
    first, second = episode_seeds(0, 2)
    assert [(e.seed, e.ended == "error") for e in episodes] == [(first, True), (second, False), (first, False)]
    assert [episode.id for episode in episodes] == [f"0-{first}", f"1-{second}", f"0-{first}.2"]
    assert main(["replay", "run.jsonl", "--summary", "--json"]) == 0
    told = capsys.readouterr()
    assert [(row["episodes"], row["errors"]) for row in json.loads(told.out)] == [(2, 0)]
    assert "1 episode was played again after an error; the record of its failure does not count" in told.err
    assert run(*arguments, "--resume") == 0
    assert "nothing left to play" in capsys.readouterr().out
    assert run(*arguments, "--append") == 0
    assert [episode.seed for episode in load_episodes("run.jsonl")[3:]] == episode_seeds(0, 4)[2:]


def test_run__gives_options_to_the_engine_and_records_no_secret(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """--backend-option reaches a server behind a login; key and login are in no record, no name and no output."""
    pytest.importorskip("openai")
    out = tmp_path / "run.jsonl"
    with OpenAIServer(api_key="k-secret") as server:
        url = server.base_url.replace("://", "://me:pw-secret@")
        options = [f"base_url={server.base_url}", "api_key=k-secret", "max_retries=0"]
        arguments = [word for option in options for word in ("--backend-option", option)]
        assert run("--assistant", "openai:echo", *arguments, "--out", str(out)) == 0
        assert run("--assistant", "openai:echo", "--backend-option", "api_key=k-other", *arguments[:2], "--resume",
                   "--out", str(out)) == 0  # fmt: skip
        changed = ["--backend-option", f"base_url={url}", "--resume", "--out", str(out)]
        assert run("--assistant", "openai:echo", *changed) == 2
    said = capsys.readouterr()
    assert "--backend-option base_url" in said.err
    assert "secret" not in out.read_text(encoding="utf-8") + said.out + said.err
    assert "api_key=***" in load_episodes(out)[0].command


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--assistant", "openai:m,api_key=k-secret,base_url=http://x/v1"], "--backend-option KEY=VALUE"),
        (["--assistant", "openai:http://me:k-secret@x/v1"], "--backend-option KEY=VALUE"),
        (["--assistant", "fake:rules", "--backend-option", "api-key=k-secret"], "--backend-option: expected KEY=VALUE"),
        (["--assistant", "fake:rules", "--backend-option", "colour=k-secret"], "colour: fake engines take no"),
        (["--backend-option", "device=cpu"], "--backend-option is for models"),
    ],
)
def test_run__refuses_options_in_a_sentence(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where options go is said, and no value is repeated."""
    assert run(*arguments) == 2
    error = capsys.readouterr().err
    assert said in error
    assert "secret" not in error


def test_make_backend__takes_a_path_that_looks_like_options(tmp_path: Path) -> None:
    """A folder that exists is a model's place, whatever its name."""
    pytest.importorskip("transformers")
    folder = tmp_path / "a,b=c"
    folder.mkdir()
    with pytest.raises(Exception, match="holds no model"):
        make_backend(f"transformers:{folder}")
    with pytest.raises(UsageError, match="--backend-option"):
        make_backend(f"transformers:{folder}/none")


def test_redacted__takes_keys_and_logins_out() -> None:
    """However they are written; what is no secret stays."""
    assert redacted('extra_body={"api_key": "k"}') == 'extra_body={"api_key":***'
    assert redacted("API-KEY=k=1 2") == "API-KEY=***"
    assert redacted("base_url=https://me:p@w@host/v1") == "base_url=https://***@host/v1"
    assert redacted("concise@openai:gpt") == "concise@openai:gpt"
    assert command_line(["run", "--assistant", "a b"]) == "gtalign run --assistant 'a b'"
