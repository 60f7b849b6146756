"""What welfare criteria are called: other names for some, and short ways to write their settings."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["ALIASES", "in_full"]

ALIASES: Mapping[str, str] = MappingProxyType(
    {"assistant_only": "linear:weight=0", "nash_bargaining": "nash_product", "user_only": "linear:weight=1"}
)
"""Names by which objectives of training go, and the criteria that they are."""
_MAIN_SETTINGS = {"alpha_fair": "alpha", "atkinson": "epsilon", "ces": "rho", "linear": "weight"}
"""The setting of a criterion that a bare number is."""


def in_full(spec: str) -> str:
    """Return a criterion's name and settings as the registry has them.

    An alias becomes the criterion that it is, a bare number the criterion's main setting, and ``w`` the weight.

    Example:
        >>> [in_full(spec) for spec in ("user_only", "ces:-1", "linear:0.7", "nash_bargaining:d_user=1", "cobb_douglas:w=0.3")]
        ['linear:weight=1', 'ces:rho=-1', 'linear:weight=0.7', 'nash_product:d_user=1', 'cobb_douglas:weight=0.3']
    """
    name, _, settings = spec.partition(":")
    name, _, fixed = ALIASES.get(name.strip(), name).partition(":")
    parts = [fixed] if fixed else []
    for place, part in enumerate(settings.split(",") if settings else []):
        key, equals, value = part.partition("=")
        if not equals and place == 0 and not fixed and name in _MAIN_SETTINGS:
            part = f"{_MAIN_SETTINGS[name]}={part.strip()}"
        elif equals and key.strip() == "w":
            part = f"weight={value}"
        parts.append(part)
    return f"{name}:{','.join(parts)}" if parts else name
