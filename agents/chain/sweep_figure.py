"""A sweep as a picture: payoffs, tokens, and which move is chosen, along the price."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from gtalign_env.agents.chain.sweep_result import Sweep
from gtalign_env.errors import UsageError, require
from gtalign_env.gauges.figures import ASSISTANT_COLOR, INK, USER_COLOR, plain_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["sweep_figure"]

_STYLES = ("-", "--", ":", "-.")
_MOVES = ("#0e8390", "#a07400", "#b3141f", "#016648", "#5b636d", "#d68a00", "#7b2fb5", "#0077cc")


def sweep_figure(sweeps: Sequence[Sweep], *, title: str = "") -> Figure:
    """Draw sweeps over the same rates: one line style for each.

    Args:
        sweeps: At least one; the shares of moves are those of the first. Where they are several players', their names are told.
        title: The figure's heading.

    Raises:
        MissingExtraError: matplotlib is not installed.
        UsageError: There is nothing to draw.

    Example:
        >>> sweep_figure([])
        Traceback (most recent call last):
        ...
        gtalign_env.errors.UsageError: sweep: expected at least one sweep with a point at which something was chosen
    """
    if not any(point.n for made in sweeps for point in made.points):
        raise UsageError("sweep: expected at least one sweep with a point at which something was chosen")
    require("matplotlib", feature="drawing a figure", extra="plots")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.0, 9.6), dpi=150, layout="constrained")
    panels = figure.subplots(4, 1, sharex=True, height_ratios=(3, 2, 1.4, 3))
    payoffs, tokens, switched, shares = panels
    several = len({made.player for made in sweeps}) > 1
    for made, style in zip(sweeps, _cycled(len(sweeps)), strict=True):
        suffix = f" ({made.label(player=several)})" if len(sweeps) > 1 else ""
        for name, color in (("user", USER_COLOR), ("assistant", ASSISTANT_COLOR), ("welfare", INK)):
            _line(payoffs, made, name, label=name + suffix, color=color, linestyle=style)
        for axes, name in ((tokens, "tokens"), (switched, "switched")):
            _line(axes, made, name, label=suffix.strip()[1:-1] or "_", color=INK, linestyle=style)
    _stacked(shares, sweeps[0])
    payoffs.set_ylabel("stated payoff (utils)", color=INK)
    tokens.set_ylabel("expected tokens", color=INK)
    switched.set_ylabel("switched", color=INK)
    switched.set_ylim(-0.05, 1.05)
    shares.set_ylabel("share of moves", color=INK)
    shares.set_xlabel(f"{sweeps[0].setting} (credits)", color=INK)
    for axes in panels:
        plain_axes(axes)
    for axes in (payoffs, *([tokens] if len(sweeps) > 1 else []), shares):
        axes.legend(frameon=False, fontsize=8, labelcolor=INK, loc="center left", bbox_to_anchor=(1.01, 0.5))
    figure.suptitle(
        title or f"Chosen by {sweeps[0].chosen_by}", x=0.02, ha="left", fontsize=12, fontweight="bold", color=INK
    )
    return figure


def _line(axes: Axes, made: Sweep, name: str, **style: Any) -> None:
    rates = [point.rate for point in made.points]
    values = [np.nan if getattr(point, name) is None else getattr(point, name) for point in made.points]
    axes.plot(rates, values, marker="o", markersize=3, linewidth=1.4, **style)


def _stacked(axes: Axes, made: Sweep) -> None:
    moves = [move for move in made.tokens_by_move if any(point.shares.get(move) for point in made.points)]
    heights = [[point.shares.get(move, 0.0) for point in made.points] for move in moves]
    colors = [_MOVES[at % len(_MOVES)] for at in range(len(moves))]
    axes.stackplot([point.rate for point in made.points], heights, labels=moves, colors=colors, alpha=0.8)
    axes.set_ylim(0.0, 1.0)


def _cycled(count: int) -> list[str]:
    return [_STYLES[at % len(_STYLES)] for at in range(count)]
