"""Price steering: the arithmetic of a change of prices on stated matrices, and what it can and cannot change."""

from __future__ import annotations

import copy
import math
import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gtalign_env.agents.chain.context import ChainContext
from gtalign_env.agents.chain.steering import PriceSteering, direction, expected_outcome, hold, steer
from gtalign_env.agents.chain.tokens import PRIOR_TOKENS, TokenStatistics
from gtalign_env.errors import UsageError
from gtalign_env.games import Bimatrix
from gtalign_env.payoffs import Grounded
from gtalign_env.pricing import PerToken
from gtalign_env.solution.criteria import choose
from gtalign_env.types import LENGTH_TOKENS

MOVES = ("DA_short", "DA_long", "CQ")
TOKENS = (60.0, 480.0, 25.0)
FREE = "per_token:rate_out=0,rate_in=0"
SUM_INVARIANT = (
    "welfare:utilitarian",
    "welfare:linear:weight=0.3",
    "nash",
    "stackelberg:assistant",
    "stackelberg:user",
    "maximin",
)
"""Criteria that read sums or best replies: none has an origin, so what is added everywhere cannot matter."""


def game(user: Any, assistant: Any) -> Bimatrix:
    """Return a game of two rows against three moves of known length."""
    return Bimatrix(user, assistant, ("VQ", "DQ"), MOVES)


def payoffs() -> st.SearchStrategy[list[list[float]]]:
    """Stated payoffs: quarters from −5 to 5, whose sums are exact."""
    cell = st.integers(-20, 20).map(lambda quarters: quarters / 4)
    return st.lists(st.lists(cell, min_size=3, max_size=3), min_size=2, max_size=2)


# -- the arithmetic -------------------------------------------------------------------------------------------------------


def test_steer__adds_tokens_times_rate_to_one_side_and_takes_it_from_the_other() -> None:
    """From free to 0.01 a token, at sensitivity 2: the user loses 2·0.01·n, the provider gains 0.01·n."""
    zero = game(np.zeros((2, 3)), np.zeros((2, 3)))
    steered = steer(
        zero, pricing_from=FREE, pricing_to="per_token:rate_out=0.01,rate_in=0", tokens=TOKENS, sensitivity=2.0
    )
    assert steered.user[0] == pytest.approx([-1.2, -9.6, -0.5])
    assert steered.assistant[1] == pytest.approx([0.6, 4.8, 0.25])
    assert (steered.user_moves, steered.assistant_moves) == (("VQ", "DQ"), MOVES)


def test_steer__speaks_the_models_units() -> None:
    """The scale multiplies both sides' edits, and nothing else."""
    stated = game(np.ones((2, 3)), np.full((2, 3), 2.0))
    settings: dict[str, Any] = {"pricing_from": FREE, "pricing_to": "per_request:fee=0.5", "tokens": TOKENS}
    steered = steer(stated, scale=4.0, **settings)
    assert steered.user.tolist() == [[-1.0] * 3] * 2
    assert steered.assistant.tolist() == [[4.0] * 3] * 2


def test_steer__from_a_pricing_to_itself_changes_nothing() -> None:
    """No change of price, no change of payoffs."""
    stated = game([[1, 2, 3], [4, 5, 6]], [[6, 5, 4], [3, 2, 1]])
    for pricing in ("subscription", "per_token", "outcome_based"):
        steered = steer(stated, pricing_from=pricing, pricing_to=pricing, tokens=TOKENS)
        assert steered.user.tolist() == stated.user.tolist()
        assert steered.assistant.tolist() == stated.assistant.tolist()


def test_steer__and_back_gives_the_stated_matrix() -> None:
    """Steering is a sum of differences: there and back is nowhere."""
    stated = game([[1, 2, 3], [4, 5, 6]], [[6, 5, 4], [3, 2, 1]])
    there = steer(
        stated, pricing_from="subscription", pricing_to="per_token", tokens=TOKENS, sensitivity=0.7, scale=3.0
    )
    back = steer(there, pricing_from="per_token", pricing_to="subscription", tokens=TOKENS, sensitivity=0.7, scale=3.0)
    assert back.user == pytest.approx(stated.user)
    assert back.assistant == pytest.approx(stated.assistant)


