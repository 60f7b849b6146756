"""Single-agent views: one chair for a learner, any policy in the other, behind Gymnasium's API.

``gymnasium.make("gtalign_env:gtalign/Assistant-v0", scenario=…, users=…, pricing=…)`` seats the learner as the assistant and a
population of personas as its users; ``gtalign/User-v0`` seats it as the user opposite any assistant.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, SupportsFloat

import gymnasium
import numpy as np
from gymnasium.spaces import Dict, Discrete, MultiBinary

from gtalign_env.env import ROLES, GameEnv, parallel_env
from gtalign_env.errors import IllegalActionError, ResetNeededError, UsageError
from gtalign_env.play import ask, sit_down, type_brought, waiting_action
from gtalign_env.protocols import Persona, Policy, Scenario
from gtalign_env.registration import load
from gtalign_env.spaces import SpeechAct
from gtalign_env.types import ASSISTANT, USER

__all__ = ["SingleAgentEnv", "assistant_env", "user_env"]

_MAKE_POPULATION = "gtalign_env.agents.users:population"
_MAKE_ASSISTANT = "gtalign_env.agents.assistants:make_assistant"

OtherChair = Callable[[np.random.Generator], tuple[Policy, dict[str, Any]]]
"""Draws who sits opposite: a policy, and the reset options that go with it."""


class _Opening(NamedTuple):
    """What happened between ``reset`` and the learner's first turn; it is told with the first step."""

    totals: dict[str, float]
    items: dict[str, float]
    terminated: bool
    truncated: bool


