"""Small drawings out of characters: bars around zero, sparklines, columns side by side."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich.cells import cell_len
from rich.text import Text

__all__ = ["beside", "drawable", "fold_name", "pad", "signed_bar", "sparkline"]

_LEVELS = "▁▂▃▄▅▆▇█"
_JOINTS = (":/\\,=@ ", "+-_.")
"""Where names of players are cut best, and second best."""


def signed_bar(value: float, scale: float, half: int) -> Text:
    """Return a bar that grows to the right of an axis for gains and to the left for losses.

    Args:
        value: What to draw, utils.
        scale: The value that fills one half (> 0).
        half: Cells on either side of the axis; half cells are drawn.

    Returns:
        ``2 * half + 1`` cells.

    Example:
        >>> signed_bar(0.5, 1.0, 4).plain, signed_bar(-0.4, 1.0, 4).plain
        ('    │██  ', '  ▐█│    ')
    """
    share = min(abs(value) / scale, 1.0) if scale > 0 and math.isfinite(value) else 0.0
    halves = round(share * half * 2)
    whole, rest = divmod(halves, 2)
    if value > 0:
        body = "█" * whole + "▌" * rest or "▏"
        left, right = Text(" " * half), Text(body, style="gain")
        right.append(" " * (half - len(body)))
    elif value < 0:
        body = "▐" * rest + "█" * whole or "▕"
        left, right = Text(" " * (half - len(body))), Text(" " * half)
        left.append(body, style="loss")
    else:
        left, right = Text(" " * half), Text(" " * half)
    return Text.assemble(left, ("│", "muted"), right)


def sparkline(values: Sequence[float], width: int, *, low: float | None = None, high: float | None = None) -> str:
    """Return a running line of block characters.

    Longer series are thinned to ``width`` points, the last one always among them.

    Args:
        values: What to draw.
        width: Cells at most.
        low: What the lowest block stands for; by default the smallest value, or zero where all are positive.
        high: What the full block stands for; by default the largest value, or zero where all are negative.

    Example:
        >>> sparkline([0.0, 1.0, 2.0], 8), len(sparkline([float(i) for i in range(99)], 8))
        ('▁▅█', 8)
    """
    if width < 1 or not values:
        return ""
    points = [drawable(value) for value in values]
    if len(points) > width:
        step = (len(points) - 1) / max(width - 1, 1)
        points = [points[len(points) - 1 - round(i * step)] for i in reversed(range(width))]
    bottom = min(0.0, *points) if low is None else low
    top = max(0.0, *points) if high is None else high
    span = (top - bottom) or 1.0
    last = len(_LEVELS) - 1
    return "".join(_LEVELS[min(max(round((point - bottom) / span * last), 0), last)] for point in points)


def drawable(value: float) -> float:
    """Return a number that can be scaled: nothing infinite, nothing beyond ±1e12.

    Example:
        >>> drawable(0.5), drawable(float("inf")), drawable(float("nan"))
        (0.5, 1000000000000.0, 0.0)
    """
    return 0.0 if math.isnan(value) else min(max(value, -1e12), 1e12)


def pad(line: Text, width: int) -> Text:
    """Return a copy of ``line`` that is exactly ``width`` cells wide, cut with an ellipsis where it is longer.

    Example:
        >>> pad(Text("abc"), 5).plain, pad(Text("abcdef"), 5).plain
        ('abc  ', 'abcd…')
    """
    done = line.copy()
    if done.cell_len > width:
        done.truncate(width, overflow="ellipsis")
    done.append(" " * (width - done.cell_len))
    return done


def beside(left: Sequence[Text], right: Sequence[Text], left_width: int, gutter: Text) -> list[Text]:
    """Return two blocks of lines side by side.

    Example:
        >>> [line.plain for line in beside([Text("a"), Text("b")], [Text("c")], 3, Text("|"))]
        ['a  |c', 'b  |']
    """
    rows = max(len(left), len(right))
    blank = Text("")
    return [
        Text.assemble(
            pad(left[i] if i < len(left) else blank, left_width), gutter, right[i] if i < len(right) else blank
        )
        for i in range(rows)
    ]


def fold_name(name: Text, width: int) -> list[Text]:
    """Return a player's name in as many lines as it needs, cut behind the signs that hold its parts together.

    Args:
        name: The name.
        width: Cells of a line (at least 1).

    Example:
        >>> [line.plain for line in fold_name(Text("bayes:users=concise=2,expert"), 16)]
        ['bayes:users=', 'concise=2,expert']
    """
    lines = []
    while name.cell_len > width:
        most = max(1, len(name.plain) - 1)
        while most > 1 and cell_len(name.plain[:most]) > width:
            most -= 1
        ends = (max(name.plain.rfind(sign, 0, most) for sign in signs) + 1 for signs in _JOINTS)
        at = next((end for end in ends if end > most // 3), most)
        lines.append(name[:at])
        name = name[at:]
    return [*lines, name]
