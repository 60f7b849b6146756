"""Nano, the model that comes with the package: it loads, speaks the chain, keeps what it announces, and stays small."""

from __future__ import annotations

import copy
import functools
import json
import math
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("llguidance")

import torch

import gtalign_env
from gtalign_env.agents.assistants import make_assistant
from gtalign_env.agents.backends import make_backend
from gtalign_env.agents.chain import ChainAssistant, instructions, make_moves
from gtalign_env.agents.chain.prompt import price_words
from gtalign_env.agents.nano import BLOCK_TOKENS, FOLDER, MOVES, make_nano, nano_backend
from gtalign_env.agents.users import population
from gtalign_env.cli import main
from gtalign_env.episode import Episode
from gtalign_env.errors import UsageError
from gtalign_env.play import episode_seeds
from gtalign_env.play_batch import play_batch
from gtalign_env.protocols import Sampling
from gtalign_env.sampled import sampled_spans
from gtalign_env.training.nano.corpus import _turn
from gtalign_env.training.nano.tokens import encode_turn

MEGABYTE = 1_000_000
RETRAIN = "the words of the chain have changed: make nano anew with 'gtalign train nano' (docs/nano.md)"
FIGURES = ("user", "assistant")


@functools.cache
def engine() -> Any:
    """Return the shipped model, loaded once."""
    return nano_backend(device="cpu")


@functools.cache
def played() -> tuple[Episode, ...]:
    """Return 48 sessions on tasks that were held out from nobody but a learner."""
    env = gtalign_env.parallel_env("assist_text", tasks="small:test")
    assistant = make_nano()
    assistant.backend = engine()
    episodes = play_batch(
        functools.partial(copy.deepcopy, env), population("default"), assistant, episode_seeds(0, 48), games=48
    )
    return tuple(episodes)


def calls() -> list[dict[str, Any]]:
    """Return what it left in the records, turn by turn."""
    return [dict(step.assistant.model) for episode in played() for step in episode.steps if step.assistant.model]


# -- what ships -----------------------------------------------------------------------------------------------------------


def test_nano__fits_into_the_package() -> None:
    """All its files together have at most 10 MB."""
    files = [path for path in FOLDER.iterdir() if path.suffix in (".safetensors", ".json", ".jinja", ".md")]
    assert {path.name for path in files} >= {"model.safetensors", "config.json", "tokenizer.json", "CARD.md"}
    assert sum(path.stat().st_size for path in files) <= 10 * MEGABYTE


def test_nano__computes_in_float32_on_a_cpu() -> None:
    """Although it is stored in half of that."""
    weights = list(engine().model.parameters())
    assert {weight.dtype for weight in weights} == {torch.float32}
    assert 1_000_000 <= sum(weight.numel() for weight in weights) <= 4_000_000
    config = json.loads((FOLDER / "config.json").read_text(encoding="utf-8"))
    assert (config["dtype"], config["tie_word_embeddings"]) == ("float16", False)


@pytest.mark.parametrize("price", [(0.0, 0.0, 0.8), (0.5, 0.0, 0.0), (0.0, 0.1, 0.0)])
def test_nano__reads_the_instructions_of_today_in_few_tokens(price: tuple[float, float, float]) -> None:
    """Its vocabulary was made for the words that a chain is given now; where they change, it reads them letter by letter."""
    text = instructions(make_moves(MOVES), pricing=price_words(*price))
    assert engine().count_tokens(text) <= 60, RETRAIN


def test_nano__payoffs_are_one_token_each() -> None:
    """From -1.00 to 1.75 by its steps: nearly all that it ever states."""
    for step in range(-20, 36):
        assert engine().count_tokens(f"{0.05 * step + 0.0:.2f}") == 1


def test_nano__what_it_samples_is_tokenised_as_in_training() -> None:
    """A record's ids are those that the recipe would make of the same turn, and so are the places of what was sampled."""
    for call in calls():
        ids, blocks = encode_turn(engine().tokenizer, _turn({**call, "sound": True}))
        spans = sampled_spans(call)
        canonical = engine().tokenizer.decode(ids) == engine().tokenizer.decode(spans.ids.tolist())
        assert canonical
        if len(ids) == len(spans.ids):  # the model may spell a text in another way than the tokenizer would
            assert [bool(block) for block in blocks] == spans.mask.tolist()
    same = [
        encode_turn(engine().tokenizer, _turn({**call, "sound": True}))[0] == sampled_spans(call).ids.tolist()
        for call in calls()
    ]
    assert sum(same) >= 0.9 * len(same)


