"""Every registered id keeps the contract: ours, PettingZoo's, Gymnasium's, and that of the libraries that consume them."""

from __future__ import annotations

import functools
import importlib
import types
import warnings
from collections.abc import Iterator
from typing import Any

import gymnasium
import numpy as np
import pettingzoo
import pytest
from gymnasium.utils.env_checker import check_env as gymnasium_check_env
from gymnasium.vector import AutoresetMode

import gtalign_env
from gtalign_env.errors import ResetNeededError
from gtalign_env.registration import SCENARIOS, make_scenario
from gtalign_env.scenarios.assist.population import TYPES
from gtalign_env.single_agent import assistant_env, user_env
from gtalign_env.testing import ConformanceError, Report, check_env
from gtalign_env.types import Role

IDS = sorted(SCENARIOS)
STRATEGIC = [id for id in IDS if SCENARIOS[id].view == "strategic"]
SINGLE = ("gtalign/Assistant-v0", "gtalign/User-v0")
ALWAYS_APPLY = {
    "containment",
    "determinism",
    "no_aliasing",
    "deepcopy_continues",
    "pickle_continues",
    "payoff_items",
    "bad_actions",
    "max_cycles",
    "rendering",
}
"""Checks that may not be skipped for any id of ours."""


@pytest.fixture(autouse=True)
def _third_party() -> Iterator[None]:
    """Let through what other libraries say about their own future; everything else is an error."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*old environment creation API has been deprecated.*")
        yield


ENDLESS: dict[str, dict[str, Any]] = {
    "matrix": {"rounds": 50},
    "session": {"can_leave": False, "p_harmful": 0.0, "questions": 8},
}
"""Options, by kind, under which a game does not end of itself in a few steps of any play. Trees, negotiations (an offer may be
accepted at any time) and signalling games have none: their rules end them, whatever the options."""


def opposite(id: str, scenario: str) -> dict[str, Any]:
    """Return the options that seat somebody opposite who can play this scenario."""
    if SCENARIOS[scenario].kind == "session":
        return {}
    return {"users": "random"} if id == "gtalign/Assistant-v0" else {"assistant": "random"}


def skipped(report: Report) -> set[str]:
    """Return the names of the checks that did not apply."""
    return {result.name for result in report.skipped}


# -- the two-player games -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("id", IDS)
def test_parallel_env__keeps_the_contract(id: str) -> None:
    """Every id passes the kit, and the checks that matter are not skipped."""
    report = check_env(functools.partial(gtalign_env.parallel_env, id))
    assert not ALWAYS_APPLY & skipped(report)
    if SCENARIOS[id].kind == "session":
        assert not {"privacy", "revealed", "masked_moves", "strict_raises", "seeds_matter"} & skipped(report)


@pytest.mark.parametrize("id", [id for id in IDS if SCENARIOS[id].kind == "session"])
def test_parallel_env__keeps_every_shipped_type_private(id: str) -> None:
    """The assistant cannot tell the shipped types apart by anything but what they do."""
    make = functools.partial(gtalign_env.parallel_env, id)
    report = check_env(make, episodes=2, user_types=sorted(TYPES))
    assert "privacy" not in skipped(report)


class Tattling:
    """A scenario whose default wording, or transcript, tells what the user is like."""

    def __init__(self, inner: Any, where: str) -> None:
        self.inner, self.where = inner, where

    def __getattr__(self, name: str) -> Any:
        """Be like the scenario inside."""
        if name.startswith("__") or name == "inner":
            raise AttributeError(name)
        return getattr(self.inner, name)

    def utterance(self, state: Any, role: Role) -> str:
        """Return what is on the table, with a slip of the tongue."""
        return str(self.inner.utterance(state, role)) + (self._slip(state) if self.where == "text" else "")

    def info(self, state: Any, role: Role) -> dict[str, Any]:
        """Return the info, with a slip in the transcript."""
        made: dict[str, Any] = self.inner.info(state, role)
        if self.where == "messages" and made["messages"]:
            made["messages"][-1]["content"] += self._slip(state)
        return made

    def _slip(self, state: Any) -> str:
        return " Briefly!" if self.inner.hidden(state)["user_type"].ideal_tokens < 100 else ""


@pytest.mark.parametrize("where", ["text", "messages"])
def test_check_env__catches_a_text_view_that_tells_on_the_user(where: str) -> None:
    """Words that depend on θ are found wherever the assistant reads them."""
    scenario: Any = Tattling(make_scenario("gtalign/AssistText-v0"), where)
    with pytest.raises(ConformanceError, match=rf"privacy: .*'{where}'.*Briefly"):
        check_env(lambda: gtalign_env.parallel_env(scenario), episodes=1)


@pytest.mark.parametrize("id", IDS)
def test_aec_env__keeps_the_contract(id: str) -> None:
    """The AEC form with PettingZoo's usual wrappers passes the kit."""
    report = check_env(functools.partial(gtalign_env.env, id), episodes=1)
    assert "pettingzoo_api_test" not in skipped(report)


