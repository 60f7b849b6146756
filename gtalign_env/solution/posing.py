"""Which game a scenario poses: its own, where it is common knowledge, else the stage game of one state.

A scenario says so by what it has, in this order: ``division_of(task)`` (a bargaining problem for each task), ``game`` (a
game in its own form), ``stage_game(public, user_type, pricing)`` (the bimatrix of one exchange).
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from typing import Any

from gtalign_env.errors import UnknownNameError, UsageError
from gtalign_env.games.bimatrix import Bimatrix
from gtalign_env.games.tree import GameTree, Leaf
from gtalign_env.pricing import make_pricing, pricing_name
from gtalign_env.protocols import PricingPolicy, Scenario
from gtalign_env.tables import GameTables

__all__ = ["Posed", "pose"]


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Posed:
    """A game, and where in a scenario it comes from.

    Example:
        >>> Posed(game=Bimatrix([[1]], [[2]])).state
        {}
    """

    game: Any
    """The game: a ``Bimatrix``, a ``GameTree``, or what else the scenario plays."""
    state: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """The state's coordinates; empty where the game is the whole of the scenario."""
    user_type: str | Mapping[str, float] | None = None
    """θ by name, or the shares over which payoffs are averaged; ``None`` where the game has no types to choose."""
    pricing: str | None = None
    """The pricing policy; ``None`` where nothing is paid for."""


def pose(
    scenario: Scenario,
    *,
    state: Any = None,
    user_type: Any = None,
    pricing: str | PricingPolicy | None = None,
) -> Posed:
    """Return the game that a scenario poses.

    Args:
        scenario: The scenario.
        state: Which part of it: coordinates of the state (those that are left out are those of
            the first opening state), ``{"node": PATH}`` in a tree, or a task where each task is a game.
        user_type: θ, as ``reset`` takes it; the average over the population when ``None``.
        pricing: The pricing policy; the scenario's own when ``None``.

    Raises:
        UsageError: There is no such state or type, the game has neither, or the scenario cannot be solved.

    Example:
        >>> from gtalign_env.registration import make_scenario
        >>> posed = pose(make_scenario("assist"), state={"kind": "complex"}, user_type="concise")
        >>> posed.state["clarity"], posed.game.shape
        ('vague', (3, 8))
    """
    game = getattr(scenario, "game", None)
    if callable(getattr(scenario, "division_of", None)):
        _refuse(scenario, user_type, pricing)
        return _division(scenario, state)
    if isinstance(game, GameTree):
        _refuse(scenario, user_type, pricing)
        return _subtree(game, state)
    if game is not None and (state is None or not isinstance(game, Bimatrix)):
        _refuse(scenario, user_type, pricing)
        if state is not None:
            raise UsageError(f"scenario {scenario.name!r} is solved as a whole: it has no state to choose")
        return Posed(game=game)
    if hasattr(scenario, "stage_game"):
        return _stage(scenario, state, user_type, pricing)
    raise UsageError(
        f"scenario {scenario.name!r} cannot be solved: expected one with a game of its own (.game), a stage game "
        "(.stage_game) or a division for each task (.division_of)"
    )


# -- the kinds of scenario -----------------------------------------------------------------------------------------------


def _refuse(scenario: Scenario, user_type: Any, pricing: Any) -> None:
    """Refuse what a game of common knowledge has not."""
    for option, value in (("user type", user_type), ("pricing", pricing)):
        if value is not None:
            raise UsageError(f"scenario {scenario.name!r} takes no {option}: its payoffs are those of the game itself")


def _division(scenario: Any, state: Any) -> Posed:
    task = state
    if isinstance(state, Mapping):
        task = {name: _numbers(value) for name, value in state.items()}
        task = task["task"] if set(task) == {"task"} else task
    elif state is None:
        task = 0
    return Posed(game=scenario.division_of(task), state=task if isinstance(task, dict) else {"task": task})


def _numbers(value: Any) -> Any:
    """Return what was typed as numbers: ``"1/1/3"`` or ``"1 1 3"`` as a tuple, ``"17"`` as an int."""
    if not isinstance(value, str):
        return value
    found = tuple(int(number) for number in re.findall(r"-?\d+", value))
    return found[0] if len(found) == 1 else found


def _subtree(tree: GameTree, state: Any) -> Posed:
    node = "" if state is None else state.get("node") if isinstance(state, Mapping) and set(state) == {"node"} else None
    if node is None:
        raise UsageError(f"state: expected node=PATH, the moves from the root joined by '/', got {state!r}")
    root = tree.at(node)
    if isinstance(root, Leaf):
        raise UsageError(f"state node={node}: the game is over there; expected a decision")
    return Posed(game=GameTree(root) if node else tree, state={"node": node})


def _stage(scenario: Any, state: Any, user_type: Any, pricing: Any) -> Posed:
    compiled = scenario if hasattr(scenario, "tables") else getattr(scenario, "twin", None)
    typed = bool(getattr(compiled, "has_types", True))
    if not typed:
        _refuse(scenario, user_type, pricing)
    where = _coordinates(getattr(compiled, "tables", None), state)
    policy = make_pricing(pricing) if pricing is not None else getattr(scenario, "pricing", None)
    game = scenario.stage_game(where, user_type, policy)
    if not isinstance(game, Bimatrix):
        raise UsageError(f"scenario {scenario.name!r}: expected a Bimatrix from stage_game, got {game!r}")
    return Posed(
        game=game,
        state=where,
        user_type=_whose(scenario, user_type) if typed else None,
        pricing=pricing_name(policy) if typed and policy is not None else None,
    )


def _coordinates(tables: GameTables | None, state: Any) -> dict[str, str]:
    """Complete the coordinates by those of the first opening state."""
    if state is not None and not isinstance(state, Mapping):
        raise UsageError(f"state: expected coordinates as KEY=VALUE,KEY=VALUE, got {state!r}")
    given = {str(name): str(value) for name, value in (state or {}).items()}
    if tables is None:
        return given
    for name, value in given.items():
        if name not in tables.axes:
            raise UnknownNameError("state coordinate", name, tables.axes)
        if value not in tables.axes[name]:
            raise UsageError(f"state {name}={value}: expected {name} as one of {', '.join(tables.axes[name])}")
    opening = tables.coordinates(int(tables.initial.nonzero()[0][0]))
    return {**opening, **given}


def _whose(scenario: Any, user_type: Any) -> str | dict[str, float] | None:
    if user_type is None:
        mix = getattr(scenario, "mix", None)
        return None if mix is None else {theta.name: share for theta, share in zip(mix.types, mix.shares, strict=True)}
    return user_type if isinstance(user_type, str) else str(scenario.resolve_type(user_type).name)
