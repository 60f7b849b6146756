"""Every setting of a strategic run, checked when it is made."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

from gtalign_env.agents.assistants.trained_history import INPUTS
from gtalign_env.errors import UsageError
from gtalign_env.training.objectives import make_objective
from gtalign_env.types import ASSISTANT, USER

__all__ = ["CRITICS", "LEARNERS", "OPPONENTS", "SAFETY", "SCHEDULES", "Config"]

LEARNERS: Mapping[str, tuple[str, ...]] = {"assistant": (ASSISTANT,), "user": (USER,), "both": (USER, ASSISTANT)}
OPPONENTS: tuple[str, ...] = ("population", "self", "pool")
CRITICS: tuple[str, ...] = ("informed", "blind")
SAFETY: tuple[str, ...] = ("mask", "penalty")
SCHEDULES: tuple[str, ...] = ("linear", "constant")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """What is learned, from whom, and how.

    Example:
        >>> config = Config(steps=100_000)
        >>> config.updates, config.chairs
        (25, ('assistant_0',))
    """

    scenario: str = "gtalign/Assist-v0"
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """The scenario's own options."""
    users: str = "default"
    """The population opposite a learning assistant."""
    pricings: tuple[str, ...] = ()
    """Prices of which every episode draws one; the scenario's own when empty."""
    learn: str = "assistant"
    """Who learns: ``assistant``, ``user`` or ``both``."""
    opponent: str = "population"
    """Opposite a learner: ``population`` (personas; the ``assistant`` below for a user); with ``learn="both"``, ``self`` (the
    other learner as it is) or ``pool`` (half of the games against past learners)."""
    assistant: str = "heuristic"
    """Who sits opposite a learning user."""
    objective: str = "cobb_douglas"
    """What the assistant maximises."""
    user_objective: str = "user_only"
    """What a learning user maximises."""
    aggregation: str = "ser"
    """``ser``: welfare of expected returns; ``esr``: expected welfare of returns."""
    safety: str = "mask"
    """``mask``: complying with harm is no move; ``penalty``: it ends the session at a cost outside welfare."""
    penalty: float = 5.0
    """Utils that compliance with harm costs the learner under ``safety="penalty"``."""
    input: str = "history"
    """``history``: counts of what was said; ``recurrent``: a network with memory; ``none``: the observation alone."""
    critic: str = "informed"
    """``informed``: the values, which only training needs, are told who the user is; ``blind``: they see what the policy sees."""
    seed: int = 0
    steps: int = 400_000
    """Steps of the game in all, rounded up to whole updates."""
    games: int = 512
    horizon: int = 8
    """Steps of every game between two updates."""
    epochs: int = 3
    minibatches: int = 4
    learning_rate: float = 1e-2
    """At the start."""
    entropy: float = 0.01
    """Bonus for entropy at the start."""
    schedule: str = "linear"
    """How both go on: ``linear``, down to 0 at the end; ``constant``: then a run can be made longer afterwards."""
    clip: float = 0.2
    gae: float = 0.8
    """λ of generalised advantage estimation; the discount is 1, as episodes are finite."""
    value_weight: float = 1.0
    max_gradient: float = 0.5
    width: int = 48
    forget: float = 0.7
    """How much of the running mean of returns stays after an update."""
    threads: int = 1
    evaluate_every: int = 25
    """Updates between evaluations; 0 for the last one only."""
    evaluate_episodes: int = 20_000
    checkpoint_every: int = 25
    """Updates between checkpoints; 0 for the last one only."""
    snapshot_every: int = 10
    """Updates between snapshots of past learners (``opponent="pool"``); the latest 8 are kept."""

    def __post_init__(self) -> None:
        """Refuse settings that make no sense."""
        for name, known in (
            ("learn", tuple(LEARNERS)),
            ("opponent", OPPONENTS),
            ("safety", SAFETY),
            ("input", INPUTS),
            ("critic", CRITICS),
            ("schedule", SCHEDULES),
        ):
            if getattr(self, name) not in known:
                raise UsageError(f"{name}: expected one of {', '.join(known)}, got {getattr(self, name)!r}")
        for name in ("steps", "games", "horizon", "epochs", "minibatches", "width", "threads", "evaluate_episodes"):
            _check_whole(name, getattr(self, name), 1)
        for name in ("seed", "evaluate_every", "checkpoint_every"):
            _check_whole(name, getattr(self, name), 0)
        _check_whole("snapshot_every", self.snapshot_every, 1)
        for name, top in (
            ("penalty", 1e6),
            ("learning_rate", 1.0),
            ("entropy", 10.0),
            ("clip", 1.0),
            ("gae", 1.0),
            ("value_weight", 1e3),
            ("max_gradient", 1e6),
            ("forget", 1.0),
        ):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0.0 <= value <= top:
                raise UsageError(f"{name}: expected a number from 0 to {top:g}, got {value!r}")
        if self.minibatches > self.games:
            raise UsageError(f"minibatches: expected at most one per game ({self.games}), got {self.minibatches}")
        if (self.opponent == "population") == (self.learn == "both"):
            wanted = "self or pool" if self.learn == "both" else "population"
            raise UsageError(f"opponent: with learn={self.learn!r} expected {wanted}, got {self.opponent!r}")
        make_objective(self.objective, self.aggregation)
        make_objective(self.user_objective, self.aggregation)
        object.__setattr__(self, "pricings", tuple(self.pricings))
        object.__setattr__(self, "options", dict(self.options))

    @property
    def chairs(self) -> tuple[str, ...]:
        """The agents that learn."""
        return LEARNERS[self.learn]

    @property
    def updates(self) -> int:
        """Number of updates."""
        return math.ceil(self.steps / (self.games * self.horizon))

    def as_dict(self) -> dict[str, Any]:
        """Return the settings as JSON holds them."""
        return {**dataclasses.asdict(self), "pricings": list(self.pricings)}


def _check_whole(name: str, value: Any, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise UsageError(f"{name}: expected a whole number >= {least}, got {value!r}")
