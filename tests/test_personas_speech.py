"""What personas say: from payoff items to a reaction, and from a move to words."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gtalign_env.agents.users import (
    Character,
    ScriptedPersona,
    Wording,
)
from gtalign_env.agents.users.card import Lies, Reactions, Tone
from gtalign_env.agents.users.character import Heard, react, truthful_reaction
from gtalign_env.agents.users.speech import Speaker, told_facts
from gtalign_env.types import ASSISTANT_MOVES, REACTIONS, AssistantMove, UserMove, UserType

TASK = {
    "id": "t",
    "kind": "fact",
    "vague": "How tall is it?",
    "detailed": "How tall is K2 in metres?",
    "facts": [["mountain", "I mean K2."], ["unit", "In metres, please."]],
    "harmful": False,
}


def heard(name: str, *, tokens: float = 180.0, quality: float = 0.9, **items: float) -> Heard:
    """A reply as it felt."""
    return Heard(move=AssistantMove.parse(name), tokens=tokens, quality=quality, items={"value": quality, **items})


# -- reactions --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (Heard(), "none"),
        (heard("DA_medium", quality=0.1), "off_target"),
        (heard("DA_long", tokens=480, length=-0.3), "too_long"),
        (heard("DA_short", tokens=60, length=-0.3), "too_short"),
        (heard("DA_medium", length=-0.01), "thanks"),
        (heard("DA_medium", quality=0.4, length=-0.01), "none"),
        (heard("DA_medium", price=-0.9), "too_long"),
        (heard("CQ", quality=0.0), "none"),
        (heard("DECLINE", quality=0.0), "off_target"),
        (heard("DECLINE", quality=0.3), "none"),
        (Heard(items={"time": -0.1}), "off_target"),
    ],
)
def test_truthful_reaction__follows_payoff_items(reply: Heard, expected: str) -> None:
    """Each reaction comes from the items it is about; silence and wrong refusals are off target."""
    rules = Reactions(too_dear_above=0.5)
    assert truthful_reaction(rules, reply, UserType(ideal_tokens=150.0), 150.0) == expected


def test_truthful_reaction__flat_fee_is_not_the_replys_fault() -> None:
    """The session's flat fee in the price item does not make a reply too dear."""
    paid = dataclasses.replace(heard("DA_medium", price=-1.0), fee=1.0)
    assert truthful_reaction(Reactions(too_dear_above=0.5), paid, UserType(), 150.0) == "thanks"
    assert paid.gain == pytest.approx(0.9)


@settings(max_examples=60, deadline=None)
@given(
    name=st.sampled_from([move.name for move in ASSISTANT_MOVES]),
    quality=st.floats(0, 1),
    length=st.floats(-2, 0),
    honesty=st.floats(0, 1),
    seed=st.integers(0, 10**6),
)
def test_react__only_known_reactions_and_honest_means_truthful(
    name: str, quality: float, length: float, honesty: float, seed: int
) -> None:
    """Whatever happens, a reaction is one of the five; an honest, expressive persona says the truth."""
    reply = heard(name, tokens=200.0, quality=quality, length=length)
    theta = UserType(ideal_tokens=100.0)
    rng = np.random.default_rng(seed)
    assert react(Character(honesty=honesty), reply, theta, 100.0, rng) in REACTIONS
    honest = Character(honesty=1.0, expressiveness=1.0)
    assert react(honest, reply, theta, 100.0, rng) == truthful_reaction(honest.reactions, reply, theta, 100.0)


def test_react__liars_turn_the_truth_round_or_say_what_the_card_says() -> None:
    """With honesty 0 the opposite is said, or the reaction that the card names for such a reply."""
    rng = np.random.default_rng(0)
    reply = heard("DA_long", tokens=480, length=-0.5)
    liar = Character(honesty=0.0, expressiveness=1.0)
    assert react(liar, reply, UserType(), 60.0, rng) == "too_short"
    flatterer = Character(honesty=0.0, expressiveness=1.0, lies=Lies(long="thanks"))
    assert react(flatterer, reply, UserType(), 60.0, rng) == "thanks"
    assert react(liar, Heard(), UserType(), 60.0, rng) == "none"
    refused = dataclasses.replace(liar, lies=Lies(refusal="too_short", question="thanks"))
    assert react(refused, heard("DECLINE", quality=0.0), UserType(), 60.0, rng) == "too_short"
    assert react(refused, heard("CQ", quality=0.0), UserType(), 60.0, rng) == "thanks"


def test_react__silence_and_dislike_of_questions_have_their_rates() -> None:
    """Expressiveness is the rate of speaking up; dislike of questions that of complaining about one."""
    rng = np.random.default_rng(0)
    quiet = Character(expressiveness=0.3)
    said = [react(quiet, heard("DA_medium", length=0.0), UserType(), 150.0, rng) for _ in range(3000)]
    assert said.count("thanks") / len(said) == pytest.approx(0.3, abs=0.04)
    curt = Character(expressiveness=1.0, reactions=Reactions(dislikes_questions=0.4))
    said = [react(curt, heard("CQ", quality=0.0), UserType(), 150.0, rng) for _ in range(3000)]
    assert said.count("off_target") / len(said) == pytest.approx(0.4, abs=0.04)


