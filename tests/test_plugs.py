"""Libraries of others learn here: the examples, what they share, and the script that writes docs/plugs.md's table."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import gymnasium
import numpy as np
import pytest

import gtalign_env

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = ROOT / "examples"


def load(path: Path) -> ModuleType:
    """Return a script as a module."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module  # dataclasses look their module up, and the examples import what they share
    spec.loader.exec_module(module)
    return module


plugs = load(ROOT / "benchmarks" / "plugs.py")
common = load(EXAMPLES / "plug_common.py")
NAMES = sorted(name for name, plug in plugs.PLUGS.items() if plug.runs)
INSTALLED = ["sb3", "cleanrl"]
"""Those that need no more than the development environment."""


def interpreter(name: str, module: str = "") -> str:
    """Return a Python that has the library: this one, or that of the library's own environment; skips where there is none."""
    module = module or {"sb3": "stable_baselines3", "cleanrl": "torch", "rllib": "ray"}.get(name, name)
    if importlib.util.find_spec(module) is not None:
        return sys.executable
    python = plugs.HOME / name / "bin" / "python"
    probe = f"import importlib.util as i, sys; sys.exit(not (i.find_spec({module!r}) and i.find_spec('gtalign_env')))"
    if not python.exists() or subprocess.run([python, "-c", probe], check=False, cwd="/").returncode:
        pytest.skip(f"{module} is not installed: scripts/plugs --install {name}")
    return str(python)


def run(name: str, report: Path, *options: str) -> dict[str, Any]:
    """Run an example in a process of its own; return what it reports."""
    command = [interpreter(name), str(EXAMPLES / f"plug_{name}.py"), "--json", str(report), *options]
    if name in INSTALLED:
        command[1:1] = ["-W", "error"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=report.parent, check=False)
    assert done.returncode == 0, done.stderr
    assert "trained: user" in done.stdout
    assert "nothing forbids that here" in done.stdout  # what `violations` are
    found: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))
    return found


# -- the examples ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", INSTALLED)
def test_example__learns(name: str, tmp_path: Path) -> None:
    """After some thousand exchanges both sides gain, as neither does at random."""
    found = run(name, tmp_path / "report.json", "--steps", "8192")
    assert found["steps"] >= 8192
    assert found["random"]["welfare"] == 0.0
    assert found["trained"]["user"] > max(0.0, found["random"]["user"])
    assert found["trained"]["assistant"] > max(0.0, found["random"]["assistant"])
    product = found["trained"]["user"] * found["trained"]["assistant"]
    assert found["trained"]["welfare"] ** 2 == pytest.approx(product)


def test_example__same_seed_learns_the_same() -> None:
    """The single-file learner draws from generators of its own: its seed decides every weight."""
    cleanrl = load(EXAMPLES / "plug_cleanrl.py")
    one, again, other = (cleanrl.train(2048, seed)[0].state_dict() for seed in (3, 3, 4))
    assert all(one[name].equal(again[name]) for name in one)
    assert not all(one[name].equal(other[name]) for name in one)


@pytest.mark.plugs
@pytest.mark.parametrize("name", [name for name in NAMES if name not in INSTALLED])
def test_example__learns_where_its_library_is_installed(name: str, tmp_path: Path) -> None:
    """The examples for libraries outside the development environment learn, too."""
    for chairs in plugs.PLUGS[name].runs:
        found = run(name, tmp_path / "report.json", "--steps", "12000", "--chairs", chairs)
        assert found["trained"]["welfare"] > found["random"]["welfare"]


@pytest.mark.parametrize("name", NAMES)
def test_example__says_what_it_needs(name: str, tmp_path: Path) -> None:
    """Without its library an example ends with one sentence that says how to get it."""
    module = {"sb3": "stable_baselines3", "cleanrl": "torch", "rllib": "ray"}.get(name, name)
    path = EXAMPLES / f"plug_{name}.py"
    program = (
        f"import runpy, sys; sys.path.insert(0, {str(EXAMPLES)!r}); sys.modules[{module!r}] = None;"
        f"runpy.run_path({str(path)!r}, run_name='__main__')"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, cwd=tmp_path, check=False
    )
    assert done.returncode == 1
    assert done.stderr.startswith("this example needs ")
    assert "pip install" in done.stderr
    assert done.stderr.count("\n") == 1


