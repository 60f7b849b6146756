"""The words of the game: players, moves, outcomes, types, payoffs.

Everything here is frozen, named and free of behaviour beyond validation, so that every other module can speak
in these terms. Indices are stable: they are what stands in action spaces, tables and records.
"""

from __future__ import annotations

import dataclasses
import math
import numbers
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from gtalign_env.errors import UsageError

__all__ = [
    "AGENTS",
    "ASSISTANT",
    "ASSISTANT_MOVES",
    "CHARACTERS_PER_TOKEN",
    "LENGTHS",
    "LENGTH_TOKENS",
    "NO_OP",
    "NUMERIC_TYPE_FIELDS",
    "REACTIONS",
    "REPLY_ACTS",
    "USER",
    "USER_MOVES",
    "AssistantMove",
    "Outcome",
    "Payoffs",
    "Role",
    "UserMove",
    "UserType",
    "View",
]

Role = Literal["user", "assistant"]
View = Literal["strategic", "text"]

USER = "user_0"
ASSISTANT = "assistant_0"
AGENTS: tuple[str, str] = (USER, ASSISTANT)

NO_OP = "NO_OP"
"""How an illegal move is recorded: the assistant stays silent; the user speaks vaguely, without a reaction."""

LENGTHS: tuple[str, str, str] = ("short", "medium", "long")
LENGTH_TOKENS: dict[str, int] = {"short": 60, "medium": 180, "long": 480}
"""Tokens of an answer of each length in the strategic view. In the text view tokens are counted."""

CHARACTERS_PER_TOKEN = 4.0
"""Characters of a token in the strategic view, the usual rule of thumb for English. In the text view characters are counted."""

REPLY_ACTS: tuple[str, ...] = ("DA", "CQ", "AQ", "DECLINE")
"""Direct answer, clarifying question, answer + one follow-up question, refusal that offers a safe alternative."""

REACTIONS: tuple[str, ...] = ("none", "thanks", "too_long", "too_short", "off_target")


class AssistantMove(NamedTuple):
    """One of the assistant's eight moves: an act and, for answers, a length.

    Example:
        >>> ASSISTANT_MOVES[0], ASSISTANT_MOVES[0].name
        (AssistantMove(act='DA', length='short'), 'DA_short')
        >>> AssistantMove.parse("CQ")
        AssistantMove(act='CQ', length=None)
    """

    act: str
    length: str | None

    @property
    def name(self) -> str:
        """The move's name: ``DA_short`` … ``AQ_long``, ``CQ``, ``DECLINE``."""
        return self.act if self.length is None else f"{self.act}_{self.length}"

    @property
    def answers(self) -> bool:
        """Whether the move gives an answer (``DA`` or ``AQ``)."""
        return self.act in ("DA", "AQ")

    @property
    def asks(self) -> bool:
        """Whether the move asks the user something (``CQ`` or ``AQ``)."""
        return self.act in ("CQ", "AQ")

    @classmethod
    def parse(cls, name: str) -> AssistantMove:
        """Return the move called ``name``.

        Raises:
            UsageError: There is no such move.
        """
        for move in ASSISTANT_MOVES:
            if move.name == name:
                return move
        names = ", ".join(move.name for move in ASSISTANT_MOVES)
        raise UsageError(f"unknown assistant move {name!r}: expected one of {names}")


class UserMove(NamedTuple):
    """One of the user's eleven moves: how to ask next and how to react, or ``LEAVE``.

    Example:
        >>> USER_MOVES[7].name, USER_MOVES[-1].name
        ('DQ_too_long', 'LEAVE')
        >>> UserMove.parse("VQ_none")
        UserMove(form='VQ', reaction='none')
    """

    form: str
    reaction: str | None

    @property
    def name(self) -> str:
        """The move's name: ``VQ_none`` … ``DQ_off_target``, ``LEAVE``."""
        return self.form if self.reaction is None else f"{self.form}_{self.reaction}"

    @classmethod
    def parse(cls, name: str) -> UserMove:
        """Return the move called ``name``.

        Raises:
            UsageError: There is no such move.
        """
        for move in USER_MOVES:
            if move.name == name:
                return move
        raise UsageError(f"unknown user move {name!r}: expected one of {', '.join(m.name for m in USER_MOVES)}")


