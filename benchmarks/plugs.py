"""Which RL libraries plug in: install each into an environment of its own, let it learn, and write docs/plugs.md's table.

    scripts/plugs                 all libraries, 20 minutes and 8 GB; writes the table
    scripts/plugs sb3 cleanrl     only these; prints their rows and leaves the page alone
    scripts/plugs --check         runs them, and compares with the page instead of writing it
    scripts/plugs --install       only makes the environments, for the tests marked plugs

Environments are kept in GTALIGN_PLUGS, else in ~/.cache/gtalign-env/plugs. What a library cannot do is a row as well. The exit
code is 1 when a library that has an example does not install, fails, or does not learn; with --check, when the page says
something else of what was tried (what does not install here is passed over, with the reason); with --install, never.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "plugs.md"
BEGIN, END = "<!-- plugs: written by scripts/plugs -->", "<!-- /plugs -->"
SHOWN = ("gymnasium", "pettingzoo")
TIMEOUT_S = 1800
_CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "gtalign-env", "plugs")
HOME = Path(os.environ.get("GTALIGN_PLUGS") or _CACHE)
NOT_HERE = "does not install: "
HEAD = (
    "library",
    "learns",
    "chairs",
    "welfare: random → trained",
    "violations",
    "steps",
    "seconds",
    "steps/s",
    *SHOWN,
    "python",
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plug:
    """A library, and how it is tried.

    Args:
        requires: What pip installs beside this checkout and PyTorch; the first names the library.
        runs: Who learns, and from how many steps: about a minute's worth on one core.
        learner: The algorithm.
    """

    requires: tuple[str, ...]
    runs: Mapping[str, int] = dataclasses.field(default_factory=dict)
    learner: str = ""


PLUGS = {
    "sb3": Plug(
        requires=("stable-baselines3==2.9.2", "sb3-contrib==2.9.2"), runs={"assistant": 400_000}, learner="MaskablePPO"
    ),
    "cleanrl": Plug(requires=("torch",), runs={"assistant": 400_000}, learner="PPO, one file"),
    "tianshou": Plug(requires=("tianshou==2.0.1",), runs={"assistant": 80_000}, learner="PPO"),
    "torchrl": Plug(requires=("torchrl==0.14.1",), runs={"assistant": 60_000, "both": 24_000}, learner="PPO"),
    "rllib": Plug(requires=("ray[rllib]==2.60.0",), runs={"assistant": 100_000, "both": 24_000}, learner="PPO"),
    "benchmarl": Plug(requires=("benchmarl==1.5.2",), runs={"both": 14_000}, learner="IPPO"),
    "agilerl": Plug(requires=("agilerl==2.58.0",)),
    "marllib": Plug(requires=("marllib==1.0.3",)),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Try the libraries; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"which libraries, of: {', '.join(PLUGS)} (default: all)"
    )
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--check", action="store_true", help="compare with docs/plugs.md instead of writing it")
    mode.add_argument("--install", action="store_true", help="only make the environments")
    given = parser.parse_args(arguments)
    if unknown := sorted(set(given.names) - set(PLUGS)):
        parser.error(f"unknown library {', '.join(unknown)}; there are {', '.join(PLUGS)}")
    names = given.names or list(PLUGS)
    if given.install:
        for name in names:
            if PLUGS[name].runs and (problem := install(name, PLUGS[name])):
                say(f"{name}: {problem}")
        return 0
    results = [result for name in names for result in attempt(name, PLUGS[name])]
    lines = table(results)
    print("\n".join(lines))
    if given.check:
        found = differences(results, PAGE.read_text(encoding="utf-8"))
        for difference in found:
            say(difference)
        return 1 if found else 0
    if not given.names:
        caption = f"`scripts/plugs`, {datetime.datetime.now(tz=datetime.UTC).date().isoformat()}, seed 0, {machine()}"
        PAGE.write_text(placed(PAGE.read_text(encoding="utf-8"), [caption + ":", "", *lines]), encoding="utf-8")
    return 0 if all(result["ok"] for result in results) else 1


def install(name: str, plug: Plug) -> str:
    """Install a library and this checkout into the library's own environment; return why that failed, or nothing."""
    say(f"{name}: installing")
    try:
        python = environment(name)
    except (OSError, subprocess.CalledProcessError) as error:
        return f"{NOT_HERE}{error}"
    done = run([python, "-m", "pip", "install", "--editable", str(ROOT), torch(), *plug.requires])
    return f"{NOT_HERE}{reason(done.stdout + done.stderr)}" if done.returncode else ""


def attempt(name: str, plug: Plug) -> list[dict[str, Any]]:
    """Install a library and run its example, once for each choice of chairs; failures are results."""
    facts: dict[str, Any] = {
        "library": plug.requires[0].replace("==", " "),
        "learner": plug.learner,
        "ok": not plug.runs,
    }
    if problem := install(name, plug):
        return [{**facts, "failed": problem}]
    python = environment(name)
    facts.update(versions(python, plug.requires[0]))
    if not plug.runs:
        return [{**facts, "failed": "installs, and has no example"}]
    return [{**facts, "chairs": chairs, **trained(name, python, chairs, steps)} for chairs, steps in plug.runs.items()]


