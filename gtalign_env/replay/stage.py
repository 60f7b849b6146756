"""The stage game of a recorded step: the bimatrix of that exchange, with the move that was made."""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gtalign_env.episode import Episode
from gtalign_env.errors import GtalignError
from gtalign_env.games.cells import pareto_cells, pure_nash_cells
from gtalign_env.registration import SCENARIOS, make_scenario
from gtalign_env.render import one_line
from gtalign_env.types import USER

__all__ = ["Mark", "StageMatrix", "rebuilt_scenario", "stage_matrix", "why_no_stage"]

_ENV_ONLY = ("max_cycles", "strict", "reveal", "render_mode")


class Mark(NamedTuple):
    """A sign that stands in some cells of a matrix, beside those for Nash and Pareto."""

    sign: str
    """One character."""
    role: str
    """What colours it (``replay.style.ROLES``)."""
    name: str
    """What the legend calls it."""
    cells: NDArray[np.bool_]
    """(rows, columns): where it stands."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class StageMatrix:
    """The bimatrix of one exchange: rows are the user's moves, columns the assistant's."""

    user_moves: tuple[str, ...]
    assistant_moves: tuple[str, ...]
    user: NDArray[np.float64]
    """(rows, columns): the user's payoffs, utils."""
    assistant: NDArray[np.float64]
    """(rows, columns): the assistant's payoffs, utils."""
    made: tuple[int, int] | None
    """Row and column of the moves that were made; ``None`` where one of them is no move of the matrix."""
    nash: NDArray[np.bool_]
    """Pure Nash equilibria."""
    pareto: NDArray[np.bool_]
    """Cells that no other cell dominates."""
    holds: str
    """What a cell sums up, in words."""
    whose: str
    """Whose payoffs these are: of the recorded θ, averaged over the population, or nobody's in particular (empty)."""
    more: tuple[Mark, ...] = ()
    """Further signs."""


def stage_matrix(episode: Episode, step: int, *, reveal: bool = False, trust: bool = False) -> StageMatrix | None:
    """Return the stage game of a recorded step.

    In a game with turns an exchange is a reply and the user's turn after it, and the matrix stands at the reply.
    Without ``reveal`` the payoffs are averaged over the population of the scenario; with it they are those of the
    recorded θ. Only registered scenarios are rebuilt by default: an episode file must not be able to name code to run.

    Args:
        episode: The record.
        step: Index of the step.
        reveal: Use the recorded θ.
        trust: Also import a scenario that the record names as ``"module:attr"``.

    Returns:
        The matrix, or ``None`` where the scenario has no stage game.

    Example:
        >>> from gtalign_env.episode import SideRecord, StepRecord
        >>> moves = StepRecord(user=SideRecord(digest="", move="VQ"), assistant=SideRecord(digest="", move="DA"),
        ...                    public={"round": "0"})
        >>> stage = stage_matrix(Episode(scenario="matrix", view="strategic", seed=0, steps=[moves]), 0)
        >>> stage.made, stage.nash.tolist()
        ((0, 0), [[True, False, False], [False, False, False]])
    """
    record = episode.steps[step]
    if not record.public or record.to_move == USER:
        return None
    theta = episode.hidden.get("user_type") if reveal else None
    pricing = episode.reset_options.get("pricing")
    key = (_key(record.public), _key(theta), _key(pricing))
    cut = _cut(episode.scenario, _key(episode.env_options), trust, *key)
    if cut is None:
        return None
    row, column = _place(_user_move(episode, step), cut.user_moves), _place(record.assistant.move, cut.assistant_moves)
    return cut if row is None or column is None else dataclasses.replace(cut, made=(row, column))


def _user_move(episode: Episode, step: int) -> str:
    """Return the user's part of an exchange: its move of this step, or of the next one where the players take turns."""
    if not episode.steps[step].to_move:
        return episode.steps[step].user.move
    return episode.steps[step + 1].user.move if step + 1 < len(episode.steps) else ""


def rebuilt_scenario(episode: Episode, *, trust: bool = False) -> Any:
    """Return the episode's scenario rebuilt, or ``None`` where it is not registered here or cannot be rebuilt.

    Example:
        >>> rebuilt_scenario(Episode(scenario="matrix", view="strategic", seed=0)).name
        'matrix'
    """
    made = _scenario(episode.scenario, _key(episode.env_options), trust)
    return None if isinstance(made, str) else made


def why_no_stage(episode: Episode, *, trust: bool = False) -> str:
    """Return why an episode has no stage games although its game may have them; empty where there is nothing to say.

    Example:
        >>> why_no_stage(Episode(scenario="mine:game", view="strategic", seed=0))
        'no stage game: mine:game is not a registered scenario; --trust imports it'
    """
    made = _scenario(episode.scenario, _key(episode.env_options), trust)
    return f"no stage game: {made}" if isinstance(made, str) else ""


def _key(thing: Any) -> str:
    return json.dumps(thing, sort_keys=True, default=str)


@functools.lru_cache(maxsize=32)
def _scenario(name: str, options: str, trust: bool) -> Any:
    """Return the scenario, or a string that says why there is none."""
    if not trust and not any(name in (spec.id, spec.short) for spec in SCENARIOS.values()):
        return f"{one_line(name)} is not a registered scenario; --trust imports it"
    wanted = {key: value for key, value in json.loads(options).items() if key not in _ENV_ONLY}
    try:
        return make_scenario(name, **wanted)
    except (GtalignError, AttributeError, ImportError, KeyError, TypeError, ValueError, OSError) as error:
        return f"the game cannot be rebuilt: {one_line(error)}"


@functools.lru_cache(maxsize=512)
def _cut(name: str, options: str, trust: bool, public: str, theta: str, pricing: str) -> StageMatrix | None:
    scenario = _scenario(name, options, trust)
    if not hasattr(scenario, "stage_game"):
        return None
    user_type = json.loads(theta)
    try:
        game = scenario.stage_game(json.loads(public), user_type, json.loads(pricing))
        nash, pareto = pure_nash_cells(game.user, game.assistant), pareto_cells(game.user, game.assistant)
    except (GtalignError, KeyError, TypeError, ValueError):  # a record that somebody else wrote
        return None
    return StageMatrix(
        user_moves=game.user_moves,
        assistant_moves=game.assistant_moves,
        user=game.user,
        assistant=game.assistant,
        made=None,
        nash=nash,
        pareto=pareto,
        holds="this exchange and one more reply" if "exchange" in json.loads(public) else "this round",
        whose=_whose(scenario, user_type),
    )


def _whose(scenario: Any, user_type: Mapping[str, Any] | None) -> str:
    if not getattr(scenario, "has_types", True):
        return ""
    return "averaged over the population" if user_type is None else "for the user's true θ"


def _place(move: str, names: tuple[str, ...]) -> int | None:
    """Return the row or column of a move; moves that differ in cheap talk only share the one of their act."""
    for index, name in enumerate(names):
        if move == name:
            return index
    for index, name in enumerate(names):
        if move.startswith(f"{name}_"):
            return index
    return None
