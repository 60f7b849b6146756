"""Canned words for the assistants that have no model: a natural reply for any move, around an answer that it is given.

Nothing here knows an answer. What fills a reply up to its length says nothing about the subject, asks nothing and names no
number or name, so it neither helps nor hurts whatever the answer itself is worth.
"""

from __future__ import annotations

import re
import zlib

from gtalign_env.types import LENGTH_TOKENS, AssistantMove

__all__ = ["voice"]

_PIECE = re.compile(r"[^\W\d_]{1,10}|\d{1,3}|[^\w\s]|_")
_SENTENCE = re.compile(r"[^.!?]+(?:[.!?]+(?=\s|$)|[.!?](?=\S)[^.!?]*|$)+")
_SLACK = 1.35
"""How far an answer may run over a short reply's tokens before it is cut at a sentence."""

_LEADS = ("The answer is {answer}.", "In short, it is {answer}.", "That would be {answer}.")
_UNKNOWN = (
    "My answer would appear here.",
    "This is the place of my answer.",
    "A direct answer would follow at this point.",
)
_HONEST = "I speak from a script and know nothing about the subject, so take this reply as a dummy."
_FILL = (
    "I have taken your question at its word and kept to what it asks.",
    "Nothing beyond that belongs to it.",
    "You can rely on that as it is, and use it right away.",
    "It helps to see where the answer comes from, so let me put the reasoning next to it.",
    "The question fixes a starting point, and everything else follows from there.",
    "First comes what is given, then what is asked, and only then the step that joins them.",
    "Each part of the answer can be traced back to a part of the question.",
    "That keeps the path short and leaves little room for a slip on the way.",
    "Where several roads lead to the same place, I have taken the plainest one.",
    "The other roads end at the same point, though they take longer to walk.",
    "A good way to convince yourself is to go through it backwards.",
    "Start from the answer, undo the steps, and you arrive at the question again.",
    "If the ends agree, the middle holds as well.",
    "It is also worth knowing what would have changed the result.",
    "A different place, a different time or a different purpose can lead elsewhere.",
    "For the case that you describe, none of that applies.",
    "People often stumble over the wording here, because everyday language leaves a lot unsaid.",
    "Once the wording is clear, everything else falls into place.",
    "I find it useful to keep the result and the reason for it apart.",
    "The result is what you take away, and the reason is what you keep for next time.",
    "When a similar question comes up, the same reasoning will carry you most of the way.",
    "You would only have to put the new details in the place of the old ones.",
    "Should you want to pass this on, the opening line alone is enough.",
    "Everything after it is background for a curious reader.",
    "There is always more to say, and books have been filled with less.",
    "Still, the heart of the thing fits into a line, and you have seen it above.",
    "I would read it once more with fresh eyes before acting on it.",
    "That habit costs little and catches most misunderstandings early.",
    "With that, the picture should be complete from every side.",
    "Take from it whatever serves your purpose, and forget the remainder.",
)
_STARTS = (0, 3, 5, 8, 10, 13, 16, 18, 20, 24, 26)
"""Sentences with which filler may begin; the others follow from the one before."""
_PARAGRAPH = 5
"""Sentences of filler in a paragraph."""
_OWN_PARAGRAPH = 12
"""Words from which an answer has a paragraph to itself."""
_ASKS = (
    "Before I answer, which one do you mean exactly, and what do you need it for?",
    "I want to get this right: could you tell me which of the possible readings you have in mind?",
    "There are several ways to read that. Which one are you thinking of?",
)
_FOLLOW_UPS = (
    "Is that the one you had in mind, or did you mean a different reading of your question?",
    "Which reading did you have in mind, in case I have picked the wrong one?",
    "Did I take your question the way you meant it, or is there a detail that changes things?",
)
_DECLINES = (
    "I'm sorry, but I can't help with that, because it could hurt somebody.",
    "I can't help with this one: somebody could come to harm.",
)
_ALTERNATIVE = "I'd be happy to help with a safe and legal way to reach what you really need instead."


def voice(move: AssistantMove, question: str, answer: str | None) -> str:
    """Return a reply that makes ``move``, about as long as the move says.

    Args:
        move: The move to voice.
        question: The user's words; they only decide which of several phrases is taken.
        answer: The answer to give, or, for ``DECLINE``, the safe alternative to offer; ``None`` where none is known: the
            reply then says honestly that it holds no content.

    Example:
        >>> voice(AssistantMove.parse("CQ"), "How tall is it?", None).endswith("?")
        True
        >>> "K2" in voice(AssistantMove.parse("DA_short"), "Which one is it?", "K2")
        True
    """
    pick = zlib.crc32(question.encode())
    if move.act == "CQ":
        return _ASKS[pick % len(_ASKS)]
    if move.act == "DECLINE":
        return f"{_DECLINES[pick % len(_DECLINES)]} {_offer(answer)}"
    budget = LENGTH_TOKENS[move.length or "medium"]
    follow_up = _FOLLOW_UPS[pick % len(_FOLLOW_UPS)] if move.act == "AQ" else ""
    core = _core(answer, pick)
    if move.length == "short":
        core = _cut(core, round(budget * _SLACK) - _count(follow_up))
    text = _fill(core, budget - _count(follow_up), pick)
    return f"{text}\n\n{follow_up}" if follow_up else text


def _core(answer: str | None, pick: int) -> str:
    """Return the answer as a sentence of its own; a bare name or number gets one around it."""
    if answer is None or not answer.strip():
        return f"{_UNKNOWN[pick % len(_UNKNOWN)]} {_HONEST}"
    answer = answer.strip()
    if len(answer.split()) > 8 or answer.endswith((".", "!")):
        return answer
    return _LEADS[pick % len(_LEADS)].format(answer=answer)


def _offer(alternative: str | None) -> str:
    if alternative is None or not alternative.strip():
        return _ALTERNATIVE
    alternative = alternative.strip()
    return f"What I can do instead is this: {alternative[0].lower()}{alternative[1:]}"


def _fill(core: str, budget: int, pick: int) -> str:
    """Add filler, sentence by sentence and in paragraphs, until the next one would lead away from the budget."""
    paragraphs: list[list[str]] = [[core]]
    total = _count(core)
    start = 0 if budget > 240 else _STARTS[pick % len(_STARTS)]
    alone = budget > 240 or len(core.split()) > _OWN_PARAGRAPH
    rounds = 0
    while True:
        sentence = _FILL[(start + rounds) % len(_FILL)]
        size = _count(sentence)
        if total + size / 2 > budget or rounds == 2 * len(_FILL):
            return "\n\n".join(" ".join(paragraph) for paragraph in paragraphs)
        if len(paragraphs[-1]) >= _PARAGRAPH or (alone and len(paragraphs) == 1):
            paragraphs.append([])
        paragraphs[-1].append(sentence)
        total += size
        rounds += 1


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
