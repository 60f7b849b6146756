"""The base of all scripted users: a persona that, given a type, becomes a player of both views.

A Python persona is a subclass with a name, a description and types, and with whatever it wants to do differently:
``choose`` (the move) or ``say`` (the words).
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from gtalign_env.agents.users.automaton import persona_kernels
from gtalign_env.agents.users.card import Card, Character, TypeEntry, Wording
from gtalign_env.agents.users.character import Heard, react
from gtalign_env.agents.users.speech import Speaker, is_grave
from gtalign_env.errors import UsageError
from gtalign_env.finite import FiniteScenario
from gtalign_env.kernels import UserKernel
from gtalign_env.protocols import PricingPolicy
from gtalign_env.sight import Sight, see
from gtalign_env.spaces import ASSIST_LAYOUT
from gtalign_env.types import LENGTH_TOKENS, USER_MOVES, UserMove, UserType

__all__ = ["ScriptedPersona"]

_PLAYED = ("_notice", "act", "choose", "has_enough", "ideal_tokens", "policy", "reset", "sample_type", "situation")
"""What decides the moves of a scripted persona; a subclass that has its own plays as no card tells."""
_SITUATIONS = {"answer_question": "answer", "rephrase": "rephrase", "next_question": "next"}


class ScriptedPersona:
    """A persona, and once it has a type (``policy``) also the player.

    Args:
        card: What a subclass says in class attributes, as a card; the attributes when ``None``.

    Attributes:
        types: One ``UserType``, or several types or ``TypeEntry`` objects.
        user_type: θ of this player (after ``policy``).
        rng: The player's generator, seeded by ``reset``.
        heard: What the player knows of the reply before.
        bad_in_a_row: Exchanges in a row that left it worse off.
        questions: Questions that it has seen closed.

    Example:
        >>> class Grump(ScriptedPersona):
        ...     name = "grump"
        ...     description = "never satisfied"
        ...     types = UserType(ideal_tokens=60.0)
        ...
        ...     def choose(self, sight, info):
        ...         return UserMove("VQ", "too_long")
        >>> import gtalign_env
        >>> observations, infos = gtalign_env.parallel_env("assist").reset(seed=0)
        >>> player = Grump().policy(UserType())
        >>> player.act(observations["user_0"], infos["user_0"]) == USER_MOVES.index(UserMove("VQ", "too_long"))
        True
    """

    name: str = "scripted"
    description: str = "a user without a character of its own"
    discloses: bool = False
    types: UserType | Sequence[UserType | TypeEntry] = UserType()
    character: Character = Character()
    wording: Wording = Wording()

    _LEAVE: ClassVar[UserMove] = USER_MOVES[-1]

    def __init__(self, card: Card | None = None) -> None:
        if card is not None:
            self.name = card.name
            self.description = card.description
            self.discloses = card.discloses
            self.types = card.types
            self.character = card.character
            self.wording = card.wording
        self.user_type = self.entries[0].user_type
        self.reset(0)

    def __repr__(self) -> str:
        """Return the class and the name."""
        return f"<{type(self).__name__} {self.name!r}>"

    # -- the persona ----------------------------------------------------------------------------------------------

    @property
    def entries(self) -> tuple[TypeEntry, ...]:
        """The types with their weights and spreads."""
        given = [self.types] if isinstance(self.types, UserType) else list(self.types)
        entries = tuple(TypeEntry(user_type=item) if isinstance(item, UserType) else item for item in given)
        if not entries or not all(isinstance(entry, TypeEntry) for entry in entries):
            raise UsageError(f"persona {self.name!r}: types must be UserType or TypeEntry objects, got {self.types!r}")
        return entries

    def sample_type(self, rng: Any) -> UserType:
        """Draw a type: an entry by its weight, then its spread."""
        entries = self.entries
        bounds = np.cumsum([entry.weight for entry in entries])
        index = int(np.searchsorted(bounds, rng.random() * bounds[-1], side="right"))
        return entries[min(index, len(entries) - 1)].draw(rng)

    def policy(self, user_type: UserType) -> ScriptedPersona:
        """Return a fresh player with this type."""
        player = copy.copy(self)
        player.user_type = user_type
        player.reset(0)
        return player

    def kernels(self, scenario: FiniteScenario, pricing: PricingPolicy) -> tuple[UserKernel, ...]:
        """Return what it does in a compiled ``assist`` game, exactly: one user kernel per θ that it may draw.

        Raises:
            UsageError: It leaves by its running total, or plays by code of its own, or the game is another one.

        Example:
            >>> from gtalign_env.registration import make_scenario
            >>> scenario = make_scenario("assist")
            >>> [kernel.share for kernel in ScriptedPersona().kernels(scenario, scenario.pricing)]
            [1.0]
        """
        own = [name for name in _PLAYED if getattr(type(self), name) is not getattr(ScriptedPersona, name)]
        if own:
            raise UsageError(
                f"persona {self.name!r} has code of its own in {', '.join(own)}, so its card does not tell what it does: make "
                "the class a FinitePersona (docs/personas.md), give it a method kernels(scenario, pricing), or play against it "
                "without solving"
            )
        return persona_kernels(self, scenario, pricing)

    # -- what a subclass overrides --------------------------------------------------------------------------------

    def choose(self, sight: Sight, info: Mapping[str, Any]) -> UserMove:
        """Return the next move. By default: leave by the rule, else react and ask as the character says."""
        if self.has_enough(sight):
            return self._LEAVE
        reaction = react(self.character, self.heard, self.user_type, self.ideal_tokens, self.rng)
        detailed: float = getattr(self.character.p_detailed, self.situation(sight, info))
        return UserMove("DQ" if self.rng.random() < detailed else "VQ", reaction)

    def say(self, move: UserMove, info: Mapping[str, Any]) -> str:
        """Return the words for a move (text view). By default: the wording's phrases around the task's question."""
        refused = info.get("last_reply", {}).get("move") == "DECLINE"
        return self._speaker.say(
            move,
            info["task"],
            str(info.get("situation", "next_question")),
            _last_words(info, "user"),
            solemn=refused or is_grave(_last_words(info, "assistant")),
        )

    # -- what a subclass may ask ----------------------------------------------------------------------------------

    @property
    def ideal_tokens(self) -> float:
        """The length wanted now: θ's own, moved by drift."""
        drift = self.character.drift
        if drift.ideal_tokens == 1.0:
            return self.user_type.ideal_tokens
        wanted = self.user_type.ideal_tokens * drift.ideal_tokens**self.questions
        return max(1.0, min(wanted, max(drift.limit, self.user_type.ideal_tokens)))

    def has_enough(self, sight: Sight) -> bool:
        """Return whether the rule for leaving holds."""
        leave = self.character.leave
        fee = self.user_type.price_sensitivity * sight.session_price if self.heard.items else 0.0
        return sight.own_total + fee < -leave.total_below or 0 < leave.bad_in_a_row <= self.bad_in_a_row

    def situation(self, sight: Sight, info: Mapping[str, Any]) -> str:
        """Return ``first``, ``next``, ``rephrase`` or ``answer``; a guess in the strategic view (see ``PDetailed``)."""
        if "situation" in info:
            return _SITUATIONS.get(str(info["situation"]), "next")
        if not self.heard.items:
            return "first"
        if sight.last_reply is not None and sight.last_reply.asks:
            return "answer"
        return "rephrase" if sight.exchange > 0.0 else "next"

    # -- the player -----------------------------------------------------------------------------------------------

    def reset(self, seed: int) -> None:
        """Begin a new episode."""
        self.rng = np.random.default_rng(seed)
        self.heard = Heard()
        self.bad_in_a_row = 0
        self.questions = 0
        self._progress = 0.0
        ideal = self.user_type.ideal_tokens
        theta = {"ideal_tokens": round(ideal), "ideal_words": round(ideal / 1.3)} if self.discloses else {}
        self._speaker = Speaker(self.wording, self.rng, theta)

    def act(self, observation: Mapping[str, Any], info: Mapping[str, Any]) -> Any:
        """Return a move's index, or move and words in the text view."""
        if np.shape(observation["observation"])[-1] != ASSIST_LAYOUT.size:
            raise UsageError(
                f"persona {self.name!r} plays the 'assist' games only (observations of {ASSIST_LAYOUT.size} numbers, got "
                f"{np.shape(observation['observation'])[-1]}): take the persona 'random' here"
            )
        mask = observation["action_mask"]
        text_view = "text" in observation
        if text_view and not mask[: len(USER_MOVES)].any():
            return {"move": len(USER_MOVES), "text": ""}  # WAIT
        sight = see(observation)
        self._notice(sight, info)
        move = self.choose(sight, info)
        if move not in USER_MOVES:
            raise UsageError(f"persona {self.name!r}: choose() must return one of the user's moves, got {move!r}")
        if not mask[USER_MOVES.index(move)]:
            move = UserMove("VQ", "none")
        index = USER_MOVES.index(move)
        return {"move": index, "text": self.say(move, info)} if text_view else index

    def act_batch(self, observations: Sequence[Mapping[str, Any]], infos: Sequence[Mapping[str, Any]]) -> list[Any]:
        """Return one action per game; a scripted user keeps one conversation in mind, so one game at a time."""
        if len(observations) > 1:
            raise UsageError("a scripted user follows one conversation: take one policy per game")
        return [self.act(observation, info) for observation, info in zip(observations, infos, strict=True)]

    def _notice(self, sight: Sight, info: Mapping[str, Any]) -> None:
        """Take in the reply before and what it did to the player."""
        if sight.progress > self._progress + 1e-6:
            self.questions += 1
            self._progress = sight.progress
        items = info.get("payoff")
        if not items:
            return
        first = not self.heard.items
        move = sight.last_reply
        tokens = float(LENGTH_TOKENS.get(move.length or "", 0)) if move is not None else 0.0
        tokens = float(info.get("last_reply", {}).get("tokens", tokens))
        fee = self.user_type.price_sensitivity * sight.session_price if first else 0.0
        self.heard = Heard(move=move, tokens=tokens, quality=sight.last_quality, items=dict(items), fee=fee)
        self.bad_in_a_row = self.bad_in_a_row + 1 if self.heard.gain < 0.0 else 0


def _last_words(info: Mapping[str, Any], role: str) -> str:
    """Return the last message of a role; a player's own lines have the role ``assistant``, the other's ``user``."""
    for message in reversed(info.get("messages", ())):
        if message["role"] == role:
            return str(message["content"])
    return ""
