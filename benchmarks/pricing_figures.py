"""Every figure that docs/pricing.md states, computed anew; the tables that it prints are section 3 of that page.

    python benchmarks/pricing_figures.py        about ten seconds, no random outcome: the seed is fixed

What is *solved* are the six opening states of ``assist``, weighted by their chance, with the default users. What is *played* is
500 sessions of the heuristic assistant with the default users, seed 0, as in ``game_figures.py``.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from gtalign_env import parallel_env
from gtalign_env.agents.assistants import make_assistant
from gtalign_env.agents.users import population
from gtalign_env.finite import FiniteScenario
from gtalign_env.games.cells import pure_nash_cells
from gtalign_env.mechanism import Cell, pricing_report
from gtalign_env.payoffs import GRID
from gtalign_env.play import play_many
from gtalign_env.pricing import PRICING, make_pricing
from gtalign_env.registration import make_scenario

SESSIONS = 500
SEED = 0


def solved() -> list[str]:
    """Return the table of the stage games, one row per policy."""
    head = ["policy", "equilibria (share of states)", "U + L", "best", "lost", "asks", "over", "under", "n", "n − n*"]
    rows = []
    for row in pricing_report(make_scenario("assist")):
        assert row.asking is not None
        assert row.verbosity_excess is not None
        asking = row.asking
        shares = (asking.asks, asking.over_asking, asking.under_asking)
        utils = (row.at_equilibrium.total, row.at_optimum.total, row.deadweight_loss)
        numbers = [f"{number:.2f}" for number in (*utils, *shares)]
        lengths = [f"{row.tokens:.0f}", f"{row.verbosity_excess:+.0f}"]
        rows.append([f"`{row.pricing}`", _cells(row.pure_nash), *numbers, *lengths])
    return _table(head, rows)


def optima() -> list[str]:
    """Return the cells with the greatest sum of payoffs, by policy where they differ."""
    cells: dict[str, list[str]] = {}
    for row in pricing_report(make_scenario("assist")):
        cells.setdefault(_cells(row.optimum), []).append(f"`{row.pricing}`")
    return _table(["best cells (share of states)", "policies"], [[c, ", ".join(names)] for c, names in cells.items()])


def moved() -> list[str]:
    """Return in how many pairs of a state and a type the solutions differ from those under the default pricing.

    Types have price sensitivity 1 here, so that prices are pure transfers. An *exchange* is looked at by itself; the *stage game*
    adds what follows, and the provider's share in the user's gains (retention), which a price lessens.
    """
    rows = []
    for name in list(PRICING)[1:]:
        counts, possible = np.zeros(5, dtype=int), 0
        for flat, other in zip(solutions("subscription"), solutions(name), strict=True):
            counts += [one != two for one, two in zip(flat, other, strict=True)]
            possible += bool(flat[3] and other[3])
            counts[3] -= bool(flat[3]) != bool(other[3])  # no pair to compare
        total = len(solutions(name))
        of = (total, total, total, possible, total)
        rows.append([f"`{name}`", *(f"{count} of {among}" for count, among in zip(counts, of, strict=True))])
    head = ["exchange: best U + L", "pure equilibria", "stage game: pure equilibria", "best √UL", "best U + L"]
    return _table(["against `subscription`", *head], rows)


@functools.cache
def solutions(pricing: str) -> list[tuple[frozenset[int], ...]]:
    """Return for each pair the cells that solve it in the five senses of ``moved``, none where no cell does."""
    scenario = make_scenario("assist")
    assert isinstance(scenario, FiniteScenario)
    found: list[tuple[frozenset[int], ...]] = []
    for theta in (theta for theta in scenario.known_types.values() if theta.price_sensitivity == 1.0):
        tables = scenario.payoff_tables(theta, make_pricing(pricing))
        acts = scenario.user_acts.values(), scenario.assistant_acts.values()
        cells = np.ix_(range(scenario.tables.terminal), *map(list, acts))
        user, assistant = (
            (scenario.tables.probability * items.sum(axis=-1)).sum(axis=-1)[cells]
            for items in (tables.user, tables.assistant)
        )  # (states, rows, columns)
        for state in range(scenario.tables.terminal):
            game = scenario.stage_game(scenario.tables.coordinates(state), theta, pricing)
            both = np.sqrt(np.maximum(game.user, 0.0) * np.maximum(game.assistant, 0.0))
            found.append(
                (
                    _most(user[state] + assistant[state]),
                    _where(pure_nash_cells(user[state], assistant[state])),
                    _where(pure_nash_cells(game.user, game.assistant)),
                    _most(both) if both.any() else frozenset(),
                    _most(game.user + game.assistant),
                )
            )
    return found


def _most(cells: NDArray[np.float64]) -> frozenset[int]:
    """Return the cells with the greatest value; what the payoff grid rounds off does not count."""
    return _where(cells >= cells.max() - 16 * GRID)


def _where(mask: NDArray[np.bool_]) -> frozenset[int]:
    return frozenset(np.flatnonzero(mask).tolist())


@functools.cache
def played(pricing: str) -> tuple[float, ...]:
    """Return mean price, provider's revenue, U, L and the share of users who lose by having come, per session."""
    env = parallel_env("assist", pricing=pricing)
    rows = []
    for episode in play_many(env, population("default"), make_assistant("heuristic"), episodes=SESSIONS, seed=SEED):
        user, assistant = episode.totals()
        revenue = sum(step.assistant.items["revenue"] for step in episode.steps)
        rows.append((revenue, user, assistant, float(user < 0.0)))
    return tuple(np.array(rows).mean(axis=0).tolist())


def sessions() -> list[str]:
    """Return the table of played sessions."""
    rows = [[f"`{name}`", *(f"{number:.2f}" for number in played(name))] for name in PRICING]
    return _table(["policy", "revenue", "U", "L", "share of users with U < 0"], rows)


def _cells(cells: Iterable[Cell]) -> str:
    return ", ".join(f"{cell.user_move} × {cell.assistant_move} {cell.share:.2f}" for cell in cells)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows)]


def tables() -> str:
    """Return all tables as Markdown."""
    return "\n\n".join("\n".join(table) for table in (solved(), optima(), moved(), sessions()))


if __name__ == "__main__":
    print(tables())
