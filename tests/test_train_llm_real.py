"""Welfare RL of a real small model with adapters, on a CPU: two steps, taken up again in between, and its games replay."""

from __future__ import annotations

from pathlib import Path

import pytest
from real_model import REAL, require_real

torch = pytest.importorskip("torch")

from gtalign_env.episode import load_episodes  # noqa: E402
from gtalign_env.replay.verify import verify_episode  # noqa: E402
from gtalign_env.training.llm.config import LLMConfig  # noqa: E402
from gtalign_env.training.llm.trainer import Run  # noqa: E402


@pytest.mark.model
def test_run__of_a_real_model_with_adapters(tmp_path: Path) -> None:
    """A model of 270 million weights takes two steps of the optimiser, one on either side of a resume, and moves."""
    require_real(REAL, "gguf", "accelerate", "peft", "llguidance")
    config = LLMConfig(
        model=REAL,
        lora_rank=4,
        learning_rate=1e-3,
        warmup=0,
        tasks="authored",
        options={"questions": 1, "max_exchanges": 1},
        moves="VQ/DA,CQ",
        budget={"thinking": 4, "payoff": 64, "response": 8},
        iterations=2,
        groups=1,
        group_size=2,
        minibatches=1,
        tokens=1024,
        eval_episodes=0,
        samples_every=1,
        checkpoint_every=1,
    )
    folder = tmp_path / "run"
    first = Run(config, folder).train(until=1)
    assert first["learning"]["steps"] == 1
    assert first["learning"]["mismatch_kl"] < 0.01
    resumed = Run.resume(folder)
    second = resumed.train()
    assert resumed.iteration == 2
    assert second["learning"]["steps"] == 1
    assert second["probe"]["moved"] > 0.0
    trained = [name for name, weight in resumed.model.named_parameters() if weight.requires_grad]
    assert trained
    assert all("lora_" in name for name in trained)
    for file in sorted((folder / "samples").iterdir()):
        for episode in load_episodes(file):
            assert verify_episode(episode) == []
    assert (folder / "model" / "config.json").exists()