class SingleAgentEnv(gymnasium.Env[dict[str, Any], Any]):
    """One player's view of a two-payoff game; the other player is part of the dynamics.

    Observation and action are those of ``GameEnv`` for the learner's agent, cut to the learner's own moves. Reward is the
    learner's own payoff; ``info["payoff"]`` itemises it. The other side's payoff is in ``info["other_reward"]`` only with
    ``share_payoffs=True``, for objectives that need both (it depends on θ, so a policy must not see it). In games with turns,
    one step goes on until the learner is to move again or the game is over, and rewards on the way are added up.

    Args:
        game: The two-player environment (this view becomes its only user).
        agent: ``"assistant_0"`` or ``"user_0"``: the learner's chair.
        other: Draws who sits opposite, once per episode.
        share_payoffs: Put the other side's payoff into ``info["other_reward"]``.

    Example:
        >>> env = gymnasium.make("gtalign_env:gtalign/Assistant-v0", users="concise")
        >>> observation, info = env.reset(seed=0)
        >>> observation["action_mask"].shape
        (8,)
    """

    def __init__(self, game: GameEnv, agent: str, other: OtherChair, *, share_payoffs: bool = False) -> None:
        if agent not in ROLES:
            raise UsageError(f"agent: expected {USER!r} or {ASSISTANT!r}, got {agent!r}")
        self.game = game
        self.agent = agent
        self.other_agent = USER if agent == ASSISTANT else ASSISTANT
        self.share_payoffs = share_payoffs
        self.metadata = {"render_modes": list(game.metadata["render_modes"]), "render_fps": game.metadata["render_fps"]}
        self.render_mode = game.render_mode
        self.layout = game.layout
        self._other = other
        self._policy: Policy | None = None
        self._seen: Any = None
        self._infos: Any = None
        self._opening: _Opening | None = None
        self._width = len(game.scenario.moves(ROLES[agent]))
        parts = dict(game.observation_space(agent).spaces)
        parts["action_mask"] = MultiBinary(self._width)
        self.observation_space = Dict(parts)
        if game.scenario.view == "text":
            self.action_space = SpeechAct(self._width, game.action_space(agent)["text"].max_length)
        else:
            self.action_space = Discrete(self._width)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Begin an episode: draw who sits opposite, and play on until the learner is to move.

        Args:
            seed: Seeds this view's generator, from which the game's and the other player's seeds follow.
            options: As for ``GameEnv.reset``; a pinned ``user_type`` overrides the population's draw.

        Raises:
            UsageError: A known option has a value that makes no sense; the running episode is unchanged.
        """
        if options is not None and not isinstance(options, Mapping):
            raise UsageError(f"reset options: expected a dict or None, got {options!r}")
        generator = copy.deepcopy((self._np_random, self._np_random_seed))
        try:
            super().reset(seed=seed)
            policy, drawn = self._other(self.np_random)
            given = {name: value for name, value in (options or {}).items() if value is not None}
            policy_of = drawn.pop("policy_of", None)
            if "user_type" in given and policy_of is not None:
                policy = policy_of(self._resolve(given["user_type"]))
            sit_down(policy, self.game, self.other_agent)
            self._seen, self._infos = self.game.reset(
                seed=int(self.np_random.integers(2**31)), options={**drawn, **given}
            )
        except Exception:
            self._np_random, self._np_random_seed = generator  # a refused reset changes nothing
            raise
        self._policy = policy
        policy.reset(int(self.np_random.integers(2**31)))
        totals, items = dict.fromkeys((USER, ASSISTANT), 0.0), dict[str, float]()
        self._opening = _Opening(totals, items, *self._wait(totals, items))
        observation, info = self._observation(), self._info({}, {})
        if (
            not self.game.agents
        ):  # the first step will show the end again, and what is returned here belongs to the caller
            self._seen, self._infos = copy.deepcopy((self._seen, self._infos))
        return observation, info

    def step(self, action: Any) -> tuple[dict[str, Any], SupportsFloat, bool, bool, dict[str, Any]]:
        """Play the learner's action against the other player's.

        In games with turns the other player may have opened, and its move may even have ended the game (compliance with a
        harmful request, a time limit of one): the first step then takes no action, and pays what the opening led to.

        Raises:
            ResetNeededError: Called before ``reset`` or after the end.
            IllegalActionError: The action is outside the action space, or masked under ``strict=True``.
        """
        opening, over = self._opening, not self.game.agents
        if over and opening is None:
            raise ResetNeededError(
                "step() was called before reset() or after the end of the episode: call reset() first"
            )
        if not over:
            self._refuse_misfit(action)
        totals, items = dict.fromkeys((USER, ASSISTANT), 0.0), dict[str, float]()
        terminated = truncated = False
        if opening is not None:
            totals, items, terminated, truncated = opening
        self._opening = _Opening(totals, items, False, False)  # still owed, should a player or a grader fail below
        if not over:
            terminated, truncated = self._advance(action, totals, items)
        illegal = bool(self._infos[self.agent].get("illegal_move", False)) and not over  # before the others move on
        if not (terminated or truncated):
            terminated, truncated = self._wait(totals, items)
        self._opening = None
        info = {**self._info(items, totals), "illegal_move": illegal}
        return self._observation(), float(sum(items.values())), terminated, truncated, info

    def render(self) -> Any:
        """Render the game."""
        return self.game.render()

    def close(self) -> None:
        """Close the game; closing twice is fine."""
        self.game.close()

    # -- inside ---------------------------------------------------------------------------------------------------

    def _refuse_misfit(self, action: Any) -> None:
        """Raise if the game would refuse the action, before the other player is asked: its memory must stay as it is."""
        self.game.check_action(self.agent, action)
        if isinstance(action, str):
            return
        move = int(np.asarray(action["move"] if isinstance(action, Mapping) else action).reshape(()))
        if move >= self._width:
            raise IllegalActionError(
                f"action of {self.agent}: expected an integer from 0 to {self._width - 1}, got {move}"
            )

    def _advance(self, action: Any, totals: dict[str, float], items: dict[str, float]) -> tuple[bool, bool]:
        """Play one step of the game, adding both payoffs and the learner's items."""
        assert self._policy is not None
        seen, info = self._seen[self.other_agent], self._infos[self.other_agent]
        other = ask(self._policy, self.game, self.other_agent, seen, info)
        self._seen, rewards, ended, cut, self._infos = self.game.step({self.agent: action, self.other_agent: other})
        for agent, reward in rewards.items():
            totals[agent] += reward
        for name, utils in self._infos[self.agent]["payoff"].items():
            items[name] = items.get(name, 0.0) + utils
        return ended[self.agent], cut[self.agent]

    def _wait(self, totals: dict[str, float], items: dict[str, float]) -> tuple[bool, bool]:
        """In games with turns, play on until the learner is to move."""
        while self.game.agents and self._infos[self.agent].get("to_move", self.agent) != self.agent:
            terminated, truncated = self._advance(waiting_action(self.game, self.agent), totals, items)
            if terminated or truncated:
                return terminated, truncated
        return False, False

    def _observation(self) -> dict[str, Any]:
        seen = dict(self._seen[self.agent])
        seen["action_mask"] = seen["action_mask"][: self._width].copy()
        return seen

    def _info(self, items: dict[str, float], totals: dict[str, float]) -> dict[str, Any]:
        info: dict[str, Any] = copy.copy(self._infos[self.agent])
        if items:
            info["payoff"] = dict(items)
            if self.share_payoffs:
                info["other_reward"] = totals[self.other_agent]
        return info

    def _resolve(self, user_type: Any) -> Any:
        resolve = getattr(self.game.scenario, "resolve_type", None)
        return resolve(user_type) if resolve is not None else user_type


