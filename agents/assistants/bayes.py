"""The assistant that cannot be beaten on average: the exact optimum against a population of users, played."""

from __future__ import annotations

import copy
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from gtalign_env.agents.assistants.trained_history import unsafe_moves
from gtalign_env.agents.users.kernel import population_kernels
from gtalign_env.errors import UsageError
from gtalign_env.finite import FiniteScenario
from gtalign_env.kernels import UserKernel
from gtalign_env.optimal import Optimum, optimum
from gtalign_env.optimal.strategy import Place, Strategy
from gtalign_env.protocols import Scenario
from gtalign_env.spaces import ASSIST_LAYOUT
from gtalign_env.types import Role

__all__ = ["BayesAssistant", "expecting"]

_SETTINGS = ("objective", "users", "aggregation", "tolerance", "pricing")
_PATIENCE = 2.0
"""Seconds of solving after which somebody at a terminal is told."""


class BayesAssistant:
    """Plays the optimum that ``gtalign_env.optimal`` finds, from its observations alone.

    It is solved when the assistant sits down, and remembered on disk. What the population would never do tells it nothing: its
    belief stays as it is. Where such people lead it to places that it has no plan for, it complies with no harm there either.

    Args:
        settings: The others as one string, as behind ``bayes:`` on the command line:
            ``"objective=egalitarian,users=concise=2,expert"``.
        objective: What is maximised: a welfare criterion, linear or concave.
        users: Who is expected (see ``population``), whoever comes; the default mix when ``None``.
        aggregation: ``"ser"`` or ``"esr"`` (see ``optimum``: with ``"esr"`` in large games it is the best policy that is known).
        pricing: What the user pays; the scenario's own when ``None``.
        tolerance: See ``optimum``.
        cache: Whether solutions are looked up and remembered on disk.

    Attributes:
        optimum: What is played; ``None`` before it sits down.

    Example:
        >>> import gtalign_env
        >>> env = gtalign_env.parallel_env("assist", questions=1)
        >>> assistant = BayesAssistant("users=concise", cache=False)
        >>> assistant.sit(env.scenario, "assistant")
        >>> observations, infos = env.reset(seed=0, options={"task": "harmful"})
        >>> env.scenario.moves("assistant")[assistant.act(observations["assistant_0"], infos["assistant_0"])]
        'DECLINE'
    """

    def __init__(
        self,
        settings: str = "",
        *,
        objective: str = "cobb_douglas",
        users: Any = None,
        aggregation: Literal["ser", "esr"] = "ser",
        pricing: str | None = None,
        tolerance: float | str = 1e-5,
        cache: bool = True,
    ) -> None:
        given = {"objective": objective, "users": users, "aggregation": aggregation, "tolerance": tolerance}
        self._given: dict[str, Any] = {**given, "pricing": pricing, **_read(settings)}
        try:
            self._given["tolerance"] = float(self._given["tolerance"])
        except (TypeError, ValueError):
            raise UsageError(f"bayes: expected a number for 'tolerance', got {self._given['tolerance']!r}") from None
        self._cache = cache
        self.name = f"bayes:{settings}" if settings else "bayes"
        self.optimum: Optimum | None = None
        self._scenario: FiniteScenario | None = None
        self.reset(0)

    def __repr__(self) -> str:
        """Return the class and the name."""
        return f"<{type(self).__name__} {self.name!r}>"

    def __deepcopy__(self, memo: dict[int, Any]) -> BayesAssistant:
        """Copies share the solution, which does not change."""
        other = copy.copy(self)
        vars(other).update(_places=dict(self._places), _rng=copy.deepcopy(self._rng, memo))
        return other

    def sit(self, scenario: Scenario, role: Role) -> None:
        """Take the assistant's chair, and solve the game unless that has been done.

        Raises:
            UsageError: It is the user's chair, or the game is not a compiled one.
            SolverError: The game or the population is too large.
        """
        if role != "assistant":
            raise UsageError(f"assistant {self.name!r} plays the assistant, not the user")
        if not isinstance(scenario, FiniteScenario):
            raise UsageError(
                f"assistant {self.name!r} is solved for games of moves (such as gtalign/Assist-v0): in {scenario.name!r} people "
                "speak in turns and in words, so it would not be optimal there; take 'heuristic'"
            )
        if scenario is self._scenario and self.optimum is not None:
            return
        given = self._given
        pricing = given["pricing"] or scenario.pricing
        kernels = self._expected(scenario, pricing)
        self.optimum = optimum(
            scenario,
            kernels,
            objective=given["objective"],
            aggregation=given["aggregation"],
            pricing=pricing,
            tolerance=given["tolerance"],
            cache=self._cache,
            progress=_Teller(scenario.name),
        )
        self._scenario = scenario
        self._unsafe = unsafe_moves(scenario)

    def _expected(self, scenario: FiniteScenario, pricing: Any) -> tuple[UserKernel, ...]:
        """Return who is expected; the error says what to do where those who come cannot be."""
        users = self._given["users"]
        try:
            return population_kernels(users, scenario, pricing)
        except UsageError as error:
            if users is None:
                raise
            known = scenario.layout == ASSIST_LAYOUT
            others = "; against the default mix, whoever comes: bayes:users=default" if known else ""
            raise UsageError(f"assistant {self.name!r} has to know what its users do: {error}{others}") from error

    def reset(self, seed: int) -> None:
        """Begin a new episode."""
        self._rng = np.random.default_rng(seed)
        self._places: dict[int, tuple[Strategy, Place]] = {}

    def act(self, observation: Mapping[str, Any], info: Mapping[str, Any]) -> int:
        """Return the index of the move to make."""
        return self._one(observation, 0)

    def act_batch(self, observations: Sequence[Mapping[str, Any]], infos: Sequence[Mapping[str, Any]]) -> list[int]:
        """Return one move for each game; the same place in the list is the same game from call to call."""
        return [self._one(observation, slot) for slot, observation in enumerate(observations)]

    def _one(self, observation: Mapping[str, Any], slot: int) -> int:
        if self._scenario is None or self.optimum is None:
            raise UsageError(
                f"assistant {self.name!r} has not sat down: call sit(scenario, role) first, as gtalign_env.play does"
            )
        vector = np.asarray(observation["observation"])
        state = self._scenario.locate(vector)
        user, assistant = self._scenario.last_moves(vector)
        if slot not in self._places or (user is None and assistant is None):
            played = self._drawn(self.optimum)
            place = played.begin(state)
        else:
            played, before = self._places[slot]
            place = played.follow(before, -1 if user is None else user, state)
        self._places[slot] = played, place
        move = played.move(place)
        legal = np.flatnonzero(observation["action_mask"])
        if move in legal and not self._unsafe[state, move]:
            return move
        safe = legal[~self._unsafe[state, legal]]
        return int((*safe, *legal, move)[0])

    def _drawn(self, found: Optimum) -> Strategy:
        """Return the strategy of this session."""
        if len(found.policies) == 1:
            return found.policies[0][1]
        return found.policies[int(self._rng.random() >= found.policies[0][0])][1]


