"""The two kinds of chair that a chain can take: in a chat, and at a game of moves (``game_seat``), told by its rules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from gtalign_env.agents.chain.game_seat import GameSeat
from gtalign_env.agents.chain.moves import ChainMoves
from gtalign_env.agents.chain.prompt import price_words
from gtalign_env.errors import UsageError
from gtalign_env.gauges import matching_move
from gtalign_env.protocols import Info, Observation, Scenario
from gtalign_env.sight import see
from gtalign_env.spaces import ASSIST_LAYOUT
from gtalign_env.types import ASSISTANT_MOVES, Role

__all__ = ["Seat", "TextSeat", "take_seat"]

_MOVES = tuple(move.name for move in ASSISTANT_MOVES)


class Seat(Protocol):
    """What a chain has to know about the game, and how it acts in it."""

    rules: str
    """The rules in words; empty in a chat."""
    speaks: bool
    """Whether a reply is written, or the announced move is all."""
    raw: bool
    """Whether the game wants the whole message, all blocks, and has the user read the response."""

    @property
    def waiting(self) -> Any:
        """The action when it is not the assistant's turn."""
        ...

    @property
    def reads(self) -> bool:
        """Whether the move that a reply amounts to is known before it is sent."""
        ...

    def cells(self, observation: Observation, info: Info) -> ChainMoves:
        """Return rows and columns of the matrix of this turn."""
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

    def count_tokens(self, reply: str) -> int | None:
        """Return a reply's tokens as the game counts and prices them; ``None`` where it does not say."""
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
        counter: From a reply to its tokens as the game counts them; ``None`` where it does not say.
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
        counter: Callable[[str], int] | None = None,
        *,
        raw: bool = False,
    ) -> None:
        self._moves = moves
        self.raw = raw
        self._names = names
        self._reader = reader
        self._counter = counter

    @property
    def reads(self) -> bool:
        """Whether somebody can tell moves from words."""
        return self._reader is not None

    def cells(self, observation: Observation, info: Info) -> ChainMoves:
        """Return the moves that were asked for."""
        return self._moves

    def messages(self, observation: Observation, info: Info) -> list[dict[str, str]]:
        """Return the conversation.

        Raises:
            UsageError: This is no text view.
        """
        if "messages" not in info:
            raise UsageError(
                "a chain plays the text view (e.g. gtalign/AssistText-v0), and games of moves in which it was seated by "
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

    def count_tokens(self, reply: str) -> int | None:
        """Return a reply's tokens as the game counts them."""
        return None if self._counter is None else self._counter(reply)

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


def take_seat(scenario: Scenario, role: Role, moves: ChainMoves) -> Seat:
    """Return the chair at a game.

    Args:
        scenario: The game. In a chat it may have ``read_move(reply)``, the name of the move that a reply amounts to, and
            ``count_tokens(reply)``, what it takes the reply's tokens for.
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
        return GameSeat(scenario)
    reader: Callable[[str], str] | None = getattr(scenario, "read_move", None)
    raw = bool(getattr(scenario, "reads_raw", False))
    counter: Callable[[str], int] | None = getattr(scenario, "count_tokens", None)
    return TextSeat(moves, tuple(scenario.moves("assistant")), reader, counter, raw=raw)
