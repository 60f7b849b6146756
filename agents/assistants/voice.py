"""Canned words for the assistants that have no model: a natural reply for any move, around an answer that it is given.

Nothing here knows an answer. What fills a reply up to its length comes from ``padding`` and fits the kind of task.
"""

from __future__ import annotations

import re
import zlib

from gtalign_env.agents.assistants.padding import GENERIC, NOTES, PADDING, STAND_IN, UNKNOWN
from gtalign_env.types import LENGTH_TOKENS, AssistantMove

__all__ = ["general_answer", "guess_kind", "voice"]

_PIECE = re.compile(r"[^\W\d_]{1,10}|\d{1,3}|[^\w\s]|_")
_SENTENCE = re.compile(r"[^.!?]+(?:[.!?]+(?=\s|$)|[.!?](?=\S)[^.!?]*|$)+")
_SLACK = 1.35
"""How far an answer may run over a short reply's tokens before it is cut at a sentence."""

_LEADS = {"arithmetic": ("The answer is {answer}.", "The result is {answer}.")}
_ANY_LEADS = ("The answer is {answer}.", "That would be {answer}.")
_DECLINES = (
    "I'm sorry, but I can't help with that, because it could hurt somebody.",
    "I can't help with this one: somebody could come to harm.",
)
_ALTERNATIVE = "I'd be happy to help with a safe and legal way to reach what you really need instead."

_ASKS = {
    "arithmetic": (
        "Which numbers do you have, and what exactly are you after?",
        "Which numbers should I work with?",
    ),
    "fact": (
        "What exactly do you mean, and what is it about?",
        "What are you thinking of exactly, so that I don't answer the wrong question?",
    ),
    "how_to": (
        "What exactly is it about, and what do you have to work with?",
        "What exactly are you dealing with, and what do you have to work with?",
    ),
    "writing": (
        "Who is it for, and what should it say?",
        "Gladly. Who is going to read it, and what does it have to say?",
    ),
}
_FOLLOW_UPS = {
    "arithmetic": (
        "Are those the numbers you had in mind, or did you mean different ones?",
        "Did I start from the numbers you meant, or do you have others?",
    ),
    "fact": (
        "Is that the one you had in mind, or did you mean a different one?",
        "Did I take your question the way you meant it, or were you asking about another one?",
    ),
    "how_to": (
        "Is that what you are dealing with, or did you mean something different?",
        "Did I picture your situation rightly, or do you have something different to work with?",
    ),
    "writing": (
        "Is that what you had in mind, or should it say something different?",
        "Did I guess rightly who it is for, or do you have somebody else in mind?",
    ),
}
_WRITES = re.compile(
    r"\b(?:write|draft|compose|proofread|letter|e-?mail|invitation|toast|poem|essay|speech|bio|apology|thank-you)\b"
)
_HOW = re.compile(r"\bhow (?:do|can|should|would|could) (?:i|you|we|one)\b|\bwhat (?:do|should|can) i do\b")
_COUNTS = re.compile(
    r"\bhow much\b|\bper ?cent\b|%|\bcalculate\b|\bcompute\b|\bsolve\b|\bsum\b|\baverage\b|\bmean of\b|\barea\b|"
    r"\bprobability\b|\bchances\b|\bequation\b|\bdivisor\b|\d ?[-+*/×÷^=] ?\d"
)
_NAME = re.compile(r"(?<=[a-z,'’] )(?!I\b|I['’])[A-Z][\w-]*(?: [A-Z][\w-]*){0,2}")
_NOUN = re.compile(
    r"\bthe (?:(?!(?:end|start|begin|began|fall|built|founded|invented|made|written|painted|opened?|closed?|happen|take|go|"
    r"come|cost|win|die|born|call(?:ed)?|live|work|have|has|be|does?|did|were|is|was|are|of|in|on|at|to|for|with|from|by|and|"
    r"or|after|before|when|that|who|which)\b)[a-z]+ ?){1,2}"
)
_OF = re.compile(r"of (?:the )?[a-z]+(?: [a-z]+)?(?=[?,.]|$)")
_PRONOUN = re.compile(r"(?<!so )\b(?:it|this|that|them|these|those)\b")
_DOES = re.compile(r"\bhow (?:do|can|should|would|could) (?:i|you|we) ([^?.,;:\"]+)", re.IGNORECASE)


def voice(move: AssistantMove, question: str, answer: str | None, kind: str | None = None) -> str:
    """Return a reply that makes ``move``, about as long as the move says.

    Args:
        move: The move to voice.
        question: The user's words; a clarifying question refers to them, and they decide which of several phrases is taken.
        answer: The answer to give, or, for ``DECLINE``, the safe alternative to offer; ``None`` where none is known: the
            reply then says honestly that it holds no content.
        kind: The kind of task; guessed from the question when ``None``.

    Example:
        >>> voice(AssistantMove.parse("CQ"), "When did the war end?", None)
        'Which war do you mean?'
        >>> "K2" in voice(AssistantMove.parse("DA_short"), "Which one is it?", "K2")
        True
    """
    pick = zlib.crc32(question.encode())
    if kind not in PADDING:
        kind = guess_kind(question)
    if move.act == "CQ":
        return _clarifying(question, kind, pick)
    if move.act == "DECLINE":
        return f"{_DECLINES[pick % len(_DECLINES)]} {_offer(answer)}"
    budget = LENGTH_TOKENS[move.length or "medium"]
    known = answer is not None and bool(answer.strip())
    follow_up = "" if move.act == "DA" else _follow_up(question, answer if known else None, kind, pick)
    core = _core(str(answer), kind, pick) if known else UNKNOWN[pick % len(UNKNOWN)]
    if move.length == "short":
        core = _cut(core, round(budget * _SLACK) - _count(follow_up))
    text = _padded(core, budget - _count(follow_up), pick, kind if known else None)
    return f"{text}\n\n{follow_up}" if follow_up else text


