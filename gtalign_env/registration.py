"""Names for things: scenarios, personas, assistants, backends — found by ``"module:attr"`` strings.

The core knows no concrete scenario or player. It knows where they say they are, and imports them when they are asked for.
"""

from __future__ import annotations

import dataclasses
import importlib
import re
from collections.abc import Callable, Iterator
from typing import Any

from gtalign_env.errors import UnknownNameError, UsageError
from gtalign_env.protocols import Scenario
from gtalign_env.types import View

__all__ = [
    "ASSISTANTS",
    "BACKENDS",
    "PERSONAS",
    "SCENARIOS",
    "Registry",
    "ScenarioSpec",
    "load",
    "make_scenario",
    "register_scenario",
    "scenario_id",
]


def load(entry_point: str | Callable[..., Any]) -> Any:
    """Return the object that ``"module:attr"`` names (an object is returned as it is).

    Raises:
        UsageError: The string has no colon, the module is missing, or it has no such attribute.

    Example:
        >>> load("math:pi")
        3.141592653589793
    """
    if not isinstance(entry_point, str):
        return entry_point
    module_name, colon, attribute = entry_point.partition(":")
    if not colon or not module_name or not attribute:
        raise UsageError(f"entry point: expected 'module:attr', got {entry_point!r}")
    try:
        module = importlib.import_module(module_name)
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
    """
    from pettingzoo import aec_registry, parallel_registry, register

    short = short or id.rpartition("/")[2].rpartition("-v")[0].lower()
    SCENARIOS[id] = ScenarioSpec(
        id=id, entry_point=entry_point, view=view, kind=kind, description=description, short=short
    )
    parallel_registry.pop(id, None)  # registering twice (a reloaded module, a notebook cell) is no cause for a warning
    aec_registry.pop(id, None)
    register("parallel", id, "gtalign_env.env:parallel_env", kwargs={"scenario": id})
    register("aec", id, "gtalign_env.env:env", kwargs={"scenario": id})


def make_scenario(scenario: str | Scenario, **options: Any) -> Scenario:
    """Return a scenario from its id, short name or ``"module:attr"``, or itself.

    Raises:
        UnknownNameError: No scenario has this name.
        UsageError: Options were given with a ready-made scenario, or the scenario refuses one.

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
    return _call(SCENARIOS[id].entry_point if id in SCENARIOS else id, id, options)


def scenario_id(name: str) -> str:
    """Return the id that an id or a short name stands for; ``"module:attr"`` stands for itself.

    Raises:
        UnknownNameError: There is no such scenario.

    Example:
        >>> scenario_id("assist")
        'gtalign/Assist-v0'
    """
    for spec in SCENARIOS.values():
        if name in (spec.id, spec.short):
            return spec.id
    if re.fullmatch(r"[\w.]+:[\w.]+", name):
        return name
    raise UnknownNameError("scenario", name, [*SCENARIOS, *(spec.short for spec in SCENARIOS.values())])


def _call(entry_point: str | Callable[..., Scenario], name: str, options: dict[str, Any]) -> Scenario:
    factory = load(entry_point)
    if not callable(factory):
        raise UsageError(f"{name!r}: expected a scenario or a function that makes one, got {factory!r}")
    try:
        made = factory(**options)
    except TypeError as error:
        if "unexpected keyword argument" not in str(error):
            raise
        raise UsageError(f"scenario {name!r}: {str(error).rpartition(') ')[2] or error}") from error
    if not isinstance(made, Scenario) or isinstance(made, type):
        raise UsageError(f"{name!r}: expected a scenario or a function that makes one, got {made!r}")
    return made