class _Teller:
    """Tells somebody at a terminal what takes so long."""

    def __init__(self, name: str) -> None:
        self.name, self.began, self.told = name, time.monotonic(), False

    def __call__(self, words: str) -> None:
        """Say it once, if it takes long."""
        if not self.told and time.monotonic() - self.began > _PATIENCE and sys.stderr.isatty():
            self.told = True
            sys.stderr.write(f"gtalign: solving {self.name!r} for the best assistant, once …\n")
            sys.stderr.flush()


def expecting(spec: str, users: str) -> str:
    """Return an assistant's spec, in which a ``bayes`` that names no users expects those who come.

    Args:
        spec: Any assistant.
        users: Who comes, as ``population`` takes it.

    Example:
        >>> expecting("bayes", "concise=2,expert"), expecting("bayes:objective=egalitarian", "expert")
        ('bayes:users=concise=2,expert', 'bayes:objective=egalitarian,users=expert')
        >>> expecting("bayes:users=default", "expert"), expecting("bayes", "default"), expecting("heuristic", "expert")
        ('bayes:users=default', 'bayes', 'heuristic')
    """
    name, _, settings = spec.partition(":")
    if name != "bayes" or users in ("", "default") or "users" in _read(settings):
        return spec
    return f"bayes:{settings},users={users}" if settings else f"bayes:users={users}"


def _read(settings: str) -> dict[str, str]:
    """Return settings by name; a comma in front of no setting's name belongs to the setting before."""
    found: dict[str, str] = {}
    last = ""
    for piece in settings.split(",") if settings else []:
        name, equals, value = piece.partition("=")
        if equals and name.strip() in _SETTINGS:
            last = name.strip()
            if last in found:
                raise UsageError(f"bayes: setting {last!r} is given twice in {settings!r}")
            found[last] = value.strip()
        elif last:
            found[last] += f",{piece}"
        else:
            raise UsageError(
                f"bayes: expected settings such as objective=egalitarian ({', '.join(_SETTINGS)}), got {settings!r}"
            )
    return found
