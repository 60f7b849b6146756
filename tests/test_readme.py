"""The README is a promise: its blocks run in order as written, and its links lead somewhere."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", TEXT, flags=re.DOTALL)
PAGES = [
    "README.md",
    "AGENTS.md",
    "CONTRIBUTING.md",
    *sorted(f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md")),
]
PYTHON = [code for language, code in BLOCKS if language == "python"]
COMMANDS = [line.partition("#")[0].strip() for language, code in BLOCKS if not language for line in code.splitlines()]


def run(arguments: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a program in a folder, as a newcomer would; the scripts of this interpreter are on the path."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    return subprocess.run(
        arguments,
        cwd=folder,
        env={**os.environ, "PATH": path, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        stdin=subprocess.DEVNULL,
    )


@pytest.mark.parametrize("number", range(len(PYTHON)))
def test_python_block__runs_as_written(number: int, tmp_path: Path) -> None:
    """Each block stands on its own."""
    done = run([sys.executable, "-c", PYTHON[number]], tmp_path)
    assert done.returncode == 0, done.stderr


def test_commands__run_in_order_as_written(tmp_path: Path) -> None:
    """What one line writes, the next may read. The scripts of the first block are what runs this very test."""
    commands = [command for command in COMMANDS if command.startswith("gtalign ")]
    assert len(commands) >= 7
    for command in commands:
        done = run(shlex.split(command), tmp_path)
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"


def test_scripts__of_the_first_block_are_there() -> None:
    """Both can be executed."""
    scripts = [command for command in COMMANDS if command.startswith("scripts/")]
    assert scripts == ["scripts/demo", "scripts/test"]
    assert all(os.access(ROOT / script, os.X_OK) for script in scripts)


@pytest.mark.parametrize("page", PAGES)
def test_links__lead_to_files(page: str) -> None:
    """Relative links only; the web is not asked."""
    path = ROOT / page
    for target in re.findall(r"\]\(([^)#\s]+)", path.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (path.parent / target).exists(), f"{page}: {target}"
