"""Pricing: credits for outcomes, by hand."""

from __future__ import annotations

import dataclasses
import math
import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gtalign_env.errors import UnknownNameError, UsageError
from gtalign_env.payoffs import Grounded, overhead
from gtalign_env.pricing import (
    PRICING,
    Freemium,
    OutcomeBased,
    PerCharacter,
    PerRequest,
    PerToken,
    Subscription,
    TwoPart,
    charge,
    make_pricing,
    pricing_name,
)
from gtalign_env.protocols import PricingPolicy
from gtalign_env.types import Outcome


@dataclasses.dataclass(frozen=True)
class Rebate:
    """A policy of somebody else's: the provider pays."""

    name: str = "rebate"

    def price(self, outcome: Outcome) -> Any:
        """Pay one credit back for every request."""
        return -1.0 * outcome.requests


VERIFIED = OutcomeBased(fee=0.5, bonus=1.0, false_positive=0.125, false_negative=0.25)


@pytest.mark.parametrize(
    ("pricing", "outcome", "price"),
    [
        (Subscription(fee=0.5), Outcome(opens_session=1.0, tokens_out=480.0), 0.5),
        (Subscription(fee=0.5), Outcome(opens_session=0.0, tokens_out=480.0), 0.0),
        (PerToken(rate_in=0.5, rate_out=0.25), Outcome(tokens_in=10.0, tokens_out=100.0), 30.0),
        (PerToken(rate_in=0.5, rate_out=0.25), Outcome(opens_session=1.0), 0.0),
        (PerRequest(fee=0.125), Outcome(requests=1.0, tokens_out=9.0), 0.125),
        (PerRequest(fee=0.125), Outcome(requests=3.0), 0.375),
        (PerRequest(fee=0.125), Outcome(requests=0.0, opens_session=1.0), 0.0),
        (Subscription(fee=0.5, quota=100.0, overage=0.25), Outcome(opens_session=1.0, tokens_out=104.0), 1.5),
        (Subscription(fee=0.5, quota=100.0, overage=0.25), Outcome(tokens_out=100.0), 0.0),
        (PerCharacter(rate=0.25), Outcome(characters=10.0, tokens_out=9.0), 2.5),
        (TwoPart(fee=0.5, rate_out=0.25), Outcome(opens_session=1.0, tokens_out=4.0, tokens_in=9.0), 1.5),
        (TwoPart(fee=0.5, rate_out=0.25), Outcome(tokens_out=4.0), 1.0),
        # won over by quality, by a question left open, by both, and never by a violation or by silence
        (Freemium(fee=2.0, conversion=0.5, upsell=0.25), Outcome(quality=0.5, answered=1.0, resolved=1.0), 0.5),
        (Freemium(fee=2.0, conversion=0.5, upsell=0.25), Outcome(), 0.5),
        (Freemium(fee=2.0, conversion=0.5, upsell=0.25), Outcome(quality=0.25, answered=1.0), 0.75),
        (Freemium(fee=2.0, conversion=0.5, upsell=0.25), Outcome(answered=1.0, violation=1.0), 0.0),
        (Freemium(fee=2.0, conversion=0.5, upsell=0.25), Outcome(requests=0.0), 0.0),
        (Freemium(fee=2.0, conversion=1.0, upsell=1.0), Outcome(quality=0.5), 2.0),  # a chance is at most 1
        # a verifier that passes three of four good answers and one of eight bad ones
        (VERIFIED, Outcome(answered=1.0, resolved=1.0), 0.5 + 0.75),
        (VERIFIED, Outcome(answered=1.0, resolved=0.0), 0.5 + 0.125),
        (VERIFIED, Outcome(), 0.5),
        (VERIFIED, Outcome(resolved=1.0), 0.5),  # a request that was rightly declined
        (VERIFIED, Outcome(answered=1.0, violation=1.0), 0.5),
        (VERIFIED, Outcome(requests=0.0), 0.0),
    ],
)
def test_price__by_hand(pricing: PricingPolicy, outcome: Outcome, price: float) -> None:
    """Fees, meters and chances, each from its formula; numbers chosen to be exact in binary."""
    assert pricing.price(outcome) == price


SETTINGS: dict[str, st.SearchStrategy[float]] = {
    **dict.fromkeys(("conversion", "upsell", "false_positive", "false_negative"), st.floats(0, 1)),
    "quota": st.floats(0, 1e6) | st.just(math.inf),
}
AMOUNTS: dict[str, st.SearchStrategy[float]] = {
    **dict.fromkeys(("tokens_out", "characters", "tokens_in", "words_typed"), st.floats(0, 1e5)),
    "requests": st.sampled_from([0.0, 1.0, 3.0]),
    "exchanges": st.sampled_from([0.0, 1.0]),
}
"""What is no share in [0, 1]."""


