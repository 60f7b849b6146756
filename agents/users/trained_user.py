"""The user that ``gtalign train strategic`` has trained, as a persona."""

from __future__ import annotations

import copy
from typing import Any

from gtalign_env.protocols import Policy
from gtalign_env.types import UserType

__all__ = ["PREFIX", "TrainedPersona", "is_trained"]

PREFIX = "trained:"


def is_trained(spec: str) -> bool:
    """Return whether a string names the policy of a training run.

    Example:
        >>> is_trained("trained:runs/both"), is_trained("concise")
        (True, False)
    """
    return spec.startswith(PREFIX)


class TrainedPersona:
    """The user of a run (``--learn user`` or ``both``): it plays what it has learned for whatever θ the scenario draws.

    Args:
        spec: ``trained:`` and the run's folder.

    Raises:
        FileFormatError: There is no policy, or the file is none.
        MissingExtraError: PyTorch is not installed.

    Example:
        >>> TrainedPersona("trained:no/such/run")
        Traceback (most recent call last):
        gtalign_env.errors.FileFormatError: no/such/run/policy.pt: is missing: expected the folder of a run of 'gtalign train …'
    """

    description = "A user that was trained, in the strategic view."

    def __init__(self, spec: str) -> None:
        from gtalign_env.agents.assistants.trained import TrainedPlayer

        self._player = TrainedPlayer(spec.removeprefix(PREFIX))
        self.name = self._player.name

    def sample_type(self, rng: Any) -> None:
        """Leave θ to the scenario."""

    def policy(self, user_type: UserType | None) -> Policy:
        """Return a fresh player; all share the network's weights."""
        player = copy.copy(self._player)
        player.reset(0)
        return player
