"""Draw a stage matrix in whatever width there is: one move in brackets, Nash and Pareto cells marked, and more if wanted."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence

import numpy as np
from rich.cells import cell_len
from rich.text import Text

from gtalign_env.render import one_line
from gtalign_env.replay.bars import pad
from gtalign_env.replay.speech import wrapped
from gtalign_env.replay.stage import Mark, StageMatrix

__all__ = ["fits", "legend", "matrix_lines"]

NASH, PARETO = "●", "◆"
_MAX_LEGEND = 160
_CORNERS = (("user", " \\ ", "assistant"), ("U", "\\", "A"))
"""What says whose moves are the rows and whose the columns, from the longest down."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Layout:
    transposed: bool
    """Whether the assistant's moves are the rows."""
    stacked: bool
    """Whether a cell's two payoffs stand one above the other."""
    gap: int
    """Blank columns between cells."""


_LAYOUTS = [_Layout(transposed=t, stacked=s, gap=g) for t in (False, True) for s in (False, True) for g in (2, 0)]


def legend(width: int, *, stacked: bool = False, made: str = "made", more: Sequence[Mark] = ()) -> Text:
    """Return what the signs mean, cut to ``width``.

    Args:
        width: Columns.
        stacked: Whether the two payoffs of a cell stand one above the other.
        made: What the brackets mean.
        more: Signs beside those for Nash and Pareto.

    Example:
        >>> legend(80).plain
        '[ ] made   ● Nash   ◆ Pareto   cells: user, assistant'
    """
    signs = [("[ ]", "strong", made), (NASH, "nash", "Nash"), (PARETO, "pareto", "Pareto")]
    signs += [(mark.sign, mark.role, mark.name) for mark in more]
    told = [Text.assemble((sign, role), (f" {name}", "muted")) for sign, role, name in signs]
    between = " over " if stacked else ", "
    whose = Text.assemble(("cells: ", "muted"), ("user", "user"), (between, "muted"), ("assistant", "assistant"))
    line = Text("   ").join([*told, whose])
    if line.cell_len > width:
        line.truncate(width, overflow="ellipsis")
    return line


def matrix_lines(stage: StageMatrix, width: int, *, explained: bool = True, made: str = "made") -> list[Text]:
    """Return the matrix in the lowest form that fits; where none does, the part around the made move.

    The user's moves are the rows wherever that fits; the corner says so.

    Args:
        stage: The matrix.
        width: Columns.
        explained: Whether the legend follows.
        made: What the brackets mean, for the legend.

    Returns:
        Lines of at most ``width`` cells.
    """
    while not fits(stage, width):
        cut = _around_made(stage)
        if cut is stage:  # not even one cell fits beside its name
            return [pad(line, width) for line in _draw(stage, _LAYOUTS[-1], width)]
        stage = cut
    drawn = [(layout, _draw(stage, layout, width)) for layout in _LAYOUTS if _width(stage, layout) <= width]
    layout, lines = min(drawn, key=lambda pair: (pair[0].transposed, len(pair[1]), -pair[0].gap))
    if not explained:
        return lines
    return [*lines, *wrapped(legend(_MAX_LEGEND, stacked=layout.stacked, made=made, more=stage.more), width)]


def fits(stage: StageMatrix, width: int) -> bool:
    """Return whether the whole matrix can be drawn in ``width`` columns."""
    return any(_width(stage, layout) <= width for layout in _LAYOUTS)


def _around_made(stage: StageMatrix) -> StageMatrix:
    """Return the matrix without the row or column that is farthest from the made move, from whichever are more."""
    rows, columns = stage.user.shape
    if max(rows, columns) <= 1:
        return stage
    axis = 0 if rows >= columns else 1
    size = (rows, columns)[axis]
    at = 0 if stage.made is None else stage.made[axis]
    drop = size - 1 if at < size / 2 else 0
    keep = [i for i in range(size) if i != drop]
    made = stage.made
    if made is not None and drop < at:
        made = (made[0] - 1, made[1]) if axis == 0 else (made[0], made[1] - 1)
    names = (stage.user_moves, stage.assistant_moves)[axis]
    kept = tuple(names[i] for i in keep)
    return dataclasses.replace(
        stage,
        user_moves=kept if axis == 0 else stage.user_moves,
        assistant_moves=kept if axis == 1 else stage.assistant_moves,
        user=np.take(stage.user, keep, axis=axis),
        assistant=np.take(stage.assistant, keep, axis=axis),
        nash=np.take(stage.nash, keep, axis=axis),
        pareto=np.take(stage.pareto, keep, axis=axis),
        more=tuple(mark._replace(cells=np.take(mark.cells, keep, axis=axis)) for mark in stage.more),
        made=made,
    )


def _width(stage: StageMatrix, layout: _Layout) -> int:
    """Return how wide the matrix would be at least."""
    return _label(stage, layout, _CORNERS[-1]) + _body_width(stage, layout)


def _label(stage: StageMatrix, layout: _Layout, corner: tuple[str, str, str]) -> int:
    """Return how wide the column of row names is, with a blank after them."""
    rows = stage.assistant_moves if layout.transposed else stage.user_moves
    return max(len("".join(corner)), *(cell_len(one_line(name)) for name in rows)) + 1


