"""From the raw text of a reply to the sentences that its author really speaks.

Three steps, each linear in the length of the text: take off the wrapping that models leave behind (``unwrap``), blank
out what is quoted, coded, drafted or performed for somebody else (``mask``), cut the rest into sentences
(``sentences``). Masking keeps every offset, so a sentence can be found again in the text it came from.
"""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple

from gtalign_env.sanitize import clean_text
from gtalign_env.scenarios.text.lexicon import META_ANYWHERE

__all__ = ["CONTENT", "Sentence", "count_tokens", "mask", "sentences", "unwrap"]

CONTENT = "\x1a"
"""Stands for one masked character: something is said here, but not by the speaker to the listener."""

_CJK = "\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
_PIECE = re.compile(
    r"[A-Za-zÀ-ɏ]{1,10}(?:['’][a-z]{1,2}\b)?"  # Latin words, ten letters a piece
    rf"|[{_CJK}]"
    r"|\d{1,3}"
    rf"|[^\W\d_A-Za-zÀ-ɏ{_CJK}]{{1,4}}"  # other scripts
    r"|([^\w\s]|_)\1*"  # punctuation: a run of one sign counts once
)


def count_tokens(text: str) -> int:
    """Estimate the number of tokens in ``text`` without a tokenizer.

    One each for: ten letters of a Latin word (so a long word counts two or more), a Chinese, Japanese or Korean
    character, three digits, four letters of any other script, a run of one punctuation sign. Spaces are free. On English
    prose this is within some ten per cent of what byte-pair tokenizers count.

    Example:
        >>> count_tokens("Hello, world!"), count_tokens("internationalisation"), count_tokens("你好")
        (4, 2, 2)
    """
    return len(_PIECE.findall(text))


_CHAIN_BLOCK = re.compile(r"\s*<(think|thinking|payoff|analyze|analysis)>", re.IGNORECASE)
_RESPONSE = re.compile(r"\s*<(response|answer|reply|final)>", re.IGNORECASE)
_MOVE_LABEL = re.compile(r"\s*\{?\"?[VD]Q_(?:DA|CQ|AQ)\"?\}?[:.]?[ \t]*(?:\n|$)")
_MATRIX_KEYS = frozenset(("LLM", "user", *(f"{user}_{reply}" for user in ("VQ", "DQ") for reply in ("DA", "CQ", "AQ"))))
_FENCE_JSON = re.compile(r"```(?:json|JSON)?\s*\{")
_ANSWER_KEYS = ("answer", "response", "reply")
_QUESTION_KEYS = ("followup", "follow_up", "follow-up", "question", "clarifying_question")
_BROKEN_FIELD = re.compile(r'"([\w-]{1,20})"\s*:\s*"((?:[^"\\]|\\.)*)')


def unwrap(text: str) -> str:
    r"""Return what a reply says, without the tags and JSON envelope that models trained on chains leave around it.

    A leading ``<response>`` block (after closed chain blocks, if any) is replaced by its inside, and a JSON object
    with an answer or a follow-up field by the two texts. The name of a chosen cell and a bare payoff matrix are not
    said to anybody, and vanish. Any other text, JSON that was asked for included, comes back as it is.

    Example:
        >>> unwrap('<response>{"answer": "Four.", "followup": "Why?"}</response>')
        'Four.\n\nWhy?'
    """
    start = 0
    while (block := _CHAIN_BLOCK.match(text, start)) is not None:
        close = text.find(f"</{block[1]}>", block.end())
        if close < 0:
            break
        start = close + len(block[1]) + 3
    text = text[start:]
    for _ in range(3):  # tags within tags
        opened = _RESPONSE.match(text)
        if opened is None:
            break
        close = text.rfind(f"</{opened[1]}>")
        text = text[opened.end() :] if close < opened.end() else text[opened.end() : close]
    label = _MOVE_LABEL.match(text)
    text = text[label.end() if label else 0 :].strip()
    if text.startswith("{") or _FENCE_JSON.match(text) is not None:
        return _from_json(text)
    if len(text) > 2 and text[0] in '"“' and text[-1] in '"”' and not any(mark in text[1:-1] for mark in '"“”'):
        return text[1:-1].strip()
    return text


def _from_json(text: str) -> str:
    """Return the texts of an answer envelope, or ``text`` itself where it is something else."""
    body = text[text.index("{") : text.rindex("}") + 1] if "}" in text else text[text.index("{") :]
    try:
        fields: Any = json.loads(body)
    except (ValueError, RecursionError):
        fields = {name: value.replace("\\n", "\n").replace('\\"', '"') for name, value in _BROKEN_FIELD.findall(body)}
    if not isinstance(fields, dict):
        return text
    if fields and _MATRIX_KEYS.issuperset(fields):
        return ""
    names = {str(name).lower(): value for name, value in fields.items()}
    wanted = [name for name in (*_ANSWER_KEYS, *_QUESTION_KEYS) if name in names]
    if not wanted or len(names) > 4:
        return text
    parts = [names[name].strip() for name in wanted if isinstance(names[name], str)]
    return clean_text("\n\n".join(part for part in parts if part))


