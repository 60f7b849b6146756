"""What a command line says about the players: to compare two of them, and to record one without its secrets."""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from gtalign_env.cli.common import game_options, read_options
from gtalign_env.cli.engines import Side, engine_options, is_model, model_identity

__all__ = ["Seat", "command_line", "differences", "player_settings", "redacted"]

_KEY = re.compile(r"""(api[_-]?key["']?\s*[=:]).*""", re.IGNORECASE | re.DOTALL)
_LOGIN = re.compile(r"://[^/\s]*@")
_PLUMBING = ("api_key", "timeout", "max_retries", "concurrency")
"""Options of a backend that say how it is reached, and not what it says."""


def redacted(argument: str) -> str:
    """Return an argument without the key and the login that it may hold.

    Example:
        >>> redacted("api_key=k-123"), redacted("base_url=http://me:pw@localhost:8000/v1")
        ('api_key=***', 'base_url=http://***@localhost:8000/v1')
    """
    return _LOGIN.sub("://***@", _KEY.sub(r"\1***", argument))


def command_line(argv: Sequence[str]) -> str:
    """Return a command as it is recorded: for a shell, and without secrets.

    Example:
        >>> command_line(["run", "assist", "--backend-option", "api_key=k-123"])
        "gtalign run assist --backend-option 'api_key=***'"
    """
    return shlex.join(["gtalign", *map(redacted, argv)])


class Seat(NamedTuple):
    """Who plays, as far as settings depend on it."""

    spec: str = ""
    """The assistant, as it was asked for."""
    chain: bool = False
    """Whether it reasons in a chain."""
    voice: str = ""
    """What the engine of the user's voice calls itself; empty where no model speaks."""


def player_settings(args: argparse.Namespace, seat: Seat) -> dict[str, Any]:
    """Return the options of ``gtalign run`` that change how its players play, and are in no player's name.

    A model is named by the last part of its path; here it is the whole.

    Args:
        args: The options.
        seat: Who plays.

    Example:
        >>> args = argparse.Namespace(lead=None, max_tokens=5, temperature=None, backend_option=["device=cpu"])
        >>> args.assistant = ["vllm:m/x"]
        >>> player_settings(args, Seat("vllm:m/x"))
        {'--lead': 'script', '--assistant': 'vllm:m/x', '--max-tokens': 5, '--backend-option device': 'cpu'}
    """
    found: dict[str, Any] = {"--lead": args.lead or "script"}
    if is_model(seat.spec):
        found["--assistant"] = _namesakes(args.assistant or (), model_identity(seat.spec)[0])
        found |= {"--max-tokens": args.max_tokens, "--temperature": args.temperature, **_engine(args, "assistant")}
    if seat.chain:
        found |= {"--criterion": args.criterion, "--moves": args.moves, "--steer": args.steer}
        for flag, pairs in (("--chain-option", args.chain_option), ("--steer-option", args.steer_option)):
            found |= {f"{flag} {key}": value for key, value in read_options(pairs, flag=flag).items()}
        if args.steer is not None:  # else the price that the model is told is the game's
            found["--pricing"] = game_options(args).get("pricing")
    if seat.voice:
        found["--users"] = _namesakes(_voices(args.users or ""), seat.voice)
        found |= {f"{name} (users)": value for name, value in _engine(args, "user").items()}
    return {name: value for name, value in found.items() if value is not None}


def _engine(args: argparse.Namespace, side: Side) -> dict[str, Any]:
    """Return the options of one side's engines that change what they say."""
    options = engine_options(map(redacted, args.backend_option), side)
    return {f"--backend-option {key}": value for key, value in options.items() if key not in _PLUMBING}


def _namesakes(specs: Iterable[str], name: str) -> str | None:
    """Return which of the models an engine of this name is."""
    places = {place for called, place in map(model_identity, filter(is_model, specs)) if called == name}
    return ", ".join(sorted(places)) or None


def _voices(users: str) -> list[str]:
    from gtalign_env.agents.users.population import shares
    from gtalign_env.agents.users.voiced import split_voice

    return [voiced[1] for voiced in map(split_voice, shares(users)) if voiced is not None]


def differences(there: Mapping[str, Any], here: Mapping[str, Any]) -> list[str]:
    """Return in words what differs between two ``player_settings``.

    Example:
        >>> differences({"--moves": "paper", "--temperature": 0.5}, {"--temperature": 1.0})
        ['--moves paper there and unset here', '--temperature 0.5 there and 1.0 here']
    """
    return [
        f"{name} {there.get(name, 'unset')} there and {here.get(name, 'unset')} here"
        for name in sorted({*there, *here})
        if there.get(name) != here.get(name)
    ]
