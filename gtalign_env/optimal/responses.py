"""Best responses: what a user of each type would do against an assistant, and what an assistant could have against users.

A user knows its type and sees all that the assistant sees. Of what it sees besides (how good a reply was), nothing bears on what
comes: the assistant does not see it, and payoffs add up. So against an automaton it faces a decision problem on the automaton's
situations, all of them in sight, and one backward pass solves it. Reactions are moves like any other there: cheap talk.

The assistant does not see types, so its best response takes beliefs: ``optimum`` against kernels, ``deviating`` against users who
choose by situation.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from gtalign_env.errors import UsageError
from gtalign_env.kernels import UserKernel, minimal, normalised
from gtalign_env.optimal.assistants import AssistantKernel
from gtalign_env.optimal.passes import Passes
from gtalign_env.optimal.situations import END, exchanges
from gtalign_env.pricing import make_pricing
from gtalign_env.types import UserType

if TYPE_CHECKING:
    from gtalign_env.finite import FiniteScenario
    from gtalign_env.protocols import PricingPolicy

__all__ = ["Deviation", "Response", "acts_of", "best_response", "deviations", "meeting", "response_kernel"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Pair = tuple[float, float]


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Response:
    """What a user of some type does best against an assistant."""

    user_type: UserType
    user: float
    """What it gets by that, E U. No strategy gets it more."""
    assistant: float
    """What the assistant gets from it, E L."""
    moves: Ints
    """(X,): its move in each of the assistant's situations."""
    scenario: FiniteScenario
    against: AssistantKernel

    def kernel(self, share: float = 1.0) -> UserKernel:
        """Return it as a user kernel.

        Raises:
            UsageError: Two of the assistant's moves that it would have to tell apart count as one act.
        """
        name = f"best response of {self.user_type.name}"
        return response_kernel(self.scenario, self.against, self.user_type, self.moves, name=name, share=share)


def best_response(
    scenario: FiniteScenario,
    assistant: AssistantKernel,
    user_type: str | UserType,
    pricing: str | PricingPolicy | None = None,
) -> Response:
    """Return the exact best response of a type of user: its own payoff, undiscounted, by one backward pass.

    Where moves are worth the same, it makes the first: it says nothing, and vaguely, unless that costs it something.

    Args:
        scenario: The game.
        assistant: Whom it responds to.
        user_type: θ, as ``reset`` takes it.
        pricing: What it pays; the scenario's own when ``None``.

    Example:
        >>> from gtalign_env.optimal.assistants import fixed_kernel
        >>> from gtalign_env.registration import make_scenario
        >>> scenario = make_scenario("assist", questions=1)
        >>> found = best_response(scenario, fixed_kernel(scenario, "CQ"), "concise")
        >>> kernel = found.kernel()
        >>> meeting(scenario, kernel, fixed_kernel(scenario, "CQ"))[0] == found.user
        True
    """
    theta = scenario.resolve_type(user_type)
    walk = _walk(scenario, assistant, [theta], pricing)
    worth, moves = walk.best_user(assistant.moves)
    users = np.eye(len(scenario.tables.user_moves))[moves]
    both = walk.mean(walk.worth(users, assistant.moves))[:, 0]
    return Response(
        user_type=theta,
        user=float(walk.mean(worth)[0]),
        assistant=float(both[1]),
        moves=moves[0],
        scenario=scenario,
        against=assistant,
    )


def meeting(
    scenario: FiniteScenario,
    kernel: UserKernel,
    assistant: AssistantKernel,
    pricing: str | PricingPolicy | None = None,
) -> Pair:
    """Return (E U, E L): exactly what a user and an assistant get, who are both automata.

    Example:
        >>> from gtalign_env.optimal.assistants import fixed_kernel
        >>> from gtalign_env.registration import load, make_scenario
        >>> scenario = make_scenario("assist")
        >>> concise, detailed = load("gtalign_env.agents.users:population_kernels")("concise,detailed", scenario)
        >>> short = fixed_kernel(scenario, "DA_short")
        >>> meeting(scenario, concise, short)[0] > meeting(scenario, detailed, short)[0]
        True
    """
    walk = _walk(scenario, assistant, [kernel.user_type], pricing)
    return _meet(scenario, walk, kernel, assistant)


def _walk(
    scenario: FiniteScenario, assistant: AssistantKernel, types: Sequence[UserType], pricing: str | PricingPolicy | None
) -> Passes:
    policy = scenario.pricing if pricing is None else make_pricing(pricing)
    return Passes(assistant.graph, exchanges(scenario, types, policy))


def acts_of(scenario: FiniteScenario) -> tuple[Ints, Ints]:
    """Return the acts of the moves of the user (N,) and of the assistant (A,)."""
    tables = scenario.tables
    return tables.user_act[:-1].astype(np.int64), tables.assistant_act[:-1].astype(np.int64)


def _meet(
    scenario: FiniteScenario, walk: Passes, kernel: UserKernel, assistant: AssistantKernel, kind: int = 0
) -> Pair:
    met = walk.accompany(kernel, acts_of(scenario), assistant.moves)
    user = reply = 0.0
    for _, state, here in walk.rows():
        share = np.einsum("mx,mn,xa->na", met[:, here], kernel.moves[:, state], assistant.moves[here])
        user += float((share * walk.game.pay[0, kind, state]).sum())
        reply += float((share * walk.game.pay[1, kind, state]).sum())
    return user, reply


