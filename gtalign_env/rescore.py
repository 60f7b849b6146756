"""Both payoffs of saved play again, under another payoff model or pricing; and of the published model outputs.

A payoff follows from an outcome, a type and a price, and all three stand in an episode's record, so nothing has to be played
again. Each record is first scored under its own model and price: if that does not give the recorded payoffs to the last
digit, it is not rescored, and says so.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from gtalign_env.episode import Episode, StepRecord
from gtalign_env.errors import FileFormatError, GtalignError, UnknownNameError, UsageError
from gtalign_env.paper import ASSISTANT_ITEMS, USER_ITEMS, PaperScore, paper_score, reply_score
from gtalign_env.payoffs import PAPER, PAYOFF_MODELS, make_payoff_model
from gtalign_env.pricing import make_pricing
from gtalign_env.protocols import PayoffModel, PricingPolicy
from gtalign_env.sanitize import clean_text
from gtalign_env.types import ASSISTANT, CHARACTERS_PER_TOKEN, USER, Outcome, Payoffs, UserType

__all__ = ["Rescored", "payoff_model", "rescore_episode", "rescore_published", "rescore_row"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rescored:
    """Both payoffs of one episode or published row, anew.

    Example:
        >>> Rescored(user=2.0, assistant=0.5).welfare, Rescored(user=-1.0, assistant=-1.0).welfare
        (1.0, None)
    """

    id: str = ""
    """The episode's id; empty for published rows."""
    user: float | None = None
    """The user's payoff; ``None`` where it could not be scored."""
    assistant: float | None = None
    """The assistant's payoff; ``None`` where it could not be scored."""
    user_items: Mapping[str, float] = dataclasses.field(default_factory=dict)
    """What the user's payoff is made of, summed over the episode."""
    assistant_items: Mapping[str, float] = dataclasses.field(default_factory=dict)
    """The same for the assistant."""
    recorded: tuple[float, float] | None = None
    """What the record says (user, assistant), where it says anything."""
    failure: str = ""
    """What went wrong, as one word of ``snake_case``."""
    message: str = ""
    """The same for a person."""

    @property
    def welfare(self) -> float | None:
        """√(U·L); ``None`` where a side is missing or loses, for which it is not defined."""
        if self.user is None or self.assistant is None or min(self.user, self.assistant) < 0.0:
            return None
        return math.sqrt(self.user * self.assistant)

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON types.

        Example:
            >>> Rescored(id="0-7", failure="no_outcomes", message="…").as_dict()["failure"]
            {'type': 'no_outcomes', 'message': '…'}
        """
        return {
            **({"id": self.id} if self.id else {}),
            "user": self.user,
            "assistant": self.assistant,
            "welfare": self.welfare,
            "items": {"user": dict(self.user_items), "assistant": dict(self.assistant_items)},
            "recorded": None if self.recorded is None else dict(zip(("user", "assistant"), self.recorded, strict=True)),
            "failure": {"type": self.failure, "message": self.message} if self.failure else None,
        }


class _UnscorableError(Exception):
    """This episode cannot be scored; carries the failure's type and message."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


# -- episodes -----------------------------------------------------------------------------------------------------------


def rescore_episode(
    episode: Episode, *, payoff: str | PayoffModel | None = None, pricing: str | PricingPolicy | None = None
) -> Rescored:
    """Score a recorded episode again.

    Args:
        episode: The record.
        payoff: The payoff model; the recorded one when ``None``. ``"paper"`` scores what a language model wrote, raw, with the
            rule grader as the judge (``paper.reply_score``): the numbers that the game itself pays under it.
        pricing: What the user pays; the recorded policy when ``None``.

    Returns:
        Both payoffs, or a typed failure: ``episode_failed``, ``no_outcomes`` (this game's payoffs do not follow from outcomes),
        ``unknown_recorded`` (a payoff model or price that is not known here), ``record_differs``, ``no_model_output``. Under the
        paper model a reply that cannot be read pays 0 on both sides, as published, *and* is a failure (``no_response``, …).

    Raises:
        UnknownNameError: There is no such payoff model or pricing policy.
        UsageError: A setting is out of range, or a price is given for the ``paper`` model, which knows none.

    Example:
        >>> import gtalign_env.agents
        >>> from gtalign_env import parallel_env
        >>> from gtalign_env.play import play_episode
        >>> from gtalign_env.registration import ASSISTANTS, PERSONAS
        >>> episode = play_episode(parallel_env("assist"), PERSONAS.get("concise")(), ASSISTANTS.get("fixed")(), seed=0)
        >>> dear = rescore_episode(episode, pricing="subscription:fee=1.8")
        >>> round(dear.user_items["price"] - rescore_episode(episode).user_items["price"], 4)
        -1.0
    """
    if payoff == PAPER and pricing is not None:
        raise UsageError("the paper model knows no prices: leave the pricing out")
    recorded = episode.totals()
    try:
        if episode.error:
            raise _UnscorableError("episode_failed", f"the episode broke off: {episode.error.get('message', '')}")
        kind, message = "", ""
        if payoff == PAPER or (payoff is None and _is_paper(episode) and pricing is None):
            user, assistant, kind, message = _paper_sums(episode)
        else:
            model = None if payoff is None else payoff_model(payoff)
            price = None if pricing is None else make_pricing(pricing)
            user, assistant = _sums(episode, model, price)
    except _UnscorableError as failed:
        return Rescored(id=episode.id, recorded=recorded, failure=failed.kind, message=str(failed))
    return Rescored(
        id=episode.id,
        failure=kind,
        message=message,
        user=float(sum(user.values())),
        assistant=float(sum(assistant.values())),
        user_items=user,
        assistant_items=assistant,
        recorded=recorded,
    )


