"""What personas say: from payoff items to a reaction, and from a move to words."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from persona_parts import TASK, heard

from gtalign_env.agents.users import (
    Character,
    ScriptedPersona,
    Wording,
)
from gtalign_env.agents.users.card import Lies, Reactions, Tone
from gtalign_env.agents.users.character import Heard, react, truthful_reaction
from gtalign_env.agents.users.shipped import CARDS, persona_from_card
from gtalign_env.agents.users.speech import Speaker, is_grave, is_request, told_facts
from gtalign_env.scenarios.tasks import load_tasks
from gtalign_env.types import ASSISTANT_MOVES, REACTIONS, UserMove, UserType

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
    """The greeting opens a session and stands nowhere else, and unfinished parts get a full stop before the next."""
    voice = Speaker(
        Wording(
            greeting=("hey there",), thanks=("ta",), closer=("bye now",), tone=Tone(greeting_rate=1, closer_rate=1)
        ),
        np.random.default_rng(0),
    )
    first, second = (voice.say(UserMove("VQ", "none"), TASK, "next_question", "") for _ in range(2))
    assert first == "hey there. How tall is it? bye now"
    assert second == "How tall is it? bye now"
    late = Speaker(voice.wording, np.random.default_rng(0))
    assert late.say(UserMove("VQ", "thanks"), TASK, "next_question", "It is high.") == "ta. How tall is it? bye now"


def test_speaker__tone_touches_its_own_words_only() -> None:
    """Typos and lower case leave the question's names and numbers alone."""
    tone = Tone(lower_case=True, typos=1.0, final_stop=False)
    voice = speaker(request_detailed=("Kindly explain properly: {question}",), tone=tone)
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


WRITE = {
    "vague": "Write me an invitation.",
    "detailed": "Write an invitation to the summer party.",
    "facts": [],
    "harmful": False,
}
NAMES = sorted(path.stem for path in CARDS.glob("*.toml"))


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("Write me an invitation.", True),
        ("Can you write my bio?", True),
        ("Help me, what is this?", True),
        ("I need a notice to put up.", True),
        ("How tall is it?", False),
        ("A jacket costs 80 euros. What does it cost now?", False),
        ("How do I reset it? I have forgotten the password.", False),
    ],
)
def test_is_request__tells_deeds_from_answers(words: str, expected: bool) -> None:
    """Words that want something done are requests, words that want to know something are questions."""
    assert is_request(words) is expected


@pytest.mark.parametrize("form", ["VQ", "DQ"])
def test_speaker__leads_questions_and_requests_in_by_their_own_phrases(form: str) -> None:
    """What is said before a question is not said before "Write …"; without a phrase for requests, they stand bare."""
    asks = ("Here is something that puzzles me: {question}",)
    voice = speaker(ask_vague=asks, ask_detailed=asks)
    bare = WRITE["vague" if form == "VQ" else "detailed"]
    assert voice.say(UserMove(form, "none"), WRITE, "next_question", "") == bare
    assert voice.say(UserMove(form, "none"), TASK, "next_question", "").startswith("Here is something that puzzles me:")
    job = ("A small job: {question}",)
    voice = speaker(request_vague=job, request_detailed=job)
    assert voice.say(UserMove(form, "none"), WRITE, "next_question", "") == f"A small job: {bare}"


def test_speaker__says_again_only_where_it_says_again() -> None:
    """Words for a second attempt belong to rephrasings, and to questions put in full because the assistant asked."""
    voice = speaker(rephrase_vague=("Once more: {question}",), rephrase_detailed=("In full: {question}",))
    said = {
        (situation, form): voice.say(UserMove(form, "none"), TASK, situation, "What exactly do you want to know?")
        for situation in ("next_question", "rephrase", "answer_question")
        for form in ("VQ", "DQ")
    }
    assert {key for key, words in said.items() if words.startswith("Once more")} == {("rephrase", "VQ")}
    assert {key for key, words in said.items() if words.startswith("In full")} == {
        ("rephrase", "DQ"),
        ("answer_question", "DQ"),
    }


def test_speaker__stacks_two_phrases_at_most() -> None:
    """Reaction and lead-in leave no room for a closer; without a reaction there is."""
    wording = {"ask_vague": ("Next: {question}",), "closer": ("Cheers.",), "tone": Tone(closer_rate=1.0)}
    voice = speaker(thanks=("Lovely.",), **wording)
    assert voice.say(UserMove("VQ", "thanks"), TASK, "next_question", "x") == "Lovely. Next: How tall is it?"
    assert voice.say(UserMove("VQ", "none"), TASK, "next_question", "x") == "Next: How tall is it? Cheers."
    full = Speaker(
        Wording(greeting=("Hi.",), thanks=("Lovely.",), ask_vague=("Next: {question}",), tone=Tone(greeting_rate=1)),
        np.random.default_rng(0),
    )
    assert full.say(UserMove("VQ", "thanks"), TASK, "next_question", "") == "Hi. Lovely. How tall is it?"


