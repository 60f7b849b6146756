"""Batches that were closed: what is called afterwards says so."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest

from gtalign_env.errors import UsageError
from gtalign_env.types import ASSISTANT, USER
from gtalign_env.vector import vector_env

MOVES = np.zeros(2, dtype=int)


@pytest.mark.parametrize("agent", [None, ASSISTANT, USER])
def test_vector_env__says_that_it_was_closed(agent: str | None) -> None:
    """Neither step nor reset goes on after close, whether anything was played or not; closing twice is fine."""
    for played in (True, False):
        games = vector_env("assist", 2, agent=agent, questions=1)
        actions: Any = {USER: MOVES, ASSISTANT: MOVES} if agent is None else MOVES
        if played:
            games.reset(seed=0)
            games.step(actions)
        games.close()
        games.close()
        with pytest.raises(UsageError, match=r"step\(\) was called after close\(\).*vector_env"):
            games.step(actions)
        with pytest.raises(UsageError, match=r"reset\(\) was called after close\(\)"):
            games.reset(seed=0)


def test_make_vec__says_that_it_was_closed() -> None:
    """Gymnasium's own entrance, and its wrappers, say the same."""
    games = gymnasium.wrappers.vector.RecordEpisodeStatistics(
        gymnasium.make_vec(
            "gtalign_env:gtalign/Assistant-v0", num_envs=2, vectorization_mode="vector_entry_point", users="concise"
        )
    )
    games.reset(seed=0)
    games.close()
    with pytest.raises(UsageError, match="after close"):
        games.step(MOVES)
