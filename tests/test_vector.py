"""The two-player batch against a list of ``parallel_env``: every number of every step, to the last bit."""

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
from hypothesis import given, settings
from hypothesis import strategies as st

import gtalign_env
from gtalign_env.cli import bench
from gtalign_env.env import GameEnv
from gtalign_env.errors import IllegalActionError, ResetNeededError, UsageError
from gtalign_env.finite import FiniteScenario
from gtalign_env.registration import SCENARIOS, make_scenario
from gtalign_env.types import AGENTS, ASSISTANT, USER
from gtalign_env.vector import VectorGame, vector_env

FINITE = [id for id in SCENARIOS if isinstance(make_scenario(id), FiniteScenario)]
MODES = ["next_step", "same_step", "disabled"]
GAMES = 5


class Reference(VectorEnv[Any, Any, Any]):
    """A loop over ``parallel_env``s that does what Gymnasium's ``SyncVectorEnv`` does; infos by Gymnasium's own function."""

    def __init__(self, scenario: Any, mode: str, **options: Any) -> None:
        self.num_envs = GAMES
        self.games = [GameEnv(scenario, **options) for _ in range(GAMES)]
        self.mode = mode
        self.over = np.zeros(GAMES, dtype=bool)
        self.seen: list[Any] = [None] * GAMES

    def begin(self, seeds: Any, mask: Any, options: dict[str, Any]) -> dict[str, Any]:
        """Reset the games of a mask."""
        infos: dict[str, Any] = {}
        for i, game in enumerate(self.games):
            if mask[i]:
                self.seen[i], info = game.reset(seed=seeds[i], options=options)
                infos = self._add_info(infos, info, i)
                self.over[i] = False
        return infos

    def play(self, actions: dict[str, Any]) -> Any:
        """Play a step of all games."""
        rewards, ended, cut = np.zeros((GAMES, 2)), np.zeros(GAMES, dtype=bool), np.zeros(GAMES, dtype=bool)
        infos: dict[str, Any] = {}
        over = np.zeros(GAMES, dtype=bool)
        for i, game in enumerate(self.games):
            if self.mode == "next_step" and self.over[i]:
                self.seen[i], info = game.reset()
            else:
                moves = {agent: int(actions[agent][i]) for agent in AGENTS}
                self.seen[i], paid, ends, cuts, info = game.step(moves)
                rewards[i] = paid[USER], paid[ASSISTANT]
                ended[i], cut[i] = ends[USER], cuts[USER]
                over[i] = ended[i] or cut[i]
                if over[i] and self.mode == "same_step":
                    infos = self._add_info(infos, {"final_obs": self.seen[i], "final_info": info}, i)
                    self.seen[i], info = game.reset()
            infos = self._add_info(infos, info, i)
        self.over = over if self.mode != "same_step" else np.zeros(GAMES, dtype=bool)
        return rewards, ended, cut, infos


def assert_same(ours: Any, theirs: Any, where: str = "") -> None:
    """Compare nested dicts of arrays exactly, values and types."""
    if isinstance(theirs, dict):
        assert set(ours) == set(theirs), (where, set(ours) ^ set(theirs))
        for key in theirs:
            assert_same(ours[key], theirs[key], f"{where}/{key}")
    elif isinstance(theirs, np.ndarray) and theirs.dtype == object:
        assert ours.dtype == object
        for mine, other in zip(ours, theirs, strict=True):
            assert_same(mine, other, where)
    elif isinstance(theirs, np.ndarray):
        assert ours.dtype == theirs.dtype, (where, ours.dtype, theirs.dtype)
        assert ours.tobytes() == theirs.tobytes(), (where, ours, theirs)
    else:
        assert ours == theirs, (where, ours, theirs)
        assert type(ours) is type(theirs), (where, ours, theirs)


def assert_seen(batch: Any, singles: list[Any]) -> None:
    """Compare a batch of observations with those of single games, byte by byte."""
    for agent in AGENTS:
        for key in ("observation", "action_mask"):
            assert_same(batch[agent][key], np.stack([seen[agent][key] for seen in singles]), f"{agent}/{key}")


def compare(
    scenario: Any, mode: str, rng: np.random.Generator, *, steps: int, max_cycles: int | None, pins: Any
) -> None:
    """Play random actions, legal or not, in a batch and in single games, and compare everything that comes back."""
    batch = VectorGame(scenario, GAMES, max_cycles=max_cycles, autoreset_mode=AutoresetMode[mode.upper()], itemise=True)
    games = Reference(scenario, mode, max_cycles=max_cycles)
    seeds = rng.integers(0, 2**40, size=GAMES).tolist()
    seen, infos = batch.reset(seed=seeds, options=dict(pins))
    assert_same(infos, games.begin(seeds, [True] * GAMES, pins))
    assert_seen(seen, games.seen)
    for _ in range(steps):
        if mode == "disabled" and games.over.any():
            mask = games.over.copy()
            fresh = [int(rng.integers(99)) if rng.random() < 0.5 else None for _ in range(GAMES)]
            seen, infos = batch.reset(seed=fresh, options={"reset_mask": mask})
            assert_same(infos, games.begin(fresh, mask, {}))
            assert_seen(seen, games.seen)
        actions = {agent: rng.integers(0, batch.engine.tables.width, size=GAMES) for agent in AGENTS}
        seen, rewards, ended, cut, infos = batch.step(actions)
        expected = games.play(actions)
        for mine, other in zip((rewards, ended, cut), expected[:3], strict=True):
            assert_same(mine, other)
        assert_same(infos, expected[3])
        assert_seen(seen, games.seen)
        assert seen in batch.observation_space
    for i, game in enumerate(games.games):
        assert batch.engine.state(i) == game.game_state
    ours = [one.random() for one in batch.np_random]
    assert ours == [game.np_random.random() for game in games.games]


