"""Games on many machines: a room whose tables are Ray actors, each with environments, users and engine clients of its own.

What travels is small: seeds go out, records come back. The model is where the engines are, so the assistants of all actors ask
servers (``ServerSampler``), or engines of their own for tests. In place of ``rollout.Room``, with which it shares ``play``:

    room = RayRoom(
        workers=16, tasks="small:train", backend="openai:MODEL",
        backend_options={"base_url": "http://head:8000/v1", "dialect": "vllm"}, settings={"mode": "solver"},
    )
    groups = play_groups(room, seeds, 8)

An actor that dies (a machine that goes away) is no game of 0: its games come back as failures with the reason, which
``play_groups`` plays again, and the actor is begun anew.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gtalign_env.episode import Episode
from gtalign_env.errors import UsageError, require
from gtalign_env.training.llm.rollout import Job, Room

__all__ = ["RayRoom", "Table"]


class Table:
    """What one actor does: plays games as they come.

    Args:
        scenario: A game in words.
        options: Of the scenario.
        users: The population.
        backend: The engine, as ``make_backend`` takes it.
        backend_options: Of the engine.
        settings: Of ``ChainAssistant``.
        temperature: Of sampling.
        games: Games at once.

    Example:
        >>> table = Table(options={"tasks": "authored:facts"}, backend="fake:chain")
        >>> [episode.seed for episode in table.play([Job(seed=3), Job(seed=4)])]
        [3, 4]
    """

    def __init__(
        self,
        *,
        scenario: str = "gtalign/AssistText-v0",
        options: Mapping[str, Any] | None = None,
        users: str = "default",
        backend: str,
        backend_options: Mapping[str, Any] | None = None,
        settings: Mapping[str, Any] | None = None,
        temperature: float = 1.0,
        games: int = 64,
    ) -> None:
        from gtalign_env.agents.backends import make_backend
        from gtalign_env.agents.chain import ChainAssistant
        from gtalign_env.agents.users import population
        from gtalign_env.env import parallel_env
        from gtalign_env.protocols import Sampling

        engine = make_backend(backend, **(backend_options or {}))
        assistant = ChainAssistant(engine, sampling=Sampling(temperature=temperature), **(settings or {}))
        self._room = Room(lambda: parallel_env(scenario, **(options or {})), population(users), assistant, games=games)
        self.assistant = assistant

    def play(self, jobs: Sequence[Job]) -> list[Episode]:
        """Play games, and return their records in order."""
        return self._room.play(jobs)


class RayRoom:
    """Plays games on Ray actors, wherever Ray has put them.

    Args:
        workers: Actors.
        cpus: Processor cores of each.
        tasks: Where the questions come from; an option of the scenario.
        **table: Of ``Table``.

    Raises:
        MissingExtraError: Ray is not installed.
        UsageError: ``workers`` is no number >= 1.
    """

    def __init__(self, *, workers: int = 4, cpus: float = 1.0, tasks: str = "", **table: Any) -> None:
        if isinstance(workers, bool) or not isinstance(workers, int) or workers < 1:
            raise UsageError(f"RayRoom workers: expected an integer >= 1, got {workers!r}")
        self._ray: Any = require("ray", feature="games on many machines", extra="ray")
        if not self._ray.is_initialized():
            self._ray.init(include_dashboard=False, log_to_driver=False)
        self._made = {**table, "options": {**({"tasks": tasks} if tasks else {}), **(table.get("options") or {})}}
        self._kind = self._ray.remote(num_cpus=cpus)(Table)
        self._tables = [self._kind.remote(**self._made) for _ in range(workers)]

    def play(self, jobs: Sequence[Job]) -> list[Episode]:
        """Play games, and return their records in order; those of an actor that died say so."""
        count = len(self._tables)
        shares = [list(range(table, len(jobs), count)) for table in range(count)]
        asked = [
            self._tables[table].play.remote([jobs[place] for place in share]) if share else None
            for table, share in enumerate(shares)
        ]
        played: dict[int, Episode] = {}
        for table, (share, answer) in enumerate(zip(shares, asked, strict=True)):
            if answer is None:
                continue
            try:
                found = self._ray.get(answer)
            except self._ray.exceptions.RayError as error:
                found = [_lost(jobs[place], error) for place in share]
                if isinstance(error, self._ray.exceptions.RayActorError):
                    self._tables[table] = self._kind.remote(**self._made)
            played.update(zip(share, found, strict=True))
        return [played[place] for place in range(len(jobs))]

    def close(self) -> None:
        """Let the actors go; Ray itself stays."""
        for table in self._tables:
            self._ray.kill(table)
        self._tables = []


def _lost(job: Job, error: Exception) -> Episode:
    """Return the record of a game whose actor failed."""
    message = next(iter(str(error).strip().splitlines()), "")[:300]
    return Episode(
        scenario="",
        view="text",
        seed=job.seed,
        ended="error",
        error={"type": type(error).__name__, "message": message, "where": "ray"},
    )
