"""What a model thought before it spoke, in a few lines: its reasons, the cell that its matrix led to, and what went wrong."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rich.text import Text

from gtalign_env.render import one_line

__all__ = ["chain_lines"]

_FOLDED = 160
"""Characters of the reasons that are shown where texts are folded."""


def chain_lines(chain: Any, *, full: bool = False) -> list[Text]:
    """Return the lines of a chain as records hold it (``SideRecord.model["chain"]``); none where there is no chain.

    Args:
        chain: The record; whatever is missing in it is left out.
        full: Whether reasons and cells are shown whole.

    Example:
        >>> chain = {"mode": "solver", "blocks": {"thinking": "It may be either."}, "announced": "CQ", "criterion": "nash"}
        >>> [line.plain for line in chain_lines(chain)]
        ['thinks: It may be either.', 'announces CQ by nash']
    """
    if not isinstance(chain, Mapping) or chain.get("mode") not in ("solver", "self"):
        return []
    return list(_lines(chain, full=full))


def _lines(chain: Mapping[str, Any], *, full: bool) -> Iterator[Text]:
    blocks = chain.get("blocks")
    thinking = one_line(str(blocks.get("thinking") or "")) if isinstance(blocks, Mapping) else ""
    if thinking:
        cut = thinking if full or len(thinking) <= _FOLDED else f"{thinking[:_FOLDED].rstrip()}…"
        yield Text(f"thinks: {cut}", style="muted")
    matrix = chain.get("matrix")
    if isinstance(matrix, Mapping):
        yield Text(_stated(matrix, full=full) + (", then priced in" if chain.get("steered") else ""), style="muted")
    if chain.get("announced"):
        chosen = "by itself" if chain["mode"] == "self" else f"by {one_line(str(chain.get('criterion')))}"
        yield Text(f"announces {one_line(str(chain['announced']))} {chosen}", style="muted")
    for failure in chain.get("failures") or ():
        if isinstance(failure, Mapping):
            yield Text(f"! chain: {one_line(str(failure.get('message')))}", style="alert")
    if chain.get("fallback"):
        yield Text("! no chain could be used: a plain reply", style="alert")


def _stated(matrix: Mapping[str, Any], *, full: bool) -> str:
    rows, columns = (list(matrix.get(side) or ()) for side in ("user_moves", "assistant_moves"))
    if not full:
        return f"states {len(rows)}×{len(columns)} payoffs"
    cells = [
        f"{one_line(str(row))}|{one_line(str(column))} {matrix['user'][i][j]:g}/{matrix['assistant'][i][j]:g}"
        for i, row in enumerate(rows)
        for j, column in enumerate(columns)
    ]
    return f"states (user/assistant): {', '.join(cells)}"
