"""Beliefs about the other side's values, and the offers that follow from them."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gtalign_env.errors import UsageError
from gtalign_env.games.division import Division
from gtalign_env.games.division_space import all_divisions
from gtalign_env.games.fair_beliefs import (
    Chair,
    accepts,
    after_offer,
    after_rejection,
    belief_coverage,
    belief_reduction,
    belief_sharpness,
    best_offer,
    chance_of_no_envy,
)

EXAMPLE = Division((1, 1, 3), (1, 3, 2), (1, 0, 3))
USER, ASSISTANT = Chair.of(EXAMPLE, "user"), Chair.of(EXAMPLE, "assistant")


@st.composite
def situations(draw: st.DrawFn) -> tuple[Chair, Any, int, int]:
    """Draw a chair, a belief that holds something possible, and two shares."""
    chair = Chair.of(draw(st.sampled_from(all_divisions()[::37])), "user")
    size = len(chair.valuations)
    mask = np.array(draw(st.lists(st.booleans(), min_size=size, max_size=size)))
    mask[draw(st.integers(0, size - 1))] = True
    shares = st.integers(0, len(chair.shares) - 1)
    return chair, mask, draw(shares), draw(shares)


def parts(chair: Chair, valuation: Any, share: int) -> tuple[int, int]:
    """Return what the other side's rest and the kept share are worth under a valuation."""
    kept = int(np.dot(valuation, chair.shares[share]))
    return int(np.dot(valuation, chair.counts)) - kept, kept


# -- chairs ---------------------------------------------------------------------------------------------------------------


def test_chair__knows_shares_and_valuations() -> None:
    """The worked example: 26 valuations, 16 shares, worth and fairness by the definitions."""
    assert (len(USER.valuations), len(USER.shares)) == (26, 16)
    for index, share in enumerate(USER.shares.tolist()):
        own = share[0] * 1 + share[1] * 3 + share[2] * 2
        assert USER.worth[index] == own
        assert USER.fair[index] == (own >= 10 - own)
        assert USER.index(share) == index
    assert USER.prior().all()
    assert USER.valuations[USER.where((1, 0, 3))].tolist() == [[1, 0, 3]]
    with pytest.raises(UsageError, match="worth 10 to either side"):
        USER.where((1, 1, 3))


@given(situations())
def test_chair__tables_follow_the_definitions(situation: tuple[Chair, Any, int, int]) -> None:
    """Worth of the rest, and contentment with it, for every valuation."""
    chair, _, share, _ = situation
    for index, valuation in enumerate(chair.valuations):
        left, kept = parts(chair, valuation, share)
        assert chair.left[index, share] == left
        assert chair.content[index, share] == (left >= kept)


def test_chair__indistinguishable_by_brute_force() -> None:
    """I(v) = {v': best fair deals under v' are best fair deals under v}, by the definition."""

    def best_deals(values: Any) -> set[tuple[int, ...]]:
        fair = {}
        for share in itertools.product(range(2), range(2), range(4)):
            own = int(np.dot(share, (1, 3, 2)))
            kept = int(np.dot(share, values))
            if own >= 5 and 10 - kept >= kept:
                fair[share] = own + 10 - kept
        return {share for share, total in fair.items() if total == max(fair.values())}

    true = best_deals((1, 0, 3))
    assert true == {(0, 1, 1), (1, 1, 1)}
    expected = [best_deals(values) <= true for values in USER.valuations.tolist()]
    assert USER.indistinguishable((1, 0, 3)).tolist() == expected
    assert 1 < sum(expected) < 26


# -- beliefs --------------------------------------------------------------------------------------------------------------


def test_after_offer__worked_example() -> None:
    """The reference run: the user's belief shrinks to 13, 6, 4 valuations, the assistant's to 19, 11, 9."""
    users = [(0, 1, 3), (0, 1, 2), (1, 1, 1)]
    assistants = [(1, 0, 3), (0, 0, 3), (1, 0, 2)]
    belief, other = USER.prior(), ASSISTANT.prior()
    sizes, others = [], []
    for turn, (mine, theirs) in enumerate(zip(users, assistants, strict=True)):
        last = None if turn == 0 else ASSISTANT.index(assistants[turn - 1])
        other = after_offer(ASSISTANT, other, ASSISTANT.index(EXAMPLE.rest(mine)), proposed=last)
        belief = after_offer(USER, belief, USER.index(EXAMPLE.rest(theirs)), proposed=USER.index(mine))
        sizes.append(int(belief.sum()))
        others.append(int(other.sum()))
    assert (sizes, others) == ([13, 6, 4], [19, 11, 9])
    assert belief_coverage(belief, USER.where((1, 0, 3))) == belief_coverage(other, ASSISTANT.where((1, 3, 2))) == 1.0


