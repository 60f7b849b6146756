"""Steering on a real model's own matrices: the solver's sweep against the model's own choices."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from real_model import REAL, require_real

from gtalign_env import parallel_env
from gtalign_env.agents.backends import make_backend
from gtalign_env.agents.chain import ChainAssistant, ChainBudget
from gtalign_env.agents.chain.resuming import ByModel
from gtalign_env.agents.chain.sweep import sweep
from gtalign_env.agents.users import population
from gtalign_env.gauges import chain_turns, gauges
from gtalign_env.play_batch import play_batch
from gtalign_env.protocols import Backend, Sampling

SESSIONS = 6
RATES = [0.0, 0.005, 0.01, 0.02, 0.1]
"""Credits a token. At the last one, the 175 tokens between a question and an answer outweigh any payoffs within [-5, 5]."""


@pytest.fixture(scope="module")
def engine() -> Backend:
    """A real model of 270 million weights."""
    require_real(REAL, "gguf", "accelerate", "torch", "transformers")
    return make_backend(f"transformers:{REAL}", device="cpu", dtype="bfloat16")


@pytest.mark.model
def test_real_model__is_steered_by_the_solver_as_theory_says(
    engine: Backend, figure: Callable[[str, object], None]
) -> None:
    """As a price per token rises, a leader's tokens never fall and a user-minded planner's never rise, and choices do switch;
    beside it stands what the model itself chooses from the same matrices.
    """
    budget = ChainBudget(thinking=16, response=24)
    assistant = ChainAssistant(
        engine, sampling=Sampling(temperature=0.7), moves="paper", budget=budget, on_failure="plain"
    )
    table = play_batch(
        lambda: parallel_env("assist_text", questions=1, max_exchanges=1), population(), assistant, range(SESSIONS)
    )
    episodes = sorted(table, key=lambda episode: episode.seed)
    sessions = [list(chain_turns(episode)) for episode in episodes]
    measured = gauges(episodes)
    figure("valid matrices", f"{measured.matrices} of {measured.turns}")
    assert measured.matrices >= 0.95 * measured.turns > 0, measured.failures
    for criterion, way in (("stackelberg:assistant", 1), ("welfare:linear:weight=0.8", -1)):
        solved = sweep(sessions, RATES, criterion=criterion)
        figure(f"tokens by {criterion}", [point.tokens for point in solved.points])
        figure(f"switched by {criterion}", [point.switched for point in solved.points])
        assert (solved.claim, solved.as_claimed) == (way, True)
        assert [point.n for point in solved.points] == [measured.matrices] * len(RATES)
        assert solved.trend == way  # not constant: some choice has switched
        assert solved.points[0].switched == 0.0 < (solved.points[-1].switched or 0.0)
    model = ByModel(engine, sampling=Sampling(max_tokens=48), press=True)
    chosen = sweep(sessions, [RATES[0], RATES[-1]], decide=model, chosen_by=model.name)
    assert all(point.n + point.undecided == chosen.turns == measured.matrices for point in chosen.points)
    assert all(point.n == measured.matrices for point in chosen.points)  # pressed, it decides every time
    figure("tokens by the model itself, decided", [(point.tokens, point.n) for point in chosen.points])
    figure("switched by the model itself", [point.switched for point in chosen.points])
