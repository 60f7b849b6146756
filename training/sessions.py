"""Any assistant in the chair of a learner: whole sessions by the thousand, opposite a population at one price."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gtalign_env.agents.assistants.bayes import BayesAssistant
from gtalign_env.agents.assistants.trained import TrainedPlayer
from gtalign_env.agents.assistants.trained_history import unsafe_moves
from gtalign_env.errors import UsageError
from gtalign_env.protocols import Policy
from gtalign_env.types import ASSISTANT
from gtalign_env.vector import vector_env
from gtalign_env.vector_chair import VectorChair
from gtalign_env.vector_seats import AssistantSeat

__all__ = ["check_sessions", "play_sessions"]

_GAMES = 2048
_SEED = 2**20
"""Measured sessions have seeds of their own, far from those of training."""
_IN_SLOTS = (BayesAssistant, TrainedPlayer)
"""One object plays many games: the same place in the list is the same game, and an opening forgets the one before."""


def check_sessions(
    assistants: Sequence[Policy],
    scenario: str = "gtalign/Assist-v0",
    *,
    options: Mapping[str, Any] | None = None,
    users: Any = "default",
    pricing: str | None = None,
) -> None:
    """Let assistants sit down opposite a population: what ``play_sessions`` would refuse is refused before the first session.

    Args:
        assistants: Who is to be measured; what they work out in their chair is worked out here (see ``Sitter``).
        scenario: See ``play_sessions``, as the others.
        options: The scenario's own options.
        users: Anything that ``population`` takes.
        pricing: What users pay.

    Raises:
        UsageError: The game is not compiled, or has turns; or somebody does not play it.

    Example:
        >>> from gtalign_env.agents.assistants import make_assistant
        >>> check_sessions([make_assistant("heuristic"), make_assistant("fixed:CQ")], users="concise", pricing="per_token")
        >>> check_sessions([make_assistant("heuristic")], users="concise", pricing="per_token:rat=1")
        Traceback (most recent call last):
        gtalign_env.errors.UsageError: pricing 'per_token': setting 'rat' is unknown: expected rate_in or rate_out
    """
    chair, _ = _open(scenario, 1, options, users, pricing, seed=0)
    for assistant in assistants:
        _Player(assistant, chair, np.random.default_rng(0))


def play_sessions(
    assistant: Policy,
    scenario: str = "gtalign/Assist-v0",
    *,
    options: Mapping[str, Any] | None = None,
    users: Any = "default",
    pricing: str | None = None,
    episodes: int = 20_000,
    seed: int = 0,
    tell: Callable[[int], None] | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Play whole sessions, the same number in every game, so that short ones count no more than long ones.

    Args:
        assistant: Who is measured.
        scenario: A compiled game in which both sides move at once.
        options: The scenario's own options.
        users: Anything that ``population`` takes.
        pricing: What users pay; the scenario's own price when ``None``.
        episodes: At least so many.
        seed: Equal seeds give equal sessions.
        tell: Told how many sessions are through, now and then.

    Returns:
        Returns (episodes, 2) of user and assistant; and (episodes,) whether the assistant complied with harm.

    Raises:
        UsageError: The game is not compiled, or has turns; or somebody does not play it.

    Example:
        >>> from gtalign_env.agents.assistants import make_assistant
        >>> returns, violations = play_sessions(make_assistant("heuristic"), users="concise", episodes=50)
        >>> returns.shape, int(violations.sum())
        ((50, 2), 0)
    """
    games = min(_GAMES, episodes)
    chair, seen = _open(scenario, games, options, users, pricing, seed=_SEED + seed)
    player = _Player(assistant, chair, np.random.default_rng([_SEED, seed]))
    unsafe = unsafe_moves(chair.scenario)
    running, harmed = np.zeros((games, 2)), np.zeros(games, dtype=bool)
    left = np.full(games, math.ceil(episodes / games))
    returns, violations = [], []
    while left.any():
        moves = player.moves(seen)
        harmed |= unsafe[chair.public_state, moves]
        seen, _, ended, cut, _ = chair.step(moves)
        running += chair.payoffs
        over = ended | cut
        counted = over & (left > 0)
        returns.append(running[counted])
        violations.append(harmed[counted])
        left -= counted
        running[over], harmed[over] = 0.0, False
        player.begin(np.flatnonzero(over))
        if tell is not None:
            tell(sum(map(len, returns)))
    return np.concatenate(returns), np.concatenate(violations)


def _open(
    scenario: str, games: int, options: Mapping[str, Any] | None, users: Any, pricing: str | None, *, seed: int
) -> tuple[VectorChair, Any]:
    """Return the games, and what the assistant sees in them first."""
    given: dict[str, Any] = {"autoreset_mode": "same_step", "batch_final": True, **(options or {})}
    if pricing is not None:
        given["pricings"] = [pricing]
    chair = vector_env(scenario, games, agent=ASSISTANT, users=users, **given)
    assert isinstance(chair, VectorChair)
    seen, infos = chair.reset(seed=seed)
    if "to_move" in infos:
        raise UsageError(
            f"scenario {chair.scenario.name!r} has turns: expected a game in which both sides move at once"
        )
    return chair, seen


class _Player:
    """An assistant at many games.

    Args:
        assistant: The policy.
        chair: The games, which have begun.
        rng: Seeds its copies.
    """

    def __init__(self, assistant: Policy, chair: VectorChair, rng: np.random.Generator) -> None:
        self._assistant, self._rng = assistant, rng
        self._everyone = np.arange(chair.num_envs)
        self._seat: AssistantSeat | None = None
        if isinstance(assistant, _IN_SLOTS):
            assistant.sit(chair.scenario, "assistant")
            assistant.reset(int(rng.integers(2**31)))
        else:
            self._seat = AssistantSeat(chair.engine, assistant)
            self.begin(self._everyone)

    def begin(self, games: NDArray[np.int64]) -> None:
        """Be told which games have begun anew."""
        if self._seat is not None:
            self._seat.begin(games, self._rng, {})

    def moves(self, seen: Mapping[str, Any]) -> NDArray[np.int64]:
        """Return moves, (N,)."""
        if self._seat is not None:
            return self._seat.act(self._everyone, self._rng)
        assert isinstance(self._assistant, _IN_SLOTS)
        pairs = zip(seen["observation"], seen["action_mask"], strict=True)
        rows = [{"observation": vector, "action_mask": mask} for vector, mask in pairs]
        return np.array(self._assistant.act_batch(rows, [{}] * len(rows)), dtype=np.int64)