def test_examples__are_short_and_all_tried() -> None:
    """Every example is tried by scripts/plugs, and none is longer than 150 lines."""
    paths = {path.stem.removeprefix("plug_"): path for path in EXAMPLES.glob("plug_*.py")}
    paths.pop("common")
    assert sorted(paths) == NAMES
    assert all(len(path.read_text(encoding="utf-8").splitlines()) <= 150 for path in paths.values())


# -- what they share ---------------------------------------------------------------------------------------------------


def test_mean_payoff__is_half_of_both() -> None:
    """The assistant's reward is the mean of its own and the user's payoff."""
    plain = gymnasium.make(common.ID, users="default", share_payoffs=True)
    mean = common.assistant_env()
    plain.reset(seed=5)
    mean.reset(seed=5)
    for move in (6, 1, 0):
        _, own, *_, info = plain.step(move)
        assert mean.step(move)[1] == pytest.approx((float(own) + info["other_reward"]) / 2)


def test_shared_payoff__is_the_same_for_both() -> None:
    """In both chairs the reward is the mean of both payoffs, and infos are empty at the start."""
    plain, shared = gtalign_env.parallel_env(common.GAME), common.both_env()
    plain.reset(seed=5)
    assert shared.reset(seed=5)[1] == {"user_0": {}, "assistant_0": {}}
    moves = {"user_0": 5, "assistant_0": 1}
    own = plain.step(moves)[1]
    mean = (own["user_0"] + own["assistant_0"]) / 2
    assert own["user_0"] != own["assistant_0"]
    assert shared.step(moves)[1] == {"user_0": mean, "assistant_0": mean}


def test_sb3_vector__tells_what_the_games_tell() -> None:
    """The adapter passes on observations, legal moves, ends and last observations; rewards are the mean of both payoffs."""
    sb3 = load(EXAMPLES / "plug_sb3.py")
    games, adapter = sb3.vector(4), sb3.Sb3Vector(sb3.vector(4))
    seen, _ = games.reset(seed=11)
    adapter.seed(11)
    assert np.array_equal(adapter.reset(), seen["observation"])
    rng = np.random.default_rng(0)
    ends = 0
    for _ in range(40):
        moves = rng.integers(8, size=4)
        seen, own, ended, cut, infos = games.step(moves)
        got, rewards, done, told = adapter.step(moves)
        assert np.array_equal(got, seen["observation"])
        assert np.array_equal(np.stack(adapter.env_method("action_masks")), seen["action_mask"])
        assert np.array_equal(done, ended | cut)
        for game in range(4):
            last = infos["final_info"] if done[game] else infos
            assert rewards[game] == pytest.approx((own[game] + last["other_reward"][game]) / 2, abs=1e-6)
            assert ("terminal_observation" in told[game]) == bool(done[game])
            if done[game]:
                ends += 1
                assert not np.array_equal(told[game]["terminal_observation"], got[game])
    assert ends > 4
    adapter.close()


FIRST_MOVER = """
import sys
import gtalign_env
from tianshou.env import PettingZooEnv

env = PettingZooEnv(gtalign_env.env(sys.argv[1]))
seen, _ = env.reset(seed=0)
for _ in range(6):
    agent = seen["agent_id"]
    seen, rewards, *_ = env.step(0)
    print(agent, *(float(reward) for reward in rewards))
"""


