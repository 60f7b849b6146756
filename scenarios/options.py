"""Options of scenarios: named by people, checked in one place."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

from gtalign_env.errors import UsageError

__all__ = ["refuse_unknown"]


def refuse_unknown(scenario: str, given: Iterable[str], config: Any, others: Iterable[str]) -> None:
    """Refuse options that a scenario does not have.

    Args:
        scenario: The scenario's name.
        given: Names of the options that came.
        config: The dataclass whose fields are the scenario's rules.
        others: Names of its other options.

    Raises:
        UsageError: One of them is unknown; the message lists those that exist.

    Example:
        >>> from gtalign_env.scenarios.assist.config import AssistConfig
        >>> refuse_unknown("assist", ["questions"], AssistConfig, ["users"])
    """
    known = [field.name for field in dataclasses.fields(config)]
    for name in given:
        if name not in known:
            names = ", ".join([*others, *known])
            raise UsageError(f"scenario {scenario!r} has no option {name!r}: expected {names}")
