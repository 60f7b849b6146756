"""Options of scenarios: named by people, checked in one place."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

from gtalign_env.errors import UsageError

__all__ = ["check_sizes", "is_number", "refuse_unknown"]


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


def is_number(value: object, most: float) -> bool:
    """Whether it is a finite number from 0 to ``most``.

    Example:
        >>> is_number(0.5, 1.0), is_number(True, 1.0), is_number(float("nan"), 1.0)
        (True, False, False)
    """
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0.0 <= value <= most


def check_sizes(view: str, config: Any) -> None:
    """Refuse sessions that are too large, or whose ``can_leave`` is no truth value, in either view.

    Raises:
        UsageError: ``questions``, ``max_exchanges``, their product, or ``can_leave`` makes no sense.
    """
    for name in ("questions", "max_exchanges"):
        count = getattr(config, name)
        if not isinstance(count, int) or isinstance(count, bool) or not 1 <= count <= 64:
            raise UsageError(f"{view} option {name!r}: expected an integer from 1 to 64, got {count!r}")
    if config.questions * config.max_exchanges > 256:
        raise UsageError(
            f"{view} options questions x max_exchanges: expected at most 256, got "
            f"{config.questions} x {config.max_exchanges}: the compiled tables would not fit"
        )
    if not isinstance(config.can_leave, bool):
        raise UsageError(f"{view} option 'can_leave': expected True or False, got {config.can_leave!r}")
