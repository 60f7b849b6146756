r"""Are two mathematical expressions the same? ``math-verify`` where installed, normalised text otherwise."""

from __future__ import annotations

import importlib
import logging
import os
import re
import threading
from functools import lru_cache
from types import ModuleType

__all__ = ["same_expression"]

_SECONDS = 5
_LONGEST = 300
_SPACING = re.compile(r"\\(?:left|right|displaystyle|quad|qquad|[,;!: ])(?![a-z])|\s+|\\text\s*\{\s*\}")
_TOWER = re.compile(r"\^\s*\{?\s*\d{4,}|\^[^+*/=,]*\^|!\s*!")


@lru_cache(maxsize=2048)
def same_expression(reference: str, given: str) -> bool:
    r"""Whether ``given`` says the same as ``reference``; never raises.

    Example:
        >>> same_expression("[2 \\sqrt{2},4]", "\\left[2\\sqrt{2}, 4\\right]")
        True
    """
    left, right = _normalise(reference), _normalise(given)
    if not left or not right:
        return False
    if left == right:
        return True
    if max(len(left), len(right)) > _LONGEST or _TOWER.search(left) or _TOWER.search(right):
        return False
    library = _library()
    return library is not None and _verify(library, reference, given)


def _normalise(text: str) -> str:
    text = text.strip().strip("$").rstrip(".").replace("dfrac", "frac").replace("tfrac", "frac")
    return re.sub(r"\\text\s*\{([^{}]*)\}", r"\1", _SPACING.sub("", text))


@lru_cache(maxsize=1)
def _library() -> ModuleType | None:
    try:
        library = importlib.import_module("math_verify")
    except ImportError:
        return None
    for name in ("math_verify.parser", "math_verify.grader"):
        logging.getLogger(name).setLevel(logging.ERROR)  # it warns wherever its timeout is switched off
    return library


def _verify(library: ModuleType, reference: str, given: str) -> bool:
    """Ask math-verify. Its timeout is a signal, which only the main thread may set; elsewhere the guards above serve."""
    alarm = os.name == "posix" and threading.current_thread() is threading.main_thread()
    seconds = _SECONDS if alarm else None
    try:
        gold = library.parse(f"${reference.strip().strip('$')}$", parsing_timeout=seconds)
        target = library.parse(f"${given.strip().strip('$')}$", parsing_timeout=seconds)
        return bool(library.verify(gold, target, timeout_seconds=seconds))
    except Exception:  # noqa: BLE001 - sympy raises anything on text that is not mathematics; that is a mismatch
        return False
