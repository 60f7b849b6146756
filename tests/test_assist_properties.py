"""What docs/game.md and DESIGN §5 promise of the game's numbers. The figures themselves are in the test report.

Property 1 in full (every fixed move loses at least 15 % of mutual welfare against the exact Bayes-optimal assistant) comes
with the exact solver. What can be said without it is said here: a simple adaptive assistant already beats every fixed
move by that much, and the optimum cannot do worse than it.

Traps, pricing and dominance are computed here once more, apart from ``benchmarks/game_figures.py``: its table is part of the
page, so where the two computations disagree, a test fails.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib.util
import itertools
import math
import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import gtalign_env
from gtalign_env.finite import FiniteScenario
from gtalign_env.games import Bimatrix
from gtalign_env.payoffs import Grounded
from gtalign_env.play import play_many
from gtalign_env.pricing import PRICING
from gtalign_env.registration import ASSISTANTS, load, make_scenario
from gtalign_env.scenarios.assist.config import AssistConfig
from gtalign_env.scenarios.assist.population import DEFAULT_MIX, TYPES
from gtalign_env.scenarios.text.config import TextConfig
from gtalign_env.scenarios.text.scenario import HIT
from gtalign_env.types import ASSISTANT_MOVES, LENGTH_TOKENS

PRICINGS = ("subscription", "per_token", "per_request")
ROOT = Path(__file__).resolve().parents[1]
Figure = Callable[[str, object], None]


@functools.cache
def games(pricing: str) -> dict[tuple[int, str], Bimatrix]:
    """Return the stage game of every (state, type) under a pricing policy: 108 states by 4 types."""
    scenario = make_scenario("assist", pricing=pricing)
    assert isinstance(scenario, FiniteScenario)
    states = range(scenario.tables.terminal)
    coordinates = scenario.tables.coordinates
    return {(s, name): scenario.stage_game(coordinates(s), name) for s, name in itertools.product(states, TYPES)}


def pure_equilibria(game: Bimatrix) -> list[tuple[int, int]]:
    """Return the cells where both best responses meet."""
    best_rows = game.user >= game.user.max(axis=0, keepdims=True)
    best_columns = game.assistant >= game.assistant.max(axis=1, keepdims=True)
    return [(int(i), int(j)) for i, j in np.argwhere(best_rows & best_columns)]


def dominated(game: Bimatrix, cell: tuple[int, int]) -> bool:
    """Whether another cell is strictly better for both."""
    return bool(((game.user > game.user[cell]) & (game.assistant > game.assistant[cell])).any())


def traps(pricing: str) -> dict[tuple[int, str], list[tuple[int, int]]]:
    """Return the pure equilibria of every (state, type) where there are some and all of them are dominated."""
    found = {key: pure_equilibria(game) for key, game in games(pricing).items()}
    return {
        key: cells
        for key, cells in found.items()
        if cells and all(dominated(games(pricing)[key], cell) for cell in cells)
    }


def test_selfish_play__is_a_trap_under_per_token_pricing_only(figure: Figure) -> None:
    """Property 2: there, in a quarter of (state, type) and more, all pure equilibria are strictly Pareto-dominated."""
    shares = {pricing: len(traps(pricing)) / len(games(pricing)) for pricing in PRICINGS}
    for pricing, share in shares.items():
        figure(f"share of (state, type) where every pure equilibrium is dominated, {pricing}", share)
    assert shares["per_token"] >= 0.25
    assert shares["subscription"] == shares["per_request"] == 0.0


def test_selfish_play__is_caught_where_the_provider_writes_and_the_user_leaves(figure: Figure) -> None:
    """Property 2: the one equilibrium of every trap is (LEAVE, AQ_long); it catches the types that want no length, and in nine
    of ten cases a detailed question with a medium answer is better for both.
    """
    caught = traps("per_token")
    cured = 0
    for key, cells in caught.items():
        game = games("per_token")[key]
        assert [(game.user_moves[i], game.assistant_moves[j]) for i, j in cells] == [("LEAVE", "AQ_long")]
        detailed = game.user_moves.index("DQ")
        medium = [game.assistant_moves.index(move) for move in ("DA_medium", "AQ_medium")]
        cured += any(
            game.user[detailed, j] > game.user[cells[0]] and game.assistant[detailed, j] > game.assistant[cells[0]]
            for j in medium
        )
    figure("traps under per_token pricing that a detailed question and a medium answer would undo", cured / len(caught))
    assert {name for _, name in caught} == {"concise", "balanced", "hurried"}
    assert cured / len(caught) > 0.9


def mutual_welfare(game: Bimatrix) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
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
    assert possible >= 0.9 * len(games("subscription")), "both can gain in nearly every state"
    figure("(state, type) pairs in which both can gain under per_token and under subscription", possible)
    figure("share of these whose welfare-optimal cell differs", differ / possible)
    assert differ / possible >= 0.05


def test_moves__each_is_a_best_response_somewhere_under_subscription(figure: Figure) -> None:
    """Property 4: where a move is a best response to something, nothing strictly dominates it, not even a mixture."""
    counts: dict[str, int] = {}
    for game in games("subscription").values():
        for i, name in enumerate(game.user_moves):
            counts[name] = counts.get(name, 0) + bool((game.user[i] >= game.user.max(axis=0)).any())
        for j, name in enumerate(game.assistant_moves):
            best = game.assistant[:, j] >= game.assistant.max(axis=1)
            counts[name] = counts.get(name, 0) + bool(best.any())
    for move, count in counts.items():
        figure(f"(state, type) pairs of 432 in which {move} is a best response, subscription", count)
    assert len(counts) == 11
    assert min(counts.values()) > 0


def always_dominated(pricing: str) -> set[str]:
    """Return the moves of either side that another move strictly dominates in every (state, type)."""
    always: set[str] | None = None
    for game in games(pricing).values():
        sides = ((game.user_moves, game.user), (game.assistant_moves, game.assistant.T))
        here = {
            name
            for moves, utils in sides
            for k, name in enumerate(moves)
            if any((other > utils[k]).all() for other in utils)
        }
        always = here if always is None else always & here
    assert always is not None
    return always


def test_moves__metered_pricing_rules_out_the_shorter_answers() -> None:
    """Property 4 holds of the default pricing: by the token, short and medium answers are strictly dominated everywhere."""
    assert always_dominated("per_token") == {"DA_short", "DA_medium", "AQ_short", "AQ_medium"}


def test_moves__none_is_dominated_in_every_state_of_every_pricing() -> None:
    """Property 4 over all pricings: every move is undominated under one of them at least."""
    assert set.intersection(*map(always_dominated, PRICINGS)) == set()
    assert always_dominated("subscription") == set()


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


# -- the page itself ---------------------------------------------------------------------------------------------------


@functools.cache
def script() -> ModuleType:
    """Return the script that prints the page's figures."""
    spec = importlib.util.spec_from_file_location("game_figures", ROOT / "benchmarks" / "game_figures.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@functools.cache
def page() -> str:
    """Return docs/game.md."""
    return (ROOT / "docs" / "game.md").read_text(encoding="utf-8")


def table_rows(heading: str) -> list[list[str]]:
    """Return the cells of every table row below a heading, up to the next one."""
    assert page().count(f"\n{heading}\n") == 1, f"docs/game.md: expected one heading {heading!r}"
    below = page().split(f"\n{heading}\n")[1]
    lines = re.split(r"^#", below, flags=re.MULTILINE)[0].splitlines()
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines if line.startswith("| ")]


