"""The explicit state of a session in natural language, and what follows from it without any randomness."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

from gtalign_env.protocols import PricingPolicy, Task
from gtalign_env.types import Role, UserType

__all__ = ["LastReply", "Line", "TextState", "kind_of", "opening_clarity"]

_SIMPLE = ("fact", "arithmetic")


class Line(NamedTuple):
    """One utterance of the transcript."""

    role: Role
    text: str


class LastReply(NamedTuple):
    """What the user knows of the reply before."""

    move: str
    length: str
    tokens: int
    quality: float


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class TextState:
    """Everything that a session needs to go on."""

    tasks: tuple[Task, ...]
    """The session's questions, in order."""
    user_type: UserType
    """θ: private to the user."""
    pricing: PricingPolicy
    transcript: tuple[Line, ...]
    question: int = 0
    """Which task is on the table (or will be, with the user's next utterance)."""
    exchange: int = 0
    """Replies that this question has already taken."""
    clarity: str = "vague"
    """How clearly the question stands on the table."""
    to_move: Role = "assistant"
    situation: str = "next_question"
    """What the user's next utterance is for: ``answer_question``, ``rephrase`` or ``next_question``."""
    last_user_move: int = -1
    last_assistant_move: int = -1
    last_reply: LastReply | None = None
    replies: int = 0
    """Replies given in the session so far."""
    user_total: float = 0.0
    """Sum of the user's payoffs so far, utils."""
    over: bool = False

    @property
    def task(self) -> Task:
        """The task on the table."""
        return self.tasks[min(self.question, len(self.tasks) - 1)]


def kind_of(task: Task) -> str:
    """Return the strategic kind of a task.

    Example:
        >>> kind_of(Task(id="t", kind="writing", vague="", detailed=""))
        'complex'
    """
    if task.harmful:
        return "harmful"
    return "simple" if task.kind in _SIMPLE else "complex"


def opening_clarity(task: Task, form: str) -> str:
    """Return how clearly a task stands when it is put in ``form`` (``"vague"`` or ``"detailed"``).

    Example:
        >>> opening_clarity(Task(id="t", kind="fact", vague="When?", detailed="When was X built?"), "vague")
        'vague'
    """
    return "vague" if form == "vague" and task.ambiguous else "clear"
