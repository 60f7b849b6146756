"""The gauges of several players at once: figures of one must not be mixed with those of another."""

from __future__ import annotations

from collections.abc import Iterable

from gtalign_env.episode import Episode
from gtalign_env.gauges.meter import GaugeMeter, Gauges
from gtalign_env.types import ASSISTANT

__all__ = ["PlayerMeters", "gauges_by_player"]


def gauges_by_player(
    episodes: Iterable[Episode], *, criterion: str = "welfare:cobb_douglas", scale: float = 1.0
) -> dict[str, Gauges]:
    """Measure the chains of each assistant alone. The name of a chain's player tells mode, criterion and steering apart.

    Args:
        episodes: Records; they are read once.
        criterion: As in ``gauges``.
        scale: As in ``gauges``.

    Returns:
        By the assistant's name, in the order in which they first come; those without a chain are left out.

    Raises:
        UsageError: As ``gauges``.

    Example:
        >>> gauges_by_player([Episode(scenario="s", view="text", seed=0, players={"assistant_0": "heuristic"})])
        {}
    """
    meters = PlayerMeters(criterion=criterion, scale=scale)
    for episode in episodes:
        meters.add(episode)
    return meters.results()


class PlayerMeters:
    """The same, episode by episode, for runs that are still going on.

    Args:
        criterion: As in ``gauges``.
        scale: As in ``gauges``.

    Raises:
        UsageError: As ``gauges``.

    Example:
        >>> meters = PlayerMeters()
        >>> meters.add(Episode(scenario="s", view="text", seed=0))
        >>> meters.episodes, meters.results()
        (1, {})
    """

    def __init__(self, *, criterion: str = "welfare:cobb_douglas", scale: float = 1.0) -> None:
        self.episodes = 0
        self._settings = (criterion, scale)
        self._found: dict[str, GaugeMeter] = {}
        GaugeMeter(criterion=criterion, scale=scale)  # refuses what means nothing

    def add(self, episode: Episode) -> None:
        """Count one episode."""
        self.episodes += 1
        self.of(episode.players.get(ASSISTANT, "?")).add(episode)

    def of(self, player: str) -> GaugeMeter:
        """Return one player's meter."""
        if player not in self._found:
            criterion, scale = self._settings
            self._found[player] = GaugeMeter(criterion=criterion, scale=scale)
        return self._found[player]

    def results(self) -> dict[str, Gauges]:
        """Return the gauges of each player that had a turn with a chain, or a model's plain reply to compare with."""
        found = {player: meter.result() for player, meter in self._found.items()}
        return {player: one for player, one in found.items() if one.turns or one.plain}
