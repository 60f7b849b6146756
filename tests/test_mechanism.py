"""Asking, taking part, surplus: each measure by hand, and what must hold of it in general."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gtalign_env.errors import UsageError
from gtalign_env.mechanism import (
    ask_or_answer,
    asking_rates,
    consumer_surplus,
    deadweight_loss,
    participation,
    pass_through,
    provider_profit,
    verbosity_excess,
)
from gtalign_env.pricing import Charge, OutcomeBased, PerToken, charge
from gtalign_env.types import Outcome

UTILS = st.floats(-10, 10)
AMOUNTS = st.floats(0, 10)


# -- ask or answer -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("evsi", "cost", "meter", "decided"),
    [
        # what society, the assistant and the user decide, from both EVSI, both costs, and tokens, price, unit cost
        ((1.5, 0.0), (1.0, 0.25), (0, 0, 0), (True, False, True)),  # the user's gain is not the assistant's business
        ((1.5, 0.25), (1.0, 0.25), (0, 0, 0), (True, True, True)),  # at the threshold one asks
        ((0.25, 0.0), (1.0, 0.25), (0, 0, 0), (False, False, False)),
        ((0.25, 0.0), (1.0, 0.25), (10, 0.05, 0.025), (False, True, False)),  # (p − c)·n_q = k_a: asked for the fee
        ((1.5, 0.0), (1.0, 0.25), (10, 0.05, 0.025), (True, True, True)),  # k_u + p·n_q = 1.5
        ((1.25, 0.0), (1.0, 0.25), (10, 0.05, 0.025), (True, True, False)),  # worth asking, too dear for the user
        ((1.5, 0.25), (1.0, 0.25), (10, 0.0, 0.025), (True, False, True)),  # c·n_q stands in the assistant's way
    ],
)
def test_ask_or_answer__three_rules_by_hand(
    evsi: tuple[float, float],
    cost: tuple[float, float],
    meter: tuple[float, float, float],
    decided: tuple[bool, bool, bool],
) -> None:
    """EVSI_u + EVSI_a >= k_u + k_a; EVSI_a + (p − c)·n_q >= k_a; EVSI_u >= k_u + p·n_q."""
    asking = ask_or_answer(
        evsi_user=evsi[0],
        evsi_assistant=evsi[1],
        cost_user=cost[0],
        cost_assistant=cost[1],
        tokens=meter[0],
        price=meter[1],
        unit_cost=meter[2],
    )
    assert (asking.social, asking.assistant, asking.user) == decided


def test_ask_or_answer__thresholds_and_wedges_by_hand() -> None:
    """The raiffa-schlaifer example's EVSI of 1.6 for the user, 0.5 for the provider, 20 tokens at 0.05 that cost 0.025 each."""
    asking = ask_or_answer(
        evsi_user=1.6, evsi_assistant=0.5, cost_user=1.0, cost_assistant=0.75, tokens=20, price=0.05, unit_cost=0.025
    )
    assert asking.social_threshold == 1.75
    assert asking.assistant_threshold == pytest.approx(0.25)  # 0.75 − 20·0.025
    assert asking.user_threshold == pytest.approx(2.0)  # 1 + 20·0.05
    # socially the assistant should ask from EVSI_a >= 1.75 − 1.6 = 0.15, the user should want it from EVSI_u >= 1.25
    assert asking.wedge == pytest.approx(0.25 - 0.15)
    assert asking.user_wedge == pytest.approx(2.0 - 1.25)


@pytest.mark.parametrize(
    ("worth", "price", "verdict"),
    [(1.0, 0.0, "under_asking"), (1.0, 0.25, "aligned"), (0.0, 0.25, "over_asking"), (0.0, 0.0, "aligned")],
)
def test_ask_or_answer__verdict(worth: float, price: float, verdict: str) -> None:
    """Too seldom, too often, or as society would; the user's cost is 0.5, the assistant's 0.125."""
    asking = ask_or_answer(
        evsi_user=worth, evsi_assistant=0.0, cost_user=0.5, cost_assistant=0.125, tokens=1, price=price
    )
    assert asking.verdict == verdict


@given(
    st.fixed_dictionaries(
        {
            **dict.fromkeys(("evsi_user", "evsi_assistant"), UTILS),
            **dict.fromkeys(("cost_user", "cost_assistant", "tokens", "price", "unit_cost"), AMOUNTS),
        }
    )
)
def test_ask_or_answer__the_wedge_s_sign_is_the_error_s_direction(arguments: dict[str, float]) -> None:
    """Whoever asks too seldom faces a threshold that is too high, whoever asks too often one that is too low."""
    asking = ask_or_answer(**arguments)
    if asking.verdict == "under_asking":
        assert asking.wedge > -1e-9
    if asking.verdict == "over_asking":
        assert asking.wedge < 1e-9


