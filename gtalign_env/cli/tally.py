"""What ``run`` and ``demo`` count while they play, and how they show it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from gtalign_env.cli.screen import Trimmed
from gtalign_env.cli.voices import Rebuild, Voices
from gtalign_env.episode import Episode
from gtalign_env.render import one_line
from gtalign_env.replay.frame import MIN_WIDTH
from gtalign_env.replay.summary import Row, Summary, summary_lines
from gtalign_env.types import ASSISTANT

if TYPE_CHECKING:
    from gtalign_env.agents.users import Fidelity
    from gtalign_env.gauges import Gauges, PlayerMeters

__all__ = ["Tally", "number", "print_rows"]


class Tally:
    """Counts episodes as they come and keeps sums only, so that a long run needs no more memory than a short one.

    Args:
        rebuild: Makes the game of an episode with a voiced user (see ``voices.Voices``).

    Example:
        >>> tally = Tally()
        >>> tally.add(Episode(scenario="s", view="strategic", seed=0, ended="terminated"))
        >>> tally.rows()[0].episodes, tally.errors
        (1, 0)
    """

    def __init__(self, rebuild: Rebuild | None = None) -> None:
        self.episodes = 0
        self.errors = 0
        self.messages: dict[str, int] = {}
        """What went wrong, and how often."""
        self._summary = Summary()
        self._meters: PlayerMeters | None = None
        self._voices = Voices(rebuild)

    def add(self, episode: Episode) -> None:
        """Count one episode."""
        self.episodes += 1
        self._summary.add(episode)
        if _has_chain(episode):
            self._gauge(episode)
        self._voices.add(episode)
        if episode.ended == "error":
            self.errors += 1
            message = one_line(" ".join(filter(None, map(episode.error.get, ("where", "type", "message")))))
            self.messages[message] = self.messages.get(message, 0) + 1

    def rows(self) -> list[Row]:
        """Return one row for each pair of persona and assistant."""
        return self._summary.rows()

    def overall(self) -> list[Row]:
        """Return one row for each assistant, over everybody who came."""
        return self._summary.overall()

    @property
    def gauges(self) -> dict[str, Gauges]:
        """What the chains come to, by the assistant's name."""
        return {} if self._meters is None else self._meters.results()

    @property
    def fidelity(self) -> dict[str, Fidelity]:
        """What voices keep of their personas, by the user's name."""
        return self._voices.results()

    @property
    def unheard(self) -> dict[str, int]:
        """Why voices could not be measured, and in how many episodes."""
        return self._voices.problems

    def _gauge(self, episode: Episode) -> None:
        from gtalign_env.gauges import PlayerMeters  # only where a model plays: it takes longer to import than to count

        self._meters = self._meters or PlayerMeters()
        self._meters.add(episode)


def _has_chain(episode: Episode) -> bool:
    calls = [step.assistant.model for step in episode.steps]
    calls += [call for call in (episode.failed_call, episode.failed_call.get(ASSISTANT)) if isinstance(call, dict)]
    return any(call.get("chain") for call in calls)


def print_rows(rows: Sequence[Row], width: int, notes: Sequence[str] = ()) -> None:
    """Print the summary of a run on standard output, with notes below it."""
    from rich.text import Text

    from gtalign_env.replay.style import make_console, pick_scheme

    stream: Any = Trimmed(sys.stdout)
    console = make_console(stream, width=width, scheme=pick_scheme("auto"))
    table = summary_lines(rows, width) if width >= MIN_WIDTH else _stacked(rows)
    lines: list[Any] = [*table, *(Text(note, style="muted") for note in notes)]
    for line in lines:
        console.print(line)


def _stacked(rows: Sequence[Row]) -> list[Any]:
    """Return the summary as a few short lines for each pair: a narrow terminal has no room for its columns."""
    from rich.text import Text

    lines = []
    for row in rows:
        lines.append(Text.assemble((row.persona, "user"), " with ", (row.assistant, "assistant")))
        figures = [
            f"  n {row.episodes}  U {number(row.user)}  L {number(row.assistant_payoff)}",
            f"  √(U·L) {number(row.welfare)}{_sure(row)}  {_kept(row)}  err. {row.errors}",
        ]
        lines.extend(map(Text, figures))
    return [*lines, Text("")]


def _sure(row: Row) -> str:
    return "" if row.reach is None else f" ± {number(row.reach)}"


def _kept(row: Row) -> str:
    """Return harm done where there are replies, else how many moves were made."""
    return f"viol. {row.violations}" if row.moves is None else f"moves {number(row.moves, digits=1)}"


def number(value: float | None, *, digits: int = 2) -> str:
    """Return a number for a table, ``"—"`` for none.

    Example:
        >>> number(-0.5), number(-0.001), number(None)
        ('−0.50', '0.00', '—')
    """
    return "—" if value is None else f"{round(value, digits) + 0.0:.{digits}f}".replace("-", "−")