# -- words ------------------------------------------------------------------------------------------------------------


def speaker(**wording: Any) -> Speaker:
    """A speaker that neither greets nor closes."""
    return Speaker(Wording(**{"greeting": (), "closer": (), **wording}), np.random.default_rng(0))


@pytest.mark.parametrize(
    ("situation", "form", "expected"),
    [
        ("next_question", "VQ", "How tall is it?"),
        ("next_question", "DQ", "How tall is K2 in metres?"),
        ("rephrase", "VQ", "Again: How tall is it?"),
        ("rephrase", "DQ", "Let me put it differently: How tall is K2 in metres?"),
        ("answer_question", "DQ", "In metres, please."),
    ],
)
def test_speaker__says_what_form_and_situation_call_for(situation: str, form: str, expected: str) -> None:
    """Vague and detailed forms, rephrasings and answers come from the task."""
    assert speaker().say(UserMove(form, "none"), TASK, situation, "Which unit?") == expected


def test_speaker__vague_answers_are_no_answers() -> None:
    """A vague answer to a question holds no fact of the task."""
    words = speaker().say(UserMove("VQ", "none"), TASK, "answer_question", "Which unit?")
    assert words in Wording().answer_vague


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("Which unit do you want?", "In metres, please."),
        ("Which mountains do you mean?", "I mean K2."),
        ("The mountain, and the unit?", "I mean K2. In metres, please."),
        ("Say more?", "DETAILED"),
        ("", "DETAILED"),
    ],
)
def test_told_facts__by_topic_else_the_detailed_question(asked: str, told: str) -> None:
    """Facts are told whose topics the question names; otherwise the detailed question is put."""
    assert told_facts(TASK["facts"], asked, "DETAILED") == told  # type: ignore[arg-type]


def test_speaker__reactions_come_first_and_no_phrase_twice_in_a_row() -> None:
    """The reaction's phrase opens the line, and neighbours differ."""
    phrases = ("One.", "Two.", "Three.")
    voice = speaker(thanks=phrases)
    starts = [voice.say(UserMove("VQ", "thanks"), TASK, "next_question", "").split()[0] for _ in range(40)]
    assert set(starts) == set(phrases)
    assert all(a != b for a, b in itertools.pairwise(starts))


def test_speaker__empty_lists_fall_back_to_the_tasks_words() -> None:
    """A card may leave every list empty: then the task's own words are said."""
    lists = {field.name: () for field in dataclasses.fields(Wording) if field.name != "tone"}
    voice = speaker(**lists)
    assert voice.say(UserMove("VQ", "thanks"), TASK, "next_question", "") == TASK["vague"]
    assert voice.say(UserMove("VQ", "none"), TASK, "answer_question", "unit?") == TASK["vague"]
    assert voice.say(UserMove("DQ", "none"), TASK, "answer_question", "unit?") == "In metres, please."
    assert voice.say(UserMove("LEAVE", None), TASK, "next_question", "") == "Bye."


def test_speaker__greets_once_and_separates_parts() -> None:
    """The greeting stands in the first line only, and unfinished parts get a full stop before the next."""
    voice = Speaker(
        Wording(
            greeting=("hey there",), thanks=("ta",), closer=("bye now",), tone=Tone(greeting_rate=1, closer_rate=1)
        ),
        np.random.default_rng(0),
    )
    first, second = (voice.say(UserMove("VQ", "thanks"), TASK, "next_question", "") for _ in range(2))
    assert first == "hey there. ta. How tall is it? bye now"
    assert second == "ta. How tall is it? bye now"


def test_speaker__tone_touches_its_own_words_only() -> None:
    """Typos and lower case leave the question's names and numbers alone."""
    tone = Tone(lower_case=True, typos=1.0, final_stop=False)
    voice = speaker(ask_detailed=("Kindly explain properly: {question}",), tone=tone)
    task = {**TASK, "detailed": "Convert 5 kW into BTU for Mr McAdam."}
    words = voice.say(UserMove("DQ", "none"), task, "next_question", "")
    own, _, content = words.partition(": ")
    assert content == "convert 5 kW into BTU for Mr McAdam"
    assert own == own.lower()
    typed = own.split()
    for meant, word in zip("kindly explain properly".split(), typed, strict=True):
        assert sorted(word) == sorted(meant)
    assert own != "kindly explain properly"
    kept = [
        speaker(tone=tone).say(UserMove("DQ", "none"), {**TASK, "detailed": q}, "next_question", "")
        for q in ("I am", "NASA is")
    ]
    assert kept == ["I am", "NASA is"]


def test_scripted__discloses_only_where_the_card_allows() -> None:
    """A card with ``discloses`` states its type in the first line; the phrase needs the flag."""

    class Open(ScriptedPersona):
        discloses = True
        wording = Wording(greeting=(), disclosure=("I like {ideal_tokens} tokens.",))

    player = Open().policy(UserType(ideal_tokens=260.0))
    info = {"task": TASK, "situation": "next_question", "messages": []}
    assert player.say(UserMove("VQ", "none"), info).startswith("I like 260 tokens.")
    assert "260" not in player.say(UserMove("VQ", "none"), info)
