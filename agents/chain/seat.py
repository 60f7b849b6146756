"""The two kinds of game that a chain can play: a chat, and a matrix game of which it is told the rules."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Protocol

from gtalign_env.agents.chain.moves import ChainMoves, with_names
from gtalign_env.agents.chain.prompt import price_words
from gtalign_env.errors import ModelError, UsageError
from gtalign_env.games.bimatrix import Bimatrix
from gtalign_env.gauges import matching_move
from gtalign_env.protocols import Info, Observation, Scenario
from gtalign_env.sight import see
from gtalign_env.spaces import ASSIST_LAYOUT
from gtalign_env.types import ASSISTANT_MOVES, Role

__all__ = ["MatrixSeat", "Seat", "TextSeat", "take_seat"]

_MOVES = tuple(move.name for move in ASSISTANT_MOVES)


class Seat(Protocol):
    """What a chain has to know about the game, and how it acts in it."""

    moves: ChainMoves
    """Rows and columns of the matrix."""
    rules: str
    """The rules in words; empty in a chat."""
    speaks: bool
    """Whether a reply is written, or the announced move is all."""
    raw: bool
    """Whether the game wants the whole message, all blocks, and has the user read the response."""
    waiting: Any
    """The action when it is not the assistant's turn."""

    @property
    def reads(self) -> bool:
        """Whether the move that a reply amounts to is known before it is sent."""
        ...

    def messages(self, observation: Observation, info: Info) -> list[dict[str, str]]:
        """Return what was said, or the state of the game in words."""
        ...

    def pricing(self, observation: Observation) -> str:
        """Return what the user pays, as a sentence; empty where that is unknown."""
        ...

    def read(self, reply: str) -> str:
        """Return the move that a reply amounts to; empty where nobody can tell."""
        ...

    def action(self, announced: str, reply: str, made: str) -> Any:
        """Return the action of a chain that announced a move."""
        ...

    def plain_action(self, reply: str) -> Any:
        """Return the action of a reply without a chain.

        Raises:
            ModelError: It names no move, in a game that needs one.
        """
        ...


class TextSeat:
    """The assistant's chair in a chat.

    Args:
        moves: Rows and columns of the matrix.
        names: The environment's own moves by index.
        reader: From a reply to the name of the move that it makes; ``None`` where nobody can tell before it is sent.
        raw: Whether the game wants the whole message (a scenario's ``reads_raw``).

    Example:
        >>> from gtalign_env.agents.chain.moves import make_moves
        >>> TextSeat(make_moves("paper")).action("DA", "Paris.", "DA_short")
        {'move': 0, 'text': 'Paris.'}
    """

    rules = ""
    speaks = True
    waiting = ""

    def __init__(
        self,
        moves: ChainMoves,
        names: tuple[str, ...] = _MOVES,
        reader: Callable[[str], str] | None = None,
        *,
        raw: bool = False,
    ) -> None:
        self.moves = moves
        self.raw = raw
        self._names = names
        self._reader = reader

    @property
    def reads(self) -> bool:
        """Whether somebody can tell moves from words."""
        return self._reader is not None

    def messages(self, observation: Observation, info: Info) -> list[dict[str, str]]:
        """Return the conversation.

        Raises:
            UsageError: This is no text view.
        """
        if "messages" not in info:
            raise UsageError(
                "a chain plays the text view (e.g. gtalign/AssistText-v0), and matrix games in which it was seated by "
                f"sit(scenario, role): expected 'messages' in the info, got {', '.join(info) or 'an empty one'}"
            )
        return [{"role": line["role"], "content": line["content"]} for line in info["messages"]]

    def pricing(self, observation: Observation) -> str:
        """Return what the user pays, as the observation shows it."""
        vector = observation.get("observation")
        if vector is None or len(vector) != ASSIST_LAYOUT.size:
            return ""
        sight = see(observation)
        return price_words(sight.price_per_1000_tokens, sight.price_per_request, sight.session_price)

    def read(self, reply: str) -> str:
        """Return the move that a reply amounts to."""
        return "" if self._reader is None else self._reader(reply)

    def action(self, announced: str, reply: str, made: str) -> dict[str, Any] | str:
        """Return move and words. A move without a length is announced at the length that was made; medium where that is unknown.

        A move that the environment does not have is not announced: then the words stand alone.
        """
        if announced in self._names:
            name = announced
        else:
            fits = [name for name in self._names if matching_move((announced,), name) is not None]
            usual = [name for name in fits if name.endswith("_medium")] or fits
            if not usual:
                return reply
            name = made if made in fits else usual[0]
        return {"move": self._names.index(name), "text": reply}

    def plain_action(self, reply: str) -> str:
        """Return the words."""
        return reply


