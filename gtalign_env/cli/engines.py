"""The models of a run: each is loaded once, with the options of its side, whoever plays with it."""

from __future__ import annotations

import functools
import inspect
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

from gtalign_env.cli.common import read_value
from gtalign_env.errors import UsageError
from gtalign_env.protocols import Backend
from gtalign_env.registration import BACKENDS

__all__ = ["Engines", "Side", "engine_options", "is_model", "model_identity"]

Side = Literal["user", "assistant"]
_FLAG = "--backend-option"
_KEY = re.compile(r"(?:(user|assistant)\.)?([^\W\d]\w*)")


def engine_options(pairs: Iterable[str], side: Side) -> dict[str, Any]:
    """Return what ``--backend-option`` says for the engines of one side: a key without a side in front is for both.

    Args:
        pairs: ``KEY=VALUE``, ``user.KEY=VALUE`` or ``assistant.KEY=VALUE``; what is said for one side goes before the rest.
        side: Whose engines.

    Raises:
        UsageError: A pair has another form.

    Example:
        >>> pairs = ["timeout=9", "user.base_url=http://a/v1", "user.timeout=3"]
        >>> engine_options(pairs, "user"), engine_options(pairs, "assistant")
        ({'timeout': 3, 'base_url': 'http://a/v1'}, {'timeout': 9})
    """
    shared: dict[str, Any] = {}
    own: dict[str, Any] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        found = _KEY.fullmatch(key)
        if not equals or found is None:  # a value may be a secret
            raise UsageError(
                f"{_FLAG}: expected KEY=VALUE, or user.KEY=VALUE or assistant.KEY=VALUE for one side's, got {key + equals!r}"
            )
        if found[1] in (None, side):
            (shared if found[1] is None else own)[found[2]] = read_value(text)
    return shared | own


def is_model(spec: str) -> bool:
    """Return whether a string names an assistant that is a language model.

    Example:
        >>> is_model("chain:fake:chain"), is_model("heuristic")
        (True, False)
    """
    name = spec.partition(":")[0]
    return name == "chain" or name in BACKENDS


def model_identity(spec: str) -> tuple[str, str]:
    """Return what the engine of a spec calls itself, and what tells it from others of that name: its place.

    Example:
        >>> model_identity("openai:org/m"), model_identity("transformers:no/such/m")
        (('openai:org/m', 'openai:org/m'), ('transformers:m', 'transformers:no/such/m'))
    """
    backend, _, what = spec.removeprefix("chain:").partition(":")
    if backend in ("fake", "openai"):
        return f"{backend}:{what}", f"{backend}:{what}"
    place = Path(what).expanduser()
    return f"{backend}:{place.resolve().name}", f"{backend}:{place.resolve() if place.exists() else what}"


class Engines:
    """Makes the engines of a run, and keeps them: one for each spec with its options, on either side.

    Args:
        pairs: The values of ``--backend-option``.

    Raises:
        UsageError: A pair has no form.

    Example:
        >>> engines = Engines()
        >>> engines.user("fake:rules") is engines.assistant("fake:rules")
        True
    """

    def __init__(self, pairs: Iterable[str] = ()) -> None:
        pairs = list(pairs)
        self._options: Mapping[Side, dict[str, Any]] = {
            "user": engine_options(pairs, "user"),
            "assistant": engine_options(pairs, "assistant"),
        }
        self._made: dict[str, Backend] = {}
        self.user = functools.partial(self._get, "user")
        self.assistant = functools.partial(self._get, "assistant")

    def _get(self, side: Side, spec: str) -> Backend:
        from gtalign_env.agents.backends import make_backend
        from gtalign_env.agents.users.voiced import make_voice

        options = self._options[side]
        key = json.dumps([spec, options], sort_keys=True)
        if key not in self._made:
            self._check(side, spec)
            self._made[key] = (make_voice if side == "user" else make_backend)(spec, **options)
        return self._made[key]

    def _check(self, side: Side, spec: str) -> None:
        """Refuse options that an engine does not have."""
        known = _option_names(spec)
        if known is None or not (unknown := sorted(self._options[side].keys() - known)):
            return
        takes = ", ".join(known) or "no options"
        hint = "for one side's engine alone write user.KEY=VALUE or assistant.KEY=VALUE"
        raise UsageError(f"{_FLAG} {unknown[0]}: {spec.partition(':')[0]} engines take {takes}; {hint}")


def _option_names(spec: str) -> list[str] | None:
    """Return the options that the engine of a spec has; ``None`` where it takes any, or there is no such engine."""
    name = spec.partition(":")[0]
    if name not in BACKENDS:
        return None
    _, *options = inspect.signature(BACKENDS.get(name)).parameters.values()  # the first is what it runs
    if any(option.kind is inspect.Parameter.VAR_KEYWORD for option in options):
        return None
    return sorted(option.name for option in options)
