"""One chair in many games: a learner, and opposite it a population of personas or an assistant."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from gymnasium.spaces import Dict, Discrete, MultiBinary
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space

from gtalign_env.crowd import Crowd
from gtalign_env.env import ROLES, GameEnv
from gtalign_env.types import AGENTS, USER
from gtalign_env.vector_base import BatchedEnv, Infos, add_info
from gtalign_env.vector_engine import Bools, Floats, Ints, Pins
from gtalign_env.vector_seats import CrowdSeat, Seat

__all__ = ["VectorChair"]


class VectorChair(BatchedEnv):
    """N games from one player's chair; the other player is part of the dynamics.

    Observation, action and reward are those of ``SingleAgentEnv``, batched: ``Dict(observation, action_mask)``, (N,) integers,
    and (N,) float64. One generator serves all games, so a game's numbers depend on its neighbours; equal seeds and actions give
    equal numbers. In games with turns one step goes on until the learner is to move again or the game is over.

    Infos, in Gymnasium's form: ``illegal_move``, ``violation``, ``to_move`` in games with turns, ``other_reward`` with
    ``share_payoffs=True``, and ``payoff`` (the learner's own items) with ``itemise=True``.

    Args:
        seat: Who sits opposite, and the games.
        agent: The learner's chair.
        share_payoffs: Put the other side's payoff into ``infos["other_reward"]``.
        max_cycles: Time limit in steps of the game.
        autoreset_mode: What happens to a game that is over.
        strict: Raise on masked moves.
        itemise: Put the learner's items into the infos.
        batch_final: See ``vector_env``.
        render_mode: ``"ansi"`` or ``None``.

    Attributes:
        payoffs: (N, 2) both payoffs of the last step, in the order of ``AGENTS``; for trainers and analysis, never for policies.

    Example:
        >>> from gtalign_env.vector import vector_env
        >>> chairs = vector_env("assist", 3, agent="assistant_0", users="concise")
        >>> observations, infos = chairs.reset(seed=0)
        >>> observations["action_mask"].shape
        (3, 8)
        >>> _, rewards, terminations, truncations, infos = chairs.step(np.array([0, 1, 6]))
        >>> rewards.shape, chairs.payoffs.shape
        ((3,), (3, 2))
    """

    def __init__(
        self,
        seat: Seat,
        agent: str,
        *,
        share_payoffs: bool = False,
        max_cycles: int | None = None,
        autoreset_mode: AutoresetMode = AutoresetMode.NEXT_STEP,
        strict: bool = False,
        itemise: bool = False,
        batch_final: bool = False,
        render_mode: str | None = None,
    ) -> None:
        engine = seat.engine
        face = GameEnv(engine.scenario, max_cycles=max_cycles, strict=strict, render_mode=render_mode)
        super().__init__(
            face, engine.games, engine, autoreset_mode=autoreset_mode, itemise=itemise, batch_final=batch_final
        )
        self.agent = agent
        self.share_payoffs = share_payoffs
        self.seat = seat
        self._role = ROLES[agent]
        self._column = AGENTS.index(agent)
        moves = engine.scenario.moves(self._role)
        self._width = len(moves)
        self._wait = moves.index("WAIT") if "WAIT" in moves else 0
        parts = dict(face.observation_space(agent).spaces)
        parts["action_mask"] = MultiBinary(self._width)
        self.single_observation_space = Dict(parts)
        self.single_action_space = Discrete(self._width)
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self.payoffs: Floats = np.zeros((self.num_envs, 2))
        names = engine.item_names[self._column]
        self._items: Floats = np.zeros((self.num_envs, len(names)))
        self._illegal: Bools = np.zeros(self.num_envs, dtype=np.bool_)
        # In games with turns the other player may open: what that led to is told with the learner's first step.
        self._owed: Floats = np.zeros((self.num_envs, 2))
        self._owed_items: Floats = np.zeros_like(self._items)
        self._opened_ended: Bools = np.zeros(self.num_envs, dtype=np.bool_)
        self._opened_cut: Bools = np.zeros(self.num_envs, dtype=np.bool_)

    @property
    def _rng(self) -> np.random.Generator:
        generator = self.engine.draws.generator
        assert isinstance(generator, np.random.Generator)
        return generator

    @property
    def crowd(self) -> Crowd | None:
        """The users, where they are played as kernels: ``crowd.kind`` tells who sits where. Never for policies."""
        return self.seat.crowd if isinstance(self.seat, CrowdSeat) else None

    # -- what ``BatchedEnv`` asks for ---------------------------------------------------------------------------------

    def _pins(self, options: Mapping[str, Any]) -> Pins:
        pins = super()._pins(options)
        self.seat.check(pins)
        return pins

    def _following(self, seed: int) -> list[int | None]:
        return [seed] * self.num_envs  # one generator serves all games

    def _open(self, games: Ints, pins: Pins) -> None:
        slots = self.seat.begin(games, self._rng, pins)
        self.engine.begin(games, pins, slots)
        if self.engine.tables.turns:
            self._owed[games], self._owed_items[games] = 0.0, 0.0
            self._opened_ended[games] = self._opened_cut[games] = False
            waiting = np.zeros(self.num_envs, dtype=np.bool_)
            waiting[games] = True
            waits = np.full(self.num_envs, self._wait, dtype=np.int64)
            while (waiting := waiting & self._other_moves()).any():
                ended, cut = self._exchange(waits, waiting, self._owed, self._owed_items)
                self._opened_ended |= ended
                self._opened_cut |= cut
                waiting &= ~(ended | cut)

    def _read_actions(self, actions: Any, again: Ints) -> Ints:
        moves = self._moves(self.agent, actions, self._width)
        if self.strict:
            over = np.flatnonzero(self._opened_ended | self._opened_cut)
            self._refuse_masked(self.agent, self._role, moves, np.union1d(again, over))
        return moves

    def _play(self, moves: Ints, again: Ints) -> tuple[Floats, Bools, Bools]:
        if self.engine.tables.turns:
            return self._play_turns(moves, again)
        games = np.arange(self.num_envs) if not again.size else np.flatnonzero(~self._over)
        others = self.seat.act(games, self._rng)
        user, assistant = (moves, others) if self.agent == USER else (others, moves)
        self.payoffs, ended = self.engine.advance(user, assistant, again)
        self.seat.follow(None)
        self._illegal = self.engine.illegal[self._column]
        if self.itemise:
            self._items[games] = self.engine.items(games, ended[games])[self._column]
        return self.payoffs[:, self._column].copy(), ended, self._truncated(ended, again)

    def _seen(self, games: Ints | None = None) -> dict[str, Any]:
        return self.engine.observe((self._role,), self._width, games)[0]

    def _step_infos(self, mask: Bools) -> Infos:
        infos: Infos = {}
        if mask.any():
            add_info(infos, "illegal_move", self._illegal & mask, mask)
        violations = self._violations(mask)
        if violations is not None:
            add_info(infos, "violation", violations, violations)
        if infos and self.itemise:
            names = self.engine.item_names[self._column]
            add_info(infos, "payoff", self._itemised(mask, names, self._items[mask]), mask)
        if infos and self.share_payoffs:
            add_info(infos, "other_reward", np.where(mask, self.payoffs[:, 1 - self._column], 0.0), mask)
        return infos

    def _tell_turns(self, infos: Infos, mask: Bools) -> None:
        turns = self._turns(mask)
        if turns is not None:
            infos["to_move"], infos["_to_move"] = turns

    # -- games with turns ---------------------------------------------------------------------------------------------

    def _play_turns(self, moves: Ints, again: Ints) -> tuple[Floats, Bools, Bools]:
        """Play until the learner is to move again, or the game is over, in every game."""
        active = np.ones(self.num_envs, dtype=np.bool_)
        active[again] = False
        ended, cut = self._opened_ended & active, self._opened_cut & active
        self.payoffs = np.where(active[:, None], self._owed, 0.0)
        self._items = np.where(active[:, None], self._owed_items, 0.0)
        self._owed[active], self._owed_items[active] = 0.0, 0.0
        self._opened_ended &= ~active
        self._opened_cut &= ~active
        self._illegal = np.zeros(self.num_envs, dtype=np.bool_)
        playing = active & ~(ended | cut)
        first = playing.copy()
        while playing.any():
            over, late = self._exchange(moves, playing, self.payoffs, self._items)
            self._illegal |= first & self.engine.illegal[self._column]
            first[:] = False
            moves = np.full(self.num_envs, self._wait, dtype=np.int64)
            ended |= over
            cut |= late
            playing &= ~(over | late) & self._other_moves()
        return self.payoffs[:, self._column].copy(), ended, cut

    def _exchange(self, own: Ints, playing: Bools, payoffs: Floats, items: Floats) -> tuple[Bools, Bools]:
        """Play one exchange in some games, adding both payoffs and the learner's items; return which are over, and how."""
        games = np.flatnonzero(playing)
        others = self.seat.act(games, self._rng)
        user, assistant = (own, others) if self.agent == USER else (others, own)
        gained, ended = self.engine.advance_some(playing, user, assistant)
        self.seat.follow(games)
        payoffs += gained
        if self.itemise:
            items[games] += self.engine.items(games, ended[games])[self._column]
        return ended, self._truncated(ended, np.flatnonzero(~playing))

    def _other_moves(self) -> Bools:
        """Return where the learner has to wait, (N,)."""
        movers = self.engine.tables.movers[self.engine.public]
        waits: Bools = (movers != np.array(None)) & (movers != self.agent)
        return waits
