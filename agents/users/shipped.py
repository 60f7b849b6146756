"""The personas that come with the package: a card each in ``cards/``, and ``random``."""

from __future__ import annotations

import functools
from pathlib import Path

from gtalign_env.agents.users.card_file import read_card
from gtalign_env.agents.users.random_user import RandomPersona
from gtalign_env.agents.users.scripted import ScriptedPersona

__all__ = ["CARDS", "DEFAULT_SHARES", "persona_from_card", "shipped"]

CARDS = Path(__file__).parent / "cards"
DEFAULT_SHARES: dict[str, float] = {"concise": 0.35, "detailed": 0.35, "balanced": 0.15, "hurried": 0.15}
"""Shares of the population ``default``, the one on which assistants are compared."""


@functools.lru_cache(maxsize=64)
def shipped(name: str) -> ScriptedPersona:
    """Return the persona of a shipped card (read once).

    Example:
        >>> shipped("concise").name
        'concise'
    """
    return persona_from_card(CARDS / f"{name}.toml")


def persona_from_card(path: str | Path) -> ScriptedPersona:
    """Return the persona of any card file.

    Raises:
        FileFormatError: The file is no card.

    Example:
        >>> persona_from_card(CARDS / "expert.toml").name
        'expert'
    """
    return ScriptedPersona(read_card(path))


adversarial = functools.partial(shipped, "adversarial")
balanced = functools.partial(shipped, "balanced")
chatty = functools.partial(shipped, "chatty")
concise = functools.partial(shipped, "concise")
detailed = functools.partial(shipped, "detailed")
drifting = functools.partial(shipped, "drifting")
expert = functools.partial(shipped, "expert")
hurried = functools.partial(shipped, "hurried")
over_vague = functools.partial(shipped, "over_vague")
random = RandomPersona
thrifty = functools.partial(shipped, "thrifty")
