"""The four folders are one package, however it is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("agents", "scenarios", "training")
FOLDERS = ("gtalign_env", *ROOMS)
HEAVY = (
    "accelerate",
    "matplotlib",
    "openai",
    "pandas",
    "pyarrow",
    "ray",
    "reasoning_gym",
    "sacrebleu",
    "sympy",
    "torch",
    "transformers",
    "vllm",
)


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    """The parsed pyproject.toml."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy so that no build folder is left in the checkout."""
    copy = tmp_path_factory.mktemp("project") / "copy"
    copy.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        if (ROOT / name).exists():
            shutil.copy(ROOT / name, copy / name)
    for folder in FOLDERS:
        shutil.copytree(ROOT / folder, copy / folder, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    out = copy.parent / "wheel"
    run_python("-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", f"--wheel-dir={out}", str(copy))
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def wheel_names(wheel: Path) -> list[str]:
    """The files in the wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


def run_python(*args: str, cwd: Path = ROOT, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Runs this interpreter in a process of its own and returns what it said."""
    done = subprocess.run([sys.executable, *args], cwd=cwd, capture_output=True, text=True, check=False)
    if check and done.returncode:
        pytest.fail(f"{args} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
    return done


def walk(folder: str) -> Iterator[tuple[Path, list[str]]]:
    """Each real directory under a folder, with its files' names; links and caches are left out."""
    for name, directories, files in os.walk(ROOT / folder):
        directories[:] = [d for d in directories if d != "__pycache__" and not (Path(name) / d).is_symlink()]
        yield Path(name).relative_to(ROOT), files


def installed_path(path: Path) -> Path:
    """Where a file of the checkout stands below site-packages."""
    return path if path.parts[0] == "gtalign_env" else Path("gtalign_env", path)


def links_possible() -> bool:
    """Whether this checkout was made with symbolic links; on Windows it may not be."""
    asked = ["git", "config", "--type=bool", "core.symlinks"]
    done = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() != "false"


def test_packages__are_the_folders_on_disk(project: dict[str, Any]) -> None:
    """Every folder with an __init__.py is listed: a forgotten one is missed only by those who install the wheel."""
    on_disk = {
        ".".join(installed_path(path).parts)
        for folder in FOLDERS
        for path, files in walk(folder)
        if "__init__.py" in files
    }
    listed = project["tool"]["setuptools"]["packages"]
    assert sorted(on_disk) == listed, "correct [tool.setuptools] packages in pyproject.toml (sorted)"


def test_packages__hold_every_module() -> None:
    """A folder that holds modules has an __init__.py: without it they would not be installed."""
    stray = [
        str(path)
        for folder in FOLDERS
        for path, files in walk(folder)
        if "__init__.py" not in files and any(name.endswith(".py") for name in files)
    ]
    assert stray == []


@pytest.mark.parametrize("room", ROOMS)
def test_links__lead_from_the_package_to_the_room(room: str) -> None:
    """gtalign_env/<room> is a relative link to the folder at the top, on disk and in git."""
    if links_possible():
        assert (ROOT / "gtalign_env" / room).readlink() == Path("..", room)
    asked = ["git", "ls-files", "--stage", "--", f"gtalign_env/{room}"]
    done = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.stdout:  # nothing: not committed yet, or no git checkout
        assert done.stdout.split()[0] == "120000"


@pytest.mark.parametrize("room", ROOMS)
def test_rooms__refuse_to_be_imported_from_the_top(room: str) -> None:
    """`import agents` from the repository's root explains itself instead of making a second copy of every class."""
    done = run_python("-c", f"import {room}", check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("ImportError:")
    assert f"import gtalign_env.{room}" in done.stderr


@pytest.mark.parametrize("room", ROOMS)
def test_rooms__are_the_folders_of_this_checkout(room: str) -> None:
    """gtalign_env.<room> is read from the folder at the top, whichever way it was installed here."""
    code = f"import gtalign_env.{room} as room; print(room.__file__)"
    found = Path(run_python("-P", "-c", code).stdout.strip())
    assert found.resolve() == ROOT / room / "__init__.py"


def test_wheel__holds_one_top_level_package(wheel_names: list[str]) -> None:
    """Nothing called `agents` or `training` lands in site-packages, where other projects' packages stand."""
    tops = {name.split("/")[0] for name in wheel_names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"gtalign_env"}
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in wheel_names)


def test_wheel__holds_every_file_of_the_rooms(wheel_names: list[str]) -> None:
    """Modules and data files alike: what works in the checkout works from the wheel."""
    expected = {
        installed_path(path / name).as_posix()
        for folder in FOLDERS
        for path, files in walk(folder)
        for name in files
        if not name.startswith(".") and not (path / name).is_symlink()
    }
    missing = sorted(expected - set(wheel_names))
    assert missing == [], "add them to [tool.setuptools.package-data] in pyproject.toml"


def test_wheel__works_without_the_checkout(wheel: Path, tmp_path: Path) -> None:
    """From the wheel alone every room imports, and none of it comes from the checkout."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    rooms = [f"gtalign_env.{room}" for room in ROOMS]
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "import importlib\n"
        f"for name in ['gtalign_env', *{rooms!r}]: print(importlib.import_module(name).__file__)\n"
    )
    found = run_python("-P", "-c", code, cwd=tmp_path).stdout.split()
    assert [Path(name).parent for name in found] == [
        tmp_path / room.replace(".", "/") for room in ["gtalign_env", *rooms]
    ]


def test_import__is_light() -> None:
    """`import gtalign_env` loads nothing that belongs to an extra, so the core starts fast and installs small."""
    code = f"import sys, gtalign_env; print(*sorted(set({HEAVY!r}) & set(sys.modules)))"
    assert run_python("-c", code).stdout.split() == []


def test_import__leaves_global_random_state_alone() -> None:
    """Importing draws from no global generator and seeds none."""
    code = (
        "import random, numpy as np\n"
        "before = random.getstate(), repr(np.random.get_state())\n"
        "import gtalign_env, gtalign_env.agents, gtalign_env.scenarios\n"
        "assert before == (random.getstate(), repr(np.random.get_state()))\n"
    )
    run_python("-c", code)


def test_command__is_the_cli(project: dict[str, Any]) -> None:
    """`gtalign` starts the command line."""
    assert project["project"]["scripts"] == {"gtalign": "gtalign_env.cli:main"}


def test_extras__are_pinned_for_ci(project: dict[str, Any]) -> None:
    """Every direct requirement of the extras that CI installs has its pin in constraints/ci.txt."""
    lines = (ROOT / "constraints" / "ci.txt").read_text(encoding="utf-8").splitlines()
    pins = {plain_name(line) for line in lines if "==" in line}
    extras = project["project"]["optional-dependencies"]
    wanted = list(project["project"]["dependencies"])
    for extra in ("dev", "text", "hf", "train", "openai", "plots", "sb3", "zst"):
        wanted += [requirement for requirement in extras[extra] if plain_name(requirement) != "gtalign-env"]
    assert sorted({plain_name(requirement) for requirement in wanted} - pins) == []


def plain_name(requirement: str) -> str:
    """The distribution's normalised name: the part before brackets, versions and markers."""
    name = requirement.strip()
    for separator in "[<>=!~; ":
        name = name.partition(separator)[0]
    return name.lower().replace("_", "-").replace(".", "-")
