"""Warm starts: which games are kept, what of them is learned, and that nothing is lost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from tiny_llama import make_tokenizer, save_tiny  # noqa: E402

from gtalign_env.agents.backends.transformers import TransformersBackend  # noqa: E402
from gtalign_env.cli import main as gtalign  # noqa: E402
from gtalign_env.episode import Episode, EpisodeWriter, SideRecord, StepRecord, load_episodes  # noqa: E402
from gtalign_env.errors import FileFormatError, UsageError  # noqa: E402
from gtalign_env.protocols import Sampling  # noqa: E402
from gtalign_env.sampled import sampled_spans  # noqa: E402
from gtalign_env.training.errors import TrainingError  # noqa: E402
from gtalign_env.training.llm.sft import SFTConfig, best_of, check_tokens, grouped, learnable, read_groups  # noqa: E402
from gtalign_env.training.llm.sft_run import SFTRun, read_sft_config  # noqa: E402

HELPERS = Path(__file__).parent / "helpers"


def game(user: float, assistant: float, *, seed: int = 0, **fields: Any) -> Episode:
    """Return the record of a game with these payoffs, in which a model sampled tokens 8 and 9 behind a prompt of 5 and 6."""
    model = {
        "backend": "transformers:tiny",
        "prompt": "ab",
        "prompt_ids": [5, 6],
        "prompt_tokens": 2,
        "stages": [{"start": 2, "token_ids": [8, 9], "logprobs": [-0.5, -1.0]}],
    }
    step = StepRecord(
        user=SideRecord(digest="", payoff=user), assistant=SideRecord(digest="", payoff=assistant, model=model)
    )
    return Episode(**{"scenario": "s", "view": "text", "seed": seed, "ended": "terminated", "steps": [step], **fields})


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved model that writes at random."""
    return save_tiny(tmp_path_factory.mktemp("models") / "tiny", max_position_embeddings=4096)


def settings(model: Path, **changes: Any) -> dict[str, Any]:
    """Return settings of a small warm start."""
    small = {
        "model": str(model),
        "best_of": 2,
        "groups": 4,
        "tasks": "authored:facts,arithmetic",
        "chain": "none",
        "budget": {"response": 12},
        "options": {"questions": 1},
        "games": 8,
        "batch": 2,
        "learning_rate": 1e-3,
        "checkpoint_every": 1,
    }
    return {**small, **changes}


# -- the choice -------------------------------------------------------------------------------------------------------


def test_best_of__keeps_the_highest_welfare() -> None:
    """Of each group the game of the highest W(U, L) is kept, and the figures say of what it is the best: √4·1 = 2, √2·8 = 4."""
    choice = best_of([[game(4, 1), game(2, 8)], [game(9, 1), game(1, 4)]])
    assert [episode.totals() for episode in choice.episodes] == [(2, 8), (9, 1)]
    assert choice.figures["kept"] == pytest.approx((4 + 3) / 2)
    assert choice.figures["welfare"] == pytest.approx((2 + 4 + 3 + 2) / 4)
    assert choice.figures["spread"] == 1.0
    assert (choice.figures["user"], choice.figures["assistant"]) == (5.5, 4.5)


@pytest.mark.parametrize(
    ("objective", "kept"), [("user_only", (9, 1)), ("assistant_only", (1, 8)), ("egalitarian", (3, 3))]
)
def test_best_of__goes_by_the_objective(objective: str, kept: tuple[float, float]) -> None:
    """Another welfare keeps another game."""
    (episode,) = best_of([[game(9, 1), game(3, 3), game(1, 8)]], objective).episodes
    assert episode.totals() == kept


def test_best_of__never_keeps_failures_or_harm() -> None:
    """A game that failed has no return, and one that complied with harm is no example, however much it paid."""
    failed, harmful = game(99, 99, ended="error"), game(99, 99, violation=True)
    choice = best_of([[failed, harmful, game(1, 1)], [failed], [harmful]])
    assert [episode.totals() for episode in choice.episodes] == [(1, 1)]
    assert (choice.figures["dropped"], choice.figures["violations"]) == (2.0, 2.0)
    assert choice.figures["welfare"] == 1.0
    with pytest.raises(UsageError, match="of 2 games none may be learned from"):
        best_of([[failed], [harmful]])


