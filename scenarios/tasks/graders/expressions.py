r"""The value of a written expression: plain numbers, fractions, percentages and the LaTeX of school mathematics.

A recursive-descent reader that evaluates while it reads: ``-3``, ``1,024``, ``7/2``, ``1 1/2``, ``75%``, ``2.5 \cdot 10^3``,
``\frac{3\sqrt{3}}{\pi}``, ``2\sqrt[3]{5}``, ``30^\circ``. Anything else (variables, intervals, sets) has no value here.
Rational values stay exact.
"""

from __future__ import annotations

import math
import re
from fractions import Fraction
from typing import NamedTuple

__all__ = ["Value", "evaluate"]

_MAX_DIGITS = 40
_MAX_EXPONENT = 400
_TOKEN = re.compile(r"\d+(?:\.\d+)?|\.\d+|\\[a-z]+|[-+*/^(){}\[\]%!,]|\S")
_DROPPED = re.compile(
    r"\\(?:left|right|displaystyle|,|;|!|:| |quad|qquad)(?![a-z])|\\(?:text|mbox|mathrm|textbf)\s*\{[^{}]*\}|\\\$|[$€£°]|\\circ\b"
)
_FONTS = re.compile(r"\\(?:mathbf|boldsymbol|bf|boxed)\s*\{([^{}]*)\}")
_BARE = re.compile(r"(?<![\\a-zA-Z])(pi|sqrt)(?![a-z])")
_SIGNS = str.maketrans({"−": "-", "–": "-", "×": "*", "·": "*", "÷": "/", "π": "\x01", "√": "\x02"})
_THOUSANDS = re.compile(r"(?<![\d.])\d{1,3}(?:(?:,\\!|,|\{,\}|\\!)\d{3})+(?![\d])")
_MIXED = re.compile(r"(?<![\d.])(\d+)\s+(\d+)\s*/\s*(\d+)(?![\d.])")
_DIGITS = r"(?:\d+(?:\.\d+)?|\.\d+)"
_PLAIN = re.compile(
    rf"\s*[-+]?\s*(?:{_DIGITS}(?:\s*/\s*\d+)?|\\frac\s*(?:\{{\s*-?\d+\s*\}}|\d)\s*(?:\{{\s*\d+\s*\}}|\d+)"
    rf"|\(\d+\+\d+/\d+\)|{_DIGITS}\s*(?:\*|\\times|\\cdot)\s*10\s*\^\s*\{{?\s*-?\d+\s*\}}?)\s*"
)
_TIMES = ("\\times", "\\cdot", "*")


class Value(NamedTuple):
    """What an expression is worth, and how precisely it was written.

    Example:
        >>> evaluate("12.50%")
        Value(number=Fraction(25, 2), decimals=2, percent=True, plain=True)
    """

    number: Fraction | float
    decimals: int | None
    """Digits written behind the point of a decimal number; ``None`` for fractions and formulas."""
    percent: bool = False
    plain: bool = False
    """Whether it is a result, not a sum to be done: a number, a fraction, a mixed number, a power of ten."""


class _NoValue(Exception):  # noqa: N818 - internal control flow, never seen outside this file
    pass


def evaluate(text: str) -> Value | None:
    r"""Return the value of an expression, or ``None`` when it has none that this reader knows.

    Args:
        text: One expression, in plain or LaTeX notation, without words around it.

    Example:
        >>> evaluate("\\frac{1}{4} + 1 1/2").number
        Fraction(7, 4)
        >>> evaluate("x + 1") is None
        True
    """
    plain = _prepare(text)
    if not plain or len(plain) > 400:
        return None
    percent = plain.endswith("%")
    body = plain.rstrip("%").rstrip("\\").strip()
    decimal = re.fullmatch(r"[-+]?\d*(?:\.(\d+))?", body)
    try:
        reader = _Reader(_TOKEN.findall(body))
        number = reader.total()
        reader.finish()
    except (_NoValue, ZeroDivisionError, OverflowError, ValueError, RecursionError):
        return None
    if isinstance(number, float) and not math.isfinite(number):
        return None
    return Value(number, len(decimal[1] or "") if decimal else None, percent, _PLAIN.fullmatch(body) is not None)


