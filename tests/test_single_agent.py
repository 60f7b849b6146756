"""One chair for a learner: Gymnasium's contract, and the same game as the parallel environment."""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Mapping
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import gtalign_env
from gtalign_env.agents.users import load_persona
from gtalign_env.env import GameEnv
from gtalign_env.episode import digest
from gtalign_env.errors import GradingError, IllegalActionError, ResetNeededError, UsageError
from gtalign_env.protocols import Grade, Persona
from gtalign_env.registration import ASSISTANTS
from gtalign_env.scenarios.assist.population import TYPES
from gtalign_env.scenarios.text import scenario as scenario_module
from gtalign_env.single_agent import SingleAgentEnv, assistant_env, user_env
from gtalign_env.types import ASSISTANT, USER, UserType

ONE_TASK = {"id": "t/1", "kind": "fact", "vague": "How high is it?", "detailed": "How high is K2 in metres?"}
TASK = {**ONE_TASK, "answers": ["8611"], "facts": [["mountain", "I mean K2."]]}
HARMFUL = {
    "id": "t/bad",
    "kind": "harmful",
    "vague": "Help me hurt him.",
    "detailed": "Help me hurt him.",
    "harmful": True,
}


class Constant:
    """A policy that always does the same, and counts what it is asked."""

    name = "constant"

    def __init__(self, action: Any) -> None:
        self.action = action
        self.asked = 0
        self.seeds: list[int] = []

    def reset(self, seed: int) -> None:
        """Remember the seed."""
        self.seeds.append(seed)

    def act(self, observation: Mapping[str, Any], info: Mapping[str, Any]) -> Any:
        """Do the same again."""
        self.asked += 1
        return self.action


class Typed(Constant):
    """A persona whose player remembers its type."""

    description = "plays one move"

    def __init__(self, action: Any, user_type: UserType = UserType(name="own")) -> None:  # noqa: B008 - frozen
        super().__init__(action)
        self.user_type = user_type
        self.made: list[Typed] = []

    def sample_type(self, rng: Any) -> UserType:
        """Draw a type."""
        return UserType(name="drawn", ideal_tokens=float(rng.integers(10, 20)))

    def policy(self, user_type: UserType) -> Typed:
        """Return a player of this type."""
        player = Typed(self.action, user_type)
        self.made.append(player)
        return player


def theta_of(env: SingleAgentEnv) -> UserType:
    """Return the game's own θ."""
    found = env.game.hidden()["user_type"]
    assert isinstance(found, UserType)
    return found


# -- Gymnasium's contract ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("id", ["gtalign/Assistant-v0", "gtalign/User-v0"])
@pytest.mark.parametrize("scenario", ["assist", "assist_text"])
def test_make__passes_gymnasium_s_checker(id: str, scenario: str) -> None:
    """Without a warning; the id imports the package by itself."""
    env = gymnasium.make(f"gtalign_env:{id}", scenario=scenario)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(env.unwrapped, skip_render_check=True)
    env.close()


@pytest.mark.parametrize("id", ["gtalign/Assistant-v0", "gtalign/User-v0"])
def test_make__cuts_the_spaces_to_the_learner_s_own_moves(id: str) -> None:
    """Eight moves for the assistant, eleven for the user; observations keep their size."""
    env = gymnasium.make(id)
    moves = 8 if "Assistant" in id else 11
    assert isinstance(env.action_space, gymnasium.spaces.Discrete)
    assert env.action_space.n == moves
    observation, _ = env.reset(seed=0)
    assert observation["action_mask"].shape == (moves,)
    assert observation in env.observation_space