def test_steer__charges_the_overhead_of_the_policy_to_the_provider_alone() -> None:
    """Verified answers cost 0.25 each: the provider's side, answers only."""
    zero = game(np.zeros((2, 3)), np.zeros((2, 3)))
    to = "outcome_based:fee=0,bonus=0,verification=0.25"
    steered = steer(zero, pricing_from=FREE, pricing_to=to, tokens=TOKENS)
    assert steered.user.tolist() == [[0.0] * 3] * 2
    assert steered.assistant.tolist() == [[-0.25, -0.25, 0.0]] * 2


def test_steer__follows_a_change_of_token_costs() -> None:
    """Dearer tokens at the same price: the provider loses the difference on every token."""
    zero = game(np.zeros((2, 3)), np.zeros((2, 3)))
    rates: dict[str, Any] = {"costs_from": Grounded(token_cost_out=0.0), "costs_to": Grounded(token_cost_out=0.01)}
    steered = steer(zero, pricing_from=FREE, pricing_to=FREE, tokens=TOKENS, **rates)
    assert steered.assistant[0] == pytest.approx([-0.6, -4.8, -0.25])
    assert not steered.user.any()


def test_steer__charges_a_flat_fee_with_the_first_reply() -> None:
    """A subscription is paid when the session opens, whatever is said."""
    zero = game(np.zeros((2, 3)), np.zeros((2, 3)))
    settings: dict[str, Any] = {"pricing_from": FREE, "pricing_to": "subscription:fee=0.5", "tokens": TOKENS}
    assert not steer(zero, **settings).user.any()
    assert steer(zero, opens_session=True, **settings).user.tolist() == [[-0.5] * 3] * 2


@given(payoffs(), payoffs(), st.integers(0, 8), st.sampled_from(SUM_INVARIANT), st.floats(0.25, 4.0))
def test_steer__by_a_uniform_shift_leaves_the_choice_unchanged(
    user: list[list[float]], assistant: list[list[float]], fee: int, criterion: str, sensitivity: float
) -> None:
    """A price that is the same for every move (per request) changes no choice of a sum-invariant criterion."""
    stated = game(user, assistant)
    steered = steer(
        stated,
        pricing_from=FREE,
        pricing_to=f"per_request:fee={fee}",
        tokens=TOKENS,
        sensitivity=round(sensitivity * 4) / 4,
    )
    before, after = choose(stated, criterion).play, choose(steered, criterion).play
    assert [cell[:2] for cell in after] == [cell[:2] for cell in before]
    assert [cell[2] for cell in after] == pytest.approx([cell[2] for cell in before], abs=1e-6)


def test_steer__by_a_uniform_shift_may_change_a_choice_that_has_an_origin() -> None:
    """√(U·L) is no sum: the same fee in every cell moves it, from the cell of the best product to the safe one."""
    stated = Bimatrix([[1.0, 4.0]], [[5.0, 1.0]], ["VQ"], ["DA_short", "DA_long"])
    steered = steer(stated, pricing_from=FREE, pricing_to="per_request:fee=0.75", tokens=[60, 480])
    assert choose(stated, "welfare:cobb_douglas").cell == ("VQ", "DA_short")  # √5 against √4
    assert choose(steered, "welfare:cobb_douglas").cell == ("VQ", "DA_long")  # √(0.25·5.75) against √(3.25·1.75)


def test_steer__does_not_repeat_the_published_anecdote() -> None:
    """The published change of choice came from a bonus for short answers, not from the users' penalty it was told of.

    Its matrix, with −0.5 for the user in every cell: the product still picks VQ_CQ, and so does the sum. The published
    edit besides gave the provider +1 for a direct answer, the shortest, though tokens are what it then sells.
    """
    user = np.array([[2.5, 2.7, 2.8], [2.3, 2.9, 2.4]])
    assistant = np.array([[1.0, 1.3, 1.6], [1.4, 1.7, 1.9]])
    moves = (("DQ", "VQ"), ("AQ", "CQ", "DA"))
    original = Bimatrix(user, assistant, *moves)
    penalised = Bimatrix(user - 0.5, assistant, *moves)
    published = Bimatrix(user - 0.5, assistant + np.array([0.5, 0.0, 1.0]), *moves)
    for criterion in ("welfare:nash_product", "welfare:utilitarian"):
        assert choose(original, criterion).cell == choose(penalised, criterion).cell == ("VQ", "CQ")
    assert choose(published, "welfare:nash_product").cell == ("DQ", "DA")
    priced = steer(original, pricing_from="subscription", pricing_to="per_token:rate_out=0.002", tokens=[200, 25, 180])
    change = priced.assistant - original.assistant
    assert change[0, 0] > change[0, 2] > change[0, 1]  # what sells more tokens earns more: the other way round


