"""Payoff items: the formulas recomputed by other means, exact sums, and the properties the design asks for."""

from __future__ import annotations

import dataclasses
import itertools
import math
from decimal import ROUND_FLOOR, ROUND_HALF_EVEN, Decimal, localcontext
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gtalign_env.errors import UnknownNameError, UsageError
from gtalign_env.payoffs import GRID, PAYOFF_MODELS, Grounded, make_payoff_model, on_grid
from gtalign_env.pricing import PerRequest, PerToken, Subscription, make_pricing
from gtalign_env.protocols import PayoffModel, PricingPolicy
from gtalign_env.scenarios.assist.population import TYPES
from gtalign_env.types import Outcome, UserType

SHARE = st.floats(0.0, 1.0)
UTILS = st.floats(0.0, 10.0)
OUTCOMES = st.builds(
    Outcome,
    quality=SHARE,
    tokens_out=st.floats(0, 5000),
    tokens_in=st.floats(0, 5000),
    words_typed=st.floats(0, 500),
    exchanges=st.sampled_from([0.0, 1.0]),
    requests=st.sampled_from([0.0, 1.0]),
    opens_session=st.sampled_from([0.0, 1.0]),
    answered=st.sampled_from([0.0, 1.0]),
    wrong=SHARE,
    declined=st.sampled_from([0.0, 1.0]),
    violation=st.sampled_from([0.0, 1.0]),
)
THETAS = st.builds(
    UserType,
    ideal_tokens=st.floats(1, 5000),
    value=st.floats(0.01, 10),
    too_long=UTILS,
    too_short=UTILS,
    reading_cost=st.floats(0, 0.01),
    effort_cost=st.floats(0, 0.1),
    patience=st.floats(0.5, 100),
    price_sensitivity=st.floats(0, 5),
)
PRICINGS = st.sampled_from([Subscription(), PerToken(), PerRequest(), Subscription(fee=3.3), PerToken(rate_in=0.01)])


def exactly(number: float) -> Fraction:
    """Return the nearest point of the payoff grid as a fraction, ties to even."""
    return Fraction(round(Fraction(number) * 2**20), 2**20)


def near_tie(number: Decimal) -> bool:
    """Whether rounding to the grid hangs on the last bits of a float."""
    scaled = number * 2**20
    return abs(scaled - scaled.to_integral_value(ROUND_FLOOR) - Decimal("0.5")) < Decimal("1e-6")


def by_definition(outcome: Outcome, theta: UserType, price: float) -> tuple[dict[str, Decimal], dict[str, Decimal]]:
    """Recompute every item at 60 digits from the formulas in DESIGN §5 and docs/game.md, without our code."""
    c_out, c_in, wrong, declined, unsafe = map(Decimal, (0.00025, 0.00005, 0.20, 0.10, 1.5))
    with localcontext(prec=60):
        n, ideal = Decimal(outcome.tokens_out) + 1, Decimal(theta.ideal_tokens) + 1
        ratio = (n / ideal).ln()
        mismatch = Decimal(theta.too_long) * max(Decimal(0), ratio) + Decimal(theta.too_short) * max(Decimal(0), -ratio)
        user = {
            "value": Decimal(theta.value) * Decimal(outcome.quality),
            "length": -mismatch * Decimal(outcome.answered),
            "reading": -Decimal(theta.reading_cost) * Decimal(outcome.tokens_out),
            "effort": -Decimal(theta.effort_cost) * Decimal(outcome.words_typed),
            "time": -Decimal(outcome.exchanges) / Decimal(theta.patience),
            "price": -Decimal(theta.price_sensitivity) * Decimal(price),
        }
        assistant = {
            "revenue": Decimal(price),
            "tokens": -c_out * Decimal(outcome.tokens_out) - c_in * Decimal(outcome.tokens_in),
            "reputation": -wrong * Decimal(outcome.wrong)
            - declined * Decimal(outcome.declined)
            - unsafe * Decimal(outcome.violation),
            "retention": Decimal(0),
        }
    return user, assistant


@given(OUTCOMES, THETAS, PRICINGS)
def test_grounded__items_are_those_of_the_formulas(outcome: Outcome, theta: UserType, pricing: PricingPolicy) -> None:
    """Each item, recomputed at 60 digits and rounded to the grid, is the same number."""
    model = Grounded()
    expected = by_definition(outcome, theta, pricing.price(outcome))
    for got, wanted in zip(
        (model.user(outcome, theta, pricing), model.assistant(outcome, pricing)), expected, strict=True
    ):
        assert list(got) == list(wanted)
        for name, number in wanted.items():
            slack = GRID if near_tie(number) else 0.0
            rounded = float((number * 2**20).to_integral_value(ROUND_HALF_EVEN)) * GRID
            assert abs(got[name] - rounded) <= slack, name


