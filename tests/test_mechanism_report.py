"""The pricing report: every number of a row against the stage games and tables that it is about, and the page that shows it."""

from __future__ import annotations

import dataclasses
import functools
import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from gtalign_env.errors import UnknownNameError, UsageError
from gtalign_env.finite import FiniteScenario
from gtalign_env.games import Bimatrix
from gtalign_env.mechanism import Cell, PricingRow, pricing_report, report, stage
from gtalign_env.pricing import PRICING, PerRequest
from gtalign_env.registration import make_scenario
from gtalign_env.types import UserType

ROOT = Path(__file__).resolve().parents[1]


def at(kind: str = "simple", clarity: str = "vague", question: int = 0, exchange: int = 0) -> dict[str, str]:
    """Return coordinates of ``assist``."""
    return {"question": str(question), "kind": kind, "clarity": clarity, "exchange": str(exchange)}


@functools.cache
def assist() -> FiniteScenario:
    """Return the default session."""
    made = make_scenario("assist")
    assert isinstance(made, FiniteScenario)
    return made


def row_of(pricing: str, where: dict[str, str] | None = None, users: Any = None) -> PricingRow:
    """Return the row of one policy."""
    (row,) = pricing_report(assist(), states=where, users=users, pricings=[pricing])
    return row


FORMS = {"vague": 0.6, "clear": 0.4}
OPENINGS = [
    (at(kind, clarity), share * form)
    for kind, share in (("simple", 0.50), ("complex", 0.44), ("harmful", 0.06))
    for clarity, form in FORMS.items()
]


# -- one state ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pricing", PRICING)
@pytest.mark.parametrize("where", [at(), at("complex", "clear"), at("harmful"), at(question=3, exchange=2)])
@pytest.mark.parametrize("user", [None, "concise", "hurried"])
def test_row__solves_the_stage_game(pricing: str, where: dict[str, str], user: str | None) -> None:
    """Equilibria, best cell and both payoffs are those of ``scenario.stage_game``, by brute force."""
    row = row_of(pricing, where, user)
    game = assist().stage_game(where, user, pricing)
    payoffs = {
        (u, a): (float(game.user[i, j]), float(game.assistant[i, j]))
        for i, u in enumerate(game.user_moves)
        for j, a in enumerate(game.assistant_moves)
    }
    assert {(cell.user_move, cell.assistant_move) for cell in row.pure_nash} == set(game.pure_nash())
    for cell in (*row.pure_nash, *row.optimum):
        assert cell.share == 1.0
        assert (cell.user, cell.assistant) == pytest.approx(payoffs[cell.user_move, cell.assistant_move])
    best = max(sum(pair) for pair in payoffs.values())
    reached = max(sum(payoffs[cell]) for cell in game.pure_nash())
    (optimum,) = row.optimum
    assert optimum.user + optimum.assistant == pytest.approx(best)
    assert row.at_optimum.total == pytest.approx(best) == row.at_optimum.user + row.at_optimum.assistant
    assert row.at_equilibrium.total == pytest.approx(reached)
    assert row.deadweight_loss == pytest.approx(best - reached, abs=1e-9)
    assert (row.pricing, row.states) == (pricing, 1)


