"""Assistants as finite automata: what they remember, what they do by it, and what they remember next.

An assistant remembers by what it sees: the public states, the user's moves and its own. So does the user, who can follow its
memory step by step; that is what makes the best response to it a plain decision problem (``responses``).
"""

from __future__ import annotations

import copy
import dataclasses
import pickle
from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from gtalign_env.errors import UsageError
from gtalign_env.finite import FiniteState
from gtalign_env.optimal.situations import Memory, Situations, exchanges, situations, walked
from gtalign_env.protocols import Sitter

if TYPE_CHECKING:
    from gtalign_env.finite import FiniteScenario
    from gtalign_env.protocols import Policy, PricingPolicy

__all__ = ["AssistantKernel", "Automaton", "automaton_kernel", "fixed_kernel", "policy_kernel"]

Floats = NDArray[np.float64]
_LIMIT = 20_000


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class AssistantKernel:
    """An assistant as a finite automaton. A memory in a public state is a *situation* (X of them).

    Args:
        name: What it is called.
        graph: Its situations: what follows the user's move, its own, and the next public state.
        moves: (X, A): the chance of each of its moves.

    Example:
        >>> from gtalign_env.registration import make_scenario
        >>> kernel = fixed_kernel(make_scenario("assist"), "DA_short")
        >>> kernel.moves.shape, kernel.graph.recall
        ((88, 8), 'none')
    """

    name: str
    graph: Situations
    moves: Floats

    def __post_init__(self) -> None:
        """Refuse moves that do not fit the situations."""
        shape = (self.graph.size, self.graph.follow.shape[2])
        if self.moves.shape != shape:
            raise UsageError(
                f"assistant kernel {self.name!r}: expected moves of shape {shape} (situations, moves), got {self.moves.shape}"
            )
        if (self.moves < 0.0).any() or not np.allclose(self.moves.sum(axis=1), 1.0, rtol=0.0, atol=1e-9):
            raise UsageError(f"assistant kernel {self.name!r}: the chances of the moves do not sum to 1 everywhere")


class Automaton(Protocol):
    """A deterministic assistant that tells where it goes; ``Strategy`` is one."""

    def begin(self, state: int, /) -> Hashable:
        """Return the place in which it starts in a public state."""
        ...

    def move(self, place: Any, /) -> int:
        """Return the move that it makes in a place."""
        ...

    def follow(self, place: Any, user_move: int, state: int, /) -> Hashable:
        """Return the next place, when the user has made a move and a public state has come up."""
        ...


def fixed_kernel(scenario: FiniteScenario, move: str) -> AssistantKernel:
    """Return the assistant that makes one move for ever; the first legal one where that is illegal.

    Raises:
        UsageError: There is no such move.

    Example:
        >>> from gtalign_env.registration import make_scenario
        >>> fixed_kernel(make_scenario("assist"), "CQ").name
        'fixed:CQ'
    """
    tables = scenario.tables
    if move not in tables.assistant_moves:
        raise UsageError(f"fixed assistant: expected a move of {', '.join(tables.assistant_moves)}, got {move!r}")
    graph = situations(scenario, "none")
    legal = tables.assistant_mask[graph.state] == 1
    index = tables.assistant_moves.index(move)
    made = np.where(legal[:, index], index, legal.argmax(axis=1))
    return AssistantKernel(name=f"fixed:{move}", graph=graph, moves=np.eye(legal.shape[1])[made])


