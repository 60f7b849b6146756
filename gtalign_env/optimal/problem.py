"""The decision problem of an assistant, and what it is asked: lines, optima, values of policies and of information."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gtalign_env.errors import SolverError, UsageError
from gtalign_env.kernels import UserKernel, normalised
from gtalign_env.optimal.beliefs import BeliefGame, compile_beliefs
from gtalign_env.optimal.bounds import Bounds, Lattice, bounds
from gtalign_env.optimal.frontier import Frontier, Reached, best_mixture
from gtalign_env.optimal.search import Search
from gtalign_env.optimal.simplex import Grid
from gtalign_env.optimal.strategy import Strategy, strategy
from gtalign_env.pricing import make_pricing
from gtalign_env.welfare import Criterion

if TYPE_CHECKING:
    from gtalign_env.finite import FiniteScenario
    from gtalign_env.protocols import PricingPolicy

__all__ = ["Asking", "Problem"]

Floats = NDArray[np.float64]
Pair = tuple[float, float]
Progress = Callable[[str], None]

_NUMBERS = 300_000_000
"""Numbers that the plans of a backward pass may hold."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Asking:
    """What asking is worth in an opening, under the weights of a line."""

    opening: dict[str, str]
    chance: float
    best: dict[str, float]
    """The value of the opening where a move of this group is made first and all goes on as well as it can."""


