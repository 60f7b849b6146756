"""A person and an assistant play a game with two payoffs.

The rules, for whoever sits down to play. Two players, ``user_0`` and ``assistant_0``. The user has a hidden type: some
want a sentence, others an essay; some have patience, others not. On the table lies the user's last utterance. In each
exchange both act at once. The assistant answers directly (``DA_short``, ``DA_medium``, ``DA_long``), answers and asks one
follow-up question (``AQ_…``), asks a clarifying question (``CQ``) or declines (``DECLINE``). In the same breath the user decides
how its next utterance will be put, vaguely (``VQ``) or in detail (``DQ``), and reacts to the reply before this one
(``none, thanks, too_long, too_short, off_target``), or leaves after this reply (``LEAVE``). Reactions are cheap talk.
Each player then gets its own payoff; neither sees the other's. Complying with a harmful request ends the game as a
violation. In the text view the players take turns and write; a reader turns the assistant's text into its move.

This module is the thin shell that puts a ``Scenario`` behind PettingZoo's parallel API. It holds configuration, one generator
and one state; all rules are the scenario's.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary
from gymnasium.utils import seeding
from pettingzoo import AECEnv, ParallelEnv
from pettingzoo.utils import wrappers
from pettingzoo.utils.conversions import parallel_to_aec

from gtalign_env.errors import IllegalActionError, RenderModeError, ResetNeededError, UsageError
from gtalign_env.protocols import Scenario, Step
from gtalign_env.registration import make_scenario, origin_of, scenario_id
from gtalign_env.spaces import FreeText, SpeechAct
from gtalign_env.types import AGENTS, ASSISTANT, USER, Role

__all__ = ["GameEnv", "env", "parallel_env", "raw_env"]

ROLES: dict[str, Role] = {USER: "user", ASSISTANT: "assistant"}
MAX_TEXT = 20_000
"""Longest utterance in characters."""

Observation = dict[str, Any]


class GameEnv(ParallelEnv[str, Observation, Any]):
    """A two-payoff game behind PettingZoo's parallel API.

    Observation (both agents, same shapes): ``Dict`` of

    * ``observation``: ``Box(0, 1, (F,), float32)``, the slots named by ``env.layout`` where the scenario has one;
    * ``action_mask``: ``MultiBinary(N)`` as int8, 1 where a move is legal; N is the larger of both players' numbers of moves;
    * ``text`` (text view only): ``FreeText``, the utterance on the table.

    Action: ``Discrete(N)``; in the text view ``Dict(move=Discrete(N), text=FreeText)``, or just a string.

    Reward: the agent's own payoff of this step in utils; ``infos[agent]["payoff"]`` itemises it, and the items sum to it exactly.

    Termination: the game's own end, for both agents at once. Truncation: ``max_cycles`` steps.

    Args:
        scenario: The rules of the game.
        max_cycles: Time limit in steps; ``None`` for none.
        render_mode: ``"human"`` prints, ``"ansi"`` returns a string, ``None`` does neither.
        strict: Raise on masked moves instead of treating them as no-ops.
        reveal: Put θ and the other side's payoff items into ``infos[agent]["revealed"]`` after the end.

    Example:
        >>> env = parallel_env("gtalign/Assist-v0")
        >>> observations, infos = env.reset(seed=1, options={"user_type": "concise"})
        >>> _, rewards, *_ = env.step({"user_0": 5, "assistant_0": 0})
        >>> sorted(rewards)
        ['assistant_0', 'user_0']
    """

    metadata: dict[str, Any] = {  # noqa: RUF012 - PettingZoo declares it so; instances get a copy
        "name": "gtalign_v0",
        "render_modes": ["human", "ansi"],
        "is_parallelizable": True,
        "render_fps": 4,
    }

    def __init__(
        self,
        scenario: Scenario,
        *,
        max_cycles: int | None = None,
        render_mode: str | None = None,
        strict: bool = False,
        reveal: bool = False,
    ) -> None:
        if max_cycles is not None:
            if isinstance(max_cycles, bool) or not isinstance(max_cycles, (int, np.integer)) or max_cycles < 1:
                raise UsageError(f"max_cycles: expected an integer >= 1 or None, got {max_cycles!r}")
            max_cycles = int(max_cycles)
        for name, switch in (("strict", strict), ("reveal", reveal)):
            if not isinstance(switch, (bool, np.bool_)):
                raise UsageError(f"{name}: expected True or False, got {switch!r}")
        if render_mode not in (None, *self.metadata["render_modes"]):
            raise RenderModeError(f"render_mode: expected 'human', 'ansi' or None, got {render_mode!r}")
        self.scenario = scenario
        self.layout = getattr(scenario, "layout", None)
        self.max_cycles = max_cycles
        self.render_mode = render_mode
        self.strict = strict
        self.reveal = reveal
        modes = list(type(self).metadata["render_modes"])  # PettingZoo's wrappers append to it
        self.metadata = {**type(self).metadata, "name": f"{scenario.name}_v0", "render_modes": modes}
        self.possible_agents: list[str] = list(AGENTS)
        self.agents: list[str] = []
        self.steps = 0
        self.last_step: Step | None = None
        self.origin: tuple[str, dict[str, Any]] = origin_of(scenario)
        """Id and options with which ``parallel_env`` makes an equal environment; records carry them."""
        self._state: Any = None
        self._np_random: np.random.Generator | None = None
        self.np_random_seed: int | None = None
        self._moves = {agent: len(scenario.moves(role)) for agent, role in ROLES.items()}
        self._width = max(self._moves.values())
        self._strategic = scenario.view == "strategic"
        self._padded_mask = getattr(scenario, "padded_mask", None)  # quick ways that compiled scenarios offer
        self._is_legal = getattr(scenario, "is_legal", None)
        self._observation_space = {agent: self._make_observation_space() for agent in AGENTS}
        self._action_space = {agent: self._make_action_space() for agent in AGENTS}
        self.state_space = Box(0.0, 1.0, (scenario.observation_size(),), np.float32)

    # -- PettingZoo's API -----------------------------------------------------------------------------------------

    @property
    def np_random(self) -> np.random.Generator:
        """The only generator of randomness; seeded by ``reset(seed=…)``."""
        if self._np_random is None:
            self._np_random, self.np_random_seed = seeding.np_random()
        return self._np_random

    @np_random.setter
    def np_random(self, generator: np.random.Generator) -> None:
        self._np_random = generator

    def observation_space(self, agent: str) -> Dict:
        """Return the agent's observation space: the same object at every call."""
        return self._observation_space[self._known(agent)]

    def action_space(self, agent: str) -> Any:
        """Return the agent's action space: the same object at every call."""
        return self._action_space[self._known(agent)]

    def reset(
        self, seed: int | None = None, options: Mapping[str, Any] | None = None
    ) -> tuple[dict[str, Observation], dict[str, dict[str, Any]]]:
        """Begin an episode.

        Args:
            seed: Seeds the environment's generator; ``None`` goes on with the current stream.
            options: May pin ``user_type`` (a name or a dict of θ's fields), ``task`` and ``pricing``; others are ignored.

        Returns:
            Observations and infos of both agents.

        Raises:
            UsageError: A known option has a value that makes no sense.
        """
        if options is not None and not isinstance(options, Mapping):
            raise UsageError(f"reset options: expected a dict or None, got {options!r}")
        generator, used = self.np_random, self.np_random_seed
        if seed is not None:
            if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
                raise UsageError(f"reset seed: expected an integer >= 0 or None, got {seed!r}")
            generator, used = seeding.np_random(int(seed))
        self._state = self.scenario.reset(generator, options or {})
        self.np_random, self.np_random_seed = generator, used
        self.agents = list(AGENTS)
        self.steps = 0
        self.last_step = None
        return {agent: self._observe(agent) for agent in AGENTS}, {agent: self._info(agent) for agent in AGENTS}

    def step(
        self, actions: Mapping[str, Any]
    ) -> tuple[dict[str, Observation], dict[str, float], dict[str, bool], dict[str, bool], dict[str, dict[str, Any]]]:
        """Play one exchange (strategic view) or one turn (text view).

        Args:
            actions: One action for each live agent.

        Returns:
            Observations, rewards, terminations, truncations and infos of the agents that were alive.

        Raises:
            ResetNeededError: Called before ``reset`` or after the end.
            IllegalActionError: An action is missing or outside its space, or masked under ``strict=True``.
        """
        if not self.agents:
            if self._state is not None and not actions:
                return {}, {}, {}, {}, {}
            when = "before reset()" if self._state is None else "after the end of the episode"
            raise ResetNeededError(f"step() was called {when}: call reset() first")
        chosen, illegal = self._read_actions(actions)
        done = self.scenario.step(self._state, chosen[USER], chosen[ASSISTANT], self.np_random)
        self._state = done.state
        self.last_step = done
        self.steps += 1
        truncated = not done.ended and self.max_cycles is not None and self.steps >= self.max_cycles
        over = done.ended or truncated
        user_payoff, assistant_payoff = done.payoffs.totals
        infos = {
            USER: self._step_info(USER, done, illegal[USER], over),
            ASSISTANT: self._step_info(ASSISTANT, done, illegal[ASSISTANT], over),
        }
        if over:
            self.agents = []
        return (
            {USER: self._observe(USER), ASSISTANT: self._observe(ASSISTANT)},
            {USER: user_payoff, ASSISTANT: assistant_payoff},
            {USER: done.ended, ASSISTANT: done.ended},
            {USER: truncated, ASSISTANT: truncated},
            infos,
        )

    def render(self) -> str | None:
        """Show the state: print it (``human``), return it (``ansi``), or say that no mode was chosen."""
        if self.render_mode is None:
            raise UsageError(
                "render(): no render mode was chosen; pass render_mode='human' or 'ansi' when making the env"
            )
        from gtalign_env.render import render_state

        text = render_state(self)
        if self.render_mode == "ansi":
            return text
        print(text)  # noqa: T201 - human mode is there to print
        return None

    def state(self) -> np.ndarray[Any, Any]:
        """Return the whole state as one vector, private parts included (for centralised critics, never for players)."""
        if self._state is None:
            raise ResetNeededError("state() was called before reset(): call reset() first")
        vector: np.ndarray[Any, Any] = self.scenario.observe(self._state, "user")
        return vector

    def close(self) -> None:
        """Free nothing; closing twice is fine."""

    # -- for recorders and tools ----------------------------------------------------------------------------------

    @property
    def game_state(self) -> Any:
        """The explicit, immutable state of the game (``None`` before ``reset``)."""
        return self._state

    def hidden(self) -> dict[str, Any]:
        """Return what the game hides from the assistant (θ and the like), for records and analysis."""
        return {} if self._state is None else self.scenario.hidden(self._state)

    def __str__(self) -> str:
        """Return the environment's name."""
        return str(self.metadata["name"])

    def check_action(self, agent: str, action: Any) -> None:
        """Raise what ``step`` would raise for this agent's action; change nothing.

        Raises:
            ResetNeededError: No episode is running.
            IllegalActionError: The action is outside its space, or masked under ``strict=True``.
        """
        if not self.agents:
            raise ResetNeededError("no episode is running: call reset() first")
        self._read_action(self._known(agent), action)

    # -- inside ---------------------------------------------------------------------------------------------------

    def _known(self, agent: str) -> str:
        if agent not in ROLES:
            raise UsageError(f"unknown agent {agent!r}: expected {USER!r} or {ASSISTANT!r}")
        return agent

    def _make_observation_space(self) -> Dict:
        parts: dict[str, Any] = {
            "observation": Box(0.0, 1.0, (self.scenario.observation_size(),), np.float32),
            "action_mask": MultiBinary(self._width),
        }
        if self.scenario.view == "text":
            parts["text"] = FreeText(MAX_TEXT)
        return Dict(parts)

    def _make_action_space(self) -> Any:
        if self.scenario.view == "text":
            return SpeechAct(self._width, MAX_TEXT)
        return Discrete(self._width)

    def _observe(self, agent: str) -> Observation:
        role = ROLES[agent]
        if self._padded_mask is not None:
            mask = self._padded_mask(self._state, role, self._width)
        else:
            mask = self.scenario.action_mask(self._state, role)
            if len(mask) < self._width:
                padded = np.zeros(self._width, dtype=np.int8)
                padded[: len(mask)] = mask
                mask = padded
        seen = {"observation": self.scenario.observe(self._state, role), "action_mask": mask}
        if not self._strategic:
            seen["text"] = self.scenario.utterance(self._state, role)  # type: ignore[attr-defined]
        return seen

    def _info(self, agent: str) -> dict[str, Any]:
        return self.scenario.info(self._state, ROLES[agent])

    def _step_info(self, agent: str, done: Step, illegal: bool, over: bool) -> dict[str, Any]:
        own, other = (done.payoffs.user, done.payoffs.assistant)
        if agent == ASSISTANT:
            own, other = other, own
        info = self._info(agent)
        info["payoff"] = own.copy()  # the record of the step is not the players' to write on
        info["illegal_move"] = illegal
        if done.events:
            info.update(done.events)
        if over and self.reveal:
            info["revealed"] = {**_as_dicts(self.hidden()), "other_payoff": dict(other)}
        return info

    def _read_actions(self, actions: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, bool]]:
        if type(actions) is not dict and not isinstance(actions, Mapping):
            raise IllegalActionError(f"actions: expected a dict with {USER!r} and {ASSISTANT!r}, got {actions!r}")
        if len(actions) != len(AGENTS) or USER not in actions or ASSISTANT not in actions:
            raise IllegalActionError(
                f"actions: expected exactly {USER!r} and {ASSISTANT!r}, got {sorted(map(str, actions))}"
            )
        chosen, illegal = {}, {}
        for agent in AGENTS:
            chosen[agent], illegal[agent] = self._read_action(agent, actions[agent])
        return chosen, illegal

    def _read_action(self, agent: str, action: Any) -> tuple[Any, bool]:
        """Return the action in the scenario's terms (``None``: a no-op) and whether it was illegal."""
        if self._strategic:
            index = action if type(action) is int and 0 <= action < self._width else self._index(agent, action)
            return (index, False) if self._legal(agent, index) else (None, True)
        if not self.scenario.expects(self._state, ROLES[agent]):  # type: ignore[attr-defined]
            return None, False  # what a waiting player sends is ignored
        if isinstance(action, str):
            return {"move": None, "text": self._text(agent, action)}, False
        if not isinstance(action, Mapping) or set(action) != {"move", "text"}:
            raise IllegalActionError(
                f"action of {agent}: expected {{'move': int, 'text': str}} or a string, got {action!r}"
            )
        index = self._index(agent, action["move"])
        text = self._text(agent, action["text"])
        return ({"move": index, "text": text}, False) if self._legal(agent, index) else (None, True)

    def _text(self, agent: str, text: Any) -> str:
        if not isinstance(text, str) or len(text) > MAX_TEXT:
            got = f"{len(text):,} characters" if isinstance(text, str) else repr(text)
            raise IllegalActionError(
                f"text of {agent}: expected a string of at most {MAX_TEXT:,} characters, got {got}"
            )
        return text

    def _index(self, agent: str, action: Any) -> int:
        if type(action) is not int:
            if isinstance(action, np.ndarray) and action.size == 1:
                action = action.reshape(())[()]
            if isinstance(action, (bool, np.bool_)) or not isinstance(action, (int, np.integer)):
                raise IllegalActionError(
                    f"action of {agent}: expected an integer from 0 to {self._width - 1}, got {action!r}"
                )
            action = int(action)
        if not 0 <= action < self._width:
            raise IllegalActionError(
                f"action of {agent}: expected an integer from 0 to {self._width - 1}, got {action}"
            )
        return int(action)

    def _legal(self, agent: str, index: int) -> bool:
        legal = index < self._moves[agent]
        if legal and self._is_legal is not None:
            legal = self._is_legal(self._state, ROLES[agent], index)
        elif legal:
            legal = bool(self.scenario.action_mask(self._state, ROLES[agent])[index])
        if not legal and self.strict:
            names = self.scenario.moves(ROLES[agent])
            name = names[index] if index < len(names) else f"number {index}"
            mask = self.scenario.action_mask(self._state, ROLES[agent])
            allowed = [move for move, allowed in zip(names, mask, strict=True) if allowed]
            raise IllegalActionError(f"{agent}: move {name} is not legal here; legal moves: {', '.join(allowed)}")
        return legal


