"""A block of play against plain loops over single games: what is noted, who is paid at which price, whom past versions meet.

Each of these fails when one line of the algorithm is wrong in a way that learning alone hardly shows.
"""

# ruff: noqa: E402 - without PyTorch there is nothing to import

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from learner_parts import pair, play, seated, spread

from gtalign_env.training.strategic import Config, Run, selfplay
from gtalign_env.training.strategic.ppo import Learner, sample
from gtalign_env.training.strategic.selfplay import KEPT, Pool
from gtalign_env.types import AGENTS, ASSISTANT, USER

PRICES = ("subscription", "per_token")


# -- what a block of play notes -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [{}, {"input": "recurrent"}, {"input": "fading"}, {"safety": "penalty"}, {"agent": USER, "learn": "user"}],
    ids=str,
)
def test_act__notes_all_that_a_move_was_decided_by(changes: dict[str, Any]) -> None:
    """Looked at again, two blocks of play give every move the chance, and every state the value, that were noted at the time."""
    config, arena, learner = seated(horizon=3, **changes)
    spread(learner)
    rng = np.random.default_rng(0)
    for _ in range(2):
        play(arena, learner, rng)
        arrays = [torch.from_numpy(a) for a in (learner.fed, learner.hidden, learner.legal, learner.starts)]
        with torch.no_grad():
            logits, shown, _ = learner.net(arrays[0], arrays[2], learner.first_memory, arrays[3])
            values = learner.net.values(shown, arrays[1])
        logs = logits.log_softmax(-1).gather(-1, torch.from_numpy(learner.moves)[..., None])[..., 0]
        assert logs.numpy() == pytest.approx(learner.chances, abs=1e-4)
        assert values.numpy() == pytest.approx(learner.values[:-1], abs=1e-4)
    assert len(set(learner.moves.ravel().tolist())) > 3
    assert config.horizon == 3


@pytest.mark.parametrize("form", ["history", "recurrent"])
def test_end__looks_ahead_without_a_trace(form: str) -> None:
    """The value where a block stops is that of the next block's first step: looking at it is no step of the game."""
    _, arena, learner = seated(input=form, horizon=3, options={"questions": 2})
    spread(learner)
    rng = np.random.default_rng(0)
    for _ in range(3):
        play(arena, learner, rng)
        ahead, history, memory = learner.values[-1].copy(), learner.history.state(), learner.memory
        learner.begin()
        learner.act(0, arena, rng)
        assert np.array_equal(ahead, learner.values[0])
        learner.history.restore(history)
        learner.memory = memory


def test_receive__pays_each_price_its_own_sessions() -> None:
    """With two prices, steps and returns are credited to the price that the session was played at, reckoned game by game."""
    config, arena, learner = seated(pricings=PRICES, forget=0.0)
    rng = np.random.default_rng(0)
    price_of: Any = arena.env.crowd.pricing
    so_far = np.zeros((64, 2))
    for _ in range(4):
        sessions: dict[int, list[Any]] = {0: [], 1: []}
        learner.begin()
        for t in range(config.horizon):
            prices = price_of[arena.env.crowd.kind]
            arena.step({ASSISTANT: learner.act(t, arena, rng)})
            learner.receive(t, arena)
            assert np.array_equal(learner.prices[t], prices)
            so_far += arena.payoffs
            for game in np.flatnonzero(arena.ended):
                sessions[int(prices[game])].append(so_far[game].copy())
                so_far[game] = 0.0
        learner.end(arena)
        assert min(map(len, sessions.values())) > 3
        for price, returns in sessions.items():
            assert learner.returns[price] == pytest.approx(np.mean(returns, axis=0))
    assert abs(learner.returns[0] - learner.returns[1]).max() > 0.05


def test_receive__esr_pays_nothing_while_a_session_goes_on() -> None:
    """What the block before has left at the same place is gone."""
    _, arena, learner = seated(aggregation="esr")
    learner.begin()
    learner.rewards[...] = 7.0
    arena.kinds, arena.totals = np.zeros(64, dtype=np.int64), np.ones((64, 2))
    arena.ended = np.zeros(64, dtype=bool)
    learner.receive(0, arena)
    assert not learner.rewards[0].any()


