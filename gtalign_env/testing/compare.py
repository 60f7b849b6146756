"""Look at what an environment returned: where two values differ, what is in them, and what happens when it is overwritten."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

__all__ = ["difference", "is_finite_float", "leaves", "mutable_parts", "scramble", "short"]


def difference(first: Any, second: Any, path: str = "") -> str:
    """Return where two values differ, and how; the empty string when they are the same byte for byte.

    Types, dtypes and shapes count; NaN equals NaN; 0.0 differs from -0.0.

    Example:
        >>> difference({"a": [1, 2.0]}, {"a": [1, 2.5]})
        "['a'][1]: 2.0 against 2.5"
        >>> difference(np.zeros(2), np.zeros(2))
        ''
    """
    if type(first) is not type(second):
        return f"{path or 'value'}: {short(first)} ({_kind(first)}) against {short(second)} ({_kind(second)})"
    if isinstance(first, np.ndarray):
        return _array_difference(first, second, path)
    if isinstance(first, (Mapping, list, tuple)):
        return _container_difference(first, second, path)
    inside = _fields(first)
    if inside is not None:
        return difference(inside, _fields(second), path)
    same = first.hex() == second.hex() if isinstance(first, float) else bool(first == second)
    return "" if same else f"{path or 'value'}: {short(first)} against {short(second)}"


def leaves(value: Any, path: str = "", *, keys: bool = True) -> Iterator[tuple[str, Any]]:
    """Yield (path, leaf) for everything inside a value: entries of containers and arrays, fields of dataclasses.

    Args:
        value: Anything.
        path: What to call the value itself.
        keys: Whether the keys of dicts count as leaves.

    Example:
        >>> list(leaves({"a": [1, "x"]}))
        [("['a']", 'a'), ("['a'][0]", 1), ("['a'][1]", 'x')]
    """
    if isinstance(value, Mapping):
        for key, item in value.items():
            if keys:
                yield f"{path}[{key!r}]", key
            yield from leaves(item, f"{path}[{key!r}]", keys=keys)
    elif isinstance(value, (list, tuple, set, frozenset)):
        for index, item in enumerate(value):
            yield from leaves(item, f"{path}[{index}]", keys=keys)
    elif isinstance(value, np.ndarray):
        for index, item in enumerate(value.reshape(-1).tolist()):
            yield f"{path}[{index}]", item
    else:
        inside = _fields(value)
        if inside is None:
            yield path, value
        else:
            yield from leaves(inside, path, keys=keys)


def mutable_parts(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield (path, object) for every array, dict, list and set inside a value, the value itself included.

    Example:
        >>> [path for path, _ in mutable_parts({"a": ([], 1)}, "info")]
        ['info', "info['a'][0]"]
    """
    if isinstance(value, np.ndarray):
        yield path, value
    elif isinstance(value, Mapping):
        yield path, value
        for key, item in value.items():
            yield from mutable_parts(item, f"{path}[{key!r}]")
    elif isinstance(value, (list, tuple, set)):
        if not isinstance(value, tuple):
            yield path, value
        for index, item in enumerate(value):
            yield from mutable_parts(item, f"{path}[{index}]")


def scramble(value: Any) -> None:
    """Overwrite everything that can be overwritten inside a value.

    Example:
        >>> data = {"a": np.zeros(2), "b": [1]}
        >>> array = data["a"]
        >>> scramble(data)
        >>> data, array.tolist()
        ({'scrambled': True}, [1.0, 1.0])
    """
    for _, part in reversed(list(mutable_parts(value))):
        if isinstance(part, np.ndarray):
            _scramble_array(part)
        elif isinstance(part, dict):
            part.clear()
            part["scrambled"] = True
        elif isinstance(part, (list, set)):
            part.clear()


def short(value: Any, limit: int = 120) -> str:
    """Return ``repr(value)`` on one line, cut to ``limit`` characters.

    Example:
        >>> short("x" * 200, 8)
        "'xxxxxx…"
    """
    text = " ".join(repr(value).split())
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _scramble_array(array: np.ndarray[Any, Any]) -> None:
    if not array.flags.writeable:
        return
    if array.dtype == object:
        array[...] = None
    elif array.dtype.kind in "SU":
        array[...] = "scrambled"
    elif array.dtype.kind == "b":
        np.logical_not(array, out=array)
    else:
        array[...] = 1 - array


def _array_difference(first: np.ndarray[Any, Any], second: np.ndarray[Any, Any], path: str) -> str:
    where = path or "value"
    if first.dtype != second.dtype:
        return f"{where}: dtype {first.dtype} against {second.dtype}"
    if first.shape != second.shape:
        return f"{where}: shape {first.shape} against {second.shape}"
    if first.tobytes() == second.tobytes():
        return ""
    flat, other = first.reshape(-1), second.reshape(-1)
    for index in range(flat.size):
        if flat[index].tobytes() != other[index].tobytes():
            return f"{where}: entry {index} is {flat[index]} against {other[index]}"
    return ""


def _container_difference(first: Any, second: Any, path: str) -> str:
    if isinstance(first, Mapping):
        if set(first) != set(second):
            return f"{path or 'value'}: keys {_names(first)} against {_names(second)}"
        pairs = [(key, first[key], second[key]) for key in first]
    else:
        if len(first) != len(second):
            return f"{path or 'value'}: {len(first)} entries against {len(second)}"
        pairs = [(index, *pair) for index, pair in enumerate(zip(first, second, strict=True))]
    found = (difference(a, b, f"{path}[{key!r}]") for key, a, b in pairs)
    return next((text for text in found if text), "")


def _fields(value: Any) -> dict[str, Any] | None:
    """Return the fields of a dataclass, or of an object that compares by identity; ``None`` for everything else."""
    if isinstance(value, (type, np.generic)) or callable(value):
        return None
    if dataclasses.is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    by_identity = getattr(type(value), "__eq__", None) is getattr(object, "__eq__", None)
    if by_identity and hasattr(value, "__dict__"):
        return dict(vars(value))
    return None


def _kind(value: Any) -> str:
    return type(value).__name__


def _names(mapping: Mapping[Any, Any]) -> str:
    return "{" + ", ".join(sorted(map(repr, mapping))) + "}"


def is_finite_float(value: Any) -> bool:
    """Return whether a value is a plain, finite ``float``."""
    return type(value) is float and math.isfinite(value)
