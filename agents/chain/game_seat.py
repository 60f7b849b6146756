"""The chair at a game of moves: the rules are told, the cells are those of this state, the announced move is the action."""

from __future__ import annotations

import functools
import re
from typing import Any

from gtalign_env.agents.chain.moves import ChainMoves, described, with_names
from gtalign_env.agents.chain.prompt import STAKES, price_words
from gtalign_env.errors import ModelError, UsageError
from gtalign_env.games.bimatrix import Bimatrix
from gtalign_env.games.division import ITEMS, share_words
from gtalign_env.protocols import Info, Observation
from gtalign_env.sight import see
from gtalign_env.spaces import ASSIST_LAYOUT
from gtalign_env.types import ASSISTANT, ASSISTANT_MOVES

__all__ = ["MOST_CELLS", "GameSeat"]

MOST_CELLS = 64
"""Cells of the largest matrix that a model is asked to state."""
_WAIT = "WAIT"


class GameSeat:
    """The assistant's chair in a strategic game. Moves that may be made differ from state to state, and so does the matrix.

    Its rows are the user's acts that are open to it where both move at once, and one, ``WAIT``, where the assistant moves
    alone; its columns are the assistant's legal moves.

    Args:
        scenario: A strategic scenario that tells its states: a compiled game, or one with ``sight`` as negotiations have it.

    Raises:
        UsageError: It tells no states, or has turns of more than ``MOST_CELLS`` cells.

    Example:
        >>> from gtalign_env import parallel_env
        >>> env = parallel_env("gtalign/Rubinstein-v0", first_speaker="assistant")
        >>> observations, infos = env.reset(seed=0)
        >>> cells = GameSeat(env.scenario).cells(observations["assistant_0"], infos["assistant_0"])
        >>> cells.keys[:2], len(cells.keys)
        (('WAIT|KEEP_0', 'WAIT|KEEP_1'), 13)
    """

    speaks = False
    raw = False
    reads = True

    def __init__(self, scenario: Any) -> None:
        self._scenario = scenario
        self._names = tuple(scenario.moves("assistant"))
        self._compiled = hasattr(scenario, "tables") and hasattr(scenario, "locate")
        if not self._compiled and not hasattr(scenario, "sight"):
            raise UsageError(
                f"a chain plays chats and games that tell their states: scenario {scenario.name!r} has neither tables nor sight"
            )
        most = max(map(self._size, range(len(scenario.tables.features)))) if self._compiled else 0
        if most > MOST_CELLS:
            raise UsageError(_too_many(scenario.name, most))
        self._chatty = self._names == tuple(move.name for move in ASSISTANT_MOVES) and (
            getattr(scenario, "layout", None) == ASSIST_LAYOUT
        )
        rules = str(scenario.briefing("assistant"))
        self.rules = f"{rules}\n{STAKES}" if self._chatty else rules

    @property
    def waiting(self) -> int:
        """The action when it is not the assistant's turn."""
        return self._names.index(_WAIT) if _WAIT in self._names else 0

    def cells(self, observation: Observation, info: Info) -> ChainMoves:
        """Return rows and columns of the matrix of this state.

        Raises:
            UsageError: They are more than a model can be asked for.
        """
        legal = observation["action_mask"][: len(self._names)]
        columns = tuple(name for name, may in zip(self._names, legal, strict=True) if may)
        rows = self._rows(self._scenario.locate(observation["observation"])) if self._compiled else (_WAIT,)
        if len(rows) * len(columns) > MOST_CELLS:
            raise UsageError(_too_many(self._scenario.name, len(rows) * len(columns)))
        return _moves(rows, columns, in_words=self._chatty)

    def messages(self, observation: Observation, info: Info) -> list[dict[str, str]]:
        """Return where the game stands, as the user's message."""
        vector = observation["observation"]
        words = self._state(vector) if self._compiled else _deal_words(self._scenario.sight(vector))
        return [{"role": "user", "content": f"It is your move. {'; '.join(words)}".strip()}]

    def pricing(self, observation: Observation) -> str:
        """Return what the user pays; nothing where the payoffs are in the rules."""
        if not self._chatty:
            return ""
        sight = see(observation)
        return price_words(sight.price_per_1000_tokens, sight.price_per_request, sight.session_price)

    def read(self, reply: str) -> str:
        """Return the move that a reply names last; empty for none."""
        found = self._pattern.findall(reply)
        return str(found[-1]) if found else ""

    def count_tokens(self, reply: str) -> int | None:
        """Return nothing: nobody pays for words here."""
        return None

    def action(self, announced: str, reply: str, made: str) -> int:
        """Return the move that the reply names, and where there is none, the announced one."""
        return self._names.index(made or announced)

    def plain_action(self, reply: str) -> int:
        """Return the move that a reply names."""
        made = self.read(reply)
        if not made:
            raise ModelError(f"the reply names no move: expected one of {', '.join(self._names)}, got {reply[:80]!r}")
        return self._names.index(made)

    # -- inside ---------------------------------------------------------------------------------------------------

    @functools.cached_property
    def _pattern(self) -> re.Pattern[str]:
        names = "|".join(re.escape(name) for name in sorted(self._names, key=len, reverse=True))
        return re.compile(rf"(?<!\w)(?:{names})(?!\w)")

    def _mover(self, state: int) -> str:
        return self._scenario.to_move[state] if self._scenario.to_move else ""

    def _size(self, state: int) -> int:
        """Return the cells of a state in which the assistant is asked; 0 where it waits, and at the end."""
        if self._mover(state) not in ("", ASSISTANT) or state == self._scenario.tables.terminal:
            return 0
        return len(self._rows(state)) * int(self._scenario.tables.assistant_mask[state].sum())

    def _rows(self, state: int) -> tuple[str, ...]:
        """Return the user's acts that are open to it in a state; ``WAIT`` where it is not to move."""
        if self._mover(state) == ASSISTANT:
            return (_WAIT,)
        tables = self._scenario.tables
        open_ = set(tables.user_act[: len(tables.user_moves)][tables.user_mask[state] == 1].tolist())
        return tuple(name for name, act in self._scenario.user_acts.items() if act in open_ and name != _WAIT)

    def _state(self, vector: Any) -> list[str]:
        """Return a state of a compiled game, and both sides' last moves, in words."""
        state = self._scenario.locate(vector)
        tell = self._scenario.state_words
        if tell is None or isinstance(self._scenario.game, Bimatrix):
            words = [f"{axis}: {value}" for axis, value in self._scenario.tables.coordinates(state).items()]
        else:
            words = [str(tell(state))]
        names = (self._scenario.moves("user"), self._names)
        last = self._scenario.last_moves(vector)
        return words + [
            f"{who} made {moves[place]} last time"
            for who, moves, place in zip(("the user", "you"), names, last, strict=True)
            if place is not None and moves[place] != _WAIT
        ]


@functools.lru_cache(maxsize=1024)  # the same at nearly every turn
def _moves(rows: tuple[str, ...], columns: tuple[str, ...], *, in_words: bool) -> ChainMoves:
    return described(rows, columns) if in_words else with_names(rows, columns)


def _deal_words(sight: Any) -> list[str]:
    """Return a negotiation as one side sees it, in words."""
    worth = ", ".join(f"a {item} {value}" for item, value in zip(ITEMS, sight.values, strict=True))
    words = [f"to be divided: {share_words(sight.counts)}", f"worth to you: {worth}"]
    if sight.own_offer is not None:
        words.append(f"you proposed last to keep {share_words(sight.own_offer)}")
    if sight.on_table:
        words.append(f"the other side proposes to keep {share_words(sight.other_offer)}, and you may accept")
    return words


def _too_many(name: str, cells: int) -> str:
    return (
        f"a chain states at most {MOST_CELLS} cells: scenario {name!r} has turns of {cells}; make it smaller, or let another "
        "player play it"
    )