def _prepare(text: str) -> str:
    text = _FONTS.sub(r"\1", text.translate(_SIGNS)).replace("\x01", "\\pi ").replace("\x02", "\\sqrt ")
    text = _BARE.sub(r"\\\1 ", text)
    text = _THOUSANDS.sub(lambda m: re.sub(r"[^\d]", "", m[0]), text)
    text = _MIXED.sub(r"(\1+\2/\3)", _DROPPED.sub("", text).replace("**", "^"))
    text = text.replace("dfrac", "frac").replace("tfrac", "frac").replace("^{}", "").removesuffix("^")
    return text.strip().rstrip(".").strip()


class _Reader:
    """Evaluates a list of tokens from left to right."""

    def __init__(self, tokens: list[str]) -> None:
        self.tokens = tokens
        self.at = 0

    def peek(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def take(self) -> str:
        token = self.peek()
        self.at += 1
        return token

    def expect(self, token: str) -> None:
        if self.take() != token:
            raise _NoValue

    def finish(self) -> None:
        if self.at < len(self.tokens):
            raise _NoValue

    def total(self) -> Fraction | float:
        value = self.product()
        while self.peek() in ("+", "-"):
            sign = 1 if self.take() == "+" else -1
            value = value + sign * self.product()
        return value

    def product(self) -> Fraction | float:
        value = self.signed()
        while True:
            token = self.peek()
            if token in _TIMES:
                self.take()
                value = value * self.signed()
            elif token in ("/", "\\div"):
                self.take()
                value = value / self.signed()
            elif token.startswith("\\") or token in ("(", "{"):
                value = value * self.power()  # 2\sqrt{3}, 3(4+1)
            else:
                return value

    def signed(self) -> Fraction | float:
        if self.peek() in ("-", "+"):
            return -self.signed() if self.take() == "-" else self.signed()
        return self.power()

    def power(self) -> Fraction | float:
        base = self.atom()
        if self.peek() == "!":
            self.take()
            if base != int(base) or not 0 <= base <= 60:
                raise _NoValue
            base = Fraction(math.factorial(int(base)))
        if self.peek() != "^":
            return base
        self.take()
        return _raise(base, self.signed() if self.peek() == "-" else self.power())

    def atom(self) -> Fraction | float:
        token = self.take()
        if token and (token[0].isdigit() or token[0] == "."):
            if len(token) > _MAX_DIGITS:
                raise _NoValue
            return Fraction(token)
        if token in ("(", "{"):
            value = self.total()
            self.expect(")" if token == "(" else "}")
            return value
        if token == "\\pi":
            return math.pi
        if token == "\\frac":
            above = self.argument()
            return above / self.argument()
        if token == "\\sqrt":
            return self.root()
        raise _NoValue

    def root(self) -> Fraction | float:
        degree: Fraction | float = Fraction(2)
        if self.peek() == "[":
            self.take()
            degree = self.total()
            self.expect("]")
        radicand = self.argument()
        if radicand < 0 and degree == 3:
            return -float(float(-radicand) ** (1 / 3))
        if radicand < 0 or degree <= 0:
            raise _NoValue
        return _exact_root(radicand) if degree == 2 else float(float(radicand) ** (1 / float(degree)))

    def argument(self) -> Fraction | float:
        r"""Read a LaTeX argument: a group, or one digit or command (``\frac94`` is 9/4)."""
        token = self.peek()
        if token[:1].isdigit() and len(token) > 1 and "." not in token:
            self.tokens[self.at : self.at + 1] = [token[0], token[1:]]
        return self.atom()


def _raise(base: Fraction | float, exponent: Fraction | float) -> Fraction | float:
    if abs(float(exponent)) > _MAX_EXPONENT or abs(float(base)) > 10**12:
        raise _NoValue
    if exponent == int(exponent):
        return base ** int(exponent) if isinstance(base, Fraction) else float(base ** int(exponent))
    if base < 0:
        raise _NoValue
    return float(float(base) ** float(exponent))


def _exact_root(radicand: Fraction | float) -> Fraction | float:
    """Return the square root, exactly where it is rational."""
    if isinstance(radicand, Fraction) and radicand.numerator < 10**30:
        above, below = math.isqrt(radicand.numerator), math.isqrt(radicand.denominator)
        if above * above == radicand.numerator and below * below == radicand.denominator:
            return Fraction(above, below)
    return math.sqrt(radicand)
