"""The reference system's published outputs as turns, so that the same gauges measure them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from gtalign_env.episode import digest
from gtalign_env.errors import FileFormatError
from gtalign_env.gauges.turns import ChainTurn, read_matrix
from gtalign_env.paper import CELLS, stated_payoffs

__all__ = ["published_turns", "read_published"]

Read = Callable[[str], str]
_CELL = re.compile(r"\b([VD]Q)_(DA|AQ|CQ)\b")
_ANALYZE = re.compile(r"<analyze>(.*?)</analyze>", re.DOTALL)
_RESPONSE = re.compile(r"<response>(.*?)</response>", re.DOTALL)


def read_published(path: str | Path, *, read: Read | None = None) -> Iterator[ChainTurn]:
    r"""Yield the turns of a file of published outputs: JSON lines with ``output``, ``question`` and ``gts``.

    A line that cannot be read is a turn with the failure ``bad_row``; blank lines are no turns.

    Args:
        path: The file.
        read: As in ``published_turns``.

    Raises:
        FileFormatError: The file is missing or empty, or its first line is no JSON object with an ``output``.

    Example:
        >>> import tempfile
        >>> place = Path(tempfile.mkdtemp()) / "rows.jsonl"
        >>> _ = place.write_text('{"output": ""}\nno row\n')
        >>> [turn.failures for turn in read_published(place)]
        [('no_payoff',), ('bad_row',)]
    """
    path = Path(path)
    if not path.is_file():
        raise FileFormatError(path, "there is no such file: expected JSON lines with output, question and gts")
    found = 0
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            row = _row(line)
            if row is None and not found:
                raise FileFormatError(path, "expected one JSON object with an output per line", line=number)
            found += 1
            yield from published_turns([row], read=read) if row else [ChainTurn(prompt="", failures=("bad_row",))]
    if not found:
        raise FileFormatError(path, "there is nothing in it: expected at least one row")


def published_turns(rows: Iterable[Mapping[str, Any]], *, read: Read | None = None) -> Iterator[ChainTurn]:
    """Yield the turns of the reference system's published outputs.

    The matrix is read as the published code reads it; the announced move is the one in the first cell that the analysis names.
    Where ground truth says so (``multipleQAs`` or ``singleAnswer``), it is known whether the question was vague.

    Args:
        rows: Objects with ``output``, and ``question`` and ``gts`` where they are known.
        read: Returns the name of the move that a response amounts to; without it no move is known.

    Example:
        >>> row = {"question": "Who?", "output": "<analyze>VQ_DA is best.</analyze><response>He.</response>"}
        >>> turn = next(published_turns([row], read=lambda response: "DA_short"))
        >>> turn.announced, turn.made, turn.failures
        ('DA', 'DA_short', ('no_payoff',))
    """
    for row in rows:
        output = _text(row.get("output"))
        cells, failure, _ = stated_payoffs(output)
        matrix = None if cells is None else read_matrix({key: cells[key] for key in CELLS})
        if cells is not None and matrix is None:
            failure = "not_finite"
        named = _CELL.search(_first(_ANALYZE, output))
        response = _first(_RESPONSE, output).strip()
        truth = _text(row.get("gts"))
        yield ChainTurn(
            prompt=digest(_text(row.get("question"))),
            mode="self",
            matrix=matrix,
            chosen=None if named is None else (named[1], named[2]),
            announced="" if named is None else named[2],
            made=read(response) if read is not None and response else "",
            clarity="vague" if truth.startswith("multipleQAs") else "clear" if truth.startswith("singleAnswer") else "",
            failures=(failure,) if failure else (),
        )


def _row(line: bytes) -> dict[str, Any] | None:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return row if isinstance(row, dict) and isinstance(row.get("output"), str) else None


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _first(pattern: re.Pattern[str], text: str) -> str:
    found = pattern.search(text)
    return found[1] if found else ""
