r"""From a JSON schema to a grammar: every text of it fits the schema, and none is long.

A schema says what a text means, not how it is written: ``1.000…`` fits any number that 1 fits, and white space may go on
for ever. A small model that may do so will, up to the token limit. So the grammar is narrower than the schema:

* one line, as ``json.dumps`` writes it, with ``", "`` and ``": "``;
* objects have every property that the schema names, in its order, and no other;
* numbers have no exponent, at most two decimals, and where the schema sets no bound six digits before the point;
* strings have at most 200 characters, arrays at most 16 items, unless the schema asks for more.

A schema with other keywords than these (``pattern``, ``oneOf``, ``multipleOf``, …) is handed to llguidance's own reader,
part by part; its texts fit as well, but are only as short as the schema makes them. So it is where a schema refers to itself.

The grammar is in llguidance's dialect of Lark, which both engines in this process read.
"""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, NoReturn

from gtalign_env.errors import UsageError

__all__ = ["json_grammar", "number_pattern"]

_DECIMALS = 2
_REACH = 999_999
_CHARACTERS = 200
_ITEMS = 16

_NOTES = frozenset("$schema $id $comment $defs definitions title description default examples".split())
_BOUNDS = frozenset("minimum maximum exclusiveMinimum exclusiveMaximum".split())
_KEYWORDS: Mapping[str, frozenset[str]] = {
    "object": frozenset(("properties", "required", "additionalProperties")),
    "array": frozenset(("items", "minItems", "maxItems")),
    "string": frozenset(("minLength", "maxLength")),
    "number": _BOUNDS,
    "integer": _BOUNDS,
    "boolean": frozenset(),
    "null": frozenset(),
}
_SCALARS = ["string", "number", "boolean", "null"]
_AS_WE_WRITE = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}
_CHARACTER = r'([^"\\\x00-\x1f\x7f]|\\["\\\/bfnrt])'


@functools.lru_cache(maxsize=256)
def json_grammar(schema: str) -> str:
    r"""Return a grammar, in llguidance's Lark, for short JSON texts that fit ``schema``.

    Args:
        schema: The JSON text of a JSON schema.

    Raises:
        UsageError: That is no schema: not JSON, not an object, or with a ``$ref`` that leads nowhere.

    Example:
        >>> print(json_grammar('{"type": "object", "properties": {"x": {"type": "integer", "minimum": 0, "maximum": 12}}}'))
        start: r0
        r0: "{\"x\": " T1 "}"
        T1: /([0-9]|1[0-2])/
    """
    try:
        root = json.loads(schema, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"json_schema: expected the JSON text of a schema: {error}") from None
    if not isinstance(root, dict):
        raise UsageError(f"json_schema: expected a JSON object, got {schema[:80]!r}")
    return _Writer(root).grammar()


def number_pattern(low: int, high: int, decimals: int) -> str:
    """Return a regular expression for the decimal numbers in a range, without exponent, minus zero or leading zeros.

    Args:
        low: Smallest number, in units of the last decimal.
        high: Largest (>= ``low``), in the same units.
        decimals: Most digits behind the point (>= 0); fewer may be written.

    Example:
        >>> import re
        >>> pattern = number_pattern(-150, 500, decimals=2)  # -1.5 to 5
        >>> [text for text in "-1.5 -1.51 0 -0 1.0 4.99 5.00 5.01 05 1.234 1.".split() if re.fullmatch(pattern, text)]
        ['-1.5', '0', '1.0', '4.99', '5.00']
    """
    parts = [f"-{_fixed(max(1, -high), -low, decimals)}"] if low < 0 else []
    return _either(parts + ([_fixed(max(0, low), high, decimals)] if high >= 0 else []))


