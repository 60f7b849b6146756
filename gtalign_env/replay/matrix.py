"""Draw a stage matrix in whatever width there is: the made move in brackets, Nash and Pareto cells marked."""

from __future__ import annotations

import dataclasses

import numpy as np
from rich.cells import cell_len
from rich.text import Text

from gtalign_env.render import one_line
from gtalign_env.replay.bars import pad
from gtalign_env.replay.speech import wrapped
from gtalign_env.replay.stage import StageMatrix

__all__ = ["legend", "matrix_lines"]

NASH, PARETO = "●", "◆"
_MAX_LEGEND = 80


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Layout:
    transposed: bool
    """Whether the assistant's moves are the rows."""
    stacked: bool
    """Whether a cell's two payoffs stand one above the other."""
    gap: int
    """Blank columns between cells."""


def legend(width: int, *, stacked: bool = False) -> Text:
    """Return what the signs mean, cut to ``width``.

    Example:
        >>> legend(80).plain
        '[ ] made   ● Nash   ◆ Pareto   cells: user, assistant'
    """
    made = Text.assemble(("[ ]", "strong"), (" made", "muted"))
    nash = Text.assemble((NASH, "nash"), (" Nash", "muted"))
    pareto = Text.assemble((PARETO, "pareto"), (" Pareto", "muted"))
    between = " over " if stacked else ", "
    whose = Text.assemble(("cells: ", "muted"), ("user", "user"), (between, "muted"), ("assistant", "assistant"))
    line = Text("   ").join([made, nash, pareto, whose])
    if line.cell_len > width:
        line.truncate(width, overflow="ellipsis")
    return line


def matrix_lines(stage: StageMatrix, width: int, *, explained: bool = True) -> list[Text]:
    """Return the matrix in the lowest form that fits; where none does, the part around the made move.

    Args:
        stage: The matrix.
        width: Columns.
        explained: Whether the legend follows.

    Returns:
        Lines of at most ``width`` cells.
    """
    layouts = [_Layout(transposed=t, stacked=s, gap=g) for t in (False, True) for s in (False, True) for g in (2, 0)]
    while not any(_width(stage, layout) <= width for layout in layouts):
        cut = _around_made(stage)
        if cut is stage:  # not even one cell fits beside its name
            return [pad(line, width) for line in _draw(stage, layouts[-1])]
        stage = cut
    drawn = [(layout, _draw(stage, layout)) for layout in layouts if _width(stage, layout) <= width]
    layout, lines = min(drawn, key=lambda pair: (len(pair[1]), -pair[0].gap))
    if not explained:
        return lines
    return [*lines, *wrapped(legend(_MAX_LEGEND, stacked=layout.stacked), width)]


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
        made=made,
    )


def _width(stage: StageMatrix, layout: _Layout) -> int:
    """Return how wide the matrix would be."""
    rows, columns = stage.user_moves, stage.assistant_moves
    if layout.transposed:
        rows, columns = columns, rows
    label = max(cell_len(one_line(name)) for name in rows) + 1
    return label + len(columns) * (_cell_width(stage, layout) + layout.gap)


def _cell_width(stage: StageMatrix, layout: _Layout) -> int:
    wide = _number_width(stage, _decimals(stage))
    return wide + 3 if layout.stacked else 2 * wide + 6


def _draw(stage: StageMatrix, layout: _Layout) -> list[Text]:
    rows, columns = stage.user_moves, stage.assistant_moves
    row_role, column_role = "user", "assistant"
    if layout.transposed:
        rows, columns, row_role, column_role = columns, rows, column_role, row_role
    digits = _decimals(stage)
    wide = _number_width(stage, digits)
    cell = _cell_width(stage, layout)
    label = max(cell_len(one_line(name)) for name in rows) + 1
    lines = _heads(columns, column_role, cell, layout.gap, label)
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
    """Return the line of column names, or two where one of them has to be broken."""
    shown = [one_line(name) for name in names]
    parts = [[name] for name in shown]
    if any(cell_len(name) > cell - 1 for name in shown):
        parts = [["", name] if "_" not in name else name.split("_", 1) for name in shown]
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


def _cell(stage: StageMatrix, place: tuple[int, int], stacked: bool, part: int, wide: int, digits: int) -> Text:
    user = _number(stage.user[place], digits).rjust(wide)
    assistant = _number(stage.assistant[place], digits).rjust(wide)
    nash = NASH if stage.nash[place] else " "
    pareto = PARETO if stage.pareto[place] else " "
    if not stacked:
        body = Text.assemble((user, "user"), ", ", (assistant, "assistant"), (nash, "nash"), (pareto, "pareto"))
    elif part == 0:
        body = Text.assemble((user, "user"), (nash, "nash"))
    else:
        body = Text.assemble((assistant, "assistant"), (pareto, "pareto"))
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
