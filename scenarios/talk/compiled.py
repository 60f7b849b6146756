"""Lay talk over a compiled game: tables in, larger tables out.

Before every move of the game below come ``2 * rounds`` turns, in which the players speak one after the other while the other
waits. Whoever speaks says ``SAY_<own move>``, keeps ``SILENT``, or says ``HALT``, which ends this talk at once. Words are cheap:
turns pay nothing, and the moves that follow pay what they always pay. An illegal move counts as silence.

What each player said last is part of the state and seen by both. It stands until that player speaks again, also across moves,
so that whoever wants to can compare words with deeds; ``HALT`` leaves it as it is.

What is said and what is done share an act of the tables: which of the two is meant follows from the state. So the tables
grow by one act (``HALT``) per player, and by the states of the talk.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gtalign_env.errors import UsageError
from gtalign_env.scenarios.talk.config import Talk
from gtalign_env.tables import GameTables, PayoffTables
from gtalign_env.types import Outcome, Role

__all__ = ["HALT", "MOST_ENTRIES", "OVER", "SAY", "SILENT", "UNSAID", "WAIT", "Compiled", "check_size", "with_talk"]

SAY = "SAY_"
"""Begins the name of a message: ``SAY_defect`` announces the move ``defect``, truly or not."""
SILENT = "SILENT"
"""The message that says nothing."""
HALT = "HALT"
"""Ends the talk before this move."""
WAIT = "WAIT"
"""The only legal move of whoever is not to move."""
UNSAID = "none"
"""Stands for the last words of a player who has not spoken yet."""
OVER = "over"
"""The turn of talk at which nobody talks any more, and moves are made."""
MOST_ENTRIES = 1_000_000
"""Entries (states x acts x acts x branches) of the largest tables that are built: about 100 MB."""

Mover = Role | Literal[""]


class Compiled(NamedTuple):
    """A compiled game of open rules."""

    tables: GameTables
    payoffs: PayoffTables
    movers: Sequence[Mover] = ()
    """(S,): who is to move in each state, ``""`` where both are; empty where they always are."""


def check_size(name: str, shape: Sequence[int]) -> None:
    """Refuse tables that would not fit.

    Args:
        name: The scenario's name.
        shape: (states, user acts, assistant acts, branches).

    Raises:
        UsageError: They have more than ``MOST_ENTRIES`` entries.

    Example:
        >>> check_size("pd", (9, 3, 3, 1))
    """
    entries = math.prod(shape)
    if entries > MOST_ENTRIES:
        raise UsageError(
            f"scenario {name!r}: its tables would have {entries:,} entries ({shape[0]:,} states x {shape[1]} x {shape[2]} acts), "
            f"at most {MOST_ENTRIES:,} fit: play fewer rounds, or talk for fewer"
        )


def nothing_happens(shape: tuple[int, ...]) -> Outcome:
    """Return outcomes of a game in which no reply is written: zeros, without the memory.

    Example:
        >>> nothing_happens((2, 3, 3, 1)).tokens_out.strides
        (0, 0, 0, 0)
    """
    zeros: Any = np.broadcast_to(0.0, shape)
    return Outcome(**{field.name: zeros for field in dataclasses.fields(Outcome)})


def with_talk(name: str, game: Compiled, talk: Talk) -> Compiled:
    """Return the game with talk before every move.

    The state's coordinates gain ``talk`` (the turn, ``"1"`` …, or ``"over"`` when moves are made), ``user_said`` and
    ``assistant_said`` (``"none"`` before the first word). Moves of the game below keep their indices.

    Args:
        name: The scenario's name, for messages.
        game: The game below; its tables have no outcomes but zeros.
        talk: How the players talk, for at least one round.

    Raises:
        UsageError: The tables would not fit, or a move of the game below has the name of a message.

    Example:
        >>> from gtalign_env.scenarios.matrix.catalogue import prisoners_dilemma
        >>> prisoners_dilemma(talk=1).moves("user")
        ('cooperate', 'defect', 'SAY_cooperate', 'SAY_defect', 'SILENT', 'HALT', 'WAIT')
    """
    below = game.tables
    user, assistant = _Voice.of(below, "user"), _Voice.of(below, "assistant")
    turns = talk.turns
    plan = _Plan(below.terminal, turns, user.words, assistant.words)
    shape = (plan.terminal + 1, user.halt + 1, assistant.halt + 1, below.next_state.shape[3])
    check_size(name, shape)
    speakers = [talk.speaker(turn) for turn in range(turns)]
    movers: list[Mover] = []
    for mover in game.movers[:-1] or [""] * plan.base:
        for who in (*speakers, mover):
            movers += [who] * plan.messages
    tables = GameTables(
        user_moves=user.moves,
        assistant_moves=assistant.moves,
        user_act=user.act,
        assistant_act=assistant.act,
        next_state=_next_states(plan, below, speakers, user, assistant),
        probability=_chances(plan, _widened(below.probability, user, assistant)),
        outcome=nothing_happens(shape),
        user_mask=_masks(plan, below.user_mask, user, [speaker == "user" for speaker in speakers]),
        assistant_mask=_masks(plan, below.assistant_mask, assistant, [speaker == "assistant" for speaker in speakers]),
        features=_features(plan, below.features),
        initial=plan.at_start(below.initial),
        axes={
            **below.axes,
            "talk": (*(str(turn + 1) for turn in range(turns)), OVER),
            "user_said": user.said,
            "assistant_said": assistant.said,
        },
    )
    payoffs = dataclasses.replace(
        game.payoffs,
        user=plan.spread(_widened(game.payoffs.user, user, assistant), 0.0),
        assistant=plan.spread(_widened(game.payoffs.assistant, user, assistant), 0.0),
    )
    return Compiled(tables, payoffs, [*movers, ""])


class _Voice(NamedTuple):
    """One player's moves and messages. Message 0 is none, message ``1 + act`` was said by that act."""

    moves: tuple[str, ...]
    """Moves of the game below, messages, ``WAIT``."""
    act: NDArray[np.int32]
    """(moves + 1,): the act of every move; the last entry is the no-op's."""
    no_op: int
    """The act of an illegal move, and of silence."""
    halt: int
    """The act of ``HALT``, the last one."""
    below: int
    """How many moves the game below has, ``WAIT`` not counted."""
    waits: bool
    """Whether it has a ``WAIT``, as its last move."""
    said: tuple[str, ...]
    """Names of the messages."""

    @property
    def words(self) -> int:
        """Number of messages, none included."""
        return len(self.said)

    @classmethod
    def of(cls, tables: GameTables, role: Role) -> _Voice:
        names, acts = (
            (tables.user_moves, tables.user_act) if role == "user" else (tables.assistant_moves, tables.assistant_act)
        )
        waits = names[-1] == WAIT
        own = names[:-1] if waits else names
        reserved = [move for move in own if move.startswith(SAY) or move in (SILENT, HALT, WAIT)]
        if reserved:
            raise UsageError(f"talk: the {role}'s move {reserved[0]!r} has the name of a message; rename it")
        no_op = int(acts[-1])
        halt = int(tables.next_state.shape[1 if role == "user" else 2])
        wait = int(acts[len(own)]) if waits else no_op
        spoken = acts[: len(own)].tolist()
        said = [UNSAID, *[SILENT] * halt]
        for move, act in zip(own, spoken, strict=True):
            said[1 + act] = SAY + move
        return cls(
            moves=(*own, *(SAY + move for move in own), SILENT, HALT, WAIT),
            act=np.array([*spoken, *spoken, no_op, halt, wait, no_op], dtype=np.int32),
            no_op=no_op,
            halt=halt,
            below=len(own),
            waits=waits,
            said=tuple(said),
        )


