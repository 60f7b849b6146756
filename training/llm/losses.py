"""What is minimised: clipped policy losses over sampled tokens, in the published variants.

Tokens of all rows stand in one line: ``rows`` says to which row (one turn, its own prompt) each belongs. So nothing here is
padded, and a batch may be cut anywhere between rows: denominators are those of the whole mini-batch.

| loss | ratio of | clip | mean over |
|---|---|---|---|
| ``ppo`` (GRPO) | tokens | 0.2, 0.2 | tokens of a row, then rows |
| ``dapo`` (2503.14476) | tokens | 0.2, 0.28 | all tokens |
| ``gspo`` (2507.18071) | rows | 0.0003, 0.0004 | tokens of a row, then rows |
| ``dr_grpo`` (2503.20783) | tokens | 0.2, 0.2 | a constant number of tokens a row |
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import torch

from gtalign_env.errors import UsageError

__all__ = ["LOSSES", "Loss", "Share", "k3", "make_loss", "policy_loss", "token_shares"]


class Loss(NamedTuple):
    """A variant of the policy loss."""

    level: str
    """Ratios are of each ``token``, or of a whole ``row`` (their geometric mean)."""
    low: float
    """A ratio below 1 − low has no more to lose."""
    high: float
    """A ratio above 1 + high has no more to gain."""
    mean: str
    """``token``: over all tokens; ``row``: over a row's, then over rows; ``constant``: a row counts for so many tokens."""


LOSSES: Mapping[str, Loss] = MappingProxyType(
    {
        "dapo": Loss("token", 0.2, 0.28, "token"),
        "dr_grpo": Loss("token", 0.2, 0.2, "constant"),
        "gspo": Loss("row", 3e-4, 4e-4, "row"),
        "ppo": Loss("token", 0.2, 0.2, "row"),
    }
)
"""The variants by name."""


def make_loss(name: str, low: float | None = None, high: float | None = None) -> Loss:
    """Return a variant by name, with other clips on request.

    Raises:
        UsageError: There is no such variant.

    Example:
        >>> make_loss("dapo", high=0.3)
        Loss(level='token', low=0.2, high=0.3, mean='token')
    """
    if name not in LOSSES:
        raise UsageError(f"loss: expected one of {', '.join(LOSSES)}, got {name!r}")
    found = LOSSES[name]
    return found._replace(low=found.low if low is None else low, high=found.high if high is None else high)


class Share(NamedTuple):
    """What a batch of tokens contributes to the loss of its mini-batch."""

    loss: Any
    """Scalar, differentiable."""
    clipped: float
    """Number of tokens at which the clip took the gradient away."""
    kl: float
    """Sum over tokens of the k3 estimate of KL(old ‖ new), in nats."""


def token_shares(lengths: Any, mean: str, *, constant: int = 1) -> Any:
    """Return how much each token of a row counts, shape (R,), so that a whole mini-batch counts 1 (``constant``: about).

    Args:
        lengths: (R,) sampled tokens of every row of the mini-batch.
        mean: See ``Loss.mean``.
        constant: Tokens a row counts for under ``"constant"``.

    Example:
        >>> lengths = torch.tensor([1, 3])
        >>> token_shares(lengths, "token").tolist(), token_shares(lengths, "row")[0].item()
        ([0.25, 0.25], 0.5)
    """
    rows = len(lengths)
    if mean == "token":
        return torch.full((rows,), 1.0 / max(int(lengths.sum()), 1))
    if mean == "constant":
        return torch.full((rows,), 1.0 / (rows * constant))
    return 1.0 / (rows * lengths.to(torch.float32))


def policy_loss(new: Any, old: Any, gains: Any, rows: Any, shares: Any, variant: Loss) -> Share:
    """Return the clipped loss of some tokens.

    Args:
        new: (N,) log-probabilities under the model that learns.
        old: (N,) those under which they were sampled.
        gains: (N,) advantages, of each token's turn.
        rows: (N,) the row of each token; rows are whole.
        shares: (N,) what each token counts (``token_shares`` of its row).
        variant: Which loss.

    Example:
        >>> old = torch.log(torch.tensor([0.5, 0.5]))
        >>> gains, rows, shares = torch.tensor([1.0, -1.0]), torch.tensor([0, 1]), torch.tensor([0.5, 0.5])
        >>> policy_loss(old, old, gains, rows, shares, make_loss("ppo")).clipped
        0.0
        >>> new = torch.log(torch.tensor([0.75, 0.5]))  # the ratio 1.5 counts as 1.2
        >>> round(policy_loss(new, old, gains, rows, shares, make_loss("ppo")).loss.item(), 6)
        -0.1
    """
    difference = new - old
    steps = _row_means(difference, rows) if variant.level == "row" else difference
    ratio = steps.exp()
    bounded = ratio.clamp(1.0 - variant.low, 1.0 + variant.high)
    free, held = ratio * gains, bounded * gains
    loss = -(torch.minimum(free, held) * shares).sum()
    with torch.no_grad():
        clipped = float((held < free).sum())
        kl = float(k3(new, old).sum())
    return Share(loss, clipped, kl)


def k3(new: Any, other: Any) -> Any:
    """Return the low-variance estimate of KL(new ‖ other) at each token: r − log r − 1, r = other/new (Schulman 2020).

    Example:
        >>> k3(torch.tensor([-1.0]), torch.tensor([-1.0])).tolist()
        [0.0]
    """
    difference = other - new
    return difference.exp() - difference - 1.0


def _row_means(values: Any, rows: Any) -> Any:
    """Return at each token the mean over its row."""
    _, which = torch.unique(rows, return_inverse=True)
    count = int(which.max()) + 1 if len(which) else 0
    sums = torch.zeros(count, dtype=values.dtype, device=values.device).index_add(0, which, values)
    sizes = torch.zeros_like(sums).index_add(0, which, torch.ones_like(values))
    return (sums / sizes)[which]
