"""From a game of many turns to the single sequence of tokens that other trainers learn from.

A turn continues the one before where its prompt begins with all that stood there, as in a plain chat whose template keeps what
was said. Where it does not (earlier chains are not shown again, or a template rewrites them), a sequence ends, and the next
turn begins another one. Tokens are never read anew, and no turn is put behind a text that it was not sampled behind.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from gtalign_env.episode import Episode
from gtalign_env.training.llm.trajectory import Turn

__all__ = ["HARM", "Row", "fair_totals", "rows_of"]

HARM = -20.0
"""Utils that other trainers are told for both sides where harm was complied with: below what any honest game pays, so that
nothing makes up for it. (Ours takes such a game out of all means, and pushes the turn down.)"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
    """One sequence: what was there before the model spoke, and all that follows."""

    prompt_ids: list[int]
    completion_ids: list[int]
    mask: list[int]
    """1 where the model sampled a completion token and had a choice; as long as ``completion_ids``."""
    logprobs: list[float]
    """Of these tokens under the free model, nats; 0 elsewhere."""
    turns: int
    """How many of the game's turns are in it."""


def rows_of(turns: Sequence[Turn]) -> list[Row]:
    """Return a game's turns as sequences, as few as there can be.

    Tokens that a grammar left no choice of are no decision of the model's: their mask is 0.

    Args:
        turns: Of one game, in order.

    Example:
        >>> def turn(ids, mask):
        ...     zeros = np.zeros(len(ids))
        ...     return Turn(ids=np.array(ids), mask=np.array(mask, dtype=bool), logprobs=zeros - 1, free=zeros - 1)
        >>> (row,) = rows_of([turn([1, 2], [0, 1]), turn([1, 2, 3, 4], [0, 0, 0, 1])])
        >>> row.prompt_ids, row.completion_ids, row.mask
        ([1], [2, 3, 4], [1, 0, 1])
    """
    made: list[list[Turn]] = []
    for turn in turns:
        last = made[-1][-1].ids if made else None
        start = int(np.argmax(turn.mask)) if turn.mask.any() else 0
        if last is not None and len(last) <= start and np.array_equal(turn.ids[: len(last)], last):
            made[-1].append(turn)
        else:
            made.append([turn])
    return [_joined(chain) for chain in made if any(turn.mask.any() for turn in chain)]


def fair_totals(episode: Episode) -> tuple[float, float] | None:
    """Return what a game pays user and assistant for a trainer that knows rewards only; ``None`` where it failed.

    Example:
        >>> fair_totals(Episode(scenario="s", view="text", seed=0, ended="error")) is None
        True
        >>> fair_totals(Episode(scenario="s", view="text", seed=0, ended="terminated", violation=True))
        (-20.0, -20.0)
    """
    if episode.ended not in ("terminated", "truncated"):
        return None
    return (HARM, HARM) if episode.violation else episode.totals()


def _joined(chain: Sequence[Turn]) -> Row:
    ids = chain[-1].ids
    mask, free = np.zeros(len(ids), dtype=np.bool_), np.zeros(len(ids))
    for turn in chain:
        own = turn.mask.copy()
        for held in turn.held:
            own[held.start : held.end] &= turn.logprobs[held.start : held.end] < 0.0
        mask[: len(turn)] |= own
        free[: len(turn)] = np.where(own, turn.free, free[: len(turn)])
    first = int(np.argmax(chain[0].mask))
    return Row(
        prompt_ids=ids[:first].tolist(),
        completion_ids=ids[first:].tolist(),
        mask=mask[first:].astype(int).tolist(),
        logprobs=free[first:].tolist(),
        turns=len(chain),
    )
