"""Spaces: natural language as a Gymnasium space, and the layout of observation vectors.

``gymnasium.spaces.Text`` wants its alphabet listed; over all of Unicode that takes seconds and megabytes. ``FreeText``
checks the length only, vectorises, flattens and travels through shared memory like any other space.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from multiprocessing import Array as SharedArray
from typing import Any, Self

import numpy as np
from gymnasium import Space
from gymnasium.spaces import Box, Dict, Discrete, Tuple, flatdim, flatten, flatten_space, unflatten
from gymnasium.vector.utils import (
    batch_space,
    create_empty_array,
    create_shared_memory,
    read_from_shared_memory,
    write_to_shared_memory,
)
from numpy.typing import NDArray

from gtalign_env.errors import UsageError

__all__ = ["ASSIST_LAYOUT", "FreeText", "Layout", "SpeechAct"]

_SAMPLE_WORDS = (
    "yes",
    "no",
    "maybe",
    "please",
    "thanks",
    "the",
    "answer",
    "is",
    "which",
    "one",
    "do",
    "you",
    "mean?",
    "é",
    "好",
)


class FreeText(Space[str]):
    """All strings of at most ``max_length`` characters, in any script.

    Args:
        max_length: Longest string that belongs to the space, in characters (> 0).
        seed: Seed of the space's own generator, used by ``sample`` only.

    Raises:
        UsageError: ``max_length`` is not a positive integer.

    Example:
        >>> space = FreeText(16, seed=0)
        >>> "Où ça ? 好" in space, "x" * 17 in space, 3 in space
        (True, False, False)
        >>> space.sample() in space
        True
    """

    def __init__(self, max_length: int, *, seed: int | np.random.Generator | None = None) -> None:
        if not isinstance(max_length, int) or isinstance(max_length, bool) or max_length < 1:
            raise UsageError(f"FreeText max_length: expected an integer >= 1, got {max_length!r}")
        self.max_length = max_length
        super().__init__(shape=None, dtype=None, seed=seed)

    @property
    def is_np_flattenable(self) -> bool:
        """Strings flatten to their code points, padded with -1."""
        return True

    def sample(self, mask: Any = None, probability: Any = None) -> str:
        """Return a short run of words; masks are not meaningful here and are refused."""
        if mask is not None or probability is not None:
            raise UsageError("FreeText.sample takes no mask and no probability: any text is allowed")
        count = int(self.np_random.integers(0, 8))
        words = [_SAMPLE_WORDS[int(i)] for i in self.np_random.integers(0, len(_SAMPLE_WORDS), size=count)]
        return " ".join(words)[: self.max_length]

    def contains(self, x: Any) -> bool:
        """Return whether ``x`` is a string that is short enough."""
        return isinstance(x, str) and len(x) <= self.max_length

    def __repr__(self) -> str:
        """Return a constructor call."""
        return f"FreeText({self.max_length})"

    def __eq__(self, other: object) -> bool:
        """Equal when the lengths are."""
        return isinstance(other, FreeText) and self.max_length == other.max_length

    def __hash__(self) -> int:
        """Hash by length."""
        return hash(("FreeText", self.max_length))


class SpeechAct(Dict):
    """A move together with words: ``Dict(move=Discrete(moves), text=FreeText(max_length))``.

    ``sample`` also takes the mask that stands in observations, an int8 array over the moves, because that is what PettingZoo's
    tests and random agents pass.

    Args:
        moves: Number of moves.
        max_length: Longest text, in characters.

    Example:
        >>> space = SpeechAct(3, 16)
        >>> int(space.sample(np.array([0, 1, 0], dtype=np.int8))["move"])
        1
    """

    def __init__(self, moves: int, max_length: int) -> None:
        super().__init__({"move": Discrete(moves), "text": FreeText(max_length)})

    def sample(self, mask: Any = None, probability: Any = None) -> dict[str, Any]:
        """Return a random move, among those that ``mask`` allows, and a few words."""
        if isinstance(mask, np.ndarray):
            mask = {"move": mask, "text": None}
        return super().sample(mask=mask, probability=probability)


@flatdim.register(FreeText)
def _flatdim(space: FreeText) -> int:
    return space.max_length


@flatten_space.register(FreeText)
def _flatten_space(space: FreeText) -> Box:
    return Box(low=-1, high=0x10FFFF, shape=(space.max_length,), dtype=np.int32)


# Gymnasium types these functions over a generic space, to which no concrete one conforms.
@flatten.register(FreeText)
def _flatten(space: FreeText, x: str) -> NDArray[np.int32]:  # type: ignore[misc]
    codes = np.full(space.max_length, -1, dtype=np.int32)  # (max_length,)
    codes[: len(x)] = [ord(char) for char in x]
    return codes


@unflatten.register(FreeText)
def _unflatten(_space: FreeText, x: NDArray[np.int32]) -> str:  # type: ignore[misc]
    return "".join(chr(int(code)) for code in x if code >= 0)  # a Dict with a Box beside us flattens to floats


@batch_space.register(FreeText)
def _batch_space(space: FreeText, n: int = 1) -> Any:
    return Tuple([FreeText(space.max_length) for _ in range(n)])


@create_empty_array.register(FreeText)
def _create_empty_array(_space: FreeText, n: int = 1, fn: Any = np.zeros) -> tuple[str, ...]:  # noqa: ARG001
    return ("",) * n


@create_shared_memory.register(FreeText)
def _create_shared_memory(space: FreeText, n: int = 1, ctx: Any = None) -> Any:
    make = SharedArray if ctx is None else ctx.Array
    return make(np.dtype(np.int32).char, n * (space.max_length + 1))


@write_to_shared_memory.register(FreeText)
def _write_to_shared_memory(space: FreeText, index: int, value: str, shared_memory: Any) -> None:
    if len(value) > space.max_length:
        raise UsageError(f"text: expected at most {space.max_length} characters, got {len(value)}")
    width = space.max_length + 1
    memory = np.frombuffer(shared_memory.get_obj(), dtype=np.int32)
    memory[index * width] = len(value)
    memory[index * width + 1 : index * width + 1 + len(value)] = [ord(char) for char in value]


@read_from_shared_memory.register(FreeText)
def _read_from_shared_memory(space: FreeText, shared_memory: Any, n: int = 1) -> tuple[str, ...]:
    return _SharedTexts(np.frombuffer(shared_memory.get_obj(), dtype=np.int32).reshape(n, space.max_length + 1))


class _SharedTexts(tuple[str, ...]):
    """The texts that stand in shared memory *now*, as a tuple; a deep copy or a pickle is an ordinary tuple.

    ``AsyncVectorEnv`` reads shared memory once, when it is made, and counts on what it got being a view, as NumPy's arrays are;
    a plain tuple would show the empty texts of that moment for ever.
    """

    _memory: NDArray[np.int32]  # (n, 1 + max_length): length, code points

    def __new__(cls, memory: NDArray[np.int32]) -> Self:
        made = super().__new__(cls, ("",) * len(memory))
        made._memory = memory
        return made

    def _now(self) -> tuple[str, ...]:
        return tuple("".join(map(chr, row[1 : 1 + row[0]].tolist())) for row in self._memory)

    def __iter__(self) -> Iterator[str]:
        return iter(self._now())

    def __getitem__(self, index: Any) -> Any:
        return self._now()[index]

    def __contains__(self, text: object) -> bool:
        return text in self._now()

    def __eq__(self, other: object) -> bool:
        return self._now() == (other._now() if isinstance(other, _SharedTexts) else other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(self._now())

    def __repr__(self) -> str:
        return repr(self._now())

    def __deepcopy__(self, memo: dict[int, Any]) -> tuple[str, ...]:
        return self._now()

    def __reduce__(self) -> Any:
        return tuple, (list(self),)


@dataclasses.dataclass(frozen=True)
class Layout:
    """Names for the slots of a flat observation vector, in order.

    Args:
        slots: Mapping from a slot's name to its width.

    Example:
        >>> layout = Layout({"clock": 1, "form": 2})
        >>> layout.size, layout["form"]
        (3, slice(1, 3, None))
        >>> {name: part.tolist() for name, part in layout.read(np.array([0.5, 0.0, 1.0])).items()}
        {'clock': [0.5], 'form': [0.0, 1.0]}
    """

    slots: Mapping[str, int]

    def __post_init__(self) -> None:
        """Compute the slices once."""
        start, slices = 0, {}
        for name, width in self.slots.items():
            slices[name] = slice(start, start + width)
            start += width
        object.__setattr__(self, "_slices", slices)
        object.__setattr__(self, "size", start)

    size: int = dataclasses.field(init=False, default=0)

    def __getitem__(self, name: str) -> slice:
        """Return the slice of a slot."""
        found: slice = self._slices[name]  # type: ignore[attr-defined]
        return found

    def read(self, vector: NDArray[Any]) -> dict[str, NDArray[Any]]:
        """Return views of all slots of ``vector``, shape (..., size)."""
        return {name: vector[..., self[name]] for name in self.slots}


ASSIST_LAYOUT = Layout(
    {
        "role": 1,
        "public": 8,
        "last_assistant_move": 8,
        "last_user_move": 11,
        "pricing": 3,
        "private": 2,
        "theta": 8,
    }
)
"""Observation slots of the ``assist`` family, strategic and text view alike (``gtalign_env.sight`` reads them)."""