@pytest.mark.parametrize("id", IDS)
def test_registry__makes_what_the_factories_make(id: str) -> None:
    """PettingZoo's registry knows both forms of every id."""
    parallel, aec = pettingzoo.make("parallel", id), pettingzoo.make("aec", id, max_cycles=3)
    assert isinstance(parallel, pettingzoo.ParallelEnv)
    assert isinstance(aec, pettingzoo.AECEnv)
    assert parallel.metadata["name"] == aec.metadata["name"]


@pytest.mark.parametrize("id", IDS)
def test_pettingzoo__api_tests_pass(id: str) -> None:
    """PettingZoo's own API tests pass on all three factories, without warnings of our making."""
    tests = importlib.import_module("pettingzoo.test")
    tests.parallel_api_test(gtalign_env.parallel_env(id), num_cycles=100)
    for factory in (gtalign_env.raw_env, gtalign_env.env):
        tests.api_test(factory(id), num_cycles=100)


@pytest.mark.parametrize("id", [id for id in IDS if SCENARIOS[id].kind in ENDLESS])
def test_pettingzoo__max_cycles_test_passes(id: str) -> None:
    """A time limit of four cycles is four cycles, under unmasked random play."""
    options = ENDLESS[SCENARIOS[id].kind]
    module = types.SimpleNamespace(
        parallel_env=functools.partial(gtalign_env.parallel_env, id, **options),
        env=functools.partial(gtalign_env.env, id, **options),
    )
    for _ in range(5):  # spaces are not seeded there
        importlib.import_module("pettingzoo.test.max_cycles_test").max_cycles_test(module)


