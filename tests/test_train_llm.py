"""Runs of language models: what is played, what is learned, what survives."""

from __future__ import annotations

import dataclasses
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
pytest.importorskip("transformers")

from llm_run import CHAIN, make_loaded, tiny_config  # noqa: E402
from tiny_llama import save_tiny  # noqa: E402

from gtalign_env.episode import load_episodes  # noqa: E402
from gtalign_env.errors import FileFormatError, UsageError  # noqa: E402
from gtalign_env.protocols import Generation  # noqa: E402
from gtalign_env.replay.verify import verify_episode  # noqa: E402
from gtalign_env.training.errors import CheckpointError, TrainingError  # noqa: E402
from gtalign_env.training.llm.config import LLMConfig  # noqa: E402
from gtalign_env.training.llm.rollout import Job, play_groups, seeds_of  # noqa: E402
from gtalign_env.training.llm.trainer import Run, read_config  # noqa: E402


def weights_of(run: Run) -> dict[str, Any]:
    """Return a copy of a run's weights."""
    return {name: weight.detach().clone() for name, weight in run.model.named_parameters()}


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Return whether weights are equal to the last bit."""
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


# -- play ---------------------------------------------------------------------------------------------------------------------


def test_groups__differ_in_the_models_draws_alone() -> None:
    """All games of a group have the same user, who says the same where the assistant does; the replies differ."""
    run = Run(tiny_config(groups=2, group_size=3), loaded=make_loaded())
    groups = run.play()
    for group in groups:
        first = group.episodes[0]
        for episode in group.episodes[1:]:
            assert (episode.opening, episode.hidden, episode.tasks) == (first.opening, first.hidden, first.tasks)
            assert episode.steps[0].assistant.model["prompt_ids"] == first.steps[0].assistant.model["prompt_ids"]
        assert len({episode.steps[0].assistant.text for episode in group.episodes}) == 3
    assert groups[0].episodes[0].tasks != groups[1].episodes[0].tasks


def test_groups__are_the_same_every_time() -> None:
    """Play follows from seed and iteration alone."""
    one, other = (Run(tiny_config(), loaded=make_loaded()).play() for _ in range(2))
    texts = [[step.assistant.text for episode in group.episodes for step in episode.steps] for group in one]
    assert texts == [[step.assistant.text for episode in group.episodes for step in episode.steps] for group in other]
    assert seeds_of(0, 0, 2) == [group.seed for group in one]


def test_groups__draw_a_price_each() -> None:
    """Of several prices every group has one, and its games all pay it."""
    prices = ("subscription", "per_token:rate_out=0.01")
    run = Run(tiny_config(groups=6, pricings=prices), loaded=make_loaded())
    groups = run.play()
    assert {group.pricing for group in groups} == set(prices)
    for group in groups:
        assert {episode.reset_options["pricing"] for episode in group.episodes} == {group.pricing}


def failing(run: Run, monkeypatch: pytest.MonkeyPatch, *, calls: int, rows: int) -> None:
    """Let the engine fail in the first rows of its first calls."""
    generate, count = run.sampler.backend.generate, [0]

    def broken(asked: Any, sampling: Any, **rest: Any) -> list[Generation]:
        made = generate(asked, sampling, **rest)
        count[0] += 1
        if count[0] <= calls:
            made[:rows] = [dataclasses.replace(one, finish_reason="error", error="it is down") for one in made[:rows]]
        return list(made)

    monkeypatch.setattr(run.sampler.backend, "generate", broken)


def test_failures__are_played_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A game that fails once is counted and made up for; nothing is dropped."""
    run = Run(tiny_config(), loaded=make_loaded())
    failing(run, monkeypatch, calls=1, rows=1)
    groups = run.play()
    assert [group.dropped for group in groups] == [False, False]
    assert groups[0].errors == {"ModelError": 1}
    assert all(len(group.games) == 2 for group in groups)


def test_failures__for_good_drop_their_group(monkeypatch: pytest.MonkeyPatch) -> None:
    """A group that lost a game teaches nothing; the others are learned from, and the figures say so."""
    run = Run(tiny_config(retries=0), loaded=make_loaded())
    failing(run, monkeypatch, calls=1, rows=1)
    figures = run.advance()
    assert figures["dropped"] == 1
    assert figures["games"] == 2
    assert figures["errors"] == {"ModelError": 1}
    assert np.isfinite(figures["learning"]["loss"])


