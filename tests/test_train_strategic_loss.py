"""PPO's loss, and what is fed to it, against plain loops over single decisions.

Each of these fails when one line of the algorithm is wrong in a way that learning alone hardly shows.
"""

# ruff: noqa: E402 - without PyTorch there is nothing to import

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from learner_parts import play, played, rows, seated, spread

from gtalign_env.training.strategic.ppo import Learner

PRICES = ("subscription", "per_token")


# -- one gradient step ----------------------------------------------------------------------------------------------------


def reference_loss(learner: Learner, batch: list[Any], *, entropy: float) -> Any:
    """Return PPO's loss by the formulas of the paper, one decision after another."""
    config = learner.config
    fed, hidden, legal, starts, moves, chances, advantages, targets = batch
    logits, shown, _ = learner.net(fed, legal, learner.first_memory, starts)
    values = learner.net.values(shown, hidden)
    losses = []
    for t in range(moves.shape[0]):
        for game in range(moves.shape[1]):
            chance = logits[t, game].softmax(-1)
            ratio = chance[moves[t, game]] / math.exp(chances[t, game])
            advantage = advantages[t, game]
            low, high = 1.0 - config.clip, 1.0 + config.clip
            beyond = ratio > high if advantage > 0 else ratio < low  # too far already: no gain in going on
            gain = (high if advantage > 0 else low) * advantage if beyond else ratio * advantage
            spreads = -sum(one * one.log() for one in chance if one > 0)
            misfit = ((values[t, game] - targets[t, game]) ** 2).mean()
            losses.append(config.value_weight * misfit - gain - entropy * spreads)
    return sum(losses) / len(losses)


def gradients(learner: Learner) -> list[Any]:
    """Return the gradients that the last backward pass has left."""
    return [parameter.grad.clone() for parameter in learner.net.parameters() if parameter.grad is not None]


@pytest.mark.parametrize("form", ["history", "recurrent"])
def test_descend__follows_the_gradient_of_the_paper(form: str) -> None:
    """Clipped on both sides, with an entropy bonus that is falling and values weighed: the gradient is the plain loop's."""
    _, arena, learner = seated(
        input=form, games=12, clip=0.3, entropy=0.8, value_weight=0.6, max_gradient=1e6, objective="cobb_douglas"
    )
    spread(learner)
    play(arena, learner, np.random.default_rng(0))
    rng = np.random.default_rng(1)
    learner.chances += rng.normal(scale=0.5, size=learner.chances.shape).astype(np.float32)
    targets = learner.values[:-1] + rng.normal(size=learner.rewards.shape)
    batch = rows(learner, rng.normal(size=learner.moves.shape), targets)
    learner.net.zero_grad()
    reference_loss(learner, batch, entropy=0.8 * 0.75).backward()
    wanted = gradients(learner)
    learner._descend(batch, learner.first_memory, 0.25, 0)
    for ours, theirs in zip(gradients(learner), wanted, strict=True):
        assert torch.allclose(ours, theirs, atol=1e-5)
    assert any(one.abs().max() > 1e-3 for one in wanted)


def test_descend__shortens_long_gradients() -> None:
    """No step follows a gradient longer than ``max_gradient``; its length before that is what is told."""
    _, learner = played(max_gradient=0.01)
    figures = learner._descend(rows(learner, np.ones(learner.moves.shape)), learner.first_memory, 0.0, 0)
    length = math.sqrt(sum(float(one.square().sum()) for one in gradients(learner)))
    assert length == pytest.approx(0.01, rel=1e-3)
    assert figures[-1] > 0.01


# -- what the steps are fed -----------------------------------------------------------------------------------------------


class Steps:
    """Listens to what ``learn`` hands to ``_descend``."""

    def __init__(self, learner: Learner, monkeypatch: pytest.MonkeyPatch) -> None:
        self.rows: list[list[Any]] = []
        self.memories: list[Any] = []
        self.rates: list[float] = []

        def note(batch: list[Any], memory: Any, _progress: float, _step: int) -> tuple[float, ...]:
            self.rows.append([one.clone() for one in batch])
            self.memories.append(memory.clone())
            self.rates.append(learner.optimizer.param_groups[0]["lr"])
            return (0.0,) * 5

        monkeypatch.setattr(learner, "_descend", note)


