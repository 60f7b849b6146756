"""Put a scenario together from a compiled game of open rules: talk, words and briefing included."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gtalign_env.finite import FiniteScenario
from gtalign_env.games import Bimatrix, GameTree
from gtalign_env.mix import UserMix
from gtalign_env.pricing import Subscription
from gtalign_env.render import assistant_words, turn_words
from gtalign_env.scenarios.talk.briefing import brief
from gtalign_env.scenarios.talk.compiled import OVER, UNSAID, WAIT, Compiled, Mover, with_talk
from gtalign_env.scenarios.talk.config import Talk
from gtalign_env.tables import GameTables
from gtalign_env.types import UserType

__all__ = ["open_game"]

_NOBODY = UserType(name="none")


def open_game(
    *,
    name: str,
    description: str,
    game: Bimatrix | GameTree,
    compiled: Compiled,
    talk: Talk,
    rounds: int,
    config: Mapping[str, Any],
    recipe: tuple[Callable[..., FiniteScenario], Mapping[str, Any]],
) -> FiniteScenario:
    """Return the scenario of a game in which nothing is hidden but what the other is about to do.

    Args:
        name: The scenario's name.
        description: One sentence for lists.
        game: The game in its own form, without talk.
        compiled: The same game compiled, without talk.
        talk: How the players talk before they move.
        rounds: How often the game is played.
        config: What ``describe`` and records show as the game's settings.
        recipe: A factory and its keyword arguments from which the scenario is rebuilt when unpickled.

    Raises:
        UsageError: The tables with talk would not fit.

    Example:
        >>> from gtalign_env.scenarios.matrix.catalogue import stag_hunt
        >>> stag_hunt(talk=2).game.pure_nash()
        [('stag', 'stag'), ('hare', 'hare')]
    """
    below = compiled.tables
    if talk.rounds:
        compiled = with_talk(name, compiled, talk)
    tables, payoffs, movers = compiled
    return FiniteScenario(
        name=name,
        description=description,
        tables=tables,
        payoffs=lambda user_type, pricing: payoffs,
        retention=lambda total: 0.0,
        mix=UserMix(_NOBODY, {}),
        known_types={},
        pricing=Subscription(),
        has_types=False,
        config=config,
        user_acts={move: int(below.user_act[i]) for i, move in enumerate(below.user_moves) if move != WAIT},
        assistant_acts={
            move: int(below.assistant_act[i]) for i, move in enumerate(below.assistant_moves) if move != WAIT
        },
        recipe=recipe,
        game=game,
        movers=movers or None,
        state_words=functools.partial(_words, tables, movers),
        briefing=functools.partial(brief, game, description, talk, rounds),
    )


def _words(tables: GameTables, movers: Sequence[Mover], state: int) -> str:
    """Return a state in words: the round, the place in the tree, the turn of talk, what was said last, who is to move."""
    where = tables.coordinates(state)
    parts = []
    if "round" in where:
        parts.append(f"round {int(where['round']) + 1} of {len(tables.axes['round'])}")
    parts += turn_words(where, turns=len(tables.axes.get("talk", ())) - 1)
    mover = movers[state] if movers else ""
    if where.get("talk", OVER) != OVER:
        parts.append(f"the {mover} speaks")
    else:
        parts.append(f"the {mover} moves" if mover else "both move")
    lines = [", ".join(parts)]
    for role in ("user", "assistant"):
        said = where.get(f"{role}_said", UNSAID)
        if said != UNSAID:
            lines.append(f"the {role}'s last words: {assistant_words(said)}")
    return "\n".join(lines)
