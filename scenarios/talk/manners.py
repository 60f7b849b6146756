"""How a player is asked to behave: six personalities, and six ways to be warned about words that bind nobody.

The sets follow Hua et al. 2024 (arXiv 2411.05990, section 6); the sentences are our own. They stand in a scenario's
``briefing`` and change no rule: what moves and payoffs there are does not depend on them.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["CAUTIONS", "PERSONALITIES", "Caution"]

PERSONALITIES: dict[str, str] = {
    "compassionate": "You feel with the other player, and its losses weigh on you.",
    "friendly": "You are warm and well-disposed, and like to get along.",
    "helpful": "You look for ways to be of use to whoever you deal with.",
    "pragmatic": "You go by what works, and waste no thought on anything else.",
    "rational": "You weigh what each choice leads to, coolly and with care.",
    "witty": "You are quick, playful and hard to fool.",
}
"""What a player is told about itself, by name."""


class Caution(NamedTuple):
    """A warning about what the other player says."""

    name: str
    sentence: str


CAUTIONS: tuple[Caution, ...] = (
    Caution("none", ""),
    Caution(
        "weigh_trust",
        "Before you move, go over what was said and ask yourself how far it can be trusted; the choice is yours.",
    ),
    Caution("weigh", "Before you move, go over what was said; the choice is yours."),
    Caution("may", "You may move as you like, whatever the other player has said."),
    Caution("should", "You should make your own choice, whatever the other player has said."),
    Caution("must", "You must make your own choice, and let nothing that the other player has said decide it."),
    Caution(
        "think_trust", "Think hard about whether the other player's words can be trusted at all, and only then move."
    ),
)
"""Warnings by number, 0 to 6; 0 is none."""
