"""The base of the assistants that follow written rules: moves in the strategic view, canned words in the text view."""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from gtalign_env.agents.assistants.voice import general_answer, guess_kind, voice
from gtalign_env.errors import UsageError
from gtalign_env.sight import CLARITIES, Sight, see
from gtalign_env.spaces import ASSIST_LAYOUT
from gtalign_env.types import ASSISTANT_MOVES, AssistantMove

__all__ = ["HITS", "KnowledgeLookup", "RuleAssistant", "Seen"]

KnowledgeLookup = Callable[[str], str | None]
"""From the user's words to an answer (or, for a harmful request, a safe alternative); ``None`` where nothing is known.
It may have two more methods: ``kind(words)``, the kind of task, and ``misread(words)``, the answer to another reading."""
HITS: tuple[float, float, float] = (0.45, 0.70, 1.0)
"""How often knowledge meets the reading that was meant, for a vague, a muddled and a clear question."""
_PARTICULARS = ("arithmetic", "writing")
"""Kinds of task that live on particulars: nobody hits the numbers or names in somebody else's head."""


class Seen(NamedTuple):
    """What a rule may decide by: one game at one moment."""

    observation: Mapping[str, Any]
    info: Mapping[str, Any]
    slot: int
    """Which of the games played at once; always 0 in ``act``."""

    @property
    def is_text(self) -> bool:
        """Whether this is the text view."""
        return "text" in self.observation

    @property
    def legal(self) -> Any:
        """Indices of the legal moves."""
        return np.flatnonzero(self.observation["action_mask"])

    def sight(self, who: str) -> Sight:
        """Return the observation with names.

        Raises:
            UsageError: The game is none of the ``assist`` family.
        """
        size = np.shape(self.observation["observation"])[-1]
        if size != ASSIST_LAYOUT.size:
            raise UsageError(
                f"assistant {who!r} plays the 'assist' games only (observations of {ASSIST_LAYOUT.size} numbers, got {size}): "
                "take 'random' or 'fixed:INDEX' here"
            )
        return see(self.observation)


class RuleAssistant(abc.ABC):
    """A policy that decides a move by rule and voices it in canned words where words are wanted.

    Args:
        name: What records call it.
        knowledge: Looks answers up for the text view; without it replies say honestly that they hold no content.
        hits: With knowledge, how often it meets the meant reading of a vague, a muddled and a clear question. One and the
            same vague question has several readings, and someone who looks it up still has to guess which one was meant.
            Where particulars are needed (writing, arithmetic), an open question is never met.

    Subclasses define ``decide``.

    Example:
        >>> class Curious(RuleAssistant):
        ...     def decide(self, seen):
        ...         return ASSISTANT_MOVES.index(AssistantMove("CQ", None))
        >>> import gtalign_env
        >>> observations, infos = gtalign_env.parallel_env("assist").reset(seed=0)
        >>> Curious("curious").act(observations["assistant_0"], infos["assistant_0"])
        6
    """

    def __init__(
        self,
        name: str,
        *,
        knowledge: KnowledgeLookup | None = None,
        hits: tuple[float, float, float] = HITS,
    ) -> None:
        if knowledge is not None and not callable(knowledge):
            raise UsageError(
                f"assistant {name!r}: knowledge must be a function from a question to an answer, got {knowledge!r}"
            )
        if len(hits) != 3 or not all(0.0 <= hit <= 1.0 for hit in hits):
            raise UsageError(f"assistant {name!r}: hits must be three numbers from 0 to 1, got {hits!r}")
        self.name = name
        self.knowledge = knowledge
        self.hits = hits
        self.reset(0)

    def __repr__(self) -> str:
        """Return the class and the name."""
        return f"<{type(self).__name__} {self.name!r}>"

    def reset(self, seed: int) -> None:
        """Begin a new episode."""
        self.rng = np.random.default_rng(seed)

    @abc.abstractmethod
    def decide(self, seen: Seen) -> int:
        """Return the index of the move to make; an illegal one is replaced by the first legal one."""

    def act(self, observation: Mapping[str, Any], info: Mapping[str, Any]) -> Any:
        """Return a move's index, or move and words in the text view."""
        return self._one(Seen(observation, info, 0))

    def act_batch(self, observations: Sequence[Mapping[str, Any]], infos: Sequence[Mapping[str, Any]]) -> list[Any]:
        """Return one action for each game; the same place in the list is the same game from call to call."""
        return [self._one(Seen(*pair, slot)) for slot, pair in enumerate(zip(observations, infos, strict=True))]

    def _one(self, seen: Seen) -> Any:
        legal = seen.legal
        if seen.is_text and not (legal < len(ASSISTANT_MOVES)).any():
            return {"move": int(legal[0]) if len(legal) else 0, "text": ""}  # WAIT
        move = self.decide(seen)
        if len(legal) and move not in legal:
            move = int(legal[0])
        return {"move": move, "text": self._voiced(move, seen)} if seen.is_text else move

    def _voiced(self, move: int, seen: Seen) -> str:
        question, answer, kind = self._look_up(seen)
        declines = ASSISTANT_MOVES[move].act == "DECLINE"
        harmful = self.knowledge is not None and seen.sight(self.name).kind == "harmful"
        # For a harmful request the lookup returns the safe alternative, which belongs into a refusal and nowhere else.
        return voice(ASSISTANT_MOVES[move], question, answer if declines == harmful else None, kind)

    def _look_up(self, seen: Seen) -> tuple[str, str | None, str]:
        """Return the user's words on the table, what is known about them as far as the reading is met, and their kind."""
        asked = [str(m["content"]) for m in seen.info.get("messages", ()) if m["role"] == "user"]
        question = asked[-1] if asked else str(seen.observation["text"])
        if self.knowledge is None:
            return question, None, guess_kind(question)
        sight = seen.sight(self.name)
        reach = 1 if sight.exchange == 0.0 else len(asked)  # an old question is no help with a new one
        words = asked[-reach:] if asked else [question]
        answer = _latest(self.knowledge, words)
        kind = _latest(getattr(self.knowledge, "kind", None), words) or guess_kind(words[0])
        if answer is None or sight.kind == "harmful":
            return question, answer, kind
        clarity = sight.clarity or "clear"
        hit = 0.0 if kind in _PARTICULARS and clarity != "clear" else self.hits[CLARITIES.index(clarity)]
        if self.rng.random() < hit:
            return question, answer, kind
        return question, _latest(getattr(self.knowledge, "misread", None), words) or general_answer(kind), kind


def _latest(lookup: KnowledgeLookup | None, words: Sequence[str]) -> str | None:
    """Return what a lookup finds in the latest words in which it finds anything, and in what was said after them."""
    if lookup is None:
        return None
    since = (" ".join(words[start:]) for start in reversed(range(len(words))))
    return next((found for found in map(lookup, since) if found is not None), None)


def move_index(move: AssistantMove | str) -> int:
    """Return the index of a move by name.

    Example:
        >>> move_index("DA_medium")
        1
    """
    return ASSISTANT_MOVES.index(AssistantMove.parse(move) if isinstance(move, str) else move)
