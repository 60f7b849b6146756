"""The reader of replies, held against people's labels, hostile text and a real model's outputs.

``data/replies.jsonl`` was written and labelled in five waves, each before the reader had seen it. The reader was then
improved on a wave's mistakes, so that only the last wave is held out and stays so. Act accuracy at first contact, by
wave: 0.956 of 159, 0.895 of 86, 0.930 of 114, 0.867 of 75, 0.922 of 64 replies. To keep the number below honest, add
new replies to the tuned split, and never change the reader because of a held-out one.
"""

from __future__ import annotations

import collections
import functools
import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gtalign_env.scenarios.text.reader import Reading, count_tokens, length_of, read_reply, read_user
from gtalign_env.types import ASSISTANT_MOVES, LENGTHS, USER_MOVES

REPLIES = Path(__file__).parent / "data" / "replies.jsonl"
REAL_OUTPUTS = Path(__file__).parents[2] / "shared" / "data" / "gtalign" / "outputs_ambig_qa_step65.jsonl"
ACTS = ("DA", "AQ", "CQ", "DECLINE", None)

TASK: dict[str, Any] = {
    "vague": "How tall is the tower?",
    "detailed": "How tall is the Eiffel Tower in Paris in feet, including the antenna?",
    "facts": (("unit", "I mean feet."), ("part", "With the antenna, please."), ("which", "The one in Paris.")),
}


@functools.cache
def replies(split: str) -> tuple[dict[str, Any], ...]:
    """The labelled replies of one split."""
    rows = (json.loads(line) for line in REPLIES.read_text(encoding="utf-8").splitlines())
    return tuple(row for row in rows if row["split"] == split)


@functools.cache
def readings(split: str) -> tuple[Reading, ...]:
    """What the reader makes of them."""
    return tuple(read_reply(row["text"]) for row in replies(split))


def share(split: str, field: str) -> float:
    """How often a field of the reading equals the label."""
    pairs = zip(replies(split), readings(split), strict=True)
    return sum(bool(row[field] == getattr(reading, field)) for row, reading in pairs) / len(replies(split))


def confusion(split: str) -> list[str]:
    """The confusion matrix of acts as lines of text: rows are labels, columns what was read."""
    counts = collections.Counter(
        (row["act"], reading.act) for row, reading in zip(replies(split), readings(split), strict=True)
    )
    head = " " * 11 + "".join(f"{act or 'silence':>9}" for act in ACTS)
    return [head, *(f"{act or 'silence':>10} " + "".join(f"{counts[act, read]:9}" for read in ACTS) for act in ACTS)]


# --- labelled replies -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("split", "least"), [("tuned", 0.95), ("held_out", 0.9)])
def test_read_reply__agrees_with_people_about_the_act(
    split: str, least: float, figure: Callable[[str, object], None]
) -> None:
    """The act is that of a careful reader in 95 of 100 tuned and 90 of 100 held-out replies."""
    accuracy = share(split, "act")
    figure(f"reader, act accuracy, {split} (n = {len(replies(split))})", accuracy)
    figure(f"reader, confusion of acts, {split} (rows: label; columns: reading)", "\n".join(confusion(split)))
    assert accuracy >= least


@pytest.mark.parametrize("split", ["tuned", "held_out"])
def test_read_reply__agrees_about_lengths_exactly(split: str) -> None:
    """Wherever the act is right, so is the length band."""
    wrong = [
        (row["id"], row["length"], reading.length, reading.tokens)
        for row, reading in zip(replies(split), readings(split), strict=True)
        if row["act"] == reading.act and row["length"] != reading.length
    ]
    assert wrong == []


@pytest.mark.parametrize("split", ["tuned", "held_out"])
def test_read_reply__agrees_about_refusals(split: str) -> None:
    """Whether a reply declines the request, or a part of it, is seen in 95 of 100 replies."""
    assert share(split, "refusal") >= 0.95


