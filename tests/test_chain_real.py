"""The chain on a real small model, in whole games: held to the form it states a valid matrix; left alone it hardly ever does.

``benchmarks/chain_validity.py`` plays more of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from real_model import REAL, require_real

from gtalign_env import parallel_env
from gtalign_env.agents.backends import make_backend
from gtalign_env.agents.chain import ChainAssistant, ChainBudget
from gtalign_env.agents.users import population
from gtalign_env.cli import main
from gtalign_env.episode import Episode, EpisodeWriter
from gtalign_env.gauges import chain_turns
from gtalign_env.play_batch import play_batch
from gtalign_env.protocols import Backend, Sampling

EPISODES = 3
OPENINGS = 4


@pytest.fixture(
    scope="module",
    params=[
        pytest.param("transformers", marks=pytest.mark.model),
        pytest.param("vllm", marks=[pytest.mark.model, pytest.mark.vllm]),
    ],
)
def engine(request: pytest.FixtureRequest) -> Iterator[Backend]:
    """A real model of 270 million weights in both engines; vLLM's is unpacked to the user's cache, once."""
    require_real(REAL, "gguf", "accelerate", "torch", request.param)
    backend = make_backend(f"{request.param}:{REAL}", dtype="bfloat16")
    yield backend
    if request.param == "vllm":
        backend.close()  # type: ignore[attr-defined]


def chained(backend: Backend, **settings: Any) -> ChainAssistant:
    """Return a player of six cells with little to say, and no second attempts."""
    budget = settings.pop("budget", ChainBudget(thinking=12, response=12))
    sampling = Sampling(temperature=0.7)
    return ChainAssistant(backend, sampling=sampling, moves="paper", budget=budget, retries=0, **settings)


def valid(episodes: list[Episode]) -> tuple[int, int]:
    """Count turns with a matrix of six finite payoffs for each side, in range; and all turns."""
    turns = [turn for episode in episodes for turn in chain_turns(episode)]
    good = 0
    for turn in turns:
        if turn.matrix is not None:
            assert (turn.matrix.user_moves, turn.matrix.assistant_moves) == (("VQ", "DQ"), ("DA", "AQ", "CQ"))
            assert np.abs([turn.matrix.user, turn.matrix.assistant]).max() <= 5.0
            good += 1
    return good, len(turns)


def test_chain__real_model_states_valid_matrices_when_held_to_the_form(
    engine: Backend, figure: Callable[[str, object], None], tmp_path: Path
) -> None:
    """Whole games: at least 95 % of the turns have a valid matrix, every token is recorded, and the records play again."""
    played = play_batch(
        lambda: parallel_env("gtalign/AssistText-v0", questions=1, max_exchanges=2),
        population(),
        chained(engine, on_failure="plain"),
        range(EPISODES),
    )
    episodes = list(played)
    assert [episode.ended for episode in episodes] == ["terminated"] * EPISODES, [e.error for e in episodes]
    good, turns = valid(episodes)
    figure(f"{engine.name}: valid matrices, held to the form", f"{good} of {turns}")
    assert turns >= EPISODES
    assert good >= 0.95 * turns
    calls = [step.assistant.model for episode in episodes for step in episode.steps if "chain" in step.assistant.model]
    assert all(len(stage["logprobs"]) == len(stage["token_ids"]) > 0 for call in calls for stage in call["stages"])
    with EpisodeWriter(tmp_path / "real.jsonl") as writer:
        for episode in episodes:
            writer.write(episode)
    assert main(["replay", str(tmp_path / "real.jsonl"), "--verify"]) == 0


def test_chain__real_model_left_alone_fails_by_kind(engine: Backend, figure: Callable[[str, object], None]) -> None:
    """Free-running, every turn has a matrix or a failure with a kind; the rate is reported."""
    env = parallel_env("gtalign/AssistText-v0")
    shown = [env.reset(seed=seed) for seed in range(OPENINGS)]
    seen = [[both["assistant_0"] for both in pair] for pair in shown]
    observations, infos = ([pair[side] for pair in seen] for side in (0, 1))
    budget = ChainBudget(thinking=12, payoff=116, response=12)
    free = chained(engine, constrained=False, on_failure="plain", budget=budget)
    free.act_batch(observations, infos)
    chains = [call["chain"] for call in free.last_calls]
    kinds = sorted(failure["kind"] for chain in chains for failure in chain["failures"])
    stated = sum(chain["matrix"] is not None for chain in chains)
    figure(f"{engine.name}: valid matrices, free-running", f"{stated} of {OPENINGS} ({', '.join(kinds)})")
    assert len(chains) == OPENINGS
    assert all(chain["failures"] or chain["matrix"] for chain in chains)
