"""From what a reply did to a persona to what it says about it. Pure functions: all chance comes in as a generator."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

from gtalign_env.agents.users.card import Character, Reactions
from gtalign_env.types import REACTIONS, AssistantMove, UserType

__all__ = ["Heard", "react", "reaction_chances", "truthful_reaction"]

_OPPOSITE = {
    "none": "none",
    "thanks": "off_target",
    "off_target": "thanks",
    "too_long": "too_short",
    "too_short": "too_long",
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Heard:
    """What a persona knows of the reply before."""

    move: AssistantMove | None = None
    """``None`` where the assistant said nothing."""
    tokens: float = 0.0
    """Tokens of the reply; a nominal number per length in the strategic view."""
    quality: float = 0.0
    items: Mapping[str, float] = dataclasses.field(default_factory=dict)
    """The persona's own payoff items of that exchange, utils; empty before the first reply."""
    fee: float = 0.0
    """Utils of the session's flat fee within ``items["price"]``; 0 after the first exchange."""

    @property
    def gain(self) -> float:
        """What the exchange was worth, flat fee aside, utils."""
        return sum(self.items.values()) + self.fee

    @property
    def sort(self) -> str:
        """``short``, ``medium``, ``long``, ``question`` or ``refusal``."""
        if self.move is None or self.move.act == "DECLINE":
            return "refusal"
        return self.move.length or "question"


def truthful_reaction(rules: Reactions, heard: Heard, user_type: UserType, ideal_tokens: float) -> str:
    """Return what an honest persona says about a reply that was no bare question.

    Args:
        rules: The persona's thresholds.
        heard: The reply, as it felt.
        user_type: θ.
        ideal_tokens: The length wanted now: θ's own, or what drift has made of it.

    Example:
        >>> long = Heard(move=AssistantMove("DA", "long"), tokens=480, quality=0.9, items={"value": 0.9, "length": -0.7})
        >>> truthful_reaction(Reactions(), long, UserType(), 60.0)
        'too_long'
    """
    move = heard.move
    if not heard.items:
        return "none"
    if move is None or (move.act == "DECLINE" and heard.quality <= 0.0):
        return "off_target"
    if not move.answers:
        return "none"
    if heard.quality < rules.off_target_below:
        return "off_target"
    loss = -_length_item(heard, user_type, ideal_tokens)
    longer = heard.tokens > ideal_tokens
    if longer and loss > rules.too_long_above:
        return "too_long"
    if not longer and loss > rules.too_short_above:
        return "too_short"
    if -heard.items.get("price", 0.0) - heard.fee > rules.too_dear_above:
        return "too_long"
    worth = heard.items.get("value", heard.quality) - loss + heard.items.get("reading", 0.0)
    return "thanks" if worth >= rules.thanks_above else "none"


def react(character: Character, heard: Heard, user_type: UserType, ideal_tokens: float, rng: Any) -> str:
    """Return what the persona says: the truth or a lie, if it says anything.

    Example:
        >>> import numpy as np
        >>> mute = Character(expressiveness=0.0)
        >>> react(mute, Heard(), UserType(), 60.0, np.random.default_rng(0))
        'none'
    """
    annoyed, lying, silent = rng.random(3)
    truth = truthful_reaction(character.reactions, heard, user_type, ideal_tokens)
    if heard.move is not None and heard.move.act == "CQ" and annoyed < character.reactions.dislikes_questions:
        truth = "off_target"
    said = _lie(character, heard, truth) if heard.items and lying >= character.honesty else truth
    return said if silent < character.expressiveness else "none"


def reaction_chances(character: Character, heard: Heard, user_type: UserType, ideal_tokens: float) -> tuple[float, ...]:
    """Return the distribution over ``REACTIONS`` that ``react`` draws from.

    Example:
        >>> reaction_chances(Character(expressiveness=0.75), Heard(items={"time": -0.1}), UserType(), 60.0)
        (0.25, 0.0, 0.0, 0.0, 0.75)
    """
    rules = character.reactions
    annoyed = rules.dislikes_questions if heard.move is not None and heard.move.act == "CQ" else 0.0
    honest = character.honesty if heard.items else 1.0
    chances = dict.fromkeys(REACTIONS, 0.0)
    for truth, chance in (
        (truthful_reaction(rules, heard, user_type, ideal_tokens), 1.0 - annoyed),
        ("off_target", annoyed),
    ):
        chances[truth] += chance * honest * character.expressiveness
        chances[_lie(character, heard, truth)] += chance * (1.0 - honest) * character.expressiveness
    chances["none"] += 1.0 - character.expressiveness
    return tuple(chances.values())


def _lie(character: Character, heard: Heard, truth: str) -> str:
    """Return what an untrue reaction says about a reply."""
    lie: str = getattr(character.lies, heard.sort)
    return _OPPOSITE[truth] if lie == "opposite" else lie


def _length_item(heard: Heard, user_type: UserType, ideal_tokens: float) -> float:
    """Return the utils lost to length: the payoff's own item, or the same formula where the taste has drifted."""
    if ideal_tokens == user_type.ideal_tokens:
        return heard.items.get("length", 0.0)
    ratio = math.log((heard.tokens + 1.0) / (ideal_tokens + 1.0))
    return -(user_type.too_long * max(ratio, 0.0) + user_type.too_short * max(-ratio, 0.0))