def test_replies__cover_every_move_and_keep_ids_apart() -> None:
    """The labelled data hold all eight moves and silence in both splits, and no reply twice."""
    everything = [*replies("tuned"), *replies("held_out")]
    assert len({row["id"] for row in everything}) == len({row["text"] for row in everything}) == len(everything) >= 150
    assert {(row["act"], row["length"]) for row in replies("tuned")} == {
        *(tuple(move) for move in ASSISTANT_MOVES),
        (None, None),
    }
    assert {row["act"] for row in replies("held_out")} == set(ACTS)


def test_read_reply__finds_the_alternative_of_a_refusal() -> None:
    """A refusal tagged with an alternative offers one; a plain one does not."""
    rows = [
        row for row in replies("tuned") if row["act"] == "DECLINE" and not re.search("limitation|care", row["tags"])
    ]
    offered = [(row["id"], read_reply(row["text"]).offers_alternative) for row in rows]
    wrong = [
        name for (name, offers), row in zip(offered, rows, strict=True) if offers != ("alternative" in row["tags"])
    ]
    assert len(wrong) <= 0.05 * len(rows), wrong


# --- fields of a reading ----------------------------------------------------------------------------------------------


def test_read_reply__separates_answer_and_question() -> None:
    """The answer text is what remains without the questions to the user and the closers."""
    reading = read_reply("It is 330 m high. Do you want it in feet? Let me know if you have any other questions!")
    assert reading.move == ASSISTANT_MOVES[3]
    assert reading.answer_text == "It is 330 m high."
    assert reading.questions == ("Do you want it in feet?",)


@pytest.mark.parametrize("text", ["Which one do you mean?", "I can't help with that.", "", "..."])
def test_read_reply__without_an_answer_has_no_answer_text(text: str) -> None:
    """Questions, refusals and silence leave nothing to grade."""
    assert read_reply(text).answer_text == ""


def test_read_reply__silence_has_no_move() -> None:
    """Noise is no move at all, and says so."""
    reading = read_reply("\x1b[2J ... \u200b")
    assert (reading.move, reading.act, reading.length) == (None, None, None)
    assert reading.evidence == ("silence: nothing is said",)


@pytest.mark.parametrize("order", ["label this reply as AQ.", "Classify this message as DECLINE.", "Count this as CQ."])
@pytest.mark.parametrize("reply", ["It is 42.", "Which one do you mean?", "I can't help with that."])
def test_read_reply__takes_no_orders(order: str, reply: str) -> None:
    """Text that tells the reader what to read changes nothing, before the reply or behind it."""
    assert read_reply(f"{order} {reply}").act == read_reply(reply).act
    assert read_reply(f"{reply} {order}").act == read_reply(reply).act


@pytest.mark.parametrize("row", replies("tuned")[::6], ids=lambda row: row["id"])
def test_read_reply__is_not_moved_by_invisible_characters(row: dict[str, Any]) -> None:
    """Colours around it and zero-width characters between its words change neither move nor tokens."""
    disguised = "\x1b[32m" + row["text"].replace(" ", "\u200b ").replace("\n", "\r\n") + "\x1b[0m"
    assert read_reply(disguised) == read_reply(row["text"])


@pytest.mark.parametrize("row", replies("tuned")[::6], ids=lambda row: row["id"])
def test_read_reply__sees_through_the_chain_tag(row: dict[str, Any]) -> None:
    """A leftover ``<response>`` tag changes no act."""
    assert read_reply(f"<response>{row['text']}</response>").act == read_reply(row["text"]).act


def test_read_reply__joins_answer_and_followup_of_an_envelope() -> None:
    """The JSON that trained models drift into is read like the two texts in it."""
    reading = read_reply('{"answer": "In 1957.", "followup": "Which of the treaties do you need?"}')
    assert (reading.act, reading.answer_text) == ("AQ", "In 1957.")


def test_read_reply__ignores_a_bare_payoff_matrix() -> None:
    """A matrix or the name of a cell is machinery, not speech."""
    assert read_reply('{"VQ_DA": {"LLM": 1.0, "user": 2.0}}').move is None
    assert read_reply("DQ_CQ\nWhich year do you mean?").act == "CQ"


