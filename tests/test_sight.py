"""What a scripted player reads from its observation, against what the game knows."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import gtalign_env
from gtalign_env.finite import FiniteScenario, FiniteState
from gtalign_env.pricing import make_pricing
from gtalign_env.registration import make_scenario
from gtalign_env.sight import CLARITIES, KINDS, see
from gtalign_env.spaces import ASSIST_LAYOUT
from gtalign_env.types import ASSISTANT_MOVES, USER_MOVES, UserType


@pytest.fixture(scope="module")
def scenario() -> FiniteScenario:
    """The default session."""
    made = make_scenario("assist")
    assert isinstance(made, FiniteScenario)
    return made


def state_of(scenario: FiniteScenario, **changes: object) -> FiniteState:
    """Return a fresh state with some fields changed."""
    return scenario.reset(np.random.default_rng(0), {})._replace(**changes)  # type: ignore[arg-type]


def test_see__every_public_state(scenario: FiniteScenario) -> None:
    """Kind, clarity, progress and exchange come back as the tables name them, for both roles."""
    for public in range(scenario.tables.terminal):
        where = scenario.tables.coordinates(public)
        for role in ("user", "assistant"):
            seen = see({"observation": scenario.observe(state_of(scenario, public=public), role)})
            assert (seen.kind, seen.clarity) == (where["kind"], where["clarity"])
            assert seen.kind in KINDS
            assert seen.clarity in CLARITIES
            assert seen.progress == pytest.approx(int(where["question"]) / 4)
            assert seen.exchange == pytest.approx(int(where["exchange"]) / 3)
            assert seen.is_assistant is (role == "assistant")


def test_see__after_the_end(scenario: FiniteScenario) -> None:
    """Nothing is on the table any more, and all questions are done."""
    seen = see({"observation": scenario.observe(state_of(scenario, public=scenario.tables.terminal), "user")})
    assert (seen.kind, seen.clarity, seen.progress) == (None, None, 1.0)


def test_see__every_move(scenario: FiniteScenario) -> None:
    """Both last moves come back as moves; None before the first exchange."""
    fresh = see({"observation": scenario.observe(state_of(scenario), "assistant")})
    assert (fresh.last_reply, fresh.last_user) == (None, None)
    for u, user_move in enumerate(USER_MOVES):
        for a, assistant_move in enumerate(ASSISTANT_MOVES):
            state = state_of(scenario, last_user_move=u, last_assistant_move=a)
            seen = see({"observation": scenario.observe(state, "user")})
            assert (seen.last_user, seen.last_reply) == (user_move, assistant_move)


@pytest.mark.parametrize("total", [-20.0, -3.0, -0.4, 0.0, 0.3, 2.5, 7.0, 30.0])
def test_see__own_total(scenario: FiniteScenario, total: float) -> None:
    """The user reads its running total; far out it saturates at a large number of the right sign, never at 0."""
    seen = see({"observation": scenario.observe(state_of(scenario, user_total=total), "user")})
    if abs(total) <= 3.0:
        assert seen.own_total == pytest.approx(total, abs=1e-4)
    else:
        assert seen.own_total * total > 0.0
        assert 5.0 < abs(seen.own_total) <= 10.0
    assert see({"observation": scenario.observe(state_of(scenario, user_total=total), "assistant")}).own_total == 0.0


def test_see__quality_is_the_user_s_alone(scenario: FiniteScenario) -> None:
    """The last reply's quality is the user's to know."""
    state = state_of(scenario, last_quality=0.75)
    assert see({"observation": scenario.observe(state, "user")}).last_quality == 0.75
    assert see({"observation": scenario.observe(state, "assistant")}).last_quality == 0.0


@pytest.mark.parametrize(
    ("pricing", "expected"),
    [
        ("subscription:fee=0.8", (0.8, 0.0, 0.0)),
        ("per_token:rate_in=0.5,rate_out=0.0012", (0.0, 1.2, 0.0)),
        ("per_request:fee=0.15", (0.0, 0.0, 0.15)),
    ],
)
def test_see__prices(pricing: str, expected: tuple[float, float, float]) -> None:
    """Both players see what the session, 1,000 written tokens and a reply cost."""
    observations, _ = gtalign_env.parallel_env("assist", pricing=pricing).reset(seed=0)
    for observation in observations.values():
        seen = see(observation)
        prices = (seen.session_price, seen.price_per_1000_tokens, seen.price_per_request)
        assert prices == pytest.approx(expected, abs=1e-6)


def test_see__a_pinned_pricing_shows() -> None:
    """A pricing pinned at reset is what the players see."""
    env = gtalign_env.parallel_env("assist")
    observations, _ = env.reset(seed=0, options={"pricing": make_pricing("per_request:fee=0.5")})
    assert see(observations["assistant_0"]).price_per_request == pytest.approx(0.5)


def test_theta__is_in_the_user_s_vector_and_nowhere_in_the_assistant_s(scenario: FiniteScenario) -> None:
    """Changing any field of θ changes the user's slots and not one number of the assistant's."""
    base = UserType()
    for field in dataclasses.fields(UserType):
        if field.name == "name":
            continue
        other = dataclasses.replace(base, **{field.name: getattr(base, field.name) * 2})
        vectors = {}
        for theta in (base, other):
            state = scenario.reset(np.random.default_rng(0), {"user_type": theta})
            vectors[theta] = scenario.observe(state, "user"), scenario.observe(state, "assistant")
        assert (vectors[base][0][ASSIST_LAYOUT["theta"]] != vectors[other][0][ASSIST_LAYOUT["theta"]]).sum() == 1
        assert np.array_equal(vectors[base][1], vectors[other][1])
        assert not vectors[base][1][ASSIST_LAYOUT["theta"]].any()