def test_failures__everywhere_stop_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing can be learned the run says what failed, and how often."""
    run = Run(tiny_config(retries=0), loaded=make_loaded())
    failing(run, monkeypatch, calls=99, rows=99)
    before = weights_of(run)
    with pytest.raises(
        TrainingError, match=r"every group of iteration 1 lost a game for good: 4 × ModelError .*it is down"
    ):
        run.advance()
    assert same(before, weights_of(run))


# -- learning -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "settings",
    [
        {"loss": "dapo"},
        {"loss": "ppo", "epochs": 2},
        {"loss": "dr_grpo", "estimator": "rloo", "scale": "none"},
        {"loss": "gspo", "estimator": "gdpo", "credit": "episode"},
        {"estimator": "gae", "kl": 0.01, "entropy": 0.01, "aggregation": "esr"},
    ],
)
def test_learn__makes_what_was_good_likelier(settings: dict[str, Any]) -> None:
    """After an update, turns with an advantage are likelier on average than before, and the others less likely."""
    run = Run(
        tiny_config(learning_rate=3e-4, minibatches=1, clip_high=0.5, clip_low=0.5, **settings), loaded=make_loaded()
    )
    turns = [turn for group in run.play() for game in group.games for turn in game.turns]
    gains = np.where(np.arange(len(turns)) % 2 == 0, 1.0, -1.0)
    before = [turn.logprobs[turn.mask].sum() for turn in turns]
    figures = run.learner.learn(turns, gains, iteration=0)
    with torch.no_grad():
        after = [float(run.learner.scorer.score([turn]).logprobs.sum()) for turn in turns]
    change = np.array(after) - np.array(before)
    assert change[gains > 0].sum() > 0 > change[gains < 0].sum()
    assert figures["steps"] == run.config.epochs
    assert abs(figures["mismatch_kl"]) < 1e-4


@pytest.mark.parametrize("estimator", ["grpo", "rloo", "gdpo", "gae"])
def test_run__goes_through_with_every_estimator(estimator: str) -> None:
    """Chains under a grammar, both aggregations: figures are finite, weights move, nothing is stale."""
    run = Run(tiny_config(estimator=estimator, iterations=1, **CHAIN), loaded=make_loaded())
    before = weights_of(run)
    figures = run.advance()
    assert np.isfinite([figures["learning"][name] for name in ("loss", "gradient", "entropy", "kl")]).all()
    assert not same(before, weights_of(run))
    assert figures["probe"]["version"] == 1
    assert figures["probe"]["moved"] > 0.0
    assert figures["gauges"]["valid"] == 1.0


def test_run__learns_what_is_better_for_both() -> None:
    """A model that can only babble learns that saying nothing serves both sides better, within a dozen iterations."""
    config = tiny_config(
        objective="utilitarian",
        options={"questions": 1, "max_exchanges": 1, "p_harmful": 0.0},
        budget={"response": 4},
        groups=4,
        group_size=8,
        iterations=12,
        learning_rate=1e-2,
        warmup=2,
        minibatches=1,
    )
    seen: list[dict[str, Any]] = []
    Run(config, loaded=make_loaded()).train(seen.append)
    for side in ("user", "assistant"):
        assert (
            np.mean([figures[side] for figures in seen[-3:]]) > np.mean([figures[side] for figures in seen[:3]]) + 0.25
        )


def test_run__stops_before_it_harms(monkeypatch: pytest.MonkeyPatch) -> None:
    """A loss that is no number raises, names its place, and leaves the weights as they were."""
    run = Run(tiny_config(), loaded=make_loaded())
    before = weights_of(run)
    loss = run.learner._loss
    monkeypatch.setattr(run.learner, "_loss", lambda *args, **rest: loss(*args, **rest) * float("nan"))
    with pytest.raises(
        TrainingError, match=r"step 0 \(seed 0\): the loss is not finite in iteration 1, step 1 of its update"
    ):
        run.advance()
    assert same(before, weights_of(run))


def test_run__with_a_copy_as_sampler_plays_the_same() -> None:
    """A copy that takes the weights over is the model itself, to rounding."""
    one, other = (Run(tiny_config(sampler=who), loaded=make_loaded()) for who in ("model", "copy"))
    for _ in range(2):
        figures = [run.advance() for run in (one, other)]
        assert figures[0]["user"] == figures[1]["user"]
    theirs = weights_of(other)
    assert all(torch.allclose(weight, theirs[name], atol=1e-5) for name, weight in weights_of(one).items())


def test_run__notices_a_stale_sampler(monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy that does not take the weights over stops the run at once."""
    run = Run(tiny_config(sampler="copy"), loaded=make_loaded())
    monkeypatch.setattr(run.sampler, "sync", lambda model: None)
    with pytest.raises(TrainingError, match=r"still plays with the weights of before|disagree on the probe"):
        run.advance()


