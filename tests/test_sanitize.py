"""What ``clean_text`` takes out, what it leaves, and that nothing slips through."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gtalign_env.sanitize import clean_text

VISIBLE_FORMAT = set("\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd")
"""Format characters that stand for something a reader sees: Arabic, Syriac and Kaithi number signs."""

hostile = st.lists(
    st.one_of(
        st.text(max_size=20),
        st.sampled_from(
            ["\x1b[31m", "\x1b", "[0m", "\x9b2J", "\x1b]0;title\x07", "\x1b]8;;", "\x1b\\", "\r", "\r\n", "\u202e"]
        ),
        st.sampled_from(
            ["\u200b", "\ufeff", "\U000e0041", "\ud800", "\x00", "\x7f", "\u2028", "\ufe01", "\n", "\t", "abc"]
        ),
    )
).map("".join)


@pytest.mark.parametrize(
    ("dirty", "clean"),
    [
        ("plain text\n\twith a tab", "plain text\n\twith a tab"),
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("\x9b2Jcleared", "cleared"),
        ("\x1b]0;evil title\x07shown", "shown"),
        ("\x1b]8;;http://x.test\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1bP payload \x1b\\after", "after"),
        ("a\r\nb\rc\u2028d\x0be", "a\nb\nc\nd\ne"),
        ("pay\u200bpal\u200d\ufeff", "paypal"),
        ("abc\u202edef\u202c", "abcdef"),
        ("hi\U000e0041\U000e0042", "hi"),
        ("lone \ud800 half", "lone \ufffd half"),
        ("bell\x07null\x00del\x7f", "bellnulldel"),
        ("naïve café 你好 مرحبا 👍", "naïve café 你好 مرحبا 👍"),
    ],
)
def test_clean_text__removes_what_acts_or_hides(dirty: str, clean: str) -> None:
    """Escapes, controls, zero-width and bidi characters go; everything a reader sees stays."""
    assert clean_text(dirty) == clean


def test_clean_text__unclosed_string_sequence_ends_with_its_line() -> None:
    """A terminal title that is never closed cannot swallow the rest of the reply."""
    assert clean_text("\x1b]0;never closed\nstill here") == "\nstill here"


@given(hostile)
def test_clean_text__leaves_no_control_or_format_character(text: str) -> None:
    """Whatever goes in, only newline, tab and visible characters come out, and the result can be encoded."""
    cleaned = clean_text(text)
    cleaned.encode()
    for sign in cleaned:
        assert (
            sign in "\n\t" or sign in VISIBLE_FORMAT or unicodedata.category(sign) not in {"Cc", "Cf", "Cs", "Zl", "Zp"}
        )


@given(hostile)
def test_clean_text__is_idempotent(text: str) -> None:
    """Taking something out never leaves behind something new to take out."""
    assert clean_text(clean_text(text)) == clean_text(text)


def test_clean_text__covers_every_control_and_format_character_of_unicode() -> None:
    """The ranges written in the module are those of the Unicode version in use."""
    signs = (chr(code) for code in range(0x110000))
    dirty = [
        sign for sign in signs if unicodedata.category(sign) in {"Cc", "Cf", "Zl", "Zp"} and sign not in VISIBLE_FORMAT
    ]
    kept = [sign for sign in dirty if sign not in "\n\t" and clean_text(f"a{sign}b") not in {"ab", "a\nb", "a"}]
    assert kept == []
