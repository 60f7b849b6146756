"""Figures, drawn with matplotlib (extra ``plots``): games in payoff space.

A figure is written at once or not at all, and the same game gives the same bytes of SVG.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gtalign_env.errors import UsageError, require
from gtalign_env.games.hull import hull_vertices
from gtalign_env.solution.space import PayoffSpace, Point, merged
from gtalign_env.welfare import make_welfare

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["SUFFIXES", "check_suffix", "payoff_figure", "save_figure"]

SUFFIXES: tuple[str, ...] = (".png", ".svg")
"""Kinds of file that a figure can be written to."""
_INK, _MUTED, _HULL = "#1f2328", "#5b636d", "#e8eef5"
_NASH, _FRONT, _BEST, _BARGAIN = "#b3141f", "#0e8390", "#a07400", "#7b2fb5"
_MOST_CELLS = 12
"""Outcomes up to which all are named; of more, those that are marked."""
_MOST_LABELS = 24
"""Names that a figure has room for."""
_MOST_LETTERS = 360
"""Letters of all names together that it has room for."""
_LONGEST_NAME = 44
_LONGEST_ENTRY = 42
"""Characters of a legend entry that leaves room for three columns."""
_FONT = 8.5
"""Size of the names of points, in points."""
_DIRECTIONS = [np.array(way) for way in ((0, 1), (0, -1), (1, 0), (-1, 0), (1, 1), (-1, 1), (1, -1), (-1, -1))]
_AGREEMENT = "bargaining: "


def check_suffix(path: Path) -> None:
    """Refuse a file that is no picture, before anything is computed.

    Raises:
        UsageError: The name ends in something else than one of ``SUFFIXES``, or its folder does not exist.

    Example:
        >>> check_suffix(Path("game.svg"))
    """
    if path.suffix.lower() not in SUFFIXES:
        raise UsageError(f"plot {path}: expected a file whose name ends in {' or '.join(SUFFIXES)}")
    if path.is_dir() or not path.resolve().parent.is_dir():
        raise UsageError(f"plot {path}: expected a file in a folder that exists")


def payoff_figure(space: PayoffSpace, *, title: str = "") -> Figure:
    """Draw a game in payoff space: outcomes, their hull, the Pareto front, equilibria, bargaining points, the optimum.

    Args:
        space: What to show; a solution's ``payoff_space()`` returns it.
        title: The figure's heading.

    Raises:
        MissingExtraError: matplotlib is not installed.

    Example:
        >>> from gtalign_env.solution import solve
        >>> from gtalign_env.games import Bimatrix
        >>> game = Bimatrix([[3, 0], [5, 1]], [[3, 5], [0, 1]], ("split", "steal"), ("split", "steal"))
        >>> payoff_figure(solve(game).payoff_space()).axes[0].get_xlabel()
        "user's payoff U (utils)"
    """
    require("matplotlib", feature="drawing a figure", extra="plots")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.0, 6.8), dpi=150, layout="constrained")
    axes: Axes = figure.add_subplot()
    cells = merged(space.cells)
    space = dataclasses.replace(space, others=merged(space.others))
    _frame(axes, [*cells, *space.others], space.disagreement, title)
    _hull(axes, cells)
    _front(axes, cells)
    _contour(axes, cells, space)
    _points(axes, cells, space)
    entries = axes.get_legend_handles_labels()[1]
    figure.legend(
        loc="outside lower center",
        ncols=2 if max(map(len, entries)) > _LONGEST_ENTRY else 3,
        frameon=False,
        fontsize=9,
        labelcolor=_INK,
        markerscale=0.6,
        labelspacing=0.6,
    )
    figure.draw_without_rendering()  # names are placed where the layout leaves room for them
    _labels(axes, cells, space)
    return figure


def save_figure(figure: Figure, path: str | Path) -> None:
    """Write a figure as ``.png`` or ``.svg``; the file appears whole or not at all.

    Raises:
        UsageError: The name ends in something else, or its folder does not exist.
    """
    import matplotlib as mpl

    path = Path(path)
    check_suffix(path)
    kind = path.suffix.lower()[1:]
    partial = path.with_name(path.name + ".part")
    metadata = {"Date": None} if kind == "svg" else {"Software": None}
    try:
        with mpl.rc_context({"svg.hashsalt": "gtalign", "svg.fonttype": "path"}):
            figure.savefig(partial, format=kind, metadata=metadata)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


# -- layers, from the back to the front ---------------------------------------------------------------------------------


def _frame(axes: Axes, points: Sequence[Point], disagreement: tuple[float, float], title: str) -> None:
    """Set the window: all points and the disagreement point, with room for names."""
    places = np.array([disagreement, *((point.user, point.assistant) for point in points)])
    low, high = places.min(axis=0), places.max(axis=0)
    room = np.maximum((high - low) * 0.12, 0.02 * np.maximum(np.abs(high), 1.0))
    axes.set_xlim(low[0] - room[0], high[0] + room[0])
    axes.set_ylim(low[1] - room[1], high[1] + room[1])
    axes.set_xlabel("user's payoff U (utils)", color=_INK)
    axes.set_ylabel("assistant's payoff L (utils)", color=_INK)
    head, _, rest = title.partition(" · ")
    axes.set_title(rest, loc="left", fontsize=9, color=_MUTED, wrap=True)
    axes.figure.suptitle(head, x=0.02, ha="left", fontsize=12, fontweight="bold", color=_INK)
    axes.tick_params(colors=_MUTED, labelsize=9)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(_MUTED)
    axes.axhline(disagreement[1], color=_MUTED, linewidth=0.6, zorder=1)
    axes.axvline(disagreement[0], color=_MUTED, linewidth=0.6, zorder=1)
    axes.plot(*disagreement, "+", color=_INK, markersize=11, markeredgewidth=1.6, zorder=6, label="disagreement", ls="")


def _hull(axes: Axes, cells: Sequence[Point]) -> None:
    places = _array(cells)
    corners = hull_vertices(*places.T)
    if len(corners) > 1:
        axes.fill(
            *places[corners].T, facecolor=_HULL, edgecolor="#b6c4d4", linewidth=0.9, zorder=0, label="convex hull"
        )


def _front(axes: Axes, cells: Sequence[Point]) -> None:
    """Draw the front as stairs: what lies beyond them, no outcome reaches."""
    front = _array(sorted((point for point in cells if "pareto" in point.marks), key=lambda point: point.user))
    if len(front) > 1:
        axes.step(*front.T, where="pre", color=_FRONT, linewidth=1.4, alpha=0.75, zorder=2)
    axes.plot(*front.T, "D", color=_FRONT, markersize=8.5, ls="", zorder=4, label="Pareto-optimal")


def _contour(axes: Axes, cells: Sequence[Point], space: PayoffSpace) -> None:
    """Draw the line of equal welfare through the optimum, where both sides gain."""
    best = next((point for point in cells if "optimum" in point.marks), None)
    if not space.welfare or best is None:
        return
    value = make_welfare(space.welfare)
    level = float(value(best.user, best.assistant))
    grid = [np.linspace(*bounds, 400) for bounds in (axes.get_xlim(), axes.get_ylim())]
    user, assistant = np.meshgrid(*grid)
    worth = np.asarray(value(user, assistant), dtype=np.float64)
    if worth.min() < level < worth.max():
        axes.contour(user, assistant, worth, levels=[level], colors=_BEST, linewidths=1.2, linestyles="--", zorder=2)
        name = f"equal {space.welfare.replace('_', '–')} welfare"
        if level < 0 and float(value(-1.0, 2.0)) == -1.0:  # where a side loses, only the smaller gain counts
            name = "equal loss of the worse-off side"
        axes.plot([], [], "--", color=_BEST, linewidth=1.2, label=name)


def _points(axes: Axes, cells: Sequence[Point], space: PayoffSpace) -> None:
    everything = (*cells, *space.others)

    def draw(points: Sequence[Point], label: str, **style: Any) -> None:
        if points:
            axes.plot(*_array(points).T, ls="", label=label, **style)

    def having(mark: str, points: Sequence[Point]) -> list[Point]:
        return [point for point in points if mark in point.marks]

    ring = {"fillstyle": "none", "zorder": 5}
    draw([p for p in cells if "pareto" not in p.marks], space.outcomes, marker="o", ms=6, color="#8b98a8", zorder=3)
    draw(having("nash", cells), space.nash, marker="o", ms=15, color=_NASH, mew=2, **ring)
    mixed = having("nash", space.others)
    draw(mixed, "mixed equilibrium", marker="X", ms=9, color=_NASH, mec="white", zorder=6)
    for (names, found), marker in zip(_agreements(cells), "s^vh", strict=False):
        draw(found, f"bargaining: {names}", marker=marker, ms=19, color=_BARGAIN, mew=1.3, **ring)
    for (names, found), marker in zip(_agreements(space.others), "s^vh", strict=False):
        draw(found, f"bargaining with chance: {names}", marker=marker, ms=9, color=_BARGAIN, mec="white", zorder=6)
    draw(having("optimum", cells), "welfare optimum", marker="*", ms=13, color="#f2c230", mec=_INK, mew=0.7, zorder=7)
    draw(having("choice", everything), "criterion's choice", marker="s", ms=25, color=_INK, mew=1, **ring)


def _agreements(points: Sequence[Point]) -> list[tuple[str, list[Point]]]:
    """Return the bargaining solutions with their points; solutions that pick the same points go together."""
    found: dict[str, list[Point]] = {}
    for point in points:
        for mark in point.marks:
            if mark.startswith(_AGREEMENT):
                found.setdefault(mark.removeprefix(_AGREEMENT).replace("_", "–"), []).append(point)
    groups: dict[tuple[int, ...], list[str]] = {}
    for name, here in found.items():
        groups.setdefault(tuple(map(id, here)), []).append(name)
    return [(", ".join(names), found[names[0]]) for names in groups.values()]


# -- names beside points --------------------------------------------------------------------------------------------------


def _labels(axes: Axes, cells: Sequence[Point], space: PayoffSpace) -> None:
    """Name the points, each where its name covers the fewest other names and points."""
    from matplotlib.patheffects import withStroke

    shown = _named(cells)
    halo = [withStroke(linewidth=2.5, foreground="white")]  # keeps a name readable where it meets a line
    everything = [*cells, *space.others]
    places = axes.transData.transform(_array(everything)) * 72.0 / axes.figure.dpi  # points, 1/72 inch
    radii = np.array([_radius(point) for point in everything])
    frame = np.array(axes.get_window_extent().extents) * 72.0 / axes.figure.dpi
    taken: list[NDArray[np.float64]] = []
    for point in shown:
        name = point.name if len(point.name) <= _LONGEST_NAME else point.name[: _LONGEST_NAME - 1] + "…"
        here = axes.transData.transform((point.user, point.assistant)) * 72.0 / axes.figure.dpi
        size = np.array([0.58 * _FONT * len(name), 1.15 * _FONT])
        offsets = [
            direction * (size / 2 + _radius(point) + far) for far in (1.0, 6.0, 14.0) for direction in _DIRECTIONS
        ]
        offset = min(offsets, key=lambda at: _covered(here + at, size, places, radii, taken, frame))
        taken.append(np.concatenate([here + offset - size / 2, here + offset + size / 2]))
        axes.annotate(
            name,
            (point.user, point.assistant),
            xytext=tuple(offset),
            textcoords="offset points",
            ha="center",
            va="center",
            fontsize=_FONT,
            color=_INK,
            zorder=8,
            path_effects=halo,
        )


def _named(cells: Sequence[Point]) -> Sequence[Point]:
    """Return the points that are named: all where there is room, else those that are marked, else without the mere front."""
    marked = [point for point in cells if point.marks]
    for points, most in ((cells, _MOST_CELLS), (marked, _MOST_LABELS)):
        if len(points) <= most and sum(len(point.name) for point in points) <= _MOST_LETTERS:
            return points
    return [point for point in marked if set(point.marks) - {"pareto"}]


def _radius(point: Point) -> float:
    """Return how far the widest sign on a point reaches, in points (1/72 inch)."""
    sizes = {"choice": 16.0, "bargaining": 11.0, "nash": 8.0}
    return max([sizes.get(mark.partition(":")[0], 5.0) for mark in point.marks], default=4.0)


def _covered(
    middle: NDArray[np.float64],
    size: NDArray[np.float64],
    places: NDArray[np.float64],
    radii: NDArray[np.float64],
    taken: Sequence[NDArray[np.float64]],
    frame: NDArray[np.float64],
) -> float:
    """Return how much a name of this size would cover: of other names, of points, of what lies outside the axes."""
    low, high = middle - size / 2, middle + size / 2
    names = sum(float(np.clip(np.minimum(high, box[2:]) - np.maximum(low, box[:2]), 0.0, None).prod()) for box in taken)
    away = np.maximum(np.maximum(low - places, places - high), 0.0)  # (points, 2): of the box
    points = float((np.hypot(*away.T) < radii).sum())
    outside = float(np.clip(frame[:2] - low, 0.0, None).sum() + np.clip(high - frame[2:], 0.0, None).sum())
    return 4.0 * names / float(size.prod()) + points + outside


def _array(points: Sequence[Point]) -> NDArray[np.float64]:
    return np.array([(point.user, point.assistant) for point in points], dtype=np.float64).reshape(-1, 2)
