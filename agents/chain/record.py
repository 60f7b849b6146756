"""What an episode's record keeps of a turn: every raw block, every token, the matrix, the solution, all failures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gtalign_env.agents.chain.matrix import matrix_dict
from gtalign_env.agents.chain.writer import Draft, Stage
from gtalign_env.protocols import Generation

__all__ = ["chain_call", "plain_call"]

_DECIMALS = 6


def chain_call(drafts: Sequence[Draft], *, settings: Mapping[str, Any], kept: bool | None) -> dict[str, Any]:
    """Return a turn's record, in JSON types. The last attempt counts; those before are kept in ``discarded``.

    Args:
        drafts: All attempts at this turn's chain, in order; at least one.
        settings: ``backend``, ``seed``, ``mode`` and ``criterion``, and ``steering`` where prices are steered.
        kept: Whether the announced move was made; ``None`` where that is not known.

    Returns:
        What stands in ``SideRecord.model``: ``text`` (the whole message of the assistant), ``stages`` (the engine's calls, each
        with ``start``, its place in the tokens of prompt and message) and ``chain``.
    """
    draft = drafts[-1]
    generations = [stage.generation for stage in draft.stages]
    first, last = (generations[0], generations[-1]) if generations else (Generation(text=""), Generation(text=""))
    failures = [{**d.failure.as_dict(), "attempt": n} for n, d in enumerate(drafts) if d.failure is not None]
    return {
        "backend": settings["backend"],
        "text": draft.text,
        "conversation": [dict(turn) for turn in draft.conversation],
        "prompt": first.prompt,
        "prompt_ids": list(last.prompt_ids),
        "prompt_tokens": first.prompt_tokens,
        "stages": [_stage(stage, last.prompt_ids) for stage in draft.stages],
        "tokens": sum(draft.tokens.values()),
        "finish_reason": last.finish_reason,
        "seconds": sum(stage.generation.seconds for d in drafts for stage in d.stages),
        "error": draft.failure.message if draft.failure is not None else "",
        "note": "; ".join(filter(None, dict.fromkeys(generation.note for generation in generations))),
        "seed": settings["seed"],
        "chain": {
            "mode": settings["mode"],
            "criterion": settings["criterion"],
            "blocks": dict(draft.blocks),
            "tokens": dict(draft.tokens),
            "matrix": None if draft.game is None else matrix_dict(draft.game),
            "steered": None if draft.steered is None else matrix_dict(draft.steered),
            **({"steering": settings["steering"]} if "steering" in settings else {}),
            "solution": _solution(draft),
            "announced": draft.announced[1] if draft.announced is not None else "",
            "made": draft.made,
            "kept": kept,
            "notes": list(draft.notes),
            "failures": failures,
            "attempts": len(drafts),
            "discarded": [_discarded(d) for d in drafts[:-1]],
            "fallback": "",
        },
    }


def plain_call(generation: Generation, *, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the record of a reply without a chain.

    Example:
        >>> made = Generation(text="Yes.", token_ids=(1, 2))
        >>> plain_call(made, settings={"backend": "b", "seed": 0, "mode": "none", "criterion": ""})["tokens"]
        2
    """
    return {
        "backend": settings["backend"],
        "text": generation.text,
        "conversation": [dict(turn) for turn in generation.conversation],
        "prompt": generation.prompt,
        "prompt_ids": list(generation.prompt_ids),
        "prompt_tokens": generation.prompt_tokens,
        "stages": [_stage(Stage(block="response", generation=generation), generation.prompt_ids)],
        "tokens": len(generation.token_ids),
        "finish_reason": generation.finish_reason,
        "seconds": generation.seconds,
        "error": generation.error,
        "note": generation.note,
        "seed": settings["seed"],
    }


def _discarded(draft: Draft) -> dict[str, Any]:
    """Return an attempt that failed: text, and every token in the form of a record of its own."""
    whole = draft.stages[-1].generation.prompt_ids if draft.stages else ()
    return {
        "text": draft.text,
        "tokens": sum(draft.tokens.values()),
        "prompt_ids": list(whole),
        "stages": [_stage(stage, whole) for stage in draft.stages],
    }


def _stage(stage: Stage, whole: Sequence[int]) -> dict[str, Any]:
    """Return one call of the engine; its prompt is left out where it is the beginning of the last one's."""
    made = stage.generation
    start = len(made.prompt_ids)
    record = {
        "block": stage.block,
        "start": start,
        "token_ids": list(made.token_ids),
        "logprobs": [
            logprob and round(logprob, _DECIMALS) for logprob in made.logprobs
        ],  # 0 where nothing was to choose
        "finish_reason": made.finish_reason,
        "seconds": made.seconds,
        "error": made.error,
    }
    if made.allowed:
        record["allowed"] = [round(logprob, _DECIMALS) for logprob in made.allowed]
    if tuple(whole[:start]) != made.prompt_ids:
        record["prompt_ids"] = list(made.prompt_ids)
    return record


def _solution(draft: Draft) -> dict[str, Any] | None:
    if draft.solved is not None:
        return draft.solved.as_dict()
    if draft.announced is not None:
        return {"name": "self", "cell": list(draft.announced)}
    return None