def flat(*values: Any) -> list[float]:
    """Return numbers, and tuples of numbers, as one list."""
    return [float(x) for value in values for x in (value if isinstance(value, tuple) else (value,))]


@pytest.mark.parametrize(
    ("heading", "settings"),
    [
        ("### Strategic view (`AssistConfig`)", dataclasses.asdict(AssistConfig())),
        ("### Both views", {"LENGTH_TOKENS": tuple(LENGTH_TOKENS.values())}),
        ("### Text view (`TextConfig`, reader, graders)", {**dataclasses.asdict(TextConfig()), "HIT": HIT}),
        (
            "## 4. Payoffs (`grounded`)",
            {f.name: getattr(Grounded(), f.name) for f in dataclasses.fields(Grounded) if f.type == "float"},
        ),
    ],
    ids=["AssistConfig", "LENGTH_TOKENS", "TextConfig", "Grounded"],
)
def test_page__gives_every_constant_with_its_value_and_a_reason(heading: str, settings: dict[str, Any]) -> None:
    """docs/game.md §3 and §4: a row for every field of the configuration, its default, and why."""
    listed = {}
    for constant, value, reason in (row for row in table_rows(heading) if len(row) == 3):
        for name in re.findall(r"`(\w+)`", constant):
            assert len(reason) > 5, f"{name}: no reason"
            listed[name] = value
    assert settings
    for name, setting in settings.items():
        assert name in listed, f"docs/game.md has no row for {name}"
        told = [
            float(text == "True") if text in ("True", "False") else float(text) for text in listed[name].split(", ")
        ]
        assert told == flat(setting), f"docs/game.md tells another value of {name}"


