"""The moves that a chain speaks of: the rows and columns of the matrix that a model states, each with a line of words."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable, Mapping

from gtalign_env.errors import UsageError
from gtalign_env.types import ASSISTANT_MOVES

__all__ = ["ACTS", "FORMS", "ChainMoves", "described", "make_moves", "with_names"]

ACTS: Mapping[str, str] = {
    "DA": "you answer, and ask nothing",
    "AQ": "you answer, and then ask one question that leads on",
    "CQ": "you ask one question about what is meant, and do not answer yet",
    "DECLINE": "you refuse because helping would do harm, and offer something safe instead",
}
"""What each of the assistant's acts is."""
FORMS: Mapping[str, str] = {
    "VQ": "the user's next message is short and vague: little effort, and several things may be meant",
    "DQ": "the user's next message is detailed: more effort, and it is clear what is meant",
    "LEAVE": "the user ends the conversation after your reply",
}
"""What each of the user's ways to go on is."""
_LENGTHS = {"short": "in a sentence or two", "medium": "in a paragraph", "long": "at length, with the reasons"}
_FORBIDDEN = frozenset('<>"\\\n\r')


@dataclasses.dataclass(frozen=True)
class ChainMoves:
    """Names and descriptions of both sides' moves, in the order of rows and columns.

    Args:
        user: The user's moves: name to a line of words (may be empty).
        assistant: The assistant's.

    Raises:
        UsageError: A side has no move, a name cannot stand in a tag or in JSON, or two cells have the same key.

    Example:
        >>> ChainMoves({"VQ": "", "DQ": ""}, {"DA": "", "CQ": ""}).keys
        ('VQ|DA', 'VQ|CQ', 'DQ|DA', 'DQ|CQ')
    """

    user: Mapping[str, str]
    assistant: Mapping[str, str]

    def __post_init__(self) -> None:
        """Refuse names that a payoff block could not be read back with."""
        for side, moves in (("user", self.user), ("assistant", self.assistant)):
            if not moves:
                raise UsageError(f"chain moves: expected at least one move of the {side}")
            for name in moves:
                if not isinstance(name, str) or name != name.strip() or not name or _FORBIDDEN & set(name):
                    raise UsageError(
                        f"chain moves: expected a name without quotes, brackets, line breaks or outer spaces, got {name!r}"
                    )
        if len(set(self.keys)) < len(self.keys):
            raise UsageError("chain moves: two cells would have the same key, because a name holds '|'")

    def __hash__(self) -> int:
        """Hash the cells, so that what follows from the moves can be remembered."""
        return hash(self.keys)

    @property
    def rows(self) -> tuple[str, ...]:
        """Names of the user's moves."""
        return tuple(self.user)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the assistant's moves."""
        return tuple(self.assistant)

    @functools.cached_property
    def keys(self) -> tuple[str, ...]:
        """Keys of the cells in a payoff block, row by row: ``USER|ASSISTANT``."""
        return tuple(f"{row}|{column}" for row in self.user for column in self.assistant)


_SETS = {
    "full": (("VQ", "DQ", "LEAVE"), tuple(move.name for move in ASSISTANT_MOVES)),
    "acts": (("VQ", "DQ", "LEAVE"), tuple(ACTS)),
    "paper": (("VQ", "DQ"), ("DA", "AQ", "CQ")),
}


def make_moves(spec: str | ChainMoves = "full") -> ChainMoves:
    """Return the moves that a string names.

    Args:
        spec: ``"full"`` (VQ, DQ, LEAVE against the assistant's eight moves), ``"acts"`` (against its four acts, of any
            length), ``"paper"`` (the six published cells), or both lists as ``"VQ,DQ/DA_short,CQ"``.

    Raises:
        UsageError: It names neither, or a move twice.

    Example:
        >>> len(make_moves("full").keys), make_moves("VQ,DQ/DA_short,CQ").columns
        (24, ('DA_short', 'CQ'))
        >>> make_moves("paper").assistant["CQ"]
        'you ask one question about what is meant, and do not answer yet'
    """
    if isinstance(spec, ChainMoves):
        return spec
    if spec in _SETS:
        rows, columns = _SETS[spec]
    else:
        left, slash, right = str(spec).partition("/")
        rows, columns = _split(left), _split(right)
        if not slash or not rows or not columns:
            raise UsageError(
                f"chain moves: expected {', '.join(_SETS)} or the user's and the assistant's moves as VQ,DQ/DA,CQ, got {spec!r}"
            )
        for side in (rows, columns):
            if twice := [name for name in dict.fromkeys(side) if side.count(name) > 1]:
                raise UsageError(
                    f"chain moves: expected each move of a side once, got {', '.join(twice)} twice in {spec!r}"
                )
    return described(rows, columns)


def _split(names: str) -> tuple[str, ...]:
    return tuple(filter(None, (name.strip() for name in names.split(","))))


def _description(name: str) -> str:
    act, _, length = name.partition("_")
    return ", ".join(filter(None, (ACTS.get(act, ""), _LENGTHS.get(length, "")))) if act in ACTS else ""


def described(rows: Iterable[str], columns: Iterable[str]) -> ChainMoves:
    """Return moves of a chat, in the words that we have for them.

    Example:
        >>> described(["LEAVE"], ["CQ"]).user["LEAVE"]
        'the user ends the conversation after your reply'
    """
    return ChainMoves({row: FORMS.get(row, "") for row in rows}, {column: _description(column) for column in columns})


def with_names(rows: Iterable[str], columns: Iterable[str]) -> ChainMoves:
    """Return moves of a game that describes its moves elsewhere.

    Example:
        >>> with_names(["C", "D"], ["C", "D"]).keys
        ('C|C', 'C|D', 'D|C', 'D|D')
    """
    return ChainMoves(dict.fromkeys(rows, ""), dict.fromkeys(columns, ""))
