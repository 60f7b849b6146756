"""A game against a population of automata, compiled into the states that an assistant can be in.

What is hidden is the kind of user k and its memory m. The assistant sees the public states and the user's moves, so what it
knows splits in two: a distribution over kinds, and for each kind the distribution of its memory given what has been seen. The
second part, the *context*, does not depend on the shares of the kinds and takes few values: a pair (public state, context)
is a node of a finite graph, and only the distribution over kinds is continuous.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from gtalign_env.errors import SolverError, UsageError
from gtalign_env.kernels import UserKernel, normalised
from gtalign_env.pricing import make_pricing

if TYPE_CHECKING:
    from gtalign_env.finite import FiniteScenario
    from gtalign_env.protocols import PricingPolicy

__all__ = ["BeliefGame", "compile_beliefs"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_Template = tuple[tuple[tuple[int, int, int], float, int], ...]
"""What may follow in a state s: (entry of ``next_state[s]``, chance, context) each."""
_DIGITS = 12
"""Contexts and likelihoods that agree to so many digits are one."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class BeliefGame:
    """The decision problem of an assistant.

    Shapes: P pairs (public state, context), in an order in which the game moves forward only; K kinds of user; J messages (the
    user's moves, those that mean the same taken together); A the assistant's moves; C chance nodes.
    """

    names: tuple[str, ...]
    """(K,): the kinds' names."""
    moves: tuple[str, ...]
    """(A,): names of the assistant's moves."""
    prior: Floats
    """(K,): shares of the kinds."""
    state: Ints
    """(P,): the public state of a pair."""
    rank: Ints
    """(P,): the most exchanges that can lie behind a pair; grows along every path."""
    start: Floats
    """(P,): distribution of the first pair."""
    allowed: NDArray[np.bool_]
    """(P, A): legal moves that do not comply with harm. What is said of the others holds as well, but no optimum makes them."""
    message: Ints
    """(P, user moves): the message that each move of the user's is; -1 where it is never made."""
    likelihood: Floats
    """(P, J, K): the chance of a message from each kind."""
    chance: Ints
    """(P, J, A): the chance node that follows; node 0 is the end."""
    offset: Ints
    """(C + 1,): where each chance node's rows in ``following`` and ``weight`` begin."""
    following: Ints
    """The pairs that may follow a chance node…"""
    weight: Floats
    """…with their chances; what is missing to 1 is the end of the session."""
    user: Floats
    """(P, A, K): the user's expected payoff of the exchange, by kind."""
    assistant: Floats
    """(P, A, K): the assistant's, with what it will gain at the end from the user's."""

    @property
    def size(self) -> tuple[int, int, int, int]:
        """P, J, A and K."""
        pairs, messages, moves = self.chance.shape
        return pairs, messages, moves, len(self.prior)

    contexts: int
    """How many contexts there are."""

    def reward(self, weights: tuple[float, float]) -> Floats:
        """Return (P, A, K): the weighted payoffs of an exchange."""
        return weights[0] * self.user + weights[1] * self.assistant

    def without(self, moves: Sequence[str]) -> BeliefGame:
        """Return the game in which the assistant may not make some moves.

        Raises:
            UsageError: There is no such move, or nothing would be left to do somewhere.
        """
        banned = [name in set(moves) for name in self.moves]
        if sum(banned) < len(set(moves)):
            raise UsageError(f"moves: expected some of {', '.join(self.moves)}, got {', '.join(moves)}")
        allowed = self.allowed & ~np.array(banned)
        if not allowed.any(axis=1).all():
            raise UsageError(f"moves: without {', '.join(moves)} there is nothing left to do in some state")
        return dataclasses.replace(self, allowed=allowed)


def compile_beliefs(
    scenario: FiniteScenario,
    kernels: Sequence[UserKernel],
    *,
    pricing: str | PricingPolicy | None = None,
    limit: int = 200_000,
) -> BeliefGame:
    """Compile a scenario and a population.

    Args:
        scenario: A finite game that always moves forward.
        kernels: The kinds of user, for the same scenario and pricing.
        pricing: What the user pays; the scenario's own when ``None``.
        limit: Pairs at most.

    Raises:
        UsageError: A state can come back, kernels are of another game, or in some state every legal move complies with harm.
        SolverError: There are more pairs than ``limit``.

    Example:
        >>> from gtalign_env.registration import load, make_scenario
        >>> scenario = make_scenario("assist", questions=1)
        >>> kernels = load("gtalign_env.agents.users:population_kernels")("concise,detailed", scenario)
        >>> game = compile_beliefs(scenario, kernels)
        >>> game.names, game.allowed.shape[1]
        (('concise', 'detailed'), 8)
    """
    policy = scenario.pricing if pricing is None else make_pricing(pricing)
    kinds = normalised(kernels)
    closure = _Closure(scenario, kinds, limit)
    closure.run()
    return closure.compiled(scenario, policy)


