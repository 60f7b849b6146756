"""Gauges as lines for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from gtalign_env.cli.common import make_console
from gtalign_env.cli.replay import counted
from gtalign_env.cli.tally import number
from gtalign_env.render import one_line

if TYPE_CHECKING:
    from rich.table import Table

    from gtalign_env.gauges import Agreement, Gauges, PayoffCalibration

__all__ = ["gauge_rows", "gauge_table", "print_gauges"]

_MOST = 6
"""Kinds that are listed one by one."""


def print_gauges(found: Mapping[str, Gauges], *, below: bool = True) -> None:
    """Print the gauges of each player on standard output; nothing where there is nothing to tell.

    Args:
        found: Gauges by the player's name, which is shown where there are several.
        below: Whether something stands above them.

    Example:
        >>> print_gauges({})
    """
    from rich.text import Text

    console = make_console()
    for place, (name, one) in enumerate(found.items()):
        if below or place:
            console.print()
        if len(found) > 1:
            console.print(Text(one_line(name), style="bold"))
        console.print(gauge_table(one))


def gauge_table(found: Gauges) -> Table:
    """Return the gauges as a table of two columns: what is measured, and what it came to.

    Example:
        >>> from gtalign_env.gauges import gauges
        >>> gauge_table(gauges([])).row_count
        1
    """
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, told in gauge_rows(found):
        table.add_row(Text(name), Text(told))
    return table


def gauge_rows(found: Gauges) -> Iterator[tuple[str, str]]:
    """Yield what is measured and what it came to; what is not known is left out.

    Example:
        >>> from gtalign_env.gauges import gauges
        >>> list(gauge_rows(gauges([])))
        [('chains', '0 turns in 0 episodes')]
    """
    readable = f", {found.matrices} with a matrix ({_percent(found.valid)})" if found.turns else ""
    plain = f"; without a chain: {found.plain}" if found.plain else ""
    where = f" in {counted(found.episodes, 'episode')}" if found.episodes or not found.turns else ""
    yield "chains", f"{counted(found.turns, 'turn')}{where}{readable}{plain}"
    if found.collapse is not None:
        one = found.collapse
        within = "" if one.within is None else f", {one.within:.1f} for a prompt that came again"
        told = f"most common {_percent(one.most_common_share)}, entropy {one.entropy:.2f} bits"
        yield "matrices", f"{one.distinct} different for {counted(one.prompts, 'prompt')}{within}; {told}"
    for name, side in (("user", found.user), ("assistant", found.assistant)):
        if side is not None:
            yield f"stated against realised, {name}", _calibration(side)
    for name, pairs in (
        ("announced = made", found.announced),
        ("announced = best by its own matrix", found.solved),
        ("announced = best without steering", found.unsteered),
    ):
        if pairs.n:
            yield name, _agreement(pairs)
    yield from _clarification(found)
    if found.harmful:
        yield "violations", f"{found.violations} of {found.harmful} requests that must be declined"
    if found.tokens:
        means = (f"{block} {count.mean:.1f}" for block, count in found.tokens.items())
        yield "tokens per turn", ", ".join(means)
    for name, kinds in (("failures", found.failures), ("episodes that broke off", found.errors)):
        if kinds:
            yield name, _counts(kinds)


def _calibration(side: PayoffCalibration) -> str:
    rank, slope = number(side.spearman), number(side.slope)
    told = f"mean error {number(side.mae)}, bias {number(side.bias)}, rank correlation {rank}, slope {slope}"
    return f"{told} (n {side.n}, utils)"


def _agreement(pairs: Agreement) -> str:
    different = {pair: count for pair, count in pairs.pairs.items() if len(set(pair.split(" → "))) > 1}
    told = f"{_percent(pairs.rate)} ({pairs.agree} of {pairs.n})"
    return f"{told}; apart: {_counts(different)}" if different else told


def _clarification(found: Gauges) -> Iterator[tuple[str, str]]:
    one = found.clarification
    if one.clear:
        yield (
            "over-clarification",
            f"{_percent(one.over)} ({one.asked_clear} of {one.clear} clear questions asked back)",
        )
    if one.vague:
        wrong = "" if one.under is None else f"{_percent(one.under)} answered in a wrong reading; "
        unasked = f"{_percent(one.unasked)} answered unasked ({one.answered_vague} of {one.vague} vague questions)"
        yield "under-clarification", wrong + unasked


def _counts(counts: Mapping[str, int]) -> str:
    shown = [f"{one_line(kind)} {count}" for kind, count in list(counts.items())[:_MOST]]
    return ", ".join(shown + ([f"… and {len(counts) - _MOST} more"] if len(counts) > _MOST else []))


def _percent(share: float | None) -> str:
    return "—" if share is None else f"{share:.0%}"