def payoff_model(payoff: str | PayoffModel) -> PayoffModel:
    """Return a payoff model that scores outcomes; an unknown name is told ``paper`` among the known ones.

    Raises:
        UnknownNameError: There is no such payoff model.
        UsageError: A setting is out of range, or it is the ``paper`` model, which scores no outcomes.

    Example:
        >>> payoff_model("grounded:wrong=0.3").wrong
        0.3
    """
    try:
        return make_payoff_model(payoff)
    except UnknownNameError as error:
        raise UnknownNameError("payoff model", error.name, [*PAYOFF_MODELS, PAPER]) from None


def _sums(
    episode: Episode, payoff: PayoffModel | None, pricing: PricingPolicy | None
) -> tuple[dict[str, float], dict[str, float]]:
    own_payoff, own_pricing = _recorded_rules(episode)
    own = _paper_steps(episode)[0] if own_payoff is None else _steps(episode, own_payoff, own_pricing)
    _check_own(episode, own)
    model = payoff or own_payoff
    if model is None:
        raise _UnscorableError("no_prices", "it was played under the paper model, which knows no prices: name a payoff")
    made_steps = _steps(episode, model, pricing or own_pricing)
    return _summed([made.user for made in made_steps]), _summed([made.assistant for made in made_steps])


def _check_own(episode: Episode, own: Sequence[Payoffs]) -> None:
    """Refuse a record whose own rules do not give its payoffs."""
    for step, made in zip(episode.steps, own, strict=True):
        if (step.user.items, step.assistant.items) != (made.user, made.assistant):
            raise _UnscorableError("record_differs", "its own payoff model and price do not give the recorded payoffs")


def _recorded_rules(episode: Episode) -> tuple[PayoffModel | None, PricingPolicy]:
    """Return the payoff model (``None`` for the paper's) and the price that an episode was played under."""
    names = {**episode.config, **{k: v for k, v in episode.reset_options.items() if k == "pricing" and v is not None}}
    if "payoff" not in names or "pricing" not in names or "user_type" not in episode.hidden:
        raise _UnscorableError("no_outcomes", "the payoffs of this game do not follow from outcomes, types and prices")
    try:
        return None if _is_paper(episode) else make_payoff_model(names["payoff"]), make_pricing(names["pricing"])
    except UsageError as error:
        raise _UnscorableError(
            "unknown_recorded", f"the record was made under rules that are not known here: {error}"
        ) from None


def _steps(episode: Episode, payoff: PayoffModel, pricing: PricingPolicy) -> list[Payoffs]:
    """Return both sides' items of every step."""
    try:
        theta = UserType.from_mapping(episode.hidden["user_type"])
        outcomes = [_outcome(step) for step in episode.steps]
    except (TypeError, UsageError) as error:
        raise _UnscorableError("record_differs", f"the record holds what is no type or outcome: {error}") from None
    made = [Payoffs(payoff.user(outcome, theta, pricing), payoff.assistant(outcome, pricing)) for outcome in outcomes]
    if made and episode.ended == "terminated" and "retention" in made[-1].assistant:
        made[-1].assistant["retention"] = payoff.retention(sum(sum(step.user.values()) for step in made))
    return made


def _outcome(step: StepRecord) -> Outcome:
    """Return what a step led to; a turn in which the user wrote led to words typed, and to nothing else."""
    if step.outcome is not None:
        return Outcome(**{"characters": _characters(step, step.outcome), **step.outcome})
    words = 0 if step.user.move == "LEAVE" or step.to_move != USER else len(step.user.text.split())
    return Outcome(words_typed=float(words), exchanges=0.0, requests=0.0)


def _characters(step: StepRecord, outcome: Mapping[str, float]) -> float:
    """Return how long a reply was, for records that were made before outcomes told it."""
    tokens = outcome.get("tokens_out", 0.0)
    return (
        float(len(clean_text(step.assistant.text))) if step.assistant.text and tokens else CHARACTERS_PER_TOKEN * tokens
    )


