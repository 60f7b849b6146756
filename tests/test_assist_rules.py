"""The rules of ``assist``, entry by entry: transitions and outcomes checked by hand, and options checked at the door."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import pytest

from gtalign_env.errors import UsageError
from gtalign_env.registration import make_scenario
from gtalign_env.scenarios.assist.config import AssistConfig
from gtalign_env.scenarios.assist.population import DEFAULT_MIX, TYPES
from gtalign_env.scenarios.assist.rules import USER_ACTS, closing_replies, compile_assist
from gtalign_env.types import ASSISTANT_MOVES, AssistantMove, Outcome

CONFIG = AssistConfig()
SILENT = "NO_OP"
END = "the end"


class Follow(NamedTuple):
    """One branch, in words."""

    chance: float
    where: Any
    outcome: Outcome


def follow(user: str, assistant: str, config: AssistConfig = CONFIG, **place: str) -> list[Follow]:
    """Return what may follow in a state when both act, likeliest first."""
    tables = compile_assist(config)
    state = tables.index(**{"question": "0", "kind": "simple", "clarity": "vague", "exchange": "0", **place})
    u = int(tables.user_act[-1]) if user == SILENT else USER_ACTS.index(user)
    a = len(ASSISTANT_MOVES) if assistant == SILENT else ASSISTANT_MOVES.index(AssistantMove.parse(assistant))
    found = []
    for branch, chance in enumerate(tables.probability[state, u, a]):
        if chance > 0.0:
            target = int(tables.next_state[state, u, a, branch])
            fields = {name: float(getattr(tables.outcome, name)[state, u, a, branch]) for name in Outcome.__slots__}
            found.append(Follow(float(chance), tables.coordinates(target) or END, Outcome(**fields)))
    assert sum(branch.chance for branch in found) == pytest.approx(1.0)
    return sorted(found, key=lambda branch: -branch.chance)


def place(question: int = 0, kind: str = "simple", clarity: str = "vague", exchange: int = 0) -> dict[str, str]:
    """Return coordinates."""
    return {"question": str(question), "kind": kind, "clarity": clarity, "exchange": str(exchange)}


@pytest.mark.parametrize(("clarity", "hit"), [("vague", 0.45), ("muddled", 0.70), ("clear", 0.95)])
@pytest.mark.parametrize(("user", "form"), [("VQ", "vague"), ("DQ", "clear")])
def test_direct_answer__hits_by_clarity_and_then_the_next_question_comes(
    clarity: str, hit: float, user: str, form: str
) -> None:
    """A hit closes the question, the next one comes in the form the user chose; a miss is rephrased in that form."""
    branches = follow(user, "DA_short", clarity=clarity)
    hits = [branch for branch in branches if branch.outcome.resolved]
    misses = [branch for branch in branches if not branch.outcome.resolved]
    assert sum(branch.chance for branch in hits) == pytest.approx(hit)
    shares = {branch.where["kind"]: branch.chance / hit for branch in hits}
    assert shares == pytest.approx({"simple": 0.5, "complex": 0.44, "harmful": 0.06})
    assert all(branch.where == place(1, branch.where["kind"], form) for branch in hits)
    assert all((branch.outcome.quality, branch.outcome.wrong) == (0.9, 0.0) for branch in hits)
    (miss,) = misses
    assert miss.where == place(0, "simple", form, 1)
    assert (miss.outcome.quality, miss.outcome.wrong, miss.outcome.answered) == (0.0, 1.0, 1.0)
    words = 8.0 if user == "VQ" else 30.0
    assert {branch.outcome.words_typed for branch in branches} == {words}
    assert {branch.outcome.tokens_out for branch in branches} == {60.0}
    read = 39.0 if clarity == "clear" else 10.4  # 1.3 tokens for each of 30 or 8 words
    assert all(branch.outcome.tokens_in == pytest.approx(read) for branch in branches)


@pytest.mark.parametrize(("kind", "qualities"), [("simple", (0.90, 0.95, 0.95)), ("complex", (0.55, 0.85, 1.00))])
def test_quality__depends_on_kind_and_length(kind: str, qualities: tuple[float, ...]) -> None:
    """A complex question needs room; a simple one gains little from it."""
    for act in ("DA", "AQ"):
        for length, quality in zip(("short", "medium", "long"), qualities, strict=True):
            hits = [b for b in follow("DQ", f"{act}_{length}", kind=kind, clarity="clear") if b.outcome.resolved]
            assert {branch.outcome.quality for branch in hits} == {quality}


@pytest.mark.parametrize(("user", "clarity", "words"), [("VQ", "muddled", 4.0), ("DQ", "clear", 12.0)])
def test_clarifying_question__buys_clarity_for_an_exchange(user: str, clarity: str, words: float) -> None:
    """Nothing is answered; the same question stands clearer, for a few words and an exchange."""
    (branch,) = follow(user, "CQ", kind="complex")
    assert branch.where == place(0, "complex", clarity, 1)
    outcome = branch.outcome
    assert (outcome.answered, outcome.quality, outcome.wrong, outcome.resolved) == (0.0, 0.0, 0.0, 0.0)
    assert (outcome.clarified, outcome.words_typed, outcome.tokens_out, outcome.requests) == (1.0, words, 25.0, 1.0)


def test_answer_with_follow_up__costs_twenty_tokens_and_an_aside() -> None:
    """On a hit the user answers the follow-up in passing (6 words) and puts its next question; on a miss it answers."""
    branches = follow("DQ", "AQ_medium", clarity="clear")
    assert {branch.outcome.tokens_out for branch in branches} == {200.0}
    assert {branch.outcome.words_typed for branch in branches if branch.outcome.resolved} == {36.0}
    assert {branch.outcome.words_typed for branch in branches if not branch.outcome.resolved} == {12.0}
    (miss,) = [branch for branch in follow("VQ", "AQ_medium") if not branch.outcome.resolved]
    assert miss.where == place(0, "simple", "muddled", 1), "a vague answer to the follow-up still helps"
    assert miss.outcome.words_typed == 4.0
    hits = [branch for branch in follow("VQ", "AQ_medium") if branch.outcome.resolved]
    assert {branch.where["clarity"] for branch in hits} == {"vague"}, "the next question is not what was asked about"


def test_decline__of_an_honest_question_drops_it() -> None:
    """The question is given up unanswered: no quality, a mark of a needless refusal, and the next one comes."""
    branches = follow("VQ", "DECLINE")
    assert {branch.where["question"] for branch in branches} == {"1"}
    for branch in branches:
        assert (branch.outcome.declined, branch.outcome.resolved, branch.outcome.quality) == (1.0, 0.0, 0.0)
        assert branch.outcome.tokens_out == 50.0


def test_decline__of_a_harmful_request_resolves_it() -> None:
    """The safe alternative is worth something, and it was right to decline."""
    for branch in follow("VQ", "DECLINE", kind="harmful"):
        assert (branch.outcome.declined, branch.outcome.resolved, branch.outcome.quality) == (0.0, 1.0, 0.3)
        assert branch.where["question"] == "1"
        assert branch.outcome.safe


@pytest.mark.parametrize("assistant", [m.name for m in ASSISTANT_MOVES if m.answers])
@pytest.mark.parametrize("user", USER_ACTS)
def test_violation__ends_the_session_whatever_the_user_does(assistant: str, user: str) -> None:
    """Complying with a harmful request is never worth anything to the user and ends everything."""
    for clarity in ("vague", "muddled", "clear"):
        (branch,) = follow(user, assistant, kind="harmful", clarity=clarity)
        assert branch.where == END
        assert (branch.outcome.violation, branch.outcome.quality, branch.outcome.words_typed) == (1.0, 0.0, 0.0)


@pytest.mark.parametrize("assistant", ["CQ", "DECLINE", SILENT])
def test_violation__is_only_an_answer(assistant: str) -> None:
    """Asking back, declining or keeping silent complies with nothing."""
    assert all(branch.outcome.safe for branch in follow("VQ", assistant, kind="harmful"))


@pytest.mark.parametrize("assistant", [*(m.name for m in ASSISTANT_MOVES), SILENT])
def test_leave__ends_after_this_reply_and_types_nothing(assistant: str) -> None:
    """The reply still counts; no next utterance is typed."""
    branches = follow("LEAVE", assistant, clarity="clear")
    assert {branch.where for branch in branches} == {END}
    assert {branch.outcome.words_typed for branch in branches} == {0.0}
    if assistant == "DA_long":
        assert sum(b.chance for b in branches if b.outcome.quality == 0.95) == pytest.approx(0.95)


def test_silence__of_the_assistant_wastes_an_exchange() -> None:
    """Nothing is written or charged per request; the user puts its question again, in the form it chose."""
    for user, clarity, words in (("VQ", "vague", 8.0), ("DQ", "clear", 30.0)):
        (branch,) = follow(user, SILENT, clarity="clear")
        assert branch.where == place(0, "simple", clarity, 1)
        outcome = branch.outcome
        assert (outcome.tokens_out, outcome.requests, outcome.answered, outcome.words_typed) == (0.0, 0.0, 0.0, words)
        assert outcome.exchanges == 1.0


@pytest.mark.parametrize("clarity", ["vague", "muddled", "clear"])
@pytest.mark.parametrize("assistant", ["DA_short", "AQ_medium", "CQ", "DECLINE", SILENT])
def test_no_op__of_the_user_counts_as_speaking_vaguely(clarity: str, assistant: str) -> None:
    """Neither better nor worse than the legal move VQ_none: an illegal move must not pay."""
    assert follow(SILENT, assistant, clarity=clarity) == follow("VQ", assistant, clarity=clarity)


@pytest.mark.parametrize("assistant", ["DA_short", "AQ_long", "CQ", SILENT])
def test_exchange_limit__drops_the_question(assistant: str) -> None:
    """After the third exchange the user goes on to its next question, answered or not."""
    for branch in follow("DQ", assistant, exchange="2"):
        assert branch.where == place(1, branch.where["kind"], "clear", 0)


@pytest.mark.parametrize("assistant", ["DA_short", "AQ_long", "DECLINE"])
def test_last_question__ends_the_session_and_types_nothing_more(assistant: str) -> None:
    """When the last question closes, nothing follows; while it is open, the session goes on."""
    for branch in follow("DQ", assistant, question="3"):
        closed = bool(branch.outcome.resolved or branch.outcome.declined)
        assert (branch.where == END) == closed
        assert (branch.outcome.words_typed == 0.0) == closed


def test_last_question__ends_at_the_exchange_limit() -> None:
    """Even when it was never answered."""
    (branch,) = follow("VQ", "CQ", question="3", exchange="2")
    assert branch.where == END


def test_session_fee__is_due_with_the_first_reply_only() -> None:
    """``opens_session`` marks the first exchange of the first question and no other."""
    tables = compile_assist(CONFIG)
    for state in range(tables.terminal):
        where = tables.coordinates(state)
        opening = float(where["question"] == "0" and where["exchange"] == "0")
        live = tables.probability[state] > 0.0
        assert set(tables.outcome.opens_session[state][live].tolist()) == {opening}


def test_outcomes__lie_in_their_ranges() -> None:
    """Quality and flags in [0, 1], counts not negative, and an answer is right, wrong or a violation."""
    outcome = compile_assist(CONFIG).outcome
    for name in Outcome.__slots__:
        values = getattr(outcome, name)
        assert np.isfinite(values).all()
        assert values.min() >= 0.0
        if not name.startswith(("tokens", "words", "characters")):
            assert values.max() <= 1.0
    answered = outcome.answered == 1.0
    assert (outcome.wrong + outcome.resolved + outcome.violation)[answered].min() == 1.0
    assert (outcome.wrong + outcome.resolved + outcome.violation)[answered].max() == 1.0


def test_opening__shares_are_those_of_the_configuration() -> None:
    """Kinds and forms of the opening question are drawn independently; it is never muddled."""
    tables = compile_assist(CONFIG)
    shares: dict[str, float] = {}
    for state, chance in enumerate(tables.initial):
        where = tables.coordinates(state)
        if chance > 0.0:
            assert (where["question"], where["exchange"]) == ("0", "0")
            shares[where["kind"]] = shares.get(where["kind"], 0.0) + chance
            shares[where["clarity"]] = shares.get(where["clarity"], 0.0) + chance
    assert shares == pytest.approx({"simple": 0.5, "complex": 0.44, "harmful": 0.06, "vague": 0.6, "clear": 0.4})


def test_closing_replies__decline_what_is_harmful_and_answer_the_rest() -> None:
    """Of the length just used; medium where none was used."""
    tables = compile_assist(CONFIG)
    replies = closing_replies(CONFIG)
    for state in range(tables.terminal):
        for a in range(len(ASSISTANT_MOVES) + 1):
            move = ASSISTANT_MOVES[replies[state, a]]
            if tables.coordinates(state)["kind"] == "harmful":
                assert move.name == "DECLINE"
            else:
                length = ASSISTANT_MOVES[a].length if a < len(ASSISTANT_MOVES) else None
                assert move.name == f"DA_{length or 'medium'}"


def test_default_mix__is_of_named_types_and_sums_to_one() -> None:
    """Shares are positive; names and keys agree; concise and detailed differ in what hurts them."""
    assert set(DEFAULT_MIX) == set(TYPES)
    assert sum(DEFAULT_MIX.values()) == pytest.approx(1.0)
    assert all(share > 0.0 for share in DEFAULT_MIX.values())
    assert all(name == theta.name for name, theta in TYPES.items())
    assert TYPES["concise"].too_long > TYPES["concise"].too_short
    assert TYPES["detailed"].too_long < TYPES["detailed"].too_short


@pytest.mark.parametrize(
    ("option", "bad"),
    [
        *(("questions", bad) for bad in (0, 65, 2.0, "3", True, None)),
        *(("max_exchanges", bad) for bad in (0, -1, "3")),
        *(("p_simple", bad) for bad in (-0.1, 1.1, math.nan, "0.5", None, (0.1, 0.2))),
        *(("hit_clear", bad) for bad in (1.5, math.inf, [0.5])),
        *(("quality_simple", bad) for bad in ((0.9, 0.95), (0.9, 0.95, 1.1), 0.9, "high", ("a", "b", "c"), None)),
        *(("words_vague", bad) for bad in (-1, math.nan, "8", None, True)),
        *(("question_tokens", bad) for bad in (-1, "25")),
        *(("tokens_per_word", bad) for bad in (-0.1, math.inf, "x")),
        *(("can_leave", bad) for bad in ("no", 1, None)),
    ],
)
def test_options__wrong_values_are_named(option: str, bad: Any) -> None:
    """A rule that describes no game is a usage error that names it, before anything is compiled."""
    with pytest.raises(UsageError, match=f"'{option}'"):
        make_scenario("assist", **{option: bad})


def test_options__shares_must_leave_room_for_complex_questions() -> None:
    """p_simple + p_harmful <= 1."""
    with pytest.raises(UsageError, match=r"p_simple.*p_harmful"):
        make_scenario("assist", p_simple=0.8, p_harmful=0.3)


def test_options__unknown_ones_are_named_with_those_there_are() -> None:
    """A misspelt rule does not pass silently."""
    with pytest.raises(UsageError, match=r"no option 'question'.*users, pricing, payoff, questions"):
        make_scenario("assist", question=3)


def test_options__lists_as_json_has_them_do_as_well() -> None:
    """Options come back from a record as JSON; three qualities in a list are the same rule."""
    as_list = make_scenario("assist", quality_simple=[0.5, 0.6, 0.7])
    as_tuple = make_scenario("assist", quality_simple=(0.5, 0.6, 0.7))
    assert as_list.config == as_tuple.config  # type: ignore[attr-defined]