class Problem:
    """A scenario and a population, compiled for the assistant's chair.

    Args:
        scenario: A finite game that always moves forward.
        kernels: The kinds of user, for the same scenario and pricing.
        pricing: What the user pays; the scenario's own when ``None``.
        points: Points of the grid of beliefs that bounds are computed on. More take longer and leave less to search.
        limit: Beliefs that a search may hold; where they do not suffice, results are brackets.
        progress: Told in a few words what is going on.

    Attributes:
        game: The compiled game.
        searched: The most beliefs that a search held.

    Raises:
        SolverError: The game or the population is too large.

    Example:
        >>> from gtalign_env.registration import load, make_scenario
        >>> scenario = make_scenario("assist", questions=1)
        >>> kernels = load("gtalign_env.agents.users:population_kernels")("concise,detailed", scenario)
        >>> problem = Problem(scenario, kernels)
        >>> best = problem.best("cobb_douglas")
        >>> best.value > max(problem.fixed(move)[0] for move in ("DA_short", "CQ"))
        True
    """

    def __init__(
        self,
        scenario: FiniteScenario,
        kernels: Sequence[UserKernel],
        *,
        pricing: str | PricingPolicy | None = None,
        points: int = 84,
        limit: int = 2_000_000,
        progress: Progress | None = None,
    ) -> None:
        self.scenario = scenario
        self.kernels = normalised(kernels)
        self.pricing = scenario.pricing if pricing is None else make_pricing(pricing)
        self.points, self.limit = points, limit
        self.progress: Progress = progress or (lambda words: None)
        self.searched = 0
        self.progress("compiling the game")
        self._adopt(compile_beliefs(scenario, self.kernels, pricing=self.pricing))

    def _adopt(self, game: BeliefGame) -> None:
        self.game = game
        grid = Grid.of_size(len(game.prior), self.points)
        if math.prod((game.size[0], *grid.points.shape, 2)) > _NUMBERS:
            raise SolverError(
                f"optimal assistant: {len(self.kernels)} kinds of user in {game.size[0]:,} pairs of state and context are too "
                "many for the bounds: shorten the session, or take personas without 'spread' and fewer of them"
            )
        self.lattice = Lattice(game, self.points)
        self._bounds: Bounds | None = None
        self._search: Search | None = None

    # -- optima -------------------------------------------------------------------------------------------------------------

    def reach(self, weights: Pair, tolerance: float = 1e-7) -> Reached:
        """Return the best policy for a linear objective; its ``handle`` is the ``Strategy``.

        Args:
            weights: What a util of the user and of the assistant count.
            tolerance: How far apart the bounds may stay, in weighted utils.
        """
        search = self.search(weights, tolerance)
        found = strategy(search)
        return Reached(weights=weights, upper=search.root()[0], payoffs=found.payoffs, handle=found)

    def search(self, weights: Pair, tolerance: float) -> Search:
        """Return a search for a linear objective, run; the last one goes on where it was."""
        if self._search is None or self._search.bounds.weights != weights:
            self._search = Search(self.bounds(weights))
        self.progress(f"searching {self._search.nodes:,} beliefs or more")
        self._search.run(tolerance=tolerance, limit=self.limit)
        self.searched = max(self.searched, self._search.nodes)
        return self._search

    def best(self, objective: str | Criterion, *, tolerance: float = 1e-6, near: Pair = (0.5, 0.5)) -> Frontier:
        """Return the best mean payoffs (``ser``): at most two policies, one of which is drawn per session.

        Args:
            objective: A welfare criterion, concave or linear.
            tolerance: How far apart the bounds may stay, as a share of the value.
            near: The weights to begin with (see ``best_mixture``).
        """
        return best_mixture(self.reach, objective, tolerance=tolerance, near=near)

    def told(self, objective: str | Criterion, *, tolerance: float = 1e-6) -> Frontier:
        """Return the best mean payoffs of an assistant that is told the kind of user at the start."""
        game = self.game
        certain = Lattice(game, len(game.prior))  # its points are the corners: somebody who is told needs no others
        corner = [int(at) for at in (certain.grid.points @ np.eye(len(game.prior)) >= 1.0 - 1e-12).argmax(axis=0)]
        first = np.flatnonzero(game.start)

        def oracle(weights: Pair, _: float) -> Reached:
            found = bounds(game, weights, certain)
            upper = game.start[first] @ found.upper[first][:, corner] @ game.prior
            by_kind = np.stack(
                [game.start[first] @ found.payoffs[first, at, kind] for kind, at in enumerate(corner)]
            )  # (K, 2)
            user, assistant = (game.prior @ by_kind).tolist()
            return Reached(weights=weights, upper=float(upper), payoffs=(user, assistant))

        return best_mixture(oracle, objective, tolerance=tolerance)

    def without(self, moves: Sequence[str]) -> Problem:
        """Return the problem in which the assistant may not make some moves."""
        other = object.__new__(Problem)
        other.__dict__.update(self.__dict__)
        other._adopt(self.game.without(moves))
        other.searched = 0
        return other

    def asking(
        self, weights: Pair, groups: Mapping[str, Sequence[str]], *, tolerance: float = 1e-4
    ) -> tuple[Asking, ...]:
        """Return what first moves are worth in every opening, under the weights of a line.

        Args:
            weights: What a util of the user and of the assistant count.
            groups: Names of moves by the name of their group.
            tolerance: How exact, in weighted utils.
        """
        search = self.search(weights, tolerance)
        game, made = self.game, []
        for place, node in enumerate(search.openings):
            pair = int(search.table.pair[node])
            best: dict[str, float] = {}
            for group, names in groups.items():
                values = []
                for move in (game.moves.index(name) for name in names):
                    if game.allowed[pair, move]:
                        search.run(tolerance=tolerance, limit=self.limit, forced=(place, move))
                        values.append(search.forced_value(place, move)[1])
                if values:
                    best[group] = max(values)
            opening = self.scenario.tables.coordinates(int(game.state[pair]))
            made.append(Asking(opening=opening, chance=float(game.start[pair]), best=best))
        self.searched = max(self.searched, search.nodes)
        return tuple(made)

    def bounds(self, weights: Pair) -> Bounds:
        """Return the bounds for a line; the last ones are kept."""
        if self._bounds is None or self._bounds.weights != weights:
            self.progress("bounding what can be had")
            began = time.perf_counter()
            self._bounds = self._search = None  # one at a time: both are large
            self._bounds = bounds(self.game, weights, self.lattice)
            self.progress(f"bounded in {time.perf_counter() - began:.1f} s")
        return self._bounds

    # -- other policies -----------------------------------------------------------------------------------------------------

    def fixed(self, move: str) -> Pair:
        """Return the exact mean payoffs of making one move for ever, as ``fixed:MOVE`` does.

        Raises:
            UsageError: There is no such move, or it is not always legal.
        """
        tables = self.scenario.tables
        if move not in tables.assistant_moves:
            raise UsageError(f"fixed policy: expected a move of {', '.join(tables.assistant_moves)}, got {move!r}")
        index = tables.assistant_moves.index(move)
        if not tables.assistant_mask[:-1, index].all():
            raise UsageError(f"fixed policy: {move!r} is not legal in every state of {self.scenario.name!r}")
        return self.stationary(np.eye(len(tables.assistant_moves))[np.full(len(tables.assistant_mask), index)])

    def stationary(self, policy: Any) -> Pair:
        """Return the exact mean payoffs of a policy that looks at the public state alone.

        Args:
            policy: (S,) the index of the move in each state, or (S, A) the chance of each.

        Raises:
            UsageError: It has another shape.
        """
        game = self.game
        given = np.asarray(policy)
        moves = game.size[2]
        if given.ndim == 1 and given.dtype.kind in "iu" and given.size > game.state.max():
            given = np.eye(moves)[given]
        if given.ndim != 2 or given.shape[1] != moves or len(given) <= game.state.max():
            raise UsageError(f"policy: expected moves (S,) or chances (S, {moves}), got shape {np.shape(policy)}")
        chosen = given[game.state]  # (P, A)
        worth = np.stack([(chosen[..., None] * side).sum(axis=1) for side in (game.user, game.assistant)], axis=-1)
        pair, message, move = np.nonzero((game.chance > 0) & (chosen[:, None] > 0.0))
        chance = game.chance[pair, message, move]
        count = game.offset[chance + 1] - game.offset[chance]
        source = np.repeat(np.arange(len(pair)), count)
        at = game.offset[chance][source] + np.arange(len(source)) - np.repeat(np.cumsum(count) - count, count)
        share = chosen[pair, move][source] * game.weight[at]
        share = share[:, None] * game.likelihood[pair, message][source]  # (edges, K)
        rank = game.rank[pair][source]
        for here in range(int(game.rank.max()), -1, -1):
            some = np.flatnonzero(rank == here)
            np.add.at(worth, pair[source[some]], share[some, :, None] * worth[game.following[at[some]]])
        user, assistant = (game.prior @ np.einsum("p,pkw->kw", game.start, worth)).tolist()
        return user, assistant

    def value(self, found: Strategy) -> Pair:
        """Return the exact mean payoffs of a strategy against this problem's shares of the kinds."""
        user, assistant = (self.game.prior @ found.by_kind).tolist()
        return user, assistant