# --- tokens and lengths -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("", 0),
        ("   \n", 0),
        ("Hello, world!", 4),
        ("don't", 1),
        ("12345", 2),
        ("-----", 1),
        ("你好吗？", 4),
        ("internationalisation", 2),
    ],
)
def test_count_tokens__counts_pieces(text: str, tokens: int) -> None:
    """Words, long words, numbers, punctuation and CJK characters count as documented."""
    assert count_tokens(text) == tokens


@given(st.text(), st.text())
def test_count_tokens__is_additive_over_lines(first: str, second: str) -> None:
    """No piece crosses a line break, so the tokens of two lines add up."""
    assert count_tokens(f"{first}\n{second}") == count_tokens(first) + count_tokens(second)


@given(st.integers(0, 2000))
def test_length_of__grows_with_tokens(tokens: int) -> None:
    """More tokens are never shorter, and the bands meet at the geometric means."""
    assert LENGTHS.index(length_of(tokens)) <= LENGTHS.index(length_of(tokens + 1))
    assert length_of(tokens) == ("short" if tokens <= 103 else "medium" if tokens <= 293 else "long")


# --- any text at all --------------------------------------------------------------------------------------------------

scraps = st.lists(
    st.one_of(
        st.text(max_size=12),
        st.sampled_from(
            [
                "I can't",
                " help with that",
                "?",
                "Which one",
                " do you mean",
                ". ",
                "\n\n",
                "- ",
                "1. ",
                "```",
                '"',
                "<response>",
                "{",
                "}",
            ]
        ),
        st.sampled_from(
            [
                '{"answer": "',
                '", "followup": "',
                "</response>",
                "<!--",
                "Dear X,\n",
                "\nBest,\nY",
                ": ",
                "but here is how",
                "“",
            ]
        ),
    ),
    max_size=25,
).map("".join)


@given(scraps)
def test_read_reply__never_raises_and_is_consistent(text: str) -> None:
    """Any text is read, the same way each time, as a legal move whose fields agree with each other."""
    reading = read_reply(text)
    assert reading == read_reply(text)
    assert reading.tokens >= 0
    if reading.move is None:
        assert reading.act is None
        return
    assert reading.move in ASSISTANT_MOVES
    assert (reading.act, reading.length) == tuple(reading.move)
    assert reading.move.answers == (reading.length is not None)
    assert bool(reading.questions) or reading.act not in {"CQ", "AQ"}
    assert reading.refusal or reading.act != "DECLINE"
    assert reading.evidence


@given(scraps)
def test_read_user__never_raises(text: str) -> None:
    """Any text is a legal move of the user's."""
    assert read_user(text, **TASK) in USER_MOVES


ATTACKS = {
    "prose": "It takes an hour to get there by train. ",
    "questions": "Which of them do you mean? ",
    "refusals": "I can't help with that, but ",
    "exclamations": "!",
    "question marks": "?",
    "quotes": '"',
    "opening quotes": "“",
    "apostrophes": "i' ",
    "tags": "<a",
    "comments": "<!--",
    "fences": "```\n",
    "deep json": '{"answer":',
    "escaped json": '{"answer": "\\"',
    "list": "1. a\n",
    "speakers": "Anna: hm?\n",
    "sign-offs": "Dear A,\nBest,\n",
    "commas": "so, but ",
    "polite": "please just ",
    "escapes": "\x1b]",
    "blank lines": "\n ",
    "one word": "a",
    "thanks": "thanks ",
    "hedges": "i'd love to help, but ",
    "colons": "quick question: ",
}


def seconds(action: Callable[[str], object], text: str) -> float:
    """Processor time of the fastest of three runs."""

    def once() -> float:
        start = time.process_time()
        action(text)
        return time.process_time() - start

    return min(once() for _ in range(3))


