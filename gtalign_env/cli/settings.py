"""What a command line says about the players: to compare two of them, and to record one without its secrets."""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from gtalign_env.cli.common import read_options

__all__ = ["command_line", "differences", "player_settings", "redacted"]

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


def player_settings(args: argparse.Namespace, *, model: bool, chain: bool) -> dict[str, Any]:
    """Return the options of ``gtalign run`` that change how its players play, and are in no player's name.

    Args:
        args: The options.
        model: Whether the assistant is a model.
        chain: Whether it reasons in a chain.

    Example:
        >>> args = argparse.Namespace(lead=None, max_tokens=5, temperature=None, backend_option=["device=cpu"])
        >>> player_settings(args, model=True, chain=False)
        {'--lead': 'script', '--max-tokens': 5, '--backend-option device': 'cpu'}
    """
    found: dict[str, Any] = {"--lead": args.lead or "script"}
    if model:
        found |= {"--max-tokens": args.max_tokens, "--temperature": args.temperature}
        options = read_options(map(redacted, args.backend_option), flag="--backend-option")
        found |= {f"--backend-option {key}": value for key, value in options.items() if key not in _PLUMBING}
    if chain:
        found |= {"--criterion": args.criterion, "--moves": args.moves}
        options = read_options(args.chain_option, flag="--chain-option")
        found |= {f"--chain-option {key}": value for key, value in options.items()}
    return {name: value for name, value in found.items() if value is not None}


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