def trained(name: str, python: str, chairs: str, steps: int) -> dict[str, Any]:
    """Run an example; return what it found, or why it failed."""
    say(f"{name}: {chairs}, {steps:,} steps")
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.json")
        options = ["--steps", str(steps), "--chairs", chairs, "--seed", "0", "--json", str(report)]
        done = run([python, str(ROOT / "examples" / f"plug_{name}.py"), *options])
        if done.returncode or not report.exists():
            return {"ok": False, "failed": f"fails: {reason(done.stderr)}"}
        found: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))
    return {**found, "ok": found["trained"]["welfare"] > found["random"]["welfare"]}


def table(results: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the results as a Markdown table."""
    return [
        f"| {' | '.join(HEAD)} |",
        f"|{' --- |' * len(HEAD)}",
        *(f"| {' | '.join(row(result))} |" for result in results),
    ]


def row(result: Mapping[str, Any]) -> list[str]:
    """Return the cells of one result."""
    stack = [str(result.get(name, "–")) for name in (*SHOWN, "python")]
    what = [result["library"], result["learner"] or "–", result.get("chairs", "–")]
    if "failed" in result:
        return [*what, result["failed"].replace("|", "\\|"), *"––––", *stack]
    welfare = f"{result['random']['welfare']:.2f} → {result['trained']['welfare']:.2f}"
    verdict = "" if result["ok"] else " (did not learn)"
    rate = result["steps"] / result["seconds"]
    unsafe = f"{result['trained']['violations']:.1%}"
    return [
        *what,
        welfare + verdict,
        unsafe,
        f"{result['steps']:,}",
        f"{result['seconds']:.0f}",
        f"{rate:,.0f}",
        *stack,
    ]


def placed(page: str, lines: Sequence[str]) -> str:
    """Return the page with the lines between its markers."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"plugs: {PAGE} has lost its markers {BEGIN} and {END}")
    return "".join([before, begin, "\n\n", "\n".join(lines), "\n\n", end, after])


def differences(results: Sequence[Mapping[str, Any]], page: str) -> list[str]:
    """Return where results are not what the page says: other versions, other chairs, or learned where it says failed.

    Speeds and welfare are another machine's, so they are not compared. What does not install is passed over: that may be the
    network's doing.
    """
    told = [[cell.strip() for cell in line.split(" | ")] for line in page.splitlines() if line.startswith("| ")]
    rows = {(cells[0].removeprefix("| "), cells[2]): cells[3] for cells in told if len(cells) == len(HEAD)}
    found = []
    for result in results:
        library, _, chairs, outcome, *_ = row(result)
        if outcome.startswith(NOT_HERE):
            say(f"{library}: passed over, as it {outcome}")
            continue
        known = rows.get((library, chairs))
        if known is None:
            found.append(f"{library}, {chairs}: docs/plugs.md has no such row; run scripts/plugs")
        elif learned(known) != learned(outcome):
            found.append(f"{library}, {chairs}: docs/plugs.md says '{known}', found '{outcome}'; run scripts/plugs")
    return found


def learned(outcome: str) -> bool:
    """Return whether a cell of the table tells of a library that has learned."""
    return " → " in outcome and "(did not learn)" not in outcome


def reason(output: str) -> str:
    """Return what an output says of its failure: pip's conflict, else the first error, else the last line."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    if conflict := [line for line in lines if " depends on " in line]:
        return "; ".join(conflict)
    missing = [line for line in lines if line.startswith("ERROR: Could not find")]
    errors = [line for line in lines if "Error: " in line]
    chosen = (missing[:1] or errors[-1:] or lines[-1:] or ["no output"])[0]
    return chosen.removeprefix("ERROR: ").partition(" (from versions")[0]


def versions(python: str, requirement: str) -> dict[str, str]:
    """Return the installed versions of what the table shows."""
    name = requirement.partition("==")[0].partition("[")[0]
    program = (
        "import importlib.metadata as m, json, platform, sys;"
        "print(json.dumps({n: m.version(n) for n in sys.argv[1:]} | {'python': platform.python_version()}))"
    )
    found: dict[str, str] = json.loads(run([python, "-c", program, name, *SHOWN]).stdout)
    return {**found, "library": f"{requirement.partition('==')[0]} {found[name]}"}


def environment(name: str) -> str:
    """Return the interpreter of a library's own environment, made at need."""
    folder = HOME / name
    python = folder / "bin" / "python"
    if not python.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    return str(python)


def torch() -> str:
    """Return the PyTorch that CI has; CONTRIBUTING.md says how to come by its CPU build where pip would take another."""
    pins = (ROOT / "constraints" / "ci.txt").read_text(encoding="utf-8").splitlines()
    return next(pin for pin in pins if pin.startswith("torch=="))


def run(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Run a command on one core, away from anybody's settings."""
    env = {**os.environ, "OMP_NUM_THREADS": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PYTHONWARNINGS": "ignore"}
    with tempfile.TemporaryDirectory() as folder:
        try:
            return subprocess.run(
                command, capture_output=True, text=True, env=env, cwd=folder, timeout=TIMEOUT_S, check=False
            )
        except subprocess.TimeoutExpired:
            return subprocess.CompletedProcess(command, 124, "", f"TimeoutError: not done after {TIMEOUT_S} s")


def machine() -> str:
    """Return the machine in words, and how busy it was: seconds are by the wall clock."""
    return f"{platform.machine()}, {os.cpu_count()} cores, one of them used, load {os.getloadavg()[1]:.0f} at the end"


def say(text: str) -> None:
    """Tell how far it is, on standard error."""
    print(f"plugs: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
