"""The recipe of nano: a teacher that keeps to the form, a tokenizer that spells constant words shortly, a fit that repeats."""

from __future__ import annotations

import dataclasses
import doctest
import functools
import json
import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import torch

import gtalign_env
from gtalign_env.agents.assistants.oracle import Knowledge
from gtalign_env.agents.chain import Chain, make_moves, parse_chain
from gtalign_env.agents.chain.matrix import payoff_schema
from gtalign_env.agents.nano import MOVES
from gtalign_env.agents.users import population
from gtalign_env.cli import main, run, train
from gtalign_env.cli.common import Parser
from gtalign_env.errors import UsageError
from gtalign_env.play import play_many
from gtalign_env.scenarios.tasks import grade, load_tasks
from gtalign_env.scenarios.text.reader import read_reply
from gtalign_env.training.errors import TrainingError
from gtalign_env.training.nano.corpus import Turn, make_drills, make_turns
from gtalign_env.training.nano.fit import WEIGHTS, FitConfig, fit, make_model, make_rows
from gtalign_env.training.nano.run import SMALL, NanoConfig, train_nano
from gtalign_env.training.nano.teacher import Teacher, stated
from gtalign_env.training.nano.tokens import encode_turn, train_tokenizer

CELLS = make_moves(MOVES)


@functools.cache
def turns() -> tuple[Turn, ...]:
    """Return some turns of the teacher."""
    return tuple(make_turns(160, seed=1))


@functools.cache
def drills() -> tuple[Turn, ...]:
    """Return some questions with their answers."""
    return tuple(make_drills(200, seed=1))


@functools.cache
def tokens(size: int) -> Any:
    """Return a tokenizer made from these turns."""
    return train_tokenizer(turns(), size)


def chains() -> list[Turn]:
    """Return those with a chain."""
    return [turn for turn in turns() if len(turn.pieces) > 1]


def written(turn: Turn) -> dict[str, str]:
    """Return what the model wrote, by block."""
    return {piece.block: piece.text for piece in turn.pieces if piece.block}


# -- the teacher ----------------------------------------------------------------------------------------------------------


def test_teacher__writes_whole_chains() -> None:
    """Put together, the pieces are a chain in the strict form."""
    for turn in chains():
        text = "".join(piece.text for piece in turn.pieces)
        chain = parse_chain(text, CELLS.rows, CELLS.columns)
        assert isinstance(chain, Chain)
        assert not chain.repairs


def test_teacher__makes_the_move_that_its_matrix_announces() -> None:
    """The reply is read as what the solution names."""
    for turn in chains():
        announced = re.search(r"\nchoice: \w+\|(\w+)\n", "".join(piece.text for piece in turn.pieces))
        assert announced is not None
        made = read_reply(written(turn)["response"].removesuffix("</response>")).move
        assert made is not None
        assert made.name == announced[1]


def test_teacher__payoffs_fit_the_grammar_that_the_model_is_held_to() -> None:
    """Byte for byte: what is learned is what can be sampled."""
    llguidance = pytest.importorskip("llguidance")
    from gtalign_env.agents.backends.constraints import Grammars

    tokenizer = tokens(2500)
    guides = Grammars(tokenizer, size=len(tokenizer), ends=frozenset([tokenizer.eos_token_id]))
    assert llguidance
    for turn in chains()[:40]:
        guide = guides.guide(payoff_schema(CELLS.keys))
        for token in tokenizer.encode(written(turn)["payoff"], add_special_tokens=False):
            assert guide.allowed(len(tokenizer))[token]
            guide.accept(token)
        assert guide.done


def test_teacher__makes_every_move() -> None:
    """Also those that are seldom best, so that the model knows how to make them."""
    made = {read_reply(written(turn)["response"].removesuffix("</response>")).move for turn in chains()}
    assert {move.name for move in made if move} == set(CELLS.columns)


def test_teacher__marks_payoffs_that_were_made_up() -> None:
    """Between a quarter and a half, as it explores, and they count nothing in the loss."""
    share = np.mean([not turn.sound for turn in chains()])
    assert 0.2 < share < 0.5
    tokenizer = tokens(2500)
    for turn, row in zip(turns(), make_rows(tokenizer, turns()), strict=True):
        blocks = encode_turn(tokenizer, turn)[1]
        counted = {block for block, weight in zip(blocks, row.weights, strict=True) if weight}
        assert counted == set(written(turn)) - (set() if turn.sound else {"payoff"})


