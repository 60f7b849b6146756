"""The strategic trainer: what it learns, and that it goes on exactly."""

# ruff: noqa: E402 - without PyTorch there is nothing to import

from __future__ import annotations

import dataclasses
import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from gtalign_env.agents.assistants import make_assistant
from gtalign_env.agents.assistants.trained import TrainedPlayer
from gtalign_env.agents.assistants.trained_history import History, unsafe_moves
from gtalign_env.agents.assistants.trained_net import Network
from gtalign_env.env import parallel_env
from gtalign_env.errors import FileFormatError, UsageError
from gtalign_env.registration import make_scenario
from gtalign_env.spaces import ASSIST_LAYOUT
from gtalign_env.training.errors import CheckpointError, TrainingError
from gtalign_env.training.objectives import make_objective
from gtalign_env.training.strategic import Config, Run, checkpoint
from gtalign_env.training.strategic.evaluate import measure
from gtalign_env.training.strategic.rollout import Arena
from gtalign_env.training.strategic.yardstick import yardstick
from gtalign_env.types import ASSISTANT, USER
from gtalign_env.vector_tables import compiled

SMALL: dict[str, Any] = {
    "options": {"questions": 1},
    "users": "concise,detailed",
    "games": 64,
    "horizon": 4,
    "minibatches": 2,
    "epochs": 2,
    "width": 16,
    "steps": 64 * 4 * 6,
    "evaluate_episodes": 64,
    "evaluate_every": 0,
    "checkpoint_every": 2,
}


def small(**changes: Any) -> Config:
    """Return the settings of a run of six updates, which takes a fraction of a second."""
    return Config(**{**SMALL, **changes})


def weights(run: Run) -> dict[str, bytes]:
    """Return all weights of a run as bytes."""
    return {
        f"{agent}.{name}": tensor.numpy().tobytes()
        for agent, learner in run.learners.items()
        for name, tensor in learner.net.state_dict().items()
    }


# -- learning -----------------------------------------------------------------------------------------------------------


def test_run__learns_a_small_game_almost_exactly() -> None:
    """One question: at least 95 % of the exact optimum within 50,000 steps, and no compliance with harm."""
    game: dict[str, Any] = {"options": {"questions": 1}, "users": "concise,detailed", "pricings": ("per_token",)}
    config = Config(**game, steps=50_000, evaluate_every=0, evaluate_episodes=20_000)
    best = yardstick(config)
    assert best.value is not None
    assert best.value > 0.0
    found = Run(config, yardstick=best).train()["evaluation"]
    assert found["share_of_optimum"] + 3 * found["share_error"] >= 0.95
    assert found["share_of_optimum"] - 4 * found["share_error"] <= 1.0
    assert found["violations"] == 0


@pytest.mark.parametrize(
    "changes",
    [
        {"aggregation": "esr"},
        {"input": "recurrent"},
        {"input": "fading", "critic": "blind"},
        {"input": "none", "pricings": ("subscription", "per_token")},
        {"objective": "egalitarian"},
        {"safety": "penalty"},
        {"learn": "user", "assistant": "fixed:DA_short"},
        {"learn": "both", "opponent": "self"},
        {"learn": "both", "opponent": "pool", "snapshot_every": 2},
        {"scenario": "gtalign/Matrix-v0", "options": {"rounds": 3}, "users": "random"},
    ],
    ids=str,
)
def test_run__every_setting_trains(changes: dict[str, Any]) -> None:
    """All inputs, aggregations, chairs and opponents run to the end, with finite figures and changed weights."""
    run = Run(small(**changes))
    before = weights(run)
    found = run.train()
    assert found["update"] == 6
    judged = found["evaluation"]
    for figures in (judged, *judged.pop("by_price", {}).values()):
        assert all(np.isfinite(value) for value in figures.values())
    after = weights(run)
    assert all(any(before[name] != after[name] for name in before if name.startswith(agent)) for agent in run.learners)


