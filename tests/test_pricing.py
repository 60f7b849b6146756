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
from gtalign_env.pricing import PRICING, PerRequest, PerToken, Subscription, make_pricing, pricing_name
from gtalign_env.protocols import PricingPolicy
from gtalign_env.types import Outcome


@dataclasses.dataclass(frozen=True)
class Rebate:
    """A policy of somebody else's: the provider pays."""

    name: str = "rebate"

    def price(self, outcome: Outcome) -> Any:
        """Pay one credit back for every request."""
        return -1.0 * outcome.requests


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
    ],
)
def test_price__by_hand(pricing: PricingPolicy, outcome: Outcome, price: float) -> None:
    """Flat fee at the opening, two meters, or a fee per reply; numbers chosen to be exact in binary."""
    assert pricing.price(outcome) == price


def test_price__takes_arrays() -> None:
    """One outcome of arrays costs what its entries cost one by one."""
    tokens = np.array([[0.0, 60.0], [180.0, 480.0]])
    outcome = Outcome(tokens_in=tokens / 2, tokens_out=tokens, requests=np.ones((2, 2)), opens_session=np.eye(2))
    for policy in (PerToken(), PerRequest(), Subscription()):
        whole = policy.price(outcome)
        for place in np.ndindex(2, 2):
            single = {f.name: getattr(outcome, f.name) for f in dataclasses.fields(Outcome)}
            one = Outcome(
                **{name: value[place] if isinstance(value, np.ndarray) else value for name, value in single.items()}
            )
            assert whole[place] == policy.price(one)


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
        ("per_tokens", r"did you mean 'per_token'\?.*per_request, per_token, subscription"),
        ("", "unknown pricing ''"),
        ("per_token:fee=1", "setting 'fee' is unknown: expected rate_in or rate_out"),
        ("per_token:name=1", "setting 'name' is unknown"),
        ("per_token:rate_in", "rate_in must be a number, got ''"),
        ("per_token:rate_in=cheap", "rate_in must be a number, got 'cheap'"),
        ("per_token:rate_in=-1", "rate_in must be a finite number >= 0, got -1.0"),
        ("subscription:fee=nan", "fee must be a finite number >= 0, got nan"),
        ("subscription:fee=inf", "fee must be a finite number"),
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
    ("policy", "field"), [(Subscription, "fee"), (PerToken, "rate_in"), (PerToken, "rate_out"), (PerRequest, "fee")]
)
def test_policies__refuse_rates_that_are_no_prices(policy: Any, field: str, bad: Any) -> None:
    """The message names the policy and the rate."""
    with pytest.raises(UsageError, match=rf"{PRICING_NAMES[policy]}.*{field}"):
        policy(**{field: bad})


PRICING_NAMES = {kind: name for name, kind in PRICING.items()}


@given(st.sampled_from(sorted(PRICING)), st.data())
def test_pricing_name__round_trip(name: str, data: st.DataObject) -> None:
    """Every setting of a shipped policy survives its name."""
    fields = [field.name for field in dataclasses.fields(PRICING[name]) if field.name != "name"]
    policy = PRICING[name](**{field: data.draw(st.floats(0, 1e6)) for field in fields})
    assert make_pricing(pricing_name(policy)) == policy
    assert pickle.loads(pickle.dumps(policy)) == policy


def test_pricing_name__of_a_stranger_is_its_name() -> None:
    """A policy that is no dataclass of ours still has a name."""

    class Free:
        name = "free"

        def price(self, outcome: Outcome) -> float:
            return 0.0

    assert pricing_name(Free()) == "free"
