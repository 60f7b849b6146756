"""Policy losses: by hand, by their gradients, and in parts as in one piece."""

from __future__ import annotations

import math

import pytest

torch = pytest.importorskip("torch")

from gtalign_env.errors import UsageError  # noqa: E402
from gtalign_env.training.llm.losses import LOSSES, k3, make_loss, policy_loss, token_shares  # noqa: E402

LENGTHS = torch.tensor([1, 3])
ROWS = torch.tensor([0, 1, 1, 1])


def loss_of(name: str, ratios: list[float], gains: list[float], *, constant: int = 1) -> float:
    """Return the loss of tokens with these ratios."""
    variant = make_loss(name)
    old = torch.full((4,), -1.0)
    shares = token_shares(LENGTHS, variant.mean, constant=constant)[ROWS]
    new = old + torch.log(torch.tensor(ratios))
    return float(policy_loss(new, old, torch.tensor(gains)[ROWS], ROWS, shares, variant).loss)


def test_ppo__is_the_mean_over_rows_of_the_mean_over_tokens() -> None:
    """Rows count alike, long or short: −(1.1·2/1 + (1 + 0.9 + 0.8)·(−1)/3)/2; a bad token's ratio stops at 0.8."""
    found = loss_of("ppo", [1.1, 1.0, 0.9, 0.5], [2.0, -1.0])
    assert found == pytest.approx(-(2.2 - (1.0 + 0.9 + 0.8) / 3) / 2)


def test_dapo__is_the_mean_over_tokens_and_lets_good_ones_rise_further() -> None:
    """All tokens count alike, and 1.25 is not clipped for a gain, but 1.5 is, at 1.28."""
    found = loss_of("dapo", [1.25, 1.5, 1.0, 1.0], [1.0, 1.0])
    assert found == pytest.approx(-(1.25 + 1.28 + 1.0 + 1.0) / 4)


def test_dr_grpo__divides_by_a_constant() -> None:
    """A row's tokens add up; nothing is divided by how many there are."""
    found = loss_of("dr_grpo", [1.0, 1.0, 1.0, 1.0], [1.0, 0.5], constant=10)
    assert found == pytest.approx(-(1.0 + 3 * 0.5) / (2 * 10))


def test_gspo__goes_by_the_row_as_a_whole() -> None:
    """The ratio is the geometric mean over the row: 2 and 1/2 cancel."""
    found = loss_of("gspo", [1.0, 2.0, 0.5, 1.0], [1.0, 1.0])
    assert found == pytest.approx(-1.0, abs=1e-6)
    assert loss_of("gspo", [1.0, 1.1, 1.1, 1.1], [0.0, 1.0]) == pytest.approx(-(1.0 + 4e-4) / 2, abs=1e-6)


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_losses__begin_as_the_policy_gradient(name: str) -> None:
    """Where nothing has changed yet, the gradient of every loss is −advantage · share."""
    variant = make_loss(name)
    old = torch.full((4,), -1.0)
    new = old.clone().requires_grad_(requires_grad=True)
    gains = torch.tensor([2.0, -1.0, -1.0, -1.0])
    shares = token_shares(LENGTHS, variant.mean)[ROWS]
    policy_loss(new, old, gains, ROWS, shares, variant).loss.backward()
    assert torch.allclose(new.grad, -gains * shares)


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_losses__in_parts_add_up(name: str) -> None:
    """A mini-batch that goes through the model in pieces has the loss of one piece."""
    variant = make_loss(name)
    generator = torch.Generator().manual_seed(0)
    old = torch.randn(4, generator=generator) - 2.0
    new = old + 0.3 * torch.randn(4, generator=generator)
    gains = torch.tensor([1.5, -0.5])[ROWS]
    shares = token_shares(LENGTHS, variant.mean)[ROWS]
    whole = policy_loss(new, old, gains, ROWS, shares, variant)
    parts = [
        policy_loss(new[part], old[part], gains[part], ROWS[part], shares[part], variant)
        for part in (slice(0, 1), slice(1, 4))
    ]
    assert float(sum(part.loss for part in parts)) == pytest.approx(float(whole.loss), abs=1e-6)
    assert sum(part.clipped for part in parts) == whole.clipped


def test_k3__is_never_negative_and_means_kl() -> None:
    """Over draws from new, its mean is KL(new ‖ other): checked by summing over both outcomes of a coin."""
    new, other = torch.tensor([0.3, 0.7]), torch.tensor([0.6, 0.4])
    each = k3(new.log(), other.log())
    wanted = 0.3 * math.log(0.3 / 0.6) + 0.7 * math.log(0.7 / 0.4)
    assert bool((each >= 0).all())
    assert float((new * each).sum()) == pytest.approx(wanted, abs=1e-6)


def test_make_loss__takes_other_clips_and_knows_its_names() -> None:
    """A clip of its own replaces the variant's."""
    assert make_loss("ppo", low=0.1).low == 0.1
    with pytest.raises(UsageError, match="expected one of dapo, dr_grpo, gspo, ppo, got 'cispo'"):
        make_loss("cispo")
