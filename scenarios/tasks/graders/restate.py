"""A reply with its quantities in the unit of the reference, so that the graders need to know numbers only."""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

from gtalign_env.scenarios.tasks.graders.expressions import evaluate
from gtalign_env.scenarios.tasks.graders.spoken import decimal, in_figures
from gtalign_env.scenarios.tasks.graders.units import Quantity, Unit, asked_unit, quantities

__all__ = ["restate"]


class _Reference(NamedTuple):
    """A reference answer as a number in the unit that is asked for."""

    text: str
    value: Fraction
    tolerance: Fraction


class _Wanted(NamedTuple):
    """What a task asks for."""

    name: str
    units: tuple[Unit, ...]
    references: tuple[_Reference, ...]
    conversion: bool
    """Whether the question names the same quantity in another unit."""

    @property
    def spelling(self) -> str:
        """A reference as its author wrote it, in the unit asked for."""
        return next((reference.text for reference in self.references if reference.text), "")


def restate(text: str, question: str, answers: tuple[str, ...]) -> str:
    """Return ``text`` with its quantities in the unit that the question or a reference asks for.

    What converts to a reference is written like the reference; what is of another sort loses its number if that would pass
    for a reference.

    Example:
        >>> restate("Take 0.75 kg.", "How many grams?", ("750",)), restate("It is 750 kg.", "How many grams?", ("750",))
        ('Take 750 grams.', 'It is 750000 grams.')
        >>> restate("52 dollars", "What does it cost, in euros?", ("52",))
        'dollars'
    """
    wanted = _wanted(question, answers)
    if not wanted.units:
        return text
    parts: list[str] = []
    done = 0
    for quantity in quantities(text):
        written = _written(quantity, text[quantity.start : quantity.end], wanted)
        if written is not None:
            parts += [text[done : quantity.start], written]
            done = quantity.end
    return "".join([*parts, text[done:]])


@lru_cache(maxsize=4096)
def _wanted(question: str, answers: tuple[str, ...]) -> _Wanted:
    """Return what a question asks for: the unit, and the references in it."""
    name, units = asked_unit(question, answers)
    references = tuple(found for answer in answers if (found := _reference(answer, units)) is not None)
    named = [_converted(quantity, units) for quantity in quantities(in_figures(question)) if not _same(quantity, units)]
    conversion = any(
        abs(value - ref.value) <= ref.tolerance for value in named if value is not None for ref in references
    )
    return _Wanted(name, units, references, conversion)


def _reference(answer: str, units: tuple[Unit, ...]) -> _Reference | None:
    given = next(iter(quantities(answer)), None)
    if given is None:
        value = evaluate(answer)
        if value is None or not isinstance(value.number, Fraction):
            return None
        return _Reference(answer, value.number, _half_digit(value.decimals))
    number = _converted(given, units)
    if number is None:
        return None
    same = _same(given, units)
    _, _, behind = answer[given.start : given.end].partition(".")
    digits = len(behind) - len(behind.lstrip("0123456789"))
    return _Reference(answer if same else "", number, _half_digit(digits) if same else Fraction(0))


def _half_digit(decimals: int | None) -> Fraction:
    """Return half a unit of the last digit; fractions are exact."""
    return Fraction(0) if decimals is None else Fraction(1, 2 * 10**decimals)


def _same(quantity: Quantity, units: tuple[Unit, ...]) -> bool:
    return not quantity.summed and not set(units).isdisjoint(quantity.units)


def _converted(quantity: Quantity, units: tuple[Unit, ...]) -> Fraction | None:
    """Return a quantity's number in one of the units, or ``None`` where it is of another sort."""
    for unit in units:
        for given in quantity.units:
            if given.sort == unit.sort:
                return (quantity.value * given.factor + given.offset - unit.offset) / unit.factor
    return None


def _written(quantity: Quantity, text: str, wanted: _Wanted) -> str | None:
    """Return how to write a quantity, or ``None`` to leave it as it is."""
    if _same(quantity, wanted.units):
        matching = next((ref for ref in wanted.references if not ref.text and ref.value == quantity.value), None)
        return wanted.spelling if matching else None
    value = _converted(quantity, wanted.units)
    if value is None or wanted.conversion:
        passing = any(abs(quantity.value - ref.value) <= ref.tolerance for ref in wanted.references)
        return text.lstrip("-−$€£0123456789., /") if passing else None
    for ref in wanted.references:
        if value == ref.value or (ref.text and abs(value - ref.value) <= ref.tolerance):
            known = ref.text or wanted.spelling
            return known if quantities(known) else f"{known} {wanted.name}"
    return f"{decimal(value) or format(float(value), '.6f')} {wanted.name}"