class MatrixSeat:
    """The assistant's chair in a matrix game: the rules are told, the announced move is the action.

    Args:
        scenario: A finite scenario with a ``game`` of which all moves are moves of the environment.

    Raises:
        UsageError: It is another kind of game.

    Example:
        >>> from gtalign_env.registration import make_scenario
        >>> seat = MatrixSeat(make_scenario("matrix"))
        >>> seat.moves.columns, seat.action("CQ", "", "")
        (('DA', 'AQ', 'CQ'), 2)
    """

    speaks = False
    raw = False
    waiting = 0
    reads = True

    def __init__(self, scenario: Any) -> None:
        game = getattr(scenario, "game", None)
        if not isinstance(game, Bimatrix) or not set(game.assistant_moves) == set(scenario.moves("assistant")):
            raise UsageError(
                f"a chain plays the text view and matrix games without talk; scenario {scenario.name!r} is neither"
            )
        self.moves = with_names(game.user_moves, game.assistant_moves)
        self.rules = str(scenario.briefing("assistant"))
        self._names = tuple(scenario.moves("assistant"))
        self._scenario = scenario

    def messages(self, observation: Observation, info: Info) -> list[dict[str, str]]:
        """Return where the game stands, as the user's message."""
        vector = observation["observation"]
        where = self._scenario.tables.coordinates(self._scenario.locate(vector))
        last = self._scenario.last_moves(vector)
        names = (self._scenario.moves("user"), self._names)
        words = [f"{axis}: {value}" for axis, value in where.items()]
        words += [
            f"{who} made {moves[place]} last time"
            for who, moves, place in zip(("the user", "you"), names, last, strict=True)
            if place is not None
        ]
        return [{"role": "user", "content": f"It is your move. {'; '.join(words)}".strip()}]

    def pricing(self, observation: Observation) -> str:
        """Return nothing: the payoffs are in the rules."""
        return ""

    def read(self, reply: str) -> str:
        """Return the move that a reply names last; empty for none."""
        names = "|".join(re.escape(name) for name in sorted(self._names, key=len, reverse=True))
        found = re.findall(rf"(?<!\w)(?:{names})(?!\w)", reply)
        return found[-1] if found else ""

    def action(self, announced: str, reply: str, made: str) -> int:
        """Return the announced move."""
        return self._names.index(announced)

    def plain_action(self, reply: str) -> int:
        """Return the move that a reply names."""
        made = self.read(reply)
        if not made:
            raise ModelError(f"the reply names no move: expected one of {', '.join(self._names)}, got {reply[:80]!r}")
        return self._names.index(made)


def take_seat(scenario: Scenario, role: Role, moves: ChainMoves) -> Seat:
    """Return the chair at a game.

    Args:
        scenario: The game. In a chat it may have ``read_move(reply)``: the name of the move that a reply amounts to.
        role: Whose chair.
        moves: Rows and columns, for a chat.

    Raises:
        UsageError: It is the user's chair, or a game that no chain can play.

    Example:
        >>> from gtalign_env.agents.chain.moves import make_moves
        >>> from gtalign_env.registration import make_scenario
        >>> take_seat(make_scenario("assist_text"), "assistant", make_moves()).reads
        True
    """
    if role != "assistant":
        raise UsageError(f"a chain plays the assistant, got {role!r}")
    if scenario.view != "text":
        return MatrixSeat(scenario)
    reader: Callable[[str], str] | None = getattr(scenario, "read_move", None)
    raw = bool(getattr(scenario, "reads_raw", False))
    return TextSeat(moves, tuple(scenario.moves("assistant")), reader, raw=raw)
