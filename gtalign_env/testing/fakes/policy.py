"""A player that does what it was told."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gtalign_env.errors import UsageError

__all__ = ["ScriptedPolicy"]


class ScriptedPolicy:
    """Implements ``gtalign_env.protocols.BatchPolicy`` from a list of actions or a function.

    Args:
        script: A list of actions, begun again with every episode and gone through again when it ends; or a function
            ``(observation, info) -> action``. An entry that is an exception is raised.
        name: What records call this player.

    Raises:
        UsageError: The list is empty, or ``script`` is something else.

    Example:
        >>> player = ScriptedPolicy([0, 6])
        >>> player.reset(seed=1)
        >>> [player.act({}, {}) for _ in range(3)]
        [0, 6, 0]
    """

    def __init__(
        self,
        script: Sequence[Any] | Callable[[Mapping[str, Any], Mapping[str, Any]], Any],
        *,
        name: str = "scripted",
    ) -> None:
        if not callable(script) and (isinstance(script, str) or not isinstance(script, Sequence) or not script):
            raise UsageError(f"ScriptedPolicy: expected a non-empty list of actions or a function, got {script!r}")
        self.name = name
        self.script = script
        self.seeds: list[int] = []
        """The seed of every ``reset``."""
        self.seen: list[tuple[Any, Any]] = []
        """Every (observation, info) that it was asked about since the last ``reset``."""

    def reset(self, seed: int) -> None:
        """Begin the script again."""
        self.seeds.append(seed)
        self.seen.clear()

    def act(self, observation: Mapping[str, Any], info: Mapping[str, Any]) -> Any:
        """Return the next action."""
        return self.act_batch([observation], [info])[0]

    def act_batch(self, observations: Sequence[Mapping[str, Any]], infos: Sequence[Mapping[str, Any]]) -> list[Any]:
        """Return the actions of one step of many games: all games are at the same line of the script."""
        turn = len(self.seen)
        self.seen.append((observations[0], infos[0]) if len(observations) == 1 else (list(observations), list(infos)))
        pairs = zip(observations, infos, strict=True)
        actions = [self._next(observation, info, turn) for observation, info in pairs]
        for action in actions:
            if isinstance(action, Exception):
                raise action
        return actions

    def _next(self, observation: Mapping[str, Any], info: Mapping[str, Any], turn: int) -> Any:
        if callable(self.script):
            return self.script(observation, info)
        return copy.deepcopy(self.script[turn % len(self.script)])