def made_up(monkeypatch: pytest.MonkeyPatch, **changes: Any) -> tuple[Learner, Steps]:
    """Return a learner whose block of play is numbers drawn here, with two prices."""
    _, _, learner = seated(pricings=PRICES, games=16, minibatches=4, epochs=2, input="recurrent", **changes)
    learner.begin()
    rng = np.random.default_rng(2)
    for array in (learner.rewards, learner.values, learner.fed):
        array[...] = rng.normal(size=array.shape)
    learner.fed[0, :, 0] = np.arange(16)  # by which a game is known again
    learner.first_memory = torch.arange(16.0)[:, None].expand(16, 16).clone()
    learner.ended[...] = rng.random(learner.ended.shape) < 0.3
    learner.prices[...] = rng.integers(2, size=learner.prices.shape)
    learner.returns[...] = [[4.0, 1.0], [1.0, 9.0]]
    return learner, Steps(learner, monkeypatch)


OWN = np.array([1, 2, 3, 5, 8, 13])


def test_learn__weighs_streams_by_the_price_of_each_session(monkeypatch: pytest.MonkeyPatch) -> None:
    """√(U·L) has slopes (1/4, 1) at (4, 1) and (3/2, 1/6) at (1, 9); over the learner's own games the mean is 0, the spread 1."""
    learner, steps = made_up(monkeypatch)
    learner.own = OWN
    learner.learn(0.0, np.random.default_rng(0), step=0)
    streams = learner.advantages()
    joint = np.zeros((4, len(OWN)))
    for t in range(4):
        for place, game in enumerate(OWN):
            user, assistant = (1 / 4, 1) if learner.prices[t, game] == 0 else (3 / 2, 1 / 6)
            joint[t, place] = user * streams[t, game, 0] + assistant * streams[t, game, 1]
    wanted = (joint - joint.mean()) / joint.std()
    for batch in steps.rows:
        games = batch[0][0, :, 0].numpy().astype(int)
        assert batch[6].numpy() == pytest.approx(wanted[:, np.searchsorted(OWN, games)], abs=1e-4)


@pytest.mark.parametrize("objective", ["cobb_douglas", "nash_bargaining", "ces:rho=-1", "utilitarian"])
def test_stream_weights__are_the_gradient_of_the_mean_over_prices(objective: str) -> None:
    """But for one factor for all prices, which makes a price's weights sum to 1 in the mean: against differences of W itself."""
    _, _, learner = seated(pricings=PRICES, objective=objective)
    learner.returns[...] = [[4.0, 1.0], [1.0, 9.0]]

    def mean_over_prices(returns: Any) -> float:
        return float(np.mean([learner.objective.value(*pair) for pair in returns]))

    slopes = np.zeros((2, 2))
    for place in np.ndindex(2, 2):
        step = np.zeros((2, 2))
        step[place] = 1e-5
        slopes[place] = (mean_over_prices(learner.returns + step) - mean_over_prices(learner.returns - step)) / 2e-5
    weights = learner.stream_weights()
    assert weights == pytest.approx(slopes / slopes.sum() * 2, rel=1e-5)


def test_stream_weights__of_one_price_sum_to_one() -> None:
    """To the last bit what they were before there were several: the gradient over its own sum."""
    _, _, learner = seated()
    learner.returns[...] = [[0.7, 0.3]]
    slopes = np.array(learner.objective.weights(0.7, 0.3))
    assert learner.stream_weights().tolist() == [(slopes / slopes.sum()).tolist()]


def test_learn__values_aim_at_advantage_plus_value(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every stream's target is its own λ-return: what the value was, corrected by the advantage."""
    learner, steps = made_up(monkeypatch)
    learner.learn(0.0, np.random.default_rng(0), step=0)
    wanted = learner.advantages() + learner.values[:-1]
    for batch in steps.rows:
        games = batch[0][0, :, 0].numpy().astype(int)
        assert batch[7].numpy() == pytest.approx(wanted[:, games])


def test_learn__deals_its_own_games_once_an_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of two epochs deals all own games and no other into four parts, each game with its own memory."""
    learner, steps = made_up(monkeypatch)
    learner.own = OWN
    learner.learn(0.0, np.random.default_rng(0), step=0)
    dealt = [batch[0][0, :, 0].numpy().astype(int).tolist() for batch in steps.rows]
    assert [len(part) for part in dealt] == [2, 2, 1, 1] * 2
    for epoch in (dealt[:4], dealt[4:]):
        assert sorted(game for part in epoch for game in part) == OWN.tolist()
    assert dealt[:4] != dealt[4:]
    assert [memory[:, 0].tolist() for memory in steps.memories] == dealt


def test_learn__the_rate_falls_to_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """With three quarters of the training done, a quarter of the learning rate is left."""
    learner, steps = made_up(monkeypatch, learning_rate=0.02)
    for progress in (0.0, 0.75):
        learner.learn(progress, np.random.default_rng(0), step=0)
    assert steps.rates == pytest.approx([0.02] * 8 + [0.005] * 8)
