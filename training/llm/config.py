"""Every setting of a run with a language model, checked when it is made."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from gtalign_env.agents.nano.settings import is_nano
from gtalign_env.errors import UsageError
from gtalign_env.training.llm.estimators import ESTIMATORS, SCALES
from gtalign_env.training.objectives import make_objective

__all__ = ["CREDITS", "LLMConfig"]

CREDITS: tuple[str, ...] = ("turn", "episode")
_BLOCKS = {"thinking", "payoff", "analyze", "response"}
_LOSSES = ("dapo", "dr_grpo", "gspo", "ppo")


@dataclasses.dataclass(frozen=True, kw_only=True)
class LLMConfig:
    """What is learned, on which games, and how.

    Example:
        >>> config = LLMConfig(groups=8, group_size=8)
        >>> config.episodes, config.objective
        (64, 'cobb_douglas')
    """

    # -- the model
    model: str = "nano"
    """``nano``, another one as ``nano:FOLDER``, or a folder with a Hugging Face model."""
    device: str = "auto"
    dtype: str = "auto"
    """Of the weights: ``auto`` is float32 on a CPU and bfloat16 elsewhere."""
    precision: str = "auto"
    """With several processes, what passes are computed in: ``float32``, ``bfloat16``, or ``auto``: bfloat16 on GPUs."""
    lora_rank: int = 0
    """Train adapters of this rank beside every linear layer (needs peft); 0 trains all weights."""
    lora_alpha: float = 32.0
    # -- the chain
    chain: str = ""
    """``solver``, ``self`` or ``none``; empty for the model's own, and else ``solver``."""
    criterion: str = ""
    """What picks the cell of a stated matrix; empty for the model's own, and else ``welfare:cobb_douglas``."""
    moves: str = ""
    """Rows and columns of the stated matrix; empty for the model's own, and else ``full``."""
    budget: Mapping[str, int] = dataclasses.field(default_factory=dict)
    """Most tokens of a block (``ChainBudget``), beside the model's own."""
    # -- the games
    scenario: str = "gtalign/AssistText-v0"
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """The scenario's own options."""
    tasks: str = "small:train"
    eval_tasks: str = "small:test"
    """Tasks of evaluations; empty for those of training."""
    users: str = "default"
    eval_users: str = ""
    """Users of evaluations; empty for those of training."""
    pricings: tuple[str, ...] = ()
    """Prices of which every group draws one; the scenario's own when empty."""
    eval_pricings: tuple[str, ...] = ()
    """Prices of evaluations; empty for those of training."""
    # -- the objective
    objective: str = "cobb_douglas"
    aggregation: str = "ser"
    """``ser``: welfare of expected returns; ``esr``: expected welfare of returns."""
    estimator: str = "grpo"
    """``grpo``, ``rloo``, ``gdpo`` or ``gae`` (see ``estimators``)."""
    scale: str = "batch"
    """What advantages are divided by: the spread of the ``group``, of the ``batch``, or ``none``."""
    credit: str = "turn"
    """``turn``: a turn is judged by what comes from it on, against turns at the same place; ``episode``: by the whole episode."""
    gamma: float = 1.0
    """Discount from turn to turn, under ``credit="turn"``."""
    lam: float = 0.95
    """λ of ``estimator="gae"``."""
    forget: float = 0.7
    """How much of the running mean of returns stays after an iteration."""
    violation: float = 5.0
    """How strongly a turn that complied with harm is pushed down, in spreads of the batch's advantages. Its episode has no payoff
    that could be weighed against it."""
    # -- the update
    loss: str = "dapo"
    """``dapo``, ``dr_grpo``, ``gspo`` or ``ppo`` (see ``losses``)."""
    clip_low: float | None = None
    clip_high: float | None = None
    """Clips other than the loss's own."""
    constant: int = 256
    """Tokens a turn counts for under ``loss="dr_grpo"``."""
    kl: float = 0.0
    """Weight of the k3 estimate of KL(model ‖ reference); the reference is the model as it began."""
    entropy: float = 0.0
    """Bonus for the entropy of what is sampled."""
    learning_rate: float | None = None
    """Of AdamW; ``None`` for 5e-4 with nano, 1e-5 with adapters, and else 1e-6."""
    warmup: int = 4
    """Iterations over which the learning rate rises."""
    decay: bool = False
    """Whether it falls linearly to 0 over the run."""
    weight_decay: float = 0.0
    betas: tuple[float, float] = (0.9, 0.95)
    max_gradient: float = 1.0
    epochs: int = 1
    """How often an iteration's turns are learned from."""
    minibatches: int = 2
    """Steps of the optimiser in an epoch."""
    tokens: int = 4096
    """Most tokens, padding included, in one forward pass of learning."""
    # -- the run
    iterations: int = 100
    groups: int = 8
    group_size: int = 8
    """Games of a group: same task, same user, same seed; only the model's draws differ."""
    games: int = 64
    """Games played at once."""
    batch_size: int = 128
    """Rows in one forward pass of sampling."""
    sampler: str = "model"
    """Who plays: the ``model`` that learns, a ``copy`` of it, ``vllm`` in this process, or a vLLM ``server``."""
    server: str = ""
    """Where the server is, e.g. ``http://127.0.0.1:8000/v1``."""
    server_model: str = ""
    """The model's name there; that of ``model`` where empty."""
    server_how: str = "checkpoint"
    """How weights get there: ``checkpoint``, ``adapter`` or ``nccl`` (see ``server``)."""
    server_folder: str = ""
    """Where checkpoints and adapters for it are written; it has to see this folder. ``served/`` in the run's where empty."""
    retries: int = 1
    """How often a game that failed is played again before its group is dropped."""
    seed: int = 0
    threads: int = 1
    eval_every: int = 10
    """Iterations between evaluations; there is one before the first and one after the last. 0 for these alone."""
    eval_episodes: int = 128
    eval_temperature: float = 1.0
    """1 evaluates the policy that is trained; 0 its likeliest tokens."""
    samples_every: int = 10
    """Iterations between files of sample games; 0 for none."""
    samples: int = 8
    checkpoint_every: int = 5
    """Iterations between checkpoints; 0 for the last one only."""

    def __post_init__(self) -> None:
        """Refuse settings that make no sense."""
        for name, known in (
            ("estimator", ESTIMATORS),
            ("scale", SCALES),
            ("credit", CREDITS),
            ("loss", _LOSSES),
            ("precision", ("auto", "float32", "bfloat16")),
            ("chain", ("", "solver", "self", "none")),
            ("sampler", ("model", "copy", "vllm", "server")),
        ):
            if getattr(self, name) not in known:
                raise UsageError(
                    f"{name}: expected one of {', '.join(filter(None, known))}, got {getattr(self, name)!r}"
                )
        for name, least in _WHOLE.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise UsageError(f"{name}: expected a whole number >= {least}, got {value!r}")
        for name, top in _REAL.items():
            value = getattr(self, name)
            if value is None and name == "learning_rate":
                continue
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0.0 <= value <= top:
                raise UsageError(f"{name}: expected a number from 0 to {top:g}, got {value!r}")
        for name in ("pricings", "eval_pricings", "betas"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        for name in ("options", "budget"):
            object.__setattr__(self, name, dict(getattr(self, name)))
        if unknown := sorted(self.budget.keys() - _BLOCKS):
            raise UsageError(f"budget: expected tokens of {', '.join(sorted(_BLOCKS))}, got {', '.join(unknown)}")
        make_objective(self.objective, self.aggregation)
        self._check_together()

    def _check_together(self) -> None:
        if bool(self.server) != (self.sampler == "server"):
            raise UsageError(
                f"server: expected an address with sampler='server' and with no other, got {self.server!r}"
            )
        if self.estimator == "gae" and self.credit != "turn":
            raise UsageError("estimator gae goes from turn to turn: expected credit='turn'")
        if self.estimator != "gae" and self.group_size < 2:
            raise UsageError(
                f"group_size: {self.estimator} compares within groups: expected at least 2, or estimator gae"
            )
        if self.estimator in ("gdpo", "rloo", "gae") and self.scale == "group":
            raise UsageError(f"scale group is for estimator grpo: expected batch or none with {self.estimator}")

    @property
    def rate(self) -> float:
        """The learning rate.

        Example:
            >>> LLMConfig().rate, LLMConfig(model="some/folder", lora_rank=8).rate
            (0.0005, 1e-05)
        """
        if self.learning_rate is not None:
            return self.learning_rate
        return 5e-4 if is_nano(self.model) else 1e-5 if self.lora_rank else 1e-6

    @property
    def episodes(self) -> int:
        """Games of an iteration."""
        return self.groups * self.group_size

    def as_dict(self) -> dict[str, Any]:
        """Return the settings as JSON holds them."""
        found = dataclasses.asdict(self)
        return {name: list(value) if isinstance(value, tuple) else value for name, value in found.items()}


_WHOLE = {
    "lora_rank": 0,
    "constant": 1,
    "warmup": 0,
    "epochs": 1,
    "minibatches": 1,
    "tokens": 1,
    "iterations": 1,
    "groups": 1,
    "group_size": 1,
    "games": 1,
    "batch_size": 1,
    "retries": 0,
    "seed": 0,
    "threads": 1,
    "eval_every": 0,
    "eval_episodes": 0,
    "samples_every": 0,
    "samples": 1,
    "checkpoint_every": 0,
}
_REAL = {
    "lora_alpha": 1e4,
    "gamma": 1.0,
    "lam": 1.0,
    "forget": 1.0,
    "violation": 100.0,
    "kl": 10.0,
    "entropy": 10.0,
    "learning_rate": 1.0,
    "weight_decay": 10.0,
    "max_gradient": 1e6,
    "eval_temperature": 10.0,
}
