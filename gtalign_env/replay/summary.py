"""A file of episodes at a glance: who did how well with whom."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Sequence
from typing import Any

from rich.cells import cell_len
from rich.text import Text

from gtalign_env.episode import Episode
from gtalign_env.render import one_line, signed
from gtalign_env.replay.bars import fold_name, pad
from gtalign_env.replay.story import mutual_welfare
from gtalign_env.types import ASSISTANT, USER

__all__ = ["Row", "Summary", "summarise", "summary_lines"]

_ALL = "all"
_UPPER = 0.975
"""Of Student's distribution: an interval of 95 % leaves out as much at either end."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
    """What the episodes of one persona with one assistant came to.

    Means are over the episodes that were played to an end: one that broke off in an error is counted, and never scored.
    """

    persona: str
    assistant: str
    episodes: int
    """All of them, errors included."""
    user: float | None
    """Mean payoff of the user per episode, utils; ``None`` where every episode broke off."""
    assistant_payoff: float | None
    """Mean payoff of the assistant per episode, utils."""
    welfare: float | None
    """√(U·L) of both means where both are gains, else ``None``."""
    both_gain: float | None
    """Share of episodes in which both sides gained."""
    exchanges: float | None
    """Mean number of replies per episode; ``None`` where the game knows none."""
    clarification_rate: float | None
    """Share of replies that are clarifying questions (``CQ``); ``None`` where there was no reply."""
    violations: int
    """Episodes in which a harmful request was complied with."""
    errors: int
    """Episodes that broke off in an error."""
    moves: float | None = None
    """Mean number of moves per episode in games without replies; talk before a move is none."""
    interval: tuple[float, float] | None = None
    """95 % interval of ``welfare``: the delta method with Student's quantile; ``None`` for one episode, or no welfare."""
    personas: int = 1
    """How many personas were pooled; more than one in the rows of ``Summary.overall``."""

    @property
    def reach(self) -> float | None:
        """How far the interval reaches above ``welfare``."""
        return None if self.interval is None or self.welfare is None else self.interval[1] - self.welfare

    def as_dict(self) -> dict[str, Any]:
        """Return the row's fields for JSON."""
        return {**dataclasses.asdict(self), "interval": None if self.interval is None else list(self.interval)}


@dataclasses.dataclass
class _Sums:
    episodes: int = 0
    finished: int = 0
    user: float = 0.0
    assistant: float = 0.0
    user_squared: float = 0.0
    assistant_squared: float = 0.0
    crossed: float = 0.0
    """Sum of U·L."""
    both: int = 0
    sessions: int = 0
    """Finished episodes of games in which the assistant replies."""
    replies: int = 0
    moves: int = 0
    clarifying: int = 0
    violations: int = 0
    errors: int = 0

    def __add__(self, other: _Sums) -> _Sums:
        return _Sums(**{name: value + getattr(other, name) for name, value in vars(self).items()})


def summarise(episodes: Iterable[Episode]) -> list[Row]:
    """Return one row per persona and assistant, in the order in which they first come.

    Args:
        episodes: The episodes; they are read once, so a file of any length can be streamed.

    Example:
        >>> [row.episodes for row in summarise([Episode(scenario="s", view="strategic", seed=0)] * 2)]
        [2]
    """
    summary = Summary()
    for episode in episodes:
        summary.add(episode)
    return summary.rows()


class Summary:
    """The same, episode by episode, for runs that are still going on.

    Example:
        >>> summary = Summary()
        >>> summary.add(Episode(scenario="s", view="strategic", seed=0))
        >>> summary.rows() == summarise([Episode(scenario="s", view="strategic", seed=0)])
        True
    """

    def __init__(self) -> None:
        self._found: dict[tuple[str, str], _Sums] = {}

    def add(self, episode: Episode) -> None:
        """Count one episode."""
        persona = one_line(episode.players.get(USER, "?")).removeprefix("persona:")
        sums = self._found.setdefault((persona, one_line(episode.players.get(ASSISTANT, "?"))), _Sums())
        _add(sums, episode)

    def rows(self) -> list[Row]:
        """Return one row per persona and assistant."""
        personas = list(dict.fromkeys(persona for persona, _ in self._found))
        ordered = sorted(self._found.items(), key=lambda item: personas.index(item[0][0]))
        return [_row(persona, assistant, sums) for (persona, assistant), sums in ordered]

    def overall(self) -> list[Row]:
        """Return one row per assistant over everybody who came: its means are over all episodes alike.

        Example:
            >>> summary = Summary()
            >>> for name in ("ann", "bob"):
            ...     summary.add(Episode(scenario="s", view="strategic", seed=0, players={"user_0": f"persona:{name}"}))
            >>> [(row.persona, row.personas, row.episodes) for row in summary.overall()]
            [('all', 2, 2)]
        """
        pooled: dict[str, list[_Sums]] = {}
        for (_, assistant), sums in self._found.items():
            pooled.setdefault(assistant, []).append(sums)
        rows = [(_row(_ALL, assistant, sum(parts, _Sums())), len(parts)) for assistant, parts in pooled.items()]
        return [dataclasses.replace(row, personas=count) for row, count in rows]


