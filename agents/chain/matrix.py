"""The payoff block: the schema that a model is held to, and the way from its text to a game.

The form is one JSON object with a cell for each pair of moves, ``"USER|ASSISTANT": {"user": x, "assistant": y}``, and payoffs in
[-5, 5]. Whatever is no such thing is a typed failure; a payoff is never made up, cut down or left at 0.
"""

from __future__ import annotations

import ast
import functools
import json
import math
import re
import warnings
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from gtalign_env.agents.chain.failures import ChainFailure
from gtalign_env.games.bimatrix import Bimatrix

__all__ = ["HIGH", "LOW", "matrix_dict", "payoff_schema", "read_payoffs"]

LOW, HIGH = -5.0, 5.0
"""Range of a stated payoff, ends included."""
_SIDES = ("user", "assistant")
_PUBLISHED_SIDES = ("user", "LLM")
_LONGEST_LITERAL = 20_000
_FENCE = re.compile(r"\A```\w*\n?|```\Z")


@functools.lru_cache(maxsize=64)
def payoff_schema(keys: tuple[str, ...]) -> str:
    """Return the JSON schema of a payoff block, as ``protocols.Sampling.json_schema`` takes it.

    Args:
        keys: Keys of the cells (``ChainMoves.keys``).

    Example:
        >>> json.loads(payoff_schema(("VQ|DA",)))["properties"]["VQ|DA"]["required"]
        ['user', 'assistant']
    """
    number = {"type": "number", "minimum": int(LOW), "maximum": int(HIGH)}
    cell = _object(dict.fromkeys(_SIDES, number))
    return json.dumps(_object(dict.fromkeys(keys, cell)))


def _object(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(properties),
        "additionalProperties": False,
    }


def read_payoffs(
    text: str,
    rows: Sequence[str],
    columns: Sequence[str],
    *,
    strict: bool = True,
    published: bool = False,
    position: int = 0,
) -> tuple[Bimatrix, list[str]] | ChainFailure:
    """Return the game that a payoff block states, and what was repaired to read it.

    Args:
        text: What stands in the block.
        rows: The user's moves.
        columns: The assistant's moves.
        strict: Take JSON with exactly the right keys only. Else also a Python literal, JSON in a code fence, keys in another case
            or with spaces, a key that stands there twice (the last counts) and numbers in quotes.
        published: Read keys ``USER_ASSISTANT`` with sides ``user`` and ``LLM``.
        position: Where the block begins in the whole text, for the failure.

    Example:
        >>> game, repairs = read_payoffs("{'VQ|DA': {'user': 1, 'assistant': 2}}", ["VQ"], ["DA"], strict=False)
        >>> game.assistant.tolist(), repairs
        ([[2.0]], ['bad_json: read as a Python literal'])
        >>> read_payoffs('{"VQ|DA": {"user": 1, "assistant": NaN}}', ["VQ"], ["DA"]).kind
        'not_a_number'
    """
    repairs: list[str] = []
    found = _parsed(text.strip(), repairs, strict=strict)
    if isinstance(found, ChainFailure):
        return _at(found, position)
    joint, sides = ("_", _PUBLISHED_SIDES) if published else ("|", _SIDES)
    wanted = {f"{row}{joint}{column}": (row, column) for row in rows for column in columns}
    cells = _named(found, wanted, repairs, what="cells", strict=strict)
    if isinstance(cells, ChainFailure):
        return _at(cells, position)
    payoffs: dict[tuple[str, str], list[float]] = {}
    for key, cell in cells.items():
        if not isinstance(cell, dict):
            return _at(_failure("wrong_keys", f"cell {key}: expected an object, got {_short(cell)}"), position)
        named = _named(cell, sides, repairs, what=f"sides in cell {key}", strict=strict)
        if isinstance(named, ChainFailure):
            return _at(named, position)
        stated = payoffs[wanted[key]] = []
        for side in sides:
            number = _number(named[side], key, side, repairs, strict=strict)
            if isinstance(number, ChainFailure):
                return _at(number, position)
            stated.append(number)
    user, assistant = ([[payoffs[row, column][side] for column in columns] for row in rows] for side in (0, 1))
    return Bimatrix(user, assistant, tuple(rows), tuple(columns)), list(dict.fromkeys(repairs))


def matrix_dict(game: Bimatrix) -> dict[str, Any]:
    """Return a game as records hold it.

    Example:
        >>> matrix_dict(Bimatrix([[1]], [[2]], ["VQ"], ["DA"]))["user_moves"]
        ['VQ']
    """
    return {
        "user": game.user.tolist(),
        "assistant": game.assistant.tolist(),
        "user_moves": list(game.user_moves),
        "assistant_moves": list(game.assistant_moves),
    }


