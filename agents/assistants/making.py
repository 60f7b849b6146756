"""From what people write for an assistant to the assistant."""

from __future__ import annotations

import inspect
from typing import Any

from gtalign_env.agents.loading import is_python_spec, load_object
from gtalign_env.agents.players.making import is_player, make_player
from gtalign_env.errors import UnknownNameError, UsageError
from gtalign_env.protocols import Policy
from gtalign_env.registration import ASSISTANTS, BACKENDS, PLAYERS, load

__all__ = ["make_assistant"]

_LLM = "gtalign_env.agents.assistants.llm:make_llm_assistant"
_CHAIN = "gtalign_env.agents.chain.player:make_chain_assistant"


def make_assistant(spec: str | Policy, **options: Any) -> Policy:
    """Return an assistant.

    Args:
        spec: A registered name, with an argument behind a colon where it takes one (``"heuristic"``, ``"fixed:AQ_long"``,
            ``"oracle:fixed:DA_short"``); a player of either chair with its settings (``"tit_for_tat"``,
            ``"quantal:rationality=2"``); a backend with its model (``"transformers:PATH"``), ``chain:`` in front for one that
            reasons first; ``"path/to/file.py:Class"``;
            ``"module:attr"``; or a policy.
        **options: Passed to whatever makes the assistant.

    Raises:
        UnknownNameError: No assistant has this name.
        FileFormatError: The Python file is missing or fails.
        UsageError: An option or argument is refused, or what was found is no policy.

    Example:
        >>> make_assistant("fixed:AQ_long").name, make_assistant("heuristic").name
        ('fixed:AQ_long', 'heuristic')
    """
    if not isinstance(spec, str):
        return _as_policy(spec, repr(spec), options)
    name, colon, argument = spec.partition(":")
    if name in ASSISTANTS:
        factory = ASSISTANTS.get(name)
        if name == "oracle" and argument:
            return _call(factory, spec, {"player": make_assistant(argument), **options})
        return _call(factory, spec, options, *([argument] if argument else []))
    if is_player(spec):
        if options:
            raise UsageError(
                f"assistant {spec!r}: a player takes its settings behind a colon, got {', '.join(options)}"
            )
        return make_player(spec)
    if name == "chain" and argument:
        return _call(load(_CHAIN), spec, options, argument)
    if name in BACKENDS or name in ("vllm", "openai"):
        return _call(load(_LLM), spec, options, spec)
    if is_python_spec(spec) or colon:
        return _as_policy(load_object(spec, wanted=("reset", "act")), spec, options)
    forms = [*(f"{backend}:MODEL" for backend in BACKENDS), "chain:BACKEND:MODEL", "FILE.py:Class"]
    raise UnknownNameError("assistant or player", spec, {*ASSISTANTS, *PLAYERS}, forms=forms)


def _as_policy(thing: Any, spec: str, options: dict[str, Any]) -> Policy:
    if isinstance(thing, Policy) and not inspect.isclass(thing):
        if options:
            raise UsageError(f"assistant {spec}: a ready-made policy takes no options, got {', '.join(options)}")
        return thing
    if not callable(thing):
        raise UsageError(f"assistant {spec}: expected a policy with name, reset(seed) and act(observation, info)")
    return _call(thing, spec, options)


def _call(factory: Any, spec: str, options: dict[str, Any], *arguments: Any) -> Policy:
    try:
        inspect.signature(factory).bind(*arguments, **options)
    except TypeError as error:
        raise UsageError(f"assistant {spec!r}: {error}") from None
    except ValueError:  # a builtin without a signature
        pass
    try:
        made = factory(*arguments, **options)
    except TypeError as error:
        if "unexpected keyword argument" not in str(error):
            raise
        raise UsageError(f"assistant {spec!r}: {str(error).rpartition(') ')[2] or error}") from None
    missing = [name for name in ("name", "reset", "act") if not hasattr(made, name)]
    if missing:
        raise UsageError(
            f"assistant {spec!r}: what was made lacks {', '.join(missing)}; a policy has name, reset and act"
        )
    policy: Policy = made
    return policy