def assistant_env(
    scenario: str | Scenario = "gtalign/Assist-v0",
    *,
    users: Any = "default",
    share_payoffs: bool = False,
    **options: Any,
) -> SingleAgentEnv:
    """Make the assistant's view: personas from a population sit opposite.

    Args:
        scenario: Which game (see ``parallel_env``).
        users: A persona, a population's name, or anything that ``gtalign_env.agents.users.population`` takes.
        share_payoffs: Put the user's payoff into ``info["other_reward"]``.
        **options: Options of ``parallel_env`` and of the scenario.

    Example:
        >>> assistant_env(users="detailed").agent
        'assistant_0'
    """
    population: Callable[[np.random.Generator], Persona] = load(_MAKE_POPULATION)(users)
    game = parallel_env(scenario, **options)

    def draw(rng: np.random.Generator) -> tuple[Policy, dict[str, Any]]:
        persona = population(rng)
        user_type = persona.sample_type(rng)
        brought = type_brought(game.scenario, user_type)
        return persona.policy(user_type), {"user_type": brought, "policy_of": persona.policy}

    return SingleAgentEnv(game, ASSISTANT, draw, share_payoffs=share_payoffs)


def user_env(
    scenario: str | Scenario = "gtalign/Assist-v0",
    *,
    assistant: Any = "heuristic",
    users: Any = None,
    share_payoffs: bool = False,
    **options: Any,
) -> SingleAgentEnv:
    """Make the user's view: a policy sits in the assistant's chair, and θ is drawn by the scenario.

    Args:
        scenario: Which game (see ``parallel_env``).
        assistant: A policy, or anything that ``gtalign_env.agents.assistants.make_assistant`` takes.
        users: The scenario's population of types (see ``UserMix``); its default when ``None``.
        share_payoffs: Put the assistant's payoff into ``info["other_reward"]``.
        **options: Options of ``parallel_env`` and of the scenario.

    Example:
        >>> user_env(assistant="fixed:DA_short").agent
        'user_0'
    """
    policy: Policy = copy.deepcopy(assistant) if isinstance(assistant, Policy) else load(_MAKE_ASSISTANT)(assistant)
    if users is not None:
        options["users"] = users
    draw: OtherChair = lambda rng: (policy, {})  # noqa: E731 - the same policy every time
    return SingleAgentEnv(parallel_env(scenario, **options), USER, draw, share_payoffs=share_payoffs)
