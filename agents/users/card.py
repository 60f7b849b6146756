"""A persona's card: who it is (types), how it behaves (character) and how it talks (wording).

Every section of a card file is one dataclass here. Its fields are the keys, their defaults are what an author may leave out, and
their ``check`` says what is accepted; ``card_file`` reads files by walking these fields, so this page is the format.
"""

from __future__ import annotations

import dataclasses
import math
import string
from collections.abc import Mapping
from typing import Any

from gtalign_env.errors import UsageError
from gtalign_env.types import NUMERIC_TYPE_FIELDS, REACTIONS, UserType

__all__ = [
    "DISCLOSING",
    "Card",
    "Character",
    "Check",
    "Drift",
    "Leave",
    "Lies",
    "PDetailed",
    "Reactions",
    "Tone",
    "TypeEntry",
    "Wording",
]

DISCLOSING = ("ideal_tokens", "ideal_words")
"""Placeholders that state θ in so many words; only a card with ``discloses = true`` may use them."""
SPREAD_LEVELS = (-1.0, -0.5, 0.0, 0.5, 1.0)
"""A spread moves a field to one of five levels, so that engines which keep payoff tables per type stay small."""


@dataclasses.dataclass(frozen=True)
class Check:
    """What a key accepts: a sentence for people, and the test itself.

    Example:
        >>> share = Check.number(0, 1)
        >>> share.expected, share.accepts(0.5), share.accepts(True)
        ('a number from 0 to 1', True, False)
    """

    expected: str
    accepts: Any

    @classmethod
    def number(cls, low: float, high: float = math.inf, *, whole: bool = False) -> Check:
        """Accept a finite number (or integer) from ``low`` to ``high``."""
        kind = "an integer" if whole else "a number"
        span = f"from {low:g} to {high:g}" if high < math.inf else f">= {low:g}"
        types = (int,) if whole else (int, float)

        def accepts(value: Any) -> bool:
            number = isinstance(value, types) and not isinstance(value, bool)
            return number and math.isfinite(value) and low <= value <= high

        return cls(f"{kind} {span}", accepts)

    @classmethod
    def one_of(cls, *names: str) -> Check:
        """Accept one of the names."""
        return cls("one of " + ", ".join(repr(name) for name in names), lambda value: value in names)

    @classmethod
    def flag(cls) -> Check:
        """Accept ``true`` or ``false``."""
        return cls("true or false", lambda value: isinstance(value, bool))

    @classmethod
    def text(cls) -> Check:
        """Accept a string that is not blank."""
        return cls("a text in quotes, not empty", lambda value: isinstance(value, str) and bool(value.strip()))

    @classmethod
    def phrases(cls, *placeholders: str, needs: str = "") -> Check:
        """Accept a list of phrases that use no other than the given placeholders, and ``needs`` in each."""
        expected = "a list of texts in quotes"
        if needs:
            expected += f", each with {{{needs}}}"
        if placeholders:
            names = ", ".join(f"{{{name}}}" for name in placeholders)
            expected += f" (placeholders: {names})"
        allowed = {*placeholders, *([needs] if needs else []), *DISCLOSING}

        def accepts(value: Any) -> bool:
            if not isinstance(value, (list, tuple)) or not all(isinstance(x, str) and x.strip() for x in value):
                return False
            used = [placeholders_of(phrase) for phrase in value]
            return all(names is not None and names <= allowed and (not needs or needs in names) for names in used)

        return cls(expected, accepts)


def placeholders_of(phrase: str) -> set[str] | None:
    """Return the names in braces of a phrase; ``None`` where the braces do not match.

    Example:
        >>> sorted(placeholders_of("So: {question} {fact}")), placeholders_of("{")
        (['fact', 'question'], None)
    """
    try:
        parts = list(string.Formatter().parse(phrase))
    except ValueError:
        return None
    if any(spec or conversion for _, _, spec, conversion in parts):
        return None
    return {name for _, name, _, _ in parts if name is not None}


def _key(default: Any, check: Check) -> Any:
    return dataclasses.field(default=default, metadata={"check": check})


def _said(*phrases: str, needs: str = "") -> Any:
    return _key(phrases, Check.phrases(needs=needs))


