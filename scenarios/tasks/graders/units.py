"""Quantities: which unit a question asks for, and a reply's quantities brought to it.

A quantity in another unit of the same sort counts where it converts to the reference, within half a unit of the last digit of
the reference (``29,032 feet`` for 8,849 metres); sums such as ``9 dollars and 60 cents`` are one quantity. A quantity of
another sort (``9.60 euros`` for dollars) is no answer. Where the question itself names the same quantity in another unit
(``How many seconds has a day of 24 hours?``), converting *is* the question, and only the unit that it asks for counts.
A number without a unit is taken to be in the unit asked for.
"""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

__all__ = ["CURRENCIES", "Quantity", "Unit", "asked_unit", "is_unit_word", "quantities"]


class Unit(NamedTuple):
    """One unit: ``value * factor + offset`` is in the base unit of its sort.

    Example:
        >>> Unit("length", Fraction(1000)).sort
        'length'
    """

    sort: str
    factor: Fraction
    offset: Fraction = Fraction(0)


class Quantity(NamedTuple):
    """A number with its unit, where it stands in a text.

    Example:
        >>> quantities("It weighs 0.75 kg.")[0].value
        Fraction(3, 4)
    """

    value: Fraction
    units: tuple[Unit, ...]
    """What the unit may mean: a pound is a weight and a currency."""
    start: int
    end: int
    summed: bool = False
    """Whether it was written in several parts (``5 feet 3 inches``)."""


_TABLE: dict[str, tuple[str, str | int]] = {  # spellings: sort, factor
    "km kms kilometre kilometres kilometer kilometers": ("length", 1000),
    "m metre metres meter meters": ("length", 1),
    "cm centimetre centimetres centimeter centimeters": ("length", "0.01"),
    "mm millimetre millimetres millimeter millimeters": ("length", "0.001"),
    "mi mile miles": ("length", "1609.344"),
    "yd yard yards": ("length", "0.9144"),
    "ft foot feet": ("length", "0.3048"),
    "inch inches": ("length", "0.0254"),
    "tonne tonnes": ("mass", 10**6),
    "kg kgs kilo kilos kilogram kilograms kilogramme kilogrammes": ("mass", 1000),
    "g gram grams gramme grammes": ("mass", 1),
    "mg milligram milligrams": ("mass", "0.001"),
    "lb lbs": ("mass", "453.59237"),
    "oz ounce ounces": ("mass", "28.349523125"),
    "l L litre litres liter liters": ("volume", 1),
    "dl decilitre decilitres deciliter deciliters": ("volume", "0.1"),
    "cl centilitre centilitres centiliter centiliters": ("volume", "0.01"),
    "ml mL millilitre millilitres milliliter milliliters cc": ("volume", "0.001"),
    "s sec secs second seconds": ("time", 1),
    "min mins minute minutes": ("time", 60),
    "h hr hrs hour hours": ("time", 3600),
    "day days": ("time", 86400),
    "week weeks": ("time", 604800),
    "month months": ("calendar", 1),
    "year years yr yrs": ("calendar", 12),
    "decade decades": ("calendar", 120),
    "century centuries": ("calendar", 1200),
    "$ dollar dollars usd": ("dollar", 1),
    "€ euro euros eur": ("euro", 1),
    "£ quid gbp": ("sterling", 1),
    "p pence penny": ("sterling", "0.01"),
    "kelvin K": ("temperature", 1),
    "kph kmh": ("length/time", "1/3.6"),
    "mph": ("length/time", "0.44704"),
}
_NAMED: dict[str, tuple[Unit, ...]] = {
    name: (Unit(sort, Fraction(1000, 3600) if factor == "1/3.6" else Fraction(factor)),)
    for names, (sort, factor) in _TABLE.items()
    for name in names.split()
}
_NAMED |= dict.fromkeys(("pound", "pounds"), (*_NAMED["lb"], *_NAMED["£"]))
_NAMED |= dict.fromkeys(("cent", "cents"), (Unit("dollar", Fraction(1, 100)), Unit("euro", Fraction(1, 100))))
_NAMED |= dict.fromkeys(("c", "C", "celsius", "centigrade"), (Unit("temperature", Fraction(1), Fraction(27315, 100)),))
_NAMED |= dict.fromkeys(("f", "F", "fahrenheit"), (Unit("temperature", Fraction(5, 9), Fraction(45967, 180)),))
_COMPOUNDS = frozenset(("length/time", "mass/volume"))
CURRENCIES = frozenset(("dollar", "dollars", "euro", "euros", "pound", "pounds"))
"""Currencies in words."""

_POWERS = {"²": 2, "^2": 2, "2": 2, "³": 3, "^3": 3, "3": 3, "square": 2, "sq": 2, "cubic": 3, "cu": 3, "": 1}
_LETTERS = [name for name in _NAMED if len(name) == 1 and name.isalpha() and name not in "cf"]
_WORDS = sorted((name for name in _NAMED if len(name) > 1), key=len, reverse=True)
_BASE = rf"(?:(?i:{'|'.join(_WORDS)})|(?:{'|'.join(_LETTERS)}))(?![A-Za-z])"


def _unit_pattern(tag: str) -> str:
    power = rf"(?P<pre{tag}>(?i:square|sq|cubic|cu))\.?\s*"
    return rf"(?:{power})?(?:°\s?|(?i:degrees?)\s+)?(?P<base{tag}>{_BASE}|[€£])(?P<pow{tag}>[²³]|\^?[23](?![\d.]))?"


