"""Bootstrap intervals: reproducible, of the right width, and honest about what they cannot say."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy import stats

from gtalign_env import metrics
from gtalign_env.errors import UsageError


def rng(seed: int = 0) -> np.random.Generator:
    """Return a fresh generator."""
    return np.random.default_rng(seed)


SKEWED = np.random.default_rng(5).lognormal(size=40)


@pytest.mark.parametrize("method", ["bca", "percentile", "basic"])
def test_bootstrap__agrees_with_scipy(method: Any) -> None:
    """An independent implementation finds the same bounds on skewed data, up to the luck of the draw."""
    ours = metrics.bootstrap(SKEWED, rng(), resamples=10_000, method=method)
    theirs = stats.bootstrap((SKEWED,), np.mean, n_resamples=10_000, method=method, rng=rng(1)).confidence_interval
    width = theirs.high - theirs.low
    assert ours.low == pytest.approx(theirs.low, abs=0.05 * width)
    assert ours.high == pytest.approx(theirs.high, abs=0.05 * width)
    assert ours.estimate == pytest.approx(SKEWED.mean())


@pytest.mark.parametrize("method", ["bca", "percentile", "basic"])
def test_bootstrap__holds_the_truth_about_as_often_as_it_says(method: Any) -> None:
    """Of 200 intervals at 90 % over samples of 30, between 80 % and 98 % hold the true mean."""
    held = 0
    for seed in range(200):
        sample = rng(seed).normal(loc=3.0, size=30)
        held += metrics.bootstrap(sample, rng(seed + 1000), level=0.9, resamples=150, method=method).holds(3.0)
    assert 160 <= held <= 196


def test_bootstrap__agrees_with_scipy_on_samples_larger_than_the_jackknifes_blocks() -> None:
    """A thousand skewed observations: leaving out blocks corrects as leaving out single ones does."""
    sample = rng(6).lognormal(sigma=1.5, size=1000)
    ours = metrics.bootstrap(sample, rng(), resamples=4000)
    theirs = stats.bootstrap((sample,), np.mean, n_resamples=4000, method="bca", rng=rng(1)).confidence_interval
    width = theirs.high - theirs.low
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=0.06 * width)


def test_bootstrap__same_generator_same_interval_and_no_other_state() -> None:
    """Equal seeds give equal bounds; other seeds others."""
    first, again, other = (metrics.bootstrap(SKEWED, rng(seed), resamples=200) for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_bootstrap__draws_whole_groups() -> None:
    """Ten answers to each of four prompts that differ between prompts only: as wide as four observations make it."""
    prompts = np.repeat(np.arange(4), 10)
    values = prompts.astype(float)
    grouped = metrics.bootstrap(values, rng(), groups=prompts.tolist(), method="percentile")
    alone = metrics.bootstrap(values, rng(), method="percentile")
    assert grouped.estimate == alone.estimate == 1.5
    assert grouped.high - grouped.low > 2 * (alone.high - alone.low)


def test_bootstrap__takes_any_statistic_of_rows() -> None:
    """The hypervolume of resampled points is one; its interval lies within what points can reach."""
    points = rng(3).random((30, 2))
    found = metrics.bootstrap(points, rng(), statistic=metrics.hypervolume, resamples=300, method="percentile")
    assert 0 < found.low <= found.high <= found.estimate == metrics.hypervolume(points)


def test_bootstrap__of_equal_values_is_a_point() -> None:
    """Nothing varies, so nothing is uncertain; no division by zero on the way."""
    found = metrics.bootstrap([2.0, 2.0, 2.0], rng(), resamples=100)
    assert (found.low, found.estimate, found.high) == (2.0, 2.0, 2.0)


def test_bootstrap__bca_survives_a_statistic_without_acceleration_and_extreme_levels() -> None:
    """Jackknife values that are all equal leave only the bias; the farthest tail is the farthest resample."""
    symmetric = metrics.bootstrap([0.0, 0.0, 1.0, 1.0], rng(), statistic=np.max, resamples=200)
    assert symmetric.holds(1.0)
    skewed = metrics.bootstrap([0.0] * 9 + [100.0], rng(), level=0.999999, resamples=500)
    assert 0.0 <= skewed.low <= skewed.estimate <= skewed.high <= 100.0


def test_paired_difference__cancels_what_pairs_share() -> None:
    """A difference of 0.1 on prompts that vary by 10 is seen in pairs, and not without them."""
    prompts = rng(1).normal(scale=10, size=40)
    noise = rng(2).normal(scale=0.1, size=40)
    paired = metrics.paired_difference(prompts + 0.1 + noise, prompts, rng())
    assert paired.low > 0
    assert paired.estimate == pytest.approx(0.1 + noise.mean())
    with pytest.raises(UsageError, match=r"pairs, got shapes \(2,\) and \(3,\)"):
        metrics.paired_difference([1, 2], [1, 2, 3], rng())


def test_interquartile_mean__is_scipys_trimmed_mean_where_quarters_are_whole() -> None:
    """Eight values: the middle four. Five values: the middle one whole, its neighbours by three quarters."""
    values = rng().normal(size=8)
    assert metrics.interquartile_mean(values) == pytest.approx(stats.trim_mean(values, 0.25))
    assert metrics.interquartile_mean([0, 1, 4, 5, 9]) == pytest.approx((0.75 * 1 + 4 + 0.75 * 5) / 2.5)


@pytest.mark.parametrize(
    ("values", "settings", "message"),
    [
        ([1.0], {}, "at least two observations, got 1"),
        ([1.0, 2.0], {"groups": ["a", "a"]}, "at least two groups, got 1"),
        ([1.0, math.nan], {}, "finite numbers"),
        ([], {}, "finite numbers"),
        (["x"], {}, "expected numbers"),
        ([1.0, 2.0], {"level": 95}, "level"),
        ([1.0, 2.0], {"level": 1.0}, "level"),
        ([1.0, 2.0], {"resamples": 10}, "resamples: expected an integer >= 100"),
        ([1.0, 2.0], {"method": "t"}, "method: expected 'bca'"),
        ([1.0, 2.0], {"statistic": lambda rows: math.nan}, "the statistic of a resample is nan"),
    ],
)
def test_bootstrap__refuses_what_makes_no_interval(values: Any, settings: Any, message: str) -> None:
    """Too few, not finite, or settings out of range."""
    with pytest.raises(UsageError, match=message):
        metrics.bootstrap(values, rng(), **settings)


def test_bootstrap__needs_a_generator() -> None:
    """A seed or nothing is no generator: who calls decides on the stream."""
    with pytest.raises(UsageError, match="numpy Generator"):
        metrics.bootstrap([1.0, 2.0], 0)  # type: ignore[arg-type]