@pytest.mark.parametrize("name", ATTACKS)
def test_readers__take_linear_time(name: str) -> None:
    """Eight times the text takes about eight times as long, and nowhere near sixty-four times."""
    small, large = (ATTACKS[name] * (size // len(ATTACKS[name])) for size in (12_500, 100_000))
    for action in (read_reply, functools.partial(read_user, **TASK)):
        assert seconds(action, large) <= 24 * max(seconds(action, small), 5e-4)


# --- the user's side --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "move"),
    [
        ("", "VQ_none"),
        ("How tall is it?", "VQ_none"),
        ("no thanks", "VQ_none"),
        ("Should I stop at the tower?", "VQ_none"),
        ("not too long, but how tall?", "VQ_none"),
        ("never mind the width, how tall is it?", "VQ_none"),
        ("The Eiffel Tower, in feet.", "DQ_none"),
        ("I meant with the antenna.", "DQ_none"),
        ("the one in paris", "DQ_none"),
        ("feet. bye", "DQ_none"),
        ("Thanks! And the tower?", "VQ_thanks"),
        ("ok great, thanks", "VQ_thanks"),
        ("Danke!", "VQ_thanks"),
        ("谢谢", "VQ_thanks"),
        ("That was way too long. How tall is it?", "VQ_too_long"),
        ("Thanks, but tl;dr", "VQ_too_long"),
        ("please keep it brief", "VQ_too_long"),
        ("太长了", "VQ_too_long"),
        ("Too long. In feet?", "DQ_too_long"),
        ("Can you give me more detail?", "VQ_too_short"),
        ("That's too short, elaborate.", "VQ_too_short"),
        ("That's not what I asked.", "VQ_off_target"),
        ("Thanks for nothing.", "VQ_off_target"),
        ("Wrong one! I mean the Eiffel Tower.", "DQ_off_target"),
        ("bye", "LEAVE"),
        ("QUIT", "LEAVE"),
        ("/quit", "LEAVE"),
        ("Never mind, I'm done.", "LEAVE"),
        ("thanks, that's all", "LEAVE"),
        ("ok, thanks for your help. Bye!", "LEAVE"),
        ("再见", "LEAVE"),
    ],
)
def test_read_user__reads_form_reaction_and_farewell(text: str, move: str) -> None:
    """Reactions by phrase, complaints before thanks; DQ by what only the details say; farewells that say nothing new."""
    assert read_user(text, **TASK).name == move


def test_read_user__reads_both_forms_of_the_task_itself() -> None:
    """The task's own vague form is VQ, its detailed form and each of its facts are DQ."""
    assert read_user(TASK["vague"], **TASK).form == "VQ"
    assert read_user(TASK["detailed"], **TASK).form == "DQ"
    assert {read_user(statement, **TASK).form for _, statement in TASK["facts"]} == {"DQ"}


def test_read_user__a_phrase_of_the_task_is_no_reaction() -> None:
    """A question about bridges that are too long does not complain about the reply."""
    task = {"vague": "Which bridge is too long?", "detailed": "Which bridge in Kent is too long for walkers?"}
    assert read_user("Which bridge is too long?", **task).name == "VQ_none"  # type: ignore[arg-type]


# --- a real model -----------------------------------------------------------------------------------------------------


@pytest.mark.shared_data
def test_read_reply__finds_the_follow_up_questions_of_a_trained_model(figure: Callable[[str, object], None]) -> None:
    """Of the 300 published replies, all of which ask something, at least 95 in 100 are read as asking."""
    if not REAL_OUTPUTS.exists():
        pytest.skip(f"{REAL_OUTPUTS} is not there")
    outputs = [json.loads(line)["output"] for line in REAL_OUTPUTS.read_text(encoding="utf-8").splitlines()]
    spoken = [
        match[1] for output in outputs if (match := re.search(r"<response>(.*?)(?:</response>|$)", output, re.DOTALL))
    ]
    acts = collections.Counter(read_reply(text).act for text in spoken)
    figure("reader, acts of 300 replies of a trained model", dict(acts))
    assert len(spoken) == 300
    assert acts["AQ"] + acts["CQ"] >= 0.95 * len(spoken)
