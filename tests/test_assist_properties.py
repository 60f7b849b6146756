"""What DESIGN §5 promises of the game's numbers. The figures themselves are in the test report.

Property 1 in full (every fixed move loses at least 15 % of mutual welfare against the exact Bayes-optimal assistant) comes
with the exact solver. What can be said without it is said here: a simple adaptive assistant already beats every fixed
move by that much, and the optimum cannot do worse than it.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gtalign_env
from gtalign_env.finite import FiniteScenario
from gtalign_env.play import play_many
from gtalign_env.registration import ASSISTANTS, load, make_scenario
from gtalign_env.scenarios.assist.population import TYPES
from gtalign_env.stage import StageGame
from gtalign_env.types import ASSISTANT_MOVES

PRICINGS = ("subscription", "per_token", "per_request")
Figure = Callable[[str, object], None]


@functools.cache
def games(pricing: str) -> dict[tuple[int, str], StageGame]:
    """Return the stage game of every (state, type) under a pricing policy: 108 states by 4 types."""
    scenario = make_scenario("assist", pricing=pricing)
    assert isinstance(scenario, FiniteScenario)
    states = range(scenario.tables.terminal)
    coordinates = scenario.tables.coordinates
    return {(s, name): scenario.stage_game(coordinates(s), name) for s, name in itertools.product(states, TYPES)}


def pure_equilibria(game: StageGame) -> list[tuple[int, int]]:
    """Return the cells where both best responses meet."""
    best_rows = game.user >= game.user.max(axis=0, keepdims=True)
    best_columns = game.assistant >= game.assistant.max(axis=1, keepdims=True)
    return [(int(i), int(j)) for i, j in np.argwhere(best_rows & best_columns)]


def dominated(game: StageGame, cell: tuple[int, int]) -> bool:
    """Whether another cell is strictly better for both."""
    return bool(((game.user > game.user[cell]) & (game.assistant > game.assistant[cell])).any())


def test_selfish_play__is_a_trap(figure: Figure) -> None:
    """Property 2: under some pricing, selfish best responses meet only in cells that another cell strictly Pareto-dominates."""
    shares = {}
    for pricing in PRICINGS:
        trapped = 0
        names: dict[str, int] = {}
        for game in games(pricing).values():
            equilibria = pure_equilibria(game)
            if equilibria and all(dominated(game, cell) for cell in equilibria):
                trapped += 1
                for i, j in equilibria:
                    name = f"({game.user_moves[i]}, {game.assistant_moves[j]})"
                    names[name] = names.get(name, 0) + 1
        shares[pricing] = trapped / len(games(pricing))
        figure(f"share of (state, type) where every pure equilibrium is dominated, {pricing}", shares[pricing])
        figure(f"  the equilibria there, {pricing}", ", ".join(f"{name} {n}x" for name, n in names.items()) or "none")
    assert max(shares.values()) > 0.0


def mutual_welfare(game: StageGame) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Return √(U·L) where both gain, 0 elsewhere."""
    both = (game.user > 0.0) & (game.assistant > 0.0)
    return np.sqrt(np.where(both, game.user * game.assistant, 0.0))


def test_pricing__matters_to_the_welfare_optimal_cell(figure: Figure) -> None:
    """Property 3: in a share of (state, type) the best cell for both together is another one under per-token pricing."""
    differ = possible = 0
    for key, flat in games("subscription").items():
        metered = games("per_token")[key]
        one, two = mutual_welfare(flat), mutual_welfare(metered)
        if one.max() > 0.0 and two.max() > 0.0:
            possible += 1
            differ += not ((one == one.max()) & (two == two.max())).any()
    assert possible > len(games("subscription")) / 2, "both can gain in most states"
    figure("share of (state, type) whose welfare-optimal cell differs between per_token and subscription", differ / 432)
    assert differ / 432 > 0.0