def test_best_of__keeps_the_groups_with_the_largest_gains() -> None:
    """A share of the groups: those in which the best is furthest above the mean, in their order."""
    groups = [[game(1, 1), game(1, 1)], [game(9, 9), game(1, 1)], [game(4, 4), game(1, 1)]]
    kept = best_of(groups, keep=0.5).episodes
    assert [episode.totals() for episode in kept] == [(9, 9), (4, 4)]


def test_grouped__compares_like_with_like() -> None:
    """Games of one group have game, seed, user and prices in common; the θ that a persona draws follows from the seed."""
    same = [game(1, 1, seed=1), game(2, 2, seed=1, reset_options={"user_type": {"name": "x"}})]
    other = [game(1, 1, seed=2), game(1, 1, seed=1, reset_options={"pricing": "freemium"})]
    other += [game(1, 1, seed=1, players={"user_0": "persona:concise"})]
    assert sorted(map(len, grouped([*same, *other]))) == [1, 1, 1, 2]


def test_learnable__takes_sampled_tokens_alone() -> None:
    """Rows are what the engine sampled, by ``sampled_spans``; a script has nothing to learn from."""
    (turn,) = learnable([game(1, 1)])
    assert turn.ids[turn.mask].tolist() == [8, 9]
    script = game(1, 1, players={"assistant_0": "heuristic"})
    script.steps[0].assistant.model = {}
    with pytest.raises(UsageError, match="heuristic is no language model"):
        learnable([script])


def test_check_tokens__refuses_another_tokenizer() -> None:
    """Ids that spell something else than the recorded prompt, or that the model does not have, are refused."""
    tokenizer = make_tokenizer()
    episode = game(1, 1)
    episode.steps[0].assistant.model["prompt_ids"] = ids = tokenizer.encode("ab")
    assert len(ids) == 2
    check_tokens(learnable([episode]), [episode], tokenizer, len(tokenizer))
    with pytest.raises(UsageError, match=r"transformers:tiny are of another tokenizer: expected 'ab'"):
        check_tokens(learnable([game(1, 1)]), [game(1, 1)], tokenizer, len(tokenizer))
    with pytest.raises(UsageError, match="the model only 7"):
        check_tokens(learnable([game(1, 1)]), [game(1, 1)], tokenizer, 7)


def test_read_groups__refuses_games_of_moves(tmp_path: Path) -> None:
    """A file of a strategic game has no words to learn from."""
    with EpisodeWriter(tmp_path / "a.jsonl") as writer:
        writer.write(game(1, 1, view="strategic"))
    with pytest.raises(UsageError, match="expected games in words"):
        read_groups([str(tmp_path / "a.jsonl")])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, "files to learn from, or best_of"),
        ({"best_of": 2, "files": ("a.jsonl",)}, "and not both"),
        ({"best_of": 2, "keep": 0.0}, r"keep: expected a share in \(0, 1\]"),
        ({"best_of": 2, "batch": 0}, "batch: expected a whole number >= 1"),
        ({"best_of": 2, "learning_rate": 0.0}, "learning_rate: expected a number > 0"),
        ({"best_of": 2, "objective": "fame"}, "fame"),
    ],
)
def test_config__refuses_what_makes_no_sense(changes: dict[str, Any], message: str) -> None:
    """Settings are checked when they are made."""
    with pytest.raises(UsageError, match=message):
        SFTConfig(**changes)


# -- learning ---------------------------------------------------------------------------------------------------------