# -- from text to an object -----------------------------------------------------------------------------------------------


class _Pairs(dict[str, Any]):
    """A JSON object that remembers a key that stood in it twice."""

    twice = ""


def _pairs(pairs: list[tuple[str, Any]]) -> _Pairs:
    made = _Pairs(pairs)
    if len(made) < len(pairs):
        seen: set[str] = set()
        made.twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
    return made


def _parsed(text: str, repairs: list[str], *, strict: bool) -> dict[str, Any] | ChainFailure:
    problem = ""
    try:
        found = json.loads(text, object_pairs_hook=_pairs)
    except (ValueError, RecursionError) as error:
        found, problem = None, str(error)
    if problem and not strict:
        bare = _FENCE.sub("", text).strip()
        for reading, read in (("in a code fence", _json), ("as a Python literal", _literal)):
            made = read(bare)
            if isinstance(made, dict):
                repairs.append(f"bad_json: read {reading}")
                return made
    if problem:
        return _failure("bad_json", f"expected a JSON object: {problem[:200]}")
    if not isinstance(found, dict):
        return _failure("bad_json", f"expected a JSON object, got {_short(found)}")
    return found


def _json(text: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_pairs)
    except (ValueError, RecursionError):
        return None


def _literal(text: str) -> Any:
    if len(text) > _LONGEST_LITERAL:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a stray backslash is no business of whoever runs this
            return ast.literal_eval(text)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        return None


def _named(
    found: Mapping[Any, Any], wanted: Collection[str], repairs: list[str], *, what: str, strict: bool
) -> dict[str, Any] | ChainFailure:
    """Return the values by the keys that are wanted, or say which are missing or too many."""
    twice = getattr(found, "twice", "")
    if twice and strict:
        return _failure("wrong_keys", f"{what}: {_short(twice)} stands there twice")
    if twice:
        repairs.append("wrong_keys: a key stands there twice, the last counts")
    if len(found) == len(wanted) and all(map(found.__contains__, wanted)):
        return {key: found[key] for key in wanted}
    if not strict:
        plain = {_plain(key): value for key, value in found.items()}
        if len(plain) == len(found) and plain.keys() == {_plain(key) for key in wanted}:
            repairs.append("wrong_keys: read in another case or with spaces")
            return {key: plain[_plain(key)] for key in wanted}
    missing = [key for key in wanted if key not in found]
    extra = [key for key in found if key not in wanted]
    said = [
        f"{label} {', '.join(map(_short, keys[:4]))}{', …' if len(keys) > 4 else ''}"
        for label, keys in (("lacks", missing), ("has besides", extra))
        if keys
    ]
    return _failure("wrong_keys", f"{what}: the payoff block {' and '.join(said)}")


def _plain(key: Any) -> str:
    return re.sub(r"\s+", "", key if isinstance(key, str) else _short(key)).casefold()


def _number(value: Any, key: str, side: str, repairs: list[str], *, strict: bool) -> float | ChainFailure:
    if (
        type(value) in (int, float) and LOW <= value <= HIGH
    ):  # nearly always; a bool is none of these, and NaN in no range
        return float(value)
    where = f"cell {key}, {side}"
    if isinstance(value, str) and not strict and len(value) <= 32:
        try:
            value = float(value)
        except ValueError:
            return _failure("not_a_number", f"{where}: expected a number, got {_short(value)}")
        repairs.append("not_a_number: read a number in quotes")
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return _failure("not_a_number", f"{where}: expected a number, got {_short(value)}")
    if isinstance(value, float) and not math.isfinite(value):
        return _failure("not_a_number", f"{where}: expected a finite number, got {value!r}")
    if not LOW <= value <= HIGH:
        return _failure(
            "out_of_range",
            f"{where}: expected a number from {LOW:g} to {HIGH:g}, got {value:.6g}"
            if isinstance(value, float)
            else f"{where}: expected a number from {LOW:g} to {HIGH:g}",
        )
    return float(value)


def _failure(kind: str, message: str) -> ChainFailure:
    return ChainFailure(kind=kind, block="payoff", message=message)


def _at(failure: ChainFailure, position: int) -> ChainFailure:
    return ChainFailure(kind=failure.kind, block=failure.block, message=failure.message, position=position)


def _short(value: Any) -> str:
    try:
        shown = value if isinstance(value, str) and value.isprintable() else repr(value)
    except (ValueError, RecursionError):  # a number of thousands of digits, a list of thousands of lists
        shown = type(value).__name__
    return shown if len(shown) <= 40 else shown[:40] + "…"
