"""Our games in verifiers (and prime-rl, which trains on its environments): a taskset, and the environment that plays it.

verifiers finds both by the name of a module that can be imported from the top (``examples/gtalign_games.py`` is one):

    PYTHONPATH=examples eval gtalign-games --env.taskset.users concise,detailed --env.taskset.objective ces:rho=-1

The user is a persona of ours, with its own payoff; the assistant is verifiers' agent, whose trace gets the welfare of the game as
its reward and both payoffs as metrics. Written for verifiers 0.4 (``verifiers.v1``). What is lost against ``gtalign train llm``:
one number for a game, and the assistant replies at once (no chain). A game that fails raises, which is a failed episode there,
never a reward of 0.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Iterator, Mapping
from typing import Any

from gtalign_env.agents.assistants.llm import SYSTEM_PROMPT
from gtalign_env.agents.users import population
from gtalign_env.env import parallel_env
from gtalign_env.errors import ModelError, require
from gtalign_env.play import episode_seeds, play_episode
from gtalign_env.training.adapters.rows import fair_totals
from gtalign_env.training.objectives import make_objective
from gtalign_env.types import ASSISTANT

__all__ = ["Relay", "play"]

_NAMES = ("GtalignEnv", "GtalignTaskset")


def __getattr__(name: str) -> Any:
    """Make the classes when they are asked for: they need verifiers."""
    if name in _NAMES:
        return _classes()[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


class Relay:
    """The assistant of a game that is played in a thread, whose words come from a conversation in an event loop.

    Args:
        turn: Hands over what the user said, and returns a segment with ``last_reply`` and ``terminated``.
        loop: Where that runs.
    """

    name = "verifiers"

    def __init__(self, turn: Any, loop: asyncio.AbstractEventLoop) -> None:
        self._turn, self._loop = turn, loop
        self.last_call: dict[str, Any] = {}

    def reset(self, seed: int) -> None:
        """Begin a game."""

    def act(self, observation: Mapping[str, Any], info: Mapping[str, Any]) -> str:
        """Return the agent's reply to what the user said last.

        Raises:
            ModelError: The agent has ended the conversation.
        """
        if info.get("to_move", ASSISTANT) != ASSISTANT:
            return ""
        said = str(info["messages"][-1]["content"])
        segment = asyncio.run_coroutine_threadsafe(self._turn(said), self._loop).result()
        if segment.terminated:
            raise ModelError("the agent ended the conversation: it ran into a limit, or its engine failed")
        return str(segment.last_reply)


async def play(chat: Any, *, seed: int, settings: Mapping[str, Any]) -> dict[str, float]:
    """Play a game with an open conversation, and note what it paid on the conversation's trace.

    Args:
        chat: verifiers' interaction: ``turn(text)`` and ``trace``.
        seed: Of the game.
        settings: ``scenario``, ``tasks``, ``users``, ``pricing`` and ``objective``.

    Returns:
        ``welfare``, ``user`` and ``assistant``.

    Raises:
        ModelError: The game failed.
    """
    options = {name: settings[name] for name in ("tasks", "pricing") if settings.get(name)}
    relay = Relay(chat.turn, asyncio.get_running_loop())
    env, users = parallel_env(settings["scenario"], **options), population(settings["users"])
    episode = await asyncio.to_thread(play_episode, env, users, relay, seed=seed)
    totals = fair_totals(episode)
    if totals is None:
        raise ModelError(f"the game with seed {seed} failed: {episode.error.get('message', '')}")
    user, assistant = totals
    paid = {"welfare": float(make_objective(settings["objective"]).value(user, assistant))}
    chat.trace.record_reward("welfare", paid["welfare"])
    for name, value in (("user", user), ("assistant", assistant)):
        paid[name] = value
        chat.trace.record_metric(f"{name}_payoff", value)
    return paid


@functools.cache
def _classes() -> dict[str, Any]:
    """Return taskset and environment.

    Raises:
        MissingExtraError: verifiers is not installed.
    """
    vf: Any = require("verifiers.v1", feature="the adapter for verifiers", extra="verifiers")

    class GtalignConfig(vf.TasksetConfig):  # type: ignore[misc]
        """Which games."""

        scenario: str = "gtalign/AssistText-v0"
        tasks: str = "small:train"
        users: str = "default"
        pricing: str = ""
        objective: str = "cobb_douglas"
        games: int = 1000
        seed: int = 0

    class GtalignTask(vf.Task[vf.TaskData, vf.State, vf.TaskConfig]):  # type: ignore[misc]
        """One game: its seed is its name."""

    class GtalignTaskset(vf.Taskset[GtalignTask, GtalignConfig]):  # type: ignore[misc]
        """Games by seed: task, user and all that the user does follow from it."""

        def load(self) -> Iterator[Any]:
            """Yield the games."""
            for seed in episode_seeds(self.config.seed, self.config.games):
                yield GtalignTask(vf.TaskData(name=f"game {seed}", prompt=None, system_prompt=SYSTEM_PROMPT))

    fields = {"__annotations__": {"assistant": vf.AgentConfig}, "assistant": vf.AgentConfig(), "__module__": __name__}
    config = type("GtalignEnvConfig", (vf.EnvConfig,), fields)

    class GtalignEnv(vf.Env[config]):  # type: ignore[misc]
        """Plays a game between a persona of ours and the agent."""

        async def run(self, task: Any, agents: Any) -> None:
            """Play one game."""
            settings = self.config.taskset.model_dump()
            async with agents.assistant.interaction(task) as chat:
                await play(chat, seed=int(task.data.name.removeprefix("game ")), settings=settings)

    for made in (GtalignTaskset, GtalignEnv):
        made.__module__, made.__qualname__ = __name__, made.__name__
    return {"GtalignEnv": GtalignEnv, "GtalignTaskset": GtalignTaskset}
