"""Beliefs, what information is worth, calibration and populations."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gtalign_env import metrics
from gtalign_env.errors import UsageError

PRIOR = [0.6, 0.4]
UTILITY = [[10, 0], [2, 8], [6, 6]]
ACCURATE = [[0.8, 0.2], [0.2, 0.8]]


@st.composite
def problems(draw: st.DrawFn) -> tuple[Any, Any, Any]:
    """Return a prior, utilities and a question of random sizes."""
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    types, actions, signals = (draw(st.integers(1, 4)) for _ in range(3))
    return (
        rng.dirichlet(np.ones(types)),
        rng.normal(size=(actions, types)),
        rng.dirichlet(np.ones(signals), size=types),
    )


def test_information__has_the_known_values() -> None:
    """EVPI 3.2, EVSI 1.6, .2677 of .9710 bits: the worked example with two types and three actions."""
    assert metrics.evpi(PRIOR, UTILITY) == pytest.approx(3.2)
    assert metrics.evsi(PRIOR, UTILITY, ACCURATE) == pytest.approx(1.6)
    assert metrics.mutual_information(PRIOR, ACCURATE) == pytest.approx(0.2677, abs=5e-5)
    assert metrics.entropy(PRIOR) == pytest.approx(0.9710, abs=5e-5)
    asked = metrics.value_of_question(PRIOR, UTILITY, ACCURATE)
    assert asked.share == pytest.approx(0.2677 / 0.9710, abs=1e-4)
    assert asked.per_bit == pytest.approx(1.6 / 0.2677, rel=1e-3)


@given(problems())
def test_information__a_question_is_worth_between_nothing_and_everything(problem: tuple[Any, Any, Any]) -> None:
    """0 ≤ EVSI ≤ EVPI and 0 ≤ I ≤ H; the perfect question attains both bounds, an empty one neither tells nor pays."""
    prior, utility, likelihood = problem
    perfect, empty = np.eye(len(prior)), np.ones((len(prior), 1))
    assert 0 <= metrics.evsi(prior, utility, likelihood) <= metrics.evpi(prior, utility) + 1e-12
    assert 0 <= metrics.mutual_information(prior, likelihood) <= metrics.entropy(prior) + 1e-12
    assert metrics.evsi(prior, utility, perfect) == pytest.approx(metrics.evpi(prior, utility), abs=1e-12)
    assert metrics.mutual_information(prior, perfect) == pytest.approx(metrics.entropy(prior), abs=1e-12)
    nothing = metrics.value_of_question(prior, utility, empty)
    assert nothing.evsi == pytest.approx(0, abs=1e-12)
    assert nothing.per_bit is None


@given(problems())
def test_information__is_the_expected_drop_of_entropy_under_bayes(problem: tuple[Any, Any, Any]) -> None:
    """I(Θ; S) = H(prior) − E H(posterior), and posteriors average to the prior."""
    prior, utility, likelihood = problem
    chances = prior @ likelihood
    after = [metrics.update_belief(prior, likelihood[:, s]) for s in range(len(chances))]
    drop = metrics.entropy(prior) - sum(p * metrics.entropy(b) for p, b in zip(chances, after, strict=True))
    assert metrics.mutual_information(prior, likelihood) == pytest.approx(drop, abs=1e-12)
    assert sum(p * b for p, b in zip(chances, after, strict=True)) == pytest.approx(prior)
    best = sum(p * (utility @ b).max() for p, b in zip(chances, after, strict=True)) - (utility @ prior).max()
    assert metrics.evsi(prior, utility, likelihood) == pytest.approx(max(best, 0), abs=1e-9)


def test_entropy__of_sure_and_of_uniform_beliefs() -> None:
    """0 bits and log₂ K bits; a probability of 0 is no trouble. A question about what is known tells nothing."""
    assert metrics.entropy([1, 0, 0]) == 0.0
    assert metrics.entropy([0.25] * 4) == 2.0
    assert metrics.value_of_question([1.0, 0.0], UTILITY, ACCURATE).share == 0.0


def test_update_belief__refuses_the_impossible() -> None:
    """An observation that no believed type would cause has no posterior."""
    with pytest.raises(UsageError, match="impossible under this belief"):
        metrics.update_belief([1.0, 0.0], [0.0, 1.0])
    assert metrics.update_belief([0.5, 0.5], [0.0, 7.0]).tolist() == [0.0, 1.0]


def test_bayes_regret__of_the_best_blind_play_is_evpi_and_of_the_best_informed_play_is_zero() -> None:
    """The blind optimum is worth 6 (row 1 or 3), knowing the type 9.2."""
    assert metrics.bayes_regret(PRIOR, UTILITY, [[0, 0, 1], [0, 0, 1]]) == pytest.approx(3.2)
    assert metrics.bayes_regret(PRIOR, UTILITY, [[1, 0, 0], [0, 1, 0]]) == pytest.approx(0.0)
    assert metrics.bayes_regret(PRIOR, UTILITY, [[0, 1, 0], [1, 0, 0]]) == pytest.approx(9.2 - 1.2)


def test_information__refuses_what_is_no_distribution_or_has_the_wrong_shape() -> None:
    """Sums, signs, shapes and NaN, each in words."""
    for belief in ([0.5, 0.6], [1.5, -0.5], [], 1.0):
        with pytest.raises(UsageError, match="belief: expected probabilities"):
            metrics.entropy(belief)
    with pytest.raises(UsageError, match="one distribution"):
        metrics.entropy([[1.0], [1.0]])
    with pytest.raises(UsageError, match="belief: expected finite numbers"):
        metrics.entropy([math.nan, 1.0])
    with pytest.raises(UsageError, match="belief: expected numbers"):
        metrics.entropy(["x"])
    with pytest.raises(UsageError, match=r"one row of chances per type \(2\)"):
        metrics.mutual_information(PRIOR, [[1.0]])
    with pytest.raises(UsageError, match=r"utility: expected shape \(actions, 2 types\)"):
        metrics.evpi(PRIOR, [[1, 2, 3]])
    with pytest.raises(UsageError, match="2 numbers >= 0, one per type"):
        metrics.update_belief(PRIOR, [0.5, -0.5])
    with pytest.raises(UsageError, match=r"play: expected shape \(2, 3\)"):
        metrics.bayes_regret(PRIOR, UTILITY, [[1.0], [1.0]])


def test_scores__of_perfect_uniform_and_wrong_forecasts() -> None:
    """Brier 0, 1 − 1/K and 2; log score 0, log₂ K and infinity."""
    sure, blank = np.eye(4)[[0, 1]], np.full((2, 4), 0.25)
    assert metrics.brier_score(sure, [0, 1]) == 0.0
    assert metrics.brier_score(blank, [0, 1]) == 0.75
    assert metrics.brier_score(sure, [1, 0]) == 2.0
    assert metrics.log_score(sure, [0, 1]) == 0.0
    assert metrics.log_score(blank, [0, 1]) == 2.0
    assert metrics.log_score(sure, [0, 0]) == math.inf
    assert metrics.top_accuracy(sure, [0, 2]) == 0.5
    assert metrics.top_accuracy(blank, [0, 1]) == 0.25


@given(st.integers(0, 10**6))
def test_scores__are_proper(seed: int) -> None:
    """Expected over truths drawn by p, no other forecast q scores better than p itself."""
    p, q = np.random.default_rng(seed).dirichlet(np.ones(3), size=2)
    for score in (metrics.brier_score, metrics.log_score):
        honest, other = (sum(p[k] * score([said], [k]) for k in range(3)) for said in (p, q))
        assert honest <= other + 1e-12


def test_calibration_error__compares_what_was_said_with_what_came_bin_by_bin() -> None:
    """By hand: .15 of 20 % happened in one bin (gap .05), .9 against 60 % in another (gap .3)."""
    stated = [0.15] * 5 + [0.9] * 5
    happened = [1, 0, 0, 0, 0, 1, 1, 1, 0, 0]
    assert metrics.calibration_error(stated, happened) == pytest.approx(0.5 * 0.05 + 0.5 * 0.3)
    assert metrics.calibration_error(stated, happened, bins=1) == pytest.approx(abs(0.4 - 0.525))
    assert metrics.calibration_error([1.0, 0.0], [1, 0]) == 0.0
    assert metrics.top_calibration_error([[0.75, 0.25]] * 4, [0, 0, 0, 1]) == pytest.approx(0.0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: metrics.calibration_error([0.5], [1, 0]), "as many outcomes as forecasts"),
        (lambda: metrics.calibration_error([1.5], [1]), "stated: expected at least one number from 0 to 1"),
        (lambda: metrics.calibration_error([0.5], [math.nan]), "happened"),
        (lambda: metrics.calibration_error(["x"], [1]), "stated: expected numbers from 0 to 1"),
        (lambda: metrics.calibration_error([], []), "at least one"),
        (lambda: metrics.calibration_error([0.5], [1], bins=0), "bins: expected an integer >= 1"),
        (lambda: metrics.brier_score([[0.5, 0.5]], [2]), "indices from 0 to 1"),
        (lambda: metrics.brier_score([[0.5, 0.5]], [0.5]), "indices from 0 to 1"),
        (lambda: metrics.brier_score([[0.5, 0.5]], [0, 1]), "n truths"),
        (lambda: metrics.log_score([0.5, 0.5], [0]), "n truths"),
    ],
)
def test_calibration__refuses_what_does_not_fit(call: Any, message: str) -> None:
    """Lengths, ranges and indices."""
    with pytest.raises(UsageError, match=message):
        call()


def test_gini_index__has_the_known_values() -> None:
    """(5, 1): 1/3; (10, 5): 1/6; one of n has all: (n − 1)/n; the order statistics formula agrees."""
    assert metrics.gini_index([5, 1]) == pytest.approx(1 / 3)
    assert metrics.gini_index([10, 5]) == pytest.approx(1 / 6)
    assert metrics.gini_index([0, 0, 0, 8]) == 0.75
    values = np.sort(np.random.default_rng(0).random(9))
    n = len(values)
    ranked = sum((2 * i - n - 1) * x for i, x in enumerate(values, start=1)) / (n * values.sum())
    assert metrics.gini_index(values) == pytest.approx(ranked)


def test_gini_index__shares_count_as_people_do() -> None:
    """A share of 3 in 4 is three people of four."""
    assert metrics.gini_index([1, 5], [3, 1]) == pytest.approx(metrics.gini_index([1, 1, 1, 5]))


def test_by_type__names_who_fares_worst() -> None:
    """Mean by shares, worst type, and no Gini where a type loses or nobody gains."""
    found = metrics.by_type({"concise": 2.0, "detailed": 1.0, "rare": 0.5}, {"concise": 2, "detailed": 1, "rare": 1})
    assert (found.mean, found.worst, found.worst_type) == (1.375, 0.5, "rare")
    assert found.gini == pytest.approx(metrics.gini_index([2, 2, 1, 0.5]))
    assert metrics.by_type({"a": 2.0, "b": -1.0}).gini is None
    assert metrics.by_type({"a": 0.0, "b": 0.0}).gini is None


@pytest.mark.parametrize(
    ("values", "shares", "message"),
    [
        ({}, None, "at least one type"),
        ({"a": math.nan}, None, "finite values"),
        ({"a": "x"}, None, "expected numbers by type"),
        ({"a": 1.0}, {"b": 1.0}, "one for each of a, got b"),
        ({"a": 1.0}, {"a": -1.0}, "finite numbers >= 0"),
        ({"a": 1.0}, {"a": 0.0}, "not all 0"),
    ],
)
def test_by_type__refuses_what_is_no_population(values: Any, shares: Any, message: str) -> None:
    """Values and shares are checked."""
    with pytest.raises(UsageError, match=message):
        metrics.by_type(values, shares)
    with pytest.raises(UsageError, match="values >= 0 that are not all 0"):
        metrics.gini_index([-1.0, 2.0])
