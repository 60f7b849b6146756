"""From settings to the model that learns, and to the player that it is: tokens, chain, moves, budgets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gtalign_env.agents.backends.loading import Loaded, load_model
from gtalign_env.agents.chain import ChainAssistant
from gtalign_env.agents.chain.matrix import payoff_schema
from gtalign_env.agents.chain.settings import ChainSettings
from gtalign_env.agents.chain.writer import ChainBudget
from gtalign_env.agents.nano import FOLDER
from gtalign_env.agents.nano.settings import BLOCK_TOKENS, MOVES, is_nano
from gtalign_env.errors import require
from gtalign_env.protocols import Backend, Sampling
from gtalign_env.training.llm.config import LLMConfig

__all__ = ["adapted", "held_to", "load", "place_of", "player", "playing"]


def load(config: LLMConfig) -> Loaded:
    """Load the model of a run, whole and in evaluation mode: nothing in it is drawn at random while it learns.

    Raises:
        ModelError: There is no such model.
    """
    dtype = "float32" if config.dtype == "auto" and not config.lora_rank else config.dtype
    bos = False if is_nano(config.model) else None
    return load_model(place_of(config.model), device=config.device, dtype=dtype, bos=bos)


def place_of(model: str) -> str | Path:
    """Return where a model is: nano's folder is known, or named behind a colon.

    Example:
        >>> place_of("nano:runs/mine/model"), place_of("some/folder")
        ('runs/mine/model', 'some/folder')
    """
    return (model.partition(":")[2] or FOLDER) if is_nano(model) else model


def playing(config: LLMConfig) -> dict[str, Any]:
    """Return how the model of a run plays: the settings of its ``ChainAssistant``, its own ones where nothing else is said.

    Example:
        >>> playing(LLMConfig(model="some/folder", moves="paper", budget={"thinking": 16}))["budget"].thinking
        16
    """
    given = {"mode": config.chain, "criterion": config.criterion, "moves": config.moves}
    made: dict[str, Any] = {name: value for name, value in given.items() if value}
    budget = dict(config.budget)
    if is_nano(config.model):
        made.setdefault("moves", MOVES)
        budget = {**BLOCK_TOKENS, **budget}
    return {**made, "budget": ChainBudget(**budget)}


def player(backend: Backend, config: LLMConfig, *, temperature: float = 1.0) -> ChainAssistant:
    """Return the model as a player; it learns from draws of its own distribution (temperature 1, nothing cut off).

    Args:
        backend: Its engine.
        config: The settings.
        temperature: Of sampling.
    """
    return ChainAssistant(backend, sampling=Sampling(temperature=temperature), **playing(config))


def held_to(assistant: ChainAssistant) -> str:
    """Return the schema that its payoff blocks are held to; empty for none.

    Example:
        >>> held_to(ChainAssistant("fake:chain", mode="none"))
        ''
    """
    settings: ChainSettings = assistant.settings
    guided = settings.constrained and settings.mode in ("solver", "self")
    return payoff_schema(settings.moves.keys) if guided else ""


def adapted(model: Any, config: LLMConfig) -> Any:
    """Return the model with what is trained of it: fresh adapters, or all of its weights.

    Raises:
        MissingExtraError: Adapters are wanted, and peft is not installed.
    """
    if not config.lora_rank:
        return model.requires_grad_(requires_grad=True)
    peft: Any = require("peft", feature="training adapters (lora_rank)", extra="llm")
    import torch

    settings = peft.LoraConfig(
        r=config.lora_rank,
        lora_alpha=config.lora_alpha,
        target_modules="all-linear",
        lora_dropout=0.0,
        task_type="CAUSAL_LM",
    )
    with torch.random.fork_rng():  # the adapters' first weights follow from the run's seed alone
        torch.random.manual_seed(config.seed)
        made = peft.get_peft_model(model, settings)
    return made.eval()