@pytest.mark.parametrize("id", FINITE)
@pytest.mark.parametrize("mode", MODES)
def test_vector_game__is_bit_equal_to_parallel_env_in_every_finite_scenario(id: str, mode: str) -> None:
    """Same seeds, same actions: same observations, masks, rewards, ends, infos, states and streams, in all autoreset modes."""
    rng = np.random.default_rng([MODES.index(mode), FINITE.index(id)])
    compare(make_scenario(id), mode, rng, steps=90, max_cycles=None, pins={})
    compare(make_scenario(id), mode, rng, steps=25, max_cycles=2, pins={})


OPTIONS: list[tuple[str, dict[str, Any]]] = [
    ("assist", {"users": "concise", "pricing": "freemium"}),
    ("assist", {"questions": 1, "max_exchanges": 1, "pricing": "outcome_based"}),
    ("assist", {"questions": 2, "p_harmful": 0.5, "can_leave": False, "payoff": "grounded:retention_rate=2"}),
    ("assist", {"hit_vague": 0.0, "hit_clear": 1.0, "p_simple": 1.0, "p_harmful": 0.0}),
    ("prisoners_dilemma", {"rounds": 4, "talk": 1}),
    ("duopoly", {"rounds": 2}),
    ("trigame", {"talk": 1, "first_speaker": "assistant"}),
    ("matrix", {"rounds": 3}),
]


@given(
    which=st.sampled_from(OPTIONS),
    mode=st.sampled_from(MODES),
    seed=st.integers(0, 2**32),
    max_cycles=st.sampled_from([None, 1, 3]),
    pinned=st.booleans(),
)
@settings(max_examples=40)
def test_vector_game__is_bit_equal_under_any_options(
    which: tuple[str, dict[str, Any]], mode: str, seed: int, max_cycles: int | None, pinned: bool
) -> None:
    """The same holds under other rules, prices, talk, time limits, and with types, tasks and prices that a reset pins."""
    pins: dict[str, Any] = {}
    if pinned and which[0] == "assist":
        pins = {"user_type": {"ideal_tokens": 77.0, "value": 1.5}, "pricing": "per_token", "task": {"clarity": "clear"}}
    scenario = make_scenario(which[0], **which[1])
    compare(scenario, mode, np.random.default_rng(seed), steps=20, max_cycles=max_cycles, pins=pins)


class Wild:
    """A payoff model that is on no grid, tells more than outcomes do, and whose retention takes one number and is not linear."""

    name = "wild"
    user_items = ("joy", "toil")
    assistant_items = ("fee", "retention")

    def user(self, outcome: Any, user_type: Any, pricing: Any) -> dict[str, Any]:
        """Pay by the place in the tables."""
        places = np.arange(np.size(outcome.quality), dtype=np.float64).reshape(np.shape(outcome.quality))
        return {"joy": np.sin(places) / 3.0, "toil": -0.1 * outcome.words_typed * user_type.effort_cost}

    def assistant(self, outcome: Any, pricing: Any) -> dict[str, Any]:
        """Pay a third of the price."""
        return {"fee": np.asarray(pricing.price(outcome)) / 3.0, "retention": 0.0 * outcome.quality}

    def retention(self, user_total: float) -> float:
        """Pay for happy users only."""
        return user_total / 7.0 if user_total > 0.0 else 0.0


def test_vector_game__takes_payoffs_that_are_not_on_the_grid() -> None:
    """A payoff model that breaks the habits still gives the same numbers: nothing rests on outcomes, grid or linearity."""
    scenario = make_scenario("assist", payoff=Wild(), questions=2)
    compare(scenario, "next_step", np.random.default_rng(5), steps=60, max_cycles=None, pins={})


def test_vector_game__opens_new_books_in_the_middle_of_other_games() -> None:
    """Hundreds of pinned types pass through a batch; forgotten ones leave running games as they are."""
    scenario = make_scenario("assist", questions=2)
    assert isinstance(scenario, FiniteScenario)
    batch = VectorGame(scenario, 2, autoreset_mode=AutoresetMode.DISABLED)
    lone = GameEnv(scenario)
    batch.reset(seed=[3, 4], options={"user_type": {"value": 2.5}})
    lone.reset(seed=3, options={"user_type": {"value": 2.5}})
    first = np.array([False, True])
    for i in range(270):
        batch.reset(options={"user_type": {"ideal_tokens": 100.0 + i}, "reset_mask": first})
    assert len(batch.engine.tables.books) < 270
    _, rewards, *_ = batch.step({USER: np.array([5, 5]), ASSISTANT: np.array([0, 0])})
    _, paid, *_ = lone.step({USER: 5, ASSISTANT: 0})
    assert rewards[0].tolist() == [paid[USER], paid[ASSISTANT]]
    assert batch.engine.state(0) == lone.game_state
    assert batch.engine.state(1).user_type.ideal_tokens == 369.0


def fresh(**options: Any) -> Any:
    """Return a small batch that has begun."""
    batch = vector_env("assist", 4, **options)
    batch.reset(seed=1)
    return batch


def moves(user: Any = (5, 5, 5, 5), assistant: Any = (0, 1, 2, 6)) -> dict[str, Any]:
    """Return actions of both players."""
    return {USER: np.asarray(user), ASSISTANT: np.asarray(assistant)}


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
    assert_same(one, two)
    assert batch.np_random_seed == (7, 8, 9)
    again, _ = batch.reset()
    more, _ = listed.reset(seed=[None, None, None])
    assert_same(again, more)


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