def test_teacher__without_noise_is_better_than_with_much() -> None:
    """What it states matters: mutual welfare falls as its payoffs blur."""
    env = gtalign_env.parallel_env("assist_text", tasks="small")

    def welfare(noise: float) -> float:
        teacher = Teacher(env.scenario.source, explores=0.0, noise=noise)  # type: ignore[attr-defined]
        totals = [episode.totals() for episode in play_many(env, population("default"), teacher, episodes=40, seed=2)]
        user, assistant = np.mean(totals, axis=0)
        return float(np.sqrt(user * assistant)) if min(user, assistant) > 0 else 0.0

    assert welfare(0.0) > welfare(0.4)


def test_stated__rounds_and_stays_in_range() -> None:
    """To steps of 0.05, no minus zero, and at most 4.95 to either side."""
    game = np.array([[[-0.01, 0.13]], [[99.0, -99.0]]])
    said = stated(game, make_moves("VQ/DA,CQ"))
    assert json.loads(said) == {"VQ|DA": {"user": 0.0, "assistant": 4.95}, "VQ|CQ": {"user": 0.15, "assistant": -4.95}}
    assert "-0.00" not in said


def test_make_turns__follow_from_the_seed() -> None:
    """Equal seeds, equal turns; another seed, others."""
    assert make_turns(12, seed=4) == make_turns(12, seed=4)
    assert make_turns(12, seed=4) != make_turns(12, seed=5)


def test_make_drills__hold_right_answers() -> None:
    """Each reply is right for the last question asked, or for one of its readings."""
    tasks = list(load_tasks("small"))
    knows = Knowledge(tasks)
    for drill in drills():
        asked = [line["content"] for line in drill.conversation if line["role"] == "user"]
        task = knows.task(asked[-1]) or knows.task(asked[-2])
        assert task is not None
        same = [other for other in tasks if other.vague == task.vague]
        assert max(grade(other, drill.pieces[0].text).quality or 0.0 for other in same) == 1.0


# -- the tokenizer --------------------------------------------------------------------------------------------------------


def test_tokenizer__gives_back_every_text() -> None:
    """Byte for byte, also where it has never seen the like."""
    tokenizer = tokens(2500)
    for text in (
        "Grüße, 你好!\n\n\tx",
        turns()[0].conversation[0]["content"],
        "".join(p.text for p in turns()[0].pieces),
    ):
        assert tokenizer.decode(tokenizer.encode(text, add_special_tokens=False)) == text


def test_tokenizer__keeps_apart_what_the_engine_puts_together() -> None:
    """A chain is tokenised piece by piece as in one go, so training sees what the engine has."""
    tokenizer = tokens(2500)
    for turn in turns():
        ids, _ = encode_turn(tokenizer, turn)
        assert tokenizer.encode(tokenizer.decode(ids), add_special_tokens=False) == ids


def test_tokenizer__template_is_what_the_recipe_writes() -> None:
    """The prompt of training is the prompt of the engine."""
    tokenizer = tokens(2500)
    turn = turns()[0]
    by_template = tokenizer.apply_chat_template(
        list(turn.conversation), tokenize=True, add_generation_prompt=True, return_dict=False
    )
    assert encode_turn(tokenizer, turn)[0][: len(by_template)] == by_template


# -- the fit --------------------------------------------------------------------------------------------------------------


def small_run(seed: int = 0, **changes: Any) -> tuple[Any, list[float]]:
    """Fit a tiny model; return it and its losses."""
    config = dataclasses.replace(SMALL.fit, **changes)
    tokenizer = tokens(config.vocabulary)
    model = make_model(config, tokenizer, seed=seed)
    losses: list[float] = []
    rows, questions = make_rows(tokenizer, turns()), make_rows(tokenizer, drills())
    fit(model, rows, questions, config, seed=seed, on_step=lambda figures: losses.append(figures["loss"]))
    return model, losses


def test_fit__learns() -> None:
    """The loss falls."""
    _, losses = small_run(drill=40, steps=1, drills=32, rate=1e-2, warmup=5)
    assert np.mean(losses[-6:-1]) < 0.7 * np.mean(losses[:5])


