"""Real personas played exchange by exchange, with the memory that their kernel should have by then."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gtalign_env import parallel_env
from gtalign_env.agents.users import ScriptedPersona
from gtalign_env.finite import FiniteScenario
from gtalign_env.kernels import UserKernel
from gtalign_env.types import ASSISTANT, USER

EPISODE = 10_000
"""More than any seed of the players' own."""


class Spoken(NamedTuple):
    """One move of a real persona."""

    kernel: UserKernel
    memory: int
    state: int
    move: int
    player: Any
    """The persona as it was before the move."""
    seen: tuple[Any, Any]
    """What it saw: observation and info."""


def sessions(
    persona: ScriptedPersona,
    kernels: Sequence[UserKernel],
    scenario: FiniteScenario,
    *,
    count: int,
    seed: int = 0,
    **reset: Any,
) -> Iterator[Spoken]:
    """Play a persona against random replies, silence among them, and follow its kernel's memory alongside."""
    env = parallel_env(scenario)
    rng = np.random.default_rng(seed)
    by_type = {kernel.user_type: kernel for kernel in kernels}
    for episode in range(count):
        theta = persona.sample_type(rng)
        kernel, player = by_type[theta], persona.policy(theta)
        player.reset(EPISODE + episode)
        memory = kernel.start
        seen, infos = env.reset(seed=episode, options={"user_type": theta, **reset})
        while env.agents:
            before, shown, state = copy.copy(player), (seen[USER], infos[USER]), env.game_state.public
            move = player.act(*shown)
            yield Spoken(kernel, memory, state, move, before, shown)
            reply = int(rng.integers(len(scenario.tables.assistant_moves) + 1))  # the last one is no move: silence
            seen, _, _, _, infos = env.step({USER: move, ASSISTANT: reply})
            entry = (state, int(scenario.tables.user_act[move]), int(scenario.tables.assistant_act[reply]))
            memory = _followed(kernel, memory, entry, env.game_state, scenario)


def _followed(
    kernel: UserKernel, memory: int, entry: tuple[int, int, int], after: Any, scenario: FiniteScenario
) -> int:
    """Return the memory after an exchange, whichever of the branches that look like what happened it was."""
    tables = scenario.tables
    fits = (tables.next_state[entry] == after.public) & (tables.outcome.quality[entry] == after.last_quality)
    found: set[int] = set(kernel.follow[memory][entry][fits & (tables.probability[entry] > 0.0)].tolist())
    assert len(found) == 1, "branches that look alike are felt alike"
    return found.pop()


class Dice:
    """A generator that gives these numbers, and no others."""

    def __init__(self, numbers: Sequence[float]) -> None:
        self._numbers = iter(numbers)

    def random(self, size: int | None = None) -> Any:
        """Return the next number, or the next few."""
        return next(self._numbers) if size is None else np.array([next(self._numbers) for _ in range(size)])


def chances(spoken: Spoken, moves: int) -> NDArray[np.float64]:
    """Return the exact chance of each move: the persona's own code, asked about every way in which its four draws can fall."""
    character = spoken.player.character
    reacting = (character.reactions.dislikes_questions, character.honesty, character.expressiveness)
    form = character.p_detailed
    speaking = (form.first, form.next, form.rephrase, form.answer)
    found = np.zeros(moves)
    for cells in itertools.product(*[_cells(reacting)] * 3, _cells(speaking)):
        player = copy.copy(spoken.player)
        player.rng = Dice([middle for middle, _ in cells])
        found[player.act(*spoken.seen)] += np.prod([width for _, width in cells])
    return found


def _cells(thresholds: Sequence[float]) -> list[tuple[float, float]]:
    """Return middle and width of the parts into which thresholds cut the interval from 0 to 1."""
    cuts = sorted({0.0, 1.0, *thresholds})
    return [((low + high) / 2, high - low) for low, high in itertools.pairwise(cuts)]
