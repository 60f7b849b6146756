"""Find a class or a function by ``"module:attr"`` or by ``"path/to/file.py:Attr"``.

Users bring players of their own in files that are no packages; both forms are read here, with errors that name the file.
"""

from __future__ import annotations

import inspect
from pathlib import Path
from types import ModuleType
from typing import Any

from gtalign_env.errors import FileFormatError, UnknownNameError, UsageError
from gtalign_env.registration import import_file, load

__all__ = ["is_python_spec", "load_object"]


def is_python_spec(spec: str) -> bool:
    """Return whether ``spec`` names something in a Python file rather than in an importable module.

    Example:
        >>> is_python_spec("mine.py:Grumpy"), is_python_spec("mine:Grumpy")
        (True, False)
    """
    path = spec.rpartition(":")[0] if ".py:" in spec else spec
    return path.endswith(".py")


def load_object(spec: str, *, wanted: tuple[str, ...] = ()) -> Any:
    """Return what ``"file.py:Attr"``, ``"file.py"`` or ``"module:attr"`` names.

    Args:
        spec: The name. A file without ``:Attr`` must define exactly one class that has the ``wanted`` attributes.
        wanted: Attributes by which such a class is recognised.

    Raises:
        FileFormatError: The file is missing, is not Python, fails while it is imported, or lacks the attribute.
        UsageError: The module or its attribute does not exist.

    Example:
        >>> load_object("math:pi")
        3.141592653589793
    """
    if not is_python_spec(spec):
        return load(spec)
    place, attribute = (spec.rpartition(":")[0], spec.rpartition(":")[2]) if ".py:" in spec else (spec, "")
    module = import_file(Path(place))
    if not attribute:
        return _only_class(module, place, wanted)
    if not hasattr(module, attribute):
        known = [name for name in vars(module) if not name.startswith("_")]
        raise FileFormatError(place, str(UnknownNameError("name in this file", attribute, known)))
    return getattr(module, attribute)


def _only_class(module: ModuleType, place: str, wanted: tuple[str, ...]) -> Any:
    own = [
        thing
        for thing in vars(module).values()
        if inspect.isclass(thing)
        and thing.__module__ == module.__name__
        and all(hasattr(thing, name) for name in wanted)
    ]
    if len(own) != 1:
        names = ", ".join(thing.__name__ for thing in own) or "none"
        raise UsageError(f"{place} defines {len(own)} classes that would do ({names}): write '{place}:ClassName'")
    return own[0]