@pytest.mark.parametrize("learn", ["assistant", "user", "both"])
def test_arena__payoffs_stand_in_the_order_of_agents(learn: str) -> None:
    """Column 0 is the user's, column 1 the assistant's: a learner's own is what the env pays it, in either chair and in both."""
    opponent = "self" if learn == "both" else "population"
    config, arena, _ = seated(USER if learn == "user" else ASSISTANT, learn=learn, opponent=opponent)
    paid: list[Any] = []
    step = arena.env.step

    def listen(moves: Any) -> Any:
        paid.append(step(moves))
        return paid[-1]

    arena.env.step = listen
    for _ in range(5):
        arena.step({agent: arena.seen(agent)[1].argmax(axis=1) for agent in config.chairs})
        own = [AGENTS.index(agent) for agent in config.chairs]
        assert np.array_equal(arena.payoffs[:, own], paid[-1][1].reshape(64, -1))
    assert (arena.payoffs[:, 0] != arena.payoffs[:, 1]).any()


def test_arena__shows_the_moves_of_each_sides_own_turns() -> None:
    """In a game of turns whoever waits has one move, and learners never draw another one."""
    arena, learners = pair(scenario="gtalign/Rubinstein-v0", options={}, users="random", games=16)
    rng = np.random.default_rng(0)
    wait = {agent: arena.scenario.moves(learner.history.role).index("WAIT") for agent, learner in learners.items()}
    waited = 0
    for learner in learners.values():
        learner.begin()
    for t in range(4):
        moves = {agent: learner.act(t, arena, rng) for agent, learner in learners.items()}
        turns = {agent: learner.legal[t].sum(axis=1) > 1 for agent, learner in learners.items()}
        assert np.array_equal(turns[USER], ~turns[ASSISTANT])
        for agent, learner in learners.items():
            assert learner.legal[t, np.arange(16), moves[agent]].all()
            assert np.array_equal(moves[agent] == wait[agent], ~turns[agent])
            waited += int((~turns[agent]).sum())
        arena.step(moves)
    assert waited == 16 * 4


@pytest.mark.parametrize("critic", ["informed", "blind"])
def test_arena__tells_the_values_who_the_user_is(critic: str) -> None:
    """Games with the same kind of user are told the same, others something else; a blind critic is told nothing."""
    _, arena, learner = seated(critic=critic)
    for t in range(4):
        told, kinds = arena.hidden(ASSISTANT), arena.env.crowd.kind
        if critic == "blind":
            assert told.shape == (64, 0)
        else:
            same = (told[:, None] == told[None]).all(axis=-1)
            assert np.array_equal(same, kinds[:, None] == kinds[None])
        arena.step({ASSISTANT: learner.act(t, arena, np.random.default_rng(t))})


def test_sample__draws_as_often_as_logits_say() -> None:
    """Of 40,000 draws each move's share is its softmax, within five standard errors; so is the chance that is told."""
    logits = np.log(np.array([[0.1, 0.2, 0.7]], dtype=np.float32)) + np.float32(3.0)
    moves, logs = sample(np.repeat(logits, 40_000, axis=0), np.random.default_rng(0))
    wanted = np.array([0.1, 0.2, 0.7])
    assert np.bincount(moves) / 40_000 == pytest.approx(wanted, abs=5 * 0.5 / 200)
    assert np.exp(logs) == pytest.approx(wanted[moves], abs=1e-5)


# -- past opponents -------------------------------------------------------------------------------------------------------


def bent_to(learner: Learner, move: int) -> None:
    """Let the policy make one move always."""
    with torch.no_grad():
        learner.net.policy.weight[:] = 0.0
        learner.net.policy.bias[:] = 0.0
        learner.net.policy.bias[move] = 50.0


