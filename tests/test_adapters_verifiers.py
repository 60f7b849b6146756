"""The adapter for verifiers: a game against a stand-in for its conversation, and its real classes where it is installed."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gtalign_env.errors import MissingExtraError, ModelError
from gtalign_env.training.adapters import verifiers as adapter

SETTINGS = {
    "scenario": "gtalign/AssistText-v0",
    "tasks": "authored:facts",
    "users": "concise",
    "pricing": "",
    "objective": "linear:0.25",
}


class Chat:
    """What verifiers hands to an environment: a conversation that answers, and a trace that takes notes."""

    def __init__(self, *, ends: bool = False) -> None:
        self.said: list[str] = []
        self.rewards: dict[str, float] = {}
        self.metrics: dict[str, float] = {}
        self.ends = ends
        self.trace = SimpleNamespace(
            record_reward=lambda name, value: self.rewards.update({name: value}),
            record_metric=lambda name, value: self.metrics.update({name: value}),
        )

    async def turn(self, message: str) -> Any:
        """Answer."""
        self.said.append(message)
        await asyncio.sleep(0)
        return SimpleNamespace(last_reply="Which one do you mean?", terminated=self.ends)


def test_play__a_game_ends_in_a_reward_and_both_payoffs() -> None:
    """The user's words reach the agent, and the trace has the welfare of both payoffs, which are beside it."""
    chat = Chat()
    paid = asyncio.run(adapter.play(chat, seed=5, settings=SETTINGS))
    assert chat.said
    assert all(chat.said)
    assert chat.metrics == {"user_payoff": paid["user"], "assistant_payoff": paid["assistant"]}
    assert chat.rewards == {"welfare": pytest.approx(0.25 * paid["user"] + 0.75 * paid["assistant"])}
    again = Chat()
    assert asyncio.run(adapter.play(again, seed=5, settings=SETTINGS)) == paid
    assert again.said == chat.said


def test_play__a_conversation_that_breaks_off_is_no_reward() -> None:
    """An agent that ran into a limit makes a failed episode, not one with a score."""
    chat = Chat(ends=True)
    with pytest.raises(ModelError, match=r"seed 5 failed.*ended the conversation"):
        asyncio.run(adapter.play(chat, seed=5, settings=SETTINGS))
    assert not chat.rewards


def test_classes__are_made_when_they_are_asked_for() -> None:
    """Without verifiers the module can be imported, and the classes say what is missing."""
    if importlib.util.find_spec("verifiers") is not None:
        pytest.skip("verifiers is installed")
    with pytest.raises(MissingExtraError, match="verifiers"):
        adapter.GtalignEnv  # noqa: B018
    with pytest.raises(AttributeError, match="no attribute 'Fame'"):
        adapter.Fame  # noqa: B018


@pytest.mark.plugs
def test_verifiers__loads_and_plays_our_games(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its loaders find taskset and environment by the example's name; a task of it is a game, played with its environment."""
    if importlib.util.find_spec("verifiers") is None:
        pytest.skip("verifiers is not installed: pip install verifiers")
    from verifiers.v1.utils import loaders

    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "examples"))
    monkeypatch.delitem(sys.modules, "gtalign_games", raising=False)
    kind = loaders.environment_class("gtalign-games")
    assert kind is adapter.GtalignEnv
    given = {"id": "gtalign-games", "tasks": "authored:facts", "users": "concise", "games": 3}
    config_cls = loaders.env_config_type("gtalign-games") if hasattr(loaders, "env_config_type") else _config_of(kind)
    env = kind(config_cls.model_validate({"taskset": given}))
    tasks = list(env.taskset)
    assert len({task.data.name for task in tasks}) == 3
    chat = Chat()

    @contextlib.asynccontextmanager
    async def interaction(task: Any) -> AsyncIterator[Chat]:
        yield chat

    asyncio.run(env.run(tasks[0], SimpleNamespace(assistant=SimpleNamespace(interaction=interaction))))
    assert set(chat.rewards) == {"welfare"}


def _config_of(kind: Any) -> Any:
    from verifiers.v1.configs.env import EnvConfig
    from verifiers.v1.env import Env
    from verifiers.v1.utils.generic import concrete_type

    return concrete_type(kind, EnvConfig, origin=Env)