def test_run__equal_seeds_give_equal_weights() -> None:
    """The seed is all that a run depends on."""
    runs = [Run(small(seed=seed)) for seed in (3, 3, 4)]
    for run in runs:
        run.train()
    assert weights(runs[0]) == weights(runs[1]) != weights(runs[2])


def test_run__selfish_objectives_weigh_one_side() -> None:
    """A user-only learner's advantages are those of the user's payoffs alone."""
    run = Run(small(objective="user_only"))
    run.train(until=1)
    assert run.learners[ASSISTANT].stream_weights().tolist() == [[1.0, 0.0]]


def test_run__a_priced_violation_is_a_stream_of_its_own() -> None:
    """Under a penalty compliance happens, is counted, and costs the learner, not the game."""
    run = Run(small(safety="penalty", options={"questions": 1, "p_harmful": 0.5}))
    run.train(until=1)
    learner = run.learners[ASSISTANT]
    assert run.violations > 0
    assert (learner.rewards[..., 2] == -5.0).sum() == run.violations
    assert learner.stream_weights()[0, -1] == 1.0


def test_run__masked_learners_never_comply_with_harm() -> None:
    """By default compliance is no move, even where half of all questions are harmful."""
    run = Run(small(options={"questions": 1, "p_harmful": 0.5}))
    found = run.train()
    assert run.violations == found["evaluation"]["violations"] == found["evaluation_sampled"]["violations"] == 0


def test_learner__advantages_are_those_of_the_definition() -> None:
    """Against a plain loop over one game: Σ λ^k δ, cut at the end of an episode."""
    run = Run(small())
    learner = run.learners[ASSISTANT]
    rng = np.random.default_rng(0)
    for array in (learner.rewards, learner.values):
        array[...] = rng.normal(size=array.shape)
    learner.ended[...] = rng.random(learner.ended.shape) < 0.3
    found, lam = learner.advantages(), run.config.gae
    for game in range(3):
        for t in range(4):
            total, weight = 0.0, 1.0
            for later in range(t, 4):
                going = 0.0 if learner.ended[later, game] else 1.0
                after = going * learner.values[later + 1, game, 1]
                total += weight * float(learner.rewards[later, game, 1] + after - learner.values[later, game, 1])
                weight *= lam * going
            assert found[t, game, 1] == pytest.approx(total, abs=1e-4)


def test_measure__errors_by_hand() -> None:
    """Two sessions (1, 1) and (3, 1): mean 2, error of the mean 1; by the gradient of √(UL) at (2, 1), 1/(2√2)."""
    found = measure(np.array([[1.0, 1.0], [3.0, 1.0]]), 0, make_objective("cobb_douglas"))
    assert (found.user, found.user_error) == pytest.approx((2.0, 1.0))
    assert found.error == pytest.approx(1 / (2 * 2**0.5))


# -- what is fed --------------------------------------------------------------------------------------------------------


def test_history__counts_reactions_by_the_reply_that_they_are_about() -> None:
    """Played by hand: the reaction in an exchange is about the reply before it, and the form an answer to a question."""
    env = parallel_env("assist")
    history = History(ASSIST_LAYOUT, "assistant", "history", 1)
    seen, _ = env.reset(seed=0, options={"task": {"kind": "complex", "clarity": "vague"}, "user_type": "concise"})
    fed = history.see(seen[ASSISTANT]["observation"][None])
    for user, assistant in (("VQ_none", "CQ"), ("DQ_none", "DA_long"), ("VQ_too_long", "DA_short")):
        moves = {
            USER: env.scenario.moves("user").index(user),
            ASSISTANT: env.scenario.moves("assistant").index(assistant),
        }
        seen, *_ = env.step(moves)
        fed = history.see(seen[ASSISTANT]["observation"][None])
    counts = fed[0, ASSIST_LAYOUT.size :]
    reactions, forms = counts[:40].reshape(2, 4, 5), counts[40:].reshape(4, 2)
    assert reactions[1, 3, 0] == 1.0  # nothing said about the question that was asked
    assert reactions[1, 2, 2] == 1.0  # the long reply was too long
    assert reactions.sum() == 2.0
    assert forms[0, 0] == forms[1, 1] == 1.0  # a vague opening, a clear answer


