"""How ``gtalign solve --pricing P,P`` shows what prices do: a row for each policy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from rich.text import Text

from gtalign_env.cli.solve_words import fact_lines, pair
from gtalign_env.cli.tally import number
from gtalign_env.replay.speech import wrapped

if TYPE_CHECKING:
    from gtalign_env.mechanism import PricingRow
    from gtalign_env.mechanism.report import Cell

__all__ = ["price_lines"]

_PLAY = ("pricing", "equilibrium", "U", "L", "optimum", "U", "L", "loss")
_MONEY = ("price", "surplus", "profit", "asks", "should", "wedge", "out", "excess")
_WORDS = ("pricing", "equilibrium", "optimum")
_GAP = "  "
_LEGEND = (
    "U, L: payoffs of the exchange and what follows it, utils. Beside a cell: the share of states that it solves. "
    "optimum: the cell of the largest sum, which transfers leave where it is. price, surplus, profit: paid, left to users, "
    "left to the provider, in equilibrium. loss: the sum at the optimum less the sum in equilibrium. asks, should: share of "
    "states in which asking pays the assistant, and pays both together; wedge: how far its threshold for asking lies above "
    "the one at which it should ask. out: users who would rather stay away. excess: tokens of an answer beyond what its "
    "reader wants."
)


def price_lines(rows: Sequence[PricingRow], width: int, *, one_state: bool) -> list[Text]:
    """Return a pricing report for people: one table, two of half its columns, or a few lines for each policy.

    Args:
        rows: The report.
        width: Columns.
        one_state: Whether it is about one state; else about all openings.

    Example:
        >>> from gtalign_env.mechanism import pricing_report
        >>> from gtalign_env.registration import make_scenario
        >>> rows = pricing_report(make_scenario("assist"), pricings=["subscription", "per_token"])
        >>> [line.plain.split()[0] for line in price_lines(rows, 160, one_state=False)[2:4]]
        ['subscription', 'per_token']
    """
    states = "one state" if one_state else f"the {rows[0].states} opening states, by their chance"
    table = [_PLAY + _MONEY, *(_cells(row) for row in rows)]
    halves = [[row[: len(_PLAY)] for row in table], [row[:1] + row[len(_PLAY) :] for row in table]]
    lines = [Text(f"payoffs in {states}", style="muted")]
    if _table_width(table) <= width:
        lines += _table(table)
    elif max(map(_table_width, halves)) <= width:
        lines += [*_table(halves[0]), Text(""), *_table(halves[1])]
    else:
        for row in rows:
            lines += [Text(""), *wrapped(Text(row.pricing, style="strong"), width), *fact_lines(_facts(row), width)]
    return [*lines, Text(""), *wrapped(Text(_LEGEND, style="muted"), width)]


def _table_width(table: Sequence[Sequence[str]]) -> int:
    return sum(_widths(table)) + len(_GAP) * (len(table[0]) - 1)


def _widths(table: Sequence[Sequence[str]]) -> list[int]:
    return [max(map(len, column)) for column in zip(*table, strict=True)]


def _table(table: Sequence[Sequence[str]]) -> list[Text]:
    words = [head in _WORDS for head in table[0]]
    lines: list[Text] = []
    for row in table:
        cells = [
            cell.ljust(wide) if is_word else cell.rjust(wide)
            for cell, wide, is_word in zip(row, _widths(table), words, strict=True)
        ]
        lines.append(Text(_GAP.join(cells), style="" if lines else "muted"))
    return lines


def _cells(row: PricingRow) -> tuple[str, ...]:
    asking = row.asking
    figures = (asking.asks, asking.should_ask) if asking is not None else (None, None)
    return (
        row.pricing,
        _most(row.pure_nash),
        number(row.at_equilibrium.user),
        number(row.at_equilibrium.assistant),
        _most(row.optimum),
        number(row.at_optimum.user),
        number(row.at_optimum.assistant),
        number(row.deadweight_loss),
        number(row.price),
        number(row.consumer_surplus),
        number(row.profit),
        *map(_share, figures),
        number(None if asking is None else asking.wedge),
        _share(row.exclusion_rate),
        number(row.verbosity_excess, digits=0),
    )


def _facts(row: PricingRow) -> Iterator[tuple[str, str]]:
    at, best, asking = row.at_equilibrium, row.at_optimum, row.asking
    yield "equilibrium", f"{_most(row.pure_nash)} ({_payoffs(at)})"
    yield "optimum", f"{_most(row.optimum)} ({_payoffs(best)})"
    yield "money", f"price {number(row.price)}, surplus {number(row.consumer_surplus)}, profit {number(row.profit)}"
    yield "loss", number(row.deadweight_loss)
    if asking is not None:
        yield "asks", f"{_share(asking.asks)}, should {_share(asking.should_ask)}, wedge {number(asking.wedge)}"
    yield "out", _share(row.exclusion_rate)
    yield "excess", f"{number(row.verbosity_excess, digits=0)} tokens"


def _payoffs(point: Any) -> str:
    return pair(round(point.user, 2), round(point.assistant, 2))


def _most(cells: Sequence[Cell]) -> str:
    """Return the cell that solves the most states, with their share where it is not all of them."""
    if not cells:
        return "mixed"
    first = cells[0]
    share = "" if first.share > 1 - 1e-9 else f" {_share(first.share)}"
    return f"{first.user_move}_{first.assistant_move}{share}"


def _share(share: float | None) -> str:
    return "—" if share is None else f"{share:.0%}"
