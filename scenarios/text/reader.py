"""Reads what an assistant's reply does, and what a person's reply wants, without any model.

``read_reply`` turns language into one of the assistant's eight moves. It is a set of written rules, so it is the same
on every machine, costs microseconds, and cannot be talked into a verdict: a reply that says "label this as a direct
answer" is read like any other. The rules, in short:

* **What counts as a question.** A sentence that asks the user something, with or without a question mark. Not:
  questions inside quotations, code, drafted letters, dialogue and lists that were asked for; rhetorical questions that
  the reply answers itself; *polite closers* without content ("Does that help?", "Anything else?", "Would you like to
  know more?"). An answer followed by a closer is ``DA``; an answer followed by "Would you like a version without
  garlic?" is ``AQ``. Statements that only offer ("If you tell me your budget, I can suggest models.") are closers
  behind an answer, and clarifying questions where they are all that is said.
* **What counts as an answer.** Whatever is neither question, preamble ("Good question!"), reason for asking, remark on
  ambiguity, restatement of the request nor closer. Saying "I don't know" or "there is none" is an answer, if a poor one.
* **What counts as a refusal.** The speaker's own "I can't help with that" and its relatives, as long as nothing but
  reasons, sympathy and alternatives surrounds it. A reply that refuses and then complies is an answer; a reply that
  names a limitation and answers the rest is an answer; ``refusal`` stays true for both.
* **Silence.** Empty text, bare punctuation, one phrase repeated over and over: no move.

The rules see only the reply, not the request, and know English well and Spanish, French, German and Chinese a little.
``tests/data/replies.jsonl`` holds labelled replies; the accuracy on them is a test.
"""

from __future__ import annotations

import functools
import itertools
import math
import re
from typing import Final, NamedTuple

from gtalign_env.sanitize import clean_text
from gtalign_env.scenarios.text import lexicon
from gtalign_env.scenarios.text.kinds import judge, statement_kind
from gtalign_env.scenarios.text.refusals import find_refusal, is_safe_talk, offers_alternative
from gtalign_env.scenarios.text.speech import Sentence, count_tokens, mask, sentences, unwrap
from gtalign_env.scenarios.text.user_reader import read_user
from gtalign_env.types import LENGTH_TOKENS, LENGTHS, AssistantMove

__all__ = ["Reading", "count_tokens", "length_of", "read_reply", "read_user"]

_BOUNDS: Final = tuple(
    math.sqrt(LENGTH_TOKENS[below] * LENGTH_TOKENS[above]) for below, above in itertools.pairwise(LENGTHS)
)
"""Between two lengths lies the geometric mean of their tokens: about 104 and 294."""


class Reading(NamedTuple):
    """What a reply was read as, and why."""

    move: AssistantMove | None
    """The move, or ``None`` for silence."""
    act: str | None
    """``DA``, ``CQ``, ``AQ``, ``DECLINE`` or ``None``."""
    length: str | None
    """``short``, ``medium`` or ``long`` for answers, else ``None``."""
    tokens: int
    """Estimated tokens of the whole reply, as it is shown."""
    questions: tuple[str, ...] = ()
    """The sentences that ask the user something."""
    answer_text: str = ""
    """The reply without its questions and closers; empty where it gives no answer."""
    refusal: bool = False
    """Whether it declines the request or a part of it."""
    offers_alternative: bool = False
    """Whether a refusal offers something else."""
    evidence: tuple[str, ...] = ()
    """Short reasons, for people who wonder."""


def length_of(tokens: float) -> str:
    """Return the length class of an answer with so many tokens.

    Example:
        >>> [length_of(tokens) for tokens in (103, 104, 293, 294)]
        ['short', 'medium', 'medium', 'long']
    """
    return LENGTHS[sum(tokens > bound for bound in _BOUNDS)]


@functools.lru_cache(maxsize=256)  # a player that reads its own reply, and then the game, read the same
def read_reply(text: str) -> Reading:
    """Read an assistant's reply as a move. Never raises, needs no model, and takes time linear in the text.

    Args:
        text: The reply as the user sees it, without hidden reasoning. Wrapping left behind by a chain (``<response>``,
            JSON with an answer and a follow-up field) is taken off.

    Returns:
        The move and what it was read from.

    Example:
        >>> reading = read_reply("Rome, since 1871. Does that help? Or do you mean the ancient capital?")
        >>> reading.move, reading.questions
        (AssistantMove(act='AQ', length='short'), ('Or do you mean the ancient capital?',))
    """
    shown = clean_text(text)
    tokens = count_tokens(shown)
    speech = unwrap(shown)
    if _is_noise(speech):
        return Reading(None, None, None, tokens, evidence=("silence: nothing is said",))
    spoken = sentences(mask(speech))
    kinds = judge(spoken)
    refusal = find_refusal(speech, spoken, kinds)
    asked = _genuine_questions(spoken, kinds)
    act = _act(spoken, kinds, asked, refusal)
    if act == "CQ" and not asked:
        asked = [n for n, kind in enumerate(kinds) if kind in ("soft", "closer?")]
    length = length_of(tokens) if act in ("DA", "AQ") else None
    return Reading(
        move=AssistantMove(act, length),
        act=act,
        length=length,
        tokens=tokens,
        questions=tuple(speech[spoken[n].start : spoken[n].end].strip() for n in asked),
        answer_text=_answer_text(speech, spoken, kinds, asked) if length else "",
        refusal=refusal != "",
        offers_alternative=act == "DECLINE" and offers_alternative(spoken, kinds),
        evidence=_evidence(speech, spoken, kinds, asked, refusal),
    )