ASSISTANT_MOVES: tuple[AssistantMove, ...] = (
    *(AssistantMove("DA", length) for length in LENGTHS),
    *(AssistantMove("AQ", length) for length in LENGTHS),
    AssistantMove("CQ", None),
    AssistantMove("DECLINE", None),
)
USER_MOVES: tuple[UserMove, ...] = (
    *(UserMove("VQ", reaction) for reaction in REACTIONS),
    *(UserMove("DQ", reaction) for reaction in REACTIONS),
    UserMove("LEAVE", None),
)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class UserType:
    """A user's latent preference θ. Private: it never reaches the assistant's observation, info or reward.

    The symbols are those of ``docs/game.md``; payoffs are in utils, one util being the worth of a perfect answer
    to a user with ``value = 1``.

    Example:
        >>> UserType(name="brisk", ideal_tokens=60.0).too_long > UserType(name="brisk", ideal_tokens=60.0).too_short
        True
    """

    name: str = "custom"
    """A label for people; the game never reads it."""
    ideal_tokens: float = 150.0
    """n*: the length of reply this user wants, in tokens (> 0). Small is concise, large is detailed."""
    value: float = 1.0
    """v: utils for an answer of quality 1 (> 0)."""
    too_long: float = 0.2
    """m₊: utils lost per unit of ln(n / n*) when the reply is longer than wanted (≥ 0)."""
    too_short: float = 0.1
    """m₋: utils lost per unit of ln(n* / n) when it is shorter than wanted (≥ 0)."""
    reading_cost: float = 0.0002
    """r: utils per token read (≥ 0)."""
    effort_cost: float = 0.004
    """e: utils per word typed (≥ 0)."""
    patience: float = 20.0
    """Exchanges that cost this user one util of time (> 0); each exchange costs 1 / patience."""
    price_sensitivity: float = 1.0
    """s: utils per credit paid (≥ 0). At 1, a price is a pure transfer."""

    def __post_init__(self) -> None:
        """Refuse values that have no meaning."""
        if not isinstance(self.name, str):
            raise UsageError(f"user type field 'name': expected a string, got {self.name!r}")
        for field in NUMERIC_TYPE_FIELDS:
            number = getattr(self, field)
            if isinstance(number, bool) or not isinstance(number, numbers.Real) or not math.isfinite(float(number)):
                raise UsageError(f"user type field {field!r}: expected a finite number, got {number!r}")
            low = _LEAST if field in ("ideal_tokens", "value", "patience") else 0.0
            if not low <= float(number) <= _MOST:
                raise UsageError(f"user type field {field!r}: expected {low:g} to {_MOST:g}, got {number!r}")
            object.__setattr__(self, field, float(number))

    @classmethod
    def from_mapping(cls, fields: Mapping[str, Any]) -> UserType:
        """Build a type from a mapping of θ's fields; those not named keep their defaults.

        Raises:
            UsageError: A key is no field of θ, or a value is out of range.

        Example:
            >>> UserType.from_mapping({"ideal_tokens": 60}).ideal_tokens
            60.0
        """
        known = [field.name for field in dataclasses.fields(cls)]
        for key in fields:
            if key not in known:
                raise UsageError(f"unknown user type field {key!r}: expected some of {', '.join(known)}")
        return cls(**fields)

    def vector(self) -> tuple[float, ...]:
        """Return the numeric fields in the order of ``NUMERIC_TYPE_FIELDS``."""
        return tuple(getattr(self, field) for field in NUMERIC_TYPE_FIELDS)


_LEAST, _MOST = 1e-3, 1e6
"""Bounds of θ: far beyond any person, and within what the payoff grid holds exactly."""

NUMERIC_TYPE_FIELDS: tuple[str, ...] = (
    "ideal_tokens",
    "value",
    "too_long",
    "too_short",
    "reading_cost",
    "effort_cost",
    "patience",
    "price_sensitivity",
)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What one exchange led to. Payoff models read nothing else (and θ, and the pricing).

    Fields may also hold NumPy arrays of one common shape: payoff models are written for both, so that the tables
    of a finite scenario and a single reply in the text view go through the same arithmetic.
    """

    quality: Any = 0.0
    """Quality of the answer in [0, 1]; 0 where no answer was given."""
    tokens_out: Any = 0.0
    """Tokens the assistant wrote and the user reads."""
    characters: Any = 0.0
    """Characters of the same reply. The first records were made without this field."""
    tokens_in: Any = 0.0
    """Tokens of the user's utterance that this reply answers (what the provider has to process)."""
    words_typed: Any = 0.0
    """Words of the user's next utterance, typed in this exchange."""
    exchanges: Any = 1.0
    """Exchanges of time that this record stands for: 1, or 0 where time is charged elsewhere."""
    requests: Any = 1.0
    """Billable requests: 1 per reply."""
    opens_session: Any = 0.0
    """1 where this is the first reply of the session (a flat fee is due), else 0."""
    answered: Any = 0.0
    """1 where an answer was given."""
    wrong: Any = 0.0
    """1 where an answer was given to a reading that was not meant, or is wrong (fractions in the text view)."""
    declined: Any = 0.0
    """1 where a request was declined that should have been served."""
    clarified: Any = 0.0
    """1 where the reply asked and the user's next utterance will carry the answer."""
    resolved: Any = 0.0
    """1 where the question is settled: answered rightly, or rightly declined."""
    violation: Any = 0.0
    """1 where a harmful request was complied with: never safe, ends the episode."""

    @property
    def safe(self) -> bool:
        """Whether no harmful request was complied with."""
        return not bool(self.violation)


class Payoffs(NamedTuple):
    """Both payoffs of one step, itemised; never merged, never clipped.

    The items of each side sum to that side's payoff exactly, in any order: every item lies on a grid of 2⁻²⁰ utils.
    """

    user: dict[str, float]
    assistant: dict[str, float]

    @property
    def totals(self) -> tuple[float, float]:
        """The two payoffs (user, assistant)."""
        return float(sum(self.user.values())), float(sum(self.assistant.values()))
