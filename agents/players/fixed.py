"""The player that always makes the same move, in either chair."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from gtalign_env.errors import UsageError
from gtalign_env.finite import FiniteScenario
from gtalign_env.protocols import Info, Observation, Scenario
from gtalign_env.types import Role

__all__ = ["FixedPlayer", "find_move", "or_nearest"]

_SILENT = "SILENT"


def find_move(scenario: Scenario, role: Role, move: str) -> int:
    """Return the index of a move that is given by its name, in any case of letters, or by its index.

    Raises:
        UsageError: The game has no such move in this chair.

    Example:
        >>> from gtalign_env.registration import make_scenario
        >>> find_move(make_scenario("prisoners_dilemma"), "user", "Defect")
        1
    """
    names = scenario.moves(role)
    if move.isdecimal():
        return int(move)
    found = [index for index, name in enumerate(names) if name.lower() == move.lower()]
    if not found:
        raise UsageError(
            f"fixed:{move} cannot play {scenario.name!r}: expected a move of the {role} or an index, as in "
            f"{', '.join(f'fixed:{name}' for name in names[:8])}{', …' if len(names) > 8 else ''}"
        )
    return found[0]


def or_nearest(move: int, legal: Any, names: tuple[str, ...]) -> int:
    """Return a move where it is legal; else silence where there is talk, else the first legal move.

    Example:
        >>> or_nearest(1, [2, 3], ("stag", "hare", "SAY_stag", "SILENT"))
        3
    """
    if move in legal or not len(legal):
        return move
    silence = names.index(_SILENT) if _SILENT in names else -1
    return silence if silence in legal else int(legal[0])


@dataclasses.dataclass(kw_only=True, eq=False)
class FixedPlayer:
    """Makes one move for ever; in text without words, so that the environment voices it.

    Where the move is illegal it says nothing, and where that is no move it makes the first legal one.

    Example:
        >>> FixedPlayer(move="defect").name
        'fixed:defect'
    """

    kind: ClassVar[str] = "fixed"
    move: str = "0"
    """A move's name, or its index from 0."""
    name: str = dataclasses.field(init=False, default="")
    """What records call it."""

    def __post_init__(self) -> None:
        """Be ready to sit down."""
        self.name = self.kind if self.move == type(self).move else f"{self.kind}:{self.move}"
        self._names: tuple[str, ...] = ()
        self._index = int(self.move) if self.move.isdecimal() else -1

    def sit(self, scenario: Scenario, role: Role) -> None:
        """Take a chair.

        Raises:
            UsageError: The game has no such move.
        """
        self._index, self._names = find_move(scenario, role, self.move), tuple(scenario.moves(role))

    def chances(self, scenario: FiniteScenario, role: Role) -> NDArray[np.float64]:
        """Return the chance of each move in each public state of a compiled game, (S, moves).

        Raises:
            UsageError: The game has no such move.

        Example:
            >>> from gtalign_env.registration import make_scenario
            >>> FixedPlayer(move="defect").chances(make_scenario("prisoners_dilemma"), "user")[0].tolist()
            [0.0, 1.0]
        """
        names, move = scenario.moves(role), find_move(scenario, role, self.move)
        mask = scenario.tables.user_mask if role == "user" else scenario.tables.assistant_mask
        made = [or_nearest(move, np.flatnonzero(legal), names) for legal in mask]
        chances: NDArray[np.float64] = np.eye(len(names))[made]
        return chances

    def reset(self, seed: int) -> None:
        """Begin a new episode; nothing is left to chance."""

    def act(self, observation: Observation, info: Info) -> Any:
        """Return the move.

        Raises:
            UsageError: The move was named, and nobody told this player which game it plays.
        """
        if self._index < 0:
            raise UsageError(
                f"player {self.name!r} has not sat down: call sit(scenario, role) first, as gtalign_env.play does"
            )
        made = or_nearest(self._index, np.flatnonzero(observation["action_mask"]), self._names)
        return {"move": made, "text": ""} if "text" in observation else made