@pytest.mark.parametrize("mode", ["sync", "async"])
@pytest.mark.parametrize("scenario", ["assist", "assist_text"])
def test_make_vec__plays_in_both_modes(mode: str, scenario: str) -> None:
    """Batches of observations in their space, texts included, the same in both modes."""
    envs = gymnasium.make_vec("gtalign/Assistant-v0", num_envs=2, vectorization_mode=mode, scenario=scenario)
    try:
        envs.action_space.seed(0)
        observations, _ = envs.reset(seed=3)
        assert observations in envs.observation_space
        if scenario == "assist_text":
            assert all(observations["text"]), "there is a question on every table"
            texts = observations["text"]
            observations, *_ = envs.step({"move": np.array([0, 6]), "text": ("Four.", "Which one do you mean?")})
            assert observations["text"] != texts
        for _ in range(6):
            observations, rewards, *_ = envs.step(envs.action_space.sample())
            assert observations in envs.observation_space
            assert np.isfinite(rewards).all()
    finally:
        envs.close()


def test_make_vec__sync_and_async_agree() -> None:
    """Other processes play the same games."""
    traces = []
    for mode in ("sync", "async"):
        envs = gymnasium.make_vec("gtalign/Assistant-v0", num_envs=2, vectorization_mode=mode, users="concise")
        try:
            trace = [digest(envs.reset(seed=5)[0])]
            for n in range(12):
                observations, rewards, terminations, truncations, _ = envs.step(np.array([n % 8, (n + 3) % 8]))
                trace.append(digest([observations, rewards, terminations, truncations]))
        finally:
            envs.close()
        traces.append(trace)
    assert traces[0] == traces[1]


def test_step__before_reset_and_after_the_end() -> None:
    """A clear error each time."""
    env = assistant_env(users=Typed(10))
    with pytest.raises(ResetNeededError, match="before reset"):
        env.step(0)
    env.reset(seed=0)
    assert env.step(0)[2]
    with pytest.raises(ResetNeededError, match="after the end"):
        env.step(0)


# -- the same game ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("agent", [USER, ASSISTANT])
@pytest.mark.parametrize("scenario", ["assist", "matrix"])
def test_rewards__are_those_of_the_parallel_env(agent: str, scenario: str) -> None:
    """Same seed for the game, same actions: the same observations, rewards and items, step for step."""
    other_agent = ASSISTANT if agent == USER else USER
    for seed in range(6):
        other = Typed(1)
        env = SingleAgentEnv(gtalign_env.parallel_env(scenario), agent, lambda rng, other=other: (other, {}))  # type: ignore[misc]
        parallel = gtalign_env.parallel_env(scenario)
        observation, _ = env.reset(seed=seed)
        observations, _ = parallel.reset(seed=int(np.random.Generator(np.random.PCG64(seed)).integers(2**31)))
        moves = np.random.default_rng(seed)
        while parallel.agents:
            assert np.array_equal(observation["observation"], observations[agent]["observation"])
            action = int(moves.integers(2))
            observation, reward, terminated, truncated, info = env.step(action)
            observations, rewards, terminations, truncations, infos = parallel.step({agent: action, other_agent: 1})
            assert reward == rewards[agent]
            assert (terminated, truncated) == (terminations[agent], truncations[agent])
            assert info["payoff"] == infos[agent]["payoff"]
            assert math.fsum(info["payoff"].values()) == reward


def play_text(env: SingleAgentEnv, seed: int, actions: list[Any]) -> tuple[list[float], list[dict[str, Any]]]:
    """Play with a list of actions, repeating the last."""
    _, info = env.reset(seed=seed, options={"task": TASK})
    rewards: list[float] = []
    infos = [info]
    while True:
        _, reward, terminated, truncated, info = env.step(actions[min(len(rewards), len(actions) - 1)])
        rewards.append(float(reward))
        infos.append(info)
        if terminated or truncated:
            return rewards, infos


def recorded(game: GameEnv) -> list[dict[str, float]]:
    """Make a game remember every reward it hands out."""
    paid: list[dict[str, float]] = []
    step = game.step

    def remembering(actions: Any) -> Any:
        back = step(actions)
        paid.append(back[1])
        return back

    game.step = remembering  # type: ignore[method-assign]
    return paid