@given(UTILS, UTILS, AMOUNTS, AMOUNTS, AMOUNTS, AMOUNTS)
def test_ask_or_answer__a_price_moves_the_private_rules_and_not_the_social_one(
    worth_u: float, worth_a: float, cost_u: float, cost_a: float, tokens: float, price: float
) -> None:
    """A fee on questions makes the assistant readier to ask and the user less ready, and leaves society where it was."""
    common = {"evsi_user": worth_u, "evsi_assistant": worth_a, "cost_user": cost_u, "cost_assistant": cost_a}
    free, paid = (ask_or_answer(**common, tokens=tokens, price=p) for p in (0.0, price))
    assert (free.social, free.social_threshold) == (paid.social, paid.social_threshold)
    assert paid.assistant >= free.assistant
    assert paid.user <= free.user
    assert paid.wedge <= free.wedge
    assert paid.user_wedge >= free.user_wedge


def test_ask_or_answer__an_insensitive_user_does_not_mind_the_bill() -> None:
    """At sensitivity 0 only effort and time are weighed, at 0.5 half of the bill."""
    common: dict[str, float] = {"evsi_user": 1.0, "evsi_assistant": 0.0, "cost_user": 0.5, "cost_assistant": 0.0}
    thresholds = [
        ask_or_answer(**common, tokens=10, price=0.25, price_sensitivity=s).user_threshold for s in (0.0, 0.5, 1.0)
    ]
    assert thresholds == [0.5, 1.75, 3.0]


@pytest.mark.parametrize(
    ("field", "bad", "expected"),
    [
        ("evsi_user", math.nan, "a finite number, got nan"),
        ("cost_assistant", math.inf, "a finite number, got inf"),
        ("price", -0.5, "a finite number >= 0, got -0.5"),
        ("tokens", math.nan, "a finite number >= 0, got nan"),
    ],
)
def test_ask_or_answer__refuses_what_is_no_amount(field: str, bad: float, expected: str) -> None:
    """The message names the argument."""
    fields = {"evsi_user": 1.0, "evsi_assistant": 0.0, "cost_user": 0.5, "cost_assistant": 0.0, field: bad}
    with pytest.raises(UsageError, match=f"{field} must be {expected}"):
        ask_or_answer(**fields)


def test_asking_rates__by_hand() -> None:
    """Four states, of which one is over-asked and one under-asked; then the same with weights."""
    cases = [(1.0, 0.0), (1.0, 0.25), (0.0, 0.25), (0.0, 0.0)]  # as in the verdicts above
    askings = [
        ask_or_answer(evsi_user=worth, evsi_assistant=0.0, cost_user=0.5, cost_assistant=0.125, tokens=1, price=price)
        for worth, price in cases
    ]
    rates = asking_rates(askings)
    assert (rates.should_ask, rates.asks, rates.over_asking, rates.under_asking) == (0.5, 0.5, 0.25, 0.25)
    # wedge = (0.125 − price) − (0.625 − worth) = worth − 0.5 − price
    assert rates.wedge == pytest.approx((0.5 + 0.25 - 0.75 - 0.5) / 4)
    weighted = asking_rates(askings, [3.0, 0.0, 1.0, 0.0])
    assert (weighted.under_asking, weighted.over_asking, weighted.wedge) == (0.75, 0.25, (3 * 0.5 - 0.75) / 4)


@pytest.mark.parametrize("shares", [[], [0.0], [-1.0], [math.nan], [1.0, 1.0]])
def test_asking_rates__refuse_weights_that_do_not_fit(shares: list[float]) -> None:
    """One weight per state, of which one is positive."""
    asking = ask_or_answer(evsi_user=0.0, evsi_assistant=0.0, cost_user=0.0, cost_assistant=0.0)
    with pytest.raises(UsageError, match="expected a weight >= 0 for each of 1 states"):
        asking_rates([asking], shares)
    with pytest.raises(UsageError, match="each of 0 states"):
        asking_rates([])


# -- participation and consumer surplus --------------------------------------------------------------------------------

USERS = {"concise": 0.5, "detailed": 0.0, "hurried": -0.25}


def test_participation__by_hand() -> None:
    """A type at its outside option stays, one below it goes; its share is the rate; the provider has a say, too."""
    found = participation(USERS, -0.125, shares={"concise": 0.25, "detailed": 0.25, "hurried": 0.5})
    assert (found.excluded, found.exclusion_rate, found.provider) == (("hurried",), 0.5, False)
    assert participation(USERS, 0.0).provider
    assert participation(USERS, -0.125, outside_assistant=-0.5).provider


def test_participation__against_other_outside_options() -> None:
    """One for all, or one each."""
    assert participation(USERS, 1.0, outside=0.25).excluded == ("detailed", "hurried")
    assert participation(USERS, 1.0, outside=-1.0).excluded == ()
    each = participation(USERS, 1.0, outside={"concise": 0.75, "detailed": 0.0, "hurried": -0.5, "nobody": 9.0})
    assert each.excluded == ("concise",)
    assert each.exclusion_rate == pytest.approx(1 / 3)