class _Plan(NamedTuple):
    """Where the states lie: (state of the game below, turn, user's message, assistant's message), and the end after them."""

    base: int
    """States of the game below, without its end."""
    turns: int
    """Turns of talk; the turn with this number is that of the moves."""
    user_words: int
    assistant_words: int

    @property
    def messages(self) -> int:
        """Pairs of last messages."""
        return self.user_words * self.assistant_words

    @property
    def terminal(self) -> int:
        """Index of the end."""
        return self.base * (self.turns + 1) * self.messages

    def spread(self, moves: NDArray[Any], elsewhere: Any) -> NDArray[Any]:
        """Return a table that holds ``moves`` (base states + 1, …) where moves are made, and ``elsewhere`` in turns of talk."""
        made = np.empty((self.base, self.turns + 1, self.messages, *moves.shape[1:]), dtype=moves.dtype)
        made[:, : self.turns] = elsewhere
        made[:, self.turns] = moves[: self.base, None]
        return np.concatenate([made.reshape(self.terminal, *moves.shape[1:]), moves[self.base :]])

    def at_start(self, initial: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the distribution of the first state: nothing has been said."""
        first = np.zeros(self.terminal + 1)
        first[: self.terminal : (self.turns + 1) * self.messages] = initial[: self.base]
        return first


def _widened(table: NDArray[Any], user: _Voice, assistant: _Voice) -> NDArray[Any]:
    """Return a table (S, U, A, …) with acts for ``HALT``, which among moves is as illegal as any other."""
    rows, columns = [*range(user.halt), user.no_op], [*range(assistant.halt), assistant.no_op]
    wide: NDArray[Any] = table[:, rows][:, :, columns]
    return wide


def _chances(plan: _Plan, moves: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the chance of each branch; nothing is left to chance while people talk."""
    branches = moves.shape[-1]
    if branches == 1:
        return np.broadcast_to(1.0, (plan.terminal + 1, *moves.shape[1:]))
    return plan.spread(moves, np.eye(branches)[0])


def _next_states(
    plan: _Plan, below: GameTables, speakers: Sequence[Role], user: _Voice, assistant: _Voice
) -> NDArray[np.int32]:
    """Return where every pair of acts leads, shape (S, U, A, B)."""
    sizes = (plan.base, plan.turns + 1, user.words, assistant.words)
    acts = (user.halt + 1, assistant.halt + 1)
    following = np.empty((*sizes, *acts, below.next_state.shape[3]), dtype=np.int32)
    place = np.arange(plan.terminal, dtype=np.int32).reshape(sizes)  # (base, turn, user's words, assistant's words)
    for turn, speaker in enumerate(speakers):
        voice = user if speaker == "user" else assistant
        after = np.full(voice.halt + 1, turn + 1)
        after[voice.halt] = plan.turns
        words = np.tile(np.arange(1, voice.halt + 2), (voice.words, 1))  # (words before, acts): words after
        words[:, voice.halt] = np.arange(voice.words)
        if speaker == "user":
            target = place[:, after[None, :], words].transpose(0, 1, 3, 2)  # (base, user's, assistant's, acts)
            following[:, turn] = target[..., None, None]  # (base, user's, assistant's, U, A, B)
        else:
            target = place[:, after[None, :], :, words]  # (words, acts, base, user's)
            following[:, turn] = target.transpose(2, 3, 0, 1)[..., None, :, None]
    moved = _widened(below.next_state, user, assistant)[: plan.base, None, None]  # (base, 1, 1, U, A, B)
    words_stay = np.arange(plan.messages, dtype=np.int32).reshape(1, user.words, assistant.words, 1, 1, 1)
    ended = moved == plan.base
    following[:, plan.turns] = np.where(ended, plan.terminal, moved * (plan.turns + 1) * plan.messages + words_stay)
    end = np.full((1, *acts, following.shape[-1]), plan.terminal, dtype=np.int32)
    return np.concatenate([following.reshape(plan.terminal, *end.shape[1:]), end])


def _masks(plan: _Plan, below: NDArray[np.int8], voice: _Voice, speaks: Sequence[bool]) -> NDArray[np.int8]:
    """Return which moves are legal, shape (S, moves): messages for whoever speaks, ``WAIT`` for whoever listens."""
    moving = np.zeros((len(below), len(voice.moves)), dtype=np.int8)
    moving[:, : voice.below] = below[:, : voice.below]
    if voice.waits:
        moving[:, -1] = below[:, -1]
    moving[-1] = 1  # after the end nothing is refused
    talking = np.zeros((plan.turns, len(voice.moves)), dtype=np.int8)
    for turn, own in enumerate(speaks):
        talking[turn, voice.below : -1] = own
        talking[turn, -1] = not own
    return plan.spread(moving, talking[None, :, None])


def _features(plan: _Plan, below: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return (S, F): the features of the game below, the turn, and both last messages, each as one of so many."""
    sizes = (plan.base, plan.turns + 1, plan.user_words, plan.assistant_words)
    parts: list[NDArray[Any]] = [
        np.broadcast_to(below[: plan.base, None, None, None], (*sizes, below.shape[1])),
        np.broadcast_to(np.eye(sizes[1])[:, None, None], (*sizes, sizes[1])),
        np.broadcast_to(np.eye(sizes[2])[:, None, 1:], (*sizes, sizes[2] - 1)),
        np.broadcast_to(np.eye(sizes[3])[:, 1:], (*sizes, sizes[3] - 1)),
    ]
    made = np.concatenate(parts, axis=-1, dtype=np.float32).reshape(plan.terminal, -1)
    end = np.zeros((1, made.shape[1]), dtype=np.float32)
    end[:, : below.shape[1]] = below[plan.base :]
    return np.concatenate([made, end])
