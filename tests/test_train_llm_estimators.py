"""Advantages: the published formulas by hand, and what holds of all of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from gtalign_env.errors import UsageError
from gtalign_env.training.llm.estimators import (
    EPS,
    advantages,
    party_gae,
    rescaled,
    returns_to_go,
    signal,
    telescoped,
)

GROUPS, MEMBERS = 3, 4
LABELS = np.repeat(np.arange(GROUPS), MEMBERS)
RETURNS = arrays(np.float64, (GROUPS * MEMBERS, 2), elements=st.floats(-5, 5, width=32))


def grouped(values: np.ndarray) -> np.ndarray:
    """Return values by group and member."""
    return values.reshape(GROUPS, MEMBERS, *values.shape[1:])


@given(RETURNS)
def test_grpo__is_the_joined_return_normalised_in_its_group(returns: np.ndarray) -> None:
    """TRL's sum_then_normalize: (x − mean)/(std + 1e-4), std with n − 1."""
    joined = grouped(returns @ [0.25, 0.75])
    wanted = (joined - joined.mean(axis=1, keepdims=True)) / (joined.std(axis=1, ddof=1, keepdims=True) + EPS)
    found = advantages(returns, [LABELS], [0.25, 0.75], scale="group")
    assert found == pytest.approx(wanted.ravel(), abs=1e-9)


@given(RETURNS)
def test_gdpo__normalises_each_party_and_then_the_batch(returns: np.ndarray) -> None:
    """GDPO: each reward in its group, a weighted sum, then (x − mean)/(std + 1e-4) over the batch."""
    parts = grouped(returns)
    each = (parts - parts.mean(axis=1, keepdims=True)) / (parts.std(axis=1, ddof=1, keepdims=True) + EPS)
    joined = (each @ [1.0, 0.3]).ravel()
    wanted = (joined - joined.mean()) / (joined.std(ddof=1) + EPS)
    assert advantages(returns, [LABELS], [1.0, 0.3], estimator="gdpo") == pytest.approx(wanted, abs=1e-9)


@given(RETURNS)
def test_rloo__compares_with_the_others(returns: np.ndarray) -> None:
    """Leave-one-out: a return less the mean of the other members'."""
    joined = grouped(returns @ [0.5, 0.5])
    others = (joined.sum(axis=1, keepdims=True) - joined) / (MEMBERS - 1)
    found = advantages(returns, [LABELS], [0.5, 0.5], estimator="rloo", scale="none")
    assert found == pytest.approx((joined - others).ravel(), abs=1e-9)


@pytest.mark.parametrize("estimator", ["grpo", "rloo", "gdpo"])
def test_advantages__of_equal_returns_are_nothing(estimator: str) -> None:
    """A group whose members fare alike teaches nothing, and is not blown up by a spread of 0."""
    returns = np.tile([[2.0, 1.0]], (12, 1))
    assert not advantages(returns, [LABELS], [0.5, 0.5], estimator=estimator).any()


def test_gdpo__cancels_where_one_gains_what_the_other_loses() -> None:
    """Constant-sum payoffs with equal weights: GDPO has nothing to say, and welfare √(U·L) still ranks (facts §5.2)."""
    user = np.array([1.0, 2.0, 3.0, 0.5])
    returns = np.stack([user, 4.0 - user], axis=1)
    labels = [np.zeros(4)]
    assert advantages(returns, labels, [1.0, 1.0], estimator="gdpo") == pytest.approx(np.zeros(4), abs=1e-9)
    welfare = np.sqrt(returns.prod(axis=1))[:, None]
    ranked = advantages(welfare, labels, [1.0], scale="group")
    assert np.argsort(ranked).tolist() == np.argsort(-np.abs(user - 2.0)).tolist()


def test_gdpo__keeps_a_party_of_small_payoffs_heard() -> None:
    """Joined first, the party with the larger spread decides; normalised first, both count alike (MO-GRPO, GDPO)."""
    returns = np.array([[10.0, 0.1], [0.0, 0.2], [10.0, 0.2], [0.0, 0.1]])
    labels = [np.zeros(4)]
    summed = advantages(returns, labels, [0.5, 0.5], scale="group")
    apart = advantages(returns, labels, [0.5, 0.5], estimator="gdpo")
    assert summed[0] == pytest.approx(summed[2], abs=0.02)
    assert apart[2] - apart[0] == pytest.approx(apart[0] - apart[3], rel=0.01)