class _Closure:
    """Follows all that may happen, pair by pair; what depends on a state's rules alone is worked out once per set of rules."""

    def __init__(self, scenario: FiniteScenario, kernels: tuple[UserKernel, ...], limit: int) -> None:
        tables = scenario.tables
        shape = tables.next_state.shape
        for kernel in kernels:
            if kernel.follow.shape[1:] != shape or kernel.moves.shape[2] != len(tables.user_moves):
                raise UsageError(
                    f"user kernel {kernel.name!r}: expected one for the game {scenario.name!r} with tables of shape {shape}, got "
                    f"{kernel.follow.shape[1:]}"
                )
        self.tables, self.kernels, self.limit = tables, kernels, limit
        self.kind_of = np.repeat(np.arange(len(kernels)), [kernel.memories for kernel in kernels])
        self.base = np.cumsum([0, *(kernel.memories for kernel in kernels)])
        self.moves = np.concatenate([kernel.moves for kernel in kernels])  # (M, S, N), all memories of all kinds
        self.follow = np.concatenate(
            [kernel.follow.astype(np.int64) + first for kernel, first in zip(kernels, self.base[:-1], strict=True)]
        )
        self.legal = tables.assistant_mask == 1
        self.allowed = _safe_moves(scenario)
        self.act = tables.assistant_act[:-1]
        self._label_branches()
        self.contexts: list[Floats] = []
        self._context_index: dict[bytes, int] = {}
        self._expanded: dict[tuple[int, int], _Expansion] = {}
        self._followed: dict[tuple[int, int, bytes], tuple[_Template, ...]] = {}
        self.pairs: list[tuple[int, int]] = []
        self._pair_index: dict[tuple[int, int], int] = {}
        self.posts: list[tuple[tuple[int, float], ...]] = [()]
        self._post_index: dict[tuple[tuple[int, float], ...], int] = {(): 0}
        self.nodes: list[tuple[_Expansion, Ints]] = []

    def _label_branches(self) -> None:
        """Number the states that may follow each entry, and find the states that follow the same rules."""
        tables = self.tables
        going = (tables.probability > 0.0) & (tables.next_state != tables.terminal)
        first = (tables.next_state[..., :, None] == tables.next_state[..., None, :]) & going[..., None, :]
        self.label = np.where(
            going, first.argmax(axis=-1), -1
        )  # (S, U, A, B): the first branch with the same successor
        follow = np.where(going, self.follow, 0)
        rules: dict[bytes, int] = {}
        self.rule = np.zeros(tables.terminal, dtype=np.int64)
        for s in range(tables.terminal):
            parts = (self.moves[:, s], follow[:, s], tables.probability[s] * going[s], self.label[s], self.legal[s])
            key = b"".join(np.ascontiguousarray(part).tobytes() for part in parts)
            self.rule[s] = rules.setdefault(key, len(rules))

    # -- walking ------------------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Find all pairs, in the order in which they come up."""
        context = np.zeros(self.base[-1])
        context[self.base[:-1] + [kernel.start for kernel in self.kernels]] = 1.0
        first = self._context(context)
        for s in np.flatnonzero(self.tables.initial[:-1] > 0.0):
            self._pair(int(s), first)
        self.openings = len(self.pairs)
        done = 0
        while done < len(self.pairs):
            state, at = self.pairs[done]
            self._visit(state, at)
            done += 1

    def _visit(self, state: int, context: int) -> None:
        key = (int(self.rule[state]), context)
        if key not in self._expanded:
            self._expanded[key] = self._expand(state, context)
        expansion = self._expanded[key]
        following = self.tables.next_state[state]
        posts = np.zeros(len(expansion.templates), dtype=np.int64)
        for i, template in enumerate(expansion.templates):
            post = tuple((self._pair(int(following[at]), to), chance) for at, chance, to in template)
            found = self._post_index.get(post)
            if found is None:
                found = self._post_index[post] = len(self.posts)
                self.posts.append(post)
            posts[i] = found
        self.nodes.append((expansion, posts))

    def _pair(self, state: int, context: int) -> int:
        found = self._pair_index.get((state, context))
        if found is None:
            found = self._pair_index[state, context] = len(self.pairs)
            self.pairs.append((state, context))
            if found >= self.limit:
                raise SolverError(
                    f"optimal assistant: more than {self.limit:,} pairs of a state and of what the users may remember: shorten "
                    "the session, take fewer kinds of user, or raise 'limit'"
                )
        return found

    def _context(self, context: Floats) -> int:
        key = context.tobytes()
        found = self._context_index.get(key)
        if found is None:
            found = self._context_index[key] = len(self.contexts)
            self.contexts.append(context)
        return found

    def _expand(self, state: int, context: int) -> _Expansion:
        """Return what may be heard in a context, and what may follow."""
        held = self.contexts[context]
        count = len(self.kernels)
        joint = held[:, None] * self.moves[:, state]  # (M, N)
        rows = np.zeros((count, joint.shape[1]))
        np.add.at(rows, self.kind_of, joint)  # (K, N)
        message = np.full(joint.shape[1], -1, dtype=np.int64)
        heard: dict[tuple[int, bytes, bytes], int] = {}
        made: dict[tuple[int, bytes], tuple[int, ...]] = {}
        likelihoods: list[Floats] = []
        chances: list[tuple[int, ...]] = []
        templates: dict[_Template, int] = {}
        for u in np.flatnonzero(rows.any(axis=0)):
            row = rows[:, u]
            scale = row[self.kind_of]
            memory = np.round(np.divide(joint[:, u], scale, out=np.zeros(len(scale)), where=scale > 0.0), _DIGITS)
            act = int(self.tables.user_act[u])
            told = np.round(row / row.max(), _DIGITS)
            j = heard.setdefault((act, memory.tobytes(), told.tobytes()), len(heard))
            message[u] = j
            if j < len(likelihoods):
                likelihoods[j] = likelihoods[j] + row
                continue
            likelihoods.append(row)
            key = (act, memory.tobytes())
            if key not in made:
                after = self._follow(state, act, memory)
                made[key] = tuple(templates.setdefault(template, len(templates)) for template in after)
            chances.append(made[key])
        return _Expansion(
            message=message,
            likelihood=np.array(likelihoods),
            chance=np.array(chances),
            templates=list(templates),
            rows=rows,
        )

    def _follow(self, state: int, act: int, memory: Floats) -> tuple[_Template, ...]:
        """Return for each of the assistant's moves what may follow an act of the user's."""
        key = (int(self.rule[state]), act, memory.tobytes())
        if key not in self._followed:
            self._followed[key] = self._templates(state, act, memory)
        return self._followed[key]

    def _templates(self, state: int, act: int, memory: Floats) -> tuple[_Template, ...]:
        """Work that out."""
        label, probability = self.label[state, act], self.tables.probability[state, act]  # (assistant acts, B)
        acts, branches = label.shape
        width = len(memory)
        held = np.flatnonzero(memory)
        chance = np.zeros((acts, branches))
        going = label >= 0
        at = np.broadcast_to(np.arange(acts)[:, None], label.shape)
        np.add.at(chance, (at[going], label[going]), probability[going])
        cell = (at * branches + label)[going]
        to = cell * width + self.follow[held, state, act][:, going]
        share = (probability[going] / chance.reshape(-1)[cell]) * memory[held, None]
        summed = np.bincount(to.reshape(-1), share.reshape(-1), minlength=acts * branches * width).astype(np.float64)
        after = (np.round(summed, _DIGITS) + 0.0).reshape(acts, branches, width)
        found = []
        for move, a in enumerate(self.act):
            template: _Template = ()
            if self.legal[state, move]:
                template = tuple(
                    ((act, int(a), int(b)), float(chance[a, b]), self._context(after[a, b]))
                    for b in np.flatnonzero(chance[a])
                )
            found.append(template)
        return tuple(found)

    # -- results ------------------------------------------------------------------------------------------------------------

    def compiled(self, scenario: FiniteScenario, pricing: PricingPolicy) -> BeliefGame:
        """Return the game as arrays, pairs sorted by rank."""
        offset = np.cumsum([0, *(len(post) for post in self.posts)])
        following = np.array([pair for post in self.posts for pair, _ in post], dtype=np.int64)
        weight = np.array([chance for post in self.posts for _, chance in post])
        state = np.array([s for s, _ in self.pairs])
        width = max(len(expansion.likelihood) for expansion, _ in self.nodes)
        pairs, moves, kinds = len(self.pairs), len(self.act), len(self.kernels)
        chance = np.zeros((pairs, width, moves), dtype=np.int64)
        likelihood = np.zeros((pairs, width, kinds))
        message = np.full((pairs, len(self.tables.user_moves)), -1, dtype=np.int64)
        spoken = np.zeros((pairs, kinds, len(self.tables.user_moves)))
        for p, (expansion, posts) in enumerate(self.nodes):
            heard = len(expansion.likelihood)
            likelihood[p, :heard] = expansion.likelihood
            chance[p, :heard] = posts[expansion.chance]
            message[p] = expansion.message
            spoken[p] = expansion.rows
        rank = _ranks(state, chance, offset, following, self.tables.terminal)
        order = np.argsort(rank, kind="stable")
        place = np.empty_like(order)
        place[order] = np.arange(pairs)
        start = np.zeros(pairs)
        start[: self.openings] = self.tables.initial[state[: self.openings]]
        user, assistant = _payoffs(scenario, self.kernels, pricing, state[order], spoken[order])
        return BeliefGame(
            names=tuple(kernel.name for kernel in self.kernels),
            moves=self.tables.assistant_moves,
            prior=np.array([kernel.share for kernel in self.kernels]),
            state=state[order],
            rank=rank[order],
            start=start[order],
            allowed=self.allowed[state[order]],
            message=message[order],
            likelihood=likelihood[order],
            chance=chance[order],
            offset=offset,
            following=place[following],
            weight=weight,
            user=user,
            assistant=assistant,
            contexts=len(self.contexts),
        )


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class _Expansion:
    """What may be heard in a context under a set of rules, and what may follow, whichever state it is."""

    message: Ints
    likelihood: Floats
    chance: Ints
    """(messages, assistant's moves): indices of ``templates``."""
    templates: list[_Template]
    rows: Floats
    """(K, user moves): the chance of each move."""