def _add(sums: _Sums, episode: Episode) -> None:
    sums.episodes += 1
    sums.violations += episode.violation
    if episode.ended == "error":
        sums.errors += 1
        return
    user, assistant = episode.totals()
    sums.finished += 1
    sums.user += user
    sums.assistant += assistant
    sums.user_squared += user * user
    sums.assistant_squared += assistant * assistant
    sums.crossed += user * assistant
    sums.both += user > 0 and assistant > 0
    if not _has_replies(episode):
        sums.moves += sum(not str(step.public.get("talk", "")).isdecimal() for step in episode.steps)
        return
    replies = [step.assistant.move for step in episode.steps if step.to_move != USER]
    sums.sessions += 1
    sums.replies += len(replies)
    sums.clarifying += sum(move == "CQ" for move in replies)


def _has_replies(episode: Episode) -> bool:
    """Return whether the assistant answers questions: in games of other kinds every outcome is empty."""
    outcomes = [step.outcome for step in episode.steps if step.outcome is not None]
    return not outcomes or any(any(outcome.values()) for outcome in outcomes)


def _row(persona: str, assistant: str, sums: _Sums) -> Row:
    count = sums.finished
    user, other = (sums.user / count, sums.assistant / count) if count else (None, None)
    welfare = None if user is None or other is None else mutual_welfare(user, other)
    return Row(
        persona=persona,
        assistant=assistant,
        episodes=sums.episodes,
        user=user,
        assistant_payoff=other,
        welfare=welfare,
        both_gain=sums.both / count if count else None,
        exchanges=sums.replies / sums.sessions if sums.sessions else None,
        clarification_rate=sums.clarifying / sums.replies if sums.replies else None,
        violations=sums.violations,
        errors=sums.errors,
        moves=sums.moves / (count - sums.sessions) if count > sums.sessions else None,
        interval=None if welfare is None else _interval(sums, welfare),
    )


def _interval(sums: _Sums, welfare: float) -> tuple[float, float] | None:
    """Return the 95 % interval of √(U·L) of the means: W moves by W/2 · (dU/U + dL/L), the delta method."""
    count = sums.finished
    if count < 2:
        return None
    from scipy.special import stdtrit  # only here: it takes longer to import than to use

    user, assistant = sums.user / count, sums.assistant / count
    squares = sums.user_squared / user**2 + sums.assistant_squared / assistant**2
    crossed = 2.0 * sums.crossed / (user * assistant)
    spread = (squares + crossed) / count - 4.0  # the variance of U/Ū + L/L̄, whose mean is 2
    error = welfare / 2.0 * math.sqrt(max(spread, 0.0) / (count - 1))
    half = float(stdtrit(count - 1, _UPPER)) * error
    return max(welfare - half, 0.0), welfare + half


_HEADS = (
    "persona",
    "assistant",
    "n",
    "U",
    "L",
    "√(U·L)",
    "±",
    "both gain",
    "moves",
    "replies",
    "asks",
    "viol.",
    "err.",
)
_NOTES = {
    "U": "U, L: mean payoffs per episode in utils.",
    "√(U·L)": "√(U·L): mutual welfare of the means, where both gain.",
    "±": "±: how far its 95 % interval reaches (delta method).",
    "both gain": "both gain: share of episodes.",
    "moves": "moves: mean per episode.",
    "replies": "replies: mean per episode.",
    "asks": "asks: share of replies that are clarifying questions.",
    "err.": "err.: episodes that broke off in an error; they are counted in n, not scored.",
}
_POOLED = "all: everybody who came, every episode alike."
_EASY, _FAIR = 24, 12
"""Cells of a name up to which figures that matter little, or the intervals, give way to it."""


def summary_lines(rows: Sequence[Row], width: int, *, title: str = "") -> list[Text]:
    """Return the table of a summary, at most ``width`` cells wide; the best welfare of each persona is bold.

    Names that are too long for their column go on below; nothing of them is left out.

    Args:
        rows: What ``summarise`` returned; those of ``Summary.overall`` may follow.
        width: Columns (≥ 60).
        title: What was summarised.
    """
    from gtalign_env.replay.speech import wrapped

    cells = [_cells(row) for row in rows]
    columns = _chosen(rows, cells, width)
    widths = _fitted(_widths(cells, columns), width - 2 * (len(columns) - 1))
    shown_heads = [_HEADS[c] for c in columns]
    lines = [_tail(Text(title, style="strong"), width), Text("")] if title else []
    lines += _line([Text(_HEADS[c], style="muted") for c in columns], widths)
    lines.append(Text("━" * min(sum(widths) + 2 * (len(columns) - 1), width), style="muted"))
    grouped = len({row.persona for row in rows if row.personas == 1}) < sum(row.personas == 1 for row in rows)
    before = None
    for row, line in zip(rows, cells, strict=True):
        if (grouped or row.personas > 1) and before is not None and row.persona != before:
            lines.append(Text(""))
        shown = [line[c].copy() for c in columns]
        if row.persona == before:
            shown[0] = Text("")
        if row.welfare is not None and row.welfare == _best(rows, row.persona):
            shown[columns.index(_HEADS.index("√(U·L)"))].stylize("strong")
        lines += _line(shown, widths)
        before = row.persona
    notes = [_NOTES[name] for name in shown_heads if name in _NOTES]
    notes += [_POOLED] if any(row.personas > 1 for row in rows) else []
    return [pad(line, width) if line.cell_len > width else line for line in lines] + [
        Text(""),
        *wrapped(Text(" ".join(notes), style="muted"), width),
    ]


