"""The program as a whole: help, versions, exit codes, errors in one sentence, closed pipes."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

import gtalign_env
from gtalign_env.cli import VERBS, main
from gtalign_env.errors import GtalignError

GTALIGN = [sys.executable, "-m", "gtalign_env"]


def shell(command: str) -> subprocess.CompletedProcess[str]:
    """Run a bash command in which ``gtalign`` is this package's program."""
    program = f"gtalign() {{ '{sys.executable}' -m gtalign_env \"$@\"; }}; {command}"
    return subprocess.run(["bash", "-c", program], capture_output=True, text=True, timeout=60, check=False)


def one_sentence(text: str) -> str:
    """Return the only line on standard error, after checking that it is the only one."""
    lines = text.strip().splitlines()
    assert len(lines) == 1, text
    assert lines[0].startswith("gtalign: ")
    return lines[0]


def test_help__names_every_verb_and_has_examples(capsys: pytest.CaptureFixture[str]) -> None:
    """The program's help lists all verbs, shows examples and explains the exit codes."""
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    assert all(re.search(rf"^\s+{verb}\s", text, re.MULTILINE) for verb in VERBS)
    assert "examples:" in text
    assert "Exit codes" in text


@pytest.mark.parametrize("verb", VERBS)
def test_help__of_every_verb_has_an_example(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    """'gtalign VERB --help' ends with examples that can be typed as they stand."""
    assert main([verb, "--help"]) == 0
    text = capsys.readouterr().out
    assert f"gtalign {verb}" in text.partition("examples:")[2]


def test_help__is_quick_and_imports_no_torch() -> None:
    """Help comes in well under a second and without the heavy libraries."""
    loaded = "sorted({'torch', 'rich.table'} & set(sys.modules))"
    code = f"import sys; from gtalign_env.cli import main; main(['--help']); print({loaded})"
    started = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().splitlines()[-1] == "[]"
    assert time.perf_counter() - started < 5.0  # generous: other tests share the machine; `gtalign bench` measures it


def test_main__without_arguments_shows_the_help_and_fails(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing asked is wrong usage: help on standard error, code 2."""
    assert main([]) == 2
    assert "usage: gtalign" in capsys.readouterr().err


def test_version__is_that_of_the_package() -> None:
    """``python -m gtalign_env`` is the same program, and it knows its version."""
    done = subprocess.run([*GTALIGN, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == f"gtalign {gtalign_env.__version__}"


def test_main__suggests_the_verb_that_was_meant(capsys: pytest.CaptureFixture[str]) -> None:
    """A misspelt verb ends in one sentence that names the near one."""
    assert main(["rnu"]) == 2
    assert "did you mean 'run'" in one_sentence(capsys.readouterr().err)


def test_main__refuses_unknown_options(capsys: pytest.CaptureFixture[str]) -> None:
    """An option that does not exist is wrong usage."""
    assert main(["list", "--jsn"]) == 2
    assert "--jsn" in capsys.readouterr().err


def test_main__says_when_a_verb_is_not_installed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A verb whose module is missing is a broken installation, told in one sentence."""
    monkeypatch.setitem(VERBS, "dance", "no such module")
    assert main(["dance"]) == 2
    assert "not part of this installation" in one_sentence(capsys.readouterr().err)


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (GtalignError("first\nsecond"), 2, "first second"),
        (FileNotFoundError(2, "No such file or directory", "x.jsonl"), 2, "x.jsonl: No such file or directory"),
        (OSError(28, "No space left on device"), 1, "No space left on device"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (SystemExit("bye"), 1, "bye"),
    ],
)
def test_main__turns_errors_into_one_sentence(
    error: BaseException,
    code: int,
    said: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whatever goes wrong on purpose has an exit code and one line, without a traceback."""

    def fail(arguments: list[str]) -> int:
        raise error

    monkeypatch.setattr("gtalign_env.cli._dispatch", fail)
    monkeypatch.delenv("GTALIGN_DEBUG", raising=False)
    assert main(["list"]) == code
    assert said in one_sentence(capsys.readouterr().err)


def test_main__shows_the_traceback_when_asked(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """``GTALIGN_DEBUG=1`` adds the traceback and changes nothing else."""
    monkeypatch.setenv("GTALIGN_DEBUG", "1")
    assert main(["run", "nope"]) == 2
    text = capsys.readouterr().err
    assert "Traceback" in text
    assert text.strip().splitlines()[-1].startswith("gtalign: unknown scenario 'nope'")


def test_main__lets_bugs_through(monkeypatch: pytest.MonkeyPatch) -> None:
    """An error that is not ours keeps its traceback: it is a bug, and whoever reports it needs that."""
    monkeypatch.setattr("gtalign_env.cli._dispatch", lambda arguments: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        main(["list"])


def test_pipe__that_closes_early_is_no_error() -> None:
    """``gtalign … | head -1`` ends quietly with 0, at shutdown too."""
    done = shell("gtalign list --json | head -1; echo ${PIPESTATUS[0]}")
    assert done.stdout.split() == ["[", "0"]
    assert done.stderr == ""


def test_pipe__closed_while_rich_writes_is_no_error() -> None:
    """The same for tables, which rich writes."""
    done = shell("{ sleep 0.1; gtalign list; echo $? >&2; } | true")
    assert done.stderr.split() == ["0"]


def test_pipe__streams_that_are_closed_from_the_start_are_no_error() -> None:
    """A parent that has closed standard output or standard error gets the exit code all the same."""
    done = shell("gtalign list >&-; echo $?; gtalign nope 2>&-; echo $?")
    assert done.stdout.split() == ["0", "2"]
    assert done.stderr == ""


@pytest.mark.parametrize("by_rich", [False, True])
def test_pipe__that_breaks_points_the_stream_at_nothing(
    by_rich: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A stream that cannot be flushed any more is replaced underneath, so that nothing complains at shutdown."""

    class Gone(io.StringIO):
        def flush(self) -> None:
            raise BrokenPipeError

        def fileno(self) -> int:
            return handle.fileno()

    def fail(arguments: list[str]) -> int:
        try:
            raise BrokenPipeError
        except BrokenPipeError:
            if by_rich:
                raise SystemExit(1)  # noqa: B904 - this is how rich ends
            raise

    monkeypatch.setattr("gtalign_env.cli._dispatch", fail)
    with (tmp_path / "output").open("w+") as handle:
        monkeypatch.setattr(sys, "stdout", Gone())
        assert main(["list"]) == 0
        monkeypatch.undo()
        handle.write("into nothing")
    assert (tmp_path / "output").read_text() == ""


def test_main__opens_streams_that_are_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a standard output there is nothing to write to, and nothing to fail at."""
    monkeypatch.setattr(sys, "stdout", None)
    assert main(["list", "--json"]) == 0
    sys.stdout.close()


def test_pipe__with_a_full_disk_behind_it_fails() -> None:
    """Output that cannot be written is a failure, in one sentence."""
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    done = shell("gtalign list --json > /dev/full")
    assert done.returncode == 1
    assert "No space left" in one_sentence(done.stderr.splitlines()[0])


def test_json__of_every_verb_that_prints_results_parses(capsys: pytest.CaptureFixture[str]) -> None:
    """``--json`` puts one JSON document on standard output and nothing else."""
    for command in (["list", "--json"], ["run", "assist", "--episodes", "2", "--json"], ["persona", "list", "--json"]):
        assert main(command) == 0
        assert isinstance(json.loads(capsys.readouterr().out), (list, dict))
