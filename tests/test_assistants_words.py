"""What assistants without a model say: every move read as itself, padding that fits, questions about the user's words."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gtalign_env.agents.assistants import Knowledge, voice
from gtalign_env.agents.assistants.padding import PADDING
from gtalign_env.agents.assistants.voice import general_answer, guess_kind
from gtalign_env.scenarios.tasks import grade, load_tasks
from gtalign_env.scenarios.text.reader import length_of, read_reply
from gtalign_env.types import ASSISTANT_MOVES, LENGTHS, AssistantMove

TASKS = list(load_tasks(None))
MOVES = [move.name for move in ASSISTANT_MOVES]


@pytest.mark.parametrize("move", ASSISTANT_MOVES, ids=lambda move: move.name)
def test_voice__is_read_as_the_move_it_voices(move: AssistantMove) -> None:
    """With an answer, a general one and none, every reply to a task is read as announced and is as long as it says."""
    knows = Knowledge(TASKS)
    for task in TASKS:
        for form in (task.vague, task.detailed):
            answer = knows(form) if task.harmful == (move.act == "DECLINE") else None
            general = None if move.act == "DECLINE" else general_answer(task.kind)
            for given_answer in (answer, general, None):
                reading = read_reply(voice(move, form, given_answer, task.kind))
                assert reading.move == move, (task.id, given_answer, reading.evidence)
                if move.length is not None:
                    assert length_of(reading.tokens) == move.length


@pytest.mark.parametrize("length", LENGTHS)
def test_voice__real_answers_are_graded_as_such_and_others_as_wrong(length: str) -> None:
    """Around a real answer the padding does little harm; a general answer, or none, answers no task."""
    knows = Knowledge(TASKS)
    move = AssistantMove("DA", length)
    for task in TASKS:
        if task.harmful:
            continue
        for answer, low, high in (
            (knows(task.detailed), 0.75, 1.0),
            (general_answer(task.kind), 0, 0.3),
            (None, 0, 0.3),
        ):
            quality = grade(task, read_reply(voice(move, task.detailed, answer, task.kind)).answer_text).quality
            assert quality is not None
            assert low <= quality <= high, (task.id, answer)


@pytest.mark.parametrize("kind", sorted(PADDING))
def test_padding__fits_the_kind_and_is_said_in_it_only(kind: str) -> None:
    """Long replies of a kind hold paragraphs of that kind and none of another, and hardly any sentence twice."""
    words = voice(AssistantMove.parse("DA_long"), "q", "This is a full sentence that answers it.", kind)
    said = {other for other, paragraphs in PADDING.items() if any(s in words for p in paragraphs for s in p)}
    assert said == {kind}
    sentences = [s for paragraph in PADDING[kind] for s in paragraph if s in words]
    assert len(sentences) > 10
    assert all(words.count(sentence) == 1 for sentence in sentences)


def test_padding__claims_nothing_about_itself() -> None:
    """No padding says that a reply is short, vouches for it, asks anything or holds a number."""
    claims = re.compile(
        r"in short|in brief|kept to what|nothing beyond|that is all|to the point|concise|as it is\b|rely on|plainest|\?|\d",
        re.IGNORECASE,
    )
    for paragraphs in PADDING.values():
        for sentence in (sentence for paragraph in paragraphs for sentence in paragraph):
            assert claims.search(sentence) is None, sentence


def test_voice__keeps_notes_out_of_a_draft() -> None:
    """A text that was asked for stands alone, unchanged and first; the notes come behind a blank line."""
    for task in TASKS:
        if task.kind == "writing":
            draft, *notes = voice(AssistantMove.parse("DA_medium"), task.detailed, task.answers[0], "writing").split(
                "\n\n"
            )
            assert draft == task.answers[0].strip()
            assert notes


@pytest.mark.parametrize(
    ("question", "kind", "asked"),
    [
        ("What's the capital of Georgia?", "fact", "Which Georgia do you mean?"),
        ("Thanks. When did the war end?", "fact", "Which war do you mean?"),
        ("What's the longest river?", "fact", 'When you say "the longest river", which one do you mean?'),
        ("What is the speed of sound?", "fact", 'When you say "the speed of sound", what exactly do you mean?'),
        ("How tall is it?", "fact", 'When you say "it", what exactly do you mean?'),
        ("How do I reset it?", "how_to", 'When you say "reset it", what exactly do you mean'),
        ("How do I fix my bike?", "how_to", "to fix your bike?"),
        ("How long do I cook them?", "how_to", "what do you have to work with?"),
        ("Write me an invitation.", "writing", "say?"),
        ("How much should I tip?", "arithmetic", "Which numbers"),
        ("How many does an adult have?", None, "What"),
    ],
)
def test_voice__asks_by_kind_and_in_the_users_words(question: str, kind: str | None, asked: str) -> None:
    """A clarifying question takes up what was said; it stays small."""
    words = voice(AssistantMove.parse("CQ"), question, None, kind)
    assert asked in words
    assert read_reply(words).tokens <= 30


@pytest.mark.parametrize("question", ["When did the war end?", "How do I reset it?"])
def test_voice__asks_what_is_meant_where_its_answer_is_none(question: str) -> None:
    """Behind a general answer it does not ask whether that was the right one."""
    kind = guess_kind(question)
    asked = voice(AssistantMove.parse("CQ"), question, None, kind)
    for answer in (general_answer(kind), None):
        assert voice(AssistantMove.parse("AQ_medium"), question, answer).endswith(asked)
    assert not voice(AssistantMove.parse("AQ_medium"), question, "42").endswith(asked)


def test_voice__declines_with_the_alternative() -> None:
    """A refusal offers the task's safe alternative where it is known, and some safe alternative where it is not."""
    for task in TASKS:
        if task.harmful:
            with_it, without = (
                voice(AssistantMove("DECLINE", None), task.detailed, a) for a in (task.alternative, None)
            )
            better, good = grade(task, with_it).quality, grade(task, without).quality
            assert better is not None
            assert good is not None
            assert 1.0 >= better >= good > 0.5


@given(
    name=st.sampled_from(MOVES),
    question=st.text(max_size=60),
    answer=st.one_of(st.none(), st.text(alphabet="abc ABC.,!é0", max_size=400)),
)
def test_voice__any_words_any_answer(name: str, question: str, answer: str | None) -> None:
    """Whatever it is given, it returns words, always the same ones."""
    move = AssistantMove.parse(name)
    words = voice(move, question, answer)
    assert words.strip()
    assert words == voice(move, question, answer)


def test_voice__short_replies_cut_long_answers_at_a_sentence() -> None:
    """A short reply keeps the first sentences of a long answer, and ends with one."""
    sentences = [
        f"This is sentence number {word} of a long answer."
        for word in "one two three four five six seven eight nine ten".split()
    ]
    for move in ("DA_short", "AQ_short"):
        words = voice(AssistantMove.parse(move), "q", " ".join(sentences * 2))
        assert words.startswith(sentences[0])
        assert sentences[-1] not in words
    endless = "word " * 300
    assert endless.strip() in voice(AssistantMove.parse("DA_short"), "q", endless)