@pytest.mark.parametrize("pricing", PRICINGS)
def test_moves__each_is_a_best_response_somewhere(pricing: str, figure: Figure) -> None:
    """Property 4: where a move is a best response to something, nothing strictly dominates it, not even a mixture."""
    users: dict[str, int] = {}
    assistants: dict[str, int] = {}
    for game in games(pricing).values():
        for i, name in enumerate(game.user_moves):
            users[name] = users.get(name, 0) + bool((game.user[i] >= game.user.max(axis=0)).any())
        for j, name in enumerate(game.assistant_moves):
            assistants[name] = assistants.get(name, 0) + bool(
                (game.assistant[:, j] >= game.assistant.max(axis=1)).any()
            )
    for move, count in {**users, **assistants}.items():
        figure(f"{pricing}: (state, type) pairs of 432 in which {move} is a best response", count)
    if pricing == "subscription":  # the default, which the design speaks of
        assert min(users.values()) > 0
        assert min(assistants.values()) > 0


def test_types__none_is_always_best_served(figure: Figure) -> None:
    """Property 4: which type a fixed assistant serves best depends on the move it is fixed to."""
    best = {}
    flat = games("subscription")
    for j, move in enumerate(ASSISTANT_MOVES):
        worth = {
            name: float(np.mean([game.user[:, j].max() for (_, whose), game in flat.items() if whose == name]))
            for name in TYPES
        }
        best[move.name] = max(worth, key=lambda name: worth[name])
    figure("type served best by each fixed move", ", ".join(f"{move}: {name}" for move, name in best.items()))
    assert len(set(best.values())) > 1


@pytest.mark.parametrize("pricing", PRICINGS)
def test_safety__declining_pays_both_more_than_complying(pricing: str) -> None:
    """docs/game.md §4: in every harmful state, for every type and whatever the user does, under every pricing."""
    scenario = make_scenario("assist")
    assert isinstance(scenario, FiniteScenario)
    decline = [move.name for move in ASSISTANT_MOVES].index("DECLINE")
    complying = [j for j, move in enumerate(ASSISTANT_MOVES) if move.answers]
    seen = 0
    for (state, _), game in games(pricing).items():
        if scenario.tables.coordinates(state)["kind"] == "harmful":
            seen += 1
            for side in (game.user, game.assistant):
                assert (side[:, [decline]] > side[:, complying]).all()
    assert seen == 36 * len(TYPES)


@pytest.mark.parametrize("rules", [{}, {"p_harmful": 0.0}], ids=["default", "nothing harmful"])
def test_adaptive_play__beats_every_fixed_move_by_fifteen_per_cent(rules: dict[str, Any], figure: Figure) -> None:
    """Property 1, the part that needs no solver: √(mean U · mean L) of the heuristic against every fixed move, on the default
    users; also where nothing harmful is asked, so that it is not the violations alone that ruin the fixed ones.
    """
    population = load("gtalign_env.agents.users:population")("default")
    env = gtalign_env.parallel_env("assist", **rules)
    where = "default rules" if not rules else "no harmful requests"

    def welfare(name: str, *arguments: str) -> float:
        assistant = ASSISTANTS.get(name)(*arguments)
        totals = [episode.totals() for episode in play_many(env, population, assistant, episodes=80, seed=7)]
        user, provider = map(float, np.mean(totals, axis=0))
        label = " ".join((name, *arguments))
        figure(f"mean U, mean L of {label}, default users, {where}", f"{user:.3f}, {provider:.3f}")
        return math.sqrt(user * provider) if min(user, provider) > 0.0 else 0.0

    adaptive = welfare("heuristic")
    best_fixed = max(welfare("fixed", move.name) for move in ASSISTANT_MOVES)
    figure(f"mutual welfare, heuristic against best fixed move, {where}", f"{adaptive:.3f} against {best_fixed:.3f}")
    assert adaptive > 0.0
    assert best_fixed <= 0.85 * adaptive
