"""The two-player batch against a list of ``parallel_env``: every number of every step, to the last bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, VectorEnv
from hypothesis import given, settings
from hypothesis import strategies as st

from gtalign_env.env import GameEnv
from gtalign_env.finite import FiniteScenario
from gtalign_env.registration import SCENARIOS, make_scenario
from gtalign_env.types import AGENTS, ASSISTANT, USER
from gtalign_env.vector import VectorGame

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