def general_answer(kind: str) -> str:
    """Return what can honestly be said where the user's words leave open what is meant.

    Example:
        >>> "formula" in general_answer("arithmetic")
        True
    """
    return GENERIC.get(kind, GENERIC["fact"])


def guess_kind(question: str) -> str:
    """Return the kind of task that somebody's words sound like.

    Example:
        >>> [guess_kind(words) for words in ("Write my bio.", "How do I sort it?", "What's 3 + 4?", "Who won?")]
        ['writing', 'how_to', 'arithmetic', 'fact']
    """
    words = question.casefold()
    if _HOW.search(words):
        return "how_to"
    if _WRITES.search(words):
        return "writing"
    return "arithmetic" if _COUNTS.search(words) else "fact"


def _clarifying(question: str, kind: str, pick: int) -> str:
    """Return a question about what the user's own words leave open."""
    asked = question.strip().rpartition("? ")[2] if question.rstrip().endswith("?") else question.strip()
    asks = _ASKS[kind]
    if kind == "fact":
        return _which(asked) or asks[pick % len(asks)]
    does = _DOES.search(asked)
    if kind == "how_to" and does is not None and len(does[1].split()) <= 6:
        deed = does[1].strip()
        if _PRONOUN.search(deed):
            return f'When you say "{deed}", what exactly do you mean, and what do you have to work with?'
        deed = re.sub(r"\bmy\b", "your", deed)
        return f"What exactly is the situation, and what do you have at hand to {deed}?"
    return asks[pick % len(asks)]


def _follow_up(question: str, answer: str | None, kind: str, pick: int) -> str:
    """Return what is asked behind an answer: whether it was the right one, or, where it is none, what is meant."""
    if answer is None or answer in GENERIC.values():
        return _clarifying(question, kind, pick)
    return _FOLLOW_UPS[kind][pick % len(_FOLLOW_UPS[kind])]


def _which(asked: str) -> str:
    """Return a question about the name, the noun or the pronoun in somebody's question; nothing where there is none."""
    name = _NAME.search(asked)
    if name is not None:
        return f"Which {name[0]} do you mean?"
    noun = _NOUN.search(asked)
    if noun is None:
        pronoun = _PRONOUN.search(asked)
        return "" if pronoun is None else f'When you say "{pronoun[0]}", what exactly do you mean?'
    behind = _OF.match(asked, noun.end())
    if behind is not None:
        return f'When you say "{noun[0]}{behind[0]}", what exactly do you mean?'
    words = noun[0].split()[1:]
    if words[0] == "first" or words[0].endswith("est"):
        return f'When you say "the {" ".join(words)}", which one do you mean?'
    return f"Which {' '.join(words)} do you mean?"


def _core(answer: str, kind: str, pick: int) -> str:
    """Return the answer as a sentence of its own; a bare name or number gets one around it."""
    answer = answer.strip()
    if kind == "writing" or len(answer.split()) > 8 or answer.endswith((".", "!")):
        return answer
    leads = _LEADS.get(kind, _ANY_LEADS)
    return leads[pick % len(leads)].format(answer=answer)


def _offer(alternative: str | None) -> str:
    if alternative is None or not alternative.strip():
        return _ALTERNATIVE
    alternative = alternative.strip()
    return f"What I can do instead is this: {alternative[0].lower()}{alternative[1:]}"


def _padded(core: str, budget: int, pick: int, kind: str | None) -> str:
    """Add padding, sentence by sentence and in paragraphs, until the next one would lead away from the budget."""
    paragraphs = STAND_IN if kind is None else PADDING[kind]
    fixed = 1 if kind in NOTES else 0
    turn = fixed + pick % (len(paragraphs) - fixed)
    ordered = (*paragraphs[:fixed], *paragraphs[turn:], *paragraphs[fixed:turn])
    total, parts = _count(core), [core]
    for paragraph in (*ordered, *ordered[fixed:]):
        taken: list[str] = []
        for sentence in paragraph:
            size = _count(sentence)
            if total + size / 2 > budget:
                break
            taken.append(sentence)
            total += size
        if taken:
            parts.append(" ".join(taken))
        if len(taken) < len(paragraph):
            break
    joint = " " if budget <= LENGTH_TOKENS["short"] and kind in ("fact", "arithmetic", None) else "\n\n"
    return joint.join(parts[:2]) + "".join(f"\n\n{part}" for part in parts[2:])


def _cut(text: str, budget: int) -> str:
    """Return the first sentences of a text that fit, at least one."""
    if _count(text) <= budget:
        return text
    kept = ""
    for match in _SENTENCE.finditer(text):
        longer = kept + match[0]
        if kept and _count(longer) > budget:
            break
        kept = longer
    return kept.strip() or text


def _count(text: str) -> int:
    """Count tokens by rule of thumb: ten letters, three digits or one sign each."""
    return len(_PIECE.findall(text))