def _body_width(stage: StageMatrix, layout: _Layout) -> int:
    columns = stage.user_moves if layout.transposed else stage.assistant_moves
    return len(columns) * (_cell_width(stage, layout) + layout.gap)


def _cell_width(stage: StageMatrix, layout: _Layout) -> int:
    wide = _number_width(stage, _decimals(stage))
    signs = 2 + len(stage.more)
    return wide + 2 + (signs + 1) // 2 if layout.stacked else 2 * wide + 4 + signs


def _draw(stage: StageMatrix, layout: _Layout, width: int) -> list[Text]:
    """Draw the matrix, with the longest corner that there is room for."""
    rows, columns = stage.user_moves, stage.assistant_moves
    row_role, column_role = "user", "assistant"
    if layout.transposed:
        rows, columns, row_role, column_role = columns, rows, column_role, row_role
    digits = _decimals(stage)
    wide = _number_width(stage, digits)
    cell = _cell_width(stage, layout)
    room = width - _body_width(stage, layout)
    corner = next((corner for corner in _CORNERS if _label(stage, layout, corner) <= room), _CORNERS[-1])
    label = _label(stage, layout, corner)
    lines = _heads(columns, column_role, cell, layout.gap, label)
    names = (corner[0], corner[2])[:: -1 if layout.transposed else 1]
    first = Text.assemble((names[0], row_role), (corner[1], "muted"), (names[1], column_role))
    lines[-1] = pad(first, label) + lines[-1][label:]
    for i, name in enumerate(rows):
        for part in range(2 if layout.stacked else 1):
            title = one_line(name) if part == 0 else ""
            row = Text.assemble((title, row_role), " " * (label - cell_len(title)))
            for j in range(len(columns)):
                place = (j, i) if layout.transposed else (i, j)
                row.append(" " * layout.gap)
                row.append_text(_cell(stage, place, layout.stacked, part, wide, digits))
            lines.append(row)
    return lines


def _heads(names: tuple[str, ...], role: str, cell: int, gap: int, label: int) -> list[Text]:
    """Return the line of column names, or several where one of them has to be broken."""
    shown = [one_line(name) for name in names]
    parts = [[name] for name in shown]
    if any(cell_len(name) > cell - 1 for name in shown):
        parts = [_broken(name, cell - 1) for name in shown]
        deep = max(map(len, parts))
        parts = [[""] * (deep - len(part)) + part for part in parts]
    lines = []
    for row in range(len(parts[0])):
        line = Text(" " * label)
        for part in parts:
            text = Text(part[row], style=role)
            text.truncate(cell - 1, overflow="ellipsis")
            after = 2 if text.cell_len <= cell - 2 else 1  # ends level with the numbers where it can
            line.append(" " * (gap + cell - after - text.cell_len))
            line.append_text(text)
            line.append(" " * after)
        lines.append(line)
    return lines


def _broken(name: str, room: int) -> list[str]:
    """Return a name in lines: plans (``left/right``, ``low|high``) at their joints, a move at its first underscore."""
    if not set(name) & set("/|"):
        return name.split("_", 1)
    lines = [""]
    for piece in re.findall(r"[^/|_]*[/|_]?", name)[:-1]:
        if lines[-1] and cell_len(lines[-1] + piece) > room:
            lines.append("")
        lines[-1] += piece
    return lines


def _cell(stage: StageMatrix, place: tuple[int, int], stacked: bool, part: int, wide: int, digits: int) -> Text:
    user = _number(stage.user[place], digits).rjust(wide)
    assistant = _number(stage.assistant[place], digits).rjust(wide)
    marks = [Mark(NASH, "nash", "", stage.nash), Mark(PARETO, "pareto", "", stage.pareto), *stage.more]
    signs = [(mark.sign, mark.role) if mark.cells[place] else " " for mark in marks]
    if not stacked:
        body = Text.assemble((user, "user"), ", ", (assistant, "assistant"), *signs)
    else:
        number = (user, "user") if part == 0 else (assistant, "assistant")
        body = Text.assemble(number, *signs[part::2])
        body.append(" " * (len(signs) % 2 * part))
    made = place == stage.made
    if made:
        return Text.assemble(("[", "made"), Text(body.plain, style="made"), ("]", "made"))
    return Text.assemble(" ", body, " ")


def _decimals(stage: StageMatrix) -> int:
    both = np.stack([stage.user, stage.assistant])
    if np.array_equal(both, np.rint(both)):
        return 0
    return 2 if np.abs(both).max() < 100 else 1


def _number_width(stage: StageMatrix, digits: int) -> int:
    numbers = np.concatenate([stage.user.ravel(), stage.assistant.ravel()])
    return max(len(_number(float(number), digits)) for number in numbers)


def _number(utils: float, digits: int) -> str:
    text = f"{abs(utils):.{digits}f}" if abs(utils) < 1e6 else f"{abs(utils):.0e}"
    return ("−" if utils < 0 and float(text) != 0 else "") + text