@given(RETURNS, st.floats(0.1, 3.0))
def test_advantages__do_not_depend_on_the_order_of_rows(returns: np.ndarray, weight: float) -> None:
    """Shuffled rows have shuffled advantages."""
    order = np.random.default_rng(0).permutation(len(returns))
    found = advantages(returns, [LABELS], [weight, 1.0])
    shuffled = advantages(returns[order], [LABELS[order]], [weight, 1.0])
    assert shuffled == pytest.approx(found[order], abs=1e-9)


def test_advantages__weigh_each_row_by_its_own_price() -> None:
    """Weights may differ from row to row, as where groups pay different prices."""
    returns = [[1.0, 0.0], [0.0, 0.0], [1.0, 0.0], [0.0, 0.0]]
    weights = [[1.0, 1.0]] * 2 + [[3.0, 1.0]] * 2
    assert advantages(returns, [[0, 0, 1, 1]], weights, scale="none").tolist() == [0.5, -0.5, 1.5, -1.5]


def test_advantages__fall_back_to_coarser_labels() -> None:
    """A row that is alone in its group is compared at the next label; alone everywhere, with nothing."""
    returns = [[1.0], [3.0], [5.0], [9.0]]
    fine, coarse = [0, 0, 1, 2], ["a", "a", "a", "b"]
    found = advantages(returns, [fine, coarse], [1.0], scale="none")
    assert found.tolist() == [-1.0, 1.0, 2.0, 0.0]  # 5 against the mean of 1, 3, 5


def test_rescaled__leaves_a_single_row_alone() -> None:
    """One row has no spread."""
    assert rescaled(np.array([2.0])).tolist() == [2.0]


def test_signal__looks_at_each_party() -> None:
    """A group in which one party's returns differ has a signal of that party alone."""
    returns = [[1, 5], [1, 6], [1, 7], [1, 7], [2, 7], [2, 7]]
    assert signal(returns, [0, 0, 1, 1, 2, 2]).tolist() == [0.0, 1 / 3]
    assert signal(np.zeros((0, 2)), []).tolist() == [0.0, 0.0]


@given(arrays(np.float64, (5, 2), elements=st.floats(-5, 5, width=32)), st.floats(0.0, 1.0))
def test_party_gae__with_lambda_one_is_the_return_less_the_value(payoffs: np.ndarray, gamma: float) -> None:
    """λ = 1: what came, less what was expected (Schulman et al. 2016, eq. 18)."""
    values = payoffs[::-1] / 2
    found = party_gae(payoffs, values, gamma=gamma, lam=1.0)
    assert found == pytest.approx(returns_to_go(payoffs, gamma) - values, abs=1e-9)


def test_party_gae__with_lambda_zero_looks_one_turn_ahead() -> None:
    """λ = 0: the payoff and the next value, less this one."""
    found = party_gae([[1.0, 0.0], [2.0, 1.0]], [[3.0, 1.0], [4.0, 0.0]], gamma=0.5, lam=0.0)
    assert found.tolist() == [[1.0 + 0.5 * 4.0 - 3.0, 0.0 + 0.0 - 1.0], [2.0 - 4.0, 1.0 - 0.0]]


def test_telescoped__adds_up_to_the_welfare_of_the_end() -> None:
    """What the turns add sums to the last value, and what is to come from a turn on is the end less what was before."""
    parts = telescoped([0.5, -1.0, 2.0])
    assert parts.sum() == 2.0
    assert returns_to_go(parts).ravel().tolist() == [2.0, 1.5, 3.0]


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"estimator": "gae"}, "expected grpo, rloo or gdpo"),
        ({"scale": "rows"}, "a scale of group, batch, none"),
        ({"weights": [1.0]}, "expected one for each of 2 parties"),
        ({"labels": [[0]]}, "expected one for each of 4 rows"),
        ({"returns": [1.0, 2.0]}, "a row for each episode or turn"),
    ],
)
def test_advantages__refuse_what_does_not_fit(options: dict[str, object], complaint: str) -> None:
    """Errors say what was expected."""
    given_: dict[str, object] = {"returns": np.ones((4, 2)), "labels": [[0, 0, 1, 1]], "weights": [1.0, 1.0], **options}
    with pytest.raises(UsageError, match=complaint):
        advantages(given_.pop("returns"), given_.pop("labels"), given_.pop("weights"), **given_)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="expected shape"):
        party_gae([[1.0]], [[1.0], [2.0]])
