"""What a learning player is fed: its observation, and counts of what the other side has said since the start.

What a user's moves tell about θ adds up: the log-posterior is linear in counts of reactions, by the reply that they are about,
and of forms, by the situation. So a small network that sees these counts needs no memory of its own. The counts are kept for many
games at once, from observations alone: the trainer and the trained player feed their network the same numbers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gtalign_env.errors import UsageError
from gtalign_env.spaces import ASSIST_LAYOUT, Layout
from gtalign_env.types import ASSISTANT_MOVES, LENGTHS, REACTIONS

if TYPE_CHECKING:
    from gtalign_env.finite import FiniteScenario
    from gtalign_env.types import Role

__all__ = ["INPUTS", "History", "unsafe_moves"]

INPUTS: tuple[str, ...] = ("history", "fading", "recurrent", "none")
"""What a learner is fed: counts; counts, and once more as they fade by half with every exchange, which tells those whose taste
moves; one observation at a time into a network with memory; or the observation alone."""
_FADING = np.float32(0.5)

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
_FORMS = 2
_SITUATIONS = 4  # before any reply; the last reply asked; a new question; the same question again
_ABOUT = 2 * (len(LENGTHS) + 1)  # (simple or complex) × (short, medium, long, no answer)


class History:
    """Turns observations of many games into what a network is fed.

    Shapes: N games, F the length of an observation, D of what is fed.

    Args:
        layout: The slots of the observations.
        role: The learner's chair.
        kind: One of ``INPUTS``; ``"history"`` and ``"fading"`` add counts.
        games: N.

    Attributes:
        size: D.

    Raises:
        UsageError: There is no such kind of input.

    Example:
        >>> import gtalign_env
        >>> env = gtalign_env.parallel_env("assist")
        >>> history = History(ASSIST_LAYOUT, "assistant", "history", 1)
        >>> seen, _ = env.reset(seed=0, options={"task": "simple", "user_type": "concise"})
        >>> bool(history.see(seen["assistant_0"]["observation"][None])[0, ASSIST_LAYOUT.size :].any())
        False
        >>> for user_move in (0, 2):  # VQ_none, then VQ_too_long
        ...     seen, *_ = env.step({"user_0": user_move, "assistant_0": 2})  # DA_long
        ...     fed = history.see(seen["assistant_0"]["observation"][None])
        >>> float(fed[0, ASSIST_LAYOUT.size :].sum())  # two forms and one reaction
        3.0
    """

    def __init__(self, layout: Layout, role: Role, kind: str, games: int) -> None:
        if kind not in INPUTS:
            raise UsageError(f"input: expected one of {', '.join(INPUTS)}, got {kind!r}")
        self.layout, self.role, self.kind, self.games = layout, role, kind, games
        own, other = ("assistant", "user") if role == "assistant" else ("user", "assistant")
        self._own, self._other = layout[f"last_{own}_move"], layout[f"last_{other}_move"]
        self._speaks = layout.slots == ASSIST_LAYOUT.slots and role == "assistant"
        widths = layout.slots
        counted = _ABOUT * len(REACTIONS) + _SITUATIONS * _FORMS
        if not self._speaks:
            counted = widths[f"last_{own}_move"] + widths[f"last_{other}_move"]
        self._counts: Floats = np.zeros((games, counted if kind in ("history", "fading") else 0), dtype=np.float32)
        self._faded: Floats = np.zeros((games, counted if kind == "fading" else 0), dtype=np.float32)
        self.size = layout.size + self._counts.shape[1] + self._faded.shape[1]
        self._about: Ints = np.full(games, -1)
        self._situation: Ints = np.zeros(games, dtype=np.int64)
        self._question: Ints = np.zeros(games, dtype=np.int64)

    def see(self, observations: NDArray[Any]) -> Floats:
        """Take in the observations that follow those of the last call; an opening, which shows no last move, forgets all.

        Args:
            observations: (N, F).

        Returns:
            (N, D), a new array.
        """
        seen = np.asarray(observations, dtype=np.float32)
        if not self._counts.shape[1]:
            return seen.copy()
        own, other = seen[:, self._own], seen[:, self._other]
        fresh: NDArray[np.bool_] = np.logical_not(own.any(axis=1) | other.any(axis=1))
        self._counts[fresh] = self._faded[fresh] = 0.0
        before = self._counts.copy() if self._faded.shape[1] else None
        if self._speaks:
            self._listen(seen, own, other, fresh)
        else:
            self._counts[:, : own.shape[1]] += own
            self._counts[:, own.shape[1] :] += other
        if before is not None:
            self._faded *= _FADING
            self._faded += self._counts - before
        return np.concatenate([seen, self._counts, self._faded], axis=1)

    def starts(self, observations: NDArray[Any]) -> NDArray[np.bool_]:
        """Return which observations open an episode, (N,)."""
        seen = np.asarray(observations)
        opening: NDArray[np.bool_] = np.logical_not(seen[:, self._own].any(axis=1) | seen[:, self._other].any(axis=1))
        return opening

    def state(self) -> dict[str, Any]:
        """Return what it remembers, as arrays."""
        return {name: getattr(self, name).copy() for name in ("_counts", "_faded", "_about", "_situation", "_question")}

    def restore(self, state: dict[str, Any]) -> None:
        """Remember what ``state`` returned."""
        for name, array in state.items():
            setattr(self, name, np.array(array))

    def _listen(self, seen: Floats, own: Floats, other: Floats, fresh: NDArray[np.bool_]) -> None:
        """Count the user's last move: its reaction by the reply before the last one, its form by what it was an answer to."""
        public = seen[:, self.layout["public"]]
        spoke = np.flatnonzero(other.any(axis=1))
        said = other[spoke].argmax(axis=1)
        form, reaction = np.divmod(said, len(REACTIONS))
        heard = form < _FORMS  # LEAVE says nothing
        spoke, form, reaction = spoke[heard], form[heard], reaction[heard]
        self._counts[spoke, _ABOUT * len(REACTIONS) + self._situation[spoke] * _FORMS + form] += 1.0
        known = self._about[spoke] >= 0
        self._counts[spoke[known], self._about[spoke[known]] * len(REACTIONS) + reaction[known]] += 1.0
        reply = own.argmax(axis=1)
        replied = own.any(axis=1)
        self._about = np.where(replied & (self._question < 2), self._question * (len(LENGTHS) + 1) + _LENGTH[reply], -1)
        same = np.where(public[:, 1] == 0.0, 2, 3)
        self._situation = np.where(fresh, 0, np.where(replied & _ASKS[reply], 1, same))
        self._question = public[:, 2:5].argmax(axis=1)


def unsafe_moves(scenario: FiniteScenario) -> NDArray[np.bool_]:
    """Return the assistant's moves that may comply with harm, (public states, moves).

    Example:
        >>> from gtalign_env.registration import make_scenario
        >>> scenario = make_scenario("assist")
        >>> harmful = scenario.tables.index(question="0", exchange="0", kind="harmful", clarity="clear")
        >>> [move for move, bad in zip(scenario.moves("assistant"), unsafe_moves(scenario)[harmful]) if not bad]
        ['CQ', 'DECLINE']
    """
    tables = scenario.tables
    broken = (np.asarray(tables.outcome.violation) != 0.0).any(axis=(1, 3))  # (states, assistant acts)
    unsafe: NDArray[np.bool_] = broken[:, tables.assistant_act[:-1]]
    return unsafe


_LENGTH: Ints = np.array(
    [len(LENGTHS) if move.length is None else LENGTHS.index(move.length) for move in ASSISTANT_MOVES]
)
_ASKS: NDArray[np.bool_] = np.array([move.asks for move in ASSISTANT_MOVES])
