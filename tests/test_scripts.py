"""The scripts in bad surroundings: one sentence that says what is wrong and what to do, and nothing broken."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash here")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return a folder with the scripts, as after a clone, and nothing that could be installed."""
    folder = tmp_path / "clone"
    shutil.copytree(ROOT / "scripts", folder / "scripts")
    (folder / "constraints").mkdir()
    (folder / "constraints" / "ci.txt").write_text("")
    (folder / "pyproject.toml").write_text("[project]\nname = 'nothing'\n")
    return folder


def started(script: str, checkout: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Start a script with no environment chosen, and no package index to reach."""
    kept = {name: value for name, value in os.environ.items() if name not in ("VIRTUAL_ENV", "GTALIGN_VENV", "PYTHON")}
    kept = {name: value for name, value in kept.items() if not name.startswith("PIP_")}
    return subprocess.run(
        [str(checkout / "scripts" / script)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**kept, "PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": os.devnull, **environment},
    )


def interpreter(folder: Path, body: str) -> None:
    """Put a program in the place of an environment's Python."""
    python = folder / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f"#!/bin/sh\n{body}\n")
    python.chmod(0o755)


def is_one_sentence(done: subprocess.CompletedProcess[str], *words: str) -> bool:
    """Whether a script has ended with one line that holds these words."""
    told = done.stderr
    return done.returncode == 1 and not done.stdout and told.count("\n") == 1 and all(word in told for word in words)


@pytest.mark.parametrize("script", ["demo", "test", "check", "picture"])
def test_scripts__a_broken_environment_is_named(script: str, checkout: Path) -> None:
    """An environment whose Python has gone since, as after an upgrade of the system."""
    (checkout / ".venv" / "bin").mkdir(parents=True)
    (checkout / ".venv" / "bin" / "python").symlink_to(checkout / "gone")
    done = started(script, checkout)
    wanted = ("no working virtual environment (bin/python does not start): remove it, or name another", str(checkout))
    assert is_one_sentence(done, *wanted), done.stderr
    assert (checkout / ".venv").is_dir()


def test_scripts__an_environment_with_an_old_python_is_named(checkout: Path) -> None:
    """It starts, but is too old."""
    interpreter(checkout / ".venv", 'case "$*" in *version_info*) exit 1;; -V) echo Python 3.9.2;; esac')
    done = started("demo", checkout)
    assert is_one_sentence(done, "has Python 3.9.2, and 3.11 or newer is needed: remove it"), done.stderr


def test_scripts__an_environment_without_pip_is_named(checkout: Path) -> None:
    """Made by hand, or left over from an attempt that was interrupted."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(checkout / ".venv")], check=True)
    done = started("demo", checkout)
    assert done.returncode == 1
    assert "has no pip: remove it" in done.stderr.splitlines()[-1]


def test_scripts__a_file_is_no_environment(checkout: Path) -> None:
    """Something else may have the name."""
    (checkout / ".venv").write_text("")
    assert is_one_sentence(started("demo", checkout), "is no folder, so it cannot be the virtual environment")


def test_scripts__a_place_that_cannot_be_written_to_is_named(checkout: Path) -> None:
    """A read-only place: nothing is tried."""
    if not Path("/proc").is_dir():
        pytest.skip("there is no /proc here, where nobody can make a folder")
    place = Path("/proc/none")
    done = started("demo", checkout, GTALIGN_VENV=str(place / "venv"))
    assert done.returncode == 1
    assert "virtual environment in /proc/none/venv" in done.stderr.splitlines()[-1]
    assert not place.exists()


@pytest.mark.parametrize("script", ["demo", "plugs"])
def test_scripts__a_python_that_is_none_is_named(script: str, checkout: Path) -> None:
    """PYTHON names the interpreter to take, and no other is taken in its place."""
    done = started(script, checkout, PYTHON="/bin/false")
    assert is_one_sentence(done, "PYTHON: expected Python 3.11 or newer, got /bin/false"), done.stderr


def test_scripts__no_python_at_all_is_said(checkout: Path, tmp_path: Path) -> None:
    """Old interpreters only."""
    (tmp_path / "bin").mkdir()
    for name in ("bash", "dirname", "basename", "cat", "cksum", "ls", "sed"):
        (tmp_path / "bin" / name).symlink_to(str(shutil.which(name)))
    done = started("demo", checkout, PATH=str(tmp_path / "bin"))
    assert is_one_sentence(done, "needs Python 3.11 or newer and found none"), done.stderr


def test_scripts__what_cannot_be_installed_ends_with_a_sentence(checkout: Path) -> None:
    """Pip says its part, the last line says what to do, and the next start tries again, whatever an old note says."""
    interpreter(checkout / ".venv", 'case "$*" in *"-m pip"*) echo "ERROR: no index" >&2; exit 1;; -P*) exit 1;; esac')
    noted = subprocess.run(
        ["bash", "-c", ". scripts/common.sh; venv=.venv; mark_installed test; cat .venv/.gtalign-test"],
        capture_output=True,
        text=True,
        cwd=checkout,
        check=True,
    )
    assert noted.stdout.endswith(f" {checkout.resolve()}\n")
    for _ in range(2):
        done = started("demo", checkout)
        assert done.returncode == 1
        told = done.stderr.splitlines()
        assert told[0].startswith("demo: installing gtalign-env")
        assert told[1] == "ERROR: no index"
        assert told[-1].startswith("demo: could not install: pip's reason stands above (without a package index, set")
