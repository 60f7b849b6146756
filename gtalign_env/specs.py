"""Things that are named by a string with settings: ``"per_token:rate_out=0.002"``, ``"grounded:wrong=0.3"``.

The same few lines serve pricing policies, payoff models and players: a registry of dataclasses, made from a string and named by
one again, so that a record can say what it was made with.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from gtalign_env.errors import UnknownNameError, UsageError

__all__ = ["from_spec", "listed_specs", "to_spec"]

_READERS: dict[type, tuple[Callable[[str], Any], str]] = {int: (int, "a whole number"), str: (str, "a word")}
"""How a value is read where the setting's default is of this type, and what that is called; else it is a number."""


def from_spec(kind: str, spec: str, known: Mapping[str, Any]) -> Any:
    """Return the object that a string names.

    Args:
        kind: What it should be, for messages.
        spec: A name, or a name and settings: ``"name:key=value,key=value"``. A value is a word where the setting's default is
            one, a whole number where it is one, else a number.
        known: Dataclasses by name.

    Raises:
        UnknownNameError: Nothing has this name.
        UsageError: A setting is unknown, given twice, of the wrong kind or out of range.

    Example:
        >>> from gtalign_env.pricing import PRICING
        >>> from_spec("pricing", "per_request:fee=0.25", PRICING)
        PerRequest(fee=0.25, name='per_request')
    """
    name, _, settings = spec.partition(":")
    name = name.strip()
    if name not in known:
        raise UnknownNameError(kind, name, known)
    fields = {
        field.name: field.default for field in dataclasses.fields(known[name]) if field.init and field.name != "name"
    }
    values: dict[str, Any] = {}
    for setting in filter(None, (part.strip() for part in settings.split(","))):
        key, _, text = (part.strip() for part in setting.partition("="))
        if key not in fields or key in values:
            expected = f"expected {' or '.join(sorted(fields))}" if fields else "there are none"
            problem = "given twice" if key in values else f"unknown: {expected}"
            raise UsageError(f"{kind} {name!r}: setting {key!r} is {problem}")
        reader, wanted = _READERS.get(type(fields[key]), (float, "a number"))
        try:
            values[key] = reader(text)
        except ValueError:
            raise UsageError(f"{kind} {name!r}: {key} must be {wanted}, got {text!r}") from None
    return known[name](**values)


def to_spec(thing: Any) -> str:
    """Return the string from which ``from_spec`` makes an equal object; only the name of what is no dataclass.

    Example:
        >>> from gtalign_env.payoffs import Grounded
        >>> to_spec(Grounded(wrong=0.5)), to_spec(Grounded())
        ('grounded:wrong=0.5', 'grounded')
    """
    name = str(thing.name)
    if not dataclasses.is_dataclass(thing):
        return name
    changed = [
        f"{field.name}={getattr(thing, field.name)}"
        for field in dataclasses.fields(thing)
        if field.init and field.name != "name" and getattr(thing, field.name) != field.default
    ]
    return name + (":" + ",".join(changed) if changed else "")


def listed_specs(text: str) -> list[str]:
    """Return the specs of a comma list; a comma before ``key=value`` belongs to the spec before it.

    Example:
        >>> listed_specs("per_token:rate_in=0.001,rate_out=0.002, subscription")
        ['per_token:rate_in=0.001,rate_out=0.002', 'subscription']
    """
    found: list[str] = []
    for piece in text.split(","):
        if found and "=" in piece and ":" not in piece.partition("=")[0]:
            found[-1] += f",{piece}"
        else:
            found.append(piece.strip())
    return found
