"""Beliefs about the user's type: how sure they are, how they change, and what knowing more would be worth.

A belief is a distribution over K types, shape (K,). ``likelihood`` has one row for each type and one column for each signal,
and rows that sum to 1: the chance of the signal, given the type. ``utility`` has one row for each action and one column for
each type. Information is in bits.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gtalign_env.errors import UsageError

__all__ = [
    "QuestionValue",
    "as_belief",
    "bayes_regret",
    "entropy",
    "evpi",
    "evsi",
    "mutual_information",
    "update_belief",
    "value_of_question",
]

Floats = NDArray[np.float64]
_SLACK = 1e-9


def as_belief(belief: ArrayLike, *, label: str = "belief") -> Floats:
    """Return a belief as an array of shape (K,), or several as (…, K).

    Raises:
        UsageError: It is no distribution: something is negative or not finite, or the sum is not 1.

    Example:
        >>> as_belief([0.6, 0.4]).shape
        (2,)
    """
    array = _numbers(belief, label)
    if array.ndim < 1 or not array.size or (array < 0.0).any() or (np.abs(array.sum(axis=-1) - 1.0) > _SLACK).any():
        raise UsageError(f"{label}: expected probabilities >= 0 that sum to 1, got {array.tolist()!r}")
    return array


def entropy(belief: ArrayLike) -> float:
    """Return the entropy of a belief, in bits: 0 when it is sure, log₂ K when it is uniform.

    Example:
        >>> entropy([0.5, 0.5]), round(entropy([0.6, 0.4]), 4)
        (1.0, 0.971)
    """
    return float(_entropies(_one(belief)))


def mutual_information(prior: ArrayLike, likelihood: ArrayLike) -> float:
    """Return I(Θ; signal), in bits: by how much the signal is expected to lower the entropy of the belief.

    Args:
        prior: The belief before, shape (K,).
        likelihood: Chance of each signal by type, shape (K, signals).

    Raises:
        UsageError: These are no distributions, or not as many types.

    Example:
        >>> round(mutual_information([0.6, 0.4], [[0.8, 0.2], [0.2, 0.8]]), 4)
        0.2677
    """
    belief, chances = _question(prior, likelihood)
    signal = belief @ chances
    gained = float(_entropies(signal) - belief @ _entropies(chances))
    return max(gained, 0.0)  # rounding may leave -1e-17


def update_belief(prior: ArrayLike, likelihood: ArrayLike) -> Floats:
    """Return the belief after an observation, by Bayes' rule: ``b'(θ) ∝ b(θ)·P(observed | θ)``.

    Args:
        prior: The belief before, shape (K,).
        likelihood: Chance of what was observed by type, shape (K,); any common scale.

    Raises:
        UsageError: The observation is impossible under the belief, or something is no probability.

    Example:
        >>> update_belief([0.5, 0.5], [0.9, 0.3]).tolist()
        [0.75, 0.25]
    """
    belief, chances = _one(prior), _numbers(likelihood, "likelihood")
    if chances.shape != belief.shape or (chances < 0.0).any():
        raise UsageError(f"likelihood: expected {len(belief)} numbers >= 0, one per type, got {chances.tolist()!r}")
    joint = belief * chances
    if not joint.sum() > 0.0:
        raise UsageError(
            "update_belief: what was observed is impossible under this belief; give every type a chance, or say by a "
            "rule of your own what to believe then"
        )
    return np.asarray(joint / joint.sum())


def evpi(prior: ArrayLike, utility: ArrayLike) -> float:
    """Return the expected value of perfect information: ``E_θ max_a U(a, θ) − max_a E_θ U(a, θ)``, in utils.

    Args:
        prior: The belief about θ, shape (K,).
        utility: What each action is worth for each type, shape (actions, K), utils.

    Raises:
        UsageError: The belief is no distribution, or the shapes do not fit.

    Example:
        >>> round(evpi([0.6, 0.4], [[10, 0], [2, 8], [6, 6]]), 12)
        3.2
    """
    belief, worth = _problem(prior, utility)
    return max(float(belief @ worth.max(axis=0) - (worth @ belief).max()), 0.0)


def evsi(prior: ArrayLike, utility: ArrayLike, likelihood: ArrayLike) -> float:
    """Return the expected value of a question: ``Σ_s P(s)·max_a E[U | s] − max_a E[U]``, in utils (Raiffa & Schlaifer 1961).

    Args:
        prior: The belief about θ, shape (K,).
        utility: What each action is worth for each type, shape (actions, K), utils.
        likelihood: Chance of each answer by type, shape (K, answers).

    Returns:
        From 0 to ``evpi``; what the question costs is not taken off.

    Raises:
        UsageError: These are no distributions, or the shapes do not fit.

    Example:
        >>> round(evsi([0.6, 0.4], [[10, 0], [2, 8], [6, 6]], [[0.8, 0.2], [0.2, 0.8]]), 12)
        1.6
    """
    belief, worth = _problem(prior, utility)
    _, chances = _question(belief, likelihood)
    joint = belief[:, None] * chances  # (K, answers)
    return max(float((worth @ joint).max(axis=0).sum() - (worth @ belief).max()), 0.0)


@dataclasses.dataclass(frozen=True, kw_only=True)
class QuestionValue:
    """What a question is worth, and what it tells.

    Example:
        >>> asked = value_of_question([0.6, 0.4], [[10, 0], [2, 8], [6, 6]], [[0.8, 0.2], [0.2, 0.8]])
        >>> round(asked.evsi, 4), round(asked.bits, 4), round(asked.share, 4), round(asked.per_bit, 4)
        (1.6, 0.2677, 0.2757, 5.9777)
    """

    evpi: float
    """What knowing the type would be worth, utils."""
    evsi: float
    """What the answer is expected to be worth, utils."""
    bits: float
    """I(Θ; answer)."""
    entropy: float
    """H(Θ) before the question, bits."""

    @property
    def share(self) -> float:
        """The share of the entropy that the answer is expected to remove, in [0, 1]; 0 where there is none."""
        return self.bits / self.entropy if self.entropy > 0.0 else 0.0

    @property
    def per_bit(self) -> float | None:
        """Utils per bit; ``None`` where the question tells nothing."""
        return self.evsi / self.bits if self.bits > _SLACK else None


def value_of_question(prior: ArrayLike, utility: ArrayLike, likelihood: ArrayLike) -> QuestionValue:
    """Return what a question is worth and what it tells; arguments as in ``evsi``.

    Raises:
        UsageError: These are no distributions, or the shapes do not fit.

    Example:
        >>> value_of_question([0.5, 0.5], [[1, 0], [0, 1]], [[1, 0], [0, 1]])
        QuestionValue(evpi=0.5, evsi=0.5, bits=1.0, entropy=1.0)
    """
    return QuestionValue(
        evpi=evpi(prior, utility),
        evsi=evsi(prior, utility, likelihood),
        bits=mutual_information(prior, likelihood),
        entropy=entropy(prior),
    )


def bayes_regret(prior: ArrayLike, utility: ArrayLike, play: ArrayLike) -> float:
    """Return what play loses against knowing the type: ``E_θ max_a U(a, θ) − E_θ U(play(θ), θ)``, in utils.

    The best play that ignores θ has a regret of ``evpi``.

    Args:
        prior: The population's shares, shape (K,).
        utility: What each action is worth for each type, shape (actions, K), utils.
        play: How often each action is taken with each type, shape (K, actions), rows that sum to 1.

    Raises:
        UsageError: These are no distributions, or the shapes do not fit.

    Example:
        >>> round(bayes_regret([0.6, 0.4], [[10, 0], [2, 8], [6, 6]], [[1, 0, 0], [0, 0, 1]]), 12)
        0.8
    """
    belief, worth = _problem(prior, utility)
    taken = as_belief(play, label="play")
    if taken.shape != worth.T.shape:
        raise UsageError(f"play: expected shape {worth.T.shape} (types, actions), got {taken.shape}")
    return max(float(belief @ worth.max(axis=0) - np.einsum("k,ka,ak->", belief, taken, worth)), 0.0)


def _numbers(values: ArrayLike, label: str) -> Floats:
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise UsageError(f"{label}: expected numbers, got {values!r}") from None
    if not np.isfinite(array).all():
        raise UsageError(f"{label}: expected finite numbers, got {values!r}")
    return array


def _one(belief: ArrayLike) -> Floats:
    array = as_belief(belief)
    if array.ndim != 1:
        raise UsageError(f"belief: expected one distribution over types, got shape {array.shape}")
    return array


def _entropies(beliefs: Floats) -> Floats:
    logs = np.log2(beliefs, out=np.zeros_like(beliefs), where=beliefs > 0.0)
    return np.asarray(0.0 - (beliefs * logs).sum(axis=-1))


def _question(prior: ArrayLike, likelihood: ArrayLike) -> tuple[Floats, Floats]:
    belief, chances = _one(prior), as_belief(likelihood, label="likelihood")
    if chances.ndim != 2 or len(chances) != len(belief):
        raise UsageError(f"likelihood: expected one row of chances per type ({len(belief)}), got shape {chances.shape}")
    return belief, chances


def _problem(prior: ArrayLike, utility: ArrayLike) -> tuple[Floats, Floats]:
    belief, worth = _one(prior), _numbers(utility, "utility")
    if worth.ndim != 2 or not worth.size or worth.shape[1] != len(belief):
        raise UsageError(f"utility: expected shape (actions, {len(belief)} types), got {worth.shape}")
    return belief, worth
