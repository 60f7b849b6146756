"""From what a model wrote to a chain, or to the reason why it is none."""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Sequence

from gtalign_env.agents.chain.blocks import Block, find_blocks
from gtalign_env.agents.chain.failures import ChainFailure
from gtalign_env.agents.chain.matrix import read_payoffs
from gtalign_env.agents.chain.stray import own_text
from gtalign_env.games.bimatrix import Bimatrix

__all__ = ["Chain", "announced_cell", "parse_chain", "parse_head", "unannounced"]


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Chain:
    """A chain that could be read."""

    thinking: str
    """The text of each block, without the white space around it."""
    payoff: str
    analyze: str
    response: str
    """The reply to the user."""
    game: Bimatrix
    """The stated matrix."""
    announced: tuple[str, str] | None
    """The cell (user's move, assistant's) that the analysis settles on; ``None`` where it names none."""
    repairs: tuple[str, ...] = ()
    """What had to be overlooked or mended, each as ``"kind: what was done"``; nothing in strict reading."""


def parse_chain(
    text: str, rows: Sequence[str], columns: Sequence[str], *, strict: bool = True, published: bool = False
) -> Chain | ChainFailure:
    """Read a whole chain. Every text leads to a chain or to a failure, in time linear in its length.

    Args:
        text: What a model wrote.
        rows: The user's moves.
        columns: The assistant's moves.
        strict: Take the exact form only: four blocks once each, in order, nothing around them, JSON with exactly the cells asked
            for, a cell announced. Else whatever can be mended is, and said in ``Chain.repairs``.
        published: Read the reference system's keys (``VQ_DA``, sides ``user`` and ``LLM``). Its readers do not ask for an
            announced cell, but for closing tags; so does this one.

    Example:
        >>> text = '''<thinking>Vague.</thinking>
        ... <payoff>{"VQ|DA": {"user": 1, "assistant": 2}, "VQ|CQ": {"user": 2, "assistant": 2}}</payoff>
        ... <analyze>choice: VQ|CQ</analyze>
        ... <response>Which one?</response>'''
        >>> chain = parse_chain(text, ["VQ"], ["DA", "CQ"])
        >>> chain.announced, chain.response
        (('VQ', 'CQ'), 'Which one?')
        >>> parse_chain(text.replace("2}}", "9}}"), ["VQ"], ["DA", "CQ"]).kind
        'out_of_range'
    """
    found = find_blocks(text, strict=strict, closed=published)
    if isinstance(found, ChainFailure):
        return found
    blocks, repairs = found
    payoff, response = blocks["payoff"], blocks["response"]
    own = (response.text.strip(), []) if published else own_text("response", response.text, strict=strict)
    if isinstance(own, ChainFailure):
        return dataclasses.replace(own, position=response.start + own.position)
    reply, mended = own
    if not reply:
        return ChainFailure(
            kind="empty_response", block="response", position=response.start, message="the response block is empty"
        )
    read = read_payoffs(payoff.text, rows, columns, strict=strict, published=published, position=payoff.start)
    if isinstance(read, ChainFailure):
        return read
    nothing = Block("", len(text))
    analyze = blocks.get("analyze", nothing)
    announced = announced_cell(analyze.text, rows, columns, published=published)
    if announced is None and strict and not published:
        return unannounced(analyze)
    return Chain(
        thinking=blocks.get("thinking", nothing).text.strip(),
        payoff=payoff.text.strip(),
        analyze=analyze.text.strip(),
        response=reply,
        game=read[0],
        announced=announced,
        repairs=(*repairs, *read[1], *mended),
    )


def parse_head(text: str, rows: Sequence[str], columns: Sequence[str], *, strict: bool = True) -> Chain | ChainFailure:
    """Read a chain that was halted behind its payoff block; analysis and response of what is returned mean nothing.

    Example:
        >>> parse_head('<thinking/><payoff>{"VQ|DA": {"user": 1, "assistant": 2}}</payoff>', ["VQ"], ["DA"], strict=False).payoff
        '{"VQ|DA": {"user": 1, "assistant": 2}}'
    """
    rest = f"<analyze>choice: {rows[0]}|{columns[0]}</analyze><response>…</response>"
    return parse_chain(text + rest, rows, columns, strict=strict)


def announced_cell(
    analyze: str, rows: Sequence[str], columns: Sequence[str], *, published: bool = False
) -> tuple[str, str] | None:
    """Return the cell that an analysis settles on: that of its last ``choice: USER|ASSISTANT``, else the last one it names.

    The published form has no such line; there the first cell that is named counts.

    Example:
        >>> announced_cell("VQ|DA is worse than VQ|CQ. choice: VQ|CQ", ["VQ"], ["DA", "CQ"])
        ('VQ', 'CQ')
        >>> announced_cell("I would ask.", ["VQ"], ["DA", "CQ"]) is None
        True
    """
    pattern, cells = _cell_pattern(tuple(rows), tuple(columns), "_" if published else "|")
    named = [(found["choice"] is not None, cells[found["cell"]]) for found in pattern.finditer(analyze)]
    if published:
        return named[0][1] if named else None
    chosen = [cell for is_choice, cell in named if is_choice] or [cell for _, cell in named]
    return chosen[-1] if chosen else None


def unannounced(analyze: Block) -> ChainFailure:
    """Return the failure of an analysis that names no cell."""
    return ChainFailure(
        kind="unannounced",
        block="analyze",
        position=analyze.start,
        message="the analysis names no cell: expected a line 'choice: USER|ASSISTANT'",
    )


@functools.lru_cache(maxsize=64)
def _cell_pattern(
    rows: tuple[str, ...], columns: tuple[str, ...], joint: str
) -> tuple[re.Pattern[str], dict[str, tuple[str, str]]]:
    cells = {f"{row}{joint}{column}": (row, column) for row in rows for column in columns}
    names = "|".join(re.escape(key) for key in sorted(cells, key=len, reverse=True))
    pattern = rf"(?P<choice>\bchoice:[ *\"`]{{0,4}})?(?<![\w|])(?P<cell>{names})(?![\w|])"
    return re.compile(pattern), cells
