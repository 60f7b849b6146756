"""What the settings of a pricing policy may be."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection
from typing import Any

from gtalign_env.errors import UsageError

__all__ = ["check_settings"]


def check_settings(policy: Any, *, shares: Collection[str] = (), unlimited: Collection[str] = ()) -> None:
    """Refuse settings from which no price follows.

    Args:
        policy: A frozen dataclass with ``name``; every other field is a setting, a finite number >= 0.
        shares: Settings that are chances or shares: at most 1.
        unlimited: Settings that may be infinite.

    Raises:
        UsageError: A setting is out of range or no number.

    Example:
        >>> from gtalign_env.pricing import Freemium
        >>> check_settings(Freemium(), shares=("conversion", "upsell"))
    """
    for field in dataclasses.fields(policy):
        if field.name == "name":
            continue
        setting = getattr(policy, field.name)
        most = 1.0 if field.name in shares else math.inf
        fits = isinstance(setting, (int, float)) and 0.0 <= setting <= most
        if fits and (math.isfinite(setting) or field.name in unlimited):
            continue
        expected = "a number in [0, 1]" if field.name in shares else "a finite number >= 0"
        if field.name in unlimited:
            expected = "a number >= 0, or inf"
        raise UsageError(f"pricing {policy.name!r}: {field.name} must be {expected}, got {setting!r}")