@pytest.mark.parametrize(
    "wrong",
    [
        {"tokens": (1.0, 2.0)},
        {"tokens": (1.0, -2.0, 3.0)},
        {"tokens": (1.0, math.nan, 3.0)},
        {"sensitivity": -1.0},
        {"scale": 0.0},
        {"scale": math.inf},
        {"tokens_in": -1.0},
        {"pricing_to": "gratis"},
        {"sensitivity": True},
    ],
    ids=str,
)
def test_steer__refuses_what_is_no_price(wrong: dict[str, Any]) -> None:
    """Numbers of the wrong count, sign or size, and unknown policies."""
    settings: dict[str, Any] = {"pricing_from": FREE, "pricing_to": "per_token", "tokens": TOKENS, **wrong}
    with pytest.raises(UsageError):
        steer(game(np.zeros((2, 3)), np.zeros((2, 3))), **settings)


def test_expected_outcome__counts_answers_only() -> None:
    """A question or a refusal is no answer, and settles nothing that would be paid for."""
    outcome = expected_outcome(["AQ_long", "DA", "CQ", "DECLINE"], [1, 2, 3, 4])
    assert outcome.answered.tolist() == outcome.resolved.tolist() == [1.0, 1.0, 0.0, 0.0]
    assert outcome.characters.tolist() == [4.0, 8.0, 12.0, 16.0]


# -- where tokens must go --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("criterion", "sensitivity", "expected"),
    [
        ("stackelberg:assistant", 5.0, 1),
        ("welfare:utilitarian", 1.0, 0),
        ("welfare:utilitarian", 0.5, 1),
        ("welfare:utilitarian", 2.0, -1),
        ("welfare:linear:weight=0.5", 1.0, 0),
        ("welfare:linear:weight=0.25", 1.0, 1),
        ("welfare:linear:weight=0.25", 4.0, -1),
        ("welfare:cobb_douglas", 1.0, None),
        ("welfare", 1.0, None),
        ("nash", 1.0, None),
        ("stackelberg:user", 1.0, None),
    ],
)
def test_direction__says_only_what_follows(criterion: str, sensitivity: float, expected: int | None) -> None:
    """(1 − w) − w·s decides in sums; a leader follows its own payoff; of the rest nothing is claimed."""
    assert direction(criterion, sensitivity=sensitivity) == expected


@given(
    payoffs(),
    payoffs(),
    st.sampled_from(["stackelberg:assistant", "welfare:utilitarian", "welfare:linear:weight=0.25"]),
    st.sampled_from([0.0, 0.5, 1.0, 2.0, 4.0]),
)
def test_direction__holds_on_any_matrix(
    user: list[list[float]], assistant: list[list[float]], criterion: str, sensitivity: float
) -> None:
    """As the price per token rises, the chosen move's tokens go nowhere but where theory says."""
    stated, claim = game(user, assistant), direction(criterion, sensitivity=sensitivity)
    lengths = dict(zip(MOVES, TOKENS, strict=True))
    seen = []
    for rate in (0.0, 0.0013, 0.0071, 0.031, 0.17):
        to = PerToken(rate_out=rate, rate_in=0.0)
        steered = steer(stated, pricing_from=FREE, pricing_to=to, tokens=TOKENS, sensitivity=sensitivity)
        cell = choose(steered, criterion).cell
        assert cell is not None
        seen.append(lengths[cell[1]])
    steps = np.diff(seen)
    assert claim is not None
    assert (steps * claim >= 0).all() if claim else not steps.any()


# -- hysteresis -----------------------------------------------------------------------------------------------------------


def test_hold__asks_for_a_gain_above_the_margin() -> None:
    """The assistant leads: another move gains 0.5 for it, so a margin of 0.4 lets it go and one of 0.6 does not."""
    stated = Bimatrix([[0, 0]], [[1.0, 1.5]], ["VQ"], ["DA", "CQ"])
    assert choose(hold(stated, "DA", 0.4), "stackelberg:assistant").cell == ("VQ", "CQ")
    assert choose(hold(stated, "DA", 0.6), "stackelberg:assistant").cell == ("VQ", "DA")
    assert choose(hold(stated, "AQ", 0.6), "stackelberg:assistant").cell == (
        "VQ",
        "CQ",
    )  # no such move: nothing to hold