# -- how exploitable an assistant is ----------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, kw_only=True)
class Deviation:
    """What a kind of user would gain by responding as well as it can."""

    name: str
    share: float
    """Its share of the population."""
    user: float
    """E U of the kind as it is."""
    assistant: float
    """E L from it."""
    best: float
    """E U of its type's best response."""
    then: float
    """E L from that response."""

    @property
    def gain(self) -> float:
        """What it would gain, utils per session."""
        return self.best - self.user

    @property
    def harm(self) -> float:
        """What the assistant would lose by it, utils per session; negative where it would gain."""
        return self.assistant - self.then


def deviations(
    scenario: FiniteScenario,
    kernels: Sequence[UserKernel],
    assistant: AssistantKernel,
    pricing: str | PricingPolicy | None = None,
) -> tuple[Deviation, ...]:
    """Return for each kind of user what it would gain against an assistant: how exploitable the assistant is.

    Example:
        >>> from gtalign_env.optimal.assistants import fixed_kernel
        >>> from gtalign_env.registration import load, make_scenario
        >>> scenario = make_scenario("assist")
        >>> users = load("gtalign_env.agents.users:population_kernels")("concise,detailed", scenario)
        >>> [found.gain >= 0.0 for found in deviations(scenario, users, fixed_kernel(scenario, "DA_short"))]
        [True, True]
    """
    kinds = normalised(kernels)
    walk = _walk(scenario, assistant, [kernel.user_type for kernel in kinds], pricing)
    worth, moves = walk.best_user(assistant.moves)
    users = np.eye(len(scenario.tables.user_moves))[moves]
    then = walk.mean(walk.worth(users, assistant.moves))[1]
    best = walk.mean(worth)
    found = []
    for kind, kernel in enumerate(kinds):
        user, reply = _meet(scenario, walk, kernel, assistant, kind)
        found.append(
            Deviation(
                name=kernel.name,
                share=kernel.share,
                user=user,
                assistant=reply,
                best=float(best[kind]),
                then=float(then[kind]),
            )
        )
    return tuple(found)


# -- a response as an automaton ---------------------------------------------------------------------------------------------


def response_kernel(
    scenario: FiniteScenario,
    assistant: AssistantKernel,
    user_type: UserType,
    moves: NDArray[np.integer],
    *,
    name: str,
    share: float = 1.0,
) -> UserKernel:
    """Return the user that makes one move in each of an assistant's situations, as an automaton that remembers the situation.

    Args:
        scenario: The game.
        assistant: Whose situations they are.
        user_type: θ.
        moves: (X,): its move in each situation.
        name: What it is called.
        share: Its share of a population.

    Raises:
        UsageError: Two of the assistant's moves that lead to different situations count as one act, and a user kernel sees
            acts alone.
    """
    tables, graph = scenario.tables, assistant.graph
    number, counts = _numbered(assistant, moves)
    memories = int(counts.max(initial=1))
    made = np.zeros((memories, tables.terminal + 1, len(tables.user_moves)))
    made[:, : tables.terminal] = np.eye(len(tables.user_moves))[(tables.user_mask[:-1] == 1).argmax(axis=1)]
    made[:, tables.terminal, 0] = 1.0
    follow = np.zeros((memories, *tables.next_state.shape), dtype=np.int16)
    states, rows = graph.state, np.repeat(np.arange(len(graph.row_state)), np.diff(graph.span))
    seen: dict[tuple[int, ...], int] = {}
    for situation in np.flatnonzero(number != END):
        memory, state, move = int(number[situation]), int(states[situation]), int(moves[situation])
        made[memory, state] = np.eye(len(tables.user_moves))[move]
        for assistant_move in np.flatnonzero(assistant.moves[situation]):
            after = graph.follow[rows[situation], move, assistant_move]
            place = (memory, state, int(tables.user_act[move]), int(tables.assistant_act[assistant_move]))
            for branch in np.flatnonzero(after != END):
                to = int(number[after[branch]])
                if seen.setdefault((*place, int(branch)), to) != to:
                    raise UsageError(
                        f"{name}: two moves of the assistant {assistant.name!r} count as one act in {scenario.name!r}, and a "
                        "user kernel cannot tell them apart: it has a value, but is no kernel"
                    )
                follow[(*place, int(branch))] = to
    kernel = UserKernel(name=name, user_type=user_type, share=share, moves=made, follow=follow)
    return minimal(kernel, tables)


def _numbered(assistant: AssistantKernel, moves: NDArray[np.integer]) -> tuple[Ints, Ints]:
    """Return a number for each situation that is met, counted in its public state; openings come first, and are 0."""
    graph = assistant.graph
    number = np.full(graph.size, END, dtype=np.int64)
    counts = np.zeros(len(graph.first), dtype=np.int64)
    met = np.zeros(graph.size, dtype=bool)
    met[graph.first[graph.first != END]] = True
    for row, state in enumerate(graph.row_state):
        here = graph.of(row)
        for situation in np.flatnonzero(met[here]) + here.start:
            number[situation] = counts[state]
            counts[state] += 1
            after = graph.follow[row, int(moves[situation])][assistant.moves[situation] > 0.0]
            met[after[after != END]] = True
    for state in np.flatnonzero(graph.first != END):  # an opening that can also come up later has to be memory 0
        opening = graph.first[state]
        swapped = np.flatnonzero((number == 0) & (graph.state == state))
        number[swapped], number[opening] = number[opening], 0
    return number, counts