def test_grounded__one_outcome_by_hand() -> None:
    """A short right answer to a concise user who types eight words, on a subscription's first reply."""
    theta = UserType(
        ideal_tokens=127.0, value=2.0, too_long=0.5, too_short=0.25, reading_cost=0.001, effort_cost=0.01, patience=8.0,
        price_sensitivity=0.5,
    )  # fmt: skip
    outcome = Outcome(
        quality=0.75, tokens_out=63.0, tokens_in=20.0, words_typed=8.0, opens_session=1.0, answered=1.0, resolved=1.0
    )
    items = Grounded().user(outcome, theta, Subscription(fee=1.5))
    # 63 + 1 = 64 tokens against 127 + 1 = 128: half of what was wanted, so ln 2 on the short side
    assert items == {
        "value": 1.5,
        "length": float(exactly(-0.25 * math.log(2.0))),
        "reading": float(exactly(-0.063)),
        "effort": float(exactly(-0.08)),
        "time": -0.125,
        "price": -0.75,
    }
    assert Grounded().assistant(outcome, Subscription(fee=1.5)) == {
        "revenue": 1.5,
        "tokens": float(exactly(-0.00025 * 63 - 0.00005 * 20)),
        "reputation": 0.0,
        "retention": 0.0,
    }


@pytest.mark.parametrize(
    ("outcome", "loss"),
    [
        (Outcome(answered=1.0, wrong=1.0), 0.20),
        (Outcome(answered=1.0, wrong=0.5), 0.10),
        (Outcome(declined=1.0), 0.10),
        (Outcome(answered=1.0, violation=1.0), 1.5),
        (Outcome(), 0.0),
    ],
)
def test_grounded__reputation(outcome: Outcome, loss: float) -> None:
    """Wrong answers, needless refusals and unsafe answers cost the provider, in rising order of harm."""
    assert Grounded().assistant(outcome, Subscription())["reputation"] == float(-exactly(loss))


def test_grounded__length_matters_to_answers_only() -> None:
    """A question or a refusal is neither too long nor too short."""
    for tokens in (0.0, 25.0, 5000.0):
        assert Grounded().user(Outcome(tokens_out=tokens), UserType(), Subscription())["length"] == 0.0


@given(OUTCOMES, THETAS, PRICINGS, st.randoms(use_true_random=False))
def test_grounded__items_sum_exactly_in_any_order(
    outcome: Outcome, theta: UserType, pricing: PricingPolicy, shuffler: Any
) -> None:
    """On the grid no addition rounds: any order, math.fsum, NumPy and exact fractions agree to the bit."""
    model = Grounded()
    items = [*model.user(outcome, theta, pricing).values(), *model.assistant(outcome, pricing).values()]
    total = float(sum(Fraction(item) for item in items))
    for _ in range(5):
        shuffler.shuffle(items)
        assert sum(items) == math.fsum(items) == float(np.sum(np.array(items))) == total


@given(st.floats(-1000, 1000))
def test_on_grid__is_the_nearest_grid_point(utils: float) -> None:
    """Half a step away at most, idempotent, odd, never minus zero, and the same for an array."""
    point = on_grid(utils)
    assert Fraction(point) == exactly(utils)
    assert on_grid(point) == point
    assert on_grid(-utils) == -point
    assert math.copysign(1.0, on_grid(point * 0.0)) == 1.0
    assert on_grid(np.array([utils]))[0] == point


@given(OUTCOMES, THETAS, PRICINGS)
def test_grounded__a_price_is_a_pure_transfer_at_sensitivity_one(
    outcome: Outcome, theta: UserType, pricing: PricingPolicy
) -> None:
    """What a user with price_sensitivity 1 pays, the provider gets, to the bit."""
    theta = dataclasses.replace(theta, price_sensitivity=1.0)
    model = Grounded()
    assert model.user(outcome, theta, pricing)["price"] + model.assistant(outcome, pricing)["revenue"] == 0.0


@given(st.lists(OUTCOMES, min_size=1, max_size=6), THETAS, PRICINGS)
def test_grounded__arrays_equal_scalars(outcomes: list[Outcome], theta: UserType, pricing: PricingPolicy) -> None:
    """The tables of a finite game and a single reply in the text view go through the same arithmetic."""
    names = [field.name for field in dataclasses.fields(Outcome)]
    stacked = Outcome(**{name: np.array([getattr(outcome, name) for outcome in outcomes]) for name in names})
    model = Grounded()
    whole = {**model.user(stacked, theta, pricing), **model.assistant(stacked, pricing)}
    for i, outcome in enumerate(outcomes):
        single = {**model.user(outcome, theta, pricing), **model.assistant(outcome, pricing)}
        assert {name: float(values[i]) for name, values in whole.items()} == single


