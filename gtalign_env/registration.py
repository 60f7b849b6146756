"""Names for things: scenarios, personas, assistants, backends — found by ``"module:attr"`` strings.

The core knows no concrete scenario or player. It knows where they say they are, and imports them when they are asked for.
"""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
import importlib
import importlib.util
import inspect
import re
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, get_args

from gtalign_env.errors import FileFormatError, GtalignError, UnknownNameError, UsageError
from gtalign_env.protocols import Scenario
from gtalign_env.types import View

__all__ = [
    "ASSISTANTS",
    "BACKENDS",
    "PERSONAS",
    "PLAYERS",
    "SCENARIOS",
    "Registry",
    "ScenarioSpec",
    "import_file",
    "load",
    "make_scenario",
    "origin_of",
    "register_scenario",
    "scenario_id",
]


_ID = re.compile(r"[\w.-]+/[\w.-]+-v\d+")
_IN_FILE = re.compile(r"(.+\.py):([\w.]+)")
_UNEXPECTED = re.compile(r"unexpected keyword argument '(\w+)'")
_WANTED = "a scenario, a game (Bimatrix, GameTree, SignallingGame) or a function that makes one"
_PLAYED_AS: dict[str, str] = {
    "gtalign_env.games.bimatrix.Bimatrix": "gtalign_env.scenarios.matrix.repeated:matrix_scenario",
    "gtalign_env.games.tree.GameTree": "gtalign_env.scenarios.trees.compiled:tree_scenario",
    "gtalign_env.games.signalling.SignallingGame": "gtalign_env.scenarios.signalling.spence:signalling_scenario",
}
"""What makes a scenario of a game in its own form, called with the game and ``name``."""


def load(entry_point: str | Callable[..., Any]) -> Any:
    """Return the object that ``"module:attr"`` or ``"path/to/file.py:attr"`` names (an object is returned as it is).

    Raises:
        UsageError: The string has no colon, the module is missing, or it has no such attribute.
        FileFormatError: The file is missing, or importing it fails.

    Example:
        >>> load("math:pi")
        3.141592653589793
    """
    if not isinstance(entry_point, str):
        return entry_point
    module_name, colon, attribute = entry_point.partition(":")
    if not colon or not module_name or not attribute:
        raise UsageError(f"entry point: expected 'module:attr', got {entry_point!r}")
    in_file = _IN_FILE.fullmatch(entry_point)
    if in_file:
        module_name, attribute = in_file.groups()
    try:
        module = import_file(Path(module_name)) if in_file else importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is not None and module_name.startswith(error.name):
            raise UsageError(f"entry point {entry_point!r}: there is no module {error.name!r}") from error
        raise
    found = module
    for part in attribute.split("."):
        if not hasattr(found, part):
            raise UsageError(f"entry point {entry_point!r}: module {module_name!r} has no attribute {attribute!r}")
        found = getattr(found, part)
    return found


def import_file(path: Path) -> ModuleType:
    """Import a Python file that belongs to no package.

    Raises:
        FileFormatError: The file is missing, is not Python, or fails while it is imported.

    Example:
        >>> import tempfile
        >>> place = Path(tempfile.mkdtemp()) / "mine.py"
        >>> _ = place.write_text("half = 0.5")
        >>> import_file(place).half
        0.5
    """
    if not path.is_file():
        raise FileFormatError(path, "there is no such file: expected a Python file")
    name = "gtalign_user_file_" + hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:16]
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickle look a class's module up by name
    try:
        spec.loader.exec_module(module)
    except SyntaxError as error:
        sys.modules.pop(name, None)
        raise FileFormatError(path, f"not valid Python: {error.msg}", line=error.lineno) from error
    except GtalignError:
        sys.modules.pop(name, None)
        raise
    except Exception as error:
        sys.modules.pop(name, None)
        raise FileFormatError(path, f"importing it failed with {type(error).__name__}: {error}") from error
    return module