class _Writer:
    """Writes the rules of one schema; equal parts share a rule."""

    def __init__(self, root: dict[str, Any]) -> None:
        self.root = root
        self.lines: dict[str, str] = {}
        self._names: dict[str, str] = {}
        self._kinds: dict[str, Callable[[dict[str, Any]], str]] = {
            "object": self._object,
            "array": self._array,
            "string": self._string,
            "number": functools.partial(self._number, decimals=_DECIMALS),
            "integer": functools.partial(self._number, decimals=0),
            "boolean": lambda _: '"true" | "false"',
            "null": lambda _: '"null"',
        }

    def grammar(self) -> str:
        """Return all lines of the grammar."""
        try:
            start = self._named(self.root)
        except RecursionError:
            raise UsageError("json_schema: it is nested too deeply") from None
        return "\n".join([f"start: {start}", *(f"{name}: {body}" for name, body in self.lines.items())])

    def _named(self, schema: Any) -> str:
        """Return the name of the rule, or of the terminal, for ``schema``; write it if there is none yet."""
        key = json.dumps(schema, sort_keys=False)
        if key not in self._names:
            is_number = isinstance(schema, dict) and schema.get("type") in ("number", "integer", "string")
            terminal = is_number and self._is_plain(schema)
            name = self._names[key] = f"{'T' if terminal else 'r'}{len(self._names)}"
            self.lines[name] = ""  # keeps its place before the rules that it needs
            self.lines[name] = self._body(schema)
        return self._names[key]

    def _body(self, schema: Any) -> str:
        """Return the right side of a rule."""
        if schema is True:
            schema = {}
        if not isinstance(schema, dict):
            raise UsageError(f"json_schema: expected an object or true as a schema, got {json.dumps(schema)[:80]}")
        known = schema.keys() - _NOTES
        if known == {"$ref"}:
            return self._named(self._target(schema["$ref"]))
        if known == {"const"}:
            return _literal(json.dumps(schema["const"], ensure_ascii=False))
        if known == {"anyOf"} and isinstance(schema["anyOf"], list) and schema["anyOf"]:
            return " | ".join(self._named(choice) for choice in schema["anyOf"])
        if known == {"enum"} and isinstance(schema["enum"], list) and schema["enum"]:
            return " | ".join(_literal(json.dumps(value, ensure_ascii=False)) for value in schema["enum"])
        kinds = schema.get("type", "object" if "properties" in schema else _SCALARS if not known else None)
        if isinstance(kinds, list) and kinds:
            return " | ".join(self._named(_only(schema, kind)) for kind in kinds)
        typed: dict[str, Any] = {**schema, "type": kinds} if kinds else schema
        return self._kinds[str(kinds)](typed) if self._is_plain(typed) else self._foreign(typed)

    def _is_plain(self, schema: dict[str, Any]) -> bool:
        """Whether all that the schema says is understood here."""
        kind = schema.get("type")
        if not isinstance(kind, str) or kind not in _KEYWORDS:
            return False
        said = schema.keys() - _NOTES - {"type"}
        if not said <= _KEYWORDS[kind]:
            return False
        if kind in ("number", "integer"):
            return all(_is_number(schema[bound]) for bound in said) and _range(schema, kind) is not None
        if kind == "object":
            properties, required = schema.get("properties"), schema.get("required", [])
            if not isinstance(properties, dict) or not isinstance(required, list):
                return False
            return all(isinstance(name, str) and name in properties for name in required)
        return all(isinstance(schema[key], int) and schema[key] >= 0 for key in said - {"items"})

    def _foreign(self, schema: dict[str, Any]) -> str:
        """Leave a part to llguidance's own reader."""
        shared = {key: self.root[key] for key in ("$defs", "definitions") if key in self.root}
        return f"%json {json.dumps({**shared, **schema, 'x-guidance': _AS_WE_WRITE})}"

    def _target(self, ref: Any) -> Any:
        found: Any = self.root
        try:
            for part in str(ref).removeprefix("#").split("/")[1:]:
                found = found[part.replace("~1", "/").replace("~0", "~")]
        except (KeyError, TypeError):
            found = None
        if found is None or not str(ref).startswith("#"):
            raise UsageError(f"json_schema: $ref {ref!r} leads nowhere: expected '#/$defs/NAME'") from None
        return found

    def _object(self, schema: dict[str, Any]) -> str:
        parts, before = [], "{"
        for name, value in schema["properties"].items():
            parts += [_literal(f"{before}{json.dumps(name, ensure_ascii=False)}: "), self._named(value)]
            before = ", "
        return " ".join([*parts, _literal("}" if parts else "{}")])

    def _array(self, schema: dict[str, Any]) -> str:
        least = schema.get("minItems", 0)
        most = min(schema.get("maxItems", _ITEMS), max(_ITEMS, least))
        if not most:
            return '"[]"'
        item = self._named(schema.get("items", True))
        more = f' (", " {item}){{{max(least, 1) - 1},{most - 1}}}' if most > 1 else ""
        some = f'"[" {item}{more} "]"'
        return some if least else f'"[]" | {some}'

    def _string(self, schema: dict[str, Any]) -> str:
        least = schema.get("minLength", 0)
        most = min(schema.get("maxLength", _CHARACTERS), max(_CHARACTERS, least))
        return f'/"{_CHARACTER}{{{least},{most}}}"/'

    def _number(self, schema: dict[str, Any], decimals: int) -> str:
        bounds = _range(schema, schema["type"])
        assert bounds is not None, "_is_plain looked"
        return f"/{number_pattern(*bounds, decimals)}/"


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _only(schema: dict[str, Any], kind: Any) -> dict[str, Any]:
    """Return what a schema says about one kind of value."""
    allowed = _KEYWORDS.get(kind, frozenset()) if isinstance(kind, str) else frozenset()
    others = frozenset().union(*_KEYWORDS.values()) - allowed
    return {"type": kind, **{key: value for key, value in schema.items() if key not in others | {"type"}}}


