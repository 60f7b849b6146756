"""The errors that users of the library can act on.

The tree:

* ``GtalignError``                     everything below
    * ``UsageError``                   a wrong argument, option or call order (also a ``ValueError``)
        * ``UnknownNameError``         an id, name or key that is not registered (suggests near ones)
        * ``IllegalActionError``       an action outside the space, or a masked move under ``strict=True``
        * ``RenderModeError``          a render mode that there is not (also a ``TypeError``)
        * ``ResetNeededError``         ``step`` before ``reset``, or after the end of an episode
    * ``FileFormatError``              a file that cannot be read as what it should be (names file, line, key)
    * ``MissingExtraError``            an optional dependency that is not installed (also an ``ImportError``)
    * ``ModelError``                   a model that could not be loaded or failed while generating
    * ``GradingError``                 a reply that could not be graded; nothing was scored
    * ``SolverError``                  a computed solution that failed its own check; nothing was returned

Every message says what was expected, what came, and what to do.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterable
from types import ModuleType
from typing import Any

__all__ = [
    "FileFormatError",
    "GradingError",
    "GtalignError",
    "IllegalActionError",
    "MissingExtraError",
    "ModelError",
    "RenderModeError",
    "ResetNeededError",
    "SolverError",
    "UnknownNameError",
    "UsageError",
    "require",
]


_LISTED = 40
"""Names that a message lists at most; task files hold thousands."""


class GtalignError(Exception):
    """Base class of all errors raised on purpose by GTAlign-Env."""

    def __reduce__(self) -> Any:
        """Pickle message and fields: worker processes hand errors over, and constructors take other arguments."""
        return _rebuild, (type(self), self.args, dict(vars(self)))


def _rebuild(kind: type[GtalignError], args: tuple[Any, ...], fields: dict[str, Any]) -> GtalignError:
    made = kind.__new__(kind, *args)
    vars(made).update(fields)
    return made


class UsageError(GtalignError, ValueError):
    """An argument, an option or the order of calls is wrong."""


class RenderModeError(UsageError, TypeError):
    """There is no such render mode. Also a ``TypeError``: who asks for pictures first, and can do without, goes by that."""


class UnknownNameError(UsageError):
    """A name is not registered; the message lists near matches.

    Args:
        kind: What the name should denote, e.g. ``"scenario"``.
        name: The name that came.
        known: The names to list.
        also: Names that would have been accepted as well (aliases): suggested when near, never listed.
        forms: What else may be written, such as ``"FILE.py:Class"``: listed after the names.

    Example:
        >>> str(UnknownNameError("persona", "concize", ["concise", "detailed"]))
        "unknown persona 'concize': did you mean 'concise'? Known: concise, detailed"
    """

    def __init__(
        self, kind: str, name: object, known: Iterable[str], *, also: Iterable[str] = (), forms: Iterable[str] = ()
    ) -> None:
        self.kind = kind
        self.name = name
        self.known = sorted(known)
        candidates = [*self.known, *also]
        near = difflib.get_close_matches(str(name), candidates, n=1) or _begun(str(name), candidates)
        hint = f": did you mean {near[0]!r}?" if near else "."
        listed = ", ".join(self.known[:_LISTED]) or "none"
        more = f", … ({len(self.known)} in all)" if len(self.known) > _LISTED else ""
        others = "".join(f"{', or' if not place else ','} {form}" for place, form in enumerate(forms))
        super().__init__(f"unknown {kind} {name!r}{hint} Known: {listed}{more}{others}")


def _begun(name: str, candidates: Iterable[str]) -> list[str]:
    """Return the one candidate that begins with the name, where it is long enough to mean something."""
    found = [candidate for candidate in candidates if len(name) >= 3 and candidate.startswith(name)]
    return found if len(found) == 1 else []


class IllegalActionError(UsageError):
    """An action lies outside the action space, or is masked while ``strict=True``."""


class ResetNeededError(UsageError):
    """``step`` was called before ``reset`` or after the end of the episode."""


class FileFormatError(GtalignError):
    """A file is not what it should be.

    Args:
        path: The file.
        problem: What is wrong, what was expected, and what to do.
        line: 1-based line, where known.
        key: The offending key, where there is one.

    Example:
        >>> str(FileFormatError("p.toml", "expected a number, got 'x'", line=3, key="patience"))
        "p.toml, line 3, key 'patience': expected a number, got 'x'"
    """

    def __init__(self, path: object, problem: str, *, line: int | None = None, key: str | None = None) -> None:
        self.path = str(path)
        self.line = line
        self.key = key
        where = self.path
        if line is not None:
            where += f", line {line}"
        if key is not None:
            where += f", key {key!r}"
        super().__init__(f"{where}: {problem}")


class MissingExtraError(GtalignError, ImportError):
    """An optional dependency is not installed.

    Example:
        >>> str(MissingExtraError("reading parquet files", "pyarrow", "text"))
        "reading parquet files needs the package 'pyarrow': pip install 'gtalign-env[text]'"
    """

    def __init__(self, feature: str, package: str, extra: str) -> None:
        self.package = package
        self.extra = extra
        super().__init__(f"{feature} needs the package {package!r}: pip install 'gtalign-env[{extra}]'")


class GradingError(GtalignError):
    """A reply could not be graded: the step did not happen, and nothing was scored."""


class SolverError(GtalignError):
    """A solution of a game failed its own check, or the linear program behind it did: nothing is better than junk."""


class ModelError(GtalignError):
    """A model could not be loaded, or failed while generating."""


def require(module: str, *, feature: str, extra: str) -> ModuleType:
    """Import an optional dependency or say in one sentence how to get it.

    Args:
        module: The module to import, e.g. ``"pyarrow.parquet"``.
        feature: What needs it, as the subject of a sentence.
        extra: The extra of this package that installs it.

    Returns:
        The imported module.

    Raises:
        MissingExtraError: The module is not installed.

    Example:
        >>> require("math", feature="doing sums", extra="text").sqrt(4.0)
        2.0
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        package = module.partition(".")[0]
        if error.name is None or error.name.partition(".")[0] != package:
            raise
        raise MissingExtraError(feature, package, extra) from error