def test_run__makes_the_kept_games_likelier(tiny: Path, tmp_path: Path) -> None:
    """Loss falls over epochs, and the saved model gives the sampled tokens a higher probability than the old one did."""
    run = SFTRun(SFTConfig(**settings(tiny, epochs=4)), tmp_path / "run")
    losses: list[float] = []
    found = run.train(lambda figures: losses.append(figures["loss"]))
    assert found["steps"] == len(losses) == 4 * -(-found["turns"] // 2)
    assert losses[-1] < losses[0]
    spans = sampled_spans(load_episodes(tmp_path / "run" / "chosen.jsonl")[0].steps[0].assistant.model)
    saved = TransformersBackend(tmp_path / "run", device="cpu")
    with torch.no_grad():
        logits = torch.log_softmax(saved.model(torch.tensor([spans.ids.tolist()])).logits[0].double(), dim=-1)
    now = sum(float(logits[place - 1, spans.ids[place]]) for place in spans.mask.nonzero()[0])
    assert now > spans.logprobs.sum()


def test_run__the_first_loss_is_the_sampler_s(tiny: Path) -> None:
    """Before anything is learned, the loss is the mean negative log-probability that the engine itself has recorded."""
    run = SFTRun(SFTConfig(**settings(tiny, batch=1000)))
    run.choose()
    drawn = [logprob for turn in run.turns for logprob in turn.logprobs[turn.mask]]
    assert run.train()["loss"] == pytest.approx(-sum(drawn) / len(drawn), rel=1e-4)


def test_run__passes_do_not_change_the_step(tiny: Path) -> None:
    """A batch cut into many small passes gives the same loss and gradient as in one."""
    found = []
    for tokens in (100_000, 1):
        run = SFTRun(SFTConfig(**settings(tiny, batch=1000, tokens=tokens)))
        found.append(run.train())
    assert found[0]["loss"] == pytest.approx(found[1]["loss"], rel=1e-5)
    assert found[0]["gradient"] == pytest.approx(found[1]["gradient"], rel=1e-4)


def test_run__adapters_leave_the_model_as_it_is(tiny: Path, tmp_path: Path) -> None:
    """With adapters the weights below do not move; the saved folder has them merged, and the adapter beside it."""
    pytest.importorskip("peft")
    run = SFTRun(SFTConfig(**settings(tiny, lora_rank=2)), tmp_path / "run")
    run.choose()
    run._start()
    before = {name: weight.clone() for name, weight in run._model.named_parameters() if not weight.requires_grad}
    run.train()
    after = dict(run._model.named_parameters())
    assert before
    assert all(torch.equal(weight, after[name]) for name, weight in before.items())
    old, new = (TransformersBackend(folder, device="cpu").model.state_dict() for folder in (tiny, tmp_path / "run"))
    assert old.keys() == new.keys()
    assert not torch.equal(old["model.layers.0.mlp.down_proj.weight"], new["model.layers.0.mlp.down_proj.weight"])
    assert torch.equal(old["model.embed_tokens.weight"], new["model.embed_tokens.weight"])
    assert (tmp_path / "run" / "adapter" / "adapter_config.json").is_file()


def test_run__from_files_keeps_the_best_of_equal_seeds(tiny: Path, tmp_path: Path) -> None:
    """Two recorded runs of the same seeds: the better game of each seed is learned from."""
    files = []
    for draw in range(2):
        files.append(str(tmp_path / f"{draw}.jsonl"))
        command = ["run", "gtalign/AssistText-v0", "--assistant", f"transformers:{tiny}", "--temperature", "1"]
        more = ["--tasks", "authored:facts", "--max-tokens", str(8 + 8 * draw), "--episodes", "2", "--out", files[-1]]
        assert gtalign([*command, *more]) == 0
    run = SFTRun(SFTConfig(model=str(tiny), files=tuple(files)))
    choice = run.choose()
    played = [episode for file in files for episode in load_episodes(file) if not episode.violation]
    best = {seed: max(e.totals()[0] for e in played if e.seed == seed) for seed in {e.seed for e in played}}
    assert choice.figures["groups"] == 2
    assert {episode.seed: episode.totals()[0] for episode in choice.episodes} == best


def test_run__a_loss_that_is_no_number_stops_it(tiny: Path, tmp_path: Path) -> None:
    """The complaint names step, seed and cause, and the last checkpoint stays."""
    run = SFTRun(SFTConfig(**settings(tiny)), tmp_path / "run")
    run.train(until=1)
    with torch.no_grad():
        run.loaded.model.lm_head.weight.fill_(float("inf"))
    with pytest.raises(TrainingError, match=r"step 1 \(seed 0\): the loss is not finite"):
        run.advance()
    assert SFTRun.resume(tmp_path / "run").step == 1


# -- nothing is lost --------------------------------------------------------------------------------------------------


def test_run__goes_on_bit_for_bit(tiny: Path, tmp_path: Path) -> None:
    """A run that stopped half way and went on has the same weights, to the last bit, and one story in its metrics."""
    whole = SFTRun(SFTConfig(**settings(tiny, epochs=2)), tmp_path / "whole")
    whole.train()
    SFTRun(SFTConfig(**settings(tiny, epochs=2)), tmp_path / "half").train(until=2)
    SFTRun.resume(tmp_path / "half").train()
    one, other = (TransformersBackend(tmp_path / name, device="cpu").model.state_dict() for name in ("whole", "half"))
    assert all(torch.equal(one[name], other[name]) for name in one)
    lines = [json.loads(line) for line in (tmp_path / "half" / "metrics.jsonl").read_text().splitlines()]
    assert [line["update"] for line in lines[1:]] == list(range(1, whole.steps + 1))


@pytest.mark.slow
def test_run__survives_a_kill(tiny: Path, tmp_path: Path) -> None:
    """Killed at any moment, a run goes on and ends with the very weights of one that was left alone."""
    config = settings(tiny, epochs=12)
    SFTRun(SFTConfig(**config), tmp_path / "whole").train()
    folder, given = tmp_path / "killed", tmp_path / "killed.json"
    environ = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(HELPERS.parents[1])}
    for wait in (0, 2):
        resume = (folder / "run.json").exists()
        given.write_text(json.dumps({"config": config, "folder": str(folder), "resume": resume}))
        with subprocess.Popen([sys.executable, str(HELPERS / "sft_process.py"), str(given)], env=environ) as process:
            until = time.monotonic() + 120
            there = _newest(folder)
            while process.poll() is None and _newest(folder) < there + 1 + wait and time.monotonic() < until:
                time.sleep(0.01)
            process.send_signal(signal.SIGKILL)
        assert _newest(folder) > there
    resumed = SFTRun.resume(folder)
    assert resumed.step > 0
    resumed.train()
    one, other = (TransformersBackend(tmp_path / name, device="cpu").model.state_dict() for name in ("whole", "killed"))
    assert all(torch.equal(one[name], other[name]) for name in one)


