"""Games as single sequences: nothing is put behind a text that it was not sampled behind."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gtalign_env.episode import Episode, SideRecord, StepRecord
from gtalign_env.training.adapters.rows import HARM, fair_totals, rows_of
from gtalign_env.training.llm.trajectory import Held, Turn


def turn(ids: list[int], mask: list[int], **fields: Any) -> Turn:
    """Return a turn whose sampled tokens have log-probability −1."""
    there = np.array(mask, dtype=bool)
    logprobs = np.where(there, -1.0, 0.0)
    return Turn(**{"ids": np.array(ids), "mask": there, "logprobs": logprobs, "free": logprobs.copy(), **fields})


def test_rows__a_turn_that_continues_the_last_is_in_its_sequence() -> None:
    """Two turns, of which the second's prompt begins with all of the first, are one sequence; the user's words are masked."""
    (row,) = rows_of([turn([1, 2, 7], [0, 0, 1]), turn([1, 2, 7, 3, 3, 8, 9], [0, 0, 0, 0, 0, 1, 1])])
    assert row.prompt_ids == [1, 2]
    assert row.completion_ids == [7, 3, 3, 8, 9]
    assert row.mask == [1, 0, 0, 1, 1]
    assert row.logprobs == [-1.0, 0.0, 0.0, -1.0, -1.0]
    assert row.turns == 2


def test_rows__a_turn_that_does_not_begins_another() -> None:
    """Where an earlier chain is not shown again, the next turn is a sequence of its own."""
    rows = rows_of([turn([1, 2, 7, 7], [0, 0, 1, 1]), turn([1, 2, 7, 3, 8], [0, 0, 0, 0, 1])])
    assert [(row.prompt_ids, row.completion_ids) for row in rows] == [([1, 2], [7, 7]), ([1, 2, 7, 3], [8])]


def test_rows__what_a_grammar_forced_is_no_decision() -> None:
    """Tokens with a single choice have no mask; free ones beside them keep theirs, with the free model's log-probability."""
    made = turn([1, 5, 6, 7], [0, 1, 1, 1], held=(Held(start=1, end=3, schema="{}"),))
    made.logprobs[:] = [0.0, 0.0, -0.5, 0.0]  # 5 was forced, 6 chosen; 7 is free
    (row,) = rows_of([made])
    assert row.mask == [0, 1, 1]
    assert row.logprobs == [0.0, -1.0, -1.0]


def test_rows__a_game_without_a_word_has_none() -> None:
    """Nothing sampled, nothing to learn."""
    assert rows_of([turn([1, 2], [0, 0])]) == []


@given(st.lists(st.lists(st.integers(2, 9), min_size=1, max_size=3), min_size=1, max_size=5), st.data())
def test_rows__hold_every_sampled_token_once(replies: list[list[int]], data: st.DataObject) -> None:
    """Whatever turns continue one another: what was sampled is there once, and behind what it was sampled behind."""
    turns: list[Turn] = []
    shown: list[int] = [1]
    for reply in replies:
        turns.append(turn([*shown, *reply], [0] * len(shown) + [1] * len(reply)))
        kept = reply if data.draw(st.booleans()) else []  # a template may drop what was said
        shown = [*shown, *kept, 0]
    rows = rows_of(turns)
    assert sum(row.turns for row in rows) == len(turns)
    assert [t for row in rows for t, m in zip(row.completion_ids, row.mask, strict=True) if m] == sum(replies, [])  # noqa: RUF017
    for row in rows:
        whole = [*row.prompt_ids, *row.completion_ids]
        assert any(whole == made.ids.tolist() for made in turns)


def test_fair_totals__failures_pay_nothing_and_harm_the_least() -> None:
    """A failure has no reward; harm has less on both sides than the game itself paid."""
    steps = [StepRecord(user=SideRecord(digest="", payoff=3.0), assistant=SideRecord(digest="", payoff=1.0))]
    played = Episode(scenario="s", view="text", seed=0, ended="truncated", steps=steps)
    assert fair_totals(played) == (3.0, 1.0)
    played.violation = True
    assert fair_totals(played) == (HARM, HARM)
    played.ended = "error"
    assert fair_totals(played) is None