def test_pool__keeps_the_latest_versions_as_they_were() -> None:
    """Of ten snapshots the last eight are left, and each of them comes to play."""
    arena, learners = pair()
    pool = Pool(learners, arena.games)
    learner, rng = learners[ASSISTANT], np.random.default_rng(0)
    for number in range(KEPT + 2):
        bent_to(learner, number % 8)
        with torch.no_grad():
            learner.net.value.bias[:] = float(number)
        pool.keep()
    assert [float(one["value.bias"][0]) for one in pool.kept[ASSISTANT]] == [float(n) for n in range(2, KEPT + 2)]
    played_by = set()
    for _ in range(80):
        pool.draw(rng)
        played_by.add(float(pool._playing[ASSISTANT][0].state_dict()["value.bias"][0]))
    assert played_by == {float(n) for n in range(2, KEPT + 2)}


def test_pool__meets_one_past_side_at_a_time() -> None:
    """Half of the games are both learners' own; a quarter each has a past version of one of them."""
    arena, learners = pair(games=40)
    pool = Pool(learners, arena.games)
    past = {agent: set(pool.past[agent].tolist()) for agent in AGENTS}
    assert [len(past[agent]) for agent in AGENTS] == [10, 10]
    assert not past[USER] & past[ASSISTANT]
    for agent in AGENTS:
        assert set(pool.own[agent].tolist()) == set(range(40)) - past[agent]


def test_pool__past_versions_remember_their_own_games(monkeypatch: pytest.MonkeyPatch) -> None:
    """With memory, a past version's moves are those of its network on its own game alone, from the first step to the last."""
    monkeypatch.setattr(selfplay, "sample", lambda logits, rng: (logits.argmax(axis=1), None))
    arena, learners = pair(input="recurrent", horizon=8)
    rng = np.random.default_rng(0)
    arena.step(
        {agent: learner.act(0, arena, rng) for agent, learner in learners.items()}
    )  # so that it begins in mid-session
    for learner in learners.values():
        spread(learner)
    pool = Pool(learners, arena.games)
    pool.keep()
    nets = {agent: copy.deepcopy(learner.net) for agent, learner in learners.items()}
    for learner in learners.values():
        spread(learner, seed=2)  # the learners of today would play otherwise
        learner.begin()
    memory = {agent: learner.memory for agent, learner in learners.items()}
    pool.draw(rng)
    made: dict[str, list[Any]] = {agent: [] for agent in AGENTS}
    for t in range(8):
        moves = {agent: learner.act(t, arena, rng).copy() for agent, learner in learners.items()}
        pool.replace(t, moves, rng)
        for agent in AGENTS:
            made[agent].append(moves[agent])
        arena.step(moves)
    for agent, learner in learners.items():
        assert learner.starts[1:].any()
        assert not learner.starts[0, pool.past[agent]].all()
        for game in pool.past[agent]:
            only = slice(game, game + 1)
            arrays = [torch.from_numpy(array[:, only]) for array in (learner.fed, learner.legal, learner.starts)]
            with torch.no_grad():
                logits, *_ = nets[agent](arrays[0], arrays[1], memory[agent][only], arrays[2])
            assert [int(moves[game]) for moves in made[agent]] == logits[:, 0].argmax(-1).tolist()


def test_receive__counts_sessions_that_the_learner_has_played() -> None:
    """What a past version has been paid does not move the means that the objective goes by."""
    _, arena, learner = seated()
    arena.kinds, arena.ended = np.zeros(64, dtype=np.int64), np.ones(64, dtype=bool)
    arena.totals = np.where(np.arange(64)[:, None] < 8, [[3.0, 1.0]], [[-50.0, 90.0]])
    arena.payoffs, arena.cut = np.zeros((64, 2)), np.zeros(64, dtype=bool)
    learner.begin(np.arange(8))
    learner.receive(0, arena)
    learner.end(arena)
    assert learner.returns[0] == pytest.approx([3.0, 1.0])


def test_run__learns_from_the_games_that_it_has_played() -> None:
    """In a pool each learner is handed its own games, and plays the past in the others."""
    run = Run(Config(options={"questions": 1}, games=32, horizon=4, width=8, learn="both", opponent="pool", steps=256))
    run.advance()
    handed = {agent: learner.own for agent, learner in run.learners.items()}
    assert run.pool is not None
    for agent in AGENTS:
        assert sorted(handed[agent].tolist()) == sorted(set(range(32)) - set(run.pool.past[agent].tolist()))