@st.composite
def policies(draw: st.DrawFn, most: float = 1e6) -> PricingPolicy:
    """Draw a shipped policy with any settings."""
    kind = PRICING[draw(st.sampled_from(sorted(PRICING)))]
    names = [field.name for field in dataclasses.fields(kind) if field.name != "name"]
    policy: PricingPolicy = kind(**{name: draw(SETTINGS.get(name, st.floats(0, most))) for name in names})
    return policy


OUTCOMES = st.builds(Outcome, **{f.name: AMOUNTS.get(f.name, st.floats(0, 1)) for f in dataclasses.fields(Outcome)})


@given(policies(), st.lists(OUTCOMES, min_size=1, max_size=5))
def test_price__of_arrays_is_that_of_their_entries_and_never_negative(
    policy: PricingPolicy, outcomes: list[Outcome]
) -> None:
    """One outcome of arrays costs what its entries cost one by one, to the bit, on both sides of the bill."""
    names = [field.name for field in dataclasses.fields(Outcome)]
    stacked = Outcome(**{name: np.array([getattr(outcome, name) for outcome in outcomes]) for name in names})
    whole = charge(policy, stacked)
    for i, outcome in enumerate(outcomes):
        single = charge(policy, outcome)
        assert (whole.price[i], np.broadcast_to(whole.cost, len(outcomes))[i]) == (single.price, single.cost)
        assert single.price >= 0.0
        assert single.cost >= 0.0


@given(policies(), OUTCOMES, st.floats(0, 1e6))
def test_price__of_a_free_hand_on_the_tokens_moves_only_where_tokens_are_billed(
    policy: PricingPolicy, outcome: Outcome, tokens: float
) -> None:
    """Reporting another number of tokens for the same text changes no bill but those by the token."""
    misreported = dataclasses.replace(outcome, tokens_out=tokens)
    if policy.name not in ("per_token", "two_part", "subscription"):
        assert policy.price(misreported) == policy.price(outcome)


def test_subscription__without_a_quota_is_the_flat_fee_to_the_bit() -> None:
    """The default allowance is never used up, however dear what exceeds it."""
    for tokens in (0.0, 60.0, 1e12):
        for first in (0.0, 1.0):
            outcome = Outcome(opens_session=first, tokens_out=tokens)
            assert Subscription(overage=1e9).price(outcome) == 0.8 * first


@pytest.mark.parametrize("name", PRICING)
def test_price__leaving_at_once_is_free(name: str) -> None:
    """Where nothing was asked and nothing said, nobody pays, and nothing was spent."""
    assert charge(make_pricing(name), Outcome(requests=0.0, exchanges=0.0)) == (0.0, 0.0)


def test_charge__costs_are_tokens_and_what_the_policy_itself_takes() -> None:
    """A free tier costs what it costs to serve; verification comes on top, per answer; rates are the payoff model's."""
    outcome = Outcome(tokens_out=1000.0, tokens_in=200.0, answered=1.0, resolved=1.0)
    spent = 0.00025 * 1000.0 + 0.00005 * 200.0
    assert charge(Freemium(fee=0.0), outcome) == (0.0, spent)
    assert charge(OutcomeBased(verification=0.5), outcome).cost == spent + 0.5
    assert charge(OutcomeBased(verification=0.5), dataclasses.replace(outcome, answered=0.0)).cost == spent
    bill = charge(PerRequest(fee=1.0), outcome, model=Grounded(token_cost_out=0.0005, token_cost_in=0.0))
    assert (bill.price, bill.cost, bill.profit) == (1.0, 0.5, 0.5)


def test_overhead__of_a_policy_without_one_is_nothing() -> None:
    """Policies of somebody else's need not have the method."""
    assert overhead(Rebate(), Outcome()) == 0.0
    assert charge(Rebate(), Outcome()).price == -1.0


