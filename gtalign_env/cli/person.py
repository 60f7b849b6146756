"""A person in either chair, as the rest of the program knows players."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from gtalign_env.env import GameEnv
from gtalign_env.types import UserType

if TYPE_CHECKING:
    from gtalign_env.cli.play import Table

__all__ = ["Person", "PersonAsUser"]


class Person:
    """The policy of a person at the table.

    Args:
        table: Where the person sits.
    """

    name = "person"

    def __init__(self, table: Table) -> None:
        self._table = table

    def reset(self, seed: int) -> None:
        """Begin; people bring their own randomness."""

    def act(self, observation: Mapping[str, Any], info: Mapping[str, Any]) -> Any:
        """Ask the person."""
        return self._table.ask_for_action(observation, info)


class PersonAsUser:
    """A person in the user's chair: θ is drawn as the scenario draws it, and told to the person.

    Args:
        env: The game.
        table: Where the person sits.
    """

    name = "person"
    description = "somebody at the keyboard"

    def __init__(self, env: GameEnv, table: Table) -> None:
        self._env = env
        self._table = table

    def sample_type(self, rng: np.random.Generator) -> UserType | None:
        """Draw θ from the scenario's own population, where it has one."""
        mix = getattr(self._env.scenario, "mix", None)
        drawn: UserType | None = None if mix is None else mix.draw(rng)
        return drawn

    def policy(self, user_type: UserType | None) -> Person:
        """Seat the person; the scenario knows its θ."""
        return _PersonWithCard(self._table)


class _PersonWithCard(Person):
    """A person who is shown its type when the game begins."""

    def reset(self, seed: int) -> None:
        """Show the card."""
        self._table.show_type()
