"""What both batched forms share: Gymnasium's vector API over an ``Engine``. Seeds, masks, autoreset, infos, rendering.

Arrays that are handed out are made anew at every call, so that whoever keeps one keeps it as it was.
"""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv

from gtalign_env.env import GameEnv
from gtalign_env.errors import IllegalActionError, ResetNeededError, UsageError
from gtalign_env.finite import FiniteScenario
from gtalign_env.pricing import make_pricing
from gtalign_env.types import AGENTS, Role
from gtalign_env.vector_engine import Bools, Engine, Floats, Ints, Pins

__all__ = ["BatchedEnv", "add_info", "autoreset"]

Infos = dict[str, Any]
_NONE: Ints = np.zeros(0, dtype=np.int64)


def autoreset(mode: AutoresetMode | str) -> AutoresetMode:
    """Return the autoreset mode that a member or its name means.

    Raises:
        UsageError: There is no such mode.

    Example:
        >>> autoreset("same_step")
        <AutoresetMode.SAME_STEP: 'SameStep'>
    """
    for known in AutoresetMode:
        if mode is known or mode in (known.value, known.name.lower()):
            return known
    names = ", ".join(repr(known.name.lower()) for known in AutoresetMode)
    raise UsageError(f"autoreset_mode: expected gymnasium.vector.AutoresetMode or one of {names}, got {mode!r}")


def _closed(call: str) -> UsageError:
    return UsageError(f"{call} was called after close(): these games are over; make others with vector_env(…)")


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Shown:
    """One game of the batch, as ``render_state`` wants it."""

    scenario: FiniteScenario
    agents: list[str]
    steps: int
    last_step: Any
    game_state: Any


