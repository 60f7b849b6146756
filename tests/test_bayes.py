"""The player of the optimum: what it has in the environment is what was computed, and nothing unforeseen stops it."""

from __future__ import annotations

import copy
import functools
import math
import pickle
from typing import Any

import numpy as np
import pytest

import gtalign_env
from gtalign_env.agents.assistants import BayesAssistant, make_assistant
from gtalign_env.agents.users import load_persona, population
from gtalign_env.errors import UsageError
from gtalign_env.play import play_episode, play_many
from gtalign_env.registration import make_scenario
from gtalign_env.types import ASSISTANT_MOVES, USER_MOVES


@functools.cache
def seated(questions: int = 2, settings: str = "") -> BayesAssistant:
    """Return the assistant, sitting at a session."""
    assistant = BayesAssistant(settings, cache=False)
    assistant.sit(make_scenario("assist", questions=questions), "assistant")
    return assistant


def played(assistant: BayesAssistant, users: Any, episodes: int, **options: Any) -> np.ndarray:
    """Return both totals of sessions in the environment, shape (episodes, 2)."""
    env = gtalign_env.parallel_env("assist", **options)
    return np.array(
        [
            [sum(step.user.payoff for step in one.steps), sum(step.assistant.payoff for step in one.steps)]
            for one in play_many(env, users, assistant, episodes=episodes, seed=7)
        ]
    )


def agrees(assistant: BayesAssistant, totals: np.ndarray) -> None:
    """Check that means lie within 4 standard errors of what was computed."""
    assert assistant.optimum is not None
    errors = totals.std(axis=0, ddof=1) / math.sqrt(len(totals))
    expected = np.array([assistant.optimum.user, assistant.optimum.assistant])
    assert np.all(np.abs(totals.mean(axis=0) - expected) < 4 * errors)


def test_bayes__has_in_play_what_was_computed() -> None:
    """Against the real personas in the real environment, the mean payoffs are those of the optimum."""
    agrees(seated(), played(seated(), population(), 1500, questions=2))


def test_bayes__plays_the_optimum_of_single_sessions() -> None:
    """With ``esr`` it plays the policy whose mean welfare of sessions was computed, not the one for mean payoffs."""
    rules: dict[str, Any] = {"questions": 1, "max_exchanges": 2, "pricing": "per_token"}
    users = "concise,detailed,hurried"
    assistant = BayesAssistant(f"users={users},objective=egalitarian,aggregation=esr", cache=False)
    assistant.sit(make_scenario("assist", **rules), "assistant")
    assert assistant.optimum is not None
    assert assistant.optimum.exact
    totals = played(assistant, population(users), 1500, **rules)
    agrees(assistant, totals)
    worth = totals.min(axis=1)
    assert abs(worth.mean() - assistant.optimum.value) < 4 * worth.std(ddof=1) / math.sqrt(len(worth))


@pytest.mark.slow
def test_bayes__has_in_play_what_was_computed__default() -> None:
    """The same for the registered session, 20,000 times."""
    assistant = seated(4)
    agrees(assistant, played(assistant, population(), 20_000))


def test_bayes__mixes_two_policies_by_their_shares() -> None:
    """Where the best means are a mixture, each session draws one policy, and the means are the mixture's."""
    assistant = copy.deepcopy(seated(1, "users=detailed"))
    alone = seated(1, "users=detailed,objective=linear:weight=1").optimum
    other = seated(1, "users=detailed,objective=linear:weight=0").optimum
    assert assistant.optimum is not None
    assert alone is not None
    assert other is not None
    policies = ((0.7, alone.policies[0][1]), (0.3, other.policies[0][1]))
    first = [1 if assistant._drawn(_with(assistant, policies)) is other.policies[0][1] else 0 for _ in range(4000)]
    assert abs(np.mean(first) - 0.3) < 4 * math.sqrt(0.21 / 4000)


def _with(assistant: BayesAssistant, policies: Any) -> Any:
    import dataclasses

    assert assistant.optimum is not None
    return dataclasses.replace(assistant.optimum, policies=policies)


def test_bayes__needs_no_more_than_its_observation() -> None:
    """Given its own observations alone, in any slot of a batch, it makes the same moves as in the game."""
    assistant = seated()
    env = gtalign_env.parallel_env("assist", questions=2)
    watcher = copy.deepcopy(assistant)
    watcher.reset(0)
    episodes = []
    for seed in (3, 4):
        user = load_persona("concise").policy(load_persona("concise").sample_type(np.random.default_rng(0)))
        observations, infos = env.reset(seed=seed)
        user.reset(seed)
        assistant.reset(seed)
        seen = []
        while env.agents:
            actions = {
                "user_0": user.act(observations["user_0"], infos["user_0"]),
                "assistant_0": assistant.act(observations["assistant_0"], infos["assistant_0"]),
            }
            seen.append((observations["assistant_0"], actions["assistant_0"]))
            observations, _, _, _, infos = env.step(actions)
        episodes.append(seen)
    for pair in zip(*episodes, strict=False):
        assert watcher.act_batch([seen for seen, _ in pair], [{}, {}]) == [move for _, move in pair]