def _safe_moves(scenario: FiniteScenario) -> NDArray[np.bool_]:
    """Return (S, A): legal moves after which no outcome is a violation."""
    tables = scenario.tables
    harmful: NDArray[np.bool_] = (np.asarray(tables.outcome.violation) > 0.0) & (tables.probability > 0.0)
    harm = np.any(harmful, axis=(1, 3))  # (S, acts)
    safe: NDArray[np.bool_] = (tables.assistant_mask == 1) & ~np.take(harm, tables.assistant_act[:-1], axis=1)
    stuck = np.flatnonzero(~safe[:-1].any(axis=1))
    if stuck.size:
        where = tables.coordinates(int(stuck[0]))
        raise UsageError(f"scenario {scenario.name!r}: every legal move complies with harm in the state {where}")
    return safe


def _ranks(state: Ints, chance: Ints, offset: Ints, following: Ints, states: int) -> Ints:
    """Return for each pair the longest way to its public state, in exchanges."""
    flat = chance.reshape(len(state), -1)
    source, post = (part.reshape(-1) for part in np.broadcast_arrays(state[:, None], flat))
    known = np.unique(source * len(offset) + post)
    source, post = np.divmod(known, len(offset))
    edges: set[tuple[int, int]] = set()
    for s, c in zip(source.tolist(), post.tolist(), strict=True):
        edges.update((s, to) for to in set(state[following[offset[c] : offset[c + 1]]].tolist()))
    depth = np.zeros(states + 1, dtype=np.int64)
    tails, heads = (
        (np.array(column, dtype=np.int64) for column in zip(*edges, strict=True)) if edges else (state[:0], state[:0])
    )
    for _ in range(states + 1):
        longer = depth.copy()
        np.maximum.at(longer, heads, depth[tails] + 1)
        if (longer == depth).all():
            return depth[state]
        depth = longer
    raise UsageError("optimal assistant: expected a game that moves forward only, but a public state can come back")


