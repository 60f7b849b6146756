"""The two-player batch as a vector environment: copies, seeds, options, refusals, rendering, its page and its benchmark."""

from __future__ import annotations

import copy
import doctest
import pickle
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, VectorEnv

import gtalign_env
from gtalign_env.cli import bench
from gtalign_env.errors import IllegalActionError, ResetNeededError, UsageError
from gtalign_env.finite import FiniteScenario
from gtalign_env.registration import make_scenario
from gtalign_env.types import AGENTS, ASSISTANT, USER
from gtalign_env.vector import vector_env


def fresh(**options: Any) -> Any:
    """Return a small batch that has begun."""
    batch = vector_env("assist", 4, **options)
    batch.reset(seed=1)
    return batch


def moves(user: Any = (5, 5, 5, 5), assistant: Any = (0, 1, 2, 6)) -> dict[str, Any]:
    """Return actions of both players."""
    return {USER: np.asarray(user), ASSISTANT: np.asarray(assistant)}


def shown(seen: Any) -> list[bytes]:
    """Return all arrays of an observation as bytes."""
    return [seen[agent][key].tobytes() for agent in AGENTS for key in ("observation", "action_mask")]


@pytest.mark.parametrize("twin", [copy.deepcopy, lambda batch: pickle.loads(pickle.dumps(batch))])
@pytest.mark.parametrize("agent", [None, ASSISTANT, USER])
def test_vector_env__copies_and_pickles_go_on_alike(twin: Any, agent: str | None) -> None:
    """A copy in mid-episode is independent and gives the same bytes from there on, whichever form it is."""
    batch = fresh(agent=agent)
    rng = np.random.default_rng(0)

    def play(one: Any, plays: list[Any]) -> list[bytes]:
        seen = []
        for action in plays:
            observations, rewards, ended, *_ = one.step(action)
            part = observations if agent else observations[USER]
            seen += [part["observation"].tobytes(), rewards.tobytes(), ended.tobytes()]
        return seen

    def some(count: int) -> list[Any]:
        if agent is None:
            return [moves(rng.integers(10, size=4), rng.integers(8, size=4)) for _ in range(count)]
        return [rng.integers(8, size=4) for _ in range(count)]

    play(batch, some(3))
    other = twin(batch)
    plays = some(130)
    assert play(other, plays) == play(batch, plays)


def test_vector_env__hands_out_fresh_arrays() -> None:
    """Writing on what was returned changes neither the games nor what is returned later."""
    spoilt, clean = fresh(), fresh()
    for _ in range(8):
        for part in (one := spoilt.step(moves()))[:4]:
            for array in (
                [part] if isinstance(part, np.ndarray) else [a for seen in part.values() for a in seen.values()]
            ):
                array[...] = 1
        two = clean.step(moves())
        one = spoilt.step(moves())
        two = clean.step(moves())
        assert one[1].tobytes() == two[1].tobytes()
        assert one[0][USER]["observation"].tobytes() == two[0][USER]["observation"].tobytes()
        assert one[0][USER]["action_mask"].tobytes() == two[0][USER]["action_mask"].tobytes()


def test_vector_env__a_seed_gives_consecutive_seeds() -> None:
    """``reset(seed=s)`` seeds game i with s + i, and without a seed streams go on."""
    batch, listed = vector_env("assist", 3), vector_env("assist", 3)
    one, _ = batch.reset(seed=7)
    two, _ = listed.reset(seed=[7, 8, 9])
    assert shown(one) == shown(two)
    assert batch.np_random_seed == (7, 8, 9)
    again, _ = batch.reset()
    more, _ = listed.reset(seed=[None, None, None])
    assert shown(again) == shown(more)


def test_vector_env__unseeded_games_differ() -> None:
    """Without any seed each game makes its own."""
    batch = vector_env("assist", 64)
    assert len({generator.random() for generator in batch.np_random}) == 64
    batch.reset()
    assert len(set(batch.np_random_seed)) == 64


