"""A game of turns with perfect information: a tree of decisions."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TypeAlias

from gtalign_env.types import Role

__all__ = ["Decision", "GameTree", "Leaf", "Node"]


@dataclasses.dataclass(frozen=True)
class Leaf:
    """An end of the game.

    Example:
        >>> Leaf(2, 1).user
        2
    """

    user: float
    """The user's payoff, utils."""
    assistant: float
    """The assistant's payoff, utils."""


@dataclasses.dataclass(frozen=True, eq=False)
class Decision:
    """A point at which one player chooses.

    Example:
        >>> list(Decision("user", {"stop": Leaf(0, 0), "go": Leaf(1, 1)}).moves)
        ['stop', 'go']
    """

    player: Role
    """Who chooses."""
    moves: Mapping[str, Node]
    """What may be chosen, and where it leads."""


Node: TypeAlias = "Leaf | Decision"


@dataclasses.dataclass(frozen=True, eq=False)
class GameTree:
    """A two-player game of perfect information.

    Args:
        root: Where the game begins.
    """

    root: Node
