"""Which name does a sentence give as the answer? A right name may stand in it and yet not be what the sentence answers.

* A name that something else is only *placed by* is not asserted: ``a friend of Picasso``, ``near Rome``, ``Picasso's pupil``
  (unless the question itself asks by that word).
* Where another name stands in the answer's place (alone behind ``is``, ``by`` or ``called``) and the right one stands neither
  in such a place, nor at the head of the sentence, nor alone in its clause, nor in a clause that takes up a word of the
  question, the sentence answers with the other name.
"""

from __future__ import annotations

import re

from gtalign_env.scenarios.tasks.graders.text import Term, clean, content, terms

__all__ = ["displaced", "only_placed_by"]

_RELATIVES = frozenset(
    """friend colleague pupil student teacher rival contemporary follower admirer son daughter brother sister cousin wife
    husband father mother uncle nephew successor predecessor neighbour neighbor enemy assistant imitator disciple mentor
    partner compatriot critic master friends pupils students rivals contemporaries followers""".split()
)
_DIRECTIONS = frozenset("north south east west outside ahead northeast northwest southeast southwest instead".split())
_BESIDE = frozenset("near unlike beside beyond after before behind than alongside following opposite like".split())
_BESIDE_PAIRS = """far from, away from, close to, next to, similar to, compared to, compared with, inspired by, influenced by,
    taught by, followed by"""
_PAIRS = frozenset(tuple(pair.split()) for pair in _BESIDE_PAIRS.split(","))
_NO_RELATION = frozenset("other looks seems sounds feels look sound named called".split())
_SLOT = re.compile(
    r"(?:\b(?:is|was|were|are|be|by|called|named)|\b(?:[Ii]t|[Tt]hat|[Hh]e|[Ss]he)['’]s)\s+"
    r"(?:(?:the|in|on|at|probably|actually|really|of course)\s+)*(?=([^,;:.!?()\n]*))"
)
_CUT = re.compile(
    r"\b(?:of|from|with|near|like|in|who|which|that|when|while|and|or|but|after|before|because|by|for|to|at|on|not)\b"
)
_NAME = re.compile(r"(?:[A-ZÀ-ÖØ-Þ][\w'’.-]*\s*)+")
_CLAUSE = re.compile(r"[,;:()\n]|[.!?](?=\s|$)| - | [–—] ")


def only_placed_by(words: tuple[Term, ...], start: int, end: int, question: str) -> bool:
    """Whether the terms ``words[start:end]`` only serve to place something else.

    Example:
        >>> only_placed_by(terms("Miro, a friend of Picasso"), 3, 4, "Who painted it?")
        True
    """
    clause = words[start].clause
    if end < len(words) and words[end].clause == clause and words[end].text in _RELATIVES:
        return words[end].text not in question
    before = [term.text for term in words[max(0, start - 5) : start] if term.clause == clause]
    reach = (
        1 if words[start].text[0].isdigit() else 3
    )  # "before Christmas 1918" is in 1918, "a friend of Pablo Picasso" is not he
    for last in range(len(before) - 1, len(before) - 1 - min(reach, len(before)), -1):
        word, previous = before[last], before[last - 1] if last else ""
        if _is_relation(previous, word):
            return (previous if word == "of" else word) not in question
        if not content(word):
            return False
    return False


def _is_relation(previous: str, word: str) -> bool:
    """Whether two words together place something by what follows them."""
    if word == "of":
        return previous in _RELATIVES or previous in _DIRECTIONS
    return previous not in _NO_RELATION and (word in _BESIDE or (previous, word) in _PAIRS)


def displaced(sentence: str, reference: tuple[str, ...], known: frozenset[str]) -> bool:
    """Whether a sentence that contains ``reference`` (a name, no number) gives another name in the answer's place.

    Args:
        sentence: As it was written: names are told by their capitals.
        reference: The words of the right answer.
        known: The stems of the question and of all right answers, which are no other names.

    Example:
        >>> displaced("It was painted by Goya, whom Picasso admired.", ("picasso",), frozenset(("paint",)))
        True
    """
    if reference[0][0].isdigit():
        return False
    slots = [_CUT.split(match[1])[0].strip() for match in _SLOT.finditer(sentence)]
    rivals = [slot for slot in slots if _NAME.fullmatch(slot) and content(slot) and known.isdisjoint(content(slot))]
    if not rivals:
        return False
    wanted = set(reference)
    if any(wanted <= {term.text for term in terms(slot)} for slot in slots):
        return False
    clauses = [tuple(term.text for term in terms(clause)) for clause in _CLAUSE.split(sentence) if clause.strip()]
    if clauses and clauses[0][: len(reference)] == reference:
        return False
    topic = known - content(" ".join(reference))
    own = [clause for clause in clauses if wanted <= set(clause)]
    alone = any(len(clause) <= len(reference) + 1 for clause in own)
    texts = [" ".join(clause) for clause in own]
    apart = [text for text in texts if not any(clean(rival) in text for rival in rivals)]
    return not alone and not any(topic & content(text) for text in apart)
