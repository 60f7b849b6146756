"""Thousands of games at once, in NumPy, behind Gymnasium's vector API.

``vector_env("gtalign/Assist-v0", 4096)`` plays the games that ``parallel_env`` plays, by the same tables, and with the same seeds
and actions it returns the same numbers to the last bit. ``VectorGame`` takes both players' actions; ``VectorChair``
(``agent="assistant_0"`` or ``"user_0"``) seats one learner opposite a population of personas or an assistant.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from gymnasium.spaces import Dict
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv
from gymnasium.vector.utils import batch_space

from gtalign_env.env import ROLES, GameEnv
from gtalign_env.errors import IllegalActionError, UsageError
from gtalign_env.finite import FiniteScenario
from gtalign_env.pricing import make_pricing
from gtalign_env.protocols import PricingPolicy, Scenario
from gtalign_env.registration import make_scenario
from gtalign_env.single_agent import assistant_env, user_env
from gtalign_env.types import AGENTS, ASSISTANT, USER
from gtalign_env.vector_base import BatchedEnv, Infos, add_info, autoreset
from gtalign_env.vector_chair import VectorChair
from gtalign_env.vector_draws import OwnStreams
from gtalign_env.vector_engine import Bools, Engine, Floats, Ints, Pins
from gtalign_env.vector_seats import seat_assistant, seat_users
from gtalign_env.vector_tables import compiled

__all__ = ["VectorChair", "VectorGame", "assistant_vector_env", "user_vector_env", "vector_env"]


class VectorGame(BatchedEnv):
    """N two-player games: both players' actions in, both payoffs out.

    Observation: ``Dict`` by agent of what ``GameEnv`` shows, batched: ``observation`` (N, F) float32, ``action_mask`` (N, W)
    int8.

    Action: ``Dict`` by agent of (N,) integers from 0 to W - 1.

    Reward: (N, 2) float64, each player's own payoff in utils, the columns in the order of ``AGENTS``: the user's first. Wrappers
    that add up one number per game want a ``VectorChair``.

    Infos: by agent, in Gymnasium's form (every key has a mask ``_key``): ``illegal_move``, ``violation`` where there was one,
    ``to_move`` in games with turns, and ``payoff`` with ``itemise=True``.

    Game i is seeded as ``parallel_env().reset(seed=seed + i)`` is, has a stream of its own, and goes on with it when it begins
    anew.

    Args:
        scenario: A compiled game.
        num_envs: N.
        pricings: Prices of which each episode draws one (with one more draw than ``parallel_env`` makes).
        max_cycles: Time limit in steps.
        autoreset_mode: What happens to a game that is over.
        strict: Raise on masked moves.
        itemise: Put itemised payoffs into the infos.
        batch_final: See ``vector_env``.
        render_mode: ``"ansi"`` or ``None``.

    Example:
        >>> games = vector_env("assist", 3)
        >>> observations, infos = games.reset(seed=0)
        >>> observations["assistant_0"]["observation"].shape
        (3, 41)
        >>> _, rewards, *_ = games.step({"user_0": np.array([5, 5, 5]), "assistant_0": np.array([0, 1, 6])})
        >>> rewards.shape
        (3, 2)
    """

    def __init__(
        self,
        scenario: FiniteScenario,
        num_envs: int,
        *,
        pricings: Sequence[PricingPolicy] = (),
        max_cycles: int | None = None,
        autoreset_mode: AutoresetMode = AutoresetMode.NEXT_STEP,
        strict: bool = False,
        itemise: bool = False,
        batch_final: bool = False,
        render_mode: str | None = None,
    ) -> None:
        face = GameEnv(scenario, max_cycles=max_cycles, strict=strict, render_mode=render_mode)
        engine = Engine(scenario, num_envs, OwnStreams(num_envs), ("user", "assistant"), pricings)
        super().__init__(
            face, num_envs, engine, autoreset_mode=autoreset_mode, itemise=itemise, batch_final=batch_final
        )
        self.single_observation_space = Dict({agent: face.observation_space(agent) for agent in AGENTS})
        self.single_action_space = Dict({agent: face.action_space(agent) for agent in AGENTS})
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._width = engine.tables.width

    def _open(self, games: Ints, pins: Pins) -> None:
        self.engine.begin(games, pins)

    def _read_actions(self, actions: Any, again: Ints) -> tuple[Ints, Ints]:
        if not isinstance(actions, Mapping) or set(actions) != set(AGENTS):
            got = sorted(map(str, actions)) if isinstance(actions, Mapping) else type(actions).__name__
            raise IllegalActionError(f"actions: expected a dict with exactly {USER!r} and {ASSISTANT!r}, got {got}")
        user, assistant = (self._moves(agent, actions[agent], self._width) for agent in AGENTS)
        if self.strict:
            for agent, moves in zip(AGENTS, (user, assistant), strict=True):
                self._refuse_masked(agent, ROLES[agent], moves, again)
        return user, assistant

    def _play(self, moves: tuple[Ints, Ints], again: Ints) -> tuple[Floats, Bools, Bools]:
        payoffs, ended = self.engine.advance(*moves, again)
        return payoffs, ended, self._truncated(ended, again)

    def _seen(self, games: Ints | None = None) -> dict[str, Any]:
        return dict(zip(AGENTS, self.engine.observe(("user", "assistant"), self._width, games), strict=True))

    def _step_infos(self, mask: Bools) -> Infos:
        if mask is not self._everyone and not mask.any():
            return {agent: {} for agent in AGENTS}
        infos: Infos = {
            agent: {"illegal_move": illegal & mask, "_illegal_move": mask.copy()}
            for agent, illegal in zip(AGENTS, self.engine.illegal, strict=True)
        }
        violations = self._violations(mask)
        if violations is not None:
            for agent in AGENTS:
                add_info(infos[agent], "violation", violations.copy(), violations)
        if self.itemise:
            games = np.flatnonzero(mask)
            items = self.engine.items(games, self.engine.public[games] == self.engine.tables.terminal)
            for agent, names, values in zip(AGENTS, self.engine.item_names, items, strict=True):
                add_info(infos[agent], "payoff", self._itemised(mask, names, values), mask)
        return infos

    def _tell_turns(self, infos: Infos, mask: Bools) -> None:
        turns = self._turns(mask)
        for agent in AGENTS:
            told = infos.setdefault(agent, {})
            infos[f"_{agent}"] = mask.copy()
            if turns is not None:
                told["to_move"], told["_to_move"] = turns[0].copy(), turns[1].copy()


def vector_env(
    scenario: str | Scenario = "gtalign/Assist-v0",
    num_envs: int = 1,
    *,
    agent: str | None = None,
    users: Any = None,
    assistant: Any = None,
    pricings: Sequence[str | PricingPolicy] | None = None,
    max_cycles: int | None = None,
    autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
    share_payoffs: bool = False,
    strict: bool = False,
    itemise: bool = False,
    batch_final: bool = False,
    render_mode: str | None = None,
    **options: Any,
) -> BatchedEnv:
    """Make many games that are stepped together.

    Args:
        scenario: A compiled game, as ``parallel_env`` takes it.
        num_envs: N, how many games.
        agent: ``None`` for both players (``VectorGame``); ``"assistant_0"`` or ``"user_0"`` for one learner (``VectorChair``).
        users: For the assistant's chair who sits opposite: a persona, a population's name, or anything that
            ``gtalign_env.agents.users.population`` takes. Else the scenario's own option, its population of types.
        assistant: For the user's chair who sits opposite: a policy, or anything that
            ``gtalign_env.agents.assistants.make_assistant`` takes; ``"heuristic"`` when ``None``.
        pricings: Prices of which each episode draws one, all alike likely; the scenario's ``pricing`` when ``None``.
        max_cycles: Time limit in steps.
        autoreset_mode: Gymnasium's ``AutoresetMode`` or its name: ``"next_step"`` (a game that is over begins anew at the next
            step, whose action it ignores), ``"same_step"`` (at once; ``infos["final_obs"]`` has the last observation) or
            ``"disabled"`` (``reset`` with a ``reset_mask``).
        share_payoffs: One learner only: put the other side's payoff into ``infos["other_reward"]``. It depends on θ: for
            objectives, not for policies.
        strict: Raise on masked moves instead of treating them as no-ops.
        itemise: Put itemised payoffs into the infos, at the cost of some time.
        batch_final: With ``"same_step"``, ``infos["final_obs"]`` is a batch like every other (0 in games that go on), which is
            much quicker to make than Gymnasium's array of single observations.
        render_mode: ``"ansi"`` or ``None``.
        **options: The scenario's own options.

    Raises:
        UsageError: An option is unknown or wrong, or the scenario is not compiled into tables.

    Example:
        >>> vector_env("assist", 16, agent="assistant_0", users="concise=2,detailed").single_action_space
        Discrete(8)
    """
    if isinstance(num_envs, bool) or not isinstance(num_envs, (int, np.integer)) or num_envs < 1:
        raise UsageError(f"num_envs: expected an integer >= 1, got {num_envs!r}")
    if agent is not None and agent not in ROLES:
        raise UsageError(f"agent: expected {USER!r}, {ASSISTANT!r} or None for both, got {agent!r}")
    if assistant is not None and agent != USER:
        raise UsageError(f"assistant: only for agent={USER!r}; here nobody else sits in the assistant's chair")
    if share_payoffs and agent is None:
        raise UsageError("share_payoffs: only for one learner; with both players the rewards are both payoffs")
    if agent != ASSISTANT and users is not None and users != "default":
        options["users"] = users
    if isinstance(pricings, str) or (pricings is not None and not list(pricings)):
        raise UsageError(f"pricings: expected a list of pricing policies, got {pricings!r}")
    game = compiled(make_scenario(scenario, **options))
    prices = tuple(make_pricing(price) for price in pricings or ())
    shared: dict[str, Any] = {
        "max_cycles": max_cycles,
        "autoreset_mode": autoreset(autoreset_mode),
        "strict": strict,
        "itemise": itemise,
        "batch_final": batch_final,
        "render_mode": render_mode,
    }
    if agent is None:
        return VectorGame(game, int(num_envs), pricings=prices, **shared)
    if agent == ASSISTANT:
        seat = seat_users(game, users, int(num_envs), prices)
    else:
        seat = seat_assistant(game, assistant, int(num_envs), prices)
    return VectorChair(seat, agent, share_payoffs=share_payoffs, **shared)


def assistant_vector_env(num_envs: int = 1, **options: Any) -> VectorEnv[Any, Any, Any]:
    """Make the assistant's chair in many games: what ``gymnasium.make_vec("gtalign/Assistant-v0")`` calls.

    Games that are not compiled into tables, such as the text view, are stepped one by one in a ``SyncVectorEnv``.

    Args:
        num_envs: How many games.
        **options: Those of ``vector_env``, or where games are stepped one by one, of ``assistant_env``.

    Example:
        >>> assistant_vector_env(2, users="concise").num_envs
        2
    """
    return _one_chair(ASSISTANT, assistant_env, num_envs, options)


def user_vector_env(num_envs: int = 1, **options: Any) -> VectorEnv[Any, Any, Any]:
    """Make the user's chair in many games: what ``gymnasium.make_vec("gtalign/User-v0")`` calls (see ``assistant_vector_env``).

    Example:
        >>> user_vector_env(2, assistant="fixed:DA_short").single_action_space
        Discrete(11)
    """
    return _one_chair(USER, user_env, num_envs, options)


def _one_chair(
    agent: str, make: Callable[..., Any], num_envs: int, options: dict[str, Any]
) -> VectorEnv[Any, Any, Any]:
    scenario = options.pop("scenario", "gtalign/Assist-v0")
    shell = set(inspect.signature(vector_env).parameters)
    if agent == USER and options.get("users") is not None:
        shell.remove("users")  # its population of types is the scenario's own option
    rules = {name: value for name, value in options.items() if name not in shell and name != "reveal"}
    game = make_scenario(scenario, **rules)
    if isinstance(game, FiniteScenario):
        own = {name: value for name, value in options.items() if name not in rules}
        return vector_env(game, num_envs, agent=agent, **own)
    mode = autoreset(options.pop("autoreset_mode", AutoresetMode.NEXT_STEP))
    return SyncVectorEnv([lambda: make(scenario, **options)] * num_envs, autoreset_mode=mode)