def automaton_kernel(
    scenario: FiniteScenario, name: str, automata: Sequence[tuple[float, Automaton]], *, limit: int = _LIMIT
) -> AssistantKernel:
    """Return one automaton, or several of which one is drawn before the session, as a kernel.

    Nobody sees which one was drawn, but a move that some of them would not have made tells: as many as may still be playing are
    remembered, and the move is drawn from theirs. That plays exactly as the draw at the start does (Kuhn 1953).

    Args:
        scenario: The game.
        name: What it is called.
        automata: Shares, summing to 1, and automata; ``Optimum.policies`` are some.
        limit: Situations at most.

    Raises:
        SolverError: There are more situations than ``limit``.

    Example:
        >>> from gtalign_env.optimal import optimum
        >>> from gtalign_env.registration import load, make_scenario
        >>> scenario = make_scenario("assist", questions=1)
        >>> users = load("gtalign_env.agents.users:population_kernels")("concise,detailed", scenario)
        >>> best = optimum(scenario, users, cache=False)
        >>> kernel = automaton_kernel(scenario, "optimum", best.policies)
        >>> kernel.moves.shape[1]
        8
    """

    def moves(_: int, past: Any) -> list[int]:
        return sorted({automata[which][1].move(place) for which, place in past})

    def after(_: int, past: Any, user: int, assistant: int, following: int) -> Hashable:
        return tuple(
            (which, automata[which][1].follow(place, user, following))
            for which, place in past
            if automata[which][1].move(place) == assistant
        )

    memory = Memory(
        first=lambda state: tuple((which, automaton.begin(state)) for which, (_, automaton) in enumerate(automata)),
        line=lambda state, past: (state, past),
        moves=moves,
        after=after,
    )
    graph, met = walked(exchanges(scenario, scenario.mix.types[:1]), memory, name, limit)
    made = np.zeros((graph.size, len(scenario.tables.assistant_moves)))
    for situation, (_, past) in enumerate(met):
        for which, place in past:
            made[situation, automata[which][1].move(place)] += automata[which][0]
    return AssistantKernel(name=name, graph=graph, moves=made / made.sum(axis=1, keepdims=True))


def policy_kernel(
    scenario: FiniteScenario,
    policy: Policy,
    *,
    pricing: PricingPolicy | None = None,
    limit: int = _LIMIT,
) -> AssistantKernel:
    """Return a policy as a kernel, by asking it for its move after everything that may happen.

    Args:
        scenario: The game.
        policy: An assistant that draws nothing at random and can be pickled; what it remembers is its own affair. It is left as
            it was.
        pricing: What the user pays, which it sees; the scenario's own when ``None``.
        limit: Situations at most. A policy that remembers all that it has heard has very many in a long session.

    Raises:
        UsageError: It draws at random, or cannot be pickled.
        SolverError: There are more situations than ``limit``.

    Example:
        >>> from gtalign_env.registration import load, make_scenario
        >>> heuristic = load("gtalign_env.agents.assistants:HeuristicAssistant")()
        >>> policy_kernel(make_scenario("assist", questions=1), heuristic).name
        'heuristic'
    """
    asked = _Asked(scenario, policy, scenario.pricing if pricing is None else pricing)
    return automaton_kernel(scenario, policy.name, [(1.0, asked)], limit=limit)


class _Asked:
    """A policy as an automaton: a place is what it remembers after its move, and the move."""

    def __init__(self, scenario: FiniteScenario, policy: Policy, pricing: PricingPolicy) -> None:
        self.scenario, self.name = scenario, policy.name
        self.ledger = scenario.ledger(scenario.mix.types[0], pricing)  # what the assistant sees does not depend on θ
        fresh = copy.deepcopy(policy)
        if isinstance(fresh, Sitter):
            fresh.sit(scenario, "assistant")
        self.seeded = []
        for seed in (0, 1):
            fresh.reset(seed)
            self.seeded.append(self._kept(fresh))

    def begin(self, state: int) -> Hashable:
        return self._ask(tuple(self.seeded), FiniteState(state, self.ledger))

    def move(self, place: Any) -> int:
        return int(place[0])

    def follow(self, place: Any, user_move: int, state: int) -> Hashable:
        return self._ask(place[1], FiniteState(state, self.ledger, user_move, self.move(place)))

    def _ask(self, memories: tuple[bytes, ...], state: FiniteState) -> Hashable:
        """Return the move and the memories after it, one for each seed."""
        scenario = self.scenario
        observation = {
            "observation": scenario.observe(state, "assistant"),
            "action_mask": scenario.action_mask(state, "assistant"),
        }
        moves, kept = set(), []
        for memory in memories:
            policy = pickle.loads(memory)  # noqa: S301 - pickled a moment ago
            moves.add(int(policy.act(observation, scenario.info(state, "assistant"))))
            kept.append(self._kept(policy))
        if len(moves) > 1:
            raise UsageError(
                f"assistant {self.name!r} draws its moves at random, so asking it does not tell what it does: take one that "
                "does not"
            )
        return moves.pop(), tuple(kept)

    def _kept(self, policy: Policy) -> bytes:
        try:
            return pickle.dumps(policy)
        except (pickle.PicklingError, TypeError, AttributeError) as problem:
            raise UsageError(
                f"assistant {self.name!r} cannot be pickled, so its memory cannot be told apart: {problem}"
            ) from problem
