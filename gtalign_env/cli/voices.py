"""How faithful voiced users are to their personas: counted while episodes come, and shown."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from gtalign_env.cli.common import make_console
from gtalign_env.cli.replay import counted
from gtalign_env.episode import Episode
from gtalign_env.errors import GtalignError
from gtalign_env.render import one_line
from gtalign_env.types import USER

if TYPE_CHECKING:
    from rich.table import Table

    from gtalign_env.agents.users import Fidelity, FidelityMeter
    from gtalign_env.env import GameEnv

__all__ = ["Rebuild", "Voices", "print_voices", "voice_head", "voice_table"]

Rebuild = Callable[[Episode], "GameEnv"]
"""Returns an environment of the game that an episode was played in."""

_UNREADABLE = (GtalignError, LookupError, TypeError, ValueError)
"""What a record of another version may raise when it is played again."""
_GAUGES = {
    "same_move": "reads as the script's very move",
    "same_form": "as vague, detailed or final as the script",
    "same_reaction": "reacts as the script does",
    "leaks": "tries that give the type or the part away",
    "told_early": "tells particulars that nobody asked for",
    "premature_ends": "ends where the script goes on",
    "late_ends": "goes on where the script ends",
    "unusable": "tries that were empty or failed",
    "fell_back": "lines that the script had to say",
}


class Voices:
    """A fidelity meter for each voiced user, by name.

    Args:
        rebuild: Makes the game of an episode: it is played again, because reading what was said takes the state of the table.
            Only registered games when ``None``.

    Example:
        >>> voices = Voices()
        >>> voices.add(Episode(scenario="s", view="text", seed=0))
        >>> voices.results(), voices.problems
        ({}, {})
    """

    def __init__(self, rebuild: Rebuild | None = None) -> None:
        self.problems: dict[str, int] = {}
        """Why episodes of voiced users could not be measured, and how many."""
        self._rebuild = rebuild
        self._games: dict[str, GameEnv] = {}
        self._meters: dict[str, FidelityMeter] = {}

    def add(self, episode: Episode) -> None:
        """Count one episode, if a voice speaks in it."""
        if not any("voice" in call for call in (episode.failed_call, *(step.user.model for step in episode.steps))):
            return
        from gtalign_env.agents.users import FidelityMeter  # only where a model speaks: it takes long to import

        name = episode.players.get(USER, "?").removeprefix("persona:")
        try:
            self._meters.setdefault(name, FidelityMeter()).add(episode, self._game(episode))
        except _UNREADABLE as error:
            problem = one_line(error if isinstance(error, GtalignError) else f"{type(error).__name__}: {error}")
            self.problems[problem] = self.problems.get(problem, 0) + 1

    def results(self) -> dict[str, Fidelity]:
        """Return what each voice keeps of its persona."""
        found = {name: meter.result() for name, meter in self._meters.items()}
        return {name: one for name, one in found.items() if one is not None}

    def _game(self, episode: Episode) -> GameEnv:
        key = json.dumps([episode.scenario, episode.env_options], sort_keys=True, default=str)
        if key not in self._games:
            if self._rebuild is None:
                from gtalign_env.replay.verify import rebuilt_env

                self._rebuild = rebuilt_env
            self._games[key] = self._rebuild(episode)
        return self._games[key]


def voice_head(found: Fidelity) -> str:
    """Return what was compared."""
    return f"{counted(found.lines, 'line')} of {counted(found.episodes, 'session')}"


def voice_table(found: Fidelity) -> Table:
    """Return the comparison of a voice with its script, a row for each gauge."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
    for name, words in _GAUGES.items():
        table.add_row(words, str(getattr(found, name)))
    return table


def print_voices(found: Mapping[str, Fidelity], problems: Mapping[str, int], *, below: bool = True) -> None:
    """Print a block for each voice, on standard output; why others are not known, on standard error.

    Args:
        found: By the user's name.
        problems: As ``Voices`` has them.
        below: Whether something stands above them.

    Example:
        >>> print_voices({}, {})
    """
    from rich.text import Text

    console = make_console()
    for place, (name, one) in enumerate(found.items()):
        if below or place:
            console.print()
        console.print(Text(f"{one_line(name)} against the script · {voice_head(one)}", style="bold"))
        console.print(voice_table(one))
    for problem, count in problems.items():
        told = f"the voices of {counted(count, 'episode')} could not be held against the script: {problem}"
        print(f"gtalign: note: {told}", file=sys.stderr)
