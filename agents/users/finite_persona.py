"""Personas of finite memory, as classes: what they say by what they remember, played and solved from the same two methods."""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np

from gtalign_env.agents.users.automaton import check_game, drawn_types
from gtalign_env.agents.users.character import Heard
from gtalign_env.agents.users.scripted import ScriptedPersona
from gtalign_env.errors import UsageError
from gtalign_env.finite import FiniteScenario, FiniteState
from gtalign_env.kernels import UserKernel
from gtalign_env.protocols import PricingPolicy
from gtalign_env.sight import Sight, see
from gtalign_env.tabulate import Exchange, Situation, checked_chances, tabulate
from gtalign_env.types import ASSISTANT_MOVES, LENGTH_TOKENS, USER_MOVES, UserMove, UserType

__all__ = ["FinitePersona"]

_NAMES = tuple(move.name for move in USER_MOVES)
_PLAYED = ("_notice", "act", "choose", "policy", "reset", "sample_type")


class FinitePersona(ScriptedPersona):
    """A scripted persona whose moves depend on the situation and on a memory of finitely many values.

    A subclass says what it does with two methods, ``chances`` and ``remember``. They must depend on what they are given and on
    ``user_type`` alone: then it can be solved against (``gtalign solve --optimal``), played in batches, and played as any other
    persona, always with the same behaviour.

    Attributes:
        start: What it remembers before the first reply.

    Example:
        >>> class Sulky(FinitePersona):
        ...     name = "sulky"
        ...     start = "content"
        ...
        ...     def chances(self, memory, sight):
        ...         return {"DQ_none": 1.0} if memory == "content" else {"VQ_off_target": 0.75, "VQ_none": 0.25}
        ...
        ...     def remember(self, memory, heard, sight):
        ...         return "content" if heard.quality > 0.5 else "hurt"
        >>> from gtalign_env.registration import make_scenario
        >>> scenario = make_scenario("assist")
        >>> [(kernel.name, kernel.memories) for kernel in Sulky().kernels(scenario, scenario.pricing)]
        [('sulky', 2)]
    """

    start: Hashable = None
    _mind: _Mind | None = None

    # -- what a subclass overrides --------------------------------------------------------------------------------

    def chances(self, memory: Any, sight: Sight) -> Mapping[Any, float]:
        """Return the chance of each move, by its name or as a ``UserMove``; they sum to 1.

        Args:
            memory: What it remembers.
            sight: What it sees now; all that is not of the moment (the last moves, the last quality, its total) is blank.
        """
        return {"VQ_none": 0.5, "DQ_none": 0.5}

    def remember(self, memory: Any, heard: Heard, sight: Sight) -> Any:
        """Return the memory after an exchange: a number, a word, a tuple, or whatever else hashes.

        Args:
            memory: What it remembered before.
            heard: The reply, and the utils of the exchange.
            sight: What it sees now, as in ``chances``.
        """
        return memory

    # -- the player -----------------------------------------------------------------------------------------------

    def reset(self, seed: int) -> None:
        """Begin a new episode."""
        super().reset(seed)
        self._memory: Any = self.start
        self._mind = None

    def choose(self, sight: Sight, info: Mapping[str, Any]) -> UserMove:
        """Draw a move by its chances."""
        row = self._asked().chances(self._memory, sight, self.questions)
        bounds = np.cumsum(list(row.values()))
        at = int(np.searchsorted(bounds, self.rng.random() * bounds[-1], side="right"))
        return UserMove.parse(list(row)[at])

    def _notice(self, sight: Sight, info: Mapping[str, Any]) -> None:
        """Take in the reply before, and remember of it what it remembers."""
        super()._notice(sight, info)
        if info.get("payoff"):
            self._memory = self._asked().remember(self._memory, self.heard, sight, self.questions)

    def _player(self, user_type: UserType) -> FinitePersona:
        player = self.policy(user_type)
        assert isinstance(player, FinitePersona)
        return player

    def _asked(self) -> _Mind:
        if self._mind is None:
            self._mind = _Mind(self._player(self.user_type))
        return self._mind

    # -- the same as a kernel -------------------------------------------------------------------------------------

    def kernels(self, scenario: FiniteScenario, pricing: PricingPolicy) -> tuple[UserKernel, ...]:
        """Return what it does in a compiled ``assist`` game, exactly: one user kernel per θ that it may draw.

        Raises:
            UsageError: It has too many memories, or plays by more code of its own, or the game is another one.
        """
        own = [name for name in _PLAYED if getattr(type(self), name) is not getattr(FinitePersona, name)]
        if own:
            raise UsageError(
                f"persona {self.name!r} has code of its own in {', '.join(own)}, so 'chances' and 'remember' do not tell what it "
                "does: leave these methods as they are, or play against it without solving"
            )
        check_game(self, scenario)
        return tuple(
            _kernel(_Mind(self._player(theta)), name, share, scenario, pricing)
            for theta, (name, share) in drawn_types(self).items()
        )


