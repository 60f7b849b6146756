"""How ``gtalign tournament`` shows its results: the table of pairs, the ranking, the meta-game in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from rich.table import Table
from rich.text import Text

from gtalign_env.cli.tally import number
from gtalign_env.games.cells import pareto_cells, pure_nash_cells
from gtalign_env.replay.bars import fold_name

if TYPE_CHECKING:
    from gtalign_env.tournament import CrossPlay

__all__ = ["tournament_lines"]

_NASH, _PARETO = "●", "◆"
_HEAD = 24
"""Cells of an assistant's name above its column; a longer one goes on below."""
_LISTED = 12
"""Equilibria and removals that are listed."""


def tournament_lines(played: CrossPlay, report: Mapping[str, Any], width: int) -> Iterator[Any]:
    """Yield what to print, part by part.

    Args:
        played: The payoffs.
        report: The results as plain data, of the same play.
        width: Columns of the output.

    Example:
        >>> from gtalign_env.tournament import CrossPlay
        >>> one = CrossPlay(users=("a",), assistants=("b",), payoffs=np.zeros((1, 1, 1, 2)))
        >>> meta = {"nash": [], "nash_complete": True, "dominance_log": [], "stability": None}
        >>> parts = list(tournament_lines(one, {"ranking": [], "episodes": 1, "level": 0.95, "meta_game": meta}, 80))
        >>> parts[0].plain
        'mean payoff per episode: user, assistant'
    """
    yield from _pairs(played, report, width)
    yield Text("")
    yield Text("ranking: mean over all opponents", style="bold")
    yield _ranking(report)
    yield Text("")
    yield Text("the game of whom to send", style="bold")
    yield from _meta(report)


def _pairs(played: CrossPlay, report: Mapping[str, Any], width: int) -> Iterator[Any]:
    """Yield the table of all pairs, in as many parts as the width asks for."""
    means = played.means
    nash, pareto = (cells(means[..., 0], means[..., 1]) for cells in (pure_nash_cells, pareto_cells))
    yield Text("mean payoff per episode: user, assistant", style="bold")
    shown = [
        [_cell(means[i, j], bool(nash[i, j]), bool(pareto[i, j])) for j in range(len(played.assistants))]
        for i in range(len(played.users))
    ]
    name = max(map(len, played.users)) + 2
    heads = [fold_name(Text(assistant), _HEAD) for assistant in played.assistants]
    columns = [
        max(*(line.cell_len for line in heads[j]), *(len(row[j].plain) for row in shown)) + 2 for j in range(len(heads))
    ]
    first = 0
    while first < len(columns):
        last = first + 1
        while last < len(columns) and name + sum(columns[first : last + 1]) <= width:
            last += 1
        table = _table()
        table.add_column("user \\ assistant" if name > 17 else "", style="cyan", no_wrap=True)
        for j in range(first, last):
            table.add_column(Text("\n").join(heads[j]), justify="right", no_wrap=True, header_style="cyan")
        for i, user in enumerate(played.users):
            table.add_row(Text(user), *shown[i][first:last])
        yield table
        first = last
    spread, episodes = _widest(report), report["episodes"]
    count = f"{episodes} episode{'s' * (episodes != 1)} a pair"
    yield Text(f"{_NASH} pure equilibrium of the table   {_PARETO} Pareto-optimal   {count}", style="dim")
    if spread:
        yield Text(
            f"{report['level']:.0%} intervals of these means reach at most {number(spread)} to a side", style="dim"
        )


def _table() -> Table:
    return Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))


def _cell(payoffs: Any, nash: bool, pareto: bool) -> Text:
    signs = (_NASH if nash else "") + (_PARETO if pareto else "")
    return Text.assemble((f"{signs} " if signs else "", "yellow"), f"{number(payoffs[0])}, {number(payoffs[1])}")


def _widest(report: Mapping[str, Any]) -> float:
    """Return how far the widest interval reaches from its mean."""
    reach = [0.0]
    for grids in report.get("payoffs", {}).values():
        if grids["low"] is None:  # one episode a pair
            continue
        mean, low, high = (np.asarray(grids[name]) for name in ("mean", "low", "high"))
        reach += [float((mean - low).max()), float((high - mean).max())]
    widest = max(reach)
    return widest if widest > 1e-9 else 0.0


def _ranking(report: Mapping[str, Any]) -> Table:
    both = all(row["chair"] == "both" for row in report["ranking"])
    table = _table()
    for column, style in (("player", "cyan"), ("chair", ""), ("mean", "bold"), (f"{report['level']:.0%} interval", "")):
        if not (both and column == "chair"):
            justify: Literal["left", "right"] = "left" if column in ("player", "chair") else "right"
            table.add_column(column, justify=justify, style=style, overflow="fold", no_wrap=column != "player")
    for column in ("as user", "as assistant") if both else ():
        table.add_column(column, justify="right")
    for row in report["ranking"]:
        sure = "—" if row["low"] is None else f"{number(row['low'])} … {number(row['high'])}"
        cells = [row["player"], *([] if both else [row["chair"]]), number(row["score"]), sure]
        cells += [number(row["as_user"]), number(row["as_assistant"])] if both else []
        table.add_row(*map(Text, cells))
    return table


def _meta(report: Mapping[str, Any]) -> Iterator[Text]:
    meta = report["meta_game"]
    for one in meta["nash"][:_LISTED]:
        worth = f"({number(one['payoffs']['user'])}, {number(one['payoffs']['assistant'])})"
        yield Text(f"equilibrium  {_mix(one['user'])}  with  {_mix(one['assistant'])}  {worth}")
    if len(meta["nash"]) > _LISTED:
        yield Text(f"             … and {len(meta['nash']) - _LISTED} more: see --json", style="dim")
    if not meta["nash_complete"]:
        yield Text("             so many players: those that mix are not listed", style="dim")
    log = meta["dominance_log"]
    if not log:
        yield Text("dominance    nobody is strictly dominated")
    for removal in log[:_LISTED]:
        by = removal["by"] if isinstance(removal["by"], str) else _mix(removal["by"])
        yield Text(f"dominance    round {removal['round']}: the {removal['role']}'s {removal['move']}, by {by}")
    if len(log) > _LISTED:
        yield Text(f"             … and {len(log) - _LISTED} more: see --json", style="dim")
    if meta["stability"] is None:
        yield Text("stability    unknown: one episode a pair says nothing about chance")
        return
    share = f"{100 * meta['stability']:.1f}".removesuffix(".0")
    yield Text(
        f"stability    the pure equilibria stay the same in {share} % of {meta['resamples']:,} resamples of the episodes"
    )


def _mix(chances: Mapping[str, float] | Sequence[str]) -> str:
    assert isinstance(chances, Mapping)
    if len(chances) == 1:
        return next(iter(chances))
    return " + ".join(f"{chance:.3g} {name}" for name, chance in chances.items())