def test_page__gives_every_price() -> None:
    """docs/game.md §4: the rates of every pricing policy, in the order in which its formula names them."""
    rows = {row[0].strip("`"): row for row in table_rows("## 4. Payoffs (`grounded`)") if len(row) == 4}
    for name, policy in PRICING.items():
        rates = [getattr(policy(), field) for field in re.findall(r"`(\w+)`", rows[name][1])]
        assert len(rates) == len(dataclasses.fields(policy)) - 1
        assert flat(*map(float, rows[name][2].split(", "))) == rates


def test_page__gives_the_population_and_a_reason_for_every_column() -> None:
    """docs/game.md §4: the types as they are, and why each of θ's fields has the values that it has."""
    rows = table_rows("### The default population (`scenarios/assist/population.py`)")
    head = rows[0]
    for name, theta in TYPES.items():
        row = next(row for row in rows if row[0] == name)
        utils = (theta.ideal_tokens, theta.too_long, theta.too_short, theta.reading_cost, theta.effort_cost)
        expected = [DEFAULT_MIX[name], *utils, theta.patience, theta.price_sensitivity]
        assert list(map(float, row[1:])) == expected
        assert theta.value == 1.0
    explained = {symbol for row in rows if len(row) == 2 for symbol in re.split(", (?=m)", row[0].strip("$"))}
    assert {symbol.strip("$") for symbol in head[1:]} <= explained


def test_page__states_what_its_command_prints() -> None:
    """docs/game.md §7 is the output of ``python benchmarks/game_figures.py``: after a change of the rules run it, put its
    table there, and see whether the sentences that use its numbers still hold.
    """
    printed = script().table().splitlines()
    told = [line for line in page().split("\n## 7. Figures\n")[1].splitlines() if line.startswith("|")]
    assert told == printed


def test_fees__take_part_of_the_surplus_and_are_of_one_size() -> None:
    """docs/game.md §4: the fee takes about two fifths of a well-served user's surplus; the pricings bring revenues within a
    quarter of each other; an unsafe answer costs about two sessions' earnings.
    """
    sessions = [script().played(pricing=pricing) for pricing in PRICINGS]
    assert 0.35 <= sessions[0].price.mean() / sessions[0].surplus <= 0.45
    revenues = [game.revenue.mean() for game in sessions]
    assert max(revenues) <= 1.25 * min(revenues)
    for game in sessions:
        assert 1.5 <= Grounded().unsafe / game.assistant.mean() <= 2.5


def test_hits__are_worth_more_than_the_words_that_buy_them() -> None:
    """docs/game.md §3: a detailed utterance costs every type less than the right answers that it brings are worth."""
    rules = AssistConfig()
    gain = (rules.hit_clear - rules.hit_vague) * min(rules.quality_simple + rules.quality_complex)
    for theta in TYPES.values():
        assert 0.0 < theta.effort_cost * (rules.words_detailed - rules.words_vague) < theta.value * gain


def test_population__differs_in_which_side_hurts_and_has_no_majority() -> None:
    """docs/game.md §4: m₊ + m₋ is about 0.3 for every type, and no type is a majority."""
    for theta in TYPES.values():
        assert theta.too_long + theta.too_short == pytest.approx(0.3, abs=0.025)
    assert max(DEFAULT_MIX.values()) < 0.5
    assert math.isclose(sum(DEFAULT_MIX.values()), 1.0)