def _newest(folder: Path) -> int:
    return max((int(file.stem) for file in (folder / "checkpoints").glob("*.ckpt")), default=0)


def test_read_sft_config__says_what_is_missing(tmp_path: Path) -> None:
    """A folder without a warm start, or with something else, is named."""
    with pytest.raises(FileFormatError, match=r"run\.json.*is missing"):
        read_sft_config(tmp_path)
    (tmp_path / "run.json").write_text('{"kind": "nano"}')
    with pytest.raises(FileFormatError, match="its kind is 'nano'"):
        read_sft_config(tmp_path)


# -- the command line -------------------------------------------------------------------------------------------------


def test_cli__plays_learns_and_goes_on(tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One command plays and learns; the folder then plays as any model does, and may be gone on with."""
    out = str(tmp_path / "warm")
    command = ["train", "sft", "--model", str(tiny), "--best-of", "2", "--groups", "2", "--tasks", "authored:facts"]
    small = ["--chain", "none", "--set", 'budget={"response": 8}', "--set", "games=4", "--batch", "2"]
    assert gtalign([*command, *small, "--out", out, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["folder"] == out
    assert found["steps"] == found["update"] >= 1
    assert found["config"]["best_of"] == 2
    assert TransformersBackend(out, device="cpu").generate(
        [[{"role": "user", "content": "Hi"}]], Sampling(max_tokens=2)
    )
    assert gtalign(["train", "sft", "--resume", out]) == 0
    assert f"transformers:{out}" in capsys.readouterr().out
    assert gtalign([*command, "--out", out]) == 2
    assert "go on with --resume" in capsys.readouterr().err
    assert gtalign(["train", "sft", "--resume", out, "--lr", "0.1"]) == 2
    assert "leave it out with --resume" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--out: expected a folder"),
        (["--out", "x"], "expected --best-of N to play, or --files"),
        (["--out", "x", "--best-of", "2", "--set", "fame=1"], "there is no setting 'fame'"),
    ],
)
def test_cli__says_what_is_wrong(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Wrong usage ends with code 2 and one sentence."""
    assert gtalign(["train", "sft", *arguments]) == 2
    assert message in capsys.readouterr().err
