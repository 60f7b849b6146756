"""Every constant of the strategic game, with its unit and the reason for its value (see ``docs/game.md`` §3)."""

from __future__ import annotations

import dataclasses

from gtalign_env.errors import UsageError
from gtalign_env.scenarios.options import check_sizes, is_number
from gtalign_env.sight import CLARITIES, KINDS

__all__ = ["CLARITIES", "KINDS", "AssistConfig"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class AssistConfig:
    """The rules of a session.

    Example:
        >>> AssistConfig(questions=2).questions
        2
    """

    questions: int = 4
    """Questions in a session: enough that a preference learned on the first one pays on the rest."""
    max_exchanges: int = 3
    """Exchanges on one question before the user drops it."""
    can_leave: bool = True
    """Whether ``LEAVE`` is a legal move."""
    p_simple: float = 0.50
    """Share of questions that a few words answer."""
    p_harmful: float = 0.06
    """Share of requests that must be declined; rare, as in real traffic, but met in about one session of five."""
    p_vague_opening: float = 0.60
    """Share of opening questions that leave several readings (about half of AmbigQA's are ambiguous)."""
    hit_vague: float = 0.45
    """Chance that an answer to a vague question meets the reading that was meant (between 2 and 3 equal readings)."""
    hit_muddled: float = 0.70
    """The same when a question was answered vaguely."""
    hit_clear: float = 0.95
    """The same when the question is clear; people misunderstand each other even then."""
    quality_simple: tuple[float, float, float] = (0.90, 0.95, 0.95)
    """Quality of a right answer to a simple question: short, medium, long."""
    quality_complex: tuple[float, float, float] = (0.55, 0.85, 1.00)
    """Quality of a right answer to a complex question: short, medium, long."""
    quality_safe_alternative: float = 0.30
    """Quality of a refusal that offers a safe alternative to a harmful request."""
    follow_up_tokens: int = 20
    """Tokens of the question that ``AQ`` adds to its answer."""
    question_tokens: int = 25
    """Tokens of a clarifying question."""
    decline_tokens: int = 50
    """Tokens of a refusal with an alternative."""
    words_vague: int = 8
    """Words of a vague question."""
    words_detailed: int = 30
    """Words of a detailed question."""
    words_vague_reply: int = 4
    """Words of a vague answer to the assistant's question."""
    words_detailed_reply: int = 12
    """Words of a detailed answer to the assistant's question."""
    words_aside: int = 6
    """Words spent on a follow-up question before the next question is put."""
    tokens_per_word: float = 1.3
    """Tokens per English word, the usual rule of thumb for byte-pair tokenizers."""

    def __post_init__(self) -> None:
        """Refuse rules that describe no game."""
        check_sizes("assist", self)
        for name in (field.name for field in dataclasses.fields(self)):
            value = getattr(self, name)
            if name in ("quality_simple", "quality_complex"):
                if not isinstance(value, (list, tuple)) or len(value) != 3 or not all(is_number(x, 1.0) for x in value):
                    raise UsageError(f"assist option {name!r}: expected three numbers in [0, 1], got {value!r}")
                object.__setattr__(self, name, tuple(value))  # a list, as JSON has it, will do
            elif name.startswith(("p_", "hit_", "quality_")) and not is_number(value, 1.0):
                raise UsageError(f"assist option {name!r}: expected a number in [0, 1], got {value!r}")
            elif ("tokens" in name or "words" in name) and not is_number(value, 1e6):
                raise UsageError(f"assist option {name!r}: expected a number from 0 to 1,000,000, got {value!r}")
        if self.p_simple + self.p_harmful > 1.0:
            raise UsageError("assist options p_simple + p_harmful: expected a sum <= 1")