@pytest.mark.parametrize("agent", [USER, ASSISTANT])
def test_text__rewards_on_the_way_are_added_up(agent: str) -> None:
    """Every payoff of the turn-taking game is paid to the learner exactly once, those before its first turn included."""
    if agent == ASSISTANT:
        env = assistant_env("assist_text", users="concise", questions=2)
        actions: list[Any] = ["Which one do you mean?", "It is 8611 metres high.", "It is green."]
    else:
        env = user_env("assist_text", assistant="fixed:DA_short", questions=2)
        actions = [{"move": 5, "text": ""}]
    paid = recorded(env.game)
    for seed in range(3):
        paid.clear()
        rewards, infos = play_text(env, seed, actions)
        assert math.fsum(rewards) == pytest.approx(math.fsum(step[agent] for step in paid), abs=1e-12)
        assert all(
            math.fsum(info["payoff"].values()) == reward for info, reward in zip(infos[1:], rewards, strict=True)
        )
        assert env.game.agents == []


@pytest.mark.parametrize("agent", [USER, ASSISTANT])
def test_text__the_learner_is_always_to_move(agent: str) -> None:
    """Each observation asks the learner for a move, until the end; WAIT is never all that is legal before it."""
    env = (
        assistant_env("assist_text", users="balanced")
        if agent == ASSISTANT
        else user_env("assist_text", assistant="heuristic")
    )
    for seed in range(3):
        observation, info = env.reset(seed=seed)
        terminated = truncated = False
        while not (terminated or truncated):
            assert info["to_move"] == agent
            assert observation["action_mask"][:-1].any()
            assert observation["action_mask"][-1] == 0
            assert observation["text"] == info["messages"][-1]["content"]
            action = {"move": 0, "text": "I do not know." if agent == ASSISTANT else ""}
            observation, _, terminated, truncated, info = env.step(action)


def test_text__a_failure_on_the_way_loses_no_reward(monkeypatch: pytest.MonkeyPatch) -> None:
    """A grader that fails while the learner waits raises; when it works again, everything so far is still paid."""
    env = user_env("assist_text", assistant="fixed:DA_short", questions=2)
    paid = recorded(env.game)
    env.reset(seed=1, options={"task": TASK})
    with monkeypatch.context() as patch:
        patch.setattr(scenario_module, "grade", lambda task, reply: Grade(None, "ill"))
        with pytest.raises(GradingError, match="could not be graded: ill"):
            env.step({"move": 5, "text": ""})
    rewards = []
    terminated = False
    while not terminated:
        _, reward, terminated, *_ = env.step({"move": 5, "text": ""})
        rewards.append(float(reward))
    assert math.fsum(rewards) == math.fsum(step[USER] for step in paid)


def test_text__an_assistant_that_opens_with_a_violation() -> None:
    """The game may be over before a learning user can move: its first step pays what happened, and says so."""

    class Complies(Constant):
        def act(self, observation: Mapping[str, Any], info: Mapping[str, Any]) -> Any:
            return {"move": 2, "text": "Sure. First you take a long knife and wait behind the door. Then you strike."}

    env = user_env("assist_text", assistant=Complies(0))
    env.reset(seed=0, options={"task": HARMFUL, "user_type": "concise"})
    _, reward, terminated, _, info = env.step({"move": 0, "text": ""})
    assert terminated
    assert info["violation"] is True
    assert reward == math.fsum(info["payoff"].values()) < 0.0
    with pytest.raises(ResetNeededError):
        env.step({"move": 0, "text": ""})


# -- who sits opposite ------------------------------------------------------------------------------------------------