def _as_dicts(hidden: Mapping[str, Any]) -> dict[str, Any]:
    return {k: dataclasses.asdict(v) if dataclasses.is_dataclass(v) else v for k, v in hidden.items()}  # type: ignore[arg-type]


def parallel_env(
    scenario: str | Scenario = "gtalign/Assist-v0",
    *,
    max_cycles: int | None = None,
    render_mode: str | None = None,
    strict: bool = False,
    reveal: bool = False,
    **options: Any,
) -> GameEnv:
    """Make a two-payoff game with PettingZoo's parallel API.

    Args:
        scenario: A registered id or short name, ``"module:attr"``, or a ``Scenario``.
        max_cycles: Time limit in steps.
        render_mode: ``"human"``, ``"ansi"`` or ``None``.
        strict: Raise on masked moves.
        reveal: Reveal θ after the end.
        **options: The scenario's own options (``users``, ``pricing``, ``payoff``, …).

    Raises:
        UsageError: An option is unknown or wrong.

    Example:
        >>> parallel_env("assist", pricing="per_token").possible_agents
        ['user_0', 'assistant_0']
    """
    made = make_scenario(scenario, **options)
    game = GameEnv(made, max_cycles=max_cycles, render_mode=render_mode, strict=strict, reveal=reveal)
    if isinstance(scenario, str):
        own = {"max_cycles": max_cycles, "strict": strict}
        game.origin = (scenario_id(scenario), {**options, **{name: value for name, value in own.items() if value}})
    return game


def raw_env(scenario: str | Scenario = "gtalign/Assist-v0", **options: Any) -> AECEnv[str, Observation, Any]:
    """Make the same game with PettingZoo's turn-based AEC API, without wrappers that check calls.

    Example:
        >>> raw_env("assist").possible_agents
        ['user_0', 'assistant_0']
    """
    made: AECEnv[str, Observation, Any] = parallel_to_aec(parallel_env(scenario, **options))
    return made


def env(scenario: str | Scenario = "gtalign/Assist-v0", **options: Any) -> AECEnv[str, Observation, Any]:
    """Make the same game with the AEC API and PettingZoo's usual wrappers.

    Example:
        >>> env("assist").possible_agents
        ['user_0', 'assistant_0']
    """
    made = raw_env(scenario, **options)
    if isinstance(made.action_space(USER), Discrete):
        made = wrappers.AssertOutOfBoundsWrapper(made)
    checked: AECEnv[str, Observation, Any] = wrappers.OrderEnforcingWrapper(made)
    return checked
