"""What the tests of personas share: a task, and a reply as it felt."""

from __future__ import annotations

from gtalign_env.agents.users.character import Heard
from gtalign_env.types import AssistantMove

TASK = {
    "id": "t",
    "kind": "fact",
    "vague": "How tall is it?",
    "detailed": "How tall is K2 in metres?",
    "facts": [["mountain", "I mean K2."], ["unit", "In metres, please."]],
    "harmful": False,
}


def heard(name: str, *, tokens: float = 180.0, quality: float = 0.9, **items: float) -> Heard:
    """A reply as it felt."""
    return Heard(move=AssistantMove.parse(name), tokens=tokens, quality=quality, items={"value": quality, **items})