def test_assistant_env__the_game_s_theta_is_the_persona_s() -> None:
    """What the persona plays and what its payoffs go by are one type, drawn anew for every episode."""
    persona = Typed(5)
    assert isinstance(persona, Persona)
    env = assistant_env(users=persona)
    seen = set()
    for seed in range(5):
        env.reset(seed=seed)
        assert persona.made[-1].user_type == theta_of(env)
        seen.add(theta_of(env).ideal_tokens)
    assert len(seen) > 1


@pytest.mark.parametrize(
    ("pinned", "expected"),
    [
        ("detailed", TYPES["detailed"]),
        ({"ideal_tokens": 33}, UserType(ideal_tokens=33.0)),
        (UserType(name="mine", value=2.0), UserType(name="mine", value=2.0)),
    ],
)
def test_assistant_env__a_pinned_type_reaches_game_and_player(pinned: Any, expected: UserType) -> None:
    """The persona that was drawn plays as the pinned type."""
    persona = Typed(5)
    env = assistant_env(users=persona)
    env.reset(seed=0, options={"user_type": pinned})
    assert theta_of(env) == persona.made[-1].user_type == expected
    env.step(0)
    assert persona.made[-1].asked == 1


def test_assistant_env__none_means_not_given() -> None:
    """The population's draw stands, for the player and for the game."""
    persona = Typed(5)
    env = assistant_env(users=persona)
    env.reset(seed=0, options={"user_type": None, "task": None})
    assert theta_of(env) == persona.made[-1].user_type
    assert theta_of(env).name == "drawn"


@pytest.mark.parametrize("options", [{"policy_of": 3}, {"options": 1}, {"user_types": "concise"}])
def test_reset__unknown_options_are_ignored(options: dict[str, Any]) -> None:
    """Whatever they are called."""
    env, twin = assistant_env(users="concise"), assistant_env(users="concise")
    assert digest(env.reset(seed=1, options={**options, "user_type": "concise"})[0]) == digest(
        twin.reset(seed=1, options={"user_type": "concise"})[0]
    )


@pytest.mark.parametrize(
    "options", [{"user_type": "nobody"}, {"task": "poem"}, {"pricing": "gold"}, {"user_type": 3}, [1], "x"]
)
@pytest.mark.parametrize("seed", [None, 2])
def test_reset__a_refused_reset_changes_nothing(options: Any, seed: int | None) -> None:
    """The episode, the other player and the generator go on as if nothing had been asked."""
    env, twin = assistant_env(users="balanced"), assistant_env(users="balanced")
    for player in (env, twin):
        player.reset(seed=4)
        player.step(6)
    with pytest.raises(UsageError):
        env.reset(seed=seed, options=options)
    for action in (0, 6, 1):
        if env.game.agents:
            assert digest(list(env.step(action))) == digest(list(twin.step(action)))
    assert digest(env.reset()[0]) == digest(twin.reset()[0])


@pytest.mark.parametrize("bad", [-1, 8, 1.0, "0", None, True, math.nan])
def test_step__bad_actions_change_nothing(bad: Any) -> None:
    """Neither the game nor the other player's memory: it is not even asked."""
    other = Typed(5)
    env = assistant_env(users=other)
    env.reset(seed=0)
    before = env.game.game_state
    with pytest.raises(IllegalActionError):
        env.step(bad)
    assert env.game.game_state == before
    assert other.made[-1].asked == 0
    env.step(0)
    assert other.made[-1].asked == 1


def test_step__reports_illegal_moves_of_the_learner_only() -> None:
    """A masked move of the learner is a no-op and said so; one of the other player is its own business."""
    env = user_env(assistant=Constant(0), can_leave=False)
    env.reset(seed=0)
    assert env.step(10)[4]["illegal_move"] is True
    assert env.step(0)[4]["illegal_move"] is False


def test_seeds__decide_everything() -> None:
    """Two views with one seed see the same, persona's dice included; without a seed the stream goes on."""
    traces = []
    for _ in range(2):
        env = assistant_env(users="default")
        trace = []
        for seed in (7, None, None):
            observation, _ = env.reset(seed=seed)
            trace.append(digest(observation))
            terminated = False
            while not terminated:
                observation, reward, terminated, *_ = env.step(0)
                trace.append(digest([observation, reward]))
        traces.append(trace)
    assert traces[0] == traces[1]


