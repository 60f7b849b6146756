"""What an episode is to a learner: a row for each of the assistant's turns, with the very tokens that were sampled.

A turn is a row of its own, because the conversation that a model is shown holds its replies and not its earlier chains. Rows
are token-in, token-out: nothing is ever tokenised again.

A payoff block is held to a grammar, so its tokens were drawn from the model's distribution *cut down to what was allowed*. Its
rows keep that distribution's log-probability (the free model's less that of all that was allowed, as recorded), and the
learner cuts its own in the same way (``scoring``): a ratio compares like with like, and a token that the grammar forced has
probability 1 in both, and no gradient.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gtalign_env.episode import Episode, StepRecord
from gtalign_env.errors import UsageError
from gtalign_env.sampled import sampled_spans
from gtalign_env.types import USER

__all__ = ["Held", "Turn", "bunches", "chain_failures", "tokens_of", "turns_of", "user_of"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Held:
    """A stretch of a row that was held to a form."""

    start: int
    end: int
    schema: str
    """The JSON schema."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Turn:
    """One turn of the assistant: T tokens, of which the model sampled some."""

    ids: NDArray[np.int64]
    """(T,)"""
    mask: NDArray[np.bool_]
    """Whether the model sampled this token, (T,)."""
    logprobs: NDArray[np.float64]
    """Where it did, the log-probability with which it was drawn, (T,)."""
    free: NDArray[np.float64]
    """The same under the model without a grammar, (T,)."""
    held: tuple[Held, ...] = ()
    known: bool = True
    """Whether ``logprobs`` are; an engine may not tell how likely all that its grammar allowed was."""
    payoffs: tuple[float, float] = (0.0, 0.0)
    """What user and assistant had from this turn to the assistant's next, utils."""
    episode: int = 0
    """Which episode of its batch."""
    place: tuple[str, ...] = ()
    """Where in its session it was: question and reply, where the game says so; else the number of the turn."""
    move: str = ""
    violation: bool = False
    """Whether it complied with harm."""
    version: int = 0
    """Of the weights that it was sampled with."""

    def __len__(self) -> int:
        """Return the number of tokens."""
        return len(self.ids)


def turns_of(episode: Episode, *, number: int = 0, schema: str = "", version: int = 0) -> list[Turn]:
    """Return an episode's turns.

    Args:
        episode: Played to its end.
        number: Which episode of its batch.
        schema: What its payoff blocks were held to.
        version: Of the weights.

    Raises:
        UsageError: The record lacks the tokens, or the episode failed: it is no evidence of anything.

    Example:
        >>> turns_of(Episode(scenario="s", view="text", seed=0, ended="terminated"))
        []
    """
    if episode.ended not in ("terminated", "truncated"):
        raise UsageError(f"expected an episode that was played to its end, got one that ended as {episode.ended!r}")
    own = [place for place, step in enumerate(episode.steps) if step.assistant.model]
    ends = [*own, len(episode.steps)][1:]
    made = []
    for count, (start, end) in enumerate(zip(own, ends, strict=True)):
        paid = episode.steps[start:end]
        step = episode.steps[start]
        made.append(
            dataclasses.replace(
                _sampled(step.assistant.model, schema),
                payoffs=(sum(s.user.payoff for s in paid), sum(s.assistant.payoff for s in paid)),
                episode=number,
                place=_place(step, count),
                move=step.assistant.move,
                violation=bool(step.events.get("violation", False)),
                version=version,
            )
        )
    return made


def _sampled(record: Mapping[str, Any], schema: str) -> Turn:
    """Return the tokens of a recorded turn, what was held to a form among them."""
    spans = sampled_spans(record)
    logprobs, held, known = spans.logprobs.copy(), [], True
    for stage in record.get("stages") or ():
        if stage.get("block") != "payoff" or not schema or _left_alone(record):
            continue
        start = int(stage["start"])
        end = start + int(spans.mask[start : start + len(stage["token_ids"])].sum())
        held.append(Held(start=start, end=end, schema=schema))
        known = known and "allowed" in stage
        if "allowed" in stage:
            drawn = logprobs[start:end] - np.array(stage["allowed"][: end - start])
            logprobs[start:end] = np.minimum(drawn, 0.0)
    return Turn(ids=spans.ids, mask=spans.mask, logprobs=logprobs, free=spans.logprobs, held=tuple(held), known=known)


def _left_alone(record: Mapping[str, Any]) -> bool:
    """Return whether the engine held the payoffs to no form, although it was asked to."""
    return any(str(note).startswith("unguided") for note in record.get("chain", {}).get("notes", ()))


def _place(step: StepRecord, count: int) -> tuple[str, ...]:
    known = [str(step.public[name]) for name in ("question", "exchange") if name in step.public]
    return tuple(known) if known else (str(count),)


def chain_failures(episode: Episode) -> list[str]:
    """Return the kinds of failure of an episode's chains, those that were mended by another attempt included.

    Example:
        >>> chain_failures(Episode(scenario="s", view="text", seed=0))
        []
    """
    records = [step.assistant.model for step in episode.steps] + [episode.failed_call]
    return [
        str(failure.get("kind", "")) for record in records for failure in record.get("chain", {}).get("failures", ())
    ]


def user_of(episode: Episode) -> str:
    """Return who the user was, by the name of the persona.

    Example:
        >>> user_of(Episode(scenario="s", view="text", seed=0, players={"user_0": "persona:concise"}))
        'concise'
    """
    return episode.players.get(USER, "").removeprefix("persona:")


def bunches(lengths: Sequence[int], most: int) -> list[list[int]]:
    """Return rows in bunches of similar length, each of at most so many tokens with its padding, the longest first.

    Example:
        >>> bunches([3, 9, 2, 4], most=10)
        [[1], [3, 0], [2]]
    """
    order = sorted(range(len(lengths)), key=lambda row: (-lengths[row], row))
    made: list[list[int]] = []
    for row in order:
        if made and lengths[made[-1][0]] * (len(made[-1]) + 1) <= most:
            made[-1].append(row)
        else:
            made.append([row])
    return made


def tokens_of(turns: Iterable[Turn]) -> int:
    """Return how many tokens were sampled in some turns.

    Example:
        >>> tokens_of([])
        0
    """
    return sum(int(turn.mask.sum()) for turn in turns)