_FENCE = re.compile(r"^[ \t]*(?:```|~~~)", re.MULTILINE)
_INLINE_CODE = re.compile(r"`[^`\n]{1,300}`")
_URL = re.compile(r"(?:https?://|www\.)[^\s<>]+")
_TAG = re.compile(r"<!--|</?[A-Za-z][^<>]{0,200}>")
_BLOCK_QUOTE = re.compile(r"^[ \t]*>.*$", re.MULTILINE)
_QUOTATION = re.compile(
    r'"[^"\n]{1,400}"|“[^“”\n]{1,400}”|«[^«»\n]{1,400}»|„[^„“”\n]{1,400}[“”]|「[^「」\n]{1,400}」|『[^『』\n]{1,400}』'
    r"|(?<![\w'])'(?=[^\s'])[^'\n]{2,120}'(?![\w'])|‘[^‘’\n]{1,400}’(?!\w)"
)
_BRACKET = re.compile(r"\[[^\[\]\n]{1,200}\]|\([^()\n]{1,200}\)")
_SPEAKER = re.compile(
    r"^(?!Options?\b|Questions?\b)[A-Z][A-Za-z]{0,14}\.?(?: [A-Z0-9][a-z]{0,14})?:[ \t]+.*$", re.MULTILINE
)
_GREETING = re.compile(r"^(?:subject:.*|(?:dear|hi|hello|hey)\b[^\n?]{0,40}[,!]?[ \t]*)$", re.MULTILINE | re.IGNORECASE)
_SIGN_OFF = re.compile(
    r"^(?:(?:best|kind|kindest|warm|with best|with kind|many|all the)[ ])?"
    r"(?:regards|wishes|sincerely|cheers|best|thanks|yours(?: \w+)?|sincerely yours|thank you|love)[,.!]?[ \t]*$",
    re.MULTILINE | re.IGNORECASE,
)


def mask(speech: str) -> str:
    """Blank out what is content rather than speech: code, quotations, drafted letters, dialogue, addresses, markup.

    Returns:
        A text of the same length, in which such passages consist of ``CONTENT`` (and markup of spaces).

    Example:
        >>> mask('He asks "Why?" Do you?').replace(CONTENT, "_")
        'He asks _____. Do you?'
    """
    text = speech
    if "[" in text or "(" in text:
        text = _BRACKET.sub(_blank_note, text)
    if "```" in text or "~~~" in text:
        text = _mask_fences(text)
    if "`" in text:
        text = _INLINE_CODE.sub(_blank, text)
    if "://" in text or "www." in text:
        text = _URL.sub(_blank, text)
    if "<" in text:
        text = _mask_markup(text)
    if ">" in text:
        text = _BLOCK_QUOTE.sub(_blank, text)
    if any(mark in text for mark in "\"'“‘«„「『"):
        text = _QUOTATION.sub(_blank_quotation, text)
    if "\n" in text:
        text = _mask_letter(text)
        if ":" in text and len(_SPEAKER.findall(text)) >= 2:
            text = _SPEAKER.sub(_blank, text)
    return text


def _blank(match: re.Match[str]) -> str:
    return CONTENT * len(match[0])


def _blank_note(match: re.Match[str]) -> str:
    """Drop a bracketed note to whoever reads the move; leave every other bracket alone."""
    return " " * len(match[0]) if META_ANYWHERE.search(match[0].lower()) is not None else match[0]


def _blank_quotation(match: re.Match[str]) -> str:
    """Blank a quotation, but let a sentence that ends with it end there."""
    ends = match[0][-2] in ".?!。？！"
    after = match.string[match.end() : match.end() + 1]
    return CONTENT * (len(match[0]) - 1) + ("." if ends and (not after or after.isspace()) else CONTENT)


def _mask_fences(text: str) -> str:
    """Blank fenced code; a fence that is never closed reaches to the end."""
    marks = [match.start() for match in _FENCE.finditer(text)]
    parts, position = [], 0
    for opened, closed in zip(marks[::2], [*marks[1::2], len(text)], strict=False):
        line_end = text.find("\n", closed)
        end = len(text) if closed == len(text) or line_end < 0 else line_end
        parts += [text[position:opened], CONTENT * (end - opened)]
        position = end
    return "".join((*parts, text[position:]))


