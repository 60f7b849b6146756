"""Judges what each sentence of a reply does, from its own words and its place.

The kinds: ``answer``; ``ask`` (a question to the user); ``closer?`` (a question without content); ``rhetorical``;
``closer`` (polite words at the end); ``filler`` (preambles, reasons for asking, remarks on ambiguity); ``soft`` (a
conditional offer); ``options`` (possible answers to a question just asked); ``meta`` (speaks to whoever reads the
move). ``refusals`` adds ``refusal`` and ``limitation``.
"""

from __future__ import annotations

import dataclasses
import re

from gtalign_env.scenarios.text import lexicon
from gtalign_env.scenarios.text.speech import CONTENT, Sentence

__all__ = ["judge", "statement_kind"]


def judge(spoken: list[Sentence]) -> list[str]:
    """Judge each sentence in its context: the lead-in of its list, the question before it.

    Example:
        >>> from gtalign_env.scenarios.text.speech import sentences
        >>> judge(sentences("Good question! It is 4 km. Does that help? Are you walking?"))
        ['filler', 'answer', 'closer?', 'ask']
    """
    kinds: list[str] = []
    place = _Place()
    for n, sentence in enumerate(spoken):
        last = n == len(spoken) - 1
        kind = _kind(sentence, place, last=last)
        if kind == "ask" and kinds and kinds[-1] == "answer" and _asks_which(spoken[n - 1].text, sentence.text):
            kinds[-1] = "filler"
        kinds.append(kind)
        place.move_on(sentence, kind, before_item=not last and spoken[n + 1].item)
    return kinds


@dataclasses.dataclass(slots=True)
class _Place:
    """What the sentences so far make of the next one."""

    lead: str = ""
    """What the last line outside a list introduced: ``"content"``, ``"clarify"`` or nothing in particular."""
    composed: bool = False
    """Whether a composed text (a poem, a letter) has been announced and goes on."""
    asked: bool = False
    """Whether a question to the user, or options for its answer, came right before."""

    def move_on(self, sentence: Sentence, kind: str, *, before_item: bool) -> None:
        """Take a judged sentence into account."""
        text = sentence.text
        self.asked = (self.asked and kind == "options") or (kind == "ask" and (sentence.item or _is_addressed(text)))
        if not sentence.item and sentence.last_in_line:
            self.lead = _lead(text) if text.endswith(":") or before_item else ""
            self.composed = self.composed or _introduces_text(text)


def _kind(sentence: Sentence, place: _Place, *, last: bool) -> str:
    """Judge one sentence in its place."""
    text = sentence.text
    if place.composed and lexicon.OFFER_QUESTION.match(text) is not None:
        place.composed = False
    if _is_meta(text):
        return "meta"
    if place.composed or not any(map(str.isalnum, text)):
        return "answer"
    if _is_question(sentence, last=last):
        return "answer" if _is_content(sentence, place.lead) else _question_kind(sentence, last=last)
    if place.asked and (sentence.item or lexicon.EXAMPLE.match(text) is not None):
        return "options"
    if sentence.item and place.lead:
        return "ask" if place.lead == "clarify" else "answer"
    return statement_kind(text)


def _introduces_text(text: str) -> bool:
    """Whether a line announces a text that the reply has composed: "Here is a poem for you:"."""
    if not text.endswith(":") or lexicon.CREATIVE_LEAD_ANYWHERE.search(text) is None:
        return False
    return lexicon.NEEDS_ANYWHERE.search(text) is None and _lead(text) != "clarify"


def _asks_which(before: str, question: str) -> bool:
    """Whether a sentence only says that there are several, and the question behind it asks which."""
    if any(map(str.isdigit, before)):
        return False
    which = lexicon.WHICH_ANYWHERE.search(question) or lexicon.EXPLICIT_ANYWHERE.search(question)
    several = which is not None and lexicon.SEVERAL.match(before) is not None
    either = which is not None or " or " in question
    return several or (either and lexicon.AMBIGUOUS_ANYWHERE.search(before) is not None)


def _is_meta(text: str) -> bool:
    """Whether a statement speaks to whoever reads the move."""
    hinted = " as " in text or "ignore" in text
    return hinted and text[-1] not in "?？" and lexicon.META_ANYWHERE.search(text) is not None