@given(payoffs(), payoffs(), st.sampled_from(MOVES), st.integers(0, 8))
def test_hold__is_monotone_in_the_margin(
    user: list[list[float]], assistant: list[list[float]], last: str, quarters: int
) -> None:
    """What a margin holds, a greater one holds, too."""
    stated = game(user, assistant)
    held = choose(hold(stated, last, quarters / 4), "welfare:utilitarian").cell
    tighter = choose(hold(stated, last, quarters / 4 + 0.25), "welfare:utilitarian").cell
    assert held is not None
    assert tighter is not None
    assert held[1] != last or tighter[1] == last


def test_hold__refuses_a_negative_margin() -> None:
    """A bonus for leaving is no hysteresis."""
    with pytest.raises(UsageError, match="margin"):
        hold(game(np.zeros((2, 3)), np.zeros((2, 3))), "CQ", -0.1)


# -- the hook -------------------------------------------------------------------------------------------------------------


def test_price_steering__is_the_hook_of_a_chain() -> None:
    """It reads the turn's statistics, whether the session opens, and the last move."""
    steering = PriceSteering(pricing_from=FREE, pricing_to="two_part:fee=0.5,rate_out=0.01", margin=2.0)
    tokens = TokenStatistics({"DA_short": 100.0, "DA_long": 300.0, "CQ": 20.0})
    zero = game(np.zeros((2, 3)), np.zeros((2, 3)))
    first = steering(zero, ChainContext(tokens=tokens, first=True))
    later = steering(zero, ChainContext(tokens=tokens, first=False, last="CQ"))
    assert first.user[0] == pytest.approx([-1.5, -3.5, -0.7])
    assert later.assistant[0] == pytest.approx([1.0, 3.0, 2.2])


@pytest.mark.parametrize(
    "wrong", [{"margin": -1}, {"scale": 0}, {"sensitivity": math.nan}, {"pricing_to": "x"}], ids=str
)
def test_price_steering__refuses_wrong_settings_when_it_is_made(wrong: dict[str, Any]) -> None:
    """Not in the middle of a game."""
    with pytest.raises(UsageError):
        PriceSteering(**{"pricing_from": FREE, "pricing_to": FREE, **wrong})


# -- tokens ---------------------------------------------------------------------------------------------------------------


def test_token_statistics__begin_at_the_prior_and_go_to_the_mean() -> None:
    """(w·prior + Σ)/(w + n): 60 after nothing, 50 after two of 40 at w = 2, 40.2 after 198 of them at the same w."""
    seen = TokenStatistics(weight=2.0)
    assert seen.expected("DA_short") == LENGTH_TOKENS["short"] == PRIOR_TOKENS["DA_short"]
    for _ in range(2):
        seen.add("DA_short", 40)
    assert seen.expected("DA_short") == 50.0
    for _ in range(196):
        seen.add("DA_short", 40)
    assert seen.expected("DA_short") == pytest.approx((2 * 60 + 198 * 40) / 200)


def test_token_statistics__without_weight_trust_what_was_seen() -> None:
    """A prior of no weight stands in only while nothing was seen."""
    seen = TokenStatistics(weight=0.0)
    assert seen.expected("CQ") == 25.0
    seen.add("CQ", 7.0)
    assert seen.expected("CQ") == 7.0


def test_token_statistics__know_moves_without_a_prior_once_they_were_made() -> None:
    """A game of other moves has no prior; unknown moves are refused with the cure."""
    seen = TokenStatistics()
    with pytest.raises(UsageError, match="give one"):
        seen.expected("SPLIT")
    seen.add("SPLIT", 12.0)
    assert seen.expected("SPLIT") == 12.0


def test_token_statistics__are_copied_and_sent_whole() -> None:
    """Copies count on their own; a pickle holds what was seen."""
    seen = TokenStatistics()
    seen.add("CQ", 100.0)
    twin = copy.deepcopy(seen)
    twin.add("CQ", 1000.0)
    assert seen.expected("CQ") == 50.0 == pickle.loads(pickle.dumps(seen)).expected("CQ")


@pytest.mark.parametrize("wrong", [-1.0, math.inf, math.nan, "9", True])
def test_token_statistics__refuse_what_is_no_count(wrong: Any) -> None:
    """In a reply, in the prior, and as weight."""
    with pytest.raises(UsageError):
        TokenStatistics().add("CQ", wrong)
    with pytest.raises(UsageError):
        TokenStatistics({"CQ": wrong})
    with pytest.raises(UsageError):
        TokenStatistics(weight=wrong)
