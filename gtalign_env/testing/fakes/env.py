"""A tiny two-agent environment that keeps the whole contract, and whose every part can be replaced.

The game: for a few rounds the user orders (0), orders and praises (1) or complains (2, illegal in the first round), and the
assistant serves little (0), much (1) or nothing (2). How much the user wants is its private θ in [0, 1]; a coin decides
whether a serving arrives. The assistant earns per serving, and at the end by how the user fared.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary
from gymnasium.utils import seeding
from pettingzoo import ParallelEnv

from gtalign_env.errors import IllegalActionError, ResetNeededError, UsageError
from gtalign_env.payoffs import on_grid
from gtalign_env.types import AGENTS, ASSISTANT, USER

__all__ = ["GenericEnv", "GenericState"]

_MOVES = 3
_FEATURES = 6
_COMPLAIN = 2
_WANTS = {"little": 0.2, "much": 0.8}


class GenericState(NamedTuple):
    """Everything that an episode of ``GenericEnv`` needs to go on."""

    round: int
    theta: float
    """How much the user wants, in [0, 1]; private."""
    arrived: bool
    last_user: int = -1
    last_assistant: int = -1
    user_total: float = 0.0


class GenericEnv(ParallelEnv[str, dict[str, Any], Any]):
    """A conforming two-agent environment with replaceable parts.

    Every keyword named in ``HOOKS`` takes a function whose first argument is the environment; ``GenericEnv.<hook>`` is the
    default that it replaces, so a replacement can call it.

    Args:
        rounds: Length of the game.
        max_cycles: Time limit in steps.
        render_mode: ``"human"``, ``"ansi"`` or ``None``.
        strict: Raise on masked moves.
        reveal: Reveal θ after the end.
        **hooks: Replacements.

    Example:
        >>> env = GenericEnv(payoff=lambda env, agent, before: {"gift": 0.5})
        >>> _ = env.reset(seed=0)
        >>> env.step({"user_0": 0, "assistant_0": 1})[1]
        {'user_0': 0.5, 'assistant_0': 0.5}
    """

    metadata: dict[str, Any] = {  # noqa: RUF012 - PettingZoo declares it on the instance
        "name": "generic_v0",
        "render_modes": ["human", "ansi"],
        "is_parallelizable": True,
        "render_fps": 4,
    }
    HOOKS: tuple[str, ...] = (
        "action_mask",
        "advance",
        "after_reset",
        "after_step",
        "begin",
        "draw",
        "ended",
        "illegal",
        "info",
        "observe",
        "payoff",
        "read_actions",
    )

    def __init__(
        self,
        *,
        rounds: int = 5,
        max_cycles: int | None = None,
        render_mode: str | None = None,
        strict: bool = False,
        reveal: bool = False,
        **hooks: Callable[..., Any],
    ) -> None:
        unknown = set(hooks) - set(self.HOOKS)
        if unknown:
            raise UsageError(f"GenericEnv has no hook {min(unknown)!r}: expected some of {', '.join(self.HOOKS)}")
        self.rounds = rounds
        self.max_cycles = max_cycles
        self.render_mode = render_mode
        self.strict = strict
        self.reveal = reveal
        self.hooks = hooks
        self.possible_agents = list(AGENTS)
        self.agents: list[str] = []
        self.steps = 0
        self.game: GenericState | None = None
        self.np_random, self.np_random_seed = seeding.np_random()
        space = {"observation": Box(0.0, 1.0, (_FEATURES,), np.float32), "action_mask": MultiBinary(_MOVES)}
        self._observation_spaces = {agent: Dict(space) for agent in AGENTS}
        self._action_spaces = {agent: Discrete(_MOVES) for agent in AGENTS}

    # -- PettingZoo's API -----------------------------------------------------------------------------------------

    def observation_space(self, agent: str) -> Dict:
        """Return the agent's observation space."""
        return self._observation_spaces[agent]

    def action_space(self, agent: str) -> Discrete:
        """Return the agent's action space."""
        return self._action_spaces[agent]

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, dict[str, Any]], dict[str, dict[str, Any]]]:
        """Begin an episode; ``options`` may pin ``user_type``."""
        self.call("begin", seed)
        self.game = self.call("draw", options or {})
        self.agents, self.steps = list(AGENTS), 0
        returned = ({a: self.call("observe", a) for a in AGENTS}, {a: self.call("info", a) for a in AGENTS})
        made: tuple[dict[str, dict[str, Any]], dict[str, dict[str, Any]]] = self.call("after_reset", returned)
        return made

    def step(self, actions: Mapping[str, Any]) -> Any:
        """Play one round."""
        if not self.agents and self.game is not None and actions == {}:
            return {}, {}, {}, {}, {}
        if not self.agents:
            raise ResetNeededError("step() was called before reset() or after the end: call reset() first")
        moves, illegal = self.call("read_actions", actions)
        before = self.game
        self.game = self.call("advance", moves)
        self.steps += 1
        ended = self.call("ended")
        cut = not ended and self.max_cycles is not None and self.steps >= self.max_cycles
        items = {agent: self.call("payoff", agent, before) for agent in AGENTS}
        infos = {a: {**self.call("info", a), "payoff": items[a], "illegal_move": illegal[a]} for a in AGENTS}
        if (ended or cut) and self.reveal:
            for info in infos.values():
                info["revealed"] = {"theta": self.state_now.theta}
        if ended or cut:
            self.agents = []
        rewards = {agent: float(sum(items[agent].values())) for agent in AGENTS}
        observations = {agent: self.call("observe", agent) for agent in AGENTS}
        returned = (observations, rewards, dict.fromkeys(AGENTS, ended), dict.fromkeys(AGENTS, cut), infos)
        return self.call("after_step", returned)

    def render(self) -> str | None:
        """Show the state."""
        if self.render_mode == "human":
            print(self.game)  # noqa: T201 - what the mode is for
            return None
        return str(self.game)

    def close(self) -> None:
        """Free nothing."""

    # -- hooks ----------------------------------------------------------------------------------------------------

    def call(self, hook: str, *arguments: Any) -> Any:
        """Call a hook: its replacement, or the method of that name."""
        if hook in self.hooks:
            return self.hooks[hook](self, *arguments)
        return getattr(self, hook)(*arguments)

    @property
    def state_now(self) -> GenericState:
        """The state of the running episode."""
        assert self.game is not None
        return self.game

    def begin(self, seed: int | None) -> None:
        """Hook: seed the generator."""
        if seed is not None:
            self.np_random, self.np_random_seed = seeding.np_random(seed)

    def draw(self, options: Mapping[str, Any]) -> GenericState:
        """Hook: return the first state; ``options["user_type"]`` is a name, a number, or a dict of θ's fields."""
        theta = float(self.np_random.random())
        pinned = options.get("user_type")
        if isinstance(pinned, Mapping):
            ideal = float(pinned["ideal_tokens"])
            theta = ideal / (ideal + 100.0)
        elif pinned is not None:
            theta = float(_WANTS.get(pinned, pinned))
        return GenericState(round=0, theta=theta, arrived=bool(self.np_random.random() < 0.5))

    def observe(self, agent: str) -> dict[str, Any]:
        """Hook: return an agent's observation; only the user's holds θ."""
        game, is_user = self.state_now, agent == USER
        row = (game.round / self.rounds, (game.last_user + 1) / _MOVES, (game.last_assistant + 1) / _MOVES)
        vector = np.array([*row, game.arrived, is_user, game.theta if is_user else 0.0], dtype=np.float32)
        return {"observation": vector, "action_mask": self.call("action_mask", agent)}

    def action_mask(self, agent: str) -> Any:
        """Hook: return which moves are legal."""
        mask = np.ones(_MOVES, dtype=np.int8)
        if agent == USER and self.state_now.round == 0:
            mask[_COMPLAIN] = 0
        return mask

    def info(self, agent: str) -> dict[str, Any]:
        """Hook: return an agent's info, payoff and ``illegal_move`` aside."""
        return {"round": self.state_now.round, "history": [self.state_now.last_user, self.state_now.last_assistant]}

    def payoff(self, agent: str, before: GenericState) -> dict[str, Any]:
        """Hook: return an agent's items for the step that led from ``before`` to the state now."""
        items = self.user_items(self.state_now)
        if agent == USER:
            return items
        served = max(self.state_now.last_assistant, 0) % 2
        kept = on_grid(0.3 * self.state_now.user_total) if self.call("ended") else 0.0
        return {"revenue": on_grid(0.2 + 0.1 * served), "cost": on_grid(-0.07 * served), "retention": kept}

    def advance(self, moves: Mapping[str, int]) -> GenericState:
        """Hook: return the next state; ``-1`` stands for an illegal move."""
        game = self.state_now
        made = game._replace(
            round=game.round + 1,
            arrived=bool(self.np_random.random() < 0.7),
            last_user=moves[USER],
            last_assistant=moves[ASSISTANT],
        )
        return made._replace(user_total=game.user_total + sum(self.user_items(made).values()))

    def ended(self) -> bool:
        """Hook: return whether the game is over of itself."""
        return self.state_now.round >= self.rounds

    def illegal(self, agent: str, move: int) -> bool:
        """Hook: return whether a move inside the space is masked; raise if so under ``strict``."""
        masked = not self.call("action_mask", agent)[move]
        if masked and self.strict:
            raise IllegalActionError(f"{agent}: move {move} is not legal in round {self.state_now.round}")
        return masked

    def read_actions(self, actions: Mapping[str, Any]) -> tuple[dict[str, int], dict[str, bool]]:
        """Hook: return the moves (-1 for an illegal one) and which of them were illegal."""
        if not isinstance(actions, Mapping) or set(actions) != set(AGENTS):
            raise IllegalActionError(f"actions: expected one for each of {', '.join(AGENTS)}, got {actions!r}")
        for agent, move in actions.items():
            if isinstance(move, bool) or not isinstance(move, (int, np.integer)) or not 0 <= move < _MOVES:
                raise IllegalActionError(f"action of {agent}: expected an integer from 0 to {_MOVES - 1}, got {move!r}")
        illegal = {agent: self.call("illegal", agent, int(actions[agent])) for agent in AGENTS}
        return {agent: -1 if illegal[agent] else int(actions[agent]) for agent in AGENTS}, illegal

    def after_reset(self, returned: Any) -> Any:
        """Hook: change what ``reset`` is about to return."""
        return returned

    def after_step(self, returned: Any) -> Any:
        """Hook: change what ``step`` is about to return."""
        return returned

    def user_items(self, game: GenericState) -> dict[str, float]:
        """Return the user's items in a state: what arrived is worth more the closer it is to what was wanted."""
        served = 0.5 * game.last_assistant if game.last_assistant in (0, 1) and game.arrived else 0.0
        return {"value": on_grid(1.0 - abs(served - game.theta)), "effort": on_grid(-0.1 * max(game.last_user, 0))}