class Registry:
    """A table from names to things, or to ``"module:attr"`` strings that name them.

    Args:
        kind: What the things are, for messages.

    Example:
        >>> numbers = Registry("number")
        >>> numbers.register("pi", "math:pi", description="half a turn")
        >>> numbers.get("pi"), list(numbers), numbers.description("pi")
        (3.141592653589793, ['pi'], 'half a turn')
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._entries: dict[str, tuple[Any, str]] = {}

    def register(self, name: str, entry: Any, *, description: str = "") -> None:
        """Add or replace an entry."""
        self._entries[name] = (entry, description)

    def get(self, name: str) -> Any:
        """Return the thing itself.

        Raises:
            UnknownNameError: Nothing has this name.
        """
        if name not in self._entries:
            raise UnknownNameError(self.kind, name, self._entries)
        entry = self._entries[name][0]
        return load(entry) if isinstance(entry, str) else entry

    def description(self, name: str) -> str:
        """Return the entry's one-line description.

        Raises:
            UnknownNameError: Nothing has this name.
        """
        if name not in self._entries:
            raise UnknownNameError(self.kind, name, self._entries)
        return self._entries[name][1]

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names in the order of registration."""
        return iter(self._entries)

    def __contains__(self, name: object) -> bool:
        """Return whether the name is registered."""
        return name in self._entries


PERSONAS = Registry("persona")
ASSISTANTS = Registry("assistant")
BACKENDS = Registry("backend")
PLAYERS = Registry("player")
"""Players that need no model and may take either chair: dataclasses of their settings that are policies (``specs.from_spec``)."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class ScenarioSpec:
    """What the registry knows about a scenario."""

    id: str
    """``gtalign/<Name>-v0``."""
    entry_point: str | Callable[..., Scenario]
    """Factory, as ``"module:attr"`` or itself; called with the scenario's options."""
    view: View
    kind: str
    """``"session"``, ``"matrix"``, ``"tree"``, …"""
    description: str
    short: str
    """A short name that ``make_scenario`` also takes."""


SCENARIOS: dict[str, ScenarioSpec] = {}


def register_scenario(
    id: str,
    entry_point: str | Callable[..., Scenario],
    *,
    view: View,
    kind: str,
    description: str,
    short: str = "",
) -> None:
    """Make a scenario known by id, here and in PettingZoo's registry (parallel and AEC).

    Args:
        id: ``namespace/Name-vN``.
        entry_point: Factory of the scenario; keyword arguments are its options.
        view: ``"strategic"`` or ``"text"``.
        kind: What sort of game it is.
        description: One sentence for lists.
        short: A short name; the id's name in lower case when empty.

    Raises:
        UsageError: The id or the view is not of the form above.

    An id that is registered again, to the same factory, is replaced in silence; to another one, with a warning.
    """
    from pettingzoo import aec_registry, parallel_registry, register

    if not isinstance(id, str) or not _ID.fullmatch(id):
        raise UsageError(f"scenario id: expected 'namespace/Name-vN', as in 'mine/Trust-v0', got {id!r}")
    if view not in get_args(View):
        raise UsageError(f"scenario {id!r}: view must be {' or '.join(map(repr, get_args(View)))}, got {view!r}")
    if id in SCENARIOS and _written_at(SCENARIOS[id].entry_point) != _written_at(entry_point):
        warnings.warn(
            f"scenario {id!r} is registered anew: {_written_at(entry_point)} takes the place of "
            f"{_written_at(SCENARIOS[id].entry_point)}",
            stacklevel=2,
        )
    short = short or id.rpartition("/")[2].rpartition("-v")[0].lower()
    SCENARIOS[id] = ScenarioSpec(
        id=id, entry_point=entry_point, view=view, kind=kind, description=description, short=short
    )
    parallel_registry.pop(id, None)  # registering twice (a reloaded module, a notebook cell) is no cause for a warning
    aec_registry.pop(id, None)
    register("parallel", id, "gtalign_env.env:parallel_env", kwargs={"scenario": id})
    register("aec", id, "gtalign_env.env:env", kwargs={"scenario": id})


def _written_at(entry_point: str | Callable[..., Any]) -> str:
    """Return where a factory is written: a notebook cell that runs again makes a new function of the same origin."""
    if isinstance(entry_point, str):
        return entry_point
    kind = type(entry_point)
    name = getattr(entry_point, "__qualname__", kind.__qualname__)
    return f"{getattr(entry_point, '__module__', kind.__module__)}:{name}"