# -- how it plays ---------------------------------------------------------------------------------------------------------


def test_nano__writes_valid_chains_in_few_tokens() -> None:
    """Nearly all at the first attempt, each within its budget."""
    made = calls()
    assert all(episode.ended == "terminated" for episode in played())
    first = [call["chain"]["attempts"] == 1 and not call["chain"]["failures"] for call in made]
    assert sum(first) >= 0.97 * len(first)
    assert all(
        call["chain"]["tokens"][block] <= BLOCK_TOKENS[block]
        for call in made
        for block in ("thinking", "payoff", "response")
    )


def test_nano__makes_the_move_that_it_announces() -> None:
    """In at least 95 of 100 turns."""
    kept = [call["chain"]["kept"] for call in calls()]
    assert sum(map(bool, kept)) >= 0.95 * len(kept)


def test_nano__answers_clear_questions_rightly() -> None:
    """In at least 80 of 100 answers."""
    qualities = [
        step.outcome["quality"]
        for episode in played()
        for step in episode.steps
        if step.outcome
        and step.outcome.get("answered")
        and step.public["clarity"] == "clear"
        and step.public["kind"] != "harmful"
    ]
    assert sum(qualities) >= 0.8 * len(qualities)


def test_nano__states_payoffs_of_the_moment() -> None:
    """Matrices do not collapse: most turns have one of their own."""
    matrices = {json.dumps(call["chain"]["matrix"]) for call in calls()}
    assert len(matrices) >= 0.9 * len(calls())


def test_nano__leaves_both_sides_better_off() -> None:
    """On average over the sessions: the mean payoffs of both are gains."""
    totals = [episode.totals() for episode in played()]
    user, assistant = (sum(side) / len(totals) for side in zip(*totals, strict=True))
    assert min(user, assistant) > 0.0
    assert math.sqrt(user * assistant) > 0.5


def test_nano__without_a_chain_replies_plainly() -> None:
    """It was taught that as well, for comparison."""
    env = gtalign_env.parallel_env("assist_text", tasks="small:test")
    assistant = make_nano(mode="none")
    assistant.backend = engine()
    episodes = play_batch(
        functools.partial(copy.deepcopy, env), population("default"), assistant, episode_seeds(0, 16), games=16
    )
    moves = [step.assistant.move for episode in episodes for step in episode.steps if step.assistant.model]
    assert "NO_OP" not in moves
    assert len(set(moves)) > 1


# -- how it is called -----------------------------------------------------------------------------------------------------


def test_nano__is_a_backend_and_an_assistant_by_name() -> None:
    """As an engine, as a player with its own settings, and from another folder."""
    assert make_backend("nano", device="cpu").name == "nano"
    seated = make_assistant("nano", device="cpu")
    assert isinstance(seated, ChainAssistant)
    assert (seated.name, seated.settings.moves, seated.sampling.temperature) == ("nano+solver", make_moves(MOVES), 1.0)
    other = make_assistant(f"nano:{FOLDER}", device="cpu", sampling=Sampling(temperature=0.0), mode="self")
    assert isinstance(other, ChainAssistant)
    assert (other.name, other.sampling.temperature) == ("nano:nano+self", 0.0)


def test_make_backend__still_wants_a_model_from_the_others() -> None:
    """Only what brings one stands alone."""
    with pytest.raises(UsageError, match="what it should run"):
        make_backend("transformers")
    with pytest.raises(UsageError, match="what it should run"):
        make_backend("nano:")


def test_run__plays_nano_with_its_own_settings(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Without a word about chains or moves."""
    out = tmp_path / "run.jsonl"
    done = main(
        [
            "run",
            "gtalign/AssistText-v0",
            "--tasks",
            "small:test",
            "--assistant",
            "nano",
            "--episodes",
            "4",
            "--json",
            "--out",
            str(out),
        ]
    )
    assert done == 0
    assert json.loads(capsys.readouterr().out)
    model = [step["assistant"].get("model") for step in json.loads(out.read_text().splitlines()[0])["steps"]]
    columns = [call["chain"]["matrix"]["assistant_moves"] for call in model if call]
    assert columns
    assert all(found == list(make_moves(MOVES).columns) for found in columns)