@pytest.mark.parametrize("agent", [None, ASSISTANT])
def test_vector_env__batched_final_observations_are_the_same_rows(agent: str | None) -> None:
    """``batch_final=True`` gives as a batch what Gymnasium gives one by one."""
    plain = fresh(agent=agent, autoreset_mode="same_step", max_cycles=2)
    quick = fresh(agent=agent, autoreset_mode=AutoresetMode.SAME_STEP, max_cycles=2, batch_final=True)
    action = moves() if agent is None else np.array([0, 1, 2, 6])
    plain.step(action), quick.step(action)
    told, batched = plain.step(action)[4], quick.step(action)[4]
    assert told["_final_obs"].any()
    for game in np.flatnonzero(told["_final_obs"]):
        single, rows = told["final_obs"][game], batched["final_obs"]
        if agent is None:
            single, rows = single[ASSISTANT], rows[ASSISTANT]
        assert single["observation"].tobytes() == rows["observation"][game].tobytes()
    assert not (batched["final_obs"] if agent else batched["final_obs"][USER])["observation"][~told["_final_obs"]].any()


@pytest.mark.parametrize(
    ("actions", "words"),
    [
        (lambda: moves(user=[5, 5, 5]), r"actions of user_0: expected 4 integers from 0 to 10, got .* shape \(3,\)"),
        (lambda: moves(assistant=[0.0, 1.0, np.nan, 2.0]), "actions of assistant_0: expected 4 integers"),
        (lambda: moves(user=[True, True, False, True]), "got an array of bool"),
        (lambda: moves(user=[0, 11, 0, 0]), "from 0 to 10, got 11 in game 1"),
        (lambda: moves(assistant=[0, 0, 0, -1]), "got -1 in game 3"),
        (lambda: {USER: [[1], [2, 3]], ASSISTANT: [0, 0, 0, 0]}, "actions of user_0"),
        (lambda: {USER: [0, 0, 0, 0]}, r"exactly 'user_0' and 'assistant_0', got \['user_0'\]"),
        (lambda: np.zeros((4, 2), dtype=int), "expected a dict with exactly .*, got ndarray"),
    ],
)
def test_vector_game__refuses_what_are_no_actions(actions: Any, words: str) -> None:
    """Wrong shapes, types, values and players are refused, and nothing has happened."""
    batch, other = fresh(), fresh()
    with pytest.raises(IllegalActionError, match=words):
        batch.step(actions())
    assert batch.step(moves())[1].tobytes() == other.step(moves())[1].tobytes()


def test_vector_game__takes_integers_of_any_width() -> None:
    """Small and unsigned integers and plain lists are moves too."""
    batches = [fresh() for _ in range(3)]
    kinds = (
        moves(),
        {USER: [5, 5, 5, 5], ASSISTANT: (0, 1, 2, 6)},
        {a: v.astype(np.uint8) for a, v in moves().items()},
    )
    results = {batch.step(kind)[1].tobytes() for batch, kind in zip(batches, kinds, strict=True)}
    assert len(results) == 1


def test_vector_game__strict_names_the_game_and_its_legal_moves() -> None:
    """Under ``strict=True`` a masked move raises and nothing has happened; games that begin anew are not asked."""
    batch = vector_env("monopoly", 3, strict=True)
    batch.reset(seed=0)
    mask = batch.reset(seed=0)[0][USER]["action_mask"]
    legal = {agent: batch.reset(seed=0)[0][agent]["action_mask"].argmax(axis=1) for agent in AGENTS}
    wrong = {USER: np.array([0, 0, int(mask[2].argmin())]), ASSISTANT: legal[ASSISTANT]}
    with pytest.raises(IllegalActionError, match=r"user_0, game 2: move .* is not legal here; legal moves: "):
        batch.step(wrong)
    ended = batch.step(legal)[2]
    for _ in range(5):
        before = ended
        actions = {agent: batch._seen()[agent]["action_mask"].argmax(axis=1) for agent in AGENTS}
        actions[USER][before] = 2  # whatever: these games begin anew
        ended = batch.step(actions)[2]
    narrow = vector_env("weakly_dominated", 1, strict=True)  # three moves against two
    narrow.reset(seed=0)
    with pytest.raises(IllegalActionError, match="assistant_0, game 0: move number 2 is not legal here"):
        narrow.step({USER: [2], ASSISTANT: [2]})


