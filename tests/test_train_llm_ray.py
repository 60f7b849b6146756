"""Games on Ray actors are the games of a room, and an actor that dies loses nothing but time."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from typing import Any

import pytest

from gtalign_env.episode import Episode
from gtalign_env.errors import MissingExtraError, UsageError
from gtalign_env.training.llm.ray_rollout import RayRoom, Table
from gtalign_env.training.llm.rollout import Job, play_groups

pytest.importorskip("torch")

TABLE: dict[str, Any] = {"options": {"tasks": "authored:facts"}, "backend": "fake:chain", "games": 4}
JOBS = [Job(seed=seed, draw=draw) for seed in (3, 4, 5) for draw in range(2)]


def told(episode: Episode) -> list[tuple[str, str, float, float]]:
    """Return what happened in a game."""
    return [(s.user.text, s.assistant.text, s.user.payoff, s.assistant.payoff) for s in episode.steps]


@pytest.fixture
def ray() -> Iterator[Any]:
    """Ray on this machine."""
    if importlib.util.find_spec("ray") is None:
        pytest.skip("ray is not installed: pip install 'gtalign-env[ray]'")
    import ray

    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield ray
    ray.shutdown()


def test_table__plays_by_seed() -> None:
    """Equal jobs are equal games, in their order, whoever plays them."""
    one, other = Table(**TABLE).play(JOBS), Table(**TABLE).play(JOBS[::-1])[::-1]
    assert [episode.seed for episode in one] == [job.seed for job in JOBS]
    assert list(map(told, one)) == list(map(told, other))


def test_ray_room__refuses_what_makes_no_sense() -> None:
    """Settings are checked first; and without Ray it says so."""
    with pytest.raises(UsageError, match="workers: expected an integer >= 1"):
        RayRoom(workers=0, backend="fake:chain")
    if importlib.util.find_spec("ray") is None:
        with pytest.raises(MissingExtraError, match="ray"):
            RayRoom(workers=1, backend="fake:chain")


@pytest.mark.plugs
def test_ray_room__plays_what_a_room_plays(ray: Any) -> None:
    """Two actors share the games, and their records are those of one table in this process."""
    room = RayRoom(workers=2, cpus=0.5, tasks="authored:facts", backend="fake:chain", games=4)
    assert list(map(told, room.play(JOBS))) == list(map(told, Table(**TABLE).play(JOBS)))
    room.close()


@pytest.mark.plugs
def test_ray_room__an_actor_that_dies_loses_nothing(ray: Any) -> None:
    """Games of a dead actor come back as failures; played in groups they are played again, on a new actor."""
    room = RayRoom(workers=2, cpus=0.5, tasks="authored:facts", backend="fake:chain", games=4)
    whole = list(map(told, room.play(JOBS)))
    ray.kill(room._tables[0])
    broken = room.play(JOBS)
    assert [episode.ended == "error" for episode in broken] == [True, False] * 3
    assert {episode.error["where"] for episode in broken[::2]} == {"ray"}
    assert list(map(told, room.play(JOBS))) == whole
    ray.kill(room._tables[1])
    groups = play_groups(room, [3, 4, 5], 2)  # type: ignore[arg-type]
    assert [list(group.errors.values()) for group in groups] == [[1], [1], [1]]
    room.close()
