"""The parts of PPO, each by what it must do: weights, returns, clipping, entropy, whose games are learned from, the pool."""

# ruff: noqa: E402 - without PyTorch there is nothing to import

from __future__ import annotations

import copy

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from learner_parts import pair, played, rows, seated

from gtalign_env.training.strategic import Config, Run
from gtalign_env.training.strategic.ppo import Learner
from gtalign_env.training.strategic.selfplay import Pool
from gtalign_env.training.strategic.yardstick import optimum
from gtalign_env.types import AGENTS, ASSISTANT, USER


def entropy_of(learner: Learner) -> float:
    """Return the mean entropy of the policy over the block."""
    arrays = (torch.from_numpy(array) for array in (learner.fed, learner.legal))
    with torch.no_grad():
        logits, _, _ = learner.net(*arrays, learner.first_memory, torch.from_numpy(learner.starts))
        logs = logits.log_softmax(-1)
        return float(-(logs.exp() * logs).sum(-1).mean())


def chance_of(learner: Learner, move: int) -> float:
    """Return the mean chance of a move over the block."""
    arrays = (torch.from_numpy(array) for array in (learner.fed, learner.legal))
    with torch.no_grad():
        logits, _, _ = learner.net(*arrays, learner.first_memory, torch.from_numpy(learner.starts))
        return float(logits.softmax(-1)[..., move].mean())


def test_stream_weights__are_the_gradient_at_the_running_means() -> None:
    """Of √(U·L) at (4, 1): (√(L/U)/2, √(U/L)/2) = (1/4, 1), which is (0.2, 0.8) when they sum to 1."""
    _, _, learner = seated(objective="cobb_douglas")
    learner.returns[0] = 4.0, 1.0
    assert learner.stream_weights()[0] == pytest.approx([0.2, 0.8])


def test_end__running_means_forget_slowly() -> None:
    """The first block sets the means; later ones move them by 1 - forget."""
    arena, learner = played(forget=0.75)
    first = learner.returns[0].copy()
    pairs = np.concatenate(learner.finished)[:, 1:]
    assert first == pytest.approx(pairs.mean(axis=0))
    learner.finished = [np.array([[0.0, 8.0, 2.0]])]
    learner.end(arena)
    assert learner.returns[0] == pytest.approx(0.75 * first + 0.25 * np.array([8.0, 2.0]))


def test_receive__esr_pays_the_welfare_of_a_session_at_its_end() -> None:
    """√(4·1) = 2 where a game is over, nothing elsewhere."""
    _, arena, learner = seated(aggregation="esr")
    learner.begin()
    arena.kinds = np.zeros(64, dtype=np.int64)
    arena.ended = np.arange(64) < 3
    arena.totals = np.tile([4.0, 1.0], (64, 1))
    learner.receive(0, arena)
    assert learner.rewards[0, :, 0].tolist() == pytest.approx([2.0] * 3 + [0.0] * 61)


def test_descend__does_not_follow_what_is_clipped() -> None:
    """Where every move has become much likelier than when it was drawn, and was good, there is no gradient left."""
    _, learner = played(entropy=0.0, value_weight=0.0)
    learner.chances -= 5.0
    before = copy.deepcopy(learner.net.state_dict())
    figures = learner._descend(rows(learner, np.ones(learner.moves.shape)), learner.first_memory, 0.0, 0)
    assert figures[-1] == 0.0
    assert all(torch.equal(before[name], after) for name, after in learner.net.state_dict().items())


def test_descend__makes_good_moves_likelier() -> None:
    """With an advantage for one move alone, its chance rises."""
    _, learner = played(entropy=0.0, value_weight=0.0)
    good = np.where(learner.moves == 6, 1.0, -1.0)  # a clarifying question
    before = chance_of(learner, 6)
    for _ in range(3):
        learner._descend(rows(learner, good), learner.first_memory, 0.0, 0)
    assert chance_of(learner, 6) > before


def test_descend__the_entropy_bonus_spreads_the_policy() -> None:
    """With nothing else to learn, entropy rises."""
    _, learner = played(entropy=1.0, value_weight=0.0)
    with torch.no_grad():
        learner.net.policy.bias[:] = torch.linspace(0.0, 2.0, len(learner.net.policy.bias))
    before = entropy_of(learner)
    for _ in range(3):
        learner._descend(rows(learner, np.zeros(learner.moves.shape)), learner.first_memory, 0.0, 0)
    assert entropy_of(learner) > before


def test_learn__looks_at_its_own_games_alone() -> None:
    """What stands in the other games, be it nonsense, changes nothing."""
    own = np.arange(0, 64, 2)
    found = []
    for spoiled in (False, True):
        _, learner = played()
        if spoiled:
            learner.fed[:, 1::2] = np.nan
        learner.own = own
        learner.learn(0.0, np.random.default_rng(1), step=0)
        found.append(copy.deepcopy(learner.net.state_dict()))
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])


def test_pool__past_versions_play_their_games() -> None:
    """A past version that always leaves, or always asks, does so in its quarter of the games, and nowhere else."""
    arena, learners = pair()
    pool = Pool(learners, arena.games)
    favourite = {USER: 10, ASSISTANT: 6}
    current = {agent: copy.deepcopy(learner.net.state_dict()) for agent, learner in learners.items()}
    for agent, learner in learners.items():
        with torch.no_grad():
            learner.net.policy.weight[:] = 0.0
            learner.net.policy.bias[:] = 0.0
            learner.net.policy.bias[favourite[agent]] = 50.0
    pool.keep()
    for agent, learner in learners.items():
        learner.net.load_state_dict(current[agent])
    rng = np.random.default_rng(0)
    pool.draw(rng)
    for learner in learners.values():
        learner.begin()
    moves = {agent: learner.act(0, arena, rng).copy() for agent, learner in learners.items()}
    before = {agent: own.copy() for agent, own in moves.items()}
    pool.replace(0, moves, rng)
    for agent in AGENTS:
        past, own = pool.past[agent], pool.own[agent]
        assert set(past) | set(own) == set(range(64))
        assert (moves[agent][past] == favourite[agent]).all()
        assert (moves[agent][own] == before[agent][own]).all()
        assert len(set(before[agent].tolist())) > 2


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_learner__the_defaults_reach_97_percent_of_the_optimum(seed: int) -> None:
    """Of √(E[U]·E[L]) with the default population, in 20,000 sessions of its own, and no compliance with harm."""
    config = Config(seed=seed, evaluate_every=0, evaluate_episodes=2)
    run = Run(config)
    run.train()
    best = optimum(config)
    assert best is not None
    found = run.evaluate(episodes=20_000, seed=97)
    assert found.episodes >= 20_000
    assert found.violations == 0
    assert found.welfare >= 0.97 * best
