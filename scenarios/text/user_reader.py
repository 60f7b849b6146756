"""Reads what a person, or a model in the user's chair, does with an utterance: form, reaction, or leaving."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from gtalign_env.sanitize import clean_text
from gtalign_env.types import UserMove

__all__ = ["read_user"]

_STOP_WORDS: Final = frozenset(
    "a about actually again all also am an and any are as at be because been but by can could did do does don't for "
    "from get "
    "give had has have he her him his how i i'd i'll i'm i've if in into is it it's its just know like make me mean "
    "meant more "
    "my need no not of ok okay on one only or our out please question really she should so some tell than thank "
    "thanks that "
    "that's the their them then there these they thing this those to too up us use very want was we well were what "
    "when where "
    "which who why will with would yes you your yours".split()
)
_NUMBERS: Final = {
    name: str(n) for n, name in enumerate("zero one two three four five six seven eight nine ten eleven twelve".split())
}
_WORDS = re.compile(r"\d+(?:\.\d+)?|[^\W\d_]+(?:'[^\W\d_]+)?")
_CJK = re.compile("[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")

_THANKS_NOT = re.compile(r"\bthanks for nothing\b|\bno,? thanks?\b|\bno,? thank you\b")
_REACTIONS: Final = (
    (
        "off_target",
        re.compile(
            r"\bnot what i (?:asked|meant|wanted|was (?:asking|looking)|needed|am (?:asking|looking))|"
            r"\bthanks for nothing\b|\boff[- ](?:topic|target)\b|\b(?:you|you've) (?:misunderstood|missed the point|"
            r"got (?:it|that) wrong|didn't (?:answer|understand))|\bmiss(?:es|ed|ing)? the point\b|\b(?:that's|that is|"
            r"this is|that was|it's|you're) (?:completely |totally |just |plain )?(?:wrong|irrelevant|incorrect|"
            r"nonsense)|\bdoes(?:n't| not) (?:answer|help)|\bno,? i meant?\b|\bwrong (?:one|thing|question|answer|"
            r"topic)\b|\bnot (?:helpful|useful|relevant|right)\b|\bi (?:didn't|did not) (?:ask|mean)\b|\bno es lo que|"
            r"\bce n'est pas ce que|\bdas (?:war|ist) nicht (?:meine|was)|不是我(?:问|想)|答非所问"
        ),
    ),
    (
        "too_long",
        re.compile(
            r"\btoo (?:long|wordy|verbose|much (?:text|detail|information|info|to read))\b|\btl;? ?dr\b|"
            r"\b(?:way )?too many words\b|\bwall of text\b|\b(?:be |keep it |make it |something |a |"
            r"much )(?:more )?(?:shorter|short|brief|briefer|concise)\b(?! (?:trip|walk|story|film|book|answer is))|"
            r"\bget to the point\b|\bless (?:detail|text|words)\b|\bfewer words\b|\bshorter,? please\b|\bin (?:one|"
            r"a) (?:sentence|word|nutshell)\b|\bdemasiado largo\b|\btrop long\b|\bzu lang\b|太长"
        ),
    ),
    (
        "too_short",
        re.compile(
            r"\btoo (?:short|brief|terse|vague|little (?:detail|information))\b|\b(?:more|further|in|"
            r"greater) (?:\w+ )?(?:detail|details|depth|explanation)\b|\belaborate\b|\bexpand on\b|\btell me more\b|"
            r"\bgo (?:deeper|into more)\b|\bnot (?:enough|detailed)\b|\bexplain (?:more|further|why|that|it)\b|"
            r"\blonger (?:answer|reply|version|please)\b|\bis that all\?|\bthat's it\?|\bmás detalles?\b|"
            r"\bplus de détails\b|\bmehr details\b|\bzu kurz\b|太短|详细(?:一点|些)"
        ),
    ),
    (
        "thanks",
        re.compile(
            r"\b(?:thanks|thank you|thx|ty|cheers|much appreciated|perfect|awesome|brilliant|excellent|wonderful|"
            r"that helps|helpful|great(?:,|!|\.|$| (?:answer|job|thanks|help))|gracias|merci|danke)\b|谢谢|太好了"
        ),
    ),
)
"""Complaints before thanks: "Thanks, but that is far too long" complains. "not too long" does not."""
_NEGATED = re.compile(r"\b(?:not|isn't|wasn't|never|nothing|n't)(?: \w+)? $")

_FAREWELL = (
    r"bye|goodbye|good bye|bye bye|see you(?: later| around)?|so long|farewell|ciao|adios|adiós|au revoir|tschüss|再见|"
    r"stop|stop it|stop here|quit|/quit|exit|/exit|/leave|leave|end|never ?mind|nevermind|forget (?:it|about it|that)|"
    r"i(?:'m| am) (?:done|leaving|out|off|finished|gone|giving up)|i give up|(?:i have|i've|i) (?:got to|gotta|have to|"
    r"must|need to) (?:go|leave|run)|gotta go|got to go|that(?:'s| is| was| will be|'ll be) (?:all|it|everything)|"
    r"no(?: more| further| other)? (?:more )?questions|nothing else|we(?:'re| are) done|let's stop(?: here)?|i quit|"
    r"i(?:'ll| will) (?:go|leave|stop)(?: now| elsewhere| here)?|this is (?:useless|pointless|a waste of time)"
)
_LEAVES = re.compile(
    rf"(?:(?:ok|okay|well|thanks|thank you|no|and|then|alright|all right|great|so|sorry|yes|right|please|"
    rf"then) )*(?:{_FAREWELL})"
    r"(?: (?:now|then|here|for (?:now|today|me)|thanks|thank you|please|i (?:needed|need|wanted|have)|everyone|all|"
    r"with (?:this|you|it)|from me|too))*"
)
_CLAUSES = re.compile(r"[.,!?;:\n—–]+")


def read_user(text: str, *, vague: str, detailed: str, facts: tuple[tuple[str, str], ...] = ()) -> UserMove:
    """Read a person's utterance as one of the user's eleven moves.

    The form is ``DQ`` where the text carries what distinguishes the detailed form of the question, or a hidden fact,
    from the vague form: content words, compared without endings, accents and stop words. Otherwise it is ``VQ``. The
    reaction comes from a list of phrases, unless they are words of the task itself. A farewell ends the session, unless
    the text also tells something new or asks something.

    Args:
        text: What the user wrote; anything at all.
        vague: The vague form of the question.
        detailed: The detailed form.
        facts: Hidden facts as (topic, statement).

    Returns:
        The move; ``VQ_none`` for empty text.

    Example:
        >>> task = {"vague": "How high is it?", "detailed": "How high is Mount Fuji in metres?"}
        >>> read_user("Too long! I mean Mount Fuji.", **task).name, read_user("ok thanks, bye", **task).name
        ('DQ_too_long', 'LEAVE')
    """
    said = clean_text(text).lower().replace("’", "'").strip()
    form = _form(said, vague, detailed, facts)
    if form == "VQ" and "?" not in said and "？" not in said:
        clauses = (" ".join(clause.split()) for clause in _CLAUSES.split(said))
        if any(_LEAVES.fullmatch(clause) for clause in clauses if clause and len(clause) <= 80):
            return UserMove("LEAVE", None)
    task = " ".join((vague, detailed, *(statement for _, statement in facts))).lower()
    return UserMove(form, _reaction(said, task))


def _reaction(said: str, task: str) -> str:
    """Return the first reaction whose phrase is said, is not negated, and is no phrase of the task."""
    for reaction, pattern in _REACTIONS:
        if reaction == "thanks" and _THANKS_NOT.search(said) is not None:
            continue
        for found in pattern.finditer(said):
            negated = _NEGATED.search(said, max(0, found.start() - 24), found.start()) is not None
            if not negated and found[0] not in task:
                return reaction
    return "none"


def _form(said: str, vague: str, detailed: str, facts: tuple[tuple[str, str], ...]) -> str:
    """Return ``DQ`` where enough of what only the detailed form or a fact says is said."""
    words = _content(said)
    known = _content(vague)
    wanted = _content(detailed) - known
    hits = len(words & wanted)
    if wanted and (hits >= 0.4 * len(wanted) or (hits >= 2 and hits >= 0.25 * len(wanted))):
        return "DQ"
    for _, statement in facts:
        telling = _content(statement) - known
        if telling and len(words & telling) >= 0.5 * len(telling):
            return "DQ"
    same = not wanted and detailed.strip() != vague.strip() and said.split() == detailed.lower().split()
    return "DQ" if same else "VQ"


def _content(text: str) -> set[str]:
    """Return the content words of a text, without endings; CJK characters count as words."""
    plain = "".join(sign for sign in unicodedata.normalize("NFKD", text.lower()) if not unicodedata.combining(sign))
    words = {_NUMBERS.get(word, word) for word in _WORDS.findall(plain.replace("’", "'"))} - _STOP_WORDS
    return {_stem(word) for word in words if not _CJK.search(word)} | set(_CJK.findall(plain))


def _stem(word: str) -> str:
    """Take off a plural or verbal ending; crude, but the same on both sides."""
    for ending in ("ies", "ing", "es", "ed", "s", "e"):
        if word.endswith(ending) and len(word) - len(ending) >= 3 and not word.endswith("ss"):
            return word[: -len(ending)]
    return word