_PER = r"\s*(?:/|(?i:\b(?:per|an?|each|every|in\s+(?:an?|one))\b))\s*"
_UNIT = rf"{_unit_pattern('1')}(?:{_PER}{_unit_pattern('2')})?"
_NUMBER = r"(?:\d+(?:,\d{3})+|\d+)(?:\.\d+)?(?:\s+\d+/\d+|\s*/\s*\d+)?"
_QUANTITY = re.compile(
    rf"(?<![\w.,\\])[-−]?(?:(?P<sign>[$€£])\s?(?P<sum>{_NUMBER})(?!\s*[$=\d])|(?P<num>{_NUMBER})[\s-]*{_UNIT})"
)
_ASKED = re.compile(rf"\b(?i:in|into|how\s+many)\s+{_UNIT}")
_MONEY = re.compile(r"(?i)\b(how much|cost|costs|price|pay|pays|worth)\b")
_CURRENCY = re.compile(r"(?i)[$€£](?=\s?\d)|\b(?:dollars?|euros?|pounds?)\b")
_SUMMED = re.compile(r"\s*(?:,\s*)?(?:and\s+)?")


def is_unit_word(word: str) -> bool:
    """Whether a word in lower case is the name of a unit (``litre``, ``dollars``), not just a letter.

    Example:
        >>> is_unit_word("litres"), is_unit_word("m"), is_unit_word("apples")
        (True, False, False)
    """
    return len(word) > 1 and (word in _NAMED or word in ("degrees", "square", "cubic", "pi"))


def quantities(text: str) -> list[Quantity]:
    """Return the quantities in a text, parts of one sum put together.

    Example:
        >>> [float(found.value) for found in quantities("It takes 1 hour and 30 minutes, or 90 minutes.")]
        [1.5, 90.0]
    """
    found: list[Quantity] = []
    for match in _QUANTITY.finditer(text):
        value = _value(match["num"] or match["sum"])
        units = _NAMED[match["sign"]] if match["sign"] else _units(match)
        if value is None or not units:
            continue
        sign = -1 if match[0][0] in "-−" else 1
        end = match.end() if match["sign"] or _is_compound(units) or not match["base2"] else _first_end(match)
        made = Quantity(sign * value, units, match.start(), end)
        if found and _SUMMED.fullmatch(text, found[-1].end, made.start) and (both := _added(found[-1], made)):
            found[-1] = both
        else:
            found.append(made)
    return found


def _value(text: str) -> Fraction | None:
    """Return the value of a plain, mixed or broken number."""
    text = re.sub(r"\s*/\s*", "/", text.replace(",", ""))
    try:
        return sum((Fraction(part) for part in text.split()), Fraction(0))
    except ZeroDivisionError:
        return None


def _first_end(match: re.Match[str]) -> int:
    return match.end("pow1") if match["pow1"] else match.end("base1")


def _is_compound(units: tuple[Unit, ...]) -> bool:
    return any(unit.sort in _COMPOUNDS for unit in units)


def _named(name: str, power: int) -> tuple[Unit, ...]:
    units = _NAMED.get(name) or _NAMED.get(name.casefold(), ())
    if power == 1:
        return units
    if not units or units[0].sort != "length":
        return ()
    factor = units[0].factor ** power
    return (Unit("area", factor),) if power == 2 else (Unit("volume", 1000 * factor),)  # litres


def _units(match: re.Match[str]) -> tuple[Unit, ...]:
    """Return what the unit of a match may mean; the second part counts where both make a speed or a density."""
    powers = [_POWERS[(match[f"pow{tag}"] or match[f"pre{tag}"] or "").casefold()] for tag in "12"]
    first = _named(match["base1"], powers[0])
    second = _named(match["base2"], powers[1]) if match["base2"] else ()
    both = [
        Unit(f"{a.sort}/{b.sort}", a.factor / b.factor)
        for a in first
        for b in second
        if f"{a.sort}/{b.sort}" in _COMPOUNDS
    ]
    return tuple(both) or first


def _added(left: Quantity, right: Quantity) -> Quantity | None:
    """Return two neighbouring quantities as one, in the unit of the first: hours and minutes, dollars and cents."""
    for a in left.units:
        for b in right.units:
            if a.sort == b.sort and a.factor > b.factor and a.offset == b.offset == 0 and "/" not in a.sort:
                value = left.value + right.value * b.factor / a.factor
                return Quantity(value, (a,), left.start, right.end, summed=True)
    return None


@lru_cache(maxsize=4096)
def asked_unit(question: str, answers: tuple[str, ...]) -> tuple[str, tuple[Unit, ...]]:
    """Return the unit that an answer has to have, spelled out and as units: that of a reference, or what the question asks in.

    Example:
        >>> asked_unit("How fast is it, in km/h?", ("60",))[0]
        'km/h'
        >>> asked_unit("In which year was it?", ("1918",))
        ('', ())
    """
    for answer in answers:
        if (given := quantities(answer)) and given[0].end == len(answer.rstrip(" .")):
            text = re.sub(rf"^{_NUMBER}\s*", "", answer[given[0].start : given[0].end])
            return text if text[:1].isalpha() else "", given[0].units
    asked = [match for match in _ASKED.finditer(question) if _units(match)]
    if asked:
        text = re.sub(r"(?i)^(in|into|how\s+many)\s+", "", asked[-1][0])
        return text, _units(asked[-1])
    names = {match[0].casefold().removesuffix("s") for match in _CURRENCY.finditer(question)}
    if len(names) == 1 and _MONEY.search(question):
        name = names.pop()
        money = tuple(unit for unit in _NAMED[name] if unit.sort in ("dollar", "euro", "sterling"))
        return {"$": "dollars", "€": "euros", "£": "pounds"}.get(name, f"{name}s"), money
    return "", ()