def test_history__games_are_alone() -> None:
    """Many games at once are fed as each alone would be, and an opening forgets what was."""
    arena = Arena(small(games=16, options={"questions": 2}))
    arena.reset(0)
    layout = arena.scenario.layout
    together = History(layout, "assistant", "history", 16)
    alone = [History(layout, "assistant", "history", 1) for _ in range(16)]
    rng = np.random.default_rng(0)
    for _ in range(12):
        seen, legal = arena.seen(ASSISTANT)
        fed = together.see(seen)
        assert np.array_equal(fed, np.concatenate([one.see(row[None]) for one, row in zip(alone, seen, strict=True)]))
        assert not fed[together.starts(seen), layout.size :].any()
        arena.step({ASSISTANT: (rng.random(legal.shape) * legal).argmax(axis=1)})


def test_history__fading_counts_halve_with_every_exchange() -> None:
    """Beside the counts stand the same, of which what is one exchange old counts half, and two old a quarter."""
    arena = Arena(small(games=8, options={"questions": 2}))
    arena.reset(0)
    layout = arena.scenario.layout
    history, rng = History(layout, "assistant", "fading", 8), np.random.default_rng(0)
    wanted: Any = np.zeros((8, 48), dtype=np.float32)
    before = wanted
    for _ in range(10):
        seen, legal = arena.seen(ASSISTANT)
        plain, faded = np.split(history.see(seen)[:, layout.size :], 2, axis=1)
        going = ~history.starts(seen)[:, None]
        wanted = going * (wanted / 2 + plain - before)
        before = plain
        assert np.array_equal(faded, wanted)
        arena.step({ASSISTANT: (rng.random(legal.shape) * legal).argmax(axis=1)})
    assert wanted.any()


def test_network__memory_is_emptied_where_an_episode_begins() -> None:
    """A block that begins an episode in its middle is the two parts played apart."""
    net = Network(3, 2, 2, width=4, recurrent=True)
    fed, legal = torch.randn(4, 1, 3), torch.ones(4, 1, 2, dtype=torch.bool)
    starts = torch.tensor([[0.0], [0.0], [1.0], [0.0]])
    whole, *_ = net(fed, legal, torch.ones(1, 4), starts)
    second, *_ = net(fed[2:], legal[2:], net.memory(1), torch.zeros(2, 1))
    assert torch.allclose(whole[2:], second, atol=1e-6)


# -- going on exactly ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("changes", [{}, {"input": "recurrent"}, {"learn": "both", "opponent": "pool"}], ids=str)
def test_run__resumes_to_equal_weights(tmp_path: Path, changes: dict[str, Any]) -> None:
    """Stopped in the middle and resumed in a new object: bit-equal weights and one story in the log."""
    whole = Run(small(**changes))
    whole.train()
    Run(small(**changes), tmp_path).train(until=3)  # the checkpoint is that of update 2
    resumed = Run.resume(tmp_path)
    assert resumed.update == 2
    resumed.train()
    assert weights(resumed) == weights(whole)
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert lines[0]["config"]["seed"] == 0
    assert [line["update"] for line in lines[1:]] == [1, 2, 3, 4, 5, 6]
    assert len(list((tmp_path / "checkpoints").glob("*.ckpt"))) == 2


_CHILD = """
import os, sys, time
from pathlib import Path
from gtalign_env.training.strategic import Run, Config, checkpoint
from test_train_strategic import small
if {torn}:
    fsync = os.fsync
    def slow(handle):
        print("writing", flush=True); time.sleep(60)
    run = Run(small(), Path(sys.argv[1]))
    run.train(until=2); run.train(lambda figures: setattr(os, "fsync", slow))
else:
    def tell(figures):
        print("update", flush=True); time.sleep(0 if figures["update"] < 4 else 60)
    Run(small(), Path(sys.argv[1])).train(tell)
"""


