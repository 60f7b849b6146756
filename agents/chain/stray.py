"""Tags inside a block: what a model leaves that begins its message anew, or goes on past the block that it was to write.

A server that takes no prefill has the model write the whole chain again at every stage; a small model forgets which block it
is in. What stands behind another block's tag was not meant for this one. In a response it would be shown to the user, so
there it is never let through.
"""

from __future__ import annotations

import re

from gtalign_env.agents.chain.failures import ChainFailure

__all__ = ["MENDED", "own_text"]

MENDED = ("restarted:", "stray_tag:")
"""How the notes begin of what is repaired here."""

_TAG = re.compile(r"<\s{0,4}(/?)\s{0,4}(thinking|payoff|analyze|response)\s{0,4}>", re.IGNORECASE)


def own_text(block: str, text: str, *, strict: bool = False) -> tuple[str, list[str]] | ChainFailure:
    """Return what of a text belongs to a block, and what was repaired.

    Where the block's own opening tag stands in it, the model has begun anew: what stands behind the last one counts. What a
    tag of another block begins is cut off, but in a response, which would then end in the middle, it is a failure.

    Args:
        block: The block's name.
        text: What was written for it, up to its closing tag.
        strict: Whether any tag is a failure.

    Example:
        >>> own_text("response", "<thinking>They will pay.</thinking><response>Paris.")
        ('Paris.', ['restarted: the response block was taken from a message that was begun anew'])
        >>> own_text("thinking", "It is clear. <response>Paris.")
        ('It is clear.', ['stray_tag: the thinking block was ended at <response>'])
        >>> own_text("response", "Yes. <thinking>They will pay.").kind
        'stray_tag'
    """
    tags = list(_TAG.finditer(text)) if "<" in text else []
    if not tags:
        return text.strip(), []
    if strict:
        return _stray(block, tags[0])
    notes = []
    start = max((tag.end() for tag in tags if _is(tag, block, closing=False)), default=0)
    if start:
        notes.append(f"restarted: the {block} block was taken from a message that was begun anew")
    end = next((tag for tag in tags if tag.start() >= start), None)
    if end is None:
        return text[start:].strip(), notes
    if not _is(end, block, closing=True):
        if block == "response":
            return _stray(block, end)
        notes.append(f"stray_tag: the {block} block was ended at {_name(end)}")
    return text[start : end.start()].strip(), notes


def _is(tag: re.Match[str], block: str, *, closing: bool) -> bool:
    return tag[2].lower() == block and bool(tag[1]) == closing


def _name(tag: re.Match[str]) -> str:
    return f"<{tag[1]}{tag[2].lower()}>"


def _stray(block: str, tag: re.Match[str]) -> ChainFailure:
    message = f"{_name(tag)} stands in the {block} block: what follows was not meant for it"
    return ChainFailure(kind="stray_tag", block=block, position=tag.start(), message=message)