@given(OUTCOMES, THETAS, THETAS, PRICINGS)
def test_grounded__the_provider_s_items_never_depend_on_theta(
    outcome: Outcome, one: UserType, two: UserType, pricing: PricingPolicy
) -> None:
    """The same outcome pays the provider the same, whoever the user is; θ is not even handed to the model."""
    model = Grounded()
    model.user(outcome, one, pricing)
    first = model.assistant(outcome, pricing)
    model.user(outcome, two, pricing)
    assert model.assistant(outcome, pricing) == first


def length_loss(theta: UserType, tokens: float) -> float:
    """Utils lost to an answer's length."""
    return float(-Grounded().user(Outcome(tokens_out=tokens, answered=1.0), theta, Subscription())["length"])


@pytest.mark.parametrize("factor", [1.5, 2.0, 4.0, 8.0])
def test_grounded__mismatch_is_asymmetric(factor: float) -> None:
    """A concise user is hurt more by length than by brevity (same factor off), a detailed one the reverse."""
    concise, detailed = TYPES["concise"], TYPES["detailed"]

    def both(theta: UserType) -> tuple[float, float]:
        wanted = theta.ideal_tokens + 1.0
        return length_loss(theta, wanted * factor - 1.0), length_loss(theta, wanted / factor - 1.0)

    assert both(concise)[0] > both(concise)[1] > 0.0
    assert 0.0 < both(detailed)[0] < both(detailed)[1]


@given(THETAS)
def test_grounded__the_ideal_length_costs_nothing_and_distance_only_adds(theta: UserType) -> None:
    """Zero at n*, never negative, and not falling on either side of it."""
    assert length_loss(theta, theta.ideal_tokens) == 0.0
    above = [length_loss(theta, theta.ideal_tokens * f) for f in (1.0, 1.5, 2.0, 5.0)]
    below = [length_loss(theta, theta.ideal_tokens / f) for f in (1.0, 1.5, 2.0, 5.0)]
    assert above == sorted(above)
    assert below == sorted(below)


def test_grounded__leaving_at_once_is_worth_nothing() -> None:
    """The outside option of both sides is 0: no exchange, no request, nothing said."""
    nothing = Outcome(exchanges=0.0, requests=0.0)
    model = Grounded()
    for pricing in ("subscription", "per_token", "per_request"):
        policy = make_pricing(pricing)
        assert set(model.user(nothing, UserType(), policy).values()) == {0.0}
        assert set(model.assistant(nothing, policy).values()) == {0.0}


@given(st.floats(-50, 50))
def test_retention__is_a_share_of_the_user_s_total(total: float) -> None:
    """β·ΣU on the grid, with its sign: a user served worse than not at all costs the provider."""
    assert Fraction(Grounded(retention_rate=0.25).retention(total)) == exactly(0.25 * total)
    assert Grounded(retention_rate=0.0).retention(total) == 0.0


@pytest.mark.parametrize("field", ["token_cost_out", "token_cost_in", "wrong", "declined", "unsafe", "retention_rate"])
@pytest.mark.parametrize("bad", [-0.1, math.nan, math.inf, "1", None])
def test_grounded__refuses_constants_without_meaning(field: str, bad: Any) -> None:
    """The message names the constant."""
    with pytest.raises(UsageError, match=field):
        Grounded(**{field: bad})


def test_make_payoff_model__by_name_or_object() -> None:
    """A registered name, or anything that has the members; the rest is an error that lists names."""
    assert isinstance(make_payoff_model("grounded"), PayoffModel)
    model = Grounded(wrong=0.5)
    assert make_payoff_model(model) is model
    with pytest.raises(UnknownNameError, match=r"did you mean 'grounded'\?"):
        make_payoff_model("ground")
    with pytest.raises(UsageError, match="expected a name or a payoff model object"):
        make_payoff_model(3)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", PAYOFF_MODELS)
def test_payoff_models__name_their_items(name: str) -> None:
    """Every registered model returns exactly the items it announces, for both sides, in order."""
    model = make_payoff_model(name)
    assert model.name == name
    assert tuple(model.user(Outcome(), UserType(), Subscription())) == model.user_items
    assert tuple(model.assistant(Outcome(), Subscription())) == model.assistant_items
    assert not set(model.user_items) & {"retention"}


def test_items__of_every_pair_of_shipped_type_and_pricing_are_on_the_grid() -> None:
    """Also at the extremes of length."""
    model = Grounded()
    for theta, pricing, tokens in itertools.product(
        TYPES.values(), ("subscription", "per_token", "per_request"), (0, 1e5)
    ):
        outcome = Outcome(quality=1 / 3, tokens_out=float(tokens), tokens_in=7.7, words_typed=3.0, answered=1.0)
        policy = make_pricing(pricing)
        for item in (*model.user(outcome, theta, policy).values(), *model.assistant(outcome, policy).values()):
            assert (item / GRID).is_integer()
