"""Who comes to the assistant: one persona by name or file, or a weighted mix of them."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from gtalign_env.agents.loading import is_python_spec, load_object
from gtalign_env.agents.players.making import PlayerPersona, is_player, split_specs, weighted
from gtalign_env.agents.users.shipped import DEFAULT_SHARES, persona_from_card
from gtalign_env.agents.users.trained_user import TrainedPersona, is_trained
from gtalign_env.agents.users.voiced import VoicedPersona, split_voice
from gtalign_env.errors import GtalignError, UnknownNameError, UsageError
from gtalign_env.protocols import Backend, Persona
from gtalign_env.registration import BACKENDS, PERSONAS, PLAYERS

__all__ = ["Population", "load_persona", "population", "shares"]

_SCRIPTED = "@fake:scripted="
_MEMBERS = ("name", "description", "sample_type", "policy")


MakeEngine = Callable[[str], Backend]


def load_persona(spec: str | Persona, *, make_engine: MakeEngine | None = None, **voice: Any) -> Persona:
    """Return a persona from what people write for one.

    Args:
        spec: A registered name; a player of either chair with its settings (``quantal:rationality=2``);
            ``path/to/card.toml``; ``trained:RUN`` (the user of a training run); ``path/to/file.py:ClassName`` (the
            class may be left out where the file has only one); ``module:ClassName``; any of these with a model's voice
            (``concise@transformers:PATH``); or a persona.
        make_engine: Makes the engine of a voice from its spec; the usual one when ``None``.
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
        engine = voiced[1] if make_engine is None else make_engine(voiced[1])
        return VoicedPersona(load_persona(voiced[0]), engine, **voice)
    if is_player(spec):
        return PlayerPersona(spec)
    if is_trained(spec):
        return TrainedPersona(spec)
    if spec.endswith(".toml"):
        return persona_from_card(spec)
    if "@" in spec and not is_python_spec(spec):
        raise _no_voice(spec)
    if ":" in spec or is_python_spec(spec):
        return _as_persona(load_object(spec, wanted=_MEMBERS), spec)
    forms = ("PATH.toml", "trained:RUN", "FILE.py:Class", "module:Class")
    raise UnknownNameError("persona or player", spec, {*PERSONAS, *PLAYERS}, forms=forms)


def _no_voice(spec: str) -> UsageError:
    """Return what is wrong with a string that looks like a persona with a voice."""
    persona, _, voice = spec.partition("@")
    backend = voice.partition(":")[0]
    if not persona:
        return UsageError(f"persona {spec!r}: expected who speaks in front of the @, e.g. concise{spec}")
    if backend not in BACKENDS:
        got = f"there is no engine {backend!r}" if backend else "there is none"
        known = ", ".join(BACKENDS)
        return UsageError(
            f"persona {spec!r}: expected an engine behind the @ ({known}), e.g. {persona}@openai:MODEL; {got}"
        )
    return UsageError(f"persona {spec!r}: expected ':' and a model behind the engine, e.g. {persona}@{backend}:MODEL")


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


def population(spec: Any = None, *, make_engine: MakeEngine | None = None, **voice: Any) -> Population:
    """Return the population that a name, a list with weights or a mapping stands for.

    Args:
        spec: ``None`` or ``"default"``; a persona or anything that ``load_persona`` takes; a comma list such as
            ``"concise=2,mine.toml=1"``; a list; or a mapping from persona to weight.
        make_engine: See ``load_persona``.
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
        spec = shares(spec)

    def load(one: Any) -> Persona:
        return load_persona(one, make_engine=make_engine, **voice)

    if isinstance(spec, Mapping):
        return Population([(load(persona), weight) for persona, weight in spec.items()])
    if isinstance(spec, Persona):
        return Population([(load(spec), 1.0)])
    if isinstance(spec, Iterable):
        return Population([(load(persona), 1.0) for persona in spec])
    raise UsageError(f"population: expected a name, a comma list with weights, a mapping or a persona, got {spec!r}")


def shares(text: str) -> dict[str, float]:
    """Return the personas of a comma list with their weights.

    What a scripted voice says (``NAME@fake:scripted=…``) may hold commas; it ends where a persona is named.

    Raises:
        UsageError: A weight is no number.

    Example:
        >>> shares("concise=2,detailed")
        {'concise': 2.0, 'detailed': 1.0}
        >>> list(shares("concise@fake:scripted=Hi, there,detailed"))
        ['concise@fake:scripted=Hi, there', 'detailed']
    """
    parts: list[str] = []
    for part in split_specs(text):
        if parts and _SCRIPTED in parts[-1] and not _names_persona(part):
            parts[-1] += f", {part}"
        else:
            parts.append(part)
    return dict(map(_weighted, parts))


def _names_persona(part: str) -> bool:
    name = part.partition("=")[0].strip()
    return name in PERSONAS or is_player(name) or name.endswith(".toml") or is_python_spec(name) or "@" in name


def _weighted(part: str) -> tuple[str, float]:
    spec, weight = weighted(part)
    try:
        return spec, 1.0 if weight is None else float(weight)
    except ValueError:
        if split_voice(part) is not None:  # what a backend runs may hold an equals sign
            return part, 1.0
        raise UsageError(f"population: expected NAME=WEIGHT, got {part!r}") from None
