"""Two processes with sharded weights (FSDP2, gloo) learn what one process learns."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from tiny_llama import save_tiny  # noqa: E402

from gtalign_env.training.llm.distributed import World  # noqa: E402

HELPERS = Path(__file__).parent / "helpers"
GAMES = {
    "best_of": 2,
    "groups": 4,
    "tasks": "authored:facts,arithmetic",
    "chain": "none",
    "budget": {"response": 16},
    "options": {"questions": 1},
    "games": 10,
    "batch": 3,
    "learning_rate": 1e-3,
}


def launch(settings: dict[str, Any], processes: int, program: str = "sft_process.py") -> list[dict[str, Any]]:
    """Run a program (a warm start) in so many processes; return what each of them says."""
    folder = Path(settings["folder"])
    folder.mkdir(parents=True, exist_ok=True)
    given = folder.with_suffix(".json")
    given.write_text(json.dumps(settings))
    environ = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(HELPERS.parents[1])}
    command = [sys.executable, str(HELPERS / program), str(given)]
    if processes > 1:
        elastic = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
        command = [sys.executable, *elastic, *command[1:]]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return [json.loads((folder / f"process-{rank}.json").read_text()) for rank in range(processes)]


def weights(folder: Path) -> dict[str, Any]:
    """Return the weights of a saved model."""
    from safetensors.torch import load_file

    return dict(load_file(folder / "model.safetensors"))


def apart(began: dict[str, Any], one: dict[str, Any], other: dict[str, Any]) -> float:
    """Return how far two trained models are apart, as a share of how far training has moved them.

    Norms over all weights: where a gradient is next to 0, Adam makes a whole step of the sign that rounding gives it.
    """
    assert set(began) == set(one) == set(other)
    moved: float = sum(float((one[name] - began[name]).double().square().sum()) for name in one) ** 0.5
    gap: float = sum(float((one[name] - other[name]).double().square().sum()) for name in one) ** 0.5
    assert moved > 1e-3
    return gap / moved


@pytest.mark.parametrize("size", [1, 2, 3])
def test_world__shares_cover_everything_once(size: int) -> None:
    """What all processes get together is everything, once; and all of them need the same number of passes."""
    things = list(range(10))
    shares = [World(rank=rank, size=size).share(things) for rank in range(size)]
    assert sorted(thing for share in shares for thing in share) == things
    rounds = {World(rank=rank, size=size).rounds(len(things), most=3) for rank in range(size)}
    assert rounds == {max(-(-len(share) // 3) for share in shares)}


@pytest.mark.slow
@pytest.mark.parametrize("adapters", [0, 4])
def test_fsdp__two_processes_learn_what_one_learns(tmp_path: Path, adapters: int) -> None:
    """Same games, same choice, same losses and same weights, within float32's rounding; with adapters as well."""
    if adapters:
        pytest.importorskip("peft")
    model = save_tiny(tmp_path / "tiny", max_position_embeddings=4096)
    config = {**GAMES, "model": str(model), "lora_rank": adapters}
    (alone,) = launch({"config": config, "folder": str(tmp_path / "one")}, 1)
    first, second = launch({"config": config, "folder": str(tmp_path / "two")}, 2)
    assert (first["size"], alone["size"]) == (2, 1)
    assert first["seeds"] == second["seeds"] == alone["seeds"]
    assert first["losses"] == second["losses"]
    assert len(alone["losses"]) >= 2
    assert first["losses"] == pytest.approx(alone["losses"], rel=1e-4)
    assert apart(weights(model), weights(tmp_path / "one"), weights(tmp_path / "two")) < 0.01


@pytest.mark.slow
def test_fsdp__two_processes_play_and_learn_what_one_does(tmp_path: Path) -> None:
    """Welfare RL: processes share the groups of games and the update; games and weights are those of one process."""
    model = save_tiny(tmp_path / "tiny", max_position_embeddings=4096)
    games = {name: GAMES[name] for name in ("tasks", "chain", "budget", "options")}
    size = {"groups": 3, "group_size": 3, "iterations": 2, "minibatches": 2, "eval_episodes": 0, "samples_every": 0}
    config = {**games, **size, "model": str(model), "learning_rate": 1e-3}
    (alone,) = launch({"config": config, "folder": str(tmp_path / "one")}, 1, "llm_process.py")
    first, second = launch({"config": config, "folder": str(tmp_path / "two")}, 2, "llm_process.py")
    assert (alone["size"], first["size"], first["version"]) == (1, 2, 2)
    assert "copy" in first["sampler"]
    assert second["told"] == []
    for one, two in zip(alone["told"], first["told"], strict=True):
        assert two == pytest.approx(one, abs=1e-9)
    assert apart(weights(model), weights(tmp_path / "one" / "model"), weights(tmp_path / "two" / "model")) < 0.02


@pytest.mark.slow
def test_fsdp__goes_on_with_another_number_of_processes(tmp_path: Path) -> None:
    """A run of two processes that stopped half way goes on in one, and ends where one that was never stopped does."""
    model = save_tiny(tmp_path / "tiny", max_position_embeddings=4096)
    config = {**GAMES, "model": str(model), "checkpoint_every": 1}
    launch({"config": config, "folder": str(tmp_path / "whole")}, 1)
    half = {"config": config, "folder": str(tmp_path / "half")}
    launch({**half, "until": 1}, 2)
    assert not (tmp_path / "half" / "config.json").exists()
    launch({**half, "resume": True}, 1)
    assert apart(weights(model), weights(tmp_path / "whole"), weights(tmp_path / "half")) < 0.01


@pytest.mark.slow
def test_fsdp__one_process_that_dies_ends_the_run(tmp_path: Path) -> None:
    """A process that is killed takes the others with it, nobody waits for ever, and the run goes on from its checkpoint."""
    model = save_tiny(tmp_path / "tiny", max_position_embeddings=4096)
    folder = tmp_path / "run"
    folder.mkdir()
    config = {**GAMES, "model": str(model), "checkpoint_every": 1, "epochs": 400}
    given = tmp_path / "run.json"
    given.write_text(json.dumps({"config": config, "folder": str(folder)}))
    environ = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(HELPERS.parents[1])}
    elastic = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    command = [sys.executable, *elastic, str(HELPERS / "sft_process.py"), str(given)]
    with subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            deadline = 120.0
            while len(list((folder / "checkpoints").glob("*.ckpt"))) < 2:
                deadline -= _nap()
                assert deadline > 0, "no checkpoint in two minutes"
            (child, *_) = _children(process.pid)
            os.kill(child, signal.SIGKILL)
            assert process.wait(timeout=60) != 0
        finally:
            process.kill()
    from gtalign_env.training.llm.sft_run import SFTRun

    resumed = SFTRun.resume(folder)
    assert resumed.step >= 2
    assert resumed.advance()["update"] == resumed.step


def _nap() -> float:
    import time

    time.sleep(0.1)
    return 0.1


def _children(parent: int) -> list[int]:
    """Return the processes that another one has started."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == parent:
            found.append(int(stat.parent.name))
    return sorted(found)