@pytest.mark.parametrize("id", IDS)
@pytest.mark.parametrize("factory", [gtalign_env.raw_env, gtalign_env.env], ids=["raw_env", "env"])
def test_pettingzoo__render_test_passes(id: str, factory: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """Every declared render mode returns what PettingZoo expects of it."""
    importlib.import_module("pettingzoo.test").render_test(functools.partial(factory, id))
    assert capsys.readouterr().out  # mode "human" printed


# -- the single-agent views -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("scenario", IDS)
@pytest.mark.parametrize("id", SINGLE)
def test_single_agent__keeps_the_contract(id: str, scenario: str) -> None:
    """Both chairs of every scenario pass the kit and Gymnasium's checker."""
    make = functools.partial(gymnasium.make, f"gtalign_env:{id}", scenario=scenario, **opposite(id, scenario))
    report = check_env(make, episodes=2)
    assert not (ALWAYS_APPLY | {"gymnasium_check_env"}) & skipped(report)


@pytest.mark.parametrize("id", SINGLE)
def test_single_agent__passes_gymnasiums_checker(id: str) -> None:
    """Gymnasium's ``check_env``, render modes included, has nothing to say."""
    gymnasium_check_env(gymnasium.make(f"gtalign_env:{id}").unwrapped)


def counted(env: Any) -> list[dict[str, float]]:
    """Return a list that every step of the game inside a single-agent view adds its two rewards to."""
    rewards: list[dict[str, float]] = []
    step = env.game.step

    def counting(actions: Any) -> Any:
        returned = step(actions)
        rewards.append(returned[1])
        return returned

    env.game.step = counting
    return rewards


@pytest.mark.parametrize("scenario", ["gtalign/Assist-v0", "gtalign/AssistText-v0"])
@pytest.mark.parametrize("chair", ["assistant_0", "user_0"])
def test_single_agent__pays_all_that_the_game_pays(chair: str, scenario: str) -> None:
    """The learner's rewards sum to its payoffs in the game, the steps before its first turn included."""
    env: Any = assistant_env(scenario) if chair == "assistant_0" else user_env(scenario)
    rewards = counted(env)
    for seed in range(6):
        rewards.clear()
        observation, _ = env.reset(seed=seed)
        total, over = 0.0, False
        while not over:
            move = int(np.flatnonzero(observation["action_mask"])[seed % 3])
            action = {"move": move, "text": "Is it the first?"} if scenario.endswith("Text-v0") else move
            observation, reward, ended, cut, _ = env.step(action)
            total, over = total + reward, ended or cut
        assert total == sum(step[chair] for step in rewards)


def test_single_agent__tells_an_end_before_the_first_turn_with_the_first_step() -> None:
    """An assistant that complies at once ends the session before the user's turn; the first step says so, and pays."""
    env = user_env("gtalign/AssistText-v0", assistant="fixed:DA_short", p_harmful=1.0)
    rewards = counted(env)
    env.reset(seed=0)
    _, reward, ended, cut, info = env.step("whatever")
    assert (ended, cut, info["violation"], info["illegal_move"]) == (True, False, True, False)
    assert reward == sum(step["user_0"] for step in rewards) == sum(info["payoff"].values())
    with pytest.raises(ResetNeededError):
        env.step("again")


@pytest.mark.parametrize("mode", ["sync", "async"])
@pytest.mark.parametrize("scenario", ["gtalign/Assist-v0", "gtalign/AssistText-v0"])
@pytest.mark.parametrize("id", SINGLE)
def test_single_agent__vectorises(id: str, scenario: str, mode: str) -> None:
    """``make_vec`` steps several games, in one process and in several, and both play the same."""
    envs = gymnasium.make_vec(f"gtalign_env:{id}", num_envs=2, vectorization_mode=mode, scenario=scenario)
    try:
        observations, _ = envs.reset(seed=3)
        rewards = []
        for _ in range(12):
            moves = np.argmax(observations["action_mask"], axis=1)
            spoken = {"move": moves, "text": ("Yes.", "Which one do you mean?")}
            actions = moves if SCENARIOS[scenario].view == "strategic" else spoken
            observations, reward, *_ = envs.step(actions)
            assert observations in envs.observation_space
            rewards.append(np.asarray(reward))
        assert envs.metadata["autoreset_mode"] == AutoresetMode.NEXT_STEP
        assert np.isfinite(rewards).all()
    finally:
        envs.close()


def test_single_agent__modes_of_vectorisation_agree() -> None:
    """Seeded alike, ``sync`` and ``async`` give the same rewards."""
    played = []
    for mode in ("sync", "async"):
        envs = gymnasium.make_vec("gtalign_env:gtalign/Assistant-v0", num_envs=2, vectorization_mode=mode)
        envs.reset(seed=5)
        played.append(np.array([envs.step(np.array([0, 4]))[1] for _ in range(10)]))
        envs.close()
    assert (played[0] == played[1]).all()


# -- consumers --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("id", STRATEGIC)
def test_supersuit__vectorises_the_parallel_env(id: str) -> None:
    """SuperSuit's conversion and concatenation step both agents of several games as one batch."""
    supersuit = pytest.importorskip("supersuit")
    envs = supersuit.pettingzoo_env_to_vec_env_v1(gtalign_env.parallel_env(id))
    envs = supersuit.concat_vec_envs_v1(envs, 2, num_cpus=0, base_class="stable_baselines3")
    observations = envs.reset()
    assert observations["observation"].shape[0] == observations["action_mask"].shape[0] == envs.num_envs == 4
    for _ in range(30):
        moves = np.argmax(observations["action_mask"], axis=1)
        observations, rewards, dones, infos = envs.step(moves)
        assert np.isfinite(rewards).all()
        assert len(infos) == len(dones) == 4
    envs.close()


def test_stable_baselines3__learns_on_the_parallel_env() -> None:
    """PPO with one network for both roles takes the converted environment as it is."""
    supersuit = pytest.importorskip("supersuit")
    ppo = pytest.importorskip("stable_baselines3").PPO
    envs = supersuit.pettingzoo_env_to_vec_env_v1(gtalign_env.parallel_env("gtalign/Assist-v0"))
    envs = supersuit.concat_vec_envs_v1(envs, 2, num_cpus=0, base_class="stable_baselines3")
    model = ppo("MultiInputPolicy", envs, n_steps=16, batch_size=32, n_epochs=1, device="cpu")
    before = [parameter.detach().clone() for parameter in model.policy.parameters()]
    model.learn(total_timesteps=128)
    assert model.num_timesteps >= 128
    assert any((old != new).any() for old, new in zip(before, model.policy.parameters(), strict=True))
    envs.close()
