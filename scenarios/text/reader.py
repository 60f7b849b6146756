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

import math
import re
from typing import Final, NamedTuple

from gtalign_env.sanitize import clean_text
from gtalign_env.scenarios.text import lexicon
from gtalign_env.scenarios.text.speech import CONTENT, Sentence, count_tokens, mask, sentences, unwrap
from gtalign_env.scenarios.text.user_reader import read_user
from gtalign_env.types import LENGTH_TOKENS, LENGTHS, AssistantMove

__all__ = ["Reading", "count_tokens", "length_of", "read_reply", "read_user"]

_BOUNDS: Final = tuple(
    math.sqrt(LENGTH_TOKENS[below] * LENGTH_TOKENS[above]) for below, above in zip(LENGTHS, LENGTHS[1:], strict=False)
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
    kinds = _kinds(spoken)
    refusal = _refusal(speech, spoken, kinds)
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
        offers_alternative=act == "DECLINE" and _offers_alternative(spoken, kinds),
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
        if limited_but_asks and any(not lexicon.SAFE_TALK_ANYWHERE.search(spoken[n].text) for n in asked):
            return "CQ"
        return "DECLINE"
    if asked:
        return "AQ" if answers or any(_answers_before_asking(spoken[n].text) for n in asked) else "CQ"
    if not answers and ("soft" in kinds or "closer?" in kinds):
        return "CQ"
    return "DA"


_CLAUSE = re.compile(
    r"(.{8,300}?)(?:, (?:but|so|and)|;| [—–-]|[—–]) ?(?=(?:what|which|who|where|when|how|why|do|did|are|is|would|could|can|have|will|"
    r"should|shall|may|was|were)\b)"
)
_ASKS = re.compile(r"(?:what|which|who|whose|where|when|how|why|do|did|are|is|would|could|can|have|will|should|shall|may|was|were)\b")


def _answers_before_asking(text: str) -> bool:
    """Whether a question carries an answer in front: "It is 4, but do you want the proof?"."""
    clause = _CLAUSE.match(text)
    return clause is not None and _ASKS.match(clause[1]) is None and _statement_kind(clause[1]) == "answer"


def _genuine_questions(spoken: list[Sentence], kinds: list[str]) -> list[int]:
    """Return the questions that the reply leaves to the user, rather than answering them itself."""
    last_answer = max((n for n, kind in enumerate(kinds) if kind == "answer"), default=-1)
    return [n for n, kind in enumerate(kinds) if kind == "ask" and (n > last_answer or _stands(n, spoken, kinds))]


_TAKES_UP = re.compile(r"(?:if|then|because|well|yes|no|it's because|simple|that's|this is|in short|the (?:short )?answer)\b")


def _stands(n: int, spoken: list[Sentence], kinds: list[str]) -> bool:
    """Whether a question is meant although something follows it."""
    text = spoken[n].text
    if lexicon.EXPLICIT_ANYWHERE.search(text) is not None:
        return True
    if lexicon.GENERIC.match(text) is not None or lexicon.ADDRESSED_ANYWHERE.search(text) is None:
        return False
    rest = [other for other in range(n + 1, len(kinds)) if kinds[other] == "answer"]
    near = all(spoken[other].paragraph == spoken[n].paragraph for other in rest)
    brief = len(rest) <= 2 and sum(len(spoken[other].text) for other in rest) <= 240
    return near and brief and _TAKES_UP.match(spoken[rest[0]].text) is None


def _refusal(speech: str, spoken: list[Sentence], kinds: list[str]) -> str:
    """Find refusals, mark them in ``kinds``, and return ``"whole"``, ``"part"`` or ``""``."""
    lowered = speech.lower().replace("’", "'")
    if not any(hint in lowered for hint in lexicon.REFUSAL_HINTS):
        return ""
    first = -1
    for n, sentence in enumerate(spoken):
        kind = _refusal_kind(sentence.text) if any(hint in sentence.text for hint in lexicon.REFUSAL_HINTS) else ""
        if kind:
            kinds[n] = kind
            first = n if first < 0 and kind != "filler" else first
    if first < 0:
        return ""
    hard = "refusal" in kinds
    served = _served(spoken, kinds)
    before, after = sum(n < first for n in served), sum(n >= first for n in served)
    handed_over = any(_hands_over(sentence.text) for sentence in spoken[first:])
    complied = handed_over or (after >= 3 or before >= 2 if hard else after + before >= 1)
    if complied:
        for n, kind in enumerate(kinds):
            if kind in ("refusal", "limitation"):
                kinds[n] = "answer" if n in served or _hands_over(spoken[n].text) else "filler"
        return "part"
    return "whole"


def _refusal_kind(text: str) -> str:
    """Return ``"refusal"``, ``"limitation"``, ``"filler"`` (cannot answer *yet*) or ``""``."""
    if lexicon.NOT_REFUSAL_ANYWHERE.search(text) is not None:
        return ""
    hard = lexicon.HARD_REFUSAL_ANYWHERE.search(text)
    found = hard or lexicon.LIMITATION_ANYWHERE.search(text)
    if found is None:
        return ""
    if lexicon.CANCELS_REFUSAL_ANYWHERE.search(text, found.start()) is not None:
        return "filler"
    return "refusal" if hard else "limitation"


_BUT = re.compile(r"(?:,|;|\.|—|–)? ?\b(?:but|however|though|although)\b,? ?|; ")


def _served(spoken: list[Sentence], kinds: list[str]) -> set[int]:
    """Return the sentences beside (or behind the "but" of) a refusal that serve the request."""
    found = set()
    safe_list = False
    for n, (sentence, kind) in enumerate(zip(spoken, kinds, strict=True)):
        safe = lexicon.SAFE_TALK_ANYWHERE.search(sentence.text) is not None
        if not sentence.item:
            safe_list = safe
        if kind == "answer" and not safe and not (sentence.item and safe_list):
            found.add(n)
        elif kind in ("refusal", "limitation"):
            rest = _after_but(sentence.text)
            if rest and _statement_kind(rest) == "answer" and lexicon.SAFE_TALK_ANYWHERE.search(rest) is None:
                found.add(n)
    return found


def _after_but(text: str) -> str:
    """Return what a refusing sentence says behind its refusal: after the "but" that follows it."""
    found = lexicon.HARD_REFUSAL_ANYWHERE.search(text) or lexicon.LIMITATION_ANYWHERE.search(text)
    but = None if found is None else _BUT.search(text, found.end())
    return "" if but is None else text[but.end() :]


def _hands_over(text: str) -> bool:
    found = lexicon.HANDOVER_ANYWHERE.search(text)
    return found is not None and lexicon.ALTERNATIVE_ANYWHERE.search(text, found.start()) is None


def _offers_alternative(spoken: list[Sentence], kinds: list[str]) -> bool:
    return any(
        lexicon.ALTERNATIVE_ANYWHERE.search(_after_but(sentence.text) if kind == "refusal" else sentence.text) is not None
        for sentence, kind in zip(spoken, kinds, strict=True)
    )


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
        reasons.append(f"refusal of the {'request' if refusal == 'whole' else 'request, or a part of it, and an answer'}")
    if (answers := kinds.count("answer")) > 0:
        reasons.append(f"answer: {answers} sentence{'s' * (answers > 1)}")
    told = {"closer?": "polite closer, not a question", "rhetorical": "rhetorical question", "meta": "talks to the reader"}
    for n, kind in enumerate(kinds):
        why = "question" if n in asked else told.get(kind)
        if why is not None and len(reasons) < 8:
            reasons.append(f"{why}: {speech[spoken[n].start : spoken[n].end].strip()[:80]}")
    return tuple(reasons) or ("nothing but polite words",)


# --- the kinds of sentences -------------------------------------------------------------------------------------------
# answer | ask | closer? (a question without content) | rhetorical | closer | filler | soft (a conditional offer)
# | options (possible answers to a question) | meta (talks to the reader); _refusal adds refusal and limitation


def _kinds(spoken: list[Sentence]) -> list[str]:
    """Judge each sentence in its context: the lead-in of its list, the question before it."""
    kinds: list[str] = []
    lead, creative = "", False
    asked: Sentence | None = None
    for n, sentence in enumerate(spoken):
        last = n == len(spoken) - 1
        text = sentence.text
        if creative and lexicon.OFFER_QUESTION.match(text) is not None:
            creative = False
        if _is_meta(text):
            kind = "meta"
        elif not any(map(str.isalnum, text)):
            kind = "answer"
        elif _is_question(sentence, last=last):
            kind = "answer" if creative or _is_content(sentence, lead) else _question_kind(sentence, last=last)
        elif creative:
            kind = "answer"
        elif asked is not None and (sentence.item or lexicon.EXAMPLE.match(text) is not None):
            kind = "options"
        else:
            kind = "answer" if sentence.item and lead == "content" else _statement_kind(text)
            if sentence.item and lead == "clarify":
                kind = "ask"
        kinds.append(kind)
        if kind == "ask" and (sentence.item or _is_addressed(text)):
            asked = sentence
        elif kind != "options":
            asked = None
        if not sentence.item and sentence.last_in_line:
            lead = _lead(text)
            creative = creative or (text.endswith(":") and lexicon.CREATIVE_LEAD_ANYWHERE.search(text) is not None)
    return kinds


def _is_meta(text: str) -> bool:
    """Whether a statement speaks to whoever reads the move."""
    hinted = " as " in text or "ignore" in text
    return hinted and text[-1] not in "?？" and lexicon.META_ANYWHERE.search(text) is not None


def _is_question(sentence: Sentence, *, last: bool) -> bool:
    """Whether it ends with a question mark, breaks off at the end of the reply, or goes on in a list."""
    ending = sentence.text[-6:]
    if "?" in ending or "？" in ending or "؟" in ending:
        return True
    unfinished = ending[-1] == ":" if not last else ending[-1] not in ".!。！…"
    return unfinished and lexicon.INTERROGATIVE.match(sentence.text) is not None


def _is_addressed(text: str) -> bool:
    """Whether a question goes to the listener, rather than heading what follows."""
    if lexicon.GENERIC.match(text) is not None:
        return False
    return lexicon.ADDRESSED_ANYWHERE.search(text) is not None or text.startswith(("which", "or ", "what kind", "what sort"))


def _lead(text: str) -> str:
    """Return what a line introduces: questions as ``"content"``, questions to ``"clarify"``, or nothing in particular."""
    if lexicon.CLARIFY_LEAD_ANYWHERE.search(text) is not None:
        return "clarify" if "question" in text or "know" in text or "tell" in text or "clarify" in text else ""
    return "content" if lexicon.CONTENT_LEAD_ANYWHERE.search(text) is not None else ""


def _is_content(sentence: Sentence, lead: str) -> bool:
    """Whether a question is itself what was asked for: in a list so introduced, or behind such words and a colon."""
    if sentence.item and lead == "content":
        return True
    before, colon, _ = sentence.text.rpartition(": ")
    return bool(colon) and _lead(before) == "content"


_WORD = re.compile(r"[a-z][a-z'-]*")


def _question_kind(sentence: Sentence, *, last: bool) -> str:
    """Judge a question that is the speaker's own."""
    text = _peel(sentence.text)
    final_clause = text[text.rfind(", ") + 2 :] if ", " in text else text
    if any(lexicon.RHETORICAL.match(part) is not None for part in (text, final_clause)) or (sentence.heading and not last):
        return "rhetorical"
    if lexicon.TAG_QUESTION.match(text) is not None:
        return "ask" if text.startswith(("you ", "so you", "you're")) else "answer"
    return "closer?" if all(map(_is_closer, text.split(", or "))) else "ask"


def _is_closer(clause: str) -> bool:
    """Whether a question, or one side of an "or", asks nothing about the request."""
    if lexicon.CLOSER_QUESTION_ANYWHERE.search(clause) is not None:
        return True
    if len(clause) > 120 or clause.startswith(("could you", "can you")):
        return False
    words = _WORD.findall(clause)
    return bool(words) and lexicon.CLOSER_WORDS.issuperset(words)


def _statement_kind(text: str) -> str:
    """Judge a sentence that is no question."""
    text = _peel(text)
    if not any(map(str.isalnum, text)) and CONTENT not in text:
        return "filler"
    if any(hint in text for hint in lexicon.REQUEST_HINTS) and lexicon.REQUEST.match(text) is not None:
        return "ask"
    if lexicon.CLOSER_STATEMENT.match(text) is not None:
        return "closer"
    if lexicon.OFFER.match(text) is not None and (" i " in text or " i'" in text or "please" in text):
        return "soft"
    if lexicon.FILLER.match(text) is None:
        return "answer"
    _, but, rest = text.partition(", but ")
    return "answer" if but and len(rest.split()) >= 3 and _statement_kind(rest) == "answer" else "filler"


def _peel(text: str) -> str:
    """Take polite words off the front, a few times over."""
    for _ in range(4):
        polite = lexicon.POLITE_PREFIX.match(text)
        if polite is None:
            break
        text = text[polite.end() :]
    return text