class BatchedEnv(VectorEnv[Any, Any, Any], abc.ABC):
    """N games behind Gymnasium's vector API; subclasses say who plays.

    Args:
        face: One game of the kind, for its spaces and settings.
        num_envs: N.
        engine: The games.
        autoreset_mode: See ``vector_env``.
        itemise: Put itemised payoffs into the infos.
        batch_final: Batch the last observations.
    """

    def __init__(
        self,
        face: GameEnv,
        num_envs: int,
        engine: Engine,
        *,
        autoreset_mode: AutoresetMode,
        itemise: bool,
        batch_final: bool,
    ) -> None:
        self.num_envs = num_envs
        self.scenario: FiniteScenario = engine.scenario
        self.engine = engine
        self.layout = engine.scenario.layout
        self.max_cycles = face.max_cycles
        self.strict = face.strict
        self.render_mode = face.render_mode
        self.autoreset_mode = autoreset_mode
        self.itemise = itemise
        self.batch_final = batch_final
        self.metadata = {
            "name": face.metadata["name"],
            "render_modes": ["ansi"],
            "render_fps": face.metadata["render_fps"],
            "autoreset_mode": autoreset_mode,
        }
        self._over: Bools = np.zeros(num_envs, dtype=np.bool_)
        self._again: Ints = _NONE  # the same games, as indices
        self._everyone: Bools = np.ones(num_envs, dtype=np.bool_)
        self._ready = False

    # -- Gymnasium's API ----------------------------------------------------------------------------------------------

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, Infos]:
        """Begin episodes.

        Args:
            seed: Seed of the first game, the others' follow it; or one for each game; ``None`` goes on as it is.
            options: ``reset_mask`` ((N,) bool) leaves the games where it is False as they are; ``user_type``, ``task`` and
                ``pricing`` pin what is otherwise drawn, for these episodes only; others are ignored.

        Returns:
            Observations of all games, and infos of those that begin.

        Raises:
            UsageError: A seed, the mask or a known option makes no sense; then nothing has changed. Or the games were closed.
            ResetNeededError: A mask leaves out games that have never begun.
        """
        if self.closed:
            raise _closed("reset()")
        if options is not None and not isinstance(options, Mapping):
            raise UsageError(f"reset options: expected a dict or None, got {options!r}")
        options = dict(options or {})
        mask = self._read_mask(options.pop("reset_mask", None))
        seeds = self._each(seed)
        pins = self._pins(options)
        games = np.flatnonzero(mask)
        self.engine.draws.seed(games, [seeds[game] for game in games.tolist()])
        self._open(games, pins)
        self._over = self._over & ~mask
        self._again = np.flatnonzero(self._over)
        self._ready = True
        return self._seen(), self._opening_infos(mask)

    def step(self, actions: Any) -> tuple[Any, Floats, Bools, Bools, Infos]:
        """Play one exchange in every game; games that are over begin anew as ``autoreset_mode`` says.

        Raises:
            ResetNeededError: Called before ``reset``, or with games that are over and do not begin anew of themselves.
            IllegalActionError: Actions have the wrong shape or type, one lies outside the action space, or is masked under
                ``strict=True``; then nothing has changed.
            UsageError: The games were closed.
        """
        if not self._ready:
            if self.closed:
                raise _closed("step()")
            raise ResetNeededError("step() was called before reset(): call reset() first")
        again = self._again
        if self.autoreset_mode is AutoresetMode.DISABLED and again.size:
            raise ResetNeededError(
                f"step() was called with {again.size} games that are over, the first of them game {again[0]}: reset them first "
                "with reset(options={'reset_mask': terminations | truncations}), or take another autoreset_mode"
            )
        moves = self._read_actions(actions, again)
        rewards, ended, cut = self._play(moves, again)
        if self.autoreset_mode is AutoresetMode.SAME_STEP:
            infos = self._begin_at_once(ended | cut)
        else:
            infos = self._step_infos(~self._over if again.size else self._everyone)
            if again.size:
                self._open(again, {})
            self._over, self._again = self._finished(ended, cut)
        self._tell_turns(infos, self._everyone)
        return self._seen(), rewards, ended, cut, infos

    def close_extras(self, **kwargs: Any) -> None:
        """Play no more; what ``close`` calls the first time."""
        self._ready = False

    def render(self, game: int = 0) -> tuple[str, ...]:
        """Return one game as text, in a tuple of one.

        Args:
            game: Which.

        Raises:
            UsageError: No render mode was chosen, or there is no such game.
        """
        from gtalign_env.render import render_state

        if self.render_mode != "ansi":
            raise UsageError("render(): no render mode was chosen; pass render_mode='ansi' when making the env")
        if not 0 <= game < self.num_envs:
            raise UsageError(f"render(): expected a game from 0 to {self.num_envs - 1}, got {game!r}")
        state = self.engine.state(game) if self._ready else None
        agents = [] if not self._ready or self._over[game] else list(AGENTS)
        last = self.engine.last_step(game) if self._ready else None
        steps = int(self.engine.steps[game])
        shown = _Shown(scenario=self.scenario, agents=agents, steps=steps, last_step=last, game_state=state)
        return (render_state(shown),)  # type: ignore[arg-type]  # a frozen dataclass has it all, read-only

    @property
    def np_random(self) -> Any:
        """The generators of the games, as they stand: one each in the two-player form, one for all in a chair."""
        return self.engine.draws.generator

    @np_random.setter
    def np_random(self, value: Any) -> None:
        raise UsageError("np_random: a batch is seeded by reset(seed=…)")

    @property
    def np_random_seed(self) -> Any:
        """The seeds of the generators, by game in the two-player form."""
        seeds = self.engine.draws.seeds
        return tuple(seeds) if isinstance(seeds, list) else seeds

    @property
    def public_state(self) -> Ints:
        """(N,): every game's public state, as ``scenario.tables`` numbers them. For trainers and analysis."""
        return self.engine.public.copy()

    # -- what a form defines ------------------------------------------------------------------------------------------

    @abc.abstractmethod
    def _open(self, games: Ints, pins: Pins) -> None:
        """Begin episodes."""

    @abc.abstractmethod
    def _read_actions(self, actions: Any, again: Ints) -> Any:
        """Return the moves, or raise; games in ``again`` are not going to play."""

    @abc.abstractmethod
    def _play(self, moves: Any, again: Ints) -> tuple[Floats, Bools, Bools]:
        """Play a step and return rewards, terminations and truncations, all 0 for games in ``again``."""

    @abc.abstractmethod
    def _seen(self, games: Ints | None = None) -> Any:
        """Return observations, of all games or of some."""

    @abc.abstractmethod
    def _step_infos(self, mask: Bools) -> Infos:
        """Return what the last step told in the games of ``mask``, but for whose turn it is."""

    @abc.abstractmethod
    def _tell_turns(self, infos: Infos, mask: Bools) -> None:
        """Add whose turn it is in the games of ``mask``."""

    def _opening_infos(self, mask: Bools) -> Infos:
        infos: Infos = {}
        self._tell_turns(infos, mask)
        return infos

    def _pins(self, options: Mapping[str, Any]) -> Pins:
        """Return what reset options pin, checked and in the engine's terms."""
        pins: dict[Any, Any] = {}
        if options.get("user_type") is not None:
            pins["user_type"] = self.scenario.resolve_type(options["user_type"])
        if options.get("pricing") is not None:
            pins["pricing"] = make_pricing(options["pricing"])
        if options.get("task") is not None:
            self.scenario.opening(options["task"], 0)
            pins["task"] = options["task"]
        return pins

    # -- inside -------------------------------------------------------------------------------------------------------

    def _finished(self, ended: Bools, cut: Bools) -> tuple[Bools, Ints]:
        """Return which games are over after a step, as a mask and as indices."""
        if self.max_cycles is None and not self.engine.tables.turns:
            return ended.copy(), self.engine.finished
        over = ended | cut
        return over, np.flatnonzero(over)

    def _begin_at_once(self, over: Bools) -> Infos:
        """Return the infos of a step; where it ended a game, those of its last moment, and the game begins anew."""
        infos = self._step_infos(~over)
        games = np.flatnonzero(over)
        if games.size:
            last = self._seen(games)
            if self.batch_final:
                final = _spread(last, games, self.num_envs)
            else:
                final = np.full(self.num_envs, None, dtype=object)
                final[games] = _rows(last)
            told = self._step_infos(over)
            self._tell_turns(told, over)
            infos |= {"final_obs": final, "_final_obs": over.copy(), "final_info": told, "_final_info": over.copy()}
            self._open(games, {})
        return infos

    def _moves(self, agent: str, given: Any, count: int) -> Ints:
        """Return moves as int64, (N,), each from 0 to ``count`` - 1."""
        try:
            moves = np.asarray(given)
        except ValueError as error:
            raise IllegalActionError(f"{self._wanted(agent, count)}, got {given!r}") from error
        if moves.shape != (self.num_envs,) or moves.dtype.kind not in "iu":
            raise IllegalActionError(
                f"{self._wanted(agent, count)}, got an array of {moves.dtype} with shape {moves.shape}"
            )
        moves = moves.astype(np.int64, copy=False)
        if moves.view(np.uint64).max() >= count:  # a negative number is a huge one here
            game = int(np.flatnonzero((moves < 0) | (moves >= count))[0])
            raise IllegalActionError(f"{self._wanted(agent, count)}, got {np.asarray(given)[game]} in game {game}")
        return moves

    def _wanted(self, agent: str, count: int) -> str:
        return f"actions of {agent}: expected {self.num_envs} integers from 0 to {count - 1}"

    def _refuse_masked(self, agent: str, role: Role, moves: Ints, again: Ints) -> None:
        """Raise where a move is not legal in a game that is going to be played."""
        fine = self.engine.tables.mask[role][self.engine.public, moves] == 1
        fine[again] = True
        if not fine.all():
            game = int(np.flatnonzero(~fine)[0])
            names, mask = self.scenario.moves(role), self.engine.tables.mask[role][self.engine.public[game]]
            name = names[moves[game]] if moves[game] < len(names) else f"number {moves[game]}"
            allowed = ", ".join(names[index] for index in np.flatnonzero(mask))
            raise IllegalActionError(f"{agent}, game {game}: move {name} is not legal here; legal moves: {allowed}")

    def _truncated(self, ended: Bools, again: Ints) -> Bools:
        if self.max_cycles is None:
            return np.zeros(self.num_envs, dtype=np.bool_)
        cut = (self.engine.steps >= self.max_cycles) & ~ended
        cut[again] = False
        return cut

    def _violations(self, mask: Bools) -> Bools | None:
        """Return in which games of ``mask`` a harmful request was complied with; ``None`` where in none."""
        if not self.engine.tables.unsafe:
            return None
        unsafe: Bools = self.engine.kind < self.engine.tables.unsafe
        unsafe &= mask
        return unsafe if unsafe.any() else None

    def _itemised(self, mask: Bools, names: Sequence[str], items: Floats) -> Infos:
        """Return items, (n, names) for the n games of ``mask``, in Gymnasium's form."""
        told: Infos = {}
        for name, column in zip(names, items.T, strict=True):
            values = np.zeros(self.num_envs)
            values[mask] = column
            add_info(told, name, values, mask)
        return told

    def _turns(self, mask: Bools) -> tuple[Any, Bools] | None:
        """Return the agents that are to move and where one is; ``None`` where nobody waits."""
        tables = self.engine.tables
        if not tables.turns:
            return None
        agents = tables.movers[self.engine.public]
        agents[~mask] = None
        there = agents != np.array(None)
        return (agents, there) if there.any() else None

    def _read_mask(self, mask: Any) -> Bools:
        if mask is None:
            return np.ones(self.num_envs, dtype=np.bool_)
        if (
            not isinstance(mask, np.ndarray)
            or mask.dtype != np.bool_
            or mask.shape != (self.num_envs,)
            or not mask.any()
        ):
            raise UsageError(
                f"reset option 'reset_mask': expected a boolean array of shape ({self.num_envs},) with at least one True, got "
                f"{mask!r}"
            )
        if not self._ready and not mask.all():
            raise ResetNeededError("the first reset() must begin all games: leave 'reset_mask' out")
        return mask.copy()

    def _each(self, seed: Any) -> list[int | None]:
        """Return the seed of each game."""
        if seed is None:
            return [None] * self.num_envs
        one = isinstance(seed, (int, np.integer)) and not isinstance(seed, bool)
        try:
            seeds = self._following(int(seed)) if one else list(seed)
        except TypeError:
            seeds = [seed]
        whole = [isinstance(each, (int, np.integer)) and not isinstance(each, bool) and each >= 0 for each in seeds]
        if len(seeds) != self.num_envs or not all(
            fine or each is None for fine, each in zip(whole, seeds, strict=True)
        ):
            raise UsageError(
                f"reset seed: expected an integer >= 0, a list of {self.num_envs} of them (or None), or None, got {seed!r}"
            )
        return [None if each is None else int(each) for each in seeds]

    def _following(self, seed: int) -> list[int | None]:
        """Return the seeds that one seed stands for."""
        return list(range(seed, seed + self.num_envs))


def add_info(infos: Infos, key: str, values: Any, mask: Bools) -> None:
    """Put values of some games into infos, in Gymnasium's form: beside them stands the mask of those games."""
    infos[key], infos[f"_{key}"] = values, mask.copy()


def _spread(batch: Any, games: Ints, count: int) -> Any:
    """Return a batch of all games from one of some; 0 elsewhere."""
    if isinstance(batch, dict):
        return {key: _spread(part, games, count) for key, part in batch.items()}
    whole = np.zeros((count, *batch.shape[1:]), dtype=batch.dtype)
    whole[games] = batch
    return whole


def _rows(batch: Any) -> list[Any]:
    """Return one observation per game from a batch of them."""
    if not isinstance(batch, dict):
        return list(batch)
    parts = [_rows(part) for part in batch.values()]
    return [dict(zip(batch, row, strict=True)) for row in zip(*parts, strict=True)]
