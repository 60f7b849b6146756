"""Games played out by plain recursion over histories: slow, and written apart from the solvers that it checks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gtalign_env.finite import FiniteScenario
from gtalign_env.optimal.situations import END
from gtalign_env.types import UserType

History = tuple[tuple[int, int, int], ...]
"""What both have seen: (public state, user's move, assistant's move), one for each exchange."""
Plan = Callable[[History, int], Any]
"""From a history and the public state, the chances of moves."""


class Histories:
    """A small game and its types.

    Args:
        scenario: The game, at its own pricing.
        types: The types of user.
        shares: Their shares.
    """

    def __init__(self, scenario: FiniteScenario, types: Sequence[UserType], shares: Any = (1.0,)) -> None:
        self.scenario, self.types, self.shares, self.tables = scenario, types, list(shares), scenario.tables
        self.paid = [scenario.payoff_tables(theta, scenario.pricing) for theta in types]
        self.beta = scenario.retention_rate if "retention" in self.paid[0].assistant_items else 0.0

    def exchange(self, kind: int, state: int, user: int, assistant: int) -> tuple[float, float, dict[int, float]]:
        """Return what an exchange pays either side, and the chances of what follows it."""
        tables = self.tables
        at = (state, int(tables.user_act[user]), int(tables.assistant_act[assistant]))
        mine = theirs = 0.0
        following: dict[int, float] = {}
        for branch, chance in enumerate(tables.probability[at]):
            if chance > 0.0:
                got = float(self.paid[kind].user[(*at, branch)].sum())
                mine += chance * got
                theirs += chance * (float(self.paid[kind].assistant[(*at, branch)].sum()) + self.beta * got)
                after = int(tables.next_state[(*at, branch)])
                if after != tables.terminal:
                    following[after] = following.get(after, 0.0) + float(chance)
        return mine, theirs, following

    def legal(self, state: int) -> tuple[list[int], list[int]]:
        """Return the legal moves of the user, and those of the assistant that do not comply with harm."""
        tables = self.tables
        users = [u for u, on in enumerate(tables.user_mask[state]) if on]
        safe = []
        for a, on in enumerate(tables.assistant_mask[state]):
            act = tables.assistant_act[a]
            harm = tables.outcome.violation[state, :, act] * (tables.probability[state, :, act] > 0.0)
            if on and not harm.any():
                safe.append(a)
        return users, safe

    def openings(self) -> list[tuple[int, float]]:
        """Return the openings with their chances."""
        return [(s, float(p)) for s, p in enumerate(self.tables.initial[:-1]) if p > 0.0]

    def value(self, kind: int, user: Plan, assistant: Plan) -> tuple[float, float]:
        """Return what both get where they play by plans."""

        def go(history: History, state: int) -> tuple[float, float]:
            mine = theirs = 0.0
            for u, p in enumerate(user(history, state)):
                for a, q in enumerate(assistant(history, state)):
                    if p * q > 0.0:
                        got, earned, following = self.exchange(kind, state, u, a)
                        for after, chance in following.items():
                            later = go((*history, (state, u, a)), after)
                            got, earned = got + chance * later[0], earned + chance * later[1]
                        mine, theirs = mine + p * q * got, theirs + p * q * earned
            return mine, theirs

        both = [(chance, go((), state)) for state, chance in self.openings()]
        return sum(c * v[0] for c, v in both), sum(c * v[1] for c, v in both)

    def best_user(self, kind: int, assistant: Plan) -> float:
        """Return the most that a user can get who remembers everything."""

        def go(history: History, state: int) -> float:
            worth = []
            for u in self.legal(state)[0]:
                total = 0.0
                for a, q in enumerate(assistant(history, state)):
                    if q > 0.0:
                        got, _, following = self.exchange(kind, state, u, a)
                        total += q * (got + sum(c * go((*history, (state, u, a)), s) for s, c in following.items()))
                worth.append(total)
            return max(worth)

        return sum(chance * go((), state) for state, chance in self.openings())

    def best_assistant(self, users: Sequence[Plan], weights: tuple[float, float]) -> float:
        """Return the most that an assistant can get of weighted payoffs, which remembers everything and never serves harm."""

        def go(history: History, state: int, masses: Sequence[float]) -> float:
            chances = [plan(history, state) for plan in users]
            worth = []
            for a in self.legal(state)[1]:
                total = 0.0
                for u in self.legal(state)[0]:
                    heard = [mass * chance[u] for mass, chance in zip(masses, chances, strict=True)]
                    if sum(heard) == 0.0:
                        continue
                    following: dict[int, float] = {}
                    for kind, mass in enumerate(heard):
                        got, earned, following = self.exchange(kind, state, u, a)
                        total += mass * (weights[0] * got + weights[1] * earned)
                    for after, chance in following.items():
                        total += go((*history, (state, u, a)), after, [chance * mass for mass in heard])
                worth.append(total)
            return max(worth)

        return sum(go((), state, [chance * share for share in self.shares]) for state, chance in self.openings())


def plan_of(kernel: Any) -> Any:
    """Return an assistant's automaton as a plan over histories, by following its graph."""
    graph = kernel.graph
    rows = np.repeat(np.arange(len(graph.row_state)), np.diff(graph.span))

    def plan(history: History, state: int) -> Any:
        situation = graph.first[history[0][0] if history else state]
        for (_, user, assistant), after in zip(history, [*(s for s, _, _ in history[1:]), state], strict=False):
            ways = [int(to) for to in graph.follow[rows[situation], user, assistant] if to != END]
            (situation,) = {to for to in ways if graph.state[to] == after}
        return kernel.moves[situation]

    return plan
