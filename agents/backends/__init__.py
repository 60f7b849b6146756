"""Engines that continue conversations: transformers and vLLM in this process, and deterministic fakes.

``make_backend("transformers:PATH")`` or ``make_backend("fake:rules")`` builds one from a string. Backends are found by the
names in ``gtalign_env.registration.BACKENDS``; a new one is a class with ``generate`` and ``count_tokens``
(``gtalign_env.protocols.Backend``) and one line of registration.
"""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

from gtalign_env.agents.backends.fake import ChainBackend, EchoBackend, RulesBackend, ScriptedBackend, fake_backend
from gtalign_env.errors import UnknownNameError, UsageError
from gtalign_env.protocols import Backend
from gtalign_env.registration import BACKENDS

__all__ = ["ChainBackend", "EchoBackend", "RulesBackend", "ScriptedBackend", "fake_backend", "make_backend"]


def make_backend(spec: str | Backend, **options: Any) -> Backend:
    """Build a backend from ``"name:what"``; a ready-made backend comes back as it is.

    Args:
        spec: ``"transformers:PATH"``, ``"fake:echo"``, …: a registered name and what that backend should run; ``"nano"``, which
            brings its own model, also stands alone.
        options: Keyword arguments of the backend, e.g. ``device="cuda"``.

    Returns:
        The backend, loaded.

    Raises:
        UsageError: The string has no such form, the backend has no such option, or options came with a ready-made backend.
        UnknownNameError: No backend has this name.
        ModelError: There is no model where the string points.
        MissingExtraError: What the backend needs is not installed.

    Example:
        >>> make_backend("fake:echo").name
        'fake:echo'
    """
    if not isinstance(spec, str):
        if not isinstance(spec, Backend):
            raise UsageError(f"backend: expected 'name:what' or an object with generate and count_tokens, got {spec!r}")
        if options:
            raise UsageError(f"a ready-made backend takes no options, got {', '.join(options)}")
        return spec
    name, colon, what = spec.partition(":")
    if name not in BACKENDS:
        raise UnknownNameError("backend", name, BACKENDS)
    factory = BACKENDS.get(name)
    given = (what,) if what else ()
    if not given and (colon or not _runs_alone(factory)):
        raise UsageError(
            f"backend {spec!r}: expected '{name}:' and what it should run, e.g. {_EXAMPLES.get(name, name)!r}"
        )
    _refuse_options_in(name, what)
    try:
        inspect.signature(factory).bind(*given, **options)
    except TypeError as error:
        raise UsageError(f"backend {spec!r}: {error}") from None
    made: Backend = factory(*given, **options)
    return made


def _runs_alone(factory: Any) -> bool:
    """Return whether an engine brings a model of its own."""
    first = next(iter(inspect.signature(factory).parameters.values()), None)
    return first is not None and first.default is not inspect.Parameter.empty


def _refuse_options_in(name: str, what: str) -> None:
    """Refuse options behind a model's name, and repeat none of them: there may be a key among them."""
    if (found := _OPTION.search(what)) is None or Path(what).exists():
        return
    raise UsageError(
        f"backend {name + ':' + what[: found.start()]!r}: expected the model's name alone; an address and other options go "
        "to 'gtalign run' with --backend-option KEY=VALUE, e.g. --backend-option base_url=http://127.0.0.1:8000/v1, and "
        "in Python to make_backend as keyword arguments"
    )


_OPTION = re.compile(r",\s*[A-Za-z_]\w*=|[A-Za-z][\w+.-]*://")


_EXAMPLES = {"transformers": "transformers:PATH", "vllm": "vllm:PATH", "openai": "openai:MODEL", "fake": "fake:rules"}