@pytest.mark.parametrize("name", PRICING)
def test_make_pricing__by_name_gives_the_defaults(name: str) -> None:
    """A bare name is the policy with its default settings, which is a PricingPolicy of that name."""
    policy = make_pricing(name)
    assert policy == PRICING[name]()
    assert isinstance(policy, PricingPolicy)
    assert policy.name == name


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("per_token:rate_out=0.002", PerToken(rate_out=0.002)),
        ("per_token:rate_in=1e-3,rate_out=0", PerToken(rate_in=0.001, rate_out=0.0)),
        ("per_token: rate_in=1e-3, rate_out=0", PerToken(rate_in=0.001, rate_out=0.0)),
        ("subscription:fee=2", Subscription(fee=2.0)),
        ("per_request:", PerRequest()),
        ("subscription:quota=inf", Subscription()),
        ("subscription:quota=480,overage=0.002", Subscription(quota=480.0, overage=0.002)),
        ("outcome_based:false_positive=1", OutcomeBased(false_positive=1.0)),
    ],
)
def test_make_pricing__reads_settings(text: str, expected: PricingPolicy) -> None:
    """``name:setting=number,…``; spaces do no harm."""
    assert make_pricing(text) == expected


def test_make_pricing__passes_objects_through() -> None:
    """Anything with a name and a price will do."""
    policy = Rebate()
    assert make_pricing(policy) is policy


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("per_tokens", r"did you mean 'per_token'\?.*per_character, per_request, per_token, subscription"),
        ("", "unknown pricing ''"),
        ("per_token:fee=1", "setting 'fee' is unknown: expected rate_in or rate_out"),
        ("per_token:name=1", "setting 'name' is unknown"),
        ("per_token:rate_in", "rate_in must be a number, got ''"),
        ("per_token:rate_in=cheap", "rate_in must be a number, got 'cheap'"),
        ("per_token:rate_in=-1", "rate_in must be a finite number >= 0, got -1.0"),
        ("subscription:fee=nan", "fee must be a finite number >= 0, got nan"),
        ("subscription:fee=inf", "fee must be a finite number"),
        ("subscription:quota=-1", "quota must be a number >= 0, or inf, got -1.0"),
        ("subscription:quota=nan", "quota must be a number >= 0, or inf"),
        ("freemium:upsell=1.5", r"upsell must be a number in \[0, 1\], got 1.5"),
        ("outcome_based:false_negative=nan", r"false_negative must be a number in \[0, 1\]"),
    ],
)
def test_make_pricing__says_what_is_wrong(text: str, message: str) -> None:
    """Unknown policies, unknown settings and values that are no rates are named."""
    with pytest.raises(UsageError, match=message):
        make_pricing(text)


def test_make_pricing__unknown_name_is_its_own_error() -> None:
    """So that callers can offer the list."""
    with pytest.raises(UnknownNameError):
        make_pricing("freemium_plus")


@pytest.mark.parametrize("thing", [None, 3, ["per_token"], {"name": "per_token"}, PerToken])
def test_make_pricing__refuses_other_things(thing: Any) -> None:
    """A number, a list or a class is no pricing; the error says what is."""
    with pytest.raises(UsageError, match="pricing: expected a name or an object"):
        make_pricing(thing)


@pytest.mark.parametrize("bad", [-0.1, math.nan, math.inf, "0.1", None])
@pytest.mark.parametrize(
    ("policy", "field"),
    [
        (kind, field.name)
        for kind in PRICING.values()
        for field in dataclasses.fields(kind)
        if field.name not in ("name", "quota")
    ],
)
def test_policies__refuse_rates_that_are_no_prices(policy: Any, field: str, bad: Any) -> None:
    """The message names the policy and the rate."""
    with pytest.raises(UsageError, match=rf"{PRICING_NAMES[policy]}.*{field}"):
        policy(**{field: bad})


PRICING_NAMES = {kind: name for name, kind in PRICING.items()}


@given(policies())
def test_pricing_name__round_trip(policy: PricingPolicy) -> None:
    """Every setting of a shipped policy survives its name."""
    assert make_pricing(pricing_name(policy)) == policy
    assert pickle.loads(pickle.dumps(policy)) == policy


def test_pricing_name__of_a_stranger_is_its_name() -> None:
    """A policy that is no dataclass of ours still has a name."""

    class Free:
        name = "free"

        def price(self, outcome: Outcome) -> float:
            return 0.0

    assert pricing_name(Free()) == "free"


def test_make_pricing__refuses_a_policy_that_cannot_be_remembered() -> None:
    """Payoff tables are kept by type and pricing, so a pricing must have a hash."""

    @dataclasses.dataclass
    class Changing:
        name: str = "changing"

        def price(self, outcome: Outcome) -> float:
            return 0.0

    with pytest.raises(UsageError, match="pricing 'changing': expected a hashable object"):
        make_pricing(Changing())