def _payoffs(
    scenario: FiniteScenario,
    kernels: Sequence[UserKernel],
    pricing: PricingPolicy,
    state: Ints,
    spoken: Floats,
) -> tuple[Floats, Floats]:
    """Return (P, A, K) of either side: the expected payoff of an exchange, by kind."""
    tables = scenario.tables
    retention = scenario.retention_rate
    acts = tables.next_state.shape[1]
    user = np.empty((len(state), len(tables.assistant_moves), len(kernels)))
    assistant = np.empty_like(user)
    act = np.equal.outer(tables.user_act[:-1], np.arange(acts)).astype(np.float64)  # (N, U)
    for k, kernel in enumerate(kernels):
        paid = scenario.payoff_tables(kernel.user_type, pricing)
        chances = spoken[:, k] @ act  # (P, U)
        for made, items in ((user, paid.user), (assistant, paid.assistant)):
            expected = (items.sum(axis=-1) * tables.probability).sum(axis=-1)[
                :, :, tables.assistant_act[:-1]
            ]  # (S, U, A)
            made[:, :, k] = np.einsum("pu,pua->pa", chances, expected[state])
    if "retention" in scenario.payoff_tables(kernels[0].user_type, pricing).assistant_items:
        assistant += retention * user
    return user, assistant