def test_run__with_adapters_learns_them_alone_and_goes_on(tmp_path: Path) -> None:
    """The base stays as it is, the KL reference is the model without adapters, and a resumed run ends with the same adapters."""
    pytest.importorskip("peft")
    config = tiny_config(lora_rank=2, kl=0.05, checkpoint_every=1)
    whole = Run(config, tmp_path / "whole", loaded=make_loaded())
    base = {name: weight for name, weight in weights_of(whole).items() if "lora_" not in name}
    first = whole.train(until=1)
    assert first["learning"]["reference_kl"] > 0.0
    resumed = Run.resume(tmp_path / "whole", loaded=make_loaded())
    for run in (whole, resumed):
        run.train()
    assert same(weights_of(whole), weights_of(resumed))
    assert same(base, {name: weight for name, weight in weights_of(whole).items() if "lora_" not in name})


# -- the record ---------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run with everything in it."""
    made = tmp_path_factory.mktemp("runs") / "whole"
    config = tiny_config(eval_episodes=3, eval_every=1, samples_every=1, checkpoint_every=1, iterations=3)
    run = Run(config, made, loaded=make_loaded(), command=["gtalign", "train", "llm"])
    run.train()
    return made


def test_record__holds_settings_and_figures(folder: Path) -> None:
    """The settings come back as they were, and every iteration has a line, the first evaluation one of its own."""
    assert read_config(folder).iterations == 3
    header = json.loads((folder / "config.json").read_text())
    assert header["command"] == ["gtalign", "train", "llm"]
    assert "torch" in header["versions"]
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert [line.get("update") for line in lines] == [None, 0, 1, 2, 3]
    assert {"user", "assistant", "welfare", "low", "high", "habits", "gauges"} <= lines[-1]["evaluation"].keys()
    assert {"signal", "weights", "learning", "took", "habits", "gauges"} <= lines[-1].keys()


def test_record__holds_games_that_replay(folder: Path) -> None:
    """Samples are episodes like any others, and prove themselves when they are played again."""
    files = sorted((folder / "samples").iterdir())
    assert [file.name for file in files] == ["000000.jsonl", "000001.jsonl", "000002.jsonl"]
    for episode in load_episodes(files[-1]):
        assert verify_episode(episode) == []


def test_record__ends_with_a_model_that_plays(folder: Path) -> None:
    """The exported folder holds the weights that were learned last."""
    from gtalign_env.agents.backends.loading import load_model

    run = Run.resume(folder, loaded=make_loaded())
    loaded = load_model(folder / "model", device="cpu")
    assert same(weights_of(run), {name: weight.detach() for name, weight in loaded.model.named_parameters()})


