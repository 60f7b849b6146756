"""The assistant that moves at random: the floor."""

from __future__ import annotations

from typing import Any

from gtalign_env.agents.assistants.rules import RuleAssistant, Seen

__all__ = ["RandomAssistant"]


class RandomAssistant(RuleAssistant):
    """Uniform over the legal moves; reads nothing but the action mask, so it plays every scenario.

    Example:
        >>> import gtalign_env
        >>> observations, infos = gtalign_env.parallel_env("matrix").reset(seed=0)
        >>> RandomAssistant().act(observations["assistant_0"], infos["assistant_0"]) in (0, 1, 2)
        True
    """

    def __init__(self, **options: Any) -> None:
        super().__init__("random", **options)

    def decide(self, seen: Seen) -> int:
        """Return a legal move."""
        legal = seen.legal
        return int(legal[int(self.rng.integers(len(legal)))])