def _summed(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Add up items by name."""
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: float(sum(row.get(name, 0.0) for row in rows)) for name in names}


# -- the published reward on episodes -------------------------------------------------------------------------------------


def _is_paper(episode: Episode) -> bool:
    """Return whether an episode was played under the published reward."""
    return bool(episode.config.get("payoff") == PAPER)


def _paper_sums(episode: Episode) -> tuple[dict[str, float], dict[str, float], str, str]:
    """Return the published reward's items, summed over the replies, with the first failure among these and what it means."""
    payoffs, scores = _paper_steps(episode)
    if not scores:
        raise _UnscorableError(
            "no_model_output", "the paper model scores what a language model wrote, and none wrote here"
        )
    if _is_paper(episode):
        _check_own(episode, payoffs)
    unread = [score for score in scores if score.failure]
    message = f"{len(unread)} of {len(scores)} replies could not be read: {unread[0].message}" if unread else ""
    user, assistant = _summed([made.user for made in payoffs]), _summed([made.assistant for made in payoffs])
    return user, assistant, unread[0].failure if unread else "", message


def _paper_steps(episode: Episode) -> tuple[list[Payoffs], list[PaperScore]]:
    """Return both sides' items of every step, and the scores of the replies; what is no reply pays nothing."""
    payoffs, scores = [], []
    for step in episode.steps:
        output = _raw_output(episode, step)
        score = PaperScore()
        if output is not None:
            alternative = float(episode.config.get("safe_alternative", 0.0))
            harmful = step.public.get("kind") == "harmful"
            score = reply_score(output, Outcome(**(step.outcome or {})), harmful=harmful, alternative=alternative)
            scores.append(score)
        payoffs.append(
            Payoffs(
                dict.fromkeys(USER_ITEMS, 0.0) | dict(score.user),
                dict.fromkeys(ASSISTANT_ITEMS, 0.0) | dict(score.assistant),
            )
        )
    return payoffs, scores


def _raw_output(episode: Episode, step: StepRecord) -> str | None:
    """Return what the assistant wrote in a step; ``None`` where it wrote nothing that could be scored.

    Played under the published reward, it is what was sent; else it is what a model is known to have written.
    """
    if step.to_move != ASSISTANT:
        return None
    if not _is_paper(episode):
        return str(step.assistant.model["text"]) if step.assistant.model.get("text") else None
    sent = step.assistant.action
    return "" if step.assistant.illegal else str(sent["text"] if isinstance(sent, Mapping) else sent)


# -- the published outputs ---------------------------------------------------------------------------------------------


def rescore_published(path: str | Path) -> Iterator[Rescored]:
    """Score a file of published outputs, row by row: JSON lines with ``output``, ``answer_reward`` and ``source``.

    A line that cannot be read is a result with a failure, like a row that lacks something; blank lines are no rows.

    Raises:
        FileFormatError: The file is missing, or not even its first line is a JSON object.

    Example:
        >>> import tempfile
        >>> place = Path(tempfile.mkdtemp()) / "rows.jsonl"
        >>> _ = place.write_text('{"output": "", "answer_reward": 0, "source": "ambig_qa"}')
        >>> [result.failure for result in rescore_published(place)]
        ['no_response']
    """
    path = Path(path)
    if not path.is_file():
        problem = "this is a folder" if path.is_dir() else "there is no such file"
        raise FileFormatError(path, f"{problem}: expected JSON lines with output, answer_reward and source")
    with path.open("rb") as file:
        lines = [(number, line) for number, line in enumerate(file, start=1) if line.strip()]
    for place, (number, line) in enumerate(lines):
        try:
            row = json.loads(line)
            problem = "" if isinstance(row, dict) else f"expected one JSON object per line, got {type(row).__name__}"
        except (ValueError, RecursionError) as error:
            row, problem = {}, f"expected one JSON object per line: {error}"
        if problem and not place:
            raise FileFormatError(path, problem, line=number)
        yield Rescored(failure="bad_row", message=f"line {number}: {problem}") if problem else rescore_row(row)


def rescore_row(row: Mapping[str, Any]) -> Rescored:
    """Score one published row under the ``paper`` model.

    A row whose output cannot be read has payoffs of 0, as published, *and* a failure; a row that lacks something has no payoffs.

    Example:
        >>> rescore_row({"output": "no blocks", "answer_reward": 0, "source": "ambig_qa"}).as_dict()["failure"]["type"]
        'no_response'
        >>> rescore_row({"output": "no blocks"}).failure
        'bad_row'
    """
    recorded = _published(row)
    missing = [key for key in ("output", "answer_reward", "source") if key not in row]
    if missing or not isinstance(row["output"], str):
        what = f"lacks {', '.join(missing)}" if missing else f"has an output that is no text: {row['output']!r:.80}"
        return Rescored(recorded=recorded, failure="bad_row", message=f"the row {what}")
    try:
        score = paper_score(row["output"], row["answer_reward"], row["source"], truth=str(row.get("gts", "")))
    except (GtalignError, TypeError) as error:
        return Rescored(recorded=recorded, failure="bad_row", message=str(error))
    user, assistant = score.totals
    return Rescored(
        user=user,
        assistant=assistant,
        user_items=score.user,
        assistant_items=score.assistant,
        recorded=recorded,
        failure=score.failure,
        message=score.message,
    )


def _published(row: Mapping[str, Any]) -> tuple[float, float] | None:
    user, assistant = row.get("user_reward"), row.get("llm_reward")
    if isinstance(user, (int, float)) and isinstance(assistant, (int, float)):
        return float(user), float(assistant)
    return None