def _range(schema: Mapping[str, Any], kind: str) -> tuple[int, int] | None:
    """Return the smallest and the largest number of a schema, in units of the last decimal; ``None`` if there is none."""
    scale = 10**_DECIMALS if kind == "number" else 1
    bounds = {key: Decimal(str(schema[key])) * scale for key in _BOUNDS if key in schema}
    lows = [math.ceil(bounds["minimum"])] if "minimum" in bounds else []
    lows += [math.floor(bounds["exclusiveMinimum"]) + 1] if "exclusiveMinimum" in bounds else []
    highs = [math.floor(bounds["maximum"])] if "maximum" in bounds else []
    highs += [math.ceil(bounds["exclusiveMaximum"]) - 1] if "exclusiveMaximum" in bounds else []
    reach = _REACH * scale
    low = max(lows) if lows else min(-reach, min(highs, default=0) - reach)
    high = min(highs) if highs else max(reach, max(lows, default=0) + reach)
    return (low, high) if low <= high else None


def _literal(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _either(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"({'|'.join(parts)})"


def _fixed(low: int, high: int, decimals: int) -> str:
    """Match the numbers between two that are not negative."""
    scale = 10**decimals
    first, last = low // scale, high // scale
    if first == last:
        return _with_decimals(str(first), low % scale, high % scale, decimals)
    parts = [_with_decimals(str(first), low % scale, scale - 1, decimals)]
    if low % scale == 0:  # the first whole number is like those between
        parts, first = [], first - 1
    between = last - 1
    if high % scale == scale - 1:
        between = last
    if between > first:
        parts.append(_with_decimals(_numerals(first + 1, between), 0, scale - 1, decimals))
    if between < last:
        parts.append(_with_decimals(str(last), 0, high % scale, decimals))
    return _either(parts)


def _with_decimals(whole: str, low: int, high: int, decimals: int) -> str:
    """Match ``whole`` with a fraction between two, in as many digits or fewer."""
    behind = []
    for count in range(1, decimals + 1):
        step = 10 ** (decimals - count)
        first, last = -(-low // step), high // step
        if first <= last:
            behind.append(_digits(str(first).zfill(count), str(last).zfill(count)))
    if not behind:
        return whole
    return rf"{whole}(\.{_either(behind)}){'' if low else '?'}"


def _numerals(low: int, high: int) -> str:
    """Match the whole numbers between two that are not negative."""
    parts = []
    for length in range(len(str(low)), len(str(high)) + 1):
        shortest = 10 ** (length - 1) if length > 1 else 0
        parts.append(_digits(str(max(low, shortest)), str(min(high, 10**length - 1))))
    return _either(parts)


def _digits(low: str, high: str) -> str:
    """Match the strings of digits between two of the same length."""
    if low == high:
        return low
    if low[0] == high[0]:
        return low[0] + _digits(low[1:], high[1:])
    rest = len(low) - 1
    first, last = int(low[0]), int(high[0])
    parts = []
    if low[1:].strip("0"):
        parts.append(low[0] + _digits(low[1:], "9" * rest))
        first += 1
    top = high[1:].strip("9")
    last -= bool(top)
    if first <= last:
        parts.append((f"[{first}-{last}]" if first < last else str(first)) + "[0-9]" * rest)
    if top:
        parts.append(high[0] + _digits("0" * rest, high[1:]))
    return _either(parts)