class _Mind:
    """A persona to whom nobody has spoken, asked what it does: so it cannot look at what it should have forgotten."""

    def __init__(self, persona: FinitePersona) -> None:
        self.persona = persona

    def chances(self, memory: Any, sight: Sight, questions: int) -> dict[str, float]:
        """Return the chance of each move that it may make, when so many questions are closed."""
        self.persona.questions = questions
        now = _of_now(sight)
        where = f"persona {self.persona.name!r}: chances with the memory {memory!r}, the question {now.kind} and {now.clarity}"
        row = checked_chances(where, self.persona.chances(memory, now), _NAMES)
        return {move: chance for move, chance in zip(_NAMES, row.tolist(), strict=True) if chance > 0.0}

    def remember(self, memory: Any, heard: Heard, sight: Sight, questions: int) -> Any:
        """Return the memory after an exchange, when so many questions are closed."""
        self.persona.questions = questions
        return self.persona.remember(memory, heard, _of_now(sight))


def _kernel(mind: _Mind, name: str, share: float, scenario: FiniteScenario, pricing: PricingPolicy) -> UserKernel:
    """Return one type's kernel."""
    theta = mind.persona.user_type
    ledger = scenario.ledger(theta, pricing)
    sights = [
        see({"observation": scenario.observe(FiniteState(state, ledger), "user")})
        for state in range(scenario.tables.terminal)
    ]

    def chances(memory: Any, now: Situation) -> dict[str, float]:
        row = mind.chances(memory, sights[now.state], _question(now))
        legal = {move: chance for move, chance in row.items() if move in now.legal}
        illegal = sum(chance for move, chance in row.items() if move not in legal)
        return legal | {"VQ_none": legal.get("VQ_none", 0.0) + illegal}  # as ``act`` has it

    def remember(memory: Any, exchange: Exchange) -> Any:
        act, sight = exchange.assistant_act, sights[exchange.after.state]
        first = exchange.before.public["question"] == exchange.before.public["exchange"] == "0"
        move = ASSISTANT_MOVES[act] if act < len(ASSISTANT_MOVES) else None
        heard = Heard(
            move=move,
            tokens=float(LENGTH_TOKENS.get(move.length or "", 0)) if move is not None else 0.0,
            quality=exchange.quality,
            items=exchange.items,
            fee=theta.price_sensitivity * sight.session_price if first else 0.0,
        )
        return mind.remember(memory, heard, sight, _question(exchange.after))

    start = mind.persona.start
    return tabulate(name, scenario, chances, remember, start=start, user_type=theta, pricing=pricing, share=share)


def _question(now: Situation) -> int:
    """Return how many questions are closed."""
    return int(now.public["question"])


def _of_now(sight: Sight) -> Sight:
    """Return a sight without what is of before."""
    return dataclasses.replace(sight, last_reply=None, last_user=None, last_quality=0.0, own_total=0.0)
