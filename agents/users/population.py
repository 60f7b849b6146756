"""Who comes to the assistant: one persona by name or file, or a weighted mix of them."""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from gtalign_env.agents.loading import is_python_spec, load_object
from gtalign_env.agents.players.making import PlayerPersona, is_player, split_specs, weighted
from gtalign_env.agents.users.shipped import DEFAULT_SHARES, persona_from_card
from gtalign_env.agents.users.voiced import VoicedPersona, split_voice
from gtalign_env.errors import GtalignError, UnknownNameError, UsageError
from gtalign_env.protocols import Persona
from gtalign_env.registration import PERSONAS, PLAYERS

__all__ = ["Population", "load_persona", "population"]

_MEMBERS = ("name", "description", "sample_type", "policy")


def load_persona(spec: str | Persona, **voice: Any) -> Persona:
    """Return a persona from what people write for one.

    Args:
        spec: A registered name; a player of either chair with its settings (``quantal:rationality=2``);
            ``path/to/card.toml``; ``path/to/file.py:ClassName`` (the class may be left out where the file has only one);
            ``module:ClassName``; any of these with a model's voice (``concise@transformers:PATH``); or a persona.
        **voice: Settings of a voice that ``spec`` names (see ``VoicedPersona``), e.g. ``lead="model"``.

    Raises:
        FileFormatError: The file is missing or is no persona.
        UnknownNameError: The name is not registered.
        UsageError: What was found is no persona.

    Example:
        >>> load_persona("hurried").name
        'hurried'
    """
    if not isinstance(spec, str):
        return _as_persona(spec, repr(spec))
    if spec in PERSONAS:
        return _as_persona(PERSONAS.get(spec), spec)
    voiced = split_voice(spec)
    if voiced is not None:
        return VoicedPersona(load_persona(voiced[0]), voiced[1], **voice)
    if is_player(spec):
        return PlayerPersona(spec)
    if spec.endswith(".toml"):
        return persona_from_card(spec)
    if ":" in spec or is_python_spec(spec):
        return _as_persona(load_object(spec, wanted=_MEMBERS), spec)
    known = {*PERSONAS, *PLAYERS, "PATH.toml", "FILE.py:Class", "module:Class"}
    raise UnknownNameError("persona or player", spec, known)


def _as_persona(thing: Any, spec: str) -> Persona:
    is_instance = isinstance(thing, Persona) and not inspect.isclass(thing)
    if not is_instance and callable(thing):
        try:
            thing = thing()
        except GtalignError:
            raise
        except Exception as error:
            raise UsageError(f"persona {spec}: making it failed with {type(error).__name__}: {error}") from error
    if inspect.isclass(thing) or not isinstance(thing, Persona):
        missing = ", ".join(name for name in _MEMBERS if not hasattr(thing, name)) or "an instance"
        raise UsageError(f"persona {spec}: expected an object with {', '.join(_MEMBERS)}; missing: {missing}")
    return thing


class Population:
    """A weighted mix of personas; called with a generator it draws one.

    Args:
        members: Personas with their weights.

    Raises:
        UsageError: A weight is not a number >= 0, or nothing has weight.

    Example:
        >>> mix = Population([(load_persona("concise"), 3.0), (load_persona("expert"), 1.0)])
        >>> mix.shares, mix.name, mix(np.random.default_rng(0)).name
        ((0.75, 0.25), 'concise=0.75,expert=0.25', 'concise')
    """

    def __init__(self, members: Iterable[tuple[Persona, float]]) -> None:
        pairs = list(members)
        for persona, weight in pairs:
            number = isinstance(weight, (int, float)) and not isinstance(weight, bool)
            if not number or not math.isfinite(weight) or weight < 0:
                raise UsageError(f"population: the weight of {persona.name!r} must be a number >= 0, got {weight!r}")
        total = sum(weight for _, weight in pairs)
        if not total > 0:
            raise UsageError("population: expected at least one persona with a weight > 0")
        self.personas: tuple[Persona, ...] = tuple(persona for persona, _ in pairs)
        self.shares: tuple[float, ...] = tuple(weight / total for _, weight in pairs)
        self._bounds = np.cumsum(self.shares)

    @property
    def name(self) -> str:
        """The mix in the form that ``population`` reads."""
        if len(self.personas) == 1:
            return self.personas[0].name
        return ",".join(f"{persona.name}={share:g}" for persona, share in zip(self.personas, self.shares, strict=True))

    def __call__(self, rng: np.random.Generator) -> Persona:
        """Draw a persona."""
        index = int(np.searchsorted(self._bounds, rng.random(), side="right"))
        return self.personas[min(index, len(self.personas) - 1)]

    def __repr__(self) -> str:
        """Return a constructor call in words."""
        return f"<Population {self.name}>"


def population(spec: Any = None, **voice: Any) -> Population:
    """Return the population that a name, a list with weights or a mapping stands for.

    Args:
        spec: ``None`` or ``"default"``; a persona or anything that ``load_persona`` takes; a comma list such as
            ``"concise=2,mine.toml=1"``; a list; or a mapping from persona to weight.
        **voice: Settings of the voices that ``spec`` names (see ``VoicedPersona``), e.g. ``lead="model"``.

    Raises:
        UsageError: It is none of these, or a weight makes no sense.

    Example:
        >>> population("concise=2,detailed=1").shares
        (0.6666666666666666, 0.3333333333333333)
        >>> [persona.name for persona in population().personas]
        ['concise', 'detailed', 'balanced', 'hurried']
    """
    if isinstance(spec, Population):
        return spec
    if spec is None or spec == "default":
        spec = DEFAULT_SHARES
    if isinstance(spec, str):
        spec = dict(map(_weighted, split_specs(spec)))
    if isinstance(spec, Mapping):
        return Population([(load_persona(persona, **voice), weight) for persona, weight in spec.items()])
    if isinstance(spec, Persona):
        return Population([(load_persona(spec, **voice), 1.0)])
    if isinstance(spec, Iterable):
        return Population([(load_persona(persona, **voice), 1.0) for persona in spec])
    raise UsageError(f"population: expected a name, a comma list with weights, a mapping or a persona, got {spec!r}")


def _weighted(part: str) -> tuple[str, float]:
    spec, weight = weighted(part)
    try:
        return spec, 1.0 if weight is None else float(weight)
    except ValueError:
        if split_voice(part) is not None:  # what a backend runs may hold an equals sign
            return part, 1.0
        raise UsageError(f"population: expected NAME=WEIGHT, got {part!r}") from None