def _is_question(sentence: Sentence, *, last: bool) -> bool:
    """Whether it ends with a question mark, breaks off at the end of the reply, or goes on in a list."""
    ending = sentence.text[-6:]
    if "?" in ending or "？" in ending or "؟" in ending:
        return True
    if _ASKS_YOU.match(sentence.text) is not None:
        return True
    unfinished = ending[-1] == ":" if not last else ending[-1] not in ".!。！…"
    if not unfinished:
        return False
    clauses = (sentence.text, _peel(sentence.text), sentence.text.rpartition(": ")[2])
    return any(lexicon.INTERROGATIVE.match(clause) is not None for clause in clauses)


_ASKS_YOU = re.compile(
    r"(?:could|can|would) you (?:please |kindly |also )?(?:tell|send|share|give|specify|provide|confirm|describe|clarify|say)\b"
)


def _is_addressed(text: str) -> bool:
    """Whether a question goes to the listener, rather than heading what follows."""
    if lexicon.GENERIC.match(text) is not None:
        return False
    return lexicon.ADDRESSED_ANYWHERE.search(text) is not None or text.startswith(
        ("which", "or ", "what kind", "what sort")
    )


def _lead(text: str) -> str:
    """Return ``"content"`` for a line that introduces questions asked for, ``"clarify"`` for questions to the user."""
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
    if final_clause is not text and lexicon.TAG_QUESTION.match(final_clause) is not None:
        return "ask" if text.startswith(("you ", "so you", "you're")) else "answer"
    rhetorical = any(lexicon.RHETORICAL.match(part) is not None for part in (text, final_clause))
    if rhetorical or (sentence.heading and not last):
        return "rhetorical"
    return "closer?" if all(map(_is_closer, text.split(", or "))) else "ask"


def _is_closer(clause: str) -> bool:
    """Whether a question, or one side of an "or", asks nothing about the request."""
    if lexicon.CLOSER_QUESTION_ANYWHERE.search(clause) is not None:
        return True
    if len(clause) > 120 or clause.startswith(("could you", "can you")):
        return False
    words = _WORD.findall(clause)
    return bool(words) and lexicon.CLOSER_WORDS.issuperset(words)


def statement_kind(text: str) -> str:
    """Judge a sentence that is no question, and what stands behind its "but" or colon where the front says nothing.

    Example:
        >>> [statement_kind(text) for text in ("i'd love to help.", "i'd love to help, but the shop is closed.")]
        ['filler', 'answer']
    """
    text = _peel(text)
    kind = _plain_kind(text)
    if kind != "filler":
        return kind
    _, but, behind_but = text.partition(", but ")
    _, colon, behind_colon = text.partition(": ")
    answers = (but and len(behind_but.split(None, 3)) >= 3 and _plain_kind(_peel(behind_but)) == "answer") or (
        colon and _plain_kind(_peel(behind_colon)) == "answer"
    )
    return "answer" if answers else "filler"


def _plain_kind(text: str) -> str:
    """Judge a statement by its first words."""
    if not any(map(str.isalnum, text)) and CONTENT not in text:
        return "filler"
    if lexicon.REQUEST.match(text) is not None:
        return "ask"
    if lexicon.CLOSER_STATEMENT.match(text) is not None:
        return "closer"
    if lexicon.OFFER.match(text) is not None and (" i " in text or " i'" in text or "please" in text):
        return "soft"
    if " need " in text[:90] and lexicon.NEEDS_ANYWHERE.search(text, 0, 90) is not None:
        return "soft"
    says_nothing = lexicon.FILLER.match(text) is not None or _speaks_of_itself(text) or _is_vague(text) or _cheers(text)
    return "filler" if says_nothing else "answer"


def _cheers(text: str) -> bool:
    """Whether a sentence is a short exclamation: "What fun!"."""
    if not text.endswith("!") or not 1 <= text.count(" ") <= 3:
        return False
    return CONTENT not in text and not any(map(str.isdigit, text))


def _is_vague(text: str) -> bool:
    return any(hint in text for hint in lexicon.VAGUE_HINTS) and lexicon.VAGUE.match(text) is not None


def _speaks_of_itself(text: str) -> bool:
    """Whether a sentence in the first person says nothing about the matter."""
    if lexicon.FIRST_PERSON.match(text) is None or ": " in text:
        return False
    return lexicon.OPINION_ANYWHERE.search(text, 0, 80) is None


def _peel(text: str) -> str:
    """Take polite words off the front, a few times over."""
    for _ in range(4):
        polite = lexicon.POLITE_PREFIX.match(text)
        if polite is None:
            break
        text = text[polite.end() :]
    return text