@given(situations(), st.booleans())
def test_after_offer__follows_the_rule(situation: tuple[Chair, Any, int, int], proposed_before: bool) -> None:
    """P1 and P2 of the study's code, its restart and its fallback, valuation by valuation."""
    chair, mask, offered, mine = situation
    proposed = mine if proposed_before else None

    def explains(valuation: Any) -> bool:
        left, kept = parts(chair, valuation, offered)
        if proposed is None:
            return left >= kept
        before, taken = parts(chair, valuation, proposed)
        return (before < taken and left >= kept) or (before >= taken and left > before)

    reasons = np.array([explains(valuation) for valuation in chair.valuations])
    expected = mask & reasons
    if not expected.any():
        expected = reasons if reasons.any() else mask
    if proposed == offered:
        expected = mask
    assert after_offer(chair, mask, offered, proposed=proposed).tolist() == expected.tolist()


@given(situations(), st.floats(0.05, 1.0), st.floats(0.0, 3.0))
def test_after_rejection__is_algorithm_1(situation: tuple[Chair, Any, int, int], rate: float, greed: float) -> None:
    """Envy has likelihood 1, greed γ, anything else 0; λ mixes the posterior with the prior."""
    chair, mask, rejected, _ = situation
    prior = mask / mask.sum()
    chances = chance_of_no_envy(chair, prior)
    likelihood = []
    for valuation in chair.valuations:
        left, kept = parts(chair, valuation, rejected)
        better = any(chances[s] > 0 and parts(chair, valuation, s)[0] > left for s in range(len(chair.shares)))
        likelihood.append(1.0 if left < kept else greed if better else 0.0)
    joint = prior * likelihood
    expected = prior if joint.sum() == 0 else (1 - rate) * prior + rate * joint / joint.sum()
    found = after_rejection(chair, mask, rejected, rate=rate, greed=greed)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)
    assert found.sum() == pytest.approx(1.0)


# -- offers ---------------------------------------------------------------------------------------------------------------


@given(situations())
def test_chance_of_no_envy__is_a_share_of_the_belief(situation: tuple[Chair, Any, int, int]) -> None:
    """The weight of the valuations that are content, and 0 where the proposer itself would envy."""
    chair, mask, share, _ = situation
    content = sum(parts(chair, v, share)[0] >= parts(chair, v, share)[1] for v in chair.valuations[mask])
    own = chair.worth[share] >= chair.worth[-1] - chair.worth[share]
    found = chance_of_no_envy(chair, mask)
    assert found[share] == pytest.approx(content / mask.sum() if own else 0.0)
    np.testing.assert_allclose(found, chance_of_no_envy(chair, mask / 7.0), rtol=0, atol=1e-12)


def test_best_offer__takes_the_worthiest_then_the_likeliest_then_the_first() -> None:
    """Own value first; ties by the chance of no envy, then by lexicographic order; ``None`` when all is turned down."""
    chair = Chair((1, 1), (5, 5))
    assert chair.worth.tolist() == [0, 5, 5, 10]
    nothing = np.zeros(4, dtype=np.bool_)
    assert best_offer(chair, np.array([0.0, 0.4, 0.6, 0.0]), nothing) == 2
    assert best_offer(chair, np.array([0.0, 0.6, 0.6, 0.0]), nothing) == 1
    assert best_offer(chair, np.array([0.0, 0.9, 0.6, 0.1]), nothing) == 3
    assert best_offer(chair, np.array([0.0, 0.9, 0.6, 0.1]), np.array([False, True, False, True])) == 2
    assert best_offer(chair, np.array([0.0, 0.9, 0.0, 0.0]), ~nothing) is None


def test_accepts__only_what_is_fair_and_as_good_as_the_next_proposal() -> None:
    """An offer must cause no envy and be worth what would be proposed; with nothing to propose fairness is enough."""
    at = {tuple(share): index for index, share in enumerate(USER.shares.tolist())}
    assert accepts(USER, at[0, 1, 1], at[0, 1, 1])
    assert accepts(USER, at[0, 1, 1], None)
    assert not accepts(USER, at[0, 1, 1], at[1, 1, 1])  # 5 against 6
    assert not accepts(USER, at[1, 1, 0], None)  # 4 of 10: envy


# -- measures -------------------------------------------------------------------------------------------------------------


def test_belief_measures__by_their_formulas() -> None:
    """Coverage 1[true in V], sharpness |V and true| / |V|, reduction 1 - |V| / |prior|; weights count as a set."""
    weights = np.array([0.5, 0.25, 0.25, 0.0])
    one, two = np.array([False, True, False, False]), np.array([True, True, False, True])
    assert belief_coverage(weights, one) == belief_coverage(weights, two) == 1.0
    assert belief_coverage(weights, np.array([False, False, False, True])) == 0.0
    assert belief_sharpness(weights, one) == pytest.approx(1 / 3)
    assert belief_sharpness(weights, two) == pytest.approx(2 / 3)
    assert belief_reduction(weights) == 0.25
    assert belief_reduction(weights > 1) == 1.0
