"""Are beliefs right as often as they say? Scores of probabilistic forecasts against what was true.

Forecasts are distributions over K classes (types, moves, answers), one row each, shape (n, K); ``truths`` holds the index of
what was true, shape (n,). The log score and the Brier score are proper: only honest beliefs minimise them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gtalign_env.errors import UsageError
from gtalign_env.metrics.information import as_belief

__all__ = ["brier_score", "calibration_error", "log_score", "top_accuracy", "top_calibration_error"]

Floats = NDArray[np.float64]


def brier_score(forecasts: ArrayLike, truths: ArrayLike) -> float:
    """Return the mean squared distance ``Σ_k (p_k − 1[k true])²`` (Brier 1950): 0 is perfect, 2 is sure and wrong.

    Args:
        forecasts: Shape (n, K).
        truths: Shape (n,), indices from 0.

    Raises:
        UsageError: These are no forecasts, or not one truth for each.

    Example:
        >>> brier_score([[0.5, 0.5], [1.0, 0.0]], [0, 0])
        0.25
    """
    beliefs, actual = _paired(forecasts, truths)
    hits = np.eye(beliefs.shape[1])[actual]
    return float(((beliefs - hits) ** 2).sum(axis=1).mean())


def log_score(forecasts: ArrayLike, truths: ArrayLike) -> float:
    """Return the mean of ``−log₂ p(truth)``, in bits: 0 is perfect, and infinity where the truth was held impossible.

    Args:
        forecasts: Shape (n, K).
        truths: Shape (n,), indices from 0.

    Raises:
        UsageError: These are no forecasts, or not one truth for each.

    Example:
        >>> log_score([[0.5, 0.5], [0.25, 0.75]], [0, 0])
        1.5
    """
    beliefs, actual = _paired(forecasts, truths)
    with np.errstate(divide="ignore"):
        return float(0.0 - np.log2(beliefs[np.arange(len(actual)), actual]).mean())


def top_accuracy(forecasts: ArrayLike, truths: ArrayLike) -> float:
    """Return how often the likeliest class is the true one; among k that tie, the true one counts 1/k.

    Args:
        forecasts: Shape (n, K).
        truths: Shape (n,), indices from 0.

    Raises:
        UsageError: These are no forecasts, or not one truth for each.

    Example:
        >>> top_accuracy([[0.5, 0.5], [0.2, 0.8]], [0, 1])
        0.75
    """
    return float(_top_hits(*_paired(forecasts, truths)).mean())


def top_calibration_error(forecasts: ArrayLike, truths: ArrayLike, *, bins: int = 10) -> float:
    """Return the expected calibration error of the likeliest class: how far its probability is from how often it is true.

    Args:
        forecasts: Shape (n, K).
        truths: Shape (n,), indices from 0.
        bins: As in ``calibration_error``.

    Raises:
        UsageError: These are no forecasts, or not one truth for each.

    Example:
        >>> round(top_calibration_error([[0.9, 0.1], [0.1, 0.9]], [0, 0]), 12)
        0.4
    """
    beliefs, actual = _paired(forecasts, truths)
    return calibration_error(beliefs.max(axis=1), _top_hits(beliefs, actual), bins=bins)


def calibration_error(stated: ArrayLike, happened: ArrayLike, *, bins: int = 10) -> float:
    """Return the expected calibration error: ``Σ_b n_b/n · |mean happened − mean stated|`` over bins of equal width.

    Args:
        stated: Stated probabilities of an event, shape (n,), in [0, 1].
        happened: Whether it happened, shape (n,), 0 or 1 (or a share).
        bins: Into how many bins [0, 1] is cut. With one bin it is the bias of the mean.

    Returns:
        From 0 (calibrated) to 1.

    Raises:
        UsageError: Something lies outside [0, 1], the lengths differ, or there is no bin.

    Example:
        >>> calibration_error([0.75, 0.75, 0.75, 0.75], [1, 1, 1, 0])
        0.0
        >>> calibration_error([1.0, 1.0], [1, 0])
        0.5
    """
    said, came = _shares(stated, "stated"), _shares(happened, "happened")
    if said.shape != came.shape:
        raise UsageError(f"calibration: expected as many outcomes as forecasts, got {len(came)} and {len(said)}")
    if isinstance(bins, bool) or not isinstance(bins, int) or bins < 1:
        raise UsageError(f"bins: expected an integer >= 1, got {bins!r}")
    place = np.minimum((said * bins).astype(np.intp), bins - 1)
    gaps = np.bincount(place, weights=came - said, minlength=bins)
    return float(np.abs(gaps).sum() / len(said))


def _top_hits(beliefs: Floats, actual: NDArray[np.intp]) -> Floats:
    top = beliefs == beliefs.max(axis=1, keepdims=True)
    hits: Floats = top[np.arange(len(actual)), actual] / top.sum(axis=1)
    return hits


def _paired(forecasts: ArrayLike, truths: ArrayLike) -> tuple[Floats, NDArray[np.intp]]:
    beliefs = as_belief(forecasts, label="forecasts")
    actual = np.asarray(truths)
    if beliefs.ndim != 2 or actual.shape != (len(beliefs),):
        raise UsageError(
            f"calibration: expected forecasts of shape (n, classes) and n truths, got {beliefs.shape} and {actual.shape}"
        )
    if not np.issubdtype(actual.dtype, np.integer) or actual.min() < 0 or actual.max() >= beliefs.shape[1]:
        raise UsageError(f"truths: expected indices from 0 to {beliefs.shape[1] - 1}, got {truths!r}")
    return beliefs, actual.astype(np.intp)


def _shares(values: Any, label: str) -> Floats:
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise UsageError(f"{label}: expected numbers from 0 to 1, got {values!r}") from None
    if array.ndim != 1 or not array.size or not ((array >= 0.0) & (array <= 1.0)).all():
        raise UsageError(f"{label}: expected at least one number from 0 to 1, got {values!r}")
    return array