def test_resume__is_exact(folder: Path, tmp_path: Path) -> None:
    """A run that was left after an iteration and taken up again ends with the very same weights and figures."""
    config = read_config(folder)
    Run(config, tmp_path / "cut", loaded=make_loaded()).train(until=1)
    resumed = Run.resume(tmp_path / "cut", loaded=make_loaded())
    assert resumed.iteration == 1
    resumed.train()
    whole = Run.resume(folder, loaded=make_loaded())
    assert same(weights_of(resumed), weights_of(whole))
    texts = [(place / "metrics.jsonl").read_text().splitlines()[1:] for place in (folder, tmp_path / "cut")]
    figures = [[(f := json.loads(line)).get("user"), f["evaluation"]["welfare"]] for lines in texts for line in lines]
    assert figures[: len(figures) // 2] == figures[len(figures) // 2 :]


def test_resume__takes_the_newest_checkpoint_that_is_whole(folder: Path, tmp_path: Path) -> None:
    """A damaged file is passed over; where all are damaged the run says so."""
    config = dataclasses.replace(read_config(folder), eval_episodes=0)
    Run(config, tmp_path / "run", loaded=make_loaded()).train(until=2)
    last, first = sorted((tmp_path / "run" / "checkpoints").glob("*.ckpt"), reverse=True)
    last.write_bytes(last.read_bytes()[:-1])
    assert Run.resume(tmp_path / "run", loaded=make_loaded()).iteration == 1
    first.write_bytes(b"")
    with pytest.raises(CheckpointError, match="no readable checkpoint"):
        Run.resume(tmp_path / "run", loaded=make_loaded())


def test_resume__to_more_iterations(folder: Path, tmp_path: Path) -> None:
    """A run may become longer, and its record then says so; not shorter."""
    config = dataclasses.replace(read_config(folder), eval_episodes=0, iterations=1)
    Run(config, tmp_path / "run", loaded=make_loaded()).train()
    longer = Run.resume(tmp_path / "run", iterations=2, loaded=make_loaded())
    longer.train()
    assert longer.iteration == read_config(tmp_path / "run").iterations == 2
    with pytest.raises(UsageError, match="does not get shorter"):
        Run.resume(tmp_path / "run", iterations=1, loaded=make_loaded())
    with pytest.raises(FileFormatError, match="expected the folder of a run of 'gtalign train llm'"):
        read_config(tmp_path)


def test_stop__leaves_a_checkpoint(tmp_path: Path) -> None:
    """Who asks for an end has it after the iteration, with a checkpoint though none was due."""
    run = Run(tiny_config(checkpoint_every=0, iterations=3), tmp_path / "run", loaded=make_loaded())
    run.train(stop=lambda: run.iteration == 1)
    assert Run.resume(tmp_path / "run", loaded=make_loaded()).iteration == 1


@pytest.mark.slow
def test_resume__after_kill_9_is_exact(tmp_path: Path) -> None:
    """A process that is killed in the middle of its work, and gone on with by the command line, loses nothing."""
    model = save_tiny(tmp_path / "tiny", max_position_embeddings=4096)
    config = {"groups": 2, "group_size": 2, "iterations": 3, "learning_rate": 0.001}
    flags = [word for name, value in config.items() for word in (f"--{name.replace('_', '-')}", str(value))]
    settings = ("eval_episodes=0", "checkpoint_every=1", "response=8")
    flags += ["--chain", "none", "--tasks", "authored", "--eval-tasks", "authored", "--option", "questions=1"]
    flags += ["--model", str(model), *(word for setting in settings for word in ("--set", setting))]
    command = [sys.executable, "-m", "gtalign_env", "train", "llm"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run([*command, *flags, "--out", str(tmp_path / "whole")], check=True, env=environment)
    cut = tmp_path / "cut"
    killed = subprocess.Popen([*command, *flags, "--out", str(cut)], env=environment)
    until = time.monotonic() + 120
    while not list((cut / "checkpoints").glob("*.ckpt")) and time.monotonic() < until:
        time.sleep(0.01)
    time.sleep(0.3)
    killed.send_signal(signal.SIGKILL)
    assert killed.wait() == -signal.SIGKILL
    subprocess.run([*command, "--resume", str(cut)], check=True, env=environment)
    ends = [Run.resume(place) for place in (tmp_path / "whole", cut)]
    assert [run.iteration for run in ends] == [3, 3]
    assert same(*map(weights_of, ends))


# -- settings -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"estimator": "ppo"}, "estimator: expected one of grpo, rloo, gdpo, gae, got 'ppo'"),
        ({"group_size": 1}, "group_size: grpo compares within groups"),
        ({"estimator": "gae", "credit": "episode"}, "expected credit='turn'"),
        ({"estimator": "gdpo", "scale": "group"}, "scale group is for estimator grpo"),
        ({"learning_rate": -1.0}, "learning_rate: expected a number from 0 to 1"),
        ({"groups": 0}, "groups: expected a whole number >= 1, got 0"),
        ({"objective": "happiness"}, "happiness"),
        ({"sampler": "server"}, "server: expected an address with sampler='server'"),
        ({"server": "http://a/v1"}, "server: expected an address with sampler='server' and with no other"),
        ({"budget": {"thought": 3}}, "budget: expected tokens of analyze, payoff, response, thinking, got thought"),
    ],
)
def test_config__refuses_what_makes_no_sense(settings: dict[str, Any], complaint: str) -> None:
    """Errors say what was expected and what came."""
    with pytest.raises(UsageError, match=complaint):
        LLMConfig(**settings)


def test_config__survives_json() -> None:
    """Settings come back from a record as they were."""
    config = LLMConfig(pricings=("per_token",), options={"questions": 2}, budget={"thinking": 8})
    assert LLMConfig(**json.loads(json.dumps(config.as_dict()))) == config


def test_play_groups__of_one_game_each() -> None:
    """Groups of one are games on their own, as gae takes them."""
    run = Run(tiny_config(), loaded=make_loaded())
    (group,) = play_groups(run.rooms["training"], [7], 1)
    (episode,) = run.rooms["training"].play([Job(seed=7)])
    assert group.episodes[0].steps[0].assistant.text == episode.steps[0].assistant.text