def test_consumer_surplus__counts_losers_too() -> None:
    """The mean gain over the outside option, with shares of any scale."""
    assert consumer_surplus(USERS, shares={"concise": 2, "detailed": 1, "hurried": 1}) == (2 * 0.5 - 0.25) / 4
    assert consumer_surplus(USERS, outside=0.25) == pytest.approx((0.5 + 0.0 - 0.25) / 3 - 0.25)


@pytest.mark.parametrize("function", [lambda user, **rest: participation(user, 0.0, **rest), consumer_surplus])
@pytest.mark.parametrize(
    ("user", "options", "message"),
    [
        ({}, {}, "shares: expected a weight"),
        (USERS, {"shares": {"concise": 1.0}}, "shares: expected a weight >= 0 for each of"),
        (USERS, {"shares": dict.fromkeys(USERS, 0.0)}, "shares: expected a weight"),
        (USERS, {"shares": {**dict.fromkeys(USERS, 1.0), "hurried": -1.0}}, "shares: expected a weight"),
        (USERS, {"outside": {"concise": 0.0}}, "outside: expected a number for each of"),
    ],
)
def test_participation__refuses_what_leaves_types_out(
    function: Callable[..., Any], user: dict[str, float], options: dict[str, Any], message: str
) -> None:
    """Every type needs a weight and an outside option."""
    with pytest.raises(UsageError, match=message):
        function(user, **options)


# -- surplus -----------------------------------------------------------------------------------------------------------


def test_provider_profit__by_hand() -> None:
    """Price less tokens less verification, over a lottery of outcomes."""
    outcome = Outcome(tokens_out=np.array([100.0, 200.0]), answered=np.ones(2), resolved=np.array([1.0, 0.0]))
    priced = OutcomeBased(fee=0.0, bonus=1.0, false_positive=0.25, false_negative=0.5, verification=0.125)
    profits = [0.5 - 100 * 0.00025 - 0.125, 0.25 - 200 * 0.00025 - 0.125]
    assert provider_profit(charge(priced, outcome), [0.75, 0.25]) == pytest.approx(
        0.75 * profits[0] + 0.25 * profits[1]
    )
    assert provider_profit(charge(PerToken(rate_in=0.0, rate_out=0.00125), Outcome(tokens_out=1000.0))) == 1.0


def test_deadweight_loss__by_hand() -> None:
    """The best cell offers 5; the prisoner's dilemma's total of 6 against the 2 of defection."""
    assert deadweight_loss([[2.0, 5.0]], [[0.5, 0.5]]) == 1.5
    assert deadweight_loss([[6.0, 5.0], [5.0, 2.0]], [[0.0, 0.0], [0.0, 1.0]]) == 4.0


@given(st.lists(st.tuples(UTILS, st.floats(0.01, 1)), min_size=1, max_size=8))
def test_deadweight_loss__is_never_negative_and_none_at_the_best_cell(cells: list[tuple[float, float]]) -> None:
    """Whatever is played; zero where the best cell is played for sure."""
    welfare = np.array([w for w, _ in cells])
    chance = np.array([p for _, p in cells])
    assert deadweight_loss(welfare, chance / chance.sum()) >= -1e-9
    assert deadweight_loss(welfare, np.arange(len(cells)) == welfare.argmax()) == 0.0


@pytest.mark.parametrize(
    ("welfare", "chance"), [([1.0], [0.5]), ([1.0, 2.0], [1.0]), ([], []), ([[1.0, 2.0]], [0.5, 0.5])]
)
def test_deadweight_loss__refuses_what_is_no_lottery(welfare: list[float], chance: list[float]) -> None:
    """A chance for each cell, in all 1."""
    with pytest.raises(UsageError, match="deadweight loss: expected a welfare and a chance for each cell"):
        deadweight_loss(welfare, chance)


def test_pass_through__of_textbook_markets() -> None:
    """A monopolist on demand 1 − P sets (1 + c)/2 and passes on half; price at cost passes on all; a posted price nothing."""
    costs = (0.25, 0.5)
    for price, share in ((lambda c: (1 + c) / 2, 0.5), (lambda c: c, 1.0), (lambda c: 0.75, 0.0)):
        before, after = (Charge(price=price(c), cost=c) for c in costs)
        assert pass_through(before, after) == share
    with pytest.raises(UsageError, match=r"two different costs, got 0\.25 twice"):
        pass_through(Charge(price=1.0, cost=0.25), Charge(price=2.0, cost=0.25))


def test_verbosity_excess__by_hand() -> None:
    """Mean of n − n*, signed, with weights where given."""
    assert verbosity_excess([60.0, 480.0], [170.0, 170.0]) == 100.0
    assert verbosity_excess([60.0, 480.0], 170.0, [1.0, 0.0]) == -110.0
    assert verbosity_excess(180.0, [60.0, 420.0], [3.0, 1.0]) == (3 * 120.0 - 240.0) / 4
    with pytest.raises(UsageError, match="at least one answer with a positive weight"):
        verbosity_excess([60.0], [170.0], [0.0])
    with pytest.raises(UsageError, match="at least one answer"):
        verbosity_excess([], [])
