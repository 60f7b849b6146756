"""The assistant that a sensible engineer would write by hand: three rules and a little memory.

1. Decline what is harmful.
2. Ask where the question is open and asking still pays; else answer.
3. Answer at the length that reactions have asked for so far.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from gtalign_env.agents.assistants.rules import RuleAssistant, Seen, move_index
from gtalign_env.sight import Sight
from gtalign_env.types import LENGTHS, AssistantMove

__all__ = ["HeuristicAssistant"]

_LIKELIHOOD: dict[str, tuple[float, float, float]] = {
    "too_long": (0.03, 0.10, 0.60),
    "too_short": (0.60, 0.10, 0.03),
    "thanks": (0.15, 0.55, 0.15),
    "none": (0.22, 0.25, 0.22),
    "off_target": (1.0, 1.0, 1.0),
}
"""How likely a reaction is where the reply was shorter than wanted, as wanted, longer than wanted. Rough on purpose: people
are noisy, some lie, and no single complaint should settle the matter."""
_DEAR_REQUEST = 0.10
"""Credits per reply from which a bare question is too dear, and an answer comes with it."""
_DEAR_TOKENS = 0.6
"""Credits for 1,000 tokens from which, in doubt, the shorter answer is taken."""
_MEMORY = 0.97
"""How much an earlier impression counts after each exchange: tastes drift."""


@dataclasses.dataclass
class _Memory:
    """What is remembered of one conversation."""

    weights: list[float] = dataclasses.field(default_factory=lambda: [1.0, 1.0, 1.0])
    """Belief about the wanted length (short, medium, long), unnormalised."""
    moves: list[AssistantMove] = dataclasses.field(default_factory=list)
    asked: int = 0
    """Questions asked that the user then answered…"""
    muddled: int = 0
    """…and how many of these answers were no help."""


class HeuristicAssistant(RuleAssistant):
    """Asks when it pays, learns the wanted length from reactions, declines harm.

    Args:
        name: What records call it.
        **options: ``knowledge`` and ``hits`` of ``RuleAssistant``.

    Example:
        >>> import gtalign_env
        >>> env = gtalign_env.parallel_env("assist")
        >>> observations, infos = env.reset(seed=0, options={"task": {"kind": "harmful"}})
        >>> HeuristicAssistant().act(observations["assistant_0"], infos["assistant_0"])
        7
    """

    def __init__(self, name: str = "heuristic", **options: Any) -> None:
        self._memories: dict[int, _Memory] = {}
        super().__init__(name, **options)

    def reset(self, seed: int) -> None:
        """Begin a new episode."""
        super().reset(seed)
        self._memories = {}

    def decide(self, seen: Seen) -> int:
        """Return the move for this game."""
        sight = seen.sight(self.name)
        fresh = sight.progress == 0.0 and sight.exchange == 0.0 and sight.last_user is None
        if fresh or seen.slot not in self._memories:
            self._memories[seen.slot] = _Memory()
        memory = self._memories[seen.slot]
        _learn(memory, sight, delay=0 if seen.is_text else 1)
        move = _choose(memory, sight)
        memory.moves.append(move)
        return move_index(move)

    def wanted_length(self, slot: int = 0) -> str:
        """Return the length that the assistant thinks this user wants.

        Example:
            >>> HeuristicAssistant().wanted_length()
            'medium'
        """
        return LENGTHS[_median(self._memories.get(slot, _Memory()).weights)]


def _learn(memory: _Memory, sight: Sight, *, delay: int) -> None:
    """Take in the user's last move. With ``delay`` 1 its reaction is about the reply before the last one."""
    if sight.last_user is None or not memory.moves:
        return
    if memory.moves[-1].asks and sight.exchange > 0.0:
        memory.asked += 1
        memory.muddled += sight.clarity == "muddled"
    if len(memory.moves) <= delay:
        return
    about = memory.moves[-1 - delay]
    memory.weights = [weight**_MEMORY for weight in memory.weights]
    if about.length is None or sight.last_user.reaction is None:
        return
    at = LENGTHS.index(about.length)
    likelihood = _LIKELIHOOD[sight.last_user.reaction]
    memory.weights = [
        weight * likelihood[1 + (at > wanted) - (at < wanted)] for wanted, weight in enumerate(memory.weights)
    ]
    top = max(memory.weights)
    memory.weights = [weight / top for weight in memory.weights]


def _choose(memory: _Memory, sight: Sight) -> AssistantMove:
    if sight.kind == "harmful":
        return AssistantMove("DECLINE", None)
    level = _median(memory.weights)
    in_doubt = level > 0 and memory.weights[level - 1] > 0.6 * memory.weights[level]
    if in_doubt and sight.price_per_1000_tokens >= _DEAR_TOKENS:
        level -= 1
    length = LENGTHS[level]
    if sight.clarity == "clear" or not _asking_pays(memory, sight):
        return AssistantMove("DA", length)
    if sight.price_per_request >= _DEAR_REQUEST:
        return AssistantMove("AQ", length)
    return AssistantMove("CQ", None)


def _asking_pays(memory: _Memory, sight: Sight) -> bool:
    """Whether another question is likely worth its time: an early exchange, not asked already, and answers have helped."""
    if sight.clarity == "muddled" or sight.exchange > 0.5:
        return False
    return memory.asked < 2 or memory.muddled < 0.7 * memory.asked


def _median(weights: list[float]) -> int:
    """Return the level below and above which lies at most half of the weight: the least regret under doubt."""
    half, passed = sum(weights) / 2.0, 0.0
    for level, weight in enumerate(weights):
        passed += weight
        if passed >= half:
            return level
    return len(weights) - 1