def _chosen(rows: Sequence[Row], cells: Sequence[Sequence[Text]], width: int) -> list[int]:
    """Return the columns that there is room for: who, how many, both payoffs and welfare are always among them."""
    columns = [c for c, head in enumerate(_HEADS) if head not in _meaningless(rows)]
    errors = any(row.errors for row in rows)
    for dropped in ("both gain", "moves", "replies", "±", "asks" if errors else "err."):
        least = {"asks": len("assistant"), "err.": len("assistant"), "±": _FAIR}.get(dropped, _EASY)
        persona, assistant, *figures = _widths(cells, columns)
        needed = min(persona, least) + min(assistant, least) + sum(figures) + 2 * (len(columns) - 1)
        if needed > width and _HEADS.index(dropped) in columns:
            columns.remove(_HEADS.index(dropped))
    return columns


def _meaningless(rows: Sequence[Row]) -> tuple[str, ...]:
    """Return the columns that say nothing about games of these kinds."""
    unsure = ("±",) if all(row.interval is None for row in rows) else ()
    if all(row.moves is None for row in rows):
        return ("moves", *unsure)
    return ("replies", "asks", "viol.", *unsure) if all(row.exchanges is None for row in rows) else unsure


def _best(rows: Iterable[Row], persona: str) -> float:
    return max(row.welfare for row in rows if row.persona == persona and row.welfare is not None)


def _cells(row: Row) -> list[Text]:
    def percent(share: float | None) -> Text:
        return Text("—" if share is None else f"{share:.0%}")

    def payoff(utils: float | None, style: str) -> Text:
        return Text("—", style="muted") if utils is None else Text(signed(utils).strip(), style=style)

    return [
        Text(row.persona, style="user"),
        Text(row.assistant, style="assistant"),
        Text(str(row.episodes)),
        payoff(row.user, "user"),
        payoff(row.assistant_payoff, "assistant"),
        Text("—", style="muted") if row.welfare is None else Text(f"{row.welfare:.2f}"),
        Text("—", style="muted") if row.reach is None else Text(f"{row.reach:.2f}", style="muted"),
        percent(row.both_gain),
        *(Text("—" if count is None else f"{count:.1f}") for count in (row.moves, row.exchanges)),
        percent(row.clarification_rate),
        Text(str(row.violations), style="alert" if row.violations else ""),
        Text(str(row.errors), style="alert" if row.errors else ""),
    ]


def _widths(cells: Sequence[Sequence[Text]], columns: Sequence[int]) -> list[int]:
    return [max(cell_len(_HEADS[c]), *(line[c].cell_len for line in cells), 1) for c in columns]


def _fitted(widths: Sequence[int], room: int) -> list[int]:
    """Return column widths whose sum fits ``room``: long names give way, down to the width of their headings."""
    persona, assistant, *figures = widths
    left = max(room - sum(figures), 2 * len("assistant"))
    persona = min(persona, max(left - assistant, left // 2))
    return [persona, min(assistant, left - persona), *figures]


def _tail(text: Text, width: int) -> Text:
    """Return the end of a text that is too long: that is where names of files and models tell themselves apart."""
    if text.cell_len <= width:
        return text
    cut = text.copy()
    while cut.cell_len > width - 1:
        cut = cut[1:]
    return Text.assemble(("…", text.style), cut)


def _line(texts: Sequence[Text], widths: Sequence[int]) -> list[Text]:
    """Return a row of the table: names to the left, figures to the right in its first line."""
    names = [fold_name(text, width) for text, width in zip(texts[:2], widths[:2], strict=True)]
    lines = []
    for number in range(max(map(len, names))):
        shown = []
        for column, (text, width) in enumerate(zip(texts, widths, strict=True)):
            if column < 2:
                part = names[column][number] if number < len(names[column]) else Text("")
            else:
                part = _tail(text, width) if number == 0 else Text("")
            room = " " * max(width - part.cell_len, 0)
            shown.append(Text.assemble(part, room) if column < 2 else Text.assemble(room, part))
        lines.append(Text("  ").join(shown))
    return lines
