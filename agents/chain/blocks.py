"""Finds the four blocks of a chain in a text. One pass over the tags, so the time is linear in the text's length.

Strict reading wants ``<thinking>…</thinking><payoff>…</payoff><analyze>…</analyze><response>…</response>`` and nothing else but
white space. Lenient reading takes each block from its first opening tag to the first closing one after it, wherever it
stands, and says what it had to overlook.
"""

from __future__ import annotations

import itertools
import re
from typing import NamedTuple

from gtalign_env.agents.chain.failures import ChainFailure

__all__ = ["BLOCKS", "Block", "find_blocks"]

BLOCKS: tuple[str, ...] = ("thinking", "payoff", "analyze", "response")
"""The blocks of a chain, in order."""
_TAG = re.compile(r"<(/?)(thinking|payoff|analyze|response)>")


class Block(NamedTuple):
    """One block."""

    text: str
    """What stands between its tags, as it stands."""
    start: int
    """Where that begins, in characters."""


class _Tag(NamedTuple):
    name: str
    closing: bool
    start: int
    end: int


def find_blocks(
    text: str, *, strict: bool = True, closed: bool = False
) -> tuple[dict[str, Block], list[str]] | ChainFailure:
    """Return the blocks by name, and what was repaired to find them.

    Args:
        text: What a model wrote.
        strict: Refuse whatever is not the exact form.
        closed: In lenient reading, whether a block has to be closed; else it ends where the next one begins, or with the text.

    Returns:
        Blocks and repairs (none where strict), or the first failure. In lenient reading ``thinking`` and ``analyze`` may be
        missing.

    Example:
        >>> blocks, repairs = find_blocks("Sure: <payoff>{}</payoff><response>Yes.</response>", strict=False)
        >>> blocks["response"].text, repairs[-1]
        ('Yes.', 'leading_text: dropped 6 characters before the first block')
        >>> find_blocks("<thinking>a</thinking><response>b</response>").kind
        'missing_block'
    """
    tags = [_Tag(found[2], bool(found[1]), found.start(), found.end()) for found in _TAG.finditer(text)]
    return _strict(text, tags) if strict else _lenient(text, tags, closed=closed)


def _strict(text: str, tags: list[_Tag]) -> tuple[dict[str, Block], list[str]] | ChainFailure:
    blocks: dict[str, Block] = {}
    end = 0
    for n, (name, closing) in enumerate((name, closing) for name in BLOCKS for closing in (False, True)):
        if n >= len(tags) or (tags[n].name, tags[n].closing) != (name, closing):
            return _deviation(tags, n, name, closing=closing, length=len(text))
        tag = tags[n]
        between = text[end : tag.start]
        if closing:
            blocks[name] = Block(between, end)
        elif between.strip():
            kind = "leading_text" if n == 0 else "stray_text"
            return _failure(kind, name, end, f"expected nothing but white space before <{name}>, got {_short(between)}")
        end = tag.end
    if len(tags) > 2 * len(BLOCKS):
        extra = tags[2 * len(BLOCKS)]
        return _failure("duplicate_block", extra.name, extra.start, f"expected one {extra.name} block, got another tag")
    if text[end:].strip():
        message = f"expected nothing behind </response>, got {_short(text[end:])}"
        return _failure("trailing_text", "response", end, message)
    return blocks, []


def _deviation(tags: list[_Tag], n: int, name: str, *, closing: bool, length: int) -> ChainFailure:
    """Say what is wrong where the ``n``-th tag is not the one that should stand there."""
    wanted = f"<{'/' if closing else ''}{name}>"
    later = any((tag.name, tag.closing) == (name, closing) for tag in tags[n:])
    if n >= len(tags):
        kind = "unclosed_block" if closing else "missing_block"
        return _failure(kind, name, length, f"expected {wanted}, got the end of the text")
    tag = tags[n]
    got = f"<{'/' if tag.closing else ''}{tag.name}>"
    if any(before.name == tag.name and before.closing == tag.closing for before in tags[:n]):
        kind = "duplicate_block"
    elif later:
        kind = "out_of_order"
    else:
        kind = "unclosed_block" if closing else "missing_block"
    return _failure(kind, tag.name if kind == "duplicate_block" else name, tag.start, f"expected {wanted}, got {got}")


def _lenient(text: str, tags: list[_Tag], *, closed: bool) -> tuple[dict[str, Block], list[str]] | ChainFailure:
    blocks: dict[str, Block] = {}
    repairs: list[str] = []
    spans: list[tuple[int, int]] = []
    for name in BLOCKS:
        opening = next((n for n, tag in enumerate(tags) if tag.name == name and not tag.closing), None)
        if opening is None:
            if name in ("payoff", "response"):
                return _failure("missing_block", name, len(text), f"there is no <{name}> block")
            repairs.append(f"missing_block: there is no <{name}> block")
            continue
        own = [tag for tag in tags[opening + 1 :] if tag.name == name]
        ending = next((tag for tag in own if tag.closing), None)
        if ending is None and closed:
            return _failure("unclosed_block", name, tags[opening].start, f"<{name}> is never closed")
        if ending is None:
            repairs.append(f"unclosed_block: <{name}> is never closed")
            others = (tag for tag in tags[opening + 1 :] if tag.name != name)
            stop = next((tag.start for tag in others), len(text))
        else:
            stop = ending.start
        if any(not tag.closing for tag in own):
            repairs.append(f"duplicate_block: took the first of several <{name}> blocks")
        blocks[name] = Block(text[tags[opening].end : stop], tags[opening].end)
        spans.append((tags[opening].start, ending.end if ending else stop))
    return blocks, [*repairs, *_around(text, spans)]


def _around(text: str, spans: list[tuple[int, int]]) -> list[str]:
    """Say what stands outside the blocks."""
    repairs = []
    if spans != sorted(spans):
        repairs.append("out_of_order: took the blocks in the order in which they belong")
    first, last = min(start for start, _ in spans), max(end for _, end in spans)
    for kind, piece, where in (
        ("leading_text", text[:first], "before the first"),
        ("trailing_text", text[last:], "behind the last"),
    ):
        if piece.strip():
            repairs.append(f"{kind}: dropped {len(piece):,} characters {where} block")
    ordered = sorted(spans)
    if any(text[end:start].strip() for (_, end), (start, _) in itertools.pairwise(ordered)):
        repairs.append("stray_text: dropped what stands between the blocks")
    return repairs


def _failure(kind: str, block: str, position: int, message: str) -> ChainFailure:
    return ChainFailure(kind=kind, block=block, position=position, message=message)


def _short(text: str) -> str:
    piece = text.strip()
    return repr(piece if len(piece) <= 40 else piece[:40] + "…")