def test_vector_env__needs_a_reset() -> None:
    """A step before the first reset, a first reset of some games, and a step of games that are over say what to do."""
    batch = vector_env("prisoners_dilemma", 2, autoreset_mode="disabled")
    with pytest.raises(ResetNeededError, match="before reset"):
        batch.step({USER: [0, 0], ASSISTANT: [0, 0]})
    with pytest.raises(ResetNeededError, match="leave 'reset_mask' out"):
        batch.reset(options={"reset_mask": np.array([True, False])})
    batch.reset(seed=0)
    batch.step({USER: [0, 0], ASSISTANT: [0, 0]})
    with pytest.raises(ResetNeededError, match="2 games that are over, the first of them game 0"):
        batch.step({USER: [0, 0], ASSISTANT: [0, 0]})


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"seed": -1}, "reset seed: expected"),
        ({"seed": [1, 2]}, "a list of 4 of them"),
        ({"seed": [1, 2, 3, 0.5]}, "reset seed: expected"),
        ({"seed": "x"}, "reset seed: expected"),
        ({"seed": 0.5}, "reset seed: expected"),
        ({"options": [1]}, "reset options: expected a dict"),
        ({"options": {"reset_mask": [True] * 4}}, "'reset_mask': expected a boolean array of shape"),
        ({"options": {"reset_mask": np.zeros(4, dtype=bool)}}, "at least one True"),
        ({"options": {"user_type": "nobody"}}, "unknown user type 'nobody'"),
        ({"options": {"task": "nothing"}}, "expected one of"),
        ({"options": {"pricing": "nothing"}}, "unknown pricing"),
    ],
)
def test_vector_env__refuses_resets_that_make_no_sense(given: dict[str, Any], words: str) -> None:
    """Seeds, masks and options are checked before anything changes."""
    batch, other = fresh(), fresh()
    with pytest.raises(UsageError, match=words):
        batch.reset(**given)
    assert batch.step(moves())[1].tobytes() == other.step(moves())[1].tobytes()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"num_envs": 0}, "num_envs: expected an integer >= 1"),
        ({"num_envs": True}, "num_envs: expected"),
        ({"agent": "user"}, "agent: expected 'user_0', 'assistant_0' or None"),
        ({"assistant": "random"}, "assistant: only for agent='user_0'"),
        ({"share_payoffs": True}, "share_payoffs: only for one learner"),
        ({"pricings": "per_token"}, "pricings: expected a list"),
        ({"pricings": []}, "pricings: expected a list"),
        ({"autoreset_mode": "never"}, "autoreset_mode: expected .* 'next_step', 'same_step', 'disabled', got 'never'"),
        ({"max_cycles": 0}, "max_cycles: expected"),
        ({"render_mode": "rgb_array"}, "render_mode: expected"),
        ({"scenario": "assist_text"}, "not compiled into tables"),
        ({"scenario": "deal_or_no_deal"}, "take parallel_env"),
        ({"wrong": 1}, "has no option 'wrong'"),
        ({"users": "nobody"}, "unknown user type 'nobody'"),
    ],
)
def test_vector_env__refuses_options_that_make_no_sense(given: dict[str, Any], words: str) -> None:
    """Every option says what it expects."""
    with pytest.raises(UsageError, match=words):
        vector_env(**{"num_envs": 2, **given})