_SHARE = Check.number(0, 1)
_UTILS = Check.number(0)
_LIE = Check.one_of("opposite", *REACTIONS)


@dataclasses.dataclass(frozen=True, kw_only=True)
class PDetailed:
    """Probability that the next utterance is put in detail (DQ), by situation."""

    first: float = _key(0.4, _SHARE)
    """Before any reply was seen (strategic view only: there a user commits before it sees the reply)."""
    next: float = _key(0.4, _SHARE)
    """A new question."""
    rephrase: float = _key(0.7, _SHARE)
    """The reply missed, and the question is put again."""
    answer: float = _key(0.8, _SHARE)
    """The assistant asked something (strategic view: its last reply did, so it may well do so again)."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Reactions:
    """From its own payoff items to what it would say if it were honest. The first rule that holds wins, in this order."""

    off_target_below: float = _key(0.3, _SHARE)
    """Quality of an answer below which it was not what was meant."""
    too_long_above: float = _key(0.08, _UTILS)
    """Utils lost to length, where the reply was longer than wanted, above which it says so."""
    too_short_above: float = _key(0.08, _UTILS)
    """Utils lost to length, where the reply was shorter than wanted, above which it says so."""
    too_dear_above: float = _key(1000.0, _UTILS)
    """Utils paid for an exchange (flat fee aside) above which it grumbles that the reply was too long."""
    thanks_above: float = _key(0.4, _UTILS)
    """Utils that the reply was worth (value, length and reading) from which it thanks."""
    dislikes_questions: float = _key(0.0, _SHARE)
    """Probability of 'off target' when it gets a question instead of an answer."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Lies:
    """What an untrue reaction says, by the reply it is about. ``opposite`` turns the truth round."""

    short: str = _key("opposite", _LIE)
    medium: str = _key("opposite", _LIE)
    long: str = _key("opposite", _LIE)
    question: str = _key("opposite", _LIE)
    refusal: str = _key("opposite", _LIE)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Leave:
    """When it has had enough. The flat fee of a session counts in neither rule: it is spent anyway."""

    total_below: float = _key(1000.0, _UTILS)
    """Leaves once its session total lies this many utils below zero."""
    bad_in_a_row: int = _key(0, Check.number(0, 64, whole=True))
    """Leaves after so many exchanges in a row that left it worse off; 0 for never."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Drift:
    """Taste that moves during a session. It moves the reactions; payoffs go by the type that was drawn at the start."""

    ideal_tokens: float = _key(1.0, Check.number(0.1, 10))
    """Factor on the wanted length with every further question."""
    limit: float = _key(1000.0, Check.number(1))
    """Wanted length, in tokens, beyond which a growing taste does not go."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Character:
    """How a persona behaves."""

    expressiveness: float = _key(0.8, _SHARE)
    """Probability that it says something when it has a reaction."""
    honesty: float = _key(1.0, _SHARE)
    """Probability that a reaction is truthful."""
    p_detailed: PDetailed = dataclasses.field(default_factory=PDetailed, metadata={"section": PDetailed})
    reactions: Reactions = dataclasses.field(default_factory=Reactions, metadata={"section": Reactions})
    lies: Lies = dataclasses.field(default_factory=Lies, metadata={"section": Lies})
    leave: Leave = dataclasses.field(default_factory=Leave, metadata={"section": Leave})
    drift: Drift = dataclasses.field(default_factory=Drift, metadata={"section": Drift})


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tone:
    """How it types. Questions and facts themselves stay as they are: only the persona's own words suffer."""

    lower_case: bool = _key(False, Check.flag())
    typos: float = _key(0.0, _SHARE)
    """Share of its own longer words that come out with two letters swapped."""
    final_stop: bool = _key(True, Check.flag())
    """Whether a message ends with its full stop."""
    greeting_rate: float = _key(0.5, _SHARE)
    """Probability of a greeting in its first line, where that line opens the session."""
    closer_rate: float = _key(0.2, _SHARE)
    """Probability of a closer at the end of a line."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Wording:
    """How it talks in the text view. Each list holds variants; none is used twice in a row."""

    greeting: tuple[str, ...] = _said("Hello.")
    """Said only where the persona speaks first."""
    closer: tuple[str, ...] = _said()
    thanks: tuple[str, ...] = _said("Thanks, that helps.", "Thank you, that is what I needed.")
    too_long: tuple[str, ...] = _said("That was longer than I need.", "That is too much text for me.")
    too_short: tuple[str, ...] = _said("That was a bit short, I would like more detail.", "I would have liked more.")
    off_target: tuple[str, ...] = _said("That is not what I meant.", "That misses my question.")
    leave: tuple[str, ...] = _said("I will leave it there. Goodbye.")
    ask_vague: tuple[str, ...] = _said("{question}", needs="question")
    ask_detailed: tuple[str, ...] = _said("{question}", needs="question")
    """Around questions ("When …?")."""
    request_vague: tuple[str, ...] = _said("{question}", needs="question")
    request_detailed: tuple[str, ...] = _said("{question}", needs="question")
    """Around requests ("Write …"), which a phrase for questions seldom fits."""
    rephrase_vague: tuple[str, ...] = _said("Again: {question}", needs="question")
    rephrase_detailed: tuple[str, ...] = _said("Let me put it differently: {question}", needs="question")
    answer_vague: tuple[str, ...] = _said("You know, just the usual.", "Nothing special, I think.")
    answer_detailed: tuple[str, ...] = _said("{fact}", needs="fact")
    disclosure: tuple[str, ...] = _said()
    """Said in the first line; may state θ where ``discloses = true``."""
    tone: Tone = dataclasses.field(default_factory=Tone, metadata={"section": Tone})


@dataclasses.dataclass(frozen=True, kw_only=True)
class TypeEntry:
    """One type that a persona may be, with its weight and how far its fields spread.

    Example:
        >>> import numpy as np
        >>> entry = TypeEntry(user_type=UserType(ideal_tokens=100.0), spread={"ideal_tokens": 0.2})
        >>> entry.draw(np.random.default_rng(0)).ideal_tokens in (80.0, 90.0, 100.0, 110.0, 120.0)
        True
    """

    user_type: UserType
    weight: float = 1.0
    spread: Mapping[str, float] = dataclasses.field(default_factory=dict)
    """Field of θ to the largest relative change, e.g. ``{"ideal_tokens": 0.2}``."""

    def __post_init__(self) -> None:
        """Refuse weights and spreads that have no meaning."""
        if not Check.number(0).accepts(self.weight) or self.weight == 0:
            raise UsageError(f"weight: expected a number > 0, got {self.weight!r}")
        for field, change in self.spread.items():
            if field not in NUMERIC_TYPE_FIELDS:
                raise UsageError(f"spread: {field!r} is no field of a type; expected {', '.join(NUMERIC_TYPE_FIELDS)}")
            if not Check.number(0, 0.9).accepts(change):
                raise UsageError(f"spread of {field}: expected a number from 0 to 0.9, got {change!r}")

    def draw(self, rng: Any) -> UserType:
        """Return the type with every spread field moved to one of five levels, drawn from ``rng``."""
        return self.moved(
            {field: SPREAD_LEVELS[int(rng.integers(len(SPREAD_LEVELS)))] for field in sorted(self.spread)}
        )

    def moved(self, levels: Mapping[str, float]) -> UserType:
        """Return the type with every spread field moved by a share, from -1 to 1, of its largest change.

        Example:
            >>> entry = TypeEntry(user_type=UserType(ideal_tokens=100.0), spread={"ideal_tokens": 0.2})
            >>> entry.moved({"ideal_tokens": -1.0}).ideal_tokens
            80.0
        """
        fields = {
            field: round(getattr(self.user_type, field) * (1.0 + self.spread[field] * level), 9)
            for field, level in levels.items()
        }
        return dataclasses.replace(self.user_type, **fields) if fields else self.user_type


@dataclasses.dataclass(frozen=True, kw_only=True)
class Card:
    """A whole card.

    Example:
        >>> Card(name="me", description="", types=(TypeEntry(user_type=UserType()),)).character.honesty
        1.0
    """

    name: str
    description: str
    types: tuple[TypeEntry, ...]
    discloses: bool = False
    """Whether the persona may state θ in so many words."""
    character: Character = dataclasses.field(default_factory=Character)
    wording: Wording = dataclasses.field(default_factory=Wording)
