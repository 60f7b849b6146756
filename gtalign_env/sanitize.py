"""Text from a model or a person, made safe to show and to read.

A reply is untrusted bytes: an escape sequence can clear the reader's terminal or rewrite the line above, a bidi
override can turn a sentence round, zero-width characters can hide words from a search. ``clean_text`` takes all of
that out and leaves what a person would see. Combining marks and ordinary Unicode are left alone.
"""

from __future__ import annotations

import re

__all__ = ["clean_text"]

# Every class that follows a repeated class is disjoint from it, so each match is found without backtracking. A string
# sequence (title, hyperlink, device control) that is never closed ends with its line: it must not swallow the reply.
_ESCAPE = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?"  # control sequences: colours, cursor moves, erasing
    r"|(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x9c\n]*(?:\x07|\x1b\\|\x9c)?"  # strings
    r"|\x1b[ -/]*[0-~]?"  # two-character escapes
)
_BREAK = re.compile(r"\r\n|[\r\x0b\x0c\x85\u2028\u2029]")
# Controls except tab and newline; format characters (zero-width, bidi, tags) except the Arabic and Kaithi number
# signs, which are visible; variation selectors other than the two that choose between text and emoji style, because
# a run of them can carry a hidden message.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0d\ufeff"
    "\ufff9-\ufffb\U00013430-\U00013438\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
_SURROGATE = re.compile("[\ud800-\udfff]")


def clean_text(text: str) -> str:
    r"""Return ``text`` without anything that could act on a terminal or hide from a reader.

    ANSI escapes, control characters, zero-width and bidi characters and tag characters go; newlines and tabs stay;
    every kind of line break becomes ``\n``; a lone surrogate, which cannot be encoded, becomes ``\ufffd``. Cleaning
    twice changes nothing more. Joined emoji (families, flags of regions) fall apart into their visible members.

    Args:
        text: Any string.

    Returns:
        The same text, safe to print, in time linear in its length.

    Example:
        >>> clean_text("\x1b[31mred\x1b[0m\u200b alert\x07\r\n")
        'red alert\n'
    """
    if text.isascii() and text.replace("\n", "").replace("\t", "").isprintable():
        return text
    if "\x1b" in text or not text.isascii():
        text = _ESCAPE.sub("", text)
    text = _BREAK.sub("\n", text)
    text = _INVISIBLE.sub("", text)
    return text if text.isascii() else _SURROGATE.sub("\ufffd", text)
