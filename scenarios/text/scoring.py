"""Who gets what for a turn in words: by what it led to (``ByOutcome``), or by the form of what was written (``ByForm``)."""

from __future__ import annotations

from typing import Any, Protocol

from gtalign_env.paper import ASSISTANT_ITEMS, USER_ITEMS, reply_score, user_reads
from gtalign_env.payoffs import PAPER, make_payoff_model
from gtalign_env.protocols import PayoffModel
from gtalign_env.scenarios.text.state import TextState
from gtalign_env.specs import to_spec
from gtalign_env.types import Outcome, Payoffs

__all__ = ["ByForm", "ByOutcome", "Scoring", "make_scoring"]


class Scoring(Protocol):
    """Pays both sides of a session in words."""

    spec: str
    """The payoff model, as records name it."""

    def said(self, sent: str) -> str:
        """Return what of an assistant's text the user reads."""
        ...

    def reply(self, sent: str, outcome: Outcome, state: TextState) -> tuple[Payoffs, dict[str, Any]]:
        """Return both payoffs of the assistant's turn, and what both players may know of how they came about."""
        ...

    def question(self, spent: Outcome, state: TextState) -> Payoffs:
        """Return both payoffs of the user's turn."""
        ...

    def close(self, payoffs: Payoffs, total: float) -> None:
        """Add what the end of the session brings, the user's payoffs having come to ``total``."""
        ...


class ByOutcome:
    """What happened counts, by a payoff model of outcomes.

    Example:
        >>> from gtalign_env.payoffs import Grounded
        >>> ByOutcome(Grounded()).said("<response>Paris.</response>")
        '<response>Paris.</response>'
    """

    def __init__(self, model: PayoffModel) -> None:
        self.model = model
        self.spec = to_spec(model)

    def said(self, sent: str) -> str:
        """Return the text as it is."""
        return sent

    def reply(self, sent: str, outcome: Outcome, state: TextState) -> tuple[Payoffs, dict[str, Any]]:
        """Return the model's items of this outcome."""
        return self.question(outcome, state), {}

    def question(self, spent: Outcome, state: TextState) -> Payoffs:
        """Return the model's items of this outcome."""
        return Payoffs(
            self.model.user(spent, state.user_type, state.pricing), self.model.assistant(spent, state.pricing)
        )

    def close(self, payoffs: Payoffs, total: float) -> None:
        """Add the provider's retention."""
        payoffs.assistant["retention"] = self.model.retention(total)


class ByForm:
    """The published reward (``gtalign_env.paper``): what the assistant sends is the raw output of a model.

    A user's turn pays nothing, and prices and θ count for nothing. An output that cannot be read pays 0 on both sides, as
    published, and the event ``unread`` says why.

    Args:
        alternative: Quality of the best refusal.

    Example:
        >>> ByForm(0.3).said("<thinking>Hm.</thinking><response>Paris.</response>")
        'Paris.'
    """

    spec = PAPER

    def __init__(self, alternative: float) -> None:
        self._alternative = alternative

    def said(self, sent: str) -> str:
        """Return the response block; all of the text where there is none."""
        return user_reads(sent)

    def reply(self, sent: str, outcome: Outcome, state: TextState) -> tuple[Payoffs, dict[str, Any]]:
        """Score the raw output; its judge is the grader of the task."""
        score = reply_score(sent, outcome, harmful=state.task.harmful, alternative=self._alternative)
        payoffs = Payoffs(
            {**dict.fromkeys(USER_ITEMS, 0.0), **score.user}, {**dict.fromkeys(ASSISTANT_ITEMS, 0.0), **score.assistant}
        )
        return payoffs, {"unread": score.failure} if score.failure else {}

    def question(self, spent: Outcome, state: TextState) -> Payoffs:
        """Return nothing but zeros."""
        return Payoffs(dict.fromkeys(USER_ITEMS, 0.0), dict.fromkeys(ASSISTANT_ITEMS, 0.0))

    def close(self, payoffs: Payoffs, total: float) -> None:
        """Add nothing."""


def make_scoring(payoff: str | PayoffModel, *, alternative: float = 0.3) -> Scoring:
    """Return what pays for words: ``"paper"``, or any payoff model.

    Args:
        payoff: See ``gtalign_env.payoffs.make_payoff_model``; or ``"paper"``.
        alternative: Quality of the best refusal.

    Raises:
        UsageError: There is no such payoff model, or a setting is wrong.

    Example:
        >>> make_scoring("paper").spec, make_scoring("grounded:wrong=0.3").spec
        ('paper', 'grounded:wrong=0.3')
    """
    return ByForm(alternative) if payoff == PAPER else ByOutcome(make_payoff_model(payoff))