def _mask_markup(text: str) -> str:
    """Turn HTML tags and comments into spaces."""
    parts, position = [], 0
    for match in _TAG.finditer(text):
        if match.start() < position:
            continue
        end = match.end()
        if match[0] == "<!--":
            close = text.find("-->", end)
            end = len(text) if close < 0 else close + 3
        parts += [text[position : match.start()], " " * (end - match.start())]
        position = end
    return "".join((*parts, text[position:]))


def _mask_letter(text: str) -> str:
    """Blank a drafted letter or message: from its greeting or subject line to the name below its sign-off."""
    sign_offs = list(_SIGN_OFF.finditer(text))
    greeting = _GREETING.search(text, 0, sign_offs[-1].start()) if sign_offs else None
    if greeting is None or (greeting.start() == 0 and greeting[0][0] in "hH"):
        return text  # a reply that itself begins with "Hi" is speech
    start = min(len(text), sign_offs[-1].end() + 1)
    line_end = text.find("\n", start)
    name = text[start:] if line_end < 0 else text[start:line_end]
    end = start + len(name) if len(name.split()) <= 4 and "?" not in name else start
    return text[: greeting.start()] + CONTENT * (end - greeting.start()) + text[end:]


class Sentence(NamedTuple):
    """One sentence of masked speech, with its place."""

    start: int
    end: int
    text: str
    """Lower case, without emphasis marks, list marker and outer spaces."""
    item: bool
    """Whether it stands in a list item."""
    heading: bool
    """Whether it stands in a heading."""
    paragraph: int
    """Number of blank lines before it."""
    last_in_line: bool
    """Whether it is the last sentence of its line."""


_LINE = re.compile(r"[^\n]+|\n(?=[ \t]*\n)")
_NUMBERED = r"[ \t]*(?:\(?\d{1,3}[.)]|\(?[a-zA-Z][.)])[ \t]+"
_MARKER = re.compile(rf"[ \t]*[-*•–+·][ \t]+|{_NUMBERED}")
_NUMBERED_LINE = re.compile(rf"^{_NUMBERED}", re.MULTILINE)
_BULLET = re.compile(r"[ \t]*[-*•–+·][ \t]+")
_END = re.compile(r"[.!?…？؟。！]+[)\]\"'”»*_]*")  # a whole run at once, judged in code: a condition here costs n²
_DECIDED = frozenset("?？؟。！")  # these end a sentence even without a space behind them
_ABBREVIATION = re.compile(r"(?:^|[\s(])(?:(?i:e\.g|i\.e|etc|mr|mrs|ms|dr|st|vs|approx|ca|u\.s)|[A-Z])\.$")
_DRESSED = re.compile("[’‘*_#~`\u00a0]")
_DRESS = str.maketrans({"’": "'", "‘": "'", "*": None, "_": None, "#": None, "~": None, "`": None, "\u00a0": " "})


def sentences(masked: str) -> list[Sentence]:
    """Cut masked speech into sentences; pieces without a letter, digit or content are dropped.

    Example:
        >>> [sentence.text for sentence in sentences("It is 3.5 km, e.g. by bus. *Which* bus?")]
        ['it is 3.5 km, e.g. by bus.', 'which bus?']
    """
    found: list[Sentence] = []
    paragraph = 0
    marker_of = _MARKER if len(_NUMBERED_LINE.findall(masked)) > 1 else _BULLET  # one number alone is no list
    for line in _LINE.finditer(masked):
        if not line[0].strip():
            paragraph += 1
            continue
        marker = marker_of.match(masked, line.start(), line.end())
        heading = line[0].lstrip().startswith("#")
        first = len(found)
        for start, end in _cuts(masked, marker.end() if marker else line.start(), line.end()):
            text = masked[start:end].strip().lower()
            if _DRESSED.search(text) is not None:
                text = text.translate(_DRESS).strip()
            if CONTENT in text or any(map(str.isalnum, text)):
                found.append(Sentence(start, end, text, marker is not None, heading, paragraph, False))
        if len(found) > first:
            found[-1] = found[-1]._replace(last_in_line=True)
    return found


def _cuts(masked: str, start: int, stop: int) -> list[tuple[int, int]]:
    """Return the spans of the sentences between two offsets of one line."""
    spans = []
    for match in _END.finditer(masked, start, stop):
        end = match.end()
        if not _DECIDED.intersection(match[0]):
            if end < stop and not masked[end].isspace() and masked[end] not in "¿¡":
                continue
            if match[0] == "." and end < stop and _ABBREVIATION.search(masked, max(start, end - 8), end) is not None:
                continue
        spans.append((start, end))
        start = end
    if start < stop:
        spans.append((start, stop))
    return spans
