"""From what people write for a player to the player, in either chair."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from gtalign_env.errors import UsageError
from gtalign_env.finite import FiniteScenario
from gtalign_env.kernels import UserKernel, memoryless
from gtalign_env.protocols import Policy, PricingPolicy
from gtalign_env.registration import PLAYERS
from gtalign_env.specs import from_spec
from gtalign_env.types import UserType

__all__ = ["PlayerPersona", "is_player", "make_player", "split_specs"]

_FIXED = "fixed"


def is_player(spec: str) -> bool:
    """Return whether a string names a player.

    Example:
        >>> is_player("quantal:rationality=2"), is_player("concise")
        (True, False)
    """
    return spec.partition(":")[0].strip() in PLAYERS


def make_player(spec: str) -> Policy:
    """Return a player that needs no model.

    Args:
        spec: A name of ``gtalign list players``, with settings behind a colon: ``"tit_for_tat"``,
            ``"quantal:rationality=2"``, ``"nash:talk=silent"``; ``"fixed:defect"`` is short for ``"fixed:move=defect"``.

    Raises:
        UnknownNameError: No player has this name.
        UsageError: A setting is unknown or out of range.

    Example:
        >>> make_player("quantal:rationality=2").name
        'quantal:rationality=2.0'
    """
    name, _, settings = (part.strip() for part in spec.partition(":"))
    if name == _FIXED and settings and "=" not in settings:
        spec = f"{name}:move={settings}"
    known = {name: PLAYERS.get(name)} if name in PLAYERS else dict.fromkeys(PLAYERS)
    player: Policy = from_spec("player", spec, known)
    return player


class PlayerPersona:
    """A player in the user's chair: it has no taste of its own, so the scenario draws θ where there is one.

    Args:
        spec: See ``make_player``.

    Example:
        >>> PlayerPersona("tit_for_tat").policy(None).name
        'tit_for_tat'
    """

    def __init__(self, spec: str) -> None:
        self.spec = spec
        self.name = make_player(spec).name
        self.description = PLAYERS.description(spec.partition(":")[0].strip())

    def sample_type(self, rng: Any) -> None:
        """Leave θ to the scenario."""

    def policy(self, user_type: UserType | None) -> Policy:
        """Return a fresh player."""
        return make_player(self.spec)

    def kernels(self, scenario: FiniteScenario, pricing: PricingPolicy) -> tuple[UserKernel, ...]:
        """Return what it does in a compiled game, if it remembers nothing: one user kernel per θ that the scenario draws.

        Raises:
            UsageError: The player goes by what has happened, or the game has no such move.
        """
        player = make_player(self.spec)
        chances = getattr(player, "chances", None)
        if chances is None:
            raise UsageError(
                f"player {self.name!r} goes by more than the public state, so it is no user kernel: take 'random' or "
                "'fixed:MOVE' in the user's chair, or play against it without solving"
            )
        return memoryless(self.name, scenario, chances(scenario, "user"))


def split_specs(text: str) -> list[str]:
    """Return the parts of a comma list; further settings of a player stay with the player.

    Example:
        >>> split_specs("quantal:rationality=2,level=1,all_d, concise=2")
        ['quantal:rationality=2,level=1', 'all_d', 'concise=2']
    """
    parts: list[str] = []
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        if parts and part.partition("=")[0].strip() in _settings(parts[-1]) and ":" in parts[-1]:
            parts[-1] += f",{part}"
        else:
            parts.append(part)
    return parts


def weighted(part: str) -> tuple[str, str | None]:
    """Split what stands in a mix into spec and weight; the last ``=`` of a player's setting is no weight.

    Example:
        >>> weighted("concise=2"), weighted("quantal:rationality=2"), weighted("quantal:rationality=2=3")
        (('concise', '2'), ('quantal:rationality=2', None), ('quantal:rationality=2', '3'))
    """
    spec, equals, weight = part.rpartition("=")
    if not equals or (spec.rpartition(",")[2].rpartition(":")[2].strip() in _settings(spec)):
        return part, None
    return spec.strip(), weight


def _settings(spec: str) -> set[str]:
    """Return the names of the settings of the player that a string names; none where it names no player."""
    if not is_player(spec):
        return set()
    kind: Callable[..., Any] = PLAYERS.get(spec.partition(":")[0].strip())
    return {field.name for field in dataclasses.fields(kind) if field.init}  # type: ignore[arg-type]