def test_fit__follows_from_the_seed() -> None:
    """Bit for bit, on one machine."""
    (one, first), (two, second), (_, third) = small_run(), small_run(), small_run(seed=1)
    assert first == second != third
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))


def test_fit__loss_is_the_weighted_mean_over_what_was_written() -> None:
    """Against a sum by hand, row by row without padding."""
    from gtalign_env.training.nano.fit import _loss

    tokenizer = tokens(2500)
    model = make_model(SMALL.fit, tokenizer)
    rows = make_rows(tokenizer, turns())[:5]
    top = bottom = 0.0
    with torch.no_grad():
        for row in rows:
            scores = model(input_ids=torch.tensor([row.ids])).logits[0].log_softmax(dim=-1)
            for place in range(1, len(row.ids)):
                top -= row.weights[place] * float(scores[place - 1, row.ids[place]])
                bottom += row.weights[place]
        assert float(_loss(model, rows)) == pytest.approx(top / bottom, rel=1e-4)
    assert set(WEIGHTS) == {"thinking", "payoff", "response", "plain"}


def test_fit__stops_at_a_loss_that_is_no_number() -> None:
    """And says where, and with which seed."""
    tokenizer = tokens(2500)
    model = make_model(SMALL.fit, tokenizer)
    with torch.no_grad():
        model.lm_head.weight.fill_(float("nan"))
    with pytest.raises(TrainingError, match=r"step 0 \(seed 7\).*nan"):
        fit(model, make_rows(tokenizer, turns()), make_rows(tokenizer, drills()), SMALL.fit, seed=7)


def test_fit__ends_in_time() -> None:
    """The clock counts as well as the steps, where it is asked for."""
    _, losses = small_run(steps=100_000, minutes=0.02)
    assert 0 < len(losses) < 100_000


@pytest.mark.parametrize("wrong", [{"steps": 0}, {"hidden": 30}, {"rate": -1.0}, {"minutes": float("nan")}])
def test_fit_config__refuses_what_makes_no_model(wrong: dict[str, Any]) -> None:
    """By the setting's name."""
    with pytest.raises(UsageError, match=next(iter(wrong))):
        FitConfig(**wrong)


# -- the run --------------------------------------------------------------------------------------------------------------


def test_train_nano__makes_a_model_that_plays(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder with a model that the chain can be played with, its figures, and how it came about."""
    pytest.importorskip("llguidance")
    out = tmp_path / "nano"
    assert main(["train", "nano", "--small", "--seed", "2", "--out", str(out), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["steps"] == SMALL.fit.drill + SMALL.fit.steps
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines[1:]] == list(range(1, SMALL.fit.drill + SMALL.fit.steps + 1))
    record = json.loads((out / "run.json").read_text())
    assert (record["config"]["seed"], record["command"][:3]) == (2, ["gtalign", "train", "nano"])
    assert {path.name for path in (out / "model").iterdir()} >= {"model.safetensors", "config.json", "tokenizer.json"}
    played = main(
        [
            *(
                "run",
                "gtalign/AssistText-v0",
                "--tasks",
                "small",
                "--assistant",
                f"nano:{out}/model",
                "--episodes",
                "1",
            ),
            *("--chain-option", "on_failure=plain", "--option", "questions=1"),
        ]
    )
    assert played in (0, 1)  # it cannot play well, and may say nothing at all: that is in the record
    assert "nano:model+solver" in capsys.readouterr().out


def test_train_nano__does_not_write_into_a_folder_that_holds_something(tmp_path: Path) -> None:
    """What is there stays."""
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(UsageError, match="new or an empty folder"):
        train_nano(SMALL, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_docs__examples_of_the_page_on_nano_run() -> None:
    """Every example gives what the page says, and every command is one."""
    page = Path(__file__).resolve().parents[1] / "docs/nano.md"
    found = doctest.testfile(str(page), module_relative=False)
    assert found.attempted > 4
    assert found.failed == 0
    parser = Parser(prog="gtalign")
    verbs = parser.add_subparsers()
    run.add_parser(verbs)
    train.add_parser(verbs)
    commands = re.findall(r"^gtalign (.*)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert len(commands) == 4
    for command in commands:
        parser.parse_args(shlex.split(command))


def test_nano_config__is_told_in_json_types() -> None:
    """For the record."""
    assert json.loads(json.dumps(NanoConfig().as_dict()))["fit"]["hidden"] == 128