@pytest.mark.parametrize(
    ("pricing", "price", "own_cost"),
    [
        ("subscription:fee=0.75,quota=400,overage=0.25", 0.75 + 0.25 * 100, 0.0),
        ("per_token", 0.0012 * 500 + 0.0005 * 39.0, 0.0),
        ("per_character", 0.00033 * 2000, 0.0),
        ("per_request", 0.15, 0.0),
        ("two_part", 0.4 + 0.0006 * 500, 0.0),
        # on a clear question 95 of 100 long answers are right, and of quality 1
        ("freemium", 0.8 * (0.95 * 0.25 + 0.05 * 0.1), 0.0),
        ("outcome_based", 0.02 + 0.18 * (0.95 * 0.9 + 0.05 * 0.1), 0.005),
    ],
)
def test_row__price_cost_and_profit_by_hand(
    pricing: str, price: float, own_cost: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A long answer with a follow-up (480 + 20 tokens) to a clear complex question of 30 words (39 tokens)."""
    forced(monkeypatch, "AQ_long")
    row = row_of(pricing, at("complex", "clear"))
    assert row.tokens == row.optimum_tokens == 500.0
    assert row.price == pytest.approx(price)
    cost = 0.00025 * 500 + 0.00005 * 39 + own_cost
    assert row.cost == pytest.approx(cost, abs=1e-5)  # items lie on the payoff grid
    assert row.profit == pytest.approx(price - cost, abs=1e-5)


def forced(monkeypatch: pytest.MonkeyPatch, reply: str) -> None:
    """Let every stage game have one solution: ``DQ`` met by a reply."""

    def stage_game(self: FiniteScenario, *arguments: Any) -> Bimatrix:
        rows, columns = tuple(self.user_acts), tuple(self.assistant_acts)
        user = np.tile(np.array([[float(name == "DQ")] for name in rows]), len(columns))
        assistant = np.tile(np.array([float(name == reply) for name in columns]), (len(rows), 1))
        return Bimatrix(user, assistant, rows, columns)

    monkeypatch.setattr(FiniteScenario, "stage_game", stage_game)


@pytest.mark.parametrize(
    ("reply", "users", "excess"),
    [
        ("AQ_long", "concise", 500.0 - 60.0),
        ("DA_short", "detailed", 60.0 - 420.0),
        ("DA_medium", {"concise": 3, "detailed": 1}, 180.0 - 150.0),
        ("CQ", "concise", None),
        ("DECLINE", "concise", None),
    ],
)
def test_row__verbosity_excess_is_of_answers_only(
    reply: str, users: Any, excess: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The length n − n* of what is answered in equilibrium, against the population's mean ideal."""
    forced(monkeypatch, reply)
    assert row_of("subscription", at(), users).verbosity_excess == pytest.approx(excess)


@pytest.mark.parametrize("pricing", PRICING)
@pytest.mark.parametrize("where", [at(), at("complex"), at("simple", "clear"), at("harmful"), at(exchange=1)])
@pytest.mark.parametrize("name", ["concise", "detailed", "balanced"])
def test_row__asking_is_the_comparison_of_payoffs(pricing: str, where: dict[str, str], name: str) -> None:
    """The assistant asks where the question pays it at least as much as its best other reply, society where it pays both.

    Each reply is met by the user's best act; price sensitivity is 1, so that prices drop out of the sum.
    """
    row = row_of(pricing, where, name)
    game = assist().stage_game(where, name, pricing)
    user, assistant = {}, {}
    for j, move in enumerate(game.assistant_moves):
        i = int(game.user[:, j].argmax())
        user[move], assistant[move] = float(game.user[i, j]), float(game.assistant[i, j])
    other = max(("DA_short", "DA_medium", "DA_long", "DECLINE"), key=lambda move: assistant[move])
    gain, gain_both = assistant["CQ"] - assistant[other], assistant["CQ"] - assistant[other] + user["CQ"] - user[other]
    assert min(abs(gain), abs(gain_both)) > 1e-6, "no tie to break"
    assert row.asking is not None
    assert (row.asking.asks, row.asking.should_ask) == (float(gain > 0.0), float(gain_both > 0.0))
    assert row.asking.over_asking == float(gain > 0.0 >= gain_both)
    assert row.asking.under_asking == float(gain_both > 0.0 >= gain)
    # the thresholds lie as far apart as the two gains: one counts the other side, one does not
    assert row.asking.wedge == pytest.approx(gain_both - gain, abs=1e-5)


def test_row__exclusion_is_by_type() -> None:
    """A type is left out where its own payoff in the population's equilibrium is below its outside option."""
    where = at("complex", "clear")
    row = row_of("per_token", where)
    (cell,) = row.pure_nash
    names, shares = [theta.name for theta in assist().mix.types], assist().mix.shares
    own = []
    for name in names:
        game = assist().stage_game(where, name, "per_token")
        own.append(game.user[game.user_moves.index(cell.user_move), game.assistant_moves.index(cell.assistant_move)])
    assert min(own) < 0.0 < max(own)
    assert row.exclusion == {name: float(payoff < 0.0) for name, payoff in zip(names, own, strict=True)}
    assert row.exclusion_rate == pytest.approx(sum(s for s, payoff in zip(shares, own, strict=True) if payoff < 0.0))
    assert row.consumer_surplus == pytest.approx(np.dot(shares, own)) == row.at_equilibrium.user
    assert row.provider_takes_part == 1.0
    (spoilt,) = pricing_report(assist(), states=where, pricings=["per_token"], outside=10.0)
    assert (spoilt.exclusion_rate, spoilt.consumer_surplus) == pytest.approx((1.0, row.consumer_surplus - 10.0))


def test_row__types_of_one_name_are_numbered() -> None:
    """So that none is lost."""
    row = row_of("per_request", at(), [UserType(ideal_tokens=60.0), UserType(ideal_tokens=400.0)])
    assert set(row.exclusion) == {"custom", "custom 2"}


def test_row__without_a_pure_equilibrium_a_mixed_one_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """Matching pennies, with other moves that nobody would make: each cell of it a quarter of the time."""

    def stage_game(self: FiniteScenario, *arguments: Any) -> Bimatrix:
        rows, columns = tuple(self.user_acts), tuple(self.assistant_acts)
        user, assistant = np.zeros((len(rows), len(columns))), np.zeros((len(rows), len(columns)))
        user[2:], assistant[:, 2:] = -9.0, -9.0
        user[:2, :2] = [[1.0, -1.0], [-1.0, 1.0]]
        assistant[:2, :2] = [[-1.0, 1.0], [1.0, -1.0]]
        return Bimatrix(user, assistant, rows, columns)

    monkeypatch.setattr(FiniteScenario, "stage_game", stage_game)
    row = row_of("per_request", at("simple", "clear"), "concise")
    assert row.pure_nash == ()
    assert (row.at_equilibrium.user, row.at_equilibrium.assistant) == pytest.approx((0.0, 0.0))
    assert row.tokens == pytest.approx((60.0 + 180.0) / 2)
    assert row.verbosity_excess == pytest.approx(60.0)


def test_row__without_a_question_to_ask_has_no_wedge() -> None:
    """A provider that may only answer."""
    scenario = make_scenario("assist")
    assert isinstance(scenario, FiniteScenario)
    del scenario.assistant_acts["CQ"]
    (row,) = pricing_report(scenario, states=at(), pricings="per_request")
    assert row.asking is None


def test_report__asking_is_averaged_over_the_states_with_a_question(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where some openings have no question to ask, the rates are those of the others, by their chance among themselves."""

    def solve_stage(scenario: Any, where: Any, *rest: Any) -> Any:
        solved = stage.solve_stage(scenario, where, *rest)
        return solved if where["kind"] == "complex" else dataclasses.replace(solved, asking=None)

    rates = [(row_of("subscription", at("complex", clarity)).asking, share) for clarity, share in FORMS.items()]
    monkeypatch.setattr(report, "solve_stage", solve_stage)
    found = row_of("subscription").asking
    assert found is not None
    for name in ("asks", "should_ask", "over_asking", "under_asking", "wedge"):
        assert getattr(found, name) == pytest.approx(sum(share * getattr(rate, name) for rate, share in rates)), name


def test_row__goes_into_json() -> None:
    """Plain numbers, strings, lists and dicts."""
    row = row_of("outcome_based")
    told = json.loads(json.dumps(dataclasses.asdict(row), allow_nan=False))
    assert told["optimum"][0]["assistant_move"] == row.optimum[0].assistant_move
    assert told["at_equilibrium"]["total"] == row.at_equilibrium.total
    assert told["asking"]["wedge"] is not None


# -- many states -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pricing", ["subscription", "per_token", "outcome_based"])
def test_report__averages_over_the_opening_states_by_their_chance(pricing: str) -> None:
    """Half simple, 0.44 complex, 0.06 harmful; six of ten vague: docs/game.md §3."""
    whole = row_of(pricing)
    single = [(row_of(pricing, where), share) for where, share in OPENINGS]
    assert whole.states == 6
    for name in ("price", "cost", "profit", "consumer_surplus", "deadweight_loss", "exclusion_rate", "tokens"):
        assert getattr(whole, name) == pytest.approx(sum(share * getattr(row, name) for row, share in single)), name
    for side in ("user", "assistant", "total"):
        expected = sum(share * getattr(row.at_equilibrium, side) for row, share in single)
        assert getattr(whole.at_equilibrium, side) == pytest.approx(expected)
    assert whole.asking is not None
    assert whole.asking.asks == pytest.approx(sum(share * row.asking.asks for row, share in single if row.asking))
    for found, listed in (("pure_nash", whole.pure_nash), ("optimum", whole.optimum)):
        shares: dict[tuple[str, str], float] = {}
        for row, share in single:
            for cell in getattr(row, found):
                moves = cell.user_move, cell.assistant_move
                shares[moves] = shares.get(moves, 0.0) + share
        assert {(cell.user_move, cell.assistant_move): cell.share for cell in listed} == pytest.approx(shares)
        assert [cell.share for cell in listed] == sorted((cell.share for cell in listed), reverse=True)


def test_report__chosen_states_count_alike() -> None:
    """A list of states is averaged with equal weights; a cell's payoffs are those of the states that it solves."""
    states = [at(), at("harmful")]
    (row,) = pricing_report(assist(), states=states, pricings=["per_request"])
    apart = [row_of("per_request", where) for where in states]
    assert row.at_optimum.total == pytest.approx(sum(one.at_optimum.total for one in apart) / 2)
    assert {cell.share for cell in row.optimum} == {0.5}
    assert {(cell.user, cell.assistant) for cell in row.optimum} == {
        (one.optimum[0].user, one.optimum[0].assistant) for one in apart
    }


def test_report__has_a_row_for_each_policy_in_order() -> None:
    """All registered ones, or those that were named, as names or as objects."""
    assert [row.pricing for row in pricing_report(assist(), states=at())] == list(PRICING)
    named = pricing_report(assist(), states=at(), pricings=["two_part:fee=0.2", PerRequest(fee=0.25)])
    assert [row.pricing for row in named] == ["two_part:fee=0.2", "per_request:fee=0.25"]
    assert [row.pricing for row in pricing_report(assist(), states=at(), pricings="freemium")] == ["freemium"]


def test_report__of_the_text_view_is_its_twin_s() -> None:
    """The text view has no tables; its strategic twin has."""
    text: Any = make_scenario("assist_text")
    assert pricing_report(text, states=at(), pricings="per_token") == pricing_report(
        text.twin, states=at(), pricings="per_token"
    )


def test_report__says_what_it_cannot_report_on() -> None:
    """A game without prices, what is no game, no states, unknown states, types and policies."""
    with pytest.raises(
        UsageError, match="needs payoffs with the items 'price', 'revenue' and 'tokens', got cell, cell"
    ):
        pricing_report(make_scenario("matrix"), pricings="per_token")
    with pytest.raises(UsageError, match="expected a finite scenario, or one with such a twin, got 3"):
        pricing_report(3)
    with pytest.raises(UsageError, match="at least one state"):
        pricing_report(assist(), states=[])
    with pytest.raises(UsageError, match="state coordinate"):
        pricing_report(assist(), states=at("strange"))
    with pytest.raises(UnknownNameError, match="did you mean 'per_token'"):
        pricing_report(assist(), pricings=["per_tokens"])
    with pytest.raises(UnknownNameError, match="unknown user type 'nobody'"):
        pricing_report(assist(), users="nobody")


def test_cell__is_told_by_its_moves_and_share() -> None:
    """What a table of results shows."""
    row = row_of("per_token", at("complex", "clear"), "concise")
    assert row.pure_nash == (
        Cell(
            user_move="LEAVE",
            assistant_move="AQ_long",
            share=1.0,
            user=row.at_equilibrium.user,
            assistant=row.at_equilibrium.assistant,
        ),
    )


# -- the page ----------------------------------------------------------------------------------------------------------


def script() -> ModuleType:
    """Return the script that prints the page's tables."""
    spec = importlib.util.spec_from_file_location("pricing_figures", ROOT / "benchmarks" / "pricing_figures.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def tables_in(text: str) -> list[str]:
    """Return the lines of all tables."""
    return [line for line in text.splitlines() if line.startswith("|")]


def test_page__states_what_its_command_prints() -> None:
    """docs/pricing.md §3 is the output of ``python benchmarks/pricing_figures.py``: after a change of rules or prices run it, put
    its tables there, and see whether the sentences between them still hold.
    """
    page = (ROOT / "docs" / "pricing.md").read_text(encoding="utf-8")
    assert tables_in(page.split("\n## 3. Figures\n")[1]) == tables_in(script().tables())


def test_page__lists_every_policy_with_all_its_settings() -> None:
    """docs/pricing.md §1: a row for each, whose cells name every setting."""
    page = (ROOT / "docs" / "pricing.md").read_text(encoding="utf-8")
    rows = {line.split("`")[1]: line for line in tables_in(page.split("\n## 2.")[0])[2:]}
    assert list(rows) == list(PRICING)
    for name, kind in PRICING.items():
        settings = [field.name for field in dataclasses.fields(kind) if field.name != "name"]
        assert [setting for setting in settings if f"`{setting}`" not in rows[name]] == []