def make_scenario(scenario: str | Scenario, **options: Any) -> Scenario:
    """Return a scenario from its id, short name, ``"module:attr"`` or ``"file.py:attr"``, or itself.

    What ``"module:attr"`` or ``"file.py:attr"`` names is a scenario, a game in its own form (a ``Bimatrix``, a ``GameTree``, a
    ``SignallingGame``), which is then played once, or a function that makes one of these from the options.

    Raises:
        UnknownNameError: No scenario has this name.
        UsageError: Options were given with a ready-made scenario, the scenario refuses one, or what ``"module:attr"`` names
            could not be made into a scenario.

    Example:
        >>> make_scenario("matrix").name
        'matrix'
    """
    if not isinstance(scenario, str):
        if not isinstance(scenario, Scenario):
            raise UsageError(f"scenario: expected an id, 'module:attr' or a Scenario object, got {scenario!r}")
        if options:
            raise UsageError(f"a ready-made scenario takes no options, got {', '.join(options)}")
        return scenario
    id = scenario if ":" in scenario else scenario_id(scenario)
    if id in SCENARIOS:
        return _call(load(SCENARIOS[id].entry_point), id, options)
    try:
        return _call(load(id), id, options)
    except GtalignError:
        raise
    except Exception as error:  # whatever a stranger's module or function raises, it is that name that did not work
        raise UsageError(f"scenario {id!r}: making it failed with {type(error).__name__}: {error}") from error


def scenario_id(name: str) -> str:
    """Return the id that an id or a short name stands for; ``"module:attr"`` and ``"file.py:attr"`` stand for themselves.

    Raises:
        UnknownNameError: There is no such scenario.
        UsageError: It is a single-agent view, which Gymnasium makes, or a file without the name of what is in it.

    Example:
        >>> scenario_id("assist")
        'gtalign/Assist-v0'
    """
    for spec in SCENARIOS.values():
        if name in (spec.id, spec.short):
            return spec.id
    if re.fullmatch(r"[\w.]+:[\w.]+", name) or _IN_FILE.fullmatch(name):
        return name
    if name.endswith(".py"):
        raise UsageError(f"scenario {name!r}: expected a file and the name of the game in it: write {name}:NAME")
    _refuse_view(name)
    raise UnknownNameError("scenario", name, SCENARIOS, also=[spec.short for spec in SCENARIOS.values()])


def _refuse_view(name: str) -> None:
    """Raise where the name is that of a single-agent view: those are Gymnasium's, over one of our scenarios."""
    import gymnasium

    if name not in gymnasium.registry or not isinstance(gymnasium.registry[name].entry_point, str):
        return
    made_by = load(str(gymnasium.registry[name].entry_point))
    base = getattr(inspect.signature(made_by).parameters.get("scenario"), "default", None)
    if base in SCENARIOS:
        raise UsageError(
            f"{name!r} is a Gymnasium view for one learner, made by gymnasium.make('gtalign_env:{name}'); the game for "
            f"both players is {base!r}"
        )


def origin_of(scenario: Scenario) -> tuple[str, dict[str, Any]]:
    """Return the id and the options that make a scenario like this one, as far as it says (``recipe``).

    Example:
        >>> origin_of(make_scenario("matrix", rounds=3))
        ('gtalign/Matrix-v0', {'rounds': 3})
    """
    recipe = getattr(scenario, "recipe", None)
    if recipe is not None:
        factory, options = recipe
        for spec in SCENARIOS.values():
            if spec.entry_point in (factory, f"{factory.__module__}:{factory.__qualname__}"):
                return spec.id, dict(options)
    return scenario.name, {}


def _call(factory: Any, name: str, options: dict[str, Any]) -> Scenario:
    """Return the scenario that a factory makes, or that a game or a scenario of one's own is."""
    ready = _as_scenario(factory, name)
    if ready is not None:
        return make_scenario(ready, **options)
    if not callable(factory):
        raise UsageError(f"{name!r}: expected {_WANTED}, got {factory!r}")
    try:
        found = factory(**options)
    except TypeError as error:
        refused = _UNEXPECTED.search(str(error))
        if refused is None or refused[1] not in options:
            raise
        raise UsageError(_no_option(factory, name, refused[1])) from error
    made = _as_scenario(found, name)
    if made is None:
        raise UsageError(f"{name!r}: expected {_WANTED}, got {found!r}")
    return made


def _as_scenario(thing: Any, name: str) -> Scenario | None:
    """Return a scenario as it is and a game as the scenario in which it is played; ``None`` for anything else."""
    if isinstance(thing, Scenario) and not isinstance(thing, type):
        return thing
    kind = f"{type(thing).__module__}.{type(thing).__qualname__}"
    if kind not in _PLAYED_AS:
        return None
    made: Scenario = load(_PLAYED_AS[kind])(thing, name=name.rpartition(":")[2])
    return made


def _no_option(factory: Callable[..., Any], name: str, option: str) -> str:
    """Return in words that a scenario has no such option, with those that it has."""
    known = [parameter for parameter in inspect.signature(factory).parameters if parameter not in ("args", "kwargs")]
    near = difflib.get_close_matches(option, known, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"scenario {name!r} has no option {option!r}: it has {', '.join(known) or 'none'}{hint}"
