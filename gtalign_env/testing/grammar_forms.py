"""The smallest text of a grammar in llguidance's Lark, as ``json_grammar`` writes it: what a stand-in for a server answers."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

__all__ = ["grammar_instance"]

_PIECE = re.compile(r'"(?:[^"\\]|\\.)*"|/(?:[^/\\]|\\.)*/|\w+|[|()]|\{\d+,\d+\}')
_NUMBERS = [text for n in range(10_000) for text in (str(n), f"-{n}", f"{n / 100:g}", f"-{n / 100:g}")]


def grammar_instance(grammar: str) -> str:
    r"""Return a text of a grammar: the first of several alternatives, as few repetitions as may be.

    Example:
        >>> grammar_instance('start: r0\nr0: "{\\"x\\": " T1 "}" | "null"\nT1: /[2-9]/')
        '{"x": 2}'
    """
    rules = dict(line.split(": ", 1) for line in grammar.splitlines())
    return _text(rules, rules["start"])


def _text(rules: dict[str, str], body: str) -> str:
    return _sequence(rules, iter(_PIECE.findall(body)))


def _sequence(rules: dict[str, str], pieces: Iterator[str]) -> str:
    """Return the text of one alternative, up to the end or a closing bracket; the others are passed over."""
    parts: list[str] = []
    passed = False
    for piece in pieces:
        if piece == ")":
            break
        if piece == "|":
            passed = True
        elif piece == "(":
            inside = _sequence(rules, pieces)
            parts += [] if passed else [inside]
        elif not passed:
            if piece[0] == "{":
                parts[-1] *= int(piece[1:].partition(",")[0])
            else:
                parts.append(_one(rules, piece))
    return "".join(parts)


def _one(rules: dict[str, str], piece: str) -> str:
    if piece[0] == '"':
        return str(json.loads(piece))
    if piece[0] != "/":
        return _text(rules, rules[piece])
    pattern = re.compile(piece[1:-1])
    strings = ('"' + "a" * count + '"' for count in range(1000))
    return next(text for texts in (_NUMBERS, strings) for text in texts if pattern.fullmatch(text))