def test_vector_env__refuses_rules_outside_the_tables() -> None:
    """A scenario that overrides how tables are played cannot be batched, and is told so."""

    class Own(FiniteScenario):
        def step(self, *args: Any) -> Any:
            """Play by other rules."""
            return super().step(*args)

    scenario = make_scenario("assist")
    scenario.__class__ = Own
    with pytest.raises(UsageError, match="Own has a step of its own"):
        vector_env(scenario, 2)


def test_vector_env__is_a_gymnasium_vector_env() -> None:
    """Spaces, metadata and the number of games are those that Gymnasium's wrappers and learners read."""
    batch = gtalign_env.vector_env("assist", 4, users="default")
    assert isinstance(batch, VectorEnv)
    assert batch.metadata["autoreset_mode"] is AutoresetMode.NEXT_STEP
    single = batch.single_observation_space
    assert batch.observation_space == gymnasium.vector.utils.batch_space(single, 4)
    assert batch.reset(seed=0)[0] in batch.observation_space
    batch.action_space.seed(0)
    seen, rewards, *_ = batch.step(batch.action_space.sample())
    assert seen in batch.observation_space
    assert rewards.shape == (4, 2)
    batch.close()
    batch.close()


def test_vector_env__draws_prices_for_every_episode() -> None:
    """With ``pricings`` every episode has one of them, each about as often, and shows it."""
    batch = vector_env("assist", 600, pricings=["per_token", "per_request", "subscription"])
    seen, _ = batch.reset(seed=0)
    names = [batch.engine.state(game).pricing.name for game in range(600)]
    shares = {name: names.count(name) / 600 for name in set(names)}
    assert set(shares) == {"per_token", "per_request", "subscription"}
    assert all(abs(share - 1 / 3) < 0.08 for share in shares.values())  # 4 standard errors
    shown = seen[ASSISTANT]["observation"][:, batch.layout["pricing"]]
    assert len({row.tobytes() for row in shown}) == 3


def test_vector_env__renders_one_game() -> None:
    """``render`` returns the picture that the single game draws, and says what is missing."""
    batch = vector_env("assist", 3, render_mode="ansi")
    lone = gtalign_env.parallel_env("assist", render_mode="ansi")
    lone.reset(seed=1)
    assert "not started" in batch.render()[0]
    batch.reset(seed=0)
    assert batch.render(1) == (lone.render(),)
    while lone.agents:
        lone.step({USER: 5, ASSISTANT: 0})
        batch.step({USER: np.full(3, 5), ASSISTANT: np.zeros(3, dtype=int)})
        assert batch.render(1) == (lone.render(),)
    with pytest.raises(UsageError, match="expected a game from 0 to 2"):
        batch.render(3)
    with pytest.raises(UsageError, match="pass render_mode='ansi'"):
        fresh().render()


def test_vector_env__has_no_generator_to_set() -> None:
    """A batch is seeded by ``reset`` only."""
    with pytest.raises(UsageError, match="seeded by reset"):
        fresh().np_random = np.random.default_rng(0)


def test_vector_page__examples_hold() -> None:
    """Every example of docs/vector.md runs and returns what the page says."""
    page = Path(__file__).resolve().parents[1] / "docs" / "vector.md"
    outcome = doctest.testfile(str(page), module_relative=False)
    assert outcome.attempted > 10
    assert outcome.failed == 0


def test_vector_bench__runs_in_its_quick_form(monkeypatch: pytest.MonkeyPatch) -> None:
    """The benchmark has a row for every claim, and says what it needs where the yardstick is missing."""
    module = bench.discover()["vector"]
    monkeypatch.setattr(module, "_growth", lambda **options: [])
    monkeypatch.setattr(module, "_rps", _missing)
    rows = {row["name"]: row for row in module.measure(quick=True, say=lambda line: None)}
    assert "needs pygame" in rows["both players / rps"]["note"]
    assert rows["both players / parallel_env"]["value"] > 10.0
    assert rows["memory: 1,024 games"]["value"] < rows["memory: 4,096 games"]["value"] < 60.0


def _missing() -> Any:
    raise ImportError("no pygame")