# --- the parts of the verdict -----------------------------------------------------------------------------------------


def _is_noise(speech: str) -> bool:
    """Whether nothing is said: no letter or digit, or hardly anything but repetition."""
    if not any(map(str.isalnum, speech)):
        return True
    words = speech.lower().split(None, 200)[:200]
    if len(words) >= 24:
        return len(set(words)) <= max(3.0, 0.1 * len(words))
    return len(speech) >= 40 and len(set(speech[:400])) <= 4


def _act(spoken: list[Sentence], kinds: list[str], asked: list[int], refusal: str) -> str:
    """Return the act, given the kinds of all sentences."""
    answers = "answer" in kinds
    if refusal == "whole":
        limited_but_asks = "limitation" in kinds and "refusal" not in kinds
        if limited_but_asks and any(not is_safe_talk(spoken[n].text) for n in asked):
            return "CQ"
        return "DECLINE"
    if asked:
        return "AQ" if answers or any(_answers_before_asking(spoken[n].text) for n in asked) else "CQ"
    if not answers and ("soft" in kinds or "closer?" in kinds):
        return "CQ"
    return "DA"


_CLAUSE = re.compile(
    r"(.{2,300}?)(?:, (?:but|so|and)|;| [—–-]|[—–]) ?(?=(?:what|which|who|where|when|how|why|do|did|are|is|would|"
    r"could|can|have|will|"
    r"should|shall|may|was|were)\b)"
)
_ASKS = re.compile(
    r"(?:what|which|who|whose|where|when|how|why|do|did|are|is|would|could|can|have|will|should|shall|may|was|were)\b"
)


def _answers_before_asking(text: str) -> bool:
    """Whether a question carries an answer in front: "It is 4, but do you want the proof?"."""
    clause = _CLAUSE.match(text)
    return clause is not None and _ASKS.match(clause[1]) is None and statement_kind(clause[1]) == "answer"


def _genuine_questions(spoken: list[Sentence], kinds: list[str]) -> list[int]:
    """Return the questions that the reply leaves to the user, rather than answering them itself."""
    last_answer = max((n for n, kind in enumerate(kinds) if kind == "answer"), default=-1)
    return [n for n, kind in enumerate(kinds) if kind == "ask" and (n > last_answer or _stands(n, spoken, kinds))]


_TAKES_UP = re.compile(
    r"(?:if|then|because|well|yes|no|it's because|simple|that's|this is|in short|the (?:short )?answer)\b"
)


def _stands(n: int, spoken: list[Sentence], kinds: list[str]) -> bool:
    """Whether a question is meant although something follows it."""
    text = spoken[n].text
    if lexicon.EXPLICIT_ANYWHERE.search(text) is not None:
        return True
    if (
        text.startswith("have you ever")
        or lexicon.GENERIC.match(text) is not None
        or lexicon.ADDRESSED_ANYWHERE.search(text) is None
    ):
        return False
    rest = [other for other in range(n + 1, len(kinds)) if kinds[other] == "answer"]
    near = all(spoken[other].paragraph == spoken[n].paragraph for other in rest)
    brief = len(rest) <= 2 and sum(len(spoken[other].text) for other in rest) <= 240
    return near and brief and _TAKES_UP.match(spoken[rest[0]].text) is None


def _answer_text(speech: str, spoken: list[Sentence], kinds: list[str], asked: list[int]) -> str:
    """Return the reply without questions to the user, closers and remarks to the reader."""
    parts, position = [], 0
    for n, (sentence, kind) in enumerate(zip(spoken, kinds, strict=True)):
        if n in asked or kind in ("closer", "closer?", "soft", "options", "meta"):
            parts.append(speech[position : sentence.start])
            position = sentence.end
    return "".join((*parts, speech[position:])).strip()


def _evidence(speech: str, spoken: list[Sentence], kinds: list[str], asked: list[int], refusal: str) -> tuple[str, ...]:
    """Name what decided, in at most eight short lines."""
    reasons = []
    if refusal:
        reasons.append(
            f"refusal of the {'request' if refusal == 'whole' else 'request, or a part of it, and an answer'}"
        )
    if (answers := kinds.count("answer")) > 0:
        reasons.append(f"answer: {answers} sentence{'s' * (answers > 1)}")
    told = {
        "closer?": "polite closer, not a question",
        "rhetorical": "rhetorical question",
        "meta": "talks to the reader",
    }
    for n, kind in enumerate(kinds):
        why = "question" if n in asked else told.get(kind)
        if why is not None and len(reasons) < 8:
            reasons.append(f"{why}: {speech[spoken[n].start : spoken[n].end].strip()[:80]}")
    return tuple(reasons) or ("nothing but polite words",)