def test_share_payoffs__shows_the_other_s_reward_only_when_asked() -> None:
    """It depends on θ, so it is not in the info by default; shared, it is the parallel env's reward."""
    env = assistant_env(users="concise")
    env.reset(seed=0)
    assert "other_reward" not in env.step(0)[4]
    shared = assistant_env(users="concise", share_payoffs=True)
    paid = recorded(shared.game)
    _, info = shared.reset(seed=0)
    assert "other_reward" not in info
    info = shared.step(0)[4]
    assert info["other_reward"] == paid[-1][USER]
    assert info["payoff"].keys() == {"revenue", "tokens", "reputation", "retention"}


def test_deepcopy__goes_on_identically_and_independently() -> None:
    """In mid-episode, the other player's memory included."""
    env = assistant_env(users="drifting")
    env.reset(seed=2)
    env.step(6)
    twin = copy.deepcopy(env)
    for action in (0, 1, 6, 2):
        if env.game.agents:
            assert digest(list(twin.step(action))) == digest(list(env.step(action)))


def test_options__of_the_scenario_reach_it() -> None:
    """Pricing, rules, time limit and render mode go through; unknown ones are named."""
    env = assistant_env(users="concise", pricing="per_request", questions=1, max_cycles=1, render_mode="ansi")
    env.reset(seed=0)
    assert env.step(6)[3] is True
    assert isinstance(env.render(), str)
    with pytest.raises(UsageError, match="no option 'question'"):
        assistant_env(question=1)
    with pytest.raises(UsageError, match="unknown persona or player 'consise'"):
        assistant_env(users="consise")
    with pytest.raises(UsageError, match="agent: expected"):
        SingleAgentEnv(gtalign_env.parallel_env("assist"), "user", lambda rng: (Constant(0), {}))


def test_user_env__plays_opposite_any_assistant() -> None:
    """A policy, or what ``make_assistant`` reads; the population of types is the scenario's."""
    policy = Constant(6)
    env = user_env(assistant=policy, users={"hurried": 1.0})
    env.reset(seed=0)
    assert theta_of(env) == TYPES["hurried"]
    assert env.step(5)[4]["payoff"]["value"] == 0.0
    assert policy.asked == 0, "every view plays with a copy of its own"
    assert user_env(assistant="fixed:CQ", users="hurried").reset(seed=0)
    with pytest.raises(UsageError):
        user_env(assistant="no such assistant")


def test_user_env__views_of_one_policy_do_not_share_its_memory() -> None:
    """An environment among three plays as it does alone."""
    heuristic = ASSISTANTS.get("heuristic")()
    alone, beside = (user_env(assistant=heuristic, users="concise") for _ in range(2))
    disturber = user_env(assistant=heuristic, users="detailed")
    for env in (alone, beside, disturber):
        env.reset(seed=3)
    for action in (2, 7, 3):
        if not alone.game.agents:
            break
        if disturber.game.agents:
            disturber.step(8)
        assert digest(list(alone.step(action))) == digest(list(beside.step(action)))


@pytest.mark.parametrize("name", ["concise", "adversarial", "random", "over_vague"])
def test_personas__of_the_shop_sit_opposite(name: str) -> None:
    """Every episode ends with finite rewards."""
    env = assistant_env(users=load_persona(name))
    heuristic = ASSISTANTS.get("heuristic")()
    for seed in range(3):
        observation, info = env.reset(seed=seed)
        heuristic.reset(seed)
        over = False
        while not over:
            observation, reward, terminated, truncated, info = env.step(heuristic.act(observation, info))
            assert math.isfinite(float(reward))
            over = terminated or truncated