@pytest.mark.plugs
def test_tianshou__gives_the_first_mover_nothing(tmp_path: Path) -> None:
    """Its multi-agent wrapper pays user_0 nothing on its own rows: hence its example trains one chair (docs/plugs.md §3)."""
    done = subprocess.run(
        [interpreter("tianshou"), "-c", FIRST_MOVER, common.GAME],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    rows = [line.split() for line in done.stdout.splitlines()]
    assert [agent for agent, *_ in rows] == ["user_0", "assistant_0"] * 3
    for agent, *rewards in rows:
        assert (rewards == ["0.0", "0.0"]) == (agent == "user_0")


# -- the script and the page -------------------------------------------------------------------------------------------

DONE: Mapping[str, Any] = {
    "library": "some 1.0",
    "learner": "PPO",
    "ok": True,
    "chairs": "both",
    "random": {"welfare": 0.0},
    "trained": {"welfare": 0.755, "violations": 0.125},
    "steps": 12_000,
    "seconds": 48.0,
    "gymnasium": "1.4.0",
    "pettingzoo": "1.27.0",
    "python": "3.11.2",
}


def test_row__shows_what_was_found() -> None:
    """A result becomes cells: welfare before and after, and steps by seconds."""
    stack = ["1.4.0", "1.27.0", "3.11.2"]
    assert plugs.row(DONE) == ["some 1.0", "PPO", "both", "0.00 → 0.76", "12.5%", "12,000", "48", "250", *stack]
    assert plugs.row({**DONE, "ok": False})[3] == "0.00 → 0.76 (did not learn)"


def test_row__says_why_it_failed() -> None:
    """A failure is a row as well, with its reason and no figures."""
    failed = plugs.row({"library": "some 1.0", "learner": "", "ok": True, "failed": "does not install: a|b"})
    assert failed == ["some 1.0", "–", "–", "does not install: a\\|b", *"–––––––"]


CONFLICT = "The conflict is caused by:\n  a 1 depends on c<2\n  b 1 depends on c>=2\nERROR: x\n"
MISSING = "ERROR: Could not find a version that satisfies a==9 (from versions: 1, 2)\nERROR: No match\n"


@pytest.mark.parametrize(
    ("output", "said"),
    [
        (CONFLICT, "a 1 depends on c<2; b 1 depends on c>=2"),
        (MISSING, "Could not find a version that satisfies a==9"),
        ("Traceback\n  KeyError: 'a'\nthen\nValueError: no\n", "ValueError: no"),
        ("killed\n", "killed"),
        ("", "no output"),
    ],
)
def test_reason__is_the_line_that_says_most(output: str, said: str) -> None:
    """Of a long output the table shows what it comes to."""
    assert plugs.reason(output) == said


def test_placed__keeps_the_rest_of_the_page() -> None:
    """Only what lies between the markers changes, however often it is written."""
    page = f"before\n{plugs.BEGIN}\n\nold\n\n{plugs.END}\nafter\n"
    once = plugs.placed(page, ["a", "b"])
    assert once == f"before\n{plugs.BEGIN}\n\na\nb\n\n{plugs.END}\nafter\n"
    assert plugs.placed(once, ["a", "b"]) == once
    with pytest.raises(SystemExit, match="lost its markers"):
        plugs.placed("no markers", [])


def test_main__prints_chosen_rows_and_leaves_the_page(
    monkeypatch: pytest.MonkeyPatch, capsys: Any, tmp_path: Path
) -> None:
    """With names only their rows are printed; without, the page is written; a failure is exit code 1."""
    page = tmp_path / "plugs.md"
    page.write_text(f"{plugs.BEGIN}\n{plugs.END}\n", encoding="utf-8")
    monkeypatch.setattr(plugs, "PAGE", page)
    monkeypatch.setattr(plugs, "attempt", lambda name, plug: [{**DONE, "library": name, "ok": name != "rllib"}])
    assert plugs.main(["sb3"]) == 0
    assert "| sb3 |" in capsys.readouterr().out
    assert "sb3" not in page.read_text(encoding="utf-8")
    assert plugs.main([]) == 1
    written = page.read_text(encoding="utf-8")
    assert all(f"| {name} |" in written for name in plugs.PLUGS)
    assert "`scripts/plugs`, 20" in written
    with pytest.raises(SystemExit):
        plugs.main(["nobody"])


def page_of(*results: Mapping[str, Any]) -> str:
    """Return a page with these results, and others around them."""
    return "\n".join(["| a | b |", "text", *plugs.table(results), "| c | d |"])


def test_differences__are_other_verdicts_rows_and_versions(capsys: pytest.CaptureFixture[str]) -> None:
    """Speed and welfare may differ; whether it learned, chairs and versions may not. What does not install is passed over."""
    page = page_of(DONE, {"library": "none 1", "learner": "", "failed": "does not install: a | b"})
    faster = {**DONE, "seconds": 1.0, "trained": {"welfare": 0.9, "violations": 0.0}}
    assert plugs.differences([DONE, faster], page) == []
    (lazy,) = plugs.differences([{**DONE, "ok": False}], page)
    assert lazy.startswith("some 1.0, both: docs/plugs.md says '0.00 → 0.76', found '0.00 → 0.76 (did not learn)'")
    (broken,) = plugs.differences([{**DONE, "ok": False, "failed": "fails: ValueError"}], page)
    assert "found 'fails: ValueError'" in broken
    for change in ({"library": "some 1.1"}, {"chairs": "assistant"}):
        assert "has no such row" in plugs.differences([{**DONE, **change}], page)[0]
    assert plugs.differences([{**DONE, "failed": "does not install: no network"}], page) == []
    assert "some 1.0: passed over, as it does not install: no network" in capsys.readouterr().err


def test_main__checks_without_writing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With --check the page stays as it is, and the exit code says whether it is right."""
    page = tmp_path / "plugs.md"
    page.write_text(page_of({**DONE, "library": "sb3"}), encoding="utf-8")
    before = page.read_bytes()
    monkeypatch.setattr(plugs, "PAGE", page)
    monkeypatch.setattr(plugs, "attempt", lambda name, plug: [{**DONE, "library": name}])
    assert plugs.main(["--check", "sb3"]) == 0
    assert plugs.main(["--check", "sb3", "rllib"]) == 1
    assert page.read_bytes() == before


def test_main__installs_alone(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """With --install nothing is trained, libraries without an example are left out, and a failure is said, no more."""
    monkeypatch.setattr(plugs, "install", lambda name, plug: "does not install: no disk" if name == "rllib" else "")
    monkeypatch.setattr(plugs, "attempt", lambda name, plug: pytest.fail("it trains"))
    assert plugs.main(["--install"]) == 0
    assert capsys.readouterr().err == "plugs: rllib: does not install: no disk\n"


def test_install__says_why_there_is_no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that cannot be written to is a reason like any other."""

    def full(name: str) -> str:
        raise PermissionError(13, "Permission denied", "/cache")

    monkeypatch.setattr(plugs, "environment", full)
    assert plugs.install("sb3", plugs.PLUGS["sb3"]) == "does not install: [Errno 13] Permission denied: '/cache'"


def finished(code: int = 0, out: str = "", err: str = "") -> subprocess.CompletedProcess[str]:
    """Return what a command that has ended left."""
    return subprocess.CompletedProcess([], code, out, err)


def test_attempt__makes_failures_results(monkeypatch: pytest.MonkeyPatch) -> None:
    """A library that does not install is expected to be one without an example; an example that fails is not."""
    plug = plugs.Plug(requires=("some==1.0",), runs={"both": 10}, learner="PPO")
    monkeypatch.setattr(plugs, "environment", lambda name: "python")
    monkeypatch.setattr(plugs, "run", lambda command: finished(1, err="ERROR: Could not find some"))
    assert plugs.attempt("some", plug)[0]["ok"] is False
    (missing,) = plugs.attempt("some", plugs.Plug(requires=("some==1.0",)))
    assert (missing["ok"], missing["failed"]) == (True, "does not install: Could not find some")

    monkeypatch.setattr(
        plugs, "run", lambda command: finished(int("--json" in command), '{"some": "1.0"}', "ValueError: no")
    )
    (failed,) = plugs.attempt("some", plug)
    assert (failed["ok"], failed["failed"], failed["library"]) == (False, "fails: ValueError: no", "some 1.0")
    (spare,) = plugs.attempt("some", plugs.Plug(requires=("some==1.0",)))
    assert spare["failed"] == "installs, and has no example"


@pytest.mark.parametrize(("after", "learned"), [(0.5, True), (0.0, False)])
def test_trained__asks_whether_it_learned(after: float, learned: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """What an example reports counts as learned when its welfare is above that of moving at random."""

    def report(command: list[str]) -> subprocess.CompletedProcess[str]:
        found = {"random": {"welfare": 0.0}, "trained": {"welfare": after}, "steps": 10, "seconds": 1.0}
        Path(command[command.index("--json") + 1]).write_text(json.dumps(found), encoding="utf-8")
        return finished()

    monkeypatch.setattr(plugs, "run", report)
    assert plugs.trained("some", "python", "both", 10)["ok"] is learned


def test_run__gives_up_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that hangs is ended, and says so."""
    monkeypatch.setattr(plugs, "TIMEOUT_S", 0.2)
    done = plugs.run([sys.executable, "-c", "import time; time.sleep(30)"])
    assert done.returncode == 124
    assert "not done after 0.2 s" in done.stderr


def test_page__has_a_row_for_every_library() -> None:
    """docs/plugs.md §2 is what ``scripts/plugs`` wrote: each library, each choice of chairs, at the pinned version."""
    page = (ROOT / "docs" / "plugs.md").read_text(encoding="utf-8")
    _, _, rest = page.partition(plugs.BEGIN)
    table, _, _ = rest.partition(plugs.END)
    for plug in plugs.PLUGS.values():
        name, _, version = plug.requires[0].partition("==")
        rows = [line for line in table.splitlines() if line.startswith(f"| {name} {version}")]
        assert len(rows) == max(1, len(plug.runs)), name
        assert "did not learn" not in "".join(rows)