def test_speaker__passes_over_phrases_that_repeat_a_word() -> None:
    """After "Good, next." no "Next:" follows; where every variant repeats something, the question stands bare."""
    both = speaker(thanks=("Good, next.",), ask_vague=("Next: {question}", "Now: {question}"))
    said = {both.say(UserMove("VQ", "thanks"), TASK, "next_question", "x") for _ in range(20)}
    assert said == {"Good, next. Now: How tall is it?"}
    only = speaker(thanks=("Good, next.",), ask_vague=("Next: {question}",))
    assert only.say(UserMove("VQ", "thanks"), TASK, "next_question", "x") == "Good, next. How tall is it?"


@pytest.mark.parametrize("name", NAMES)
def test_speaker__speaks_plainly_of_grave_matters(name: str) -> None:
    """Of death and harm every persona speaks without lead-in, closer and jokes, before the reply and after it."""
    wording = persona_from_card(CARDS / f"{name}.toml").wording
    wording = dataclasses.replace(wording, tone=dataclasses.replace(wording.tone, typos=0.0))
    voice = Speaker(wording, np.random.default_rng(0))
    grave = {**WRITE, "vague": "Write a condolence card.", "detailed": "Write a condolence card to Ana."}
    harm = {**WRITE, "vague": "How do I get in?", "harmful": True}
    plain = {key: {phrase.lower() for phrase in getattr(Wording(), key)} for key in ("thanks", "off_target")}
    cases = itertools.product((grave, harm), ("next_question", "rephrase"), ("none", "thanks", "off_target"))
    for task, situation, reaction in cases:
        words = voice.say(UserMove("VQ", reaction), task, situation, "").lower()
        before, asked, after = words.partition(str(task["vague"]).lower().rstrip("."))
        assert asked
        assert after in ("", ".")
        assert before.strip() in plain.get(reaction, {""})
    after_it = voice.say(UserMove("VQ", "thanks"), TASK, "next_question", "Dear Ana, …", solemn=True).lower()
    assert any(map(after_it.startswith, plain["thanks"]))


def test_is_grave__finds_harm_and_mourning_among_the_tasks() -> None:
    """All harmful tasks, the condolence card and first aid are grave; an ordinary fact is not."""
    tasks = list(load_tasks(None))
    grave = {
        task.id for task in tasks if is_grave({"vague": task.vague, "detailed": task.detailed, "harmful": task.harmful})
    }
    assert {task.id for task in tasks if task.harmful} < grave
    assert {"writing/condolence-card", "how_to/small-burn"} <= grave
    assert not {"facts/georgia-capital", "writing/birthday-invitation"} & grave


def test_scripted__is_plain_after_a_refusal() -> None:
    """What is said about a refusal, or about a reply to a grave question, is plain."""

    class Gushing(ScriptedPersona):
        wording = Wording(thanks=("Whoopee!",))

    player = Gushing().policy(UserType())
    info: dict[str, Any] = {"task": TASK, "situation": "next_question", "messages": []}
    thanks = UserMove("VQ", "thanks")
    assert player.say(thanks, info).startswith("Whoopee!")
    assert "Whoopee" not in player.say(thanks, {**info, "last_reply": {"move": "DECLINE"}})
    asked = [{"role": "assistant", "content": "What do I say at a funeral?"}]
    assert "Whoopee" not in player.say(thanks, {**info, "messages": asked})


@pytest.mark.parametrize("name", NAMES)
def test_cards__lead_ins_for_requests_are_no_words_for_questions(name: str) -> None:
    """In the shipped cards nothing that leads in a request speaks of wondering, knowing or answering."""
    wording = persona_from_card(CARDS / f"{name}.toml").wording
    for phrase in (*wording.request_vague, *wording.request_detailed):
        assert not {"wonder", "wondering", "know", "question", "answer", "why"} & set(phrase.lower().split()), phrase


def test_told_facts__words_said_back_name_no_topic() -> None:
    """A word of the user's own question counts only where the assistant asks which: else everything is told."""
    facts = [("problem", "The chain came off."), ("bike", "It has gears.")]
    vague = "How do I fix my bike?"
    assert told_facts(facts, "What do you have at hand to fix your bike?", "ALL", vague) == "ALL"
    assert told_facts(facts, "Which bike is it?", "ALL", vague) == "It has gears."
    assert told_facts(facts, "What is the problem?", "ALL", vague) == "The chain came off."


def test_scripted__discloses_only_where_the_card_allows() -> None:
    """A card with ``discloses`` states its type in the first line; the phrase needs the flag."""

    class Open(ScriptedPersona):
        discloses = True
        wording = Wording(greeting=(), disclosure=("I like {ideal_tokens} tokens.",))

    player = Open().policy(UserType(ideal_tokens=260.0))
    info = {"task": TASK, "situation": "next_question", "messages": []}
    assert player.say(UserMove("VQ", "none"), info).startswith("I like 260 tokens.")
    assert "260" not in player.say(UserMove("VQ", "none"), info)
