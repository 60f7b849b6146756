"""Every example runs as its first lines say, in a process of its own."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
SAYS = {
    "random_agents.py": "exchanges per session",
    "sb3_ppo.py": "after:",
    "custom_scenario.py": "check_env has nothing to object to.",
}
"""What an example prints when it got through."""


NEEDS = {"gtalign_games.py": "verifiers", "trl_rollout.py": "trl"}
"""Trainers of others, in environments of their own (scripts/plugs, tests/test_adapters_*.py); without them, one sentence."""
PATHS = sorted(path for path in EXAMPLES.glob("*.py") if not path.name.startswith("plug_"))  # those: test_plugs.py


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.name)
def test_example__runs(path: Path, tmp_path: Path) -> None:
    """The example ends well, prints something, and says nothing on standard error."""
    command = [sys.executable, "-W", "error", str(path), *(["4096"] if path.name == "sb3_ppo.py" else [])]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=tmp_path, check=False)
    if (needed := NEEDS.get(path.name)) and importlib.util.find_spec(needed) is None:
        assert done.returncode == 1
        assert done.stderr.startswith(f"this example needs {needed}: ")
        assert done.stderr.count("\n") == 1
        return
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
    assert SAYS.get(path.name, "") in done.stdout


def test_example__says_what_it_needs(tmp_path: Path) -> None:
    """Without Stable-Baselines3 the example ends with one sentence that says how to get it."""
    program = (
        f"import runpy, sys; sys.modules['stable_baselines3'] = None; runpy.run_path({str(EXAMPLES / 'sb3_ppo.py')!r})"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, cwd=tmp_path, check=False
    )
    assert done.returncode == 1
    assert done.stderr == "this example needs stable_baselines3: pip install 'gtalign-env[sb3]'\n"


def test_examples__are_all_there() -> None:
    """The examples that the documentation names exist."""
    assert set(SAYS) <= {path.name for path in EXAMPLES.glob("*.py")}
