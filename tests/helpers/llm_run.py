"""A run of a language model that takes seconds: a tiny random Llama, short replies, one question."""

from __future__ import annotations

from typing import Any

from tiny_llama import make_model, make_tokenizer

from gtalign_env.agents.backends.loading import Loaded
from gtalign_env.training.llm.config import LLMConfig

__all__ = ["CHAIN", "make_loaded", "tiny_config"]

CHAIN = {"chain": "solver", "moves": "VQ/DA,CQ", "budget": {"thinking": 6, "payoff": 96, "response": 8}}
"""Settings of a chain of two cells."""


def make_loaded(**changes: Any) -> Loaded:
    """Return a tiny model."""
    tokenizer = make_tokenizer()
    return Loaded(make_model(tokenizer, **{"max_position_embeddings": 4096, **changes}), tokenizer, "tiny", bos=False)


def tiny_config(**settings: Any) -> LLMConfig:
    """Return settings of a run of two small groups."""
    usual: dict[str, Any] = {
        "model": "tiny",
        "chain": "none",
        "tasks": "authored",
        "eval_tasks": "authored",
        "options": {"questions": 1, "max_exchanges": 2},
        "groups": 2,
        "group_size": 2,
        "iterations": 2,
        "learning_rate": 1e-3,
        "minibatches": 2,
        "eval_episodes": 0,
        "samples_every": 0,
        "budget": {"response": 8},
    }
    return LLMConfig(**{**usual, **settings})
