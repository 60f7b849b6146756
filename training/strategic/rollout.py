"""The games that a learner plays: who sits where, what each learner sees, and a block of play.

Everything is an array over games; the learners' own doings are in ``ppo``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gtalign_env.agents.assistants.trained_history import unsafe_moves
from gtalign_env.crowd import Crowd
from gtalign_env.env import ROLES
from gtalign_env.finite import FiniteScenario, FiniteState
from gtalign_env.training.strategic.config import Config
from gtalign_env.types import AGENTS, ASSISTANT
from gtalign_env.vector import vector_env
from gtalign_env.vector_chair import VectorChair

__all__ = ["Arena"]

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
_FEW = 32
"""Kinds of user up to which a value network is told their number."""


class Arena:
    """Many games at once, with one chair or both for learners.

    Shapes: N games, F the length of an observation, A moves of an agent.

    Args:
        config: Scenario, who learns, and who sits opposite.
        games: N; the config's when ``None``.
        make_env: Makes the games of a learning assistant, given their number (``autoreset_mode="same_step"`` and
            ``batch_final=True``); by the config's users and prices when ``None``.

    Attributes:
        payoffs: (N, 2) both payoffs of the last step, in the order of ``AGENTS``.
        ended: (N,) games whose last step was the last of an episode; they have begun anew.
        cut: (N,) those of them that were not over, but stopped by the time limit (``max_cycles``).
        kinds: (N,) the kind of user in the episode that the last step belongs to; 0 where users are not played as a crowd.
        price_of: (kinds,) the price that each kind pays, by its place among the prices.
        violations: (N,) games in which the assistant complied with harm in the last step; all False where it does not learn.
        totals: (N, 2) returns: of the episode that ended where ``ended``, else so far.
    """

    def __init__(
        self, config: Config, games: int | None = None, make_env: Callable[[int], VectorChair] | None = None
    ) -> None:
        self.games = config.games if games is None else games
        self.chairs = config.chairs
        self.env: Any = self._made(config) if make_env is None else make_env(self.games)
        self.scenario: FiniteScenario = self.env.scenario
        self.price_of: NDArray[np.int64] = np.zeros(1, dtype=np.int64) if self._crowd is None else self._crowd.pricing
        self._unsafe = unsafe_moves(self.scenario)
        self._mask = config.safety == "mask"
        self._moves = {agent: len(self.scenario.moves(ROLES[agent])) for agent in self.chairs}
        self._hidden = self._of_kinds() if config.critic == "informed" else None
        self._observations: Any = None
        self._running: Floats = np.zeros((self.games, 2))
        self.cut: Bools = np.zeros(self.games, dtype=bool)
        self._final: Any = None

    def _made(self, config: Config) -> Any:
        options: dict[str, Any] = {"autoreset_mode": "same_step", "batch_final": True, **config.options}
        if config.pricings:
            options["pricings"] = list(config.pricings)
        if self.chairs == (ASSISTANT,):
            options.update(agent=ASSISTANT, users=config.users)
        elif len(self.chairs) == 1:
            options.update(agent=self.chairs[0], assistant=config.assistant)
        return vector_env(config.scenario, self.games, **options)

    @property
    def _crowd(self) -> Crowd | None:
        """The users, where they are a crowd and the assistant learns."""
        return self.env.crowd if self.chairs == (ASSISTANT,) else None

    def reset(self, seed: int) -> None:
        """Begin all games."""
        self._observations, _ = self.env.reset(seed=seed)
        self._running[:] = 0.0
        self._next_kinds = self._kinds()

    def moves(self, agent: str) -> int:
        """Return A."""
        return self._moves[agent]

    def seen(self, agent: str) -> tuple[NDArray[np.float32], Bools]:
        """Return an agent's observations (N, F), and which moves it may make (N, A): legal ones that break no constraint."""
        shown = self._observations if len(self.chairs) == 1 else self._observations[agent]
        legal = shown["action_mask"][:, : self._moves[agent]] != 0
        if agent == ASSISTANT and self._mask:
            legal &= ~self._unsafe[self.env.engine.public]
        return shown["observation"], legal

    def last(self, agent: str) -> NDArray[np.float32]:
        """Return an agent's observations (N, F) at the end of the games that ended in the last step; 0 in other games."""
        shown: NDArray[np.float32] = (self._final if len(self.chairs) == 1 else self._final[agent])["observation"]
        return shown

    def _kinds(self) -> NDArray[np.int64]:
        return np.zeros(self.games, dtype=np.int64) if self._crowd is None else self._crowd.kind.copy()

    def hidden_size(self, agent: str) -> int:
        """Return P, the number of numbers that only an agent's values see."""
        return 0 if self._hidden is None or agent != ASSISTANT else self._hidden.shape[1]

    def hidden(self, agent: str, *, last: bool = False) -> NDArray[np.float32]:
        """Return what only an agent's values see, (N, P): of an assistant's, who the user is, or with ``last`` who it was."""
        if self._hidden is None or agent != ASSISTANT:
            return np.zeros((self.games, 0), dtype=np.float32)
        return self._hidden[self.kinds if last else self._kinds()]

    def _of_kinds(self) -> NDArray[np.float32] | None:
        """Return what tells the kinds of user in a crowd: θ as its own observation shows it, and a number where they are few."""
        if self._crowd is None:
            return None
        scenario, types = self.scenario, self._crowd.user_types
        at = scenario.layout["theta"] if "theta" in scenario.layout.slots else slice(0)
        openings = [FiniteState(0, scenario.ledger(theta, scenario.pricing)) for theta in types]
        shown = np.stack([scenario.observe(opening, "user")[at] for opening in openings])
        number = np.eye(len(types), dtype=np.float32)[:, : len(types) if len(types) <= _FEW else 0]
        return np.concatenate([shown, number], axis=1)

    def step(self, moves: dict[str, NDArray[np.int64]]) -> None:
        """Play the learners' moves, (N,) each."""
        self.violations = np.zeros(self.games, dtype=bool)
        if ASSISTANT in moves:
            self.violations = self._unsafe[self.env.engine.public, moves[ASSISTANT]]
        if len(self.chairs) == 1:
            self._observations, _, ended, cut, infos = self.env.step(moves[self.chairs[0]])
            self.payoffs: Floats = self.env.payoffs
        else:
            both = {agent: moves[agent] for agent in AGENTS}
            self._observations, self.payoffs, ended, cut, infos = self.env.step(both)
        self.ended: Bools = ended | cut
        self.cut = cut & ~ended
        self._final = infos.get("final_obs")
        self._running += self.payoffs
        self.kinds, self._next_kinds = self._next_kinds, self._kinds()
        self.totals = self._running.copy()
        self._running[self.ended] = 0.0

    def state(self) -> dict[str, Any]:
        """Return all that is needed to go on exactly; to be pickled at once."""
        state = {"env": self.env, "observations": self._observations, "running": self._running}
        return {**state, "kinds": self._next_kinds}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on where ``state`` was taken."""
        self.env, self._observations, self._running = state["env"], state["observations"], state["running"]
        self._next_kinds = state["kinds"]
        self.scenario = self.env.scenario
