"""What a recorded episode tells, worked out once: names, running totals, progress, marks for every step."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from itertools import accumulate
from typing import Any

from gtalign_env.episode import Episode, StepRecord
from gtalign_env.registration import SCENARIOS
from gtalign_env.render import one_line, reply_words, type_words
from gtalign_env.replay.bars import drawable
from gtalign_env.replay.stage import rebuilt_scenario
from gtalign_env.types import ASSISTANT, USER

__all__ = ["Story", "mutual_welfare", "tell"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Story:
    """An episode and what its frames need to know of it."""

    episode: Episode
    index: int
    """0-based place in the file."""
    count: int
    """Episodes in the file."""
    scenario: str
    """Id, where the scenario is registered."""
    pricing: str
    user: str
    assistant: str
    questions: int
    """Questions (or rounds) of the session; 0 where unknown."""
    exchanges: int
    """Exchanges that a question may take; 0 where unknown."""
    totals: tuple[tuple[float, float], ...]
    """Running totals (user, assistant) after every step, utils."""
    marks: tuple[str, ...]
    """One sign per step: ``✓ ✗ ? !``, or ``·`` where there is nothing to say."""
    trust: bool = False
    """Whether a ``"module:attr"`` that the record names may be imported."""
    theta: str = ""
    """The recorded θ in the words of its game; empty where its fields say it all."""
    scale: float
    """The largest item of the episode, utils: what fills half a bar."""

    @property
    def steps(self) -> int:
        """Number of recorded steps."""
        return len(self.episode.steps)

    @property
    def frames(self) -> int:
        """Number of frames: one per step, and one where an episode broke before its first step."""
        return max(self.steps, 1)


def tell(episode: Episode, *, index: int = 0, count: int = 1, trust: bool = False) -> Story:
    """Work out a story.

    Args:
        episode: The record.
        index: Its 0-based place in the file.
        count: Episodes in the file.
        trust: Also import a scenario that the record names as ``"module:attr"``.

    Example:
        >>> tell(Episode(scenario="matrix", view="strategic", seed=0)).scenario
        'gtalign/Matrix-v0'
    """
    scenario = rebuilt_scenario(episode, trust=trust) if episode.view == "strategic" else None
    questions, exchanges = _sizes(episode, scenario)
    sides = [(step.user, step.assistant) for step in episode.steps]
    items = [abs(drawable(value)) for pair in sides for side in pair for value in side.items.values()]
    return Story(
        episode=episode,
        index=index,
        count=count,
        scenario=_full_id(episode.scenario),
        pricing=_pricing(episode, scenario),
        user=one_line(episode.players.get(USER, "user")).removeprefix("persona:"),
        assistant=one_line(episode.players.get(ASSISTANT, "assistant")),
        questions=questions,
        exchanges=exchanges,
        totals=tuple(
            zip(
                accumulate(user.payoff for user, _ in sides),
                accumulate(assistant.payoff for _, assistant in sides),
                strict=True,
            )
        ),
        marks=tuple(_mark(step) for step in episode.steps),
        trust=trust,
        theta=type_words(scenario, episode.hidden.get("user_type")),
        scale=max(items, default=1.0) or 1.0,
    )


def mutual_welfare(user: float, assistant: float) -> float | None:
    """Return √(U·L) where both gain, else ``None``: below the disagreement point (0, 0) it means nothing.

    Example:
        >>> mutual_welfare(2.0, 0.5), mutual_welfare(-2.0, -0.5)
        (1.0, None)
    """
    return math.sqrt(user * assistant) if user > 0 and assistant > 0 else None


def _full_id(name: str) -> str:
    for spec in SCENARIOS.values():
        if name == spec.short:
            return spec.id
    return one_line(name)


def _pricing(episode: Episode, scenario: Any) -> str:
    for options in (episode.reset_options, episode.env_options):
        if isinstance(options.get("pricing"), str):
            return one_line(options["pricing"])
    if not getattr(scenario, "has_types", True) or getattr(scenario, "game", None) is not None:
        return ""  # a game of given payoffs: nothing is bought
    if scenario is not None:
        return one_line(getattr(scenario.pricing, "name", ""))
    return "subscription" if episode.view == "text" else ""


def _sizes(episode: Episode, scenario: Any) -> tuple[int, int]:
    axes: Mapping[str, Any] = getattr(getattr(scenario, "tables", None), "axes", {})
    if axes:
        return len(axes.get("question", axes.get("round", ()))), len(axes.get("exchange", ()))
    exchanges = episode.env_options.get("max_exchanges", 0)
    return len(episode.tasks), exchanges if isinstance(exchanges, int) else 0


def _mark(step: StepRecord) -> str:
    if step.events.get("violation"):
        return "!"
    return reply_words(step.outcome)[0] or "·"
