"""How graders read language: sentences, assertions, and words brought to one spelling.

Graders never compare raw strings. They compare *terms*: lower case, no accents, articles and punctuation gone,
numbers in one notation (``1,024``, ``1024.0``), number words as digits, dates as day month year, units under one name.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import NamedTuple

__all__ = [
    "UNITS",
    "Term",
    "asks_only",
    "assertions",
    "clean",
    "content",
    "courtesy",
    "hedged",
    "negated",
    "question_sentences",
    "sentences",
    "stem",
    "terms",
]

_TRANSLATE = str.maketrans(
    {"‘": "'", "’": "'", "“": '"', "”": '"', "−": "-", "–": "-", "—": " - ", "\u00a0": " ", "\u202f": " "}
)
_ABBREVIATIONS = ("dr.", "e.g.", "i.e.", "jr.", "mr.", "mrs.", "ms.", "mt.", "prof.", "sr.", "st.", "u.s.", "vs.")
_SENTENCE_END = re.compile(r"(?<=[.!?])[\"')\]*_]*\s+|\n+")
_TERM = re.compile(r"\d{3,4}s\b|\d+(?:[.,]\d+)*|[^\W\d_]+(?:'[^\W\d_]+)*|[%,;:()\n]|[.!?](?=\s|$)| - ")
_BREAKS = frozenset(",;:().!?\n") | {" - "}
_ARTICLES = frozenset(("a", "an", "the"))
_MONTHS = "january february march april may june july august september october november december".split()
_MONTH = "(" + "|".join(f"{name[:3]}(?:{name[3:]})?" for name in _MONTHS) + r"|sept)\.?"
_MONTH_FIRST = re.compile(rf"\b{_MONTH}\s+(\d{{1,2}})(?:st|nd|rd|th)?(?:,?\s+(\d{{3,4}}))?\b(?![.,]?\d)")
_DAY_FIRST = re.compile(rf"\b(\d{{1,2}})(?:st|nd|rd|th)?(?:\s+of)?\s+{_MONTH}(?:,?\s+(\d{{3,4}}))?\b")
_ISO_DATE = re.compile(r"\b(\d{4})-(\d{2})-(\d{2})\b")
_ORDINAL = re.compile(r"\b(\d+)(?:st|nd|rd|th)\b")
_UNITS_WORDS = (
    "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen"
)
_SMALL = {word: i + 1 for i, word in enumerate(f"{_UNITS_WORDS} eighteen nineteen".split())} | {"zero": 0}
_TENS = {word: 10 * (i + 2) for i, word in enumerate("twenty thirty forty fifty sixty seventy eighty ninety".split())}
_UNIT_NAMES = {
    "metre": "m metre metres meter meters",
    "kilometre": "km kms kilometre kilometres kilometer kilometers",
    "centimetre": "cm centimetre centimetres centimeter centimeters",
    "foot": "ft foot feet",
    "mile": "mi mile miles",
    "kilogram": "kg kgs kilogram kilograms kilogramme kilogrammes",
    "gram": "g gram grams gramme grammes",
    "pound": "lb lbs pound pounds",
    "litre": "l litre litres liter liters",
    "millilitre": "ml millilitre millilitres milliliter milliliters",
    "celsius": "c celsius centigrade",
    "fahrenheit": "f fahrenheit",
    "percent": "% percent",
    "second": "s sec secs second seconds",
    "minute": "min mins minute minutes",
    "hour": "h hr hrs hour hours",
    "day": "day days",
    "year": "year years yr yrs",
}
UNITS: dict[str, str] = {alias: name for name, aliases in _UNIT_NAMES.items() for alias in aliases.split()}
"""Spelling of a unit to its name. Letters such as ``m`` count as units only behind a number."""
_NOT_BEING = tuple("isn't wasn't aren't weren't".replace("'", "").split())  # terms carry no apostrophes
_NEGATIONS = frozenset(
    (*_NOT_BEING, *"not never no neither nor cannot don't doesn't didn't can't won't".replace("'", "").split())
)
_EXCLUSIONS = (("rather", "than"), ("instead", "of"), ("other", "than"), ("except", "for"), ("apart", "from"))
_NONE_OTHER = (("none", "other"), ("no", "other"))
_DENIALS = frozenset(("wrong", "incorrect", "false", "mistaken"))
_COPULAS = frozenset(("is", "are", "was", "were", "would", "be"))
_NOT_REALLY = (("not", "only"), ("not", "just"), ("no", "doubt"), ("no", "less"), ("no", "fewer"), ("no", "other"))
_STOPWORDS = frozenset(
    """about above after again all also am and any are as at be because been before being both but by can could did do
    does doing down during each few for from further had has have having he her here hers him his how i if in into is it
    its itself just me more most my no nor not now of off on once only or other our out over own same she should so some
    such than that their them then there these they this those through to too under until up very was we were what when
    where which while who whom why will with would you your yours please let know need want make get""".split()
)


class Term(NamedTuple):
    """One canonical word of a text.

    Example:
        >>> terms("Three miles")
        (Term(text='3', clause=0), Term(text='mile', clause=0))
    """

    text: str
    clause: int
    """Which clause it stands in: commas, stops, brackets and dashes separate clauses."""


def clean(text: str) -> str:
    """Return ``text`` in one typography: plain quotes and hyphens, no emphasis marks, no accents, lower case.

    Example:
        >>> clean("**Zürich**")
        'zurich'
    """
    text = text.translate(_TRANSLATE)
    if not text.isascii():
        decomposed = unicodedata.normalize("NFKD", text)
        text = "".join(char for char in decomposed if not unicodedata.combining(char))
    return text.replace("**", "").replace("__", "").replace("`", "").casefold()


def sentences(text: str) -> list[str]:
    """Split text at the ends of sentences and lines; abbreviations and initials do not end a sentence.

    Example:
        >>> sentences("It is in St. Ives. Is that what you meant?")
        ['It is in St. Ives.', 'Is that what you meant?']
    """
    parts: list[str] = []
    for piece in _SENTENCE_END.split(text):
        piece = piece.strip()
        if not piece:
            continue
        if parts and _is_abbreviation(parts[-1]):
            parts[-1] += " " + piece
        else:
            parts.append(piece)
    return parts


def _is_abbreviation(sentence: str) -> bool:
    last = sentence.rsplit(None, 1)[-1].casefold().lstrip("(\"'")
    return last in _ABBREVIATIONS or (len(last) == 2 and last[0].isalpha() and last[1] == ".")


def _is_question(sentence: str) -> bool:
    return sentence.rstrip(" \"')]*_").endswith("?")


def assertions(text: str) -> str:
    """Return what a text asserts: its sentences without the questions.

    Example:
        >>> assertions("It is Rome. Or did you mean Turin?")
        'It is Rome.'
    """
    return "\n".join(sentence for sentence in sentences(text) if not _is_question(sentence))


def question_sentences(text: str) -> list[str]:
    """Return the sentences of a text that ask something.

    Example:
        >>> question_sentences("Happy to. Which one?")
        ['Which one?']
    """
    return [sentence for sentence in sentences(text) if _is_question(sentence)]


def asks_only(text: str) -> bool:
    """Whether a reply does nothing but ask: there is a question, and little beside it (under 12 words, and less than it).

    Example:
        >>> asks_only("Happy to help! Which war do you mean?"), asks_only("In 1918. Anything else?")
        (True, False)
    """
    asked = said = 0
    for sentence in sentences(text):
        count = len(sentence.split())
        if _is_question(sentence):
            asked += count
        elif not courtesy(sentence):
            said += count + 12 * any(char.isdigit() for char in sentence)
    return asked > 0 and said < min(12, asked)


def courtesy(sentence: str) -> bool:
    """Whether a sentence is there for politeness only, judged by how it begins.

    Example:
        >>> courtesy("Happy to help!"), courtesy("Rome.")
        (True, False)
    """
    return _COURTESY.match(sentence) is not None


_COURTESY = re.compile(
    r"(?i)\W*(sure|of course|certainly|absolutely|gladly|happy to|i'?d be (glad|happy)|i can help|great question|thanks|"
    r"thank you|sorry|no problem|let me know|feel free|just to be (sure|clear)|to (help|answer|give))\b"
)


def terms(text: str) -> tuple[Term, ...]:
    """Return the canonical words of ``text``, articles left out.

    Example:
        >>> [term.text for term in terms("The 1,024 m were run on April 18th, 1996.")]
        ['1024', 'metre', 'were', 'run', 'on', '18', 'april', '1996']
    """
    return _terms(text) if len(text) > 2000 else _cached_terms(text)


@lru_cache(maxsize=4096)
def _cached_terms(text: str) -> tuple[Term, ...]:
    return _terms(text)


def _terms(text: str) -> tuple[Term, ...]:
    plain = _ORDINAL.sub(r"\1", _dates(clean(text))).replace("per cent", "percent")
    found: list[Term] = []
    clause = 0
    for token in _TERM.findall(plain):
        if token in _BREAKS:
            clause += 1
        elif token not in _ARTICLES:
            _append(found, token, clause)
    return tuple(found)


def _append(found: list[Term], token: str, clause: int) -> None:
    """Add one token in its canonical spelling; a unit behind a ten joins it (``twenty-one``)."""
    previous = found[-1].text if found else ""
    if token[0].isdigit():
        token = _number(token)
    elif token in _SMALL:
        token = str(_SMALL[token])
        if len(token) == 1 and len(previous) == 2 and previous in _TEN_VALUES and found[-1].clause == clause:
            found[-1] = Term(str(int(previous) + int(token)), clause)
            return
    elif token in _TENS:
        token = str(_TENS[token])
    elif token in ("degree", "degrees") and previous[:1].isdigit():
        return
    elif token in UNITS and (len(token) > 2 or previous[:1].isdigit()):
        token = UNITS[token]
    else:
        token = token.removesuffix("'s").replace("'", "")
    found.append(Term(token, clause))


_TEN_VALUES = frozenset(str(value) for value in _TENS.values())


def _number(token: str) -> str:
    """Return a number without separators and superfluous zeros; a decade (``1950s``) stays as it is."""
    if token.endswith("s"):
        return token
    if re.fullmatch(r"\d{1,3}(,\d{3})+(\.\d+)?", token):
        token = token.replace(",", "")
    if token.count(".") == 1 and "," not in token:
        token = token.rstrip("0").rstrip(".")
    return token


def _dates(text: str) -> str:
    """Rewrite dates as day, full month name, year."""
    text = _ISO_DATE.sub(lambda m: f"{int(m[3])} {_month(m[2])} {m[1]}", text)
    text = _MONTH_FIRST.sub(lambda m: f"{int(m[2])} {_month(m[1])} {m[3] or ''}".rstrip(), text)
    return _DAY_FIRST.sub(lambda m: f"{int(m[1])} {_month(m[2])} {m[3] or ''}".rstrip(), text)


def _month(name: str) -> str:
    if name.isdigit():
        return _MONTHS[int(name) - 1] if 1 <= int(name) <= 12 else name
    return next(month for month in _MONTHS if month.startswith(name[:3]))


def content(text: str) -> frozenset[str]:
    """Return the stems of the words of ``text`` that carry meaning.

    Example:
        >>> sorted(content("Please water the tomatoes"))
        ['tomato', 'water']
    """
    return frozenset(stem(term.text) for term in terms(text) if term.text not in _STOPWORDS)


@lru_cache(maxsize=16384)
def stem(word: str) -> str:
    """Cut the usual English endings, so that ``watering`` and ``waters`` meet ``water``.

    Example:
        >>> stem("watering"), stem("boxes"), stem("switched")
        ('water', 'box', 'switch')
    """
    for ending, rest in (("ies", "y"), ("sses", "ss"), ("xes", "x"), ("ches", "ch"), ("shes", "sh"), ("oes", "o")):
        if word.endswith(ending) and len(word) > len(ending) + 2:
            return word[: -len(ending)] + rest
    if word.endswith("s") and not word.endswith(("ss", "us", "is")) and len(word) > 3:
        word = word[:-1]
    for ending in ("ing", "ed"):
        if word.endswith(ending) and len(word) > len(ending) + 2:
            word = word[: -len(ending)]
            if len(word) > 3 and word[-1] == word[-2] and word[-1] not in "lsz":
                word = word[:-1]
            break
    return word.removesuffix("e") if len(word) > 3 else word


def negated(words: tuple[Term, ...], start: int, end: int) -> bool:
    """Whether the terms ``words[start:end]`` are denied in their own clause (``not X``, ``X is wrong``).

    Example:
        >>> negated(terms("It is not Rome"), 3, 4), negated(terms("It is Turin, not Rome"), 2, 3)
        (True, False)
    """
    clause = words[start].clause
    before = [term.text for term in words[max(0, start - 4) : start] if term.clause == clause]
    before = before[len(before) - before[::-1].index("but") :] if "but" in before else before  # not X but Y
    pairs = set(zip(before, [*before[1:], words[start].text], strict=False))
    if pairs.intersection(_EXCLUSIONS) and not pairs.intersection(_NONE_OTHER):
        return True
    if not pairs.intersection(_NOT_REALLY) and _NEGATIONS.intersection(before):
        return True
    clause = words[end - 1].clause
    after = [term.text for term in words[end : end + 3] if term.clause == clause]
    if not after:
        return False
    denied = after[0] in _COPULAS and (bool(_DENIALS.intersection(after)) or after[1:2] == ["not"])
    return denied or after[0] in _NOT_BEING


_HEDGES = re.compile(
    r"\b(maybe|perhaps|possibly|presumably|might be|may be|could be|not (entirely |completely )?(sure|certain)|unsure|"
    r"i guess|my guess|i suppose|hard to say|wild guess|no idea|don't know|can't be sure)\b"
)


def hedged(sentence: str) -> bool:
    """Whether a sentence says that its author is not sure.

    Example:
        >>> hedged("It might be Rome."), hedged("It is Rome.")
        (True, False)
    """
    return _HEDGES.search(clean(sentence)) is not None