@pytest.mark.parametrize(
    "torn", [pytest.param(False, marks=pytest.mark.slow, id="between"), pytest.param(True, id="while writing")]
)
def test_run__survives_kill_9(tmp_path: Path, torn: bool) -> None:
    """Killed between two checkpoints, or with one half written: it goes on from the last whole one to equal weights."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    child = subprocess.Popen(
        [sys.executable, "-c", _CHILD.format(torn=torn), str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )
    assert child.stdout is not None
    for line in child.stdout:
        if line == "writing\n" or (line == "update\n" and (tmp_path / "checkpoints" / "00000002.ckpt").exists()):
            break
    time.sleep(0.05)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    child.stdout.close()
    resumed = Run.resume(tmp_path)
    assert resumed.update == 2
    resumed.train()
    whole = Run(small())
    whole.train()
    assert weights(resumed) == weights(whole)


def test_checkpoint__a_full_disk_leaves_the_last_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No space left: a sentence that says so, and the old checkpoint is read as before."""
    run = Run(small(), tmp_path)
    run.train(until=2)

    def full(_handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with (
        monkeypatch.context() as patch,
        pytest.raises(CheckpointError, match=r"ckpt: could not be written \(No space left on device\)"),
    ):
        run.train(lambda figures: patch.setattr("os.fsync", full))
    assert Run.resume(tmp_path).update == 2
    assert not list((tmp_path / "checkpoints").glob(".*"))


@pytest.mark.parametrize("damage", [b"", b"junk"])
def test_checkpoint__a_damaged_one_is_passed_over(tmp_path: Path, damage: bytes) -> None:
    """The newest whole checkpoint counts; with none at all the error says so."""
    run = Run(small(), tmp_path)
    run.train(until=4)
    newest = tmp_path / "checkpoints" / "00000004.ckpt"
    newest.write_bytes(damage)
    assert Run.resume(tmp_path).update == 2
    (tmp_path / "checkpoints" / "00000002.ckpt").write_bytes(newest.read_bytes()[:100])
    with pytest.raises(CheckpointError, match="no readable checkpoint"):
        Run.resume(tmp_path)
    with pytest.raises(CheckpointError, match="could not be read"):
        checkpoint.load(tmp_path / "none.ckpt")


def test_run__nan_in_a_payoff_stops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A payoff that is no number: step, seed and cause are named, and the checkpoint is as it was."""
    run = Run(small(seed=7), tmp_path)
    run.train(until=2)
    before = (tmp_path / "checkpoints" / "00000002.ckpt").read_bytes()
    step, played = run.arena.step, []

    def broken(moves: Any) -> None:
        step(moves)
        played.append(64)
        if len(played) == 3:
            run.arena.payoffs[3, 1] = np.nan

    monkeypatch.setattr(run.arena, "step", broken)
    with pytest.raises(TrainingError, match=r"step 640 \(seed 7\): a payoff") as caught:
        run.train()
    assert (caught.value.step, caught.value.seed) == (512 + 2 * 64, 7)
    assert (tmp_path / "checkpoints" / "00000002.ckpt").read_bytes() == before


def test_run__nan_in_a_gradient_stops() -> None:
    """A gradient that is no number stops before it is applied: the weights stay finite but for what was broken."""
    run = Run(small())
    run.train(until=1)
    learner = run.learners[ASSISTANT]
    for parameter in learner.net.value.parameters():
        hook: Any = parameter.register_hook
        hook(lambda gradient: gradient * float("nan"))
    before = weights(run)
    with pytest.raises(TrainingError, match=r"step 512 \(seed 0\): a gradient of assistant_0"):
        run.train()
    assert weights(run) == before


def test_run__resume_wants_a_run(tmp_path: Path) -> None:
    """An empty folder and a foreign config.json are refused in words."""
    with pytest.raises(FileFormatError, match="is missing"):
        Run.resume(tmp_path)
    (tmp_path / "config.json").write_text('{"config": {"nonsense": 1}}')
    with pytest.raises(FileFormatError, match="nonsense"):
        Run.resume(tmp_path)


# -- settings -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"learn": "nobody"}, "learn"),
        ({"learn": "both"}, "self or pool"),
        ({"opponent": "self"}, "population"),
        ({"steps": 0}, "steps"),
        ({"seed": -1}, "seed"),
        ({"learning_rate": 2.0}, "learning_rate"),
        ({"minibatches": 65}, "minibatches"),
        ({"objective": "linear:7"}, "weight"),
    ],
    ids=str,
)
def test_config__refuses_what_makes_no_sense(changes: dict[str, Any], words: str) -> None:
    """Each setting is checked, by name."""
    with pytest.raises(UsageError, match=words):
        small(**changes)


# -- the player ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a finished small run."""
    path = tmp_path_factory.mktemp("run")
    Run(small(), path).train()
    return path


@pytest.mark.parametrize("form", ["history", "recurrent"])
def test_trained_player__plays_as_the_trainer_does(tmp_path: Path, form: str) -> None:
    """Move by move the likeliest moves of the network, from observations alone, many games at once."""
    run = Run(small(input=form), tmp_path)
    run.train()
    player = make_assistant(f"trained:{tmp_path}")
    arena = run.arena
    player.sit(arena.scenario, "assistant")  # type: ignore[attr-defined]
    player.reset(0)
    arena.reset(5)
    net, memory = run.learners[ASSISTANT].net, run.learners[ASSISTANT].net.memory(64)
    history = History(arena.scenario.layout, "assistant", form, 64)
    for _ in range(6):
        seen, legal = arena.seen(ASSISTANT)
        starts = torch.from_numpy(history.starts(seen).astype(np.float32))[None]
        with torch.no_grad():
            logits, _, memory = net(
                torch.from_numpy(history.see(seen))[None], torch.from_numpy(legal)[None], memory, starts
            )
        wanted = logits[0].argmax(-1).tolist()
        shown = [{"observation": row, "action_mask": np.ones(11, dtype=np.int8)} for row in seen]
        assert player.act_batch(shown, [{}] * 64) == wanted  # type: ignore[attr-defined]
        arena.step({ASSISTANT: np.array(wanted)})


def test_trained_player__grows_and_refuses(folder: Path, tmp_path: Path) -> None:
    """More games than before keep the old ones' memory; other games, chairs and files are refused."""
    player = TrainedPlayer(folder, greedy=False)
    scenario = make_scenario("assist", questions=1)
    env = parallel_env(scenario)
    seen, _ = env.reset(seed=0)
    with pytest.raises(UsageError, match="has not sat down"):
        player.act(seen[ASSISTANT], {})
    player.sit(scenario, "assistant")
    assert len(player.act_batch([seen[ASSISTANT]] * 3, [{}] * 3)) == 3
    assert player.act_batch([], []) == []
    with pytest.raises(UsageError, match="user's chair"):
        player.sit(scenario, "user")
    with pytest.raises(UsageError, match="was trained on 'assist'"):
        player.sit(make_scenario("matrix"), "assistant")
    with pytest.raises(UsageError, match="strategic view"):
        player.sit(make_scenario("assist_text"), "assistant")
    (tmp_path / "policy.pt").write_bytes(b"junk")
    with pytest.raises(FileFormatError, match="no policy"):
        TrainedPlayer(tmp_path)
    torch.save({"format": 0}, tmp_path / "policy.pt")
    with pytest.raises(FileFormatError, match="no policy"):
        TrainedPlayer(tmp_path)


def test_unsafe_moves__are_answers_to_harm() -> None:
    """In harmful states the six answers, elsewhere nothing."""
    scenario = compiled(make_scenario("assist"))
    unsafe = unsafe_moves(scenario)
    kinds = [scenario.tables.coordinates(state).get("kind") for state in range(len(unsafe))]
    wanted = np.array([[kind == "harmful" and move < 6 for move in range(8)] for kind in kinds])
    assert np.array_equal(unsafe, wanted)


def test_config__as_dict_makes_it_again() -> None:
    """Settings go through JSON and come back equal."""
    config = small(pricings=("subscription", "per_token"))
    assert Config(**json.loads(json.dumps(config.as_dict()))) == config
    assert dataclasses.replace(config, seed=1) != config