@pytest.mark.parametrize("users", ["adversarial", "over_vague", "random", "expert"])
def test_bayes__strangers_do_not_stop_it(users: str) -> None:
    """Users outside its population may do what it holds for impossible; it goes on, and declines harm."""
    assistant = seated(2, "users=concise")
    env = gtalign_env.parallel_env("assist", questions=2)
    for seed in range(30):
        episode = play_episode(env, load_persona(users), assistant, seed=seed)
        assert episode.ended != "error"
        assert not episode.violation
        assert not any(step.assistant.illegal for step in episode.steps)


def test_bayes__declines_harm_in_the_opening() -> None:
    """A harmful request is declined, whatever else is maximised."""
    for settings in ("", "objective=linear:weight=1"):
        env = gtalign_env.parallel_env("assist", questions=2)
        observations, infos = env.reset(seed=0, options={"task": "harmful"})
        assistant = seated(2, settings)
        assistant.reset(0)
        assert ASSISTANT_MOVES[assistant.act(observations["assistant_0"], infos["assistant_0"])].act == "DECLINE"


def test_bayes__declines_harm_wherever_strangers_lead_it() -> None:
    """Solved for experts, who ask clearly, it meets people who are vague about harm as well, and never complies."""
    env = gtalign_env.parallel_env("assist", questions=2)
    assistant = BayesAssistant(users="expert", cache=False)
    episodes = list(play_many(env, population("concise"), assistant, episodes=300, seed=0))
    steps = [step for episode in episodes for step in episode.steps]
    asked = [step for step in steps if step.public["kind"] == "harmful" and step.public["clarity"] == "vague"]
    assert len(asked) > 5
    assert not any(episode.violation for episode in episodes)


def test_bayes__copies_share_the_solution() -> None:
    """A copy plays on by itself, with the same solution; a pickled one too."""
    assistant = seated()
    env = gtalign_env.parallel_env("assist", questions=2)
    observations, infos = env.reset(seed=1)
    assistant.reset(0)
    first = assistant.act(observations["assistant_0"], infos["assistant_0"])
    observations, *_, infos = env.step({"user_0": USER_MOVES.index(USER_MOVES[1]), "assistant_0": first})
    other = copy.deepcopy(assistant)
    assert other.optimum is assistant.optimum
    again = pickle.loads(pickle.dumps(assistant))
    moves = [one.act(observations["assistant_0"], infos["assistant_0"]) for one in (assistant, other, again)]
    assert len(set(moves)) == 1


def test_bayes__by_name(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """``make_assistant`` knows it, with settings behind a colon; commas in a mix stay with the mix."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    made = make_assistant("bayes:objective=ces:rho=-1,users=concise=2,hurried,tolerance=1e-4")
    assert isinstance(made, BayesAssistant)
    assert made.name == "bayes:objective=ces:rho=-1,users=concise=2,hurried,tolerance=1e-4"
    scenario = make_scenario("assist", questions=1)
    made.sit(scenario, "assistant")
    assert made.optimum is not None
    assert made.optimum.kinds == ("concise", "hurried")
    assert made.optimum.objective.startswith("ces")
    before = made.optimum
    made.sit(scenario, "assistant")
    assert made.optimum is before
    assert make_assistant("bayes").name == "bayes"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("nonsense", "expected settings such as"),
        ("objective=egalitarian,objective=utilitarian", "given twice"),
        ("tolerance=small", "expected a number for 'tolerance'"),
    ],
)
def test_bayes__settings_are_checked(settings: str, message: str) -> None:
    """What cannot be read is refused in words."""
    with pytest.raises(UsageError, match=message):
        BayesAssistant(settings)


def test_bayes__plays_one_chair_of_compiled_games() -> None:
    """It refuses the user's chair, the text view, and to play before it has sat down."""
    assistant = BayesAssistant(cache=False)
    env = gtalign_env.parallel_env("assist")
    observations, infos = env.reset(seed=0)
    with pytest.raises(UsageError, match="has not sat down"):
        assistant.act(observations["assistant_0"], infos["assistant_0"])
    with pytest.raises(UsageError, match="plays the assistant, not the user"):
        assistant.sit(env.scenario, "user")
    with pytest.raises(UsageError, match="people speak in turns and in words"):
        assistant.sit(make_scenario("assist_text"), "assistant")
    assert repr(assistant) == "<BayesAssistant 'bayes'>"


def test_bayes__a_game_of_another_kind() -> None:
    """In a repeated matrix game it plays the best reply to who is expected there."""
    assistant = BayesAssistant("users=random,objective=linear:weight=0", cache=False)
    env = gtalign_env.parallel_env("prisoners_dilemma", rounds=3)
    assistant.sit(env.scenario, "assistant")
    episode = play_episode(env, load_persona("random"), assistant, seed=0)
    assert {step.assistant.move for step in episode.steps} == {"defect"}
