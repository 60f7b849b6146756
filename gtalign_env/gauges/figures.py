"""The reliability plot: what was stated, against what came."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from gtalign_env.errors import UsageError, require
from gtalign_env.gauges.calibration import PayoffCalibration
from gtalign_env.gauges.meter import Gauges

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["ASSISTANT_COLOR", "INK", "MUTED", "USER_COLOR", "plain_axes", "reliability_figure"]

INK, MUTED = "#1f2328", "#5b636d"
USER_COLOR, ASSISTANT_COLOR = "#0550ae", "#7b2fb5"


def reliability_figure(found: Gauges | Mapping[str, Gauges], *, title: str = "") -> Figure:
    """Draw mean realised against mean stated payoffs, one panel for each side; on the diagonal a model keeps its word.

    Args:
        found: Gauges with a calibration, or those of several players by name, a row for each that has one. Points are as large
            as the turns that they stand for.
        title: The figure's heading.

    Raises:
        MissingExtraError: matplotlib is not installed.
        UsageError: There is nothing to draw.

    Example:
        >>> from gtalign_env.gauges import gauges
        >>> reliability_figure(gauges([]))
        Traceback (most recent call last):
        ...
        gtalign_env.errors.UsageError: reliability plot: expected at least one turn whose stated and realised payoffs are known
    """
    players = {"": found} if isinstance(found, Gauges) else dict(found)
    rows = [(name, one.user, one.assistant) for name, one in players.items() if one.user and one.assistant]
    if not rows:
        raise UsageError("reliability plot: expected at least one turn whose stated and realised payoffs are known")
    require("matplotlib", feature="drawing a figure", extra="plots")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.0, 4.8 * len(rows)), dpi=150, layout="constrained")
    panels = figure.subplots(len(rows), 2, squeeze=False)
    for (name, user, assistant), (left, right) in zip(rows, panels, strict=True):
        label = f"{name}\n" if len(rows) > 1 else ""
        _panel(left, user, f"{label}user", USER_COLOR)
        _panel(right, assistant, f"{label}assistant", ASSISTANT_COLOR)
    figure.suptitle(
        title or "Stated and realised payoffs", x=0.02, ha="left", fontsize=12, fontweight="bold", color=INK
    )
    return figure


def _panel(axes: Axes, side: PayoffCalibration, name: str, color: str) -> None:
    stated = np.array([point.stated for point in side.bins])
    realised = np.array([point.realised for point in side.bins])
    sizes = np.array([point.n for point in side.bins], dtype=np.float64)
    ends = np.array([min(stated.min(), realised.min()), max(stated.max(), realised.max())])
    room = 0.06 * max(float(np.ptp(ends)), 1.0)
    axes.plot(ends, ends, "--", color=MUTED, linewidth=0.9, zorder=1)
    axes.plot(stated, realised, color=color, linewidth=0.8, alpha=0.5, zorder=2)
    axes.scatter(stated, realised, s=20.0 + 180.0 * sizes / sizes.max(), color=color, alpha=0.75, zorder=3)
    axes.set_xlim(ends[0] - room, ends[1] + room)
    axes.set_ylim(ends[0] - room, ends[1] + room)
    axes.set_xlabel("stated (utils)", color=INK)
    axes.set_ylabel("realised (utils)", color=INK)
    rank = "—" if side.spearman is None else f"{side.spearman:.2f}"
    figures = f"n {side.n}, mean error {side.mae:.2f}, bias {side.bias:+.2f}\nrank correlation {rank}"
    axes.set_title(f"{name}: {figures}", loc="left", fontsize=9, color=MUTED)
    plain_axes(axes)


def plain_axes(axes: Axes) -> None:
    """Take away what a reader does not need."""
    axes.tick_params(colors=MUTED, labelsize=9)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(MUTED)
